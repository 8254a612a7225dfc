// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages and event flags without a port.  Laws: vp_direct.h.
 */
#include <hvabi/partition.h>
#include <hvabi/status.h>
#include "interrupt.h"
#include "synic.h"
#include "translate.h"
#include "vp.h"
#include "vp_direct.h"

/**
 * struct direct - what waits
 * @event: it is a flag, and @flag its number; else @message
 */
struct direct {
	u32 sint;
	bool event;
	u16 flag;
	struct hvabi_message message;
};

static struct direct *next_of(const struct vp *vp, const struct direct *d)
{
	return slots_next(&vp->direct, d);
}

static struct direct *add(struct cpu *cpu, struct vp *vp)
{
	return slots_get(&vp->direct, sizeof(struct direct), &vp->partition->pool, cpu);
}

static void interrupt(struct vp *vp, u32 sint)
{
	u64 value = vp->synic.sint[sint];

	if (!(value & (HVABI_SINT_MASKED | HVABI_SINT_POLLING)))
		apic_accept(&vp->apic, APIC_MODE_FIXED, (u8)value, false);
}

static bool takes_events(const struct vp_synic *s)
{
	return (s->scontrol & HVABI_SCONTROL_ENABLE) && (s->siefp & HVABI_MSR_PAGE_ENABLE);
}

static bool can_deliver(const struct vp *vp, const struct direct *d)
{
	return d->event ? takes_events(&vp->synic) : vp_synic_takes_messages(&vp->synic, d->sint);
}

static bool message_waits(const struct vp *vp, u32 sint)
{
	for (const struct direct *d = next_of(vp, NULL); d; d = next_of(vp, d))
		if (!d->event && d->sint == sint)
			return true;
	return false;
}

/* The parent wants to hear of it, and may be told, as far as can be said without the page. */
static bool can_notify(const struct vp *vp, u32 sint)
{
	return (vp->notify >> sint & 1) && vp_synic_takes_messages(&vp->synic, sint) && !message_waits(vp, sint);
}

bool direct_pending(const struct vp *vp)
{
	for (const struct direct *d = next_of(vp, NULL); d; d = next_of(vp, d))
		if (can_deliver(vp, d))
			return true;
	for (u32 sint = 0; vp->notify && sint < HVABI_SINTS; sint++)
		if (can_notify(vp, sint))
			return true;
	return false;
}

static u64 *flag_word(struct vp *vp, u32 sint, u16 flag, u64 *gpa)
{
	*gpa = align_down(vp->synic.siefp, PAGE_SIZE) + sint * (HVABI_EVENT_FLAGS / 8) + flag / 64u * 8;
	return guest_memory(vp->partition, *gpa, true);
}

/* Return: it was not set before. */
static bool set_flag(struct vp *vp, u64 *word, u32 sint, u16 flag)
{
	u64 bit = BIT(flag % 64u);
	bool newly = !(__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST) & bit);

	if (newly)
		interrupt(vp, sint);
	return newly;
}

/* False: the page at *@gpa is not there.  *@done: it does not wait any more. */
static bool deliver(struct vp *vp, struct direct *d, u64 *gpa, bool *done)
{
	struct hvabi_message *slot;
	u64 *word;

	*done = false;
	if (d->event) {
		word = flag_word(vp, d->sint, d->flag, gpa);
		if (!word)
			return false;
		set_flag(vp, word, d->sint, d->flag);
		*done = true;
		return true;
	}
	if (!vp_synic_free_slot(vp, d->sint, &slot, gpa))
		return false;
	if (!slot)
		return true;
	memcpy(slot->payload, d->message.payload, sizeof(slot->payload));
	slot->header.payload_size = d->message.header.payload_size;
	slot->header.message_flags = 0;
	slot->header.sender = d->message.header.sender;
	__atomic_store_n(&slot->header.message_type, d->message.header.message_type, __ATOMIC_RELEASE);
	interrupt(vp, d->sint);
	*done = true;
	return true;
}

bool direct_deliver(struct vp *vp, u64 *gpa)
{
	struct direct *d, *next;
	bool done;

	/* Who was to be told may not have been, for want of another page. */
	vp->notify |= vp->deliverable;
	vp->deliverable = 0;
	for (d = next_of(vp, NULL); d; d = next) {
		next = next_of(vp, d);
		if (!can_deliver(vp, d))
			continue;
		if (!deliver(vp, d, gpa, &done))
			return false;
		if (done)
			slots_put(&vp->direct, d, &vp->partition->pool);
	}
	for (u32 sint = 0; vp->notify && sint < HVABI_SINTS; sint++) {
		struct hvabi_message *slot;

		if (!can_notify(vp, sint))
			continue;
		if (!vp_synic_free_slot(vp, sint, &slot, gpa))
			return false;
		if (slot) {
			vp->notify &= (u16)~(1u << sint);
			vp->deliverable |= (u16)(1u << sint);
		}
	}
	return true;
}

void direct_notify(struct cpu *cpu, struct vp *vp, u16 sints)
{
	vp->notify = sints;
	vp->deliverable = 0;
	vp_wake(cpu, vp);
}

u16 direct_post(struct cpu *cpu, struct vp *vp, u32 sint, const struct hvabi_message *message)
{
	struct direct *d;

	if (message_waits(vp, sint))
		return HVABI_STATUS_INSUFFICIENT_BUFFERS;
	d = add(cpu, vp);
	if (!d)
		return HVABI_STATUS_INSUFFICIENT_MEMORY;
	d->sint = sint;
	d->message = *message;
	vp_wake(cpu, vp);
	return HVABI_STATUS_SUCCESS;
}

u16 direct_signal(struct cpu *cpu, struct vp *vp, u32 sint, u16 flag, bool *newly)
{
	u32 count = 0;
	struct direct *d;
	u64 gpa, *word;

	if (!takes_events(&vp->synic))
		return HVABI_STATUS_INVALID_SYNIC_STATE;
	word = flag_word(vp, sint, flag, &gpa);
	if (word) {
		*newly = set_flag(vp, word, sint, flag);
		if (*newly)
			vp_wake(cpu, vp);
		return HVABI_STATUS_SUCCESS;
	}
	*newly = false;
	for (d = next_of(vp, NULL); d; d = next_of(vp, d)) {
		if (d->event && d->sint == sint && d->flag == flag)
			return HVABI_STATUS_SUCCESS;
		count += d->event;
	}
	if (count == DIRECT_EVENTS)
		return HVABI_STATUS_INSUFFICIENT_BUFFERS;
	d = add(cpu, vp);
	if (!d)
		return HVABI_STATUS_INSUFFICIENT_MEMORY;
	d->event = true;
	d->sint = sint;
	d->flag = flag;
	*newly = true;
	vp_wake(cpu, vp);
	return HVABI_STATUS_SUCCESS;
}

void direct_forget(struct vp *vp)
{
	struct direct *d, *next;

	for (d = next_of(vp, NULL); d; d = next) {
		next = next_of(vp, d);
		slots_put(&vp->direct, d, &vp->partition->pool);
	}
}
