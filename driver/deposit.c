// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory lent to the hypervisor for its own tables.
 *
 * Laws:
 *	- A deposited page belongs to the hypervisor: it is neither read nor written nor freed until
 *	  withdrawn. Its struct page carries the borrower (page->private), so that a page which the
 *	  hypervisor invents is not freed either.
 *	  It is PageOffline from before the deposit until after the withdrawal: readers that go
 *	  through memory by page (/proc/kcore, makedumpfile on the dump of a crash, hibernation)
 *	  leave it out, and memory offlining gives up on it at once.
 *	- On a failed deposit only the pages that the hypervisor did not take come back.
 *	- Deposits are charged to the memory cgroup of whoever makes them (GFP_KERNEL_ACCOUNT).
 *	- An invalidation may meet "insufficient memory" too, when the hypervisor has joined maps
 *	  that it has to split now. It may not allocate, so each partition keeps a few pages in
 *	  reserve, and one for each GiB of large leaves, which may be one leaf of 1 GiB by now. Each
 *	  fault fills them up; until the next one what was kept aside has to do for what is mapped,
 *	  and no more large leaves are made than that.
 */
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/sched/signal.h>

#include "mshv.h"
#include "trace.h"

#define MSHV_GFP_SPARE	(__GFP_NOWARN | __GFP_NORETRY)

/* Pages deposited to this partition itself, and a borrower to mark them with. */
static atomic64_t mshv_self_deposited;
static char mshv_self;

static unsigned long borrower(struct mshv_partition *partition)
{
	return partition ? (unsigned long)partition : (unsigned long)&mshv_self;
}

static u64 borrower_id(struct mshv_partition *partition)
{
	return partition ? partition->id : HVABI_PARTITION_ID_SELF;
}

/* All that is lent, to children and to this partition itself. */
static atomic64_t mshv_all_lent;

static atomic64_t *borrower_count(struct mshv_partition *partition)
{
	return partition ? &partition->deposited : &mshv_self_deposited;
}

static void count_lent(struct mshv_partition *partition, s64 pages)
{
	atomic64_add(pages, borrower_count(partition));
	atomic64_add(pages, &mshv_all_lent);
}

/*
 * Deposit the pages of a list, at most one hypercall's worth. Those that the hypervisor takes leave
 * the list. Does not sleep. Returns the status.
 */
static u16 deposit_list(struct mshv_partition *partition, struct list_head *list)
{
	struct hvabi_deposit_memory *input;
	u16 reps = 0, done = 0, i;
	struct page *page;
	u16 status;

	input = mshv_hypercall_begin(NULL);
	input->partition_id = borrower_id(partition);
	/*
	 * Off the list, marked and counted before the call: somebody may withdraw a page as soon as
	 * the hypervisor has it.
	 */
	while (reps < HVABI_DEPOSIT_MAX && !list_empty(list)) {
		page = list_first_entry(list, struct page, lru);
		list_del_init(&page->lru);
		set_page_private(page, borrower(partition));
		input->gpa_page_list[reps++] = page_to_pfn(page);
	}
	count_lent(partition, reps);
	status = mshv_hypercall_reps(HVABI_CALL_DEPOSIT_MEMORY, reps, &done, input, NULL);
	for (i = done; i < reps; i++) {
		page = pfn_to_page(input->gpa_page_list[i]);
		set_page_private(page, 0);
		list_add_tail(&page->lru, list);
	}
	count_lent(partition, (s64)done - reps);
	mshv_hypercall_end();

	trace_deposit(borrower_id(partition), reps, done, status);
	return status;
}

/*
 * Pages that may be lent from now on. Sleeps: readers that are at work now may still be on one of
 * them.
 */
static void set_offline(struct list_head *list)
{
	struct page *page;

	page_offline_begin();
	list_for_each_entry(page, list, lru)
		__SetPageOffline(page);
	page_offline_end();
}

/* All of them went through set_offline(). */
static void free_list(struct list_head *list)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, list, lru) {
		list_del_init(&page->lru);
		__ClearPageOffline(page);
		__free_page(page);
	}
}

static int alloc_list(struct list_head *list, unsigned int pages, unsigned int order, gfp_t gfp)
{
	struct page *page;
	unsigned int i;
	int ret = 0;

	while (pages) {
		page = alloc_pages(order ? gfp | MSHV_GFP_SPARE : gfp, order);
		if (!page && order) {
			order = 0;
			continue;
		}
		if (!page) {
			ret = -ENOMEM;
			break;
		}
		split_page(page, order);
		for (i = 0; i < 1U << order; i++)
			list_add_tail(&page[i].lru, list);
		pages -= min(pages, 1U << order);
	}
	set_offline(list);
	return ret;
}

/* *@status is the hypervisor's, SUCCESS if it was not asked. */
static int deposit(struct mshv_partition *partition, unsigned int pages, unsigned int order,
		   gfp_t gfp, u16 *status)
{
	LIST_HEAD(list);
	int ret;

	*status = HVABI_STATUS_SUCCESS;
	if (fatal_signal_pending(current))
		return -EINTR;
	/* Counted as lent from here on. */
	atomic64_add(pages, &mshv_all_lent);
	/*
	 * Pairs with the one in power_event(): it sees the count, or we see that Linux goes to
	 * sleep.
	 */
	smp_mb__after_atomic();
	ret = READ_ONCE(mshv_going_to_sleep) ? -EBUSY : alloc_list(&list, pages, order, gfp);
	while (!ret && !list_empty(&list)) {
		*status = deposit_list(partition, &list);
		ret = mshv_status_errno(*status);
	}
	free_list(&list);
	atomic64_sub(pages, &mshv_all_lent);
	return ret;
}

/**
 * mshv_deposit() - lend pages to the hypervisor for a partition
 * @partition: child; NULL: this partition
 * @pages: how many 4 KiB pages
 *
 * Context: process context, may sleep; no lock that the MMU notifier takes.
 *
 * Return: 0, -EINTR on a fatal signal, -ENOMEM, -EBUSY while Linux goes to sleep, or the errno of
 * the status.
 */
int mshv_deposit(struct mshv_partition *partition, unsigned int pages)
{
	u16 status;

	return deposit(partition, pages, 0, GFP_KERNEL_ACCOUNT, &status);
}

/**
 * mshv_deposit_spare() - as mshv_deposit(), if there is memory to spare: nobody is killed for it
 * @partition: child
 * @pages: how many 4 KiB pages
 * @status: what the hypervisor said of it; SUCCESS if nothing was offered to it
 *
 * Context: as mshv_deposit().
 *
 * Return: as mshv_deposit().
 */
int mshv_deposit_spare(struct mshv_partition *partition, unsigned int pages, u16 *status)
{
	return deposit(partition, pages, 0, GFP_KERNEL_ACCOUNT | MSHV_GFP_SPARE, status);
}

static void withdraw(struct mshv_partition *partition);

/**
 * mshv_deposit_for() - lend what a call was refused for
 * @partition: child; NULL: this partition
 * @status: the refusal, one of those mshv_status_needs_memory() knows
 * @tries: how often this has been done for the call; starts at 0, is increased here
 *
 * The hypervisor names no amount, so deposits grow: a large guest needs many pages, a small one
 * few. There is an end to it: a hypervisor that refuses for ever does not get all memory there is,
 * and what did not help comes back, so that a VMM that tries for ever does not lend without end.
 * A call of somebody else that was about to use it is refused once more and deposits again.
 *
 * It may have been refused by mshv_reserve_covers(), so the reserve is filled as well.
 *
 * Context: process context, may sleep; no lock that the MMU notifier takes.
 *
 * Return: 0 when the call is worth another try; -ENOMEM also where this partition would have to ask
 * its own parent.
 */
int mshv_deposit_for(struct mshv_partition *partition, u16 status, unsigned int *tries)
{
	/* To this partition itself from one page on: what it needs is small. */
	unsigned int pages = 1U << min(*tries, 6U);
	int ret;

	if ((*tries)++ >= MSHV_DEPOSIT_TRIES) {
		withdraw(partition);
		return -ENOMEM;
	}
	ret = partition ? mshv_reserve_fill(partition) : 0;
	if (ret)
		return ret;
	switch (status) {
	case HVABI_STATUS_INSUFFICIENT_CONTIGUOUS_MEMORY:
		return deposit(partition, 8, 3, GFP_KERNEL_ACCOUNT, &status);
	case HVABI_STATUS_INSUFFICIENT_MEMORY:
		if (partition) {
			/* Lost updates do no harm. */
			pages = clamp(READ_ONCE(partition->next_deposit), MSHV_DEPOSIT_MIN,
				      MSHV_DEPOSIT_MAX);
			WRITE_ONCE(partition->next_deposit, pages * 2);
		}
		return deposit(partition, pages, 0, GFP_KERNEL_ACCOUNT, &status);
	}
	return -ENOMEM;
}

/* What an invalidation may want: a table for each GiB of large leaves, and some. */
static unsigned int reserve_wanted(struct mshv_partition *partition)
{
	return MSHV_RESERVE_PAGES + atomic_read(&partition->large_blocks) / MSHV_JOINED_BLOCKS;
}

/**
 * mshv_reserve_covers() - count large leaves, if an invalidation finds what it may want for them
 * @partition: child
 * @blocks: large leaves to be made; those that are not are taken off again
 *
 * Context: map_lock is held.
 *
 * Return: whether they may be made; if not, mshv_reserve_fill() helps.
 */
bool mshv_reserve_covers(struct mshv_partition *partition, unsigned int blocks)
{
	if (atomic_add_return(blocks, &partition->large_blocks) / MSHV_JOINED_BLOCKS <=
	    READ_ONCE(partition->reserve_count))
		return true;
	atomic_sub(blocks, &partition->large_blocks);
	return false;
}

/**
 * mshv_reserve_fill() - see to it that an invalidation finds its reserve
 * @partition: child
 *
 * Context: process context, may sleep; no lock that the MMU notifier takes.
 *
 * Return: 0 or -ENOMEM.
 */
int mshv_reserve_fill(struct mshv_partition *partition)
{
	LIST_HEAD(page);
	int ret;

	while (READ_ONCE(partition->reserve_count) < reserve_wanted(partition)) {
		ret = alloc_list(&page, 1, 0, GFP_KERNEL_ACCOUNT);
		if (ret)
			return ret;
		spin_lock(&partition->reserve_lock);
		list_splice_init(&page, &partition->reserve);
		WRITE_ONCE(partition->reserve_count, partition->reserve_count + 1);
		spin_unlock(&partition->reserve_lock);
	}
	return 0;
}

void mshv_reserve_free(struct mshv_partition *partition)
{
	free_list(&partition->reserve);
	partition->reserve_count = 0;
}

/**
 * mshv_deposit_reserve() - lend a page of the reserve
 * @partition: child
 *
 * What is lent is anybody's who makes a call, so no more is lent than was asked for.
 *
 * Context: any but interrupts; does not sleep.
 *
 * Return: whether the hypervisor got a page, so that trying again makes sense.
 */
bool mshv_deposit_reserve(struct mshv_partition *partition)
{
	LIST_HEAD(list);
	bool lent = false;

	spin_lock(&partition->reserve_lock);
	if (partition->reserve_count) {
		list_move(partition->reserve.next, &list);
		deposit_list(partition, &list);
		lent = list_empty(&list);
		list_splice(&list, &partition->reserve);
		WRITE_ONCE(partition->reserve_count, partition->reserve_count - lent);
	}
	spin_unlock(&partition->reserve_lock);
	return lent;
}

/* A page number that the hypervisor gives back: ours, lent to this borrower, and not back yet? */
static struct page *withdrawn_page(struct mshv_partition *partition, u64 pfn)
{
	struct page *page;

	if (!pfn_valid(pfn))
		return NULL;
	page = pfn_to_page(pfn);
	return page_private(page) == borrower(partition) ? page : NULL;
}

/*
 * One call. Returns how many pages came back that were lent; *status and *done are the
 * hypervisor's. They are freed when preemption is on again: the allocator may sleep (PREEMPT_RT).
 */
static unsigned int withdraw_batch(struct mshv_partition *partition, u16 *status, u16 *done)
{
	struct hvabi_input_withdraw_memory *input;
	unsigned int ours = 0;
	LIST_HEAD(pages);
	struct page *page;
	u64 *output;
	u16 i;

	input = mshv_hypercall_begin((void **)&output);
	memset(input, 0, sizeof(*input));
	input->partition_id = borrower_id(partition);
	/* What is not written is page 0, which nobody lends, and not an answer from before. */
	memset(output, 0, HVABI_PAGE_SIZE);
	*done = 0;
	*status = mshv_hypercall_reps(HVABI_CALL_WITHDRAW_MEMORY, HVABI_WITHDRAW_MAX, done, input,
				      output);
	for (i = 0; i < *done; i++) {
		page = withdrawn_page(partition, output[i]);
		if (!page)
			continue;
		set_page_private(page, 0);
		list_add(&page->lru, &pages);
		ours++;
	}
	mshv_hypercall_end();
	free_list(&pages);
	count_lent(partition, -(s64)ours);
	return ours;
}

/* "No more" is an answer. Any other refusal may be of a moment; pages that nobody lent are none. */
static void withdraw(struct mshv_partition *partition)
{
	unsigned int ours, refused = 0;
	u16 status, done;

	while (refused < MSHV_TRIES_AT_LAST) {
		ours = withdraw_batch(partition, &status, &done);
		cond_resched();
		if (status == HVABI_STATUS_NO_RESOURCES ||
		    (status == HVABI_STATUS_SUCCESS && !done))
			return;
		refused += !ours;
	}
}

/**
 * mshv_withdraw() - take back what a partition was lent
 * @partition: child, finalized
 *
 * Pages that the hypervisor keeps stay lost: freeing them would let it write to somebody else's
 * memory.
 *
 * Context: process context. Cannot fail.
 */
void mshv_withdraw(struct mshv_partition *partition)
{
	s64 kept;

	withdraw(partition);
	kept = atomic64_read(&partition->deposited);
	if (kept)
		pr_warn_ratelimited(pr_fmt_mshv "partition %llu: the hypervisor keeps %lld pages\n",
				    partition->id, kept);
}

/*
 * Take back what this partition itself was lent, as far as the hypervisor does not use it. A call
 * of somebody else that is just about to use it is refused once more and deposits again.
 */
void mshv_withdraw_self(void)
{
	if (atomic64_read(&mshv_self_deposited))
		withdraw(NULL);
}

/* Pages that belong to the hypervisor now, for whomever they were lent. */
s64 mshv_lent(void)
{
	return atomic64_read(&mshv_all_lent);
}
