/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that was started, and that its user, the service manager and the pid file know. It stays as it
 * was, with the rights that it was given, so that it can start a daemon again: the first is its child, and on
 * SIGUSR2 it starts the program that is installed now, which takes over from the one that serves
 * (upgrade.h). It passes other signals on, hears words, and ends as the last daemon did. One thread.
 */
#ifndef DAEMON_LAUNCH_H
#define DAEMON_LAUNCH_H

#include "base/err.h"
#include "daemon/outside.h"

struct launch_config {
	struct outside *outside;
	char *const *argv;
	int claims, copies;	       /* the window's; -1: none */
	void (*in_parent)(void *arg);  /* gives up what only the child needs */
	void (*in_program)(void *arg); /* gives up what another program must not have */
	void *arg;
};

/* Returns only in the child: 0, with its end of the line (line.h); or -errno with @err in the caller. */
int launch(const struct launch_config *cfg, int *line, struct err *err);

#endif
