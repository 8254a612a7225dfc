// SPDX-License-Identifier: GPL-2.0-only
/*
 * A memory cgroup with fresh statistics: group.h.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <host.h>

#include "group.h"

static char group[128];
static pthread_t reader;
static atomic_bool reads;

static void file_of(char name[static 192], const char *file)
{
	snprintf(name, 192, "%s/%s", group, file);
}

static void *read_statistics(void *unused)
{
	char file[192];

	(void)unused;
	file_of(file, "memory.stat");
	while (atomic_load(&reads)) {
		host_stat(file, "anon");
		usleep(20000);
	}
	return NULL;
}

int group_enter(const char *path)
{
	char file[192];

	group_leave();
	snprintf(group, sizeof(group), "%s", path);
	file_of(file, "memory.max");
	rmdir(group);
	if (mkdir(group, 0755) || access(file, F_OK)) {
		group[0] = '\0';
		/* Somebody is in it still. */
		return errno == EEXIST ? -1 : 1;
	}
	file_of(file, "cgroup.procs");
	atomic_store(&reads, true);
	if (!host_write(file, "0")) {
		errno = pthread_create(&reader, NULL, read_statistics, NULL);
		if (!errno)
			return 0;
	}
	atomic_store(&reads, false);
	return -1;
}

void group_leave(void)
{
	char file[192];

	if (!group[0])
		return;
	if (atomic_exchange(&reads, false))
		pthread_join(reader, NULL);
	file_of(file, "memory.high");
	host_write(file, "max");
	file_of(file, "memory.max");
	host_write(file, "max");
	host_write("/sys/fs/cgroup/cgroup.procs", "0");
	rmdir(group);
	group[0] = '\0';
}
