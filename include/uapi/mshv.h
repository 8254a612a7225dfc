/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR BSD-2-Clause */
/*
 * /dev/mshv: what a virtual machine monitor asks of the driver.
 *
 * Numbers and layouts are those of Linux, so that a VMM written for the kernel's own driver runs
 * unchanged; additions of this driver are marked "extension" and use bits that Linux refuses.
 *
 * Objects: the device makes partitions, a partition makes virtual processors; each is a file
 * descriptor (O_CLOEXEC). A child descriptor keeps its parent object alive. A partition belongs to
 * the address space that created it: SET_GUEST_MEMORY and RUN_VP from another address space answer
 * EPERM.
 */
#ifndef MSHV_UAPI_MSHV_H
#define MSHV_UAPI_MSHV_H

#include <linux/ioctl.h>
#include <linux/types.h>
#ifdef __KERNEL__
#include <linux/stddef.h>
#else
#include <stddef.h>
#endif

#define MSHV_IOCTL			0xB8
#define MSHV_VP_MAX			256

/* mshv_create_partition::pt_flags are masks of these bit numbers. */
enum {
	MSHV_PT_BIT_LAPIC,
	MSHV_PT_BIT_X2APIC,
	MSHV_PT_BIT_GPA_SUPER_PAGES,
	/* the argument is a struct mshv_create_partition_v2 */
	MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES,
	MSHV_PT_BIT_NESTED_VIRTUALIZATION,
	MSHV_PT_BIT_SMT_ENABLED_GUEST,
	MSHV_PT_BIT_COUNT,
};

#define MSHV_PT_FLAGS_MASK		((1ULL << MSHV_PT_BIT_COUNT) - 1)

enum {
	MSHV_PT_ISOLATION_NONE,
	MSHV_PT_ISOLATION_COUNT,
	/*
	 * Extension: the child has its memory for itself. All its regions must be pinned,
	 * explicitly (MSHV_SET_MEM_PINNED), writable, and of private anonymous memory, else EINVAL.
	 * Making one takes the pages out of the VMM's address space: what is left there has no
	 * right (PROT_NONE), also after the region is removed. What was in the memory before is
	 * what the child finds.
	 */
	MSHV_PT_ISOLATION_SNP = 2,
};

/**
 * struct mshv_create_partition - argument of MSHV_CREATE_PARTITION
 * @pt_flags: mask of 1 << MSHV_PT_BIT_*
 * @pt_isolation: MSHV_PT_ISOLATION_*
 *
 * Returns a partition descriptor. EINVAL: unknown flag or isolation.
 */
struct mshv_create_partition {
	__u64 pt_flags;
	__u64 pt_isolation;
};

#define MSHV_NUM_CPU_FEATURES_BANKS	2

/**
 * struct mshv_create_partition_v2 - argument of MSHV_CREATE_PARTITION with
 * MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES
 * @pt_flags: as above
 * @pt_isolation: as above
 * @pt_num_cpu_fbanks: MSHV_NUM_CPU_FEATURES_BANKS
 * @pt_rsvd: zero
 * @pt_cpu_fbanks: processor features, bit set = disabled
 * @pt_rsvd1: zero
 * @pt_disabled_xsave: XSAVE features, bit set = disabled
 */
struct mshv_create_partition_v2 {
	__u64 pt_flags;
	__u64 pt_isolation;
	__u16 pt_num_cpu_fbanks;
	__u8 pt_rsvd[6];
	__u64 pt_cpu_fbanks[MSHV_NUM_CPU_FEATURES_BANKS];
	__u64 pt_rsvd1[2];
	__u64 pt_disabled_xsave;
};

/**
 * struct mshv_root_hvcall - argument of MSHV_ROOT_HVCALL: one hypercall of the allow-list
 * @code: call code
 * @reps: in: reps to do, 0 for a simple call; out: reps completed
 * @in_sz: bytes of input, 8 to 4096, rep list included
 * @out_sz: bytes of output, 1 to 4096 if @out_ptr is not 0
 * @status: in: 0; out: status of the hypervisor
 * @rsvd: zero
 * @in_ptr: address of the input; its first 8 bytes are replaced by the partition id
 * @out_ptr: address for the output, or 0
 *
 * @status and @reps are written back also when the ioctl fails; output is copied on success only.
 */
struct mshv_root_hvcall {
	__u16 code;
	__u16 reps;
	__u16 in_sz;
	__u16 out_sz;
	__u16 status;
	__u8 rsvd[6];
	__u64 in_ptr;
	__u64 out_ptr;
};

/**
 * struct mshv_create_vp - argument of MSHV_CREATE_VP
 * @vp_index: below MSHV_VP_MAX
 *
 * Returns a VP descriptor. EEXIST: the index is in use. EINVAL: out of range, or the partition is
 * not initialized.
 */
struct mshv_create_vp {
	__u32 vp_index;
};

enum {
	MSHV_SET_MEM_BIT_WRITABLE,
	MSHV_SET_MEM_BIT_EXECUTABLE,
	MSHV_SET_MEM_BIT_UNMAP,
	MSHV_SET_MEM_BIT_COUNT,
	/* Extension: put another region in the place of the one that begins at the same page. */
	MSHV_SET_MEM_BIT_REPLACE = 5,
	/* Extension: a region that exists becomes pinned (with PINNED) or movable (without). */
	MSHV_SET_MEM_BIT_CHANGE = 6,
	/* Extension: pin all pages now, and keep them until the region is changed or unmapped. */
	MSHV_SET_MEM_BIT_PINNED = 7,
};

#define MSHV_SET_MEM_FLAGS_MASK		((1 << MSHV_SET_MEM_BIT_COUNT) - 1)
#define MSHV_SET_MEM_CHANGE		(1 << MSHV_SET_MEM_BIT_CHANGE)
#define MSHV_SET_MEM_PINNED		(1 << MSHV_SET_MEM_BIT_PINNED)
#define MSHV_SET_MEM_REPLACE		(1 << MSHV_SET_MEM_BIT_REPLACE)
#define MSHV_SET_MEM_EXTENSIONS \
	(MSHV_SET_MEM_CHANGE | MSHV_SET_MEM_PINNED | MSHV_SET_MEM_REPLACE)

/**
 * struct mshv_user_mem_region - argument of MSHV_SET_GUEST_MEMORY
 * @size: bytes, a multiple of 4096
 * @guest_pfn: first guest page number
 * @userspace_addr: first address in the VMM, a multiple of 4096
 * @flags: mask of 1 << MSHV_SET_MEM_BIT_*
 * @rsvd: zero
 *
 * Maps a region, or with UNMAP removes one: then the triple must match one region exactly and the
 * other flags are ignored. A region is movable: nothing is allocated or mapped before the guest
 * touches it, and Linux goes on moving, swapping and sharing its pages. With MSHV_SET_MEM_PINNED
 * all pages are faulted, pinned and mapped at once, and counted against RLIMIT_MEMLOCK.
 *
 * With MSHV_SET_MEM_CHANGE the triple and the rights name a region that exists, and its kind
 * changes while the guest runs: to pinned before a device gets access to the guest's memory, to
 * movable after it is gone. A region that cannot be pinned stays movable.
 *
 * With MSHV_SET_MEM_REPLACE the region that begins at @guest_pfn gives way to the one described:
 * another address, size, kind or other rights. A guest that runs finds one or the other, never a
 * hole where both are; on failure the old one.
 *
 * Of a pinned region the guest sees the pages that the VMM sees: what is discarded or replaced at
 * the addresses (MADV_DONTNEED, MAP_FIXED) is replaced for the guest, too, and pinned at its next
 * touch. The old pages stay pinned until then: a balloon gives nothing back of a pinned region.
 *
 * At most one of UNMAP, CHANGE and REPLACE.
 *
 * EEXIST: overlaps a region (replace: another one). EINVAL: size, alignment or flags; map: nothing
 * is mapped at the address; unmap, change: the triple or the rights do not match. ENOENT: no region
 * at @guest_pfn. EOPNOTSUPP: pinned device memory; RAM that Linux has no pages for (memmap=);
 * replacing in an isolated partition. ENOMEM: memory, or RLIMIT_MEMLOCK. EFAULT: pinned, and
 * nothing to pin at an address. EPERM: not the address space that created the partition.
 */
struct mshv_user_mem_region {
	__u64 size;
	__u64 guest_pfn;
	__u64 userspace_addr;
	__u8 flags;
	__u8 rsvd[7];
};

enum {
	MSHV_GPAP_ACCESS_TYPE_ACCESSED,
	MSHV_GPAP_ACCESS_TYPE_DIRTY,
	MSHV_GPAP_ACCESS_TYPE_COUNT,
};

enum {
	MSHV_GPAP_ACCESS_OP_NOOP,
	MSHV_GPAP_ACCESS_OP_CLEAR,
	MSHV_GPAP_ACCESS_OP_SET,
	MSHV_GPAP_ACCESS_OP_COUNT,
};

/**
 * struct mshv_gpap_access_bitmap - argument of MSHV_GET_GPAP_ACCESS_BITMAP
 * @access_type: which bit to read: MSHV_GPAP_ACCESS_TYPE_*
 * @access_op: what to do with that bit afterwards (the other one stays): MSHV_GPAP_ACCESS_OP_*
 * @rsvd: zero
 * @page_count: pages to look at; out: pages done
 * @gpap_base: first guest page number
 * @bitmap_ptr: address of (page_count + 7) / 8 bytes for the answer, one bit a page, the lowest
 *   first
 */
struct mshv_gpap_access_bitmap {
	__u8 access_type;
	__u8 access_op;
	__u8 rsvd[6];
	__u64 page_count;
	__u64 gpap_base;
	__u64 bitmap_ptr;
};

/**
 * struct mshv_run_vp - argument of MSHV_RUN_VP
 * @msg_buf: the hypervisor's message that stopped the processor (struct hvabi_message)
 *
 * Faults in regions are served by the driver and not seen here. When a fault cannot be served, the
 * message is copied all the same and the errno says why: EFAULT nothing mapped at the address,
 * EHWPOISON, ENOMEM, EACCES the region or its mapping lacks the right, EOPNOTSUPP RAM that has no
 * struct page. EINTR: a signal, no message.
 * EOWNERDEAD: the partition was killed because the hypervisor refused to give back a page; it can
 * only be closed. EPERM: not the address space that created the partition.
 */
struct mshv_run_vp {
	__u8 msg_buf[256];
};

/**
 * struct mshv_run_vp_exit - extension: argument of MSHV_RUN_VP_EXIT
 * @msg_buf: as of struct mshv_run_vp
 * @immediate_exit: in: not 0: do not run, EINTR. The driver only reads it.
 * @rsvd: zero
 *
 * MSHV_RUN_VP, and no kick is lost: store @immediate_exit, then send a signal. What comes before
 * the driver looks is seen there, and the signal ends what comes later. ENOTTY: a driver without
 * it.
 */
struct mshv_run_vp_exit {
	__u8 msg_buf[256];
	__u32 immediate_exit;
	__u32 rsvd;
};

enum {
	MSHV_VP_STATE_LAPIC,
	MSHV_VP_STATE_XSAVE,
	MSHV_VP_STATE_SIMP,
	MSHV_VP_STATE_SIEFP,
	MSHV_VP_STATE_SYNTHETIC_TIMERS,
	MSHV_VP_STATE_COUNT,
};

/**
 * struct mshv_get_set_vp_state - argument of MSHV_GET_VP_STATE and MSHV_SET_VP_STATE
 * @type: MSHV_VP_STATE_*
 * @rsvd: zero
 * @buf_sz: in: bytes at @buf_ptr, a multiple of 4096 and not 0; out: real size
 * @buf_ptr: address, a multiple of 4096
 *
 * The real size is written back also when the buffer is too small for it (EINVAL). EINVAL: also an
 * unknown type, or a value that the hypervisor does not take. EOWNERDEAD: as for MSHV_RUN_VP.
 * Otherwise the errno of the hypervisor's answer.
 */
struct mshv_get_set_vp_state {
	__u8 type;
	__u8 rsvd[3];
	__u32 buf_sz;
	__u64 buf_ptr;
};

enum {
	MSHV_IRQFD_BIT_DEASSIGN,
	MSHV_IRQFD_BIT_RESAMPLE,
	MSHV_IRQFD_BIT_COUNT,
};

#define MSHV_IRQFD_FLAGS_MASK		((1 << MSHV_IRQFD_BIT_COUNT) - 1)

/* GSIs that have a route are below this. */
#define MSHV_GSI_MAX			4096

/**
 * struct mshv_user_irqfd - argument of MSHV_IRQFD: an event that is an interrupt of the guest
 * @fd: eventfd
 * @resamplefd: with RESAMPLE: eventfd that is signalled when the guest ends the interrupt
 * @gsi: its route (MSHV_SET_MSI_ROUTING); one that has none is no interrupt
 * @flags: mask of 1 << MSHV_IRQFD_BIT_*
 *
 * From now on each signal of @fd asserts the interrupt, and what was signalled before does so now.
 * With DEASSIGN no longer, once the ioctl has returned; @fd and @gsi say which, and one that is not
 * there is no error. Closing @fd deassigns, too.
 *
 * EINVAL: unknown flag, not an eventfd, or RESAMPLE without a level-triggered route.
 * EBADF. EBUSY: @fd is an irqfd already. ENOSPC: MSHV_GSI_MAX of them are there. EINTR: a fatal
 * signal.
 */
struct mshv_user_irqfd {
	__s32 fd;
	__s32 resamplefd;
	__u32 gsi;
	__u32 flags;
};

enum {
	MSHV_IOEVENTFD_BIT_DATAMATCH,
	MSHV_IOEVENTFD_BIT_PIO,
	MSHV_IOEVENTFD_BIT_DEASSIGN,
	MSHV_IOEVENTFD_BIT_COUNT,
};

#define MSHV_IOEVENTFD_FLAGS_MASK	((1 << MSHV_IOEVENTFD_BIT_COUNT) - 1)

/**
 * struct mshv_user_ioeventfd - argument of MSHV_IOEVENTFD: a write of the guest that is an event
 * @datamatch: with DATAMATCH: the value written; with a length of 0, in whatever length
 * @addr: guest address, where no region is
 * @len: bytes of the write: 1, 2, 4 or 8; 0: any
 * @fd: eventfd, signalled instead of an intercept
 * @flags: mask of 1 << MSHV_IOEVENTFD_BIT_*
 * @rsvd: zero
 *
 * A write that the hypervisor cannot decode is an intercept all the same: the VMM must be able to
 * serve it.
 *
 * EINVAL: unknown flag, length, an address that wraps, not an eventfd.
 * EOPNOTSUPP: PIO. EBADF. EEXIST: overlaps one that exists. ENOENT: DEASSIGN, and there is none
 * with this address, length, value and event. ENOSPC: 1000 are there. EINVAL also: not initialized.
 * Or the errno of the hypervisor's answer.
 */
struct mshv_user_ioeventfd {
	__u64 datamatch;
	__u64 addr;
	__u32 len;
	__s32 fd;
	__u32 flags;
	__u8 rsvd[4];
};

/**
 * struct mshv_user_irq_entry - a route: which message-signalled interrupt a GSI is
 * @gsi: below MSHV_GSI_MAX
 * @address_lo: MSI address
 * @address_hi: zero
 * @data: MSI data; bit 15: level-triggered
 */
struct mshv_user_irq_entry {
	__u32 gsi;
	__u32 address_lo;
	__u32 address_hi;
	__u32 data;
};

/**
 * struct mshv_user_irq_table - argument of MSHV_SET_MSI_ROUTING: all routes, replacing all before
 * @nr: entries, at most MSHV_GSI_MAX; 0: none
 * @rsvd: zero
 * @entries: each GSI at most once
 *
 * An interrupt meanwhile goes by the old routes or by the new ones. EINVAL: as above.
 */
struct mshv_user_irq_table {
	__u32 nr;
	__u32 rsvd;
	struct mshv_user_irq_entry entries[];
};

/* mshv_prefault::flags */
enum {
	MSHV_PREFAULT_BIT_WRITE,	/* as if the guest wrote to each page; else as if it read */
	/* allocate nothing: map what Linux has, with the rights it has there */
	MSHV_PREFAULT_BIT_PRESENT,
	MSHV_PREFAULT_BIT_COUNT,
};

#define MSHV_PREFAULT_WRITE		(1 << MSHV_PREFAULT_BIT_WRITE)
#define MSHV_PREFAULT_PRESENT		(1 << MSHV_PREFAULT_BIT_PRESENT)
#define MSHV_PREFAULT_FLAGS_MASK	((1 << MSHV_PREFAULT_BIT_COUNT) - 1)

/**
 * struct mshv_prefault - argument of MSHV_PREFAULT_MEMORY (extension): map memory before the guest
 * touches it
 * @gfn: in: first guest page; out: page to go on with
 * @pages: in: how many, not 0; out: how many are left
 * @flags: MSHV_PREFAULT_*
 * @rsvd: zero
 *
 * 0: something was done, and @gfn and @pages say what is left; call again until @pages is 0. On an
 * error nothing was done, and nothing is written (but where the argument cannot be written, EFAULT,
 * it may have been done): EINVAL bad range, flags, or reserved fields; ENOENT a part of the range
 * is in no region; EACCES write, and a region or mapping does not give the right; EPERM another
 * address space; EINTR a signal; EOWNERDEAD the partition is dead. Otherwise why Linux cannot
 * supply the first page, as RUN_VP (EFAULT, EHWPOISON, ENOMEM, EOPNOTSUPP), or the errno of the
 * hypervisor. With PRESENT, pages that Linux does not have are passed over. The pages stay movable:
 * Linux may take them away again. While dirty bits are tracked, a page that was asked for with
 * WRITE may count as written.
 */
struct mshv_prefault {
	__u64 gfn;
	__u64 pages;
	__u32 flags;
	__u32 rsvd[3];
};

/*
 * Page of the VP descriptor to mmap (shared, one page each); the offset is this times the page
 * size.
 */
enum {
	MSHV_VP_MMAP_OFFSET_REGISTERS,
	MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE,
	MSHV_VP_MMAP_OFFSET_GHCB,
	MSHV_VP_MMAP_OFFSET_COUNT,
};

/* Device descriptor. */
#define MSHV_CREATE_PARTITION		_IOW(MSHV_IOCTL, 0x00, struct mshv_create_partition)
/* Any descriptor. */
#define MSHV_ROOT_HVCALL		_IOWR(MSHV_IOCTL, 0x07, struct mshv_root_hvcall)
/* Partition descriptor. */
#define MSHV_INITIALIZE_PARTITION	_IO(MSHV_IOCTL, 0x00)
#define MSHV_CREATE_VP			_IOW(MSHV_IOCTL, 0x01, struct mshv_create_vp)
#define MSHV_SET_GUEST_MEMORY		_IOW(MSHV_IOCTL, 0x02, struct mshv_user_mem_region)
#define MSHV_IRQFD			_IOW(MSHV_IOCTL, 0x03, struct mshv_user_irqfd)
#define MSHV_IOEVENTFD			_IOW(MSHV_IOCTL, 0x04, struct mshv_user_ioeventfd)
#define MSHV_SET_MSI_ROUTING		_IOW(MSHV_IOCTL, 0x05, struct mshv_user_irq_table)
#define MSHV_GET_GPAP_ACCESS_BITMAP	_IOWR(MSHV_IOCTL, 0x06, struct mshv_gpap_access_bitmap)
/* extension */
#define MSHV_PREFAULT_MEMORY		_IOWR(MSHV_IOCTL, 0x40, struct mshv_prefault)
/* VP descriptor. */
#define MSHV_RUN_VP			_IOR(MSHV_IOCTL, 0x00, struct mshv_run_vp)
#define MSHV_RUN_VP_EXIT		_IOWR(MSHV_IOCTL, 0x00, struct mshv_run_vp_exit)
#define MSHV_GET_VP_STATE		_IOWR(MSHV_IOCTL, 0x01, struct mshv_get_set_vp_state)
#define MSHV_SET_VP_STATE		_IOWR(MSHV_IOCTL, 0x02, struct mshv_get_set_vp_state)

/* The numbers are the interface: pin them, and every layout behind them. */
#ifdef __cplusplus
#define MSHV_ASSERT(what)	static_assert(what, #what)
#else
#define MSHV_ASSERT(what)	_Static_assert(what, #what)
#endif
#define MSHV_ASSERT_AT(type, field, at) MSHV_ASSERT(offsetof(struct type, field) == (at))

MSHV_ASSERT(MSHV_CREATE_PARTITION == 0x4010B800);
MSHV_ASSERT(MSHV_ROOT_HVCALL == 0xC020B807);
MSHV_ASSERT(MSHV_INITIALIZE_PARTITION == 0x0000B800);
MSHV_ASSERT(MSHV_CREATE_VP == 0x4004B801);
MSHV_ASSERT(MSHV_SET_GUEST_MEMORY == 0x4020B802);
MSHV_ASSERT(MSHV_IRQFD == 0x4010B803);
MSHV_ASSERT(MSHV_IOEVENTFD == 0x4020B804);
MSHV_ASSERT(MSHV_SET_MSI_ROUTING == 0x4008B805);
MSHV_ASSERT(MSHV_GET_GPAP_ACCESS_BITMAP == 0xC020B806);
MSHV_ASSERT(MSHV_PREFAULT_MEMORY == 0xC020B840);
MSHV_ASSERT(MSHV_RUN_VP == 0x8100B800);
MSHV_ASSERT(MSHV_RUN_VP_EXIT == 0xC108B800);
MSHV_ASSERT(MSHV_GET_VP_STATE == 0xC010B801);
MSHV_ASSERT(MSHV_SET_VP_STATE == 0xC010B802);

MSHV_ASSERT(sizeof(struct mshv_create_partition) == 16);
MSHV_ASSERT_AT(mshv_create_partition, pt_flags, 0);
MSHV_ASSERT_AT(mshv_create_partition, pt_isolation, 8);
MSHV_ASSERT(sizeof(struct mshv_create_partition_v2) == 64);
MSHV_ASSERT_AT(mshv_create_partition_v2, pt_flags, 0);
MSHV_ASSERT_AT(mshv_create_partition_v2, pt_isolation, 8);
MSHV_ASSERT_AT(mshv_create_partition_v2, pt_num_cpu_fbanks, 16);
MSHV_ASSERT_AT(mshv_create_partition_v2, pt_rsvd, 18);
MSHV_ASSERT_AT(mshv_create_partition_v2, pt_cpu_fbanks, 24);
MSHV_ASSERT_AT(mshv_create_partition_v2, pt_rsvd1, 40);
MSHV_ASSERT_AT(mshv_create_partition_v2, pt_disabled_xsave, 56);
MSHV_ASSERT(sizeof(struct mshv_root_hvcall) == 32);
MSHV_ASSERT_AT(mshv_root_hvcall, code, 0);
MSHV_ASSERT_AT(mshv_root_hvcall, reps, 2);
MSHV_ASSERT_AT(mshv_root_hvcall, in_sz, 4);
MSHV_ASSERT_AT(mshv_root_hvcall, out_sz, 6);
MSHV_ASSERT_AT(mshv_root_hvcall, status, 8);
MSHV_ASSERT_AT(mshv_root_hvcall, rsvd, 10);
MSHV_ASSERT_AT(mshv_root_hvcall, in_ptr, 16);
MSHV_ASSERT_AT(mshv_root_hvcall, out_ptr, 24);
MSHV_ASSERT(sizeof(struct mshv_create_vp) == 4);
MSHV_ASSERT_AT(mshv_create_vp, vp_index, 0);
MSHV_ASSERT(sizeof(struct mshv_user_mem_region) == 32);
MSHV_ASSERT_AT(mshv_user_mem_region, size, 0);
MSHV_ASSERT_AT(mshv_user_mem_region, guest_pfn, 8);
MSHV_ASSERT_AT(mshv_user_mem_region, userspace_addr, 16);
MSHV_ASSERT_AT(mshv_user_mem_region, flags, 24);
MSHV_ASSERT_AT(mshv_user_mem_region, rsvd, 25);
MSHV_ASSERT(sizeof(struct mshv_gpap_access_bitmap) == 32);
MSHV_ASSERT_AT(mshv_gpap_access_bitmap, access_type, 0);
MSHV_ASSERT_AT(mshv_gpap_access_bitmap, access_op, 1);
MSHV_ASSERT_AT(mshv_gpap_access_bitmap, rsvd, 2);
MSHV_ASSERT_AT(mshv_gpap_access_bitmap, page_count, 8);
MSHV_ASSERT_AT(mshv_gpap_access_bitmap, gpap_base, 16);
MSHV_ASSERT_AT(mshv_gpap_access_bitmap, bitmap_ptr, 24);
MSHV_ASSERT(sizeof(struct mshv_run_vp) == 256);
MSHV_ASSERT(sizeof(struct mshv_get_set_vp_state) == 16);
MSHV_ASSERT_AT(mshv_get_set_vp_state, type, 0);
MSHV_ASSERT_AT(mshv_get_set_vp_state, rsvd, 1);
MSHV_ASSERT_AT(mshv_get_set_vp_state, buf_sz, 4);
MSHV_ASSERT_AT(mshv_get_set_vp_state, buf_ptr, 8);
MSHV_ASSERT(sizeof(struct mshv_user_irqfd) == 16);
MSHV_ASSERT_AT(mshv_user_irqfd, fd, 0);
MSHV_ASSERT_AT(mshv_user_irqfd, resamplefd, 4);
MSHV_ASSERT_AT(mshv_user_irqfd, gsi, 8);
MSHV_ASSERT_AT(mshv_user_irqfd, flags, 12);
MSHV_ASSERT(sizeof(struct mshv_user_ioeventfd) == 32);
MSHV_ASSERT_AT(mshv_user_ioeventfd, datamatch, 0);
MSHV_ASSERT_AT(mshv_user_ioeventfd, addr, 8);
MSHV_ASSERT_AT(mshv_user_ioeventfd, len, 16);
MSHV_ASSERT_AT(mshv_user_ioeventfd, fd, 20);
MSHV_ASSERT_AT(mshv_user_ioeventfd, flags, 24);
MSHV_ASSERT_AT(mshv_user_ioeventfd, rsvd, 28);
MSHV_ASSERT(sizeof(struct mshv_user_irq_entry) == 16);
MSHV_ASSERT_AT(mshv_user_irq_entry, gsi, 0);
MSHV_ASSERT_AT(mshv_user_irq_entry, address_lo, 4);
MSHV_ASSERT_AT(mshv_user_irq_entry, address_hi, 8);
MSHV_ASSERT_AT(mshv_user_irq_entry, data, 12);
MSHV_ASSERT(sizeof(struct mshv_user_irq_table) == 8);
MSHV_ASSERT_AT(mshv_user_irq_table, nr, 0);
MSHV_ASSERT_AT(mshv_user_irq_table, rsvd, 4);
MSHV_ASSERT_AT(mshv_user_irq_table, entries, 8);
MSHV_ASSERT(sizeof(struct mshv_prefault) == 32);
MSHV_ASSERT_AT(mshv_prefault, gfn, 0);
MSHV_ASSERT_AT(mshv_prefault, pages, 8);
MSHV_ASSERT_AT(mshv_prefault, flags, 16);
MSHV_ASSERT_AT(mshv_prefault, rsvd, 20);

#endif
