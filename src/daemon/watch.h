/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The thread that waits for nobody but the clock: what hangs somewhere else does not hang it. It sees to it
 * that a request which sleeps without having said so does not keep its queue (queue_look()), and that the
 * daemon ends soon once it is asked to, whatever host call is stuck. While nothing goes on it sleeps.
 */
#ifndef DAEMON_WATCH_H
#define DAEMON_WATCH_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct queue;
struct watch;

struct watch_config {
	int signals; /* readable once the daemon shall end (a signalfd); stays the caller's. -1: never */
	struct queue *const *queues;
	unsigned int nqueues;
	/* The time for a clean end is over: called ahead of _exit(), on the watch's thread. May be NULL. */
	void (*overdue)(void *arg);
	/* Called on the watch's thread at least every @alive_ms milliseconds, while no queue's lock is held
	 * for good; 0: never. */
	void (*alive)(void *arg);
	uint32_t alive_ms;
	void *arg;
};

/* Without thread and queues yet. NULL: no memory or descriptors. */
struct watch *watch_new(void);
/* Starts the thread; once, when the sandbox is locked. 0 or -errno with @err. */
int watch_start(struct watch *w, const struct watch_config *cfg, struct err *err);
/* Readable (and left so) once the daemon shall end. */
int watch_stop_fd(const struct watch *w);
/* The queues are about to go: they are not looked at any more. The end stays bounded. */
void watch_leave_queues(struct watch *w);
/* Ends the thread. NULL is allowed. */
void watch_free(struct watch *w);

/* A queue begins to handle a request: any thread, with the queue's lock held. NULL: nobody watches. */
void watch_stir(struct watch *w);

#endif
