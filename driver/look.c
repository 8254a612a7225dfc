// SPDX-License-Identifier: GPL-2.0-only
/*
 * How somebody who looks at the VMM's page table learns that what he saw does not hold.
 *
 * An invalidation is in progress from start to end; in between Linux changes the entries. Who wants
 * to map looks like this:
 *
 *	mshv_look_begin()	waits while something in the range is in progress
 *	look at the page table	sleeps as it likes
 *	take map_lock		for reading
 *	look.stale?		then unlock, mshv_look_end(), from the top
 *	map
 *	mshv_look_end()
 *
 * and an invalidation (invalidate.c) like this:
 *
 *	mshv_look_note_start()	the range is in progress, all looks that overlap it are stale
 *	take map_lock		for writing
 *	zap			what is mapped
 *
 * If the mapper has map_lock first, the zap finds his map. If the invalidation was noted first, he
 * finds himself stale.
 *
 * Laws:
 *	- Nobody waits for an invalidation of pages that he does not look at, and nobody looks again
 *	  because of one. The first MSHV_INVALIDATIONS at a time are known one by one; those beyond
 *	  count as one range. A signal ends waiting; where no look follows, a fatal one.
 *	- Noting never fails and never waits.
 */
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include "mshv.h"

static bool overlap(unsigned long start, unsigned long end, unsigned long other_start,
		    unsigned long other_end)
{
	return start < other_end && other_start < end;
}

/* Whether Linux is changing something there, begun by @number. inv->lock is held. */
static bool is_busy(struct mshv_invalidations *inv, unsigned long start, unsigned long end,
		    u64 number)
{
	bool busy = inv->more && inv->more_number <= number &&
		    overlap(start, end, inv->more_start, inv->more_end);
	unsigned int i;

	for_each_set_bit(i, inv->used, MSHV_INVALIDATIONS)
		busy |= inv->running[i].number <= number &&
			overlap(start, end, inv->running[i].start, inv->running[i].end);
	return busy;
}

static bool is_over(struct mshv_invalidations *inv, unsigned long start, unsigned long end,
		    u64 number)
{
	bool busy;

	spin_lock(&inv->lock);
	busy = is_busy(inv, start, end, number);
	spin_unlock(&inv->lock);
	return !busy;
}

/* Begin a look, unless Linux is changing something there. */
static bool look_try(struct mshv_invalidations *inv, struct mshv_look *look)
{
	bool busy;

	spin_lock(&inv->lock);
	busy = is_busy(inv, look->start, look->end, inv->begun);
	if (!busy) {
		look->stale = false;
		list_add(&look->node, &inv->looks);
	}
	spin_unlock(&inv->lock);
	return !busy;
}

/**
 * mshv_look_try() - begin to look at a range, if Linux is not changing it
 * @partition: child
 * @look: to be filled; ended by mshv_look_end()
 * @start: first address of the VMM
 * @end: address after the last one
 *
 * Context: any but interrupts; does not sleep.
 *
 * Return: whether it has begun.
 */
bool mshv_look_try(struct mshv_partition *partition, struct mshv_look *look, unsigned long start,
		   unsigned long end)
{
	look->start = start;
	look->end = end;
	return look_try(&partition->invalidations, look);
}

/**
 * mshv_look_begin() - begin to look at a range, when Linux is not changing it
 * @partition: child
 * @look: to be filled; ended by mshv_look_end()
 * @start: first address of the VMM
 * @end: address after the last one
 *
 * Context: may sleep; no mmap_lock: who changes the range may hold it.
 *
 * Return: 0, or -EINTR: a signal, nothing has begun.
 */
int mshv_look_begin(struct mshv_partition *partition, struct mshv_look *look, unsigned long start,
		    unsigned long end)
{
	struct mshv_invalidations *inv = &partition->invalidations;

	if (mshv_look_try(partition, look, start, end))
		return 0;
	return wait_event_interruptible(inv->wait, look_try(inv, look)) ? -EINTR : 0;
}

/**
 * mshv_look_wait() - wait until what Linux is changing in a range by now is over
 * @partition: child
 * @start: first address of the VMM
 * @end: address after the last one
 *
 * What begins later is not waited for; beyond MSHV_INVALIDATIONS at a time it may be.
 *
 * Context: may sleep; no mmap_lock: who changes the range may hold it.
 *
 * Return: 0, or -EINTR: a fatal signal.
 */
int mshv_look_wait(struct mshv_partition *partition, unsigned long start, unsigned long end)
{
	struct mshv_invalidations *inv = &partition->invalidations;
	u64 number;

	spin_lock(&inv->lock);
	number = inv->begun;
	spin_unlock(&inv->lock);
	return wait_event_killable(inv->wait, is_over(inv, start, end, number)) ? -EINTR : 0;
}

void mshv_look_end(struct mshv_partition *partition, struct mshv_look *look)
{
	spin_lock(&partition->invalidations.lock);
	list_del(&look->node);
	spin_unlock(&partition->invalidations.lock);
}

/**
 * mshv_look_note_start() - Linux is about to change a range
 * @inv: of the partition
 * @range: the notifier's; the same for the end
 *
 * Context: any but interrupts; does not sleep.
 */
void mshv_look_note_start(struct mshv_invalidations *inv, const struct mmu_notifier_range *range)
{
	struct mshv_look *look;
	unsigned int i;

	spin_lock(&inv->lock);
	inv->begun++;
	i = find_first_zero_bit(inv->used, MSHV_INVALIDATIONS);
	if (i < MSHV_INVALIDATIONS) {
		__set_bit(i, inv->used);
		inv->running[i].range = range;
		inv->running[i].number = inv->begun;
		inv->running[i].start = range->start;
		inv->running[i].end = range->end;
	} else if (inv->more++) {
		inv->more_start = min(inv->more_start, range->start);
		inv->more_end = max(inv->more_end, range->end);
	} else {
		inv->more_number = inv->begun;
		inv->more_start = range->start;
		inv->more_end = range->end;
	}
	list_for_each_entry(look, &inv->looks, node)
		if (overlap(look->start, look->end, range->start, range->end))
			WRITE_ONCE(look->stale, true);
	spin_unlock(&inv->lock);
}

/* It has done so. Context: as mshv_look_note_start(). */
void mshv_look_note_end(struct mshv_invalidations *inv, const struct mmu_notifier_range *range)
{
	unsigned int i;

	spin_lock(&inv->lock);
	for_each_set_bit(i, inv->used, MSHV_INVALIDATIONS)
		if (inv->running[i].range == range)
			break;
	if (i < MSHV_INVALIDATIONS)
		__clear_bit(i, inv->used);
	else if (inv->more)
		inv->more--;
	spin_unlock(&inv->lock);
	/* The barrier is in there: a waiter queues itself before it looks. */
	if (wq_has_sleeper(&inv->wait))
		wake_up_all(&inv->wait);
}

void mshv_look_init(struct mshv_invalidations *inv)
{
	spin_lock_init(&inv->lock);
	INIT_LIST_HEAD(&inv->looks);
	init_waitqueue_head(&inv->wait);
}
