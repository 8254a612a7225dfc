// SPDX-License-Identifier: GPL-2.0-only
/* mshv hv: what the bundled hypervisor has counted. */
#include <getopt.h>
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
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "all", no_argument, NULL, 'a' },
		{ "processor", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	uint64_t counters[HVABI_COUNT_MAX], processor = HVABI_DEBUG_ALL_PROCESSORS;
	bool json = false, all = false;
	int c, ret;

	while ((c = getopt_long(argc, argv, "jac:h", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			json = true;
			break;
		case 'a':
			all = true;
			break;
		case 'c':
			if (cmd_parse_number(optarg, 0, 255, &processor))
				return cmd_usage_error("--processor: not a number: %s", optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind != argc)
		return cmd_usage_error("hv: unexpected argument: %s", argv[optind]);
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
