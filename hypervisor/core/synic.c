// SPDX-License-Identifier: GPL-2.0-only
/*
 * SynIC of the parent.  Laws: synic.h.
 */
#include <hvabi/message.h>
#include "cpu.h"
#include "frame.h"
#include "platform.h"
#include "port.h"
#include "synic.h"
#include "vp.h"

#define SINT_MESSAGES	0u	/* what Linux's driver listens to */
#define LOWEST_VECTOR	16u

static struct lock lock;

static bool forget(struct vp *vp);

void synic_lock(void)
{
	lock_acquire(&lock, LOCK_SYNIC);
}

void synic_unlock(void)
{
	lock_release(&lock, LOCK_SYNIC);
}

void synic_reset(struct cpu *cpu, u64 pages)
{
	struct synic *s = &cpu->synic;

	*s = (struct synic){
		.simp = pages, .siefp = pages + PAGE_SIZE, .preset = pages >> PAGE_SHIFT,
	};
	s->signals_end = &s->signals;
	for (u32 i = 0; i < HVABI_SINTS; i++)
		s->sint[i] = HVABI_SINT_MASKED;
	memset(platform_phys(pages), 0, 2 * PAGE_SIZE);
}

bool synic_has_msr(u32 msr)
{
	return (msr >= HVABI_MSR_SCONTROL && msr <= HVABI_MSR_SIRBP) ||
	       (msr >= HVABI_MSR_SINT0 && msr < HVABI_MSR_SINT0 + HVABI_SINTS);
}

bool synic_read(const struct cpu *cpu, u32 msr, u64 *value)
{
	const struct synic *s = &cpu->synic;

	switch (msr) {
	case HVABI_MSR_SCONTROL:
		*value = s->scontrol;
		return true;
	case HVABI_MSR_SVERSION:
		*value = 1;
		return true;
	case HVABI_MSR_SIEFP:
		*value = s->siefp;
		return true;
	case HVABI_MSR_SIMP:
		*value = s->simp;
		return true;
	case HVABI_MSR_EOM:
		*value = 0;
		return true;
	case HVABI_MSR_SIRBP:
		*value = s->sirbp;
		return true;
	default:
		*value = s->sint[msr - HVABI_MSR_SINT0];
		return true;
	}
}

static bool can_take(const struct synic *s)
{
	return (s->scontrol & HVABI_SCONTROL_ENABLE) && (s->simp & HVABI_MSR_PAGE_ENABLE) &&
	       !(s->sint[SINT_MESSAGES] & HVABI_SINT_MASKED);
}

bool synic_slot_free(struct hvabi_message *slot)
{
	if (!__atomic_load_n(&slot->header.message_type, __ATOMIC_ACQUIRE))
		return true;
	slot->header.message_flags |= HVABI_MESSAGE_FLAG_PENDING;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return !__atomic_load_n(&slot->header.message_type, __ATOMIC_ACQUIRE);
}

/* One message for each ring: Linux takes no list. */
static u32 fill_notification(struct synic *s, struct hvabi_message *slot)
{
	struct hvabi_synic_sint_intercept *m = (void *)slot->payload;

	m->sint_index = (u32)__builtin_ctz(s->notify);
	s->notify &= (u16)(s->notify - 1);
	slot->header.payload_size = sizeof(*m);
	return HVABI_MSG_SYNIC_SINT_INTERCEPT;
}

static u32 fill_completion(struct synic *s, struct hvabi_message *slot)
{
	memcpy(slot->payload, &s->completion, sizeof(s->completion));
	s->completed = false;
	slot->header.payload_size = sizeof(s->completion);
	return HVABI_MSG_ASYNC_CALL_COMPLETION;
}

static u32 fill_opaque(struct synic *s, struct hvabi_message *slot)
{
	struct hvabi_opaque_intercept *m = (void *)slot->payload;
	struct vp *vp = s->signals;

	m->vp_index = vp->index;
	slot->header.payload_size = sizeof(*m);
	slot->header.sender = vp->partition->id;
	forget(vp);
	return HVABI_MSG_OPAQUE_INTERCEPT;
}

static u32 fill_signals(struct cpu *cpu, struct hvabi_message *slot)
{
	struct hvabi_scheduler_vp_signal_pair *m = (void *)slot->payload;
	struct synic *s = &cpu->synic;

	memset(m, 0, sizeof(*m));
	while (s->signals && !s->signals->partition->scheduled && m->vp_count < HVABI_SIGNAL_PAIRS) {
		struct vp *vp = s->signals;

		m->partition_ids[m->vp_count] = vp->partition->id;
		m->vp_indexes[m->vp_count++] = vp->index;
		count(cpu, vp->partition, HVABI_COUNT_SIGNAL, 1);
		__atomic_store_n(&vp->root_signals, vp->root_signals + 1, __ATOMIC_RELAXED);
		forget(vp);
	}
	slot->header.payload_size = sizeof(*m);
	return HVABI_MSG_SCHEDULER_VP_SIGNAL_PAIR;
}

static bool has_messages(const struct synic *s)
{
	return s->signals || s->notify || s->completed;
}

static void deliver(struct cpu *cpu)
{
	struct synic *s = &cpu->synic;
	struct hvabi_message *slot;
	u32 type;

	if (!has_messages(s) || !can_take(s))
		return;
	slot = (struct hvabi_message *)platform_phys(align_down(s->simp, PAGE_SIZE)) + SINT_MESSAGES;
	if (!synic_slot_free(slot))
		return;
	slot->header.sender = 0;
	if (s->completed)
		type = fill_completion(s, slot);
	else if (s->notify)
		type = fill_notification(s, slot);
	else
		type = s->signals->partition->scheduled ? fill_opaque(s, slot) : fill_signals(cpu, slot);
	slot->header.message_flags = has_messages(s) ? HVABI_MESSAGE_FLAG_PENDING : 0;
	__atomic_store_n(&slot->header.message_type, type, __ATOMIC_RELEASE);
	platform_raise(cpu, (u8)(s->sint[SINT_MESSAGES] & HVABI_SINT_VECTOR_MASK));
}

/* Where a signal goes that comes up on @cpu. */
static struct cpu *taker(struct cpu *cpu)
{
	if (can_take(&cpu->synic))
		return cpu;
	for (u32 i = 0; i < cpu_count; i++)
		if (can_take(&cpus[i]->synic))
			return cpus[i];
	return cpu;
}

static void enqueue(struct synic *s, struct vp *vp)
{
	vp->signal_next = NULL;
	vp->signal_on = s;
	*s->signals_end = vp;
	s->signals_end = &vp->signal_next;
}

static bool forget(struct vp *vp)
{
	struct synic *s = vp->signal_on;
	struct vp **at;

	if (!s)
		return false;
	for (at = &s->signals; *at != vp; at = &(*at)->signal_next)
		;
	*at = vp->signal_next;
	if (s->signals_end == &vp->signal_next)
		s->signals_end = at;
	vp->signal_on = NULL;
	return true;
}

bool synic_forget(struct vp *vp)
{
	bool was_queued;

	synic_lock();
	was_queued = forget(vp);
	synic_unlock();
	return was_queued;
}

void synic_signal(struct cpu *cpu, struct vp *vp)
{
	struct cpu *to;

	synic_lock();
	to = taker(cpu);
	if (!vp->signal_on) {
		enqueue(&to->synic, vp);
		deliver(to);
	}
	synic_unlock();
}

bool synic_can_notify(const struct cpu *cpu, u32 sint)
{
	const struct synic *s = &cpu->synic;

	return !(s->sint[sint] & HVABI_SINT_MASKED) &&
	       (!(s->sint[sint] & HVABI_SINT_AS_INTERCEPT) || can_take(s));
}

void synic_notify(struct cpu *cpu, u32 sint)
{
	struct synic *s = &cpu->synic;

	if (!(s->sint[sint] & HVABI_SINT_AS_INTERCEPT)) {
		platform_raise(cpu, (u8)(s->sint[sint] & HVABI_SINT_VECTOR_MASK));
		return;
	}
	s->notify |= (u16)BIT(sint);
	deliver(cpu);
}

bool synic_complete(struct cpu *cpu, u64 id, u16 status)
{
	struct synic *s = &cpu->synic;
	bool can;

	synic_lock();
	can = !s->completed && can_take(s);
	if (can) {
		s->completion = (struct hvabi_async_call_completion){
			.partition_id = id, .status = status, .completion_count = 1,
		};
		s->completed = true;
		deliver(cpu);
	}
	synic_unlock();
	return can;
}

void synic_ring_has_room(struct cpu *cpu)
{
	synic_lock();
	ports_retry(cpu);
	synic_unlock();
}

void synic_retry(struct cpu *cpu)
{
	if (ports_pending())
		synic_ring_has_room(cpu);
}

/* A register has changed: what waits may go, or has to go elsewhere. */
static void settle(struct cpu *cpu)
{
	struct cpu *to = taker(cpu);

	while (to != cpu && cpu->synic.signals) {
		struct vp *vp = cpu->synic.signals;

		forget(vp);
		enqueue(&to->synic, vp);
	}
	for (u32 i = 0; can_take(&cpu->synic) && i < cpu_count; i++)
		while (cpus[i] != cpu && cpus[i]->synic.signals && !can_take(&cpus[i]->synic)) {
			struct vp *vp = cpus[i]->synic.signals;

			forget(vp);
			enqueue(&cpu->synic, vp);
		}
	deliver(to);
	ports_retry(cpu);
}

/* A page of the parent's cannot be deposited while messages may be written to it; the preset ones never can. */
static bool change_page(struct synic *s, u64 *reg, u64 value)
{
	u64 pfn = value >> PAGE_SHIFT, old = *reg >> PAGE_SHIFT;
	bool on = value & HVABI_MSR_PAGE_ENABLE, preset = pfn == s->preset || pfn == s->preset + 1;

	if (on && !preset && !frame_is_parents(pfn))
		return false;
	if ((*reg & HVABI_MSR_PAGE_ENABLE) && frame_is_parents(old))
		frame_put(old, 1);
	if (on && !preset)
		frame_get(pfn, 1);
	*reg = value;
	return true;
}

/* What stands in the rings of a page that goes is remembered, and goes elsewhere. */
static bool change_ring_page(struct cpu *cpu, u64 value)
{
	struct synic *s = &cpu->synic;
	u64 old = s->sirbp;

	if (!change_page(s, &s->sirbp, value))
		return false;
	if (!(old & HVABI_MSR_PAGE_ENABLE) || old == value)
		return true;
	s->notify = 0;
	ports_take_back(cpu, old);
	return true;
}

/* With auto-EOI the hypervisor would have to reach into the parent's own APIC: not offered (hint "no auto-EOI"). */
static bool change_sint(u64 *sint, u64 value)
{
	if (value & HVABI_SINT_AUTO_EOI)
		return false;
	if (!(value & HVABI_SINT_MASKED) && (value & HVABI_SINT_VECTOR_MASK) < LOWEST_VECTOR)
		return false;
	*sint = value;
	return true;
}

static bool write(struct cpu *cpu, u32 msr, u64 value)
{
	struct synic *s = &cpu->synic;
	bool ok = true;

	switch (msr) {
	case HVABI_MSR_SCONTROL:
		s->scontrol = value;
		break;
	case HVABI_MSR_SVERSION:
		return false;
	case HVABI_MSR_SIEFP:
		ok = change_page(s, &s->siefp, value);
		break;
	case HVABI_MSR_SIMP:
		ok = change_page(s, &s->simp, value);
		break;
	case HVABI_MSR_EOM:
		break;
	case HVABI_MSR_SIRBP:
		ok = change_ring_page(cpu, value);
		break;
	default:
		ok = change_sint(&s->sint[msr - HVABI_MSR_SINT0], value);
		break;
	}
	if (ok)
		settle(cpu);
	return ok;
}

bool synic_write(struct cpu *cpu, u32 msr, u64 value)
{
	bool ok;

	synic_lock();
	ok = write(cpu, msr, value);
	synic_unlock();
	return ok;
}
