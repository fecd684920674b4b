/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A set of descriptor numbers: those that somebody answers for. Who takes over a process' descriptors names
 * what its records hold, and closes the rest. Not thread-safe; for the start.
 */
#ifndef BASE_FDMAP_H
#define BASE_FDMAP_H

#include <stdbool.h>
#include <stdint.h>

struct fdmap {
	uint64_t *bits;
	uint32_t words;
};

/* Adds a number. -1 is no descriptor, and nothing to do. 0, -EINVAL (no number, or one of somebody else's in
 * the set already), or -ENOMEM. */
int fdmap_add(struct fdmap *m, int fd);
void fdmap_remove(struct fdmap *m, int fd); /* one that is not in the set: nothing to do */
bool fdmap_has(const struct fdmap *m, int fd);
int fdmap_next(const struct fdmap *m, int fd); /* the first in the set from @fd on, or -1 */
void fdmap_free(struct fdmap *m);

/* Adds all of this process' descriptors below @end. 0 or -ENOMEM. */
int fdmap_add_open(struct fdmap *m, int end);
/* Adds all of this process' descriptors that are not in @others, with @proc (O_PATH: /proc). 0 or -errno. */
int fdmap_add_others(struct fdmap *m, int proc, const struct fdmap *others);
/* Closes all descriptors of this process that are not in the set. */
void fdmap_close_others(const struct fdmap *m);

#endif
