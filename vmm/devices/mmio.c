// SPDX-License-Identifier: GPL-2.0-only
/* Doing the instruction that touched a device's memory, see mmio.h. Zydis decodes it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "mmio.h"

#define FLAG_CF		(1ull << 0)
#define FLAG_PF		(1ull << 2)
#define FLAG_AF		(1ull << 4)
#define FLAG_ZF		(1ull << 6)
#define FLAG_SF		(1ull << 7)
#define FLAG_OF		(1ull << 11)
#define FLAGS_RESULT	(FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

/* One instruction with one memory operand and at most one other. */
struct instruction {
	ZydisDecodedInstruction decoded;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	unsigned int memory;		/* which of the first two operands it is */
	unsigned int size;		/* of the memory operand, in bytes */
};

static uint64_t mask(unsigned int size)
{
	return size >= 8 ? ~0ull : (1ull << 8 * size) - 1;
}

static uint64_t sign(unsigned int size)
{
	return 1ull << (8 * size - 1);
}

/* General registers by Zydis's name: number, or -1; AH and its like are 4 to 7 with @high. */
static int register_number(ZydisRegister reg, bool *high)
{
	*high = reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;
	if (*high)
		return (int)(reg - ZYDIS_REGISTER_AH);
	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_GPR8:
	case ZYDIS_REGCLASS_GPR16:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR64:
		return ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(
			ZYDIS_MACHINE_MODE_LONG_64, reg));
	default:
		return -1;
	}
}

static uint64_t read_register(const struct mshv_general *g, ZydisRegister reg, unsigned int size)
{
	bool high;
	int n = register_number(reg, &high);

	return (high ? g->gp[n] >> 8 : g->gp[n]) & mask(size);
}

/* As the processor does it: 32 bits clear the upper half, less leaves the rest. */
static void write_register(struct mshv_general *g, ZydisRegister reg, unsigned int size,
			   uint64_t value)
{
	bool high;
	int n = register_number(reg, &high);
	unsigned int shift = high ? 8 : 0;

	value &= mask(size);
	if (size >= 4)
		g->gp[n] = value;
	else
		g->gp[n] = (g->gp[n] & ~(mask(size) << shift)) | value << shift;
}

static bool is_operand(const ZydisDecodedOperand *o)
{
	bool high;

	if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return true;
	return o->type == ZYDIS_OPERAND_TYPE_REGISTER && register_number(o->reg.value, &high) >= 0;
}

static int decode(struct instruction *in, enum mmio_mode mode, const uint8_t *bytes,
		  unsigned int count)
{
	static const struct {
		ZydisMachineMode machine;
		ZydisStackWidth stack;
	} modes[] = {
		[MMIO_MODE_16] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
		[MMIO_MODE_32] = { ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
		[MMIO_MODE_64] = { ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
	};
	ZydisDecoder decoder;
	ZyanStatus status;

	errno = EOPNOTSUPP;
	if (ZYAN_FAILED(ZydisDecoderInit(&decoder, modes[mode].machine, modes[mode].stack)))
		return -1;
	status = ZydisDecoderDecodeFull(&decoder, bytes, count, &in->decoded, in->operands);
	if (status == ZYDIS_STATUS_NO_MORE_DATA)
		errno = ENODATA;
	if (ZYAN_FAILED(status) || in->decoded.operand_count_visible != 2)
		return -1;
	/* REP and LOCK: strings are not done here, and a device has no bus to lock. */
	if (in->decoded.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE |
				      ZYDIS_ATTRIB_HAS_REPNE))
		return -1;
	in->memory = in->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? 0 : 1;
	if (in->operands[in->memory].type != ZYDIS_OPERAND_TYPE_MEMORY ||
	    !is_operand(&in->operands[!in->memory]))
		return -1;
	in->size = in->operands[in->memory].size / 8u;
	return in->size == 1 || in->size == 2 || in->size == 4 || in->size == 8 ? 0 : -1;
}

static uint64_t parity_flag(uint64_t result)
{
	return __builtin_parity((unsigned int)(result & 0xff)) ? 0 : FLAG_PF;
}

static void set_flags(struct mshv_general *g, uint64_t result, unsigned int size, uint64_t others)
{
	g->rflags = (g->rflags & ~FLAGS_RESULT) | others | parity_flag(result) |
		    (result & mask(size) ? 0 : FLAG_ZF) | (result & sign(size) ? FLAG_SF : 0);
}

static void flags_of_subtraction(struct mshv_general *g, uint64_t a, uint64_t b, unsigned int size)
{
	uint64_t result = (a - b) & mask(size);

	set_flags(g, result, size, (a < b ? FLAG_CF : 0) | ((a ^ b ^ result) & 0x10 ? FLAG_AF : 0) |
		  ((a ^ b) & (a ^ result) & sign(size) ? FLAG_OF : 0));
}

static uint64_t extend(uint64_t value, unsigned int size)
{
	return value & sign(size) ? value | ~mask(size) : value;
}

/* The operand that is not memory, as wide as the memory operand. */
static uint64_t other_value(const struct instruction *in, const struct mshv_general *g)
{
	const ZydisDecodedOperand *o = &in->operands[!in->memory];

	if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return o->imm.value.u & mask(in->size);
	return read_register(g, o->reg.value, in->size);
}

enum kind { NOT_DONE, LOAD, LOAD_SIGNED, STORE, COMPARE, LOGIC, EXCHANGE };

static enum kind kind_of(const struct instruction *in)
{
	bool to_memory = in->memory == 0;

	switch (in->decoded.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		return to_memory ? STORE : LOAD;
	case ZYDIS_MNEMONIC_MOVNTI:
		return STORE;
	case ZYDIS_MNEMONIC_MOVZX:
		return LOAD;
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
		return LOAD_SIGNED;
	case ZYDIS_MNEMONIC_TEST:
	case ZYDIS_MNEMONIC_CMP:
		return COMPARE;
	case ZYDIS_MNEMONIC_AND:
	case ZYDIS_MNEMONIC_OR:
	case ZYDIS_MNEMONIC_XOR:
		return LOGIC;
	case ZYDIS_MNEMONIC_XCHG:
		return EXCHANGE;
	default:
		return NOT_DONE;
	}
}

static void compare(const struct instruction *in, struct mshv_general *g, uint64_t memory,
		    uint64_t other)
{
	if (in->decoded.mnemonic == ZYDIS_MNEMONIC_TEST)
		set_flags(g, memory & other, in->size, 0);
	else if (in->memory == 0)
		flags_of_subtraction(g, memory, other, in->size);
	else
		flags_of_subtraction(g, other, memory, in->size);
}

static uint64_t logic(const struct instruction *in, struct mshv_general *g, uint64_t memory,
		      uint64_t other)
{
	uint64_t result = in->decoded.mnemonic == ZYDIS_MNEMONIC_AND ? memory & other :
			  in->decoded.mnemonic == ZYDIS_MNEMONIC_OR ? memory | other :
								      memory ^ other;

	set_flags(g, result, in->size, 0);
	return result;
}

int mmio_emulate(const struct bus *bus, struct mshv_general *general, enum mmio_mode mode,
		 const uint8_t *bytes, unsigned int count, uint64_t gpa)
{
	struct instruction in;
	const ZydisDecodedOperand *o;
	uint64_t memory = 0, other;
	enum kind kind;
	int ret = 0;

	if (decode(&in, mode, bytes, count))
		return -1;
	kind = kind_of(&in);
	if (kind == NOT_DONE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	o = &in.operands[!in.memory];
	other = other_value(&in, general);
	if (kind != STORE)
		ret = bus_access(bus, gpa, in.size, false, &memory);
	switch (kind) {
	case LOAD:
		write_register(general, o->reg.value, o->size / 8u, memory);
		break;
	case LOAD_SIGNED:
		write_register(general, o->reg.value, o->size / 8u, extend(memory, in.size));
		break;
	case STORE:
		ret = bus_access(bus, gpa, in.size, true, &other);
		break;
	case COMPARE:
		compare(&in, general, memory, other);
		break;
	case LOGIC:
		other = logic(&in, general, memory, other);
		if (in.memory == 0)
			ret = bus_access(bus, gpa, in.size, true, &other);
		else
			write_register(general, o->reg.value, in.size, other);
		break;
	case EXCHANGE:
		ret = bus_access(bus, gpa, in.size, true, &other);
		write_register(general, o->reg.value, in.size, memory);
		break;
	case NOT_DONE:
		break;
	}
	general->rip += in.decoded.length;
	/* The instruction pointer is as wide as the mode. */
	if (mode != MMIO_MODE_64)
		general->rip &= mode == MMIO_MODE_16 ? 0xffff : 0xffffffff;
	return ret;
}

static enum mmio_mode mode_of(const struct hvabi_x64_intercept_message_header *h)
{
	if (h->execution_state & HVABI_EXECUTION_STATE_EFER_LMA &&
	    h->cs_segment.attributes & HVABI_SEGMENT_LONG)
		return MMIO_MODE_64;
	return h->execution_state & HVABI_EXECUTION_STATE_CR0_PE &&
	       h->cs_segment.attributes & HVABI_SEGMENT_DEFAULT_BIG ? MMIO_MODE_32 : MMIO_MODE_16;
}

static int fail(struct mshv_vcpu *vcpu, const struct hvabi_x64_memory_intercept_message *m,
		const uint8_t *bytes, unsigned int count, const char *why)
{
	char text[3 * MMIO_INSTRUCTION_MAX + 1] = "";
	unsigned int i;

	for (i = 0; i < count && i < MMIO_INSTRUCTION_MAX; i++)
		snprintf(text + 3 * i, 4, " %02x", bytes[i]);
	return mshv_fail_because(EOPNOTSUPP, "processor %u: access to device memory 0x%llx at rip 0x%llx: %s:%s",
			      mshv_vcpu_index(vcpu), (unsigned long long)m->guest_physical_address,
			      (unsigned long long)m->header.rip, why, count ? text : " no bytes");
}

int mmio_handle(struct mshv_vcpu *vcpu, const struct bus *bus,
		const struct hvabi_x64_memory_intercept_message *m)
{
	enum mmio_mode mode = mode_of(&m->header);
	uint8_t bytes[MMIO_INSTRUCTION_MAX] = { 0 };
	unsigned int count = m->instruction_byte_count;
	struct mshv_general general;
	int ret, got;

	if (m->header.intercept_access_type == HVABI_INTERCEPT_ACCESS_EXECUTE)
		return fail(vcpu, m, bytes, 0, "the guest runs code where no memory is");
	if (mshv_get_general(vcpu, &general))
		return -1;
	if (count > sizeof(bytes))
		count = sizeof(bytes);
	memcpy(bytes, m->instruction_bytes, count);
	ret = -1;
	errno = ENODATA;
	if (count)
		ret = mmio_emulate(bus, &general, mode, bytes, count, m->guest_physical_address);
	/* The hypervisor had not all of the instruction: the guest's memory has. */
	if (ret < 0 && errno == ENODATA) {
		got = mshv_copy_linear(vcpu, (mode == MMIO_MODE_64 ? 0 : m->header.cs_segment.base) +
				       m->header.rip, bytes, sizeof(bytes), false);
		if (got < 0)
			return -1;
		count = (unsigned int)got;
		ret = mmio_emulate(bus, &general, mode, bytes, count, m->guest_physical_address);
	}
	if (ret < 0)
		return fail(vcpu, m, bytes, count, errno == ENODATA ? "the instruction is cut off" :
			    "no instruction that can be done for a device");
	return mshv_set_general(vcpu, &general) ? -1 : ret;
}
