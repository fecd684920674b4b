/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is done with open files: data to and from the guest's memory in place, sizes, holes, copies, syncing.
 * Not here: opening and closing (open.c), locks (lock.c). Threads: any; descriptors are used by position
 * only.
 */
#include "fs/file.h"

#include "base/arith.h"
#include "base/guard.h"
#include "base/io.h"
#include "fs/cred.h"
#include "fs/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <unistd.h>

#define COPY_STEP	(1ULL << 30) /* at most so much a request: the guest asks again */
#define COPY_QUICK	(1ULL << 20) /* more than that may take its time */
#define FALLOCATE_QUICK (64ULL << 20)

/* A transfer on its way: what is left of the vector, and what was done. */
struct transfer {
	struct iovec *iov;
	unsigned int n;
	size_t left;
	off_t off;
	ssize_t done;
};

static int transfer_begin(struct transfer *t, struct iovec *iov, unsigned int n, uint64_t off)
{
	size_t len = iov_total(iov, n);

	if (off > INT64_MAX || len > SSIZE_MAX || len > INT64_MAX - off)
		return -EINVAL;
	*t = (struct transfer){.iov = iov, .n = n, .left = len, .off = (off_t)off};
	return 0;
}

static int transfer_pieces(const struct transfer *t)
{
	return (int)MIN(t->n, (unsigned int)IOV_MAX);
}

/* EFAULT is memory that the front-end has taken away: it is looked at, so that the connection ends. */
static ssize_t transfer_error(const struct transfer *t, int error)
{
	if (error == EFAULT)
		guard_touch(t->iov, t->n);
	return -error;
}

static void transfer_advance(struct transfer *t, ssize_t by)
{
	if ((size_t)by < t->left)
		iov_skip(&t->iov, &t->n, (size_t)by);
	else
		t->n = 0;
	t->left -= (size_t)by;
	t->off += by;
	t->done += by;
}

/*
 * What the page cache holds comes at once; only for the rest the queue goes to another thread. A short count
 * says nothing of the end of the file, a count of 0 does. An error after some bytes is an error: the guest
 * would take a short answer for the end of the file.
 */
static ssize_t read_all(struct op_ctx *c, struct file_use *f, struct transfer *t)
{
	int rwf = f->traits & INODE_FS_MEMORY ? 0 : RWF_NOWAIT;
	unsigned int tries = 0;

	while (t->n) {
		ssize_t r = preadv2(f->fd, t->iov, transfer_pieces(t), t->off, rwf);

		if (r > 0) {
			transfer_advance(t, r);
		} else if (!r) {
			break;
		} else if (rwf && (errno == EAGAIN || errno == EOPNOTSUPP)) {
			rwf = 0;
			if (errno == EAGAIN || !(file_traits(f) & INODE_FS_MEMORY))
				file_may_block(c);
		} else if (!fs_again(c, &tries)) {
			return transfer_error(t, errno);
		}
	}
	return t->done;
}

ssize_t fs_op_read(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, struct iovec *iov,
	unsigned int n, uint64_t off, uint32_t flags)
{
	autofile struct file_use f = {0};
	struct transfer t;
	int r = transfer_begin(&t, iov, n, off);

	(void)flags;
	if (!r)
		r = file_use(fs, node, fh, FILE_READ, &f);
	return r ? r : read_all(c, &f, &t);
}

static ssize_t write_all(struct op_ctx *c, int fd, int rwf, struct transfer *t)
{
	unsigned int tries = 0;

	while (t->n) {
		ssize_t r = pwritev2(fd, t->iov, transfer_pieces(t), t->off, rwf);

		if (r >= 0) {
			transfer_advance(t, r);
			if (!r && t->left)
				break;
		} else if (!fs_again(c, &tries)) {
			r = transfer_error(t, errno);
			return t->done ? t->done : r;
		}
	}
	return t->done;
}

/*
 * Host descriptors have no O_APPEND, but those of append-only files: the guest says with each write whether
 * it appends, and pages that it writes back through whatever handle is at hand must go to their place.
 */
static int write_rwf(const struct fs *fs, uint32_t flags)
{
	int rwf = 0;

	if ((flags & O_APPEND) && !fs->features.writeback)
		rwf |= RWF_APPEND;
	if ((flags & O_SYNC) == O_SYNC)
		rwf |= RWF_SYNC;
	else if (flags & O_DSYNC)
		rwf |= RWF_DSYNC;
	return rwf;
}

/* What the caller's change takes of SGID without group execution. */
enum lone_sgid { SGID_NONE, SGID_STAYS, SGID_GOES };

static enum lone_sgid lone_sgid(
	struct fs *fs, const struct op_ctx *c, struct nodeid node, int fd, struct statx *st)
{
	uint32_t uid;

	if (!inode_had_sgid(fs->inodes, node) ||
		statx(fd, "", AT_EMPTY_PATH, STATX_MODE | STATX_UID | STATX_GID, st) ||
		(st->stx_mode & (S_ISGID | S_IXGRP)) != S_ISGID)
		return SGID_NONE;
	if (idmap_to_host(fs->cfg.uids, c->uid, &uid) || st->stx_uid == uid || st->stx_mode & S_IWOTH)
		return SGID_GOES;
	return SGID_STAYS; /* neither his own nor open to all: he is of the group */
}

int fs_become_writer(struct fs *fs, const struct op_ctx *c, struct nodeid node, int fd, bool guest_kills)
{
	enum lone_sgid s = SGID_NONE;
	struct statx st;

	if (!c->uid)
		return cred_daemon(fs);
	s = lone_sgid(fs, c, node, fd, &st);
	if (s == SGID_STAYS && st.stx_mode & S_ISUID)
		return cred_daemon_kill_priv_of(fs, c, st.stx_gid);
	if (s == SGID_STAYS || (s == SGID_NONE && guest_kills))
		return cred_daemon(fs);
	return cred_daemon_kill_priv(fs, c);
}

int fs_become_killer(struct fs *fs, const struct op_ctx *c, struct nodeid node, int fd)
{
	return c->uid ? fs_become_writer(fs, c, node, fd, false) : cred_daemon_kill_priv(fs, c);
}

/* Pages from the guest's cache are nobody's. */
static int become_for_write(struct fs *fs, const struct op_ctx *c, struct nodeid node, int fd, uint32_t flags)
{
	if (flags & OP_WRITE_KILL_SUIDGID)
		return fs_become_killer(fs, c, node, fd);
	if (flags & OP_WRITE_CACHE || fs->features.killpriv_v2)
		return cred_daemon(fs);
	return fs_become_writer(fs, c, node, fd, true);
}

/* What an earlier process has appended for this request is told by the size. 0 or -errno. */
static int append_begin(struct op_ctx *c, int fd, struct transfer *t)
{
	uint64_t had;
	struct stat st;

	if (!c->intent)
		return 0;
	if (fstat(fd, &st))
		return -errno;
	op_intend(c, (uint64_t)st.st_size, 0);
	had = c->intent->value[0];
	if (c->again && (uint64_t)st.st_size > had)
		transfer_advance(t, (ssize_t)MIN((uint64_t)st.st_size - had, t->left));
	return 0;
}

ssize_t fs_op_write(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, struct iovec *iov,
	unsigned int n, uint64_t off, uint32_t flags, uint32_t write_flags)
{
	int rwf = write_rwf(fs, flags);
	struct effect e = {.kind = EFFECT_DATA,
		.idempotent = !(rwf & RWF_APPEND),
		.node = {node},
		.nodes = 1,
		.unique = c->unique,
		.ctx = c,
		.change = {.off = off}};
	autofile struct file_use f = {0};
	struct transfer t;
	int r = transfer_begin(&t, iov, n, off);

	if (r)
		return r;
	e.change.len = t.left;
	r = file_use(fs, node, fh, FILE_WRITE, &f);
	if (!r && write_flags & OP_WRITE_CACHE)
		file_leave_direct(&f, node);
	if (!r && f.flags & O_APPEND && !(rwf & RWF_APPEND))
		r = -EPERM;
	if (!r)
		r = become_for_write(fs, c, node, f.fd, write_flags);
	if (!r)
		r = effect_begin(fs, &e);
	if (r)
		return r;
	if (rwf & RWF_SYNC || rwf & RWF_DSYNC || f.flags & (O_DIRECT | O_SYNC))
		file_may_block(c);
	r = fs_drop_capability(fs, f.fd);
	if (!r && rwf & RWF_APPEND)
		r = append_begin(c, f.fd, &t);
	return effect_end(fs, &e, r ? r : write_all(c, f.fd, rwf, &t));
}

static int sync_fd(struct op_ctx *c, int fd, bool datasync)
{
	unsigned int tries = 0;
	int r;

	file_may_block(c);
	do {
		r = datasync ? fdatasync(fd) : fsync(fd);
	} while (r && fs_again(c, &tries));
	return r ? -errno : 0;
}

int fs_op_fsync(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, bool datasync)
{
	autofile struct file_use f = {0};
	int r = file_use(fs, node, fh, FILE_READ, &f);

	if (!r)
		r = fs_window_sync(fs, c, node);
	return r ? r : sync_fd(c, f.fd, datasync);
}

int fs_op_fsyncdir(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, bool datasync)
{
	autofile struct file_use f = {0};
	int r = file_use_dir(fs, node, fh, &f);

	return r ? r : sync_fd(c, f.fd, datasync);
}

static int fallocate_fd(struct op_ctx *c, int fd, int mode, off_t off, off_t len)
{
	unsigned int tries = 0;
	int r;

	if ((uint64_t)len > FALLOCATE_QUICK)
		file_may_block(c);
	do {
		r = fallocate(fd, mode, off, len);
	} while (r && fs_again(c, &tries));
	return r ? -errno : 0;
}

int fs_op_fallocate(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t off,
	uint64_t len, uint32_t mode)
{
	struct effect e = {.kind = EFFECT_DATA,
		.idempotent = !(mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)),
		.node = {node},
		.nodes = 1,
		.unique = c->unique,
		.ctx = c,
		.change = {.off = off, .len = len, .cuts = mode != FALLOC_FL_KEEP_SIZE}};
	autofile struct file_use f = {0};
	int r;

	if (off > INT64_MAX || len > INT64_MAX || mode > INT_MAX)
		return -EINVAL;
	r = file_use(fs, node, fh, FILE_WRITE, &f);
	e.change.fd = f.fd;
	if (!r)
		r = fs_become_writer(fs, c, node, f.fd, false);
	if (!r)
		r = effect_begin(fs, &e);
	if (r)
		return r;
	r = fs_drop_capability(fs, f.fd);
	if (!r)
		r = fallocate_fd(c, f.fd, (int)mode, (off_t)off, (off_t)len);
	return (int)effect_end(fs, &e, r);
}

int fs_op_lseek(
	struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t *off, uint32_t whence)
{
	autofile struct file_use f = {0};
	off_t pos;
	int r;

	(void)c;
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (*off > INT64_MAX)
		return -ENXIO;
	r = file_use(fs, node, fh, FILE_READ, &f);
	if (r)
		return r;
	pos = lseek(f.fd, (off_t)*off, (int)whence);
	if (pos < 0)
		return -errno;
	*off = (uint64_t)pos;
	return 0;
}

static ssize_t copy_fd(struct op_ctx *c, int in, int out, const struct op_copy *copy)
{
	off_t in_off = (off_t)copy->in_off, out_off = (off_t)copy->out_off;
	size_t len = MIN(copy->len, COPY_STEP);
	unsigned int tries = 0;
	ssize_t r;

	if (len > COPY_QUICK)
		file_may_block(c);
	do {
		r = copy_file_range(in, &in_off, out, &out_off, len, 0);
	} while (r < 0 && fs_again(c, &tries));
	return r < 0 ? -errno : r;
}

ssize_t fs_op_copy_file_range(struct fs *fs, struct op_ctx *c, const struct op_copy *copy)
{
	struct effect e = {.kind = EFFECT_DATA,
		.idempotent = copy->in.v != copy->out.v,
		.node = {copy->out},
		.nodes = 1,
		.unique = c->unique,
		.ctx = c,
		.change = {.off = copy->out_off, .len = copy->len}};
	autofile struct file_use in = {0};
	autofile struct file_use out = {0};
	int r;

	if (copy->in_off > INT64_MAX || copy->out_off > INT64_MAX)
		return -EINVAL;
	r = file_use(fs, copy->in, copy->in_fh, FILE_READ, &in);
	if (!r)
		r = fs_window_sync(fs, c, copy->in);
	if (!r)
		r = file_use(fs, copy->out, copy->out_fh, FILE_WRITE, &out);
	if (!r)
		r = fs_become_writer(fs, c, copy->out, out.fd, false);
	if (!r)
		r = effect_begin(fs, &e);
	if (r)
		return r;
	r = fs_drop_capability(fs, out.fd);
	return effect_end(fs, &e, r ? r : copy_fd(c, in.fd, out.fd, copy));
}

/* ENOSYS: the guest need not ask again. */
int fs_op_syncfs(struct fs *fs, struct op_ctx *c, struct nodeid node)
{
	autofile struct file_use f = {0};
	int r;

	if (!fs->cfg.sync_on_syncfs)
		return -ENOSYS;
	r = file_use_inode(fs, node, &f);
	if (r)
		return r;
	file_may_block(c);
	return syncfs(f.fd) ? -errno : 0;
}
