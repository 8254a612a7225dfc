// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many pages one guest fault serves: see window.h for the laws.
 *
 * A processor that faults where its last fault ended is going through memory in sequence: "ahead"
 * doubles, up to two blocks. Any other fault starts again with one page. A fault just past a
 * block's end counts as in sequence too, so a guest that walks memory soon has one fault for two
 * blocks.
 */
#include "window.h"

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

struct mshv_span mshv_window_choose(struct mshv_window *window, uint64_t gfn, uint64_t region_first,
				    uint64_t region_end)
{
	uint64_t block = gfn & ~(uint64_t)(MSHV_WINDOW_BLOCK - 1);
	uint64_t limit = min_u64(block + MSHV_WINDOW_BLOCK, region_end);
	uint64_t around = gfn & ~(uint64_t)(MSHV_WINDOW_AROUND - 1);
	struct mshv_span span;

	if (window->ahead && gfn == window->next) {
		/* What lies behind has been served already. */
		window->ahead = (uint32_t)min_u64(window->ahead * 2ull, MSHV_WINDOW_AHEAD_MAX);
		span.first = gfn;
	} else {
		window->ahead = 1;
		span.first = max_u64(around, region_first);
	}
	span.ahead_end = min_u64(gfn + window->ahead, limit);
	span.end = max_u64(min_u64(around + MSHV_WINDOW_AROUND, limit), span.ahead_end);
	return span;
}

struct mshv_span mshv_window_more(const struct mshv_window *window, uint64_t gfn,
				  uint64_t region_end)
{
	uint64_t first = (gfn | (MSHV_WINDOW_BLOCK - 1)) + 1;
	uint64_t end = min_u64(gfn + window->ahead, min_u64(first + MSHV_WINDOW_BLOCK, region_end));

	end = max_u64(end, first);
	return (struct mshv_span){ .first = first, .end = end, .ahead_end = end };
}

void mshv_window_served(struct mshv_window *window, uint64_t end)
{
	window->next = end;
}

uint32_t mshv_run_around(const uint8_t *kinds, uint32_t count, uint32_t asked, uint32_t limit,
			 uint32_t *length)
{
	uint32_t first = asked, end = asked + 1;

	/* Forward first: what comes after is more likely to be touched next. */
	while (end < count && end - first < limit && kinds[end] == kinds[asked])
		end++;
	while (first > 0 && end - first < limit && kinds[first - 1] == kinds[asked])
		first--;
	*length = end - first;
	return first;
}
