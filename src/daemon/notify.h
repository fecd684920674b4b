/* SPDX-License-Identifier: BSD-3-Clause */
/* Tells the service manager how far we are (sd_notify(3)'s protocol). No error is worth ending for. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

/* A descriptor that notify_send() takes, -1 if nobody wants to be told. Programs we start are not to tell. */
int notify_open(void);
void notify_send(int fd, const char *state);

#endif
