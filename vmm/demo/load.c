// SPDX-License-Identifier: GPL-2.0-only
/*
 * demo: loading a payload and starting processors in it, as guest/guest_abi.h says.
 *
 * The loader believes nothing of the file: every header and segment is checked against the
 * file's and the guest's size before anything is copied.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../guest/guest_abi.h"
#include "load.h"

#define PTE_PRESENT_WRITE	0x3ull
#define PTE_LARGE		0x80ull
#define GIB			(1ull << 30)

#define CR0_PE_ET_NE_PG		0x80000031ull
#define CR4_PAE			0x20ull
#define EFER_LME_LMA		0x500ull

static int find_payload(const char *path, char *found, size_t size)
{
	const char *folder = getenv("MSHV_PAYLOADS");

	if (strchr(path, '/')) {
		if ((size_t)snprintf(found, size, "%s", path) < size)
			return 0;
	} else if ((size_t)snprintf(found, size, "%s/%s", folder && *folder ? folder :
				    "/usr/lib/mshv", path) < size) {
		return 0;
	}
	return mshv_fail_because(ENAMETOOLONG, "%s: name too long", path);
}

static int copy_segment(uint8_t *memory, const char *path, const uint8_t *file,
			size_t file_size, const Elf64_Phdr *ph, uint64_t memory_size)
{
	if (ph->p_filesz > ph->p_memsz || ph->p_offset > file_size ||
	    ph->p_filesz > file_size - ph->p_offset)
		return mshv_fail_because(ENOEXEC, "%s: segment outside of the file", path);
	if (ph->p_paddr < GUEST_LOAD || ph->p_memsz > memory_size ||
	    ph->p_paddr > memory_size - ph->p_memsz)
		return mshv_fail_because(ENOEXEC, "%s: segment at 0x%llx does not fit the guest",
					 path, (unsigned long long)ph->p_paddr);
	memcpy(memory + ph->p_paddr, file + ph->p_offset, ph->p_filesz);
	memset(memory + ph->p_paddr + ph->p_filesz, 0, ph->p_memsz - ph->p_filesz);
	return 0;
}

static int copy_elf(uint8_t *memory, const char *path, const uint8_t *file, size_t size,
		    uint64_t memory_size, uint64_t *entry)
{
	const Elf64_Ehdr *eh = (const void *)file;
	unsigned int i;

	if (size < sizeof(*eh) || memcmp(eh->e_ident, ELFMAG, SELFMAG) ||
	    eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_machine != EM_X86_64 ||
	    eh->e_type != ET_EXEC)
		return mshv_fail_because(ENOEXEC, "%s: no static x86-64 ELF program", path);
	if (eh->e_phentsize != sizeof(Elf64_Phdr) || eh->e_phoff > size ||
	    eh->e_phnum * sizeof(Elf64_Phdr) > size - eh->e_phoff || eh->e_phoff % 8)
		return mshv_fail_because(ENOEXEC, "%s: program headers outside of the file", path);
	for (i = 0; i < eh->e_phnum; i++) {
		const Elf64_Phdr *ph = (const Elf64_Phdr *)(const void *)(file + eh->e_phoff) + i;

		if (ph->p_type == PT_LOAD &&
		    copy_segment(memory, path, file, size, ph, memory_size))
			return -1;
	}
	*entry = eh->e_entry;
	return 0;
}

/* Identity map with 2 MiB pages. */
static void make_page_tables(uint8_t *memory, uint64_t memory_size)
{
	uint64_t gibs = (memory_size + GIB - 1) / GIB, i, *pml4, *pdpt, *pd;

	pml4 = (void *)(memory + GUEST_PAGE_TABLES);
	memset(pml4, 0, (2 + gibs) * GUEST_PAGE_SIZE);
	pdpt = pml4 + 512;
	pd = pdpt + 512;
	pml4[0] = (GUEST_PAGE_TABLES + GUEST_PAGE_SIZE) | PTE_PRESENT_WRITE;
	for (i = 0; i < gibs; i++)
		pdpt[i] = (GUEST_PAGE_TABLES + (2 + i) * GUEST_PAGE_SIZE) | PTE_PRESENT_WRITE;
	for (i = 0; i < gibs * 512 && i * MSHV_BLOCK_SIZE < memory_size; i++)
		pd[i] = i * MSHV_BLOCK_SIZE | PTE_PRESENT_WRITE | PTE_LARGE;
}

int mshv_copy_payload(uint8_t *memory, uint64_t memory_size, const char *path, unsigned int vps,
		      uint64_t *entry)
{
	char name[4096];
	struct stat st;
	uint8_t *file;
	int fd, ret;

	if (vps == 0 || vps > GUEST_VPS_MAX)
		return mshv_fail_because(EINVAL, "%u processors: 1 to %u", vps, GUEST_VPS_MAX);
	if (memory_size < 2 * GUEST_FREE || memory_size > GUEST_MEMORY_MAX)
		return mshv_fail_because(EINVAL, "memory of 0x%llx bytes: 8 MiB to 16 GiB",
					 (unsigned long long)memory_size);
	if (find_payload(path, name, sizeof(name)))
		return -1;
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return mshv_fail("%s", name);
	if (fstat(fd, &st) < 0 || st.st_size == 0) {
		close(fd);
		return mshv_fail_because(ENOEXEC, "%s: empty", name);
	}
	file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (file == MAP_FAILED)
		return mshv_fail("%s", name);
	ret = copy_elf(memory, name, file, (size_t)st.st_size, memory_size, entry);
	munmap(file, (size_t)st.st_size);
	if (ret)
		return -1;
	make_page_tables(memory, memory_size);
	*(struct guest_boot *)(void *)(memory + GUEST_BOOT) = (struct guest_boot){
		.magic = GUEST_BOOT_MAGIC,
		.memory_size = memory_size,
		.vps = vps,
	};
	return 0;
}

int mshv_load_payload(struct mshv_vm *vm, const char *path, uint64_t memory_size,
		      unsigned int vps, uint64_t *entry)
{
	uint8_t *memory = mshv_host_address(vm, 0, memory_size);

	return memory ? mshv_copy_payload(memory, memory_size, path, vps, entry) : -1;
}

int mshv_boot_vcpu(struct mshv_vcpu *vcpu, uint64_t entry)
{
	const uint32_t index = mshv_vcpu_index(vcpu);
	/* Long mode, flat segments, interrupts off. */
	const struct hvabi_register_assoc regs[] = {
		mshv_scalar(HVABI_REG_EFER, EFER_LME_LMA),
		mshv_scalar(HVABI_REG_CR4, CR4_PAE),
		mshv_scalar(HVABI_REG_CR3, GUEST_PAGE_TABLES),
		mshv_scalar(HVABI_REG_CR0, CR0_PE_ET_NE_PG),
		mshv_segment(HVABI_REG_CS, 0x08, ~0u, 0xa09b),
		mshv_segment(HVABI_REG_DS, 0x10, ~0u, 0xc093),
		mshv_segment(HVABI_REG_ES, 0x10, ~0u, 0xc093),
		mshv_segment(HVABI_REG_FS, 0x10, ~0u, 0xc093),
		mshv_segment(HVABI_REG_GS, 0x10, ~0u, 0xc093),
		mshv_segment(HVABI_REG_SS, 0x10, ~0u, 0xc093),
		mshv_segment(HVABI_REG_TR, 0x18, 0x67, 0x008b),
		mshv_segment(HVABI_REG_LDTR, 0, 0xffff, 0x0082),
		{ .name = HVABI_REG_GDTR },
		{ .name = HVABI_REG_IDTR },
		{ .name = HVABI_REG_FP_CONTROL_STATUS,
		  .value.fp_control_status = { .fp_control = 0x37f } },
		{ .name = HVABI_REG_XMM_CONTROL_STATUS,
		  .value.xmm_control_status = { .xmm_status_control = 0x1f80 } },
		mshv_scalar(HVABI_REG_RSP, GUEST_STACKS +
		       (uint64_t)(index + 1) * GUEST_STACK_SIZE - 16),
		mshv_scalar(HVABI_REG_RDI, index),
		mshv_scalar(HVABI_REG_RSI, GUEST_BOOT),
		mshv_scalar(HVABI_REG_RFLAGS, 2),
		mshv_scalar(HVABI_REG_RIP, entry),
	};

	if (index >= GUEST_VPS_MAX)
		return mshv_fail_because(EINVAL, "processor %u: a payload has at most %u",
					 index, GUEST_VPS_MAX);
	return mshv_set_registers(vcpu, regs, sizeof(regs) / sizeof(regs[0]));
}
