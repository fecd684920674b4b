/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of the inode table, for inode.c (records, hash), inode_fd.c (descriptors), inode_idle.c (those
 * that nobody uses) and mount.c only.
 *
 * Lock order: a stripe lock, then nothing; a clock's lock, then the mount table's or the ID table's.
 */
#ifndef FS_INODE_TABLE_H
#define FS_INODE_TABLE_H

#include "fs/inode.h"
#include "fs/mount.h"

#define INODE_STRIPES 64
#define EVICT_STEPS   4096u /* records looked at for one that may go */

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

/* The thread that gives up what pins host mounts beneath the share without being used. */
struct inode_idle {
	pthread_t thread;
	pthread_cond_t wake; /* with the lock of the clock @away */
	bool running, stop;  /* that lock */
	bool woken;	     /* since the round began; that lock */
	bool resting;	     /* nothing is there to give up; that lock */
};

struct inode_table {
	struct idtab ids;
	uint32_t *head; /* index of the first record in each chain, 0: none; stripe lock */
	uint64_t head_mask;
	pthread_mutex_t stripe[INODE_STRIPES];
	struct mount_table *mounts;
	enum fs_handles handles;
	_Atomic uint32_t evict_hand;
	int fd_ceiling;		  /* inode_fd_ceiling() at the beginning */
	struct inode_clock clock; /* of the inodes on the root's mount */
	struct inode_clock away;  /* of those on others */
	struct inode_idle idle;
	_Atomic uint32_t fds;	  /* descriptors that records hold */
	_Atomic uint32_t removed; /* of those, INODE_REMOVED's */
};

/* inode.c: the record joins the chain of its key. Before other threads exist. */
void inode_chain(struct inode_table *t, struct inode *i);

/* inode_adopt.c: 0, or -EINVAL if the share's root is another one than @cfg's. */
int inode_adopt_begin(struct inode_table *t, const struct fs_config *cfg);

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

/* With @c's lock held, and slots in use: the hand moves one on. True if that slot is gone; *gone is a
 * descriptor to close, if it is set. */
bool inode_clock_step(struct inode_table *t, struct inode_clock *c, int *gone);

/* There is a descriptor at the moment. */
bool inode_fd_held(struct inode *i);
/* Takes the descriptor for use only if there is one: >= 0, then inode_fd_done(); else -1. */
int inode_fd_peek(struct inode *i);

/* inode_idle.c */

void inode_idle_init(struct inode_table *t);
void inode_idle_fini(struct inode_table *t);
/* With the lock of the clock @away held: there is something to give up when it is not used. */
void inode_idle_wake(struct inode_table *t);
void inode_idle_notice(struct inode_table *t); /* the same without that lock */

#endif
