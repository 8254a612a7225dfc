// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hypervisor's own clock alarm: comparator 0 of the HPET, which sends an NMI to the first
 * processor of the parent.  An NMI ends a stay in any partition, whatever it has masked, and
 * the parent does not notice.
 *
 * The device is taken from the parent: its page reads as zeroes there, its table is not among
 * the ACPI tables.  Linux does well with TSC and APIC timer.
 *
 * QEMU's HPET sends messages only with "-global hpet.msi=on"; without, timers of children are
 * as late as the next exit.
 */
#include "../core/parent_map.h"
#include "../core/platform.h"
#include "../core/time.h"
#include "../svm/cpu.h"
#include "boot.h"

/* IA-PC HPET specification 1.0a, 2.3. */
#define HPET_CAPABILITIES	0x000u
#define HPET_CONFIGURATION	0x010u
#define HPET_COUNTER		0x0f0u
#define HPET_T0_CONFIGURATION	0x100u
#define HPET_T0_COMPARATOR	0x108u
#define HPET_T0_MESSAGE		0x110u

#define CAPABILITY_64_BIT	BIT(13)
#define ENABLE			BIT(0)
#define T0_ENABLE		BIT(2)
#define T0_MESSAGE		BIT(14)
#define T0_CAN_MESSAGE		BIT(15)

#define MESSAGE_ADDRESS		0xfee00000ull
#define MESSAGE_NMI		0x400ull
#define FEMTOSECONDS		1000000000000000ull

/* A child can ask for a time that is always now.  It gets this much less often, in microseconds. */
#define CLOSEST_US		200u
/* How late an NMI can be: microseconds on hardware, as long as a thread of an emulator waits here. */
#define LATE_MS			100u

/**
 * struct alarm - the comparator
 * @base: of the registers, 0: none
 * @armed: @comparator has not come yet, or its NMI has not
 * @owed_until: up to this count one NMI more may come, from a comparator that was overwritten after
 *	its time; 0: none.  It may also have merged with another NMI, and then the next one
 *	after that is the parent's.
 */
static struct {
	u64 base;
	u64 hz;
	u64 comparator;
	u64 owed_until;
	bool armed;
} alarm;

/* What the parent reads there: AML takes a vendor of 0 for "no HPET". */
static const u8 no_device[PAGE_SIZE] __attribute__((aligned(4096)));

static volatile u64 *reg(u32 offset)
{
	return (volatile u64 *)(uintptr_t)(alarm.base + offset);
}

void hpet_init(u32 apic_id)
{
	u64 base = acpi_hpet(), capabilities;

	if (!base)
		return;
	alarm.base = base;
	parent_show(cpus[0], base, (u64)(uintptr_t)no_device);
	capabilities = *reg(HPET_CAPABILITIES);
	if (!(capabilities & CAPABILITY_64_BIT) || !(*reg(HPET_T0_CONFIGURATION) & T0_CAN_MESSAGE)) {
		platform_log("HPET without messages: timers of children will be late");
		alarm.base = 0;
		return;
	}
	alarm.hz = FEMTOSECONDS / (capabilities >> 32);
	*reg(HPET_T0_CONFIGURATION) = 0;
	*reg(HPET_T0_MESSAGE) = (MESSAGE_ADDRESS | apic_id << 12) << 32 | MESSAGE_NMI;
	*reg(HPET_CONFIGURATION) = ENABLE;
}

static void program(u64 tsc)
{
	u64 now = rdtsc(), least = platform_info.tsc_hz / 1000000 * CLOSEST_US;
	u64 away = max_u64(tsc > now ? tsc - now : 0, least);

	alarm.comparator = *reg(HPET_COUNTER) + away / platform_info.tsc_hz * alarm.hz +
			   away % platform_info.tsc_hz * alarm.hz / platform_info.tsc_hz + 1;
	*reg(HPET_T0_COMPARATOR) = alarm.comparator;
	*reg(HPET_T0_CONFIGURATION) = T0_ENABLE | T0_MESSAGE;
}

void platform_set_timer(u64 tsc)
{
	u64 before = alarm.armed ? alarm.comparator : TIME_NEVER, now;

	if (!alarm.base)
		return;
	alarm.armed = tsc != TIME_NEVER;
	if (alarm.armed)
		program(tsc);
	else
		*reg(HPET_T0_CONFIGURATION) = 0;
	if (before == TIME_NEVER)
		return;
	/* Only now: up to here the old comparator could still send. */
	now = *reg(HPET_COUNTER);
	if (now >= before)
		alarm.owed_until = now + alarm.hz / 1000 * LATE_MS;
}

/* The comparator's time has come, so there is an NMI of it, taken or not. */
static bool has_come(void)
{
	return *reg(HPET_COUNTER) >= alarm.comparator;
}

/* Messages go to the first processor of the parent: an NMI of another is not the alarm's. */
static bool goes_to(const struct cpu *cpu)
{
	return alarm.base && cpu->index == 0;
}

bool platform_timer_passed(const struct cpu *cpu)
{
	return goes_to(cpu) && alarm.armed && has_come();
}

bool platform_timer_nmi(const struct cpu *cpu)
{
	u64 owed_until = alarm.owed_until;

	if (!goes_to(cpu))
		return false;
	/* First the one that must come: a debt that nobody pays would else be taken over by each that follows. */
	if (alarm.armed && has_come()) {
		alarm.armed = false;
		return true;
	}
	alarm.owed_until = 0;
	return owed_until && *reg(HPET_COUNTER) <= owed_until;
}
