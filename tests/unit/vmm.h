/* SPDX-License-Identifier: GPL-2.0-only */
/* What every unit test of the VMM's machine includes: cmocka, and guest memory that is only memory. */
#ifndef UNIT_VMM_H
#define UNIT_VMM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libmshv.h"

#define MIB	(1ull << 20)
#define GIB	(1ull << 30)

/* What a device says when its register is read. */
typedef int (*vmm_access_fn)(void *device, uint64_t offset, unsigned int size, bool write,
			     uint64_t *value);

static inline uint64_t vmm_read(vmm_access_fn access, void *device, uint64_t offset,
				unsigned int size)
{
	uint64_t value = ~0ull;

	assert_int_equal(access(device, offset, size, false, &value), 0);
	return value;
}

static inline void vmm_write(vmm_access_fn access, void *device, uint64_t offset,
			     unsigned int size, uint64_t value)
{
	assert_int_equal(access(device, offset, size, true, &value), 0);
}

#endif
