// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux changes a page table entry of the VMM: the child loses the page before the callback
 * returns. One notifier a partition hears of all changes in its address space.
 *
 * From start to end of an invalidation its range is noted as in progress, so that nobody maps what
 * he saw there before (look.c); then all that is mapped there is zapped, under map_lock for
 * writing. map_lock may be dropped between the steps of a zap, because the range stays in progress:
 * nothing that was taken away comes back before Linux is done.
 *
 * Laws:
 *	- Never fails, never allocates, never waits: neither for memory nor for anybody who sleeps.
 *	  All locks here spin and are held for one hypercall, so the callback keeps its promise for
 *	  the OOM reaper too (non-blockable).
 *	- Leaving needs no quiet: unregistering waits for callbacks that run (SRCU), not for
 *	  invalidations to end.
 *	- Of a pinned region only what the VMM gives up is taken away (pin.c).
 *	- The end of the address space takes everything away: no callback comes after it.
 */
#include <linux/lockdep.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>

#include "mshv.h"
#include "trace.h"

/*
 * What the guest has used stays known where the pages may stay what they are (protected, split,
 * collapsed). One page alone goes to swap or to another place, and Linux has asked before: a call
 * more for each would buy nothing.
 */
static void keep_age(struct mshv_region *region, u64 gfn, u64 end, enum mmu_notifier_event event,
		     bool may_sleep)
{
	if (event == MMU_NOTIFY_UNMAP || event == MMU_NOTIFY_RELEASE || end - gfn == 1)
		return;
	/*
	 * What splits or collapses is one block; more of it is a VMM that discards, with nothing to
	 * remember.
	 */
	if (event == MMU_NOTIFY_CLEAR && end - gfn > MSHV_BLOCK_PAGES)
		return;
	while (gfn < end) {
		gfn = mshv_age_keep(region, gfn, end);
		if (may_sleep)
			cond_resched_rwlock_write(&region->partition->map_lock);
	}
}

/* What a region loses when Linux changes a range; map_lock is held for writing. */
static void zap_region(struct mshv_region *region, unsigned long start, unsigned long end,
		       enum mmu_notifier_event event, bool may_sleep, bool first)
{
	unsigned long hva_end = region->hva + (region->pages << PAGE_SHIFT);
	struct mshv_zapped zapped = { };
	u64 gfn = region->gfn, gfn_end = mshv_region_end(region);
	bool lost;

	if (start > region->hva)
		gfn += (start - region->hva) >> PAGE_SHIFT;
	if (end < hva_end)
		gfn_end -= (hva_end - end) >> PAGE_SHIFT;

	lost = mshv_pinned_lost(region, gfn, gfn_end, event, may_sleep);
	if (lost || region->state != MSHV_REGION_PINNED) {
		keep_age(region, gfn, gfn_end, event, may_sleep);
		mshv_zap(region, gfn, gfn_end, may_sleep, &zapped);
	}
	/* So reclaim takes pages, among others. */
	if (zapped.pages && event == MMU_NOTIFY_CLEAR)
		mshv_age_taken(&region->partition->age, zapped.pages);
	/*
	 * Reclaim, and who compacts memory that is short of large pages. What was faulted in ahead
	 * and is not mapped yet goes as well.
	 */
	if (region->state != MSHV_REGION_PINNED && event == MMU_NOTIFY_CLEAR &&
	    current->flags & PF_MEMALLOC)
		WRITE_ONCE(region->partition->reclaimed,
			   region->partition->reclaimed + max_t(u64, zapped.pages, 1));
	if (!first && !zapped.calls)
		return;
	mshv_count_invalidation(region, event, zapped.pages);
	trace_invalidate(region->partition->id, gfn, gfn_end - gfn, event, may_sleep,
			 zapped.pages, zapped.calls);
}

/*
 * Everything that the child has of the range. A zap that may sleep makes room for others, and the
 * region may leave meanwhile: then it is gone through again, which costs little where nothing is
 * mapped. That others leave is nothing to it, or a VMM could keep this from ending.
 */
static void zap_range(struct mshv_partition *partition, unsigned long start, unsigned long end,
		      enum mmu_notifier_event event, bool may_sleep)
{
	struct interval_tree_node *node;
	struct mshv_region *region;
	bool first = true, left;

	read_lock(&partition->map_lock);
	node = interval_tree_iter_first(&partition->hvas, start, end - 1);
	read_unlock(&partition->map_lock);
	if (!node)
		return;

	write_lock(&partition->map_lock);
again:
	for (node = interval_tree_iter_first(&partition->hvas, start, end - 1); node;
	     node = interval_tree_iter_next(node, start, end - 1)) {
		region = container_of(node, struct mshv_region, hvas);
		refcount_inc(&region->refs);
		zap_region(region, start, end, event, may_sleep, first);
		left = RB_EMPTY_NODE(&node->rb);
		mshv_region_put(region);
		if (left) {
			first = false;
			goto again;
		}
	}
	write_unlock(&partition->map_lock);
}

static int invalidate_start(struct mmu_notifier *notifier, const struct mmu_notifier_range *range)
{
	struct mshv_partition *partition = container_of(notifier, struct mshv_partition, notifier);

	mshv_look_note_start(&partition->invalidations, range);
	zap_range(partition, range->start, range->end, range->event,
		  mmu_notifier_range_blockable(range));
	return 0;
}

static void invalidate_end(struct mmu_notifier *notifier, const struct mmu_notifier_range *range)
{
	struct mshv_partition *partition = container_of(notifier, struct mshv_partition, notifier);

	mshv_look_note_end(&partition->invalidations, range);
}

/*
 * The address space ends, or the partition leaves it. Nobody maps any more: whoever runs a
 * processor or pins is a thread of the address space, and the partition does not leave before they
 * have.
 */
static void release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	struct mshv_partition *partition = container_of(notifier, struct mshv_partition, notifier);

	zap_range(partition, 0, ULONG_MAX, MMU_NOTIFY_RELEASE, true);
}

static const struct mmu_notifier_ops notifier_ops = {
	.clear_flush_young = mshv_age_clear,
	.clear_young = mshv_age_clear,
	.test_young = mshv_age_test,
	.invalidate_range_start = invalidate_start,
	.invalidate_range_end = invalidate_end,
	.release = release,
};

/* One place, one lock class each: mshv_invalidate_prime_lockdep() depends on it. */
void mshv_invalidate_init(struct mshv_partition *partition)
{
	unsigned int i;

	mshv_look_init(&partition->invalidations);
	rwlock_init(&partition->map_lock);
	for (i = 0; i < MSHV_BLOCK_LOCKS; i++)
		spin_lock_init(&partition->block_locks[i]);
	spin_lock_init(&partition->age.lock);
	mshv_age_taken(&partition->age, 0);
	partition->hvas = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&partition->region_list);
	xa_init_flags(&partition->tables, XA_FLAGS_ACCOUNT);
}

/**
 * mshv_invalidate_register() - hear of all changes in the address space of the caller
 * @partition: new; @partition->mm is set and held
 *
 * Context: process context of the VMM, may sleep.
 *
 * Return: 0; -ENOMEM; -EINTR: a signal.
 */
int mshv_invalidate_register(struct mshv_partition *partition)
{
	int ret;

	partition->notifier.ops = &notifier_ops;
	partition->hmm.mm = partition->mm;
	if (mmap_write_lock_killable(partition->mm))
		return -EINTR;
	ret = __mmu_notifier_register(&partition->notifier, partition->mm);
	mmap_write_unlock(partition->mm);
	return ret;
}

/*
 * No processor of the partition is left, and nobody pins. What the child still has it loses here.
 */
void mshv_invalidate_unregister(struct mshv_partition *partition)
{
	mmu_notifier_unregister(&partition->notifier, partition->mm);
}

/*
 * Tell lockdep once, at module load, that these locks are taken in memory reclaim. Without this it
 * would find out only when reclaim happens to meet a region, on the machine of a user; with it any
 * allocation under them is reported at once. fs_reclaim_acquire() is not exported without lockdep.
 */
void mshv_invalidate_prime_lockdep(void)
{
#ifdef CONFIG_LOCKDEP
	static struct mshv_partition partition;

	mshv_invalidate_init(&partition);
	fs_reclaim_acquire(GFP_KERNEL);
	write_lock(&partition.map_lock);
	spin_lock(&partition.age.lock);
	spin_unlock(&partition.age.lock);
	write_unlock(&partition.map_lock);
	spin_lock(&partition.invalidations.lock);
	spin_unlock(&partition.invalidations.lock);
	fs_reclaim_release(GFP_KERNEL);
#endif
}
