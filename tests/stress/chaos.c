// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chaos: guests at work while everything that moves memory fires at random.
 *
 * Each guest has a VMM process of its own. Half of what happens to its memory the VMM does itself (madvise, mprotect, fork,
 * regions that come and go ...), the other half comes from outside: compaction, migration, KSM, swapoff, cgroup limits, memory
 * offline, a hypervisor that answers in pieces or wants more memory, SIGSTOP, SIGKILL. A killed VMM is followed by a new one.
 *
 *	chaos [--seconds N] [--seed N] [--guests N]		(or SEED=N)
 *
 * Law: every stamp of every guest is right, in every round; each processor makes progress. The rig reads the kernel log, and
 * unloads the driver at the end. The seed is printed; it fixes what each process does and in which order, not how they interleave.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <host.h>

#include "ktap.h"
#include "probe.h"
#include "stamper.h"

#define RANGE		(8 * BLOCK)
#define SHARED_AT	(4 * BLOCK + 5 * PAGE)	/* a part of the range is a file */
#define SHARED		(2 * BLOCK)
#define GUESTS_MAX	8
#define GROUP		"/sys/fs/cgroup/chaos"
#define KSM		"/sys/kernel/mm/ksm/"
#define THP		"/sys/kernel/mm/transparent_hugepage/"
#define CHANGES_MAX	24

typedef unsigned long long ull;

struct dice {
	uint64_t state;
};

static uint64_t roll(struct dice *d, uint64_t below)
{
	uint64_t x = d->state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (x ^ x >> 31) % below;
}

static bool one_in(struct dice *d, uint64_t n)
{
	return roll(d, n) == 0;
}

/* What the processes share: how often each change was made with success. */
struct shared {
	uint64_t inside[CHANGES_MAX];
	uint64_t tried[CHANGES_MAX];	/* of @inside */
	uint64_t outside[CHANGES_MAX];
	uint64_t stamps;		/* checked by all guests, also those that were killed */
};

static struct shared *shared;
static long seconds = 60, guests = 3;
static uint64_t seed;

/* ---- inside: what a VMM does to its own guest ---- */

struct vmm {
	struct stamper guest;
	struct dice dice;
	int file;
	uint64_t counted;		/* of its guest's work, in shared->stamps already */
};

static uint8_t *any_page(struct vmm *v, uint64_t *size)
{
	uint64_t first = roll(&v->dice, RANGE / PAGE);
	uint64_t pages = 1 + roll(&v->dice, one_in(&v->dice, 3) ? 600 : 20);

	if (pages > RANGE / PAGE - first)
		pages = RANGE / PAGE - first;
	*size = pages * PAGE;
	return v->guest.memory + first * PAGE;
}

static bool advise(struct vmm *v, int advice)
{
	uint64_t size;
	uint8_t *page = any_page(v, &size);

	return !madvise(page, size, advice);
}

static bool page_out(struct vmm *v) { return advise(v, MADV_PAGEOUT); }
static bool cold(struct vmm *v) { return advise(v, MADV_COLD); }
static bool small(struct vmm *v) { return advise(v, MADV_NOHUGEPAGE); }
static bool huge(struct vmm *v) { return advise(v, MADV_HUGEPAGE); }
static bool mergeable(struct vmm *v) { return advise(v, MADV_MERGEABLE); }
static bool unmergeable(struct vmm *v) { return advise(v, MADV_UNMERGEABLE); }
static bool populate(struct vmm *v) { return advise(v, 23 /* MADV_POPULATE_WRITE */); }

static bool collapse(struct vmm *v)
{
	uint8_t *block = v->guest.memory + roll(&v->dice, RANGE / BLOCK) * BLOCK;

	return !madvise(block, BLOCK, 25 /* MADV_COLLAPSE */);
}

static bool move(struct vmm *v)
{
	struct host_move result;
	uint64_t size;
	uint8_t *page = any_page(v, &size);

	return !host_move(page, size, roll(&v->dice, 2), &result) && result.moved;
}

/* Rights that the guest does not notice, to and fro. */
static bool protect(struct vmm *v)
{
	uint64_t size;
	uint8_t *page = any_page(v, &size);
	int first = mprotect(page, size, PROT_READ | PROT_WRITE | PROT_EXEC);

	return !mprotect(page, size, PROT_READ | PROT_WRITE) && !first;
}

static bool fork_once(struct vmm *v)
{
	pid_t pid = fork();

	if (pid == 0) {
		/* Copy-on-write from the other side, too. */
		memset(v->guest.memory, 0xee, 16 * PAGE);
		_exit(0);
	}
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

static bool lock(struct vmm *v)
{
	uint64_t size;
	uint8_t *page = any_page(v, &size);
	int locked = mlock(page, size);

	usleep(roll(&v->dice, 5000));
	return !munlock(page, size) && !locked;
}

static bool write_back(struct vmm *v)
{
	return !(one_in(&v->dice, 2) ? fdatasync(v->file) :
		 msync(v->guest.memory + SHARED_AT - 5 * PAGE, SHARED, MS_SYNC));
}

/* A region comes, movable or pinned, has its pages mapped, changed and discarded, and goes. */
static bool region(struct vmm *v)
{
	uint64_t gpa = (1ull << 30) + roll(&v->dice, 1000) * PAGE;
	uint64_t size = (1 + roll(&v->dice, 700)) * PAGE;
	unsigned int flags = one_in(&v->dice, 4) ? MSHV_MEMORY_PINNED : 0;
	struct mshv_vm *vm = mshv_session_vm(v->guest.session);
	uint8_t *memory = probe_memory(2 * BLOCK, one_in(&v->dice, 2));
	bool good = !mshv_region_add(vm, gpa, memory, size, flags);
	uint64_t from = gpa, left = size;

	if (good) {
		if (one_in(&v->dice, 2))
			mshv_prefault(vm, &from, &left, MSHV_PREFAULT_FOR_WRITE);
		memset(memory + roll(&v->dice, size), 1, 1);
		madvise(memory, size, one_in(&v->dice, 2) ? MADV_DONTNEED : MADV_PAGEOUT);
		if (one_in(&v->dice, 3))
			munmap(memory, size / 2 & -PAGE);
		good = !mshv_region_remove(vm, gpa, memory, size);
	}
	munmap(memory, 2 * BLOCK);
	return good;
}

/* As for a device that comes and goes: all of the guest's memory, if it is of a kind that can be pinned for long. */
static bool pin(struct vmm *v)
{
	struct mshv_vm *vm = mshv_session_vm(v->guest.session);
	uint8_t *memory = mshv_session_memory(v->guest.session);
	bool good = !mshv_region_change(vm, 0, memory, STAMPER_GPA + RANGE, MSHV_MEMORY_PINNED);

	usleep(roll(&v->dice, 20000));
	return !mshv_region_change(vm, 0, memory, STAMPER_GPA + RANGE, 0) && good;
}

/* The VMM reads what was swapped out before the guest writes it: writable and clean in Linux's page table. */
static bool read_back(struct vmm *v)
{
	uint64_t size;
	uint8_t *page = any_page(v, &size);
	unsigned int sum = 0;

	if (madvise(page, size, MADV_PAGEOUT))
		return false;
	for (uint64_t at = 0; at < size; at += PAGE)
		sum += *(volatile uint8_t *)(page + at);
	return sum || size;
}

/* As a debugger does: it reads, and it writes between the guest's stamps. */
static bool poke(struct vmm *v)
{
	static uint8_t copy[64 * PAGE];
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	uint64_t size, value = roll(&v->dice, UINT64_MAX), found;
	uint8_t *page = any_page(v, &size);
	bool good;

	good = fd >= 0 && pread(fd, copy, size < sizeof(copy) ? size : sizeof(copy), (off_t)page) > 0;
	good = good && pwrite(fd, &value, sizeof(value), (off_t)page + 64) == sizeof(value);
	found = *(volatile uint64_t *)(page + 64);
	close(fd);
	if (good && found != value) {
		printf("# VMM %d: poked 0x%llx, found 0x%llx\n", getpid(), (ull)value, (ull)found);
		_exit(1);
	}
	return good;
}

/* The same memory in the place of itself: the guest must find it at every moment. */
static bool replace(struct vmm *v)
{
	return !mshv_region_replace(mshv_session_vm(v->guest.session), 0,
				    mshv_session_memory(v->guest.session), STAMPER_GPA + RANGE, 0);
}

/* The version in the stamp of each page (guest_abi.h: word 1), as the VMM sees it. */
static void snapshot(struct vmm *v, uint64_t *stamps)
{
	for (uint64_t i = 0; i < RANGE / PAGE; i++)
		stamps[i] = *(volatile uint64_t *)(v->guest.memory + i * PAGE + GUEST_STAMP_STEP);
}

/*
 * The dirty log, against what the pages say: whatever changed between two looks, both after the bits were cleared and before they
 * are read, must be dirty.
 */
static bool dirty_log(struct vmm *v)
{
	static uint64_t before[RANGE / PAGE], after[RANGE / PAGE];
	static uint8_t bits[RANGE / PAGE / 8];
	struct mshv_vm *vm = mshv_session_vm(v->guest.session);
	bool good;

	if (mshv_track_access(vm, true))
		return false;
	for (uint64_t round = 0; round <= roll(&v->dice, 3); round++) {
		good = !mshv_access_bitmap(vm, STAMPER_GPA / PAGE, RANGE / PAGE, MSHV_DIRTY,
					   MSHV_ACCESS_CLEAR, bits);
		snapshot(v, before);
		usleep(roll(&v->dice, 20000));
		if (one_in(&v->dice, 2))
			page_out(v);
		if (one_in(&v->dice, 3))
			move(v);
		if (one_in(&v->dice, 6))
			pin(v);
		snapshot(v, after);
		good &= !mshv_access_bitmap(vm, STAMPER_GPA / PAGE, RANGE / PAGE, MSHV_DIRTY,
					    MSHV_ACCESS_KEEP, bits);
		for (uint64_t i = 0; good && i < RANGE / PAGE; i++) {
			if (before[i] == after[i] || bits[i / 8] & 1 << i % 8)
				continue;
			printf("# VMM %d: page %llu was written and is not dirty\n", getpid(), (ull)i);
			_exit(1);
		}
	}
	return !mshv_track_access(vm, false) && good;
}

static const struct inside {
	const char *name;
	unsigned int weight;
	bool (*run)(struct vmm *v);
	bool easy;	/* Linux may refuse it now and then, and not always */
} inside[] = {
	{ "page out", 8, page_out, false }, { "cold", 3, cold, false }, { "no huge pages", 2, small, false },
	{ "huge pages", 2, huge, false }, { "mergeable", 2, mergeable, false }, { "unmergeable", 1, unmergeable, false },
	{ "populate", 2, populate, false }, { "collapse", 5, collapse, false }, { "move_pages", 6, move, false },
	{ "mprotect", 5, protect, false }, { "fork", 3, fork_once, false }, { "mlock", 3, lock, false },
	{ "write-back", 3, write_back, false }, { "region", 4, region, false },
	{ "pin and unpin", 5, pin, false }, { "read back", 5, read_back, true }, { "poke", 3, poke, true },
	{ "replace", 3, replace, true }, { "dirty log", 4, dirty_log, true },
};

#define INSIDE (sizeof(inside) / sizeof(inside[0]))

static void die(const char *what)
{
	printf("# VMM %d: %s: %s\n", getpid(), what, strerror(errno));
	_exit(1);
}

static void open_guest(struct vmm *v)
{
	char path[] = "/dev/shm/chaos.XXXXXX";

	/* A block file system if there is one, whose pages are cleaned behind the guest's back; or a tmpfs. */
	v->file = one_in(&v->dice, 2) ? -1 : open("/mnt/disk", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (v->file < 0) {
		v->file = mkstemp(path);
		unlink(path);
	}
	if (v->file < 0 || ftruncate(v->file, SHARED))
		die("file");
	if (stamper_open(&v->guest, RANGE, 0))
		_exit(1);
	if (mmap(v->guest.memory + SHARED_AT, SHARED, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 v->file, 0) == MAP_FAILED)
		die("mmap");
}

/* Now, and not in the end: most VMMs are killed before. */
static void look_after_guest(struct vmm *v)
{
	uint64_t work = stamper_work(&v->guest);

	if (!stamper_well(&v->guest))
		_exit(1);
	__atomic_add_fetch(&shared->stamps, work - v->counted, __ATOMIC_RELAXED);
	v->counted = work;
}

/* One VMM's life; ends with 0 if its guest was right to the end. */
static void vmm(uint64_t number, time_t end)
{
	static struct vmm v;
	unsigned int total = 0, i;
	uint64_t pick;

	v.dice.state = seed * 1000003 + number;
	host_write(GROUP "/cgroup.procs", "0");
	open_guest(&v);
	for (i = 0; i < INSIDE; i++)
		total += inside[i].weight;
	if (stamper_fill(&v.guest) || stamper_start(&v.guest))
		_exit(1);
	while (time(NULL) < end) {
		pick = roll(&v.dice, total);
		for (i = 0; pick >= inside[i].weight; i++)
			pick -= inside[i].weight;
		__atomic_add_fetch(&shared->tried[i], 1, __ATOMIC_RELAXED);
		if (inside[i].run(&v))
			__atomic_add_fetch(&shared->inside[i], 1, __ATOMIC_RELAXED);
		look_after_guest(&v);
		if (one_in(&v.dice, 4))
			usleep(roll(&v.dice, 20000));
	}
	/* The last round, and each page once more, with nothing firing from here. */
	if (stamper_await(&v.guest, RANGE / PAGE / 4) || stamper_stop(&v.guest) ||
	    stamper_check(&v.guest))
		_exit(1);
	stamper_close(&v.guest);
	_exit(0);
}

/* ---- outside: what the machine does ---- */

struct family {
	pid_t pid[GUESTS_MAX];
	bool killed[GUESTS_MAX];
	uint64_t out_of_memory;		/* ended by the OOM killer */
	struct dice dice;
};

static bool set_one_of(struct family *f, const char *path, const char *const *values,
		       unsigned int count)
{
	return !host_write(path, values[roll(&f->dice, count)]);
}

static bool compact(struct family *f) { (void)f; return !host_compact(); }

static bool drop_caches(struct family *f)
{
	static const char *const values[] = { "1", "2", "3" };

	return set_one_of(f, "/proc/sys/vm/drop_caches", values, 3);
}

static bool migrate(struct family *f)
{
	unsigned long from = 1ul << roll(&f->dice, 2), to = from ^ 3;

	return syscall(SYS_migrate_pages, f->pid[roll(&f->dice, guests)], 8ul, &from, &to) >= 0;
}

static bool ksm(struct family *f)
{
	static const char *const values[] = { "0", "1", "1", "2" };

	host_write(KSM "pages_to_scan", "5000");
	host_write(KSM "sleep_millisecs", "20");
	return set_one_of(f, KSM "run", values, 4);
}

static bool balancing(struct family *f)
{
	static const char *const values[] = { "0", "1" };

	return set_one_of(f, "/proc/sys/kernel/numa_balancing", values, 2);
}

static bool huge_policy(struct family *f)
{
	static const char *const values[] = { "always", "madvise", "never" };

	return set_one_of(f, THP "enabled", values, 3);
}

static bool huge_64k(struct family *f)
{
	static const char *const values[] = { "always", "never" };

	return set_one_of(f, THP "hugepages-64kB/enabled", values, 2);
}

static bool khugepaged(struct family *f)
{
	static const char *const values[] = { "10", "10000" };

	return set_one_of(f, THP "khugepaged/scan_sleep_millisecs", values, 2);
}

static bool reclaim(struct family *f)
{
	static const char *const values[] = { "1M", "4M", "16M" };

	return set_one_of(f, GROUP "/memory.reclaim", values, 3);
}

/* All VMMs together need some 25 MiB each: squeeze them, and let go. */
static bool squeeze(struct family *f)
{
	const char *file = one_in(&f->dice, 2) ? GROUP "/memory.high" : GROUP "/memory.max";
	char limit[32];
	bool good;

	snprintf(limit, sizeof(limit), "%lluM", (ull)guests * (14 + roll(&f->dice, 10)));
	good = !host_write(file, limit);
	usleep(roll(&f->dice, 500000));
	return !host_write(file, "max") && good;
}

static const char *swap_device;

static bool swap_off_and_on(struct family *f)
{
	bool good;

	(void)f;
	if (!swap_device || swapoff(swap_device))
		return false;
	good = !swapon(swap_device, 0);
	if (!good)
		swap_device = NULL;
	return good;
}

static bool memory_block(struct family *f)
{
	char path[96], zone[32];
	unsigned int block = roll(&f->dice, 8);

	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%u/valid_zones", block);
	if (host_read(path, zone, sizeof(zone)) || strcmp(zone, "Movable"))
		return false;
	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%u/state", block);
	if (host_write(path, "offline"))
		return false;
	usleep(roll(&f->dice, 100000));
	if (host_write(path, "online_movable")) {
		printf("# memory%u does not come back: %s\n", block, strerror(errno));
		return false;
	}
	return true;
}

/* The hypervisor does calls in pieces, or wants memory lent for every few of them. */
static bool hypervisor(struct family *f)
{
	if (one_in(&f->dice, 2))
		return !mshv_hypervisor_option(HVABI_OPTION_PARTIAL_EVERY, roll(&f->dice, 4));
	return !mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_EVERY,
				       one_in(&f->dice, 2) ? 0 : 5 + roll(&f->dice, 50));
}

static bool stop_and_go(struct family *f)
{
	pid_t pid = f->pid[roll(&f->dice, guests)];

	kill(pid, SIGSTOP);
	usleep(roll(&f->dice, 200000));
	return !kill(pid, SIGCONT);
}

static bool kill_one(struct family *f)
{
	unsigned int i = roll(&f->dice, guests);

	f->killed[i] = true;
	return !kill(f->pid[i], SIGKILL);
}

static const struct outside {
	const char *name;
	unsigned int weight;
	bool (*run)(struct family *f);
} outside[] = {
	{ "compact", 6, compact }, { "drop caches", 3, drop_caches }, { "migrate_pages", 6, migrate },
	{ "KSM", 4, ksm }, { "NUMA balancing", 2, balancing }, { "huge page policy", 2, huge_policy },
	{ "64 KiB pages", 2, huge_64k }, { "khugepaged", 3, khugepaged }, { "reclaim", 6, reclaim },
	{ "limits", 5, squeeze }, { "swapoff", 1, swap_off_and_on }, { "memory offline", 4, memory_block },
	{ "hypervisor", 5, hypervisor }, { "SIGSTOP", 2, stop_and_go }, { "SIGKILL", 2, kill_one },
};

#define OUTSIDE (sizeof(outside) / sizeof(outside[0]))

_Static_assert(INSIDE <= CHANGES_MAX && OUTSIDE <= CHANGES_MAX, "counters");

static void change_something(struct family *f)
{
	unsigned int total = 0, i;
	uint64_t pick;

	for (i = 0; i < OUTSIDE; i++)
		total += outside[i].weight;
	pick = roll(&f->dice, total);
	for (i = 0; pick >= outside[i].weight; i++)
		pick -= outside[i].weight;
	if (outside[i].run(f))
		shared->outside[i]++;
}

static void everything_as_it_was(void)
{
	mshv_hypervisor_option(HVABI_OPTION_PARTIAL_EVERY, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_EVERY, 0);
	host_write(GROUP "/memory.high", "max");
	host_write(GROUP "/memory.max", "max");
	host_write(KSM "run", "2");
}

/* ---- main ---- */

static int usage(void)
{
	fprintf(stderr, "usage: chaos [--seconds N] [--seed N] [--guests N (1 to %d)]\n", GUESTS_MAX);
	return 2;
}

static bool number(const char *text, long least, long most, long *value)
{
	char *end;

	errno = 0;
	*value = strtol(text, &end, 10);
	return !errno && *text && !*end && *value >= least && *value <= most;
}

static bool parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 't' }, { "seed", required_argument, NULL, 's' },
		{ "guests", required_argument, NULL, 'g' }, { NULL, 0, NULL, 0 },
	};
	const char *text = getenv("SEED");
	long value = (long)time(NULL);
	int c;

	if (text && !number(text, 0, __LONG_MAX__, &value))
		return false;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!(c == 't' ? number(optarg, 1, 1000000, &seconds) :
		      c == 's' ? number(optarg, 0, __LONG_MAX__, &value) :
		      c == 'g' && number(optarg, 1, GUESTS_MAX, &guests)))
			return false;
	}
	seed = (uint64_t)value;
	return optind == argc;
}

static void prepare(void)
{
	FILE *swaps = fopen("/proc/swaps", "re");
	static char line[128];

	if (swaps && fgets(line, sizeof(line), swaps) && fgets(line, sizeof(line), swaps)) {
		line[strcspn(line, " \t")] = '\0';
		swap_device = line;
	}
	if (swaps)
		fclose(swaps);
	if (system("{ modprobe loop && modprobe ext4 && mkdir -p /mnt/disk &&"
		   " truncate -s 64M /tmp/image && losetup /dev/loop0 /tmp/image &&"
		   " mke2fs -b 4096 /dev/loop0 && mount -t ext4 /dev/loop0 /mnt/disk; } >/dev/null 2>&1"))
		printf("# no ext4: files are on tmpfs\n");
	mkdir(GROUP, 0755);
}

static pid_t new_vmm(uint64_t number, time_t end)
{
	pid_t pid = fork();

	if (!pid)
		vmm(number, end);
	return pid;
}

/* What the OOM killer has ended for the group's limit: what is pinned cannot be swapped. */
static uint64_t oom_kills(void)
{
	char line[64];
	unsigned long long kills = 0;
	FILE *f = fopen(GROUP "/memory.events", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "oom_kill %llu", &kills) == 1)
			break;
	if (f)
		fclose(f);
	return kills;
}

/* Right to the end, or killed: a wrong stamp before the kill counts all the same. */
static bool ended_well(struct family *f, long i, int status)
{
	bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;

	if (!status || (killed && f->killed[i]))
		return true;
	if (killed && f->out_of_memory < oom_kills()) {
		f->out_of_memory++;
		return true;
	}
	printf("# VMM %d ended with 0x%x\n", f->pid[i], status);
	return false;
}

static void report(const struct family *f, uint64_t lives)
{
	unsigned int i;

	printf("# %llu VMMs, %llu stamps checked\n", (ull)lives, (ull)shared->stamps);
	printf("# %-18s %llu\n", "out of memory", (ull)f->out_of_memory);
	for (i = 0; i < INSIDE; i++)
		printf("# %-18s %llu\n", inside[i].name, (ull)shared->inside[i]);
	for (i = 0; i < OUTSIDE; i++)
		printf("# %-18s %llu\n", outside[i].name, (ull)shared->outside[i]);
}

/* A change that never comes about tests nothing. */
static bool all_came_about(void)
{
	bool good = true;

	for (unsigned int i = 0; i < INSIDE; i++) {
		if (!inside[i].easy || shared->inside[i] || shared->tried[i] < 10)
			continue;
		printf("# %s: %llu times, never with success\n", inside[i].name, (ull)shared->tried[i]);
		good = false;
	}
	return good;
}

/*
 * Looks whether anything still happens. When all stand still, this process says where in the kernel log, and ends them: who waits
 * in the kernel for what never comes would only be seen as a timeout.
 */
static pid_t begin_watch(void)
{
	struct shared before = *shared;
	pid_t pid;
	unsigned int i;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	for (i = 0; i < stamper_patience; i++) {
		sleep(1);
		if (memcmp(&before, shared, sizeof(before)))
			i = 0;
		before = *shared;
	}
	printf("# nothing has happened for %u s; the kernel log says more\n", stamper_patience);
	probe_print_waits();
	host_write("/proc/sysrq-trigger", "w");
	host_write("/proc/sysrq-trigger", "l");
	kill(0, SIGKILL);
	_exit(1);
}

int main(int argc, char **argv)
{
	pid_t watch;
	uint64_t lives = 0, wrong = 0;
	struct family f = { .pid = { 0 } };
	bool came_about;
	time_t end;
	int status;
	long i;

	if (!parse(argc, argv))
		return usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..2\n# seed %llu, %ld seconds, %ld guests\n", (ull)seed, seconds,
	       guests);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	prepare();
	/* To be ended as one. */
	setpgid(0, 0);
	watch = begin_watch();
	f.dice.state = seed;
	end = time(NULL) + seconds;
	for (i = 0; i < guests; i++)
		f.pid[i] = new_vmm(lives++, end);
	while (time(NULL) < end) {
		change_something(&f);
		usleep(roll(&f.dice, 60000));
		for (i = 0; i < guests; i++) {
			if (waitpid(f.pid[i], &status, WNOHANG) != f.pid[i])
				continue;
			wrong += !ended_well(&f, i, status);
			f.killed[i] = false;
			f.pid[i] = new_vmm(lives++, end);
		}
	}
	everything_as_it_was();
	for (i = 0; i < guests; i++)
		if (waitpid(f.pid[i], &status, 0) == f.pid[i])
			wrong += !ended_well(&f, i, status);
	kill(watch, SIGKILL);
	report(&f, lives);
	printf("%sok 1 every stamp of every guest is right\n", wrong ? "not " : "");
	came_about = all_came_about();
	printf("%sok 2 what can be done to a guest was done\n", came_about ? "" : "not ");
	return wrong || !came_about;
}
