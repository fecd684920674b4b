/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stays open between the requests of a guest that opens nothing itself (features.zero_message_open):
 * files that it reads or writes again, and directories that it lists. A bounded number, and only while it is
 * used: what was not for half a second or so is closed, by a thread that sleeps while nothing is kept. It can
 * be had again at any time, so it lies in no segment. Threads: any.
 */
#ifndef FS_KEPT_H
#define FS_KEPT_H

#include "fuse/ops.h"

struct fs;
struct kept;

/* A file's descriptor. Who uses it may read @traits. */
struct kept_file {
	_Atomic uint64_t fd;   /* fd_slot.h */
	_Atomic uint64_t node; /* changed with the lock held, while there is no descriptor; as @traits */
	_Atomic uint64_t last; /* what was opened last */
	_Atomic uint32_t used; /* since the last round */
	uint32_t traits;       /* INODE_FS_* */
};

struct kept *kept_new(struct fs *fs); /* NULL: out of memory */
/* Ends the thread. NULL is allowed. */
void kept_free(struct kept *k);

/* A descriptor for reading or for writing, for use, then kept_done(). NULL: none is kept. */
struct kept_file *kept_use(struct kept *k, struct nodeid node, bool write, int *fd);
/* @fd was opened to read or to write, and is the caller's: a copy is kept if it was the same file before. */
void kept_add(struct kept *k, struct nodeid node, bool write, int fd, uint32_t traits);
void kept_done(struct kept_file *f);

/* A directory's handle changes hands: OP_NO_HANDLE if none is kept; false if it is not kept. */
struct op_fh kept_take_dir(struct kept *k, struct nodeid node);
bool kept_put_dir(struct kept *k, struct nodeid node, struct op_fh fh);

/* The guest forgot the inode. */
void kept_forget(struct kept *k, struct nodeid node);
/* Closes all, but for the directories: their handles go with the table's. No other call runs meanwhile, but
 * the thread goes on. NULL is allowed. */
void kept_forget_all(struct kept *k);

#endif
