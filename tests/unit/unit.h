/* SPDX-License-Identifier: GPL-2.0-only */
/* What every unit test includes: cmocka and the mocked machine. */
#ifndef UNIT_UNIT_H
#define UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <hvabi/debug.h>
#include <hvabi/memory.h>
#include <hvabi/partition.h>
#include <hvabi/status.h>
#include <hvabi/vp.h>
#include "mock.h"

#define assert_status(result, expected) \
	assert_int_equal(mock_status(result), HVABI_STATUS_##expected)
#define assert_done(result, expected) assert_int_equal(mock_reps(result), expected)

#define RWX (HVABI_MAP_GPA_READABLE | HVABI_MAP_GPA_WRITABLE | HVABI_MAP_GPA_EXECUTABLE)
#define RX (HVABI_MAP_GPA_READABLE | HVABI_MAP_GPA_EXECUTABLE)
#define LARGE HVABI_MAP_GPA_LARGE_PAGE
#define NO_ACCESS HVABI_MAP_GPA_NO_ACCESS

/* Every test starts on a fresh machine. */
static inline int unit_setup(void **state)
{
	(void)state;
	mock_reset();
	return 0;
}

#define TEST(function) cmocka_unit_test_setup(function, unit_setup)

static inline uint64_t counter(uint64_t id, enum hvabi_debug_counter which)
{
	return partition_find(id)->counters->value[which];
}

#endif
