/* SPDX-License-Identifier: GPL-2.0-only */
/* Statistics for monitoring systems: mshv stat --openmetrics. Each returns the exit code; @pid 0: all processes. */
#ifndef MSHV_CMD_EXPORT_H
#define MSHV_CMD_EXPORT_H

#include <stdbool.h>
#include <sys/types.h>

int export_text(pid_t pid);
/* One HTTP request on standard input, its answer on standard output: that there is nothing, unless the driver is @there. */
int export_http(pid_t pid, bool there);

#endif
