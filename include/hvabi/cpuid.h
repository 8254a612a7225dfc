/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a partition sees the hypervisor: CPUID leaves, privilege bits and synthetic model specific
 * registers.
 */
#ifndef HVABI_CPUID_H
#define HVABI_CPUID_H

#include "types.h"

/* CPUID leaf 1, ECX. */
#define HVABI_CPUID_1_ECX_HYPERVISOR	(1u << 31)

/* EAX highest leaf; EBX, ECX, EDX "Microsoft Hv" */
#define HVABI_CPUID_VENDOR		0x40000000u
#define HVABI_CPUID_INTERFACE		0x40000001u
#define HVABI_CPUID_VERSION		0x40000002u
#define HVABI_CPUID_FEATURES		0x40000003u
#define HVABI_CPUID_RECOMMENDATIONS	0x40000004u
#define HVABI_CPUID_LIMITS		0x40000005u
#define HVABI_CPUID_HARDWARE		0x40000006u
#define HVABI_CPUID_CPU_MANAGEMENT	0x40000007u
#define HVABI_CPUID_NESTED		0x4000000au
#define HVABI_CPUID_ISOLATION		0x4000000cu
#define HVABI_CPUID_VIRT_STACK		0x40000081u
#define HVABI_CPUID_VIRT_STACK_PROPERTIES 0x40000082u
/* Below this and at or above VENDOR nothing but the leaves above may answer with other than 0. */
#define HVABI_CPUID_END			0x40010000u

#define HVABI_CPUID_VENDOR_EBX		0x7263694du	/* "Micr" */
#define HVABI_CPUID_VENDOR_ECX		0x666f736fu	/* "osof" */
#define HVABI_CPUID_VENDOR_EDX		0x76482074u	/* "t Hv" */
#define HVABI_CPUID_INTERFACE_EAX	0x31237648u	/* "Hv#1" */

/* FEATURES EAX: privileges, low half. */
#define HVABI_PRIV_VP_RUNTIME		(1u << 0)
#define HVABI_PRIV_TIME_REF_COUNT	(1u << 1)
#define HVABI_PRIV_SYNIC		(1u << 2)
#define HVABI_PRIV_SYNTIMER		(1u << 3)
#define HVABI_PRIV_APIC_ACCESS		(1u << 4)
#define HVABI_PRIV_HYPERCALL		(1u << 5)
#define HVABI_PRIV_VP_INDEX		(1u << 6)
#define HVABI_PRIV_RESET		(1u << 7)
#define HVABI_PRIV_STATS_PAGES		(1u << 8)
#define HVABI_PRIV_REFERENCE_TSC	(1u << 9)
#define HVABI_PRIV_GUEST_IDLE		(1u << 10)
#define HVABI_PRIV_FREQUENCY_MSRS	(1u << 11)
#define HVABI_PRIV_REENLIGHTENMENT	(1u << 13)
#define HVABI_PRIV_TSC_INVARIANT	(1u << 15)

/* FEATURES EBX: privileges, high half. */
#define HVABI_PRIV_HIGH_CREATE_PARTITIONS	(1u << 0)
#define HVABI_PRIV_HIGH_ACCESS_PARTITION_ID	(1u << 1)
#define HVABI_PRIV_HIGH_ACCESS_MEMORY_POOL	(1u << 2)
#define HVABI_PRIV_HIGH_ADJUST_MESSAGE_BUFFERS	(1u << 3)
#define HVABI_PRIV_HIGH_POST_MESSAGES		(1u << 4)
#define HVABI_PRIV_HIGH_SIGNAL_EVENTS		(1u << 5)
#define HVABI_PRIV_HIGH_CREATE_PORT		(1u << 6)
#define HVABI_PRIV_HIGH_CONNECT_PORT		(1u << 7)
#define HVABI_PRIV_HIGH_ACCESS_STATS		(1u << 8)
#define HVABI_PRIV_HIGH_DEBUGGING		(1u << 11)
#define HVABI_PRIV_HIGH_CPU_MANAGEMENT		(1u << 12)	/* root, not L1VH */
#define HVABI_PRIV_HIGH_EXTENDED_HYPERCALLS	(1u << 20)
#define HVABI_PRIV_HIGH_ISOLATION		(1u << 22)

/* FEATURES ECX. */
#define HVABI_FEATURE_ECX_DISPATCH_INTERRUPT_INJECTION	(1u << 9)
#define HVABI_FEATURE_ECX_GHCB_ROOT_MAPPING		(1u << 10)

/* FEATURES EDX. */
#define HVABI_FEATURE_XMM_INPUT		(1u << 4)
#define HVABI_FEATURE_IDLE_STATE	(1u << 5)
#define HVABI_FEATURE_FREQUENCY_MSRS	(1u << 8)
#define HVABI_FEATURE_CRASH_MSRS	(1u << 10)
#define HVABI_FEATURE_XMM_OUTPUT	(1u << 15)
#define HVABI_FEATURE_STIMER_DIRECT	(1u << 19)

/* RECOMMENDATIONS EAX. */
#define HVABI_RECOMMEND_REMOTE_TLB_FLUSH	(1u << 2)
#define HVABI_RECOMMEND_APIC_ACCESS		(1u << 3)
#define HVABI_RECOMMEND_RELAXED_TIMING		(1u << 5)
#define HVABI_RECOMMEND_NO_AUTO_EOI		(1u << 9)
#define HVABI_RECOMMEND_CLUSTER_IPI		(1u << 10)
#define HVABI_RECOMMEND_EX_PROCESSOR_MASKS	(1u << 11)
#define HVABI_RECOMMEND_NESTED			(1u << 12)

/* Synthetic MSRs. */
#define HVABI_MSR_FIRST			0x40000000u
#define HVABI_MSR_GUEST_OS_ID		0x40000000u
#define HVABI_MSR_HYPERCALL		0x40000001u
#define HVABI_MSR_VP_INDEX		0x40000002u
#define HVABI_MSR_RESET			0x40000003u
#define HVABI_MSR_VP_RUNTIME		0x40000010u
#define HVABI_MSR_TIME_REF_COUNT	0x40000020u
#define HVABI_MSR_REFERENCE_TSC		0x40000021u
#define HVABI_MSR_TSC_FREQUENCY		0x40000022u
#define HVABI_MSR_APIC_FREQUENCY	0x40000023u
#define HVABI_MSR_EOI			0x40000070u
#define HVABI_MSR_ICR			0x40000071u
#define HVABI_MSR_TPR			0x40000072u
#define HVABI_MSR_VP_ASSIST_PAGE	0x40000073u
#define HVABI_MSR_SCONTROL		0x40000080u
#define HVABI_MSR_SVERSION		0x40000081u
#define HVABI_MSR_SIEFP			0x40000082u
#define HVABI_MSR_SIMP			0x40000083u
#define HVABI_MSR_EOM			0x40000084u
#define HVABI_MSR_SIRBP			0x40000085u
#define HVABI_MSR_SINT0			0x40000090u	/* + n, n < 16 */
#define HVABI_MSR_STIMER0_CONFIG	0x400000b0u	/* + 2 * n, n < 4 */
#define HVABI_MSR_STIMER0_COUNT		0x400000b1u	/* + 2 * n, n < 4 */
#define HVABI_MSR_GUEST_IDLE		0x400000f0u
#define HVABI_MSR_CRASH_P0		0x40000100u	/* + n, n < 5 */
#define HVABI_MSR_CRASH_CTL		0x40000105u
#define HVABI_MSR_REENLIGHTENMENT_CONTROL 0x40000106u
#define HVABI_MSR_TSC_EMULATION_CONTROL	0x40000107u
#define HVABI_MSR_TSC_EMULATION_STATUS	0x40000108u
#define HVABI_MSR_TSC_INVARIANT_CONTROL	0x40000118u

/*
 * GUEST_OS_ID, HYPERCALL, REFERENCE_TSC and the SynIC pages: bit 0 enable, bits 12-63 page number.
 */
#define HVABI_MSR_PAGE_ENABLE		1ull
#define HVABI_MSR_HYPERCALL_LOCKED	2ull

/* SCONTROL */
#define HVABI_SCONTROL_ENABLE		1ull

/* SINTn */
#define HVABI_SINTS			16u
#define HVABI_SINT_VECTOR_MASK		0xffull
#define HVABI_SINT_MASKED		(1ull << 16)
#define HVABI_SINT_AUTO_EOI		(1ull << 17)
#define HVABI_SINT_POLLING		(1ull << 18)
#define HVABI_SINT_AS_INTERCEPT		(1ull << 19)
#define HVABI_SINT_PROXY		(1ull << 20)

/* STIMERn_CONFIG */
#define HVABI_STIMERS			4u
#define HVABI_STIMER_ENABLE		(1ull << 0)
#define HVABI_STIMER_PERIODIC		(1ull << 1)
#define HVABI_STIMER_LAZY		(1ull << 2)
#define HVABI_STIMER_AUTO_ENABLE	(1ull << 3)
#define HVABI_STIMER_VECTOR_SHIFT	4	/* 8 bits */
#define HVABI_STIMER_DIRECT		(1ull << 12)
#define HVABI_STIMER_SINT_SHIFT		16	/* 4 bits */

/* CRASH_CTL */
#define HVABI_CRASH_NOTIFY		(1ull << 63)
#define HVABI_CRASH_NOTIFY_MSG		(1ull << 62)

/* The page behind MSR_REFERENCE_TSC: time = high64(TSC * tsc_scale) + tsc_offset, in 100 ns. */
struct hvabi_reference_tsc_page {
	uint32_t tsc_sequence;		/* 0: invalid, use the MSR */
	uint32_t reserved1;
	uint64_t tsc_scale;
	uint64_t tsc_offset;
};

HVABI_ASSERT_SIZE(struct hvabi_reference_tsc_page, 24);
HVABI_ASSERT_AT(struct hvabi_reference_tsc_page, tsc_sequence, 0);
HVABI_ASSERT_AT(struct hvabi_reference_tsc_page, reserved1, 4);
HVABI_ASSERT_AT(struct hvabi_reference_tsc_page, tsc_scale, 8);
HVABI_ASSERT_AT(struct hvabi_reference_tsc_page, tsc_offset, 16);

#endif
