/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of the system "mshv". Names and fields are stable: tools may rely on them. Units are
 * pages of 4 KiB; statuses are those of the hypervisor (hvabi/status.h), results are 0 or a
 * negative errno.
 *
 * A name is a symbol of the kernel where the driver is built in: no other tracepoint may have it,
 * whatever its system ("map" is the IOMMUs').
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM mshv

#if !defined(MSHV_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define MSHV_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(fault,
	TP_PROTO(u64 partition, u32 vp, u64 gfn, u32 access, u64 first, u32 pages, bool large,
		 bool writable, u32 retries, int result),
	TP_ARGS(partition, vp, gfn, access, first, pages, large, writable, retries, result),
	TP_STRUCT__entry(
		__field(u64, partition)
		__field(u32, vp)
		__field(u64, gfn)
		__field(u32, access)
		__field(u64, first)
		__field(u32, pages)
		__field(bool, large)
		__field(bool, writable)
		__field(u32, retries)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->partition = partition;
		__entry->vp = vp;
		__entry->gfn = gfn;
		__entry->access = access;
		__entry->first = first;
		__entry->pages = pages;
		__entry->large = large;
		__entry->writable = writable;
		__entry->retries = retries;
		__entry->result = result;
	),
	TP_printk("partition=%llu vp=%u gfn=0x%llx access=%s first=0x%llx pages=%u large=%d writable=%d retries=%u result=%d",
		  __entry->partition, __entry->vp, __entry->gfn,
		  __print_symbolic(__entry->access,
				   { 0, "read" }, { 1, "write" }, { 2, "execute" }),
		  __entry->first, __entry->pages, __entry->large, __entry->writable,
		  __entry->retries, __entry->result)
);

TRACE_EVENT(prefault,
	TP_PROTO(u64 partition, u64 gfn, u64 pages, u32 flags, u64 done, int result),
	TP_ARGS(partition, gfn, pages, flags, done, result),
	TP_STRUCT__entry(
		__field(u64, partition)
		__field(u64, gfn)
		__field(u64, pages)
		__field(u32, flags)
		__field(u64, done)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->partition = partition;
		__entry->gfn = gfn;
		__entry->pages = pages;
		__entry->flags = flags;
		__entry->done = done;
		__entry->result = result;
	),
	TP_printk("partition=%llu gfn=0x%llx pages=%llu flags=0x%x done=%llu result=%d",
		  __entry->partition, __entry->gfn, __entry->pages, __entry->flags, __entry->done,
		  __entry->result)
);

TRACE_EVENT(map_gpa,
	TP_PROTO(u64 partition, u64 gfn, u32 flags, u32 reps, u32 done, u16 status),
	TP_ARGS(partition, gfn, flags, reps, done, status),
	TP_STRUCT__entry(
		__field(u64, partition)
		__field(u64, gfn)
		__field(u32, flags)
		__field(u32, reps)
		__field(u32, done)
		__field(u16, status)
	),
	TP_fast_assign(
		__entry->partition = partition;
		__entry->gfn = gfn;
		__entry->flags = flags;
		__entry->reps = reps;
		__entry->done = done;
		__entry->status = status;
	),
	TP_printk("partition=%llu gfn=0x%llx flags=0x%x reps=%u done=%u status=0x%x",
		  __entry->partition, __entry->gfn, __entry->flags, __entry->reps, __entry->done,
		  __entry->status)
);

TRACE_EVENT(unmap_gpa,
	TP_PROTO(u64 partition, u64 gfn, bool large, u32 reps, u32 done, u16 status),
	TP_ARGS(partition, gfn, large, reps, done, status),
	TP_STRUCT__entry(
		__field(u64, partition)
		__field(u64, gfn)
		__field(bool, large)
		__field(u32, reps)
		__field(u32, done)
		__field(u16, status)
	),
	TP_fast_assign(
		__entry->partition = partition;
		__entry->gfn = gfn;
		__entry->large = large;
		__entry->reps = reps;
		__entry->done = done;
		__entry->status = status;
	),
	TP_printk("partition=%llu gfn=0x%llx large=%d reps=%u done=%u status=0x%x",
		  __entry->partition, __entry->gfn, __entry->large, __entry->reps, __entry->done,
		  __entry->status)
);

TRACE_EVENT(invalidate,
	TP_PROTO(u64 partition, u64 gfn, u64 pages, u32 event, bool blockable, u64 blanked,
		 u32 calls),
	TP_ARGS(partition, gfn, pages, event, blockable, blanked, calls),
	TP_STRUCT__entry(
		__field(u64, partition)
		__field(u64, gfn)
		__field(u64, pages)
		__field(u32, event)
		__field(bool, blockable)
		__field(u64, blanked)
		__field(u32, calls)
	),
	TP_fast_assign(
		__entry->partition = partition;
		__entry->gfn = gfn;
		__entry->pages = pages;
		__entry->event = event;
		__entry->blockable = blockable;
		__entry->blanked = blanked;
		__entry->calls = calls;
	),
	TP_printk("partition=%llu gfn=0x%llx pages=%llu event=%u blockable=%d blanked=%llu calls=%u",
		  __entry->partition, __entry->gfn, __entry->pages, __entry->event,
		  __entry->blockable, __entry->blanked, __entry->calls)
);

TRACE_EVENT(age,
	TP_PROTO(u64 partition, u64 gfn, u32 pages, u32 done, u32 young, u16 status),
	TP_ARGS(partition, gfn, pages, done, young, status),
	TP_STRUCT__entry(
		__field(u64, partition)
		__field(u64, gfn)
		__field(u32, pages)
		__field(u32, done)
		__field(u32, young)
		__field(u16, status)
	),
	TP_fast_assign(
		__entry->partition = partition;
		__entry->gfn = gfn;
		__entry->pages = pages;
		__entry->done = done;
		__entry->young = young;
		__entry->status = status;
	),
	TP_printk("partition=%llu gfn=0x%llx pages=%u done=%u young=%u status=0x%x",
		  __entry->partition, __entry->gfn, __entry->pages, __entry->done, __entry->young,
		  __entry->status)
);

TRACE_EVENT(pin,
	TP_PROTO(u64 partition, u64 gfn, u64 pages, u64 pinned, int result),
	TP_ARGS(partition, gfn, pages, pinned, result),
	TP_STRUCT__entry(
		__field(u64, partition)
		__field(u64, gfn)
		__field(u64, pages)
		__field(u64, pinned)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->partition = partition;
		__entry->gfn = gfn;
		__entry->pages = pages;
		__entry->pinned = pinned;
		__entry->result = result;
	),
	TP_printk("partition=%llu gfn=0x%llx pages=%llu pinned=%llu result=%d",
		  __entry->partition, __entry->gfn, __entry->pages, __entry->pinned,
		  __entry->result)
);

DECLARE_EVENT_CLASS(mshv_range,
	TP_PROTO(u64 partition, u64 gfn, u64 pages),
	TP_ARGS(partition, gfn, pages),
	TP_STRUCT__entry(
		__field(u64, partition)
		__field(u64, gfn)
		__field(u64, pages)
	),
	TP_fast_assign(
		__entry->partition = partition;
		__entry->gfn = gfn;
		__entry->pages = pages;
	),
	TP_printk("partition=%llu gfn=0x%llx pages=%llu",
		  __entry->partition, __entry->gfn, __entry->pages)
);

DEFINE_EVENT(mshv_range, unpin,
	TP_PROTO(u64 partition, u64 gfn, u64 pages),
	TP_ARGS(partition, gfn, pages)
);

TRACE_EVENT(deposit,
	TP_PROTO(u64 partition, u32 pages, u32 taken, u16 status),
	TP_ARGS(partition, pages, taken, status),
	TP_STRUCT__entry(
		__field(u64, partition)
		__field(u32, pages)
		__field(u32, taken)
		__field(u16, status)
	),
	TP_fast_assign(
		__entry->partition = partition;
		__entry->pages = pages;
		__entry->taken = taken;
		__entry->status = status;
	),
	TP_printk("partition=%llu pages=%u taken=%u status=0x%x",
		  __entry->partition, __entry->pages, __entry->taken, __entry->status)
);

TRACE_EVENT(region_create,
	TP_PROTO(u64 partition, u64 gfn, u64 pages, bool writable, bool executable, bool pinned,
		 int result),
	TP_ARGS(partition, gfn, pages, writable, executable, pinned, result),
	TP_STRUCT__entry(
		__field(u64, partition)
		__field(u64, gfn)
		__field(u64, pages)
		__field(bool, writable)
		__field(bool, executable)
		__field(bool, pinned)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->partition = partition;
		__entry->gfn = gfn;
		__entry->pages = pages;
		__entry->writable = writable;
		__entry->executable = executable;
		__entry->pinned = pinned;
		__entry->result = result;
	),
	TP_printk("partition=%llu gfn=0x%llx pages=%llu writable=%d executable=%d pinned=%d result=%d",
		  __entry->partition, __entry->gfn, __entry->pages, __entry->writable,
		  __entry->executable, __entry->pinned, __entry->result)
);

DEFINE_EVENT(mshv_range, region_destroy,
	TP_PROTO(u64 partition, u64 gfn, u64 pages),
	TP_ARGS(partition, gfn, pages)
);

TRACE_EVENT(partition_kill,
	TP_PROTO(u64 partition, u64 gfn, u16 status, u16 finalize_status),
	TP_ARGS(partition, gfn, status, finalize_status),
	TP_STRUCT__entry(
		__field(u64, partition)
		__field(u64, gfn)
		__field(u16, status)
		__field(u16, finalize_status)
	),
	TP_fast_assign(
		__entry->partition = partition;
		__entry->gfn = gfn;
		__entry->status = status;
		__entry->finalize_status = finalize_status;
	),
	TP_printk("partition=%llu gfn=0x%llx status=0x%x finalize_status=0x%x",
		  __entry->partition, __entry->gfn, __entry->status, __entry->finalize_status)
);

TRACE_EVENT(irqfd,
	TP_PROTO(u64 partition, u32 gsi, u32 vector, u64 dest, u32 flags, u16 status),
	TP_ARGS(partition, gsi, vector, dest, flags, status),
	TP_STRUCT__entry(
		__field(u64, partition)
		__field(u32, gsi)
		__field(u32, vector)
		__field(u64, dest)
		__field(u32, flags)
		__field(u16, status)
	),
	TP_fast_assign(
		__entry->partition = partition;
		__entry->gsi = gsi;
		__entry->vector = vector;
		__entry->dest = dest;
		__entry->flags = flags;
		__entry->status = status;
	),
	TP_printk("partition=%llu gsi=%u vector=0x%x dest=0x%llx flags=0x%x status=0x%x",
		  __entry->partition, __entry->gsi, __entry->vector, __entry->dest, __entry->flags,
		  __entry->status)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
