// SPDX-License-Identifier: GPL-2.0-only
/*
 * A child's stay on a processor: enter, handle what it exits for, leave with
 * a message when the parent has to know.
 *
 * The world and the lock of the partition are held but while the child runs,
 * and while it exits for what concerns nobody else.  cpu->guest is set before they
 * are given up and cleared before they are taken, which is what shoot-downs rely
 * on (core/shootdown.h).  Meanwhile the partition may have been finalized: nothing
 * of it is touched before come_back() has found it.
 */
#include <hvabi/partition.h>
#include <hvabi/status.h>
#include "../core/clock.h"
#include "../core/cpuid_result.h"
#include "../core/deadline.h"
#include "../core/fault_time.h"
#include "../core/guest_call.h"
#include "../core/interrupt.h"
#include "../core/lock.h"
#include "../core/message.h"
#include "../core/mov.h"
#include "../core/platform.h"
#include "../core/port.h"
#include "../core/sched.h"
#include "../core/synthetic.h"
#include "../core/translate.h"
#include "../core/vp_assist.h"
#include "cpu.h"
#include "event.h"

enum step {
	STEP_CONTINUE,		/* enter again */
	STEP_INTERCEPT,		/* a message was written */
	STEP_LEAVE,		/* the parent is wanted */
	STEP_BLOCK,		/* nothing to do for the VP */
};

/**
 * struct stay - one DISPATCH_VP, or turn of the scheduler
 * @offered: vector of the interrupt that is put before the processor, or APIC_NO_VECTOR
 * @moved: the processor was another one before, so nothing in this one's TLB counts
 * @code, @code_bytes: the instruction at RIP, if it was fetched already
 * @switched: floating point and debug registers are the child's
 * @parent_xcr0, @parent_dr, @parent_tsc_aux: the parent's, meanwhile
 */
struct stay {
	struct svm_cpu *cpu;
	struct vp *vp;
	struct partition *partition;
	u64 id;
	int offered;
	u64 injected;			/* pending_interruption at entry */
	u8 code[16];
	u32 code_bytes;
	bool moved, switched;
	u64 parent_xcr0;
	u64 parent_dr[4];
	u64 parent_tsc_aux;
};

/* ---- state that VMRUN does not switch ---- */

/* XSETBV is slow, serialising, and the same value is the rule. */
static void change_xcr0(u64 from, u64 to)
{
	if (from != to)
		xsetbv(to);
}

static void registers_in(struct stay *stay)
{
	const struct vp_state *s = &stay->vp->state;

	if (stay->switched)
		return;
	READ_DR(0, stay->parent_dr[0]);
	READ_DR(1, stay->parent_dr[1]);
	READ_DR(2, stay->parent_dr[2]);
	READ_DR(3, stay->parent_dr[3]);
	WRITE_DR(0, s->dr[0]);
	WRITE_DR(1, s->dr[1]);
	WRITE_DR(2, s->dr[2]);
	WRITE_DR(3, s->dr[3]);
	if (svm_has_rdtscp) {
		stay->parent_tsc_aux = rdmsr(MSR_TSC_AUX);
		wrmsr(MSR_TSC_AUX, s->tsc_aux);
	}
	stay->parent_xcr0 = xgetbv();
	xsave(stay->cpu->fpu, stay->parent_xcr0);
	change_xcr0(stay->parent_xcr0, platform_info.xcr0_mask);
	xrstor(vp_xsave_area(stay->vp), platform_info.xcr0_mask);
	change_xcr0(platform_info.xcr0_mask, s->xcr0);
	stay->switched = true;
}

/* Put the parent's registers back; keep the child's unless it is gone. */
static void registers_out(struct stay *stay, bool keep)
{
	struct vp_state *s = &stay->vp->state;
	u64 xcr0;

	if (!stay->switched)
		return;
	stay->switched = false;
	/* QEMU's TCG ignores the XSETBV intercept: the child may have changed it unseen. */
	xcr0 = xgetbv();
	if (keep)
		s->xcr0 = xcr0;
	change_xcr0(xcr0, platform_info.xcr0_mask);
	if (keep) {
		xsave(vp_xsave_area(stay->vp), platform_info.xcr0_mask);
		READ_DR(0, s->dr[0]);
		READ_DR(1, s->dr[1]);
		READ_DR(2, s->dr[2]);
		READ_DR(3, s->dr[3]);
	}
	change_xcr0(platform_info.xcr0_mask, stay->parent_xcr0);
	xrstor(stay->cpu->fpu, stay->parent_xcr0);
	if (svm_has_rdtscp)
		wrmsr(MSR_TSC_AUX, stay->parent_tsc_aux);
	WRITE_DR(0, stay->parent_dr[0]);
	WRITE_DR(1, stay->parent_dr[1]);
	WRITE_DR(2, stay->parent_dr[2]);
	WRITE_DR(3, stay->parent_dr[3]);
}

/* ---- VP state <-> VMCB ---- */

static struct vmcb_segment segment_to_vmcb(const struct hvabi_x64_segment_register *s)
{
	return (struct vmcb_segment){
		.selector = s->selector, .limit = s->limit, .base = s->base,
		.attributes = (u16)((s->attributes & 0xff) | (s->attributes >> 4 & 0xf00)),
	};
}

static struct hvabi_x64_segment_register segment_from_vmcb(const struct vmcb_segment *s)
{
	return (struct hvabi_x64_segment_register){
		.selector = s->selector, .limit = s->limit, .base = s->base,
		.attributes = (u16)((s->attributes & 0xff) | (s->attributes & 0xf00) << 4),
	};
}

static struct vmcb_segment *vmcb_segments(struct vmcb *v, enum segment n)
{
	struct vmcb_segment *const map[SEGMENTS] = {
		[SEG_ES] = &v->es, [SEG_CS] = &v->cs, [SEG_SS] = &v->ss, [SEG_DS] = &v->ds,
		[SEG_FS] = &v->fs, [SEG_GS] = &v->gs, [SEG_LDTR] = &v->ldtr, [SEG_TR] = &v->tr,
	};

	return map[n];
}

static void load_controls(struct vmcb *v, const struct vp *vp)
{
	v->intercept[0] = vp_watches_cr8(vp) ? (u32)INTERCEPT_CR8_WRITE : 0;
	v->intercept[2] = vp->partition->exceptions;
	v->intercept[3] = (u32)(INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_SMI | INTERCEPT_INIT |
				INTERCEPT_RDPMC | INTERCEPT_CPUID | INTERCEPT_RSM |
				INTERCEPT_INVD | INTERCEPT_HLT | INTERCEPT_INVLPGA |
				INTERCEPT_IO | INTERCEPT_MSR | INTERCEPT_TASK_SWITCH |
				INTERCEPT_SHUTDOWN);
	v->intercept[4] = (u32)(INTERCEPT_SVM_INSNS | INTERCEPT_VMMCALL | INTERCEPT_WBINVD |
				INTERCEPT_MONITOR | INTERCEPT_MWAIT | INTERCEPT_XSETBV);
	if (vp->nmi_masked)
		v->intercept[3] |= (u32)INTERCEPT_IRET;
	if (vp_watches_window(vp))
		v->intercept[3] |= (u32)INTERCEPT_VINTR;
	v->iopm = io_map_child();
	v->msrpm = msr_map_child();
	v->asid = ASID_CHILD;
	v->np_enable = 1;
	v->n_cr3 = vp->partition->npt.root;
	v->clean = 0;
}

/*
 * An interrupt is put before the processor as a virtual one: it takes it when RFLAGS.IF and the
 * interrupt shadow allow, and clears V_IRQ.  What may raise the priority meanwhile exits, so the
 * processor need not compare.
 *
 * Not as an injected event: after one of type "interrupt" QEMU (7.2, 10.0) may deliver it once
 * more, whatever the guest's flags say then (docs/emulation.md).
 */
static u64 virtual_interrupt(const struct vp *vp, int vector)
{
	/* One that is never taken: the processor leaves where it would be. */
	if (vector == APIC_NO_VECTOR)
		return vp_watches_window(vp) ? V_IRQ | V_IGNORE_TPR : 0;
	return V_IRQ | V_IGNORE_TPR | V_INTR_VECTOR(vector);
}

/*
 * Is the event whose delivery was cut short the virtual interrupt, and not one that was injected?  QEMU
 * calls it an exception, and says so by V_IRQ alone where the vector is below 32: it clears that after the
 * delivery.  An exception with the same vector, taken for it, comes again with its instruction.
 */
static bool offer_cut_short(const struct stay *stay, const struct vmcb *v)
{
	u64 event = stay->vp->state.pending_interruption;
	u8 vector = (u8)stay->offered;
	bool stands = v->v_intr & V_IRQ;

	if (!event || event_vector(event) != vector)
		return false;
	if (stands && stay->injected && event_vector(stay->injected) == vector)
		return false;
	return stands || event_is_interrupt(event, vector);
}

/* Was it taken?  One whose delivery was cut short was not: it is offered again. */
static void virtual_interrupt_out(struct stay *stay, const struct vmcb *v)
{
	int offered = stay->offered;

	if (offered == APIC_NO_VECTOR)
		return;
	if (offer_cut_short(stay, v)) {
		stay->vp->state.pending_interruption = 0;
		vp_offer_end(stay->vp, (u8)offered, false);
	} else {
		vp_offer_end(stay->vp, (u8)offered, !(v->v_intr & V_IRQ));
	}
}

static void load_state(struct vmcb *v, const struct vp *vp, int offered)
{
	const struct vp_state *s = &vp->state;

	for (u32 i = 0; i < SEGMENTS; i++)
		*vmcb_segments(v, i) = segment_to_vmcb(&s->segment[i]);
	v->cpl = (u8)((s->segment[SEG_SS].attributes & HVABI_SEGMENT_DPL_MASK) >>
		      HVABI_SEGMENT_DPL_SHIFT);
	v->gdtr = (struct vmcb_segment){ .base = s->gdtr.base, .limit = s->gdtr.limit };
	v->idtr = (struct vmcb_segment){ .base = s->idtr.base, .limit = s->idtr.limit };
	v->rax = s->gpr[RAX];
	v->rsp = s->gpr[RSP];
	v->rip = s->rip;
	v->rflags = s->rflags | 2;
	v->cr0 = s->cr0;
	v->cr2 = s->cr2;
	v->cr3 = s->cr3;
	v->cr4 = s->cr4;
	v->efer = s->efer | EFER_SVME;
	v->dr6 = s->dr6;
	v->dr7 = s->dr7;
	v->star = s->star;
	v->lstar = s->lstar;
	v->cstar = s->cstar;
	v->sfmask = s->sfmask;
	v->kernel_gs_base = s->kernel_gs_base;
	v->sysenter_cs = s->sysenter_cs;
	v->sysenter_esp = s->sysenter_esp;
	v->sysenter_eip = s->sysenter_eip;
	v->g_pat = s->pat;
	v->tsc_offset = vp_rdtsc_offset(vp);
	v->v_intr = V_INTR_MASKING | (s->cr8 & 0xf) | virtual_interrupt(vp, offered);
	v->interrupt_shadow = s->interrupt_shadow;
	v->event_inject = event_from_hv(s->pending_interruption);
}

static void store_state(const struct vmcb *v, struct vp_state *s)
{
	for (u32 i = 0; i < SEGMENTS; i++)
		s->segment[i] = segment_from_vmcb(vmcb_segments((struct vmcb *)(uintptr_t)v, i));
	s->gdtr = (struct table_register){ v->gdtr.base, (u16)v->gdtr.limit };
	s->idtr = (struct table_register){ v->idtr.base, (u16)v->idtr.limit };
	s->gpr[RAX] = v->rax;
	s->gpr[RSP] = v->rsp;
	s->rip = v->rip;
	s->rflags = v->rflags;
	s->cr0 = v->cr0;
	s->cr2 = v->cr2;
	s->cr3 = v->cr3;
	s->cr4 = v->cr4;
	s->efer = v->efer & ~EFER_SVME;
	s->dr6 = v->dr6;
	s->dr7 = v->dr7;
	s->star = v->star;
	s->lstar = v->lstar;
	s->cstar = v->cstar;
	s->sfmask = v->sfmask;
	s->kernel_gs_base = v->kernel_gs_base;
	s->sysenter_cs = v->sysenter_cs;
	s->sysenter_esp = v->sysenter_esp;
	s->sysenter_eip = v->sysenter_eip;
	s->pat = v->g_pat;
	s->cr8 = v->v_intr & 0xf;
	s->interrupt_shadow = v->interrupt_shadow & 1;
	s->pending_interruption = event_to_hv(v->exit_int_info);
}

/* ---- exits ---- */

static struct vmcb *vmcb_of(const struct stay *stay)
{
	return platform_phys(stay->vp->vmcb);
}

static void count_exit(struct stay *stay, enum hvabi_debug_counter which)
{
	count(&stay->cpu->core, stay->partition, which, 1);
}

static void inject(struct stay *stay, u32 vector, bool has_error)
{
	stay->vp->state.pending_interruption = event_exception(vector, has_error, 0);
}

/* Prefixes of an instruction that begins with 0x0f, or is HLT; @available: its opcode is not there. */
static u32 count_prefixes(const u8 *bytes, u32 available)
{
	u32 prefixes = 0;

	while (prefixes < available && bytes[prefixes] != 0x0f && bytes[prefixes] != 0xf4)
		prefixes++;
	return prefixes;
}

/* Length of the instruction at RIP, whose opcode without prefixes has @opcode bytes. */
static u8 instruction_length(struct stay *stay, u8 opcode)
{
	const struct vmcb *v = vmcb_of(stay);
	u32 available = stay->code_bytes, prefixes;

	if (svm_has_nrips && v->next_rip > v->rip)
		return (u8)(v->next_rip - v->rip);
	if (!available)
		available = fetch_instruction(stay->vp, stay->code);
	prefixes = count_prefixes(stay->code, available);
	return (u8)((prefixes < available ? prefixes : 0) + opcode);
}

static void advance(struct stay *stay, u8 length)
{
	stay->vp->state.rip += length;
	stay->vp->state.interrupt_shadow = false;
}

/* The child, or the hypervisor for it, needs a page that is not there: the parent's business. */
static enum step memory_fault(struct stay *stay, u64 gpa, u8 access)
{
	struct npt_iter it;

	npt_iter_begin(&it, &stay->partition->npt, gpa >> PAGE_SHIFT);
	registers_out(stay, true);
	message_memory(stay->vp, gpa, access, npt_iter_entry(&it) != 0);
	return STEP_INTERCEPT;
}

/* A level-triggered interrupt has ended: whoever raises the line wants to know. */
static enum step level_eoi(struct stay *stay, u8 vector)
{
	count_exit(stay, HVABI_COUNT_EXIT_APIC_EOI);
	registers_out(stay, true);
	message_apic_eoi(stay->vp, vector);
	return STEP_INTERCEPT;
}

static enum step exit_npf(struct stay *stay)
{
	const struct vmcb *v = vmcb_of(stay);
	u64 info = v->exit_info1, gpa = v->exit_info2, entry, detail;
	/* Of the instruction at RIP: it is no table, and no event was being delivered. */
	bool operand = !(info & NPF_IN_GUEST_WALK) && !(v->exit_int_info & EVENT_VALID);
	u8 access = HVABI_INTERCEPT_ACCESS_READ;
	struct npt_iter it;

	/* The processor walks the child's own tables with writes (A and D). */
	if ((info & NPF_WRITE) || (info & NPF_IN_GUEST_WALK))
		access = HVABI_INTERCEPT_ACCESS_WRITE;
	else if (info & NPF_FETCH)
		access = HVABI_INTERCEPT_ACCESS_EXECUTE;
	npt_iter_begin(&it, &stay->partition->npt, gpa >> PAGE_SHIFT);
	entry = npt_iter_entry(&it);
	if ((entry & NPTE_PRESENT) &&
	    (access != HVABI_INTERCEPT_ACCESS_WRITE || (entry & NPTE_WRITE)) &&
	    (access != HVABI_INTERCEPT_ACCESS_EXECUTE || !(entry & NPTE_NX))) {
		count_exit(stay, HVABI_COUNT_EXIT_NPF_SPURIOUS);
		stay->cpu->child_tlb = ~0ull;
		return STEP_CONTINUE;
	}
	if (!(entry & NPTE_PRESENT) && operand && !(info & NPF_FETCH)) {
		enum msr_result result = synthetic_apic_page(&stay->cpu->core, stay->vp, gpa,
							     info & NPF_WRITE, &detail);

		if (result != MSR_UNKNOWN)
			count_exit(stay, HVABI_COUNT_EXIT_APIC_PAGE);
		if (result == MSR_EOI)
			return level_eoi(stay, (u8)detail);
		if (result == MSR_DONE)
			return STEP_CONTINUE;
	}
	if (!entry && operand && (info & NPF_WRITE) &&
	    port_doorbell(&stay->cpu->core, stay->vp, gpa)) {
		count_exit(stay, HVABI_COUNT_EXIT_DOORBELL);
		return STEP_CONTINUE;
	}
	count_exit(stay, entry ? HVABI_COUNT_EXIT_NPF_ACCESS : HVABI_COUNT_EXIT_NPF_UNMAPPED);
	return memory_fault(stay, gpa, access);
}

static enum step exit_cpuid(struct stay *stay)
{
	struct vp_state *s = &stay->vp->state;
	u8 length = instruction_length(stay, 2);
	struct cpuid c = cpuid_child(stay->vp, (u32)s->gpr[RAX], (u32)s->gpr[RCX]);
	u32 result[4] = { c.eax, c.ebx, c.ecx, c.edx };

	count_exit(stay, HVABI_COUNT_EXIT_CPUID);
	cpuid_result_apply(stay->vp, (u32)s->gpr[RAX], (u32)s->gpr[RCX], result);
	if (intercept_wanted(stay->partition, HVABI_INTERCEPT_TYPE_CPUID, (u32)s->gpr[RAX],
			     HVABI_INTERCEPT_ACCESS_MASK_EXECUTE)) {
		registers_out(stay, true);
		message_cpuid(stay->vp, result, length);
		return STEP_INTERCEPT;
	}
	s->gpr[RAX] = result[0];
	s->gpr[RBX] = result[1];
	s->gpr[RCX] = result[2];
	s->gpr[RDX] = result[3];
	advance(stay, length);
	return STEP_CONTINUE;
}

static enum step exit_msr(struct stay *stay)
{
	struct vp_state *s = &stay->vp->state;
	bool write = vmcb_of(stay)->exit_info1 & 1;
	u32 msr = (u32)s->gpr[RCX];
	u32 access = write ? HVABI_INTERCEPT_ACCESS_MASK_WRITE : HVABI_INTERCEPT_ACCESS_MASK_READ;
	u8 length = instruction_length(stay, 2);
	u64 value = (u32)s->gpr[RAX] | s->gpr[RDX] << 32, detail;
	enum msr_result result;

	count_exit(stay, write ? HVABI_COUNT_EXIT_MSR_WRITE : HVABI_COUNT_EXIT_MSR_READ);
	if (intercept_wanted(stay->partition, HVABI_INTERCEPT_TYPE_MSR, 0, access) ||
	    intercept_wanted(stay->partition, HVABI_INTERCEPT_TYPE_MSR_INDEX, msr, access)) {
		registers_out(stay, true);
		message_msr(stay->vp, msr, write, length);
		return STEP_INTERCEPT;
	}
	result = write ? synthetic_write(&stay->cpu->core, stay->vp, msr, value, &detail) :
			 synthetic_read(stay->vp, msr, &value);
	if (result == MSR_UNKNOWN)
		result = (write ? msr_child_write(stay->vp, msr, value) :
				  msr_child_read(stay->vp, msr, &value)) ? MSR_DONE : MSR_REFUSED;
	if (result == MSR_REFUSED) {
		inject(stay, VECTOR_GP, true);
		return STEP_CONTINUE;
	}
	if (result == MSR_FAULT)
		return memory_fault(stay, detail, HVABI_INTERCEPT_ACCESS_WRITE);
	if (!write) {
		s->gpr[RAX] = (u32)value;
		s->gpr[RDX] = value >> 32;
	}
	advance(stay, length);
	return result == MSR_EOI ? level_eoi(stay, (u8)detail) : STEP_CONTINUE;
}

static enum step exit_io(struct stay *stay)
{
	const struct vmcb *v = vmcb_of(stay);
	struct io_exit io = {
		.port = IO_PORT(v->exit_info1), .bytes = IO_BYTES(v->exit_info1),
		.length = (u8)(v->exit_info2 - v->rip),
		.out = !(v->exit_info1 & IO_IN), .string = v->exit_info1 & IO_STRING,
		.rep = v->exit_info1 & IO_REP,
	};

	count_exit(stay, HVABI_COUNT_EXIT_IO_PORT);
	registers_out(stay, true);
	message_io_port(stay->vp, &io);
	return STEP_INTERCEPT;
}

static enum step exit_exception(struct stay *stay)
{
	const u32 with_error = 0x40027d00;	/* DF TS NP SS GP PF AC SX */
	const struct vmcb *v = vmcb_of(stay);
	u32 vector = vmcb_exit_code(v) - EXIT_EXCEPTION;
	u64 parameter = 0;

	if (vector == VECTOR_PF)
		parameter = v->exit_info2;
	if (vector == 1)
		parameter = v->dr6;
	count_exit(stay, HVABI_COUNT_EXIT_EXCEPTION);
	registers_out(stay, true);
	message_exception(stay->vp, (u8)vector, with_error >> vector & 1, (u32)v->exit_info1,
			  parameter);
	return STEP_INTERCEPT;
}

static enum step exit_xsetbv(struct stay *stay)
{
	struct vp_state *s = &stay->vp->state;
	u64 value = (u32)s->gpr[RAX] | s->gpr[RDX] << 32;

	count_exit(stay, HVABI_COUNT_EXIT_XSETBV);
	if ((u32)s->gpr[RCX] || vmcb_of(stay)->cpl || vp_set_xfem(stay->vp, value)) {
		inject(stay, VECTOR_GP, true);
	} else {
		xsetbv(value);
		advance(stay, instruction_length(stay, 3));
	}
	return STEP_CONTINUE;
}

static enum step exit_nmi(struct stay *stay)
{
	struct svm_cpu *cpu = stay->cpu;

	if (svm_own_nmi(cpu, stay->partition))
		return STEP_CONTINUE;
	cpu->vmcb.event_inject = EVENT_VALID | EVENT_TYPE_NMI | 2;
	return STEP_LEAVE;
}

static enum step message(struct stay *stay, enum hvabi_debug_counter which)
{
	count_exit(stay, which);
	registers_out(stay, true);
	switch (which) {
	case HVABI_COUNT_EXIT_HLT:
		message_halt(stay->vp);
		break;
	case HVABI_COUNT_EXIT_SHUTDOWN:
		message_unrecoverable(stay->vp);
		break;
	case HVABI_COUNT_EXIT_INVALID:
		message_invalid_state(stay->vp);
		break;
	case HVABI_COUNT_EXIT_TASK_SWITCH:
		message_unsupported(stay->vp, HVABI_UNSUPPORTED_FEATURE_TASK_SWITCH, 0);
		break;
	default:
		message_unsupported(stay->vp, HVABI_UNSUPPORTED_FEATURE_INTERCEPT,
				    vmcb_of(stay)->exit_code);
		break;
	}
	return STEP_INTERCEPT;
}

static bool is_legacy_prefix(u8 byte)
{
	return is_segment_prefix(byte) || byte == 0x66 || byte == 0x67 || byte == 0xf2 || byte == 0xf3;
}

/* MOV to CR8, while an interrupt waits: REX with R set, 0F 22, and a register in ModRM. */
static enum step exit_cr8_write(struct stay *stay)
{
	struct vp_state *s = &stay->vp->state;
	u8 code[16];
	u32 available = fetch_instruction(stay->vp, code), at = 0;

	count_exit(stay, HVABI_COUNT_EXIT_CR8_WRITE);
	/* The page has gone meanwhile: the child finds that out itself. */
	if (!available)
		return STEP_CONTINUE;
	while (at < available && is_legacy_prefix(code[at]))
		at++;
	if (available < at + 4 || (code[at] & 0xf4) != 0x44 || code[at + 1] != 0x0f || code[at + 2] != 0x22)
		return message(stay, HVABI_COUNT_EXIT_OTHER);
	s->cr8 = s->gpr[(code[at + 3] & 7) | (code[at] & 1) << 3] & 0xf;
	apic_set_cr8(&stay->vp->apic, s->cr8);
	advance(stay, (u8)(at + 4));
	return STEP_CONTINUE;
}

/* With an APIC an interrupt can end the wait; without, it is the VMM's business. */
static enum step exit_hlt(struct stay *stay)
{
	if (!partition_has_apic(stay->partition))
		return message(stay, HVABI_COUNT_EXIT_HLT);
	count_exit(stay, HVABI_COUNT_EXIT_HLT);
	advance(stay, instruction_length(stay, 1));
	stay->vp->halted = true;
	return STEP_CONTINUE;
}

static enum step undefined(struct stay *stay, enum hvabi_debug_counter which)
{
	count_exit(stay, which);
	inject(stay, VECTOR_UD, false);
	return STEP_CONTINUE;
}

/* TLFS 3.7: from CPL 0 only. */
static enum step exit_vmmcall(struct stay *stay)
{
	struct vp_state *s = &stay->vp->state;
	const struct guest_call call = { s->gpr[RCX], s->gpr[RDX], s->gpr[R8] };
	u64 fault;

	if (!synthetic_has_hypercalls(stay->partition) || vmcb_of(stay)->cpl)
		return undefined(stay, HVABI_COUNT_EXIT_HYPERCALL);
	count_exit(stay, HVABI_COUNT_EXIT_HYPERCALL);
	stay->vp->hypercalls++;
	switch (guest_call(&stay->cpu->core, stay->vp, &call, &s->gpr[RAX], &fault)) {
	case GUEST_CALL_FAULT:
		return memory_fault(stay, fault, HVABI_INTERCEPT_ACCESS_READ);
	case GUEST_CALL_INTERCEPT:
		registers_out(stay, true);
		message_hypercall(stay->vp, instruction_length(stay, 3));
		return STEP_INTERCEPT;
	case GUEST_CALL_DONE:
		break;
	}
	advance(stay, instruction_length(stay, 3));
	return STEP_CONTINUE;
}

static enum step handle_exit(struct stay *stay)
{
	u32 code = vmcb_exit_code(vmcb_of(stay));

	if (code >= EXIT_EXCEPTION && code < EXIT_EXCEPTION + 32)
		return exit_exception(stay);
	switch (code) {
	case EXIT_INTR:
		count_exit(stay, HVABI_COUNT_EXIT_INTERRUPT);
		return STEP_LEAVE;
	case EXIT_NMI:
		return exit_nmi(stay);
	case EXIT_SMI:
	case EXIT_INIT:
		count_exit(stay, HVABI_COUNT_EXIT_OTHER);
		return STEP_LEAVE;
	case EXIT_NPF:
		return exit_npf(stay);
	case EXIT_CPUID:
		return exit_cpuid(stay);
	case EXIT_MSR:
		return exit_msr(stay);
	case EXIT_IO:
		return exit_io(stay);
	case EXIT_XSETBV:
		return exit_xsetbv(stay);
	case EXIT_INVD:
	case EXIT_WBINVD:
		count_exit(stay, HVABI_COUNT_EXIT_CACHE);
		advance(stay, instruction_length(stay, 2));
		return STEP_CONTINUE;
	case EXIT_HLT:
		return exit_hlt(stay);
	case EXIT_CR8_WRITE:
		return exit_cr8_write(stay);
	case EXIT_VINTR:
		/* An interrupt would be taken here: that is told before the next entry. */
		count_exit(stay, HVABI_COUNT_EXIT_OTHER);
		return STEP_CONTINUE;
	case EXIT_IRET:
		count_exit(stay, HVABI_COUNT_EXIT_IRET);
		vp_nmi_done(stay->vp);
		return STEP_CONTINUE;
	case EXIT_SHUTDOWN:
		return message(stay, HVABI_COUNT_EXIT_SHUTDOWN);
	case EXIT_INVALID:
		return message(stay, HVABI_COUNT_EXIT_INVALID);
	case EXIT_TASK_SWITCH:
		return message(stay, HVABI_COUNT_EXIT_TASK_SWITCH);
	case EXIT_VMMCALL:
		return exit_vmmcall(stay);
	case EXIT_RDPMC:
		count_exit(stay, HVABI_COUNT_EXIT_OTHER);
		inject(stay, VECTOR_GP, true);
		return STEP_CONTINUE;
	case EXIT_VMRUN:
	case EXIT_VMLOAD ... EXIT_SKINIT:
	case EXIT_INVLPGA:
		return undefined(stay, HVABI_COUNT_EXIT_SVM_INSN);
	case EXIT_RSM:
	case EXIT_MONITOR:
	case EXIT_MWAIT:
	case EXIT_MWAIT_ARMED:
		return undefined(stay, HVABI_COUNT_EXIT_OTHER);
	default:
		return message(stay, HVABI_COUNT_EXIT_OTHER);
	}
}

/* Instructions that find what is in service or that wait for what is not; none of them has begun. */
static bool looks_at_apic(u32 code)
{
	return code == EXIT_MSR || code == EXIT_NPF || code == EXIT_HLT;
}

/* ---- exits that concern nobody else ---- */

/* Registers of the processor that are in no list, no timer and no interrupt controller. */
static bool is_own_msr(u32 msr)
{
	return msr == MSR_EFER || msr == MSR_PAT || msr == MSR_TSC_AUX || msr == MSR_MTRR_CAP ||
	       msr == MSR_MTRR_DEF_TYPE;
}

/*
 * Does handle_exit() end this one with nothing but state of the processor itself, and what is never changed
 * while a processor is in the partition?
 */
static bool concerns_itself(const struct stay *stay)
{
	const struct vmcb *v = vmcb_of(stay);
	const struct partition *p = stay->partition;
	u32 msr = (u32)stay->vp->state.gpr[RCX], access;
	bool write = v->exit_info1 & 1;

	switch (vmcb_exit_code(v)) {
	case EXIT_CPUID:
		return !intercept_wanted(p, HVABI_INTERCEPT_TYPE_CPUID, (u32)v->rax,
					 HVABI_INTERCEPT_ACCESS_MASK_EXECUTE);
	case EXIT_MSR:
		access = write ? HVABI_INTERCEPT_ACCESS_MASK_WRITE : HVABI_INTERCEPT_ACCESS_MASK_READ;
		/* What becomes of a write that no processor knows the parent has registered. */
		return is_own_msr(msr) && !(write && msr == MSR_MTRR_CAP) && !intercept_wanted(p, HVABI_INTERCEPT_TYPE_MSR, 0, access) &&
		       !intercept_wanted(p, HVABI_INTERCEPT_TYPE_MSR_INDEX, msr, access);
	case EXIT_XSETBV:
	case EXIT_INVD:
	case EXIT_WBINVD:
	case EXIT_RDPMC:
	case EXIT_VMRUN:
	case EXIT_VMLOAD ... EXIT_SKINIT:
	case EXIT_INVLPGA:
	case EXIT_RSM:
	case EXIT_MONITOR:
	case EXIT_MWAIT:
	case EXIT_MWAIT_ARMED:
		return true;
	default:
		return false;
	}
}

/*
 * The exit that just came, without the lock.  True: it is dealt with, and the child goes on.
 *
 * cpu->guest stands as it did, so for everybody else the processor has not left: a shoot-down waits for it, and
 * its kick ends the next stay at once, which then takes the lock.  What handle_exit() may read here is either the
 * processor's own, or changed by nobody before he has called evict(); and the nested tables can be walked as the
 * processor walks them; where that walk finds nothing, as in a table that is just being replaced, one with the lock has
 * to look again.  What was offered, promised or is masked stays so, as if the child had not left.
 */
static bool handle_alone(struct stay *stay)
{
	struct vmcb *v = vmcb_of(stay);
	struct vp_state *s = &stay->vp->state;

	if ((v->exit_int_info & EVENT_VALID) || !concerns_itself(stay) || deadline_due(rdtsc()))
		return false;
	/* Its TLB has accessed bits that were cleared. */
	if (__atomic_load_n(&stay->partition->tlb_generation, __ATOMIC_RELAXED) != stay->cpu->child_tlb)
		return false;
	store_state(v, s);
	stay->code_bytes = svm_has_nrips ? 0 : fetch_instruction(stay->vp, stay->code);
	if (!svm_has_nrips && count_prefixes(stay->code, stay->code_bytes) == stay->code_bytes) {
		stay->code_bytes = 0;
		return false;
	}
	handle_exit(stay);
	stay->code_bytes = 0;
	count_exit(stay, HVABI_COUNT_UNLOCKED_EXIT);
	v->rax = s->gpr[RAX];
	v->rip = s->rip;
	v->efer = s->efer | EFER_SVME;
	v->g_pat = s->pat;
	v->interrupt_shadow = s->interrupt_shadow;
	v->event_inject = event_from_hv(s->pending_interruption);
	v->tlb_control = 0;
	stay->injected = s->pending_interruption;
	return true;
}

/* ---- the stay ---- */

/* FINALIZE may have come while nothing was held; a running VP is not deleted alone. */
static bool come_back(const struct stay *stay)
{
	struct cpu *cpu = &stay->cpu->core;
	struct partition *p;

	world_enter(cpu);
	p = child_find(stay->id);
	if (!p || p->state != PARTITION_ACTIVE)
		return false;
	partition_lock(cpu, p);
	return true;
}

/* False: nothing of the VP is there any more. */
static bool enter(struct stay *stay)
{
	struct svm_cpu *cpu = stay->cpu;
	struct vp *vp = stay->vp;
	struct vmcb *v = vmcb_of(stay);
	bool same = !stay->moved && cpu->child_partition == stay->id && cpu->child_vp == vp->index &&
		    cpu->child_tlb == stay->partition->tlb_generation;

	vp_deliver(vp);
	stay->offered = vp_offer(vp);
	vp_assist_enter(vp, stay->offered);
	stay->injected = vp->state.pending_interruption;
	load_controls(v, vp);
	load_state(v, vp, stay->offered);
	stay->moved = false;
	v->tlb_control = (u8)(same ? 0 : TLB_FLUSH_ALL);
	cpu->child_partition = stay->id;
	cpu->child_vp = vp->index;
	cpu->child_tlb = stay->partition->tlb_generation;
	__atomic_store_n(&cpu->core.guest, stay->partition, __ATOMIC_RELEASE);
	fault_time_child_enters(&cpu->core, vp);
	partition_unlock(&cpu->core);
	world_leave(&cpu->core);
	do
		svm_run(vp->vmcb, vp->state.gpr);
	while (handle_alone(stay));
	fault_time_child_left(&cpu->core, vmcb_exit_code(v) == EXIT_NPF);
	__atomic_store_n(&cpu->core.guest, NULL, __ATOMIC_RELEASE);
	return come_back(stay);
}

/* Where the state was refused nothing of the child has run, and what stands in the VMCB is nobody's. */
static void leave(struct stay *stay)
{
	const struct vmcb *v = vmcb_of(stay);
	struct vp *vp = stay->vp;

	if (vmcb_exit_code(v) == EXIT_INVALID) {
		if (stay->offered != APIC_NO_VECTOR)
			vp_offer_end(vp, (u8)stay->offered, false);
		return;
	}
	store_state(v, &vp->state);
	virtual_interrupt_out(stay, v);
	apic_set_cr8(&vp->apic, vp->state.cr8);
}

/* Timers of other partitions' processors are expired as well, so none may be locked. This VP stays, for it runs. */
static void expire(struct stay *stay)
{
	struct cpu *cpu = &stay->cpu->core;

	if (!deadline_due(rdtsc()))
		return;
	partition_unlock(cpu);
	deadline_expire(cpu, rdtsc());
	partition_lock(cpu, stay->partition);
}

enum run_result platform_run_vp(struct cpu *core, struct vp *vp)
{
	struct stay stay = {
		.cpu = (struct svm_cpu *)core, .vp = vp,
		.partition = vp->partition, .id = vp->partition->id, .moved = vp->cpu != core,
	};
	enum step step;
	u64 gpa;

	vp->running = true;
	vp->cpu = core;
	do {
		/* INIT changes registers that are in the processor now. */
		if (vp->apic.init)
			registers_out(&stay, true);
		if (!vp_assist_leave(vp, &gpa) || !vp_synic_deliver(vp, &gpa) ||
		    !clock_page_refresh(stay.partition, &gpa)) {
			step = memory_fault(&stay, gpa, HVABI_INTERCEPT_ACCESS_WRITE);
			break;
		}
		if (vp_has_notification(vp)) {
			registers_out(&stay, true);
			vp_notify(vp);
			step = STEP_INTERCEPT;
			break;
		}
		if (!vp_ready(vp)) {
			step = STEP_BLOCK;
			break;
		}
		registers_in(&stay);
		if (!enter(&stay)) {
			registers_out(&stay, false);
			return RUN_GONE;
		}
		clock_left(stay.partition);
		leave(&stay);
		/* Not known what is in service: what depends on it waits, and is repeated. */
		if (!vp_assist_leave(vp, &gpa) && looks_at_apic(vmcb_exit_code(vmcb_of(&stay))))
			step = memory_fault(&stay, gpa, HVABI_INTERCEPT_ACCESS_WRITE);
		else
			step = handle_exit(&stay);
		expire(&stay);
	} while (step == STEP_CONTINUE && !vp_suspended(vp) && !sched_over(core, vp, rdtsc()));
	registers_out(&stay, true);
	vp->running = false;
	switch (step) {
	case STEP_INTERCEPT:
		return RUN_INTERCEPT;
	case STEP_BLOCK:
		return RUN_BLOCKED;
	case STEP_CONTINUE:
		return RUN_STOPPED;
	default:
		return RUN_PREEMPTED;
	}
}
