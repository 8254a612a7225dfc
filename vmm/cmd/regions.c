// SPDX-License-Identifier: GPL-2.0-only
/*
 * mshv regions: the regions of every partition that the user may see, which kind each is, and how
 * much of it is mapped. In the manner of numastat.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "cmd.h"
#include "json.h"
#include "partitions.h"

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
	partition_print_head(p);
	printf(")\n");
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

static void add_json(json_t *all, const struct stat_partition *p)
{
	for (unsigned int i = 0; i < p->region_count; i++) {
		const struct stat_region *r = &p->regions[i];
		json_t *object = json_object();

		json_set_number(object, "partition", p->id);
		json_set_number(object, "pid", (uint64_t)p->pid);
		json_set_number(object, "guest-address", r->gfn << 12);
		json_set_number(object, "size", r->pages << 12);
		json_set_number(object, "host-address", r->hva);
		json_set_text(object, "kind", r->kind);
		json_set_text(object, "rights", r->rights);
		json_set_values(object, r->values, r->count, false);
		json_array_append_new(all, object);
	}
}

int cmd_regions(int argc, char **argv)
{
	struct look look;
	bool json = false;
	uint64_t pid = 0;
	const struct cmd_option options[] = {
		{ "pid", 'p', CMD_NUMBER, &pid, "a process", 1, INT32_MAX },
		{ "json", 0, CMD_SET, &json, NULL, 0, 0 },
		{ 0 },
	};
	int ret = cmd_options(argc, argv, usage, options);

	if (ret == CMD_GO_ON)
		ret = cmd_no_operands(argc, argv);
	if (ret != CMD_GO_ON)
		return ret;
	if (cmd_no_counters("regions"))
		return 1;
	ret = look_read("regions", pid, &look);
	if (ret)
		return ret;
	if (json) {
		json_t *all = json_array();

		for (int i = 0; i < look.count; i++)
			add_json(all, &look.partitions[i]);
		ret = json_print("regions", all, 0);
	} else {
		for (int i = 0; i < look.count; i++)
			print_text(&look.partitions[i]);
		if (!look.count)
			printf("no partitions\n");
	}
	look_free(&look);
	return ret;
}
