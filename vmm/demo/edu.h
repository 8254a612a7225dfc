/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * demo: QEMU's "edu" device, which does DMA when told, driven through VFIO (vfio.h).
 *
 * (QEMU docs/specs/edu.rst.) BAR 0 has its registers, and a 4 KiB buffer that only DMA reaches: a transfer copies between
 * that buffer and memory. Its addresses have 28 bits.
 */
#ifndef DEMO_EDU_H
#define DEMO_EDU_H

#include <stdbool.h>
#include <stdint.h>

#include "vfio.h"

#define EDU_ID		0x010000edu	/* the first register of BAR 0 */
#define EDU_LIVENESS	0x04u		/* answers the inverse of what was written */
#define EDU_IOVA_LIMIT	(1ull << 28)
/* QEMU 7.2 dies of a transfer of the whole buffer. */
#define EDU_TRANSFER_MAX	4088u

struct edu {
	struct mshv_vfio *vfio;
	volatile uint8_t *bar;
};

/* Finds the first such device of this machine and takes it. Returns 0, or -1 with errno: ENODEV if there is none. */
int edu_open(struct edu *edu);
void edu_close(struct edu *edu);

/* A transfer from memory at @iova into the buffer, or back; over when the call returns. -1: the device does not end it. */
int edu_read_memory(struct edu *edu, uint64_t iova, uint64_t bytes);
int edu_write_memory(struct edu *edu, uint64_t iova, uint64_t bytes);

/* One interrupt (mshv_vfio_msi()), acknowledged already. */
void edu_interrupt(struct edu *edu);

#endif
