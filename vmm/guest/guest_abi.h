/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a payload and the VMM agree on: memory layout, ports, commands, stamps.
 *
 * A payload is a static ELF64 program linked at GUEST_LOAD. Every processor enters it at
 * its entry point in 64-bit mode, interrupts off, memory identity-mapped with 2 MiB
 * pages, with RDI = processor index, RSI = address of struct guest_boot and a stack of
 * its own. Devices there are none but the ports below. With local APICs only processor 0
 * does: the others wait for INIT and SIPI, and HLT waits for an interrupt.
 *
 *	0x000001000  struct guest_boot
 *	0x000002000  struct guest_mailbox, one page a processor
 *	0x000010000  page tables: PML4, PDPT, one PD per GiB
 *	0x000040000  stacks, 16 KiB a processor
 *	0x000070000  with local APICs: the code that starts a processor, put there by the payload
 *	0x000100000  the payload
 *	0x000400000  free memory, up to the end
 */
#ifndef GUEST_ABI_H
#define GUEST_ABI_H

/* Without suffixes: the assembler sees them, too. */
#define GUEST_BOOT		0x1000
#define GUEST_PAGE_TABLES	0x10000
#define GUEST_STACKS		0x40000
#define GUEST_STACK_SIZE	0x4000
#define GUEST_TRAMPOLINE	0x70000

#ifndef GUEST_ASSEMBLY

#include <stdint.h>

#define GUEST_VPS_MAX		8u
#define GUEST_PAGE_SIZE		4096u
#define GUEST_MEMORY_MAX	(16ull << 30)

#define GUEST_MAILBOX(vp)	(0x2000u + (vp) * GUEST_PAGE_SIZE)
#define GUEST_LOAD		0x100000u
#define GUEST_FREE		0x400000u

/* Ports; 32 bits wide unless it says otherwise. */
#define GUEST_PORT_CONSOLE	0xe9	/* out, 8 bits: a character of the console */
#define GUEST_PORT_EXIT		0x500	/* out: the guest ends with this exit code */
#define GUEST_PORT_COMMAND	0x504	/* in: this processor's next command; waits for one */
#define GUEST_PORT_REPORT	0x508	/* out: the command is done, GUEST_STATUS_* */
#define GUEST_PORT_HALTS	0x50c	/* out: from now on resume this many HLTs */
#define GUEST_PORT_ECHO		0x510	/* in: the complement of what was last written to it */
#define GUEST_PORT_ASSERT	0x514	/* out: assert interrupts as the mailbox says, from another thread */
#define GUEST_PORT_EOIS		0x518	/* in: EOI messages of level-triggered interrupts so far */

/* Intercepts that the VMM asks for, so that a payload can test them. */
#define GUEST_CPUID_LEAF	0x4ffff000u	/* answer: GUEST_CPUID_* */
#define GUEST_CPUID_EAX		0x6d736876u
#define GUEST_CPUID_EBX		0x12345678u
#define GUEST_CPUID_ECX		0x9abcdef0u
#define GUEST_CPUID_EDX		0x0f1e2d3cu
/* An MSR that exists nowhere: the VMM keeps what is written to it. */
#define GUEST_MSR		0x40007000u

#define GUEST_BOOT_MAGIC	0x7473657567766d6dull

struct guest_boot {
	uint64_t magic;
	uint64_t memory_size;		/* bytes */
	uint32_t vps;
	uint32_t apic;			/* GUEST_APIC_* */
	uint64_t synthetic_features;	/* HVABI_SYNTHETIC_* that the partition was given */
};

#define GUEST_APIC_LOCAL	1u
#define GUEST_APIC_X2		2u

/* What GUEST_PORT_COMMAND answers. All but EXIT take their arguments from the mailbox. */
enum guest_command {
	GUEST_COMMAND_EXIT,	/* this processor halts for good */
	GUEST_COMMAND_STAMP,	/* write stamps of @version */
	GUEST_COMMAND_CHECK,	/* every stamp must be of @version */
	GUEST_COMMAND_UPDATE,	/* check @version + round, write @version + round + 1 */
	GUEST_COMMAND_SPIN,	/* read one page over and over, see guest_mailbox::version */
	GUEST_COMMAND_TOUCH,	/* write a word to each page, and what each took to @costs */
	GUEST_COMMAND_ECHO,	/* write and read GUEST_PORT_ECHO @pages times, the same way */
	GUEST_COMMAND_MAX
};

enum guest_status {
	GUEST_STATUS_OK,
	GUEST_STATUS_MISMATCH,	/* guest_mailbox::errors is not 0 */
	GUEST_STATUS_BAD_COMMAND,
};

/*
 * Arguments and results of one processor's command. The pages of a command are
 * first_gfn + offset + i * stride, as long as they lie below first_gfn + pages: with
 * stride = processors and offset = index, processors share a range without meeting.
 */
struct guest_mailbox {
	/* Arguments, written by the VMM before it answers the command port. */
	uint64_t first_gfn;
	uint64_t pages;
	uint64_t stride;		/* at least 1 */
	uint64_t offset;
	uint64_t version;		/* SPIN: no older stamp may be seen; the VMM may
					 * raise it at any time */
	uint64_t seed;			/* 0: in order; else an order at random */
	uint64_t rounds;		/* 0: until @stop */
	uint64_t stop;			/* VMM: end after this round (SPIN: at once) */
	/* Results, written by the guest, readable at any time. */
	uint64_t done_rounds;
	uint64_t done_pages;		/* of all rounds */
	uint64_t errors;		/* pages with a wrong stamp */
	uint64_t seen_version;		/* SPIN: of the last stamp read */
	/* The first wrong stamp. */
	uint64_t error_gfn;
	uint64_t error_word;
	uint64_t error_expected;
	uint64_t error_found;
	/*
	 * GUEST_PORT_ASSERT: @assert_count interrupts, each when @assert_taken, which the guest
	 * counts, has reached the number of those before; @assert_sent counts these. @assert_state: see below.
	 */
	uint64_t assert_mode;		/* HVABI_INTERRUPT_TYPE_* */
	uint64_t assert_vector;
	uint64_t assert_dest;
	uint64_t assert_logical;
	uint64_t assert_level;
	uint64_t assert_count;
	uint64_t assert_taken;
	uint64_t assert_sent;
	uint64_t assert_state;
	/*
	 * TOUCH, ECHO: guest address of a uint32_t for each page or time, within the payload's mapped memory: the
	 * difference of the time-stamp counter. The guest clears them first, so that writing them faults nowhere.
	 */
	uint64_t costs;
};

#define GUEST_ASSERT_BUSY	0u	/* written by the guest, before the port */
#define GUEST_ASSERT_DONE	1u	/* all asserted, all taken */
#define GUEST_ASSERT_LOST	2u	/* one was not taken within a long time */
#define GUEST_ASSERT_FAILED	3u	/* the hypercall failed */

_Static_assert(sizeof(struct guest_mailbox) <= GUEST_PAGE_SIZE, "a mailbox is one page");

/*
 * A stamp: one 8-byte word in every 512 bytes of the page, so that no half of a page can
 * be lost unseen. Word 0 is the GFN, word 1 the version, the others mix both: neither
 * another page's content nor poison nor zeros can pass for it.
 */
#define GUEST_STAMP_WORDS	8u
#define GUEST_STAMP_STEP	(GUEST_PAGE_SIZE / GUEST_STAMP_WORDS)

static inline uint64_t guest_stamp_word(uint64_t gfn, uint64_t version, unsigned int word)
{
	uint64_t x;

	if (word == 0)
		return gfn;
	if (word == 1)
		return version;
	x = (gfn + 1) * 0x9e3779b97f4a7c15ull + (version + word) * 0xc2b2ae3d27d4eb4full;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	return x ^ x >> 31;
}

/*
 * Number @i of an order at random of the numbers 0 to @count - 1, or @count or more: then
 * go on with the next @i. An affine map of the next power of two @mask + 1 on itself.
 */
static inline uint64_t guest_shuffle(uint64_t i, uint64_t mask, uint64_t seed)
{
	return (i * (seed << 1 | 1) + (seed >> 32)) & mask;
}

#endif

#endif
