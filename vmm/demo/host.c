// SPDX-License-Identifier: GPL-2.0-only
/* demo: Linux's view of guest memory, see host.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "libmshv.h"

#define PAGEMAP_PRESENT		(1ull << 63)
#define PAGEMAP_SWAPPED		(1ull << 62)
#define PAGEMAP_FRAME_MASK	((1ull << 55) - 1)

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT		21
#endif
#define MPOL_BIND		2
#define MPOL_MF_MOVE		2

#define CHUNK	512u

/* Entries of /proc/self/pagemap for @pages pages from @start. */
static int read_pagemap(int fd, const void *start, size_t pages, uint64_t *entries)
{
	size_t size = pages * sizeof(*entries), done = 0;
	off_t at = (off_t)((uintptr_t)start / MSHV_PAGE_SIZE * sizeof(*entries));

	while (done < size) {
		ssize_t n = pread(fd, (char *)entries + done, size - done, at + (off_t)done);

		if (n <= 0)
			return mshv_fail("/proc/self/pagemap");
		done += (size_t)n;
	}
	return 0;
}

static int open_pagemap(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		mshv_fail("/proc/self/pagemap");
	return fd;
}

static int count_nodes(uint8_t *start, size_t pages, struct host_pages *count)
{
	void *address[CHUNK];
	int status[CHUNK];
	size_t i;

	for (i = 0; i < pages; i++)
		address[i] = start + i * MSHV_PAGE_SIZE;
	/* Without target nodes the call only tells where pages are. */
	if (syscall(SYS_move_pages, 0, pages, address, NULL, status, 0) < 0)
		return mshv_fail("move_pages");
	for (i = 0; i < pages; i++)
		if (status[i] >= 0 && status[i] < HOST_NODES_MAX)
			count->node[status[i]]++;
	return 0;
}

int host_count_pages(const void *start, size_t size, bool nodes, struct host_pages *count)
{
	size_t pages = size / MSHV_PAGE_SIZE, at, n, i;
	uint64_t entries[CHUNK];
	int fd = open_pagemap(), ret = -1;

	if (fd < 0)
		return -1;
	memset(count, 0, sizeof(*count));
	for (at = 0; at < pages; at += n) {
		uint8_t *address = (uint8_t *)(uintptr_t)start + at * MSHV_PAGE_SIZE;

		n = pages - at < CHUNK ? pages - at : CHUNK;
		if (read_pagemap(fd, address, n, entries))
			goto out;
		for (i = 0; i < n; i++) {
			if (entries[i] & PAGEMAP_PRESENT)
				count->present++;
			else if (entries[i] & PAGEMAP_SWAPPED)
				count->swapped++;
			else
				count->absent++;
		}
		if (nodes && count_nodes(address, n, count))
			goto out;
	}
	ret = 0;
out:
	close(fd);
	return ret;
}

int host_page_frames(const void *start, size_t size, uint64_t *frames)
{
	size_t pages = size / MSHV_PAGE_SIZE, i;
	int fd = open_pagemap(), ret;

	if (fd < 0)
		return -1;
	ret = read_pagemap(fd, start, pages, frames);
	close(fd);
	for (i = 0; !ret && i < pages; i++)
		frames[i] = frames[i] & PAGEMAP_PRESENT ? frames[i] & PAGEMAP_FRAME_MASK : 0;
	return ret;
}

unsigned int host_nodes(void)
{
	unsigned int n;
	char name[64];

	for (n = 0; n < HOST_NODES_MAX; n++) {
		snprintf(name, sizeof(name), "/sys/devices/system/node/node%u", n);
		if (access(name, F_OK))
			break;
	}
	return n ? n : 1;
}

long host_migrate(pid_t pid, unsigned int from, unsigned int to)
{
	unsigned long old_nodes = 1ul << from, new_nodes = 1ul << to;
	long left = syscall(SYS_migrate_pages, pid, sizeof(old_nodes) * 8, &old_nodes,
			    &new_nodes);

	if (left < 0)
		mshv_fail("migrate_pages");
	return left;
}

int host_move(void *start, size_t size, unsigned int node, struct host_move *result)
{
	size_t pages = size / MSHV_PAGE_SIZE, at, n, i;
	int nodes[CHUNK], status[CHUNK];
	void *address[CHUNK];

	memset(result, 0, sizeof(*result));
	for (at = 0; at < pages; at += n) {
		n = pages - at < CHUNK ? pages - at : CHUNK;
		for (i = 0; i < n; i++) {
			address[i] = (uint8_t *)start + (at + i) * MSHV_PAGE_SIZE;
			nodes[i] = (int)node;
			status[i] = -EINVAL;
		}
		/* A positive result counts pages that did not move: their status tells. */
		if (syscall(SYS_move_pages, 0, n, address, nodes, status, MPOL_MF_MOVE) < 0)
			return mshv_fail("move_pages");
		for (i = 0; i < n; i++) {
			if (status[i] == (int)node)
				result->moved++;
			else if (status[i] == -EBUSY || status[i] >= 0)
				result->busy++;
			else if (status[i] == -ENOENT || status[i] == -EFAULT)
				result->absent++;
			else
				result->failed++;
		}
	}
	return 0;
}

int host_read(const char *file, char *line, size_t size)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return mshv_fail("%s", file);
	n = read(fd, line, size - 1);
	close(fd);
	if (n < 0)
		return mshv_fail("%s", file);
	line[n] = 0;
	line[strcspn(line, "\n")] = 0;
	return 0;
}

int host_write(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return mshv_fail("%s", file);
	n = write(fd, text, strlen(text));
	if (n >= 0 && n != (ssize_t)strlen(text)) {
		errno = EIO;
		n = -1;
	}
	if (n < 0)
		mshv_fail("%s", file);
	close(fd);
	return n < 0 ? -1 : 0;
}

int host_compact(void)
{
	return host_write("/proc/sys/vm/compact_memory", "1");
}

int host_page_out(void *start, size_t size)
{
	if (madvise(start, size, MADV_PAGEOUT) < 0)
		return mshv_fail("madvise(MADV_PAGEOUT)");
	return 0;
}

#define CGROUPS "/sys/fs/cgroup"

int host_enter_cgroup(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), CGROUPS "/%s", name);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return mshv_fail("%s", path);
	snprintf(path, sizeof(path), CGROUPS "/%s/cgroup.procs", name);
	return host_write(path, "0");
}

int host_reclaim(const char *name, size_t size)
{
	char path[256], bytes[32];

	snprintf(path, sizeof(path), CGROUPS "/%s/memory.reclaim", name);
	snprintf(bytes, sizeof(bytes), "%zu", size);
	/* EAGAIN: it could not reclaim all of that. */
	if (host_write(path, bytes) && errno != EAGAIN)
		return -1;
	return 0;
}

void *host_memory_on(unsigned int node, size_t size)
{
	unsigned long nodes = 1ul << node;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		mshv_fail("map %zu bytes", size);
		return NULL;
	}
	madvise(p, size, MADV_NOHUGEPAGE);
	/* A kernel without NUMA has one node, and the memory is there anyway. */
	syscall(SYS_mbind, p, size, MPOL_BIND, &nodes, sizeof(nodes) * 8, 0);
	memset(p, 1, size);
	return p;
}

uint64_t host_stat(const char *file, const char *name)
{
	FILE *f = fopen(file, "re");
	size_t length = strlen(name);
	uint64_t value = 0;
	char line[256];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, length) ||
		    (line[length] != ' ' && line[length] != ':' && line[length] != '\t'))
			continue;
		value = strtoull(line + length + strspn(line + length, ": \t"), NULL, 10);
		break;
	}
	fclose(f);
	return value;
}

double host_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
