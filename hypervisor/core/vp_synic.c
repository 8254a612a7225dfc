// SPDX-License-Identifier: GPL-2.0-only
/*
 * SynIC of children.  Laws: vp_synic.h.
 */
#include <hvabi/message.h>
#include "clock.h"
#include "platform.h"
#include "synic.h"
#include "time.h"
#include "translate.h"
#include "vp.h"
#include "vp_direct.h"

#define LOWEST_VECTOR	16u

void vp_synic_reset(struct vp_synic *s)
{
	*s = (struct vp_synic){ 0 };
	for (u32 i = 0; i < HVABI_SINTS; i++)
		s->sint[i] = HVABI_SINT_MASKED;
}

/* The event ring is a parent's. */
bool vp_synic_has_msr(u32 msr)
{
	return (msr >= HVABI_MSR_SCONTROL && msr <= HVABI_MSR_EOM) ||
	       (msr >= HVABI_MSR_SINT0 && msr < HVABI_MSR_SINT0 + HVABI_SINTS);
}

u64 vp_synic_read(const struct vp_synic *s, u32 msr)
{
	switch (msr) {
	case HVABI_MSR_SCONTROL:
		return s->scontrol;
	case HVABI_MSR_SVERSION:
		return 1;
	case HVABI_MSR_SIEFP:
		return s->siefp;
	case HVABI_MSR_SIMP:
		return s->simp;
	case HVABI_MSR_EOM:
		return 0;
	default:
		return s->sint[msr - HVABI_MSR_SINT0];
	}
}

/* A page that comes into use is empty, as one of the hypervisor's own would be. */
static enum vp_synic_result write_page(struct vp *vp, u64 *reg, u64 value, u64 *gpa)
{
	bool in_use = (*reg & HVABI_MSR_PAGE_ENABLE) && *reg >> PAGE_SHIFT == value >> PAGE_SHIFT;
	void *page;

	if ((value & HVABI_MSR_PAGE_ENABLE) && !in_use) {
		*gpa = align_down(value, PAGE_SIZE);
		page = guest_memory(vp->partition, *gpa, true);
		if (!page)
			return VP_SYNIC_FAULT;
		memset(page, 0, PAGE_SIZE);
	}
	*reg = value;
	return VP_SYNIC_DONE;
}

enum vp_synic_result vp_synic_write(struct vp *vp, u32 msr, u64 value, u64 *gpa)
{
	struct vp_synic *s = &vp->synic;
	enum vp_synic_result result = VP_SYNIC_DONE;

	switch (msr) {
	case HVABI_MSR_SCONTROL:
		s->scontrol = value;
		break;
	case HVABI_MSR_SVERSION:
		return VP_SYNIC_REFUSED;
	case HVABI_MSR_SIEFP:
		return write_page(vp, &s->siefp, value, gpa);
	case HVABI_MSR_SIMP:
		result = write_page(vp, &s->simp, value, gpa);
		break;
	case HVABI_MSR_EOM:
		break;
	default:
		if (!(value & HVABI_SINT_MASKED) && (value & HVABI_SINT_VECTOR_MASK) < LOWEST_VECTOR)
			return VP_SYNIC_REFUSED;
		s->sint[msr - HVABI_MSR_SINT0] = value;
		break;
	}
	/* What waits is tried again at the entry that follows: a new page has free slots. */
	if (result == VP_SYNIC_DONE)
		s->full = 0;
	return result;
}

bool vp_synic_takes_messages(const struct vp_synic *s, u32 sint)
{
	return (s->scontrol & HVABI_SCONTROL_ENABLE) && (s->simp & HVABI_MSR_PAGE_ENABLE) &&
	       !(s->sint[sint] & HVABI_SINT_MASKED) && !(s->full >> sint & 1);
}

static bool can_send(const struct vp *vp, const struct stimer *t)
{
	return t->message != TIME_NEVER && vp_synic_takes_messages(&vp->synic, stimer_sint(t));
}

bool vp_synic_pending(const struct vp *vp)
{
	for (u32 i = 0; i < HVABI_STIMERS; i++)
		if (can_send(vp, &vp->stimer[i]))
			return true;
	return direct_pending(vp);
}

static void write_timer_expired(const struct vp *vp, u32 timer, struct hvabi_message *slot)
{
	const struct hvabi_timer_expired_message m = {
		.timer_index = timer,
		.expiration_time = vp->stimer[timer].message,
		.delivery_time = clock_reference(vp->partition, clock_now(vp->partition)),
	};

	memcpy(slot->payload, &m, sizeof(m));
	slot->header.payload_size = sizeof(m);
	slot->header.message_flags = 0;
	slot->header.sender = 0;
	__atomic_store_n(&slot->header.message_type, HVABI_MSG_TIMER_EXPIRED, __ATOMIC_RELEASE);
}

bool vp_synic_free_slot(struct vp *vp, u32 sint, struct hvabi_message **slot, u64 *gpa)
{
	*gpa = align_down(vp->synic.simp, PAGE_SIZE) + sint * sizeof(**slot);
	*slot = guest_memory(vp->partition, *gpa, true);
	if (!*slot)
		return false;
	if (!synic_slot_free(*slot)) {
		vp->synic.full |= (u16)(1u << sint);
		*slot = NULL;
	}
	return true;
}

bool vp_synic_deliver(struct vp *vp, u64 *gpa)
{
	struct vp_synic *s = &vp->synic;

	for (u32 i = 0; i < HVABI_STIMERS; i++) {
		struct stimer *t = &vp->stimer[i];
		u32 sint = stimer_sint(t);
		struct hvabi_message *slot;

		if (!can_send(vp, t))
			continue;
		if (!vp_synic_free_slot(vp, sint, &slot, gpa))
			return false;
		if (!slot)
			continue;
		write_timer_expired(vp, i, slot);
		t->message = TIME_NEVER;
		if (!(s->sint[sint] & HVABI_SINT_POLLING))
			apic_accept(&vp->apic, APIC_MODE_FIXED, (u8)s->sint[sint], false);
	}
	return direct_deliver(vp, gpa);
}

bool vp_synic_auto_eoi(const struct vp_synic *s, u8 vector)
{
	for (u32 i = 0; i < HVABI_SINTS; i++)
		if ((s->sint[i] & HVABI_SINT_AUTO_EOI) && !(s->sint[i] & HVABI_SINT_MASKED) &&
		    (u8)s->sint[i] == vector)
			return true;
	return false;
}
