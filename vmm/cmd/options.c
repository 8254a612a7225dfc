// SPDX-License-Identifier: GPL-2.0-only
/* The options of a verb, from a table; --help and what cannot be an option are the same for all. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "cmd.h"

#define OPTIONS_MAX	24
/* What getopt_long() answers for option 0, 1, ...: out of the way of letters. */
#define FIRST		256

static int set(const char *verb, const struct cmd_option *o, const char *text)
{
	uint64_t value = 0;
	int bad = 0;

	switch (o->kind) {
	case CMD_SET:
	case CMD_CLEAR:
		*(bool *)o->value = o->kind == CMD_SET;
		return 0;
	case CMD_TEXT:
		*(const char **)o->value = text;
		return 0;
	case CMD_NUMBER:
		bad = cmd_parse_number(text, o->min, o->max, &value);
		break;
	case CMD_SIZE:
		/* Here @min is what the size must be a multiple of. */
		bad = cmd_parse_size(text, &value) || value == 0 || value % o->min;
		break;
	}
	if (bad)
		return cmd_usage_error("%s: --%s: not %s: %s", verb, o->name, o->what, text);
	*(uint64_t *)o->value = value;
	return 0;
}

int cmd_options(int argc, char **argv, const char *usage, const struct cmd_option *options)
{
	struct option longs[OPTIONS_MAX + 2] = { { "help", no_argument, NULL, 'h' } };
	char letters[2 * OPTIONS_MAX + 3] = ":h", *letter = letters + 2;
	unsigned int i, count;
	int c, ret;

	for (count = 0; options[count].name; count++) {
		const struct cmd_option *o = &options[count];
		bool argument = o->kind != CMD_SET && o->kind != CMD_CLEAR;

		longs[count + 1] = (struct option){ o->name, argument ? required_argument :
						    no_argument, NULL, FIRST + (int)count };
		if (o->letter) {
			*letter++ = o->letter;
			if (argument)
				*letter++ = ':';
		}
	}
	/* One line for one mistake: ours. */
	opterr = 0;
	while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return 0;
		}
		for (i = 0; i < count; i++)
			if (c == FIRST + (int)i || c == options[i].letter)
				break;
		if (i == count)
			return cmd_usage_error("%s: %s: %s (try 'mshv %s --help')", argv[0],
					       c == ':' ? "no value for" : "unknown option",
					       argv[optind - 1], argv[0]);
		ret = set(argv[0], &options[i], optarg);
		if (ret)
			return ret;
	}
	return CMD_GO_ON;
}

int cmd_no_operands(int argc, char **argv)
{
	if (optind == argc)
		return CMD_GO_ON;
	return cmd_usage_error("%s: unexpected: %s", argv[0], argv[optind]);
}

int cmd_file_operand(int argc, char **argv, const char **file)
{
	if (optind == argc)
		return CMD_GO_ON;
	if (!*argv[optind])
		return cmd_usage_error("%s: the file's name is empty", argv[0]);
	*file = argv[optind++];
	return cmd_no_operands(argc, argv);
}
