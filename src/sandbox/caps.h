/* SPDX-License-Identifier: BSD-3-Clause */
/* Capabilities: which of them the daemon keeps. One thread, at start. */
#ifndef SANDBOX_CAPS_H
#define SANDBOX_CAPS_H

#include "sandbox/sandbox.h"

/* 0, or -EINVAL with @err, which says what is wrong with a list like "+sys_admin:-mknod". */
int caps_check(const char *modcaps, struct err *err);

/* 0 if the process has what @cfg->modcaps adds, -EPERM with @err if not. */
int caps_check_added(const struct sandbox_config *cfg, struct err *err);

/* True if the process has this capability and will keep it. */
bool caps_will_keep(const struct sandbox_config *cfg, unsigned int cap);

/* Gives up all others, for good. 0 or -errno with @err. */
int caps_reduce(const struct sandbox_config *cfg, struct err *err);

/* Likewise all but what the waiting parent needs, which is to remove files where that is its task
 * (@cfg->parent.end), and to end a child that is not the same user any more (mapped ids). */
int caps_reduce_parent(const struct sandbox_config *cfg, struct err *err);

/* Those for removing files stay in use, all others stay permitted only. 0 or -errno
 * with @err. */
int caps_rest(struct err *err);

#endif
