// SPDX-License-Identifier: GPL-2.0-only
/* The I/O APIC: registers, edges, levels, masks, remote IRR and the end of an interrupt. */
#include "devices/ioapic.h"
#include "vmm.h"

#define MASKED		(1u << 16)
#define LEVEL		(1u << 15)
#define REMOTE_IRR	(1u << 14)

static struct ioapic io;
static struct ioapic_message last;
static unsigned int sent;
static int refuse;

static int on_deliver(void *arg, const struct ioapic_message *message)
{
	(void)arg;
	last = *message;
	sent++;
	return refuse;
}

static int setup(void **state)
{
	(void)state;
	sent = 0;
	refuse = 0;
	memset(&last, 0, sizeof(last));
	ioapic_init(&io, on_deliver, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ioapic_destroy(&io);
	return 0;
}

static uint32_t get(unsigned int reg)
{
	vmm_write(ioapic_access, &io, 0, 4, reg);
	return (uint32_t)vmm_read(ioapic_access, &io, 0x10, 4);
}

static void set(unsigned int reg, uint32_t value)
{
	vmm_write(ioapic_access, &io, 0, 4, reg);
	vmm_write(ioapic_access, &io, 0x10, 4, value);
}

static void set_pin(unsigned int pin, uint32_t low, uint32_t high)
{
	set(0x11 + 2 * pin, high);
	set(0x10 + 2 * pin, low);
}

static uint32_t low(unsigned int pin)
{
	return get(0x10 + 2 * pin);
}

static void registers(void **state)
{
	(void)state;
	assert_int_equal(get(1), 0x00170020);
	set(1, 0);
	assert_int_equal(get(1), 0x00170020);
	set(0, 0x05ffffff);
	assert_int_equal(get(0), 0x05000000);
	assert_int_equal(get(2), 0x05000000);
	assert_int_equal(vmm_read(ioapic_access, &io, 0, 4), 2);
	for (unsigned int pin = 0; pin < 24; pin++)
		assert_int_equal(low(pin), MASKED);
	/* Status and remote IRR are read only; reserved bits stay 0. */
	set_pin(23, ~0u & ~LEVEL, ~0u);
	assert_int_equal(low(23), 0x12fff);
	assert_int_equal(get(0x3f), 0xff000000);
	set_pin(23, ~0u, 0);
	assert_int_equal(low(23), 0x1afff);
	/* Behind the last pin is nothing. */
	set(0x40, ~0u);
	assert_int_equal(get(0x40), 0);
	assert_int_equal(get(0xff), 0);
	assert_int_equal(vmm_read(ioapic_access, &io, 0x20, 4), 0);
	ioapic_set_line(&io, 24, true);
	ioapic_set_line(&io, ~0u, true);
	assert_int_equal(sent, 0);
}

static void edges(void **state)
{
	(void)state;
	/* Fixed, logical, vector 0x31, to 0x0f. */
	set_pin(4, 0x831, 0x0f000000);
	ioapic_set_line(&io, 4, true);
	assert_int_equal(sent, 1);
	assert_int_equal(last.vector, 0x31);
	assert_int_equal(last.mode, 0);
	assert_int_equal(last.dest, 0x0f);
	assert_true(last.logical);
	assert_false(last.level);
	assert_int_equal(low(4), 0x831);
	ioapic_set_line(&io, 4, true);
	assert_int_equal(sent, 1);
	ioapic_set_line(&io, 4, false);
	assert_int_equal(sent, 1);
	ioapic_eoi(&io, 0x31);
	assert_int_equal(sent, 1);
	set_pin(4, 0x131, 0x02000000);
	ioapic_set_line(&io, 4, true);
	assert_int_equal(sent, 2);
	assert_int_equal(last.mode, 1);
	assert_int_equal(last.dest, 2);
	assert_false(last.logical);
	/* A masked edge is lost. */
	ioapic_set_line(&io, 4, false);
	set_pin(4, 0x31 | MASKED, 0);
	ioapic_set_line(&io, 4, true);
	set_pin(4, 0x31, 0);
	assert_int_equal(sent, 2);
	ioapic_set_line(&io, 4, false);
	ioapic_set_line(&io, 4, true);
	assert_int_equal(sent, 3);
}

static void levels(void **state)
{
	(void)state;
	set_pin(9, 0x51 | LEVEL, 0x01000000);
	ioapic_set_line(&io, 9, true);
	assert_int_equal(sent, 1);
	assert_true(last.level);
	assert_int_equal(low(9), 0x51 | LEVEL | REMOTE_IRR);
	/* Once until its end. */
	ioapic_set_line(&io, 9, false);
	ioapic_set_line(&io, 9, true);
	assert_int_equal(sent, 1);
	ioapic_eoi(&io, 0x52);
	assert_int_equal(sent, 1);
	ioapic_eoi(&io, 0x51);
	assert_int_equal(sent, 2);
	assert_int_equal(low(9), 0x51 | LEVEL | REMOTE_IRR);
	ioapic_set_line(&io, 9, false);
	ioapic_eoi(&io, 0x51);
	assert_int_equal(sent, 2);
	assert_int_equal(low(9), 0x51 | LEVEL);
	/* The register does the same as the message. */
	ioapic_set_line(&io, 9, true);
	assert_int_equal(sent, 3);
	vmm_write(ioapic_access, &io, 0x40, 4, 0x51);
	assert_int_equal(sent, 4);
}

static void masked_levels(void **state)
{
	(void)state;
	set_pin(9, 0x51 | LEVEL | MASKED, 0);
	ioapic_set_line(&io, 9, true);
	assert_int_equal(sent, 0);
	set_pin(9, 0x51 | LEVEL, 0);
	assert_int_equal(sent, 1);
	/* Masked before its end: the next one when it is unmasked. */
	set_pin(9, 0x51 | LEVEL | MASKED, 0);
	assert_int_equal(low(9), 0x51 | LEVEL | MASKED | REMOTE_IRR);
	ioapic_eoi(&io, 0x51);
	assert_int_equal(sent, 1);
	set_pin(9, 0x51 | LEVEL, 0);
	assert_int_equal(sent, 2);
	/* As Linux makes an I/O APIC without EOI register forget: edge, masked, and back. */
	set_pin(9, 0x51 | MASKED, 0);
	assert_int_equal(low(9), 0x51 | MASKED);
	ioapic_set_line(&io, 9, false);
	set_pin(9, 0x51 | LEVEL, 0);
	assert_int_equal(low(9), 0x51 | LEVEL);
}

static void two_pins_of_one_vector(void **state)
{
	(void)state;
	set_pin(16, 0x61 | LEVEL, 0);
	set_pin(17, 0x61 | LEVEL, 0);
	ioapic_set_line(&io, 16, true);
	ioapic_set_line(&io, 17, true);
	assert_int_equal(sent, 2);
	ioapic_eoi(&io, 0x61);
	assert_int_equal(sent, 4);
}

static void what_nobody_takes_can_come_again(void **state)
{
	(void)state;
	refuse = -1;
	set_pin(9, 0x51 | LEVEL, 0);
	ioapic_set_line(&io, 9, true);
	assert_int_equal(sent, 1);
	assert_int_equal(low(9), 0x51 | LEVEL);
	refuse = 0;
	set(0x10 + 2 * 9, 0x52 | LEVEL);
	assert_int_equal(last.vector, 0x52);
	assert_int_equal(low(9), 0x52 | LEVEL | REMOTE_IRR);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(registers),
		TEST(edges),
		TEST(levels),
		TEST(masked_levels),
		TEST(two_pins_of_one_vector),
		TEST(what_nobody_takes_can_come_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
