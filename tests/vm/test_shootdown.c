// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shoot-down: a page is replaced under a guest that reads it without ever leaving.
 *
 * Emulation flushes its TLB at every exit, so a stale translation can only be seen by a
 * processor that stays in the guest (docs: what emulation hides). The guest spins on a
 * page on another processor; the page at its address is replaced, then the version that
 * the guest may see is raised, and the guest complains if it still reads the old page.
 *
 * Replaced in two ways. By mremap(), which goes all the way through Linux and the driver;
 * but Linux then interrupts every processor that runs a thread of the VMM, which makes the
 * guest leave and hides what the hypervisor may have missed. So also by a raw hypercall,
 * behind the driver's back, after which nothing but the hypervisor's own shoot-down stands
 * between the guest and the old page.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <hvabi/memory.h>

#include "../kmod/mshv_rawcall.h"
#include "host.h"
#include "ktap.h"
#include "session.h"

#define GFN		(GUEST_FREE / GUEST_PAGE_SIZE + 1024)
#define MEMORY		(32u << 20)
#define SECONDS		120

static struct mshv_session *session;

static void close_session(void)
{
	mshv_session_close(session);
	session = NULL;
}

static void stamp(uint8_t *page, uint64_t gfn, uint64_t version)
{
	unsigned int i;

	for (i = 0; i < GUEST_STAMP_WORDS; i++)
		*(uint64_t *)(void *)(page + i * GUEST_STAMP_STEP) =
			guest_stamp_word(gfn, version, i);
}

static void *new_page(uint64_t version)
{
	uint8_t *page = mmap(NULL, GUEST_PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	stamp(page, GFN, version);
	return page;
}

/* Waits until the spinning processor has read @version or newer. */
static bool seen(volatile struct guest_mailbox *box, uint64_t version)
{
	double deadline = host_seconds() + SECONDS;

	while (box->seen_version < version) {
		if (host_seconds() > deadline || box->errors)
			return false;
		usleep(100);
	}
	return true;
}

static enum ktap_result spin(unsigned int vps, unsigned int rounds, unsigned int flags)
{
	struct mshv_session_config config = {
		.memory_size = MEMORY, .vps = vps, .memory_flags = flags, .console = stderr,
	};
	struct guest_mailbox args = { .first_gfn = GFN, .pages = 1, .stride = 1, .version = 1 };
	uint8_t *target, *page;
	unsigned int vp;
	uint64_t version;

	session = mshv_session_open(&config);
	CHECK(session, "%s", mshv_error());
	target = mshv_session_memory(session) + GFN * GUEST_PAGE_SIZE;
	stamp(target, GFN, 1);
	CHECK(mshv_session_boot(session, "stamp") == 0, "%s", mshv_error());
	for (vp = 0; vp < vps; vp++)
		CHECK(mshv_session_command(session, vp, GUEST_COMMAND_SPIN, &args) == 0,
		      "%s", mshv_error());
	for (version = 2; version < rounds + 2; version++) {
		for (vp = 0; vp < vps; vp++)
			CHECK(seen(mshv_session_mailbox(session, vp), version - 1),
			      "processor %u does not see version %u", vp,
			      (unsigned int)version - 1);
		page = new_page(version);
		CHECK(page, "no page");
		CHECK(mremap(page, GUEST_PAGE_SIZE, GUEST_PAGE_SIZE,
			     MREMAP_MAYMOVE | MREMAP_FIXED, target) == target, "mremap");
		for (vp = 0; vp < vps; vp++)
			mshv_session_mailbox(session, vp)->version = version;
	}
	for (vp = 0; vp < vps; vp++) {
		volatile struct guest_mailbox *box = mshv_session_mailbox(session, vp);
		int status;

		CHECK(seen(box, rounds + 1), "processor %u does not see the last version", vp);
		mshv_session_stop(session, vp);
		status = mshv_session_wait(session, vp, SECONDS);
		CHECK(status == GUEST_STATUS_OK, "processor %u: status %d, %llu errors, first: "
		      "word %llu, at least 0x%llx wanted, 0x%llx read", vp, status,
		      (unsigned long long)box->errors, (unsigned long long)box->error_word,
		      (unsigned long long)box->error_expected,
		      (unsigned long long)box->error_found);
		ktap_note("processor %u read the page %llu times", vp,
			  (unsigned long long)box->done_pages);
	}
	return PASS;
}

static enum ktap_result one(void)
{
	return spin(1, 300, MSHV_MEMORY_SMALL);
}

static enum ktap_result two(void)
{
	return spin(2, 300, MSHV_MEMORY_SMALL);
}

/* The page is part of a 2 MiB map, which has to be given up or split. */
static enum ktap_result in_a_block(void)
{
	return spin(1, 20, 0);
}

static bool run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

/* Maps parent page @frame at GFN of child @id, whatever the driver thinks is there. */
static bool remap(int device, uint64_t id, uint64_t frame)
{
	static struct rawcall call;
	struct hvabi_input_map_gpa_pages *in = (void *)call.input;

	in->target_partition_id = id;
	in->target_gpa_base = GFN;
	in->map_flags = HVABI_MAP_GPA_READABLE | HVABI_MAP_GPA_WRITABLE |
			HVABI_MAP_GPA_EXECUTABLE;
	in->padding = 0;
	memcpy(call.input + sizeof(*in), &frame, sizeof(frame));
	call.control = hvabi_control(HVABI_CALL_MAP_GPA_PAGES, 1, 0);
	call.rdx = call.r8 = RAWCALL_BLOCK;
	return ioctl(device, RAWCALL_CALL, &call) == 0 &&
	       hvabi_result_status(call.result) == HVABI_STATUS_SUCCESS &&
	       hvabi_result_reps(call.result) == 1;
}

static enum ktap_result spin_raw(int device)
{
	struct mshv_session_config config = {
		.memory_size = MEMORY, .vps = 1, .memory_flags = MSHV_MEMORY_SMALL,
		.console = stderr,
	};
	struct guest_mailbox args = { .first_gfn = GFN, .pages = 1, .stride = 1, .version = 1 };
	static struct hvabi_output_debug_who_can_reach who;
	volatile struct guest_mailbox *box;
	uint64_t frame[2], version;
	uint8_t *page[2];
	int status;

	session = mshv_session_open(&config);
	CHECK(session, "%s", mshv_error());
	page[0] = mshv_session_memory(session) + GFN * GUEST_PAGE_SIZE;
	page[1] = new_page(0);
	stamp(page[0], GFN, 1);
	/* The driver does not know of the second mapping: both pages have to stay. */
	CHECK(page[1] && mlock(page[0], GUEST_PAGE_SIZE) == 0 &&
	      mlock(page[1], GUEST_PAGE_SIZE) == 0, "mlock");
	/* The processor's thread inherits its place. */
	CHECK(run_on(1), "no second processor");
	CHECK(mshv_session_boot(session, "stamp") == 0, "%s", mshv_error());
	CHECK(run_on(0), "no first processor");
	CHECK(mshv_session_command(session, 0, GUEST_COMMAND_SPIN, &args) == 0, "%s",
	      mshv_error());
	box = mshv_session_mailbox(session, 0);
	CHECK(seen(box, 1), "the guest does not spin");
	CHECK(host_page_frames(page[0], GUEST_PAGE_SIZE, &frame[0]) == 0 &&
	      host_page_frames(page[1], GUEST_PAGE_SIZE, &frame[1]) == 0, "%s", mshv_error());
	CHECK(mshv_who_can_reach(NULL, frame[0], &who) == 0, "%s", mshv_error());
	CHECK(who.found == 1 && who.reach[0].gfn == GFN, "found %u", who.found);
	for (version = 2; version < 1002 && box->errors == 0; version++) {
		stamp(page[~version & 1], GFN, version);
		CHECK(remap(device, who.reach[0].partition_id, frame[~version & 1]),
		      "the hypercall failed");
		box->version = version;
		CHECK(seen(box, version) || box->errors, "version %llu is not seen",
		      (unsigned long long)version);
	}
	mshv_session_stop(session, 0);
	status = mshv_session_wait(session, 0, SECONDS);
	CHECK(status == GUEST_STATUS_OK, "status %d after version %llu: at least %llu wanted, "
	      "%llu read", status, (unsigned long long)version - 1,
	      (unsigned long long)box->error_expected, (unsigned long long)box->error_found);
	CHECK(remap(device, who.reach[0].partition_id, frame[0]), "the hypercall failed");
	close_session();
	munmap(page[1], GUEST_PAGE_SIZE);
	return PASS;
}

static enum ktap_result by_hypercall(void)
{
	enum ktap_result result;
	int device;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return ktap_skip("one processor only");
	CHECK(system("insmod ./mshv_rawcall.ko") == 0, "no test module");
	device = open("/dev/mshv_rawcall", O_RDWR | O_CLOEXEC);
	CHECK(device >= 0, "no /dev/mshv_rawcall");
	result = spin_raw(device);
	close(device);
	CHECK(system("rmmod mshv_rawcall") == 0, "the test module stays");
	return result;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "a page is replaced under one spinning processor", one },
		{ "a page is replaced under two spinning processors", two },
		{ "a page of a large map is replaced", in_a_block },
		{ "a page is replaced by hypercall", by_hypercall },
	};

	ktap_cleanup = close_session;
	return KTAP_RUN(tests);
}
