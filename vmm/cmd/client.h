/* SPDX-License-Identifier: GPL-2.0-only */
/* What verbs that talk to a running guest share: its control socket (linux/control.h), found by name. */
#ifndef MSHV_CLIENT_H
#define MSHV_CLIENT_H

#include <sys/types.h>

#include <jansson.h>

/* Which process listens at the socket @path. -1 with errno; waits for nobody (EAGAIN: it takes no more connections). */
int client_peer(const char *path, pid_t *pid);

/* How long a person's own request may take, and one of many that others wait behind. */
#define CLIENT_PATIENT	20u
#define CLIENT_BRIEF	2u

/*
 * Asks the guest at the socket @path; *@pid (may be NULL) is the process that listens. Returns its
 * answer; NULL with errno: ECONNREFUSED and ENOENT if there is no guest, ETIMEDOUT if the answer is not there in @seconds,
 * however it trickles, EINTR after a signal.
 */
json_t *client_ask(const char *path, json_t *request, unsigned int seconds, pid_t *pid);

/*
 * Asks @target (NAME, PID or SOCKET) for the verb @verb, and says what goes wrong; takes @request.
 * Returns the exit code, and on success the answer.
 */
int client_do(const char *verb, const char *target, json_t *request, json_t **answer);

/* A verb that takes a target, and whose request is its name. */
int client_simple_verb(int argc, char **argv, const char *usage);

/* Each socket in the folder of all guests. Stops when @each returns other than 0, and returns that. */
int client_for_each(int (*each)(void *arg, const char *name, const char *path), void *arg);

#endif
