/* SPDX-License-Identifier: BSD-3-Clause */
/* A file with our process id, locked (flock) as long as we run: two daemons cannot have the same one. */
#ifndef DAEMON_PIDFILE_H
#define DAEMON_PIDFILE_H

#include "base/err.h"

/* 0 unless another process holds it. Makes nothing. */
int pidfile_check(const char *path, struct err *err);

/* Makes, locks and fills it. The descriptor that holds the lock, or -errno with @err. */
int pidfile_make(const char *path, struct err *err);

#endif
