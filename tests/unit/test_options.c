// SPDX-License-Identifier: GPL-2.0-only
/* Boot options: parsing, limits, and the run-time calls. */
#include <hypervisor/core/options.h>
#include "unit.h"

static void good_lines(void **state)
{
	const char *bad = NULL;

	(void)state;
	assert_true(option_parse("", &bad));
	assert_true(option_parse("  strict=0   partial=7 refuse_call=0x4b word", &bad));
	assert_int_equal(option(HVABI_OPTION_STRICT), 0);
	assert_int_equal(option(HVABI_OPTION_PARTIAL_EVERY), 7);
	assert_int_equal(option(HVABI_OPTION_REFUSE_CALL), 0x4b);
}

static void values_with_names(void **state)
{
	const char *bad = NULL;

	(void)state;
	assert_true(option_parse("scheduler=integrated", &bad));
	assert_int_equal(option(HVABI_OPTION_SCHEDULER), HVABI_SCHEDULER_OPTION_INTEGRATED);
	assert_true(option_parse("scheduler=root", &bad));
	assert_int_equal(option(HVABI_OPTION_SCHEDULER), HVABI_SCHEDULER_OPTION_ROOT);
	assert_true(option_parse("scheduler=1", &bad));
	assert_int_equal(option(HVABI_OPTION_SCHEDULER), HVABI_SCHEDULER_OPTION_INTEGRATED);
	assert_false(option_parse("scheduler=roots", &bad));
	assert_false(option_parse("scheduler=integrate", &bad));
	assert_false(option_parse("scheduler=2", &bad));
	assert_false(option_parse("strict=root", &bad));
}

static void bad_words_are_pointed_at(void **state)
{
	static const char *const lines[] = {
		"partial=1 nonsense=1", "partial=1 strict=2", "partial=1 strict=", "partial=1 =5",
		"partial=1 delay=12x", "partial=1 delay=99999999999999999999", "partial=1 stric=1",
		"partial=1 delay=0x",
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *bad = NULL;

		assert_false(option_parse(lines[i], &bad));
		assert_ptr_equal(bad, lines[i] + strlen("partial=1 "));
	}
}

static void run_time_calls(void **state)
{
	struct hvabi_input_debug_option in = {
		.partition_id = HVABI_PARTITION_ID_SELF, .option = HVABI_OPTION_DELAY, .value = 5,
	};
	uint64_t *out = mock_out();

	(void)state;
	assert_status(mock_call(HVABI_CALL_DEBUG_SET_OPTION, &in, sizeof(in), 0, 0), SUCCESS);
	assert_int_equal(*out, 5);
	in.value = 9;
	assert_status(mock_call(HVABI_CALL_DEBUG_GET_OPTION, &in, sizeof(in), 0, 0), SUCCESS);
	assert_int_equal(*out, 5);
	in.option = HVABI_OPTION_PARK;
	assert_status(mock_call(HVABI_CALL_DEBUG_SET_OPTION, &in, sizeof(in), 0, 0),
		      INVALID_PARAMETER);
	in.option = HVABI_OPTION_MAX;
	assert_status(mock_call(HVABI_CALL_DEBUG_GET_OPTION, &in, sizeof(in), 0, 0),
		      INVALID_PARAMETER);
	in.option = HVABI_OPTION_PARTIAL_EVERY;
	in.value = 4096;
	assert_status(mock_call(HVABI_CALL_DEBUG_SET_OPTION, &in, sizeof(in), 0, 0),
		      INVALID_PARAMETER);
	assert_int_equal(option(HVABI_OPTION_PARTIAL_EVERY), 0);
}

/* What the hypervisor does stays true, whatever it says. */
static void lies(void **state)
{
	struct hvabi_input_withdraw_memory in = { 0 };
	uint64_t *out = mock_out(), result;

	(void)state;
	in.partition_id = mock_child(40);
	assert_true(option_set(HVABI_OPTION_LIE, HVABI_LIE_FOREIGN_PAGES));
	result = mock_call(HVABI_CALL_WITHDRAW_MEMORY, &in, sizeof(in), 4, 0);
	assert_status(result, SUCCESS);
	assert_int_equal(hvabi_result_reps(result), 4);
	assert_int_equal(out[0], 0);
	assert_true(out[2] > 1ull << 40);

	assert_true(option_set(HVABI_OPTION_LIE, HVABI_LIE_ERROR_WHEN_DONE));
	result = mock_call(HVABI_CALL_WITHDRAW_MEMORY, &in, sizeof(in), 4, 0);
	assert_status(result, OPERATION_FAILED);
	assert_int_equal(hvabi_result_reps(result), 4);
	assert_int_not_equal(out[0], out[1]);

	assert_true(option_set(HVABI_OPTION_LIE, HVABI_LIE_MORE_REPS));
	result = mock_call(HVABI_CALL_WITHDRAW_MEMORY, &in, sizeof(in), 4, 0);
	assert_status(result, SUCCESS);
	assert_true(hvabi_result_reps(result) > 4);

	/* The last ones: fewer than were asked for. */
	assert_true(option_set(HVABI_OPTION_LIE, HVABI_LIE_SAME_PAGE));
	result = mock_call(HVABI_CALL_WITHDRAW_MEMORY, &in, sizeof(in), 100, 0);
	assert_int_equal(hvabi_result_reps(result), 100);
	assert_int_equal(out[99], out[0]);

	assert_true(option_set(HVABI_OPTION_LIE, HVABI_LIE_NONE));
	assert_status(mock_call(HVABI_CALL_WITHDRAW_MEMORY, &in, sizeof(in), 4, 0), NO_RESOURCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(good_lines),
		TEST(values_with_names),
		TEST(bad_words_are_pointed_at),
		TEST(run_time_calls),
		TEST(lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
