// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fault looks: what does Linux have around the page, with which rights, in which size? And where
 * it has nothing, or not the right that is needed, it shall fault it in.
 *
 * Laws:
 *	- Looking never faults anything in, and what was seen holds only while the look is not stale
 *	  (look.c).
 *	- A look that is disturbed becomes smaller, in the end the page asked for and nothing else:
 *	  no change elsewhere can keep the guest from it.
 *	- Linux is asked for what the guest asked for, and for what a guest in sequence has earned
 *	  (window.h); a neighbour that is present and read-only stays shared.
 *
 * Why Linux is asked to fault by GUP (without taking the pages) and not by HMM: hmm_range_fault()
 * that has to fault one page of a hole faults all pages of the hole that lie in the range; and it
 * faults in a way that userfaultfd and signals cannot use. Device memory has no pages that GUP
 * could get: there it is fixup_user_fault(). What nobody has asked for needs no answer, only a
 * fault, as an IOMMU makes them: handle_mm_fault(). All of them decide by the rights of the
 * mapping, never by those of the thread (protection keys): HMM does not know the thread, and a
 * guest is none.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/userfaultfd_k.h>

#include "compat.h"
#include "fault.h"

/* Nothing may be allocated for the page asked for: map what Linux has, as it has it. */
static bool only_present(const struct fault *fault)
{
	return fault->gfn >= fault->span.ahead_end;
}

/* Linux has the page, with the right the guest needs. What nobody has touched yet stays shared. */
static bool asked_present(const struct fault *fault)
{
	u8 kind = kind_of(fault, fault->gfn);

	return kind == MSHV_KIND_WRITE ||
	       (kind == MSHV_KIND_READ && (!fault->write || fault->ahead || only_present(fault)));
}

/* Device memory, as far as its mapping goes and may be read. mmap_lock is held. */
static void look_at_device(struct fault *fault, struct vm_area_struct *vma)
{
	unsigned long first = mshv_gfn_to_hva(fault->region, fault->span.first);
	unsigned long last = mshv_gfn_to_hva(fault->region, fault->span.end - 1);
	unsigned long start = max(first, vma->vm_start);
	unsigned long end = min(last, vma->vm_end - PAGE_SIZE) + PAGE_SIZE;
	u32 offset = (start - first) >> PAGE_SHIFT;

	memset(fault->scratch->kinds, MSHV_KIND_NONE, fault->span.end - fault->span.first);
	/* An entry is there, and tells nothing of this, also where the VMM may not read. */
	if (!(vma->vm_flags & VM_READ))
		return;
	mshv_device_look(vma, start, (end - start) >> PAGE_SHIFT, fault->scratch->sources + offset,
			 fault->scratch->kinds + offset);
}

/*
 * Page number of the first page of the block of a page if Linux maps all of the block by one entry
 * and so can we, else 0. @pfn is what HMM says of the page.
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

/* Memory that has pages. mmap_lock is held. Returns 0 or an errno. */
static int look_at_pages(struct fault *fault)
{
	return ask_hmm(fault, fault->span.first, fault->span.end, fault->scratch->pfns);
}

/*
 * What shall be faulted in, up to *end: the page asked for, and of a guest that goes in sequence as
 * much as the window and the VMA have. Or why Linux cannot have the page, where it can be told.
 * mmap_lock is held.
 */
static int check_vma(struct fault *fault, struct vm_area_struct *vma, unsigned long address,
		     u64 *end)
{
	u8 kind = kind_of(fault, fault->gfn);

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
	/*
	 * It was faulted in, and gone before it was seen: what was faulted in with it took its
	 * place.
	 */
	if (fault->faulted)
		return 0;
	*end = min(fault->span.ahead_end, fault->gfn + ((vma->vm_end - address) >> PAGE_SHIFT));
	return 0;
}

/*
 * Begin a look: at all that the fault may be about, or, when something there is changing or was
 * while we looked, at less, and in the end at the page alone. Ahead of the guest nobody waits for
 * it. Returns 0, -EINTR, or -EBUSY.
 */
static int begin_look(struct fault *fault)
{
	struct mshv_region *region = fault->region;
	unsigned long block = mshv_region_block(region, fault->gfn);
	u64 first = mshv_part_first(region, block);
	u64 end = mshv_part_end(region, block);

	for (; fault->extent < EXTENT_PAGE; fault->extent++) {
		u64 to = max(end,
			     fault->extent == EXTENT_LIST ? fault->span.reach : fault->span.end);

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

/*
 * HMM does not know the page, or not with the right: it is device memory, or Linux shall fault it
 * in, up to *end, or cannot. mmap_lock is held. Returns 0 or an errno.
 */
static int look_at_vma(struct fault *fault, u64 *end)
{
	unsigned long address = mshv_gfn_to_hva(fault->region, fault->gfn);
	struct vm_area_struct *vma = vma_lookup(fault->partition->mm, address);

	fault->device = vma && mshv_vma_is_device(vma);
	if (fault->device) {
		look_at_device(fault, vma);
		if (asked_present(fault))
			return 0;
	}
	return check_vma(fault, vma, address, end);
}

/* Returns 0 or an errno; *end as mshv_fault_look(). */
static int look_up(struct fault *fault, u64 *end)
{
	struct mm_struct *mm = fault->partition->mm;
	int ret;

	*end = 0;
	fault->blocks = 0;
	fault->device = false;
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	ret = look_at_pages(fault);
	if (!ret && asked_present(fault))
		look_at_blocks(fault, fault->scratch->pfns[fault->gfn - fault->span.first]);
	else if (!ret)
		ret = look_at_vma(fault, end);
	mmap_read_unlock(mm);
	return ret == -EBUSY && !fault->ahead ? -EAGAIN : ret;
}

/**
 * mshv_fault_look() - see what Linux has at a fault
 * @fault: the fault
 * @end: where to store 0, if the page asked for is there; or up to where mshv_fault_supply() shall
 *	fault in
 *
 * Context: process context, may sleep; no lock but those of the caller of mshv_fault().
 *
 * Return: 0: the look goes on, until mshv_look_end(). Otherwise it has ended, or never began:
 * -EAGAIN: look again; -EBUSY: something changes ahead of the guest, where nobody waits for it;
 * -EINTR; -ENOENT: nothing may be allocated; or why Linux cannot have the page: -EFAULT, -EACCES,
 * -EOPNOTSUPP.
 */
int mshv_fault_look(struct fault *fault, u64 *end)
{
	int ret;

	ret = begin_look(fault);
	if (ret)
		return ret;
	ret = look_up(fault, end);
	if (ret)
		mshv_look_end(fault->partition, &fault->look);
	return ret;
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
 * A page behind the one asked for that shall be faulted in with it. Who asks for all to write means
 * it.
 */
static inline bool missing(unsigned long pfn, bool all_to_write)
{
	u8 kind = hmm_kind(pfn);

	return kind == MSHV_KIND_NONE || (kind == MSHV_KIND_READ && all_to_write);
}

/* The page asked for. Returns 0, or why it cannot be had. */
static int fault_in_asked(struct fault *fault)
{
	unsigned int flags = MSHV_COMPAT_FOLL_FAULT | FOLL_HWPOISON |
			     (fault->write ? FOLL_WRITE : 0);
	long got;

	got = mshv_compat_fault_remote(fault->partition->mm,
				       mshv_gfn_to_hva(fault->region, fault->gfn), flags);
	return min(got, 0L);
}

/* A mapping in which pages may be faulted in that nobody has asked for. mmap_lock is held. */
static bool is_for_more(const struct fault *fault, struct vm_area_struct *vma)
{
	return vma && vma->vm_flags & VM_READ && (!fault->write || vma->vm_flags & VM_WRITE) &&
	       !mshv_vma_is_device(vma) && !userfaultfd_armed(vma);
}

/* How many pages from @gfn on Linux maps by one entry. mmap_lock is held. */
static unsigned int pages_of_entry(struct fault *fault, u64 gfn)
{
	unsigned long pfn = 0, pages;

	if (ask_hmm(fault, gfn, gfn + 1, &pfn) || hmm_kind(pfn) == MSHV_KIND_NONE)
		return 1;
	pages = 1UL << hmm_pfn_to_map_order(pfn);
	return pages - (mshv_gfn_to_hva(fault->region, gfn) >> PAGE_SHIFT) % pages;
}

/* Who was killed, or has to take memory from the guest itself, does not go on. May sleep. */
static bool no_more(const struct fault *fault)
{
	cond_resched();
	return fatal_signal_pending(current) || is_scarce(fault);
}

/*
 * Let Linux fault in what it does not have from @gfn to before @end, as the span shows it, behind
 * the page asked for. Nobody else's page is touched: a neighbour that is present and read-only
 * stays shared. Whatever is wrong there, the guest has not asked for it: it ends this; so does a
 * signal that kills, or any where Linux waits, for which it gives mmap_lock away. Returns whether
 * all was faulted in.
 */
static bool fault_in_behind(struct fault *fault, u64 gfn, u64 end)
{
	const unsigned int anew = FAULT_FLAG_DEFAULT | FAULT_FLAG_REMOTE |
				  (fault->write ? FAULT_FLAG_WRITE : 0);
	unsigned long address = mshv_gfn_to_hva(fault->region, gfn);
	const unsigned long *pfns = fault->scratch->pfns;
	u32 i = gfn - fault->span.first, all = end - fault->span.first, last = all;
	const bool all_to_write = fault->all && fault->write;
	struct mm_struct *mm = fault->partition->mm;
	struct vm_area_struct *vma = NULL;
	unsigned int flags = anew, pages;
	u32 check = i;
	bool ask = true;
	vm_fault_t ret;

	for (; i < last; i += pages, address += pages * PAGE_SIZE) {
		pages = 1;
		if (i >= check) {
			check = i + MSHV_WINDOW_AROUND;
			if (no_more(fault))
				break;
		}
		if (!missing(pfns[i], all_to_write))
			continue;
		if (!vma) {
			if (signal_pending(current) || mmap_read_lock_killable(mm))
				return false;
			vma = vma_lookup(mm, address);
			if (!is_for_more(fault, vma)) {
				mmap_read_unlock(mm);
				return false;
			}
			/* It may have changed. */
			last = min_t(u64, last, i + ((vma->vm_end - address) >> PAGE_SHIFT));
		}
		ret = handle_mm_fault(vma, address, flags, NULL);
		if (!ask && !(ret & (VM_FAULT_RETRY | VM_FAULT_COMPLETED | VM_FAULT_ERROR)))
			continue;
		if (ret & (VM_FAULT_RETRY | VM_FAULT_COMPLETED))
			vma = NULL;
		if (ret & VM_FAULT_ERROR)
			break;
		flags = anew;
		ask = ret & VM_FAULT_RETRY;
		if (ask) {
			flags |= FAULT_FLAG_TRIED;
			pages = 0;
		} else if (vma) {
			/* One fault may have brought all of a block; then the next one, too. */
			pages = pages_of_entry(fault, fault->span.first + i);
			ask = pages > 1;
		}
	}
	if (vma)
		mmap_read_unlock(mm);
	return i >= all;
}

/*
 * The window of a guest in sequence, up to @end, goes beyond the span: a block at a time, and a
 * signal ends it, or that there is no memory for it but the guest's own. What is seen here is good
 * for nothing but to leave alone what is there.
 */
static int fault_in(struct fault *fault, u64 end)
{
	struct mm_struct *mm = fault->partition->mm;
	const struct mshv_span span = fault->span;
	bool more;
	int ret;

	ret = fault_in_asked(fault);
	if (ret)
		return ret;
	more = fault_in_behind(fault, fault->gfn + 1, min(end, span.end));
	while (more && fault->span.end < end && !signal_pending(current) && !is_scarce(fault)) {
		fault->span.first = fault->span.end;
		fault->span.end = min(end, round_down(fault->span.first, MSHV_BLOCK_PAGES) +
					   MSHV_BLOCK_PAGES);
		if (mmap_read_lock_killable(mm))
			break;
		more = !look_at_pages(fault);
		mmap_read_unlock(mm);
		if (more)
			more = fault_in_behind(fault, fault->span.first, fault->span.end);
		cond_resched();
	}
	fault->span = span;
	return 0;
}

/**
 * mshv_fault_supply() - let Linux fault in what a look did not find
 * @fault: the fault; its look has ended
 * @end: what mshv_fault_look() said
 *
 * Context: process context, may sleep; no lock but those of the caller of mshv_fault(). A signal
 * ends it.
 *
 * Return: 0: look again; or an errno: the page asked for cannot be had.
 */
int mshv_fault_supply(struct fault *fault, u64 end)
{
	int ret = fault->device ? fault_in_device(fault) : fault_in(fault, end);

	if (!ret)
		fault->faulted = true;
	return ret;
}
