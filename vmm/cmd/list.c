// SPDX-License-Identifier: GPL-2.0-only
/* mshv list: the Linux guests that have a control socket in the folder of all guests. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "cmd.h"
#include "fdinfo.h"
#include "json.h"
#include "printable.h"

#define MIB	(1024.0 * 1024)

static const char usage[] =
	"usage: mshv list [--json]\n"
	"\n"
	"Lists the Linux guests whose control sockets are in /run/mshv: memory, what of it is in\n"
	"the balloon, and what the process has resident, in MiB.\n"
	"\n"
	"  -j, --json   for programs; sizes in bytes\n";

struct list {
	json_t *guests;
	int ret;
};

static int add(void *arg, const char *name, const char *path)
{
	json_t *request = json_pack("{ss}", "do", "status"), *answer;
	struct list *list = arg;
	const char *state;
	pid_t pid = 0;

	answer = client_ask(path, request, CLIENT_BRIEF, &pid);
	json_decref(request);
	if (!answer) {
		/* Left behind, or somebody else's. */
		if (errno == ETIMEDOUT)
			list->ret = cmd_error("list: %s: no answer within %u seconds", path, CLIENT_BRIEF);
		else if (errno != ECONNREFUSED && errno != ENOENT && errno != EACCES)
			list->ret = cmd_error("list: %s: %s", path, strerror(errno));
		return 0;
	}
	state = json_string_value(json_object_get(answer, "ok"));
	if (!state) {
		list->ret = cmd_error("list: %s: an answer that is none", path);
		json_decref(answer);
		return 0;
	}
	json_object_set_new(answer, "state", json_string(state));
	json_object_del(answer, "ok");
	json_set_text(answer, "name", name);
	json_set_text(answer, "socket", path);
	/* As it is seen from here. */
	json_object_set_new(answer, "pid", json_integer(pid));
	json_set_number(answer, "resident", stat_process_memory(pid).resident);
	json_array_append_new(list->guests, answer);
	return 0;
}

static double mib(const json_t *of, const char *name)
{
	return (double)json_integer_value(json_object_get(of, name)) / MIB;
}

/* File names that are not UTF-8 have no text. */
static const char *text(const json_t *of, const char *name)
{
	const char *value = json_string_value(json_object_get(of, name));

	return value ? value : "?";
}

static void print_text(json_t *guests)
{
	json_t *guest;
	size_t i;

	printf("%-12s %7s %-8s %4s %8s %8s %8s  %s\n", "NAME", "PID", "STATE", "CPUS", "MEMORY", "BALLOON",
	       "RESIDENT", "KERNEL");
	json_array_foreach(guests, i, guest) {
		printf("%-12s %7d %-8s %4d %8.0f %8.0f %8.0f  %s\n", printable(text(guest, "name")),
		       (int)json_integer_value(json_object_get(guest, "pid")),
		       printable(text(guest, "state")),
		       (int)json_integer_value(json_object_get(guest, "processors")),
		       mib(guest, "memory"), mib(json_object_get(guest, "balloon"), "size"),
		       mib(guest, "resident"), printable(text(guest, "kernel")));
	}
}

int cmd_list(int argc, char **argv)
{
	struct list list = { .ret = 0 };
	bool json = false;
	const struct cmd_option options[] = {
		{ "json", 'j', CMD_SET, &json, NULL, 0, 0 },
		{ 0 },
	};
	int ret = cmd_options(argc, argv, usage, options);

	if (ret == CMD_GO_ON)
		ret = cmd_no_operands(argc, argv);
	if (ret != CMD_GO_ON)
		return ret;
	list.guests = json_array();
	client_for_each(add, &list);
	if (json)
		return json_print("list", list.guests, JSON_INDENT(2) | JSON_SORT_KEYS) || list.ret;
	if (json_array_size(list.guests))
		print_text(list.guests);
	else if (!list.ret)
		printf("no guests\n");
	json_decref(list.guests);
	return list.ret;
}
