// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * libmshv: the run loop.
 *
 * A message describes an instruction that was stopped before it did anything. The loop
 * lets a handler do its work, then stores the results and moves RIP behind it, through the
 * register page where there is one (no hypercall) and else with one SET_VP_REGISTERS.
 */
#include <errno.h>
#include <string.h>

#include <hvabi/status.h>

#include "internal.h"
#include "mmio.h"

#define RFLAGS_DF	(1u << 10)
/* Elements of one string instruction at a time: whoever kicks the processor waits for them. */
#define STRING_ELEMENTS	1024u
#define VECTOR_GP	13u

/* Registers to be written back before the guest goes on. */
struct changes {
	struct hvabi_register_assoc regs[8];
	unsigned int count;
};

static void change(struct changes *c, uint32_t name, uint64_t value)
{
	c->regs[c->count].name = name;
	c->regs[c->count].reserved1 = 0;
	c->regs[c->count].reserved2 = 0;
	c->regs[c->count].value.reg128 = (struct hvabi_u128){ .low = value };
	c->count++;
}

static void skip_instruction(struct changes *c,
			     const struct hvabi_x64_intercept_message_header *header)
{
	change(c, HVABI_REG_RIP,
	       header->rip + (header->length_cr8 & HVABI_INTERCEPT_LENGTH_MASK));
}

static int apply(struct mshv_vcpu *vcpu, const struct changes *c)
{
	struct hvabi_vp_register_page *page = vcpu->page;
	unsigned int i;

	if (!page || !page->isvalid)
		return c->count ? mshv_set_registers(vcpu, c->regs, c->count) : 0;
	for (i = 0; i < c->count; i++) {
		uint32_t name = c->regs[i].name;

		if (name == HVABI_REG_RIP)
			continue;
		if (name < HVABI_REG_RAX || name > HVABI_REG_R15)
			return mshv_set_registers(vcpu, c->regs, c->count);
	}
	for (i = 0; i < c->count; i++) {
		uint32_t name = c->regs[i].name;

		if (name == HVABI_REG_RIP) {
			page->rip = c->regs[i].value.reg64;
			page->dirty |= HVABI_REGISTER_PAGE_DIRTY_IP;
		} else {
			page->gp_registers[name - HVABI_REG_RAX] = c->regs[i].value.reg64;
			page->dirty |= HVABI_REGISTER_PAGE_DIRTY_GENERAL;
		}
	}
	return 0;
}

/* What IN leaves in RAX: 32 bits clear the upper half, less leaves the rest. */
static uint64_t merge(uint64_t rax, uint32_t value, unsigned int size)
{
	switch (size) {
	case 1:
		return (rax & ~0xffull) | (value & 0xff);
	case 2:
		return (rax & ~0xffffull) | (value & 0xffff);
	default:
		return value;
	}
}

/* The address in this process of guest linear [@gva, @gva + @size), which does not cross a page. */
static void *linear(struct mshv_vcpu *vcpu, uint64_t gva, unsigned int size, bool write)
{
	struct hvabi_input_translate_virtual_address in = {
		.vp_index = vcpu->index,
		.control_flags = write ? HVABI_TRANSLATE_VALIDATE_WRITE :
					 HVABI_TRANSLATE_VALIDATE_READ,
		.gva_page = gva / MSHV_PAGE_SIZE,
	};
	struct hvabi_output_translate_virtual_address out = { 0 };

	if (mshv_hypercall(vcpu->fd, HVABI_CALL_TRANSLATE_VIRTUAL_ADDRESS, NULL, &in,
			   sizeof(in), &out, sizeof(out), NULL))
		return NULL;
	if (out.result_code != HVABI_TRANSLATE_SUCCESS) {
		mshv_fail_because(EFAULT, "guest linear address 0x%llx: not mapped",
				  (unsigned long long)gva);
		return NULL;
	}
	return mshv_host_address(vcpu->vm,
				 out.gpa_page * MSHV_PAGE_SIZE + gva % MSHV_PAGE_SIZE, size);
}

int mshv_copy_linear(struct mshv_vcpu *vcpu, uint64_t gva, void *data, unsigned int size,
		     bool write)
{
	unsigned int done, part;
	uint8_t *bytes = data, *host;

	for (done = 0; done < size; done += part) {
		part = (unsigned int)(MSHV_PAGE_SIZE - (gva + done) % MSHV_PAGE_SIZE);
		if (part > size - done)
			part = size - done;
		host = linear(vcpu, gva + done, part, write);
		if (!host)
			return done ? (int)done : -1;
		if (write)
			memcpy(host, bytes + done, part);
		else
			memcpy(bytes + done, host, part);
	}
	return (int)done;
}

/* Where an element of a string is in this process: in two pages at most. */
struct place {
	void *at[2];
	unsigned int first, size;
};

static int find_place(struct mshv_vcpu *vcpu, uint64_t gva, unsigned int size, struct place *place)
{
	unsigned int first = (unsigned int)(MSHV_PAGE_SIZE - gva % MSHV_PAGE_SIZE);

	*place = (struct place){ .first = first < size ? first : size, .size = size };
	place->at[0] = linear(vcpu, gva, place->first, true);
	if (place->at[0] && place->first < size)
		place->at[1] = linear(vcpu, gva + place->first, size - place->first, true);
	return place->at[place->first < size] ? 0 : -1;
}

static void put(const struct place *place, const void *value)
{
	memcpy(place->at[0], value, place->first);
	if (place->first < place->size)
		memcpy(place->at[1], (const uint8_t *)value + place->first, place->size - place->first);
}

/* All of it or an error. */
static int read_linear(struct mshv_vcpu *vcpu, uint64_t gva, void *data, unsigned int size)
{
	return mshv_copy_linear(vcpu, gva, data, size, false) == (int)size ? 0 : -1;
}

/* What stands in front of a string instruction's opcode, as far as it matters. */
struct prefixes {
	bool address_size;	/* 67h */
	uint8_t segment;	/* the last override, or 0 */
};

/*
 * A hypervisor that does not give the instruction leaves it to be fetched; what cannot be is taken to have no prefix. All in front of
 * the opcode, INS and OUTS being 6Ch to 6Fh, is prefixes. Returns 0, or -1: a signal, and nobody knows.
 */
static int find_prefixes(struct mshv_vcpu *vcpu, const struct hvabi_x64_io_port_intercept_message *m,
			 struct prefixes *found)
{
	const struct hvabi_x64_intercept_message_header *h = &m->header;
	uint8_t bytes[sizeof(m->instruction_bytes)];
	unsigned int i, count = m->instruction_byte_count;
	int got;

	*found = (struct prefixes){ .segment = 0 };
	memcpy(bytes, m->instruction_bytes, sizeof(bytes));
	if (count > sizeof(bytes))
		count = sizeof(bytes);
	if (!count) {
		got = mshv_copy_linear(vcpu, code_address(h), bytes,
				       h->length_cr8 & HVABI_INTERCEPT_LENGTH_MASK, false);
		if (got < (int)(h->length_cr8 & HVABI_INTERCEPT_LENGTH_MASK) && errno == EINTR)
			return -1;
		count = got > 0 ? (unsigned int)got : 0;
	}
	for (i = 0; i < count && (bytes[i] & 0xfc) != 0x6c; i++) {
		switch (bytes[i]) {
		case 0x67:
			found->address_size = true;
			break;
		case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
			found->segment = bytes[i];
			break;
		}
	}
	return 0;
}

/* How many bits of RCX, RSI and RDI it has: the mode says so, and a prefix says otherwise. */
static unsigned int address_bits(const struct hvabi_x64_intercept_message_header *h, bool other)
{
	if (is_64_bit(h))
		return other ? 32 : 64;
	return !!(h->cs_segment.attributes & HVABI_SEGMENT_DEFAULT_BIG) != other ? 32 : 16;
}

/*
 * Base of the segment that the string is in: ES for what is read from a port; else DS or what a prefix says. In 64-bit mode only FS and
 * GS have one. Returns 0 or -1.
 */
static int string_base(struct mshv_vcpu *vcpu, const struct hvabi_x64_io_port_intercept_message *m, bool out,
		       uint8_t override, uint64_t *base)
{
	bool is_64 = is_64_bit(&m->header);
	union hvabi_register_value value;
	uint32_t name;

	switch (out ? override : 0x26) {
	case 0x64:
		name = HVABI_REG_FS;
		break;
	case 0x65:
		name = HVABI_REG_GS;
		break;
	case 0x36:
		name = HVABI_REG_SS;
		break;
	case 0x2e:
		*base = is_64 ? 0 : m->header.cs_segment.base;
		return 0;
	case 0x26:
		*base = is_64 ? 0 : m->es_segment.base;
		return 0;
	default:
		*base = is_64 ? 0 : m->ds_segment.base;
		return 0;
	}
	*base = 0;
	if (is_64 && name == HVABI_REG_SS)
		return 0;
	if (mshv_get_registers(vcpu, &name, &value, 1))
		return -1;
	*base = value.segment.base;
	return 0;
}

/* A register of which an instruction has changed @bits: 32 clear the upper half, less leave the rest. */
static uint64_t narrow(uint64_t before, uint64_t after, unsigned int bits)
{
	switch (bits) {
	case 16:
		return (before & ~0xffffull) | (after & 0xffff);
	case 32:
		return (uint32_t)after;
	default:
		return after;
	}
}

static uint64_t string_address(uint64_t base, uint64_t offset, unsigned int bits, bool is_64)
{
	uint64_t address = base + narrow(0, offset, bits);

	return is_64 ? address : (uint32_t)address;
}

/*
 * Some of the elements. While there are more the instruction is not skipped, only RCX and the pointer
 * are: the guest executes the rest of it, as after an interrupt, and we hear of kicks in between.
 */
static int do_string_io(struct mshv_vcpu *vcpu, const struct mshv_handlers *handlers,
			void *arg, const struct hvabi_x64_io_port_intercept_message *m,
			struct changes *c)
{
	bool out = m->header.intercept_access_type == HVABI_INTERCEPT_ACCESS_WRITE;
	bool is_64 = is_64_bit(&m->header);
	unsigned int size = m->access_info & HVABI_IO_PORT_ACCESS_SIZE_MASK;
	bool rep = m->access_info & HVABI_IO_PORT_REP_PREFIX;
	uint64_t step = m->header.rflags & RFLAGS_DF ? 0 - (uint64_t)size : size;
	uint64_t base, count, pointer = out ? m->rsi : m->rdi;
	struct prefixes prefixes;
	struct place place;
	unsigned int bits, done;
	uint32_t value;
	int ret = 0;

	if (find_prefixes(vcpu, m, &prefixes))
		return -1;
	bits = address_bits(&m->header, prefixes.address_size);
	count = rep ? narrow(0, m->rcx, bits) : 1;
	if (string_base(vcpu, m, out, prefixes.segment, &base))
		return -1;
	for (done = 0; count && !ret && done < STRING_ELEMENTS; count--, done++) {
		uint64_t address = string_address(base, pointer, bits, is_64);

		value = 0;
		/* What cannot be stored is not read: a device would not have it any more. */
		if (out ? read_linear(vcpu, address, &value, size) : find_place(vcpu, address, size, &place)) {
			/* Who kicks by a signal of his own is told, or the next run would not end for it. */
			if (errno == EINTR)
				ret = -1;
			break;
		}
		ret = handlers->port(vcpu, arg, m->port_number, size, out, &value);
		if (ret < 0)
			break;
		if (!out)
			put(&place, &value);
		pointer += step;
	}
	/* What is done is done, whatever ended it. Memory that cannot be had is met again, with nothing done. */
	if (count && !done && !ret)
		return -1;
	if (rep && done)
		change(c, HVABI_REG_RCX, narrow(m->rcx, count, bits));
	if (done)
		change(c, out ? HVABI_REG_RSI : HVABI_REG_RDI, narrow(out ? m->rsi : m->rdi, pointer, bits));
	if (!count)
		skip_instruction(c, &m->header);
	return ret;
}

static int do_port(struct mshv_vcpu *vcpu, const struct mshv_handlers *handlers, void *arg,
		   const struct hvabi_x64_io_port_intercept_message *m)
{
	bool write = m->header.intercept_access_type == HVABI_INTERCEPT_ACCESS_WRITE;
	bool string = handlers->port && m->access_info & HVABI_IO_PORT_STRING_OP;
	unsigned int size = m->access_info & HVABI_IO_PORT_ACCESS_SIZE_MASK;
	uint32_t value = write ? (uint32_t)m->rax : ~0u;
	struct changes c = { .count = 0 };
	int ret = 0;

	if (size == 1)
		value &= 0xff;
	else if (size == 2)
		value &= 0xffff;
	if (string)
		ret = do_string_io(vcpu, handlers, arg, m, &c);
	else if (handlers->port)
		ret = handlers->port(vcpu, arg, m->port_number, size, write, &value);
	/* Of a string some may have been done before. */
	if (ret < 0 && !string)
		return ret;
	if (!write && !(m->access_info & HVABI_IO_PORT_STRING_OP))
		change(&c, HVABI_REG_RAX, merge(m->rax, value, size));
	if (!string)
		skip_instruction(&c, &m->header);
	return apply(vcpu, &c) ? -1 : ret;
}

static int do_cpuid(struct mshv_vcpu *vcpu, const struct mshv_handlers *handlers, void *arg,
		    const struct hvabi_x64_cpuid_intercept_message *m)
{
	uint32_t result[4] = {
		(uint32_t)m->default_result_rax, (uint32_t)m->default_result_rbx,
		(uint32_t)m->default_result_rcx, (uint32_t)m->default_result_rdx,
	};
	struct changes c = { .count = 0 };
	int ret = 0;

	if (handlers->cpuid)
		ret = handlers->cpuid(vcpu, arg, (uint32_t)m->rax, (uint32_t)m->rcx, result);
	change(&c, HVABI_REG_RAX, result[0]);
	change(&c, HVABI_REG_RBX, result[1]);
	change(&c, HVABI_REG_RCX, result[2]);
	change(&c, HVABI_REG_RDX, result[3]);
	skip_instruction(&c, &m->header);
	return apply(vcpu, &c) ? -1 : ret;
}

static int do_msr(struct mshv_vcpu *vcpu, const struct mshv_handlers *handlers, void *arg,
		  const struct hvabi_x64_msr_intercept_message *m)
{
	bool write = m->header.intercept_access_type == HVABI_INTERCEPT_ACCESS_WRITE;
	uint64_t value = m->rdx << 32 | (uint32_t)m->rax;
	struct changes c = { .count = 0 };
	int ret = -ENOENT;

	if (handlers->msr)
		ret = handlers->msr(vcpu, arg, m->msr_number, write, &value);
	if (ret == -ENOENT) {
		change(&c, HVABI_REG_PENDING_INTERRUPTION,
		       HVABI_PENDING_INTERRUPTION_PENDING |
		       3ull << HVABI_PENDING_INTERRUPTION_TYPE_SHIFT |
		       HVABI_PENDING_INTERRUPTION_DELIVER_ERROR |
		       (uint64_t)VECTOR_GP << HVABI_PENDING_INTERRUPTION_VECTOR_SHIFT);
		return apply(vcpu, &c);
	}
	if (!write) {
		change(&c, HVABI_REG_RAX, (uint32_t)value);
		change(&c, HVABI_REG_RDX, value >> 32);
	}
	skip_instruction(&c, &m->header);
	return apply(vcpu, &c) ? -1 : ret;
}

static int do_hypercall(struct mshv_vcpu *vcpu, const struct mshv_handlers *handlers, void *arg,
			const struct hvabi_x64_hypercall_intercept_message *m)
{
	uint64_t result = hvabi_result(HVABI_STATUS_INVALID_HYPERCALL_CODE, 0);
	struct changes c = { .count = 0 };
	int ret = 0;

	if (handlers->hypercall)
		ret = handlers->hypercall(vcpu, arg, m->rcx, m->rdx, m->r8, &result);
	change(&c, HVABI_REG_RAX, result);
	skip_instruction(&c, &m->header);
	return apply(vcpu, &c) ? -1 : ret;
}

static int do_halt(struct mshv_vcpu *vcpu, const struct mshv_handlers *handlers, void *arg,
		   const struct hvabi_x64_intercept_message_header *m)
{
	struct changes c = { .count = 0 };
	int ret;

	if (!handlers->halt)
		return mshv_fail_because(EIO, "processor %u halted", vcpu->index);
	ret = handlers->halt(vcpu, arg);
	skip_instruction(&c, m);
	return apply(vcpu, &c) ? -1 : ret;
}

static int do_memory(struct mshv_vcpu *vcpu, const struct mshv_handlers *handlers, void *arg,
		     const struct hvabi_x64_memory_intercept_message *m, int error)
{
	static const char *const access[] = { "read", "write", "execute" };

	int ret = handlers->memory ? handlers->memory(vcpu, arg, m, error) : -ENOENT;

	/* RAM that could not be had is no device. */
	if (ret == -ENOENT && handlers->mmio && !error)
		ret = mshv_mmio_handle(vcpu, handlers->mmio, arg, m);
	if (ret != -ENOENT)
		return ret;
	return mshv_fail_because(error ? error : EFAULT, "processor %u: %s of 0x%llx at rip "
				 "0x%llx: %s", vcpu->index,
				 m->header.intercept_access_type < 3 ?
				 access[m->header.intercept_access_type] : "access",
				 (unsigned long long)m->guest_physical_address,
				 (unsigned long long)m->header.rip,
				 error ? strerror(error) : "no memory there");
}

/*
 * A message that nobody wanted; most often the guest's program is none, and the processor has shut down: where it stood
 * tells more than the message.
 */
static int stopped(struct mshv_vcpu *vcpu, const struct hvabi_message *message)
{
	static const uint32_t names[] = {
		HVABI_REG_RIP, HVABI_REG_RSP, HVABI_REG_RFLAGS, HVABI_REG_RAX, HVABI_REG_CR2, HVABI_REG_CR3,
	};
	uint64_t value[sizeof(names) / sizeof(names[0])] = { 0 };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (mshv_get_register(vcpu, names[i], &value[i]))
			break;
	return mshv_fail_because(EIO, "processor %u: the guest cannot go on: message %s (0x%x), rip 0x%llx rsp 0x%llx "
				 "rflags 0x%llx rax 0x%llx cr2 0x%llx cr3 0x%llx", vcpu->index,
				 mshv_message_name(message->header.message_type),
				 message->header.message_type, (unsigned long long)value[0],
				 (unsigned long long)value[1], (unsigned long long)value[2],
				 (unsigned long long)value[3], (unsigned long long)value[4],
				 (unsigned long long)value[5]);
}

static int dispatch(struct mshv_vcpu *vcpu, const struct mshv_handlers *handlers, void *arg,
		    const struct hvabi_message *message, int error)
{
	const void *payload = message->payload;
	int ret = -ENOENT;

	switch (message->header.message_type) {
	case HVABI_MSG_UNMAPPED_GPA:
	case HVABI_MSG_GPA_INTERCEPT:
		return do_memory(vcpu, handlers, arg, payload, error);
	case HVABI_MSG_X64_IO_PORT_INTERCEPT:
		return do_port(vcpu, handlers, arg, payload);
	case HVABI_MSG_X64_HALT:
		return do_halt(vcpu, handlers, arg, payload);
	case HVABI_MSG_X64_CPUID_INTERCEPT:
		return do_cpuid(vcpu, handlers, arg, payload);
	case HVABI_MSG_X64_MSR_INTERCEPT:
		return do_msr(vcpu, handlers, arg, payload);
	case HVABI_MSG_HYPERCALL_INTERCEPT:
		return do_hypercall(vcpu, handlers, arg, payload);
	}
	if (handlers->other)
		ret = handlers->other(vcpu, arg, message);
	return ret == -ENOENT ? stopped(vcpu, message) : ret;
}

/* Blocked signals are inherited, from whoever started this program as well. */
static void hear_kicks(void)
{
	const int signal = mshv_kick_signal_now();
	sigset_t kicks;

	if (!signal)
		return;
	sigemptyset(&kicks);
	sigaddset(&kicks, signal);
	pthread_sigmask(SIG_UNBLOCK, &kicks, NULL);
}

int mshv_vcpu_loop(struct mshv_vcpu *vcpu, const struct mshv_handlers *handlers, void *arg)
{
	struct hvabi_message message;
	struct mshv_handlers h;
	int ret, error;

	if (take_sized(&h, sizeof(h), handlers, handlers->size))
		return mshv_fail_because(EINVAL, "processor %u: handlers of %zu bytes", vcpu->index, handlers->size);
	hear_kicks();
	for (;;) {
		error = 0;
		if (mshv_vcpu_run(vcpu, &message)) {
			error = errno;
			/* A fault that could not be served comes with its message. */
			if (message.header.message_type != HVABI_MSG_UNMAPPED_GPA &&
			    message.header.message_type != HVABI_MSG_GPA_INTERCEPT)
				return -1;
		}
		ret = dispatch(vcpu, &h, arg, &message, error);
		if (ret)
			return ret;
	}
}
