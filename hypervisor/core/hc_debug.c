// SPDX-License-Identifier: GPL-2.0-only
/*
 * Debug hypercalls: counters, "who can reach this page", options.
 * Contract: include/hvabi/debug.h.
 */
#include <hvabi/debug.h>
#include <hvabi/status.h>
#include "frame.h"
#include "hypercall.h"
#include "npt.h"
#include "options.h"
#include "partition.h"

/* DEBUG_GET_COUNTERS (0xf001) */
u16 hc_debug_get_counters(struct hypercall *c)
{
	const struct hvabi_input_debug_get_counters *in = c->in;
	struct partition *p = partition_find(in->partition_id);
	const struct counters *from;

	if (!p)
		return HVABI_STATUS_INVALID_PARTITION_ID;
	if (in->padding)
		return HVABI_STATUS_INVALID_PARAMETER;
	if (in->processor == HVABI_DEBUG_ALL_PROCESSORS) {
		from = p->counters;
	} else {
		if (!p->is_parent || in->processor >= cpu_count)
			return HVABI_STATUS_INVALID_PARAMETER;
		from = &cpus[in->processor]->counters;
	}
	if (!from)
		return HVABI_STATUS_INVALID_PARTITION_STATE;
	memcpy(c->out, from->value, sizeof(from->value));
	return HVABI_STATUS_SUCCESS;
}

static void look(const struct partition *p, u64 pfn,
		 struct hvabi_output_debug_who_can_reach *out)
{
	struct npt_iter it;

	for (npt_iter_begin(&it, &p->npt, 0); it.gfn < NPT_GFN_LIMIT; npt_iter_next(&it)) {
		u64 entry = npt_iter_entry(&it), base = npt_iter_pfn(&it);

		if (!(entry & NPTE_PRESENT) || pfn < base || pfn - base >= npt_pages(it.level))
			continue;
		if (out->found < HVABI_DEBUG_REACH_MAX)
			out->reach[out->found] = (struct hvabi_debug_reach){
				.partition_id = p->id,
				.gfn = it.gfn + (pfn - base),
				.rights = npt_rights(entry),
				.size = it.level,
			};
		out->found++;
	}
}

/*
 * DEBUG_WHO_CAN_REACH (0xf002).  Walks the tables of the children rather than
 * trusting the frame's count, which the answer gives beside it: the two must
 * agree but for state pages.
 */
u16 hc_debug_who_can_reach(struct hypercall *c)
{
	const struct hvabi_input_debug_who_can_reach *in = c->in;
	struct hvabi_output_debug_who_can_reach *out = c->out;
	const struct frame *f = frame_of(in->page);
	struct partition *p = partition_find(in->partition_id);
	struct npt_iter it;

	if (!p)
		return HVABI_STATUS_INVALID_PARTITION_ID;
	if (in->page >= NPT_GFN_LIMIT)
		return HVABI_STATUS_INVALID_PARAMETER;
	out->owner = f ? f->owner : FRAME_NONE;
	out->references = (u32)frame_refs(in->page);
	npt_iter_begin(&it, &parent.npt, in->page);
	out->parent_access = (npt_iter_entry(&it) & NPTE_PRESENT) != 0;
	if (!p->is_parent)
		look(p, in->page, out);
	else
		for (p = child_from_slot(0); p; p = child_from_slot(p->slot + 1u))
			look(p, in->page, out);
	return HVABI_STATUS_SUCCESS;
}

static u16 check_option(const struct hvabi_input_debug_option *in)
{
	if (in->partition_id != HVABI_PARTITION_ID_SELF)
		return HVABI_STATUS_INVALID_PARTITION_ID;
	if (in->padding || in->option >= HVABI_OPTION_MAX)
		return HVABI_STATUS_INVALID_PARAMETER;
	return HVABI_STATUS_SUCCESS;
}

/* DEBUG_SET_OPTION (0xf003) */
u16 hc_debug_set_option(struct hypercall *c)
{
	const struct hvabi_input_debug_option *in = c->in;
	u16 status = check_option(in);

	if (status)
		return status;
	if (in->option == HVABI_OPTION_PARK || !option_set(in->option, in->value))
		return HVABI_STATUS_INVALID_PARAMETER;
	*(u64 *)c->out = option(in->option);
	return HVABI_STATUS_SUCCESS;
}

/* DEBUG_GET_OPTION (0xf004) */
u16 hc_debug_get_option(struct hypercall *c)
{
	const struct hvabi_input_debug_option *in = c->in;
	u16 status = check_option(in);

	if (!status)
		*(u64 *)c->out = option(in->option);
	return status;
}
