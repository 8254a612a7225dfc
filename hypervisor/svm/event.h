/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events in the two forms: the ABI's PENDING_INTERRUPTION register and the
 * VMCB's EVENTINJ / EXITINTINFO.
 */
#ifndef SVM_EVENT_H
#define SVM_EVENT_H

#include <hvabi/register.h>
#include "vmcb.h"

#define HV_TYPE_INTERRUPT	0ull
#define HV_TYPE_NMI		2ull
#define HV_TYPE_EXCEPTION	3ull

static inline u64 event_exception(u32 vector, bool has_error, u32 error)
{
	return HVABI_PENDING_INTERRUPTION_PENDING |
	       HV_TYPE_EXCEPTION << HVABI_PENDING_INTERRUPTION_TYPE_SHIFT |
	       (has_error ? HVABI_PENDING_INTERRUPTION_DELIVER_ERROR : 0) |
	       (u64)vector << HVABI_PENDING_INTERRUPTION_VECTOR_SHIFT |
	       (u64)error << HVABI_PENDING_INTERRUPTION_ERROR_SHIFT;
}

/* Of a pending event. */
static inline u8 event_vector(u64 pending)
{
	return (u8)(pending >> HVABI_PENDING_INTERRUPTION_VECTOR_SHIFT);
}

/* Is the pending event @pending the external interrupt @vector? */
static inline bool event_is_interrupt(u64 pending, u8 vector)
{
	return (pending >> HVABI_PENDING_INTERRUPTION_TYPE_SHIFT & 7) == HV_TYPE_INTERRUPT &&
	       event_vector(pending) == vector;
}

static inline u64 event_from_hv(u64 pending)
{
	u64 type = pending >> HVABI_PENDING_INTERRUPTION_TYPE_SHIFT & 7;
	u64 vector = pending >> HVABI_PENDING_INTERRUPTION_VECTOR_SHIFT & 0xff;
	u64 event = EVENT_VALID | vector | type << 8;

	if (!(pending & HVABI_PENDING_INTERRUPTION_PENDING))
		return 0;
	if (pending & HVABI_PENDING_INTERRUPTION_DELIVER_ERROR)
		event |= EVENT_HAS_ERROR | (pending >> HVABI_PENDING_INTERRUPTION_ERROR_SHIFT) << 32;
	return event;
}

/*
 * An event whose delivery was cut short.  Only bit 31 says that there is one.
 * A software interrupt is not kept: RIP still stands on its instruction, which
 * will run again.  QEMU calls interrupted hardware interrupts exceptions;
 * vectors from 32 on can only be interrupts.
 */
static inline u64 event_to_hv(u64 event)
{
	u64 type = event >> 8 & 7, vector = event & 0xff;
	u64 pending;

	if (!(event & EVENT_VALID) || (event & EVENT_TYPE_MASK) == EVENT_TYPE_SOFT)
		return 0;
	if (type == HV_TYPE_EXCEPTION && vector >= 32)
		type = HV_TYPE_INTERRUPT;
	pending = HVABI_PENDING_INTERRUPTION_PENDING |
		  type << HVABI_PENDING_INTERRUPTION_TYPE_SHIFT |
		  vector << HVABI_PENDING_INTERRUPTION_VECTOR_SHIFT;
	if ((event & EVENT_HAS_ERROR) && type == HV_TYPE_EXCEPTION)
		pending |= HVABI_PENDING_INTERRUPTION_DELIVER_ERROR |
			   (event >> 32) << HVABI_PENDING_INTERRUPTION_ERROR_SHIFT;
	return pending;
}

#endif
