// SPDX-License-Identifier: GPL-2.0-only
/*
 * The demonstration, last row: an unmodified Linux as guest, in a process of its own (mshv run --kernel), checks its
 * memory while the parent takes it away.
 *
 * What the guest says on its console is folded to the lines that rig/guest-init marks.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"
#include "host.h"
#include "undo.h"

#define LINUX		"/usr/lib/mshv/linux"
#define GROUP_NAME	DEMO_CGROUP "-linux"
#define GROUP		"/sys/fs/cgroup/" GROUP_NAME
#define MARK		"guest: "
#define RECLAIM		(16ull << 20)
/*
 * The guest checks its memory for so long, by its own clock; PATIENCE is for all of it. A clock that leaps because the
 * guest has stood still may end stress-ng before it has begun, which is its 3 and no answer.
 */
#define WORK		"run=\"while stress-ng -q --vm 1 --vm-bytes 60% --verify -t 8; code=$?; [ $code -eq 3 ]; do :; done; exit $code\""
#define PATIENCE	"240"

typedef unsigned long long ull;

struct console {
	int fd;
	char line[512];
	size_t used;
	bool up;
	bool verified;
};

static pid_t start(int *fd)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		close(STDIN_FILENO);
		open("/dev/null", O_RDONLY);
		execlp("mshv", "mshv", "run", "--kernel", LINUX, "--initrd", LINUX ".initrd",
		       "--memory", "256M", "--cpus", "2", "--timeout", PATIENCE, "--append",
		       "console=ttyS0 quiet panic=-1 " WORK, NULL);
		_exit(127);
	}
	close(ends[1]);
	if (pid < 0)
		close(ends[0]);
	*fd = ends[0];
	return pid;
}

static void take_line(struct demo *demo, struct console *c)
{
	const char *said;

	c->line[c->used] = '\0';
	c->line[strcspn(c->line, "\r")] = '\0';
	c->used = 0;
	said = strstr(c->line, MARK);
	if (!said)
		return;
	said += strlen(MARK);
	demo_progress(demo, "it says: %s", said);
	if (!strncmp(said, "up,", 3))
		c->up = true;
	if (!strcmp(said, "ended with 0"))
		c->verified = true;
}

/* Takes what the guest says within @ms. False: it has ended. */
static bool listen_to(struct demo *demo, struct console *c, int ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	char bytes[256];
	ssize_t got;

	if (poll(&p, 1, ms) <= 0)
		return true;
	got = read(c->fd, bytes, sizeof(bytes));
	if (got <= 0)
		return got < 0 && errno == EINTR;
	for (ssize_t i = 0; i < got; i++) {
		if (bytes[i] == '\n' || c->used == sizeof(c->line) - 1)
			take_line(demo, c);
		else
			c->line[c->used++] = bytes[i];
	}
	return true;
}

/* Some of it to swap, and all of it to the other node and back, wherever it is. */
static void disturb(pid_t pid, unsigned int nodes)
{
	host_reclaim(GROUP_NAME, RECLAIM);
	if (nodes < 2)
		return;
	host_migrate(pid, 0, 1);
	host_migrate(pid, 1, 0);
}

static void run(struct demo *demo, struct demo_report *report)
{
	uint64_t out = host_stat("/proc/vmstat", "pswpout"), in = host_stat("/proc/vmstat", "pswpin");
	uint64_t moved = host_stat("/proc/vmstat", "pgmigrate_success");
	const unsigned int nodes = host_nodes(), mark = undo_mark();
	struct console console = { .fd = -1 };
	char pid_text[16];
	int status = 0;
	pid_t pid;

	pid = start(&console.fd);
	if (pid < 0) {
		demo_failed(report, "start mshv run");
		return;
	}
	mkdir(GROUP, 0755);
	undo_folder(GROUP);
	undo_child(pid);
	snprintf(pid_text, sizeof(pid_text), "%d", (int)pid);
	host_write(GROUP "/cgroup.procs", pid_text);
	while (listen_to(demo, &console, 300))
		if (console.up && !console.verified)
			disturb(pid, nodes);
	close(console.fd);
	waitpid(pid, &status, 0);
	undo_child_ended(pid);
	undo_to(mark);

	out = host_stat("/proc/vmstat", "pswpout") - out;
	in = host_stat("/proc/vmstat", "pswpin") - in;
	moved = host_stat("/proc/vmstat", "pgmigrate_success") - moved;
	demo_check(report, console.up, "Linux boots");
	demo_check(report, console.verified, "stress-ng finds nothing wrong in its memory");
	demo_check(report, WIFEXITED(status) && WEXITSTATUS(status) == 0, "it powers off, and mshv run ends with 0");
	demo_check(report, out > 0, "%llu pages swapped out meanwhile", (ull)out);
	if (nodes > 1)
		demo_check(report, moved > 0, "%llu pages migrated meanwhile", (ull)moved);
	demo_counts(report, "2 processors, 256 MiB; stress-ng --vm --verify: no error");
	demo_counts(report, "%llu pages swapped out, %llu in, %llu migrated", (ull)out, (ull)in, (ull)moved);
}

void demo_row_linux(struct demo *demo, struct demo_report *report)
{
	if (access(LINUX, R_OK) || access(LINUX ".initrd", R_OK)) {
		demo_skip(report, "no Linux guest at " LINUX " (rig/vm --guest)");
		return;
	}
	if (host_stat("/proc/meminfo", "SwapTotal") == 0) {
		demo_skip(report, "no swap");
		return;
	}
	/* The guest of the first rows has no part in this. */
	demo_end(demo);
	run(demo, report);
}
