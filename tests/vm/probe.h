/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest that does one thing: one access to one guest physical address, when told.
 *
 * It has 256 KiB of its own at guest address 0 (page tables, four instructions), identity-mapped up to 512 GiB, so regions
 * may be put anywhere from PROBE_FREE on. The test sees what the access did: the value, the errno of MSHV_RUN_VP, or the
 * message that went to the VMM.
 */
#ifndef TESTS_PROBE_H
#define TESTS_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include <libmshv.h>

#define PAGE		4096ull
#define BLOCK		(2ull << 20)
/* First guest address free for tests. */
#define PROBE_FREE	(4ull << 20)

struct probe {
	struct mshv_vm *vm;
	struct mshv_vcpu *vcpu;
	uint8_t *boot;
	int error;			/* errno of the last access, 0 if none */
	struct hvabi_message message;	/* of the last access */
};

enum probe_outcome {
	PROBE_DONE,	/* the guest went on */
	PROBE_VMM,	/* a memory intercept went to the VMM, the ioctl returned 0 */
	PROBE_ERROR,	/* the ioctl failed: probe.error */
};

/* Returns 0, or -1 with mshv_error() set. Close also after a failure. */
int probe_open(struct probe *probe);
/* With memory of its own; the boot memory is the caller's to unmap, in probe->boot. */
int probe_open_isolated(struct probe *probe);
void probe_close(struct probe *probe);

/* One 8-byte access by the guest. A retried access (EINTR) is not seen. */
enum probe_outcome probe_read(struct probe *probe, uint64_t gpa, uint64_t *value);
enum probe_outcome probe_write(struct probe *probe, uint64_t gpa, uint64_t value);

/* Map calls, NO_ACCESS included, and everything else: a counter of the hypervisor for this guest. */
uint64_t probe_counter(struct probe *probe, unsigned int counter);

/* Pages that the hypervisor has of all partitions: what was deposited and not withdrawn. */
int64_t probe_lent(void);

/* Bytes of anonymous memory, aligned to 2 MiB; with huge pages, or without. */
void *probe_memory(uint64_t size, bool huge);

/* Page number in the parent of an address of this process, or 0. */
uint64_t probe_pfn(const void *address);

/* Load and unload the driver; 0 or an errno. Nothing of this process may hold /dev/mshv. */
int probe_load_driver(void);
int probe_unload_driver(void);

/* A number from /proc/self/status or /proc/meminfo, in its unit (KiB), or -1. */
long probe_proc(const char *file, const char *key);

#endif
