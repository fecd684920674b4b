/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ioctls that make sense for a shared directory: an inode's flags and project. Whether the caller owns
 * the inode has been checked by the guest's kernel; what only root may do there is checked here. Threads:
 * any.
 */
#include "fs/file.h"

#include "base/arith.h"
#include "fs/cred.h"

#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>

/* A change of these needs CAP_LINUX_IMMUTABLE, which only root is taken to have. */
#define ROOT_FLAGS  (FS_IMMUTABLE_FL | FS_APPEND_FL)
#define ROOT_XFLAGS (FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND)

struct request {
	struct fs *fs;
	struct op_ctx *c;
	struct nodeid node;
	int fd;
	struct op_ioctl *io;
};

/* The argument's size, and who performs it. The flags are an int, whatever the number of the request says. */
struct command {
	uint32_t cmd;
	uint32_t in_size, out_size;
	int (*run)(const struct request *q);
};

static int get_flags(const struct request *q)
{
	int flags = 0;

	if (ioctl(q->fd, FS_IOC_GETFLAGS, &flags))
		return -errno;
	memcpy(q->io->out, &flags, sizeof(flags));
	return 0;
}

static int get_xattr(const struct request *q)
{
	struct fsxattr x = {0};

	if (ioctl(q->fd, FS_IOC_FSGETXATTR, &x))
		return -errno;
	memcpy(q->io->out, &x, sizeof(x));
	return 0;
}

static int change(const struct request *q, unsigned long cmd, void *arg)
{
	struct effect e = {.kind = EFFECT_ATTR,
		.idempotent = true,
		.node = {q->node},
		.nodes = 1,
		.unique = q->c->unique};
	int r = effect_begin(q->fs, &e);

	return r ? r : (int)effect_end(q->fs, &e, ioctl(q->fd, cmd, arg) ? -errno : 0);
}

static int set_flags(const struct request *q)
{
	unsigned int now = 0, want;

	memcpy(&want, q->io->in, sizeof(want));
	if (ioctl(q->fd, FS_IOC_GETFLAGS, &now))
		return -errno;
	if (q->c->uid && (now ^ want) & ROOT_FLAGS)
		return -EPERM;
	return change(q, FS_IOC_SETFLAGS, &want);
}

static int set_xattr(const struct request *q)
{
	struct fsxattr now = {0}, want;

	memcpy(&want, q->io->in, sizeof(want));
	if (ioctl(q->fd, FS_IOC_FSGETXATTR, &now))
		return -errno;
	if (q->c->uid && (now.fsx_xflags ^ want.fsx_xflags) & ROOT_XFLAGS)
		return -EPERM;
	return change(q, FS_IOC_FSSETXATTR, &want);
}

static const struct command commands[] = {
	{FS_IOC_GETFLAGS, 0, sizeof(int), get_flags},
	{FS_IOC32_GETFLAGS, 0, sizeof(int), get_flags},
	{FS_IOC_SETFLAGS, sizeof(int), 0, set_flags},
	{FS_IOC32_SETFLAGS, sizeof(int), 0, set_flags},
	{FS_IOC_FSGETXATTR, 0, sizeof(struct fsxattr), get_xattr},
	{FS_IOC_FSSETXATTR, sizeof(struct fsxattr), 0, set_xattr},
};

static const struct command *find(uint32_t cmd)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (commands[i].cmd == cmd)
			return &commands[i];
	return NULL;
}

static int use(struct fs *fs, struct nodeid node, struct op_fh fh, bool dir, struct file_use *f)
{
	int r;

	if (!fh.v)
		r = file_use_inode(fs, node, f);
	else
		r = dir ? file_use_dir(fs, node, fh, f) : file_use(fs, node, fh, FILE_READ, f);
	return r;
}

int fs_op_ioctl(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, struct op_ioctl *io)
{
	const struct command *cmd = find(io->cmd);
	autofile struct file_use f = {0};
	int r;

	if (!cmd)
		return -ENOTTY;
	if (io->in_size < cmd->in_size || io->out_size < cmd->out_size)
		return -EINVAL;
	r = use(fs, node, fh, io->dir, &f);
	if (!r)
		r = cred_daemon(fs);
	if (r)
		return r;
	r = cmd->run(&(struct request){.fs = fs, .c = c, .node = node, .fd = f.fd, .io = io});
	io->out_size = r ? 0 : cmd->out_size;
	io->result = 0;
	return r;
}
