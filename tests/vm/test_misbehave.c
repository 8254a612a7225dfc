// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hypervisor that is short of memory, does calls in pieces, or refuses: laws 2, 3 and 13 of the driver. What it does wrong is
 * within the ABI, and set at run time by a debug hypercall.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <hvabi/hypercall.h>
#include <hvabi/memory.h>
#include <hvabi/vp.h>
#include <uapi/mshv.h>

#include "ktap.h"
#include "probe.h"

#define GPA	(1ull << 30)
#define SIZE	(16 * BLOCK)

static struct probe probe;
static uint8_t *memory;

static void behave(void)
{
	mshv_hypervisor_option(HVABI_OPTION_PARTIAL_EVERY, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_AT, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_EVERY, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL_AT, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_ALWAYS, 0);
	mshv_hypervisor_option(HVABI_OPTION_DELAY, 0);
	mshv_hypervisor_option(HVABI_OPTION_LIE, 0);
}

static void tear_down(void)
{
	behave();
	probe_close(&probe);
	memory = NULL;
}

static enum ktap_result set_up(bool huge)
{
	memory = probe_open_with(&probe, GPA, SIZE, huge);
	CHECK(memory, "%s", mshv_error());
	return PASS;
}

#define OPTION(option, value) \
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_##option, value), "%s", mshv_error())

/* Fill, take away every third page, check, remove: everything the driver does with a map. */
static enum ktap_result work(void)
{
	const unsigned int step = 37;
	uint64_t offset, value, n = 0;

	for (offset = 0; offset < SIZE; offset += step * PAGE)
		CHECK(probe_write(&probe, GPA + offset, ++n) == PROBE_DONE, "errno %d at 0x%llx",
		      probe.error, (unsigned long long)offset);
	for (offset = 0, n = 0; offset < SIZE; offset += step * PAGE) {
		uint64_t pfn = probe_pfn(memory + offset);

		if (++n % 3)
			continue;
		CHECK(!madvise(memory + offset, PAGE, MADV_DONTNEED));
		CHECK(!probe_reachable(pfn), "0x%llx", (unsigned long long)offset);
	}
	for (offset = 0, n = 0; offset < SIZE; offset += step * PAGE) {
		n++;
		CHECK(probe_read(&probe, GPA + offset, &value) == PROBE_DONE, "errno %d at 0x%llx",
		      probe.error, (unsigned long long)offset);
		CHECK(value == (n % 3 ? n : 0), "0x%llx: %llu", (unsigned long long)offset,
		      (unsigned long long)value);
	}
	CHECK(!mshv_region_remove(probe.vm, GPA, memory, SIZE), "%s", mshv_error());
	for (offset = 0; offset < SIZE; offset += step * PAGE)
		CHECK(!probe_reachable(probe_pfn(memory + offset)));
	CHECK(probe_read(&probe, GPA, &value) == PROBE_VMM, "errno %d", probe.error);
	return PASS;
}

static enum ktap_result in_pieces(void)
{
	unsigned int every;

	for (every = 1; every <= 8; every += 7) {
		CHECK_PASS(set_up(every == 1));
		OPTION(PARTIAL_EVERY, every);
		CHECK_PASS(work());
		tear_down();
	}
	return PASS;
}

static enum ktap_result short_of_memory(void)
{
	unsigned int every;

	for (every = 2; every <= 5; every++) {
		CHECK_PASS(set_up(every & 1));
		OPTION(REFUSE_MEMORY_EVERY, every);
		CHECK_PASS(work());
		tear_down();
	}
	return PASS;
}

/* There is no end to what the hypervisor wants: an error, in finite time, and what it got comes back. */
static enum ktap_result no_end_of_memory(void)
{
	int64_t lent = probe_lent();

	OPTION(REFUSE_MEMORY_EVERY, 1);
	CHECK(probe_open(&probe) && errno == ENOMEM, "%s", mshv_error());
	behave();
	CHECK_PASS(set_up(false));
	OPTION(REFUSE_MEMORY_EVERY, 1);
	CHECK(probe_write(&probe, GPA, 1) == PROBE_ERROR && probe.error == ENOMEM, "errno %d",
	      probe.error);
	behave();
	CHECK(probe_write(&probe, GPA, 1) == PROBE_DONE, "errno %d", probe.error);
	/* A VMM that tries for ever does not lend without end: what did not help comes back. */
	OPTION(REFUSE_MEMORY_EVERY, 1);
	for (unsigned int i = 0; i < 20; i++) {
		CHECK(!mshv_vcpu_create(probe.vm, 7) && errno == ENOMEM, "%s", mshv_error());
		CHECK(probe_lent() < lent + 1000, "%lld pages lent after try %u, before %lld",
		      (long long)probe_lent(), i + 1, (long long)lent);
	}
	behave();
	CHECK(probe_write(&probe, GPA, 1) == PROBE_DONE, "errno %d", probe.error);
	tear_down();
	CHECK(probe_lent() == lent, "%lld pages lent, before %lld", (long long)probe_lent(),
	      (long long)lent);
	return PASS;
}

/* Each call that can want memory, at each point of a guest's making. */
static enum ktap_result short_while_creating(void)
{
	unsigned int at;

	for (at = 1; at < 40; at++) {
		OPTION(REFUSE_MEMORY_AT, at);
		CHECK_PASS(set_up(false));
		CHECK(probe_write(&probe, GPA, at) == PROBE_DONE, "errno %d at %u", probe.error, at);
		tear_down();
	}
	return PASS;
}

static enum ktap_result short_while_pinning(void)
{
	long locked = probe_proc("/proc/self/status", "VmLck");
	uint64_t value;
	unsigned int at;

	for (at = 1; at < 12; at++) {
		CHECK(!probe_open(&probe), "%s", mshv_error());
		memory = probe_memory(SIZE, at & 1);
		probe_keep(&probe, memory, SIZE);
		OPTION(REFUSE_MEMORY_AT, at);
		CHECK(!mshv_region_add(probe.vm, GPA, memory, SIZE, MSHV_MEMORY_PINNED), "%s",
		      mshv_error());
		CHECK(probe_read(&probe, GPA + SIZE - 8, &value) == PROBE_DONE && !value);
		tear_down();
		CHECK(probe_proc("/proc/self/status", "VmLck") == locked);
	}
	return PASS;
}

/* A map that fails leaves nothing behind: not the pins, not the count, not the map. */
static enum ktap_result pinning_refused(void)
{
	long locked = probe_proc("/proc/self/status", "VmLck");
	uint64_t value, pfn;

	CHECK(!probe_open(&probe), "%s", mshv_error());
	memory = probe_memory(SIZE, false);
	probe_keep(&probe, memory, SIZE);
	memset(memory, 1, SIZE);
	pfn = probe_pfn(memory);
	OPTION(REFUSE_CALL, HVABI_CALL_MAP_GPA_PAGES);
	OPTION(REFUSE_CALL_AT, 5);
	CHECK(mshv_region_add(probe.vm, GPA, memory, SIZE, MSHV_MEMORY_PINNED) && errno == EIO, "%s",
	      mshv_error());
	CHECK(probe_proc("/proc/self/status", "VmLck") == locked);
	CHECK(!probe_reachable(pfn));
	CHECK(probe_read(&probe, GPA, &value) == PROBE_VMM, "errno %d", probe.error);
	behave();
	CHECK(!mshv_region_add(probe.vm, GPA, memory, SIZE, MSHV_MEMORY_PINNED), "%s", mshv_error());
	CHECK(probe_read(&probe, GPA, &value) == PROBE_DONE && value == 0x0101010101010101ull);
	return PASS;
}

/* A fault that is refused: errno and message, and the guest can go on later. */
static enum ktap_result fault_refused(void)
{
	CHECK_PASS(set_up(false));
	OPTION(REFUSE_CALL, HVABI_CALL_MAP_GPA_PAGES);
	OPTION(REFUSE_CALL_AT, 1);
	CHECK(probe_write(&probe, GPA, 1) == PROBE_ERROR && probe.error == EIO, "errno %d",
	      probe.error);
	CHECK(probe.message.header.message_type == HVABI_MSG_UNMAPPED_GPA ||
	      probe.message.header.message_type == HVABI_MSG_GPA_INTERCEPT);
	CHECK(probe_write(&probe, GPA, 2) == PROBE_DONE, "errno %d", probe.error);
	CHECK(*(uint64_t *)memory == 2);
	return PASS;
}

/* The call for a page and those around it does the first one and is then refused. */
static bool refuse_half_way(void)
{
	return !mshv_hypervisor_option(HVABI_OPTION_PARTIAL_EVERY, 1) &&
	       !mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL, HVABI_CALL_MAP_GPA_PAGES) &&
	       !mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL_AT, 2);
}

/*
 * A guest that has its page does not hear of what went wrong behind it; one that has it not does, and so does one that has it
 * without the right it needs, however often it comes back.
 */
static enum ktap_result fault_refused_behind(void)
{
	uint64_t value, pages, reps, gpa, size;
	unsigned int i;

	CHECK_PASS(set_up(false));
	memset(memory, 1, 2 * BLOCK);
	/* What the guest needs for its own program. */
	CHECK(probe_read(&probe, GPA + 15 * BLOCK, &value) == PROBE_DONE, "errno %d", probe.error);
	pages = probe_stat(&probe, "pages-mapped-small");
	reps = probe_stat(&probe, "map-reps");
	CHECK(refuse_half_way());
	CHECK(probe_read(&probe, GPA, &value) == PROBE_DONE, "errno %d", probe.error);
	pages = probe_stat(&probe, "pages-mapped-small") - pages;
	reps = probe_stat(&probe, "map-reps") - reps;
	CHECK(reps && pages == reps, "%llu pages counted, %llu mapped", (unsigned long long)pages, (unsigned long long)reps);

	CHECK(refuse_half_way());
	CHECK(probe_read(&probe, GPA + BLOCK + 100 * PAGE, &value) == PROBE_ERROR && probe.error == EIO, "errno %d", probe.error);
	behave();
	CHECK(probe_read(&probe, GPA + BLOCK + 100 * PAGE, &value) == PROBE_DONE, "errno %d", probe.error);

	/* While it is tracked a page that was only read is mapped so. */
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	memset(memory + 3 * BLOCK, 1, PAGE);
	CHECK(probe_read(&probe, GPA + 3 * BLOCK, &value) == PROBE_DONE, "errno %d", probe.error);
	for (i = 0; i < 20; i++) {
		OPTION(REFUSE_CALL, HVABI_CALL_MAP_GPA_PAGES);
		OPTION(REFUSE_CALL_AT, 1);
		CHECK(probe_write(&probe, GPA + 3 * BLOCK, 1) == PROBE_ERROR && probe.error == EIO, "errno %d in try %u",
		      probe.error, i);
	}
	behave();
	CHECK(probe_write(&probe, GPA + 3 * BLOCK, 1) == PROBE_DONE, "errno %d", probe.error);
	CHECK(!mshv_track_access(probe.vm, false), "%s", mshv_error());

	/* What a VMM asks for: what was done before the refusal counts, and the next call goes on there. */
	memset(memory + 4 * BLOCK, 1, BLOCK);
	CHECK(refuse_half_way());
	gpa = GPA + 4 * BLOCK;
	size = BLOCK;
	CHECK(!mshv_prefault(probe.vm, &gpa, &size, MSHV_PREFAULT_IF_THERE), "%s", mshv_error());
	CHECK(gpa == GPA + 5 * BLOCK && !size, "0x%llx", (unsigned long long)gpa);
	return PASS;
}

/* The hypervisor wants memory when a page is taken away: there is a reserve, and it is filled again. */
static enum ktap_result invalidate_short(void)
{
	unsigned int i;
	uint64_t pfn;

	CHECK_PASS(set_up(false));
	for (i = 0; i < 50; i++) {
		CHECK(probe_write(&probe, GPA + PAGE, i) == PROBE_DONE, "errno %d, round %u",
		      probe.error, i);
		pfn = probe_pfn(memory + PAGE);
		CHECK(pfn && probe_reachable(pfn));
		OPTION(REFUSE_CALL, HVABI_CALL_MAP_GPA_PAGES);
		OPTION(REFUSE_STATUS, HVABI_STATUS_INSUFFICIENT_MEMORY);
		OPTION(REFUSE_CALL_AT, 1);
		CHECK(!madvise(memory + PAGE, PAGE, MADV_DONTNEED));
		CHECK(!probe_reachable(pfn), "round %u", i);
		behave();
	}
	OPTION(REFUSE_STATUS, HVABI_STATUS_OPERATION_FAILED);
	return PASS;
}

/* What the driver counts beyond a partition's life; -1: it does not. */
static long killed(void)
{
	FILE *f = fopen("/sys/class/misc/mshv/partitions_killed", "re");
	long count = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &count) != 1)
		count = -1;
	fclose(f);
	return count;
}

/* It does not give the page back: the guest is lost, and only the guest. */
static enum ktap_result invalidate_refused(void)
{
	struct probe other;
	uint64_t pfn, value;
	long before = killed();

	CHECK(before >= 0);
	CHECK_PASS(set_up(false));
	CHECK(probe_write(&probe, GPA, 1) == PROBE_DONE, "errno %d", probe.error);
	CHECK(probe_write(&probe, GPA + BLOCK, 1) == PROBE_DONE, "errno %d", probe.error);
	pfn = probe_pfn(memory);
	OPTION(REFUSE_CALL, HVABI_CALL_MAP_GPA_PAGES);
	OPTION(REFUSE_CALL_AT, 1);
	CHECK(!madvise(memory, PAGE, MADV_DONTNEED));
	CHECK(!probe_reachable(pfn));
	CHECK(!probe_reachable(probe_pfn(memory + BLOCK)));
	CHECK(probe_read(&probe, GPA, &value) == PROBE_ERROR && probe.error == EOWNERDEAD,
	      "errno %d", probe.error);
	CHECK(mshv_region_add(probe.vm, 1ull << 35, memory, SIZE, 0) && errno == EOWNERDEAD);
	CHECK(!mshv_region_remove(probe.vm, GPA, memory, SIZE), "%s", mshv_error());
	CHECK(killed() == before + 1, "%ld, before %ld", killed(), before);
	/* The VMM still has its memory. */
	CHECK(*(uint64_t *)(memory + BLOCK) == 1);
	behave();
	CHECK(!probe_open(&other), "%s", mshv_error());
	CHECK(probe_read(&other, 0x10000, &value) == PROBE_DONE, "errno %d", other.error);
	probe_close(&other);
	return PASS;
}

/* Nor does it let go of the guest: nobody may call it for that guest, for it would go on to write to pages that are not its. */
static enum ktap_result dead_and_held(void)
{
	struct hvabi_input_get_gpa_pages_access_state states = { .hv_gpa_page_number = GPA / PAGE };
	struct hvabi_input_translate_virtual_address walk = { .gva_page = 16 };
	struct hvabi_output_translate_virtual_address found;
	uint8_t answer[8];
	uint16_t reps = sizeof(answer);
	int64_t calls, before;

	CHECK_PASS(set_up(false));
	CHECK(probe_write(&probe, GPA, 1) == PROBE_DONE, "errno %d", probe.error);
	OPTION(REFUSE_ALWAYS, HVABI_CALL_FINALIZE_PARTITION);
	OPTION(REFUSE_CALL, HVABI_CALL_MAP_GPA_PAGES);
	OPTION(REFUSE_CALL_AT, 1);
	CHECK(!madvise(memory, PAGE, MADV_DONTNEED));
	before = probe_counted(HVABI_COUNT_CALL_GET_GPA_PAGES_ACCESS_STATES) +
		 probe_counted(HVABI_COUNT_CALL_TRANSLATE_VIRTUAL_ADDRESS);
	CHECK(mshv_hypercall(mshv_vm_fd(probe.vm), HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, &reps, &states,
			     sizeof(states), answer, sizeof(answer), NULL) == -1 && errno == EOWNERDEAD, "%s",
	      mshv_error());
	CHECK(mshv_hypercall(mshv_vcpu_fd(probe.vcpu), HVABI_CALL_TRANSLATE_VIRTUAL_ADDRESS, NULL, &walk,
			     sizeof(walk), &found, sizeof(found), NULL) == -1 && errno == EOWNERDEAD, "%s",
	      mshv_error());
	calls = probe_counted(HVABI_COUNT_CALL_GET_GPA_PAGES_ACCESS_STATES) +
		probe_counted(HVABI_COUNT_CALL_TRANSLATE_VIRTUAL_ADDRESS);
	CHECK(calls == before, "%lld calls reached the hypervisor", (long long)(calls - before));
	behave();
	return PASS;
}

static enum ktap_result slow(void)
{
	CHECK_PASS(set_up(false));
	OPTION(DELAY, 20000);
	CHECK_PASS(work());
	return PASS;
}

/*
 * False answers. Nobody can work with such a hypervisor: what counts is that everything ends, with an errno or a guest that is dead, and
 * that the parent does not believe it: it would free what is not its own, and hang or warn.
 */
static enum ktap_result lied_to(unsigned int lie)
{
	uint8_t bits[16];
	uint64_t value;

	OPTION(LIE, lie);
	memory = probe_open_with(&probe, GPA, 4 * BLOCK, false);
	if (!memory)
		return PASS;
	for (unsigned int i = 0; i < 40; i++) {
		probe_write(&probe, GPA + i * 7 * PAGE, i);
		probe_read(&probe, GPA + i * 7 * PAGE, &value);
	}
	madvise(memory, BLOCK + PAGE, MADV_DONTNEED);
	mshv_track_access(probe.vm, true);
	mshv_access_bitmap(probe.vm, GPA / PAGE, sizeof(bits) * 8, MSHV_DIRTY, MSHV_ACCESS_CLEAR, bits);
	mshv_region_change(probe.vm, GPA, memory, 4 * BLOCK, MSHV_MEMORY_PINNED);
	probe_read(&probe, GPA, &value);
	mshv_region_change(probe.vm, GPA, memory, 4 * BLOCK, 0);
	mshv_region_remove(probe.vm, GPA, memory, 4 * BLOCK);
	probe_close(&probe);

	if (!probe_open_isolated(&probe))
		probe_read(&probe, 0x10000, &value);
	return PASS;
}

static enum ktap_result lies(void)
{
	for (unsigned int lie = 1; lie < HVABI_LIE_MAX; lie++) {
		int64_t lent = probe_lent();

		CHECK_PASS(lied_to(lie));
		probe_close(&probe);
		OPTION(LIE, 0);
		/* A page that came back twice, or none that ever was the parent's, is not counted. */
		CHECK(probe_lent() >= lent, "lie %u: %lld pages", lie,
		      (long long)(probe_lent() - lent));
		ktap_note("lie %u: %lld pages stay lent", lie, (long long)(probe_lent() - lent));
		/* The next guest is as good as ever. */
		CHECK_PASS(set_up(false));
		CHECK_PASS(work());
		probe_close(&probe);
	}
	return PASS;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "calls done in pieces", in_pieces },
		{ "memory refused again and again", short_of_memory },
		{ "memory refused for ever", no_end_of_memory },
		{ "memory refused while a guest is made", short_while_creating },
		{ "memory refused while pinning", short_while_pinning },
		{ "a pinned map refused", pinning_refused },
		{ "a fault refused", fault_refused },
		{ "a fault refused behind the page it is for", fault_refused_behind },
		{ "memory wanted by an invalidation", invalidate_short },
		{ "an invalidation refused kills the guest, no more", invalidate_refused },
		{ "a dead guest that is held is not called", dead_and_held },
		{ "slow calls", slow },
		{ "false answers", lies },
	};

	ktap_cleanup = tear_down;
	return KTAP_RUN(tests);
}
