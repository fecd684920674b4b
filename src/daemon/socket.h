/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket that front-ends connect to: made at a path, or inherited. Control thread, at start. */
#ifndef DAEMON_SOCKET_H
#define DAEMON_SOCKET_H

#include "base/err.h"

/* 0 if a socket can be made at @path: nobody listens there, and it is no other kind of file. Makes nothing.
 */
int socket_check(const char *path, struct err *err);

/*
 * Makes it, in place of one that nobody listens on, and listens. Only its user may connect, and the members
 * of @group unless that is NULL. The descriptor, or -errno with @err, and then nothing is left.
 */
int socket_make(const char *path, const char *group, struct err *err);

/* 0 if there is such a group. */
int socket_check_group(const char *group, struct err *err);

/* 0 if @fd is a UNIX stream socket. It is not inherited any further. */
int socket_check_fd(int fd, struct err *err);

#endif
