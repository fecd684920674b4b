/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the inodes that a guest knows lie, as paths beneath the share: for migration, and nothing else, as no
 * path is trusted for longer than it takes to open it. One thread at a time; requests may run meanwhile.
 */
#ifndef FS_PATHS_H
#define FS_PATHS_H

#include "fs/internal.h"

#include <limits.h>

/* Walks from the share down, one component at a time, and keeps the last directory open: paths in order cost
 * little more than one system call each. */
struct path_walk {
	const struct fs *fs;
	int fd;		    /* of the directory; -1: none yet */
	size_t len;	    /* of @dir */
	char dir[PATH_MAX]; /* beneath the share, "": that itself; no NUL at its end */
};

void path_walk_init(struct path_walk *w, const struct fs *fs);
void path_walk_end(struct path_walk *w);
/* An O_PATH descriptor of what lies at @path beneath the share ("": the share), no symbolic link followed.
 * -errno. */
int path_open(struct path_walk *w, const char *path);
/* Of the directory that @path, which is not "", ends in, and *name within it; the walk's until its next use.
 * -errno. */
int path_parent(struct path_walk *w, const char *path, const char **name);

/* A path by which path_open() found just now what the O_PATH descriptor @fd is of; the caller's to free.
 * NULL: it has none, or none was found without looking at the whole tree. */
char *path_of_fd(struct path_walk *w, int fd);

/*
 * Paths of all inodes. Where the host's kernel does not know an inode's any more, but it has a name, the tree
 * is searched, unless inodes migrate by file handle.
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
