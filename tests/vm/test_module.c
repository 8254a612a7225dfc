// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module: loads and unloads cleanly, not while it is in use, and not where it does not belong.
 *
 *	test_module		under the hypervisor, driver loaded
 *	test_module refuse	on a machine without it: the driver refuses, and says why
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/klog.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "ktap.h"
#include "probe.h"

#define MODULE	"mshv_movable"

/* Returns 0 or an errno. */
static int load(void)
{
	struct utsname name;
	char path[512];
	int fd, ret;

	uname(&name);
	snprintf(path, sizeof(path), "/lib/modules/%s/updates/" MODULE ".ko", name.release);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ENOENT;
	ret = syscall(SYS_finit_module, fd, "", 0) ? errno : 0;
	close(fd);
	return ret;
}

static int unload(void)
{
	return syscall(SYS_delete_module, MODULE, O_NONBLOCK) ? errno : 0;
}

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
		CHECK(!unload(), "%s, round %d", strerror(errno), i);
		CHECK(!device_there());
		CHECK(!load(), "%s, round %d", strerror(errno), i);
		CHECK(device_there());
	}
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
		CHECK(unload() == EWOULDBLOCK);
		probe_close(&probe);
		CHECK(!unload(), "nothing holds it any more");
		CHECK(!load());
	}
	return PASS;
}

static enum ktap_result twice(void)
{
	CHECK(load() == EEXIST);
	CHECK(device_there());
	return PASS;
}

static enum ktap_result refused(void)
{
	CHECK(load() == ENODEV);
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
	};
	static const struct ktap_test refuse[] = {
		{ "no hypervisor, no driver", refused },
	};

	if (argc > 1 && !strcmp(argv[1], "refuse"))
		return KTAP_RUN(refuse);
	return KTAP_RUN(tests);
}
