/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The virtual machine control block: layout and bits (AMD APM vol. 2,
 * appendix B and C).
 */
#ifndef SVM_VMCB_H
#define SVM_VMCB_H

#include "../core/types.h"

/* intercept[0] */
#define INTERCEPT_CR8_WRITE	BIT(24)
/* intercept[3] */
#define INTERCEPT_INTR		BIT(0)
#define INTERCEPT_NMI		BIT(1)
#define INTERCEPT_SMI		BIT(2)
#define INTERCEPT_INIT		BIT(3)
#define INTERCEPT_VINTR		BIT(4)
#define INTERCEPT_RDPMC		BIT(15)
#define INTERCEPT_CPUID		BIT(18)
#define INTERCEPT_RSM		BIT(19)
#define INTERCEPT_INVD		BIT(22)
#define INTERCEPT_IRET		BIT(20)
#define INTERCEPT_HLT		BIT(24)
#define INTERCEPT_INVLPGA	BIT(26)
#define INTERCEPT_IO		BIT(27)
#define INTERCEPT_MSR		BIT(28)
#define INTERCEPT_TASK_SWITCH	BIT(29)
#define INTERCEPT_SHUTDOWN	BIT(31)
/* intercept[4] */
#define INTERCEPT_VMRUN		BIT(0)
#define INTERCEPT_VMMCALL	BIT(1)
#define INTERCEPT_VMLOAD	BIT(2)
#define INTERCEPT_VMSAVE	BIT(3)
#define INTERCEPT_STGI		BIT(4)
#define INTERCEPT_CLGI		BIT(5)
#define INTERCEPT_SKINIT	BIT(6)
#define INTERCEPT_WBINVD	BIT(9)
#define INTERCEPT_MONITOR	BIT(10)
#define INTERCEPT_MWAIT		BIT(11)
#define INTERCEPT_XSETBV	BIT(13)

#define INTERCEPT_SVM_INSNS	(INTERCEPT_VMRUN | INTERCEPT_VMLOAD | INTERCEPT_VMSAVE | \
				 INTERCEPT_STGI | INTERCEPT_CLGI | INTERCEPT_SKINIT)

#define V_IRQ			BIT(8)
#define V_IGNORE_TPR		BIT(20)
#define V_INTR_MASKING		BIT(24)
#define V_INTR_VECTOR(vector)	((u64)(vector) << 32)
#define TLB_FLUSH_ALL		1u

/*
 * exit_code.  All have 32 bits but INVALID, which is -1: of 64 bits by the manual (APM 15.5), of 32 by QEMU.
 * Hence vmcb_exit_code().
 */
#define EXIT_CR8_WRITE		0x18u
#define EXIT_EXCEPTION		0x40u	/* + vector, 32 of them */
#define EXIT_INTR		0x60u
#define EXIT_NMI		0x61u
#define EXIT_SMI		0x62u
#define EXIT_INIT		0x63u
#define EXIT_VINTR		0x64u
#define EXIT_RDPMC		0x6fu
#define EXIT_CPUID		0x72u
#define EXIT_RSM		0x73u
#define EXIT_IRET		0x74u
#define EXIT_INVD		0x76u
#define EXIT_HLT		0x78u
#define EXIT_INVLPGA		0x7au
#define EXIT_IO			0x7bu
#define EXIT_MSR		0x7cu
#define EXIT_TASK_SWITCH	0x7du
#define EXIT_SHUTDOWN		0x7fu
#define EXIT_VMRUN		0x80u
#define EXIT_VMMCALL		0x81u
#define EXIT_VMLOAD		0x82u
#define EXIT_SKINIT		0x86u
#define EXIT_WBINVD		0x89u
#define EXIT_MONITOR		0x8au
#define EXIT_MWAIT		0x8bu
#define EXIT_MWAIT_ARMED	0x8cu
#define EXIT_XSETBV		0x8du
#define EXIT_NPF		0x400u
#define EXIT_INVALID		UINT32_MAX

/* exit_info1 of EXIT_IO */
#define IO_IN			BIT(0)
#define IO_STRING		BIT(2)
#define IO_REP			BIT(3)
#define IO_BYTES(info)		((u8)((info) >> 4 & 7))
#define IO_PORT(info)		((u16)((info) >> 16))

/* exit_info1 of EXIT_NPF: page fault error code, and which walk it was */
#define NPF_PRESENT		BIT(0)
#define NPF_WRITE		BIT(1)
#define NPF_FETCH		BIT(4)
#define NPF_IN_GUEST_WALK	BIT(33)

/* event_inject, exit_int_info */
#define EVENT_VALID		BIT(31)
#define EVENT_HAS_ERROR		BIT(11)
#define EVENT_TYPE_INTR		(0ull << 8)
#define EVENT_TYPE_NMI		(2ull << 8)
#define EVENT_TYPE_EXCEPTION	(3ull << 8)
#define EVENT_TYPE_SOFT		(4ull << 8)
#define EVENT_TYPE_MASK		(7ull << 8)

struct vmcb_segment {
	u16 selector;
	u16 attributes;		/* bits 0-7 as in a descriptor, 8 AVL, 9 L, 10 DB, 11 G */
	u32 limit;
	u64 base;
};

struct vmcb {
	u32 intercept[5];	/* CRs, DRs, exceptions, two words of instructions and events */
	u8 reserved0[0x40 - 0x14];
	u64 iopm, msrpm;
	u64 tsc_offset;
	u32 asid;
	u8 tlb_control;
	u8 reserved1[3];
	u64 v_intr;
	u64 interrupt_shadow;
	u64 exit_code, exit_info1, exit_info2, exit_int_info;
	u64 np_enable;
	u8 reserved2[0xa8 - 0x98];
	u64 event_inject;
	u64 n_cr3;
	u64 lbr;
	u32 clean, reserved3;
	u64 next_rip;
	u8 reserved4[0x400 - 0xd0];

	struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	u8 reserved5[0x4cb - 0x4a0];
	u8 cpl;
	u32 reserved6;
	u64 efer;
	u8 reserved7[0x548 - 0x4d8];
	u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
	u8 reserved8[0x5d8 - 0x580];
	u64 rsp, s_cet, ssp, isst_address, rax;
	u64 star, lstar, cstar, sfmask, kernel_gs_base;
	u64 sysenter_cs, sysenter_esp, sysenter_eip, cr2;
	u8 reserved9[0x668 - 0x648];
	u64 g_pat, debug_ctl;
	u8 reserved10[0x1000 - 0x678];
};

#define VMCB_AT(field, offset) _Static_assert(offsetof(struct vmcb, field) == (offset), #field)
VMCB_AT(iopm, 0x40);
VMCB_AT(tsc_offset, 0x50);
VMCB_AT(asid, 0x58);
VMCB_AT(v_intr, 0x60);
VMCB_AT(exit_code, 0x70);
VMCB_AT(np_enable, 0x90);
VMCB_AT(event_inject, 0xa8);
VMCB_AT(n_cr3, 0xb0);
VMCB_AT(next_rip, 0xc8);
VMCB_AT(es, 0x400);
VMCB_AT(cpl, 0x4cb);
VMCB_AT(efer, 0x4d0);
VMCB_AT(cr4, 0x548);
VMCB_AT(rip, 0x578);
VMCB_AT(rsp, 0x5d8);
VMCB_AT(rax, 0x5f8);
VMCB_AT(star, 0x600);
VMCB_AT(cr2, 0x640);
VMCB_AT(g_pat, 0x668);
_Static_assert(sizeof(struct vmcb) == 4096, "one page");

static inline u32 vmcb_exit_code(const struct vmcb *v)
{
	return (u32)v->exit_code;
}

#endif
