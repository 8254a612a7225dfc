// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Decoding of instructions with one memory operand (APM vol. 3, 1.2 to 1.7), see instruction.h. */
#include <errno.h>
#include <string.h>

#include "instruction.h"

#define REX_W	8u
#define REX_R	4u
#define REX_X	2u
#define REX_B	1u

enum { BX = 3, SP = 4, BP = 5, SI = 6, DI = 7 };

/* Bytes that are left, and whether they sufficed so far. */
struct reader {
	const uint8_t *bytes;
	unsigned int at, end;
	bool ok;
};

struct prefixes {
	bool operand_size, address_size, lock, repeat, has_segment;
	enum mshv_segment segment;
	uint8_t rex;
};

struct decoding {
	struct reader r;
	struct prefixes p;
	enum mshv_mode mode;
	uint8_t operand, address;	/* bytes of each */
	struct mshv_instruction *in;
};

static uint64_t take(struct reader *r, unsigned int bytes)
{
	uint64_t value = 0;
	unsigned int i;

	if (bytes > r->end - r->at) {
		r->ok = false;
		return 0;
	}
	for (i = 0; i < bytes; i++)
		value |= (uint64_t)r->bytes[r->at + i] << (8 * i);
	r->at += bytes;
	return value;
}

static uint64_t take_signed(struct reader *r, unsigned int bytes)
{
	uint64_t value = take(r, bytes), sign = 1ull << (8 * bytes - 1);

	return (value ^ sign) - sign;
}

/* In 64-bit mode only FS and GS are segments, and other prefixes change nothing. */
static void segment_prefix(struct decoding *d, enum mshv_segment segment)
{
	if (d->mode == MSHV_MODE_64 && segment < MSHV_SEGMENT_FS)
		return;
	d->p.has_segment = true;
	d->p.segment = segment;
}

/* Reads up to the opcode, and returns it. REX counts only where nothing is between the two. */
static uint8_t take_prefixes(struct decoding *d)
{
	struct prefixes *p = &d->p;

	for (;;) {
		uint8_t byte = (uint8_t)take(&d->r, 1);

		if (d->mode == MSHV_MODE_64 && (byte & 0xf0) == 0x40 && d->r.ok) {
			p->rex = byte;
			continue;
		}
		switch (byte) {
		case 0x66:
			p->operand_size = true;
			break;
		case 0x67:
			p->address_size = true;
			break;
		case 0xf0:
			p->lock = true;
			break;
		case 0xf2: case 0xf3:
			p->repeat = true;
			break;
		case 0x26: case 0x2e: case 0x36: case 0x3e:
			segment_prefix(d, (byte >> 3) & 3);
			break;
		case 0x64: case 0x65:
			segment_prefix(d, byte == 0x64 ? MSHV_SEGMENT_FS : MSHV_SEGMENT_GS);
			break;
		default:
			return byte;
		}
		p->rex = 0;
	}
}

static void find_sizes(struct decoding *d)
{
	const struct prefixes *p = &d->p;

	switch (d->mode) {
	case MSHV_MODE_64:
		d->operand = p->rex & REX_W ? 8 : p->operand_size ? 2 : 4;
		d->address = p->address_size ? 4 : 8;
		break;
	case MSHV_MODE_32:
		d->operand = p->operand_size ? 2 : 4;
		d->address = p->address_size ? 2 : 4;
		break;
	default:
		d->operand = p->operand_size ? 4 : 2;
		d->address = p->address_size ? 4 : 2;
	}
}

static void address_16(struct decoding *d, uint8_t mod, uint8_t rm)
{
	static const uint8_t base[] = { BX, BX, BP, BP, SI, DI, BP, BX };
	static const uint8_t index[] = { SI, DI, SI, DI };
	struct mshv_instruction *in = d->in;

	if (mod == 0 && rm == 6) {
		in->offset = take(&d->r, 2);
		return;
	}
	in->base = base[rm];
	in->index = rm < 4 ? index[rm] : MSHV_BASE_NONE;
	if (mod)
		in->offset = take_signed(&d->r, mod);
}

static void address_32(struct decoding *d, uint8_t mod, uint8_t rm)
{
	struct mshv_instruction *in = d->in;
	uint8_t sib, base = rm;
	bool has_sib = rm == SP;

	if (has_sib) {
		sib = (uint8_t)take(&d->r, 1);
		base = sib & 7;
		in->shift = sib >> 6;
		in->index = (uint8_t)((sib >> 3 & 7) | (d->p.rex & REX_X ? 8 : 0));
		if (in->index == SP)
			in->index = MSHV_BASE_NONE;
	}
	if (mod == 0 && base == BP) {
		in->offset = take_signed(&d->r, 4);
		if (!has_sib && d->mode == MSHV_MODE_64)
			in->base = MSHV_BASE_RIP;
		return;
	}
	in->base = (uint8_t)(base | (d->p.rex & REX_B ? 8 : 0));
	if (mod)
		in->offset = take_signed(&d->r, mod == 1 ? 1 : 4);
}

/* ModRM and what it says there is of an address. Returns its middle number; false in @memory: no memory but a register. */
static uint8_t take_modrm(struct decoding *d, bool *memory)
{
	uint8_t modrm = (uint8_t)take(&d->r, 1), mod = modrm >> 6, rm = modrm & 7;

	*memory = mod != 3;
	if (*memory && d->address == 2)
		address_16(d, mod, rm);
	else if (*memory)
		address_32(d, mod, rm);
	/* What is found by the stack's registers is on the stack. */
	if (d->in->base == SP || d->in->base == BP)
		d->in->segment = MSHV_SEGMENT_SS;
	return modrm >> 3 & 7;
}

/* Without REX the numbers 4 to 7 of bytes are AH, CH, DH and BH. */
static void set_register(struct decoding *d, uint8_t number, uint8_t size)
{
	struct mshv_instruction *in = d->in;

	in->high = size == 1 && !d->p.rex && number >= 4;
	in->reg = in->high ? number & 3 : (uint8_t)(number | (d->p.rex & REX_R ? 8 : 0));
	in->reg_size = size;
}

/* Memory of @size, and a register of @reg_size. Returns false if it is no memory but a register. */
static bool with_registers(struct decoding *d, enum mshv_operation operation, bool to_memory, uint8_t size, uint8_t reg_size)
{
	bool memory;

	d->in->operation = operation;
	d->in->to_memory = to_memory;
	d->in->size = size;
	set_register(d, take_modrm(d, &memory), reg_size);
	return memory;
}

static bool with_register(struct decoding *d, enum mshv_operation operation, bool to_memory, uint8_t size)
{
	return with_registers(d, operation, to_memory, size, size);
}

static void take_immediate(struct decoding *d, unsigned int bytes)
{
	d->in->immediate = true;
	d->in->value = take_signed(&d->r, bytes) & mshv_operand_mask(d->in->size);
}

/* An operation of those that a number in ModRM chooses among; false: this number is none of ours. */
static bool group_1(uint8_t number, enum mshv_operation *operation)
{
	switch (number) {
	case 1:
		*operation = MSHV_OP_OR;
		return true;
	case 4:
		*operation = MSHV_OP_AND;
		return true;
	case 6:
		*operation = MSHV_OP_XOR;
		return true;
	case 7:
		*operation = MSHV_OP_COMPARE;
		return true;
	}
	return false;
}

static bool with_immediate(struct decoding *d, uint8_t opcode)
{
	struct mshv_instruction *in = d->in;
	bool memory, ours = true;
	uint8_t number;

	in->to_memory = true;
	in->size = opcode & 1 ? d->operand : 1;
	number = take_modrm(d, &memory);
	switch (opcode) {
	case 0xc6: case 0xc7:
		in->operation = MSHV_OP_MOVE;
		ours = number == 0;
		break;
	case 0xf6: case 0xf7:
		in->operation = MSHV_OP_TEST;
		ours = number < 2;
		break;
	default:
		ours = group_1(number, &in->operation);
	}
	if (!memory || !ours)
		return false;
	/* Never more than 4 bytes, which are extended to 8; of 83h one. */
	take_immediate(d, opcode == 0x83 || in->size == 1 ? 1 : in->size == 2 ? 2 : 4);
	return true;
}

/* MOV between AL, AX, EAX or RAX and an address that is in the instruction. */
static bool with_offset(struct decoding *d, uint8_t opcode)
{
	struct mshv_instruction *in = d->in;

	in->operation = MSHV_OP_MOVE;
	in->to_memory = opcode & 2;
	in->size = in->reg_size = opcode & 1 ? d->operand : 1;
	in->offset = take(&d->r, d->address);
	return true;
}

static bool two_bytes(struct decoding *d)
{
	uint8_t opcode = (uint8_t)take(&d->r, 1);

	switch (opcode) {
	case 0xb6: case 0xb7:		/* MOVZX */
		return with_registers(d, MSHV_OP_MOVE, false, opcode & 1 ? 2 : 1, d->operand);
	case 0xbe: case 0xbf:		/* MOVSX */
		return with_registers(d, MSHV_OP_MOVE_SIGNED, false, opcode & 1 ? 2 : 1, d->operand);
	case 0xc3:			/* MOVNTI: with a 66h it is something else */
		return !d->p.operand_size && with_register(d, MSHV_OP_MOVE, true, d->operand == 8 ? 8 : 4);
	}
	return false;
}

static bool one_byte(struct decoding *d, uint8_t opcode)
{
	uint8_t size = opcode & 1 ? d->operand : 1;

	switch (opcode) {
	case 0x08 ... 0x0b:
		return with_register(d, MSHV_OP_OR, !(opcode & 2), size);
	case 0x20 ... 0x23:
		return with_register(d, MSHV_OP_AND, !(opcode & 2), size);
	case 0x30 ... 0x33:
		return with_register(d, MSHV_OP_XOR, !(opcode & 2), size);
	case 0x38 ... 0x3b:
		return with_register(d, MSHV_OP_COMPARE, !(opcode & 2), size);
	case 0x84: case 0x85:
		return with_register(d, MSHV_OP_TEST, true, size);
	case 0x86: case 0x87:
		return with_register(d, MSHV_OP_EXCHANGE, true, size);
	case 0x88 ... 0x8b:
		return with_register(d, MSHV_OP_MOVE, !(opcode & 2), size);
	case 0x80: case 0x81: case 0x83:
	case 0xc6: case 0xc7:
	case 0xf6: case 0xf7:
		return with_immediate(d, opcode);
	case 0xa0 ... 0xa3:
		return with_offset(d, opcode);
	case 0x63:			/* MOVSXD; in other modes it is ARPL, and of 16 bits nobody needs it */
		if (d->mode != MSHV_MODE_64 || d->operand == 2)
			return false;
		return with_registers(d, MSHV_OP_MOVE_SIGNED, false, 4, d->operand);
	case 0x0f:
		return two_bytes(d);
	}
	return false;
}

/* What may be locked: it reads memory, and writes it. */
static bool may_be_locked(const struct mshv_instruction *in)
{
	return in->to_memory && (in->operation == MSHV_OP_EXCHANGE || in->operation == MSHV_OP_AND ||
				 in->operation == MSHV_OP_OR || in->operation == MSHV_OP_XOR);
}

int mshv_instruction_decode(struct mshv_instruction *in, enum mshv_mode mode, const uint8_t *bytes,
			    unsigned int count)
{
	struct decoding d = {
		.r = { bytes, 0, count < MSHV_INSTRUCTION_MAX ? count : MSHV_INSTRUCTION_MAX, true },
		.mode = mode,
		.in = in,
	};
	uint8_t opcode;
	bool ours;

	memset(in, 0, sizeof(*in));
	in->base = in->index = MSHV_BASE_NONE;
	in->segment = MSHV_SEGMENT_DS;
	opcode = take_prefixes(&d);
	find_sizes(&d);
	ours = one_byte(&d, opcode);
	if (d.p.has_segment)
		in->segment = d.p.segment;
	in->length = (uint8_t)d.r.at;
	/* Fifteen bytes are all there can be: nothing more would help. */
	if (!d.r.ok && d.r.end < MSHV_INSTRUCTION_MAX) {
		errno = ENODATA;
		return -1;
	}
	if (d.r.ok && ours && !d.p.repeat && (!d.p.lock || may_be_locked(in)))
		return 0;
	errno = EOPNOTSUPP;
	return -1;
}
