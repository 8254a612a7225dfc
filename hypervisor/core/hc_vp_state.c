// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls on the state of a processor that is no register: GET_VP_STATE and SET_VP_STATE.  Calls
 * and layouts are Linux's and rust-vmm's, include/hvabi/vp.h.
 *
 * Every state that there is fits one page.  A state that is set is copied first, since it stands
 * in memory of the parent's, then checked as a whole, then taken over.
 */
#include <hvabi/status.h>
#include <hvabi/vp.h>
#include "clock.h"
#include "deadline.h"
#include "frame.h"
#include "hypercall.h"
#include "interrupt.h"
#include "platform.h"
#include "synthetic.h"
#include "time.h"
#include "translate.h"
#include "vp.h"
#include "vp_assist.h"
#include "xsave.h"

#define STIMER_WORDS	((u32)sizeof(struct hvabi_synthetic_timers_state) / 8)

/* True if there is room for a page of state, in pages that are the parent's. */
static bool has_pages(const struct hypercall *c)
{
	const struct hvabi_input_vp_state *in = c->in;

	for (u32 i = 0; i < c->varhead; i++)
		if (!frame_is_parents(in->data[i]))
			return false;
	return c->varhead;
}

/* Which states there are, and that the caller's parameters fit. */
static u16 check(const struct hypercall *c, const struct vp *vp)
{
	const struct hvabi_input_vp_state *in = c->in;

	if (in->input_vtl)
		return HVABI_STATUS_INVALID_PARAMETER;
	if ((in->type & HVABI_VP_STATE_BY_PAGES) && !has_pages(c))
		return HVABI_STATUS_INVALID_PARAMETER;
	switch (in->type) {
	case HVABI_VP_STATE_LAPIC:
	case HVABI_VP_STATE_SIM_PAGE:
	case HVABI_VP_STATE_SIEF_PAGE:
	case HVABI_VP_STATE_SYNTHETIC_TIMERS:
		return partition_has_apic(vp->partition) ? HVABI_STATUS_SUCCESS :
							  HVABI_STATUS_INVALID_PARAMETER;
	case HVABI_VP_STATE_XSAVE:
		if (in->xsave_flags || (in->xsave_states & ~platform_info.xcr0_mask))
			return HVABI_STATUS_INVALID_PARAMETER;
		return HVABI_STATUS_SUCCESS;
	default:
		return HVABI_STATUS_INVALID_PARAMETER;
	}
}

/*
 * A page of the SynIC is memory of the child's, and travels with that.  So one that the parent has not
 * mapped at the moment reads as empty, and setting it changes nothing.
 */
static void get_synic_page(struct vp *vp, u64 reg, void *page)
{
	const void *from = NULL;

	if (reg & HVABI_MSR_PAGE_ENABLE)
		from = guest_memory(vp->partition, align_down(reg, PAGE_SIZE), false);
	if (from)
		memcpy(page, from, PAGE_SIZE);
}

static void get_page(struct vp *vp, const struct hvabi_input_vp_state *in, void *page)
{
	memset(page, 0, PAGE_SIZE);
	switch (in->type) {
	case HVABI_VP_STATE_LAPIC:
		apic_get_state(&vp->apic, clock_now(vp->partition), page);
		break;
	case HVABI_VP_STATE_XSAVE:
		xsave_get_image(vp_xsave_area(vp), in->xsave_states, page);
		break;
	case HVABI_VP_STATE_SIM_PAGE:
		get_synic_page(vp, vp->synic.simp, page);
		break;
	case HVABI_VP_STATE_SIEF_PAGE:
		get_synic_page(vp, vp->synic.siefp, page);
		break;
	}
}

/* Of a period, "adjustment" is the part that has gone. */
static void get_timers(const struct vp *vp, struct hvabi_synthetic_timers_state *s)
{
	u64 now = clock_reference(vp->partition, clock_now(vp->partition));

	for (u32 i = 0; i < HVABI_STIMERS; i++) {
		const struct stimer *t = &vp->stimer[i];

		s->timers[i].config = t->config;
		s->timers[i].count = t->count;
		if ((t->config & HVABI_STIMER_PERIODIC) && t->expiry != TIME_NEVER && t->expiry - now < t->count)
			s->timers[i].adjustment = t->count - (t->expiry - now);
		if (t->message == TIME_NEVER)
			continue;
		s->timers[i].flags = HVABI_STIMER_STATE_UNDELIVERED;
		s->timers[i].undelivered_expiration_time = t->message;
	}
}

/*
 * What is in service is known only once the promise "no EOI required" has been looked for in the child's
 * page.  While that is not mapped the processor has to run first, which brings it in.
 */
static u16 settle_eoi(struct vp *vp, const struct hvabi_input_vp_state *in)
{
	u64 gpa;

	if (in->type != HVABI_VP_STATE_LAPIC || !vp->assist_promised || vp_assist_leave(vp, &gpa))
		return HVABI_STATUS_SUCCESS;
	return HVABI_STATUS_INVALID_VP_STATE;
}

/* What both calls ask first: a processor that stands still, with a state that is known. */
static u16 begin(struct hypercall *c, struct vp **vp)
{
	const struct hvabi_input_vp_state *in = c->in;
	u16 status = hc_stopped_vp(c, in->partition_id, in->vp_index, vp);

	if (!status)
		status = check(c, *vp);
	return status ? status : settle_eoi(*vp, in);
}

/* GET_VP_STATE (0x00e3): timers that are due have expired. */
u16 hc_get_vp_state(struct hypercall *c)
{
	const struct hvabi_input_vp_state *in = c->in;
	struct vp *vp;
	u16 status = begin(c, &vp);

	if (status)
		return status;
	deadline_expire_vp(c->cpu, vp, platform_tsc());
	vp_load_register_page(vp);
	if (in->type == HVABI_VP_STATE_SYNTHETIC_TIMERS)
		get_timers(vp, c->out);
	else
		get_page(vp, in, platform_phys(in->data[0] << PAGE_SHIFT));
	return HVABI_STATUS_SUCCESS;
}

static u16 set_page(struct vp *vp, const struct hvabi_input_vp_state *in, void *copy)
{
	memcpy(copy, platform_phys(in->data[0] << PAGE_SHIFT), PAGE_SIZE);
	if (in->type == HVABI_VP_STATE_LAPIC)
		apic_set_state(&vp->apic, clock_now(vp->partition), copy);
	if (in->type != HVABI_VP_STATE_XSAVE)
		return HVABI_STATUS_SUCCESS;
	vp_load_register_page(vp);
	if (!xsave_set_image(vp_xsave_area(vp), in->xsave_states, copy))
		return HVABI_STATUS_INVALID_PARAMETER;
	if (vp_register_page_valid(vp))
		vp_store_register_page(vp);
	return HVABI_STATUS_SUCCESS;
}

static u16 set_timers(struct vp *vp, const struct hypercall *c)
{
	const struct hvabi_input_vp_state *in = c->in;
	const struct hvabi_synthetic_timers_state *s = (const void *)in->data;
	u64 now = clock_reference(vp->partition, clock_now(vp->partition));
	struct stimer new[HVABI_STIMERS];

	if (c->varhead < STIMER_WORDS)
		return HVABI_STATUS_INVALID_PARAMETER;
	stimers_reset(new);
	for (u32 i = 0; i < HVABI_STIMERS; i++) {
		const struct hvabi_stimer_state *from = &s->timers[i];

		new[i].count = from->count;
		if (!stimer_write_config(&new[i], from->config, now, synthetic_has_synic(vp->partition)))
			return HVABI_STATUS_INVALID_PARAMETER;
		if ((from->config & HVABI_STIMER_PERIODIC) && new[i].expiry != TIME_NEVER)
			new[i].expiry -= from->adjustment % from->count;
		if (from->flags & HVABI_STIMER_STATE_UNDELIVERED)
			new[i].message = from->undelivered_expiration_time;
	}
	memcpy(vp->stimer, new, sizeof(new));
	return HVABI_STATUS_SUCCESS;
}

/* SET_VP_STATE (0x00e4): what a get has answered is accepted. */
u16 hc_set_vp_state(struct hypercall *c)
{
	const struct hvabi_input_vp_state *in = c->in;
	struct vp *vp;
	u16 status = begin(c, &vp);

	if (!status)
		status = in->type == HVABI_VP_STATE_SYNTHETIC_TIMERS ? set_timers(vp, c) :
								      set_page(vp, in, c->out);
	if (status)
		return status;
	deadline_update(vp);
	/* What was set may be what it waited for. */
	if (!vp_suspended(vp) && partition_has_apic(vp->partition))
		vp_wake(c->cpu, vp);
	return HVABI_STATUS_SUCCESS;
}
