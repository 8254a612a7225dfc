// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls on what a child's CPUID answers.  Calls and layouts are rust-vmm's,
 * include/hvabi/partition.h.
 */
#include <hvabi/partition.h>
#include <hvabi/status.h>
#include "cpuid_result.h"
#include "hypercall.h"
#include "msr_result.h"
#include "platform.h"
#include "shootdown.h"
#include "vp.h"

#define XCR0_X87	BIT(0)

/*
 * The form for MSRs: of those that the hypervisor does not know, in place of what UNIMPLEMENTED_MSR_ACTION says
 * of all.
 */
static u16 register_msr(struct hypercall *c, struct vp *vp)
{
	const struct hvabi_input_register_intercept_result_msr *in = c->in;
	const u32 both = HVABI_MSR_RESULT_READ | HVABI_MSR_RESULT_WRITE;

	if (!in->access_type || (in->access_type & ~both) ||
	    in->action > HVABI_UNIMPLEMENTED_MSR_IGNORE_WRITE_READ_ZERO)
		return HVABI_STATUS_INVALID_PARAMETER;
	return msr_result_register(c->cpu, vp, in->msr_index, in->access_type, in->action);
}

/* REGISTER_INTERCEPT_RESULT (0x0091): of CPUID or an MSR, at any time. */
u16 hc_register_intercept_result(struct hypercall *c)
{
	const struct hvabi_input_register_intercept_result *in = c->in;
	struct cpuid_result result = {
		.leaf = in->cpuid_eax, .subleaf = in->cpuid_ecx,
		.one_subleaf = in->subleaf_specific, .always = in->always_override,
	};
	struct vp *vp;
	u16 status = hc_active_vp(c, in->partition_id, in->vp_index, &vp);

	if (status)
		return status;
	if (in->intercept_type == HVABI_INTERCEPT_TYPE_MSR)
		return register_msr(c, vp);
	if (in->intercept_type != HVABI_INTERCEPT_TYPE_CPUID || in->subleaf_specific > 1 ||
	    in->always_override > 1)
		return HVABI_STATUS_INVALID_PARAMETER;
	for (u32 i = 0; i < 4; i++) {
		result.value[i] = in->result[i].value;
		result.mask[i] = in->result[i].mask;
	}
	/* Exits that take no lock look there. */
	evict(c->cpu, vp->partition);
	return cpuid_result_register(c->cpu, vp, &result);
}

static bool is_xfem(u64 xfem)
{
	return (xfem & XCR0_X87) && !(xfem & ~platform_info.xcr0_mask);
}

/*
 * GET_VP_CPUID_VALUES (0x00f4): what the processor's CPUID would answer now, or with another XCR0.
 * There is no supervisor state: XSS changes nothing.
 */
u16 hc_get_vp_cpuid_values(struct hypercall *c)
{
	const u32 known = HVABI_VP_CPUID_USE_XFEM_XSS | HVABI_VP_CPUID_APPLY_REGISTERED;
	const struct hvabi_input_get_vp_cpuid_values *in = c->in;
	bool own = in->flags & HVABI_VP_CPUID_USE_XFEM_XSS;
	u32 (*out)[4] = c->out;
	struct vp *vp;
	u16 status = hc_stopped_vp(c, in->partition_id, in->vp_index, &vp);

	if (status)
		return status;
	if (in->flags & ~known)
		return HVABI_STATUS_INVALID_PARAMETER;
	for (u32 i = 0; i < c->reps; i++)
		if (!own && !is_xfem(in->leaves[i].xfem))
			return HVABI_STATUS_INVALID_PARAMETER;
	for (; c->done < c->limit; c->done++) {
		const struct hvabi_vp_cpuid_leaf *leaf = &in->leaves[c->done];
		u32 *answer = out[c->done];

		platform_cpuid(vp, leaf->eax, leaf->ecx, own ? vp->state.xcr0 : leaf->xfem, answer);
		if (in->flags & HVABI_VP_CPUID_APPLY_REGISTERED)
			cpuid_result_apply(vp, leaf->eax, leaf->ecx, answer);
	}
	return HVABI_STATUS_SUCCESS;
}
