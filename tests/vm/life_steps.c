// SPDX-License-Identifier: GPL-2.0-only
/*
 * The steps of a guest's life. Each can be done again when it has failed, and notes what the guest's pages must hold and which
 * pages Linux took away (life.h).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uapi/mshv.h>

#include "life.h"

#define BOOT	(256ull << 10)

uint64_t life_stamp(unsigned int region, uint64_t page)
{
	return 0x57a3900000000000ull | (uint64_t)region << 32 | page;
}

uint8_t *life_host(unsigned int region)
{
	return region == 0 ? life.small : region == 1 ? life.huge : life.pinned;
}

static uint64_t life_gpa(unsigned int region, uint64_t page)
{
	const uint64_t base[] = { life.gpa_small, LIFE_GPA_HUGE, LIFE_GPA_PINNED };

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
	uint64_t pfn = probe_pfn(life_host(region) + page * PAGE);

	if (pfn && life.pages_count < LIFE_PAGES_MAX)
		life.pages[life.pages_count++] = pfn;
}

static int guest_write(unsigned int region, uint64_t page)
{
	life.content[region][page] = LIFE_UNKNOWN;
	if (outcome(probe_write(&life.probe, life_gpa(region, page), life_stamp(region, page))))
		return -1;
	life.content[region][page] = LIFE_STAMP;
	return 0;
}

/* EILSEQ: not what must be there. */
static int guest_read(unsigned int region, uint64_t page)
{
	uint64_t value, want = life.content[region][page] == LIFE_STAMP ? life_stamp(region, page) : 0;

	if (outcome(probe_read(&life.probe, life_gpa(region, page), &value)))
		return -1;
	if (life.content[region][page] == LIFE_UNKNOWN || value == want)
		return 0;
	ktap_note("region %u, page %" PRIu64 ": 0x%" PRIx64 " instead of 0x%" PRIx64, region, page,
		  value, want);
	errno = EILSEQ;
	return -1;
}

static void going(uint64_t pfn)
{
	if (pfn && life.gone_count < LIFE_PAGES_MAX)
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

int life_close_fd(int *fd)
{
	int done = *fd;

	*fd = -1;
	return done < 0 ? 0 : close(done);
}

static int raw_close_vp(void)
{
	return life_close_fd(&life.raw_vp);
}

static int raw_close(void)
{
	return life_close_fd(&life.raw);
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
	if (mshv_region_add(life.probe.vm, life_gpa(region, 0), life_host(region), size, flags))
		return -1;
	life.added[region] = true;
	return 0;
}

static int add_small(void)
{
	return add(0, LIFE_SMALL, 0);
}

static int add_huge(void)
{
	return add(1, LIFE_HUGE, 0);
}

static int add_pinned(void)
{
	return add(2, LIFE_PINNED, MSHV_MEMORY_PINNED);
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
	life.content[0][40] = LIFE_ZERO;
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
	life.content[2][0] = LIFE_ZERO;
	return guest_read(2, 0) || write_pages(2, 1, 1) ? -1 : 0;
}

static int ask_access(void)
{
	uint8_t bitmap[LIFE_SMALL / PAGE / 8];

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

/*
 * Linux looks which pages of the VMM are in use: the multi-generation LRU is told to age the sweep's cgroup. A kernel without it,
 * or without debugfs, asks when it pages out.
 */
static int ask_age(void)
{
	static char text[1 << 16];
	unsigned long youngest = 0;
	char command[64], *line;
	unsigned int id;
	ssize_t size;
	int fd;

	fd = open("/sys/kernel/debug/lru_gen", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	size = read(fd, text, sizeof(text) - 1);
	text[size > 0 ? size : 0] = 0;
	line = strstr(text, " /sweep\n");
	while (line && line > text && line[-1] != '\n')
		line--;
	if (!line || sscanf(line, "memcg %u", &id) != 1) {
		close(fd);
		return size < 0 ? -1 : 0;
	}
	/* The generations of its first node, the youngest last. */
	line = strchr(strchr(line, '\n') + 1, '\n');
	while (line && sscanf(line + 1, " %lu", &youngest) == 1)
		line = strchr(line + 1, '\n');
	snprintf(command, sizeof(command), "+ %u 0 %lu 200 1", id, youngest);
	size = write(fd, command, strlen(command));
	close(fd);
	if (size > 0)
		life_met.aged++;
	return size > 0 ? 0 : -1;
}

static int drop(void)
{
	going(probe_pfn(life.small + PAGE));
	life.content[0][1] = LIFE_UNKNOWN;
	if (madvise(life.small + PAGE, PAGE, MADV_DONTNEED))
		return -1;
	life.content[0][1] = LIFE_ZERO;
	return 0;
}

static int page_out(void)
{
	uint64_t before = probe_pfn(life.small + 2 * PAGE);

	if (madvise(life.small + 2 * PAGE, PAGE, MADV_PAGEOUT))
		return -1;
	if (before && !probe_pfn(life.small + 2 * PAGE)) {
		going(before);
		life_met.swapped++;
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
			life_met.moved++;
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

	life.content[1][9] = LIFE_UNKNOWN;
	if (madvise(life.huge + 9 * PAGE, PAGE, MADV_DONTNEED))
		return -1;
	life.content[1][9] = LIFE_ZERO;
	if (before && probe_pfn(life.huge + 7 * PAGE) == before)
		life_met.split++;
	return 0;
}

static int use_split(void)
{
	return guest_read(1, 7) || guest_read(1, 9) || guest_write(1, 7) ? -1 : 0;
}

static int track(void)
{
	return mshv_track_access(life.probe.vm, true);
}

/* What is large is mapped small for that. */
static int clear_dirty(void)
{
	uint8_t bitmap[LIFE_HUGE / PAGE / 8];

	return mshv_access_bitmap(life.probe.vm, LIFE_GPA_HUGE / PAGE, LIFE_HUGE / PAGE, MSHV_DIRTY,
				  MSHV_ACCESS_CLEAR, bitmap);
}

static int write_tracked(void)
{
	return write_pages(1, 7, 7) || write_pages(1, 600, 600) ? -1 : 0;
}

/* Whatever was refused meanwhile: what is not reported is lost for a migration. */
static int reports_written(void)
{
	uint8_t bitmap[LIFE_HUGE / PAGE / 8];

	if (mshv_access_bitmap(life.probe.vm, LIFE_GPA_HUGE / PAGE, LIFE_HUGE / PAGE, MSHV_DIRTY,
			       MSHV_ACCESS_KEEP, bitmap))
		return -1;
	if ((bitmap[7 / 8] >> 7 % 8 & 1) && (bitmap[600 / 8] >> 600 % 8 & 1))
		return 0;
	errno = EBADMSG;
	return -1;
}

static int set_dirty(void)
{
	uint8_t bitmap[LIFE_SMALL / PAGE / 8];

	memset(bitmap, 0xff, sizeof(bitmap));
	return mshv_access_bitmap(life.probe.vm, life.gpa_small / PAGE, LIFE_SMALL / PAGE, MSHV_DIRTY,
				  MSHV_ACCESS_SET, bitmap);
}

static int reports_set(void)
{
	uint8_t bitmap[LIFE_SMALL / PAGE / 8];
	unsigned int i;

	if (mshv_access_bitmap(life.probe.vm, life.gpa_small / PAGE, LIFE_SMALL / PAGE, MSHV_DIRTY,
			       MSHV_ACCESS_KEEP, bitmap))
		return -1;
	for (i = 0; i < sizeof(bitmap); i++) {
		if (bitmap[i] != 0xff) {
			errno = EBADMSG;
			return -1;
		}
	}
	return 0;
}

static int track_no_more(void)
{
	return mshv_track_access(life.probe.vm, false);
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
	return mshv_region_change(life.probe.vm, life.gpa_small, life.small, LIFE_SMALL,
				  MSHV_MEMORY_PINNED);
}

static int use_now_pinned(void)
{
	life.content[0][41] = LIFE_ZERO;
	return guest_read(0, 0) || guest_read(0, 41) || write_pages(0, 42, 42) ? -1 : 0;
}

static int unpin_small(void)
{
	return mshv_region_change(life.probe.vm, life.gpa_small, life.small, LIFE_SMALL, 0);
}

static int use_now_movable(void)
{
	return guest_read(0, 42) || guest_write(0, 2) ? -1 : 0;
}

static int remove_pinned(void)
{
	going(probe_pfn(life.pinned + PAGE));
	if (life.added[2] && mshv_region_remove(life.probe.vm, LIFE_GPA_PINNED, life.pinned, LIFE_PINNED))
		return -1;
	life.added[2] = false;
	return 0;
}

static int remove_small(void)
{
	going(probe_pfn(life.small));
	going(probe_pfn(life.small + 17 * PAGE));
	if (life.added[0] &&
	    mshv_region_remove(life.probe.vm, life.gpa_small, life.small, LIFE_SMALL))
		return -1;
	life.added[0] = false;
	return 0;
}

/* The same memory, elsewhere; and other memory where that was. */
static int add_small_again(void)
{
	life.gpa_small = LIFE_GPA_AGAIN;
	return add(0, LIFE_SMALL, 0);
}

static int add_pinned_there(void)
{
	if (mshv_region_add(life.probe.vm, LIFE_GPA_SMALL, life.pinned, LIFE_PINNED, 0))
		return -1;
	life.added[2] = true;
	return 0;
}

static int read_all(void)
{
	const uint64_t pages[] = { LIFE_SMALL / PAGE, LIFE_HUGE / PAGE };
	unsigned int region;
	uint64_t page, value;

	for (region = 0; region < 2; region++)
		for (page = 0; page < pages[region]; page++)
			if (life.content[region][page] != LIFE_UNKNOWN && guest_read(region, page))
				return -1;
	/* Page 1 of what was pinned is now where the small region was. */
	if (outcome(probe_read(&life.probe, LIFE_GPA_SMALL + PAGE, &value)))
		return -1;
	if (value == life_stamp(2, 1))
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
	if (life.added[2] && mshv_region_remove(life.probe.vm, LIFE_GPA_PINNED, life.pinned, LIFE_PINNED))
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

const struct life_step life_raw[] = {
	{ "create a partition", raw_create, LIFE_NEEDS_NOBODY },
	{ "initialize it", raw_initialize, LIFE_NEEDS_NOBODY },
	{ "create a processor", raw_create_vp, LIFE_NEEDS_NOBODY },
	{ "map its page", raw_map_page, LIFE_NEEDS_NOBODY },
	{ "close the processor", raw_close_vp, LIFE_NEEDS_NOTHING },
	{ "close the partition", raw_close, LIFE_NEEDS_NOTHING },
	{ }
};

const struct life_step life_movable[] = {
	{ "open a guest", open_guest, LIFE_NEEDS_NOBODY },
	{ "add a region", add_small, LIFE_NEEDS_GUEST },
	{ "add a region of huge pages", add_huge, LIFE_NEEDS_GUEST },
	{ "add a pinned region", add_pinned, LIFE_NEEDS_GUEST },
	{ "write", write_small, LIFE_NEEDS_GUEST },
	{ "write in sequence", write_sequence, LIFE_NEEDS_GUEST },
	{ "read nothing", read_small, LIFE_NEEDS_GUEST },
	{ "write what was read", write_what_was_read, LIFE_NEEDS_GUEST },
	{ "write a huge page", write_huge, LIFE_NEEDS_GUEST },
	{ "use pinned memory", use_pinned, LIFE_NEEDS_GUEST },
	{ "ask for access bits", ask_access, LIFE_NEEDS_GUEST },
	{ "ask for statistics", ask_statistics, LIFE_NEEDS_NOBODY },
	{ "ask for the age of pages", ask_age, LIFE_NEEDS_NOBODY },
	{ "MADV_DONTNEED", drop, LIFE_NEEDS_NOBODY },
	{ "MADV_PAGEOUT", page_out, LIFE_NEEDS_NOBODY },
	{ "swap in", read_swapped, LIFE_NEEDS_GUEST },
	{ "move_pages", move, LIFE_NEEDS_NOBODY },
	{ "use what moved", use_moved, LIFE_NEEDS_GUEST },
	{ "mprotect", protect, LIFE_NEEDS_NOBODY },
	{ "read what is protected", read_protected, LIFE_NEEDS_GUEST },
	{ "mprotect back", unprotect, LIFE_NEEDS_NOBODY },
	{ "write again", write_unprotected, LIFE_NEEDS_GUEST },
	{ "split a huge page", split, LIFE_NEEDS_NOBODY },
	{ "use what was split", use_split, LIFE_NEEDS_GUEST },
	{ "track", track, LIFE_NEEDS_GUEST },
	{ "ask what is dirty, and clear", clear_dirty, LIFE_NEEDS_GUEST },
	{ "write what is tracked", write_tracked, LIFE_NEEDS_GUEST },
	{ "it is reported", reports_written, LIFE_NEEDS_GUEST },
	{ "set what is dirty", set_dirty, LIFE_NEEDS_GUEST },
	{ "that is reported", reports_set, LIFE_NEEDS_GUEST },
	{ "track no more", track_no_more, LIFE_NEEDS_GUEST },
	{ "fork", fork_vmm, LIFE_NEEDS_NOBODY },
	{ "write what was shared", write_shared, LIFE_NEEDS_GUEST },
	{ "pin the region", pin_small, LIFE_NEEDS_GUEST },
	{ "use what is pinned now", use_now_pinned, LIFE_NEEDS_GUEST },
	{ "make it movable", unpin_small, LIFE_NEEDS_GUEST },
	{ "use what is movable now", use_now_movable, LIFE_NEEDS_GUEST },
	{ "remove the pinned region", remove_pinned, LIFE_NEEDS_NOTHING },
	{ "remove the region", remove_small, LIFE_NEEDS_NOTHING },
	{ "add it elsewhere", add_small_again, LIFE_NEEDS_GUEST },
	{ "add another in its place", add_pinned_there, LIFE_NEEDS_GUEST },
	{ "read everything", read_all, LIFE_NEEDS_GUEST },
	{ "close its processor", close_processor, LIFE_NEEDS_NOBODY },
	{ "close the guest", close_guest, LIFE_NEEDS_NOTHING },
	{ }
};

const struct life_step life_isolated[] = {
	{ "open an isolated guest", open_isolated, LIFE_NEEDS_NOBODY },
	{ "add its memory", add_pinned, LIFE_NEEDS_GUEST },
	{ "use its memory", use_pinned, LIFE_NEEDS_GUEST },
	{ "remove its memory", remove_isolated, LIFE_NEEDS_NOTHING },
	{ "close its processor", close_processor, LIFE_NEEDS_NOBODY },
	{ "close the guest", close_isolated, LIFE_NEEDS_NOTHING },
	{ }
};
