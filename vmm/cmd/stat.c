// SPDX-License-Identifier: GPL-2.0-only
/*
 * mshv stat: what the driver counted, for every partition that the user may see; once, or line
 * after line with what happened in between. In the manner of kvm_stat.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd.h"
#include "export.h"
#include "json.h"
#include "partitions.h"

static const char usage[] =
	"usage: mshv stat [options]\n"
	"\n"
	"Shows the driver's counters of each partition: faults, maps, invalidations.\n"
	"\n"
	"  -1, --once          once, all counters (the default)\n"
	"  -l, --log           a line every interval, of what happened meanwhile\n"
	"  -s, --set-delay SEC interval of --log (default 1)\n"
	"  -n, --count N       end after N lines of --log\n"
	"  -p, --pid PID       only partitions of this process\n"
	"  -z, --skip-zero     leave out counters that are zero\n"
	"      --json          for programs\n"
	"      --openmetrics   for Prometheus: OpenMetrics text\n"
	"      --http          with it: answer one HTTP request on standard input, for a socket that\n"
	"                      systemd hands over\n";

struct options {
	bool log, json, openmetrics, http, skip_zero;
	uint64_t delay, count, pid;
};

/* Of --log. */
static const struct stat_column columns[] = {
	{ "faults", { "faults-served" } },
	{ "errors", { "faults-without-page", "faults-on-poison", "faults-without-memory" } },
	{ "retries", { "fault-retries" } },
	{ "small", { "pages-mapped-small" } },
	{ "large", { "pages-mapped-large" } },
	{ "clear", { "invalidations-clear" } },
	{ "protect", { "invalidations-protect" } },
	{ "migrate", { "invalidations-migrate" } },
	{ "unmap", { "invalidations-unmap", "invalidations-release" } },
	{ "taken", { "pages-taken-away" } },
	{ "calls", { "map-calls", "blank-calls", "unmap-calls" } },
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static int parse(int argc, char **argv, struct options *o)
{
	const struct cmd_option options[] = {
		{ "once", '1', CMD_CLEAR, &o->log, NULL, 0, 0 },
		{ "log", 'l', CMD_SET, &o->log, NULL, 0, 0 },
		{ "set-delay", 's', CMD_NUMBER, &o->delay, "1..86400", 1, 86400 },
		{ "count", 'n', CMD_NUMBER, &o->count, "a number", 1, UINT32_MAX },
		{ "pid", 'p', CMD_NUMBER, &o->pid, "a process", 1, INT32_MAX },
		{ "skip-zero", 'z', CMD_SET, &o->skip_zero, NULL, 0, 0 },
		{ "json", 0, CMD_SET, &o->json, NULL, 0, 0 },
		{ "openmetrics", 0, CMD_SET, &o->openmetrics, NULL, 0, 0 },
		{ "http", 0, CMD_SET, &o->http, NULL, 0, 0 },
		{ 0 },
	};
	int ret;

	*o = (struct options){ .delay = 1 };
	ret = cmd_options(argc, argv, usage, options);
	if (ret == CMD_GO_ON)
		ret = cmd_no_operands(argc, argv);
	if (ret == CMD_GO_ON && o->log + o->json + o->openmetrics > 1)
		ret = cmd_usage_error("stat: --log, --json and --openmetrics exclude each other");
	if (ret == CMD_GO_ON && o->openmetrics && o->skip_zero)
		ret = cmd_usage_error("stat: --openmetrics: not with --skip-zero: a counter that is missing is no zero");
	if (ret == CMD_GO_ON && o->http && !o->openmetrics)
		ret = cmd_usage_error("stat: --http: only with --openmetrics");
	return ret;
}

static void print_text(const struct stat_partition *p, const struct options *o)
{
	partition_print_head(p);
	printf(", %u regions)\n", p->region_count);
	for (unsigned int i = 0; i < p->count; i++)
		if (p->values[i].value || !o->skip_zero)
			printf("  %-28s %12" PRIu64 "\n", p->values[i].key, p->values[i].value);
}

static json_t *as_json(const struct stat_partition *p, const struct options *o)
{
	json_t *object = json_object();

	json_set_number(object, "partition", p->id);
	json_set_number(object, "pid", (uint64_t)p->pid);
	json_set_text(object, "command", p->command);
	json_set_text(object, "state", p->state);
	json_set_number(object, "regions", p->region_count);
	json_set_values(object, p->values, p->count, o->skip_zero);
	return object;
}

static int once(const struct options *o)
{
	struct look look;
	int ret = look_read("stat", o->pid, &look);

	if (ret)
		return ret;
	if (o->json) {
		json_t *all = json_array();

		for (int i = 0; i < look.count; i++)
			json_array_append_new(all, as_json(&look.partitions[i], o));
		ret = json_print("stat", all, 0);
	} else {
		for (int i = 0; i < look.count; i++)
			print_text(&look.partitions[i], o);
		if (!look.count)
			printf("no partitions\n");
	}
	look_free(&look);
	return ret;
}

/* What happened to those that are there since @before. */
static void print_line(const struct look *now, const struct look *before)
{
	printf("%6d", now->count);
	for (size_t c = 0; c < COLUMNS; c++) {
		uint64_t sum = 0;

		for (int i = 0; i < now->count; i++)
			sum += stat_happened(&now->partitions[i], &columns[c], before->partitions, before->count);
		printf(" %8" PRIu64, sum);
	}
	printf("\n");
}

static int log_lines(const struct options *o)
{
	struct look before, now;
	int ret = look_read("stat", o->pid, &before);

	for (uint64_t line = 0; !ret && (!o->count || line < o->count); line++) {
		if (line % 20 == 0) {
			printf("%6s", "guests");
			for (size_t c = 0; c < COLUMNS; c++)
				printf(" %8s", columns[c].title);
			printf("\n");
		}
		fflush(stdout);
		sleep((unsigned int)o->delay);
		ret = look_read("stat", o->pid, &now);
		if (ret)
			break;
		print_line(&now, &before);
		look_free(&before);
		before = now;
	}
	look_free(&before);
	return ret;
}

int cmd_stat(int argc, char **argv)
{
	struct options o;
	int ret = parse(argc, argv, &o);

	if (ret != CMD_GO_ON)
		return ret;
	if (o.http)
		return export_http((pid_t)o.pid, !cmd_no_counters("stat"));
	if (cmd_no_counters("stat"))
		return 1;
	if (o.openmetrics)
		return export_text((pid_t)o.pid);
	return o.log ? log_lines(&o) : once(&o);
}
