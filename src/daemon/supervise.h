/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The supervisor: the process that holds nothing but descriptors and the state segment, and starts a worker,
 * which does everything else. The worker shares its descriptors (one table, so each has the same number in
 * both), not its memory. When a worker ends by a signal the next one is started at once and goes on from the
 * segment. It waits for its child and for signals, and does nothing else; it is not the place for more.
 */
#ifndef DAEMON_SUPERVISE_H
#define DAEMON_SUPERVISE_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* In the state segment; zeroed at first. */
struct supervised {
	_Atomic uint32_t served; /* the worker has answered something; set by it */
	uint32_t restarts;	 /* workers that there were before this one */
	int32_t died_of;	 /* the signal that ended the last one */
};

/*
 * Starts workers until one ends by itself, is told to end (SIGTERM, SIGINT, SIGHUP, which the caller has
 * blocked, are passed on), or one after the other ends by a signal without having served anything. The
 * process has one thread. Returns 0 in each worker, and 1 in the supervisor, with *status as waitpid(2) gives
 * it; or -errno with @err. @keep, unless it is NULL: who is told to end kills its worker instead, as if it
 * had died, *keep says so, and *status is 0.
 */
int supervise(struct supervised *rec, bool *keep, int *status, struct err *err);

/* True for a signal that says that the worker itself went wrong, and was not killed from outside. */
bool supervised_crashed(const struct supervised *rec);

#endif
