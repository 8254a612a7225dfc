/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The library that payloads are written with: ports, console, exceptions.
 *
 * Everything here may be called from every processor at once; console lines of several
 * processors may mix.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest_abi.h"

/* The payload: called on every processor; returning halts that processor for good. */
void guest_main(unsigned int vp, const struct guest_boot *boot);

/* Ends the whole guest with an exit code (0 to 255) for `mshv run`. */
void guest_exit(uint32_t code) __attribute__((noreturn));

void guest_putc(char c);
void guest_puts(const char *s);
/* %s %c %d %u %x with an optional l (64 bits), zero-padded width for %x. */
void guest_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct guest_mailbox *guest_mailbox(unsigned int vp);

/*
 * The next exception on this processor continues at @resume instead of ending the guest.
 * guest_caught() tells its vector, or -1 if there was none, and ends the watch.
 */
void guest_catch(void *resume);
int guest_caught(void);

/* What an exception or interrupt leaves on the stack; what a handler changes is what is returned to. */
struct guest_frame {
	uint64_t vector;
	uint64_t error;
	uint64_t rip;
	uint64_t cs;
	uint64_t rflags;
	uint64_t rsp;
	uint64_t ss;
};

/* From now on @handler is called for @vector, on all processors, interrupts off. NULL: as before. */
void guest_handle(unsigned int vector, void (*handler)(struct guest_frame *frame));

/* Puts the code that processors start with after INIT and SIPI to GUEST_TRAMPOLINE. */
void guest_put_trampoline(void);

/* Index of the calling processor, from its stack. */
static inline unsigned int guest_vp(void)
{
	uint64_t rsp;

	asm("mov %%rsp, %0" : "=r"(rsp));
	return (unsigned int)((rsp - GUEST_STACKS) / GUEST_STACK_SIZE);
}

static inline void outb(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void outl(uint16_t port, uint32_t value)
{
	asm volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t value;

	asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	asm volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
}

static inline void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t reg[4])
{
	asm volatile("cpuid" : "=a"(reg[0]), "=b"(reg[1]), "=c"(reg[2]), "=d"(reg[3])
		     : "a"(leaf), "c"(subleaf));
}

#endif
