/* SPDX-License-Identifier: GPL-2.0-only */
/* A Linux guest from beginning to end: a small PC on /dev/mshv with a serial console. */
#ifndef LINUX_GUEST_H
#define LINUX_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/user_net.h"
#include "memory.h"

#define LINUX_PROCESSORS_MAX	8u
#define LINUX_MEMORY_MIN	(16ull << 20)

struct linux_config {
	const char *kernel;		/* files */
	const char *initrd;		/* or NULL */
	const char *command_line;
	const char *disk;		/* or NULL */
	const struct user_net_config *net;	/* or NULL */
	const char *control;		/* socket, or NULL: as control_open() says */
	uint64_t memory_size;		/* a multiple of 4096 */
	struct linux_memory memory;
	unsigned int memory_flags;	/* MSHV_MEMORY_PINNED, MSHV_MEMORY_PREFAULT */
	unsigned int processors;
	bool virtio_console;		/* hvc0, which gets the input; what ttyS0 prints is seen all the same */
	unsigned int timeout;		/* seconds, 0: none */
};

/* LINUX_STOPPED: by a request at the control socket. */
enum linux_end { LINUX_POWER_OFF, LINUX_RESET, LINUX_STOPPED };

/*
 * Runs the guest until it ends, its console on standard input and output; returns how it ended
 * (enum linux_end), or -1 with mshv_error(). If standard input is a terminal, it is raw meanwhile,
 * and Ctrl-A x ends the guest.
 */
int linux_guest_run(const struct linux_config *config);

#endif
