// SPDX-License-Identifier: GPL-2.0-only
/* mshv map: what the letters of a region's picture stand for. */
#include "cmd/picture.h"
#include "vmm.h"

static char *printed(const struct picture *p, uint64_t address)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	picture_print(to, p, address);
	fclose(to);
	return text;
}

static void letters(void **state)
{
	struct picture p;
	char *text;

	(void)state;
	assert_int_equal(picture_init(&p, 10, 1), 0);
	assert_int_equal(p.per_cell, 1);
	picture_add(&p, 0, 2, PAGE_ABSENT);
	picture_add(&p, 2, 3, PAGE_SMALL);
	picture_add(&p, 5, 1, PAGE_LARGE);
	picture_add(&p, 6, 2, PAGE_SWAPPED);
	picture_add(&p, 8, 2, PAGE_SHARED);
	text = printed(&p, 0x100000000);
	assert_string_equal(text, "  0x000100000000  ..---#~~==\n");
	free(text);
	assert_int_equal(p.total[PAGE_SMALL], 3);
	assert_int_equal(p.total[PAGE_ABSENT], 2);
	picture_free(&p);
}

/* A letter is a power of two of pages, so that lines begin at round addresses, and the lines are no more than asked for. */
static void sizes(void **state)
{
	static const struct { uint64_t pages; unsigned int rows; uint64_t per_cell, cells; } cases[] = {
		{ 1, 1, 1, 1 }, { 64, 1, 1, 64 }, { 65, 1, 2, 33 }, { 128, 1, 2, 64 }, { 129, 2, 2, 65 },
		{ 131072, 16, 128, 1024 }, { 131073, 16, 256, 513 }, { 1ull << 28, 1, 1ull << 22, 64 },
	};
	struct picture p;

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(picture_init(&p, cases[i].pages, cases[i].rows), 0);
		assert_int_equal(p.per_cell, cases[i].per_cell);
		assert_int_equal(p.cells, cases[i].cells);
		/* All of it, as one run. */
		picture_add(&p, 0, cases[i].pages, PAGE_LARGE);
		for (uint64_t c = 0; c < p.cells; c++)
			assert_int_equal(picture_letter(&p, c), '#');
		picture_free(&p);
	}
}

/* One page that is there is seen among any number that are not; of those that are there most decide. */
static void majority(void **state)
{
	struct picture p;

	(void)state;
	assert_int_equal(picture_init(&p, 4 * 512 * 64, 1), 0);
	assert_int_equal(p.per_cell, 2048);
	picture_add(&p, 0, 2047, PAGE_ABSENT);
	picture_add(&p, 2047, 1, PAGE_SWAPPED);
	/* Over the edge of two letters. */
	picture_add(&p, 2048, 1000, PAGE_ABSENT);
	picture_add(&p, 3048, 512, PAGE_LARGE);
	picture_add(&p, 3560, 536 + 100, PAGE_SMALL);
	picture_add(&p, 4196, 101, PAGE_SHARED);
	picture_add(&p, 4297, 2048 * 62 - 201, PAGE_ABSENT);
	assert_int_equal(picture_letter(&p, 0), '~');
	assert_int_equal(picture_letter(&p, 1), '-');
	assert_int_equal(picture_letter(&p, 2), '=');
	assert_int_equal(picture_letter(&p, 3), '.');
	assert_int_equal(picture_letter(&p, 63), '.');
	picture_free(&p);
}

static void lines(void **state)
{
	struct picture p;
	char *text;

	(void)state;
	assert_int_equal(picture_init(&p, 70 * 2, 2), 0);
	assert_int_equal(p.per_cell, 2);
	picture_add(&p, 0, 140, PAGE_SMALL);
	text = printed(&p, 0);
	assert_string_equal(text, "  0x000000000000  ----------------------------------------------------------------\n"
				  "  0x000000080000  ------\n");
	free(text);
	picture_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters), cmocka_unit_test(sizes), cmocka_unit_test(majority), cmocka_unit_test(lines),
	};

	return cmocka_run_group_tests_name("picture", tests, NULL, NULL);
}
