/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Doing the instruction that touched a device's memory. Internal to libmshv; mshv_handlers.mmio is what programs see of it.
 *
 * The hypervisor stops a processor before such an instruction has done anything and says which guest address it wanted. Here it
 * is decoded, its one memory operand is read and written by a function of the program's, and registers, flags and RIP become
 * what they are behind it.
 *
 * Laws:
 *   - Nothing is changed, and the program is not asked, before the instruction is known to be one of those that can be done.
 *   - The address that was stopped at is the instruction's operand, from its first byte to its last: an operand that crosses a
 *     page, of which only one may be a device's, is an error, and so is an access that the instruction makes beside it.
 *   - Only what a guest's drivers use: moves, tests, and logic on one memory operand. Anything else is an error that shows the
 *     bytes.
 */
#ifndef LIBMSHV_MMIO_H
#define LIBMSHV_MMIO_H

#include "instruction.h"
#include "libmshv.h"

/* One access, see mshv_handlers.mmio. */
typedef int (*mshv_mmio_fn)(struct mshv_vcpu *vcpu, void *arg, uint64_t gpa, unsigned int size, bool write,
			    uint64_t *value);

/*
 * What a decoded instruction does, with its memory operand at @gpa: @general becomes what it is behind it. Returns what @access
 * does; if that is negative, nothing has changed.
 */
int mshv_instruction_do(const struct mshv_instruction *in, struct mshv_general *general, enum mshv_mode mode,
			struct mshv_vcpu *vcpu, mshv_mmio_fn access, void *arg, uint64_t gpa);

/* All of it for a message. What @access returns if that is not 0; -1 with mshv_error(). */
int mshv_mmio_handle(struct mshv_vcpu *vcpu, mshv_mmio_fn access, void *arg,
		     const struct hvabi_x64_memory_intercept_message *message);

#endif
