/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on attributes: getattr in both forms, setattr, statfs, access. */
#include "fuse/internal.h"

#include <errno.h>
#include <linux/stat.h>

#define STATX_REPORTED (STATX_BASIC_STATS | STATX_BTIME)
#define ATTRIBUTES_REPORTED                                                                     \
	(STATX_ATTR_COMPRESSED | STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_NODUMP | \
		STATX_ATTR_ENCRYPTED | STATX_ATTR_VERITY)
#define NSEC_PER_SEC 1000000000u

static ssize_t reply_attr(struct fuse_req *rq, const struct op_entry *e)
{
	struct timeout valid = attr_timeout_of(rq->s, e);
	struct fuse_attr_out out = {.attr_valid = valid.sec, .attr_valid_nsec = valid.nsec};

	reply_fill_attr(e, &out.attr);
	return reply_bytes(rq, 0, &out, sizeof(out));
}

/* The handle that a request names, if its flag says that it does. */
static struct op_fh handle_if(bool given, uint64_t fh)
{
	return given ? (struct op_fh){fh} : OP_NO_HANDLE;
}

ssize_t fuse_do_getattr(struct fuse_req *rq)
{
	const struct fuse_getattr_in *in = rq->in;
	struct op_fh fh = handle_if(in->getattr_flags & FUSE_GETATTR_FH, in->fh);
	struct op_entry e; /* large: what is used is what the op fills in */
	int r = rq->s->ops->getattr(rq->s->fs, &rq->w->ctx, req_node(rq), fh, STATX_BASIC_STATS, &e);

	return r ? r : reply_attr(rq, &e);
}

static struct fuse_sx_time wire_time(struct statx_timestamp t)
{
	return (struct fuse_sx_time){.tv_sec = t.tv_sec, .tv_nsec = t.tv_nsec};
}

static void fill_statx(const struct statx *st, struct fuse_statx *out)
{
	*out = (struct fuse_statx){
		.mask = st->stx_mask & STATX_REPORTED,
		.blksize = st->stx_blksize,
		.attributes = st->stx_attributes & ATTRIBUTES_REPORTED,
		.attributes_mask = st->stx_attributes_mask & ATTRIBUTES_REPORTED,
		.nlink = st->stx_nlink,
		.uid = st->stx_uid,
		.gid = st->stx_gid,
		.mode = st->stx_mode,
		.ino = st->stx_ino,
		.size = st->stx_size,
		.blocks = st->stx_blocks,
		.atime = wire_time(st->stx_atime),
		.btime = wire_time(st->stx_btime),
		.ctime = wire_time(st->stx_ctime),
		.mtime = wire_time(st->stx_mtime),
		.rdev_major = st->stx_rdev_major,
		.rdev_minor = st->stx_rdev_minor,
	};
}

ssize_t fuse_do_statx(struct fuse_req *rq)
{
	const struct fuse_statx_in *in = rq->in;
	struct op_fh fh = handle_if(in->getattr_flags & FUSE_GETATTR_FH, in->fh);
	struct op_entry e; /* large: what is used is what the op fills in */
	struct fuse_statx_out out = {0};
	struct timeout valid;
	int r = rq->s->ops->getattr(
		rq->s->fs, &rq->w->ctx, req_node(rq), fh, in->sx_mask & STATX_REPORTED, &e);

	if (r)
		return r;
	valid = attr_timeout_of(rq->s, &e);
	out.attr_valid = valid.sec;
	out.attr_valid_nsec = valid.nsec;
	fill_statx(&e.st, &out.stat);
	return reply_bytes(rq, 0, &out, sizeof(out));
}

static uint32_t set_bits(uint32_t valid)
{
	static const struct {
		uint32_t wire, op;
	} map[] = {
		{FATTR_MODE, OP_SET_MODE},
		{FATTR_UID, OP_SET_UID},
		{FATTR_GID, OP_SET_GID},
		{FATTR_SIZE, OP_SET_SIZE},
		{FATTR_ATIME, OP_SET_ATIME},
		{FATTR_MTIME, OP_SET_MTIME},
		{FATTR_ATIME_NOW, OP_SET_ATIME_NOW},
		{FATTR_MTIME_NOW, OP_SET_MTIME_NOW},
		{FATTR_CTIME, OP_SET_CTIME},
		{FATTR_KILL_SUIDGID, OP_SET_KILL_SUIDGID},
	};
	uint32_t bits = 0;

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (valid & map[i].wire)
			bits |= map[i].op;
	return bits;
}

ssize_t fuse_do_setattr(struct fuse_req *rq)
{
	const struct fuse_setattr_in *in = rq->in;
	struct op_fh fh = handle_if(in->valid & FATTR_FH, in->fh);
	struct op_setattr a = {
		.valid = set_bits(in->valid),
		.mode = in->mode,
		.uid = in->uid,
		.gid = in->gid,
		.size = in->size,
		.atime = {.tv_sec = (time_t)in->atime, .tv_nsec = in->atimensec},
		.mtime = {.tv_sec = (time_t)in->mtime, .tv_nsec = in->mtimensec},
	};
	struct op_entry e = {0};
	int r;

	if (in->valid & FATTR_SIZE)
		req_takes_long(rq);
	/* Beyond a second are utimensat's own words for "now" and "leave it". */
	if ((in->valid & FATTR_ATIME && in->atimensec >= NSEC_PER_SEC) ||
		(in->valid & FATTR_MTIME && in->mtimensec >= NSEC_PER_SEC))
		return -EINVAL;
	r = rq->s->ops->setattr(rq->s->fs, &rq->w->ctx, req_node(rq), fh, &a, &e);
	return r ? r : reply_attr(rq, &e);
}

ssize_t fuse_do_statfs(struct fuse_req *rq)
{
	struct statvfs st = {0};
	struct fuse_statfs_out out;
	int r = rq->s->ops->statfs(rq->s->fs, &rq->w->ctx, req_node(rq), &st);

	if (r)
		return r;
	out = (struct fuse_statfs_out){
		.blocks = st.f_blocks,
		.bfree = st.f_bfree,
		.bavail = st.f_bavail,
		.files = st.f_files,
		.ffree = st.f_ffree,
		.bsize = (uint32_t)st.f_bsize,
		.namelen = (uint32_t)st.f_namemax,
		.frsize = (uint32_t)st.f_frsize,
	};
	return reply_bytes(rq, 0, &out, sizeof(out));
}

ssize_t fuse_do_access(struct fuse_req *rq)
{
	const struct fuse_access_in *in = rq->in;

	return rq->s->ops->access(rq->s->fs, &rq->w->ctx, req_node(rq), in->mask);
}
