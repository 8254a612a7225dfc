// SPDX-License-Identifier: GPL-2.0-only
/* Reading a record, see samples.h. A line that is not what it should be ends it: a picture of half a file would lie. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cmd.h"
#include "samples.h"

#define PAGE	4096ull
/* Seconds: the first of year 10000, from the epoch or the record's start on. What is beyond no recorder has seen. */
#define TIME_MAX	253402300800.0

const char *const cause_names[CAUSES] = {
	[CAUSE_CLEAR] = "clear", [CAUSE_UNMAP] = "unmap", [CAUSE_PROTECT] = "protect",
	[CAUSE_MIGRATE] = "migrate", [CAUSE_RELEASE] = "release", [CAUSE_OTHER] = "other",
};

/* False: there is no such number, or it is below zero. */
static bool number(const json_t *of, const char *key, uint64_t *value)
{
	const json_t *n = json_object_get(of, key);

	if (!json_is_integer(n) || json_integer_value(n) < 0)
		return false;
	*value = (uint64_t)json_integer_value(n);
	return true;
}

/* The same for seconds, whole or not. */
static bool seconds(const json_t *of, const char *key, double *value)
{
	const json_t *n = json_object_get(of, key);

	*value = json_number_value(n);
	return json_is_number(n) && *value >= 0 && *value < TIME_MAX;
}

static const char *text(const json_t *of, const char *key)
{
	const char *value = json_string_value(json_object_get(of, key));

	return value ? value : "";
}

/* One more at the end of an array, zeroed; NULL without memory. */
static void *append(void **array, size_t *count, size_t size)
{
	char *grown = realloc(*array, (*count + 1) * size);

	if (!grown)
		return NULL;
	*array = grown;
	memset(grown + *count * size, 0, size);
	return grown + (*count)++ * size;
}

static struct guest_samples *find_guest(struct record *record, uint64_t partition, pid_t pid)
{
	struct guest_samples *g;

	for (size_t i = 0; i < record->count; i++)
		if (record->guests[i].partition == partition && record->guests[i].pid == pid)
			return &record->guests[i];
	g = append((void **)&record->guests, &record->count, sizeof(*g));
	if (g) {
		g->partition = partition;
		g->pid = pid;
	}
	return g;
}

static const char *read_parts(const json_t *pieces, struct sample *s)
{
	const json_t *piece, *count;
	size_t i, k;

	if (!json_is_array(pieces))
		return "\"accessed\" is no array";
	json_array_foreach(pieces, i, piece) {
		uint64_t address, size, part;

		if (!number(piece, "guest-address", &address) || !number(piece, "size", &size) ||
		    !number(piece, "part-size", &part) || !part)
			return "a piece of \"accessed\" lacks its address, size or part-size";
		json_array_foreach(json_object_get(piece, "pages"), k, count) {
			struct part *p = append((void **)&s->parts, &s->part_count, sizeof(*p));

			if (!p)
				return "no memory";
			/* No product here is more than @size, and none of the numbers more than half of what fits. */
			if (k >= (size + part - 1) / part)
				return "\"pages\" of \"accessed\" are more than there are parts";
			p->address = address + k * part;
			p->size = size - k * part < part ? size - k * part : part;
			if (!json_is_integer(count) || json_integer_value(count) < 0 ||
			    (uint64_t)json_integer_value(count) > p->size / PAGE)
				return "\"pages\" of \"accessed\" are no counts, or more than a part has";
			p->used = (uint64_t)json_integer_value(count) * PAGE;
		}
	}
	return NULL;
}

/* What is wrong with it, or NULL. */
static const char *read_sample(struct record *record, const json_t *line)
{
	const json_t *counters = json_object_get(line, "counters"), *accessed = json_object_get(line, "accessed");
	uint64_t partition, pid, deposited, rest;
	double time;
	struct guest_samples *g;
	struct sample *s;
	char key[40];

	if (!seconds(line, "time", &time) || !number(line, "partition", &partition) ||
	    !number(line, "pid", &pid) || pid > INT32_MAX || !json_is_object(counters))
		return "a sample without time, partition, pid or counters";
	g = find_guest(record, partition, (pid_t)pid);
	s = g ? append((void **)&g->samples, &g->count, sizeof(*s)) : NULL;
	if (!s)
		return "no memory";
	snprintf(g->command, sizeof(g->command), "%s", text(line, "command"));
	snprintf(g->state, sizeof(g->state), "%s", text(line, "state"));
	s->time = time;
	if (g->count > 1 && s->time < s[-1].time)
		return "a sample that is older than the one before";
	if (!number(line, "memory", &s->memory))
		return "a sample without its memory";
	rest = s->memory;
	for (int state = 0; state < PAGE_STATES; state++) {
		if (!number(line, page_state_names[state], &s->pages[state]))
			return "a sample without its absent, small, large, swapped or shared pages";
		if (s->pages[state] > rest)
			return "a sample with more pages than memory";
		rest -= s->pages[state];
	}
	for (int cause = 0; cause < CAUSES; cause++) {
		snprintf(key, sizeof(key), "invalidations-%s", cause_names[cause]);
		if (!number(counters, key, &s->cause[cause]))
			return "a sample without its invalidations";
		if (g->count > 1 && s->cause[cause] < s[-1].cause[cause])
			return "a sample with fewer invalidations than the one before";
	}
	if (!number(counters, "deposited-pages", &deposited) || deposited > INT64_MAX / PAGE)
		return "a sample without its deposited-pages";
	s->deposited = deposited * PAGE;
	return accessed ? read_parts(accessed, s) : NULL;
}

static const char *read_head(struct record *record, const json_t *line)
{
	uint64_t version;

	if (!number(line, "mshv-record", &version))
		return "not a file of mshv record";
	if (version != 1)
		return "a record of a newer mshv";
	if (!seconds(line, "start", &record->start))
		return "a head without its start, or one that is no time";
	if (!seconds(line, "interval", &record->interval) || record->interval <= 0)
		return "a head without its interval";
	return NULL;
}

static const char *read_line(struct record *record, const char *text, size_t size, unsigned int line)
{
	json_error_t error;
	json_t *value;
	const char *wrong;

	value = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	if (!value) {
		/* The recorder was killed while it wrote. */
		record->cut = line > 1 && text[size - 1] != '\n';
		return record->cut ? NULL : "not JSON";
	}
	wrong = line == 1 ? read_head(record, value) : read_sample(record, value);
	json_decref(value);
	return wrong;
}

int record_read(const char *name, struct record *record)
{
	FILE *from = strcmp(name, "-") ? fopen(name, "re") : stdin;
	const char *wrong = NULL;
	unsigned int line = 0;
	char *text = NULL;
	size_t room = 0;
	ssize_t size;
	int ret = 0;

	memset(record, 0, sizeof(*record));
	if (!from)
		return cmd_error("report: %s: %s", name, strerror(errno));
	while (!wrong && (size = getline(&text, &room, from)) > 0)
		wrong = read_line(record, text, (size_t)size, ++line);
	if (wrong)
		ret = cmd_error("report: %s:%u: %s", name, line, wrong);
	else if (ferror(from))
		ret = cmd_error("report: %s: %s", name, strerror(errno));
	else if (!line)
		ret = cmd_error("report: %s: empty", name);
	free(text);
	if (from != stdin)
		fclose(from);
	if (ret)
		record_free(record);
	return ret;
}

void record_free(struct record *record)
{
	for (size_t g = 0; g < record->count; g++) {
		for (size_t s = 0; s < record->guests[g].count; s++)
			free(record->guests[g].samples[s].parts);
		free(record->guests[g].samples);
	}
	free(record->guests);
	memset(record, 0, sizeof(*record));
}
