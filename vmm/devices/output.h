/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where what a guest prints goes. A reader that does not take it now is waited for; one that is gone is
 * not, and nobody is once it was closed. What a full disk does not take is lost, and what comes after is
 * tried again.
 */
#ifndef DEVICES_OUTPUT_H
#define DEVICES_OUTPUT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct output {
	int fd;				/* -1: nowhere */
	size_t piece;			/* what can be written without waiting if anything can */
	atomic_bool closed;
	int error;			/* what was printed is not all there: why, or 0 */
};

void output_init(struct output *o, int fd);
/* From one thread at a time. */
void output_write(struct output *o, const uint8_t *bytes, size_t count);
/*
 * From any thread: from now on nobody waits for whoever takes the output. Otherwise a reader that
 * has stopped reading stops the guest's processor, too.
 */
void output_close(struct output *o);

#endif
