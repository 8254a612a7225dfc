/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Deadlines: when timers of the children's processors expire.
 *
 * Who changes a timer calls deadline_update(); who has the processor, at every exit,
 * deadline_expire().  In between the platform's timer brings an exit about in time, where the
 * machine has one (platform_set_timer()); where it has none, timers are as late as the next
 * exit of any processor.
 *
 * Lock: the list and the platform's timer have one of their own, which comes behind a partition's: who
 * changes a timer has the partition's.  So who looks for what is due takes it out of the list first, and
 * then the partition's lock.
 */
#ifndef CORE_DEADLINE_H
#define CORE_DEADLINE_H

#include "types.h"

struct cpu;
struct vp;

/* Timers of @vp have changed.  Lock: the partition's. */
void deadline_update(struct vp *vp);

/* @vp goes away. */
void deadline_forget(struct vp *vp);

/* Call sched_tick() at TSC @at, or earlier where that was asked for already. */
void deadline_slice(u64 at);

/* Nobody waits for that any more. */
void deadline_no_slice(void);

/* Is anything? Also without the lock: what is set meanwhile brings an exit about. */
bool deadline_due(u64 now);

/* Expire what is due at TSC @now, and wake the processors concerned.  Lock: the world, and no partition's. */
void deadline_expire(struct cpu *cpu, u64 now);

/* The same for timers of @vp.  Lock: the partition's. */
void deadline_expire_vp(struct cpu *cpu, struct vp *vp, u64 now);

/*
 * An NMI came to @cpu.  True: it was the platform's timer's.  One that was @kicked does not know, for both may have
 * come as one.  In either case the timer is set once more if it was early at TSC @now; what is due is expired at the
 * end of the exit, as ever, and it is set then.
 */
bool deadline_nmi(struct cpu *cpu, bool kicked, u64 now);

#endif
