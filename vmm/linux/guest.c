// SPDX-License-Identifier: GPL-2.0-only
/*
 * A Linux guest, see guest.h.
 *
 * Each processor has a thread that does nothing but run it; port and memory accesses go to the
 * buses there. The first to have a reason ends the guest for all: the others are kicked out of
 * their processors. Processors but the first are run, too, from the start: the hypervisor keeps
 * them until Linux starts them.
 *
 * A paused guest's processors have been kicked out as well, and their threads wait. Its devices are
 * there; what they have to say waits in the hypervisor's APICs.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "acpi.h"
#include "boot.h"
#include "console.h"
#include "control.h"
#include "devices/bus.h"
#include "devices/ioapic.h"
#include "devices/rtc.h"
#include "devices/serial.h"
#include "devices/user_net.h"
#include "devices/virtio_balloon.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_console.h"
#include "devices/virtio_rng.h"
#include "guest.h"
#include "libmshv.h"

/* What devices leave a run loop with. */
#define LEAVE_POWER_OFF		(1 + LINUX_POWER_OFF)
#define LEAVE_RESET		(1 + LINUX_RESET)

/*
 * Virtio devices have slots: their registers stand in the hole, one page each, and their pins are none
 * that ISA had.
 */
#define VIRTIO_ADDRESS		0xd0000000u
#define VIRTIO_PIN		16u
enum virtio_slot { SLOT_DISK, SLOT_BALLOON, SLOT_RNG, SLOT_NET, SLOT_CONSOLE, SLOTS };
_Static_assert(SLOTS <= ACPI_VIRTIO_MAX && VIRTIO_PIN + SLOTS <= IOAPIC_PINS, "slots");

/* How long processors may take to come to rest: a device may be at work for one of them. */
#define PAUSE_SECONDS		5

struct machine {
	const struct linux_config *config;
	struct mshv_vm *vm;
	struct guest_ram ram;
	struct linux_boot boot;
	struct bus ports, memory;
	struct serial com1;
	struct rtc rtc;
	struct ioapic ioapic;
	struct virtio_disk disk;
	struct virtio_balloon balloon;
	struct virtio_rng rng;
	struct user_net net;
	struct virtio_console hvc0;
	struct virtio *virtio[SLOTS];	/* those that there are */
	struct control control;
	struct processor {
		struct machine *machine;
		struct mshv_vcpu *vcpu;
		pthread_t thread;
		bool started;
	} processor[LINUX_PROCESSORS_MAX];

	pthread_mutex_t lock;		/* protects what follows */
	pthread_cond_t change;
	bool paused;
	unsigned int resting;		/* processors that wait because of it */
	bool ended;
	int how;			/* enum linux_end, or -1 */
	int error;
	char error_text[512];
};

static void end_guest(struct machine *m, int how, int error, const char *why)
{
	pthread_mutex_lock(&m->lock);
	if (!m->ended) {
		m->ended = true;
		m->how = how;
		m->error = error;
		snprintf(m->error_text, sizeof(m->error_text), "%s", why);
		pthread_cond_broadcast(&m->change);
	}
	pthread_mutex_unlock(&m->lock);
}

/* False: the guest has ended, and nobody runs it any more. */
static bool rest_while_paused(struct machine *m)
{
	bool ended;

	pthread_mutex_lock(&m->lock);
	if (m->paused) {
		m->resting++;
		pthread_cond_broadcast(&m->change);
		while (m->paused && !m->ended)
			pthread_cond_wait(&m->change, &m->lock);
		m->resting--;
	}
	ended = m->ended;
	pthread_mutex_unlock(&m->lock);
	return !ended;
}

static void on_user_end(void *arg, const char *why)
{
	end_guest(arg, -1, ECANCELED, why);
}

/* ---- devices ---- */

static int access_sleep(void *device, uint64_t offset, unsigned int size, bool write,
			uint64_t *value)
{
	(void)device;
	(void)size;
	if (!write) {
		*value = 0;
		return 0;
	}
	if (offset != 0 || !(*value & ACPI_SLEEP_ENABLE) ||
	    (*value & ACPI_SLEEP_TYPE_MASK) >> ACPI_SLEEP_TYPE_SHIFT != ACPI_SLEEP_TYPE_S5)
		return 0;
	return LEAVE_POWER_OFF;
}

static int access_reset(void *device, uint64_t offset, unsigned int size, bool write,
			uint64_t *value)
{
	(void)device;
	(void)offset;
	(void)size;
	if (!write)
		*value = 0;
	/* Bit 2 resets, bit 1 says how thoroughly. */
	return write && *value & 0x04 ? LEAVE_RESET : 0;
}

static void com1_interrupt(void *arg, bool level)
{
	struct machine *m = arg;

	ioapic_set_line(&m->ioapic, ACPI_COM1_IRQ, level);
}

static void virtio_interrupt(void *arg, unsigned int pin, bool level)
{
	struct machine *m = arg;

	ioapic_set_line(&m->ioapic, pin, level);
}

static int deliver(void *arg, const struct ioapic_message *message)
{
	struct machine *m = arg;

	return mshv_assert_interrupt(m->vm, message->mode, message->vector, message->dest,
				     message->logical, message->level);
}

static void plug_in(struct machine *m, enum virtio_slot slot, struct virtio *v)
{
	virtio_init(v, &m->ram, virtio_interrupt, m, VIRTIO_PIN + slot);
	m->virtio[slot] = v;
}

static int add_devices(struct machine *m)
{
	unsigned int i;

	if (bus_add(&m->ports, ACPI_COM1_PORT, SERIAL_PORTS, serial_access, &m->com1) ||
	    bus_add(&m->ports, RTC_PORT, RTC_PORTS, rtc_access, &m->rtc) ||
	    bus_add(&m->ports, ACPI_PORT_SLEEP_CONTROL, 2, access_sleep, m) ||
	    bus_add(&m->ports, ACPI_PORT_RESET, 1, access_reset, m) ||
	    bus_add(&m->memory, ACPI_IOAPIC_ADDRESS, IOAPIC_SIZE, ioapic_access, &m->ioapic))
		return mshv_fail("add devices");
	for (i = 0; i < SLOTS; i++)
		if (m->virtio[i] && bus_add(&m->memory, VIRTIO_ADDRESS + i * VIRTIO_SIZE, VIRTIO_SIZE,
					    virtio_access, m->virtio[i]))
			return mshv_fail("add virtio device %u", i);
	return 0;
}

/* ---- processors ---- */

static int on_port(struct mshv_vcpu *vcpu, void *arg, uint16_t port, unsigned int size, bool write,
		   uint32_t *value)
{
	struct processor *p = arg;
	uint64_t wide = *value;
	int ret;

	(void)vcpu;
	ret = bus_access(&p->machine->ports, port, size, write, &wide);
	*value = (uint32_t)wide;
	return ret;
}

static int on_mmio(struct mshv_vcpu *vcpu, void *arg, uint64_t gpa, unsigned int size, bool write, uint64_t *value)
{
	struct processor *p = arg;

	(void)vcpu;
	return bus_access(&p->machine->memory, gpa, size, write, value);
}

static void *guest_memory(void *arg, uint64_t gpa, uint64_t size)
{
	struct machine *m = arg;

	return guest_ram_at(&m->ram, gpa, size);
}

static void discard(void *arg, void *host, uint64_t size)
{
	struct machine *m = arg;

	virtio_balloon_hint(&m->balloon, host, size);
}

static int on_hypercall(struct mshv_vcpu *vcpu, void *arg, uint64_t control, uint64_t input,
			uint64_t output, uint64_t *result)
{
	struct processor *p = arg;
	const struct mshv_extended extended = {
		.size = sizeof(extended),
		.arg = p->machine, .memory = guest_memory,
		.discard = virtio_balloon_discards(&p->machine->balloon) ? discard : NULL,
	};

	(void)vcpu;
	*result = mshv_extended_call(&extended, control, input, output);
	return 0;
}

static int on_other(struct mshv_vcpu *vcpu, void *arg, const struct hvabi_message *message)
{
	const struct hvabi_x64_apic_eoi_message *eoi = (const void *)message->payload;
	struct processor *p = arg;

	(void)vcpu;
	if (message->header.message_type != HVABI_MSG_X64_APIC_EOI)
		return -ENOENT;
	ioapic_eoi(&p->machine->ioapic, (uint8_t)eoi->interrupt_vector);
	return 0;
}

static const struct mshv_handlers handlers = {
	.size = sizeof(handlers),
	.port = on_port,
	.hypercall = on_hypercall,
	.other = on_other,
	.mmio = on_mmio,
};

static void *processor_thread(void *arg)
{
	struct processor *p = arg;
	int ret;

	do {
		if (!rest_while_paused(p->machine))
			return NULL;
		ret = mshv_vcpu_loop(p->vcpu, &handlers, p);
		/* Kicked because of the end or a pause, or a signal that was for somebody else. */
	} while (ret < 0 && errno == EINTR);
	if (ret > 0)
		end_guest(p->machine, ret - 1, 0, "");
	else
		end_guest(p->machine, -1, errno ? errno : EIO, mshv_error());
	return NULL;
}

static int make_processors(struct machine *m)
{
	struct hvabi_register_assoc regs[LINUX_REGISTERS_MAX];
	unsigned int i, count;

	for (i = 0; i < m->config->processors; i++) {
		struct processor *p = &m->processor[i];

		p->machine = m;
		p->vcpu = mshv_vcpu_create(m->vm, i);
		count = i ? linux_other_registers(regs) : linux_boot_registers(&m->boot, regs);
		if (!p->vcpu || mshv_set_registers(p->vcpu, regs, count))
			return -1;
	}
	return 0;
}

static int start_processors(struct machine *m)
{
	unsigned int i;
	int error;

	for (i = 0; i < m->config->processors; i++) {
		struct processor *p = &m->processor[i];

		error = pthread_create(&p->thread, NULL, processor_thread, p);
		if (error)
			return mshv_fail_because(error, "start processor %u: %s", i, strerror(error));
		p->started = true;
	}
	return 0;
}

/* Nobody waits for a device, and none for a reader, from here on. */
static void tell_devices(struct machine *m)
{
	unsigned int i;

	serial_close(&m->com1);
	output_close(&m->hvc0.output);
	for (i = 0; i < SLOTS; i++)
		if (m->virtio[i])
			virtio_close(m->virtio[i]);
}

/*
 * A kick ends RUN_VP. One may wait elsewhere (for a reader, whose last room another has just taken) and others for
 * what it holds: so all that are left hear the signal, until there is none.
 */
static void stop_processors(struct machine *m)
{
	struct timespec soon;
	unsigned int i, j;

	tell_devices(m);
	for (i = 0; i < LINUX_PROCESSORS_MAX; i++)
		if (m->processor[i].started)
			mshv_vcpu_kick(m->processor[i].vcpu, m->processor[i].thread);
	for (i = 0; i < LINUX_PROCESSORS_MAX; i++) {
		if (!m->processor[i].started)
			continue;
		for (;;) {
			clock_gettime(CLOCK_MONOTONIC, &soon);
			soon.tv_sec++;
			if (pthread_clockjoin_np(m->processor[i].thread, NULL, CLOCK_MONOTONIC, &soon) != ETIMEDOUT)
				break;
			for (j = i; j < LINUX_PROCESSORS_MAX; j++)
				if (m->processor[j].started)
					pthread_kill(m->processor[j].thread, SIGUSR1);
		}
	}
	for (i = 0; i < LINUX_PROCESSORS_MAX; i++)
		mshv_vcpu_destroy(m->processor[i].vcpu);
}

/* ---- requests at the control socket ---- */

static int has_ended(void)
{
	return mshv_fail_because(ESHUTDOWN, "the guest has ended");
}

static int on_pause(void *arg)
{
	struct machine *m = arg;
	struct timespec deadline;
	unsigned int i;
	int ret = 0;

	pthread_mutex_lock(&m->lock);
	m->paused = true;
	pthread_mutex_unlock(&m->lock);
	for (i = 0; i < m->config->processors; i++)
		mshv_vcpu_kick(m->processor[i].vcpu, m->processor[i].thread);
	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += PAUSE_SECONDS;
	pthread_mutex_lock(&m->lock);
	while (!m->ended && m->resting < m->config->processors &&
	       pthread_cond_timedwait(&m->change, &m->lock, &deadline) != ETIMEDOUT)
		;
	if (m->ended) {
		ret = has_ended();
	} else if (m->resting < m->config->processors) {
		ret = mshv_fail_because(EBUSY, "%u of %u processors have not come to rest in %d s: "
					"a device is at work for them", m->config->processors - m->resting,
					m->config->processors, PAUSE_SECONDS);
	} else {
		ret = mshv_freeze_time(m->vm, true);
	}
	if (ret) {
		m->paused = false;
		pthread_cond_broadcast(&m->change);
	}
	pthread_mutex_unlock(&m->lock);
	return ret;
}

static int on_resume(void *arg)
{
	struct machine *m = arg;
	int ret = 0;

	pthread_mutex_lock(&m->lock);
	if (m->ended)
		ret = has_ended();
	else if (m->paused)
		ret = mshv_freeze_time(m->vm, false);
	if (!ret) {
		m->paused = false;
		pthread_cond_broadcast(&m->change);
	}
	pthread_mutex_unlock(&m->lock);
	return ret;
}

static int on_stop(void *arg)
{
	end_guest(arg, LINUX_STOPPED, 0, "");
	return 0;
}

static int on_balloon(void *arg, uint64_t size)
{
	struct machine *m = arg;

	if (size % MSHV_PAGE_SIZE)
		return mshv_fail_because(EINVAL, "%llu bytes are not whole pages",
					 (unsigned long long)size);
	if (size < LINUX_MEMORY_MIN || size > m->config->memory_size)
		return mshv_fail_because(EINVAL, "the guest may keep %llu to %llu bytes, not %llu",
					 LINUX_MEMORY_MIN, (unsigned long long)m->config->memory_size,
					 (unsigned long long)size);
	virtio_balloon_set(&m->balloon, m->config->memory_size - size);
	return 0;
}

static void add_number(json_t *to, const char *name, uint64_t value)
{
	/* The guest's own statistics may be anything. */
	json_object_set_new(to, name, json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

static void add_network(json_t *answer, struct user_net *net)
{
	struct user_net_state state;
	json_t *network = json_object();

	user_net_get(net, &state);
	add_number(network, "sent", state.sent);
	add_number(network, "received", state.received);
	add_number(network, "dropped", state.dropped);
	add_number(network, "lost", state.lost);
	json_object_set_new(answer, "network", network);
}

static int on_status(void *arg, json_t *answer, bool *paused)
{
	static const char *const names[VIRTIO_BALLOON_S_NR] = VIRTIO_BALLOON_S_NAMES;
	struct machine *m = arg;
	struct balloon_state state;
	json_t *balloon, *statistics;
	unsigned int i;

	pthread_mutex_lock(&m->lock);
	*paused = m->paused;
	pthread_mutex_unlock(&m->lock);
	virtio_balloon_get(&m->balloon, &state);
	add_number(answer, "pid", (uint64_t)getpid());
	json_object_set_new(answer, "kernel", json_string(m->config->kernel));
	add_number(answer, "memory", m->config->memory_size);
	json_object_set_new(answer, "pinned", json_boolean(m->config->memory_flags & MSHV_MEMORY_PINNED));
	add_number(answer, "processors", m->config->processors);
	balloon = json_object();
	json_object_set_new(balloon, "driver", json_boolean(state.driver));
	add_number(balloon, "wanted", state.target);
	add_number(balloon, "size", state.actual);
	add_number(balloon, "inflated", state.inflated);
	add_number(balloon, "deflated", state.deflated);
	add_number(balloon, "reported", state.reported);
	add_number(balloon, "hinted", state.hinted);
	add_number(balloon, "failed", state.failed);
	json_object_set_new(answer, "balloon", balloon);
	if (m->virtio[SLOT_NET])
		add_network(answer, &m->net);
	/* What the guest said when somebody asked last. */
	statistics = json_object();
	for (i = 0; i < VIRTIO_BALLOON_S_NR; i++)
		if (state.known >> i & 1)
			add_number(statistics, names[i], state.stat[i]);
	json_object_set_new(answer, "statistics", statistics);
	return 0;
}

/*
 * The pages of one piece of memory that the guest has used since somebody asked last, by parts of @part pages. They are
 * told once: Linux, which asks as well, does not see them again. Nothing is tracked for it, or faults would be served
 * in another way than without; so what Linux has taken away meanwhile is not among them.
 */
static int add_accessed(struct machine *m, json_t *pieces, uint64_t start, uint64_t size, uint64_t part)
{
	uint64_t page, pages = size / MSHV_PAGE_SIZE, used = 0;
	uint8_t *bitmap = calloc(1, pages / 8 + 1);
	json_t *piece = json_object(), *counts = json_array();

	json_array_append_new(pieces, piece);
	add_number(piece, "guest-address", start);
	add_number(piece, "size", size);
	add_number(piece, "part-size", part * MSHV_PAGE_SIZE);
	json_object_set_new(piece, "pages", counts);
	if (!bitmap)
		return mshv_fail("accessed");
	if (mshv_access_bitmap(m->vm, start / MSHV_PAGE_SIZE, pages, MSHV_ACCESSED, MSHV_ACCESS_CLEAR, bitmap)) {
		free(bitmap);
		return -1;
	}
	for (page = 0; page < pages; page++) {
		used += bitmap[page / 8] >> page % 8 & 1;
		if (page % part == part - 1 || page == pages - 1) {
			json_array_append_new(counts, json_integer((json_int_t)used));
			used = 0;
		}
	}
	free(bitmap);
	return 0;
}

static int on_accessed(void *arg, unsigned int parts, json_t *answer)
{
	struct machine *m = arg;
	uint64_t pages = m->config->memory_size / MSHV_PAGE_SIZE, part = (pages + parts - 1) / parts;
	const uint64_t block = MSHV_BLOCK_SIZE / MSHV_PAGE_SIZE;
	json_t *pieces = json_array();

	/* Whole blocks: no large map is split by it. With two pieces there may be one part more. */
	part = (part + block - 1) / block * block;
	json_object_set_new(answer, "accessed", pieces);
	if (add_accessed(m, pieces, 0, m->ram.low_size, part))
		return -1;
	return m->ram.high_size ? add_accessed(m, pieces, RAM_HOLE_END, m->ram.high_size, part) : 0;
}

static const struct control_ops control_ops = {
	.status = on_status,
	.pause = on_pause,
	.resume = on_resume,
	.stop = on_stop,
	.balloon = on_balloon,
	.accessed = on_accessed,
};

/* ---- memory and files ---- */

static int add_memory(struct machine *m)
{
	uint64_t size = m->config->memory_size;

	/* Tables and page tables of the start want to be somewhere; the kernel's own wish comes later. */
	if (size < LINUX_MEMORY_MIN)
		return mshv_fail_because(EINVAL, "memory of %llu bytes: a Linux needs at least 16 MiB",
					 (unsigned long long)size);
	m->ram.low_size = size < RAM_HOLE_START ? size : RAM_HOLE_START;
	m->ram.high_size = size - m->ram.low_size;
	m->ram.low = linux_memory_map(&m->config->memory, m->ram.low_size);
	if (!m->ram.low || mshv_region_add(m->vm, 0, m->ram.low, m->ram.low_size, m->config->memory_flags))
		return -1;
	if (!m->ram.high_size)
		return 0;
	m->ram.high = linux_memory_map(&m->config->memory, m->ram.high_size);
	if (!m->ram.high)
		return -1;
	return mshv_region_add(m->vm, RAM_HOLE_END, m->ram.high, m->ram.high_size, m->config->memory_flags);
}

static int map_file(const char *name, struct linux_file *file)
{
	/* A FIFO would be waited for. */
	int fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	void *data;

	if (fd < 0)
		return mshv_fail("%s", name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
		close(fd);
		return mshv_fail_because(EINVAL, "%s: not a file, or empty", name);
	}
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (data == MAP_FAILED)
		return mshv_fail("%s", name);
	*file = (struct linux_file){ name, data, (uint64_t)st.st_size };
	return 0;
}

static void unmap_file(struct linux_file *file)
{
	if (file->data)
		munmap((void *)(uintptr_t)file->data, file->size);
	file->data = NULL;
}

/* Files first: who named a wrong one need not have a hypervisor to hear of it. */
static int open_files(struct machine *m)
{
	const struct linux_config *config = m->config;

	m->boot.command_line = config->command_line;
	if (map_file(config->kernel, &m->boot.kernel) || linux_check_kernel(&m->boot.kernel))
		return -1;
	if (config->initrd && map_file(config->initrd, &m->boot.initrd))
		return -1;
	if (control_open(&m->control, config->control))
		return -1;
	if (config->disk) {
		if (virtio_disk_open(&m->disk, config->disk))
			return -1;
		plug_in(m, SLOT_DISK, &m->disk.virtio);
		virtio_disk_start(&m->disk);
	}
	if (config->net) {
		if (user_net_open(&m->net, config->net))
			return -1;
		plug_in(m, SLOT_NET, &m->net.card.virtio);
		return user_net_start(&m->net);
	}
	return 0;
}

static void close_files(struct machine *m)
{
	unsigned int i;

	unmap_file(&m->boot.kernel);
	unmap_file(&m->boot.initrd);
	control_close(&m->control);
	if (m->virtio[SLOT_DISK])
		virtio_disk_close(&m->disk);
	if (m->virtio[SLOT_NET])
		user_net_close(&m->net);
	for (i = 0; i < SLOTS; i++)
		if (m->virtio[i])
			virtio_destroy(m->virtio[i]);
}

static int load(struct machine *m)
{
	struct acpi_machine acpi = { .processors = m->config->processors };
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		if (m->virtio[i])
			acpi.virtio[acpi.virtio_count++] =
				(struct acpi_virtio){ VIRTIO_ADDRESS + i * VIRTIO_SIZE, VIRTIO_PIN + i };
	m->boot.rsdp = acpi_make_tables(&acpi, m->ram.low + LINUX_ACPI, LINUX_ACPI, LINUX_ACPI_SIZE);
	if (!m->boot.rsdp || linux_load(&m->boot, &m->ram))
		return -1;
	/* The guest has its own now. */
	unmap_file(&m->boot.kernel);
	unmap_file(&m->boot.initrd);
	return 0;
}

/* ---- all of it ---- */

/* What Linux cannot do without, or not well, is worth a line: the guest might not get far. */
static void tell_missing_features(void)
{
	uint64_t assignable;

	if (mshv_assignable_features(&assignable) || !(MSHV_SYNTHETIC_LINUX & ~assignable))
		return;
	fprintf(stderr, "mshv: this hypervisor does not offer its guests all of its clocks and "
		"interrupts (missing: 0x%llx)\n",
		(unsigned long long)(MSHV_SYNTHETIC_LINUX & ~assignable));
}

static void wait_for_end(struct machine *m)
{
	struct timespec deadline;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += m->config->timeout;
	pthread_mutex_lock(&m->lock);
	while (!m->ended) {
		if (!m->config->timeout) {
			pthread_cond_wait(&m->change, &m->lock);
		} else if (pthread_cond_timedwait(&m->change, &m->lock, &deadline) == ETIMEDOUT &&
			   !m->ended) {
			m->ended = true;
			m->how = -1;
			m->error = ETIMEDOUT;
			snprintf(m->error_text, sizeof(m->error_text),
				 "the guest has not ended within %u s", m->config->timeout);
		}
	}
	pthread_mutex_unlock(&m->lock);
}

static int build(struct machine *m)
{
	const struct mshv_vm_config vm_config = {
		.size = sizeof(vm_config),
		.flags = MSHV_VM_LAPIC | MSHV_VM_X2APIC,
		.synthetic_features = MSHV_SYNTHETIC_LINUX,
	};

	if (open_files(m) || mshv_kick_signal(SIGUSR1))
		return -1;
	m->vm = mshv_vm_create_with(&vm_config);
	if (!m->vm)
		return -1;
	tell_missing_features();
	/* A hypervisor that keeps extended hypercalls to itself is none that the guest could ask. */
	mshv_install_intercept(m->vm, HVABI_INTERCEPT_TYPE_HYPERCALL, HVABI_INTERCEPT_ACCESS_MASK_EXECUTE, 0);
	return add_memory(m) || add_devices(m) || load(m) || make_processors(m) ? -1 : 0;
}

static size_t type_to_com1(void *to, const uint8_t *bytes, size_t count)
{
	return serial_input(to, bytes, count);
}

static size_t type_to_hvc0(void *to, const uint8_t *bytes, size_t count)
{
	return virtio_console_input(to, bytes, count);
}

static bool resize_hvc0(void *to)
{
	return virtio_console_resize(to);
}

static int run(struct machine *m)
{
	struct console console = { .input = type_to_com1, .to = &m->com1, .end = on_user_end, .arg = m };
	int lost;

	if (m->virtio[SLOT_CONSOLE]) {
		console.input = type_to_hvc0;
		console.to = &m->hvc0;
		console.resized = resize_hvc0;
	}
	if (console_start(&console)) {
		stop_processors(m);
		return -1;
	}
	/* Requests are about processors: they come when there are some, and go before. */
	if (start_processors(m) || control_start(&m->control, &control_ops, m))
		end_guest(m, -1, errno, mshv_error());
	wait_for_end(m);
	/* A request may wait for one that is at work for the guest. */
	tell_devices(m);
	control_stop(&m->control);
	stop_processors(m);
	console_stop(&console);
	if (m->how < 0)
		return mshv_fail_because(m->error, "%s", m->error_text);
	lost = m->com1.output.error ? m->com1.output.error : m->hvc0.output.error;
	if (lost)
		return mshv_fail_because(lost, "what the guest has printed: %s", strerror(lost));
	return m->how;
}

int linux_guest_run(const struct linux_config *config)
{
	struct machine *m;
	pthread_condattr_t attr;
	int ret, error;

	if (config->processors == 0 || config->processors > LINUX_PROCESSORS_MAX)
		return mshv_fail_because(EINVAL, "%u processors: 1 to %u", config->processors,
					 LINUX_PROCESSORS_MAX);
	m = calloc(1, sizeof(*m));
	if (!m)
		return mshv_fail("make a machine");
	if (virtio_rng_init(&m->rng)) {
		free(m);
		return -1;
	}
	m->config = config;
	m->control.listener = m->control.end = -1;
	pthread_mutex_init(&m->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&m->change, &attr);
	pthread_condattr_destroy(&attr);
	ioapic_init(&m->ioapic, deliver, m);
	rtc_init(&m->rtc);
	virtio_balloon_init(&m->balloon, config->memory_flags & MSHV_MEMORY_PINNED ? -1 :
			    linux_memory_discard(config->memory.backing));
	plug_in(m, SLOT_BALLOON, &m->balloon.virtio);
	plug_in(m, SLOT_RNG, &m->rng.virtio);
	serial_init(&m->com1, STDOUT_FILENO, com1_interrupt, m);
	if (config->virtio_console) {
		virtio_console_init(&m->hvc0, STDOUT_FILENO);
		plug_in(m, SLOT_CONSOLE, &m->hvc0.virtio);
	}
	console_block_signals();
	ret = build(m);
	if (!ret)
		ret = run(m);
	else
		stop_processors(m);
	error = errno;
	/* Devices may still be at work on the guest's memory. */
	close_files(m);
	mshv_vm_destroy(m->vm);
	if (m->ram.low)
		munmap(m->ram.low, m->ram.low_size);
	if (m->ram.high)
		munmap(m->ram.high, m->ram.high_size);
	serial_destroy(&m->com1);
	rtc_destroy(&m->rtc);
	ioapic_destroy(&m->ioapic);
	pthread_mutex_destroy(&m->lock);
	pthread_cond_destroy(&m->change);
	free(m);
	errno = error;
	return ret;
}
