/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of libmshv share and nobody else sees. */
#ifndef LIBMSHV_INTERNAL_H
#define LIBMSHV_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include <uapi/mshv.h>

#include "libmshv.h"

/* For what is done on the way out of an error. */
#define keep_errno(call) do { int errno_kept = errno; call; errno = errno_kept; } while (0)

struct region {
	struct region *next;
	uint64_t gpa;
	uint64_t size;
	uint8_t *host;
	void *mapping;			/* not NULL: ours, to be unmapped in the end */
	size_t mapping_size;
};

struct mshv_vm {
	int fd;
	pthread_mutex_t lock;		/* protects regions */
	struct region *regions;
};

struct mshv_vcpu {
	struct mshv_vm *vm;
	uint32_t index;
	int fd;
	/* NULL where the hypervisor or the driver has none. */
	struct hvabi_vp_register_page *page;
	struct mshv_run_vp_exit run;
	/* The driver has no MSHV_RUN_VP_EXIT. */
	bool plain_run;
	atomic_bool running;
	atomic_bool kicked;
};

static inline bool is_64_bit(const struct hvabi_x64_intercept_message_header *h)
{
	return h->execution_state & HVABI_EXECUTION_STATE_EFER_LMA && h->cs_segment.attributes & HVABI_SEGMENT_LONG;
}

/* Linear address of the instruction. Outside of 64-bit mode these are 32 bits wide. */
static inline uint64_t code_address(const struct hvabi_x64_intercept_message_header *h)
{
	return is_64_bit(h) ? h->rip : (uint32_t)(h->cs_segment.base + h->rip);
}

int mshv_device(void);

/* The signal of mshv_kick_signal(), or 0. */
int mshv_kick_signal_now(void);

/*
 * What a program's structure of @size bytes, which begins with that size, has of ours: fields it does not know are 0 in @to, and
 * what a newer header has beyond ours must be 0, as it asks for what cannot be done here. 0, or -1: it cannot be.
 */
static inline int take_sized(void *to, size_t to_size, const void *from, size_t size)
{
	const unsigned char *bytes = from;
	size_t i;

	if (size < 2 * sizeof(size_t) || size > 4096)
		return -1;
	for (i = to_size; i < size; i++)
		if (bytes[i])
			return -1;
	memset(to, 0, to_size);
	memcpy(to, from, size < to_size ? size : to_size);
	return 0;
}

#endif
