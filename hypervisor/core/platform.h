/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the core asks of the machine under it.  svm/ and boot/ answer on real
 * hardware; tests/unit/mock.c answers on the host, where memory is an array
 * and a processor is a structure.
 *
 * "SPA" is a system physical address.  The parent's guest physical space is
 * an identity map of it, so a page number named by the parent is the system
 * page number once the frame table says that the page is the parent's.
 */
#ifndef CORE_PLATFORM_H
#define CORE_PLATFORM_H

#include "types.h"

struct cpu;
struct vp;

/* The processor that asks. */
struct cpu *platform_self(void);

/* Pointer to the memory at @spa, which must be RAM. */
#ifdef HV_HOSTED
void *platform_phys(u64 spa);
#else
static inline void *platform_phys(u64 spa)
{
	return (void *)spa;
}
#endif

/* Make @cpu leave whatever partition it runs, soon.  Any context. */
void platform_kick(struct cpu *cpu);

/* Raise interrupt @vector in the parent's own local APIC on @cpu.  Any context. */
void platform_raise(struct cpu *cpu, u8 vector);

/*
 * Have some processor leave what it runs when the TSC has come to @tsc, or TIME_NEVER.  There
 * is one such time; a machine without a timer for it does nothing.  This and the two that follow: lock of deadlines.
 */
void platform_set_timer(u64 tsc);

/* An NMI came to @cpu that nobody sent: was it this timer's? */
bool platform_timer_nmi(const struct cpu *cpu);

/* The time has come, and the NMI may have been taken for another's. */
bool platform_timer_passed(const struct cpu *cpu);

/* The time stamp counter. */
u64 platform_tsc(void);

/* One turn of a wait loop. */
void platform_relax(void);

/* Print one line on the debug console. */
void platform_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print the reason and stop the machine. */
void platform_panic(const char *format, ...)
	__attribute__((noreturn, format(printf, 1, 2)));

/* How a stay in a child ended. */
enum run_result {
	RUN_INTERCEPT,		/* a message stands in the VP's message page */
	RUN_PREEMPTED,		/* the parent is wanted */
	RUN_STOPPED,		/* the VP was suspended, or its time is over (sched.h) */
	RUN_BLOCKED,		/* it has nothing to do until something is requested of it */
	RUN_GONE,		/* the VP was removed while it ran */
};

/*
 * Run @vp on @cpu until one of the above.  Called and returns with the world
 * and the lock of the partition held, but RUN_GONE only with the world; drops
 * both while the child runs.
 */
enum run_result platform_run_vp(struct cpu *cpu, struct vp *vp);

/*
 * What @vp's CPUID answers for @leaf and @subleaf, if XCR0 were @xfem: EAX, EBX, ECX, EDX.  Results
 * that its parent registered are not applied.  It does not run.
 */
void platform_cpuid(const struct vp *vp, u32 leaf, u32 subleaf, u64 xfem, u32 out[4]);

/* True if a child's access to @msr can be intercepted: it is not switched with the VP. */
bool platform_msr_exits(u32 msr);

/* Facts about the processor that properties and registers expose. */
struct platform_info {
	u64 tsc_hz;
	u64 apic_hz;
	u64 xcr0_mask;		/* components a child may enable in XCR0 */
	u32 xsave_bytes;	/* room that these need */
	/* Of each component from 2 on: place in the standard format, size, and whether it is aligned to 64 in the compacted one. */
	struct {
		u16 offset, bytes;
		bool aligned;
	} xsave[63];
	u32 physical_bits;
	bool leaves_1g;		/* page table entries can map 1 GiB */
	u64 features[2];	/* HV processor feature banks, bit set = there */
	u64 xsave_features;	/* HV XSAVE feature bits */
};

extern struct platform_info platform_info;

#endif
