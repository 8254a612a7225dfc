/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One fault on its way, between those who serve it: fault.c (how often, how far), fault_look.c
 * (what Linux has, and what it shall get) and fault_map.c (what the child gets of it). Nobody else
 * includes this.
 */
#ifndef MSHV_FAULT_H
#define MSHV_FAULT_H

#include <linux/hmm.h>

#include "mshv.h"

/**
 * enum extent - how much one look is of
 * @EXTENT_LIST: the block of the page and all behind it that the fault may reach
 * @EXTENT_SPAN: that block, and the span if it goes on in the next
 * @EXTENT_PAGE: the page and nothing else
 */
enum extent {
	EXTENT_LIST,
	EXTENT_SPAN,
	EXTENT_PAGE,
};

/**
 * struct fault - one fault on its way
 *
 * What was asked:
 * @partition: child
 * @region: region of the page
 * @window: history of the processor, or NULL: nothing but the page
 * @gfn: page asked for
 * @write: the guest writes
 * @ahead: nobody touched @gfn yet, but a guest in sequence is about to
 * @all: the VMM wants all of the span (mshv_ioctl_prefault())
 * @split: what is mapped large is to be mapped in small pages, with the right it has
 * @again: the guest comes back for a page that it was given: map it, whatever the record says
 * @span: pages to look at, and to fault in
 * @reclaimed: what the partition's was when @span was chosen: if many more are taken, no more is
 *	faulted in that nobody has asked for
 *
 * What was seen, of each page of the span:
 * @scratch: what HMM says, of memory with pages; kinds and page numbers, of device memory
 * @look: tells whether that still holds. Of the whole block at least, so that it can be mapped as
 *	one; when that was disturbed, of @gfn only
 * @extent: how much the look is of
 * @device: it is device memory
 * @blocks: how many blocks from that of @gfn on Linux maps by one entry each; their page numbers
 *	are in @scratch
 * @seen_end: page after the last one of the span that is to be mapped in small pages
 *
 * What came of it:
 * @faulted: Linux has faulted the page in at least once
 * @retries: looks beyond the first
 * @deposits: deposits made
 * @first: first page mapped
 * @pages: pages mapped
 * @next: page after those that the child has now, from @gfn on: a guest in sequence faults there
 *	next, whoever mapped what is before it; 0: not known
 * @large: as one block
 * @writable: with the right to write
 */
struct fault {
	struct mshv_partition *partition;
	struct mshv_region *region;
	struct mshv_window *window;
	u64 gfn;
	bool write;
	bool ahead;
	bool all;
	bool split;
	bool again;
	struct mshv_span span;
	u64 reclaimed;

	struct mshv_scratch *scratch;
	struct mshv_look look;
	enum extent extent;
	bool device;
	unsigned int blocks;
	u64 seen_end;

	bool faulted;
	unsigned int retries;
	unsigned int deposits;
	u64 first;
	unsigned int pages;
	u64 next;
	bool large;
	bool writable;
};

/* Memory is scarce: what is faulted in now takes the place of what the guest has. */
static inline bool is_scarce(const struct fault *fault)
{
	return READ_ONCE(fault->partition->reclaimed) - fault->reclaimed >= MSHV_WINDOW_LOST;
}

/* What HMM says of a page. */
static inline u8 hmm_kind(unsigned long pfn)
{
	if (pfn & HMM_PFN_ERROR)
		return MSHV_KIND_BAD;
	if (!(pfn & HMM_PFN_VALID))
		return MSHV_KIND_NONE;
	return pfn & HMM_PFN_WRITE ? MSHV_KIND_WRITE : MSHV_KIND_READ;
}

/* What was seen of a page of the span. */
static inline u8 kind_of(const struct fault *fault, u64 gfn)
{
	u64 i = gfn - fault->span.first;

	return fault->device ? fault->scratch->kinds[i] : hmm_kind(fault->scratch->pfns[i]);
}

/* fault_look.c */
int mshv_fault_look(struct fault *fault, u64 *end);
int mshv_fault_supply(struct fault *fault, u64 end);

/* fault_map.c */
int mshv_fault_map(struct fault *fault, u16 *status);

#endif
