// SPDX-License-Identifier: GPL-2.0-only
/*
 * Booting Linux: good and bad kernels made in memory, memory maps, the boot processor's state, ACPI
 * tables (by their structure, and by iasl where there is one), and the console's commands.
 */
#include <asm/bootparam.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/acpi.h"
#include "linux/boot.h"
#include "linux/console.h"
#include "vmm.h"

#define SETUP_SECTORS	4u
#define KERNEL_BYTES	0x3000u
#define FILE_BYTES	((SETUP_SECTORS + 1) * 512 + KERNEL_BYTES)

static uint8_t kernel[FILE_BYTES + 512];
static struct guest_ram ram;
static struct linux_boot boot;

static struct setup_header *header(void)
{
	return (void *)(kernel + 0x1f1);
}

static void map_ram(uint64_t size)
{
	uint64_t low = size < RAM_HOLE_START ? size : RAM_HOLE_START;

	if (ram.low)
		munmap(ram.low, ram.low_size);
	ram.low_size = low;
	ram.high_size = size - low;
	ram.low = mmap(NULL, low, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		       MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(ram.low, MAP_FAILED);
}

static int setup(void **state)
{
	struct setup_header *h = header();

	(void)state;
	for (unsigned int i = 0; i < sizeof(kernel); i++)
		kernel[i] = (uint8_t)(i * 7 + i / 256);
	memset(kernel + 0x1f1, 0, sizeof(*h));
	h->setup_sects = SETUP_SECTORS;
	h->syssize = KERNEL_BYTES / 16;
	h->boot_flag = 0xaa55;
	kernel[0x201] = 0x1f1 + sizeof(*h) - 0x202;
	h->header = 0x53726448;
	h->version = 0x20f;
	h->loadflags = LOADED_HIGH;
	h->xloadflags = XLF_KERNEL_64;
	h->pref_address = 16 * MIB;
	h->init_size = 4 * MIB;
	h->initrd_addr_max = 0x7fffffff;
	h->cmdline_size = 2047;
	h->relocatable_kernel = 1;
	h->kernel_alignment = 0x200000;
	h->setup_data = 0x4444;
	map_ram(64 * MIB);
	boot = (struct linux_boot){
		.kernel = { "kernel", kernel, sizeof(kernel) },
		.command_line = "console=ttyS0",
		.rsdp = 0xe0000,
	};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	munmap(ram.low, ram.low_size);
	ram.low = NULL;
	return 0;
}

static void a_good_kernel(void **state)
{
	static const uint8_t initrd[5000] = { 1, 2, 3 };
	const struct boot_params *zero;

	(void)state;
	boot.initrd = (struct linux_file){ "initrd", initrd, sizeof(initrd) };
	assert_int_equal(linux_load(&boot, &ram), 0);
	zero = (const void *)(ram.low + LINUX_ZERO_PAGE);
	assert_int_equal(boot.load_address, 16 * MIB);
	assert_int_equal(boot.entry, 16 * MIB + 0x200);
	assert_memory_equal(ram.low + 16 * MIB, kernel + 5 * 512, KERNEL_BYTES);
	/* What is behind the kernel in its file is a signature, and none of the guest's business. */
	assert_int_equal(ram.low[16 * MIB + KERNEL_BYTES], 0);
	assert_int_equal(boot.initrd_address, 64 * MIB - 8192);
	assert_memory_equal(ram.low + boot.initrd_address, initrd, sizeof(initrd));
	assert_string_equal((char *)ram.low + LINUX_COMMAND_LINE, "console=ttyS0");

	assert_int_equal(zero->hdr.header, 0x53726448);
	assert_int_equal(zero->hdr.type_of_loader, 0xff);
	assert_int_equal(zero->hdr.cmd_line_ptr, LINUX_COMMAND_LINE);
	assert_int_equal(zero->hdr.ramdisk_image, boot.initrd_address);
	assert_int_equal(zero->hdr.ramdisk_size, sizeof(initrd));
	assert_int_equal(zero->hdr.setup_data, 0);
	assert_int_equal(zero->hdr.init_size, 4 * MIB);
	assert_int_equal(zero->acpi_rsdp_addr, 0xe0000);
	assert_int_equal(zero->sentinel, 0);
	assert_int_equal(zero->e820_entries, 5);
	assert_int_equal(zero->e820_table[4].addr, MIB);
	assert_int_equal(zero->e820_table[4].size, 63 * MIB);
	assert_int_equal(zero->e820_table[4].type, 1);
}

static void no_initrd(void **state)
{
	const struct boot_params *zero;

	(void)state;
	boot.command_line = NULL;
	header()->setup_sects = 0;		/* 4, that is */
	assert_int_equal(linux_load(&boot, &ram), 0);
	zero = (const void *)(ram.low + LINUX_ZERO_PAGE);
	assert_int_equal(zero->hdr.ramdisk_image, 0);
	assert_int_equal(zero->hdr.ramdisk_size, 0);
	assert_string_equal((char *)ram.low + LINUX_COMMAND_LINE, "");
	assert_memory_equal(ram.low + 16 * MIB, kernel + 5 * 512, KERNEL_BYTES);
}

static void an_old_header_is_short(void **state)
{
	const struct boot_params *zero;

	(void)state;
	/* The file's code begins behind a header that has no kernel_info_offset. */
	kernel[0x201] -= 4;
	header()->kernel_info_offset = 0xdeadbeef;
	assert_int_equal(linux_load(&boot, &ram), 0);
	zero = (const void *)(ram.low + LINUX_ZERO_PAGE);
	assert_int_equal(zero->hdr.kernel_info_offset, 0);
	assert_int_equal(zero->hdr.init_size, 4 * MIB);
}

static void refused(int error, const char *why)
{
	errno = 0;
	assert_int_equal(linux_load(&boot, &ram), -1);
	assert_int_equal(errno, error);
	if (!strstr(mshv_error(), why))
		fail_msg("\"%s\" does not say \"%s\"", mshv_error(), why);
}

static void bad_kernels(void **state)
{
	static const uint64_t short_sizes[] = { 0, 1, 0x1f1, 0x200, 0x207 };

	for (unsigned int i = 0; i < 5; i++) {
		boot.kernel.size = short_sizes[i];
		refused(ENOEXEC, "kernel: not a bzImage");
	}
	boot.kernel.size = 0x220;
	refused(ENOEXEC, "cut off within its header");
	boot.kernel.size = FILE_BYTES - 1;
	refused(ENOEXEC, "kernel: cut off: 14847 bytes of 14848");
	assert_int_equal(linux_check_kernel(&boot.kernel), -1);
	boot.kernel.size = FILE_BYTES;
	assert_int_equal(linux_check_kernel(&boot.kernel), 0);
	assert_int_equal(linux_load(&boot, &ram), 0);

	header()->boot_flag = 0;
	refused(ENOEXEC, "not a bzImage");
	setup(state);
	header()->header++;
	refused(ENOEXEC, "not a bzImage");
	setup(state);
	header()->version = 0x20b;
	refused(ENOEXEC, "boot protocol 2.11, at least 2.12");
	header()->version = 0x20c;
	assert_int_equal(linux_load(&boot, &ram), 0);
	header()->loadflags = 0;
	refused(ENOEXEC, "zImage");
	setup(state);
	header()->xloadflags = XLF_CAN_BE_LOADED_ABOVE_4G;
	refused(ENOEXEC, "32-bit kernel");
	setup(state);
	header()->syssize = 0;
	refused(ENOEXEC, "of no size");
	header()->syssize = ~0u;
	refused(ENOEXEC, "cut off");
	setup(state);
	header()->setup_sects = 255;
	refused(ENOEXEC, "cut off");
	setup(state);
	memcpy(kernel, "\177ELF", 4);
	memset(kernel + 4, 0, sizeof(kernel) - 4);
	refused(ENOEXEC, "not a bzImage");
}

static void kernels_that_do_not_fit(void **state)
{
	(void)state;
	map_ram(20 * MIB - 4096);
	refused(ENOMEM, "does not fit into the guest's memory: it needs 20 MiB");
	map_ram(20 * MIB);
	assert_int_equal(linux_load(&boot, &ram), 0);
	map_ram(8 * MIB);
	refused(ENOMEM, "does not fit");
	map_ram(MIB);
	refused(EINVAL, "less than 2 MiB");
	map_ram(64 * MIB);
	header()->init_size = ~0u;
	refused(ENOMEM, "does not fit");
	header()->init_size = 0;
	header()->pref_address = 64 * MIB - KERNEL_BYTES + 4096;
	refused(ENOMEM, "does not fit");
	header()->pref_address = 64 * MIB - KERNEL_BYTES;
	assert_int_equal(linux_load(&boot, &ram), 0);
	header()->pref_address = UINT64_MAX & ~4095ull;
	refused(ENOMEM, "does not fit");
	header()->pref_address = 0x9000;
	refused(ENOEXEC, "cannot be loaded where");
	header()->pref_address = 16 * MIB + 1;
	refused(ENOEXEC, "cannot be loaded where");
}

static void initrd_sizes(void **state)
{
	static uint8_t initrd[44 * MIB + 1];

	(void)state;
	boot.initrd = (struct linux_file){ "initrd", initrd, 44 * MIB };
	assert_int_equal(linux_load(&boot, &ram), 0);
	assert_int_equal(boot.initrd_address, 20 * MIB);
	boot.initrd.size++;
	refused(ENOMEM, "initrd: 46137345 bytes are too large");
	boot.initrd.size = UINT64_MAX;
	refused(ENOMEM, "too large");
	boot.initrd.size = 100;
	header()->initrd_addr_max = 32 * MIB - 1;
	assert_int_equal(linux_load(&boot, &ram), 0);
	assert_int_equal(boot.initrd_address, 32 * MIB - 4096);
	header()->initrd_addr_max = 20 * MIB - 1;
	refused(ENOMEM, "too large");
	header()->initrd_addr_max = 0;
	refused(ENOMEM, "too large");
	/* Nor any of the kernel, which may need more than it says. */
	header()->init_size = 0;
	header()->initrd_addr_max = 16 * MIB + KERNEL_BYTES + 4096 - 1;
	assert_int_equal(linux_load(&boot, &ram), 0);
	assert_int_equal(boot.initrd_address, 16 * MIB + KERNEL_BYTES);
	header()->initrd_addr_max = 16 * MIB + KERNEL_BYTES + 99 - 1;
	refused(ENOMEM, "initrd: 100 bytes are too large: between the kernel and the end of memory are 99");
	header()->init_size = 4 * MIB;
	/* Nothing of memory above the hole is used, whatever the kernel allows. */
	header()->initrd_addr_max = ~0u;
	map_ram(5 * GIB);
	assert_int_equal(linux_load(&boot, &ram), 0);
	assert_int_equal(boot.initrd_address, 3 * GIB - 4096);
}

static void command_lines(void **state)
{
	static char text[0x20000];

	(void)state;
	memset(text, 'a', 2047);
	boot.command_line = text;
	assert_int_equal(linux_load(&boot, &ram), 0);
	assert_string_equal((char *)ram.low + LINUX_COMMAND_LINE, text);
	text[2047] = 'a';
	refused(E2BIG, "the command line has 2048 characters, this kernel takes 2047");
	header()->cmdline_size = ~0u;
	memset(text, 'a', sizeof(text) - 1);
	refused(E2BIG, "takes 65535");
}

static void memory_maps(void **state)
{
	static const uint64_t sizes[] = { 512 * MIB, 3 * GIB, 4 * GIB, 8 * GIB };
	static const uint64_t low[] = { 511 * MIB, 3 * GIB - MIB, 3 * GIB - MIB, 3 * GIB - MIB };
	static const uint64_t high[] = { 0, 0, GIB, 5 * GIB };
	struct linux_e820_entry map[LINUX_E820_MAX];

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int count, k;
		uint64_t total = 0;

		map_ram(sizes[i]);
		count = linux_e820(&ram, map);
		assert_int_equal(count, high[i] ? 6 : 5);
		assert_int_equal(map[0].start, 0);
		assert_int_equal(map[0].size, 0x9fc00);
		assert_int_equal(map[0].type, LINUX_E820_RAM);
		assert_int_equal(map[1].start, 0xa0000);
		assert_int_equal(map[1].type, LINUX_E820_RESERVED);
		assert_int_equal(map[2].start, 0xe0000);
		assert_int_equal(map[2].type, LINUX_E820_ACPI);
		assert_int_equal(map[3].start + map[3].size, MIB);
		assert_int_equal(map[3].type, LINUX_E820_RESERVED);
		assert_int_equal(map[4].start, MIB);
		assert_int_equal(map[4].size, low[i]);
		if (high[i]) {
			assert_int_equal(map[5].start, 4 * GIB);
			assert_int_equal(map[5].size, high[i]);
			assert_int_equal(map[5].type, LINUX_E820_RAM);
		}
		for (k = 1; k < count; k++)
			assert_true(map[k - 1].start + map[k - 1].size <= map[k].start);
		for (k = 4; k < count; k++)
			total += map[k].size;
		assert_int_equal(total, sizes[i] - MIB);
	}
}

static const struct hvabi_register_assoc *find(const struct hvabi_register_assoc *regs,
					       unsigned int count, uint32_t name)
{
	const struct hvabi_register_assoc *found = NULL;

	for (unsigned int i = 0; i < count; i++) {
		if (regs[i].name == name) {
			assert_null(found);
			found = &regs[i];
		}
	}
	assert_non_null(found);
	return found;
}

static void the_boot_processor(void **state)
{
	static const uint32_t segments[] = { HVABI_REG_DS, HVABI_REG_ES, HVABI_REG_SS,
					     HVABI_REG_FS, HVABI_REG_GS };
	struct hvabi_register_assoc regs[LINUX_REGISTERS_MAX];
	const uint64_t *gdt, *table;
	unsigned int count;

	(void)state;
	assert_int_equal(linux_load(&boot, &ram), 0);
	count = linux_boot_registers(&boot, regs);
#define VALUE(name) find(regs, count, HVABI_REG_##name)->value
	assert_int_equal(VALUE(RIP).reg64, 16 * MIB + 0x200);
	assert_int_equal(VALUE(RSI).reg64, LINUX_ZERO_PAGE);
	assert_int_equal(VALUE(RFLAGS).reg64, 2);
	assert_int_equal(VALUE(CR0).reg64 & 0x80000001, 0x80000001);
	assert_int_equal(VALUE(CR4).reg64, 0x20);
	assert_int_equal(VALUE(EFER).reg64, 0x500);
	assert_int_equal(VALUE(APIC_BASE).reg64, 0xfee00d00);
	assert_int_equal(VALUE(IDTR).table.limit, 0);
	assert_int_equal(VALUE(CS).segment.selector, 0x10);
	/* Present, code, 64 bits. */
	assert_int_equal(VALUE(CS).segment.attributes & 0x209b, 0x209b);
	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(find(regs, count, segments[i])->value.segment.selector, 0x18);
		assert_int_equal(find(regs, count, segments[i])->value.segment.attributes & 0x9f, 0x93);
	}
	/* The GDT has what is loaded. */
	gdt = (const void *)(ram.low + VALUE(GDTR).table.base);
	assert_true(VALUE(GDTR).table.limit >= 0x2f);
	assert_int_equal(gdt[2] >> 40 & 0xff, 0x9b);
	assert_int_equal(gdt[2] >> 53 & 1, 1);
	assert_int_equal(gdt[3] >> 40 & 0xff, 0x93);
	/* Each address below 4 GiB is itself. */
	for (uint64_t address = 0; address < 4 * GIB; address += 0x3fe12345) {
		table = (const void *)(ram.low + VALUE(CR3).reg64);
		assert_int_equal(table[0] & 0xfff, 3);
		table = (const void *)(ram.low + (table[0] & ~0xfffull));
		assert_int_equal(table[address >> 30] & 0xfff, 3);
		table = (const void *)(ram.low + (table[address >> 30] & ~0xfffull));
		assert_int_equal(table[address >> 21 & 511], (address & ~0x1fffffull) | 0x83);
	}
	count = linux_other_registers(regs);
	assert_int_equal(VALUE(APIC_BASE).reg64, 0xfee00c00);
}

/* ---- ACPI ---- */

static uint8_t area[LINUX_ACPI_SIZE];

static const uint8_t *at(uint64_t gpa)
{
	assert_true(gpa >= LINUX_ACPI && gpa < LINUX_ACPI + LINUX_ACPI_SIZE);
	return area + (gpa - LINUX_ACPI);
}

static uint64_t number(const uint8_t *from, unsigned int bytes)
{
	uint64_t value = 0;

	memcpy(&value, from, bytes);
	return value;
}

static void sums_to_zero(const uint8_t *from, uint64_t count)
{
	uint8_t sum = 0;

	while (count--)
		sum = (uint8_t)(sum + *from++);
	assert_int_equal(sum, 0);
}

static const uint8_t *table(uint64_t gpa, const char *signature, uint32_t *length)
{
	const uint8_t *t = at(gpa);

	assert_int_equal(gpa % 8, 0);
	assert_memory_equal(t, signature, 4);
	*length = (uint32_t)number(t + 4, 4);
	assert_true(*length >= 36);
	sums_to_zero(t, *length);
	return t;
}

/* Tables by their signature, as Linux finds them. */
static const uint8_t *find_table(const char *signature, uint32_t *length)
{
	const uint8_t *xsdt;
	uint32_t size;

	assert_memory_equal(area, "RSD PTR ", 8);
	sums_to_zero(area, 20);
	sums_to_zero(area, 36);
	assert_int_equal(area[15], 2);
	assert_int_equal(number(area + 20, 4), 36);
	xsdt = table(number(area + 24, 8), "XSDT", &size);
	if (!strcmp(signature, "DSDT"))
		return table(number(find_table("FACP", length) + 140, 8), "DSDT", length);
	for (uint32_t i = 36; i < size; i += 8)
		if (!memcmp(at(number(xsdt + i, 8)), signature, 4))
			return table(number(xsdt + i, 8), signature, length);
	fail_msg("no %s", signature);
	return NULL;
}

static void make(unsigned int processors, unsigned int virtio)
{
	struct acpi_machine machine = { .processors = processors, .virtio_count = virtio };

	for (unsigned int i = 0; i < virtio; i++)
		machine.virtio[i] = (struct acpi_virtio){ 0xd0000000 + 0x1000 * i, 5 + i };
	memset(area, 0xee, sizeof(area));
	assert_int_equal(acpi_make_tables(&machine, area, LINUX_ACPI, sizeof(area)), LINUX_ACPI);
}

static void fixed_tables(void **state)
{
	const uint8_t *t;
	uint32_t length;

	(void)state;
	make(1, 0);
	t = find_table("FACP", &length);
	assert_int_equal(length, 276);
	assert_int_equal(t[8], 6);
	assert_int_equal(number(t + 40, 4), number(t + 140, 8));
	/* Hardware-reduced, physical APIC destinations, with a reset register. */
	assert_int_equal(number(t + 112, 4) & 0x180400, 0x180400);
	assert_memory_equal(t + 116, "\x01\x08\x00\x01\xf9\x0c\x00\x00\x00\x00\x00\x00", 12);
	assert_int_equal(t[128], 6);
	/* A clock with a century, and no VGA. */
	assert_int_equal(t[108], 0x32);
	assert_int_equal(number(t + 109, 2), 4);
	assert_memory_equal(t + 244, "\x01\x08\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00", 12);
	assert_memory_equal(t + 256, "\x01\x08\x00\x01\x01\x06\x00\x00\x00\x00\x00\x00", 12);
}

static void processors(void **state)
{
	(void)state;
	for (unsigned int n = 1; n <= 8; n++) {
		unsigned int lapics = 0, ioapics = 0;
		const uint8_t *t;
		uint32_t length;

		make(n, 0);
		t = find_table("APIC", &length);
		assert_int_equal(number(t + 36, 4), 0xfee00000);
		for (uint32_t i = 44; i < length; i += t[i + 1]) {
			assert_true(t[i + 1] >= 2);
			if (t[i] == 0) {
				assert_int_equal(t[i + 1], 8);
				assert_int_equal(t[i + 2], lapics);
				assert_int_equal(t[i + 3], lapics);
				assert_int_equal(number(t + i + 4, 4), 1);
				lapics++;
			} else if (t[i] == 1) {
				assert_int_equal(t[i + 1], 12);
				assert_int_equal(number(t + i + 4, 4), 0xfec00000);
				assert_int_equal(number(t + i + 8, 4), 0);
				ioapics++;
			}
		}
		assert_int_equal(lapics, n);
		assert_int_equal(ioapics, 1);
	}
}

static const uint8_t *find_bytes(const uint8_t *from, uint64_t count, const char *bytes,
				 uint64_t size)
{
	return memmem(from, count, bytes, size);
}

static void devices_in_aml(void **state)
{
	static const char s5[] = "\x08_S5_\x12\x46\x00\x02\x0a\x05\x00";
	static const char com1[] = "\x47\x01\xf8\x03\xf8\x03\x01\x08\x89\x06\x00\x03\x01\x04\x00\x00\x00\x79";
	static const char rtc[] = "\x0c\x41\xd0\x0b\x00\x08_CRS\x11\x4f\x00\x0b\x0a\x00"
				  "\x47\x01\x70\x00\x70\x00\x01\x02\x79";
	static const char vr01[] = "\x86\x09\x00\x01\x00\x10\x00\xd0\x00\x10\x00\x00"
				   "\x89\x06\x00\x01\x01\x06\x00\x00\x00\x79";

	(void)state;
	for (unsigned int n = 0; n <= ACPI_VIRTIO_MAX; n++) {
		const uint8_t *t, *scope;
		uint32_t length;

		make(2, n);
		t = find_table("DSDT", &length);
		assert_non_null(find_bytes(t, length, s5, sizeof(s5) - 1));
		assert_non_null(find_bytes(t, length, com1, sizeof(com1) - 1));
		assert_non_null(find_bytes(t, length, rtc, sizeof(rtc) - 1));
		assert_int_equal(!!find_bytes(t, length, vr01, sizeof(vr01) - 1), n > 1);
		/* The scope reaches to the table's end, and devices fill it. */
		scope = t + 36 + sizeof(s5) - 1;
		assert_int_equal(scope[0], 0x10);
		assert_int_equal(1u + ((scope[1] & 0xf) | scope[2] << 4), t + length - scope);
		unsigned int devices = 0;
		for (const uint8_t *d = scope + 8; d < t + length; devices++) {
			assert_memory_equal(d, "\x5b\x82", 2);
			d += 2 + ((d[2] & 0xf) | d[3] << 4);
		}
		assert_int_equal(devices, 2 + n);
	}
}

/* What a compiler of the language makes of it. */
static void iasl_reads_it(void **state)
{
	char folder[] = "/tmp/test_linux.XXXXXX", command[256], text[20000];
	static const char *const names[] = { "DSDT", "FACP", "APIC", "XSDT" };
	static const char *const said[] = {
		"DefinitionBlock", "Device (COM1)", "PNP0501", "Device (RTC)", "PNP0B00", "Device (VR07)", "LNRO0005",
		"Name (_S5, Package", "0xD0007000", "Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive",
		"Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive",
	};
	FILE *f;

	(void)state;
	if (system("command -v iasl >/dev/null 2>&1"))
		skip();
	make(8, ACPI_VIRTIO_MAX);
	assert_non_null(mkdtemp(folder));
	for (unsigned int i = 0; i < 3; i++) {
		uint32_t length;
		const uint8_t *t = find_table(names[i], &length);

		snprintf(command, sizeof(command), "%s/%s", folder, names[i]);
		f = fopen(command, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(t, 1, length, f), length);
		fclose(f);
	}
	snprintf(command, sizeof(command), "cd %s && iasl -d DSDT FACP APIC >log 2>&1 && "
		 "! grep -i 'error\\|warning' log && iasl -tc DSDT.dsl >log2 2>&1 && "
		 "grep -q ' 0 Errors, 0 Warnings' log2", folder);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "%s/DSDT.dsl", folder);
	f = fopen(command, "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	for (unsigned int i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (!strstr(text, said[i]))
			fail_msg("no %s in the DSDT", said[i]);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	assert_int_equal(system(command), 0);
}

static void tables_that_do_not_fit(void **state)
{
	const struct acpi_machine machine = { .processors = 8 };
	const struct acpi_machine many = { .processors = 8, .virtio_count = ACPI_VIRTIO_MAX + 1 };

	(void)state;
	for (unsigned int room = 0; room < 500; room += 7) {
		memset(area, 0xee, sizeof(area));
		assert_int_equal(acpi_make_tables(&machine, area, LINUX_ACPI, room), 0);
		for (unsigned int i = room; i < 600; i++)
			assert_int_equal(area[i], 0xee);
	}
	assert_int_equal(acpi_make_tables(&many, area, LINUX_ACPI, sizeof(area)), 0);
}

/* ---- the console's commands ---- */

static size_t filter(struct console *c, const char *typed, char *left, bool *end)
{
	size_t count = strlen(typed);

	memcpy(left, typed, count);
	count = console_filter(c, (uint8_t *)left, count, end);
	left[count] = 0;
	return count;
}

static void console_commands(void **state)
{
	struct console c = { .terminal = true };
	char left[64];
	bool end;

	(void)state;
	filter(&c, "plain \x03\x04", left, &end);
	assert_string_equal(left, "plain \x03\x04");
	assert_false(end);
	filter(&c, "a\x01\x01" "b", left, &end);
	assert_string_equal(left, "a\x01" "b");
	filter(&c, "a\x01q", left, &end);
	assert_string_equal(left, "a");
	assert_false(end);
	/* A command may come in two pieces. */
	filter(&c, "\x01", left, &end);
	assert_string_equal(left, "");
	assert_false(end);
	filter(&c, "xy", left, &end);
	assert_string_equal(left, "y");
	assert_true(end);
	filter(&c, "x", left, &end);
	assert_false(end);
}

static size_t takes_nothing(void *to, const uint8_t *bytes, size_t count)
{
	(void)to, (void)bytes, (void)count;
	return 0;
}

static void on_end(void *arg, const char *why)
{
	assert_string_equal(why, "ended with Ctrl-A x");
	__atomic_store_n((bool *)arg, true, __ATOMIC_SEQ_CST);
}

/* Whoever waits for a guest that takes no key any more wants to end it, by a key. */
static void commands_to_a_deaf_guest(void **state)
{
	bool ended = false;
	struct console c = { .input = takes_nothing, .end = on_end, .arg = &ended };
	int master, slave, input = dup(STDIN_FILENO);
	char keys[1000];
	size_t typed = 0;
	unsigned int waits;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(dup2(slave, STDIN_FILENO), STDIN_FILENO);
	console_block_signals();
	assert_int_equal(console_start(&c), 0);
	/* More than is kept, and than a terminal takes. */
	assert_int_equal(fcntl(master, F_SETFL, O_NONBLOCK), 0);
	memset(keys, 'k', sizeof(keys));
	for (waits = 0; typed < 100000 && waits < 1000; waits++) {
		ssize_t done = write(master, keys, sizeof(keys));

		typed += done > 0 ? (size_t)done : 0;
		usleep(1000);
	}
	assert_false(ended);
	for (waits = 0; waits < 1000 && write(master, "\x01x", 2) != 2; waits++)
		usleep(10000);
	for (waits = 0; waits < 1000 && !__atomic_load_n(&ended, __ATOMIC_SEQ_CST); waits++)
		usleep(10000);
	console_stop(&c);
	dup2(input, STDIN_FILENO);
	close(input);
	close(slave);
	close(master);
	assert_true(ended);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_good_kernel),
		TEST(no_initrd),
		TEST(an_old_header_is_short),
		TEST(bad_kernels),
		TEST(kernels_that_do_not_fit),
		TEST(initrd_sizes),
		TEST(command_lines),
		TEST(memory_maps),
		TEST(the_boot_processor),
		TEST(fixed_tables),
		TEST(processors),
		TEST(devices_in_aml),
		TEST(iasl_reads_it),
		TEST(tables_that_do_not_fit),
		TEST(console_commands),
		TEST(commands_to_a_deaf_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
