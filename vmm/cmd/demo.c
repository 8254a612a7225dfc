// SPDX-License-Identifier: GPL-2.0-only
/*
 * mshv demo: the demonstration as a table; exit code 0 only if every row holds.
 *
 * mshv check: the same on a host that one wants to know about. Works under any hypervisor, from the driver's counters and the
 * guests' stamps; says what could not be shown there; a row that cannot run there is no failure. Writes a report to send in.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <hvabi/cpuid.h>

#include "cmd.h"
#include "demo.h"
#include "host.h"

static const char usage[] =
	"usage: mshv demo [--memory SIZE] [--touch SIZE] [ROW]...\n"
	"\n"
	"Runs the demonstration of movable guest memory, all rows or the ones named (create,\n"
	"touch, migrate, compact, swap, copy, thp, ksm, overcommit, kill, pinned, passthrough,\n"
	"linux), and prints a table. Meanwhile switches of this machine (balancing of NUMA,\n"
	"free lists, KSM) have other values; they come back, also after Ctrl-C.\n"
	"\n"
	"  -m, --memory SIZE  memory of the guest (default 1G)\n"
	"  -t, --touch SIZE   what the guest works on (default 256M)\n";

static const char check_usage[] =
	"usage: mshv check [--report FILE] [ROW]...\n"
	"\n"
	"Runs the rows of the demonstration (see mshv demo --help) on this host, under whatever\n"
	"hypervisor it has, and says what holds, what could not run, and what only the bundled\n"
	"hypervisor could have shown. Exit code 0 if at least one row holds and none fails.\n"
	"\n"
	"  -r, --report FILE  write kernel, hypervisor, capabilities, counts and results there;\n"
	"                     nothing about persons, names or addresses\n"
	"  -m, --memory SIZE  memory of the guest (default 512M)\n"
	"  -t, --touch SIZE   what the guest works on (default 128M)\n";

static bool wanted(const char *name, int argc, char **argv)
{
	int i;

	if (optind == argc)
		return true;
	for (i = optind; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return false;
}

static const char *verdict(const struct demo_report *report)
{
	if (*report->skipped)
		return "skipped";
	return demo_holds(report) ? "holds" : "FAILS";
}

static void print_rule(void)
{
	printf("---+---------+------------------------------------------------------------------\n");
}

/* The counts of a row are separated by "; ": one line each. */
static void print_counts(const char *counts)
{
	while (*counts) {
		int length = (int)strcspn(counts, ";");

		printf("   |         |   %.*s\n", length, counts);
		counts += length;
		counts += strspn(counts, "; ");
	}
}

static void print_row(unsigned int n, const struct demo_report *report)
{
	unsigned int i;

	printf("%2u | %-7s | %s\n", n + 1, verdict(report), demo_rows[n].title);
	if (*report->skipped)
		print_counts(report->skipped);
	print_counts(report->counts);
	if (*report->unproven)
		printf("   |         | not shown here: %s\n", report->unproven);
	for (i = 0; i < report->checks; i++)
		if (!report->check[i].holds)
			printf("   |         | NOT: %s\n", report->check[i].text);
	print_rule();
}

struct result {
	struct demo_report reports[DEMO_ROWS];
	unsigned int rows, hold, skipped;
};

static void run(struct demo *demo, int argc, char **argv, struct result *result)
{
	struct demo_report *reports = result->reports;
	double start = host_seconds();
	unsigned int i;

	demo_begin(demo);
	for (i = 0; i < DEMO_ROWS; i++) {
		if (!wanted(demo_rows[i].name, argc, argv))
			continue;
		result->rows++;
		printf("[%5.1f s] %u. %s\n", host_seconds() - start, i + 1,
		       demo_rows[i].title);
		fflush(stdout);
		demo_rows[i].run(demo, &reports[i]);
		result->skipped += *reports[i].skipped != 0;
		result->hold += demo_holds(&reports[i]);
		/* The guest of a row that failed must not spoil the next. */
		if (!demo_holds(&reports[i]))
			demo_end(demo);
	}
	demo_finish(demo);
	printf("\nMovable guest memory, shown in %.0f s\n\n", host_seconds() - start);
	printf(" # | verdict | what is shown, and the counts\n");
	print_rule();
	for (i = 0; i < DEMO_ROWS; i++)
		if (wanted(demo_rows[i].name, argc, argv))
			print_row(i, &reports[i]);
	printf("\n%u of %u rows hold", result->hold, result->rows);
	if (result->skipped)
		printf(", %u cannot run here", result->skipped);
	printf("\n");
}

/* Sizes and rows. Returns CMD_GO_ON, or the exit code. */
static int check_args(const struct demo *demo, int argc, char **argv)
{
	unsigned int row;
	int i;

	if (demo->memory_size % MSHV_PAGE_SIZE || demo->touch_size > demo->memory_size ||
	    demo->memory_size - demo->touch_size < DEMO_FIRST_GPA)
		return cmd_usage_error("%s: the guest's memory must be whole pages, and 16M "
				       "more than what it touches", argv[0]);
	for (i = optind; i < argc; i++) {
		for (row = 0; row < DEMO_ROWS; row++)
			if (!strcmp(argv[i], demo_rows[row].name))
				break;
		if (row == DEMO_ROWS)
			return cmd_usage_error("%s: no such row: %s", argv[0], argv[i]);
	}
	return cmd_no_counters(argv[0]) ? 1 : CMD_GO_ON;
}

int cmd_demo(int argc, char **argv)
{
	struct demo demo = { .memory_size = 1ull << 30, .touch_size = 256ull << 20,
			     .progress = stdout };
	const struct cmd_option options[] = {
		{ "memory", 'm', CMD_SIZE, &demo.memory_size, "a size", 1, 0 },
		{ "touch", 't', CMD_SIZE, &demo.touch_size, "a multiple of 8M", 8 << 20, 0 },
		{ 0 },
	};
	static struct result result;
	int ret = cmd_options(argc, argv, usage, options);

	if (ret == CMD_GO_ON)
		ret = check_args(&demo, argc, argv);
	if (ret != CMD_GO_ON)
		return ret;
	run(&demo, argc, argv, &result);
	return result.hold == result.rows ? 0 : 1;
}

/* ---- mshv check ---- */

static void report_capabilities(FILE *f)
{
	struct hvabi_input_get_partition_property_ex in = {
		.property_code = HVABI_PROPERTY_VMM_CAPABILITIES,
	};
	struct hvabi_output_property_bank bank = { 0 };
	const char *device = getenv("MSHV_DEVICE");
	int fd = open(device && *device ? device : "/dev/mshv", O_RDWR | O_CLOEXEC);

	if (fd >= 0 && !mshv_hypercall(fd, HVABI_CALL_GET_PARTITION_PROPERTY_EX, NULL, &in, sizeof(in),
				       &bank, sizeof(bank), NULL))
		fprintf(f, "vmm-capabilities: 0x%llx\n", (unsigned long long)bank.bank[0]);
	else
		fprintf(f, "vmm-capabilities: %s\n", fd < 0 ? strerror(errno) : mshv_error());
	if (fd >= 0)
		close(fd);
}

static void report_hypervisor(FILE *f)
{
	unsigned int eax, ebx, ecx, edx;
	char name[13] = "";

	__cpuid(HVABI_CPUID_VENDOR, eax, ebx, ecx, edx);
	memcpy(name, &ebx, 4);
	memcpy(name + 4, &ecx, 4);
	memcpy(name + 8, &edx, 4);
	fprintf(f, "hypervisor: %s, leaves to 0x%x\n", name, eax);
	__cpuid(HVABI_CPUID_VERSION, eax, ebx, ecx, edx);
	fprintf(f, "hypervisor-version: %u.%u.%u, service pack %u.%u\n", ebx >> 16, ebx & 0xffff, eax, ecx,
		edx);
	__cpuid(HVABI_CPUID_FEATURES, eax, ebx, ecx, edx);
	fprintf(f, "privileges: 0x%08x%08x, features 0x%08x 0x%08x\n", ebx, eax, ecx, edx);
	__cpuid(HVABI_CPUID_RECOMMENDATIONS, eax, ebx, ecx, edx);
	fprintf(f, "recommendations: 0x%08x\n", eax);
	report_capabilities(f);
	fprintf(f, "bundled-hypervisor: %s\n", demo_hypervisor_tells() ? "yes" : "no, or debug calls are off");
}

static void report_host(FILE *f)
{
	struct utsname host;
	char line[64] = "";

	if (!uname(&host))
		fprintf(f, "kernel: %s %s %s\n", host.sysname, host.release, host.machine);
	if (!host_read("/sys/module/mshv_movable/version", line, sizeof(line)))
		fprintf(f, "driver: %s\n", line);
	fprintf(f, "tools: %s\n", MSHV_VERSION);
	fprintf(f, "processors: %ld, nodes: %u, memory: %llu KiB, swap: %llu KiB\n",
		sysconf(_SC_NPROCESSORS_ONLN), host_nodes(),
		(unsigned long long)host_stat("/proc/meminfo", "MemTotal"),
		(unsigned long long)host_stat("/proc/meminfo", "SwapTotal"));
}

static void report_rows(FILE *f, const struct result *result, int argc, char **argv)
{
	for (unsigned int i = 0; i < DEMO_ROWS; i++) {
		const struct demo_report *report = &result->reports[i];

		if (!wanted(demo_rows[i].name, argc, argv))
			continue;
		fprintf(f, "\nrow: %s\nverdict: %s\n", demo_rows[i].name, verdict(report));
		if (*report->skipped)
			fprintf(f, "reason: %s\n", report->skipped);
		if (*report->counts)
			fprintf(f, "counts: %s\n", report->counts);
		if (*report->unproven)
			fprintf(f, "not-shown: %s\n", report->unproven);
		for (unsigned int c = 0; c < report->checks; c++)
			fprintf(f, "%s: %s\n", report->check[c].holds ? "holds" : "FAILS",
				report->check[c].text);
	}
}

static int write_report(FILE *f, const struct result *result, int argc, char **argv)
{
	fprintf(f, "mshv check, format 1\n");
	report_host(f);
	report_hypervisor(f);
	report_rows(f, result, argc, argv);
	fprintf(f, "\nrows: %u, hold: %u, skipped: %u\n", result->rows, result->hold, result->skipped);
	return fflush(f) || ferror(f);
}

/* The verdicts to a file: under another name until it is whole, so one of before stays till then. Only a file can be renamed to. */
struct report_file {
	const char *path;
	char part[4096];	/* empty: @path is no file, and is written to as it is */
};

/* Before minutes of work, not after. Says what is wrong; leaves nothing behind. */
static int find_place(struct report_file *file)
{
	struct stat now;
	int fd;

	if (!lstat(file->path, &now) && !S_ISREG(now.st_mode)) {
		fd = open(file->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	} else {
		if ((size_t)snprintf(file->part, sizeof(file->part), "%s.part", file->path) >= sizeof(file->part)) {
			errno = ENAMETOOLONG;
			return cmd_error("check: %s: %s", file->path, strerror(errno));
		}
		/* Nothing of somebody else's under that name, nor through a link. */
		fd = open(file->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd >= 0)
			unlink(file->part);
	}
	if (fd < 0)
		return cmd_error("check: %s: %s", *file->part ? file->part : file->path, strerror(errno));
	close(fd);
	return 0;
}

static int save_report(const struct report_file *file, const struct result *result, int argc, char **argv)
{
	const char *name = *file->part ? file->part : file->path;
	FILE *f = fopen(name, *file->part ? "wxe" : "we");
	int ret;

	if (!f)
		return cmd_error("check: %s: %s", name, strerror(errno));
	ret = write_report(f, result, argc, argv);
	if (!ret && *file->part)
		ret = fsync(fileno(f));
	if (fclose(f) || ret || (*file->part && rename(name, file->path))) {
		ret = cmd_error("check: %s: %s", file->path, strerror(errno));
		if (*file->part)
			unlink(name);
		return ret;
	}
	return 0;
}

int cmd_check(int argc, char **argv)
{
	struct demo demo = { .memory_size = 512ull << 20, .touch_size = 128ull << 20,
			     .progress = stdout };
	struct report_file file = { 0 };
	const struct cmd_option options[] = {
		{ "report", 'r', CMD_TEXT, &file.path, NULL, 0, 0 },
		{ "memory", 'm', CMD_SIZE, &demo.memory_size, "a size", 1, 0 },
		{ "touch", 't', CMD_SIZE, &demo.touch_size, "a multiple of 8M", 8 << 20, 0 },
		{ 0 },
	};
	static struct result result;
	int ret = cmd_options(argc, argv, check_usage, options);

	if (ret == CMD_GO_ON)
		ret = check_args(&demo, argc, argv);
	if (ret != CMD_GO_ON)
		return ret;
	if (file.path && find_place(&file))
		return 1;
	run(&demo, argc, argv, &result);
	if (!demo_hypervisor_tells())
		printf("\nThis hypervisor, or this driver, does not tell who reaches which page: stamps are the only\n"
		       "witness that a page which Linux took away was out of the guest's reach.\n");
	if (file.path) {
		if (save_report(&file, &result, argc, argv))
			return 1;
		printf("\nreport: %s\n", file.path);
	}
	if (!result.hold && result.skipped == result.rows)
		return cmd_error("check: no row could run here, so nothing is shown");
	return result.hold + result.skipped == result.rows ? 0 : 1;
}
