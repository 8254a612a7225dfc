/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hypercalls of children: TLB flushes and interrupts for many processors (TLFS 9.4.2, 10.5).
 *
 * Laws
 *  - Decode, then perform, as for the parent's calls: what is refused changes nothing.
 *  - The input block is the child's memory: copied before it is looked at, and faulted in first if
 *    the parent has not mapped it.
 *  - Extended calls are the parent's to answer, if it has asked for them (INSTALL_INTERCEPT, type
 *    hypercall); else there are none.
 *  - A flush flushes more than was asked for, never less: all of the child's processors forget all.
 *    When the call returns none uses the old translations.
 *
 * Lock: the partition's.
 */
#ifndef CORE_GUEST_CALL_H
#define CORE_GUEST_CALL_H

#include "types.h"

struct cpu;
struct partition;
struct vp;

/* Registers of a call: RCX, RDX, R8. */
struct guest_call {
	u64 control;
	u64 input;		/* address of the input block, or its first 8 bytes */
	u64 output;		/* address of the output block, or the next 8 bytes */
};

enum guest_call_outcome {
	GUEST_CALL_DONE,	/* *@result is the result word */
	GUEST_CALL_FAULT,	/* the child's page at *@fault must be readable first: nothing happened */
	GUEST_CALL_INTERCEPT,	/* the parent answers: nothing happened */
};

/* Carry out @call. */
enum guest_call_outcome guest_call(struct cpu *cpu, struct vp *vp, const struct guest_call *call,
				   u64 *result, u64 *fault);

/* True if the parent of @p answers extended calls. */
bool guest_call_extended(const struct partition *p);

#endif
