// SPDX-License-Identifier: GPL-2.0-only
/*
 * mshv regions: the regions of every partition that the user may see, which kind each is, and how
 * much of it is mapped. In the manner of numastat.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
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

		printf("%s{\"partition\": %" PRIu64 ", \"pid\": %d, \"guest-address\": %" PRIu64
		       ", \"size\": %" PRIu64 ", \"host-address\": %" PRIu64
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
	struct stat_partition *partitions;
	bool json = false, first = true;
	uint64_t pid = 0;
	const struct cmd_option options[] = {
		{ "pid", 'p', CMD_NUMBER, &pid, "a process", 1, INT32_MAX },
		{ "json", 0, CMD_SET, &json, NULL, 0, 0 },
		{ 0 },
	};
	int count, ret = cmd_options(argc, argv, usage, options);

	if (ret == CMD_GO_ON)
		ret = cmd_no_operands(argc, argv);
	if (ret != CMD_GO_ON)
		return ret;
	if (cmd_no_counters("regions"))
		return 1;
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
