// SPDX-License-Identifier: GPL-2.0-only
/* mshv hv: what the bundled hypervisor has counted. */
#include <stdbool.h>
#include <stdio.h>

#include "cmd.h"
#include "libmshv.h"

static const char usage[] =
	"usage: mshv hv [--json] [--all] [--processor N]\n"
	"\n"
	"Shows the counters of the bundled hypervisor about the parent partition: exits by\n"
	"reason, hypercalls (calls, repetitions, failures), events of second-level maps.\n"
	"\n"
	"  -j, --json         as one JSON object\n"
	"  -a, --all          counters that are 0 as well (--json always has all)\n"
	"  -c, --processor N  what happened on that processor, whoever it was for\n";

static void print_json(const uint64_t *counters)
{
	unsigned int i;

	printf("{\n");
	for (i = 0; i < HVABI_COUNT_MAX; i++)
		printf("  \"%s\": %llu%s\n", mshv_counter_name(i),
		       (unsigned long long)counters[i], i + 1 < HVABI_COUNT_MAX ? "," : "");
	printf("}\n");
}

static void print_text(const uint64_t *counters, bool all)
{
	unsigned int i;

	for (i = 0; i < HVABI_COUNT_MAX; i++)
		if (all || counters[i])
			printf("%-40s %12llu\n", mshv_counter_name(i),
			       (unsigned long long)counters[i]);
}

int cmd_hv(int argc, char **argv)
{
	uint64_t counters[HVABI_COUNT_MAX], processor = HVABI_DEBUG_ALL_PROCESSORS;
	bool json = false, all = false;
	const struct cmd_option options[] = {
		{ "json", 'j', CMD_SET, &json, NULL, 0, 0 },
		{ "all", 'a', CMD_SET, &all, NULL, 0, 0 },
		{ "processor", 'c', CMD_NUMBER, &processor, "a number", 0, 255 },
		{ 0 },
	};
	int ret = cmd_options(argc, argv, usage, options);

	if (ret == CMD_GO_ON)
		ret = cmd_no_operands(argc, argv);
	if (ret != CMD_GO_ON)
		return ret;
	ret = processor == HVABI_DEBUG_ALL_PROCESSORS ? mshv_counters(NULL, counters) :
		mshv_processor_counters((uint32_t)processor, counters);
	if (ret)
		return cmd_error("hv: %s", mshv_error());
	if (json)
		print_json(counters);
	else
		print_text(counters, all);
	return 0;
}
