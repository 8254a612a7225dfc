/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Standard input as a guest's console.
 *
 * A thread reads it and feeds a serial port, or a console of virtio. A terminal is raw meanwhile: all keys are the
 * guest's, but for Ctrl-A, which begins a command: x ends the guest, Ctrl-A is itself. What is no
 * terminal goes to the guest as it is; its end is no event.
 *
 * The thread also hears of the signals that ask a program to end, so that the terminal is put
 * back as it was: they must be blocked in all threads, see console_block_signals(). Output that
 * nobody takes any more is lost, and no reason to end.
 */
#ifndef LINUX_CONSOLE_H
#define LINUX_CONSOLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

struct console {
	/*
	 * Takes what was typed; returns how much of it had room. What had none is offered again, but a
	 * terminal is read on meanwhile, and of what comes from there not all can be kept.
	 */
	size_t (*input)(void *to, const uint8_t *bytes, size_t count);
	void *to;
	bool (*resized)(void *to);	/* the terminal; NULL: nobody wants to know. False: say it again */
	/* Called when the user wants the guest to end; @why is for a message. */
	void (*end)(void *arg, const char *why);
	void *arg;
	pthread_t thread;
	int stop;			/* eventfd */
	int signals;			/* signalfd */
	bool terminal;
	bool command;			/* Ctrl-A came last */
	bool resize;			/* to be said */
	struct termios saved;
};

void console_block_signals(void);

/* @c with input, to, end and arg. */
int console_start(struct console *c);
/* Ends the thread and puts the terminal back. */
void console_stop(struct console *c);

/*
 * Takes Ctrl-A commands out of what was typed, in place; returns how much is left, and in *@end
 * whether the guest is to end.
 */
size_t console_filter(struct console *c, uint8_t *bytes, size_t count, bool *end);

#endif
