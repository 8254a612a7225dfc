// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many pages one guest fault serves: see window.h for the laws.
 *
 * A processor that faults where its last fault ended is going through memory in sequence: "ahead"
 * doubles, and from 16 pages on grows faster, as long as there is credit for it; in the end it
 * grows by an eighth of the whole. Any other fault begins a sequence of its own with one page, and
 * the one that has been quiet for longest is forgotten. A window of more than one map call is a
 * whole number of them.
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

/*
 * The group to look at around a page: twice that of the last fault in its block, if half of that
 * was there to be mapped. So a processor that strides through what is there has a block after six
 * faults, and one that touches a page here and there maps 16 at a time.
 */
static uint32_t choose_around(const struct mshv_window *window, uint64_t block)
{
	const struct mshv_stream *stream = window->streams;

	for (; stream < window->streams + MSHV_WINDOW_STREAMS; stream++) {
		if (!stream->around ||
		    (stream->first & ~(uint64_t)(MSHV_WINDOW_BLOCK - 1)) != block)
			continue;
		if (2 * stream->mapped < stream->around)
			break;
		return (uint32_t)min_u64(2 * stream->around, MSHV_WINDOW_AROUND_MAX);
	}
	return MSHV_WINDOW_AROUND;
}

/* The sequence that a fault goes on with, or the one to forget, put in front. */
static struct mshv_stream *choose_stream(struct mshv_window *window, uint64_t gfn)
{
	struct mshv_stream chosen;
	unsigned int i;

	for (i = 0; i < MSHV_WINDOW_STREAMS - 1; i++)
		if (window->streams[i].ahead && window->streams[i].next == gfn)
			break;
	chosen = window->streams[i];
	for (; i > 0; i--)
		window->streams[i] = window->streams[i - 1];
	window->streams[0] = chosen;
	return &window->streams[0];
}

/* Pages to ask Linux for, now that the processor has been through the last window. */
static uint32_t grow(struct mshv_window *window, const struct mshv_stream *stream)
{
	uint64_t ahead = stream->ahead;

	window->balance += 8 * ((int64_t)stream->ahead - 1) + stream->pages;
	if (stream->pages) {
		ahead = max_u64(ahead, stream->pages);
		ahead *= ahead < MSHV_WINDOW_AROUND ? 2 : 4;
	}
	ahead = min_u64(ahead, (uint64_t)(window->balance + 8 * MSHV_WINDOW_CREDIT) / 8 + 1);
	ahead = min_u64(ahead, MSHV_WINDOW_AHEAD_MAX);
	if (ahead > MSHV_WINDOW_LOOK)
		ahead -= ahead % MSHV_WINDOW_LOOK;
	window->balance -= 8 * ((int64_t)ahead - 1);
	return (uint32_t)ahead;
}

struct mshv_span mshv_window_choose(struct mshv_window *window, uint64_t gfn, uint64_t region_first,
				    uint64_t region_end)
{
	uint64_t block = gfn & ~(uint64_t)(MSHV_WINDOW_BLOCK - 1);
	uint32_t around = choose_around(window, block);
	uint64_t group = gfn & ~(uint64_t)(around - 1);
	struct mshv_stream *stream = choose_stream(window, gfn);
	struct mshv_span span;
	uint64_t reach;

	if (stream->ahead && stream->next == gfn) {
		/* What lies behind has been served already. */
		span.first = gfn;
		reach = 4ull * max_u64(stream->ahead, stream->pages);
		reach = min_u64(max_u64(reach, MSHV_WINDOW_AROUND), MSHV_WINDOW_REACH_MAX);
		stream->ahead = grow(window, stream);
		stream->around = 0;
		span.ahead_end = min_u64(gfn + stream->ahead, region_end);
		span.reach = max_u64(min_u64(gfn + reach, region_end), span.ahead_end);
		span.end = min_u64(gfn + MSHV_WINDOW_LOOK, span.reach);
	} else {
		*stream = (struct mshv_stream){ .ahead = 1, .around = around };
		span.first = max_u64(group, region_first);
		span.end = min_u64(group + around, region_end);
		span.ahead_end = gfn + 1;
		span.reach = span.end;
	}
	stream->first = gfn;
	stream->next = gfn;
	stream->pages = 0;
	stream->mapped = 0;
	return span;
}

void mshv_window_scarce(struct mshv_window *window, uint64_t taken)
{
	const int64_t least = 8 * (MSHV_WINDOW_SCARCE - MSHV_WINDOW_CREDIT);
	const int64_t most = 8ll * (MSHV_WINDOW_AHEAD_MAX - MSHV_WINDOW_CREDIT);
	struct mshv_stream *stream = window->streams;
	uint64_t pages;

	if (!taken)
		return;
	/* What was earned long ago buys no more than the largest window. */
	if (window->balance > most)
		window->balance = most;
	/* What was spent on a window would come back with the next one. */
	for (; stream < window->streams + MSHV_WINDOW_STREAMS; stream++) {
		if (stream->ahead <= MSHV_WINDOW_SCARCE)
			continue;
		pages = min_u64(taken, stream->ahead - MSHV_WINDOW_SCARCE);
		stream->ahead -= (uint32_t)pages;
		taken -= pages;
	}
	if (window->balance > least) {
		pages = min_u64(taken, (uint64_t)(window->balance - least) / 8);
		window->balance -= 8 * (int64_t)pages;
	}
}

struct mshv_span mshv_window_more(const struct mshv_span *span, uint64_t gfn)
{
	/* What was cut short does not make the rest of the window one call more. */
	uint64_t look = MSHV_WINDOW_LOOK - (gfn - span->first) % MSHV_WINDOW_LOOK;
	uint64_t end = max_u64(min_u64(gfn + look, span->reach), gfn);

	return (struct mshv_span){
		.first = gfn,
		.end = end,
		.ahead_end = span->ahead_end,
		.reach = max_u64(span->reach, end),
	};
}

void mshv_window_served(struct mshv_window *window, uint64_t end, uint32_t mapped, bool large)
{
	struct mshv_stream *stream = &window->streams[0];

	stream->next = end;
	stream->pages = (uint32_t)(end - stream->first);
	stream->mapped += mapped;
	stream->large = large;
}

uint32_t mshv_run_around(const uint8_t *kinds, uint32_t count, uint32_t asked, uint32_t limit,
			 uint32_t *length)
{
	const uint8_t kind = kinds[asked];
	uint32_t first = asked, end = asked + 1;
	uint32_t last = limit < count - asked ? asked + limit : count;
	uint32_t least;

	/* Forward first: what comes after is more likely to be touched next. */
	while (end < last && kinds[end] == kind)
		end++;
	least = end > limit ? end - limit : 0;
	while (first > least && kinds[first - 1] == kind)
		first--;
	*length = end - first;
	return first;
}
