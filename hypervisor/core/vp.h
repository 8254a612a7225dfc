/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Virtual processors of children: register state, suspension, state pages,
 * and the messages that tell the parent why one stopped.
 *
 * The core keeps the architectural state in a neutral form; svm/ loads it
 * into a VMCB at dispatch and stores it back at the end.  While a VP runs
 * (vp->running) nobody but that processor touches vp->state, so hypercalls on
 * its registers answer INVALID_VP_STATE; only the suspend registers can be
 * written at any time, and the running processor is kicked to see them.
 *
 * Lock: the partition's; who makes or removes one has the world exclusively.
 */
#ifndef CORE_VP_H
#define CORE_VP_H

#include <hvabi/cpuid.h>
#include <hvabi/message.h>
#include <hvabi/register.h>
#include <hvabi/vp.h>
#include "apic.h"
#include "partition.h"
#include "slots.h"
#include "stimer.h"
#include "types.h"
#include "vp_synic.h"

enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, GPRS };

/* Order of the register page, then LDTR and TR. */
enum segment { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEGMENTS };

struct table_register {
	u64 base;
	u16 limit;
};

/* Register names as the architecture has them; msr_* by their usual names. */
struct vp_state {
	u64 gpr[GPRS];
	u64 rip, rflags;
	u64 cr0, cr2, cr3, cr4, cr8, xcr0, efer;
	u64 dr[4], dr6, dr7;
	struct hvabi_x64_segment_register segment[SEGMENTS];
	struct table_register gdtr, idtr;
	u64 kernel_gs_base, star, lstar, cstar, sfmask;
	u64 sysenter_cs, sysenter_eip, sysenter_esp;
	u64 pat, tsc_aux, mtrr_def_type;
	u64 pending_interruption;	/* HVABI_PENDING_INTERRUPTION_* */
	bool interrupt_shadow;
};

#define VP_NO_IRET	(~0ull)		/* no RIP: not canonical */

enum vp_page { VP_PAGE_REGISTERS, VP_PAGE_MESSAGE, VP_PAGES };

/**
 * struct vp
 * @page: SPA of this structure; @vmcb, @xsave: one page each for svm/
 * @run_serial: tells svm/ whether its processor ran anything else meanwhile
 * @overlay: pages of the parent shared with it, 0: not mapped
 * @blocked: the last stay ended for want of something to do, or was not begun, and nothing has come since: a
 *	signal of it, where the parent dispatches
 * @signal_on, @signal_next: the queue of signals that it is in, or of messages of its intercepts where
 *	it is scheduled (sched.h)
 * @queued, @run_next: in the queue of those that can run (sched.h)
 * @root_signals: how often it was named in signals
 * @halted: stands behind a HLT, or a read of GUEST_IDLE (@idle): then RFLAGS.IF does not matter
 * @nmi_masked: between an NMI and its IRET; @iret_rip: where that IRET is, if it was announced
 * @apic: its local APIC; without LAPIC_ENABLED only apic.base means something
 * @stimer: its synthetic timers; @synic: its synthetic interrupt controller
 * @tsc_offset: its TSC is the clock of the partition and this (clock.h)
 * @deadline: TSC at which one of its timers expires (deadline.h); @deadline_prev, @deadline_next: list
 * @run_ticks, @dispatches, @hypercalls: time in DISPATCH_VP, its calls, calls of the child's
 * @cpuid_results: registered for it (cpuid_result.h), and how many
 * @msr_results: registered for it (msr_result.h), and how many
 * @direct: messages and event flags that wait for it (vp_direct.h)
 * @notify, @deliverable: SINTs of which the parent wants to hear when a message for them would be delivered, and
 *	those of which it has to hear now
 * @notify_nmi, @notify_interrupt: the parent wants to hear, once, when one would be taken; of an interrupt's priority
 *	(vector / 16) @notify_priority, 0: whatever that is
 * @assist_msr: the register VP_ASSIST_PAGE; @assist_promised: the page said "no EOI required" when it entered
 * @message: the message of the current intercept
 */
struct synic;

struct vp {
	struct partition *partition;
	u32 index;
	bool running;
	bool explicit_suspend;
	bool dispatch_suspend;
	bool intercept_suspend;
	bool blocked;
	struct synic *signal_on;
	struct vp *signal_next;
	bool queued;
	struct vp *run_next;
	u64 root_signals;
	bool halted;
	bool idle;
	bool nmi_masked;
	u64 iret_rip;
	struct apic apic;
	struct stimer stimer[HVABI_STIMERS];
	struct vp_synic synic;
	u64 tsc_offset;
	u64 deadline;
	struct vp *deadline_prev, *deadline_next;
	u64 run_ticks, dispatches, hypercalls;
	struct slots cpuid_results;
	u32 cpuid_result_count;
	struct slots msr_results;
	u32 msr_result_count;
	struct slots direct;
	u16 notify, deliverable;
	bool notify_nmi, notify_interrupt;
	u8 notify_priority;
	u64 assist_msr;
	bool assist_promised;
	struct cpu *cpu;		/* where it runs, or ran last */
	u64 page, vmcb, xsave;
	u64 overlay[VP_PAGES];
	struct vp_state state;
	struct hvabi_message message;
};
_Static_assert(sizeof(struct vp) <= 4096, "a VP is one page");

/* The VP, or NULL. */
struct vp *vp_find(struct partition *p, u32 index);

/*
 * Make VP @index of an active child, in architectural reset state and explicitly suspended.
 * INVALID_VP_INDEX if out of range or there already, or INSUFFICIENT_MEMORY.
 */
u16 vp_create(struct cpu *cpu, struct partition *p, u32 index);

/* What INIT does to the processor's registers; its APIC and floating point stay. */
void vp_init(struct vp *vp);

/* Start in real mode at page @vector: SIPI. */
void vp_start_at(struct vp *vp, u8 vector);

/* Remove a VP that no processor is inside; its pages go back to the pool. */
void vp_destroy(struct vp *vp);

/* True if the VP may not run: which event DISPATCH_VP answers. Where time stands, nobody does. */
static inline bool vp_suspended(const struct vp *vp)
{
	return vp->explicit_suspend || vp->dispatch_suspend || vp->partition->clock.frozen;
}

/* MAP/UNMAP_VP_STATE_PAGE. */
u16 vp_map_page(struct vp *vp, enum vp_page which, u64 pfn);
u16 vp_unmap_page(struct vp *vp, enum vp_page which);

/*
 * Is @name one that can be set while the VP runs, by whoever does not run it?  None of these is in the register
 * page, which whoever runs it may be writing to meanwhile.
 */
bool vp_register_is_aside(struct vp *vp, u32 name);

/*
 * One register.  INVALID_PARAMETER for an unknown name,
 * INVALID_REGISTER_VALUE for a bad value, INVALID_VP_STATE while running.
 * A change of suspension that lets a blocked VP run is signalled from @cpu.
 */
u16 vp_get_register(struct vp *vp, u32 name, union hvabi_register_value *value);
u16 vp_set_register(struct cpu *cpu, struct vp *vp, u32 name, const union hvabi_register_value *value);

/* XCR0, also for the VP itself while it runs. */
u16 vp_set_xfem(struct vp *vp, u64 value);

/*
 * The register page: take over what the parent wrote (classes marked dirty),
 * write the whole state out, or mark it stale because the VP is about to run.
 */
void vp_load_register_page(struct vp *vp);
void vp_store_register_page(struct vp *vp);
void vp_invalidate_register_page(struct vp *vp);
bool vp_register_page_valid(const struct vp *vp);

/* Room of the VP's XSAVE image. */
void *vp_xsave_area(const struct vp *vp);

#endif
