// SPDX-License-Identifier: GPL-2.0-only
/* mshv: runs small guests on /dev/mshv. Finds the verb; each is a file of its own. */
#include <fcntl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "printable.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} verbs[] = {
	{ "run", cmd_run, "run a guest, a payload or a Linux, and show its console" },
	{ "list", cmd_list, "list the Linux guests that run here" },
	{ "pause", cmd_pause, "stop the processors of a guest for a while" },
	{ "resume", cmd_resume, "let them go on" },
	{ "stop", cmd_stop, "end a guest" },
	{ "balloon", cmd_balloon, "say how much of its memory a guest is to keep" },
	{ "demo", cmd_demo, "show that guest memory arrives on first touch and moves" },
	{ "check", cmd_check, "check movable guest memory on this host; a report to send in" },
	{ "stat", cmd_stat, "show the driver's counters of each partition" },
	{ "regions", cmd_regions, "list guest memory regions, their kind and what is mapped" },
	{ "map", cmd_map, "draw what of a guest's memory is there, shared, swapped, absent" },
	{ "record", cmd_record, "write into a file what happens to guests' memory over time" },
	{ "report", cmd_report, "draw such a file" },
	{ "top", cmd_top, "show what each partition does, again and again" },
	{ "hv", cmd_hv, "show the counters of the bundled hypervisor" },
};

static void help(FILE *to)
{
	size_t i;

	fprintf(to, "usage: mshv VERB [options]\n\n");
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].help);
	fprintf(to, "\n'mshv VERB --help' tells more.\n");
}

/* One line, and what others have to do with it (paths, answers of a VMM) only shows. */
static void say(const char *format, va_list args)
{
	char text[2 * PRINTABLE_MAX] = "", shown[2 * PRINTABLE_MAX];

	vsnprintf(text, sizeof(text), format, args);
	fflush(stdout);
	fprintf(stderr, "mshv: %s\n", printable_copy(shown, sizeof(shown), text));
}

int cmd_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	return 1;
}

bool cmd_no_driver(const char *verb)
{
	const char *device = getenv("MSHV_DEVICE");

	if (!device || !*device)
		device = "/dev/mshv";
	if (!access(device, F_OK))
		return false;
	cmd_error("%s: %s: %s (is the module mshv_movable loaded?)", verb, device, strerror(errno));
	return true;
}

bool cmd_no_counters(const char *verb)
{
	if (cmd_no_driver(verb))
		return true;
	if (!access("/sys/module/mshv_movable", F_OK))
		return false;
	cmd_error("%s: the driver that is loaded keeps no counters of guests (mshv_movable does)", verb);
	return true;
}

int cmd_usage_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	return EXIT_USAGE;
}

int cmd_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
	unsigned long long value;
	char *end;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || *end || value < min || value > max)
		return -1;
	*number = value;
	return 0;
}

int cmd_parse_size(const char *text, uint64_t *size)
{
	static const char suffixes[] = "KMGT";
	unsigned long long value;
	const char *suffix;
	char *end;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno)
		return -1;
	if (*end) {
		unsigned int shift;

		/* A blank would find the end of the suffixes. */
		suffix = *end & ~0x20 ? strchr(suffixes, *end & ~0x20) : NULL;
		if (!suffix || (end[1] && strcmp(end + 1, "iB") && strcmp(end + 1, "B")))
			return -1;
		shift = 10 * (unsigned int)(suffix - suffixes + 1);
		if (value > UINT64_MAX >> shift)
			return -1;
		value <<= shift;
	}
	*size = value;
	return 0;
}

/* What was printed has to arrive: a full disk is a failure. */
static int end(int code)
{
	if ((fflush(stdout) || ferror(stdout)) && !code)
		return cmd_error("standard output: %s", strerror(errno));
	return code;
}

/*
 * The first file that is opened must not be what is printed to: a guest's disk, for example. What is used in
 * spite of that fails as it did: nothing can be written to what is only read.
 */
static void take_standard(void)
{
	static const int modes[] = { O_WRONLY, O_RDONLY, O_RDONLY };
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) < 0)
			return;
}

int main(int argc, char **argv)
{
	static char help_option[] = "--help";
	size_t i;

	take_standard();

	if (argc < 2) {
		help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    (!strcmp(argv[1], "help") && argc == 2)) {
		help(stdout);
		return end(0);
	}
	if (!strcmp(argv[1], "--version")) {
		printf("mshv %s\n", MSHV_VERSION);
		return end(0);
	}
	/* "help VERB" is "VERB --help". */
	if (!strcmp(argv[1], "help")) {
		argv[1] = argv[2];
		argv[2] = help_option;
	}
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (!strcmp(argv[1], verbs[i].name))
			return end(verbs[i].run(argc - 1, argv + 1));
	return cmd_usage_error("%s: unknown verb (see mshv --help)", argv[1]);
}
