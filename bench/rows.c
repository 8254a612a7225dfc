// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rows: what is done, and what is written down of it. docs/benchmarks/README.md says what each is for.
 *
 *	M1	intercepts and map calls of a guest that touches memory: orders, backings, absent or resident
 *	M2	calls to make, populate, empty and end guests of different sizes
 *	M3	bytes that are resident for the bytes that a guest touches, by density
 *	M7	calls and shoot-downs when Linux takes memory away or moves it; and whether it is right afterwards
 *	M10	pages that stay merged in two guests that read them, and that write some
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include "../vmm/demo/host.h"
#include "../vmm/lib/libmshv.h"
#include "bench.h"

#define PAGE	4096ull
#define BLOCK	(2ull << 20)
#define MIB	(1ull << 20)
/* Where the pages begin that are touched: behind the payload's own. */
#define FIRST	(4 * BLOCK)
#define KSM	"/sys/kernel/mm/ksm/"
#define THP	"/sys/kernel/mm/transparent_hugepage/"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

struct bench {
	const struct bench_options *options;
	const struct bench_system *system;
	json_t *results;
	/* What is being measured. */
	json_t *cell;
	struct bench_counts before;
	uint64_t clock;
};

/* ---- cells ---- */

/* A new one; what is put into it until the next one belongs to it. */
static void begin(struct bench *b, const char *row, const char *what)
{
	b->cell = json_pack("{s:s, s:s, s:s}", "row", row, "system", b->options->system->name, "what", what);
	json_array_append_new(b->results, b->cell);
	fprintf(stderr, "%s %s\n", row, what);
}

static void put(struct bench *b, const char *key, int64_t value)
{
	json_object_set_new(b->cell, key, json_integer(value));
}

static void put_text(struct bench *b, const char *key, const char *text)
{
	json_object_set_new(b->cell, key, json_string(text));
}

/* The cell stays empty, and says why. */
static void cannot(struct bench *b, const char *why)
{
	put_text(b, "cannot", why);
}

/* From here on it is counted. Returns 0 or -1. */
static int start(struct bench *b, struct bench_guest *guest)
{
	if (b->system->count(guest, &b->before))
		return -1;
	b->clock = __rdtsc();
	return 0;
}

/* What was counted from start() to @after. */
static void put_counts(struct bench *b, const struct bench_counts *after)
{
	static const char *const keys[BENCH_COUNT_MAX] = {
#define X(name, key) [BENCH_##name] = key,
		BENCH_COUNTS(X)
#undef X
	};
	unsigned int i;

	for (i = 0; i < BENCH_COUNT_MAX; i++)
		if (after->has[i])
			put(b, keys[i], after->value[i] - (b->before.has[i] ? b->before.value[i] : 0));
}

/* What was counted since start() goes into the cell. Returns 0 or -1. */
static int stop(struct bench *b, struct bench_guest *guest)
{
	uint64_t clock = __rdtsc() - b->clock;
	struct bench_counts after;

	if (b->system->count(guest, &after))
		return -1;
	put_counts(b, &after);
	if (b->options->instructions)
		put(b, "instructions", (int64_t)clock);
	return 0;
}

/* The guest does something once with some pages from FIRST on. Returns 0; -1: it could not, or found a wrong stamp. */
static int does(struct bench *b, struct bench_guest *guest, enum guest_command command, uint64_t pages,
		uint64_t stride, uint64_t seed, uint64_t version)
{
	const struct guest_mailbox args = {
		.first_gfn = FIRST / PAGE, .pages = pages, .stride = stride, .seed = seed, .rounds = 1,
		.version = version,
	};
	int status = b->system->does(guest, command, &args);
	const volatile struct guest_mailbox *box =
		(const void *)(b->system->memory(guest) + GUEST_MAILBOX(0));

	if (status == GUEST_STATUS_MISMATCH)
		put(b, "wrong-stamps", (int64_t)box->errors);
	else if (status < 0)
		cannot(b, mshv_error());
	return status == GUEST_STATUS_OK ? 0 : -1;
}

static uint64_t scaled(const struct bench *b, uint64_t bytes)
{
	return b->options->quick ? bytes / 16 : bytes;
}

/* A guest that runs, with @bytes to touch; or NULL, and the cell says why. */
static struct bench_guest *guest_with(struct bench *b, uint64_t bytes, bool small)
{
	struct bench_guest *guest = b->system->open(FIRST + bytes, small);

	if (guest && !b->system->boot(guest))
		return guest;
	cannot(b, mshv_error());
	b->system->close(guest);
	return NULL;
}

/* ---- backings ---- */

/* Returns 0, or -1: this kernel has no such pages. */
static int choose_backing(const char *backing)
{
	bool middle = !strcmp(backing, "64k");

	if (access(THP "hugepages-64kB/enabled", F_OK))
		return middle ? -1 : 0;
	if (host_write(THP "hugepages-64kB/enabled", middle ? "always" : "never"))
		return -1;
	return host_write(THP "hugepages-2048kB/enabled", middle ? "never" : "inherit");
}

/* ---- M1 ---- */

static void touch(struct bench *b, const char *backing, const char *order, uint64_t stride, uint64_t seed,
		  bool resident)
{
	const uint64_t bytes = scaled(b, 256 * MIB), pages = bytes / PAGE;
	struct bench_guest *guest;

	begin(b, "M1", order);
	put_text(b, "backing", backing);
	put_text(b, "memory", resident ? "resident" : "absent");
	put(b, "touched", (int64_t)((pages + stride - 1) / stride));
	if (choose_backing(backing)) {
		cannot(b, "this kernel has no such pages");
		return;
	}
	guest = guest_with(b, bytes, !strcmp(backing, "4k"));
	if (!guest)
		return;
	if (resident)
		memset(b->system->memory(guest) + FIRST, 1, bytes);
	if (start(b, guest) || does(b, guest, GUEST_COMMAND_STAMP, pages, stride, seed, 1) || stop(b, guest)) {
		if (!json_object_get(b->cell, "cannot"))
			cannot(b, mshv_error());
	}
	b->system->close(guest);
}

static void touches(struct bench *b)
{
	static const char *const backings[] = { "4k", "64k", "2m" };
	unsigned int i, resident;

	for (i = 0; i < 3; i++) {
		for (resident = 0; resident < 2; resident++) {
			touch(b, backings[i], "sequence", 1, 0, resident);
			touch(b, backings[i], "random", 1, b->options->seed, resident);
			touch(b, backings[i], "every 17th page", 17, 0, resident);
			touch(b, backings[i], "one per 2 MiB", BLOCK / PAGE, 0, resident);
		}
	}
	choose_backing("2m");
}

/* ---- M2 ---- */

/* What a process of its own has to say, which may not survive: some systems want memory for all of a guest at once. */
struct created {
	bool made;
	struct bench_counts counts;
	char error[200];
};

static void create_in_child(struct bench *b, uint64_t bytes, int out)
{
	struct created created = { 0 };
	struct bench_guest *guest = b->system->open(bytes, true);

	created.made = guest && !b->system->count(guest, &created.counts);
	snprintf(created.error, sizeof(created.error), "%s", mshv_error());
	_exit(write(out, &created, sizeof(created)) != sizeof(created));
}

static void create(struct bench *b, uint64_t bytes)
{
	struct created created = { .error = "killed: no memory for it" };
	int pipes[2];
	pid_t child;

	begin(b, "M2", "create");
	put(b, "mib", (int64_t)(bytes / MIB));
	if (pipe(pipes) || start(b, NULL) || (child = fork()) < 0) {
		cannot(b, strerror(errno));
		return;
	}
	if (!child)
		create_in_child(b, bytes, pipes[1]);
	close(pipes[1]);
	if (read(pipes[0], &created, sizeof(created)) != sizeof(created) || !created.made)
		cannot(b, created.error);
	else
		put_counts(b, &created.counts);
	close(pipes[0]);
	waitpid(child, NULL, 0);
}

static void life(struct bench *b)
{
	const uint64_t bytes = scaled(b, 1024 * MIB);
	struct bench_guest *guest;
	int ret;

	begin(b, "M2", "populate in sequence");
	put(b, "mib", (int64_t)(bytes / MIB));
	guest = guest_with(b, bytes, true);
	if (!guest)
		return;
	if (start(b, guest) || does(b, guest, GUEST_COMMAND_STAMP, bytes / PAGE, 1, 0, 1) || stop(b, guest))
		goto out;
	begin(b, "M2", "all is taken away");
	put(b, "mib", (int64_t)(bytes / MIB));
	ret = start(b, guest) || madvise(b->system->memory(guest) + FIRST, bytes, MADV_DONTNEED);
	if (ret || stop(b, guest)) {
		cannot(b, strerror(errno));
		goto out;
	}
	if (does(b, guest, GUEST_COMMAND_STAMP, bytes / PAGE, 1, 0, 1))
		goto out;
	begin(b, "M2", "end");
	put(b, "mib", (int64_t)(bytes / MIB));
	start(b, NULL);
	b->system->close(guest);
	stop(b, NULL);
	return;
out:
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

/* ---- M3 ---- */

static void density(struct bench *b, uint64_t stride, bool small)
{
	const uint64_t bytes = scaled(b, 256 * MIB), pages = bytes / PAGE;
	struct bench_guest *guest;
	struct host_pages present;

	begin(b, "M3", "resident for what is touched");
	put_text(b, "backing", small ? "4k" : "2m");
	put(b, "one-page-in", (int64_t)stride);
	guest = guest_with(b, bytes, small);
	if (!guest)
		return;
	if (!does(b, guest, GUEST_COMMAND_STAMP, pages, stride, 0, 1)) {
		put(b, "bytes-touched", (int64_t)((pages + stride - 1) / stride * PAGE));
		if (host_count_pages(b->system->memory(guest) + FIRST, bytes, false, &present))
			cannot(b, strerror(errno));
		else
			put(b, "bytes-resident", (int64_t)(present.present * PAGE));
	}
	b->system->close(guest);
}

static void densities(struct bench *b)
{
	uint64_t stride;

	for (stride = 512; stride; stride /= 4)
		density(b, stride, true);
	for (stride = 512; stride; stride /= 4)
		density(b, stride, false);
}

/* ---- M7 ---- */

static int all_out(uint8_t *memory, uint64_t bytes)
{
	struct host_pages pages;
	unsigned int tries;

	/* What was written to swap goes when it is clean. */
	for (tries = 0; tries < 50; tries++) {
		if (host_page_out(memory, bytes) || host_count_pages(memory, bytes, false, &pages))
			return -1;
		if (pages.present <= bytes / PAGE / 100)
			return 0;
		usleep(20000);
	}
	errno = EBUSY;
	return -1;
}

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
	const uint64_t bytes = scaled(b, 64 * MIB), pages = bytes / PAGE;
	struct bench_guest *guest;
	uint8_t *memory;

	begin(b, "M7", what);
	put(b, "pages", (int64_t)pages);
	guest = guest_with(b, bytes, true);
	if (!guest)
		return;
	memory = b->system->memory(guest) + FIRST;
	if (does(b, guest, GUEST_COMMAND_STAMP, pages, 1, 0, 1) || start(b, guest))
		goto out;
	if (act(memory, bytes)) {
		cannot(b, strerror(errno));
		goto out;
	}
	if (stop(b, guest) || gone)
		goto out;
	if (!does(b, guest, GUEST_COMMAND_CHECK, pages, 1, 0, 1))
		put(b, "wrong-stamps", 0);
out:
	b->system->close(guest);
}

/* A VMM reads what was swapped out, the guest writes to it, and it goes to swap again. */
static void write_after_read(struct bench *b)
{
	const uint64_t bytes = scaled(b, 64 * MIB), pages = bytes / PAGE;
	struct bench_guest *guest;
	volatile uint8_t *memory;
	uint64_t i;

	begin(b, "M7", "swapped out again after a read by the VMM and a write by the guest");
	put(b, "pages", (int64_t)pages);
	guest = guest_with(b, bytes, true);
	if (!guest)
		return;
	memory = b->system->memory(guest) + FIRST;
	if (does(b, guest, GUEST_COMMAND_STAMP, pages, 1, 0, 1))
		goto out;
	if (all_out((uint8_t *)memory, bytes)) {
		cannot(b, strerror(errno));
		goto out;
	}
	for (i = 0; i < bytes; i += PAGE)
		(void)memory[i];
	if (does(b, guest, GUEST_COMMAND_STAMP, pages, 1, 0, 2))
		goto out;
	if (all_out((uint8_t *)memory, bytes)) {
		cannot(b, strerror(errno));
		goto out;
	}
	if (!does(b, guest, GUEST_COMMAND_CHECK, pages, 1, 0, 2))
		put(b, "wrong-stamps", 0);
out:
	b->system->close(guest);
}

static void churns(struct bench *b)
{
	churn(b, "swapped out", all_out, false);
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
	const uint64_t bytes = scaled(b, 32 * MIB), pages = bytes / PAGE;
	struct bench_guest *guest[2] = { NULL, NULL };
	unsigned int i;

	begin(b, "M10", "merged pages of two equal guests");
	put(b, "pages", (int64_t)pages);
	if (host_write(KSM "run", "2") || host_write(KSM "pages_to_scan", "20000") ||
	    host_write(KSM "sleep_millisecs", "10")) {
		cannot(b, "no KSM");
		return;
	}
	/* Newer kernels leave out pages that could not be merged for some rounds. */
	if (number(KSM "smart_scan") >= 0)
		host_write(KSM "smart_scan", "0");
	for (i = 0; i < 2; i++) {
		guest[i] = guest_with(b, bytes, true);
		if (!guest[i] || does(b, guest[i], GUEST_COMMAND_STAMP, pages, 1, 0, 1))
			goto out;
		if (madvise(b->system->memory(guest[i]) + FIRST, bytes, MADV_MERGEABLE)) {
			cannot(b, strerror(errno));
			goto out;
		}
	}
	merge((int64_t)pages);
	put(b, "shared", shared(b, guest, bytes));
	for (i = 0; i < 2; i++)
		if (does(b, guest[i], GUEST_COMMAND_CHECK, pages, 1, 0, 1))
			goto out;
	put(b, "shared-after-both-read-all", shared(b, guest, bytes));
	for (i = 0; i < 2; i++)
		if (does(b, guest[i], GUEST_COMMAND_STAMP, pages, 100, 0, 2))
			goto out;
	put(b, "shared-after-each-wrote-one-in-100", shared(b, guest, bytes));
out:
	for (i = 0; i < 2; i++)
		b->system->close(guest[i]);
	host_write(KSM "run", "2");
}

/* ---- */

static const struct { const char *name; void (*run)(struct bench *b); } rows[] = {
	{ "M1", touches },
	{ "M2", lives },
	{ "M3", densities },
	{ "M7", churns },
	{ "M10", merged },
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
	for (i = 0; i < ROWS; i++)
		if (!options->rows || listed(options->rows, rows[i].name, strlen(rows[i].name)))
			rows[i].run(&b);
	return 0;
}
