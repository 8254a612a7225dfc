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

/* X(name, key): since the machine is up. */
#define BENCH_COUNTS(X) \
	X(INTERCEPTS,	"intercepts")		/* second-level faults of guests */ \
	X(CALLS,	"hypercalls")		/* of the parent, but those that run a processor */ \
	X(REPS,		"repetitions")		/* of these */ \
	X(MAP_CALLS,	"map-calls") \
	X(MAP_REPS,	"map-repetitions") \
	X(UNMAP_CALLS,	"unmap-calls") \
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

struct bench_guest;

/**
 * struct bench_system - one that runs guests
 * @start: makes it ready; called once. Returns 0, or -1: mshv_error() says why
 * @open: a guest with @size bytes of memory from guest address 0 on, in small pages or as Linux likes, and one processor;
 *	nothing of the memory is touched, and it may be larger than any guest that runs
 * @boot: loads the payload and starts it
 * @memory: guest address 0
 * @does: has the guest do something and waits. Returns GUEST_STATUS_*, or -1
 * @read_register: asks for a register of the processor, which is not in the guest: an ioctl that does little. Returns 0 or -1
 * @fd: the guest's descriptor, for an ioctl that nobody knows
 * @close: ends it; NULL is fine
 * @count: what has been counted; of @guest, if the system counts by guests
 */
struct bench_system {
	const char *name;
	int (*start)(void);
	struct bench_guest *(*open)(uint64_t size, bool small);
	int (*boot)(struct bench_guest *guest);
	uint8_t *(*memory)(struct bench_guest *guest);
	int (*does)(struct bench_guest *guest, enum guest_command command, const struct guest_mailbox *args);
	int (*read_register)(struct bench_guest *guest);
	int (*fd)(struct bench_guest *guest);
	void (*close)(struct bench_guest *guest);
	int (*count)(struct bench_guest *guest, struct bench_counts *counts);
};

/* /dev/mshv, whichever driver it belongs to, on the bundled hypervisor. */
extern const struct bench_system bench_mshv;
/* /dev/kvm. */
extern const struct bench_system bench_kvm;

struct bench_options {
	const struct bench_system *system;
	const char *rows;		/* "M1,M3"; NULL: all */
	bool quick;			/* a sixteenth of the memory */
	bool instructions;		/* the time-stamp counter counts them: the rows that want that, and no others */
	uint64_t seed;
};

/* Runs the rows into an array. Returns 0, or -1 if a name is none of a row. */
int bench_rows(const struct bench_options *options, json_t *results);
/* The names of the rows that run with or without --instructions, one a line. */
void bench_list(FILE *out, bool instructions);

#endif
