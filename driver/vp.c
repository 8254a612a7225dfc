// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtual processors: create, run, state pages.
 *
 * Laws:
 *	- Where Linux dispatches (the root scheduler's contract; else see vp_scheduled.c),
 *	  a processor runs on the CPU of the thread that calls MSHV_RUN_VP: an interrupt of that CPU
 *	  ends the run, and the loop then looks after what Linux wants.
 *	  Whether it wants something is asked with interrupts off, and they stay off until the guest
 *	  runs: no kick falls in between. To Linux the time is the guest's, and RCU does not wait
 *	  for it.
 *	- Only a thread of the address space that created the partition runs it: faults are served
 *	  from that address space, and while such a thread is in here the address space cannot end.
 *	- A dead partition is not dispatched. The processor announces its CPU before it looks, so
 *	  that whoever kills can wait.
 *	- The intercept message stays valid until the next dispatch, but user space can write to its
 *	  page: the driver decides from a copy.
 *	- The hypervisor writes to the state pages until it was told to stop, or was finalized.
 *	  Otherwise they are never freed.
 *	- Closing a descriptor takes no lock: somebody may hold it for long. The processor is taken
 *	  from the hypervisor when its index is wanted again, or with the partition.
 *	- What was lent for a processor that did not come to be, or is gone, is there for the next
 *	  one: a VMM has never more lent than for the processors that it had at one time, and one.
 *	- A blocked processor sleeps until the hypervisor signals (synic.c), a signal arrives, or
 *	  the partition is killed. No wake-up is lost: signals are forgotten before the dispatch
 *	  that may block, and the hypervisor signals only after it has answered "blocked".
 */
#include <linux/anon_inodes.h>
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/mshyperv.h>

#include "compat.h"
#include "mshv.h"

/* How long a processor rests that is suspended and stays so. */
#define MSHV_SUSPENDED_MS	10

static const u16 page_types[MSHV_VP_PAGES] = {
	[MSHV_VP_MMAP_OFFSET_REGISTERS] = HVABI_VP_STATE_PAGE_REGISTERS,
	[MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE] = HVABI_VP_STATE_PAGE_INTERCEPT_MESSAGE,
};

/*
 * The hypervisor does not take calls from a caller without interrupts. Never seen, and nowhere
 * promised: then they are on, and a kick may have to wait for the next interrupt.
 */
static bool dispatch_irqs_on;

/*
 * Run the guest. Linux is told that a guest runs (as by KVM): time is accounted to it, and RCU and
 * context tracking take the CPU for one in user mode. Nothing that can be traced in between.
 */
static noinstr u64 dispatch(u64 control, u64 input, u64 output)
{
	u64 result;

	guest_state_enter_irqoff();
	result = mshv_compat_hypercall(control, input, output);
	guest_state_exit_irqoff();
	return result;
}

static u16 dispatch_irqs_off(struct hvabi_input_dispatch_vp *input,
			     struct hvabi_output_dispatch_vp *output)
{
	u64 result;

	input->flags |= HVABI_DISPATCH_ENABLE_CALLER_INTERRUPTS;
	guest_timing_enter_irqoff();
	result = dispatch(hvabi_control(HVABI_CALL_DISPATCH_VP, 0, 0), virt_to_phys(input),
			  virt_to_phys(output));
	/*
	 * The tick that ended the run counts as the guest's: let it in before the guest is out. STI
	 * holds interrupts back for one instruction more, which must not be CLI.
	 */
	local_irq_enable();
	asm volatile("nop");
	local_irq_disable();
	guest_timing_exit_irqoff();
	return hvabi_result_status(result);
}

/* Return: 0 or an errno; *result is valid with 0, and zero if the guest did not run. */
static int vp_dispatch(struct mshv_vp *vp, struct hvabi_output_dispatch_vp *result,
		       unsigned int *tries)
{
	struct mshv_partition *partition = vp->partition;
	struct hvabi_output_dispatch_vp *output;
	struct hvabi_input_dispatch_vp *input;
	bool irqs_on = READ_ONCE(dispatch_irqs_on) || vp->try_irqs_on;
	u16 status = HVABI_STATUS_SUCCESS;
	bool dead, wanted;

	input = mshv_hypercall_begin((void **)&output);
	local_irq_disable();
	WRITE_ONCE(vp->cpu, smp_processor_id());
	/*
	 * Pairs with the barrier in mshv_partition_stop(): either we see dead, or it sees our CPU.
	 */
	smp_mb();
	dead = READ_ONCE(partition->dead);
	wanted = mshv_compat_work_pending();
	if (!dead && !wanted) {
		memset(input, 0, sizeof(*input));
		input->partition_id = partition->id;
		input->vp_index = vp->index;
		if (vp->intercepted)
			input->flags = HVABI_DISPATCH_CLEAR_INTERCEPT_SUSPEND;
		memset(output, 0, sizeof(*output));
		if (irqs_on) {
			local_irq_enable();
			status = hvabi_result_status(mshv_hypercall(HVABI_CALL_DISPATCH_VP, 0, 0,
								    input, output));
			local_irq_disable();
		} else {
			status = dispatch_irqs_off(input, output);
		}
		*result = *output;
	}
	/* What the run wrote is visible before the killer goes on. */
	smp_store_release(&vp->cpu, -1);
	local_irq_enable();
	mshv_hypercall_end();

	if (dead)
		return -EOWNERDEAD;
	if (wanted)
		return 0;
	if (status == HVABI_STATUS_SUCCESS) {
		vp->intercepted = false;
		*tries = 0;
		if (vp->try_irqs_on && !READ_ONCE(dispatch_irqs_on)) {
			WRITE_ONCE(dispatch_irqs_on, true);
			pr_warn(pr_fmt_mshv "the hypervisor wants interrupts on in DISPATCH_VP: a kick may come late\n");
		}
		return 0;
	}
	if (READ_ONCE(partition->dead))
		return -EOWNERDEAD;
	/* It may be something else that the hypervisor does not like: only a success tells. */
	vp->try_irqs_on = status == HVABI_STATUS_INVALID_PARAMETER && !irqs_on;
	if (vp->try_irqs_on) {
		memset(result, 0, sizeof(*result));
		return 0;
	}
	memset(result, 0, sizeof(*result));
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

/**
 * mshv_vp_signal() - a blocked processor could run again, or has to see that its partition is dead
 * @vp: processor
 *
 * Context: any, hard interrupts included, under RCU.
 */
void mshv_vp_signal(struct mshv_vp *vp)
{
	WRITE_ONCE(vp->signalled, true);
	rcuwait_wake_up(&vp->wait);
}

/*
 * The processor waits for something. One that starts is suspended, and runs as soon as it is not.
 * Return: 0 to dispatch it again, or an errno.
 */
static int vp_blocked(struct mshv_vp *vp, u32 event, unsigned int *suspended)
{
	int ret;

	if (event == HVABI_DISPATCH_EVENT_SUSPEND) {
		ret = vp_clear_suspend(vp);
		/* The VMM keeps it suspended by another register, whose end is not signalled. */
		if (!ret && (*suspended)++ &&
		    schedule_timeout_interruptible(msecs_to_jiffies(MSHV_SUSPENDED_MS)) &&
		    signal_pending(current))
			ret = -EINTR;
		return ret;
	}
	*suspended = 0;
	return rcuwait_wait_event(&vp->wait, READ_ONCE(vp->signalled), TASK_INTERRUPTIBLE);
}

static void copy_message(struct mshv_vp *vp)
{
	struct page *page = vp->pages[MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE];

	memcpy(&vp->message, page_address(page), sizeof(vp->message));
}

static void end_of_interrupt(struct mshv_vp *vp)
{
	const struct hvabi_x64_apic_eoi_message *eoi = (const void *)vp->message.payload;

	mshv_irqfd_eoi(vp->partition, eoi->interrupt_vector);
}

/*
 * Dispatch until there is an intercept.
 * Return: 0 or an errno.
 */
static int dispatch_to_intercept(struct mshv_vp *vp)
{
	unsigned int tries = 0, suspended = 0;
	struct hvabi_output_dispatch_vp out;
	int ret;

	for (;;) {
		ret = mshv_compat_handle_work();
		if (ret)
			return ret;
		mshv_pinned_verify(vp->partition);
		mshv_age_lend(vp->partition);
		memset(&out, 0, sizeof(out));
		WRITE_ONCE(vp->signalled, false);
		ret = vp_dispatch(vp, &out, &tries);
		if (ret)
			return ret;
		if (out.dispatch_state == HVABI_DISPATCH_STATE_BLOCKED) {
			ret = vp_blocked(vp, out.dispatch_event, &suspended);
			if (ret)
				return ret;
			continue;
		}
		if (out.dispatch_event != HVABI_DISPATCH_EVENT_INTERCEPT)
			continue;
		vp->intercepted = true;
		return 0;
	}
}

/*
 * Run until the VMM is wanted.
 * Return: 0 or an errno; *deliver: there is a message for the VMM.
 */
static int vp_run(struct mshv_vp *vp, bool *deliver)
{
	bool served;
	int ret;

	*deliver = false;
	for (;;) {
		ret = mshv_hypervisor_schedules ? mshv_vp_await_intercept(vp) :
						  dispatch_to_intercept(vp);
		if (ret)
			return ret;
		copy_message(vp);
		switch (vp->message.header.message_type) {
		case HVABI_MSG_UNMAPPED_GPA:
		case HVABI_MSG_GPA_INTERCEPT:
			ret = mshv_fault(vp, &vp->message, &served);
			if (served)
				continue;
			break;
		case HVABI_MSG_X64_APIC_EOI:
			/*
			 * The VMM hears it as well: it may have a controller of its own behind the
			 * vector.
			 */
			end_of_interrupt(vp);
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

/* The buffers begin alike. */
static long ioctl_run_vp_exit(struct mshv_vp *vp, struct mshv_run_vp_exit __user *arg)
{
	u32 immediate_exit, rsvd;

	/* Before the first look for signals: one that comes after this ends the run. */
	if (get_user(immediate_exit, &arg->immediate_exit) || get_user(rsvd, &arg->rsvd))
		return -EFAULT;
	if (rsvd)
		return -EINVAL;
	return immediate_exit ? -EINTR : ioctl_run_vp(vp, (void __user *)arg);
}

static long vp_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct mshv_vp *vp = file->private_data;
	long ret = -ENOTTY;

	/*
	 * Another process has no business here, and need not wait for this one's guest to hear it.
	 */
	if ((cmd == MSHV_RUN_VP || cmd == MSHV_RUN_VP_EXIT) && current->mm != vp->partition->mm)
		return -EPERM;
	if (mutex_lock_killable(&vp->lock))
		return -EINTR;
	switch (cmd) {
	case MSHV_RUN_VP:
		ret = ioctl_run_vp(vp, (void __user *)arg);
		break;
	case MSHV_RUN_VP_EXIT:
		ret = ioctl_run_vp_exit(vp, (void __user *)arg);
		break;
	case MSHV_ROOT_HVCALL:
		ret = mshv_ioctl_hvcall(vp->partition, true, (void __user *)arg);
		break;
	case MSHV_GET_VP_STATE:
	case MSHV_SET_VP_STATE:
		ret = mshv_ioctl_vp_state(vp, cmd == MSHV_SET_VP_STATE, (void __user *)arg);
		break;
	}
	mutex_unlock(&vp->lock);
	return ret;
}

/*
 * The pages do not change while there is a descriptor, and the VMA holds one. Of a longer or
 * private mapping each page is what its place says; what it does not have is a SIGBUS.
 */
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
	struct mshv_partition *partition = vp->partition;

	/* Pairs with the load in vp_reclaim(): nobody uses it any more. The last access to vp. */
	smp_store_release(&vp->closed, true);
	mshv_partition_put(partition);
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
		/*
		 * It writes somewhere we do not know, and perhaps to our page: not freed before
		 * FINALIZE.
		 */
		if (page)
			list_add(&page->lru, &vp->partition->strays);
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
 * Context: process context. What the hypervisor refuses here, FINALIZE does.
 *
 * Return: whether all of it is gone.
 */
bool mshv_vp_stop(struct mshv_vp *vp)
{
	bool gone = true;
	unsigned int i;

	/* The VMM can let it run without RUN_VP. */
	if (mshv_hypervisor_schedules && !vp->deleted)
		mshv_vp_suspend(vp->partition, vp->index);

	for (i = 0; i < MSHV_VP_PAGES; i++) {
		if (vp->pages[i] && !vp->page_returned[i])
			vp->page_returned[i] = unmap_state_page(vp, i);
		gone &= !vp->pages[i] || vp->page_returned[i];
	}
	if (!vp->deleted)
		vp->deleted = hvabi_result_status(hv_do_fast_hypercall16(HVABI_CALL_DELETE_VP,
									 vp->partition->id,
									 vp->index)) ==
			      HVABI_STATUS_SUCCESS;
	return gone && vp->deleted;
}

/*
 * After mshv_vp_stop(), and FINALIZE if it can be. A page that the hypervisor keeps is freed with
 * the partition's strays, after FINALIZE. partition->lock is held, or nobody else has the
 * partition.
 */
void mshv_vp_free(struct mshv_vp *vp)
{
	unsigned int i;

	for (i = 0; i < MSHV_VP_PAGES; i++) {
		if (!vp->pages[i] || !mshv_overlay_pages)
			continue;
		if (vp->page_returned[i] || vp->partition->finalized)
			__free_page(vp->pages[i]);
		else
			list_add(&vp->pages[i]->lru, &vp->partition->strays);
	}
	mshv_fault_forget(vp);
	kvfree(vp->scratch);
	/* Whoever kills a partition looks at its processors under RCU. */
	kfree_rcu(vp, rcu);
}

static struct mshv_vp *vp_alloc(struct mshv_partition *partition, u32 index)
{
	struct mshv_vp *vp = kzalloc(sizeof(*vp), GFP_KERNEL_ACCOUNT);

	if (!vp)
		return NULL;
	vp->partition = partition;
	vp->index = index;
	vp->cpu = -1;
	vp->reclaimed = READ_ONCE(partition->reclaimed);
	mutex_init(&vp->lock);
	rcuwait_init(&vp->wait);
	vp->scratch = kvzalloc(sizeof(*vp->scratch), GFP_KERNEL_ACCOUNT);
	if (!vp->scratch) {
		mshv_vp_free(vp);
		return NULL;
	}
	return vp;
}

/* The hypervisor's part. Return: 0 or an errno, and then nothing of it is left. */
static int vp_create(struct mshv_vp *vp)
{
	struct mshv_partition *partition = vp->partition;
	struct hvabi_create_vp input = {
		.partition_id = partition->id,
		.vp_index = vp->index,
	};
	unsigned int i;
	int ret = 0;

	if (!partition->vps_lent) {
		ret = mshv_deposit(partition, MSHV_DEPOSIT_VP);
		if (ret)
			return ret;
		partition->vps_lent++;
	}
	ret = mshv_call(partition, HVABI_CALL_CREATE_VP, &input, sizeof(input), NULL, 0);
	if (ret)
		return ret;
	for (i = 0; i < MSHV_VP_PAGES && !ret; i++)
		ret = map_state_page(vp, i);
	if (ret)
		mshv_vp_stop(vp);
	else
		partition->vps_lent--;
	return ret;
}

/*
 * Make the index of a processor whose descriptor is closed free again. partition->lock is held.
 * Return: 0; -EEXIST: it is in use; -EIO: the hypervisor keeps it.
 */
static int vp_reclaim(struct mshv_partition *partition, u32 index)
{
	struct mshv_vp *vp = partition->vps[index];

	if (!vp)
		return 0;
	/* Pairs with the store in vp_release(). */
	if (!smp_load_acquire(&vp->closed))
		return -EEXIST;
	if (!mshv_vp_stop(vp))
		return -EIO;
	WRITE_ONCE(partition->vps[index], NULL);
	/* There a message left over is an intercept; elsewhere one wake-up too many. */
	if (mshv_hypervisor_schedules)
		mshv_synic_flush();
	partition->vps_lent++;
	mshv_vp_free(vp);
	return 0;
}

/**
 * mshv_vp_create() - make a processor and a descriptor for it
 * @partition: initialized
 * @index: VP index below MSHV_VP_MAX; one whose descriptor was closed can be used again
 *
 * Context: partition->lock is held.
 *
 * Return: the descriptor, or an errno: -EEXIST the index is in use; -EMFILE; -ENFILE; -ENOMEM; or
 * that of the hypervisor.
 */
int mshv_vp_create(struct mshv_partition *partition, u32 index)
{
	struct mshv_vp *vp;
	struct file *file;
	int fd, ret;

	if (READ_ONCE(partition->dead))
		return -EOWNERDEAD;
	ret = vp_reclaim(partition, index);
	if (ret)
		return ret;
	/* What costs the hypervisor nothing comes first. */
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	ret = -ENOMEM;
	vp = vp_alloc(partition, index);
	if (!vp)
		goto out_fd;
	ret = vp_create(vp);
	if (ret)
		goto out_free;
	file = anon_inode_getfile("mshv_vp", &vp_fops, vp, O_RDWR);
	if (IS_ERR(file)) {
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
	partition->vps_lent++;
out_free:
	mshv_vp_free(vp);
out_fd:
	put_unused_fd(fd);
	return ret;
}
