// SPDX-License-Identifier: GPL-2.0-only
/* mshv demo: the demonstration as a table; exit code 0 only if every row holds. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "demo.h"
#include "host.h"

static const char usage[] =
	"usage: mshv demo [--memory SIZE] [--touch SIZE] [ROW]...\n"
	"\n"
	"Runs the demonstration of movable guest memory, all rows or the ones named (create,\n"
	"touch, migrate, compact, swap, thp, ksm, overcommit, kill, pinned, passthrough), and\n"
	"prints a table.\n"
	"\n"
	"  -m, --memory SIZE  memory of the guest (default 1G)\n"
	"  -t, --touch SIZE   what the guest works on (default 256M)\n";

static bool wanted(const char *name, int argc, char **argv)
{
	int i;

	if (optind == argc)
		return true;
	for (i = optind; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return false;
}

static const char *verdict(const struct demo_report *report)
{
	if (*report->skipped)
		return "skipped";
	return demo_holds(report) ? "holds" : "FAILS";
}

static void print_rule(void)
{
	printf("---+---------+------------------------------------------------------------------\n");
}

/* The counts of a row are separated by "; ": one line each. */
static void print_counts(const char *counts)
{
	while (*counts) {
		int length = (int)strcspn(counts, ";");

		printf("   |         |   %.*s\n", length, counts);
		counts += length;
		counts += strspn(counts, "; ");
	}
}

static void print_row(unsigned int n, const struct demo_report *report)
{
	unsigned int i;

	printf("%2u | %-7s | %s\n", n + 1, verdict(report), demo_rows[n].title);
	if (*report->skipped)
		print_counts(report->skipped);
	print_counts(report->counts);
	for (i = 0; i < report->checks; i++)
		if (!report->check[i].holds)
			printf("   |         | NOT: %s\n", report->check[i].text);
	print_rule();
}

static int run(struct demo *demo, int argc, char **argv)
{
	static struct demo_report reports[DEMO_ROWS];
	unsigned int i, bad = 0, count = 0;
	double start = host_seconds();

	demo_begin(demo);
	for (i = 0; i < DEMO_ROWS; i++) {
		if (!wanted(demo_rows[i].name, argc, argv))
			continue;
		count++;
		printf("[%5.1f s] %u. %s\n", host_seconds() - start, i + 1,
		       demo_rows[i].title);
		fflush(stdout);
		demo_rows[i].run(demo, &reports[i]);
		bad += !demo_holds(&reports[i]);
	}
	demo_finish(demo);
	printf("\nMovable guest memory, shown in %.0f s\n\n", host_seconds() - start);
	printf(" # | verdict | what is shown, and the counts\n");
	print_rule();
	for (i = 0; i < DEMO_ROWS; i++)
		if (wanted(demo_rows[i].name, argc, argv))
			print_row(i, &reports[i]);
	printf("\n%u of %u rows hold\n", count - bad, count);
	return bad ? 1 : 0;
}

int cmd_demo(int argc, char **argv)
{
	struct demo demo = { .memory_size = 1ull << 30, .touch_size = 256ull << 20,
			     .progress = stdout };
	const struct cmd_option options[] = {
		{ "memory", 'm', CMD_SIZE, &demo.memory_size, "a size", 1, 0 },
		{ "touch", 't', CMD_SIZE, &demo.touch_size, "a multiple of 8M", 8 << 20, 0 },
		{ 0 },
	};
	int i, ret = cmd_options(argc, argv, usage, options);
	unsigned int row;

	if (ret != CMD_GO_ON)
		return ret;
	if (demo.memory_size % MSHV_PAGE_SIZE || demo.touch_size > demo.memory_size ||
	    demo.memory_size - demo.touch_size < DEMO_FIRST_GPA)
		return cmd_usage_error("demo: the guest's memory must be whole pages, and 16M "
				       "more than what it touches");
	for (i = optind; i < argc; i++) {
		for (row = 0; row < DEMO_ROWS; row++)
			if (!strcmp(argv[i], demo_rows[row].name))
				break;
		if (row == DEMO_ROWS)
			return cmd_usage_error("demo: no such row: %s", argv[i]);
	}
	return run(&demo, argc, argv);
}
