// SPDX-License-Identifier: GPL-2.0-only
/* Cells, and guests that are measured: see row.h. */
#include <string.h>
#include <unistd.h>

#include "../vmm/demo/host.h"
#include "../vmm/lib/libmshv.h"
#include "row.h"

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

int row_does(struct bench *b, struct bench_guest *guest, enum guest_command command, uint64_t pages,
	     uint64_t stride, uint64_t seed, uint64_t version)
{
	const struct guest_mailbox args = {
		.first_gfn = FIRST / PAGE, .pages = pages, .stride = stride, .seed = seed, .rounds = 1,
		.version = version, .costs = GUEST_FREE,
	};
	int status = b->system->does(guest, command, &args);
	const volatile struct guest_mailbox *box =
		(const void *)(b->system->memory(guest) + GUEST_MAILBOX(0));

	if (status == GUEST_STATUS_MISMATCH)
		row_put(b, "wrong-stamps", (int64_t)box->errors);
	else if (status != GUEST_STATUS_OK)
		row_cannot(b, status < 0 ? mshv_error() : "the payload does not know the command");
	return status == GUEST_STATUS_OK ? 0 : -1;
}

uint64_t row_scaled(const struct bench *b, uint64_t bytes)
{
	return b->options->quick ? bytes / 16 : bytes;
}

struct bench_guest *row_guest(struct bench *b, uint64_t bytes, bool small)
{
	struct bench_guest *guest = b->system->open(FIRST + bytes, small);

	if (guest && !b->system->boot(guest))
		return guest;
	row_cannot(b, mshv_error());
	b->system->close(guest);
	return NULL;
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
