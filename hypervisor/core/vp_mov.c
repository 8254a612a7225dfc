// SPDX-License-Identifier: GPL-2.0-only
/*
 * A processor's MOV.  Contract: vp_mov.h.
 */
#include "translate.h"
#include "vp.h"
#include "vp_mov.h"

#define EFER_LMA	BIT(10)

/*
 * The decoder reads 64-bit code.  In 32-bit code most of MOV is the same; what is not are absolute
 * addresses, 16-bit ones, and INC and DEC in the place of REX.  16-bit code has nothing in common.
 */
static bool decodes_as_64_bit(const struct vp_state *s, const u8 *code)
{
	u16 attributes = s->segment[SEG_CS].attributes;

	if ((s->efer & EFER_LMA) && (attributes & HVABI_SEGMENT_LONG))
		return true;
	if (!(attributes & HVABI_SEGMENT_DEFAULT_BIG))
		return false;
	/* It was decoded: it is not prefixes alone. */
	while (is_segment_prefix(*code) || *code == 0x66)
		code++;
	switch (*code) {
	case 0x40 ... 0x4f:
	case 0x67:
	case 0xa1 ... 0xa3:
		return false;
	default:
		return true;
	}
}

enum vp_mov vp_decode_mov(struct vp *vp, struct mov *mov)
{
	u8 code[16];
	u32 available = fetch_instruction(vp, code);

	if (!available)
		return VP_MOV_GONE;
	return mov_decode(code, available, mov) && decodes_as_64_bit(&vp->state, code) ? VP_MOV :
											   VP_MOV_OTHER;
}

u64 mov_value(const struct vp *vp, const struct mov *mov)
{
	u64 value = mov->immediate ? mov->value : vp->state.gpr[mov->reg] >> mov->shift;

	return mov->bytes == 8 ? value : value & (BIT(8 * mov->bytes) - 1);
}

void vp_skip_mov(struct vp *vp, const struct mov *mov)
{
	vp->state.rip += mov->length;
	vp->state.interrupt_shadow = false;
}
