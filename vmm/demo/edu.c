// SPDX-License-Identifier: GPL-2.0-only
/* demo: QEMU's edu device, see edu.h. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "edu.h"
#include "host.h"
#include "libmshv.h"

#define DEVICES		"/sys/bus/pci/devices"
#define VENDOR		"0x1234"
#define DEVICE		"0x11e8"

#define BUFFER		0x40000u
#define RAISE		0x60u
#define ACKNOWLEDGE	0x64u
#define SOURCE		0x80u
#define TARGET		0x88u
#define COUNT		0x90u
#define COMMAND		0x98u
#define COMMAND_RUN	1u
#define COMMAND_TO_MEMORY	2u

/* Emulated machines are slow. */
#define PATIENCE	60

static bool is_edu(const char *bdf)
{
	char path[sizeof(DEVICES) + 64], line[16];

	snprintf(path, sizeof(path), DEVICES "/%.32s/vendor", bdf);
	if (host_read(path, line, sizeof(line)) || strcmp(line, VENDOR))
		return false;
	snprintf(path, sizeof(path), DEVICES "/%.32s/device", bdf);
	return !host_read(path, line, sizeof(line)) && !strcmp(line, DEVICE);
}

static int find(char *bdf, size_t size)
{
	DIR *devices = opendir(DEVICES);
	struct dirent *entry;
	bool found = false;

	while (devices && !found && (entry = readdir(devices))) {
		found = entry->d_name[0] != '.' && is_edu(entry->d_name);
		snprintf(bdf, size, "%s", entry->d_name);
	}
	if (devices)
		closedir(devices);
	return found ? 0 : mshv_fail_because(ENODEV, "no edu device in this machine");
}

int edu_open(struct edu *edu)
{
	char bdf[256];
	size_t size;

	memset(edu, 0, sizeof(*edu));
	if (find(bdf, sizeof(bdf)))
		return -1;
	edu->vfio = mshv_vfio_open(bdf);
	if (!edu->vfio)
		return -1;
	edu->bar = mshv_vfio_map_bar(edu->vfio, 0, &size);
	if (edu->bar && size > BUFFER && *(volatile uint32_t *)edu->bar == EDU_ID)
		return 0;
	if (edu->bar)
		mshv_fail_because(ENODEV, "%s: not what an edu device looks like", bdf);
	edu_close(edu);
	return -1;
}

void edu_close(struct edu *edu)
{
	int error = errno;

	mshv_vfio_close(edu->vfio);
	memset(edu, 0, sizeof(*edu));
	errno = error;
}

static volatile uint64_t *reg(struct edu *edu, unsigned int offset)
{
	return (volatile uint64_t *)(edu->bar + offset);
}

static int transfer(struct edu *edu, uint64_t source, uint64_t target, uint64_t bytes,
		    uint64_t direction)
{
	double deadline = host_seconds() + PATIENCE;

	if (bytes > EDU_TRANSFER_MAX)
		return mshv_fail_because(EINVAL, "edu: %llu bytes", (unsigned long long)bytes);
	*reg(edu, SOURCE) = source;
	*reg(edu, TARGET) = target;
	*reg(edu, COUNT) = bytes;
	*reg(edu, COMMAND) = COMMAND_RUN | direction;
	while (*reg(edu, COMMAND) & COMMAND_RUN) {
		if (host_seconds() > deadline)
			return mshv_fail_because(ETIMEDOUT, "edu: a transfer does not end");
		usleep(1000);
	}
	return 0;
}

int edu_read_memory(struct edu *edu, uint64_t iova, uint64_t bytes)
{
	return transfer(edu, iova, BUFFER, bytes, 0);
}

int edu_write_memory(struct edu *edu, uint64_t iova, uint64_t bytes)
{
	return transfer(edu, BUFFER, iova, bytes, COMMAND_TO_MEMORY);
}

void edu_interrupt(struct edu *edu)
{
	*(volatile uint32_t *)(edu->bar + RAISE) = 1;
	*(volatile uint32_t *)(edu->bar + ACKNOWLEDGE) = 1;
}
