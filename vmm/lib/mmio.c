// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Doing the instruction that touched a device's memory, see mmio.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "mmio.h"

#define FLAG_CF		(1ull << 0)
#define FLAG_PF		(1ull << 2)
#define FLAG_AF		(1ull << 4)
#define FLAG_ZF		(1ull << 6)
#define FLAG_SF		(1ull << 7)
#define FLAG_OF		(1ull << 11)
#define FLAGS_RESULT	(FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

static uint64_t sign(unsigned int size)
{
	return 1ull << (8 * size - 1);
}

/* The operand that is not memory, as wide as the memory operand. */
static uint64_t other_value(const struct mshv_instruction *in, const struct mshv_general *g)
{
	if (in->immediate)
		return in->value;
	return (in->high ? g->gp[in->reg] >> 8 : g->gp[in->reg]) & mshv_operand_mask(in->size);
}

/* As the processor does it: 32 bits clear the upper half, less leaves the rest. */
static void write_register(const struct mshv_instruction *in, struct mshv_general *g, uint64_t value)
{
	unsigned int shift = in->high ? 8 : 0;
	uint64_t *reg = &g->gp[in->reg];

	value &= mshv_operand_mask(in->reg_size);
	if (in->reg_size >= 4)
		*reg = value;
	else
		*reg = (*reg & ~(mshv_operand_mask(in->reg_size) << shift)) | value << shift;
}

static uint64_t parity_flag(uint64_t result)
{
	return __builtin_parity((unsigned int)(result & 0xff)) ? 0 : FLAG_PF;
}

static void set_flags(struct mshv_general *g, uint64_t result, unsigned int size, uint64_t others)
{
	g->rflags = (g->rflags & ~FLAGS_RESULT) | others | parity_flag(result) |
		    (result & mshv_operand_mask(size) ? 0 : FLAG_ZF) | (result & sign(size) ? FLAG_SF : 0);
}

static void flags_of_subtraction(struct mshv_general *g, uint64_t a, uint64_t b, unsigned int size)
{
	uint64_t result = (a - b) & mshv_operand_mask(size);

	set_flags(g, result, size, (a < b ? FLAG_CF : 0) | ((a ^ b ^ result) & 0x10 ? FLAG_AF : 0) |
		  ((a ^ b) & (a ^ result) & sign(size) ? FLAG_OF : 0));
}

static uint64_t extend(uint64_t value, unsigned int size)
{
	return value & sign(size) ? value | ~mshv_operand_mask(size) : value;
}

static bool reads_memory(const struct mshv_instruction *in)
{
	return !(in->operation == MSHV_OP_MOVE && in->to_memory);
}

static bool writes_memory(const struct mshv_instruction *in)
{
	return in->operation == MSHV_OP_EXCHANGE ||
	       (in->to_memory && in->operation != MSHV_OP_COMPARE && in->operation != MSHV_OP_TEST);
}

/*
 * What becomes of memory and of the other operand, and the flags. Returns what goes into the first operand; a comparison's goes
 * nowhere.
 */
static uint64_t result_of(const struct mshv_instruction *in, struct mshv_general *g, uint64_t memory, uint64_t other)
{
	uint64_t result;

	switch (in->operation) {
	case MSHV_OP_MOVE:
		return in->to_memory ? other : memory;
	case MSHV_OP_MOVE_SIGNED:
		return extend(memory, in->size);
	case MSHV_OP_EXCHANGE:
		return other;
	case MSHV_OP_COMPARE:
		if (in->to_memory)
			flags_of_subtraction(g, memory, other, in->size);
		else
			flags_of_subtraction(g, other, memory, in->size);
		return 0;
	case MSHV_OP_OR:
		result = memory | other;
		break;
	case MSHV_OP_XOR:
		result = memory ^ other;
		break;
	default:
		result = memory & other;
	}
	set_flags(g, result, in->size, 0);
	return result;
}

int mshv_instruction_do(const struct mshv_instruction *in, struct mshv_general *general, enum mshv_mode mode,
			struct mshv_vcpu *vcpu, mshv_mmio_fn access, void *arg, uint64_t gpa)
{
	struct mshv_general g = *general;
	uint64_t memory = mshv_operand_mask(in->size), result;
	int read = 0, written = 0;

	if (reads_memory(in))
		read = access(vcpu, arg, gpa, in->size, false, &memory);
	if (read < 0)
		return read;
	memory &= mshv_operand_mask(in->size);
	result = result_of(in, &g, memory, other_value(in, &g));
	if (writes_memory(in))
		written = access(vcpu, arg, gpa, in->size, true, &result);
	else if (in->operation != MSHV_OP_COMPARE && in->operation != MSHV_OP_TEST)
		write_register(in, &g, result);
	if (written < 0)
		return written;
	if (in->operation == MSHV_OP_EXCHANGE)
		write_register(in, &g, memory);
	g.rip += in->length;
	/* The instruction pointer is as wide as the mode. */
	if (mode != MSHV_MODE_64)
		g.rip &= mode == MSHV_MODE_16 ? 0xffff : 0xffffffff;
	*general = g;
	return read ? read : written;
}

static enum mshv_mode mode_of(const struct hvabi_x64_intercept_message_header *h)
{
	if (is_64_bit(h))
		return MSHV_MODE_64;
	return h->execution_state & HVABI_EXECUTION_STATE_CR0_PE &&
	       h->cs_segment.attributes & HVABI_SEGMENT_DEFAULT_BIG ? MSHV_MODE_32 : MSHV_MODE_16;
}

static int fail(struct mshv_vcpu *vcpu, const struct hvabi_x64_memory_intercept_message *m,
		const uint8_t *bytes, unsigned int count, const char *why)
{
	char text[3 * MSHV_INSTRUCTION_MAX + 1] = "";
	unsigned int i;

	for (i = 0; i < count && i < MSHV_INSTRUCTION_MAX; i++)
		snprintf(text + 3 * i, 4, " %02x", bytes[i]);
	return mshv_fail_because(EOPNOTSUPP, "processor %u: access to device memory 0x%llx at rip 0x%llx: %s:%s",
				 mshv_vcpu_index(vcpu), (unsigned long long)m->guest_physical_address,
				 (unsigned long long)m->header.rip, why, count ? text : " no bytes");
}

/* Decodes what the message has of the instruction; if that is not all of it, what the guest's memory has. */
static int fetch(struct mshv_vcpu *vcpu, const struct hvabi_x64_memory_intercept_message *m, enum mshv_mode mode,
		 struct mshv_instruction *in, uint8_t *bytes, unsigned int *count)
{
	int got;

	*count = m->instruction_byte_count < MSHV_INSTRUCTION_MAX ? m->instruction_byte_count : MSHV_INSTRUCTION_MAX;
	memcpy(bytes, m->instruction_bytes, *count);
	if (!mshv_instruction_decode(in, mode, bytes, *count))
		return 0;
	if (errno == ENODATA) {
		got = mshv_copy_linear(vcpu, code_address(&m->header), bytes, MSHV_INSTRUCTION_MAX, false);
		/* A signal in the middle says nothing of what follows. */
		if (got < 0 || (got < (int)MSHV_INSTRUCTION_MAX && errno == EINTR))
			return -1;
		*count = (unsigned int)got;
		if (!mshv_instruction_decode(in, mode, bytes, *count))
			return 0;
	}
	return fail(vcpu, m, bytes, *count, errno == ENODATA ? "the instruction is cut off" :
		    "no instruction that can be done for a device");
}

/* Only what is needed to know where in its page the operand is: all sizes of addresses agree on that. */
static int offset_in_page(struct mshv_vcpu *vcpu, const struct hvabi_x64_memory_intercept_message *m,
			  enum mshv_mode mode, const struct mshv_instruction *in, const struct mshv_general *g,
			  uint64_t *offset)
{
	const uint32_t name = HVABI_REG_ES + (uint32_t)in->segment;
	union hvabi_register_value value;
	uint64_t address = in->offset;

	if (in->base == MSHV_BASE_RIP)
		address += g->rip + in->length;
	else if (in->base != MSHV_BASE_NONE)
		address += g->gp[in->base];
	if (in->index != MSHV_BASE_NONE)
		address += g->gp[in->index] << in->shift;
	if (in->segment == MSHV_SEGMENT_CS) {
		address += m->header.cs_segment.base;
	} else if (mode != MSHV_MODE_64 || in->segment >= MSHV_SEGMENT_FS) {
		if (mshv_get_registers(vcpu, &name, &value, 1))
			return -1;
		address += value.segment.base;
	}
	*offset = address % MSHV_PAGE_SIZE;
	return 0;
}

int mshv_mmio_handle(struct mshv_vcpu *vcpu, mshv_mmio_fn access, void *arg,
		     const struct hvabi_x64_memory_intercept_message *m)
{
	enum mshv_mode mode = mode_of(&m->header);
	uint64_t gpa = m->guest_physical_address, offset;
	uint8_t bytes[MSHV_INSTRUCTION_MAX] = { 0 };
	struct mshv_instruction in;
	struct mshv_general general;
	unsigned int count;
	int ret;

	if (m->header.intercept_access_type == HVABI_INTERCEPT_ACCESS_EXECUTE)
		return fail(vcpu, m, bytes, 0, "the guest runs code where no memory is");
	if (fetch(vcpu, m, mode, &in, bytes, &count) || mshv_get_general(vcpu, &general) ||
	    offset_in_page(vcpu, m, mode, &in, &general, &offset))
		return -1;
	if (offset + in.size > MSHV_PAGE_SIZE)
		return fail(vcpu, m, bytes, count, "an operand that crosses a page");
	if (offset != gpa % MSHV_PAGE_SIZE)
		return fail(vcpu, m, bytes, count, "it is not the instruction's operand");
	ret = mshv_instruction_do(&in, &general, mode, vcpu, access, arg, gpa);
	if (ret < 0)
		return ret;
	return mshv_set_general(vcpu, &general) ? -1 : ret;
}
