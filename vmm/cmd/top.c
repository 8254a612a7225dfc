// SPDX-License-Identifier: GPL-2.0-only
/*
 * mshv top: the partitions that the user may see, the one that faults most first; what each did since the last look. On a
 * terminal the screen is drawn anew, elsewhere one table follows the other.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "partitions.h"
#include "printable.h"

static const char usage[] =
	"usage: mshv top [options]\n"
	"\n"
	"Shows what each partition did since the last look, the one that faults most\n"
	"first. Ctrl-C ends it.\n"
	"\n"
	"  -s, --set-delay SEC interval (default 1)\n"
	"  -n, --count N       end after N looks\n"
	"  -p, --pid PID       only partitions of this process\n";

struct options {
	uint64_t delay, count, pid;
};

/* What happened, in the order of the columns. */
static const struct stat_column columns[] = {
	{ "FAULTS", { "faults-served" } },
	{ "ERRORS", { "faults-without-page", "faults-on-poison", "faults-without-memory" } },
	{ "MAPPED", { "pages-mapped-small", "pages-mapped-large" } },
	{ "TAKEN", { "pages-taken-away" } },
	{ "CALLS", { "map-calls", "blank-calls", "unmap-calls" } },
};

#define COLUMNS	(sizeof(columns) / sizeof(columns[0]))

struct row {
	const struct stat_partition *partition;
	uint64_t happened[COLUMNS];
};

static struct row row_of(const struct stat_partition *p, const struct look *before)
{
	struct row row = { .partition = p };

	for (size_t c = 0; c < COLUMNS; c++)
		row.happened[c] = stat_happened(p, &columns[c], before->partitions, before->count);
	return row;
}

/* Most faults first; then by age, so that idle ones keep their place. */
static int by_faults(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->happened[0] != y->happened[0])
		return x->happened[0] < y->happened[0] ? 1 : -1;
	return x->partition->id < y->partition->id ? -1 : x->partition->id > y->partition->id;
}

static void print_row(const struct row *row)
{
	const struct stat_partition *p = row->partition;
	uint64_t pages = 0, pinned = 0;

	for (unsigned int i = 0; i < p->region_count; i++) {
		pages += p->regions[i].pages;
		if (!strcmp(p->regions[i].kind, "pinned"))
			pinned += p->regions[i].pages;
	}
	printf("%7d %-15.15s %-7s %8" PRIu64 " %8" PRIu64 " %7" PRIu64, p->pid, printable(p->command), printable(p->state),
	       pages >> 8, pinned >> 8, stat_value(p->values, p->count, "deposited-pages") * 4);
	for (size_t c = 0; c < COLUMNS; c++)
		printf(" %8" PRIu64, row->happened[c]);
	printf("\n");
}

static int print(const struct look *now, const struct look *before)
{
	struct row *rows = calloc(now->count ? (size_t)now->count : 1, sizeof(*rows));

	if (!rows)
		return cmd_error("top: %s", strerror(errno));
	for (int i = 0; i < now->count; i++)
		rows[i] = row_of(&now->partitions[i], before);
	qsort(rows, (size_t)now->count, sizeof(*rows), by_faults);

	if (isatty(STDOUT_FILENO))
		printf("\033[H\033[J");
	printf("%7s %-15s %-7s %8s %8s %7s", "PID", "COMMAND", "STATE", "MiB", "PINNED", "LENT/K");
	for (size_t c = 0; c < COLUMNS; c++)
		printf(" %8s", columns[c].title);
	printf("\n");
	for (int i = 0; i < now->count; i++)
		print_row(&rows[i]);
	if (!now->count)
		printf("no partitions\n");
	fflush(stdout);
	free(rows);
	return 0;
}

static int parse(int argc, char **argv, struct options *o)
{
	const struct cmd_option options[] = {
		{ "set-delay", 's', CMD_NUMBER, &o->delay, "1..86400", 1, 86400 },
		{ "count", 'n', CMD_NUMBER, &o->count, "a number", 1, UINT32_MAX },
		{ "pid", 'p', CMD_NUMBER, &o->pid, "a process", 1, INT32_MAX },
		{ 0 },
	};
	int ret;

	*o = (struct options){ .delay = 1 };
	ret = cmd_options(argc, argv, usage, options);
	return ret == CMD_GO_ON ? cmd_no_operands(argc, argv) : ret;
}

int cmd_top(int argc, char **argv)
{
	struct look before = { 0 }, now;
	struct options o;
	int ret = parse(argc, argv, &o);

	if (ret != CMD_GO_ON)
		return ret;
	if (cmd_no_counters("top"))
		return 1;
	ret = 0;
	/* The first look is what they did since they were made. */
	for (uint64_t i = 0; !ret && (!o.count || i < o.count); i++) {
		if (i)
			sleep((unsigned int)o.delay);
		ret = look_read("top", o.pid, &now);
		if (ret)
			break;
		ret = print(&now, &before);
		look_free(&before);
		before = now;
	}
	look_free(&before);
	return ret;
}
