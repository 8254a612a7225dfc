// SPDX-License-Identifier: GPL-2.0-only
/*
 * Partitions and pools: states, what a deposit takes from the parent, that
 * every page comes back, and "insufficient memory" at each point.
 */
#include <hypervisor/core/frame.h>
#include <hypervisor/core/npt.h>
#include <hypervisor/core/options.h>
#include "unit.h"

#define SELF HVABI_PARTITION_ID_SELF

static bool parent_reaches(uint64_t pfn)
{
	return mock_entry(SELF, pfn, NULL) & NPTE_PRESENT;
}

static uint64_t deposit(uint64_t id, const uint64_t *pfns, uint16_t count)
{
	uint64_t block[512] = { id };

	memcpy(block + 1, pfns, count * 8u);
	return mock_call(HVABI_CALL_DEPOSIT_MEMORY, block, 8 + 8u * count, count, 0);
}

static uint64_t withdraw(uint64_t id, uint16_t count)
{
	uint64_t block[2] = { id, 0 };

	return mock_call(HVABI_CALL_WITHDRAW_MEMORY, block, sizeof(block), count, 0);
}

static uint64_t create(uint64_t *id)
{
	struct hvabi_input_create_partition in = { .flags = 0x80100 };
	uint64_t result = mock_call(HVABI_CALL_CREATE_PARTITION, &in, sizeof(in), 0, 0);

	memcpy(id, mock_out(), 8);
	return result;
}

static void a_deposited_page_vanishes(void **state)
{
	const uint64_t pages[] = { 1000, 2000 };
	uint64_t *out = mock_out(), result;
	uint64_t shootdowns = counter(SELF, HVABI_COUNT_SHOOTDOWN);

	(void)state;
	memset(platform_phys(1000 << 12), 0x77, 4096);
	assert_status(deposit(SELF, pages, 2), SUCCESS);
	assert_false(parent_reaches(1000));
	assert_false(parent_reaches(2000));
	assert_true(parent_reaches(1001));
	assert_int_equal(counter(SELF, HVABI_COUNT_SHOOTDOWN), shootdowns + 1);
	result = withdraw(SELF, 8);
	assert_status(result, NO_RESOURCES);
	assert_done(result, 2);
	assert_int_equal(out[0] + out[1], 3000);
	assert_true(parent_reaches(1000));
	assert_int_equal(*(uint64_t *)platform_phys(1000 << 12), 0);
	result = withdraw(SELF, 8);
	assert_status(result, NO_RESOURCES);
	assert_done(result, 0);
}

static void a_deposit_is_all_or_nothing(void **state)
{
	const uint64_t twice[] = { 1000, 1001, 1000 }, foreign[] = { 1000, MOCK_HEAP };
	const uint64_t zero[] = { 1000, 0 }, again[] = { 1000 }, ok[] = { 1000, 1001 };
	uint64_t id = mock_child(20);

	(void)state;
	assert_status(deposit(SELF, twice, 3), INVALID_PARAMETER);
	assert_status(deposit(SELF, foreign, 2), INVALID_PARAMETER);
	assert_status(deposit(SELF, zero, 2), INVALID_PARAMETER);
	assert_true(parent_reaches(1000));
	assert_int_equal(parent.pool.deposited, 1);
	/* A page that a child can reach, or that is a state page, stays where it is. */
	assert_status(mock_map(id, 0, 1000, 1, RWX), SUCCESS);
	assert_status(deposit(SELF, again, 1), INVALID_PARAMETER);
	assert_status(mock_unmap(id, 0, 1, 0), SUCCESS);
	assert_status(deposit(SELF, ok, 2), SUCCESS);
	assert_status(deposit(SELF, again, 1), INVALID_PARAMETER);
}

static void states_are_kept(void **state)
{
	uint64_t id, self_pages[] = { 1000 }, pages[] = { 1001, 1002 };
	struct hvabi_create_vp vp = { 0 };

	(void)state;
	assert_status(create(&id), INSUFFICIENT_MEMORY);
	assert_status(deposit(SELF, self_pages, 1), SUCCESS);
	assert_status(create(&id), SUCCESS);
	vp.partition_id = id;
	assert_status(mock_call(HVABI_CALL_CREATE_VP, &vp, sizeof(vp), 0, 0),
		      INVALID_PARTITION_STATE);
	assert_status(mock_map(id, 0, 1024, 1, RWX), INVALID_PARTITION_STATE);
	assert_status(mock_unmap(id, 0, 1, 0), INVALID_PARTITION_STATE);
	assert_status(mock_call(HVABI_CALL_INITIALIZE_PARTITION, &id, 8, 0, 0),
		      INSUFFICIENT_MEMORY);
	assert_status(deposit(id, pages, 1), SUCCESS);
	assert_status(mock_call(HVABI_CALL_INITIALIZE_PARTITION, &id, 8, 0, 0),
		      INSUFFICIENT_MEMORY);
	assert_int_equal(partition_find(id)->pool.free, 1);
	assert_status(deposit(id, pages + 1, 1), SUCCESS);
	assert_status(mock_call(HVABI_CALL_INITIALIZE_PARTITION, &id, 8, 0, 0), SUCCESS);
	assert_status(mock_call(HVABI_CALL_INITIALIZE_PARTITION, &id, 8, 0, 0),
		      INVALID_PARTITION_STATE);
	assert_status(mock_call(HVABI_CALL_DELETE_PARTITION, &id, 8, 0, 0),
		      INVALID_PARTITION_STATE);
	assert_status(mock_call(HVABI_CALL_FINALIZE_PARTITION, &id, 8, 0, 0), SUCCESS);
	assert_status(mock_call(HVABI_CALL_FINALIZE_PARTITION, &id, 8, 0, 0),
		      INVALID_PARTITION_STATE);
	assert_status(mock_map(id, 0, 1024, 1, RWX), INVALID_PARTITION_STATE);
	/* Late unmaps are harmless; deposits are over. */
	assert_status(mock_unmap(id, 0, 4, 0), SUCCESS);
	assert_status(deposit(id, (uint64_t[]){ 1003 }, 1), INVALID_PARTITION_STATE);
	assert_status(mock_call(HVABI_CALL_DELETE_PARTITION, &id, 8, 0, 0), OBJECT_IN_USE);
	assert_done(withdraw(id, 16), 2);
	assert_status(mock_call(HVABI_CALL_DELETE_PARTITION, &id, 8, 0, 0), SUCCESS);
	assert_status(mock_call(HVABI_CALL_DELETE_PARTITION, &id, 8, 0, 0), INVALID_PARTITION_ID);
	assert_status(withdraw(id, 1), INVALID_PARTITION_ID);
	assert_done(withdraw(SELF, 16), 1);
}

static void ids_are_not_used_again(void **state)
{
	uint64_t first = mock_child(20), second;

	(void)state;
	mock_call(HVABI_CALL_FINALIZE_PARTITION, &first, 8, 0, 0);
	withdraw(first, 64);
	assert_status(mock_call(HVABI_CALL_DELETE_PARTITION, &first, 8, 0, 0), SUCCESS);
	second = mock_child(20);
	assert_int_not_equal(first, second);
	assert_status(mock_map(first, 0, 1024, 1, RWX), INVALID_PARTITION_ID);
}

/* A VP with both state pages, mapped memory: then everything must come back. */
static void finalize_gives_everything_back(void **state)
{
	uint64_t id = mock_child(40);
	struct hvabi_create_vp vp = { .partition_id = id, .vp_index = 3 };
	struct hvabi_input_map_vp_state_page page = {
		.partition_id = id, .vp_index = 3, .type = 1,
		.flags = HVABI_VP_STATE_PAGE_LOCATION_PROVIDED, .requested_map_location = 900,
	};

	(void)state;
	assert_status(mock_call(HVABI_CALL_CREATE_VP, &vp, sizeof(vp), 0, 0), SUCCESS);
	assert_status(mock_call(HVABI_CALL_MAP_VP_STATE_PAGE, &page, sizeof(page), 0, 0), SUCCESS);
	assert_int_equal(mock_refs(900), 1);
	assert_status(mock_map(id, 0, 1024, 100, RWX), SUCCESS);
	assert_status(mock_map(id, 1024, 2048, 2, RWX | LARGE), SUCCESS);
	mock_cpus[1].guest = partition_find(id);
	assert_status(mock_call(HVABI_CALL_FINALIZE_PARTITION, &id, 8, 0, 0), SUCCESS);
	assert_null(mock_cpus[1].guest);
	assert_int_equal(partition_find(id)->pool.free, 40);
	assert_int_equal(mock_refs(900), 0);
	assert_int_equal(mock_refs(1024), 0);
	assert_int_equal(mock_refs(2048 + 700), 0);
	assert_done(withdraw(id, 64), 40);
}

/* Refuse the Nth request for memory, for every N, through a whole life. */
static void memory_refused_at_every_point(void **state)
{
	uint64_t n;

	(void)state;
	for (n = 1; n < 100; n++) {
		struct hvabi_create_vp vp = { .vp_index = 0 };
		uint64_t id = 0, pages[30], result, refused;

		mock_reset();
		for (unsigned int i = 0; i < 30; i++)
			pages[i] = 700 + i;
		assert_status(deposit(SELF, (uint64_t[]){ 690 }, 1), SUCCESS);
		option_set(HVABI_OPTION_REFUSE_MEMORY_AT, n);
		while (mock_status(result = create(&id)) == HVABI_STATUS_INSUFFICIENT_MEMORY)
			;
		assert_status(result, SUCCESS);
		assert_status(deposit(id, pages, 30), SUCCESS);
		while (mock_status(result = mock_call(HVABI_CALL_INITIALIZE_PARTITION, &id, 8, 0,
						      0)) == HVABI_STATUS_INSUFFICIENT_MEMORY)
			;
		assert_status(result, SUCCESS);
		vp.partition_id = id;
		while (mock_status(result = mock_call(HVABI_CALL_CREATE_VP, &vp, sizeof(vp), 0,
						      0)) == HVABI_STATUS_INSUFFICIENT_MEMORY)
			;
		assert_status(result, SUCCESS);
		while (mock_status(result = mock_map(id, 500, 1024, 30, RWX)) ==
		       HVABI_STATUS_INSUFFICIENT_MEMORY)
			;
		assert_status(result, SUCCESS);
		assert_int_equal(mock_refs(1024), 1);
		refused = counter(id, HVABI_COUNT_MEMORY_REFUSED) + mock_cpus[0].counters.value[
			HVABI_COUNT_MEMORY_REFUSED];
		assert_status(mock_call(HVABI_CALL_FINALIZE_PARTITION, &id, 8, 0, 0), SUCCESS);
		assert_int_equal(partition_find(id)->pool.free, 30);
		if (!refused)
			break;
	}
	/* The sweep ended because nothing was left to refuse. */
	assert_in_range(n, 8, 40);
}

static uint64_t host_access(uint16_t code, uint64_t id, const uint64_t *pfns, uint16_t count,
			    uint32_t flags)
{
	uint64_t block[512] = { 0 };
	bool release = code == HVABI_CALL_RELEASE_SPARSE_SPA_PAGE_HOST_ACCESS;

	block[0] = (uint64_t)flags << 32 | (release ? 0 : 3);
	block[1] = id;
	memcpy(block + 2, pfns, count * 8u);
	return mock_call(code, block, 16 + 8u * count, count, 0);
}

static uint64_t release(uint64_t id, const uint64_t *pfns, uint16_t count, uint32_t flags)
{
	return host_access(HVABI_CALL_RELEASE_SPARSE_SPA_PAGE_HOST_ACCESS, id, pfns, count,
			   flags | HVABI_HOST_ACCESS_MAKE_EXCLUSIVE);
}

static uint64_t acquire(const uint64_t *pfns, uint16_t count, uint32_t flags)
{
	return host_access(HVABI_CALL_ACQUIRE_SPARSE_SPA_PAGE_HOST_ACCESS, 0, pfns, count,
			   flags | HVABI_HOST_ACCESS_MAKE_SHARED);
}

/* A large map counts for all of its pages, and one page that is not the parent's counts against all of its block. */
static void a_block_is_all_of_its_pages(void **state)
{
	const uint64_t first = 2048, last = first + 511, child = mock_child(32);
	const uint64_t pages[] = { last };

	(void)state;
	assert_status(deposit(SELF, pages, 1), SUCCESS);
	assert_status(mock_map(child, 0, first, 1, RWX | LARGE), INVALID_PARAMETER);
	assert_int_equal(mock_refs(first), 0);
	withdraw(SELF, 64);
	assert_status(mock_map(child, 0, first, 1, RWX | LARGE), SUCCESS);
	assert_status(deposit(SELF, pages, 1), INVALID_PARAMETER);
	/* A part of it is unmapped, so it becomes small maps; what is left is still in use. */
	assert_status(mock_map(child, 511, 0, 1, HVABI_MAP_GPA_NO_ACCESS), SUCCESS);
	assert_status(deposit(SELF, &first, 1), INVALID_PARAMETER);
	assert_status(deposit(SELF, pages, 1), SUCCESS);
}

static void isolated_memory_is_the_childs_alone(void **state)
{
	const uint64_t pages[] = { 1024, 1025 }, twice[] = { 1024, 1024 }, block[] = { 2048 };
	uint64_t ordinary = mock_child(30), id = mock_isolated_child(30);

	(void)state;
	/* An isolated child maps only what was released to it; others cannot have it at all. */
	assert_status(mock_map(id, 0, 1024, 1, RWX), INVALID_PARAMETER);
	assert_status(release(ordinary, pages, 2, 0), OPERATION_DENIED);
	assert_status(release(id, twice, 2, 0), INVALID_PARAMETER);
	assert_true(parent_reaches(1024));
	memset(platform_phys(1024 << 12), 0x55, 4096);
	assert_status(release(id, pages, 2, 0), SUCCESS);
	assert_false(parent_reaches(1024));
	assert_status(release(id, pages, 1, 0), INVALID_PARAMETER);
	assert_status(mock_map(ordinary, 0, 1024, 1, RWX), INVALID_PARAMETER);
	assert_status(mock_map(id, 0, 1024, 2, RWX), SUCCESS);
	assert_status(deposit(SELF, pages, 1), INVALID_PARAMETER);
	/* Not back while the child can reach it; then zeroed. */
	assert_status(acquire(pages, 2, 0), INVALID_PARAMETER);
	assert_status(mock_unmap(id, 0, 2, 0), SUCCESS);
	assert_status(mock_call(HVABI_CALL_FINALIZE_PARTITION, &id, 8, 0, 0), SUCCESS);
	withdraw(id, 64);
	assert_status(mock_call(HVABI_CALL_DELETE_PARTITION, &id, 8, 0, 0), OBJECT_IN_USE);
	assert_status(acquire(pages, 2, 0), SUCCESS);
	assert_true(parent_reaches(1024));
	assert_int_equal(*(uint64_t *)platform_phys(1024 << 12), 0);
	assert_status(acquire(pages, 1, 0), INVALID_PARAMETER);
	assert_status(mock_call(HVABI_CALL_DELETE_PARTITION, &id, 8, 0, 0), SUCCESS);

	/* 2 MiB at once. */
	id = mock_isolated_child(30);
	assert_status(release(id, pages + 1, 1, HVABI_HOST_ACCESS_LARGE_PAGE), INVALID_PARAMETER);
	assert_status(release(id, block, 1, HVABI_HOST_ACCESS_LARGE_PAGE), SUCCESS);
	assert_false(parent_reaches(2048 + 511));
	assert_status(mock_map(id, 512, 2048, 1, RWX | LARGE), SUCCESS);
	assert_status(mock_unmap(id, 512, 1, HVABI_UNMAP_GPA_LARGE_PAGE), SUCCESS);
	assert_status(acquire(block, 1, HVABI_HOST_ACCESS_LARGE_PAGE), SUCCESS);
	assert_true(parent_reaches(2048 + 511));
}

static void who_can_reach(void **state)
{
	struct hvabi_input_debug_who_can_reach in = { HVABI_PARTITION_ID_SELF, 1024 };
	struct hvabi_output_debug_who_can_reach *out = mock_out();
	uint64_t a = mock_child(20), b = mock_child(20);

	(void)state;
	assert_status(mock_map(a, 7, 1024, 1, RX), SUCCESS);
	assert_status(mock_map(b, 512, 1024, 1, RWX | LARGE), SUCCESS);
	assert_status(mock_call(HVABI_CALL_DEBUG_WHO_CAN_REACH, &in, sizeof(in), 0, 0), SUCCESS);
	assert_int_equal(out->owner, HVABI_DEBUG_OWNER_PARENT);
	assert_int_equal(out->found, 2);
	assert_int_equal(out->references, 2);
	assert_int_equal(out->parent_access, 1);
	assert_int_equal(out->reach[0].partition_id, a);
	assert_int_equal(out->reach[0].gfn, 7);
	assert_int_equal(out->reach[0].rights, RX);
	assert_int_equal(out->reach[1].gfn, 512);
	assert_int_equal(out->reach[1].size, 2);
	in.partition_id = b;
	assert_status(mock_call(HVABI_CALL_DEBUG_WHO_CAN_REACH, &in, sizeof(in), 0, 0), SUCCESS);
	assert_int_equal(out->found, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_deposited_page_vanishes),
		TEST(a_deposit_is_all_or_nothing),
		TEST(states_are_kept),
		TEST(ids_are_not_used_again),
		TEST(finalize_gives_everything_back),
		TEST(memory_refused_at_every_point),
		TEST(a_block_is_all_of_its_pages),
		TEST(isolated_memory_is_the_childs_alone),
		TEST(who_can_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
