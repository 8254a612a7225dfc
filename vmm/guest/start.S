/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry of every processor, and the stubs of exceptions and interrupts.
 *
 * In: RDI = processor index, RSI = struct guest_boot, RSP = top of the processor's stack.
 */
#define GUEST_ASSEMBLY
#include "guest_abi.h"

	.section .text.start, "ax"
	.globl _start
_start:
	lgdt	gdt_pointer(%rip)
	/* CS as the new table has it, which IDT entries name. */
	pushq	$0x08
	leaq	1f(%rip), %rax
	pushq	%rax
	lretq
1:	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	xorl	%ebp, %ebp
	/* As the psABI has it at a function's entry, after the call. */
	andq	$-16, %rsp
	call	guest_start
2:	cli
	hlt
	jmp	2b

/* One stub a vector, 16 bytes each; vectors without error code push a 0 for it. */
	.text
	.balign	16
	.globl guest_stubs
guest_stubs:
	.set	vector, 0
	.rept	256
	.balign	16
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	pushq	$0
	.endif
	pushq	$vector
	jmp	exception
	.set	vector, vector + 1
	.endr

/* Saves what C may change; guest_exception() may change the RIP in the frame. */
exception:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	leaq	72(%rsp), %rdi
	movq	%rsp, %rax
	pushq	%rbx
	movq	%rax, %rbx
	andq	$-16, %rsp
	call	guest_exception
	leaq	-8(%rbx), %rsp
	popq	%rbx
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

/*
 * What a processor executes after INIT and SIPI: real mode, at GUEST_TRAMPOLINE, to which it is
 * copied; its index is its APIC id.
 */
	.globl guest_trampoline, guest_trampoline_end
	.code16
guest_trampoline:
	cli
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	trampoline_pointer - guest_trampoline
	movl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$GUEST_PAGE_TABLES, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER.LME */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	$0x80000031, %eax	/* PG, NE, ET, PE */
	movl	%eax, %cr0
	ljmpl	$0x08, $(GUEST_TRAMPOLINE + trampoline_long - guest_trampoline)
	.code64
trampoline_long:
	movl	$0x10, %eax
	movl	%eax, %ss
	movl	$1, %eax
	cpuid
	shrl	$24, %ebx
	movl	%ebx, %edi
	movl	$GUEST_BOOT, %esi
	leal	1(%rbx), %esp
	imull	$GUEST_STACK_SIZE, %esp
	addl	$(GUEST_STACKS - 16), %esp
	movq	$_start, %rax
	jmp	*%rax
	.balign	8
trampoline_gdt:
	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
trampoline_pointer:
	.word	trampoline_pointer - trampoline_gdt - 1
	.long	GUEST_TRAMPOLINE + trampoline_gdt - guest_trampoline
guest_trampoline_end:

	.section .rodata
	.balign	8
gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* 0x08: code, 64 bits */
	.quad	0x00cf93000000ffff	/* 0x10: data */
gdt_end:
gdt_pointer:
	.word	gdt_end - gdt - 1
	.quad	gdt

	.section .note.GNU-stack, "", @progbits
