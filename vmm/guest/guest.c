// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library that payloads are written with, see guest.h.
 *
 * Compiled for general registers only: vector state belongs to the payloads that test it.
 */
#include <stdarg.h>

#include "guest.h"

struct idt_entry {
	uint16_t offset0;
	uint16_t selector;
	uint16_t type;
	uint16_t offset1;
	uint32_t offset2;
	uint32_t reserved;
};

static struct idt_entry idt[256];

static struct {
	uint64_t resume;	/* 0: nobody expects an exception */
	int vector;
} catches[GUEST_VPS_MAX];

static void (*volatile handlers[256])(struct guest_frame *frame);

extern const char guest_stubs[], guest_trampoline[], guest_trampoline_end[];

void guest_start(unsigned int vp, const struct guest_boot *boot);
void guest_exception(struct guest_frame *frame);

/* Every processor writes the same table, so that none has to wait for another. */
static void load_idt(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (uint64_t)idt };
	unsigned int i;

	for (i = 0; i < 256; i++) {
		uint64_t stub = (uint64_t)guest_stubs + 16 * i;

		idt[i].offset0 = (uint16_t)stub;
		idt[i].offset1 = (uint16_t)(stub >> 16);
		idt[i].offset2 = (uint32_t)(stub >> 32);
		idt[i].selector = 0x08;
		idt[i].type = 0x8e00;	/* present, interrupt gate */
	}
	asm volatile("lidt %0" : : "m"(pointer));
}

void guest_start(unsigned int vp, const struct guest_boot *boot)
{
	load_idt();
	catches[vp].vector = -1;
	guest_main(vp, boot);
}

void guest_exception(struct guest_frame *frame)
{
	unsigned int vp = guest_vp();
	void (*handler)(struct guest_frame *frame) = handlers[frame->vector];
	uint64_t cr2;

	if (handler) {
		handler(frame);
		return;
	}
	if (catches[vp].resume && frame->vector < 32) {
		catches[vp].vector = (int)frame->vector;
		frame->rip = catches[vp].resume;
		catches[vp].resume = 0;
		return;
	}
	asm volatile("mov %%cr2, %0" : "=r"(cr2));
	guest_printf("guest: processor %u: exception %lu, error %lx, rip %lx, cr2 %lx\n",
		     vp, frame->vector, frame->error, frame->rip, cr2);
	guest_exit(254);
}

void guest_handle(unsigned int vector, void (*handler)(struct guest_frame *frame))
{
	handlers[vector] = handler;
}

void guest_put_trampoline(void)
{
	volatile char *to = (volatile char *)(uint64_t)GUEST_TRAMPOLINE;
	const char *from;

	for (from = guest_trampoline; from < guest_trampoline_end; from++)
		*to++ = *from;
}

void guest_catch(void *resume)
{
	unsigned int vp = guest_vp();

	catches[vp].vector = -1;
	catches[vp].resume = (uint64_t)resume;
}

int guest_caught(void)
{
	unsigned int vp = guest_vp();

	catches[vp].resume = 0;
	return catches[vp].vector;
}

struct guest_mailbox *guest_mailbox(unsigned int vp)
{
	return (struct guest_mailbox *)(uint64_t)GUEST_MAILBOX(vp);
}

void guest_exit(uint32_t code)
{
	outl(GUEST_PORT_EXIT, code);
	for (;;)
		asm volatile("cli; hlt");
}

void guest_putc(char c)
{
	outb(GUEST_PORT_CONSOLE, (uint8_t)c);
}

void guest_puts(const char *s)
{
	while (*s)
		guest_putc(*s++);
}

static void put_number(uint64_t value, unsigned int base, unsigned int width)
{
	char digits[20];
	unsigned int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (n < width && n < sizeof(digits))
		digits[n++] = '0';
	while (n)
		guest_putc(digits[--n]);
}

static void put_signed(int64_t value)
{
	if (value < 0) {
		guest_putc('-');
		value = -value;
	}
	put_number((uint64_t)value, 10, 0);
}

void guest_printf(const char *format, ...)
{
	va_list args;
	const char *p;

	va_start(args, format);
	for (p = format; *p; p++) {
		unsigned int width = 0;
		bool wide = false;

		if (*p != '%') {
			guest_putc(*p);
			continue;
		}
		for (p++; *p >= '0' && *p <= '9'; p++)
			width = width * 10 + (unsigned int)(*p - '0');
		for (; *p == 'l'; p++)
			wide = true;
		switch (*p) {
		case 's':
			guest_puts(va_arg(args, const char *));
			break;
		case 'c':
			guest_putc((char)va_arg(args, int));
			break;
		case 'd':
			put_signed(wide ? va_arg(args, long) : va_arg(args, int));
			break;
		case 'u':
			put_number(wide ? va_arg(args, unsigned long) :
				   va_arg(args, unsigned int), 10, width);
			break;
		case 'x':
			put_number(wide ? va_arg(args, unsigned long) :
				   va_arg(args, unsigned int), 16, width);
			break;
		default:
			guest_putc(*p);
		}
	}
	va_end(args);
}
