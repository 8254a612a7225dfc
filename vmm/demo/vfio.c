// SPDX-License-Identifier: GPL-2.0-only
/* demo: a PCI device of this process's own, see vfio.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "libmshv.h"
#include "vfio.h"

#define DEVICES	"/sys/bus/pci/devices/"
#define DRIVER	"/sys/bus/pci/drivers/vfio-pci"
#define BARS	6u

extern char **environ;

struct mshv_vfio {
	char bdf[16];
	int container;
	int group;
	int device;
	bool bound;			/* by us: to be given back */
	struct {
		void *start;		/* NULL: not mapped */
		size_t size;
	} bar[BARS];
};

/* The last part of where a link of the device leads, or NULL. */
static const char *link_end(const char *bdf, const char *name, char *buffer, size_t size)
{
	char path[128];
	ssize_t n;

	snprintf(path, sizeof(path), DEVICES "%s/%s", bdf, name);
	n = readlink(path, buffer, size - 1);
	if (n <= 0)
		return NULL;
	buffer[n] = 0;
	return strrchr(buffer, '/') ? strrchr(buffer, '/') + 1 : buffer;
}

static int load(const char *module)
{
	char *const argv[] = { "modprobe", (char *)(uintptr_t)module, NULL };
	int status, error;
	pid_t pid;

	error = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (error)
		return mshv_fail_because(error, "modprobe: %s", strerror(error));
	if (waitpid(pid, &status, 0) != pid)
		return mshv_fail("modprobe %s", module);
	if (status)
		return mshv_fail_because(ENODEV, "modprobe %s: status 0x%x", module,
					 (unsigned int)status);
	return 0;
}

static int device_write(const char *bdf, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), DEVICES "%s/%s", bdf, file);
	return host_write(path, text);
}

/* Only a device that nobody has is taken, and only for vfio-pci. */
static int bind_device(struct mshv_vfio *vfio)
{
	char buffer[256];
	const char *driver = link_end(vfio->bdf, "driver", buffer, sizeof(buffer));

	if (driver && !strcmp(driver, "vfio-pci"))
		return 0;
	if (driver)
		return mshv_fail_because(EBUSY, "%s: the driver %s has it", vfio->bdf, driver);
	if (device_write(vfio->bdf, "driver_override", "vfio-pci"))
		return -1;
	vfio->bound = true;
	if (host_write("/sys/bus/pci/drivers_probe", vfio->bdf))
		return -1;
	if (!link_end(vfio->bdf, "driver", buffer, sizeof(buffer)))
		return mshv_fail_because(ENODEV, "%s: vfio-pci does not take it", vfio->bdf);
	return 0;
}

static void unbind_device(struct mshv_vfio *vfio)
{
	if (!vfio->bound)
		return;
	host_write(DRIVER "/unbind", vfio->bdf);
	/* An empty line takes the override away. */
	device_write(vfio->bdf, "driver_override", "\n");
}

static int open_group(struct mshv_vfio *vfio)
{
	char buffer[256], path[300];
	const char *group = link_end(vfio->bdf, "iommu_group", buffer, sizeof(buffer));

	if (!group)
		return mshv_fail_because(ENODEV, "%s: no IOMMU before it (intel_iommu=on?)",
					 vfio->bdf);
	snprintf(path, sizeof(path), "/dev/vfio/%s", group);
	vfio->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (vfio->container < 0)
		return mshv_fail("/dev/vfio/vfio");
	vfio->group = open(path, O_RDWR | O_CLOEXEC);
	if (vfio->group < 0)
		return mshv_fail("%s", path);
	if (ioctl(vfio->group, VFIO_GROUP_SET_CONTAINER, &vfio->container))
		return mshv_fail("%s: container", path);
	/* EPERM: the IOMMU remaps no interrupts, and vfio_iommu_type1 was not told to allow that. */
	if (ioctl(vfio->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return mshv_fail("%s: IOMMU", path);
	return 0;
}

static int region(struct mshv_vfio *vfio, unsigned int index, struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){ .argsz = sizeof(*info), .index = index };
	if (ioctl(vfio->device, VFIO_DEVICE_GET_REGION_INFO, info))
		return mshv_fail("%s: region %u", vfio->bdf, index);
	return 0;
}

int mshv_vfio_switch_memory(struct mshv_vfio *vfio, bool on)
{
	uint16_t command = PCI_COMMAND_MASTER | (on ? PCI_COMMAND_MEMORY : 0);
	struct vfio_region_info config;

	if (region(vfio, VFIO_PCI_CONFIG_REGION_INDEX, &config))
		return -1;
	if (pwrite(vfio->device, &command, sizeof(command),
		   (off_t)(config.offset + PCI_COMMAND)) != sizeof(command))
		return mshv_fail("%s: command register", vfio->bdf);
	return 0;
}

static int open_device(struct mshv_vfio *vfio)
{
	vfio->device = ioctl(vfio->group, VFIO_GROUP_GET_DEVICE_FD, vfio->bdf);
	if (vfio->device < 0)
		return mshv_fail("%s: VFIO device", vfio->bdf);
	return mshv_vfio_switch_memory(vfio, true);
}

struct mshv_vfio *mshv_vfio_open(const char *bdf)
{
	struct mshv_vfio *vfio = calloc(1, sizeof(*vfio));
	char path[128];
	int error;

	if (!vfio) {
		mshv_fail("open a device");
		return NULL;
	}
	vfio->container = vfio->group = vfio->device = -1;
	snprintf(path, sizeof(path), DEVICES "%s", bdf);
	if (strlen(bdf) >= sizeof(vfio->bdf) || access(path, F_OK)) {
		mshv_fail_because(ENODEV, "%s: no such PCI device", bdf);
		goto failed;
	}
	strcpy(vfio->bdf, bdf);
	if (load("vfio_iommu_type1") || load("vfio_pci") || bind_device(vfio) ||
	    open_group(vfio) || open_device(vfio))
		goto failed;
	return vfio;
failed:
	error = errno;
	mshv_vfio_close(vfio);
	errno = error;
	return NULL;
}

void mshv_vfio_close(struct mshv_vfio *vfio)
{
	unsigned int i;

	if (!vfio)
		return;
	for (i = 0; i < BARS; i++)
		if (vfio->bar[i].start)
			munmap(vfio->bar[i].start, vfio->bar[i].size);
	/* The device stops before the memory that it may reach is let go. */
	if (vfio->device >= 0) {
		ioctl(vfio->device, VFIO_DEVICE_RESET);
		close(vfio->device);
	}
	if (vfio->group >= 0) {
		ioctl(vfio->group, VFIO_GROUP_UNSET_CONTAINER);
		close(vfio->group);
	}
	if (vfio->container >= 0)
		close(vfio->container);
	unbind_device(vfio);
	free(vfio);
}

volatile void *mshv_vfio_map_bar(struct mshv_vfio *vfio, unsigned int bar, size_t *size)
{
	struct vfio_region_info info;
	void *start;

	if (bar >= BARS) {
		mshv_fail_because(EINVAL, "%s: BAR %u", vfio->bdf, bar);
		return NULL;
	}
	if (!vfio->bar[bar].start) {
		if (region(vfio, VFIO_PCI_BAR0_REGION_INDEX + bar, &info))
			return NULL;
		if (!info.size || !(info.flags & VFIO_REGION_INFO_FLAG_MMAP)) {
			mshv_fail_because(ENXIO, "%s: BAR %u cannot be mapped", vfio->bdf, bar);
			return NULL;
		}
		start = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, vfio->device,
			     (off_t)info.offset);
		if (start == MAP_FAILED) {
			mshv_fail("%s: map BAR %u", vfio->bdf, bar);
			return NULL;
		}
		vfio->bar[bar].start = start;
		vfio->bar[bar].size = info.size;
	}
	if (size)
		*size = vfio->bar[bar].size;
	return vfio->bar[bar].start;
}

int mshv_vfio_dma_map(struct mshv_vfio *vfio, void *address, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)address, .iova = iova, .size = size,
	};

	if (ioctl(vfio->container, VFIO_IOMMU_MAP_DMA, &map))
		return mshv_fail("%s: map 0x%llx bytes for it", vfio->bdf, (unsigned long long)size);
	return 0;
}

int mshv_vfio_dma_unmap(struct mshv_vfio *vfio, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .iova = iova,
						    .size = size };

	if (ioctl(vfio->container, VFIO_IOMMU_UNMAP_DMA, &unmap))
		return mshv_fail("%s: unmap 0x%llx bytes", vfio->bdf, (unsigned long long)size);
	if (unmap.size != size)
		return mshv_fail_because(ENOENT, "%s: 0x%llx of 0x%llx bytes were mapped", vfio->bdf,
					 (unsigned long long)unmap.size, (unsigned long long)size);
	return 0;
}

int mshv_vfio_msi(struct mshv_vfio *vfio, int event)
{
	uint8_t buffer[sizeof(struct vfio_irq_set) + sizeof(int32_t)]
		__attribute__((aligned(__alignof__(struct vfio_irq_set))));
	struct vfio_irq_set *set = (void *)buffer;
	int32_t fd = event;

	*set = (struct vfio_irq_set){
		.argsz = event < 0 ? sizeof(*set) : sizeof(buffer),
		.flags = VFIO_IRQ_SET_ACTION_TRIGGER |
			 (event < 0 ? VFIO_IRQ_SET_DATA_NONE : VFIO_IRQ_SET_DATA_EVENTFD),
		.index = VFIO_PCI_MSI_IRQ_INDEX,
		.count = event < 0 ? 0 : 1,
	};
	memcpy(buffer + sizeof(*set), &fd, sizeof(fd));
	if (ioctl(vfio->device, VFIO_DEVICE_SET_IRQS, set))
		return mshv_fail("%s: interrupts", vfio->bdf);
	return 0;
}
