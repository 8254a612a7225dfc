/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many pages one guest fault serves. Arithmetic only: compiles on the host for unit tests.
 *
 * Laws:
 *	- "around" is what is looked at: pages there that Linux has already are mapped too. It costs
 *	  a walk, never memory. It lies inside one block, unless the processor faults in sequence.
 *	  It doubles from fault to fault in one block as long as half of it was there to be mapped.
 *	- "ahead" is what Linux may be asked to allocate: one page, unless the processor faults in
 *	  sequence. It starts at the page asked for.
 *	- "reach" is how far a processor in sequence is mapped what Linux has already. It grows
 *	  faster than "ahead": nothing is allocated for it.
 *	- Memory is allocated on credit: what a processor was given and may not have touched is at
 *	  most an eighth of what it touched, and MSHV_WINDOW_CREDIT pages, however it goes about.
 *	- Where Linux takes pages of the guest to have memory, what is given in advance takes the
 *	  place of what is in use. Each that it takes is one less to give, down to
 *	  MSHV_WINDOW_SCARCE; and a window on its way ends when MSHV_WINDOW_LOST were taken.
 */
#ifndef MSHV_WINDOW_H
#define MSHV_WINDOW_H

#include <hvabi/memory.h>

#ifndef __KERNEL__
#include <stdbool.h>
#endif

#define MSHV_WINDOW_BLOCK	HVABI_LARGE_PAGE_PAGES
/*
 * "around" is an aligned group of this many pages, like fault-around in Linux, and at most of so
 * many; a window of a processor in sequence goes forward only.
 */
#define MSHV_WINDOW_AROUND	16u
#define MSHV_WINDOW_AROUND_MAX	256u
/* Pages that one look is of: as many as one call maps, also across the border of two blocks. */
#define MSHV_WINDOW_LOOK	((uint32_t)HVABI_MAP_GPA_MAX)
/*
 * Map calls of one fault. This bounds the time until the processor goes on: 40 MiB of new memory.
 */
#define MSHV_WINDOW_CALLS	20u
#define MSHV_WINDOW_AHEAD_MAX	(MSHV_WINDOW_CALLS * MSHV_WINDOW_LOOK)
/* As many blocks as one call maps. */
#define MSHV_WINDOW_REACH_MAX	(MSHV_WINDOW_LOOK * MSHV_WINDOW_BLOCK)
/* What a processor may be given in advance before it has touched anything: 2 MiB, once. */
#define MSHV_WINDOW_CREDIT	512
/* Credit that is left while memory is scarce: as many as Linux reads from swap around a page. */
#define MSHV_WINDOW_SCARCE	8
/* What one round of reclaim takes. */
#define MSHV_WINDOW_LOST	32
/* Sequences that a processor may go through at a time: two of a copy, a stack, page tables. */
#define MSHV_WINDOW_STREAMS	4

/**
 * struct mshv_stream - one sequence of faults
 * @first: page of the last fault
 * @next: page at which a processor that goes on will fault next
 * @pages: pages that were served for the last fault; 0: none yet
 * @ahead: pages that Linux could be asked for at the last fault; 0: there is no such sequence
 * @around: pages of the group that was looked at; 0: it was in sequence
 * @mapped: pages that were mapped of it
 * @large: they were mapped in blocks
 */
struct mshv_stream {
	uint64_t first;
	uint64_t next;
	uint32_t pages;
	uint32_t ahead;
	uint32_t around;
	uint32_t mapped;
	bool large;
};

/**
 * struct mshv_window - what a virtual processor's faults look like
 * @streams: the one that faulted last comes first
 * @balance: what the processor earned, less what was spent, in eighths of a page; never below
 *	-8 * MSHV_WINDOW_CREDIT. A window costs the pages that the guest has not asked for; they
 *	come back, with an eighth of all that was touched, when the guest has gone through it
 */
struct mshv_window {
	struct mshv_stream streams[MSHV_WINDOW_STREAMS];
	int64_t balance;
};

/**
 * struct mshv_span - GFNs that a fault serves
 * @first: first page to look at
 * @end: page after the last one to look at, at most MSHV_WINDOW_LOOK from @first
 * @ahead_end: page after the last one Linux may be asked to allocate, from the page asked for on;
 *	may be beyond @end
 * @reach: page after the last one that may be served, by further looks; at least @end and
 *	@ahead_end
 */
struct mshv_span {
	uint64_t first;
	uint64_t end;
	uint64_t ahead_end;
	uint64_t reach;
};

/**
 * mshv_window_choose() - what to serve for a fault
 * @window: history of the processor; updated
 * @gfn: page asked for
 * @region_first: first page of its region
 * @region_end: page after the last one of its region
 *
 * Context: any. The caller serialises access to @window.
 */
struct mshv_span mshv_window_choose(struct mshv_window *window, uint64_t gfn, uint64_t region_first,
				    uint64_t region_end);

/**
 * mshv_window_scarce() - Linux has taken pages of the guest since the last fault
 * @window: history of the processor; updated
 * @taken: how many
 *
 * Context: as mshv_window_choose().
 */
void mshv_window_scarce(struct mshv_window *window, uint64_t taken);

/**
 * mshv_window_more() - what is left of a window
 * @span: what was chosen
 * @gfn: page after the last one that was served of it
 *
 * Return: the next look; with first == end if there is nothing more.
 */
struct mshv_span mshv_window_more(const struct mshv_span *span, uint64_t gfn);

/**
 * mshv_window_served() - tell what the last fault that was chosen for got
 * @window: history of the processor
 * @end: page after the last one of the run that contains the page asked for
 * @mapped: pages that were mapped for it
 * @large: in blocks
 */
void mshv_window_served(struct mshv_window *window, uint64_t end, uint32_t mapped, bool large);

/**
 * mshv_run_around() - the longest run of pages of the same kind around one page
 * @kinds: kind of each page; 0 means "cannot be mapped"
 * @count: entries
 * @asked: index of the page that has to be in the run; its kind is not 0
 * @limit: longest run wanted, at least 1
 * @length: where to store the length of the run
 *
 * Return: index of the first page of the run.
 */
uint32_t mshv_run_around(const uint8_t *kinds, uint32_t count, uint32_t asked, uint32_t limit,
			 uint32_t *length);

#endif
