// SPDX-License-Identifier: GPL-2.0-only
/* What the verbs that show partitions share, see partitions.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "partitions.h"
#include "printable.h"

int look_read(const char *verb, uint64_t pid, struct look *look)
{
	char process[24] = "";

	look->count = stat_read((pid_t)pid, &look->partitions);
	if (look->count >= 0)
		return 0;
	look->count = 0;
	if (pid)
		snprintf(process, sizeof(process), "/%" PRIu64, pid);
	return cmd_error("%s: /proc%s: %s", verb, process, strerror(errno));
}

void look_free(struct look *look)
{
	stat_free(look->partitions, look->count);
	*look = (struct look){ 0 };
}

void partition_print_head(const struct stat_partition *p)
{
	printf("partition %" PRIu64 " (%s, pid %d, %s", p->id, printable(p->command), p->pid, printable(p->state));
}
