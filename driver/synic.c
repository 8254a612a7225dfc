// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parent's synthetic interrupt controllers: how the hypervisor says that a blocked virtual
 * processor could run again.
 *
 * Laws:
 *	- A wake-up is not lost: the processor's thread forgets old signals before it dispatches, and a
 *	  blocked one sleeps only while there is no new one. Too many wake-ups do no harm: it is
 *	  dispatched, and blocks again.
 *	- The handler is a hard interrupt handler: it takes no lock, allocates nothing, and looks
 *	  partitions and processors up under RCU. It reads a message once, from a page that only the
 *	  hypervisor and it write to.
 *	- A slot is freed whatever was in it: what this driver does not know must not keep the next
 *	  message out.
 *	- Message page and registers are the CPU's own: set up when it comes, put back when it goes.
 *	  What was not delivered then, the hypervisor delivers to another one; what was, is read.
 *
 * Linux knows one user of the controller, VMBus. Newer kernels have a second place for a parent's
 * driver; on others this one takes the place of VMBus, and does not load where it is in use.
 */
#include <linux/cpuhotplug.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/hashtable.h>
#include <linux/io.h>
#include <linux/percpu.h>
#include <linux/rculist.h>

#include <asm/mshyperv.h>

#include <hvabi/cpuid.h>

#include "compat.h"
#include "mshv.h"

/* Bits of the table of partitions. */
#define MSHV_PARTITION_HASH_BITS	6
/* The slot that the hypervisor's scheduler signals arrive in. */
#define MSHV_SINT			0

/**
 * struct mshv_synic - the controller of one CPU
 * @messages: its message page; NULL: not set up
 * @own: the page behind it, if the hypervisor had none for us
 * @mapped: the page is the hypervisor's, and @messages a mapping of it
 * @enabled: it was this driver that enabled page and controller
 */
struct mshv_synic {
	struct hvabi_message *messages;
	struct page *own;
	bool mapped;
	bool enabled;
};

static DEFINE_PER_CPU(struct mshv_synic, mshv_synic);
static DEFINE_HASHTABLE(partitions, MSHV_PARTITION_HASH_BITS);
static DEFINE_SPINLOCK(partitions_lock);
static enum cpuhp_state synic_state;
static bool synic_running;

/**
 * mshv_synic_add() - let signals for a partition's processors find them
 * @partition: with its id
 */
void mshv_synic_add(struct mshv_partition *partition)
{
	spin_lock(&partitions_lock);
	hash_add_rcu(partitions, &partition->by_id, partition->id);
	spin_unlock(&partitions_lock);
}

/**
 * mshv_synic_remove() - the opposite
 * @partition: to be freed after a grace period
 */
void mshv_synic_remove(struct mshv_partition *partition)
{
	spin_lock(&partitions_lock);
	hash_del_rcu(&partition->by_id);
	spin_unlock(&partitions_lock);
}

static struct mshv_partition *find_partition(u64 id)
{
	struct mshv_partition *partition;

	hash_for_each_possible_rcu(partitions, partition, by_id, id)
		if (partition->id == id)
			return partition;
	return NULL;
}

static void signal_vp(u64 id, u32 index)
{
	struct mshv_partition *partition = find_partition(id);
	struct mshv_vp *vp;

	if (!partition || index >= MSHV_VP_MAX)
		return;
	/* Pairs with the store in mshv_vp_create(): the processor is complete. */
	vp = smp_load_acquire(&partition->vps[index]);
	if (vp)
		mshv_vp_signal(vp);
}

static void signal_pairs(const struct hvabi_scheduler_vp_signal_pair *pairs)
{
	unsigned int i, count = min_t(unsigned int, pairs->vp_count, HVABI_SIGNAL_PAIRS);

	for (i = 0; i < count; i++)
		signal_vp(pairs->partition_ids[i], pairs->vp_indexes[i]);
}

static void signal_bitset(const struct hvabi_scheduler_vp_signal_bitset *set)
{
	unsigned long banks = set->valid_bank_mask, bits;
	unsigned int bank, bit, i = 0;

	/* The only format there is. */
	if (set->format)
		return;
	for_each_set_bit(bank, &banks, 64) {
		if (i == HVABI_SIGNAL_BANKS)
			return;
		bits = set->bank_contents[i++];
		for_each_set_bit(bit, &bits, 64)
			signal_vp(set->partition_id, bank * 64 + bit);
	}
}

/* One message. */
static void take_message(struct hvabi_message *slot, u32 type)
{
	rcu_read_lock();
	switch (type) {
	case HVABI_MSG_SCHEDULER_VP_SIGNAL_PAIR:
		signal_pairs((void *)slot->payload);
		break;
	case HVABI_MSG_SCHEDULER_VP_SIGNAL_BITSET:
		signal_bitset((void *)slot->payload);
		break;
	default:
		pr_warn_ratelimited(pr_fmt_mshv "message 0x%x of the hypervisor: not known\n", type);
		break;
	}
	rcu_read_unlock();
}

/* Read what is in the slot and let the next one in. Context: interrupts off. */
static void drain(struct mshv_synic *synic)
{
	struct hvabi_message *slot;
	u32 type;

	if (!synic->messages)
		return;
	slot = &synic->messages[MSHV_SINT];
	/* Pairs with the hypervisor's store of the type, the last thing that it writes. */
	type = smp_load_acquire(&slot->header.message_type);
	if (!type)
		return;
	take_message(slot, type);
	WRITE_ONCE(slot->header.message_type, HVABI_MSG_NONE);
	/* The hypervisor sets "pending", then looks at the type again: one of us sees the other. */
	mb();
	if (READ_ONCE(slot->header.message_flags) & HVABI_MESSAGE_FLAG_PENDING)
		mshv_compat_wrmsr(HVABI_MSR_EOM, 0);
}

/* In hard interrupt context; Linux has entered and ends the interrupt. */
static void synic_interrupt(void)
{
	drain(this_cpu_ptr(&mshv_synic));
}

/* The handler may run on this CPU meanwhile: it loses the page first. May sleep. */
static void unmap(struct mshv_synic *synic)
{
	struct mshv_synic old;
	unsigned long flags;

	local_irq_save(flags);
	old = *synic;
	*synic = (struct mshv_synic){ };
	local_irq_restore(flags);
	if (old.own)
		__free_page(old.own);
	else if (old.mapped && old.messages)
		memunmap(old.messages);
}

/*
 * The message page: as a rule the hypervisor has one for us, where Linux has no memory of its own;
 * or else one of ours.
 */
static int map_page(struct mshv_synic *synic, u64 *simp)
{
	u64 address = *simp & PAGE_MASK;

	if (address) {
		synic->messages = memremap(address, PAGE_SIZE, MEMREMAP_WB);
		synic->mapped = true;
		return synic->messages ? 0 : -ENOMEM;
	}
	synic->own = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!synic->own)
		return -ENOMEM;
	synic->messages = page_address(synic->own);
	*simp = (*simp & ~PAGE_MASK) | page_to_phys(synic->own);
	return 0;
}

/* The CPU comes. Context: on it, may sleep. */
static int synic_online(unsigned int cpu)
{
	struct mshv_synic *synic = this_cpu_ptr(&mshv_synic);
	u64 simp = mshv_compat_rdmsr(HVABI_MSR_SIMP);
	u64 scontrol = mshv_compat_rdmsr(HVABI_MSR_SCONTROL);
	u64 sint = HYPERVISOR_CALLBACK_VECTOR;
	unsigned long flags;
	int ret;

	ret = map_page(synic, &simp);
	if (ret) {
		unmap(synic);
		return ret;
	}
	if (!(ms_hyperv.hints & HVABI_RECOMMEND_NO_AUTO_EOI))
		sint |= HVABI_SINT_AUTO_EOI;
	/* Where VMBus is, page and controller are on already, and stay so. */
	synic->enabled = !(simp & HVABI_MSR_PAGE_ENABLE);
	if (synic->enabled)
		mshv_compat_wrmsr(HVABI_MSR_SIMP, simp | HVABI_MSR_PAGE_ENABLE);
	mshv_compat_wrmsr(HVABI_MSR_SINT0 + MSHV_SINT, sint);
	if (!(scontrol & HVABI_SCONTROL_ENABLE))
		mshv_compat_wrmsr(HVABI_MSR_SCONTROL, scontrol | HVABI_SCONTROL_ENABLE);
	/* A kernel before this one may have left a message, and nobody is interrupted for another. */
	local_irq_save(flags);
	drain(synic);
	local_irq_restore(flags);
	return 0;
}

/* The CPU goes, or the module. Context: on it, may sleep. */
static int synic_offline(unsigned int cpu)
{
	struct mshv_synic *synic = this_cpu_ptr(&mshv_synic);
	unsigned long flags;

	mshv_compat_wrmsr(HVABI_MSR_SINT0 + MSHV_SINT, HYPERVISOR_CALLBACK_VECTOR | HVABI_SINT_MASKED);
	if (synic->enabled) {
		mshv_compat_wrmsr(HVABI_MSR_SCONTROL, mshv_compat_rdmsr(HVABI_MSR_SCONTROL) &
				  ~HVABI_SCONTROL_ENABLE);
		mshv_compat_wrmsr(HVABI_MSR_SIMP, mshv_compat_rdmsr(HVABI_MSR_SIMP) &
				  (synic->own ? 0 : ~HVABI_MSR_PAGE_ENABLE));
	}
	/* Nothing new comes in; what came may not have been looked at. */
	local_irq_save(flags);
	drain(synic);
	local_irq_restore(flags);
	unmap(synic);
	return 0;
}

/**
 * mshv_synic_init() - hear what the hypervisor says, on every CPU
 *
 * Return: 0; -ENODEV there is no controller; -EBUSY VMBus has it; -ENOMEM.
 */
int mshv_synic_init(void)
{
	int ret;

	if (!(ms_hyperv.features & HVABI_PRIV_SYNIC)) {
		pr_err(pr_fmt_mshv "not loaded: the hypervisor has no synthetic interrupt controller for this partition\n");
		return -ENODEV;
	}
	ret = mshv_compat_setup_synic_handler(synic_interrupt);
	if (ret) {
		pr_err(pr_fmt_mshv "not loaded: VMBus has the synthetic interrupt controller, and this kernel cannot share it\n");
		return ret;
	}
	ret = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "hyperv/mshv_movable:online", synic_online,
				synic_offline);
	if (ret < 0) {
		pr_err(pr_fmt_mshv "not loaded: cannot set up the synthetic interrupt controllers (%d)\n",
		       ret);
		mshv_compat_remove_synic_handler();
		return ret;
	}
	synic_state = ret;
	synic_running = true;
	return 0;
}

/**
 * mshv_synic_stop() - the controllers as they were before this module, on every CPU
 *
 * Also before another kernel is started, which must find them so.
 *
 * Context: process context, may sleep. The second time nothing happens.
 */
void mshv_synic_stop(void)
{
	if (xchg(&synic_running, false))
		cpuhp_remove_state(synic_state);
}

void mshv_synic_exit(void)
{
	mshv_synic_stop();
	mshv_compat_remove_synic_handler();
	/* An interrupt that was raised before may be in the handler yet. */
	synchronize_rcu();
}
