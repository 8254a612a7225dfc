/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What systems that run guests cost, counted: the same payload, pages and order on each of them.
 *
 * A system (mshv.c, kvm.c) runs a guest with the payload "stamp" and counts what it does for it. A row (rows.c) has the
 * guest or Linux do something, and writes down what was counted meanwhile. Nothing is judged here, and no time is
 * measured: under emulation it means nothing. With -icount the time-stamp counter counts instructions, and only then is
 * it written down.
 *
 * Laws:
 *	- What a system does not count it does not report: a count that is missing is no zero.
 *	- A row that cannot run says why, and the others go on.
 *	- The guest checks what it reads. A wrong stamp is counted, and is never "cannot run".
 */
#ifndef BENCH_H
#define BENCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../vmm/guest/guest_abi.h"

#define PAGE	4096ull
#define BLOCK	(2ull << 20)
#define MIB	(1ull << 20)
#define GIB	(1ull << 30)

/* X(name, key): since the machine is up. */
#define BENCH_COUNTS(X) \
	X(INTERCEPTS,	"intercepts")		/* second-level faults of guests */ \
	X(CALLS,	"hypercalls")		/* of the parent, but those that run a processor */ \
	X(REPS,		"repetitions")		/* of these */ \
	X(MAP_CALLS,	"map-calls") \
	X(MAP_REPS,	"map-repetitions") \
	X(UNMAP_CALLS,	"unmap-calls") \
	X(ACCESS_CALLS,	"access-calls")		/* that ask which pages were used or written */ \
	X(SHOOTDOWNS,	"shoot-downs")		/* of translations of guests */ \
	X(LENT,		"pages-lent")		/* to the hypervisor, less what came back */

enum bench_count {
#define X(name, key) BENCH_##name,
	BENCH_COUNTS(X)
#undef X
	BENCH_COUNT_MAX
};

struct bench_counts {
	bool has[BENCH_COUNT_MAX];
	int64_t value[BENCH_COUNT_MAX];
};

/*
 * What faults cost that were served in full, in instructions: from the guest's exit until the system runs, until it asks for the
 * map, of the call that maps, until it runs the guest again, and until the guest is in.
 */
struct bench_parts {
	uint64_t faults, exit, look, map, back, dispatch;
};

struct bench_guest;

#define BENCH_VPS_MAX	4u

/* BENCH_HUGE: as Linux likes, in huge pages if row_backing() lets it; BENCH_GIGANTIC: hugetlb pages of 1 GiB. */
enum bench_pages { BENCH_SMALL, BENCH_HUGE, BENCH_GIGANTIC };

/**
 * struct bench_system - one that runs guests
 * @start: makes it ready; called once. Returns 0, or -1: mshv_error() says why
 * @open: a guest with @size bytes of memory from guest address 0 on, and @vps processors; nothing of the memory is touched, and
 *	it may be larger than any guest that runs. NULL: mshv_error() says why
 * @boot: loads the payload and starts it. 0 or -1
 * @memory: guest address 0
 * @begin: has a processor do something: it must have done what it was told before. 0 or -1
 * @wait: until it has done it. Returns GUEST_STATUS_*, or -1
 * @read_register: asks for a register of processor 0, which is not in the guest: an ioctl that does little. Returns 0 or -1
 * @track: which pages the guest writes is written down from now on, or no more. 0 or -1
 * @written: a bit for each page of the guest, in whole 64-bit words: written since it was tracked, or since this was asked
 *	last. 0 or -1
 * @large: bytes of the guest that are mapped by 2 MiB in the second-level tables. 0 or -1
 * @time_faults: from now on (@on) faults are timed in parts, or no more; where to store what was timed since the machine is up.
 *	0 or -1. NULL: a fault has no parts that can be told apart from outside
 * @fd: the guest's descriptor, for an ioctl that nobody knows
 * @close: ends it; NULL is fine
 * @count: what has been counted; of @guest, if the system counts by guests
 */
struct bench_system {
	const char *name;
	int (*start)(void);
	struct bench_guest *(*open)(uint64_t size, enum bench_pages pages, unsigned int vps);
	int (*boot)(struct bench_guest *guest);
	uint8_t *(*memory)(struct bench_guest *guest);
	int (*begin)(struct bench_guest *guest, unsigned int vp, enum guest_command command,
		     const struct guest_mailbox *args);
	int (*wait)(struct bench_guest *guest, unsigned int vp);
	int (*read_register)(struct bench_guest *guest);
	int (*track)(struct bench_guest *guest, bool on);
	int (*written)(struct bench_guest *guest, uint64_t *bits);
	int (*large)(struct bench_guest *guest, uint64_t *bytes);
	int (*time_faults)(bool on, struct bench_parts *parts);
	int (*fd)(struct bench_guest *guest);
	void (*close)(struct bench_guest *guest);
	int (*count)(struct bench_guest *guest, struct bench_counts *counts);
};

/*
 * Memory of @size bytes that a guest can have, at a multiple of 2 MiB, of 1 GiB if it is gigantic; NULL: mshv_error() says why.
 * @mapping, @mapped: what is to be unmapped in the end.
 */
uint8_t *bench_memory(uint64_t size, enum bench_pages pages, void **mapping, uint64_t *mapped);

/* /dev/mshv, whichever driver it belongs to, on the bundled hypervisor. */
extern const struct bench_system bench_mshv;
/* /dev/kvm. */
extern const struct bench_system bench_kvm;

/*
 * How the machine was started, which rows have to agree with: as usual; or with -icount, so that the time-stamp counter counts
 * instructions, on one processor or on several.
 */
enum bench_boot { BENCH_COUNTED, BENCH_INSTRUCTIONS, BENCH_PARALLEL };

struct bench_options {
	const struct bench_system *system;
	const char *rows;		/* "M1,M3"; NULL: all */
	bool quick;			/* a sixteenth of the memory */
	enum bench_boot boot;
	uint64_t seed;
};

/* Runs the rows into an array. Returns 0, or -1 if a name is none of a row. */
int bench_rows(const struct bench_options *options, json_t *results);
/* The names of the rows that run in such a boot, one a line. */
void bench_list(FILE *out, enum bench_boot boot);
/* Seconds that each of the loops of M12 takes here. */
json_t *bench_loops(void);

#endif
