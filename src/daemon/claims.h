/* SPDX-License-Identifier: BSD-3-Clause */
/* The file by which daemons of one user learn who maps what (src/dax/claim.c): opened ahead of the sandbox.
 */
#ifndef DAEMON_CLAIMS_H
#define DAEMON_CLAIMS_H

#include "base/err.h"

/*
 * Beneath /run/colofs for root, else $XDG_RUNTIME_DIR, else /tmp; made if it is not there. Holds nothing.
 * 0 with *fd, the caller's, or -errno with @err.
 */
int claims_open(int *fd, struct err *err);

#endif
