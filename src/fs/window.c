/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files that the guest maps in its window: which, and opened as what. What is mapped where is the window's
 * own (src/dax). Threads: any.
 */
#include "fs/internal.h"

#include "base/cleanup.h"
#include "fs/cred.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/xattr.h>

uint32_t fs_window_mark(const struct fs *fs, const struct statx *st)
{
	const struct op_window *w = fs->cfg.window;

	return w && fs->features.dax && w->marks(w->arg, st) ? OP_ATTR_DAX : 0;
}

int fs_window_seen(struct fs *fs, struct op_ctx *c, const struct op_entry *e)
{
	const struct op_window *w = fs->cfg.window;

	return w && fs->features.dax ? w->seen(w->arg, c, e->node, &e->st) : 0;
}

int fs_window_sync(struct fs *fs, struct op_ctx *c, struct nodeid node)
{
	const struct op_window *w = fs->cfg.window;

	return w && fs->features.dax ? w->sync(w->arg, c, node) : 0;
}

/*
 * Stores of the guest come past us: what a write would take from the file goes when they become possible.
 * Guests take SUID and SGID away by themselves when they write by system call; not for stores.
 */
static int drop_privileges(struct fs *fs, const struct op_ctx *c, int fd)
{
	struct stat st;
	mode_t drop = S_ISUID;
	int r = fs_drop_capability(fs, fd);

	if (!r && fremovexattr(fd, "security.capability") && errno != ENODATA && errno != EOPNOTSUPP)
		r = -errno;
	if (r || !c->uid)
		return r;
	if (fstat(fd, &st))
		return -errno;
	if (st.st_mode & S_IXGRP)
		drop |= S_ISGID;
	return st.st_mode & drop && fchmod(fd, st.st_mode & 07777 & ~drop) ? -errno : 0;
}

static int prepare_writing(struct fs *fs, struct op_ctx *c, struct nodeid node, int fd)
{
	struct effect e = {
		.kind = EFFECT_ATTR, .idempotent = true, .node = {node}, .nodes = 1, .unique = c->unique};
	int r = effect_begin(fs, &e);

	return r ? r : (int)effect_end(fs, &e, drop_privileges(fs, c, fd));
}

/*
 * To read and write where that is possible: front-ends map no other descriptors, and the guest may write by
 * what they map. What nobody may write now (the mode, an attribute, a program that runs) can be read all the
 * same.
 */
static int open_mapped(struct fs *fs, struct op_ctx *c, int path_fd, bool write)
{
	int fd = fs_reopen(fs, c, path_fd, S_IFREG, O_RDWR | O_NOATIME);

	if (fd == -EPERM)
		fd = fs_reopen(fs, c, path_fd, S_IFREG, O_RDWR);
	if (write || (fd != -EACCES && fd != -EPERM && fd != -EROFS && fd != -ETXTBSY))
		return fd;
	return fs_reopen(fs, c, path_fd, S_IFREG, O_RDONLY);
}

bool fs_op_window_works(struct fs *fs)
{
	const struct op_window *w = fs->cfg.window;

	return w && w->works(w->arg);
}

int fs_op_setupmapping(struct fs *fs, struct op_ctx *c, struct nodeid node, const struct op_mapping *m)
{
	const struct op_window *w = fs->cfg.window;
	autoinode struct inode_use u = {0};
	int r = w ? inode_use(fs->inodes, node, &u) : -ENOSYS;

	if (r)
		return r;
	if (u.inode->key.type != S_IFREG)
		return -EINVAL;
	if (fs->cfg.readonly)
		return -EROFS;
	r = cred_daemon(fs);
	if (r)
		return r;
	autofd int fd = open_mapped(fs, c, u.fd, m->write);
	if (fd < 0)
		return fd;
	if (m->write)
		r = prepare_writing(fs, c, node, fd);
	return r ? r : w->map(w->arg, c, node, m, fd);
}

int fs_window_restore(struct fs *fs, struct nodeid node, const struct op_mapping *m)
{
	const struct op_window *w = fs->cfg.window;
	autoinode struct inode_use u = {0};
	int r = w && fs->features.dax ? inode_use(fs->inodes, node, &u) : -ENOSYS;

	if (r)
		return r;
	if (u.inode->key.type != S_IFREG)
		return -EINVAL;
	autofd int fd = open_mapped(fs, NULL, u.fd, m->write);
	return fd < 0 ? fd : w->map(w->arg, NULL, node, m, fd);
}

int fs_op_removemapping(struct fs *fs, struct op_ctx *c, uint64_t window_off, uint64_t len)
{
	const struct op_window *w = fs->cfg.window;

	return w ? w->unmap(w->arg, c, window_off, len) : -ENOSYS;
}
