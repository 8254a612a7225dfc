/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bus: which device answers at which address. A machine has two, ports and memory.
 *
 * Laws:
 *   - Devices are added before the first processor runs; from then on the table only is read,
 *     by all processors at once. A device looks after its own locking.
 *   - Nobody there reads as ones, and what is written goes nowhere. So does an access that is
 *     only partly a device's.
 */
#ifndef DEVICES_BUS_H
#define DEVICES_BUS_H

#include <stdbool.h>
#include <stdint.h>

#define BUS_DEVICES_MAX	64u

/*
 * One access to @device, @offset bytes into its range, of 1, 2, 4 or 8 bytes. @value is what was
 * written, or takes what is read. Returns 0, or what the processor's run loop is to be left with.
 */
typedef int (*bus_access_fn)(void *device, uint64_t offset, unsigned int size, bool write,
			     uint64_t *value);

struct bus {
	struct bus_range {
		uint64_t start;
		uint64_t size;
		bus_access_fn access;
		void *device;
	} ranges[BUS_DEVICES_MAX];
	unsigned int count;
};

/* Gives [@start, @start + @size) to a device. -1 with errno: EINVAL, EEXIST (taken), ENOSPC. */
int bus_add(struct bus *bus, uint64_t start, uint64_t size, bus_access_fn access, void *device);

/* Whether a device has all of [@address, @address + @size). */
bool bus_has(const struct bus *bus, uint64_t address, unsigned int size);

/* One access; what is read has no bits above @size. Returns what the device does, or 0. */
int bus_access(const struct bus *bus, uint64_t address, unsigned int size, bool write,
	       uint64_t *value);

#endif
