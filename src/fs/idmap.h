/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Translation of user or group ids between guest and host (--translate-uid, --translate-gid): one map for
 * each of the two kinds, and within it one table for each direction, independent of each other. Ids that no
 * rule names stay as they are. Pure: no file, no lock; any thread once the rules are in.
 */
#ifndef FS_IDMAP_H
#define FS_IDMAP_H

#include "base/err.h"

#include <stdint.h>

#define IDMAP_NONE UINT32_MAX /* no id: says "leave it" to the kernel. Never translated, never a result */

struct idmap;

struct idmap *idmap_new(void); /* NULL: out of memory */
void idmap_free(struct idmap *m);

/*
 * Adds one rule, all numbers decimal:
 *   guest:GUEST:HOST:COUNT         GUEST ... become HOST ... on the host
 *   host:HOST:GUEST:COUNT          HOST ... become GUEST ... in the guest
 *   squash-guest:GUEST:HOST:COUNT  all of GUEST ... become HOST
 *   squash-host:HOST:GUEST:COUNT   all of HOST ... become GUEST
 *   forbid-guest:GUEST:COUNT       the guest may not use GUEST ...
 *   map:GUEST:HOST:COUNT           guest: and host: together
 * 0, -ENOMEM, or -EINVAL with @err, which says what is wrong and the remedy: a range that reaches past the
 * last id (4294967294), or whose ids another rule of that direction has taken. A count of 0 says nothing.
 */
int idmap_add(struct idmap *m, const char *rule, struct err *err);

/* The id on the host of the guest's @id: 0, or -EPERM if that is forbidden. @m NULL: the same. */
int idmap_to_host(const struct idmap *m, uint32_t id, uint32_t *out);
uint32_t idmap_to_guest(const struct idmap *m, uint32_t id);

#endif
