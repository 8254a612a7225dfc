// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parent on a processor: its VMCB, its exits.
 *
 * Linux runs nearly undisturbed: interrupts, ports and devices are its own.
 * It exits for hypercalls, CPUID, the synthetic MSRs, what would let it touch
 * SVM, NMIs (which also serve as kicks), and second-level faults, which only
 * happen on pages that are not its own.
 *
 * Where the hypervisor schedules children (core/sched.h) its HLT exits as well: it rests, and children run.  If
 * there is none, the processor halts in the parent's place, in the parent's HLT, but what would wake the parent
 * exits first, so that it never runs while it is thought to rest.
 */
#include "../core/deadline.h"
#include "../core/fault_time.h"
#include "../core/hypercall.h"
#include "../core/lock.h"
#include "../core/platform.h"
#include "../core/sched.h"
#include "cpu.h"
#include "event.h"

#define RFLAGS_IF	BIT(9)
#define HLT_LENGTH	1u	/* with a prefix it is executed a second time */

#define CS_LONG		0xa9bu
#define DATA_FLAT	0xc93u

static struct vmcb_segment flat(u16 selector, u16 attributes)
{
	return (struct vmcb_segment){ selector, attributes, 0xffffffff, 0 };
}

void parent_prepare(struct svm_cpu *cpu, u64 rip, u64 rsi, u64 cr3, u64 gdt)
{
	struct vmcb *v = &cpu->vmcb;

	memset(v, 0, sizeof(*v));
	v->intercept[3] = (u32)(INTERCEPT_NMI | INTERCEPT_INIT | INTERCEPT_CPUID |
				INTERCEPT_INVLPGA | INTERCEPT_MSR | INTERCEPT_SHUTDOWN);
	v->intercept[4] = (u32)(INTERCEPT_SVM_INSNS | INTERCEPT_VMMCALL);
	v->msrpm = msr_map_parent();
	v->asid = ASID_PARENT;
	v->np_enable = 1;
	v->n_cr3 = parent.npt.root;
	v->cs = flat(0x10, CS_LONG);
	v->ds = v->es = v->ss = v->fs = v->gs = flat(0x18, DATA_FLAT);
	v->tr = (struct vmcb_segment){ .attributes = 0x8b, .limit = 0xffff };
	v->ldtr = (struct vmcb_segment){ .attributes = 0x82, .limit = 0xffff };
	v->gdtr = (struct vmcb_segment){ .base = gdt, .limit = 4 * 8 - 1 };
	v->cr0 = 0x80000011;
	v->cr3 = cr3;
	v->cr4 = 0x20;
	/* NXE: Linux's trampoline loads tables with NX bits before it sets EFER. */
	v->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME;
	v->dr6 = 0xffff0ff0;
	v->dr7 = 0x400;
	v->rflags = 2;
	v->g_pat = 0x0007040600070406ull;
	v->rip = rip;
	memset(cpu->gpr, 0, sizeof(cpu->gpr));
	cpu->gpr[RSI] = rsi;
}

static void inject(struct svm_cpu *cpu, u32 vector, bool has_error)
{
	cpu->vmcb.event_inject = EVENT_VALID | EVENT_TYPE_EXCEPTION | vector |
				 (has_error ? EVENT_HAS_ERROR : 0);
}

static void exit_cpuid(struct svm_cpu *cpu)
{
	struct cpuid c = cpuid_parent(cpu, (u32)cpu->vmcb.rax, (u32)cpu->gpr[RCX]);

	cpu->vmcb.rax = c.eax;
	cpu->gpr[RBX] = c.ebx;
	cpu->gpr[RCX] = c.ecx;
	cpu->gpr[RDX] = c.edx;
	cpu->vmcb.rip += 2;
}

static void exit_msr(struct svm_cpu *cpu)
{
	u32 msr = (u32)cpu->gpr[RCX];
	u64 value = (u32)cpu->vmcb.rax | cpu->gpr[RDX] << 32;
	bool write = cpu->vmcb.exit_info1 & 1, ok;

	/* Of what is written other processors make use; but EOM, which comes with each message, only says "look". */
	if (write && msr != HVABI_MSR_EOM)
		world_exclude(&cpu->core);
	ok = write ? msr_parent_write(cpu, msr, value) : msr_parent_read(cpu, msr, &value);
	count(&cpu->core, &parent,
	      write ? HVABI_COUNT_EXIT_MSR_WRITE : HVABI_COUNT_EXIT_MSR_READ, 1);
	if (!ok) {
		inject(cpu, VECTOR_GP, true);
		return;
	}
	if (!write) {
		cpu->vmcb.rax = (u32)value;
		cpu->gpr[RDX] = value >> 32;
	}
	cpu->vmcb.rip += 2;
}

/* TLFS 3.7: only from CPL 0, and here only from 64-bit code. */
static void exit_vmmcall(struct svm_cpu *cpu)
{
	struct vmcb *v = &cpu->vmcb;

	if (v->rip == parent_reset_vector && !v->cpl) {
		cpu->parked = true;
		return;
	}
	if (v->cpl || !(v->efer & EFER_LMA) || !(v->cs.attributes & BIT(9))) {
		inject(cpu, VECTOR_UD, false);
		return;
	}
	v->rip += 3;
	v->rax = hypercall(&cpu->core, cpu->gpr[RCX], cpu->gpr[RDX], cpu->gpr[R8]);
}

/* With interrupts off it waits for nothing that the hypervisor knows of: it does so by itself, and alone. */
static void exit_hlt(struct svm_cpu *cpu)
{
	struct vmcb *v = &cpu->vmcb;

	if (!(v->rflags & RFLAGS_IF)) {
		cpu->halt_itself = true;
		cpu->core.sched.stopped = true;
		return;
	}
	v->rip += HLT_LENGTH;
	v->interrupt_shadow = 0;
	cpu->halt = v->rip;
	cpu->core.sched.idle = true;
}

static void exit_nmi(struct svm_cpu *cpu)
{
	if (!svm_own_nmi(cpu, &parent)) {
		cpu->vmcb.event_inject = EVENT_VALID | EVENT_TYPE_NMI | 2;
		cpu->core.sched.stopped = false;
	}
}

/*
 * The parent touched what is not its own: the hypervisor, or a deposited page.
 * A general protection fault hits whoever did it, and nobody else.
 */
static void exit_npf(struct svm_cpu *cpu)
{
	bool write = cpu->vmcb.exit_info1 & NPF_WRITE;
	struct npt_iter it;

	npt_iter_begin(&it, &parent.npt, cpu->vmcb.exit_info2 >> PAGE_SHIFT);
	if ((npt_iter_entry(&it) & NPTE_PRESENT) && (!write || (npt_iter_entry(&it) & NPTE_WRITE))) {
		count(&cpu->core, &parent, HVABI_COUNT_EXIT_NPF_SPURIOUS, 1);
		cpu->parent_tlb = ~0ull;
		return;
	}
	count(&cpu->core, &parent, HVABI_COUNT_EXIT_NPF_ACCESS, 1);
	count(&cpu->core, &parent, HVABI_COUNT_PARENT_FAULT, 1);
	platform_log("parent: processor %u touched %llx, which is not its own, at rip %llx",
		     cpu->core.index, (unsigned long long)cpu->vmcb.exit_info2,
		     (unsigned long long)cpu->vmcb.rip);
	inject(cpu, VECTOR_GP, true);
}

static void handle_exit(struct svm_cpu *cpu)
{
	struct vmcb *v = &cpu->vmcb;

	switch (vmcb_exit_code(v)) {
	case EXIT_CPUID:
		count(&cpu->core, &parent, HVABI_COUNT_EXIT_CPUID, 1);
		exit_cpuid(cpu);
		return;
	case EXIT_MSR:
		exit_msr(cpu);
		return;
	case EXIT_VMMCALL:
		count(&cpu->core, &parent, HVABI_COUNT_EXIT_HYPERCALL, 1);
		exit_vmmcall(cpu);
		return;
	case EXIT_HLT:
		count(&cpu->core, &parent, HVABI_COUNT_EXIT_HLT, 1);
		exit_hlt(cpu);
		return;
	case EXIT_INTR:
		count(&cpu->core, &parent, HVABI_COUNT_EXIT_INTERRUPT, 1);
		return;
	case EXIT_NMI:
		exit_nmi(cpu);
		return;
	case EXIT_NPF:
		exit_npf(cpu);
		return;
	case EXIT_INIT:
		count(&cpu->core, &parent, HVABI_COUNT_EXIT_OTHER, 1);
		return;
	case EXIT_INVLPGA:
	case EXIT_VMRUN:
	case EXIT_VMLOAD ... EXIT_SKINIT:
		count(&cpu->core, &parent, HVABI_COUNT_EXIT_SVM_INSN, 1);
		inject(cpu, VECTOR_UD, false);
		return;
	case EXIT_SHUTDOWN:
		platform_log("parent: triple fault on processor %u: reset", cpu->core.index);
		machine_reset();
	default:
		platform_panic("parent: exit %llx, info %llx %llx, rip %llx on processor %u",
			       (unsigned long long)v->exit_code,
			       (unsigned long long)v->exit_info1,
			       (unsigned long long)v->exit_info2,
			       (unsigned long long)v->rip, cpu->core.index);
	}
}

/*
 * QEMU's multi-threaded emulation can lose the flag that says whether the
 * first processor is in a guest (docs/emulation.md).  Then the hypervisor's
 * own state stands in the parent's save area: nothing can be trusted.
 */
static void check_emulation(const struct svm_cpu *cpu)
{
	u64 cr3;

	__asm__("mov %%cr3, %0" : "=r"(cr3));
	if (cpu->vmcb.cr3 == cr3)
		platform_panic("processor %u: the save area holds the hypervisor's CR3: QEMU lost "
			       "a world switch (known bug of multi-threaded TCG with SVM on the "
			       "boot processor); use -accel tcg,thread=single or park=1",
			       cpu->core.index);
}

/* Children have their turn.  An event that the parent is owed stands in its VMCB, where a child's exit may put another. */
static void run_children(struct svm_cpu *cpu)
{
	struct cpu_sched *sched = &cpu->core.sched;
	struct vmcb *v = &cpu->vmcb;
	struct vp *vp;

	if (v->event_inject & EVENT_VALID)
		sched->idle = false;
	while (!(v->event_inject & EVENT_VALID) && (vp = sched_next(&cpu->core, rdtsc()))) {
		if (sched_run(&cpu->core, vp))
			sched->idle = false;
		deadline_expire(&cpu->core, rdtsc());
	}
	if (!sched->idle)
		sched_pass();
}

/* Which instructions and events exit; and where the parent rests, it does so in its HLT. */
static void prepare_entry(struct svm_cpu *cpu)
{
	const u32 halt = (u32)INTERCEPT_HLT, interrupt = (u32)INTERCEPT_INTR;
	struct cpu_sched *sched = &cpu->core.sched;
	struct vmcb *v = &cpu->vmcb;

	v->intercept[3] &= ~(halt | interrupt);
	if (sched->idle) {
		v->intercept[3] |= interrupt;
		v->rip = cpu->halt - HLT_LENGTH;
		sched->waiting = true;
	} else if (sched_active() && !cpu->halt_itself) {
		v->intercept[3] |= halt;
	}
	cpu->halt_itself = false;
}

/* Anything but an NMI of ours ends its rest. */
static void after_exit(struct svm_cpu *cpu)
{
	struct cpu_sched *sched = &cpu->core.sched;
	struct vmcb *v = &cpu->vmcb;

	sched->waiting = false;
	/* After an NMI of ours it goes on, and to HLT again. */
	if (vmcb_exit_code(v) != EXIT_NMI)
		sched->stopped = false;
	if (!sched->idle)
		return;
	/* An interrupt that was pending came before the HLT. */
	if (v->rip == cpu->halt - HLT_LENGTH)
		v->rip = cpu->halt;
	sched->idle = vmcb_exit_code(v) == EXIT_NMI;
	if (!sched->idle)
		sched->since = rdtsc();
}

void parent_loop(struct svm_cpu *cpu)
{
	cpu->parked = false;
	world_enter(&cpu->core);
	while (!cpu->parked) {
		struct vmcb *v = &cpu->vmcb;

		run_children(cpu);
		prepare_entry(cpu);
		v->tlb_control = cpu->parent_tlb == parent.tlb_generation ?
				 0 : (u8)TLB_FLUSH_ALL;
		v->clean = 0;
		cpu->parent_tlb = parent.tlb_generation;
		__atomic_store_n(&cpu->core.guest, &parent, __ATOMIC_RELEASE);
		world_leave(&cpu->core);
		fault_time_parent_enters(&cpu->core);
		svm_run((u64)(uintptr_t)v, cpu->gpr);
		fault_time_parent_left(&cpu->core);
		__atomic_store_n(&cpu->core.guest, NULL, __ATOMIC_RELEASE);
		check_emulation(cpu);
		world_enter(&cpu->core);
		v->event_inject = 0;
		after_exit(cpu);
		handle_exit(cpu);
		deadline_expire(&cpu->core, rdtsc());
		/* An event whose delivery was cut short, unless something more urgent came. */
		if (!(v->event_inject & EVENT_VALID))
			v->event_inject = event_from_hv(event_to_hv(v->exit_int_info));
	}
	world_leave(&cpu->core);
}
