/* SPDX-License-Identifier: GPL-2.0-only */
/* The verbs of the mshv command, one a file, and what they share. */
#ifndef MSHV_CMD_H
#define MSHV_CMD_H

#include <stdint.h>

#define MSHV_VERSION	"0.1"

#define EXIT_USAGE	2

/* Each gets the arguments from its own name on and returns the exit code. */
int cmd_run(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_hv(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_regions(int argc, char **argv);

/* "mshv: what: why" on stderr; returns 1. */
int cmd_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for wrong arguments; returns EXIT_USAGE. */
int cmd_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Sizes are bytes with a binary suffix: 64M, 1G; a plain number is bytes. */
int cmd_parse_size(const char *text, uint64_t *size);
int cmd_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *number);

#endif
