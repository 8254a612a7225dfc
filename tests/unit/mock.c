// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mocked machine.  Contract: mock.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hvabi/memory.h>
#include <hvabi/partition.h>
#include <hvabi/status.h>
#include <hvabi/vp.h>
#include <hypervisor/core/frame.h>
#include <hypervisor/core/interrupt.h>
#include <hypervisor/core/lock.h>
#include <hypervisor/core/message.h>
#include <hypervisor/core/npt.h>
#include <hypervisor/core/options.h>
#include <hypervisor/core/parent_map.h>
#include <hypervisor/core/time.h>
#include "mock.h"

#define INPUT_PAGE	1ull
#define OUTPUT_PAGE	2ull
#define FIRST_POOL_PAGE	512ull
#define FIRST_STATE_PAGE 6000ull		/* up to MOCK_HEAP */

struct cpu mock_cpus[MOCK_CPUS];
_Thread_local struct cpu *mock_self;
enum run_result (*mock_run)(struct cpu *cpu, struct vp *vp);
void (*mock_relax)(void);
void (*mock_kick)(struct cpu *cpu);
unsigned int mock_kicks, mock_raises, mock_raised, mock_raised_on;
uint64_t mock_tsc, mock_timer;
bool mock_timer_fired;
struct platform_info platform_info;

static uint8_t ram[MOCK_PAGES * 4096] __attribute__((aligned(4096)));
static _Alignas(struct frame) uint8_t frames[FRAME_TABLE_BYTES(2 * MOCK_GIB)];
static uint64_t next_pool_page, next_state_page;

void *platform_phys(u64 spa)
{
	if (spa >= sizeof(ram)) {
		fprintf(stderr, "mock: access to %llx, which is not RAM\n",
			(unsigned long long)spa);
		abort();
	}
	return ram + spa;
}

struct cpu *platform_self(void)
{
	return mock_self ? mock_self : &mock_cpus[0];
}

void platform_kick(struct cpu *cpu)
{
	mock_kicks++;
	if (mock_kick)
		mock_kick(cpu);
	else
		cpu->guest = NULL;
}

void platform_raise(struct cpu *cpu, u8 vector)
{
	mock_raised = vector;
	mock_raised_on = cpu->index;
	mock_raises++;
}

u64 platform_tsc(void)
{
	return mock_tsc;
}

void platform_set_timer(u64 tsc)
{
	mock_timer = tsc;
}

bool platform_timer_nmi(const struct cpu *cpu)
{
	(void)cpu;
	return mock_timer_fired;
}

bool platform_timer_passed(const struct cpu *cpu)
{
	(void)cpu;
	return mock_timer_fired;
}

void platform_relax(void)
{
	if (mock_relax)
		mock_relax();
}

void platform_log(const char *format, ...)
{
	(void)format;
}

void platform_panic(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("mock: panic: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

/* Leaf 0 answers nothing; EBX of the others tells the XCR0 it was asked with. */
void platform_cpuid(const struct vp *vp, u32 leaf, u32 subleaf, u64 xfem, u32 out[4])
{
	memset(out, 0, 4 * sizeof(out[0]));
	if (!leaf)
		return;
	out[0] = leaf;
	out[1] = (u32)xfem;
	out[2] = subleaf;
	out[3] = vp->index;
}

bool platform_msr_exits(u32 msr)
{
	return msr != 0xc0000100;
}

enum run_result platform_run_vp(struct cpu *cpu, struct vp *vp)
{
	uint64_t id = vp->partition->id;
	enum run_result result;
	struct partition *p;

	if (!mock_run)
		return RUN_PREEMPTED;
	/* As the real one: nothing is held while it runs. */
	partition_unlock(cpu);
	world_leave(cpu);
	result = mock_run(cpu, vp);
	world_enter(cpu);
	p = child_find(id);
	if (p && p->state == PARTITION_ACTIVE)
		partition_lock(cpu, p);
	return result;
}

static void forget_children(void)
{
	struct partition *p;

	while ((p = child_from_slot(0))) {
		uint64_t id = p->id;

		if (p->state == PARTITION_ACTIVE)
			partition_finalize(&mock_cpus[0], p);
		p->exclusive_pages = 0;
		while (pool_remove(&p->pool))
			;
		if (partition_delete(p)) {
			fprintf(stderr, "mock: partition %llx in state %d keeps memory: %llu of %llu pages, %llu exclusive\n",
				(unsigned long long)id, (int)p->state,
				(unsigned long long)(p->pool.deposited - p->pool.free),
				(unsigned long long)p->pool.deposited,
				(unsigned long long)p->exclusive_pages);
			abort();
		}
	}
}

static void default_options(void)
{
#define X(name, text, value, most) option_set(HVABI_OPTION_##name, value);
	HVABI_DEBUG_OPTIONS(X)
#undef X
}

static void reset(uint64_t frame_pages)
{
	forget_children();
	memset(ram, 0, 16 * 4096);	/* the rest is zeroed when it is handed out */
	memset(mock_cpus, 0, sizeof(mock_cpus));
	cpu_count = MOCK_CPUS;
	for (unsigned int i = 0; i < MOCK_CPUS; i++) {
		mock_cpus[i].index = i;
		cpus[i] = &mock_cpus[i];
	}
	default_options();
	mock_run = NULL;
	mock_relax = NULL;
	mock_kick = NULL;
	mock_kicks = mock_raises = mock_raised = mock_raised_on = 0;
	mock_tsc = 1000000;
	mock_timer = TIME_NEVER;
	mock_timer_fired = false;
	next_pool_page = FIRST_POOL_PAGE;
	next_state_page = FIRST_STATE_PAGE;
	platform_info = (struct platform_info){
		.tsc_hz = 2000000000, .apic_hz = 1000000000, .xcr0_mask = 7,
		.xsave_bytes = 832, .physical_bits = 40, .leaves_1g = true,
		.xsave[2] = { .offset = 576, .bytes = 256 },
	};
	time_init(platform_info.tsc_hz);
	frame_init(frames, frame_pages);
	frame_set_owner(0, MOCK_HEAP, FRAME_PARENT);
	frame_set_owner(MOCK_HEAP, MOCK_PAGES - MOCK_HEAP, FRAME_HYPERVISOR);
	parent_init(MOCK_HEAP << 12, (MOCK_PAGES - 2 * MOCK_CPUS - MOCK_HEAP) << 12);
	memset(parent.counters, 0, sizeof(*parent.counters));
	parent_map(&mock_cpus[0], 0, MOCK_PAGES << 12, false);
	parent_hide(&mock_cpus[0], MOCK_HEAP << 12, MOCK_PAGES << 12);
	for (unsigned int i = 0; i < MOCK_CPUS; i++)
		synic_reset(cpus[i], (MOCK_PAGES - 2 * MOCK_CPUS + 2 * i) << 12);
}

void mock_reset(void)
{
	reset(MOCK_PAGES);
}

void mock_reset_with_gib(void)
{
	reset(2 * MOCK_GIB);
	frame_set_owner(MOCK_GIB, MOCK_GIB, FRAME_PARENT);
}

uint64_t mock_hypercall(struct cpu *cpu, uint64_t control, uint64_t rdx, uint64_t r8)
{
	uint64_t result;

	world_enter(cpu);
	result = hypercall(cpu, control, rdx, r8);
	world_leave(cpu);
	return result;
}

uint64_t mock_call(uint16_t code, const void *in, size_t bytes, uint16_t reps, uint16_t start)
{
	memset(platform_phys(INPUT_PAGE << 12), 0xee, 4096);
	memset(platform_phys(OUTPUT_PAGE << 12), 0xee, 4096);
	if (bytes)
		memcpy(platform_phys(INPUT_PAGE << 12), in, bytes);
	return mock_hypercall(&mock_cpus[0], hvabi_control(code, reps, start), INPUT_PAGE << 12,
			      OUTPUT_PAGE << 12);
}

void *mock_out(void)
{
	return platform_phys(OUTPUT_PAGE << 12);
}

static void must(uint64_t result, const char *what)
{
	if (mock_status(result) == HVABI_STATUS_SUCCESS)
		return;
	fprintf(stderr, "mock: %s: status %x\n", what, mock_status(result));
	abort();
}

void mock_deposit(uint64_t id, uint64_t pfn, unsigned int count)
{
	while (count) {
		uint16_t now = (uint16_t)(count < HVABI_DEPOSIT_MAX ? count : HVABI_DEPOSIT_MAX);
		uint64_t block[512];

		block[0] = id;
		for (unsigned int i = 0; i < now; i++)
			block[1 + i] = pfn + i;
		must(mock_call(HVABI_CALL_DEPOSIT_MEMORY, block, 8 + 8u * now, now, 0), "deposit");
		pfn += now;
		count -= now;
	}
}

static uint64_t make_child(unsigned int pool, uint64_t isolation, uint64_t flags, uint64_t features)
{
	struct hvabi_input_create_partition in = {
		.flags = HVABI_PARTITION_FLAG_EXO_PARTITION |
			 HVABI_PARTITION_FLAG_INTERCEPT_MESSAGE_PAGE_ENABLED | flags,
		.compatibility_version = HVABI_COMPATIBILITY_VERSION,
		.isolation_properties = isolation,
	};
	struct hvabi_input_set_partition_property property = {
		.property_code = HVABI_PROPERTY_SYNTHETIC_PROC_FEATURES, .property_value = features,
	};
	uint64_t id;

	mock_deposit(HVABI_PARTITION_ID_SELF, next_pool_page++, 1);
	must(mock_call(HVABI_CALL_CREATE_PARTITION, &in, sizeof(in), 0, 0), "create");
	memcpy(&id, mock_out(), 8);
	mock_deposit(id, next_pool_page, pool);
	next_pool_page += pool;
	property.partition_id = id;
	if (features)
		must(mock_call(HVABI_CALL_SET_PARTITION_PROPERTY, &property, sizeof(property), 0, 0),
		     "features");
	must(mock_call(HVABI_CALL_INITIALIZE_PARTITION, &id, 8, 0, 0), "initialize");
	return id;
}

uint64_t mock_child(unsigned int pool)
{
	return make_child(pool, HVABI_ISOLATION_TYPE_NONE, 0, 0);
}

uint64_t mock_isolated_child(unsigned int pool)
{
	return make_child(pool, HVABI_ISOLATION_TYPE_SNP, 0, 0);
}

uint64_t mock_apic_child(unsigned int pool, uint64_t flags, uint64_t features)
{
	return make_child(pool, HVABI_ISOLATION_TYPE_NONE, flags, features);
}

uint64_t mock_set(const struct vp *vp, uint32_t name, uint64_t value)
{
	struct {
		uint64_t partition;
		uint32_t vp, vtl;
		struct hvabi_register_assoc e;
	} in = { .partition = vp->partition->id, .vp = vp->index,
		 .e = { .name = name, .value.reg64 = value } };

	return mock_call(HVABI_CALL_SET_VP_REGISTERS, &in, sizeof(in), 1, 0);
}

uint64_t mock_get(const struct vp *vp, uint32_t name)
{
	struct {
		uint64_t partition;
		uint32_t vp, vtl, name;
	} in = { vp->partition->id, vp->index, 0, name };

	return mock_call(HVABI_CALL_GET_VP_REGISTERS, &in, sizeof(in), 1, 0);
}

struct vp *mock_vp(uint64_t id, uint32_t index)
{
	struct hvabi_create_vp create = { .partition_id = id, .vp_index = index };
	struct hvabi_input_map_vp_state_page page = {
		.partition_id = id, .vp_index = index,
		.type = HVABI_VP_STATE_PAGE_INTERCEPT_MESSAGE,
		.requested_map_location = next_state_page++,
		.flags = HVABI_VP_STATE_PAGE_LOCATION_PROVIDED,
	};
	struct vp *vp;

	must(mock_call(HVABI_CALL_CREATE_VP, &create, sizeof(create), 0, 0), "create VP");
	must(mock_call(HVABI_CALL_MAP_VP_STATE_PAGE, &page, sizeof(page), 0, 0), "message page");
	vp = vp_find(partition_find(id), index);
	must(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 0), "resume");
	return vp;
}

uint32_t mock_dispatch(const struct vp *vp)
{
	struct hvabi_input_dispatch_vp in = {
		.partition_id = vp->partition->id, .vp_index = vp->index,
	};
	const struct hvabi_output_dispatch_vp *out = mock_out();

	must(mock_call(HVABI_CALL_DISPATCH_VP, &in, sizeof(in), 0, 0), "dispatch");
	return out->dispatch_state | out->dispatch_event << 8;
}

enum run_result mock_ready_or_blocked(struct cpu *cpu, struct vp *vp)
{
	uint64_t gpa;

	vp->cpu = cpu;
	if (!vp_synic_deliver(vp, &gpa)) {
		uint32_t level;

		message_memory(vp, gpa, HVABI_INTERCEPT_ACCESS_WRITE,
			       mock_entry(vp->partition->id, gpa >> 12, &level) != 0);
		return RUN_INTERCEPT;
	}
	if (vp_has_notification(vp)) {
		vp_notify(vp);
		return RUN_INTERCEPT;
	}
	return vp_ready(vp) ? RUN_PREEMPTED : RUN_BLOCKED;
}

uint64_t mock_map(uint64_t id, uint64_t gfn, uint64_t pfn, uint16_t reps, uint32_t flags)
{
	struct {
		struct hvabi_input_map_gpa_pages in;
		uint64_t list[HVABI_MAP_GPA_MAX];
	} block = { .in = { .target_partition_id = id, .target_gpa_base = gfn,
			    .map_flags = flags, .padding = 0x5a5a5a5a } };
	uint64_t step = flags & HVABI_MAP_GPA_NO_ACCESS ? 0 :
			flags & HVABI_MAP_GPA_LARGE_PAGE ? 512 : 1;

	for (unsigned int i = 0; i < reps && i < HVABI_MAP_GPA_MAX; i++)
		block.list[i] = pfn + i * step;
	return mock_call(HVABI_CALL_MAP_GPA_PAGES, &block, sizeof(block), reps, 0);
}

uint64_t mock_unmap(uint64_t id, uint64_t gfn, uint16_t reps, uint32_t flags)
{
	struct hvabi_input_unmap_gpa_pages in = {
		.target_partition_id = id, .target_gpa_base = gfn, .unmap_flags = flags,
	};

	return mock_call(HVABI_CALL_UNMAP_GPA_PAGES, &in, sizeof(in), reps, 0);
}

uint64_t mock_entry(uint64_t id, uint64_t gfn, uint32_t *level)
{
	struct partition *p = partition_find(id);
	struct npt_iter it;

	npt_iter_begin(&it, &p->npt, gfn);
	if (level)
		*level = it.level;
	return npt_iter_entry(&it);
}

uint32_t mock_refs(uint64_t pfn)
{
	return (uint32_t)frame_refs(pfn);
}
