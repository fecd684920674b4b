/* SPDX-License-Identifier: BSD-3-Clause */
/* Making and ending a file system, and the table of its ops. Threads: fs_new() and fs_free() the control
 * thread's. */
#include "fs/internal.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/closing.h"
#include "fs/cred.h"
#include "fs/mount.h"

#include <fcntl.h>

#define CLOSING_SHARE 32 /* one in so many of the descriptors may wait to be closed */

/* Indices of an ID table go from 1 to its count - 1. */
static uint64_t records_for(uint32_t n)
{
	return MIN((uint64_t)MAX(n, 1u) + 1, (uint64_t)UINT32_MAX);
}

void fs_plan(const struct fs_config *cfg, struct segment_plan plan[SEGMENT_SECTIONS])
{
	plan[SEGMENT_MOUNTS] = (struct segment_plan){sizeof(struct mount), MOUNT_MAX};
	plan[SEGMENT_INODES] = (struct segment_plan){sizeof(struct inode), records_for(cfg->max_inodes)};
	plan[SEGMENT_HANDLES] = (struct segment_plan){sizeof(struct handle), records_for(cfg->max_handles)};
	lock_table_plan(cfg, &plan[SEGMENT_LOCK_OWNERS], &plan[SEGMENT_LOCK_RANGES]);
}

static void free_tables(struct fs *fs, bool leave)
{
	dir_table_free(fs->dirs);
	lock_table_free(fs->locks);
	handle_table_free(fs->handles);
	inode_table_free(fs->inodes, leave);
	free(fs);
}

/* The records' inodes are on the mounts of the process that made them; so is the root from now on. */
static int adopt_root(struct fs *fs)
{
	autoinode struct inode_use root = {0};
	int r = inode_use(fs->inodes, NODEID_ROOT, &root);

	if (!r && dup3(root.fd, fs->cfg.root, O_CLOEXEC) < 0)
		r = -errno;
	return r;
}

static int adopt(struct fs *fs)
{
	int r = handle_table_adopt(fs->handles);

	if (!r)
		r = inode_adopt_end(fs->inodes);
	if (!r)
		r = lock_table_adopt(fs->locks);
	return r ? r : adopt_root(fs);
}

int fs_prepare(const struct fs_config *cfg, struct err *err)
{
	return cred_setup(cfg, err);
}

int fs_new(const struct fs_config *cfg, const struct segment *seg, struct fs **out, struct err *err)
{
	struct fs *fs = calloc(1, sizeof(*fs));
	int r;

	if (!fs)
		return err_sys(err, ENOMEM, "cannot make the file system");
	fs->cfg = *cfg;
	closing_limit((unsigned int)inode_fd_ceiling() / CLOSING_SHARE);
	r = cred_setup(cfg, err);
	if (!r)
		r = inode_table_new(&fs->cfg, seg, &fs->inodes, err);
	if (r) {
		free_tables(fs, seg->adopt);
		return r;
	}
	fs->handles = handle_table_new(fs->inodes, seg);
	fs->dirs = dir_table_new(cfg->max_handles);
	fs->locks = lock_table_new(seg);
	if (!fs->locks || !fs->handles || !fs->dirs) {
		free_tables(fs, seg->adopt);
		return err_sys(err, ENOMEM, "cannot make the tables of open files and locks");
	}
	r = seg->adopt ? adopt(fs) : 0;
	if (r) {
		free_tables(fs, seg->adopt);
		return err_sys(err, -r, "the state of files and locks cannot be taken over");
	}
	*out = fs;
	return 0;
}

int fs_keep_fds(struct fs *fs, struct fdmap *map)
{
	int r = inode_keep_fds(fs->inodes, map);

	if (!r)
		r = handle_keep_fds(fs->handles, map);
	return r ? r : lock_table_keep_fds(fs->locks, map);
}

void fs_count(struct fs *fs, struct fs_counts *out)
{
	inode_table_count(fs->inodes, &out->inodes, &out->cached_fds);
	out->handles = handle_table_count(fs->handles);
	out->lock_owners = lock_table_count(fs->locks);
}

bool fs_uses_handles(const struct fs *fs)
{
	return inode_uses_handles(fs->inodes);
}

static int init(struct fs *fs, const struct op_features *features)
{
	fs->features = *features;
	kept_free(fs->kept);
	fs->kept = NULL;
	if (!features->zero_message_open)
		return 0;
	if (features->zero_message_opendir)
		handle_release_all(fs->handles); /* directories that an earlier process kept */
	fs->kept = kept_new(fs);
	return fs->kept ? 0 : -ENOMEM;
}

/* The window first: the guest sees files by it. Locks and directories then: they hang on handles, and handles
 * on inodes. */
static void destroy(struct fs *fs)
{
	if (fs->cfg.window)
		fs->cfg.window->reset(fs->cfg.window->arg);
	lock_drop_all(fs);
	dir_forget_all(fs);
	kept_forget_all(fs->kept);
	handle_release_all(fs->handles);
	inode_forget_all(fs->inodes);
	closing_flush();
}

void fs_free(struct fs *fs)
{
	if (!fs)
		return;
	destroy(fs);
	kept_free(fs->kept);
	close(fs->cfg.root);
	close(fs->cfg.proc_self_fd);
	free_tables(fs, false);
	closing_flush();
}

const struct fuse_ops fs_ops = {
	.init = init,
	.destroy = destroy,
	.lookup = fs_op_lookup,
	.forget = fs_op_forget,
	.symlink = fs_op_symlink,
	.mknod = fs_op_mknod,
	.mkdir = fs_op_mkdir,
	.unlink = fs_op_unlink,
	.rmdir = fs_op_rmdir,
	.rename = fs_op_rename,
	.link = fs_op_link,
	.readlink = fs_op_readlink,
	.getattr = fs_op_getattr,
	.setattr = fs_op_setattr,
	.statfs = fs_op_statfs,
	.access = fs_op_access,
	.open = fs_op_open,
	.create = fs_op_create,
	.tmpfile = fs_op_tmpfile,
	.read = fs_op_read,
	.write = fs_op_write,
	.flush = fs_op_flush,
	.release = fs_op_release,
	.fsync = fs_op_fsync,
	.fallocate = fs_op_fallocate,
	.lseek = fs_op_lseek,
	.copy_file_range = fs_op_copy_file_range,
	.ioctl = fs_op_ioctl,
	.syncfs = fs_op_syncfs,
	.window_works = fs_op_window_works,
	.setupmapping = fs_op_setupmapping,
	.removemapping = fs_op_removemapping,
	.opendir = fs_op_opendir,
	.dir_lock = fs_op_dir_lock,
	.dir_unlock = fs_op_dir_unlock,
	.readdir = fs_op_readdir,
	.lookup_listed = fs_op_lookup_listed,
	.releasedir = fs_op_releasedir,
	.fsyncdir = fs_op_fsyncdir,
	.setxattr = fs_op_setxattr,
	.getxattr = fs_op_getxattr,
	.listxattr = fs_op_listxattr,
	.removexattr = fs_op_removexattr,
	.getlk = fs_op_getlk,
	.setlk = fs_op_setlk,
	.flock = fs_op_flock,
};
