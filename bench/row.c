// SPDX-License-Identifier: GPL-2.0-only
/* Cells, and guests that are measured: see row.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../vmm/demo/host.h"
#include "../vmm/lib/libmshv.h"
#include "row.h"

#define GROUP	"/sys/fs/cgroup/" ROW_GROUP
#define THP	"/sys/kernel/mm/transparent_hugepage/"

void row_begin(struct bench *b, const char *row, const char *what)
{
	b->cell = json_pack("{s:s, s:s}", "row", row, "what", what);
	json_array_append_new(b->results, b->cell);
	fprintf(stderr, "%s %s\n", row, what);
}

void row_put(struct bench *b, const char *key, int64_t value)
{
	json_object_set_new(b->cell, key, json_integer(value));
}

void row_put_text(struct bench *b, const char *key, const char *text)
{
	json_object_set_new(b->cell, key, json_string(text));
}

void row_cannot(struct bench *b, const char *why)
{
	if (!json_object_get(b->cell, "cannot"))
		row_put_text(b, "cannot", why);
}

int row_start(struct bench *b, struct bench_guest *guest)
{
	if (b->system->count(guest, &b->before)) {
		row_cannot(b, mshv_error());
		return -1;
	}
	return 0;
}

void row_put_counts(struct bench *b, const struct bench_counts *after)
{
	static const char *const keys[BENCH_COUNT_MAX] = {
#define X(name, key) [BENCH_##name] = key,
		BENCH_COUNTS(X)
#undef X
	};
	unsigned int i;

	for (i = 0; i < BENCH_COUNT_MAX; i++)
		if (after->has[i])
			row_put(b, keys[i], after->value[i] - (b->before.has[i] ? b->before.value[i] : 0));
}

int row_stop(struct bench *b, struct bench_guest *guest)
{
	struct bench_counts after;

	if (b->system->count(guest, &after)) {
		row_cannot(b, mshv_error());
		return -1;
	}
	row_put_counts(b, &after);
	return 0;
}

int row_begins(struct bench *b, struct bench_guest *guest, unsigned int vp, enum guest_command command,
	       const struct guest_mailbox *args)
{
	if (!b->system->begin(guest, vp, command, args))
		return 0;
	row_cannot(b, mshv_error());
	return -1;
}

int row_waits(struct bench *b, struct bench_guest *guest, unsigned int vp)
{
	int status = b->system->wait(guest, vp);
	const volatile struct guest_mailbox *box = (const void *)(b->system->memory(guest) + GUEST_MAILBOX(vp));

	if (status == GUEST_STATUS_MISMATCH)
		row_put(b, "wrong-stamps", (int64_t)box->errors);
	else if (status != GUEST_STATUS_OK)
		row_cannot(b, status < 0 ? mshv_error() : "the payload does not know the command");
	return status == GUEST_STATUS_OK ? 0 : -1;
}

int row_does(struct bench *b, struct bench_guest *guest, enum guest_command command, uint64_t pages,
	     uint64_t stride, uint64_t seed, uint64_t version)
{
	const struct guest_mailbox args = {
		.first_gfn = FIRST / PAGE, .pages = pages, .stride = stride, .seed = seed, .rounds = 1,
		.version = version, .costs = GUEST_FREE,
	};

	return row_begins(b, guest, 0, command, &args) ? -1 : row_waits(b, guest, 0);
}

void row_apart(struct bench *b, void (*run)(struct bench *b, const void *arg), const void *arg)
{
	json_t *cell;
	int pipes[2];
	pid_t child;
	FILE *in;

	if (pipe(pipes) || (child = fork()) < 0) {
		row_cannot(b, strerror(errno));
		return;
	}
	if (!child) {
		FILE *out = fdopen(pipes[1], "w");

		/* Whoever has to go when there is no memory, it is this one: nothing else was to be measured by its end. */
		host_write("/proc/self/oom_score_adj", "1000");
		run(b, arg);
		_exit(!out || json_dumpf(b->cell, out, 0) || fclose(out));
	}
	close(pipes[1]);
	in = fdopen(pipes[0], "r");
	cell = in ? json_loadf(in, 0, NULL) : NULL;
	if (in)
		fclose(in);
	if (cell)
		json_object_update(b->cell, cell);
	else
		row_cannot(b, "killed: no memory for it");
	json_decref(cell);
	waitpid(child, NULL, 0);
}

int row_enter_group(struct bench *b)
{
	if (!host_enter_cgroup(ROW_GROUP) && !row_limit_group(b, UINT64_MAX))
		return 0;
	row_cannot(b, mshv_error());
	return -1;
}

int row_limit_group(struct bench *b, uint64_t max)
{
	char text[32] = "max";

	if (max != UINT64_MAX)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)max);
	if (!host_write(GROUP "/memory.max", text))
		return 0;
	row_cannot(b, "no limit for memory");
	return -1;
}

uint64_t row_group_stat(const char *name)
{
	char line[64];

	if (name)
		return host_stat(GROUP "/memory.stat", name);
	return host_read(GROUP "/memory.current", line, sizeof(line)) ? 0 : strtoull(line, NULL, 10);
}

void row_leave_group(void)
{
	host_write(GROUP "/memory.max", "max");
	host_write("/sys/fs/cgroup/cgroup.procs", "0");
	rmdir(GROUP);
}

int row_all_out(uint8_t *memory, uint64_t bytes)
{
	struct host_pages pages;
	unsigned int tries;

	/* What was written to swap goes when it is clean. */
	for (tries = 0; tries < 50; tries++) {
		if (host_page_out(memory, bytes) || host_count_pages(memory, bytes, false, &pages))
			return -1;
		if (pages.present <= bytes / PAGE / 100)
			return 0;
		usleep(20000);
	}
	errno = EBUSY;
	return -1;
}

uint64_t row_scaled(const struct bench *b, uint64_t bytes)
{
	return b->options->quick ? bytes / 16 : bytes;
}

struct bench_guest *row_guest_of(struct bench *b, uint64_t bytes, enum bench_pages pages, unsigned int vps)
{
	uint64_t size = FIRST + bytes;
	struct bench_guest *guest;

	if (pages == BENCH_GIGANTIC)
		size = (size + GIB - 1) / GIB * GIB;
	guest = b->system->open(size, pages, vps);
	if (guest && !b->system->boot(guest))
		return guest;
	row_cannot(b, mshv_error());
	b->system->close(guest);
	return NULL;
}

struct bench_guest *row_guest(struct bench *b, uint64_t bytes, enum bench_pages pages)
{
	return row_guest_of(b, bytes, pages, 1);
}

int row_backing(const char *backing)
{
	bool middle = !strcmp(backing, "64k");

	if (access(THP "hugepages-64kB/enabled", F_OK))
		return middle ? -1 : 0;
	if (host_write(THP "hugepages-64kB/enabled", middle ? "always" : "never"))
		return -1;
	return host_write(THP "hugepages-2048kB/enabled", middle ? "never" : "inherit");
}
