// SPDX-License-Identifier: GPL-2.0-only
/*
 * mshv stat --openmetrics: the text on standard output; and --http: one request from standard input and its answer, for a
 * socket that systemd hands over (contrib/systemd). No connection is kept, and nobody can make it wait: a request
 * that is not there in some seconds has come to its end.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "export.h"
#include "openmetrics.h"

#define HEAD_MAX	8192u
#define HEAD_SECONDS	5

/* Unknown, if it may not be known. */
static struct openmetrics_process read_process(pid_t pid)
{
	struct openmetrics_process process = { 0 };
	char name[64], line[256];
	uint64_t kib;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(name, "re");
	if (!f)
		return process;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Rss: %" SCNu64, &kib) == 1) {
			process.resident = kib * 1024;
			process.known = true;
		} else if (sscanf(line, "Swap: %" SCNu64, &kib) == 1) {
			process.swapped = kib * 1024;
		}
	}
	fclose(f);
	return process;
}

/* The text; NULL with errno. */
static char *make_text(pid_t pid, size_t *size)
{
	struct openmetrics_process *processes;
	struct stat_partition *partitions;
	int count = stat_read(pid, &partitions);
	char *text = NULL;
	FILE *to;

	if (count < 0)
		return NULL;
	processes = calloc((size_t)count + 1, sizeof(*processes));
	to = processes ? open_memstream(&text, size) : NULL;
	if (to) {
		for (int i = 0; i < count; i++)
			processes[i] = read_process(partitions[i].pid);
		openmetrics_print(to, partitions, count, processes);
		if (fclose(to)) {
			free(text);
			text = NULL;
		}
	}
	free(processes);
	stat_free(partitions, count);
	return text;
}

int export_text(pid_t pid)
{
	size_t size;
	char *text = make_text(pid, &size);

	if (!text)
		return cmd_error("stat: /proc/%d: %s", (int)pid, strerror(errno));
	fwrite(text, 1, size, stdout);
	free(text);
	return 0;
}

static bool is_whole(const char *head, size_t size)
{
	return memmem(head, size, "\r\n\r\n", 4) || memmem(head, size, "\n\n", 2);
}

/* What comes until the empty line, the end, or the last moment. */
static size_t read_head(char *head)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	time_t end = time(NULL) + HEAD_SECONDS;
	size_t size = 0;
	ssize_t got;

	while (size < HEAD_MAX && !is_whole(head, size)) {
		time_t left = end - time(NULL);

		if (left <= 0 || poll(&in, 1, (int)left * 1000) <= 0)
			break;
		got = read(STDIN_FILENO, head + size, HEAD_MAX - size);
		if (got <= 0)
			break;
		size += (size_t)got;
	}
	return size;
}

int export_http(pid_t pid, bool there)
{
	char *text = NULL, head[HEAD_MAX];
	size_t got = read_head(head), size = 0;
	const char *reason;
	int status = is_whole(head, got) ? openmetrics_request(head, got, &reason) :
					   (reason = "Bad Request", 400);

	if (status == 200 && !there) {
		status = 503;
		reason = "Service Unavailable";
	} else if (status == 200) {
		text = make_text(pid, &size);
		if (!text) {
			status = 500;
			reason = "Internal Server Error";
		}
	}
	printf("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n", status, reason,
	       text ? OPENMETRICS_TYPE : "text/plain", text ? size : strlen(reason) + 1,
	       status == 405 ? "Allow: GET\r\n" : "");
	if (text)
		fwrite(text, 1, size, stdout);
	else
		printf("%s\n", reason);
	free(text);
	/* Who asked has got the answer: for the unit that is no failure. */
	return 0;
}
