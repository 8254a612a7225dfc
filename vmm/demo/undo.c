// SPDX-License-Identifier: GPL-2.0-only
/* Putting a machine back, see undo.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "libmshv.h"
#include "undo.h"

#define CHANGES_MAX	32u
#define CGROUPS		"/sys/fs/cgroup"

/* A change is what is done about it: kill, then write, then remove; each only if it is there. */
struct change {
	pid_t child;
	char file[256], text[64];
	char folder[128];
};

static struct change changes[CHANGES_MAX];
/* Moved behind a change when it is whole, so a signal finds none that is half there. */
static atomic_uint count;
static pid_t owner;

static struct change *next(void)
{
	/* No row has so many. */
	if (count == CHANGES_MAX)
		abort();
	owner = getpid();
	memset(&changes[count], 0, sizeof(changes[0]));
	return &changes[count];
}

/* Only calls that a handler may make, and errors are nobody's: there is nothing else to be done. */
static void undo(const struct change *c)
{
	int fd;

	if (c->child > 0) {
		kill(c->child, SIGKILL);
		while (waitpid(c->child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (*c->file) {
		fd = open(c->file, O_WRONLY | O_CLOEXEC);
		if (fd >= 0) {
			if (write(fd, c->text, strlen(c->text)) < 0)
				errno = 0;
			close(fd);
		}
	}
	if (*c->folder)
		rmdir(c->folder);
}

unsigned int undo_mark(void)
{
	return count;
}

void undo_to(unsigned int mark)
{
	if (count && getpid() != owner)
		return;
	/* The change stays till it is undone: a signal meanwhile does it once more. */
	for (unsigned int i = count; i-- > mark; count = i)
		undo(&changes[i]);
}

static void on_signal(int signal)
{
	undo_to(0);
	/* The handler is gone (SA_RESETHAND): what the signal does is what it is for. */
	raise(signal);
}

void undo_on_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND }, before;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!sigaction(signals[i], NULL, &before) && before.sa_handler == SIG_DFL)
			sigaction(signals[i], &action, NULL);
}

int undo_write(const char *file, const char *value)
{
	struct change *c = next();

	if (host_read(file, c->text, sizeof(c->text)))
		return -1;
	snprintf(c->file, sizeof(c->file), "%s", file);
	count++;
	if (!host_write(file, value))
		return 0;
	count--;
	return -1;
}

int undo_cgroup(const char *name)
{
	struct change *c = next();
	char line[128];

	if (host_read("/proc/self/cgroup", line, sizeof(line)))
		return -1;
	/* The one of the second version, if that is where memory is. */
	if (!strncmp(line, "0::/", 4) && strlen(line) + 1 < sizeof(line)) {
		snprintf(c->file, sizeof(c->file), CGROUPS "%s/cgroup.procs", strcmp(line + 3, "/") ? line + 3 : "");
		strcpy(c->text, "0");
	}
	snprintf(c->folder, sizeof(c->folder), CGROUPS "/%s", name);
	count++;
	if (!host_enter_cgroup(name))
		return 0;
	rmdir(c->folder);
	count--;
	return -1;
}

void undo_folder(const char *path)
{
	snprintf(next()->folder, sizeof(changes[0].folder), "%s", path);
	count++;
}

void undo_child(pid_t pid)
{
	next()->child = pid;
	count++;
}

void undo_child_ended(pid_t pid)
{
	for (unsigned int i = 0; i < count; i++)
		if (changes[i].child == pid)
			changes[i].child = 0;
}
