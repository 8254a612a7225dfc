// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parent's synthetic interrupt controllers: how the hypervisor says that a blocked virtual
 * processor could run again, that one which it schedules itself stands in an intercept, or that a
 * guest rang a doorbell.
 *
 * Laws:
 *	- A wake-up is not lost: the processor's thread forgets old signals before it dispatches,
 *	  and a blocked one sleeps only while there is no new one. Too many wake-ups do no harm: it
 *	  is dispatched, and blocks again.
 *	- The handler is a hard interrupt handler (on PREEMPT_RT, half of one): it takes no lock of
 *	  ours, allocates nothing, and looks partitions and processors up under RCU. It reads a
 *	  message once, from a page that only the hypervisor and it write to.
 *	- A slot is freed whatever was in it: what this driver does not know must not keep the next
 *	  message out.
 *	- Pages and registers are the CPU's own: set up when it comes, put back when it goes.
 *	  What was not delivered then, the hypervisor delivers to another one; what was, is read.
 *
 * Linux knows one user of the controller, VMBus. Newer kernels have a second place for a parent's
 * driver; on others this one takes the place of VMBus, and does not load where it is in use.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/hashtable.h>
#include <linux/io.h>
#include <linux/irq_work.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/rculist.h>

#include <asm/mshyperv.h>

#include <hvabi/cpuid.h>
#include <hvabi/port.h>

#include "compat.h"
#include "mshv.h"

/* Bits of the table of partitions. */
#define MSHV_PARTITION_HASH_BITS	6
/* The slot that the hypervisor's scheduler signals arrive in. */
#define MSHV_SINT			0

/**
 * struct mshv_synic_page - a page of the controller
 * @address: where; NULL: not set up
 * @own: the page behind it, if the hypervisor had none for us
 * @mapped: the page is the hypervisor's, and @address a mapping of it
 * @enabled: it was this driver that enabled it
 */
struct mshv_synic_page {
	void *address;
	struct page *own;
	bool mapped;
	bool enabled;
};

/**
 * struct mshv_synic - the controller of one CPU
 * @messages: message page
 * @rings: event rings, one a SINT
 * @tail: where to begin in the ring of doorbells
 * @work: to look at all of it, later or out of turn
 */
struct mshv_synic {
	struct mshv_synic_page messages;
	struct mshv_synic_page rings;
	unsigned int tail;
	struct irq_work work;
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

/**
 * mshv_synic_stop_partitions() - no processor of any guest runs any more
 *
 * Context: any but interrupts; does not sleep. Guests are dead afterwards.
 */
void mshv_synic_stop_partitions(void)
{
	struct mshv_partition *partition;
	unsigned int i;

	rcu_read_lock();
	hash_for_each_rcu(partitions, i, partition, by_id) {
		WRITE_ONCE(partition->dead, true);
		mshv_partition_stop(partition);
	}
	rcu_read_unlock();
}

static void queue_work_here(void *unused)
{
	irq_work_queue(&this_cpu_ptr(&mshv_synic)->work);
}

/**
 * mshv_synic_flush() - wait until all has been heard that the hypervisor has said
 *
 * An index that is used again must not hear what was meant for the processor before.
 *
 * Context: process context, may sleep; partition->lock may be held.
 */
void mshv_synic_flush(void)
{
	/* Of those that wait for one irq_work PREEMPT_RT knows the last only. */
	static DEFINE_MUTEX(one);
	unsigned int cpu;

	mutex_lock(&one);
	cpus_read_lock();
	on_each_cpu(queue_work_here, NULL, 1);
	for_each_online_cpu(cpu)
		irq_work_sync(&per_cpu(mshv_synic, cpu).work);
	cpus_read_unlock();
	mutex_unlock(&one);
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

static void drain_ring(struct mshv_synic *synic)
{
	struct hvabi_event_ring *rings = synic->rings.address;

	if (rings && !mshv_doorbell_drain(&rings[MSHV_DOORBELL_SINT], &synic->tail))
		irq_work_queue(&synic->work);
}

/* A processor that the hypervisor schedules stands in an intercept; its message is in its page. */
static void intercepted(const struct hvabi_message *slot)
{
	const struct hvabi_opaque_intercept *opaque = (const void *)slot->payload;

	signal_vp(READ_ONCE(slot->header.sender), READ_ONCE(opaque->vp_index));
}

/* An interrupt ended, of a processor that does not hear it as an intercept. */
static void end_of_interrupt(u64 id, const struct hvabi_x64_apic_eoi_message *eoi)
{
	struct mshv_partition *partition = find_partition(id);

	if (partition)
		mshv_irqfd_eoi(partition, eoi->interrupt_vector);
}

static void call_completed(const struct hvabi_async_call_completion *completion)
{
	struct mshv_partition *partition = find_partition(completion->partition_id);

	if (!partition)
		return;
	WRITE_ONCE(partition->call_status, completion->status);
	complete(&partition->call_done);
}

/* One message. */
static void take_message(struct mshv_synic *synic, struct hvabi_message *slot, u32 type)
{
	rcu_read_lock();
	switch (type) {
	case HVABI_MSG_SCHEDULER_VP_SIGNAL_PAIR:
		signal_pairs((void *)slot->payload);
		break;
	case HVABI_MSG_SCHEDULER_VP_SIGNAL_BITSET:
		signal_bitset((void *)slot->payload);
		break;
	case HVABI_MSG_OPAQUE_INTERCEPT:
		intercepted(slot);
		break;
	case HVABI_MSG_SYNIC_SINT_INTERCEPT:
		drain_ring(synic);
		break;
	case HVABI_MSG_ASYNC_CALL_COMPLETION:
		call_completed((void *)slot->payload);
		break;
	case HVABI_MSG_X64_APIC_EOI:
		end_of_interrupt(slot->header.sender, (void *)slot->payload);
		break;
	default:
		pr_warn_ratelimited(pr_fmt_mshv "message 0x%x of the hypervisor: not known\n",
				    type);
		break;
	}
	rcu_read_unlock();
}

/* Read what is in the slot and let the next one in. One at a time for each controller. */
static void drain(struct mshv_synic *synic)
{
	struct hvabi_message *slot = synic->messages.address;
	u32 type;

	if (!slot)
		return;
	slot += MSHV_SINT;
	/* Pairs with the hypervisor's store of the type, the last thing that it writes. */
	type = smp_load_acquire(&slot->header.message_type);
	if (!type)
		return;
	take_message(synic, slot, type);
	WRITE_ONCE(slot->header.message_type, HVABI_MSG_NONE);
	/* The hypervisor sets "pending", then looks at the type again: one of us sees the other. */
	mb();
	if (READ_ONCE(slot->header.message_flags) & HVABI_MESSAGE_FLAG_PENDING)
		mshv_compat_wrmsr(HVABI_MSR_EOM, 0);
}

static void drain_all(struct irq_work *work)
{
	struct mshv_synic *synic = container_of(work, struct mshv_synic, work);

	drain(synic);
	drain_ring(synic);
}

/* In hard interrupt context; Linux has entered and ends the interrupt. */
static void synic_interrupt(void)
{
	struct mshv_synic *synic = this_cpu_ptr(&mshv_synic);

	/* There events have locks that sleep: the work is done in a thread of this CPU. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		irq_work_queue(&synic->work);
	else
		drain(synic);
}

/* After drain_now(). A late interrupt may be in the handler meanwhile: it loses the page first. */
static void unmap(struct mshv_synic_page *page)
{
	struct mshv_synic_page old;
	unsigned long flags;

	local_irq_save(flags);
	old = *page;
	*page = (struct mshv_synic_page){ };
	local_irq_restore(flags);
	if (old.own)
		__free_page(old.own);
	else if (old.mapped && old.address)
		memunmap(old.address);
}

/*
 * The page that a register names: as a rule the hypervisor has one for us, where Linux has no
 * memory of its own; or else one of ours. Where VMBus is, it may be enabled already, and stays so.
 */
static int map(struct mshv_synic_page *page, u32 msr)
{
	u64 value = mshv_compat_rdmsr(msr), address = value & PAGE_MASK;

	if (address) {
		page->address = memremap(address, PAGE_SIZE, MEMREMAP_WB);
		page->mapped = true;
		if (!page->address)
			return -ENOMEM;
	} else {
		page->own = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!page->own)
			return -ENOMEM;
		page->address = page_address(page->own);
		value = (value & ~PAGE_MASK) | page_to_phys(page->own);
	}
	page->enabled = !(value & HVABI_MSR_PAGE_ENABLE);
	if (page->enabled)
		mshv_compat_wrmsr(msr, value | HVABI_MSR_PAGE_ENABLE);
	return 0;
}

/* The hypervisor writes there no more; what it wrote is still to be read. */
static void disable(struct mshv_synic_page *page, u32 msr)
{
	if (page->enabled)
		mshv_compat_wrmsr(msr, mshv_compat_rdmsr(msr) &
				  (page->own ? 0 : ~HVABI_MSR_PAGE_ENABLE));
}

/* Context: on the CPU, may sleep. */
static void drain_now(struct mshv_synic *synic)
{
	irq_work_queue(&synic->work);
	irq_work_sync(&synic->work);
}

/* The CPU goes, or the module. Context: on it, may sleep. */
static int synic_offline(unsigned int cpu)
{
	const u64 masked = HYPERVISOR_CALLBACK_VECTOR | HVABI_SINT_MASKED;
	struct mshv_synic *synic = this_cpu_ptr(&mshv_synic);

	mshv_compat_wrmsr(HVABI_MSR_SINT0 + MSHV_SINT, masked);
	mshv_compat_wrmsr(HVABI_MSR_SINT0 + MSHV_DOORBELL_SINT, masked);
	if (synic->messages.enabled)
		mshv_compat_wrmsr(HVABI_MSR_SCONTROL, mshv_compat_rdmsr(HVABI_MSR_SCONTROL) &
				  ~HVABI_SCONTROL_ENABLE);
	disable(&synic->rings, HVABI_MSR_SIRBP);
	disable(&synic->messages, HVABI_MSR_SIMP);
	/* Nothing new comes in; what came may not have been looked at. */
	drain_now(synic);
	unmap(&synic->rings);
	unmap(&synic->messages);
	return 0;
}

/* The CPU comes. Context: on it, may sleep. */
static int synic_online(unsigned int cpu)
{
	struct mshv_synic *synic = this_cpu_ptr(&mshv_synic);
	u64 scontrol = mshv_compat_rdmsr(HVABI_MSR_SCONTROL);
	u64 sint = HYPERVISOR_CALLBACK_VECTOR;
	int ret;

	init_irq_work(&synic->work, drain_all);
	ret = map(&synic->messages, HVABI_MSR_SIMP);
	if (!ret)
		ret = map(&synic->rings, HVABI_MSR_SIRBP);
	if (ret) {
		synic_offline(cpu);
		return ret;
	}
	if (!(ms_hyperv.hints & HVABI_RECOMMEND_NO_AUTO_EOI))
		sint |= HVABI_SINT_AUTO_EOI;
	mshv_compat_wrmsr(HVABI_MSR_SINT0 + MSHV_SINT, sint);
	mshv_compat_wrmsr(HVABI_MSR_SINT0 + MSHV_DOORBELL_SINT, sint | HVABI_SINT_AS_INTERCEPT);
	if (!(scontrol & HVABI_SCONTROL_ENABLE))
		mshv_compat_wrmsr(HVABI_MSR_SCONTROL, scontrol | HVABI_SCONTROL_ENABLE);
	/*
	 * A kernel before this one may have left a message, and nobody is interrupted for another.
	 */
	drain_now(synic);
	return 0;
}

/**
 * mshv_synic_start() - set up the controllers, on every CPU
 *
 * Context: process context, may sleep. The second time nothing happens.
 *
 * Return: 0, or an errno, of which the kernel log has heard: nobody hears of anything.
 */
int mshv_synic_start(void)
{
	int ret;

	if (synic_running)
		return 0;
	ret = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "hyperv/mshv_movable:online", synic_online,
				synic_offline);
	if (ret < 0) {
		pr_err(pr_fmt_mshv "cannot set up the synthetic interrupt controllers (%d)\n",
		       ret);
		return ret;
	}
	synic_state = ret;
	synic_running = true;
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
	ret = mshv_synic_start();
	if (ret)
		mshv_compat_remove_synic_handler();
	return ret;
}

/**
 * mshv_synic_stop() - the controllers as they were before this module, on every CPU
 *
 * Also before another kernel is started, or one that slept, which must find them so.
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
	int cpu;

	mshv_synic_stop();
	mshv_compat_remove_synic_handler();
	/*
	 * An interrupt that was raised before may be in the handler yet, or have left it to a
	 * thread.
	 */
	synchronize_rcu();
	for_each_possible_cpu(cpu)
		irq_work_sync(&per_cpu_ptr(&mshv_synic, cpu)->work);
}
