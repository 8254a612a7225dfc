/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Doorbells: ports of the parent's, and connections by which writes of a child ring them.
 *
 *	child writes to GPA ---> connection(s): size and value as asked for?
 *	                              |
 *	                           port ---> event ring of a processor of the parent's
 *	                              |
 *	                     "pending": no ring could take it; tried again when one may
 *
 * Laws
 *  - What was rung arrives, at least once: it stands in a ring, or its port is pending.  Several
 *    rings of a port that is pending are one.
 *  - A write that rings changes nothing else but RIP.  One that does not fit any connection, or
 *    by another instruction than MOV, is an intercept as if there were none.
 *  - A port is memory of the parent's pool, a connection of the child's.  Both go with the
 *    child; a connection outlives its port, and rings nothing then.
 *
 * Lock: the world exclusively for life and death of ports and connections; of what is pending synic_lock().
 */
#ifndef CORE_PORT_H
#define CORE_PORT_H

#include "types.h"

struct cpu;
struct partition;
struct vp;

/**
 * struct port - of type doorbell
 * @child: id of the partition that may connect
 * @target: processor whose ring is used, or HVABI_PORT_ANY_VP
 */
struct port {
	u64 child;
	u32 id;
	u32 sint, target;
	bool pending;
};

/**
 * struct connection - of a child to a port
 * @port: NULL if it was deleted
 * @flags: HVABI_DOORBELL_*
 */
struct connection {
	struct port *port;
	u64 gpa, value, flags;
	u32 id;
};

/* Statuses: INVALID_PORT_ID or INVALID_CONNECTION_ID (taken, or there is none), INSUFFICIENT_MEMORY. */
u16 port_create(struct cpu *cpu, const struct port *port);
u16 port_delete(u32 id);
u16 port_connect(struct cpu *cpu, struct partition *p, u32 port, const struct connection *connection);
u16 port_disconnect(struct partition *p, u32 connection);

/* @p is finalized: its connections go, and the ports that are for it. */
void ports_forget(struct partition *p);

/*
 * @vp stands at a write to @gpa, where nothing is mapped.  True: it rang, and RIP is behind it
 * (or the instruction is to be repeated, because its page has just gone).
 */
bool port_doorbell(struct cpu *cpu, struct vp *vp, u64 gpa);

/* Any port has something to say that no ring has taken.  Also without the lock. */
bool ports_pending(void);

/* Rings may have room now: try what is pending, preferably on @cpu.  Lock: synic_lock(), here and below. */
void ports_retry(struct cpu *cpu);

/* The page of rings at @page, which was @cpu's, is not any more: what the parent did not take is pending. */
void ports_take_back(struct cpu *cpu, u64 page);

#endif
