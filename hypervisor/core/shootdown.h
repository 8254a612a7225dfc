/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TLB shoot-down across processors.
 *
 * A processor enters a child only with that child's lock, and the parent only
 * while it shares the world, and says so in cpu->guest before it gives these up.
 * So whoever holds the child's lock - for the parent: has the world for himself -
 * need only wait until no other processor is in the partition.  None can enter again
 * before the lock is given up, and each flushes when it does, because
 * tlb_generation moved.  And none is kept from leaving: that takes no lock.
 */
#ifndef CORE_SHOOTDOWN_H
#define CORE_SHOOTDOWN_H

#include "cpu.h"
#include "partition.h"

/*
 * On return no processor holds a translation of @p that is older than the
 * call.  Lock: the partition's, or the world exclusively; @self is the calling
 * processor, which is in the hypervisor.
 */
void shootdown(struct cpu *self, struct partition *p);

/*
 * Make all processors leave @p, and wait until they did.  Same locking.  On return, and as long as the lock is
 * held, none is in an exit without lock either: what these read can be changed.
 */
void evict(struct cpu *self, struct partition *p);

#endif
