// SPDX-License-Identifier: GPL-2.0-only
/*
 * Module: where it may load, and /dev/mshv.
 *
 * Laws:
 *	- Loads only where the Microsoft Hypervisor (or one that speaks like it) lets this partition
 *	  create children, and says in the kernel log why it does not. A stock kernel that takes
 *	  itself for an ordinary guest is enough.
 *	- Processors are dispatched by Linux (root scheduler), or scheduled by the hypervisor
 *	  (vp_scheduled.c): which of the two is asked once, and told in the kernel log.
 *	- One driver owns /dev/mshv. The kernel's own, if it is there, was first.
 *	- Unloads only when no descriptor is left (file_operations.owner), and leaves nothing
 *	  behind.
 */
#include <linux/device.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <asm/hypervisor.h>
#include <asm/mshyperv.h>

#include <hvabi/cpuid.h>

#include "compat.h"
#include "mshv.h"

/* The hypervisor writes VP state to pages that we choose. */
bool mshv_overlay_pages;

/* It runs virtual processors by itself, and Linux does not dispatch them. */
bool mshv_hypervisor_schedules;

bool mshv_debug_hypercalls;
module_param_named(debug_hypercalls, mshv_debug_hypercalls, bool, 0444);
MODULE_PARM_DESC(debug_hypercalls,
		 "pass the debug calls of the bundled hypervisor through MSHV_ROOT_HVCALL (for tests)");

static bool known_isolation(u64 isolation)
{
	return isolation == MSHV_PT_ISOLATION_NONE || isolation == MSHV_PT_ISOLATION_SNP;
}

static long ioctl_create_partition(const void __user *arg)
{
	struct mshv_create_partition_v2 args = { };

	if (copy_from_user(&args, arg, sizeof(struct mshv_create_partition)))
		return -EFAULT;
	if (args.pt_flags & ~MSHV_PT_FLAGS_MASK || !known_isolation(args.pt_isolation))
		return -EINVAL;
	if (!(args.pt_flags & BIT_ULL(MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES)))
		return mshv_partition_create(&args);

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	/* Read again: user space may have changed it. */
	if (args.pt_flags & ~MSHV_PT_FLAGS_MASK || !known_isolation(args.pt_isolation) ||
	    args.pt_num_cpu_fbanks != MSHV_NUM_CPU_FEATURES_BANKS ||
	    memchr_inv(args.pt_rsvd, 0, sizeof(args.pt_rsvd)) ||
	    memchr_inv(args.pt_rsvd1, 0, sizeof(args.pt_rsvd1)))
		return -EINVAL;
	return mshv_partition_create(&args);
}

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case MSHV_CREATE_PARTITION:
		return ioctl_create_partition((void __user *)arg);
	case MSHV_ROOT_HVCALL:
		return mshv_ioctl_hvcall(NULL, false, (void __user *)arg);
	}
	return -ENOTTY;
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = device_ioctl,
	.llseek = noop_llseek,
};

/*
 * A partition that was killed tells so itself, until its VMM closes it: that may be an instant.
 * This outlives it.
 */
static ssize_t partitions_killed_show(struct device *dev, struct device_attribute *attr,
				      char *buf)
{
	return sysfs_emit(buf, "%lld\n", (long long)atomic64_read(&mshv_partitions_killed));
}
static DEVICE_ATTR_RO(partitions_killed);

static struct attribute *device_attrs[] = {
	&dev_attr_partitions_killed.attr,
	NULL
};
ATTRIBUTE_GROUPS(device);

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mshv",
	.fops = &device_fops,
	.mode = 0600,
	.groups = device_groups,
};

/*
 * Registering a second device of one name fails too, but not before the kernel log shows a stack.
 */
static bool device_taken(void)
{
	struct path path;

	if (kern_path("/sys/class/misc/mshv", LOOKUP_FOLLOW, &path))
		return false;
	path_put(&path);
	return true;
}

static int check_platform(void)
{
	if (!hypervisor_is_type(X86_HYPER_MS_HYPERV)) {
		pr_err(pr_fmt_mshv "not loaded: no Microsoft Hypervisor under this kernel\n");
		return -ENODEV;
	}
	if (!(ms_hyperv.priv_high & HVABI_PRIV_HIGH_CREATE_PARTITIONS)) {
		pr_err(pr_fmt_mshv "not loaded: this partition may not create partitions (neither root nor L1VH)\n");
		return -ENODEV;
	}
	if (!mshv_compat_hypercalls_ready()) {
		pr_err(pr_fmt_mshv "not loaded: the kernel has no hypercall page\n");
		return -ENODEV;
	}
	if (device_taken()) {
		pr_err(pr_fmt_mshv "not loaded: /dev/mshv belongs to another driver\n");
		return -EBUSY;
	}
	return 0;
}

/* An L1VH schedules its children itself if the hypervisor can let it, and has been told to. */
static int l1vh_dispatches(u64 capabilities, bool *dispatches)
{
	struct hvabi_input_get_partition_property_ex input = {
		.partition_id = HVABI_PARTITION_ID_SELF,
		.property_code = HVABI_PROPERTY_INTEGRATED_SCHEDULER_ENABLED,
	};
	u64 enabled = 0;
	int ret = 0;

	if (capabilities & HVABI_VMM_CAP_VMM_ENABLE_INTEGRATED_SCHEDULER)
		ret = mshv_call(NULL, HVABI_CALL_GET_PARTITION_PROPERTY_EX, &input, sizeof(input),
				&enabled, sizeof(enabled));
	*dispatches = enabled;
	return ret;
}

static int root_dispatches(bool *dispatches)
{
	struct hvabi_input_get_system_property input = {
		.property_id = HVABI_SYSTEM_PROPERTY_SCHEDULER_TYPE,
	};
	u64 type = 0;
	int ret = mshv_call(NULL, HVABI_CALL_GET_SYSTEM_PROPERTY, &input, sizeof(input), &type,
			    sizeof(type));

	*dispatches = (u32)type == HVABI_SCHEDULER_ROOT;
	return ret;
}

static int check_scheduler(u64 capabilities)
{
	bool root = ms_hyperv.priv_high & HVABI_PRIV_HIGH_CPU_MANAGEMENT;
	bool dispatches = false;
	int ret = root ? root_dispatches(&dispatches) : l1vh_dispatches(capabilities, &dispatches);

	/* One that does not know the question is older than the choice. */
	if (ret == -EINVAL || ret == -EACCES || ret == -EOPNOTSUPP)
		return 0;
	if (ret) {
		pr_err(pr_fmt_mshv "not loaded: the hypervisor does not tell its scheduler (%d)\n",
		       ret);
		return ret;
	}
	mshv_hypervisor_schedules = !dispatches;
	return 0;
}

/*
 * What the hypervisor can do is asked once. One that does not know the question, or answers it to
 * others only, has no capability of it; one that cannot answer now has to be asked again, not to be
 * taken for another.
 */
static int read_capabilities(void)
{
	struct hvabi_output_property_bank output;
	struct hvabi_input_get_partition_property_ex input = {
		.partition_id = HVABI_PARTITION_ID_SELF,
		.property_code = HVABI_PROPERTY_VMM_CAPABILITIES,
	};
	int ret;

	ret = mshv_call(NULL, HVABI_CALL_GET_PARTITION_PROPERTY_EX, &input, sizeof(input), &output,
			sizeof(output));
	switch (ret) {
	case 0:
		mshv_overlay_pages = output.bank[0] & HVABI_VMM_CAP_VMM_CAN_PROVIDE_OVERLAY_GPFN;
		return check_scheduler(output.bank[0]);
	case -EINVAL:
	case -EACCES:
	case -EOPNOTSUPP:
		if (ms_hyperv.priv_high & HVABI_PRIV_HIGH_CPU_MANAGEMENT)
			return check_scheduler(0);
		return 0;
	}
	pr_err(pr_fmt_mshv "not loaded: the hypervisor does not tell its capabilities (%d)\n", ret);
	return ret;
}

static int __init mshv_init(void)
{
	int ret;

	ret = check_platform();
	if (ret)
		return ret;
	mshv_invalidate_prime_lockdep();
	ret = mshv_hypercall_init();
	if (ret)
		return ret;
	ret = read_capabilities();
	if (ret)
		goto out_exit;
	ret = mshv_tables_init();
	if (ret)
		goto out_exit;
	ret = mshv_irqfd_init();
	if (ret)
		goto out_tables;
	ret = mshv_synic_init();
	if (ret)
		goto out_irqfd;
	ret = mshv_power_init();
	if (ret)
		goto out_synic;
	ret = misc_register(&device);
	if (ret) {
		pr_err(pr_fmt_mshv "not loaded: cannot register /dev/mshv (%d)\n", ret);
		goto out_power;
	}
	pr_info(pr_fmt_mshv "virtual processors are scheduled by %s\n",
		mshv_hypervisor_schedules ? "the hypervisor" : "Linux (root scheduler)");
	return 0;

out_power:
	mshv_power_exit();
out_synic:
	mshv_synic_exit();
out_irqfd:
	mshv_irqfd_exit();
out_tables:
	mshv_tables_exit();
out_exit:
	mshv_withdraw_self();
	mshv_hypercall_exit();
	return ret;
}

static void __exit mshv_exit(void)
{
	misc_deregister(&device);
	mshv_power_exit();
	mshv_synic_exit();
	mshv_irqfd_exit();
	mshv_doorbell_exit();
	/* Regions, irqfds and doorbells are freed after a grace period. */
	rcu_barrier();
	mshv_tables_exit();
	mshv_withdraw_self();
	mshv_hypercall_exit();
}

module_init(mshv_init);
module_exit(mshv_exit);

MODULE_DESCRIPTION("Guest memory on the Microsoft Hypervisor that Linux may move");
MODULE_AUTHOR("mshv-movable developers");
MODULE_LICENSE("GPL");
/* VMBus sets up the synthetic interrupt controllers anew when it comes: it has to come first. */
MODULE_SOFTDEP("pre: hv_vmbus");
MODULE_VERSION(MSHV_VERSION);
