/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Walks of a child's own page tables, in software: for TRANSLATE_VIRTUAL_ADDRESS
 * and to fetch the bytes of an intercepted instruction.
 *
 * All paging modes that a child can be in: none, 32-bit, PAE, 4-level.
 * Everything read from the child is read through its second-level map.
 * Lock: the partition's, and the VP does not run; or none, by the VP's own processor in an exit
 * that concerns nobody else: then only what reads may be called.
 */
#ifndef CORE_TRANSLATE_H
#define CORE_TRANSLATE_H

#include "vp.h"

/**
 * translate() - virtual to guest physical
 * @gva: canonical address; the page is what counts
 * @flags: HVABI_TRANSLATE_*
 * @gpa: result, with the offset of @gva in its page
 *
 * Returns HVABI_TRANSLATE_*: 0 is success, else the reason.
 */
u32 translate(struct vp *vp, u64 gva, u64 flags, u64 *gpa);

/* Bytes from RIP on, up to 15, in @bytes; returns how many could be read. */
u32 fetch_instruction(struct vp *vp, u8 bytes[16]);

/*
 * Guest physical memory at @gpa, to the end of its page, as long as the lock is held; NULL if the child
 * cannot read (@write: write) there now.  For writing the entry becomes accessed and dirty, as below.
 */
void *guest_memory(struct partition *p, u64 gpa, bool write);

/* Read @length bytes inside one page of guest physical memory.  HVABI_TRANSLATE_*. */
u32 read_guest(struct partition *p, u64 gpa, void *to, u32 length);

/* The same for writing; the entry becomes accessed and dirty, as by the child's own write. */
u32 write_guest(struct partition *p, u64 gpa, const void *from, u32 length);

#endif
