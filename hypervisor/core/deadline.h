/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Deadlines: when timers of the children's processors expire.
 *
 * Who changes a timer calls deadline_update(); who has the processor, at every exit,
 * deadline_expire().  In between the platform's timer brings an exit about in time, where the
 * machine has one (platform_set_timer()); where it has none, timers are as late as the next
 * exit of any processor.
 *
 * Lock: hypervisor lock.
 */
#ifndef CORE_DEADLINE_H
#define CORE_DEADLINE_H

#include "types.h"

struct cpu;
struct vp;

/* Timers of @vp have changed. */
void deadline_update(struct vp *vp);

/* @vp goes away. */
void deadline_forget(struct vp *vp);

/* Call sched_tick() at TSC @at, or earlier where that was asked for already. */
void deadline_slice(u64 at);

/* Nobody waits for that any more. */
void deadline_no_slice(void);

/* Is anything? Also without the lock: what is set meanwhile brings an exit about. */
bool deadline_due(u64 now);

/* Expire what is due at TSC @now, and wake the processors concerned. */
void deadline_expire(struct cpu *cpu, u64 now);

/* The platform's timer has fired: expire what is due, and set it once more if it was early. */
void deadline_alarm(struct cpu *cpu, u64 now);

#endif
