/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that somebody else can take away: a mapping of a file that its owner may truncate. An access to what
 * is gone would end the process (SIGBUS). A guarded mapping gets an empty page of our own there instead, is
 * marked, and a descriptor becomes readable, so that whoever shares the memory with its owner can part with
 * him. What a system call is given and finds gone is EFAULT: guard_touch() marks it.
 * SIGBUS for any other address ends the process as ever. Threads: any.
 */
#ifndef BASE_GUARD_H
#define BASE_GUARD_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#define GUARD_MAX 2048 /* mappings at a time */

/* Installs the handler; once, before the first access. 0 or -errno with @err. */
int guard_setup(struct err *err);

/* Readable (an eventfd, not blocking) once some mapping was marked, until it is read. -1 before
 * guard_setup(). */
int guard_fd(void);

/*
 * Guards [start, start + len), made of pages of @page bytes. Returns its number, or -ENOSPC: too many
 * mappings. guard_drop() ahead of unmapping; nobody may use the memory then.
 */
int guard_add(void *start, size_t len, size_t page);
void guard_drop(int guard);

/* Whether an access found something of it gone. */
bool guard_hit(int guard);

/* Reads a byte of each page that the vector touches: what is gone is noticed. Pieces that do not begin in a
 * guarded mapping are left alone. */
void guard_touch(const struct iovec *iov, unsigned int n);

#endif
