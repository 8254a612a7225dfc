/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a parent registered for a child's processor about MSRs that the hypervisor does not know: an access faults,
 * or a write is ignored and a read zero.  It goes before the partition's property for all of them.
 *
 * One entry for each MSR, MSR_RESULTS_MAX at most, memory of the child's pool; they go with the processor.
 *
 * Lock: the partition's.
 */
#ifndef CORE_MSR_RESULT_H
#define CORE_MSR_RESULT_H

#include "types.h"

struct cpu;
struct vp;

#define MSR_RESULTS_MAX	256u

/*
 * Set @action (0: fault, 1: ignore) for accesses @access (HVABI_MSR_RESULT_*).  INSUFFICIENT_MEMORY, or
 * INSUFFICIENT_BUFFERS if there are too many.
 */
u16 msr_result_register(struct cpu *cpu, struct vp *vp, u32 msr, u32 access, u32 action);

/* Is an access of kind @access to @msr, which nobody knows, ignored? */
bool msr_result_ignores(const struct vp *vp, u32 msr, u32 access);

void msr_results_forget(struct vp *vp);

#endif
