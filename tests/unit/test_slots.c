// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slots in pages of a pool: each is one's own and zeroed, all are visited, and the pool gets back
 * what it gave.
 */
#include <hypervisor/core/slots.h>
#include "unit.h"

#define BYTES	200u
#define EACH	20u		/* that fit a page */
#define PAGES	3u

static struct slots slots;
static struct pool *pool;
static void *all[EACH * PAGES];

static int setup(void **state)
{
	void *left;

	(void)state;
	while ((left = slots_next(&slots, NULL)))
		slots_put(&slots, left, pool);
	mock_reset();
	pool = &partition_find(mock_child(2 + PAGES))->pool;
	return 0;
}

static void *get(void)
{
	return slots_get(&slots, BYTES, pool, &mock_cpus[0]);
}

static unsigned int visited(void)
{
	unsigned int n = 0;

	for (void *s = slots_next(&slots, NULL); s; s = slots_next(&slots, s))
		n++;
	return n;
}

static void take_all(void)
{
	for (unsigned int i = 0; i < EACH * PAGES; i++) {
		const uint8_t *bytes;

		all[i] = get();
		assert_non_null(all[i]);
		bytes = all[i];
		for (unsigned int k = 0; k < BYTES; k++)
			assert_int_equal(bytes[k], 0);
		memset(all[i], (int)i + 1, BYTES);
	}
}

static void each_is_its_own(void **state)
{
	(void)state;
	assert_int_equal(visited(), 0);
	take_all();
	assert_int_equal(pool->free, 0);
	assert_null(get());
	assert_int_equal(visited(), EACH * PAGES);
	for (unsigned int i = 0; i < EACH * PAGES; i++)
		for (unsigned int k = 0; k < BYTES; k++)
			assert_int_equal(((uint8_t *)all[i])[k], i + 1);
}

static void the_pool_gets_its_pages_back(void **state)
{
	unsigned int left = EACH * PAGES;

	(void)state;
	take_all();
	/* The one in the middle of a page is taken again. */
	slots_put(&slots, all[EACH + 3], pool);
	assert_int_equal(visited(), left - 1);
	assert_ptr_equal(get(), all[EACH + 3]);
	/* Every third first, so that no page empties before its time. */
	for (unsigned int first = 0; first < 3; first++)
		for (unsigned int i = first; i < EACH * PAGES; i += 3) {
			slots_put(&slots, all[i], pool);
			assert_int_equal(visited(), --left);
		}
	assert_int_equal(pool->free, PAGES);
	assert_int_equal(slots.first, 0);
}

static void one_visited_may_go(void **state)
{
	void *next;

	(void)state;
	take_all();
	for (void *s = slots_next(&slots, NULL); s; s = next) {
		next = slots_next(&slots, s);
		slots_put(&slots, s, pool);
	}
	assert_int_equal(pool->free, PAGES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_is_its_own, setup),
		cmocka_unit_test_setup(the_pool_gets_its_pages_back, setup),
		cmocka_unit_test_setup(one_visited_may_go, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
