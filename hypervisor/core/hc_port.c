// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls on doorbell ports (TLFS 11.10 names the calls; their layouts and the doorbell form
 * are Linux's, include/hvabi/port.h).
 */
#include <hvabi/cpuid.h>
#include <hvabi/port.h>
#include <hvabi/status.h>
#include "cpu.h"
#include "hypercall.h"
#include "port.h"

static bool is_id(u32 id)
{
	return id && id <= HVABI_PORT_ID_MAX;
}

/*
 * CREATE_PORT (0x0095): a doorbell port of the parent's, for one active child.  Messages, events
 * and monitors have no ports here.
 */
u16 hc_create_port(struct hypercall *c)
{
	const struct hvabi_input_create_port *in = c->in;
	struct port port = {
		.id = in->port_id, .child = in->connection_partition_id,
		.sint = in->target_sint, .target = in->target_vp,
	};
	struct partition *p;
	u16 status;

	if (in->port_partition_id != HVABI_PARTITION_ID_SELF)
		return HVABI_STATUS_INVALID_PARTITION_ID;
	status = hc_active_child(c, in->connection_partition_id, &p);
	if (status)
		return status;
	if (!is_id(in->port_id))
		return HVABI_STATUS_INVALID_PORT_ID;
	if (in->port_type != HVABI_PORT_TYPE_DOORBELL || in->target_sint >= HVABI_SINTS ||
	    in->port_vtl || in->min_connection_vtl || in->rsvdz)
		return HVABI_STATUS_INVALID_PARAMETER;
	if (in->target_vp != HVABI_PORT_ANY_VP && in->target_vp >= cpu_count)
		return HVABI_STATUS_INVALID_VP_INDEX;
	return port_create(c->cpu, &port);
}

/* CONNECT_PORT (0x0096): an address of the child that the port was made for. */
u16 hc_connect_port(struct hypercall *c)
{
	const struct hvabi_input_connect_port *in = c->in;
	struct connection connection = {
		.id = in->connection_id, .gpa = in->gpa, .value = in->trigger_value,
		.flags = in->flags,
	};
	struct partition *p;
	u16 status = hc_active_child(c, in->connection_partition_id, &p);

	if (status)
		return status;
	if (in->port_partition_id != HVABI_PARTITION_ID_SELF)
		return HVABI_STATUS_INVALID_PARTITION_ID;
	if (!is_id(in->connection_id))
		return HVABI_STATUS_INVALID_CONNECTION_ID;
	if (!is_id(in->port_id))
		return HVABI_STATUS_INVALID_PORT_ID;
	if (in->port_type != HVABI_PORT_TYPE_DOORBELL || in->connection_vtl ||
	    (in->flags & ~(HVABI_DOORBELL_SIZE_MASK | HVABI_DOORBELL_ANY_VALUE)) ||
	    (in->flags & HVABI_DOORBELL_SIZE_MASK) > HVABI_DOORBELL_SIZE_QWORD ||
	    in->gpa >> PAGE_SHIFT >= NPT_GFN_LIMIT)
		return HVABI_STATUS_INVALID_PARAMETER;
	return port_connect(c->cpu, p, in->port_id, &connection);
}

/* DISCONNECT_PORT (0x005b): of a doorbell. */
u16 hc_disconnect_port(struct hypercall *c)
{
	const struct hvabi_input_disconnect_port *in = c->in;
	struct partition *p;
	u16 status = hc_active_child(c, in->connection_partition_id, &p);

	if (status)
		return status;
	if (in->flags != HVABI_DISCONNECT_DOORBELL)
		return HVABI_STATUS_INVALID_PARAMETER;
	return port_disconnect(p, in->connection_id);
}

/* DELETE_PORT (0x0058): its id may still stand in a ring. */
u16 hc_delete_port(struct hypercall *c)
{
	const struct hvabi_input_delete_port *in = c->in;

	if (in->port_partition_id != HVABI_PARTITION_ID_SELF)
		return HVABI_STATUS_INVALID_PARTITION_ID;
	return port_delete(in->port_id);
}

/*
 * NOTIFY_PORT_RING_EMPTY (0x008b): a ring of the calling processor was full, and has room now.  It
 * is of no matter which one: all that waits is tried.
 */
u16 hc_notify_port_ring_empty(struct hypercall *c)
{
	const struct hvabi_input_notify_port_ring_empty *in = c->in;

	if (in->sint_index >= HVABI_SINTS)
		return HVABI_STATUS_INVALID_PARAMETER;
	synic_ring_has_room(c->cpu);
	return HVABI_STATUS_SUCCESS;
}
