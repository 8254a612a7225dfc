// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* libmshv: what the driver counted for a VM of this process (docs/stats.md). Works on any hypervisor. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

int mshv_stat(struct mshv_vm *vm, const char *key, uint64_t *value)
{
	char path[64], name[64], line[1024];
	unsigned long long number;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", vm->fd);
	snprintf(name, sizeof(name), "mshv-%s:", key);
	f = fopen(path, "re");
	if (!f)
		return mshv_fail("%s", path);
	while (!found && fgets(line, sizeof(line), f))
		found = !strncmp(line, name, strlen(name)) &&
			sscanf(line + strlen(name), "%llu", &number) == 1;
	fclose(f);
	if (!found)
		return mshv_fail_because(ENOENT, "%s: no %s", path, name);
	*value = number;
	return 0;
}
