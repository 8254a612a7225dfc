/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many pages one guest fault serves. Arithmetic only: compiles on the host for unit tests.
 *
 * Laws:
 *	- A span lies inside one block and inside the region; the first one contains the page asked
 *	  for. A window that is larger goes on in the next block (mshv_window_more()).
 *	- "around" is what is looked at: pages there that Linux has already are mapped too. It costs
 *	  a walk, never memory.
 *	- "ahead" is what Linux may be asked to allocate: one page, unless the processor faults in
 *	  sequence. It starts at the page asked for.
 */
#ifndef MSHV_WINDOW_H
#define MSHV_WINDOW_H

#include <hvabi/types.h>

#ifndef __KERNEL__
#include <stdbool.h>
#endif

#define MSHV_WINDOW_BLOCK	HVABI_LARGE_PAGE_PAGES
/*
 * "around" is an aligned group of this many pages, like fault-around in Linux; a window that is
 * larger goes forward only.
 */
#define MSHV_WINDOW_AROUND	16u
/* Two blocks: a guest in sequence has fewer faults than there are blocks, the run-up included. */
#define MSHV_WINDOW_AHEAD_MAX	(2 * MSHV_WINDOW_BLOCK)

/**
 * struct mshv_window - what a virtual processor's faults look like
 * @next: page at which a processor that goes on in sequence will fault next
 * @ahead: pages to ask for at the next fault in sequence; 0 before the first fault
 */
struct mshv_window {
	uint64_t next;
	uint32_t ahead;
};

/**
 * struct mshv_span - GFNs of one block that a fault serves
 * @first: first page to look at
 * @end: page after the last one to look at
 * @ahead_end: page after the last one Linux may be asked to allocate; first <= gfn < ahead_end <=
 *   end
 */
struct mshv_span {
	uint64_t first;
	uint64_t end;
	uint64_t ahead_end;
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
 * mshv_window_more() - what the window holds behind the block of the page asked for
 * @window: history of the processor
 * @gfn: page asked for, to whose block's end all was served
 * @region_end: page after the last one of its region
 *
 * Return: a span in the next block, with first == end if there is nothing more.
 */
struct mshv_span mshv_window_more(const struct mshv_window *window, uint64_t gfn,
				  uint64_t region_end);

/**
 * mshv_window_served() - tell what a fault mapped
 * @window: history of the processor
 * @end: page after the last one of the run that contains the page asked for
 */
void mshv_window_served(struct mshv_window *window, uint64_t end);

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
