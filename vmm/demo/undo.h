/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the demonstration changes on a machine and puts back: switches of Linux, the cgroup it is in, children. Also when it is
 * ended by SIGINT, SIGTERM, SIGHUP or SIGQUIT: what undoes is made of calls that a signal's handler may make. SIGKILL leaves
 * all as it is.
 *
 * Changes are a stack, for one thread of one process; a child that is forked undoes nothing.
 */
#ifndef DEMO_UNDO_H
#define DEMO_UNDO_H

#include <sys/types.h>

/* Undoes everything when one of the signals ends this process; one that is ignored stays so. */
void undo_on_signals(void);

/* Where the stack is; undo_to() that undoes all since then, the last first. */
unsigned int undo_mark(void);
void undo_to(unsigned int mark);

/* Writes @value into @file, whose first line comes back. -1 with mshv_error(): it cannot be read or written, and is as it was. */
int undo_write(const char *file, const char *value);

/* Into the cgroup @name (made, if it is not there) below the root; back to the one before, and that one removed. */
int undo_cgroup(const char *name);

/* Removes a folder, such as a cgroup. */
void undo_folder(const char *path);

/* Kills the child and waits for it; undo_child_ended() once the caller has done that. */
void undo_child(pid_t pid);
void undo_child_ended(pid_t pid);

#endif
