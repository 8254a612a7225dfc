// SPDX-License-Identifier: GPL-2.0-only
/*
 * A child partition: its life, and how it ends.
 *
 * Laws:
 *	- A partition lives as long as a partition or VP descriptor of it. It belongs to the address
 *	  space that created it; a process that got the descriptor from there can close it and
 *	  little else.
 *	- Destroy never fails. In this order, each step safe after any failure before: it is tied
 *	  to no event any more; no processor runs (each descriptor holds a reference) and processors
 *	  are deleted; finalized, which drops all maps at once; the notifier removed; regions zapped
 *	  and unmapped if the hypervisor did not finalize, host access taken back, unpinned;
 *	  finalized, in that case; deposits withdrawn; deleted.
 *	- Kill is for the one case in which the hypervisor does not give a page back: no processor
 *	  of the partition runs any more when it returns, and none ever will, so nothing reaches the
 *	  page whatever the hypervisor still maps. This needs no help of the hypervisor, but where
 *	  that schedules the processors itself (vp_scheduled.c). Then
 *	  everything is dropped by FINALIZE.
 */
#include <linux/anon_inodes.h>
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "mshv.h"
#include "trace.h"

/* Since the module was loaded. */
atomic64_t mshv_partitions_killed = ATOMIC64_INIT(0);

/**
 * mshv_partition_stop() - wait until no processor of a dead partition runs
 * @partition: dead
 *
 * An interrupt ends the run of a processor, also one that comes before it has begun, and the
 * processor sees "dead" before it runs again. It takes no lock in between, so spinning is bounded.
 *
 * Context: any but interrupts; does not sleep; interrupts enabled.
 */
void mshv_partition_stop(struct mshv_partition *partition)
{
	struct mshv_vp *vp;
	unsigned int i;
	int cpu;

	/* Pairs with the barrier in vp_dispatch(): either it sees dead, or we see its CPU. */
	smp_mb();
	rcu_read_lock();
	for (i = 0; i < MSHV_VP_MAX; i++) {
		/* Pairs with the store in mshv_vp_create(): the processor is complete. */
		vp = smp_load_acquire(&partition->vps[i]);
		if (!vp)
			continue;
		/* It may sleep, blocked. */
		mshv_vp_signal(vp);
		/* Pairs with the store in vp_dispatch(): what the run did is done. */
		while ((cpu = smp_load_acquire(&vp->cpu)) >= 0) {
			smp_send_reschedule(cpu);
			cpu_relax();
		}
	}
	rcu_read_unlock();
	/* Pairs with mshv_partition_leave(): what the calls did is done. */
	while (atomic_read_acquire(&partition->calls))
		cpu_relax();
	/* Nobody lets one run any more. */
	if (mshv_hypervisor_schedules)
		mshv_scheduled_stop(partition);
}

/**
 * mshv_partition_enter() - begin a hypercall that may touch a child's memory
 * @partition: child, or NULL: this partition
 *
 * Context: not in an interrupt. Returns with preemption disabled; end with mshv_partition_leave().
 *
 * Return: false if the partition is dead; then nothing has begun.
 */
bool mshv_partition_enter(struct mshv_partition *partition)
{
	preempt_disable();
	if (!partition)
		return true;
	atomic_inc(&partition->calls);
	/*
	 * Pairs with the barrier in mshv_partition_stop(): either we see dead, or it sees the call.
	 */
	smp_mb__after_atomic();
	if (!READ_ONCE(partition->dead))
		return true;
	mshv_partition_leave(partition);
	return false;
}

void mshv_partition_leave(struct mshv_partition *partition)
{
	if (partition)
		atomic_dec_return_release(&partition->calls);
	preempt_enable();
}

/**
 * mshv_partition_kill() - stop a partition for good
 * @partition: partition
 * @gfn: page that the hypervisor does not give back, for the record
 * @status: its answer, for the record
 *
 * Context: as mshv_partition_stop(). Cannot fail.
 */
void mshv_partition_kill(struct mshv_partition *partition, u64 gfn, u16 status)
{
	bool first = !xchg(&partition->dead, true);
	u16 finalize = HVABI_STATUS_OPERATION_FAILED;
	unsigned int tries;

	mshv_partition_stop(partition);
	if (!first)
		return;
	atomic64_inc(&mshv_partitions_killed);
	/* Nobody will be told how a call ended. */
	complete(&partition->call_done);
	for (tries = 0; tries < MSHV_TRIES_AT_LAST && finalize != HVABI_STATUS_SUCCESS; tries++)
		finalize = mshv_hypercall_partition(HVABI_CALL_FINALIZE_PARTITION, partition->id);
	if (finalize == HVABI_STATUS_SUCCESS)
		WRITE_ONCE(partition->finalized, true);
	trace_partition_kill(partition->id, gfn, status, finalize);
	pr_err_ratelimited(pr_fmt_mshv "partition %llu killed: GFN 0x%llx not given back, status 0x%x\n",
			   partition->id, gfn, status);
}

/*
 * Nobody comes back to what is not done here, and all that the partition was lent hangs on it: a
 * hypervisor that refuses is asked again.
 */
static bool call_at_last(u16 code, u64 id)
{
	unsigned int tries;

	for (tries = 0; tries < MSHV_TRIES_AT_LAST; tries++)
		if (mshv_hypercall_partition(code, id) == HVABI_STATUS_SUCCESS)
			return true;
	return false;
}

/*
 * Each try under map_lock, so that a zap either comes before or finds that there is nothing left:
 * one that is refused would kill.
 */
static void finalize(struct mshv_partition *partition)
{
	unsigned int tries;

	for (tries = 0; tries < MSHV_TRIES_AT_LAST; tries++) {
		if (!partition->initialized || partition->finalized)
			return;
		write_lock(&partition->map_lock);
		if (mshv_hypercall_partition(HVABI_CALL_FINALIZE_PARTITION, partition->id) ==
		    HVABI_STATUS_SUCCESS)
			WRITE_ONCE(partition->finalized, true);
		write_unlock(&partition->map_lock);
	}
}

static void free_strays(struct mshv_partition *partition)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &partition->strays, lru)
		__free_page(page);
}

static void partition_destroy(struct kref *kref)
{
	struct mshv_partition *partition = container_of(kref, struct mshv_partition, kref);
	unsigned int i;

	mshv_doorbells_remove(partition);
	mshv_irqfds_remove(partition);
	for (i = 0; i < MSHV_VP_MAX; i++)
		if (partition->vps[i])
			mshv_vp_stop(partition->vps[i]);
	finalize(partition);
	mshv_invalidate_unregister(partition);
	mshv_region_remove_all(partition);
	finalize(partition);
	mshv_withdraw(partition);
	mshv_synic_remove(partition);
	call_at_last(HVABI_CALL_DELETE_PARTITION, partition->id);
	/*
	 * Creating it may have taken memory lent to this partition; what is not in use comes back.
	 */
	mshv_withdraw_self();

	for (i = 0; i < MSHV_VP_MAX; i++)
		if (partition->vps[i])
			mshv_vp_free(partition->vps[i]);
	if (partition->finalized)
		free_strays(partition);
	mshv_reserve_free(partition);
	mmdrop(partition->mm);
	kvfree_rcu(partition, rcu);
}

void mshv_partition_put(struct mshv_partition *partition)
{
	kref_put(&partition->kref, partition_destroy);
}

static int partition_release(struct inode *inode, struct file *file)
{
	mshv_partition_put(file->private_data);
	return 0;
}

static long partition_initialize(struct mshv_partition *partition)
{
	unsigned int tries = 0;
	u16 status;
	int ret;

	if (partition->initialized)
		return 0;
	ret = mshv_reserve_fill(partition);
	if (!ret)
		ret = mshv_deposit(partition, MSHV_DEPOSIT_INITIALIZE);
	while (!ret) {
		status = mshv_hypercall_partition(HVABI_CALL_INITIALIZE_PARTITION, partition->id);
		if (status == HVABI_STATUS_SUCCESS) {
			partition->initialized = true;
			return 0;
		}
		ret = mshv_status_needs_memory(status) ?
		      mshv_deposit_for(partition, status, &tries) : mshv_status_errno(status);
	}
	/* The descriptor stays usable: another try starts from the same state. */
	mshv_withdraw(partition);
	return ret;
}

static long ioctl_create_vp(struct mshv_partition *partition, struct mshv_create_vp __user *arg)
{
	struct mshv_create_vp args;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	if (args.vp_index >= MSHV_VP_MAX || !partition->initialized)
		return -EINVAL;
	return mshv_vp_create(partition, args.vp_index);
}

static long ioctl_set_guest_memory(struct mshv_partition *partition,
				   struct mshv_user_mem_region __user *arg)
{
	struct mshv_user_mem_region args;
	u8 verb;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	if (args.flags & ~(MSHV_SET_MEM_FLAGS_MASK | MSHV_SET_MEM_EXTENSIONS) ||
	    memchr_inv(args.rsvd, 0, sizeof(args.rsvd)))
		return -EINVAL;
	verb = args.flags & (BIT(MSHV_SET_MEM_BIT_UNMAP) | MSHV_SET_MEM_CHANGE |
			     MSHV_SET_MEM_REPLACE);
	/* One thing at a time. */
	if (hweight8(verb) > 1)
		return -EINVAL;
	if (current->mm != partition->mm)
		return -EPERM;
	if (args.flags & BIT(MSHV_SET_MEM_BIT_UNMAP))
		return mshv_region_remove(partition, &args);
	if (READ_ONCE(partition->dead))
		return -EOWNERDEAD;
	if (!partition->initialized)
		return -EINVAL;
	if (verb == MSHV_SET_MEM_CHANGE)
		return mshv_region_change(partition, &args);
	if (verb == MSHV_SET_MEM_REPLACE)
		return mshv_region_replace(partition, &args);
	return mshv_region_create(partition, &args);
}

static long partition_ioctl_locked(struct mshv_partition *partition, unsigned int cmd,
				   void __user *arg)
{
	switch (cmd) {
	case MSHV_INITIALIZE_PARTITION:
		return partition_initialize(partition);
	case MSHV_CREATE_VP:
		return ioctl_create_vp(partition, arg);
	case MSHV_SET_GUEST_MEMORY:
		return ioctl_set_guest_memory(partition, arg);
	case MSHV_IOEVENTFD:
		return mshv_ioctl_ioeventfd(partition, arg);
	}
	return -ENOTTY;
}

static long partition_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct mshv_partition *partition = file->private_data;
	long ret;

	/*
	 * These may take long and change nothing that the lock protects, or must not wait for who
	 * does.
	 */
	switch (cmd) {
	case MSHV_ROOT_HVCALL:
		return mshv_ioctl_hvcall(partition, false, (void __user *)arg);
	case MSHV_GET_GPAP_ACCESS_BITMAP:
		return mshv_ioctl_access_bitmap(partition, (void __user *)arg);
	case MSHV_PREFAULT_MEMORY:
		return mshv_ioctl_prefault(partition, (void __user *)arg);
	case MSHV_IRQFD:
		return mshv_ioctl_irqfd(partition, (void __user *)arg);
	case MSHV_SET_MSI_ROUTING:
		return mshv_ioctl_msi_routing(partition, (void __user *)arg);
	}
	if (mutex_lock_killable(&partition->lock))
		return -EINTR;
	ret = partition_ioctl_locked(partition, cmd, (void __user *)arg);
	mutex_unlock(&partition->lock);
	return ret;
}

static const struct file_operations partition_fops = {
	.owner = THIS_MODULE,
	.release = partition_release,
	.unlocked_ioctl = partition_ioctl,
	.show_fdinfo = mshv_partition_show_fdinfo,
	.llseek = noop_llseek,
};

static const struct {
	u64 uapi;
	u64 hypervisor;
} creation_flags[] = {
	{ BIT_ULL(MSHV_PT_BIT_LAPIC), HVABI_PARTITION_FLAG_LAPIC_ENABLED },
	{ BIT_ULL(MSHV_PT_BIT_X2APIC), HVABI_PARTITION_FLAG_X2APIC_CAPABLE },
	{ BIT_ULL(MSHV_PT_BIT_GPA_SUPER_PAGES), HVABI_PARTITION_FLAG_GPA_SUPER_PAGES_ENABLED },
	{ BIT_ULL(MSHV_PT_BIT_NESTED_VIRTUALIZATION),
	  HVABI_PARTITION_FLAG_NESTED_VIRTUALIZATION_CAPABLE },
	{ BIT_ULL(MSHV_PT_BIT_SMT_ENABLED_GUEST), HVABI_PARTITION_FLAG_SMT_ENABLED_GUEST },
};

static int hypervisor_create(const struct mshv_create_partition_v2 *args, u64 *id)
{
	struct hvabi_output_create_partition output;
	struct hvabi_input_create_partition input = {
		.flags = HVABI_PARTITION_FLAG_EXO_PARTITION |
			 HVABI_PARTITION_FLAG_INTERCEPT_MESSAGE_PAGE_ENABLED,
		.compatibility_version = HVABI_COMPATIBILITY_VERSION,
		.disabled_processor_features = { args->pt_cpu_fbanks[0], args->pt_cpu_fbanks[1] },
		.disabled_processor_xsave_features = args->pt_disabled_xsave,
		/* The numbers are the same. */
		.isolation_properties = args->pt_isolation,
	};
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(creation_flags); i++)
		if (args->pt_flags & creation_flags[i].uapi)
			input.flags |= creation_flags[i].hypervisor;
	ret = mshv_call(NULL, HVABI_CALL_CREATE_PARTITION, &input, sizeof(input), &output,
			sizeof(output));
	if (!ret)
		*id = output.partition_id;
	return ret;
}

/**
 * mshv_partition_create() - make a partition and a descriptor for it
 * @args: checked; banks are 0 if the VMM gave none
 *
 * Context: process context of the VMM.
 *
 * Return: the descriptor, or an errno.
 */
int mshv_partition_create(const struct mshv_create_partition_v2 *args)
{
	struct mshv_partition *partition;
	struct file *file;
	int ret, fd;

	partition = kvzalloc(sizeof(*partition), GFP_KERNEL_ACCOUNT);
	if (!partition)
		return -ENOMEM;
	kref_init(&partition->kref);
	mutex_init(&partition->lock);
	mt_init_flags(&partition->regions, MT_FLAGS_USE_RCU);
	spin_lock_init(&partition->reserve_lock);
	INIT_LIST_HEAD(&partition->reserve);
	INIT_LIST_HEAD(&partition->strays);
	init_completion(&partition->call_done);
	INIT_LIST_HEAD(&partition->doorbells);
	INIT_LIST_HEAD(&partition->irqfds);
	spin_lock_init(&partition->irqfds_lock);
	mutex_init(&partition->irqfds_mutex);
	partition->next_deposit = MSHV_DEPOSIT_MIN;
	partition->isolated = args->pt_isolation != MSHV_PT_ISOLATION_NONE;

	partition->mm = current->mm;
	mshv_invalidate_init(partition);

	ret = mshv_invalidate_register(partition);
	if (ret)
		goto out_free;
	mmgrab(partition->mm);
	ret = hypervisor_create(args, &partition->id);
	if (ret)
		goto out_unregister;
	mshv_synic_add(partition);

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		ret = fd;
		goto out_put;
	}
	file = anon_inode_getfile("mshv_partition", &partition_fops, partition, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		ret = PTR_ERR(file);
		goto out_put;
	}
	fd_install(fd, file);
	return fd;

out_put:
	mshv_partition_put(partition);
	return ret;

out_unregister:
	mshv_invalidate_unregister(partition);
	mmdrop(partition->mm);
out_free:
	kvfree(partition);
	/* Nothing has happened yet: a signal that Linux does not like here is none of the VMM's. */
	return ret == -EINTR ? -ERESTARTNOINTR : ret;
}
