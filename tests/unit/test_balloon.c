// SPDX-License-Identifier: GPL-2.0-only
/*
 * A balloon, from the driver's side: what is given away is empty and nothing else is, statistics are
 * asked for and come, poison is respected, and drivers that lie.
 */
#include <sys/mman.h>

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "devices/virtio_balloon.h"
#include "vmm.h"

#define PAGE	4096u
#define PAGES	256u
#define RAM	((uint64_t)PAGES * PAGE)
#define QSIZE	16u
#define QUEUES	5u
#define RINGS	0x1000u			/* a page for each queue: descriptors, available, used */
#define LIST	0x10000u
#define DATA	0x20000u
#define PIN	17u

#define STATS		(1ull << VIRTIO_BALLOON_F_STATS_VQ)
#define POISON		(1ull << VIRTIO_BALLOON_F_PAGE_POISON)
#define REPORTING	(1ull << VIRTIO_BALLOON_F_REPORTING)
#define NEXT		VRING_DESC_F_NEXT
#define WRITE		VRING_DESC_F_WRITE

static uint8_t *memory;
static struct guest_ram ram;
static struct virtio_balloon balloon;
static bool line;

static void on_interrupt(void *arg, unsigned int pin, bool level)
{
	(void)arg;
	assert_int_equal(pin, PIN);
	assert_int_not_equal(level, line);
	line = level;
}

static uint32_t get(uint64_t reg)
{
	return (uint32_t)vmm_read(virtio_access, &balloon.virtio, reg, 4);
}

static void set(uint64_t reg, uint32_t value)
{
	vmm_write(virtio_access, &balloon.virtio, reg, 4, value);
}

static struct vring_desc *desc(unsigned int queue)
{
	return (void *)(memory + RINGS + queue * PAGE);
}

static struct vring_avail *avail(unsigned int queue)
{
	return (void *)(memory + RINGS + queue * PAGE + 0x400);
}

static struct vring_used *used(unsigned int queue)
{
	return (void *)(memory + RINGS + queue * PAGE + 0x800);
}

static void start_driver(uint64_t features)
{
	set(VIRTIO_MMIO_STATUS, 0);
	memset(memory, 0xee, RAM);
	memset(memory + RINGS, 0, QUEUES * PAGE);
	set(VIRTIO_MMIO_STATUS, 3);
	features |= 1ull << VIRTIO_F_VERSION_1;
	for (unsigned int i = 0; i < 2; i++) {
		set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		set(VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * i));
	}
	set(VIRTIO_MMIO_STATUS, 11);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 11);
	for (unsigned int i = 0; i < QUEUES; i++) {
		set(VIRTIO_MMIO_QUEUE_SEL, i);
		set(VIRTIO_MMIO_QUEUE_NUM, QSIZE);
		set(VIRTIO_MMIO_QUEUE_DESC_LOW, RINGS + i * PAGE);
		set(VIRTIO_MMIO_QUEUE_AVAIL_LOW, RINGS + i * PAGE + 0x400);
		set(VIRTIO_MMIO_QUEUE_USED_LOW, RINGS + i * PAGE + 0x800);
		set(VIRTIO_MMIO_QUEUE_READY, 1);
		assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 1);
	}
	set(VIRTIO_MMIO_STATUS, 15);
}

static int setup(void **state)
{
	(void)state;
	memory = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -1;
	ram = (struct guest_ram){ .low = memory, .low_size = RAM };
	line = false;
	virtio_balloon_init(&balloon, MADV_DONTNEED);
	virtio_init(&balloon.virtio, &ram, on_interrupt, NULL, PIN);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtio_destroy(&balloon.virtio);
	return munmap(memory, RAM);
}

static void put(unsigned int queue, unsigned int i, uint64_t address, uint32_t size, uint16_t flags)
{
	desc(queue)[i] = (struct vring_desc){ .addr = address, .len = size, .flags = flags,
					      .next = (uint16_t)(i + 1) };
}

static void submit(unsigned int queue)
{
	avail(queue)->ring[avail(queue)->idx++ % QSIZE] = 0;
	set(VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

static void send_numbers(unsigned int queue, const uint32_t *numbers, unsigned int count)
{
	memcpy(memory + LIST, numbers, count * sizeof(*numbers));
	put(queue, 0, LIST, count * (uint32_t)sizeof(*numbers), 0);
	submit(queue);
}

/* Whether each page behind DATA is as it was, but for those in @gone. */
static void only_these_are_empty(const uint32_t *gone, unsigned int count)
{
	for (uint32_t page = DATA / PAGE; page < PAGES; page++) {
		bool empty = false;

		for (unsigned int i = 0; i < count; i++)
			empty |= gone[i] == page;
		for (unsigned int i = 0; i < PAGE; i++)
			assert_int_equal(memory[page * PAGE + i], empty ? 0 : 0xee);
	}
}

static void is_broken(void)
{
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	only_these_are_empty(NULL, 0);
	start_driver(STATS | REPORTING);
}

static void what_it_is(void **state)
{
	struct virtio_balloon other;

	(void)state;
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_ID), 5);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES), 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5);
	set(VIRTIO_MMIO_QUEUE_SEL, 4);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 128);
	set(VIRTIO_MMIO_QUEUE_SEL, 5);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	virtio_balloon_init(&other, -1);
	assert_false(other.virtio.features & REPORTING);
}

static void pages_go_and_come(void **state)
{
	static const uint32_t up[] = { 40, 41, 42 }, down[] = { 62, 61, 60 };
	static const uint32_t mixed[] = { 100, 50, 99, 51, 50, 255 };
	struct balloon_state now;
	uint32_t all[12];

	(void)state;
	start_driver(STATS | REPORTING);
	send_numbers(0, up, 3);
	only_these_are_empty(up, 3);
	send_numbers(0, down, 3);
	send_numbers(0, mixed, 6);
	assert_int_equal(used(0)->idx, 3);
	assert_int_equal(used(0)->ring[0].len, 0);
	memcpy(all, up, sizeof(up));
	memcpy(all + 3, down, sizeof(down));
	memcpy(all + 6, mixed, sizeof(mixed));
	only_these_are_empty(all, 12);
	/* One that comes back is there when it is touched. */
	memset(memory + 40 * PAGE, 0xee, PAGE);
	send_numbers(1, up, 1);
	assert_int_equal(used(1)->idx, 1);
	only_these_are_empty(all + 1, 11);
	virtio_balloon_get(&balloon, &now);
	assert_true(now.driver);
	assert_int_equal(now.inflated, 12 * PAGE);
	assert_int_equal(now.deflated, PAGE);
	assert_int_equal(now.failed, 0);
}

static void numbers_cut_anywhere(void **state)
{
	static const uint32_t numbers[] = { 70, 80, 90 };

	(void)state;
	start_driver(STATS);
	memcpy(memory + LIST, numbers, 5);
	memcpy(memory + LIST + 0x100, (const uint8_t *)numbers + 5, 7);
	put(0, 0, LIST, 5, NEXT);
	put(0, 1, LIST, 0, NEXT);
	put(0, 2, LIST + 0x100, 7, 0);
	submit(0);
	assert_int_equal(used(0)->idx, 1);
	only_these_are_empty(numbers, 3);
}

static void a_target_is_told(void **state)
{
	struct balloon_state now;

	(void)state;
	/* Before there is a driver nobody is told: it will look. */
	virtio_balloon_set(&balloon, 5 * PAGE);
	assert_false(line);
	start_driver(0);
	assert_int_equal(get(VIRTIO_MMIO_CONFIG), 5);
	virtio_balloon_set(&balloon, 7 * PAGE);
	assert_true(line);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 2);
	set(VIRTIO_MMIO_INTERRUPT_ACK, 2);
	set(VIRTIO_MMIO_CONFIG + 4, 6);
	/* What the driver has no business with stays. */
	set(VIRTIO_MMIO_CONFIG, 99);
	set(VIRTIO_MMIO_CONFIG + 12, 99);
	set(VIRTIO_MMIO_CONFIG + 16, 99);
	set(VIRTIO_MMIO_CONFIG + 0xefc, 99);
	vmm_write(virtio_access, &balloon.virtio, VIRTIO_MMIO_CONFIG + 4, 2, 99);
	assert_int_equal(get(VIRTIO_MMIO_CONFIG), 7);
	assert_int_equal(get(VIRTIO_MMIO_CONFIG + 4), 6);
	assert_int_equal(get(VIRTIO_MMIO_CONFIG + 12), 0);
	virtio_balloon_get(&balloon, &now);
	assert_int_equal(now.target, 7 * PAGE);
	assert_int_equal(now.actual, 6 * PAGE);
	set(VIRTIO_MMIO_STATUS, 0);
	virtio_balloon_get(&balloon, &now);
	assert_false(now.driver);
	assert_int_equal(now.target, 7 * PAGE);
	assert_int_equal(now.actual, 0);
}

static void statistics(void **state)
{
	struct virtio_balloon_stat stats[] = { { VIRTIO_BALLOON_S_MEMFREE, 1234 }, { 999, 5 },
					       { VIRTIO_BALLOON_S_MEMTOT, 5678 } };
	struct balloon_state now;

	(void)state;
	start_driver(STATS);
	virtio_balloon_get(&balloon, &now);
	assert_int_equal(now.known, 0);
	memcpy(memory + LIST, stats, sizeof(stats));
	put(2, 0, LIST, sizeof(stats), 0);
	submit(2);
	/* The buffer stays with us until somebody asks. */
	assert_int_equal(used(2)->idx, 0);
	assert_false(line);
	virtio_balloon_get(&balloon, &now);
	assert_int_equal(now.known, 1 << VIRTIO_BALLOON_S_MEMFREE | 1 << VIRTIO_BALLOON_S_MEMTOT);
	assert_int_equal(now.stat[VIRTIO_BALLOON_S_MEMFREE], 1234);
	assert_int_equal(now.stat[VIRTIO_BALLOON_S_MEMTOT], 5678);
	assert_int_equal(used(2)->idx, 1);
	assert_true(line);
	set(VIRTIO_MMIO_INTERRUPT_ACK, 1);
	/* Asked again while the driver is slow: nothing is asked twice. */
	virtio_balloon_get(&balloon, &now);
	assert_int_equal(used(2)->idx, 1);
	put(2, 0, LIST, 15, 0);			/* one and a half: one */
	submit(2);
	virtio_balloon_get(&balloon, &now);
	assert_int_equal(now.known, 1 << VIRTIO_BALLOON_S_MEMFREE);
	/* Kept, and gone with the driver. */
	submit(2);
	start_driver(STATS);
	virtio_balloon_get(&balloon, &now);
	assert_int_equal(used(2)->idx, 0);
	assert_int_equal(now.known, 0);
	/* Two at a time are none. */
	put(2, 0, LIST, 10, 0);
	submit(2);
	submit(2);
	is_broken();
}

static void reports(void **state)
{
	static const uint32_t two[] = { 50, 51, 70 };
	static const unsigned int queue[] = { 4, 3, 2 };

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		/* Linux leaves no gap for a queue of statistics that it did not get. */
		start_driver(REPORTING | (queue[i] == 2 ? 0 : STATS));
		put(queue[i], 0, 50 * PAGE, 2 * PAGE, NEXT | WRITE);
		put(queue[i], 1, 70 * PAGE - 5, PAGE + 100, NEXT | WRITE);
		put(queue[i], 2, 80 * PAGE + 1, PAGE, WRITE);
		submit(queue[i]);
		assert_int_equal(used(queue[i])->idx, 1);
		only_these_are_empty(two, 3);
	}
	assert_int_equal(balloon.reported, 9);
}

static void poison_stays(void **state)
{
	static const uint32_t one[] = { 50 };

	(void)state;
	start_driver(STATS | POISON | REPORTING);
	set(VIRTIO_MMIO_CONFIG + 12, 0xeeeeeeee);
	put(3, 0, 50 * PAGE, PAGE, WRITE);
	submit(3);
	assert_int_equal(used(3)->idx, 1);
	only_these_are_empty(NULL, 0);
	assert_int_equal(balloon.reported, 0);
	/* What is in the balloon is nobody's. */
	send_numbers(0, one, 1);
	only_these_are_empty(one, 1);
	/* Poisoned with zeros, a page may be empty. */
	start_driver(STATS | POISON | REPORTING);
	set(VIRTIO_MMIO_CONFIG + 12, 0);
	put(3, 0, 50 * PAGE, PAGE, WRITE);
	submit(3);
	only_these_are_empty(one, 1);
	/* And a driver that did not agree on poison has none. */
	start_driver(STATS | REPORTING);
	set(VIRTIO_MMIO_CONFIG + 12, 1);
	put(3, 0, 50 * PAGE, PAGE, WRITE);
	submit(3);
	only_these_are_empty(one, 1);
}

static void drivers_that_lie(void **state)
{
	static const uint32_t nowhere[] = { PAGES, 0xffffffff, 0xc0000, 0x100000 };
	static const uint32_t then_nowhere[] = { 50, PAGES };
	static const uint32_t gone[] = { 50 };

	(void)state;
	start_driver(STATS | REPORTING);
	for (unsigned int i = 0; i < 4; i++) {
		send_numbers(0, nowhere + i, 1);
		is_broken();
		send_numbers(1, nowhere + i, 1);
		is_broken();
	}
	/* What it gave away before it lied is gone. */
	send_numbers(0, then_nowhere, 2);
	assert_true(get(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	only_these_are_empty(gone, 1);
	start_driver(STATS | REPORTING);
	put(0, 0, LIST, 7, 0);			/* half a number */
	submit(0);
	is_broken();
	put(0, 0, 0, 65540, 0);			/* too many */
	submit(0);
	is_broken();
	put(3, 0, RAM - PAGE, 2 * PAGE, WRITE);	/* beyond memory */
	submit(3);
	is_broken();
	put(3, 0, UINT64_MAX - 10, PAGE, WRITE);
	submit(3);
	is_broken();
	put(3, 0, 50 * PAGE, PAGE, 0);		/* not for us to write to */
	submit(3);
	is_broken();
	/* Reports that were not agreed on. */
	start_driver(STATS);
	put(3, 0, 50 * PAGE, PAGE, WRITE);
	submit(3);
	is_broken();
	/* Nothing at all is fine. */
	put(0, 0, LIST, 0, 0);
	submit(0);
	put(3, 0, 50 * PAGE, 0, WRITE);
	submit(3);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 15);
}

/* Linux puts its statistics there before it says that it is ready. */
static void notified_early(void **state)
{
	struct virtio_balloon_stat stat = { VIRTIO_BALLOON_S_MEMFREE, 77 };
	struct balloon_state now;

	(void)state;
	start_driver(STATS);
	set(VIRTIO_MMIO_STATUS, 0);
	set(VIRTIO_MMIO_STATUS, 3);
	set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	set(VIRTIO_MMIO_DRIVER_FEATURES, STATS);
	set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	set(VIRTIO_MMIO_DRIVER_FEATURES, 1);
	set(VIRTIO_MMIO_STATUS, 11);
	set(VIRTIO_MMIO_QUEUE_SEL, 2);
	set(VIRTIO_MMIO_QUEUE_NUM, QSIZE);
	set(VIRTIO_MMIO_QUEUE_DESC_LOW, RINGS + 2 * PAGE);
	set(VIRTIO_MMIO_QUEUE_AVAIL_LOW, RINGS + 2 * PAGE + 0x400);
	set(VIRTIO_MMIO_QUEUE_USED_LOW, RINGS + 2 * PAGE + 0x800);
	set(VIRTIO_MMIO_QUEUE_READY, 1);
	memcpy(memory + LIST, &stat, sizeof(stat));
	put(2, 0, LIST, sizeof(stat), 0);
	submit(2);
	virtio_balloon_get(&balloon, &now);
	assert_int_equal(now.known, 0);
	set(VIRTIO_MMIO_STATUS, 15);
	virtio_balloon_get(&balloon, &now);
	assert_int_equal(now.stat[VIRTIO_BALLOON_S_MEMFREE], 77);
	/* Said twice, it is ready once. */
	set(VIRTIO_MMIO_STATUS, 15);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 15);
}

/* A driver that gives its own rings away finds them empty, and goes on with that. */
static void rings_in_the_balloon(void **state)
{
	uint32_t rings[QUEUES], list = LIST / PAGE;
	static const uint32_t one[] = { 50 };

	(void)state;
	for (unsigned int i = 0; i < QUEUES; i++)
		rings[i] = RINGS / PAGE + i;
	start_driver(STATS | REPORTING);
	send_numbers(0, rings, QUEUES);
	send_numbers(0, &list, 1);
	put(3, 0, RINGS, QUEUES * PAGE, WRITE);
	submit(3);
	start_driver(STATS | REPORTING);
	send_numbers(0, one, 1);
	only_these_are_empty(one, 1);
}

/* Whatever is in the rings, nothing but guest memory is touched, and the device comes back. */
static void any_rings(void **state)
{
	static const uint32_t one[] = { 50 };
	struct balloon_state now;
	uint32_t seed = 815;

	(void)state;
	for (unsigned int round = 0; round < 2000; round++) {
		start_driver(round & 1 ? STATS | REPORTING : REPORTING | POISON);
		for (unsigned int q = 0; q < QUEUES; q++) {
			for (unsigned int i = 0; i < QSIZE; i++) {
				uint32_t r = seed = seed * 1664525 + 1013904223;

				put(q, i, (r >> 4) % (RAM + 0x100), r >> 12 & 0x3ffc, r >> 28 & 3);
				if (r & 0x8)
					desc(q)[i].next = r >> 5 & 31;
				avail(q)->ring[i] = r >> 16 & 15;
			}
			avail(q)->idx = round % QSIZE;
			set(VIRTIO_MMIO_QUEUE_NOTIFY, q);
			virtio_balloon_get(&balloon, &now);
		}
	}
	start_driver(STATS | REPORTING);
	send_numbers(0, one, 1);
	only_these_are_empty(one, 1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_it_is),
		TEST(pages_go_and_come),
		TEST(numbers_cut_anywhere),
		TEST(a_target_is_told),
		TEST(statistics),
		TEST(reports),
		TEST(poison_stays),
		TEST(drivers_that_lie),
		TEST(notified_early),
		TEST(rings_in_the_balloon),
		TEST(any_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
