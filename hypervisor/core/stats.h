/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Statistics pages: what is known of an object, written where the parent reads it.
 *
 * Laws
 *  - A page is written when it is mapped, and then by stats_refresh(), which does so at most every
 *    STATS_PERIOD; never after it was unmapped, or its object has gone.
 *  - One that the parent named is its own and referenced, so it cannot be lent.  One that it did
 *    not is a page of the parent's pool, which it can read as long as it is mapped.
 *  - Both areas of an object, SELF and PARENT, say the same: there is nothing that is a
 *    processor's own business.
 *
 * Lock: the world exclusively to map and unmap; shared to refresh.
 */
#ifndef CORE_STATS_H
#define CORE_STATS_H

#include <hvabi/stats.h>
#include "types.h"

struct cpu;
struct partition;
struct vp;

#define STATS_PERIOD	100000u		/* 10 ms, in units of 100 ns */

/*
 * Map the counters of an object that there is, at page *@pfn of the parent's; 0: the hypervisor
 * chooses, and says which.  What was mapped before for it goes.  INVALID_PARAMETER,
 * INSUFFICIENT_MEMORY (of the parent's pool).
 */
u16 stats_map(struct cpu *cpu, u32 type, const struct hvabi_stats_identity *identity, u64 *pfn);

/* INVALID_PARAMETER: it is not mapped. */
u16 stats_unmap(struct cpu *cpu, u32 type, const struct hvabi_stats_identity *identity);

/* @p goes, with all its processors; or one of them. */
void stats_forget(struct cpu *cpu, const struct partition *p);
void stats_forget_vp(struct cpu *cpu, const struct vp *vp);

/* Write all pages again, if it is time. */
void stats_refresh(u64 now);

#endif
