/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory of a Linux guest: what Linux makes it of. Ordinary memory of this process in any case, so that it moves,
 * is charged and limited as such.
 */
#ifndef LINUX_MEMORY_H
#define LINUX_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum linux_backing {
	LINUX_PRIVATE,		/* anonymous */
	LINUX_SHARED,		/* anonymous, in shared memory: a child process could use it, too */
	LINUX_MEMFD,		/* a file in memory, that another process can be given */
	LINUX_HUGETLB,		/* huge pages of the reserved pool, 2 MiB */
};

#define LINUX_NODE_ANY	(-1)

struct linux_memory {
	enum linux_backing backing;
	int node;		/* NUMA node that all of it must come from, or LINUX_NODE_ANY */
	bool merge;		/* KSM may merge its pages with equal ones */
	bool small;		/* no transparent huge pages */
};

/* The kind named @name; -1: there is none. */
int linux_backing_named(const char *name);

/*
 * Maps @size bytes (a multiple of 4096; of 2 MiB for hugetlb) at an address that is a multiple of 2 MiB, so that
 * large maps are possible. Nothing of it is allocated yet. NULL with mshv_error().
 */
void *linux_memory_map(const struct linux_memory *how, uint64_t size);

/* Advice to madvise() by which pages that the guest gives back go back to Linux; -1: they cannot, one by one. */
int linux_memory_discard(enum linux_backing backing);

#endif
