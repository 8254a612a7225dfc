// SPDX-License-Identifier: GPL-2.0-only
/* The demonstration, rows 1 to 5: one guest is created, touched, moved, swapped. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "demo.h"
#include "host.h"

#define MIB		(1ull << 20)
#define MIB_PAGES(mib)	((mib) * MIB / GUEST_PAGE_SIZE)

typedef unsigned long long ull;

/*
 * All hypercalls so far of the whole machine, but those of looking: how many of them a sum over the processors sees
 * depends on which processor makes them.
 */
static uint64_t hypercalls(void)
{
	uint64_t sum = 0;

#define X(name, text) \
	if (HVABI_CALL_##name < HVABI_CALL_DEBUG_GET_COUNTERS) \
		sum += demo_total(HVABI_COUNT_CALL_##name);
	HVABI_DEBUG_CALLS(X)
#undef X
	return sum;
}

/* A guest of @size, not booted: its hypercalls and what of its memory is there. */
static bool create_one(struct demo *demo, struct demo_report *report, uint64_t size,
		       uint64_t *calls)
{
	struct host_pages pages;
	struct demo_seen seen;

	demo_end(demo);
	demo->memory_size = size;
	*calls = hypercalls();
	if (!demo_need_guest(demo, report, 0))
		return false;
	*calls = hypercalls() - *calls;
	if (!demo_look(demo, report, &seen))
		return false;
	if (!demo_hypervisor_tells())
		*calls = seen.calls;
	if (host_count_pages(mshv_session_memory(demo->session), size, false, &pages))
		return demo_failed(report, "look at guest memory");
	demo_check(report, pages.present == 0 && pages.swapped == 0,
		   "%llu MiB: no page of guest memory is allocated (%llu)", (ull)(size / MIB),
		   (ull)pages.present);
	demo_check(report, seen.calls == 0, "%llu MiB: nothing is mapped",
		   (ull)(size / MIB));
	return true;
}

void demo_row_create(struct demo *demo, struct demo_report *report)
{
	uint64_t size = demo->memory_size, touch = demo->touch_size, small, large;
	bool created;

	/* The small guest is only created. */
	demo->touch_size = 8 * MIB;
	created = create_one(demo, report, 64 * MIB, &small);
	demo->touch_size = touch;
	if (!created || !create_one(demo, report, size, &large)) {
		demo->memory_size = size;
		return;
	}
	if (!demo_hypervisor_tells())
		demo_unproven(report, "hypercalls to create a guest: only those of the driver for memory are counted");
	demo_check(report, small == large, "as many hypercalls for %llu MiB (%llu) as for "
		   "64 MiB (%llu)", (ull)(size / MIB), (ull)large, (ull)small);
	demo_counts(report, "64 MiB: %llu hypercalls, 0 pages", (ull)small);
	demo_counts(report, "%llu MiB: %llu hypercalls, 0 pages", (ull)(size / MIB),
		    (ull)large);
}

void demo_row_touch(struct demo *demo, struct demo_report *report)
{
	uint64_t faults, calls, touched, mapped;
	struct demo_seen before, after;
	struct host_pages all, range;

	if (!demo_need_boot(demo, report) || !demo_look(demo, report, &before))
		return;
	demo_progress(demo, "the guest stamps %llu MiB", (ull)(demo->touch_size / MIB));
	if (!demo_need_stamps(demo, report) || !demo_look(demo, report, &after))
		return;
	if (host_count_pages(demo_range(demo), demo->touch_size, false, &range) ||
	    host_count_pages(mshv_session_memory(demo->session), demo->memory_size, false,
			     &all)) {
		demo_failed(report, "look at guest memory");
		return;
	}
	touched = demo->touch_size / GUEST_PAGE_SIZE;
	faults = after.faults - before.faults;
	calls = after.map_calls - before.map_calls;
	mapped = after.small + after.large - before.small - before.large;
	demo_check(report, range.present == touched, "all %llu pages touched are resident (%llu)",
		   (ull)touched, (ull)range.present);
	/*
	 * Program, boot pages and page tables: a few blocks if Linux uses huge pages. And what a guest in
	 * sequence is given ahead: an eighth, and a block a processor.
	 */
	demo_check(report, all.present <= touched + touched / 8 + MIB_PAGES(8),
		   "and at most an eighth and 8 MiB besides (%llu pages)",
		   (ull)(all.present - range.present));
	demo_check(report, faults > 0 && faults <= touched, "%llu intercepts for %llu pages",
		   (ull)faults, (ull)touched);
	demo_check(report, calls > 0, "%llu map calls", (ull)calls);
	demo_check(report, mapped >= touched, "%llu pages mapped", (ull)mapped);
	demo_verify(demo, report, "afterwards");
	demo_counts(report, "%llu pages touched, %llu resident", (ull)touched,
		    (ull)all.present);
	demo_counts(report, "%llu intercepts, %llu map calls", (ull)faults, (ull)calls);
}

/* Moves the guest to node @to and counts what arrived; the kernel may need several goes. */
static bool migrate_to(struct demo *demo, struct demo_report *report, unsigned int to,
		       uint64_t *arrived)
{
	uint64_t pages = demo->touch_size / GUEST_PAGE_SIZE;
	struct host_pages where;
	unsigned int attempt;

	for (attempt = 0; attempt < 10; attempt++) {
		if (host_migrate(0, !to, to) < 0)
			return demo_failed(report, "migrate");
		if (host_count_pages(demo_range(demo), demo->touch_size, true, &where))
			return demo_failed(report, "look where guest memory is");
		if (where.node[to] == pages)
			break;
	}
	*arrived = where.node[to];
	return demo_check(report, where.node[to] == pages, "%llu of %llu pages are on node %u",
			  (ull)where.node[to], (ull)pages, to);
}

void demo_row_migrate(struct demo *demo, struct demo_report *report)
{
	uint64_t there = 0, back = 0, work = 0;
	struct demo_seen before, after;
	bool running;

	if (host_nodes() < 2) {
		demo_skip(report, "one NUMA node only");
		return;
	}
	if (!demo_need_stamps(demo, report) || !demo_look(demo, report, &before))
		return;
	running = demo_start(demo, report, 0, demo->touch_size / GUEST_PAGE_SIZE);
	demo_progress(demo, "the guest works; its memory moves to node 1");
	if (running && migrate_to(demo, report, 1, &there)) {
		demo_progress(demo, "and back to node 0");
		migrate_to(demo, report, 0, &back);
	}
	demo_stop(demo, report, &work);
	if (!demo_look(demo, report, &after))
		return;
	demo_check(report, after.faults > before.faults,
		   "the guest fetched moved pages by %llu intercepts",
		   (ull)(after.faults - before.faults));
	demo_verify(demo, report, "afterwards");
	demo_counts(report, "%llu pages to node 1, %llu back", (ull)there, (ull)back);
	demo_counts(report, "%llu stamps checked meanwhile", (ull)work);
}

/* Small pages on node 0, of which every second one can be given back. */
struct filler {
	char *start;
	size_t size;
};

static bool fill(struct filler *f, size_t size)
{
	f->start = host_memory_on(0, size);
	f->size = size;
	return f->start != NULL;
}

static void punch(const struct filler *f)
{
	size_t at;

	for (at = 0; f->start && at < f->size; at += 2 * GUEST_PAGE_SIZE)
		madvise(f->start + at, GUEST_PAGE_SIZE, MADV_DONTNEED);
}

static void unfill(struct filler *f)
{
	if (f->start)
		munmap(f->start, f->size);
	f->start = NULL;
}

/*
 * Compaction moves pages from half-used blocks to half-used blocks further up. So that the
 * guest's are among the former wherever Linux takes memory from, they are moved away and
 * back into the holes of a filler that lies between two others, which stay, half used.
 */
static bool scatter(uint8_t *start, size_t size, struct filler around[2])
{
	struct filler between = { NULL, 0 };
	struct host_move move;
	bool done;

	done = fill(&around[0], size) && fill(&between, 2 * size);
	punch(&between);
	done = done && host_move(start, size, 1, &move) == 0 &&
	       host_move(start, size, 0, &move) == 0 && fill(&around[1], size);
	unfill(&between);
	punch(&around[0]);
	punch(&around[1]);
	return done;
}

/* Pages that are somewhere else now. */
static uint64_t frames_changed(const uint64_t *before, const uint64_t *after, uint64_t pages)
{
	uint64_t changed = 0, i;

	for (i = 0; i < pages; i++)
		changed += before[i] && after[i] && before[i] != after[i];
	return changed;
}

#define COMPACTIONS	4u

/*
 * Scatters the @part-th eighth of the guest's memory, and has all be compacted while the guest works. Adds what it worked, and
 * what moved in the machine. Return: how many of the guest's pages moved; less than 0: it could not be tried.
 */
static int64_t compact_once(struct demo *demo, struct demo_report *report, unsigned int part, uint64_t *work, uint64_t *all)
{
	uint64_t pages = demo->touch_size / GUEST_PAGE_SIZE, done = 0, before_all;
	uint64_t *before = calloc(pages, sizeof(*before)), *after = calloc(pages, sizeof(*after));
	struct filler around[2] = { { NULL, 0 } };
	size_t size = demo->touch_size / 8;
	int64_t moved = -1;

	if (!before || !after) {
		demo_check(report, false, "out of memory");
	} else if (!scatter(demo_range(demo) + part * size, size, around)) {
		demo_failed(report, "fragment memory");
	} else if (demo_start(demo, report, 0, pages)) {
		before_all = host_stat("/proc/vmstat", "pgmigrate_success");
		if (host_page_frames(demo_range(demo), demo->touch_size, before) || host_compact() ||
		    host_page_frames(demo_range(demo), demo->touch_size, after))
			demo_failed(report, "compact");
		else
			moved = (int64_t)frames_changed(before, after, pages);
		*all += host_stat("/proc/vmstat", "pgmigrate_success") - before_all;
		demo_stop(demo, report, &done);
		*work += done;
	}
	unfill(&around[0]);
	unfill(&around[1]);
	free(before);
	free(after);
	return moved;
}

void demo_row_compact(struct demo *demo, struct demo_report *report)
{
	uint64_t work = 0, all = 0;
	int64_t moved = 0;
	unsigned int i;

	if (host_nodes() < 2) {
		demo_skip(report, "one NUMA node only");
		return;
	}
	if (!demo_need_stamps(demo, report))
		return;
	demo_progress(demo, "memory is fragmented; the guest works; Linux compacts all memory");
	/* Where Linux finds what to move, and which of it is the guest's, is its own affair: some parts have a turn. */
	for (i = 0; i < COMPACTIONS && !moved; i++)
		moved = compact_once(demo, report, 7 - i, &work, &all);
	if (moved < 0)
		return;
	demo_check(report, moved > 0, "%lld guest pages moved (%llu in the machine)", (long long)moved, (ull)all);
	demo_verify(demo, report, "afterwards");
	demo_counts(report, "%lld guest pages moved; %llu stamps checked meanwhile", (long long)moved, (ull)work);
}

/*
 * Brings a range to disk, and out of the swap cache, too: until then it would be found
 * again without reading.
 */
static bool swap_out(uint8_t *start, size_t size, struct host_pages *where)
{
	uint64_t pages = size / GUEST_PAGE_SIZE;
	unsigned int attempt;

	memset(where, 0, sizeof(*where));
	for (attempt = 0; attempt < 10 && where->swapped < pages; attempt++)
		if (host_page_out(start, size) || host_count_pages(start, size, false, where))
			return false;
	/* Written pages are freed when the disk is done: ask again. */
	sync();
	return host_reclaim(DEMO_CGROUP, size) == 0;
}

void demo_row_swap(struct demo *demo, struct demo_report *report)
{
	uint64_t part = demo->touch_size / 8, pages = part / GUEST_PAGE_SIZE, work = 0, in, out;
	struct host_pages where;
	unsigned int i;
	uint8_t *cold;

	if (host_stat("/proc/meminfo", "SwapTotal") * 1024 < demo->touch_size) {
		demo_skip(report, "not enough swap");
		return;
	}
	if (!demo_need_stamps(demo, report))
		return;
	cold = demo_range(demo) + demo->touch_size - part;
	in = host_stat("/proc/vmstat", "pswpin");
	out = host_stat("/proc/vmstat", "pswpout");
	if (!swap_out(cold, part, &where)) {
		demo_failed(report, "swap out");
		return;
	}
	out = host_stat("/proc/vmstat", "pswpout") - out;
	demo_progress(demo, "%llu MiB of it are on disk", (ull)(where.swapped / MIB_PAGES(1)));
	demo_check(report, where.swapped >= pages * 9 / 10, "%llu of %llu pages are in swap",
		   (ull)where.swapped, (ull)pages);
	demo_check(report, out >= where.swapped, "%llu pages were written to the block device",
		   (ull)out);
	demo_verify(demo, report, "back again");
	in = host_stat("/proc/vmstat", "pswpin") - in;
	demo_check(report, in >= pages / 2, "%llu pages were read back from it", (ull)in);
	/* And again while it rewrites them: no write may be lost on the way out. */
	if (demo_start(demo, report, (demo->touch_size - part) / GUEST_PAGE_SIZE, pages)) {
		demo_progress(demo, "the guest rewrites that part while it is swapped out again");
		for (i = 0; i < 2; i++)
			if (host_page_out(cold, part / 16))
				demo_failed(report, "swap out");
		demo_stop(demo, report, &work);
	}
	demo_counts(report, "%llu pages swapped out, %llu read back", (ull)where.swapped,
		    (ull)in);
	demo_counts(report, "%llu stamps checked under further swapping", (ull)work);
	/* That part has newer stamps than the rest now. */
	demo->stamped = false;
}
