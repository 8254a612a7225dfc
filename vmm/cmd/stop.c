// SPDX-License-Identifier: GPL-2.0-only
/* mshv stop. */
#include "client.h"
#include "cmd.h"

static const char usage[] =
	"usage: mshv stop TARGET\n"
	"\n"
	"Ends a guest, without telling it: as if its power were cut. What it has written to\n"
	"its disk is there.\n"
	"\n"
	"TARGET is the guest's process, the name of its socket in /run/mshv, or a socket.\n";

int cmd_stop(int argc, char **argv)
{
	return client_simple_verb(argc, argv, usage);
}
