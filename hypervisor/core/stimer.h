/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Synthetic timers of a child's processor (TLFS 12.3).  In direct mode they raise an interrupt
 * in its APIC.  Others send a message by its synthetic interrupt controller (vp_synic.h), if it
 * has one: what has expired is noted here until the message is written.  A period that ends
 * meanwhile takes its place: periods that were missed are one message, as they are one interrupt.
 *
 * Time is the partition's reference time, in 100 ns.  Lock: the partition's.
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
 * @message: when it expired, if a message has to tell of it still; else TIME_NEVER
 */
struct stimer {
	u64 config, count;
	u64 expiry, message;
};

void stimers_reset(struct stimer timers[]);

/*
 * Write CONFIG at time @now; @synic: there is a controller for messages.  False: #GP.  A message
 * that waits is of the old configuration, and dropped.
 */
bool stimer_write_config(struct stimer *t, u64 value, u64 now, bool synic);

/* Write COUNT: one-shot, when; periodic, how long.  As above. */
void stimer_write_count(struct stimer *t, u64 value, u64 now, bool synic);

/*
 * If @now has come: the next period, or off.  Returns the vector to be raised, or 0; one that
 * sends messages has set @message.
 */
u8 stimer_expire(struct stimer *t, u64 now);

/* The SINT that messages go to. */
u32 stimer_sint(const struct stimer *t);

#endif
