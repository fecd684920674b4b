/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a file system offers to a FUSE session: one function for each kind of request, with decoded and
 * checked arguments. The session calls them from any number of threads at once; each runs to its end on the
 * calling thread.
 *
 * Every function returns 0 (or a length where it says so) or -errno as the guest shall see it. Names are
 * NUL-terminated and were neither checked for their form nor trusted: that is the file system's part. Nothing
 * passed in lives longer than the call.
 */
#ifndef FUSE_OPS_H
#define FUSE_OPS_H

#include "base/order.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>

/* A guest's name for an inode. Index and generation, never a pointer; any value may come. Root is 1. */
struct nodeid {
	uint64_t v;
};
#define NODEID_ROOT ((struct nodeid){1})

/* A guest's name for an open file or directory; the same rules. OP_NO_HANDLE: the request named none. */
struct op_fh {
	uint64_t v;
};
#define OP_NO_HANDLE ((struct op_fh){0})

enum op_block {
	OP_BLOCK_IO,   /* the disk, or something else that ends by itself */
	OP_BLOCK_LOCK, /* another lock's holder, perhaps for ever */
	OP_BLOCK_PEER, /* the front-end's answer, which it may only give once the request's queue has stopped:
			* no guest memory is touched until OP_BLOCK_PEER_DONE. -EINTR: don't begin. */
	OP_BLOCK_PEER_DONE, /* after each OP_BLOCK_PEER that was granted. -ECANCELED, as below */
	/* No op says this: a request begins that may take longer than those that are all but system calls on
	 * what is in memory. Answers shall not be held back for it. */
	OP_BLOCK_LONG,
	/* No op says this: as OP_BLOCK_LONG, and what takes long is copying, which keeps a CPU busy. */
	OP_BLOCK_COPY,
	/* No op says this: a request that waited for a lock has its answer. The thread may have to wait until
	 * its queue runs again. -ECANCELED: nobody is there any more to be answered. */
	OP_BLOCK_ANSWER,
};

/*
 * What a request notes of its effects, in memory that outlives the process, so that another one that runs it
 * again knows what has happened. Written by the request's thread, or by the next process.
 */
struct op_intent {
	uint64_t request;  /* its number among those of the queue; the queue's */
	uint32_t crashes;  /* processes that ended by themselves while they were at it; the queue's */
	uint32_t begun;	   /* the effect may have happened: op_intend() */
	uint64_t value[2]; /* what the op noted with that */
	uint64_t node;	   /* an inode that it counted a lookup of, and a handle that it opened: given back */
	uint64_t fh;	   /* ahead of another run, whose own the guest gets; 0: none */
	uint32_t listing;  /* where more such inodes are noted; the session's */
	uint32_t spare;
};

/* The request at hand: who asks, and what an op may ask of the thread that runs it. */
struct op_ctx {
	uint64_t unique;
	uint32_t uid, gid, pid; /* of the caller in the guest, as the header says; checked by nobody */
	uint32_t nsupp; /* supplementary groups that came with the request: only those needed to create */
	const uint32_t *supp;

	/*
	 * An op calls this ahead of a system call that may sleep long, once: the queue goes to another thread
	 * meanwhile. 0: go ahead. OP_BLOCK_LOCK only: -ENOLCK if too many wait already, -EINTR if the request
	 * was cancelled. OP_BLOCK_PEER and _PEER_DONE may come in several pairs. NULL: nothing to do.
	 */
	int (*may_block)(struct op_ctx *ctx, enum op_block kind);

	/* True once the request shall not wait any longer (INTERRUPT, or the session ends). Its thread also
	 * gets a signal, again and again. */
	_Atomic bool cancelled;

	struct op_intent *intent; /* NULL: nothing is noted */
	bool again; /* an earlier process had begun the effect; what it noted stands in @intent */
};

/* The effect may happen from now on: what an op can be told by, should it be run again, is noted. An earlier
 * process's note stays. */
static inline void op_intend(struct op_ctx *c, uint64_t a, uint64_t b)
{
	if (!c->intent || c->again)
		return;
	c->intent->value[0] = a;
	c->intent->value[1] = b;
	in_order();
	c->intent->begun = 1;
	in_order();
}

/* What the session negotiated with the guest's kernel and the options ask for (FUSE_INIT flags in brackets).
 */
struct op_features {
	bool writeback;	   /* the guest caches writes (WRITEBACK_CACHE) */
	bool posix_acl;	   /* the guest checks ACLs and leaves the umask to us (POSIX_ACL, DONT_MASK) */
	bool killpriv_v2;  /* the guest says when SUID, SGID and capabilities must go (HANDLE_KILLPRIV_V2) */
	bool submounts;	   /* the guest mounts what OP_ATTR_SUBMOUNT marks (SUBMOUNTS) */
	bool posix_locks;  /* POSIX_LOCKS */
	bool flock_locks;  /* FLOCK_LOCKS */
	bool security_ctx; /* creating requests bring security labels (SECURITY_CTX) */
	bool zero_message_open;	   /* the guest sends no OPEN (NO_OPEN_SUPPORT) */
	bool zero_message_opendir; /* nor OPENDIR (NO_OPENDIR_SUPPORT) */
	bool dax;		   /* the guest has a window, and may map files there (MAP_ALIGNMENT) */
};

#define OP_ATTR_SUBMOUNT 1u /* FUSE_ATTR_SUBMOUNT: a directory on which the host has mounted something */
#define OP_ATTR_DAX	 2u /* FUSE_ATTR_DAX */

/* An inode that the guest now knows: one lookup is counted. */
struct op_entry {
	struct nodeid node;
	struct statx st;
	uint32_t attr_flags; /* OP_ATTR_* */
};

/* SETATTR: which fields are to change (bits of OP_SET_*), and their values. */
enum {
	OP_SET_MODE = 1 << 0,
	OP_SET_UID = 1 << 1,
	OP_SET_GID = 1 << 2,
	OP_SET_SIZE = 1 << 3,
	OP_SET_ATIME = 1 << 4,
	OP_SET_MTIME = 1 << 5,
	OP_SET_ATIME_NOW = 1 << 6,
	OP_SET_MTIME_NOW = 1 << 7,
	OP_SET_CTIME = 1 << 8,	      /* the guest's ctime: no host can set it; taken as no change */
	OP_SET_KILL_SUIDGID = 1 << 9, /* FATTR_KILL_SUIDGID */
};
struct op_setattr {
	uint32_t valid;
	uint32_t mode, uid, gid;
	uint64_t size;
	struct timespec atime, mtime;
};

/* Creating requests: a mode with its file type, and the caller's umask (to be applied only if
 * features.posix_acl). */
struct op_mode {
	uint32_t mode;
	uint32_t umask;
	uint32_t rdev;		 /* Linux's 32-bit encoding, MKNOD only */
	const char *secctx_name; /* security label: NULL if none */
	const void *secctx;
	uint32_t secctx_len;
};

/* A lookup was counted for the guest, which has not heard of it, or is not counted any more (0): after the
 * first, ahead of the second, so that no death in between makes the guest believe in a count that is gone. */
static inline void op_counted(struct op_ctx *c, struct nodeid node)
{
	in_order();
	if (c->intent)
		c->intent->node = node.v;
	in_order();
}

/* The same for a handle that the answer is about, if more is to be done for that. */
static inline void op_opened(struct op_ctx *c, struct op_fh fh)
{
	in_order();
	if (c->intent)
		c->intent->fh = fh.v;
	in_order();
}

/* One directory entry. @off is the position behind it. @name, with a NUL behind it, lives until the next call
 * on the handle by any thread, so a session calls readdir for one handle at a time (it holds dir_lock() ...
 * dir_unlock()). */
struct op_dirent {
	uint64_t ino;
	uint64_t off;
	uint32_t type; /* DT_* */
	uint32_t namelen;
	const char *name;
};

/* A POSIX record lock, as struct fuse_file_lock: @end is inclusive, OFFSET_MAX for "to the end". */
struct op_lock {
	uint64_t start, end;
	uint32_t type; /* F_RDLCK, F_WRLCK, F_UNLCK */
	uint32_t pid;
};

/* IOCTL with a fixed-size argument: @in and @out are ours, already copied. */
struct op_ioctl {
	uint32_t cmd;
	uint64_t arg;
	const void *in;
	uint32_t in_size;
	void *out;
	uint32_t out_size; /* room in @out; on return the bytes set */
	int32_t result;	   /* what ioctl(2) returns in the guest */
	bool dir;	   /* the handle is a directory's */
};

struct op_copy {
	struct nodeid in;
	struct op_fh in_fh;
	uint64_t in_off;
	struct nodeid out;
	struct op_fh out_fh;
	uint64_t out_off;
	uint64_t len;
};

/* SETUPMAPPING: [@file_off, + @len) of a file shall be seen at @window_off. Nothing of it was checked. */
struct op_mapping {
	uint64_t file_off, len, window_off;
	bool write;
};

/* A change of a file's contents in [@off, + @len). @cuts: it may get shorter, from @off on, and the guest
 * touches nothing of the file meanwhile. @fd: of the file, may be O_PATH. */
struct op_change {
	struct nodeid node;
	uint64_t off, len;
	bool cuts;
	int fd;
};

/*
 * The window through which a guest sees files (src/dax), as a file system uses it. Any thread; each returns
 * 0 or -errno as the guest shall see it, -ECANCELED if nobody is there any more to be answered.
 */
struct op_window {
	void *arg;
	/* Whether something can be mapped: tries it. Before the session begins, which nothing else may do
	 * meanwhile: so the queue of the request is not let go. */
	bool (*works)(void *arg);
	/* Whether the guest shall map this inode (FUSE_ATTR_DAX); ids and number are the host's. */
	bool (*marks)(void *arg, const struct statx *st);
	/* @fd: the file, to read and write, or only to read: then the guest sees copies, and what it stores
	 * there goes nowhere. Stays the caller's. A range that is mapped already is made free. */
	int (*map)(void *arg, struct op_ctx *c, struct nodeid node, const struct op_mapping *m, int fd);
	int (*unmap)(void *arg, struct op_ctx *c, uint64_t window_off, uint64_t len);
	/* Around a change. What change_end() gets as @held, 0 if nobody waits for that, or -errno: then the
	 * change must not be made. After an error of change_end() what the guest sees there is not the
	 * file, and seen() tries again. */
	int (*change_begin)(void *arg, struct op_ctx *c, const struct op_change *change);
	int (*change_end)(void *arg, struct op_ctx *c, const struct op_change *change, int held);
	/* What the guest stored shall be in the host's file. */
	int (*sync)(void *arg, struct op_ctx *c, struct nodeid node);
	/* The guest is about to learn the file's size and times. Not if what it would see is not that. */
	int (*seen)(void *arg, struct op_ctx *c, struct nodeid node, const struct statx *st);
	/*
	 * Migration. Mapped: what the window's @i-th range shows, false from the last one on; len 0: nothing.
	 * Moves: the guest goes on elsewhere (@away), where the files that it maps can be claimed from now
	 * on, and find in them all that it stored; or here after all.
	 */
	bool (*mapped)(void *arg, uint32_t i, struct nodeid *node, struct op_mapping *m);
	int (*moves)(void *arg, bool away);
	/* The session ends: nothing is mapped any more. No other call runs meanwhile. */
	void (*reset)(void *arg);
};

#define OP_WRITE_KILL_SUIDGID	  1u /* FUSE_WRITE_KILL_SUIDGID */
#define OP_WRITE_CACHE		  2u /* FUSE_WRITE_CACHE: from the guest's cache; the caller is anybody */
#define OP_OPEN_KILL_SUIDGID	  1u /* FUSE_OPEN_KILL_SUIDGID */
#define OP_SETXATTR_ACL_KILL_SGID 1u

struct fs; /* the file system's own */

struct fuse_ops {
	/* A session begins: everything from the one before is forgotten (destroy was called if there was
	 * one). */
	int (*init)(struct fs *fs, const struct op_features *features);
	/* The session ends: all lookups, handles and locks are dropped. No other call runs meanwhile. */
	void (*destroy)(struct fs *fs);

	/* Names (fs/namei.c). @out carries one lookup on success, which the guest gives back by forget(). */
	int (*lookup)(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name,
		struct op_entry *out);
	void (*forget)(struct fs *fs, struct nodeid node, uint64_t nlookup);
	int (*symlink)(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name,
		const char *target, struct op_entry *out);
	int (*mknod)(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name,
		const struct op_mode *m, struct op_entry *out);
	int (*mkdir)(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name,
		const struct op_mode *m, struct op_entry *out);
	int (*unlink)(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name);
	int (*rmdir)(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name);
	int (*rename)(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name,
		struct nodeid newparent, const char *newname, uint32_t flags); /* RENAME_* */
	int (*link)(struct fs *fs, struct op_ctx *c, struct nodeid node, struct nodeid newparent,
		const char *newname, struct op_entry *out);
	/* *len is at most PATH_MAX - 1; no NUL is appended. @buf has PATH_MAX bytes. */
	int (*readlink)(struct fs *fs, struct op_ctx *c, struct nodeid node, char *buf, size_t *len);

	/* Attributes (fs/attr.c). @mask is STATX_*. On success all of the entry is set but
	 * its node. */
	int (*getattr)(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint32_t mask,
		struct op_entry *out);
	int (*setattr)(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh,
		const struct op_setattr *a, struct op_entry *out);
	int (*statfs)(struct fs *fs, struct op_ctx *c, struct nodeid node, struct statvfs *out);
	int (*access)(struct fs *fs, struct op_ctx *c, struct nodeid node, uint32_t mask);

	/* Open files (fs/io.c). @flags are open(2)'s. */
	int (*open)(struct fs *fs, struct op_ctx *c, struct nodeid node, uint32_t flags, uint32_t open_flags,
		struct op_fh *fh);
	int (*create)(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name,
		const struct op_mode *m, uint32_t flags, uint32_t open_flags, struct op_entry *out,
		struct op_fh *fh);
	int (*tmpfile)(struct fs *fs, struct op_ctx *c, struct nodeid parent, const struct op_mode *m,
		uint32_t flags, struct op_entry *out, struct op_fh *fh);
	/* Bytes transferred or -errno. The vector's pieces are guest memory, in any number, its total is
	 * the length; it may be edited. @flags: the file's. */
	ssize_t (*read)(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh,
		struct iovec *iov, unsigned int n, uint64_t off, uint32_t flags);
	ssize_t (*write)(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh,
		struct iovec *iov, unsigned int n, uint64_t off, uint32_t flags, uint32_t write_flags);
	int (*flush)(
		struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t lock_owner);
	/* @flock: give up the handle's flock, of @lock_owner, too. */
	int (*release)(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, bool flock,
		uint64_t lock_owner);
	int (*fsync)(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, bool datasync);
	int (*fallocate)(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t off,
		uint64_t len, uint32_t mode);
	int (*lseek)(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t *off,
		uint32_t whence);
	ssize_t (*copy_file_range)(struct fs *fs, struct op_ctx *c, const struct op_copy *copy);
	int (*ioctl)(
		struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, struct op_ioctl *io);
	int (*syncfs)(struct fs *fs, struct op_ctx *c, struct nodeid node);

	/* The window (fs/window.c). window_works(): the front-end was asked, and maps. */
	bool (*window_works)(struct fs *fs);
	int (*setupmapping)(struct fs *fs, struct op_ctx *c, struct nodeid node, const struct op_mapping *m);
	int (*removemapping)(struct fs *fs, struct op_ctx *c, uint64_t window_off, uint64_t len);

	/* Directories (fs/dir.c). */
	int (*opendir)(struct fs *fs, struct op_ctx *c, struct nodeid node, uint32_t flags, struct op_fh *fh);
	/* Claims the directory for one reader, and one thread: -EBADF if @fh is no open directory of @node.
	 */
	int (*dir_lock)(struct fs *fs, struct nodeid node, struct op_fh fh);
	void (*dir_unlock)(struct fs *fs, struct op_fh fh);
	/* The entry at position @off (0: the first; else some entry's off): 1, 0 at the end, or -errno. "."
	 * and ".." are among them. */
	int (*readdir)(struct fs *fs, struct op_ctx *c, struct op_fh fh, uint64_t off, struct op_dirent *out);
	/* What the entry that readdir() has just given means, as lookup() of its name. */
	int (*lookup_listed)(struct fs *fs, struct op_ctx *c, struct op_fh fh, const struct op_dirent *d,
		struct op_entry *out);
	int (*releasedir)(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh);
	int (*fsyncdir)(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, bool datasync);

	/* Extended attributes (fs/xattr.c). get and list: the length, also for size 0, which only asks for
	 * it; -ERANGE if @size is too small. */
	int (*setxattr)(struct fs *fs, struct op_ctx *c, struct nodeid node, const char *name,
		const void *value, size_t size, uint32_t flags, uint32_t setxattr_flags);
	ssize_t (*getxattr)(struct fs *fs, struct op_ctx *c, struct nodeid node, const char *name,
		void *value, size_t size);
	ssize_t (*listxattr)(struct fs *fs, struct op_ctx *c, struct nodeid node, char *list, size_t size);
	int (*removexattr)(struct fs *fs, struct op_ctx *c, struct nodeid node, const char *name);

	/* Locks (fs/lock.c). @lk of getlk: in the wanted lock, out the one in the way, or type F_UNLCK.
	 * flock's @op: LOCK_*. */
	int (*getlk)(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t owner,
		struct op_lock *lk);
	int (*setlk)(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t owner,
		const struct op_lock *lk, bool wait);
	int (*flock)(
		struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t owner, int op);
};

#endif
