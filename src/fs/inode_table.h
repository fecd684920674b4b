/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of the inode table, for inode.c (records, hash) and inode_fd.c (descriptors) only.
 *
 * Lock order: a stripe lock, then nothing; the clock lock, then the mount table's or the ID table's.
 */
#ifndef FS_INODE_TABLE_H
#define FS_INODE_TABLE_H

#include "fs/inode.h"
#include "fs/mount.h"

#define INODE_STRIPES 64

/*
 * Inodes whose descriptor may be taken back, visited in a circle. Descriptors of inodes that are open in the
 * guest drop out when the hand finds them, and come back with the last close.
 */
struct inode_clock {
	pthread_mutex_t lock;
	uint64_t *slot; /* IDs, some perhaps of inodes that are gone */
	uint32_t n, max, cap;
	uint32_t hand;
};

struct inode_table {
	struct idtab ids;
	uint32_t *head; /* in the segment; index of the first record in each chain, 0: none; stripe lock */
	uint64_t head_mask;
	pthread_mutex_t stripe[INODE_STRIPES];
	struct mount_table *mounts;
	enum fs_handles handles;
	int fd_ceiling; /* inode_fd_ceiling() at the beginning */
	struct inode_clock clock;
	_Atomic uint32_t fds; /* descriptors that records hold */
};

/* inode_fd.c */

int inode_clock_init(struct inode_clock *c, uint32_t max_fds); /* 0 or -ENOMEM */
void inode_clock_fini(struct inode_clock *c);

/* Gives @fd to a record that nobody else knows yet. */
void inode_fd_give(struct inode_table *t, struct inode *i, int fd);
/* Gives @fd to a record that may have one: then closes @fd. */
void inode_fd_offer(struct inode_table *t, struct inode *i, int fd);
/* The clock may take the record's descriptor back from now on, unless it is pinned; takes others' for it. */
void inode_fd_cache(struct inode_table *t, struct inode *i);
/* Closes the descriptor of a record that nobody else knows any more. */
void inode_fd_drop(struct inode_table *t, struct inode *i);

/* Takes the descriptor for use only if there is one: >= 0, then inode_fd_done(); else -1. */
int inode_fd_peek(struct inode *i);

#endif
