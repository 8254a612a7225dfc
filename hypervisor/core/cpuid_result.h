/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Results of CPUID that a parent registered for a child's processor: which bits of which leaf are
 * as it says, whatever the hypervisor would answer.
 *
 * Laws
 *  - One result for each leaf, or leaf and subleaf; a new one takes the place of the old.  The
 *    one for the subleaf goes before the one for all.
 *  - They are memory of the child's pool, CPUID_RESULTS_MAX at most, and go with the processor.
 *
 * Lock: the partition's.
 */
#ifndef CORE_CPUID_RESULT_H
#define CORE_CPUID_RESULT_H

#include "types.h"

struct cpu;
struct vp;

#define CPUID_RESULTS_MAX	256u

/**
 * struct cpuid_result
 * @one_subleaf: only for @subleaf
 * @always: also if the hypervisor answers nothing (zeros)
 * @value, @mask: of EAX, EBX, ECX, EDX
 */
struct cpuid_result {
	u32 leaf, subleaf;
	bool one_subleaf, always;
	u32 value[4], mask[4];
};

/* INSUFFICIENT_MEMORY, or INSUFFICIENT_BUFFERS if there are too many. */
u16 cpuid_result_register(struct cpu *cpu, struct vp *vp, const struct cpuid_result *result);

/* Make @out, the hypervisor's answer, the child's. */
void cpuid_result_apply(const struct vp *vp, u32 leaf, u32 subleaf, u32 out[4]);

void cpuid_results_forget(struct vp *vp);

#endif
