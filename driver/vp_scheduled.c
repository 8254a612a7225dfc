// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtual processor that the hypervisor schedules: how it is started, awaited and stopped.
 *
 * Where Linux has no root scheduler, a processor runs from when both its suspend registers are
 * clear until it stands in an intercept, or is suspended. It does so on whatever CPU; its thread
 * sleeps meanwhile.
 *
 * Laws:
 *	- Nobody sleeps for a message that does not come. The hypervisor sets INTERCEPT_SUSPEND if
 *	  and only if it has sent, or will send, a message of it (synic.c); who is interrupted in
 *	  his sleep suspends the processor, and sleeps on only where that register says so.
 *	- No message is lost: it is remembered in the processor until it has been looked at, also
 *	  when the VMM itself let the processor run, by a call of its own.
 *	- When RUN_VP returns the processor stands still: in an intercept, or suspended.
 *	- A dead partition is not resumed. The processor's thread announces its CPU before it looks,
 *	  as for a dispatch; who kills waits for that, and then suspends every processor (or has the
 *	  hypervisor drop them). This, unlike the end of a dispatch, needs the hypervisor's help:
 *	  one that refuses all of it leaves no way to give a page back to Linux, and the machine
 *	  stops.
 */
#include <linux/errno.h>
#include <linux/panic.h>
#include <linux/rcuwait.h>
#include <linux/sched.h>
#include <linux/string.h>

#include <asm/mshyperv.h>

#include "compat.h"
#include "mshv.h"

/* Set suspend registers, in order. Context: with preemption disabled, @input is this CPU's page. */
static u16 set_registers(struct mshv_partition *partition, u32 index,
			 struct hvabi_input_set_vp_registers *input, const u32 *names, u16 count,
			 u64 value)
{
	u16 i, done = 0;

	memset(input, 0, sizeof(*input) + count * sizeof(input->elements[0]));
	input->partition_id = partition->id;
	input->vp_index = index;
	for (i = 0; i < count; i++) {
		input->elements[i].name = names[i];
		input->elements[i].value.reg64 = value;
	}
	return mshv_hypercall_reps(HVABI_CALL_SET_VP_REGISTERS, count, &done, input, NULL);
}

/* Let it run. Return: 0, or an errno: whether it runs is not known, and @vp->unsure. */
static int resume(struct mshv_vp *vp, unsigned int *tries)
{
	static const u32 names[] = { HVABI_REG_INTERCEPT_SUSPEND, HVABI_REG_EXPLICIT_SUSPEND };
	struct mshv_partition *partition = vp->partition;
	struct hvabi_input_set_vp_registers *input;
	u16 status = HVABI_STATUS_SUCCESS;
	bool dead;

	input = mshv_hypercall_begin(NULL);
	WRITE_ONCE(vp->cpu, smp_processor_id());
	/*
	 * Pairs with the barrier in mshv_partition_stop(): either we see dead, or it sees our CPU.
	 */
	smp_mb();
	dead = READ_ONCE(partition->dead);
	if (!dead)
		status = set_registers(partition, vp->index, input, names, ARRAY_SIZE(names), 0);
	/* The killer suspends it after this. */
	smp_store_release(&vp->cpu, -1);
	mshv_hypercall_end();

	/* One register may be set and the other not. */
	vp->unsure = status != HVABI_STATUS_SUCCESS;
	if (dead || (status != HVABI_STATUS_SUCCESS && READ_ONCE(partition->dead)))
		return -EOWNERDEAD;
	if (mshv_status_needs_memory(status))
		return mshv_deposit_for(partition, status, tries) ?: -EAGAIN;
	return mshv_status_errno(status);
}

/**
 * mshv_vp_suspend() - have the hypervisor stop a processor that it schedules
 * @partition: child
 * @index: of the processor
 *
 * Context: any but interrupts; does not sleep.
 *
 * Return: true: it stands still, or there is no such processor any more.
 */
bool mshv_vp_suspend(struct mshv_partition *partition, u32 index)
{
	const u32 name = HVABI_REG_EXPLICIT_SUSPEND;
	struct hvabi_input_set_vp_registers *input;
	unsigned int tries;
	u16 status;

	for (tries = 0; tries < MSHV_TRIES_AT_LAST; tries++) {
		input = mshv_hypercall_begin(NULL);
		status = set_registers(partition, index, input, &name, 1, 1);
		mshv_hypercall_end();
		switch (status) {
		case HVABI_STATUS_SUCCESS:
		case HVABI_STATUS_INVALID_VP_INDEX:
		case HVABI_STATUS_INVALID_PARTITION_STATE:
		case HVABI_STATUS_INVALID_PARTITION_ID:
			return true;
		}
	}
	return false;
}

/* Does it stand in an intercept? Return: 0, or an errno. */
static int in_intercept(struct mshv_vp *vp, bool *intercept)
{
	struct hvabi_input_get_vp_registers *input;
	union hvabi_register_value *output;
	u16 status, done = 0;

	input = mshv_hypercall_begin((void **)&output);
	memset(input, 0, sizeof(*input) + sizeof(input->names[0]));
	input->partition_id = vp->partition->id;
	input->vp_index = vp->index;
	input->names[0] = HVABI_REG_INTERCEPT_SUSPEND;
	memset(output, 0, sizeof(*output));
	status = mshv_hypercall_reps(HVABI_CALL_GET_VP_REGISTERS, 1, &done, input, output);
	*intercept = output->reg64 & 1;
	mshv_hypercall_end();
	return mshv_status_errno(status);
}

static bool woken(struct mshv_vp *vp)
{
	return READ_ONCE(vp->signalled) || READ_ONCE(vp->partition->dead);
}

/*
 * Linux wants its thread, or it is not known what the processor does. Return: 0: it stands still,
 * and what message there is has come; or an errno, and @vp->unsure: this has to be asked again
 * before it is resumed, or an intercept that is on its way would be lost.
 */
static int stop(struct mshv_vp *vp)
{
	bool intercept;
	int ret;

	vp->unsure = true;
	if (!mshv_vp_suspend(vp->partition, vp->index))
		return READ_ONCE(vp->partition->dead) ? -EOWNERDEAD : -EIO;
	ret = in_intercept(vp, &intercept);
	if (ret)
		return READ_ONCE(vp->partition->dead) ? -EOWNERDEAD : ret;
	/*
	 * The message is on its way; unless the VMM has said so itself, and then only a signal ends
	 * this.
	 */
	ret = intercept ? rcuwait_wait_event(&vp->wait, woken(vp), TASK_INTERRUPTIBLE) : 0;
	vp->unsure = ret;
	return ret;
}

/**
 * mshv_vp_await_intercept() - run a processor until it stands in an intercept
 * @vp: processor; its message page has the message
 *
 * Context: process context of the VMM, vp->lock held.
 *
 * Return: 0; -EINTR: a signal, and the processor is suspended; -EOWNERDEAD: the partition was
 * killed; or the errno of the hypervisor's status.
 */
int mshv_vp_await_intercept(struct mshv_vp *vp)
{
	unsigned int tries = 0;
	int ret;

	while (vp->unsure || !READ_ONCE(vp->signalled)) {
		if (vp->unsure) {
			ret = stop(vp);
			if (ret)
				return ret;
			continue;
		}
		ret = mshv_compat_handle_work();
		if (ret)
			return ret;
		mshv_pinned_verify(vp->partition);
		mshv_age_lend(vp->partition);
		ret = resume(vp, &tries);
		if (ret == -EAGAIN)
			continue;
		if (ret)
			return ret;
		ret = rcuwait_wait_event(&vp->wait, woken(vp), TASK_INTERRUPTIBLE);
		if (ret)
			ret = stop(vp);
		if (ret)
			return ret;
		if (READ_ONCE(vp->partition->dead))
			return -EOWNERDEAD;
	}
	if (READ_ONCE(vp->partition->dead))
		return -EOWNERDEAD;
	WRITE_ONCE(vp->signalled, false);
	vp->intercepted = true;
	return 0;
}

static bool suspend_all(struct mshv_partition *partition)
{
	bool all = true;
	unsigned int i;

	/* By number: the hypervisor may have one that is not made yet, or could not be unmade. */
	for (i = 0; i < MSHV_VP_MAX; i++)
		all &= mshv_vp_suspend(partition, i);
	return all;
}

/**
 * mshv_scheduled_stop() - stop all processors of a dead partition, which the hypervisor schedules
 * @partition: nobody resumes any of them any more
 *
 * Context: any but interrupts; does not sleep. Cannot fail.
 */
void mshv_scheduled_stop(struct mshv_partition *partition)
{
	unsigned int tries;

	if (READ_ONCE(partition->finalized) || suspend_all(partition))
		return;
	for (tries = 0; tries < MSHV_TRIES_AT_LAST; tries++) {
		switch (mshv_hypercall_partition(HVABI_CALL_FINALIZE_PARTITION, partition->id)) {
		case HVABI_STATUS_SUCCESS:
		case HVABI_STATUS_INVALID_PARTITION_STATE:
		/* Deleted while Linux goes down: the last descriptor was just closed. */
		case HVABI_STATUS_INVALID_PARTITION_ID:
			WRITE_ONCE(partition->finalized, true);
			return;
		}
	}
	panic(pr_fmt_mshv "partition %llu: the hypervisor neither stops its processors nor gives its memory back\n",
	      partition->id);
}
