/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The demonstration: what movable guest memory means, one claim a row.
 *
 * A row does something to a guest's memory while the guest works on it, collects counts,
 * and checks what must hold. `mshv demo` shows them as a table; as tests each row stands
 * alone and every check is a result (tests/vm/test_demo.c).
 */
#ifndef DEMO_H
#define DEMO_H

#include <stdio.h>

#include "session.h"

#define DEMO_VPS		2u
#define DEMO_CHECKS_MAX		24
#define DEMO_CGROUP		"mshv-demo"

struct demo {
	uint64_t memory_size;		/* of the guest; at least touch_size + 16 MiB */
	uint64_t touch_size;		/* of that, what it works on; a multiple of 8 MiB */
	FILE *progress;			/* a line at each step; NULL: none */
	double started;			/* what progress counts from; set by demo_begin() */
	struct mshv_session *session;	/* the guest of rows 1 to 6 */
	bool booted;
	bool stamped;
	uint64_t version[DEMO_VPS];	/* of the stamps each processor keeps */
};

struct demo_check {
	bool holds;
	char text[160];
};

struct demo_report {
	char counts[256];		/* for the table */
	char skipped[96];		/* not empty: why the row cannot run here */
	char unproven[160];		/* not empty: what only the bundled hypervisor tells */
	unsigned int checks;
	struct demo_check check[DEMO_CHECKS_MAX];
};

struct demo_row {
	const char *name;		/* one word */
	const char *title;
	void (*run)(struct demo *demo, struct demo_report *report);
};

#define DEMO_ROWS	13
extern const struct demo_row demo_rows[DEMO_ROWS];

/* To be called before the first row and after the last; they set and restore switches (undo.h). */
void demo_begin(struct demo *demo);
void demo_finish(struct demo *demo);

/* Whether every check of the row holds (and it was not skipped). */
bool demo_holds(const struct demo_report *report);

/* Ends the guest of rows 1 to 6. */
void demo_end(struct demo *demo);

/* ---- for the rows ---- */

void demo_progress(struct demo *demo, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Records a check; returns @holds. */
bool demo_check(struct demo_report *report, bool holds, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Records a call that failed, with mshv_error(); returns false. */
bool demo_failed(struct demo_report *report, const char *what);
void demo_counts(struct demo_report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void demo_skip(struct demo_report *report, const char *why);
/* Something that the row claims and that nobody can show here. */
void demo_unproven(struct demo_report *report, const char *what);

/* The hypervisor is the bundled one, and the driver passes its debug calls on. */
bool demo_hypervisor_tells(void);

/* What the driver counted for a guest. */
struct demo_seen {
	uint64_t faults;
	uint64_t map_calls;
	uint64_t calls;			/* map, blank, unmap */
	uint64_t small, large;		/* pages mapped by faults */
};

/* False: recorded in the report. */
bool demo_look(struct demo *demo, struct demo_report *report, struct demo_seen *seen);

/* The part of guest memory that the guest works on. */
uint8_t *demo_range(struct demo *demo);
#define DEMO_FIRST_GPA	(16ull << 20)

/* Opens, boots, stamps the guest as far as not done yet. False: recorded in the report. */
bool demo_need_guest(struct demo *demo, struct demo_report *report, unsigned int flags);
bool demo_need_boot(struct demo *demo, struct demo_report *report);
bool demo_need_stamps(struct demo *demo, struct demo_report *report);

/*
 * Both processors rewrite and check the pages [@first, @first + @pages) of the range, until
 * demo_stop(), which checks that no stamp was wrong; @rounds and pages count what they did.
 */
bool demo_start(struct demo *demo, struct demo_report *report, uint64_t first,
		uint64_t pages);
bool demo_stop(struct demo *demo, struct demo_report *report, uint64_t *pages);
/* Both processors check every stamp of the range once, in an order at random. */
bool demo_verify(struct demo *demo, struct demo_report *report, const char *when);

/* Sum of a counter of the bundled hypervisor over all of the parent's processors, children gone included; 0 of another. */
uint64_t demo_total(unsigned int counter);

void demo_row_linux(struct demo *demo, struct demo_report *report);
void demo_row_thp(struct demo *demo, struct demo_report *report);
void demo_row_ksm(struct demo *demo, struct demo_report *report);
void demo_row_overcommit(struct demo *demo, struct demo_report *report);
void demo_row_kill(struct demo *demo, struct demo_report *report);
void demo_row_pinned(struct demo *demo, struct demo_report *report);
void demo_row_passthrough(struct demo *demo, struct demo_report *report);
void demo_row_create(struct demo *demo, struct demo_report *report);
void demo_row_touch(struct demo *demo, struct demo_report *report);
void demo_row_migrate(struct demo *demo, struct demo_report *report);
void demo_row_compact(struct demo *demo, struct demo_report *report);
void demo_row_swap(struct demo *demo, struct demo_report *report);
void demo_row_copy(struct demo *demo, struct demo_report *report);

#endif
