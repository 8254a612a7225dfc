// SPDX-License-Identifier: GPL-2.0-only
/* Standard input as a guest's console, see console.h. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "console.h"
#include "libmshv.h"

#define CTRL_A		0x01
/* How soon input that found no room is offered again. */
#define RETRY_MS	20
/* Of what was typed, while it has no room: more than anybody pastes. */
#define KEPT_MAX	32768u

static sigset_t our_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	/* No end, but heard in the same way. */
	sigaddset(&set, SIGWINCH);
	return set;
}

void console_block_signals(void)
{
	sigset_t set = our_signals();

	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

size_t console_filter(struct console *c, uint8_t *bytes, size_t count, bool *end)
{
	size_t i, left = 0;

	*end = false;
	for (i = 0; i < count; i++) {
		if (!c->command && bytes[i] == CTRL_A) {
			c->command = true;
			continue;
		}
		if (c->command && (bytes[i] == 'x' || bytes[i] == 'X'))
			*end = true;
		/* After Ctrl-A only Ctrl-A is input; other keys are no commands. */
		else if (!c->command || bytes[i] == CTRL_A)
			bytes[left++] = bytes[i];
		c->command = false;
	}
	return left;
}

/* Reads what there is. Returns how much, 0 at the end of input. */
static size_t take_input(struct console *c, uint8_t *bytes, size_t room)
{
	ssize_t got = read(STDIN_FILENO, bytes, room);
	bool end = false;
	size_t count;

	if (got < 0)
		return 0;
	count = (size_t)got;
	if (c->terminal)
		count = console_filter(c, bytes, count, &end);
	if (end)
		c->end(c->arg, "ended with Ctrl-A x");
	return count;
}

static void take_signal(struct console *c)
{
	struct signalfd_siginfo info;
	char why[64];

	if (read(c->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		c->resize = c->resized;
		return;
	}
	snprintf(why, sizeof(why), "ended by signal %u (%s)", info.ssi_signo,
		 strsignal((int)info.ssi_signo));
	c->end(c->arg, why);
}

static void *console_thread(void *arg)
{
	struct console *c = arg;
	struct pollfd fds[3] = {
		{ .fd = c->stop, .events = POLLIN },
		{ .fd = c->signals, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};
	uint8_t bytes[KEPT_MAX], more[256];
	size_t count = 0, got, taken;
	bool open = true;

	for (;;) {
		/* A terminal is read even if nobody takes what was typed: it may be a command. */
		fds[2].fd = open && (c->terminal || !count) ? STDIN_FILENO : -1;
		if (poll(fds, 3, count || c->resize ? RETRY_MS : -1) < 0 && errno != EINTR)
			return NULL;
		if (fds[0].revents)
			return NULL;
		if (fds[1].revents)
			take_signal(c);
		if (fds[2].fd >= 0 && fds[2].revents) {
			got = take_input(c, more, sizeof(more));
			/* A terminal that is there may have given commands only. */
			open = got || (c->terminal && !(fds[2].revents & (POLLHUP | POLLERR)));
			/* What has no room even here is lost: there is no end of it. */
			if (got > sizeof(bytes) - count)
				got = sizeof(bytes) - count;
			memcpy(bytes + count, more, got);
			count += got;
		}
		c->resize = c->resize && !c->resized(c->to);
		taken = count ? c->input(c->to, bytes, count) : 0;
		memmove(bytes, bytes + taken, count - taken);
		count -= taken;
	}
}

static void make_raw(struct console *c)
{
	struct termios raw;

	c->terminal = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &c->saved);
	if (!c->terminal)
		return;
	raw = c->saved;
	cfmakeraw(&raw);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

int console_start(struct console *c)
{
	sigset_t set = our_signals();
	int error;

	c->stop = eventfd(0, EFD_CLOEXEC);
	c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (c->stop < 0 || c->signals < 0) {
		mshv_fail("console");
		goto close;
	}
	make_raw(c);
	error = pthread_create(&c->thread, NULL, console_thread, c);
	if (!error)
		return 0;
	mshv_fail_because(error, "console: %s", strerror(error));
	if (c->terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &c->saved);
close:
	error = errno;
	if (c->stop >= 0)
		close(c->stop);
	if (c->signals >= 0)
		close(c->signals);
	errno = error;
	return -1;
}

void console_stop(struct console *c)
{
	const uint64_t one = 1;

	/* Cannot fail: the counter is at 0. */
	if (write(c->stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(c->thread, NULL);
	if (c->terminal)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &c->saved);
	close(c->stop);
	close(c->signals);
}
