/* SPDX-License-Identifier: GPL-2.0-only */
/* A disk: virtio 1.2, 5.2, over a file or a block device. */
#ifndef DEVICES_VIRTIO_BLK_H
#define DEVICES_VIRTIO_BLK_H

#include <linux/virtio_blk.h>

#include "virtio_mmio.h"

struct virtio_disk {
	struct virtio virtio;		/* the device on the bus */
	struct virtio_blk_config config;
	int fd;
	uint64_t size;			/* whole sectors */
	bool read_only;
};

/*
 * Opens @path; one that may not be written is a disk that cannot be written. virtio_init() comes
 * after it. -1 with mshv_error().
 */
int virtio_disk_open(struct virtio_disk *disk, const char *path);
void virtio_disk_close(struct virtio_disk *disk);

#endif
