// SPDX-License-Identifier: GPL-2.0-only
/* mshv hv: what the bundled hypervisor has counted. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "json.h"
#include "libmshv.h"

static const char usage[] =
	"usage: mshv hv [--json] [--all] [--parent | --processor N]\n"
	"\n"
	"Shows what the bundled hypervisor did since it was booted, for the parent and for all\n"
	"guests, those that are gone included: exits by reason, hypercalls (calls, repetitions,\n"
	"failures), events of second-level maps.\n"
	"\n"
	"  -j, --json         as one JSON object\n"
	"  -a, --all          counters that are 0 as well (--json always has all)\n"
	"  -P, --parent       only what was for the parent itself\n"
	"  -c, --processor N  only what happened on that processor\n";

static int print_json(const uint64_t *counters)
{
	json_t *object = json_object();
	unsigned int i;

	for (i = 0; i < HVABI_COUNT_MAX; i++)
		json_set_number(object, mshv_counter_name(i), counters[i]);
	return json_print("hv", object, JSON_INDENT(2));
}

static void print_text(const uint64_t *counters, bool all)
{
	unsigned int i;

	for (i = 0; i < HVABI_COUNT_MAX; i++)
		if (all || counters[i])
			printf("%-40s %12llu\n", mshv_counter_name(i),
			       (unsigned long long)counters[i]);
}

/* Of all processors: whoever it was for, it happened on one of them. */
static int all_processors(uint64_t *counters)
{
	uint64_t one[HVABI_COUNT_MAX];
	uint32_t processor;

	memset(counters, 0, sizeof(one));
	for (processor = 0; !mshv_processor_counters(processor, one, HVABI_COUNT_MAX); processor++)
		for (unsigned int i = 0; i < HVABI_COUNT_MAX; i++)
			counters[i] += one[i];
	return processor ? 0 : -1;
}

int cmd_hv(int argc, char **argv)
{
	uint64_t counters[HVABI_COUNT_MAX], processor = HVABI_DEBUG_ALL_PROCESSORS;
	bool json = false, all = false, parent = false;
	const struct cmd_option options[] = {
		{ "json", 'j', CMD_SET, &json, NULL, 0, 0 },
		{ "all", 'a', CMD_SET, &all, NULL, 0, 0 },
		{ "parent", 'P', CMD_SET, &parent, NULL, 0, 0 },
		{ "processor", 'c', CMD_NUMBER, &processor, "a number", 0, 255 },
		{ 0 },
	};
	int ret = cmd_options(argc, argv, usage, options);

	if (ret == CMD_GO_ON)
		ret = cmd_no_operands(argc, argv);
	if (ret != CMD_GO_ON)
		return ret;
	if (parent && processor != HVABI_DEBUG_ALL_PROCESSORS)
		return cmd_usage_error("hv: --parent and --processor exclude each other");
	if (parent)
		ret = mshv_counters(NULL, counters, HVABI_COUNT_MAX);
	else if (processor != HVABI_DEBUG_ALL_PROCESSORS)
		ret = mshv_processor_counters((uint32_t)processor, counters, HVABI_COUNT_MAX);
	else
		ret = all_processors(counters);
	if (ret)
		return cmd_error("hv: %s", mshv_error());
	if (json)
		return print_json(counters);
	print_text(counters, all);
	return 0;
}
