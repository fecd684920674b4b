/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The value of system.posix_acl_access and system.posix_acl_default (Linux, include/uapi/linux/
 * posix_acl_xattr.h): a version of 4 bytes, then entries of 8 bytes, tag, permissions and id, little-endian.
 * Here only the ids of named users and groups are translated, in place; whether the ACL makes sense is the
 * host kernel's to judge. Pure: any thread.
 */
#ifndef FS_ACL_H
#define FS_ACL_H

#include "fs/idmap.h"

#include <stdbool.h>
#include <stddef.h>

bool acl_is_name(const char *name);

/*
 * From the guest, which may have written anything. 0; what the host's kernel says of such a value: -EINVAL
 * (no whole number of entries), -EOPNOTSUPP (another version); or -EPERM for an id that is forbidden: @value
 * is then of no use any more. An empty value takes the ACL away, and is fine.
 */
int acl_to_host(void *value, size_t len, const struct idmap *uids, const struct idmap *gids);
/* From the host. 0, -EINVAL or -EOPNOTSUPP. */
int acl_to_guest(void *value, size_t len, const struct idmap *uids, const struct idmap *gids);

#endif
