// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decoding of MOV, against Zydis: all forms with all addresses and prefixes, all opcodes, and
 * random bytes.  Either both say the same, or it is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <Zydis/Zydis.h>

#include <hypervisor/core/mov.h>
#include "unit.h"

#define LENGTH 15u

static ZydisDecoder decoder;
static uint8_t code[LENGTH + 1];
static unsigned long long agreed, refused;

static int setup(void **state)
{
	(void)state;
	memset(code, 0, sizeof(code));
	agreed = refused = 0;
	assert_true(ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64,
						  ZYDIS_STACK_WIDTH_64)));
	return 0;
}

static bool is_our_form(const ZydisDecodedInstruction *i)
{
	const ZydisInstructionAttributes others =
		ZYDIS_ATTRIB_HAS_LOCK | ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
		ZYDIS_ATTRIB_HAS_REPNE | ZYDIS_ATTRIB_HAS_XACQUIRE | ZYDIS_ATTRIB_HAS_XRELEASE;

	if (i->mnemonic != ZYDIS_MNEMONIC_MOV || i->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT ||
	    (i->attributes & others))
		return false;
	for (unsigned int k = 0; k < i->raw.prefix_count; k++)
		if (i->raw.prefixes[k].value == 0xf0 || i->raw.prefixes[k].value == 0xf2 ||
		    i->raw.prefixes[k].value == 0xf3)
			return false;
	return i->opcode == 0x88 || i->opcode == 0x89 || i->opcode == 0x8b || i->opcode == 0xc6 ||
	       i->opcode == 0xc7 || i->opcode == 0xa1 || i->opcode == 0xa2 || i->opcode == 0xa3;
}

/* Zydis numbers the registers of 8 bits AL .. BL, AH .. BH, SPL .. R15L. */
static void byte_register(struct mov *mov)
{
	mov->shift = mov->reg >= 4 && mov->reg < 8 ? 8 : 0;
	if (mov->reg >= 4)
		mov->reg = (uint8_t)(mov->reg - 4);
}

/* What Zydis makes of the first @length bytes; false: nothing that mov_decode() may accept. */
static bool oracle(unsigned int length, struct mov *mov)
{
	ZydisDecodedInstruction i;
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	const ZydisDecodedOperand *other;

	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, length, &i, o)) || !is_our_form(&i))
		return false;
	memset(mov, 0, sizeof(*mov));
	mov->length = i.length;
	mov->to_memory = o[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
	if (!mov->to_memory && o[1].type != ZYDIS_OPERAND_TYPE_MEMORY)
		return false;
	mov->bytes = (uint8_t)(o[mov->to_memory ? 0 : 1].size / 8);
	other = &o[mov->to_memory ? 1 : 0];
	mov->immediate = other->type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
	if (!mov->immediate) {
		mov->reg = (uint8_t)ZydisRegisterGetId(other->reg.value);
		if (mov->bytes == 1)
			byte_register(mov);
	} else if (mov->bytes == 8) {
		mov->value = (uint64_t)other->imm.value.s;
	} else {
		mov->value = other->imm.value.u & ((1ull << 8 * mov->bytes) - 1);
	}
	return true;
}

static void fail_with_bytes(unsigned int length, const char *why)
{
	char text[3 * LENGTH + 1] = "";

	for (unsigned int i = 0; i < length && i < LENGTH; i++)
		sprintf(text + 3 * i, "%02x ", code[i]);
	print_error("%s: %s\n", text, why);
	fail();
}

static void compare(unsigned int length)
{
	struct mov expected, mov;
	bool known = oracle(length, &expected);

	if (known != mov_decode(code, length, &mov))
		fail_with_bytes(length, known ? "refused" : "accepted");
	if (!known) {
		refused++;
		return;
	}
	agreed++;
	if (mov.length != expected.length || mov.bytes != expected.bytes ||
	    mov.to_memory != expected.to_memory || mov.immediate != expected.immediate ||
	    (!mov.immediate && (mov.reg != expected.reg || mov.shift != expected.shift)) ||
	    mov.value != expected.value)
		fail_with_bytes(mov.length, "understood in another way");
}

/* Prefixes, and the bytes that they are. */
static unsigned int put_prefixes(unsigned int which, unsigned int rex)
{
	static const uint8_t bytes[] = { 0x66, 0x67, 0x65 };
	unsigned int n = 0;

	for (unsigned int i = 0; i < sizeof(bytes); i++)
		if (which >> i & 1)
			code[n++] = bytes[i];
	if (rex)
		code[n++] = (uint8_t)rex;
	return n;
}

static void fill(unsigned int from)
{
	for (unsigned int i = from; i < LENGTH; i++)
		code[i] = (uint8_t)random();
}

static void every_form_with_every_address(void **state)
{
	static const uint8_t opcodes[] = { 0x88, 0x89, 0x8b, 0xc6, 0xc7, 0xa1, 0xa2, 0xa3 };

	(void)state;
	srandom(1);
	for (unsigned int prefix = 0; prefix < 8; prefix++) {
		for (unsigned int rex = 0x3f; rex < 0x50; rex++) {
			unsigned int n = put_prefixes(prefix, rex > 0x3f ? rex : 0);

			for (unsigned int op = 0; op < sizeof(opcodes); op++) {
				code[n] = opcodes[op];
				for (unsigned int modrm = 0; modrm < 256; modrm++) {
					bool sib = modrm < 0xc0 && (modrm & 7) == 4;

					code[n + 1] = (uint8_t)modrm;
					for (unsigned int s = 0; s < (sib ? 256 : 1); s++) {
						fill(n + 2);
						if (sib)
							code[n + 2] = (uint8_t)s;
						compare(LENGTH);
					}
				}
			}
		}
	}
	/* 88, 89, 8b: all addresses; c6, c7: one reg of eight; moffs: whatever follows. */
	assert_int_equal(agreed, 8 * 17 * (3 * (168 + 24 * 256) + 2 * (21 + 3 * 256) +
					   3 * (232 + 24 * 256)));
}

static void every_opcode(void **state)
{
	(void)state;
	srandom(2);
	for (unsigned int first = 0; first < 256; first++) {
		for (unsigned int second = 0; second < 256; second++) {
			for (unsigned int rex = 0; rex < 2; rex++) {
				unsigned int n = put_prefixes(0, rex ? 0x48 : 0);

				code[n] = (uint8_t)first;
				code[n + 1] = (uint8_t)second;
				fill(n + 2);
				compare(LENGTH);
			}
		}
	}
	assert_true(agreed > 2 * (2 * 192 + 24 + 2 * 256) && refused > agreed);
}

/* The bytes end where nobody may read on. */
static void short_of_bytes(void **state)
{
	static const char *const whole[] = {
		"\x89\x08", "\x41\x8b\x84\x24\x80\x03\x00\x00",
		"\x48\xc7\x05\x01\x02\x03\x04\xff\xff\xff\xff",
		"\x66\xc7\x44\x24\x10\x34\x12", "\xa1\xb0\x00\xe0\xfe\x00\x00\x00\x00",
		"\x67\xa3\xb0\x00\xe0\xfe", "\x65\x66\x67\x4f\x8b\x3c\x25\x00\x00\x00\x00",
		"\x88\x08", "\xc6\x44\x24\x10\x34",
	};
	static const unsigned int lengths[] = { 2, 8, 11, 7, 9, 6, 11, 2, 5 };
	uint8_t *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(mprotect(pages + 4096, 4096, PROT_NONE), 0);
	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		for (unsigned int n = 0; n <= lengths[i]; n++) {
			struct mov mov;

			memcpy(pages + 4096 - n, whole[i], n);
			assert_int_equal(mov_decode(pages + 4096 - n, n, &mov), n == lengths[i]);
		}
	}
	munmap(pages, 8192);
}

static void fifteen_bytes_and_no_more(void **state)
{
	struct mov mov;

	(void)state;
	for (unsigned int prefixes = 0; prefixes < 16; prefixes++) {
		memset(code, 0x3e, prefixes);
		memset(code + prefixes, 0x90, sizeof(code) - prefixes);
		memcpy(code + prefixes, "\x8b\x08", prefixes < 15 ? 2 : 1);
		assert_int_equal(mov_decode(code, sizeof(code), &mov), prefixes <= 13);
		if (prefixes <= 13)
			assert_int_equal(mov.length, prefixes + 2);
		compare(LENGTH);
	}
}

static void rex_and_its_place(void **state)
{
	static const char *const rows[] = {
		"\x48\x66\x8b\x08\x90",		/* ignored: 2 bytes */
		"\x4c\x3e\x89\x08\x90",
		"\x66\x48\x8b\x08\x90",		/* stronger than 66: 8 bytes */
		"\x44\x48\x8b\x08\x90",		/* the last one counts */
		"\x67\x44\x48\x67\x8b\x08",
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(code, 0x90, sizeof(code));
		memcpy(code, rows[i], strlen(rows[i]));
		compare(LENGTH);
	}
	assert_int_equal(agreed, sizeof(rows) / sizeof(rows[0]));
}

static void what_is_read_by_hand(void **state)
{
	static const struct {
		const char *code;
		struct mov mov;
	} rows[] = {
		{ "\x89\x04\x25\xb0\xd0\x5f\xff", { 7, 4, 0, true, false, 0, 0 } },
		{ "\x44\x8b\xb8\x20\xd0\x5f\xff", { 7, 4, 15, false, false, 0, 0 } },
		{ "\xc7\x80\xb0\x01\x01\x01\xef\xcd\xab\x89", { 10, 4, 0, true, true, 0x89abcdef, 0 } },
		{ "\x48\xc7\x40\x01\xfe\xff\xff\xff", { 8, 8, 0, true, true, 0xfffffffffffffffe, 0 } },
		{ "\x66\xc7\x40\x01\xfe\xff", { 6, 2, 0, true, true, 0xfffe, 0 } },
		{ "\x88\x20", { 2, 1, 0, true, false, 0, 8 } },			/* AH */
		{ "\x40\x88\x20", { 3, 1, 4, true, false, 0, 0 } },		/* SPL */
		{ "\xc6\x40\x01\xfe", { 4, 1, 0, true, true, 0xfe, 0 } },
		{ "\xa3\x01\x01\xe0\xfe\x01\x01\x01\x01", { 9, 4, 0, true, false, 0, 0 } },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mov mov;

		assert_true(mov_decode((const uint8_t *)rows[i].code, rows[i].mov.length, &mov));
		assert_int_equal(mov.length, rows[i].mov.length);
		assert_int_equal(mov.bytes, rows[i].mov.bytes);
		assert_int_equal(mov.reg, rows[i].mov.reg);
		assert_int_equal(mov.shift, rows[i].mov.shift);
		assert_int_equal(mov.to_memory, rows[i].mov.to_memory);
		assert_int_equal(mov.immediate, rows[i].mov.immediate);
		assert_true(mov.value == rows[i].mov.value);
	}
}

static void random_bytes(void **state)
{
	static const uint8_t likely[] = {
		0x66, 0x67, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x40, 0x44, 0x48, 0x4c, 0x4f,
		0xf0, 0xf2, 0xf3, 0x0f, 0x89, 0x8b, 0xc7, 0xa1, 0xa2, 0xa3, 0x88, 0xc6, 0x04, 0x05, 0x84,
	};
	unsigned int seed = getenv("SEED") ? (unsigned int)atoi(getenv("SEED")) : 20261128;

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	for (unsigned int round = 0; round < 1000000; round++) {
		unsigned int some = (unsigned int)random() % 6;

		fill(0);
		for (unsigned int i = 0; i < some; i++)
			code[i] = likely[(unsigned long)random() % sizeof(likely)];
		compare((unsigned int)random() % (LENGTH + 1));
	}
	assert_true(agreed > 10000);
}

#define MOV_TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MOV_TEST(every_form_with_every_address),
		MOV_TEST(every_opcode),
		MOV_TEST(short_of_bytes),
		MOV_TEST(fifteen_bytes_and_no_more),
		MOV_TEST(rex_and_its_place),
		MOV_TEST(what_is_read_by_hand),
		MOV_TEST(random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
