/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control socket of a guest: requests and answers in JSON, one a line.
 *
 *	{"do": "status"}			how the guest is
 *	{"do": "pause"}, {"do": "resume"}	its processors stop, and go on
 *	{"do": "stop"}				the guest ends
 *	{"do": "balloon", "size": BYTES}	the memory that it is to keep
 *	{"do": "accessed", "parts": N}		how much of its memory it has used since the last such
 *						request, in N parts at most (1 to 256)
 *
 * An answer has "ok" with what the guest is now in a word ("running", "paused", "stopped"), or
 * "error" with what was wrong.
 *
 * Laws:
 *   - The socket is its owner's alone (mode 0600): who may connect may do everything.
 *   - One thread answers, one request after the other. A request that is wrong in any part, be it a
 *     member too many, changes nothing.
 *   - Whoever does not read his answers is hung up on, and if there are too many whoever has said nothing
 *     for longest: nobody can make the guest wait, or anybody else.
 */
#ifndef LINUX_CONTROL_H
#define LINUX_CONTROL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <jansson.h>

#define CONTROL_FOLDER		"/run/mshv"
#define CONTROL_LINE_MAX	4096u
#define CONTROL_CLIENTS		8u
#define CONTROL_PARTS_MAX	256u

/* What the guest does. 0, or -1 with mshv_error(). */
struct control_ops {
	/* Whether it is paused, and everything else, into @answer. */
	int (*status)(void *arg, json_t *answer, bool *paused);
	int (*pause)(void *arg);
	int (*resume)(void *arg);
	int (*stop)(void *arg);
	int (*balloon)(void *arg, uint64_t size);
	/* What of it was used, into @answer. */
	int (*accessed)(void *arg, unsigned int parts, json_t *answer);
};

struct control {
	const struct control_ops *ops;
	void *arg;
	struct sockaddr_un address;
	struct stat file;		/* the socket of that name when it was made */
	int listener;			/* -1: there is no socket */
	int end;			/* eventfd */
	pthread_t thread;
	bool started;
	uint64_t heard;
	struct control_client {
		int fd;			/* -1: free */
		uint64_t heard;		/* the last time */
		size_t count;
		char line[CONTROL_LINE_MAX];
	} client[CONTROL_CLIENTS];
};

/*
 * Makes the socket @path. NULL: CONTROL_FOLDER/PID.sock if it can be had, else none, which is no error.
 * Whoever connects waits for control_start(). -1 with mshv_error().
 */
int control_open(struct control *c, const char *path);
int control_start(struct control *c, const struct control_ops *ops, void *arg);
/* Ends the thread, what it is doing comes first. */
void control_stop(struct control *c);
/* Takes the socket away, unless its name is somebody else's by now. */
void control_close(struct control *c);

/* The answer to one request, with a line's end; to be freed, NULL if there is no memory. */
char *control_answer(const struct control_ops *ops, void *arg, const char *line, size_t size);

#endif
