/* SPDX-License-Identifier: BSD-3-Clause */
/* Which socket listens at a path. One thread. */
#ifndef TOOLS_LISTENER_H
#define TOOLS_LISTENER_H

#include "base/err.h"

/*
 * The inode number, as /proc/PID/fd has it, of the one socket of this network namespace that listens at
 * @path. 0 or -errno with @err: nobody listens there, or it cannot be told who.
 */
int listener_find(const char *path, unsigned long *number, struct err *err);

#endif
