// SPDX-License-Identifier: GPL-2.0-only
/* A console, from the driver's side: what is typed arrives, what is printed goes out, and drivers that lie. */
#include <fcntl.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "devices/virtio_console.h"
#include "virtio_driver.h"

#define RECEIVE		0u
#define TRANSMIT	1u
#define SIZE		(1ull << VIRTIO_CONSOLE_F_SIZE)

static struct virtio_console console;
static int out[2];

static int setup(void **state)
{
	(void)state;
	if (pipe(out))
		return -1;
	virtio_console_init(&console, out[1]);
	plug_in(&console.virtio);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtio_destroy(&console.virtio);
	close(out[0]);
	close(out[1]);
	return 0;
}

static size_t type(const char *text)
{
	return virtio_console_input(&console, (const uint8_t *)text, strlen(text));
}

static void what_it_is(void **state)
{
	(void)state;
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_ID), 3);
	assert_true(offered_features() == 1ull << VIRTIO_F_VERSION_1);
	set(VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 128);
	set(VIRTIO_MMIO_QUEUE_SEL, 2);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	assert_int_equal(get(VIRTIO_MMIO_CONFIG), 0);
}

/* A terminal has a size, and one that does not know it has none. */
static void the_size_of_a_terminal(void **state)
{
	struct winsize size = { .ws_col = 132, .ws_row = 43 };
	struct virtio_console other;
	int master, slave;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
	virtio_console_init(&other, slave);
	plug_in(&other.virtio);
	assert_true(offered_features() == (1ull << VIRTIO_F_VERSION_1 | SIZE));
	assert_int_equal(get(VIRTIO_MMIO_CONFIG), 132 | 43 << 16);
	assert_int_equal(get(VIRTIO_MMIO_CONFIG + 4), 0);
	/* The driver is told of it at the beginning, and when it changes; one that does not care is not. */
	start_driver(SIZE);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 2);
	set(VIRTIO_MMIO_INTERRUPT_ACK, 2);
	set(VIRTIO_MMIO_QUEUE_NOTIFY, RECEIVE);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	size.ws_col = 80;
	assert_int_equal(ioctl(slave, TIOCSWINSZ, &size), 0);
	pthread_mutex_lock(&other.virtio.lock);
	assert_false(virtio_console_resize(&other));
	pthread_mutex_unlock(&other.virtio.lock);
	assert_true(virtio_console_resize(&other));
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 2);
	assert_int_equal(get(VIRTIO_MMIO_CONFIG), 80 | 43 << 16);
	start_driver(0);
	virtio_console_resize(&other);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	virtio_destroy(&other.virtio);
	close(slave);
	close(master);
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	virtio_console_init(&other, slave);
	assert_true(other.virtio.features == 0);
	close(slave);
	close(master);
}

static void what_is_printed(void **state)
{
	char text[32] = "";

	(void)state;
	start_driver(0);
	memcpy(memory + DATA, "hello, world", 12);
	put(TRANSMIT, 0, DATA, 7, NEXT);
	put(TRANSMIT, 1, DATA, 0, NEXT);
	put(TRANSMIT, 2, DATA + 7, 5, 0);
	submit(TRANSMIT, 0);
	assert_int_equal(used(TRANSMIT)->idx, 1);
	assert_int_equal(used(TRANSMIT)->ring[0].len, 0);
	assert_true(line);
	assert_int_equal(read(out[0], text, sizeof(text)), 12);
	assert_string_equal(text, "hello, world");
}

static void what_is_typed(void **state)
{
	(void)state;
	/* Before there is a driver, and before it has buffers. */
	assert_int_equal(type("early"), 5);
	start_driver(0);
	assert_int_equal(type(" bird"), 5);
	assert_false(line);
	put(RECEIVE, 0, DATA, 4, WRITE | NEXT);
	put(RECEIVE, 1, DATA + 0x100, 3, WRITE);
	submit(RECEIVE, 0);
	assert_int_equal(used(RECEIVE)->idx, 1);
	assert_int_equal(used(RECEIVE)->ring[0].len, 7);
	assert_memory_equal(memory + DATA, "earl\xee", 5);
	assert_memory_equal(memory + DATA + 0x100, "y b\xee", 4);
	assert_true(line);
	submit(RECEIVE, 0);
	assert_int_equal(used(RECEIVE)->ring[1].len, 3);
	assert_memory_equal(memory + DATA, "ird", 3);
	/* A buffer that waits gets what comes, all of it at once and no more. */
	submit(RECEIVE, 0);
	submit(RECEIVE, 0);
	assert_int_equal(used(RECEIVE)->idx, 2);
	assert_int_equal(type("x"), 1);
	assert_int_equal(used(RECEIVE)->idx, 3);
	assert_int_equal(used(RECEIVE)->ring[2].len, 1);
	assert_int_equal(memory[DATA], 'x');
}

/* Nothing is lost where the queue goes round, or is full. */
static void much_that_is_typed(void **state)
{
	uint8_t bytes[3000], next = 0, expected = 0;
	size_t waiting = 0, took;
	uint32_t seed = 5;

	(void)state;
	start_driver(0);
	for (unsigned int round = 0; round < 500; round++) {
		for (unsigned int i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(next + i);
		took = virtio_console_input(&console, bytes, sizeof(bytes));
		assert_int_equal(took, waiting + sizeof(bytes) <= VIRTIO_CONSOLE_QUEUE ? sizeof(bytes) :
				       VIRTIO_CONSOLE_QUEUE - waiting);
		next = (uint8_t)(next + took);
		waiting += took;
		seed = seed * 1664525 + 1013904223;
		put(RECEIVE, 0, DATA, 1 + (seed >> 8) % 2000, WRITE | NEXT);
		put(RECEIVE, 1, DATA + 0x2000, 1 + (seed >> 20) % 2000, WRITE);
		submit(RECEIVE, 0);
		took = used(RECEIVE)->ring[round % QSIZE].len;
		assert_in_range(took, 1, waiting);
		for (unsigned int i = 0; i < took; i++) {
			uint32_t first = desc(RECEIVE)[0].len;

			assert_int_equal(memory[i < first ? DATA + i : DATA + 0x2000 + i - first], expected);
			expected++;
		}
		waiting -= took;
	}
}

static void nobody_waits_for_a_closed_output(void **state)
{
	(void)state;
	start_driver(0);
	output_close(&console.output);
	/* More than a pipe takes, and more than anybody prints at once: the same memory many times. */
	for (unsigned int i = 0; i < QSIZE; i++)
		put(TRANSMIT, i, DATA, RAM - DATA, i < QSIZE - 1 ? NEXT : 0);
	submit(TRANSMIT, 0);
	assert_int_equal(used(TRANSMIT)->idx, 1);
	assert_int_equal(console.output.fd, -1);
	submit(TRANSMIT, 0);
	assert_int_equal(used(TRANSMIT)->idx, 2);
}

/* Whoever types does not wait for a processor that waits for a reader. */
static void typing_never_waits(void **state)
{
	(void)state;
	start_driver(0);
	pthread_mutex_lock(&console.virtio.lock);
	assert_int_equal(type("x"), 0);
	pthread_mutex_unlock(&console.virtio.lock);
	assert_int_equal(type("x"), 1);
}

static void drivers_that_lie(void **state)
{
	char byte;

	(void)state;
	chains_that_are_none(TRANSMIT, 0);
	put(TRANSMIT, 0, DATA, 16, WRITE);	/* to be written to */
	submit(TRANSMIT, 0);
	is_broken(0);
	type("x");
	chains_that_are_none(RECEIVE, 0);
	put(RECEIVE, 0, DATA, 16, 0);		/* to be read */
	submit(RECEIVE, 0);
	is_broken(0);
	put(RECEIVE, 0, DATA, 0, WRITE);	/* room for nothing */
	submit(RECEIVE, 0);
	is_broken(0);
	/* Nothing was printed, and nothing that was typed is lost. */
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	assert_int_equal(read(out[0], &byte, 1), -1);
	put(RECEIVE, 0, DATA, 16, WRITE);
	submit(RECEIVE, 0);
	assert_int_equal(used(RECEIVE)->ring[0].len, 1);
	assert_int_equal(memory[DATA], 'x');
}

static void any_rings_at_all(void **state)
{
	int nowhere = open("/dev/null", O_WRONLY);
	uint32_t seed = 77;

	(void)state;
	console.output.fd = nowhere;
	console.output.piece = 4096;
	for (unsigned int round = 0; round < 1000; round++) {
		start_driver(0);
		seed = any_rings(TRANSMIT, any_rings(RECEIVE, seed));
		set(VIRTIO_MMIO_QUEUE_NOTIFY, RECEIVE);
		set(VIRTIO_MMIO_QUEUE_NOTIFY, TRANSMIT);
		type("some keys");
	}
	console.output.fd = out[1];
	close(nowhere);
	what_is_printed(state);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_it_is),
		TEST(the_size_of_a_terminal),
		TEST(what_is_printed),
		TEST(what_is_typed),
		TEST(much_that_is_typed),
		TEST(nobody_waits_for_a_closed_output),
		TEST(typing_never_waits),
		TEST(drivers_that_lie),
		TEST(any_rings_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
