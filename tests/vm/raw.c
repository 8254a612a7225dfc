// SPDX-License-Identifier: GPL-2.0-only
/* See raw.h. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <hvabi/hypercall.h>

#include "../kmod/mshv_rawcall.h"
#include "raw.h"

int raw_open(void)
{
	/* Another test may have left it loaded. */
	if (access("/dev/mshv_rawcall", F_OK) && system("insmod ./mshv_rawcall.ko"))
		return -1;
	return open("/dev/mshv_rawcall", O_RDWR | O_CLOEXEC);
}

int raw_counters(int device, uint64_t *sum)
{
	static struct rawcall call;
	struct hvabi_input_debug_get_counters *in = (void *)call.input;
	uint64_t counters[HVABI_COUNT_MAX];
	unsigned int cpu, i;

	memset(sum, 0, sizeof(counters));
	for (cpu = 0;; cpu++) {
		*in = (struct hvabi_input_debug_get_counters){
			.partition_id = HVABI_PARTITION_ID_SELF, .processor = cpu,
		};
		call.control = hvabi_control(HVABI_CALL_DEBUG_GET_COUNTERS, 0, 0);
		call.rdx = call.r8 = RAWCALL_BLOCK;
		if (ioctl(device, RAWCALL_CALL, &call))
			return -1;
		if (hvabi_result_status(call.result))
			break;
		memcpy(counters, call.output, sizeof(counters));
		for (i = 0; i < HVABI_COUNT_MAX; i++)
			sum[i] += counters[i];
	}
	return cpu ? 0 : -1;
}

int raw_set_option(int device, uint32_t option, uint64_t value)
{
	static struct rawcall call;

	*(struct hvabi_input_debug_option *)(void *)call.input = (struct hvabi_input_debug_option){
		.partition_id = HVABI_PARTITION_ID_SELF, .option = option, .value = value,
	};
	call.control = hvabi_control(HVABI_CALL_DEBUG_SET_OPTION, 0, 0);
	call.rdx = call.r8 = RAWCALL_BLOCK;
	return ioctl(device, RAWCALL_CALL, &call) || hvabi_result_status(call.result) ? -1 : 0;
}

int raw_who_can_reach(int device, uint64_t page, struct hvabi_output_debug_who_can_reach *answer)
{
	static struct rawcall call;

	*(struct hvabi_input_debug_who_can_reach *)(void *)call.input = (struct hvabi_input_debug_who_can_reach){
		.partition_id = HVABI_PARTITION_ID_SELF, .page = page,
	};
	call.control = hvabi_control(HVABI_CALL_DEBUG_WHO_CAN_REACH, 0, 0);
	call.rdx = call.r8 = RAWCALL_BLOCK;
	if (ioctl(device, RAWCALL_CALL, &call) || hvabi_result_status(call.result))
		return -1;
	memcpy(answer, call.output, sizeof(*answer));
	return 0;
}
