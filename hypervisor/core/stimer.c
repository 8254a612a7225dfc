// SPDX-License-Identifier: GPL-2.0-only
/*
 * Synthetic timers.  What they are: stimer.h.
 */
#include <hvabi/cpuid.h>
#include "stimer.h"
#include "time.h"

#define CONFIG_DEFINED	(HVABI_STIMER_ENABLE | HVABI_STIMER_PERIODIC | HVABI_STIMER_LAZY | \
			 HVABI_STIMER_AUTO_ENABLE | 0xffull << HVABI_STIMER_VECTOR_SHIFT | \
			 HVABI_STIMER_DIRECT | 0xfull << HVABI_STIMER_SINT_SHIFT)
#define LOWEST_VECTOR	16u

void stimers_reset(struct stimer timers[])
{
	for (u32 i = 0; i < HVABI_STIMERS; i++)
		timers[i] = (struct stimer){ .expiry = TIME_NEVER };
}

static u8 vector(const struct stimer *t)
{
	return (u8)(t->config >> HVABI_STIMER_VECTOR_SHIFT);
}

static u64 period(const struct stimer *t)
{
	return t->count < STIMER_PERIOD_MIN ? STIMER_PERIOD_MIN : t->count;
}

static void arm(struct stimer *t, u64 now)
{
	t->expiry = TIME_NEVER;
	if (!(t->config & HVABI_STIMER_ENABLE) || !t->count)
		return;
	t->expiry = t->count;
	if (t->config & HVABI_STIMER_PERIODIC)
		t->expiry = now + period(t) < now ? TIME_NEVER : now + period(t);
}

bool stimer_write_config(struct stimer *t, u64 value, u64 now)
{
	struct stimer new = { .config = value, .count = t->count };

	if (value & ~CONFIG_DEFINED)
		return false;
	if ((value & HVABI_STIMER_ENABLE) &&
	    (!(value & HVABI_STIMER_DIRECT) || vector(&new) < LOWEST_VECTOR))
		return false;
	arm(&new, now);
	*t = new;
	return true;
}

void stimer_write_count(struct stimer *t, u64 value, u64 now)
{
	t->count = value;
	if (!value)
		t->config &= ~HVABI_STIMER_ENABLE;
	else if ((t->config & HVABI_STIMER_AUTO_ENABLE) && (t->config & HVABI_STIMER_DIRECT) &&
		 vector(t) >= LOWEST_VECTOR)
		t->config |= HVABI_STIMER_ENABLE;
	arm(t, now);
}

u8 stimer_expire(struct stimer *t, u64 now)
{
	if (now < t->expiry)
		return 0;
	if (t->config & HVABI_STIMER_PERIODIC) {
		/* Periods that were missed are one interrupt. */
		t->expiry += (now - t->expiry) / period(t) * period(t) + period(t);
	} else {
		t->config &= ~HVABI_STIMER_ENABLE;
		t->expiry = TIME_NEVER;
	}
	return vector(t);
}
