// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bad hypercalls from the parent: through the test module, because the driver
 * would never make them.  The hypervisor must refuse each with a status, and
 * neither it nor the parent may notice anything else.
 *
 * "random" throws calls from a printed seed at it, in rounds of CALLS (20000)
 * with a child of their own; each round takes the next seed.  SEED=N repeats a
 * round, SECONDS=N makes rounds for that long (fuzzing by hand; one round else).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <hvabi/debug.h>
#include <hvabi/hypercall.h>
#include <hvabi/memory.h>
#include <hvabi/partition.h>
#include <hvabi/port.h>
#include <hvabi/stats.h>
#include <hvabi/status.h>
#include <hvabi/vp.h>

#include "../kmod/mshv_rawcall.h"
#include "ktap.h"
#include "probe.h"

#define SELF HVABI_PARTITION_ID_SELF

static int device = -1;
static struct rawcall call;

static uint16_t raw(uint64_t control, uint64_t rdx, uint64_t r8)
{
	call.control = control;
	call.rdx = rdx;
	call.r8 = r8;
	if (ioctl(device, RAWCALL_CALL, &call)) {
		ktap_note("rawcall: %s", strerror(errno));
		return 0xffff;
	}
	return hvabi_result_status(call.result);
}

static uint16_t with_input(uint16_t code, uint16_t reps, const void *in, size_t bytes)
{
	memset(call.input, 0, sizeof(call.input));
	memcpy(call.input, in, bytes);
	return raw(hvabi_control(code, reps, 0), RAWCALL_BLOCK, RAWCALL_BLOCK);
}

static uint64_t page(unsigned int n)
{
	call.control = n;
	return ioctl(device, RAWCALL_PAGE, &call) ? 0 : call.result;
}

static const uint16_t codes[] = {
#define X(name, text) HVABI_CALL_##name,
	HVABI_DEBUG_CALLS(X)
#undef X
};

static uint16_t kind_of(uint16_t code)
{
	switch (code) {
#define X(name, code, kind, in, in_el, out, out_el) case code: return HVABI_KIND_##kind;
	HVABI_CALL_LIST(X)
#undef X
	default:
		return HVABI_KIND_SIMPLE;
	}
}

static enum ktap_result reserved_bits(void)
{
	for (unsigned int i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		uint64_t control = hvabi_control(codes[i], kind_of(codes[i]) == HVABI_KIND_REP, 0);
		uint16_t status = raw(control | 1ull << 62, RAWCALL_BLOCK, RAWCALL_BLOCK);

		CHECK(status == HVABI_STATUS_INVALID_HYPERCALL_INPUT, "%x: %x", codes[i], status);
	}
	return PASS;
}

static enum ktap_result blocks_outside_memory(void)
{
	uint64_t control = hvabi_control(HVABI_CALL_GET_PARTITION_PROPERTY, 0, 0);

	CHECK(raw(control, 0x8000000, RAWCALL_BLOCK) == HVABI_STATUS_INVALID_PARAMETER,
	      "the hypervisor's own image was read as input");
	CHECK(raw(control, RAWCALL_BLOCK, 0x8000000) == HVABI_STATUS_INVALID_PARAMETER,
	      "the hypervisor's own image was taken for output");
	CHECK(raw(control, 0xfee00000, RAWCALL_BLOCK) == HVABI_STATUS_INVALID_PARAMETER, "APIC");
	CHECK(raw(control, (page(0) << 12) + 4, RAWCALL_BLOCK) == HVABI_STATUS_INVALID_ALIGNMENT,
	      "unaligned");
	CHECK(raw(control, (page(0) << 12) + 4088, RAWCALL_BLOCK) ==
	      HVABI_STATUS_INVALID_ALIGNMENT, "a block over the end of its page");
	return PASS;
}

/* What the first word names is pages, an object, a property, a ring. */
static bool names_no_partition(uint16_t code)
{
	switch (code) {
	case HVABI_CALL_CREATE_PARTITION:
	case HVABI_CALL_GET_PARTITION_ID:
	case HVABI_CALL_ACQUIRE_SPARSE_SPA_PAGE_HOST_ACCESS:
	case HVABI_CALL_MAP_STATS_PAGE:
	case HVABI_CALL_MAP_STATS_PAGE2:
	case HVABI_CALL_UNMAP_STATS_PAGE:
	case HVABI_CALL_GET_SYSTEM_PROPERTY:
	case HVABI_CALL_NOTIFY_PORT_RING_EMPTY:
		return true;
	default:
		return false;
	}
}

static enum ktap_result wrong_partitions(void)
{
	uint64_t in[8] = { 0x123456789 };

	for (unsigned int i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		uint16_t status;

		if (names_no_partition(codes[i]))
			continue;
		status = with_input(codes[i], kind_of(codes[i]) == HVABI_KIND_REP, in, sizeof(in));
		CHECK(status == HVABI_STATUS_INVALID_PARTITION_ID, "%x: %x", codes[i], status);
	}
	return PASS;
}

static enum ktap_result deposits_that_are_not_ours(void)
{
	uint64_t hv[] = { SELF, 0x8000000 >> 12 }, hole[] = { SELF, 0xfee00 }, far[] = { SELF, 1ull << 50 };
	uint64_t twice[] = { SELF, page(2), page(2) }, zero[] = { SELF, 0 };

	CHECK(with_input(HVABI_CALL_DEPOSIT_MEMORY, 1, hv, sizeof(hv)) ==
	      HVABI_STATUS_INVALID_PARAMETER, "the hypervisor's page");
	CHECK(with_input(HVABI_CALL_DEPOSIT_MEMORY, 1, hole, sizeof(hole)) ==
	      HVABI_STATUS_INVALID_PARAMETER, "a device");
	CHECK(with_input(HVABI_CALL_DEPOSIT_MEMORY, 1, far, sizeof(far)) ==
	      HVABI_STATUS_INVALID_PARAMETER, "no memory");
	CHECK(with_input(HVABI_CALL_DEPOSIT_MEMORY, 2, twice, sizeof(twice)) ==
	      HVABI_STATUS_INVALID_PARAMETER, "the same page twice");
	CHECK(with_input(HVABI_CALL_DEPOSIT_MEMORY, 1, zero, sizeof(zero)) ==
	      HVABI_STATUS_INVALID_PARAMETER, "page 0");
	return PASS;
}

/* A child of our own, made by hand; 0 if that failed. */
static uint64_t make_child(void)
{
	struct hvabi_input_create_partition in = {
		.flags = HVABI_PARTITION_FLAG_EXO_PARTITION |
			 HVABI_PARTITION_FLAG_INTERCEPT_MESSAGE_PAGE_ENABLED,
		.compatibility_version = HVABI_COMPATIBILITY_VERSION,
	};
	uint64_t self[] = { SELF, page(2) }, pool[41], id;
	uint16_t status;

	status = with_input(HVABI_CALL_CREATE_PARTITION, 0, &in, sizeof(in));
	if (status == HVABI_STATUS_INSUFFICIENT_MEMORY) {
		with_input(HVABI_CALL_DEPOSIT_MEMORY, 1, self, sizeof(self));
		status = with_input(HVABI_CALL_CREATE_PARTITION, 0, &in, sizeof(in));
	}
	if (status)
		return 0;
	memcpy(&id, call.output, sizeof(id));
	pool[0] = id;
	for (unsigned int i = 1; i <= 40; i++)
		pool[i] = page(2 + i);
	if (with_input(HVABI_CALL_DEPOSIT_MEMORY, 40, pool, sizeof(pool)) ||
	    with_input(HVABI_CALL_INITIALIZE_PARTITION, 0, &id, sizeof(id)))
		return 0;
	return id;
}

/* Give everything back; true if exactly what was lent came. */
static bool remove_child(uint64_t id)
{
	uint64_t in[2] = { id };
	unsigned int back;

	with_input(HVABI_CALL_FINALIZE_PARTITION, 0, &id, sizeof(id));
	if (with_input(HVABI_CALL_WITHDRAW_MEMORY, 64, in, sizeof(in)) !=
	    HVABI_STATUS_NO_RESOURCES)
		return false;
	back = hvabi_result_reps(call.result);
	return back == 40 &&
	       with_input(HVABI_CALL_DELETE_PARTITION, 0, &id, sizeof(id)) == HVABI_STATUS_SUCCESS;
}

/* Take back what our children left in the parent's own pool. */
static void take_self_back(void)
{
	uint64_t in[2] = { SELF };

	with_input(HVABI_CALL_WITHDRAW_MEMORY, 8, in, sizeof(in));
}

static enum ktap_result maps_that_are_not_ours(void)
{
	static const uint64_t foreign[] = { 0x8000, 0xfee00, 1ull << 35, 1ull << 60 };
	uint64_t id = make_child();
	bool back;

	CHECK(id, "no child: status %x", hvabi_result_status(call.result));
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t in[4] = { id, 0, 0x8003, foreign[i] };

		CHECK(with_input(HVABI_CALL_MAP_GPA_PAGES, 1, in, sizeof(in)) ==
		      HVABI_STATUS_INVALID_PARAMETER, "page %llx was mapped",
		      (unsigned long long)foreign[i]);
	}
	/* A page that was lent belongs to nobody's guest. */
	uint64_t lent[4] = { id, 0, 0x8003, page(3) };

	CHECK(with_input(HVABI_CALL_MAP_GPA_PAGES, 1, lent, sizeof(lent)) ==
	      HVABI_STATUS_INVALID_PARAMETER, "a lent page was mapped");
	back = remove_child(id);
	take_self_back();
	CHECK(back, "memory did not come back");
	return PASS;
}

static uint64_t random64(void)
{
	return (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();
}

/* Words that get past first checks more often than noise does. */
static uint64_t random_word(uint64_t id)
{
	switch (random() % 8) {
	case 0:
		return id;
	case 1:
		return random() % 16;
	case 2:
		return 0x8003 | (random() % 2 ? 0x80000000 : 0) | (random() % 2 ? 0xc : 0);
	case 3:
		return page(2 + random() % 64);
	case 4:
		return 0x10000;
	case 5:
		return 1ull << random() % 64;
	default:
		return random64();
	}
}

/* Pages that are written to must be ours, and what is mapped must go with the child. */
static void keep_to_ours(uint16_t code, uint64_t id, uint64_t *words)
{
	switch (code) {
	case HVABI_CALL_MAP_VP_STATE_PAGE:
		words[2] = page(50 + random() % 10);
		break;
	case HVABI_CALL_GET_VP_STATE:
	case HVABI_CALL_SET_VP_STATE:
		for (unsigned int k = 5; k < 512; k++)
			words[k] = page(50 + k % 10);
		break;
	case HVABI_CALL_MAP_STATS_PAGE:
	case HVABI_CALL_MAP_STATS_PAGE2:
	case HVABI_CALL_UNMAP_STATS_PAGE:
		words[0] = random() % 2 ? HVABI_STATS_PARTITION : HVABI_STATS_VP;
		words[1] = id;
		words[2] = (uint64_t)(random() % 2) << 56;
		words[3] = page(50 + random() % 10);
		break;
	case HVABI_CALL_CREATE_PORT:
		words[0] = SELF;
		words[1] = random() % 8;
		words[2] = id;
		break;
	}
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : otherwise;
}

static enum ktap_result random_round(unsigned int seed, unsigned long calls, unsigned long *done)
{
	uint64_t id = make_child();
	bool back;

	srandom(seed);
	CHECK(id, "no child: status %x", hvabi_result_status(call.result));
	for (unsigned long i = 0; i < calls; i++) {
		uint16_t code = codes[random() % (sizeof(codes) / sizeof(codes[0]))];
		uint64_t *words = (uint64_t *)call.input, control;

		/* Lending and life stay in order, or the books at the end could not be kept. */
		if (code == HVABI_CALL_DEPOSIT_MEMORY || code == HVABI_CALL_WITHDRAW_MEMORY ||
		    code == HVABI_CALL_CREATE_PARTITION || code == HVABI_CALL_FINALIZE_PARTITION ||
		    code == HVABI_CALL_DELETE_PARTITION || code == HVABI_CALL_DEBUG_SET_OPTION)
			continue;
		for (unsigned int k = 0; k < 8 + (unsigned int)random() % 504; k++)
			words[k] = random_word(id);
		if (random() % 4)
			words[0] = id;
		keep_to_ours(code, id, words);
		control = hvabi_control(code, kind_of(code) == HVABI_KIND_REP ?
					1 + random() % 500 : 0, 0);
		if (random() % 16 == 0)
			control ^= 1ull << (16 + random() % 48);
		control &= ~HVABI_CONTROL_FAST;
		done[raw(control, RAWCALL_BLOCK, RAWCALL_BLOCK) == HVABI_STATUS_SUCCESS]++;
	}
	back = remove_child(id);
	take_self_back();
	CHECK(back, "memory did not come back");
	return PASS;
}

/* Nobody listens, so they ring for nobody; but the guest goes on. */
static enum ktap_result doorbells(void)
{
	const uint64_t gpa = 1ull << 30, self[] = { SELF, page(2) };
	struct hvabi_input_create_port port = {
		.port_partition_id = SELF, .port_id = 7, .port_type = HVABI_PORT_TYPE_DOORBELL,
		.target_sint = 5, .target_vp = HVABI_PORT_ANY_VP,
	};
	struct hvabi_input_connect_port connection = {
		.connection_id = 7, .port_partition_id = SELF, .port_id = 7,
		.port_type = HVABI_PORT_TYPE_DOORBELL, .gpa = gpa, .trigger_value = 0x1234,
		.flags = HVABI_DOORBELL_SIZE_QWORD,
	};
	struct hvabi_input_disconnect_port disconnect = {
		.connection_id = 7, .flags = HVABI_DISCONNECT_DOORBELL,
	};
	const struct hvabi_input_delete_port delete = { .port_partition_id = SELF, .port_id = 7 };
	struct probe probe;
	uint64_t id;

	CHECK(!probe_open(&probe), "%s", mshv_error());
	id = probe_stat(&probe, "partition");
	port.connection_partition_id = connection.connection_partition_id =
		disconnect.connection_partition_id = id;
	CHECK(!with_input(HVABI_CALL_DEPOSIT_MEMORY, 1, self, sizeof(self)), "deposit");
	CHECK(!with_input(HVABI_CALL_CREATE_PORT, 0, &port, sizeof(port)), "port: %llx", call.result);
	CHECK(probe_write(&probe, gpa, 0x1234) == PROBE_VMM, "it rang before it was connected");
	CHECK(!with_input(HVABI_CALL_CONNECT_PORT, 0, &connection, sizeof(connection)),
	      "connection: %llx", call.result);
	CHECK(probe_write(&probe, gpa, 0x1234) == PROBE_DONE, "message 0x%x",
	      probe.message.header.message_type);
	CHECK(probe_counter(&probe, HVABI_COUNT_EXIT_DOORBELL) == 1, "not counted");
	CHECK(probe_write(&probe, gpa, 0x1235) == PROBE_VMM, "another value rang");
	CHECK(probe_write(&probe, gpa + 8, 0x1234) == PROBE_VMM, "another address rang");
	CHECK(probe_write(&probe, gpa, 0x1234) == PROBE_DONE, "message 0x%x",
	      probe.message.header.message_type);
	CHECK(!with_input(HVABI_CALL_DISCONNECT_PORT, 0, &disconnect, sizeof(disconnect)),
	      "disconnect: %llx", call.result);
	CHECK(probe_write(&probe, gpa, 0x1234) == PROBE_VMM, "it rang without a connection");
	CHECK(!with_input(HVABI_CALL_DELETE_PORT, 0, &delete, sizeof(delete)), "delete: %llx", call.result);
	probe_close(&probe);
	take_self_back();
	return PASS;
}

static enum ktap_result random_calls(void)
{
	unsigned int seed = setting("SEED", time(NULL));
	unsigned long calls = setting("CALLS", 20000);
	time_t end = time(NULL) + setting("SECONDS", 0);
	unsigned long done[2] = { 0, 0 }, rounds = 0;

	ktap_note("first seed %u, %lu calls a round", seed, calls);
	do {
		if (random_round(seed + rounds, calls, done) != PASS) {
			ktap_note("seed %lu", seed + rounds);
			return FAIL;
		}
		if (++rounds % 100 == 0)
			ktap_note("%lu rounds: %lu refused, %lu accepted", rounds, done[0], done[1]);
	} while (time(NULL) < end);
	ktap_note("%lu rounds: %lu refused, %lu accepted", rounds, done[0], done[1]);
	CHECK(done[1] > rounds * calls / 200, "hardly any call was accepted: the test tests nothing");
	return PASS;
}

static const struct ktap_test tests[] = {
	{ "reserved bits are refused in every call", reserved_bits },
	{ "blocks outside the parent's memory are refused", blocks_outside_memory },
	{ "unknown partitions are refused by every call", wrong_partitions },
	{ "only the parent's own pages can be lent", deposits_that_are_not_ours },
	{ "only the parent's own pages can be mapped", maps_that_are_not_ours },
	{ "a guest's doorbell is no exit to the VMM", doorbells },
	{ "random calls change nothing they should not", random_calls },
};

int main(void)
{
	if (system("insmod ./mshv_rawcall.ko")) {
		printf("Bail out! mshv_rawcall.ko does not load\n");
		return 1;
	}
	device = open("/dev/mshv_rawcall", O_RDWR);
	if (device < 0) {
		printf("Bail out! /dev/mshv_rawcall: %s\n", strerror(errno));
		return 1;
	}
	return KTAP_RUN(tests);
}
