// SPDX-License-Identifier: GPL-2.0-only
/* Statistics from /proc/PID/fdinfo: see fdinfo.h. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fdinfo.h"

#define LINK_NAME "anon_inode:mshv_partition"

static void *grow(void *array, unsigned int count, size_t size)
{
	/* Doubles at powers of two, and begins with one. */
	if (count & (count - 1))
		return array;
	array = realloc(array, (count ? 2 * count : 1) * size);
	if (!array) {
		perror("mshv: memory");
		exit(1);
	}
	return array;
}

static void add_value(struct stat_value **values, unsigned int *count, const char *key,
		      uint64_t value)
{
	*values = grow(*values, *count, sizeof(**values));
	snprintf((*values)[*count].key, sizeof((*values)[0].key), "%s", key);
	(*values)[*count].value = value;
	(*count)++;
}

static void parse_region(struct stat_partition *p, char *text)
{
	struct stat_region *r;
	char *word, *save = NULL;

	p->regions = grow(p->regions, p->region_count, sizeof(*p->regions));
	r = &p->regions[p->region_count++];
	memset(r, 0, sizeof(*r));
	for (word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		char *value = strchr(word, '=');

		if (!value)
			continue;
		*value++ = '\0';
		if (!strcmp(word, "kind"))
			snprintf(r->kind, sizeof(r->kind), "%s", value);
		else if (!strcmp(word, "rights"))
			snprintf(r->rights, sizeof(r->rights), "%s", value);
		else if (!strcmp(word, "gfn"))
			r->gfn = strtoull(value, NULL, 0);
		else if (!strcmp(word, "pages"))
			r->pages = strtoull(value, NULL, 0);
		else if (!strcmp(word, "hva"))
			r->hva = strtoull(value, NULL, 0);
		else
			add_value(&r->values, &r->count, word, strtoull(value, NULL, 0));
	}
}

static void parse_line(struct stat_partition *p, char *line)
{
	char *value = strchr(line, ':');

	if (strncmp(line, "mshv-", 5) || !value)
		return;
	*value++ = '\0';
	value += strspn(value, " \t");
	value[strcspn(value, "\n")] = '\0';
	line += 5;
	if (!strcmp(line, "partition"))
		p->id = strtoull(value, NULL, 0);
	else if (!strcmp(line, "state"))
		snprintf(p->state, sizeof(p->state), "%s", value);
	else if (!strcmp(line, "region"))
		parse_region(p, value);
	else
		add_value(&p->values, &p->count, line, strtoull(value, NULL, 0));
}

static void read_command(struct stat_partition *p)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", p->pid);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(p->command, sizeof(p->command), f))
		p->command[strcspn(p->command, "\n")] = '\0';
	fclose(f);
}

/* Returns false if the descriptor went away, or its partition is known already. */
static bool read_partition(struct stat_partition *p, pid_t pid, const char *fd,
			   const struct stat_partition *known, int count)
{
	char path[300], *line = NULL;
	size_t size = 0;
	FILE *f;

	memset(p, 0, sizeof(*p));
	p->pid = pid;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, fd);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (getline(&line, &size, f) > 0)
		parse_line(p, line);
	free(line);
	fclose(f);
	for (int i = 0; i < count; i++)
		if (known[i].id == p->id)
			p->id = 0;
	if (!p->id) {
		stat_free(p, -1);
		return false;
	}
	read_command(p);
	return true;
}

static int read_process(pid_t pid, struct stat_partition **partitions, int count)
{
	char path[300], link[64];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return -1;
	while ((e = readdir(dir))) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, e->d_name);
		n = readlink(path, link, sizeof(link) - 1);
		if (n < 0)
			continue;
		link[n] = '\0';
		if (strcmp(link, LINK_NAME))
			continue;
		*partitions = grow(*partitions, (unsigned int)count, sizeof(**partitions));
		if (read_partition(&(*partitions)[count], pid, e->d_name, *partitions, count))
			count++;
	}
	closedir(dir);
	return count;
}

int stat_read(pid_t pid, struct stat_partition **partitions)
{
	int count = 0, found;
	struct dirent *e;
	DIR *dir;

	*partitions = NULL;
	if (pid)
		return read_process(pid, partitions, 0);
	dir = opendir("/proc");
	if (!dir)
		return -1;
	while ((e = readdir(dir))) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		found = read_process(atoi(e->d_name), partitions, count);
		if (found >= 0)
			count = found;
	}
	closedir(dir);
	return count;
}

struct stat_memory stat_process_memory(pid_t pid)
{
	struct stat_memory memory = { 0 };
	char name[64], line[256];
	uint64_t kib;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/status", (int)pid);
	f = fopen(name, "re");
	if (!f)
		return memory;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "VmRSS: %" SCNu64, &kib) == 1) {
			memory.resident = kib * 1024;
			memory.known = true;
		} else if (sscanf(line, "VmSwap: %" SCNu64, &kib) == 1) {
			memory.swapped = kib * 1024;
		}
	}
	fclose(f);
	return memory;
}

struct stat_driver stat_driver(void)
{
	struct stat_driver driver = { 0 };
	FILE *f = fopen("/sys/class/misc/mshv/partitions_killed", "re");

	if (!f)
		return driver;
	driver.known = fscanf(f, "%" SCNu64, &driver.killed) == 1;
	fclose(f);
	return driver;
}

bool stat_process_ended(pid_t pid)
{
	char name[64], line[256], state = 'X';
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/status", (int)pid);
	f = fopen(name, "re");
	if (!f)
		return true;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "State: %c", &state) == 1)
			break;
	fclose(f);
	return state == 'Z' || state == 'X';
}

/* @count -1: one that is no array of its own. */
void stat_free(struct stat_partition *partitions, int count)
{
	for (int i = 0; i < (count < 0 ? 1 : count); i++) {
		struct stat_partition *p = &partitions[i];

		for (unsigned int r = 0; r < p->region_count; r++)
			free(p->regions[r].values);
		free(p->regions);
		free(p->values);
	}
	if (count >= 0)
		free(partitions);
}

bool stat_find(const struct stat_value *values, unsigned int count, const char *key, uint64_t *value)
{
	for (unsigned int i = 0; i < count; i++)
		if (!strcmp(values[i].key, key)) {
			*value = values[i].value;
			return true;
		}
	return false;
}

uint64_t stat_value(const struct stat_value *values, unsigned int count, const char *key)
{
	uint64_t value;

	return stat_find(values, count, key, &value) ? value : 0;
}

uint64_t stat_sum(const struct stat_partition *p, const struct stat_column *column)
{
	uint64_t sum = 0;

	for (size_t k = 0; k < sizeof(column->keys) / sizeof(column->keys[0]) && column->keys[k]; k++)
		sum += stat_value(p->values, p->count, column->keys[k]);
	return sum;
}

uint64_t stat_happened(const struct stat_partition *p, const struct stat_column *column,
		       const struct stat_partition *before, int count)
{
	uint64_t now = stat_sum(p, column), then = 0;

	for (int i = 0; i < count; i++)
		if (before[i].id == p->id && before[i].pid == p->pid)
			then = stat_sum(&before[i], column);
	return now >= then ? now - then : now;
}
