/* SPDX-License-Identifier: BSD-3-Clause */
/* One function for each FUSE request. */
#include "fuse_ops.h"

#include <errno.h>
#include <string.h>

#define ARG(x)                                       \
	{                                            \
		(void *)(uintptr_t)(x), sizeof(*(x)) \
	}
#define NAME(s)                                       \
	{                                             \
		(void *)(uintptr_t)(s), strlen(s) + 1 \
	}

/* A request whose whole reply is a fixed structure, which must come complete. */
static int call_fixed(struct fuse_client *c, struct fc_op *op)
{
	ssize_t r = fc_call(c, op);

	if (r < 0)
		return (int)r;
	return (size_t)r == op->reply_len ? 0 : -EPROTO;
}

int fc_init_session(struct fuse_client *c, uint64_t flags, uint32_t minor, struct fuse_init_out *out)
{
	struct fuse_init_in in = {.major = FUSE_KERNEL_VERSION, .minor = minor, .max_readahead = 1u << 20};
	struct fc_op op = {.opcode = FUSE_INIT, .arg = {ARG(&in)}, .nargs = 1};

	in.flags = (uint32_t)flags;
	in.flags2 = (uint32_t)(flags >> 32);
	if (minor < 36)
		op.arg[0].iov_len = 16;
	op.reply = out;
	op.reply_len = sizeof(*out);
	return call_fixed(c, &op);
}

int fc_destroy(struct fuse_client *c)
{
	return call_fixed(c, &(struct fc_op){.opcode = FUSE_DESTROY});
}

/* The requests that answer with an entry. */
static int call_entry(struct fuse_client *c, struct fc_op *op, struct fuse_entry_out *out)
{
	op->reply = out;
	op->reply_len = sizeof(*out);
	return call_fixed(c, op);
}

int fc_lookup(struct fuse_client *c, uint64_t parent, const char *name, struct fuse_entry_out *out)
{
	struct fc_op op = {.opcode = FUSE_LOOKUP, .node = parent, .arg = {NAME(name)}, .nargs = 1};

	return call_entry(c, &op, out);
}

int fc_forget(struct fuse_client *c, uint64_t node, uint64_t nlookup)
{
	struct fuse_forget_in in = {.nlookup = nlookup};
	struct fc_op op = {.opcode = FUSE_FORGET, .node = node, .arg = {ARG(&in)}, .nargs = 1};

	op.no_reply = true;
	return (int)fc_call(c, &op);
}

int fc_batch_forget(struct fuse_client *c, const struct fuse_forget_one *one, uint32_t count)
{
	struct fuse_batch_forget_in in = {.count = count};
	struct fc_op op = {.opcode = FUSE_BATCH_FORGET, .arg = {ARG(&in), ARG(one)}, .nargs = 2};

	op.arg[1].iov_len *= count;
	op.no_reply = true;
	return (int)fc_call(c, &op);
}

int fc_mknod(struct fuse_client *c, uint64_t parent, const char *name, const struct fuse_mknod_in *in,
	struct fuse_entry_out *out)
{
	struct fc_op op = {.opcode = FUSE_MKNOD, .node = parent, .arg = {ARG(in), NAME(name)}, .nargs = 2};

	return call_entry(c, &op, out);
}

int fc_mkdir(
	struct fuse_client *c, uint64_t parent, const char *name, uint32_t mode, struct fuse_entry_out *out)
{
	struct fuse_mkdir_in in = {.mode = mode};
	struct fc_op op = {.opcode = FUSE_MKDIR, .node = parent, .arg = {ARG(&in), NAME(name)}, .nargs = 2};

	return call_entry(c, &op, out);
}

int fc_symlink(struct fuse_client *c, uint64_t parent, const char *name, const char *target,
	struct fuse_entry_out *out)
{
	struct fc_op op = {
		.opcode = FUSE_SYMLINK, .node = parent, .arg = {NAME(name), NAME(target)}, .nargs = 2};

	return call_entry(c, &op, out);
}

int fc_link(
	struct fuse_client *c, uint64_t node, uint64_t parent, const char *name, struct fuse_entry_out *out)
{
	struct fuse_link_in in = {.oldnodeid = node};
	struct fc_op op = {.opcode = FUSE_LINK, .node = parent, .arg = {ARG(&in), NAME(name)}, .nargs = 2};

	return call_entry(c, &op, out);
}

static int call_name(struct fuse_client *c, uint32_t opcode, uint64_t node, const char *name)
{
	struct fc_op op = {.opcode = opcode, .node = node, .arg = {NAME(name)}, .nargs = 1};

	return call_fixed(c, &op);
}

int fc_unlink(struct fuse_client *c, uint64_t parent, const char *name)
{
	return call_name(c, FUSE_UNLINK, parent, name);
}

int fc_rmdir(struct fuse_client *c, uint64_t parent, const char *name)
{
	return call_name(c, FUSE_RMDIR, parent, name);
}

int fc_rename(struct fuse_client *c, uint64_t parent, const char *name, uint64_t newdir, const char *newname)
{
	struct fuse_rename_in in = {.newdir = newdir};
	struct fc_op op = {.opcode = FUSE_RENAME, .node = parent, .nargs = 3};

	op.arg[0] = (struct iovec)ARG(&in);
	op.arg[1] = (struct iovec)NAME(name);
	op.arg[2] = (struct iovec)NAME(newname);
	return call_fixed(c, &op);
}

int fc_rename2(struct fuse_client *c, uint64_t parent, const char *name, const struct fuse_rename2_in *in,
	const char *newname)
{
	struct fc_op op = {.opcode = FUSE_RENAME2, .node = parent, .nargs = 3};

	op.arg[0] = (struct iovec)ARG(in);
	op.arg[1] = (struct iovec)NAME(name);
	op.arg[2] = (struct iovec)NAME(newname);
	return call_fixed(c, &op);
}

ssize_t fc_readlink(struct fuse_client *c, uint64_t node, char *buf, size_t size)
{
	struct fc_op op = {.opcode = FUSE_READLINK, .node = node, .read = buf, .read_len = size};

	return fc_call(c, &op);
}

int fc_getattr(struct fuse_client *c, uint64_t node, uint64_t fh, struct fuse_attr_out *out)
{
	struct fuse_getattr_in in = {.getattr_flags = fh ? FUSE_GETATTR_FH : 0, .fh = fh};
	struct fc_op op = {.opcode = FUSE_GETATTR, .node = node, .arg = {ARG(&in)}, .nargs = 1};

	op.reply = out;
	op.reply_len = sizeof(*out);
	return call_fixed(c, &op);
}

int fc_setattr(
	struct fuse_client *c, uint64_t node, const struct fuse_setattr_in *in, struct fuse_attr_out *out)
{
	struct fc_op op = {.opcode = FUSE_SETATTR, .node = node, .arg = {ARG(in)}, .nargs = 1};

	op.reply = out;
	op.reply_len = sizeof(*out);
	return call_fixed(c, &op);
}

int fc_statx(struct fuse_client *c, uint64_t node, uint64_t fh, uint32_t mask, struct fuse_statx_out *out)
{
	struct fuse_statx_in in = {.getattr_flags = fh ? FUSE_GETATTR_FH : 0, .fh = fh, .sx_mask = mask};
	struct fc_op op = {.opcode = FUSE_STATX, .node = node, .arg = {ARG(&in)}, .nargs = 1};

	op.reply = out;
	op.reply_len = sizeof(*out);
	return call_fixed(c, &op);
}

int fc_statfs(struct fuse_client *c, uint64_t node, struct fuse_kstatfs *out)
{
	struct fc_op op = {.opcode = FUSE_STATFS, .node = node, .reply = out, .reply_len = sizeof(*out)};

	return call_fixed(c, &op);
}

int fc_access(struct fuse_client *c, uint64_t node, uint32_t mask)
{
	struct fuse_access_in in = {.mask = mask};
	struct fc_op op = {.opcode = FUSE_ACCESS, .node = node, .arg = {ARG(&in)}, .nargs = 1};

	return call_fixed(c, &op);
}

static int call_open(
	struct fuse_client *c, uint32_t opcode, uint64_t node, uint32_t flags, struct fuse_open_out *out)
{
	struct fuse_open_in in = {.flags = flags};
	struct fc_op op = {.opcode = opcode, .node = node, .arg = {ARG(&in)}, .nargs = 1};

	op.reply = out;
	op.reply_len = sizeof(*out);
	return call_fixed(c, &op);
}

int fc_open(struct fuse_client *c, uint64_t node, uint32_t flags, struct fuse_open_out *out)
{
	return call_open(c, FUSE_OPEN, node, flags, out);
}

int fc_create(struct fuse_client *c, uint64_t parent, const char *name, const struct fuse_create_in *in,
	struct fc_created *out)
{
	struct fc_op op = {.opcode = FUSE_CREATE, .node = parent, .arg = {ARG(in), NAME(name)}, .nargs = 2};

	op.reply = out;
	op.reply_len = sizeof(*out);
	return call_fixed(c, &op);
}

int fc_tmpfile(
	struct fuse_client *c, uint64_t parent, const struct fuse_create_in *in, struct fc_created *out)
{
	/* Linux sends a name, which means nothing. */
	struct fc_op op = {.opcode = FUSE_TMPFILE, .node = parent, .arg = {ARG(in), NAME("#1")}, .nargs = 2};

	op.reply = out;
	op.reply_len = sizeof(*out);
	return call_fixed(c, &op);
}

void fc_op_read(struct fc_op *op, struct fuse_read_in *in, struct fc_file f, size_t size, uint64_t off)
{
	*in = (struct fuse_read_in){.fh = f.fh, .offset = off, .size = (uint32_t)size};
	*op = (struct fc_op){.opcode = FUSE_READ, .node = f.node, .arg = {ARG(in)}, .nargs = 1};
	op->read_len = size;
}

void fc_op_write(struct fc_op *op, struct fuse_write_in *in, struct fc_file f, size_t size, uint64_t off)
{
	*in = (struct fuse_write_in){.fh = f.fh, .offset = off, .size = (uint32_t)size};
	*op = (struct fc_op){.opcode = FUSE_WRITE, .node = f.node, .arg = {ARG(in)}, .nargs = 1};
	op->data_len = size;
	op->reply_len = sizeof(struct fuse_write_out);
}

ssize_t fc_read(struct fuse_client *c, struct fc_file f, void *buf, size_t size, uint64_t off)
{
	struct fuse_read_in in;
	struct fc_op op;

	fc_op_read(&op, &in, f, size, off);
	op.read = buf;
	return fc_call(c, &op);
}

ssize_t fc_write(struct fuse_client *c, struct fc_file f, const void *buf, size_t size, uint64_t off)
{
	struct fuse_write_out out;
	struct fuse_write_in in;
	struct fc_op op;
	int r;

	fc_op_write(&op, &in, f, size, off);
	op.data = buf;
	op.reply = &out;
	r = call_fixed(c, &op);
	return r ? r : (ssize_t)out.size;
}

int fc_flush(struct fuse_client *c, struct fc_file f, uint64_t owner)
{
	struct fuse_flush_in in = {.fh = f.fh, .lock_owner = owner};
	struct fc_op op = {.opcode = FUSE_FLUSH, .node = f.node, .arg = {ARG(&in)}, .nargs = 1};

	return call_fixed(c, &op);
}

static int call_release(struct fuse_client *c, uint32_t opcode, struct fc_file f)
{
	struct fuse_release_in in = {.fh = f.fh};
	struct fc_op op = {.opcode = opcode, .node = f.node, .arg = {ARG(&in)}, .nargs = 1};

	return call_fixed(c, &op);
}

int fc_release(struct fuse_client *c, struct fc_file f)
{
	return call_release(c, FUSE_RELEASE, f);
}

static int call_fsync(struct fuse_client *c, uint32_t opcode, struct fc_file f, bool datasync)
{
	struct fuse_fsync_in in = {.fh = f.fh, .fsync_flags = datasync ? FUSE_FSYNC_FDATASYNC : 0};
	struct fc_op op = {.opcode = opcode, .node = f.node, .arg = {ARG(&in)}, .nargs = 1};

	return call_fixed(c, &op);
}

int fc_fsync(struct fuse_client *c, struct fc_file f, bool datasync)
{
	return call_fsync(c, FUSE_FSYNC, f, datasync);
}

int fc_fallocate(struct fuse_client *c, struct fc_file f, uint64_t off, uint64_t len, uint32_t mode)
{
	struct fuse_fallocate_in in = {.fh = f.fh, .offset = off, .length = len, .mode = mode};
	struct fc_op op = {.opcode = FUSE_FALLOCATE, .node = f.node, .arg = {ARG(&in)}, .nargs = 1};

	return call_fixed(c, &op);
}

int fc_setupmapping(
	struct fuse_client *c, uint64_t node, uint64_t off, uint64_t len, uint64_t at, uint64_t flags)
{
	struct fuse_setupmapping_in in = {
		.fh = UINT64_MAX, .foffset = off, .len = len, .flags = flags, .moffset = at};
	struct fc_op op = {.opcode = FUSE_SETUPMAPPING, .node = node, .arg = {ARG(&in)}, .nargs = 1};

	return call_fixed(c, &op);
}

int fc_removemapping(
	struct fuse_client *c, uint64_t node, const struct fuse_removemapping_one *one, uint32_t count)
{
	struct fuse_removemapping_in in = {.count = count};
	struct fc_op op = {.opcode = FUSE_REMOVEMAPPING,
		.node = node,
		.arg = {ARG(&in)},
		.nargs = 1,
		.data = one,
		.data_len = count * sizeof(*one)};

	return call_fixed(c, &op);
}

int fc_lseek(struct fuse_client *c, struct fc_file f, uint64_t *off, uint32_t whence)
{
	struct fuse_lseek_in in = {.fh = f.fh, .offset = *off, .whence = whence};
	struct fc_op op = {.opcode = FUSE_LSEEK, .node = f.node, .arg = {ARG(&in)}, .nargs = 1};

	op.reply = off;
	op.reply_len = sizeof(struct fuse_lseek_out);
	return call_fixed(c, &op);
}

ssize_t fc_copy(struct fuse_client *c, const struct fuse_copy_file_range_in *in, uint64_t node_in)
{
	struct fuse_write_out out;
	struct fc_op op = {.opcode = FUSE_COPY_FILE_RANGE, .node = node_in, .arg = {ARG(in)}, .nargs = 1};
	int r;

	op.reply = &out;
	op.reply_len = sizeof(out);
	r = call_fixed(c, &op);
	return r ? r : (ssize_t)out.size;
}

ssize_t fc_copy_64(struct fuse_client *c, const struct fuse_copy_file_range_in *in, uint64_t node_in)
{
	struct fuse_copy_file_range_out out;
	struct fc_op op = {.opcode = FUSE_COPY_FILE_RANGE_64, .node = node_in, .arg = {ARG(in)}, .nargs = 1};
	int r;

	op.reply = &out;
	op.reply_len = sizeof(out);
	r = call_fixed(c, &op);
	return r ? r : (ssize_t)out.bytes_copied;
}

int fc_syncfs(struct fuse_client *c)
{
	struct fuse_syncfs_in in = {0};
	struct fc_op op = {.opcode = FUSE_SYNCFS, .node = FUSE_ROOT_ID, .arg = {ARG(&in)}, .nargs = 1};

	return call_fixed(c, &op);
}

int fc_ioctl(struct fuse_client *c, uint64_t node, struct fuse_ioctl_in *in, void *arg)
{
	struct fuse_ioctl_out out = {0};
	struct fc_op op = {.opcode = FUSE_IOCTL, .node = node, .arg = {ARG(in)}, .nargs = 1};
	ssize_t r;

	op.data = arg;
	op.data_len = in->in_size;
	op.reply = &out;
	op.reply_len = sizeof(out);
	op.read = arg;
	op.read_len = in->out_size;
	r = fc_call(c, &op);
	if (r < 0)
		return (int)r;
	return r < (ssize_t)sizeof(out) ? -EPROTO : out.result;
}

int fc_opendir(struct fuse_client *c, uint64_t node, struct fuse_open_out *out)
{
	return call_open(c, FUSE_OPENDIR, node, 0, out);
}

static ssize_t call_readdir(
	struct fuse_client *c, uint32_t opcode, struct fc_file f, struct iovec buf, uint64_t off)
{
	struct fuse_read_in in = {.fh = f.fh, .offset = off, .size = (uint32_t)buf.iov_len};
	struct fc_op op = {.opcode = opcode, .node = f.node, .arg = {ARG(&in)}, .nargs = 1};

	op.read = buf.iov_base;
	op.read_len = buf.iov_len;
	return fc_call(c, &op);
}

ssize_t fc_readdir(struct fuse_client *c, struct fc_file f, void *buf, size_t size, uint64_t off)
{
	return call_readdir(c, FUSE_READDIR, f, (struct iovec){buf, size}, off);
}

ssize_t fc_readdirplus(struct fuse_client *c, struct fc_file f, void *buf, size_t size, uint64_t off)
{
	return call_readdir(c, FUSE_READDIRPLUS, f, (struct iovec){buf, size}, off);
}

int fc_releasedir(struct fuse_client *c, struct fc_file f)
{
	return call_release(c, FUSE_RELEASEDIR, f);
}

int fc_fsyncdir(struct fuse_client *c, struct fc_file f)
{
	return call_fsync(c, FUSE_FSYNCDIR, f, false);
}

int fc_setxattr(struct fuse_client *c, uint64_t node, const char *name, struct iovec value, uint32_t flags)
{
	struct fuse_setxattr_in in = {.size = (uint32_t)value.iov_len, .flags = flags};
	struct fc_op op = {.opcode = FUSE_SETXATTR, .node = node, .arg = {ARG(&in), NAME(name)}, .nargs = 2};

	op.arg[0].iov_len = FUSE_COMPAT_SETXATTR_IN_SIZE; /* without SETXATTR_EXT */
	op.data = value.iov_base;
	op.data_len = value.iov_len;
	return call_fixed(c, &op);
}

/* The xattr requests that answer with data, or with its length if no room was given. */
static ssize_t call_xattr(struct fuse_client *c, struct fc_op *op, void *buf, size_t size)
{
	struct fuse_getxattr_in in = {.size = (uint32_t)size};
	struct fuse_getxattr_out out;
	int r;

	op->arg[0] = (struct iovec)ARG(&in);
	if (size) {
		op->read = buf;
		op->read_len = size;
		return fc_call(c, op);
	}
	op->reply = &out;
	op->reply_len = sizeof(out);
	r = call_fixed(c, op);
	return r ? r : (ssize_t)out.size;
}

ssize_t fc_getxattr(struct fuse_client *c, uint64_t node, const char *name, void *value, size_t size)
{
	struct fc_op op = {.opcode = FUSE_GETXATTR, .node = node, .arg = {{0}, NAME(name)}, .nargs = 2};

	return call_xattr(c, &op, value, size);
}

ssize_t fc_listxattr(struct fuse_client *c, uint64_t node, void *list, size_t size)
{
	struct fc_op op = {.opcode = FUSE_LISTXATTR, .node = node, .nargs = 1};

	return call_xattr(c, &op, list, size);
}

int fc_removexattr(struct fuse_client *c, uint64_t node, const char *name)
{
	return call_name(c, FUSE_REMOVEXATTR, node, name);
}

int fc_getlk(struct fuse_client *c, uint64_t node, const struct fuse_lk_in *in, struct fuse_file_lock *out)
{
	struct fc_op op = {.opcode = FUSE_GETLK, .node = node, .arg = {ARG(in)}, .nargs = 1};

	op.reply = out;
	op.reply_len = sizeof(*out);
	return call_fixed(c, &op);
}

int fc_setlk(struct fuse_client *c, uint64_t node, const struct fuse_lk_in *in)
{
	struct fc_op op = {.opcode = FUSE_SETLK, .node = node, .arg = {ARG(in)}, .nargs = 1};

	return call_fixed(c, &op);
}

int fc_setlkw_start(struct fuse_client *c, uint64_t node, struct fuse_lk_in *in, struct fc_op *op)
{
	*op = (struct fc_op){.opcode = FUSE_SETLKW, .node = node, .arg = {ARG(in)}, .nargs = 1};
	return fc_start(c, op);
}

int fc_interrupt(struct fuse_client *c, uint64_t unique)
{
	struct fuse_interrupt_in in = {.unique = unique};
	struct fc_op op = {.opcode = FUSE_INTERRUPT, .arg = {ARG(&in)}, .nargs = 1};

	op.no_reply = true;
	return (int)fc_call(c, &op);
}
