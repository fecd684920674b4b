/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Real descriptors for the length of an op: a handle's or, where the guest has none, one opened for the
 * moment.
 */
#ifndef FS_FILE_H
#define FS_FILE_H

#include "fs/internal.h"

/* A borrowed descriptor. Usage: autofile struct file_use u = {0}; r = file_use(fs, node, fh, FILE_READ, &u);
 */
struct file_use {
	struct fs *fs;
	struct handle *handle;	/* NULL: opened for the moment */
	struct kept_file *kept; /* or a little longer */
	int fd;
	uint32_t flags;	 /* open(2)'s */
	uint32_t traits; /* INODE_FS_*, as far as they are known; file_traits() */
};
#define autofile __attribute__((cleanup(file_use_end)))

enum file_access { FILE_READ, FILE_WRITE };

/*
 * The descriptor of an open regular file. OP_NO_HANDLE finds or opens one, where the guest sends no OPEN
 * (features.zero_message_open, kept.h) and for regular files only. 0, -EBADF, -ESTALE or what open(2) says;
 * then @u needs no end. A handle that lacks @access is found out by the system call.
 */
int file_use(struct fs *fs, struct nodeid node, struct op_fh fh, enum file_access access, struct file_use *u);
/* The same for a directory. */
int file_use_dir(struct fs *fs, struct nodeid node, struct op_fh fh, struct file_use *u);
/* The regular file or directory itself, opened to read; -EBADF for other inodes. */
int file_use_inode(struct fs *fs, struct nodeid node, struct file_use *u);
/* What a guest's cache writes back need not be aligned: an O_DIRECT handle's descriptor gives way to one
 * without, or stays if none is to be had. */
void file_leave_direct(struct file_use *u, struct nodeid node);
void file_use_end(struct file_use *u);

/* INODE_FS_* of what the descriptor is on. */
uint32_t file_traits(struct file_use *u);

/* Ahead of a system call that may wait for the disk. */
static inline void file_may_block(struct op_ctx *c)
{
	if (c->may_block)
		c->may_block(c, OP_BLOCK_IO);
}

#endif
