// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux changes a page table entry of the VMM: the child loses the page before the callback
 * returns.
 *
 * Laws:
 *	- Never fails, never allocates, never waits: neither for memory nor for anybody who sleeps.
 *	  All locks from region->lock on spin and are held for one hypercall, so the callback keeps
 *	  its promise for the OOM reaper too (non-blockable).
 *	- Blocks with nothing mapped cost no hypercall. A block that is mapped large goes as a
 *	  whole, so that no table has to be split and no memory is needed; the guest faults the rest
 *	  again. Neighbouring blocks go in one hypercall.
 *	- If the hypervisor wants memory all the same (it may have joined maps), it gets first the
 *	  whole block, then the partition's reserve. If it refuses still, the partition is killed:
 *	  its processors have stopped for good when the callback returns. Losing one guest is the
 *	  floor.
 *
 * Why the lock may be dropped between two steps: the sequence number was set under it. From then on
 * no fault that looked before can map (mmu_interval_read_retry()), and none that comes later gets
 * past mmu_interval_read_begin() before the invalidation ends. So what was taken away stays away.
 */
#include <linux/bitmap.h>
#include <linux/lockdep.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>

#include "mshv.h"
#include "trace.h"

/*
 * Blank pages or blocks; the last resorts included.
 * Returns false if the partition had to be killed.
 */
static bool take_away(struct mshv_region *region, u64 gfn, bool large, unsigned int reps,
		      struct mshv_blanked *blanked)
{
	struct mshv_partition *partition = region->partition;
	unsigned int shift = large ? MSHV_BLOCK_SHIFT : 0;
	unsigned int done;
	u16 status;

	lockdep_assert_held_write(&region->lock);
	while (reps) {
		status = mshv_gpa_blank(partition, gfn, large, reps, &done);
		blanked->calls++;
		blanked->pages += (u64)done << shift;
		gfn += (u64)done << shift;
		reps -= done;
		if (status == HVABI_STATUS_SUCCESS)
			continue;
		if (mshv_status_needs_memory(status) && mshv_deposit_reserve(partition))
			continue;
		mshv_partition_kill(partition, gfn, status);
		return false;
	}
	return true;
}

static void take_blocks(struct mshv_region *region, unsigned long block, unsigned int blocks,
			struct mshv_blanked *blanked)
{
	unsigned int i;

	if (!take_away(region, mshv_block_gfn(region, block), true, blocks, blanked))
		return;
	for (i = 0; i < blocks; i++) {
		clear_bit(block + i, region->large);
		clear_bit(block + i, region->mapped);
	}
}

static void take_pages(struct mshv_region *region, unsigned long block, u64 gfn, u64 end,
		       struct mshv_blanked *blanked)
{
	u64 first = max(mshv_block_gfn(region, block), region->gfn);
	u64 last_end = min(mshv_block_gfn(region, block + 1), mshv_region_end(region));
	bool whole = mshv_block_whole(region, block);
	unsigned int done;
	u16 status;

	status = mshv_gpa_blank(region->partition, gfn, false, end - gfn, &done);
	blanked->calls++;
	blanked->pages += done;
	if (gfn + done < end) {
		if (!mshv_status_needs_memory(status)) {
			mshv_partition_kill(region->partition, gfn + done, status);
			return;
		}
		if (whole) {
			take_blocks(region, block, 1, blanked);
			return;
		}
		if (!take_away(region, gfn + done, false, end - gfn - done, blanked))
			return;
	}
	/*
	 * Nothing is left of an unaligned head or tail. A whole block is "blank" only by a large
	 * map.
	 */
	if (gfn == first && end == last_end && !whole)
		clear_bit(block, region->mapped);
}

/*
 * The block can go as a whole: it lies in the region, and either all of it is wanted or it is one
 * map.
 */
static bool goes_whole(struct mshv_region *region, unsigned long block, u64 gfn, u64 end)
{
	u64 first = mshv_block_gfn(region, block);

	if (!mshv_block_whole(region, block))
		return false;
	return test_bit(block, region->large) ||
	       (first >= gfn && first + MSHV_BLOCK_PAGES <= end);
}

/**
 * mshv_region_blank_step() - take a part of a range away from the child, by one or two hypercalls
 * @region: region
 * @gfn: first page of the range
 * @end: page after the last one
 * @blanked: what was done is added here
 *
 * Context: holds region->lock for writing; does not sleep.
 *
 * Return: page to go on with; @end or more when nothing is left. After each step the child reaches
 * nothing below that page.
 */
u64 mshv_region_blank_step(struct mshv_region *region, u64 gfn, u64 end,
			   struct mshv_blanked *blanked)
{
	unsigned long last = mshv_region_block(region, end - 1);
	unsigned long block;
	unsigned int blocks;
	u64 stop;

	lockdep_assert_held_write(&region->lock);
	if (READ_ONCE(region->partition->dead)) {
		/* Whoever killed it may still be at it. */
		mshv_partition_stop(region->partition);
		return end;
	}

	block = find_next_bit(region->mapped, last + 1, mshv_region_block(region, gfn));
	if (block > last)
		return end;
	gfn = max(gfn, mshv_block_gfn(region, block));

	if (goes_whole(region, block, gfn, end)) {
		for (blocks = 1; blocks < HVABI_MAP_GPA_MAX && block + blocks <= last; blocks++)
			if (!test_bit(block + blocks, region->mapped) ||
			    !goes_whole(region, block + blocks, gfn, end))
				break;
		take_blocks(region, block, blocks, blanked);
		return mshv_block_gfn(region, block + blocks);
	}
	stop = min3(end, mshv_block_gfn(region, block + 1), mshv_region_end(region));
	take_pages(region, block, gfn, stop, blanked);
	return stop;
}

/**
 * mshv_region_blank() - take a range away from the child
 * @region: region
 * @gfn: first page
 * @end: page after the last one
 * @may_sleep: make room for others between the steps
 * @blanked: what was done is added here
 *
 * Context: holds region->lock for writing; may drop it in between with @may_sleep.
 */
void mshv_region_blank(struct mshv_region *region, u64 gfn, u64 end, bool may_sleep,
		       struct mshv_blanked *blanked)
{
	while (gfn < end) {
		gfn = mshv_region_blank_step(region, gfn, end, blanked);
		if (may_sleep)
			cond_resched_rwlock_write(&region->lock);
	}
}

static bool region_invalidate(struct mmu_interval_notifier *notifier,
			      const struct mmu_notifier_range *range, unsigned long cur_seq)
{
	struct mshv_region *region = container_of(notifier, struct mshv_region, notifier);
	unsigned long hva_end = region->hva + (region->pages << PAGE_SHIFT);
	unsigned long start = max(range->start, region->hva);
	unsigned long last = min(range->end, hva_end) - 1;
	bool may_sleep = mmu_notifier_range_blockable(range);
	struct mshv_blanked blanked = { };
	u64 gfn = region->gfn + ((start - region->hva) >> PAGE_SHIFT);
	u64 end = region->gfn + ((last - region->hva) >> PAGE_SHIFT) + 1;

	write_lock(&region->lock);
	mmu_interval_set_seq(notifier, cur_seq);
	if (region->state != MSHV_REGION_PINNED)
		mshv_region_blank(region, gfn, end, may_sleep, &blanked);
	write_unlock(&region->lock);

	mshv_count_invalidation(region, range->event, blanked.pages);
	trace_invalidate(region->partition->id, gfn, end - gfn, range->event, may_sleep,
			 blanked.pages, blanked.calls);
	return true;
}

const struct mmu_interval_notifier_ops mshv_region_notifier_ops = {
	.invalidate = region_invalidate,
};

/*
 * Tell lockdep once, at module load, that region->lock is taken in memory reclaim. Without this it
 * would find out only when reclaim happens to meet a region, on the machine of a user; with it any
 * allocation under the lock is reported at once. fs_reclaim_acquire() is not exported without
 * lockdep.
 */
void mshv_invalidate_prime_lockdep(void)
{
#ifdef CONFIG_LOCKDEP
	static struct mshv_region region;

	mshv_region_init_lock(&region);
	fs_reclaim_acquire(GFP_KERNEL);
	write_lock(&region.lock);
	write_unlock(&region.lock);
	fs_reclaim_release(GFP_KERNEL);
#endif
}
