/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuse_fake.h"

#include "base/arith.h"
#include "base/io.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define U(v) ((unsigned long)(v))

void fake_init(struct fs *fs)
{
	*fs = (struct fs){.file_size = 1 << 20};
}

void fake_clear(struct fs *fs)
{
	fs->log[0] = '\0';
}

/* Notes a call. Returns what the op shall: 0, or the error that a test asked for. */
static __attribute__((format(printf, 2, 3))) int note(struct fs *fs, const char *fmt, ...)
{
	size_t used = strlen(fs->log);
	int fail = fs->fail;
	va_list ap;

	if (fs->silent)
		return 0;
	va_start(ap, fmt);
	vsnprintf(fs->log + used, sizeof(fs->log) - used, fmt, ap);
	va_end(ap);
	used = strlen(fs->log);
	snprintf(fs->log + used, sizeof(fs->log) - used, ";");
	fs->fail = 0;
	return -fail;
}

static void fill_stat(uint64_t ino, struct statx *st)
{
	*st = (struct statx){
		.stx_mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID,
		.stx_ino = ino,
		.stx_mode = S_IFREG | 0640,
		.stx_nlink = 3,
		.stx_uid = 1000,
		.stx_gid = 1001,
		.stx_size = 12345,
		.stx_blocks = 24,
		.stx_blksize = 4096,
		.stx_attributes = STATX_ATTR_APPEND | STATX_ATTR_MOUNT_ROOT,
		.stx_atime = {.tv_sec = -1, .tv_nsec = 1},
		.stx_mtime = {.tv_sec = 2, .tv_nsec = 3},
		.stx_ctime = {.tv_sec = 4, .tv_nsec = 5},
		.stx_btime = {.tv_sec = 6, .tv_nsec = 7},
		.stx_rdev_major = 0x123,
		.stx_rdev_minor = 0x4567,
		.stx_dev_major = 9,
	};
}

static int give_entry(struct fs *fs, int r, struct op_entry *out)
{
	if (r)
		return r;
	out->node.v = FAKE_NODE + fs->next++;
	out->attr_flags = OP_ATTR_SUBMOUNT;
	fill_stat(out->node.v, &out->st);
	fs->lookups++;
	return 0;
}

static int give_handle(struct fs *fs, int r, struct op_fh *fh)
{
	if (r)
		return r;
	fh->v = FAKE_FH;
	fs->handles++;
	return 0;
}

static int take_handle(struct fs *fs, int r)
{
	if (!r)
		fs->handles--;
	return r;
}

/* Who asks and what came with it, where it matters: requests that create. */
static const char *mode_text(const struct op_ctx *c, const struct op_mode *m, char *buf, size_t len)
{
	int n = snprintf(buf, len, "mode=%o umask=%o rdev=%x uid=%u", m->mode, m->umask, m->rdev, c->uid);

	for (uint32_t i = 0; i < c->nsupp && n < (int)len; i++)
		n += snprintf(buf + n, len - (size_t)n, " supp=%u", c->supp[i]);
	if (m->secctx_name && n < (int)len)
		snprintf(buf + n, len - (size_t)n, " label=%s:%.*s", m->secctx_name, (int)m->secctx_len,
			(const char *)m->secctx);
	return buf;
}

static int fake_init_op(struct fs *fs, const struct op_features *features)
{
	fs->inits++;
	fs->features = *features;
	return note(fs, "init");
}

static void fake_destroy(struct fs *fs)
{
	fs->destroys++;
	fs->lookups = fs->handles = 0;
	note(fs, "destroy");
}

static int fake_lookup(
	struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name, struct op_entry *out)
{
	int r = note(fs, "lookup %lu %s", U(parent.v), name);

	if (c->may_block)
		c->may_block(c, OP_BLOCK_IO);
	if (!r && !strncmp(name, "gone", 4))
		r = -ENOENT;
	return give_entry(fs, r, out);
}

static void fake_forget(struct fs *fs, struct nodeid node, uint64_t nlookup)
{
	int fail = fs->fail;

	note(fs, "forget %lu %lu", U(node.v), U(nlookup));
	fs->fail = fail;
	fs->lookups -= nlookup;
}

static int fake_symlink(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name,
	const char *target, struct op_entry *out)
{
	(void)c;
	return give_entry(fs, note(fs, "symlink %lu %s %s", U(parent.v), name, target), out);
}

static int fake_mknod(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name,
	const struct op_mode *m, struct op_entry *out)
{
	char t[256];

	return give_entry(
		fs, note(fs, "mknod %lu %s %s", U(parent.v), name, mode_text(c, m, t, sizeof(t))), out);
}

static int fake_mkdir(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name,
	const struct op_mode *m, struct op_entry *out)
{
	char t[256];

	return give_entry(
		fs, note(fs, "mkdir %lu %s %s", U(parent.v), name, mode_text(c, m, t, sizeof(t))), out);
}

static int fake_unlink(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name)
{
	(void)c;
	return note(fs, "unlink %lu %s", U(parent.v), name);
}

static int fake_rmdir(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name)
{
	(void)c;
	return note(fs, "rmdir %lu %s", U(parent.v), name);
}

static int fake_rename(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name,
	struct nodeid newparent, const char *newname, uint32_t flags)
{
	(void)c;
	return note(fs, "rename %lu %s %lu %s flags=%x", U(parent.v), name, U(newparent.v), newname, flags);
}

static int fake_link(struct fs *fs, struct op_ctx *c, struct nodeid node, struct nodeid newparent,
	const char *newname, struct op_entry *out)
{
	(void)c;
	return give_entry(fs, note(fs, "link %lu %lu %s", U(node.v), U(newparent.v), newname), out);
}

static int fake_readlink(struct fs *fs, struct op_ctx *c, struct nodeid node, char *buf, size_t *len)
{
	(void)c;
	*len = strlen(FAKE_READLINK);
	memcpy(buf, FAKE_READLINK, *len);
	return note(fs, "readlink %lu", U(node.v));
}

static int fake_getattr(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint32_t mask,
	struct op_entry *out)
{
	(void)c;
	fill_stat(node.v, &out->st);
	out->attr_flags = 0;
	return note(fs, "getattr %lu fh=%lx mask=%x", U(node.v), U(fh.v), mask);
}

static int fake_setattr(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh,
	const struct op_setattr *a, struct op_entry *out)
{
	(void)c;
	fill_stat(node.v, &out->st);
	return note(fs,
		"setattr %lu fh=%lx valid=%x mode=%o uid=%u gid=%u size=%lu atime=%ld.%ld mtime=%ld.%ld",
		U(node.v), U(fh.v), a->valid, a->mode, a->uid, a->gid, U(a->size), a->atime.tv_sec,
		a->atime.tv_nsec, a->mtime.tv_sec, a->mtime.tv_nsec);
}

static int fake_statfs(struct fs *fs, struct op_ctx *c, struct nodeid node, struct statvfs *out)
{
	(void)c;
	*out = (struct statvfs){.f_blocks = 1,
		.f_bfree = 2,
		.f_bavail = 3,
		.f_files = 4,
		.f_ffree = 5,
		.f_bsize = 6,
		.f_namemax = 7,
		.f_frsize = 8};
	return note(fs, "statfs %lu", U(node.v));
}

static int fake_access(struct fs *fs, struct op_ctx *c, struct nodeid node, uint32_t mask)
{
	return note(fs, "access %lu mask=%o gid=%u pid=%u", U(node.v), mask, c->gid, c->pid);
}

static int fake_open(struct fs *fs, struct op_ctx *c, struct nodeid node, uint32_t flags, uint32_t open_flags,
	struct op_fh *fh)
{
	(void)c;
	return give_handle(fs, note(fs, "open %lu flags=%o kill=%x", U(node.v), flags, open_flags), fh);
}

static int fake_create(struct fs *fs, struct op_ctx *c, struct nodeid parent, const char *name,
	const struct op_mode *m, uint32_t flags, uint32_t open_flags, struct op_entry *out, struct op_fh *fh)
{
	char t[256];
	int r = note(fs, "create %lu %s %s flags=%o kill=%x", U(parent.v), name,
		mode_text(c, m, t, sizeof(t)), flags, open_flags);

	return give_handle(fs, give_entry(fs, r, out), fh);
}

static int fake_tmpfile(struct fs *fs, struct op_ctx *c, struct nodeid parent, const struct op_mode *m,
	uint32_t flags, struct op_entry *out, struct op_fh *fh)
{
	char t[256];
	int r = note(fs, "tmpfile %lu %s flags=%o", U(parent.v), mode_text(c, m, t, sizeof(t)), flags);

	return give_handle(fs, give_entry(fs, r, out), fh);
}

static ssize_t fake_read(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh,
	struct iovec *iov, unsigned int n, uint64_t off, uint32_t flags)
{
	size_t done = 0;
	int r = note(fs, "read %lu fh=%lx off=%lu len=%zu flags=%o", U(node.v), U(fh.v), U(off),
		iov_total(iov, n), flags);

	(void)c;
	fs->max_pieces = MAX(fs->max_pieces, n);
	if (r)
		return r;
	for (unsigned int i = 0; i < n; i++)
		for (size_t k = 0; k < iov[i].iov_len && off + done < fs->file_size; k++, done++)
			((uint8_t *)iov[i].iov_base)[k] = (uint8_t)(off + done);
	return (ssize_t)done;
}

static ssize_t fake_write(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh,
	struct iovec *iov, unsigned int n, uint64_t off, uint32_t flags, uint32_t write_flags)
{
	size_t len = iov_total(iov, n);
	int r = note(fs, "write %lu fh=%lx off=%lu len=%zu flags=%o kill=%x", U(node.v), U(fh.v), U(off), len,
		flags, write_flags);

	(void)c;
	fs->max_pieces = MAX(fs->max_pieces, n);
	if (r)
		return r;
	fs->nwritten = iov_read(iov, n, 0, fs->written, sizeof(fs->written));
	return (ssize_t)len;
}

static int fake_flush(
	struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t lock_owner)
{
	(void)c;
	return note(fs, "flush %lu fh=%lx owner=%lx", U(node.v), U(fh.v), U(lock_owner));
}

static int fake_release(
	struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, bool flock, uint64_t lock_owner)
{
	(void)c;
	return take_handle(fs,
		note(fs, "release %lu fh=%lx flock=%d owner=%lx", U(node.v), U(fh.v), flock, U(lock_owner)));
}

static int fake_fsync(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, bool datasync)
{
	(void)c;
	return note(fs, "fsync %lu fh=%lx data=%d", U(node.v), U(fh.v), datasync);
}

static int fake_fallocate(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t off,
	uint64_t len, uint32_t mode)
{
	(void)c;
	return note(
		fs, "fallocate %lu fh=%lx off=%lu len=%lu mode=%x", U(node.v), U(fh.v), U(off), U(len), mode);
}

static int fake_lseek(
	struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t *off, uint32_t whence)
{
	int r = note(fs, "lseek %lu fh=%lx off=%lu whence=%u", U(node.v), U(fh.v), U(*off), whence);

	(void)c;
	*off += 1;
	return r;
}

static ssize_t fake_copy_file_range(struct fs *fs, struct op_ctx *c, const struct op_copy *copy)
{
	int r = note(fs, "copy %lu fh=%lx off=%lu to %lu fh=%lx off=%lu len=%lu", U(copy->in.v),
		U(copy->in_fh.v), U(copy->in_off), U(copy->out.v), U(copy->out_fh.v), U(copy->out_off),
		U(copy->len));

	(void)c;
	return r ? r : (ssize_t)copy->len;
}

static int fake_ioctl(
	struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, struct op_ioctl *io)
{
	int r = note(fs, "ioctl %lu fh=%lx cmd=%x arg=%lx in=%.*s out=%u dir=%d", U(node.v), U(fh.v), io->cmd,
		U(io->arg), (int)io->in_size, (const char *)io->in, io->out_size, io->dir);

	(void)c;
	if (io->out_size > 4)
		io->out_size = 4;
	memcpy(io->out, "OUT!", io->out_size);
	io->result = 42;
	return r;
}

static int fake_syncfs(struct fs *fs, struct op_ctx *c, struct nodeid node)
{
	(void)c;
	return note(fs, "syncfs %lu", U(node.v));
}

static int fake_opendir(struct fs *fs, struct op_ctx *c, struct nodeid node, uint32_t flags, struct op_fh *fh)
{
	(void)c;
	return give_handle(fs, note(fs, "opendir %lu flags=%o", U(node.v), flags), fh);
}

static int fake_dir_lock(struct fs *fs, struct nodeid node, struct op_fh fh)
{
	if (fh.v != FAKE_FH)
		return -EBADF;
	fs->listed = node;
	fs->dir_locks++;
	return 0;
}

static void fake_dir_unlock(struct fs *fs, struct op_fh fh)
{
	(void)fh;
	fs->dir_locks--;
}

static int fake_readdir(struct fs *fs, struct op_ctx *c, struct op_fh fh, uint64_t off, struct op_dirent *out)
{
	uint64_t n = 0;

	(void)c;
	(void)fh;
	while (fs->names && n < off && fs->names[n])
		n++;
	if (!fs->names)
		n = off;
	if (fs->names ? !fs->names[n] : n >= fs->repeat)
		return -fs->readdir_fails;
	*out = (struct op_dirent){.ino = n + 10, .off = n + 1, .type = 8};
	out->name = fs->names ? fs->names[n] : "12345678";
	out->namelen = (uint32_t)strlen(out->name);
	return 1;
}

static int fake_lookup_listed(
	struct fs *fs, struct op_ctx *c, struct op_fh fh, const struct op_dirent *d, struct op_entry *out)
{
	return fh.v == FAKE_FH && fs->dir_locks ? fake_lookup(fs, c, fs->listed, d->name, out) : -EBADF;
}

static int fake_releasedir(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh)
{
	(void)c;
	return take_handle(fs, note(fs, "releasedir %lu fh=%lx", U(node.v), U(fh.v)));
}

static int fake_fsyncdir(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, bool datasync)
{
	(void)c;
	return note(fs, "fsyncdir %lu fh=%lx data=%d", U(node.v), U(fh.v), datasync);
}

static int fake_setxattr(struct fs *fs, struct op_ctx *c, struct nodeid node, const char *name,
	const void *value, size_t size, uint32_t flags, uint32_t setxattr_flags)
{
	int r = note(fs, "setxattr %lu %s=%.*s size=%zu flags=%x kill=%x", U(node.v), name,
		(int)MIN(size, 64), (const char *)value, size, flags, setxattr_flags);

	(void)c;
	return strncmp(name, "refused.", 8) ? r : -EOPNOTSUPP;
}

static ssize_t give_value(int r, const char *v, size_t len, void *buf, size_t size)
{
	if (r)
		return r;
	if (!size)
		return (ssize_t)len;
	if (size < len)
		return -ERANGE;
	memcpy(buf, v, len);
	return (ssize_t)len;
}

static ssize_t fake_getxattr(
	struct fs *fs, struct op_ctx *c, struct nodeid node, const char *name, void *value, size_t size)
{
	(void)c;
	return give_value(
		note(fs, "getxattr %lu %s size=%zu", U(node.v), name, size), "value", 5, value, size);
}

static ssize_t fake_listxattr(struct fs *fs, struct op_ctx *c, struct nodeid node, char *list, size_t size)
{
	(void)c;
	return give_value(
		note(fs, "listxattr %lu size=%zu", U(node.v), size), "user.a\0user.b", 14, list, size);
}

static int fake_removexattr(struct fs *fs, struct op_ctx *c, struct nodeid node, const char *name)
{
	(void)c;
	return note(fs, "removexattr %lu %s", U(node.v), name);
}

static int fake_getlk(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t owner,
	struct op_lock *lk)
{
	int r = note(fs, "getlk %lu fh=%lx owner=%lx %lu-%lu type=%u", U(node.v), U(fh.v), U(owner),
		U(lk->start), U(lk->end), lk->type);

	(void)c;
	lk->pid = 77;
	return r;
}

/* As a real wait for a lock: it ends by a signal only, and asks then whether it was meant. */
static int wait_for_cancel(struct fs *fs, struct op_ctx *c)
{
	int r = c->may_block ? c->may_block(c, OP_BLOCK_LOCK) : 0;

	if (r)
		return r;
	atomic_fetch_add(&fs->waiting, 1);
	while (!c->cancelled)
		nanosleep(&(struct timespec){.tv_sec = 5}, NULL);
	atomic_fetch_sub(&fs->waiting, 1);
	return -EINTR;
}

static int fake_setlk(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t owner,
	const struct op_lock *lk, bool wait)
{
	if (wait && fs->block)
		return wait_for_cancel(fs, c);
	return note(fs, "setlk %lu fh=%lx owner=%lx %lu-%lu type=%u pid=%u wait=%d", U(node.v), U(fh.v),
		U(owner), U(lk->start), U(lk->end), lk->type, lk->pid, wait);
}

static int fake_flock(
	struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t owner, int op)
{
	(void)c;
	return note(fs, "flock %lu fh=%lx owner=%lx op=%d", U(node.v), U(fh.v), U(owner), op);
}

static bool fake_window_works(struct fs *fs)
{
	return fs->window_works;
}

const struct fuse_ops fake_ops = {
	.init = fake_init_op,
	.destroy = fake_destroy,
	.lookup = fake_lookup,
	.forget = fake_forget,
	.symlink = fake_symlink,
	.mknod = fake_mknod,
	.mkdir = fake_mkdir,
	.unlink = fake_unlink,
	.rmdir = fake_rmdir,
	.rename = fake_rename,
	.link = fake_link,
	.readlink = fake_readlink,
	.getattr = fake_getattr,
	.setattr = fake_setattr,
	.statfs = fake_statfs,
	.access = fake_access,
	.window_works = fake_window_works,
	.open = fake_open,
	.create = fake_create,
	.tmpfile = fake_tmpfile,
	.read = fake_read,
	.write = fake_write,
	.flush = fake_flush,
	.release = fake_release,
	.fsync = fake_fsync,
	.fallocate = fake_fallocate,
	.lseek = fake_lseek,
	.copy_file_range = fake_copy_file_range,
	.ioctl = fake_ioctl,
	.syncfs = fake_syncfs,
	.opendir = fake_opendir,
	.dir_lock = fake_dir_lock,
	.dir_unlock = fake_dir_unlock,
	.readdir = fake_readdir,
	.lookup_listed = fake_lookup_listed,
	.releasedir = fake_releasedir,
	.fsyncdir = fake_fsyncdir,
	.setxattr = fake_setxattr,
	.getxattr = fake_getxattr,
	.listxattr = fake_listxattr,
	.removexattr = fake_removexattr,
	.getlk = fake_getlk,
	.setlk = fake_setlk,
	.flock = fake_flock,
};
