// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls on virtual processors: life, registers, state pages,
 * translation, dispatch.
 */
#include <hvabi/partition.h>
#include <hvabi/status.h>
#include <hvabi/vp.h>
#include "hypercall.h"
#include "interrupt.h"
#include "lock.h"
#include "platform.h"
#include "sched.h"
#include "stats.h"
#include "translate.h"
#include "vp.h"

u16 hc_active_vp(struct hypercall *c, u64 id, u32 index, struct vp **vp)
{
	struct partition *p;
	u16 status = hc_active_child(c, id, &p);

	if (status)
		return status;
	*vp = vp_find(p, index);
	return *vp ? HVABI_STATUS_SUCCESS : HVABI_STATUS_INVALID_VP_INDEX;
}

u16 hc_stopped_vp(struct hypercall *c, u64 id, u32 index, struct vp **vp)
{
	u16 status = hc_active_vp(c, id, index, vp);

	if (!status && (*vp)->running)
		status = HVABI_STATUS_INVALID_VP_STATE;
	return status;
}

/* CREATE_VP (0x004e): starts in reset state, and suspended until EXPLICIT_SUSPEND is cleared. */
u16 hc_create_vp(struct hypercall *c)
{
	const struct hvabi_create_vp *in = c->in;
	struct partition *p;
	u16 status = hc_active_child(c, in->partition_id, &p);

	if (status)
		return status;
	if (in->flags || in->subnode_type)
		return HVABI_STATUS_INVALID_PARAMETER;
	return vp_create(c->cpu, p, in->vp_index);
}

/* DELETE_VP (0x004f) */
u16 hc_delete_vp(struct hypercall *c)
{
	const struct hvabi_input_delete_vp *in = c->in;
	struct vp *vp;
	u16 status = hc_stopped_vp(c, in->partition_id, in->vp_index, &vp);

	if (status)
		return status;
	stats_forget_vp(c->cpu, vp);
	vp_destroy(vp);
	return HVABI_STATUS_SUCCESS;
}

/* GET_VP_REGISTERS (0x0050): what the register page holds counts as written. */
u16 hc_get_vp_registers(struct hypercall *c)
{
	const struct hvabi_input_get_vp_registers *in = c->in;
	union hvabi_register_value *out = c->out;
	struct vp *vp;
	u16 status = hc_active_vp(c, in->partition_id, in->vp_index, &vp);

	if (status)
		return status;
	for (; c->done < c->limit; c->done++) {
		if (!vp->running && !vp_register_is_aside(vp, in->names[c->done]))
			vp_load_register_page(vp);
		status = vp_get_register(vp, in->names[c->done], &out[c->done]);
		if (status)
			break;
	}
	return status;
}

/*
 * Where the parent does not run the processor itself, it has to know that one it has suspended stands
 * still, and whether in an intercept.  It was kicked, and leaves after one exit at most.
 */
static u16 await_stop(struct hypercall *c, u64 id, u32 index)
{
	for (;;) {
		struct vp *vp;
		u16 status;

		c->target = &parent;
		status = hc_active_vp(c, id, index, &vp);
		if (status || !vp->running || !vp->explicit_suspend)
			return status;
		partition_unlock(c->cpu);
		world_leave(c->cpu);
		platform_relax();
		world_enter(c->cpu);
	}
}

/* Does it set anything that the register page may have another value of? */
static bool sets_page(const struct hypercall *c, struct vp *vp)
{
	const struct hvabi_input_set_vp_registers *in = c->in;

	for (u32 i = c->done; i < c->limit; i++)
		if (!vp_register_is_aside(vp, in->elements[i].name))
			return true;
	return false;
}

/*
 * SET_VP_REGISTERS (0x0051): in order; the first bad one ends the call, and
 * "reps completed" is its index.  Those before it are set.
 */
u16 hc_set_vp_registers(struct hypercall *c)
{
	const struct hvabi_input_set_vp_registers *in = c->in;
	struct vp *vp;
	u16 status = hc_active_vp(c, in->partition_id, in->vp_index, &vp);
	bool page;

	if (status)
		return status;
	page = !vp->running && sets_page(c, vp);
	if (page)
		vp_load_register_page(vp);
	for (; c->done < c->limit; c->done++) {
		const struct hvabi_register_assoc *e = &in->elements[c->done];

		status = vp_set_register(c->cpu, vp, e->name, &e->value);
		if (status)
			break;
	}
	if (page && vp_register_page_valid(vp))
		vp_store_register_page(vp);
	/* What was set may be what it waited for. */
	if (!vp->running && !vp_suspended(vp) && partition_has_apic(vp->partition))
		vp_wake(c->cpu, vp);
	if (!status && vp->partition->scheduled && vp->running)
		status = await_stop(c, in->partition_id, in->vp_index);
	return status;
}

/* TRANSLATE_VIRTUAL_ADDRESS (0x0052): a failed walk is a result, not a failure. */
u16 hc_translate_virtual_address(struct hypercall *c)
{
	const struct hvabi_input_translate_virtual_address *in = c->in;
	struct hvabi_output_translate_virtual_address *out = c->out;
	const u64 known = 0x3ff;
	struct vp *vp;
	u64 gpa = 0;
	u16 status = hc_stopped_vp(c, in->partition_id, in->vp_index, &vp);

	if (status)
		return status;
	if (in->control_flags & ~known)
		return HVABI_STATUS_INVALID_PARAMETER;
	vp_load_register_page(vp);
	out->result_code = translate(vp, in->gva_page << PAGE_SHIFT, in->control_flags, &gpa);
	if (out->result_code == HVABI_TRANSLATE_SUCCESS)
		out->gpa_page = gpa >> PAGE_SHIFT;
	return HVABI_STATUS_SUCCESS;
}

static u16 state_page_type(u16 type, u8 vtl, enum vp_page *which)
{
	if (vtl || (type != HVABI_VP_STATE_PAGE_REGISTERS &&
		    type != HVABI_VP_STATE_PAGE_INTERCEPT_MESSAGE))
		return HVABI_STATUS_INVALID_PARAMETER;
	*which = type == HVABI_VP_STATE_PAGE_REGISTERS ? VP_PAGE_REGISTERS : VP_PAGE_MESSAGE;
	return HVABI_STATUS_SUCCESS;
}

/* MAP_VP_STATE_PAGE (0x00e1): the caller names the page, as an L1VH parent does. */
u16 hc_map_vp_state_page(struct hypercall *c)
{
	const struct hvabi_input_map_vp_state_page *in = c->in;
	struct hvabi_output_map_vp_state_page *out = c->out;
	enum vp_page which;
	struct vp *vp;
	u16 status = hc_stopped_vp(c, in->partition_id, in->vp_index, &vp);

	if (!status)
		status = state_page_type(in->type, in->input_vtl, &which);
	if (!status && in->flags != HVABI_VP_STATE_PAGE_LOCATION_PROVIDED)
		status = HVABI_STATUS_INVALID_PARAMETER;
	if (!status)
		status = vp_map_page(vp, which, in->requested_map_location);
	if (!status)
		out->map_location = in->requested_map_location;
	return status;
}

/* UNMAP_VP_STATE_PAGE (0x00e2) */
u16 hc_unmap_vp_state_page(struct hypercall *c)
{
	const struct hvabi_input_unmap_vp_state_page *in = c->in;
	enum vp_page which;
	struct vp *vp;
	u16 status = hc_stopped_vp(c, in->partition_id, in->vp_index, &vp);

	if (!status)
		status = state_page_type(in->type, in->input_vtl, &which);
	return status ? status : vp_unmap_page(vp, which);
}

static u16 dispatch_flags(u32 flags)
{
	const u32 known = HVABI_DISPATCH_CLEAR_INTERCEPT_SUSPEND |
			  HVABI_DISPATCH_ENABLE_CALLER_INTERRUPTS |
			  HVABI_DISPATCH_SKIP_VP_SPEC_FLUSH |
			  HVABI_DISPATCH_SKIP_CALLER_SPEC_FLUSH |
			  HVABI_DISPATCH_SKIP_CALLER_USER_SPEC_FLUSH;

	return flags & ~known ? HVABI_STATUS_INVALID_PARAMETER : HVABI_STATUS_SUCCESS;
}

/*
 * DISPATCH_VP (0x00c2): run the VP here until it stops or the parent is
 * wanted.  A VP that still stands in an intercept runs only with
 * CLEAR_INTERCEPT_SUSPEND, and one that is scheduled here not at all.  A time slice is refused: any interrupt of the
 * parent ends the stay anyhow.
 */
u16 hc_dispatch_vp(struct hypercall *c)
{
	const struct hvabi_input_dispatch_vp *in = c->in;
	struct hvabi_output_dispatch_vp *out = c->out;
	enum run_result result;
	struct vp *vp;
	u16 status = hc_stopped_vp(c, in->partition_id, in->vp_index, &vp);

	if (!status)
		status = dispatch_flags(in->flags);
	if (status)
		return status;
	if (vp->partition->scheduled)
		return HVABI_STATUS_OPERATION_DENIED;
	if (in->time_slice || in->spec_ctrl)
		return HVABI_STATUS_INVALID_PARAMETER;
	if (!vp->overlay[VP_PAGE_MESSAGE])
		return HVABI_STATUS_INVALID_VP_STATE;
	if (vp->intercept_suspend && !(in->flags & HVABI_DISPATCH_CLEAR_INTERCEPT_SUSPEND))
		return HVABI_STATUS_INVALID_VP_STATE;
	vp->intercept_suspend = false;
	*out = (struct hvabi_output_dispatch_vp){ HVABI_DISPATCH_STATE_BLOCKED,
						  HVABI_DISPATCH_EVENT_SUSPEND };
	vp->blocked = true;
	if (vp_suspended(vp))
		return HVABI_STATUS_SUCCESS;
	vp->blocked = false;
	result = vp_run(c->cpu, vp);
	switch (result) {
	case RUN_INTERCEPT:
		*out = (struct hvabi_output_dispatch_vp){ HVABI_DISPATCH_STATE_READY,
							  HVABI_DISPATCH_EVENT_INTERCEPT };
		break;
	case RUN_BLOCKED:
		count(c->cpu, vp->partition, HVABI_COUNT_BLOCKED, 1);
		vp->blocked = true;
		*out = (struct hvabi_output_dispatch_vp){ HVABI_DISPATCH_STATE_BLOCKED,
							  HVABI_DISPATCH_EVENT_NONE };
		break;
	case RUN_PREEMPTED:
	case RUN_STOPPED:
		vp->blocked = vp_suspended(vp);
		if (!vp->blocked)
			*out = (struct hvabi_output_dispatch_vp){ HVABI_DISPATCH_STATE_READY,
								  HVABI_DISPATCH_EVENT_NONE };
		break;
	case RUN_GONE:
		c->target = &parent;
		return HVABI_STATUS_INVALID_PARTITION_STATE;
	}
	return HVABI_STATUS_SUCCESS;
}

/*
 * ASSERT_VIRTUAL_INTERRUPT (0x0094): as a device's message, or at the local inputs of the
 * processor with APIC id @dest_addr.  A destination that nobody has is no error, as on a bus.
 */
u16 hc_assert_virtual_interrupt(struct hypercall *c)
{
	const u32 flags = HVABI_INTERRUPT_LEVEL_TRIGGERED | HVABI_INTERRUPT_LOGICAL_DEST;
	const struct hvabi_input_assert_virtual_interrupt *in = c->in;
	struct apic_ipi ipi = {
		.shorthand = APIC_TO_DEST, .dest = (u32)in->dest_addr, .vector = (u8)in->vector,
		.logical = in->interrupt_flags & HVABI_INTERRUPT_LOGICAL_DEST,
		.level = in->interrupt_flags & HVABI_INTERRUPT_LEVEL_TRIGGERED, .assert = true,
	};
	struct partition *p;
	struct vp *vp;
	u16 status = hc_active_child(c, in->partition_id, &p);

	if (status)
		return status;
	if (!partition_has_apic(p) || (in->interrupt_flags & ~flags) || in->target_vtl ||
	    in->vector > 255 || in->dest_addr > UINT32_MAX)
		return HVABI_STATUS_INVALID_PARAMETER;
	switch (in->interrupt_type) {
	case HVABI_INTERRUPT_TYPE_FIXED:
	case HVABI_INTERRUPT_TYPE_LOWEST_PRIORITY:
		if (in->vector < 16)
			return HVABI_STATUS_INVALID_PARAMETER;
		break;
	case HVABI_INTERRUPT_TYPE_NMI:
	case HVABI_INTERRUPT_TYPE_INIT:
	case HVABI_INTERRUPT_TYPE_SIPI:
	case HVABI_INTERRUPT_TYPE_EXTINT:
		break;
	case HVABI_INTERRUPT_TYPE_LOCALINT0:
	case HVABI_INTERRUPT_TYPE_LOCALINT1:
		vp = in->dest_addr < MAX_VPS ? vp_find(p, (u32)in->dest_addr) : NULL;
		if (vp && apic_local_interrupt(&vp->apic, in->interrupt_type ==
					       HVABI_INTERRUPT_TYPE_LOCALINT0 ? LVT_LINT0 : LVT_LINT1))
			vp_wake(c->cpu, vp);
		count(c->cpu, p, HVABI_COUNT_INTERRUPT_ASSERTED, 1);
		return HVABI_STATUS_SUCCESS;
	default:
		return HVABI_STATUS_INVALID_PARAMETER;
	}
	ipi.mode = (enum apic_mode)in->interrupt_type;
	interrupt_send(c->cpu, p, NULL, &ipi);
	count(c->cpu, p, HVABI_COUNT_INTERRUPT_ASSERTED, 1);
	return HVABI_STATUS_SUCCESS;
}

/*
 * CLEAR_VIRTUAL_INTERRUPT (0x0056): the ExtINT that was asserted is withdrawn.  A processor that
 * runs leaves, for it may have been offered it.
 */
u16 hc_clear_virtual_interrupt(struct hypercall *c)
{
	const struct hvabi_input_partition *in = c->in;
	struct partition *p;
	u16 status = hc_active_child(c, in->partition_id, &p);

	if (status)
		return status;
	if (!partition_has_apic(p))
		return HVABI_STATUS_INVALID_PARAMETER;
	for (u32 i = 0; i < MAX_VPS; i++) {
		struct vp *vp = p->vps[i];

		if (!vp || (vp->apic.extint == APIC_NO_VECTOR && vp->apic.extint_next == APIC_NO_VECTOR))
			continue;
		vp->apic.extint = APIC_NO_VECTOR;
		vp->apic.extint_next = APIC_NO_VECTOR;
		vp_wake(c->cpu, vp);
	}
	return HVABI_STATUS_SUCCESS;
}
