/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decoding the instructions with which software reaches the page of its local APIC, and the
 * doorbells of its devices: MOV between memory and a general register or an immediate, in 64-bit
 * mode.  Where the memory is says the intercept; only what moves, and how far RIP goes, is taken
 * from the bytes.
 *
 * Laws
 *  - No byte behind @available is read, and none behind the fifteenth.
 *  - What is not understood as a whole is refused: the caller then does as if there were no
 *    such page.  Among it are loads of 8 bits, which no APIC register takes, and the prefixes
 *    LOCK, REP and REPNE.
 */
#ifndef CORE_MOV_H
#define CORE_MOV_H

#include "types.h"

/**
 * struct mov - one MOV with a memory operand
 * @length: of the instruction
 * @bytes: how many move: 1, 2, 4 or 8
 * @to_memory: direction
 * @immediate: @value is written; otherwise general register @reg is the other side
 * @reg: as processors number them (RAX 0, RCX 1, ...)
 * @value: extended to @bytes as the processor would, zeros above
 * @shift: 8 for the second byte of a register (AH, CH, DH, BH), else 0
 */
struct mov {
	u8 length, bytes, reg;
	bool to_memory, immediate;
	u64 value;
	u8 shift;
};

/* Prefixes that name a segment (APM vol. 3, 1.2.4). */
static inline bool is_segment_prefix(u8 byte)
{
	return byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e || byte == 0x64 || byte == 0x65;
}

/* False: not one of these.  @mov is undefined then. */
bool mov_decode(const u8 *code, u32 available, struct mov *mov);

#endif
