// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinned regions: all pages faulted, pinned and mapped when the region is made, for the life of the
 * region.
 *
 * Laws:
 *	- Counted against RLIMIT_MEMLOCK of the VMM before the first page is pinned.
 *	- All or nothing: a short pin or a failed map is undone, and the errno says why.
 *	- Pages that the child could write are marked dirty when they are unpinned; the child does
 *	  not reach them any more then. If the hypervisor keeps a map all the same, the partition
 *	  has been killed: its processors do not run.
 *	- Pages of an isolated partition are given to it in between (host_access.c).
 *	- The per-page memory (8 bytes) is the price of pinning; movable regions have none.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "mshv.h"
#include "trace.h"

/* Pages pinned by one call: bounds the time without a look at signals. */
#define MSHV_PIN_BATCH	(16 * MSHV_BLOCK_PAGES)

static void unpin(struct mshv_region *region, u64 pages)
{
	struct page **list = region->pinned_pages;
	u64 done = 0, end;

	while (done < pages) {
		/* A page that was not given back stays as it is. */
		for (end = done; end < pages && end - done < MSHV_PIN_BATCH && list[end]; end++)
			;
		unpin_user_pages_dirty_lock(list + done, end - done, region->writable);
		done = end + (end < pages && !list[end]);
		cond_resched();
	}
}

/* Returns the number of pages pinned; *error says why it is short. */
static u64 pin(struct mshv_region *region, int *error)
{
	unsigned int flags = FOLL_LONGTERM | (region->writable ? FOLL_WRITE : 0);
	u64 done = 0;
	long got;

	*error = 0;
	while (done < region->pages) {
		if (fatal_signal_pending(current)) {
			*error = -EINTR;
			break;
		}
		got = pin_user_pages_fast(region->hva + (done << PAGE_SHIFT),
					  min_t(u64, region->pages - done, MSHV_PIN_BATCH), flags,
					  region->pinned_pages + done);
		if (got <= 0) {
			*error = got ? got : -EFAULT;
			break;
		}
		done += got;
		cond_resched();
	}
	return done;
}

/*
 * The block's pages are 512 in a row and aligned: pinned as they are, one map may hold them
 * whatever Linux's page table does.
 */
static bool block_contiguous(struct mshv_region *region, u64 gfn)
{
	struct page **pages = region->pinned_pages + (gfn - region->gfn);
	unsigned long pfn = page_to_pfn(pages[0]);
	unsigned int i;

	if (pfn & (MSHV_BLOCK_PAGES - 1))
		return false;
	for (i = 1; i < MSHV_BLOCK_PAGES; i++)
		if (page_to_pfn(pages[i]) != pfn + i)
			return false;
	return true;
}

/*
 * Map what the region has of one block. Nobody else maps here: the region is not in the tree yet.
 */
static u16 map_one(struct mshv_region *region, u64 gfn, u64 end, u64 *sources)
{
	unsigned long block = mshv_region_block(region, gfn);
	struct page **pages = region->pinned_pages + (gfn - region->gfn);
	unsigned int i;
	u16 status;

	read_lock(&region->lock);
	if (mshv_block_whole(region, block) && block_contiguous(region, gfn)) {
		status = mshv_region_map_block(region, gfn, page_to_pfn(pages[0]),
					       region->writable);
	} else {
		for (i = 0; i < end - gfn; i++)
			sources[i] = page_to_pfn(pages[i]);
		status = mshv_region_map_pages(region, gfn, sources, end - gfn, region->writable);
	}
	read_unlock(&region->lock);
	return status;
}

static int map_all(struct mshv_region *region)
{
	u64 gfn = region->gfn, end;
	unsigned int tries = 0;
	u64 *sources;
	u16 status;
	int ret = 0;

	sources = kmalloc_array(MSHV_BLOCK_PAGES, sizeof(*sources), GFP_KERNEL);
	if (!sources)
		return -ENOMEM;
	while (!ret && gfn < mshv_region_end(region)) {
		end = min(round_down(gfn, MSHV_BLOCK_PAGES) + MSHV_BLOCK_PAGES,
			  mshv_region_end(region));
		status = map_one(region, gfn, end, sources);
		if (status == HVABI_STATUS_SUCCESS) {
			gfn = end;
			tries = 0;
		} else if (mshv_status_needs_memory(status)) {
			ret = mshv_deposit_for(region->partition, status, &tries);
		} else {
			ret = mshv_status_errno(status);
		}
		cond_resched();
	}
	kfree(sources);
	return ret;
}

/**
 * mshv_region_pin() - pin and map all pages of a region
 * @region: not in the tree yet
 *
 * Context: the region's address space is the caller's; partition->lock is held.
 *
 * Return: 0; -ENOMEM memory or RLIMIT_MEMLOCK; -EFAULT nothing to pin at an address; -EINTR; or the
 * errno of the hypervisor.
 */
int mshv_region_pin(struct mshv_region *region)
{
	struct mm_struct *mm = region->partition->mm;
	struct mshv_blanked blanked = { };
	u64 pinned = 0, released = 0;
	int ret;

	region->pinned_pages = kvcalloc(region->pages, sizeof(*region->pinned_pages),
					GFP_KERNEL_ACCOUNT);
	if (!region->pinned_pages)
		return -ENOMEM;
	ret = account_locked_vm(mm, region->pages, true);
	if (ret)
		goto out_free;

	pinned = pin(region, &ret);
	trace_pin(region->partition->id, region->gfn, region->pages, pinned, ret);
	if (!ret && region->partition->isolated)
		ret = mshv_host_access_release(region, &released);
	if (!ret)
		ret = map_all(region);
	if (!ret)
		return 0;

	write_lock(&region->lock);
	mshv_region_blank(region, region->gfn, mshv_region_end(region), true, &blanked);
	write_unlock(&region->lock);
	mshv_host_access_acquire(region, released);
	unpin(region, pinned);
	account_locked_vm(mm, region->pages, false);
out_free:
	kvfree(region->pinned_pages);
	return ret;
}

/* The child does not reach the pages any more. Cannot fail. */
void mshv_region_unpin(struct mshv_region *region)
{
	if (region->partition->isolated)
		mshv_host_access_acquire(region, region->pages);
	unpin(region, region->pages);
	account_locked_vm(region->partition->mm, region->pages, false);
	kvfree(region->pinned_pages);
}
