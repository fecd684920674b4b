/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the inodes that a guest knows lie, as paths beneath the share: for migration, and nothing else, as no
 * path is trusted for longer than it takes to open it. One thread at a time; requests may run meanwhile.
 */
#ifndef FS_PATHS_H
#define FS_PATHS_H

#include "fs/internal.h"

/* An O_PATH descriptor of what lies at @path beneath the share ("": the share), no symbolic link followed.
 * -errno. */
int path_open(const struct fs *fs, const char *path);

/* A path by which path_open() found the inode just now; the caller's to free. NULL: it has none, or none was
 * found without looking at the whole tree. */
char *path_find(struct fs *fs, struct inode *i);

/* The same for any O_PATH descriptor of an inode. */
char *path_of_fd(const struct fs *fs, int fd);

/*
 * Paths of all inodes. Where the host's kernel does not know an inode's any more, the tree is searched,
 * unless inodes migrate by file handle.
 * Ends early, with fewer, once *@stop. NULL: out of memory.
 */
struct path_table;
struct path_table *path_table_new(struct fs *fs, const _Atomic bool *stop);
/* Makes it right for now: inodes that are new, and with @confirm also those whose path leads elsewhere. */
void path_table_refresh(struct path_table *t, struct fs *fs, bool confirm, const _Atomic bool *stop);
/* NULL: none was found. Valid until the next refresh. */
const char *path_table_get(const struct path_table *t, const struct inode *i, struct fs *fs);
void path_table_free(struct path_table *t); /* NULL is allowed */

#endif
