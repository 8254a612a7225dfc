// SPDX-License-Identifier: GPL-2.0-only
/* Parts of a fault that the parent serves: which of them a moment belongs to, and which faults count. The test moves the clock. */
#include <hvabi/hypercall.h>

#include <hypervisor/core/fault_time.h>
#include <hypervisor/core/options.h>
#include <hypervisor/core/vp.h>
#include "unit.h"

static uint64_t id, other;
static struct cpu *const cpu = &mock_cpus[0];

/* A processor of it, of which nothing else is asked. */
static const struct vp *child(uint64_t partition)
{
	static struct vp vp;

	vp.partition = partition_find(partition);
	vp.index = 0;
	return &vp;
}

static int setup(void **state)
{
	(void)state;
	mock_reset();
	mock_tsc = 1000000;
	id = mock_child(60);
	other = mock_child(60);
	cpu->fault_time = (struct fault_time){ .part = FAULT_PART_NONE };
	fault_time_child_enters(cpu, child(id));
	assert_true(option_set(HVABI_OPTION_TIME_FAULTS, 1));
	return 0;
}

static void call(u16 code)
{
	fault_time_parent_left(cpu);
	fault_time_call(cpu, code);
}

/* A map call that takes no time. */
static void map(void)
{
	call(HVABI_CALL_MAP_GPA_PAGES);
	fault_time_parent_enters(cpu);
}

/* What the parent does to have a child go on. */
static void dispatch(uint64_t partition)
{
	call(HVABI_CALL_DISPATCH_VP);
	fault_time_child_enters(cpu, child(partition));
}

/* A fault of 1 + 10 + 100 + 1000 + 10000 ticks. */
static void serve(void)
{
	fault_time_child_left(cpu, true);
	mock_tsc += 1;
	fault_time_parent_enters(cpu);
	mock_tsc += 10;
	call(HVABI_CALL_MAP_GPA_PAGES);
	mock_tsc += 100;
	fault_time_parent_enters(cpu);
	mock_tsc += 1000;
	call(HVABI_CALL_DISPATCH_VP);
	mock_tsc += 10000;
	fault_time_child_enters(cpu, child(id));
	mock_tsc += 100000;
}

static void ticks_are(u64 faults, u64 exit, u64 look, u64 map, u64 back, u64 dispatch)
{
	assert_int_equal(counter(id, HVABI_COUNT_FAULT_TIMED), faults);
	assert_int_equal(counter(id, HVABI_COUNT_FAULT_TICKS_EXIT), exit);
	assert_int_equal(counter(id, HVABI_COUNT_FAULT_TICKS_LOOK), look);
	assert_int_equal(counter(id, HVABI_COUNT_FAULT_TICKS_MAP), map);
	assert_int_equal(counter(id, HVABI_COUNT_FAULT_TICKS_RETURN), back);
	assert_int_equal(counter(id, HVABI_COUNT_FAULT_TICKS_DISPATCH), dispatch);
}

static void whole_faults(void **state)
{
	(void)state;
	serve();
	ticks_are(1, 1, 10, 100, 1000, 10000);
	fault_time_child_left(cpu, false);
	serve();
	ticks_are(2, 2, 20, 200, 2000, 20000);
}

/* An interrupt, another call before the map and a second map after it, a dispatch that comes back without having run. */
static void detours(void **state)
{
	(void)state;
	fault_time_child_left(cpu, true);
	mock_tsc += 1;
	fault_time_parent_enters(cpu);
	mock_tsc += 10;
	fault_time_parent_left(cpu);
	mock_tsc += 10;
	fault_time_parent_enters(cpu);
	call(HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES);
	mock_tsc += 10;
	fault_time_parent_enters(cpu);
	call(HVABI_CALL_MAP_GPA_PAGES);
	mock_tsc += 100;
	fault_time_parent_enters(cpu);
	mock_tsc += 1000;
	call(HVABI_CALL_MAP_GPA_PAGES);
	mock_tsc += 100;
	fault_time_parent_enters(cpu);
	call(HVABI_CALL_DISPATCH_VP);
	mock_tsc += 10000;
	fault_time_parent_enters(cpu);
	mock_tsc += 1000;
	call(HVABI_CALL_DISPATCH_VP);
	mock_tsc += 10000;
	fault_time_child_enters(cpu, child(id));
	ticks_are(1, 1, 30, 200, 2000, 20000);
}

/* Served by the hypervisor itself; of another kind; a child that the hypervisor lets run; nobody has asked. */
static void no_faults(void **state)
{
	(void)state;
	fault_time_child_left(cpu, true);
	mock_tsc += 1;
	fault_time_child_enters(cpu, child(id));
	fault_time_child_left(cpu, false);
	fault_time_parent_enters(cpu);
	map();
	dispatch(id);
	fault_time_child_left(cpu, true);
	mock_tsc += 1;
	fault_time_parent_enters(cpu);
	map();
	fault_time_child_enters(cpu, child(id));
	assert_true(option_set(HVABI_OPTION_TIME_FAULTS, 0));
	fault_time_child_left(cpu, false);
	serve();
	ticks_are(0, 0, 0, 0, 0, 0);
}

/* An access that the VMM emulates; a guest that ends in one, and another one is next; the option goes. */
static void unfinished(void **state)
{
	(void)state;
	fault_time_child_left(cpu, true);
	fault_time_parent_enters(cpu);
	mock_tsc += 10;
	call(HVABI_CALL_SET_VP_REGISTERS);
	fault_time_parent_enters(cpu);
	dispatch(id);
	fault_time_child_left(cpu, true);
	fault_time_parent_enters(cpu);
	map();
	dispatch(other);
	assert_int_equal(counter(other, HVABI_COUNT_FAULT_TIMED), 0);
	fault_time_child_left(cpu, false);
	fault_time_child_enters(cpu, child(id));
	fault_time_child_left(cpu, true);
	fault_time_parent_enters(cpu);
	map();
	assert_true(option_set(HVABI_OPTION_TIME_FAULTS, 0));
	dispatch(id);
	ticks_are(0, 0, 0, 0, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(whole_faults, setup), cmocka_unit_test_setup(detours, setup), cmocka_unit_test_setup(no_faults, setup),
		cmocka_unit_test_setup(unfinished, setup),
	};

	return cmocka_run_group_tests_name("fault_time", tests, NULL, NULL);
}
