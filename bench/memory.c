// SPDX-License-Identifier: GPL-2.0-only
/* Memory for guests, the same on all systems: see bench.h. */
#include <sys/mman.h>

#include "../vmm/lib/libmshv.h"
#include "bench.h"

#ifndef MAP_HUGE_1GB
#define MAP_HUGE_1GB	(30 << 26)
#endif

uint8_t *bench_memory(uint64_t size, enum bench_pages pages, void **mapping, uint64_t *mapped)
{
	const uint64_t step = pages == BENCH_GIGANTIC ? GIB : BLOCK;
	const uint64_t bytes = (size + step - 1) / step * step + (pages == BENCH_GIGANTIC ? 0 : step);
	const int flags = pages == BENCH_GIGANTIC ? MAP_HUGETLB | MAP_HUGE_1GB : MAP_NORESERVE;
	uint8_t *start;
	void *all = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (all == MAP_FAILED) {
		mshv_fail("memory of the guest");
		return NULL;
	}
	*mapping = all;
	*mapped = bytes;
	start = (uint8_t *)all + (-(uintptr_t)all & (step - 1));
	if (pages != BENCH_GIGANTIC && madvise(start, size, pages == BENCH_SMALL ? MADV_NOHUGEPAGE : MADV_HUGEPAGE)) {
		mshv_fail("madvise");
		return NULL;
	}
	return start;
}
