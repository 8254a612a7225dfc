// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hypervisor refuses: each hypercall of a guest's life once, with an error, half done, or wanting memory; and each page of its
 * own memory once. What must hold then: life.h.
 */
#include <stdio.h>
#include <unistd.h>

#include <hvabi/status.h>

#include "life.h"

static const struct {
	const char *name;
	uint16_t code;
	unsigned int counter;
} calls[] = {
#define X(call, text) { text, HVABI_CALL_##call, HVABI_COUNT_CALL_##call },
	HVABI_DEBUG_CALLS(X)
#undef X
};

#define CALLS	(sizeof(calls) / sizeof(calls[0]))

static bool set_option(uint32_t option, uint64_t value)
{
	if (!mshv_hypervisor_option(option, value))
		return true;
	ktap_note("option %u: %s", option, mshv_error());
	return false;
}

/* Refuse each occurrence of each code in a life, with a status; at most @most of a code. */
static enum ktap_result sweep_calls(const struct life_step *steps, uint16_t status, unsigned int partial,
				    unsigned int most)
{
	struct life_refusal nothing = { .what = "nothing refused" };
	unsigned int i, n, tried, in_life;
	int64_t before[CALLS], after[CALLS];
	long kernel;

	CHECK_PASS(life_begin(steps, &kernel));
	for (i = 0; i < CALLS; i++)
		before[i] = probe_counted(calls[i].counter);
	CHECK(set_option(HVABI_OPTION_PARTIAL_EVERY, partial));
	CHECK_PASS(life_run(steps, &nothing));
	for (i = 0; i < CALLS; i++)
		after[i] = probe_counted(calls[i].counter);
	for (i = 0; i < CALLS; i++) {
		unsigned int refused = life_met.refused;

		in_life = after[i] - before[i];
		if (calls[i].code >= HVABI_CALL_DEBUG_GET_COUNTERS || !in_life)
			continue;
		for (n = 1, tried = 0; n <= in_life; n = most < in_life ? n + in_life / most : life_next(n)) {
			struct life_refusal r = {
				.what = calls[i].name, .n = n, .counter = HVABI_COUNT_CALL_REFUSED,
			};

			CHECK(set_option(HVABI_OPTION_PARTIAL_EVERY, partial));
			CHECK(set_option(HVABI_OPTION_REFUSE_STATUS, status));
			CHECK(set_option(HVABI_OPTION_REFUSE_CALL, calls[i].code));
			CHECK(set_option(HVABI_OPTION_REFUSE_CALL_AT, n));
			CHECK_PASS(life_run(steps, &r));
			tried++;
		}
		ktap_note("%-28s %4u calls, %3u of them refused", calls[i].name, in_life,
			  life_met.refused - refused);
		/* How often a guest is dispatched depends on interrupts: the last ones may not come. */
		CHECK(life_met.refused > refused, "%s: %u tried", calls[i].name, tried);
	}
	CHECK_PASS(life_nothing_charged(kernel));
	return PASS;
}

static enum ktap_result calls_fail(void)
{
	CHECK_PASS(sweep_calls(life_movable, HVABI_STATUS_OPERATION_FAILED, 0, -1u));
	/* Taking a page away was refused: some guests must have died of it. */
	CHECK(life_met.dead > 0);
	CHECK(life_met.moved > 0, "no second node?");
	CHECK(life_met.swapped > 0, "no swap?");
	CHECK(life_met.split > 0, "no huge pages?");
	if (!access("/sys/kernel/debug/lru_gen", F_OK))
		CHECK(life_met.aged > 0, "Linux did not ask");
	return PASS;
}

static enum ktap_result calls_fail_raw(void)
{
	return sweep_calls(life_raw, HVABI_STATUS_OPERATION_FAILED, 0, -1u);
}

static enum ktap_result calls_fail_isolated(void)
{
	return sweep_calls(life_isolated, HVABI_STATUS_OPERATION_FAILED, 0, -1u);
}

static enum ktap_result calls_fail_half_way(void)
{
	CHECK_PASS(sweep_calls(life_movable, HVABI_STATUS_OPERATION_FAILED, 1, 10));
	return sweep_calls(life_isolated, HVABI_STATUS_OPERATION_FAILED, 1, 10);
}

static enum ktap_result calls_want_memory(void)
{
	CHECK_PASS(sweep_calls(life_raw, HVABI_STATUS_INSUFFICIENT_MEMORY, 0, -1u));
	CHECK_PASS(sweep_calls(life_isolated, HVABI_STATUS_INSUFFICIENT_MEMORY, 0, 10));
	return sweep_calls(life_movable, HVABI_STATUS_INSUFFICIENT_MEMORY, 0, 10);
}

/* The Nth page that the hypervisor needs is not there: nobody but the driver may notice. */
static enum ktap_result sweep_memory(const struct life_step *steps)
{
	struct life_refusal r = { .what = "memory", .counter = HVABI_COUNT_MEMORY_REFUSED };
	unsigned int refused;
	long kernel;

	CHECK_PASS(life_begin(steps, &kernel));
	for (r.n = 1;; r.n = life_next(r.n)) {
		CHECK(set_option(HVABI_OPTION_REFUSE_MEMORY_AT, r.n));
		refused = life_met.refused;
		r.refused = false;
		CHECK_PASS(life_run(steps, &r));
		if (life_met.refused == refused)
			break;
	}
	ktap_note("memory: wanted at %u points", life_met.refused);
	CHECK(life_met.refused > 4);
	CHECK(!life_met.failed && !life_met.dead, "%u steps failed, %u guests died", life_met.failed, life_met.dead);
	return life_nothing_charged(kernel);
}

static enum ktap_result memory_refused(void)
{
	CHECK_PASS(sweep_memory(life_raw));
	CHECK_PASS(sweep_memory(life_isolated));
	return sweep_memory(life_movable);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "calls refused: a bare partition", calls_fail_raw },
		{ "calls refused: a guest", calls_fail },
		{ "calls refused: an isolated guest", calls_fail_isolated },
		{ "calls refused half way", calls_fail_half_way },
		{ "calls that want memory", calls_want_memory },
		{ "memory refused at every point", memory_refused },
	};

	life_prepare();
	return KTAP_RUN(tests);
}
