// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest touched a page that is not mapped, or not with the right it needs: look it up in Linux,
 * map what is there.
 *
 * How one fault goes:
 *	1. Look (mmap_lock for reading, HMM): what has Linux around that page, with which rights and
 *	   map order? Looking never faults.
 *	2. If the page itself is missing or lacks the right, let Linux fault it in, and go to 1.
 *	3. Take region->lock. If a notifier came by since 1, go to 1. Mark dirty what the child will
 *	   be able to write. Map.
 *	4. If the hypervisor wants memory: drop the lock, deposit, go to 1.
 *
 * Why Linux is asked to fault by GUP (without taking the pages) and not by HMM: hmm_range_fault()
 * that has to fault one page of a hole faults all pages of the hole that lie in the range; and it
 * faults in a way that userfaultfd and signals cannot use. Device memory has no pages that GUP
 * could get: there it is fixup_user_fault().
 *
 * A guest write is never forgotten. The child's own dirty bits are gone when a page is unmapped,
 * and Linux's page table entry may be writable and clean (a page swapped in for a read; shmem). So
 * a folio is marked dirty before the child gets it writable, under region->lock with a valid
 * sequence. At that moment the page is mapped in the VMM and stays mapped, because whoever unmaps
 * it calls the notifier first, and that waits for region->lock; this is the guarantee that the
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
 * Linux write.
 */
#include <linux/errno.h>
#include <linux/hmm.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/userfaultfd_k.h>
/* Needs cpu_relax() from the headers above. */
#include <linux/bit_spinlock.h>

#include "compat.h"
#include "mshv.h"
#include "trace.h"

/*
 * A read that faults this often at the same instruction must be a write that the message does not
 * show.
 */
#define MSHV_REPEAT_MAX		8

/**
 * struct fault - one fault on its way
 * @vp: processor
 * @region: its region
 * @gfn: page asked for
 * @write: the guest writes
 * @ahead: nobody touched @gfn yet, but a guest in sequence is about to
 * @device: it is device memory: the look is in vp->kinds and vp->sources, not in vp->pfns
 * @span: window
 * @seq: notifier sequence of the last look
 * @faulted: Linux has faulted the page in at least once
 * @retries: looks beyond the first
 * @deposits: deposits made
 * @first: first page mapped
 * @pages: pages mapped
 * @large: as one block
 * @writable: with the right to write
 */
struct fault {
	struct mshv_vp *vp;
	struct mshv_region *region;
	u64 gfn;
	bool write;
	bool ahead;
	bool device;
	struct mshv_span span;
	unsigned long seq;
	bool faulted;
	unsigned int retries;
	unsigned int deposits;
	u64 first;
	unsigned int pages;
	bool large;
	bool writable;
};

static unsigned long asked_pfn(const struct fault *fault)
{
	return fault->vp->pfns[fault->gfn - fault->span.first];
}

static enum mshv_kind asked_kind(const struct fault *fault)
{
	return fault->vp->kinds[fault->gfn - fault->span.first];
}

/* Linux has the page, with the right the guest needs. */
static bool asked_present(const struct fault *fault)
{
	unsigned long pfn = asked_pfn(fault);

	if (fault->device)
		return asked_kind(fault) == MSHV_KIND_WRITE ||
		       (asked_kind(fault) == MSHV_KIND_READ && !fault->write);
	if (!(pfn & HMM_PFN_VALID) || pfn & HMM_PFN_ERROR)
		return false;
	return !fault->write || pfn & HMM_PFN_WRITE;
}

/* Linux has something at a page that was looked at. */
static bool present(const struct fault *fault, u64 gfn)
{
	u32 i = gfn - fault->span.first;

	return fault->device ? fault->vp->kinds[i] : fault->vp->pfns[i];
}

/* Of device memory as far as its mapping goes. mmap_lock is held. */
static void look_device(struct fault *fault, struct vm_area_struct *vma)
{
	unsigned long first = mshv_gfn_to_hva(fault->region, fault->span.first);
	unsigned long last = mshv_gfn_to_hva(fault->region, fault->span.end - 1);
	unsigned long start = max(first, vma->vm_start);
	unsigned long end = min(last, vma->vm_end - PAGE_SIZE) + PAGE_SIZE;
	u32 offset = (start - first) >> PAGE_SHIFT;
	struct mshv_vp *vp = fault->vp;

	memset(vp->kinds, MSHV_KIND_NONE, fault->span.end - fault->span.first);
	mshv_device_look(vma, start, (end - start) >> PAGE_SHIFT, fault->region->writable,
			 vp->sources + offset, vp->kinds + offset);
}

/* @vma is the asked page's or NULL. mmap_lock is held. */
static int look(struct fault *fault, struct vm_area_struct *vma)
{
	struct hmm_range range = {
		.notifier = &fault->region->notifier,
		.notifier_seq = fault->seq,
		.start = mshv_gfn_to_hva(fault->region, fault->span.first),
		.end = mshv_gfn_to_hva(fault->region, fault->span.end),
		.hmm_pfns = fault->vp->pfns,
	};

	fault->device = vma && mshv_vma_is_device(vma);
	if (!fault->device)
		return hmm_range_fault(&range);
	look_device(fault, vma);
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
	if (!vma)
		return -EFAULT;
	if (!(vma->vm_flags & (fault->write ? VM_WRITE : VM_READ)))
		return -EACCES;
	if (fault->device && asked_kind(fault) == MSHV_KIND_RAM)
		return -EOPNOTSUPP;
	if (fault->faulted && !fault->device && asked_pfn(fault) & HMM_PFN_ERROR)
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
	struct mm_struct *mm = fault->vp->partition->mm;
	bool unlocked = false;
	int ret;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	ret = fixup_user_fault(mm, mshv_gfn_to_hva(fault->region, fault->gfn),
			       fault->write ? FAULT_FLAG_WRITE : 0, &unlocked);
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
		if (gfn != fault->gfn && present(fault, gfn))
			continue;
		while (run_end < end && !present(fault, run_end))
			run_end++;
		got = get_user_pages_unlocked(mshv_gfn_to_hva(fault->region, gfn), run_end - gfn,
					      NULL, flags);
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

static enum mshv_kind page_kind(const struct fault *fault, u64 gfn)
{
	unsigned long pfn = fault->vp->pfns[gfn - fault->span.first];

	if (!(pfn & HMM_PFN_VALID) || pfn & HMM_PFN_ERROR)
		return MSHV_KIND_NONE;
	if (!fault->region->writable || !(pfn & HMM_PFN_WRITE))
		return MSHV_KIND_READ;
	if (gfn == fault->gfn && fault->write)
		return MSHV_KIND_WRITE;
	return dirtying_is_free(page_folio(hmm_pfn_to_page(pfn))) ? MSHV_KIND_WRITE : MSHV_KIND_READ;
}

/*
 * Page number of the block's first page if Linux maps all of the block by one entry and so shall
 * we, else 0.
 */
static u64 large_source(const struct fault *fault)
{
	const struct mshv_region *region = fault->region;
	u64 offset = fault->gfn & (MSHV_BLOCK_PAGES - 1);
	unsigned long pfn = asked_pfn(fault);
	u64 source = hmm_pfn_to_page(pfn) ? page_to_pfn(hmm_pfn_to_page(pfn)) - offset : 0;

	if (hmm_pfn_to_map_order(pfn) < MSHV_BLOCK_SHIFT)
		return 0;
	/* A large map has one pair of access bits. */
	if (READ_ONCE(region->partition->tracking) &&
	    !test_bit(mshv_region_block(region, fault->gfn), region->large))
		return 0;
	if (!mshv_block_whole(region, mshv_region_block(region, fault->gfn)))
		return 0;
	/* The entry covers the addresses of the block only if GFN and HVA are congruent. */
	if ((region->gfn ^ (region->hva >> PAGE_SHIFT)) & (MSHV_BLOCK_PAGES - 1))
		return 0;
	return source & (MSHV_BLOCK_PAGES - 1) ? 0 : source;
}

/* Map the whole block. region->lock and the busy bit are held, the sequence is valid. */
static u16 map_block(struct fault *fault, u64 source)
{
	fault->large = true;
	fault->first = round_down(fault->gfn, MSHV_BLOCK_PAGES);
	fault->pages = MSHV_BLOCK_PAGES;
	fault->writable = page_kind(fault, fault->gfn) == MSHV_KIND_WRITE;
	if (fault->writable)
		folio_mark_dirty(page_folio(hmm_pfn_to_page(asked_pfn(fault))));
	return mshv_region_map_block(fault->region, fault->gfn, source,
				     fault->writable ? HVABI_MAP_GPA_WRITABLE : 0);
}

/*
 * The page and the neighbours with equal rights, by vp->kinds. Returns the index of the first one
 * in the window.
 */
static u32 choose_run(struct fault *fault)
{
	u32 limit = READ_ONCE(fault->region->partition->tracking) ? 1 : MSHV_BLOCK_PAGES;
	u32 run;

	run = mshv_run_around(fault->vp->kinds, fault->span.end - fault->span.first,
			      fault->gfn - fault->span.first, limit, &fault->pages);
	fault->large = false;
	fault->first = fault->span.first + run;
	fault->writable = asked_kind(fault) == MSHV_KIND_WRITE;
	return run;
}

/* Map small pages. region->lock and the busy bit are held, the sequence is valid. */
static u16 map_run(struct fault *fault)
{
	u32 count = fault->span.end - fault->span.first;
	struct folio *folio, *dirtied = NULL;
	struct mshv_vp *vp = fault->vp;
	u32 i, run;

	for (i = 0; i < count; i++)
		vp->kinds[i] = page_kind(fault, fault->span.first + i);
	run = choose_run(fault);
	for (i = 0; i < fault->pages; i++) {
		struct page *page = hmm_pfn_to_page(vp->pfns[run + i]);

		vp->sources[i] = page_to_pfn(page);
		folio = page_folio(page);
		if (fault->writable && folio != dirtied) {
			folio_mark_dirty(folio);
			dirtied = folio;
		}
	}
	return mshv_region_map_pages(fault->region, fault->first, vp->sources, fault->pages,
				     fault->writable ? HVABI_MAP_GPA_WRITABLE : 0);
}

/* Map device memory. region->lock and the busy bit are held, the sequence is valid. */
static u16 map_device(struct fault *fault)
{
	u32 run = choose_run(fault);

	return mshv_region_map_pages(fault->region, fault->first, fault->vp->sources + run,
				     fault->pages, HVABI_MAP_GPA_NOT_CACHED |
				     (fault->writable ? HVABI_MAP_GPA_WRITABLE : 0));
}

static u16 map_memory(struct fault *fault)
{
	u64 source = large_source(fault);

	return source ? map_block(fault, source) : map_run(fault);
}

/* Returns 0, -EAGAIN if the look is out of date, or another errno; *status is the hypervisor's. */
static int map(struct fault *fault, u16 *status)
{
	struct mshv_region *region = fault->region;
	unsigned long block = mshv_region_block(region, fault->gfn);
	int ret = 0;

	*status = HVABI_STATUS_SUCCESS;
	read_lock(&region->lock);
	if (region->state == MSHV_REGION_REMOVED || READ_ONCE(region->partition->dead)) {
		/* The next dispatch finds out. */
		fault->pages = 0;
	} else if (region->state != MSHV_REGION_MOVABLE ||
		   mmu_interval_read_retry(&region->notifier, fault->seq)) {
		ret = -EAGAIN;
	} else {
		bit_spin_lock(block, region->busy);
		*status = fault->device ? map_device(fault) : map_memory(fault);
		bit_spin_unlock(block, region->busy);
	}
	read_unlock(&region->lock);
	return ret;
}

/* Look. If the page asked for is missing, *end is the end of what shall be faulted in, else 0. */
static int look_up(struct fault *fault, u64 *end)
{
	unsigned long address = mshv_gfn_to_hva(fault->region, fault->gfn);
	struct mm_struct *mm = fault->vp->partition->mm;
	struct vm_area_struct *vma;
	int ret;

	*end = 0;
	fault->seq = mmu_interval_read_begin(&fault->region->notifier);
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = vma_lookup(mm, address);
	ret = look(fault, vma);
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

	ret = look_up(fault, &end);
	if (ret)
		return ret;
	if (!end)
		return map(fault, status);
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
		ret = mshv_pinned_map(region, fault->gfn, fault->vp->sources, &status);
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

/*
 * The message may call a write a read (accesses of the page-table walker, for example). Then
 * mapping read-only would fault for ever.
 */
static bool hidden_write(struct mshv_vp *vp, u64 gfn, u64 rip)
{
	if (gfn != vp->repeat_gfn || rip != vp->repeat_rip)
		vp->repeat = 0;
	vp->repeat_gfn = gfn;
	vp->repeat_rip = rip;
	return ++vp->repeat > MSHV_REPEAT_MAX;
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
	if (!ret && fault->pages) {
		mshv_window_served(&fault->vp->window, fault->first + fault->pages);
		mshv_count(region, fault->large ? MSHV_STAT_PAGES_LARGE : MSHV_STAT_PAGES_SMALL,
			   fault->pages);
	}
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
		.vp = served->vp,
		.region = served->region,
		.write = served->write,
		.ahead = true,
	};

	fault.span = mshv_window_more(&fault.vp->window, served->gfn,
				      mshv_region_end(fault.region));
	fault.gfn = fault.span.first;
	if (fault.span.first < fault.span.end && served->first + served->pages == fault.span.first &&
	    !READ_ONCE(fault.region->partition->tracking))
		serve_span(&fault);
}

static int serve(struct mshv_vp *vp, struct mshv_region *region, u64 gfn, u32 access, u64 rip)
{
	struct fault fault = {
		.vp = vp,
		.region = region,
		.gfn = gfn,
		.write = access == HVABI_INTERCEPT_ACCESS_WRITE,
	};
	int ret;

	if (hidden_write(vp, gfn, rip) && region->writable)
		fault.write = true;
	fault.span = mshv_window_choose(&vp->window, gfn, region->gfn, mshv_region_end(region));
	ret = serve_span(&fault);
	trace_fault(vp->partition->id, vp->index, gfn, access, fault.first, fault.pages,
		    fault.large, fault.writable, fault.retries, ret);
	if (!ret)
		serve_more(&fault);
	return ret;
}

/**
 * mshv_fault() - serve a memory intercept, if it is in a movable region
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
