/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver's statistics of all partitions that this user may see, from /proc/PID/fdinfo
 * (docs/stats.md).
 */
#ifndef MSHV_CMD_FDINFO_H
#define MSHV_CMD_FDINFO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct stat_value {
	char key[40];
	uint64_t value;
};

/* Words stay words: "movable", "rwx"; numbers are in @values. */
struct stat_region {
	uint64_t gfn, pages, hva;
	char kind[16], rights[8];
	struct stat_value *values;
	unsigned int count;
};

struct stat_partition {
	uint64_t id;
	pid_t pid;
	char command[32];
	char state[16];
	struct stat_value *values;
	unsigned int count;
	struct stat_region *regions;
	unsigned int region_count;
};

/*
 * Reads all partitions, or those of one process (@pid not 0), each once however many descriptors
 * there are. Returns their number, -1 if /proc cannot be read or there is no such process. A process
 * that may not be looked into is passed over.
 */
int stat_read(pid_t pid, struct stat_partition **partitions);
void stat_free(struct stat_partition *partitions, int count);

/* Bytes of a process that are in memory and in swap, as Linux counts them all along (no walk of its page tables, so nearly). */
struct stat_memory {
	bool known;		/* false: the process is gone */
	uint64_t resident, swapped;
};

struct stat_memory stat_process_memory(pid_t pid);

/* What the driver counts beyond a partition's life. */
struct stat_driver {
	bool known;		/* false: the driver does not tell */
	uint64_t killed;	/* partitions, since it was loaded */
};

struct stat_driver stat_driver(void);

/* Whether a process has ended, be it that its parent has not heard of it yet (a zombie). */
bool stat_process_ended(pid_t pid);

/* A value by its key; false if it is not there. */
bool stat_find(const struct stat_value *values, unsigned int count, const char *key, uint64_t *value);

/* The same, 0 if it is not there. */
uint64_t stat_value(const struct stat_value *values, unsigned int count, const char *key);

/* A column of a table: the sum of some counters of a partition. */
struct stat_column {
	const char *title;	/* at most eight letters */
	const char *keys[4];	/* the first NULL ends them */
};

uint64_t stat_sum(const struct stat_partition *partition, const struct stat_column *column);

/*
 * By how much that has grown since a look before, which saw @count partitions; all of it if the partition was not among them, or
 * counts from zero again under an id that was given anew. What a partition counted after the last look that saw it is known to nobody.
 */
uint64_t stat_happened(const struct stat_partition *partition, const struct stat_column *column,
		       const struct stat_partition *before, int count);

#endif
