// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the child has of a region: mapping, zapping, and the record of it. Everybody who changes a
 * child's memory (fault_map.c, pin.c, region.c, invalidate.c) does it here and nowhere else.
 *
 * Laws:
 *	- The record is exact: bits for each block in the region, and for blocks that are mapped in
 *	  4 KiB pages a struct mshv_table, 408 bytes, made at the first fault there. A page that is
 *	  not mapped costs no hypercall when Linux takes it away, and one that is mapped with the
 *	  right that is asked for is not mapped again. Hypervisor and record change together, under
 *	  the lock.
 *	- Mapping takes map_lock for reading and the lock of the block; zapping takes map_lock for
 *	  writing. Neither sleeps, allocates, or waits for somebody who does.
 *	- A zap never fails. Blocks with nothing mapped cost no hypercall. A block that is mapped
 *	  large, or of which nothing would be left, goes as a whole: no table has to be split, so no
 *	  memory is needed. Neighbouring blocks go in one hypercall.
 *	- If the hypervisor wants memory all the same (it may have joined maps), it gets first the
 *	  whole block, then the partition's reserve. If it refuses still, the partition is killed:
 *	  its processors have stopped for good when the zap returns. Losing one guest is the floor.
 *	- No accessed or dirty bit is lost while they are tracked: what goes, or is mapped over,
 *	  leaves its bits in the table. The hypervisor is not asked: the guest could write between
 *	  its answer and the zap, and what a zap does to the bits is nowhere promised. So a page
 *	  counts as accessed if it was mapped, and as dirty if it was writable (log.c sees to it
 *	  that only written pages are).
 */
#include <linux/bitmap.h>
#include <linux/lockdep.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "mshv.h"

/* A table is no power of two, and there are many. */
static struct kmem_cache *table_cache;

int mshv_tables_init(void)
{
	table_cache = kmem_cache_create("mshv_table", sizeof(struct mshv_table), 0, SLAB_ACCOUNT,
					NULL);
	return table_cache ? 0 : -ENOMEM;
}

/* The last partition is gone. */
void mshv_tables_exit(void)
{
	kmem_cache_destroy(table_cache);
}

/**
 * mshv_table() - the record of a block's 4 KiB leaves
 * @partition: child
 * @gfn: a page of the block
 *
 * Context: map_lock is held.
 *
 * Return: the table, or NULL: nothing was ever mapped there in 4 KiB pages.
 */
struct mshv_table *mshv_table(struct mshv_partition *partition, u64 gfn)
{
	lockdep_assert_held(&partition->map_lock);
	return xa_load(&partition->tables, gfn >> MSHV_BLOCK_SHIFT);
}

/**
 * mshv_table_prepare() - see to it that a block has a table
 * @partition: child
 * @gfn: a page of the block
 *
 * Context: process context, may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int mshv_table_prepare(struct mshv_partition *partition, u64 gfn)
{
	struct xarray *tables = &partition->tables;
	struct mshv_table *table;
	int ret;

	if (xa_load(tables, gfn >> MSHV_BLOCK_SHIFT))
		return 0;
	table = kmem_cache_zalloc(table_cache, GFP_KERNEL_ACCOUNT);
	if (!table)
		return -ENOMEM;
	ret = xa_insert(tables, gfn >> MSHV_BLOCK_SHIFT, table, GFP_KERNEL_ACCOUNT);
	if (ret)
		kmem_cache_free(table_cache, table);
	return ret == -EBUSY ? 0 : ret;
}

/**
 * mshv_tables_free() - forget all that is recorded of a range, the dirty log included
 * @partition: child
 * @gfn: first page
 * @end: page after the last one; nothing is mapped
 *
 * Context: process context, may sleep.
 */
void mshv_tables_free(struct mshv_partition *partition, u64 gfn, u64 end)
{
	unsigned long index = gfn >> MSHV_BLOCK_SHIFT, last = (end - 1) >> MSHV_BLOCK_SHIFT;
	struct mshv_table *table;
	u64 first, from, to;

	write_lock(&partition->map_lock);
	for (table = xa_find(&partition->tables, &index, last, XA_PRESENT); table;
	     table = xa_find_after(&partition->tables, &index, last, XA_PRESENT)) {
		first = (u64)index << MSHV_BLOCK_SHIFT;
		from = max(gfn, first);
		to = min(end, first + MSHV_BLOCK_PAGES);
		if (to - from == MSHV_BLOCK_PAGES) {
			xa_erase(&partition->tables, index);
			kmem_cache_free(table_cache, table);
		} else {
			bitmap_clear(table->accessed, mshv_block_index(from), to - from);
			bitmap_clear(table->dirty, mshv_block_index(from), to - from);
			bitmap_clear(table->young, mshv_block_index(from), to - from);
			bitmap_clear(table->unknown, mshv_block_index(from), to - from);
			table->untold = 0;
		}
		cond_resched_rwlock_write(&partition->map_lock);
	}
	write_unlock(&partition->map_lock);
}

static spinlock_t *block_lock(struct mshv_region *region, u64 gfn)
{
	return &region->partition->block_locks[(gfn >> MSHV_BLOCK_SHIFT) % MSHV_BLOCK_LOCKS];
}

/**
 * mshv_block_lock() - become the only mapper in the block of a page
 * @region: region
 * @gfn: the page
 *
 * Context: map_lock is held for reading.
 */
void mshv_block_lock(struct mshv_region *region, u64 gfn)
	__acquires(mshv_block)
{
	spin_lock(block_lock(region, gfn));
}

void mshv_block_unlock(struct mshv_region *region, u64 gfn)
	__releases(mshv_block)
{
	spin_unlock(block_lock(region, gfn));
}

/**
 * mshv_two_blocks_lock() - become the only mapper in the block of a page and in the one after it
 * @region: region
 * @gfn: the page
 *
 * Context: map_lock is held for reading. The locks are taken in the order in which they lie in the
 * partition: blocks go round, and so would mappers that wait for each other.
 */
void mshv_two_blocks_lock(struct mshv_region *region, u64 gfn)
	__acquires(mshv_block)
{
	spinlock_t *one = block_lock(region, gfn);
	spinlock_t *other = block_lock(region, gfn + MSHV_BLOCK_PAGES);

	spin_lock(min(one, other));
	spin_lock_nested(max(one, other), SINGLE_DEPTH_NESTING);
	__release(mshv_block);
}

void mshv_two_blocks_unlock(struct mshv_region *region, u64 gfn)
	__releases(mshv_block)
{
	__acquire(mshv_block);
	spin_unlock(block_lock(region, gfn + MSHV_BLOCK_PAGES));
	spin_unlock(block_lock(region, gfn));
}

/**
 * mshv_mapped() - the child has a page already
 * @region: region
 * @gfn: page
 * @write: with the right to write
 *
 * Context: map_lock is held for reading with the lock of the block, or for writing.
 */
bool mshv_mapped(struct mshv_region *region, u64 gfn, bool write)
{
	unsigned long block = mshv_region_block(region, gfn);
	struct mshv_table *table;

	if (!test_bit(block, region->mapped))
		return false;
	table = mshv_table(region->partition, gfn);
	if (test_bit(block, region->large))
		return !write || (table && table->large_writable);
	return test_bit(mshv_block_index(gfn), write ? table->writable : table->mapped);
}

/**
 * mshv_mapped_end() - how far the child has the pages of a block
 * @region: region
 * @gfn: a page of the region
 * @write: with the right to write
 *
 * Context: as mshv_mapped().
 *
 * Return: the first page from @gfn on that the child does not have, at most the one after the last
 * that the region has of the block.
 */
u64 mshv_mapped_end(struct mshv_region *region, u64 gfn, bool write)
{
	unsigned long block = mshv_region_block(region, gfn);
	u64 base = round_down(gfn, MSHV_BLOCK_PAGES), end = mshv_part_end(region, block);
	struct mshv_table *table;

	if (!test_bit(block, region->mapped))
		return gfn;
	if (test_bit(block, region->large))
		return mshv_mapped(region, gfn, write) ? end : gfn;
	table = mshv_table(region->partition, gfn);
	return base +
	       find_next_zero_bit(write ? table->writable : table->mapped, end - base, gfn - base);
}

/**
 * mshv_leave_mapped() - of pages that could be mapped, strike out those that the child has
 * @region: region
 * @gfn: first page, in the region
 * @kinds: kind of each page (enum mshv_kind); of those that stay as they are it becomes
 *	MSHV_KIND_NONE
 * @count: how many pages
 * @upgrade: a page that the child cannot write to, and that could be written, does not stay as it
 *	is
 *
 * A large leaf stays whole: nothing is mapped over a part of it.
 *
 * Context: as mshv_mapped(), of all blocks of the pages.
 */
void mshv_leave_mapped(struct mshv_region *region, u64 gfn, u8 *kinds, unsigned int count,
		       bool upgrade)
{
	u64 end = gfn + count, next;
	struct mshv_table *table;
	unsigned int i, first;
	unsigned long block;

	for (; gfn < end; gfn = next) {
		next = min(end, round_down(gfn, MSHV_BLOCK_PAGES) + MSHV_BLOCK_PAGES);
		block = mshv_region_block(region, gfn);
		count = next - gfn;
		if (test_bit(block, region->large)) {
			memset(kinds, MSHV_KIND_NONE, count);
		} else if (test_bit(block, region->mapped)) {
			table = mshv_table(region->partition, gfn);
			first = mshv_block_index(gfn);
			i = first;
			for_each_set_bit_from(i, table->mapped, first + count)
				if (!upgrade || kinds[i - first] != MSHV_KIND_WRITE ||
				    test_bit(i, table->writable))
					kinds[i - first] = MSHV_KIND_NONE;
		}
		kinds += count;
	}
}

static u32 map_flags(const struct mshv_region *region, u32 flags)
{
	/* Device memory is read and written, no more (../include/hvabi/memory.h). */
	if (flags & HVABI_MAP_GPA_NOT_CACHED)
		return flags | HVABI_MAP_GPA_READABLE;
	flags |= HVABI_MAP_GPA_READABLE | HVABI_MAP_GPA_ADJUSTABLE;
	if (region->executable)
		flags |= HVABI_MAP_GPA_EXECUTABLE;
	return flags;
}

/* The bits of leaves that go, or are mapped over, go to the log. */
static void save_bits(struct mshv_partition *partition, struct mshv_table *table,
		      unsigned int first, unsigned int pages)
{
	unsigned int i;

	if (!READ_ONCE(partition->tracking))
		return;
	for (i = first; i < first + pages; i++) {
		if (test_bit(i, table->mapped))
			set_bit(i, table->accessed);
		if (test_bit(i, table->writable))
			set_bit(i, table->dirty);
	}
}

static void forget_pages(struct mshv_partition *partition, u64 gfn, unsigned int pages)
{
	struct mshv_table *table = mshv_table(partition, gfn);

	save_bits(partition, table, mshv_block_index(gfn), pages);
	bitmap_clear(table->mapped, mshv_block_index(gfn), pages);
	bitmap_clear(table->writable, mshv_block_index(gfn), pages);
}

/* Nothing of the block is mapped any more. */
static void forget_block(struct mshv_region *region, unsigned long block)
{
	u64 gfn = mshv_block_gfn(region, block);
	struct mshv_table *table = mshv_table(region->partition, gfn);

	if (!test_bit(block, region->large)) {
		forget_pages(region->partition, gfn, MSHV_BLOCK_PAGES);
	} else if (table && READ_ONCE(region->partition->tracking)) {
		/*
		 * There is a table from mshv_log_start() on: nobody relies on bits before it is
		 * done.
		 */
		bitmap_fill(table->accessed, MSHV_BLOCK_PAGES);
		if (table->large_writable)
			bitmap_fill(table->dirty, MSHV_BLOCK_PAGES);
	}
	if (test_and_clear_bit(block, region->large))
		atomic_dec(&region->partition->large_blocks);
	clear_bit(block, region->mapped);
	if (table)
		table->was_large = false;
}

/* What is known of pages that were just mapped. */
static void note_pages(struct mshv_region *region, u64 gfn, u64 end, bool writable)
{
	unsigned int first, pages;
	struct mshv_table *table;
	unsigned long block;

	for (; gfn < end; gfn += pages) {
		block = mshv_region_block(region, gfn);
		table = mshv_table(region->partition, gfn);
		first = mshv_block_index(gfn);
		pages = min_t(u64, end - gfn, MSHV_BLOCK_PAGES - first);
		set_bit(block, region->known);
		set_bit(block, region->mapped);
		bitmap_set(table->mapped, first, pages);
		if (writable)
			bitmap_set(table->writable, first, pages);
		else
			bitmap_clear(table->writable, first, pages);
	}
}

/**
 * mshv_map_pages() - map 4 KiB pages
 * @region: region
 * @gfn: first guest page
 * @sources: page numbers
 * @pages: how many; all in the region, and in the block of @gfn or the one after it
 * @flags: HVABI_MAP_GPA_WRITABLE: the child may write, and the caller has marked the pages dirty;
 *   HVABI_MAP_GPA_NOT_CACHED: device memory
 * @done: where to store how many, from the first one on, were mapped
 *
 * Context: map_lock is held for reading, and the locks of the blocks; the blocks have tables and
 * are not mapped large.
 *
 * Return: status. Some pages may be mapped also when it is not success.
 */
u16 mshv_map_pages(struct mshv_region *region, u64 gfn, const u64 *sources, unsigned int pages,
		   u32 flags, unsigned int *done)
{
	struct mshv_partition *partition = region->partition;
	u64 second = round_down(gfn, MSHV_BLOCK_PAGES) + MSHV_BLOCK_PAGES;
	unsigned int here = min_t(u64, pages, second - gfn);
	u16 status;

	*done = 0;
	if (READ_ONCE(partition->dead))
		return HVABI_STATUS_INVALID_PARTITION_STATE;
	save_bits(partition, mshv_table(partition, gfn), mshv_block_index(gfn), here);
	if (here < pages)
		save_bits(partition, mshv_table(partition, second), 0, pages - here);
	status = mshv_gpa_map(partition, gfn, map_flags(region, flags), sources, pages, done);
	note_pages(region, gfn, gfn + *done, flags & HVABI_MAP_GPA_WRITABLE);
	return status;
}

/**
 * mshv_map_blocks() - map whole blocks by one 2 MiB leaf each
 * @region: region; the blocks lie in it and have tables
 * @gfn: a page of the first block
 * @sources: page number of each block's first page, a multiple of 512
 * @blocks: how many, at most HVABI_MAP_GPA_MAX
 * @flags: as for mshv_map_pages(), but no device memory
 * @done: where to store how many, from the first one on, were mapped
 *
 * Context: map_lock is held for writing; or, for one block, for reading with the lock of the block.
 * The blocks may be in any state. Bits are not tracked, or they are mapped large already.
 *
 * Return: status. Some blocks may be mapped also when it is not success; of the others nothing
 * changed.
 */
u16 mshv_map_blocks(struct mshv_region *region, u64 gfn, const u64 *sources, unsigned int blocks,
		    u32 flags, unsigned int *done)
{
	unsigned long block = mshv_region_block(region, gfn);
	unsigned int i;
	u16 status;

	*done = 0;
	if (READ_ONCE(region->partition->dead))
		return HVABI_STATUS_INVALID_PARTITION_STATE;
	if (!mshv_reserve_covers(region->partition, blocks))
		return HVABI_STATUS_INSUFFICIENT_MEMORY;
	for (i = 0; i < blocks; i++)
		if (test_bit(block + i, region->mapped))
			mshv_age_keep(region, mshv_block_gfn(region, block + i),
				      mshv_block_gfn(region, block + i + 1));
	status = mshv_gpa_map(region->partition, mshv_block_gfn(region, block),
			      map_flags(region, flags) | HVABI_MAP_GPA_LARGE_PAGE, sources, blocks,
			      done);
	for (i = 0; i < *done; i++, block++) {
		if (test_bit(block, region->mapped))
			forget_block(region, block);
		mshv_table(region->partition, mshv_block_gfn(region, block))->large_writable =
			flags & HVABI_MAP_GPA_WRITABLE;
		set_bit(block, region->known);
		set_bit(block, region->mapped);
		set_bit(block, region->large);
	}
	atomic_sub(blocks - *done, &region->partition->large_blocks);
	return status;
}

/**
 * mshv_break_block() - make room for 4 KiB leaves where there may be a large one
 * @region: region
 * @gfn: a page of the block
 *
 * Context: map_lock is held for reading, and the lock of the block.
 *
 * Return: status; unless it is success, nothing changed.
 */
u16 mshv_break_block(struct mshv_region *region, u64 gfn)
{
	unsigned long block = mshv_region_block(region, gfn);
	unsigned int done;
	u16 status;

	if (!test_bit(block, region->large))
		return HVABI_STATUS_SUCCESS;
	mshv_age_keep(region, mshv_block_gfn(region, block), mshv_block_gfn(region, block + 1));
	status = mshv_gpa_blank(region->partition, mshv_block_gfn(region, block), true, 1, &done);
	if (status == HVABI_STATUS_SUCCESS)
		forget_block(region, block);
	return status;
}

/**
 * mshv_drop_blocks() - take whole blocks away that the child may have, but need not
 * @region: region
 * @block: the first one; all of them are mapped, and lie in the region
 * @blocks: how many
 *
 * Where the hypervisor does not like it they stay: nobody is waiting for them.
 *
 * Context: map_lock is held for writing. One hypercall.
 */
void mshv_drop_blocks(struct mshv_region *region, unsigned long block, unsigned int blocks)
{
	struct mshv_partition *partition = region->partition;
	unsigned int done, i;

	if (READ_ONCE(partition->dead) || READ_ONCE(partition->finalized))
		return;
	mshv_gpa_blank(partition, mshv_block_gfn(region, block), true, blocks, &done);
	for (i = 0; i < done; i++)
		forget_block(region, block + i);
	WRITE_ONCE(region->retaken, region->retaken + 1);
}

/*
 * Blank pages or blocks; the last resorts included. Returns false if the partition had to be
 * killed.
 */
static bool take_away(struct mshv_region *region, u64 gfn, bool large, unsigned int reps,
		      struct mshv_zapped *zapped)
{
	struct mshv_partition *partition = region->partition;
	unsigned int shift = large ? MSHV_BLOCK_SHIFT : 0;
	unsigned int done;
	u16 status;

	while (reps) {
		status = mshv_gpa_blank(partition, gfn, large, reps, &done);
		zapped->calls++;
		zapped->pages += (u64)done << shift;
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

static void zap_blocks(struct mshv_region *region, unsigned long block, unsigned int blocks,
		       struct mshv_zapped *zapped)
{
	unsigned int i;

	if (!take_away(region, mshv_block_gfn(region, block), true, blocks, zapped))
		return;
	for (i = 0; i < blocks; i++)
		forget_block(region, block + i);
}

/* The first and last page from @gfn to before @end, all of one block, that the child has. */
static bool find_mapped(struct mshv_region *region, u64 gfn, u64 end, u64 *first, u64 *last)
{
	u64 base = round_down(gfn, MSHV_BLOCK_PAGES);
	struct mshv_table *table;
	unsigned long i;

	if (gfn >= end)
		return false;
	if (test_bit(mshv_region_block(region, gfn), region->large)) {
		*first = gfn;
		*last = end - 1;
		return true;
	}
	table = mshv_table(region->partition, gfn);
	i = find_next_bit(table->mapped, end - base, gfn - base);
	if (i >= end - base)
		return false;
	*first = base + i;
	*last = base + find_last_bit(table->mapped, end - base);
	return true;
}

static bool any_mapped(struct mshv_region *region, u64 gfn, u64 end)
{
	u64 first, last;

	return find_mapped(region, gfn, end, &first, &last);
}

/* Some 4 KiB leaves of a block of which others stay, or that sticks out of the region. */
static void zap_pages(struct mshv_region *region, unsigned long block, u64 gfn, u64 end,
		      struct mshv_zapped *zapped)
{
	struct mshv_partition *partition = region->partition;
	unsigned int done;
	u16 status;

	status = mshv_gpa_blank(partition, gfn, false, end - gfn, &done);
	zapped->calls++;
	zapped->pages += done;
	if (gfn + done < end) {
		if (!mshv_status_needs_memory(status)) {
			mshv_partition_kill(partition, gfn + done, status);
			return;
		}
		if (mshv_block_whole(region, block)) {
			zap_blocks(region, block, 1, zapped);
			return;
		}
		if (!take_away(region, gfn + done, false, end - gfn - done, zapped))
			return;
	}
	forget_pages(partition, gfn, end - gfn);
	if (!any_mapped(region, mshv_part_first(region, block), mshv_part_end(region, block)))
		clear_bit(block, region->mapped);
}

/*
 * Of a block that is mapped the range has something, and the block can go as a whole: it lies in
 * the region, and it is one leaf or nothing would be left of it.
 */
static bool goes_whole(struct mshv_region *region, unsigned long block, u64 gfn, u64 end)
{
	u64 first = mshv_block_gfn(region, block), block_end = first + MSHV_BLOCK_PAGES;

	if (!mshv_block_whole(region, block))
		return false;
	if (test_bit(block, region->large) || (first >= gfn && block_end <= end))
		return true;
	gfn = max(gfn, first);
	end = min(end, block_end);
	return any_mapped(region, gfn, end) && !any_mapped(region, first, gfn) &&
	       !any_mapped(region, end, block_end);
}

/**
 * mshv_zap_step() - take a part of a range away from the child, by one or two hypercalls
 * @region: region
 * @gfn: first page of the range
 * @end: page after the last one
 * @zapped: what was done is added here
 *
 * Context: map_lock is held for writing.
 *
 * Return: page to go on with; @end or more when nothing is left. After each step the child reaches
 * nothing below that page.
 */
u64 mshv_zap_step(struct mshv_region *region, u64 gfn, u64 end, struct mshv_zapped *zapped)
{
	unsigned long last = mshv_region_block(region, end - 1);
	u64 stop, first_mapped, last_mapped;
	unsigned long block;
	unsigned int blocks;

	lockdep_assert_held_write(&region->partition->map_lock);
	if (READ_ONCE(region->partition->dead)) {
		/* Whoever killed it may still be at it. */
		mshv_partition_stop(region->partition);
		return end;
	}
	if (READ_ONCE(region->partition->finalized))
		return end;

	block = find_next_bit(region->mapped, last + 1, mshv_region_block(region, gfn));
	if (block > last)
		return end;
	gfn = max(gfn, mshv_block_gfn(region, block));

	if (goes_whole(region, block, gfn, end)) {
		for (blocks = 1; blocks < HVABI_MAP_GPA_MAX && block + blocks <= last; blocks++)
			if (!test_bit(block + blocks, region->mapped) ||
			    !goes_whole(region, block + blocks, gfn, end))
				break;
		zap_blocks(region, block, blocks, zapped);
		return mshv_block_gfn(region, block + blocks);
	}
	stop = min(end, mshv_part_end(region, block));
	if (find_mapped(region, gfn, stop, &first_mapped, &last_mapped))
		zap_pages(region, block, first_mapped, last_mapped + 1, zapped);
	return stop;
}

/**
 * mshv_zap() - take a range away from the child
 * @region: region
 * @gfn: first page
 * @end: page after the last one
 * @may_sleep: make room for others between the steps
 * @zapped: what was done is added here
 *
 * Context: map_lock is held for writing; may be dropped in between with @may_sleep. Cannot fail.
 */
void mshv_zap(struct mshv_region *region, u64 gfn, u64 end, bool may_sleep,
	      struct mshv_zapped *zapped)
{
	while (gfn < end) {
		gfn = mshv_zap_step(region, gfn, end, zapped);
		if (may_sleep)
			cond_resched_rwlock_write(&region->partition->map_lock);
	}
}

/*
 * Unmap a run of blank blocks, or what the region has of one at its end. Returns the block to go on
 * with. Nothing is reachable here any more, so a refusal costs the hypervisor's memory and nobody's
 * safety.
 */
static unsigned long unmap_step(struct mshv_region *region, unsigned long block)
{
	unsigned long last = mshv_region_blocks(region);
	struct mshv_partition *partition = region->partition;
	u64 gfn = mshv_part_first(region, block);
	unsigned long end = block + 1;
	unsigned int reps, done, tries = 0;
	bool again = false;
	bool large;
	u16 status;

	large = mshv_block_whole(region, block);
	if (large) {
		while (end < last && end - block < HVABI_LARGE_PAGE_PAGES &&
		       test_bit(end, region->known) && mshv_block_whole(region, end))
			end++;
		reps = end - block;
	} else {
		reps = mshv_part_end(region, block) - gfn;
		/* Pages that were never mapped must not be unmapped: make them all known. */
		mshv_gpa_blank(partition, gfn, false, reps, &done);
		if (done < reps)
			return end;
	}

	while (reps) {
		status = mshv_gpa_unmap(partition, gfn, large, reps, &done);
		gfn += (u64)done << (large ? MSHV_BLOCK_SHIFT : 0);
		reps -= done;
		if (status == HVABI_STATUS_SUCCESS)
			continue;
		if (mshv_status_needs_memory(status)) {
			if (mshv_deposit_for(partition, status, &tries))
				break;
			continue;
		}
		/* A map that failed half way may have split a large blank: make it one again. */
		if (again || !large ||
		    mshv_gpa_blank(partition, gfn, large, reps, &done) != HVABI_STATUS_SUCCESS)
			break;
		again = true;
	}
	return end;
}

/**
 * mshv_unmap() - take all that the hypervisor knows of a region away from it
 * @region: all of it is zapped, and nobody maps
 *
 * Context: process context, may sleep. Cannot fail: what is refused stays inaccessible.
 */
void mshv_unmap(struct mshv_region *region)
{
	unsigned long blocks = mshv_region_blocks(region);
	unsigned long block = find_first_bit(region->known, blocks);

	while (block < blocks && !READ_ONCE(region->partition->finalized)) {
		block = unmap_step(region, block);
		block = find_next_bit(region->known, blocks, block);
		cond_resched();
	}
	bitmap_zero(region->known, blocks);
}

/**
 * mshv_region_set_state() - take all of a region away from the child, and go on in another state
 * @region: region
 * @state: its state when nothing is mapped any more; MSHV_REGION_CHANGING: stay so, faults wait
 *
 * Context: partition->lock is held, or nobody else has the partition; may sleep. Cannot fail.
 */
void mshv_region_set_state(struct mshv_region *region, enum mshv_region_state state)
{
	struct mshv_partition *partition = region->partition;
	struct mshv_zapped zapped = { };

	/* The reserve is for zaps: this one may be large. What it lacks it does without. */
	mshv_reserve_fill(partition);
	write_lock(&partition->map_lock);
	region->state = MSHV_REGION_CHANGING;
	mshv_zap(region, region->gfn, mshv_region_end(region), true, &zapped);
	region->state = state;
	WRITE_ONCE(region->retaken, region->retaken + 1);
	write_unlock(&partition->map_lock);
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
