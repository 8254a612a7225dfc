// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lives a guest's life with one thing refused, and looks after each step and at the end whether all holds that must (life.h).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hvabi/status.h>

#include <host.h>

#include "life.h"

/* Each occurrence up to here, samples beyond. */
#define EACH	40
#define CGROUP	"/sys/fs/cgroup/sweep"
/* Of kernel memory charged, that Linux keeps to hand out again; a page of each life is more. */
#define SLACK	(128 << 10)

struct life life;
struct life_met life_met;

/* Mapped in a child, or not the parent's. */
static bool reachable(uint64_t pfn)
{
	struct hvabi_output_debug_who_can_reach answer;

	return mshv_who_can_reach(NULL, pfn, &answer) || answer.found ||
	       answer.owner != HVABI_DEBUG_OWNER_PARENT || !answer.parent_access;
}

/* Bytes of kernel memory charged to this process's cgroup; 0 without a memory controller. */
static long charged(void)
{
	return (long)host_stat(CGROUP "/memory.stat", "kernel");
}

static bool was_refused(struct life_refusal *r)
{
	if (!r->refused && r->counter)
		r->refused = probe_counted(r->counter) > r->counter_before;
	return r->refused;
}

bool life_good_errno(int error)
{
	switch (error) {
	case ENOMEM:	/* memory */
	case EIO:	/* a hypercall */
	case EFAULT:	/* a copy to or from user space */
	case EAGAIN:	/* fork */
	case ENOENT:	/* /proc: no memory for a name */
	case ENFILE:
	case EOWNERDEAD:
		return true;
	}
	return false;
}

/* Not CHECK: says where in the sweep. */
#define HOLDS(condition, ...) \
	do { \
		if (!(condition)) { \
			printf("# %s, %u: step \"%s\": not so: %s: ", r->what, r->n, step->name, \
			       #condition); \
			printf(__VA_ARGS__); \
			printf("\n"); \
			return FAIL; \
		} \
	} while (0)

static enum ktap_result do_step(const struct life_step *step, struct life_refusal *r)
{
	unsigned int i;
	int ret, error;

	life.gone_count = 0;
	HOLDS(!r->begin || r->begin(r, step), "%s", strerror(errno));
	ret = step->run();
	error = errno;
	HOLDS(!r->end || r->end(r, step), "%s", strerror(errno));
	if (ret && error != EOWNERDEAD && !life.dead) {
		HOLDS(was_refused(r) && !life.failed, "%s", strerror(error));
		HOLDS(life_good_errno(error), "%s", strerror(error));
		life.failed = true;
		life_met.failed++;
		life_met.error = error;
		ret = step->run();
		error = errno;
		HOLDS(!ret || error == EOWNERDEAD, "done again: %s", strerror(error));
	}
	for (i = 0; i < life.gone_count; i++)
		HOLDS(!reachable(life.gone[i]), "page 0x%" PRIx64, life.gone[i]);
	if (!life.dead && ret) {
		HOLDS(was_refused(r), "dead for no reason");
		life.dead = true;
		life_met.dead++;
		for (i = 0; i < life.pages_count; i++)
			HOLDS(!reachable(life.pages[i]), "page 0x%" PRIx64, life.pages[i]);
	}
	if (life.dead && step->needs == LIFE_NEEDS_GUEST)
		HOLDS(ret && error == EOWNERDEAD, "%s", ret ? strerror(error) : "success");
	else
		HOLDS(!ret, "%s", strerror(error));
	return PASS;
}

/* What the guest wrote is in the VMM's memory, also if it died since. */
static bool vmm_has_it(void)
{
	const uint64_t pages[] = { LIFE_SMALL / PAGE, LIFE_HUGE / PAGE };
	unsigned int region;
	uint64_t page, value, want;

	for (region = 0; region < 2; region++) {
		for (page = 0; page < pages[region]; page++) {
			if (life.content[region][page] == LIFE_UNKNOWN)
				continue;
			value = *(volatile uint64_t *)(life_host(region) + page * PAGE);
			want = life.content[region][page] == LIFE_STAMP ? life_stamp(region, page) : 0;
			if (value == want)
				continue;
			ktap_note("VMM: region %u, page %" PRIu64 ": 0x%" PRIx64, region, page, value);
			return false;
		}
	}
	return true;
}

static void behave(void)
{
	mshv_hypervisor_option(HVABI_OPTION_PARTIAL_EVERY, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_AT, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL_AT, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_STATUS, HVABI_STATUS_OPERATION_FAILED);
}

static void unmap_memory(void)
{
	if (life.small)
		munmap(life.small, LIFE_SMALL);
	if (life.huge)
		munmap(life.huge, LIFE_HUGE);
	if (life.pinned)
		munmap(life.pinned, LIFE_PINNED);
	life.small = life.huge = life.pinned = NULL;
}

/* After a failure: whatever is left. */
static void tear_down(void)
{
	if (!access("/dev/mshv", F_OK))
		behave();
	if (life.probe.vm)
		probe_close(&life.probe);
	life_close_fd(&life.raw_vp);
	life_close_fd(&life.raw);
	unmap_memory();
}

static void set_up(void)
{
	memset(&life, 0, sizeof(life));
	life.raw = life.raw_vp = -1;
	life.gpa_small = LIFE_GPA_SMALL;
	life.small = probe_memory(LIFE_SMALL, false);
	life.huge = probe_memory(LIFE_HUGE, true);
	life.pinned = probe_memory(LIFE_PINNED, false);
	life_met.lives++;
}

enum ktap_result life_run(const struct life_step *steps, struct life_refusal *r)
{
	long locked = probe_proc("/proc/self/status", "VmLck");
	int64_t lent = probe_lent();
	const struct life_step *step;
	unsigned int i;

	set_up();
	if (r->counter)
		r->counter_before = probe_counted(r->counter);
	for (step = steps; step->name; step++)
		CHECK_PASS(do_step(step, r));
	step--;
	behave();
	life_met.refused += was_refused(r);
	for (i = 0; i < life.pages_count; i++)
		HOLDS(!reachable(life.pages[i]), "page 0x%" PRIx64, life.pages[i]);
	HOLDS(vmm_has_it(), "%s", life.dead ? "the guest is dead" : "");
	HOLDS(probe_lent() == lent, "%lld pages lent, before %lld", (long long)probe_lent(),
	      (long long)lent);
	HOLDS(probe_proc("/proc/self/status", "VmLck") == locked, "locked memory");
	unmap_memory();
	return PASS;
}

unsigned int life_next(unsigned int n)
{
	return n < EACH ? n + 1 : n + n / 8;
}

enum ktap_result life_nothing_charged(long before)
{
	long after = 0;
	int i;

	for (i = 0; i < 100; i++) {
		after = charged();
		if (after <= before + SLACK)
			break;
		usleep(100000);
	}
	ktap_note("%u lives, %u refusals; %u steps failed, %u guests died; %ld KiB charged more",
		  life_met.lives, life_met.refused, life_met.failed, life_met.dead, (after - before) >> 10);
	CHECK(before > 0, "no memory controller");
	CHECK(after <= before + SLACK, "%ld KiB, before %ld", after >> 10, before >> 10);
	return PASS;
}

enum ktap_result life_begin(const struct life_step *steps, long *before)
{
	struct life_refusal nothing = { .what = "nothing refused" };

	CHECK_PASS(life_run(steps, &nothing));
	memset(&life_met, 0, sizeof(life_met));
	*before = charged();
	return PASS;
}

static void join_cgroup(void)
{
	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		ktap_note("%s: %s", CGROUP, strerror(errno));
	if (host_write(CGROUP "/cgroup.procs", "0"))
		ktap_note(CGROUP ": cannot enter");
}

void life_prepare(void)
{
	cpu_set_t one;

	/* One processor: pages do not wait in another one's lists when they are to be paged out. */
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	life.raw = life.raw_vp = -1;
	ktap_cleanup = tear_down;
	join_cgroup();
}
