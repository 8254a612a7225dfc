/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory pools: the pages that a partition was given by DEPOSIT_MEMORY.
 *
 * The hypervisor has no other memory for a partition: its structure, tables,
 * processors and save areas all come out of a pool.  A page leaves the
 * parent's second-level map when it is deposited and comes back, zeroed, when
 * it is withdrawn.  Free pages are a list through their own first word.
 *
 * deposited = free + in use; a partition can be deleted when nothing of its
 * own is in use.  Lock: the partition's; of the parent's the world exclusively.
 */
#ifndef CORE_POOL_H
#define CORE_POOL_H

#include "types.h"

struct cpu;

struct pool {
	u64 head;		/* SPA of the first free page, 0: none */
	u64 free;		/* pages */
	u64 deposited;		/* pages */
	u16 slot;		/* partition slot, for the frame table */
	bool never_refuses;	/* the hypervisor's own heap: no option applies */
};

void pool_init(struct pool *pool, u16 slot);

/*
 * Take a zeroed page out of the pool.  Returns its SPA, or 0 if the pool is
 * empty or an option says to refuse: "insufficient memory" to the caller.
 */
u64 pool_get(struct pool *pool, struct cpu *cpu);

/* Put a page taken by pool_get() back. */
void pool_put(struct pool *pool, u64 spa);

/* Add a page that was just taken from the parent. */
void pool_add(struct pool *pool, u64 spa);

/* Remove a free page for good and zero it.  Returns its SPA, or 0 if none is free. */
u64 pool_remove(struct pool *pool);

#endif
