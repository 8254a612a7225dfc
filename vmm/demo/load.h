/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * demo: payloads, the freestanding programs that are guests here (guest/guest_abi.h).
 *
 * A payload takes its memory as one region from guest address 0 on. The file is not believed: every header is checked
 * before anything is copied. Errors as libmshv's: -1, errno and mshv_error().
 */
#ifndef DEMO_LOAD_H
#define DEMO_LOAD_H

#include "libmshv.h"

/*
 * Loads a payload into the guest's memory (one region, from address 0 on), with
 * boot page and page tables for @memory_size bytes and @vps processors. @path without a
 * slash is looked up in $MSHV_PAYLOADS, /usr/lib/mshv.
 */
int mshv_load_payload(struct mshv_vm *vm, const char *path, uint64_t memory_size,
		      unsigned int vps, uint64_t *entry);
/* The same for memory that belongs to no mshv_vm: @memory is guest address 0. */
int mshv_copy_payload(uint8_t *memory, uint64_t memory_size, const char *path, unsigned int vps,
		      uint64_t *entry);

/* Puts a processor to the payload's entry. */
int mshv_boot_vcpu(struct mshv_vcpu *vcpu, uint64_t entry);

#endif
