/* SPDX-License-Identifier: GPL-2.0-only */
/* What mshv record wrote (docs/schemas/record.json), read again: the samples of each guest in the order of time. */
#ifndef MSHV_CMD_SAMPLES_H
#define MSHV_CMD_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pages.h"

enum cause { CAUSE_CLEAR, CAUSE_UNMAP, CAUSE_PROTECT, CAUSE_MIGRATE, CAUSE_RELEASE, CAUSE_OTHER, CAUSES };
extern const char *const cause_names[CAUSES];

/* A part of a guest's memory, and how much of it was used. */
struct part {
	uint64_t address, size;		/* bytes */
	uint64_t used;			/* bytes */
};

struct sample {
	double time;			/* seconds since the record began */
	uint64_t memory, pages[PAGE_STATES], deposited;	/* bytes */
	uint64_t cause[CAUSES];		/* since the guest was made */
	struct part *parts;
	size_t part_count;
};

struct guest_samples {
	uint64_t partition;
	pid_t pid;
	char command[32], state[16];	/* the state at last */
	struct sample *samples;
	size_t count;
};

struct record {
	double start;			/* seconds of the epoch */
	double interval;
	struct guest_samples *guests;
	size_t count;
	bool cut;			/* the last line was not whole, and was left out */
};

/* Reads @name, - for standard input. Returns 0, or the exit code after saying what is wrong, with the line. */
int record_read(const char *name, struct record *record);
void record_free(struct record *record);

#endif
