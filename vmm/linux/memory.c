// SPDX-License-Identifier: GPL-2.0-only
/* Memory of a Linux guest, see memory.h. */
#include <errno.h>
#include <linux/mempolicy.h>
#include <linux/mman.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libmshv.h"
#include "memory.h"

#define NODES_MAX	64

static const char *const names[] = {
	[LINUX_PRIVATE] = "private", [LINUX_SHARED] = "shared", [LINUX_MEMFD] = "memfd",
	[LINUX_HUGETLB] = "hugetlb",
};

int linux_backing_named(const char *name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return (int)i;
	return -1;
}

int linux_memory_discard(enum linux_backing backing)
{
	switch (backing) {
	case LINUX_PRIVATE:
		return MADV_DONTNEED;
	/* DONTNEED would only forget the map: the pages belong to the file. */
	case LINUX_SHARED:
	case LINUX_MEMFD:
		return MADV_REMOVE;
	default:
		return -1;
	}
}

/* Address space that is a multiple of 2 MiB, to be mapped over. */
static void *reserve(uint64_t size)
{
	uint64_t span = size + MSHV_BLOCK_SIZE, head;
	uint8_t *start = mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)start % MSHV_BLOCK_SIZE;
	if (head)
		munmap(start, head);
	munmap(start + head + size, span - head - size);
	return start + head;
}

/* A file descriptor for memfd; -1 without one for the others, -2 on an error. */
static int make_file(enum linux_backing backing, uint64_t size)
{
	int fd;

	if (backing != LINUX_MEMFD)
		return -1;
	fd = memfd_create("mshv-guest", MFD_CLOEXEC);
	if (fd < 0)
		return -2;
	if (ftruncate(fd, (off_t)size)) {
		close(fd);
		return -2;
	}
	return fd;
}

static int bind_to(void *at, uint64_t size, int node)
{
	unsigned long mask = 1ul << node;

	if (node >= NODES_MAX) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_mbind, at, size, MPOL_BIND, &mask, NODES_MAX + 1, 0);
}

void *linux_memory_map(const struct linux_memory *how, uint64_t size)
{
	int flags = MAP_FIXED | MAP_NORESERVE, fd;
	void *at;

	if (how->backing == LINUX_HUGETLB && size % MSHV_BLOCK_SIZE) {
		mshv_fail_because(EINVAL, "memory of %llu bytes in huge pages: not a multiple of 2 MiB",
				  (unsigned long long)size);
		return NULL;
	}
	at = reserve(size);
	fd = at ? make_file(how->backing, size) : -2;
	if (fd == -2)
		goto fail;
	flags |= how->backing == LINUX_PRIVATE || how->backing == LINUX_HUGETLB ? MAP_PRIVATE : MAP_SHARED;
	if (how->backing == LINUX_HUGETLB) {
		/* The pool is asked now: a guest that finds it empty later would be lost. */
		flags &= ~MAP_NORESERVE;
		/* Linux's default may be another size than the one that is known here. */
		flags |= MAP_HUGETLB | MAP_HUGE_2MB;
	}
	if (fd < 0)
		flags |= MAP_ANONYMOUS;
	if (mmap(at, size, PROT_READ | PROT_WRITE, flags, fd, 0) == MAP_FAILED) {
		mshv_fail("map %llu bytes as %s", (unsigned long long)size, names[how->backing]);
		goto out;
	}
	if (fd >= 0)
		close(fd);
	if (how->node != LINUX_NODE_ANY && bind_to(at, size, how->node)) {
		mshv_fail("bind guest memory to node %d", how->node);
		munmap(at, size);
		return NULL;
	}
	if (how->backing != LINUX_HUGETLB)
		madvise(at, size, how->small ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	/* Only memory of this process alone is merged. */
	if (how->merge && madvise(at, size, MADV_MERGEABLE)) {
		mshv_fail("let KSM merge guest memory");
		munmap(at, size);
		return NULL;
	}
	return at;

fail:
	mshv_fail("map %llu bytes", (unsigned long long)size);
out:
	if (fd >= 0)
		close(fd);
	if (at)
		munmap(at, size);
	return NULL;
}
