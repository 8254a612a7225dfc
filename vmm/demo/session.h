/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * demo: a whole guest that runs a payload, one thread a processor, remote-controlled.
 *
 * Life: open (partition and memory; nothing runs, nothing is touched) -> boot (payload
 * loaded, processors made and started) -> commands -> close. The thread that opened a
 * session closes it; commands may come from any thread, one at a time per processor.
 */
#ifndef DEMO_SESSION_H
#define DEMO_SESSION_H

#include <stdio.h>

#include "../guest/guest_abi.h"
#include "libmshv.h"

struct mshv_session;

struct mshv_session_config {
	uint64_t memory_size;		/* bytes from guest address 0 on */
	void *memory;			/* the caller's, which it unmaps after close; NULL: new memory of this process */
	unsigned int vps;		/* 1 to GUEST_VPS_MAX */
	unsigned int memory_flags;	/* enum mshv_memory_flags */
	unsigned int vm_flags;		/* MSHV_VM_LAPIC, MSHV_VM_X2APIC */
	uint64_t synthetic_features;	/* as in mshv_vm_config */
	FILE *console;			/* where the guest's characters go; NULL: nowhere */
};

struct mshv_session *mshv_session_open(const struct mshv_session_config *config);
int mshv_session_boot(struct mshv_session *s, const char *payload);

struct mshv_vm *mshv_session_vm(struct mshv_session *s);
/* A processor of a session that has booted; its thread runs it unless it waits for a command. */
struct mshv_vcpu *mshv_session_vcpu(struct mshv_session *s, unsigned int vp);
/* The guest's memory in this process: guest address 0. */
uint8_t *mshv_session_memory(struct mshv_session *s);

/* The live mailbox of a processor: results are readable while a command runs. */
volatile struct guest_mailbox *mshv_session_mailbox(struct mshv_session *s, unsigned int vp);

/*
 * Gives processor @vp a command with the arguments of @args; results, round and stop are
 * cleared. The processor must have reported its last one. Does not wait.
 */
int mshv_session_command(struct mshv_session *s, unsigned int vp, enum guest_command command,
			 const struct guest_mailbox *args);

/* Makes the running command of @vp end (if it runs until told so). */
void mshv_session_stop(struct mshv_session *s, unsigned int vp);

/*
 * Waits until @vp has reported, at most @seconds. Returns GUEST_STATUS_*; -1 with errno
 * ETIMEDOUT, or EIO if the processor is not running any more (mshv_error() says why).
 */
int mshv_session_wait(struct mshv_session *s, unsigned int vp, unsigned int seconds);

/*
 * Waits until the payload exits or all its processors have halted, at most @seconds (0: for
 * ever). Returns the exit code (0 if it just halted), or -1 with errno as above.
 */
int mshv_session_join(struct mshv_session *s, unsigned int seconds);

/* Stops everything, whatever it does, and frees it. NULL is fine. */
void mshv_session_close(struct mshv_session *s);

#endif
