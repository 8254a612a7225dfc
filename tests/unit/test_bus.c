// SPDX-License-Identifier: GPL-2.0-only
/* The bus: who answers where. */
#include <errno.h>

#include "devices/bus.h"
#include "vmm.h"

struct device {
	uint64_t offset, value;
	unsigned int size, calls;
	bool write;
	int ret;
};

static int on_access(void *arg, uint64_t offset, unsigned int size, bool write, uint64_t *value)
{
	struct device *d = arg;

	d->offset = offset;
	d->size = size;
	d->write = write;
	d->calls++;
	if (write)
		d->value = *value;
	else
		*value = d->value;
	return d->ret;
}

static void accesses_go_where_they_belong(void **state)
{
	struct bus bus = { .count = 0 };
	struct device a = { .value = 0x1122334455667788 }, b = { .ret = 7 };
	uint64_t value = 0;

	(void)state;
	assert_int_equal(bus_add(&bus, 0x100, 8, on_access, &a), 0);
	assert_int_equal(bus_add(&bus, 0x108, 8, on_access, &b), 0);
	assert_int_equal(bus_access(&bus, 0x104, 2, false, &value), 0);
	assert_int_equal(value, 0x7788);
	assert_int_equal(a.offset, 4);
	assert_int_equal(a.size, 2);
	assert_false(a.write);
	value = 0xaabbccddeeff;
	assert_int_equal(bus_access(&bus, 0x10c, 4, true, &value), 7);
	assert_int_equal(b.value, 0xccddeeff);
	assert_true(bus_has(&bus, 0x100, 8));
	assert_false(bus_has(&bus, 0xff, 1));
}

static void nobody_there_reads_as_ones(void **state)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	static const uint64_t ones[] = { 0xff, 0xffff, 0xffffffff, UINT64_MAX };
	struct bus bus = { .count = 0 };
	struct device a = { .value = 0 };

	(void)state;
	assert_int_equal(bus_add(&bus, 0x100, 4, on_access, &a), 0);
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t value = 0x1234;

		assert_int_equal(bus_access(&bus, 0x200, sizes[i], false, &value), 0);
		assert_int_equal(value, ones[i]);
		assert_int_equal(bus_access(&bus, 0x200, sizes[i], true, &value), 0);
		/* Partly the device's is nobody's. */
		assert_int_equal(bus_access(&bus, 0x104 - sizes[i] / 2, sizes[i], true, &value), 0);
		assert_int_equal(bus_access(&bus, 0xff, sizes[i], true, &value), 0);
		assert_int_equal(bus_access(&bus, UINT64_MAX, sizes[i], true, &value), 0);
	}
	assert_int_equal(a.calls, 0);
}

static void ranges_do_not_overlap(void **state)
{
	struct bus bus = { .count = 0 };
	unsigned int i;

	(void)state;
	assert_int_equal(bus_add(&bus, 0x100, 0x10, on_access, NULL), 0);
	assert_int_equal(bus_add(&bus, 0x10f, 1, on_access, NULL), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(bus_add(&bus, 0xf0, 0x11, on_access, NULL), -1);
	assert_int_equal(bus_add(&bus, 0, 0x1000, on_access, NULL), -1);
	assert_int_equal(bus_add(&bus, 0x200, 0, on_access, NULL), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(bus_add(&bus, UINT64_MAX, 2, on_access, NULL), -1);
	assert_int_equal(bus_add(&bus, UINT64_MAX, 1, on_access, NULL), 0);
	for (i = 2; i < BUS_DEVICES_MAX; i++)
		assert_int_equal(bus_add(&bus, 0x1000ull * i, 0x1000, on_access, NULL), 0);
	assert_int_equal(bus_add(&bus, 0x1000ull * i, 0x1000, on_access, NULL), -1);
	assert_int_equal(errno, ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accesses_go_where_they_belong),
		cmocka_unit_test(nobody_there_reads_as_ones),
		cmocka_unit_test(ranges_do_not_overlap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
