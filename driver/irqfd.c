// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts for a child from event file descriptors: MSHV_SET_MSI_ROUTING, MSHV_IRQFD.
 *
 * Laws:
 *	- An event is delivered where it is signalled, be it a hard interrupt: under the event's own
 *	  lock with interrupts off, no lock of ours, nothing allocated, nothing of the VMM's memory
 *	  touched. So neither reclaim nor userfaultfd nor a memory limit of the VMM can delay, lose
 *	  or double one.
 *	- The count of an event is taken when its interrupt is asserted, under one lock: as many
 *	  signals as came before are one interrupt, one that comes after is another.
 *	- The table of routes is replaced as a whole, under RCU: a delivery finds the old or the
 *	  new.
 *	- Assigning and deassigning exclude each other: what is on the list is in its event's queue
 *	  as well.
 *	- What is deassigned delivers nothing once the ioctl has returned. An event that is closed
 *	  takes its irqfd with it, in a worker: closing holds the event's lock.
 *	- A level-triggered interrupt is asserted at each event and ends when the guest says so:
 *	  then its resample events are signalled, and a device that still wants service signals
 *	  again.
 */
#include <linux/errno.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "mshv.h"
#include "trace.h"

/* An MSI (Intel SDM vol. 3, 11.11), as Linux's own driver reads it: 8 bits of destination. */
#define MSI_ADDRESS_LOGICAL	BIT(2)
#define MSI_ADDRESS_DEST_SHIFT	12
#define MSI_ADDRESS_DEST_MASK	0xffU
#define MSI_DATA_VECTOR_MASK	0xffU
#define MSI_DATA_TYPE_SHIFT	8
#define MSI_DATA_TYPE_MASK	0x7U
#define MSI_DATA_LEVEL		BIT(15)

/**
 * struct mshv_msi_route - where an interrupt goes
 * @valid: there is one
 * @type: HVABI_INTERRUPT_TYPE_*
 * @flags: HVABI_INTERRUPT_* flags
 * @vector: vector
 * @dest: APIC id or logical destination
 */
struct mshv_msi_route {
	bool valid;
	u32 type;
	u32 flags;
	u32 vector;
	u64 dest;
};

/**
 * struct mshv_msi_table - all routes of a partition
 * @rcu: freed after a grace period
 * @count: entries; a GSI from there on has no route
 * @routes: by GSI
 */
struct mshv_msi_table {
	struct rcu_head rcu;
	u32 count;
	struct mshv_msi_route routes[];
};

/**
 * struct mshv_irqfd - an event that is an interrupt
 * @partition: whose; outlives it, see mshv_irqfds_remove()
 * @event: the event
 * @resample: event for the end of the interrupt, or NULL
 * @gsi: which route
 * @link: in partition->irqfds; changes under partition->irqfds_lock, read under RCU
 * @retired: off that list: deassigned, or the event is closed. Under the same lock
 * @retired_link: of those that deassign() has taken off
 * @head: the event's queue; its lock is the event's
 * @wait: in that
 * @poll: how it gets there
 * @release: when the event is closed
 * @rcu: readers of the list
 */
struct mshv_irqfd {
	struct mshv_partition *partition;
	struct eventfd_ctx *event;
	struct eventfd_ctx *resample;
	u32 gsi;
	struct list_head link;
	bool retired;
	struct list_head retired_link;
	wait_queue_head_t *head;
	wait_queue_entry_t wait;
	poll_table poll;
	struct work_struct release;
	struct rcu_head rcu;
};

static struct workqueue_struct *release_queue;

int mshv_irqfd_init(void)
{
	release_queue = alloc_workqueue("mshv-irqfd", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return release_queue ? 0 : -ENOMEM;
}

void mshv_irqfd_exit(void)
{
	destroy_workqueue(release_queue);
}

static bool find_route(struct mshv_partition *partition, u32 gsi, struct mshv_msi_route *route)
{
	struct mshv_msi_table *table;
	bool found = false;

	rcu_read_lock();
	table = rcu_dereference(partition->msi_table);
	if (table && gsi < table->count) {
		*route = table->routes[gsi];
		found = route->valid;
	}
	rcu_read_unlock();
	return found;
}

/* Context: any but NMI. */
static void assert_interrupt(struct mshv_irqfd *irqfd)
{
	struct hvabi_input_assert_virtual_interrupt input = {
		.partition_id = irqfd->partition->id,
	};
	struct mshv_msi_route route = { };
	u16 status = HVABI_STATUS_INVALID_PARAMETER;

	if (READ_ONCE(irqfd->partition->dead))
		return;
	if (find_route(irqfd->partition, irqfd->gsi, &route)) {
		input.interrupt_type = route.type;
		input.interrupt_flags = route.flags;
		input.dest_addr = route.dest;
		input.vector = route.vector;
		status = mshv_hypercall_from_interrupt(HVABI_CALL_ASSERT_VIRTUAL_INTERRUPT, &input,
						       sizeof(input));
	}
	trace_irqfd(irqfd->partition->id, irqfd->gsi, route.vector, route.dest, route.flags,
		    status);
}

/* Off the list for good. partition->irqfds_lock is held. Return: whether it was on it. */
static bool retire(struct mshv_irqfd *irqfd)
{
	if (irqfd->retired)
		return false;
	irqfd->retired = true;
	list_del_rcu(&irqfd->link);
	return true;
}

static void free_irqfd(struct rcu_head *rcu)
{
	struct mshv_irqfd *irqfd = container_of(rcu, struct mshv_irqfd, rcu);

	eventfd_ctx_put(irqfd->event);
	if (irqfd->resample)
		eventfd_ctx_put(irqfd->resample);
	kfree(irqfd);
}

/* Of one that was retired. When this returns nothing is delivered any more. May sleep. */
static void release(struct mshv_irqfd *irqfd)
{
	u64 count;

	eventfd_ctx_remove_wait_queue(irqfd->event, &irqfd->wait, &count);
	call_rcu(&irqfd->rcu, free_irqfd);
}

static void release_work(struct work_struct *work)
{
	release(container_of(work, struct mshv_irqfd, release));
}

/* The event was signalled, or is being closed. Context: its lock is held, interrupts are off. */
static int wake(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct mshv_irqfd *irqfd = container_of(wait, struct mshv_irqfd, wait);
	struct mshv_partition *partition = irqfd->partition;
	__poll_t events = key_to_poll(key);
	unsigned long flags;
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(irqfd->event, &count);
		assert_interrupt(irqfd);
	}
	if (events & EPOLLHUP) {
		spin_lock_irqsave(&partition->irqfds_lock, flags);
		if (retire(irqfd))
			queue_work(release_queue, &irqfd->release);
		spin_unlock_irqrestore(&partition->irqfds_lock, flags);
	}
	/* Nobody else is to take the count; what is closed everybody has to hear. */
	return events & EPOLLIN ? 1 : 0;
}

static void queue(struct file *file, wait_queue_head_t *head, poll_table *poll)
{
	struct mshv_irqfd *irqfd = container_of(poll, struct mshv_irqfd, poll);

	/* Before others, and instead of them: newer kernels leave the second to the caller. */
	irqfd->wait.flags |= WQ_FLAG_EXCLUSIVE;
	irqfd->head = head;
	add_wait_queue_priority(head, &irqfd->wait);
}

/* What was signalled before is an interrupt, too. */
static void take_signalled(struct mshv_irqfd *irqfd)
{
	u64 count;

	spin_lock_irq(&irqfd->head->lock);
	eventfd_ctx_do_read(irqfd->event, &count);
	if (count) {
		assert_interrupt(irqfd);
		/* As a read does: for writers who wait until there is room. */
		wake_up_locked_poll(irqfd->head, EPOLLOUT);
	}
	spin_unlock_irq(&irqfd->head->lock);
}

static int get_resample(struct mshv_irqfd *irqfd, int fd)
{
	struct mshv_msi_route route;

	if (!find_route(irqfd->partition, irqfd->gsi, &route) ||
	    !(route.flags & HVABI_INTERRUPT_LEVEL_TRIGGERED))
		return -EINVAL;
	irqfd->resample = eventfd_ctx_fdget(fd);
	return PTR_ERR_OR_ZERO(irqfd->resample);
}

/* Return: 0; -EBUSY: the event is another irqfd's already; -ENOSPC: there are as many as GSIs. */
static int enlist(struct mshv_irqfd *irqfd)
{
	struct mshv_partition *partition = irqfd->partition;
	struct mshv_irqfd *other;
	unsigned int count = 0;
	int ret = 0;

	spin_lock_irq(&partition->irqfds_lock);
	list_for_each_entry(other, &partition->irqfds, link) {
		count++;
		if (other->event == irqfd->event)
			ret = -EBUSY;
	}
	if (!ret && count >= MSHV_GSI_MAX)
		ret = -ENOSPC;
	if (!ret)
		list_add_tail_rcu(&irqfd->link, &partition->irqfds);
	spin_unlock_irq(&partition->irqfds_lock);
	return ret;
}

static int assign(struct mshv_partition *partition, const struct mshv_user_irqfd *args)
{
	struct mshv_irqfd *irqfd;
	struct file *file;
	int ret;

	irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	if (!irqfd)
		return -ENOMEM;
	irqfd->partition = partition;
	irqfd->gsi = args->gsi;
	INIT_WORK(&irqfd->release, release_work);
	init_waitqueue_func_entry(&irqfd->wait, wake);
	init_poll_funcptr(&irqfd->poll, queue);

	ret = -EBADF;
	file = fget(args->fd);
	if (!file)
		goto out_free;
	irqfd->event = eventfd_ctx_fileget(file);
	ret = PTR_ERR_OR_ZERO(irqfd->event);
	if (ret)
		goto out_file;
	if (args->flags & BIT(MSHV_IRQFD_BIT_RESAMPLE)) {
		ret = get_resample(irqfd, args->resamplefd);
		if (ret)
			goto out_event;
	}
	/* Nobody takes it away before it is in the event's queue. */
	ret = mutex_lock_killable(&partition->irqfds_mutex);
	if (ret)
		goto out_resample;
	ret = enlist(irqfd);
	/* The event cannot be closed yet, so the irqfd is there. */
	if (!ret) {
		vfs_poll(file, &irqfd->poll);
		take_signalled(irqfd);
	}
	mutex_unlock(&partition->irqfds_mutex);
	if (!ret) {
		fput(file);
		return 0;
	}

out_resample:
	if (irqfd->resample)
		eventfd_ctx_put(irqfd->resample);
out_event:
	eventfd_ctx_put(irqfd->event);
out_file:
	fput(file);
out_free:
	kfree(irqfd);
	return ret;
}

/*
 * All with @event and @gsi, or all that there are if @event is NULL. partition->irqfds_mutex is
 * held.
 */
static void deassign(struct mshv_partition *partition, struct eventfd_ctx *event, u32 gsi)
{
	struct mshv_irqfd *irqfd, *next;
	LIST_HEAD(gone);

	spin_lock_irq(&partition->irqfds_lock);
	list_for_each_entry_safe(irqfd, next, &partition->irqfds, link)
		if ((!event || (irqfd->event == event && irqfd->gsi == gsi)) && retire(irqfd))
			list_add(&irqfd->retired_link, &gone);
	spin_unlock_irq(&partition->irqfds_lock);
	list_for_each_entry_safe(irqfd, next, &gone, retired_link)
		release(irqfd);
	/* And those whose events were closed just now. */
	flush_workqueue(release_queue);
}

/**
 * mshv_ioctl_irqfd() - MSHV_IRQFD
 * @partition: partition
 * @arg: argument
 *
 * Context: process context; takes no lock for long.
 *
 * Return: 0, also when there was nothing to deassign. -EINVAL: unknown flag, not an event,
 * or to be resampled and not routed as level-triggered; -EBADF; -EBUSY: the event is an irqfd's
 * already; -ENOSPC: MSHV_GSI_MAX of them are there; -EINTR: a fatal signal; -ENOMEM; -EFAULT.
 */
long mshv_ioctl_irqfd(struct mshv_partition *partition, struct mshv_user_irqfd __user *arg)
{
	struct mshv_user_irqfd args;
	struct eventfd_ctx *event;
	int ret;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	/* A GSI that no table can have is one without a route. */
	if (args.flags & ~MSHV_IRQFD_FLAGS_MASK)
		return -EINVAL;
	if (!(args.flags & BIT(MSHV_IRQFD_BIT_DEASSIGN)))
		return assign(partition, &args);
	event = eventfd_ctx_fdget(args.fd);
	if (IS_ERR(event))
		return PTR_ERR(event);
	ret = mutex_lock_killable(&partition->irqfds_mutex);
	if (!ret) {
		deassign(partition, event, args.gsi);
		mutex_unlock(&partition->irqfds_mutex);
	}
	eventfd_ctx_put(event);
	return ret;
}

static void decode(struct mshv_msi_route *route, const struct mshv_user_irq_entry *entry)
{
	route->valid = true;
	route->vector = entry->data & MSI_DATA_VECTOR_MASK;
	route->type = entry->data >> MSI_DATA_TYPE_SHIFT & MSI_DATA_TYPE_MASK;
	route->dest = entry->address_lo >> MSI_ADDRESS_DEST_SHIFT & MSI_ADDRESS_DEST_MASK;
	route->flags = (entry->data & MSI_DATA_LEVEL ? HVABI_INTERRUPT_LEVEL_TRIGGERED : 0) |
		       (entry->address_lo & MSI_ADDRESS_LOGICAL ? HVABI_INTERRUPT_LOGICAL_DEST : 0);
}

static int make_table(struct mshv_msi_table **made, const struct mshv_user_irq_entry *entries,
		      u32 nr)
{
	struct mshv_msi_table *table;
	u32 count = 0, i;

	for (i = 0; i < nr; i++) {
		if (entries[i].gsi >= MSHV_GSI_MAX || entries[i].address_hi)
			return -EINVAL;
		count = max(count, entries[i].gsi + 1);
	}
	table = kvzalloc(struct_size(table, routes, count), GFP_KERNEL_ACCOUNT);
	if (!table)
		return -ENOMEM;
	table->count = count;
	for (i = 0; i < nr; i++) {
		if (table->routes[entries[i].gsi].valid) {
			kvfree(table);
			return -EINVAL;
		}
		decode(&table->routes[entries[i].gsi], &entries[i]);
	}
	*made = table;
	return 0;
}

/**
 * mshv_ioctl_msi_routing() - MSHV_SET_MSI_ROUTING
 * @partition: partition
 * @arg: argument, with its entries
 *
 * Context: process context; takes no lock for long.
 *
 * Return: 0, and the table is replaced as a whole. -EINVAL: more than MSHV_GSI_MAX entries, a GSI
 * out of range or named twice, a reserved field that is not 0; -ENOMEM; -EFAULT.
 */
long mshv_ioctl_msi_routing(struct mshv_partition *partition,
			    struct mshv_user_irq_table __user *arg)
{
	struct mshv_msi_table *table = NULL;
	struct mshv_user_irq_entry *entries;
	struct mshv_user_irq_table args;
	int ret;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	if (args.nr > MSHV_GSI_MAX || args.rsvd)
		return -EINVAL;
	if (args.nr) {
		entries = vmemdup_user(arg->entries, array_size(args.nr, sizeof(*entries)));
		if (IS_ERR(entries))
			return PTR_ERR(entries);
		ret = make_table(&table, entries, args.nr);
		kvfree(entries);
		if (ret)
			return ret;
	}
	table = unrcu_pointer(xchg(&partition->msi_table, RCU_INITIALIZER(table)));
	if (table)
		kvfree_rcu(table, rcu);
	return 0;
}

/**
 * mshv_irqfd_eoi() - a level-triggered interrupt has ended
 * @partition: in which
 * @vector: its vector
 *
 * Context: any but NMI.
 */
void mshv_irqfd_eoi(struct mshv_partition *partition, u32 vector)
{
	struct mshv_msi_route route;
	struct mshv_irqfd *irqfd;

	rcu_read_lock();
	list_for_each_entry_rcu(irqfd, &partition->irqfds, link)
		if (irqfd->resample && find_route(partition, irqfd->gsi, &route) &&
		    route.vector == vector && route.flags & HVABI_INTERRUPT_LEVEL_TRIGGERED)
			mshv_compat_eventfd_signal(irqfd->resample);
	rcu_read_unlock();
}

/* Before the partition goes: nothing is delivered to it any more. Context: process context. */
void mshv_irqfds_remove(struct mshv_partition *partition)
{
	struct mshv_msi_table *table;

	mutex_lock(&partition->irqfds_mutex);
	deassign(partition, NULL, 0);
	mutex_unlock(&partition->irqfds_mutex);
	table = unrcu_pointer(xchg(&partition->msi_table, RCU_INITIALIZER(NULL)));
	if (table)
		kvfree_rcu(table, rcu);
}
