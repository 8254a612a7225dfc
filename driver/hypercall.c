// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls: the pages they read and write, the calling sequence, and what their status means.
 *
 * Laws:
 *	- Input and output pages are the driver's own, one pair a CPU. The kernel's own pages serve
 *	  its own calls from any context, and an output page exists only for kernels that know they
 *	  are a parent.
 *	- The pair belongs to whoever has preemption disabled: between mshv_hypercall_begin() and
 *	  mshv_hypercall_end(). No caller is an interrupt handler: for these there is a third page,
 *	  which belongs to whoever has interrupts disabled. Nothing is allocated, so an invalidation
 *	  can call.
 *	- A rep call that succeeds in part is continued here. One that reports success without
 *	  progress for long is a failure: nothing may spin for ever on a misbehaving hypervisor.
 *	- "Insufficient memory" is a value. Who gets it drops his locks, deposits and starts again.
 */
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include <asm/mshyperv.h>

#include "mshv.h"

/* Calls in a row that may succeed without doing a rep. */
#define MSHV_NO_PROGRESS_MAX	1000

struct mshv_hypercall_pages {
	void *input;
	void *output;
	void *interrupt;
};

static DEFINE_PER_CPU(struct mshv_hypercall_pages, mshv_hypercall_pages);

void mshv_hypercall_exit(void)
{
	struct mshv_hypercall_pages *pages;
	int cpu;

	for_each_possible_cpu(cpu) {
		pages = per_cpu_ptr(&mshv_hypercall_pages, cpu);
		free_page((unsigned long)pages->input);
		free_page((unsigned long)pages->output);
		free_page((unsigned long)pages->interrupt);
		*pages = (struct mshv_hypercall_pages){ };
	}
}

/* Pages for every CPU there can ever be, so that no hotplug callback can fail later. */
int mshv_hypercall_init(void)
{
	struct mshv_hypercall_pages *pages;
	int cpu;

	for_each_possible_cpu(cpu) {
		pages = per_cpu_ptr(&mshv_hypercall_pages, cpu);
		pages->input = (void *)get_zeroed_page(GFP_KERNEL);
		pages->output = (void *)get_zeroed_page(GFP_KERNEL);
		pages->interrupt = (void *)get_zeroed_page(GFP_KERNEL);
		if (!pages->input || !pages->output || !pages->interrupt) {
			mshv_hypercall_exit();
			return -ENOMEM;
		}
	}
	return 0;
}

/**
 * mshv_hypercall_begin() - take this CPU's pages
 * @output: where to store the address of the output page, or NULL
 *
 * Context: not in an interrupt. Returns with preemption disabled; end with mshv_hypercall_end().
 *
 * Return: the input page; contents are stale.
 */
void *mshv_hypercall_begin(void **output) __acquires(mshv_hypercall)
{
	struct mshv_hypercall_pages *pages;

	preempt_disable();
	__acquire(mshv_hypercall);
	pages = this_cpu_ptr(&mshv_hypercall_pages);
	if (output)
		*output = pages->output;
	return pages->input;
}

void mshv_hypercall_end(void) __releases(mshv_hypercall)
{
	__release(mshv_hypercall);
	preempt_enable();
}

/* One memory call as it is. Return: the result word. */
u64 mshv_hypercall(u16 code, u16 reps, u16 start, void *input, void *output)
{
	return hv_do_hypercall(hvabi_control(code, reps, start), input, output);
}

/**
 * mshv_hypercall_from_interrupt() - a simple call without output, wherever the caller is
 * @code: call code
 * @input: input block
 * @size: bytes
 *
 * Context: any but NMI; does not sleep.
 *
 * Return: the status.
 */
u16 mshv_hypercall_from_interrupt(u16 code, const void *input, size_t size)
{
	unsigned long flags;
	void *page;
	u64 result;

	local_irq_save(flags);
	page = this_cpu_ptr(&mshv_hypercall_pages)->interrupt;
	memcpy(page, input, size);
	result = mshv_hypercall(code, 0, 0, page, NULL);
	local_irq_restore(flags);
	return hvabi_result_status(result);
}

/* A fast call whose whole input is a partition id. Return: the status. */
u16 mshv_hypercall_partition(u16 code, u64 partition_id)
{
	return hvabi_result_status(hv_do_fast_hypercall8(code, partition_id));
}

/**
 * mshv_hypercall_reps() - do all reps of a rep call, however many the hypervisor does at a time
 * @code: call code
 * @reps: reps to do; the lists in the pages are complete
 * @done: in: rep to start at; out: reps completed, also when the status is not success
 * @input: input page
 * @output: output page or NULL
 *
 * Context: between mshv_hypercall_begin() and mshv_hypercall_end(), or with pages of the caller's
 * own.
 *
 * Return: status of the last call.
 */
u16 mshv_hypercall_reps(u16 code, u16 reps, u16 *done, void *input, void *output)
{
	unsigned int stuck = 0;
	u16 status, completed;
	u64 result;

	do {
		result = mshv_hypercall(code, reps, *done, input, output);
		if (result == HVABI_RESULT_NO_HYPERCALL)
			return HVABI_STATUS_OPERATION_FAILED;
		status = hvabi_result_status(result);
		/* Never go back, never past the end, whatever the hypervisor says. */
		completed = clamp(hvabi_result_reps(result), *done, reps);
		if (completed == *done && ++stuck > MSHV_NO_PROGRESS_MAX)
			return HVABI_STATUS_OPERATION_FAILED;
		*done = completed;
	} while (status == HVABI_STATUS_SUCCESS && *done < reps);
	return status;
}

bool mshv_status_needs_memory(u16 status)
{
	switch (status) {
	case HVABI_STATUS_INSUFFICIENT_MEMORY:
	case HVABI_STATUS_INSUFFICIENT_CONTIGUOUS_MEMORY:
	case HVABI_STATUS_INSUFFICIENT_ROOT_MEMORY:
	case HVABI_STATUS_INSUFFICIENT_CONTIGUOUS_ROOT_MEMORY:
		return true;
	}
	return false;
}

/* The hypervisor does not have the call, or not for this parent: asking again is of no use. */
bool mshv_status_is_final(u16 status)
{
	switch (status) {
	case HVABI_STATUS_INVALID_HYPERCALL_CODE:
	case HVABI_STATUS_INVALID_HYPERCALL_INPUT:
	case HVABI_STATUS_ACCESS_DENIED:
	case HVABI_STATUS_OPERATION_DENIED:
	case HVABI_STATUS_PROCESSOR_FEATURE_NOT_SUPPORTED:
		return true;
	}
	return false;
}

/* What a VMM is told; the same mapping as Linux's own driver. */
int mshv_status_errno(u16 status)
{
	switch (status) {
	case HVABI_STATUS_SUCCESS:
		return 0;
	case HVABI_STATUS_INVALID_HYPERCALL_CODE:
	case HVABI_STATUS_INVALID_HYPERCALL_INPUT:
	case HVABI_STATUS_INVALID_PARAMETER:
	case HVABI_STATUS_UNKNOWN_PROPERTY:
	case HVABI_STATUS_PROPERTY_VALUE_OUT_OF_RANGE:
	case HVABI_STATUS_INVALID_PARTITION_ID:
	case HVABI_STATUS_INVALID_VP_INDEX:
	case HVABI_STATUS_INVALID_PORT_ID:
	case HVABI_STATUS_INVALID_CONNECTION_ID:
	case HVABI_STATUS_INVALID_LP_INDEX:
	case HVABI_STATUS_INVALID_REGISTER_VALUE:
		return -EINVAL;
	case HVABI_STATUS_ACCESS_DENIED:
	case HVABI_STATUS_OPERATION_DENIED:
		return -EACCES;
	case HVABI_STATUS_PROCESSOR_FEATURE_NOT_SUPPORTED:
	/*
	 * It would be completed later, by a message that nobody waits for; passthrough.c waits for
	 * its own.
	 */
	case HVABI_STATUS_CALL_PENDING:
		return -EOPNOTSUPP;
	}
	return mshv_status_needs_memory(status) ? -ENOMEM : -EIO;
}

/**
 * mshv_call() - a simple memory call that deposits as long as the hypervisor asks for memory
 * @memory_for: partition that gets the deposits; NULL: this one
 * @code: call code
 * @input: input block
 * @input_size: bytes
 * @output: where to copy the output on success, or NULL
 * @output_size: bytes
 *
 * Context: process context, may sleep.
 *
 * Return: 0, -EINTR on a fatal signal, or the errno of the status.
 */
int mshv_call(struct mshv_partition *memory_for, u16 code, const void *input, size_t input_size,
	      void *output, size_t output_size)
{
	unsigned int tries = 0;
	void *in, *out;
	u64 result;
	u16 status;
	int ret;

	for (;;) {
		in = mshv_hypercall_begin(&out);
		memcpy(in, input, input_size);
		memset(out, 0, output_size);
		result = mshv_hypercall(code, 0, 0, in, output_size ? out : NULL);
		status = hvabi_result_status(result);
		if (status == HVABI_STATUS_SUCCESS && output)
			memcpy(output, out, output_size);
		mshv_hypercall_end();

		if (result == HVABI_RESULT_NO_HYPERCALL)
			return -EOPNOTSUPP;
		if (!mshv_status_needs_memory(status))
			return mshv_status_errno(status);
		ret = mshv_deposit_for(memory_for, status, &tries);
		if (!ret)
			continue;
		/* What did not help is not left behind. A child's comes back with the child. */
		if (!memory_for)
			mshv_withdraw_self();
		return ret;
	}
}
