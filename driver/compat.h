/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between kernels: 6.1 and 6.12 are built, 7.x is prepared. The only place with
 * conditions on the version.
 */
#ifndef MSHV_COMPAT_H
#define MSHV_COMPAT_H

#include <linux/version.h>

#include <linux/smp.h>

#include <asm/mshyperv.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
/* smp_send_reschedule() is a macro that traces. */
#include <trace/events/ipi.h>
#endif

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

#endif
