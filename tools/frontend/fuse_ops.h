/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One function for each FUSE request: sends it, waits for the reply. Each returns 0, or a length where it
 * says so, or -errno: the reply's, -EPROTO if the reply has the wrong form, -ETIMEDOUT if none came.
 */
#ifndef FRONTEND_FUSE_OPS_H
#define FRONTEND_FUSE_OPS_H

#include "fuse.h"

#define FC_OFFSET_MAX 0x7fffffffffffffffull

int fc_init_session(struct fuse_client *c, uint64_t flags, uint32_t minor, struct fuse_init_out *out);
int fc_destroy(struct fuse_client *c);

/* Names */
int fc_lookup(struct fuse_client *c, uint64_t parent, const char *name, struct fuse_entry_out *out);
int fc_forget(struct fuse_client *c, uint64_t node, uint64_t nlookup); /* waits for the chain only */
int fc_batch_forget(struct fuse_client *c, const struct fuse_forget_one *one, uint32_t count);
int fc_mknod(struct fuse_client *c, uint64_t parent, const char *name, const struct fuse_mknod_in *in,
	struct fuse_entry_out *out);
int fc_mkdir(
	struct fuse_client *c, uint64_t parent, const char *name, uint32_t mode, struct fuse_entry_out *out);
int fc_symlink(struct fuse_client *c, uint64_t parent, const char *name, const char *target,
	struct fuse_entry_out *out);
int fc_link(
	struct fuse_client *c, uint64_t node, uint64_t parent, const char *name, struct fuse_entry_out *out);
int fc_unlink(struct fuse_client *c, uint64_t parent, const char *name);
int fc_rmdir(struct fuse_client *c, uint64_t parent, const char *name);
int fc_rename(struct fuse_client *c, uint64_t parent, const char *name, uint64_t newdir, const char *newname);
/* @in: new directory and RENAME_ flags */
int fc_rename2(struct fuse_client *c, uint64_t parent, const char *name, const struct fuse_rename2_in *in,
	const char *newname);
ssize_t fc_readlink(struct fuse_client *c, uint64_t node, char *buf, size_t size);

/* Attributes; @fh 0: by nodeid only */
int fc_getattr(struct fuse_client *c, uint64_t node, uint64_t fh, struct fuse_attr_out *out);
int fc_setattr(
	struct fuse_client *c, uint64_t node, const struct fuse_setattr_in *in, struct fuse_attr_out *out);
int fc_statx(struct fuse_client *c, uint64_t node, uint64_t fh, uint32_t mask, struct fuse_statx_out *out);
int fc_statfs(struct fuse_client *c, uint64_t node, struct fuse_kstatfs *out);
int fc_access(struct fuse_client *c, uint64_t node, uint32_t mask);

/* Files. The entry of create and tmpfile carries one lookup. */
int fc_open(struct fuse_client *c, uint64_t node, uint32_t flags, struct fuse_open_out *out);
struct fc_created {
	struct fuse_entry_out entry;
	struct fuse_open_out open;
};
int fc_create(struct fuse_client *c, uint64_t parent, const char *name, const struct fuse_create_in *in,
	struct fc_created *out);
int fc_tmpfile(
	struct fuse_client *c, uint64_t parent, const struct fuse_create_in *in, struct fc_created *out);
/* An open file, as the guest names it. */
struct fc_file {
	uint64_t node, fh;
};
/* Both return the bytes transferred. @buf NULL: the slot's pages as they are. */
ssize_t fc_read(struct fuse_client *c, struct fc_file f, void *buf, size_t size, uint64_t off);
ssize_t fc_write(struct fuse_client *c, struct fc_file f, const void *buf, size_t size, uint64_t off);
int fc_flush(struct fuse_client *c, struct fc_file f, uint64_t owner);
int fc_release(struct fuse_client *c, struct fc_file f);
int fc_fsync(struct fuse_client *c, struct fc_file f, bool datasync);
int fc_fallocate(struct fuse_client *c, struct fc_file f, uint64_t off, uint64_t len, uint32_t mode);
int fc_lseek(struct fuse_client *c, struct fc_file f, uint64_t *off, uint32_t whence);
ssize_t fc_copy(struct fuse_client *c, const struct fuse_copy_file_range_in *in, uint64_t node_in);
ssize_t fc_copy_64(struct fuse_client *c, const struct fuse_copy_file_range_in *in, uint64_t node_in);
int fc_syncfs(struct fuse_client *c);
/* @arg: in_size bytes in, out_size bytes out. The ioctl's own result, or -errno. */
int fc_ioctl(struct fuse_client *c, uint64_t node, struct fuse_ioctl_in *in, void *arg);

/* The DAX window: [@off, + @len) of the file at @at of it; flags FUSE_SETUPMAPPING_FLAG_*. */
int fc_setupmapping(
	struct fuse_client *c, uint64_t node, uint64_t off, uint64_t len, uint64_t at, uint64_t flags);
int fc_removemapping(
	struct fuse_client *c, uint64_t node, const struct fuse_removemapping_one *one, uint32_t count);

/* Directories. readdir: bytes of entries. */
int fc_opendir(struct fuse_client *c, uint64_t node, struct fuse_open_out *out);
ssize_t fc_readdir(struct fuse_client *c, struct fc_file f, void *buf, size_t size, uint64_t off);
ssize_t fc_readdirplus(struct fuse_client *c, struct fc_file f, void *buf, size_t size, uint64_t off);
int fc_releasedir(struct fuse_client *c, struct fc_file f);
int fc_fsyncdir(struct fuse_client *c, struct fc_file f);

/* Extended attributes. get and list: the length; size 0 asks for it. */
int fc_setxattr(struct fuse_client *c, uint64_t node, const char *name, struct iovec value, uint32_t flags);
ssize_t fc_getxattr(struct fuse_client *c, uint64_t node, const char *name, void *value, size_t size);
ssize_t fc_listxattr(struct fuse_client *c, uint64_t node, void *list, size_t size);
int fc_removexattr(struct fuse_client *c, uint64_t node, const char *name);

/* Locks; in->lk_flags FUSE_LK_FLOCK for flock. */
int fc_getlk(struct fuse_client *c, uint64_t node, const struct fuse_lk_in *in, struct fuse_file_lock *out);
int fc_setlk(struct fuse_client *c, uint64_t node, const struct fuse_lk_in *in);
/* A lock that waits: started only. @in and @op live until it is done. */
int fc_setlkw_start(struct fuse_client *c, uint64_t node, struct fuse_lk_in *in, struct fc_op *op);
/* INTERRUPT of a request in flight (on this or another queue): no reply is awaited, the chain comes back. */
int fc_interrupt(struct fuse_client *c, uint64_t unique);

/* Fills @op for a READ or WRITE, for callers that want many in flight. @in: room that lives as long as @op.
 */
void fc_op_read(struct fc_op *op, struct fuse_read_in *in, struct fc_file f, size_t size, uint64_t off);
void fc_op_write(struct fc_op *op, struct fuse_write_in *in, struct fc_file f, size_t size, uint64_t off);

#endif
