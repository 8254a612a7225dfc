// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSHV_ROOT_HVCALL: hypercalls that a VMM makes itself, from a list.
 *
 * Laws:
 *	- The list is the policy: nothing that maps, deposits or creates. The driver knows what it
 *	  maps only if nobody else does.
 *	- The partition id in the input is the driver's; a VMM cannot name another partition.
 *	- Both pages are cleared first: no stale kernel memory goes either way.
 *	- Status and completed reps go back whatever happens; output on success only.
 *	- A killed partition is not called any more, and who kills waits for calls that have begun:
 *	  the hypervisor may have refused to finalize it, and would write to its memory.
 *	- The debug calls of the bundled hypervisor reach into everything. They are there for tests,
 *	  if the module was loaded so.
 */
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <hvabi/debug.h>

#include "mshv.h"

/* Which descriptors may make a call. */
#define ON_DEVICE	BIT(0)
#define ON_PARTITION	BIT(1)
#define ON_VP		BIT(2)

static const struct {
	u16 code;
	u8 on;
} allowed[] = {
	{ HVABI_CALL_GET_PARTITION_PROPERTY,		ON_DEVICE | ON_PARTITION | ON_VP },
	{ HVABI_CALL_GET_PARTITION_PROPERTY_EX,		ON_DEVICE | ON_PARTITION | ON_VP },
	{ HVABI_CALL_SET_PARTITION_PROPERTY,		ON_PARTITION },
	{ HVABI_CALL_INSTALL_INTERCEPT,			ON_PARTITION | ON_VP },
	{ HVABI_CALL_GET_VP_REGISTERS,			ON_PARTITION | ON_VP },
	{ HVABI_CALL_SET_VP_REGISTERS,			ON_PARTITION | ON_VP },
	{ HVABI_CALL_TRANSLATE_VIRTUAL_ADDRESS,		ON_PARTITION | ON_VP },
	{ HVABI_CALL_CLEAR_VIRTUAL_INTERRUPT,		ON_PARTITION | ON_VP },
	{ HVABI_CALL_REGISTER_INTERCEPT_RESULT,		ON_PARTITION | ON_VP },
	{ HVABI_CALL_ASSERT_VIRTUAL_INTERRUPT,		ON_PARTITION | ON_VP },
	{ HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES,	ON_PARTITION | ON_VP },
	{ HVABI_CALL_SIGNAL_EVENT_DIRECT,		ON_PARTITION | ON_VP },
	{ HVABI_CALL_POST_MESSAGE_DIRECT,		ON_PARTITION | ON_VP },
	{ HVABI_CALL_GET_VP_CPUID_VALUES,		ON_PARTITION | ON_VP },
	/* With debug_hypercalls=1, and of the bundled hypervisor only. */
	{ HVABI_CALL_DEBUG_GET_COUNTERS,		ON_DEVICE | ON_PARTITION | ON_VP },
	{ HVABI_CALL_DEBUG_WHO_CAN_REACH,		ON_DEVICE | ON_PARTITION | ON_VP },
	{ HVABI_CALL_DEBUG_GET_OPTION,			ON_DEVICE },
	{ HVABI_CALL_DEBUG_SET_OPTION,			ON_DEVICE },
};

static bool may_call(u16 code, u8 on)
{
	unsigned int i;

	if (code >= HVABI_CALL_DEBUG_GET_COUNTERS && !mshv_debug_hypercalls)
		return false;
	for (i = 0; i < ARRAY_SIZE(allowed); i++)
		if (allowed[i].code == code)
			return allowed[i].on & on;
	return false;
}

static int check_args(const struct mshv_root_hvcall *args, u8 on)
{
	if (!may_call(args->code, on))
		return -EINVAL;
	if (args->status || memchr_inv(args->rsvd, 0, sizeof(args->rsvd)))
		return -EINVAL;
	if (!args->in_ptr || args->in_sz < sizeof(u64) || args->in_sz > HVABI_PAGE_SIZE)
		return -EINVAL;
	if (args->out_ptr && (!args->out_sz || args->out_sz > HVABI_PAGE_SIZE))
		return -EINVAL;
	if (args->reps > HVABI_REP_MAX)
		return -EINVAL;
	return 0;
}

/* Make the call, to the end of its reps. Return: 0 or an errno; *args gets status and reps. */
static int call(struct mshv_root_hvcall *args, struct mshv_partition *partition, void *input,
		void *output)
{
	u16 status, done = 0;
	unsigned int tries = 0;
	int ret;

	do {
		status = HVABI_STATUS_SUCCESS;
		ret = fatal_signal_pending(current) ? -EINTR : -EOWNERDEAD;
		if (ret == -EINTR || !mshv_partition_enter(partition))
			break;
		/* A simple call is the case of no reps. */
		status = mshv_hypercall_reps(args->code, args->reps, &done, input, output);
		mshv_partition_leave(partition);
		ret = 1;
		if (mshv_status_needs_memory(status))
			ret = mshv_deposit_for(partition, status, &tries);
	} while (!ret);

	args->status = status;
	args->reps = done;
	if (status != HVABI_STATUS_SUCCESS && partition && READ_ONCE(partition->dead))
		return -EOWNERDEAD;
	return ret < 0 ? ret : mshv_status_errno(status);
}

/*
 * A call that the hypervisor may answer before it is done: then the end comes as a message
 * (synic.c). Who is killed while he waits leaves the wait to the next one. partition->lock is held.
 */
static int call_to_its_end(struct mshv_root_hvcall *args, struct mshv_partition *partition,
			   void *input)
{
	int ret;

	if (partition->call_pending && wait_for_completion_killable(&partition->call_done))
		return -EINTR;
	reinit_completion(&partition->call_done);
	/* Before the call: the message may be faster than the answer. */
	partition->call_pending = true;
	ret = call(args, partition, input, NULL);
	if (args->status == HVABI_STATUS_CALL_PENDING) {
		if (wait_for_completion_killable(&partition->call_done))
			return -EINTR;
		args->status = READ_ONCE(partition->call_status);
		ret = READ_ONCE(partition->dead) ? -EOWNERDEAD : mshv_status_errno(args->status);
	}
	partition->call_pending = false;
	return ret;
}

/*
 * Access bits that go on or off: the log (log.c) is there before the first bit that it may have to
 * keep, and until after the last.
 */
static int call_set_tracking(struct mshv_root_hvcall *args, struct mshv_partition *partition,
			     struct hvabi_input_set_partition_property *input)
{
	bool before = partition->tracking, on = input->property_value & 1;
	int ret;

	ret = on ? mshv_log_start(partition) : 0;
	if (!ret)
		ret = call_to_its_end(args, partition, input);
	if (ret ? !before : !on)
		mshv_log_stop(partition);
	return ret;
}

/* A VMM that asks the hypervisor itself has its answer completed, too. */
static int call_access_states(struct mshv_root_hvcall *args, struct mshv_partition *partition,
			      const struct hvabi_input_get_gpa_pages_access_state *input,
			      void *output)
{
	int ret;

	if (!args->out_ptr || args->reps > args->out_sz || args->reps > HVABI_PAGE_SIZE) {
		args->reps = 0;
		return -EINVAL;
	}
	mshv_log_refine(partition, input->hv_gpa_page_number, args->reps, input->flags);
	ret = call(args, partition, (void *)input, output);
	if (ret)
		return ret;
	ret = mshv_log_merge(partition, input->hv_gpa_page_number, args->reps, input->flags,
			     output);
	/* What the log does not have is not done. */
	if (ret)
		args->reps = 0;
	return ret;
}

/*
 * The VMM has no answer, or cannot trust the one it has: bits that were cleared have to come with
 * the next one.
 */
static void not_answered(const struct mshv_root_hvcall *args, struct mshv_partition *partition,
			 const void *input, const void *output)
{
	const struct hvabi_input_get_gpa_pages_access_state *asked = input;

	if (args->code == HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES)
		mshv_log_put_back(partition, asked->hv_gpa_page_number, args->reps, asked->flags,
				  output);
}

/*
 * A translation for which Linux has taken a table of the guest's. VMMs know no EINTR of this call:
 * behind a signal's handler it begins again.
 */
static int call_translate(struct mshv_root_hvcall *args, struct mshv_partition *partition,
			  void *input, void *output)
{
	unsigned int tries = 0;
	int ret;

	if (!args->out_ptr)
		return -EINVAL;
	do {
		args->reps = 0;
		ret = call(args, partition, input, output);
		if (!ret)
			ret = mshv_walk_failed(partition, input, output, &tries);
	} while (ret > 0);
	return ret == -EINTR ? -ERESTARTNOINTR : ret;
}

/* Some calls change, or ask for, what the driver keeps as well. */
static int call_for(struct mshv_root_hvcall *args, struct mshv_partition *partition, void *input,
		    void *output)
{
	struct hvabi_input_set_partition_property *property = input;
	int ret;

	switch (args->code) {
	case HVABI_CALL_SET_PARTITION_PROPERTY:
		if (mutex_lock_killable(&partition->lock))
			return -EINTR;
		if (property->property_code == HVABI_PROPERTY_GPA_PAGE_ACCESS_TRACKING)
			ret = call_set_tracking(args, partition, property);
		else
			ret = call_to_its_end(args, partition, input);
		mutex_unlock(&partition->lock);
		return ret;
	case HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES:
		return call_access_states(args, partition, input, output);
	case HVABI_CALL_TRANSLATE_VIRTUAL_ADDRESS:
		return call_translate(args, partition, input, output);
	}
	return call(args, partition, input, output);
}

/**
 * mshv_ioctl_hvcall() - MSHV_ROOT_HVCALL
 * @partition: partition of the descriptor, or NULL for the device
 * @vp: it is a processor's descriptor, which does not restrict the call to that processor
 * @arg: argument
 *
 * Return: 0; -EINVAL bad argument or call not allowed here; -EFAULT; -EINTR: a fatal signal;
 * -ERESTARTNOINTR: another one; -EOWNERDEAD: the partition was killed; or the errno of the status.
 */
long mshv_ioctl_hvcall(struct mshv_partition *partition, bool vp,
		       struct mshv_root_hvcall __user *arg)
{
	u8 on = vp ? ON_VP : ON_PARTITION;
	struct mshv_root_hvcall args;
	void *input, *output;
	int ret;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	if (!partition)
		on = ON_DEVICE;
	ret = check_args(&args, on);
	if (ret)
		return ret;

	/* The hypervisor writes an answer where it is told to, also of a VMM that wants none. */
	input = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	output = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	ret = -ENOMEM;
	if (!input || !output)
		goto out;
	ret = -EFAULT;
	if (copy_from_user(input, u64_to_user_ptr(args.in_ptr), args.in_sz))
		goto out;
	*(u64 *)input = partition ? partition->id : HVABI_PARTITION_ID_SELF;

	ret = call_for(&args, partition, input, output);
	if (!ret && args.out_ptr &&
	    copy_to_user(u64_to_user_ptr(args.out_ptr), output, args.out_sz))
		ret = -EFAULT;
	if (copy_to_user(arg, &args, sizeof(args)))
		ret = -EFAULT;
	if (ret)
		not_answered(&args, partition, input, output);
out:
	free_page((unsigned long)input);
	free_page((unsigned long)output);
	return ret;
}
