/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Interface of the test module mshv_rawcall.
 */
#ifndef MSHV_RAWCALL_H
#define MSHV_RAWCALL_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Pages of the module; 0 and 1 are input and output block. */
#define RAWCALL_PAGES	66

/* In rdx or r8: the address of the module's input or output page. */
#define RAWCALL_BLOCK	(~0ULL)

/**
 * struct rawcall - one hypercall
 * @control: control word (RAWCALL_PAGE: number of the page)
 * @rdx: input address, or RAWCALL_BLOCK; fast: the input itself
 * @r8: output address likewise
 * @result: result word (RAWCALL_PAGE: its page frame number)
 * @input: content of the input page before the call
 * @output: content of the output page after it
 */
struct rawcall {
	__u64 control;
	__u64 rdx;
	__u64 r8;
	__u64 result;
	__u8 input[4096];
	__u8 output[4096];
};

#define RAWCALL_CALL	_IO('r', 1)
#define RAWCALL_PAGE	_IO('r', 2)

#endif
