// SPDX-License-Identifier: GPL-2.0-only
/* The serial port: registers, FIFO, interrupts, and what Linux's 8250 driver finds out about it. */
#include <unistd.h>

#include "devices/serial.h"
#include "vmm.h"

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR };

static struct serial port;
static int out[2];
static bool line;
static unsigned int changes;

static void on_interrupt(void *arg, bool level)
{
	(void)arg;
	assert_int_not_equal(level, line);
	line = level;
	changes++;
}

static int setup(void **state)
{
	(void)state;
	if (pipe(out))
		return -1;
	line = false;
	changes = 0;
	serial_init(&port, out[1], on_interrupt, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	serial_destroy(&port);
	close(out[0]);
	close(out[1]);
	return 0;
}

static uint8_t get(unsigned int reg)
{
	return (uint8_t)vmm_read(serial_access, &port, reg, 1);
}

static void set(unsigned int reg, uint8_t value)
{
	vmm_write(serial_access, &port, reg, 1, value);
}

static void type(const char *text)
{
	assert_int_equal(serial_input(&port, (const uint8_t *)text, strlen(text)), strlen(text));
}

static void output_goes_out(void **state)
{
	char text[16] = "";

	(void)state;
	for (const char *c = "hello"; *c; c++) {
		assert_int_equal(get(LSR) & 0x60, 0x60);
		set(RBR, (uint8_t)*c);
	}
	assert_int_equal(read(out[0], text, sizeof(text)), 5);
	assert_string_equal(text, "hello");
	/* A line that is gone takes nothing down. */
	port.output.fd = -1;
	set(RBR, 'x');
	assert_int_equal(get(LSR) & 0x60, 0x60);
}

static void nobody_waits_for_a_closed_line(void **state)
{
	unsigned int i;

	(void)state;
	serial_close(&port);
	/* More than a pipe takes. */
	for (i = 0; i < 200000 && port.output.fd >= 0; i++)
		set(RBR, 'x');
	assert_in_range(i, 4096, 199999);
}

/* Whoever types does not wait for a processor that waits for a reader. */
static void typing_never_waits(void **state)
{
	(void)state;
	pthread_mutex_lock(&port.lock);
	assert_int_equal(serial_input(&port, (const uint8_t *)"x", 1), 0);
	pthread_mutex_unlock(&port.lock);
	type("x");
}

static void registers_keep_what_they_should(void **state)
{
	(void)state;
	set(IER, 0xff);
	assert_int_equal(get(IER), 0x0f);
	set(IER, 0);
	assert_int_equal(get(IER), 0);
	set(SCR, 0xa5);
	assert_int_equal(get(SCR), 0xa5);
	set(MCR, 0xff);
	assert_int_equal(get(MCR), 0x1f);
	set(MCR, 0);
	set(LCR, 0x83);
	set(RBR, 0x01);
	set(IER, 0x02);
	assert_int_equal(get(RBR), 0x01);
	assert_int_equal(get(IER), 0x02);
	set(LCR, 0x03);
	assert_int_equal(get(LCR), 0x03);
	assert_int_equal(get(IER), 0);
	assert_int_equal(get(RBR), 0);
	/* Read only. */
	set(LSR, 0);
	assert_int_equal(get(LSR), 0x60);
	set(MSR, 0xff);
	assert_int_equal(get(MSR) & 0xf0, 0xb0);
}

/* The questions of autoconfig() and autoconfig_16550a() in drivers/tty/serial/8250/8250_port.c. */
static void linux_finds_a_16550a(void **state)
{
	(void)state;
	set(IER, 0);
	assert_int_equal(get(IER) & 0x0f, 0);
	set(IER, 0x0f);
	assert_int_equal(get(IER) & 0x0f, 0x0f);
	set(IER, 0);
	set(MCR, 0x10 | 0x0a);
	assert_int_equal(get(MSR) & 0xf0, 0x90);
	set(MCR, 0);
	set(LCR, 0xbf);
	/* EFR of an enhanced part would be 0 here. */
	set(LCR, 0);
	set(IIR, 0x01);
	assert_int_equal(get(IIR) >> 6, 3);
	set(LCR, 0xbf);
	assert_int_not_equal(get(IIR), 0);
	set(LCR, 0);
	set(IIR, 0x01 | 0x20);
	assert_int_equal(get(IIR) >> 5 & 1, 0);
	/* XScale's UUE bit. */
	set(IER, 0x40);
	assert_int_equal(get(IER) & 0x40, 0);
	/* Its FIFO has 16 bytes: loopback counts them (size_fifo()). */
	set(IIR, 0x01 | 0x06);
	set(MCR, 0x10);
	for (unsigned int i = 0; i < 256; i++)
		set(RBR, (uint8_t)i);
	unsigned int count = 0;
	while (get(LSR) & 1 && count < 256)
		assert_int_equal(get(RBR), count++);
	assert_int_equal(count, 16);
	assert_int_equal(get(IIR) >> 6, 3);
	set(IIR, 0);
	assert_int_equal(get(IIR) >> 6, 0);
}

static void loopback_stays_inside(void **state)
{
	(void)state;
	type("typed");
	set(MCR, 0x12);
	assert_int_equal(get(LSR) & 1, 0);
	set(RBR, 'L');
	assert_int_equal(get(LSR) & 1, 1);
	assert_int_equal(get(RBR), 'L');
	close(out[1]);
	char c;
	assert_int_equal(read(out[0], &c, 1), 0);
	out[1] = dup(out[0]);
	/* Each output is one input; deltas tell of changes, of RI only of its end. */
	set(MCR, 0x10);
	get(MSR);
	set(MCR, 0x11);
	assert_int_equal(get(MSR), 0x22);
	set(MCR, 0x12);
	assert_int_equal(get(MSR), 0x13);
	set(MCR, 0x14);
	assert_int_equal(get(MSR), 0x41);
	set(MCR, 0x18);
	assert_int_equal(get(MSR), 0x8c);
	assert_int_equal(get(MSR), 0x80);
}

static void input_waits_for_rts(void **state)
{
	char text[64];

	(void)state;
	type("early");
	set(IIR, 0x07);		/* a driver that starts: FIFOs on, and cleared */
	assert_int_equal(get(LSR) & 1, 0);
	get(RBR);
	set(MCR, 0x0b);
	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(get(LSR) & 1, 1);
		text[i] = (char)get(RBR);
	}
	assert_memory_equal(text, "early", 5);
	assert_int_equal(get(LSR) & 1, 0);
	/* More than the FIFO has: the queue fills it up again, nothing is lost. */
	for (unsigned int i = 0; i < 40; i++)
		text[i] = (char)('A' + i);
	text[40] = 0;
	type(text);
	for (unsigned int i = 0; i < 40; i++)
		assert_int_equal(get(RBR), (uint8_t)text[i]);
	assert_int_equal(get(LSR), 0x60);
}

static void a_full_queue_says_so(void **state)
{
	static const uint8_t many[SERIAL_QUEUE + 100];

	(void)state;
	assert_int_equal(serial_input(&port, many, sizeof(many)), SERIAL_QUEUE);
	assert_int_equal(serial_input(&port, many, 1), 0);
	set(IIR, 0x01);
	set(MCR, 0x02);
	assert_int_equal(serial_input(&port, many, sizeof(many)), SERIAL_FIFO);
}

static void overrun(void **state)
{
	(void)state;
	set(IER, 0x04);
	set(MCR, 0x10);
	set(RBR, 'a');
	set(RBR, 'b');
	assert_int_equal(get(IIR), 0x06);
	assert_int_equal(get(LSR), 0x63);
	assert_int_equal(get(LSR), 0x61);
	assert_int_equal(get(IIR), 0x01);
	assert_int_equal(get(RBR), 'b');
	/* With a FIFO the new byte is the one that is lost. */
	set(IIR, 0x01);
	for (unsigned int i = 0; i < 17; i++)
		set(RBR, (uint8_t)i);
	assert_int_equal(get(LSR), 0x63);
	assert_int_equal(get(RBR), 0);
}

static void interrupts_have_an_order(void **state)
{
	(void)state;
	set(IIR, 0x41);		/* trigger level 4 */
	set(IER, 0x0f);
	set(MCR, 0x1e);		/* DSR goes away */
	set(RBR, 'x');
	for (unsigned int i = 0; i < 20; i++)
		set(RBR, 'x');
	/* Loopback cuts the line off; the order is seen in IIR. */
	assert_int_equal(get(IIR), 0xc6);
	get(LSR);
	assert_int_equal(get(IIR), 0xc4);
	for (unsigned int i = 0; i < 13; i++)
		get(RBR);
	assert_int_equal(get(IIR), 0xcc);
	for (unsigned int i = 0; i < 3; i++)
		get(RBR);
	assert_int_equal(get(IIR), 0xc2);
	assert_int_equal(get(IIR), 0xc0);
	get(MSR);
	assert_int_equal(get(IIR), 0xc1);
	assert_false(line);
}

static void the_line_follows(void **state)
{
	(void)state;
	set(MCR, 0x0b);
	assert_false(line);
	/* The transmitter is empty, and says so when asked. */
	set(IER, 0x02);
	assert_true(line);
	assert_int_equal(get(IIR), 0x02);
	assert_false(line);
	assert_int_equal(get(IIR), 0x01);
	set(RBR, 'a');
	assert_true(line);
	set(IER, 0);
	assert_false(line);
	get(IIR);
	set(IER, 0x01);
	changes = 0;
	type("b");
	assert_true(line);
	type("c");
	assert_int_equal(changes, 1);
	get(RBR);
	/* Without a FIFO the next byte is there at once. */
	assert_true(line);
	get(RBR);
	assert_false(line);
	/* OUT2 is the gate to the interrupt controller. */
	type("d");
	assert_true(line);
	set(MCR, 0x03);
	assert_false(line);
	set(MCR, 0x0b);
	assert_true(line);
}

static void wide_accesses_are_bytes(void **state)
{
	(void)state;
	vmm_write(serial_access, &port, LCR, 2, 0x0803);
	assert_int_equal(get(LCR), 3);
	assert_int_equal(get(MCR), 8);
	assert_int_equal(vmm_read(serial_access, &port, LCR, 4), 0xb0600803);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(output_goes_out),
		TEST(nobody_waits_for_a_closed_line),
		TEST(typing_never_waits),
		TEST(registers_keep_what_they_should),
		TEST(linux_finds_a_16550a),
		TEST(loopback_stays_inside),
		TEST(input_waits_for_rts),
		TEST(a_full_queue_says_so),
		TEST(overrun),
		TEST(interrupts_have_an_order),
		TEST(the_line_follows),
		TEST(wide_accesses_are_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
