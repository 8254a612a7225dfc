// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest touched a page that is not mapped, or not with the right it needs: look it up in Linux,
 * map what is there.
 *
 * How one fault goes:
 *	1. Begin a look at the block (look.c): what has Linux around that page, with which
 *	   rights and map order (fault_look.c)?
 *	2. If the page itself is missing or lacks the right, let Linux fault it in, and with it the
 *	   window of a guest in sequence (window.c). Go to 1.
 *	3. Take map_lock. If the look is stale, go to 1, and look at less. Mark dirty what the child
 *	   will be able to write, and map what it does not have, in one call (fault_map.c): up to
 *	   509 pages, which may lie in two blocks, or as many blocks that Linux maps by one entry
 *	   each.
 *	4. If the hypervisor wants memory: drop the lock, deposit, go to 1.
 *	5. The rest of the window of a guest in sequence goes the same way, a call at a time.
 *
 * Laws:
 *	- It ends: a retry was caused by a change at the page asked for itself, or looks at less,
 *	  and any signal ends it.
 *	- Whatever goes wrong ahead of the guest it has not asked for, and does not hear of.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "fault.h"
#include "trace.h"

/*
 * A read that comes back this often, although it was served and Linux did not take the page away,
 * must be a write that the message does not show.
 */
#define MSHV_REPEAT_MAX		8

/* Find the page in Linux and map it. Returns as looking, supplying and mapping do. */
static int map_movable(struct fault *fault, u16 *status)
{
	u64 end;
	int ret;

	ret = mshv_fault_look(fault, &end);
	if (ret)
		return ret;
	if (!end)
		ret = mshv_fault_map(fault, status);
	mshv_look_end(fault->partition, &fault->look);
	if (!end)
		return ret;
	ret = mshv_fault_supply(fault, end);
	return ret ? ret : -EAGAIN;
}

/* Its addresses may be anybody's by now. Who faulted comes back, and finds what is there now. */
static bool is_removed(const struct mshv_region *region)
{
	return READ_ONCE(region->state) == MSHV_REGION_REMOVED;
}

/*
 * One look and one attempt. Returns 0 when served, -EAGAIN to try again, or why it cannot be
 * served.
 */
static int try_fault(struct fault *fault)
{
	struct mshv_region *region = fault->region;
	u16 status;
	int ret;

	ret = mshv_region_settled(region);
	if (ret || is_removed(region))
		return ret;
	if (READ_ONCE(region->state) == MSHV_REGION_PINNED)
		ret = mshv_pinned_fault(region, fault->gfn, fault->scratch->sources, &status);
	else
		ret = map_movable(fault, &status);
	/* That the partition died meanwhile the next dispatch finds out. */
	if (ret || status == HVABI_STATUS_SUCCESS || READ_ONCE(region->partition->dead))
		return ret;
	ret = mshv_status_errno(status);
	if (mshv_status_needs_memory(status))
		ret = mshv_deposit_for(region->partition, status, &fault->deposits);
	/* It was mapped: what went wrong did so behind it, and who goes on there meets it again. */
	if (fault->gfn - fault->first < fault->pages)
		return 0;
	return ret ? ret : -EAGAIN;
}

/* Until the span is served or cannot be. */
static int serve_span(struct fault *fault)
{
	struct mshv_region *region = fault->region;
	int ret;

	mshv_age_lend(region->partition);
	ret = mshv_reserve_fill(region->partition);
	while (!ret) {
		ret = try_fault(fault);
		if (ret != -EAGAIN)
			break;
		fault->retries++;
		cond_resched();
		/* Any signal: let the guest fault again after it. */
		ret = signal_pending(current) ? -EINTR : 0;
	}
	if (ret && ret != -EINTR && is_removed(region))
		ret = 0;
	if (!ret && fault->window && fault->next)
		mshv_window_served(fault->window, fault->next, fault->pages, fault->large);
	mshv_count(region, MSHV_STAT_FAULT_RETRY, fault->retries);
	return ret;
}

/*
 * What the fault has seen says that behind what the child has now nothing can be mapped. At the
 * border of a block it does not say: what another processor has mapped there was struck out. Where
 * device memory and RAM meet the guest comes back.
 */
static bool nothing_behind(const struct fault *fault, const struct mshv_span *span)
{
	u8 kind;

	if (fault->next >= span->reach)
		return true;
	if (fault->next < span->ahead_end || fault->next >= fault->span.end ||
	    !mshv_block_index(fault->next))
		return false;
	kind = kind_of(fault, fault->next);
	return kind != MSHV_KIND_READ && kind != MSHV_KIND_WRITE;
}

/*
 * The window of a guest in sequence goes on behind what one look and one call are of. Whatever goes
 * wrong there the guest has not asked for.
 */
static void serve_more(const struct fault *served, const struct mshv_span *span)
{
	u64 gfn = served->next;
	unsigned int calls;

	for (calls = 1; gfn < span->reach; calls++) {
		struct fault fault = {
			.partition = served->partition,
			.region = served->region,
			.window = served->window,
			.scratch = served->scratch,
			.gfn = gfn,
			.write = served->write,
			.ahead = true,
			.span = mshv_window_more(span, gfn),
			.reclaimed = served->reclaimed,
			.extent = served->large ? EXTENT_LIST : EXTENT_SPAN,
		};

		if (is_scarce(&fault))
			fault.span.ahead_end = min(fault.span.ahead_end, gfn);

		/* What is allocated is mapped; of what is there anyway, so many calls. */
		if (gfn >= fault.span.ahead_end && calls >= MSHV_WINDOW_CALLS)
			return;
		if (READ_ONCE(fault.partition->tracking) || signal_pending(current) ||
		    serve_span(&fault) || fault.next <= gfn)
			return;
		gfn = fault.next;
		cond_resched();
	}
}

/**
 * mshv_fault_forget() - end what is left of a processor's last fault
 * @vp: processor that does not run
 */
void mshv_fault_forget(struct mshv_vp *vp)
{
	if (vp->repeat.watching)
		mshv_look_end(vp->partition, &vp->repeat.watch);
	vp->repeat.watching = false;
}

/*
 * The same fault as the last one. It is watched from the second on whether Linux, or a change of
 * the region's kind, takes the page away in between: only if not, the guest has made no progress
 * and it counts.
 */
static bool repeats(struct mshv_vp *vp, const struct mshv_region *region, u64 gfn, u32 access,
		    u64 rip)
{
	struct mshv_repeat *repeat = &vp->repeat;
	bool same = repeat->gfn == gfn && repeat->rip == rip && repeat->access == access;
	u64 retaken = READ_ONCE(region->retaken);
	bool counts = same && repeat->watching && !READ_ONCE(repeat->watch.stale) &&
		      repeat->region == region && repeat->retaken == retaken;

	mshv_fault_forget(vp);
	repeat->gfn = gfn;
	repeat->rip = rip;
	repeat->access = access;
	repeat->region = region;
	repeat->retaken = retaken;
	repeat->count = counts ? repeat->count + 1 : 0;
	if (same)
		repeat->watching = mshv_look_try(vp->partition, &repeat->watch,
						 mshv_gfn_to_hva(region, gfn),
						 mshv_gfn_to_hva(region, gfn + 1));
	return same;
}

/* How far the child has the pages from @gfn on, no further than @end. */
static u64 find_mapped_end(struct mshv_region *region, u64 gfn, u64 end)
{
	u64 next;

	read_lock(&region->partition->map_lock);
	while (region->state == MSHV_REGION_MOVABLE && gfn < end) {
		mshv_block_lock(region, gfn);
		next = mshv_mapped_end(region, gfn, false);
		mshv_block_unlock(region, gfn);
		if (next == gfn)
			break;
		gfn = next;
	}
	read_unlock(&region->partition->map_lock);
	return gfn;
}

/*
 * A processor is in sequence, too, if others have got all the pages between where it was expected
 * and where it faults: two that take turns would otherwise have a fault a page for ever.
 */
static void catch_up(const struct fault *fault)
{
	struct mshv_stream *stream = fault->window->streams;
	unsigned int i;

	for (i = 0; i < MSHV_WINDOW_STREAMS; i++, stream++) {
		if (!stream->ahead || stream->next < fault->region->gfn ||
		    stream->next >= fault->gfn ||
		    fault->gfn - stream->next > 2 * MSHV_WINDOW_AHEAD_MAX)
			continue;
		/* One look tells of most that nobody was there. */
		if (find_mapped_end(fault->region, fault->gfn - 1, fault->gfn) != fault->gfn)
			return;
		/*
		 * Beyond it: the child has the page itself, and wants no more than another right.
		 */
		if (find_mapped_end(fault->region, stream->next, fault->gfn) == fault->gfn)
			stream->next = fault->gfn;
	}
}

static int serve(struct mshv_vp *vp, struct mshv_region *region, u64 gfn, u32 access, u64 rip)
{
	struct fault fault = {
		.partition = vp->partition,
		.region = region,
		.window = &vp->window,
		.scratch = vp->scratch,
		.gfn = gfn,
		.write = access == HVABI_INTERCEPT_ACCESS_WRITE,
	};
	struct mshv_span span;
	bool hidden_write;
	int ret;

	fault.again = repeats(vp, region, gfn, access, rip);
	/*
	 * The message may call a write a read (accesses of the page-table walker, for example).
	 * Then mapping read-only would fault for ever.
	 */
	hidden_write = access == HVABI_INTERCEPT_ACCESS_READ && region->writable &&
		       vp->repeat.count >= MSHV_REPEAT_MAX;
	fault.write |= hidden_write;
	catch_up(&fault);
	fault.reclaimed = READ_ONCE(vp->partition->reclaimed);
	mshv_window_scarce(&vp->window, fault.reclaimed - vp->reclaimed);
	vp->reclaimed = fault.reclaimed;
	span = mshv_window_choose(&vp->window, gfn, region->gfn, mshv_region_end(region));
	fault.span = span;
	fault.extent = vp->window.streams[0].large ? EXTENT_LIST : EXTENT_SPAN;
	ret = serve_span(&fault);
	if (hidden_write && ret && ret != -EINTR) {
		/* It was none: nobody could have written there. */
		fault.write = false;
		fault.retries = 0;
		vp->repeat.count = 0;
		ret = serve_span(&fault);
	}
	/* What was not served is no progress that the guest could have made. */
	if (ret)
		vp->repeat.count = 0;
	trace_fault(vp->partition->id, vp->index, gfn, access, fault.first, fault.pages,
		    fault.large, fault.writable, fault.retries, ret);
	if (!ret && fault.next && !nothing_behind(&fault, &span))
		serve_more(&fault, &span);
	return ret;
}

/**
 * mshv_fault() - serve a memory intercept, if it is in a region
 * @vp: processor, stopped by it
 * @message: UNMAPPED_GPA or GPA_INTERCEPT: which of the two depends on history that means nothing
 *   here
 * @served: where to store whether the processor can go on
 *
 * Context: the partition's address space is the caller's; vp->lock is held; may sleep.
 *
 * Return: 0; not served then means that the access is the VMM's business (no region, or a right
 * that the region does not give). -EINTR: a signal; running again faults again. Otherwise why Linux
 * cannot supply the page: -EFAULT, -EHWPOISON, -EACCES, -ENOMEM, -EOPNOTSUPP (RAM behind a device's
 * mapping), or the errno of the hypervisor.
 */
int mshv_fault(struct mshv_vp *vp, const struct hvabi_message *message, bool *served)
{
	const struct hvabi_x64_memory_intercept_message *intercept =
		(const void *)message->payload;
	u64 gfn = intercept->guest_physical_address >> HVABI_PAGE_SHIFT;
	u32 access = intercept->header.intercept_access_type;
	struct mshv_region *region;
	int ret = 0;

	*served = false;
	region = mshv_region_get(vp->partition, gfn);
	if (!region)
		return 0;
	if ((access == HVABI_INTERCEPT_ACCESS_WRITE && !region->writable) ||
	    (access == HVABI_INTERCEPT_ACCESS_EXECUTE && !region->executable))
		goto out;
	ret = serve(vp, region, gfn, access, intercept->header.rip);
	*served = !ret;
out:
	mshv_count_fault(region, ret, *served);
	mshv_region_put(region);
	return ret;
}

/**
 * mshv_fault_in() - give the child a page that the hypervisor needs on its behalf
 * @partition: child
 * @gfn: page
 * @write: with the right to write
 *
 * Context: may sleep; no lock of the driver but vp->lock or partition->lock.
 *
 * Return: 0; -ENOENT no region there; -EPERM: not the address space that created the partition;
 * -EACCES the region or its mapping lacks the right; otherwise as mshv_fault().
 */
int mshv_fault_in(struct mshv_partition *partition, u64 gfn, bool write)
{
	struct fault fault = {
		.partition = partition,
		.gfn = gfn,
		.write = write,
		.span = { .first = gfn, .end = gfn + 1, .ahead_end = gfn + 1, .reach = gfn + 1 },
		.extent = EXTENT_SPAN,
	};
	int ret;

	if (current->mm != partition->mm)
		return -EPERM;
	fault.region = mshv_region_get(partition, gfn);
	if (!fault.region)
		return -ENOENT;
	ret = -EACCES;
	if (write && !fault.region->writable)
		goto out;
	ret = -ENOMEM;
	fault.scratch = kvmalloc(sizeof(*fault.scratch), GFP_KERNEL_ACCOUNT);
	if (fault.scratch)
		ret = serve_span(&fault);
	kvfree(fault.scratch);
out:
	mshv_region_put(fault.region);
	return ret;
}

/*
 * Of a look that found nothing to map at the page asked for: the next page that may be something.
 */
static u64 next_present(const struct fault *fault)
{
	u64 gfn = fault->gfn + 1;

	while (gfn < fault->span.end && kind_of(fault, gfn) != MSHV_KIND_READ &&
	       kind_of(fault, gfn) != MSHV_KIND_WRITE)
		gfn++;
	return gfn;
}

/**
 * mshv_fault_split() - map a block in small pages that is mapped large, so that each has bits
 * @region: region
 * @gfn: first page of the block
 * @scratch: room
 *
 * One call asks for its accessed bit, if Linux wants to know; one takes the large leaf away and two
 * map the pages, with the right that the leaf had. Otherwise the guest had to fault on each one.
 *
 * Context: the partition's address space is the caller's; may sleep; no lock that a fault takes.
 *
 * Return: 0, or an errno: the block is as it was, or the guest faults for what it lacks.
 */
int mshv_fault_split(struct mshv_region *region, u64 gfn, struct mshv_scratch *scratch)
{
	const struct mshv_table *table;
	u64 end = gfn + MSHV_BLOCK_PAGES;
	bool writable;
	int ret;

	read_lock(&region->partition->map_lock);
	table = mshv_table(region->partition, gfn);
	writable = table && table->large_writable;
	read_unlock(&region->partition->map_lock);
	do {
		struct fault fault = {
			.partition = region->partition,
			.region = region,
			.scratch = scratch,
			.gfn = gfn,
			.write = writable,
			.all = true,
			.split = true,
			.span = {
				.first = gfn,
				.end = min(gfn + MSHV_WINDOW_LOOK, end),
				.ahead_end = gfn,
				.reach = end,
			},
			.extent = EXTENT_SPAN,
		};

		ret = serve_span(&fault);
		gfn = fault.next;
		/* 0: the partition is dead, or the region is none any more. */
	} while (!ret && gfn && gfn < end);
	return ret;
}

/**
 * mshv_fault_range() - give the child a part of a region before it asks
 * @region: region
 * @gfn: first page; where to store the page to go on with, which is after it unless an errno is
 *	returned, or the region is none any more
 * @end: page after the last one, in the region
 * @write: with the right to write
 * @present: nothing may be allocated: only what Linux has, with the rights that are there
 * @scratch: room
 *
 * Context: the partition's address space is the caller's; may sleep; no lock of the driver.
 *
 * Return: 0; -EINTR: a signal; otherwise as mshv_fault(), of the page at which it stopped.
 */
int mshv_fault_range(struct mshv_region *region, u64 *gfn, u64 end, bool write, bool present,
		     struct mshv_scratch *scratch)
{
	struct fault fault = {
		.partition = region->partition,
		.region = region,
		.scratch = scratch,
		.gfn = *gfn,
		.write = write,
		.all = true,
		.reclaimed = READ_ONCE(region->partition->reclaimed),
		.span = {
			.first = *gfn,
			.end = min(*gfn + MSHV_WINDOW_LOOK, end),
			.ahead_end = present ? *gfn : min(*gfn + MSHV_WINDOW_AHEAD_MAX, end),
			.reach = min(*gfn + MSHV_WINDOW_REACH_MAX, end),
		},
		.extent = EXTENT_LIST,
	};
	int ret = serve_span(&fault);

	if (present && ret == -ENOENT)
		fault.next = next_present(&fault);
	else if (ret)
		return ret;
	else if (is_removed(region))
		/* Another may have taken its place: whoever looks for it finds out. */
		return 0;
	else if (READ_ONCE(region->partition->dead))
		return -EOWNERDEAD;
	else if (!fault.next)
		/* Pinned: all of the block. */
		fault.next = round_down(*gfn, MSHV_BLOCK_PAGES) + MSHV_BLOCK_PAGES;
	*gfn = min(fault.next, end);
	return 0;
}
