// SPDX-License-Identifier: GPL-2.0-only
/* bench: runs the rows on one system and writes what was counted, as JSON. bench/run boots the systems and calls it. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "../vmm/lib/libmshv.h"
#include "bench.h"

static int usage(FILE *to, int ret)
{
	fprintf(to, "usage: bench --system mshv|kvm --out FILE [--name NAME] [--rows M1,M2] [--quick]\n"
		    "             [--instructions | --parallel] [--seed N]\n"
		    "       bench --list [--instructions | --parallel]\n"
		    "       bench --loops --out FILE\n"
		    "\n"
		    "  --name NAME      how the system is called in the results\n"
		    "  --quick          a sixteenth of the memory\n"
		    "  --instructions   the time-stamp counter counts instructions (QEMU's -icount shift=0): rows that\n"
		    "                   want that, and no others\n"
		    "  --parallel       the same on several processors\n"
		    "  --list           names of the rows of such a boot\n"
		    "  --loops          seconds of the loops of M12\n");
	return ret;
}

/* Returns the exit code; takes @all. */
static int write_json(const char *file, json_t *all)
{
	int ret = all ? json_dump_file(all, file, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : -1;

	json_decref(all);
	if (ret)
		fprintf(stderr, "bench: %s: cannot be written\n", file);
	return ret ? 1 : 0;
}

static int write_results(const char *file, const struct bench_options *options, const char *name, json_t *results)
{
	struct utsname kernel;

	uname(&kernel);
	return write_json(file, json_pack("{s:s, s:s, s:I, s:b, s:o}", "system", name, "kernel", kernel.release, "seed",
					  (json_int_t)options->seed, "quick", options->quick, "cells", results));
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "system", required_argument, NULL, 's' }, { "out", required_argument, NULL, 'o' },
		{ "name", required_argument, NULL, 'n' }, { "rows", required_argument, NULL, 'r' },
		{ "quick", no_argument, NULL, 'q' }, { "instructions", no_argument, NULL, 'i' },
		{ "parallel", no_argument, NULL, 'p' }, { "loops", no_argument, NULL, 'L' },
		{ "seed", required_argument, NULL, 'e' }, { "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	struct bench_options run = { .seed = 0x2545f491 };
	const char *out = NULL, *name = NULL;
	json_t *results;
	bool list = false, loops = false;
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 's':
			run.system = !strcmp(optarg, "mshv") ? &bench_mshv : !strcmp(optarg, "kvm") ? &bench_kvm : NULL;
			if (!run.system) {
				fprintf(stderr, "bench: --system %s: mshv or kvm\n", optarg);
				return 2;
			}
			break;
		case 'o':
			out = optarg;
			break;
		case 'n':
			name = optarg;
			break;
		case 'r':
			run.rows = optarg;
			break;
		case 'q':
			run.quick = true;
			break;
		case 'i':
			run.boot = BENCH_INSTRUCTIONS;
			break;
		case 'p':
			run.boot = BENCH_PARALLEL;
			break;
		case 'L':
			loops = true;
			break;
		case 'e':
			run.seed = strtoull(optarg, &end, 0);
			if (!*optarg || *end || !run.seed) {
				fprintf(stderr, "bench: --seed %s: a number from 1 on\n", optarg);
				return 2;
			}
			break;
		case 'l':
			list = true;
			break;
		case 'h':
			return usage(stdout, 0);
		default:
			return usage(stderr, 2);
		}
	}
	if (list && optind == argc) {
		bench_list(stdout, run.boot);
		return 0;
	}
	if (loops && out && optind == argc)
		return write_json(out, bench_loops());
	if (!run.system || !out || optind < argc)
		return usage(stderr, 2);
	results = json_array();
	if (run.system->start() || bench_rows(&run, results)) {
		fprintf(stderr, "bench: %s\n", mshv_error());
		json_decref(results);
		return 1;
	}
	return write_results(out, &run, name ? name : run.system->name, results);
}
