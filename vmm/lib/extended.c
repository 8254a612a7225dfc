// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * libmshv: answers to extended hypercalls, see libmshv.h.
 *
 * Input is copied before it is looked at: other processors of the guest may write to it meanwhile.
 */
#include <string.h>

#include <hvabi/guest.h>
#include <hvabi/status.h>

#include "internal.h"

#define BLOCK_ALIGN	8u
#define PAGE_2M		(2ull << 20)
#define PAGE_1G		(1ull << 30)
#define RANGES_MAX	(MSHV_PAGE_SIZE / sizeof(uint64_t))

/* A block of the guest's, which must lie in one page. NULL: @status says why. */
static void *block(const struct mshv_extended *x, uint64_t gpa, uint64_t size, uint16_t *status)
{
	void *host;

	*status = HVABI_STATUS_INVALID_ALIGNMENT;
	if (gpa % BLOCK_ALIGN || gpa % MSHV_PAGE_SIZE + size > MSHV_PAGE_SIZE)
		return NULL;
	*status = HVABI_STATUS_INVALID_PARAMETER;
	host = x->memory(x->arg, gpa, size);
	if (host)
		*status = HVABI_STATUS_SUCCESS;
	return host;
}

static uint16_t query_capabilities(const struct mshv_extended *x, uint64_t output)
{
	const uint64_t capabilities = x->discard ? HVABI_EXT_CAPABILITY_COLD_DISCARD_HINT : 0;
	uint16_t status;
	void *out = block(x, output, sizeof(capabilities), &status);

	if (out)
		memcpy(out, &capabilities, sizeof(capabilities));
	return status;
}

/* The memory that a range names, or NULL if not all of it is some. */
static void *range(const struct mshv_extended *x, uint64_t word, uint64_t *size)
{
	uint64_t pages = (word & HVABI_RANGE_ADDITIONAL_PAGES) + 1;

	if (!(word & HVABI_RANGE_LARGE)) {
		*size = pages * MSHV_PAGE_SIZE;
		return x->memory(x->arg, word & ~(MSHV_PAGE_SIZE - 1), *size);
	}
	*size = pages * (word & HVABI_RANGE_LARGE_1G ? PAGE_1G : PAGE_2M);
	if ((word & HVABI_RANGE_LARGE_RESERVED) ||
	    (word & HVABI_RANGE_LARGE_1G && (word & HVABI_RANGE_LARGE_BASE) % PAGE_1G))
		return NULL;
	return x->memory(x->arg, word & HVABI_RANGE_LARGE_BASE, *size);
}

static uint16_t heat_hint(const struct mshv_extended *x, uint64_t input, uint16_t *done, uint16_t reps)
{
	struct hvabi_input_heat_hint header;
	uint64_t list[RANGES_MAX], size;
	const uint64_t bytes = sizeof(header) + reps * sizeof(list[0]);
	const uint8_t *in;
	uint16_t status;
	void *host;

	/* Before the address: a list of this length has no place in any page. */
	if (bytes > MSHV_PAGE_SIZE)
		return HVABI_STATUS_INVALID_ALIGNMENT;
	in = block(x, input, bytes, &status);
	if (!in)
		return status;
	memcpy(&header, in, sizeof(header));
	memcpy(list, in + sizeof(header), reps * sizeof(list[0]));
	if (header.heat_type > HVABI_HEAT_COLD_DISCARD)
		return HVABI_STATUS_INVALID_PARAMETER;
	for (; *done < reps; (*done)++) {
		host = range(x, list[*done], &size);
		if (!host)
			return HVABI_STATUS_INVALID_PARAMETER;
		/* Merely hot or cold pages Linux finds by itself. */
		if (header.heat_type == HVABI_HEAT_COLD_DISCARD)
			x->discard(x->arg, host, size);
	}
	return HVABI_STATUS_SUCCESS;
}

uint64_t mshv_extended_call(const struct mshv_extended *extended, uint64_t control, uint64_t input,
			    uint64_t output)
{
	struct mshv_extended copy, *x = &copy;
	uint16_t code = hvabi_control_code(control), reps = hvabi_control_reps(control);
	uint16_t start = hvabi_control_start(control), status, done = start;
	bool hint = code == HVABI_CALL_EXT_MEMORY_HEAT_HINT;

	if (take_sized(&copy, sizeof(copy), extended, extended->size) || !copy.memory)
		return hvabi_result(HVABI_STATUS_INVALID_HYPERCALL_CODE, 0);
	if (code != HVABI_CALL_EXT_QUERY_CAPABILITIES && !(hint && x->discard))
		return hvabi_result(HVABI_STATUS_INVALID_HYPERCALL_CODE, 0);
	if ((control & (HVABI_CONTROL_RESERVED | HVABI_CONTROL_NESTED | HVABI_CONTROL_FAST)) ||
	    hvabi_control_varhead(control) || (hint ? start >= reps : reps || start))
		return hvabi_result(HVABI_STATUS_INVALID_HYPERCALL_INPUT, start);
	status = hint ? heat_hint(x, input, &done, reps) : query_capabilities(x, output);
	return hvabi_result(status, done);
}
