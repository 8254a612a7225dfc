/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where Linux has the pages of a guest: /proc/PID/pagemap of the VMM, of the addresses of a region. The guest never has
 * more than that (law 1 of the driver), and has what of it it has touched.
 *
 * What cannot be seen from there: pages of shared memory that are in swap (absent in the page table), and before Linux 6.7
 * which pages are mapped large (small then).
 */
#ifndef MSHV_CMD_PAGES_H
#define MSHV_CMD_PAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum page_state {
	PAGE_ABSENT,	/* never touched, or dropped */
	PAGE_SMALL,	/* this process alone has it */
	PAGE_LARGE,	/* the same, by an entry of 2 MiB or more */
	PAGE_SWAPPED,	/* in swap, or being moved */
	PAGE_SHARED,	/* somebody else has it as well: merged, zero, or of a file */
	PAGE_STATES
};

/* Their names, as in --json. */
extern const char *const page_state_names[PAGE_STATES];

/*
 * Calls @each for runs of pages of equal state, in order and without gaps, of [@address, @address + @pages * 4096) in the
 * process. *@large_known: whether Linux tells which are large. -1 with errno: the process is gone, or is somebody else's.
 */
int pages_walk(pid_t pid, uint64_t address, uint64_t pages,
	       void (*each)(void *arg, uint64_t first, uint64_t count, enum page_state state), void *arg,
	       bool *large_known);

#endif
