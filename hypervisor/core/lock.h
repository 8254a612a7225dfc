/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hypervisor lock: one ticket lock over all state of the core.
 *
 * Every exit that does more than return takes it.  A processor that runs a
 * partition does not hold it, and says so in cpu->guest; that is all that a
 * shoot-down needs (shootdown.h).  One lock is enough: parents have at most
 * eight processors, and no holder waits for anything but a processor leaving
 * its guest, which takes no lock.
 */
#ifndef CORE_LOCK_H
#define CORE_LOCK_H

#include "platform.h"

struct ticket_lock {
	u32 next;
	u32 owner;
};

extern struct ticket_lock hv_lock;

static inline void hv_lock_acquire(void)
{
	u32 ticket = __atomic_fetch_add(&hv_lock.next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&hv_lock.owner, __ATOMIC_ACQUIRE) != ticket)
		platform_relax();
}

static inline void hv_lock_release(void)
{
	__atomic_store_n(&hv_lock.owner, hv_lock.owner + 1, __ATOMIC_RELEASE);
}

#endif
