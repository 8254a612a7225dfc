// SPDX-License-Identifier: GPL-2.0-only
/*
 * See ageing.h.
 *
 * Sources: Documentation/admin-guide/mm/multigen_lru.rst, Documentation/admin-guide/mm/damon/usage.rst.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ageing.h"
#include "host.h"
#include "libmshv.h"

#define LRU	"/sys/kernel/debug/lru_gen"
#define DAMON	"/sys/kernel/mm/damon/admin/kdamonds/"
#define SCHEME	"0/contexts/0/schemes/0/"

/* ---- the multi-generation LRU ---- */

bool ageing_available(void)
{
	return !access(LRU, F_OK);
}

/* Of a group: its number, and for each node its youngest generation (@has: there is one). */
struct generations {
	unsigned int id;
	bool has[HOST_NODES_MAX];
	unsigned long youngest[HOST_NODES_MAX];
};

static int read_generations(const char *group, struct generations *g)
{
	unsigned int n, node = HOST_NODES_MAX;
	char line[256], path[128];
	bool mine = false, found = false;
	unsigned long number;
	FILE *f = fopen(LRU, "re");

	*g = (struct generations){ 0 };
	if (!f)
		return mshv_fail(LRU);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "memcg %u %127s", &n, path) == 2) {
			mine = path[0] == '/' && !strcmp(path + 1, group);
			if (mine)
				g->id = n;
		} else if (mine && sscanf(line, " node %u", &n) == 1) {
			node = n;
		} else if (mine && node < HOST_NODES_MAX && sscanf(line, " %lu", &number) == 1) {
			/* Oldest first. */
			g->youngest[node] = number;
			g->has[node] = found = true;
		}
	}
	fclose(f);
	return found ? 0 : mshv_fail_because(EINVAL, LRU ": no generations of %s", group);
}

/* One command for each node; @back: generations before the youngest. */
static int command(const char *group, char sign, unsigned long back, const char *rest)
{
	struct generations g;
	unsigned int node;
	char text[96];

	if (read_generations(group, &g))
		return -1;
	for (node = 0; node < HOST_NODES_MAX; node++) {
		if (!g.has[node] || g.youngest[node] < back)
			continue;
		snprintf(text, sizeof(text), "%c %u %u %lu %s", sign, g.id, node, g.youngest[node] - back, rest);
		if (host_write(LRU, text))
			return mshv_fail(LRU ": %s", text);
	}
	return 0;
}

int ageing_pass(const char *group)
{
	/* Pages that wait in lists of processors are in no generation. */
	sync();
	host_write("/proc/sys/vm/drop_caches", "1");
	return command(group, '+', 0, "200 1");
}

int ageing_evict(const char *group)
{
	return command(group, '-', 2, "200");
}

/* ---- DAMON ---- */

static int __attribute__((format(printf, 2, 3))) damon(const char *text, const char *format, ...)
{
	char path[256] = DAMON;
	va_list args;

	va_start(args, format);
	vsnprintf(path + strlen(DAMON), sizeof(path) - strlen(DAMON), format, args);
	va_end(args);
	return host_write(path, text) ? mshv_fail("%s", path) : 0;
}

static int damon_number(uint64_t value, const char *file, uint64_t i)
{
	char text[32], path[128];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	snprintf(path, sizeof(path), file, (unsigned long long)i);
	return damon(text, "%s", path);
}

static uint64_t damon_read(const char *file, unsigned int i)
{
	char path[256] = DAMON, line[64] = "";

	snprintf(path + strlen(DAMON), sizeof(path) - strlen(DAMON), SCHEME "tried_regions/%u/%s", i, file);
	return host_read(path, line, sizeof(line)) ? 0 : strtoull(line, NULL, 10);
}

bool damon_available(void)
{
	return !access(DAMON "nr_kdamonds", F_OK);
}

int damon_begin(const void *start, size_t size, size_t step)
{
	uint64_t regions = size / step, i;
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	/* Newer kernels watch themselves by default, and let nobody else meanwhile. */
	host_write("/sys/module/damon_stat/parameters/enabled", "N");
	/* A scheme that does nothing tells what is accessed. */
	if (damon("1", "nr_kdamonds") || damon("1", "0/contexts/nr_contexts") ||
	    damon("fvaddr", "0/contexts/0/operations") || damon("1", "0/contexts/0/targets/nr_targets") ||
	    damon(pid, "0/contexts/0/targets/0/pid_target") ||
	    damon_number(regions, "0/contexts/0/targets/0/regions/nr_regions", 0) ||
	    damon("20000", "0/contexts/0/monitoring_attrs/intervals/sample_us") ||
	    damon("400000", "0/contexts/0/monitoring_attrs/intervals/aggr_us") ||
	    damon_number(regions, "0/contexts/0/monitoring_attrs/nr_regions/min", 0) ||
	    damon_number(2 * regions, "0/contexts/0/monitoring_attrs/nr_regions/max", 0) ||
	    damon("1", "0/contexts/0/schemes/nr_schemes") || damon("stat", SCHEME "action") ||
	    damon("18446744073709551615", SCHEME "access_pattern/sz/max") ||
	    damon("1", SCHEME "access_pattern/nr_accesses/min") ||
	    damon("1000", SCHEME "access_pattern/nr_accesses/max") ||
	    damon("4294967295", SCHEME "access_pattern/age/max"))
		return -1;
	for (i = 0; i < regions; i++)
		if (damon_number((uintptr_t)start + i * step, "0/contexts/0/targets/0/regions/%llu/start", i) ||
		    damon_number((uintptr_t)start + (i + 1) * step, "0/contexts/0/targets/0/regions/%llu/end", i))
			return -1;
	return damon("on", "0/state");
}

int damon_found(const void *start, uint64_t hot, uint64_t *found, uint64_t *right)
{
	uint64_t first, end;
	unsigned int i;

	*found = *right = 0;
	if (damon("update_schemes_tried_regions", "0/state"))
		return -1;
	for (i = 0; (end = damon_read("end", i)); i++) {
		first = damon_read("start", i) - (uintptr_t)start;
		end -= (uintptr_t)start;
		*found += end - first;
		if (first < hot)
			*right += (end < hot ? end : hot) - first;
	}
	return 0;
}

void damon_end(void)
{
	host_write(DAMON "0/state", "off");
	host_write(DAMON "nr_kdamonds", "0");
}
