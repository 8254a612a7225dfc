/* SPDX-License-Identifier: GPL-2.0-only */
/* What the verbs that show partitions share beyond reading them (fdinfo.h). */
#ifndef MSHV_CMD_PARTITIONS_H
#define MSHV_CMD_PARTITIONS_H

#include "fdinfo.h"

/* The partitions at one time. */
struct look {
	struct stat_partition *partitions;
	int count;
};

/*
 * All partitions that the user may see, or those of process @pid (not 0). Returns 0, or the exit code after saying for @verb why
 * there is no look. look_free() afterwards in both cases.
 */
int look_read(const char *verb, uint64_t pid, struct look *look);
void look_free(struct look *look);

/* "partition 3 (mshv, pid 88, active", without the end: what the verb adds comes behind it. */
void partition_print_head(const struct stat_partition *p);

#endif
