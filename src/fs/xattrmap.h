/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules that rename extended attributes between guest and host, in the language of both virtiofsd programs
 * (--xattrmap): a list of rules, each with a separator of its own choice, which is its first character.
 *   :TYPE:SCOPE:KEY:PREPEND:   TYPE prefix, ok, bad or unsupported; SCOPE client, server or all
 *   :map:KEY:PREPEND:          what takes several of these, and ends the list
 * The first rule whose scope and text match decides. Pure: no file, no lock, any thread once made.
 */
#ifndef FS_XATTRMAP_H
#define FS_XATTRMAP_H

#include "base/err.h"

#include <linux/limits.h>

struct xattrmap;

/*
 * The rules, compiled; *out is the caller's. 0, -ENOMEM, or -EINVAL with @err: the rule, what is wrong with
 * it, and the remedy. A list that says nothing about security.capability is refused, as by the peers: it is
 * not complete.
 */
int xattrmap_new(const char *rules, struct xattrmap **out, struct err *err);
void xattrmap_free(struct xattrmap *m); /* NULL is allowed */

/*
 * The host's name for the guest's @name. 0, or what the guest gets instead: -EPERM (bad, or no rule),
 * -EOPNOTSUPP (unsupported), -ERANGE (the host's name is too long). Without rules (@m NULL) names are the
 * same.
 */
int xattrmap_to_host(const struct xattrmap *m, const char *name, char host[XATTR_NAME_MAX + 1]);

/* The guest's name for the host's @name, a part of that string; NULL: the guest does not see it. */
const char *xattrmap_to_guest(const struct xattrmap *m, const char *name);

/* The host's name of the guest's security.capability if that is another one, which no kernel takes away when
 * a file changes; else NULL. */
const char *xattrmap_capability(const struct xattrmap *m);

#endif
