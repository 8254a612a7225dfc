// SPDX-License-Identifier: GPL-2.0-only
/* What of others' text reaches a terminal. */
#include "cmd/printable.h"
#include "vmm.h"

static void what_is_shown(void **state)
{
	static const struct { const char *text, *shown; } cases[] = {
		{ "", "" }, { "qemu-system-x86", "qemu-system-x86" }, { "a b~", "a b~" },
		{ "gr\303\274n \342\202\254 \360\237\220\247", "gr\303\274n \342\202\254 \360\237\220\247" },
		/* Escapes, ends of lines, DEL, and the second set, as a byte and as a character. */
		{ "\033[2J\033]0;x\007", "?[2J?]0;x?" }, { "a\nb\tc\r", "a?b?c?" }, { "\177", "?" }, { "\2332J", "?2J" },
		{ "\302\2332J", "?2J" }, { "\302\240", "\302\240" },
		/* A direction that turns, and lines that end. */
		{ "a\342\200\256b", "a?b" }, { "a\342\201\246b", "a?b" }, { "\342\200\250", "?" }, { "\342\200\247", "\342\200\247" },
		/* No UTF-8: cut off, too long, a surrogate, too large, only the middle of one. */
		{ "\303", "?" }, { "\342\202", "??" }, { "\342\202x", "??x" }, { "\300\233", "??" }, { "\340\200\233", "???" },
		{ "\355\240\200", "???" }, { "\364\220\200\200", "????" }, { "\200", "?" }, { "\377", "?" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(printable(cases[i].text), cases[i].shown);
}

/* A text that is too long ends between two characters. */
static void no_more_than_there_is_room(void **state)
{
	char to[6];

	(void)state;
	memset(to, 'x', sizeof(to));
	assert_string_equal(printable_copy(to, 5, "abcdefg"), "abcd");
	assert_int_equal(to[5], 'x');
	assert_string_equal(printable_copy(to, 5, "abc\303\274"), "abc");
	assert_string_equal(printable_copy(to, 5, "ab\303\274x"), "ab\303\274");
	assert_string_equal(printable_copy(to, 1, "\033"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_shown), cmocka_unit_test(no_more_than_there_is_room) };

	return cmocka_run_group_tests_name("printable", tests, NULL, NULL);
}
