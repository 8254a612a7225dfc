// SPDX-License-Identifier: GPL-2.0-only
/* mshv balloon: how much of its memory a guest is to keep. */
#include <getopt.h>

#include "client.h"
#include "cmd.h"

static const char usage[] =
	"usage: mshv balloon TARGET SIZE\n"
	"\n"
	"Asks the guest to keep SIZE of its memory, and to give the rest back. All of its memory\n"
	"takes the balloon away. The guest does it when it can; mshv list shows how far it is.\n"
	"\n"
	"TARGET is the guest's process, the name of its socket in /run/mshv, or a socket.\n";

int cmd_balloon(int argc, char **argv)
{
	const struct cmd_option options[] = { { 0 } };
	int ret = cmd_options(argc, argv, usage, options);
	json_t *answer;
	uint64_t size;

	if (ret != CMD_GO_ON)
		return ret;
	if (optind != argc - 2 || !*argv[optind])
		return cmd_usage_error("balloon: want a guest and a size");
	if (cmd_parse_size(argv[optind + 1], &size) || size > INT64_MAX)
		return cmd_usage_error("balloon: not a size: %s", argv[optind + 1]);
	ret = client_do(argv[0], argv[optind],
			json_pack("{sssI}", "do", "balloon", "size", (json_int_t)size), &answer);
	json_decref(answer);
	return ret;
}
