/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inode table: which host inodes the guest knows. Records lie in the state segment (no pointers).
 * A record holds an O_PATH descriptor, or the file handle from which one can be had again; descriptors that
 * only save reopening are budgeted (fs_config.max_fds) and taken back, least recently used first as far as a
 * clock hand can tell.
 *
 * Threads: any. A user holds a reference (inode_get ... inode_put), so the record and its descriptor stay his
 * meanwhile. The lookup count and the hash chains are guarded by the bucket's stripe lock.
 */
#ifndef FS_INODE_H
#define FS_INODE_H

#include "base/fdmap.h"
#include "base/idtab.h"
#include "fs/fs.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define INODE_HANDLE_MAX 64 /* bytes of a file handle that a record can hold; longer ones: descriptor */

/*
 * What a host inode is recognised by (design decision 4). The birth time alone may change while the inode
 * lives: overlayfs shows another one after it copied a file up.
 */
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000u /* Linux 6.8; what does not know it answers STATX_MNT_ID */
#endif
#define INODE_KEY_MASK (STATX_TYPE | STATX_INO | STATX_BTIME | STATX_MNT_ID | STATX_MNT_ID_UNIQUE)

struct inode_key {
	uint64_t dev, ino, mnt_id;
	uint64_t btime; /* nanoseconds; 0 where the file system has none */
	uint32_t type;	/* S_IFMT */
};

struct inode {
	struct idtab_rec rec;
	uint64_t nlookup;	/* what the guest has to give back; stripe lock */
	_Atomic uint64_t fd;	/* the O_PATH descriptor (fd_slot.h) */
	struct inode_key key;	/* never changes while the record lives */
	uint32_t hash_next;	/* index; stripe lock */
	_Atomic uint32_t opens; /* handles open on it: while > 0 the descriptor is not taken back */
	_Atomic uint8_t flags;	/* INODE_* */
	uint8_t handle_len;	/* 0: none yet; written once, before the descriptor is first taken back */
	uint16_t mount;		/* index in the mount table, 0: none */
	int32_t handle_type;
	uint8_t handle[INODE_HANDLE_MAX];
};
static_assert(sizeof(struct inode) <= 160, "a million inodes cost at most 160 MB");

#define INODE_PINNED  1u   /* the descriptor is never taken back: no file handle can be had */
#define INODE_USED    2u   /* the clock hand has not passed since its descriptor was used */
#define INODE_CACHED  4u   /* its descriptor is among those that the clock hand visits; clock lock */
#define INODE_KNOWNS  8u   /* the last name looked up in this directory was known: a guess at the next */
#define INODE_MIXED   16u  /* its number is mixed with its device's */
#define INODE_MOUNT   32u  /* a directory that is a mount of its own to a guest that knows of mounts */
#define INODE_SGID    64u  /* a regular file with SGID, without group execution, when the guest saw it */
#define INODE_REMOVED 128u /* no name is left, the descriptor alone keeps it: PINNED too */

struct inode_table;

/*
 * A table in @seg's empty sections that knows the root. Takes no descriptor of @cfg; both outlive the table.
 * Probes whether file handles work beneath the share (fs_new() says what follows). 0 or -errno with @err.
 */
int inode_table_new(
	const struct fs_config *cfg, const struct segment *seg, struct inode_table **out, struct err *err);
/*
 * With @seg->adopt the table is an earlier process's, and made usable in three steps: inode_adopt_begin()
 * (within inode_table_new()) forgets what only threads held; inode_adopt_open() says that an open handle has
 * the inode, false if there is none; inode_adopt_end() frees what nobody has, and rebuilds the rest. A record
 * counts while it has lookups or handles. 0 or -EINVAL.
 */
bool inode_adopt_open(struct inode_table *t, struct nodeid node);
int inode_adopt_end(struct inode_table *t);
int inode_keep_fds(struct inode_table *t, struct fdmap *map); /* as fs_keep_fds() */
/* The index of the inode with this key; 0 if the guest does not know it. */
uint32_t inode_index(struct inode_table *t, const struct inode_key *key);
/* Its nodeid; 0 if the guest does not know it. One thread. */
struct nodeid inode_known(struct inode_table *t, const struct inode_key *key);

/* For sweeps: the first inode from *index on, with a reference, and *index is behind it; NULL: none is left.
 */
struct inode *inode_next(struct inode_table *t, uint32_t *index);

/* Somebody else's record of a host inode. */
struct inode_arrival {
	struct nodeid node; /* that it shall have */
	uint64_t nlookup;
	struct inode_key key;
	int fd;	     /* O_PATH, on the host inode; becomes the table's in any case */
	bool pinned; /* nothing else leads to it */
};

/*
 * For a table that knows only the root: makes the record. -ENFILE, -EOPNOTSUPP as inode_learn(); -EINVAL: no
 * such nodeid, or it is another's. inode_avoid(): @node will never name anything. After either nothing is
 * learnt or forgotten until inode_tidy(). One thread.
 */
int inode_place(struct inode_table *t, const struct inode_arrival *a);
/* What the root's mount has by this file handle, wherever that lies: an O_PATH descriptor or -errno. */
struct file_id;
int inode_open_by_id(struct inode_table *t, const struct file_id *id);
void inode_avoid(struct inode_table *t, struct nodeid node);
void inode_tidy(struct inode_table *t);

/* Closes every descriptor, unless @leave says that another process goes on with them and the records, which
 * stay in the segment. NULL is allowed. */
void inode_table_free(struct inode_table *t, bool leave);
/* Inodes that the guest knows, the root among them; descriptors that the table holds. */
void inode_table_count(struct inode_table *t, uint32_t *inodes, uint32_t *fds);

/*
 * Descriptors with this number and above are left for the daemon itself: who would keep one for the guest
 * answers -ENFILE, so that no guest can starve the others' work of descriptors.
 */
int inode_fd_ceiling(void);
/* Moves *fd below that, if need be to where something was that waited to be closed, or a file that the guest
 * has not open, which it loses. False: there is no place, and *fd is some number still. */
bool inode_fd_lower(struct inode_table *t, int *fd);

/* As fs_uses_handles() says. */
bool inode_uses_handles(const struct inode_table *t);

static inline uint64_t inode_birth_of(const struct statx *st)
{
	if (!(st->stx_mask & STATX_BTIME))
		return 0;
	return (uint64_t)st->stx_btime.tv_sec * 1000000000 + st->stx_btime.tv_nsec;
}

/* Of what statx(2) said to INODE_KEY_MASK or more. */
static inline struct inode_key inode_key_of(const struct statx *st)
{
	return (struct inode_key){
		.dev = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor,
		.ino = st->stx_ino,
		.mnt_id = st->stx_mask & (STATX_MNT_ID | STATX_MNT_ID_UNIQUE) ? st->stx_mnt_id : 0,
		.btime = inode_birth_of(st),
		.type = st->stx_mode & S_IFMT,
	};
}

/* In all but the birth time, which may change while the inode lives. */
static inline bool inode_key_same(const struct inode_key *a, const struct inode_key *b)
{
	return a->ino == b->ino && a->dev == b->dev && a->mnt_id == b->mnt_id && a->type == b->type;
}

/*
 * Makes of a host inode's number the one that a guest sees to whom the whole share is one file system (no
 * features.submounts): beneath the root's device the same, else one mixed of both numbers, so that it stays
 * what it is and meets another one's only by chance (1 in 2^64).
 */
void inode_number(struct inode_table *t, uint64_t dev, uint64_t *ino);

/*
 * The same for a guest that knows of mounts (features.submounts): within each, numbers are what they are on
 * the device of its root. Mixed are those of inodes on other devices (subvolumes, layers of an overlay, a
 * file bound from another file system), and a mount's root's, which Linux shows among its parent's inodes
 * until somebody enters it. inode_mark() notes INODE_MIXED or INODE_MOUNT on an inode that the guest has
 * looked up. inode_number_mounted(), and inode_number_listed() for an entry of a directory, or for itself:
 * somebody keeps that inode.
 */
void inode_mark(struct inode_table *t, struct nodeid node, uint8_t flags);
bool inode_had_sgid(struct inode_table *t, struct nodeid node); /* INODE_SGID; any nodeid */
void inode_number_mounted(struct inode_table *t, struct nodeid node, uint64_t dev, uint64_t *ino);
void inode_number_listed(const struct inode *dir, bool itself, uint64_t *ino);
bool inode_mixes(const struct inode *dir); /* the numbers of what is in this directory are mixed */

/* The inode a guest means, with a reference, or NULL (the op answers ESTALE). Any nodeid may come. */
struct inode *inode_get(struct inode_table *t, struct nodeid node);
void inode_put(struct inode_table *t, struct inode *i); /* NULL is allowed */

/*
 * An open handle begins or ends to use the inode: its descriptor is not taken back meanwhile. Called by
 * handle.c. inode_opened() gives a reference, or NULL for an unknown nodeid; inode_closed() gives it back.
 */
struct inode *inode_opened(struct inode_table *t, struct nodeid node);
void inode_closed(struct inode_table *t, struct inode *i);

struct nodeid inode_node(struct inode_table *t, const struct inode *i);

/*
 * The inode's O_PATH descriptor, opened again if it was taken back; inode_fd_done() for each. -errno: -ESTALE
 * if the host's inode is gone.
 */
int inode_fd(struct inode_table *t, struct inode *i);
void inode_fd_done(struct inode *i);

/* An inode in use: reference and descriptor together, released by inode_use_end() at the end of the scope. */
struct inode_use {
	struct inode_table *table;
	struct inode *inode;
	int fd; /* O_PATH */
};
#define autoinode __attribute__((cleanup(inode_use_end)))

/* 0 or -ESTALE, -EMFILE...: then @u needs no end. Usage: autoinode struct inode_use u = {0}; r = inode_use(t,
 * node, &u); */
int inode_use(struct inode_table *t, struct nodeid node, struct inode_use *u);
void inode_use_end(struct inode_use *u);

/*
 * The record of the host inode with key @key, which @fd (O_PATH) refers to; a new one if the guest did not
 * know it. Counts one lookup. The table takes @fd in every case: keeps it or closes it. 0, 1 if it is new to
 * the guest, -ENFILE (no record or descriptor to spare, though files that the guest has not open are
 * forgotten for it), or -EOPNOTSUPP (on a host mount without file handles, with FS_HANDLES_MANDATORY). @c,
 * which may be NULL, hears of the count at once (op_counted()).
 */
int inode_learn(
	struct inode_table *t, const struct inode_key *key, int fd, struct op_ctx *c, struct nodeid *out);

/*
 * The shortcut for a known name: counts one lookup if @key is in the table and sure to be the same inode (a
 * descriptor pins it, or the file handles are equal), else returns false. @parent and @name allow to compare
 * file handles where no descriptor does.
 */
bool inode_learn_known(
	struct inode_table *t, const struct inode_key *key, int parent, const char *name, struct nodeid *out);

/* The inode, which the guest has looked up, is what @name in @dir leads to across a host mount: its way back.
 */
void inode_crossed(struct inode_table *t, struct nodeid node, struct inode *dir, const char *name);

/* Some inode may have no descriptor at the moment. */
bool inode_lacks_fds(struct inode_table *t);
/*
 * The last name of an inode in use has gone. A file handle does not bring it back, so its descriptor is kept
 * for the guest until it forgets the inode; not for more inodes than cfg.max_fds.
 */
void inode_removed(struct inode_table *t, struct inode *i);
/* Nothing but descriptors as @fd keeps the inode from its end: no file handle brings it back. */
bool inode_is_removed(int fd);

/*
 * What the host's file system is like that the inode is on, which @fd is a descriptor on: asked of the kernel
 * once for each host mount; without file handles, of the root's device only. @fd -1: what is known already,
 * perhaps 0.
 */
#define INODE_FS_ASKED	1u
#define INODE_FS_QUIET	2u /* local: nothing to say at close(2), where others report what went wrong since */
#define INODE_FS_MEMORY 4u /* reading never waits for a disk, and knows no RWF_NOWAIT (tmpfs) */
uint32_t inode_fs_traits(struct inode_table *t, const struct inode *i, int fd);

/* In a directory, the last name that was looked up was known to the guest already: what to expect of the
 * next. */
bool inode_expects_known(const struct inode *dir);
void inode_expect_known(struct inode *dir, bool known);

/* The guest gives @n lookups back. More than it has is taken as all; unknown nodeids and the root are left
 * alone. True: these were the last. */
bool inode_forget(struct inode_table *t, struct nodeid node, uint64_t n);
/* As if all lookups came back, but the root's. */
void inode_forget_all(struct inode_table *t);

#endif
