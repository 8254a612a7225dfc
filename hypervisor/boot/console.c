// SPDX-License-Identifier: GPL-2.0-only
/*
 * The debug console (QEMU's port 0xe9), panic and reset.  What is printed
 * here never reaches the parent: it is for whoever looks at the machine from
 * outside.  Lines of several processors do not mix.
 */
#include <stdarg.h>
#include "../core/cpu.h"
#include "../core/platform.h"
#include "../svm/cpu.h"

#define DEBUG_PORT 0xe9u

static u32 console_lock;

static void put(char c)
{
	outb(DEBUG_PORT, (u8)c);
}

static void put_string(const char *s)
{
	while (*s)
		put(*s++);
}

static void put_number(u64 value, u32 base, u32 width, char pad, bool negative)
{
	char digits[24];
	u32 n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (negative)
		digits[n++] = '-';
	for (; width > n; width--)
		put(pad);
	while (n)
		put(digits[--n]);
}

/* The next integer of the list, by its number of 'l's. */
static u64 next_integer(va_list *args, u32 longs, bool is_signed, bool *negative)
{
	long long s;

	*negative = false;
	if (!is_signed)
		return longs ? va_arg(*args, unsigned long long) : va_arg(*args, unsigned int);
	s = longs ? va_arg(*args, long long) : va_arg(*args, int);
	*negative = s < 0;
	return *negative ? 0 - (u64)s : (u64)s;
}

static void print(const char *format, va_list *args)
{
	for (; *format; format++) {
		u32 width = 0, longs = 0;
		char pad = ' ';
		bool negative;
		u64 value;

		if (*format != '%') {
			put(*format);
			continue;
		}
		format++;
		if (*format == '0')
			pad = *format++;
		while (*format >= '0' && *format <= '9')
			width = width * 10 + (u32)(*format++ - '0');
		while (*format == 'l' || *format == 'z') {
			longs++;
			format++;
		}
		switch (*format) {
		case 's':
			put_string(va_arg(*args, const char *));
			break;
		case 'c':
			put((char)va_arg(*args, int));
			break;
		case 'd':
		case 'u':
			value = next_integer(args, longs, *format == 'd', &negative);
			put_number(value, 10, width, pad, negative);
			break;
		case 'x':
			value = next_integer(args, longs, false, &negative);
			put_number(value, 16, width, pad, false);
			break;
		default:
			put(*format);
			break;
		}
	}
}

static void line(const char *prefix, const char *format, va_list *args)
{
	while (__atomic_exchange_n(&console_lock, 1, __ATOMIC_ACQUIRE))
		platform_relax();
	put_string(prefix);
	print(format, args);
	put('\n');
	__atomic_store_n(&console_lock, 0, __ATOMIC_RELEASE);
}

void platform_log(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	line("hv: ", format, &args);
	va_end(args);
}

void machine_reset(void)
{
	static const struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) no_idt = { 0, 0 };

	outb(0xcf9, 6);
	/* No chipset reset: a triple fault always works. */
	__asm__ volatile("lidt %0; int3" :: "m"(no_idt));
	for (;;)
		__asm__ volatile("hlt");
}

static void dump_cpu(const struct svm_cpu *cpu)
{
	const struct vmcb *v = &cpu->vmcb;

	platform_log("  processor %u (apic %u): parent at rip %llx rsp %llx cr3 %llx, exit %llx "
		     "info %llx %llx, %s", cpu->core.index, cpu->apic_id,
		     (unsigned long long)v->rip, (unsigned long long)v->rsp,
		     (unsigned long long)v->cr3, (unsigned long long)v->exit_code,
		     (unsigned long long)v->exit_info1, (unsigned long long)v->exit_info2,
		     !cpu->core.guest ? "in the hypervisor" :
		     cpu->core.guest == &parent ? "in the parent" : "in a child");
}

void platform_panic(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	line("hv: PANIC: ", format, &args);
	va_end(args);
	for (u32 i = 0; i < cpu_count; i++)
		dump_cpu((struct svm_cpu *)cpus[i]);
	machine_reset();
}
