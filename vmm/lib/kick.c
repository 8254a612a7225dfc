// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * libmshv: the signal that makes a processor's thread return. The program names it; without that the library has none, and
 * changes no handler and no mask.
 */
#include <signal.h>

#include "internal.h"

static atomic_int kick_signal;

static void on_kick(int signal)
{
	(void)signal;
}

int mshv_kick_signal_now(void)
{
	return atomic_load(&kick_signal);
}

/* Without SA_RESTART, so that RUN_VP comes back with EINTR. */
int mshv_kick_signal(int signal)
{
	struct sigaction action = { .sa_handler = on_kick }, old;

	if (signal) {
		if (sigaction(signal, NULL, &old))
			return mshv_fail("signal %d for kicks", signal);
		sigemptyset(&action.sa_mask);
		if (!(old.sa_flags & SA_SIGINFO) && (old.sa_handler == SIG_DFL || old.sa_handler == SIG_IGN) &&
		    sigaction(signal, &action, NULL))
			return mshv_fail("signal %d for kicks", signal);
	}
	atomic_store(&kick_signal, signal);
	return 0;
}
