// SPDX-License-Identifier: GPL-2.0-only
/* The clock of a PC: every register in both formats, updates, and that nobody sets it. */
#include "devices/rtc.h"
#include "vmm.h"

static struct rtc rtc;
static struct timespec now;

static int tell(clockid_t which, struct timespec *time)
{
	assert_int_equal(which, CLOCK_REALTIME);
	*time = now;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	rtc_init(&rtc);
	rtc.clock = tell;
	/* Wednesday, 2031-12-31 23:58:59 UTC. */
	now = (struct timespec){ .tv_sec = 1956527939 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rtc_destroy(&rtc);
	return 0;
}

static uint8_t get(uint8_t reg)
{
	vmm_write(rtc_access, &rtc, 0, 1, reg);
	return (uint8_t)vmm_read(rtc_access, &rtc, 1, 1);
}

static void set(uint8_t reg, uint8_t value)
{
	vmm_write(rtc_access, &rtc, 0, 1, reg);
	vmm_write(rtc_access, &rtc, 1, 1, value);
}

static void time_is(const char *expected)
{
	char text[64];

	snprintf(text, sizeof(text), "%x%02x-%02x-%02x %x %02x:%02x:%02x", get(0x32), get(9), get(8), get(7),
		 get(6), get(4), get(2), get(0));
	assert_string_equal(text, expected);
}

static void formats(void **state)
{
	(void)state;
	time_is("2031-12-31 4 23:58:59");
	set(0x0b, 0x06);
	time_is("141f-0c-1f 4 17:3a:3b");
	/* Twelve hours, with a bit for the afternoon. */
	set(0x0b, 0x00);
	assert_int_equal(get(4), 0x91);
	for (int hour = 0; hour < 24; hour++) {
		int shown = hour % 12 ? hour % 12 : 12;

		now.tv_sec = 1956441600 + hour * 3600;
		set(0x0b, 0x04);
		assert_int_equal(get(4), shown | (hour >= 12) << 7);
		set(0x0b, 0x00);
		assert_int_equal(get(4), shown / 10 << 4 | shown % 10 | (hour >= 12) << 7);
		set(0x0b, 0x06);
		assert_int_equal(get(4), hour);
	}
	set(0x0b, 0x02);
	now.tv_sec = 951782400;			/* a Tuesday that three of four centuries do not have */
	time_is("2000-02-29 3 00:00:00");
	now.tv_sec = 0;
	time_is("1970-01-01 5 00:00:00");
	now.tv_sec = 4102444800;
	time_is("2100-01-01 6 00:00:00");
}

static void updates(void **state)
{
	(void)state;
	assert_int_equal(get(0x0a), 0x26);
	now.tv_nsec = 997999999;
	assert_int_equal(get(0x0a), 0x26);
	now.tv_nsec = 998000000;
	assert_int_equal(get(0x0a), 0xa6);
	now.tv_nsec = 999999999;
	assert_int_equal(get(0x0a), 0xa6);
	/* None while somebody believes that he is setting it. */
	set(0x0b, 0x82);
	assert_int_equal(get(0x0a), 0x26);
	set(0x0b, 0x02);
	assert_int_equal(get(0x0a), 0xa6);
	set(0x0a, 0xff);
	now.tv_nsec = 0;
	assert_int_equal(get(0x0a), 0x7f);
}

static void nobody_sets_it(void **state)
{
	(void)state;
	set(0x0b, 0x82);
	for (unsigned int reg = 0; reg < 0x80; reg++)
		if (reg != 0x0a && reg != 0x0b)
			set((uint8_t)reg, 0x55);
	set(0x0b, 0x02);
	time_is("2031-12-31 4 23:58:59");
	assert_int_equal(get(1), 0x55);
	assert_int_equal(get(3), 0x55);
	assert_int_equal(get(5), 0x55);
	assert_int_equal(get(0x0c), 0);
	assert_int_equal(get(0x0d), 0x80);
	assert_int_equal(get(0x0e), 0);
	assert_int_equal(get(0x7f), 0);
	/* Nothing that would allow an interrupt. */
	set(0x0b, 0xff);
	assert_int_equal(get(0x0b), 0x87);
}

static void accesses(void **state)
{
	(void)state;
	/* Bit 7 is not of the register's number; both ports in one access. */
	assert_int_equal(get(0x80), 0x59);
	vmm_write(rtc_access, &rtc, 0, 2, 0x0602 << 8 | 0x0b);
	assert_int_equal(rtc.b, 0x02);
	assert_int_equal(vmm_read(rtc_access, &rtc, 0, 2), 0x020b);
	rtc_destroy(&rtc);
	rtc_init(&rtc);
	/* The real clock, within a century. */
	assert_int_equal(get(0x32), 0x20);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(formats),
		TEST(updates),
		TEST(nobody_sets_it),
		TEST(accesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
