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
#include "daemon/upgrade.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* In the state segment; zeroed at first. */
struct supervised {
	_Atomic uint32_t served; /* the worker has answered something; set by it */
	uint32_t restarts;	 /* workers that there were before this one */
	int32_t died_of;	 /* the signal that ended the last one */
	/* Another process would serve on if the worker did not come so far; cleared by it (upgrade.h). */
	_Atomic uint32_t on_trial;
};

/* What may follow a worker but another one. */
struct supervise_hooks {
	bool *keep; /* who is told to end kills its worker instead, as if it had died, and *keep says so;
		       NULL: it does not */
	struct upgrade_giver *giver; /* SIGUSR2: to whom all may be given (upgrade.h) */
};

/*
 * Starts workers until one ends by itself, is told to end (SIGTERM, SIGINT, SIGHUP, which the caller has
 * blocked, are passed on), or one after the other ends by a signal without having served anything. The
 * process has one thread. Returns 0 in each worker, and 1 in the supervisor, with *status as waitpid(2) gives
 * it, 0 if all was given or is kept; or -errno with @err. A worker on trial has no successor.
 */
int supervise(struct supervised *rec, const struct supervise_hooks *hooks, int *status, struct err *err);

/* True for a signal that says that the worker itself went wrong, and was not killed from outside. */
bool supervised_crashed(const struct supervised *rec);

#endif
