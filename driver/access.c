// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSHV_GET_GPAP_ACCESS_BITMAP: which pages a guest has read or written.
 *
 * Laws:
 *	- A query changes nothing. Clearing or setting one bit leaves the other as it is.
 *	- An answer is what the hypervisor's map says or what the log says (log.c): the map's bits
 *	  go with the map.
 *	- No lock is held, and no page of the hypercall's while user memory is written.
 */
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "mshv.h"

/* Pages of one step: fills whole bytes of the answer, and one call can do it. */
#define MSHV_ACCESS_BATCH	2048

static u64 access_flags(const struct mshv_gpap_access_bitmap *args)
{
	static const u64 flags[MSHV_GPAP_ACCESS_TYPE_COUNT][MSHV_GPAP_ACCESS_OP_COUNT] = {
		[MSHV_GPAP_ACCESS_TYPE_ACCESSED] = {
			0, HVABI_GPA_ACCESS_CLEAR_ACCESSED, HVABI_GPA_ACCESS_SET_ACCESSED,
		},
		[MSHV_GPAP_ACCESS_TYPE_DIRTY] = {
			0, HVABI_GPA_ACCESS_CLEAR_DIRTY, HVABI_GPA_ACCESS_SET_DIRTY,
		},
	};

	return flags[args->access_type][args->access_op];
}

/* One step, from *done on. Return: status; the answer for *done pages is in @states. */
static u16 access_batch(struct mshv_partition *partition, u64 gfn, u16 pages, u64 flags, u16 *done,
			u8 *states)
{
	struct hvabi_input_get_gpa_pages_access_state *input;
	u16 status, first = *done;
	u8 *output;

	input = mshv_hypercall_begin((void **)&output);
	input->partition_id = partition->id;
	input->flags = flags;
	input->hv_gpa_page_number = gfn;
	memset(output, 0, pages);
	status = mshv_hypercall_reps(HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, pages, done, input,
				     output);
	memcpy(states + first, output + first, *done - first);
	mshv_hypercall_end();
	return status;
}

/*
 * The same, with memory for a hypervisor that has to split a large map to change the bits of a part
 * of it, and with what the log knows.
 */
static int access_step(struct mshv_partition *partition, u64 gfn, u16 pages, u64 flags, u16 *done,
		       u8 *states)
{
	unsigned int tries = 0;
	int ret = 0, merged;
	u16 status;

	*done = 0;
	mshv_log_refine(partition, gfn, pages, flags);
	do {
		if (fatal_signal_pending(current) || READ_ONCE(partition->dead)) {
			ret = fatal_signal_pending(current) ? -EINTR : -EOWNERDEAD;
			break;
		}
		status = access_batch(partition, gfn, pages, flags, done, states);
		if (status != HVABI_STATUS_SUCCESS && READ_ONCE(partition->dead)) {
			ret = -EOWNERDEAD;
			break;
		}
		if (!mshv_status_needs_memory(status)) {
			ret = mshv_status_errno(status);
			break;
		}
		ret = mshv_deposit_for(partition, status, &tries);
	} while (!ret);
	merged = mshv_log_merge(partition, gfn, *done, flags, states);
	/* What the log does not have is not done. */
	if (merged)
		*done = 0;
	return ret ? ret : merged;
}

static void states_to_bits(const u8 *states, u16 pages, u8 wanted, unsigned long *bits)
{
	u16 i;

	bitmap_zero(bits, MSHV_ACCESS_BATCH);
	for (i = 0; i < pages; i++)
		if (states[i] & wanted)
			__set_bit(i, bits);
}

static int check_args(const struct mshv_gpap_access_bitmap *args)
{
	u64 end;

	if (args->access_type >= MSHV_GPAP_ACCESS_TYPE_COUNT ||
	    args->access_op >= MSHV_GPAP_ACCESS_OP_COUNT ||
	    memchr_inv(args->rsvd, 0, sizeof(args->rsvd)) || !args->page_count)
		return -EINVAL;
	if (check_add_overflow(args->gpap_base, args->page_count, &end) || end > MSHV_GFN_LIMIT)
		return -EINVAL;
	return 0;
}

/**
 * mshv_ioctl_access_bitmap() - MSHV_GET_GPAP_ACCESS_BITMAP
 * @partition: partition
 * @arg: argument; page_count goes back as the pages done
 *
 * Return: 0; -EINVAL; -EFAULT, and while the VMM tracks the bits for which there was no room are
 * not cleared; -EINTR; -EOWNERDEAD: the partition was killed; or the errno of the status, for the
 * page after those done.
 */
long mshv_ioctl_access_bitmap(struct mshv_partition *partition,
			      struct mshv_gpap_access_bitmap __user *arg)
{
	DECLARE_BITMAP(bits, MSHV_ACCESS_BATCH);
	struct mshv_gpap_access_bitmap args;
	u64 total, at = 0;
	u8 wanted, *states;
	u16 done;
	int ret;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	ret = check_args(&args);
	if (ret)
		return ret;
	states = kmalloc(MSHV_ACCESS_BATCH, GFP_KERNEL_ACCOUNT);
	if (!states)
		return -ENOMEM;

	/* Who cannot be told how far it went shall hear so before a bit is cleared. */
	ret = put_user(at, &arg->page_count);
	wanted = args.access_type == MSHV_GPAP_ACCESS_TYPE_DIRTY ?
		 HVABI_GPA_ACCESS_STATE_DIRTY : HVABI_GPA_ACCESS_STATE_ACCESSED;
	total = args.page_count;
	while (!ret && at < total) {
		ret = access_step(partition, args.gpap_base + at,
				  min_t(u64, total - at, MSHV_ACCESS_BATCH), access_flags(&args),
				  &done, states);
		states_to_bits(states, done, wanted, bits);
		if (copy_to_user(u64_to_user_ptr(args.bitmap_ptr + at / 8), bits,
				 DIV_ROUND_UP(done, 8))) {
			mshv_log_put_back(partition, args.gpap_base + at, done,
					  access_flags(&args), states);
			ret = -EFAULT;
			break;
		}
		at += done;
		cond_resched();
	}
	if (put_user(at, &arg->page_count))
		ret = -EFAULT;
	kfree(states);
	return ret;
}
