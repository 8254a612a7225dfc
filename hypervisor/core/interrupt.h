/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupts of a child: how they get from who sends them to who takes them, what wakes a
 * processor that waits, and what is delivered at its next entry.
 *
 * A child made without LAPIC_ENABLED has none of this: HLT is a message to the VMM, and its
 * processors always can run.
 *
 * Laws
 *  - What is requested stays requested (apic.h) until the processor takes it: waking is only
 *    a hint to look again.
 *  - A VP is answered "blocked" under the lock under which it was found to have nothing to do;
 *    whoever gives it something afterwards finds vp->blocked and signals.  So no wake-up falls
 *    in between.
 *  - Exceptions and NMIs are injected, one at a time: while one waits, or was cut short, no other
 *    is chosen.  Interrupts are offered: they stay requested until the processor has taken them.
 *  - A parent that has interruptions of its own hears when one would be taken
 *    (DELIVERABILITY_NOTIFICATIONS), once: of an interrupt before anything of the child runs after that, of an NMI
 *    at an exit, for nothing asks for one where NMIs are over.
 *
 * Lock: the partition's.
 */
#ifndef CORE_INTERRUPT_H
#define CORE_INTERRUPT_H

#include <hvabi/partition.h>
#include "vp.h"

struct cpu;

static inline bool partition_has_apic(const struct partition *p)
{
	return p->creation_flags & HVABI_PARTITION_FLAG_LAPIC_ENABLED;
}

/* Write APIC_BASE, by the guest.  False: not allowed. */
bool vp_write_apic_base(struct vp *vp, u64 value);

/* Set it, by its VMM, who may do more (apic.h). */
bool vp_set_apic_base(struct vp *vp, u64 value);

/* Deliver @ipi in @p; @from is the sender, NULL for a device (then @ipi has no shorthand). */
void interrupt_send(struct cpu *cpu, struct partition *p, struct vp *from, const struct apic_ipi *ipi);

/* Something was requested of @vp: have it look, wherever it is. */
void vp_wake(struct cpu *cpu, struct vp *vp);

/* @vp is blocked and could run again: signal the parent, once. */
void vp_signal(struct cpu *cpu, struct vp *vp);

/* Take INIT, SIPI and what ends HLT.  False: there is nothing to do for the processor. */
bool vp_ready(struct vp *vp);

/* Choose the NMI that is injected at the entry that follows: into state.pending_interruption. */
void vp_deliver(struct vp *vp);

/* The interrupt that the processor should take as soon as the guest lets it, or APIC_NO_VECTOR. */
int vp_offer(struct vp *vp);

/*
 * The processor has left, and had taken @vector, which was offered, or not; an ExtINT may have been
 * withdrawn meanwhile.
 */
void vp_offer_end(struct vp *vp, u8 vector, bool taken);

/*
 * A write of CR8 may change what is to be offered.  What waits for an EOI is not meant: that is
 * seen anyhow.
 */
bool vp_watches_cr8(const struct vp *vp);

/*
 * Is there anything of which the parent wants to hear: an NMI, or an interrupt, would be taken at the next instruction, or
 * a message for a SINT be delivered?
 */
bool vp_has_notification(const struct vp *vp);

/* Put the message of it into vp->message; it is not asked for any more.  The VP's registers are in its state. */
void vp_notify(struct vp *vp);

/* Is it RFLAGS.IF or the interrupt shadow that an interrupt waits for, of which the parent wants to hear? */
bool vp_watches_window(const struct vp *vp);

/* An IRET is about to end the guest's NMI handler. */
void vp_nmi_done(struct vp *vp);

#endif
