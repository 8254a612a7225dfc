// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registered results of MSRs.  Rules: msr_result.h.
 */
#include <hvabi/partition.h>
#include <hvabi/status.h>
#include "msr_result.h"
#include "vp.h"

/**
 * struct msr_result
 * @known: accesses (HVABI_MSR_RESULT_*) for which there is an action
 * @ignored: of these, which are ignored
 */
struct msr_result {
	u32 msr, known, ignored;
};

static struct msr_result *find(const struct vp *vp, u32 msr)
{
	struct msr_result *r = slots_next(&vp->msr_results, NULL);

	while (r && r->msr != msr)
		r = slots_next(&vp->msr_results, r);
	return r;
}

u16 msr_result_register(struct cpu *cpu, struct vp *vp, u32 msr, u32 access, u32 action)
{
	struct msr_result *r = find(vp, msr);

	if (!r && vp->msr_result_count == MSR_RESULTS_MAX)
		return HVABI_STATUS_INSUFFICIENT_BUFFERS;
	if (!r) {
		r = slots_get(&vp->msr_results, sizeof(*r), &vp->partition->pool, cpu);
		if (!r)
			return HVABI_STATUS_INSUFFICIENT_MEMORY;
		r->msr = msr;
		vp->msr_result_count++;
	}
	r->known |= access;
	r->ignored &= ~access;
	if (action == HVABI_UNIMPLEMENTED_MSR_IGNORE_WRITE_READ_ZERO)
		r->ignored |= access;
	return HVABI_STATUS_SUCCESS;
}

bool msr_result_ignores(const struct vp *vp, u32 msr, u32 access)
{
	const struct msr_result *r = find(vp, msr);

	if (r && (r->known & access))
		return r->ignored & access;
	return vp->partition->property[PROPERTY_UNIMPLEMENTED_MSR_ACTION] ==
	       HVABI_UNIMPLEMENTED_MSR_IGNORE_WRITE_READ_ZERO;
}

void msr_results_forget(struct vp *vp)
{
	struct msr_result *r, *next;

	for (r = slots_next(&vp->msr_results, NULL); r; r = next) {
		next = slots_next(&vp->msr_results, r);
		slots_put(&vp->msr_results, r, &vp->partition->pool);
	}
	vp->msr_result_count = 0;
}
