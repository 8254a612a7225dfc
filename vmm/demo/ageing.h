/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * demo: what Linux thinks of the age of this process's pages, by the two that tell: the multi-generation LRU, through its file in
 * debugfs, and DAMON, through sysfs. Judges of tests and of the benchmark. Needs root.
 *
 * What returns int returns 0, or -1 with mshv_error().
 */
#ifndef DEMO_AGEING_H
#define DEMO_AGEING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether this kernel has them. */
bool ageing_available(void);
bool damon_available(void);

/* One pass of the LRU over all memory of cgroup @group: who was used since the last one is in a younger generation then. */
int ageing_pass(const char *group);
/* Evicts everything but the two youngest generations: what the last pass found young, and what came since. */
int ageing_evict(const char *group);

/* DAMON watches a range of this process from now on, at first @step bytes a region; one range at a time. */
int damon_begin(const void *start, size_t size, size_t step);
/* Bytes of the range that it found accessed lately, and how many of these are among the first @hot. */
int damon_found(const void *start, uint64_t hot, uint64_t *found, uint64_t *right);
/* Also after a damon_begin() that failed. */
void damon_end(void);

#endif
