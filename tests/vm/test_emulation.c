// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reproducer of a bug in QEMU (docs/emulation.md): one processor executes
 * CPUID, which leaves to the hypervisor, while others restore x87 state.
 *
 * In multi-threaded emulation on the boot processor the machine is lost within
 * seconds: the hypervisor panics and the rig says so.  In each mode that the
 * rig offers this program must come to its end.  CPUIDS=N sets the number of
 * exits (200000, about four times as many as the bug needs).
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "ktap.h"

static volatile bool stop;

static void pin(long processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *restore_x87(void *arg)
{
	static __thread uint8_t area[512] __attribute__((aligned(16)));
	uint64_t *rounds = arg;

	pin((long)rounds[1]);
	__asm__ volatile("fxsave64 %0" : "=m"(area));
	while (!stop) {
		__asm__ volatile("fxrstor64 %0" :: "m"(area));
		rounds[0]++;
	}
	return NULL;
}

static enum ktap_result reproducer(void)
{
	uint64_t wanted = getenv("CPUIDS") ? strtoull(getenv("CPUIDS"), NULL, 0) : 200000;
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t rounds[8][2] = { { 0 } };
	pthread_t threads[8];

	if (processors < 2)
		return ktap_skip("one processor: nobody to disturb the other");
	for (long i = 1; i < processors && i < 8; i++) {
		rounds[i][1] = (uint64_t)i;
		CHECK(!pthread_create(&threads[i], NULL, restore_x87, rounds[i]), "thread");
	}
	pin(0);
	for (uint64_t i = 0; i < wanted; i++) {
		uint32_t a = 0, b, c = 0, d;

		__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	}
	stop = true;
	for (long i = 1; i < processors && i < 8; i++) {
		pthread_join(threads[i], NULL);
		ktap_note("processor %ld: %llu restores against %llu exits", i,
			  (unsigned long long)rounds[i][0], (unsigned long long)wanted);
		CHECK(rounds[i][0] > wanted / 10, "processor %ld hardly ran", i);
	}
	return PASS;
}

static const struct ktap_test tests[] = {
	{ "the machine survives the reproducer", reproducer },
};

int main(void)
{
	return KTAP_RUN(tests);
}
