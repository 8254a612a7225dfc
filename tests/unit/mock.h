/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine under the hypervisor core, for tests on the host: some RAM, two
 * processors, and children that "run" by answering what a test says.
 */
#ifndef UNIT_MOCK_H
#define UNIT_MOCK_H

#include <hypervisor/core/cpu.h>
#include <hypervisor/core/hypercall.h>
#include <hypervisor/core/platform.h>
#include <hypervisor/core/vp.h>

#define MOCK_PAGES	8192ull			/* 32 MiB */
#define MOCK_HEAP	6144ull			/* pages from here on are the hypervisor's */
#define MOCK_CPUS	2u

extern struct cpu mock_cpus[MOCK_CPUS];

/* The processor that the calling thread stands for; 0 if it does not say. */
extern _Thread_local struct cpu *mock_self;

/* Called for platform_run_vp(); NULL: leave as preempted. */
extern enum run_result (*mock_run)(struct cpu *cpu, struct vp *vp);

/* Called by whoever waits for another processor. */
extern void (*mock_relax)(void);

/* How often a processor was kicked; a kick makes it leave its guest, or what the test says. */
extern unsigned int mock_kicks;
extern void (*mock_kick)(struct cpu *cpu);

/* Interrupts raised in the parent's APICs: how many, and the last one's vector and processor. */
extern unsigned int mock_raises, mock_raised, mock_raised_on;

/* The TSC, and what it was last asked to be awaited; and whether that has fired. */
extern uint64_t mock_tsc, mock_timer;
extern bool mock_timer_fired;

/* Fresh machine: parent only, default options. */
void mock_reset(void);

/* The same, and the parent has this GiB of pages that nobody can touch; for what a child only maps. */
#define MOCK_GIB	(1ull << 18)
void mock_reset_with_gib(void);

/*
 * A hypercall of processor 0.  @in goes to page 1 of the parent, the output
 * block is page 2.  Returns the result word.
 */
uint64_t mock_call(uint16_t code, const void *in, size_t bytes, uint16_t reps, uint16_t start);

/* hypercall() as an exit of the parent on @cpu would call it: the world is held meanwhile. */
uint64_t mock_hypercall(struct cpu *cpu, uint64_t control, uint64_t rdx, uint64_t r8);

/* Output block of the last call. */
void *mock_out(void);

/* Status and completed repetitions of a result word. */
#define mock_status(result)	hvabi_result_status(result)
#define mock_reps(result)	hvabi_result_reps(result)

/* The parent deposits @count pages from @pfn on to @id; must succeed. */
void mock_deposit(uint64_t id, uint64_t pfn, unsigned int count);

/* An active child with a pool of @pool pages, taken from page 512 of the parent on. */
uint64_t mock_child(unsigned int pool);

/* The same with memory of its own. */
uint64_t mock_isolated_child(unsigned int pool);

/* The same made with these creation flags more, and with these features of the hypervisor. */
uint64_t mock_apic_child(unsigned int pool, uint64_t flags, uint64_t features);

/* A VP of @id with a message page, not suspended. */
struct vp *mock_vp(uint64_t id, uint32_t index);

/* One register of a VP: result word; what was read is in the output block. */
uint64_t mock_set(const struct vp *vp, uint32_t name, uint64_t value);
uint64_t mock_get(const struct vp *vp, uint32_t name);

/* DISPATCH_VP, which must succeed: state, and event << 8. */
uint32_t mock_dispatch(const struct vp *vp);

/* For mock_run: as a processor that leaves at once, or blocks if there is nothing to do. */
enum run_result mock_ready_or_blocked(struct cpu *cpu, struct vp *vp);

/* One MAP_GPA_PAGES or UNMAP_GPA_PAGES; source pages are @pfn, @pfn + step, ... */
uint64_t mock_map(uint64_t id, uint64_t gfn, uint64_t pfn, uint16_t reps, uint32_t flags);
uint64_t mock_unmap(uint64_t id, uint64_t gfn, uint16_t reps, uint32_t flags);

/* Entry of the child's tables for @gfn, and its level. */
uint64_t mock_entry(uint64_t id, uint64_t gfn, uint32_t *level);

/* References of a parent page. */
uint32_t mock_refs(uint64_t pfn);

#endif
