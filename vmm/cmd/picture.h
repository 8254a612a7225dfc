/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A region's pages as a picture of letters: each stands for as many pages, a power of two, and is what most of those that
 * are there are; only where nothing is there it is a dot.
 */
#ifndef MSHV_CMD_PICTURE_H
#define MSHV_CMD_PICTURE_H

#include <stdint.h>
#include <stdio.h>

#include "pages.h"

#define PICTURE_COLUMNS	64u

struct picture {
	uint64_t pages, per_cell, cells;
	uint64_t (*cell)[PAGE_STATES];
	uint64_t total[PAGE_STATES];
};

/* For @pages pages, in @rows lines at most (1 or more). -1: no memory. */
int picture_init(struct picture *p, uint64_t pages, unsigned int rows);
void picture_free(struct picture *p);
/* Pages [@first, @first + @count) of the region are in @state: an argument of pages_walk(). */
void picture_add(void *p, uint64_t first, uint64_t count, enum page_state state);
char picture_letter(const struct picture *p, uint64_t cell);
/* The lines, each with the address of its first page; @address is the region's. */
void picture_print(FILE *to, const struct picture *p, uint64_t address);
/* What the letters mean, and how much there is of each. */
void picture_print_legend(FILE *to, const struct picture *p);

#endif
