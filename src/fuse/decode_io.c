/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on open files. File data is not touched here: it goes between the file and the guest's memory. */
#include "fuse/internal.h"

#include "base/arith.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#define IOCTL_OUT_MAX  (64 * 1024)
#define NAMELESS_VALID 1000000000u /* seconds */
/* Most that one read or copy moves: what fits the reply's 32-bit lengths, in whole pages. */
#define TRANSFER_MAX 0x7ffff000u

/* What the cache mode says of the pages of a file that is opened. */
static uint32_t file_open_flags(const struct fuse_req *rq)
{
	switch (rq->s->cfg.cache) {
	case FUSE_CACHE_NEVER:
	case FUSE_CACHE_METADATA:
		return FOPEN_DIRECT_IO;
	case FUSE_CACHE_ALWAYS:
		return FOPEN_KEEP_CACHE;
	case FUSE_CACHE_AUTO:
		break;
	}
	return 0;
}

static uint32_t kill_bits(uint32_t open_flags)
{
	return open_flags & FUSE_OPEN_KILL_SUIDGID ? OP_OPEN_KILL_SUIDGID : 0;
}

static bool opens_to_change(uint32_t flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
}

ssize_t fuse_do_open(struct fuse_req *rq)
{
	const struct fuse_open_in *in = rq->in;
	struct fuse_open_out out = {.open_flags = file_open_flags(rq)};
	struct op_fh fh = OP_NO_HANDLE;
	int r;

	if (req_negotiated(rq, FUSE_NO_OPEN_SUPPORT))
		return -ENOSYS;
	if (rq->s->cfg.readonly && opens_to_change(in->flags))
		return -EROFS;
	if (in->flags & O_TRUNC)
		req_takes_long(rq);
	r = rq->s->ops->open(rq->s->fs, &rq->w->ctx, req_node(rq), in->flags, kill_bits(in->open_flags), &fh);
	if (r)
		return r;
	reply_made(rq, (struct nodeid){0}, fh);
	out.fh = fh.v;
	return reply_bytes(rq, 0, &out, sizeof(out));
}

/*
 * A file without a name never needs its name looked up anew. Linux would try, when the answer's time is over,
 * with the name "/": overlayfs, which goes on by that entry after it copied a file up, would have ESTALE of
 * it.
 */
static bool is_nameless(const struct fuse_req *rq)
{
	return rq->h.opcode == FUSE_TMPFILE;
}

static ssize_t reply_created(struct fuse_req *rq, const struct op_entry *e, struct op_fh fh)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = {.open = {.fh = fh.v, .open_flags = file_open_flags(rq)}};

	static_assert(sizeof(out) == sizeof(out.entry) + sizeof(out.open), "no padding goes to the guest");
	reply_made(rq, e->node, fh);
	reply_fill_entry(rq->s, e, &out.entry);
	if (is_nameless(rq))
		out.entry.entry_valid = NAMELESS_VALID;
	return reply_bytes(rq, 0, &out, sizeof(out));
}

static struct op_mode mode_of(const struct fuse_create_in *in)
{
	return (struct op_mode){.mode = (in->mode & ~(uint32_t)S_IFMT) | S_IFREG, .umask = in->umask};
}

ssize_t fuse_do_create(struct fuse_req *rq)
{
	const struct fuse_create_in *in = rq->in;
	const char *name = cursor_string(&rq->args);
	struct op_mode m = mode_of(in);
	struct op_fh fh = OP_NO_HANDLE;
	struct op_entry e = {0};
	int r;

	if (!name)
		return -EINVAL;
	r = ext_decode(rq, &m);
	if (!r)
		r = rq->s->ops->create(rq->s->fs, &rq->w->ctx, req_node(rq), name, &m, in->flags,
			kill_bits(in->open_flags), &e, &fh);
	return r ? r : reply_created(rq, &e, fh);
}

/* The name says nothing, but it has to be passed to find what follows it. */
ssize_t fuse_do_tmpfile(struct fuse_req *rq)
{
	const struct fuse_create_in *in = rq->in;
	struct op_mode m = mode_of(in);
	struct op_fh fh = OP_NO_HANDLE;
	struct op_entry e = {0};
	int r;

	if (!cursor_string(&rq->args))
		return -EINVAL;
	r = ext_decode(rq, &m);
	if (!r)
		r = rq->s->ops->tmpfile(rq->s->fs, &rq->w->ctx, req_node(rq), &m, in->flags, &e, &fh);
	return r ? r : reply_created(rq, &e, fh);
}

/*
 * The guest's room is the only bound: a guest with pages of 64 KiB may ask for sixteen times max_write, and
 * takes a short answer for the end of the file.
 */
ssize_t fuse_do_read(struct fuse_req *rq)
{
	const struct fuse_read_in *in = rq->in;
	struct iovec *iov = rq->chain->out;
	unsigned int n = rq->chain->nout;
	size_t len = MIN(MIN((size_t)in->size, rq->room), TRANSFER_MAX);

	if (len == rq->room)
		iov_skip(&iov, &n, sizeof(struct fuse_out_header));
	else
		iov_clip(&iov, &n, sizeof(struct fuse_out_header), len);
	return rq->s->ops->read(
		rq->s->fs, &rq->w->ctx, req_node(rq), (struct op_fh){in->fh}, iov, n, in->offset, in->flags);
}

ssize_t fuse_do_write(struct fuse_req *rq)
{
	const struct fuse_write_in *in = rq->in;
	uint32_t flags = (in->write_flags & FUSE_WRITE_KILL_SUIDGID ? OP_WRITE_KILL_SUIDGID : 0) |
			 (in->write_flags & FUSE_WRITE_CACHE ? OP_WRITE_CACHE : 0);
	struct iovec *iov = rq->chain->in;
	unsigned int n = rq->chain->nin;
	struct op_fh fh = {in->fh};
	struct fuse_write_out out = {0};
	ssize_t r;

	if (in->size > rq->left || in->size > rq->s->cfg.max_write)
		return -EINVAL;
	iov_clip(&iov, &n, sizeof(rq->h) + sizeof(*in), in->size);
	r = rq->s->ops->write(rq->s->fs, &rq->w->ctx, req_node(rq), fh, iov, n, in->offset, in->flags, flags);
	if (r < 0)
		return r;
	out.size = (uint32_t)r;
	return reply_bytes(rq, 0, &out, sizeof(out));
}

ssize_t fuse_do_flush(struct fuse_req *rq)
{
	const struct fuse_flush_in *in = rq->in;
	struct op_fh fh = {in->fh};

	return rq->s->ops->flush(rq->s->fs, &rq->w->ctx, req_node(rq), fh, in->lock_owner);
}

ssize_t fuse_do_release(struct fuse_req *rq)
{
	const struct fuse_release_in *in = rq->in;
	struct op_fh fh = {in->fh};

	if (in->release_flags & FUSE_RELEASE_FLUSH)
		rq->s->ops->flush(rq->s->fs, &rq->w->ctx, req_node(rq), fh, in->lock_owner);
	return rq->s->ops->release(rq->s->fs, &rq->w->ctx, req_node(rq), fh,
		in->release_flags & FUSE_RELEASE_FLOCK_UNLOCK, in->lock_owner);
}

ssize_t fuse_do_fsync(struct fuse_req *rq)
{
	const struct fuse_fsync_in *in = rq->in;
	struct op_fh fh = {in->fh};

	return rq->s->ops->fsync(
		rq->s->fs, &rq->w->ctx, req_node(rq), fh, in->fsync_flags & FUSE_FSYNC_FDATASYNC);
}

ssize_t fuse_do_fallocate(struct fuse_req *rq)
{
	const struct fuse_fallocate_in *in = rq->in;
	struct op_fh fh = {in->fh};

	return rq->s->ops->fallocate(
		rq->s->fs, &rq->w->ctx, req_node(rq), fh, in->offset, in->length, in->mode);
}

ssize_t fuse_do_lseek(struct fuse_req *rq)
{
	const struct fuse_lseek_in *in = rq->in;
	struct fuse_lseek_out out = {.offset = in->offset};
	struct op_fh fh = {in->fh};
	int r = rq->s->ops->lseek(rq->s->fs, &rq->w->ctx, req_node(rq), fh, &out.offset, in->whence);

	return r ? r : reply_bytes(rq, 0, &out, sizeof(out));
}

static ssize_t copy_range(struct fuse_req *rq, uint64_t max)
{
	const struct fuse_copy_file_range_in *in = rq->in;
	struct op_copy copy = {
		.in = req_node(rq),
		.in_fh = {in->fh_in},
		.in_off = in->off_in,
		.out = {in->nodeid_out},
		.out_fh = {in->fh_out},
		.out_off = in->off_out,
		.len = MIN(in->len, max),
	};

	if (in->flags)
		return -EINVAL;
	return rq->s->ops->copy_file_range(rq->s->fs, &rq->w->ctx, &copy);
}

ssize_t fuse_do_copy_file_range(struct fuse_req *rq)
{
	ssize_t r = copy_range(rq, TRANSFER_MAX);
	struct fuse_write_out out = {.size = (uint32_t)r};

	return r < 0 ? r : reply_bytes(rq, 0, &out, sizeof(out));
}

ssize_t fuse_do_copy_file_range_64(struct fuse_req *rq)
{
	ssize_t r = copy_range(rq, SSIZE_MAX);
	struct fuse_copy_file_range_out out = {.bytes_copied = (uint64_t)r};

	return r < 0 ? r : reply_bytes(rq, 0, &out, sizeof(out));
}

/* Only ioctls whose argument has the size that their number tells: what needs to be asked twice is CUSE's. */
ssize_t fuse_do_ioctl(struct fuse_req *rq)
{
	const struct fuse_ioctl_in *in = rq->in;
	struct fuse_ioctl_out out = {0};
	struct op_ioctl io = {.cmd = in->cmd, .arg = in->arg, .in_size = in->in_size};
	struct op_fh fh = {in->fh};
	int r;

	if (in->flags & (FUSE_IOCTL_UNRESTRICTED | FUSE_IOCTL_RETRY))
		return -ENOTTY;
	io.dir = in->flags & FUSE_IOCTL_DIR;
	io.in = cursor_take(&rq->args, in->in_size);
	io.out_size = in->out_size;
	if (!io.in || in->out_size > IOCTL_OUT_MAX || in->out_size > rq->room - sizeof(out))
		return -EINVAL;
	io.out = worker_scratch(rq->w, io.out_size);
	if (!io.out)
		return -ENOMEM;
	memset(io.out, 0, io.out_size);
	r = rq->s->ops->ioctl(rq->s->fs, &rq->w->ctx, req_node(rq), fh, &io);
	if (r)
		return r;
	out.result = io.result;
	reply_bytes(rq, 0, &out, sizeof(out));
	return (ssize_t)sizeof(out) + reply_bytes(rq, sizeof(out), io.out, MIN(io.out_size, in->out_size));
}

ssize_t fuse_do_syncfs(struct fuse_req *rq)
{
	return rq->s->ops->syncfs(rq->s->fs, &rq->w->ctx, req_node(rq));
}
