// SPDX-License-Identifier: GPL-2.0-only
/*
 * mshv run: one guest. A payload, whose exit code is the command's, or with --kernel a Linux, which
 * exits with 0 when it switches off.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "host.h"
#include "linux/guest.h"
#include "session.h"

#define TIMEOUT_MAX	1000000u
#define CPUS		"1 to 8"
_Static_assert(GUEST_VPS_MAX == 8 && LINUX_PROCESSORS_MAX == 8, "CPUS");

#define PAYLOAD_MEMORY	(64ull << 20)
#define LINUX_MEMORY	(512ull << 20)
#define NO_NODE		(~0ull)

static const char usage[] =
	"usage: mshv run [options] PAYLOAD\n"
	"       mshv run [options] --kernel FILE [--initrd FILE] [--append TEXT] [--disk FILE]\n"
	"                [--net user]\n"
	"\n"
	"Runs PAYLOAD (a file, or the name of one in /usr/lib/mshv: hello, stamp, cpu, apic,\n"
	"synic) as a guest, shows its console, and exits with its exit code. Or runs a Linux, with\n"
	"its console (ttyS0, or hvc0) on the terminal; Ctrl-A x ends it.\n"
	"\n"
	"  -k, --kernel FILE   Linux kernel (bzImage, 64 bits)\n"
	"  -i, --initrd FILE   its initial RAM disk\n"
	"  -a, --append TEXT   its command line (default \"console=ttyS0\", and behind it\n"
	"                      \"console=hvc0\" with --console virtio)\n"
	"  -d, --disk FILE     its disk (/dev/vda): a file or block device\n"
	"      --console KIND  serial (ttyS0, the default) or virtio (hvc0)\n"
	"  -n, --net user[,PROTOCOL:PORT:GUESTPORT]...\n"
	"                      its network (eth0): what this user may reach, by DHCP (10.0.2.15);\n"
	"                      ports of 127.0.0.1 are forwarded to it: user,tcp:2222:22\n"
	"      --control PATH  control socket of a Linux (default /run/mshv/PID.sock, if that can\n"
	"                      be made)\n"
	"  -m, --memory SIZE   guest memory, such as 64M or 1G (default 64M, for a Linux 512M)\n"
	"  -c, --cpus N        processors, 1 to 8 (default 1)\n"
	"  -p, --pinned        pin all memory instead of leaving it movable\n"
	"      --prefault      all memory is there before the guest starts; it stays movable\n"
	"  -s, --small-pages   no transparent huge pages\n"
	"      --backing KIND  memory of a Linux: private (default), shared, memfd or hugetlb\n"
	"      --node N        all memory of a Linux from NUMA node N\n"
	"      --merge         let KSM merge a Linux's pages with equal ones of others\n"
	"  -l, --lapic         a local APIC for each processor, and what a Linux is offered;\n"
	"                      a Linux always has them\n"
	"  -t, --timeout SEC   end the guest after SEC seconds\n";

/* What a payload that waits for commands gets to do: stamp all memory, check it, end. */
static int drive(struct mshv_session *s, const struct mshv_session_config *config,
		 unsigned int timeout)
{
	double deadline = host_seconds() + timeout;
	static const enum guest_command steps[] = { GUEST_COMMAND_STAMP, GUEST_COMMAND_CHECK };
	struct guest_mailbox args = {
		.first_gfn = GUEST_FREE / GUEST_PAGE_SIZE,
		.pages = (config->memory_size - GUEST_FREE) / GUEST_PAGE_SIZE,
		.stride = config->vps,
		.version = 1,
		.rounds = 1,
	};
	unsigned int step, vp;
	uint64_t pages;

	for (step = 0; step < 2; step++) {
		pages = 0;
		for (vp = 0; vp < config->vps; vp++) {
			args.offset = vp;
			args.seed = step ? 0x5eed + vp : 0;
			if (mshv_session_command(s, vp, steps[step], &args))
				return cmd_error("%s", mshv_error());
		}
		for (vp = 0; vp < config->vps; vp++) {
			double left = timeout ? deadline - host_seconds() : TIMEOUT_MAX;
			int status = mshv_session_wait(s, vp, left > 0 ? (unsigned int)left + 1 : 0);

			if (status < 0)
				return cmd_error("%s", mshv_error());
			pages += mshv_session_mailbox(s, vp)->done_pages;
			if (status != GUEST_STATUS_OK)
				return cmd_error("processor %u: %llu wrong stamps", vp,
						 (unsigned long long)
						 mshv_session_mailbox(s, vp)->errors);
		}
		printf("%s %llu pages\n", step ? "checked" : "stamped",
		       (unsigned long long)pages);
	}
	return 0;
}

static int run(const struct mshv_session_config *config, const char *payload,
	       unsigned int timeout)
{
	struct mshv_session *s = mshv_session_open(config);
	const char *name = strrchr(payload, '/');
	int ret;

	if (!s)
		return cmd_error("%s", mshv_error());
	if (mshv_session_boot(s, payload)) {
		ret = cmd_error("%s", mshv_error());
	} else if (!strcmp(name ? name + 1 : payload, "stamp")) {
		ret = drive(s, config, timeout);
	} else {
		ret = mshv_session_join(s, timeout);
		if (ret < 0)
			ret = cmd_error("%s", mshv_error());
	}
	fflush(stdout);
	mshv_session_close(s);
	return ret;
}

static int run_linux(const struct linux_config *config)
{
	int end;

	/* The guest writes past stdio. */
	fflush(stdout);
	end = linux_guest_run(config);
	if (end < 0)
		return cmd_error("%s", mshv_error());
	if (end == LINUX_RESET)
		printf("mshv: the guest has reset itself\n");
	if (end == LINUX_STOPPED)
		printf("mshv: the guest was stopped\n");
	return 0;
}

int cmd_run(int argc, char **argv)
{
	struct mshv_session_config config = {
		.console = stdout,
	};
	struct linux_config linux_config = { .memory.node = LINUX_NODE_ANY };
	struct user_net_config net_config;
	const char *backing = NULL, *net = NULL, *console = NULL;
	uint64_t node = NO_NODE;
	uint64_t memory = 0, cpus = 1, timeout = 0;
	bool pinned = false, prefault = false, small_pages = false, lapic = false;
	const struct cmd_option options[] = {
		{ "kernel", 'k', CMD_TEXT, &linux_config.kernel, NULL, 0, 0 },
		{ "initrd", 'i', CMD_TEXT, &linux_config.initrd, NULL, 0, 0 },
		{ "append", 'a', CMD_TEXT, &linux_config.command_line, NULL, 0, 0 },
		{ "disk", 'd', CMD_TEXT, &linux_config.disk, NULL, 0, 0 },
		{ "console", 0, CMD_TEXT, &console, NULL, 0, 0 },
		{ "net", 'n', CMD_TEXT, &net, NULL, 0, 0 },
		{ "control", 0, CMD_TEXT, &linux_config.control, NULL, 0, 0 },
		{ "memory", 'm', CMD_SIZE, &memory, "a size", MSHV_PAGE_SIZE, 0 },
		{ "cpus", 'c', CMD_NUMBER, &cpus, CPUS, 1, GUEST_VPS_MAX },
		{ "pinned", 'p', CMD_SET, &pinned, NULL, 0, 0 },
		{ "prefault", 0, CMD_SET, &prefault, NULL, 0, 0 },
		{ "small-pages", 's', CMD_SET, &small_pages, NULL, 0, 0 },
		{ "backing", 0, CMD_TEXT, &backing, NULL, 0, 0 },
		{ "node", 0, CMD_NUMBER, &node, "a NUMA node", 0, 63 },
		{ "merge", 0, CMD_SET, &linux_config.memory.merge, NULL, 0, 0 },
		{ "lapic", 'l', CMD_SET, &lapic, NULL, 0, 0 },
		{ "timeout", 't', CMD_NUMBER, &timeout, "seconds", 1, TIMEOUT_MAX },
		{ 0 },
	};
	int ret = cmd_options(argc, argv, usage, options);

	if (ret != CMD_GO_ON)
		return ret;
	config.vps = (unsigned int)cpus;
	if (pinned && prefault)
		return cmd_usage_error("run: --prefault: not with --pinned, which has all memory there, too");
	config.memory_flags = (pinned ? MSHV_MEMORY_PINNED : 0) |
			      (prefault ? MSHV_MEMORY_PREFAULT : 0) | (small_pages ? MSHV_MEMORY_SMALL : 0);
	config.memory_size = memory ? memory : PAYLOAD_MEMORY;
	if (lapic) {
		config.vm_flags = MSHV_VM_LAPIC | MSHV_VM_X2APIC;
		config.synthetic_features = MSHV_SYNTHETIC_LINUX | HVABI_SYNTHETIC_SYNIC |
					    HVABI_SYNTHETIC_GUEST_IDLE;
	}
	if (linux_config.kernel) {
		linux_config.memory_size = memory ? memory : LINUX_MEMORY;
		linux_config.memory_flags = config.memory_flags & (MSHV_MEMORY_PINNED | MSHV_MEMORY_PREFAULT);
		linux_config.memory.small = small_pages;
		if (node != NO_NODE)
			linux_config.memory.node = (int)node;
		if (backing && linux_backing_named(backing) < 0)
			return cmd_usage_error("run: --backing: not private, shared, memfd or hugetlb: %s",
					       backing);
		if (console && strcmp(console, "serial") && strcmp(console, "virtio"))
			return cmd_usage_error("run: --console: not serial or virtio: %s", console);
		linux_config.virtio_console = console && !strcmp(console, "virtio");
		if (net && user_net_parse(net, &net_config))
			return cmd_usage_error("run: --net: %s", mshv_error());
		if (net)
			linux_config.net = &net_config;
		if (backing)
			linux_config.memory.backing = (enum linux_backing)linux_backing_named(backing);
		linux_config.processors = config.vps;
		linux_config.timeout = (unsigned int)timeout;
		if (!linux_config.command_line)
			linux_config.command_line = linux_config.virtio_console ?
						    "console=ttyS0 console=hvc0" : "console=ttyS0";
		if (!*linux_config.kernel)
			return cmd_usage_error("run: the kernel's name is empty");
		ret = cmd_no_operands(argc, argv);
		return ret == CMD_GO_ON ? run_linux(&linux_config) : ret;
	}
	if (backing || node != NO_NODE || linux_config.memory.merge)
		return cmd_usage_error("run: --%s: only with --kernel", backing ? "backing" :
				       node != NO_NODE ? "node" : "merge");
	if (linux_config.initrd || linux_config.command_line || linux_config.disk || net || console ||
	    linux_config.control)
		return cmd_usage_error("run: --%s: only with --kernel", linux_config.initrd ? "initrd" :
				       linux_config.disk ? "disk" : net ? "net" : console ? "console" :
				       linux_config.control ? "control" : "append");
	if (optind != argc - 1)
		return cmd_usage_error("run: %s", optind == argc ? "no payload" :
				       "more than one payload");
	if (!*argv[optind])
		return cmd_usage_error("run: the payload's name is empty");
	return run(&config, argv[optind], (unsigned int)timeout);
}
