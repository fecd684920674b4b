/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The records of a migration, for migrate_save.c and migrate_load.c only. A change of one is a new
 * version of the stream (MIGRATION_VERSION in daemon/migration.c).
 */
#ifndef FS_MIGRATE_RECORDS_H
#define FS_MIGRATE_RECORDS_H

#include "fs/migrate.h"

/* Then the path without a NUL, and the handle's bytes. Parents come before what lies in them. */
struct saved_inode {
	uint64_t node, nlookup;
	uint32_t type;	     /* S_IFMT */
	uint16_t path_len;   /* SAVED_NO_PATH: none is known */
	uint16_t handle_len; /* 0: none, or not of the root's mount */
	int32_t handle_type;
	uint32_t by_handle; /* 1: the handle says where it is, and not the path */
};
#define SAVED_NO_PATH UINT16_MAX

struct saved_handle {
	uint64_t fh, node;
	uint32_t flags; /* open(2)'s */
	uint32_t is_dir;
	uint32_t flock; /* LOCK_SH, LOCK_EX, 0 */
	uint32_t spare;
};

struct saved_lock {
	uint64_t node, owner, fh, start, end;
	uint32_t type, pid;
};

/* migrate_save.c: takes all locks again that the host lost; how many somebody else has. */
uint32_t fs_locks_resume(struct fs *fs);

#endif
