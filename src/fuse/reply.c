/* SPDX-License-Identifier: BSD-3-Clause */
/* Replies: records in the protocol's form, written behind the place of the reply's header. Any thread. */
#include "fuse/internal.h"

#include "base/arith.h"
#include "base/io.h"

#include <errno.h>

#define TIMEOUT_MAX 1e9 /* seconds: thirty years, and no guest's clock arithmetic overflows */

ssize_t reply_bytes(struct fuse_req *rq, size_t off, const void *p, size_t len)
{
	if (!arith_within(off, len, rq->room) || rq->w->gone)
		return -EINVAL;
	iov_write(rq->chain->out, rq->chain->nout, sizeof(struct fuse_out_header) + off, p, len);
	return (ssize_t)len;
}

struct timeout reply_timeout(double seconds)
{
	struct timeout t;

	seconds = seconds < TIMEOUT_MAX ? seconds : TIMEOUT_MAX;
	t.sec = (uint64_t)seconds;
	t.nsec = (uint32_t)((seconds - (double)t.sec) * 1e9);
	return t;
}

/* A device number as Linux packs it in 32 bits. */
static uint32_t pack_dev(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | (major << 8) | ((minor & ~0xffu) << 12);
}

void reply_fill_attr(const struct op_entry *e, struct fuse_attr *out)
{
	const struct statx *st = &e->st;

	*out = (struct fuse_attr){
		.ino = st->stx_ino,
		.size = st->stx_size,
		.blocks = st->stx_blocks,
		.atime = (uint64_t)st->stx_atime.tv_sec,
		.mtime = (uint64_t)st->stx_mtime.tv_sec,
		.ctime = (uint64_t)st->stx_ctime.tv_sec,
		.atimensec = st->stx_atime.tv_nsec,
		.mtimensec = st->stx_mtime.tv_nsec,
		.ctimensec = st->stx_ctime.tv_nsec,
		.mode = st->stx_mode,
		.nlink = st->stx_nlink,
		.uid = st->stx_uid,
		.gid = st->stx_gid,
		.rdev = pack_dev(st->stx_rdev_major, st->stx_rdev_minor),
		.blksize = st->stx_blksize,
	};
	if (e->attr_flags & OP_ATTR_SUBMOUNT)
		out->flags |= FUSE_ATTR_SUBMOUNT;
	if (e->attr_flags & OP_ATTR_DAX)
		out->flags |= FUSE_ATTR_DAX;
}

struct timeout attr_timeout_of(const struct fuse_session *s, const struct op_entry *e)
{
	uint16_t mode = e->st.stx_mode;

	return S_ISREG(mode) && mode & (S_ISUID | S_ISGID) ? (struct timeout){0} : s->attr_timeout;
}

void reply_fill_entry(const struct fuse_session *s, const struct op_entry *e, struct fuse_entry_out *out)
{
	struct timeout attr = attr_timeout_of(s, e);

	*out = (struct fuse_entry_out){
		.nodeid = e->node.v, /* has its generation in itself */
		.entry_valid = s->entry_timeout.sec,
		.attr_valid = attr.sec,
		.entry_valid_nsec = s->entry_timeout.nsec,
		.attr_valid_nsec = attr.nsec,
	};
	reply_fill_attr(e, &out->attr);
}

void reply_made(struct fuse_req *rq, struct nodeid node, struct op_fh fh)
{
	struct op_intent *in = rq->w->ctx.intent;

	if (!in)
		return;
	in->node = node.v;
	in->fh = fh.v;
}

ssize_t reply_entry(struct fuse_req *rq, const struct op_entry *e)
{
	struct fuse_entry_out out;

	reply_made(rq, e->node, OP_NO_HANDLE);
	reply_fill_entry(rq->s, e, &out);
	return reply_bytes(rq, 0, &out, sizeof(out));
}
