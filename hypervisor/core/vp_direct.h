/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages and event flags that a parent gives a child's SynIC directly, without a port (POST_MESSAGE_DIRECT,
 * SIGNAL_EVENT_DIRECT).
 *
 * Laws
 *  - What was accepted is not lost, and delivered once: it waits in a slot of the child's pool, under the same
 *    conditions as a timer's message (vp_synic.h), until the processor enters and its page is there.
 *  - One message waits for each SINT, and DIRECT_EVENTS flags for each processor; more are refused.
 *  - Who wants to hear of room for a message hears of it: the slot is looked at before each entry, and if it is
 *    full the child is asked for EOM, after which it enters again.
 *  - An event flag that can be set at once is: it is a bit that others may set meanwhile, so it is set atomically.
 *
 * Lock: the partition's.
 */
#ifndef CORE_VP_DIRECT_H
#define CORE_VP_DIRECT_H

#include <hvabi/message.h>
#include "types.h"

struct cpu;
struct vp;

#define DIRECT_EVENTS	64u

/*
 * Accept @message for slot @sint.  INSUFFICIENT_BUFFERS: one waits there already; INSUFFICIENT_MEMORY: of the
 * child's pool.
 */
u16 direct_post(struct cpu *cpu, struct vp *vp, u32 sint, const struct hvabi_message *message);

/*
 * Set @flag of @sint; *@newly: it was not set.  INVALID_SYNIC_STATE: no page, or the controller is off;
 * INSUFFICIENT_BUFFERS, INSUFFICIENT_MEMORY: its page is not there, and no room to remember it.
 */
u16 direct_signal(struct cpu *cpu, struct vp *vp, u32 sint, u16 flag, bool *newly);

/* Something waits that could be delivered, as far as can be said without the page. */
bool direct_pending(const struct vp *vp);

/* Deliver what can be.  False: the child's page at *@gpa must be writable first. */
bool direct_deliver(struct vp *vp, u64 *gpa);

/*
 * Have @vp stop when a message for one of @sints would be delivered at once, and say so; that one is asked for again
 * then.  Replaces what was wanted before.  The processor may run.
 */
void direct_notify(struct cpu *cpu, struct vp *vp, u16 sints);

/* @vp goes. */
void direct_forget(struct vp *vp);

#endif
