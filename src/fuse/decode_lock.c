/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on locks: POSIX record locks, and flock, which comes by the same opcodes with a flag. */
#include "fuse/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

static struct op_lock lock_of(const struct fuse_lk_in *in)
{
	return (struct op_lock){
		.start = in->lk.start, .end = in->lk.end, .type = in->lk.type, .pid = in->lk.pid};
}

ssize_t fuse_do_getlk(struct fuse_req *rq)
{
	const struct fuse_lk_in *in = rq->in;
	struct op_lock lk = lock_of(in);
	struct op_fh fh = {in->fh};
	struct fuse_lk_out out;
	int r;

	if (!req_negotiated(rq, FUSE_POSIX_LOCKS))
		return -ENOSYS;
	if (in->lk_flags & FUSE_LK_FLOCK || (lk.type != F_RDLCK && lk.type != F_WRLCK))
		return -EINVAL;
	r = rq->s->ops->getlk(rq->s->fs, &rq->w->ctx, req_node(rq), fh, in->owner, &lk);
	if (r)
		return r;
	out.lk = (struct fuse_file_lock){.start = lk.start, .end = lk.end, .type = lk.type, .pid = lk.pid};
	return reply_bytes(rq, 0, &out, sizeof(out));
}

static ssize_t set_flock(struct fuse_req *rq, int op)
{
	const struct fuse_lk_in *in = rq->in;
	struct op_fh fh = {in->fh};

	if (!req_negotiated(rq, FUSE_FLOCK_LOCKS))
		return -ENOSYS;
	return rq->s->ops->flock(rq->s->fs, &rq->w->ctx, req_node(rq), fh, in->owner, op);
}

static ssize_t set_record_lock(struct fuse_req *rq, bool wait)
{
	const struct fuse_lk_in *in = rq->in;
	struct op_lock lk = lock_of(in);
	struct op_fh fh = {in->fh};

	if (!req_negotiated(rq, FUSE_POSIX_LOCKS))
		return -ENOSYS;
	return rq->s->ops->setlk(rq->s->fs, &rq->w->ctx, req_node(rq), fh, in->owner, &lk, wait);
}

static ssize_t set_lock(struct fuse_req *rq, bool wait)
{
	const struct fuse_lk_in *in = rq->in;
	int op;

	switch (in->lk.type) {
	case F_RDLCK:
		op = LOCK_SH;
		break;
	case F_WRLCK:
		op = LOCK_EX;
		break;
	case F_UNLCK:
		op = LOCK_UN;
		break;
	default:
		return -EINVAL;
	}
	if (in->lk_flags & FUSE_LK_FLOCK)
		return set_flock(rq, wait ? op : op | LOCK_NB);
	return set_record_lock(rq, wait);
}

ssize_t fuse_do_setlk(struct fuse_req *rq)
{
	return set_lock(rq, false);
}

ssize_t fuse_do_setlkw(struct fuse_req *rq)
{
	return set_lock(rq, true);
}
