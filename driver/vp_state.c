// SPDX-License-Identifier: GPL-2.0-only
/*
 * State of a virtual processor that is more than registers: MSHV_GET_VP_STATE, MSHV_SET_VP_STATE.
 *
 * Laws:
 *	- The hypervisor reads and writes pages of the driver, never those of the VMM: what is
 *	  copied is copied when the call is over, and pages of a VMM stay movable.
 *	- The size is the hypervisor's. It is told before anything is done, so that a VMM can come
 *	  with a larger buffer; nothing beyond it is read or written.
 *	- The processor does not run meanwhile (vp->lock).
 */
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/mshyperv.h>

#include "mshv.h"

/* Page numbers that fit behind the header of the call. */
#define MSHV_STATE_PAGES_MAX \
	((HVABI_PAGE_SIZE - sizeof(struct hvabi_input_vp_state)) / sizeof(u64))

/**
 * struct mshv_state - one transfer
 * @vp: processor
 * @type: HVABI_VP_STATE_*
 * @size: bytes
 * @xsave_states: which, of HVABI_VP_STATE_XSAVE
 * @count: pages
 * @pages: the data
 */
struct mshv_state {
	struct mshv_vp *vp;
	u32 type;
	u32 size;
	u64 xsave_states;
	unsigned int count;
	void *pages[];
};

static const u32 types[MSHV_VP_STATE_COUNT] = {
	[MSHV_VP_STATE_LAPIC] = HVABI_VP_STATE_LAPIC,
	[MSHV_VP_STATE_XSAVE] = HVABI_VP_STATE_XSAVE,
	[MSHV_VP_STATE_SIMP] = HVABI_VP_STATE_SIM_PAGE,
	[MSHV_VP_STATE_SIEFP] = HVABI_VP_STATE_SIEF_PAGE,
	[MSHV_VP_STATE_SYNTHETIC_TIMERS] = HVABI_VP_STATE_SYNTHETIC_TIMERS,
};

static int get_property(struct mshv_partition *partition, u32 code, u64 *value)
{
	struct hvabi_input_get_partition_property input = {
		.partition_id = partition->id,
		.property_code = code,
	};

	return mshv_call(partition, HVABI_CALL_GET_PARTITION_PROPERTY, &input, sizeof(input), value,
			 sizeof(*value));
}

/* How large the state is, in bytes, and what of it there is. */
static int state_size(struct mshv_vp *vp, u8 type, u64 *size, u64 *xsave_states)
{
	int ret;

	*xsave_states = 0;
	switch (type) {
	case MSHV_VP_STATE_XSAVE:
		ret = get_property(vp->partition, HVABI_PROPERTY_XSAVE_STATES, xsave_states);
		if (!ret)
			ret = get_property(vp->partition, HVABI_PROPERTY_MAX_XSAVE_DATA_SIZE, size);
		if (!ret && (!*size || *size > MSHV_STATE_PAGES_MAX * PAGE_SIZE))
			ret = -EIO;
		return ret;
	case MSHV_VP_STATE_SYNTHETIC_TIMERS:
		*size = sizeof(struct hvabi_synthetic_timers_state);
		return 0;
	}
	*size = PAGE_SIZE;
	return 0;
}

static void state_free(struct mshv_state *state)
{
	unsigned int i;

	for (i = 0; i < state->count; i++)
		free_page((unsigned long)state->pages[i]);
	kfree(state);
}

static struct mshv_state *state_alloc(u32 size)
{
	unsigned int i, count = DIV_ROUND_UP(size, PAGE_SIZE);
	struct mshv_state *state;

	state = kzalloc(struct_size(state, pages, count), GFP_KERNEL_ACCOUNT);
	if (!state)
		return NULL;
	state->size = size;
	state->count = count;
	for (i = 0; i < count; i++) {
		state->pages[i] = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!state->pages[i]) {
			state_free(state);
			return NULL;
		}
	}
	return state;
}

/* Bytes of the state in page @i. */
static size_t part(const struct mshv_state *state, unsigned int i)
{
	return min_t(size_t, PAGE_SIZE, state->size - (size_t)i * PAGE_SIZE);
}

/* Data that travels by page numbers fills the variable header with them; other data goes inline. */
static u64 state_input(const struct mshv_state *state, u16 code, struct hvabi_input_vp_state *input)
{
	u64 units = 0;
	unsigned int i;

	memset(input, 0, sizeof(*input));
	input->partition_id = state->vp->partition->id;
	input->vp_index = state->vp->index;
	input->type = state->type;
	input->xsave_states = state->xsave_states;
	if (state->type & HVABI_VP_STATE_BY_PAGES) {
		units = state->count;
		for (i = 0; i < state->count; i++)
			input->data[i] = PHYS_PFN(virt_to_phys(state->pages[i]));
	} else if (code == HVABI_CALL_SET_VP_STATE) {
		units = DIV_ROUND_UP(state->size, sizeof(u64));
		memcpy(input->data, state->pages[0], state->size);
	}
	return hvabi_control(code, 0, 0) | units << HVABI_CONTROL_VARHEAD_SHIFT;
}

static int state_call(struct mshv_state *state, u16 code)
{
	struct mshv_partition *partition = state->vp->partition;
	struct hvabi_input_vp_state *input;
	unsigned int tries = 0;
	void *output;
	u64 control;
	u16 status;
	int ret;

	do {
		if (!mshv_partition_enter(partition))
			return -EOWNERDEAD;
		input = mshv_hypercall_begin(&output);
		control = state_input(state, code, input);
		memset(output, 0, sizeof(struct hvabi_synthetic_timers_state));
		status = hvabi_result_status(hv_do_hypercall(control, input, output));
		if (status == HVABI_STATUS_SUCCESS && code == HVABI_CALL_GET_VP_STATE &&
		    !(state->type & HVABI_VP_STATE_BY_PAGES))
			memcpy(state->pages[0], output, state->size);
		mshv_hypercall_end();
		mshv_partition_leave(partition);
		ret = 1;
		if (mshv_status_needs_memory(status))
			ret = mshv_deposit_for(partition, status, &tries);
	} while (!ret);
	return ret < 0 ? ret : mshv_status_errno(status);
}

static int state_get(struct mshv_state *state, void __user *data)
{
	unsigned int i;
	int ret;

	ret = state_call(state, HVABI_CALL_GET_VP_STATE);
	for (i = 0; !ret && i < state->count; i++)
		if (copy_to_user(data + (size_t)i * PAGE_SIZE, state->pages[i], part(state, i)))
			ret = -EFAULT;
	return ret;
}

static int state_set(struct mshv_state *state, const void __user *data)
{
	unsigned int i;

	for (i = 0; i < state->count; i++)
		if (copy_from_user(state->pages[i], data + (size_t)i * PAGE_SIZE, part(state, i)))
			return -EFAULT;
	return state_call(state, HVABI_CALL_SET_VP_STATE);
}

/**
 * mshv_ioctl_vp_state() - MSHV_GET_VP_STATE, MSHV_SET_VP_STATE
 * @vp: processor
 * @set: which of the two
 * @arg: argument
 *
 * Context: vp->lock is held; may sleep.
 *
 * Return: 0, or an errno as uapi/mshv.h says.
 */
long mshv_ioctl_vp_state(struct mshv_vp *vp, bool set, struct mshv_get_set_vp_state __user *arg)
{
	struct mshv_get_set_vp_state args;
	struct mshv_state *state;
	void __user *data;
	u64 size, states;
	int ret;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	if (args.type >= MSHV_VP_STATE_COUNT || memchr_inv(args.rsvd, 0, sizeof(args.rsvd)) ||
	    !args.buf_sz || !PAGE_ALIGNED(args.buf_sz) || !PAGE_ALIGNED(args.buf_ptr))
		return -EINVAL;
	ret = state_size(vp, args.type, &size, &states);
	if (ret)
		return ret;
	if (put_user((u32)size, &arg->buf_sz))
		return -EFAULT;
	if (size > args.buf_sz)
		return -EINVAL;
	state = state_alloc(size);
	if (!state)
		return -ENOMEM;
	state->vp = vp;
	state->type = types[args.type];
	state->xsave_states = states;
	data = u64_to_user_ptr(args.buf_ptr);
	ret = set ? state_set(state, data) : state_get(state, data);
	state_free(state);
	return ret;
}
