// SPDX-License-Identifier: GPL-2.0-only
/* The control socket of a guest, see control.h. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"
#include "libmshv.h"

/* How often a folder's lock is tried, a millisecond apart. */
#define LOCK_TRIES	1000u
/* How long nobody is let in when there is no descriptor for him. */
#define FULL_MS		250

/* ---- requests ---- */

/* Every member but "do" is one that the request has. */
static int check_members(json_t *request, const char *what, const char *member)
{
	const char *key;
	json_t *value;

	json_object_foreach(request, key, value) {
		(void)value;
		if (strcmp(key, "do") && (!member || strcmp(key, member)))
			return mshv_fail_because(EINVAL, "%s: unknown member: %.40s", what, key);
	}
	return 0;
}

static int do_balloon(const struct control_ops *ops, void *arg, json_t *request)
{
	const json_t *size = json_object_get(request, "size");

	if (check_members(request, "balloon", "size"))
		return -1;
	if (!size)
		return mshv_fail_because(EINVAL, "balloon: no size");
	if (!json_is_integer(size) || json_integer_value(size) < 0)
		return mshv_fail_because(EINVAL, "balloon: the size is no number of bytes");
	return ops->balloon(arg, (uint64_t)json_integer_value(size));
}

static int do_accessed(const struct control_ops *ops, void *arg, json_t *request, json_t *answer)
{
	const json_t *parts = json_object_get(request, "parts");

	if (check_members(request, "accessed", "parts"))
		return -1;
	if (!json_is_integer(parts) || json_integer_value(parts) < 1 ||
	    json_integer_value(parts) > CONTROL_PARTS_MAX)
		return mshv_fail_because(EINVAL, "accessed: the parts are no number from 1 to %u", CONTROL_PARTS_MAX);
	return ops->accessed(arg, (unsigned int)json_integer_value(parts), answer);
}

/* Fills @answer but for "ok", which is returned; NULL with mshv_error(). */
static const char *perform(const struct control_ops *ops, void *arg, json_t *request,
			   json_t *answer)
{
	const struct {
		const char *name;
		int (*perform)(void *arg);
		const char *then;
	} simple[] = {
		{ "pause", ops->pause, "paused" },
		{ "resume", ops->resume, "running" },
		{ "stop", ops->stop, "stopped" },
	};
	const char *what = json_string_value(json_object_get(request, "do"));
	bool paused = false;
	size_t i;

	if (!what) {
		mshv_fail_because(EINVAL, "the request does not say what to do (\"do\")");
		return NULL;
	}
	for (i = 0; i < sizeof(simple) / sizeof(simple[0]); i++)
		if (!strcmp(what, simple[i].name))
			return check_members(request, what, NULL) || simple[i].perform(arg) ?
			       NULL : simple[i].then;
	if (!strcmp(what, "balloon")) {
		if (do_balloon(ops, arg, request))
			return NULL;
	} else if (!strcmp(what, "accessed")) {
		json_t *ignored = json_object();
		int ret = do_accessed(ops, arg, request, answer);

		/* Of its state only the word. */
		if (!ret)
			ret = ops->status(arg, ignored, &paused);
		json_decref(ignored);
		if (ret)
			return NULL;
		return paused ? "paused" : "running";
	} else if (strcmp(what, "status")) {
		mshv_fail_because(EINVAL, "unknown request: %.40s", what);
		return NULL;
	} else if (check_members(request, what, NULL)) {
		return NULL;
	}
	if (ops->status(arg, answer, &paused))
		return NULL;
	return paused ? "paused" : "running";
}

char *control_answer(const struct control_ops *ops, void *arg, const char *line, size_t size)
{
	json_t *answer = json_object(), *request;
	const char *ok = NULL;
	json_error_t error;
	char *text, *whole;
	size_t length;

	request = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
	if (!request)
		mshv_fail_because(EINVAL, "not JSON: %.100s", error.text);
	else if (!json_is_object(request))
		mshv_fail_because(EINVAL, "the request is no object");
	else
		ok = perform(ops, arg, request, answer);
	if (ok) {
		json_object_set_new(answer, "ok", json_string(ok));
	} else {
		json_object_clear(answer);
		/* What was quoted may not be UTF-8 when it is cut short. */
		if (json_object_set_new(answer, "error", json_string(mshv_error())))
			json_object_set_new(answer, "error", json_string("a request with odd letters"));
	}
	text = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	json_decref(request);
	if (!text)
		return NULL;
	length = strlen(text);
	whole = realloc(text, length + 2);
	if (!whole) {
		free(text);
		return NULL;
	}
	memcpy(whole + length, "\n", 2);
	return whole;
}

/* ---- the thread ---- */

static void hang_up(struct control_client *client)
{
	close(client->fd);
	client->fd = -1;
}

/* False: he does not read. */
static bool say(const struct control_client *client, char *text)
{
	size_t length = text ? strlen(text) : 0;
	bool good = text && send(client->fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT) ==
			    (ssize_t)length;

	free(text);
	return good;
}

/* Answers all lines that are whole. */
static void take_lines(struct control *c, struct control_client *client)
{
	char *end;

	while ((end = memchr(client->line, '\n', client->count))) {
		size_t size = (size_t)(end - client->line);

		if (!say(client, control_answer(c->ops, c->arg, client->line, size))) {
			hang_up(client);
			return;
		}
		client->count -= size + 1;
		memmove(client->line, end + 1, client->count);
	}
	if (client->count < sizeof(client->line))
		return;
	say(client, strdup("{\"error\":\"the request is too long\"}\n"));
	hang_up(client);
}

static void serve(struct control *c, struct control_client *client)
{
	ssize_t got = recv(client->fd, client->line + client->count,
			   sizeof(client->line) - client->count, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		hang_up(client);
		return;
	}
	client->count += (size_t)got;
	client->heard = ++c->heard;
	take_lines(c, client);
}

/* A place for somebody who comes: that of whoever has said nothing for longest, if there is no other. */
static struct control_client *make_place(struct control *c)
{
	struct control_client *place = &c->client[0];
	unsigned int i;

	for (i = 0; i < CONTROL_CLIENTS; i++) {
		if (c->client[i].fd < 0)
			return &c->client[i];
		if (c->client[i].heard < place->heard)
			place = &c->client[i];
	}
	hang_up(place);
	return place;
}

/* False: there is no descriptor or memory for another client, and the next try would be as vain. */
static bool welcome(struct control *c)
{
	int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);
	struct control_client *client;

	if (fd < 0)
		return errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS;
	client = make_place(c);
	client->fd = fd;
	client->count = 0;
	client->heard = ++c->heard;
	return true;
}

static void *control_thread(void *arg)
{
	struct control *c = arg;
	struct pollfd fds[2 + CONTROL_CLIENTS];
	bool full = false;
	unsigned int i;

	for (;;) {
		for (i = 0; i < CONTROL_CLIENTS; i++)
			fds[2 + i] = (struct pollfd){ .fd = c->client[i].fd, .events = POLLIN };
		fds[0] = (struct pollfd){ .fd = c->end, .events = POLLIN };
		/* Who cannot be let in is waiting all the time: he is not looked at for a while. */
		fds[1] = (struct pollfd){ .fd = full ? -1 : c->listener, .events = POLLIN };
		if (poll(fds, 2 + CONTROL_CLIENTS, full ? FULL_MS : -1) < 0)
			continue;
		full = false;
		if (fds[0].revents)
			return NULL;
		for (i = 0; i < CONTROL_CLIENTS; i++)
			if (fds[2 + i].fd >= 0 && fds[2 + i].revents)
				serve(c, &c->client[i]);
		if (fds[1].revents)
			full = !welcome(c);
	}
}

/* ---- the socket ---- */

/* A socket that nobody listens at was left behind by a process that was killed. */
static bool is_left_behind(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool refused;
	struct stat st;

	if (fd < 0)
		return false;
	refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) &&
		  errno == ECONNREFUSED;
	close(fd);
	return refused && !lstat(address->sun_path, &st) && S_ISSOCK(st.st_mode);
}

/*
 * Who makes sockets in a folder or takes them away does one after the other, or two would take over what
 * somebody left behind, the second from the first. Somebody may hold the lock who is no guest: then it
 * is not had (-1), and nothing is taken over.
 */
static int lock_folder(const struct sockaddr_un *address)
{
	char path[sizeof(address->sun_path)];
	unsigned int tries;
	int fd;

	strcpy(path, address->sun_path);
	fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	for (tries = 0; flock(fd, LOCK_EX | LOCK_NB); tries++) {
		if (tries == LOCK_TRIES || errno != EWOULDBLOCK) {
			close(fd);
			return -1;
		}
		usleep(1000);
	}
	return fd;
}

static int bind_socket(int fd, const struct sockaddr_un *address, bool locked)
{
	const struct sockaddr *a = (const struct sockaddr *)address;
	int error;

	/* Before there is a name that somebody could connect to. */
	if (fchmod(fd, 0600))
		return -1;
	if (!bind(fd, a, sizeof(*address)))
		return 0;
	error = errno;
	if (error == EADDRINUSE && locked && is_left_behind(address) && !unlink(address->sun_path))
		return bind(fd, a, sizeof(*address));
	errno = error;
	return -1;
}

/* The socket, and which file it is. */
static int make_socket(struct control *c)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), folder, error = 0;

	if (fd < 0)
		return -1;
	folder = lock_folder(&c->address);
	if (bind_socket(fd, &c->address, folder >= 0))
		error = errno;
	else if (lstat(c->address.sun_path, &c->file) || listen(fd, CONTROL_CLIENTS)) {
		error = errno;
		unlink(c->address.sun_path);
	}
	if (folder >= 0)
		close(folder);
	if (!error)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

/* The name may be somebody else's by now. */
static void remove_socket(const struct control *c)
{
	int folder = lock_folder(&c->address);
	struct stat st;

	if (!lstat(c->address.sun_path, &st) && st.st_dev == c->file.st_dev && st.st_ino == c->file.st_ino)
		unlink(c->address.sun_path);
	if (folder >= 0)
		close(folder);
}

/* The folder for all guests is of somebody whom we trust, and nobody else puts things there. */
static bool make_folder(void)
{
	struct stat st;

	mkdir(CONTROL_FOLDER, 0755);
	return !lstat(CONTROL_FOLDER, &st) && S_ISDIR(st.st_mode) && !(st.st_mode & 022) &&
	       (st.st_uid == 0 || st.st_uid == geteuid());
}

int control_open(struct control *c, const char *path)
{
	bool wanted = path;
	char own[64];
	unsigned int i;

	memset(c, 0, sizeof(*c));
	c->listener = c->end = -1;
	for (i = 0; i < CONTROL_CLIENTS; i++)
		c->client[i].fd = -1;
	if (!wanted) {
		if (!make_folder())
			return 0;
		snprintf(own, sizeof(own), CONTROL_FOLDER "/%d.sock", (int)getpid());
		path = own;
	}
	c->address.sun_family = AF_UNIX;
	if (!*path || strlen(path) >= sizeof(c->address.sun_path))
		return mshv_fail_because(EINVAL, "control socket: %s",
					 *path ? "the name is too long" : "the name is empty");
	strcpy(c->address.sun_path, path);
	c->listener = make_socket(c);
	if (c->listener >= 0 || !wanted)
		return 0;
	return mshv_fail("control socket %s", path);
}

int control_start(struct control *c, const struct control_ops *ops, void *arg)
{
	int error;

	if (c->listener < 0)
		return 0;
	c->ops = ops;
	c->arg = arg;
	c->end = eventfd(0, EFD_CLOEXEC);
	if (c->end < 0)
		return mshv_fail("control socket");
	error = pthread_create(&c->thread, NULL, control_thread, c);
	if (error)
		return mshv_fail_because(error, "control socket: %s", strerror(error));
	c->started = true;
	return 0;
}

void control_stop(struct control *c)
{
	const uint64_t one = 1;

	/* Cannot fail: the counter is at 0. */
	if (c->started && write(c->end, &one, sizeof(one)) == sizeof(one))
		pthread_join(c->thread, NULL);
	c->started = false;
}

void control_close(struct control *c)
{
	unsigned int i;

	if (c->listener < 0)
		return;
	for (i = 0; i < CONTROL_CLIENTS; i++)
		if (c->client[i].fd >= 0)
			hang_up(&c->client[i]);
	if (c->end >= 0)
		close(c->end);
	remove_socket(c);
	close(c->listener);
	c->end = c->listener = -1;
}
