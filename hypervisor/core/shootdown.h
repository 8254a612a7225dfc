/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TLB shoot-down across processors.
 *
 * A processor enters a partition only under the hypervisor lock, and says so
 * in cpu->guest first.  So whoever holds the lock need only wait until no
 * other processor is in the partition: none can enter again before the lock
 * is dropped, and each flushes when it does, because tlb_generation moved.
 */
#ifndef CORE_SHOOTDOWN_H
#define CORE_SHOOTDOWN_H

#include "cpu.h"
#include "partition.h"

/*
 * On return no processor holds a translation of @p that is older than the
 * call.  Lock: hypervisor lock held; @self is the calling processor, which
 * is in the hypervisor.
 */
void shootdown(struct cpu *self, struct partition *p);

/*
 * Make all processors leave @p, and wait until they did.  Same locking.  On return, and as long as the lock is
 * held, none is in an exit without lock either: what these read can be changed.
 */
void evict(struct cpu *self, struct partition *p);

#endif
