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
	uint64_t block = gfn & ~(uint64_t)(BLOCK - 1);

	assert_true(s.first <= gfn && gfn < s.ahead_end && s.ahead_end <= s.end);
	assert_true(s.first >= first && s.end <= end);
	assert_true(s.first >= block && s.end <= block + BLOCK);
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
		mshv_window_served(&w, gfn + 1);
	}
}

/* Faults of a guest that walks @pages pages in order, none of them present. */
static unsigned int walk(uint64_t first, uint64_t pages, uint64_t region_first, uint64_t region_end)
{
	struct mshv_window w = { 0 };
	unsigned int faults = 0;

	for (uint64_t gfn = first; gfn < first + pages; faults++) {
		struct mshv_span s = mshv_window_choose(&w, gfn, region_first, region_end);

		check_span(s, gfn, region_first, region_end);
		mshv_window_served(&w, s.ahead_end);
		if (s.ahead_end % BLOCK == 0) {
			struct mshv_span more = mshv_window_more(&w, gfn, region_end);

			assert_int_equal(more.first, s.ahead_end);
			assert_true(more.ahead_end == more.end && more.first <= more.end);
			assert_true(more.end <= more.first + BLOCK);
			/* No more than was asked for in sequence before, and one. */
			assert_true(more.end <= gfn + (gfn - first) + 2 || more.end == more.first);
			assert_true(more.end <= region_end);
			mshv_window_served(&w, more.end);
			s = more;
		}
		gfn = s.ahead_end;
	}
	return faults;
}

static void sequential_access_earns_blocks(void **state)
{
	const uint64_t gib = 1 << 18;

	(void)state;
	/* Two blocks each, and the run-up in the first two. */
	assert_in_range(walk(0, gib, 0, gib), 256, 256 + 10);
	assert_in_range(walk(5, gib, 5, gib + 5), 256, 256 + 11);
}

static void one_stray_access_ends_it(void **state)
{
	struct mshv_window w = { 0 };
	struct mshv_span s;

	(void)state;
	for (uint64_t gfn = 0; gfn < 4096; gfn = s.ahead_end) {
		s = mshv_window_choose(&w, gfn, 0, 100000);
		mshv_window_served(&w, s.ahead_end);
	}
	s = mshv_window_choose(&w, 50000, 0, 100000);
	assert_int_equal(s.ahead_end, 50001);
	/* The last page of a block: one page is one page. */
	s = mshv_window_choose(&w, 1023, 0, 100000);
	mshv_window_served(&w, 1024);
	s = mshv_window_more(&w, 1023, 100000);
	assert_int_equal(s.first, s.end);
}

static void windows_stay_inside(void **state)
{
	struct mshv_window w = { 0 };

	(void)state;
	srand(2);
	for (int i = 0; i < 100000; i++) {
		uint64_t first = (uint64_t)rand() % 3000, end = first + 1 + (uint64_t)rand() % 3000;
		uint64_t gfn = first + (uint64_t)rand() % (end - first);
		struct mshv_span s;

		if (rand() % 2 && w.next >= first && w.next < end)
			gfn = w.next;
		s = mshv_window_choose(&w, gfn, first, end);
		check_span(s, gfn, first, end);
		mshv_window_served(&w, s.ahead_end);
	}
	/* The last page of the address space does not wrap. */
	check_span(mshv_window_choose(&w, (1ull << 40) - 1, 0, 1ull << 40), (1ull << 40) - 1, 0,
		   1ull << 40);
	assert_int_equal(mshv_window_more(&w, (1ull << 40) - 1, 1ull << 40).end, 1ull << 40);
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
		cmocka_unit_test(one_stray_access_ends_it),
		cmocka_unit_test(windows_stay_inside),
		cmocka_unit_test(runs_are_of_one_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
