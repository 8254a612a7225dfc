// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinned regions: all pages faulted, pinned and mapped, from the moment it is asked for (when the
 * region is made, or later under a running guest) until it is asked back or the region goes.
 *
 * Laws:
 *	- Counted against RLIMIT_MEMLOCK of the VMM before anything is allocated or pinned.
 *	- All or nothing: a short pin or a failed map is undone, the region is movable again, and
 *	  the errno says why.
 *	- Nothing is mapped at the moment when the kind changes. A page that Linux had put in
 *	  another's place before the pin would else stay mapped with nobody to take it away. The
 *	  guest faults what it touches meanwhile, and waits as long as the region is CHANGING.
 *	- What a guest misses of a pinned region it gets from the list of pages, so it does not
 *	  matter who is faster, the guest or map_all().
 *	- Guest and VMM see the same pages. What Linux takes away from the VMM's addresses
 *	  (discarded, unmapped, replaced, poisoned) the guest loses too, although it is pinned; at
 *	  its next touch the page that is there then is pinned in the old one's place.
 *	- A device may be at work, so nothing else is taken away: not for changes of rights, and not
 *	  while Linux tries to move or reclaim a page, which it cannot because of the pin. It unmaps
 *	  the page for that all the same, with the folio locked, and maps it again. Whether that is
 *	  what happens cannot be told for certain in the notifier, so such a page is looked at again
 *	  before a processor goes on (mshv_pinned_verify()).
 *	- Pages that the child could write are marked dirty when they are unpinned; the child does
 *	  not reach them any more then. If the hypervisor keeps a map all the same, the partition
 *	  has been killed: its processors do not run.
 *	- Pages of an isolated partition are given to it in between (host_access.c). Its regions
 *	  stay pinned, and what the VMM does with the addresses does not concern them.
 *	- The per-page memory (8 bytes) is the price of pinning, in pieces of a page each; movable
 *	  regions have none.
 */
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>

#include "compat.h"
#include "mshv.h"
#include "trace.h"

/*
 * For how long pin() pauses, all in all, for pages that somebody else holds; so does repin(), each
 * time. A pause is a jiffy at least, and what happens between them does not count.
 */
#define MSHV_PIN_PATIENCE_MS	512

/* Until all of a region is in the lists only the notifier looks at this, and not at the list. */
static struct mshv_pins *pins_make(struct mshv_region *region, unsigned long block)
{
	struct mshv_pins *pins = kzalloc(sizeof(*pins), GFP_KERNEL_ACCOUNT);

	if (!pins)
		return NULL;
	pins->pages = kcalloc(MSHV_BLOCK_PAGES, sizeof(*pins->pages), GFP_KERNEL_ACCOUNT);
	if (!pins->pages ||
	    xa_err(xa_store(&region->pinned, block, pins, GFP_KERNEL_ACCOUNT))) {
		kfree(pins->pages);
		kfree(pins);
		return NULL;
	}
	return pins;
}

/**
 * mshv_pinned_pages() - part of the list of pages of a region
 * @region: pinned
 * @index: a page of the region, from 0 on
 * @pages: in: how many are wanted; out: how many follow in the list from there on, at least 1
 *
 * Context: nobody changes the list: partition->lock is held, or nobody else has the partition.
 *
 * Return: the entry of the page; NULL if the region's list ends before it.
 */
struct page **mshv_pinned_pages(struct mshv_region *region, u64 index, u64 *pages)
{
	u64 gfn = region->gfn + index;
	struct mshv_pins *pins = xa_load(&region->pinned, mshv_region_block(region, gfn));
	unsigned int i = mshv_block_index(gfn);

	*pages = min3(*pages, (u64)MSHV_BLOCK_PAGES - i, region->pages - index);
	return pins ? pins->pages + i : NULL;
}

/* Unpins a list of pages, in which some may be missing. */
static void unpin(struct mshv_region *region, struct page **list, u64 pages)
{
	u64 done = 0, end;

	while (done < pages) {
		/* A page that was not given back stays as it is. */
		for (end = done; end < pages && list[end]; end++)
			;
		unpin_user_pages_dirty_lock(list + done, end - done, region->writable);
		done = end + (end < pages && !list[end]);
		cond_resched();
	}
}

/*
 * What has to be found for pages that have to leave ZONE_MOVABLE: so many folios of each order, of
 * single pages the most; and near which node. @any: there are some. Those of hugetlb are found
 * elsewhere.
 */
struct need {
	unsigned long folios[MSHV_BLOCK_SHIFT + 1];
	int node;
	bool any;
};

static bool in_list(struct page **list, long pages, const struct folio *folio)
{
	while (pages--)
		if (page_folio(list[pages]) == folio)
			return true;
	return false;
}

/* Pages that are pinned; once for each folio. */
static void look_what_moves(struct page **list, long pages, struct need *need)
{
	struct folio *folio;
	unsigned int order;
	long i;

	for (i = 0; i < pages; i++) {
		folio = page_folio(list[i]);
		if (!is_zone_movable_page(list[i]) || folio_test_hugetlb(folio) ||
		    (folio_test_large(folio) && in_list(list, i, folio)))
			continue;
		need->any = true;
		need->node = folio_nid(folio);
		order = folio_order(folio);
		if (order <= MSHV_BLOCK_SHIFT)
			need->folios[order]++;
	}
}

/* There is an end to it, and nobody is killed for it. */
static bool find_place(int node, unsigned int order, struct list_head *places)
{
	gfp_t gfp = GFP_USER | __GFP_NOWARN;
	struct page *page;

	if (!order)
		gfp |= __GFP_RETRY_MAYFAIL;
	else if (order <= PAGE_ALLOC_COSTLY_ORDER)
		gfp |= __GFP_COMP | __GFP_NORETRY;
	else
		gfp |= __GFP_COMP | __GFP_NOMEMALLOC;
	page = alloc_pages_node(node, gfp, order);
	if (page)
		list_add(&page->lru, places);
	return page;
}

/*
 * Reclaims and compacts as Linux would to move the pages, and gives back what that has found.
 * Returns 0 or -ENOMEM.
 */
static int make_room(struct need *need)
{
	struct page *page, *next;
	LIST_HEAD(places);
	int ret = 0, order;

	for (order = MSHV_BLOCK_SHIFT; order >= 0; order--) {
		for (; need->folios[order] && !ret; need->folios[order]--) {
			if (find_place(need->node, order, &places))
				continue;
			/* Linux splits a folio that finds no place as a whole. */
			if (order)
				need->folios[0] += 1ul << order;
			else
				ret = -ENOMEM;
		}
	}
	list_for_each_entry_safe(page, next, &places, lru)
		put_page(page);
	return ret;
}

static long pin_for_now(struct mshv_region *region, u64 gfn, u64 pages, unsigned int flags,
			struct page **list)
{
	unsigned int scope = memalloc_pin_save();
	long got = mshv_compat_pin_remote(region->partition->mm, mshv_gfn_to_hva(region, gfn),
					  pages, flags, list);

	memalloc_pin_restore(scope);
	return got;
}

/* How many pages follow in the mapping of a page, and whether who writes to them gets copies. */
static u64 look_at_mapping(struct mshv_region *region, u64 gfn, u64 pages, bool *copies)
{
	unsigned long address = mshv_gfn_to_hva(region, gfn);
	struct mm_struct *mm = region->partition->mm;
	struct vm_area_struct *vma;

	if (mmap_read_lock_killable(mm))
		return 0;
	vma = vma_lookup(mm, address);
	pages = vma ? min_t(u64, pages, (vma->vm_end - address) >> PAGE_SHIFT) : 0;
	/*
	 * GUP does not force those of hugetlb, and will not pin those of fsdax for long. And nobody
	 * waits for a page that userfaultfd shall tell of when it is written to, as nobody writes:
	 * what the pin copies there it copies.
	 */
	*copies = vma && (vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE &&
		  !is_vm_hugetlb_page(vma) && !vma_is_fsdax(vma) && !userfaultfd_wp(vma);
	mmap_read_unlock(mm);
	return pages;
}

/*
 * Who pins for long what nobody may write gets copies of a private mapping's pages, which become
 * the VMM's own: do that now, as ptrace would. Where it fails the pin will, and says why.
 */
static void unshare(struct mshv_region *region, u64 gfn, u64 pages, unsigned int flags,
		    struct page **list)
{
	u64 end = gfn + pages;
	bool copies;
	long got;

	for (; gfn < end; gfn += got) {
		got = look_at_mapping(region, gfn, end - gfn, &copies);
		if (got > 0 && copies) {
			got = pin_for_now(region, gfn, got, flags | FOLL_WRITE | FOLL_FORCE, list);
			if (got > 0)
				unpin_user_pages(list, got);
		}
		if (got <= 0)
			break;
	}
}

/*
 * One try of pin_for_long(). Returns -EAGAIN if there was memory, and not all pages would move.
 *
 * To pin for long Linux moves pages out of ZONE_MOVABLE: it takes them off its lists, then looks
 * for a place to put them, and may compact for that. Compaction waits while much of what was on a
 * node's lists is off them: a sixteenth; half for those that must not enter a file system
 * (too_many_isolated() in mm/compaction.c). Whoever has huge pages off the lists where little was
 * on them would wait for itself, and for the others who do the same. So Linux must not compact
 * then, which it does not for those that must not wait for I/O. Nor do these call the OOM killer:
 * without memory they wait until there is some, or SIGKILL; and at a cgroup's limit what has to
 * be swapped is not. So that there is some is seen to before, by a pin like any other, by copying
 * what would be copied, and by make_room(), with nothing held. Where nothing is seen to have to
 * move, something may all the same: pages of CMA, those that have come to ZONE_MOVABLE since, and
 * those of hugetlb, which are on no list that counts and need compaction. There the half has to
 * do.
 */
static long try_pin_for_long(struct mshv_region *region, u64 gfn, u64 pages, unsigned int flags,
			     struct page **list)
{
	struct need need = { .node = NUMA_NO_NODE };
	unsigned int scope;
	long got;
	int ret;

	if (!region->writable)
		unshare(region, gfn, pages, flags, list);
	got = pin_for_now(region, gfn, pages, flags, list);
	if (got <= 0)
		return got;
	look_what_moves(list, got, &need);
	unpin_user_pages(list, got);
	ret = make_room(&need);
	if (ret)
		return ret;
	scope = need.any ? memalloc_noio_save() : memalloc_nofs_save();
	got = mshv_compat_pin_remote(region->partition->mm, mshv_gfn_to_hva(region, gfn), got,
				     flags | FOLL_LONGTERM, list);
	if (need.any)
		memalloc_noio_restore(scope);
	else
		memalloc_nofs_restore(scope);
	return got == -ENOMEM ? -EAGAIN : got;
}

/* Sleeps. Returns 0 or -EINTR; if not @interruptible, for signals that kill. */
static int pause_for(unsigned int ms, bool interruptible)
{
	if (interruptible)
		schedule_timeout_interruptible(msecs_to_jiffies(ms));
	else
		schedule_timeout_killable(msecs_to_jiffies(ms));
	return (interruptible ? signal_pending(current) : fatal_signal_pending(current)) ?
		-EINTR : 0;
}

/*
 * Pin some pages. Returns how many, or an errno; the list holds those and nothing else.
 *
 * A page that somebody else holds cannot be moved, and Linux calls that ENOMEM: compaction or a
 * reader may have it for a moment. So it is tried again, as long as there is @patience (in ms;
 * what is used of it is taken off: whoever holds one page after the other does not keep pin(), in
 * which only SIGKILL is heard, and partition->lock, for minutes).
 */
static long pin_for_long(struct mshv_region *region, u64 gfn, u64 pages, bool interruptible,
			 unsigned int *patience, struct page **list)
{
	unsigned int flags = FOLL_HWPOISON | (region->writable ? FOLL_WRITE : 0) |
			     (interruptible ? MSHV_COMPAT_FOLL_INTERRUPTIBLE : 0);
	unsigned int ms = 1;
	long got, done;

	got = try_pin_for_long(region, gfn, pages, flags, list);
	for (; got == -EAGAIN && *patience; ms *= 2) {
		ms = min(ms, *patience);
		*patience -= ms;
		got = pause_for(ms, interruptible);
		if (!got)
			got = try_pin_for_long(region, gfn, pages, flags, list);
	}
	if (got == -EAGAIN)
		got = -ENOMEM;
	/* What GUP pinned and gave up again it leaves in the list. */
	done = max(got, 0L);
	memset(list + done, 0, (pages - done) * sizeof(*list));
	return got;
}

/* The VMM may do at its addresses what the guest may. GUP asks less: what is to write it takes. */
static int check_rights(struct mshv_region *region, u64 gfn, u64 pages)
{
	unsigned long start = mshv_gfn_to_hva(region, gfn);
	vm_flags_t wanted = VM_READ | (region->writable ? VM_WRITE : 0);
	struct mm_struct *mm = region->partition->mm;
	struct vm_area_struct *vma;
	int ret = 0;

	VMA_ITERATOR(vmi, mm, start);

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	for_each_vma_range(vmi, vma, start + (pages << PAGE_SHIFT))
		if ((vma->vm_flags & wanted) != wanted)
			ret = -EACCES;
	mmap_read_unlock(mm);
	return ret;
}

/*
 * Linux may be taking pages away that it has told of already, when the region was not what it is
 * now: nothing was noted in the list, or it goes on to take what is mapped, and a device does not
 * fault. What it tells of from now on finds the region as it is. Returns 0, or -EINTR: a fatal
 * signal.
 */
static int wait_for_quiet(struct mshv_region *region, u64 gfn, u64 pages)
{
	unsigned long address = mshv_gfn_to_hva(region, gfn);

	return mshv_look_wait(region->partition, address, address + (pages << PAGE_SHIFT));
}

/* All pages of a region. What is pinned when it fails is in the list. */
static int pin(struct mshv_region *region, u64 *pinned)
{
	u64 gfn = region->gfn, end = mshv_region_end(region), pages;
	unsigned int patience = MSHV_PIN_PATIENCE_MS;
	struct page **list = NULL;
	long got;
	int ret;

	ret = check_rights(region, gfn, region->pages);
	if (ret)
		return ret;
	for (; gfn < end; gfn += got, *pinned += got) {
		if (fatal_signal_pending(current))
			return -EINTR;
		pages = end - gfn;
		list = mshv_pinned_pages(region, gfn - region->gfn, &pages);
		if (!list) {
			if (!pins_make(region, mshv_region_block(region, gfn)))
				return -ENOMEM;
			got = 0;
			continue;
		}
		ret = wait_for_quiet(region, gfn, pages);
		if (ret)
			return ret;
		got = pin_for_long(region, gfn, pages, false, &patience, list);
		if (got <= 0)
			return got ? got : -EFAULT;
		cond_resched();
	}
	return 0;
}

/*
 * The block's pages are 512 in a row and aligned: pinned as they are, one map may hold them
 * whatever Linux's page table does.
 */
static bool block_contiguous(const struct mshv_pins *pins)
{
	unsigned long pfn;
	unsigned int i;

	if (!pins->pages[0] || !bitmap_empty(pins->lost, MSHV_BLOCK_PAGES))
		return false;
	pfn = page_to_pfn(pins->pages[0]);
	if (pfn & (MSHV_BLOCK_PAGES - 1))
		return false;
	for (i = 1; i < MSHV_BLOCK_PAGES; i++)
		if (!pins->pages[i] || page_to_pfn(pins->pages[i]) != pfn + i)
			return false;
	return true;
}

/* Pin what is at some addresses of one block now, in the place of what was there. */
static int repin(struct mshv_region *region, u64 gfn, unsigned int pages, struct page **list)
{
	struct mshv_partition *partition = region->partition;
	unsigned long address = mshv_gfn_to_hva(region, gfn);
	unsigned int i, first = mshv_block_index(gfn), patience = MSHV_PIN_PATIENCE_MS;
	struct mshv_zapped zapped = { };
	struct mshv_pins *pins;
	struct mshv_look look;
	long got;
	int ret;

	ret = mshv_look_begin(partition, &look, address, address + ((u64)pages << PAGE_SHIFT));
	if (ret)
		return ret;
	got = check_rights(region, gfn, pages);
	if (!got)
		got = pin_for_long(region, gfn, pages, true, &patience, list);
	if (got < (long)pages)
		ret = got < 0 ? got : signal_pending(current) ? -EINTR : -EFAULT;
	write_lock(&partition->map_lock);
	if (!ret && (look.stale || region->state != MSHV_REGION_PINNED))
		ret = -EAGAIN;
	if (!ret) {
		pins = xa_load(&region->pinned, mshv_region_block(region, gfn));
		for (i = 0; i < pages; i++) {
			swap(pins->pages[first + i], list[i]);
			if (pins->pages[first + i] != list[i])
				mshv_zap(region, gfn + i, gfn + i + 1, false, &zapped);
		}
		bitmap_clear(pins->lost, first, pages);
	} else if (ret != -EAGAIN && ret != -EINTR && region->state == MSHV_REGION_PINNED) {
		/* There is nothing any more that the VMM could see. Others have their pages. */
		pins = xa_load(&region->pinned, mshv_region_block(region, gfn));
		for (i = 0; i < pages; i++)
			if (test_bit(first + i, pins->lost))
				mshv_zap(region, gfn + i, gfn + i + 1, false, &zapped);
	}
	write_unlock(&partition->map_lock);
	mshv_look_end(partition, &look);
	if (!ret)
		unpin(region, list, pages);
	else if (got > 0)
		unpin_user_pages(list, got);
	return ret;
}

/*
 * The page can be mapped, and is not: or it is the one that was asked for, whatever the record
 * says.
 */
static bool wants_map(struct mshv_region *region, const struct mshv_pins *pins, u64 gfn, u64 asked)
{
	unsigned int i = mshv_block_index(gfn);

	return pins->pages[i] && !test_bit(i, pins->lost) &&
	       (gfn == asked || !mshv_mapped(region, gfn, region->writable));
}

/* Map what is pinned of a block. map_lock is held for reading, and the lock of the block. */
static u16 map_pinned(struct mshv_region *region, const struct mshv_pins *pins, u64 asked,
		      u64 *sources)
{
	unsigned long block = mshv_region_block(region, asked);
	u64 gfn = mshv_part_first(region, block);
	u64 end = mshv_part_end(region, block);
	u32 flags = region->writable ? HVABI_MAP_GPA_WRITABLE : 0;
	unsigned int pages, done;
	u64 source;
	u16 status;

	/* A large leaf stays so while Linux only tries one of its pages: all of it is pinned. */
	if (mshv_block_whole(region, block) &&
	    (test_bit(block, region->large) ||
	     (block_contiguous(pins) && !READ_ONCE(region->partition->tracking)))) {
		source = page_to_pfn(pins->pages[0]);
		return mshv_map_blocks(region, gfn, &source, 1, flags, &done);
	}

	status = mshv_break_block(region, gfn);
	for (; status == HVABI_STATUS_SUCCESS && gfn < end; gfn += pages + !pages) {
		for (pages = 0; gfn + pages < end; pages++) {
			if (!wants_map(region, pins, gfn + pages, asked))
				break;
			sources[pages] =
				page_to_pfn(pins->pages[mshv_block_index(gfn + pages)]);
		}
		if (pages)
			status = mshv_map_pages(region, gfn, sources, pages, flags, &done);
	}
	return status;
}

/**
 * mshv_pinned_fault() - map what a pinned region has of one block
 * @region: region
 * @gfn: a page of the block and of the region
 * @sources: room for the page numbers of one block
 * @status: where to store the hypervisor's answer
 *
 * Context: process context; takes map_lock.
 *
 * Return: 0; -EAGAIN: look again, nothing was mapped; -EINTR; -ENOMEM; or why there is nothing to
 * pin at the address, where the page that was pinned has gone: -EFAULT, -EACCES, -EHWPOISON.
 */
int mshv_pinned_fault(struct mshv_region *region, u64 gfn, u64 *sources, u16 *status)
{
	struct mshv_partition *partition = region->partition;
	unsigned int i = mshv_block_index(gfn);
	struct page *page = NULL;
	struct mshv_pins *pins;
	bool lost = false;
	int ret;

	*status = HVABI_STATUS_SUCCESS;
	ret = mshv_table_prepare(partition, gfn);
	if (ret)
		return ret;
	read_lock(&partition->map_lock);
	if (region->state != MSHV_REGION_PINNED || !mshv_table(partition, gfn)) {
		ret = -EAGAIN;
	} else {
		pins = xa_load(&region->pinned, mshv_region_block(region, gfn));
		lost = test_bit(i, pins->lost);
		mshv_block_lock(region, gfn);
		if (!lost)
			*status = map_pinned(region, pins, gfn, sources);
		mshv_block_unlock(region, gfn);
	}
	read_unlock(&partition->map_lock);
	if (!lost)
		return ret;
	ret = repin(region, gfn, 1, &page);
	return ret ? ret : -EAGAIN;
}

/*
 * Linux has unmapped one folio that it holds locked and that is not poisoned: it will map it again.
 * What the list says counts once the region is pinned: before that, pages in it may be anybody's.
 */
static bool only_tried(struct mshv_region *region, u64 gfn, u64 end, enum mmu_notifier_event event)
{
	struct mshv_pins *pins = xa_load(&region->pinned, mshv_region_block(region, gfn));
	struct page *first, *last;

	if (region->state == MSHV_REGION_MOVABLE || event != MMU_NOTIFY_CLEAR || !pins ||
	    mshv_region_block(region, gfn) != mshv_region_block(region, end - 1))
		return false;
	first = pins->pages[mshv_block_index(gfn)];
	last = pins->pages[mshv_block_index(end - 1)];
	return first && last && page_folio(first) == page_folio(last) &&
	       folio_test_locked(page_folio(first)) && !PageHWPoison(first) &&
	       !folio_test_hwpoison(page_folio(first));
}

/* Pages of one block, that have to be looked at again. map_lock is held for writing. */
static void doubt(struct mshv_region *region, u64 gfn, u64 end)
{
	struct mshv_pins *pins = xa_load(&region->pinned, mshv_region_block(region, gfn));

	bitmap_set(pins->doubt, mshv_block_index(gfn), end - gfn);
	region->doubts++;
	region->doubt_gfn = region->doubt_end ? min(region->doubt_gfn, gfn) : gfn;
	WRITE_ONCE(region->doubt_end, max(region->doubt_end, end));
	/* Seen after the range: pairs with mshv_pinned_verify(). */
	atomic_inc_return_release(&region->partition->doubts);
}

/**
 * mshv_pinned_lost() - Linux takes pages away from their addresses
 * @region: region, pinned or about to be; or movable: then nothing happens
 * @gfn: first guest page
 * @end: page after the last one
 * @event: why
 * @may_sleep: make room for others in between
 *
 * Context: map_lock is held for writing; may be dropped in between with @may_sleep.
 *
 * Return: whether a pinned region has to lose the pages.
 */
bool mshv_pinned_lost(struct mshv_region *region, u64 gfn, u64 end, enum mmu_notifier_event event,
		      bool may_sleep)
{
	struct mshv_partition *partition = region->partition;
	unsigned long block = mshv_region_block(region, gfn);
	struct mshv_pins *pins;
	u64 first, from, to;

	if (event != MMU_NOTIFY_UNMAP && event != MMU_NOTIFY_CLEAR)
		return false;
	/* An isolated child's pages have left the address space long ago. */
	if (xa_empty(&region->pinned) || partition->isolated)
		return false;
	xa_for_each_range(&region->pinned, block, pins, block, mshv_region_block(region, end - 1)) {
		first = mshv_block_gfn(region, block);
		from = max(gfn, first) - first;
		to = min(end, first + MSHV_BLOCK_PAGES) - first;
		bitmap_set(pins->lost, from, to - from);
		bitmap_clear(pins->doubt, from, to - from);
		if (may_sleep)
			cond_resched_rwlock_write(&partition->map_lock);
	}
	if (!only_tried(region, gfn, end, event))
		return true;
	doubt(region, gfn, end);
	return false;
}

/* What Linux moved while, or since, it was pinned; so the region can be mapped as a whole. */
static int repin_lost(struct mshv_region *region, unsigned long block, struct page **list)
{
	struct mshv_partition *partition = region->partition;
	unsigned long first, last;
	struct mshv_pins *pins;

	/* Faults pin again what they meet, meanwhile: both ends are of one moment. */
	read_lock(&partition->map_lock);
	pins = xa_load(&region->pinned, block);
	first = find_first_bit(pins->lost, MSHV_BLOCK_PAGES);
	last = find_last_bit(pins->lost, MSHV_BLOCK_PAGES);
	read_unlock(&partition->map_lock);
	if (first == MSHV_BLOCK_PAGES)
		return 0;
	return repin(region, mshv_block_gfn(region, block) + first, last - first + 1, list);
}

/*
 * Linux had unmapped a pinned page, to try what it cannot do. If it is the one that is there now,
 * nothing has happened, whatever the VMM may do there by now; else the child loses it. Returns 0,
 * or -EAGAIN, -EINTR.
 */
static int verify_page(struct mshv_region *region, u64 gfn)
{
	struct mshv_partition *partition = region->partition;
	unsigned long address = mshv_gfn_to_hva(region, gfn);
	struct mshv_zapped zapped = { };
	struct page *page = NULL;
	struct mshv_pins *pins;
	struct mshv_look look;
	int ret;

	ret = mshv_look_begin(partition, &look, address, address + PAGE_SIZE);
	if (ret)
		return ret;
	ret = mshv_compat_pin_remote(partition->mm, address, 1,
				     MSHV_COMPAT_FOLL_INTERRUPTIBLE | FOLL_FORCE, &page);
	if (ret != 1)
		page = NULL;
	write_lock(&partition->map_lock);
	if (look.stale || region->state == MSHV_REGION_CHANGING) {
		ret = -EAGAIN;
	} else if (ret != -EINTR && region->state == MSHV_REGION_PINNED) {
		pins = xa_load(&region->pinned, mshv_region_block(region, gfn));
		if (page && page == pins->pages[mshv_block_index(gfn)])
			__clear_bit(mshv_block_index(gfn), pins->lost);
		else
			mshv_zap(region, gfn, gfn + 1, false, &zapped);
		__clear_bit(mshv_block_index(gfn), pins->doubt);
	}
	write_unlock(&partition->map_lock);
	mshv_look_end(partition, &look);
	if (page)
		unpin_user_page(page);
	return ret == -EAGAIN || ret == -EINTR ? ret : 0;
}

/* The pages of one block that are in doubt. Returns 0, or -EAGAIN, -EINTR. */
static int verify_block(struct mshv_region *region, u64 gfn, u64 end)
{
	struct mshv_partition *partition = region->partition;
	u64 first = round_down(gfn, MSHV_BLOCK_PAGES);
	struct mshv_pins *pins;
	int ret;

	for (; gfn < end; gfn++) {
		read_lock(&partition->map_lock);
		pins = xa_load(&region->pinned, mshv_region_block(region, gfn));
		if (!pins || region->state == MSHV_REGION_MOVABLE ||
		    region->state == MSHV_REGION_REMOVED)
			gfn = end;
		else
			gfn = first + find_next_and_bit(pins->doubt, pins->lost, end - first,
							gfn - first);
		read_unlock(&partition->map_lock);
		ret = gfn < end ? verify_page(region, gfn) : 0;
		if (ret)
			return ret;
	}
	return 0;
}

/* It is in doubt until that is over, whoever looks. Returns 0, or -EAGAIN, -EINTR: it still is. */
static int verify_region(struct mshv_region *region)
{
	struct mshv_partition *partition = region->partition;
	unsigned int doubts;
	u64 gfn, end, next;
	int ret = 0;

	read_lock(&partition->map_lock);
	gfn = region->doubt_gfn;
	end = region->doubt_end;
	doubts = region->doubts;
	read_unlock(&partition->map_lock);
	while (gfn < end && !ret) {
		next = min(end, round_down(gfn, MSHV_BLOCK_PAGES) + MSHV_BLOCK_PAGES);
		ret = verify_block(region, gfn, next);
		gfn = next;
		cond_resched();
	}
	write_lock(&partition->map_lock);
	if (!ret && doubts != region->doubts)
		ret = -EAGAIN;
	if (!ret)
		WRITE_ONCE(region->doubt_end, 0);
	write_unlock(&partition->map_lock);
	return ret;
}

/* The first region from a page on that is in doubt. */
static struct mshv_region *find_doubtful(struct mshv_partition *partition, u64 gfn)
{
	struct mshv_region *region;

	rcu_read_lock();
	list_for_each_entry_rcu(region, &partition->region_list, link)
		if (region->gfn >= gfn && READ_ONCE(region->doubt_end) &&
		    refcount_inc_not_zero(&region->refs))
			goto out;
	region = NULL;
out:
	rcu_read_unlock();
	return region;
}

/**
 * mshv_pinned_verify() - look again at pinned pages that Linux has unmapped for a moment
 * @partition: child of the calling address space
 *
 * Where Linux is at it again, or the region is changing, they are looked at again before the next
 * dispatch.
 *
 * Context: process context, may sleep; before a processor is dispatched.
 */
void mshv_pinned_verify(struct mshv_partition *partition)
{
	struct mshv_region *region;
	bool over = true;
	u64 gfn = 0;
	int doubts;

	doubts = atomic_read(&partition->doubts);
	if (likely(READ_ONCE(partition->doubts_over) == doubts))
		return;
	/* Before regions are looked for: pairs with doubt(), and with who enters a region. */
	smp_mb();
	while ((region = find_doubtful(partition, gfn))) {
		if (signal_pending(current) || verify_region(region))
			over = false;
		gfn = region->gfn + 1;
		mshv_region_put(region);
	}
	if (over)
		WRITE_ONCE(partition->doubts_over, doubts);
}

/*
 * What is pinned of the block of a page, and that page also if it was lost. The region is pinned,
 * and stays so: partition->lock is held. @room: 512 entries.
 */
static int map_block(struct mshv_region *region, u64 gfn, u64 *room)
{
	unsigned int tries = 0;
	u16 status;
	int ret;

	do {
		if (fatal_signal_pending(current))
			return -EINTR;
		ret = mshv_reserve_fill(region->partition);
		if (!ret)
			ret = mshv_pinned_fault(region, gfn, room, &status);
		cond_resched();
		if (ret == -EAGAIN && signal_pending(current))
			return -EINTR;
		if (ret)
			continue;
		if (!mshv_status_needs_memory(status))
			return mshv_status_errno(status);
		ret = mshv_deposit_for(region->partition, status, &tries);
		if (!ret)
			ret = -EAGAIN;
	} while (ret == -EAGAIN);
	return ret;
}

/*
 * Whether the child lacks pages that the region has of a block. @given_up: also such as Linux has
 * taken away from the VMM. The region is pinned, and stays so: partition->lock is held.
 */
static bool misses(struct mshv_region *region, unsigned long block, bool given_up)
{
	u64 first = mshv_part_first(region, block), end = mshv_part_end(region, block), gfn;
	const struct mshv_pins *pins;
	bool missing = false;
	unsigned int i;

	read_lock(&region->partition->map_lock);
	pins = xa_load(&region->pinned, block);
	mshv_block_lock(region, first);
	gfn = mshv_mapped_end(region, first, region->writable);
	for (; gfn < end && !missing; gfn++) {
		i = mshv_block_index(gfn);
		missing = !mshv_mapped(region, gfn, region->writable) &&
			  (given_up || !test_bit(i, pins->lost) || test_bit(i, pins->doubt));
	}
	mshv_block_unlock(region, first);
	read_unlock(&region->partition->map_lock);
	return missing;
}

/* All of a region that has just become pinned. Otherwise as map_block(). */
static int map_all(struct mshv_region *region, u64 *room)
{
	unsigned long block = 0, blocks = mshv_region_blocks(region);
	unsigned int tries = 0;
	u64 gfn, end;
	int ret;

	while (block < blocks) {
		gfn = mshv_part_first(region, block);
		end = mshv_part_end(region, block);
		ret = wait_for_quiet(region, gfn, end - gfn);
		if (!ret)
			ret = repin_lost(region, block, (struct page **)room);
		cond_resched();
		if (ret == -EAGAIN && !signal_pending(current))
			continue;
		if (!ret)
			ret = map_block(region, gfn, room);
		if (ret)
			return ret == -EAGAIN ? -EINTR : ret;
		/* Linux may have been at a page between the two; or be at it for ever. */
		if (misses(region, block, true) && ++tries < MSHV_TRIES_AT_LAST)
			continue;
		tries = 0;
		block++;
	}
	return 0;
}

/* A page of a range of one block that is not lost, or @end. */
static u64 find_kept(struct mshv_region *region, u64 gfn, u64 end)
{
	u64 base = round_down(gfn, MSHV_BLOCK_PAGES);
	struct mshv_pins *pins;

	read_lock(&region->partition->map_lock);
	pins = xa_load(&region->pinned, mshv_region_block(region, gfn));
	gfn = base + find_next_zero_bit(pins->lost, end - base, gfn - base);
	read_unlock(&region->partition->map_lock);
	return gfn;
}

/* What a pinned region has of one block, if it was zapped. Not what the VMM has given up. */
static void map_kept(struct mshv_region *region, unsigned long block, u64 *room)
{
	u64 gfn = mshv_part_first(region, block);
	u64 end = mshv_part_end(region, block), kept;
	unsigned int tries = 0;
	int ret;

	/* What is only in doubt may be as it was; Linux may be at it for ever. */
	do {
		if (wait_for_quiet(region, gfn, end - gfn))
			return;
		verify_block(region, gfn, end);
		kept = find_kept(region, gfn, end);
		ret = kept < end ? map_block(region, kept, room) : 0;
	} while ((ret || misses(region, block, false)) && ++tries < MSHV_TRIES_AT_LAST);
}

/* Give up the list of pages. The child does not reach them. Cannot fail. */
static void drop_pins(struct mshv_region *region, u64 pinned)
{
	struct mshv_partition *partition = region->partition;
	struct mshv_pins *pins;
	unsigned long block;

	xa_for_each(&region->pinned, block, pins) {
		/* The notifier looks at it under the lock. */
		write_lock(&partition->map_lock);
		xa_erase(&region->pinned, block);
		write_unlock(&partition->map_lock);
		unpin(region, pins->pages, MSHV_BLOCK_PAGES);
		kfree(pins->pages);
		kfree(pins);
	}
	trace_unpin(partition->id, region->gfn, pinned);
	account_locked_vm(partition->mm, region->pages, false);
}

/**
 * mshv_region_pin() - make a movable region pinned: pin and map all its pages
 * @region: region
 *
 * Context: the region's address space is the caller's; partition->lock is held; the guest may run.
 *
 * Return: 0; -ENOMEM memory or RLIMIT_MEMLOCK; -EFAULT nothing to pin at an address; -EACCES a
 * mapping that lacks a right of the region's; -EHWPOISON; -EOPNOTSUPP memory that Linux does not
 * pin for long (fsdax); -EINTR; -EINVAL memory that an isolated partition cannot have; or the errno
 * of the hypervisor. If not 0 the region is movable.
 */
int mshv_region_pin(struct mshv_region *region)
{
	bool isolated = region->partition->isolated, hidden = false;
	u64 pinned = 0, released = 0;
	u64 *room;
	int ret;

	ret = account_locked_vm(region->partition->mm, region->pages, true);
	if (ret)
		return ret;
	room = kmalloc_array(MSHV_BLOCK_PAGES, sizeof(*room), GFP_KERNEL);
	ret = room ? pin(region, &pinned) : -ENOMEM;
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
		mshv_region_set_state(region, MSHV_REGION_PINNED);
		ret = map_all(region, room);
		if (ret)
			mshv_region_set_state(region, MSHV_REGION_MOVABLE);
	}
	kfree(room);
	if (!ret)
		return 0;
	mshv_host_access_acquire(region, released);
	if (hidden)
		mshv_host_access_show(region);
	drop_pins(region, pinned);
	return ret;
}

/**
 * mshv_region_map_pins() - map again what a pinned region has lost as a whole
 * @region: region
 *
 * A device at work does not fault. What cannot be mapped, or the VMM has given up, the guest faults
 * for.
 *
 * Context: partition->lock is held; may sleep.
 */
void mshv_region_map_pins(struct mshv_region *region)
{
	u64 *room = kmalloc_array(MSHV_BLOCK_PAGES, sizeof(*room), GFP_KERNEL);
	unsigned long block, blocks = mshv_region_blocks(region);

	for (block = 0; room && block < blocks && !fatal_signal_pending(current); block++)
		map_kept(region, block, room);
	kfree(room);
}

/**
 * mshv_region_drop_pins() - give up the pages of a region that was pinned, if it was
 * @region: the child does not reach its pages, and nobody maps any more
 *
 * Context: process context, may sleep. Cannot fail.
 */
void mshv_region_drop_pins(struct mshv_region *region)
{
	if (xa_empty(&region->pinned))
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
	mshv_region_set_state(region, MSHV_REGION_MOVABLE);
	mshv_region_drop_pins(region);
}
