/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest's memory as its devices and its loader see it: the VMM's own mapping, in two pieces
 * around the hole that a PC keeps for devices below 4 GiB.
 */
#ifndef DEVICES_RAM_H
#define DEVICES_RAM_H

#include <stddef.h>
#include <stdint.h>

#define RAM_HOLE_START	0xc0000000ull
#define RAM_HOLE_END	0x100000000ull

struct guest_ram {
	uint8_t *low;			/* from guest address 0 on */
	uint64_t low_size;		/* at most RAM_HOLE_START */
	uint8_t *high;			/* from RAM_HOLE_END on; NULL if there is none */
	uint64_t high_size;
};

/* The address of guest memory [@gpa, @gpa + @size), or NULL if not all of it is memory. */
static inline void *guest_ram_at(const struct guest_ram *ram, uint64_t gpa, uint64_t size)
{
	if (size <= ram->low_size && gpa <= ram->low_size - size)
		return ram->low + gpa;
	if (gpa < RAM_HOLE_END)
		return NULL;
	gpa -= RAM_HOLE_END;
	if (ram->high && size <= ram->high_size && gpa <= ram->high_size - size)
		return ram->high + gpa;
	return NULL;
}

#endif
