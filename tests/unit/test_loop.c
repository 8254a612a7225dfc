// SPDX-License-Identifier: GPL-2.0-only
/* The run loop, with a processor that is only a few registers. */
#include <errno.h>

#include "internal.h"
#include "vmm.h"

#define PORT	0x80u
#define RIP	0x401000u
#define LENGTH	2u

static uint8_t memory[MSHV_PAGE_SIZE];
static struct mshv_vcpu vcpu;
/* The guest executes REP OUTSB or INSB: its registers. */
static struct {
	bool out;
	bool rep;
	uint64_t rip, rcx, rsi, rdi;
} guest;
static unsigned int runs, calls, leave_after;

/* ---- what the loop takes from the rest of libmshv ---- */

int mshv_hypercall(int fd, uint16_t code, uint16_t *reps, void *in, size_t in_size, void *out,
		   size_t out_size, uint16_t *status)
{
	struct hvabi_output_translate_virtual_address *answer = out;

	(void)fd, (void)reps, (void)in, (void)in_size, (void)out_size, (void)status;
	assert_int_equal(code, HVABI_CALL_TRANSLATE_VIRTUAL_ADDRESS);
	answer->result_code = HVABI_TRANSLATE_SUCCESS;
	answer->gpa_page = 1;
	return 0;
}

void *mshv_host_address(struct mshv_vm *vm, uint64_t gpa, uint64_t size)
{
	(void)vm;
	assert_in_range(gpa % MSHV_PAGE_SIZE + size, 1, MSHV_PAGE_SIZE);
	return memory + gpa % MSHV_PAGE_SIZE;
}

int mshv_set_registers(struct mshv_vcpu *v, const struct hvabi_register_assoc *regs, unsigned int count)
{
	(void)v;
	for (unsigned int i = 0; i < count; i++) {
		uint64_t value = regs[i].value.reg64;

		switch (regs[i].name) {
		case HVABI_REG_RIP:
			guest.rip = value;
			break;
		case HVABI_REG_RCX:
			guest.rcx = value;
			break;
		case HVABI_REG_RSI:
			guest.rsi = value;
			break;
		case HVABI_REG_RDI:
			guest.rdi = value;
			break;
		default:
			fail_msg("register 0x%x", regs[i].name);
		}
	}
	return 0;
}

int mshv_get_register(struct mshv_vcpu *v, uint32_t name, uint64_t *value)
{
	(void)v, (void)name;
	*value = 0;
	return 0;
}

/* Executes the instruction if the processor is there, and is kicked out behind it. */
int mshv_vcpu_run(struct mshv_vcpu *v, struct hvabi_message *message)
{
	struct hvabi_x64_io_port_intercept_message *m = (void *)message->payload;

	memset(message, 0, sizeof(*message));
	if (atomic_exchange(&v->kicked, false) || guest.rip != RIP) {
		errno = EINTR;
		return -1;
	}
	runs++;
	message->header.message_type = HVABI_MSG_X64_IO_PORT_INTERCEPT;
	m->header.intercept_access_type = guest.out ? HVABI_INTERCEPT_ACCESS_WRITE : HVABI_INTERCEPT_ACCESS_READ;
	m->header.rip = guest.rip;
	m->header.length_cr8 = LENGTH;
	m->port_number = PORT;
	m->access_info = 1 | HVABI_IO_PORT_STRING_OP | (guest.rep ? HVABI_IO_PORT_REP_PREFIX : 0);
	m->rcx = guest.rcx;
	m->rsi = guest.rsi;
	m->rdi = guest.rdi;
	return 0;
}

static int on_port(struct mshv_vcpu *v, void *arg, uint16_t port, unsigned int size, bool write,
		   uint32_t *value)
{
	(void)v, (void)arg;
	assert_int_equal(port, PORT);
	assert_int_equal(size, 1);
	assert_int_equal(write, guest.out);
	if (write)
		assert_int_equal(*value, (uint8_t)(calls % MSHV_PAGE_SIZE * 7));
	else
		*value = calls & 0xff;
	return ++calls == leave_after ? 42 : 0;
}

static const struct mshv_handlers handlers = { .size = sizeof(handlers), .port = on_port };

static int setup(void **state)
{
	(void)state;
	memset(&vcpu, 0, sizeof(vcpu));
	memset(&guest, 0, sizeof(guest));
	runs = calls = leave_after = 0;
	guest.rip = RIP;
	guest.rep = true;
	for (unsigned int i = 0; i < sizeof(memory); i++)
		memory[i] = (uint8_t)(i * 7);
	return 0;
}

static void loops(void)
{
	assert_int_equal(mshv_vcpu_loop(&vcpu, &handlers, NULL), -1);
	assert_int_equal(errno, EINTR);
}

static void strings_are_whole(void **state)
{
	(void)state;
	guest.out = true;
	guest.rcx = 2500;
	guest.rsi = 0x7000;
	loops();
	assert_int_equal(calls, 2500);
	assert_int_equal(guest.rip, RIP + LENGTH);
	assert_int_equal(guest.rcx, 0);
	assert_int_equal(guest.rsi, 0x7000 + 2500);
	assert_int_equal(guest.rdi, 0);
	setup(NULL);
	guest.rcx = 3000;
	guest.rdi = 0x7000;
	loops();
	assert_int_equal(calls, 3000);
	assert_int_equal(guest.rip, RIP + LENGTH);
	assert_int_equal(guest.rcx, 0);
	assert_int_equal(guest.rdi, 0x7000 + 3000);
	for (unsigned int i = 0; i < 3000; i++)
		assert_int_equal(memory[i], i & 0xff);
}

static void short_strings(void **state)
{
	(void)state;
	/* Nothing at all. */
	guest.out = true;
	loops();
	assert_int_equal(calls, 0);
	assert_int_equal(guest.rip, RIP + LENGTH);
	/* RCX counts for nothing without REP. */
	setup(NULL);
	guest.out = true;
	guest.rep = false;
	guest.rcx = 77;
	loops();
	assert_int_equal(calls, 1);
	assert_int_equal(guest.rcx, 77);
	assert_int_equal(guest.rsi, 1);
	assert_int_equal(guest.rip, RIP + LENGTH);
}

static void *kick(void *arg)
{
	(void)arg;
	atomic_store(&vcpu.kicked, true);
	return NULL;
}

/* An instruction that would go on for years is left with a kick, and the rest of it is still to be done. */
static void a_kick_ends_a_long_string(void **state)
{
	pthread_t thread;

	(void)state;
	guest.out = true;
	guest.rcx = 1ull << 46;
	assert_int_equal(pthread_create(&thread, NULL, kick, NULL), 0);
	loops();
	pthread_join(thread, NULL);
	assert_int_equal(guest.rip, RIP);
	assert_true(guest.rcx == (1ull << 46) - calls);
	assert_int_equal(guest.rsi, calls);
	assert_in_range(calls, 0, 1024ull * runs);
}

static void a_handler_leaves_within_a_string(void **state)
{
	(void)state;
	guest.out = true;
	guest.rcx = 100;
	leave_after = 30;
	assert_int_equal(mshv_vcpu_loop(&vcpu, &handlers, NULL), 42);
	assert_int_equal(guest.rip, RIP);
	assert_int_equal(guest.rcx, 70);
	assert_int_equal(guest.rsi, 30);
	/* The last element is the end of the instruction. */
	leave_after = 100;
	assert_int_equal(mshv_vcpu_loop(&vcpu, &handlers, NULL), 42);
	assert_int_equal(guest.rip, RIP + LENGTH);
	assert_int_equal(guest.rcx, 0);
}

/* Whoever started us may have blocked the signal: it is heard all the same. */
static void kicks_are_heard(void **state)
{
	sigset_t set, before;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, &before), 0);
	/* Of a signal that nobody named, nothing is known. */
	loops();
	assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
	assert_true(sigismember(&set, SIGUSR1));
	assert_int_equal(mshv_kick_signal(SIGUSR1), 0);
	loops();
	assert_int_equal(mshv_kick_signal(0), 0);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, &set), 0);
	assert_false(sigismember(&set, SIGUSR1));
	/* Others are not ours. */
	assert_true(sigismember(&set, SIGUSR2));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, setup)
	const struct CMUnitTest tests[] = {
		TEST(strings_are_whole),
		TEST(short_strings),
		TEST(a_kick_ends_a_long_string),
		TEST(a_handler_leaves_within_a_string),
		TEST(kicks_are_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
