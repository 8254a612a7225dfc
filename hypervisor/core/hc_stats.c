// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls that tell of the hypervisor: statistics pages and system properties.  Layouts are
 * Linux's, include/hvabi/stats.h and partition.h.
 */
#include <hvabi/partition.h>
#include <hvabi/stats.h>
#include <hvabi/status.h>
#include "hypercall.h"
#include "options.h"
#include "stats.h"
#include "vp.h"

/* Logical processors have no counters that anybody outside knows, and no pages. */
static u16 check_object(struct hypercall *c, u32 type, const struct hvabi_stats_identity *id)
{
	struct partition *p;

	if (id->flags || id->reserved || id->area > HVABI_STATS_AREA_PARENT)
		return HVABI_STATUS_INVALID_PARAMETER;
	switch (type) {
	case HVABI_STATS_HYPERVISOR:
		return id->partition_id || id->vp_index ? HVABI_STATUS_INVALID_PARAMETER :
							  HVABI_STATUS_SUCCESS;
	case HVABI_STATS_PARTITION:
		if (id->vp_index)
			return HVABI_STATUS_INVALID_PARAMETER;
		break;
	case HVABI_STATS_VP:
		break;
	default:
		return HVABI_STATUS_INVALID_PARAMETER;
	}
	p = partition_find(id->partition_id);
	if (!p)
		return HVABI_STATUS_INVALID_PARTITION_ID;
	c->target = p;
	if (p->state != PARTITION_ACTIVE)
		return HVABI_STATUS_INVALID_PARTITION_STATE;
	if (type == HVABI_STATS_VP &&
	    (p->is_parent ? id->vp_index >= cpu_count : !vp_find(p, id->vp_index)))
		return HVABI_STATUS_INVALID_VP_INDEX;
	return HVABI_STATUS_SUCCESS;
}

/* MAP_STATS_PAGE (0x006c): the hypervisor chooses the page, out of the parent's pool. */
u16 hc_map_stats_page(struct hypercall *c)
{
	const struct hvabi_input_map_stats_page *in = c->in;
	u16 status = check_object(c, in->type, &in->identity);
	u64 pfn = 0;

	if (!status)
		status = stats_map(c->cpu, in->type, &in->identity, &pfn);
	*(u64 *)c->out = pfn;
	return status;
}

/* MAP_STATS_PAGE2 (0x0131): the parent does, as an L1VH one with overlay pages. */
u16 hc_map_stats_page2(struct hypercall *c)
{
	const struct hvabi_input_map_stats_page2 *in = c->in;
	u64 pfn = in->map_location;
	u16 status = check_object(c, in->type, &in->identity);

	if (status)
		return status;
	return pfn ? stats_map(c->cpu, in->type, &in->identity, &pfn) : HVABI_STATUS_INVALID_PARAMETER;
}

/* UNMAP_STATS_PAGE (0x006d): of either. */
u16 hc_unmap_stats_page(struct hypercall *c)
{
	const struct hvabi_input_map_stats_page *in = c->in;
	u16 status = check_object(c, in->type, &in->identity);

	return status ? status : stats_unmap(c->cpu, in->type, &in->identity);
}

/* GET_SYSTEM_PROPERTY (0x007b): who schedules children.  Linux asks as root; here anybody may. */
u16 hc_get_system_property(struct hypercall *c)
{
	const struct hvabi_input_get_system_property *in = c->in;

	if (in->property_id != HVABI_SYSTEM_PROPERTY_SCHEDULER_TYPE)
		return HVABI_STATUS_UNKNOWN_PROPERTY;
	*(u64 *)c->out = option(HVABI_OPTION_SCHEDULER) == HVABI_SCHEDULER_OPTION_ROOT ?
			  HVABI_SCHEDULER_ROOT : HVABI_SCHEDULER_CORE_SMT;
	return HVABI_STATUS_SUCCESS;
}
