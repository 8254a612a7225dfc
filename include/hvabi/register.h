/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Names and values of virtual processor registers, as GET/SET_VP_REGISTERS use them.
 *
 * A value is 16 bytes; scalars use the low ones, the rest is 0. Registers of a call are processed
 * in order, and a sequence may be inconsistent half way: consistency counts when the processor is
 * dispatched.
 */
#ifndef HVABI_REGISTER_H
#define HVABI_REGISTER_H

#include "types.h"

/* Suspend and scheduling. */
#define HVABI_REG_EXPLICIT_SUSPEND		0x00000000u
#define HVABI_REG_INTERCEPT_SUSPEND		0x00000001u
#define HVABI_REG_INSTRUCTION_EMULATION_HINTS	0x00000002u
#define HVABI_REG_DISPATCH_SUSPEND		0x00000003u
#define HVABI_REG_INTERNAL_ACTIVITY_STATE	0x00000004u

/* Version and features: images of the CPUID leaves. */
#define HVABI_REG_HYPERVISOR_VERSION		0x00000100u
#define HVABI_REG_PRIVILEGES_AND_FEATURES_INFO	0x00000200u
#define HVABI_REG_FEATURES_INFO			0x00000201u
#define HVABI_REG_IMPLEMENTATION_LIMITS_INFO	0x00000202u
#define HVABI_REG_PROCESSOR_CLOCK_FREQUENCY	0x00000240u
#define HVABI_REG_INTERRUPT_CLOCK_FREQUENCY	0x00000241u
#define HVABI_REG_GUEST_IDLE			0x00000250u

/* Pending events. */
#define HVABI_REG_PENDING_INTERRUPTION		0x00010002u
#define HVABI_REG_INTERRUPT_STATE		0x00010003u
#define HVABI_REG_PENDING_EVENT0		0x00010004u
#define HVABI_REG_PENDING_EVENT1		0x00010005u
#define HVABI_REG_DELIVERABILITY_NOTIFICATIONS	0x00010006u
/* Of its value (TLFS 7.9): NMI, interrupt, that one's priority (vector / 16, 0: any), SINTs. */
#define HVABI_DELIVERABILITY_NMI		(1ull << 0)
#define HVABI_DELIVERABILITY_INTERRUPT		(1ull << 1)
#define HVABI_DELIVERABILITY_PRIORITY_SHIFT	2
#define HVABI_DELIVERABILITY_PRIORITY_MASK	(0xfull << HVABI_DELIVERABILITY_PRIORITY_SHIFT)
#define HVABI_DELIVERABILITY_SINTS_SHIFT	48
#define HVABI_REG_PENDING_DEBUG_EXCEPTION	0x00010007u

/* General. */
#define HVABI_REG_RAX				0x00020000u
#define HVABI_REG_RCX				0x00020001u
#define HVABI_REG_RDX				0x00020002u
#define HVABI_REG_RBX				0x00020003u
#define HVABI_REG_RSP				0x00020004u
#define HVABI_REG_RBP				0x00020005u
#define HVABI_REG_RSI				0x00020006u
#define HVABI_REG_RDI				0x00020007u
#define HVABI_REG_R8				0x00020008u
#define HVABI_REG_R9				0x00020009u
#define HVABI_REG_R10				0x0002000au
#define HVABI_REG_R11				0x0002000bu
#define HVABI_REG_R12				0x0002000cu
#define HVABI_REG_R13				0x0002000du
#define HVABI_REG_R14				0x0002000eu
#define HVABI_REG_R15				0x0002000fu
#define HVABI_REG_RIP				0x00020010u
#define HVABI_REG_RFLAGS			0x00020011u

/* Floating point and vector. */
#define HVABI_REG_XMM0				0x00030000u	/* + n, n < 16 */
#define HVABI_REG_FP_MMX0			0x00030010u	/* + n, n < 8 */
#define HVABI_REG_FP_CONTROL_STATUS		0x00030018u
#define HVABI_REG_XMM_CONTROL_STATUS		0x00030019u

/* Control. The intermediate names are the same registers without consistency checks. */
#define HVABI_REG_CR0				0x00040000u
#define HVABI_REG_CR2				0x00040001u
#define HVABI_REG_CR3				0x00040002u
#define HVABI_REG_CR4				0x00040003u
#define HVABI_REG_CR8				0x00040004u
#define HVABI_REG_XFEM				0x00040005u	/* XCR0 */
#define HVABI_REG_INTERMEDIATE_CR0		0x00041000u
#define HVABI_REG_INTERMEDIATE_CR3		0x00041002u
#define HVABI_REG_INTERMEDIATE_CR4		0x00041003u
#define HVABI_REG_INTERMEDIATE_CR8		0x00041004u

/* Debug. */
#define HVABI_REG_DR0				0x00050000u
#define HVABI_REG_DR1				0x00050001u
#define HVABI_REG_DR2				0x00050002u
#define HVABI_REG_DR3				0x00050003u
#define HVABI_REG_DR6				0x00050004u
#define HVABI_REG_DR7				0x00050005u

/* Segments and tables. */
#define HVABI_REG_ES				0x00060000u
#define HVABI_REG_CS				0x00060001u
#define HVABI_REG_SS				0x00060002u
#define HVABI_REG_DS				0x00060003u
#define HVABI_REG_FS				0x00060004u
#define HVABI_REG_GS				0x00060005u
#define HVABI_REG_LDTR				0x00060006u
#define HVABI_REG_TR				0x00060007u
#define HVABI_REG_IDTR				0x00070000u
#define HVABI_REG_GDTR				0x00070001u

/* Model specific. */
#define HVABI_REG_TSC				0x00080000u
#define HVABI_REG_EFER				0x00080001u
#define HVABI_REG_KERNEL_GS_BASE		0x00080002u
#define HVABI_REG_APIC_BASE			0x00080003u
#define HVABI_REG_PAT				0x00080004u
#define HVABI_REG_SYSENTER_CS			0x00080005u
#define HVABI_REG_SYSENTER_EIP			0x00080006u
#define HVABI_REG_SYSENTER_ESP			0x00080007u
#define HVABI_REG_STAR				0x00080008u
#define HVABI_REG_LSTAR				0x00080009u
#define HVABI_REG_CSTAR				0x0008000au
#define HVABI_REG_SFMASK			0x0008000bu
#define HVABI_REG_INITIAL_APIC_ID		0x0008000cu
#define HVABI_REG_MTRR_CAP			0x0008000du
#define HVABI_REG_MTRR_DEF_TYPE			0x0008000eu
#define HVABI_REG_MTRR_PHYS_BASE0		0x00080010u	/* + n */
#define HVABI_REG_MTRR_PHYS_MASK0		0x00080040u	/* + n */
#define HVABI_REG_MTRR_FIX64K_00000		0x00080070u
#define HVABI_REG_MTRR_FIX16K_80000		0x00080071u
#define HVABI_REG_MTRR_FIX16K_A0000		0x00080072u
#define HVABI_REG_MTRR_FIX4K_C0000		0x00080073u	/* + n, n < 8 */
#define HVABI_REG_TSC_AUX			0x0008007bu
#define HVABI_REG_BNDCFGS			0x0008007cu
#define HVABI_REG_DEBUG_CTL			0x0008007du
#define HVABI_REG_SPEC_CTRL			0x00080084u
#define HVABI_REG_PRED_CMD			0x00080085u
#define HVABI_REG_U_XSS				0x0008008bu
#define HVABI_REG_TSC_ADJUST			0x00080096u
#define HVABI_REG_MISC_ENABLE			0x000800a0u
#define HVABI_REG_FEATURE_CONTROL		0x000800a1u
#define HVABI_REG_APIC_ID			0x00084802u
#define HVABI_REG_APIC_VERSION			0x00084803u

/* Synthetic. */
#define HVABI_REG_VP_RUNTIME			0x00090000u
#define HVABI_REG_HYPERCALL			0x00090001u
#define HVABI_REG_GUEST_OS_ID			0x00090002u
#define HVABI_REG_VP_INDEX			0x00090003u
#define HVABI_REG_TIME_REF_COUNT		0x00090004u
#define HVABI_REG_EOI				0x00090010u
#define HVABI_REG_ICR				0x00090011u
#define HVABI_REG_TPR				0x00090012u
#define HVABI_REG_VP_ASSIST_PAGE		0x00090013u
#define HVABI_REG_VP_ROOT_SIGNAL_COUNT		0x00090014u
#define HVABI_REG_REFERENCE_TSC			0x00090017u
#define HVABI_REG_REG_PAGE			0x0009001cu
#define HVABI_REG_SINT0				0x000a0000u	/* + n, n < 16 */
#define HVABI_REG_SCONTROL			0x000a0010u
#define HVABI_REG_SVERSION			0x000a0011u
#define HVABI_REG_SIEFP				0x000a0012u
#define HVABI_REG_SIMP				0x000a0013u
#define HVABI_REG_EOM				0x000a0014u
#define HVABI_REG_SIRBP				0x000a0015u
#define HVABI_REG_STIMER0_CONFIG		0x000b0000u	/* + 2 * n */
#define HVABI_REG_STIMER0_COUNT			0x000b0001u	/* + 2 * n */

/* hvabi_x64_segment_register::attributes: the access rights of VMX without its "unusable" bit. */
#define HVABI_SEGMENT_TYPE_MASK			0x000fu
#define HVABI_SEGMENT_NON_SYSTEM		0x0010u
#define HVABI_SEGMENT_DPL_SHIFT			5
#define HVABI_SEGMENT_DPL_MASK			0x0060u
#define HVABI_SEGMENT_PRESENT			0x0080u
#define HVABI_SEGMENT_AVAILABLE			0x1000u
#define HVABI_SEGMENT_LONG			0x2000u
#define HVABI_SEGMENT_DEFAULT_BIG		0x4000u
#define HVABI_SEGMENT_GRANULARITY		0x8000u

struct hvabi_x64_segment_register {
	uint64_t base;
	uint32_t limit;			/* bytes */
	uint16_t selector;
	uint16_t attributes;
};

HVABI_ASSERT_SIZE(struct hvabi_x64_segment_register, 16);
HVABI_ASSERT_AT(struct hvabi_x64_segment_register, base, 0);
HVABI_ASSERT_AT(struct hvabi_x64_segment_register, limit, 8);
HVABI_ASSERT_AT(struct hvabi_x64_segment_register, selector, 12);
HVABI_ASSERT_AT(struct hvabi_x64_segment_register, attributes, 14);

/* IDTR, GDTR */
struct hvabi_x64_table_register {
	uint16_t pad[3];
	uint16_t limit;
	uint64_t base;
};

HVABI_ASSERT_SIZE(struct hvabi_x64_table_register, 16);
HVABI_ASSERT_AT(struct hvabi_x64_table_register, pad, 0);
HVABI_ASSERT_AT(struct hvabi_x64_table_register, limit, 6);
HVABI_ASSERT_AT(struct hvabi_x64_table_register, base, 8);

struct hvabi_x64_fp_control_status {
	uint16_t fp_control;
	uint16_t fp_status;
	uint8_t fp_tag;
	uint8_t reserved;
	uint16_t last_fp_op;
	uint64_t last_fp_rip;
};

HVABI_ASSERT_SIZE(struct hvabi_x64_fp_control_status, 16);
HVABI_ASSERT_AT(struct hvabi_x64_fp_control_status, fp_control, 0);
HVABI_ASSERT_AT(struct hvabi_x64_fp_control_status, fp_status, 2);
HVABI_ASSERT_AT(struct hvabi_x64_fp_control_status, fp_tag, 4);
HVABI_ASSERT_AT(struct hvabi_x64_fp_control_status, reserved, 5);
HVABI_ASSERT_AT(struct hvabi_x64_fp_control_status, last_fp_op, 6);
HVABI_ASSERT_AT(struct hvabi_x64_fp_control_status, last_fp_rip, 8);

struct hvabi_x64_xmm_control_status {
	uint64_t last_fp_rdp;
	uint32_t xmm_status_control;	/* MXCSR */
	uint32_t xmm_status_control_mask;
};

HVABI_ASSERT_SIZE(struct hvabi_x64_xmm_control_status, 16);
HVABI_ASSERT_AT(struct hvabi_x64_xmm_control_status, last_fp_rdp, 0);
HVABI_ASSERT_AT(struct hvabi_x64_xmm_control_status, xmm_status_control, 8);
HVABI_ASSERT_AT(struct hvabi_x64_xmm_control_status, xmm_status_control_mask, 12);

/* PENDING_INTERRUPTION */
#define HVABI_PENDING_INTERRUPTION_PENDING		(1ull << 0)
/* 3 bits: 0 external, 2 NMI, 3 exception */
#define HVABI_PENDING_INTERRUPTION_TYPE_SHIFT		1
#define HVABI_PENDING_INTERRUPTION_DELIVER_ERROR	(1ull << 4)
#define HVABI_PENDING_INTERRUPTION_LENGTH_SHIFT		5	/* 4 bits */
#define HVABI_PENDING_INTERRUPTION_VECTOR_SHIFT		16	/* 16 bits */
#define HVABI_PENDING_INTERRUPTION_ERROR_SHIFT		32	/* 32 bits */

/* INTERRUPT_STATE */
#define HVABI_INTERRUPT_STATE_SHADOW			(1ull << 0)
#define HVABI_INTERRUPT_STATE_NMI_MASKED		(1ull << 1)

/* INTERNAL_ACTIVITY_STATE */
#define HVABI_ACTIVITY_STARTUP_SUSPEND			(1ull << 0)
#define HVABI_ACTIVITY_HALT_SUSPEND			(1ull << 1)
#define HVABI_ACTIVITY_IDLE_SUSPEND			(1ull << 2)

union hvabi_register_value {
	struct hvabi_u128 reg128;
	uint64_t reg64;
	uint32_t reg32;
	uint16_t reg16;
	uint8_t reg8;
	struct hvabi_x64_segment_register segment;
	struct hvabi_x64_table_register table;
	struct hvabi_x64_fp_control_status fp_control_status;
	struct hvabi_x64_xmm_control_status xmm_control_status;
};

HVABI_ASSERT_SIZE(union hvabi_register_value, 16);

/* Element of SET_VP_REGISTERS. */
struct hvabi_register_assoc {
	uint32_t name;
	uint32_t reserved1;
	uint64_t reserved2;
	union hvabi_register_value value;
};

HVABI_ASSERT_SIZE(struct hvabi_register_assoc, 32);
HVABI_ASSERT_AT(struct hvabi_register_assoc, name, 0);
HVABI_ASSERT_AT(struct hvabi_register_assoc, reserved1, 4);
HVABI_ASSERT_AT(struct hvabi_register_assoc, reserved2, 8);
HVABI_ASSERT_AT(struct hvabi_register_assoc, value, 16);

#endif
