/* SPDX-License-Identifier: BSD-3-Clause */
/* How processes that belong together end: asked to, with their parent, or as their child did. Control
 * threads. */
#ifndef BASE_ENDING_H
#define BASE_ENDING_H

#include <signal.h>
#include <sys/types.h>

/*
 * @status is as waitpid(2) gives it. The exit status to end with; a process that a signal ended is followed
 * by the same signal, without a core dump of its own, and this returns only if that does not end the caller.
 */
int ending_repeat(int status);

/* The signals that ask a process to end: SIGTERM, SIGINT and SIGHUP. */
void ending_signals(sigset_t *set);

/* The caller, a child of @parent, is killed when that ends from now on; if it has ended already, this exits.
 */
void ending_tie(pid_t parent);

#endif
