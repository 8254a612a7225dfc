// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test module: /dev/mshv_rawcall makes any hypercall with any input, the way
 * a broken or hostile parent would.  Never load it outside the test rig: it
 * hands the hypercall page to user space.
 *
 * Blocks are pages of the module.  A few more pages, whose numbers the user
 * may ask for, are what DEPOSIT_MEMORY can be given without shooting the
 * parent itself.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/uaccess.h>
#include <asm/mshyperv.h>

#include "mshv_rawcall.h"

static DEFINE_MUTEX(lock);
static struct page *pages[RAWCALL_PAGES];

static u64 address(u64 where, const void *block)
{
	return where == RAWCALL_BLOCK ? virt_to_phys((void *)block) : where;
}

static long make_call(struct rawcall *call)
{
	void *input = page_address(pages[0]), *output = page_address(pages[1]);

	memcpy(input, call->input, PAGE_SIZE);
	memset(output, 0, PAGE_SIZE);
	if (call->control & HV_HYPERCALL_FAST_BIT)
		call->result = hv_do_fast_hypercall16(call->control & 0xffff, call->rdx, call->r8);
	else
		call->result = hv_do_hypercall(call->control,
					       (void *)phys_to_virt(address(call->rdx, input)),
					       (void *)phys_to_virt(address(call->r8, output)));
	memcpy(call->output, output, PAGE_SIZE);
	return 0;
}

static long rawcall_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct rawcall *call;
	long ret = -ENOTTY;

	call = kvmalloc(sizeof(*call), GFP_KERNEL);
	if (!call)
		return -ENOMEM;
	if (copy_from_user(call, (void __user *)arg, sizeof(*call))) {
		ret = -EFAULT;
		goto out;
	}
	mutex_lock(&lock);
	if (cmd == RAWCALL_CALL) {
		ret = make_call(call);
	} else if (cmd == RAWCALL_PAGE) {
		ret = call->control < RAWCALL_PAGES ? 0 : -EINVAL;
		if (!ret)
			call->result = page_to_pfn(pages[call->control]);
	}
	mutex_unlock(&lock);
	if (!ret && copy_to_user((void __user *)arg, call, sizeof(*call)))
		ret = -EFAULT;
out:
	kvfree(call);
	return ret;
}

static const struct file_operations rawcall_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = rawcall_ioctl,
};

static struct miscdevice rawcall_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mshv_rawcall",
	.mode = 0600,
	.fops = &rawcall_fops,
};

static void free_pages_of_module(void)
{
	unsigned int i;

	for (i = 0; i < RAWCALL_PAGES; i++)
		if (pages[i])
			__free_page(pages[i]);
}

static int __init rawcall_init(void)
{
	unsigned int i;
	int ret;

	if (!hv_is_hyperv_initialized())
		return -ENODEV;
	for (i = 0; i < RAWCALL_PAGES; i++) {
		pages[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!pages[i]) {
			free_pages_of_module();
			return -ENOMEM;
		}
	}
	ret = misc_register(&rawcall_device);
	if (ret)
		free_pages_of_module();
	return ret;
}

/* A page that is still lent must not be freed: the test takes all of them back first. */
static void __exit rawcall_exit(void)
{
	misc_deregister(&rawcall_device);
	free_pages_of_module();
}

module_init(rawcall_init);
module_exit(rawcall_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Raw hypercalls for the tests of the bundled hypervisor");
