// SPDX-License-Identifier: GPL-2.0-only
/*
 * Live migration: a guest at work is copied into a second one on the same parent, over the dirty bitmap, while Linux swaps, migrates,
 * merges, splits and collapses its memory. When it has stopped, and what was left has been copied, every page must be equal, and right
 * in the eyes of the second guest. Or the second one starts with pages missing, and gets them as it asks (post-copy).
 *
 *	test_migrate [RUNS [SEED]]	pre-copy RUNS times (default 50), post-copy a fifth of it
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <host.h>

#include "ktap.h"
#include "probe.h"
#include "stamper.h"

#define KSM		"/sys/kernel/mm/ksm/"
#define SIZE		(2 * BLOCK)
#define PAGES		(SIZE / PAGE)
#define ROUNDS_MAX	4u
/* Pages that the guest rewrites at a time, all of one version; and the processors, each with its own. */
#define PIECE		16u
#define PIECES		((unsigned int)(PAGES / PIECE))
#define VPS		STAMPER_VPS
/* Pieces that it works on for a while. */
#define HOT		6u

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

typedef unsigned long long ull;

static unsigned int runs = 50, first_seed;

struct guest {
	struct mshv_session *session;
	uint8_t *memory;
};

static struct guest source, target;
/* What the guest, whichever it is, has in its memory. */
static uint64_t version[PIECES];
static uint8_t dirty[PAGES / 8];
static int uffd = -1;

/* What came of it, over all runs. */
static uint64_t copied, rounds, left_over, delivered, asked;

static void tear_down(void)
{
	if (uffd >= 0)
		close(uffd);
	uffd = -1;
	mshv_session_close(source.session);
	mshv_session_close(target.session);
	source = target = (struct guest){ 0 };
	host_write(KSM "run", "2");
	host_write(KSM "run", "0");
}

/* ---- Linux at work on the memory of the source ---- */

static atomic_bool stop;

static void meddle(uint8_t *memory, unsigned int *seed)
{
	uint8_t *block = memory + (uint64_t)rand_r(seed) % (SIZE / BLOCK) * BLOCK;
	uint64_t at = (uint64_t)rand_r(seed) % (BLOCK / PAGE), n = 1 + (uint64_t)rand_r(seed) % 128;
	struct host_move moved;

	if (at + n > BLOCK / PAGE)
		n = BLOCK / PAGE - at;
	switch (rand_r(seed) % 6) {
	case 0:
		host_page_out(block + at * PAGE, n * PAGE);
		break;
	case 1:
		host_page_out(block, BLOCK);
		break;
	case 2:
		host_move(block + at * PAGE, n * PAGE, (unsigned int)rand_r(seed) % 2, &moved);
		break;
	case 3:
		madvise(block, BLOCK, MADV_HUGEPAGE);
		madvise(block, BLOCK, MADV_COLLAPSE);
		break;
	case 4:
		/* A huge page that is paged out in part is split. */
		host_page_out(block + at * PAGE, PAGE);
		break;
	case 5:
		host_write("/proc/self/clear_refs", "4");
		break;
	}
}

static void *linux_thread(void *arg)
{
	unsigned int seed = *(unsigned int *)arg;

	while (!stop) {
		meddle(source.memory, &seed);
		usleep((useconds_t)rand_r(&seed) % 10000);
	}
	return NULL;
}

static pthread_t meddler;
static unsigned int meddler_seed;

static enum ktap_result meddler_start(unsigned int seed)
{
	stop = false;
	meddler_seed = seed;
	CHECK(!pthread_create(&meddler, NULL, linux_thread, &meddler_seed));
	return PASS;
}

static void meddler_stop(void)
{
	stop = true;
	pthread_join(meddler, NULL);
}

/* ---- the guests ---- */

/* One processor does something to some pages, all of one version. Returns 0, or -1 with a note. */
static int command(struct guest *g, unsigned int vp, enum guest_command what, uint64_t first, uint64_t pages,
		   uint64_t of_version, unsigned int times)
{
	const struct guest_mailbox args = {
		.first_gfn = STAMPER_GPA / PAGE + first, .pages = pages, .stride = 1, .version = of_version,
		.rounds = times,
	};
	volatile struct guest_mailbox *box = mshv_session_mailbox(g->session, vp);
	int status = -1;

	if (!mshv_session_command(g->session, vp, what, &args))
		status = mshv_session_wait(g->session, vp, stamper_patience);
	if (status == GUEST_STATUS_OK)
		return 0;
	if (status < 0)
		ktap_note("guest: %s", mshv_error());
	else
		ktap_note("guest: %llu wrong stamps, the first at page %llu: 0x%llx, not 0x%llx", (ull)box->errors,
			  (ull)(box->error_gfn - STAMPER_GPA / PAGE), (ull)box->error_found, (ull)box->error_expected);
	return -1;
}

struct worker {
	pthread_t thread;
	unsigned int vp;
	unsigned int seed;
	bool failed;
};

static struct worker workers[VPS], checkers[VPS];
static atomic_bool halt;
static atomic_uint work_done;

/*
 * The guest at work: it checks and rewrites a piece a few times, then another. For a while it stays with few of them, so that most of
 * what was written is not written again before the end: a bit that is lost stays lost.
 */
static void *work_thread(void *arg)
{
	struct worker *w = arg;
	unsigned int hot = 0, n, piece, times;

	for (n = 0; !halt && !w->failed; n++) {
		if (n % 8 == 0)
			hot = (unsigned int)rand_r(&w->seed) % (PIECES / VPS);
		piece = (hot + (unsigned int)rand_r(&w->seed) % HOT) % (PIECES / VPS) * VPS + w->vp;
		times = 1 + (unsigned int)rand_r(&w->seed) % 2;
		w->failed = command(&source, w->vp, GUEST_COMMAND_UPDATE, piece * PIECE, PIECE, version[piece], times);
		version[piece] += times;
		work_done++;
	}
	return NULL;
}

static enum ktap_result guest_start(unsigned int seed)
{
	halt = false;
	work_done = 0;
	for (unsigned int vp = 0; vp < VPS; vp++) {
		workers[vp] = (struct worker){ .vp = vp, .seed = seed * 31 + vp };
		CHECK(!pthread_create(&workers[vp].thread, NULL, work_thread, &workers[vp]));
	}
	return PASS;
}

static void guest_work(unsigned int pieces)
{
	unsigned int target_count = work_done + pieces;

	while (work_done < target_count && !workers[0].failed && !workers[1].failed)
		usleep(500);
}

static bool guest_stop(void)
{
	bool good = true;

	halt = true;
	for (unsigned int vp = 0; vp < VPS; vp++) {
		pthread_join(workers[vp].thread, NULL);
		good &= !workers[vp].failed;
	}
	return good;
}

/* One processor checks its pieces in order, the other from the end. */
static void *check_thread(void *arg)
{
	struct worker *w = arg;

	for (unsigned int i = w->vp; i < PIECES && !w->failed; i += VPS) {
		unsigned int piece = w->vp ? PIECES - i : i;

		w->failed = command(&target, w->vp, GUEST_COMMAND_CHECK, piece * PIECE, PIECE, version[piece], 1);
	}
	return NULL;
}

static bool target_is_right(void)
{
	bool good = true;

	for (unsigned int vp = 0; vp < VPS; vp++) {
		checkers[vp] = (struct worker){ .vp = vp };
		if (pthread_create(&checkers[vp].thread, NULL, check_thread, &checkers[vp]))
			return false;
	}
	for (unsigned int vp = 0; vp < VPS; vp++) {
		pthread_join(checkers[vp].thread, NULL);
		good &= !checkers[vp].failed;
	}
	return good;
}

static enum ktap_result guest_open(struct guest *g, unsigned int flags)
{
	const struct mshv_session_config config = {
		.memory_size = STAMPER_GPA + SIZE, .vps = VPS, .memory_flags = flags,
	};

	g->session = mshv_session_open(&config);
	CHECK(g->session && !mshv_session_boot(g->session, "stamp"), "%s", mshv_error());
	g->memory = mshv_session_memory(g->session) + STAMPER_GPA;
	return PASS;
}

/* ---- the copy ---- */

static enum ktap_result set_up(unsigned int target_flags)
{
	CHECK_PASS(guest_open(&source, 0));
	CHECK_PASS(guest_open(&target, target_flags));
	CHECK(!command(&source, 0, GUEST_COMMAND_STAMP, 0, PAGES, 1, 1));
	for (unsigned int piece = 0; piece < PIECES; piece++)
		version[piece] = 1;
	/* Pages of one that are pages of the other are merged, before they are written and after. */
	CHECK(!madvise(source.memory, SIZE, MADV_MERGEABLE) && !madvise(target.memory, SIZE, MADV_MERGEABLE));
	/* Newer kernels leave out pages that could not be merged for some rounds. */
	host_write(KSM "smart_scan", "0");
	host_write(KSM "pages_to_scan", "500");
	host_write(KSM "sleep_millisecs", "5");
	host_write(KSM "run", "1");
	return PASS;
}

static bool is_dirty(uint64_t page)
{
	return dirty[page / 8] >> page % 8 & 1;
}

/* What was written since the last time. From here on it counts anew, so it is copied after. */
static int64_t take_dirty(void)
{
	uint64_t page;
	int64_t count = 0;

	if (mshv_access_bitmap(mshv_session_vm(source.session), STAMPER_GPA / PAGE, PAGES, MSHV_DIRTY, MSHV_ACCESS_CLEAR,
			       dirty)) {
		ktap_note("%s", mshv_error());
		return -1;
	}
	for (page = 0; page < PAGES; page++)
		count += is_dirty(page);
	return count;
}

static void copy_page(uint64_t page)
{
	memcpy(target.memory + page * PAGE, source.memory + page * PAGE, PAGE);
	copied++;
}

static void copy_dirty(void)
{
	for (uint64_t page = 0; page < PAGES; page++)
		if (is_dirty(page))
			copy_page(page);
}

/* The guest goes on all the time. How many rounds and how long is left to chance. */
static enum ktap_result pre_copy(unsigned int *seed)
{
	unsigned int round, wanted = (unsigned int)rand_r(seed) % ROUNDS_MAX + 1;

	CHECK_PASS(guest_start(*seed));
	CHECK(!mshv_track_access(mshv_session_vm(source.session), true), "%s", mshv_error());
	CHECK(take_dirty() >= 0);
	for (uint64_t page = 0; page < PAGES; page++)
		copy_page(page);
	for (round = 0; round < wanted; round++) {
		guest_work((unsigned int)rand_r(seed) % 20);
		CHECK(take_dirty() >= 0);
		copy_dirty();
		rounds++;
	}
	return PASS;
}

/* The guest has stopped; Linux goes on. What is left is in the bitmap. */
static enum ktap_result last_round(void)
{
	int64_t left;

	CHECK(guest_stop());
	left = take_dirty();
	CHECK(left >= 0);
	left_over += (uint64_t)left;
	return PASS;
}

static enum ktap_result all_equal(unsigned int seed)
{
	uint64_t page, missed = 0, first = 0;

	for (page = PAGES; page-- > 0;) {
		if (!memcmp(source.memory + page * PAGE, target.memory + page * PAGE, PAGE))
			continue;
		missed++;
		first = page;
	}
	CHECK(!missed, "seed %u: %llu pages missed, the first is %llu", seed, (ull)missed, (ull)first);
	/* And in the eyes of the second guest. */
	CHECK(target_is_right(), "seed %u", seed);
	return PASS;
}

static enum ktap_result end_run(void)
{
	CHECK(!mshv_track_access(mshv_session_vm(source.session), false), "%s", mshv_error());
	return PASS;
}

/* ---- what Linux did ---- */

static const struct {
	const char *key, *what;
} done[] = {
	{ "pswpout", "swapped out" },
	{ "pswpin", "swapped in" },
	{ "pgmigrate_success", "migrated" },
	{ "thp_collapse_alloc", "collapsed" },
	{ "thp_split_page", "split" },
};

#define DONE	(sizeof(done) / sizeof(done[0]))

static uint64_t before[DONE], merged;

static void note_before(void)
{
	for (unsigned int i = 0; i < DONE; i++)
		before[i] = host_stat("/proc/vmstat", done[i].key);
	merged = copied = rounds = left_over = delivered = asked = 0;
}

static void note_merged(void)
{
	char line[32] = "0";

	host_read(KSM "pages_sharing", line, sizeof(line));
	merged += strtoull(line, NULL, 10);
}

/* A run in which Linux did nothing shows nothing. */
static enum ktap_result say_what_was_done(unsigned int n)
{
	/* Or the last round would make good what the others have missed. */
	CHECK(left_over < n * PAGES / 2, "%llu pages left in %u runs", (ull)left_over, n);
	ktap_note("%u runs, seeds from %u on: %llu rounds, %llu pages copied, %llu left at the end", n, first_seed,
		  (ull)rounds, (ull)copied, (ull)left_over);
	for (unsigned int i = 0; i < DONE; i++) {
		uint64_t count = host_stat("/proc/vmstat", done[i].key) - before[i];

		ktap_note("%llu pages or blocks %s", (ull)count, done[i].what);
		CHECK(count, "nothing was %s", done[i].what);
	}
	ktap_note("%llu pages merged", (ull)merged);
	CHECK(merged, "nothing was merged");
	return PASS;
}

static enum ktap_result one_pre_copy(unsigned int seed)
{
	unsigned int chance = seed;
	enum ktap_result result;

	CHECK_PASS(meddler_start(seed ^ 0x5a5a));
	result = pre_copy(&chance);
	if (result == PASS)
		result = last_round();
	copy_dirty();
	meddler_stop();
	note_merged();
	if (result == PASS)
		result = all_equal(seed);
	return result == PASS ? end_run() : result;
}

static enum ktap_result by_pre_copy(void)
{
	note_before();
	CHECK_PASS(set_up(0));
	for (unsigned int run = 0; run < runs; run++)
		if (one_pre_copy(first_seed + run) != PASS) {
			ktap_note("run %u, seed %u", run, first_seed + run);
			return FAIL;
		}
	return say_what_was_done(runs);
}

/* ---- post-copy ---- */

static atomic_bool all_there;

/* Returns whether it was not there yet. */
static bool deliver(uint64_t page)
{
	/* Linux may have the page anywhere; the call may be made again when it was just on its way. */
	struct uffdio_copy copy = {
		.dst = (uintptr_t)target.memory + page * PAGE, .src = (uintptr_t)source.memory + page * PAGE, .len = PAGE,
	};

	while (ioctl(uffd, UFFDIO_COPY, &copy))
		if (errno != EAGAIN)
			return false;
	delivered++;
	return true;
}

/* Serves what is asked for; when nothing is, pushes the next page that is missing. */
static void *serve(void *arg)
{
	struct pollfd wait = { .fd = uffd, .events = POLLIN };
	struct uffd_msg message;
	uint64_t next = 0;

	(void)arg;
	while (!all_there) {
		while (next < PAGES && !is_dirty(next))
			next++;
		if (poll(&wait, 1, next < PAGES ? 1 : 20) > 0 &&
		    read(uffd, &message, sizeof(message)) == sizeof(message)) {
			asked++;
			deliver((message.arg.pagefault.address - (uintptr_t)target.memory) / PAGE);
		} else if (next < PAGES) {
			deliver(next++);
		}
	}
	return NULL;
}

static enum ktap_result begin_post_copy(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register all = {
		.range = { .start = (uintptr_t)target.memory, .len = SIZE }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	/* What the target has of them is old. */
	for (uint64_t page = 0; page < PAGES; page++)
		if (is_dirty(page))
			CHECK(!madvise(target.memory + page * PAGE, PAGE, MADV_DONTNEED));
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0)
		return ktap_skip("userfaultfd: %s", strerror(errno));
	CHECK(!ioctl(uffd, UFFDIO_API, &api) && !ioctl(uffd, UFFDIO_REGISTER, &all), "%s", strerror(errno));
	return PASS;
}

static enum ktap_result one_post_copy(unsigned int seed)
{
	uint64_t before_run = delivered, missing = 0, page;
	unsigned int chance = seed;
	enum ktap_result result;
	pthread_t server;
	bool right;

	CHECK_PASS(meddler_start(seed ^ 0x5a5a));
	result = pre_copy(&chance);
	if (result == PASS)
		result = last_round();
	if (result == PASS)
		result = begin_post_copy();
	if (result != PASS) {
		meddler_stop();
		return result;
	}
	all_there = false;
	CHECK(!pthread_create(&server, NULL, serve, NULL));
	/* The second guest goes on at once: one processor asks in order, the other at random. */
	right = target_is_right();
	all_there = true;
	pthread_join(server, NULL);
	meddler_stop();
	CHECK(right, "seed %u", seed);
	for (page = 0; page < PAGES; page++)
		missing += is_dirty(page);
	CHECK(delivered - before_run == missing, "seed %u: %llu of %llu pages delivered", seed,
	      (ull)(delivered - before_run), (ull)missing);
	close(uffd);
	uffd = -1;
	note_merged();
	CHECK_PASS(all_equal(seed));
	return end_run();
}

static enum ktap_result by_post_copy(void)
{
	unsigned int n = runs / 5 + 1;
	enum ktap_result result;

	note_before();
	CHECK_PASS(set_up(MSHV_MEMORY_SMALL));
	for (unsigned int run = 0; run < n; run++) {
		result = one_post_copy(first_seed + run);
		if (result != PASS) {
			ktap_note("run %u, seed %u", run, first_seed + run);
			return result;
		}
	}
	ktap_note("%llu pages delivered, %llu asked for", (ull)delivered, (ull)asked);
	CHECK(asked, "nobody had to ask");
	return say_what_was_done(n);
}

int main(int argc, char **argv)
{
	static const struct ktap_test tests[] = {
		{ "pre-copy: every page equal", by_pre_copy },
		{ "post-copy: every page equal, and delivered once", by_post_copy },
	};

	first_seed = (unsigned int)time(NULL) % 1000000;
	if (argc > 1)
		runs = (unsigned int)atoi(argv[1]);
	if (argc > 2)
		first_seed = (unsigned int)atoi(argv[2]);
	ktap_cleanup = tear_down;
	return KTAP_RUN(tests);
}
