// SPDX-License-Identifier: GPL-2.0-only
/*
 * M5, M6: what Linux knows of the pages that a guest uses, and what that is worth when memory is short.
 *
 * The guest has a hot set that the benchmark chose, so what Linux should find is known. Judges are the multi-generation LRU,
 * DAMON, and a cgroup's limit. A guest under a limit is a process of its own: one that Linux cannot reclaim from is killed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../vmm/demo/ageing.h"
#include "../vmm/demo/host.h"
#include "../vmm/lib/libmshv.h"
#include "row.h"

/* Hot is each fifth page: no neighbour tells anything about another. */
#define STRIDE	5

/* ---- M5 ---- */

/* What of the hot set, and of the rest, Linux has kept. */
static int put_kept(struct bench *b, const uint8_t *memory, uint64_t pages)
{
	uint64_t *frames = calloc(pages, sizeof(*frames)), i, hot = 0, cold = 0;

	if (!frames || host_page_frames(memory, pages * PAGE, frames)) {
		row_cannot(b, strerror(errno));
		free(frames);
		return -1;
	}
	for (i = 0; i < pages; i++) {
		hot += frames[i] && i % STRIDE == 0;
		cold += frames[i] && i % STRIDE != 0;
	}
	free(frames);
	row_put(b, "hot-pages", (int64_t)((pages + STRIDE - 1) / STRIDE));
	row_put(b, "hot-kept", (int64_t)hot);
	row_put(b, "others-kept", (int64_t)cold);
	row_put(b, "recall-permille", (int64_t)(hot * 1000 / ((pages + STRIDE - 1) / STRIDE)));
	row_put(b, "precision-permille", (int64_t)(hot + cold ? hot * 1000 / (hot + cold) : 0));
	return 0;
}

/* Everything stamped; passes; the hot set is used; a pass, whose cost is counted; then the old ones go. */
static void by_lru(struct bench *b, const void *arg)
{
	const uint64_t bytes = *(const uint64_t *)arg, pages = bytes / PAGE;
	struct bench_guest *guest = NULL;

	if (row_enter_group(b))
		goto out;
	guest = row_guest(b, bytes, BENCH_SMALL);
	if (!guest || row_does(b, guest, GUEST_COMMAND_STAMP, pages, 1, 0, 1))
		goto out;
	if (ageing_pass(ROW_GROUP) || ageing_pass(ROW_GROUP)) {
		row_cannot(b, mshv_error());
		goto out;
	}
	if (row_does(b, guest, GUEST_COMMAND_CHECK, pages, STRIDE, 0, 1) || row_start(b, guest))
		goto out;
	if (ageing_pass(ROW_GROUP)) {
		row_cannot(b, mshv_error());
		goto out;
	}
	if (row_stop(b, guest))
		goto out;
	if (ageing_evict(ROW_GROUP)) {
		row_cannot(b, mshv_error());
		goto out;
	}
	if (!put_kept(b, b->system->memory(guest) + FIRST, pages) &&
	    !row_does(b, guest, GUEST_COMMAND_CHECK, pages, 1, 0, 1))
		row_put(b, "wrong-stamps", 0);
out:
	b->system->close(guest);
	row_leave_group();
}

/* The guest is busy in the first quarter. */
static void by_damon(struct bench *b, const void *arg)
{
	const uint64_t bytes = *(const uint64_t *)arg, hot = bytes / 4;
	const struct guest_mailbox args = {
		.first_gfn = FIRST / PAGE, .pages = hot / PAGE, .stride = 1, .version = 1,
	};
	uint64_t found = 0, right = 0;
	struct bench_guest *guest;
	bool good;
	unsigned int i;

	guest = row_guest(b, bytes, BENCH_SMALL);
	if (!guest)
		return;
	if (row_does(b, guest, GUEST_COMMAND_STAMP, bytes / PAGE, 1, 0, 1) || row_start(b, guest) ||
	    row_begins(b, guest, 0, GUEST_COMMAND_CHECK, &args))
		goto out;
	good = !damon_begin(b->system->memory(guest) + FIRST, bytes, MIB);
	/* The first answers are of the time before. */
	for (i = 0; good && i < 3; i++)
		good = !damon_found(b->system->memory(guest) + FIRST, hot, &found, &right);
	if (!good)
		row_cannot(b, mshv_error());
	damon_end();
	((volatile struct guest_mailbox *)(void *)(b->system->memory(guest) + GUEST_MAILBOX(0)))->stop = 1;
	if (row_waits(b, guest, 0) || row_stop(b, guest) || !good)
		goto out;
	row_put(b, "bytes-hot", (int64_t)hot);
	row_put(b, "bytes-found", (int64_t)found);
	row_put(b, "bytes-right", (int64_t)right);
	row_put(b, "recall-permille", (int64_t)(right * 1000 / hot));
	row_put(b, "precision-permille", (int64_t)(found ? right * 1000 / found : 0));
out:
	b->system->close(guest);
}

void row_ageing(struct bench *b)
{
	uint64_t bytes = b->options->quick ? 16 * MIB : 64 * MIB;

	row_backing("2m");
	row_begin(b, "M5", "the multi-generation LRU finds each fifth page");
	row_apart(b, by_lru, &bytes);
	row_begin(b, "M5", "DAMON finds the first quarter");
	row_apart(b, by_damon, &bytes);
}

/* ---- M6 ---- */

struct limited {
	uint64_t bytes;		/* of the guest */
	uint64_t room;		/* of these, under the limit */
	bool scan;		/* a hot half in a loop and a scan through the other, or 80/20 */
};

static int visit(struct bench *b, struct bench_guest *guest, uint64_t first, uint64_t pages, uint64_t stride,
		 uint64_t rounds)
{
	const struct guest_mailbox args = {
		.first_gfn = FIRST / PAGE + first, .pages = pages, .stride = stride, .rounds = rounds, .version = 1,
	};

	return row_begins(b, guest, 0, GUEST_COMMAND_CHECK, &args) || row_waits(b, guest, 0) ? -1 : 0;
}

/* Twenty times four fifths of the touches go to a fifth of the memory, or to half of it in a loop; the others come to all in turn. */
static int work(struct bench *b, struct bench_guest *guest, const struct limited *l, uint64_t *touched)
{
	const uint64_t pages = l->bytes / PAGE, slice = pages / 20;
	unsigned int i;

	for (i = 0; i < 20; i++) {
		if (l->scan ? visit(b, guest, 0, pages / 2, 1, 3) : visit(b, guest, 0, pages, STRIDE, 1))
			return -1;
		*touched += l->scan ? pages / 2 * 3 : (pages + STRIDE - 1) / STRIDE;
		if (l->scan ? visit(b, guest, pages / 2 + i * slice / 2, slice / 2, 1, 1) :
			      visit(b, guest, i * slice, slice, 1, 1))
			return -1;
		*touched += l->scan ? slice / 2 : slice;
	}
	return 0;
}

static void limited(struct bench *b, const void *arg)
{
	const struct limited *l = arg;
	uint64_t refaults, in, out, touched = 0;
	struct bench_guest *guest = NULL;

	if (row_enter_group(b))
		goto out;
	guest = row_guest(b, l->bytes, BENCH_SMALL);
	if (!guest || row_limit_group(b, row_group_stat(NULL) + l->room) ||
	    row_does(b, guest, GUEST_COMMAND_STAMP, l->bytes / PAGE, 1, 0, 1) || row_start(b, guest))
		goto out;
	refaults = row_group_stat("workingset_refault_anon");
	in = host_stat("/proc/vmstat", "pswpin");
	out = host_stat("/proc/vmstat", "pswpout");
	if (work(b, guest, l, &touched) || row_stop(b, guest))
		goto out;
	row_put(b, "pages-touched", (int64_t)touched);
	row_put(b, "refaults", (int64_t)(row_group_stat("workingset_refault_anon") - refaults));
	row_put(b, "pages-swapped-in", (int64_t)(host_stat("/proc/vmstat", "pswpin") - in));
	row_put(b, "pages-swapped-out", (int64_t)(host_stat("/proc/vmstat", "pswpout") - out));
	if (!row_does(b, guest, GUEST_COMMAND_CHECK, l->bytes / PAGE, 1, 0, 1))
		row_put(b, "wrong-stamps", 0);
out:
	b->system->close(guest);
	row_leave_group();
}

void row_limits(struct bench *b)
{
	static const unsigned int percents[] = { 50, 60, 80, 100, 120, 150 };
	struct limited l = { .bytes = b->options->quick ? 16 * MIB : 64 * MIB };
	unsigned int i, scan;

	row_backing("2m");
	for (scan = 0; scan < 2; scan++) {
		for (i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
			l.scan = scan;
			l.room = l.bytes / 100 * percents[i];
			row_begin(b, "M6", scan ? "a hot half, and a scan" : "80/20");
			row_put(b, "limit-percent", percents[i]);
			row_apart(b, limited, &l);
		}
	}
}
