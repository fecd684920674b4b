/* SPDX-License-Identifier: BSD-3-Clause */
/* --daemonize: going to the background once all is well. Control thread, at start. */
#ifndef DAEMON_DETACH_H
#define DAEMON_DETACH_H

#include "base/err.h"

struct detach {
	int foreground; /* the process that was started waits at the other end; -1: it does not */
	int null;	/* /dev/null, which cannot be opened from inside; -1: not needed */
};

/*
 * Forks. The parent waits until detach_ready() was called (exit status 0), or the child ended (its status),
 * and does not return. 0 or -errno with @err.
 */
int detach_start(struct detach *d, struct err *err);
/* Releases the parent and gives up the standard streams. */
void detach_ready(struct detach *d);
/* The same for a process that only shares the streams. */
void detach_streams(const struct detach *d);

#endif
