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
		timers[i] = (struct stimer){ .expiry = TIME_NEVER, .message = TIME_NEVER };
}

static u8 vector(const struct stimer *t)
{
	return (u8)(t->config >> HVABI_STIMER_VECTOR_SHIFT);
}

u32 stimer_sint(const struct stimer *t)
{
	return (u32)(t->config >> HVABI_STIMER_SINT_SHIFT & 0xf);
}

static u64 period(const struct stimer *t)
{
	return t->count < STIMER_PERIOD_MIN ? STIMER_PERIOD_MIN : t->count;
}

static void arm(struct stimer *t, u64 now)
{
	t->expiry = TIME_NEVER;
	t->message = TIME_NEVER;
	if (!(t->config & HVABI_STIMER_ENABLE) || !t->count)
		return;
	t->expiry = t->count;
	if (t->config & HVABI_STIMER_PERIODIC)
		t->expiry = now + period(t) < now ? TIME_NEVER : now + period(t);
}

/* Would it have somebody to tell? */
static bool can_run(const struct stimer *t, bool synic)
{
	return t->config & HVABI_STIMER_DIRECT ? vector(t) >= LOWEST_VECTOR : synic && stimer_sint(t);
}

bool stimer_write_config(struct stimer *t, u64 value, u64 now, bool synic)
{
	struct stimer new = { .config = value, .count = t->count };

	if (value & ~CONFIG_DEFINED)
		return false;
	if ((value & HVABI_STIMER_ENABLE) && !can_run(&new, synic)) {
		if ((value & HVABI_STIMER_DIRECT) || !synic)
			return false;
		/* SINT 0 is for nobody's timer: it is off at once (TLFS 12.3.2.1). */
		new.config &= ~HVABI_STIMER_ENABLE;
	}
	arm(&new, now);
	*t = new;
	return true;
}

void stimer_write_count(struct stimer *t, u64 value, u64 now, bool synic)
{
	t->count = value;
	if (!value)
		t->config &= ~HVABI_STIMER_ENABLE;
	else if ((t->config & HVABI_STIMER_AUTO_ENABLE) && can_run(t, synic))
		t->config |= HVABI_STIMER_ENABLE;
	arm(t, now);
}

u8 stimer_expire(struct stimer *t, u64 now)
{
	if (now < t->expiry)
		return 0;
	if (!(t->config & HVABI_STIMER_DIRECT))
		t->message = t->expiry;
	if (t->config & HVABI_STIMER_PERIODIC) {
		/* Periods that were missed are one interrupt. */
		t->expiry += (now - t->expiry) / period(t) * period(t) + period(t);
	} else {
		t->config &= ~HVABI_STIMER_ENABLE;
		t->expiry = TIME_NEVER;
	}
	return t->config & HVABI_STIMER_DIRECT ? vector(t) : 0;
}
