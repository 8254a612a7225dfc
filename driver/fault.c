// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest touched a page that is not mapped, or not with the right it needs: look it up in Linux,
 * map what is there.
 *
 * How one fault goes:
 *	1. Begin a look at the block (invalidate.c): what has Linux around that page, with which rights
 *	   and map order (mmap_lock for reading, HMM)? Looking never faults.
 *	2. If the page itself is missing or lacks the right, let Linux fault it in, and go to 1.
 *	3. Take map_lock. If the look is stale, go to 1, and look at less: at the page asked for and
 *	   nothing else, so that no change elsewhere can keep the guest from it. Mark dirty what the
 *	   child will be able to write. Map what the child does not have.
 *	4. If the hypervisor wants memory: drop the lock, deposit, go to 1.
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
 * struct fault - one fault on its way
 *
 * What was asked:
 * @partition: child
 * @region: region of the page
 * @window: history of the processor, or NULL: nothing but the page
 * @gfn: page asked for
 * @write: the guest writes
 * @ahead: nobody touched @gfn yet, but a guest in sequence is about to
 * @again: the guest comes back for a page that it was given: map it, whatever the record says
 * @span: pages to look at
 *
 * What was seen, of each page of the span:
 * @scratch: kinds and page numbers; and what HMM says, of memory with pages
 * @look: tells whether that still holds. Of the whole block, so that it can be mapped as one; when
 *	that was disturbed, of @gfn only
 * @narrow: the look is of @gfn only
 * @device: it is device memory
 * @large_source: page number of the block's first page, if Linux maps the block by one entry; or 0
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
	bool again;
	struct mshv_span span;

	struct mshv_scratch *scratch;
	struct mshv_look look;
	bool narrow;
	bool device;
	u64 large_source;

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

/* Linux has the page, with the right the guest needs. */
static bool asked_present(const struct fault *fault)
{
	u8 kind = *kind_of(fault, fault->gfn);

	return kind == MSHV_KIND_WRITE || (kind == MSHV_KIND_READ && !fault->write);
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
 * Page number of the block's first page if Linux maps all of the block by one entry and so can we,
 * else 0.
 */
static u64 large_source(const struct fault *fault, unsigned long pfn)
{
	const struct mshv_region *region = fault->region;
	u64 offset = mshv_block_index(fault->gfn);
	u64 source;

	if (fault->narrow || !(pfn & HMM_PFN_VALID) || pfn & HMM_PFN_ERROR ||
	    hmm_pfn_to_map_order(pfn) < MSHV_BLOCK_SHIFT)
		return 0;
	if (!mshv_block_whole(region, mshv_region_block(region, fault->gfn)))
		return 0;
	/* The entry covers the addresses of the block only if GFN and HVA are congruent. */
	if ((region->gfn ^ (region->hva >> PAGE_SHIFT)) & (MSHV_BLOCK_PAGES - 1))
		return 0;
	source = page_to_pfn(hmm_pfn_to_page(pfn)) - offset;
	return source & (MSHV_BLOCK_PAGES - 1) ? 0 : source;
}

/* Memory that has pages. mmap_lock is held. Returns 0 or an errno. */
static int look_at_memory(struct fault *fault)
{
	struct mshv_partition *partition = fault->partition;
	struct mshv_scratch *scratch = fault->scratch;
	struct hmm_range range = {
		.notifier = &partition->hmm,
		.notifier_seq = partition->hmm.invalidate_seq,
		.start = mshv_gfn_to_hva(fault->region, fault->span.first),
		.end = mshv_gfn_to_hva(fault->region, fault->span.end),
		.hmm_pfns = scratch->pfns,
	};
	u32 i, count = fault->span.end - fault->span.first;
	unsigned long pfn;
	int ret;

	ret = hmm_range_fault(&range);
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
	fault->large_source = large_source(fault, scratch->pfns[fault->gfn - fault->span.first]);
	return 0;
}

/* @vma is the asked page's or NULL. mmap_lock is held. Returns 0 or an errno. */
static int look_at(struct fault *fault, struct vm_area_struct *vma)
{
	fault->large_source = 0;
	fault->device = vma && mshv_vma_is_device(vma);
	if (!fault->device)
		return look_at_memory(fault);
	look_at_device(fault, vma);
	return 0;
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

/*
 * Let Linux fault in the page asked for, and those after it up to @end that it does not have.
 * Nobody else's page is touched: a neighbour that is present and read-only stays shared.
 */
static int fault_in(struct fault *fault, u64 end)
{
	unsigned int flags = MSHV_COMPAT_FOLL_FAULT | FOLL_HWPOISON |
			     (fault->write ? FOLL_WRITE : 0);
	u64 gfn, run_end;
	long got;

	for (gfn = fault->gfn; gfn < end; gfn = run_end) {
		run_end = gfn + 1;
		if (gfn != fault->gfn && *kind_of(fault, gfn) != MSHV_KIND_NONE)
			continue;
		while (run_end < end && *kind_of(fault, run_end) == MSHV_KIND_NONE)
			run_end++;
		got = mshv_compat_fault_remote(fault->partition->mm,
					       mshv_gfn_to_hva(fault->region, gfn),
					       run_end - gfn, flags);
		if (gfn == fault->gfn && got < 0)
			return got;
		/* Whatever is wrong there, the guest has not asked for it. */
		if (got < (long)(run_end - gfn))
			break;
	}
	return 0;
}

/* Marking the folio dirty makes nobody write anything that he would not have written otherwise. */
static bool dirtying_is_free(struct folio *folio)
{
	return folio_test_dirty(folio) ||
	       (folio_test_anon(folio) && folio_test_swapbacked(folio) &&
		!folio_test_swapcache(folio));
}

/* The right with which a page that Linux has shall be mapped. */
static u8 right_for(const struct fault *fault, u64 gfn)
{
	u8 kind = *kind_of(fault, gfn);

	if (kind != MSHV_KIND_WRITE)
		return kind;
	if (!fault->region->writable)
		return MSHV_KIND_READ;
	if (gfn == fault->gfn && fault->write)
		return MSHV_KIND_WRITE;
	if (READ_ONCE(fault->partition->tracking))
		return MSHV_KIND_READ;
	if (fault->device)
		return MSHV_KIND_WRITE;
	return dirtying_is_free(pfn_folio(fault->scratch->sources[gfn - fault->span.first])) ?
	       MSHV_KIND_WRITE : MSHV_KIND_READ;
}

/* Map the whole block. map_lock and the block's lock are held, the look is not stale. */
static u16 map_block(struct fault *fault)
{
	fault->large = true;
	fault->first = round_down(fault->gfn, MSHV_BLOCK_PAGES);
	fault->pages = MSHV_BLOCK_PAGES;
	fault->writable = right_for(fault, fault->gfn) == MSHV_KIND_WRITE;
	if (fault->writable)
		folio_mark_dirty(pfn_folio(fault->large_source));
	return mshv_map_block(fault->region, fault->gfn, fault->large_source,
			      fault->writable ? HVABI_MAP_GPA_WRITABLE : 0);
}

/*
 * The page asked for, and those around it that the child does not have and gets with the same right.
 * Returns the index of the first one in the span.
 */
static u32 choose_run(struct fault *fault)
{
	u32 i, run, count = fault->span.end - fault->span.first;
	u8 *kinds = fault->scratch->kinds;
	u32 limit = READ_ONCE(fault->partition->tracking) ? 1 : MSHV_BLOCK_PAGES;

	for (i = 0; i < count; i++) {
		u64 gfn = fault->span.first + i;

		kinds[i] = right_for(fault, gfn);
		if (gfn != fault->gfn && mshv_mapped(fault->region, gfn, false))
			kinds[i] = MSHV_KIND_NONE;
	}
	run = mshv_run_around(kinds, count, fault->gfn - fault->span.first, limit, &fault->pages);
	fault->first = fault->span.first + run;
	fault->writable = kinds[run] == MSHV_KIND_WRITE;
	return run;
}

/* Map small pages. map_lock and the block's lock are held, the look is not stale. */
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
	return fault->large_source &&
	       (!READ_ONCE(fault->partition->tracking) ||
		test_bit(mshv_region_block(fault->region, fault->gfn), fault->region->large));
}

/* map_lock and the block's lock are held, the look is not stale. */
static u16 map_seen(struct fault *fault)
{
	/* Another processor was faster. Mapping over it would cost its bits. */
	if (!fault->again && mshv_mapped(fault->region, fault->gfn, fault->write)) {
		fault->pages = 0;
		return HVABI_STATUS_SUCCESS;
	}
	return maps_large(fault) ? map_block(fault) : map_run(fault);
}

/* Returns 0, -EAGAIN if what was seen is out of date; *status is the hypervisor's. */
static int map(struct fault *fault, u16 *status)
{
	struct mshv_partition *partition = fault->partition;
	struct mshv_region *region = fault->region;
	int ret = 0;

	*status = HVABI_STATUS_SUCCESS;
	read_lock(&partition->map_lock);
	if (region->state == MSHV_REGION_REMOVED || READ_ONCE(partition->dead)) {
		/* The next dispatch finds out. */
		fault->pages = 0;
	} else if (READ_ONCE(fault->look.stale)) {
		fault->narrow = true;
		ret = -EAGAIN;
	} else if (region->state != MSHV_REGION_MOVABLE || !mshv_table(partition, fault->gfn)) {
		ret = -EAGAIN;
	} else {
		mshv_block_lock(region, fault->gfn);
		*status = map_seen(fault);
		fault->next = mshv_mapped_end(region, fault->gfn);
		mshv_block_unlock(region, fault->gfn);
	}
	read_unlock(&partition->map_lock);
	return ret;
}

/*
 * Begin a look: at all that the region has of the block, or, when something there is changing or was
 * while we looked, at the page alone. Returns 0, or -EINTR.
 */
static int begin_look(struct fault *fault)
{
	struct mshv_region *region = fault->region;
	unsigned long block = mshv_region_block(region, fault->gfn);
	u64 first = max(mshv_block_gfn(region, block), region->gfn);
	u64 end = min(mshv_block_gfn(region, block + 1), mshv_region_end(region));

	if (!fault->narrow && mshv_look_try(fault->partition, &fault->look,
					    mshv_gfn_to_hva(region, first),
					    mshv_gfn_to_hva(region, end)))
		return 0;
	fault->narrow = true;
	fault->span.first = fault->gfn;
	fault->span.end = fault->gfn + 1;
	fault->span.ahead_end = fault->gfn + 1;
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
	return ret == -EBUSY ? -EAGAIN : ret;
}

/* Find the page in Linux and map it. Returns as map(), and as looking and faulting in do. */
static int map_movable(struct fault *fault, u16 *status)
{
	u64 end;
	int ret;

	ret = mshv_table_prepare(fault->region, fault->gfn);
	if (!ret)
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
		mshv_window_served(fault->window, fault->next);
	if (!ret && fault->pages)
		mshv_count(region, fault->large ? MSHV_STAT_PAGES_LARGE : MSHV_STAT_PAGES_SMALL,
			   fault->pages);
	mshv_count(region, MSHV_STAT_FAULT_RETRY, fault->retries);
	return ret;
}

/*
 * The window of a guest in sequence may reach into the next block. Whatever goes wrong there the
 * guest has not asked for.
 */
static void serve_more(const struct fault *served)
{
	struct fault fault = {
		.partition = served->partition,
		.region = served->region,
		.window = served->window,
		.scratch = served->scratch,
		.write = served->write,
		.ahead = true,
	};

	fault.span = mshv_window_more(fault.window, served->gfn, mshv_region_end(fault.region));
	fault.gfn = fault.span.first;
	if (fault.span.first < fault.span.end && served->next == fault.span.first &&
	    !READ_ONCE(fault.partition->tracking))
		serve_span(&fault);
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

/*
 * A processor is in sequence, too, if others have got all the pages between where it was expected and
 * where it faults: two that take turns would otherwise have a fault a page for ever.
 */
static void catch_up(const struct fault *fault)
{
	struct mshv_region *region = fault->region;
	u64 next = fault->window->next, end;

	if (!fault->window->ahead || next < region->gfn || next >= fault->gfn ||
	    fault->gfn - next > 2 * MSHV_WINDOW_AHEAD_MAX)
		return;
	read_lock(&fault->partition->map_lock);
	while (region->state == MSHV_REGION_MOVABLE && next < fault->gfn) {
		mshv_block_lock(region, next);
		end = mshv_mapped_end(region, next);
		mshv_block_unlock(region, next);
		if (end == next)
			break;
		next = end;
	}
	read_unlock(&fault->partition->map_lock);
	/* Beyond it: the child has the page itself, and wants no more than another right. */
	if (next == fault->gfn)
		mshv_window_served(fault->window, next);
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
	fault.span = mshv_window_choose(&vp->window, gfn, region->gfn, mshv_region_end(region));
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
	if (!ret)
		serve_more(&fault);
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
		.span = { .first = gfn, .end = gfn + 1, .ahead_end = gfn + 1 },
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
