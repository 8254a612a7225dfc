/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A memory cgroup that a test is in, with statistics that are never old.
 *
 * Linux decides from a cgroup's statistics whether its list of inactive pages is low, and brings these up to date every two
 * seconds, or when somebody reads them. Where a guest has used all that was inactive, the list is empty long before, is taken
 * for full, and is not filled again; classic reclaim then finds nothing to scan, 16 times in some milliseconds, and kills for
 * want of memory (inactive_is_low() and the loop of shrink_lruvec(), Linux 6.12). It happens to any process, and is not what these
 * tests are about, so a thread reads the statistics all the time.
 */
#ifndef TESTS_GROUP_H
#define TESTS_GROUP_H

#include <errno.h>

#include "ktap.h"

/* Makes the cgroup @path, without limits, and enters it. Returns 0; 1: there are none; -1: errno says why. */
int group_enter(const char *path);

/* The same, as a step of a test. */
static inline enum ktap_result group_need(const char *path)
{
	int entered = group_enter(path);

	if (entered > 0)
		return ktap_skip("no memory cgroups");
	CHECK(!entered, "%s", strerror(errno));
	return PASS;
}

/* The limits are lifted, the calling process leaves, and the cgroup is removed. Nothing happens without one. */
void group_leave(void);

#endif
