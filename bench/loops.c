// SPDX-License-Identifier: GPL-2.0-only
/*
 * M12: three loops that need nobody: the processor, memory, system calls. bench/overhead times them in a parent partition of the
 * bundled hypervisor and on plain QEMU. The one place where time is measured, as a ratio of the two in one run.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../vmm/demo/host.h"
#include "bench.h"

#define MEMORY	(64u << 20)

static volatile uint64_t result;

static void processor(void)
{
	uint64_t x = 1, i;

	for (i = 0; i < 40000000; i++)
		x = x * 6364136223846793005ull + i;
	result = x;
}

/* Each cache line of more than any cache, in an order that jumps. */
static void memory(void)
{
	uint64_t i, lines = MEMORY / 64;
	uint8_t *bytes = malloc(MEMORY);

	if (!bytes)
		return;
	memset(bytes, 1, MEMORY);
	for (i = 0; i < 8 * lines; i++)
		bytes[i * 4099 % lines * 64]++;
	result = bytes[64];
	free(bytes);
}

static void calls(void)
{
	unsigned int i;

	for (i = 0; i < 1000000; i++)
		syscall(SYS_getppid);
}

json_t *bench_loops(void)
{
	static const struct { const char *name; void (*run)(void); } loops[] = {
		{ "processor", processor }, { "memory", memory }, { "system-calls", calls },
	};
	json_t *all = json_object();
	unsigned int i;

	for (i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
		double before = host_seconds();

		loops[i].run();
		json_object_set_new(all, loops[i].name, json_real(host_seconds() - before));
	}
	return all;
}
