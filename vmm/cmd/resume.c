// SPDX-License-Identifier: GPL-2.0-only
/* mshv resume. */
#include "client.h"
#include "cmd.h"

static const char usage[] =
	"usage: mshv resume TARGET\n"
	"\n"
	"Lets the processors of a paused guest go on.\n"
	"\n"
	"TARGET is the guest's process, the name of its socket in /run/mshv, or a socket.\n";

int cmd_resume(int argc, char **argv)
{
	return client_simple_verb(argc, argv, usage);
}
