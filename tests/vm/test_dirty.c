// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty log: while a VMM tracks, no accessed or dirty bit is lost before somebody clears it, whatever Linux does to the page and
 * whichever processor maps it meanwhile. What is reported too much is bounded, and counted here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <host.h>
#include <hvabi/memory.h>
#include <hvabi/partition.h>
#include <uapi/mshv.h>

#include "load.h"
#include "ktap.h"
#include "probe.h"

#define GPA		(1ull << 30)
#define SIZE		(2 * BLOCK)
#define PAGES		(SIZE / PAGE)
/* Every seventh page is written, beginning with the third: no pattern that a block or a window has. */
#define FIRST		3
#define STEP		7
#define WRITTEN		((PAGES - FIRST + STEP - 1) / STEP)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

static struct probe probe;
static uint8_t *memory;
static uint8_t bits[PAGES / 8];

static void tear_down(void)
{
	probe_close(&probe);
	memory = NULL;
	mshv_hypervisor_option(HVABI_OPTION_PARTIAL_EVERY, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_EVERY, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_STATUS, HVABI_STATUS_OPERATION_FAILED);
}

static enum ktap_result set_up(bool huge)
{
	memory = probe_open_with(&probe, GPA, SIZE, huge);
	CHECK(memory, "%s", mshv_error());
	return PASS;
}

static enum ktap_result read_bits(enum mshv_access which, enum mshv_access_op op)
{
	memset(bits, 0xaa, sizeof(bits));
	CHECK(!mshv_access_bitmap(probe.vm, GPA / PAGE, PAGES, which, op, bits), "%s", mshv_error());
	return PASS;
}

static bool bit(uint64_t page)
{
	return bits[page / 8] >> page % 8 & 1;
}

static uint64_t count_bits(void)
{
	uint64_t page, count = 0;

	for (page = 0; page < PAGES; page++)
		count += bit(page);
	return count;
}

static enum ktap_result write_some(uint64_t value)
{
	for (uint64_t page = FIRST; page < PAGES; page += STEP)
		GUEST_WRITES(GPA + page * PAGE, value + page);
	return PASS;
}

/* All that were written are there, and no more than @extra others. */
static enum ktap_result all_written(const char *what, uint64_t extra)
{
	uint64_t page, missing = 0, count = count_bits();

	for (page = FIRST; page < PAGES; page += STEP)
		missing += !bit(page);
	CHECK(!missing, "%s: %llu of %llu written pages are missing", what,
	      (unsigned long long)missing, (unsigned long long)WRITTEN);
	CHECK(count <= WRITTEN + extra, "%s: %llu pages reported, %llu written", what,
	      (unsigned long long)count, (unsigned long long)WRITTEN);
	return PASS;
}

/* ---- what Linux does ---- */

static void page_out(void)
{
	host_page_out(memory, SIZE);
}

static void move(void)
{
	struct host_move result;

	host_move(memory, SIZE, 1, &result);
	host_move(memory, SIZE, 0, &result);
}

static void protect(void)
{
	mprotect(memory, SIZE, PROT_READ);
	mprotect(memory, SIZE, PROT_READ | PROT_WRITE);
}

static void collapse(void)
{
	madvise(memory, SIZE, MADV_HUGEPAGE);
	madvise(memory, SIZE, MADV_COLLAPSE);
}

static void split(void)
{
	/* A huge page that is paged out in part is split. */
	collapse();
	host_page_out(memory + PAGE, PAGE);
}

static void copy(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static void clear_refs(void)
{
	host_write("/proc/self/clear_refs", "4");
}

static void pin(void)
{
	mshv_region_change(probe.vm, GPA, memory, SIZE, MSHV_MEMORY_PINNED);
	mshv_region_change(probe.vm, GPA, memory, SIZE, 0);
}

static const struct {
	const char *what;
	void (*done)(void);
} changes[] = {
	{ "MADV_PAGEOUT", page_out },
	{ "move_pages", move },
	{ "mprotect and back", protect },
	{ "MADV_COLLAPSE", collapse },
	{ "split", split },
	{ "fork", copy },
	{ "clear_refs", clear_refs },
	{ "pinned and back", pin },
};

#define CHANGES		(sizeof(changes) / sizeof(changes[0]))

static enum ktap_result survives(void)
{
	uint64_t before;

	CHECK_PASS(set_up(false));
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	CHECK_PASS(write_some(0));
	for (unsigned int i = 0; i < CHANGES; i++) {
		CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
		CHECK_PASS(all_written("before", 0));
		CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_KEEP));
		CHECK(!count_bits(), "cleared, and still there");
		CHECK_PASS(write_some(1000 * i));
		before = probe_maps_taken(&probe);
		changes[i].done();
		/* Or nothing would have been at risk. */
		CHECK(probe_maps_taken(&probe) > before, "%s took nothing away", changes[i].what);
		CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_KEEP));
		/* Pinned, all of the region is mapped so that it can be written: nobody can say what was. */
		CHECK_PASS(all_written(changes[i].what, changes[i].done == pin ? PAGES : 0));
		CHECK_PASS(read_bits(MSHV_ACCESSED, MSHV_ACCESS_CLEAR));
		CHECK_PASS(all_written(changes[i].what, changes[i].done == pin ? PAGES : 0));
		for (uint64_t page = FIRST; page < PAGES; page += STEP)
			CHECK(WORD(page * PAGE) == 1000 * i + page);
		if (changes[i].done == pin)
			CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
		CHECK_PASS(write_some(0));
	}
	return PASS;
}

/* What was mapped large before: all of it counts as written, and nothing is missing. */
static enum ktap_result large_before(void)
{
	CHECK_PASS(set_up(true));
	CHECK_PASS(write_some(0));
	CHECK(probe_counter(&probe, HVABI_COUNT_MAP_2M) >= 2, "no huge page: nothing to see");
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	CHECK_PASS(write_some(1));
	page_out();
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
	CHECK_PASS(all_written("large", PAGES));
	/* From here on it is a page at a time. */
	CHECK_PASS(write_some(2));
	page_out();
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
	CHECK_PASS(all_written("small", 0));
	return PASS;
}

static uint64_t faults(void)
{
	return probe_counter(&probe, HVABI_COUNT_EXIT_NPF_UNMAPPED) +
	       probe_counter(&probe, HVABI_COUNT_EXIT_NPF_ACCESS);
}

/* The first clearing makes small leaves of them, without a fault of the guest's; and when tracking ends they are large again. */
static enum ktap_result large_is_split(void)
{
	uint64_t before, maps;

	CHECK_PASS(set_up(true));
	CHECK_PASS(write_some(0));
	CHECK(probe_counter(&probe, HVABI_COUNT_MAP_2M) >= 2, "no huge page: nothing to see");
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	before = faults();
	maps = probe_counter(&probe, HVABI_COUNT_MAP_4K);
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_KEEP));
	CHECK(probe_counter(&probe, HVABI_COUNT_MAP_4K) == maps, "who only asks changes nothing");
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
	CHECK(count_bits() == PAGES, "%llu", (unsigned long long)count_bits());
	CHECK(probe_counter(&probe, HVABI_COUNT_MAP_4K) - maps == PAGES);
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_KEEP));
	CHECK(!count_bits(), "cleared, and still there");
	for (uint64_t round = 1; round < 4; round++) {
		CHECK_PASS(write_some(round));
		CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
		CHECK_PASS(all_written("split", 0));
	}
	CHECK(faults() == before, "%llu faults", (unsigned long long)(faults() - before));
	CHECK(probe_counter(&probe, HVABI_COUNT_MAP_4K) - maps == PAGES, "split once");

	CHECK(!mshv_track_access(probe.vm, false), "%s", mshv_error());
	maps = probe_counter(&probe, HVABI_COUNT_MAP_2M);
	CHECK_PASS(write_some(4));
	CHECK(probe_counter(&probe, HVABI_COUNT_MAP_2M) - maps == SIZE / BLOCK);
	CHECK(faults() - before <= SIZE / BLOCK, "%llu faults", (unsigned long long)(faults() - before));
	for (uint64_t page = FIRST; page < PAGES; page += STEP)
		CHECK(WORD(page * PAGE) == 4 + page);
	return PASS;
}

/* No memory for the tables: the guest keeps what it has, and all of it counts as written until there is some. */
static enum ktap_result large_stays(void)
{
	uint64_t before;

	CHECK_PASS(set_up(true));
	CHECK_PASS(write_some(0));
	CHECK(probe_counter(&probe, HVABI_COUNT_MAP_2M) >= 2, "no huge page: nothing to see");
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	before = faults();
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_EVERY, 1));
	for (uint64_t round = 1; round < 4; round++) {
		CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
		CHECK(count_bits() == PAGES, "%llu", (unsigned long long)count_bits());
		CHECK_PASS(write_some(round));
	}
	CHECK(faults() == before, "%llu faults", (unsigned long long)(faults() - before));
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_EVERY, 0));
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
	CHECK(count_bits() == PAGES, "%llu", (unsigned long long)count_bits());
	CHECK_PASS(write_some(4));
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
	CHECK_PASS(all_written("split at last", 0));
	return PASS;
}

/* The hypercall with a range that is none, which the hypervisor refuses: the driver does nothing about it before. */
static enum ktap_result no_such_range(void)
{
	static const uint64_t firsts[] = { ~0ull, ~511ull, 1ull << 52, 1ull << 63 };
	uint8_t states[511];

	CHECK_PASS(set_up(true));
	CHECK_PASS(write_some(0));
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	for (unsigned int i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		struct hvabi_input_get_gpa_pages_access_state in = {
			.flags = HVABI_GPA_ACCESS_CLEAR_DIRTY, .hv_gpa_page_number = firsts[i],
		};
		uint16_t reps = sizeof(states);

		CHECK(mshv_hypercall(mshv_vm_fd(probe.vm), HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, &reps, &in,
				     sizeof(in), states, sizeof(states), NULL), "%llx", (unsigned long long)firsts[i]);
	}
	CHECK(probe_counter(&probe, HVABI_COUNT_MAP_4K) < PAGES / 2, "split for nothing");
	return PASS;
}

/* A page that was written once, cleared, and taken away while it could still be written: reported once more. */
static enum ktap_result too_much_once(void)
{
	CHECK_PASS(set_up(false));
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	CHECK_PASS(write_some(0));
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
	page_out();
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
	CHECK(count_bits() <= WRITTEN, "%llu", (unsigned long long)count_bits());
	/* Read again, it cannot be written, and is not reported whatever happens. */
	for (uint64_t page = 0; page < PAGES; page++) {
		uint64_t value;

		CHECK(probe_read(&probe, GPA + page * PAGE, &value) == PROBE_DONE);
	}
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
	CHECK(!count_bits(), "%llu read pages are dirty", (unsigned long long)count_bits());
	page_out();
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
	CHECK(!count_bits(), "%llu read pages are dirty", (unsigned long long)count_bits());
	CHECK_PASS(read_bits(MSHV_ACCESSED, MSHV_ACCESS_CLEAR));
	CHECK(count_bits() == PAGES, "%llu read pages are accessed", (unsigned long long)count_bits());
	return PASS;
}

static enum ktap_result set_absent(void)
{
	struct {
		struct hvabi_input_get_gpa_pages_access_state in;
	} raw = { .in = { .hv_gpa_page_number = GPA / PAGE } };
	uint8_t states[16];
	uint16_t reps = sizeof(states);

	CHECK_PASS(set_up(false));
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_SET));
	CHECK(!count_bits());
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_KEEP));
	CHECK(count_bits() == PAGES, "%llu", (unsigned long long)count_bits());
	CHECK_PASS(read_bits(MSHV_ACCESSED, MSHV_ACCESS_KEEP));
	CHECK(!count_bits(), "setting dirty set accessed");
	/* The hypercall itself, which a VMM may make, gives the same answer. */
	CHECK(!mshv_hypercall(mshv_vm_fd(probe.vm), HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, &reps, &raw,
			      sizeof(raw), states, sizeof(states), NULL), "%s", mshv_error());
	for (unsigned int i = 0; i < sizeof(states); i++)
		CHECK(states[i] == HVABI_GPA_ACCESS_STATE_DIRTY, "%u: %u", i, states[i]);
	/* A guest that maps the pages now does not clear them. */
	GUEST_READS(GPA + 5 * PAGE, 0);
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
	CHECK(count_bits() == PAGES, "%llu", (unsigned long long)count_bits());
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_KEEP));
	CHECK(!count_bits());
	/* The region goes, and its bits with it; so they do when tracking ends. */
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_SET));
	CHECK(!mshv_region_remove(probe.vm, GPA, memory, SIZE), "%s", mshv_error());
	CHECK(!mshv_region_add(probe.vm, GPA, memory, SIZE, 0), "%s", mshv_error());
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_SET));
	CHECK(!count_bits(), "bits of a region that is gone");
	CHECK(!mshv_track_access(probe.vm, false), "%s", mshv_error());
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_KEEP));
	CHECK(!count_bits(), "bits of a log that has ended");
	return PASS;
}

/* Of a region that begins inside of a block, with nothing before it. */
static enum ktap_result set_absent_unaligned(void)
{
	const uint64_t hole = 100;

	CHECK_PASS(set_up(false));
	CHECK(!mshv_region_remove(probe.vm, GPA, memory, SIZE), "%s", mshv_error());
	CHECK(!mshv_region_add(probe.vm, GPA + hole * PAGE, memory, SIZE - hole * PAGE, 0), "%s", mshv_error());
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_SET));
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_KEEP));
	CHECK(count_bits() == PAGES - hole, "%llu", (unsigned long long)count_bits());
	return PASS;
}

/* A VMM that clears bits by the hypercall itself, which fails half way: it is not told of those that are gone. */
static enum ktap_result cleared_half_way(void)
{
	struct hvabi_input_get_gpa_pages_access_state in = {
		.flags = HVABI_GPA_ACCESS_CLEAR_DIRTY, .hv_gpa_page_number = GPA / PAGE,
	};
	uint8_t states[16];
	uint16_t reps = sizeof(states);

	CHECK_PASS(set_up(false));
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	for (uint64_t page = 0; page < sizeof(states); page++)
		GUEST_WRITES(GPA + page * PAGE, 1);
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_PARTIAL_EVERY, 8) &&
	      !mshv_hypervisor_option(HVABI_OPTION_REFUSE_STATUS, HVABI_STATUS_OPERATION_FAILED) &&
	      !mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL, HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES) &&
	      !mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL_AT, 2), "%s", mshv_error());
	CHECK(mshv_hypercall(mshv_vm_fd(probe.vm), HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, &reps, &in,
			     sizeof(in), states, sizeof(states), NULL) == -1);
	CHECK(reps == 8, "%u", reps);
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_PARTIAL_EVERY, 0), "%s", mshv_error());
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
	CHECK(count_bits() == sizeof(states), "%llu", (unsigned long long)count_bits());
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_KEEP));
	CHECK(!count_bits(), "%llu", (unsigned long long)count_bits());
	return PASS;
}

/* A VMM whose memory cannot take the answer: what it was not told of comes with the next one. */
static enum ktap_result not_told(void)
{
	struct hvabi_input_get_gpa_pages_access_state in = {
		.flags = HVABI_GPA_ACCESS_CLEAR_DIRTY, .hv_gpa_page_number = GPA / PAGE,
	};
	struct mshv_gpap_access_bitmap access = {
		.access_type = MSHV_GPAP_ACCESS_TYPE_DIRTY, .access_op = MSHV_GPAP_ACCESS_OP_CLEAR,
		.page_count = 16, .gpap_base = GPA / PAGE,
	}, *frozen;
	uint8_t *nobodys = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint16_t reps = 16;

	CHECK(nobodys != MAP_FAILED);
	frozen = memcpy(nobodys + PAGE, &access, sizeof(access));
	frozen->bitmap_ptr = (uintptr_t)bits;
	access.bitmap_ptr = (uintptr_t)nobodys;
	CHECK(!mprotect(nobodys, PAGE, PROT_NONE) && !mprotect(nobodys + PAGE, PAGE, PROT_READ));

	CHECK_PASS(set_up(false));
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	for (uint64_t page = 0; page < 16; page++)
		GUEST_WRITES(GPA + page * PAGE, 1);
	CHECK(ioctl(mshv_vm_fd(probe.vm), MSHV_GET_GPAP_ACCESS_BITMAP, &access) == -1 && errno == EFAULT);
	CHECK(!access.page_count, "%llu", (unsigned long long)access.page_count);
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_KEEP));
	CHECK(count_bits() == 16, "%llu after no room for bits", (unsigned long long)count_bits());
	CHECK(ioctl(mshv_vm_fd(probe.vm), MSHV_GET_GPAP_ACCESS_BITMAP, frozen) == -1 && errno == EFAULT);
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_KEEP));
	CHECK(count_bits() == 16, "%llu after no room for the count", (unsigned long long)count_bits());
	CHECK(mshv_hypercall(mshv_vm_fd(probe.vm), HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, &reps, &in,
			     sizeof(in), nobodys, 16, NULL) == -1 && errno == EFAULT);
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
	CHECK(count_bits() == 16, "%llu after no room for states", (unsigned long long)count_bits());
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_KEEP));
	CHECK(!count_bits(), "%llu", (unsigned long long)count_bits());
	munmap(nobodys, 2 * PAGE);
	return PASS;
}

/* Tracking that the hypervisor refuses has not begun, and one that it does not end goes on. */
static enum ktap_result refused(void)
{
	CHECK_PASS(set_up(true));
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL, HVABI_CALL_SET_PARTITION_PROPERTY) &&
	      !mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL_AT, 1), "%s", mshv_error());
	CHECK(mshv_track_access(probe.vm, true) == -1);
	GUEST_WRITES(GPA, 1);
	CHECK(probe_counter(&probe, HVABI_COUNT_MAP_2M) == 1, "pages are mapped as if bits were kept");
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
	GUEST_WRITES(GPA, 1);
	page_out();
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL, HVABI_CALL_SET_PARTITION_PROPERTY) &&
	      !mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL_AT, 1), "%s", mshv_error());
	CHECK(mshv_track_access(probe.vm, false) == -1);
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_KEEP));
	CHECK(bit(0), "forgotten");
	/* Answered before it is done: the end comes as a message, and is waited for. */
	for (int i = 0; i < 20; i++) {
		CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_STATUS, HVABI_STATUS_CALL_PENDING) &&
		      !mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL_AT, 1), "%s", mshv_error());
		CHECK(!mshv_track_access(probe.vm, i & 1), "%d: %s", i, mshv_error());
	}
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR));
	GUEST_WRITES(GPA, 1);
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_KEEP));
	CHECK(bit(0), "not tracked");
	return PASS;
}

/* ---- two processors, one page ---- */

#define CODE_READ	0x10000u
#define CODE_WRITE	0x10100u
#define ROUNDS		1024u

static pthread_barrier_t barrier;
static atomic_uint errors;

static void access_page(struct mshv_vcpu *vcpu, uint64_t rip, uint64_t gpa, uint64_t value)
{
	struct hvabi_message message;
	struct hvabi_register_assoc regs[] = {
		{ .name = HVABI_REG_RIP, .value.reg64 = rip },
		{ .name = HVABI_REG_RDI, .value.reg64 = gpa },
		{ .name = HVABI_REG_RSI, .value.reg64 = value },
	};

	if (mshv_set_registers(vcpu, regs, 3))
		errors++;
	pthread_barrier_wait(&barrier);
	for (volatile int spin = rand() % 2000; spin > 0; spin--)
		;
	while (mshv_vcpu_run(vcpu, &message)) {
		if (errno == EINTR)
			continue;
		errors++;
		break;
	}
}

static void *reader(void *arg)
{
	for (unsigned int i = 0; i < ROUNDS; i++)
		access_page(arg, CODE_READ, GPA + i * PAGE, 0);
	return NULL;
}

static enum ktap_result two_processors(void)
{
	struct mshv_vcpu *other;
	uint64_t page, lost = 0;
	pthread_t thread;

	CHECK_PASS(set_up(false));
	other = mshv_vcpu_create(probe.vm, 1);
	CHECK(other && !mshv_boot_vcpu(other, CODE_READ) &&
	      !mshv_set_register(other, HVABI_REG_CR3, 0x1000), "%s", mshv_error());
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	errors = 0;
	srand(1);
	pthread_barrier_init(&barrier, NULL, 2);
	CHECK(!pthread_create(&thread, NULL, reader, other));
	for (unsigned int i = 0; i < ROUNDS; i++)
		access_page(probe.vcpu, CODE_WRITE, GPA + i * PAGE, 0x1000 + i);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&barrier);
	mshv_vcpu_destroy(other);
	CHECK(!errors, "%u", errors);
	CHECK_PASS(read_bits(MSHV_DIRTY, MSHV_ACCESS_KEEP));
	for (page = 0; page < ROUNDS; page++) {
		lost += !bit(page);
		CHECK(WORD(page * PAGE) == 0x1000 + page);
	}
	CHECK(!lost, "%llu of %u written pages are not dirty", (unsigned long long)lost, ROUNDS);
	return PASS;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "bits survive what Linux does to the page", survives },
		{ "pages mapped large before tracking", large_before },
		{ "mapped large before, and a bit for each page", large_is_split },
		{ "mapped large before, and no memory for tables", large_stays },
		{ "a range that is none", no_such_range },
		{ "what is reported too much, and what never is", too_much_once },
		{ "bits of pages that are not mapped", set_absent },
		{ "set, of a region that begins inside of a block", set_absent_unaligned },
		{ "a call that clears bits and fails half way", cleared_half_way },
		{ "a call that clears bits and cannot say so", not_told },
		{ "refused by the hypervisor", refused },
		{ "one processor writes what another reads", two_processors },
	};

	_Static_assert(ROUNDS <= PAGES, "pages");
	ktap_cleanup = tear_down;
	return KTAP_RUN(tests);
}
