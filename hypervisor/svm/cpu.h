/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A processor as the SVM layer keeps it.  The structure ends in the
 * processor's stack, so that one address finds both.
 */
#ifndef SVM_CPU_H
#define SVM_CPU_H

#include "../core/cpu.h"
#include "../core/vp.h"
#include "vmcb.h"
#include "x86.h"

#define STACK_BYTES	32768u
#define FPU_BYTES	16384u

/**
 * struct svm_cpu
 * @core: what the core sees; first, so that one pointer serves both
 * @apic_id: of the processor
 * @online: set by the processor itself when it waits for work
 * @vmcb: of the parent on this processor
 * @hsave: where VMRUN keeps the state of the hypervisor
 * @fpu: x87 to AVX state of the parent while a child runs
 * @gpr: general registers of the parent, RAX and RSP excepted (VMCB)
 * @parent_tlb: parent's tlb_generation when the processor last entered it
 * @child_partition, @child_vp, @child_tlb: what the child ASID was last used for
 * @halt: address behind the HLT that the parent rests in (core.sched.idle)
 * @halt_itself: the next HLT is the parent's own business: its interrupts are off
 * @vp_assist: synthetic MSR of this processor
 */
struct svm_cpu {
	struct cpu core;
	u32 apic_id;
	u32 online;
	bool parked, halt_itself;
	u64 halt;
	u64 gpr[GPRS];
	u64 parent_tlb;
	u64 child_partition, child_tlb;
	u32 child_vp;
	u64 vp_assist;
	struct vmcb vmcb __attribute__((aligned(4096)));
	u8 hsave[4096] __attribute__((aligned(4096)));
	u8 fpu[FPU_BYTES] __attribute__((aligned(64)));
	u8 stack[STACK_BYTES] __attribute__((aligned(64)));
};

extern struct svm_cpu svm_cpus[MAX_CPUS];

/* Address space identifiers: all children share one; child_partition, child_vp and child_tlb say whose entries it holds. */
#define ASID_PARENT	1u
#define ASID_CHILD	2u

/* run.S: enter the guest of @vmcb with @gpr; returns at its next exit. */
void svm_run(u64 vmcb, u64 *gpr);

/* run.S: let a pending NMI be taken and forgotten. */
void svm_take_nmi(void);

/* Features of the processor under us. */
extern bool svm_has_nrips, svm_has_rdtscp;

/*
 * An NMI ended the stay: take it.  True if it was the hypervisor's own, a kick or its timer; else it is the parent's.
 */
bool svm_own_nmi(struct svm_cpu *cpu, struct partition *p);

/* Set up SVM on the calling processor (host.c). */
void svm_enable(struct svm_cpu *cpu);

/* Learn what the processor can do; once, on the boot processor (host.c). */
void svm_probe(void);

/* Run the parent from the state in cpu->vmcb, until it parks the processor (parent.c). */
void parent_loop(struct svm_cpu *cpu);

/* Where the parent's code to park a processor stands: VMMCALL, at an address that no other has. */
extern u64 parent_reset_vector;

/* Fill cpu->vmcb for 64-bit entry at @rip with RSI = @rsi (parent.c). */
void parent_prepare(struct svm_cpu *cpu, u64 rip, u64 rsi, u64 cr3, u64 gdt);

/* CPUID as a parent or child sees it (cpuid.c). */
struct cpuid cpuid_parent(const struct svm_cpu *cpu, u32 leaf, u32 subleaf);
struct cpuid cpuid_child(const struct vp *vp, u32 leaf, u32 subleaf);

/* MSRs that exit.  False: inject #GP (msr.c). */
bool msr_parent_read(struct svm_cpu *cpu, u32 msr, u64 *value);
bool msr_parent_write(struct svm_cpu *cpu, u32 msr, u64 value);
bool msr_child_read(struct vp *vp, u32 msr, u64 *value);
bool msr_child_write(struct vp *vp, u32 msr, u64 value);

/* Permission maps (msr.c). */
void msr_maps_init(void);
u64 msr_map_parent(void);
u64 msr_map_child(void);
u64 io_map_child(void);

/* Reset the machine. */
void machine_reset(void) __attribute__((noreturn));

#endif
