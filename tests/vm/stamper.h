/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest at work: two processors rewrite and check the stamps of all pages of a range, round after round, while the test does
 * something to that memory. A page that is lost, stale or foreign shows as a wrong stamp, a lost write as an old one.
 */
#ifndef TESTS_STAMPER_H
#define TESTS_STAMPER_H

#include <stdbool.h>
#include <stdint.h>

#include <session.h>

#define STAMPER_VPS	2u
#define STAMPER_GPA	(8ull << 20)	/* the range's guest address */

/* Seconds to wait for a guest: emulated machines are slow, and may be busy. */
extern unsigned int stamper_patience;

struct stamper {
	struct mshv_session *session;
	uint8_t *memory;		/* the range in this process, aligned to 2 MiB */
	uint64_t size;			/* bytes, a multiple of 2 MiB */
	uint64_t version[STAMPER_VPS];	/* of the stamps each processor keeps */
	bool working;
};

/*
 * A guest with a range of @size bytes: fresh anonymous memory until the test maps something else there, which it may at any
 * time before stamper_fill(). Returns 0, or -1 with a note of why.
 */
int stamper_open(struct stamper *s, uint64_t size, unsigned int memory_flags);
void stamper_close(struct stamper *s);

/* Writes the first stamps. */
int stamper_fill(struct stamper *s);
/* Rewrites and checks until stamper_stop(), which says whether every stamp was right, and each processor did a round. */
int stamper_start(struct stamper *s);
int stamper_stop(struct stamper *s);
/* Checks every stamp once. */
int stamper_check(struct stamper *s);

/* While it works: no processor has met a wrong stamp, and none has stopped. Says why not. */
bool stamper_well(struct stamper *s);

/* Pages read and rewritten since stamper_start(). */
uint64_t stamper_work(struct stamper *s);
/* Waits until the guest has done @pages pages more: what was done before it has met. -1: it does no more. */
int stamper_await(struct stamper *s, uint64_t pages);

/*
 * Checks stamps from the VMM's side: @page is the content of page @index of the range, as the guest left it.
 * Not while it works.
 */
bool stamper_right(const struct stamper *s, const void *page, uint64_t index);

#endif
