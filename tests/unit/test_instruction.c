// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decoding of the instructions that libmshv does for devices, against Zydis: every opcode with every ModRM, prefixes and REX, in
 * each mode, and random bytes (SEED=N repeats them). What is accepted, both understand alike; what Zydis takes for one of ours is
 * refused only where it is known why.
 */
#include <errno.h>
#include <time.h>

#include <Zydis/Zydis.h>

#include "instruction.h"
#include "vmm.h"

#define LENGTH MSHV_INSTRUCTION_MAX

static uint8_t code[LENGTH];
static unsigned long long agreed, refused;

static int setup(void **state)
{
	(void)state;
	agreed = refused = 0;
	return 0;
}

static ZyanStatus decode(enum mshv_mode mode, unsigned int count, ZydisDecodedInstruction *i, ZydisDecodedOperand *o)
{
	static const struct {
		ZydisMachineMode machine;
		ZydisStackWidth stack;
	} modes[] = {
		[MSHV_MODE_16] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
		[MSHV_MODE_32] = { ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
		[MSHV_MODE_64] = { ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
	};
	ZydisDecoder decoder;

	assert_true(ZYAN_SUCCESS(ZydisDecoderInit(&decoder, modes[mode].machine, modes[mode].stack)));
	return ZydisDecoderDecodeFull(&decoder, code, count, i, o);
}

static bool operation_of(const ZydisDecodedInstruction *i, enum mshv_operation *operation)
{
	static const struct {
		ZydisMnemonic mnemonic;
		enum mshv_operation operation;
	} known[] = {
		{ ZYDIS_MNEMONIC_MOV, MSHV_OP_MOVE }, { ZYDIS_MNEMONIC_MOVNTI, MSHV_OP_MOVE },
		{ ZYDIS_MNEMONIC_MOVZX, MSHV_OP_MOVE }, { ZYDIS_MNEMONIC_MOVSX, MSHV_OP_MOVE_SIGNED },
		{ ZYDIS_MNEMONIC_MOVSXD, MSHV_OP_MOVE_SIGNED }, { ZYDIS_MNEMONIC_TEST, MSHV_OP_TEST },
		{ ZYDIS_MNEMONIC_CMP, MSHV_OP_COMPARE }, { ZYDIS_MNEMONIC_AND, MSHV_OP_AND },
		{ ZYDIS_MNEMONIC_OR, MSHV_OP_OR }, { ZYDIS_MNEMONIC_XOR, MSHV_OP_XOR },
		{ ZYDIS_MNEMONIC_XCHG, MSHV_OP_EXCHANGE },
	};

	for (unsigned int k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
		*operation = known[k].operation;
		if (known[k].mnemonic == i->mnemonic)
			return true;
	}
	return false;
}

/* General registers: as processors number them, or MSHV_BASE_*. */
static uint8_t number(ZydisRegister reg)
{
	ZydisRegister whole;

	if (reg == ZYDIS_REGISTER_NONE)
		return MSHV_BASE_NONE;
	if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
		return MSHV_BASE_RIP;
	if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
		return (uint8_t)(reg - ZYDIS_REGISTER_AH);
	whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
	return whole >= ZYDIS_REGISTER_RAX && whole <= ZYDIS_REGISTER_R15 ? (uint8_t)(whole - ZYDIS_REGISTER_RAX) : 0x80;
}

static uint64_t cut(uint64_t value, unsigned int bytes)
{
	return bytes == 8 ? value : value & ((1ull << 8 * bytes) - 1);
}

/* What Zydis makes of an instruction that both know; false: it is none with a memory operand and another. */
static bool oracle(const ZydisDecodedInstruction *i, const ZydisDecodedOperand *o, struct mshv_instruction *in)
{
	const ZydisDecodedOperand *memory, *other;

	memset(in, 0, sizeof(*in));
	if (!operation_of(i, &in->operation) || i->operand_count_visible != 2)
		return false;
	in->to_memory = o[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
	memory = &o[in->to_memory ? 0 : 1];
	other = &o[in->to_memory ? 1 : 0];
	if (memory->type != ZYDIS_OPERAND_TYPE_MEMORY)
		return false;
	in->length = i->length;
	in->size = (uint8_t)(memory->size / 8);
	if (other->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		in->immediate = true;
		in->value = cut(other->imm.value.u, in->size);
	} else if (other->type != ZYDIS_OPERAND_TYPE_REGISTER || number(other->reg.value) == 0x80) {
		return false;
	} else {
		in->reg = number(other->reg.value);
		in->high = other->reg.value >= ZYDIS_REGISTER_AH && other->reg.value <= ZYDIS_REGISTER_BH;
		in->reg_size = (uint8_t)(other->size / 8);
	}
	in->base = number(memory->mem.base);
	in->index = number(memory->mem.index);
	in->shift = in->index == MSHV_BASE_NONE ? 0 : (uint8_t)__builtin_ctz(memory->mem.scale);
	in->offset = (uint64_t)memory->mem.disp.value;
	in->segment = (enum mshv_segment)(memory->mem.segment - ZYDIS_REGISTER_ES);
	/* There is no base then, REX.B or not (APM vol. 3, table 1-14); Zydis 4.0 takes R13D for one. */
	if (memory->mem.base == ZYDIS_REGISTER_R13D && i->raw.modrm.mod == 0 && i->raw.sib.base == 5) {
		in->base = MSHV_BASE_NONE;
		in->offset = (uint64_t)i->raw.disp.value;
	}
	return true;
}

/* What Zydis takes for one of ours, and we do not want. */
static bool may_be_refused(const ZydisDecodedInstruction *i)
{
	for (unsigned int k = 0; k < i->raw.prefix_count; k++)
		if (i->raw.prefixes[k].value == 0xf2 || i->raw.prefixes[k].value == 0xf3)
			return true;
	/* Into 16 bits; 82h is 80h again. */
	return (i->mnemonic == ZYDIS_MNEMONIC_MOVSXD && i->operand_width == 16) ||
	       (i->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && i->opcode == 0x82);
}

static void fail_with_bytes(enum mshv_mode mode, unsigned int count, const char *why)
{
	char text[3 * LENGTH + 1] = "";

	for (unsigned int i = 0; i < count; i++)
		sprintf(text + 3 * i, "%02x ", code[i]);
	fail_msg("%u bits: %s: %s", 16u << mode, text, why);
}

static const char *differ(const struct mshv_instruction *a, const struct mshv_instruction *b, enum mshv_mode mode)
{
	/* An address of 2 bytes has no sign to keep. */
	uint64_t offsets = (a->offset ^ b->offset) & (mode == MSHV_MODE_64 ? 0xffffffff : 0xffff);

	if (a->operation != b->operation || a->to_memory != b->to_memory)
		return "another operation";
	if (a->length != b->length || a->size != b->size)
		return "another size";
	if (a->immediate != b->immediate || (a->immediate && a->value != b->value))
		return "another immediate";
	if (!a->immediate && (a->reg != b->reg || a->high != b->high || a->reg_size != b->reg_size))
		return "another register";
	if (a->base != b->base || a->index != b->index || (a->index != MSHV_BASE_NONE && a->shift != b->shift) || offsets)
		return "another address";
	if (a->segment != b->segment && (mode != MSHV_MODE_64 || a->segment >= MSHV_SEGMENT_FS || b->segment >= MSHV_SEGMENT_FS))
		return "another segment";
	return NULL;
}

static void compare(enum mshv_mode mode, unsigned int count)
{
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	struct mshv_instruction in, expected;
	ZydisDecodedInstruction i;
	ZyanStatus status = decode(mode, count, &i, o);
	bool known = ZYAN_SUCCESS(status) && oracle(&i, o, &expected);
	const char *why;
	int ret;

	errno = 0;
	ret = mshv_instruction_decode(&in, mode, code, count);
	if (!ret && !known)
		fail_with_bytes(mode, count, "accepted");
	if (ret && errno != ENODATA && errno != EOPNOTSUPP)
		fail_with_bytes(mode, count, "refused without a reason");
	if (ret && errno == ENODATA && ZYAN_SUCCESS(status))
		fail_with_bytes(mode, count, "cut off, and is not");
	if (ret) {
		if (known && !may_be_refused(&i))
			fail_with_bytes(mode, count, "refused");
		refused++;
		return;
	}
	why = differ(&in, &expected, mode);
	if (why)
		fail_with_bytes(mode, count, why);
	agreed++;
	/* Of less than all of it more is wanted, and nothing else is said. */
	for (unsigned int less = 0; less < in.length; less++) {
		errno = 0;
		if (!mshv_instruction_decode(&expected, mode, code, less) || errno != ENODATA)
			fail_with_bytes(mode, less, "not seen to be cut off");
	}
}

static void fill(unsigned int from)
{
	for (unsigned int i = from; i < LENGTH; i++)
		code[i] = (uint8_t)random();
}

/* Prefixes, and how many bytes they are. */
static unsigned int put_prefixes(unsigned int which, unsigned int rex)
{
	static const uint8_t bytes[] = { 0x66, 0x67, 0x65, 0xf0 };
	unsigned int n = 0;

	for (unsigned int i = 0; i < sizeof(bytes); i++)
		if (which >> i & 1)
			code[n++] = bytes[i];
	if (rex)
		code[n++] = (uint8_t)(0x40 + rex - 1);
	return n;
}

/* Every opcode of one byte, and of two behind 0Fh, with every ModRM. */
static void every_opcode(enum mshv_mode mode, unsigned int prefixes, unsigned int rex)
{
	unsigned int n = put_prefixes(prefixes, rex);

	for (unsigned int opcode = 0; opcode < 512; opcode++) {
		unsigned int at = n;

		if (opcode >= 256)
			code[at++] = 0x0f;
		code[at++] = (uint8_t)opcode;
		for (unsigned int modrm = 0; modrm < 256; modrm++) {
			fill(at);
			code[at] = (uint8_t)modrm;
			compare(mode, LENGTH);
		}
	}
}

static void all_opcodes(void **state)
{
	(void)state;
	srandom(1);
	for (unsigned int prefixes = 0; prefixes < 16; prefixes++) {
		every_opcode(MSHV_MODE_16, prefixes, 0);
		every_opcode(MSHV_MODE_32, prefixes, 0);
		for (unsigned int rex = 0; rex <= 16; rex += prefixes ? 3 : 1)
			every_opcode(MSHV_MODE_64, prefixes, rex);
	}
	/* Neither is of any worth without the other. */
	assert_true(agreed > 100000);
	assert_true(refused > 100000);
}

static void all_scales_and_segments(void **state)
{
	static const uint8_t segments[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };

	(void)state;
	srandom(2);
	for (unsigned int sib = 0; sib < 256; sib++) {
		for (unsigned int k = 0; k < 36 * 3; k++) {
			unsigned int n = 0;

			code[n++] = segments[k % 6];
			code[n++] = segments[k / 6 % 6];
			if (sib & 1)
				code[n++] = (uint8_t)(0x40 | (sib >> 1 & 15));
			code[n++] = 0x8b;
			code[n++] = (uint8_t)(0x04 | (k % 3) << 6 | (k % 8) << 3);
			code[n++] = (uint8_t)sib;
			fill(n);
			compare(k / 36, LENGTH);
		}
	}
	assert_true(agreed > 10000);
}

static void random_bytes(void **state)
{
	const char *text = getenv("SEED");
	unsigned int seed = text ? (unsigned int)strtoul(text, NULL, 0) : (unsigned int)time(NULL);

	(void)state;
	print_message("# SEED=%u\n", seed);
	srandom(seed);
	for (unsigned int i = 0; i < 500000; i++) {
		fill(0);
		compare(i % 3, 1 + i % LENGTH);
	}
	assert_true(agreed && refused);
}

/* Nothing behind the fifteenth byte is asked for. */
static void too_long(void **state)
{
	struct mshv_instruction in;

	(void)state;
	memset(code, 0x66, sizeof(code));
	assert_int_equal(mshv_instruction_decode(&in, MSHV_MODE_64, code, LENGTH), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	code[13] = 0x8b;
	code[14] = 0x47;		/* mov ax, [rdi + a byte that is the sixteenth] */
	assert_int_equal(mshv_instruction_decode(&in, MSHV_MODE_64, code, LENGTH), -1);
	assert_int_equal(errno, EOPNOTSUPP);
	code[14] = 0x07;
	assert_int_equal(mshv_instruction_decode(&in, MSHV_MODE_64, code, LENGTH), 0);
	assert_int_equal(in.length, LENGTH);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, setup)
	const struct CMUnitTest tests[] = {
		TEST(all_opcodes),
		TEST(all_scales_and_segments),
		TEST(random_bytes),
		TEST(too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
