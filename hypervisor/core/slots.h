/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Small objects in pages of a pool: a list of pages, each cut into slots of one size.  A page is
 * taken when no slot is free and goes back when its last one is, so that a pool gets back all
 * that it gave.
 *
 * Lock: the partition's; of the parent's the world exclusively.
 */
#ifndef CORE_SLOTS_H
#define CORE_SLOTS_H

#include "types.h"

struct cpu;
struct pool;

/* A list without objects is all zero. */
struct slots {
	u64 first;		/* SPA of the first page, 0: none */
};

/* A zeroed slot of @bytes, which all of one list have; NULL: the pool is empty. */
void *slots_get(struct slots *s, u32 bytes, struct pool *pool, struct cpu *cpu);

/* Put it back. */
void slots_put(struct slots *s, void *slot, struct pool *pool);

/* The slot in use behind @slot, or the first for NULL; NULL: no more.  One visited may be put back. */
void *slots_next(const struct slots *s, const void *slot);

#endif
