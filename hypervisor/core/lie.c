// SPDX-License-Identifier: GPL-2.0-only
/*
 * See lie.h.
 *
 * Laws:
 *	- No lie makes the parent lose a page to somebody else: DEPOSIT and MAP are never said to have done
 *	  less than they did.  Against that no parent could defend itself.
 *	- One lie at a time, to children and parent alike.
 */
#include <hvabi/memory.h>
#include <hvabi/partition.h>
#include <hvabi/status.h>
#include <hvabi/vp.h>

#include "lie.h"
#include "options.h"

/* Numbers that a parent did not lend: page 0, one of its kernel, one beyond all memory. */
static const u64 foreign[] = { 0, 0x1000, 0xfffffffffffull };

/* Pages that have no access states. */
static bool is_silent(u64 gfn)
{
	switch (option(HVABI_OPTION_LIE)) {
	case HVABI_LIE_SILENT_PAGES:
		return gfn % 512 == 7;
	case HVABI_LIE_SILENT_ROWS:
		return gfn % 512 < 3;
	default:
		return false;
	}
}

void lie_before(struct hypercall *c)
{
	struct hvabi_input_get_gpa_pages_access_state *in = c->in;

	if (c->code != HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES)
		return;
	if (option(HVABI_OPTION_LIE) == HVABI_LIE_ACCESSED_STAYS)
		in->flags &= ~(u64)HVABI_GPA_ACCESS_CLEAR_ACCESSED;
	if (option(HVABI_OPTION_LIE) != HVABI_LIE_SILENT_PAGES &&
	    option(HVABI_OPTION_LIE) != HVABI_LIE_SILENT_ROWS)
		return;
	for (u16 i = c->done; i < c->limit; i++)
		if (is_silent(in->hv_gpa_page_number + i))
			c->limit = i;
}

bool lie_instead(struct hypercall *c, u16 *status)
{
	u64 *pages = c->out;

	if (option(HVABI_OPTION_LIE) != HVABI_LIE_FOREIGN_PAGES ||
	    c->code != HVABI_CALL_WITHDRAW_MEMORY)
		return false;
	for (; c->done < c->limit; c->done++)
		pages[c->done] = foreign[c->done % ARRAY_SIZE(foreign)];
	*status = HVABI_STATUS_SUCCESS;
	return true;
}

static u16 same_page(struct hypercall *c, u16 start)
{
	u64 *pages = c->out;

	if (c->code != HVABI_CALL_WITHDRAW_MEMORY || c->done == start)
		return c->done;
	for (u16 i = c->done; i < c->limit; i++)
		pages[i] = pages[start];
	return c->limit;
}

static bool may_go_back(u16 code)
{
	return code != HVABI_CALL_DEPOSIT_MEMORY && code != HVABI_CALL_MAP_GPA_PAGES &&
	       code != HVABI_CALL_WITHDRAW_MEMORY &&
	       code != HVABI_CALL_RELEASE_SPARSE_SPA_PAGE_HOST_ACCESS &&
	       code != HVABI_CALL_ACQUIRE_SPARSE_SPA_PAGE_HOST_ACCESS;
}

u16 lie_about(struct hypercall *c, u16 start, u16 *status)
{
	const struct hvabi_input_get_gpa_pages_access_state *states = c->in;
	bool all = c->reps && c->done == c->reps && *status == HVABI_STATUS_SUCCESS;

	switch (option(HVABI_OPTION_LIE)) {
	case HVABI_LIE_ERROR_WHEN_DONE:
		if (all)
			*status = HVABI_STATUS_OPERATION_FAILED;
		break;
	case HVABI_LIE_MORE_REPS:
		if (all)
			return 0xfff;
		break;
	case HVABI_LIE_GOES_BACK:
		if (all && may_go_back(c->code))
			return start ? (u16)(start - 1) : 0;
		break;
	case HVABI_LIE_SAME_PAGE:
		return same_page(c, start);
	case HVABI_LIE_WRONG_STATE_PAGE:
		if (c->code == HVABI_CALL_MAP_VP_STATE_PAGE && *status == HVABI_STATUS_SUCCESS)
			++*(u64 *)c->out;
		break;
	case HVABI_LIE_GARBAGE_STATES:
		if (c->code == HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES)
			memset((u8 *)c->out + start, 0xff, (size_t)(c->done - start));
		break;
	case HVABI_LIE_SILENT_PAGES:
	case HVABI_LIE_SILENT_ROWS:
		if (c->code == HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES && c->done < c->reps &&
		    *status == HVABI_STATUS_SUCCESS &&
		    is_silent(states->hv_gpa_page_number + c->done))
			*status = HVABI_STATUS_OPERATION_FAILED;
		break;
	default:
		break;
	}
	return c->done;
}
