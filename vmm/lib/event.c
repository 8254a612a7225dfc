// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* libmshv: interrupts and doorbells by eventfd, and state of processors that is more than registers. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <uapi/mshv.h>

#include "internal.h"

static int irqfd(struct mshv_vm *vm, int event, int resample, uint32_t gsi, uint32_t flags)
{
	struct mshv_user_irqfd args = {
		.fd = event, .resamplefd = resample, .gsi = gsi, .flags = flags,
	};

	if (ioctl(vm->fd, MSHV_IRQFD, &args) < 0)
		return mshv_fail("eventfd %d as interrupt %" PRIu32, event, gsi);
	return 0;
}

int mshv_irqfd_add(struct mshv_vm *vm, int event, uint32_t gsi)
{
	return irqfd(vm, event, -1, gsi, 0);
}

int mshv_irqfd_add_level(struct mshv_vm *vm, int event, int resample, uint32_t gsi)
{
	return irqfd(vm, event, resample, gsi, 1u << MSHV_IRQFD_BIT_RESAMPLE);
}

int mshv_irqfd_remove(struct mshv_vm *vm, int event, uint32_t gsi)
{
	return irqfd(vm, event, -1, gsi, 1u << MSHV_IRQFD_BIT_DEASSIGN);
}

int mshv_msi_routes(struct mshv_vm *vm, const struct mshv_msi *routes, unsigned int count)
{
	struct mshv_user_irq_table *table = calloc(1, sizeof(*table) +
						      sizeof(table->entries[0]) * count);
	unsigned int i;
	int ret = 0;

	if (!table)
		return mshv_fail("%u interrupt routes", count);
	table->nr = count;
	for (i = 0; i < count; i++) {
		table->entries[i].gsi = routes[i].gsi;
		table->entries[i].address_lo = (uint32_t)routes[i].address;
		table->entries[i].address_hi = (uint32_t)(routes[i].address >> 32);
		table->entries[i].data = routes[i].data;
	}
	if (ioctl(vm->fd, MSHV_SET_MSI_ROUTING, table) < 0)
		ret = mshv_fail("%u interrupt routes", count);
	free(table);
	return ret;
}

static int ioeventfd(struct mshv_vm *vm, int event, uint64_t gpa, unsigned int size,
		     const uint64_t *value, uint32_t flags)
{
	struct mshv_user_ioeventfd args = {
		.datamatch = value ? *value : 0, .addr = gpa, .len = size, .fd = event,
		.flags = flags | (value ? 1u << MSHV_IOEVENTFD_BIT_DATAMATCH : 0),
	};

	if (ioctl(vm->fd, MSHV_IOEVENTFD, &args) < 0)
		return mshv_fail("eventfd %d for writes to 0x%" PRIx64, event, gpa);
	return 0;
}

int mshv_ioeventfd_add(struct mshv_vm *vm, int event, uint64_t gpa, unsigned int size,
		       const uint64_t *value)
{
	return ioeventfd(vm, event, gpa, size, value, 0);
}

int mshv_ioeventfd_remove(struct mshv_vm *vm, int event, uint64_t gpa, unsigned int size,
			  const uint64_t *value)
{
	return ioeventfd(vm, event, gpa, size, value, 1u << MSHV_IOEVENTFD_BIT_DEASSIGN);
}

static int vcpu_state(struct mshv_vcpu *vcpu, unsigned long request, unsigned int type, void *data,
		      size_t *size)
{
	struct mshv_get_set_vp_state args = { .buf_ptr = (uintptr_t)data };
	int ret;

	/* The fields are narrower than the arguments, and what is cut off may be the state of something else. */
	if (type > UINT8_MAX || *size > UINT32_MAX)
		return mshv_fail_because(EINVAL, "state %u of processor %u, %zu bytes: no such state, or too large",
					 type, vcpu->index, *size);
	args.type = (uint8_t)type;
	args.buf_sz = (uint32_t)*size;
	ret = ioctl(vcpu->fd, request, &args);
	*size = args.buf_sz;
	if (ret < 0)
		return mshv_fail("state %u of processor %u", type, vcpu->index);
	return 0;
}

int mshv_vcpu_get_state(struct mshv_vcpu *vcpu, unsigned int type, void *data, size_t *size)
{
	return vcpu_state(vcpu, MSHV_GET_VP_STATE, type, data, size);
}

int mshv_vcpu_set_state(struct mshv_vcpu *vcpu, unsigned int type, void *data, size_t size)
{
	return vcpu_state(vcpu, MSHV_SET_VP_STATE, type, data, &size);
}
