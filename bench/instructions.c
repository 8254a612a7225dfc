// SPDX-License-Identifier: GPL-2.0-only
/*
 * M4: instructions, of a second-level fault as the guest sees it and of what Linux and the VMM ask for. M11: of processors that
 * fault together. The time-stamp counter counts them (QEMU's -icount), for parent and guest alike, of all processors together.
 *
 * Laws:
 *	- The guest reads the counter right before and after one access, so nothing of the payload is in a figure but that.
 *	- M4: one processor, and nobody idles: time that is slept through would count.
 *	- The sizes are the same with and without --quick: a figure is of one touch, and compares.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <x86intrin.h>

#include "../vmm/demo/host.h"
#include "../vmm/lib/libmshv.h"
#include "row.h"

#define TOUCHED	(256 * MIB)
#define TIMES	64u
/* An ioctl of nobody. */
#define UNKNOWN	_IO(0xb9, 0xff)

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* How @count costs are distributed goes into the cell; they are sorted. */
static void put_costs(struct bench *b, uint32_t *cost, uint64_t count)
{
	json_t *quantiles = json_array();
	uint64_t sum = 0, i;

	qsort(cost, count, sizeof(*cost), by_size);
	for (i = 0; i < count; i++)
		sum += cost[i];
	row_put(b, "n", (int64_t)count);
	row_put(b, "mean", (int64_t)(sum / count));
	row_put(b, "p50", cost[(count - 1) / 2]);
	row_put(b, "p99", cost[(count - 1) * 99 / 100]);
	row_put(b, "max", cost[count - 1]);
	for (i = 0; i <= 200; i++)
		json_array_append_new(quantiles, json_integer(cost[(count - 1) * i / 200]));
	json_object_set_new(b->cell, "quantiles", quantiles);
}

/* The guest's own figures of its last TOUCH or ECHO of @count. */
static void put_guest_costs(struct bench *b, struct bench_guest *guest, uint64_t count)
{
	uint32_t *cost = malloc(count * sizeof(*cost));

	if (!cost) {
		row_cannot(b, "no memory");
		return;
	}
	memcpy(cost, b->system->memory(guest) + GUEST_FREE, count * sizeof(*cost));
	put_costs(b, cost, count);
	free(cost);
}

/* ---- faults ---- */

static void touch(struct bench *b, const char *order, uint64_t stride, bool huge, bool resident)
{
	const uint64_t pages = TOUCHED / PAGE;
	struct bench_guest *guest;

	row_begin(b, "M4", order);
	row_put_text(b, "backing", huge ? "2m" : "4k");
	row_put_text(b, "memory", resident ? "resident" : "absent");
	guest = row_guest(b, TOUCHED, huge ? BENCH_HUGE : BENCH_SMALL);
	if (!guest)
		return;
	if (resident)
		memset(b->system->memory(guest) + FIRST, 1, TOUCHED);
	if (!row_does(b, guest, GUEST_COMMAND_TOUCH, pages, stride, 0, 1))
		put_guest_costs(b, guest, (pages + stride - 1) / stride);
	b->system->close(guest);
}

static void put_parts(struct bench *b, const struct bench_parts *before, const struct bench_parts *after)
{
	uint64_t n = after->faults - before->faults;

	row_put(b, "n", (int64_t)n);
	if (!n) {
		row_cannot(b, "no fault");
		return;
	}
	row_put(b, "part-exit", (int64_t)((after->exit - before->exit) / n));
	row_put(b, "part-look", (int64_t)((after->look - before->look) / n));
	row_put(b, "part-map", (int64_t)((after->map - before->map) / n));
	row_put(b, "part-return", (int64_t)((after->back - before->back) / n));
	row_put(b, "part-dispatch", (int64_t)((after->dispatch - before->dispatch) / n));
}

/* The same in parts, of a fault and not of a touch. Timing costs some instructions itself, so no other figure is of this run. */
static void parts(struct bench *b, const char *order, uint64_t stride, bool huge, bool resident)
{
	const struct guest_mailbox warm_up = {
		.first_gfn = FIRST / PAGE, .pages = TOUCHED / PAGE, .stride = TOUCHED / PAGE, .offset = TOUCHED / PAGE - 1,
		.rounds = 1, .version = 1, .costs = GUEST_FREE,
	};
	struct bench_parts before, after;
	struct bench_guest *guest;
	bool good;

	row_begin(b, "M4", order);
	row_put_text(b, "backing", huge ? "2m" : "4k");
	row_put_text(b, "memory", resident ? "resident" : "absent");
	if (!b->system->time_faults) {
		row_cannot(b, "no call and no second switch between a guest's exit and its entry: nothing to tell apart");
		return;
	}
	guest = row_guest(b, TOUCHED, huge ? BENCH_HUGE : BENCH_SMALL);
	if (!guest)
		return;
	if (resident)
		memset(b->system->memory(guest) + FIRST, 1, TOUCHED);
	/* The pages that the payload clears for its figures are no part of it: they are there after a touch of the last page. */
	if (row_begins(b, guest, 0, GUEST_COMMAND_TOUCH, &warm_up) || row_waits(b, guest, 0))
		goto out;
	if (b->system->time_faults(true, &before)) {
		row_cannot(b, mshv_error());
		goto out;
	}
	good = !row_does(b, guest, GUEST_COMMAND_TOUCH, TOUCHED / PAGE, stride, 0, 1);
	/* In any case, or the next row would be timed as well. */
	if (b->system->time_faults(false, &after))
		row_cannot(b, mshv_error());
	else if (good)
		put_parts(b, &before, &after);
out:
	b->system->close(guest);
}

static void echoes(struct bench *b)
{
	struct bench_guest *guest;

	row_begin(b, "M4", "two port exits and two register writes");
	guest = row_guest(b, MIB, BENCH_SMALL);
	if (!guest)
		return;
	/* The first ones find cold caches, in Linux as well. */
	if (!row_does(b, guest, GUEST_COMMAND_ECHO, 1024, 1, 0, 1))
		put_guest_costs(b, guest, 1024);
	b->system->close(guest);
}

/* ---- what Linux and the VMM ask for ---- */

/* Memory that the guest has mapped in full goes, @bytes at a time, @times; or, without a guest, memory of nobody's. */
static void discard(struct bench *b, const char *what, uint64_t bytes, unsigned int times, bool huge, bool mapped)
{
	const uint64_t all = bytes < BLOCK ? BLOCK : bytes * times;
	struct bench_guest *guest;
	uint32_t cost[TIMES];
	uint8_t *memory, *alone = NULL;
	unsigned int i;

	row_begin(b, "M4", what);
	row_put_text(b, "backing", huge ? "2m" : "4k");
	row_put_text(b, "memory", mapped ? "of the guest" : "of the VMM only");
	guest = row_guest(b, all, huge ? BENCH_HUGE : BENCH_SMALL);
	if (!guest)
		return;
	memory = b->system->memory(guest) + FIRST;
	if (!mapped) {
		alone = mmap(NULL, all + BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (alone == MAP_FAILED) {
			row_cannot(b, strerror(errno));
			goto out;
		}
		memory = alone + (-(uintptr_t)alone & (BLOCK - 1));
		madvise(memory, all, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		memset(memory, 1, all);
	} else if (row_does(b, guest, GUEST_COMMAND_STAMP, all / PAGE, 1, 0, 1)) {
		goto out;
	}
	for (i = 0; i < times; i++) {
		uint64_t before = __rdtsc();
		int ret = madvise(memory + i * bytes, bytes, MADV_DONTNEED);
		uint64_t took = __rdtsc() - before;

		if (ret || took > UINT32_MAX) {
			row_cannot(b, ret ? strerror(errno) : "more instructions than can be counted");
			goto out;
		}
		cost[i] = (uint32_t)took;
	}
	put_costs(b, cost, times);
out:
	if (alone && alone != MAP_FAILED)
		munmap(alone, all + BLOCK);
	b->system->close(guest);
}

static void discards(struct bench *b, bool mapped)
{
	discard(b, "discard 4 KiB", PAGE, TIMES, false, mapped);
	discard(b, "discard 2 MiB", BLOCK, 16, false, mapped);
	discard(b, "discard 2 MiB", BLOCK, 16, true, mapped);
	discard(b, "discard 1 GiB", 1024 * MIB, 1, false, mapped);
	discard(b, "discard 1 GiB", 1024 * MIB, 1, true, mapped);
}

static void ioctls(struct bench *b, const char *what, bool known)
{
	struct bench_guest *guest;
	uint32_t cost[TIMES];
	unsigned int i;
	int ret = 0;

	row_begin(b, "M4", what);
	guest = row_guest(b, MIB, BENCH_SMALL);
	if (!guest)
		return;
	/* It waits for its second command then: not in the hypervisor. */
	if (row_does(b, guest, GUEST_COMMAND_STAMP, 1, 1, 0, 1))
		goto out;
	for (i = 0; i < TIMES && !ret; i++) {
		uint64_t before = __rdtsc();

		if (known)
			ret = b->system->read_register(guest);
		else
			ret = ioctl(b->system->fd(guest), UNKNOWN) != -1;
		cost[i] = (uint32_t)(__rdtsc() - before);
	}
	if (ret)
		row_cannot(b, known ? mshv_error() : "an ioctl of nobody was not refused");
	else
		put_costs(b, cost, TIMES);
out:
	b->system->close(guest);
}

static void create(struct bench *b)
{
	struct bench_guest *guest;
	uint32_t cost[4];
	unsigned int i;

	row_begin(b, "M4", "make a guest of 256 MiB, without processors");
	for (i = 0; i < 4; i++) {
		uint64_t before = __rdtsc();

		guest = b->system->open(TOUCHED, BENCH_SMALL, 1);
		cost[i] = (uint32_t)(__rdtsc() - before);
		if (!guest) {
			row_cannot(b, mshv_error());
			return;
		}
		b->system->close(guest);
	}
	put_costs(b, cost, 4);
}

/* ---- several processors ---- */

/* Each page once, at random; @apart: each processor has a range of its own, else they share all 2 MiB blocks. */
static void together(struct bench *b, unsigned int vps, bool apart)
{
	const uint64_t pages = 4096, share = pages / vps;
	struct guest_mailbox args = { .seed = b->options->seed, .rounds = 1, .version = 1 };
	struct bench_guest *guest;
	uint64_t before, took;
	unsigned int i;

	row_begin(b, "M11", apart ? "each in a range of its own" : "all in the same blocks");
	row_put(b, "processors", vps);
	guest = row_guest_of(b, pages * PAGE, BENCH_SMALL, vps);
	if (!guest || row_start(b, guest))
		goto out;
	before = __rdtsc();
	for (i = 0; i < vps; i++) {
		args.first_gfn = FIRST / PAGE + (apart ? i * share : 0);
		args.pages = apart ? share : pages;
		args.stride = apart ? 1 : vps;
		args.offset = apart ? 0 : i;
		if (row_begins(b, guest, i, GUEST_COMMAND_STAMP, &args))
			goto out;
	}
	for (i = 0; i < vps; i++)
		if (row_waits(b, guest, i))
			goto out;
	took = __rdtsc() - before;
	if (row_stop(b, guest))
		goto out;
	row_put(b, "instructions", (int64_t)took);
	row_put(b, "pages-per-1e9-instructions", (int64_t)(pages * 1000000000 / took));
out:
	b->system->close(guest);
}

void row_parallel(struct bench *b)
{
	unsigned int vps;

	row_backing("2m");
	for (vps = 1; vps <= BENCH_VPS_MAX; vps *= 2) {
		together(b, vps, false);
		together(b, vps, true);
	}
}

/* ---- */

void row_instructions(struct bench *b)
{
	row_backing("2m");
	touch(b, "sequence", 1, false, false);
	touch(b, "sequence", 1, false, true);
	touch(b, "sequence", 1, true, false);
	touch(b, "sequence", 1, true, true);
	touch(b, "one per 2 MiB", BLOCK / PAGE, false, false);
	touch(b, "one per 2 MiB", BLOCK / PAGE, false, true);
	touch(b, "one per 2 MiB", BLOCK / PAGE, true, true);
	touch(b, "every 17th page", 17, false, false);
	touch(b, "every 17th page", 17, false, true);
	parts(b, "parts of a fault, sequence", 1, false, false);
	parts(b, "parts of a fault, sequence", 1, false, true);
	parts(b, "parts of a fault, one per 2 MiB", BLOCK / PAGE, false, false);
	parts(b, "parts of a fault, one per 2 MiB", BLOCK / PAGE, false, true);
	parts(b, "parts of a fault, one per 2 MiB", BLOCK / PAGE, true, true);
	parts(b, "parts of a fault, every 17th page", 17, false, true);
	echoes(b);
	create(b);
	ioctls(b, "ioctl that reads a register", true);
	ioctls(b, "ioctl that nobody knows", false);
	discards(b, true);
	discards(b, false);
}
