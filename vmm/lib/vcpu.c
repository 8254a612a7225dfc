// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* libmshv: virtual processors, their registers, and one run until the next message. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <uapi/mshv.h>

#include "internal.h"

#define REGISTERS_MAX	64

struct mshv_vcpu *mshv_vcpu_create(struct mshv_vm *vm, uint32_t index)
{
	struct mshv_create_vp args = { .vp_index = index };
	struct mshv_vcpu *vcpu = calloc(1, sizeof(*vcpu));
	void *page;

	if (!vcpu) {
		mshv_fail("create processor %u", index);
		return NULL;
	}
	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->fd = ioctl(vm->fd, MSHV_CREATE_VP, &args);
	if (vcpu->fd < 0) {
		mshv_fail("create processor %u", index);
		free(vcpu);
		return NULL;
	}
	page = mmap(NULL, MSHV_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd,
		    MSHV_VP_MMAP_OFFSET_REGISTERS * (off_t)MSHV_PAGE_SIZE);
	if (page != MAP_FAILED)
		vcpu->page = page;
	return vcpu;
}

void mshv_vcpu_destroy(struct mshv_vcpu *vcpu)
{
	if (!vcpu)
		return;
	if (vcpu->page)
		munmap(vcpu->page, MSHV_PAGE_SIZE);
	close(vcpu->fd);
	free(vcpu);
}

uint32_t mshv_vcpu_index(const struct mshv_vcpu *vcpu)
{
	return vcpu->index;
}

struct mshv_vm *mshv_vcpu_vm(const struct mshv_vcpu *vcpu)
{
	return vcpu->vm;
}

int mshv_vcpu_fd(const struct mshv_vcpu *vcpu)
{
	return vcpu->fd;
}

int mshv_get_registers(struct mshv_vcpu *vcpu, const uint32_t *names,
		       union hvabi_register_value *values, unsigned int count)
{
	union {
		struct hvabi_input_get_vp_registers in;
		uint8_t bytes[sizeof(struct hvabi_input_get_vp_registers) +
			      REGISTERS_MAX * sizeof(uint32_t)];
	} u = { 0 };
	uint16_t reps = (uint16_t)count;

	if (count == 0 || count > REGISTERS_MAX)
		return mshv_fail_because(EINVAL, "read %u registers: 1 to %u", count,
					 REGISTERS_MAX);
	u.in.vp_index = vcpu->index;
	memcpy(u.bytes + sizeof(u.in), names, count * sizeof(*names));
	return mshv_hypercall(vcpu->fd, HVABI_CALL_GET_VP_REGISTERS, &reps, &u,
			      sizeof(u.in) + count * sizeof(*names), values,
			      count * sizeof(*values), NULL);
}

int mshv_set_registers(struct mshv_vcpu *vcpu, const struct hvabi_register_assoc *regs,
		       unsigned int count)
{
	union {
		struct hvabi_input_set_vp_registers in;
		uint8_t bytes[sizeof(struct hvabi_input_set_vp_registers) +
			      REGISTERS_MAX * sizeof(struct hvabi_register_assoc)];
	} u = { 0 };
	uint16_t reps = (uint16_t)count;

	if (count == 0 || count > REGISTERS_MAX)
		return mshv_fail_because(EINVAL, "write %u registers: 1 to %u", count,
					 REGISTERS_MAX);
	u.in.vp_index = vcpu->index;
	memcpy(u.bytes + sizeof(u.in), regs, count * sizeof(*regs));
	if (mshv_hypercall(vcpu->fd, HVABI_CALL_SET_VP_REGISTERS, &reps, &u,
			   sizeof(u.in) + count * sizeof(*regs), NULL, 0, NULL)) {
		if (reps < count)
			return mshv_fail("write register 0x%x", regs[reps].name);
		return -1;
	}
	return 0;
}

int mshv_get_register(struct mshv_vcpu *vcpu, uint32_t name, uint64_t *value)
{
	union hvabi_register_value v;

	if (mshv_get_registers(vcpu, &name, &v, 1))
		return -1;
	*value = v.reg64;
	return 0;
}

int mshv_set_register(struct mshv_vcpu *vcpu, uint32_t name, uint64_t value)
{
	struct hvabi_register_assoc reg = { .name = name, .value.reg64 = value };

	return mshv_set_registers(vcpu, &reg, 1);
}

int mshv_get_general(struct mshv_vcpu *vcpu, struct mshv_general *general)
{
	const struct hvabi_vp_register_page *page = vcpu->page;
	uint32_t names[18];
	union hvabi_register_value values[18];
	unsigned int i;

	if (page && page->isvalid) {
		memcpy(general->gp, page->gp_registers, sizeof(general->gp));
		general->rip = page->rip;
		general->rflags = page->rflags;
		return 0;
	}
	for (i = 0; i < 18; i++)
		names[i] = HVABI_REG_RAX + i;
	if (mshv_get_registers(vcpu, names, values, 18))
		return -1;
	for (i = 0; i < 16; i++)
		general->gp[i] = values[i].reg64;
	general->rip = values[16].reg64;
	general->rflags = values[17].reg64;
	return 0;
}

int mshv_set_general(struct mshv_vcpu *vcpu, const struct mshv_general *general)
{
	struct hvabi_vp_register_page *page = vcpu->page;
	struct hvabi_register_assoc regs[18] = { 0 };
	unsigned int i;

	if (page && page->isvalid) {
		memcpy(page->gp_registers, general->gp, sizeof(general->gp));
		page->rip = general->rip;
		page->rflags = general->rflags;
		page->dirty |= HVABI_REGISTER_PAGE_DIRTY_GENERAL | HVABI_REGISTER_PAGE_DIRTY_IP |
			       HVABI_REGISTER_PAGE_DIRTY_FLAGS;
		return 0;
	}
	_Static_assert(HVABI_REG_RIP == HVABI_REG_RAX + 16 && HVABI_REG_RFLAGS == HVABI_REG_RAX + 17,
		       "one row of names");
	for (i = 0; i < 18; i++) {
		regs[i].name = HVABI_REG_RAX + i;
		regs[i].value.reg64 = i < 16 ? general->gp[i] :
				      i == 16 ? general->rip : general->rflags;
	}
	return mshv_set_registers(vcpu, regs, 18);
}

/* Linux's own driver does not know of the flag, and says so. */
static int run(struct mshv_vcpu *vcpu)
{
	int ret = -1;

	if (!vcpu->plain_run) {
		ret = ioctl(vcpu->fd, MSHV_RUN_VP_EXIT, &vcpu->run);
		vcpu->plain_run = ret && errno == ENOTTY;
	}
	return vcpu->plain_run ? ioctl(vcpu->fd, MSHV_RUN_VP, &vcpu->run) : ret;
}

int mshv_vcpu_run(struct mshv_vcpu *vcpu, struct hvabi_message *message)
{
	struct hvabi_message_header header;
	int ret, error;

	_Static_assert(sizeof(vcpu->run.msg_buf) == sizeof(*message), "RUN_VP returns one message");
	/* Before the looks for a kick: one that comes from here on is seen by one of them. */
	__atomic_store_n(&vcpu->run.immediate_exit, 0, __ATOMIC_SEQ_CST);
	memset(message, 0, sizeof(*message));
	atomic_store(&vcpu->running, true);
	if (atomic_exchange(&vcpu->kicked, false)) {
		atomic_store(&vcpu->running, false);
		return mshv_fail_because(EINTR, "processor %u: kicked", vcpu->index);
	}
	/* Most errors come without a message, and what the last run left here is none of this one. */
	memset(vcpu->run.msg_buf, 0, sizeof(message->header));
	ret = run(vcpu);
	error = errno;
	atomic_store(&vcpu->running, false);
	memcpy(&header, vcpu->run.msg_buf, sizeof(header));
	if (!ret || header.message_type != HVABI_MSG_NONE)
		memcpy(message, vcpu->run.msg_buf, sizeof(*message));
	if (ret < 0) {
		if (error == EINTR)
			atomic_store(&vcpu->kicked, false);
		errno = error;
		return mshv_fail("run processor %u", vcpu->index);
	}
	return 0;
}

/*
 * A signal that comes before the ioctl ends nothing: a driver that knows MSHV_RUN_VP_EXIT finds the flag. For
 * others it is said again until the processor's thread has heard it. Without a signal the flag is all there is.
 */
void mshv_vcpu_kick(struct mshv_vcpu *vcpu, unsigned long thread)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	const int signal = mshv_kick_signal_now();

	atomic_store(&vcpu->kicked, true);
	__atomic_store_n(&vcpu->run.immediate_exit, 1, __ATOMIC_SEQ_CST);
	while (signal && atomic_load(&vcpu->running) && atomic_load(&vcpu->kicked)) {
		pthread_kill(thread, signal);
		nanosleep(&pause, NULL);
	}
}
