// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events of a VMM that are interrupts of its guest, writes of the guest that are events, and the state of processors that
 * is more than registers. What an interrupt came to is seen in the local APIC's request register: the guest never takes it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <hvabi/cpuid.h>
#include <hvabi/hypercall.h>
#include <hvabi/message.h>
#include <hvabi/partition.h>
#include <hvabi/status.h>
#include <hvabi/vp.h>
#include <uapi/mshv.h>

#include "ktap.h"
#include "probe.h"

#define DOORBELL	0xfe000000ull
#define EVENTS		8

typedef unsigned long long ull;

static struct probe probe, second;
static int event[EVENTS] = { -1, -1, -1, -1, -1, -1, -1, -1 };
static uint8_t state[2][4 * PAGE] __attribute__((aligned(4096)));

static void tear_down(void)
{
	unsigned int i;

	for (i = 0; i < EVENTS; i++) {
		if (event[i] >= 0)
			close(event[i]);
		event[i] = -1;
	}
	if (second.vcpu)
		mshv_vcpu_destroy(second.vcpu);
	second.vcpu = NULL;
	probe_close(&probe);
}

#define REFUSED(error, call) \
	do { \
		int got = (call); \
		CHECK(got == -1 && errno == (error), "%d, %s", got, strerror(errno)); \
	} while (0)

static enum ktap_result set_up(void)
{
	unsigned int i;

	CHECK(!probe_open_with_apic(&probe), "%s", mshv_error());
	CHECK(!probe_second(&second, &probe), "%s", mshv_error());
	for (i = 0; i < EVENTS; i++) {
		event[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		CHECK(event[i] >= 0, "%s", strerror(errno));
	}
	return PASS;
}

static enum ktap_result set_up_interrupts(void)
{
	CHECK_PASS(set_up());
	CHECK(!probe_enable_apic(&probe) && !probe_enable_apic(&second), "%s", mshv_error());
	return PASS;
}

static void signal_event(unsigned int i)
{
	eventfd_write(event[i], 1);
}

/* How often it was signalled since the last time. */
static uint64_t count_event(unsigned int i)
{
	eventfd_t count;

	return eventfd_read(event[i], &count) ? 0 : count;
}

#define REQUESTED(p, wanted) \
	do { \
		unsigned int last_; \
		int count_ = probe_take_interrupts(p, &last_); \
		CHECK(count_ == 1 && last_ == (wanted), "%d interrupts, the last 0x%x; %s", count_, last_, \
		      count_ < 0 ? mshv_error() : ""); \
	} while (0)

#define NOT_REQUESTED(p) \
	do { \
		unsigned int last_; \
		int count_ = probe_take_interrupts(p, &last_); \
		CHECK(!count_, "%d interrupts, the last 0x%x", count_, last_); \
	} while (0)

/* To APIC @dest, edge. */
static struct mshv_msi route(uint32_t gsi, unsigned int dest, unsigned int vector)
{
	return (struct mshv_msi){ .gsi = gsi, .address = 0xfee00000u | dest << 12, .data = vector };
}

static enum ktap_result routes(void)
{
	struct mshv_msi one[] = { route(3, 0, 0x41), route(4, 1, 0x42) };
	struct mshv_msi other[] = { route(3, 1, 0x51) };

	CHECK_PASS(set_up_interrupts());
	CHECK(!mshv_irqfd_add(probe.vm, event[0], 3), "%s", mshv_error());
	CHECK(!mshv_irqfd_add(probe.vm, event[1], 4), "%s", mshv_error());
	/* No route: no interrupt, and none later. */
	signal_event(0);
	NOT_REQUESTED(&probe);
	CHECK(!mshv_msi_routes(probe.vm, one, 2), "%s", mshv_error());
	NOT_REQUESTED(&probe);
	signal_event(0);
	REQUESTED(&probe, 0x41);
	NOT_REQUESTED(&second);
	signal_event(1);
	REQUESTED(&second, 0x42);
	NOT_REQUESTED(&probe);
	/* The table is replaced as a whole. */
	CHECK(!mshv_msi_routes(probe.vm, other, 1), "%s", mshv_error());
	signal_event(0);
	signal_event(1);
	REQUESTED(&second, 0x51);
	NOT_REQUESTED(&probe);
	CHECK(!mshv_msi_routes(probe.vm, NULL, 0), "%s", mshv_error());
	signal_event(0);
	NOT_REQUESTED(&second);
	/* Nobody else has taken the events. */
	CHECK(!count_event(0) && !count_event(1));
	return PASS;
}

static enum ktap_result come_and_go(void)
{
	struct mshv_msi table[] = { route(3, 0, 0x41), route(5, 0, 0x43) };

	CHECK_PASS(set_up_interrupts());
	CHECK(!mshv_msi_routes(probe.vm, table, 2), "%s", mshv_error());
	/* What was signalled before is an interrupt. */
	signal_event(0);
	CHECK(!mshv_irqfd_add(probe.vm, event[0], 3), "%s", mshv_error());
	REQUESTED(&probe, 0x41);
	REFUSED(EBUSY, mshv_irqfd_add(probe.vm, event[0], 5));
	/* What is not there is no error, and takes nothing along. */
	CHECK(!mshv_irqfd_remove(probe.vm, event[0], 5), "%s", mshv_error());
	signal_event(0);
	REQUESTED(&probe, 0x41);
	CHECK(!mshv_irqfd_remove(probe.vm, event[0], 3), "%s", mshv_error());
	signal_event(0);
	NOT_REQUESTED(&probe);
	CHECK(count_event(0) == 1, "an event that is none of the driver's any more");
	/* Closed while it is assigned; another one comes in its place. */
	CHECK(!mshv_irqfd_add(probe.vm, event[0], 3), "%s", mshv_error());
	close(event[0]);
	event[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(!mshv_irqfd_add(probe.vm, event[0], 5), "%s", mshv_error());
	signal_event(0);
	REQUESTED(&probe, 0x43);
	/* And a guest goes with all of them. */
	CHECK(!mshv_irqfd_add(probe.vm, event[1], 3), "%s", mshv_error());
	mshv_vcpu_destroy(second.vcpu);
	second.vcpu = NULL;
	probe_close(&probe);
	signal_event(0);
	signal_event(1);
	CHECK(count_event(0) == 1 && count_event(1) == 1);
	return PASS;
}

static enum ktap_result bad_interrupts(void)
{
	struct mshv_msi twice[] = { route(3, 0, 0x41), route(3, 0, 0x42) };
	struct mshv_msi high[] = { { .gsi = 3, .address = 1ull << 32, .data = 0x41 } };
	struct mshv_msi large[] = { route(MSHV_GSI_MAX, 0, 0x41) };
	struct mshv_msi good[] = { route(MSHV_GSI_MAX - 1, 0, 0x41) };
	struct mshv_user_irqfd args;
	struct mshv_user_irq_table table = { .rsvd = 1 };
	int fd, pipes[2];

	CHECK_PASS(set_up_interrupts());
	fd = mshv_vm_fd(probe.vm);
	CHECK(!mshv_msi_routes(probe.vm, good, 1), "%s", mshv_error());
	REFUSED(EINVAL, mshv_msi_routes(probe.vm, twice, 2));
	REFUSED(EINVAL, mshv_msi_routes(probe.vm, high, 1));
	REFUSED(EINVAL, mshv_msi_routes(probe.vm, large, 1));
	REFUSED(EINVAL, ioctl(fd, MSHV_SET_MSI_ROUTING, &table));
	table = (struct mshv_user_irq_table){ .nr = MSHV_GSI_MAX + 1 };
	REFUSED(EINVAL, ioctl(fd, MSHV_SET_MSI_ROUTING, &table));
	REFUSED(EFAULT, ioctl(fd, MSHV_SET_MSI_ROUTING, NULL));

	args = (struct mshv_user_irqfd){ .fd = event[0], .flags = 4 };
	REFUSED(EINVAL, ioctl(fd, MSHV_IRQFD, &args));
	args = (struct mshv_user_irqfd){ .fd = -1 };
	REFUSED(EBADF, ioctl(fd, MSHV_IRQFD, &args));
	CHECK(!pipe(pipes));
	args = (struct mshv_user_irqfd){ .fd = pipes[0] };
	REFUSED(EINVAL, ioctl(fd, MSHV_IRQFD, &args));
	close(pipes[0]);
	close(pipes[1]);
	/* To be resampled, but routed as an edge. */
	REFUSED(EINVAL, mshv_irqfd_add_level(probe.vm, event[0], event[1], MSHV_GSI_MAX - 1));
	/* GSIs that no table can have: never routed. */
	for (unsigned int i = 0; i < 2; i++) {
		args = (struct mshv_user_irqfd){ .fd = event[0], .gsi = i ? ~0u : MSHV_GSI_MAX };
		CHECK(!ioctl(fd, MSHV_IRQFD, &args), "%s", strerror(errno));
		signal_event(0);
		NOT_REQUESTED(&probe);
		args.flags = 1 << MSHV_IRQFD_BIT_DEASSIGN;
		CHECK(!ioctl(fd, MSHV_IRQFD, &args), "%s", strerror(errno));
	}
	/* What was there is still there. */
	CHECK(!mshv_irqfd_add(probe.vm, event[0], MSHV_GSI_MAX - 1), "%s", mshv_error());
	signal_event(0);
	REQUESTED(&probe, 0x41);
	return PASS;
}

static volatile bool stop;
static volatile uint64_t signals;

static void *signaller(void *arg)
{
	(void)arg;
	while (!stop) {
		signal_event(0);
		signals++;
	}
	return NULL;
}

/* One thread signals, another replaces routes, takes the irqfd away and puts it back. */
static enum ktap_result while_they_change(void)
{
	struct mshv_msi one[] = { route(3, 0, 0x41) }, other[] = { route(3, 1, 0x51), route(4000, 1, 0x52) };
	unsigned int i, vector;
	pthread_t thread;
	int requests;

	CHECK_PASS(set_up_interrupts());
	CHECK(!mshv_msi_routes(probe.vm, one, 1), "%s", mshv_error());
	stop = false;
	signals = 0;
	CHECK(!pthread_create(&thread, NULL, signaller, NULL));
	for (i = 0; i < 300 || signals < 1000; i++) {
		if (mshv_irqfd_add(probe.vm, event[0], 3) || mshv_msi_routes(probe.vm, other, 2) ||
		    mshv_msi_routes(probe.vm, one, 1) || mshv_irqfd_remove(probe.vm, event[0], 3))
			break;
	}
	stop = true;
	pthread_join(thread, NULL);
	CHECK(i >= 300, "%s", mshv_error());
	/* It is gone: what was asked for up to now is all. */
	requests = probe_take_interrupts(&probe, &vector);
	CHECK(requests == 1 && vector == 0x41, "%d, 0x%x", requests, vector);
	requests = probe_take_interrupts(&second, &vector);
	CHECK(requests == 0 || (requests == 1 && vector == 0x51), "%d, 0x%x", requests, vector);
	signal_event(0);
	NOT_REQUESTED(&probe);
	NOT_REQUESTED(&second);
	return PASS;
}

static volatile unsigned int rounds;

static void *assigner(void *arg)
{
	(void)arg;
	while (!stop) {
		mshv_irqfd_add(probe.vm, event[0], 3);
		mshv_irqfd_remove(probe.vm, event[0], 3);
		rounds++;
	}
	return NULL;
}

/* Several threads do so with one event. */
static enum ktap_result by_several(void)
{
	struct mshv_msi one[] = { route(3, 0, 0x41) };
	pthread_t thread[3];
	unsigned int i, last;

	CHECK_PASS(set_up_interrupts());
	CHECK(!mshv_msi_routes(probe.vm, one, 1), "%s", mshv_error());
	stop = false;
	rounds = 0;
	for (i = 0; i < 3; i++)
		CHECK(!pthread_create(&thread[i], NULL, assigner, NULL));
	for (i = 0; i < 2000 || rounds < 3000; i++)
		signal_event(0);
	stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	CHECK(!mshv_irqfd_remove(probe.vm, event[0], 3), "%s", mshv_error());
	CHECK(probe_take_interrupts(&probe, &last) >= 0);
	signal_event(0);
	NOT_REQUESTED(&probe);
	return PASS;
}

/* One event in two guests: closing it takes it from both. */
static enum ktap_result in_two_guests(void)
{
	struct mshv_msi one[] = { route(3, 0, 0x41) };
	struct mshv_vm *other;

	CHECK_PASS(set_up_interrupts());
	other = mshv_vm_create();
	CHECK(other, "%s", mshv_error());
	CHECK(!mshv_msi_routes(probe.vm, one, 1), "%s", mshv_error());
	CHECK(!mshv_irqfd_add(other, event[0], 3) && !mshv_irqfd_add(probe.vm, event[0], 3), "%s", mshv_error());
	close(event[0]);
	event[0] = -1;
	mshv_vm_destroy(other);
	NOT_REQUESTED(&probe);
	return PASS;
}

/* ---- doorbells: the guest writes 8 bytes ---- */

static enum ktap_result rings(void)
{
	const uint64_t seven = 7;

	CHECK_PASS(set_up());
	CHECK(probe_write(&probe, DOORBELL, 1) == PROBE_VMM, "a write that nobody asked for");
	CHECK(!mshv_ioeventfd_add(probe.vm, event[0], DOORBELL, 0, NULL), "%s", mshv_error());
	CHECK(!mshv_ioeventfd_add(probe.vm, event[1], DOORBELL + 8, 8, &seven), "%s", mshv_error());
	CHECK(!mshv_ioeventfd_add(probe.vm, event[2], DOORBELL + 16, 4, NULL), "%s", mshv_error());

	CHECK(probe_write(&probe, DOORBELL, 1) == PROBE_DONE, "%d, message 0x%x", probe.error,
	      probe.message.header.message_type);
	CHECK(count_event(0) == 1);
	CHECK(probe_write(&second, DOORBELL, 2) == PROBE_DONE);
	CHECK(probe_write(&probe, DOORBELL, 3) == PROBE_DONE);
	CHECK(count_event(0) == 2);
	/* This value and no other. */
	CHECK(probe_write(&probe, DOORBELL + 8, 7) == PROBE_DONE);
	CHECK(probe_write(&probe, DOORBELL + 8, 8) == PROBE_VMM);
	CHECK(count_event(1) == 1);
	/* Not of this size. */
	CHECK(probe_write(&probe, DOORBELL + 16, 7) == PROBE_VMM);
	CHECK(!count_event(2));
	/* This value, in whatever length. */
	CHECK(!mshv_ioeventfd_add(probe.vm, event[3], DOORBELL + 24, 0, &seven), "%s", mshv_error());
	CHECK(probe_write(&probe, DOORBELL + 24, 8) == PROBE_VMM);
	CHECK(probe_write(&probe, DOORBELL + 24, 7) == PROBE_DONE);
	CHECK(count_event(3) == 1);
	REFUSED(EEXIST, mshv_ioeventfd_add(probe.vm, event[2], DOORBELL + 24, 4, &seven));
	REFUSED(ENOENT, mshv_ioeventfd_remove(probe.vm, event[3], DOORBELL + 24, 0, NULL));
	CHECK(!mshv_ioeventfd_remove(probe.vm, event[3], DOORBELL + 24, 0, &seven), "%s", mshv_error());
	CHECK(probe_write(&probe, DOORBELL + 24, 7) == PROBE_VMM);
	/* Reads are none. */
	{
		uint64_t value;

		CHECK(probe_read(&probe, DOORBELL, &value) == PROBE_VMM);
	}
	CHECK(!count_event(0));

	CHECK(!mshv_ioeventfd_remove(probe.vm, event[0], DOORBELL, 0, NULL), "%s", mshv_error());
	CHECK(probe_write(&probe, DOORBELL, 1) == PROBE_VMM);
	CHECK(!count_event(0));
	CHECK(!mshv_ioeventfd_add(probe.vm, event[3], DOORBELL, 8, NULL), "%s", mshv_error());
	CHECK(probe_write(&probe, DOORBELL, 1) == PROBE_DONE);
	CHECK(count_event(3) == 1 && !count_event(0));
	return PASS;
}

static enum ktap_result bad_doorbells(void)
{
	const uint64_t one = 1, two = 2;
	struct mshv_user_ioeventfd args;
	int fd;

	CHECK_PASS(set_up());
	/* A partition that is not ready has none, and takes no port's number with it. */
	{
		struct mshv_create_partition create = { };
		int device = open("/dev/mshv", O_RDWR | O_CLOEXEC);

		fd = ioctl(device, MSHV_CREATE_PARTITION, &create);
		CHECK(fd >= 0, "%s", strerror(errno));
		args = (struct mshv_user_ioeventfd){ .addr = DOORBELL, .len = 8, .fd = event[0] };
		REFUSED(EINVAL, ioctl(fd, MSHV_IOEVENTFD, &args));
		close(fd);
		close(device);
	}
	fd = mshv_vm_fd(probe.vm);
	args = (struct mshv_user_ioeventfd){ .addr = DOORBELL, .fd = event[0],
					     .flags = 1u << MSHV_IOEVENTFD_BIT_PIO };
	REFUSED(EOPNOTSUPP, ioctl(fd, MSHV_IOEVENTFD, &args));
	args.flags = 1u << MSHV_IOEVENTFD_BIT_COUNT;
	REFUSED(EINVAL, ioctl(fd, MSHV_IOEVENTFD, &args));
	args = (struct mshv_user_ioeventfd){ .addr = DOORBELL, .fd = event[0], .rsvd = { 1 } };
	REFUSED(EINVAL, ioctl(fd, MSHV_IOEVENTFD, &args));
	REFUSED(EINVAL, mshv_ioeventfd_add(probe.vm, event[0], DOORBELL, 3, NULL));
	REFUSED(EINVAL, mshv_ioeventfd_add(probe.vm, event[0], DOORBELL, 16, NULL));
	REFUSED(EINVAL, mshv_ioeventfd_add(probe.vm, event[0], ~0ull, 8, NULL));
	REFUSED(EBADF, mshv_ioeventfd_add(probe.vm, -1, DOORBELL, 8, NULL));
	REFUSED(EFAULT, ioctl(fd, MSHV_IOEVENTFD, NULL));
	REFUSED(ENOENT, mshv_ioeventfd_remove(probe.vm, event[0], DOORBELL, 8, NULL));

	CHECK(!mshv_ioeventfd_add(probe.vm, event[0], DOORBELL, 8, &one), "%s", mshv_error());
	REFUSED(EEXIST, mshv_ioeventfd_add(probe.vm, event[1], DOORBELL, 8, &one));
	REFUSED(EEXIST, mshv_ioeventfd_add(probe.vm, event[1], DOORBELL, 8, NULL));
	REFUSED(EEXIST, mshv_ioeventfd_add(probe.vm, event[1], DOORBELL, 0, NULL));
	CHECK(!mshv_ioeventfd_add(probe.vm, event[1], DOORBELL, 8, &two), "%s", mshv_error());
	REFUSED(ENOENT, mshv_ioeventfd_remove(probe.vm, event[0], DOORBELL, 8, &two));
	REFUSED(ENOENT, mshv_ioeventfd_remove(probe.vm, event[0], DOORBELL, 4, &one));
	CHECK(probe_write(&probe, DOORBELL, 1) == PROBE_DONE && probe_write(&probe, DOORBELL, 2) == PROBE_DONE);
	CHECK(count_event(0) == 1 && count_event(1) == 1);
	return PASS;
}

/* More of them than a ring has places, each rung as often as it was written. */
static enum ktap_result many_doorbells(void)
{
	const unsigned int count = 200;
	int64_t lent = probe_lent();
	int fds[200];
	unsigned int i, round;
	eventfd_t rung;

	CHECK_PASS(set_up());
	for (i = 0; i < count; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		CHECK(fds[i] >= 0, "%s", strerror(errno));
		CHECK(!mshv_ioeventfd_add(probe.vm, fds[i], DOORBELL + 8 * i, 8, NULL), "%u: %s", i,
		      mshv_error());
	}
	/* There is an end to them. */
	for (i = count; !mshv_ioeventfd_add(probe.vm, fds[0], DOORBELL + 8 * i, 8, NULL) && i < 2000; i++)
		;
	CHECK(i == 1000 && errno == ENOSPC, "%u: %s", i, mshv_error());
	for (round = 0; round < 3; round++)
		for (i = 0; i < count; i++)
			CHECK(probe_write(&probe, DOORBELL + 8 * i, i) == PROBE_DONE, "%u", i);
	for (i = 0; i < count; i++) {
		CHECK(!eventfd_read(fds[i], &rung) && rung == 3, "%u: %llu", i, (ull)rung);
		close(fds[i]);
	}
	mshv_vcpu_destroy(second.vcpu);
	second.vcpu = NULL;
	probe_close(&probe);
	CHECK(probe_lent() == lent, "%lld pages lent, before %lld", (long long)probe_lent(), (long long)lent);
	return PASS;
}

/* ---- state ---- */

static enum ktap_result state_comes_back(void)
{
	static const unsigned int types[] = {
		MSHV_VP_STATE_LAPIC, MSHV_VP_STATE_XSAVE, MSHV_VP_STATE_SYNTHETIC_TIMERS,
	};
	unsigned int i;
	size_t size;

	CHECK_PASS(set_up());
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		size = sizeof(state[0]);
		memset(state, 0xee, sizeof(state));
		CHECK(!mshv_vcpu_get_state(probe.vcpu, types[i], state[0], &size), "%u: %s", types[i],
		      mshv_error());
		CHECK(size > 100 && size <= sizeof(state[0]), "%u: %zu bytes", types[i], size);
		CHECK(size == sizeof(state[0]) || state[0][size] == 0xee, "%u: more than %zu bytes", types[i],
		      size);
		CHECK(!mshv_vcpu_set_state(probe.vcpu, types[i], state[0], sizeof(state[0])), "%u: %s",
		      types[i], mshv_error());
		size = sizeof(state[1]);
		CHECK(!mshv_vcpu_get_state(probe.vcpu, types[i], state[1], &size), "%s", mshv_error());
		CHECK(!memcmp(state[0], state[1], size), "%u: not what was set", types[i]);
	}
	return PASS;
}

/* ---- what is given to the guest's own controller, without a port ---- */

#define GUEST_MESSAGES	0x20000u	/* pages of the guest's that nobody has touched */
#define GUEST_FLAGS	0x21000u
#define GUEST_SINT	4u

static int give(uint16_t code, const void *in, size_t bytes, uint64_t *out, uint16_t *status)
{
	struct mshv_root_hvcall args = {
		.code = code, .in_sz = (uint16_t)bytes, .in_ptr = (uintptr_t)in,
		.out_sz = out ? sizeof(*out) : 0, .out_ptr = (uintptr_t)out,
	};
	int ret = ioctl(mshv_vm_fd(probe.vm), MSHV_ROOT_HVCALL, &args);

	*status = args.status;
	return ret;
}

static int give_message(uint32_t type, uint32_t sint, uint16_t *status)
{
	struct hvabi_input_post_message_direct in = { .sint_index = sint };
	struct hvabi_message message = { .header = { .message_type = type, .payload_size = 8 } };

	memset(message.payload, 0xa5, 8);
	memcpy(in.message, &message, sizeof(message));
	return give(HVABI_CALL_POST_MESSAGE_DIRECT, &in, sizeof(in), NULL, status);
}

static int give_flag(uint16_t flag, uint64_t *newly, uint16_t *status)
{
	const struct hvabi_input_signal_event_direct in = {
		.target_sint = GUEST_SINT, .flag_number = flag,
	};

	*newly = 0;
	return give(HVABI_CALL_SIGNAL_EVENT_DIRECT, &in, sizeof(in), newly, status);
}

/* The guest's pages are not there yet: what is accepted waits, and comes when they are. */
static enum ktap_result without_a_port(void)
{
	const struct hvabi_message *slot;
	const uint8_t *flags;
	uint64_t value;
	uint16_t status;

	CHECK_PASS(set_up_interrupts());
	REFUSED(EIO, give_flag(77, &value, &status));
	CHECK(status == HVABI_STATUS_INVALID_SYNIC_STATE, "0x%x", status);
	CHECK(!mshv_set_register(probe.vcpu, HVABI_REG_SIMP, GUEST_MESSAGES | 1) &&
	      !mshv_set_register(probe.vcpu, HVABI_REG_SIEFP, GUEST_FLAGS | 1) &&
	      !mshv_set_register(probe.vcpu, HVABI_REG_SINT0 + GUEST_SINT, 0x74) &&
	      !mshv_set_register(probe.vcpu, HVABI_REG_SCONTROL, 1), "%s", mshv_error());
	REFUSED(EINVAL, give_message(7, HVABI_SINTS, &status));
	REFUSED(EINVAL, give_message(0, GUEST_SINT, &status));
	REFUSED(EINVAL, give_flag(2048, &value, &status));
	CHECK(status == HVABI_STATUS_INVALID_PARAMETER, "0x%x", status);

	CHECK(!give_flag(77, &value, &status) && (uint8_t)value == 1, "%s, status 0x%x, %llu",
	      strerror(errno), status, (ull)value);
	CHECK(!give_flag(77, &value, &status) && !(uint8_t)value);
	CHECK(!give_message(7, GUEST_SINT, &status), "%s, status 0x%x", strerror(errno), status);
	REFUSED(EIO, give_message(8, GUEST_SINT, &status));
	CHECK(status == HVABI_STATUS_INSUFFICIENT_BUFFERS, "0x%x", status);
	NOT_REQUESTED(&probe);

	CHECK(probe_read(&probe, 0x10000, &value) == PROBE_DONE, "errno %d", probe.error);
	slot = (const void *)(probe.boot + GUEST_MESSAGES + GUEST_SINT * sizeof(*slot));
	flags = probe.boot + GUEST_FLAGS + GUEST_SINT * 256;
	CHECK(slot->header.message_type == 7 && slot->header.payload_size == 8);
	CHECK(((const uint8_t *)slot->payload)[7] == 0xa5);
	CHECK(flags[77 / 8] == 1 << 77 % 8, "0x%x", flags[77 / 8]);
	REQUESTED(&probe, 0x74);
	/* Now the page is there. */
	CHECK(!give_flag(80, &value, &status) && (uint8_t)value == 1);
	CHECK(flags[80 / 8] == 1 << 80 % 8, "0x%x", flags[80 / 8]);
	REQUESTED(&probe, 0x74);
	CHECK(!give_flag(80, &value, &status) && !(uint8_t)value);
	NOT_REQUESTED(&probe);
	return PASS;
}

static enum ktap_result bad_state(void)
{
	struct mshv_get_set_vp_state args;
	size_t size;
	int fd;

	CHECK_PASS(set_up());
	fd = mshv_vcpu_fd(probe.vcpu);
	size = PAGE;
	REFUSED(EINVAL, mshv_vcpu_get_state(probe.vcpu, MSHV_VP_STATE_COUNT, state[0], &size));
	size = 0;
	REFUSED(EINVAL, mshv_vcpu_get_state(probe.vcpu, MSHV_VP_STATE_LAPIC, state[0], &size));
	size = PAGE - 1;
	REFUSED(EINVAL, mshv_vcpu_get_state(probe.vcpu, MSHV_VP_STATE_LAPIC, state[0], &size));
	size = PAGE;
	REFUSED(EINVAL, mshv_vcpu_get_state(probe.vcpu, MSHV_VP_STATE_LAPIC, state[0] + 8, &size));
	args = (struct mshv_get_set_vp_state){ .type = MSHV_VP_STATE_LAPIC, .rsvd = { 1 }, .buf_sz = PAGE,
					       .buf_ptr = (uintptr_t)state[0] };
	REFUSED(EINVAL, ioctl(fd, MSHV_GET_VP_STATE, &args));
	args = (struct mshv_get_set_vp_state){ .type = MSHV_VP_STATE_LAPIC, .buf_sz = PAGE };
	REFUSED(EFAULT, ioctl(fd, MSHV_SET_VP_STATE, &args));
	REFUSED(EFAULT, ioctl(fd, MSHV_GET_VP_STATE, NULL));
	return PASS;
}

/* Long mode without PAE: registers that a VMM may set one by one, and that no processor is entered with. Nothing is lost. */
static enum ktap_result refused_state(void)
{
	const uint64_t pae = 1ull << 5, rip = 0x1234560, rsp = 0x7654320;
	struct mshv_msi one = route(3, 0, 0x41);
	struct hvabi_message message;
	uint64_t cr4, value;

	CHECK_PASS(set_up_interrupts());
	CHECK(!mshv_irqfd_add(probe.vm, event[0], 3) && !mshv_msi_routes(probe.vm, &one, 1), "%s", mshv_error());
	/* So that what stands in the processor is another state. */
	CHECK(probe_read(&probe, 0x10000, &value) == PROBE_DONE, "errno %d", probe.error);
	CHECK(!mshv_get_register(probe.vcpu, HVABI_REG_CR4, &cr4), "%s", mshv_error());
	CHECK(!mshv_set_register(probe.vcpu, HVABI_REG_CR4, cr4 & ~pae) &&
	      !mshv_set_register(probe.vcpu, HVABI_REG_RIP, rip) && !mshv_set_register(probe.vcpu, HVABI_REG_RSP, rsp) &&
	      !mshv_set_register(probe.vcpu, HVABI_REG_RFLAGS, 0x202), "%s", mshv_error());
	signal_event(0);
	for (unsigned int i = 0; i < 3; i++) {
		CHECK(!mshv_vcpu_run(probe.vcpu, &message), "%s", mshv_error());
		CHECK(message.header.message_type == HVABI_MSG_INVALID_VP_REGISTER_VALUE, "0x%x", message.header.message_type);
		CHECK(!mshv_get_register(probe.vcpu, HVABI_REG_RIP, &value) && value == rip, "0x%llx", (ull)value);
		CHECK(!mshv_get_register(probe.vcpu, HVABI_REG_RSP, &value) && value == rsp, "0x%llx", (ull)value);
		CHECK(!mshv_get_register(probe.vcpu, HVABI_REG_CR4, &value) && value == (cr4 & ~pae), "0x%llx",
		      (ull)value);
	}
	REQUESTED(&probe, 0x41);
	CHECK(!mshv_set_register(probe.vcpu, HVABI_REG_CR4, cr4) && !mshv_set_register(probe.vcpu, HVABI_REG_RFLAGS, 2), "%s",
	      mshv_error());
	CHECK(probe_read(&probe, 0x10000, &value) == PROBE_DONE, "errno %d", probe.error);
	return PASS;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "interrupts go where their routes say", routes },
		{ "interrupts come and go", come_and_go },
		{ "bad interrupts change nothing", bad_interrupts },
		{ "interrupts while routes change", while_they_change },
		{ "assigned and deassigned by several threads", by_several },
		{ "one event in two guests", in_two_guests },
		{ "doorbells: address, size and value", rings },
		{ "bad doorbells change nothing", bad_doorbells },
		{ "more doorbells than a ring holds", many_doorbells },
		{ "messages and events without a port", without_a_port },
		{ "state of a processor comes back", state_comes_back },
		{ "bad requests for state", bad_state },
		{ "a state that the processor refuses", refused_state },
	};

	ktap_cleanup = tear_down;
	return KTAP_RUN(tests);
}
