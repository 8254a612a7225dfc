// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doorbells: what may be created and connected, which writes ring, and that what was rung reaches a
 * parent who reads rings as Linux does, whatever it switches off and on meanwhile.
 */
#include <stdlib.h>

#include <hvabi/port.h>
#include <hypervisor/core/port.h>
#include <hypervisor/core/synic.h>
#include "unit.h"

#define SINT		5u
#define VECTOR		0xf3u
#define RING_PAGE	1600ull		/* of the parent's; one for each processor */
#define CODE_PAGE	2048ull
#define GPA		0xc0000010ull
#define ENTRIES		HVABI_EVENT_RING_ENTRIES
#define SOME		200u

static struct cpu *const cpu = &mock_cpus[0], *const other = &mock_cpus[1];
static uint64_t id;
static struct vp *vp;
static uint32_t tail[MOCK_CPUS];
static unsigned int seen[SOME + 1];

static void wr(struct cpu *c, uint32_t msr, uint64_t value)
{
	assert_true(synic_write(c, msr, value));
}

static void set_ring(struct cpu *c, bool on)
{
	wr(c, HVABI_MSR_SIRBP, (RING_PAGE + c->index) << 12 | (on ? HVABI_MSR_PAGE_ENABLE : 0));
}

static void enable(struct cpu *c)
{
	wr(c, HVABI_MSR_SIMP, c->synic.simp | HVABI_MSR_PAGE_ENABLE);
	set_ring(c, true);
	wr(c, HVABI_MSR_SINT0, VECTOR);
	wr(c, HVABI_MSR_SINT0 + SINT, (VECTOR + 1) | HVABI_SINT_AS_INTERCEPT);
	wr(c, HVABI_MSR_SCONTROL, HVABI_SCONTROL_ENABLE);
}

static struct hvabi_event_ring *ring(const struct cpu *c)
{
	return (struct hvabi_event_ring *)platform_phys((RING_PAGE + c->index) << 12) + SINT;
}

static struct hvabi_message *slot(const struct cpu *c)
{
	return platform_phys(c->synic.simp & ~0xfffull);
}

static void put_code(const void *code, size_t bytes)
{
	memset(platform_phys(CODE_PAGE << 12), 0xf4, 16);
	memcpy(platform_phys(CODE_PAGE << 12), code, bytes);
	vp->state.rip = 0;
}

static int setup(void **state)
{
	(void)state;
	mock_reset();
	memset(platform_phys(RING_PAGE << 12), 0, 2 << 12);
	memset(tail, 0, sizeof(tail));
	memset(seen, 0, sizeof(seen));
	mock_deposit(HVABI_PARTITION_ID_SELF, 300, 8);
	id = mock_child(40);
	assert_status(mock_map(id, 0, CODE_PAGE, 1, RWX), SUCCESS);
	vp = mock_vp(id, 0);
	vp->state.efer = 0x500;
	vp->state.segment[SEG_CS].attributes |= HVABI_SEGMENT_LONG;
	vp->state.segment[SEG_CS].base = 0;
	put_code("\x89\x08", 2);		/* MOV [RAX], ECX */
	return 0;
}

/* ---- calls ---- */

static uint64_t create(uint32_t port, uint32_t target)
{
	const struct hvabi_input_create_port in = {
		.port_partition_id = HVABI_PARTITION_ID_SELF, .port_id = port,
		.connection_partition_id = id, .port_type = HVABI_PORT_TYPE_DOORBELL,
		.target_sint = SINT, .target_vp = target,
	};

	return mock_call(HVABI_CALL_CREATE_PORT, &in, sizeof(in), 0, 0);
}

static uint64_t connect_as(uint32_t connection, uint32_t port, uint64_t gpa, uint64_t value, uint64_t flags)
{
	const struct hvabi_input_connect_port in = {
		.connection_partition_id = id, .connection_id = connection,
		.port_partition_id = HVABI_PARTITION_ID_SELF, .port_id = port,
		.port_type = HVABI_PORT_TYPE_DOORBELL, .gpa = gpa, .trigger_value = value,
		.flags = flags,
	};

	return mock_call(HVABI_CALL_CONNECT_PORT, &in, sizeof(in), 0, 0);
}

static uint64_t disconnect(uint32_t connection)
{
	const struct hvabi_input_disconnect_port in = {
		.connection_partition_id = id, .connection_id = connection,
		.flags = HVABI_DISCONNECT_DOORBELL,
	};

	return mock_call(HVABI_CALL_DISCONNECT_PORT, &in, sizeof(in), 0, 0);
}

static uint64_t delete(uint32_t port)
{
	const struct hvabi_input_delete_port in = {
		.port_partition_id = HVABI_PARTITION_ID_SELF, .port_id = port,
	};

	return mock_call(HVABI_CALL_DELETE_PORT, &in, sizeof(in), 0, 0);
}

static uint64_t ring_empty(uint32_t sint)
{
	const struct hvabi_input_notify_port_ring_empty in = { .sint_index = sint };

	return mock_call(HVABI_CALL_NOTIFY_PORT_RING_EMPTY, &in, sizeof(in), 0, 0);
}

/* Port and connection @n, at an address of its own. */
static void make(uint32_t n, uint32_t target)
{
	assert_status(create(n, target), SUCCESS);
	assert_status(connect_as(n, n, GPA + 16 * n, 0, HVABI_DOORBELL_ANY_VALUE), SUCCESS);
}

/* ---- both sides ---- */

static bool knock(struct cpu *c, uint64_t gpa)
{
	vp->state.rip = 0;
	return port_doorbell(c, vp, gpa);
}

static void rings(struct cpu *c, uint32_t n)
{
	assert_true(knock(c, GPA + 16 * n));
	assert_int_equal(vp->state.rip, 2);
}

/* mshv_synic.c, synic_event_ring_get_queued_port(). */
static uint32_t take(struct cpu *c)
{
	struct hvabi_event_ring *r = ring(c);
	uint32_t *at = &r->data[tail[c->index]];
	uint32_t port = *at;

	if (!port) {
		if (r->ring_full) {
			r->ring_full = 0;
			assert_status(ring_empty(SINT), SUCCESS);
			port = *at;
		}
		if (!port) {
			r->signal_masked = 0;
			port = *at;
			if (!port)
				return 0;
		}
		r->signal_masked = 1;
	}
	*at = 0;
	tail[c->index] = (tail[c->index] + 1) % ENTRIES;
	return port;
}

static unsigned int drain(struct cpu *c)
{
	unsigned int n = 0;
	uint32_t port;

	for (; (port = take(c)); n++) {
		assert_true(port <= SOME);
		seen[port]++;
	}
	return n;
}

/* The interrupt handler: one message, if there is one, and what it tells of. */
static unsigned int handle(struct cpu *c)
{
	const struct hvabi_synic_sint_intercept *m = (void *)slot(c)->payload;
	unsigned int n;

	if (slot(c)->header.message_type != HVABI_MSG_SYNIC_SINT_INTERCEPT)
		return 0;
	assert_int_equal(slot(c)->header.payload_size, 4);
	assert_int_equal(m->sint_index, SINT);
	n = drain(c);
	slot(c)->header.message_type = 0;
	if (slot(c)->header.message_flags & HVABI_MESSAGE_FLAG_PENDING)
		wr(c, HVABI_MSR_EOM, 0);
	return n;
}

/* ---- ports and connections ---- */

static void what_is_refused(void **state)
{
	struct hvabi_input_create_port port = {
		.port_partition_id = HVABI_PARTITION_ID_SELF, .port_id = 1,
		.connection_partition_id = id, .port_type = HVABI_PORT_TYPE_DOORBELL,
		.target_sint = SINT, .target_vp = HVABI_PORT_ANY_VP,
	};
	struct hvabi_input_disconnect_port in = { .connection_partition_id = id, .connection_id = 1 };

	(void)state;
#define REFUSED(field, value, expected) do {							\
		struct hvabi_input_create_port bad = port;					\
		bad.field = value;								\
		assert_status(mock_call(HVABI_CALL_CREATE_PORT, &bad, sizeof(bad), 0, 0), expected); \
	} while (0)
	REFUSED(port_partition_id, id, INVALID_PARTITION_ID);
	REFUSED(connection_partition_id, 77, INVALID_PARTITION_ID);
	REFUSED(connection_partition_id, HVABI_PARTITION_ID_SELF, INVALID_PARTITION_ID);
	REFUSED(port_id, 0, INVALID_PORT_ID);
	REFUSED(port_id, 1 << 24, INVALID_PORT_ID);
	REFUSED(port_type, HVABI_PORT_TYPE_EVENT, INVALID_PARAMETER);
	REFUSED(target_sint, 16, INVALID_PARAMETER);
	REFUSED(target_vp, MOCK_CPUS, INVALID_VP_INDEX);
	REFUSED(port_vtl, 1, INVALID_PARAMETER);
	REFUSED(rsvdz, 1, INVALID_PARAMETER);
	assert_status(create(1, 1), SUCCESS);
	assert_status(create(1, 1), INVALID_PORT_ID);
	assert_status(connect_as(0, 1, GPA, 0, 0), INVALID_CONNECTION_ID);
	assert_status(connect_as(1, 2, GPA, 0, 0), INVALID_PORT_ID);
	assert_status(connect_as(1, 1, GPA, 0, 5), INVALID_PARAMETER);
	assert_status(connect_as(1, 1, GPA, 0, 8), INVALID_PARAMETER);
	assert_status(connect_as(1, 1, 1ull << 48, 0, 0), INVALID_PARAMETER);
	assert_status(connect_as(1, 1, GPA, 0, 0), SUCCESS);
	assert_status(connect_as(1, 1, GPA, 0, 0), INVALID_CONNECTION_ID);
	assert_status(disconnect(2), INVALID_CONNECTION_ID);
	assert_status(mock_call(HVABI_CALL_DISCONNECT_PORT, &in, sizeof(in), 0, 0), INVALID_PARAMETER);
	assert_status(disconnect(1), SUCCESS);
	assert_status(disconnect(1), INVALID_CONNECTION_ID);
	assert_status(delete(2), INVALID_PORT_ID);
	assert_status(delete(1), SUCCESS);
	assert_status(delete(1), INVALID_PORT_ID);
	assert_status(ring_empty(16), INVALID_PARAMETER);
}

/* A port is for one child. */
static void of_another_child(void **state)
{
	const uint64_t first = id;

	(void)state;
	assert_status(create(1, 0), SUCCESS);
	id = mock_child(10);
	assert_status(connect_as(1, 1, GPA, 0, 0), INVALID_PORT_ID);
	id = first;
	assert_status(connect_as(1, 1, GPA, 0, 0), SUCCESS);
}

static void memory(void **state)
{
	struct pool *pool = &partition_find(id)->pool;
	const uint64_t own = parent.pool.free, of_child = pool->free;
	uint64_t block[512] = { HVABI_PARTITION_ID_SELF };
	uint64_t taken;

	(void)state;
	for (uint32_t n = 1; n <= SOME; n++)
		make(n, HVABI_PORT_ANY_VP);
	assert_true(parent.pool.free < own && pool->free < of_child);
	for (uint32_t n = 1; n <= SOME; n++) {
		assert_status(disconnect(n), SUCCESS);
		assert_status(delete(n), SUCCESS);
	}
	assert_int_equal(parent.pool.free, own);
	assert_int_equal(pool->free, of_child);
	/* The port is of the parent's pool, the connection of the child's. */
	taken = mock_reps(mock_call(HVABI_CALL_WITHDRAW_MEMORY, block, 16, 512, 0));
	assert_int_equal(taken, own);
	assert_status(create(1, 0), INSUFFICIENT_MEMORY);
	mock_deposit(HVABI_PARTITION_ID_SELF, 320, 1);
	assert_status(create(1, 0), SUCCESS);
	block[0] = id;
	assert_int_equal(mock_reps(mock_call(HVABI_CALL_WITHDRAW_MEMORY, block, 16, 512, 0)), of_child);
	assert_status(connect_as(1, 1, GPA, 0, 0), INSUFFICIENT_MEMORY);
	mock_deposit(id, 330, 1);
	assert_status(connect_as(1, 1, GPA, 0, 0), SUCCESS);
}

static void all_go_with_the_child(void **state)
{
	const uint64_t own = parent.pool.free;

	(void)state;
	for (uint32_t n = 1; n <= 100; n++)
		make(n, HVABI_PORT_ANY_VP);
	/* One rings for nobody, one has lost its port. */
	rings(cpu, 3);
	assert_status(delete(4), SUCCESS);
	assert_status(mock_call(HVABI_CALL_FINALIZE_PARTITION, &id, 8, 0, 0), SUCCESS);
	assert_int_equal(parent.pool.free, own);
	assert_int_equal(partition_find(id)->pool.free, partition_find(id)->pool.deposited);
	assert_status(delete(1), INVALID_PORT_ID);
	assert_status(disconnect(1), INVALID_PARTITION_STATE);
	assert_status(create(1, 0), INVALID_PARTITION_STATE);
	enable(cpu);
	assert_int_equal(handle(cpu), 0);
}

/* ---- which writes ring ---- */

static void size_and_value(void **state)
{
	static const struct {
		const char *code;
		uint32_t length, bytes;
		uint64_t value;
	} rows[] = {
		{ "\x88\x08", 2, 1, 0x88 },				/* CL */
		{ "\x88\x28", 2, 1, 0x77 },				/* CH */
		{ "\x66\x89\x08", 3, 2, 0x7788 },
		{ "\x89\x08", 2, 4, 0x55667788 },
		{ "\x48\x89\x08", 3, 8, 0x1122334455667788 },
		{ "\xc6\x00\xfe", 3, 1, 0xfe },
		{ "\x66\xc7\x00\xfe\xff", 5, 2, 0xfffe },
		{ "\xc7\x00\xfe\xff\xff\xff", 6, 4, 0xfffffffe },
		{ "\x48\xc7\x00\xfe\xff\xff\xff", 7, 8, 0xfffffffffffffffe },
	};

	(void)state;
	enable(cpu);
	assert_status(create(1, HVABI_PORT_ANY_VP), SUCCESS);
	vp->state.gpr[RCX] = 0x1122334455667788;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_code(rows[i].code, rows[i].length);
		for (uint64_t size = 0; size <= HVABI_DOORBELL_SIZE_QWORD; size++) {
			bool fits = !size || rows[i].bytes == 1u << (size - 1);

			for (unsigned int value = 0; value < 3; value++) {
				bool right = value != 1, rang;

				connect_as(1, 1, GPA, right ? rows[i].value : rows[i].value ^ 1,
					   size | (value == 2 ? HVABI_DOORBELL_ANY_VALUE : 0));
				rang = knock(cpu, GPA);
				assert_int_equal(rang, fits && right);
				assert_int_equal(vp->state.rip, rang ? rows[i].length : 0);
				assert_int_equal(drain(cpu), rang);
				/* The address is exact. */
				assert_false(knock(cpu, GPA + 1) || knock(cpu, GPA - 1));
				disconnect(1);
			}
		}
	}
	assert_int_equal(vp->state.gpr[RCX], 0x1122334455667788);
}

static void other_instructions(void **state)
{
	static const char *const rows[] = {
		"\x8b\x08", "\x01\x08", "\x87\x08", "\xf3\xa4", "\x0f\x11\x00", "\xf0\x89\x08",
	};

	(void)state;
	enable(cpu);
	make(1, HVABI_PORT_ANY_VP);
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_code(rows[i], strlen(rows[i]));
		assert_false(knock(cpu, GPA + 16));
		assert_int_equal(vp->state.rip, 0);
	}
	/* Its page has gone: it is repeated, and nothing rings. */
	vp->state.rip = 0x5000;
	assert_true(port_doorbell(cpu, vp, GPA + 16));
	assert_int_equal(vp->state.rip, 0x5000);
	assert_int_equal(drain(cpu), 0);
}

/* One port, several addresses; several ports, one address; a connection without a port. */
static void many_to_many(void **state)
{
	(void)state;
	enable(cpu);
	assert_status(create(1, 0), SUCCESS);
	assert_status(create(2, 0), SUCCESS);
	vp->state.gpr[RCX] = 7;
	assert_status(connect_as(1, 1, GPA, 7, 0), SUCCESS);
	assert_status(connect_as(2, 2, GPA, 0, HVABI_DOORBELL_ANY_VALUE), SUCCESS);
	assert_status(connect_as(3, 1, GPA + 8, 7, 0), SUCCESS);
	assert_true(knock(cpu, GPA));
	assert_int_equal(drain(cpu), 2);
	assert_true(seen[1] == 1 && seen[2] == 1);
	assert_true(knock(cpu, GPA + 8));
	assert_int_equal(drain(cpu), 1);
	assert_status(delete(1), SUCCESS);
	assert_false(knock(cpu, GPA + 8));
	assert_true(knock(cpu, GPA));
	assert_int_equal(drain(cpu), 1);
	/* A new port of the same id is another one. */
	assert_status(create(1, 0), SUCCESS);
	assert_false(knock(cpu, GPA + 8));
	assert_status(disconnect(3), SUCCESS);
}

/* ---- rings ---- */

static void one_notification_at_a_time(void **state)
{
	(void)state;
	enable(cpu);
	enable(other);
	make(1, HVABI_PORT_ANY_VP);
	rings(other, 1);
	assert_int_equal(mock_raises, 1);
	assert_int_equal(mock_raised, VECTOR);
	assert_int_equal(mock_raised_on, 1);
	assert_int_equal(ring(other)->signal_masked, 1);
	rings(other, 1);
	assert_int_equal(mock_raises, 1);
	assert_int_equal(handle(other), 2);
	assert_int_equal(ring(other)->signal_masked, 0);
	rings(other, 1);
	assert_int_equal(mock_raises, 2);
	/* While the parent drains it is not disturbed. */
	assert_int_equal(take(other), 1);
	rings(other, 1);
	assert_int_equal(mock_raises, 2);
	assert_int_equal(handle(other), 1);
	assert_int_equal(handle(cpu), 0);
}

static void the_slot_is_occupied(void **state)
{
	(void)state;
	enable(cpu);
	make(1, 0);
	slot(cpu)->header.message_type = HVABI_MSG_SCHEDULER_VP_SIGNAL_PAIR;
	slot(cpu)->header.message_flags = 0;
	rings(cpu, 1);
	assert_int_equal(mock_raises, 0);
	assert_int_equal(slot(cpu)->header.message_type, HVABI_MSG_SCHEDULER_VP_SIGNAL_PAIR);
	assert_int_equal(slot(cpu)->header.message_flags, HVABI_MESSAGE_FLAG_PENDING);
	slot(cpu)->header.message_type = 0;
	wr(cpu, HVABI_MSR_EOM, 0);
	assert_int_equal(mock_raises, 1);
	assert_int_equal(handle(cpu), 1);
}

/* A signal and a notification wait for the same slot: both come. */
static void behind_a_signal(void **state)
{
	(void)state;
	enable(cpu);
	make(1, 0);
	slot(cpu)->header.message_type = HVABI_MSG_SCHEDULER_VP_SIGNAL_PAIR;
	synic_signal(cpu, vp);
	rings(cpu, 1);
	slot(cpu)->header.message_type = 0;
	wr(cpu, HVABI_MSR_EOM, 0);
	assert_int_equal(slot(cpu)->header.message_flags, HVABI_MESSAGE_FLAG_PENDING);
	assert_int_equal(handle(cpu), 1);
	assert_int_equal(slot(cpu)->header.message_type, HVABI_MSG_SCHEDULER_VP_SIGNAL_PAIR);
	assert_int_equal(slot(cpu)->header.message_flags, 0);
}

static void not_as_intercept(void **state)
{
	(void)state;
	enable(cpu);
	wr(cpu, HVABI_MSR_SINT0 + SINT, VECTOR + 1);
	wr(cpu, HVABI_MSR_SIMP, 0);
	make(1, 0);
	rings(cpu, 1);
	assert_int_equal(mock_raised, VECTOR + 1);
	assert_int_equal(drain(cpu), 1);
}

static void full(void **state)
{
	(void)state;
	enable(cpu);
	for (uint32_t n = 1; n <= 70; n++)
		make(n, 0);
	/* Twice round, so that the ring has wrapped. */
	for (unsigned int round = 0; round < 3; round++) {
		memset(seen, 0, sizeof(seen));
		for (uint32_t n = 1; n <= ENTRIES; n++)
			rings(cpu, n);
		assert_int_equal(ring(cpu)->ring_full, 0);
		for (uint32_t n = ENTRIES + 1; n <= 70; n++) {
			rings(cpu, n);
			rings(cpu, n);
		}
		assert_int_equal(ring(cpu)->ring_full, 1);
		assert_int_equal(handle(cpu), 70);
		for (uint32_t n = 1; n <= 70; n++)
			assert_int_equal(seen[n], 1);
		assert_int_equal(ring(cpu)->ring_full, 0);
		assert_int_equal(ring(cpu)->signal_masked, 0);
		/* Not where it was. */
		rings(cpu, 1);
		assert_int_equal(handle(cpu), 1);
	}
}

/* The parent read "not full" just before; its next call of whatever kind brings what waits. */
static void full_too_late(void **state)
{
	(void)state;
	enable(cpu);
	make(1, 0);
	make(2, 0);
	for (uint32_t n = 0; n < ENTRIES; n++)
		rings(cpu, 1);
	rings(cpu, 2);
	ring(cpu)->ring_full = 0;
	assert_int_equal(handle(cpu), ENTRIES);
	assert_int_equal(seen[2], 0);
	assert_status(mock_get(vp, HVABI_REG_RIP), SUCCESS);
	assert_int_equal(handle(cpu), 1);
	assert_int_equal(seen[2], 1);
}

/* ---- who listens ---- */

static void nobody_listens(void **state)
{
	(void)state;
	make(1, HVABI_PORT_ANY_VP);
	make(2, 1);
	rings(cpu, 1);
	rings(cpu, 2);
	rings(cpu, 2);
	assert_int_equal(mock_raises, 0);
	enable(cpu);
	assert_int_equal(handle(cpu), 1);
	assert_int_equal(seen[1], 1);
	/* Any processor that listens will do, but for who asked for one. */
	wr(cpu, HVABI_MSR_SINT0 + SINT, VECTOR | HVABI_SINT_MASKED);
	rings(cpu, 1);
	enable(other);
	assert_int_equal(handle(other), 2);
	assert_true(seen[1] == 2 && seen[2] == 1);
	rings(cpu, 1);
	assert_int_equal(handle(other), 1);
	wr(cpu, HVABI_MSR_SINT0 + SINT, VECTOR | HVABI_SINT_AS_INTERCEPT);
	/* Without a slot for messages its notification would not come. */
	wr(cpu, HVABI_MSR_SINT0, HVABI_SINT_MASKED);
	rings(cpu, 1);
	assert_int_equal(handle(other), 1);
}

/* The page goes with entries in it: they come by the other processor, and again by a new page. */
static void the_page_goes(void **state)
{
	(void)state;
	enable(cpu);
	for (uint32_t n = 1; n <= 5; n++)
		make(n, HVABI_PORT_ANY_VP);
	for (uint32_t n = 1; n <= 5; n++)
		rings(cpu, n);
	assert_int_equal(take(cpu), 1);
	assert_int_equal(take(cpu), 2);
	assert_int_equal(mock_refs(RING_PAGE), 1);
	set_ring(cpu, false);
	assert_int_equal(mock_refs(RING_PAGE), 0);
	assert_int_equal(ring(cpu)->signal_masked, 0);
	enable(other);
	assert_int_equal(handle(other), 3);
	assert_true(seen[3] && seen[4] && seen[5]);
	set_ring(other, false);
	rings(cpu, 4);
	/* Its place of writing has stayed with the parent's of reading. */
	memset(platform_phys(RING_PAGE << 12), 0, 4096);
	slot(cpu)->header.message_type = 0;
	set_ring(cpu, true);
	assert_int_equal(tail[0], 2);
	assert_int_equal(handle(cpu), 1);
	assert_int_equal(tail[0], 3);
}

/* The parent's model against the hypervisor: what was rung is seen, in the end. */
static void at_random(void **state)
{
	unsigned int seed = getenv("SEED") ? (unsigned int)atoi(getenv("SEED")) : 20261128, rung[SOME + 1];

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	for (uint32_t n = 1; n <= SOME; n++)
		make(n, n % 3 ? HVABI_PORT_ANY_VP : n % 2);
	enable(cpu);
	memset(rung, 0, sizeof(rung));
	for (unsigned int step = 0; step < 200000; step++) {
		struct cpu *c = &mock_cpus[random() & 1];
		uint32_t n = 1 + (uint32_t)random() % SOME;

		switch (random() % 64) {
		case 0:
			enable(c);
			break;
		case 1:
			/* As Linux does before its page goes. */
			wr(c, HVABI_MSR_SINT0 + SINT, VECTOR | HVABI_SINT_MASKED);
			set_ring(c, false);
			break;
		case 2:
			wr(c, HVABI_MSR_SINT0, VECTOR | (random() & 1 ? HVABI_SINT_MASKED : 0));
			break;
		case 3:
			wr(c, HVABI_MSR_SCONTROL, (uint64_t)random() & 1);
			break;
		case 4 ... 7:
			handle(c);
			break;
		default:
			rung[n] = 1;
			seen[n] = 0;
			rings(c, n);
			break;
		}
	}
	enable(cpu);
	enable(other);
	while (handle(cpu) + handle(other))
		;
	for (uint32_t n = 1; n <= SOME; n++)
		assert_true(!rung[n] || seen[n]);
	set_ring(cpu, false);
	set_ring(other, false);
}

#define PORT_TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PORT_TEST(what_is_refused),
		PORT_TEST(of_another_child),
		PORT_TEST(memory),
		PORT_TEST(all_go_with_the_child),
		PORT_TEST(size_and_value),
		PORT_TEST(other_instructions),
		PORT_TEST(many_to_many),
		PORT_TEST(one_notification_at_a_time),
		PORT_TEST(the_slot_is_occupied),
		PORT_TEST(behind_a_signal),
		PORT_TEST(not_as_intercept),
		PORT_TEST(full),
		PORT_TEST(full_too_late),
		PORT_TEST(nobody_listens),
		PORT_TEST(the_page_goes),
		PORT_TEST(at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
