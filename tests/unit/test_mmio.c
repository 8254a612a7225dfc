// SPDX-License-Identifier: GPL-2.0-only
/* Doing instructions that touch device memory: encodings, results, flags, and what cannot be done. */
#include <errno.h>

#include "mmio.h"
#include "vmm.h"

#define GPA	0xfec00010ull
#define CF	0x001u
#define PF	0x004u
#define AF	0x010u
#define ZF	0x040u
#define SF	0x080u
#define OF	0x800u

/*
 * What mshv_mmio_handle() asks of the library: one processor, whose registers are g, and guest memory
 * that holds one instruction.
 */
static struct {
	uint64_t gva;
	uint8_t bytes[MSHV_INSTRUCTION_MAX];
	int count;			/* mapped; -1: not even one */
	unsigned int fetches, sets, segments;
	uint64_t segment_base;		/* of all but CS */
	uint32_t segment;		/* the last that was asked for */
} guest;
static struct mshv_general g;

uint32_t mshv_vcpu_index(const struct mshv_vcpu *vcpu)
{
	(void)vcpu;
	return 3;
}

int mshv_get_general(struct mshv_vcpu *vcpu, struct mshv_general *general)
{
	(void)vcpu;
	*general = g;
	return 0;
}

int mshv_set_general(struct mshv_vcpu *vcpu, const struct mshv_general *general)
{
	(void)vcpu;
	g = *general;
	guest.sets++;
	return 0;
}

int mshv_copy_linear(struct mshv_vcpu *vcpu, uint64_t gva, void *data, unsigned int size, bool write)
{
	(void)vcpu;
	assert_false(write);
	assert_int_equal(gva, guest.gva);
	assert_true(size <= sizeof(guest.bytes));
	guest.fetches++;
	if (guest.count < 0)
		return mshv_fail_because(EFAULT, "not mapped");
	if (size > (unsigned int)guest.count)
		size = (unsigned int)guest.count;
	memcpy(data, guest.bytes, size);
	return (int)size;
}

int mshv_get_registers(struct mshv_vcpu *vcpu, const uint32_t *names, union hvabi_register_value *values, unsigned int count)
{
	(void)vcpu;
	assert_int_equal(count, 1);
	memset(values, 0, sizeof(*values));
	values->segment.base = guest.segment_base;
	guest.segment = names[0];
	guest.segments++;
	return 0;
}

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

/* A register of a device: 8 bytes, of which any part may be read and written. */
static struct {
	uint64_t value;
	unsigned int reads, writes, size;
	uint64_t gpa;
	int ret, write_ret;
} device;

static int on_access(struct mshv_vcpu *vcpu, void *arg, uint64_t gpa, unsigned int size, bool write, uint64_t *value)
{
	(void)vcpu;
	assert_ptr_equal(arg, &device);
	device.gpa = gpa;
	device.size = size;
	if (write) {
		device.writes++;
		/* Nothing of the register but what is written. */
		if (size < 8)
			assert_true(*value >> 8 * size == 0);
		memcpy(&device.value, value, size);
	} else {
		device.reads++;
		assert_true(*value == (size == 8 ? ~0ull : (1ull << 8 * size) - 1));
		*value = device.value;
	}
	return device.ret ? device.ret : write ? device.write_ret : 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&device, 0, sizeof(device));
	memset(&g, 0, sizeof(g));
	memset(&guest, 0, sizeof(guest));
	for (unsigned int i = 0; i < 16; i++)
		g.gp[i] = 0x1111111111111111ull * i;
	g.rip = 0xffffffff81000000;
	g.rflags = 2;
	return 0;
}

static int run_in(enum mshv_mode mode, const uint8_t *bytes, unsigned int count)
{
	struct mshv_instruction in;

	if (mshv_instruction_decode(&in, mode, bytes, count))
		return -1;
	return mshv_instruction_do(&in, &g, mode, NULL, on_access, &device, GPA);
}

#define RUN_IN(mode, ...)							\
	do {									\
		const uint8_t bytes_[] = { __VA_ARGS__ };			\
		uint64_t rip_ = g.rip;						\
										\
		assert_int_equal(run_in(mode, bytes_, sizeof(bytes_)), 0);	\
		assert_int_equal(g.rip - rip_, sizeof(bytes_));			\
	} while (0)
#define RUN(...) RUN_IN(MSHV_MODE_64, __VA_ARGS__)

#define REFUSED(error, ...)							\
	do {									\
		const uint8_t bytes_[] = { __VA_ARGS__ };			\
		const struct mshv_general before_ = g;				\
										\
		errno = 0;							\
		assert_int_equal(run_in(MSHV_MODE_64, bytes_, sizeof(bytes_)), -1); \
		assert_int_equal(errno, error);					\
		assert_memory_equal(&g, &before_, sizeof(g));			\
		assert_int_equal(device.reads + device.writes, 0);		\
	} while (0)

static void loads(void **state)
{
	(void)state;
	device.value = 0x8877665544332211;
	RUN(0x8b, 0x07);			/* mov eax, [rdi] */
	assert_int_equal(g.gp[RAX], 0x44332211);
	assert_int_equal(device.size, 4);
	assert_true(device.gpa == GPA);
	RUN(0x48, 0x8b, 0x43, 0x10);		/* mov rax, [rbx + 0x10] */
	assert_int_equal(g.gp[RAX], 0x8877665544332211);
	RUN(0x66, 0x8b, 0x0c, 0x25, 0, 0, 0, 0);	/* mov cx, [0] */
	assert_int_equal(g.gp[RCX], 0x1111111111112211);
	RUN(0x8a, 0x27);			/* mov ah, [rdi] */
	assert_int_equal(g.gp[RAX], 0x8877665544331111);
	RUN(0x40, 0x8a, 0x27);			/* mov spl, [rdi]: REX makes it no AH */
	assert_int_equal(g.gp[RSP], 0x4444444444444411);
	RUN(0x44, 0x8b, 0x84, 0x8f, 1, 2, 3, 4);	/* mov r8d, [rdi + rcx * 4 + disp] */
	assert_int_equal(g.gp[R8], 0x44332211);
	RUN(0x4d, 0x8b, 0x7d, 0);		/* mov r15, [r13] */
	assert_int_equal(g.gp[R15], 0x8877665544332211);
	RUN(0x8b, 0x05, 0, 0, 0, 0);		/* mov eax, [rip + 0] */
	assert_int_equal(g.gp[RAX], 0x44332211);
	RUN(0x65, 0x8b, 0x07);			/* mov eax, gs:[rdi] */
	RUN(0xa1, 1, 2, 3, 4, 5, 6, 7, 8);	/* mov eax, [moffs] */
	RUN(0x67, 0x8b, 0x07);			/* mov eax, [edi] */
	assert_int_equal(device.writes, 0);
}

static void extended_loads(void **state)
{
	(void)state;
	device.value = 0x8877665544338281;
	RUN(0x0f, 0xb6, 0x07);			/* movzx eax, byte [rdi] */
	assert_int_equal(g.gp[RAX], 0x81);
	assert_int_equal(device.size, 1);
	RUN(0x0f, 0xb7, 0x07);			/* movzx eax, word */
	assert_int_equal(g.gp[RAX], 0x8281);
	RUN(0x66, 0x0f, 0xb6, 0x0f);		/* movzx cx, byte */
	assert_int_equal(g.gp[RCX], 0x1111111111110081);
	RUN(0x0f, 0xbe, 0x07);			/* movsx eax, byte */
	assert_int_equal(g.gp[RAX], 0xffffff81);
	RUN(0x48, 0x0f, 0xbf, 0x07);		/* movsx rax, word */
	assert_int_equal(g.gp[RAX], 0xffffffffffff8281);
	device.value = 0x80000000;
	RUN(0x48, 0x63, 0x07);			/* movsxd rax, dword */
	assert_int_equal(g.gp[RAX], 0xffffffff80000000);
}

static void stores(void **state)
{
	(void)state;
	g.gp[RAX] = 0x8877665544332211;
	RUN(0x89, 0x07);			/* mov [rdi], eax */
	assert_int_equal(device.value, 0x44332211);
	RUN(0x48, 0x89, 0x07);
	assert_int_equal(device.value, 0x8877665544332211);
	RUN(0x88, 0x27);			/* mov [rdi], ah */
	assert_int_equal(device.value, 0x8877665544332222);
	assert_int_equal(device.size, 1);
	RUN(0x44, 0x89, 0x17);			/* mov [rdi], r10d */
	assert_int_equal(device.value, 0x88776655aaaaaaaa);
	RUN(0xc7, 0x07, 4, 3, 2, 1);		/* mov dword [rdi], imm32 */
	assert_int_equal(device.value, 0x8877665501020304);
	RUN(0x48, 0xc7, 0x07, 0xfe, 0xff, 0xff, 0xff);	/* mov qword [rdi], -2 */
	assert_int_equal(device.value, (uint64_t)-2);
	RUN(0x66, 0xc7, 0x07, 4, 3);
	assert_int_equal(device.value, 0xffffffffffff0304);
	RUN(0xc6, 0x47, 8, 9);			/* mov byte [rdi + 8], 9 */
	assert_int_equal(device.value, 0xffffffffffff0309);
	RUN(0xa3, 1, 2, 3, 4, 5, 6, 7, 8);	/* mov [moffs], eax */
	assert_int_equal(device.value, 0xffffffff44332211);
	RUN(0x48, 0x0f, 0xc3, 0x07);		/* movnti [rdi], rax */
	assert_int_equal(device.value, 0x8877665544332211);
	assert_int_equal(device.reads, 0);
	assert_int_equal(g.rflags, 2);
}

static void tests_and_comparisons(void **state)
{
	(void)state;
	device.value = 0x80000001;
	RUN(0xf7, 0x07, 1, 0, 0, 0);		/* test dword [rdi], 1 */
	assert_int_equal(g.rflags, 2);
	RUN(0xf7, 0x07, 2, 0, 0, 0);
	assert_int_equal(g.rflags, 2 | ZF | PF);
	RUN(0xf7, 0x07, 0, 0, 0, 0x80);
	assert_int_equal(g.rflags, 2 | SF | PF);
	RUN(0xf6, 0x07, 3);			/* test byte [rdi], 3 */
	assert_int_equal(g.rflags, 2);
	g.gp[RAX] = 0x80000000;
	RUN(0x85, 0x07);			/* test [rdi], eax */
	assert_int_equal(g.rflags, 2 | SF | PF);
	RUN(0x39, 0x07);			/* cmp [rdi], eax: 1 */
	assert_int_equal(g.rflags, 2);
	RUN(0x3b, 0x07);			/* cmp eax, [rdi]: -1 */
	assert_int_equal(g.rflags, 2 | CF | SF | PF | AF);
	RUN(0x83, 0x3f, 0x01);			/* cmp dword [rdi], 1: 0x80000000 */
	assert_int_equal(g.rflags, 2 | SF | PF);
	RUN(0x83, 0x3f, 0x02);			/* cmp dword [rdi], 2: overflows */
	assert_int_equal(g.rflags, 2 | PF | AF | OF);
	device.value = 0xffffffffffffffff;
	RUN(0x48, 0x83, 0x3f, 0xff);		/* cmp qword [rdi], -1 */
	assert_int_equal(g.rflags, 2 | ZF | PF);
	RUN(0x80, 0x3f, 0x7f);			/* cmp byte [rdi], 0x7f: -1 - 127 */
	assert_int_equal(g.rflags, 2 | SF);
	assert_int_equal(device.writes, 0);
}

static void logic(void **state)
{
	(void)state;
	device.value = 0xff00ff00ff00ff00;
	RUN(0x81, 0x27, 0xff, 0xff, 0, 0);	/* and dword [rdi], 0xffff */
	assert_int_equal(device.value, 0xff00ff000000ff00);
	assert_int_equal(g.rflags, 2 | PF);
	RUN(0x83, 0x0f, 0x01);			/* or dword [rdi], 1 */
	assert_int_equal(device.value, 0xff00ff000000ff01);
	RUN(0x83, 0x37, 0xff);			/* xor dword [rdi], -1 */
	assert_int_equal(device.value, 0xff00ff00ffff00fe);
	assert_int_equal(g.rflags, 2 | SF);
	g.gp[RAX] = 0xf0;
	RUN(0x23, 0x07);			/* and eax, [rdi] */
	assert_int_equal(g.gp[RAX], 0xf0);
	RUN(0x0b, 0x07);			/* or eax, [rdi] */
	assert_int_equal(g.gp[RAX], 0xffff00fe);
	RUN(0xf0, 0x83, 0x0f, 0x01);		/* lock or */
	assert_int_equal(device.value & 0xff, 0xff);
	g.gp[RBX] = 0x1234567887654321;
	RUN(0x87, 0x1f);			/* xchg [rdi], ebx */
	assert_int_equal(g.gp[RBX], 0xffff00ff);
	assert_int_equal(device.value, 0xff00ff0087654321);
}

static void other_modes(void **state)
{
	(void)state;
	device.value = 0x8877665544332211;
	g.rip = 0x1000;
	RUN_IN(MSHV_MODE_32, 0x8b, 0x07);	/* mov eax, [edi] */
	assert_int_equal(g.gp[RAX], 0x44332211);
	RUN_IN(MSHV_MODE_32, 0xa1, 0, 0, 0xc0, 0xfe);
	RUN_IN(MSHV_MODE_16, 0x8b, 0x07);	/* mov ax, [bx] */
	assert_int_equal(device.size, 2);
	RUN_IN(MSHV_MODE_16, 0x66, 0x67, 0x8b, 0x07);
	assert_int_equal(device.size, 4);
	g.rip = 0xffffffff;
	const uint8_t mov[] = { 0x8b, 0x07 };
	assert_int_equal(run_in(MSHV_MODE_32, mov, 2), 0);
	assert_int_equal(g.rip, 1);
	g.rip = 0xfffe;
	assert_int_equal(run_in(MSHV_MODE_16, mov, 2), 0);
	assert_int_equal(g.rip, 0);
}

static void refused(void **state)
{
	(void)state;
	REFUSED(EOPNOTSUPP, 0xf3, 0xa5);		/* rep movsd */
	REFUSED(EOPNOTSUPP, 0xa5);			/* movsd */
	REFUSED(EOPNOTSUPP, 0xaa);			/* stosb */
	REFUSED(EOPNOTSUPP, 0x0f, 0x6f, 0x07);		/* movq mm0, [rdi] */
	REFUSED(EOPNOTSUPP, 0x66, 0x0f, 0x6f, 0x07);	/* movdqa xmm0, [rdi] */
	REFUSED(EOPNOTSUPP, 0x8e, 0x1f);		/* mov ds, [rdi] */
	REFUSED(EOPNOTSUPP, 0x8c, 0x1f);		/* mov [rdi], ds */
	REFUSED(EOPNOTSUPP, 0xff, 0x37);		/* push [rdi] */
	REFUSED(EOPNOTSUPP, 0xff, 0x17);		/* call [rdi] */
	REFUSED(EOPNOTSUPP, 0xff, 0x07);		/* inc [rdi] */
	REFUSED(EOPNOTSUPP, 0x01, 0x07);		/* add [rdi], eax */
	REFUSED(EOPNOTSUPP, 0x0f, 0xb1, 0x0f);		/* cmpxchg [rdi], ecx */
	REFUSED(EOPNOTSUPP, 0x89, 0xc8);		/* mov eax, ecx: no memory */
	REFUSED(EOPNOTSUPP, 0x8d, 0x07);		/* lea eax, [rdi] */
	REFUSED(EOPNOTSUPP, 0x90);
	REFUSED(EOPNOTSUPP, 0x06);			/* none in 64-bit mode */
	REFUSED(ENODATA, 0x48);
	REFUSED(ENODATA, 0x8b, 0x05, 0, 0);
	REFUSED(ENODATA, 0xc7, 0x07, 1, 2, 3);
}

/* Whatever the bytes are, it is done or refused. */
static void any_bytes(void **state)
{
	uint32_t seed = 12345;
	uint8_t bytes[MSHV_INSTRUCTION_MAX];

	(void)state;
	for (unsigned int i = 0; i < 200000; i++) {
		for (unsigned int k = 0; k < sizeof(bytes); k++) {
			seed = seed * 1664525 + 1013904223;
			bytes[k] = (uint8_t)(seed >> 24);
		}
		uint64_t rip = g.rip;
		int ret = run_in(i % 3, bytes, 1 + i % sizeof(bytes));
		if (ret)
			assert_int_equal(g.rip, rip);
	}
	assert_true(device.reads && device.writes);
}

static void devices_may_end_the_guest(void **state)
{
	const uint8_t mov[] = { 0x89, 0x07 };

	(void)state;
	device.ret = 5;
	assert_int_equal(run_in(MSHV_MODE_64, mov, sizeof(mov)), 5);
	assert_int_equal(g.rip, 0xffffffff81000002);
}

/* A device that fails has not done it: the guest would do it again. */
static void devices_may_fail(void **state)
{
	static const uint8_t instructions[][3] = {
		{ 0x8b, 0x07, 0 },		/* mov eax, [rdi] */
		{ 0x89, 0x07, 0 },		/* mov [rdi], eax */
		{ 0x87, 0x1f, 0 },		/* xchg [rdi], ebx */
		{ 0x83, 0x0f, 0x01 },		/* or dword [rdi], 1 */
		{ 0x3b, 0x07, 0 },		/* cmp eax, [rdi] */
	};
	const struct mshv_general before = g;

	(void)state;
	for (unsigned int i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++) {
		device.ret = -ENOENT;
		device.reads = device.writes = 0;
		assert_int_equal(run_in(MSHV_MODE_64, instructions[i], 3), -ENOENT);
		assert_memory_equal(&g, &before, sizeof(g));
		assert_int_equal(device.reads + device.writes, 1);
		device.ret = 0;
		device.write_ret = -EIO;
		device.value = i;
		if (i >= 1 && i <= 3) {
			assert_int_equal(run_in(MSHV_MODE_64, instructions[i], 3), -EIO);
			assert_memory_equal(&g, &before, sizeof(g));
		}
	}
}

/* ---- messages ---- */

#define LONG_CODE	(HVABI_SEGMENT_LONG | HVABI_SEGMENT_PRESENT)
#define LONG_MODE	(HVABI_EXECUTION_STATE_EFER_LMA | HVABI_EXECUTION_STATE_CR0_PE)

static struct hvabi_x64_memory_intercept_message message(const uint8_t *bytes, unsigned int count)
{
	struct hvabi_x64_memory_intercept_message m = {
		.header = {
			.execution_state = LONG_MODE,
			.cs_segment = { .attributes = LONG_CODE, .base = 0x1000 },
			.rip = g.rip,
		},
		.instruction_byte_count = (uint8_t)count,
		.guest_physical_address = GPA,
	};

	memcpy(m.instruction_bytes, bytes, count);
	return m;
}

static int handle(const struct hvabi_x64_memory_intercept_message *m)
{
	return mshv_mmio_handle(NULL, on_access, &device, m);
}

/* Where the guest has the device: its page begins at RDI. */
static int setup_messages(void **state)
{
	int ret = setup(state);

	g.gp[RDI] = 0xffff888000000000;
	return ret;
}

static const uint8_t mov_disp[] = { 0x8b, 0x87, 0x10, 0, 0, 0 };	/* mov eax, [rdi + 0x10] */

static void bytes_in_the_message(void **state)
{
	struct hvabi_x64_memory_intercept_message m = message(mov_disp, sizeof(mov_disp));

	(void)state;
	device.value = 0x12345678;
	assert_int_equal(handle(&m), 0);
	assert_int_equal(g.gp[RAX], 0x12345678);
	assert_int_equal(g.rip, 0xffffffff81000006);
	assert_int_equal(guest.fetches, 0);
	assert_int_equal(guest.sets, 1);
	/* A message has room for a byte more than an instruction can have. */
	m.instruction_byte_count = 16;
	m.header.rip = g.rip;
	assert_int_equal(handle(&m), 0);
	device.ret = 9;
	assert_int_equal(handle(&m), 9);
	assert_int_equal(guest.sets, 3);
}

static void too_few_bytes_in_the_message(void **state)
{
	(void)state;
	for (unsigned int count = 0; count < sizeof(mov_disp); count++) {
		struct hvabi_x64_memory_intercept_message m = message(mov_disp, count);

		guest.gva = g.rip;
		guest.count = MSHV_INSTRUCTION_MAX;
		memcpy(guest.bytes, mov_disp, sizeof(mov_disp));
		device.value = count;
		assert_int_equal(handle(&m), 0);
		assert_int_equal(g.gp[RAX], count);
		assert_int_equal(guest.fetches, count + 1);
		assert_int_equal(device.reads, count + 1);
		/* The next page is not mapped, but the instruction ends before it. */
		m.header.rip = guest.gva = g.rip;
		guest.count = sizeof(mov_disp);
		assert_int_equal(handle(&m), 0);
		guest.fetches--;
		device.reads--;
	}
}

static void modes_of_messages(void **state)
{
	static const uint8_t mov[] = { 0x8b, 0x07 };
	struct hvabi_x64_memory_intercept_message m = message(mov, 0);

	(void)state;
	g.rip = m.header.rip = 0x200;
	g.gp[RDI] = g.gp[RBX] = GPA;
	guest.count = 2;
	memcpy(guest.bytes, mov, 2);
	/* A code segment's base counts where there are segments. */
	guest.gva = 0x1200;
	m.header.cs_segment.attributes = HVABI_SEGMENT_DEFAULT_BIG;
	assert_int_equal(handle(&m), 0);
	assert_int_equal(device.size, 4);
	m.header.cs_segment.attributes = 0;
	assert_int_equal(handle(&m), 0);
	assert_int_equal(device.size, 2);
	m.header.execution_state = 0;
	m.header.cs_segment.attributes = HVABI_SEGMENT_LONG;
	assert_int_equal(handle(&m), 0);
	assert_int_equal(device.size, 2);
	guest.gva = 0x200;
	m.header.execution_state = LONG_MODE;
	assert_int_equal(handle(&m), 0);
	assert_int_equal(device.size, 4);
}

static void fails(const struct hvabi_x64_memory_intercept_message *m, const char *why)
{
	const struct mshv_general before = g;

	assert_int_equal(handle(m), -1);
	if (!strstr(mshv_error(), why))
		fail_msg("\"%s\" does not say \"%s\"", mshv_error(), why);
	assert_memory_equal(&g, &before, sizeof(g));
	assert_int_equal(guest.sets, 0);
}

/* What crosses a page, or is beside the operand, never gets to the device. */
static void operands_within_a_page(void **state)
{
	static const uint8_t mov[] = { 0x48, 0x8b, 0x07 };	/* mov rax, [rdi] */
	struct hvabi_x64_memory_intercept_message m = message(mov, sizeof(mov));

	(void)state;
	g.gp[RDI] += 0xff8;
	m.guest_physical_address = GPA - 0x10 + 0xff8;
	assert_int_equal(handle(&m), 0);
	assert_true(device.gpa == m.guest_physical_address);
	guest.sets = 0;
	for (unsigned int i = 1; i < 8; i++) {
		g.gp[RDI]++;
		g.rip = m.header.rip;
		/* Stopped at the first page. */
		m.guest_physical_address++;
		fails(&m, "an operand that crosses a page: 48 8b 07");
		/* ... at the second: the first was memory. */
		m.guest_physical_address = GPA - 0x10 + 0x1000;
		fails(&m, "an operand that crosses a page");
		m.guest_physical_address = GPA - 0x10 + 0xff8 + i;
	}
	assert_int_equal(device.reads, 1);
	g.gp[RDI] = 0xffff888000000008;
	m.guest_physical_address = GPA - 0x10;
	fails(&m, "it is not the instruction's operand");
	assert_int_equal(device.reads, 1);
}

static void one_operand(enum mshv_mode mode, uint64_t gpa, const uint8_t *bytes, unsigned int count)
{
	struct hvabi_x64_memory_intercept_message m = message(bytes, count);
	uint64_t rip = g.rip;

	if (mode != MSHV_MODE_64)
		m.header.cs_segment.attributes = mode == MSHV_MODE_32 ? HVABI_SEGMENT_DEFAULT_BIG : 0;
	m.header.cs_segment.base = 0x1230;
	m.guest_physical_address = gpa;
	guest.segments = 0;
	assert_int_equal(handle(&m), 0);
	assert_true(device.gpa == gpa);
	g.rip = rip;
}

/* Bases, indexes, displacements and segments all say where it is. */
static void operands_are_found(void **state)
{
#define AT(mode, gpa, ...) do { const uint8_t b_[] = { __VA_ARGS__ }; one_operand(mode, gpa, b_, sizeof(b_)); } while (0)
	(void)state;
	guest.segment_base = 0x5600;
	g.gp[RCX] = 0x21;
	g.gp[RBX] = 0xfff;
	g.gp[R12] = 0x100;
	AT(MSHV_MODE_64, 0x1100, 0x41, 0x8b, 0x04, 0x24);			/* [r12] */
	AT(MSHV_MODE_64, 0x1085, 0x8b, 0x44, 0x8f, 1);				/* [rdi + rcx * 4 + 1] */
	AT(MSHV_MODE_64, 0x1084, 0x8b, 0x04, 0x8d, 0, 0, 0, 0);			/* [rcx * 4] */
	AT(MSHV_MODE_64, 0x1ef, 0x8b, 0x83, 0xf0, 0xf1, 0xff, 0xff);		/* [rbx - 0xe10] */
	AT(MSHV_MODE_64, 0x316, 0x8b, 0x05, 0x10, 0x03, 0, 0);			/* [rip + 0x310] */
	AT(MSHV_MODE_64, 0x201, 0xa1, 1, 2, 3, 4, 5, 6, 7, 8);
	assert_int_equal(guest.segments, 0);
	AT(MSHV_MODE_64, 0x600, 0x65, 0x8b, 0x07);				/* gs:[rdi] */
	assert_int_equal(guest.segments, 1);
	assert_int_equal(guest.segment, HVABI_REG_GS);
	AT(MSHV_MODE_64, 0x000, 0x2e, 0x8b, 0x07);				/* cs: has no base there */
	assert_int_equal(guest.segments, 0);
	AT(MSHV_MODE_32, 0x600, 0x8b, 0x07);
	assert_int_equal(guest.segment, HVABI_REG_DS);
	AT(MSHV_MODE_32, 0x230, 0x2e, 0x8b, 0x07);				/* cs:[edi] */
	assert_int_equal(guest.segments, 0);
	g.gp[RBP] = 8;
	AT(MSHV_MODE_32, 0x60a, 0x8b, 0x45, 2);					/* [ebp + 2] */
	assert_int_equal(guest.segment, HVABI_REG_SS);
	g.gp[RSI] = 0x11;
	AT(MSHV_MODE_16, 0x610, 0x8b, 0x00);					/* [bx + si] */
	AT(MSHV_MODE_16, 0x619, 0x8b, 0x02);					/* [bp + si] */
	assert_int_equal(guest.segment, HVABI_REG_SS);
	AT(MSHV_MODE_16, 0x602, 0x8b, 0x06, 2, 0);				/* [2] */
	assert_int_equal(guest.segment, HVABI_REG_DS);
}

static void errors_say_what_and_where(void **state)
{
	static const uint8_t movs[] = { 0xf3, 0xa5, 0x90 };
	struct hvabi_x64_memory_intercept_message m = message(movs, 3);

	(void)state;
	fails(&m, "processor 3: access to device memory 0xfec00010 at rip 0xffffffff81000000: "
	      "no instruction that can be done for a device: f3 a5 90");
	m = message(mov_disp, 3);
	guest.gva = g.rip;
	guest.count = -1;
	fails(&m, "not mapped");
	guest.count = 5;
	memcpy(guest.bytes, mov_disp, 5);
	fails(&m, "the instruction is cut off: 8b 87 10 00 00");
	m.header.intercept_access_type = HVABI_INTERCEPT_ACCESS_EXECUTE;
	fails(&m, "runs code where no memory is: no bytes");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, setup)
#define MESSAGE_TEST(function) cmocka_unit_test_setup(function, setup_messages)
	const struct CMUnitTest tests[] = {
		TEST(loads),
		TEST(extended_loads),
		TEST(stores),
		TEST(tests_and_comparisons),
		TEST(logic),
		TEST(other_modes),
		TEST(refused),
		TEST(any_bytes),
		TEST(devices_may_end_the_guest),
		TEST(devices_may_fail),
		MESSAGE_TEST(bytes_in_the_message),
		MESSAGE_TEST(too_few_bytes_in_the_message),
		MESSAGE_TEST(modes_of_messages),
		MESSAGE_TEST(operands_within_a_page),
		MESSAGE_TEST(operands_are_found),
		MESSAGE_TEST(errors_say_what_and_where),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
