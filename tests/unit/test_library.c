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
/* The instruction in the message; NULL: none. */
static const uint8_t *instruction;
static unsigned int instruction_length;

static void put_message(void *to)
{
	struct hvabi_message message = { .header.message_type = HVABI_MSG_UNMAPPED_GPA };
	struct hvabi_x64_memory_intercept_message *m = (void *)message.payload;

	m->header.intercept_access_type = HVABI_INTERCEPT_ACCESS_WRITE;
	m->header.execution_state = HVABI_EXECUTION_STATE_CR0_PE | HVABI_EXECUTION_STATE_EFER_LMA;
	m->header.cs_segment.attributes = HVABI_SEGMENT_LONG;
	m->guest_physical_address = GPA;
	if (instruction) {
		m->instruction_byte_count = (uint8_t)instruction_length;
		memcpy(m->instruction_bytes, instruction, instruction_length);
	}
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
	instruction = NULL;
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

/* A device of one register; the page of registers (@regs) is the processor, whose RDI is where the guest has it. */
static struct {
	uint64_t value, gpa;
	unsigned int reads, writes;
	int ret;
} device;
static struct hvabi_vp_register_page regs;

static int on_mmio(struct mshv_vcpu *v, void *arg, uint64_t gpa, unsigned int size, bool write, uint64_t *value)
{
	assert_ptr_equal(v, vcpu);
	assert_ptr_equal(arg, &device);
	assert_int_equal(size, 4);
	device.gpa = gpa;
	if (write) {
		device.writes++;
		device.value = *value;
	} else {
		device.reads++;
		*value = device.value;
	}
	return device.ret;
}

static int nobody(struct mshv_vcpu *v, void *arg, const struct hvabi_x64_memory_intercept_message *m, int error)
{
	(void)v, (void)arg, (void)m, (void)error;
	handled++;
	return -ENOENT;
}

static int loop_with(const struct mshv_handlers *h, const uint8_t *bytes, unsigned int length)
{
	int ret;

	memset(&regs, 0, sizeof(regs));
	regs.isvalid = 1;
	regs.rflags = 2;
	regs.rip = 0x401000;
	regs.gp_registers[3] = 0x1111111122222222;
	device.reads = device.writes = 0;
	runs = handled = 0;
	instruction = bytes;
	instruction_length = length;
	vcpu->page = &regs;
	ret = mshv_vcpu_loop(vcpu, h, &device);
	vcpu->page = NULL;
	return ret;
}

/* The loop does the instruction: the program is asked for the access, and registers, flags and RIP are those behind it. */
static void accesses_to_devices_are_completed(void **state)
{
	static const uint8_t xchg[] = { 0x87, 0x1f };			/* xchg [rdi], ebx */
	static const uint8_t and[] = { 0x81, 0x27, 0, 0, 0, 0 };	/* and dword [rdi], 0 */
	static const uint8_t movs[] = { 0xa5 };
	struct mshv_handlers h = { .size = sizeof(h), .mmio = on_mmio };

	(void)state;
	device.ret = 0;
	device.value = 0x12345678;
	ANSWERS({ 0, true }, { EIO, false });
	assert_int_equal(loop_with(&h, xchg, sizeof(xchg)), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(device.reads, 1);
	assert_int_equal(device.writes, 1);
	assert_true(device.gpa == GPA);
	assert_int_equal(device.value, 0x22222222);
	assert_int_equal(regs.gp_registers[3], 0x12345678);
	assert_int_equal(regs.rip, 0x401002);
	assert_int_equal(regs.dirty, HVABI_REGISTER_PAGE_DIRTY_GENERAL | HVABI_REGISTER_PAGE_DIRTY_IP |
				     HVABI_REGISTER_PAGE_DIRTY_FLAGS);
	/* Who has a handler for memory is asked first. */
	h.memory = nobody;
	assert_int_equal(loop_with(&h, and, sizeof(and)), -1);
	assert_int_equal(handled, 1);
	assert_int_equal(device.value, 0);
	assert_int_equal(regs.rip, 0x401006);
	assert_int_equal(regs.rflags, 2 | 1 << 2 | 1 << 6);
	/* What a device leaves the loop with is done. */
	device.ret = 7;
	assert_int_equal(loop_with(&h, xchg, sizeof(xchg)), 7);
	assert_int_equal(runs, 1);
	assert_int_equal(regs.rip, 0x401002);
	device.ret = 0;
	/* Nothing is done of what is not understood. */
	assert_int_equal(loop_with(&h, movs, sizeof(movs)), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	assert_non_null(strstr(mshv_error(), "no instruction that can be done for a device: a5"));
	assert_int_equal(device.reads + device.writes, 0);
	assert_int_equal(regs.rip, 0x401000);
}

static void where_no_device_is(void **state)
{
	static const uint8_t xchg[] = { 0x87, 0x1f };
	struct mshv_handlers h = { .size = sizeof(h), .mmio = on_mmio };

	(void)state;
	ANSWERS({ 0, true }, { EIO, false });
	device.ret = -ENOENT;
	assert_int_equal(loop_with(&h, xchg, sizeof(xchg)), -1);
	assert_int_equal(errno, EFAULT);
	assert_non_null(strstr(mshv_error(), "write of 0xd0000000 at rip 0x0: no memory there"));
	assert_int_equal(regs.rip, 0x401000);
	assert_int_equal(regs.dirty, 0);
	assert_int_equal(device.reads, 1);
	/* Memory that could not be had is no device. */
	ANSWERS({ ENOMEM, true }, { EIO, false });
	assert_int_equal(loop_with(&h, xchg, sizeof(xchg)), -1);
	assert_int_equal(errno, ENOMEM);
	assert_int_equal(device.reads + device.writes, 0);
	/* A program that was compiled before there was such a handler: what stands behind its structure is none. */
	ANSWERS({ 0, true }, { EIO, false });
	h.size = offsetof(struct mshv_handlers, mmio);
	assert_int_equal(loop_with(&h, xchg, sizeof(xchg)), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(device.reads + device.writes, 0);
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
		TEST(accesses_to_devices_are_completed),
		TEST(where_no_device_is),
		TEST(errors_of_errors),
		TEST(numbers_that_do_not_fit),
		TEST(unknown_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
