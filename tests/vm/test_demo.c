// SPDX-License-Identifier: GPL-2.0-only
/*
 * The demonstration's rows as tests: test_demo ROW. Each check of the row is a result.
 * The guest is smaller than the demonstration's, so that all rows together stay quick.
 */
#include <stdio.h>
#include <string.h>

#include "demo.h"

static int run(const struct demo_row *row)
{
	struct demo demo = { .memory_size = 256 << 20, .touch_size = 128 << 20 };
	static struct demo_report report;
	unsigned int i;

	demo_begin(&demo);
	row->run(&demo, &report);
	demo_finish(&demo);
	printf("KTAP version 1\n");
	if (*report.skipped) {
		printf("1..0 # SKIP %s\n", report.skipped);
		return 4;
	}
	printf("# %s\n", report.counts);
	for (i = 0; i < report.checks; i++)
		printf("%sok %u %s\n", report.check[i].holds ? "" : "not ", i + 1,
		       report.check[i].text);
	printf("1..%u\n", report.checks);
	return demo_holds(&report) ? 0 : 1;
}

int main(int argc, char **argv)
{
	unsigned int i;

	for (i = 0; argc == 2 && i < DEMO_ROWS; i++)
		if (!strcmp(argv[1], demo_rows[i].name))
			return run(&demo_rows[i]);
	fprintf(stderr, "usage: test_demo ROW\n");
	return 2;
}
