// SPDX-License-Identifier: GPL-2.0-only
/*
 * A signal ends RUN_VP whenever it comes: also between the last look for signals and the guest. On a processor without a timer tick
 * nothing else would end the run of a guest that spins (boot with nohz_full=1).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <host.h>
#include <uapi/mshv.h>

#include "ktap.h"
#include "probe.h"

#define KICKS		2000
/* The longest way from user mode to the guest, in turns of a loop: each kick comes at another moment of it. */
#define SPIN		40000
/* Seconds after which a kick is lost. */
#define LOST		20

static struct probe probe;
static atomic_long entered, left_guest, handled;
static atomic_int thread_id;
static atomic_bool over;

static void count(int signal)
{
	(void)signal;
	handled++;
}

static void stay_on(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *guest(void *arg)
{
	struct hvabi_message message;

	stay_on(1);
	thread_id = (int)syscall(SYS_gettid);
	for (;;) {
		entered++;
		if (!mshv_vcpu_run(probe.vcpu, &message) || errno != EINTR)
			return arg;
		left_guest++;
		if (over)
			return arg;
	}
}

static enum ktap_result kicked(void)
{
	struct sigaction action = { .sa_handler = count };
	unsigned int seed = 20261128;
	char tickless[32] = "";
	pthread_t thread;
	double begin;

	ktap_note("seed %u, processors without a tick: %s", seed,
		  host_read("/sys/devices/system/cpu/nohz_full", tickless, sizeof(tickless)) ? "?" : tickless);
	stay_on(0);
	CHECK(!probe_open(&probe), "%s", mshv_error());
	/* In the place of the library's. */
	sigaction(SIGUSR1, &action, NULL);
	/* jmp . */
	memcpy(probe.boot + 0x10200, "\xeb\xfe", 2);
	CHECK(!mshv_set_register(probe.vcpu, HVABI_REG_RIP, 0x10200), "%s", mshv_error());
	CHECK(!pthread_create(&thread, NULL, guest, NULL));
	while (!thread_id)
		usleep(1000);
	usleep(200000);
	for (unsigned int i = 0; i < KICKS; i++) {
		long left = left_guest, before = handled;

		while (entered == left)
			;
		for (volatile int spin = (int)(rand_r(&seed) % SPIN); spin > 0; spin--)
			;
		begin = host_seconds();
		syscall(SYS_tgkill, getpid(), thread_id, SIGUSR1);
		/* A signal that comes before RUN_VP is handled there, and the guest runs: that one is not lost. */
		while (handled == before && host_seconds() < begin + LOST)
			;
		CHECK(handled != before, "kick %u: the guest still runs after %u s", i, LOST);
	}
	over = true;
	while (pthread_tryjoin_np(thread, NULL)) {
		syscall(SYS_tgkill, getpid(), thread_id, SIGUSR1);
		usleep(1000);
	}
	return PASS;
}

/* ---- one signal, whenever it comes ---- */

static struct mshv_run_vp_exit flagged;
static atomic_long runs, exits;

static void *flagged_guest(void *arg)
{
	stay_on(1);
	thread_id = (int)syscall(SYS_gettid);
	for (;;) {
		__atomic_store_n(&flagged.immediate_exit, 0, __ATOMIC_SEQ_CST);
		runs++;
		if (!ioctl(mshv_vcpu_fd(probe.vcpu), MSHV_RUN_VP_EXIT, &flagged) || errno != EINTR)
			return arg;
		exits++;
	}
}

/* As a VMM that does not say it twice: the flag, and one signal, at any moment of the way to the guest. */
static enum ktap_result flag_and_signal(void)
{
	unsigned int seed = 20261129;
	pthread_t thread;
	double begin;

	ktap_note("seed %u", seed);
	thread_id = 0;
	CHECK(!pthread_create(&thread, NULL, flagged_guest, NULL));
	for (unsigned int i = 0; i < KICKS; i++) {
		long done = exits;

		while (runs == done)
			;
		for (volatile int spin = (int)(rand_r(&seed) % SPIN); spin > 0; spin--)
			;
		begin = host_seconds();
		__atomic_store_n(&flagged.immediate_exit, 1, __ATOMIC_SEQ_CST);
		syscall(SYS_tgkill, getpid(), thread_id, SIGUSR1);
		while (exits == done && host_seconds() < begin + LOST)
			;
		/* Twice, where the flag was seen first and the signal then ended the next run. */
		CHECK(exits > done, "kick %u: the guest still runs after %u s", i, LOST);
	}
	return PASS;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "every kick arrives", kicked },
		{ "a flag and one signal", flag_and_signal },
	};

	return KTAP_RUN(tests);
}
