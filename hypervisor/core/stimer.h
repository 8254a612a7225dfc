/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Synthetic timers of a child's processor (TLFS 12.3), in direct mode: they raise an interrupt
 * in its APIC.  Those that send messages need a synthetic interrupt controller, which children
 * do not have; enabling one is refused.
 *
 * Time is the partition's reference time, in 100 ns.  Lock: hypervisor lock.
 */
#ifndef CORE_STIMER_H
#define CORE_STIMER_H

#include "types.h"

/*
 * Periods are at least this long, 200 us: as far apart as two alarms are.  Shorter ones, on two processors
 * that run, would expire with each other's exits and leave no time for the guest in between.
 */
#define STIMER_PERIOD_MIN	2000u

/**
 * struct stimer - one timer
 * @config, @count: the registers
 * @expiry: reference time at which it expires, or TIME_NEVER
 */
struct stimer {
	u64 config, count;
	u64 expiry;
};

void stimers_reset(struct stimer timers[]);

/* Write CONFIG at time @now.  False: #GP. */
bool stimer_write_config(struct stimer *t, u64 value, u64 now);

/* Write COUNT: one-shot, when; periodic, how long. */
void stimer_write_count(struct stimer *t, u64 value, u64 now);

/* If @now has come: the next period, or off.  Returns the vector to be raised, or 0. */
u8 stimer_expire(struct stimer *t, u64 now);

#endif
