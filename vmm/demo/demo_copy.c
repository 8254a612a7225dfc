// SPDX-License-Identifier: GPL-2.0-only
/*
 * The demonstration, row copy: what a live migration does. A guest at work is copied into a second one on the same parent, in rounds
 * over the bitmap of pages that it has written, while Linux takes its memory to swap. What it has written since the last round is
 * copied when it has stopped. One page missed, and the second guest has old stamps.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "demo.h"
#include "host.h"

#define ROUNDS		4

typedef unsigned long long ull;

struct copy {
	struct mshv_session *from, *to;
	uint8_t *source, *target;
	uint64_t pages;
	uint8_t *dirty;
	uint64_t rounds, copied, left;
};

/* Copies what was written since the last time; it counts anew from before that on. Returns how many pages, or -1. */
static int64_t copy_dirty(struct copy *c)
{
	int64_t count = 0;
	uint64_t page;

	if (mshv_access_bitmap(mshv_session_vm(c->from), DEMO_FIRST_GPA / GUEST_PAGE_SIZE, c->pages, MSHV_DIRTY,
			       MSHV_ACCESS_CLEAR, c->dirty))
		return -1;
	for (page = 0; page < c->pages; page++) {
		if (!(c->dirty[page / 8] >> page % 8 & 1))
			continue;
		memcpy(c->target + page * GUEST_PAGE_SIZE, c->source + page * GUEST_PAGE_SIZE, GUEST_PAGE_SIZE);
		count++;
	}
	c->copied += (uint64_t)count;
	return count;
}

/* While the guest works: each round Linux takes another part of what it works on. */
static bool pre_copy(struct demo *demo, struct demo_report *report, struct copy *c)
{
	const uint64_t part = c->pages / 16 * GUEST_PAGE_SIZE;
	int64_t now;

	memcpy(c->target, c->source, c->pages * GUEST_PAGE_SIZE);
	for (c->rounds = 0; c->rounds < ROUNDS; c->rounds++) {
		if (host_page_out(c->source + c->rounds * part, part))
			return demo_failed(report, "page out");
		now = copy_dirty(c);
		if (now < 0)
			return demo_failed(report, "ask what was written");
		demo_progress(demo, "%llu pages copied again", (ull)now);
	}
	return true;
}

static void compare(struct demo *demo, struct demo_report *report, struct copy *c)
{
	uint64_t page, missed = 0;

	for (page = 0; page < c->pages; page++)
		missed += memcmp(c->source + page * GUEST_PAGE_SIZE, c->target + page * GUEST_PAGE_SIZE,
				 GUEST_PAGE_SIZE) != 0;
	demo_check(report, !missed, "of %llu pages %llu differ", (ull)c->pages, (ull)missed);
	demo->session = c->to;
	demo_verify(demo, report, "the second guest");
	demo->session = c->from;
}

static void run(struct demo *demo, struct demo_report *report, struct copy *c)
{
	uint64_t out = host_stat("/proc/vmstat", "pswpout"), worked = 0;
	int64_t left;
	bool good;

	if (mshv_track_access(mshv_session_vm(c->from), true)) {
		demo_failed(report, "track what the guest writes");
		return;
	}
	if (demo_start(demo, report, 0, c->pages)) {
		good = pre_copy(demo, report, c);
		good &= demo_stop(demo, report, &worked);
		left = good ? copy_dirty(c) : -1;
		c->left = left > 0 ? (uint64_t)left : 0;
		if (left >= 0)
			compare(demo, report, c);
		else if (good)
			demo_failed(report, "ask what was written");
	}
	if (mshv_track_access(mshv_session_vm(c->from), false))
		demo_failed(report, "end tracking");
	out = host_stat("/proc/vmstat", "pswpout") - out;
	demo_check(report, out > 0, "%llu pages went to swap meanwhile", (ull)out);
	demo_counts(report, "%llu pages; %llu copied again in %llu rounds while it worked, %llu when it had stopped",
		    (ull)c->pages, (ull)(c->copied - c->left), (ull)c->rounds, (ull)c->left);
	demo_counts(report, "%llu pages rewritten and %llu swapped out meanwhile", (ull)worked, (ull)out);
}

void demo_row_copy(struct demo *demo, struct demo_report *report)
{
	const struct mshv_session_config config = { .memory_size = demo->memory_size, .vps = DEMO_VPS };
	struct copy c = { .pages = demo->touch_size / GUEST_PAGE_SIZE };

	if (host_stat("/proc/meminfo", "SwapTotal") == 0) {
		demo_skip(report, "no swap");
		return;
	}
	if (!demo_need_stamps(demo, report))
		return;
	c.from = demo->session;
	c.to = mshv_session_open(&config);
	c.dirty = calloc(c.pages / 8 + 1, 1);
	if (!c.to || !c.dirty || mshv_session_boot(c.to, "stamp")) {
		demo_failed(report, "boot the second guest");
	} else {
		c.source = demo_range(demo);
		c.target = mshv_session_memory(c.to) + DEMO_FIRST_GPA;
		run(demo, report, &c);
	}
	mshv_session_close(c.to);
	free(c.dirty);
}
