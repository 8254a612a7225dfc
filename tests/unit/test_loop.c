// SPDX-License-Identifier: GPL-2.0-only
/* The run loop, with a processor that is only a few registers. */
#include <errno.h>

#include "internal.h"
#include "vmm.h"

#define CS_BASE		0x20000u
#define SS_BASE		0x30000u
#define FS_BASE		0x40000u
#define GS_BASE		0x50000u
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
	uint16_t code;			/* attributes of CS beside those that all have; long mode if 64-bit */
	uint64_t base;			/* of DS and ES */
	uint64_t cs_base;
	const char *instruction;	/* NULL: the message has no bytes of it */
} guest;
static unsigned int runs, calls, leave_after;
/* The first linear address that was asked for since the start. */
static uint64_t first_page;
/* Where in its page a string begins; all pages have the same bytes. */
static unsigned int first_offset;
/* Each so many translations a signal comes. 0: none. */
static unsigned int signal_every, translations;
/* Each so many accesses the device fails. 0: never. */
static unsigned int refuse_every, refusals;

/* ---- what the loop takes from the rest of libmshv ---- */

int mshv_hypercall(int fd, uint16_t code, uint16_t *reps, void *in, size_t in_size, void *out,
		   size_t out_size, uint16_t *status)
{
	const struct hvabi_input_translate_virtual_address *question = in;
	struct hvabi_output_translate_virtual_address *answer = out;

	(void)fd, (void)reps, (void)in_size, (void)out_size, (void)status;
	assert_int_equal(code, HVABI_CALL_TRANSLATE_VIRTUAL_ADDRESS);
	if (signal_every && ++translations % signal_every == 0) {
		errno = EINTR;
		return -1;
	}
	answer->result_code = HVABI_TRANSLATE_SUCCESS;
	answer->gpa_page = 1;
	if (!first_page)
		first_page = question->gva_page;
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

int mshv_get_registers(struct mshv_vcpu *v, const uint32_t *names, union hvabi_register_value *values, unsigned int count)
{
	(void)v;
	assert_int_equal(count, 1);
	memset(values, 0, sizeof(*values));
	values->segment.base = names[0] == HVABI_REG_FS ? FS_BASE : names[0] == HVABI_REG_GS ? GS_BASE : SS_BASE;
	if (names[0] != HVABI_REG_FS && names[0] != HVABI_REG_GS)
		assert_int_equal(names[0], HVABI_REG_SS);
	return 0;
}

/* Of devices, which are not in this guest. */
int mshv_get_general(struct mshv_vcpu *v, struct mshv_general *general)
{
	(void)v, (void)general;
	fail();
	return -1;
}

int mshv_set_general(struct mshv_vcpu *v, const struct mshv_general *general)
{
	(void)v, (void)general;
	fail();
	return -1;
}

uint32_t mshv_vcpu_index(const struct mshv_vcpu *v)
{
	return v->index;
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
	m->header.execution_state = HVABI_EXECUTION_STATE_CR0_PE |
				    (guest.code & HVABI_SEGMENT_LONG ? HVABI_EXECUTION_STATE_EFER_LMA : 0);
	m->header.cs_segment.attributes = HVABI_SEGMENT_PRESENT | HVABI_SEGMENT_NON_SYSTEM | guest.code;
	m->header.cs_segment.base = guest.cs_base;
	m->ds_segment.base = m->es_segment.base = guest.base;
	if (guest.instruction) {
		m->instruction_byte_count = (uint8_t)strlen(guest.instruction);
		memcpy(m->instruction_bytes, guest.instruction, m->instruction_byte_count);
	}
	m->rcx = guest.rcx;
	m->rsi = guest.rsi;
	m->rdi = guest.rdi;
	return 0;
}

static int on_port(struct mshv_vcpu *v, void *arg, uint16_t port, unsigned int size, bool write,
		   uint32_t *value)
{
	(void)v, (void)arg;
	if (refuse_every && ++refusals % refuse_every == 0) {
		errno = EBUSY;
		return -1;
	}
	assert_int_equal(port, PORT);
	assert_int_equal(size, 1);
	assert_int_equal(write, guest.out);
	if (write)
		assert_int_equal(*value, (uint8_t)((first_offset + calls) % MSHV_PAGE_SIZE * 7));
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
	runs = calls = leave_after = signal_every = translations = refuse_every = refusals = 0;
	first_page = 0;
	first_offset = 0;
	guest.rip = RIP;
	guest.code = HVABI_SEGMENT_LONG;
	guest.instruction = "\xf3\x6e";
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

/* A signal in the middle, as often as one likes: each element is moved once. */
static void signals_repeat_nothing(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 16; round++) {
		bool out = round & 1;

		setup(NULL);
		signal_every = 2 + round / 2;
		guest.out = out;
		guest.rcx = 1000;
		for (unsigned int i = 0; i < 1000 && guest.rip == RIP; i++)
			loops();
		assert_int_equal(calls, 1000);
		assert_int_equal(guest.rip, RIP + LENGTH);
		assert_int_equal(guest.rcx, 0);
		for (unsigned int i = 0; !out && i < 1000; i++)
			assert_int_equal(memory[i], i & 0xff);
	}
	/* Nor is an instruction that has to be fetched taken for another. */
	setup(NULL);
	signal_every = 1;
	guest.out = true;
	guest.instruction = NULL;
	guest.rcx = 1;
	loops();
	assert_int_equal(calls, 0);
	assert_int_equal(guest.rip, RIP);
}

/* So does a device that fails: the error comes, and what was done before it stays done. */
static void errors_repeat_nothing(void **state)
{
	unsigned int errors = 0;

	(void)state;
	refuse_every = 100;
	guest.rcx = 1000;
	for (unsigned int i = 0; i < 1000 && guest.rip == RIP; i++) {
		assert_int_equal(mshv_vcpu_loop(&vcpu, &handlers, NULL), -1);
		errors += errno == EBUSY;
	}
	assert_int_equal(calls, 1000);
	assert_int_equal(guest.rcx, 0);
	assert_true(errors > 0);
	for (unsigned int i = 0; i < 1000; i++)
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

/* One REP of two elements; what is above the address size counts for nothing, and stays or is cleared as the size says. */
static void narrow(uint16_t code, uint64_t base, const char *instruction, unsigned int bits, bool out)
{
	const uint64_t keep = bits == 64 ? 0 : bits == 32 ? ~0ull << 32 : ~0ull << 16;
	const uint64_t high = 0xa1b2c3d4e5f60000 & keep, after = bits == 32 ? 0 : high;
	uint64_t linear = (code & HVABI_SEGMENT_LONG ? 0 : base) + 0x7000;

	setup(NULL);
	guest.code = code;
	guest.base = base;
	guest.instruction = instruction;
	guest.out = out;
	guest.rcx = high | 2;
	/* Not for hours, if it is wrong. */
	leave_after = 3;
	guest.rsi = high | 0x7000;
	guest.rdi = high | 0x7000;
	loops();
	assert_int_equal(calls, 2);
	assert_int_equal(guest.rip, RIP + LENGTH);
	assert_true(guest.rcx == after);
	assert_true((out ? guest.rsi : guest.rdi) == (after | 0x7002));
	/* The other one is not the instruction's. */
	assert_true((out ? guest.rdi : guest.rsi) == (high | 0x7000));
	if (!(code & HVABI_SEGMENT_LONG))
		linear = (uint32_t)linear;
	assert_int_equal(first_page, linear / MSHV_PAGE_SIZE);
}

static void address_sizes(void **state)
{
	(void)state;
	for (int out = 0; out < 2; out++) {
		narrow(HVABI_SEGMENT_LONG, 0, "\xf3\x6e", 64, out);
		narrow(HVABI_SEGMENT_LONG, 0, "\xf3\x67\x48\x6e", 32, out);
		narrow(HVABI_SEGMENT_LONG, 1ull << 40, "\x67\xf3\x6e", 32, out);
		narrow(HVABI_SEGMENT_DEFAULT_BIG, 0, "\xf3\x6e", 32, out);
		narrow(HVABI_SEGMENT_DEFAULT_BIG, 0xfffff000, "\xf3\x6e", 32, out);
		narrow(HVABI_SEGMENT_DEFAULT_BIG, 0, "\x67\xf3\x6e", 16, out);
		narrow(0, 0x90000, "\xf3\x6e", 16, out);
		narrow(0, 0, "\xf3\x67\x66\x6d", 32, out);
	}
	/* A 67h behind the opcode is another instruction's. */
	narrow(HVABI_SEGMENT_LONG, 0, "\xf3\x6e\x67", 64, true);
}

/* One element, to be found in the segment that its prefix names; only what is written to a port has a choice. */
static void in_segment(uint16_t code, const char *instruction, bool out, uint64_t base)
{
	setup(NULL);
	guest.code = code;
	guest.base = 0x10000;
	guest.cs_base = CS_BASE;
	guest.instruction = instruction;
	guest.out = out;
	guest.rep = false;
	guest.rsi = guest.rdi = 0x7000;
	loops();
	assert_int_equal(calls, 1);
	assert_int_equal(first_page, (base + 0x7000) / MSHV_PAGE_SIZE);
}

static void segments(void **state)
{
	const uint16_t modes[] = { 0, HVABI_SEGMENT_DEFAULT_BIG };

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		in_segment(modes[i], "\x6e", true, 0x10000);
		in_segment(modes[i], "\x26\x6e", true, 0x10000);
		in_segment(modes[i], "\x2e\x6e", true, CS_BASE);
		in_segment(modes[i], "\x36\x6e", true, SS_BASE);
		in_segment(modes[i], "\x64\x6e", true, FS_BASE);
		in_segment(modes[i], "\x66\x65\x6e", true, GS_BASE);
		/* The last one counts. */
		in_segment(modes[i], "\x64\x3e\x6e", true, 0x10000);
		in_segment(modes[i], "\x64\x6c", false, 0x10000);
	}
	in_segment(HVABI_SEGMENT_LONG, "\x6e", true, 0);
	in_segment(HVABI_SEGMENT_LONG, "\x6c", false, 0);
	in_segment(HVABI_SEGMENT_LONG, "\x2e\x6e", true, 0);
	in_segment(HVABI_SEGMENT_LONG, "\x36\x6e", true, 0);
	in_segment(HVABI_SEGMENT_LONG, "\x64\x6e", true, FS_BASE);
	in_segment(HVABI_SEGMENT_LONG, "\x65\x48\x6e", true, GS_BASE);
	in_segment(HVABI_SEGMENT_LONG, "\x65\x6c", false, 0);
}

/* A pointer that leaves its size goes on at the beginning. */
static void pointers_wrap(void **state)
{
	(void)state;
	guest.out = true;
	guest.code = 0;
	guest.rcx = 0x10003;
	leave_after = 4;
	guest.rsi = 0x1fffe;
	first_offset = 0xffe;
	loops();
	assert_int_equal(calls, 3);
	assert_int_equal(guest.rsi, 0x10001);
	assert_int_equal(guest.rcx, 0x10000);
}

/* The message has no instruction: the guest's memory has it. */
static void an_instruction_is_fetched(void **state)
{
	(void)state;
	guest.instruction = NULL;
	guest.rcx = 0xffff00000002;
	leave_after = 3;
	guest.rdi = 0x500007800;
	memory[RIP % MSHV_PAGE_SIZE] = 0x67;
	memory[RIP % MSHV_PAGE_SIZE + 1] = 0x6c;
	loops();
	assert_int_equal(calls, 2);
	assert_int_equal(first_page, RIP / MSHV_PAGE_SIZE);
	assert_int_equal(guest.rcx, 0);
	assert_int_equal(guest.rdi, 0x7802);
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
		TEST(signals_repeat_nothing),
		TEST(errors_repeat_nothing),
		TEST(segments),
		TEST(short_strings),
		TEST(address_sizes),
		TEST(pointers_wrap),
		TEST(an_instruction_is_fetched),
		TEST(a_kick_ends_a_long_string),
		TEST(a_handler_leaves_within_a_string),
		TEST(kicks_are_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
