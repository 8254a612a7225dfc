/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The smallest monitor: a guest of one page that prints "hello" through port 0x3f8 and a device's memory, and halts.
 *
 *	cc hello.c $(pkg-config --cflags --libs libmshv) && ./a.out
 *
 * Compiles as C and as C++. Exit code 0: the guest came to its end.
 */
#include <errno.h>
#include <stdio.h>

#include <mshv.h>

/* Real mode, 0000:0000. */
static const unsigned char code[] = {
	0xba, 0xf8, 0x03,			/* mov dx, 0x3f8 */
	0xb0, 'h', 0xee, 0xb0, 'e', 0xee,	/* mov al, 'h'; out dx, al ... */
	0xb0, 'l', 0xee, 0xb0, 'l', 0xee,
	0xb0, 'o', 0xee,
	0xc6, 0x06, 0x00, 0x30, '\n',		/* mov byte [0x3000], '\n': there is no memory */
	0xf4,					/* hlt */
};

static int on_port(struct mshv_vcpu *vcpu, void *arg, uint16_t port, unsigned int size, bool write, uint32_t *value)
{
	(void)vcpu;
	(void)arg;
	if (write && port == 0x3f8 && size == 1)
		putchar((int)*value);
	return 0;
}

/* The loop has decoded the instruction, and does the rest of it. */
static int on_mmio(struct mshv_vcpu *vcpu, void *arg, uint64_t gpa, unsigned int size, bool write, uint64_t *value)
{
	(void)vcpu;
	(void)arg;
	if (gpa != 0x3000 || size != 1)
		return -ENOENT;		/* nobody there: the loop ends with an error */
	if (write)
		putchar((int)*value);
	return 0;
}

static int on_halt(struct mshv_vcpu *vcpu, void *arg)
{
	(void)vcpu;
	(void)arg;
	return 1;	/* leave the loop */
}

static int run(struct mshv_vm *vm)
{
	struct mshv_handlers handlers;
	struct hvabi_register_assoc regs[4];
	struct mshv_vcpu *vcpu;
	void *memory = mshv_memory_add(vm, 0, 2 * MSHV_PAGE_SIZE, 0);
	int ret = -1;

	if (!memory)
		return -1;
	memcpy(memory, code, sizeof(code));
	vcpu = mshv_vcpu_create(vm, 0);
	if (!vcpu)
		return -1;
	regs[0] = mshv_segment(HVABI_REG_CS, 0, 0xffff, 0x009b);
	regs[1] = mshv_segment(HVABI_REG_DS, 0, 0xffff, 0x0093);
	regs[2] = mshv_scalar(HVABI_REG_RIP, 0);
	regs[3] = mshv_scalar(HVABI_REG_RFLAGS, 2);
	memset(&handlers, 0, sizeof(handlers));
	handlers.size = sizeof(handlers);
	handlers.port = on_port;
	handlers.halt = on_halt;
	handlers.mmio = on_mmio;
	if (!mshv_set_registers(vcpu, regs, 4))
		/* Linux may want the thread for something, without a signal or a kick: it comes back. */
		do
			ret = mshv_vcpu_loop(vcpu, &handlers, NULL);
		while (ret < 0 && errno == EINTR);
	mshv_vcpu_destroy(vcpu);
	return ret;
}

int main(void)
{
	struct mshv_vm *vm = mshv_vm_new(0, MSHV_ISOLATION_NONE);
	int ret = -1;

	if (vm && !mshv_vm_initialize(vm, NULL, 0))
		ret = run(vm);
	if (ret != 1)
		fprintf(stderr, "hello: %s\n", mshv_error());
	mshv_vm_destroy(vm);
	return ret == 1 ? 0 : 1;
}
