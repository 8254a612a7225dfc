/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Decoding the instructions with which drivers reach a device's memory: moves, tests, and logic with one memory operand
 * and one general register or immediate. Internal to libmshv.
 *
 * Laws:
 *   - No byte behind @count is read, and none behind the fifteenth.
 *   - What is not understood as a whole is refused: strings, the stack, segment and vector registers, REP and REPNE on
 *     anything (hints of lock elision among them), LOCK where the processor has none.
 *   - No decoder of others is needed: whoever links libmshv, statically as well, links nothing else for it. Tests compare
 *     it with Zydis.
 */
#ifndef LIBMSHV_INSTRUCTION_H
#define LIBMSHV_INSTRUCTION_H

#include <stdbool.h>
#include <stdint.h>

#define MSHV_INSTRUCTION_MAX	15u

/* How the processor reads instructions. */
enum mshv_mode { MSHV_MODE_16, MSHV_MODE_32, MSHV_MODE_64 };

enum mshv_operation {
	MSHV_OP_MOVE,			/* zeros above what is read */
	MSHV_OP_MOVE_SIGNED,
	MSHV_OP_EXCHANGE,
	MSHV_OP_COMPARE,
	MSHV_OP_TEST,
	MSHV_OP_AND,
	MSHV_OP_OR,
	MSHV_OP_XOR,
};

/* In the place of a register of an address: none, or the instruction's end. */
#define MSHV_BASE_NONE	0xffu
#define MSHV_BASE_RIP	0xfeu

/* As processors number them, and prefixes of a segment name them. */
enum mshv_segment { MSHV_SEGMENT_ES, MSHV_SEGMENT_CS, MSHV_SEGMENT_SS, MSHV_SEGMENT_DS, MSHV_SEGMENT_FS, MSHV_SEGMENT_GS };

struct mshv_instruction {
	enum mshv_operation operation;
	uint8_t length;
	uint8_t size;			/* of the memory operand, in bytes: 1, 2, 4 or 8 */
	uint8_t reg_size;		/* of the register; more than @size where a move extends */
	bool to_memory;			/* memory is the first operand */
	bool immediate;			/* the other operand is @value, as wide as @size; else register @reg */
	bool high;			/* its second byte: AH, CH, DH, BH */
	uint8_t reg;			/* as processors number them: RAX 0, RCX 1, ... */
	uint64_t value;
	/* Where memory is: @base + @index * 2^@shift + @offset in @segment. */
	uint8_t base, index, shift;
	enum mshv_segment segment;
	uint64_t offset;
};

/* The bits of an operand of 1 to 8 bytes. */
static inline uint64_t mshv_operand_mask(unsigned int bytes)
{
	return bytes >= 8 ? ~0ull : (1ull << 8 * bytes) - 1;
}

/* 0, or -1 with errno: ENODATA if it is longer than @count, EOPNOTSUPP if it is none of these. */
int mshv_instruction_decode(struct mshv_instruction *in, enum mshv_mode mode, const uint8_t *bytes,
			    unsigned int count);

#endif
