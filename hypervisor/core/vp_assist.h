/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VP assist page of a child's processor (TLFS 7.8.7): so far only "no EOI required" (TLFS
 * 10.3.5), by which a guest learns that the EOI it is about to write would change nothing that
 * somebody waits for.  It clears the bit and goes on, without an exit.
 *
 * Laws
 *  - The bit stands in the page only while the processor is in the guest, and only if one EOI is
 *    all that the bit can stand for: of an edge, with nothing requested that it would let in, and
 *    of no other interrupt than the one that is in service or will be when it is taken.
 *  - After the stay it is read and cleared before anything looks at what is in service.
 *  - The page is the child's own memory, looked up each time.  Not mapped before an entry, the bit is
 *    simply not used; not mapped afterwards, it has to be faulted in, because the answer is in it.
 *
 * Lock: the partition's.
 */
#ifndef CORE_VP_ASSIST_H
#define CORE_VP_ASSIST_H

#include "types.h"

struct vp;

/* Write the register.  False: the child's page at *@gpa must be writable first. */
bool vp_assist_write(struct vp *vp, u64 value, u64 *gpa);

/* The processor is about to enter, with @offered from vp_offer() before it. */
void vp_assist_enter(struct vp *vp, int offered);

/*
 * The processor has left, and what it took is known: end what the guest has ended.  False: the child's page at *@gpa
 * must be writable first, and until then nothing is known of what is in service.
 */
bool vp_assist_leave(struct vp *vp, u64 *gpa);

#endif
