/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the daemon has outside of its sandbox: the socket's file, the pid file, the service manager, the
 * terminal. All of it belongs to the process that was there first: the one that starts programs (launch.h);
 * with --no-recover, the parent that waits outside of the sandbox, or without a sandbox the one that serves.
 */
#ifndef DAEMON_OUTSIDE_H
#define DAEMON_OUTSIDE_H

#include "daemon/detach.h"
#include "daemon/options.h"

#include <limits.h>

struct outside {
	const char *socket_path;     /* NULL: the socket was inherited */
	char pid_path[PATH_MAX + 8]; /* "": no pid file */
	int socket;		     /* listening or connected */
	int pid_file, notify;	     /* -1: none */
	bool keeps;		     /* the service manager keeps descriptors: the child may tell it, too */
	uint32_t watchdog;	     /* milliseconds within which OUTSIDE_ALIVE is to be told; 0: never */
	struct detach detach;
};

/* Words for it, of the process that serves. */
#define OUTSIDE_READY	 'R'
#define OUTSIDE_STOPPING 'S'
#define OUTSIDE_ALIVE	 'A'

/* Looks at everything that the options name, and makes nothing. 0 or -errno with @err. */
int outside_check(const struct options *o, struct err *err);
/* Goes to the background if asked to, and makes socket and pid file. 0 or -errno with @err, and nothing is
 * left. */
int outside_make(struct outside *out, const struct options *o, struct err *err);

struct line_message;
/* The same for who takes over from another: what @m and @fds give (line.h), which are his now. The window's
 * descriptors and the giver's (-1: none) are given back. */
struct outside_taken {
	int from, claims, copies;
};
void outside_take(struct outside *out, const struct options *o, const struct line_message *m, const int *fds,
	struct outside_taken *taken);

/* For the process that has it; @arg is the struct outside. What was told may be told again. */
void outside_told(void *arg, char word);
void outside_remove(void *arg);

/* In its child: all of it stays there, but for the socket itself. */
void outside_leave(struct outside *out);

#endif
