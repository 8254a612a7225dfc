// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of a child's processors.  Laws: interrupt.h.
 */
#include "cpu.h"
#include "deadline.h"
#include "interrupt.h"
#include "message.h"
#include "platform.h"
#include "sched.h"

#define RFLAGS_IF	BIT(9)
#define TYPE_NMI	2ull
#define VECTOR_NMI	2ull

static bool event_pending(const struct vp *vp)
{
	return vp->state.pending_interruption & HVABI_PENDING_INTERRUPTION_PENDING;
}

void vp_signal(struct cpu *cpu, struct vp *vp)
{
	if (vp->partition->scheduled) {
		vp->blocked = false;
		sched_wake(vp);
		return;
	}
	if (!vp->blocked || vp->dispatch_suspend)
		return;
	vp->blocked = false;
	synic_signal(cpu, vp);
}

/* Has a reason to run although it waits? */
static bool wanted(const struct vp *vp)
{
	const struct apic *a = &vp->apic;

	if (a->init)
		return true;
	if (a->wait_for_sipi)
		return a->sipi;
	if (!vp->halted || event_pending(vp) || (a->nmi && !vp->nmi_masked))
		return true;
	return ((vp->state.rflags & RFLAGS_IF) || vp->idle) &&
	       (a->extint >= 0 || apic_pending(a) != APIC_NO_VECTOR);
}

/* The priority is no obstacle. */
static bool priority_allows(const struct vp *vp)
{
	u32 now = partition_has_apic(vp->partition) ? apic_ppr(&vp->apic) >> 4 : (u32)vp->state.cr8;

	return !vp->notify_priority || vp->notify_priority > now;
}

/* Without an APIC nobody sends INIT or SIPI, and processors are started by their VMM. */
static bool is_started(const struct vp *vp)
{
	return !partition_has_apic(vp->partition) || !(vp->apic.init || vp->apic.wait_for_sipi);
}

static bool takes_nothing(const struct vp *vp)
{
	return event_pending(vp) || !is_started(vp);
}

static bool takes_nmi(const struct vp *vp)
{
	return !takes_nothing(vp) && !vp->nmi_masked && !vp->apic.nmi && !vp->state.interrupt_shadow &&
	       vp->state.rip != vp->iret_rip;
}

static bool takes_interrupt(const struct vp *vp)
{
	return !takes_nothing(vp) && (vp->state.rflags & RFLAGS_IF) && !vp->state.interrupt_shadow &&
	       vp->apic.extint < 0 && priority_allows(vp);
}

bool vp_has_notification(const struct vp *vp)
{
	return vp->deliverable || (vp->notify_nmi && takes_nmi(vp)) || (vp->notify_interrupt && takes_interrupt(vp));
}

void vp_notify(struct vp *vp)
{
	if (vp->deliverable) {
		message_sint_deliverable(vp, vp->deliverable);
		vp->deliverable = 0;
	} else if (vp->notify_nmi && takes_nmi(vp)) {
		message_interruption_deliverable(vp, HVABI_DELIVERABLE_NMI);
		vp->notify_nmi = false;
	} else {
		message_interruption_deliverable(vp, HVABI_DELIVERABLE_INTERRUPT);
		vp->notify_interrupt = false;
	}
}

bool vp_watches_window(const struct vp *vp)
{
	return vp->notify_interrupt && is_started(vp) && vp->apic.extint < 0 && priority_allows(vp);
}

void vp_wake(struct cpu *cpu, struct vp *vp)
{
	if (vp->running && vp->cpu != cpu)
		cpu_kick(vp->cpu);
	else if (!vp->running && (wanted(vp) || vp_synic_pending(vp) || vp_has_notification(vp)))
		vp_signal(cpu, vp);
}

typedef bool change_base_fn(struct apic *apic, u64 value, u64 physical_mask);

static bool change_apic_base(struct vp *vp, u64 value, change_base_fn *change)
{
	bool ok;

	/* Without an APIC the register is a number that nobody reads. */
	if (!partition_has_apic(vp->partition)) {
		vp->apic.base = value;
		return true;
	}
	if ((value & APIC_BASE_EXTD) &&
	    !(vp->partition->creation_flags & HVABI_PARTITION_FLAG_X2APIC_CAPABLE))
		return false;
	ok = change(&vp->apic, value, BIT(platform_info.physical_bits) - 1);
	/* Switched off, it has lost its priority. */
	vp->state.cr8 = apic_cr8(&vp->apic);
	deadline_update(vp);
	return ok;
}

bool vp_write_apic_base(struct vp *vp, u64 value)
{
	return change_apic_base(vp, value, apic_write_base);
}

bool vp_set_apic_base(struct vp *vp, u64 value)
{
	return change_apic_base(vp, value, apic_set_base);
}

static void request(struct cpu *cpu, struct vp *vp, const struct apic_ipi *ipi)
{
	if (apic_accept(&vp->apic, ipi->mode, ipi->vector, ipi->level))
		vp_wake(cpu, vp);
}

static bool is_target(const struct vp *vp, const struct vp *from, const struct apic_ipi *ipi)
{
	switch (ipi->shorthand) {
	case APIC_TO_SELF:
		return vp == from;
	case APIC_TO_ALL:
		return true;
	case APIC_TO_OTHERS:
		return vp != from;
	default:
		return apic_is_target(&vp->apic, ipi);
	}
}

void interrupt_send(struct cpu *cpu, struct partition *p, struct vp *from, const struct apic_ipi *ipi)
{
	struct vp *lowest = NULL;

	/* The de-assert of INIT only concerns processors that are long gone. */
	if (ipi->mode == APIC_MODE_INIT && ipi->level && !ipi->assert)
		return;
	for (u32 i = 0; i < MAX_VPS; i++) {
		struct vp *vp = p->vps[i];

		if (!vp || !is_target(vp, from, ipi))
			continue;
		if (ipi->mode != APIC_MODE_LOWEST)
			request(cpu, vp, ipi);
		else if (!apic_takes_fixed(&vp->apic))
			continue;
		else if (!lowest || apic_ppr(&vp->apic) < apic_ppr(&lowest->apic))
			lowest = vp;
	}
	if (lowest)
		request(cpu, lowest, ipi);
}

bool vp_ready(struct vp *vp)
{
	struct apic *a = &vp->apic;

	if (!partition_has_apic(vp->partition))
		return true;
	if (a->init) {
		vp_init(vp);
		apic_init(a);
		deadline_update(vp);
	}
	if (a->wait_for_sipi) {
		if (!a->sipi)
			return false;
		a->sipi = false;
		a->wait_for_sipi = false;
		vp_start_at(vp, a->sipi_vector);
	}
	if (!wanted(vp))
		return false;
	vp->halted = false;
	vp->idle = false;
	return true;
}

void vp_deliver(struct vp *vp)
{
	struct apic *a = &vp->apic;

	if (event_pending(vp)) {
		/* One of the parent's own, or one that was cut short: no other until its IRET. */
		if ((vp->state.pending_interruption >> HVABI_PENDING_INTERRUPTION_TYPE_SHIFT & 7) == TYPE_NMI)
			vp->nmi_masked = true;
		return;
	}
	/* The IRET that was announced still stands there: a fault of its own came first. */
	if (vp->state.rip == vp->iret_rip)
		return;
	vp->iret_rip = VP_NO_IRET;
	if (!partition_has_apic(vp->partition) || !a->nmi || vp->nmi_masked || vp->state.interrupt_shadow)
		return;
	a->nmi = false;
	vp->nmi_masked = true;
	vp->state.pending_interruption = HVABI_PENDING_INTERRUPTION_PENDING |
					 TYPE_NMI << HVABI_PENDING_INTERRUPTION_TYPE_SHIFT |
					 VECTOR_NMI << HVABI_PENDING_INTERRUPTION_VECTOR_SHIFT;
}

int vp_offer(struct vp *vp)
{
	struct apic *a = &vp->apic;
	int vector;

	a->offered = APIC_NO_VECTOR;
	if (!partition_has_apic(vp->partition))
		return APIC_NO_VECTOR;
	if (a->extint >= 0) {
		a->extint_offered = true;
		return a->extint;
	}
	vector = apic_pending(a);
	if (vector != APIC_NO_VECTOR)
		apic_offer(a, (u8)vector);
	return vector;
}

void vp_offer_end(struct vp *vp, u8 vector, bool taken)
{
	struct apic *a = &vp->apic;

	if (a->extint_offered) {
		a->extint_offered = false;
		/* Not taken, it comes first; and it is gone already if the parent took it back. */
		if (taken || a->extint < 0) {
			a->extint = a->extint_next;
			a->extint_next = APIC_NO_VECTOR;
		}
		return;
	}
	apic_offer_end(a, taken);
	/* A message's is an edge, so nobody wants to hear of its end. */
	if (taken && vp_synic_auto_eoi(&vp->synic, vector))
		apic_eoi(a, &vector);
}

static int in_service(const struct apic *a)
{
	for (int word = 7; word >= 0; word--)
		if (a->isr[word])
			return word * 32 + 31 - __builtin_clz(a->isr[word]);
	return APIC_NO_VECTOR;
}

bool vp_watches_cr8(const struct vp *vp)
{
	const struct apic *a = &vp->apic;
	int vector = partition_has_apic(vp->partition) ? apic_requested(a) : APIC_NO_VECTOR;

	if (vp->notify_interrupt && !priority_allows(vp))
		return true;
	return vector != APIC_NO_VECTOR && vector >> 4 > in_service(a) >> 4;
}

void vp_nmi_done(struct vp *vp)
{
	vp->nmi_masked = false;
	vp->iret_rip = vp->state.rip;
}
