/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages with descriptors over UNIX sockets (SCM_RIGHTS). Any thread. */
#ifndef BASE_FDPASS_H
#define BASE_FDPASS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FDPASS_MAX 250 /* Linux passes at most 253 at once */

/* Sends @len bytes (more than none) with @n descriptors, at most FDPASS_MAX. @flags as for sendmsg(2); no
 * SIGPIPE. 0 or -errno. */
int fdpass_send(int socket, const void *data, size_t len, const int *fds, uint32_t n, int flags);
/*
 * Receives a message of at most @size bytes. @fds has room for *@n descriptors, and *@n becomes their number;
 * they are the caller's, and CLOEXEC. The bytes received, 0 at the end, or -errno; -EPROTO: more than there
 * is room for came, and was closed.
 */
ssize_t fdpass_receive(int socket, void *data, size_t size, int *fds, uint32_t *n, int flags);

#endif
