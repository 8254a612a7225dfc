// SPDX-License-Identifier: GPL-2.0-only
/*
 * Extended hypercalls: capabilities, ranges of both forms, and calls that are wrong.
 */
#include <hvabi/guest.h>
#include <hvabi/hypercall.h>
#include <hvabi/status.h>

#include "vmm.h"

#define PAGE	4096ull
#define BASE	0x100000ull		/* of the guest's memory, which begins here */
#define SIZE	(8 * MIB)
#define INPUT	(BASE + 3 * PAGE)
#define OUTPUT	(BASE + 5 * PAGE + 8)

static uint8_t *memory;
static struct {
	uint64_t gpa, size;
} discarded[8];
static unsigned int count;

static void *at(void *arg, uint64_t gpa, uint64_t size)
{
	assert_ptr_equal(arg, &count);
	if (gpa < BASE || size > SIZE || gpa - BASE > SIZE - size)
		return NULL;
	return memory + (gpa - BASE);
}

static void discard(void *arg, void *host, uint64_t size)
{
	assert_ptr_equal(arg, &count);
	assert_true(count < 8);
	discarded[count].gpa = (uint64_t)((uint8_t *)host - memory) + BASE;
	discarded[count++].size = size;
}

static struct mshv_extended extended;

static int setup(void **state)
{
	(void)state;
	extended = (struct mshv_extended){ .size = sizeof(extended), .arg = &count, .memory = at, .discard = discard };
	memory = calloc(1, SIZE);
	count = 0;
	return memory ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(memory);
	return 0;
}

static uint64_t control(uint64_t code, uint64_t start, uint64_t reps)
{
	return code | start << HVABI_CONTROL_REP_START_SHIFT | reps << HVABI_CONTROL_REP_COUNT_SHIFT;
}

static void assert_answer(uint64_t word, uint64_t input, uint64_t output, uint16_t status, uint16_t reps)
{
	uint64_t result = mshv_extended_call(&extended, word, input, output);

	assert_int_equal(hvabi_result_status(result), status);
	assert_int_equal(hvabi_result_reps(result), reps);
}

static uint64_t *input(uint64_t type)
{
	uint64_t *in = (uint64_t *)(memory + (INPUT - BASE));

	in[0] = type;
	return in + 1;
}

static void assert_discarded(unsigned int i, uint64_t gpa, uint64_t size)
{
	assert_true(i < count);
	assert_int_equal(discarded[i].gpa, gpa);
	assert_int_equal(discarded[i].size, size);
}

static const uint64_t query = HVABI_CALL_EXT_QUERY_CAPABILITIES, hint = HVABI_CALL_EXT_MEMORY_HEAT_HINT;

static void capabilities(void **state)
{
	uint64_t *out = (uint64_t *)(memory + (OUTPUT - BASE));

	(void)state;
	out[0] = out[1] = 0xee;
	assert_answer(query, 0, OUTPUT, HVABI_STATUS_SUCCESS, 0);
	assert_int_equal(out[0], 1 << 8);
	assert_int_equal(out[1], 0xee);
	/* Where nothing can be given back there is nothing to hint at. */
	extended.discard = NULL;
	assert_answer(query, 0, OUTPUT, HVABI_STATUS_SUCCESS, 0);
	assert_int_equal(out[0], 0);
	*input(HVABI_HEAT_COLD_DISCARD) = BASE;
	assert_answer(control(hint, 0, 1), INPUT, 0, HVABI_STATUS_INVALID_HYPERCALL_CODE, 0);
}

static void ranges(void **state)
{
	uint64_t *list = input(HVABI_HEAT_COLD_DISCARD);

	(void)state;
	list[0] = BASE;
	list[1] = (BASE + 16 * PAGE) | 15;
	list[2] = 2 * MIB | HVABI_RANGE_LARGE;
	list[3] = 4 * MIB | HVABI_RANGE_LARGE | 1;
	assert_answer(control(hint, 0, 4), INPUT, 0, HVABI_STATUS_SUCCESS, 4);
	assert_int_equal(count, 4);
	assert_discarded(0, BASE, PAGE);
	assert_discarded(1, BASE + 16 * PAGE, 16 * PAGE);
	assert_discarded(2, 2 * MIB, 2 * MIB);
	assert_discarded(3, 4 * MIB, 4 * MIB);
	/* From the middle on. */
	count = 0;
	assert_answer(control(hint, 3, 4), INPUT, 0, HVABI_STATUS_SUCCESS, 4);
	assert_int_equal(count, 1);
	assert_discarded(0, 4 * MIB, 4 * MIB);
	/* Merely cold or hot. */
	count = 0;
	input(HVABI_HEAT_HOT);
	assert_answer(control(hint, 0, 4), INPUT, 0, HVABI_STATUS_SUCCESS, 4);
	input(HVABI_HEAT_COLD);
	assert_answer(control(hint, 0, 4), INPUT, 0, HVABI_STATUS_SUCCESS, 4);
	assert_int_equal(count, 0);
}

static void ranges_that_are_none(void **state)
{
	const uint64_t bad[] = {
		0, BASE - PAGE, (BASE - PAGE) | 1, BASE + SIZE, (BASE + SIZE - PAGE) | 1, (BASE + PAGE) | 0x7ff,
		HVABI_RANGE_LARGE, 8 * MIB | HVABI_RANGE_LARGE, 2 * MIB | HVABI_RANGE_LARGE | 1ull << 13,
		2 * MIB | HVABI_RANGE_LARGE | HVABI_RANGE_LARGE_1G, HVABI_RANGE_LARGE | HVABI_RANGE_LARGE_1G,
		~0ull << 12, ~0ull, ~0ull << 21 | HVABI_RANGE_LARGE,
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t *list = input(HVABI_HEAT_COLD_DISCARD);

		list[0] = BASE;
		list[1] = bad[i];
		list[2] = BASE + PAGE;
		count = 0;
		assert_answer(control(hint, 0, 3), INPUT, 0, HVABI_STATUS_INVALID_PARAMETER, 1);
		assert_int_equal(count, 1);
	}
}

static void calls_that_are_wrong(void **state)
{
	const uint64_t words[] = {
		query | HVABI_CONTROL_FAST, query | HVABI_CONTROL_NESTED, query | 1ull << 44,
		query | 1ull << HVABI_CONTROL_VARHEAD_SHIFT, control(query, 0, 1), control(query, 1, 0),
		control(hint, 0, 0), control(hint, 2, 2) , control(hint, 0, 1) | HVABI_CONTROL_FAST,
	};

	(void)state;
	*input(HVABI_HEAT_COLD_DISCARD) = BASE;
	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_int_equal(hvabi_result_status(mshv_extended_call(&extended, words[i], INPUT, OUTPUT)),
				 HVABI_STATUS_INVALID_HYPERCALL_INPUT);
	for (uint64_t code = 0x8000; code <= 0xffff; code += code == 0x8004 ? 0x7ffb : 1)
		if (code != query && code != hint)
			assert_answer(code, INPUT, OUTPUT, HVABI_STATUS_INVALID_HYPERCALL_CODE, 0);
	/* Blocks: crooked, over the end of a page, or no memory. */
	assert_answer(query, 0, OUTPUT + 4, HVABI_STATUS_INVALID_ALIGNMENT, 0);
	assert_answer(query, 0, BASE - 8, HVABI_STATUS_INVALID_PARAMETER, 0);
	assert_answer(query, 0, ~7ull, HVABI_STATUS_INVALID_PARAMETER, 0);
	assert_answer(control(hint, 0, 1), INPUT + 4, 0, HVABI_STATUS_INVALID_ALIGNMENT, 0);
	assert_answer(control(hint, 0, 1), INPUT + PAGE - 8, 0, HVABI_STATUS_INVALID_ALIGNMENT, 0);
	assert_answer(control(hint, 0, 512), INPUT, 0, HVABI_STATUS_INVALID_ALIGNMENT, 0);
	assert_answer(control(hint, 0, 4095), INPUT, 0, HVABI_STATUS_INVALID_ALIGNMENT, 0);
	assert_answer(control(hint, 0, 1), BASE + SIZE, 0, HVABI_STATUS_INVALID_PARAMETER, 0);
	input(3);
	assert_answer(control(hint, 0, 1), INPUT, 0, HVABI_STATUS_INVALID_PARAMETER, 0);
	input(HVABI_HEAT_COLD_DISCARD | 1ull << 40);
	assert_answer(control(hint, 0, 1), INPUT, 0, HVABI_STATUS_INVALID_PARAMETER, 0);
	assert_int_equal(count, 0);
	/* As long as a list may be. */
	input(HVABI_HEAT_HOT);
	for (unsigned int i = 0; i < 511; i++)
		input(HVABI_HEAT_HOT)[i] = BASE;
	assert_answer(control(hint, 0, 511), INPUT, 0, HVABI_STATUS_SUCCESS, 511);
}

#define CALL_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CALL_TEST(capabilities),
		CALL_TEST(ranges),
		CALL_TEST(ranges_that_are_none),
		CALL_TEST(calls_that_are_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
