// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doorbells.  Laws: port.h.
 */
#include <hvabi/port.h>
#include <hvabi/status.h>
#include "cpu.h"
#include "event_ring.h"
#include "partition.h"
#include "port.h"
#include "vp.h"
#include "vp_mov.h"

/* Ports that are pending; only says whether it is worth while to look. */
static u32 pending;

static struct port *next_port(const struct port *port)
{
	return slots_next(&parent.ports, port);
}

static struct connection *next_connection(const struct partition *p, const struct connection *c)
{
	return slots_next(&p->connections, c);
}

static struct port *port_find(u32 id)
{
	struct port *port = next_port(NULL);

	while (port && port->id != id)
		port = next_port(port);
	return port;
}

static struct connection *connection_find(const struct partition *p, u32 id)
{
	struct connection *c = next_connection(p, NULL);

	while (c && c->id != id)
		c = next_connection(p, c);
	return c;
}

static void set_pending(struct port *port, bool value)
{
	if (port->pending != value)
		__atomic_store_n(&pending, pending + (value ? 1 : ~0u), __ATOMIC_RELAXED);
	port->pending = value;
}

bool ports_pending(void)
{
	return __atomic_load_n(&pending, __ATOMIC_RELAXED);
}

u16 port_create(struct cpu *cpu, const struct port *port)
{
	struct port *slot;

	if (port_find(port->id))
		return HVABI_STATUS_INVALID_PORT_ID;
	slot = slots_get(&parent.ports, sizeof(*slot), &parent.pool, cpu);
	if (!slot)
		return HVABI_STATUS_INSUFFICIENT_MEMORY;
	*slot = *port;
	return HVABI_STATUS_SUCCESS;
}

static void remove_port(struct port *port)
{
	const struct partition *p = child_find(port->child);
	struct connection *c;

	for (c = next_connection(p, NULL); c; c = next_connection(p, c))
		if (c->port == port)
			c->port = NULL;
	set_pending(port, false);
	slots_put(&parent.ports, port, &parent.pool);
}

u16 port_delete(u32 id)
{
	struct port *port = port_find(id);

	if (!port)
		return HVABI_STATUS_INVALID_PORT_ID;
	remove_port(port);
	return HVABI_STATUS_SUCCESS;
}

u16 port_connect(struct cpu *cpu, struct partition *p, u32 id, const struct connection *connection)
{
	struct port *port = port_find(id);
	struct connection *slot;

	if (!port || port->child != p->id)
		return HVABI_STATUS_INVALID_PORT_ID;
	if (connection_find(p, connection->id))
		return HVABI_STATUS_INVALID_CONNECTION_ID;
	slot = slots_get(&p->connections, sizeof(*slot), &p->pool, cpu);
	if (!slot)
		return HVABI_STATUS_INSUFFICIENT_MEMORY;
	*slot = *connection;
	slot->port = port;
	return HVABI_STATUS_SUCCESS;
}

u16 port_disconnect(struct partition *p, u32 connection)
{
	struct connection *c = connection_find(p, connection);

	if (!c)
		return HVABI_STATUS_INVALID_CONNECTION_ID;
	slots_put(&p->connections, c, &p->pool);
	return HVABI_STATUS_SUCCESS;
}

void ports_forget(struct partition *p)
{
	struct connection *c, *after;
	struct port *port, *next;

	for (port = next_port(NULL); port; port = next) {
		next = next_port(port);
		if (port->child == p->id)
			remove_port(port);
	}
	for (c = next_connection(p, NULL); c; c = after) {
		after = next_connection(p, c);
		slots_put(&p->connections, c, &p->pool);
	}
}

/* ---- ringing ---- */

/* The processor whose ring is used, or NULL: there is none. */
static struct cpu *taker(struct cpu *cpu, const struct port *port)
{
	if (port->target != HVABI_PORT_ANY_VP)
		return ring_usable(cpus[port->target], port->sint) ? cpus[port->target] : NULL;
	if (ring_usable(cpu, port->sint))
		return cpu;
	for (u32 i = 0; i < cpu_count; i++)
		if (ring_usable(cpus[i], port->sint))
			return cpus[i];
	return NULL;
}

static void ring(struct cpu *cpu, struct port *port)
{
	struct cpu *to = taker(cpu, port);

	set_pending(port, !to || !ring_put(to, port->sint, port->id));
}

void ports_retry(struct cpu *cpu)
{
	if (!ports_pending())
		return;
	for (struct port *port = next_port(NULL); port; port = next_port(port))
		if (port->pending)
			ring(cpu, port);
}

void ports_take_back(struct cpu *cpu, u64 page)
{
	for (u32 sint = 0; sint < HVABI_SINTS; sint++) {
		/* Others of the parent's processors may be writing there: not for ever. */
		for (u32 n = 0; n < HVABI_EVENT_RING_ENTRIES; n++) {
			u32 id = ring_take_back(cpu, page, sint);
			struct port *port = id ? port_find(id) : NULL;

			if (!id)
				break;
			if (port)
				set_pending(port, true);
		}
		ring_unmask(page, sint);
	}
}

static bool fits(const struct connection *c, const struct vp *vp, const struct mov *mov)
{
	u64 size = c->flags & HVABI_DOORBELL_SIZE_MASK;

	if (size != HVABI_DOORBELL_SIZE_ANY && mov->bytes != BIT(size - 1))
		return false;
	return (c->flags & HVABI_DOORBELL_ANY_VALUE) || mov_value(vp, mov) == c->value;
}

static bool is_connected(const struct partition *p, u64 gpa)
{
	for (struct connection *c = next_connection(p, NULL); c; c = next_connection(p, c))
		if (c->gpa == gpa && c->port)
			return true;
	return false;
}

bool port_doorbell(struct cpu *cpu, struct vp *vp, u64 gpa)
{
	const struct partition *p = vp->partition;
	bool rang = false;
	struct mov mov;

	if (!is_connected(p, gpa))
		return false;
	switch (vp_decode_mov(vp, &mov)) {
	case VP_MOV_GONE:
		return true;
	case VP_MOV_OTHER:
		return false;
	case VP_MOV:
		break;
	}
	if (!mov.to_memory)
		return false;
	synic_lock();
	for (struct connection *c = next_connection(p, NULL); c; c = next_connection(p, c)) {
		if (c->gpa != gpa || !c->port || !fits(c, vp, &mov))
			continue;
		ring(cpu, c->port);
		rang = true;
	}
	synic_unlock();
	if (rang)
		vp_skip_mov(vp, &mov);
	return rang;
}
