// SPDX-License-Identifier: GPL-2.0-only
/*
 * The demonstration, rows about what Linux does with any memory: huge pages, merging, overcommit. Each has small guests of its
 * own, so that it can stand alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "demo.h"
#include "host.h"
#include "undo.h"

#define MIB		(1ull << 20)
#define BLOCK		MSHV_BLOCK_SIZE
#define BLOCK_PAGES	(BLOCK / GUEST_PAGE_SIZE)
#define PATIENCE	120
#define KSM		"/sys/kernel/mm/ksm/"
#define GROUP		"/sys/fs/cgroup/" DEMO_CGROUP "/"
#define MADV_COLLAPSE_	25	/* MADV_COLLAPSE; older headers lack it */

typedef unsigned long long ull;

static struct demo small_demo(const struct demo *demo, uint64_t touch)
{
	return (struct demo){ .memory_size = touch + DEMO_FIRST_GPA, .touch_size = touch,
			      .progress = demo->progress, .started = demo->started };
}

/* Waits until both processors have met every page once more. */
static bool one_more_round(struct demo *demo)
{
	double deadline = host_seconds() + PATIENCE;
	unsigned int vp;

	for (vp = 0; vp < DEMO_VPS; vp++) {
		volatile struct guest_mailbox *box = mshv_session_mailbox(demo->session, vp);
		/* The round that is on has begun before: it does not count. */
		uint64_t target = box->done_rounds + 2;

		while (box->done_rounds < target) {
			if (host_seconds() > deadline)
				return false;
			usleep(1000);
		}
	}
	return true;
}

/* ---- huge pages ---- */

/* Blocks of a range that are one piece of memory. */
static unsigned int huge_blocks(const uint8_t *start, uint64_t size)
{
	uint64_t frames[BLOCK_PAGES], offset;
	unsigned int count = 0, i;

	for (offset = 0; offset < size; offset += BLOCK) {
		if (host_page_frames(start + offset, BLOCK, frames))
			return 0;
		for (i = 1; i < BLOCK_PAGES && frames[i] == frames[0] + i; i++)
			;
		count += i == BLOCK_PAGES && frames[0] && frames[0] % BLOCK_PAGES == 0;
	}
	return count;
}

/* Makes Linux map a block page by page, and leaves its rights as they were. */
static int split(uint8_t *block)
{
	uint8_t *page = block + 9 * GUEST_PAGE_SIZE;

	return mprotect(page, GUEST_PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC) ||
	       mprotect(page, GUEST_PAGE_SIZE, PROT_READ | PROT_WRITE);
}

static void split_and_collapse(struct demo *own, struct demo_report *report, uint64_t half)
{
	struct demo_seen first, middle, last;
	uint8_t *range = demo_range(own);
	unsigned int blocks = half / BLOCK, collapsed = 0;
	uint64_t offset, work = 0;
	bool seen;

	if (!demo_look(own, report, &first) ||
	    !demo_start(own, report, 0, own->touch_size / GUEST_PAGE_SIZE))
		return;
	for (offset = 0; offset < half; offset += BLOCK)
		demo_check(report, !split(range + offset), "split");
	demo_check(report, one_more_round(own), "the guest goes on in small pages");
	seen = demo_look(own, report, &middle);
	for (offset = 0; offset < half; offset += BLOCK)
		collapsed += !madvise(range + offset, BLOCK, MADV_COLLAPSE_);
	demo_check(report, one_more_round(own), "the guest goes on in huge pages");
	seen &= demo_look(own, report, &last);
	demo_stop(own, report, &work);
	if (!seen)
		return;
	demo_check(report, middle.small - first.small >= blocks * BLOCK_PAGES,
		   "split: mapped in small pages");
	demo_check(report, collapsed == blocks, "Linux collapsed %u of %u blocks", collapsed, blocks);
	demo_check(report, last.large - middle.large >= blocks * BLOCK_PAGES,
		   "collapsed: mapped in huge pages again");
	demo_counts(report, "%u blocks: split, %llu small maps; collapsed, %llu huge maps", blocks,
		    (ull)(middle.small - first.small),
		    (ull)((last.large - middle.large) / BLOCK_PAGES));
	demo_counts(report, "%llu stamps checked meanwhile", (ull)work);
}

void demo_row_thp(struct demo *demo, struct demo_report *report)
{
	struct demo own = small_demo(demo, 16 * MIB);
	uint64_t half = own.touch_size / 2;
	struct demo_seen seen;
	unsigned int huge;

	if (!demo_need_stamps(&own, report))
		goto out;
	huge = huge_blocks(demo_range(&own), half);
	if (huge < half / BLOCK) {
		demo_skip(report, "Linux has no huge pages to give");
		goto out;
	}
	if (!demo_look(&own, report, &seen))
		goto out;
	demo_check(report, seen.large >= huge * BLOCK_PAGES, "%llu maps of 2 MiB",
		   (ull)(seen.large / BLOCK_PAGES));
	demo_progress(demo, "the guest works; Linux splits its huge pages and collapses them");
	split_and_collapse(&own, report, half);
	demo_verify(&own, report, "afterwards");
out:
	demo_end(&own);
}

/* ---- merging ---- */

/*
 * Pages that both guests have in one frame. The kernel's own count lags behind writes, and behind guests that are gone: it is
 * brought up by the next scan.
 */
static uint64_t in_one_frame(struct demo *a, struct demo *b)
{
	uint64_t x[BLOCK_PAGES], y[BLOCK_PAGES], offset, count = 0;
	unsigned int i;

	for (offset = 0; offset < a->touch_size; offset += BLOCK) {
		if (host_page_frames(demo_range(a) + offset, BLOCK, x) ||
		    host_page_frames(demo_range(b) + offset, BLOCK, y))
			return 0;
		for (i = 0; i < BLOCK_PAGES; i++)
			count += x[i] && x[i] == y[i];
	}
	return count;
}

/* Waits until they share at least @pages. */
static void merge(struct demo *a, struct demo *b, uint64_t pages)
{
	double deadline = host_seconds() + 60;

	while (in_one_frame(a, b) < pages && host_seconds() < deadline)
		usleep(20000);
}

/* Two guests with the same stamps. */
static void merge_two(struct demo *a, struct demo *b, struct demo_report *report)
{
	uint64_t pages = a->touch_size / GUEST_PAGE_SIZE, merged, kept, left, work = 0;

	if (madvise(demo_range(a), a->touch_size, MADV_MERGEABLE) ||
	    madvise(demo_range(b), b->touch_size, MADV_MERGEABLE) ||
	    undo_write(KSM "run", "1")) {
		demo_check(report, false, "start KSM: %s", strerror(errno));
		return;
	}
	merge(a, b, pages * 9 / 10);
	/* It ends the pages it is at. */
	host_write(KSM "run", "0");
	usleep(200000);
	merged = in_one_frame(a, b);
	demo_check(report, merged >= pages * 9 / 10, "%llu of %llu pages are shared", (ull)merged,
		   (ull)pages);
	demo_verify(a, report, "the first guest reads shared pages");
	demo_verify(b, report, "the second guest, too");
	kept = in_one_frame(a, b);
	demo_check(report, kept >= merged, "%llu pages are still shared", (ull)kept);
	if (demo_start(b, report, 0, pages))
		demo_stop(b, report, &work);
	left = in_one_frame(a, b);
	demo_check(report, left == 0, "after writing, %llu are", (ull)left);
	demo_verify(a, report, "the other guest's pages are as they were");
	demo_counts(report, "%llu of %llu pages shared, %llu after both have read", (ull)merged,
		    (ull)pages, (ull)kept);
	demo_counts(report, "%llu after one has written", (ull)left);
}

void demo_row_ksm(struct demo *demo, struct demo_report *report)
{
	struct demo a = small_demo(demo, 8 * MIB), b = a;
	const unsigned int mark = undo_mark();

	if (access(KSM "run", F_OK)) {
		demo_skip(report, "this kernel has no KSM");
		return;
	}
	undo_write(KSM "pages_to_scan", "20000");
	undo_write(KSM "sleep_millisecs", "5");
	demo_progress(demo, "two guests with the same content; Linux merges their pages");
	if (demo_need_guest(&a, report, MSHV_MEMORY_SMALL) && demo_need_stamps(&a, report) &&
	    demo_need_guest(&b, report, MSHV_MEMORY_SMALL) && demo_need_stamps(&b, report))
		merge_two(&a, &b, report);
	demo_end(&a);
	demo_end(&b);
	undo_to(mark);
}

/* ---- overcommit ---- */

#define GUESTS	4

static bool limit_to(uint64_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (ull)bytes);
	return undo_write(GROUP "memory.max", text) == 0;
}

void demo_row_overcommit(struct demo *demo, struct demo_report *report)
{
	struct demo guest[GUESTS];
	uint64_t total = 0, used, out = host_stat("/proc/vmstat", "pswpout");
	uint64_t in = host_stat("/proc/vmstat", "pswpin");
	const unsigned int mark = undo_mark();
	char line[32];
	unsigned int i;
	bool good = true;

	/* The guest of the other rows would be the first to be swapped. */
	demo_end(demo);
	for (i = 0; i < GUESTS; i++) {
		guest[i] = small_demo(demo, 24 * MIB);
		total += guest[i].touch_size;
	}
	if (host_stat("/proc/meminfo", "SwapTotal") * 1024 < total) {
		demo_skip(report, "not enough swap");
		return;
	}
	for (i = 0; i < GUESTS && good; i++)
		good = demo_need_boot(&guest[i], report);
	if (host_read(GROUP "memory.current", line, sizeof(line))) {
		demo_skip(report, "no memory cgroup");
		goto out;
	}
	used = strtoull(line, NULL, 10);
	if (!good || !demo_check(report, limit_to(used + total / 2), "limit the VMM to half of it"))
		goto out;
	demo_progress(demo, "%u guests touch %llu MiB; their VMM may use %llu", GUESTS,
		      (ull)(total / MIB), (ull)(total / 2 / MIB));
	for (i = 0; i < GUESTS && good; i++)
		good = demo_need_stamps(&guest[i], report);
	for (i = 0; i < GUESTS && good; i++)
		good = demo_verify(&guest[i], report, "all are in use");
	out = host_stat("/proc/vmstat", "pswpout") - out;
	in = host_stat("/proc/vmstat", "pswpin") - in;
	demo_check(report, out >= total / 4 / GUEST_PAGE_SIZE && in > 0,
		   "%llu pages went to disk, %llu came back", (ull)out, (ull)in);
	demo_counts(report, "%u guests, %llu MiB in use, %llu allowed", GUESTS, (ull)(total / MIB),
		    (ull)(total / 2 / MIB));
	demo_counts(report, "%llu pages to disk, %llu back", (ull)out, (ull)in);
out:
	undo_to(mark);
	for (i = 0; i < GUESTS; i++)
		demo_end(&guest[i]);
}
