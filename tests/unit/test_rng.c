// SPDX-License-Identifier: GPL-2.0-only
/* A source of entropy, from the driver's side: what comes, how much, and drivers that lie. */
#include "devices/virtio_rng.h"
#include "virtio_driver.h"

static struct virtio_rng rng;

static int setup(void **state)
{
	(void)state;
	if (virtio_rng_init(&rng))
		return -1;
	plug_in(&rng.virtio);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtio_destroy(&rng.virtio);
	return 0;
}

static unsigned int unchanged(uint32_t from, uint32_t size)
{
	unsigned int count = 0;

	while (size--)
		count += memory[from++] == 0xee;
	return count;
}

static void what_it_is(void **state)
{
	(void)state;
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_ID), 4);
	assert_true(offered_features() == 1ull << VIRTIO_F_VERSION_1);
	set(VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	assert_int_equal(get(VIRTIO_MMIO_CONFIG), 0);
}

static void bytes_come(void **state)
{
	(void)state;
	start_driver(0);
	put(0, 0, DATA, 100, WRITE);
	submit(0, 0);
	assert_int_equal(used(0)->idx, 1);
	assert_int_equal(used(0)->ring[0].len, 100);
	assert_true(line);
	assert_in_range(unchanged(DATA, 100), 0, 10);
	assert_int_equal(unchanged(DATA + 100, 4096), 4096);
	/* Others each time, wherever the driver wants them. */
	put(0, 0, DATA + 0x1000, 1, WRITE | NEXT);
	put(0, 1, DATA + 0x1000, 0, WRITE | NEXT);
	put(0, 2, DATA + 0x2000, 99, WRITE);
	submit(0, 0);
	assert_int_equal(used(0)->ring[1].len, 100);
	assert_memory_not_equal(memory + DATA + 1, memory + DATA + 0x2000, 99);
	/* A large one gets a part. */
	put(0, 0, DATA, 5000, WRITE | NEXT);
	put(0, 1, DATA + 0x3000, 5000, WRITE);
	submit(0, 0);
	assert_int_equal(used(0)->ring[2].len, VIRTIO_RNG_MAX);
	assert_int_equal(unchanged(DATA + 0x3000, 5000), 5000);
}

static void drivers_that_lie(void **state)
{
	(void)state;
	chains_that_are_none(0, 0);
	put(0, 0, DATA, 16, NEXT);		/* something to read */
	put(0, 1, DATA, 16, WRITE);
	submit(0, 0);
	is_broken(0);
	put(0, 0, DATA, 0, WRITE);		/* room for nothing */
	submit(0, 0);
	is_broken(0);
}

static void any_requests(void **state)
{
	uint32_t seed = 815;

	(void)state;
	for (unsigned int round = 0; round < 2000; round++) {
		start_driver(0);
		seed = any_rings(0, seed);
		set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	}
	bytes_come(state);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_it_is),
		TEST(bytes_come),
		TEST(drivers_that_lie),
		TEST(any_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
