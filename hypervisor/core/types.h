/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Basic types and helpers of the hypervisor core.  Freestanding: nothing
 * here needs a C library, an assembler or a device.
 */
#ifndef CORE_TYPES_H
#define CORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int16_t s16;

#define PAGE_SHIFT	12u
#define PAGE_SIZE	4096ull
#define BLOCK_SHIFT	21u
#define BLOCK_PAGES	512ull		/* 4 KiB pages in 2 MiB */

#define BIT(n)		(1ull << (n))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static inline u64 min_u64(u64 a, u64 b) { return a < b ? a : b; }
static inline u64 max_u64(u64 a, u64 b) { return a > b ? a : b; }
static inline bool aligned(u64 value, u64 size) { return !(value & (size - 1)); }
static inline u64 align_down(u64 value, u64 size) { return value & ~(size - 1); }
static inline u64 align_up(u64 value, u64 size) { return align_down(value + size - 1, size); }

/* True if [base, base + count) lies below limit; never wraps. */
static inline bool range_below(u64 base, u64 count, u64 limit)
{
	return base < limit && count <= limit - base;
}

void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

#endif
