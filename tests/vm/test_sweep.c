// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything that can be refused is refused once, at every point of a guest's life: each allocation of the parent (Linux's fault
 * injection, which only a debug kernel has), each hypercall, each page of the hypervisor's memory.
 *
 *	test_sweep allocation	the Nth allocation of each step, for each N (skipped on a kernel without fail-nth);
 *				or of one step, by its name
 *	test_sweep hypercall	the Nth call of each code, for each N; in pieces; wanting memory
 *
 * A life is a list of steps. What must hold, wherever the refusal falls:
 *	- A step succeeds, or fails with an errno, and then succeeds when it is done again: nothing is half done.
 *	- Or the guest is dead (EOWNERDEAD): from then on no page of it is reachable, and it can be taken down.
 *	- A page that Linux took away is not reachable when the step that took it away returns.
 *	- The guest reads what it wrote, and so does the VMM.
 *	- After the end nothing is lent, locked, mapped or charged that was not before.
 * The rig reads the kernel log for the rest, and kmemleak's on a debug kernel.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hvabi/status.h>
#include <uapi/mshv.h>

#include <host.h>

#include "ktap.h"
#include "probe.h"

#define GPA_SMALL	(1ull << 30)
#define GPA_HUGE	(2ull << 30)
#define GPA_PINNED	(3ull << 30)
#define GPA_AGAIN	(4ull << 30)
#define SMALL		(64 * PAGE)
#define HUGE		(2 * BLOCK)
#define PINNED		(24 * PAGE)
#define BOOT		(256ull << 10)

#define GONE_MAX	64
/* Each occurrence up to here, samples beyond. */
#define EACH		40
#define CGROUP		"/sys/fs/cgroup/sweep"
/* Of kernel memory charged, that Linux keeps to hand out again; a page of each life is more. */
#define SLACK		(128 << 10)

/* What a page of a region must hold. */
enum content { UNKNOWN, ZERO, STAMP };

struct life {
	int raw, raw_vp;		/* descriptors made by hand, or -1 */
	struct probe probe;
	uint8_t *small, *huge, *pinned;
	uint64_t gpa_small;		/* where it is now */
	bool added[3];			/* small, huge, pinned */
	enum content content[3][HUGE / PAGE];
	uint64_t gone[GONE_MAX];	/* pages that the current step took away */
	unsigned int gone_count;
	uint64_t pages[GONE_MAX];	/* pages the guest has had */
	unsigned int pages_count;
	bool dead;
	bool failed;			/* a step has failed already */
};

/* What the sweeps have met, so that a sweep that meets nothing cannot pass. */
static struct {
	unsigned int lives, refused, failed, dead, swapped, moved, split;
	int error;			/* of the last step that failed */
} met;

static struct life life;

/* ---- accounts ---- */

static int64_t counted(unsigned int counter)
{
	static uint64_t counters[HVABI_COUNT_MAX];
	int64_t sum = 0;
	unsigned int cpu;

	for (cpu = 0; !mshv_processor_counters(cpu, counters); cpu++)
		sum += (int64_t)counters[counter];
	return sum;
}

/* Mapped in a child, or not the parent's. */
static bool reachable(uint64_t pfn)
{
	struct hvabi_output_debug_who_can_reach answer;

	return mshv_who_can_reach(NULL, pfn, &answer) || answer.found ||
	       answer.owner != HVABI_DEBUG_OWNER_PARENT || !answer.parent_access;
}

/* Bytes of kernel memory charged to this process's cgroup, or -1. */
static long charged(void)
{
	char line[256];
	long value = -1;
	FILE *f = fopen(CGROUP "/memory.stat", "re");

	while (f && value < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, "kernel ", 7))
			value = strtol(line + 7, NULL, 10);
	if (f)
		fclose(f);
	return value;
}

/* ---- steps ---- */

static uint64_t stamp(unsigned int region, uint64_t page)
{
	return 0x57a3900000000000ull | (uint64_t)region << 32 | page;
}

static uint8_t *host(unsigned int region)
{
	return region == 0 ? life.small : region == 1 ? life.huge : life.pinned;
}

static uint64_t gpa(unsigned int region, uint64_t page)
{
	const uint64_t base[] = { life.gpa_small, GPA_HUGE, GPA_PINNED };

	return base[region] + page * PAGE;
}

static int outcome(enum probe_outcome outcome)
{
	if (outcome == PROBE_DONE)
		return 0;
	errno = outcome == PROBE_VMM ? EPROTO : life.probe.error;
	return -1;
}

static void note_page(unsigned int region, uint64_t page)
{
	uint64_t pfn = probe_pfn(host(region) + page * PAGE);

	if (pfn && life.pages_count < GONE_MAX)
		life.pages[life.pages_count++] = pfn;
}

static int guest_write(unsigned int region, uint64_t page)
{
	life.content[region][page] = UNKNOWN;
	if (outcome(probe_write(&life.probe, gpa(region, page), stamp(region, page))))
		return -1;
	life.content[region][page] = STAMP;
	return 0;
}

/* EILSEQ: not what must be there. */
static int guest_read(unsigned int region, uint64_t page)
{
	uint64_t value, want = life.content[region][page] == STAMP ? stamp(region, page) : 0;

	if (outcome(probe_read(&life.probe, gpa(region, page), &value)))
		return -1;
	if (life.content[region][page] == UNKNOWN || value == want)
		return 0;
	ktap_note("region %u, page %" PRIu64 ": 0x%" PRIx64 " instead of 0x%" PRIx64, region, page,
		  value, want);
	errno = EILSEQ;
	return -1;
}

static void going(uint64_t pfn)
{
	if (pfn && life.gone_count < GONE_MAX)
		life.gone[life.gone_count++] = pfn;
}

/* The same steps through the bare descriptors, where each can be done again by itself. */
static int raw_create(void)
{
	struct mshv_create_partition args = { .pt_flags = 1 << MSHV_PT_BIT_GPA_SUPER_PAGES };
	int device = open("/dev/mshv", O_RDWR | O_CLOEXEC), error;

	if (device < 0)
		return -1;
	life.raw = ioctl(device, MSHV_CREATE_PARTITION, &args);
	error = errno;
	close(device);
	errno = error;
	return life.raw < 0 ? -1 : 0;
}

static int raw_initialize(void)
{
	return ioctl(life.raw, MSHV_INITIALIZE_PARTITION);
}

static int raw_create_vp(void)
{
	struct mshv_create_vp args = { .vp_index = 3 };

	life.raw_vp = ioctl(life.raw, MSHV_CREATE_VP, &args);
	return life.raw_vp < 0 ? -1 : 0;
}

static int raw_map_page(void)
{
	uint8_t *page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE, life.raw_vp, 0);

	if (page == MAP_FAILED)
		return -1;
	munmap(page, PAGE);
	return 0;
}

static int close_fd(int *fd)
{
	int done = *fd;

	*fd = -1;
	return done < 0 ? 0 : close(done);
}

static int raw_close_vp(void)
{
	return close_fd(&life.raw_vp);
}

static int raw_close(void)
{
	return close_fd(&life.raw);
}

static int open_guest(void)
{
	int error;

	if (!probe_open(&life.probe))
		return 0;
	error = errno;
	probe_close(&life.probe);
	errno = error;
	return -1;
}

static int add(unsigned int region, uint64_t size, unsigned int flags)
{
	if (mshv_region_add(life.probe.vm, gpa(region, 0), host(region), size, flags))
		return -1;
	life.added[region] = true;
	return 0;
}

static int add_small(void)
{
	return add(0, SMALL, 0);
}

static int add_huge(void)
{
	return add(1, HUGE, 0);
}

static int add_pinned(void)
{
	return add(2, PINNED, MSHV_MEMORY_PINNED);
}

static int write_pages(unsigned int region, uint64_t first, uint64_t last)
{
	uint64_t page;

	for (page = first; page <= last; page++) {
		if (guest_write(region, page))
			return -1;
		note_page(region, page);
	}
	return 0;
}

static int write_small(void)
{
	return write_pages(0, 0, 2);
}

static int write_sequence(void)
{
	return write_pages(0, 16, 23);
}

static int read_small(void)
{
	life.content[0][40] = ZERO;
	return guest_read(0, 40);
}

static int write_what_was_read(void)
{
	return guest_write(0, 40);
}

static int write_huge(void)
{
	return write_pages(1, 7, 7) || write_pages(1, 515, 515) ? -1 : 0;
}

static int use_pinned(void)
{
	life.content[2][0] = ZERO;
	return guest_read(2, 0) || write_pages(2, 1, 1) ? -1 : 0;
}

static int ask_access(void)
{
	uint8_t bitmap[SMALL / PAGE / 8];

	return mshv_access_bitmap(life.probe.vm, life.gpa_small / PAGE, 3, MSHV_DIRTY,
				  MSHV_ACCESS_CLEAR, bitmap);
}

static int ask_statistics(void)
{
	static char text[16384];
	char path[64];
	ssize_t size;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", mshv_vm_fd(life.probe.vm));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (size < 0)
		return -1;
	text[size] = 0;
	if (strstr(text, "mshv-partition:"))
		return 0;
	errno = EBADMSG;
	return -1;
}

static int drop(void)
{
	going(probe_pfn(life.small + PAGE));
	life.content[0][1] = UNKNOWN;
	if (madvise(life.small + PAGE, PAGE, MADV_DONTNEED))
		return -1;
	life.content[0][1] = ZERO;
	return 0;
}

static int page_out(void)
{
	uint64_t before = probe_pfn(life.small + 2 * PAGE);

	if (madvise(life.small + 2 * PAGE, PAGE, MADV_PAGEOUT))
		return -1;
	if (before && !probe_pfn(life.small + 2 * PAGE)) {
		going(before);
		met.swapped++;
	}
	return 0;
}

static int read_swapped(void)
{
	return guest_read(0, 2);
}

static int move(void)
{
	void *pages[2] = { life.small, life.small + 17 * PAGE };
	uint64_t before[2] = { probe_pfn(pages[0]), probe_pfn(pages[1]) };
	int status[2] = { -1, -1 }, to[2], i;

	if (syscall(SYS_move_pages, 0, 2, pages, NULL, status, 0))
		return -1;
	for (i = 0; i < 2; i++)
		to[i] = !status[i];
	/* One node only: nothing moves, and the test says so in the end. */
	if (syscall(SYS_move_pages, 0, 2, pages, to, status, 2 /* MPOL_MF_MOVE */) < 0 &&
	    errno != ENODEV)
		return -1;
	for (i = 0; i < 2; i++)
		if (before[i] && probe_pfn(pages[i]) != before[i]) {
			going(before[i]);
			met.moved++;
		}
	return 0;
}

static int use_moved(void)
{
	return guest_read(0, 0) || guest_write(0, 17) ? -1 : 0;
}

static int protect(void)
{
	return mprotect(life.small, 8 * PAGE, PROT_READ);
}

static int read_protected(void)
{
	return guest_read(0, 0);
}

static int unprotect(void)
{
	return mprotect(life.small, 8 * PAGE, PROT_READ | PROT_WRITE);
}

static int write_unprotected(void)
{
	return guest_write(0, 0);
}

static int split(void)
{
	uint64_t before = probe_pfn(life.huge + 7 * PAGE);

	life.content[1][9] = UNKNOWN;
	if (madvise(life.huge + 9 * PAGE, PAGE, MADV_DONTNEED))
		return -1;
	life.content[1][9] = ZERO;
	if (before && probe_pfn(life.huge + 7 * PAGE) == before)
		met.split++;
	return 0;
}

static int use_split(void)
{
	return guest_read(1, 7) || guest_read(1, 9) || guest_write(1, 7) ? -1 : 0;
}

/* Every page of the VMM becomes read-only for a while. */
static int fork_vmm(void)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(0);
	if (pid < 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return 0;
}

static int write_shared(void)
{
	return guest_write(0, 18) || guest_write(1, 515) ? -1 : 0;
}

static int pin_small(void)
{
	return mshv_region_change(life.probe.vm, life.gpa_small, life.small, SMALL,
				  MSHV_MEMORY_PINNED);
}

static int use_now_pinned(void)
{
	life.content[0][41] = ZERO;
	return guest_read(0, 0) || guest_read(0, 41) || write_pages(0, 42, 42) ? -1 : 0;
}

static int unpin_small(void)
{
	return mshv_region_change(life.probe.vm, life.gpa_small, life.small, SMALL, 0);
}

static int use_now_movable(void)
{
	return guest_read(0, 42) || guest_write(0, 2) ? -1 : 0;
}

static int remove_pinned(void)
{
	going(probe_pfn(life.pinned + PAGE));
	if (life.added[2] && mshv_region_remove(life.probe.vm, GPA_PINNED, life.pinned, PINNED))
		return -1;
	life.added[2] = false;
	return 0;
}

static int remove_small(void)
{
	going(probe_pfn(life.small));
	going(probe_pfn(life.small + 17 * PAGE));
	if (life.added[0] &&
	    mshv_region_remove(life.probe.vm, life.gpa_small, life.small, SMALL))
		return -1;
	life.added[0] = false;
	return 0;
}

/* The same memory, elsewhere; and other memory where that was. */
static int add_small_again(void)
{
	life.gpa_small = GPA_AGAIN;
	return add(0, SMALL, 0);
}

static int add_pinned_there(void)
{
	if (mshv_region_add(life.probe.vm, GPA_SMALL, life.pinned, PINNED, 0))
		return -1;
	life.added[2] = true;
	return 0;
}

static int read_all(void)
{
	const uint64_t pages[] = { SMALL / PAGE, HUGE / PAGE };
	unsigned int region;
	uint64_t page, value;

	for (region = 0; region < 2; region++)
		for (page = 0; page < pages[region]; page++)
			if (life.content[region][page] != UNKNOWN && guest_read(region, page))
				return -1;
	/* Page 1 of what was pinned is now where the small region was. */
	if (outcome(probe_read(&life.probe, GPA_SMALL + PAGE, &value)))
		return -1;
	if (value == stamp(2, 1))
		return 0;
	errno = EILSEQ;
	return -1;
}

/*
 * By itself: this unmaps the processor's page, which Linux may refuse for want of memory, and then the
 * partition lives on by right.
 */
static int close_processor(void)
{
	if (life.probe.vcpu)
		mshv_vcpu_destroy(life.probe.vcpu);
	life.probe.vcpu = NULL;
	return 0;
}

static int close_guest(void)
{
	probe_close(&life.probe);
	return 0;
}

/* A guest that has its memory for itself. */
static int open_isolated(void)
{
	uint8_t *boot;
	int error;

	if (!probe_open_isolated(&life.probe))
		return 0;
	error = errno;
	boot = life.probe.boot;
	probe_close(&life.probe);
	if (boot)
		munmap(boot, BOOT);
	errno = error;
	return -1;
}

static int remove_isolated(void)
{
	if (life.added[2] && mshv_region_remove(life.probe.vm, GPA_PINNED, life.pinned, PINNED))
		return -1;
	life.added[2] = false;
	return 0;
}

static int close_isolated(void)
{
	uint8_t *boot = life.probe.boot;

	probe_close(&life.probe);
	if (boot)
		munmap(boot, BOOT);
	return 0;
}

/*
 * Who a step needs: a guest that is dead answers EOWNERDEAD, the VMM goes on. The end of something
 * comes whatever is refused.
 */
enum needs { NOBODY, GUEST, NOTHING };

struct step {
	const char *name;
	int (*run)(void);
	enum needs needs;
};

static const struct step raw_life[] = {
	{ "create a partition", raw_create, NOBODY },
	{ "initialize it", raw_initialize, NOBODY },
	{ "create a processor", raw_create_vp, NOBODY },
	{ "map its page", raw_map_page, NOBODY },
	{ "close the processor", raw_close_vp, NOTHING },
	{ "close the partition", raw_close, NOTHING },
	{ }
};

static const struct step movable_life[] = {
	{ "open a guest", open_guest, NOBODY },
	{ "add a region", add_small, GUEST },
	{ "add a region of huge pages", add_huge, GUEST },
	{ "add a pinned region", add_pinned, GUEST },
	{ "write", write_small, GUEST },
	{ "write in sequence", write_sequence, GUEST },
	{ "read nothing", read_small, GUEST },
	{ "write what was read", write_what_was_read, GUEST },
	{ "write a huge page", write_huge, GUEST },
	{ "use pinned memory", use_pinned, GUEST },
	{ "ask for access bits", ask_access, GUEST },
	{ "ask for statistics", ask_statistics, NOBODY },
	{ "MADV_DONTNEED", drop, NOBODY },
	{ "MADV_PAGEOUT", page_out, NOBODY },
	{ "swap in", read_swapped, GUEST },
	{ "move_pages", move, NOBODY },
	{ "use what moved", use_moved, GUEST },
	{ "mprotect", protect, NOBODY },
	{ "read what is protected", read_protected, GUEST },
	{ "mprotect back", unprotect, NOBODY },
	{ "write again", write_unprotected, GUEST },
	{ "split a huge page", split, NOBODY },
	{ "use what was split", use_split, GUEST },
	{ "fork", fork_vmm, NOBODY },
	{ "write what was shared", write_shared, GUEST },
	{ "pin the region", pin_small, GUEST },
	{ "use what is pinned now", use_now_pinned, GUEST },
	{ "make it movable", unpin_small, GUEST },
	{ "use what is movable now", use_now_movable, GUEST },
	{ "remove the pinned region", remove_pinned, NOTHING },
	{ "remove the region", remove_small, NOTHING },
	{ "add it elsewhere", add_small_again, GUEST },
	{ "add another in its place", add_pinned_there, GUEST },
	{ "read everything", read_all, GUEST },
	{ "close its processor", close_processor, NOBODY },
	{ "close the guest", close_guest, NOTHING },
	{ }
};

static const struct step isolated_life[] = {
	{ "open an isolated guest", open_isolated, NOBODY },
	{ "add its memory", add_pinned, GUEST },
	{ "use its memory", use_pinned, GUEST },
	{ "remove its memory", remove_isolated, NOTHING },
	{ "close its processor", close_processor, NOBODY },
	{ "close the guest", close_isolated, NOTHING },
	{ }
};

/* ---- a life, with one thing refused ---- */

/* The Nth allocation of one step fails. */
static int nth_file = -1;

static void allocation_arm(unsigned int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	if (pwrite(nth_file, text, strlen(text), 0) < 0)
		perror("fail-nth");
}

/* Returns whether an allocation was refused. The copy to us may be what is refused: then it was none. */
static bool allocation_disarm(void)
{
	char text[16] = "";
	bool refused = pread(nth_file, text, sizeof(text) - 1, 0) > 0 && !atoi(text);

	while (pwrite(nth_file, "0", 1, 0) < 0)
		;
	return refused;
}

/* Every allocation of this task fails, but those that Linux says cannot. Open: that would need some. */
static int starve_file = -1;

static bool starve(bool on)
{
	return pwrite(starve_file, on ? "1" : "0", 1, 0) == 1;
}

/* What may be refused: an allocation in one step, or something that the hypervisor does on its own. */
struct refusal {
	const char *what;
	const struct step *step;	/* allocations: where */
	bool starve;			/* no memory in any step that needs nothing */
	unsigned int n;
	unsigned int counter;		/* hypervisor: counts refusals */
	int64_t counter_before;
	bool refused;
};

static bool was_refused(struct refusal *r)
{
	if (!r->refused && r->counter)
		r->refused = counted(r->counter) > r->counter_before;
	return r->refused;
}

static bool good_errno(int error)
{
	switch (error) {
	case ENOMEM:	/* memory */
	case EIO:	/* a hypercall */
	case EFAULT:	/* a copy to or from user space */
	case EAGAIN:	/* fork */
	case ENOENT:	/* /proc: no memory for a name */
	case ENFILE:
	case EOWNERDEAD:
		return true;
	}
	return false;
}

/* Not CHECK: says where in the sweep. */
#define HOLDS(condition, ...) \
	do { \
		if (!(condition)) { \
			printf("# %s, %u: step \"%s\": not so: %s: ", r->what, r->n, step->name, \
			       #condition); \
			printf(__VA_ARGS__); \
			printf("\n"); \
			return FAIL; \
		} \
	} while (0)

static enum ktap_result do_step(const struct step *step, struct refusal *r)
{
	bool starved = r->starve && step->needs == NOTHING;
	unsigned int i;
	int ret, error;

	life.gone_count = 0;
	HOLDS(!starved || starve(true), "%s", strerror(errno));
	if (r->step == step)
		allocation_arm(r->n);
	ret = step->run();
	error = errno;
	HOLDS(!starved || starve(false), "%s", strerror(errno));
	if (r->step == step)
		r->refused = allocation_disarm();
	if (ret && error != EOWNERDEAD && !life.dead) {
		HOLDS(was_refused(r) && !life.failed, "%s", strerror(error));
		HOLDS(good_errno(error), "%s", strerror(error));
		life.failed = true;
		met.failed++;
		met.error = error;
		ret = step->run();
		error = errno;
		HOLDS(!ret || error == EOWNERDEAD, "done again: %s", strerror(error));
	}
	for (i = 0; i < life.gone_count; i++)
		HOLDS(!reachable(life.gone[i]), "page 0x%" PRIx64, life.gone[i]);
	if (!life.dead && ret) {
		HOLDS(was_refused(r), "dead for no reason");
		life.dead = true;
		met.dead++;
		for (i = 0; i < life.pages_count; i++)
			HOLDS(!reachable(life.pages[i]), "page 0x%" PRIx64, life.pages[i]);
	}
	if (life.dead && step->needs == GUEST)
		HOLDS(ret && error == EOWNERDEAD, "%s", ret ? strerror(error) : "success");
	else
		HOLDS(!ret, "%s", strerror(error));
	return PASS;
}

/* What the guest wrote is in the VMM's memory, also if it died since. */
static bool vmm_has_it(void)
{
	const uint64_t pages[] = { SMALL / PAGE, HUGE / PAGE };
	unsigned int region;
	uint64_t page, value, want;

	for (region = 0; region < 2; region++) {
		for (page = 0; page < pages[region]; page++) {
			if (life.content[region][page] == UNKNOWN)
				continue;
			value = *(volatile uint64_t *)(host(region) + page * PAGE);
			want = life.content[region][page] == STAMP ? stamp(region, page) : 0;
			if (value == want)
				continue;
			ktap_note("VMM: region %u, page %" PRIu64 ": 0x%" PRIx64, region, page, value);
			return false;
		}
	}
	return true;
}

static void behave(void)
{
	mshv_hypervisor_option(HVABI_OPTION_PARTIAL_EVERY, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_AT, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL_AT, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_STATUS, HVABI_STATUS_OPERATION_FAILED);
}

static void unmap_memory(void)
{
	if (life.small)
		munmap(life.small, SMALL);
	if (life.huge)
		munmap(life.huge, HUGE);
	if (life.pinned)
		munmap(life.pinned, PINNED);
	life.small = life.huge = life.pinned = NULL;
}

/* After a failure: whatever is left. */
static void tear_down(void)
{
	if (!access("/dev/mshv", F_OK))
		behave();
	if (life.probe.vm)
		probe_close(&life.probe);
	close_fd(&life.raw_vp);
	close_fd(&life.raw);
	unmap_memory();
}

static void set_up(void)
{
	memset(&life, 0, sizeof(life));
	life.raw = life.raw_vp = -1;
	life.gpa_small = GPA_SMALL;
	life.small = probe_memory(SMALL, false);
	life.huge = probe_memory(HUGE, true);
	life.pinned = probe_memory(PINNED, false);
	met.lives++;
}

static enum ktap_result live(const struct step *steps, struct refusal *r)
{
	long locked = probe_proc("/proc/self/status", "VmLck");
	int64_t lent = probe_lent();
	const struct step *step;
	unsigned int i;

	set_up();
	if (r->counter)
		r->counter_before = counted(r->counter);
	for (step = steps; step->name; step++)
		CHECK_PASS(do_step(step, r));
	step--;
	behave();
	met.refused += was_refused(r);
	for (i = 0; i < life.pages_count; i++)
		HOLDS(!reachable(life.pages[i]), "page 0x%" PRIx64, life.pages[i]);
	HOLDS(vmm_has_it(), "%s", life.dead ? "the guest is dead" : "");
	HOLDS(probe_lent() == lent, "%lld pages lent, before %lld", (long long)probe_lent(),
	      (long long)lent);
	HOLDS(probe_proc("/proc/self/status", "VmLck") == locked, "locked memory");
	unmap_memory();
	return PASS;
}

/* The first ones each, then fewer and fewer. */
static unsigned int next(unsigned int n)
{
	return n < EACH ? n + 1 : n + n / 8;
}

/* Kernel memory that lives leave behind: nothing, but what Linux keeps to hand out again. */
static enum ktap_result nothing_charged(long before)
{
	long after = 0;
	int i;

	for (i = 0; i < 100; i++) {
		after = charged();
		if (after <= before + SLACK)
			break;
		usleep(100000);
	}
	ktap_note("%u lives, %u refusals; %u steps failed, %u guests died; %ld KiB charged more",
		  met.lives, met.refused, met.failed, met.dead, (after - before) >> 10);
	CHECK(before > 0, "no memory controller");
	CHECK(after <= before + SLACK, "%ld KiB, before %ld", after >> 10, before >> 10);
	return PASS;
}

/* One life that meets no refusal: what the caches keep is charged from here on. */
static enum ktap_result begin(const struct step *steps, long *before)
{
	struct refusal nothing = { .what = "nothing refused" };

	CHECK_PASS(live(steps, &nothing));
	memset(&met, 0, sizeof(met));
	*before = charged();
	return PASS;
}

/* ---- the hypervisor refuses ---- */

static const struct {
	const char *name;
	uint16_t code;
	unsigned int counter;
} calls[] = {
#define X(call, text) { text, HVABI_CALL_##call, HVABI_COUNT_CALL_##call },
	HVABI_DEBUG_CALLS(X)
#undef X
};

#define CALLS	(sizeof(calls) / sizeof(calls[0]))

static bool set_option(uint32_t option, uint64_t value)
{
	if (!mshv_hypervisor_option(option, value))
		return true;
	ktap_note("option %u: %s", option, mshv_error());
	return false;
}

/* Refuse each occurrence of each code in a life, with a status; at most @most of a code. */
static enum ktap_result sweep_calls(const struct step *steps, uint16_t status, unsigned int partial,
				    unsigned int most)
{
	struct refusal nothing = { .what = "nothing refused" };
	unsigned int i, n, tried, in_life;
	int64_t before[CALLS], after[CALLS];
	long kernel;

	CHECK_PASS(begin(steps, &kernel));
	for (i = 0; i < CALLS; i++)
		before[i] = counted(calls[i].counter);
	CHECK(set_option(HVABI_OPTION_PARTIAL_EVERY, partial));
	CHECK_PASS(live(steps, &nothing));
	for (i = 0; i < CALLS; i++)
		after[i] = counted(calls[i].counter);
	for (i = 0; i < CALLS; i++) {
		unsigned int refused = met.refused;

		in_life = after[i] - before[i];
		if (calls[i].code >= HVABI_CALL_DEBUG_GET_COUNTERS || !in_life)
			continue;
		for (n = 1, tried = 0; n <= in_life; n = most < in_life ? n + in_life / most : next(n)) {
			struct refusal r = {
				.what = calls[i].name, .n = n, .counter = HVABI_COUNT_CALL_REFUSED,
			};

			CHECK(set_option(HVABI_OPTION_PARTIAL_EVERY, partial));
			CHECK(set_option(HVABI_OPTION_REFUSE_STATUS, status));
			CHECK(set_option(HVABI_OPTION_REFUSE_CALL, calls[i].code));
			CHECK(set_option(HVABI_OPTION_REFUSE_CALL_AT, n));
			CHECK_PASS(live(steps, &r));
			tried++;
		}
		ktap_note("%-28s %4u calls, %3u of them refused", calls[i].name, in_life,
			  met.refused - refused);
		/* How often a guest is dispatched depends on interrupts: the last ones may not come. */
		CHECK(met.refused > refused, "%s: %u tried", calls[i].name, tried);
	}
	CHECK_PASS(nothing_charged(kernel));
	return PASS;
}

static enum ktap_result calls_fail(void)
{
	CHECK_PASS(sweep_calls(movable_life, HVABI_STATUS_OPERATION_FAILED, 0, -1u));
	/* Taking a page away was refused: some guests must have died of it. */
	CHECK(met.dead > 0);
	CHECK(met.moved > 0, "no second node?");
	CHECK(met.swapped > 0, "no swap?");
	CHECK(met.split > 0, "no huge pages?");
	return PASS;
}

static enum ktap_result calls_fail_raw(void)
{
	return sweep_calls(raw_life, HVABI_STATUS_OPERATION_FAILED, 0, -1u);
}

static enum ktap_result calls_fail_isolated(void)
{
	return sweep_calls(isolated_life, HVABI_STATUS_OPERATION_FAILED, 0, -1u);
}

static enum ktap_result calls_fail_half_way(void)
{
	CHECK_PASS(sweep_calls(movable_life, HVABI_STATUS_OPERATION_FAILED, 1, 10));
	return sweep_calls(isolated_life, HVABI_STATUS_OPERATION_FAILED, 1, 10);
}

static enum ktap_result calls_want_memory(void)
{
	CHECK_PASS(sweep_calls(raw_life, HVABI_STATUS_INSUFFICIENT_MEMORY, 0, -1u));
	CHECK_PASS(sweep_calls(isolated_life, HVABI_STATUS_INSUFFICIENT_MEMORY, 0, 10));
	return sweep_calls(movable_life, HVABI_STATUS_INSUFFICIENT_MEMORY, 0, 10);
}

/* The Nth page that the hypervisor needs is not there: nobody but the driver may notice. */
static enum ktap_result sweep_memory(const struct step *steps)
{
	struct refusal r = { .what = "memory", .counter = HVABI_COUNT_MEMORY_REFUSED };
	unsigned int refused;
	long kernel;

	CHECK_PASS(begin(steps, &kernel));
	for (r.n = 1;; r.n = next(r.n)) {
		CHECK(set_option(HVABI_OPTION_REFUSE_MEMORY_AT, r.n));
		refused = met.refused;
		r.refused = false;
		CHECK_PASS(live(steps, &r));
		if (met.refused == refused)
			break;
	}
	ktap_note("memory: wanted at %u points", met.refused);
	CHECK(met.refused > 4);
	CHECK(!met.failed && !met.dead, "%u steps failed, %u guests died", met.failed, met.dead);
	return nothing_charged(kernel);
}

static enum ktap_result memory_refused(void)
{
	CHECK_PASS(sweep_memory(raw_life));
	CHECK_PASS(sweep_memory(isolated_life));
	return sweep_memory(movable_life);
}

/* ---- Linux refuses ---- */

/* The name of a step: sweep that one only. */
static const char *only;

static enum ktap_result injection_ready(void)
{
	static const char *const knobs[][2] = {
		{ "failslab/task-filter", "Y" },
		{ "failslab/probability", "100" },
		{ "failslab/times", "-1" },
		{ "fail_page_alloc/task-filter", "Y" },
		{ "fail_page_alloc/probability", "100" },
		{ "fail_page_alloc/times", "-1" },
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_usercopy/verbose", "0" },
	};
	char path[128];
	unsigned int i;

	if (nth_file >= 0)
		return PASS;
	nth_file = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_file < 0)
		return ktap_skip("this kernel cannot fail an allocation on demand (FAULT_INJECTION)");
	starve_file = open("/proc/thread-self/make-it-fail", O_RDWR | O_CLOEXEC);
	CHECK(starve_file >= 0, "%s", strerror(errno));
	/* Without a task that asks for it these change nothing. */
	for (i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", knobs[i][0]);
		CHECK(!host_write(path, knobs[i][1]), "%s: %s", path, strerror(errno));
	}
	return PASS;
}

static enum ktap_result sweep_allocations(const struct step *steps)
{
	const struct step *step;
	unsigned int tried, failed;
	long kernel;

	CHECK_PASS(injection_ready());
	CHECK_PASS(begin(steps, &kernel));
	for (step = steps; step->name; step++) {
		struct refusal r = { .what = "allocation", .step = step };

		if (only && strcmp(only, step->name))
			continue;

		tried = met.refused;
		failed = met.failed;
		for (r.n = 1;; r.n = next(r.n)) {
			r.refused = false;
			CHECK_PASS(live(steps, &r));
			if (!r.refused)
				break;
		}
		ktap_note("%-28s %3u of fewer than %4u allocations refused, %3u times it failed (%s)",
			  step->name, met.refused - tried, r.n, met.failed - failed,
			  met.failed > failed ? strerror(met.error) : "never");
	}
	if (only)
		return PASS;
	CHECK(met.refused > 0 && met.failed > 0, "no allocation was refused");
	/* Nothing that Linux takes away waits for an allocation. */
	CHECK(!met.dead, "%u guests died", met.dead);
	return nothing_charged(kernel);
}

/*
 * How many allocations of Linux's own come before the driver's when it is loaded is of no interest here; and of those for the fields
 * of its tracepoints Linux itself warns that they must not fail.
 */
#define LOADING_LAST	32u

/* Loads the driver with the Nth allocation refused. Returns whether there was an Nth. */
static bool load_refused(unsigned int n, int *error)
{
	allocation_arm(n);
	*error = probe_load_driver();
	return allocation_disarm();
}

/* The first test: nothing has opened /dev/mshv yet, which could not be unloaded then. */
static enum ktap_result allocations_loading(void)
{
	unsigned int low = 1, high = 16, n, failed = 0;
	struct probe probe;
	int error;

	CHECK_PASS(injection_ready());
	if (only && strcmp(only, "load"))
		return ktap_skip("only \"%s\" is wanted", only);
	CHECK(!probe_unload_driver(), "%s", strerror(errno));
	/* Loading needs fewer than @high, and at least @low. */
	while (load_refused(high, &error)) {
		if (!error)
			CHECK(!probe_unload_driver());
		low = high;
		high *= 2;
	}
	CHECK(!error && !probe_unload_driver(), "%s", strerror(error));
	while (high - low > 1) {
		n = (low + high) / 2;
		if (load_refused(n, &error))
			low = n;
		else
			high = n;
		if (!error)
			CHECK(!probe_unload_driver());
	}
	for (n = high > LOADING_LAST ? high - LOADING_LAST : 1; n < high; n++) {
		/* Not the same number twice: the driver may have needed one less. */
		if (!load_refused(n, &error) && !error) {
			CHECK(!probe_unload_driver(), "%u", n);
			break;
		}
		CHECK(!error || good_errno(error), "%u: %s", n, strerror(error));
		CHECK(!error == !access("/dev/mshv", F_OK), "%u: %s", n, strerror(error));
		failed += !!error;
		if (!error)
			CHECK(!probe_unload_driver(), "%u", n);
		/* Nothing is in the way of the next one. */
		if (n % 8)
			continue;
		CHECK((error = probe_load_driver()) == 0, "%u: %s", n, strerror(error));
		CHECK(!probe_unload_driver(), "%u", n);
	}
	ktap_note("loading: the last %u of %u allocations refused, %u times it failed",
		  high < LOADING_LAST ? high - 1 : LOADING_LAST, high - 1, failed);
	CHECK(failed > 0);
	CHECK((error = probe_load_driver()) == 0, "%s", strerror(error));
	CHECK(!probe_open(&probe), "%s", mshv_error());
	probe_close(&probe);
	return PASS;
}

/* What ends something does not fail, though every single allocation does. */
static enum ktap_result no_memory_at_all(void)
{
	struct refusal r = { .what = "all allocations", .starve = true };
	long kernel;

	CHECK_PASS(injection_ready());
	CHECK_PASS(begin(movable_life, &kernel));
	for (r.n = 1; r.n <= 5; r.n++) {
		CHECK_PASS(live(raw_life, &r));
		CHECK_PASS(live(movable_life, &r));
		CHECK_PASS(live(isolated_life, &r));
	}
	return nothing_charged(kernel);
}

static enum ktap_result allocations_raw(void)
{
	return sweep_allocations(raw_life);
}

static enum ktap_result allocations_movable(void)
{
	CHECK_PASS(sweep_allocations(movable_life));
	if (only)
		return PASS;
	CHECK(met.moved > 0, "no second node?");
	CHECK(met.swapped > 0, "no swap?");
	CHECK(met.split > 0, "no huge pages?");
	return PASS;
}

static enum ktap_result allocations_isolated(void)
{
	return sweep_allocations(isolated_life);
}

static void join_cgroup(void)
{
	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		ktap_note("%s: %s", CGROUP, strerror(errno));
	if (host_write(CGROUP "/cgroup.procs", "0"))
		ktap_note(CGROUP ": cannot enter");
}

int main(int argc, char **argv)
{
	static const struct ktap_test hypercall[] = {
		{ "calls refused: a bare partition", calls_fail_raw },
		{ "calls refused: a guest", calls_fail },
		{ "calls refused: an isolated guest", calls_fail_isolated },
		{ "calls refused half way", calls_fail_half_way },
		{ "calls that want memory", calls_want_memory },
		{ "memory refused at every point", memory_refused },
	};
	static const struct ktap_test allocation[] = {
		{ "allocations refused: loading the driver", allocations_loading },
		{ "no memory at all, at the end", no_memory_at_all },
		{ "allocations refused: a bare partition", allocations_raw },
		{ "allocations refused: a guest", allocations_movable },
		{ "allocations refused: an isolated guest", allocations_isolated },
	};
	cpu_set_t one;

	/* One processor: pages do not wait in another one's lists when they are to be paged out. */
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	life.raw = life.raw_vp = -1;
	ktap_cleanup = tear_down;
	join_cgroup();
	if (argc == 2 && !strcmp(argv[1], "hypercall"))
		return KTAP_RUN(hypercall);
	if (argc == 3)
		only = argv[2];
	if (argc >= 2 && argc <= 3 && !strcmp(argv[1], "allocation"))
		return KTAP_RUN(allocation);
	fprintf(stderr, "usage: test_sweep hypercall | allocation [STEP]\n");
	return 2;
}
