// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fault maps what it has seen: as many pages as one call carries that the child does not have and
 * gets with the same right, or as many blocks.
 *
 * Laws:
 *	- What is mapped was seen by a look that is not stale, checked under map_lock.
 *	- What the child has with the right it needs is not mapped again: that would cost its bits.
 *	- While bits are tracked no large leaf is made that was none: it has one pair of bits.
 *
 * A guest write is never forgotten. The child's own dirty bits are gone when a page is unmapped,
 * and Linux's page table entry may be writable and clean (a page swapped in for a read; shmem). So
 * a folio is marked dirty before the child gets it writable, under map_lock with a look that is not
 * stale. At that moment the page is mapped in the VMM and stays mapped, because whoever unmaps
 * it calls the notifier first, and that waits for map_lock; this is the guarantee that the
 * page-table lock gives zap_pte_range() when it does the same. Linux cleans a folio in three ways,
 * and each drops the child's map before:
 *	- Reclaim (swap, shmem): unmaps the folio (notifier) and writes it only after.
 *	- Write-back of files: folio_mkclean() write-protects every shared mapping, notifier first.
 *	  The next guest write faults, finds the entry read-only, and goes through page_mkwrite().
 *	- MADV_FREE: the notifier comes before the entries are cleaned. The next map marks the folio
 *	  dirty again, and reclaim gives up discarding it.
 * So between two cleanings the child's map is made anew, and made dirty anew. What lies around the
 * page asked for may be made dirty and not be mapped in the end, where that is free.
 *
 * The price is kept small: a page that the guest only reads is mapped writable only where dirtying
 * costs nothing (dirty already, or anonymous without a copy on swap). Otherwise reading would make
 * Linux write. While the VMM tracks dirty pages, only what the guest writes is mapped writable
 * (log.c).
 */
#include <linux/errno.h>
#include <linux/mm.h>

#include "fault.h"

/**
 * enum writable - shall the child be able to write to a page that Linux would let it write to?
 * @WRITABLE_NOT: no
 * @WRITABLE_FREE: if dirtying it is free: it makes nobody write anything that he would not have
 *	written otherwise
 * @WRITABLE: yes
 */
enum writable {
	WRITABLE_NOT,
	WRITABLE_FREE,
	WRITABLE,
};

/* Of the page asked for, or of those around it. */
static enum writable writable(const struct fault *fault, bool asked)
{
	bool tracking = READ_ONCE(fault->partition->tracking);

	if (!fault->region->writable)
		return WRITABLE_NOT;
	if (fault->split)
		return fault->write ? WRITABLE : WRITABLE_NOT;
	if (fault->write && (asked || (fault->all && !tracking)) &&
	    (!fault->ahead || fault->faulted))
		return WRITABLE;
	if (tracking)
		return WRITABLE_NOT;
	return fault->device ? WRITABLE : WRITABLE_FREE;
}

/*
 * The child shall be able to write to it, so it is dirty from now on; or it is not, and the child
 * shall not. Most folios are dirty already, and whoever cleans one calls the notifier.
 */
static inline bool make_dirty(struct folio *folio, enum writable how)
{
	if (how == WRITABLE_NOT)
		return false;
	if (folio_test_dirty(folio))
		return true;
	/* Anonymous, no copy on swap, and not given up by MADV_FREE. */
	if (folio_test_anon(folio) && !folio_test_swapcache(folio) &&
	    folio_test_swapbacked(folio)) {
		/* All that folio_mark_dirty() does where there is no mapping to tell. */
		folio_set_dirty(folio);
		return true;
	}
	if (how == WRITABLE)
		folio_mark_dirty(folio);
	return how == WRITABLE;
}

/*
 * The rights with which pages of the span, by their indices, shall be mapped; the page numbers are
 * known then. This is most of what a page costs that is mapped with many others, so nothing is
 * called for each. Everything is locked, the look is not stale.
 */
static void choose_rights(const struct fault *fault, enum writable how, u32 i, u32 end)
{
	unsigned long *pfns = fault->scratch->pfns;
	u64 *sources = fault->scratch->sources;
	u8 *kinds = fault->scratch->kinds;
	struct page *page;

	/* Device memory has no pages that could be dirty. */
	for (; i < end && fault->device; i++)
		if (kinds[i] == MSHV_KIND_WRITE && how == WRITABLE_NOT)
			kinds[i] = MSHV_KIND_READ;
	for (; i < end; i++) {
		page = hmm_pfn_to_page(pfns[i]);
		sources[i] = page_to_pfn(page);
		kinds[i] = hmm_kind(pfns[i]);
		if (kinds[i] == MSHV_KIND_WRITE && !make_dirty(page_folio(page), how))
			kinds[i] = MSHV_KIND_READ;
	}
}

/*
 * How many blocks may be mapped large. A large leaf has one pair of bits: while they are tracked
 * none is made.
 */
static unsigned int large_leaves(const struct fault *fault)
{
	if (fault->split)
		return 0;
	if (!READ_ONCE(fault->partition->tracking))
		return fault->blocks;
	return fault->blocks &&
	       test_bit(mshv_region_block(fault->region, fault->gfn), fault->region->large);
}

/*
 * Map the whole block, and those behind it that the child does not have and gets with the same
 * right. map_lock is held, for writing if it may be several; or the block's lock. The look is not
 * stale.
 */
static u16 map_blocks(struct fault *fault, unsigned int limit)
{
	u64 *sources = fault->scratch->blocks, gfn = round_down(fault->gfn, MSHV_BLOCK_PAGES);
	bool may = kind_of(fault, fault->gfn) == MSHV_KIND_WRITE;
	enum writable others = writable(fault, false);
	unsigned int blocks, done;
	u16 status;

	fault->writable = may && make_dirty(pfn_folio(sources[0]), writable(fault, true));
	for (blocks = 1; blocks < limit; blocks++) {
		gfn += MSHV_BLOCK_PAGES;
		if (test_bit(mshv_region_block(fault->region, gfn), fault->region->mapped) ||
		    (may && make_dirty(pfn_folio(sources[blocks]), others)) != fault->writable)
			break;
	}
	fault->large = true;
	fault->first = round_down(fault->gfn, MSHV_BLOCK_PAGES);
	status = mshv_map_blocks(fault->region, fault->gfn, sources, blocks,
				 fault->writable ? HVABI_MAP_GPA_WRITABLE : 0, &done);
	fault->pages = done * MSHV_BLOCK_PAGES;
	return status;
}

/*
 * A VMM that asks for all to write has pages mapped over that the child may read: what Linux is to
 * be told of these. The page of a fault is used in any case.
 */
static void keep_age(const struct fault *fault)
{
	u64 gfn = fault->first, end = gfn + fault->pages, next;
	unsigned int first, last;
	struct mshv_table *table;

	for (; gfn < end; gfn = next) {
		table = mshv_table(fault->partition, gfn);
		next = min(end, round_down(gfn, MSHV_BLOCK_PAGES) + MSHV_BLOCK_PAGES);
		first = mshv_block_index(gfn);
		last = first + (next - gfn);
		if (find_next_bit(table->mapped, last, first) < last)
			mshv_age_keep(fault->region, gfn, next);
	}
}

/*
 * The page asked for, and those around it that the child does not have and gets with the same
 * right. Returns the index of the first one in the span.
 */
static u32 choose_run(struct fault *fault)
{
	u32 count = fault->seen_end - fault->span.first;
	u32 asked = fault->gfn - fault->span.first;
	bool one = READ_ONCE(fault->partition->tracking) && !fault->split;
	u32 limit = one ? 1 : MSHV_WINDOW_LOOK;
	u8 *kinds = fault->scratch->kinds, kind;
	u32 run;

	choose_rights(fault, writable(fault, true), asked, asked + 1);
	kind = kinds[asked];
	choose_rights(fault, writable(fault, false), 0, asked);
	choose_rights(fault, writable(fault, false), asked + 1, count);
	/* The page asked for is mapped whatever the record says. */
	mshv_leave_mapped(fault->region, fault->span.first, kinds, count,
			  fault->all && fault->write);
	kinds[asked] = kind;
	run = mshv_run_around(kinds, count, asked, limit, &fault->pages);
	fault->first = fault->span.first + run;
	fault->writable = kind == MSHV_KIND_WRITE;
	if (fault->all && fault->write)
		keep_age(fault);
	return run;
}

/* Map small pages. map_lock and the locks of their blocks are held, the look is not stale. */
static u16 map_run(struct fault *fault)
{
	u32 flags = 0, run, pages;
	u16 status;

	status = mshv_break_block(fault->region, fault->gfn);
	if (status != HVABI_STATUS_SUCCESS)
		return status;
	fault->large = false;
	run = choose_run(fault);
	if (fault->writable)
		flags |= HVABI_MAP_GPA_WRITABLE;
	if (fault->device)
		flags |= HVABI_MAP_GPA_NOT_CACHED;
	pages = fault->pages;
	status = mshv_map_pages(fault->region, fault->first, fault->scratch->sources + run, pages,
				flags, &fault->pages);
	if (fault->pages && fault->blocks && READ_ONCE(fault->partition->tracking))
		mshv_table(fault->partition, fault->gfn)->was_large = true;
	return status;
}

/*
 * A large leaf becomes small ones. It stays where bits are not tracked any more, or Linux has it so
 * no more; and comes back if there is no memory for a table: its bits are in the log by then.
 */
static u16 split_block(struct fault *fault)
{
	unsigned int done;
	u16 status;

	if (!fault->blocks || !READ_ONCE(fault->partition->tracking))
		return HVABI_STATUS_SUCCESS;
	status = map_run(fault);
	if (!fault->pages)
		mshv_map_blocks(fault->region, fault->gfn, fault->scratch->blocks, 1,
				fault->write ? HVABI_MAP_GPA_WRITABLE : 0, &done);
	return status;
}

/* Everything is locked, the look is not stale. */
static u16 map_seen(struct fault *fault)
{
	unsigned int blocks = large_leaves(fault);
	u16 status;

	fault->pages = 0;
	if (fault->split &&
	    test_bit(mshv_region_block(fault->region, fault->gfn), fault->region->large))
		return split_block(fault);
	/* Another processor was faster. Mapping over it would cost its bits. */
	if (!fault->again && mshv_mapped(fault->region, fault->gfn, fault->write))
		return HVABI_STATUS_SUCCESS;
	status = blocks ? map_blocks(fault, blocks) : map_run(fault);
	mshv_count(fault->region, fault->large ? MSHV_STAT_PAGES_LARGE : MSHV_STAT_PAGES_SMALL,
		   fault->pages);
	return status;
}

/* The page after all that may be mapped. */
static u64 blocks_end(const struct fault *fault)
{
	u64 first = round_down(fault->gfn, MSHV_BLOCK_PAGES);

	return max(fault->seen_end, first + (u64)fault->blocks * MSHV_BLOCK_PAGES);
}

/* All blocks that may be mapped have a table. map_lock is held. */
static bool have_tables(const struct fault *fault)
{
	u64 gfn = round_down(fault->gfn, MSHV_BLOCK_PAGES);

	for (; gfn < blocks_end(fault); gfn += MSHV_BLOCK_PAGES)
		if (!mshv_table(fault->partition, gfn))
			return false;
	return true;
}

/*
 * Whether what was seen may be mapped: 0; 1: there is nothing to do any more; -EAGAIN. map_lock is
 * held.
 */
static int check_seen(struct fault *fault)
{
	if (fault->region->state == MSHV_REGION_REMOVED || READ_ONCE(fault->partition->dead)) {
		/* The next dispatch finds out. */
		fault->pages = 0;
		return 1;
	}
	if (READ_ONCE(fault->look.stale)) {
		fault->extent = min_t(enum extent, fault->extent + 1, EXTENT_PAGE);
		return fault->ahead ? -EBUSY : -EAGAIN;
	}
	return fault->region->state == MSHV_REGION_MOVABLE && have_tables(fault) ? 0 : -EAGAIN;
}

/*
 * The first page from the one asked for on that the child does not have, behind what was mapped. A
 * VMM that asks for all has to be told of the right, too; and of what was done, where there is no
 * more.
 */
static u64 mapped_end(const struct fault *fault)
{
	u64 gfn, next = fault->gfn, end = max(fault->first + fault->pages, fault->gfn + 1);

	do {
		gfn = next;
		next = mshv_mapped_end(fault->region, gfn, fault->all && fault->write);
	} while (next > gfn && next < end);
	return fault->all ? max(next, end) : next;
}

/*
 * Tables for all blocks that were seen to have something; at least for that of the page asked for:
 * where there is no memory for others nothing is mapped. A look goes on while memory is allocated;
 * if Linux takes pages for that, it becomes stale.
 */
static int prepare_tables(struct fault *fault)
{
	u64 first = round_down(fault->gfn, MSHV_BLOCK_PAGES), gfn = first;
	u64 border = gfn + MSHV_BLOCK_PAGES;
	int ret;

	fault->seen_end = fault->span.end;
	if (fault->span.end > border &&
	    (fault->blocks || kind_of(fault, border) == MSHV_KIND_NONE))
		fault->seen_end = border;
	ret = mshv_table_prepare(fault->partition, gfn);
	while (!ret && (gfn += MSHV_BLOCK_PAGES) < blocks_end(fault)) {
		if (!mshv_table_prepare(fault->partition, gfn))
			continue;
		fault->seen_end = min(fault->seen_end, gfn);
		fault->blocks = min_t(u64, fault->blocks, (gfn - first) >> MSHV_BLOCK_SHIFT);
	}
	return ret;
}

/* Small pages go on in the block behind that of the page asked for. */
static bool in_two_blocks(const struct fault *fault)
{
	return fault->seen_end > round_down(fault->gfn, MSHV_BLOCK_PAGES) + MSHV_BLOCK_PAGES;
}

/*
 * Become the only one to map what may be mapped. The locks of many blocks are too many to take:
 * then nobody else maps at all, for one hypercall.
 */
static void lock_map(struct fault *fault)
	__acquires(&fault->partition->map_lock)
{
	if (fault->blocks > 1) {
		write_lock(&fault->partition->map_lock);
		return;
	}
	read_lock(&fault->partition->map_lock);
	if (in_two_blocks(fault))
		mshv_two_blocks_lock(fault->region, fault->gfn);
	else
		mshv_block_lock(fault->region, fault->gfn);
}

static void unlock_map(struct fault *fault)
	__releases(&fault->partition->map_lock)
{
	if (fault->blocks > 1) {
		write_unlock(&fault->partition->map_lock);
		return;
	}
	if (in_two_blocks(fault))
		mshv_two_blocks_unlock(fault->region, fault->gfn);
	else
		mshv_block_unlock(fault->region, fault->gfn);
	read_unlock(&fault->partition->map_lock);
}

/**
 * mshv_fault_map() - map what was seen
 * @fault: a look that has not ended, and that found the page asked for
 * @status: where to store the hypervisor's
 *
 * Context: process context, may sleep; no lock but those of the caller of mshv_fault().
 *
 * Return: 0; -EAGAIN: it is out of date, look again; -EBUSY: the same, ahead of the guest; -ENOMEM.
 */
int mshv_fault_map(struct fault *fault, u16 *status)
{
	int ret;

	*status = HVABI_STATUS_SUCCESS;
	ret = prepare_tables(fault);
	if (ret)
		return ret;
	lock_map(fault);
	ret = check_seen(fault);
	if (!ret) {
		*status = map_seen(fault);
		fault->next = mapped_end(fault);
	}
	unlock_map(fault);
	return min(ret, 0);
}
