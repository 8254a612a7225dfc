/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * libmshv: virtual machines on /dev/mshv. Installed as <mshv.h>; C11, or C++11 and later.
 *
 * Objects: a VM (one partition) has memory regions and virtual processors. A processor is
 * run by one thread at a time; everything else may be called from any thread.
 *
 * Errors: a function returns 0 (or an object) on success and -1 (or NULL) with errno set
 * otherwise; mshv_error() then says in words what was tried and why it failed.
 * A VM belongs to the process that made it: the driver refuses to run it in a forked child.
 *
 * Laws: the library prints nothing, ends nothing, makes no thread, and uses no signal that the program did not name
 * (mshv_kick_signal()). A structure that callers allocate and that may grow begins with its own size, an array comes with
 * the number of its elements: a program that was compiled with an older header goes on to work.
 */
#ifndef LIBMSHV_H
#define LIBMSHV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <hvabi/debug.h>
#include <hvabi/message.h>
#include <hvabi/partition.h>
#include <hvabi/hypercall.h>
#include <hvabi/register.h>
#include <hvabi/vp.h>

#define MSHV_PAGE_SIZE	4096ull
#define MSHV_BLOCK_SIZE	(2ull << 20)	/* what the second-level tables map at once at most */

#ifdef __cplusplus
extern "C" {
#endif

struct mshv_vm;
struct mshv_vcpu;

/* What the last failed call of this thread was about: "create partition: Permission denied". */
const char *mshv_error(void);

/* For layers above: sets it to "WHAT: strerror(errno)" and returns -1 with errno kept. */
int mshv_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same with a reason in words instead of errno's. */
int mshv_fail_because(int error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- VMs and memory ---- */

enum mshv_vm_flags {
	MSHV_VM_LAPIC		= 1 << 0,	/* the hypervisor has a local APIC for each processor */
	MSHV_VM_X2APIC		= 1 << 1,	/* ... that can be an x2APIC */
};

enum mshv_isolation {
	MSHV_ISOLATION_NONE	= 0,
	/* The guest has its memory for itself: all of it is added as pinned, and then this process cannot touch it. */
	MSHV_ISOLATION_SNP	= 1,
};

/* A property of a partition: HVABI_PROPERTY_*. */
struct mshv_property {
	uint32_t code;
	uint64_t value;
};

/*
 * Opens /dev/mshv (or $MSHV_DEVICE) and makes a partition that is not initialized: @flags is MSHV_VM_*, @isolation one of
 * enum mshv_isolation. What it has before mshv_vm_initialize() is properties; no memory and no processors.
 */
struct mshv_vm *mshv_vm_new(unsigned int flags, unsigned int isolation);

/*
 * Sets @count early properties, those that count only before, in their order, and initializes the partition. On an error the
 * VM can only be destroyed; mshv_error() names the property.
 */
int mshv_vm_initialize(struct mshv_vm *vm, const struct mshv_property *early, unsigned int count);

/* One property, whenever the hypervisor lets it be set. */
int mshv_vm_set_property(struct mshv_vm *vm, uint32_t code, uint64_t value);

/* Both with the most ordinary arguments: no flags, no isolation, no properties. */
struct mshv_vm *mshv_vm_create(void);

struct mshv_vm_config {
	size_t size;			/* of this structure */
	unsigned int flags;		/* MSHV_VM_* */
	unsigned int isolation;		/* enum mshv_isolation */
	/* HVABI_SYNTHETIC_* that the guest sees, if the hypervisor has them to give; 0: as it likes. */
	uint64_t synthetic_features;
};

/* What a Linux guest makes use of. */
#define MSHV_SYNTHETIC_LINUX							\
	(HVABI_SYNTHETIC_HYPERVISOR_PRESENT | HVABI_SYNTHETIC_HV1 |		\
	 HVABI_SYNTHETIC_REFERENCE_COUNTER |		\
	 HVABI_SYNTHETIC_TIMERS | HVABI_SYNTHETIC_APIC_ACCESS |			\
	 HVABI_SYNTHETIC_HYPERCALL |						\
	 HVABI_SYNTHETIC_VP_INDEX | HVABI_SYNTHETIC_REFERENCE_TSC |		\
	 HVABI_SYNTHETIC_FREQUENCIES | HVABI_SYNTHETIC_DIRECT_TIMERS |		\
	 HVABI_SYNTHETIC_PROCESSOR_MASKS | HVABI_SYNTHETIC_TLB_FLUSH | HVABI_SYNTHETIC_CLUSTER_IPI)

/* Both, with what most monitors set. Features the hypervisor cannot give are left out. */
struct mshv_vm *mshv_vm_create_with(const struct mshv_vm_config *config);

/*
 * HVABI_SYNTHETIC_* that guests of this hypervisor can have. A hypervisor that does not tell
 * leaves it to the creation of the partition: all ones.
 */
int mshv_assignable_features(uint64_t *features);

/*
 * Asks the guest's local APICs for an interrupt: @mode is HVABI_INTERRUPT_TYPE_*, @dest an APIC id
 * or, if @logical, a logical destination. From any thread, whatever the processors do.
 */
int mshv_assert_interrupt(struct mshv_vm *vm, uint32_t mode, uint32_t vector, uint64_t dest,
			  bool logical, bool level);

/* A message-signalled interrupt and its number. Bit 15 of @data: level-triggered. */
struct mshv_msi {
	uint32_t gsi;
	uint64_t address;
	uint32_t data;
};

/* All routes of interrupts by number, in the place of those before. */
int mshv_msi_routes(struct mshv_vm *vm, const struct mshv_msi *routes, unsigned int count);

/*
 * Each signal of the eventfd @event asserts interrupt @gsi, until it is removed or closed. If that is
 * level-triggered, @resample (an eventfd, too) is signalled when the guest ends it.
 */
int mshv_irqfd_add(struct mshv_vm *vm, int event, uint32_t gsi);
int mshv_irqfd_add_level(struct mshv_vm *vm, int event, int resample, uint32_t gsi);
int mshv_irqfd_remove(struct mshv_vm *vm, int event, uint32_t gsi);

/*
 * A write of @size bytes (0: any) to @gpa, where there is no memory, signals the eventfd @event and
 * does not stop the guest. @value: only if that is written; NULL: whatever is.
 */
int mshv_ioeventfd_add(struct mshv_vm *vm, int event, uint64_t gpa, unsigned int size,
		       const uint64_t *value);
int mshv_ioeventfd_remove(struct mshv_vm *vm, int event, uint64_t gpa, unsigned int size,
			  const uint64_t *value);

/*
 * Destroys the partition and frees its memory. Every processor must have been destroyed.
 * NULL is fine.
 */
void mshv_vm_destroy(struct mshv_vm *vm);

/* The partition's file descriptor, for ioctls that have no function here. */
int mshv_vm_fd(const struct mshv_vm *vm);

enum mshv_memory_flags {
	MSHV_MEMORY_PINNED	= 1 << 0,	/* pinned from the start, for its whole life */
	MSHV_MEMORY_READ_ONLY	= 1 << 1,	/* the guest cannot write */
	MSHV_MEMORY_SMALL	= 1 << 2,	/* no transparent huge pages */
	MSHV_MEMORY_PREFAULT	= 1 << 3,	/* movable, and all of it is there before the guest asks */
};

/*
 * Gives the guest @size bytes of fresh anonymous memory at @gpa (both multiples of 4096;
 * at a multiple of 2 MiB the memory starts at one, too). Nothing of it is allocated before
 * it is touched, unless it is pinned. Returns its address in this process.
 */
void *mshv_memory_add(struct mshv_vm *vm, uint64_t gpa, uint64_t size, unsigned int flags);

/* Makes [@host, @host + @size) of the caller's memory guest memory; it stays the caller's. */
int mshv_region_add(struct mshv_vm *vm, uint64_t gpa, void *host, uint64_t size,
		    unsigned int flags);

/*
 * Pins a region (MSHV_MEMORY_PINNED in @flags) or makes it movable, while the guest runs;
 * other arguments as it was added with. On an error it is movable.
 */
int mshv_region_change(struct mshv_vm *vm, uint64_t gpa, void *host, uint64_t size,
		       unsigned int flags);

/*
 * Puts other memory of the caller's, which stays his, in the place of the region that begins at @gpa,
 * larger or smaller as he likes. A guest that runs finds one or the other; on an error the old one.
 */
int mshv_region_replace(struct mshv_vm *vm, uint64_t gpa, void *host, uint64_t size,
			unsigned int flags);

/* Takes a region away; arguments as it was added with. */
int mshv_region_remove(struct mshv_vm *vm, uint64_t gpa, void *host, uint64_t size);

enum mshv_prefault_flags {
	MSHV_PREFAULT_FOR_WRITE	= 1 << 0,	/* as if the guest wrote to each page; else as if it read */
	MSHV_PREFAULT_IF_THERE	= 1 << 1,	/* allocates nothing: what Linux has, as it has it */
};

/*
 * Maps the pages of [*@gpa, *@gpa + *@size), multiples of 4096, before the guest touches them; it may run. All of
 * it must be memory of the guest. They stay movable: what Linux takes away later comes back by a fault. -1: what
 * is left is in *@gpa and *@size; errno EINTR: a signal, and it can be called again.
 */
int mshv_prefault(struct mshv_vm *vm, uint64_t *gpa, uint64_t *size, unsigned int flags);

/* The address of [@gpa, @gpa + @size) in this process, or NULL if no region has all of it. */
void *mshv_host_address(struct mshv_vm *vm, uint64_t gpa, uint64_t size);

enum mshv_access { MSHV_ACCESSED, MSHV_DIRTY };
enum mshv_access_op { MSHV_ACCESS_KEEP, MSHV_ACCESS_CLEAR, MSHV_ACCESS_SET };

/*
 * Access bits of all pages, from now on: none is lost before somebody clears it, whatever Linux does
 * to the page. Switching off forgets them.
 */
int mshv_track_access(struct mshv_vm *vm, bool on);

/*
 * Stop the guest's clocks, or let them go on from where they stood: its TSCs, reference time and timers.
 * Nobody runs meanwhile.
 */
int mshv_freeze_time(struct mshv_vm *vm, bool freeze);

/* Reads the access bits of @pages pages from @gfn into @bitmap, then changes them. */
int mshv_access_bitmap(struct mshv_vm *vm, uint64_t gfn, uint64_t pages,
		       enum mshv_access which, enum mshv_access_op op, uint8_t *bitmap);

/* What the driver counted for this VM: a key of docs/stats.md, such as "faults-served". */
int mshv_stat(struct mshv_vm *vm, const char *key, uint64_t *value);

/* ---- processors ---- */

/* @index below 256; each once in a VM. */
struct mshv_vcpu *mshv_vcpu_create(struct mshv_vm *vm, uint32_t index);
void mshv_vcpu_destroy(struct mshv_vcpu *vcpu);
uint32_t mshv_vcpu_index(const struct mshv_vcpu *vcpu);
struct mshv_vm *mshv_vcpu_vm(const struct mshv_vcpu *vcpu);
/* The processor's file descriptor, for ioctls that have no function here. */
int mshv_vcpu_fd(const struct mshv_vcpu *vcpu);

/* A register and its value, for mshv_set_registers(). */
static inline struct hvabi_register_assoc mshv_scalar(uint32_t name, uint64_t value)
{
	struct hvabi_register_assoc reg;

	memset(&reg, 0, sizeof(reg));
	reg.name = name;
	reg.value.reg128.low = value;
	return reg;
}

/* A segment register with base 0. */
static inline struct hvabi_register_assoc mshv_segment(uint32_t name, uint16_t selector, uint32_t limit,
						       uint16_t attributes)
{
	struct hvabi_register_assoc reg = mshv_scalar(name, 0);

	reg.value.segment.limit = limit;
	reg.value.segment.selector = selector;
	reg.value.segment.attributes = attributes;
	return reg;
}

/* HVABI_REG_* names and values; @count at most 64. Not while the processor runs. */
int mshv_get_registers(struct mshv_vcpu *vcpu, const uint32_t *names,
		       union hvabi_register_value *values, unsigned int count);
int mshv_set_registers(struct mshv_vcpu *vcpu, const struct hvabi_register_assoc *regs,
		       unsigned int count);
int mshv_get_register(struct mshv_vcpu *vcpu, uint32_t name, uint64_t *value);
int mshv_set_register(struct mshv_vcpu *vcpu, uint32_t name, uint64_t value);

/* What an instruction's emulation works on, of a processor that has stopped with a message. */
struct mshv_general {
	uint64_t gp[16];		/* rax rcx rdx rbx rsp rbp rsi rdi r8-r15 */
	uint64_t rip;
	uint64_t rflags;
};

/* Through the register page where there is one: no hypercall. */
int mshv_get_general(struct mshv_vcpu *vcpu, struct mshv_general *general);
int mshv_set_general(struct mshv_vcpu *vcpu, const struct mshv_general *general);

/*
 * Copies from or to guest linear addresses, as the processor's page tables have them now.
 * Returns the bytes copied, less than @size if a page is not mapped; -1 if not even one.
 */
int mshv_copy_linear(struct mshv_vcpu *vcpu, uint64_t gva, void *data, unsigned int size,
		     bool write);

/*
 * State that is more than registers (MSHV_VP_STATE_*), as the hypervisor has it, of a processor that
 * does not run. Buffers lie at a multiple of 4096 and are a multiple of 4096 long. @size in: of the
 * buffer; out: real, also when the buffer is too small (EINVAL).
 */
int mshv_vcpu_get_state(struct mshv_vcpu *vcpu, unsigned int type, void *data, size_t *size);
int mshv_vcpu_set_state(struct mshv_vcpu *vcpu, unsigned int type, void *data, size_t size);

/* Asks the hypervisor to stop the guest's processors at such instructions, see
 * HVABI_INTERCEPT_TYPE_* and HVABI_INTERCEPT_ACCESS_MASK_*. */
int mshv_install_intercept(struct mshv_vm *vm, uint32_t type, uint32_t access,
			   uint64_t parameter);

/*
 * Runs the processor until something stops it and returns the hypervisor's message. errno:
 * EINTR if a signal or mshv_vcpu_kick() came first (there is no message then); if a fault
 * could not be served, why (see MSHV_RUN_VP), and the message is there.
 */
int mshv_vcpu_run(struct mshv_vcpu *vcpu, struct hvabi_message *message);

/*
 * What a run loop does when the guest stops. Handlers return 0 to go on, or anything else
 * to leave the loop with that value. The loop itself moves RIP and stores results.
 */
struct mshv_handlers {
	size_t size;			/* of this structure */
	/* One port access; @value is what was written, or takes what is read. Size 1, 2, 4. */
	int (*port)(struct mshv_vcpu *vcpu, void *arg, uint16_t port, unsigned int size,
		    bool write, uint32_t *value);
	/* HLT; the guest goes on behind it. */
	int (*halt)(struct mshv_vcpu *vcpu, void *arg);
	/* An intercepted CPUID: @result (EAX, EBX, ECX, EDX) has the default answer. */
	int (*cpuid)(struct mshv_vcpu *vcpu, void *arg, uint32_t leaf, uint32_t subleaf,
		     uint32_t result[4]);
	/* An intercepted MSR; if @value cannot be had: -ENOENT injects #GP. */
	int (*msr)(struct mshv_vcpu *vcpu, void *arg, uint32_t msr, bool write,
		   uint64_t *value);
	/* A hypercall that is the parent's to answer (mshv_install_intercept() of that type);
	 * @result is the result word. Without a handler there are no such calls. */
	int (*hypercall)(struct mshv_vcpu *vcpu, void *arg, uint64_t control, uint64_t input,
			 uint64_t output, uint64_t *result);
	/* Memory that is not RAM, or a fault that was not served (@error is an errno, 0 if
	 * the driver did not try). The handler does all that the instruction does, RIP
	 * included. If there is no handler, or it says -ENOENT: @mmio, or the loop is left with an error. */
	int (*memory)(struct mshv_vcpu *vcpu, void *arg,
		      const struct hvabi_x64_memory_intercept_message *message, int error);
	/* Any other message. The same, without @mmio. */
	int (*other)(struct mshv_vcpu *vcpu, void *arg, const struct hvabi_message *message);
	/*
	 * One access to memory that no region has, or that writes where a region is read-only (then the read of the same
	 * instruction comes here, too), by an instruction that the loop does: moves, tests and logic with one memory operand.
	 * @value is what was written, or takes what is read (all ones before). Size 1, 2, 4, 8, within a page. An
	 * instruction that reads and writes makes two. -ENOENT: nobody is there; the loop is left with an error, as it is
	 * without a handler, and for instructions that it does not do.
	 */
	int (*mmio)(struct mshv_vcpu *vcpu, void *arg, uint64_t gpa, unsigned int size, bool write,
		    uint64_t *value);
};

/*
 * Runs the processor until a handler says otherwise. Returns the handler's value; -1 with
 * errno on an error, EINTR after mshv_vcpu_kick(), a signal, or what else Linux wants of the thread
 * (before 6.18): call again.
 */
int mshv_vcpu_loop(struct mshv_vcpu *vcpu, const struct mshv_handlers *handlers, void *arg);

/*
 * Names the signal that mshv_vcpu_kick() sends to threads that run a processor: one that the program has no other use for,
 * such as SIGUSR1 or SIGRTMIN. If nobody handles it, a handler that does nothing is installed, without SA_RESTART; a handler of
 * the program's is left alone, and must be without it, too. mshv_vcpu_loop() unblocks the signal in its thread; whoever calls
 * mshv_vcpu_run() has to have it unblocked. 0: none any more. errno EINVAL: no such signal, or one that cannot be caught.
 */
int mshv_kick_signal(int signal);

/*
 * Makes @thread (a pthread_t), in mshv_vcpu_run() or _loop() of @vcpu or about to be, return: at once if a signal is named
 * (mshv_kick_signal()), else no later than when the guest stops the next time, or a signal of anybody's comes.
 */
void mshv_vcpu_kick(struct mshv_vcpu *vcpu, unsigned long thread);

/*
 * Extended hypercalls: EXT_QUERY_CAPABILITIES, and the heat hint by which a guest says that it needs
 * pages no more.
 */
struct mshv_extended {
	size_t size;			/* of this structure */
	void *arg;			/* of both */
	/* Guest memory [@gpa, @gpa + @size) in this process; NULL if not all of it is some. */
	void *(*memory)(void *arg, uint64_t gpa, uint64_t size);
	/* The guest has no use for these pages; NULL: it is not offered to say so. */
	void (*discard)(void *arg, void *host, uint64_t size);
};

/* Answers one; returns its result word. A structure of a size that cannot be offers nothing. */
uint64_t mshv_extended_call(const struct mshv_extended *extended, uint64_t control, uint64_t input,
			    uint64_t output);

/* ---- hypervisor ---- */

/*
 * One hypercall of the driver's allow-list on a descriptor of a device, partition or
 * processor. The first 8 bytes of @in are the partition id, which the driver fills in.
 * @reps (may be NULL: 0) in: wanted, out: done. On failure @status has the hypervisor's
 * status, or 0 if the driver refused.
 */
int mshv_hypercall(int fd, uint16_t code, uint16_t *reps, void *in, size_t in_size,
		   void *out, size_t out_size, uint16_t *status);

/*
 * Counters of the bundled hypervisor: of @vm, or of the parent if @vm is NULL; the first @count of HVABI_COUNT_MAX
 * into @counters (what is beyond them: 0). errno ENOTTY: another hypervisor.
 */
int mshv_counters(struct mshv_vm *vm, uint64_t *counters, unsigned int count);
/* Everything that happened on one of the parent's processors. */
int mshv_processor_counters(uint32_t processor, uint64_t *counters, unsigned int count);
const char *mshv_counter_name(unsigned int counter);

/* Who can reach page @page (number in the parent), see hvabi/debug.h. @vm NULL: anyone. */
int mshv_who_can_reach(struct mshv_vm *vm, uint64_t page,
		       struct hvabi_output_debug_who_can_reach *answer);

/* Sets an option of the bundled hypervisor (HVABI_OPTION_*). */
int mshv_hypervisor_option(uint32_t option, uint64_t value);

const char *mshv_message_name(uint32_t type);
const char *mshv_status_name(uint16_t status);

#ifdef __cplusplus
}
#endif
#endif
