/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between kernels: tested on 6.12 and 7.3, built for 6.1. The only place with
 * conditions on the version.
 */
#ifndef MSHV_COMPAT_H
#define MSHV_COMPAT_H

#include <linux/version.h>

#include <linux/eventfd.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include <linux/thread_info.h>

#include <asm/mshyperv.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
/* smp_send_reschedule() is a macro that traces. */
#include <trace/events/ipi.h>
#endif

#ifdef CONFIG_VIRT_XFER_TO_GUEST_WORK
#include <linux/entry-virt.h>
#endif

/* What the young callbacks of an mmu_notifier return: int, in later kernels perhaps bool. */
#define mshv_compat_young_t \
	typeof(((const struct mmu_notifier_ops *)NULL)->test_young(NULL, NULL, 0))

/*
 * Flags of GUP to fault as the thread itself would in user mode: a signal ends waiting for user
 * space (userfaultfd; before 6.2 only a fatal one does), and NUMA balancing's faults are taken
 * (before 6.6 they were anyway).
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define MSHV_COMPAT_FOLL_INTERRUPTIBLE	0
#else
#define MSHV_COMPAT_FOLL_INTERRUPTIBLE	FOLL_INTERRUPTIBLE
#endif
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define MSHV_COMPAT_FOLL_FAULT	MSHV_COMPAT_FOLL_INTERRUPTIBLE
#else
#define MSHV_COMPAT_FOLL_FAULT	(MSHV_COMPAT_FOLL_INTERRUPTIBLE | FOLL_HONOR_NUMA_FAULT)
#endif

/*
 * Pages of an address space, for the address space and not for the calling thread: a protection key
 * is a right of a thread, and a guest is none. Until 6.4 there was one argument more.
 * The first only faults one in. Both take mmap_lock. Return: how many, or an errno.
 */
static inline long mshv_compat_fault_remote(struct mm_struct *mm, unsigned long address,
					    unsigned int flags)
{
	int locked = 1;
	long got;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
	got = get_user_pages_remote(mm, address, 1, flags, NULL, NULL, &locked);
#else
	got = get_user_pages_remote(mm, address, 1, flags, NULL, &locked);
#endif
	if (locked)
		mmap_read_unlock(mm);
	return got;
}

static inline long mshv_compat_pin_remote(struct mm_struct *mm, unsigned long address,
					  unsigned long pages, unsigned int flags,
					  struct page **list)
{
	int locked = 1;
	long got;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
	/* It does not give up the lock for a pin that lasts. */
	got = pin_user_pages_remote(mm, address, pages, flags, list, NULL,
				    flags & FOLL_LONGTERM ? NULL : &locked);
#else
	got = pin_user_pages_remote(mm, address, pages, flags, list, &locked);
#endif
	if (locked)
		mmap_read_unlock(mm);
	return got;
}

/* Before 6.6 there is none. */
#ifndef VM_SHADOW_STACK
#define VM_SHADOW_STACK		VM_NONE
#endif

/*
 * Linux wants something of this thread. To be asked with interrupts off before a guest is entered:
 * whoever sets one of these flags sends an interrupt after it, which ends the run at once.
 */
#ifndef _TIF_NEED_RESCHED_LAZY
#define _TIF_NEED_RESCHED_LAZY	0
#endif
#define MSHV_COMPAT_WORK	(_TIF_NEED_RESCHED | _TIF_NEED_RESCHED_LAZY | _TIF_SIGPENDING | \
				 _TIF_NOTIFY_SIGNAL | _TIF_NOTIFY_RESUME)

static inline bool mshv_compat_work_pending(void)
{
	return READ_ONCE(current_thread_info()->flags) & MSHV_COMPAT_WORK;
}

/*
 * Does what Linux wants of a thread between two runs of its guest: rescheduling, task work, rseq,
 * memory cgroup throttling. Before 6.18 most of that wants a struct kvm_vcpu: -EINTR takes the
 * thread to user mode, where it is done as well, and the VMM comes back. May sleep.
 * Return: 0, or -EINTR (a signal, or the above).
 */
static inline int mshv_compat_handle_work(void)
{
#ifdef CONFIG_VIRT_XFER_TO_GUEST_WORK
	return xfer_to_guest_mode_handle_work();
#else
	if (signal_pending(current) || test_thread_flag(TIF_NOTIFY_RESUME))
		return -EINTR;
	/* Whatever is meant by it, a lazy one too: the thread is asked again before it enters. */
	if (mshv_compat_work_pending())
		schedule();
	return 0;
#endif
}

/*
 * The kernel has set up the hypercall page. Since 6.17 a static call takes the place of the
 * pointer.
 */
static inline bool mshv_compat_hypercalls_ready(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
	return hv_hypercall_pg;
#else
	return hv_is_hyperv_initialized();
#endif
}

/*
 * One hypercall, with nothing in it that could be traced. Input and output are physical addresses.
 */
static __always_inline u64 mshv_compat_hypercall(u64 control, u64 input, u64 output)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
	u64 result;

	asm volatile("movq %[output], %%r8\n"
		     CALL_NOSPEC
		     : "=a" (result), ASM_CALL_CONSTRAINT, "+c" (control), "+d" (input)
		     : [output] "r" (output), THUNK_TARGET(hv_hypercall_pg)
		     : "cc", "memory", "r8", "r9", "r10", "r11");
	return result;
#else
	return hv_do_hypercall(control, phys_to_virt(input), output ? phys_to_virt(output) : NULL);
#endif
}

/* One more signal; 6.8 took away a count. */
static inline void mshv_compat_eventfd_signal(struct eventfd_ctx *event)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
	eventfd_signal(event, 1);
#else
	eventfd_signal(event);
#endif
}

/* Synthetic MSRs; the names changed in 6.16. */
static inline u64 mshv_compat_rdmsr(u32 msr)
{
	u64 value;

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
	rdmsrl(msr, value);
#else
	rdmsrq(msr, value);
#endif
	return value;
}

static inline void mshv_compat_wrmsr(u32 msr, u64 value)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
	wrmsrl(msr, value);
#else
	wrmsrq(msr, value);
#endif
}

/*
 * Who is called when the synthetic interrupt controller interrupts. Since 6.15 a parent's driver
 * has a place of its own; before, it takes that of VMBus, if VMBus does not use it.
 */
static inline int mshv_compat_setup_synic_handler(void (*handler)(void))
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
	if (mshv_compat_rdmsr(HV_X64_MSR_SCONTROL) & 1)
		return -EBUSY;
	hv_setup_vmbus_handler(handler);
#else
	hv_setup_mshv_handler(handler);
#endif
	return 0;
}

static inline void mshv_compat_remove_synic_handler(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
	hv_remove_vmbus_handler();
#else
	hv_setup_mshv_handler(NULL);
#endif
}

/*
 * The page number that Linux maps at an address of a VMA without struct pages, and whether it may
 * be written. Good as long as no notifier says otherwise. -EINVAL: nothing is mapped there.
 * mmap_lock is held.
 */
static inline int mshv_compat_device_pfn(struct vm_area_struct *vma, unsigned long address,
					 unsigned long *pfn, bool *writable)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	spinlock_t *lock;
	pte_t *pte;

	if (follow_pte(vma->vm_mm, address, &pte, &lock))
		return -EINVAL;
	*pfn = pte_pfn(*pte);
	*writable = pte_write(*pte);
	pte_unmap_unlock(pte, lock);
#else
	struct follow_pfnmap_args args = { .vma = vma, .address = address };

	if (follow_pfnmap_start(&args))
		return -EINVAL;
	*pfn = args.pfn;
	*writable = args.writable;
	follow_pfnmap_end(&args);
#endif
	return 0;
}

#endif
