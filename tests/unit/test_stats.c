// SPDX-License-Identifier: GPL-2.0-only
/*
 * Statistics pages: which objects have them, what stands in them, and that nothing is written where
 * they were. System properties.
 */
#include <hvabi/stats.h>
#include <hypervisor/core/frame.h>
#include <hypervisor/core/npte.h>
#include "unit.h"

#define PAGE	1800ull		/* of the parent's */
#define SELF	HVABI_PARTITION_ID_SELF

static uint64_t id;
static struct vp *vp;

static int setup(void **state)
{
	(void)state;
	mock_reset();
	mock_deposit(SELF, 300, 4);
	id = mock_child(40);
	vp = mock_vp(id, 3);
	return 0;
}

static uint64_t map2(uint32_t type, uint64_t partition, uint32_t index, uint8_t area, uint64_t pfn)
{
	const struct hvabi_input_map_stats_page2 in = {
		.type = type, .identity = { partition, index, 0, 0, area }, .map_location = pfn,
	};

	return mock_call(HVABI_CALL_MAP_STATS_PAGE2, &in, sizeof(in), 0, 0);
}

static uint64_t map(uint32_t type, uint64_t partition, uint32_t index, uint8_t area)
{
	const struct hvabi_input_map_stats_page in = {
		.type = type, .identity = { partition, index, 0, 0, area },
	};

	return mock_call(HVABI_CALL_MAP_STATS_PAGE, &in, sizeof(in), 0, 0);
}

static uint64_t unmap(uint32_t type, uint64_t partition, uint32_t index, uint8_t area)
{
	const struct hvabi_input_map_stats_page in = {
		.type = type, .identity = { partition, index, 0, 0, area },
	};

	return mock_call(HVABI_CALL_UNMAP_STATS_PAGE, &in, sizeof(in), 0, 0);
}

static uint64_t value(uint64_t pfn, unsigned int n)
{
	return ((uint64_t *)platform_phys(pfn << 12))[n];
}

static void what_is_refused(void **state)
{
	(void)state;
	assert_status(map2(HVABI_STATS_LOGICAL_PROCESSOR, 0, 0, 0, PAGE), INVALID_PARAMETER);
	assert_status(map2(7, SELF, 0, 0, PAGE), INVALID_PARAMETER);
	assert_status(map2(HVABI_STATS_PARTITION, SELF, 0, 2, PAGE), INVALID_PARAMETER);
	assert_status(map2(HVABI_STATS_PARTITION, SELF, 1, 0, PAGE), INVALID_PARAMETER);
	assert_status(map2(HVABI_STATS_HYPERVISOR, SELF, 0, 0, PAGE), INVALID_PARAMETER);
	assert_status(map2(HVABI_STATS_PARTITION, 5, 0, 0, PAGE), INVALID_PARTITION_ID);
	assert_status(map2(HVABI_STATS_VP, SELF, MOCK_CPUS, 0, PAGE), INVALID_VP_INDEX);
	assert_status(map2(HVABI_STATS_VP, id, 0, 0, PAGE), INVALID_VP_INDEX);
	assert_status(map2(HVABI_STATS_VP, id, 3, 0, 0), INVALID_PARAMETER);
	assert_status(map2(HVABI_STATS_VP, id, 3, 0, 512), INVALID_PARAMETER);	/* lent */
	assert_status(map2(HVABI_STATS_VP, id, 3, 0, MOCK_HEAP), INVALID_PARAMETER);
	assert_status(unmap(HVABI_STATS_VP, id, 3, 0), INVALID_PARAMETER);
	assert_int_equal(parent.stats.first, 0);
}

static void a_page_of_the_parents(void **state)
{
	const uint64_t free = parent.pool.free;

	(void)state;
	memset(platform_phys(PAGE << 12), 0xee, 3 << 12);
	assert_status(map2(HVABI_STATS_PARTITION, id, 0, 0, PAGE), SUCCESS);
	assert_status(map2(HVABI_STATS_PARTITION, id, 0, 1, PAGE + 1), SUCCESS);
	for (unsigned int n = 0; n < 2; n++) {
		assert_int_equal(mock_refs(PAGE + n), 1);
		assert_int_equal(value(PAGE + n, HVABI_STATS_PT_VIRTUAL_PROCESSORS), 1);
		assert_int_equal(value(PAGE + n, HVABI_STATS_PT_DEPOSITED_PAGES), 40);
		assert_true(value(PAGE + n, HVABI_STATS_PT_PARTITION_ID) == id);
		assert_int_equal(value(PAGE + n, 511), 0);
	}
	/* The same once more, then at another place. */
	assert_status(map2(HVABI_STATS_PARTITION, id, 0, 0, PAGE), SUCCESS);
	assert_int_equal(mock_refs(PAGE), 1);
	assert_status(map2(HVABI_STATS_PARTITION, id, 0, 0, PAGE + 2), SUCCESS);
	assert_int_equal(mock_refs(PAGE), 0);
	assert_int_equal(mock_refs(PAGE + 2), 1);
	assert_status(unmap(HVABI_STATS_PARTITION, id, 0, 0), SUCCESS);
	assert_status(unmap(HVABI_STATS_PARTITION, id, 0, 0), INVALID_PARAMETER);
	assert_status(unmap(HVABI_STATS_PARTITION, id, 0, 1), SUCCESS);
	assert_int_equal(mock_refs(PAGE + 1) + mock_refs(PAGE + 2), 0);
	assert_int_equal(parent.pool.free, free);
}

static void a_page_of_the_hypervisors(void **state)
{
	const uint64_t free = parent.pool.free;
	uint64_t pfn, block[512] = { SELF };

	(void)state;
	assert_status(map(HVABI_STATS_VP, SELF, 1, 0), SUCCESS);
	memcpy(&pfn, mock_out(), 8);
	assert_int_equal(frame_of(pfn)->owner, FRAME_POOL);
	assert_int_equal(mock_entry(SELF, pfn, NULL) & (NPTE_PRESENT | NPTE_WRITE), NPTE_PRESENT);
	assert_status(map(HVABI_STATS_VP, SELF, 1, 0), SUCCESS);
	assert_true(*(uint64_t *)mock_out() == pfn);
	assert_status(unmap(HVABI_STATS_VP, SELF, 1, 0), SUCCESS);
	assert_false(mock_entry(SELF, pfn, NULL) & NPTE_PRESENT);
	assert_int_equal(parent.pool.free, free);
	/* Two pages are needed; with one, nothing is taken. */
	mock_call(HVABI_CALL_WITHDRAW_MEMORY, block, 16, 512, 0);
	mock_deposit(SELF, 320, 1);
	assert_status(map(HVABI_STATS_VP, SELF, 1, 0), INSUFFICIENT_MEMORY);
	assert_int_equal(parent.pool.free, 1);
	mock_deposit(SELF, 321, 1);
	assert_status(map(HVABI_STATS_VP, SELF, 1, 0), SUCCESS);
}

static enum run_result run(struct cpu *cpu, struct vp *v)
{
	(void)cpu;
	mock_tsc += 2000000;		/* 1 ms */
	v->hypercalls++;
	return RUN_PREEMPTED;
}

static void counters_move(void **state)
{
	(void)state;
	mock_run = run;
	assert_status(map2(HVABI_STATS_VP, id, 3, 0, PAGE), SUCCESS);
	assert_status(map2(HVABI_STATS_HYPERVISOR, 0, 0, 0, PAGE + 1), SUCCESS);
	assert_int_equal(value(PAGE + 1, HVABI_STATS_HV_LOGICAL_PROCESSORS), MOCK_CPUS);
	for (unsigned int i = 0; i < 30; i++)
		mock_dispatch(vp);
	assert_in_range(value(PAGE, HVABI_STATS_VP_DISPATCHES), 20, 30);
	assert_in_range(value(PAGE, HVABI_STATS_VP_TOTAL_RUN_TIME), 200000, 300000);
	assert_in_range(value(PAGE, HVABI_STATS_VP_HYPERCALLS), 20, 30);
	assert_int_equal(value(PAGE, HVABI_STATS_VP_DISPATCH_THREAD_BLOCKED), 0);
}

/* With its object a page is the parent's own again, and stays as it is. */
static void the_object_goes(void **state)
{
	const struct hvabi_input_delete_vp delete = { .partition_id = id, .vp_index = 3 };
	const uint64_t free = parent.pool.free;

	(void)state;
	mock_vp(id, 4);
	assert_status(map2(HVABI_STATS_VP, id, 3, 0, PAGE), SUCCESS);
	assert_status(map2(HVABI_STATS_VP, id, 4, 0, PAGE + 1), SUCCESS);
	assert_status(map2(HVABI_STATS_PARTITION, id, 0, 0, PAGE + 2), SUCCESS);
	assert_status(map(HVABI_STATS_PARTITION, id, 0, 1), SUCCESS);
	assert_status(mock_call(HVABI_CALL_DELETE_VP, &delete, sizeof(delete), 0, 0), SUCCESS);
	assert_int_equal(mock_refs(PAGE), 0);
	assert_int_equal(mock_refs(PAGE + 1), 1);
	assert_status(mock_call(HVABI_CALL_FINALIZE_PARTITION, &id, 8, 0, 0), SUCCESS);
	assert_int_equal(mock_refs(PAGE + 1) + mock_refs(PAGE + 2), 0);
	assert_int_equal(parent.pool.free, free);
	memset(platform_phys(PAGE << 12), 0xee, 3 << 12);
	mock_tsc += 1ull << 40;
	assert_status(unmap(HVABI_STATS_PARTITION, id, 0, 0), INVALID_PARTITION_STATE);
	assert_true(value(PAGE + 2, 1) == 0xeeeeeeeeeeeeeeee);
}

static void scheduler_type(void **state)
{
	struct hvabi_input_get_system_property in = { .property_id = 15 };
	const struct hvabi_input_debug_option option = {
		.partition_id = SELF, .option = HVABI_OPTION_SCHEDULER,
		.value = HVABI_SCHEDULER_OPTION_INTEGRATED,
	};

	(void)state;
	assert_status(mock_call(HVABI_CALL_GET_SYSTEM_PROPERTY, &in, sizeof(in), 0, 0), SUCCESS);
	assert_int_equal(*(uint64_t *)mock_out(), 4);
	assert_status(mock_call(HVABI_CALL_DEBUG_SET_OPTION, &option, sizeof(option), 0, 0), SUCCESS);
	assert_status(mock_call(HVABI_CALL_GET_SYSTEM_PROPERTY, &in, sizeof(in), 0, 0), SUCCESS);
	assert_int_equal(*(uint64_t *)mock_out(), 3);
	in.property_id = 47;
	assert_status(mock_call(HVABI_CALL_GET_SYSTEM_PROPERTY, &in, sizeof(in), 0, 0), UNKNOWN_PROPERTY);
}

#define STATS_TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STATS_TEST(what_is_refused),
		STATS_TEST(a_page_of_the_parents),
		STATS_TEST(a_page_of_the_hypervisors),
		STATS_TEST(counters_move),
		STATS_TEST(the_object_goes),
		STATS_TEST(scheduler_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
