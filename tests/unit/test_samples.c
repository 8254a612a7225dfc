// SPDX-License-Identifier: GPL-2.0-only
/* Reading a record: each number of it, as it should be and as somebody may have written it. */
#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/samples.h"
#include "vmm.h"

static char said[512];

int cmd_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
	return 1;
}

#define HEAD	"{\"mshv-record\":1,\"start\":1700000000.5,\"interval\":1,\"parts\":4}\n"
#define COUNTERS	"\"counters\":{\"invalidations-clear\":3,\"invalidations-unmap\":0,\"invalidations-protect\":0," \
			"\"invalidations-migrate\":0,\"invalidations-release\":0,\"invalidations-other\":0,\"deposited-pages\":5}"
#define SAMPLE	"{\"time\":1.5,\"partition\":7,\"pid\":42,\"command\":\"x\",\"state\":\"active\"," COUNTERS \
		",\"memory\":40960,\"absent\":16384,\"small\":8192,\"large\":0,\"swapped\":8192,\"shared\":8192," \
		"\"accessed\":[{\"guest-address\":8192,\"size\":40960,\"part-size\":16384,\"pages\":[4,0,2]}]}\n"

/* Reads what @text says, with the first @old replaced by @new; "" for none. */
static int reads(const char *text, const char *old, const char *new, struct record *record)
{
	char name[] = "/tmp/mshv-samples-XXXXXX";
	const char *at = strstr(text, old);
	int fd = mkstemp(name), ret;

	assert_return_code(fd, errno);
	assert_non_null(at);
	assert_true(dprintf(fd, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old)) > 0);
	close(fd);
	*said = '\0';
	ret = record_read(name, record);
	unlink(name);
	return ret;
}

static void what_was_written(void **state)
{
	const struct sample *s;
	struct record r;

	(void)state;
	assert_int_equal(reads(HEAD SAMPLE SAMPLE, "", "", &r), 0);
	assert_int_equal(r.count, 1);
	assert_true(r.start == 1700000000.5);
	assert_int_equal(r.guests[0].count, 2);
	s = &r.guests[0].samples[1];
	assert_int_equal(s->pages[PAGE_SWAPPED], 8192);
	assert_int_equal(s->deposited, 5 * 4096);
	assert_int_equal(s->cause[CAUSE_CLEAR], 3);
	assert_int_equal(s->part_count, 3);
	assert_int_equal(s->parts[2].address, 8192 + 32768);
	assert_int_equal(s->parts[2].size, 8192);
	assert_int_equal(s->parts[2].used, 8192);
	assert_false(r.cut);
	record_free(&r);
	/* Killed while it wrote. */
	assert_int_equal(reads(HEAD SAMPLE "{\"time\":2", "", "", &r), 0);
	assert_true(r.cut);
	record_free(&r);
}

static void what_cannot_be(void **state)
{
	static const struct { const char *old, *new, *why; } cases[] = {
		{ "1700000000.5", "1e300", "start" }, { "1700000000.5", "-1", "start" }, { "1700000000.5", "\"x\"", "start" },
		{ "1700000000.5", "253402300800", "start" }, { "1700000000.5", "9e18", "start" },
		{ "\"interval\":1", "\"interval\":0", "interval" }, { "\"interval\":1", "\"interval\":1e99", "interval" },
		{ "\"time\":1.5", "\"time\":-0.1", "time" }, { "\"time\":1.5", "\"time\":1e200", "time" },
		{ "\"pid\":42", "\"pid\":4294967338", "pid" }, { "\"pid\":42", "\"pid\":-1", "pid" },
		{ "\"small\":8192", "\"small\":9223372036854775807", "more pages than memory" },
		{ "\"shared\":8192", "\"shared\":8193", "more pages than memory" },
		{ "\"deposited-pages\":5", "\"deposited-pages\":9223372036854775807", "deposited-pages" },
		{ "[4,0,2]", "[5,0,2]", "more than a part has" }, { "[4,0,2]", "[4,0,9223372036854775807]", "more than a part has" },
		{ "[4,0,2]", "[4,-1,2]", "no counts" }, { "[4,0,2]", "[4,0,2,0]", "more than there are parts" },
		{ "\"part-size\":16384", "\"part-size\":9223372036854775807", "more than there are parts" },
		{ "\"part-size\":16384", "\"part-size\":0", "part-size" },
	};
	struct record r;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!reads(HEAD SAMPLE, cases[i].old, cases[i].new, &r))
			fail_msg("%s is taken", cases[i].new);
		if (!strstr(said, cases[i].why))
			fail_msg("%s: %s", cases[i].new, said);
		/* Nothing is left to be freed. */
		assert_null(r.guests);
	}
	/* Backwards in time, and counters that fall. */
	assert_int_equal(reads(HEAD SAMPLE SAMPLE, "1.5", "2", &r), 1);
	assert_non_null(strstr(said, "older"));
	assert_int_equal(reads(HEAD SAMPLE SAMPLE, "clear\":3", "clear\":4", &r), 1);
	assert_non_null(strstr(said, ":3: a sample with fewer invalidations"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_was_written), cmocka_unit_test(what_cannot_be) };

	return cmocka_run_group_tests_name("samples", tests, NULL, NULL);
}
