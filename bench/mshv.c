// SPDX-License-Identifier: GPL-2.0-only
/* Guests of /dev/mshv by libmshv's sessions; counted by the bundled hypervisor, around the driver. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <hvabi/debug.h>

#include "../tests/vm/raw.h"
#include "../vmm/demo/host.h"
#include "../vmm/demo/session.h"
#include "bench.h"

/* Seconds that a guest may be at it: far longer than it ever is. */
#define PATIENCE	1200

struct bench_guest {
	struct mshv_session *session;
	uint64_t size;
	void *mapping;
	uint64_t mapped;
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
	if (guest->mapping)
		munmap(guest->mapping, guest->mapped);
	free(guest);
}

static struct bench_guest *open_guest(uint64_t size, enum bench_pages pages, unsigned int vps)
{
	struct mshv_session_config config = { .memory_size = size, .vps = vps };
	struct bench_guest *guest = calloc(1, sizeof(*guest));

	if (!guest)
		return NULL;
	guest->size = size;
	config.memory = bench_memory(size, pages, &guest->mapping, &guest->mapped);
	if (config.memory)
		guest->session = mshv_session_open(&config);
	if (guest->session)
		return guest;
	close_guest(guest);
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

static int begin(struct bench_guest *guest, unsigned int vp, enum guest_command command,
		 const struct guest_mailbox *args)
{
	return mshv_session_command(guest->session, vp, command, args);
}

static int await(struct bench_guest *guest, unsigned int vp)
{
	return mshv_session_wait(guest->session, vp, PATIENCE);
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

static int track(struct bench_guest *guest, bool on)
{
	return mshv_track_access(mshv_session_vm(guest->session), on);
}

static int written(struct bench_guest *guest, uint64_t *bits)
{
	return mshv_access_bitmap(mshv_session_vm(guest->session), 0, guest->size / PAGE, MSHV_DIRTY, MSHV_ACCESS_CLEAR,
				  (uint8_t *)bits);
}

/* A block is mapped large as a whole or not at all, so one page tells. */
static int large(struct bench_guest *guest, uint64_t *bytes)
{
	struct hvabi_output_debug_who_can_reach reach;
	uint64_t offset, frame;

	*bytes = 0;
	for (offset = 0; offset + BLOCK <= guest->size; offset += BLOCK) {
		if (host_page_frames(memory(guest) + offset, PAGE, &frame))
			return mshv_fail("page map");
		if (!frame)
			continue;
		if (raw_who_can_reach(device, frame, &reach))
			return mshv_fail_because(EIO, "the hypervisor does not say who reaches a page");
		/* The benchmark has one guest at a time in these rows. */
		if (reach.found && reach.reach[0].size >= 2)
			*bytes += BLOCK;
	}
	return 0;
}

static int time_faults(bool on, struct bench_parts *parts)
{
	uint64_t c[HVABI_COUNT_MAX];

	if (raw_counters(device, c) || raw_set_option(device, HVABI_OPTION_TIME_FAULTS, on))
		return mshv_fail_because(EIO, "the hypervisor does not time faults");
	*parts = (struct bench_parts){
		.faults = c[HVABI_COUNT_FAULT_TIMED],
		.exit = c[HVABI_COUNT_FAULT_TICKS_EXIT],
		.look = c[HVABI_COUNT_FAULT_TICKS_LOOK],
		.map = c[HVABI_COUNT_FAULT_TICKS_MAP],
		.back = c[HVABI_COUNT_FAULT_TICKS_RETURN],
		.dispatch = c[HVABI_COUNT_FAULT_TICKS_DISPATCH],
	};
	return 0;
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
	set(counts, BENCH_ACCESS_CALLS, c[HVABI_COUNT_CALL_GET_GPA_PAGES_ACCESS_STATES]);
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
	.begin = begin,
	.wait = await,
	.read_register = read_register,
	.track = track,
	.written = written,
	.large = large,
	.time_faults = time_faults,
	.fd = descriptor,
	.close = close_guest,
	.count = count,
};
