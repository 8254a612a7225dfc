// SPDX-License-Identifier: GPL-2.0-only
/*
 * What libmshv gives the driver and takes from it, with a driver that is only a function: ioctl() is here. What is refused
 * before the driver is asked leaves no call behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include <uapi/mshv.h>

#include "internal.h"
#include "vmm.h"

#define GPA	0xd0000000ull

static struct mshv_vm *vm;
static struct mshv_vcpu *vcpu;
/* Since the processor is there. */
static unsigned int calls, runs, handled;
/* The driver's answer to each run, in turn: 0 with a message, or an errno; with one, too, if it is a fault's. */
static const struct {
	int error;
	bool message;
} *answers;

static void put_message(void *to)
{
	struct hvabi_message message = { .header.message_type = HVABI_MSG_UNMAPPED_GPA };
	struct hvabi_x64_memory_intercept_message *m = (void *)message.payload;

	m->header.intercept_access_type = HVABI_INTERCEPT_ACCESS_WRITE;
	m->guest_physical_address = GPA;
	memcpy(to, &message, sizeof(message));
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	(void)fd;
	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	calls++;
	switch (request) {
	case MSHV_CREATE_PARTITION:
	case MSHV_CREATE_VP:
		return open("/dev/null", O_RDWR);
	case MSHV_RUN_VP_EXIT:
		if (answers[runs].message)
			put_message(arg);
		errno = answers[runs].error;
		return answers[runs++].error ? -1 : 0;
	}
	return 0;
}

static int setup(void **state)
{
	(void)state;
	setenv("MSHV_DEVICE", "/dev/null", 1);
	vm = mshv_vm_create();
	vcpu = vm ? mshv_vcpu_create(vm, 0) : NULL;
	calls = runs = handled = 0;
	return vcpu ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	mshv_vcpu_destroy(vcpu);
	mshv_vm_destroy(vm);
	return 0;
}

#define ANSWERS(...) (answers = (const void *)(const struct { int error; bool message; }[]){ __VA_ARGS__ })

static int on_memory(struct mshv_vcpu *v, void *arg, const struct hvabi_x64_memory_intercept_message *m, int error)
{
	(void)v;
	assert_int_equal(error, *(int *)arg);
	assert_true(m->guest_physical_address == GPA);
	/* Who serves a message twice does it for ever. */
	return ++handled == 5 ? 99 : 0;
}

static const struct mshv_handlers handlers = { .size = sizeof(handlers), .memory = on_memory };

/* Errors that come without a message end the loop, whatever message came before. */
static void no_message_is_delivered_twice(void **state)
{
	static const int errors[] = { EOWNERDEAD, EIO, EPERM, ENOMEM, EFAULT, EINTR };
	int none = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct hvabi_message message;

		ANSWERS({ 0, true }, { errors[i], false }, { errors[i], false });
		runs = handled = 0;
		assert_int_equal(mshv_vcpu_loop(vcpu, &handlers, &none), -1);
		assert_int_equal(errno, errors[i]);
		assert_int_equal(handled, 1);
		assert_int_equal(runs, 2);
		memset(&message, 0xff, sizeof(message));
		assert_int_equal(mshv_vcpu_run(vcpu, &message), -1);
		assert_int_equal(errno, errors[i]);
		for (size_t b = 0; b < sizeof(message); b++)
			assert_int_equal(((uint8_t *)&message)[b], 0);
	}
}

/* A fault that could not be served comes with its message, and that is delivered. */
static void a_fault_has_its_message(void **state)
{
	int error = ENOMEM;

	(void)state;
	ANSWERS({ ENOMEM, true }, { ENOMEM, true }, { EOWNERDEAD, false });
	assert_int_equal(mshv_vcpu_loop(vcpu, &handlers, &error), -1);
	assert_int_equal(errno, EOWNERDEAD);
	assert_int_equal(handled, 2);
}

static void errors_of_errors(void **state)
{
	char expected[256];

	(void)state;
	mshv_fail_because(EIO, "inner %d", 5);
	assert_int_equal(mshv_fail_because(EPERM, "outer: %s: end", mshv_error()), -1);
	assert_int_equal(errno, EPERM);
	assert_string_equal(mshv_error(), "outer: inner 5: end");
	errno = ENOENT;
	assert_int_equal(mshv_fail("again: %s", mshv_error()), -1);
	snprintf(expected, sizeof(expected), "again: outer: inner 5: end: %s", strerror(ENOENT));
	assert_string_equal(mshv_error(), expected);
	assert_int_equal(errno, ENOENT);
	/* What is too long is cut, and again. */
	for (unsigned int i = 0; i < 40; i++)
		mshv_fail_because(EIO, "0123456789%s", mshv_error());
	assert_int_equal(strlen(mshv_error()), 255);
}

/* What does not fit into the driver's fields is refused, and not cut to something else. */
static void numbers_that_do_not_fit(void **state)
{
	static uint8_t bytes[8];
	uint16_t reps = 7, status = 7;
	size_t size = sizeof(bytes);

	(void)state;
	assert_int_equal(mshv_vcpu_get_state(vcpu, 256, bytes, &size), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(size, sizeof(bytes));
	assert_int_equal(mshv_vcpu_set_state(vcpu, 0x10000, bytes, sizeof(bytes)), -1);
	assert_int_equal(errno, EINVAL);
	size = 1ull << 32;
	assert_int_equal(mshv_vcpu_get_state(vcpu, 0, bytes, &size), -1);
	assert_int_equal(errno, EINVAL);
	assert_true(size == 1ull << 32);
	assert_int_equal(mshv_hypercall(0, 1, &reps, bytes, 0x10000 + sizeof(bytes), NULL, 0, &status), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(reps, 0);
	assert_int_equal(status, 0);
	assert_int_equal(mshv_hypercall(0, 1, NULL, NULL, 0, bytes, 0x10000, NULL), -1);
	assert_int_equal(errno, EINVAL);
	assert_non_null(strstr(mshv_error(), "65536 out"));
	assert_int_equal(calls, 0);
	size = sizeof(bytes);
	assert_int_equal(mshv_vcpu_get_state(vcpu, 255, bytes, &size), 0);
	assert_int_equal(mshv_hypercall(0, 1, NULL, bytes, 8, NULL, 0, NULL), 0);
	assert_int_equal(calls, 2);
}

static void unknown_flags(void **state)
{
	static uint8_t page[MSHV_PAGE_SIZE] __attribute__((aligned(MSHV_PAGE_SIZE)));
	uint64_t gpa = 0, size = sizeof(page);

	(void)state;
#define REFUSED(call, flag)	do {				\
		assert_int_equal(call, -1);			\
		assert_int_equal(errno, EINVAL);		\
		assert_non_null(strstr(mshv_error(), flag));	\
	} while (0)
	for (unsigned int bit = 4; bit < 32; bit++) {
		char flag[32];

		snprintf(flag, sizeof(flag), "unknown flags 0x%x", 1u << bit);
		REFUSED(mshv_region_add(vm, 0, page, sizeof(page), 1u << bit | MSHV_MEMORY_PINNED), flag);
		REFUSED(mshv_region_change(vm, 0, page, sizeof(page), 1u << bit), flag);
		REFUSED(mshv_region_replace(vm, 0, page, sizeof(page), 1u << bit), flag);
		REFUSED(mshv_memory_add(vm, 0, sizeof(page), 1u << bit) ? 0 : -1, flag);
		REFUSED(mshv_prefault(vm, &gpa, &size, 1u << bit), flag);
	}
	REFUSED(mshv_prefault(vm, &gpa, &size, 4), "0x4");
	assert_int_equal(calls, 0);
	assert_int_equal(mshv_region_add(vm, 0, page, sizeof(page), MSHV_MEMORY_READ_ONLY | MSHV_MEMORY_SMALL), 0);
	assert_int_equal(calls, 1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(no_message_is_delivered_twice),
		TEST(a_fault_has_its_message),
		TEST(errors_of_errors),
		TEST(numbers_that_do_not_fit),
		TEST(unknown_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
