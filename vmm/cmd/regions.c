// SPDX-License-Identifier: GPL-2.0-only
/*
 * mshv regions: the regions of every partition that the user may see, which kind each is, and how
 * much of it is mapped. In the manner of numastat.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "fdinfo.h"

static const char usage[] =
	"usage: mshv regions [options]\n"
	"\n"
	"Lists guest memory regions: where, how large, movable or pinned, and what the guest\n"
	"has of them. \"2M\" and \"4K\" count 2 MiB blocks: mapped as one, or by pages.\n"
	"\n"
	"  -p, --pid PID   only partitions of this process\n"
	"      --json      for programs; sizes in bytes\n";

static void print_text(const struct stat_partition *p)
{
	printf("partition %" PRIu64 " (%s, pid %d, %s)\n", p->id, p->command, p->pid, p->state);
	printf("  %14s %12s %16s %-8s %-6s %7s %7s %10s %10s\n", "guest address", "KiB", "host address",
	       "kind", "rights", "2M", "4K", "faults", "taken");
	for (unsigned int i = 0; i < p->region_count; i++) {
		const struct stat_region *r = &p->regions[i];

		printf("  0x%012" PRIx64 " %12" PRIu64 " 0x%014" PRIx64 " %-8s %-6s %7" PRIu64
		       " %7" PRIu64 " %10" PRIu64 " %10" PRIu64 "\n",
		       r->gfn << 12, r->pages * 4, r->hva, r->kind, r->rights,
		       stat_value(r->values, r->count, "blocks-large"),
		       stat_value(r->values, r->count, "blocks-small"),
		       stat_value(r->values, r->count, "faults-served"),
		       stat_value(r->values, r->count, "pages-taken-away"));
	}
}

static void print_json(const struct stat_partition *p, bool *first)
{
	for (unsigned int i = 0; i < p->region_count; i++) {
		const struct stat_region *r = &p->regions[i];

		printf("%s{\"partition\": %" PRIu64 ", \"pid\": %d, \"guest_address\": %" PRIu64
		       ", \"size\": %" PRIu64 ", \"host_address\": %" PRIu64
		       ", \"kind\": \"%s\", \"rights\": \"%s\"", *first ? "" : ",\n ", p->id, p->pid,
		       r->gfn << 12, r->pages << 12, r->hva, r->kind, r->rights);
		for (unsigned int k = 0; k < r->count; k++)
			printf(", \"%s\": %" PRIu64, r->values[k].key, r->values[k].value);
		printf("}");
		*first = false;
	}
}

int cmd_regions(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "pid", required_argument, NULL, 'p' }, { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	struct stat_partition *partitions;
	bool json = false, first = true;
	uint64_t pid = 0;
	int c, count;

	while ((c = getopt_long(argc, argv, "p:h", longs, NULL)) != -1) {
		switch (c) {
		case 'p':
			if (cmd_parse_number(optarg, 1, INT32_MAX, &pid))
				return cmd_usage_error("regions: --pid: not a process: %s", optarg);
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return cmd_usage_error("regions: try 'mshv regions --help'");
		}
	}
	if (optind < argc)
		return cmd_usage_error("regions: unexpected: %s", argv[optind]);
	count = stat_read((pid_t)pid, &partitions);
	if (count < 0)
		return cmd_error("regions: /proc/%" PRIu64 ": %s", pid, strerror(errno));
	if (json)
		printf("[");
	for (int i = 0; i < count; i++) {
		if (json)
			print_json(&partitions[i], &first);
		else
			print_text(&partitions[i]);
	}
	if (json)
		printf("]\n");
	else if (!count)
		printf("no partitions\n");
	stat_free(partitions, count);
	return 0;
}
