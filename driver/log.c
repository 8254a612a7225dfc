// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty log: accessed and dirty bits that outlive the maps they were set in.
 *
 * The hypervisor keeps a pair of bits in each leaf, and with the leaf they go. A VMM that migrates
 * its guest must not miss one, whatever Linux does to the page in the meantime. So while it tracks
 * (property GPA_PAGE_ACCESS_TRACKING), each block has a table (struct mshv_table) that inherits the
 * bits of leaves that are zapped or mapped over (map.c), and an answer is what the hypervisor says
 * or what the table says.
 *
 * Laws:
 *	- A bit that was set stays until somebody clears it: with CLEAR, by removing the region, or
 *	  by switching tracking off. SET is remembered of a page that is not mapped, too.
 *	- What is reported too much is a page that Linux took away after the guest's last CLEAR of
 *	  it although it was not written since: it was writable, and nobody can say.
 *	- So while bits are tracked, faults map one page at a time, small, and writable only what is
 *	  written (fault_map.c). What was mapped before stays as it is until somebody clears dirty
 *	  bits: then a large leaf, which stands for all of its pages, is mapped in small ones.
 *	  When tracking ends, blocks that Linux has large are zapped, and come back by faults.
 *	- Clearing first asks the hypervisor, then the table. What is zapped in between is in both,
 *	  and reported once: the VMM reads the page after the answer.
 *	- Tables cost memory where the guest has pages, 204 KiB for 1 GiB, charged to the VMM.
 */
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "mshv.h"

#define MSHV_LOG_SET	((u64)(HVABI_GPA_ACCESS_SET_ACCESSED | HVABI_GPA_ACCESS_SET_DIRTY))

/* A large leaf leaves its bits in a table: there must be one. */
static int prepare_large(struct mshv_region *region)
{
	unsigned long block, blocks = mshv_region_blocks(region);
	int ret = 0;

	for_each_set_bit(block, region->large, blocks) {
		ret = mshv_table_prepare(region->partition, mshv_block_gfn(region, block));
		if (ret)
			break;
		cond_resched();
	}
	return ret;
}

static void set_tracking(struct mshv_partition *partition, bool tracking)
{
	write_lock(&partition->map_lock);
	WRITE_ONCE(partition->tracking, tracking);
	write_unlock(&partition->map_lock);
}

/**
 * mshv_log_start() - begin to keep bits
 * @partition: child
 *
 * Context: partition->lock is held; may sleep.
 *
 * Return: 0; -ENOMEM: nothing has begun.
 */
int mshv_log_start(struct mshv_partition *partition)
{
	struct mshv_region *region;
	int ret = 0;

	if (partition->tracking)
		return 0;
	/* From here on no large leaf is made where there is none. */
	set_tracking(partition, true);
	list_for_each_entry(region, &partition->region_list, link) {
		ret = prepare_large(region);
		if (ret)
			break;
	}
	if (ret)
		set_tracking(partition, false);
	return ret;
}

/* Blocks from @block on, at most @most, that are mapped small only to have bits for each page. */
static unsigned int count_split(struct mshv_region *region, unsigned long block, unsigned int most)
{
	unsigned long end = min(block + most, mshv_region_blocks(region)), i;
	struct mshv_table *table;

	for (i = block; i < end && test_bit(i, region->mapped); i++) {
		table = mshv_table(region->partition, mshv_block_gfn(region, i));
		if (test_bit(i, region->large) || !table || !table->was_large)
			break;
	}
	return i - block;
}

/*
 * What the guest faults on next is mapped large again. Linux is told what was used, so it goes by
 * as many blocks as one call harvests.
 */
static void make_large(struct mshv_region *region)
{
	struct mshv_partition *partition = region->partition;
	unsigned long block, blocks = mshv_region_blocks(region);
	unsigned int split;
	u64 gfn, end;

	write_lock(&partition->map_lock);
	for (block = 0; block < blocks; block += max(split, 1U)) {
		cond_resched_rwlock_write(&partition->map_lock);
		block = find_next_bit(region->mapped, blocks, block);
		split = count_split(region, block, HVABI_MAP_GPA_MAX);
		if (!split)
			continue;
		gfn = mshv_block_gfn(region, block);
		end = mshv_age_keep(region, gfn, mshv_block_gfn(region, block + split));
		split = min_t(u64, split, (end - gfn) / MSHV_BLOCK_PAGES);
		mshv_drop_blocks(region, block, split);
	}
	write_unlock(&partition->map_lock);
}

/**
 * mshv_log_stop() - keep bits no longer, and forget them
 * @partition: child
 *
 * Context: partition->lock is held; may sleep.
 */
void mshv_log_stop(struct mshv_partition *partition)
{
	struct mshv_region *region;
	struct mshv_table *table;
	unsigned long index;

	if (!partition->tracking)
		return;
	set_tracking(partition, false);
	list_for_each_entry(region, &partition->region_list, link)
		make_large(region);
	write_lock(&partition->map_lock);
	xa_for_each(&partition->tables, index, table) {
		bitmap_zero(table->accessed, MSHV_BLOCK_PAGES);
		bitmap_zero(table->dirty, MSHV_BLOCK_PAGES);
		cond_resched_rwlock_write(&partition->map_lock);
	}
	write_unlock(&partition->map_lock);
}

static bool merge_bit(unsigned long *bits, unsigned int i, bool clear, bool set)
{
	if (set)
		return test_and_set_bit(i, bits);
	return clear ? test_and_clear_bit(i, bits) : test_bit(i, bits);
}

/* The pages of one block. Those outside of all regions have no bits that could be set. */
static void merge_block(struct mshv_partition *partition, struct mshv_table *table, u64 gfn,
			unsigned int pages, u64 flags, u8 *states)
{
	unsigned int i, first = mshv_block_index(gfn);
	u64 asked = flags;

	for (i = 0; i < pages; i++) {
		flags = asked;
		if (flags & MSHV_LOG_SET && !mtree_load(&partition->regions, gfn + i))
			flags &= ~MSHV_LOG_SET;
		/* Linux has not been told of it. */
		if (flags & HVABI_GPA_ACCESS_CLEAR_ACCESSED &&
		    states[i] & HVABI_GPA_ACCESS_STATE_ACCESSED)
			mshv_age_cleared(table, first + i);
		if (merge_bit(table->accessed, first + i, flags & HVABI_GPA_ACCESS_CLEAR_ACCESSED,
			      flags & HVABI_GPA_ACCESS_SET_ACCESSED))
			states[i] |= HVABI_GPA_ACCESS_STATE_ACCESSED;
		if (merge_bit(table->dirty, first + i, flags & HVABI_GPA_ACCESS_CLEAR_DIRTY,
			      flags & HVABI_GPA_ACCESS_SET_DIRTY))
			states[i] |= HVABI_GPA_ACCESS_STATE_DIRTY;
	}
}

/* SET of pages that have no table yet. */
static int prepare_set(struct mshv_partition *partition, u64 gfn, unsigned int pages)
{
	unsigned long index;
	u64 end = gfn + pages, next;
	int ret = 0;

	for (; !ret && gfn < end; gfn = next) {
		next = min(end, round_down(gfn, MSHV_BLOCK_PAGES) + MSHV_BLOCK_PAGES);
		index = gfn;
		if (mt_find(&partition->regions, &index, next - 1))
			ret = mshv_table_prepare(partition, gfn);
	}
	return ret;
}

/**
 * mshv_log_refine() - see to it that each page of a range has bits of its own
 * @partition: child
 * @gfn: first page of the range
 * @pages: how many
 * @flags: HVABI_GPA_ACCESS_*: what the hypervisor is to be asked. Only who clears dirty bits wants
 *	to know what is written from now on
 *
 * What large leaves say is in the log afterwards. From where it does not succeed on, and in pinned
 * regions, they still stand for all of their pages: that is coarse, and not wrong.
 *
 * Context: process context, may sleep; no lock that a fault takes.
 */
void mshv_log_refine(struct mshv_partition *partition, u64 gfn, unsigned int pages, u64 flags)
{
	struct mshv_scratch *scratch = NULL;
	struct mshv_region *region;
	u64 end = gfn + pages;
	int ret = 0;

	/* The range may be anything: it is the hypervisor that refuses it. */
	if (!(flags & HVABI_GPA_ACCESS_CLEAR_DIRTY) || !READ_ONCE(partition->tracking) ||
	    current->mm != partition->mm || gfn >= MSHV_GFN_LIMIT || end > MSHV_GFN_LIMIT)
		return;
	for (gfn = round_down(gfn, MSHV_BLOCK_PAGES); !ret && gfn < end; gfn += MSHV_BLOCK_PAGES) {
		region = mshv_region_get(partition, gfn);
		if (!region)
			continue;
		if (READ_ONCE(region->state) == MSHV_REGION_MOVABLE &&
		    test_bit(mshv_region_block(region, gfn), region->large)) {
			if (!scratch)
				scratch = kvmalloc(sizeof(*scratch), GFP_KERNEL_ACCOUNT);
			ret = scratch ? mshv_fault_split(region, gfn, scratch) : -ENOMEM;
		}
		mshv_region_put(region);
	}
	kvfree(scratch);
}

/**
 * mshv_log_put_back() - what a call has cleared, and nobody is told of as it failed half way
 * @partition: child
 * @gfn: first page
 * @pages: how many were done
 * @flags: HVABI_GPA_ACCESS_*: what was asked of the hypervisor
 * @states: HVABI_GPA_ACCESS_STATE_* of each page done, of the hypervisor
 *
 * Context: process context.
 */
void mshv_log_put_back(struct mshv_partition *partition, u64 gfn, unsigned int pages, u64 flags,
		       const u8 *states)
{
	bool accessed = flags & HVABI_GPA_ACCESS_CLEAR_ACCESSED;
	bool dirty = flags & HVABI_GPA_ACCESS_CLEAR_DIRTY;
	struct mshv_table *table;
	unsigned int i, index;
	bool tracking;

	read_lock(&partition->map_lock);
	spin_lock(&partition->age.lock);
	tracking = partition->tracking;
	for (i = 0; i < pages; i++) {
		table = mshv_table(partition, gfn + i);
		if (!table)
			continue;
		index = mshv_block_index(gfn + i);
		if (accessed && states[i] & HVABI_GPA_ACCESS_STATE_ACCESSED) {
			if (tracking)
				set_bit(index, table->accessed);
			mshv_age_cleared(table, index);
		}
		if (tracking && dirty && states[i] & HVABI_GPA_ACCESS_STATE_DIRTY)
			set_bit(index, table->dirty);
	}
	spin_unlock(&partition->age.lock);
	read_unlock(&partition->map_lock);
}

/**
 * mshv_log_merge() - complete the hypervisor's answer by what the log knows, and change that
 * @partition: child
 * @gfn: first page
 * @pages: how many
 * @flags: HVABI_GPA_ACCESS_*: what was asked of the hypervisor
 * @states: HVABI_GPA_ACCESS_STATE_* of each page, of the hypervisor; the log's are added
 *
 * Context: process context, may sleep.
 *
 * Return: 0; -ENOMEM, with bits to set: the log is as it was, and has what the call has cleared.
 */
int mshv_log_merge(struct mshv_partition *partition, u64 gfn, unsigned int pages, u64 flags,
		   u8 *states)
{
	struct mshv_table *table;
	unsigned int n;
	int ret = 0;

	if (flags & MSHV_LOG_SET)
		ret = prepare_set(partition, gfn, pages);
	if (ret) {
		mshv_log_put_back(partition, gfn, pages, flags, states);
		return ret;
	}
	for (; pages; gfn += n, states += n, pages -= n) {
		n = min_t(unsigned int, pages, MSHV_BLOCK_PAGES - mshv_block_index(gfn));
		read_lock(&partition->map_lock);
		/*
		 * A harvest that has cleared a bit in the hypervisor has not put it here yet: wait
		 * for it.
		 */
		spin_lock(&partition->age.lock);
		table = mshv_table(partition, gfn);
		if (table)
			merge_block(partition, table, gfn, n, flags, states);
		spin_unlock(&partition->age.lock);
		read_unlock(&partition->map_lock);
	}
	return 0;
}
