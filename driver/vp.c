// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtual processors: create, run, state pages.
 *
 * Laws:
 *	- A processor runs on the CPU of the thread that calls MSHV_RUN_VP, with preemption off and
 *	  interrupts on: an interrupt of that CPU ends the run, and the loop then looks after what
 *	  Linux wants (the root scheduler's contract).
 *	- Only a thread of the address space that created the partition runs it: faults are served
 *	  from that address space, and while such a thread is in here the address space cannot end.
 *	- A dead partition is not dispatched. The processor announces its CPU before it looks, so
 *	  that whoever kills can wait.
 *	- The intercept message stays valid until the next dispatch, but user space can write to its
 *	  page: the driver decides from a copy.
 *	- The hypervisor writes to the state pages until it was told to stop, or was finalized.
 *	  Otherwise they are never freed.
 *
 * Limits until the synthetic interrupt controller is served: no scheduler signal arrives when a
 * blocked processor could run again, so a blocked one is dispatched again after 1 to 16 ms.
 */
#include <linux/anon_inodes.h>
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/mshyperv.h>

#include "compat.h"
#include "mshv.h"

#define MSHV_BLOCKED_MS_MIN	1
#define MSHV_BLOCKED_MS_MAX	16

static const u16 page_types[MSHV_VP_PAGES] = {
	[MSHV_VP_MMAP_OFFSET_REGISTERS] = HVABI_VP_STATE_PAGE_REGISTERS,
	[MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE] = HVABI_VP_STATE_PAGE_INTERCEPT_MESSAGE,
};

/* Return: 0 or an errno; *result is valid with 0. */
static int vp_dispatch(struct mshv_vp *vp, struct hvabi_output_dispatch_vp *result,
		       unsigned int *tries)
{
	struct mshv_partition *partition = vp->partition;
	struct hvabi_output_dispatch_vp *output;
	struct hvabi_input_dispatch_vp *input;
	u16 status = HVABI_STATUS_SUCCESS;
	bool dead;

	input = mshv_hypercall_begin((void **)&output);
	WRITE_ONCE(vp->cpu, smp_processor_id());
	/*
	 * Pairs with the barrier in mshv_partition_stop(): either we see dead, or it sees our CPU.
	 */
	smp_mb();
	dead = READ_ONCE(partition->dead);
	if (!dead) {
		memset(input, 0, sizeof(*input));
		input->partition_id = partition->id;
		input->vp_index = vp->index;
		if (vp->intercepted)
			input->flags = HVABI_DISPATCH_CLEAR_INTERCEPT_SUSPEND;
		memset(output, 0, sizeof(*output));
		status = hvabi_result_status(mshv_hypercall(HVABI_CALL_DISPATCH_VP, 0, 0, input,
							    output));
		*result = *output;
	}
	/* What the run wrote is visible before the killer goes on. */
	smp_store_release(&vp->cpu, -1);
	mshv_hypercall_end();

	if (dead)
		return -EOWNERDEAD;
	if (status == HVABI_STATUS_SUCCESS) {
		vp->intercepted = false;
		*tries = 0;
		return 0;
	}
	if (READ_ONCE(partition->dead))
		return -EOWNERDEAD;
	return mshv_status_needs_memory(status) ? mshv_deposit_for(partition, status, tries) :
						  mshv_status_errno(status);
}

static int vp_clear_suspend(struct mshv_vp *vp)
{
	struct hvabi_input_set_vp_registers *input;
	u16 status, done = 0;

	input = mshv_hypercall_begin(NULL);
	memset(input, 0, sizeof(*input) + sizeof(input->elements[0]));
	input->partition_id = vp->partition->id;
	input->vp_index = vp->index;
	input->elements[0].name = HVABI_REG_EXPLICIT_SUSPEND;
	status = mshv_hypercall_reps(HVABI_CALL_SET_VP_REGISTERS, 1, &done, input, NULL);
	mshv_hypercall_end();
	return mshv_status_errno(status);
}

/* The processor waits for something. Return: 0 to dispatch it again, or -EINTR. */
static int vp_blocked(struct mshv_vp *vp, u32 event, unsigned int *ms)
{
	int ret = 0;

	if (event == HVABI_DISPATCH_EVENT_SUSPEND)
		ret = vp_clear_suspend(vp);
	if (ret)
		return ret;
	if (schedule_timeout_interruptible(msecs_to_jiffies(*ms)) && signal_pending(current))
		return -EINTR;
	*ms = min(*ms * 2, MSHV_BLOCKED_MS_MAX);
	return 0;
}

static void copy_message(struct mshv_vp *vp)
{
	struct page *page = vp->pages[MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE];

	memcpy(&vp->message, page_address(page), sizeof(vp->message));
}

/*
 * Run until the VMM is wanted.
 * Return: 0 or an errno; *deliver: there is a message for the VMM.
 */
static int vp_run(struct mshv_vp *vp, bool *deliver)
{
	unsigned int ms = MSHV_BLOCKED_MS_MIN, tries = 0;
	struct hvabi_output_dispatch_vp out;
	bool served;
	int ret;

	*deliver = false;
	for (;;) {
		ret = mshv_compat_handle_work();
		if (ret)
			return ret;
		mshv_pinned_verify(vp->partition);
		memset(&out, 0, sizeof(out));
		ret = vp_dispatch(vp, &out, &tries);
		if (ret)
			return ret;
		if (out.dispatch_state == HVABI_DISPATCH_STATE_BLOCKED) {
			ret = vp_blocked(vp, out.dispatch_event, &ms);
			if (ret)
				return ret;
			continue;
		}
		ms = MSHV_BLOCKED_MS_MIN;
		if (out.dispatch_event != HVABI_DISPATCH_EVENT_INTERCEPT)
			continue;

		vp->intercepted = true;
		copy_message(vp);
		switch (vp->message.header.message_type) {
		case HVABI_MSG_UNMAPPED_GPA:
		case HVABI_MSG_GPA_INTERCEPT:
			ret = mshv_fault(vp, &vp->message, &served);
			if (served)
				continue;
		}
		*deliver = ret != -EINTR;
		return ret;
	}
}

static long ioctl_run_vp(struct mshv_vp *vp, struct mshv_run_vp __user *arg)
{
	bool deliver;
	int ret;

	ret = vp_run(vp, &deliver);
	if (deliver && copy_to_user(arg->msg_buf, &vp->message, sizeof(vp->message)))
		return -EFAULT;
	return ret;
}

static long vp_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct mshv_vp *vp = file->private_data;
	long ret = -ENOTTY;

	/* Another process has no business here, and need not wait for this one's guest to hear it. */
	if (cmd == MSHV_RUN_VP && current->mm != vp->partition->mm)
		return -EPERM;
	if (mutex_lock_killable(&vp->lock))
		return -EINTR;
	switch (cmd) {
	case MSHV_RUN_VP:
		ret = ioctl_run_vp(vp, (void __user *)arg);
		break;
	case MSHV_ROOT_HVCALL:
		ret = mshv_ioctl_hvcall(vp->partition, true, (void __user *)arg);
		break;
	}
	mutex_unlock(&vp->lock);
	return ret;
}

/* The pages do not change while there is a descriptor, and the VMA holds one. */
static vm_fault_t vp_mmap_fault(struct vm_fault *vmf)
{
	struct mshv_vp *vp = vmf->vma->vm_file->private_data;

	if (vmf->pgoff >= MSHV_VP_PAGES)
		return VM_FAULT_SIGBUS;
	get_page(vp->pages[vmf->pgoff]);
	vmf->page = vp->pages[vmf->pgoff];
	return 0;
}

static const struct vm_operations_struct vp_vm_ops = {
	.fault = vp_mmap_fault,
};

static int vp_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (vma_pages(vma) != 1 || !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_pgoff == MSHV_VP_MMAP_OFFSET_GHCB)
		return -ENODEV;
	if (vma->vm_pgoff >= MSHV_VP_PAGES)
		return -EINVAL;
	vma->vm_ops = &vp_vm_ops;
	return 0;
}

static int vp_release(struct inode *inode, struct file *file)
{
	struct mshv_vp *vp = file->private_data;

	mshv_partition_put(vp->partition);
	return 0;
}

static const struct file_operations vp_fops = {
	.owner = THIS_MODULE,
	.release = vp_release,
	.unlocked_ioctl = vp_ioctl,
	.mmap = vp_mmap,
	.llseek = noop_llseek,
};

static int map_state_page(struct mshv_vp *vp, unsigned int which)
{
	struct hvabi_output_map_vp_state_page output;
	struct hvabi_input_map_vp_state_page input = {
		.partition_id = vp->partition->id,
		.vp_index = vp->index,
		.type = page_types[which],
	};
	struct page *page = NULL;
	int ret;

	if (mshv_overlay_pages) {
		page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!page)
			return -ENOMEM;
		input.flags = HVABI_VP_STATE_PAGE_LOCATION_PROVIDED;
		input.requested_map_location = page_to_pfn(page);
	}
	ret = mshv_call(vp->partition, HVABI_CALL_MAP_VP_STATE_PAGE, &input, sizeof(input),
			&output, sizeof(output));
	/*
	 * The page to use is the hypervisor's choice: one we can see, and ours if we offered ours.
	 */
	if (!ret && (!pfn_valid(output.map_location) ||
		     (page && pfn_to_page(output.map_location) != page))) {
		/* It writes somewhere we do not know. Keep our page out of use for good. */
		return -EIO;
	}
	if (ret) {
		if (page)
			__free_page(page);
		return ret;
	}
	vp->pages[which] = pfn_to_page(output.map_location);
	return 0;
}

static bool unmap_state_page(struct mshv_vp *vp, unsigned int which)
{
	struct hvabi_input_unmap_vp_state_page input = {
		.partition_id = vp->partition->id,
		.vp_index = vp->index,
		.type = page_types[which],
	};

	return !mshv_call(vp->partition, HVABI_CALL_UNMAP_VP_STATE_PAGE, &input, sizeof(input),
			  NULL, 0);
}

/**
 * mshv_vp_stop() - take a processor away from the hypervisor
 * @vp: processor that does not run and has no descriptor
 *
 * Context: process context. Cannot fail: what the hypervisor refuses here, FINALIZE does.
 */
void mshv_vp_stop(struct mshv_vp *vp)
{
	unsigned int i;

	for (i = 0; i < MSHV_VP_PAGES; i++)
		if (vp->pages[i])
			vp->page_returned[i] = unmap_state_page(vp, i);
	hv_do_fast_hypercall16(HVABI_CALL_DELETE_VP, vp->partition->id, vp->index);
}

/* After mshv_vp_stop(), and FINALIZE if it can be. */
void mshv_vp_free(struct mshv_vp *vp)
{
	unsigned int i;

	for (i = 0; i < MSHV_VP_PAGES; i++)
		if (vp->pages[i] && mshv_overlay_pages &&
		    (vp->page_returned[i] || vp->partition->finalized))
			__free_page(vp->pages[i]);
	mshv_fault_forget(vp);
	kvfree(vp->scratch);
	kfree(vp);
}

static struct mshv_vp *vp_alloc(struct mshv_partition *partition, u32 index)
{
	struct mshv_vp *vp = kzalloc(sizeof(*vp), GFP_KERNEL_ACCOUNT);

	if (!vp)
		return NULL;
	vp->partition = partition;
	vp->index = index;
	vp->cpu = -1;
	mutex_init(&vp->lock);
	vp->scratch = kvzalloc(sizeof(*vp->scratch), GFP_KERNEL_ACCOUNT);
	if (!vp->scratch) {
		mshv_vp_free(vp);
		return NULL;
	}
	return vp;
}

static int vp_create(struct mshv_vp *vp)
{
	struct hvabi_create_vp input = {
		.partition_id = vp->partition->id,
		.vp_index = vp->index,
	};
	unsigned int i;
	int ret;

	ret = mshv_deposit(vp->partition, MSHV_DEPOSIT_VP);
	if (!ret)
		ret = mshv_call(vp->partition, HVABI_CALL_CREATE_VP, &input, sizeof(input), NULL,
				0);
	if (ret)
		return ret;
	for (i = 0; i < MSHV_VP_PAGES && !ret; i++)
		ret = map_state_page(vp, i);
	if (ret)
		mshv_vp_stop(vp);
	return ret;
}

/**
 * mshv_vp_create() - make a processor and a descriptor for it
 * @partition: initialized
 * @index: free VP index below MSHV_VP_MAX
 *
 * Context: partition->lock is held.
 *
 * Return: the descriptor, or an errno.
 */
int mshv_vp_create(struct mshv_partition *partition, u32 index)
{
	struct mshv_vp *vp;
	struct file *file;
	int fd, ret;

	if (READ_ONCE(partition->dead))
		return -EOWNERDEAD;
	vp = vp_alloc(partition, index);
	if (!vp)
		return -ENOMEM;
	ret = vp_create(vp);
	if (ret)
		goto out_free;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		ret = fd;
		goto out_stop;
	}
	file = anon_inode_getfile("mshv_vp", &vp_fops, vp, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		ret = PTR_ERR(file);
		goto out_stop;
	}
	kref_get(&partition->kref);
	/* Whoever kills the partition from now on waits for this one too. */
	smp_store_release(&partition->vps[index], vp);
	fd_install(fd, file);
	return fd;

out_stop:
	mshv_vp_stop(vp);
out_free:
	mshv_vp_free(vp);
	return ret;
}
