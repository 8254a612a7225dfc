// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rows: what is done, and what is written down of it. docs/benchmarks.md says what each is for.
 *
 *	M1	intercepts and map calls of a guest that touches memory: orders, backings, absent or resident
 *	M2	calls to make, populate, empty and end guests of different sizes
 *	M3	bytes that are charged for the bytes that a guest touches, by density (footprint.c)
 *	M4	instructions (instructions.c)
 *	M5	whether Linux finds what a guest uses, and what asking costs (ageing.c)
 *	M6	refaults and swapping under limits (ageing.c)
 *	M7	calls and shoot-downs when Linux takes memory away or moves it; and whether it is right afterwards
 *	M8	what is mapped large, after what happens to memory (footprint.c)
 *	M9	memory of the parent that a guest takes besides its own (footprint.c)
 *	M10	pages that stay merged in two guests that read them, and that write some
 *	M11	instructions of processors that fault together (instructions.c)
 *	M13	what a while of tracking costs, and when (footprint.c)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../vmm/demo/host.h"
#include "../vmm/lib/libmshv.h"
#include "row.h"

#define KSM	"/sys/kernel/mm/ksm/"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/* ---- M1 ---- */

static void touch(struct bench *b, const char *backing, const char *order, uint64_t stride, uint64_t seed,
		  bool resident)
{
	const uint64_t bytes = row_scaled(b, 256 * MIB), pages = bytes / PAGE;
	const bool gigantic = !strcmp(backing, "1g");
	struct bench_guest *guest;

	row_begin(b, "M1", order);
	row_put_text(b, "backing", backing);
	row_put_text(b, "memory", resident ? "resident" : "absent");
	row_put(b, "touched", (int64_t)((pages + stride - 1) / stride));
	if (!gigantic && row_backing(backing)) {
		row_cannot(b, "this kernel has no such pages");
		return;
	}
	guest = row_guest(b, bytes, gigantic ? BENCH_GIGANTIC : strcmp(backing, "4k") ? BENCH_HUGE : BENCH_SMALL);
	if (!guest)
		return;
	if (resident)
		memset(b->system->memory(guest) + FIRST, 1, bytes);
	if (!row_start(b, guest) && !row_does(b, guest, GUEST_COMMAND_STAMP, pages, stride, seed, 1))
		row_stop(b, guest);
	b->system->close(guest);
}

static void touches(struct bench *b)
{
	static const char *const backings[] = { "4k", "64k", "2m", "1g" };
	unsigned int i, resident;

	for (i = 0; i < 4; i++) {
		for (resident = 0; resident < 2; resident++) {
			touch(b, backings[i], "sequence", 1, 0, resident);
			touch(b, backings[i], "random", 1, b->options->seed, resident);
			touch(b, backings[i], "every 17th page", 17, 0, resident);
			touch(b, backings[i], "one per 2 MiB", BLOCK / PAGE, 0, resident);
		}
	}
	row_backing("2m");
}

/* ---- M2 ---- */

static void create_one(struct bench *b, const void *arg)
{
	const uint64_t *bytes = arg;
	struct bench_guest *guest = b->system->open(*bytes, BENCH_SMALL, 1);

	if (!guest)
		row_cannot(b, mshv_error());
	else
		row_stop(b, guest);
}

/* Some systems want memory for all of a guest at once. */
static void create(struct bench *b, uint64_t bytes)
{
	row_begin(b, "M2", "create");
	row_put(b, "mib", (int64_t)(bytes / MIB));
	if (!row_start(b, NULL))
		row_apart(b, create_one, &bytes);
}

static int populates(struct bench *b, struct bench_guest *guest, uint64_t bytes)
{
	return row_does(b, guest, GUEST_COMMAND_STAMP, bytes / PAGE, 1, 0, 1);
}

static int is_taken(struct bench *b, struct bench_guest *guest, uint64_t bytes)
{
	if (!madvise(b->system->memory(guest) + FIRST, bytes, MADV_DONTNEED))
		return 0;
	row_cannot(b, strerror(errno));
	return -1;
}

static int ends(struct bench *b, struct bench_guest *guest, uint64_t bytes)
{
	(void)bytes;
	b->system->close(guest);
	return 0;
}

static void life(struct bench *b)
{
	static const struct {
		const char *what;
		int (*act)(struct bench *b, struct bench_guest *guest, uint64_t bytes);
	} phases[] = {
		{ "populate in sequence", populates }, { "all is taken away", is_taken },
		{ "populate again", populates }, { "end", ends },
	};
	const uint64_t bytes = row_scaled(b, 1024 * MIB);
	struct bench_guest *guest = NULL;
	bool whole = true;
	unsigned int i;

	for (i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		bool last = phases[i].act == ends;

		row_begin(b, "M2", phases[i].what);
		row_put(b, "mib", (int64_t)(bytes / MIB));
		if (!i)
			guest = row_guest(b, bytes, BENCH_SMALL);
		else if (!whole)
			row_cannot(b, "what comes before it could not be done");
		/* A guest that is gone has no counts any more. */
		whole = whole && guest && !row_start(b, last ? NULL : guest) && !phases[i].act(b, guest, bytes) &&
			!row_stop(b, last ? NULL : guest);
	}
	if (!whole)
		b->system->close(guest);
}

static void lives(struct bench *b)
{
	create(b, 64 * MIB);
	create(b, 1024 * MIB);
	create(b, 16384 * MIB);
	create(b, 1024 * 1024 * MIB);
	life(b);
}

/* ---- M7 ---- */

static int discard(uint8_t *memory, uint64_t bytes)
{
	return madvise(memory, bytes, MADV_DONTNEED);
}

static int collapse(uint8_t *memory, uint64_t bytes)
{
	return madvise(memory, bytes, MADV_HUGEPAGE) || madvise(memory, bytes, MADV_COLLAPSE) ? -1 : 0;
}

static int migrate(uint8_t *memory, uint64_t bytes)
{
	struct host_move move;

	if (host_nodes() < 2) {
		errno = ENODEV;
		return -1;
	}
	if (host_move(memory, bytes, 1, &move) || host_move(memory, bytes, 0, &move))
		return -1;
	errno = EBUSY;
	return move.moved * 100 < bytes / PAGE * 95 ? -1 : 0;
}

/* Linux does something with all that a guest has; what it costs, and whether everything is right afterwards. */
static void churn(struct bench *b, const char *what, int (*act)(uint8_t *memory, uint64_t bytes), bool gone)
{
	const uint64_t bytes = row_scaled(b, 64 * MIB), pages = bytes / PAGE;
	struct bench_guest *guest;
	uint8_t *memory;

	row_begin(b, "M7", what);
	row_put(b, "pages", (int64_t)pages);
	guest = row_guest(b, bytes, BENCH_SMALL);
	if (!guest)
		return;
	memory = b->system->memory(guest) + FIRST;
	if (row_does(b, guest, GUEST_COMMAND_STAMP, pages, 1, 0, 1) || row_start(b, guest))
		goto out;
	if (act(memory, bytes)) {
		row_cannot(b, strerror(errno));
		goto out;
	}
	if (row_stop(b, guest) || gone)
		goto out;
	if (!row_does(b, guest, GUEST_COMMAND_CHECK, pages, 1, 0, 1))
		row_put(b, "wrong-stamps", 0);
out:
	b->system->close(guest);
}

/* A VMM reads what was swapped out, the guest writes to it, and it goes to swap again. */
static void write_after_read(struct bench *b)
{
	const uint64_t bytes = row_scaled(b, 64 * MIB), pages = bytes / PAGE;
	struct bench_guest *guest;
	volatile uint8_t *memory;
	uint64_t i;

	row_begin(b, "M7", "swapped out again after a read by the VMM and a write by the guest");
	row_put(b, "pages", (int64_t)pages);
	guest = row_guest(b, bytes, BENCH_SMALL);
	if (!guest)
		return;
	memory = b->system->memory(guest) + FIRST;
	if (row_does(b, guest, GUEST_COMMAND_STAMP, pages, 1, 0, 1))
		goto out;
	if (row_all_out((uint8_t *)memory, bytes)) {
		row_cannot(b, strerror(errno));
		goto out;
	}
	for (i = 0; i < bytes; i += PAGE)
		(void)memory[i];
	if (row_does(b, guest, GUEST_COMMAND_STAMP, pages, 1, 0, 2))
		goto out;
	if (row_all_out((uint8_t *)memory, bytes)) {
		row_cannot(b, strerror(errno));
		goto out;
	}
	if (!row_does(b, guest, GUEST_COMMAND_CHECK, pages, 1, 0, 2))
		row_put(b, "wrong-stamps", 0);
out:
	b->system->close(guest);
}

static void churns(struct bench *b)
{
	churn(b, "swapped out", row_all_out, false);
	churn(b, "migrated to another node and back", migrate, false);
	churn(b, "collapsed into huge pages", collapse, false);
	churn(b, "discarded by the VMM", discard, true);
	write_after_read(b);
}

/* ---- M10 ---- */

static int64_t number(const char *file)
{
	char line[64];

	return host_read(file, line, sizeof(line)) ? -1 : atoll(line);
}

/* Scans until nothing more is merged. */
static void merge(int64_t wanted)
{
	int64_t scans = number(KSM "full_scans");

	host_write(KSM "run", "1");
	while (number(KSM "pages_sharing") < wanted && number(KSM "full_scans") < scans + 20)
		usleep(50000);
	host_write(KSM "run", "0");
}

/* Pages that two guests have in the same frame. */
static int64_t shared(struct bench *b, struct bench_guest *const *guest, uint64_t bytes)
{
	const uint64_t pages = bytes / PAGE;
	uint64_t *frames = calloc(2 * pages, sizeof(*frames)), i;
	int64_t count = 0;

	for (i = 0; frames && i < 2; i++)
		if (host_page_frames(b->system->memory(guest[i]) + FIRST, bytes, frames + i * pages))
			count = -1;
	for (i = 0; frames && count >= 0 && i < pages; i++)
		count += frames[i] && frames[i] == frames[pages + i];
	free(frames);
	return count;
}

static void merged(struct bench *b)
{
	const uint64_t bytes = row_scaled(b, 32 * MIB), pages = bytes / PAGE;
	struct bench_guest *guest[2] = { NULL, NULL };
	unsigned int i;

	row_begin(b, "M10", "merged pages of two equal guests");
	row_put(b, "pages", (int64_t)pages);
	if (host_write(KSM "run", "2") || host_write(KSM "pages_to_scan", "20000") ||
	    host_write(KSM "sleep_millisecs", "10")) {
		row_cannot(b, "no KSM");
		return;
	}
	/* Newer kernels leave out pages that could not be merged for some rounds. */
	if (number(KSM "smart_scan") >= 0)
		host_write(KSM "smart_scan", "0");
	for (i = 0; i < 2; i++) {
		guest[i] = row_guest(b, bytes, BENCH_SMALL);
		if (!guest[i] || row_does(b, guest[i], GUEST_COMMAND_STAMP, pages, 1, 0, 1))
			goto out;
		if (madvise(b->system->memory(guest[i]) + FIRST, bytes, MADV_MERGEABLE)) {
			row_cannot(b, strerror(errno));
			goto out;
		}
	}
	merge((int64_t)pages);
	row_put(b, "shared", shared(b, guest, bytes));
	for (i = 0; i < 2; i++)
		if (row_does(b, guest[i], GUEST_COMMAND_CHECK, pages, 1, 0, 1))
			goto out;
	row_put(b, "shared-after-both-read-all", shared(b, guest, bytes));
	for (i = 0; i < 2; i++)
		if (row_does(b, guest[i], GUEST_COMMAND_STAMP, pages, 100, 0, 2))
			goto out;
	row_put(b, "shared-after-each-wrote-one-in-100", shared(b, guest, bytes));
out:
	for (i = 0; i < 2; i++)
		b->system->close(guest[i]);
	host_write(KSM "run", "2");
}

/* ---- */

static const struct { const char *name; void (*run)(struct bench *b); enum bench_boot boot; } rows[] = {
	{ "M1", touches, BENCH_COUNTED },
	{ "M2", lives, BENCH_COUNTED },
	{ "M3", row_densities, BENCH_COUNTED },
	{ "M4", row_instructions, BENCH_INSTRUCTIONS },
	{ "M5", row_ageing, BENCH_COUNTED },
	{ "M6", row_limits, BENCH_COUNTED },
	{ "M7", churns, BENCH_COUNTED },
	{ "M8", row_large, BENCH_COUNTED },
	{ "M9", row_overhead, BENCH_COUNTED },
	{ "M10", merged, BENCH_COUNTED },
	{ "M11", row_parallel, BENCH_PARALLEL },
	{ "M13", row_tracking, BENCH_COUNTED },
};

#define ROWS	(sizeof(rows) / sizeof(rows[0]))

/* Whether a list of names with commas has one. */
static bool listed(const char *list, const char *name, size_t length)
{
	const char *at;

	for (at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (strcspn(at, ",") == length && !strncmp(at, name, length))
			return true;
	return false;
}

int bench_rows(const struct bench_options *options, json_t *results)
{
	struct bench b = { .options = options, .system = options->system, .results = results };
	const char *at = options->rows;
	unsigned int i, known;

	/* A name that is none is an error before anything runs. */
	for (; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		for (i = known = 0; i < ROWS; i++)
			known += listed(rows[i].name, at, strcspn(at, ","));
		if (!known)
			return mshv_fail_because(EINVAL, "no row %.*s", (int)strcspn(at, ","), at);
	}
	/* What Linux does by itself, and when it likes, is in no row that does not ask for it. */
	host_write("/proc/sys/kernel/numa_balancing", "0");
	host_write("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs", "4000000000");
	for (i = 0; i < ROWS; i++)
		if (rows[i].boot == options->boot &&
		    (!options->rows || listed(options->rows, rows[i].name, strlen(rows[i].name))))
			rows[i].run(&b);
	return 0;
}

void bench_list(FILE *out, enum bench_boot boot)
{
	unsigned int i;

	for (i = 0; i < ROWS; i++)
		if (rows[i].boot == boot)
			fprintf(out, "%s\n", rows[i].name);
}
