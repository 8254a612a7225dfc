// SPDX-License-Identifier: GPL-2.0-only
/* A region's pages as letters, see picture.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "picture.h"

#define PAGE_KIB	4u

static const char letters[PAGE_STATES] = {
	[PAGE_ABSENT] = '.', [PAGE_SMALL] = '-', [PAGE_LARGE] = '#', [PAGE_SWAPPED] = '~', [PAGE_SHARED] = '=',
};

int picture_init(struct picture *p, uint64_t pages, unsigned int rows)
{
	uint64_t most = (uint64_t)rows * PICTURE_COLUMNS;

	memset(p, 0, sizeof(*p));
	p->pages = pages;
	p->per_cell = 1;
	while ((pages + p->per_cell - 1) / p->per_cell > most)
		p->per_cell *= 2;
	p->cells = (pages + p->per_cell - 1) / p->per_cell;
	p->cell = calloc(p->cells + 1, sizeof(*p->cell));
	return p->cell ? 0 : -1;
}

void picture_free(struct picture *p)
{
	free(p->cell);
	p->cell = NULL;
}

void picture_add(void *arg, uint64_t first, uint64_t count, enum page_state state)
{
	struct picture *p = arg;

	p->total[state] += count;
	while (count) {
		uint64_t left = p->per_cell - first % p->per_cell, n = count < left ? count : left;

		p->cell[first / p->per_cell][state] += n;
		first += n;
		count -= n;
	}
}

char picture_letter(const struct picture *p, uint64_t cell)
{
	enum page_state most = PAGE_ABSENT, state;

	for (state = PAGE_ABSENT + 1; state < PAGE_STATES; state++)
		if (p->cell[cell][state] && (most == PAGE_ABSENT || p->cell[cell][state] > p->cell[cell][most]))
			most = state;
	return letters[most];
}

void picture_print(FILE *to, const struct picture *p, uint64_t address)
{
	for (uint64_t cell = 0; cell < p->cells; cell++) {
		if (cell % PICTURE_COLUMNS == 0)
			fprintf(to, "  0x%012" PRIx64 "  ", address + cell * p->per_cell * PAGE_KIB * 1024);
		fputc(picture_letter(p, cell), to);
		if (cell % PICTURE_COLUMNS == PICTURE_COLUMNS - 1 || cell == p->cells - 1)
			fputc('\n', to);
	}
}

void picture_print_legend(FILE *to, const struct picture *p)
{
	fprintf(to, "  a letter is %" PRIu64 " KiB;", p->per_cell * PAGE_KIB);
	for (enum page_state state = PAGE_ABSENT; state < PAGE_STATES; state++)
		fprintf(to, "%s %c %s %" PRIu64, state ? "," : "", letters[state], page_state_names[state],
			p->total[state] * PAGE_KIB);
	fprintf(to, " KiB\n");
}
