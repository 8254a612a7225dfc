// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decoding of MOV with a memory operand (APM vol. 3, 1.2 to 1.7).  Contract: mov.h.
 */
#include "mov.h"

#define MAX_LENGTH	15u

#define REX_W	8u
#define REX_R	4u

/* Bytes that are left, and whether they sufficed so far. */
struct reader {
	const u8 *code;
	u32 at, end;
	bool ok;
};

struct prefixes {
	bool operand_size, address_size;
	u8 rex;
};

static u64 take(struct reader *r, u32 bytes)
{
	u64 value = 0;

	if (bytes > r->end - r->at) {
		r->ok = false;
		return 0;
	}
	for (u32 i = 0; i < bytes; i++)
		value |= (u64)r->code[r->at + i] << (8 * i);
	r->at += bytes;
	return value;
}

/* Reads up to the opcode, and returns it.  REX counts only where nothing is between the two. */
static u8 take_prefixes(struct reader *r, struct prefixes *p)
{
	for (;;) {
		u8 byte = (u8)take(r, 1);

		if (is_segment_prefix(byte)) {
			p->rex = 0;
			continue;
		}
		switch (byte) {
		case 0x66:
			p->operand_size = true;
			p->rex = 0;
			break;
		case 0x67:
			p->address_size = true;
			p->rex = 0;
			break;
		case 0x40 ... 0x4f:
			p->rex = byte;
			break;
		default:
			return byte;
		}
	}
}

/* Skips what ModRM says there is of an address.  False: there is none, but a register. */
static bool skip_address(struct reader *r, u8 modrm)
{
	u8 mod = modrm >> 6, base = modrm & 7;

	if (mod == 3)
		return false;
	if (base == 4)
		base = (u8)take(r, 1) & 7;
	/* Base 5 without displacement would be RBP or RIP-relative: neither goes without. */
	if (mod == 1)
		take(r, 1);
	else if (mod == 2 || base == 5)
		take(r, 4);
	return true;
}

/* Without REX the numbers 4 to 7 are AH, CH, DH and BH. */
static void byte_register(struct mov *mov, const struct prefixes *p)
{
	mov->bytes = 1;
	if (!p->rex && mov->reg >= 4) {
		mov->reg &= 3;
		mov->shift = 8;
	}
}

static u64 take_immediate(struct reader *r, u32 bytes)
{
	u64 value = take(r, (u32)min_u64(bytes, 4));

	if (bytes == 8 && (value & 0x80000000u))
		value |= 0xffffffff00000000ull;
	return value;
}

bool mov_decode(const u8 *code, u32 available, struct mov *mov)
{
	struct reader r = { code, 0, (u32)min_u64(available, MAX_LENGTH), true };
	struct prefixes p = { 0 };
	u8 opcode = take_prefixes(&r, &p), modrm;

	*mov = (struct mov){ .bytes = p.rex & REX_W ? 8 : p.operand_size ? 2 : 4 };
	switch (opcode) {
	case 0x88:		/* MOV r/m8, r8 */
	case 0x89:		/* MOV r/m, r */
	case 0x8b:		/* MOV r, r/m */
		modrm = (u8)take(&r, 1);
		mov->to_memory = opcode != 0x8b;
		mov->reg = (u8)((modrm >> 3 & 7) | (p.rex & REX_R ? 8 : 0));
		if (opcode == 0x88)
			byte_register(mov, &p);
		if (!skip_address(&r, modrm))
			return false;
		break;
	case 0xc6:		/* MOV r/m8, imm8 */
	case 0xc7:		/* MOV r/m, imm; with other numbers in the place of reg it is none */
		modrm = (u8)take(&r, 1);
		mov->to_memory = true;
		mov->immediate = true;
		if ((modrm & 0x38) || !skip_address(&r, modrm))
			return false;
		if (opcode == 0xc6)
			mov->bytes = 1;
		mov->value = take_immediate(&r, mov->bytes);
		break;
	case 0xa1:		/* MOV rAX, moffs */
	case 0xa2:		/* MOV moffs, AL */
	case 0xa3:		/* MOV moffs, rAX */
		mov->to_memory = opcode != 0xa1;
		if (opcode == 0xa2)
			mov->bytes = 1;
		take(&r, p.address_size ? 4 : 8);
		break;
	default:
		return false;
	}
	mov->length = (u8)r.at;
	return r.ok;
}
