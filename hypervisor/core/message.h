/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Intercept messages: what the parent reads when a VP stopped.  Each function
 * writes the complete message into the VP's message page, fills the register
 * page, and marks the VP as suspended by an intercept.  Layout: abi message.h.
 * Lock: the partition's; the state of the VP is stored back.
 */
#ifndef CORE_MESSAGE_H
#define CORE_MESSAGE_H

#include "vp.h"

/* @access: HVABI_INTERCEPT_ACCESS_*; @known: the GFN has an entry, but not the right */
void message_memory(struct vp *vp, u64 gpa, u8 access, bool known);

/**
 * struct io_exit - a port instruction
 * @length: of the instruction; @bytes: 1, 2 or 4
 */
struct io_exit {
	u16 port;
	u8 bytes;
	u8 length;
	bool out, string, rep;
};

void message_io_port(struct vp *vp, const struct io_exit *io);
void message_halt(struct vp *vp);
void message_unrecoverable(struct vp *vp);
void message_invalid_state(struct vp *vp);
void message_unsupported(struct vp *vp, u32 feature, u64 parameter);
void message_cpuid(struct vp *vp, const u32 result[4], u8 length);
void message_msr(struct vp *vp, u32 msr, bool write, u8 length);
/* A level-triggered interrupt has ended. */
void message_apic_eoi(struct vp *vp, u8 vector);
/* What it wanted to hear of: there is room for messages. */
void message_sint_deliverable(struct vp *vp, u16 sints);
void message_interruption_deliverable(struct vp *vp, u32 type);
/* A hypercall that the parent answers. */
void message_hypercall(struct vp *vp, u8 length);
void message_exception(struct vp *vp, u8 vector, bool has_error, u32 error, u64 parameter);

#endif
