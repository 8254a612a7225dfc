/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KTAP for the test programs that run in the parent partition.
 *
 * A program has a table of tests and calls ktap_run(). A test returns PASS, FAIL or SKIP; CHECK() leaves it with FAIL and says
 * what was expected and where. Every claim is checked by code that can fail: a test that cannot tell does SKIP, with a reason.
 */
#ifndef TESTS_KTAP_H
#define TESTS_KTAP_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum ktap_result { PASS, FAIL, SKIP };

struct ktap_test {
	const char *name;
	enum ktap_result (*run)(void);
};

static char ktap_reason[256];
/* Called after each test, whatever its result. */
static void (*ktap_cleanup)(void);

/*
 * The kernel checks all it does: it is slower than emulated guests by a factor that no process meets, and keeps what was freed
 * for a while.
 */
static inline bool ktap_debug_kernel(void)
{
	return !access("/sys/kernel/debug/kmemleak", F_OK);
}

/* A line for people. */
static inline void __attribute__((format(printf, 1, 2))) ktap_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
}

static inline enum ktap_result __attribute__((format(printf, 1, 2)))
ktap_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ktap_reason, sizeof(ktap_reason), format, args);
	va_end(args);
	return SKIP;
}

#define CHECK(condition, ...) \
	do { \
		if (!(condition)) { \
			printf("# %s:%d: not so: %s:", __FILE__, __LINE__, #condition); \
			printf(" " __VA_ARGS__); \
			printf("\n"); \
			return FAIL; \
		} \
	} while (0)

/* Like CHECK, for functions that return a test's result. */
#define CHECK_PASS(call) \
	do { \
		enum ktap_result ktap_called = (call); \
		if (ktap_called != PASS) \
			return ktap_called; \
	} while (0)

/* NUMA balancing takes pages away on its own, on a slow machine in the middle of anything; who wants that switches it on. */
static inline void ktap_no_balancing(void)
{
	int fd = open("/proc/sys/kernel/numa_balancing", O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, "0", 1) != 1)
		printf("# NUMA balancing stays on\n");
	close(fd);
}

/* Returns the program's exit code. */
static inline int ktap_run(const struct ktap_test *tests, unsigned int count)
{
	unsigned int i, failed = 0;
	enum ktap_result result;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..%u\n", count);
	ktap_no_balancing();
	for (i = 0; i < count; i++) {
		result = tests[i].run();
		if (ktap_cleanup)
			ktap_cleanup();
		switch (result) {
		case PASS:
			printf("ok %u %s\n", i + 1, tests[i].name);
			break;
		case SKIP:
			printf("ok %u %s # SKIP %s\n", i + 1, tests[i].name, ktap_reason);
			break;
		default:
			printf("not ok %u %s\n", i + 1, tests[i].name);
			failed++;
		}
	}
	return failed != 0;
}

#define KTAP_RUN(tests) ktap_run(tests, sizeof(tests) / sizeof((tests)[0]))

/* For main(): all tests, or the one that is named. */
static inline int ktap_main(int argc, char **argv, const struct ktap_test *tests, unsigned int count)
{
	unsigned int i;

	if (argc == 1)
		return ktap_run(tests, count);
	for (i = 0; argc == 2 && i < count; i++)
		if (!strcmp(argv[1], tests[i].name))
			return ktap_run(&tests[i], 1);
	fprintf(stderr, "usage: %s [NAME OF A TEST], one of:\n", argv[0]);
	for (i = 0; i < count; i++)
		fprintf(stderr, "  %s\n", tests[i].name);
	return 2;
}

#define KTAP_MAIN(argc, argv, tests) ktap_main(argc, argv, tests, sizeof(tests) / sizeof((tests)[0]))

#endif
