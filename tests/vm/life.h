/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The life of a guest as a list of steps, lived again and again with one thing more refused each time.
 *
 * What must hold, wherever the refusal falls:
 *	- A step succeeds, or fails with an errno, and then succeeds when it is done again: nothing is half done.
 *	- Or the guest is dead (EOWNERDEAD): from then on no page of it is reachable, and it can be taken down.
 *	- A page that Linux took away is not reachable when the step that took it away returns.
 *	- The guest reads what it wrote, and so does the VMM.
 *	- After the end nothing is lent, locked, mapped or charged that was not before.
 * The rig reads the kernel log for the rest, and kmemleak's on a debug kernel.
 *
 * What is refused is the business of the test; life_steps.c has the steps, life.c lives them.
 */
#ifndef TESTS_LIFE_H
#define TESTS_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "ktap.h"
#include "probe.h"

#define LIFE_GPA_SMALL	(1ull << 30)
#define LIFE_GPA_HUGE	(2ull << 30)
#define LIFE_GPA_PINNED	(3ull << 30)
#define LIFE_GPA_AGAIN	(4ull << 30)
#define LIFE_SMALL	(64 * PAGE)
#define LIFE_HUGE	(2 * BLOCK)
#define LIFE_PINNED	(24 * PAGE)

#define LIFE_PAGES_MAX	64

/* What a page of a region must hold. */
enum life_content { LIFE_UNKNOWN, LIFE_ZERO, LIFE_STAMP };

/* Regions by number: 0 small pages, 1 huge pages, 2 pinned. */
struct life {
	int raw, raw_vp;		/* descriptors made by hand, or -1 */
	struct probe probe;
	uint8_t *small, *huge, *pinned;
	uint64_t gpa_small;		/* where it is now */
	bool added[3];
	enum life_content content[3][LIFE_HUGE / PAGE];
	uint64_t gone[LIFE_PAGES_MAX];	/* pages that the current step took away */
	unsigned int gone_count;
	uint64_t pages[LIFE_PAGES_MAX];	/* pages the guest has had */
	unsigned int pages_count;
	bool dead;
	bool failed;			/* a step has failed already */
};

/* The one that is being lived. */
extern struct life life;

/* What all lives have met, so that a sweep that meets nothing cannot pass. */
struct life_met {
	unsigned int lives, refused, failed, dead, swapped, moved, split, aged;
	int error;			/* of the last step that failed */
};

extern struct life_met life_met;

/*
 * Who a step needs: a guest that is dead answers EOWNERDEAD, the VMM goes on. The end of something
 * comes whatever is refused.
 */
enum life_needs { LIFE_NEEDS_NOBODY, LIFE_NEEDS_GUEST, LIFE_NEEDS_NOTHING };

/* Lists of steps end with an empty one. run() returns 0, or -1 with errno. */
struct life_step {
	const char *name;
	int (*run)(void);
	enum life_needs needs;
};

/* A partition and a processor made by hand; a guest with three regions; a guest with its memory for itself. */
extern const struct life_step life_raw[], life_movable[], life_isolated[];

/* What may be refused: something in a step, or something that the hypervisor does on its own. */
struct life_refusal {
	const char *what;
	unsigned int n;
	/* Around each step; end() sets @refused. Both or none. */
	bool (*begin)(struct life_refusal *r, const struct life_step *step);
	bool (*end)(struct life_refusal *r, const struct life_step *step);
	const struct life_step *step;	/* for the two */
	unsigned int counter;		/* hypervisor: counts refusals */
	int64_t counter_before;
	bool refused;
};

uint64_t life_stamp(unsigned int region, uint64_t page);
uint8_t *life_host(unsigned int region);
int life_close_fd(int *fd);

/* In a cgroup of its own, on one processor; sees to ktap_cleanup. */
void life_prepare(void);
/* One life that meets no refusal: what the caches keep is charged from here on, to *charged. */
enum ktap_result life_begin(const struct life_step *steps, long *charged);
enum ktap_result life_run(const struct life_step *steps, struct life_refusal *r);
/* Kernel memory that lives leave behind since life_begin(): nothing. */
enum ktap_result life_nothing_charged(long before);
/* Occurrences to refuse: the first ones each, then fewer and fewer. */
unsigned int life_next(unsigned int n);
/* A step may fail with that. */
bool life_good_errno(int error);

#endif
