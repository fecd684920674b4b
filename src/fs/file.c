/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors for ops (file.h). Threads: any. */
#include "fs/file.h"

#include "fs/cred.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int use_handle(struct fs *fs, struct nodeid node, struct op_fh fh, bool is_dir, struct file_use *u)
{
	struct handle *h = handle_get(fs->handles, node, fh, is_dir);

	if (!h)
		return -EBADF;
	*u = (struct file_use){.fs = fs, .handle = h, .fd = h->fd, .flags = h->flags};
	u->traits = atomic_load_explicit(&h->traits, memory_order_relaxed);
	return 0;
}

static int use_inode(struct fs *fs, struct nodeid node, uint32_t flags, bool dir_too, struct file_use *u)
{
	autoinode struct inode_use i = {0};
	int r = inode_use(fs->inodes, node, &i);
	uint32_t type;

	if (r)
		return r;
	type = i.inode->key.type;
	if (type != S_IFREG && !(dir_too && type == S_IFDIR))
		return -EBADF;
	r = cred_daemon(fs);
	if (r)
		return r;
	r = fs_reopen(fs, NULL, i.fd, type, flags | O_CLOEXEC);
	if (r < 0)
		return r;
	*u = (struct file_use){.fs = fs, .fd = r, .flags = flags};
	u->traits = inode_fs_traits(fs->inodes, i.inode, r);
	return 0;
}

static int use_kept(struct fs *fs, struct nodeid node, bool write, struct file_use *u)
{
	int r, fd;
	struct kept_file *f = kept_use(fs->kept, node, write, &fd);
	uint32_t flags = write ? O_WRONLY : O_RDONLY;

	if (f) {
		*u = (struct file_use){.fs = fs, .kept = f, .fd = fd, .flags = flags, .traits = f->traits};
		return 0;
	}
	r = use_inode(fs, node, flags, false, u);
	if (!r)
		kept_add(fs->kept, node, write, u->fd, u->traits);
	return r;
}

int file_use(struct fs *fs, struct nodeid node, struct op_fh fh, enum file_access access, struct file_use *u)
{
	if (fh.v || !fs->kept)
		return use_handle(fs, node, fh, false, u);
	if (access == FILE_WRITE && fs->cfg.readonly)
		return -EROFS;
	return use_kept(fs, node, access == FILE_WRITE, u);
}

int file_use_dir(struct fs *fs, struct nodeid node, struct op_fh fh, struct file_use *u)
{
	return use_handle(fs, node, fh, true, u);
}

int file_use_inode(struct fs *fs, struct nodeid node, struct file_use *u)
{
	return use_inode(fs, node, O_RDONLY, true, u);
}

void file_leave_direct(struct file_use *u, struct nodeid node)
{
	struct file_use other = {0};

	if (!(u->flags & O_DIRECT) || use_inode(u->fs, node, O_WRONLY, false, &other))
		return;
	file_use_end(u);
	*u = other;
}

uint32_t file_traits(struct file_use *u)
{
	if (!u->traits)
		u->traits = handle_fs_traits(u->fs->handles, u->handle);
	return u->traits;
}

void file_use_end(struct file_use *u)
{
	if (u->handle)
		handle_put(u->fs->handles, u->handle);
	else if (u->kept)
		kept_done(u->kept);
	else if (u->fs && (u->flags & O_ACCMODE) == O_RDONLY)
		closing_add(u->fd);
	else if (u->fs)
		close(u->fd);
	*u = (struct file_use){0};
}
