// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exceptions of the hypervisor itself.  There are none that it expects, so
 * each ends in a panic that says where.
 */
#include "../core/platform.h"
#include "boot.h"

struct gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_middle;
	u32 offset_high, reserved;
};

struct frame_of_exception {
	u64 vector, error, rip, cs, rflags, rsp, ss;
};

extern u8 exception_stubs[];
void exception(const struct frame_of_exception *f) __attribute__((noreturn));

static struct gate idt[32] __attribute__((aligned(16)));

void exceptions_load(void)
{
	const struct {
		u16 limit;
		u64 base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (u64)(uintptr_t)idt };

	for (u32 i = 0; i < ARRAY_SIZE(idt); i++) {
		u64 stub = (u64)(uintptr_t)exception_stubs + i * 32;

		idt[i] = (struct gate){
			.offset_low = (u16)stub, .selector = 8, .type = 0x8e,
			.offset_middle = (u16)(stub >> 16), .offset_high = (u32)(stub >> 32),
		};
	}
	__asm__ volatile("lidt %0" :: "m"(pointer));
}

void exception(const struct frame_of_exception *f)
{
	u64 cr2;

	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	platform_panic("exception %llu, error %llx, at rip %llx rsp %llx, cr2 %llx",
		       (unsigned long long)f->vector, (unsigned long long)f->error,
		       (unsigned long long)f->rip, (unsigned long long)f->rsp,
		       (unsigned long long)cr2);
}
