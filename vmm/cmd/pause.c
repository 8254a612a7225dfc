// SPDX-License-Identifier: GPL-2.0-only
/* mshv pause. */
#include "client.h"
#include "cmd.h"

static const char usage[] =
	"usage: mshv pause TARGET\n"
	"\n"
	"Stops the processors and the clocks of a guest, until mshv resume. Only its battery-backed clock\n"
	"goes on.\n"
	"\n"
	"TARGET is the guest's process, the name of its socket in /run/mshv, or a socket.\n";

int cmd_pause(int argc, char **argv)
{
	return client_simple_verb(argc, argv, usage);
}
