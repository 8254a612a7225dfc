// SPDX-License-Identifier: GPL-2.0-only
/* Statistics as OpenMetrics text, see openmetrics.h. The table below is all there is of names. */
#include <inttypes.h>
#include <string.h>

#include "openmetrics.h"

#define PAGE		UINT64_C(4096)
#define BLOCK		(512 * PAGE)
#define SERIES_MAX	10

/* One counter of the driver as a sample: @key times @scale, with a label @value. */
struct series {
	const char *key;
	const char *value;	/* of the family's label; NULL if it has none */
};

static const struct family {
	const char *name;	/* without "mshv_"; its end is the unit, if it has one */
	const char *type;
	const char *unit;
	const char *help;
	const char *label;
	uint64_t scale;
	bool of_regions;	/* the sum over the regions, not of the partition */
	struct series series[SERIES_MAX];
} families[] = {
	{ "deposited_bytes", "gauge", "bytes", "Memory lent to the hypervisor for this partition.",
	  NULL, PAGE, false, { { "deposited-pages", NULL } } },
	{ "ageing", "gauge", NULL, "1 if Linux is told which pages the guest uses.",
	  NULL, 1, false, { { "ageing", NULL } } },
	{ "isolated", "gauge", NULL, "1 if the guest has its memory for itself.",
	  NULL, 1, false, { { "isolated", NULL } } },
	{ "blocks", "gauge", NULL, "Ranges of 2 MiB that are mapped, as one or by pages of 4 KiB.",
	  "map", 1, true, { { "blocks-large", "large" }, { "blocks-small", "small" } } },
	{ "mapped_large_bytes", "gauge", "bytes", "Memory that is mapped by maps of 2 MiB.",
	  NULL, BLOCK, true, { { "blocks-large", NULL } } },
	{ "faults", "counter", NULL, "Guest faults in a region, by how they ended.", "result", 1, false, {
		{ "faults-served", "served" },
		{ "faults-left-to-vmm", "left_to_vmm" },
		{ "faults-ended-by-signal", "signal" },
		{ "faults-without-page", "no_page" },
		{ "faults-on-poison", "poison" },
		{ "faults-without-memory", "no_memory" },
	} },
	{ "fault_retries", "counter", NULL, "Looks beyond a fault's first.",
	  NULL, 1, false, { { "fault-retries", NULL } } },
	{ "mapped_bytes", "counter", "bytes", "Memory mapped by faults.", "map", PAGE, false, {
		{ "pages-mapped-small", "small" },
		{ "pages-mapped-large", "large" },
	} },
	{ "taken_bytes", "counter", "bytes", "Memory that Linux took away from the guest by invalidations.",
	  NULL, PAGE, false, { { "pages-taken-away", NULL } } },
	{ "invalidations", "counter", NULL, "Invalidations, by what Linux was doing.", "cause", 1, false, {
		{ "invalidations-unmap", "unmap" },
		{ "invalidations-clear", "clear" },
		{ "invalidations-protect", "protect" },
		{ "invalidations-migrate", "migrate" },
		{ "invalidations-release", "release" },
		{ "invalidations-other", "other" },
	} },
	{ "invalidations_of_nothing", "counter", NULL, "Invalidations that found nothing mapped.",
	  NULL, 1, false, { { "invalidations-of-nothing", NULL } } },
	{ "age_questions", "counter", NULL, "How often Linux asked whether a page is in use.",
	  NULL, 1, false, { { "age-questions", NULL } } },
	{ "age_young", "counter", NULL, "How often it was told that it is.",
	  NULL, 1, false, { { "age-young", NULL } } },
	{ "age_withheld_bytes", "counter", "bytes", "Memory that Linux was told is old because it has to find some that is.",
	  NULL, PAGE, false, { { "age-withheld", NULL } } },
	{ "age_refused", "counter", NULL, "Questions for access bits that the hypervisor refused.",
	  NULL, 1, false, { { "age-refused", NULL } } },
	{ "hypercalls", "counter", NULL, "Hypercalls.", "call", 1, false, {
		{ "map-calls", "map" },
		{ "blank-calls", "blank" },
		{ "unmap-calls", "unmap" },
		{ "age-calls", "age" },
	} },
	{ "hypercall_repetitions", "counter", NULL, "Pages or blocks that the hypercalls were for.", "call", 1, false, {
		{ "map-reps", "map" },
		{ "blank-reps", "blank" },
		{ "unmap-reps", "unmap" },
	} },
};

#define FAMILIES	(sizeof(families) / sizeof(families[0]))

static void print_head(FILE *to, const char *name, const char *type, const char *unit, const char *help)
{
	fprintf(to, "# TYPE mshv_%s %s\n", name, type);
	if (unit)
		fprintf(to, "# UNIT mshv_%s %s\n", name, unit);
	fprintf(to, "# HELP mshv_%s %s\n", name, help);
}

/* A label's value: a quote, a backslash and a line's end are escaped; what is no ASCII may be no UTF-8 either. */
static void print_value(FILE *to, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(to, "\\%c", *text);
		else if (*text == '\n')
			fputs("\\n", to);
		else
			fputc(*text & 0x80 ? '?' : *text, to);
	}
}

/* The sample's name and labels; what is behind the number comes from the caller. */
static void print_sample(FILE *to, const char *name, const char *suffix, const struct stat_partition *p,
			 const char *label, const char *value)
{
	fprintf(to, "mshv_%s%s{partition=\"%" PRIu64 "\",pid=\"%d\"", name, suffix, p->id, p->pid);
	if (label) {
		fprintf(to, ",%s=\"", label);
		print_value(to, value);
		fputc('"', to);
	}
	fputs("} ", to);
}

/* False: the driver does not count that, which is no zero. */
static bool number_of(const struct family *f, const struct series *s, const struct stat_partition *p, uint64_t *number)
{
	uint64_t value;

	if (!f->of_regions) {
		if (!stat_find(p->values, p->count, s->key, &value))
			return false;
		*number = value * f->scale;
		return true;
	}
	*number = 0;
	for (unsigned int i = 0; i < p->region_count; i++) {
		if (!stat_find(p->regions[i].values, p->regions[i].count, s->key, &value))
			return false;
		*number += value * f->scale;
	}
	return true;
}

static void print_family(FILE *to, const struct family *f, const struct stat_partition *partitions, int count)
{
	const char *suffix = strcmp(f->type, "counter") ? "" : "_total";

	print_head(to, f->name, f->type, f->unit, f->help);
	for (int i = 0; i < count; i++)
		for (const struct series *s = f->series; s < f->series + SERIES_MAX && s->key; s++) {
			uint64_t number;

			if (!number_of(f, s, &partitions[i], &number))
				continue;
			print_sample(to, f->name, suffix, &partitions[i], f->label, s->value);
			fprintf(to, "%" PRIu64 "\n", number);
		}
}

/* ---- what is no counter of the driver ---- */

static void print_driver(FILE *to, const struct stat_driver *driver)
{
	print_head(to, "partitions_killed", "counter", NULL,
		   "Partitions killed since the module was loaded, because the hypervisor did not give a page back.");
	if (driver->known)
		fprintf(to, "mshv_partitions_killed_total %" PRIu64 "\n", driver->killed);
}

static void print_partitions(FILE *to, const struct stat_partition *partitions, int count)
{
	static const char *const states[] = { "created", "active", "dead" };

	print_head(to, "partitions", "gauge", NULL, "Partitions that are seen.");
	fprintf(to, "mshv_partitions %d\n", count);
	print_head(to, "partition", "info", NULL, "Which process a partition is of.");
	for (int i = 0; i < count; i++) {
		print_sample(to, "partition", "_info", &partitions[i], "command", partitions[i].command);
		fputs("1\n", to);
	}
	print_head(to, "partition_state", "stateset", NULL,
		   "What a partition is; dead: killed, because the hypervisor did not give a page back.");
	for (int i = 0; i < count; i++)
		for (size_t s = 0; s < sizeof(states) / sizeof(states[0]); s++) {
			print_sample(to, "partition_state", "", &partitions[i], "mshv_partition_state", states[s]);
			fprintf(to, "%d\n", !strcmp(partitions[i].state, states[s]));
		}
}

static void print_memory(FILE *to, const struct stat_partition *partitions, int count,
			 const struct stat_memory *processes)
{
	static const char *const kinds[] = { "movable", "pinned" };

	print_head(to, "memory_bytes", "gauge", "bytes", "Size of the guest's memory regions, by kind.");
	for (int i = 0; i < count; i++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
			const struct stat_partition *p = &partitions[i];
			uint64_t pages = 0;

			for (unsigned int r = 0; r < p->region_count; r++)
				if (!strcmp(p->regions[r].kind, kinds[k]))
					pages += p->regions[r].pages;
			print_sample(to, "memory_bytes", "", p, "kind", kinds[k]);
			fprintf(to, "%" PRIu64 "\n", pages * PAGE);
		}
	print_head(to, "vmm_resident_bytes", "gauge", "bytes", "Memory that the VMM's process has, its guest's included.");
	for (int i = 0; i < count; i++)
		if (processes[i].known) {
			print_sample(to, "vmm_resident_bytes", "", &partitions[i], NULL, NULL);
			fprintf(to, "%" PRIu64 "\n", processes[i].resident);
		}
	print_head(to, "vmm_swapped_bytes", "gauge", "bytes", "Memory of the VMM's process that is in swap.");
	for (int i = 0; i < count; i++)
		if (processes[i].known) {
			print_sample(to, "vmm_swapped_bytes", "", &partitions[i], NULL, NULL);
			fprintf(to, "%" PRIu64 "\n", processes[i].swapped);
		}
}

static bool is_known(const char *key)
{
	for (size_t f = 0; f < FAMILIES; f++)
		for (const struct series *s = families[f].series; s < families[f].series + SERIES_MAX && s->key; s++)
			if (!families[f].of_regions && !strcmp(s->key, key))
				return true;
	return false;
}

static void print_other(FILE *to, const struct stat_partition *partitions, int count)
{
	print_head(to, "other", "unknown", NULL, "Statistics of a driver that is newer than this program, by key.");
	for (int i = 0; i < count; i++)
		for (unsigned int v = 0; v < partitions[i].count; v++)
			if (!is_known(partitions[i].values[v].key)) {
				print_sample(to, "other", "", &partitions[i], "key", partitions[i].values[v].key);
				fprintf(to, "%" PRIu64 "\n", partitions[i].values[v].value);
			}
}

void openmetrics_print(FILE *to, const struct stat_driver *driver, const struct stat_partition *partitions, int count,
		       const struct stat_memory *processes)
{
	print_driver(to, driver);
	print_partitions(to, partitions, count);
	print_memory(to, partitions, count, processes);
	for (size_t f = 0; f < FAMILIES; f++)
		print_family(to, &families[f], partitions, count);
	print_other(to, partitions, count);
	fputs("# EOF\n", to);
}

/* ---- transport ---- */

int openmetrics_request(const char *head, size_t size, const char **reason)
{
	char line[4096], method[16], path[4096];
	const char *end = memchr(head, '\n', size);
	size_t length = end ? (size_t)(end - head) : size;
	int used = 0;

	*reason = "Bad Request";
	if (!end || length >= sizeof(line) || memchr(head, 0, length))
		return 400;
	memcpy(line, head, length);
	line[length] = '\0';
	if (sscanf(line, "%15[A-Z] %4095[^ \r] HTTP/1.%*1[01]%n", method, path, &used) != 2 || !used ||
	    line[used + strspn(line + used, "\r")])
		return 400;
	path[strcspn(path, "?")] = '\0';
	if (strcmp(method, "GET") && strcmp(method, "HEAD")) {
		*reason = "Method Not Allowed";
		return 405;
	}
	if (strcmp(path, "/metrics")) {
		*reason = "Not Found";
		return 404;
	}
	*reason = "OK";
	return 200;
}
