// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest costs, counted: pages, faults and hypercalls; thousands of regions; memory that a VMM brings in from elsewhere
 * while two processors want it (post-copy).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <host.h>

#include "ktap.h"
#include "probe.h"
#include "stamper.h"

#define GPA	(1ull << 30)
#define SIZE	(64ull << 20)

typedef unsigned long long ull;

#define GIB	(1ull << 30)

/* Faults in which the window of a processor in sequence grows to 2 MiB: 1, 2, 4, 8, 16, 64, 256, 512 pages. */
#define RUN_UP	8u
/* And those after it until it has 64 MiB: each window is 2 MiB and an eighth of what was touched. */
#define SEQUENCE_FAULTS	16u

static struct probe probe, second;
static struct stamper guest;
static struct mshv_session *session;
static uint8_t *memory;
static int uffd = -1;

static void tear_down(void)
{
	stamper_close(&guest);
	mshv_session_close(session);
	session = NULL;
	if (second.vcpu)
		mshv_vcpu_destroy(second.vcpu);
	second.vcpu = NULL;
	probe_close(&probe);
	if (uffd >= 0)
		close(uffd);
	memory = NULL;
	uffd = -1;
}

static enum ktap_result set_up(uint64_t size, bool huge)
{
	memory = probe_open_with(&probe, GPA, size, huge);
	CHECK(memory, "%s", mshv_error());
	/* The guest's own pages are not what is counted. */
	CHECK(probe_write(&probe, 0x20000, 0) == PROBE_DONE);
	return PASS;
}

static uint64_t faults(void)
{
	return probe_counter(&probe, HVABI_COUNT_EXIT_NPF_UNMAPPED) +
	       probe_counter(&probe, HVABI_COUNT_EXIT_NPF_ACCESS);
}

/* A guest that jumps about has earned no window: it gets the pages it touches, and no others. */
static enum ktap_result random_access(void)
{
	struct host_pages pages;
	unsigned int i, seed = 7;
	uint64_t before;

	CHECK_PASS(set_up(SIZE, false));
	before = faults();
	for (i = 0; i < 200; i++) {
		/* A page in every 16, the 16s in disorder. */
		uint64_t page = (i * 37 + 11) % 200 * 16 + rand_r(&seed) % 16;

		CHECK(probe_write(&probe, GPA + page * PAGE, i) == PROBE_DONE);
	}
	CHECK(!host_count_pages(memory, SIZE, false, &pages));
	CHECK(pages.present == 200, "%llu pages for 200 touched", (ull)pages.present);
	CHECK(faults() - before == 200, "%llu faults", (ull)(faults() - before));
	return PASS;
}

/* ---- one processor in sequence ---- */

/* The guest stamps pages of its range, in order. */
static enum ktap_result stamp(uint64_t offset, uint64_t pages)
{
	const struct guest_mailbox args = {
		.first_gfn = (STAMPER_GPA + offset) / PAGE, .pages = pages, .stride = 1, .version = 1, .rounds = 1,
	};
	int status;

	CHECK(!mshv_session_command(session, 0, GUEST_COMMAND_STAMP, &args), "%s", mshv_error());
	status = mshv_session_wait(session, 0, stamper_patience);
	CHECK(status == GUEST_STATUS_OK, "%d: %s", status, mshv_error());
	return PASS;
}

/* A guest with @size bytes at STAMPER_GPA of which it has touched none. What it needs for itself it has. */
static enum ktap_result sequence_set_up(uint64_t size, unsigned int flags)
{
	const struct mshv_session_config config = {
		.memory_size = STAMPER_GPA + size + BLOCK, .vps = 1, .memory_flags = flags,
	};

	session = mshv_session_open(&config);
	CHECK(session && !mshv_session_boot(session, "stamp"), "%s", mshv_error());
	memory = mshv_session_memory(session) + STAMPER_GPA;
	return stamp(size, 1);
}

struct costs {
	uint64_t faults;
	uint64_t calls;
	uint64_t refused;
};

static struct costs costs(void)
{
	uint64_t count[HVABI_COUNT_MAX] = { 0 };

	if (mshv_counters(mshv_session_vm(session), count, HVABI_COUNT_MAX))
		ktap_note("%s", mshv_error());
	return (struct costs){
		.faults = count[HVABI_COUNT_EXIT_NPF_UNMAPPED] + count[HVABI_COUNT_EXIT_NPF_ACCESS],
		.calls = count[HVABI_COUNT_CALL_MAP_GPA_PAGES],
		.refused = count[HVABI_COUNT_CALL_DEPOSIT_MEMORY],
	};
}

/* 1 GiB, and what it may cost. */
static enum ktap_result gib_in_sequence(unsigned int flags, bool there, uint64_t faults, uint64_t calls)
{
	struct costs before, after;
	struct host_pages pages;

	CHECK_PASS(sequence_set_up(GIB, flags));
	if (there)
		for (uint64_t offset = 0; offset < GIB; offset += PAGE)
			memory[offset] = 1;
	before = costs();
	CHECK_PASS(stamp(0, GIB / PAGE));
	after = costs();
	ktap_note("1 GiB: %llu faults, %llu map calls, %llu deposits", (ull)(after.faults - before.faults),
		  (ull)(after.calls - before.calls), (ull)(after.refused - before.refused));
	CHECK(!host_count_pages(memory, GIB, false, &pages) && pages.present == GIB / PAGE);
	CHECK(after.faults - before.faults <= faults);
	CHECK(after.calls - before.calls <= calls);
	return PASS;
}

static enum ktap_result gib_small(void)
{
	return gib_in_sequence(MSHV_MEMORY_SMALL, false, 64, 530);
}

static enum ktap_result gib_small_there(void)
{
	return gib_in_sequence(MSHV_MEMORY_SMALL, true, 64, 530);
}

/* A window of new memory is one call; more than the window nobody may allocate. */
static enum ktap_result gib_huge(void)
{
	return gib_in_sequence(0, false, 64, 64);
}

static enum ktap_result gib_huge_there(void)
{
	return gib_in_sequence(0, true, 8, 8);
}

/* Sequences that end: nothing is allocated that they have not earned. */
static enum ktap_result earned(void)
{
	static const uint64_t lengths[] = { 1, 5, 40, 300, 2000, 13000, 7, 600, 25000, 3000 };
	const uint64_t apart = 128ull << 20;
	uint64_t touched = 0, extra, i;
	struct host_pages pages;

	CHECK_PASS(sequence_set_up(sizeof(lengths) / sizeof(lengths[0]) * apart, MSHV_MEMORY_SMALL));
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		CHECK_PASS(stamp(i * apart, lengths[i]));
		touched += lengths[i];
		CHECK(!host_count_pages(memory, (i + 1) * apart, false, &pages));
		extra = pages.present - touched;
		/* What the guest touched to start with has earned a little, too. */
		CHECK(pages.present >= touched && extra <= touched / 8 + 512 + 16,
		      "%llu pages for %llu touched", (ull)pages.present, (ull)touched);
	}
	ktap_note("%llu pages touched in %llu sequences, %llu more allocated", (ull)touched, (ull)i, (ull)extra);
	return PASS;
}

/*
 * Two processors in sequence: how one is served must not spoil what is known of the other. @step is how far apart two touches of
 * one processor are, @apart the two processors. The bound is the one of a single processor, for each.
 */
static enum ktap_result two_in_sequence(uint64_t step, uint64_t apart)
{
	uint64_t before, offset, range = apart < step ? SIZE : apart;

	CHECK_PASS(set_up(SIZE, false));
	CHECK(!probe_second(&second, &probe), "%s", mshv_error());
	CHECK(probe_write(&second, 0x20000, 0) == PROBE_DONE);
	before = faults();
	for (offset = 0; offset < range; offset += step) {
		GUEST_WRITES(GPA + offset, offset);
		CHECK(probe_write(&second, GPA + offset + apart, offset) == PROBE_DONE);
	}
	before = faults() - before;
	ktap_note("%llu faults", (ull)before);
	CHECK(before <= 2 * (RUN_UP + SEQUENCE_FAULTS), "%llu faults for %llu MiB", (ull)before,
	      SIZE >> 20);
	return PASS;
}

static enum ktap_result taking_turns(void)
{
	return two_in_sequence(2 * PAGE, PAGE);
}

static enum ktap_result half_each(void)
{
	return two_in_sequence(PAGE, SIZE / 2);
}

/*
 * Processors that go through the same pages, each in an order of its own: who comes second finds the page mapped, or looks once.
 * Nothing is mapped twice, whoever asks.
 */
static enum ktap_result same_pages(void)
{
	const struct mshv_session_config config = {
		.memory_size = STAMPER_GPA + SIZE, .vps = 4, .memory_flags = MSHV_MEMORY_SMALL,
	};
	struct guest_mailbox args = {
		.first_gfn = STAMPER_GPA / PAGE, .pages = SIZE / PAGE, .stride = 1, .version = 1, .rounds = 1,
	};
	uint64_t before[HVABI_COUNT_MAX] = { 0 }, after[HVABI_COUNT_MAX] = { 0 }, faults, maps;
	unsigned int vp;

	session = mshv_session_open(&config);
	CHECK(session && !mshv_session_boot(session, "stamp"), "%s", mshv_error());
	/* What each processor needs for itself it has. */
	for (vp = 0; vp < config.vps; vp++) {
		args.pages = vp + 1;
		CHECK(!mshv_session_command(session, vp, GUEST_COMMAND_STAMP, &args), "%s", mshv_error());
		CHECK(mshv_session_wait(session, vp, stamper_patience) == GUEST_STATUS_OK, "%s", mshv_error());
	}
	CHECK(!mshv_counters(mshv_session_vm(session), before, HVABI_COUNT_MAX), "%s", mshv_error());
	args.pages = SIZE / PAGE;
	for (vp = 0; vp < config.vps; vp++) {
		args.seed = vp;
		CHECK(!mshv_session_command(session, vp, GUEST_COMMAND_STAMP, &args), "%s", mshv_error());
	}
	for (vp = 0; vp < config.vps; vp++)
		CHECK(mshv_session_wait(session, vp, stamper_patience) == GUEST_STATUS_OK, "%s", mshv_error());
	CHECK(!mshv_counters(mshv_session_vm(session), after, HVABI_COUNT_MAX), "%s", mshv_error());
	faults = after[HVABI_COUNT_EXIT_NPF_UNMAPPED] + after[HVABI_COUNT_EXIT_NPF_ACCESS] -
		 before[HVABI_COUNT_EXIT_NPF_UNMAPPED] - before[HVABI_COUNT_EXIT_NPF_ACCESS];
	maps = after[HVABI_COUNT_MAP_4K] - before[HVABI_COUNT_MAP_4K];
	ktap_note("%llu pages, %u processors: %llu faults, %llu maps", SIZE / PAGE, config.vps, (ull)faults, (ull)maps);
	/* The first pages were there. */
	CHECK(maps <= SIZE / PAGE && maps >= SIZE / PAGE - 64, "%llu maps", (ull)maps);
	return PASS;
}

/* Neither end at a multiple of 2 MiB: what lies between is mapped large all the same. */
static enum ktap_result unaligned_middle(void)
{
	const uint64_t skip = 7 * PAGE, size = 6 * BLOCK - 3 * PAGE;
	uint64_t offset, maps;

	CHECK(!probe_open(&probe), "%s", mshv_error());
	memory = probe_memory(8 * BLOCK, true);
	probe_keep(&probe, memory, 8 * BLOCK);
	memset(memory, 1, 8 * BLOCK);
	CHECK(!mshv_region_add(probe.vm, GPA + skip, memory + skip, size, 0), "%s", mshv_error());
	maps = probe_counter(&probe, HVABI_COUNT_MAP_2M);
	for (offset = 0; offset < size; offset += 64 * PAGE)
		CHECK(probe_write(&probe, GPA + skip + offset, offset) == PROBE_DONE);
	maps = probe_counter(&probe, HVABI_COUNT_MAP_2M) - maps;
	if (!maps && host_stat("/proc/vmstat", "thp_fault_alloc") == 0)
		return ktap_skip("Linux had no huge page to give");
	CHECK(maps == 5, "%llu of 5 whole blocks", (ull)maps);
	return PASS;
}

/* Large ranges go in batches: 509 blocks a call, so 2 calls a GiB to take away, and 1 to unmap. */
static enum ktap_result few_calls(void)
{
	uint64_t calls, offset;

	CHECK_PASS(set_up(SIZE, false));
	for (offset = 0; offset < SIZE; offset += 16 * PAGE)
		CHECK(probe_write(&probe, GPA + offset, offset) == PROBE_DONE);
	calls = probe_counter(&probe, HVABI_COUNT_CALL_MAP_GPA_PAGES);
	CHECK(!madvise(memory, SIZE, MADV_DONTNEED));
	calls = probe_counter(&probe, HVABI_COUNT_CALL_MAP_GPA_PAGES) - calls;
	CHECK(calls == 1, "%llu calls took %llu MiB away", (ull)calls, SIZE >> 20);
	CHECK(probe_read(&probe, GPA, &offset) == PROBE_DONE && offset == 0);

	calls = probe_counter(&probe, HVABI_COUNT_CALL_UNMAP_GPA_PAGES);
	CHECK(!mshv_region_remove(probe.vm, GPA, memory, SIZE), "%s", mshv_error());
	calls = probe_counter(&probe, HVABI_COUNT_CALL_UNMAP_GPA_PAGES) - calls;
	CHECK(calls == 1, "%llu calls unmapped %llu MiB", (ull)calls, SIZE >> 20);
	return PASS;
}

#define REGIONS	3000u

/* Page by page, side by side, added and removed in disorder. */
static enum ktap_result thousands_of_regions(void)
{
	const uint64_t step = 1009;	/* prime to REGIONS: each comes once */
	const uint64_t size = (REGIONS * PAGE + 2 * BLOCK - 1) & -BLOCK;
	uint64_t i, n, value;
	unsigned int round;

	CHECK(!probe_open(&probe), "%s", mshv_error());
	memory = probe_memory(size, false);
	probe_keep(&probe, memory, size);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < REGIONS; i++) {
			n = i * step % REGIONS;
			/* Backwards, so that neighbours in the guest are none in the VMM. */
			CHECK(!mshv_region_add(probe.vm, GPA + n * PAGE,
					       memory + (REGIONS - n) * PAGE, PAGE, 0),
			      "region %llu: %s", (ull)n, mshv_error());
		}
		CHECK(mshv_region_add(probe.vm, GPA + 5 * PAGE, memory, PAGE, 0) && errno == EEXIST);
		for (n = round; n < REGIONS; n += 7)
			CHECK(probe_write(&probe, GPA + n * PAGE, n + 1 + round) == PROBE_DONE);
		for (n = round; n < REGIONS; n += 7)
			CHECK(*(uint64_t *)(memory + (REGIONS - n) * PAGE) == n + 1 + round);
		for (i = 0; i < REGIONS; i++) {
			n = i * step % REGIONS;
			CHECK(!mshv_region_remove(probe.vm, GPA + n * PAGE,
						  memory + (REGIONS - n) * PAGE, PAGE),
			      "region %llu: %s", (ull)n, mshv_error());
		}
		for (n = 0; n < REGIONS; n += 100)
			CHECK(probe_read(&probe, GPA + n * PAGE, &value) == PROBE_VMM);
	}
	return PASS;
}

/* ---- post-copy ---- */

static bool watch(void *start, uint64_t size)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register all = {
		.range = { .start = (uintptr_t)start, .len = size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	return uffd >= 0 && !ioctl(uffd, UFFDIO_API, &api) && !ioctl(uffd, UFFDIO_REGISTER, &all);
}

static volatile bool stop;
static uint64_t delivered, twice;

static void deliver(uint64_t index)
{
	static uint8_t page[PAGE] __attribute__((aligned(4096)));
	struct uffdio_copy copy = {
		.dst = (uintptr_t)guest.memory + index * PAGE, .src = (uintptr_t)page, .len = PAGE,
	};
	unsigned int word;

	for (word = 0; word < GUEST_STAMP_WORDS; word++)
		*(uint64_t *)(page + word * GUEST_STAMP_STEP) =
			guest_stamp_word(STAMPER_GPA / PAGE + index, guest.version[index % STAMPER_VPS],
					 word);
	if (!ioctl(uffd, UFFDIO_COPY, &copy))
		delivered++;
	else if (errno == EEXIST)
		twice++;
}

/* Serves what is asked for; when nothing is, pushes the next page that nobody has wanted yet. */
static void *source(void *arg)
{
	struct pollfd poll_uffd = { .fd = uffd, .events = POLLIN };
	struct uffd_msg message;
	uint64_t next = 0;

	(void)arg;
	while (!stop) {
		if (poll(&poll_uffd, 1, 2) > 0 &&
		    read(uffd, &message, sizeof(message)) == sizeof(message))
			deliver((message.arg.pagefault.address - (uintptr_t)guest.memory) / PAGE);
		else if (next < guest.size / PAGE)
			deliver(next++);
	}
	return NULL;
}

static enum ktap_result post_copy(void)
{
	struct host_pages pages;
	pthread_t thread;
	int wrong;

	CHECK(!stamper_open(&guest, 4 * BLOCK, MSHV_MEMORY_SMALL));
	if (!watch(guest.memory, guest.size))
		return ktap_skip("userfaultfd: %s", strerror(errno));
	stop = false;
	delivered = twice = 0;
	CHECK(!pthread_create(&thread, NULL, source, NULL));
	/* One processor asks in order, the other at random. */
	wrong = stamper_check(&guest);
	stop = true;
	pthread_join(thread, NULL);
	CHECK(!wrong);
	CHECK(!host_count_pages(guest.memory, guest.size, false, &pages));
	ktap_note("%llu pages delivered, %llu were there already", (ull)delivered, (ull)twice);
	CHECK(delivered == guest.size / PAGE && pages.present == delivered);
	return PASS;
}

/* Nobody answers: the VMM can be killed all the same. */
static enum ktap_result no_answer(void)
{
	int ready[2], status, i;
	char c = 1;
	pid_t pid;

	CHECK(!pipe(ready));
	pid = fork();
	if (!pid) {
		struct probe own;
		uint8_t *missing = probe_memory(BLOCK, false);
		uint64_t value;

		if (!watch(missing, BLOCK) || probe_open(&own) ||
		    mshv_region_add(own.vm, GPA, missing, BLOCK, 0) || write(ready[1], &c, 1) != 1)
			_exit(1);
		probe_read(&own, GPA + 3 * PAGE, &value);
		_exit(2);
	}
	CHECK(read(ready[0], &c, 1) == 1);
	usleep(500000);
	CHECK(waitpid(pid, &status, WNOHANG) == 0, "it should be waiting: 0x%x", status);
	CHECK(!kill(pid, SIGKILL));
	for (i = 0; i < 100 && waitpid(pid, &status, WNOHANG) == 0; i++)
		usleep(100000);
	close(ready[0]);
	close(ready[1]);
	CHECK(i < 100, "it does not die");
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "0x%x", status);
	return PASS;
}

static volatile bool waits;

static void nothing(int signal)
{
	(void)signal;
}

/* Linux may call RUN_VP back on its own, before 6.18; once the processor waits only a signal does. */
static void *read_missing(void *value)
{
	do
		probe_read(&probe, GPA + 3 * PAGE, value);
	while (probe.error == EINTR && !waits);
	return NULL;
}

/* Nobody answers, and the VMM wants its processor back: any signal will do, and the guest loses nothing. */
static enum ktap_result wait_interrupted(void)
{
	static const uint64_t supplied[PAGE / 8] = { 0x600d };
	struct sigaction action = { .sa_handler = nothing };
	struct uffdio_copy copy = { .src = (uintptr_t)supplied, .len = PAGE };
	struct pollfd poll_uffd = { .events = POLLIN };
	int i, alive = EBUSY;
	pthread_t thread;
	uint64_t value;

	CHECK(!sigaction(SIGUSR1, &action, NULL));
	CHECK_PASS(set_up(BLOCK, false));
	if (!watch(memory, BLOCK))
		return ktap_skip("userfaultfd: %s", strerror(errno));
	poll_uffd.fd = uffd;
	probe.interruptible = true;
	waits = false;
	CHECK(!pthread_create(&thread, NULL, read_missing, &value));
	CHECK(poll(&poll_uffd, 1, 60000) == 1);
	waits = true;
	for (i = 0; i < 100 && alive; i++) {
		pthread_kill(thread, SIGUSR1);
		usleep(50000);
		alive = pthread_tryjoin_np(thread, NULL);
	}
	copy.dst = (uintptr_t)memory + 3 * PAGE;
	CHECK(!ioctl(uffd, UFFDIO_COPY, &copy), "%s", strerror(errno));
	if (alive)
		pthread_join(thread, NULL);
	CHECK(!alive, "%d signals did not end RUN_VP", i);
	CHECK(probe.error == EINTR, "errno %d", probe.error);
	probe.interruptible = false;
	GUEST_READS(GPA + 3 * PAGE, 0x600d);
	return PASS;
}

/*
 * The region of a fault that waits is replaced, or removed, and its memory given up: the guest goes on with what is there now, and
 * the VMM is not told of an error at addresses that are not the guest's any more.
 */
static enum ktap_result wait_overtaken(void)
{
	struct pollfd poll_uffd = { .events = POLLIN };
	struct uffdio_range all = { .len = BLOCK };
	pthread_t thread;
	uint64_t value;

	for (unsigned int removed = 0; removed < 2; removed++) {
		uint8_t *other = probe_memory(BLOCK, false);

		CHECK_PASS(set_up(BLOCK, false));
		if (!watch(memory, BLOCK))
			return ktap_skip("userfaultfd: %s", strerror(errno));
		*(uint64_t *)(other + 3 * PAGE) = 0x600d;
		poll_uffd.fd = uffd;
		waits = false;
		CHECK(!pthread_create(&thread, NULL, read_missing, &value));
		CHECK(poll(&poll_uffd, 1, 60000) == 1);
		CHECK(!(removed ? mshv_region_remove(probe.vm, GPA, memory, BLOCK) :
				  mshv_region_replace(probe.vm, GPA, other, BLOCK, 0)), "%s", mshv_error());
		CHECK(mmap(memory, BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == memory);
		all.start = (uintptr_t)memory;
		CHECK(!ioctl(uffd, UFFDIO_WAKE, &all), "%s", strerror(errno));
		pthread_join(thread, NULL);
		CHECK(!probe.error, "%s: errno %d", removed ? "removed" : "replaced", probe.error);
		CHECK(removed || value == 0x600d, "0x%llx", (unsigned long long)value);
		if (removed)
			CHECK(probe_read(&probe, GPA + 3 * PAGE, &value) == PROBE_VMM);
		tear_down();
		munmap(other, BLOCK);
	}
	return PASS;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "random access: a page a fault", random_access },
		{ "in sequence, small pages", gib_small },
		{ "in sequence, small pages that are there", gib_small_there },
		{ "in sequence, huge pages", gib_huge },
		{ "in sequence, huge pages that are there", gib_huge_there },
		{ "in sequence, and then not: what was allocated for nothing", earned },
		{ "two in sequence, taking turns", taking_turns },
		{ "two in sequence, half each", half_each },
		{ "four in the same pages, each in its order: each page is mapped once", same_pages },
		{ "large maps in the middle of an unaligned region", unaligned_middle },
		{ "large ranges go in few calls", few_calls },
		{ "thousands of regions", thousands_of_regions },
		{ "post-copy: every page arrives once", post_copy },
		{ "post-copy: nobody answers", no_answer },
		{ "post-copy: a signal ends the wait", wait_interrupted },
		{ "post-copy: replaced or removed while a fault waits", wait_overtaken },
	};

	ktap_cleanup = tear_down;
	return KTAP_RUN(tests);
}
