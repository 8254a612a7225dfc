// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory ages as process memory does: law 9. Linux learns which pages a guest uses, so reclaim keeps these and takes the
 * others; and it costs few hypercalls.
 *
 * The guest has a set of pages that it uses and others that it does not, so the test knows what Linux should find out. Judges are
 * the multi-generation LRU, told by its file in debugfs to age and to evict, and a cgroup's limit. What stays in memory is the
 * answer, page by page. Runs with ageing=off stand beside: without it the same must be seen to fail.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hvabi/status.h>

#include <ageing.h>
#include <host.h>
#include <session.h>

#include "group.h"
#include "ktap.h"
#include "probe.h"

#define GROUP		"/sys/fs/cgroup/age"
#define PARAMETERS	"/sys/module/mshv_movable/parameters/"

#define GPA		(8ull << 20)
#define FIRST_GFN	(GPA / PAGE)
/* Hot is each fifth page: no neighbour tells anything about another. */
#define STRIDE		5
#define SIZE		(64ull << 20)
#define PAGES		(SIZE / PAGE)
#define HOT		((PAGES + STRIDE - 1) / STRIDE)
#define MIB		(1ull << 20)
#define MIB_PAGES	256
/* Pages of one call. */
#define RUN		4095

typedef unsigned long long ull;

static struct mshv_session *session;
static uint8_t *memory;
static uint64_t size;
static uint64_t version;
static unsigned int patience = 300;

static void tear_down(void)
{
	mshv_session_close(session);
	session = NULL;
	group_leave();
	host_write(PARAMETERS "ageing", "auto");
	host_write(PARAMETERS "harvest_ms", "20");
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL_AT, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_ALWAYS, 0);
	mshv_hypervisor_option(HVABI_OPTION_LIE, 0);
}

/* A guest with @bytes at GPA, in the cgroup. */
static enum ktap_result open_guest(uint64_t bytes, unsigned int flags)
{
	struct mshv_session_config config = {
		.memory_size = GPA + bytes, .vps = 1, .memory_flags = flags,
	};

	if (host_stat("/proc/meminfo", "SwapTotal") == 0)
		return ktap_skip("no swap");
	CHECK_PASS(group_need(GROUP));
	session = mshv_session_open(&config);
	CHECK(session, "%s", mshv_error());
	memory = mshv_session_memory(session) + GPA;
	size = bytes;
	version = 1;
	CHECK(!mshv_session_boot(session, "stamp"), "%s", mshv_error());
	return PASS;
}

/* The guest does something once with some pages of its range, counted from the range's first. */
static enum ktap_result does(enum guest_command what, uint64_t first, uint64_t pages, uint64_t stride,
			     uint64_t rounds)
{
	struct guest_mailbox args = {
		.first_gfn = FIRST_GFN + first, .pages = pages, .stride = stride, .version = version,
		.rounds = rounds,
	};
	int status;

	CHECK(!mshv_session_command(session, 0, what, &args), "%s", mshv_error());
	status = mshv_session_wait(session, 0, patience);
	CHECK(status == GUEST_STATUS_OK, "%d: %s", status, mshv_error());
	return PASS;
}

static uint64_t stat_of(const char *key)
{
	uint64_t value;

	if (!mshv_stat(mshv_session_vm(session), key, &value))
		return value;
	/* No number that any test expects. */
	ktap_note("%s: %s", key, mshv_error());
	return UINT64_MAX;
}

/* One pass of Linux over all of the VMM's memory. */
static enum ktap_result age(void)
{
	if (!ageing_available())
		return ktap_skip("no multi-generation LRU");
	CHECK(!ageing_pass("age"), "%s", mshv_error());
	return PASS;
}

struct score { uint64_t hot_in, cold_in; double recall, precision; };

static struct score judge(void)
{
	struct score s = { 0 };
	uint64_t i;

	for (i = 0; i < PAGES; i++) {
		bool in = !probe_swapped(memory + i * PAGE);

		s.hot_in += in && i % STRIDE == 0;
		s.cold_in += in && i % STRIDE != 0;
	}
	s.recall = (double)s.hot_in / HOT;
	s.precision = s.hot_in ? (double)s.hot_in / (s.hot_in + s.cold_in) : 0;
	return s;
}

/* Everything stamped; then a pass; then the hot set is used; then a second pass, which costs *calls; then the old ones go. */
static enum ktap_result hot_set(struct score *score, uint64_t *calls, uint64_t *questions)
{
	CHECK_PASS(open_guest(SIZE, MSHV_MEMORY_SMALL));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, PAGES, 1, 1));
	CHECK_PASS(age());
	CHECK_PASS(age());
	CHECK_PASS(does(GUEST_COMMAND_CHECK, 0, PAGES, STRIDE, 1));
	*calls = stat_of("age-calls");
	*questions = stat_of("age-questions");
	CHECK_PASS(age());
	*calls = stat_of("age-calls") - *calls;
	*questions = stat_of("age-questions") - *questions;
	CHECK(!ageing_evict("age"), "%s", mshv_error());
	*score = judge();
	ktap_note("recall %.4f, precision %.4f: %llu of %llu hot pages in memory, and %llu of %llu others; %llu questions, %llu calls",
		  score->recall, score->precision, (ull)score->hot_in, (ull)HOT, (ull)score->cold_in,
		  (ull)(PAGES - HOT), (ull)*questions, (ull)*calls);
	/* Whatever went, it comes back as it was. */
	return does(GUEST_COMMAND_CHECK, 0, PAGES, 1, 1);
}

static enum ktap_result finds_hot(void)
{
	uint64_t calls, questions;
	struct score score;

	/* A pass under emulation is slow. */
	CHECK(!host_write(PARAMETERS "harvest_ms", "300000"));
	CHECK_PASS(hot_set(&score, &calls, &questions));
	CHECK(score.recall >= 0.99 && score.precision >= 0.95);
	CHECK(questions >= PAGES, "%llu", (ull)questions);
	/* The guest's other memory is in the same region. */
	CHECK(calls <= (PAGES + FIRST_GFN + RUN - 1) / RUN, "%llu calls for %llu pages", (ull)calls, (ull)PAGES);
	return PASS;
}

/* Without ageing Linux knows nothing of it: the test can fail. */
static enum ktap_result finds_nothing_when_off(void)
{
	uint64_t calls, questions;
	struct score score;

	CHECK(!host_write(PARAMETERS "ageing", "off"));
	CHECK_PASS(hot_set(&score, &calls, &questions));
	CHECK(!stat_of("ageing"));
	CHECK(!calls && !questions);
	CHECK(score.recall < 0.5, "%.4f", score.recall);
	return PASS;
}

/* ---- DAMON ---- */

static enum ktap_result damon_sees(void)
{
	struct guest_mailbox args = { .first_gfn = FIRST_GFN, .stride = 1, .version = 1 };
	uint64_t hot = 16 * MIB, found = 0, right = 0, calls, questions;
	unsigned int i;
	bool good;

	if (!damon_available())
		return ktap_skip("no DAMON");
	CHECK_PASS(open_guest(SIZE, MSHV_MEMORY_SMALL));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, PAGES, 1, 1));
	CHECK_PASS(age());
	args.pages = hot / PAGE;
	CHECK(!mshv_session_command(session, 0, GUEST_COMMAND_CHECK, &args), "%s", mshv_error());
	calls = stat_of("age-calls");
	questions = stat_of("age-questions");
	good = !damon_begin(memory, SIZE, MIB);
	/* The first answers are of the time before. */
	for (i = 0; good && i < 3; i++)
		good = !damon_found(memory, hot, &found, &right);
	calls = stat_of("age-calls") - calls;
	questions = stat_of("age-questions") - questions;
	damon_end();
	mshv_session_stop(session, 0);
	CHECK(mshv_session_wait(session, 0, patience) == GUEST_STATUS_OK, "%s", mshv_error());
	ktap_note("%llu KiB found accessed, %llu of them right, of %llu; %llu questions, %llu calls", (ull)found >> 10,
		  (ull)right >> 10, (ull)hot >> 10, (ull)questions, (ull)calls);
	CHECK(good, "%s", mshv_error());
	CHECK(right >= hot / 100 * 99 && right >= found / 100 * 95);
	CHECK(calls * 2 < questions);
	return PASS;
}

/* ---- large maps ---- */

/* A large map is one bit, and asked for as a whole: nothing is split for it. */
static enum ktap_result large_maps(void)
{
	uint64_t calls, large, i, in, hot_in = 0, cold_in = 0;
	const uint64_t blocks = SIZE / BLOCK;

	CHECK(!host_write(PARAMETERS "harvest_ms", "300000"));
	CHECK_PASS(open_guest(SIZE, 0));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, PAGES, 1, 1));
	large = stat_of("pages-mapped-large");
	if (large < PAGES)
		return ktap_skip("%llu of %llu pages in huge ones", (ull)large, (ull)PAGES);
	CHECK_PASS(age());
	CHECK_PASS(age());
	/* A page of each fifth block. */
	CHECK_PASS(does(GUEST_COMMAND_CHECK, 7, PAGES - 7, STRIDE * BLOCK / PAGE, 1));
	calls = stat_of("age-calls");
	CHECK_PASS(age());
	calls = stat_of("age-calls") - calls;
	CHECK(!ageing_evict("age"), "%s", mshv_error());
	for (i = 0; i < blocks; i++) {
		in = !probe_swapped(memory + i * BLOCK + 7 * PAGE);
		hot_in += in && i % STRIDE == 0;
		cold_in += in && i % STRIDE != 0;
	}
	ktap_note("%llu of %llu hot blocks in memory, and %llu others; %llu calls for %llu blocks", (ull)hot_in,
		  (ull)(blocks + STRIDE - 1) / STRIDE, (ull)cold_in, (ull)calls, (ull)blocks);
	CHECK(hot_in == (blocks + STRIDE - 1) / STRIDE && cold_in <= 1);
	/* Seven a call, and what is mapped small of the guest's first blocks. */
	CHECK(calls <= blocks / 7 + 4, "%llu", (ull)calls);
	return does(GUEST_COMMAND_CHECK, 0, PAGES, 1, 1);
}

/* ---- a VMM that tracks ---- */

static uint64_t count_bits(enum mshv_access type, enum mshv_access_op op)
{
	static uint8_t bits[PAGES / 8];
	uint64_t i, count = 0;

	memset(bits, 0, sizeof(bits));
	if (mshv_access_bitmap(mshv_session_vm(session), FIRST_GFN, PAGES, type, op, bits)) {
		ktap_note("bitmap: %s", mshv_error());
		return 0;
	}
	for (i = 0; i < PAGES; i++)
		count += bits[i / 8] >> i % 8 & 1;
	return count;
}

/* Whoever clears a bit, the other is told of it, too. */
static enum ktap_result both_are_told(void)
{
	uint64_t young, seen;

	CHECK(!host_write(PARAMETERS "harvest_ms", "300000"));
	CHECK_PASS(open_guest(SIZE, MSHV_MEMORY_SMALL));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, PAGES, 1, 1));
	CHECK(!mshv_track_access(mshv_session_vm(session), true), "%s", mshv_error());
	count_bits(MSHV_ACCESSED, MSHV_ACCESS_CLEAR);
	count_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR);
	CHECK_PASS(age());
	CHECK_PASS(age());
	CHECK(count_bits(MSHV_ACCESSED, MSHV_ACCESS_KEEP) == 0);

	/* Linux is first: the VMM still learns what was used, and what was written. */
	version++;
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, PAGES, STRIDE, 1));
	CHECK_PASS(age());
	seen = count_bits(MSHV_ACCESSED, MSHV_ACCESS_CLEAR);
	CHECK(seen == HOT, "%llu of %llu accessed", (ull)seen, (ull)HOT);
	seen = count_bits(MSHV_DIRTY, MSHV_ACCESS_CLEAR);
	CHECK(seen == HOT, "%llu of %llu written", (ull)seen, (ull)HOT);

	/* The VMM is first: Linux still learns it. */
	CHECK_PASS(does(GUEST_COMMAND_CHECK, 0, PAGES, STRIDE, 1));
	seen = count_bits(MSHV_ACCESSED, MSHV_ACCESS_CLEAR);
	CHECK(seen == HOT, "%llu of %llu accessed", (ull)seen, (ull)HOT);
	young = stat_of("age-young");
	CHECK_PASS(age());
	young = stat_of("age-young") - young;
	CHECK(young >= HOT && young < HOT + 64, "%llu of %llu", (ull)young, (ull)HOT);
	CHECK(!mshv_track_access(mshv_session_vm(session), false), "%s", mshv_error());
	return PASS;
}

/* Memory that is the guest's at many places: Linux asks under a page-table lock, so not all of them are looked at for each page. */
static enum ktap_result many_places(void)
{
	const unsigned int places = 64;
	struct probe probe;
	uint64_t calls, before, after;
	uint8_t *page;
	unsigned int i;

	CHECK_PASS(group_need(GROUP));
	/* Linux looks where a process uses more than a page. */
	page = probe_memory(MIB, false);
	memset(page, 1, MIB);
	CHECK(!probe_open(&probe), "%s", mshv_error());
	for (i = 0; i < places; i++) {
		CHECK(!mshv_region_add(probe.vm, GPA + 2 * i * PAGE, page, PAGE, 0), "%s", mshv_error());
		CHECK(probe_write(&probe, GPA + 2 * i * PAGE, i) == PROBE_DONE, "errno %d", probe.error);
	}
	CHECK_PASS(age());
	memset(page, 1, MIB);
	CHECK(!mshv_stat(probe.vm, "age-calls", &calls), "%s", mshv_error());
	CHECK_PASS(age());
	CHECK(!mshv_stat(probe.vm, "age-calls", &after), "%s", mshv_error());
	ktap_note("%llu calls", (ull)(after - calls));
	/* The probe's own memory has calls, too. */
	CHECK(after - calls >= 16 && after - calls < 16 + 8, "%llu", (ull)(after - calls));
	/* Nobody uses it: then it is old, though not all of its places could be asked about. */
	for (i = 0; i < 8; i++)
		CHECK_PASS(age());
	CHECK(!mshv_stat(probe.vm, "age-young", &before), "%s", mshv_error());
	CHECK_PASS(age());
	CHECK(!mshv_stat(probe.vm, "age-young", &after), "%s", mshv_error());
	CHECK(after == before, "%llu times young", (ull)(after - before));
	probe_close(&probe);
	munmap(page, MIB);
	return PASS;
}

/* ---- a hypervisor that does not tell ---- */

static enum ktap_result refuse(uint16_t status)
{
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_STATUS, status));
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL, HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES));
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL_AT, 1));
	return PASS;
}

/* Nothing is wrong with the guest: half of it can go. */
static enum ktap_result half_goes(void)
{
	uint64_t out = host_stat("/proc/vmstat", "pswpout");

	host_reclaim("age", SIZE / 2);
	out = host_stat("/proc/vmstat", "pswpout") - out;
	CHECK(out >= PAGES / 4, "%llu pages", (ull)out);
	return PASS;
}

static enum ktap_result half_goes_and_comes(void)
{
	CHECK_PASS(half_goes());
	return does(GUEST_COMMAND_CHECK, 0, PAGES, 1, 1);
}

static enum ktap_result refusals(void)
{
	uint64_t calls;

	CHECK_PASS(open_guest(SIZE, MSHV_MEMORY_SMALL));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, PAGES, 1, 1));
	CHECK_PASS(refuse(HVABI_STATUS_OPERATION_FAILED));
	CHECK_PASS(age());
	CHECK(stat_of("age-refused") == 1 && stat_of("age-calls") > 1 && stat_of("ageing") == 1);
	CHECK_PASS(refuse(HVABI_STATUS_INSUFFICIENT_MEMORY));
	CHECK_PASS(age());
	CHECK(stat_of("age-refused") == 2);
	/* Nobody has lent what it wants, as the guest stands: that is waited for, and the guest reclaimed meanwhile. */
	usleep(200000);
	calls = stat_of("age-calls");
	CHECK_PASS(half_goes());
	CHECK(stat_of("age-calls") == calls);
	CHECK_PASS(does(GUEST_COMMAND_CHECK, 0, PAGES, 1, 1));
	CHECK(stat_of("ageing") == 1);
	/* Not for this parent: it is asked no more. */
	CHECK_PASS(refuse(HVABI_STATUS_ACCESS_DENIED));
	CHECK_PASS(age());
	CHECK(stat_of("age-refused") == 3 && stat_of("ageing") == 0);
	calls = stat_of("age-calls");
	CHECK_PASS(age());
	CHECK(stat_of("age-calls") == calls);
	return half_goes_and_comes();
}

/* It always wants memory to tell: it gets some, 64 times, and is asked no more. */
static enum ktap_result wants_no_end(void)
{
	unsigned int rounds;
	int64_t lent, more;

	CHECK_PASS(open_guest(SIZE, MSHV_MEMORY_SMALL));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, PAGES, 1, 1));
	lent = probe_lent();
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_STATUS, HVABI_STATUS_INSUFFICIENT_MEMORY));
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_ALWAYS, HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES));
	for (rounds = 0; rounds < 2000 && stat_of("ageing"); rounds++) {
		/* Questions, then a fault. */
		CHECK_PASS(age());
		madvise(memory + SIZE - PAGE, PAGE, MADV_PAGEOUT);
		CHECK_PASS(does(GUEST_COMMAND_CHECK, PAGES - 1, 1, 1, 1));
	}
	more = probe_lent() - lent;
	ktap_note("%lld pages lent for %llu refusals in %u rounds", (long long)more, (ull)stat_of("age-refused"), rounds);
	CHECK(stat_of("age-refused") >= 64 && stat_of("ageing") == 0);
	/* 16 each time, and what faults need. */
	CHECK(more <= 64 * 16 + 256, "%lld", (long long)more);
	return PASS;
}

/* It wants memory to tell, and does not take it: it is offered some, 64 times, and is asked no more. */
static enum ktap_result wants_and_refuses(void)
{
	unsigned int rounds;
	uint64_t refused;

	CHECK_PASS(open_guest(SIZE, MSHV_MEMORY_SMALL));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, PAGES, 1, 1));
	CHECK_PASS(refuse(HVABI_STATUS_INSUFFICIENT_MEMORY));
	CHECK_PASS(age());
	refused = stat_of("age-refused");
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_STATUS, HVABI_STATUS_OPERATION_FAILED));
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_ALWAYS, HVABI_CALL_DEPOSIT_MEMORY));
	for (rounds = 0; rounds < 2000 && stat_of("ageing"); rounds++) {
		CHECK_PASS(does(GUEST_COMMAND_CHECK, 0, 1, 1, 1));
		usleep(10000);
	}
	refused = stat_of("age-refused") - refused;
	ktap_note("%llu loans refused in %u rounds", (ull)refused, rounds);
	CHECK(refused >= 60 && refused <= 70 && stat_of("ageing") == 0);
	CHECK_PASS(age());
	CHECK_PASS(does(GUEST_COMMAND_CHECK, 0, 1, 1, 1));
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_ALWAYS, 0));
	return half_goes_and_comes();
}

/* A guest that is young for ever could not be reclaimed. @pages: that it uses. */
static enum ktap_result noticed(enum hvabi_lie lie, uint64_t pages)
{
	unsigned int i;

	CHECK_PASS(open_guest(SIZE, MSHV_MEMORY_SMALL));
	/* Nothing is said before: it could be believed. */
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_LIE, lie));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, pages, 1, 1));
	for (i = 0; i < 16 && stat_of("ageing"); i++)
		CHECK_PASS(age());
	ktap_note("noticed after %u passes and %llu calls", i, (ull)stat_of("age-calls"));
	CHECK(!stat_of("ageing"));
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_LIE, 0));
	return PASS;
}

/* All bits are set, always. */
static enum ktap_result bits_that_stay(void)
{
	CHECK_PASS(noticed(HVABI_LIE_GARBAGE_STATES, PAGES));
	return half_goes_and_comes();
}

/* Those of pages that it has used. Others, which were mapped ahead, are clear, and prove nothing. */
static enum ktap_result accessed_bits_that_stay(void)
{
	CHECK_PASS(noticed(HVABI_LIE_ACCESSED_STAYS, PAGES - PAGES / 3));
	return does(GUEST_COMMAND_CHECK, 0, PAGES - PAGES / 3, 1, 1);
}

/* A page of each 512 has no state: that is no reason not to know of the others. */
static enum ktap_result silent_pages(void)
{
	uint64_t young, calls;
	unsigned int i;

	CHECK_PASS(open_guest(SIZE, MSHV_MEMORY_SMALL));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, PAGES, 1, 1));
	/* A slow pass makes as many calls as a quick one. */
	host_write(PARAMETERS "harvest_ms", "300000");
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_LIE, HVABI_LIE_SILENT_PAGES));
	CHECK_PASS(age());
	CHECK_PASS(age());
	CHECK_PASS(does(GUEST_COMMAND_CHECK, 0, PAGES, STRIDE, 1));
	young = stat_of("age-young");
	calls = stat_of("age-calls");
	CHECK_PASS(age());
	young = stat_of("age-young") - young;
	CHECK(young >= HOT - PAGES / 512 && young <= HOT + PAGES / 512 + 64, "%llu of %llu", (ull)young, (ull)HOT);
	calls = stat_of("age-calls") - calls;
	ktap_note("a pass over %llu pages: %llu calls", (ull)PAGES, (ull)calls);
	CHECK(calls < PAGES / 4, "%llu", (ull)calls);
	/* Nor are those young for ever. */
	for (i = 0; i < 100; i++) {
		young = stat_of("age-young");
		CHECK_PASS(age());
		if (stat_of("age-young") == young)
			break;
		usleep(200000);
	}
	CHECK(stat_of("age-young") == young && stat_of("ageing") == 1, "%llu", (ull)(stat_of("age-young") - young));
	ktap_note("%u passes, %llu refusals", i, (ull)stat_of("age-refused"));
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_LIE, 0));
	return half_goes_and_comes();
}

/* So often that the driver does not wait for an answer any more. */
static enum ktap_result lose_patience(void)
{
	for (unsigned int i = 0; i < 70; i++) {
		CHECK_PASS(age());
		usleep(110000);
	}
	return PASS;
}

/* Linux has the guest's memory in huge pages, the hypervisor in small ones: the pages behind one that it does not tell of count. */
static enum ktap_result silent_pages_of_huge_ones(void)
{
	const uint64_t blocks = SIZE / BLOCK;
	uint64_t young, large;

	CHECK_PASS(open_guest(SIZE, 0));
	CHECK(!mshv_track_access(mshv_session_vm(session), true), "%s", mshv_error());
	/* Of what the guest itself is in. */
	large = stat_of("pages-mapped-large");
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, PAGES, 1, 1));
	CHECK(stat_of("pages-mapped-large") == large, "%llu pages", (ull)stat_of("pages-mapped-large"));
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_LIE, HVABI_LIE_SILENT_PAGES));
	CHECK_PASS(lose_patience());
	CHECK_PASS(age());
	young = stat_of("age-young");
	CHECK_PASS(age());
	young = stat_of("age-young") - young;
	CHECK(young < blocks / 4, "nothing was used, %llu of %llu are young", (ull)young, (ull)blocks);
	/* One page of each. */
	CHECK_PASS(does(GUEST_COMMAND_CHECK, 100, PAGES - 100, BLOCK / PAGE, 1));
	/* Runs rest for a moment. */
	usleep(50000);
	young = stat_of("age-young");
	CHECK_PASS(age());
	young = stat_of("age-young") - young;
	CHECK(young >= blocks, "%llu of %llu are young", (ull)young, (ull)blocks);
	CHECK(!mshv_track_access(mshv_session_vm(session), false), "%s", mshv_error());
	return PASS;
}

/*
 * The first pages of each block have no state. @small: all of the leaves are, and the rest counts. Else nothing is known of them,
 * and they are young for a while.
 */
static enum ktap_result silent_rows_of(bool small)
{
	const uint64_t blocks = SIZE / BLOCK;
	uint64_t young, calls, large;

	CHECK_PASS(open_guest(SIZE, 0));
	/* A slow pass makes as many calls as a quick one. */
	host_write(PARAMETERS "harvest_ms", "300000");
	CHECK(!mshv_track_access(mshv_session_vm(session), small), "%s", mshv_error());
	large = stat_of("pages-mapped-large");
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, PAGES, 1, 1));
	large = stat_of("pages-mapped-large") - large;
	CHECK(small ? !large : large >= PAGES, "%llu pages", (ull)large);
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_LIE, HVABI_LIE_SILENT_ROWS));
	if (small)
		CHECK_PASS(lose_patience());
	young = stat_of("age-young");
	CHECK_PASS(age());
	young = stat_of("age-young") - young;
	CHECK(small ? young < blocks / 4 : young >= blocks, "before: %llu", (ull)young);
	CHECK_PASS(does(GUEST_COMMAND_CHECK, 100, PAGES - 100, BLOCK / PAGE, 1));
	/* Runs rest for a moment. */
	usleep(50000);
	young = stat_of("age-young");
	calls = stat_of("age-calls");
	CHECK_PASS(age());
	young = stat_of("age-young") - young;
	calls = stat_of("age-calls") - calls;
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_LIE, 0));
	ktap_note("%llu of %llu are young after %llu calls", (ull)young, (ull)blocks, (ull)calls);
	CHECK(young >= blocks, "%llu", (ull)young);
	/* The run and the block; then, for each page of the row, from behind the first one and from there. */
	CHECK(calls <= (small ? 7 : 2) * (blocks + 2), "%llu calls", (ull)calls);
	return PASS;
}

static enum ktap_result silent_rows(void)
{
	return silent_rows_of(true);
}

static enum ktap_result silent_large_pages(void)
{
	return silent_rows_of(false);
}

/* What Linux has not asked for, or the guest does not have, takes no patience away from what is there. */
static enum ktap_result patience_is_of_what_was_asked_for(void)
{
	const uint64_t block = BLOCK / PAGE, first = block + 100;
	uint64_t young;

	CHECK_PASS(open_guest(SIZE, MSHV_MEMORY_SMALL));
	/* Of the second block the guest has the end, so not the page that the hypervisor does not tell of. */
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, block, 1, 1));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, first, 2 * block - first, 1, 1));
	/* Nor what was mapped around. */
	CHECK(!madvise(memory + block * PAGE, (first - block) * PAGE, MADV_DONTNEED), "%s", strerror(errno));
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_LIE, HVABI_LIE_SILENT_PAGES));
	CHECK_PASS(lose_patience());
	CHECK_PASS(refuse(HVABI_STATUS_OPERATION_FAILED));
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_ALWAYS, HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES));
	young = stat_of("age-young");
	CHECK_PASS(age());
	young = stat_of("age-young") - young;
	CHECK(young >= 2 * block - first, "%llu of %llu are young", (ull)young, (ull)(2 * block - first));
	return PASS;
}

/* ---- under a limit ---- */

struct pressure { uint64_t refaults, in, out, calls, intercepts; };

static struct pressure now(void)
{
	return (struct pressure){
		.refaults = host_stat(GROUP "/memory.stat", "workingset_refault_anon"),
		.in = host_stat("/proc/vmstat", "pswpin"),
		.out = host_stat("/proc/vmstat", "pswpout"),
		.calls = stat_of("age-calls"),
		.intercepts = stat_of("faults-served"),
	};
}

/* What has happened since @before. */
static void add(struct pressure *p, struct pressure before)
{
	struct pressure after = now();

	p->refaults += after.refaults - before.refaults;
	p->in += after.in - before.in;
	p->out += after.out - before.out;
	p->calls += after.calls - before.calls;
	p->intercepts += after.intercepts - before.intercepts;
}

static void say(const struct pressure *p, const char *what)
{
	ktap_note("%s: while the hot set is used %llu pages refaulted, %llu swapped in, %llu out, %llu intercepts, %llu calls for ageing; in all %llu calls",
		  what, (ull)p->refaults, (ull)p->in, (ull)p->out, (ull)p->intercepts, (ull)p->calls,
		  (ull)stat_of("age-calls"));
}

static enum ktap_result limit(uint64_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (ull)bytes);
	CHECK(!host_write(GROUP "/memory.max", text), "%s", strerror(errno));
	return PASS;
}

/*
 * Loops three times over @hot MiB for each @slice MiB of memory that it takes for the first time. What Linux has to swap in is hot:
 * it should not have gone.
 */
static enum ktap_result loop_and_scan(unsigned int hot, unsigned int slice, unsigned int rounds, uint64_t max,
				      const char *what, struct pressure *p)
{
	unsigned int i, cold = slice * rounds;

	CHECK_PASS(open_guest((hot + cold) * MIB, MSHV_MEMORY_SMALL));
	CHECK_PASS(limit(max));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, hot * MIB_PAGES, 1, 1));
	*p = (struct pressure){ 0 };
	for (i = 0; i < rounds; i++) {
		struct pressure before = now();

		CHECK_PASS(does(GUEST_COMMAND_CHECK, 0, hot * MIB_PAGES, 1, 3));
		add(p, before);
		CHECK_PASS(does(GUEST_COMMAND_STAMP, (hot + i * slice) * MIB_PAGES, slice * MIB_PAGES, 1, 1));
	}
	say(p, what);
	CHECK_PASS(does(GUEST_COMMAND_CHECK, 0, (hot + cold) * MIB_PAGES, 1, 1));
	return PASS;
}

static enum ktap_result scan_cold_loop_hot(void)
{
	struct pressure with, without;

	CHECK_PASS(loop_and_scan(32, 2, 32, 48 * MIB, "loop and scan, ageing", &with));
	tear_down();
	CHECK(!host_write(PARAMETERS "ageing", "off"));
	CHECK_PASS(loop_and_scan(32, 2, 32, 48 * MIB, "loop and scan, off", &without));
	CHECK(with.refaults * 3 <= without.refaults * 2);
	return PASS;
}

/* Four of five accesses go to a fifth of the memory, which has room under the limit. */
static enum ktap_result eighty_twenty(const char *what, struct pressure *p)
{
	uint64_t pages = 64 * MIB_PAGES, at = 0;
	unsigned int i;

	CHECK_PASS(open_guest(64 * MIB, MSHV_MEMORY_SMALL));
	CHECK_PASS(limit(32 * MIB));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, pages, 1, 1));
	/* The hot ones are in once. */
	CHECK_PASS(does(GUEST_COMMAND_CHECK, 0, pages, STRIDE, 1));
	*p = (struct pressure){ 0 };
	for (i = 0; i < 40; i++) {
		uint64_t slice = pages / 20;
		struct pressure before = now();

		/* A fifth of the memory once, and a quarter as many pages in sequence. */
		CHECK_PASS(does(GUEST_COMMAND_CHECK, 0, pages, STRIDE, 1));
		add(p, before);
		CHECK_PASS(does(GUEST_COMMAND_CHECK, at, slice, 1, 1));
		at = (at + slice) % (pages - slice);
	}
	say(p, what);
	return does(GUEST_COMMAND_CHECK, 0, pages, 1, 1);
}

static enum ktap_result hot_fifth(void)
{
	struct pressure with, without;

	CHECK_PASS(eighty_twenty("80/20, ageing", &with));
	tear_down();
	CHECK(!host_write(PARAMETERS "ageing", "off"));
	CHECK_PASS(eighty_twenty("80/20, off", &without));
	CHECK(with.refaults * 3 <= without.refaults);
	return PASS;
}

/* ---- both kinds of LRU, small and huge pages, three limits ---- */

#define LRU_GEN		"/sys/kernel/mm/lru_gen/enabled"
#define LIMITED_ROUNDS	20

/*
 * A fifth of the memory is used all the time, in one piece, so that it may be huge pages; a tenth of the rest in turn, once for
 * each time that the fifth is. Linux has seen the rest once before it counts.
 */
static enum ktap_result piece_and_scan(unsigned int flags, unsigned int percent, struct pressure *p)
{
	const uint64_t pages = 64 * MIB_PAGES, hot = pages / 5, slice = (pages - hot) / 10;
	struct pressure before;
	unsigned int i;

	CHECK_PASS(open_guest(64 * MIB, flags));
	CHECK_PASS(limit(64 * MIB * percent / 100));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, pages, 1, 1));
	*p = (struct pressure){ 0 };
	for (i = 0; i < 10 + LIMITED_ROUNDS; i++) {
		before = now();
		CHECK_PASS(does(GUEST_COMMAND_CHECK, 0, hot, 1, 1));
		if (i >= 10)
			add(p, before);
		CHECK_PASS(does(GUEST_COMMAND_CHECK, hot + i % 10 * slice, slice, 1, 1));
	}
	CHECK_PASS(does(GUEST_COMMAND_CHECK, 0, pages, 1, 1));
	tear_down();
	return PASS;
}

/*
 * Of all uses of the fifth 98 of a hundred find it there; and where the limit is tight, without ageing, three times as many do not.
 * The kinds of lists and pages together: once in a while all that is hot goes at once, where huge pages are 32 entries of the
 * lists, or generations begin with the order in which the guest has first had its pages, and one run of one kind tells nothing.
 */
static enum ktap_result all_limits(void)
{
	static const unsigned int percent[] = { 80, 100, 120 };
	const uint64_t uses = LIMITED_ROUNDS * (64 * MIB_PAGES / 5);
	/* On a kernel that checks everything: small pages and old lists, huge ones and new, the tight limit. */
	const unsigned int step = getenv("AGE_SHORT") ? 3 : 1;
	uint64_t all = 0, tight = 0, off = 0, most = 0;
	unsigned int kind, i;
	struct pressure p;

	for (kind = 0; kind < 4; kind += step) {
		const unsigned int flags = kind & 1 ? 0 : MSHV_MEMORY_SMALL;

		if (host_write(LRU_GEN, kind & 2 ? "7" : "0"))
			return ktap_skip("no multi-generation LRU to switch");
		ktap_note("%s LRU, %s pages", kind & 2 ? "multi-generation" : "classic", kind & 1 ? "huge" : "small");
		for (i = 0; i < 3; i += step) {
			CHECK_PASS(piece_and_scan(flags, percent[i], &p));
			ktap_note("limit %u %%: %llu pages of the fifth refaulted in %llu uses", percent[i], (ull)p.refaults,
				  (ull)uses);
			CHECK(percent[i] <= 100 || !p.refaults);
			all += p.refaults;
			tight += i ? 0 : p.refaults;
			most += percent[i] <= 100 ? uses / 50 : 0;
		}
		CHECK(!host_write(PARAMETERS "ageing", "off"));
		CHECK_PASS(piece_and_scan(flags, percent[0], &p));
		ktap_note("limit %u %%, ageing=off: %llu pages refaulted", percent[0], (ull)p.refaults);
		off += p.refaults;
	}
	CHECK(all <= most, "%llu, more than %llu", (ull)all, (ull)most);
	CHECK(tight * 3 <= off, "%llu, without ageing %llu", (ull)tight, (ull)off);
	return PASS;
}

/*
 * A guest that goes through more than there is room for, in sequence, and has earned large windows before. What it is given in
 * advance takes the place of what it comes to next: each page is swapped in about once a round, and not once for nothing, too.
 */
static enum ktap_result loop_beyond_limit(void)
{
	const uint64_t pages = 64 * MIB_PAGES, rounds = 4;
	struct pressure p = { 0 }, before;

	CHECK_PASS(open_guest(64 * MIB, MSHV_MEMORY_SMALL));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, pages, 1, 1));
	CHECK_PASS(limit(32 * MIB));
	before = now();
	CHECK_PASS(does(GUEST_COMMAND_CHECK, 0, pages, 1, rounds));
	add(&p, before);
	say(&p, "a loop over twice the limit");
	CHECK(p.in > rounds * pages / 2 && p.in <= rounds * pages * 9 / 8, "%llu of %llu", (ull)p.in, (ull)(rounds * pages));
	return does(GUEST_COMMAND_CHECK, 0, pages, 1, 1);
}

/* ---- a guest that uses all it has ---- */

static enum ktap_result use_all(unsigned int passes)
{
	for (; passes; passes--) {
		CHECK_PASS(does(GUEST_COMMAND_CHECK, 0, PAGES, 1, 1));
		CHECK_PASS(age());
	}
	return PASS;
}

/* Linux looks again and again, and everything is young, and it takes nothing: after some rounds one page in 64 is old. */
static enum ktap_result all_young(void)
{
	CHECK_PASS(open_guest(SIZE, MSHV_MEMORY_SMALL));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, PAGES, 1, 1));
	CHECK_PASS(age());
	/* Before the end of its fourth time round it cannot know. */
	CHECK_PASS(use_all(2));
	CHECK(stat_of("age-withheld") == 0, "%llu", (ull)stat_of("age-withheld"));
	CHECK_PASS(use_all(7));
	ktap_note("%llu of %llu answers withheld", (ull)stat_of("age-withheld"), (ull)stat_of("age-questions"));
	CHECK(stat_of("age-withheld") >= PAGES / 64 && stat_of("age-withheld") <= stat_of("age-questions") / 64);
	return PASS;
}

/* The limit comes while the guest works. What cannot be reclaimed to it would end with an OOM kill: of this program. */
static enum ktap_result limits_busy_guest(void)
{
	struct guest_mailbox args = {
		.first_gfn = FIRST_GFN, .pages = PAGES, .stride = 1, .version = 1,
	};
	volatile struct guest_mailbox *box;
	uint64_t rounds, waited;
	unsigned int i;

	/* Seen there: 35,011 pages tried, 4 freed: a page is back before it is written. */
	if (ktap_debug_kernel())
		return ktap_skip("the guest takes back what this kernel takes faster than it can write it");
	CHECK_PASS(open_guest(SIZE, MSHV_MEMORY_SMALL));
	CHECK_PASS(does(GUEST_COMMAND_STAMP, 0, PAGES, 1, 1));
	CHECK(!mshv_session_command(session, 0, GUEST_COMMAND_CHECK, &args), "%s", mshv_error());
	box = mshv_session_mailbox(session, 0);
	for (i = 0; i < 5; i++) {
		CHECK_PASS(limit(SIZE / 8 * 7));
		CHECK(!host_write(GROUP "/memory.max", "max"), "%s", strerror(errno));
		/* All of it is back. */
		for (rounds = box->done_rounds, waited = 0; box->done_rounds < rounds + 2; waited++) {
			CHECK(waited < patience * 100, "the guest stands");
			usleep(10000);
		}
	}
	mshv_session_stop(session, 0);
	CHECK(mshv_session_wait(session, 0, patience) == GUEST_STATUS_OK, "%s", mshv_error());
	ktap_note("%llu answers withheld of %llu young ones", (ull)stat_of("age-withheld"), (ull)stat_of("age-young"));
	CHECK(host_stat(GROUP "/memory.events", "max") >= 5 && host_stat(GROUP "/memory.events", "oom_kill") == 0);
	return does(GUEST_COMMAND_CHECK, 0, PAGES, 1, 1);
}

/* Which kind of lists Linux had. */
static char lru_before[32];

static void clean_up(void)
{
	tear_down();
	host_write(LRU_GEN, lru_before);
}

int main(int argc, char **argv)
{
	static const struct ktap_test tests[] = {
		{ "Linux finds the pages that a guest uses", finds_hot },
		{ "and does not with ageing=off", finds_nothing_when_off },
		{ "DAMON finds them", damon_sees },
		{ "a large map is asked for as a whole", large_maps },
		{ "Linux and a VMM that tracks are both told", both_are_told },
		{ "memory that is bound at many places", many_places },
		{ "a hypervisor that refuses", refusals },
		{ "a hypervisor that always wants memory to tell", wants_no_end },
		{ "a hypervisor that does not take the memory that it wants to tell", wants_and_refuses },
		{ "a page that it does not tell of", silent_pages },
		{ "a page that it does not tell of, of a huge one", silent_pages_of_huge_ones },
		{ "a row of pages that it does not tell of", silent_rows },
		{ "large pages that it does not tell of", silent_large_pages },
		{ "patience is of what was asked for", patience_is_of_what_was_asked_for },
		{ "bits that cannot be cleared", bits_that_stay },
		{ "accessed bits that cannot be cleared, of some pages", accessed_bits_that_stay },
		{ "80/20 under a limit", hot_fifth },
		{ "scan over cold, loop over hot", scan_cold_loop_hot },
		{ "a loop over twice the limit", loop_beyond_limit },
		{ "a hot piece and a scan, under three limits", all_limits },
		{ "all is young: some is withheld", all_young },
		{ "a guest that uses all it has can still be limited", limits_busy_guest },
	};

	host_read(LRU_GEN, lru_before, sizeof(lru_before));
	ktap_cleanup = clean_up;
	return KTAP_MAIN(argc, argv, tests);
}
