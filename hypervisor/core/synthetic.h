/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a child sees of the hypervisor: CPUID leaves from 0x40000000 on, synthetic MSRs, the
 * APIC's MSRs (TLFS 2, 3, 12; SDM vol. 3, 11.12).
 *
 * Laws
 *  - What a child may use is what the VMM gave it before INITIALIZE (property
 *    SYNTHETIC_PROC_FEATURES): a register of a feature that it lacks is unknown.
 *  - Pages that the child gives (hypercall code, reference TSC) stay its own memory: they are
 *    filled when the register is written, and move with the rest of its memory.  One that the
 *    parent has not mapped is faulted in first, as if the child had written to it.
 *
 * Lock: the partition's.
 */
#ifndef CORE_SYNTHETIC_H
#define CORE_SYNTHETIC_H

#include "types.h"

struct cpu;
struct partition;
struct vp;

/* Features that can be given to a child: HVABI_SYNTHETIC_*. */
u64 synthetic_features(void);

/* Leaf @leaf (0x40000000 .. 0x7fffffff) as a child of @p sees it: EAX, EBX, ECX, EDX. */
void synthetic_cpuid(const struct partition *p, u32 leaf, u32 out[4]);

enum msr_result {
	MSR_DONE,
	MSR_UNKNOWN,		/* not one of these: nothing happened */
	MSR_REFUSED,		/* #GP: nothing happened */
	MSR_FAULT,		/* the child's page at *@detail must be writable first: nothing happened */
	MSR_EOI,		/* done, and level-triggered vector *@detail has ended */
};

enum msr_result synthetic_read(struct vp *vp, u32 msr, u64 *value);
enum msr_result synthetic_write(struct cpu *cpu, struct vp *vp, u32 msr, u64 value, u64 *detail);

/*
 * The parent sets one of a processor that does not run: of its SynIC, timers, or the VP assist page.  Pages are taken as
 * they are: whoever restores a child has restored what stands in them.
 */
enum msr_result synthetic_restore(struct cpu *cpu, struct vp *vp, u32 msr, u64 value);

/* A write to a register of the APIC, by MSR or by its page; results as above. */
enum msr_result vp_apic_write(struct cpu *cpu, struct vp *vp, u32 reg, u64 value, u64 *detail);

/*
 * An access to guest physical address @gpa, which is not mapped: does it go to the page of the
 * APIC, by an instruction that is understood?  Then it is carried out, RIP included, and the
 * result is MSR_DONE or MSR_EOI; else MSR_UNKNOWN, and nothing happened.  MSR_DONE also if the
 * instruction is to be repeated, because its page has just gone.
 */
enum msr_result synthetic_apic_page(struct cpu *cpu, struct vp *vp, u64 gpa, bool write, u64 *detail);

/* True if the child may make hypercalls at all; else VMMCALL is #UD. */
bool synthetic_has_hypercalls(const struct partition *p);

/* Its processors have synthetic interrupt controllers. */
bool synthetic_has_synic(const struct partition *p);

#endif
