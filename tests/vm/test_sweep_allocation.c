// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux refuses: each allocation of a guest's life, and of loading the driver, once; and all of them while something ends. What
 * must hold then: life.h. Only a debug kernel has fault injection; all is skipped without.
 *
 *	test_sweep_allocation [STEP]	all steps, or the one of that name; "load": loading only
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <host.h>

#include "life.h"

/* The Nth allocation of one step fails. */
static int nth_file = -1;

static void allocation_arm(unsigned int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	if (pwrite(nth_file, text, strlen(text), 0) < 0)
		perror("fail-nth");
}

/* Returns whether an allocation was refused. The copy to us may be what is refused: then it was none. */
static bool allocation_disarm(void)
{
	char text[16] = "";
	bool refused = pread(nth_file, text, sizeof(text) - 1, 0) > 0 && !atoi(text);

	while (pwrite(nth_file, "0", 1, 0) < 0)
		;
	return refused;
}

/* Every allocation of this task fails, but those that Linux says cannot. Open: that would need some. */
static int starve_file = -1;

static bool starve(bool on)
{
	return pwrite(starve_file, on ? "1" : "0", 1, 0) == 1;
}

static bool one_begin(struct life_refusal *r, const struct life_step *step)
{
	if (r->step == step)
		allocation_arm(r->n);
	return true;
}

static bool one_end(struct life_refusal *r, const struct life_step *step)
{
	if (r->step == step)
		r->refused = allocation_disarm();
	return true;
}

/* No memory in any step that needs nothing. */
static bool all_begin(struct life_refusal *r, const struct life_step *step)
{
	(void)r;
	return step->needs != LIFE_NEEDS_NOTHING || starve(true);
}

static bool all_end(struct life_refusal *r, const struct life_step *step)
{
	(void)r;
	return step->needs != LIFE_NEEDS_NOTHING || starve(false);
}

/* The name of a step: sweep that one only. */
static const char *only;

static enum ktap_result injection_ready(void)
{
	static const char *const knobs[][2] = {
		{ "failslab/task-filter", "Y" },
		{ "failslab/probability", "100" },
		{ "failslab/times", "-1" },
		{ "fail_page_alloc/task-filter", "Y" },
		{ "fail_page_alloc/probability", "100" },
		{ "fail_page_alloc/times", "-1" },
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_usercopy/verbose", "0" },
	};
	char path[128];
	unsigned int i;

	if (nth_file >= 0)
		return PASS;
	nth_file = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_file < 0)
		return ktap_skip("this kernel cannot fail an allocation on demand (FAULT_INJECTION)");
	starve_file = open("/proc/thread-self/make-it-fail", O_RDWR | O_CLOEXEC);
	CHECK(starve_file >= 0, "%s", strerror(errno));
	/* Without a task that asks for it these change nothing. */
	for (i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", knobs[i][0]);
		CHECK(!host_write(path, knobs[i][1]), "%s: %s", path, strerror(errno));
	}
	return PASS;
}

static enum ktap_result sweep_allocations(const struct life_step *steps)
{
	const struct life_step *step;
	unsigned int tried, failed;
	long kernel;

	CHECK_PASS(injection_ready());
	CHECK_PASS(life_begin(steps, &kernel));
	for (step = steps; step->name; step++) {
		struct life_refusal r = {
			.what = "allocation", .begin = one_begin, .end = one_end, .step = step,
		};

		if (only && strcmp(only, step->name))
			continue;

		tried = life_met.refused;
		failed = life_met.failed;
		for (r.n = 1;; r.n = life_next(r.n)) {
			r.refused = false;
			CHECK_PASS(life_run(steps, &r));
			if (!r.refused)
				break;
		}
		ktap_note("%-28s %3u of fewer than %4u allocations refused, %3u times it failed (%s)",
			  step->name, life_met.refused - tried, r.n, life_met.failed - failed,
			  life_met.failed > failed ? strerror(life_met.error) : "never");
	}
	if (only)
		return PASS;
	CHECK(life_met.refused > 0 && life_met.failed > 0, "no allocation was refused");
	/* Nothing that Linux takes away waits for an allocation. */
	CHECK(!life_met.dead, "%u guests died", life_met.dead);
	return life_nothing_charged(kernel);
}

/*
 * What Linux allocates of its own when it loads a driver is of no interest here, and of the fields and folders of tracepoints it
 * warns that they must not fail. The driver's own come last.
 */
#define LOADING_LAST	64u
#define LOADING_MOST	1000000u

/* Allocations of loading the driver, counted: none is refused. */
static enum ktap_result count_loading(unsigned int *count)
{
	char text[16] = "";
	int error;

	allocation_arm(LOADING_MOST);
	error = probe_load_driver();
	CHECK(pread(nth_file, text, sizeof(text) - 1, 0) > 0 && !allocation_disarm());
	CHECK(!error, "%s", strerror(error));
	*count = LOADING_MOST - (unsigned int)atoi(text);
	CHECK(!probe_unload_driver(), "%s", strerror(errno));
	return PASS;
}

/* The first test: nothing has opened /dev/mshv yet, which could not be unloaded then. */
static enum ktap_result allocations_loading(void)
{
	unsigned int count, n, failed = 0;
	struct probe probe;
	bool refused;
	int error;

	CHECK_PASS(injection_ready());
	if (only && strcmp(only, "load"))
		return ktap_skip("only \"%s\" is wanted", only);
	CHECK(!probe_unload_driver(), "%s", strerror(errno));
	/* The second time, when Linux keeps what it has freed at hand. */
	CHECK_PASS(count_loading(&count));
	CHECK_PASS(count_loading(&count));
	CHECK(count > LOADING_LAST && count < LOADING_MOST, "%u", count);
	/* The driver may need one less or more than it did, so there is no last one: until none is refused. */
	for (n = count - LOADING_LAST; ; n++) {
		allocation_arm(n);
		error = probe_load_driver();
		refused = allocation_disarm();
		CHECK(!error || (refused && life_good_errno(error)), "%u: %s", n, strerror(error));
		CHECK(!error == !access("/dev/mshv", F_OK), "%u: %s", n, strerror(error));
		failed += !!error;
		if (!error)
			CHECK(!probe_unload_driver(), "%u", n);
		if (!refused)
			break;
		/* Nothing is in the way of the next one. */
		if (n % 8)
			continue;
		CHECK((error = probe_load_driver()) == 0, "%u: %s", n, strerror(error));
		CHECK(!probe_unload_driver(), "%u", n);
	}
	ktap_note("loading: the last %u of %u allocations refused, %u times it failed",
		  n - (count - LOADING_LAST), n - 1, failed);
	CHECK(failed > 0);
	CHECK((error = probe_load_driver()) == 0, "%s", strerror(error));
	CHECK(!probe_open(&probe), "%s", mshv_error());
	probe_close(&probe);
	return PASS;
}

/* What ends something does not fail, though every single allocation does. */
static enum ktap_result no_memory_at_all(void)
{
	struct life_refusal r = { .what = "all allocations", .begin = all_begin, .end = all_end };
	long kernel;

	CHECK_PASS(injection_ready());
	CHECK_PASS(life_begin(life_movable, &kernel));
	for (r.n = 1; r.n <= 5; r.n++) {
		CHECK_PASS(life_run(life_raw, &r));
		CHECK_PASS(life_run(life_movable, &r));
		CHECK_PASS(life_run(life_isolated, &r));
	}
	return life_nothing_charged(kernel);
}

static enum ktap_result allocations_raw(void)
{
	return sweep_allocations(life_raw);
}

static enum ktap_result allocations_movable(void)
{
	CHECK_PASS(sweep_allocations(life_movable));
	if (only)
		return PASS;
	CHECK(life_met.moved > 0, "no second node?");
	CHECK(life_met.swapped > 0, "no swap?");
	CHECK(life_met.split > 0, "no huge pages?");
	return PASS;
}

static enum ktap_result allocations_isolated(void)
{
	return sweep_allocations(life_isolated);
}

static bool has_step(const struct life_step *steps, const char *name)
{
	for (; steps->name; steps++)
		if (!strcmp(steps->name, name))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	static const struct ktap_test tests[] = {
		{ "allocations refused: loading the driver", allocations_loading },
		{ "no memory at all, at the end", no_memory_at_all },
		{ "allocations refused: a bare partition", allocations_raw },
		{ "allocations refused: a guest", allocations_movable },
		{ "allocations refused: an isolated guest", allocations_isolated },
	};

	if (argc > 2) {
		fprintf(stderr, "usage: test_sweep_allocation [STEP]\n");
		return 2;
	}
	if (argc == 2)
		only = argv[1];
	if (only && strcmp(only, "load") && !has_step(life_raw, only) && !has_step(life_movable, only) &&
	    !has_step(life_isolated, only)) {
		fprintf(stderr, "test_sweep_allocation: no step is called \"%s\"\n", only);
		return 2;
	}
	life_prepare();
	return KTAP_RUN(tests);
}
