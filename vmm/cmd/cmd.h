/* SPDX-License-Identifier: GPL-2.0-only */
/* The verbs of the mshv command, one a file, and what they share. */
#ifndef MSHV_CMD_H
#define MSHV_CMD_H

#include <stdbool.h>
#include <stdint.h>

#define EXIT_USAGE	2

/* Each gets the arguments from its own name on and returns the exit code. */
int cmd_run(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_resume(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_balloon(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_hv(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_regions(int argc, char **argv);
int cmd_map(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_record(int argc, char **argv);
int cmd_report(int argc, char **argv);

/* "mshv: what: why" on stderr; returns 1. */
int cmd_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for wrong arguments; returns EXIT_USAGE. */
int cmd_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Whether the device is not there; if so, says it. */
bool cmd_no_driver(const char *verb);
/* The same, or if it is a driver that keeps no counters. */
bool cmd_no_counters(const char *verb);

enum cmd_kind {
	CMD_SET,	/* no argument: true */
	CMD_CLEAR,	/* no argument: false */
	CMD_NUMBER,
	CMD_SIZE,
	CMD_TEXT,
};

struct cmd_option {
	const char *name;	/* NULL: end of the table */
	char letter;		/* 0: none */
	enum cmd_kind kind;
	void *value;		/* bool *, uint64_t *, or const char **; left alone without the option */
	const char *what;	/* a value that is refused is "not WHAT" */
	uint64_t min, max;	/* of a number, inclusive; a size is a multiple of @min, and not 0 */
};

#define CMD_GO_ON	(-1)

/*
 * Reads the options of the verb argv[0], at most 24; operands are from getopt's optind on. Returns CMD_GO_ON, or the exit code:
 * after --help, or after a usage error, which it has said.
 */
int cmd_options(int argc, char **argv, const char *usage, const struct cmd_option *options);
/* After that, for a verb that takes no operands; returns the same. */
int cmd_no_operands(int argc, char **argv);

/* The same for one that takes a file, or none: then *@file stays. */
int cmd_file_operand(int argc, char **argv, const char **file);

/* Sizes are bytes with a binary suffix: 64M, 1G; a plain number is bytes. */
int cmd_parse_size(const char *text, uint64_t *size);
int cmd_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *number);

#endif
