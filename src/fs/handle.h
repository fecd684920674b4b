/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The open-handle table: files and directories that the guest has open. Records lie in the state segment.
 * Threads: any; a user holds a reference, so RELEASE by another thread closes the descriptor only after the
 * last user.
 */
#ifndef FS_HANDLE_H
#define FS_HANDLE_H

#include "base/fdmap.h"
#include "base/idtab.h"
#include "fuse/ops.h"

struct handle {
	struct idtab_rec rec;
	_Atomic uint64_t node;	   /* nodeid it was opened on */
	int32_t fd;		   /* opened with @flags */
	uint32_t flags;		   /* open(2)'s, as the host got them */
	uint8_t is_dir;		   /* 1: directory */
	_Atomic uint8_t flock;	   /* LOCK_SH or LOCK_EX: the flock that it has; 0: none */
	_Atomic uint8_t prompt;	   /* 1: closed at once, as it had a flock */
	_Atomic uint8_t traits;	   /* INODE_FS_*, as far as they are known */
	_Atomic uint32_t released; /* 1: RELEASE has come */
};

struct handle_table;
struct inode_table;
struct segment;

/* A table in @seg's empty section. NULL: out of memory. handle_release_all() comes before
 * handle_table_free(). */
struct handle_table *handle_table_new(struct inode_table *inodes, const struct segment *seg);
void handle_table_free(struct handle_table *t); /* NULL is allowed */

/*
 * For fs_new(), between inode_adopt_begin() and inode_adopt_end(). A handle counts once it has its nodeid,
 * and until RELEASE has come. 0 or -EINVAL.
 */
int handle_table_adopt(struct handle_table *t);
int handle_keep_fds(struct handle_table *t, struct fdmap *map); /* as fs_keep_fds() */
uint32_t handle_table_count(struct handle_table *t);

/*
 * A new handle; on success *fd is taken, else it may have another number (inode_fd_lower()). 0, -ENFILE
 * (table full, or no descriptor to spare), or -ESTALE for a nodeid that names nothing.
 */
int handle_new(
	struct handle_table *t, struct nodeid node, int *fd, uint32_t flags, bool is_dir, struct op_fh *out);

/* As inode_next(), inode_place(), inode_avoid() and inode_tidy(): -EINVAL for a handle or nodeid that cannot
 * be;
 * @fd becomes the table's on success. */
struct handle *handle_next(struct handle_table *t, uint32_t *index);
int handle_place(
	struct handle_table *t, struct op_fh fh, struct nodeid node, int fd, const struct handle *like);
void handle_avoid(struct handle_table *t, struct op_fh fh);
void handle_tidy(struct handle_table *t);

/* The handle with a reference, if it is open, of that nodeid and of that kind; else NULL (EBADF). */
struct handle *handle_get(struct handle_table *t, struct nodeid node, struct op_fh fh, bool is_dir);
void handle_put(struct handle_table *t, struct handle *h); /* NULL is allowed; the last one closes */

/* INODE_FS_* of what the handle is on; asked, if nobody did. */
uint32_t handle_fs_traits(struct handle_table *t, struct handle *h);

struct op_fh handle_fh(const struct handle_table *t, const struct handle *h);

/* RELEASE: the guest's own reference. 0, or -EBADF if it is not open. */
int handle_release(struct handle_table *t, struct nodeid node, struct op_fh fh, bool is_dir);
/* All of them; no request is in flight. */
void handle_release_all(struct handle_table *t);

#endif
