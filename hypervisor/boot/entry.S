/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry from the multiboot loader, entry of the other processors, exception
 * stubs.  The hypervisor runs in long mode on an identity map of the first
 * 512 GiB in 1 GiB pages; it has no other address space.
 */
	.set	MULTIBOOT_MAGIC, 0x1badb002
	.set	MULTIBOOT_FLAGS, 0x3
	.set	CODE64, 0x08
	.set	DATA, 0x10
	.set	CODE32, 0x18
	.set	CR4_PAE, 0x20
	.set	EFER_LME_NXE, 0x900
	.set	CR0_PG_NE_PE, 0x80000031
	.set	TRAMPOLINE, 0x8000

	.section .multiboot, "a"
	.align	4
	.long	MULTIBOOT_MAGIC
	.long	MULTIBOOT_FLAGS
	.long	-(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.text
	.code32
	.globl	start
start:
	cli
	cld
	mov	%ebx, %ebp
	mov	$boot_pdpt, %edi
	xor	%ecx, %ecx
1:	mov	%ecx, %eax
	shl	$30, %eax
	or	$0x83, %eax
	mov	%eax, (%edi, %ecx, 8)
	mov	%ecx, %eax
	shr	$2, %eax
	mov	%eax, 4(%edi, %ecx, 8)
	inc	%ecx
	cmp	$512, %ecx
	jne	1b
	mov	$boot_pdpt + 3, %eax
	mov	%eax, boot_pml4
	call	enable_long_mode
	lgdt	gdt_pointer
	ljmp	$CODE64, $start64

/* Clobbers EAX, ECX, EDX. */
enable_long_mode:
	mov	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$boot_pml4, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	rdmsr
	or	$EFER_LME_NXE, %eax
	wrmsr
	mov	$CR0_PG_NE_PE, %eax
	mov	%eax, %cr0
	ret

	.code64
start64:
	mov	$DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	lea	boot_stack_end(%rip), %rsp
	mov	%ebp, %edi
	call	boot_main
	ud2

/*
 * Copied to TRAMPOLINE, where a started processor finds itself in real mode.
 * It goes straight to long mode with the tables of the boot processor.
 */
	.code16
	.globl	trampoline_start, trampoline_end
trampoline_start:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	lgdtl	TRAMPOLINE + (trampoline_gdt - trampoline_start)
	mov	$1, %eax
	mov	%eax, %cr0
	ljmpl	$CODE32, $processor_start32
	.align	8
trampoline_gdt:
	.word	gdt_end - gdt - 1
	.long	gdt
trampoline_end:

	.code32
processor_start32:
	mov	$DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	trampoline_stack, %esp
	call	enable_long_mode
	ljmp	$CODE64, $processor_start64

	.code64
processor_start64:
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	mov	trampoline_stack(%rip), %rsp
	mov	trampoline_argument(%rip), %rdi
	call	processor_main
	ud2

/*
 * Exceptions, 32 bytes each: vector and error code on the stack, then C, which does not come
 * back.  An NMI is what svm_take_nmi() waits for: it only returns.
 */
	.align	32
	.globl	exception_stubs
exception_stubs:
	.irp	vector, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, \
		16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	.align	32
	.if	\vector == 2
	iretq
	.else
	.ifeq	(0x60227d00 >> \vector) & 1
	push	$0
	.endif
	push	$\vector
	mov	%rsp, %rdi
	and	$-16, %rsp
	call	exception
	.endif
	.endr

	.data
	.align	8
gdt:
	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
	.quad	0x00cf9b000000ffff
gdt_end:
	.align	4
gdt_pointer:
	.word	gdt_end - gdt - 1
	.quad	gdt

	.globl	trampoline_stack, trampoline_argument
	.align	8
trampoline_stack:
	.quad	0
trampoline_argument:
	.quad	0

	.bss
	.align	4096
	.globl	boot_pml4
boot_pml4:
	.skip	4096
boot_pdpt:
	.skip	4096
	.skip	16384
boot_stack_end:

	.section .note.GNU-stack, "", @progbits
