/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Doorbell ports: a child's write to one address becomes a number in a ring of its parent, and no
 * intercept.
 *
 * The parent creates a port of its own and connects a child to it by an address. A write of the
 * size and value asked for is swallowed, and the port's id is put into the event ring of a SINT of
 * one of the parent's processors (page of SIRBP). The parent is notified once until it has drained
 * the ring: message SYNIC_SINT_INTERCEPT in slot 0, if the SINT is delivered "as intercept".
 */
#ifndef HVABI_PORT_H
#define HVABI_PORT_H

#include "types.h"

/* Port and connection ids: 24 bits, chosen by the parent; 0 is none. */
#define HVABI_PORT_ID_MAX		0xffffffu

/* hvabi_input_create_port::port_type, hvabi_input_connect_port::port_type */
#define HVABI_PORT_TYPE_MESSAGE		1u
#define HVABI_PORT_TYPE_EVENT		2u
#define HVABI_PORT_TYPE_MONITOR		3u
#define HVABI_PORT_TYPE_DOORBELL	4u

/* hvabi_input_create_port::target_vp: whichever the hypervisor likes. */
#define HVABI_PORT_ANY_VP		0xffffffffu

/* CREATE_PORT, with the form of port_info that doorbells have */
struct hvabi_input_create_port {
	uint64_t port_partition_id;
	uint32_t port_id;
	uint8_t port_vtl;
	uint8_t min_connection_vtl;
	uint16_t padding;
	uint64_t connection_partition_id;
	uint32_t port_type;
	uint32_t port_padding;
	uint32_t target_sint;
	uint32_t target_vp;
	uint64_t rsvdz;
	struct hvabi_proximity_domain_info proximity;
};

HVABI_ASSERT_SIZE(struct hvabi_input_create_port, 56);
HVABI_ASSERT_AT(struct hvabi_input_create_port, port_partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_create_port, port_id, 8);
HVABI_ASSERT_AT(struct hvabi_input_create_port, port_vtl, 12);
HVABI_ASSERT_AT(struct hvabi_input_create_port, min_connection_vtl, 13);
HVABI_ASSERT_AT(struct hvabi_input_create_port, padding, 14);
HVABI_ASSERT_AT(struct hvabi_input_create_port, connection_partition_id, 16);
HVABI_ASSERT_AT(struct hvabi_input_create_port, port_type, 24);
HVABI_ASSERT_AT(struct hvabi_input_create_port, port_padding, 28);
HVABI_ASSERT_AT(struct hvabi_input_create_port, target_sint, 32);
HVABI_ASSERT_AT(struct hvabi_input_create_port, target_vp, 36);
HVABI_ASSERT_AT(struct hvabi_input_create_port, rsvdz, 40);
HVABI_ASSERT_AT(struct hvabi_input_create_port, proximity, 48);

/* hvabi_input_connect_port::flags: size of the write, and whether its value matters. */
#define HVABI_DOORBELL_SIZE_MASK	0x7ull
#define HVABI_DOORBELL_SIZE_ANY		0x0ull
#define HVABI_DOORBELL_SIZE_BYTE	0x1ull
#define HVABI_DOORBELL_SIZE_WORD	0x2ull
#define HVABI_DOORBELL_SIZE_DWORD	0x3ull
#define HVABI_DOORBELL_SIZE_QWORD	0x4ull
#define HVABI_DOORBELL_ANY_VALUE	0x80000000ull

/* CONNECT_PORT, likewise */
struct hvabi_input_connect_port {
	uint64_t connection_partition_id;
	uint32_t connection_id;
	uint8_t connection_vtl;
	uint8_t rsvdz0;
	uint16_t rsvdz1;
	uint64_t port_partition_id;
	uint32_t port_id;
	uint32_t reserved2;
	uint32_t port_type;
	uint32_t port_padding;
	uint64_t gpa;			/* an address, not a page number */
	uint64_t trigger_value;
	uint64_t flags;
	struct hvabi_proximity_domain_info proximity;
};

HVABI_ASSERT_SIZE(struct hvabi_input_connect_port, 72);
HVABI_ASSERT_AT(struct hvabi_input_connect_port, connection_partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_connect_port, connection_id, 8);
HVABI_ASSERT_AT(struct hvabi_input_connect_port, connection_vtl, 12);
HVABI_ASSERT_AT(struct hvabi_input_connect_port, rsvdz0, 13);
HVABI_ASSERT_AT(struct hvabi_input_connect_port, rsvdz1, 14);
HVABI_ASSERT_AT(struct hvabi_input_connect_port, port_partition_id, 16);
HVABI_ASSERT_AT(struct hvabi_input_connect_port, port_id, 24);
HVABI_ASSERT_AT(struct hvabi_input_connect_port, reserved2, 28);
HVABI_ASSERT_AT(struct hvabi_input_connect_port, port_type, 32);
HVABI_ASSERT_AT(struct hvabi_input_connect_port, port_padding, 36);
HVABI_ASSERT_AT(struct hvabi_input_connect_port, gpa, 40);
HVABI_ASSERT_AT(struct hvabi_input_connect_port, trigger_value, 48);
HVABI_ASSERT_AT(struct hvabi_input_connect_port, flags, 56);
HVABI_ASSERT_AT(struct hvabi_input_connect_port, proximity, 64);

/* DELETE_PORT: a fast call, both words in registers */
struct hvabi_input_delete_port {
	uint64_t port_partition_id;
	uint32_t port_id;
	uint32_t reserved;
};

HVABI_ASSERT_SIZE(struct hvabi_input_delete_port, 16);
HVABI_ASSERT_AT(struct hvabi_input_delete_port, port_partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_delete_port, port_id, 8);
HVABI_ASSERT_AT(struct hvabi_input_delete_port, reserved, 12);

/* hvabi_input_disconnect_port::flags */
#define HVABI_DISCONNECT_DOORBELL	0x1u

/* DISCONNECT_PORT: likewise */
struct hvabi_input_disconnect_port {
	uint64_t connection_partition_id;
	uint32_t connection_id;
	uint32_t flags;
};

HVABI_ASSERT_SIZE(struct hvabi_input_disconnect_port, 16);
HVABI_ASSERT_AT(struct hvabi_input_disconnect_port, connection_partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_disconnect_port, connection_id, 8);
HVABI_ASSERT_AT(struct hvabi_input_disconnect_port, flags, 12);

/* NOTIFY_PORT_RING_EMPTY: the ring was full and is no more. Fast. */
struct hvabi_input_notify_port_ring_empty {
	uint32_t sint_index;
	uint32_t reserved;
};

HVABI_ASSERT_SIZE(struct hvabi_input_notify_port_ring_empty, 8);
HVABI_ASSERT_AT(struct hvabi_input_notify_port_ring_empty, sint_index, 0);
HVABI_ASSERT_AT(struct hvabi_input_notify_port_ring_empty, reserved, 4);

#define HVABI_EVENT_RING_ENTRIES	63u

/*
 * One of 16 in the page of SIRBP. The hypervisor writes at a place of its own that only goes
 * forward, also over the parent's switching the page off and on; so does the parent's reading.
 */
struct hvabi_event_ring {
	uint8_t signal_masked;		/* 1: the parent drains: no notification */
	uint8_t ring_full;		/* an entry waits outside */
	uint16_t reserved_z;
	uint32_t data[HVABI_EVENT_RING_ENTRIES];	/* port ids; 0: empty */
};

HVABI_ASSERT_SIZE(struct hvabi_event_ring, 256);
HVABI_ASSERT_AT(struct hvabi_event_ring, signal_masked, 0);
HVABI_ASSERT_AT(struct hvabi_event_ring, ring_full, 1);
HVABI_ASSERT_AT(struct hvabi_event_ring, reserved_z, 2);
HVABI_ASSERT_AT(struct hvabi_event_ring, data, 4);

#endif
