/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The synthetic interrupt controllers of children, one a processor (TLFS 11): registers, and
 * the messages of synthetic timers, which are the only ones that children get.
 *
 * Laws
 *  - The pages of messages and event flags are the child's own memory.  No address of the
 *    parent's is kept: the page is looked up in the second-level map when it is written.
 *  - A message stays with what sends it until it stands in a free slot of an enabled page,
 *    for a SINT that is not masked.  So none is lost, however long that takes.
 *  - Only the processor itself writes its slots, before it enters the child.  If the parent
 *    has not mapped the page, the child stops with a memory intercept as if it had written
 *    there, and it is tried again at the next entry.  A processor that waits is woken for it.
 *  - A slot that is occupied is not looked at again before an EOM: its "pending" flag asks for
 *    one (synic_slot_free()).
 *
 * Lock: the partition's.
 */
#ifndef CORE_VP_SYNIC_H
#define CORE_VP_SYNIC_H

#include <hvabi/cpuid.h>
#include "types.h"

struct hvabi_message;
struct vp;

/**
 * struct vp_synic - of one processor
 * @full: SINTs for which a message waits for an EOM
 */
struct vp_synic {
	u64 scontrol, siefp, simp;
	u64 sint[HVABI_SINTS];
	u16 full;
};

void vp_synic_reset(struct vp_synic *s);

/* True if @msr is one of the controller's. */
bool vp_synic_has_msr(u32 msr);

u64 vp_synic_read(const struct vp_synic *s, u32 msr);

enum vp_synic_result {
	VP_SYNIC_DONE,
	VP_SYNIC_REFUSED,	/* #GP: nothing happened */
	VP_SYNIC_FAULT,		/* the child's page at *@gpa must be writable first: nothing happened */
};

enum vp_synic_result vp_synic_write(struct vp *vp, u32 msr, u64 value, u64 *gpa);

/* A message for @sint can be written, as far as can be said without the page. */
bool vp_synic_takes_messages(const struct vp_synic *s, u32 sint);

/*
 * The slot of @sint in the message page, which is on.  False: the page at *@gpa must be writable first.  *@slot is NULL
 * where the slot is full; then the child has been asked to say when it is not.
 */
bool vp_synic_free_slot(struct vp *vp, u32 sint, struct hvabi_message **slot, u64 *gpa);

/* A message waits that could be written, as far as can be said without the page. */
bool vp_synic_pending(const struct vp *vp);

/*
 * Write the messages that can be.  False: the child's page at *@gpa must be writable first;
 * nothing is lost.
 */
bool vp_synic_deliver(struct vp *vp, u64 *gpa);

/* An interrupt of @vector needs no EOI: it is a SINT's that says so. */
bool vp_synic_auto_eoi(const struct vp_synic *s, u8 vector);

#endif
