// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions: a GFN range bound to an HVA range of the VMM, and what the hypervisor knows of its
 * blocks.
 *
 * Laws:
 *	- Making a region costs no hypercall, and memory for four bits a block: 256 KiB for 1 TiB.
 *	- The HVA range is only a range. What is mapped there, by how many VMAs and with holes or
 *	  not, is asked at each fault; an interval notifier tells of every change.
 *	- A region begins movable; a pinned one is pinned before it enters the tree, by the same path
 *	  that pins it while the guest runs (pin.c).
 *	- A region is reachable through the tree (RCU) and by references. It becomes REMOVED under
 *	  region->lock before anything is taken away, so a fault in flight can map nothing
 *	  afterwards; the last reference frees memory and does nothing else.
 *	- Removal: leave the tree, become REMOVED, blank all that is mapped, unmap all that is known,
 *	  leave the notifier, unpin. The notifier goes last because until then Linux may take a page
 *	  away that the child still reaches. No step can fail: what cannot be blanked kills the
 *	  partition, what cannot be unmapped stays inaccessible.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "mshv.h"
#include "trace.h"

#define MSHV_REGION_BITMAPS	4

/* One place, one lock class: mshv_invalidate_prime_lockdep() depends on it. */
void mshv_region_init_lock(struct mshv_region *region)
{
	rwlock_init(&region->lock);
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

/**
 * mshv_region_map_pages() - map 4 KiB pages of one block
 * @region: region
 * @gfn: first guest page
 * @sources: page numbers
 * @pages: how many; all in the block of @gfn and in the region
 * @flags: HVABI_MAP_GPA_WRITABLE: the child may write, and the caller has marked the pages dirty;
 *   HVABI_MAP_GPA_NOT_CACHED: device memory
 *
 * Context: holds region->lock for reading and the busy bit of the block; does not sleep.
 *
 * Return: status. Some pages may be mapped also when it is not success.
 */
u16 mshv_region_map_pages(struct mshv_region *region, u64 gfn, const u64 *sources,
			  unsigned int pages, u32 flags)
{
	unsigned long block = mshv_region_block(region, gfn);
	unsigned int done;
	u16 status;

	if (READ_ONCE(region->partition->dead))
		return HVABI_STATUS_INVALID_PARTITION_STATE;
	/*
	 * Linux does not split a large entry behind our back, so this does not happen today. If it
	 * did, the hypervisor would have to split the map, and the state of the block must not lie.
	 */
	if (test_bit(block, region->large)) {
		status = mshv_gpa_blank(region->partition, mshv_block_gfn(region, block), true, 1,
					&done);
		if (status != HVABI_STATUS_SUCCESS)
			return status;
		clear_bit(block, region->large);
		clear_bit(block, region->mapped);
	}
	status = mshv_gpa_map(region->partition, gfn, map_flags(region, flags), sources, pages,
			      &done);
	if (done) {
		set_bit(block, region->known);
		set_bit(block, region->mapped);
	}
	return status;
}

/**
 * mshv_region_map_block() - map a whole block by one 2 MiB map
 * @region: region; the block lies in it
 * @gfn: a page of the block
 * @source: page number of the block's first page, a multiple of 512
 * @flags: as for mshv_region_map_pages(), but no device memory
 *
 * Context: as mshv_region_map_pages().
 *
 * Return: status; unless it is success, nothing changed.
 */
u16 mshv_region_map_block(struct mshv_region *region, u64 gfn, u64 source, u32 flags)
{
	unsigned long block = mshv_region_block(region, gfn);
	unsigned int done;
	u16 status;

	if (READ_ONCE(region->partition->dead))
		return HVABI_STATUS_INVALID_PARTITION_STATE;
	status = mshv_gpa_map(region->partition, mshv_block_gfn(region, block),
			      map_flags(region, flags) | HVABI_MAP_GPA_LARGE_PAGE, &source, 1,
			      &done);
	if (done) {
		set_bit(block, region->known);
		set_bit(block, region->mapped);
		set_bit(block, region->large);
	}
	return status;
}

/**
 * mshv_region_get() - find the region of a guest page
 * @partition: child
 * @gfn: guest page
 *
 * Return: the region with a reference, for mshv_region_put(), or NULL.
 */
struct mshv_region *mshv_region_get(struct mshv_partition *partition, u64 gfn)
{
	struct mshv_region *region;

	rcu_read_lock();
	region = mtree_load(&partition->regions, gfn);
	if (region && !refcount_inc_not_zero(&region->refs))
		region = NULL;
	rcu_read_unlock();
	return region;
}

void mshv_region_put(struct mshv_region *region)
{
	if (!refcount_dec_and_test(&region->refs))
		return;
	kvfree(region->known);
	kfree_rcu(region, rcu);
}

static struct mshv_region *region_alloc(struct mshv_partition *partition,
					const struct mshv_user_mem_region *args)
{
	struct mshv_region *region;
	unsigned long longs;

	region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	if (!region)
		return NULL;
	region->partition = partition;
	refcount_set(&region->refs, 1);
	region->gfn = args->guest_pfn;
	region->pages = args->size >> PAGE_SHIFT;
	region->hva = args->userspace_addr;
	region->writable = args->flags & BIT(MSHV_SET_MEM_BIT_WRITABLE);
	region->executable = args->flags & BIT(MSHV_SET_MEM_BIT_EXECUTABLE);
	mshv_region_init_lock(region);

	longs = BITS_TO_LONGS(mshv_region_blocks(region));
	region->known = kvcalloc(MSHV_REGION_BITMAPS * longs, sizeof(long), GFP_KERNEL_ACCOUNT);
	if (!region->known) {
		kfree(region);
		return NULL;
	}
	region->mapped = region->known + longs;
	region->large = region->mapped + longs;
	region->busy = region->large + longs;
	return region;
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
	unsigned long end = block + 1;
	unsigned int reps, done, tries = 0;
	bool again = false;
	bool large;
	u64 gfn;
	u16 status;

	large = mshv_block_whole(region, block);
	gfn = max(mshv_block_gfn(region, block), region->gfn);
	if (large) {
		while (end < last && end - block < HVABI_LARGE_PAGE_PAGES &&
		       test_bit(end, region->known) && mshv_block_whole(region, end))
			end++;
		reps = end - block;
	} else {
		reps = min(mshv_block_gfn(region, end), mshv_region_end(region)) - gfn;
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

/* Take the region away from the child for good. Cannot fail. */
static void region_unmap(struct mshv_region *region)
{
	struct mshv_partition *partition = region->partition;
	struct mshv_blanked blanked = { };
	unsigned long blocks = mshv_region_blocks(region);
	unsigned long block;

	write_lock(&region->lock);
	region->state = MSHV_REGION_REMOVED;
	mshv_region_blank(region, region->gfn, mshv_region_end(region), true, &blanked);
	write_unlock(&region->lock);

	/* From here on the bits do not change: nobody maps, and nothing is mapped. */
	block = find_first_bit(region->known, blocks);
	while (block < blocks && !READ_ONCE(partition->finalized)) {
		block = unmap_step(region, block);
		block = find_next_bit(region->known, blocks, block);
		cond_resched();
	}
}

/* partition->lock is held, or nobody else has the partition. */
static void region_destroy(struct mshv_region *region)
{
	trace_region_destroy(region->partition->id, region->gfn, region->pages);
	/*
	 * Taking an entry out may need nodes of the tree. mtree_erase() leaves the entry where it is
	 * when there are none, and everybody would find a region that has been freed.
	 */
	mtree_store_range(&region->partition->regions, region->gfn, mshv_region_end(region) - 1,
			  NULL, GFP_KERNEL | __GFP_NOFAIL);
	region_unmap(region);
	mmu_interval_notifier_remove(&region->notifier);
	mshv_region_drop_pins(region);
	mshv_region_put(region);
}

/*
 * There must be memory at the first address: anything else is a mistake of the VMM. Device memory
 * has nothing to pin.
 */
static int check_vmas(unsigned long start, unsigned long end, bool pin)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	int ret = 0;

	VMA_ITERATOR(vmi, mm, start);

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = find_vma(mm, start);
	if (!vma || vma->vm_start > start)
		ret = -EINVAL;
	for_each_vma_range(vmi, vma, end) {
		if (pin && mshv_vma_is_device(vma))
			ret = -EOPNOTSUPP;
	}
	mmap_read_unlock(mm);
	return ret;
}

static int check_args(const struct mshv_user_mem_region *args)
{
	u64 end, pages = args->size >> PAGE_SHIFT;

	if (!args->size || !PAGE_ALIGNED(args->size) || !PAGE_ALIGNED(args->userspace_addr))
		return -EINVAL;
	if (check_add_overflow(args->guest_pfn, pages, &end) || end > MSHV_GFN_LIMIT)
		return -EINVAL;
	if (check_add_overflow(args->userspace_addr, args->size, &end) ||
	    !access_ok((void __user *)args->userspace_addr, args->size))
		return -EINVAL;
	return check_vmas(args->userspace_addr, end, args->flags & MSHV_SET_MEM_PINNED);
}

/**
 * mshv_region_create() - add a region
 * @partition: initialized child of the calling address space
 * @args: flags are known ones, reserved bytes are zero
 *
 * Context: partition->lock is held.
 *
 * Return: 0; -EEXIST overlap; -EINVAL bad range; -EOPNOTSUPP device memory, pinned; -ENOMEM;
 * -EINTR; pinned regions also what pinning and mapping return.
 */
int mshv_region_create(struct mshv_partition *partition, const struct mshv_user_mem_region *args)
{
	u64 last = args->guest_pfn + (args->size >> PAGE_SHIFT) - 1;
	unsigned long index = args->guest_pfn;
	struct mshv_region *region;
	int ret;

	ret = check_args(args);
	if (ret)
		return ret;
	/* No silent exception: who isolates a guest says that its memory is pinned. */
	if (partition->isolated && !(args->flags & MSHV_SET_MEM_PINNED))
		return -EINVAL;
	if (mt_find(&partition->regions, &index, last))
		return -EEXIST;
	region = region_alloc(partition, args);
	if (!region)
		return -ENOMEM;

	ret = mmu_interval_notifier_insert(&region->notifier, partition->mm, region->hva,
					   args->size, &mshv_region_notifier_ops);
	if (ret) {
		mshv_region_put(region);
		return ret;
	}
	if (args->flags & MSHV_SET_MEM_PINNED)
		ret = mshv_region_pin(region);
	/* Visible to faults from here on, complete. */
	if (!ret)
		ret = mtree_insert_range(&partition->regions, region->gfn, last, region,
					 GFP_KERNEL_ACCOUNT);
	trace_region_create(partition->id, region->gfn, region->pages, region->writable,
			    region->executable, args->flags & MSHV_SET_MEM_PINNED, ret);
	if (ret)
		region_destroy(region);
	return ret;
}

/* The region that matches exactly, or an errno. partition->lock is held. */
static struct mshv_region *find_exact(struct mshv_partition *partition,
				      const struct mshv_user_mem_region *args)
{
	struct mshv_region *region = mtree_load(&partition->regions, args->guest_pfn);

	if (!region)
		return ERR_PTR(-ENOENT);
	if (region->gfn != args->guest_pfn || region->hva != args->userspace_addr ||
	    region->pages != args->size >> PAGE_SHIFT || !PAGE_ALIGNED(args->size))
		return ERR_PTR(-EINVAL);
	return region;
}

/**
 * mshv_region_change() - pin the region that matches exactly, or make it movable
 * @partition: child of the calling address space
 * @args: GFN, address, size and rights of the region; MSHV_SET_MEM_PINNED: what it shall be
 *
 * The guest may run. What the region is already it stays, at no cost.
 *
 * Context: partition->lock is held.
 *
 * Return: 0; -ENOENT no region at that GFN; -EINVAL there is one, but not this, or it may not
 * become movable; -EBUSY the VMM follows access bits, which would be lost; or what pinning returns,
 * and then the region is movable as before.
 */
int mshv_region_change(struct mshv_partition *partition, const struct mshv_user_mem_region *args)
{
	struct mshv_region *region = find_exact(partition, args);
	bool pin = args->flags & MSHV_SET_MEM_PINNED;
	int ret;

	if (IS_ERR(region))
		return PTR_ERR(region);
	if (region->writable != !!(args->flags & BIT(MSHV_SET_MEM_BIT_WRITABLE)) ||
	    region->executable != !!(args->flags & BIT(MSHV_SET_MEM_BIT_EXECUTABLE)))
		return -EINVAL;
	if (partition->isolated && !pin)
		return -EINVAL;
	if (pin == (region->state == MSHV_REGION_PINNED))
		return 0;
	if (READ_ONCE(partition->tracking))
		return -EBUSY;
	if (!pin) {
		mshv_region_unpin(region);
		return 0;
	}
	ret = check_args(args);
	return ret ? ret : mshv_region_pin(region);
}

/**
 * mshv_region_remove() - remove the region that matches exactly
 * @partition: child
 * @args: GFN, address and size of the region
 *
 * Context: partition->lock is held.
 *
 * Return: 0; -ENOENT no region at that GFN; -EINVAL there is one, but not this.
 */
int mshv_region_remove(struct mshv_partition *partition, const struct mshv_user_mem_region *args)
{
	struct mshv_region *region = find_exact(partition, args);

	if (IS_ERR(region))
		return PTR_ERR(region);
	region_destroy(region);
	return 0;
}

/* All regions of a partition that nobody else has. Cannot fail. */
void mshv_region_remove_all(struct mshv_partition *partition)
{
	struct mshv_region *region;
	unsigned long index = 0;

	while ((region = mt_find(&partition->regions, &index, ULONG_MAX))) {
		region_destroy(region);
		index = 0;
	}
	mtree_destroy(&partition->regions);
}
