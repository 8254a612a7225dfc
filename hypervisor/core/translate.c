// SPDX-License-Identifier: GPL-2.0-only
/*
 * Software walks of a child's page tables.  What they are for: translate.h.
 */
#include "npt.h"
#include "platform.h"
#include "translate.h"

#define CR0_PG		BIT(31)
#define CR0_WP		BIT(16)
#define CR4_PSE		BIT(4)
#define CR4_PAE		BIT(5)
#define CR4_SMEP	BIT(20)
#define CR4_SMAP	BIT(21)
#define EFER_LMA	BIT(10)
#define EFER_NXE	BIT(11)
#define RFLAGS_AC	BIT(18)

#define PTE_P		BIT(0)
#define PTE_W		BIT(1)
#define PTE_U		BIT(2)
#define PTE_A		BIT(5)
#define PTE_D		BIT(6)
#define PTE_PS		BIT(7)
#define PTE_NX		BIT(63)
#define PTE_ADDRESS	0x000ffffffffff000ull

/* One paging mode: how many levels, and how an index is cut out of an address. */
struct mode {
	u32 levels;
	u32 bits;		/* of index a level */
	u32 entry_bytes;
};

/* What a walk has gathered so far: the rights of all levels together. */
struct walk {
	u64 entry;
	u64 entry_gpa;
	u32 level;
	bool writable, user, executable;
};

static struct mode paging_mode(const struct vp_state *s)
{
	if (s->efer & EFER_LMA)
		return (struct mode){ 4, 9, 8 };
	if (s->cr4 & CR4_PAE)
		return (struct mode){ 3, 9, 8 };
	return (struct mode){ 2, 10, 4 };
}

/* SPA of @gpa for reading or writing; HVABI_TRANSLATE_* */
static u32 guest_spa(struct partition *p, u64 gpa, bool write, u64 *spa)
{
	struct npt_iter it;
	u64 entry;

	npt_iter_begin(&it, &p->npt, gpa >> PAGE_SHIFT);
	entry = npt_iter_entry(&it);
	if (!entry)
		return HVABI_TRANSLATE_GPA_UNMAPPED;
	if (!(entry & NPTE_PRESENT) || (entry & NPTE_PCD))
		return HVABI_TRANSLATE_GPA_NO_READ_ACCESS;
	if (write && !(entry & NPTE_WRITE))
		return HVABI_TRANSLATE_GPA_NO_WRITE_ACCESS;
	*spa = (npt_iter_pfn(&it) << PAGE_SHIFT) | (gpa & (PAGE_SIZE - 1));
	return HVABI_TRANSLATE_SUCCESS;
}

u32 read_guest(struct partition *p, u64 gpa, void *to, u32 length)
{
	u64 spa;
	u32 result = guest_spa(p, gpa, false, &spa);

	if (result == HVABI_TRANSLATE_SUCCESS)
		memcpy(to, platform_phys(spa), length);
	return result;
}

static void mark_written(struct partition *p, u64 gpa)
{
	struct npt_iter it;

	npt_iter_begin(&it, &p->npt, gpa >> PAGE_SHIFT);
	__atomic_fetch_or(it.slot, NPTE_ACCESSED | NPTE_DIRTY, __ATOMIC_RELAXED);
}

void *guest_memory(struct partition *p, u64 gpa, bool write)
{
	u64 spa;

	if (guest_spa(p, gpa, write, &spa) != HVABI_TRANSLATE_SUCCESS)
		return NULL;
	if (write)
		mark_written(p, gpa);
	return platform_phys(spa);
}

u32 write_guest(struct partition *p, u64 gpa, const void *from, u32 length)
{
	u64 spa;
	u32 result = guest_spa(p, gpa, true, &spa);

	if (result != HVABI_TRANSLATE_SUCCESS)
		return result;
	mark_written(p, gpa);
	memcpy(platform_phys(spa), from, length);
	return HVABI_TRANSLATE_SUCCESS;
}

/* Set A (and D at the end) as the processor would. */
static u32 mark_entry(struct vp *vp, const struct mode *mode, const struct walk *w, u64 bits)
{
	u64 spa;
	u32 result;

	if ((w->entry & bits) == bits)
		return HVABI_TRANSLATE_SUCCESS;
	result = guest_spa(vp->partition, w->entry_gpa, true, &spa);
	if (result != HVABI_TRANSLATE_SUCCESS)
		return result;
	mark_written(vp->partition, w->entry_gpa);
	if (mode->entry_bytes == 8)
		__atomic_fetch_or((u64 *)platform_phys(spa), bits, __ATOMIC_RELAXED);
	else
		__atomic_fetch_or((u32 *)platform_phys(spa), (u32)bits, __ATOMIC_RELAXED);
	return HVABI_TRANSLATE_SUCCESS;
}

static bool is_last(const struct vp_state *s, const struct mode *mode, const struct walk *w)
{
	if (w->level == 1)
		return true;
	if (!(w->entry & PTE_PS))
		return false;
	if (mode->bits == 10)
		return (s->cr4 & CR4_PSE) != 0;
	return w->level == 2 || (w->level == 3 && mode->levels == 4);
}

static u32 check_rights(const struct vp_state *s, const struct walk *w, u64 flags)
{
	u32 cpl = (s->segment[SEG_SS].attributes & HVABI_SEGMENT_DPL_MASK) >> HVABI_SEGMENT_DPL_SHIFT;
	bool user = cpl == 3;
	bool write = flags & HVABI_TRANSLATE_VALIDATE_WRITE;

	if (flags & HVABI_TRANSLATE_SUPERVISOR_ACCESS)
		user = false;
	if (flags & HVABI_TRANSLATE_USER_ACCESS)
		user = true;
	if (flags & HVABI_TRANSLATE_PRIVILEGE_EXEMPT)
		return HVABI_TRANSLATE_SUCCESS;
	if (user && !w->user)
		return HVABI_TRANSLATE_PRIVILEGE_VIOLATION;
	if (write && !w->writable && (user || (s->cr0 & CR0_WP)))
		return HVABI_TRANSLATE_PRIVILEGE_VIOLATION;
	if (flags & HVABI_TRANSLATE_VALIDATE_EXECUTE) {
		if (!w->executable || (!user && w->user && (s->cr4 & CR4_SMEP)))
			return HVABI_TRANSLATE_PRIVILEGE_VIOLATION;
	} else if (!user && w->user && (s->cr4 & CR4_SMAP) &&
		   !(flags & HVABI_TRANSLATE_OVERRIDE_SMAP) &&
		   (!(s->rflags & RFLAGS_AC) || (flags & HVABI_TRANSLATE_ENFORCE_SMAP))) {
		return HVABI_TRANSLATE_PRIVILEGE_VIOLATION;
	}
	return HVABI_TRANSLATE_SUCCESS;
}

static u64 leaf_gpa(const struct mode *mode, const struct walk *w, u64 gva)
{
	u64 span = PAGE_SIZE << (mode->bits * (w->level - 1));
	u64 base = w->entry & PTE_ADDRESS;

	/* 4 MiB pages keep address bits 32-39 in entry bits 13-20. */
	if (mode->bits == 10 && w->level == 2)
		base = (w->entry & 0xffc00000) | (w->entry & 0x1fe000) << 19;
	return align_down(base, span) | (gva & (span - 1));
}

static u32 read_entry(struct vp *vp, const struct mode *mode, u64 table, u64 gva, struct walk *w)
{
	u64 index = gva >> (PAGE_SHIFT + mode->bits * (w->level - 1));

	index &= (mode->levels == 3 && w->level == 3) ? 3 : BIT(mode->bits) - 1;
	w->entry = 0;
	w->entry_gpa = table + index * mode->entry_bytes;
	return read_guest(vp->partition, w->entry_gpa, &w->entry, mode->entry_bytes);
}

u32 translate(struct vp *vp, u64 gva, u64 flags, u64 *gpa)
{
	const struct vp_state *s = &vp->state;
	struct mode mode = paging_mode(s);
	struct walk w = { .level = mode.levels, .writable = true, .user = true, .executable = true };
	u64 table = s->cr3 & (mode.levels == 3 ? 0xffffffe0 : PTE_ADDRESS);
	bool mark = flags & HVABI_TRANSLATE_SET_PAGE_TABLE_BITS;
	u32 result;

	if (!(s->cr0 & CR0_PG)) {
		*gpa = gva & 0xffffffff;
		return HVABI_TRANSLATE_SUCCESS;
	}
	for (;; w.level--) {
		bool pdpte = mode.levels == 3 && w.level == 3;

		result = read_entry(vp, &mode, table, gva, &w);
		if (result != HVABI_TRANSLATE_SUCCESS)
			return result;
		if (!(w.entry & PTE_P))
			return HVABI_TRANSLATE_PAGE_NOT_PRESENT;
		if (mode.entry_bytes == 8 && !(s->efer & EFER_NXE) && (w.entry & PTE_NX))
			return HVABI_TRANSLATE_INVALID_PAGE_TABLE_FLAGS;
		/* PDPTEs of PAE paging have no rights and no accessed bit. */
		if (!pdpte) {
			w.writable &= (w.entry & PTE_W) != 0;
			w.user &= (w.entry & PTE_U) != 0;
			w.executable &= mode.entry_bytes == 4 || !(w.entry & PTE_NX);
		}
		if (is_last(s, &mode, &w))
			break;
		if (mark && !pdpte)
			result = mark_entry(vp, &mode, &w, PTE_A);
		if (result != HVABI_TRANSLATE_SUCCESS)
			return result;
		table = w.entry & PTE_ADDRESS;
	}
	result = check_rights(s, &w, flags);
	if (result == HVABI_TRANSLATE_SUCCESS && mark)
		result = mark_entry(vp, &mode, &w, PTE_A |
				    (flags & HVABI_TRANSLATE_VALIDATE_WRITE ? PTE_D : 0));
	*gpa = leaf_gpa(&mode, &w, gva);
	return result;
}

u32 fetch_instruction(struct vp *vp, u8 bytes[16])
{
	const struct vp_state *s = &vp->state;
	bool long_mode = (s->efer & EFER_LMA) &&
			 (s->segment[SEG_CS].attributes & HVABI_SEGMENT_LONG);
	u64 gva = long_mode ? s->rip : (s->segment[SEG_CS].base + s->rip) & 0xffffffff;
	u32 done = 0;

	memset(bytes, 0, 16);
	while (done < 15) {
		u64 at = gva + done, gpa;
		u32 now = (u32)min_u64(15 - done, PAGE_SIZE - (at & (PAGE_SIZE - 1)));

		if (translate(vp, at, HVABI_TRANSLATE_VALIDATE_EXECUTE, &gpa) ||
		    read_guest(vp->partition, gpa, bytes + done, now))
			break;
		done += now;
	}
	return done;
}
