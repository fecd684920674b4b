/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who holds which record locks. Each owner has a record, and an open file description of his own, for each
 * inode that he locks; so owners in one guest, in several guests and on the host all see each other. What the
 * host knows only as "somebody's lock" is noted here by owner, as ranges: a deadlock cannot be seen
 * otherwise, nor a holder's pid. Owners and ranges lie in the state segment.
 * Threads: any. Host and notes change together under the table's mutex, which is never held over a system
 * call that waits for a lock.
 */
#ifndef FS_LOCK_TABLE_H
#define FS_LOCK_TABLE_H

#include "fs/internal.h"

#include <fcntl.h>

#define LOCK_END INT64_MAX /* struct op_lock's end for "to the end of the file" */

struct lock_owner {
	struct idtab_rec rec;
	uint64_t node, owner;
	_Atomic uint64_t fh;	 /* the handle that he locked by last */
	_Atomic int32_t fd;	 /* his description; 0 until the record counts */
	_Atomic uint32_t pid;	 /* in the guest, of who locked last */
	_Atomic uint32_t ranges; /* index of the first, 0: no locks; sorted, apart; mutex */
	uint32_t spare;
};

/* The owner of (node, owner) with a reference, or NULL if there is none. */
struct lock_owner *lock_owner_get(struct lock_table *t, struct nodeid node, uint64_t owner);

/* The same, made around *fd if there was none; then *fd is taken. -ENOLCK: the table is full. */
int lock_owner_make(
	struct lock_table *t, struct nodeid node, uint64_t owner, int *fd, struct lock_owner **out);

/* Gives the reference back; without locks or other users the owner is forgotten. NULL is allowed. */
void lock_owner_put(struct lock_table *t, struct lock_owner *o);

/* A change of locks on its way. */
struct lock_change {
	struct op_lock lk; /* checked; end at most LOCK_END */
	struct flock host; /* the same for the host */
};

/* Checks the guest's range and type: 0 or -EINVAL. */
int lock_change_init(struct lock_change *ch, const struct op_lock *lk);
/*
 * Makes the change, unless a lock is in the way: -EAGAIN. -ENOLCK, and nothing has changed: no room for more
 * ranges; unlocking a whole file always has room. Doing it twice is as good as once.
 */
int lock_change_try(struct lock_table *t, struct lock_owner *o, struct lock_change *ch);
/*
 * The same for a lock that the host has just granted: made again with the books, as nothing if it is still
 * there, as a new one if another thread of the owner unlocked it meanwhile. After an error the host has what
 * the books say.
 */
int lock_change_granted(struct lock_table *t, struct lock_owner *o, struct lock_change *ch);

/* Unlocks the whole file for the owner, if he has locks there. Never in vain: what the host cannot unlock
 * goes with its description. */
void lock_owner_unlock_all(struct lock_table *t, struct nodeid node, uint64_t owner);
/* Unlocks what owners locked by @fh last. */
void lock_table_unlock_handle(struct lock_table *t, struct nodeid node, struct op_fh fh);

/* The pid in the guest of an owner other than @owner with the lock @seen; 0: nobody in this daemon has it. */
uint32_t lock_holder_pid(
	struct lock_table *t, struct nodeid node, uint64_t owner, const struct op_lock *seen);

/* So many ranges for so many owners; one alone may have half of them, as a change needs both lists. */
#define LOCK_RANGES_MAX(owners) ((uint64_t)(owners)*16)

/*
 * Locks that go elsewhere. Suspended, the table keeps its books, also those of changes, but the host's locks
 * are gone; resumed, it takes them again, and forgets those that somebody else has by now: how many.
 */
void lock_table_suspend(struct lock_table *t);
uint32_t lock_table_resume(struct lock_table *t);
/* The books are an earlier process's, whose table may have been suspended: this one is until resumed. */
void lock_table_doubt(struct lock_table *t);

/* One range of one owner. */
struct lock_note {
	uint64_t node, owner, fh, start, end;
	uint32_t type, pid;
};

/* Calls @each for every range. */
void lock_table_each(struct lock_table *t, void (*each)(void *arg, const struct lock_note *n), void *arg);

/* lock.c: enters a range into a suspended table. -EINVAL, or what opening the file gives. */
int lock_note_take(struct fs *fs, const struct lock_note *n);

/* Who waits for which lock. It lies on the waiting thread's stack. */
struct lock_wait {
	struct nodeid node;
	uint64_t owner;
	const struct op_lock *want;
	/* The table's, mutex. */
	struct lock_wait *next, *todo;
	bool seen;
};

/*
 * From now on @w waits, until lock_wait_end(). -EDEADLK, and it does not, if somebody whom it would wait for
 * waits for @w's owner, at however many removes. An edge of that graph is not stored: whoever waits, waits
 * for all whose ranges are in his way now. So it is enough to look when a wait begins: a lock that is got
 * later, by an owner who then runs, closes no circle before its owner waits himself.
 */
int lock_wait_begin(struct lock_table *t, struct lock_wait *w);
void lock_wait_end(struct lock_table *t, struct lock_wait *w);

#endif
