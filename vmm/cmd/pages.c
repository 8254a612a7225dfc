// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where Linux has pages, see pages.h. Since Linux 6.7 the page map tells ranges of a kind (PAGEMAP_SCAN), so that what is
 * absent costs nothing; its entries, eight bytes a page, are read only of what is there, for they alone tell whether
 * somebody else has the page as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pages.h"

#define PAGE		4096ull
#define ENTRIES		4096u
#define RANGES		256u

/* An entry of the page map. */
#define ENTRY_PRESENT	(1ull << 63)
#define ENTRY_SWAPPED	(1ull << 62)
#define ENTRY_ALONE	(1ull << 56)

/* PAGEMAP_SCAN: headers of Debian 12 do not have it. */
struct scan_range {
	uint64_t start, end, categories;
};

struct scan_args {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN		_IOWR('f', 16, struct scan_args)
#define SCAN_PRESENT	(1ull << 3)
#define SCAN_SWAPPED	(1ull << 4)
#define SCAN_HUGE	(1ull << 6)

const char *const page_state_names[PAGE_STATES] = {
	[PAGE_ABSENT] = "absent", [PAGE_SMALL] = "small", [PAGE_LARGE] = "large",
	[PAGE_SWAPPED] = "swapped", [PAGE_SHARED] = "shared",
};

struct walk {
	int fd;
	void (*each)(void *arg, uint64_t first, uint64_t count, enum page_state state);
	void *arg;
	/* The run that is not told yet. */
	uint64_t first, count;
	enum page_state state;
};

static void add(struct walk *w, uint64_t count, enum page_state state)
{
	if (!count)
		return;
	if (w->count && state != w->state) {
		w->each(w->arg, w->first, w->count, w->state);
		w->first += w->count;
		w->count = 0;
	}
	w->state = state;
	w->count += count;
}

static enum page_state state_of(uint64_t entry, bool large)
{
	if (entry & ENTRY_SWAPPED)
		return PAGE_SWAPPED;
	if (!(entry & ENTRY_PRESENT))
		return PAGE_ABSENT;
	if (!(entry & ENTRY_ALONE))
		return PAGE_SHARED;
	return large ? PAGE_LARGE : PAGE_SMALL;
}

static int read_entries(struct walk *w, uint64_t start, uint64_t end, bool large)
{
	uint64_t entries[ENTRIES];

	while (start < end) {
		uint64_t want = (end - start) / PAGE;
		ssize_t got = pread(w->fd, entries, (want < ENTRIES ? want : ENTRIES) * sizeof(entries[0]),
				    (off_t)(start / PAGE * sizeof(entries[0])));

		if (got < (ssize_t)sizeof(entries[0])) {
			/* Nothing: the address space is gone. */
			if (got >= 0)
				errno = ESRCH;
			return -1;
		}
		for (size_t i = 0; i < (size_t)got / sizeof(entries[0]); i++)
			add(w, 1, state_of(entries[i], large));
		start += (uint64_t)got / sizeof(entries[0]) * PAGE;
	}
	return 0;
}

/* 1: this Linux cannot do it. */
static int scan(struct walk *w, uint64_t start, uint64_t end)
{
	struct scan_range ranges[RANGES];
	struct scan_args args = {
		.size = sizeof(args), .end = end, .vec = (uintptr_t)ranges, .vec_len = RANGES,
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask = SCAN_PRESENT | SCAN_SWAPPED | SCAN_HUGE,
	};

	while (start < end) {
		int count;

		args.start = start;
		count = ioctl(w->fd, SCAN, &args);
		if (count < 0)
			return errno == ENOTTY ? 1 : -1;
		for (int i = 0; i < count; i++) {
			add(w, (ranges[i].start - start) / PAGE, PAGE_ABSENT);
			if (read_entries(w, ranges[i].start, ranges[i].end, ranges[i].categories & SCAN_HUGE))
				return -1;
			start = ranges[i].end;
		}
		if (args.walk_end > start) {
			add(w, (args.walk_end - start) / PAGE, PAGE_ABSENT);
			start = args.walk_end;
		}
	}
	return 0;
}

int pages_walk(pid_t pid, uint64_t address, uint64_t pages,
	       void (*each)(void *arg, uint64_t first, uint64_t count, enum page_state state), void *arg,
	       bool *large_known)
{
	struct walk w = { .each = each, .arg = arg };
	uint64_t end = address + pages * PAGE;
	char name[64];
	int ret, error;

	snprintf(name, sizeof(name), "/proc/%d/pagemap", (int)pid);
	w.fd = open(name, O_RDONLY | O_CLOEXEC);
	if (w.fd < 0)
		return -1;
	ret = scan(&w, address, end);
	*large_known = ret <= 0;
	if (ret > 0)
		ret = read_entries(&w, address, end, false);
	if (!ret && w.count)
		each(arg, w.first, w.count, w.state);
	error = errno;
	close(w.fd);
	errno = error;
	return ret;
}
