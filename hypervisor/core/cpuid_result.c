// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registered results of CPUID.  Laws: cpuid_result.h.
 */
#include <hvabi/status.h>
#include "cpuid_result.h"
#include "vp.h"

static struct cpuid_result *next_result(const struct vp *vp, const struct cpuid_result *r)
{
	return slots_next(&vp->cpuid_results, r);
}

static struct cpuid_result *find(const struct vp *vp, u32 leaf, bool one_subleaf, u32 subleaf)
{
	struct cpuid_result *r;

	for (r = next_result(vp, NULL); r; r = next_result(vp, r))
		if (r->leaf == leaf && r->one_subleaf == one_subleaf &&
		    (!one_subleaf || r->subleaf == subleaf))
			return r;
	return NULL;
}

u16 cpuid_result_register(struct cpu *cpu, struct vp *vp, const struct cpuid_result *result)
{
	struct cpuid_result *r = find(vp, result->leaf, result->one_subleaf, result->subleaf);

	if (!r && vp->cpuid_result_count == CPUID_RESULTS_MAX)
		return HVABI_STATUS_INSUFFICIENT_BUFFERS;
	if (!r) {
		r = slots_get(&vp->cpuid_results, sizeof(*r), &vp->partition->pool, cpu);
		if (!r)
			return HVABI_STATUS_INSUFFICIENT_MEMORY;
		vp->cpuid_result_count++;
	}
	*r = *result;
	return HVABI_STATUS_SUCCESS;
}

void cpuid_result_apply(const struct vp *vp, u32 leaf, u32 subleaf, u32 out[4])
{
	const struct cpuid_result *r = find(vp, leaf, true, subleaf);

	if (!r)
		r = find(vp, leaf, false, 0);
	if (!r || (!r->always && !(out[0] | out[1] | out[2] | out[3])))
		return;
	for (u32 i = 0; i < 4; i++)
		out[i] = (r->value[i] & r->mask[i]) | (out[i] & ~r->mask[i]);
}

void cpuid_results_forget(struct vp *vp)
{
	struct cpuid_result *r, *next;

	for (r = next_result(vp, NULL); r; r = next) {
		next = next_result(vp, r);
		slots_put(&vp->cpuid_results, r, &vp->partition->pool);
	}
	vp->cpuid_result_count = 0;
}
