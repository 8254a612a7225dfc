/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The world switch.
 *
 * VMRUN swaps RAX, RSP, RIP, RFLAGS, control registers and CS, SS, DS, ES;
 * VMLOAD and VMSAVE the rest of the segments and the system call MSRs.  The
 * hypervisor uses none of what VMLOAD loads, so nothing of its own needs
 * saving.  General registers are moved here; floating point by the caller.
 *
 * GIF is 0 on both sides.  IF is set only around VMRUN, so that with
 * V_INTR_MASKING an interrupt of the parent ends a child's stay.
 */
	.text

	.set	RCX, 1 * 8
	.set	RDX, 2 * 8
	.set	RBX, 3 * 8
	.set	RBP, 5 * 8
	.set	RSI, 6 * 8
	.set	RDI, 7 * 8
	.set	INTERRUPT_SHADOW, 0x68		/* in the VMCB */

/* void svm_run(u64 vmcb, u64 *gpr) */
	.globl	svm_run
svm_run:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rsi
	mov	%rdi, %rax

	mov	RCX(%rsi), %rcx
	mov	RDX(%rsi), %rdx
	mov	RBX(%rsi), %rbx
	mov	RBP(%rsi), %rbp
	mov	RDI(%rsi), %rdi
	.irp	n, 8, 9, 10, 11, 12, 13, 14, 15
	mov	\n * 8(%rsi), %r\n
	.endr
	mov	RSI(%rsi), %rsi

	/*
	 * QEMU's TCG lets the shadow of an STI that stands before VMRUN cover the guest's first instruction, and
	 * does not load the guest's own.  So the one is used for the other, and must not be there otherwise: an STI
	 * in a shadow has none, and the guest's first instruction may be the STI of an STI; HLT.
	 */
	vmload	%rax
	testb	$1, INTERRUPT_SHADOW(%rax)
	jz	1f
	sti
	vmrun	%rax
	jmp	2f
1:	sti
	nop
	vmrun	%rax
2:	cli
	vmsave	%rax

	/*
	 * The emulated #VMEXIT can overwrite the note that the local APIC has an interrupt, and only something that is new to the
	 * APIC makes it look again: until then the parent would sleep (docs/emulation.md).  Its priority is such, written as it is.
	 * (The lower half of TPR is lost, which decides about nothing.)
	 */
	mov	%cr8, %rax
	mov	%rax, %cr8

	xchg	%rsi, (%rsp)
	mov	%rcx, RCX(%rsi)
	mov	%rdx, RDX(%rsi)
	mov	%rbx, RBX(%rsi)
	mov	%rbp, RBP(%rsi)
	mov	%rdi, RDI(%rsi)
	.irp	n, 8, 9, 10, 11, 12, 13, 14, 15
	mov	%r\n, \n * 8(%rsi)
	.endr
	pop	%rax
	mov	%rax, RSI(%rsi)

	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	cld
	ret

/* void svm_take_nmi(void): the handler only returns (boot/entry.S) */
	.globl	svm_take_nmi
svm_take_nmi:
	stgi
	nop
	clgi
	ret

	.section .note.GNU-stack, "", @progbits
