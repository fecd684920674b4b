/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The records of a migration, for migrate_save.c and migrate_load.c only. A change of one is a new
 * version of the stream (MIGRATION_VERSION in daemon/migration.c).
 */
#ifndef FS_MIGRATE_RECORDS_H
#define FS_MIGRATE_RECORDS_H

#include "fs/migrate.h"

/* How an inode is found. */
enum {
	SAVED_PATH,	/* by its path; and if there is a handle too, what is found must have that */
	SAVED_HANDLE,	/* by its handle, the path is what it was called */
	SAVED_LOST,	/* nobody knows where it is */
	SAVED_GONE,	/* not at all: it has no name any more, and the guest has no use for it either */
	SAVED_NAMELESS, /* it has no name any more, and is open: struct saved_nameless follows, then its data
			   as records of their own, of which the last is empty */
	SAVED_WAYS
};

/*
 * Then the path without a NUL, and the handle's bytes; of SAVED_NAMELESS instead of both the structure below.
 * Parents come before what lies in them.
 */
struct saved_inode {
	uint64_t node, nlookup;
	uint32_t type; /* S_IFMT */
	uint16_t path_len;
	uint16_t handle_len; /* 0: none, or not of the root's mount */
	int32_t handle_type;
	uint32_t way; /* SAVED_... */
};

/* A regular file; ids are the host's. */
struct saved_nameless {
	uint64_t size;
	int64_t atime, mtime; /* seconds */
	uint32_t atime_ns, mtime_ns;
	uint32_t mode, uid, gid, spare;
};

/* Then up to SAVED_DATA_MAX bytes, of the inode that came last. None: there is no more. */
struct saved_data {
	uint64_t node, off;
};
#define SAVED_DATA_MAX (STREAM_RECORD_MAX - sizeof(struct saved_data))

struct saved_handle {
	uint64_t fh, node;
	uint32_t flags; /* open(2)'s, of SAVED_FLAGS */
	uint32_t is_dir;
	uint32_t flock; /* LOCK_SH, LOCK_EX, 0 */
	uint32_t spare;
};
#define SAVED_FLAGS ((uint32_t)(O_ACCMODE | O_APPEND | O_DIRECT | O_SYNC | O_DSYNC | O_NOATIME))

struct saved_lock {
	uint64_t node, owner, fh, start, end;
	uint32_t type, pid;
};

/* A range of the window that shows [@file_off, + @len) of a file. */
struct saved_window {
	uint64_t node, file_off, window_off, len;
	uint32_t write, spare;
};

/* migrate_save.c: takes all locks again that the host lost; how many somebody else has. */
uint32_t fs_locks_resume(struct fs *fs);

#endif
