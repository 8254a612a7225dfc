/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The bundled hypervisor's counters by the raw-call module (tests/kmod): around the driver, so they are there whichever
 * driver is loaded, and whatever it lets through.
 */
#ifndef TESTS_RAW_H
#define TESTS_RAW_H

#include <stdint.h>

#include <hvabi/debug.h>

/* Loads ./mshv_rawcall.ko unless it is loaded. Returns a descriptor, or -1 with errno. */
int raw_open(void);

/*
 * All HVABI_COUNT_MAX counters of the parent and of all guests, also of those that are gone, since the machine is up. Returns
 * 0, or -1: this hypervisor does not count.
 */
int raw_counters(int device, uint64_t *sum);

/* Sets an option of the hypervisor (HVABI_OPTION_*). Returns 0, or -1: it has no such option. */
int raw_set_option(int device, uint32_t option, uint64_t value);

/* All guests' maps of a page of the parent. Returns 0, or -1: this hypervisor does not say. */
int raw_who_can_reach(int device, uint64_t page, struct hvabi_output_debug_who_can_reach *answer);

#endif
