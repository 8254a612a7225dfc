// SPDX-License-Identifier: GPL-2.0-only
/*
 * How fast the TSC and the APIC timer run, measured against the PIT: the
 * parent gets both as synthetic MSRs and calibrates nothing itself.
 */
#include "../core/platform.h"
#include "../core/time.h"
#include "../svm/x86.h"
#include "boot.h"

#define PIT_HZ		1193182u
#define WINDOW_HZ	20u		/* 50 ms: shorter windows are off by a percent */
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

void time_calibrate(void)
{
	u64 from, to;
	u32 apic_left;

	*apic(APIC_LVT_TIMER) = (u32)LVT_MASKED;
	*apic(APIC_DIVIDE) = DIVIDE_BY_1;
	pit_start((u16)(PIT_HZ / WINDOW_HZ));
	*apic(APIC_INITIAL) = 0xffffffff;
	from = rdtsc();
	while (!(inb(0x61) & 0x20))
		platform_relax();
	to = rdtsc();
	apic_left = *apic(APIC_CURRENT);
	*apic(APIC_INITIAL) = 0;
	platform_info.tsc_hz = (to - from) * WINDOW_HZ;
	platform_info.apic_hz = (u64)(0xffffffff - apic_left) * WINDOW_HZ;
	time_init(platform_info.tsc_hz);
}

void time_wait_us(u64 us)
{
	u64 end = rdtsc() + us * platform_info.tsc_hz / 1000000;

	while (rdtsc() < end)
		platform_relax();
}
