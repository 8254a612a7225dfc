// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSHV_PREFAULT_MEMORY: a VMM asks for guest memory before the guest does.
 *
 * Laws:
 *	- It is a fault that nobody had (fault.c), as many pages a call as the ABI allows: the same
 *	  looks, locks and rights, and Linux may take away again what it gave.
 *	- What is wrong with the range is found before anything is done: all of it must be memory of
 *	  regions, and with the right to write where that is asked for.
 *	- A signal ends it, and what is left can be asked for again.
 */
#include <linux/errno.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "mshv.h"
#include "trace.h"

/* All of the range is memory of the guest, as far as can be seen now. Returns 0 or an errno. */
static int check_range(struct mshv_partition *partition, u64 gfn, u64 end, bool write)
{
	struct mshv_region *region;
	int ret = 0;

	while (!ret && gfn < end) {
		region = mshv_region_get(partition, gfn);
		if (!region)
			return -ENOENT;
		if (write && !region->writable)
			ret = -EACCES;
		gfn = mshv_region_end(region);
		mshv_region_put(region);
		cond_resched();
	}
	return ret;
}

/* One step. Returns 0 with *gfn after what it was, or an errno. */
static int prefault_step(struct mshv_partition *partition, u64 *gfn, u64 end, u32 flags,
			 struct mshv_scratch *scratch)
{
	bool write = flags & MSHV_PREFAULT_WRITE;
	struct mshv_region *region;
	int ret = -EACCES;

	if (signal_pending(current))
		return -EINTR;
	if (READ_ONCE(partition->dead))
		return -EOWNERDEAD;
	region = mshv_region_get(partition, *gfn);
	if (!region)
		return -ENOENT;
	if (region->writable || !write)
		ret = mshv_fault_range(region, gfn, min(end, mshv_region_end(region)), write,
				       flags & MSHV_PREFAULT_PRESENT, scratch);
	mshv_region_put(region);
	return ret;
}

static int prefault(struct mshv_partition *partition, u64 *gfn, u64 end, u32 flags)
{
	struct mshv_scratch *scratch = kvmalloc(sizeof(*scratch), GFP_KERNEL_ACCOUNT);
	int ret = scratch ? 0 : -ENOMEM;

	while (!ret && *gfn < end) {
		ret = prefault_step(partition, gfn, end, flags, scratch);
		cond_resched();
	}
	kvfree(scratch);
	return ret;
}

/**
 * mshv_ioctl_prefault() - MSHV_PREFAULT_MEMORY
 * @partition: child
 * @arg: argument
 *
 * Context: process context, may sleep; no lock of the driver.
 *
 * Return: 0: something was done, and @arg says what is left; or an errno, and nothing was done: see
 * struct mshv_prefault.
 */
long mshv_ioctl_prefault(struct mshv_partition *partition, struct mshv_prefault __user *arg)
{
	struct mshv_prefault args;
	u64 gfn, end;
	int ret;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	if (args.flags & ~MSHV_PREFAULT_FLAGS_MASK || memchr_inv(args.rsvd, 0, sizeof(args.rsvd)) ||
	    !args.pages || check_add_overflow(args.gfn, args.pages, &end) || end > MSHV_GFN_LIMIT)
		return -EINVAL;
	if (current->mm != partition->mm)
		return -EPERM;
	gfn = args.gfn;
	ret = check_range(partition, gfn, end, args.flags & MSHV_PREFAULT_WRITE);
	if (!ret)
		ret = prefault(partition, &gfn, end, args.flags);
	trace_prefault(partition->id, args.gfn, args.pages, args.flags, gfn - args.gfn, ret);
	if (gfn == args.gfn)
		return ret;
	args.pages = end - gfn;
	args.gfn = gfn;
	return copy_to_user(arg, &args, sizeof(args)) ? -EFAULT : 0;
}
