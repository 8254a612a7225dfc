// SPDX-License-Identifier: GPL-2.0-only
/*
 * What `make bench` counts (rows M1, M2, M3, M7), small, with bounds: a change that costs more intercepts, hypercalls or memory
 * fails here.
 *
 * A bound is exact where one page, block or guest is one event whatever the driver does to be quicker. Where it may become
 * better (what is mapped ahead), the bound is from above, at what it cost when the test was written.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <host.h>
#include <session.h>

#include "ktap.h"
#include "probe.h"

#define FIRST	(8ull << 20)
#define SIZE	(64ull << 20)
#define PAGES	(SIZE / PAGE)
#define BLOCKS	(SIZE / BLOCK)
/* Of an order at random: neighbours in it are far apart. */
#define SEED	0x2545f491u

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

typedef unsigned long long ull;

struct cost { uint64_t intercepts, maps, reps, unmaps, calls, shootdowns; };

static struct mshv_session *session;
static uint8_t *memory;
static unsigned int patience = 120;

static void tear_down(void)
{
	mshv_session_close(session);
	session = NULL;
}

static enum ktap_result does(enum guest_command what, uint64_t first, uint64_t pages, uint64_t stride, uint64_t seed)
{
	const struct guest_mailbox args = {
		.first_gfn = first, .pages = pages, .stride = stride, .seed = seed, .version = 1, .rounds = 1,
	};
	int status;

	CHECK(!mshv_session_command(session, 0, what, &args), "%s", mshv_error());
	status = mshv_session_wait(session, 0, patience);
	CHECK(status == GUEST_STATUS_OK, "%d: %s", status, mshv_error());
	return PASS;
}

static enum ktap_result now(struct cost *cost)
{
	uint64_t c[HVABI_COUNT_MAX];

	CHECK(!mshv_counters(mshv_session_vm(session), c, HVABI_COUNT_MAX), "%s", mshv_error());
	*cost = (struct cost){
		.intercepts = c[HVABI_COUNT_EXIT_NPF_UNMAPPED] + c[HVABI_COUNT_EXIT_NPF_ACCESS],
		.maps = c[HVABI_COUNT_CALL_MAP_GPA_PAGES], .reps = c[HVABI_COUNT_REPS_MAP_GPA_PAGES],
		.unmaps = c[HVABI_COUNT_CALL_UNMAP_GPA_PAGES], .shootdowns = c[HVABI_COUNT_SHOOTDOWN],
	};
#define X(name, text) cost->calls += c[HVABI_COUNT_CALL_##name];
	HVABI_DEBUG_CALLS(X)
#undef X
	cost->calls -= c[HVABI_COUNT_CALL_DEBUG_GET_COUNTERS] + c[HVABI_COUNT_CALL_DISPATCH_VP];
	return PASS;
}

static enum ktap_result since(const struct cost *before, const char *what, struct cost *cost)
{
	CHECK_PASS(now(cost));
	cost->intercepts -= before->intercepts;
	cost->maps -= before->maps;
	cost->reps -= before->reps;
	cost->unmaps -= before->unmaps;
	cost->calls -= before->calls;
	cost->shootdowns -= before->shootdowns;
	ktap_note("%s: %llu intercepts, %llu map calls of %llu pages, %llu unmap calls, %llu shoot-downs", what,
		  (ull)cost->intercepts, (ull)cost->maps, (ull)cost->reps, (ull)cost->unmaps, (ull)cost->shootdowns);
	return PASS;
}

/* A guest that has what it needs for itself, so that what is counted is of the range alone. */
static enum ktap_result open_guest(bool small)
{
	const struct mshv_session_config config = {
		.memory_size = FIRST + SIZE, .vps = 1, .memory_flags = small ? MSHV_MEMORY_SMALL : 0,
	};

	session = mshv_session_open(&config);
	CHECK(session && !mshv_session_boot(session, "stamp"), "%s", mshv_error());
	memory = mshv_session_memory(session) + FIRST;
	return does(GUEST_COMMAND_STAMP, GUEST_FREE / PAGE, 1, 1, 0);
}

/* M1: the guest touches the range in some order. */
static enum ktap_result touches(bool small, bool resident, uint64_t stride, uint64_t seed, const char *what,
				struct cost *cost)
{
	struct cost before;

	CHECK_PASS(open_guest(small));
	if (resident)
		memset(memory, 1, SIZE);
	CHECK_PASS(now(&before));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, FIRST / PAGE, PAGES, stride, seed));
	return since(&before, what, cost);
}

static enum ktap_result absent_pages(void)
{
	struct cost cost;

	CHECK_PASS(touches(true, false, BLOCK / PAGE, 0, "one per 2 MiB, absent", &cost));
	CHECK(cost.intercepts == BLOCKS && cost.maps == BLOCKS && cost.reps == BLOCKS);
	tear_down();
	CHECK_PASS(touches(true, false, 17, 0, "every 17th page, absent", &cost));
	CHECK(cost.intercepts == (PAGES + 16) / 17 && cost.maps == cost.intercepts && cost.reps == cost.intercepts);
	return PASS;
}

static enum ktap_result absent_sequence(void)
{
	struct cost cost;

	CHECK_PASS(touches(true, false, 1, 0, "sequence, absent", &cost));
	/* Two more than were seen, for a page that Linux takes away meanwhile. */
	CHECK(cost.intercepts <= 26);
	CHECK(cost.maps <= 41);
	CHECK(cost.unmaps == 0);
	return PASS;
}

static enum ktap_result resident_pages(void)
{
	struct cost cost;

	CHECK_PASS(touches(true, true, 1, 0, "sequence, resident", &cost));
	CHECK(cost.intercepts <= 9 && cost.maps <= 39);
	tear_down();
	CHECK_PASS(touches(true, true, 1, SEED, "random, resident", &cost));
	CHECK(cost.intercepts <= PAGES / 16 + 4 && cost.maps <= cost.intercepts + 4);
	tear_down();
	CHECK_PASS(touches(true, true, 17, 0, "every 17th page, resident", &cost));
	/* The group doubles until it ends where the next one begins: then it is a sequence. Two more than were seen. */
	CHECK(cost.intercepts <= 21 && cost.maps <= 49);
	return PASS;
}

static enum ktap_result huge_pages(void)
{
	struct cost cost;

	CHECK_PASS(touches(false, true, 1, SEED, "random, huge, resident", &cost));
	CHECK(cost.intercepts <= BLOCKS && cost.reps == BLOCKS);
	return PASS;
}

/* M2: what a guest of @size costs the driver, whatever its size. */
static enum ktap_result creation(uint64_t size, uint64_t *calls)
{
	uint64_t before[HVABI_COUNT_MAX], after[HVABI_COUNT_MAX];
	const struct mshv_session_config config = { .memory_size = size, .vps = 1, .memory_flags = MSHV_MEMORY_SMALL };
	struct cost cost;

	CHECK(!mshv_counters(NULL, before, HVABI_COUNT_MAX), "%s", mshv_error());
	session = mshv_session_open(&config);
	CHECK(session, "%s", mshv_error());
	CHECK_PASS(now(&cost));
	CHECK(!mshv_counters(NULL, after, HVABI_COUNT_MAX), "%s", mshv_error());
	*calls = cost.calls;
	/* Calls that name no guest yet are the parent's. */
#define X(name, text) *calls += after[HVABI_COUNT_CALL_##name] - before[HVABI_COUNT_CALL_##name];
	HVABI_DEBUG_CALLS(X)
#undef X
	*calls -= after[HVABI_COUNT_CALL_DEBUG_GET_COUNTERS] - before[HVABI_COUNT_CALL_DEBUG_GET_COUNTERS];
	ktap_note("%llu MiB: %llu calls, %llu map calls", (ull)size >> 20, (ull)*calls, (ull)cost.maps);
	CHECK(cost.maps == 0);
	tear_down();
	return PASS;
}

static enum ktap_result creating(void)
{
	uint64_t small, large;

	CHECK_PASS(creation(64ull << 20, &small));
	CHECK_PASS(creation(1ull << 40, &large));
	CHECK(small == large && small <= 4, "%llu and %llu", (ull)small, (ull)large);
	return PASS;
}

/* M3: a page that is touched is a page. */
static enum ktap_result density(void)
{
	struct host_pages pages;
	uint64_t stride;

	for (stride = 512; stride > 1; stride /= 4) {
		CHECK_PASS(open_guest(true));
		CHECK_PASS(does(GUEST_COMMAND_STAMP, FIRST / PAGE, PAGES, stride, 0));
		CHECK(!host_count_pages(memory, SIZE, false, &pages), "%s", mshv_error());
		CHECK(pages.present == PAGES / stride, "one in %llu: %llu pages", (ull)stride, (ull)pages.present);
		tear_down();
	}
	return PASS;
}

/* M7: Linux takes all of it away, or moves it. */
static enum ktap_result filled(struct cost *before)
{
	CHECK_PASS(open_guest(true));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, FIRST / PAGE, PAGES, 1, 0));
	return now(before);
}

static enum ktap_result discarded(void)
{
	struct cost before, cost;

	CHECK_PASS(filled(&before));
	CHECK(!madvise(memory, SIZE, MADV_DONTNEED), "%s", strerror(errno));
	CHECK_PASS(since(&before, "discarded", &cost));
	/* Blocks are blanked, in one call. */
	CHECK(cost.maps == 1 && cost.reps == BLOCKS && cost.unmaps == 0 && cost.shootdowns == 1);
	return PASS;
}

static enum ktap_result collapsed(void)
{
	struct cost before, cost;

	CHECK_PASS(filled(&before));
	CHECK(!madvise(memory, SIZE, MADV_HUGEPAGE) && !madvise(memory, SIZE, MADV_COLLAPSE), "%s", strerror(errno));
	CHECK_PASS(since(&before, "collapsed", &cost));
	/* Each block is taken away once. */
	CHECK(cost.maps == BLOCKS && cost.reps == BLOCKS && cost.unmaps == 0 && cost.shootdowns == BLOCKS);
	return does(GUEST_COMMAND_CHECK, FIRST / PAGE, PAGES, 1, 0);
}

static enum ktap_result swapped(void)
{
	struct cost before, cost;
	struct host_pages pages;
	unsigned int tries;

	if (host_stat("/proc/meminfo", "SwapTotal") == 0)
		return ktap_skip("no swap");
	CHECK_PASS(filled(&before));
	for (tries = 0; tries < 100; tries++) {
		CHECK(!host_page_out(memory, SIZE), "%s", mshv_error());
		CHECK(!host_count_pages(memory, SIZE, false, &pages), "%s", mshv_error());
		/* What somebody holds for a moment, or is being written, stays. */
		if (pages.present <= PAGES / 100)
			break;
		usleep(20000);
	}
	CHECK(pages.present <= PAGES / 100, "%llu pages stay", (ull)pages.present);
	CHECK_PASS(since(&before, "swapped out", &cost));
	/* Linux takes page by page, and a page is taken away from the guest once, however often Linux looks. */
	CHECK(cost.reps + cost.unmaps >= PAGES - pages.present && cost.maps + cost.unmaps <= PAGES + BLOCKS);
	return does(GUEST_COMMAND_CHECK, FIRST / PAGE, PAGES, 1, 0);
}

int main(int argc, char **argv)
{
	static const struct ktap_test tests[] = {
		{ "an intercept and a map for each page that is not there", absent_pages },
		{ "few for those in sequence", absent_sequence },
		{ "what is there is mapped ahead", resident_pages },
		{ "a huge page is one map", huge_pages },
		{ "a guest of 1 TiB costs what one of 64 MiB does", creating },
		{ "a page touched is a page resident", density },
		{ "discarded in one call", discarded },
		{ "collapsed block by block", collapsed },
		{ "swapped out page by page", swapped },
	};

	ktap_cleanup = tear_down;
	return KTAP_MAIN(argc, argv, tests);
}
