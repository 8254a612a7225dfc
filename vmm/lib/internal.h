/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of libmshv share and nobody else sees. */
#ifndef LIBMSHV_INTERNAL_H
#define LIBMSHV_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "libmshv.h"

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
	atomic_bool running;
	atomic_bool kicked;
};

/* Sets mshv_error() to "WHAT: strerror(errno)" and returns -1 with errno kept. */
int mshv_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same with a reason in words instead of errno's. */
int mshv_fail_because(int error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

int mshv_device(void);

#endif
