/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Doing the instruction that touched a device's memory.
 *
 * The hypervisor stops a processor before such an instruction has done anything and says which
 * guest address it wanted. Here it is decoded, its one memory operand is read and written on the
 * bus, and registers, flags and RIP become what they are behind it.
 *
 * Laws:
 *   - Nothing is changed before the instruction is known to be one of those that can be done.
 *   - Only what a guest's drivers use: moves, tests, and logic on one memory operand. Anything
 *     else is an error that shows the bytes.
 */
#ifndef DEVICES_MMIO_H
#define DEVICES_MMIO_H

#include "bus.h"
#include "libmshv.h"

#define MMIO_INSTRUCTION_MAX	15u

/* How the processor reads instructions. */
enum mmio_mode { MMIO_MODE_16, MMIO_MODE_32, MMIO_MODE_64 };

/*
 * Does the instruction in @bytes, whose memory operand is at guest physical address @gpa. Returns
 * what the device does (0, or what the run loop is to be left with), or -1 with errno: ENODATA if
 * the instruction is longer than @count, EOPNOTSUPP if it cannot be done. Then nothing has changed.
 */
int mmio_emulate(const struct bus *bus, struct mshv_general *general, enum mmio_mode mode,
		 const uint8_t *bytes, unsigned int count, uint64_t gpa);

/* Memory handler of a run loop for accesses that were not RAM: all of it. -1 with mshv_error(). */
int mmio_handle(struct mshv_vcpu *vcpu, const struct bus *bus,
		const struct hvabi_x64_memory_intercept_message *message);

#endif
