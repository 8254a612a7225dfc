// SPDX-License-Identifier: GPL-2.0-only
/* Guests of /dev/mshv by libmshv's sessions; counted by the bundled hypervisor, around the driver. */
#include <stdlib.h>

#include <hvabi/debug.h>

#include "../tests/vm/raw.h"
#include "../vmm/demo/session.h"
#include "bench.h"

/* Seconds that a guest may be at it: far longer than it ever is. */
#define PATIENCE	1200

struct bench_guest {
	struct mshv_session *session;
};

static int device = -1;

static int start(void)
{
	device = raw_open();
	return device < 0 ? mshv_fail("mshv_rawcall.ko") : 0;
}

static void close_guest(struct bench_guest *guest)
{
	if (!guest)
		return;
	mshv_session_close(guest->session);
	free(guest);
}

static struct bench_guest *open_guest(uint64_t size, bool small)
{
	struct mshv_session_config config = {
		.memory_size = size, .vps = 1, .memory_flags = small ? MSHV_MEMORY_SMALL : 0,
	};
	struct bench_guest *guest = calloc(1, sizeof(*guest));

	if (!guest)
		return NULL;
	guest->session = mshv_session_open(&config);
	if (guest->session)
		return guest;
	free(guest);
	return NULL;
}

static int boot(struct bench_guest *guest)
{
	return mshv_session_boot(guest->session, "stamp");
}

static uint8_t *memory(struct bench_guest *guest)
{
	return mshv_session_memory(guest->session);
}

static int does(struct bench_guest *guest, enum guest_command command, const struct guest_mailbox *args)
{
	if (mshv_session_command(guest->session, 0, command, args))
		return -1;
	return mshv_session_wait(guest->session, 0, PATIENCE);
}

static int read_register(struct bench_guest *guest)
{
	uint64_t value;

	return mshv_get_register(mshv_session_vcpu(guest->session, 0), HVABI_REG_RIP, &value);
}

static int descriptor(struct bench_guest *guest)
{
	return mshv_vm_fd(mshv_session_vm(guest->session));
}

static void set(struct bench_counts *counts, enum bench_count what, uint64_t value)
{
	counts->has[what] = true;
	counts->value[what] = (int64_t)value;
}

static int count(struct bench_guest *guest, struct bench_counts *counts)
{
	uint64_t c[HVABI_COUNT_MAX], calls = 0, reps = 0;

	(void)guest;
	if (raw_counters(device, c))
		return mshv_fail("counters of the hypervisor");
#define X(name, text) calls += c[HVABI_COUNT_CALL_##name]; reps += c[HVABI_COUNT_REPS_##name];
	HVABI_DEBUG_CALLS(X)
#undef X
	/* Asking is not counted, and running is what a guest does anyway. */
	calls -= c[HVABI_COUNT_CALL_DEBUG_GET_COUNTERS] + c[HVABI_COUNT_CALL_DISPATCH_VP];
	reps -= c[HVABI_COUNT_REPS_DEBUG_GET_COUNTERS] + c[HVABI_COUNT_REPS_DISPATCH_VP];
	*counts = (struct bench_counts){ 0 };
	set(counts, BENCH_INTERCEPTS, c[HVABI_COUNT_EXIT_NPF_UNMAPPED] + c[HVABI_COUNT_EXIT_NPF_ACCESS]);
	set(counts, BENCH_CALLS, calls);
	set(counts, BENCH_REPS, reps);
	set(counts, BENCH_MAP_CALLS, c[HVABI_COUNT_CALL_MAP_GPA_PAGES]);
	set(counts, BENCH_MAP_REPS, c[HVABI_COUNT_REPS_MAP_GPA_PAGES]);
	set(counts, BENCH_UNMAP_CALLS, c[HVABI_COUNT_CALL_UNMAP_GPA_PAGES]);
	set(counts, BENCH_SHOOTDOWNS, c[HVABI_COUNT_SHOOTDOWN]);
	set(counts, BENCH_LENT, c[HVABI_COUNT_PAGE_DEPOSITED] - c[HVABI_COUNT_PAGE_WITHDRAWN]);
	return 0;
}

const struct bench_system bench_mshv = {
	.name = "mshv",
	.start = start,
	.open = open_guest,
	.boot = boot,
	.memory = memory,
	.does = does,
	.read_register = read_register,
	.fd = descriptor,
	.close = close_guest,
	.count = count,
};
