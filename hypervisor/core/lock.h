/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Locks of the hypervisor. What each protects, from the first to be taken to the last:
 *
 *	world		which partitions and processors of children there are, the owner of each page, the
 *			parent's map and pools, ports, options. Shared by who only relies on that, and exclusive
 *			for who changes it
 *	partition	one child: its nested tables, its pool, its processors, APICs, clock, connections
 *	synic		the parent's SynICs: what waits to be said, event rings, pending ports (synic.h)
 *	deadlines	the list of timers that run, and the platform's timer (deadline.c)
 *	stats		who writes statistics pages (stats.c)
 *
 * References to pages and counters are atomic, and need none.
 *
 * Laws
 *  - Who runs a guest holds none, nor does an exit of a child that concerns nobody else.
 *  - They are taken in this order, at most one of each kind, or the processor panics. The world is held
 *    with each of the others.
 *  - Who has the world exclusively needs no other: nobody else is in the hypervisor, but on the way in, or in
 *    such an exit, which evict() ends.
 *  - From shared to exclusive there is no step: it is given up in between, and nothing counts that was looked
 *    up before.
 *  - A processor enters a child with the child's lock, and the parent with the world, and says so in cpu->guest
 *    before it gives them up. It leaves without any lock. That is all that a shoot-down needs (shootdown.h).
 *  - A holder waits for nothing but a lock that comes later, a processor leaving a guest, and who wants the
 *    world exclusively for who shares it. None of these waits for him, so there is no deadlock.
 *  - While the hypervisor schedules children (sched.h) the world is always exclusive: its queue knows processors
 *    of all partitions.
 *
 * All locks are fair: first come, first served. Who wants to share the world comes behind who has asked for it
 * exclusively before.
 */
#ifndef CORE_LOCK_H
#define CORE_LOCK_H

#include "types.h"

struct cpu;
struct partition;

/* In the order in which they are taken. */
enum lock_level {
	LOCK_WORLD,
	LOCK_PARTITION,
	LOCK_SYNIC,
	LOCK_DEADLINES,
	LOCK_STATS,
	LOCK_LEVELS
};

struct lock {
	u32 next;
	u32 owner;
};

/**
 * struct cpu_locks - what a processor holds
 * @levels: bit n: a lock of level n
 * @sharing: it shares the world; others wait for it to become 0
 * @exclusive: it has the world for itself
 * @partition: whose lock it has, or NULL
 */
struct cpu_locks {
	u32 levels;
	u32 sharing;
	bool exclusive;
	struct partition *partition;
};

/* Share the world, or have it for oneself where the hypervisor schedules children. */
void world_enter(struct cpu *cpu);

/* Have it for oneself, after giving it up for a moment; it stays so until it is left. */
void world_exclude(struct cpu *cpu);

void world_leave(struct cpu *cpu);

/* The lock of a child. The world is held, so the child stays. */
void partition_lock(struct cpu *cpu, struct partition *p);

/* Of the one that is held, if any. */
void partition_unlock(struct cpu *cpu);

/* The others. */
void lock_acquire(struct lock *lock, enum lock_level level);
void lock_release(struct lock *lock, enum lock_level level);

#endif
