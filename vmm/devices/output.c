// SPDX-License-Identifier: GPL-2.0-only
/* What a guest prints, see output.h. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"

/* How long it takes to hear that nobody waits any more. */
#define CLOSED_MS	100

void output_init(struct output *o, int fd)
{
	struct stat st;

	o->fd = fd;
	o->closed = false;
	o->error = 0;
	/* Of other kinds only a byte is sure to find room: a terminal that has some for one may not for two. */
	o->piece = !fstat(fd, &st) && (S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode)) ? PIPE_BUF : 1;
}

/* These bytes are lost; and all that comes, unless there may be room again. */
static void note_error(struct output *o, int error)
{
	if (error != EPIPE)
		o->error = error;
	if (error != ENOSPC && error != EDQUOT)
		o->fd = -1;
}

void output_write(struct output *o, const uint8_t *bytes, size_t count)
{
	struct pollfd p = { .fd = o->fd, .events = POLLOUT };
	ssize_t done;
	int ready;

	while (count && o->fd >= 0) {
		ready = poll(&p, 1, CLOSED_MS);
		done = ready > 0 ? write(o->fd, bytes, count < o->piece ? count : o->piece) : 0;
		if (done > 0) {
			bytes += done;
			count -= (size_t)done;
			continue;
		}
		if (ready > 0 && errno != EAGAIN && errno != EINTR) {
			note_error(o, errno);
			return;
		}
		if (o->closed)
			o->fd = -1;
	}
}

void output_close(struct output *o)
{
	o->closed = true;
}
