/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Migration: the state of session and file system as a stream, to or from a descriptor of the front-end's, by
 * a thread of its own so that the control thread goes on. Of the control thread, all of it; queues rest from
 * migration_begin() on.
 */
#ifndef DAEMON_MIGRATION_H
#define DAEMON_MIGRATION_H

#include "fs/migrate.h"
#include "fuse/session.h"
#include "vhost/device.h"

struct migration;

/* NULL: no memory or descriptors. Session, file system and device must outlive it. @adopt: they are an
 * earlier process's, which may have ended amid a migration. */
struct migration *migration_new(
	struct fuse_session *session, struct fs *fs, struct vhost_device *device, bool adopt);
void migration_free(struct migration *m); /* as migration_cancel(); NULL is allowed */

/* One is likely to come: what can be prepared while the guest runs is. Or it is not. */
void migration_expect(struct migration *m, bool expected);

/* Begins to save to @fd or to load from it; @fd becomes the migration's in every case. 0 or -errno. */
int migration_begin(struct migration *m, bool save, int fd, struct err *err);
/*
 * Waits for the end, at most a second at a time for a front-end that should be done. 0, or -errno with @err.
 * A state that could not be loaded leaves no session.
 */
int migration_end(struct migration *m, struct err *err);

/* The guest goes on here after all. */
void migration_resume(struct migration *m);
/* The session ends. NULL is allowed. */
void migration_cancel(struct migration *m);
/* The connection is gone. True if the guest goes on elsewhere, or may: what is here is of no use any more. */
bool migration_leave(struct migration *m);

#endif
