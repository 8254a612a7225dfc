/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of libmshv share and nobody else sees. */
#ifndef LIBMSHV_INTERNAL_H
#define LIBMSHV_INTERNAL_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include <uapi/mshv.h>

#include "libmshv.h"

#define KICK_SIGNAL	SIGUSR1

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

int mshv_device(void);

#endif
