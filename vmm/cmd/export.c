// SPDX-License-Identifier: GPL-2.0-only
/*
 * mshv stat --openmetrics: the text on standard output; and --http: one request from standard input and its answer, for a
 * socket that systemd hands over (contrib/systemd). No connection is kept, and nobody can make it wait: a request
 * that is not there in some seconds has come to its end.
 */
#include <errno.h>
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

/* A process that has several partitions is looked at once. */
static struct stat_memory process_of(const struct stat_partition *partitions, const struct stat_memory *memory, int i)
{
	for (int before = 0; before < i; before++)
		if (partitions[before].pid == partitions[i].pid)
			return memory[before];
	return stat_process_memory(partitions[i].pid);
}

/* The text; NULL with errno. */
static char *make_text(pid_t pid, size_t *size)
{
	struct stat_driver driver = stat_driver();
	struct stat_memory *processes;
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
			processes[i] = process_of(partitions, processes, i);
		openmetrics_print(to, &driver, partitions, count, processes);
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
	bool head_only;
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
	head_only = got >= 5 && !memcmp(head, "HEAD ", 5);
	printf("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n", status, reason,
	       text ? OPENMETRICS_TYPE : "text/plain", text ? size : strlen(reason) + 1,
	       status == 405 ? "Allow: GET, HEAD\r\n" : "");
	if (text && !head_only)
		fwrite(text, 1, size, stdout);
	else if (!head_only)
		printf("%s\n", reason);
	free(text);
	/* Who asked has got the answer: for the unit that is no failure. */
	return 0;
}
