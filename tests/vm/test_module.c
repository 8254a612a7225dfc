// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module: loads and unloads cleanly, not while it is in use, and not where it does not belong.
 *
 *	test_module		under the hypervisor, driver loaded
 *	test_module scheduled	the same, where the hypervisor schedules the guests
 *	test_module refuse	on a machine without it: the driver refuses, and says why
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/klog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hvabi/status.h>

#include <host.h>

#include "ktap.h"
#include "probe.h"

static bool device_there(void)
{
	return !access("/dev/mshv", F_OK);
}

static bool log_says(const char *text)
{
	static char log[1 << 20];
	int size = klogctl(3, log, sizeof(log) - 1);

	log[size < 0 ? 0 : size] = 0;
	return strstr(log, text);
}

static enum ktap_result load_unload(void)
{
	long slab = 0;
	int i;

	for (i = 0; i < 30; i++) {
		if (i == 5)
			slab = probe_proc("/proc/meminfo", "SUnreclaim");
		CHECK(!probe_unload_driver(), "%s, round %d", strerror(errno), i);
		CHECK(!device_there());
		CHECK(!probe_load_driver(), "%s, round %d", strerror(errno), i);
		CHECK(device_there());
	}
	/* A debug kernel keeps for a while what was freed (KASAN), and tells leaks by name (kmemleak). */
	if (!ktap_debug_kernel())
		CHECK(probe_proc("/proc/meminfo", "SUnreclaim") < slab + 1024, "%ld KiB, before %ld",
		      probe_proc("/proc/meminfo", "SUnreclaim"), slab);
	return PASS;
}

static enum ktap_result guests_between(void)
{
	struct probe probe;
	uint64_t value;
	int i;

	for (i = 0; i < 5; i++) {
		CHECK(!probe_open(&probe), "%s", mshv_error());
		CHECK(probe_read(&probe, 0x10000, &value) == PROBE_DONE, "errno %d", probe.error);
		/* In use: by a device, a partition, a processor. */
		CHECK(probe_unload_driver() == EWOULDBLOCK);
		probe_close(&probe);
		CHECK(!probe_unload_driver(), "nothing holds it any more");
		CHECK(!probe_load_driver());
	}
	return PASS;
}

static enum ktap_result twice(void)
{
	CHECK(probe_load_driver() == EEXIST);
	CHECK(device_there());
	return PASS;
}

/* In a process of its own, so that nobody has /dev/mshv open afterwards. */
static bool refuse_next(unsigned int code)
{
	int status = 1;
	pid_t pid = fork();

	if (!pid)
		_exit(mshv_hypervisor_option(HVABI_OPTION_REFUSE_STATUS, HVABI_STATUS_OPERATION_FAILED) ||
		      mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL, code) ||
		      mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL_AT, 1));
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

/* A hypervisor that cannot answer at this moment: no driver that takes it for one of less capability. */
static enum ktap_result capabilities_refused(void)
{
	struct probe probe;

	CHECK(refuse_next(HVABI_CALL_GET_PARTITION_PROPERTY_EX));
	CHECK(!probe_unload_driver());
	CHECK(probe_load_driver() == EIO);
	CHECK(!device_there());
	CHECK(log_says("mshv: not loaded: the hypervisor does not tell"), "no reason in the kernel log");
	CHECK(!probe_load_driver());
	CHECK(!probe_open(&probe), "%s", mshv_error());
	probe_close(&probe);
	return PASS;
}

/* As on a real host: the debug calls are not passed on, and a guest does not need them. */
static enum ktap_result no_debug_calls(void)
{
	int status = 1;
	pid_t pid;

	CHECK(!probe_unload_driver());
	CHECK(!probe_load_driver_with(""));
	pid = fork();
	if (!pid) {
		static uint64_t counters[HVABI_COUNT_MAX];
		struct probe probe;
		uint64_t value;

		/* mshv_counters() uses the device, and is told EINVAL by the driver. */
		if (!mshv_counters(NULL, counters, HVABI_COUNT_MAX) || !probe_reachable(1) ||
		    !mshv_hypervisor_option(HVABI_OPTION_STRICT, 0))
			_exit(1);
		if (probe_open(&probe) || probe_read(&probe, 0x10000, &value) != PROBE_DONE)
			_exit(2);
		probe_close(&probe);
		_exit(0);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && !status, "0x%x", status);
	CHECK(!probe_unload_driver());
	CHECK(!probe_load_driver());
	return PASS;
}

/* Which of two schedulers there is, is asked at load and told; switched at run time it holds for the next load. */
static enum ktap_result schedulers(void)
{
	int status = 1;
	pid_t pid;

	CHECK(log_says("mshv: virtual processors are scheduled by the hypervisor"),
	      "not told in the kernel log");
	CHECK(!log_says("mshv: virtual processors are scheduled by Linux"));
	/* It keeps the device open. */
	pid = fork();
	if (!pid)
		_exit(!!mshv_hypervisor_option(HVABI_OPTION_SCHEDULER, HVABI_SCHEDULER_OPTION_ROOT));
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && !status, "0x%x", status);
	CHECK(!probe_unload_driver());
	CHECK(!probe_load_driver());
	CHECK(log_says("mshv: virtual processors are scheduled by Linux"), "not told in the kernel log");
	return guests_between();
}

/* Linux does not go to sleep with memory lent: it could not read it, and nobody knows what becomes of the guests. */
static enum ktap_result no_sleep(void)
{
	struct probe probe;
	uint64_t value;

	if (access("/sys/power/state", W_OK))
		return ktap_skip("this kernel cannot suspend");
	host_write("/sys/power/pm_test", "freezer");
	CHECK(!probe_open(&probe), "%s", mshv_error());
	CHECK(host_write("/sys/power/state", "freeze") && errno == EBUSY, "%s", strerror(errno));
	CHECK(log_says("are lent to the hypervisor: end all guests before"), "no reason in the kernel log");
	probe_close(&probe);
	/* With nothing lent it does, and there are guests afterwards. */
	host_write("/sys/module/suspend/parameters/pm_test_delay", "1");
	for (unsigned int i = 0; i < 2; i++) {
		CHECK(!host_write("/sys/power/state", "freeze"), "%s", strerror(errno));
		CHECK(!probe_open(&probe), "%s", mshv_error());
		CHECK(probe_read(&probe, 0x10000, &value) == PROBE_DONE, "errno %d", probe.error);
		probe_close(&probe);
	}
	return PASS;
}

static enum ktap_result refused(void)
{
	CHECK(probe_load_driver() == ENODEV);
	CHECK(!device_there());
	CHECK(log_says("mshv: not loaded: no Microsoft Hypervisor"), "no reason in the kernel log");
	return PASS;
}

int main(int argc, char **argv)
{
	static const struct ktap_test tests[] = {
		{ "load and unload", load_unload },
		{ "guests in between", guests_between },
		{ "not twice", twice },
		{ "capabilities refused", capabilities_refused },
		{ "no debug calls unless asked for", no_debug_calls },
		{ "no sleep with memory lent", no_sleep },
	};
	static const struct ktap_test refuse[] = {
		{ "no hypervisor, no driver", refused },
	};

	static const struct ktap_test scheduled[] = {
		{ "guests that the hypervisor schedules", guests_between },
		{ "no sleep with memory lent", no_sleep },
		{ "which scheduler", schedulers },
	};

	if (argc > 1 && !strcmp(argv[1], "refuse"))
		return KTAP_RUN(refuse);
	if (argc > 1 && !strcmp(argv[1], "scheduled"))
		return KTAP_RUN(scheduled);
	return KTAP_RUN(tests);
}
