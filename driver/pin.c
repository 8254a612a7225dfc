// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinned regions: all pages faulted, pinned and mapped, from the moment it is asked for (when the
 * region is made, or later under a running guest) until it is asked back or the region goes.
 *
 * Laws:
 *	- Counted against RLIMIT_MEMLOCK of the VMM before the first page is pinned.
 *	- All or nothing: a short pin or a failed map is undone, the region is movable again, and the
 *	  errno says why.
 *	- Nothing is mapped at the moment when the kind changes. A page that Linux had put in another's
 *	  place before the pin would else stay mapped with nobody to take it away. The guest faults
 *	  what it touches meanwhile, and waits as long as the region is CHANGING.
 *	- What a guest misses of a pinned region it gets from the list of pages, so it does not matter
 *	  who is faster, the guest or map_all().
 *	- Pages that the child could write are marked dirty when they are unpinned; the child does
 *	  not reach them any more then. If the hypervisor keeps a map all the same, the partition
 *	  has been killed: its processors do not run.
 *	- Pages of an isolated partition are given to it in between (host_access.c). Its regions stay
 *	  pinned.
 *	- The per-page memory (8 bytes) is the price of pinning; movable regions have none.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>
/* Needs cpu_relax() from the headers above. */
#include <linux/bit_spinlock.h>

#include "mshv.h"
#include "trace.h"

/* Pages pinned by one call: bounds the time without a look at signals. */
#define MSHV_PIN_BATCH	MSHV_BLOCK_PAGES

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

/*
 * Pin some pages. Returns how many, or an errno.
 *
 * To pin for long Linux moves pages out of ZONE_MOVABLE: it takes them off its lists, then looks for
 * a place to put them, and may have to compact for that. Compaction waits while a sixteenth of a
 * node's pages is off the lists, so some VMMs that pin huge pages at once would wait for each other
 * for ever. It lets those pass that must not enter a file system (too_many_isolated() in
 * mm/compaction.c). They do not call the OOM killer either, so what has to be found in memory is
 * found before, by a pin like any other.
 */
static long pin_batch(struct mshv_region *region, u64 first, u64 pages)
{
	unsigned long address = region->hva + (first << PAGE_SHIFT);
	unsigned int flags = region->writable ? FOLL_WRITE : 0;
	struct page **list = region->pinned_pages + first;
	unsigned int scope;
	long got;

	scope = memalloc_pin_save();
	got = pin_user_pages_fast(address, pages, flags, list);
	memalloc_pin_restore(scope);
	if (got <= 0)
		return got;
	unpin_user_pages(list, got);

	scope = memalloc_nofs_save();
	got = pin_user_pages_fast(address, got, flags | FOLL_LONGTERM, list);
	memalloc_nofs_restore(scope);
	return got;
}

/* Returns the number of pages pinned; *error says why it is short. */
static u64 pin(struct mshv_region *region, int *error)
{
	u64 done = 0;
	long got;

	*error = 0;
	while (done < region->pages) {
		if (fatal_signal_pending(current)) {
			*error = -EINTR;
			break;
		}
		got = pin_batch(region, done, min_t(u64, region->pages - done, MSHV_PIN_BATCH));
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

/**
 * mshv_pinned_map() - map what a pinned region has of one block
 * @region: region
 * @gfn: a page of the block and of the region
 * @sources: room for the page numbers of one block
 * @status: where to store the hypervisor's answer
 *
 * Context: process context; takes region->lock for reading.
 *
 * Return: 0, or -EAGAIN: the region is not pinned, nothing was done.
 */
int mshv_pinned_map(struct mshv_region *region, u64 gfn, u64 *sources, u16 *status)
{
	unsigned long block = mshv_region_block(region, gfn);
	u64 first = max(mshv_block_gfn(region, block), region->gfn);
	u64 end = min(mshv_block_gfn(region, block + 1), mshv_region_end(region));
	u32 flags = region->writable ? HVABI_MAP_GPA_WRITABLE : 0;
	struct page **pages;
	int ret = -EAGAIN;
	unsigned int i;

	read_lock(&region->lock);
	if (region->state != MSHV_REGION_PINNED)
		goto out;
	ret = 0;
	pages = region->pinned_pages + (first - region->gfn);
	bit_spin_lock(block, region->busy);
	if (mshv_block_whole(region, block) && block_contiguous(region, first)) {
		*status = mshv_region_map_block(region, first, page_to_pfn(pages[0]), flags);
	} else {
		for (i = 0; i < end - first; i++)
			sources[i] = page_to_pfn(pages[i]);
		*status = mshv_region_map_pages(region, first, sources, end - first, flags);
	}
	bit_spin_unlock(block, region->busy);
out:
	read_unlock(&region->lock);
	return ret;
}

/* The region is pinned, and stays so: partition->lock is held. */
static int map_all(struct mshv_region *region)
{
	unsigned long block = 0, blocks = mshv_region_blocks(region);
	unsigned int tries = 0;
	u64 *sources;
	u16 status;
	int ret = 0;

	sources = kmalloc_array(MSHV_BLOCK_PAGES, sizeof(*sources), GFP_KERNEL);
	if (!sources)
		return -ENOMEM;
	while (!ret && block < blocks) {
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		ret = mshv_pinned_map(region, max(mshv_block_gfn(region, block), region->gfn),
				      sources, &status);
		if (ret)
			break;
		if (status == HVABI_STATUS_SUCCESS) {
			block++;
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

/* Take all away from the child and go on as @state. Faults wait meanwhile. */
static void change_state(struct mshv_region *region, enum mshv_region_state state)
{
	struct mshv_blanked blanked = { };

	write_lock(&region->lock);
	region->state = MSHV_REGION_CHANGING;
	mshv_region_blank(region, region->gfn, mshv_region_end(region), true, &blanked);
	region->state = state;
	write_unlock(&region->lock);
	/* Pairs with the barrier of a waiter that has queued itself and tests the state. */
	smp_mb();
	wake_up_var(&region->state);
}

/**
 * mshv_region_settled() - wait while a region changes its kind
 * @region: region
 *
 * Context: may sleep.
 *
 * Return: 0, or -EINTR: a signal.
 */
int mshv_region_settled(struct mshv_region *region)
{
	return wait_var_event_interruptible(&region->state, READ_ONCE(region->state) !=
					    MSHV_REGION_CHANGING) ? -EINTR : 0;
}

/* Give up the first pages of the list. The child does not reach them. Cannot fail. */
static void drop_pins(struct mshv_region *region, u64 pinned)
{
	unpin(region, pinned);
	trace_unpin(region->partition->id, region->gfn, pinned);
	account_locked_vm(region->partition->mm, region->pages, false);
	kvfree(region->pinned_pages);
	region->pinned_pages = NULL;
}

/**
 * mshv_region_pin() - make a movable region pinned: pin and map all its pages
 * @region: region
 *
 * Context: the region's address space is the caller's; partition->lock is held; the guest may run.
 *
 * Return: 0; -ENOMEM memory or RLIMIT_MEMLOCK; -EFAULT nothing to pin at an address; -EINTR;
 * -EINVAL memory that an isolated partition cannot have; or the errno of the hypervisor. If not 0
 * the region is movable.
 */
int mshv_region_pin(struct mshv_region *region)
{
	bool isolated = region->partition->isolated, hidden = false;
	u64 pinned, released = 0;
	int ret;

	region->pinned_pages = kvcalloc(region->pages, sizeof(*region->pinned_pages),
					GFP_KERNEL_ACCOUNT);
	if (!region->pinned_pages)
		return -ENOMEM;
	ret = account_locked_vm(region->partition->mm, region->pages, true);
	if (ret) {
		kvfree(region->pinned_pages);
		region->pinned_pages = NULL;
		return ret;
	}

	pinned = pin(region, &ret);
	trace_pin(region->partition->id, region->gfn, region->pages, pinned, ret);
	if (!ret && isolated && !mshv_host_access_possible(region))
		ret = -EINVAL;
	if (!ret && isolated) {
		hidden = true;
		ret = mshv_host_access_hide(region);
	}
	if (!ret && isolated)
		ret = mshv_host_access_release(region, &released);
	if (!ret) {
		change_state(region, MSHV_REGION_PINNED);
		ret = map_all(region);
		if (!ret)
			return 0;
		change_state(region, MSHV_REGION_MOVABLE);
	}
	mshv_host_access_acquire(region, released);
	if (hidden)
		mshv_host_access_show(region);
	drop_pins(region, pinned);
	return ret;
}

/**
 * mshv_region_drop_pins() - give up the pages of a region that was pinned, if it was
 * @region: the child does not reach its pages, and nobody maps any more
 *
 * Context: process context, may sleep. Cannot fail.
 */
void mshv_region_drop_pins(struct mshv_region *region)
{
	if (!region->pinned_pages)
		return;
	if (region->partition->isolated)
		mshv_host_access_acquire(region, region->pages);
	drop_pins(region, region->pages);
}

/**
 * mshv_region_unpin() - make a pinned region movable
 * @region: region of a partition that is not isolated
 *
 * Context: partition->lock is held; the guest may run. Cannot fail.
 */
void mshv_region_unpin(struct mshv_region *region)
{
	change_state(region, MSHV_REGION_MOVABLE);
	mshv_region_drop_pins(region);
}
