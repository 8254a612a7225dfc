// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver's fault window and batch choice: pure arithmetic, so it is
 * compiled here as it is.  Laws: driver/window.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../driver/window.c"

#define BLOCK MSHV_WINDOW_BLOCK

/* The laws, for any window. */
static void check_span(struct mshv_span s, uint64_t gfn, uint64_t first, uint64_t end)
{
	assert_true(s.first <= gfn && gfn < s.end && gfn < s.ahead_end);
	assert_true(s.end <= s.reach && s.ahead_end <= s.reach);
	assert_true(s.end - s.first <= MSHV_WINDOW_LOOK);
	assert_true(s.ahead_end - gfn <= MSHV_WINDOW_AHEAD_MAX && s.reach - gfn <= MSHV_WINDOW_REACH_MAX);
	assert_true(s.first >= first && s.reach <= end);
	/* What is not in sequence stays in its block. */
	if (s.first < gfn || s.ahead_end == gfn + 1)
		assert_true(s.first / BLOCK == gfn / BLOCK);
}

static void random_access_asks_for_one_page(void **state)
{
	struct mshv_window w = { 0 };

	(void)state;
	srand(1);
	for (int i = 0; i < 10000; i++) {
		uint64_t gfn = (uint64_t)rand() % 1000000 * 3;	/* never the next one */
		struct mshv_span s = mshv_window_choose(&w, gfn, 0, 4000000);

		check_span(s, gfn, 0, 4000000);
		assert_int_equal(s.ahead_end - gfn, 1);
		assert_true(s.reach / BLOCK == gfn / BLOCK || s.reach % BLOCK == 0);
		mshv_window_served(&w, gfn + 1, 1, false);
	}
}

/* What it costs to walk memory in order. */
struct cost {
	unsigned int faults;
	unsigned int calls;
	uint64_t most;	/* pages given and not yet touched, at most */
};

/*
 * @pages pages from @first on: absent ones (@huge: that Linux allocates a block at a time), or such that
 * Linux has already (@present).
 */
static struct cost walk(uint64_t first, uint64_t pages, uint64_t region_first, uint64_t region_end, bool huge,
			bool present)
{
	struct mshv_window w = { 0 };
	struct cost cost = { 0 };

	for (uint64_t gfn = first; gfn < first + pages; cost.faults++) {
		struct mshv_span s = mshv_window_choose(&w, gfn, region_first, region_end);
		uint64_t end = present ? s.reach : s.ahead_end, at = gfn;
		unsigned int calls;

		check_span(s, gfn, region_first, region_end);
		if (s.ahead_end - gfn > cost.most)
			cost.most = s.ahead_end - gfn;
		/* One page of it has been touched. */
		assert_true(s.ahead_end - gfn - 1 <= (gfn - first) / 8 + MSHV_WINDOW_CREDIT);
		for (calls = 0; at < end && calls < MSHV_WINDOW_CALLS; calls++) {
			struct mshv_span more = mshv_window_more(&s, at);

			assert_true(more.first == at && more.end <= s.reach && more.end > at);
			/* One call: a list of blocks, or of pages. */
			if (huge)
				at = (end + BLOCK - 1) / BLOCK * BLOCK;
			else
				at = more.end < end ? more.end : end;
			if (huge && at > region_end)
				at = region_end;
			mshv_window_served(&w, at, 1, huge);
		}
		assert_true(at >= s.ahead_end);
		cost.calls += calls;
		gfn = at;
	}
	return cost;
}

#define GIB	(1ull << 18)

static void sequential_access_earns_blocks(void **state)
{
	struct cost cost;

	(void)state;
	for (unsigned int at = 0; at < 2000; at += 37) {
		cost = walk(at, GIB, at, at + GIB, false, false);
		assert_in_range(cost.faults, 40, 64);
		assert_in_range(cost.calls, GIB / 509, 530);
		assert_int_equal(cost.most, MSHV_WINDOW_AHEAD_MAX);
	}
	cost = walk(0, GIB, 0, GIB, true, false);
	assert_in_range(cost.faults, 40, 64);
	assert_int_equal(cost.calls, cost.faults);
	/* What is there already costs nothing but calls. */
	cost = walk(0, GIB, 0, GIB, true, true);
	assert_in_range(cost.calls, 2, 8);
	cost = walk(0, GIB, 0, GIB, false, true);
	assert_in_range(cost.faults, 20, 64);
	assert_in_range(cost.calls, GIB / 509, 530);
}

/*
 * However a processor goes about: what it was given and has not touched is at most an eighth of what
 * it touched, and 2 MiB once. Each choice may be the one that is not gone through.
 */
static void memory_is_given_on_credit(void **state)
{
	enum { LIVE = 6 };

	(void)state;
	for (unsigned int seed = 1; seed <= 200; seed++) {
		struct { uint64_t gfn, end; } runs[LIVE] = { { 0 } };
		struct mshv_window w = { 0 };
		uint64_t touched = 0, unused = 0, fresh = 1ull << 20, most = 0;

		srand(seed);
		for (int i = 0; i < 3000; i++) {
			unsigned int r = (unsigned int)rand() % (1 + seed % LIVE), k;
			uint64_t gfn = runs[r].end;
			struct mshv_span s;

			/* Goes on with a sequence to the end of its window, or leaves it for another. */
			if (!gfn || (unsigned int)rand() % 64 < seed % 64) {
				gfn = fresh;
				fresh += 1ull << 20;
			} else {
				touched += runs[r].end - runs[r].gfn - 1;
				unused -= runs[r].end - runs[r].gfn - 1;
			}
			s = mshv_window_choose(&w, gfn, 0, 1ull << 40);
			check_span(s, gfn, 0, 1ull << 40);
			runs[r].gfn = gfn;
			runs[r].end = s.ahead_end;
			touched++;
			unused += s.ahead_end - gfn - 1;
			mshv_window_served(&w, s.ahead_end, 1, false);
			if (s.ahead_end - gfn > most)
				most = s.ahead_end - gfn;
			for (k = 0; k < LIVE; k++)
				assert_true(runs[k].end >= runs[k].gfn);
			assert_true(unused <= touched / 8 + MSHV_WINDOW_CREDIT);
		}
		/* Who always goes on, with no more sequences than are remembered, gets large windows. */
		if (seed % 64 == 0 && seed % LIVE < MSHV_WINDOW_STREAMS)
			assert_true(most > MSHV_WINDOW_LOOK);
	}
}

static void one_stray_access_changes_nothing(void **state)
{
	struct mshv_window w = { 0 };
	struct mshv_span s, stray;

	(void)state;
	for (uint64_t gfn = 0; gfn < 4096; gfn = s.ahead_end) {
		s = mshv_window_choose(&w, gfn, 0, 100000);
		mshv_window_served(&w, s.ahead_end, 1, false);
	}
	stray = mshv_window_choose(&w, 50000, 0, 100000);
	assert_int_equal(stray.ahead_end, 50001);
	mshv_window_served(&w, 50001, 1, false);
	/* It goes on as it was; not so when it was away for too long. */
	assert_true(mshv_window_choose(&w, s.ahead_end, 0, 100000).ahead_end > s.ahead_end + 256);
	mshv_window_served(&w, s.ahead_end, 1, false);
	for (uint64_t i = 0; i < MSHV_WINDOW_STREAMS; i++) {
		stray = mshv_window_choose(&w, 60000 + 20 * i, 0, 100000);
		assert_int_equal(stray.ahead_end, 60001 + 20 * i);
		mshv_window_served(&w, 60001 + 20 * i, 1, false);
	}
	assert_int_equal(mshv_window_choose(&w, s.ahead_end, 0, 100000).ahead_end, s.ahead_end + 1);
}

/* While Linux takes pages away a window is small; what is earned afterwards counts again. */
static void scarce_memory_is_not_given_in_advance(void **state)
{
	struct mshv_window w = { 0 };
	uint64_t gfn = 0, since, most = 0;
	struct mshv_span s;

	(void)state;
	for (int i = 0; i < 60; i++, gfn = s.ahead_end) {
		s = mshv_window_choose(&w, gfn, 0, 1ull << 30);
		mshv_window_served(&w, s.ahead_end, 1, false);
	}
	assert_true(s.ahead_end - s.first > MSHV_WINDOW_LOOK);
	/* A page that goes is one less, and not the end of it. */
	mshv_window_scarce(&w, 1);
	s = mshv_window_choose(&w, gfn, 0, 1ull << 30);
	assert_true(s.ahead_end - gfn > MSHV_WINDOW_LOOK);
	gfn = s.ahead_end;
	mshv_window_served(&w, gfn, 1, false);
	for (int i = 0; i < 100; i++, gfn = s.ahead_end) {
		mshv_window_scarce(&w, i ? s.ahead_end - s.first : UINT64_MAX);
		s = mshv_window_choose(&w, gfn, 0, 1ull << 30);
		/* An eighth of the large windows was earned by going through them. */
		if (i >= 10)
			assert_in_range(s.ahead_end - gfn, MSHV_WINDOW_SCARCE, 4 * MSHV_WINDOW_SCARCE);
		/* What is there anyway costs nothing. */
		assert_true(s.reach > s.ahead_end);
		mshv_window_served(&w, s.ahead_end, 1, false);
	}
	for (int i = 0; i < 60; i++, gfn = s.ahead_end) {
		since = i ? since : gfn;
		s = mshv_window_choose(&w, gfn, 0, 1ull << 30);
		assert_true(s.ahead_end - gfn <= 4 * MSHV_WINDOW_SCARCE + (gfn - since) / 8);
		mshv_window_served(&w, s.ahead_end, 1, false);
		most = s.ahead_end - gfn > most ? s.ahead_end - gfn : most;
	}
	assert_true(most > 8 * MSHV_WINDOW_SCARCE);
	/* Who had nothing has nothing to lose. */
	for (int i = 0; i < 1000; i++)
		mshv_window_scarce(&w, UINT64_MAX);
	s = mshv_window_choose(&w, 1ull << 29, 0, 1ull << 30);
	assert_int_equal(s.ahead_end, (1ull << 29) + 1);
}

/* All that may be given in advance: what streams have, and what is left of the credit. */
static int64_t in_advance(const struct mshv_window *w)
{
	int64_t pages = w->balance / 8;

	for (int i = 0; i < MSHV_WINDOW_STREAMS; i++)
		pages += w->streams[i].ahead;
	return pages;
}

/* Each page that goes is one less, however many sequences there are, and nobody pays twice. */
static void a_page_that_goes_costs_one(void **state)
{
	struct mshv_window w = { 0 };
	uint64_t gfn[MSHV_WINDOW_STREAMS], taken;
	struct mshv_span s;
	int64_t before;

	(void)state;
	for (uint64_t i = 0; i < MSHV_WINDOW_STREAMS; i++)
		gfn[i] = i << 28;
	for (int round = 0; round < 40; round++) {
		for (int i = 0; i < MSHV_WINDOW_STREAMS; i++) {
			s = mshv_window_choose(&w, gfn[i], 0, 1ull << 40);
			mshv_window_served(&w, s.ahead_end, 1, false);
			gfn[i] = s.ahead_end;
		}
	}
	/* The credit is cut to what the largest window costs. */
	mshv_window_scarce(&w, 1);
	for (taken = 1; taken < 200; taken += 7) {
		before = in_advance(&w);
		mshv_window_scarce(&w, taken);
		assert_int_equal(in_advance(&w), before - (int64_t)taken);
	}
}

/* A fault that was not served comes back: it has earned nothing. */
static void a_fault_again_earns_nothing(void **state)
{
	struct mshv_window w = { 0 };
	struct mshv_span s, again;

	(void)state;
	for (uint64_t gfn = 0; gfn < 300; gfn = s.ahead_end) {
		s = mshv_window_choose(&w, gfn, 0, 100000);
		mshv_window_served(&w, s.ahead_end, 1, false);
	}
	s = mshv_window_choose(&w, s.ahead_end, 0, 100000);
	for (int i = 0; i < 100; i++) {
		again = mshv_window_choose(&w, s.first, 0, 100000);
		assert_int_equal(again.ahead_end, s.ahead_end);
	}
}

static void windows_stay_inside(void **state)
{
	struct mshv_window w = { 0 };

	(void)state;
	srand(2);
	for (int i = 0; i < 100000; i++) {
		uint64_t first = (uint64_t)rand() % 3000, end = first + 1 + (uint64_t)rand() % 30000;
		uint64_t gfn = first + (uint64_t)rand() % (end - first);
		uint64_t next = w.streams[rand() % MSHV_WINDOW_STREAMS].next;
		struct mshv_span s;

		if (rand() % 4 && next >= first && next < end)
			gfn = next;
		s = mshv_window_choose(&w, gfn, first, end);
		check_span(s, gfn, first, end);
		mshv_window_served(&w, rand() % 8 ? s.ahead_end : gfn + 1, (uint32_t)rand() % 512, rand() % 2);
	}
	/* The last page of the address space does not wrap. */
	check_span(mshv_window_choose(&w, (1ull << 40) - 1, 0, 1ull << 40), (1ull << 40) - 1, 0,
		   1ull << 40);
}

/* A processor touches every @stride-th page of a block, of which Linux has all, or only what it touches. Returns faults. */
static unsigned int stride_through(struct mshv_window *w, uint64_t block, uint64_t stride, bool present)
{
	bool mapped[BLOCK] = { false };
	unsigned int faults = 0;

	for (uint64_t i = 0; i < BLOCK; i += stride) {
		struct mshv_span s;
		uint32_t count = 0;

		if (mapped[i])
			continue;
		s = mshv_window_choose(w, block * BLOCK + i, 0, 1ull << 30);
		check_span(s, block * BLOCK + i, 0, 1ull << 30);
		for (uint64_t gfn = s.first; gfn < s.end; gfn++) {
			if (mapped[gfn % BLOCK] || (!present && gfn % BLOCK != i))
				continue;
			mapped[gfn % BLOCK] = true;
			count++;
		}
		mshv_window_served(w, block * BLOCK + i + 1, count, false);
		faults++;
		/* What is looked at pays, but for one group of each fault. */
		if (!present)
			assert_true(s.end - s.first <= 2 * MSHV_WINDOW_AROUND);
	}
	return faults;
}

static void what_is_there_is_mapped_while_it_pays(void **state)
{
	struct mshv_window w = { 0 };

	(void)state;
	for (uint64_t block = 0; block < 100; block++)
		assert_int_equal(stride_through(&w, 2 * block, 17, true), 6);
	/* Two of them that take turns do not disturb each other; a block that is new begins small. */
	for (uint64_t block = 300; block < 310; block++)
		assert_int_equal(mshv_window_choose(&w, block * BLOCK, 0, 1ull << 30).end % BLOCK, MSHV_WINDOW_AROUND);
	/* Where there is nothing, the look stays small. */
	for (uint64_t block = 400; block < 420; block++)
		assert_int_equal(stride_through(&w, 2 * block, 17, false), 31);
}

static void runs_are_of_one_kind(void **state)
{
	const uint8_t kinds[] = { 1, 1, 0, 2, 2, 2, 1, 2 };
	uint32_t length;

	(void)state;
	assert_int_equal(mshv_run_around(kinds, 8, 4, 8, &length), 3);
	assert_int_equal(length, 3);
	assert_int_equal(mshv_run_around(kinds, 8, 0, 8, &length), 0);
	assert_int_equal(length, 2);
	/* The page asked for is in even the shortest run. */
	assert_int_equal(mshv_run_around(kinds, 8, 5, 1, &length), 5);
	assert_int_equal(length, 1);
	assert_int_equal(mshv_run_around(kinds, 8, 4, 2, &length), 4);
	assert_int_equal(length, 2);
	assert_int_equal(mshv_run_around(kinds, 8, 7, 8, &length), 7);
	assert_int_equal(length, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_access_asks_for_one_page),
		cmocka_unit_test(sequential_access_earns_blocks),
		cmocka_unit_test(memory_is_given_on_credit),
		cmocka_unit_test(one_stray_access_changes_nothing),
		cmocka_unit_test(scarce_memory_is_not_given_in_advance),
		cmocka_unit_test(a_page_that_goes_costs_one),
		cmocka_unit_test(a_fault_again_earns_nothing),
		cmocka_unit_test(windows_stay_inside),
		cmocka_unit_test(what_is_there_is_mapped_while_it_pays),
		cmocka_unit_test(runs_are_of_one_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
