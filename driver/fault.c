// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest touched a page that is not mapped, or not with the right it needs: look it up in Linux,
 * map what is there.
 *
 * How one fault goes:
 *	1. Begin a look at the block (invalidate.c): what has Linux around that page, with which rights
 *	   and map order (mmap_lock for reading, HMM)? Looking never faults.
 *	2. If the page itself is missing or lacks the right, let Linux fault it in, and with it the
 *	   window of a guest in sequence. Go to 1.
 *	3. Take map_lock. If the look is stale, go to 1, and look at less: in the end at the page asked
 *	   for and nothing else, so that no change elsewhere can keep the guest from it. Mark dirty what
 *	   the child will be able to write. Map what the child does not have, in one call: up to 509
 *	   pages, which may lie in two blocks, or as many blocks that Linux maps by one entry each.
 *	4. If the hypervisor wants memory: drop the lock, deposit, go to 1.
 *	5. The rest of the window of a guest in sequence goes the same way, a call at a time.
 *
 * Why Linux is asked to fault by GUP (without taking the pages) and not by HMM: hmm_range_fault()
 * that has to fault one page of a hole faults all pages of the hole that lie in the range; and it
 * faults in a way that userfaultfd and signals cannot use. Device memory has no pages that GUP
 * could get: there it is fixup_user_fault(). All of them decide by the rights of the mapping, never
 * by those of the thread (protection keys): HMM does not know the thread, and a guest is none.
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
 * So between two cleanings the child's map is made anew, and made dirty anew.
 *
 * The price is kept small: a page that the guest only reads is mapped writable only where dirtying
 * costs nothing (dirty already, or anonymous without a copy on swap). Otherwise reading would make
 * Linux write. While the VMM tracks dirty pages, only what the guest writes is mapped writable (log.c).
 */
#include <linux/errno.h>
#include <linux/hmm.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>

#include "compat.h"
#include "mshv.h"
#include "trace.h"

/*
 * A read that comes back this often, although it was served and Linux did not take the page away,
 * must be a write that the message does not show.
 */
#define MSHV_REPEAT_MAX		8

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
 * @again: the guest comes back for a page that it was given: map it, whatever the record says
 * @span: pages to look at, and to fault in
 *
 * What was seen, of each page of the span:
 * @scratch: kinds and page numbers; and what HMM says, of memory with pages
 * @look: tells whether that still holds. Of the whole block at least, so that it can be mapped as one;
 *	when that was disturbed, of @gfn only
 * @extent: how much the look is of
 * @device: it is device memory
 * @blocks: how many blocks from that of @gfn on Linux maps by one entry each; their page numbers are
 *	in @scratch
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
	bool again;
	struct mshv_span span;

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

/* What was seen of a page of the span. */
static u8 *kind_of(const struct fault *fault, u64 gfn)
{
	return &fault->scratch->kinds[gfn - fault->span.first];
}

/* Nothing may be allocated for the page asked for: map what Linux has, as it has it. */
static bool only_present(const struct fault *fault)
{
	return fault->gfn >= fault->span.ahead_end;
}

/* Linux has the page, with the right the guest needs. What nobody has touched yet stays shared. */
static bool asked_present(const struct fault *fault)
{
	u8 kind = *kind_of(fault, fault->gfn);

	return kind == MSHV_KIND_WRITE ||
	       (kind == MSHV_KIND_READ && (!fault->write || fault->ahead || only_present(fault)));
}

/* Device memory, as far as its mapping goes. mmap_lock is held. */
static void look_at_device(struct fault *fault, struct vm_area_struct *vma)
{
	unsigned long first = mshv_gfn_to_hva(fault->region, fault->span.first);
	unsigned long last = mshv_gfn_to_hva(fault->region, fault->span.end - 1);
	unsigned long start = max(first, vma->vm_start);
	unsigned long end = min(last, vma->vm_end - PAGE_SIZE) + PAGE_SIZE;
	u32 offset = (start - first) >> PAGE_SHIFT;

	memset(fault->scratch->kinds, MSHV_KIND_NONE, fault->span.end - fault->span.first);
	mshv_device_look(vma, start, (end - start) >> PAGE_SHIFT, fault->scratch->sources + offset,
			 fault->scratch->kinds + offset);
}

/*
 * Page number of the first page of the block of a page if Linux maps all of the block by one entry and
 * so can we, else 0. @pfn is what HMM says of the page.
 */
static u64 large_source(const struct fault *fault, u64 gfn, unsigned long pfn)
{
	const struct mshv_region *region = fault->region;
	u64 source;

	if (!(pfn & HMM_PFN_VALID) || pfn & HMM_PFN_ERROR ||
	    hmm_pfn_to_map_order(pfn) < MSHV_BLOCK_SHIFT)
		return 0;
	if (!mshv_block_whole(region, mshv_region_block(region, gfn)))
		return 0;
	/* The entry covers the addresses of the block only if GFN and HVA are congruent. */
	if ((region->gfn ^ (region->hva >> PAGE_SHIFT)) & (MSHV_BLOCK_PAGES - 1))
		return 0;
	source = page_to_pfn(hmm_pfn_to_page(pfn)) - mshv_block_index(gfn);
	return source & (MSHV_BLOCK_PAGES - 1) ? 0 : source;
}

/* What HMM says of some pages. mmap_lock is held. Returns 0 or an errno. */
static int ask_hmm(struct fault *fault, u64 gfn, u64 end, unsigned long *pfns)
{
	struct mshv_partition *partition = fault->partition;
	struct hmm_range range = {
		.notifier = &partition->hmm,
		.notifier_seq = partition->hmm.invalidate_seq,
		.start = mshv_gfn_to_hva(fault->region, gfn),
		.end = mshv_gfn_to_hva(fault->region, end),
		.hmm_pfns = pfns,
	};

	return hmm_range_fault(&range);
}

/*
 * The blocks that can be mapped large together with that of the page asked for: all those behind it
 * that Linux maps by one entry, too, with the same right. One page tells of its block.
 * mmap_lock is held.
 */
static void look_at_blocks(struct fault *fault, unsigned long pfn)
{
	u64 *blocks = fault->scratch->blocks, source = large_source(fault, fault->gfn, pfn);
	u64 gfn = round_down(fault->gfn, MSHV_BLOCK_PAGES);
	unsigned long right = pfn & HMM_PFN_WRITE;

	fault->blocks = 0;
	if (fault->extent == EXTENT_PAGE)
		return;
	while (source) {
		blocks[fault->blocks++] = source;
		gfn += MSHV_BLOCK_PAGES;
		if (fault->extent != EXTENT_LIST || fault->blocks == HVABI_MAP_GPA_MAX ||
		    gfn >= fault->span.reach || ask_hmm(fault, gfn, gfn + 1, &pfn) ||
		    (pfn & HMM_PFN_WRITE) != right)
			break;
		source = large_source(fault, gfn, pfn);
	}
}

/* Memory that has pages: of which kind are they? mmap_lock is held. Returns 0 or an errno. */
static int look_at_pages(struct fault *fault)
{
	struct mshv_scratch *scratch = fault->scratch;
	u32 i, count = fault->span.end - fault->span.first;
	unsigned long pfn;
	int ret;

	ret = ask_hmm(fault, fault->span.first, fault->span.end, scratch->pfns);
	if (ret)
		return ret;
	for (i = 0; i < count; i++) {
		pfn = scratch->pfns[i];
		if (pfn & HMM_PFN_ERROR) {
			scratch->kinds[i] = MSHV_KIND_BAD;
		} else if (!(pfn & HMM_PFN_VALID)) {
			scratch->kinds[i] = MSHV_KIND_NONE;
		} else {
			scratch->kinds[i] = pfn & HMM_PFN_WRITE ? MSHV_KIND_WRITE : MSHV_KIND_READ;
			scratch->sources[i] = page_to_pfn(hmm_pfn_to_page(pfn));
		}
	}
	return 0;
}

/* @vma is the asked page's or NULL. mmap_lock is held. Returns 0 or an errno. */
static int look_at(struct fault *fault, struct vm_area_struct *vma)
{
	int ret;

	fault->blocks = 0;
	fault->device = vma && mshv_vma_is_device(vma);
	if (fault->device) {
		look_at_device(fault, vma);
		return 0;
	}
	ret = look_at_pages(fault);
	if (!ret)
		look_at_blocks(fault, fault->scratch->pfns[fault->gfn - fault->span.first]);
	return ret;
}

/*
 * What shall be faulted in, up to *end: the page asked for, and of a guest that goes in sequence as
 * much as the window and the VMA have. Or why Linux cannot have the page, where it can be told.
 * mmap_lock is held.
 */
static int check_vma(struct fault *fault, struct vm_area_struct *vma, unsigned long address,
		     u64 *end)
{
	u8 kind = *kind_of(fault, fault->gfn);

	if (only_present(fault))
		return -ENOENT;
	if (!vma)
		return -EFAULT;
	/* The hypervisor has no map to write and not to read. */
	if (!(vma->vm_flags & VM_READ) || (fault->write && !(vma->vm_flags & VM_WRITE)))
		return -EACCES;
	if (kind == MSHV_KIND_RAM)
		return -EOPNOTSUPP;
	if (fault->faulted && kind == MSHV_KIND_BAD)
		return -EFAULT;
	*end = fault->gfn + 1;
	/*
	 * A page that user space has to supply is not worth waiting for before somebody wants it.
	 */
	if (userfaultfd_armed(vma))
		return fault->ahead ? -EFAULT : 0;
	*end = min(fault->span.ahead_end, fault->gfn + ((vma->vm_end - address) >> PAGE_SHIFT));
	return 0;
}

static int fault_in_device(struct fault *fault)
{
	struct mm_struct *mm = fault->partition->mm;
	bool unlocked = false;
	int ret;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	ret = fixup_user_fault(mm, mshv_gfn_to_hva(fault->region, fault->gfn),
			       FAULT_FLAG_REMOTE | (fault->write ? FAULT_FLAG_WRITE : 0),
			       &unlocked);
	mmap_read_unlock(mm);
	return ret;
}

/* A page behind the one asked for that shall be faulted in with it. Who asks for all to write means it. */
static bool missing(const struct fault *fault, u64 gfn)
{
	u8 kind = *kind_of(fault, gfn);

	return kind == MSHV_KIND_NONE || (kind == MSHV_KIND_READ && fault->all && fault->write);
}

/*
 * Let Linux fault in what it does not have from @gfn to before @end, as the span shows it, and the page
 * asked for. Nobody else's page is touched: a neighbour that is present and read-only stays shared.
 * Returns 1; 0 to stop there; or why the page asked for cannot be had.
 */
static int fault_in_seen(struct fault *fault, u64 gfn, u64 end)
{
	unsigned int flags = MSHV_COMPAT_FOLL_FAULT | FOLL_HWPOISON |
			     (fault->write ? FOLL_WRITE : 0);
	u64 run_end;
	long got;

	for (; gfn < end; gfn = run_end) {
		run_end = gfn + 1;
		if (gfn != fault->gfn && !missing(fault, gfn))
			continue;
		while (run_end < end && missing(fault, run_end))
			run_end++;
		got = mshv_compat_fault_remote(fault->partition->mm,
					       mshv_gfn_to_hva(fault->region, gfn),
					       run_end - gfn, flags);
		if (gfn == fault->gfn && got < 0)
			return got;
		/* Whatever is wrong there, the guest has not asked for it. */
		if (got < (long)(run_end - gfn))
			return 0;
	}
	return 1;
}

/*
 * The window of a guest in sequence, up to @end, goes beyond the span: a block at a time, and a signal
 * ends it. What is seen here is good for nothing but to leave alone what is there.
 */
static int fault_in(struct fault *fault, u64 end)
{
	struct mm_struct *mm = fault->partition->mm;
	const struct mshv_span span = fault->span;
	int ret;

	ret = fault_in_seen(fault, fault->gfn, min(end, span.end));
	while (ret > 0 && fault->span.end < end && !signal_pending(current)) {
		fault->span.first = fault->span.end;
		fault->span.end = min(end, round_down(fault->span.first, MSHV_BLOCK_PAGES) +
					   MSHV_BLOCK_PAGES);
		if (mmap_read_lock_killable(mm))
			break;
		ret = !look_at_pages(fault);
		mmap_read_unlock(mm);
		if (ret)
			ret = fault_in_seen(fault, fault->span.first, fault->span.end);
		cond_resched();
	}
	fault->span = span;
	return min(ret, 0);
}

/* Marking the folio dirty makes nobody write anything that he would not have written otherwise. */
static bool dirtying_is_free(struct folio *folio)
{
	return folio_test_dirty(folio) ||
	       (folio_test_anon(folio) && folio_test_swapbacked(folio) &&
		!folio_test_swapcache(folio));
}

/* The right with which a page that Linux has, or a block by its first page, shall be mapped. */
static u8 right_for(const struct fault *fault, u64 gfn, u8 kind, u64 source)
{
	bool tracking = READ_ONCE(fault->partition->tracking);
	bool written = fault->write && (gfn == fault->gfn || (fault->all && !tracking));

	if (kind != MSHV_KIND_WRITE)
		return kind;
	if (!fault->region->writable)
		return MSHV_KIND_READ;
	if (written && (!fault->ahead || fault->faulted))
		return MSHV_KIND_WRITE;
	if (tracking)
		return MSHV_KIND_READ;
	if (fault->device)
		return MSHV_KIND_WRITE;
	return dirtying_is_free(pfn_folio(source)) ? MSHV_KIND_WRITE : MSHV_KIND_READ;
}

/*
 * Map the whole block, and those behind it that the child does not have and gets with the same right.
 * map_lock is held, for writing if it may be several; or the block's lock. The look is not stale.
 */
static u16 map_blocks(struct fault *fault)
{
	u64 *sources = fault->scratch->blocks, gfn = round_down(fault->gfn, MSHV_BLOCK_PAGES);
	u8 kind = *kind_of(fault, fault->gfn), right = right_for(fault, fault->gfn, kind, sources[0]);
	/* While bits are tracked no large leaf is made that was none. */
	unsigned int blocks, limit = READ_ONCE(fault->partition->tracking) ? 1 : fault->blocks;

	for (blocks = 1; blocks < limit; blocks++) {
		gfn += MSHV_BLOCK_PAGES;
		if (mshv_mapped_end(fault->region, gfn, false) != gfn ||
		    right_for(fault, gfn, kind, sources[blocks]) != right)
			break;
	}
	fault->large = true;
	fault->first = round_down(fault->gfn, MSHV_BLOCK_PAGES);
	fault->pages = blocks * MSHV_BLOCK_PAGES;
	fault->writable = right == MSHV_KIND_WRITE;
	while (fault->writable && blocks--)
		folio_mark_dirty(pfn_folio(sources[blocks]));
	return mshv_map_blocks(fault->region, fault->gfn, sources, fault->pages / MSHV_BLOCK_PAGES,
			       fault->writable ? HVABI_MAP_GPA_WRITABLE : 0);
}

/*
 * The page asked for, and those around it that the child does not have and gets with the same right.
 * Returns the index of the first one in the span.
 */
static u32 choose_run(struct fault *fault)
{
	u32 i, run, count = fault->seen_end - fault->span.first;
	u32 limit = READ_ONCE(fault->partition->tracking) ? 1 : MSHV_WINDOW_LOOK;
	bool upgrade = fault->all && fault->write;
	u8 *kinds = fault->scratch->kinds;

	for (i = 0; i < count; i++) {
		u64 gfn = fault->span.first + i;

		kinds[i] = right_for(fault, gfn, kinds[i], fault->scratch->sources[i]);
		if (gfn == fault->gfn)
			continue;
		/* A large leaf behind the border is whole: nothing is mapped over a part of it. */
		if (test_bit(mshv_region_block(fault->region, gfn), fault->region->large) ||
		    mshv_mapped(fault->region, gfn, upgrade && kinds[i] == MSHV_KIND_WRITE))
			kinds[i] = MSHV_KIND_NONE;
	}
	run = mshv_run_around(kinds, count, fault->gfn - fault->span.first, limit, &fault->pages);
	fault->first = fault->span.first + run;
	fault->writable = kinds[run] == MSHV_KIND_WRITE;
	return run;
}

/* Map small pages. map_lock and the locks of their blocks are held, the look is not stale. */
static u16 map_run(struct fault *fault)
{
	struct folio *folio, *dirtied = NULL;
	u64 *sources = fault->scratch->sources;
	u32 flags = 0, i, run;
	u16 status;

	status = mshv_break_block(fault->region, fault->gfn);
	if (status != HVABI_STATUS_SUCCESS)
		return status;
	fault->large = false;
	run = choose_run(fault);
	for (i = run; fault->writable && !fault->device && i < run + fault->pages; i++) {
		folio = pfn_folio(sources[i]);
		if (folio != dirtied)
			folio_mark_dirty(folio);
		dirtied = folio;
	}
	if (fault->writable)
		flags |= HVABI_MAP_GPA_WRITABLE;
	if (fault->device)
		flags |= HVABI_MAP_GPA_NOT_CACHED;
	return mshv_map_pages(fault->region, fault->first, sources + run, fault->pages, flags);
}

/* A large leaf has one pair of bits: while they are tracked none is made. */
static bool maps_large(const struct fault *fault)
{
	return fault->blocks &&
	       (!READ_ONCE(fault->partition->tracking) ||
		test_bit(mshv_region_block(fault->region, fault->gfn), fault->region->large));
}

/* map_lock and the locks of the blocks are held, the look is not stale. */
static u16 map_seen(struct fault *fault)
{
	/* Another processor was faster. Mapping over it would cost its bits. */
	if (!fault->again && mshv_mapped(fault->region, fault->gfn, fault->write)) {
		fault->pages = 0;
		return HVABI_STATUS_SUCCESS;
	}
	return maps_large(fault) ? map_blocks(fault) : map_run(fault);
}

/* All blocks that may be mapped have a table. map_lock is held. */
static bool have_tables(const struct fault *fault)
{
	u64 gfn = round_down(fault->gfn, MSHV_BLOCK_PAGES), end;

	end = max(fault->seen_end, gfn + (u64)fault->blocks * MSHV_BLOCK_PAGES);
	for (; gfn < end; gfn += MSHV_BLOCK_PAGES)
		if (!mshv_table(fault->partition, gfn))
			return false;
	return true;
}

/* Whether what was seen may be mapped: 0; 1: there is nothing to do any more; -EAGAIN. map_lock is held. */
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
 * The first page from the one asked for on that the child does not have, behind what was mapped. A VMM
 * that asks for all has to be told of the right, too; and of what was done, where there is no more.
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

/* In one block. */
static int map_one(struct fault *fault, u16 *status)
{
	int ret;

	read_lock(&fault->partition->map_lock);
	ret = check_seen(fault);
	if (!ret) {
		mshv_block_lock(fault->region, fault->gfn);
		*status = map_seen(fault);
		fault->next = mapped_end(fault);
		mshv_block_unlock(fault->region, fault->gfn);
	}
	read_unlock(&fault->partition->map_lock);
	return ret;
}

/* In the block of the page asked for, and the one after it. */
static int map_two(struct fault *fault, u16 *status)
{
	int ret;

	read_lock(&fault->partition->map_lock);
	ret = check_seen(fault);
	if (!ret) {
		mshv_two_blocks_lock(fault->region, fault->gfn);
		*status = map_seen(fault);
		fault->next = mapped_end(fault);
		mshv_two_blocks_unlock(fault->region, fault->gfn);
	}
	read_unlock(&fault->partition->map_lock);
	return ret;
}

/* Several blocks, large. Their locks are too many to take: nobody else maps, for one hypercall. */
static int map_list(struct fault *fault, u16 *status)
{
	int ret;

	write_lock(&fault->partition->map_lock);
	ret = check_seen(fault);
	if (!ret) {
		*status = map_seen(fault);
		fault->next = mapped_end(fault);
	}
	write_unlock(&fault->partition->map_lock);
	return ret;
}

/*
 * Tables for all blocks that were seen to have something. A look goes on while memory is allocated;
 * if Linux takes pages for that, it becomes stale.
 */
static int prepare_tables(struct fault *fault)
{
	u64 gfn = round_down(fault->gfn, MSHV_BLOCK_PAGES), end;
	u64 border = gfn + MSHV_BLOCK_PAGES;
	int ret = 0;

	fault->seen_end = fault->span.end;
	if (fault->span.end > border && (fault->blocks || *kind_of(fault, border) == MSHV_KIND_NONE))
		fault->seen_end = border;
	end = max(fault->seen_end, gfn + (u64)fault->blocks * MSHV_BLOCK_PAGES);
	for (; !ret && gfn < end; gfn += MSHV_BLOCK_PAGES)
		ret = mshv_table_prepare(fault->region, gfn);
	return ret;
}

/* Map what was seen. Returns 0; -EAGAIN if it is out of date; -ENOMEM. *status is the hypervisor's. */
static int map(struct fault *fault, u16 *status)
{
	u64 border = round_down(fault->gfn, MSHV_BLOCK_PAGES) + MSHV_BLOCK_PAGES;
	int ret;

	*status = HVABI_STATUS_SUCCESS;
	ret = prepare_tables(fault);
	if (ret)
		return ret;
	if (fault->blocks > 1)
		ret = map_list(fault, status);
	else if (fault->seen_end > border)
		ret = map_two(fault, status);
	else
		ret = map_one(fault, status);
	return min(ret, 0);
}

/*
 * Begin a look: at all that the fault may be about, or, when something there is changing or was while
 * we looked, at less, and in the end at the page alone. Ahead of the guest nobody waits for it.
 * Returns 0, -EINTR, or -EBUSY.
 */
static int begin_look(struct fault *fault)
{
	struct mshv_region *region = fault->region;
	unsigned long block = mshv_region_block(region, fault->gfn);
	u64 first = max(mshv_block_gfn(region, block), region->gfn);
	u64 end = min(mshv_block_gfn(region, block + 1), mshv_region_end(region));

	for (; fault->extent < EXTENT_PAGE; fault->extent++) {
		u64 to = max(end, fault->extent == EXTENT_LIST ? fault->span.reach : fault->span.end);

		/* The last block of a list is one that all of has to be looked at. */
		if (fault->extent == EXTENT_LIST)
			to = min(round_up(to, MSHV_BLOCK_PAGES), mshv_region_end(region));
		if (mshv_look_try(fault->partition, &fault->look, mshv_gfn_to_hva(region, first),
				  mshv_gfn_to_hva(region, to)))
			return 0;
	}
	if (fault->ahead)
		return -EBUSY;
	fault->span.first = fault->gfn;
	fault->span.end = fault->gfn + 1;
	fault->span.ahead_end = min(fault->span.ahead_end, fault->gfn + 1);
	fault->span.reach = fault->gfn + 1;
	return mshv_look_begin(fault->partition, &fault->look, mshv_gfn_to_hva(region, fault->gfn),
			       mshv_gfn_to_hva(region, fault->gfn + 1));
}

/* Look. If the page asked for is missing, *end is the end of what shall be faulted in, else 0. */
static int look_up(struct fault *fault, u64 *end)
{
	unsigned long address = mshv_gfn_to_hva(fault->region, fault->gfn);
	struct mm_struct *mm = fault->partition->mm;
	struct vm_area_struct *vma;
	int ret;

	*end = 0;
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = vma_lookup(mm, address);
	ret = look_at(fault, vma);
	if (!ret && !asked_present(fault))
		ret = check_vma(fault, vma, address, end);
	mmap_read_unlock(mm);
	return ret == -EBUSY && !fault->ahead ? -EAGAIN : ret;
}

/* Find the page in Linux and map it. Returns as map(), and as looking and faulting in do. */
static int map_movable(struct fault *fault, u16 *status)
{
	u64 end;
	int ret;

	ret = begin_look(fault);
	if (ret)
		return ret;
	ret = look_up(fault, &end);
	if (!ret && !end)
		ret = map(fault, status);
	mshv_look_end(fault->partition, &fault->look);
	if (ret || !end)
		return ret;
	ret = fault->device ? fault_in_device(fault) : fault_in(fault, end);
	if (ret)
		return ret;
	fault->faulted = true;
	return -EAGAIN;
}

/*
 * One look and one attempt. Returns 0 when served, -EAGAIN to try again, or why it cannot be
 * served.
 */
static int try_fault(struct fault *fault)
{
	struct mshv_region *region = fault->region;
	u16 status;
	int ret;

	ret = mshv_region_settled(region);
	if (ret)
		return ret;
	if (READ_ONCE(region->state) == MSHV_REGION_PINNED)
		ret = mshv_pinned_fault(region, fault->gfn, fault->scratch->sources, &status);
	else
		ret = map_movable(fault, &status);
	/* That the partition died meanwhile the next dispatch finds out. */
	if (ret || status == HVABI_STATUS_SUCCESS || READ_ONCE(region->partition->dead))
		return ret;
	if (!mshv_status_needs_memory(status))
		return mshv_status_errno(status);
	ret = mshv_deposit_for(region->partition, status, &fault->deposits);
	return ret ? ret : -EAGAIN;
}

/* Until the span is served or cannot be. */
static int serve_span(struct fault *fault)
{
	struct mshv_region *region = fault->region;
	int ret;

	ret = mshv_reserve_fill(region->partition);
	while (!ret) {
		ret = try_fault(fault);
		if (ret != -EAGAIN)
			break;
		fault->retries++;
		cond_resched();
		/* Any signal: let the guest fault again after it. */
		ret = signal_pending(current) ? -EINTR : 0;
	}
	if (!ret && fault->window && fault->next)
		mshv_window_served(fault->window, fault->next, fault->large);
	if (!ret && fault->pages)
		mshv_count(region, fault->large ? MSHV_STAT_PAGES_LARGE : MSHV_STAT_PAGES_SMALL,
			   fault->pages);
	mshv_count(region, MSHV_STAT_FAULT_RETRY, fault->retries);
	return ret;
}

/*
 * The window of a guest in sequence goes on behind what one look and one call are of. Whatever goes wrong
 * there the guest has not asked for.
 */
static void serve_more(const struct fault *served, const struct mshv_span *span)
{
	u64 gfn = served->next;
	unsigned int calls;

	for (calls = 1; gfn < span->reach; calls++) {
		struct fault fault = {
			.partition = served->partition,
			.region = served->region,
			.window = served->window,
			.scratch = served->scratch,
			.gfn = gfn,
			.write = served->write,
			.ahead = true,
			.span = mshv_window_more(span, gfn),
			.extent = served->large ? EXTENT_LIST : EXTENT_SPAN,
		};

		/* What is allocated is mapped; of what is there anyway, so many calls. */
		if (gfn >= span->ahead_end && calls >= MSHV_WINDOW_CALLS)
			return;
		if (READ_ONCE(fault.partition->tracking) || signal_pending(current) ||
		    serve_span(&fault) || fault.next <= gfn)
			return;
		gfn = fault.next;
		cond_resched();
	}
}

/**
 * mshv_fault_forget() - end what is left of a processor's last fault
 * @vp: processor that does not run
 */
void mshv_fault_forget(struct mshv_vp *vp)
{
	if (vp->repeat.watching)
		mshv_look_end(vp->partition, &vp->repeat.watch);
	vp->repeat.watching = false;
}

/*
 * The same fault as the last one. It is watched from the second on whether Linux takes the page away
 * in between: only if not, the guest has made no progress and it counts.
 */
static bool repeats(struct mshv_vp *vp, const struct mshv_region *region, u64 gfn, u32 access, u64 rip)
{
	struct mshv_repeat *repeat = &vp->repeat;
	bool same = repeat->gfn == gfn && repeat->rip == rip && repeat->access == access;
	bool counts = same && repeat->watching && !READ_ONCE(repeat->watch.stale);

	mshv_fault_forget(vp);
	repeat->gfn = gfn;
	repeat->rip = rip;
	repeat->access = access;
	repeat->count = counts ? repeat->count + 1 : 0;
	if (same)
		repeat->watching = mshv_look_try(vp->partition, &repeat->watch,
						 mshv_gfn_to_hva(region, gfn),
						 mshv_gfn_to_hva(region, gfn + 1));
	return same;
}

/* How far the child has the pages from @gfn on, no further than @end. */
static u64 find_mapped_end(struct mshv_region *region, u64 gfn, u64 end)
{
	u64 next;

	read_lock(&region->partition->map_lock);
	while (region->state == MSHV_REGION_MOVABLE && gfn < end) {
		mshv_block_lock(region, gfn);
		next = mshv_mapped_end(region, gfn, false);
		mshv_block_unlock(region, gfn);
		if (next == gfn)
			break;
		gfn = next;
	}
	read_unlock(&region->partition->map_lock);
	return gfn;
}

/*
 * A processor is in sequence, too, if others have got all the pages between where it was expected and
 * where it faults: two that take turns would otherwise have a fault a page for ever.
 */
static void catch_up(const struct fault *fault)
{
	struct mshv_stream *stream = fault->window->streams;
	unsigned int i;

	for (i = 0; i < MSHV_WINDOW_STREAMS; i++, stream++) {
		if (!stream->ahead || stream->next < fault->region->gfn || stream->next >= fault->gfn ||
		    fault->gfn - stream->next > 2 * MSHV_WINDOW_AHEAD_MAX)
			continue;
		/* Beyond it: the child has the page itself, and wants no more than another right. */
		if (find_mapped_end(fault->region, stream->next, fault->gfn) == fault->gfn)
			stream->next = fault->gfn;
	}
}

static int serve(struct mshv_vp *vp, struct mshv_region *region, u64 gfn, u32 access, u64 rip)
{
	struct fault fault = {
		.partition = vp->partition,
		.region = region,
		.window = &vp->window,
		.scratch = vp->scratch,
		.gfn = gfn,
		.write = access == HVABI_INTERCEPT_ACCESS_WRITE,
	};
	struct mshv_span span;
	bool hidden_write;
	int ret;

	fault.again = repeats(vp, region, gfn, access, rip);
	/*
	 * The message may call a write a read (accesses of the page-table walker, for example). Then
	 * mapping read-only would fault for ever.
	 */
	hidden_write = access == HVABI_INTERCEPT_ACCESS_READ && region->writable &&
		       vp->repeat.count >= MSHV_REPEAT_MAX;
	fault.write |= hidden_write;
	catch_up(&fault);
	span = mshv_window_choose(&vp->window, gfn, region->gfn, mshv_region_end(region));
	fault.span = span;
	fault.extent = vp->window.streams[0].large ? EXTENT_LIST : EXTENT_SPAN;
	ret = serve_span(&fault);
	if (hidden_write && ret && ret != -EINTR) {
		/* It was none: nobody could have written there. */
		fault.write = false;
		fault.retries = 0;
		vp->repeat.count = 0;
		ret = serve_span(&fault);
	}
	/* What was not served is no progress that the guest could have made. */
	if (ret)
		vp->repeat.count = 0;
	trace_fault(vp->partition->id, vp->index, gfn, access, fault.first, fault.pages,
		    fault.large, fault.writable, fault.retries, ret);
	if (!ret && fault.next)
		serve_more(&fault, &span);
	return ret;
}

/**
 * mshv_fault() - serve a memory intercept, if it is in a region
 * @vp: processor, stopped by it
 * @message: UNMAPPED_GPA or GPA_INTERCEPT: which of the two depends on history that means nothing
 *   here
 * @served: where to store whether the processor can go on
 *
 * Context: the partition's address space is the caller's; vp->lock is held; may sleep.
 *
 * Return: 0; not served then means that the access is the VMM's business (no region, or a right
 * that the region does not give). -EINTR: a signal; running again faults again. Otherwise why Linux
 * cannot supply the page: -EFAULT, -EHWPOISON, -EACCES, -ENOMEM, -EOPNOTSUPP (RAM behind a device's
 * mapping), or the errno of the hypervisor.
 */
int mshv_fault(struct mshv_vp *vp, const struct hvabi_message *message, bool *served)
{
	const struct hvabi_x64_memory_intercept_message *intercept =
		(const void *)message->payload;
	u64 gfn = intercept->guest_physical_address >> HVABI_PAGE_SHIFT;
	u32 access = intercept->header.intercept_access_type;
	struct mshv_region *region;
	int ret = 0;

	*served = false;
	region = mshv_region_get(vp->partition, gfn);
	if (!region)
		return 0;
	if ((access == HVABI_INTERCEPT_ACCESS_WRITE && !region->writable) ||
	    (access == HVABI_INTERCEPT_ACCESS_EXECUTE && !region->executable))
		goto out;
	ret = serve(vp, region, gfn, access, intercept->header.rip);
	*served = !ret;
out:
	mshv_count_fault(region, ret, *served);
	mshv_region_put(region);
	return ret;
}

/**
 * mshv_fault_in() - give the child a page that the hypervisor needs on its behalf
 * @partition: child
 * @gfn: page
 * @write: with the right to write
 *
 * Context: may sleep; no lock of the driver but vp->lock or partition->lock.
 *
 * Return: 0; -ENOENT no region there; -EPERM: not the address space that created the partition;
 * -EACCES the region or its mapping lacks the right; otherwise as mshv_fault().
 */
int mshv_fault_in(struct mshv_partition *partition, u64 gfn, bool write)
{
	struct fault fault = {
		.partition = partition,
		.gfn = gfn,
		.write = write,
		.span = { .first = gfn, .end = gfn + 1, .ahead_end = gfn + 1, .reach = gfn + 1 },
		.extent = EXTENT_SPAN,
	};
	int ret;

	if (current->mm != partition->mm)
		return -EPERM;
	fault.region = mshv_region_get(partition, gfn);
	if (!fault.region)
		return -ENOENT;
	ret = -EACCES;
	if (write && !fault.region->writable)
		goto out;
	ret = -ENOMEM;
	fault.scratch = kvmalloc(sizeof(*fault.scratch), GFP_KERNEL_ACCOUNT);
	if (fault.scratch)
		ret = serve_span(&fault);
	kvfree(fault.scratch);
out:
	mshv_region_put(fault.region);
	return ret;
}

/* Of a look that found nothing to map at the page asked for: the next page that may be something. */
static u64 next_present(const struct fault *fault)
{
	u64 gfn = fault->gfn + 1;

	while (gfn < fault->span.end && *kind_of(fault, gfn) != MSHV_KIND_READ &&
	       *kind_of(fault, gfn) != MSHV_KIND_WRITE)
		gfn++;
	return gfn;
}

/**
 * mshv_fault_range() - give the child a part of a region before it asks
 * @region: region
 * @gfn: first page; where to store the page to go on with, which is after it unless an errno is
 *	returned, or the region is none any more
 * @end: page after the last one, in the region
 * @write: with the right to write
 * @present: nothing may be allocated: only what Linux has, with the rights that are there
 * @scratch: room
 *
 * Context: the partition's address space is the caller's; may sleep; no lock of the driver.
 *
 * Return: 0; -EINTR: a signal; otherwise as mshv_fault(), of the page at which it stopped.
 */
int mshv_fault_range(struct mshv_region *region, u64 *gfn, u64 end, bool write, bool present,
		     struct mshv_scratch *scratch)
{
	struct fault fault = {
		.partition = region->partition,
		.region = region,
		.scratch = scratch,
		.gfn = *gfn,
		.write = write,
		.all = true,
		.span = {
			.first = *gfn,
			.end = min(*gfn + MSHV_WINDOW_LOOK, end),
			.ahead_end = present ? *gfn : min(*gfn + MSHV_WINDOW_AHEAD_MAX, end),
			.reach = min(*gfn + MSHV_WINDOW_REACH_MAX, end),
		},
		.extent = EXTENT_LIST,
	};
	int ret = serve_span(&fault);

	if (present && ret == -ENOENT)
		fault.next = next_present(&fault);
	else if (ret)
		return ret;
	else if (READ_ONCE(region->state) == MSHV_REGION_REMOVED)
		/* Another may have taken its place: whoever looks for it finds out. */
		return 0;
	else if (READ_ONCE(region->partition->dead))
		return -EOWNERDEAD;
	else if (!fault.next)
		/* Pinned: all of the block. */
		fault.next = round_down(*gfn, MSHV_BLOCK_PAGES) + MSHV_BLOCK_PAGES;
	*gfn = min(fault.next, end);
	return 0;
}
