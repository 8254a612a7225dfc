/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Instructions that C has no words for, and architectural bits.
 */
#ifndef SVM_X86_H
#define SVM_X86_H

#include "../core/types.h"

#define MSR_TSC			0x10u
#define MSR_APIC_BASE		0x1bu
#define MSR_PAT			0x277u
#define MSR_MTRR_CAP		0xfeu
#define MSR_MTRR_DEF_TYPE	0x2ffu
#define MSR_X2APIC_ICR		0x830u
#define MSR_EFER		0xc0000080u
#define MSR_STAR		0xc0000081u
#define MSR_LSTAR		0xc0000082u
#define MSR_CSTAR		0xc0000083u
#define MSR_SFMASK		0xc0000084u
#define MSR_FS_BASE		0xc0000100u
#define MSR_GS_BASE		0xc0000101u
#define MSR_KERNEL_GS_BASE	0xc0000102u
#define MSR_TSC_AUX		0xc0000103u
#define MSR_SYSENTER_CS		0x174u
#define MSR_SYSENTER_ESP	0x175u
#define MSR_SYSENTER_EIP	0x176u
#define MSR_VM_CR		0xc0010114u
#define MSR_VM_HSAVE_PA		0xc0010117u

#define EFER_SCE		BIT(0)
#define EFER_LME		BIT(8)
#define EFER_LMA		BIT(10)
#define EFER_NXE		BIT(11)
#define EFER_SVME		BIT(12)
#define EFER_FFXSR		BIT(14)
#define EFER_GUEST_BITS		(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR)

#define APIC_BASE_X2APIC	BIT(10)
#define CR4_OSXSAVE		BIT(18)
#define CR4_PKE			BIT(22)

#define VECTOR_UD		6u
#define VECTOR_GP		13u
#define VECTOR_PF		14u

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

static inline u64 rdmsr(u32 msr)
{
	u32 low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return low | (u64)high << 32;
}

static inline void wrmsr(u32 msr, u64 value)
{
	__asm__ volatile("wrmsr" :: "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline u64 rdtsc(void)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) :: "memory");
	return low | (u64)high << 32;
}

static inline u64 xgetbv(void)
{
	u32 low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low | (u64)high << 32;
}

static inline void xsetbv(u64 value)
{
	__asm__ volatile("xsetbv" :: "c"(0), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline void xsave(void *area, u64 mask)
{
	__asm__ volatile("xsave64 (%0)" :: "r"(area), "a"((u32)mask), "d"((u32)(mask >> 32))
			 : "memory");
}

static inline void xrstor(const void *area, u64 mask)
{
	__asm__ volatile("xrstor64 (%0)" :: "r"(area), "a"((u32)mask), "d"((u32)(mask >> 32))
			 : "memory");
}

static inline void outb(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" :: "a"(value), "Nd"(port));
}

static inline u8 inb(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

#define READ_DR(n, to)		__asm__ volatile("mov %%dr" #n ", %0" : "=r"(to))
#define WRITE_DR(n, from)	__asm__ volatile("mov %0, %%dr" #n :: "r"(from))

#endif
