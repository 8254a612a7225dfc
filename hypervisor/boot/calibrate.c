// SPDX-License-Identifier: GPL-2.0-only
/*
 * How fast the TSC and the APIC timer run, measured against the PIT: the
 * parent gets both as synthetic MSRs and calibrates nothing itself.
 *
 * Law: one measurement is not believed. Where an emulated processor is preempted at either end of the window, as on a
 * machine that is busy otherwise, it is off by any factor, and all the parent's clocks with it. Two in a row agree.
 */
#include "../core/platform.h"
#include "../core/time.h"
#include "../svm/x86.h"
#include "boot.h"

#define PIT_HZ		1193182u
#define WINDOW_HZ	20u		/* 50 ms: shorter windows are off by a percent */
/* After the first; then the last one is taken. */
#define TRIES		30
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

struct speed {
	u64 tsc;
	u64 apic;
};

/* In one window. */
static struct speed measure(void)
{
	struct speed speed;
	u64 from;

	pit_start((u16)(PIT_HZ / WINDOW_HZ));
	*apic(APIC_INITIAL) = 0xffffffff;
	from = rdtsc();
	while (!(inb(0x61) & 0x20))
		platform_relax();
	speed.tsc = rdtsc() - from;
	speed.apic = 0xffffffff - *apic(APIC_CURRENT);
	*apic(APIC_INITIAL) = 0;
	return speed;
}

/* To a part in 50. */
static bool agree(u64 a, u64 b)
{
	return (a > b ? a - b : b - a) < b / 50;
}

void time_calibrate(void)
{
	struct speed last, speed;
	unsigned int tries;

	*apic(APIC_LVT_TIMER) = (u32)LVT_MASKED;
	*apic(APIC_DIVIDE) = DIVIDE_BY_1;
	speed = measure();
	for (tries = 0; tries < TRIES; tries++) {
		last = speed;
		speed = measure();
		if (agree(speed.tsc, last.tsc) && agree(speed.apic, last.apic))
			break;
	}
	if (tries == TRIES)
		platform_log("speeds: no two measurements in a row agree, clocks may be wrong");
	platform_info.tsc_hz = speed.tsc * WINDOW_HZ;
	platform_info.apic_hz = speed.apic * WINDOW_HZ;
	time_init(platform_info.tsc_hz);
}

void time_wait_us(u64 us)
{
	u64 end = rdtsc() + us * platform_info.tsc_hz / 1000000;

	while (rdtsc() < end)
		platform_relax();
}
