// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order in which the machine comes up.
 *
 * With option park=1 the boot processor stays here for ever and the parent
 * runs on the others: the way around a bug of QEMU that docs/emulation.md
 * tells about.  It then must not run SVM instructions, nor get an NMI.
 */
#include "../core/options.h"
#include "../core/platform.h"
#include "../svm/cpu.h"
#include "boot.h"

void boot_main(const struct multiboot_info *mbi) __attribute__((noreturn));

static void parse_options(const struct multiboot_info *mbi)
{
	const char *line = (const char *)(uintptr_t)mbi->cmdline, *bad = "";

	if (!(mbi->flags & MULTIBOOT_HAS_CMDLINE))
		return;
	/* The first word is the file name. */
	while (*line && *line != ' ')
		line++;
	if (!option_parse(line, &bad))
		platform_panic("bad option, from here on: %s", bad);
}

static void park(void)
{
	volatile u32 *lint0 = (volatile u32 *)0xfee00350, *lint1 = (volatile u32 *)0xfee00360;

	*lint0 |= 0x10000;
	*lint1 |= 0x10000;
	for (;;)
		__asm__ volatile("cli; hlt");
}

void boot_main(const struct multiboot_info *mbi)
{
	static struct memory_plan plan;
	u32 ids[MAX_CPUS + 1], found;
	bool parked;
	u64 rsdp, entry;

	exceptions_load();
	parse_options(mbi);
	svm_probe();
	time_calibrate();
	parked = option(HVABI_OPTION_PARK);
	found = acpi_processors(ids, MAX_CPUS + parked);
	cpu_count = found - parked;
	if (!cpu_count)
		platform_panic("park=1 needs a second processor");
	for (u32 i = 0; i < cpu_count; i++) {
		svm_cpus[i].core.index = i;
		svm_cpus[i].parent_tlb = ~0ull;
		svm_cpus[i].apic_id = ids[i + parked];
		cpus[i] = &svm_cpus[i].core;
	}
	memory_plan_make(mbi, &plan);
	memory_plan_apply(&plan, &svm_cpus[0]);
	hpet_init(svm_cpus[0].apic_id);
	msr_maps_init();
	smp_write_shared(plan.shared);
	for (u32 i = 0; i < cpu_count; i++)
		synic_reset(cpus[i], plan.shared + SHARED_SYNIC + i * 2 * PAGE_SIZE);
	rsdp = acpi_write(plan.shared, ids + parked, cpu_count);
	smp_start(ids + 1, found - 1, parked ? 0 : 1);
	entry = linux_load(mbi, plan.shared, rsdp);
	platform_log("%u processors, TSC %llu kHz, APIC %llu kHz, kernel at %llx%s", cpu_count,
		     (unsigned long long)platform_info.tsc_hz / 1000,
		     (unsigned long long)platform_info.apic_hz / 1000,
		     (unsigned long long)entry, parked ? ", boot processor parked" : "");
	processor_start(&svm_cpus[0], entry, plan.shared + SHARED_BOOT_PARAMS);
	if (parked)
		park();
	svm_enable(&svm_cpus[0]);
	svm_cpus[0].online = 1;
	processor_wait(&svm_cpus[0]);
}
