/* SPDX-License-Identifier: BSD-3-Clause */
/* The process that serves, as the child of one that starts another when it dies. */
#ifndef PROTO_WORKER_H
#define PROTO_WORKER_H

#include "spawn.h"

struct worker {
	pid_t supervisor, pid;
};

/* Of a daemon that serves. False if it has no supervisor (COLOFSD_ARGS, another program). */
bool worker_find(struct worker *w, const struct spawn *s);
/* Waits until another one serves: 0 or -ETIMEDOUT. */
int worker_await_next(struct worker *w, int timeout_ms);
/* Kills the one that serves, and waits for the next: 0 or -errno. */
int worker_kill(struct worker *w, int sig);

#endif
