// SPDX-License-Identifier: GPL-2.0-only
/* Talking to a running guest, see client.h. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "cmd.h"
#include "linux/control.h"

#define ANSWER_MAX	65536u
#define SUFFIX		".sock"

/* @seconds 0: at once or not at all. */
static int connect_to(const char *path, unsigned int seconds, pid_t *pid)
{
	const struct timeval patience = { .tv_sec = seconds };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (seconds ? 0 : SOCK_NONBLOCK), 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size)) {
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	if (pid)
		*pid = peer.pid;
	return fd;
}

int client_peer(const char *path, pid_t *pid)
{
	int fd = connect_to(path, 0, pid);

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One line, until @end. */
static json_t *hear(int fd, int64_t end)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	char *line = malloc(ANSWER_MAX);
	json_t *answer = NULL;
	size_t count = 0;
	ssize_t got;
	int error = EPROTO;

	while (line && count < ANSWER_MAX) {
		int64_t left = end - milliseconds();
		int ready = poll(&in, 1, left > 0 ? (int)left : 0);

		if (ready <= 0) {
			error = ready ? errno : ETIMEDOUT;
			break;
		}
		got = recv(fd, line + count, ANSWER_MAX - count, MSG_DONTWAIT);
		if (got <= 0) {
			error = got ? errno : ECONNRESET;
			break;
		}
		count += (size_t)got;
		if (line[count - 1] == '\n') {
			answer = json_loadb(line, count, 0, NULL);
			break;
		}
	}
	free(line);
	if (!json_is_object(answer)) {
		json_decref(answer);
		errno = error;
		return NULL;
	}
	return answer;
}

json_t *client_ask(const char *path, json_t *request, unsigned int seconds, pid_t *pid)
{
	const int64_t end = milliseconds() + 1000 * (int64_t)seconds;
	char *text = json_dumps(request, JSON_COMPACT);
	json_t *answer = NULL;
	int fd, error;

	fd = text ? connect_to(path, seconds, pid) : -1;
	if (fd >= 0) {
		/* A line of ours fits into any socket. */
		if (send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text) &&
		    send(fd, "\n", 1, MSG_NOSIGNAL) == 1)
			answer = hear(fd, end);
		error = errno;
		close(fd);
		errno = error;
	}
	free(text);
	/* Of connect() and send(), when their time is over. */
	if (!answer && errno == EAGAIN)
		errno = ETIMEDOUT;
	return answer;
}

int client_for_each(int (*each)(void *arg, const char *name, const char *path), void *arg)
{
	struct dirent **entries;
	int i, count = scandir(CONTROL_FOLDER, &entries, NULL, versionsort), ret = 0;

	/* No folder, no guests. */
	for (i = 0; i < count; i++) {
		char *name = entries[i]->d_name, path[sizeof(CONTROL_FOLDER) + 256 + 1];
		size_t length = strlen(name);

		snprintf(path, sizeof(path), CONTROL_FOLDER "/%s", name);
		if (!ret && length > strlen(SUFFIX) &&
		    !strcmp(name + length - strlen(SUFFIX), SUFFIX)) {
			name[length - strlen(SUFFIX)] = 0;
			ret = each(arg, name, path);
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return ret;
}

struct wanted {
	pid_t pid;
	char *path;
	size_t room;
};

static int is_process(void *arg, const char *name, const char *path)
{
	struct wanted *wanted = arg;
	pid_t pid;

	(void)name;
	if (client_peer(path, &pid) || pid != wanted->pid)
		return 0;
	snprintf(wanted->path, wanted->room, "%s", path);
	return 1;
}

/* What there is no socket for becomes a name of one that is not there. */
static void find_socket(const char *target, char *path, size_t room)
{
	struct wanted wanted = { .path = path, .room = room };
	uint64_t pid;

	if (strchr(target, '/')) {
		snprintf(path, room, "%s", target);
		return;
	}
	if (!cmd_parse_number(target, 1, INT32_MAX, &pid)) {
		wanted.pid = (pid_t)pid;
		if (client_for_each(is_process, &wanted))
			return;
	}
	snprintf(path, room, CONTROL_FOLDER "/%s" SUFFIX, target);
}

int client_do(const char *verb, const char *target, json_t *request, json_t **answer)
{
	char path[4096];
	const char *error;
	int ret = 0;

	find_socket(target, path, sizeof(path));
	*answer = client_ask(path, request, CLIENT_PATIENT, NULL);
	json_decref(request);
	if (!*answer)
		return cmd_error("%s: %s: %s", verb, target, errno == ENOENT || errno == ECONNREFUSED ?
				 "no such guest (see mshv list)" : strerror(errno));
	error = json_string_value(json_object_get(*answer, "error"));
	if (error || !json_is_string(json_object_get(*answer, "ok"))) {
		ret = cmd_error("%s: %s: %s", verb, target, error ? error : "an answer that is none");
		json_decref(*answer);
		*answer = NULL;
	}
	return ret;
}

int client_simple_verb(int argc, char **argv, const char *usage)
{
	const struct cmd_option options[] = { { 0 } };
	int ret = cmd_options(argc, argv, usage, options);
	json_t *answer;

	if (ret != CMD_GO_ON)
		return ret;
	if (optind != argc - 1 || !*argv[optind])
		return cmd_usage_error("%s: %s", argv[0], optind < argc - 1 ? "more than one guest" :
				       "no guest named");
	ret = client_do(argv[0], argv[optind], json_pack("{ss}", "do", argv[0]), &answer);
	json_decref(answer);
	return ret;
}
