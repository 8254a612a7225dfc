// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host access: the memory of an isolated partition is the child's alone.
 *
 * Laws:
 *	- All regions of an isolated partition are pinned (region.c): a page that Linux cannot even
 *	  read cannot be moved, swapped or merged.
 *	- Linux reads a process's pages for many reasons that the process need not know of: core
 *	  dumps, debuggers, direct I/O, KSM. One that it cannot read would be its end. So the pages
 *	  leave the VMM's page tables first (hide), and nobody finds them any more: the pin is all
 *	  that is left. Only private anonymous memory can be hidden so; of a file there are other
 *	  ways to its pages.
 *	- Access is given up after the pages are pinned and hidden and before they are mapped; it is
 *	  taken back after they are unmapped and before they are unpinned.
 *	- A page that the hypervisor does not give back stays pinned for ever: Linux would die of
 *	  touching it. Losing the page is the floor; the kernel log says how many.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include <hvabi/memory.h>

#include "mshv.h"

#define MSHV_HOST_ACCESS_MAX \
	((HVABI_PAGE_SIZE - sizeof(struct hvabi_input_modify_sparse_spa_page_host_access)) / \
	 sizeof(u64))

static u16 batch(u16 code, struct page **pages, u16 reps, u32 access, u32 flags, u64 partition_id,
		 u16 *done)
{
	struct hvabi_input_modify_sparse_spa_page_host_access *input;
	u16 status, i;

	input = mshv_hypercall_begin(NULL);
	input->host_access = access;
	input->flags = flags;
	input->partition_id = partition_id;
	for (i = 0; i < reps; i++)
		input->spa_page_list[i] = page_to_pfn(pages[i]);
	*done = 0;
	status = mshv_hypercall_reps(code, reps, done, input, NULL);
	mshv_hypercall_end();
	return status;
}

/**
 * mshv_host_access_possible() - nobody has another way to the pages of a region
 * @region: pinned
 *
 * They are private and anonymous; pinned for writing, so nobody shares them.
 *
 * Context: process context, may sleep.
 */
bool mshv_host_access_possible(struct mshv_region *region)
{
	struct page **list;
	u64 at, i, pages;

	if (!region->writable)
		return false;
	for (at = 0; at < region->pages; at += pages) {
		pages = region->pages - at;
		list = mshv_pinned_pages(region, at, &pages);
		for (i = 0; i < pages; i++)
			if (!PageAnon(list[i]))
				return false;
		cond_resched();
	}
	return true;
}

/* Puts something else in the place of what the VMM has at the region's addresses. */
static int replace_mapping(struct mshv_region *region, unsigned long prot)
{
	unsigned long at = vm_mmap(NULL, region->hva, region->pages << PAGE_SHIFT, prot,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, 0);

	return IS_ERR_VALUE(at) ? (int)at : 0;
}

/**
 * mshv_host_access_hide() - take the pages of a region out of the VMM's page tables
 * @region: pinned, nothing of it mapped
 *
 * What is left at the addresses is a mapping without any right. If there is no memory for that,
 * Linux may have taken the old one away all the same: the caller undoes it with
 * mshv_host_access_show().
 *
 * Context: process context of the VMM, may sleep; takes mmap_lock.
 *
 * Return: 0, or -ENOMEM.
 */
int mshv_host_access_hide(struct mshv_region *region)
{
	return replace_mapping(region, PROT_NONE);
}

/**
 * mshv_host_access_show() - undo mshv_host_access_hide(), for a region that did not come to be
 * @region: pinned; Linux may touch its pages
 *
 * The VMM gets copies: what has left a page table cannot be put back into it.
 *
 * Context: process context of the VMM, may sleep. Where there is no memory the content is lost.
 */
void mshv_host_access_show(struct mshv_region *region)
{
	void __user *to = (void __user *)region->hva;
	unsigned long left = 0;
	struct page **list;
	u64 i, pages = 1;
	void *from;

	if (replace_mapping(region, PROT_READ | PROT_WRITE))
		return;
	for (i = 0; i < region->pages && !left; i++, to += PAGE_SIZE) {
		list = mshv_pinned_pages(region, i, &pages);
		if (!list || !*list)
			continue;
		from = kmap_local_page(*list);
		left = copy_to_user(to, from, PAGE_SIZE);
		kunmap_local(from);
		cond_resched();
	}
}

/**
 * mshv_host_access_release() - give the pages of a region to its isolated partition
 * @region: pinned and hidden, nothing of it mapped
 * @released: where to store how many pages, from the first on, are the child's now
 *
 * Context: process context, may sleep.
 *
 * Return: 0; -EINTR: a fatal signal; or the errno of the hypervisor. If not 0, some pages may have
 * been given all the same.
 */
int mshv_host_access_release(struct mshv_region *region, u64 *released)
{
	u16 status = HVABI_STATUS_SUCCESS, done;
	struct page **list;
	u64 pages;

	*released = 0;
	while (*released < region->pages) {
		if (fatal_signal_pending(current))
			return -EINTR;
		pages = MSHV_HOST_ACCESS_MAX;
		list = mshv_pinned_pages(region, *released, &pages);
		status = batch(HVABI_CALL_RELEASE_SPARSE_SPA_PAGE_HOST_ACCESS, list, pages, 0,
			       HVABI_HOST_ACCESS_MAKE_EXCLUSIVE, region->partition->id, &done);
		*released += done;
		if (status != HVABI_STATUS_SUCCESS)
			return mshv_status_errno(status);
		cond_resched();
	}
	return 0;
}

/**
 * mshv_host_access_acquire() - take pages back
 * @region: nothing of it is mapped
 * @pages: how many, from the first on, were released
 *
 * Pages that do not come back are dropped from the list of pinned pages: nobody unpins them.
 *
 * Context: process context, may sleep. Cannot fail.
 */
void mshv_host_access_acquire(struct mshv_region *region, u64 pages)
{
	u64 at = 0, lost = 0, wanted;
	struct page **list;
	u16 status, done;

	while (at < pages) {
		wanted = min_t(u64, pages - at, MSHV_HOST_ACCESS_MAX);
		list = mshv_pinned_pages(region, at, &wanted);
		status = batch(HVABI_CALL_ACQUIRE_SPARSE_SPA_PAGE_HOST_ACCESS, list, wanted,
			       HVABI_HOST_ACCESS_READABLE | HVABI_HOST_ACCESS_WRITABLE,
			       HVABI_HOST_ACCESS_MAKE_SHARED, 0, &done);
		at += done;
		if (status != HVABI_STATUS_SUCCESS && done < wanted) {
			/* The call is refused as a whole if one page is: find out which. */
			status = batch(HVABI_CALL_ACQUIRE_SPARSE_SPA_PAGE_HOST_ACCESS,
				       list + done, 1,
				       HVABI_HOST_ACCESS_READABLE | HVABI_HOST_ACCESS_WRITABLE,
				       HVABI_HOST_ACCESS_MAKE_SHARED, 0, &done);
			if (status != HVABI_STATUS_SUCCESS) {
				wanted = 1;
				*mshv_pinned_pages(region, at, &wanted) = NULL;
				lost++;
			}
			at++;
		}
		cond_resched();
	}
	if (lost)
		pr_err_ratelimited(pr_fmt_mshv "partition %llu: %llu pages not given back, lost until reboot\n",
				   region->partition->id, lost);
}
