/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The statistics of all partitions as OpenMetrics text, version 1.0.0 (docs/stats.md), and its transport.
 *
 * Laws:
 *   - Base units: bytes, not pages. A name that is there stays there.
 *   - Every series of a partition has the labels "partition" and "pid"; what else is known of a guest is in mshv_partition_info.
 *   - A counter that this program does not know, of a later driver, is there by its key: mshv_other.
 */
#ifndef MSHV_CMD_OPENMETRICS_H
#define MSHV_CMD_OPENMETRICS_H

#include <stdio.h>

#include "fdinfo.h"

#define OPENMETRICS_TYPE	"application/openmetrics-text; version=1.0.0; charset=utf-8"

/* One of @processes for each of @partitions. */
void openmetrics_print(FILE *to, const struct stat_driver *driver, const struct stat_partition *partitions, int count,
		       const struct stat_memory *processes);

/*
 * The answer to the head of an HTTP request, of which @size bytes came: 200 if it asks for /metrics, otherwise the status that
 * says why not. *@reason is its text.
 */
int openmetrics_request(const char *head, size_t size, const char **reason);

#endif
