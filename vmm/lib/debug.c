// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* libmshv: counters, options and the reach query of the bundled hypervisor. */
#include <errno.h>

#include <hvabi/hypercall.h>

#include "internal.h"

static int debug_call(struct mshv_vm *vm, uint16_t code, void *in, size_t in_size, void *out,
		      size_t out_size)
{
	int fd = vm ? vm->fd : mshv_device();
	uint16_t status = 0;

	if (fd < 0)
		return -1;
	if (mshv_hypercall(fd, code, NULL, in, in_size, out, out_size, &status) == 0)
		return 0;
	if (status == HVABI_STATUS_INVALID_HYPERCALL_CODE)
		return mshv_fail_because(ENOTTY, "not the bundled hypervisor");
	if (!status && errno == EINVAL)
		return mshv_fail_because(EINVAL, "debug calls: this driver does not pass them on "
					 "(mshv_movable does with debug_hypercalls=1)");
	return -1;
}

static int get_counters(struct mshv_vm *vm, uint32_t processor, uint64_t *counters, unsigned int count)
{
	struct hvabi_input_debug_get_counters in = { .processor = processor };
	uint64_t all[HVABI_COUNT_MAX] = { 0 };
	unsigned int i;

	if (debug_call(vm, HVABI_CALL_DEBUG_GET_COUNTERS, &in, sizeof(in), all, sizeof(all)))
		return -1;
	for (i = 0; i < count; i++)
		counters[i] = i < HVABI_COUNT_MAX ? all[i] : 0;
	return 0;
}

int mshv_counters(struct mshv_vm *vm, uint64_t *counters, unsigned int count)
{
	return get_counters(vm, HVABI_DEBUG_ALL_PROCESSORS, counters, count);
}

int mshv_processor_counters(uint32_t processor, uint64_t *counters, unsigned int count)
{
	return get_counters(NULL, processor, counters, count);
}

const char *mshv_counter_name(unsigned int counter)
{
	static const char *const names[HVABI_COUNT_MAX] = {
#define X(name, text) [HVABI_COUNT_EXIT_##name] = "exit." text,
		HVABI_DEBUG_EXITS(X)
#undef X
#define X(name, text) \
		[HVABI_COUNT_CALL_##name] = "call." text, \
		[HVABI_COUNT_REPS_##name] = "reps." text, \
		[HVABI_COUNT_FAIL_##name] = "fail." text,
		HVABI_DEBUG_CALLS(X)
#undef X
#define X(name, text) [HVABI_COUNT_##name] = "event." text,
		HVABI_DEBUG_EVENTS(X)
#undef X
	};

	return counter < HVABI_COUNT_MAX ? names[counter] : "?";
}

int mshv_who_can_reach(struct mshv_vm *vm, uint64_t page,
		       struct hvabi_output_debug_who_can_reach *answer)
{
	struct hvabi_input_debug_who_can_reach in = { .page = page };

	return debug_call(vm, HVABI_CALL_DEBUG_WHO_CAN_REACH, &in, sizeof(in), answer,
			  sizeof(*answer));
}

int mshv_hypervisor_option(uint32_t option, uint64_t value)
{
	struct hvabi_input_debug_option in = { .option = option, .value = value };
	uint64_t now;

	return debug_call(NULL, HVABI_CALL_DEBUG_SET_OPTION, &in, sizeof(in), &now, sizeof(now));
}
