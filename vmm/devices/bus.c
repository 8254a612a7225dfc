// SPDX-License-Identifier: GPL-2.0-only
/* A bus, see bus.h: few devices, so a list that is looked through is enough. */
#include <errno.h>
#include <stddef.h>

#include "bus.h"

int bus_add(struct bus *bus, uint64_t start, uint64_t size, bus_access_fn access, void *device)
{
	unsigned int i;

	if (size == 0 || start + (size - 1) < start) {
		errno = EINVAL;
		return -1;
	}
	for (i = 0; i < bus->count; i++) {
		const struct bus_range *r = &bus->ranges[i];

		if (start <= r->start + (r->size - 1) && r->start <= start + (size - 1)) {
			errno = EEXIST;
			return -1;
		}
	}
	if (bus->count == BUS_DEVICES_MAX) {
		errno = ENOSPC;
		return -1;
	}
	bus->ranges[bus->count++] = (struct bus_range){ start, size, access, device };
	return 0;
}

static const struct bus_range *find(const struct bus *bus, uint64_t address, unsigned int size)
{
	unsigned int i;

	for (i = 0; i < bus->count; i++) {
		const struct bus_range *r = &bus->ranges[i];

		if (address >= r->start && size <= r->size && address - r->start <= r->size - size)
			return r;
	}
	return NULL;
}

bool bus_has(const struct bus *bus, uint64_t address, unsigned int size)
{
	return find(bus, address, size);
}

static uint64_t ones(unsigned int size)
{
	return size >= 8 ? ~0ull : (1ull << 8 * size) - 1;
}

int bus_access(const struct bus *bus, uint64_t address, unsigned int size, bool write,
	       uint64_t *value)
{
	const struct bus_range *r = find(bus, address, size);
	uint64_t data = write ? *value & ones(size) : ones(size);
	int ret = 0;

	if (r)
		ret = r->access(r->device, address - r->start, size, write, &data);
	if (!write)
		*value = data & ones(size);
	return ret;
}
