// SPDX-License-Identifier: GPL-2.0-only
/*
 * demo: sessions, see session.h.
 *
 * Each processor has a thread that does nothing but run it; what the payload asks through
 * its ports is answered there. One lock and one condition variable serve all: events are
 * rare (a command, a report, an exit).
 */
#include <stdatomic.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "load.h"
#include "session.h"

/* What handlers return to leave the run loop. */
#define LEAVE	1

/*
 * How long an asserted interrupt may take until it counts as lost, 20 s: far longer than it ever does, and less than the payload's
 * watchdog waits, so that the report tells who lost it.
 */
#define ASSERT_WAIT_US	50
#define ASSERT_WAITS	400000

enum vp_state { VP_IDLE, VP_COMMANDED, VP_BUSY, VP_ENDED };

struct session_vp {
	struct mshv_session *session;
	struct mshv_vcpu *vcpu;
	pthread_t thread;
	bool started;
	unsigned int index;
	enum vp_state state;
	enum guest_command command;
	uint32_t status;		/* of the last report */
	uint32_t halts;			/* HLTs still to be resumed */
	uint32_t echo;
	int error;			/* why the thread ended, 0 if the guest wanted it */
	char error_text[256];
};

struct mshv_session {
	struct mshv_vm *vm;
	uint8_t *memory;
	struct mshv_session_config config;
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct session_vp vp[GUEST_VPS_MAX];
	pthread_t asserter;
	bool asserts;			/* @asserter has been started */
	atomic_bool asserting;		/* and is at it */
	uint64_t eois;			/* of level-triggered interrupts */
	bool closing;
	bool exited;
	uint32_t exit_code;
	uint64_t msr;
};

static int await_command(struct session_vp *vp, uint32_t *value)
{
	struct mshv_session *s = vp->session;
	int ret = 0;

	pthread_mutex_lock(&s->lock);
	while (vp->state != VP_COMMANDED && !s->closing && !s->exited)
		pthread_cond_wait(&s->change, &s->lock);
	if (vp->state == VP_COMMANDED) {
		*value = vp->command;
		vp->state = VP_BUSY;
	} else {
		ret = LEAVE;
	}
	pthread_mutex_unlock(&s->lock);
	return ret;
}

static void report(struct session_vp *vp, uint32_t status)
{
	struct mshv_session *s = vp->session;

	pthread_mutex_lock(&s->lock);
	vp->status = status;
	vp->state = VP_IDLE;
	pthread_cond_broadcast(&s->change);
	pthread_mutex_unlock(&s->lock);
}

/*
 * Asserts interrupts as a mailbox says (GUEST_PORT_ASSERT), one when the one before has been taken.
 * In between a while of no particular length: the guest may be on its way to HLT, or there.
 */
static void *assert_thread(void *arg)
{
	struct session_vp *vp = arg;
	struct mshv_session *s = vp->session;
	volatile struct guest_mailbox *box = mshv_session_mailbox(s, vp->index);
	uint64_t i, state = GUEST_ASSERT_DONE;
	unsigned int waits;

	for (i = 0; i < box->assert_count && state == GUEST_ASSERT_DONE && !s->closing; i++) {
		if (mshv_assert_interrupt(s->vm, (uint32_t)box->assert_mode,
					  (uint32_t)box->assert_vector, box->assert_dest,
					  box->assert_logical, box->assert_level)) {
			state = GUEST_ASSERT_FAILED;
			break;
		}
		box->assert_sent = i + 1;
		for (waits = 0; box->assert_taken <= i && !s->closing; waits++) {
			if (waits > ASSERT_WAITS) {
				state = GUEST_ASSERT_LOST;
				break;
			}
			usleep(ASSERT_WAIT_US);
		}
		usleep((useconds_t)(guest_stamp_word(i, 0, 2) % 1000));
	}
	/* Who sees the state may ask for more. */
	s->asserting = false;
	box->assert_state = state;
	return NULL;
}

static void start_asserting(struct session_vp *vp)
{
	struct mshv_session *s = vp->session;

	pthread_mutex_lock(&s->lock);
	if (s->asserting || s->closing) {
		/* One at a time: it ends when the guest likes, and nobody waits for that. */
		mshv_session_mailbox(s, vp->index)->assert_state = GUEST_ASSERT_FAILED;
	} else {
		if (s->asserts)
			pthread_join(s->asserter, NULL);
		s->asserting = true;
		s->asserts = !pthread_create(&s->asserter, NULL, assert_thread, vp);
		if (!s->asserts) {
			s->asserting = false;
			mshv_session_mailbox(s, vp->index)->assert_state = GUEST_ASSERT_FAILED;
		}
	}
	pthread_mutex_unlock(&s->lock);
}

static int on_port(struct mshv_vcpu *vcpu, void *arg, uint16_t port, unsigned int size,
		   bool write, uint32_t *value)
{
	struct session_vp *vp = arg;
	struct mshv_session *s = vp->session;

	(void)vcpu;
	(void)size;
	if (port == GUEST_PORT_CONSOLE && write) {
		if (s->config.console) {
			putc((int)*value, s->config.console);
			/* A guest that hangs has said where it was. */
			if (*value == '\n')
				fflush(s->config.console);
		}
		return 0;
	}
	if (port == GUEST_PORT_COMMAND && !write)
		return await_command(vp, value);
	if (port == GUEST_PORT_REPORT && write) {
		report(vp, *value);
		return 0;
	}
	if (port == GUEST_PORT_HALTS && write) {
		vp->halts = *value;
		return 0;
	}
	if (port == GUEST_PORT_ECHO) {
		if (write)
			vp->echo = *value;
		else
			*value = ~vp->echo;
		return 0;
	}
	if (port == GUEST_PORT_ASSERT && write) {
		start_asserting(vp);
		return 0;
	}
	if (port == GUEST_PORT_EOIS && !write) {
		*value = (uint32_t)__atomic_load_n(&s->eois, __ATOMIC_SEQ_CST);
		return 0;
	}
	if (port == GUEST_PORT_EXIT && write) {
		pthread_mutex_lock(&s->lock);
		s->exited = true;
		s->exit_code = *value & 0xff;
		pthread_cond_broadcast(&s->change);
		pthread_mutex_unlock(&s->lock);
		return LEAVE;
	}
	/* As on a PC: nobody there reads as ones, writes go nowhere. */
	return 0;
}

static int on_halt(struct mshv_vcpu *vcpu, void *arg)
{
	struct session_vp *vp = arg;

	(void)vcpu;
	if (vp->halts == 0)
		return LEAVE;
	vp->halts--;
	return 0;
}

static int on_cpuid(struct mshv_vcpu *vcpu, void *arg, uint32_t leaf, uint32_t subleaf,
		    uint32_t result[4])
{
	(void)vcpu;
	(void)arg;
	(void)subleaf;
	if (leaf == GUEST_CPUID_LEAF) {
		result[0] = GUEST_CPUID_EAX;
		result[1] = GUEST_CPUID_EBX;
		result[2] = GUEST_CPUID_ECX;
		result[3] = GUEST_CPUID_EDX;
	}
	return 0;
}

static int on_msr(struct mshv_vcpu *vcpu, void *arg, uint32_t msr, bool write,
		  uint64_t *value)
{
	struct session_vp *vp = arg;
	struct mshv_session *s = vp->session;

	(void)vcpu;
	if (msr != GUEST_MSR)
		return -ENOENT;
	pthread_mutex_lock(&s->lock);
	if (write)
		s->msr = *value;
	else
		*value = s->msr;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static void *guest_memory(void *arg, uint64_t gpa, uint64_t size)
{
	struct mshv_session *s = arg;

	return mshv_host_address(s->vm, gpa, size);
}

/* What is pinned stays, and the guest cannot tell. */
static void discard(void *arg, void *host, uint64_t size)
{
	struct mshv_session *s = arg;

	if (!(s->config.memory_flags & MSHV_MEMORY_PINNED))
		madvise(host, size, MADV_DONTNEED);
}

static int on_hypercall(struct mshv_vcpu *vcpu, void *arg, uint64_t control, uint64_t input,
			uint64_t output, uint64_t *result)
{
	struct session_vp *vp = arg;
	const struct mshv_extended extended = {
		.size = sizeof(extended),
		.arg = vp->session, .memory = guest_memory, .discard = discard,
	};

	(void)vcpu;
	*result = mshv_extended_call(&extended, control, input, output);
	return 0;
}

static int on_other(struct mshv_vcpu *vcpu, void *arg, const struct hvabi_message *message)
{
	struct session_vp *vp = arg;

	(void)vcpu;
	if (message->header.message_type != HVABI_MSG_X64_APIC_EOI)
		return -ENOENT;
	__atomic_fetch_add(&vp->session->eois, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static const struct mshv_handlers handlers = {
	.size = sizeof(handlers),
	.port = on_port,
	.halt = on_halt,
	.cpuid = on_cpuid,
	.msr = on_msr,
	.hypercall = on_hypercall,
	.other = on_other,
};

static void *vp_thread(void *arg)
{
	struct session_vp *vp = arg;
	struct mshv_session *s = vp->session;
	int ret, error;

	for (;;) {
		ret = mshv_vcpu_loop(vp->vcpu, &handlers, vp);
		error = errno;
		pthread_mutex_lock(&s->lock);
		if (ret == LEAVE || s->closing || error != EINTR)
			break;
		pthread_mutex_unlock(&s->lock);
	}
	if (ret != LEAVE && !s->closing) {
		vp->error = error ? error : EIO;
		snprintf(vp->error_text, sizeof(vp->error_text), "%s", mshv_error());
	}
	vp->state = VP_ENDED;
	pthread_cond_broadcast(&s->change);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static int add_memory(struct mshv_session *s)
{
	const struct mshv_session_config *config = &s->config;

	if (!config->memory)
		s->memory = mshv_memory_add(s->vm, 0, config->memory_size, config->memory_flags);
	else if (!mshv_region_add(s->vm, 0, config->memory, config->memory_size, config->memory_flags))
		s->memory = config->memory;
	return s->memory ? 0 : -1;
}

struct mshv_session *mshv_session_open(const struct mshv_session_config *config)
{
	pthread_condattr_t attr;
	struct mshv_session *s;

	if (config->vps == 0 || config->vps > GUEST_VPS_MAX) {
		mshv_fail_because(EINVAL, "%u processors: 1 to %u", config->vps,
				  GUEST_VPS_MAX);
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		mshv_fail("open a session");
		return NULL;
	}
	s->config = *config;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->change, &attr);
	pthread_condattr_destroy(&attr);
	s->vm = mshv_vm_create_with(&(struct mshv_vm_config){
		.size = sizeof(struct mshv_vm_config),
		.flags = config->vm_flags,
		.synthetic_features = config->synthetic_features,
	});
	/* Ends processors at once, whatever their guest does. */
	if (!s->vm || mshv_kick_signal(SIGUSR1) || add_memory(s)) {
		int error = errno;

		mshv_session_close(s);
		errno = error;
		return NULL;
	}
	return s;
}

static int boot_vp(struct mshv_session *s, unsigned int index, uint64_t entry)
{
	struct session_vp *vp = &s->vp[index];

	vp->session = s;
	vp->index = index;
	vp->state = VP_BUSY;
	vp->vcpu = mshv_vcpu_create(s->vm, index);
	if (!vp->vcpu)
		return -1;
	/* The others wait for INIT and SIPI, as on a PC. */
	if (index && (s->config.vm_flags & MSHV_VM_LAPIC))
		return 0;
	return mshv_boot_vcpu(vp->vcpu, entry);
}

/* What the payload cannot find out by itself. */
static int tell(struct mshv_session *s)
{
	struct guest_boot *boot = (void *)(s->memory + GUEST_BOOT);
	uint64_t assignable;

	if (mshv_assignable_features(&assignable))
		return -1;
	boot->synthetic_features = s->config.synthetic_features & assignable;
	boot->apic = (s->config.vm_flags & MSHV_VM_LAPIC ? GUEST_APIC_LOCAL : 0) |
		     (s->config.vm_flags & MSHV_VM_X2APIC ? GUEST_APIC_X2 : 0);
	return 0;
}

int mshv_session_boot(struct mshv_session *s, const char *payload)
{
	uint64_t entry;
	unsigned int i;
	int error;

	if (mshv_load_payload(s->vm, payload, s->config.memory_size, s->config.vps, &entry) ||
	    tell(s))
		return -1;
	/* Only the payload that tests intercepts needs these: not having them is no error. */
	mshv_install_intercept(s->vm, HVABI_INTERCEPT_TYPE_CPUID,
			       HVABI_INTERCEPT_ACCESS_MASK_EXECUTE, GUEST_CPUID_LEAF);
	mshv_install_intercept(s->vm, HVABI_INTERCEPT_TYPE_MSR_INDEX,
			       HVABI_INTERCEPT_ACCESS_MASK_READ |
			       HVABI_INTERCEPT_ACCESS_MASK_WRITE, GUEST_MSR);
	mshv_install_intercept(s->vm, HVABI_INTERCEPT_TYPE_HYPERCALL,
			       HVABI_INTERCEPT_ACCESS_MASK_EXECUTE, 0);
	for (i = 0; i < s->config.vps; i++)
		if (boot_vp(s, i, entry))
			return -1;
	for (i = 0; i < s->config.vps; i++) {
		error = pthread_create(&s->vp[i].thread, NULL, vp_thread, &s->vp[i]);
		if (error)
			return mshv_fail_because(error, "start processor %u: %s", i,
						 strerror(error));
		s->vp[i].started = true;
	}
	return 0;
}

struct mshv_vm *mshv_session_vm(struct mshv_session *s)
{
	return s->vm;
}

struct mshv_vcpu *mshv_session_vcpu(struct mshv_session *s, unsigned int vp)
{
	return s->vp[vp].vcpu;
}

uint8_t *mshv_session_memory(struct mshv_session *s)
{
	return s->memory;
}

volatile struct guest_mailbox *mshv_session_mailbox(struct mshv_session *s, unsigned int vp)
{
	return (void *)(s->memory + GUEST_MAILBOX(vp));
}

int mshv_session_command(struct mshv_session *s, unsigned int vp, enum guest_command command,
			 const struct guest_mailbox *args)
{
	struct guest_mailbox *box = (void *)(s->memory + GUEST_MAILBOX(vp));
	int ret = 0;

	pthread_mutex_lock(&s->lock);
	/* A processor that has not asked for its first command yet is on its way there. */
	if (s->vp[vp].state == VP_ENDED) {
		ret = mshv_fail_because(EIO, "processor %u is not running: %s", vp,
					s->vp[vp].error_text);
	} else {
		*box = *args;
		box->stop = box->done_rounds = box->done_pages = box->errors = 0;
		s->vp[vp].command = command;
		s->vp[vp].state = VP_COMMANDED;
		pthread_cond_broadcast(&s->change);
	}
	pthread_mutex_unlock(&s->lock);
	return ret;
}

void mshv_session_stop(struct mshv_session *s, unsigned int vp)
{
	mshv_session_mailbox(s, vp)->stop = 1;
}

static struct timespec deadline_in(unsigned int seconds)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += seconds;
	return t;
}

int mshv_session_wait(struct mshv_session *s, unsigned int vp, unsigned int seconds)
{
	struct timespec deadline = deadline_in(seconds);
	struct session_vp *v = &s->vp[vp];
	int ret = 0;

	pthread_mutex_lock(&s->lock);
	while ((v->state == VP_COMMANDED || v->state == VP_BUSY) && ret != ETIMEDOUT)
		ret = pthread_cond_timedwait(&s->change, &s->lock, &deadline);
	if (v->state == VP_IDLE)
		ret = (int)v->status;
	else if (v->state == VP_ENDED)
		ret = mshv_fail_because(EIO, "processor %u stopped: %s", vp,
					v->error ? v->error_text : "it halted");
	else
		ret = mshv_fail_because(ETIMEDOUT, "processor %u has not reported within %u s",
					vp, seconds);
	pthread_mutex_unlock(&s->lock);
	return ret;
}

static bool all_ended(const struct mshv_session *s)
{
	unsigned int i;

	for (i = 0; i < s->config.vps; i++)
		if (s->vp[i].started && s->vp[i].state != VP_ENDED)
			return false;
	return true;
}

/* The first processor that is in trouble, or NULL. */
static const struct session_vp *in_trouble(const struct mshv_session *s)
{
	unsigned int i;

	for (i = 0; i < s->config.vps; i++)
		if (s->vp[i].error)
			return &s->vp[i];
	return NULL;
}

int mshv_session_join(struct mshv_session *s, unsigned int seconds)
{
	struct timespec deadline = deadline_in(seconds);
	const struct session_vp *vp;
	int ret = 0;

	pthread_mutex_lock(&s->lock);
	/* One processor in trouble is reason enough, and it may have been before anyone waited. */
	while (!s->exited && !in_trouble(s) && !all_ended(s) && ret != ETIMEDOUT) {
		if (seconds)
			ret = pthread_cond_timedwait(&s->change, &s->lock, &deadline);
		else
			pthread_cond_wait(&s->change, &s->lock);
	}
	vp = in_trouble(s);
	if (s->exited)
		ret = (int)s->exit_code;
	else if (vp)
		ret = mshv_fail_because(vp->error, "%s", vp->error_text);
	else if (!all_ended(s))
		ret = mshv_fail_because(ETIMEDOUT, "the guest has not ended within %u s",
					seconds);
	else
		ret = 0;
	pthread_mutex_unlock(&s->lock);
	return ret;
}

void mshv_session_close(struct mshv_session *s)
{
	unsigned int i;

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->closing = true;
	pthread_cond_broadcast(&s->change);
	pthread_mutex_unlock(&s->lock);
	for (i = 0; i < s->config.vps; i++) {
		if (!s->vp[i].started)
			continue;
		mshv_vcpu_kick(s->vp[i].vcpu, s->vp[i].thread);
		pthread_join(s->vp[i].thread, NULL);
	}
	if (s->asserts)
		pthread_join(s->asserter, NULL);
	for (i = 0; i < s->config.vps; i++)
		mshv_vcpu_destroy(s->vp[i].vcpu);
	mshv_vm_destroy(s->vm);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->change);
	free(s);
}
