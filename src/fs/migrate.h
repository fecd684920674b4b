/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a file system knows of a guest, as records of a stream, so that another daemon's goes on: inodes by
 * path or by file handle, open files, locks, and the data of open files without a name. The guest must not
 * have requests in flight while it is saved or loaded; requests may run beside fs_paths_...(). One thread at
 * a time. What the other side does about an inode that it does not find is its --migration-on-error.
 */
#ifndef FS_MIGRATE_H
#define FS_MIGRATE_H

#include "base/stream.h"
#include "fs/fs.h"

#include <stdatomic.h>

/* Kinds of records that are ours, from here on. */
enum {
	FS_RECORD_FIRST = 16,
	FS_RECORD_INODE = FS_RECORD_FIRST,
	FS_RECORD_DATA,
	FS_RECORD_HANDLE,
	FS_RECORD_LOCK,
	FS_RECORD_WINDOW,
	FS_RECORD_LAST = FS_RECORD_WINDOW
};

struct path_table;

/*
 * Paths, gathered while the guest still runs so that its pause is short: *paths is NULL at first, made by the
 * first call, brought up to date by each; the caller's for fs_paths_drop(). Ends early once *@stop.
 */
void fs_paths_gather(struct fs *fs, struct path_table **paths, const _Atomic bool *stop);
void fs_paths_drop(struct path_table **paths);

/*
 * Writes all records. Then the guest's locks, and claims to files that it maps, are gone from the host, so
 * that the other side can have them: fs_save_undo() takes them again if the guest goes on here.
 */
void fs_save(struct fs *fs, struct path_table **paths, struct stream *out, const _Atomic bool *stop);
void fs_save_undo(struct fs *fs);
/* An earlier process, whose records these are, may have saved: as after fs_save(). */
void fs_save_doubt(struct fs *fs);

/*
 * The other side, where no session lives: fs_load_begin(), fs_load() for each record of FS_RECORD_FIRST and
 * above in the order in which they were saved, fs_load_end() whatever came of it. 0 or -errno with @err;
 * after an error the caller ends the session (fuse_ops.destroy) ahead of fs_load_end(). With
 * --migration-on-error=guest-error only records that cannot be right are errors, and what the window had and
 * has not here; log lines tell of what was not found, and the guest gets errors. fs_load_begin() returns NULL
 * without memory; fs_load_end() frees.
 */
struct fs_load;
struct fs_load *fs_load_begin(struct fs *fs);
int fs_load(struct fs_load *l, uint32_t kind, struct cursor payload, struct err *err);
void fs_load_end(struct fs_load *l);

#endif
