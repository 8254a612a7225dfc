/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parent's synthetic interrupt controllers, one a processor (TLFS 11): registers, the
 * message slot, scheduler signals, and what tells of event rings (event_ring.h).
 *
 * Laws
 *  - A signal is queued by linking its VP, so nothing is allocated and none is dropped; a VP
 *    is in at most one queue, once.
 *  - A message is written only into a free slot (type 0) of an enabled page; otherwise the
 *    slot's "pending" flag asks for an EOM.  The flag is set before the slot is looked at
 *    again, so one of both sides sees the other.
 *  - A queue whose processor cannot take messages any more moves to one that can; if none
 *    can, it waits.
 *  - VP_ROOT_SIGNAL_COUNT counts what was written into a slot, and nothing after
 *    DISPATCH_SUSPEND.
 *  - A notification is of a ring of this very processor, and stays with it.
 *
 * The pages of messages and event flags are preset: they lie in memory that Linux has been
 * told is reserved, as an L1VH parent expects.
 *
 * Lock: one for all of them, synic_lock(), since a signal goes where it is taken; and for all that can wait to be
 * said: event rings, pending ports, the links of VPs in queues.  Functions take it, but for those that say so.
 * Registers, EOM excepted, are written with the world exclusively.
 */
#ifndef CORE_SYNIC_H
#define CORE_SYNIC_H

#include <hvabi/cpuid.h>
#include <hvabi/message.h>
#include "types.h"

struct cpu;
struct hvabi_message;
struct vp;

/**
 * struct synic - of one processor of the parent
 * @preset: page number of the message page that it starts with; the event flags page follows
 * @signals: VPs to be named in scheduler signals or messages of their intercepts, linked by vp->signal_next; @signals_end: where the next goes
 * @ring_head: of each event ring: where the next entry goes; never reset
 * @notify: bit n: a message is to tell that ring n has something
 * @completion: of a call that was answered CALL_PENDING; @completed: a message is to tell of it
 */
struct synic {
	u64 scontrol, siefp, simp, sirbp;
	u64 sint[HVABI_SINTS];
	u64 preset;
	struct vp *signals;
	struct vp **signals_end;
	u8 ring_head[HVABI_SINTS];
	u16 notify;
	struct hvabi_async_call_completion completion;
	bool completed;
};

/* Registers at reset, with @pages (SPA of two pages) as message and event flags page. */
void synic_reset(struct cpu *cpu, u64 pages);

/* True if @msr is one of the controller's. */
bool synic_has_msr(u32 msr);

/* Its registers; synic_has_msr(@msr).  False: #GP. */
bool synic_read(const struct cpu *cpu, u32 msr, u64 *value);
bool synic_write(struct cpu *cpu, u32 msr, u64 value);

/*
 * Tell the parent, preferably on @cpu, that @vp could run again; or, where the hypervisor schedules it,
 * that it stands in an intercept.
 */
void synic_signal(struct cpu *cpu, struct vp *vp);

/* Under which the two that follow are called, and what rings has. */
void synic_lock(void);
void synic_unlock(void);

/* True if something would come of synic_notify() at once. */
bool synic_can_notify(const struct cpu *cpu, u32 sint);

/* Tell @cpu that its event ring of @sint has something: as that SINT says, by a message or its vector. */
void synic_notify(struct cpu *cpu, u32 sint);

/*
 * Tell @cpu how a call for partition @id ended that was answered CALL_PENDING.  False: it cannot be told
 * now, so answer at once.
 */
bool synic_complete(struct cpu *cpu, u64 id, u16 status);

/* Take back a signal that was not delivered yet.  False: there is none. */
bool synic_forget(struct vp *vp);

/* What ports wait to say is tried again, preferably on @cpu. */
void synic_retry(struct cpu *cpu);

/*
 * The same, as the parent says that a ring has room. Whoever has found it full may not have said yet that he waits: he has
 * the lock, so he is waited for.
 */
void synic_ring_has_room(struct cpu *cpu);

/*
 * The slot is free, or its reader will write EOM: its "pending" flag has been set.  Also for children, whose
 * slots have the same form.
 */
bool synic_slot_free(struct hvabi_message *slot);

#endif
