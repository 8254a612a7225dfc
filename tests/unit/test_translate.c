// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks of the child's own page tables, in every paging mode, with rights and
 * second-level holes.
 */
#include <hypervisor/core/translate.h>
#include "unit.h"

#define CR0_PG_PE	0x80000001ull
#define CR0_WP		(1ull << 16)
#define EFER_LONG	0x500ull
#define EFER_NXE	(1ull << 11)
#define P		1ull
#define W		2ull
#define U		4ull
#define PS		(1ull << 7)
#define NX		(1ull << 63)

/* The child's GFN n stands on the parent's page BASE + n. */
#define BASE		1024ull
#define PAGES		64

static uint64_t id;
static struct vp *vp;

static int setup(void **state)
{
	struct hvabi_create_vp in = { 0 };

	(void)state;
	mock_reset();
	id = mock_child(40);
	in.partition_id = id;
	assert_status(mock_call(HVABI_CALL_CREATE_VP, &in, sizeof(in), 0, 0), SUCCESS);
	assert_status(mock_map(id, 0, BASE, PAGES, RWX), SUCCESS);
	memset(platform_phys(BASE << 12), 0, PAGES << 12);
	vp = vp_find(partition_find(id), 0);
	return 0;
}

static void put64(uint64_t gpa, uint64_t value)
{
	memcpy(platform_phys((BASE << 12) + gpa), &value, 8);
}

static void put32(uint64_t gpa, uint32_t value)
{
	memcpy(platform_phys((BASE << 12) + gpa), &value, 4);
}

static uint64_t peek64(uint64_t gpa)
{
	uint64_t value;

	memcpy(&value, platform_phys((BASE << 12) + gpa), 8);
	return value;
}

/* PML4 at 1, PDPT at 2, PD at 3, PT at 4. */
static void long_mode(void)
{
	vp->state.cr0 = CR0_PG_PE | CR0_WP;
	vp->state.cr4 = 0x20;
	vp->state.efer = EFER_LONG | EFER_NXE;
	vp->state.cr3 = 0x1000;
	vp->state.segment[SEG_SS].attributes = 0x93;
	put64(0x1000, 0x2000 | P | W | U);
	put64(0x2000, 0x3000 | P | W | U);
	put64(0x3000, 0x4000 | P | W | U);
}

static void no_paging(void **state)
{
	uint64_t gpa;

	(void)state;
	vp->state.cr0 = 1;
	assert_int_equal(translate(vp, 0x12345, HVABI_TRANSLATE_VALIDATE_READ, &gpa), 0);
	assert_int_equal(gpa, 0x12345);
}

static void long_mode_sizes(void **state)
{
	uint64_t gpa;

	(void)state;
	long_mode();
	put64(0x4000 + 8, 0x9000 | P);
	assert_int_equal(translate(vp, 0x1abc, HVABI_TRANSLATE_VALIDATE_READ, &gpa), 0);
	assert_int_equal(gpa, 0x9abc);
	put64(0x3000 + 8, 0x600000 | P | PS);
	assert_int_equal(translate(vp, 0x212345, 1, &gpa), 0);
	assert_int_equal(gpa, 0x612345);
	put64(0x2000 + 8, 0x80000000 | P | PS);
	assert_int_equal(translate(vp, 0x40123456, 1, &gpa), 0);
	assert_int_equal(gpa, 0x80123456);
	assert_int_equal(translate(vp, 0x2000, 1, &gpa), HVABI_TRANSLATE_PAGE_NOT_PRESENT);
}

static void rights(void **state)
{
	uint64_t gpa;

	(void)state;
	long_mode();
	put64(0x4000, 0x9000 | P | U);
	put64(0x4008, 0x9000 | P | W);
	put64(0x4010, 0x9000 | P | W | NX);
	assert_int_equal(translate(vp, 0, HVABI_TRANSLATE_VALIDATE_WRITE, &gpa),
			 HVABI_TRANSLATE_PRIVILEGE_VIOLATION);
	vp->state.cr0 &= ~CR0_WP;
	assert_int_equal(translate(vp, 0, HVABI_TRANSLATE_VALIDATE_WRITE, &gpa), 0);
	vp->state.cr0 |= CR0_WP;
	assert_int_equal(translate(vp, 0x1000, 1 | HVABI_TRANSLATE_USER_ACCESS, &gpa),
			 HVABI_TRANSLATE_PRIVILEGE_VIOLATION);
	assert_int_equal(translate(vp, 0x1000, 1 | HVABI_TRANSLATE_USER_ACCESS |
				   HVABI_TRANSLATE_PRIVILEGE_EXEMPT, &gpa), 0);
	assert_int_equal(translate(vp, 0x2000, HVABI_TRANSLATE_VALIDATE_EXECUTE, &gpa),
			 HVABI_TRANSLATE_PRIVILEGE_VIOLATION);
	assert_int_equal(translate(vp, 0x2000, HVABI_TRANSLATE_VALIDATE_WRITE, &gpa), 0);
	/* SMAP: a supervisor does not read user pages unless AC is set. */
	vp->state.cr4 |= 1 << 21;
	assert_int_equal(translate(vp, 0, 1, &gpa), HVABI_TRANSLATE_PRIVILEGE_VIOLATION);
	vp->state.rflags |= 1 << 18;
	assert_int_equal(translate(vp, 0, 1, &gpa), 0);
	/* NX without EFER.NXE is a reserved bit. */
	vp->state.efer &= ~EFER_NXE;
	assert_int_equal(translate(vp, 0x2000, 1, &gpa), HVABI_TRANSLATE_INVALID_PAGE_TABLE_FLAGS);
}

static void bits_are_set_only_on_request(void **state)
{
	uint64_t gpa;

	(void)state;
	long_mode();
	put64(0x4000, 0x9000 | P | W);
	assert_int_equal(translate(vp, 0, HVABI_TRANSLATE_VALIDATE_WRITE, &gpa), 0);
	assert_int_equal(peek64(0x4000), 0x9000 | P | W);
	assert_int_equal(translate(vp, 0, HVABI_TRANSLATE_VALIDATE_WRITE |
				   HVABI_TRANSLATE_SET_PAGE_TABLE_BITS, &gpa), 0);
	assert_int_equal(peek64(0x4000), 0x9000 | P | W | 0x60);
	assert_int_equal(peek64(0x1000) & 0x60, 0x20);
	/* That is a write to the guest's memory, which a migration has to hear of. */
	assert_true(mock_entry(id, 1, NULL) & NPTE_DIRTY);
	assert_true(mock_entry(id, 4, NULL) & NPTE_DIRTY);
	assert_false(mock_entry(id, 9, NULL) & NPTE_DIRTY);
}

static void second_level_holes(void **state)
{
	uint64_t gpa;

	(void)state;
	long_mode();
	put64(0x4000, 0x9000 | P | W);
	assert_status(mock_map(id, 4, 0, 1, NO_ACCESS), SUCCESS);
	assert_int_equal(translate(vp, 0, 1, &gpa), HVABI_TRANSLATE_GPA_NO_READ_ACCESS);
	assert_status(mock_unmap(id, 4, 1, 0), SUCCESS);
	assert_int_equal(translate(vp, 0, 1, &gpa), HVABI_TRANSLATE_GPA_UNMAPPED);
	assert_status(mock_map(id, 4, BASE + 4, 1, RX), SUCCESS);
	assert_int_equal(translate(vp, 0, HVABI_TRANSLATE_VALIDATE_WRITE |
				   HVABI_TRANSLATE_SET_PAGE_TABLE_BITS, &gpa),
			 HVABI_TRANSLATE_GPA_NO_WRITE_ACCESS);
}

static void pae_and_legacy(void **state)
{
	uint64_t gpa;

	(void)state;
	vp->state.cr0 = CR0_PG_PE;
	vp->state.cr4 = 0x20;
	vp->state.efer = 0;
	vp->state.cr3 = 0x1020;		/* the four PDPTEs are 32-byte aligned */
	put64(0x1020 + 8, 0x2000 | P);
	put64(0x2000, 0x3000 | P | W);
	put64(0x3000, 0x9000 | P | W);
	assert_int_equal(translate(vp, 0x40000123, 1, &gpa), 0);
	assert_int_equal(gpa, 0x9123);

	vp->state.cr4 = 0x10;
	vp->state.cr3 = 0x5000;
	put32(0x5000 + 4 * 3, 0x6000 | P | W);
	put32(0x6000 + 4 * 2, 0x9000 | P);
	assert_int_equal(translate(vp, 0xc02456, 1, &gpa), 0);
	assert_int_equal(gpa, 0x9456);
	put32(0x5000 + 4 * 4, 0x00c00000 | 1 << 13 | PS | P);	/* 4 MiB page above 4 GiB */
	assert_int_equal(translate(vp, 0x1012345, 1, &gpa), 0);
	assert_int_equal(gpa, 0x100c12345);
}

static void instruction_bytes_stop_at_a_hole(void **state)
{
	uint8_t bytes[16];

	(void)state;
	long_mode();
	vp->state.segment[SEG_CS].attributes = 0x209b;
	put64(0x4000, 0x9000 | P);
	memset(platform_phys((BASE << 12) + 0x9000), 0x90, 4096);
	vp->state.rip = 0x100;
	assert_int_equal(fetch_instruction(vp, bytes), 15);
	assert_int_equal(bytes[14], 0x90);
	vp->state.rip = 0xffa;
	assert_int_equal(fetch_instruction(vp, bytes), 6);
	vp->state.rip = 0x5000;
	assert_int_equal(fetch_instruction(vp, bytes), 0);
}

static void the_hypercall(void **state)
{
	struct hvabi_input_translate_virtual_address in = { .partition_id = id, .gva_page = 1 };
	struct hvabi_output_translate_virtual_address *out = mock_out();

	(void)state;
	long_mode();
	put64(0x4008, 0x9000 | P);
	in.control_flags = HVABI_TRANSLATE_VALIDATE_READ;
	assert_status(mock_call(HVABI_CALL_TRANSLATE_VIRTUAL_ADDRESS, &in, sizeof(in), 0, 0),
		      SUCCESS);
	assert_int_equal(out->result_code, 0);
	assert_int_equal(out->gpa_page, 9);
	/* A failed walk is a result, not a failed call. */
	in.gva_page = 2;
	assert_status(mock_call(HVABI_CALL_TRANSLATE_VIRTUAL_ADDRESS, &in, sizeof(in), 0, 0),
		      SUCCESS);
	assert_int_equal(out->result_code, HVABI_TRANSLATE_PAGE_NOT_PRESENT);
	in.control_flags = 1 << 12;
	assert_status(mock_call(HVABI_CALL_TRANSLATE_VIRTUAL_ADDRESS, &in, sizeof(in), 0, 0),
		      INVALID_PARAMETER);
}

#define WALK_TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WALK_TEST(no_paging),
		WALK_TEST(long_mode_sizes),
		WALK_TEST(rights),
		WALK_TEST(bits_are_set_only_on_request),
		WALK_TEST(second_level_holes),
		WALK_TEST(pae_and_legacy),
		WALK_TEST(instruction_bytes_stop_at_a_hole),
		WALK_TEST(the_hypercall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
