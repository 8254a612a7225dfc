// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory functions that the compiler may call. Most of what is moved is tables and blocks of words: by words,
 * then what is left by bytes.
 */
#include "../core/types.h"

void *memcpy(void *to, const void *from, size_t bytes)
{
	void *start = to;
	size_t words = bytes / 8;

	bytes %= 8;
	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) :: "memory");
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) :: "memory");
	return start;
}

void *memset(void *to, int value, size_t bytes)
{
	void *start = to;
	size_t words = bytes / 8;

	bytes %= 8;
	__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"((u8)value * 0x0101010101010101ull) : "memory");
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
	return start;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const u8 *x = a, *y = b;

	for (; bytes; bytes--, x++, y++)
		if (*x != *y)
			return *x < *y ? -1 : 1;
	return 0;
}
