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
	uint8_t *memory;		/* of probe_open_with() or probe_keep(), to be unmapped in the end */
	uint64_t memory_size;
	bool interruptible;		/* an access may end with EINTR */
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
/* The same, and its processors have local APICs. */
int probe_open_with_apic(struct probe *probe);
/* Software-enables the local APIC of a processor: from now on it takes interrupts. Returns 0, or -1 with mshv_error(). */
int probe_enable_apic(struct probe *probe);
/*
 * How many interrupts a processor that does not run was asked for, and the highest vector; afterwards it is as if they had never
 * been. -1 with mshv_error(): it does not say.
 */
int probe_take_interrupts(struct probe *probe, unsigned int *highest);
/* With memory of its own; the boot memory is the caller's to unmap, in probe->boot. */
int probe_open_isolated(struct probe *probe);
/* With one movable region at @gpa: its memory, see probe_memory(), or NULL with mshv_error() set. */
void *probe_open_with(struct probe *probe, uint64_t gpa, uint64_t size, bool huge);
/*
 * Another processor of the guest of @first, for probe_read() and probe_write(): the test destroys second->vcpu before it closes
 * @first.
 */
int probe_second(struct probe *second, const struct probe *first);
/* Memory of the caller's, to be unmapped when the guest is closed; at most one piece. */
void probe_keep(struct probe *probe, void *memory, uint64_t size);
void probe_close(struct probe *probe);

/* One 8-byte access by the guest. Unless it is interruptible, one done again after EINTR is not seen. */
enum probe_outcome probe_read(struct probe *probe, uint64_t gpa, uint64_t *value);
enum probe_outcome probe_write(struct probe *probe, uint64_t gpa, uint64_t value);

/* In a test, with the guest in a variable `probe`, and the memory of its region in `memory`. */
#define GUEST_WRITES(gpa, value) \
	CHECK(probe_write(&probe, gpa, value) == PROBE_DONE, "errno %d, message 0x%x", \
	      probe.error, probe.message.header.message_type)
#define GUEST_READS(gpa, expected) \
	do { \
		uint64_t probe_seen; \
		CHECK(probe_read(&probe, gpa, &probe_seen) == PROBE_DONE, "errno %d, message 0x%x", \
		      probe.error, probe.message.header.message_type); \
		CHECK(probe_seen == (expected), "0x%llx at 0x%llx", (unsigned long long)probe_seen, \
		      (unsigned long long)(gpa)); \
	} while (0)
#define WORD(offset)	(*(volatile uint64_t *)(memory + (offset)))

/* Map calls, NO_ACCESS included, and everything else: a counter of the hypervisor for this guest. */
uint64_t probe_counter(struct probe *probe, unsigned int counter);

/* How many maps were taken away from it, of either size. */
uint64_t probe_maps_taken(struct probe *probe);

/* The same for all guests that there were: of all processors. */
int64_t probe_counted(unsigned int counter);

/* What the driver counted for this guest: "mshv-KEY" in its fdinfo; exits if there is none. */
uint64_t probe_stat(struct probe *probe, const char *key);

/* Pages that the hypervisor has of all partitions: what was deposited and not withdrawn. */
int64_t probe_lent(void);

/* Bytes of anonymous memory, aligned to 2 MiB; with huge pages, or without. */
void *probe_memory(uint64_t size, bool huge);

/* Page number in the parent of an address of this process, or 0. */
uint64_t probe_pfn(const void *address);
/* Whether it is in swap. */
bool probe_swapped(const void *address);

/* Whether any guest reaches this page of the parent. True also if the hypervisor does not say. */
bool probe_reachable(uint64_t pfn);

/*
 * Load and unload the driver; 0 or an errno. Nothing of this process may hold /dev/mshv. Without other
 * parameters it is loaded as by the rig, for tests.
 */
int probe_load_driver(void);
int probe_load_driver_with(const char *parameters);
int probe_unload_driver(void);

/* For a test that stands still: prints where in the kernel each process is, and each thread of the kernel that waits. */
void probe_print_waits(void);

/* A number from /proc/self/status or /proc/meminfo, in its unit (KiB), or -1. */
long probe_proc(const char *file, const char *key);

#endif
