/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The service manager: tells it how far we are (sd_notify(3)'s protocol), and that we are alive
 * (sd_watchdog_enabled(3)); takes the socket that it listens on for us (sd_listen_fds(3)). What it said
 * stands in the environment, and is removed there: programs that we start are not meant. Control thread, at
 * start.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* A descriptor that notify_send() takes, -1 if nobody wants to be told. No error is worth ending for. */
int notify_open(void);
void notify_send(int fd, const char *state);

/* Every how many milliseconds it is to be told that we are alive, at the least; 0: it does not ask. */
uint32_t notify_watchdog(void);

/* True if it keeps descriptors across restarts. */
bool notify_keeps(void);
#define NOTIFY_STORE_NAME "colofs" /* what it calls ours */
#define NOTIFY_LINE_NAME  "colofs-line"

/* What it passed to this process; 0: nothing. -EINVAL with @err: several sockets. */
struct notify_passed {
	int socket; /* listening */
	int store;  /* what it kept (daemon/store.h) */
	int line;   /* to the process that started us to take over (daemon/launch.h) */
};
int notify_passed(struct notify_passed *out, struct err *err);

#endif
