// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lent memory, when Linux goes to sleep or to another kernel.
 *
 * Laws:
 *	- A page that is lent must not be touched, and hibernation would have to leave it behind;
 *	  what a suspended hypervisor does with its guests is nowhere promised. So Linux does not
 *	  suspend or hibernate while anything is lent: EBUSY, and the kernel log says why. Nothing
 *	  is lent while it is on the way.
 *	- The controllers sleep as if there were no module. What a CPU has in them goes with the
 *	  power, and the kernel that finds an image of this one must not have the hypervisor write
 *	  into it.
 *	- A reboot, kexec included, is not refused: it cannot be. By then the VMMs have ended, as a
 *	  rule. If not, the log says how much the next kernel must not find free: on a machine that
 *	  starts anew it does not matter, after kexec it does.
 *	- The kernel that dumps a crash lives in memory of its own, and nothing is given back to it:
 *	  what was lent is told by its struct page (deposit.c), and makedumpfile leaves it out. A
 *	  copy of all of /proc/vmcore does not.
 */
#include <linux/notifier.h>
#include <linux/reboot.h>
#include <linux/suspend.h>

#include "mshv.h"

/* Nothing is lent any more until Linux is awake again: who wants a guest now is told EBUSY. */
bool mshv_going_to_sleep;

/* On the way twice: somebody suspends while another holds the image of a hibernation. */
static unsigned int sleepers;

static int power_event(struct notifier_block *block, unsigned long event, void *data)
{
	switch (event) {
	case PM_HIBERNATION_PREPARE:
	case PM_SUSPEND_PREPARE:
	case PM_RESTORE_PREPARE:
		WRITE_ONCE(mshv_going_to_sleep, true);
		/*
		 * Processes still run: one that has just lent something is seen here, or sees the
		 * flag.
		 */
		smp_mb();
		if (mshv_lent() <= 0) {
			sleepers++;
			mshv_synic_stop();
			return NOTIFY_DONE;
		}
		WRITE_ONCE(mshv_going_to_sleep, sleepers);
		pr_err(pr_fmt_mshv "%lld pages are lent to the hypervisor: end all guests before suspend or hibernation\n",
		       mshv_lent());
		return notifier_from_errno(-EBUSY);
	case PM_POST_HIBERNATION:
	case PM_POST_SUSPEND:
	case PM_POST_RESTORE:
		if (sleepers && --sleepers)
			break;
		/* If not, nobody is given memory: guests would never hear of anything. */
		if (!mshv_synic_start())
			WRITE_ONCE(mshv_going_to_sleep, false);
		break;
	}
	return NOTIFY_DONE;
}

static int reboot_event(struct notifier_block *block, unsigned long event, void *data)
{
	/*
	 * The next kernel must find its controllers as they were, and nobody writing to its memory.
	 * Guests that the hypervisor schedules would go on without this one.
	 */
	if (mshv_hypervisor_schedules)
		mshv_synic_stop_partitions();
	mshv_synic_stop();
	mshv_withdraw_self();
	if (mshv_lent() > 0)
		pr_warn(pr_fmt_mshv "%lld pages are still lent to the hypervisor: a kernel that is started by kexec must not use them\n",
			mshv_lent());
	return NOTIFY_DONE;
}

static struct notifier_block power_notifier = { .notifier_call = power_event };
static struct notifier_block reboot_notifier = { .notifier_call = reboot_event };

int mshv_power_init(void)
{
	int ret = register_pm_notifier(&power_notifier);

	if (ret)
		return ret;
	ret = register_reboot_notifier(&reboot_notifier);
	if (ret)
		unregister_pm_notifier(&power_notifier);
	return ret;
}

void mshv_power_exit(void)
{
	unregister_reboot_notifier(&reboot_notifier);
	unregister_pm_notifier(&power_notifier);
}
