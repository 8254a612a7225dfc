// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions: a GFN range bound to an HVA range of the VMM. Made, looked up, changed, replaced,
 * removed.
 *
 * Laws:
 *	- Making a region costs no hypercall, and memory for three bits a block: 192 KiB for 1 TiB.
 *	- The HVA range is only a range. What is mapped there, by how many VMAs and with holes or
 *	  not, is asked at each fault; the notifier tells of every change.
 *	- A region begins movable; a pinned one is pinned before it enters the tree, by the same
 *	  path that pins it while the guest runs (pin.c).
 *	- A region is reachable through the tree and the list (RCU), through partition->hvas
 *	  (map_lock), and by references. Whoever finds it under RCU may read all of it: it is freed
 *	  after a grace period, its bitmaps with it. The last reference frees memory and does
 *	  nothing else.
 *	- It becomes REMOVED under map_lock before anything is taken away, so a fault in flight can
 *	  map nothing afterwards.
 *	- Removal: leave tree and list, become REMOVED, zap, unmap all that is known, leave
 *	  partition->hvas, unpin. No step can fail: what cannot be zapped kills the partition, what
 *	  cannot be unmapped stays inaccessible.
 *	- Replacing leaves no moment in which the guest meets a hole: faults wait while the old
 *	  region loses its pages, and find the new one after.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "mshv.h"
#include "trace.h"

#define MSHV_REGION_BITMAPS	3

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
	/*
	 * One without a reference has left the tree already: whatever is there now is the answer.
	 */
	do {
		region = mtree_load(&partition->regions, gfn);
	} while (region && !refcount_inc_not_zero(&region->refs));
	rcu_read_unlock();
	return region;
}

static void region_free(struct rcu_head *rcu)
{
	struct mshv_region *region = container_of(rcu, struct mshv_region, rcu);

	kvfree(region->known);
	kfree(region);
}

void mshv_region_put(struct mshv_region *region)
{
	if (refcount_dec_and_test(&region->refs))
		call_rcu(&region->rcu, region_free);
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
	region->hvas.start = region->hva;
	region->hvas.last = region->hva + args->size - 1;
	region->writable = args->flags & BIT(MSHV_SET_MEM_BIT_WRITABLE);
	region->executable = args->flags & BIT(MSHV_SET_MEM_BIT_EXECUTABLE);
	xa_init_flags(&region->pinned, XA_FLAGS_ACCOUNT);

	/*
	 * GFNs have 40 bits, so this is less than a GiB: no size that the kernel would warn about.
	 */
	longs = BITS_TO_LONGS(mshv_region_blocks(region));
	region->known = kvcalloc(MSHV_REGION_BITMAPS * longs, sizeof(long),
				 GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!region->known) {
		kfree(region);
		return NULL;
	}
	region->mapped = region->known + longs;
	region->large = region->mapped + longs;
	return region;
}

/*
 * Become visible to faults, instead of what is there with @replace. Regions that are complete only.
 * partition->lock is held.
 */
static int enter_tree(struct mshv_region *region, bool replace)
{
	struct mshv_partition *partition = region->partition;
	u64 last = mshv_region_end(region) - 1;
	struct mshv_region *before;
	int ret;

	before = region->gfn ? mt_prev(&partition->regions, region->gfn, 0) : NULL;
	ret = replace ? mtree_store_range(&partition->regions, region->gfn, last, region,
					  GFP_KERNEL_ACCOUNT) :
			mtree_insert_range(&partition->regions, region->gfn, last, region,
					   GFP_KERNEL_ACCOUNT);
	if (ret)
		return ret;
	list_add_rcu(&region->link, before ? &before->link : &partition->region_list);
	/*
	 * Who was to look again before it was in the list has not found it. Pairs with the barrier
	 * of mshv_pinned_verify().
	 */
	smp_mb();
	if (READ_ONCE(region->doubt_end))
		atomic_inc(&partition->doubts);
	return 0;
}

static void enter_hvas(struct mshv_region *region)
{
	struct mshv_partition *partition = region->partition;

	write_lock(&partition->map_lock);
	interval_tree_insert(&region->hvas, &partition->hvas);
	write_unlock(&partition->map_lock);
}

static void leave_hvas(struct mshv_region *region)
{
	struct mshv_partition *partition = region->partition;

	write_lock(&partition->map_lock);
	interval_tree_remove(&region->hvas, &partition->hvas);
	RB_CLEAR_NODE(&region->hvas.rb);
	write_unlock(&partition->map_lock);
}

/*
 * What is left to do of a region that has left the tree or was never in it.
 * partition->lock is held, or nobody else has the partition.
 */
static void region_destroy(struct mshv_region *region)
{
	trace_region_destroy(region->partition->id, region->gfn, region->pages);
	mshv_region_set_state(region, MSHV_REGION_REMOVED);
	mshv_unmap(region);
	leave_hvas(region);
	mshv_region_drop_pins(region);
	region->partition->region_count--;
	mshv_region_put(region);
}

/*
 * Taking an entry out may need nodes of the tree. mtree_erase() leaves the entry where it is when
 * there are none, and everybody would find a region that has been freed.
 */
static void leave_tree(struct mshv_partition *partition, u64 gfn, u64 last)
{
	mtree_store_range(&partition->regions, gfn, last, NULL, GFP_KERNEL | __GFP_NOFAIL);
}

static void region_remove(struct mshv_region *region)
{
	struct mshv_partition *partition = region->partition;
	u64 gfn = region->gfn, end = mshv_region_end(region);

	leave_tree(partition, gfn, end - 1);
	list_del_rcu(&region->link);
	region_destroy(region);
	mshv_tables_free(partition, gfn, end);
}

/* RAM behind a mapping without pages, as far as can be seen now: Linux cannot take care of it. */
static bool vma_shows_ram(struct vm_area_struct *vma, unsigned long address)
{
	unsigned long pfn;
	bool writable;

	return !mshv_compat_device_pfn(vma, address, &pfn, &writable) && mshv_pfn_is_ram(pfn);
}

/*
 * There must be memory at the first address: anything else is a mistake of the VMM. Device memory
 * has nothing to pin, and RAM is none.
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
		if (mshv_vma_is_device(vma) &&
		    (pin || vma_shows_ram(vma, max(start, vma->vm_start))))
			ret = -EOPNOTSUPP;
		/* Its entries look as if the VMM could write there, and it cannot. */
		if (vma->vm_flags & VM_SHADOW_STACK)
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

/* No silent exception: who isolates a guest says that its memory is pinned. */
static int check_kind(struct mshv_partition *partition, const struct mshv_user_mem_region *args)
{
	return partition->isolated && !(args->flags & MSHV_SET_MEM_PINNED) ? -EINVAL : 0;
}

/* What a region that is to be made must be. */
static int check_new(struct mshv_partition *partition, const struct mshv_user_mem_region *args)
{
	int ret = check_args(args);

	return ret ? ret : check_kind(partition, args);
}

/* A region that is complete and heard of by the notifier, but in no tree; or an errno. */
static struct mshv_region *region_make(struct mshv_partition *partition,
				       const struct mshv_user_mem_region *args)
{
	bool pin = args->flags & MSHV_SET_MEM_PINNED;
	struct mshv_region *region;
	int ret = 0;

	region = region_alloc(partition, args);
	if (!region)
		return ERR_PTR(-ENOMEM);
	partition->region_count++;
	enter_hvas(region);
	if (pin)
		ret = mshv_region_pin(region);
	trace_region_create(partition->id, region->gfn, region->pages, region->writable,
			    region->executable, pin, ret);
	if (!ret)
		return region;
	region_destroy(region);
	return ERR_PTR(ret);
}

/**
 * mshv_region_create() - add a region
 * @partition: initialized child of the calling address space
 * @args: flags are known ones, reserved bytes are zero
 *
 * Context: partition->lock is held.
 *
 * Return: 0; -EEXIST overlap; -ENOSPC there are MSHV_REGIONS_MAX; -EINVAL bad range; -EOPNOTSUPP
 * device memory, pinned, or RAM that Linux has no pages for, or a shadow stack; -ENOMEM; -EINTR;
 * pinned regions also what pinning and mapping return.
 */
int mshv_region_create(struct mshv_partition *partition, const struct mshv_user_mem_region *args)
{
	u64 last = args->guest_pfn + (args->size >> PAGE_SHIFT) - 1;
	unsigned long index = args->guest_pfn;
	struct mshv_region *region;
	int ret;

	ret = check_new(partition, args);
	if (ret)
		return ret;
	if (mt_find(&partition->regions, &index, last))
		return -EEXIST;
	if (partition->region_count >= MSHV_REGIONS_MAX)
		return -ENOSPC;
	region = region_make(partition, args);
	if (IS_ERR(region))
		return PTR_ERR(region);
	ret = enter_tree(region, false);
	if (ret)
		region_destroy(region);
	return ret;
}

/**
 * mshv_region_replace() - put another region in the place of one that begins at the same GFN
 * @partition: initialized child of the calling address space
 * @args: the new region; flags are known ones, reserved bytes are zero
 *
 * The guest may run. It finds the old region or the new one, and nothing else, where both are.
 *
 * Context: partition->lock is held.
 *
 * Return: 0; -ENOENT no region begins at that GFN; -EEXIST the new one overlaps another; otherwise
 * as mshv_region_create(). If not 0 the old region is as it was.
 */
int mshv_region_replace(struct mshv_partition *partition, const struct mshv_user_mem_region *args)
{
	u64 last = args->guest_pfn + (args->size >> PAGE_SHIFT) - 1;
	struct mshv_region *old, *region;
	enum mshv_region_state state;
	unsigned long index;
	u64 old_last;
	int ret;

	ret = check_new(partition, args);
	if (ret)
		return ret;
	old = mtree_load(&partition->regions, args->guest_pfn);
	if (!old || old->gfn != args->guest_pfn)
		return -ENOENT;
	/* An isolated child's pages are its own, and nobody can tell it to let go of them. */
	if (partition->isolated)
		return -EOPNOTSUPP;
	old_last = mshv_region_end(old) - 1;
	index = old_last + 1;
	if (last > old_last && mt_find(&partition->regions, &index, last))
		return -EEXIST;

	/* Faults wait until one of the two is what they find. */
	state = old->state;
	mshv_region_set_state(old, MSHV_REGION_CHANGING);
	mshv_unmap(old);
	region = region_make(partition, args);
	ret = PTR_ERR_OR_ZERO(region);
	if (!ret)
		ret = enter_tree(region, true);
	if (ret) {
		if (!IS_ERR(region))
			region_destroy(region);
		mshv_region_set_state(old, state);
		if (state == MSHV_REGION_PINNED)
			mshv_region_map_pins(old);
		return ret;
	}
	if (old_last > last) {
		leave_tree(partition, last + 1, old_last);
		mshv_tables_free(partition, last + 1, old_last + 1);
	}
	list_del_rcu(&old->link);
	region_destroy(old);
	return 0;
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
 * become movable; or what pinning returns, and then the region is movable as before.
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
	ret = check_kind(partition, args);
	if (ret || pin == (region->state == MSHV_REGION_PINNED))
		return ret;
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
	region_remove(region);
	return 0;
}

/* All regions of a partition that nobody else has. Cannot fail. */
void mshv_region_remove_all(struct mshv_partition *partition)
{
	struct mshv_region *region;
	unsigned long index = 0;

	while ((region = mt_find(&partition->regions, &index, ULONG_MAX))) {
		region_remove(region);
		index = 0;
	}
	mtree_destroy(&partition->regions);
	/* What two regions shared a block of. */
	mshv_tables_free(partition, 0, MSHV_GFN_LIMIT);
}
