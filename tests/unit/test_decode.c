// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decoding: control words, blocks, and every call with wrong input.  What is
 * refused changes nothing: the books before and after are compared.
 */
#include <hypervisor/core/frame.h>
#include <hypervisor/core/options.h>
#include "unit.h"

static const struct {
	uint16_t code;
	uint8_t kind;
	uint16_t in, in_el, out, out_el;
} shapes[] = {
#define X(name, code, kind, in, in_el, out, out_el) \
	{ code, HVABI_KIND_##kind, in, in_el, out, out_el },
	HVABI_CALL_LIST(X)
#undef X
};

static bool answered(uint16_t code)
{
	switch (code) {
#define X(name, text) case HVABI_CALL_##name:
	HVABI_DEBUG_CALLS(X)
#undef X
		return true;
	default:
		return false;
	}
}

static uint64_t raw(uint64_t control, uint64_t rdx, uint64_t r8)
{
	return mock_hypercall(&mock_cpus[0], control, rdx, r8);
}

/* Everything a refused call must leave alone. */
struct books {
	uint64_t parent_free, children, child_free, child_deposited, owned[4], refs;
};

static struct books take_books(void)
{
	struct books b = { .parent_free = parent.pool.free };

	for (struct partition *p = child_from_slot(0); p; p = child_from_slot(p->slot + 1u)) {
		b.children++;
		b.child_free += p->pool.free;
		b.child_deposited += p->pool.deposited;
	}
	for (uint64_t pfn = 0; pfn < MOCK_HEAP; pfn++) {
		b.owned[frame_of(pfn)->owner]++;
		b.refs += frame_refs(pfn);
	}
	return b;
}

static void unknown_codes(void **state)
{
	(void)state;
	assert_status(raw(hvabi_control(0, 0, 0), 0, 0), INVALID_HYPERCALL_CODE);
	assert_status(raw(hvabi_control(0xffff, 0, 0), 0, 0), INVALID_HYPERCALL_CODE);
	assert_status(raw(hvabi_control(HVABI_CALL_GET_PARTITION_ID, 0, 0), 0, 8192),
		      ACCESS_DENIED);
	assert_int_equal(parent.counters->value[HVABI_COUNT_UNKNOWN_CALL], 2);
	for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		uint16_t reps = shapes[i].kind == HVABI_KIND_REP;
		uint64_t result = raw(hvabi_control(shapes[i].code, reps, 0), 4096, 8192);

		if (!answered(shapes[i].code))
			assert_status(result, INVALID_HYPERCALL_CODE);
		else
			assert_int_not_equal(mock_status(result),
					     HVABI_STATUS_INVALID_HYPERCALL_CODE);
	}
}

static void every_call_refuses_bad_control_words(void **state)
{
	static const uint64_t reserved[] = {
		1ull << 27, 1ull << 30, 1ull << 31, 1ull << 44, 1ull << 47, 1ull << 60, 1ull << 63,
	};
	struct books before, after;

	(void)state;
	mock_child(20);
	before = take_books();
	for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		bool rep = shapes[i].kind == HVABI_KIND_REP;
		uint64_t good = hvabi_control(shapes[i].code, rep ? 4 : 0, 0);

		if (!answered(shapes[i].code))
			continue;
		for (unsigned int bit = 0; bit < sizeof(reserved) / sizeof(reserved[0]); bit++)
			assert_status(raw(good | reserved[bit], 4096, 8192),
				      INVALID_HYPERCALL_INPUT);
		/* A variable header that nobody asked for. */
		if (shapes[i].kind != HVABI_KIND_VARHEAD)
			assert_status(raw(good | 1ull << 17, 4096, 8192), INVALID_HYPERCALL_INPUT);
		/* Repetitions of a simple call; none, or a start behind the end, of a rep call. */
		if (rep) {
			assert_status(raw(hvabi_control(shapes[i].code, 0, 0), 4096, 8192),
				      INVALID_HYPERCALL_INPUT);
			assert_status(raw(hvabi_control(shapes[i].code, 4, 4), 4096, 8192),
				      INVALID_HYPERCALL_INPUT);
		} else {
			assert_status(raw(hvabi_control(shapes[i].code, 1, 0), 4096, 8192),
				      INVALID_HYPERCALL_INPUT);
			assert_status(raw(hvabi_control(shapes[i].code, 0, 1), 4096, 8192),
				      INVALID_HYPERCALL_INPUT);
		}
		if (shapes[i].kind != HVABI_KIND_FAST8 && shapes[i].kind != HVABI_KIND_FAST16)
			assert_status(raw(good | HVABI_CONTROL_FAST, 0, 0),
				      INVALID_HYPERCALL_INPUT);
	}
	after = take_books();
	assert_memory_equal(&before, &after, sizeof(before));
}

static void every_call_refuses_bad_blocks(void **state)
{
	static const uint64_t bad_alignment[] = { 4096 + 4, 8192 - 1, ~0ull };
	static const uint64_t not_parents[] = { MOCK_HEAP << 12, MOCK_PAGES << 12, 1ull << 50 };
	struct books before, after;

	(void)state;
	mock_child(20);
	/* The type of a state says whether there is a block for output: 0 does not say no. */
	memset(platform_phys(4096), 0, 4096);
	before = take_books();
	for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		bool rep = shapes[i].kind == HVABI_KIND_REP;
		uint64_t control = hvabi_control(shapes[i].code, rep ? 4 : 0, 0);

		if (!answered(shapes[i].code) || !shapes[i].in)
			continue;
		for (unsigned int k = 0; k < 3; k++) {
			assert_status(raw(control, bad_alignment[k], 8192), INVALID_ALIGNMENT);
			assert_status(raw(control, not_parents[k], 8192), INVALID_PARAMETER);
			if (!shapes[i].out && !shapes[i].out_el)
				continue;
			assert_status(raw(control, 4096, bad_alignment[k]), INVALID_ALIGNMENT);
			assert_status(raw(control, 4096, not_parents[k]), INVALID_PARAMETER);
		}
		/* A block that crosses its page: one that is just 8 bytes cannot. */
		if (shapes[i].in > 8)
			assert_status(raw(control, 8192 - 8, 8192), INVALID_ALIGNMENT);
	}
	after = take_books();
	assert_memory_equal(&before, &after, sizeof(before));
}

static void too_many_repetitions(void **state)
{
	uint64_t id = mock_child(20);
	uint64_t block[512] = { id };

	(void)state;
	assert_status(mock_call(HVABI_CALL_MAP_GPA_PAGES, block, 4096, 510, 0),
		      INVALID_HYPERCALL_INPUT);
	assert_status(mock_call(HVABI_CALL_DEPOSIT_MEMORY, block, 4096, 512, 0),
		      INVALID_HYPERCALL_INPUT);
	assert_status(mock_call(HVABI_CALL_GET_VP_REGISTERS, block, 4096, 257, 0),
		      INVALID_HYPERCALL_INPUT);
	assert_status(mock_call(HVABI_CALL_WITHDRAW_MEMORY, block, 4096, 513, 0),
		      INVALID_HYPERCALL_INPUT);
}

/* Taking host access back names pages; others name an object, a property, a ring. */
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

static void every_call_refuses_unknown_partitions(void **state)
{
	uint64_t id = mock_child(20), block[16] = { 0 };
	struct books before = take_books(), after;

	(void)state;
	for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		uint16_t code = shapes[i].code, reps = shapes[i].kind == HVABI_KIND_REP;
		const uint64_t wrong[] = { 0, id + 1, id + 256, id ^ (1ull << 63) };

		if (!answered(code) || names_no_partition(code))
			continue;
		for (unsigned int k = 0; k < 4; k++) {
			block[0] = wrong[k];
			assert_status(mock_call(code, block, sizeof(block), reps, 0),
				      INVALID_PARTITION_ID);
		}
	}
	after = take_books();
	assert_memory_equal(&before, &after, sizeof(before));
}

static void map_refuses_wrong_input(void **state)
{
	static const uint32_t bad_flags[] = {
		0, HVABI_MAP_GPA_WRITABLE, HVABI_MAP_GPA_EXECUTABLE,
		HVABI_MAP_GPA_READABLE | HVABI_MAP_GPA_KERNEL_EXECUTABLE,
		HVABI_MAP_GPA_READABLE | HVABI_MAP_GPA_USER_EXECUTABLE,
		HVABI_MAP_GPA_READABLE | NO_ACCESS, RWX | 0x10, RWX | 0x40000000,
		HVABI_MAP_GPA_READABLE | HVABI_MAP_GPA_NOT_CACHED | LARGE,
	};
	uint64_t id = mock_child(20);
	struct books before = take_books(), after;

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad_flags) / sizeof(bad_flags[0]); i++)
		assert_status(mock_map(id, 0, 1024, 1, bad_flags[i]), INVALID_PARAMETER);
	/* Pages that are not the parent's to give: hypervisor, deposited, none at all. */
	assert_status(mock_map(id, 0, MOCK_HEAP, 1, RWX), INVALID_PARAMETER);
	assert_status(mock_map(id, 0, MOCK_HEAP - 1, 2, RWX), INVALID_PARAMETER);
	assert_status(mock_map(id, 0, 513, 1, RWX), INVALID_PARAMETER);
	assert_status(mock_map(id, 0, MOCK_PAGES, 1, RWX), INVALID_PARAMETER);
	assert_status(mock_map(id, 0, ~0ull, 1, RWX), INVALID_PARAMETER);
	/* RAM cannot be device memory, nor device memory RAM; APICs are nobody's. */
	assert_status(mock_map(id, 0, 1024, 1, 0x200003), INVALID_PARAMETER);
	assert_status(mock_map(id, 0, 0xfee00, 1, 0x200003), INVALID_PARAMETER);
	assert_status(mock_map(id, 0, 1ull << 28, 1, 0x200003), INVALID_PARAMETER);
	/* Alignment and range; the page list of a no-access map must be zero. */
	assert_status(mock_map(id, 1, 2048, 1, RWX | LARGE), INVALID_PARAMETER);
	assert_status(mock_map(id, 512, 2049, 1, RWX | LARGE), INVALID_PARAMETER);
	assert_status(mock_map(id, (1ull << 36) - 1, 1024, 2, RWX), INVALID_PARAMETER);
	assert_status(mock_map(id, ~0ull - 1, 1024, 2, RWX), INVALID_PARAMETER);
	assert_status(mock_map(id, 0, 1, 1, NO_ACCESS), INVALID_PARAMETER);
	assert_status(mock_unmap(id, 0, 1, 1), INVALID_PARAMETER);
	assert_status(mock_unmap(id, 1ull << 36, 1, 0), INVALID_PARAMETER);
	assert_status(mock_unmap(id, 1, 1, HVABI_UNMAP_GPA_LARGE_PAGE), INVALID_PARAMETER);
	after = take_books();
	assert_memory_equal(&before, &after, sizeof(before));
}

static void device_memory_can_be_mapped(void **state)
{
	uint64_t id = mock_child(20);

	(void)state;
	assert_status(mock_map(id, 0, 0xe0000, 2, 0x200003), SUCCESS);
	assert_status(mock_unmap(id, 0, 2, 0), SUCCESS);
}

static void simple_calls_refuse_wrong_values(void **state)
{
	struct hvabi_input_create_partition create = { .flags = 0x80100 };
	struct hvabi_create_vp vp = { .flags = 1 };
	struct hvabi_input_install_intercept install = { 0 };
	struct hvabi_input_set_partition_property set = { 0 };
	struct hvabi_input_get_gpa_pages_access_state access = { .flags = 16 };
	uint64_t id;

	(void)state;
	mock_deposit(HVABI_PARTITION_ID_SELF, 600, 1);
	create.flags = 0x100;
	assert_status(mock_call(HVABI_CALL_CREATE_PARTITION, &create, sizeof(create), 0, 0),
		      INVALID_PARAMETER);
	create.flags = 0x80100 | HVABI_PARTITION_FLAG_X2APIC_CAPABLE;
	assert_status(mock_call(HVABI_CALL_CREATE_PARTITION, &create, sizeof(create), 0, 0),
		      INVALID_PARAMETER);
	create.flags = 0x80100;
	create.isolation_properties = HVABI_ISOLATION_TYPE_TDX;
	assert_status(mock_call(HVABI_CALL_CREATE_PARTITION, &create, sizeof(create), 0, 0),
		      INVALID_PARAMETER);

	id = mock_child(20);
	vp.partition_id = install.partition_id = set.partition_id = access.partition_id = id;
	assert_status(mock_call(HVABI_CALL_CREATE_VP, &vp, sizeof(vp), 0, 0), INVALID_PARAMETER);
	install.access_type = HVABI_INTERCEPT_ACCESS_MASK_EXECUTE;
	install.intercept_type = HVABI_INTERCEPT_TYPE_EXCEPTION;
	install.intercept_parameter = 32;
	assert_status(mock_call(HVABI_CALL_INSTALL_INTERCEPT, &install, sizeof(install), 0, 0),
		      INVALID_PARAMETER);
	/* The other bytes of the union are what they were. */
	install.intercept_parameter = 0x5555555555550006;
	assert_status(mock_call(HVABI_CALL_INSTALL_INTERCEPT, &install, sizeof(install), 0, 0), SUCCESS);
	assert_int_equal(partition_find(id)->exceptions, 1u << 6);
	install.intercept_type = HVABI_INTERCEPT_TYPE_APIC_WRITE;
	assert_status(mock_call(HVABI_CALL_INSTALL_INTERCEPT, &install, sizeof(install), 0, 0),
		      INVALID_PARAMETER);
	install.intercept_type = HVABI_INTERCEPT_TYPE_MSR_INDEX;
	install.access_type = HVABI_INTERCEPT_ACCESS_MASK_READ;
	install.intercept_parameter = 0xc0000100;
	assert_status(mock_call(HVABI_CALL_INSTALL_INTERCEPT, &install, sizeof(install), 0, 0),
		      INVALID_PARAMETER);
	set.property_code = 0x12345;
	assert_status(mock_call(HVABI_CALL_SET_PARTITION_PROPERTY, &set, sizeof(set), 0, 0),
		      UNKNOWN_PROPERTY);
	set.property_code = HVABI_PROPERTY_TIME_FREEZE;
	set.property_value = 2;
	assert_status(mock_call(HVABI_CALL_SET_PARTITION_PROPERTY, &set, sizeof(set), 0, 0),
		      PROPERTY_VALUE_OUT_OF_RANGE);
	set.property_code = HVABI_PROPERTY_SYNTHETIC_PROC_FEATURES;
	set.property_value = 0;
	assert_status(mock_call(HVABI_CALL_SET_PARTITION_PROPERTY, &set, sizeof(set), 0, 0),
		      INVALID_PARTITION_STATE);
	set.property_code = HVABI_PROPERTY_PRIVILEGE_FLAGS;
	assert_status(mock_call(HVABI_CALL_SET_PARTITION_PROPERTY, &set, sizeof(set), 0, 0),
		      INVALID_PARTITION_STATE);
	assert_status(mock_call(HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, &access, sizeof(access),
				1, 0), INVALID_PARAMETER);
	access.flags = 3;
	assert_status(mock_call(HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, &access, sizeof(access),
				1, 0), INVALID_PARAMETER);
}

static void privilege_flags(void **state)
{
	struct hvabi_input_create_partition create = {
		.flags = HVABI_PARTITION_FLAG_EXO_PARTITION |
			 HVABI_PARTITION_FLAG_INTERCEPT_MESSAGE_PAGE_ENABLED,
		.compatibility_version = HVABI_COMPATIBILITY_VERSION,
	};
	struct hvabi_input_set_partition_property set = {
		.property_code = HVABI_PROPERTY_PRIVILEGE_FLAGS, .property_value = 0x123456789abcdef0,
	};
	struct hvabi_input_get_partition_property get = {
		.property_code = HVABI_PROPERTY_PRIVILEGE_FLAGS,
	};
	uint64_t id;

	(void)state;
	mock_deposit(HVABI_PARTITION_ID_SELF, 3000, 1);
	assert_status(mock_call(HVABI_CALL_CREATE_PARTITION, &create, sizeof(create), 0, 0), SUCCESS);
	memcpy(&id, mock_out(), 8);
	set.partition_id = get.partition_id = id;
	assert_status(mock_call(HVABI_CALL_SET_PARTITION_PROPERTY, &set, sizeof(set), 0, 0), SUCCESS);
	mock_deposit(id, 3001, 20);
	assert_status(mock_call(HVABI_CALL_INITIALIZE_PARTITION, &id, 8, 0, 0), SUCCESS);
	set.property_value = 0;
	assert_status(mock_call(HVABI_CALL_SET_PARTITION_PROPERTY, &set, sizeof(set), 0, 0),
		      INVALID_PARTITION_STATE);
	assert_status(mock_call(HVABI_CALL_GET_PARTITION_PROPERTY, &get, sizeof(get), 0, 0), SUCCESS);
	assert_true(*(uint64_t *)mock_out() == 0x123456789abcdef0);
}

static void a_call_is_refused_on_request(void **state)
{
	uint64_t id = mock_child(20);

	(void)state;
	option_set(HVABI_OPTION_REFUSE_CALL, HVABI_CALL_MAP_GPA_PAGES);
	option_set(HVABI_OPTION_REFUSE_CALL_AT, 2);
	assert_status(mock_map(id, 0, 1024, 1, RWX), SUCCESS);
	assert_status(mock_map(id, 1, 1025, 1, RWX), OPERATION_FAILED);
	assert_int_equal(mock_entry(id, 1, NULL), 0);
	assert_status(mock_map(id, 1, 1025, 1, RWX), SUCCESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(unknown_codes),
		TEST(every_call_refuses_bad_control_words),
		TEST(every_call_refuses_bad_blocks),
		TEST(too_many_repetitions),
		TEST(every_call_refuses_unknown_partitions),
		TEST(map_refuses_wrong_input),
		TEST(device_memory_can_be_mapped),
		TEST(simple_calls_refuse_wrong_values),
		TEST(a_call_is_refused_on_request),
		TEST(privilege_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
