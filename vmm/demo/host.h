/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * demo: what Linux says about guest memory, and asking Linux to move it.
 *
 * All of it works on this process's own memory, from outside of the driver: these are the
 * witnesses of tests and of the demonstration. Needs root (page map).
 */
#ifndef DEMO_HOST_H
#define DEMO_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HOST_NODES_MAX	8

/* Pages of a range of this process, by where Linux has them. */
struct host_pages {
	uint64_t present;		/* mapped in this process */
	uint64_t swapped;		/* in swap */
	uint64_t absent;		/* never touched, or dropped */
	uint64_t node[HOST_NODES_MAX];	/* of those present */
};

/* Counts the pages of a range; both page-aligned. Nodes cost a second look: @nodes. */
int host_count_pages(const void *start, size_t size, bool nodes, struct host_pages *pages);

/*
 * Page frame numbers of a range, one per page into @frames; 0 where nothing is present.
 * Returns 0, or -1 with errno.
 */
int host_page_frames(const void *start, size_t size, uint64_t *frames);

/* Online NUMA nodes with memory. */
unsigned int host_nodes(void);

/*
 * Asks Linux to move the pages of process @pid, 0: this one, from one node to another (migrate_pages(2)).
 * Returns the pages that could not be moved, or -1.
 */
long host_migrate(pid_t pid, unsigned int from, unsigned int to);

/*
 * Asks for each page of the range to be moved to @node (move_pages(2)); counts what the
 * kernel answered for each.
 */
struct host_move {
	uint64_t moved;			/* is on the node now */
	uint64_t busy;			/* EBUSY: somebody holds the page, as a pin does */
	uint64_t absent;		/* not present */
	uint64_t failed;		/* any other error */
};
int host_move(void *start, size_t size, unsigned int node, struct host_move *result);

/* Compacts all zones of all nodes. */
int host_compact(void);

/* Asks Linux to reclaim the range (MADV_PAGEOUT): to swap, as it is anonymous. */
int host_page_out(void *start, size_t size);

/*
 * Moves this process into a memory cgroup of its own, below the root of the cgroup2 mount,
 * so that host_reclaim() reclaims its memory only.
 */
int host_enter_cgroup(const char *name);
/* Asks Linux to reclaim @size bytes of that group. Less may be had: look. */
int host_reclaim(const char *name, size_t size);

/* A line "NAME VALUE" or "NAME: VALUE ..." of a file such as /proc/vmstat; 0 if not there. */
uint64_t host_stat(const char *file, const char *name);

/* Fresh anonymous memory of @size bytes in small pages on @node, or NULL. */
void *host_memory_on(unsigned int node, size_t size);

/* The first line of a file, without its end. */
int host_read(const char *file, char *line, size_t size);

/* Writes text into a file, such as a switch in /proc/sys. */
int host_write(const char *file, const char *text);

/* Seconds of CLOCK_MONOTONIC. */
double host_seconds(void);

#endif
