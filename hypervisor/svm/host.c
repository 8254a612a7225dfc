// SPDX-License-Identifier: GPL-2.0-only
/*
 * The processor under the hypervisor: what it can do, how SVM is switched on,
 * how another processor is reached.
 */
#include "../core/deadline.h"
#include "../core/platform.h"
#include "cpu.h"

#define APIC_ICR_LOW		0x300u
#define APIC_ICR_HIGH		0x310u
#define ICR_ASSERT		0x4000u
#define ICR_NMI			0x0400u
#define ICR_BUSY		BIT(12)
#define XCR0_TILE		(BIT(17) | BIT(18))

struct svm_cpu svm_cpus[MAX_CPUS];
struct platform_info platform_info;
bool svm_has_nrips, svm_has_rdtscp;

static volatile u32 *apic_register(u64 base, u32 offset)
{
	return (volatile u32 *)(uintptr_t)(align_down(base, PAGE_SIZE) + offset);
}

/*
 * The APIC is the parent's, who may be between its two writes of the xAPIC
 * ICR: wait for idle, keep the upper half, and put it back.
 */
static void send_ipi(u32 apic_id, u32 command)
{
	u64 base = rdmsr(MSR_APIC_BASE);
	volatile u32 *low = apic_register(base, APIC_ICR_LOW);
	volatile u32 *high = apic_register(base, APIC_ICR_HIGH);
	u32 old;

	if (base & APIC_BASE_X2APIC) {
		wrmsr(MSR_X2APIC_ICR, (u64)apic_id << 32 | command);
		return;
	}
	while (*low & ICR_BUSY)
		platform_relax();
	old = *high;
	*high = apic_id << 24;
	*low = command;
	while (*low & ICR_BUSY)
		platform_relax();
	*high = old;
}

/* By its stack; the boot processor, which has another one, is the first of the parent if it is any. */
struct cpu *platform_self(void)
{
	u64 at = (u64)(uintptr_t)__builtin_frame_address(0) - (u64)(uintptr_t)svm_cpus;

	return &svm_cpus[at < sizeof(svm_cpus) ? at / sizeof(svm_cpus[0]) : 0].core;
}

void platform_kick(struct cpu *cpu)
{
	send_ipi(((struct svm_cpu *)cpu)->apic_id, ICR_ASSERT | ICR_NMI);
}

/* Two of ours can arrive as one: each leaves its own mark. */
bool svm_own_nmi(struct svm_cpu *cpu, struct partition *p)
{
	svm_take_nmi();
	if (cpu->core.kick) {
		cpu->core.kick = 0;
		count(&cpu->core, p, HVABI_COUNT_EXIT_KICK, 1);
		/* The alarm's may have come with it, as one. */
		deadline_nmi(&cpu->core, true, rdtsc());
		return true;
	}
	if (deadline_nmi(&cpu->core, false, rdtsc())) {
		count(&cpu->core, p, HVABI_COUNT_EXIT_TIMER, 1);
		return true;
	}
	count(&cpu->core, p, HVABI_COUNT_EXIT_NMI, 1);
	return false;
}

void platform_raise(struct cpu *cpu, u8 vector)
{
	send_ipi(((struct svm_cpu *)cpu)->apic_id, ICR_ASSERT | vector);
}

u64 platform_tsc(void)
{
	return rdtsc();
}

void platform_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

/* A bit of a HV feature bank, and the CPUID bit that it stands for. */
struct feature_row {
	u8 bank, bit;
	u32 leaf;
	u8 reg;			/* 0 EAX .. 3 EDX */
	u8 cpuid_bit;
};

static const struct feature_row features[] = {
	{ 0, 0, 1, 2, 0 }, { 0, 1, 0x80000001, 2, 0 }, { 0, 2, 1, 2, 9 },
	{ 0, 3, 1, 2, 19 }, { 0, 4, 1, 2, 20 }, { 0, 5, 0x80000001, 2, 6 },
	{ 0, 7, 1, 2, 23 }, { 0, 8, 1, 2, 13 }, { 0, 10, 0x80000001, 2, 5 },
	{ 0, 15, 0x80000001, 3, 26 }, { 0, 16, 1, 2, 25 }, { 0, 17, 1, 2, 1 },
	{ 0, 20, 1, 2, 29 }, { 0, 21, 1, 2, 30 }, { 0, 22, 7, 1, 0 },
	{ 0, 23, 7, 1, 7 }, { 0, 24, 7, 1, 9 }, { 0, 25, 7, 1, 3 }, { 0, 26, 7, 1, 8 },
	{ 0, 29, 1, 2, 22 }, { 0, 32, 7, 1, 18 }, { 0, 33, 7, 1, 19 }, { 0, 35, 7, 1, 20 },
	{ 0, 38, 0x80000001, 3, 27 }, { 0, 39, 7, 1, 23 }, { 0, 40, 7, 1, 24 },
	{ 0, 41, 7, 1, 29 }, { 0, 58, 7, 2, 2 },
};

static void probe_features(void)
{
	struct cpuid one = cpuid(1, 0), seven = cpuid(7, 0);

	for (u32 i = 0; i < ARRAY_SIZE(features); i++) {
		const struct feature_row *f = &features[i];
		struct cpuid c = cpuid(f->leaf, 0);
		const u32 reg[4] = { c.eax, c.ebx, c.ecx, c.edx };

		if (reg[f->reg] >> f->cpuid_bit & 1)
			platform_info.features[f->bank] |= BIT(f->bit);
	}
	platform_info.xsave_features = BIT(0);
	if (cpuid(0xd, 1).eax & 1)
		platform_info.xsave_features |= BIT(1);
	if (one.ecx & BIT(28))
		platform_info.xsave_features |= BIT(2);
	if (seven.ebx & BIT(5))
		platform_info.xsave_features |= BIT(3);
	if (one.ecx & BIT(12))
		platform_info.xsave_features |= BIT(4);
}

/* Components that fit the one page a VP has; tiles never do. */
static void probe_xsave(void)
{
	struct cpuid c = cpuid(0xd, 0);
	u64 supported = c.eax | (u64)c.edx << 32, mask = 3;
	u32 bytes = 576;

	for (u32 i = 2; i < 63; i++) {
		struct cpuid part = cpuid(0xd, i);

		if (!(supported & ~XCR0_TILE & BIT(i)) || part.ebx + part.eax > PAGE_SIZE)
			continue;
		mask |= BIT(i);
		platform_info.xsave[i].offset = (u16)part.ebx;
		platform_info.xsave[i].bytes = (u16)part.eax;
		platform_info.xsave[i].aligned = part.ecx & BIT(1);
		bytes = (u32)max_u64(bytes, part.ebx + part.eax);
	}
	/* AVX-512 is three components that only work together. */
	if ((mask & 0xe0) != 0xe0)
		mask &= ~0xe0ull;
	platform_info.xcr0_mask = mask;
	platform_info.xsave_bytes = bytes;
	if (c.ecx > FPU_BYTES)
		platform_panic("XSAVE area of %u bytes is more than this hypervisor keeps", c.ecx);
}

void svm_probe(void)
{
	struct cpuid svm;

	if (!(cpuid(0x80000001, 0).ecx & BIT(2)))
		platform_panic("this processor has no SVM: start QEMU with -cpu max,+svm");
	svm = cpuid(0x8000000a, 0);
	if (!(svm.edx & BIT(0)))
		platform_panic("this processor has no nested paging");
	if (!(cpuid(1, 0).ecx & BIT(26)))
		platform_panic("this processor has no XSAVE");
	svm_has_nrips = svm.edx & BIT(3);
	svm_has_rdtscp = cpuid(0x80000001, 0).edx & BIT(27);
	platform_info.physical_bits = cpuid(0x80000008, 0).eax & 0xff;
	platform_info.leaves_1g = cpuid(0x80000001, 0).edx & BIT(26);
	probe_xsave();
	probe_features();
}

void svm_enable(struct svm_cpu *cpu)
{
	u64 cr4;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" :: "r"(cr4 | CR4_OSXSAVE));
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	__asm__ volatile("clgi");
	wrmsr(MSR_VM_HSAVE_PA, (u64)(uintptr_t)cpu->hsave);
}
