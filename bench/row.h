/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What rows share: a cell at a time, which is what one thing cost one system.
 *
 * A cell has "row", "what" and whatever else tells it from others (put before anything is measured), and counts. A row that
 * fails leaves its cell with "cannot" and the reason, closes its guests and returns.
 */
#ifndef BENCH_ROW_H
#define BENCH_ROW_H

#include "bench.h"

/* Where the pages begin that are touched: behind the payload's own. */
#define FIRST	(4 * BLOCK)

struct bench {
	const struct bench_options *options;
	const struct bench_system *system;
	json_t *results;
	/* What is being measured. */
	json_t *cell;
	struct bench_counts before;
};

/* A new one; what is put into it until the next one belongs to it. */
void row_begin(struct bench *b, const char *row, const char *what);
void row_put(struct bench *b, const char *key, int64_t value);
void row_put_text(struct bench *b, const char *key, const char *text);
/* The cell stays without what is missing, and says why; the first reason holds. */
void row_cannot(struct bench *b, const char *why);

/*
 * From row_start() on it is counted, and row_stop() puts it into the cell: @guest's, or of all. Both return 0 or -1, and
 * then the cell says why.
 */
int row_start(struct bench *b, struct bench_guest *guest);
int row_stop(struct bench *b, struct bench_guest *guest);
/* What was counted from row_start() to @after. */
void row_put_counts(struct bench *b, const struct bench_counts *after);

/*
 * The guest does something once with some pages from FIRST on. Returns 0; -1: it could not, or found a wrong stamp, and the cell
 * has it.
 */
int row_does(struct bench *b, struct bench_guest *guest, enum guest_command command, uint64_t pages,
	     uint64_t stride, uint64_t seed, uint64_t version);

/* The same in two halves, for processor @vp, and with all arguments. */
int row_begins(struct bench *b, struct bench_guest *guest, unsigned int vp, enum guest_command command,
	       const struct guest_mailbox *args);
int row_waits(struct bench *b, struct bench_guest *guest, unsigned int vp);

/*
 * A process of its own goes on with the cell: @run(b, arg). It may be killed, as some things want more memory than there is, and
 * then the cell says so.
 */
void row_apart(struct bench *b, void (*run)(struct bench *b, const void *arg), const void *arg);

/*
 * This process goes to a memory cgroup of its own, and comes back; 0 or -1, and then the cell says why. @max of bytes, or
 * UINT64_MAX; row_group_stat(): of its memory.stat, or its memory.current for NULL.
 */
#define ROW_GROUP	"bench"
int row_enter_group(struct bench *b);
int row_limit_group(struct bench *b, uint64_t max);
uint64_t row_group_stat(const char *name);
void row_leave_group(void);

/* @bytes, or a sixteenth of it (--quick). */
uint64_t row_scaled(const struct bench *b, uint64_t bytes);
/* A guest of one processor that runs, with @bytes to touch; or NULL, and the cell says why. */
struct bench_guest *row_guest(struct bench *b, uint64_t bytes, enum bench_pages pages);
/* Of @vps processors. */
struct bench_guest *row_guest_of(struct bench *b, uint64_t bytes, enum bench_pages pages, unsigned int vps);
/* What huge pages there are from now on: "4k", "64k", "2m". Returns 0, or -1: this kernel has no such pages. */
int row_backing(const char *backing);
/* Linux has reclaimed all but one in a hundred pages of a range. Returns 0 or -1 with errno. */
int row_all_out(uint8_t *memory, uint64_t bytes);

/* M3, M8, M9, M13: footprint.c. */
void row_densities(struct bench *b);
void row_large(struct bench *b);
void row_overhead(struct bench *b);
void row_tracking(struct bench *b);
/* M4, M11: instructions.c. */
void row_instructions(struct bench *b);
void row_parallel(struct bench *b);
/* M5, M6: ageing.c. */
void row_ageing(struct bench *b);
void row_limits(struct bench *b);

#endif
