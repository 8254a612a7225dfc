// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested tables through the map calls: sizes, splits, joins, rights,
 * references, shoot-downs, and a random walk against a plain array.
 */
#include <stdio.h>
#include <stdlib.h>

#include <hypervisor/core/npt.h>
#include <hypervisor/core/options.h>
#include "unit.h"

#define BLOCK 512ull
#define RAM_BLOCK 2048ull	/* a 2 MiB aligned page of the parent */

static void maps_4k_and_2m(void **state)
{
	uint64_t id = mock_child(32), result;
	uint32_t level;

	(void)state;
	result = mock_map(id, 5, 1000, 3, RWX);
	assert_status(result, SUCCESS);
	assert_done(result, 3);
	assert_int_equal(mock_entry(id, 6, &level) & NPTE_ADDRESS, 1001ull << 12);
	assert_int_equal(level, NPT_4K);
	assert_int_equal(mock_refs(1001), 1);

	assert_status(mock_map(id, 2 * BLOCK, RAM_BLOCK, 2, RWX | LARGE), SUCCESS);
	assert_true(mock_entry(id, 2 * BLOCK + 7, &level) & NPTE_LARGE);
	assert_int_equal(level, NPT_2M);
	assert_int_equal(mock_refs(RAM_BLOCK + 7), 1);
	assert_int_equal(mock_refs(RAM_BLOCK + BLOCK + 511), 1);
	assert_int_equal(counter(id, HVABI_COUNT_MAP_2M), 2);
	assert_int_equal(mock_entry(id, 4 * BLOCK, NULL), 0);
}

static void rights_are_exact(void **state)
{
	uint64_t id = mock_child(32);

	(void)state;
	assert_status(mock_map(id, 0, 1000, 1, HVABI_MAP_GPA_READABLE), SUCCESS);
	assert_status(mock_map(id, 1, 1001, 1, RX | HVABI_MAP_GPA_ADJUSTABLE), SUCCESS);
	assert_int_equal(npt_rights(mock_entry(id, 0, NULL)), HVABI_MAP_GPA_READABLE);
	assert_int_equal(npt_rights(mock_entry(id, 1, NULL)), RX);
	assert_true(mock_entry(id, 0, NULL) & NPTE_NX);
	assert_false(mock_entry(id, 1, NULL) & NPTE_WRITE);
}

static void small_change_splits_a_large_map(void **state)
{
	uint64_t id = mock_child(32);
	uint32_t level;

	(void)state;
	assert_status(mock_map(id, BLOCK, RAM_BLOCK, 1, RWX | LARGE), SUCCESS);
	assert_status(mock_map(id, BLOCK + 3, 0, 1, NO_ACCESS), SUCCESS);
	assert_int_equal(mock_entry(id, BLOCK + 3, &level), NPTE_NO_ACCESS);
	assert_int_equal(level, NPT_4K);
	assert_int_equal(mock_entry(id, BLOCK + 4, NULL) & NPTE_ADDRESS, (RAM_BLOCK + 4) << 12);
	assert_int_equal(npt_rights(mock_entry(id, BLOCK + 4, NULL)), RWX);
	assert_int_equal(mock_refs(RAM_BLOCK + 3), 0);
	assert_int_equal(mock_refs(RAM_BLOCK + 4), 1);
	assert_int_equal(counter(id, HVABI_COUNT_SPLIT), 1);
}

static void large_map_replaces_a_table(void **state)
{
	uint64_t id = mock_child(32), free_before;
	uint32_t level;

	(void)state;
	assert_status(mock_map(id, BLOCK, 1000, 400, RWX), SUCCESS);
	free_before = partition_find(id)->pool.free;
	assert_status(mock_map(id, BLOCK, RAM_BLOCK, 1, RWX | LARGE), SUCCESS);
	mock_entry(id, BLOCK, &level);
	assert_int_equal(level, NPT_2M);
	assert_int_equal(mock_refs(1000), 0);
	assert_int_equal(partition_find(id)->pool.free, free_before + 1);
	assert_int_equal(counter(id, HVABI_COUNT_JOIN), 1);
}

static void large_no_access_drops_whatever_is_there(void **state)
{
	uint64_t id = mock_child(32);
	uint32_t level;

	(void)state;
	assert_status(mock_map(id, BLOCK, 1000, 10, RWX), SUCCESS);
	assert_status(mock_map(id, BLOCK, 0, 1, NO_ACCESS | LARGE), SUCCESS);
	assert_int_equal(mock_entry(id, BLOCK + 9, &level), NPTE_NO_ACCESS | NPTE_LARGE);
	assert_int_equal(level, NPT_2M);
	assert_int_equal(mock_refs(1009), 0);
}

static void only_lost_access_costs_a_shootdown(void **state)
{
	uint64_t id = mock_child(32);

	(void)state;
	assert_status(mock_map(id, 0, 1000, 8, RX), SUCCESS);
	assert_status(mock_map(id, 0, 1000, 8, RWX), SUCCESS);
	assert_int_equal(counter(id, HVABI_COUNT_SHOOTDOWN), 0);
	assert_status(mock_map(id, 0, 1000, 8, RX), SUCCESS);
	assert_int_equal(counter(id, HVABI_COUNT_SHOOTDOWN), 1);
	assert_status(mock_map(id, 0, 1008, 1, RX), SUCCESS);
	assert_int_equal(counter(id, HVABI_COUNT_SHOOTDOWN), 2);
	assert_status(mock_unmap(id, 0, 8, 0), SUCCESS);
	assert_int_equal(counter(id, HVABI_COUNT_SHOOTDOWN), 3);
}

/* A processor that holds a translation as written would not set the bit of the entry that comes over it. */
static void mapping_over_a_written_page_costs_one(void **state)
{
	uint64_t id = mock_child(32), generation;
	struct npt_iter it;

	(void)state;
	assert_status(mock_map(id, 0, 1000, 1, RWX), SUCCESS);
	npt_iter_begin(&it, &partition_find(id)->npt, 0);
	*it.slot |= NPTE_ACCESSED;
	generation = partition_find(id)->tlb_generation;
	assert_status(mock_map(id, 0, 1000, 1, RWX), SUCCESS);
	assert_int_equal(counter(id, HVABI_COUNT_SHOOTDOWN), 0);
	assert_int_equal(partition_find(id)->tlb_generation, generation + 1);
	*it.slot |= NPTE_ACCESSED | NPTE_DIRTY;
	assert_status(mock_map(id, 0, 1000, 1, RWX), SUCCESS);
	assert_int_equal(counter(id, HVABI_COUNT_SHOOTDOWN), 1);
}

static void shootdown_waits_for_the_other_processor(void **state)
{
	uint64_t id = mock_child(32);

	(void)state;
	assert_status(mock_map(id, 0, 1000, 1, RWX), SUCCESS);
	mock_cpus[1].guest = partition_find(id);
	assert_status(mock_unmap(id, 0, 1, 0), SUCCESS);
	assert_int_equal(mock_kicks, 1);
	assert_null(mock_cpus[1].guest);
	/* A processor elsewhere is left alone. */
	mock_cpus[1].guest = &parent;
	assert_status(mock_map(id, 0, 1000, 1, RWX), SUCCESS);
	assert_status(mock_unmap(id, 0, 1, 0), SUCCESS);
	assert_int_equal(mock_kicks, 1);
}

static void strict_unmap(void **state)
{
	uint64_t id = mock_child(32), result;

	(void)state;
	assert_status(mock_unmap(id, 0, 1, 0), INVALID_PARAMETER);
	assert_status(mock_map(id, BLOCK, RAM_BLOCK, 1, RWX | LARGE), SUCCESS);
	assert_status(mock_unmap(id, BLOCK, 1, 0), INVALID_PARAMETER);
	assert_status(mock_map(id, 0, 1000, 4, RWX), SUCCESS);
	assert_status(mock_unmap(id, 0, 1, HVABI_UNMAP_GPA_LARGE_PAGE), INVALID_PARAMETER);
	/* One hole in the range: nothing at all is unmapped. */
	result = mock_unmap(id, 0, 5, 0);
	assert_status(result, INVALID_PARAMETER);
	assert_done(result, 0);
	assert_int_equal(mock_refs(1000), 1);

	option_set(HVABI_OPTION_STRICT, 0);
	assert_status(mock_unmap(id, 0, 5, 0), SUCCESS);
	assert_status(mock_unmap(id, BLOCK, 1, 0), SUCCESS);
	assert_int_equal(mock_refs(RAM_BLOCK), 0);
	assert_int_equal(mock_refs(RAM_BLOCK + 1), 1);
}

static void memory_runs_out_half_way(void **state)
{
	/* Counters, root, three tables for the first block; nothing for the second. */
	uint64_t id = mock_child(5), result;

	(void)state;
	result = mock_map(id, BLOCK - 2, 1000, 5, RWX);
	assert_status(result, INSUFFICIENT_MEMORY);
	assert_done(result, 2);
	assert_int_equal(mock_refs(1001), 1);
	assert_int_equal(mock_refs(1002), 0);
	mock_deposit(id, 700, 2);
	assert_status(mock_map(id, BLOCK, 1002, 3, RWX), SUCCESS);
}

static void split_without_memory_changes_nothing(void **state)
{
	uint64_t id = mock_child(32), result;

	(void)state;
	assert_status(mock_map(id, 0, RAM_BLOCK, 1, RWX | LARGE), SUCCESS);
	option_set(HVABI_OPTION_REFUSE_MEMORY_EVERY, 1);
	result = mock_map(id, 5, 0, 1, NO_ACCESS);
	assert_status(result, INSUFFICIENT_MEMORY);
	assert_done(result, 0);
	assert_true(mock_entry(id, 5, NULL) & NPTE_LARGE);
	assert_int_equal(mock_refs(RAM_BLOCK + 5), 1);
}

static void access_bits(void **state)
{
	struct hvabi_input_get_gpa_pages_access_state in = { .flags = 0 };
	uint64_t id = mock_child(32);
	struct npt_iter it;
	uint8_t *out = mock_out();
	uint64_t generation;
	uint32_t level;

	(void)state;
	in.partition_id = id;
	assert_status(mock_map(id, 0, 1000, 4, RWX), SUCCESS);
	generation = partition_find(id)->tlb_generation;
	npt_iter_begin(&it, &partition_find(id)->npt, 2);
	*it.slot |= NPTE_ACCESSED | NPTE_DIRTY;
	assert_status(mock_call(HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, &in, sizeof(in), 4, 0),
		      SUCCESS);
	assert_int_equal(out[1], 0);
	assert_int_equal(out[2], 3);
	/* Clearing "accessed" leaves "dirty", and kicks nobody; the next entry forgets what is cached. */
	in.flags = HVABI_GPA_ACCESS_CLEAR_ACCESSED;
	assert_status(mock_call(HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, &in, sizeof(in), 4, 0),
		      SUCCESS);
	assert_int_equal(out[2], 3);
	assert_int_equal(counter(id, HVABI_COUNT_SHOOTDOWN), 0);
	assert_int_equal(partition_find(id)->tlb_generation, generation + 1);
	in.flags = 0;
	mock_call(HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, &in, sizeof(in), 4, 0);
	assert_int_equal(out[2], 2);
	/* A "dirty" that is cached would hide a write. */
	in.flags = HVABI_GPA_ACCESS_CLEAR_DIRTY;
	mock_call(HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, &in, sizeof(in), 4, 0);
	assert_int_equal(counter(id, HVABI_COUNT_SHOOTDOWN), 1);
	in.flags = 0;

	/* A 2 MiB map: a query leaves it, a change of a part splits it. */
	assert_status(mock_map(id, BLOCK, RAM_BLOCK, 1, RWX | LARGE), SUCCESS);
	npt_iter_begin(&it, &partition_find(id)->npt, BLOCK);
	*it.slot |= NPTE_DIRTY;
	in.hv_gpa_page_number = BLOCK + 10;
	mock_call(HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, &in, sizeof(in), 8, 0);
	assert_int_equal(out[7], 2);
	mock_entry(id, BLOCK, &level);
	assert_int_equal(level, NPT_2M);
	in.flags = HVABI_GPA_ACCESS_CLEAR_DIRTY;
	assert_status(mock_call(HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, &in, sizeof(in), 8, 0),
		      SUCCESS);
	mock_entry(id, BLOCK, &level);
	assert_int_equal(level, NPT_4K);
	assert_false(mock_entry(id, BLOCK + 10, NULL) & NPTE_DIRTY);
	assert_true(mock_entry(id, BLOCK + 18, NULL) & NPTE_DIRTY);
}

/* ---- what a child has of a whole GiB ---- */

#define GIB MOCK_GIB
#define GIB_BLOCKS ((uint16_t)(GIB / BLOCK))

/* All of it from page @pfn on, in two calls; the last block at last. */
static uint64_t map_gib(uint64_t id, uint64_t gfn, uint64_t pfn, uint32_t flags)
{
	uint64_t result = mock_map(id, gfn, pfn, 500, flags | LARGE);

	if (mock_status(result) == HVABI_STATUS_SUCCESS)
		result = mock_map(id, gfn + 500 * BLOCK, pfn + 500 * BLOCK, GIB_BLOCKS - 500, flags | LARGE);
	return result;
}

static uint32_t level_of(uint64_t id, uint64_t gfn)
{
	uint32_t level;

	mock_entry(id, gfn, &level);
	return level;
}

static void a_whole_gib_becomes_one_leaf(void **state)
{
	uint64_t id, free_before;

	(void)state;
	mock_reset_with_gib();
	id = mock_child(32);
	assert_status(mock_map(id, GIB, GIB, 500, RWX | LARGE), SUCCESS);
	free_before = partition_find(id)->pool.free;
	assert_status(mock_map(id, GIB + 500 * BLOCK, GIB + 500 * BLOCK, 12, RWX | LARGE), SUCCESS);
	assert_int_equal(level_of(id, GIB), NPT_1G);
	assert_int_equal(npt_rights(mock_entry(id, GIB + 12345, NULL)), RWX);
	assert_int_equal(counter(id, HVABI_COUNT_JOIN_1G), 1);
	assert_int_equal(partition_find(id)->pool.free, free_before + 1);
	/* The table had bits that a processor may still have set. */
	assert_true(mock_entry(id, GIB, NULL) & NPTE_DIRTY);
	for (uint64_t i = 0; i < GIB; i += 511)
		assert_int_equal(mock_refs(GIB + i), 1);

	/* Not with other rights, pages in another order, elsewhere in the GiB, or if it is not wanted. */
	assert_status(mock_map(id, GIB + 7 * BLOCK, GIB + 7 * BLOCK, 1, RX | LARGE), SUCCESS);
	assert_int_equal(level_of(id, GIB), NPT_2M);
	assert_status(mock_map(id, GIB + 7 * BLOCK, GIB + 8 * BLOCK, 1, RWX | LARGE), SUCCESS);
	assert_int_equal(level_of(id, GIB), NPT_2M);
	assert_status(mock_map(id, GIB + 7 * BLOCK, GIB + 7 * BLOCK, 1, RWX | LARGE), SUCCESS);
	assert_int_equal(level_of(id, GIB), NPT_1G);
	assert_status(map_gib(id, 2 * GIB, GIB, RX), SUCCESS);
	assert_int_equal(level_of(id, 2 * GIB), NPT_1G);
	assert_false(mock_entry(id, 2 * GIB, NULL) & NPTE_DIRTY);
	assert_status(mock_map(id, 3 * GIB + BLOCK, GIB, 500, RWX | LARGE), SUCCESS);
	assert_status(mock_map(id, 3 * GIB + 501 * BLOCK, GIB + 500 * BLOCK, 12, RWX | LARGE), SUCCESS);
	assert_int_equal(level_of(id, 3 * GIB + BLOCK), NPT_2M);
	option_set(HVABI_OPTION_JOIN, 0);
	assert_status(map_gib(id, 8 * GIB, GIB, RWX), SUCCESS);
	assert_int_equal(level_of(id, 8 * GIB), NPT_2M);
	option_set(HVABI_OPTION_JOIN, 1);
	platform_info.leaves_1g = false;
	assert_status(map_gib(id, 8 * GIB, GIB, RWX), SUCCESS);
	assert_int_equal(level_of(id, 8 * GIB), NPT_2M);
	assert_int_equal(counter(id, HVABI_COUNT_JOIN_1G), 3);
	assert_status(mock_call(HVABI_CALL_FINALIZE_PARTITION, &id, 8, 0, 0), SUCCESS);
	for (uint64_t i = 0; i < GIB; i++)
		assert_int_equal(mock_refs(GIB + i), 0);
}

/* Of a leaf that cannot be written, too: somebody has set it. */
static void a_dirty_bit_survives_the_join(void **state)
{
	struct hvabi_input_get_gpa_pages_access_state in = { .flags = HVABI_GPA_ACCESS_SET_DIRTY };

	(void)state;
	mock_reset_with_gib();
	in.partition_id = mock_child(32);
	in.hv_gpa_page_number = GIB + 77 * BLOCK;
	assert_status(mock_map(in.partition_id, GIB, GIB, 500, RX | LARGE), SUCCESS);
	assert_status(mock_call(HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, &in, sizeof(in), 512, 0), SUCCESS);
	assert_status(mock_map(in.partition_id, GIB + 500 * BLOCK, GIB + 500 * BLOCK, 12, RX | LARGE), SUCCESS);
	assert_int_equal(level_of(in.partition_id, GIB), NPT_1G);
	assert_true(mock_entry(in.partition_id, GIB, NULL) & NPTE_DIRTY);
}

/* The last block of it was there as small pages: their table goes, and so does the one above. */
static void a_gib_is_joined_over_small_pages(void **state)
{
	uint64_t id;

	(void)state;
	mock_reset_with_gib();
	id = mock_child(32);
	assert_status(mock_map(id, GIB - 5, 1000, 10, RWX), SUCCESS);
	assert_status(map_gib(id, GIB, GIB, RWX), SUCCESS);
	assert_int_equal(level_of(id, GIB), NPT_1G);
	assert_int_equal(mock_refs(1000), 1);
	assert_int_equal(mock_refs(1005), 0);
	assert_status(mock_map(id, GIB + 511 * BLOCK, 0, 1, NO_ACCESS | LARGE), SUCCESS);
	assert_status(mock_map(id, GIB + 511 * BLOCK, 1000, 10, RWX), SUCCESS);
	assert_status(mock_map(id, GIB + 511 * BLOCK, GIB + 511 * BLOCK, 1, RWX | LARGE), SUCCESS);
	assert_int_equal(level_of(id, GIB), NPT_1G);
	assert_int_equal(counter(id, HVABI_COUNT_JOIN_1G), 2);
}

/* A part of it is taken away: 2 MiB, a page, and all at once. */
static void a_gib_is_split_on_demand(void **state)
{
	uint64_t id;

	(void)state;
	mock_reset_with_gib();
	id = mock_child(32);
	assert_status(map_gib(id, GIB, GIB, RWX), SUCCESS);
	assert_status(mock_map(id, GIB + 3 * BLOCK, 0, 1, NO_ACCESS | LARGE), SUCCESS);
	assert_int_equal(counter(id, HVABI_COUNT_SPLIT_1G), 1);
	assert_int_equal(counter(id, HVABI_COUNT_SPLIT), 0);
	assert_int_equal(mock_refs(GIB + 3 * BLOCK), 0);
	assert_int_equal(mock_refs(GIB + 4 * BLOCK), 1);
	assert_int_equal(level_of(id, GIB), NPT_2M);
	assert_status(mock_map(id, GIB + 3 * BLOCK, GIB + 3 * BLOCK, 1, RWX | LARGE), SUCCESS);
	assert_int_equal(level_of(id, GIB), NPT_1G);
	assert_status(mock_map(id, GIB + 3 * BLOCK + 9, 0, 1, NO_ACCESS), SUCCESS);
	assert_int_equal(counter(id, HVABI_COUNT_SPLIT_1G), 2);
	assert_int_equal(counter(id, HVABI_COUNT_SPLIT), 1);
	assert_int_equal(mock_refs(GIB + 3 * BLOCK + 9), 0);
	assert_int_equal(mock_refs(GIB + 3 * BLOCK + 10), 1);
	assert_status(mock_map(id, GIB + 3 * BLOCK, GIB + 3 * BLOCK, 1, RWX | LARGE), SUCCESS);
	assert_int_equal(level_of(id, GIB), NPT_1G);
	/* What was mapped in one size is unmapped in that size: a part of it, and all of it without a split. */
	assert_status(mock_unmap(id, GIB + 3 * BLOCK, 1, 0), INVALID_PARAMETER);
	assert_int_equal(level_of(id, GIB), NPT_1G);
	assert_status(mock_unmap(id, GIB, GIB_BLOCKS, HVABI_UNMAP_GPA_LARGE_PAGE), SUCCESS);
	assert_int_equal(mock_entry(id, GIB, NULL), 0);
	assert_int_equal(counter(id, HVABI_COUNT_SPLIT_1G), 2);
	assert_int_equal(counter(id, HVABI_COUNT_UNMAP_2M), GIB_BLOCKS);
	for (uint64_t i = 0; i < GIB; i++)
		assert_int_equal(mock_refs(GIB + i), 0);
	assert_status(map_gib(id, GIB, GIB, RWX), SUCCESS);
	assert_status(mock_unmap(id, GIB + 100 * BLOCK, 100, HVABI_UNMAP_GPA_LARGE_PAGE), SUCCESS);
	assert_int_equal(counter(id, HVABI_COUNT_SPLIT_1G), 3);
	assert_int_equal(mock_entry(id, GIB + 150 * BLOCK, NULL), 0);
	assert_int_equal(level_of(id, GIB + 200 * BLOCK), NPT_2M);
}

/* The table that became free went elsewhere. */
static void a_split_of_a_gib_may_lack_memory(void **state)
{
	struct hvabi_input_get_gpa_pages_access_state in = { .flags = HVABI_GPA_ACCESS_CLEAR_ACCESSED };
	uint64_t id, result;
	uint16_t i;

	(void)state;
	mock_reset_with_gib();
	id = mock_child(10);
	assert_status(map_gib(id, GIB, GIB, RWX), SUCCESS);
	for (i = 0; partition_find(id)->pool.free; i++)
		assert_status(mock_map(id, 4 * GIB + i * BLOCK, 1000, 1, RWX), SUCCESS);
	result = mock_map(id, GIB + BLOCK, 0, 2, NO_ACCESS | LARGE);
	assert_status(result, INSUFFICIENT_MEMORY);
	assert_done(result, 0);
	assert_status(mock_unmap(id, GIB + BLOCK, 1, HVABI_UNMAP_GPA_LARGE_PAGE), INSUFFICIENT_MEMORY);
	in.partition_id = id;
	in.hv_gpa_page_number = GIB;
	assert_status(mock_call(HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, &in, sizeof(in), 512, 0),
		      INSUFFICIENT_MEMORY);
	assert_int_equal(level_of(id, GIB), NPT_1G);
	assert_int_equal(mock_refs(GIB + BLOCK), 1);
	mock_deposit(id, 4000, 1);
	assert_status(mock_call(HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, &in, sizeof(in), 512, 0), SUCCESS);
	/* The block was asked for as a whole: it is not split further. */
	assert_int_equal(level_of(id, GIB), NPT_2M);
	assert_false(mock_entry(id, GIB + 5, NULL) & NPTE_ACCESSED);
	assert_true(mock_entry(id, GIB + BLOCK, NULL) & NPTE_ACCESSED);
	/* No table above is needed for this. */
	assert_status(mock_unmap(id, GIB + BLOCK, 1, HVABI_UNMAP_GPA_LARGE_PAGE), SUCCESS);
}

static void partial_completion_goes_on(void **state)
{
	uint64_t id = mock_child(32), result;

	(void)state;
	option_set(HVABI_OPTION_PARTIAL_EVERY, 3);
	result = mock_map(id, 0, 1000, 8, RWX);
	assert_status(result, SUCCESS);
	assert_done(result, 3);
	assert_int_equal(mock_entry(id, 3, NULL), 0);
	/* The caller goes on with the same block; element i stays at its place. */
	result = hypercall(&mock_cpus[0], hvabi_control(HVABI_CALL_MAP_GPA_PAGES, 8, 3),
			   4096, 8192);
	assert_done(result, 6);
	assert_int_equal(mock_entry(id, 5, NULL) & NPTE_ADDRESS, 1005ull << 12);
	assert_int_equal(mock_entry(id, 6, NULL), 0);
	result = hypercall(&mock_cpus[0], hvabi_control(HVABI_CALL_MAP_GPA_PAGES, 8, 6),
			   4096, 8192);
	assert_status(result, SUCCESS);
	assert_done(result, 8);
}

/* ---- random walk against a model ---- */

#define MODEL_GFNS (4 * BLOCK)

/* What the model says of one GFN: page + 1, or 0; no-access; rights. */
struct cell {
	uint64_t page;
	uint32_t rights;
	bool known;
};

static struct cell model[MODEL_GFNS];

static void model_fill(uint64_t gfn, uint64_t count, uint64_t pfn, uint32_t rights, bool known)
{
	for (uint64_t i = 0; i < count; i++)
		model[gfn + i] = (struct cell){ rights ? pfn + i : 0, rights, known };
}

static void compare(uint64_t id)
{
	static uint32_t refs[MOCK_PAGES];

	memset(refs, 0, sizeof(refs));
	for (uint64_t gfn = 0; gfn < MODEL_GFNS; gfn++) {
		struct partition *p = partition_find(id);
		struct npt_iter it;
		uint64_t entry;

		npt_iter_begin(&it, &p->npt, gfn);
		entry = npt_iter_entry(&it);
		assert_int_equal(npt_rights(entry), model[gfn].rights);
		assert_int_equal(entry != 0, model[gfn].known);
		if (model[gfn].rights) {
			assert_int_equal(npt_iter_pfn(&it), model[gfn].page);
			refs[model[gfn].page]++;
		}
	}
	for (uint64_t pfn = 1024; pfn < MOCK_HEAP; pfn++)
		assert_int_equal(mock_refs(pfn), refs[pfn]);
}

static void random_operation(uint64_t id)
{
	static const uint32_t rights[] = { HVABI_MAP_GPA_READABLE, RX, RWX };
	uint32_t flags = rights[rand() % 3];
	uint64_t count = 1 + (uint64_t)rand() % 600, gfn = (uint64_t)rand() % MODEL_GFNS;
	uint64_t pfn = 1024 + (uint64_t)rand() % 2048;
	bool large = rand() % 3 == 0;

	if (large) {
		gfn &= ~(BLOCK - 1);
		pfn &= ~(BLOCK - 1);
		count = BLOCK;
	} else {
		count = count > 500 ? 500 : count;
		count = count > MODEL_GFNS - gfn ? MODEL_GFNS - gfn : count;
	}
	switch (rand() % 3) {
	case 0:
		flags = NO_ACCESS;
		/* fall through */
	case 1:
		assert_status(mock_map(id, gfn, flags == NO_ACCESS ? 0 : pfn,
				       (uint16_t)(large ? 1 : count), flags | (large ? LARGE : 0)),
			      SUCCESS);
		model_fill(gfn, count, pfn, flags == NO_ACCESS ? 0 : flags, true);
		break;
	default:
		assert_status(mock_unmap(id, gfn, (uint16_t)(large ? 1 : count),
					 large ? HVABI_UNMAP_GPA_LARGE_PAGE : 0), SUCCESS);
		model_fill(gfn, count, 0, 0, false);
		break;
	}
}

static void random_walk_matches_the_model(void **state)
{
	unsigned int seed = getenv("SEED") ? (unsigned int)atoi(getenv("SEED")) : 20261122;
	uint64_t id = mock_child(200), deposited;

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	option_set(HVABI_OPTION_STRICT, 0);
	memset(model, 0, sizeof(model));
	for (unsigned int i = 0; i < 400; i++) {
		random_operation(id);
		if (i % 20 == 0)
			compare(id);
	}
	compare(id);
	/* After FINALIZE every page is free and no reference is left. */
	deposited = partition_find(id)->pool.deposited;
	assert_status(mock_call(HVABI_CALL_FINALIZE_PARTITION, &id, 8, 0, 0), SUCCESS);
	assert_int_equal(partition_find(id)->pool.free, deposited);
	for (uint64_t pfn = 1024; pfn < MOCK_HEAP; pfn++)
		assert_int_equal(mock_refs(pfn), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(maps_4k_and_2m),
		TEST(rights_are_exact),
		TEST(small_change_splits_a_large_map),
		TEST(large_map_replaces_a_table),
		TEST(large_no_access_drops_whatever_is_there),
		TEST(only_lost_access_costs_a_shootdown),
		TEST(mapping_over_a_written_page_costs_one),
		TEST(shootdown_waits_for_the_other_processor),
		TEST(strict_unmap),
		TEST(memory_runs_out_half_way),
		TEST(split_without_memory_changes_nothing),
		TEST(access_bits),
		TEST(a_whole_gib_becomes_one_leaf),
		TEST(a_dirty_bit_survives_the_join),
		TEST(a_gib_is_joined_over_small_pages),
		TEST(a_gib_is_split_on_demand),
		TEST(a_split_of_a_gib_may_lack_memory),
		TEST(partial_completion_goes_on),
		TEST(random_walk_matches_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
