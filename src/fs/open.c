/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open files: from the guest's open, create and tmpfile to flush and release.
 * Only regular files are ever opened on the host, and never through a name that may be something else.
 * Threads: any.
 */
#include "fs/file.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "fs/cred.h"
#include "fs/name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

/* A file on the way to a handle. */
struct opening {
	struct fs *fs;
	struct op_ctx *c;
	uint32_t guest; /* flags as the guest wants them */
	int host;	/* as the host gets them */
	struct op_fh *fh;
};

/*
 * O_APPEND is not among them, it comes with each write (io.c), but see reopen(). The guest's cache reads
 * pages that it writes in part.
 */
static int host_flags(const struct fs *fs, uint32_t guest)
{
	uint32_t flags = guest & (O_ACCMODE | O_SYNC | O_DSYNC | O_NOATIME);

	if (fs->features.writeback && (flags & O_ACCMODE) == O_WRONLY)
		flags = (flags & ~(uint32_t)O_ACCMODE) | O_RDWR;
	if (fs->cfg.allow_direct_io)
		flags |= guest & O_DIRECT;
	return (int)(flags | O_CLOEXEC);
}

/* 0, or why the guest's flags will not do. */
static int opening_begin(struct opening *o, struct fs *fs, struct op_ctx *c, uint32_t guest, struct op_fh *fh)
{
	uint32_t mode = guest & O_ACCMODE;

	*o = (struct opening){.fs = fs, .c = c, .guest = guest, .host = host_flags(fs, guest), .fh = fh};
	*fh = OP_NO_HANDLE;
	if (mode == O_ACCMODE)
		return -EINVAL;
	return fs->cfg.readonly && (mode != O_RDONLY || guest & O_TRUNC) ? -EROFS : 0;
}

/*
 * Without root's rights a file may be ours to write and not to read, or not ours to leave its access time.
 * One with the append-only flag is opened for nothing but appending; never where the guest's cache would
 * write whole pages to it.
 */
static int reopen(struct opening *o, const struct inode_use *u)
{
	uint32_t trunc = o->guest & O_TRUNC;
	int fd = fs_reopen(o->fs, o->c, u->fd, S_IFREG, (uint32_t)o->host | trunc);

	if (fd == -EPERM && o->guest & O_APPEND && !o->fs->features.writeback) {
		fd = fs_reopen(o->fs, o->c, u->fd, S_IFREG, (uint32_t)o->host | O_APPEND | trunc);
		if (fd >= 0)
			o->host |= O_APPEND;
	}

	if (fd == -EPERM && o->host & O_NOATIME) {
		o->host &= ~O_NOATIME;
		fd = fs_reopen(o->fs, o->c, u->fd, S_IFREG, (uint32_t)o->host | trunc);
	}
	if (fd == -EACCES && (o->guest & O_ACCMODE) == O_WRONLY && (o->host & O_ACCMODE) == O_RDWR) {
		o->host = (o->host & ~O_ACCMODE) | O_WRONLY;
		fd = fs_reopen(o->fs, o->c, u->fd, S_IFREG, (uint32_t)o->host | trunc);
	}
	return fd;
}

/* O_TRUNC is the only change that opening makes. */
static int reopen_bracketed(struct opening *o, const struct inode_use *u)
{
	struct effect e = {.kind = EFFECT_DATA,
		.idempotent = true,
		.nodes = 1,
		.unique = o->c->unique,
		.ctx = o->c,
		.change = {.len = UINT64_MAX, .cuts = true, .fd = u->fd}};
	int r, fd;

	if (!(o->guest & O_TRUNC))
		return reopen(o, u);
	e.node[0] = inode_node(o->fs->inodes, u->inode);
	r = effect_begin(o->fs, &e);
	if (r)
		return r;
	r = fs_drop_capability(o->fs, u->fd);
	fd = r ? r : reopen(o, u);
	r = (int)effect_end(o->fs, &e, fd);
	if (r < 0 && fd >= 0)
		close(fd);
	return r;
}

static int open_regular(struct opening *o, const struct inode_use *u)
{
	autofd int fd = reopen_bracketed(o, u);
	int r;

	if (fd < 0)
		return fd;
	if (o->fs->kept)
		return 0;
	r = handle_new(
		o->fs->handles, inode_node(o->fs->inodes, u->inode), &fd, (uint32_t)o->host, false, o->fh);
	if (!r)
		op_opened(o->c, *o->fh);
	return r;
}

static int check_type(uint32_t type)
{
	switch (type) {
	case S_IFREG:
		return 0;
	case S_IFDIR:
		return -EISDIR;
	case S_IFLNK:
		return -ELOOP;
	default:
		return -ENXIO;
	}
}

/*
 * A guest without KILLPRIV_V2 takes SUID and SGID away by a SETATTR of its own, but not when OPEN does the
 * cutting: then it believes that we did.
 */
static bool open_kills_priv(const struct fs *fs, const struct op_ctx *c, uint32_t flags, uint32_t open_flags)
{
	if (fs->features.killpriv_v2)
		return open_flags & OP_OPEN_KILL_SUIDGID;
	return flags & O_TRUNC && c->uid;
}

int fs_op_open(struct fs *fs, struct op_ctx *c, struct nodeid node, uint32_t flags, uint32_t open_flags,
	struct op_fh *fh)
{
	autoinode struct inode_use u = {0};
	struct opening o;
	int r = opening_begin(&o, fs, c, flags, fh);

	if (!r)
		r = inode_use(fs->inodes, node, &u);
	if (!r)
		r = check_type(u.inode->key.type);
	if (!r)
		r = open_kills_priv(fs, c, flags, open_flags) ? fs_become_killer(fs, c, node, u.fd)
							      : cred_daemon(fs);
	return r ? r : open_regular(&o, &u);
}

/*
 * The guest took the name for a new one and has not checked whether the caller may open what is there: the
 * host does. Where it is no regular file, or the answer is no (the caller's further groups are not known
 * here), ESTALE makes the guest look again and decide itself.
 */
static int open_existing(struct opening *o, struct op_entry *out)
{
	autoinode struct inode_use u = {0};
	int r = inode_use(o->fs->inodes, out->node, &u);

	if (r)
		return r;
	if (u.inode->key.type != S_IFREG)
		return -ESTALE;
	r = cred_caller_checked(o->fs, o->c);
	if (!r)
		r = open_regular(o, &u);
	if (cred_daemon(o->fs))
		return -EIO;
	if (!r && o->guest & O_TRUNC) {
		r = fs_stat(o->fs, u.fd, "", AT_EMPTY_PATH, &out->st);
		if (!r)
			fs_number(o->fs, out->node, &out->st);
	}
	return r == -EACCES || r == -EPERM ? -ESTALE : r;
}

static int create_existing(
	struct opening *o, const struct inode_use *parent, const char *name, struct op_entry *out)
{
	int r = cred_daemon(o->fs);

	if (!r)
		r = fs_lookup_at(o->fs, o->c, parent, name, out);
	if (r)
		return r == -ENOENT ? -ESTALE : r;
	r = open_existing(o, out);
	if (!r)
		return 0;
	handle_release(o->fs->handles, out->node, *o->fh, false); /* if there is one by now */
	fs_lookup_undo(o->fs, o->c, out);
	return r;
}

/* The inode behind a descriptor that was just made, for the guest. */
static int learn_fd(const struct opening *o, const struct inode_use *dir, int fd, struct op_entry *out)
{
	struct fs *fs = o->fs;
	struct inode_key key;
	char number[16];
	int path_fd;
	int r = fs_stat(fs, fd, "", AT_EMPTY_PATH, &out->st);

	if (r)
		return r;
	snprintf(number, sizeof(number), "%d", fd);
	path_fd = TEMP_FAILURE_RETRY(openat(fs->cfg.proc_self_fd, number, O_PATH | O_CLOEXEC));
	if (path_fd < 0)
		return -errno;
	key = inode_key_of(&out->st);
	r = inode_learn(fs->inodes, &key, path_fd, o->c, &out->node);
	if (r >= 0)
		fs_found(fs, dir, NULL, out);
	return MIN(r, 0);
}

/* A file that was just made becomes an inode and, where the guest keeps any, a handle; which takes *fd. */
static int hand_out(struct opening *o, const struct inode_use *dir, int *fd, struct op_entry *out)
{
	int r = cred_daemon(o->fs);

	if (!r)
		r = learn_fd(o, dir, *fd, out);
	if (r)
		return r;
	if (o->fs->kept)
		return 0;
	r = handle_new(o->fs->handles, out->node, fd, (uint32_t)o->host, false, o->fh);
	if (r)
		fs_lookup_undo(o->fs, o->c, out);
	return r;
}

static int make_here(const struct opening *o, int dir, const char *name, int flags, uint32_t mode)
{
	unsigned int tries = 0;
	int fd;

	do {
		fd = openat(dir, name ? name : ".", flags, mode & 07777);
	} while (fd < 0 && fs_again(o->c, &tries));
	return fd < 0 ? -errno : fd;
}

/* Makes a file by @name, or without a name if that is NULL, as the caller, with its label. -errno or a
 * descriptor. */
static int make_as_caller(
	struct opening *o, const struct inode_use *parent, const char *name, const struct op_mode *m)
{
	int flags = name ? o->host | O_CREAT | O_EXCL : o->host | O_TMPFILE;
	bool label_left = false;
	int r = cred_create_begin(o->fs, o->c, m, &label_left);

	if (!r)
		fs_intend_create(o->c);
	autofd int fd = r ? r : make_here(o, parent->fd, name, flags, m->mode);
	if (!r && fd < 0)
		r = fd;
	cred_create_end(o->fs, m);
	if (r || !label_left)
		return r ? r : fd_take(&fd);
	r = cred_daemon(o->fs);
	if (!r)
		r = fs_setxattr_fd(o->fs, fd, m->secctx_name, m->secctx, m->secctx_len);
	if (r && name)
		unlinkat(parent->fd, name, 0);
	return r ? r : fd_take(&fd);
}

/* What an earlier process made for this request, with its label, which may be missing. -errno or a
 * descriptor. */
static int open_made(
	struct opening *o, const struct inode_use *parent, const char *name, const struct op_mode *m)
{
	int r = cred_daemon(o->fs);
	autofd int path_fd = r ? r : openat(parent->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	autofd int fd = path_fd < 0 ? -EEXIST : fs_reopen(o->fs, o->c, path_fd, S_IFREG, (uint32_t)o->host);

	if (fd >= 0 && m->secctx_name)
		r = fs_setxattr_fd(o->fs, fd, m->secctx_name, m->secctx, m->secctx_len);
	return r ? r : fd_take(&fd);
}

static int make_or_find(
	struct opening *o, const struct inode_use *parent, const char *name, const struct op_mode *m)
{
	int r = make_as_caller(o, parent, name, m);

	return r == -EEXIST && name && fs_made_before(o->c, parent->fd, name, S_IFREG)
		       ? open_made(o, parent, name, m)
		       : r;
}

static int make(struct opening *o, struct nodeid dir, const struct inode_use *parent, const char *name,
	const struct op_mode *m)
{
	struct effect e = {
		.kind = EFFECT_CREATE, .node = {dir}, .nodes = name ? 1 : 0, .unique = o->c->unique};
	int r = effect_begin(o->fs, &e);

	return r ? r : (int)effect_end(o->fs, &e, make_or_find(o, parent, name, m));
}

int fs_op_create(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name,
	const struct op_mode *m, uint32_t flags, uint32_t open_flags, struct op_entry *out, struct op_fh *fh)
{
	autoinode struct inode_use p = {0};
	struct opening o;
	int r = opening_begin(&o, fs, c, flags, fh);

	(void)open_flags; /* what is cut off here loses SUID and SGID by the caller's own rights */
	if (!r)
		r = name_check(name);
	if (!r)
		r = inode_use(fs->inodes, parent, &p);
	if (r)
		return r;
	autofd int fd = make(&o, parent, &p, name, m);
	if (fd == -EEXIST && !(flags & O_EXCL))
		return create_existing(&o, &p, name, out);
	return fd < 0 ? fd : hand_out(&o, &p, &fd, out);
}

int fs_op_tmpfile(struct fs *fs, struct op_ctx *c, struct nodeid parent, const struct op_mode *m,
	uint32_t flags, struct op_entry *out, struct op_fh *fh)
{
	autoinode struct inode_use p = {0};
	struct opening o;
	int r = opening_begin(&o, fs, c, flags, fh);

	if (!r)
		r = inode_use(fs->inodes, parent, &p);
	if (r)
		return r;
	autofd int fd = make(&o, parent, &p, NULL, m);
	return fd < 0 ? fd : hand_out(&o, &p, &fd, out);
}

static int close_copy(struct op_ctx *c, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return -errno;
	file_may_block(c);
	return close(copy) && errno != EINTR ? -errno : 0;
}

int fs_op_flush(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t lock_owner)
{
	autofile struct file_use f = {0};
	int r;

	if (!fh.v && fs->kept)
		return 0;
	r = file_use(fs, node, fh, FILE_READ, &f);
	if (!r)
		r = fs_window_sync(fs, c, node);
	if (r)
		return r;
	lock_flush(fs, node, lock_owner);
	if ((f.flags & O_ACCMODE) == O_RDONLY || file_traits(&f) & INODE_FS_QUIET)
		return 0;
	return close_copy(c, f.fd);
}

int fs_release_handle(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, bool dir)
{
	int r;

	op_intend(c, 0, 0);
	r = handle_release(fs->handles, node, fh, dir);
	return r == -EBADF && c->again ? 0 : r;
}

int fs_op_release(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, bool flock_too,
	uint64_t lock_owner)
{
	(void)lock_owner;
	fs_window_sync(fs, c, node);
	if (flock_too) {
		autofile struct file_use f = {0};

		if (!file_use(fs, node, fh, FILE_READ, &f))
			flock(f.fd, LOCK_UN);
	}
	lock_release(fs, node, fh);
	return fs_release_handle(fs, c, node, fh, false);
}
