// SPDX-License-Identifier: GPL-2.0-only
/*
 * mshv map: what of a guest's address space is there, and how, as a picture in the terminal. It is what Linux has for the
 * guest (pages.h), and in a region's head what the driver has mapped of it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "json.h"
#include "partitions.h"
#include "picture.h"

static const char usage[] =
	"usage: mshv map [options]\n"
	"\n"
	"Shows each guest memory region as a picture: what Linux has of it in memory, in small or\n"
	"large pages, what somebody else has as well (merged, zero, of a file), what is in swap,\n"
	"and what is absent.\n"
	"\n"
	"  -p, --pid PID   only partitions of this process\n"
	"  -r, --rows N    at most N lines a region (default 16)\n"
	"      --json      for programs: sums, and every run of equal pages; sizes in bytes\n";

struct runs {
	json_t *array;
	uint64_t address;
	uint64_t total[PAGE_STATES];
};

static void add_run(void *arg, uint64_t first, uint64_t count, enum page_state state)
{
	struct runs *runs = arg;
	json_t *run = json_object();

	runs->total[state] += count;
	json_set_number(run, "guest-address", runs->address + (first << 12));
	json_set_number(run, "size", count << 12);
	json_set_text(run, "state", page_state_names[state]);
	json_array_append_new(runs->array, run);
}

static int add_json(json_t *all, const struct stat_partition *p, const struct stat_region *r)
{
	struct runs runs = { .array = json_array(), .address = r->gfn << 12 };
	json_t *object;
	bool large;

	if (pages_walk(p->pid, r->hva, r->pages, add_run, &runs, &large)) {
		json_decref(runs.array);
		return -1;
	}
	object = json_object();
	json_set_number(object, "partition", p->id);
	json_set_number(object, "pid", (uint64_t)p->pid);
	json_set_number(object, "guest-address", r->gfn << 12);
	json_set_number(object, "size", r->pages << 12);
	json_set_text(object, "kind", r->kind);
	json_object_set_new(object, "large-known", json_boolean(large));
	for (enum page_state state = PAGE_ABSENT; state < PAGE_STATES; state++)
		json_set_number(object, page_state_names[state], runs.total[state] << 12);
	json_object_set_new(object, "runs", runs.array);
	json_array_append_new(all, object);
	return 0;
}

static int print_text(const struct stat_partition *p, const struct stat_region *r, unsigned int rows)
{
	struct picture picture;
	bool large;

	if (picture_init(&picture, r->pages, rows))
		return -1;
	if (pages_walk(p->pid, r->hva, r->pages, picture_add, &picture, &large)) {
		int error = errno;

		picture_free(&picture);
		errno = error;
		return -1;
	}
	printf(" region at 0x%" PRIx64 ", %" PRIu64 " KiB, %s; mapped for the guest: %" PRIu64 " blocks of 2 MiB, %" PRIu64
	       " by pages\n", r->gfn << 12, r->pages * 4, r->kind, stat_value(r->values, r->count, "blocks-large"),
	       stat_value(r->values, r->count, "blocks-small"));
	picture_print(stdout, &picture, r->gfn << 12);
	picture_print_legend(stdout, &picture);
	if (!large)
		printf("  (this Linux does not tell which pages are large: they are among the small ones)\n");
	picture_free(&picture);
	return 0;
}

/* A process that ends meanwhile is passed over, unless it is the one that was asked for. */
static int show(const struct stat_partition *p, unsigned int rows, json_t *all, bool wanted)
{
	if (!all) {
		partition_print_head(p);
		printf(")\n");
	}
	for (unsigned int i = 0; i < p->region_count; i++)
		if (all ? add_json(all, p, &p->regions[i]) : print_text(p, &p->regions[i], rows)) {
			if (!wanted && (errno == ENOENT || errno == ESRCH))
				return 0;
			return cmd_error("map: process %d: %s", p->pid, strerror(errno));
		}
	return 0;
}

int cmd_map(int argc, char **argv)
{
	struct look look;
	uint64_t pid = 0, rows = 16;
	bool json = false;
	const struct cmd_option options[] = {
		{ "pid", 'p', CMD_NUMBER, &pid, "a process", 1, INT32_MAX },
		{ "rows", 'r', CMD_NUMBER, &rows, "1..100000", 1, 100000 },
		{ "json", 0, CMD_SET, &json, NULL, 0, 0 },
		{ 0 },
	};
	int ret = cmd_options(argc, argv, usage, options);
	json_t *all;

	if (ret == CMD_GO_ON)
		ret = cmd_no_operands(argc, argv);
	if (ret != CMD_GO_ON)
		return ret;
	if (cmd_no_counters("map"))
		return 1;
	ret = look_read("map", pid, &look);
	if (ret)
		return ret;
	all = json ? json_array() : NULL;
	for (int i = 0; i < look.count && !ret; i++)
		ret = show(&look.partitions[i], (unsigned int)rows, all, pid);
	if (!ret && all)
		ret = json_print("map", json_incref(all), 0);
	else if (!ret && !look.count)
		printf("no partitions\n");
	json_decref(all);
	look_free(&look);
	return ret;
}
