// SPDX-License-Identifier: GPL-2.0-only
/*
 * How fast the TSC and the APIC timer run, measured against the PIT: the
 * parent gets both as synthetic MSRs and calibrates nothing itself.
 *
 * Law: a window whose ends were not seen in time is not believed. An emulated
 * processor may be preempted at either of them, for as long as it likes, and
 * all the parent's clocks would be off by that.
 */
#include "../core/platform.h"
#include "../core/time.h"
#include "../svm/x86.h"
#include "boot.h"

#define PIT_HZ		1193182u
/*
 * 50 ms, each later one a tenth shorter, down to 2 ms: who is preempted at regular times may be so at
 * the end of each window that begins after one, unless it is short.
 */
#define WINDOW		(PIT_HZ / 20)
#define TRIES		30u
/* Parts of a window, and how many of them may be unsure. */
#define PARTS		4096u
#define UNSURE		16u
/* Readings of the port, more than any window has. */
#define READINGS	(1u << 28)
#define APIC_BASE	0xfee00000u
#define APIC_LVT_TIMER	0x320u
#define APIC_INITIAL	0x380u
#define APIC_CURRENT	0x390u
#define APIC_DIVIDE	0x3e0u
#define LVT_MASKED	BIT(16)
#define DIVIDE_BY_1	0xbu

static volatile u32 *apic(u32 offset)
{
	return (volatile u32 *)(uintptr_t)(APIC_BASE + offset);
}

static void pit_start(u16 ticks)
{
	outb(0x61, (u8)((inb(0x61) & ~2) | 1));
	outb(0x43, 0xb0);
	outb(0x42, (u8)ticks);
	outb(0x42, (u8)(ticks >> 8));
}

/* Ticks of both in a window, and for how many of the TSC's it is not known whether they are of it. */
struct window {
	u64 pit;
	u64 tsc;
	u64 apic;
	u64 unsure;
};

static struct window measure(u16 ticks)
{
	struct window w = { .pit = ticks };
	u64 before, from, last, now;
	u32 readings = 0;
	bool over;

	before = rdtsc();
	pit_start(ticks);
	*apic(APIC_INITIAL) = 0xffffffff;
	from = rdtsc();
	now = from;
	do {
		platform_relax();
		/* It was not over at some time after this. */
		last = now;
		now = rdtsc();
		over = inb(0x61) & 0x20;
		if (++readings == READINGS)
			platform_panic("the PIT does not count");
	} while (!over);
	w.apic = 0xffffffff - *apic(APIC_CURRENT);
	w.tsc = now - from;
	w.unsure = from - before + rdtsc() - last;
	*apic(APIC_INITIAL) = 0;
	return w;
}

/* Parts that are unsure. */
static u64 unsure(const struct window *w)
{
	return w->unsure * PARTS / w->tsc;
}

void time_calibrate(void)
{
	struct window best, w;
	unsigned int tries;
	u32 ticks = WINDOW;

	*apic(APIC_LVT_TIMER) = (u32)LVT_MASKED;
	*apic(APIC_DIVIDE) = DIVIDE_BY_1;
	best = measure((u16)ticks);
	for (tries = 1; tries < TRIES && unsure(&best) > UNSURE; tries++) {
		ticks -= ticks / 10;
		w = measure((u16)ticks);
		if (unsure(&w) < unsure(&best))
			best = w;
	}
	platform_info.tsc_hz = best.tsc * PIT_HZ / best.pit;
	platform_info.apic_hz = best.apic * PIT_HZ / best.pit;
	if (unsure(&best) > UNSURE)
		platform_log("speeds: of the best of %u windows %llu parts in %u are unsure, clocks may be wrong",
			     TRIES, (unsigned long long)unsure(&best), PARTS);
	time_init(platform_info.tsc_hz);
}

void time_wait_us(u64 us)
{
	u64 end = rdtsc() + us * platform_info.tsc_hz / 1000000;

	while (rdtsc() < end)
		platform_relax();
}
