// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes of a guest that are events: MSHV_IOEVENTFD, by doorbell ports of the hypervisor.
 *
 * Laws:
 *	- A port's id names one doorbell for as long as the hypervisor may put it into a ring, and a
 *	  while longer: ids go round, and one whose port could not be deleted is never used again.
 *	  So an entry that is read late signals nobody, never somebody else.
 *	- Rings are drained in a hard interrupt (synic.c): no lock, nothing allocated, doorbells
 *	  looked up under RCU. Guests can ring without end, so one go is bounded, and the rest is
 *	  another interrupt's.
 *	- Nothing is left in a ring of which the hypervisor believes that somebody will look:
 *	  signals are let in again before the last look, not after.
 *	- Where the hypervisor writes next it alone knows, and this module forgets where it read
 *	  when it is loaded anew. So a look goes round the whole ring.
 */
#include <linux/errno.h>
#include <linux/eventfd.h>
#include <linux/idr.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>

#include <asm/mshyperv.h>

#include <hvabi/port.h>

#include "compat.h"
#include "mshv.h"

/* Entries taken in one interrupt. */
#define MSHV_DOORBELLS_AT_ONCE	(4 * HVABI_EVENT_RING_ENTRIES)

/* Doorbells of a partition. */
#define MSHV_DOORBELLS_MAX	1000

/**
 * struct mshv_doorbell - a write that is an event
 * @link: in partition->doorbells, under partition->lock
 * @event: what to signal
 * @address: guest address
 * @value: value, if @any is not set
 * @length: bytes; 0: any
 * @any: whatever is written
 * @id: of port and connection
 * @rcu: a ring may be drained
 */
struct mshv_doorbell {
	struct list_head link;
	struct eventfd_ctx *event;
	u64 address;
	u64 value;
	u32 length;
	bool any;
	int id;
	struct rcu_head rcu;
};

/*
 * By port id; changes under the lock, read under RCU. NULL: the hypervisor did not give up the
 * port.
 */
static DEFINE_IDR(doorbells);
static DEFINE_SPINLOCK(doorbells_lock);

static void ring(u32 id)
{
	struct mshv_doorbell *doorbell;

	rcu_read_lock();
	doorbell = idr_find(&doorbells, id);
	if (doorbell)
		mshv_compat_eventfd_signal(doorbell->event);
	rcu_read_unlock();
}

/* Once round, from where the last entry was. Return: how many entries there were. */
static unsigned int take(struct hvabi_event_ring *events, unsigned int *tail)
{
	unsigned int i, at, first = *tail, found = 0;
	u32 id;

	for (i = 0; i < HVABI_EVENT_RING_ENTRIES; i++) {
		at = (first + i) % HVABI_EVENT_RING_ENTRIES;
		id = READ_ONCE(events->data[at]);
		if (!id)
			continue;
		WRITE_ONCE(events->data[at], 0);
		*tail = (at + 1) % HVABI_EVENT_RING_ENTRIES;
		found++;
		ring(id);
	}
	return found;
}

/**
 * mshv_doorbell_drain() - signal what is in a ring
 * @events: ring of this CPU
 * @tail: where to begin; the place after the last entry
 *
 * Context: any but NMI; one at a time for each ring, on the CPU whose ring it is.
 *
 * Return: whether that was all. If not, the hypervisor does not say so again: call again soon.
 */
bool mshv_doorbell_drain(struct hvabi_event_ring *events, unsigned int *tail)
{
	unsigned int taken = 0, found;

	while (taken < MSHV_DOORBELLS_AT_ONCE) {
		found = take(events, tail);
		taken += found;
		if (found)
			continue;
		if (READ_ONCE(events->ring_full)) {
			WRITE_ONCE(events->ring_full, 0);
			hv_do_fast_hypercall8(HVABI_CALL_NOTIFY_PORT_RING_EMPTY,
					      MSHV_DOORBELL_SINT);
			/* It counts as an entry: there is an end to this, too. */
			taken++;
			continue;
		}
		WRITE_ONCE(events->signal_masked, 0);
		/*
		 * The hypervisor stores an entry, then looks at the mask: one of us sees the other.
		 */
		mb();
		found = take(events, tail);
		if (!found)
			return true;
		WRITE_ONCE(events->signal_masked, 1);
		taken += found;
	}
	return false;
}

static u64 size_flag(u32 length)
{
	switch (length) {
	case 1:
		return HVABI_DOORBELL_SIZE_BYTE;
	case 2:
		return HVABI_DOORBELL_SIZE_WORD;
	case 4:
		return HVABI_DOORBELL_SIZE_DWORD;
	case 8:
		return HVABI_DOORBELL_SIZE_QWORD;
	}
	return HVABI_DOORBELL_SIZE_ANY;
}

/* Return: whether there is no such port any more. */
static bool delete_port(int id)
{
	u16 status = hvabi_result_status(hv_do_fast_hypercall16(HVABI_CALL_DELETE_PORT,
								HVABI_PARTITION_ID_SELF, id));

	return status == HVABI_STATUS_SUCCESS || status == HVABI_STATUS_INVALID_PORT_ID;
}

static void disconnect_port(struct mshv_partition *partition, int id)
{
	hv_do_fast_hypercall16(HVABI_CALL_DISCONNECT_PORT, partition->id,
			       (u64)HVABI_DISCONNECT_DOORBELL << 32 | id);
}

/* Return: 0 or an errno, and then the hypervisor has no port of that id. */
static int create_port(struct mshv_partition *partition, const struct mshv_doorbell *doorbell)
{
	struct hvabi_input_create_port create = {
		.port_partition_id = HVABI_PARTITION_ID_SELF,
		.port_id = doorbell->id,
		.connection_partition_id = partition->id,
		.port_type = HVABI_PORT_TYPE_DOORBELL,
		.target_sint = MSHV_DOORBELL_SINT,
		.target_vp = HVABI_PORT_ANY_VP,
	};
	struct hvabi_input_connect_port connect = {
		.connection_partition_id = partition->id,
		.connection_id = doorbell->id,
		.port_partition_id = HVABI_PARTITION_ID_SELF,
		.port_id = doorbell->id,
		.port_type = HVABI_PORT_TYPE_DOORBELL,
		.gpa = doorbell->address,
		.trigger_value = doorbell->value,
		.flags = size_flag(doorbell->length) |
			 (doorbell->any ? HVABI_DOORBELL_ANY_VALUE : 0),
	};
	int ret;

	ret = mshv_call(NULL, HVABI_CALL_CREATE_PORT, &create, sizeof(create), NULL, 0);
	if (ret)
		return ret;
	return mshv_call(partition, HVABI_CALL_CONNECT_PORT, &connect, sizeof(connect), NULL, 0);
}

static int get_id(struct mshv_doorbell *doorbell)
{
	int id;

	idr_preload(GFP_KERNEL);
	spin_lock(&doorbells_lock);
	id = idr_alloc_cyclic(&doorbells, doorbell, 1, HVABI_PORT_ID_MAX + 1, GFP_NOWAIT);
	spin_unlock(&doorbells_lock);
	idr_preload_end();
	doorbell->id = id;
	return id < 0 ? id : 0;
}

/* @gone: no port has it any more. */
static void put_id(int id, bool gone)
{
	spin_lock(&doorbells_lock);
	if (gone)
		idr_remove(&doorbells, id);
	else
		idr_replace(&doorbells, NULL, id);
	spin_unlock(&doorbells_lock);
}

static void free_doorbell(struct rcu_head *rcu)
{
	struct mshv_doorbell *doorbell = container_of(rcu, struct mshv_doorbell, rcu);

	eventfd_ctx_put(doorbell->event);
	kfree(doorbell);
}

static void remove_doorbell(struct mshv_partition *partition, struct mshv_doorbell *doorbell)
{
	list_del(&doorbell->link);
	disconnect_port(partition, doorbell->id);
	put_id(doorbell->id, delete_port(doorbell->id));
	call_rcu(&doorbell->rcu, free_doorbell);
}

/* Some write would ring both. */
static bool overlap(const struct mshv_doorbell *a, const struct mshv_doorbell *b)
{
	return a->address == b->address &&
	       (!a->length || !b->length || a->length == b->length) &&
	       (a->any || b->any || a->value == b->value);
}

static int add_doorbell(struct mshv_partition *partition, struct mshv_doorbell *doorbell)
{
	struct mshv_doorbell *other;
	unsigned int count = 0;
	int ret;

	if (!partition->initialized)
		return -EINVAL;
	list_for_each_entry(other, &partition->doorbells, link) {
		count++;
		if (overlap(other, doorbell))
			return -EEXIST;
	}
	if (count >= MSHV_DOORBELLS_MAX)
		return -ENOSPC;
	ret = get_id(doorbell);
	if (ret)
		return ret;
	ret = create_port(partition, doorbell);
	if (ret) {
		put_id(doorbell->id, delete_port(doorbell->id));
		/* Nobody rang it, but somebody may be looking at the entry. */
		synchronize_rcu();
		return ret;
	}
	list_add_tail(&doorbell->link, &partition->doorbells);
	return 0;
}

static int find_and_remove(struct mshv_partition *partition, const struct mshv_doorbell *wanted)
{
	struct mshv_doorbell *doorbell;

	list_for_each_entry(doorbell, &partition->doorbells, link) {
		if (doorbell->event == wanted->event && doorbell->address == wanted->address &&
		    doorbell->length == wanted->length && doorbell->any == wanted->any &&
		    doorbell->value == wanted->value) {
			remove_doorbell(partition, doorbell);
			return 0;
		}
	}
	return -ENOENT;
}

static int check_args(const struct mshv_user_ioeventfd *args)
{
	if (args->flags & ~MSHV_IOEVENTFD_FLAGS_MASK ||
	    memchr_inv(args->rsvd, 0, sizeof(args->rsvd)))
		return -EINVAL;
	if (args->flags & BIT(MSHV_IOEVENTFD_BIT_PIO))
		return -EOPNOTSUPP;
	switch (args->len) {
	case 0:
	case 1:
	case 2:
	case 4:
	case 8:
		break;
	default:
		return -EINVAL;
	}
	return args->addr + args->len < args->addr ? -EINVAL : 0;
}

/**
 * mshv_ioctl_ioeventfd() - MSHV_IOEVENTFD
 * @partition: partition
 * @arg: argument
 *
 * Context: partition->lock is held.
 *
 * Return: 0, or an errno as uapi/mshv.h says.
 */
long mshv_ioctl_ioeventfd(struct mshv_partition *partition, struct mshv_user_ioeventfd __user *arg)
{
	struct mshv_user_ioeventfd args;
	struct mshv_doorbell *doorbell;
	int ret;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	ret = check_args(&args);
	if (ret)
		return ret;
	doorbell = kzalloc(sizeof(*doorbell), GFP_KERNEL_ACCOUNT);
	if (!doorbell)
		return -ENOMEM;
	doorbell->address = args.addr;
	doorbell->length = args.len;
	doorbell->any = !(args.flags & BIT(MSHV_IOEVENTFD_BIT_DATAMATCH));
	doorbell->value = doorbell->any ? 0 : args.datamatch;
	doorbell->event = eventfd_ctx_fdget(args.fd);
	ret = PTR_ERR_OR_ZERO(doorbell->event);
	if (ret)
		goto out_free;
	if (args.flags & BIT(MSHV_IOEVENTFD_BIT_DEASSIGN)) {
		ret = find_and_remove(partition, doorbell);
	} else {
		ret = add_doorbell(partition, doorbell);
		if (!ret)
			return 0;
	}
	eventfd_ctx_put(doorbell->event);
out_free:
	kfree(doorbell);
	return ret;
}

/* Before the partition goes, which nobody uses any more. */
void mshv_doorbells_remove(struct mshv_partition *partition)
{
	struct mshv_doorbell *doorbell, *next;

	list_for_each_entry_safe(doorbell, next, &partition->doorbells, link) {
		remove_doorbell(partition, doorbell);
		cond_resched();
	}
}

/* Nobody has a doorbell any more, and no ring is drained. */
void mshv_doorbell_exit(void)
{
	idr_destroy(&doorbells);
}
