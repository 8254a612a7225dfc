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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(good_lines),
		TEST(bad_words_are_pointed_at),
		TEST(run_time_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
