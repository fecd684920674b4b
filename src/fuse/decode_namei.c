/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on names: lookup and forget, and what makes, moves and removes names. */
#include "fuse/internal.h"

#include "base/io.h"
#include "base/order.h"

#include <errno.h>
#include <limits.h>

/* The answer to a request that yields an entry. */
static ssize_t entry_or_error(struct fuse_req *rq, int r, const struct op_entry *e)
{
	return r ? r : reply_entry(rq, e);
}

ssize_t fuse_do_lookup(struct fuse_req *rq)
{
	const char *name = cursor_string(&rq->args);
	struct op_entry e = {0};

	if (!name)
		return -EINVAL;
	return entry_or_error(rq, rq->s->ops->lookup(rq->s->fs, &rq->w->ctx, req_node(rq), name, &e), &e);
}

ssize_t fuse_do_forget(struct fuse_req *rq)
{
	const struct fuse_forget_in *in = rq->in;

	if (rq->w->ctx.again)
		return 0;
	op_intend(&rq->w->ctx, 0, 0);
	rq->s->ops->forget(rq->s->fs, req_node(rq), in->nlookup);
	return 0;
}

/* Notes that the first @n are done, or begun: once too few is harmless, once too many is not. */
static void note_forgotten(struct fuse_req *rq, uint32_t n)
{
	if (!rq->w->ctx.intent)
		return;
	rq->w->ctx.intent->value[0] = n;
	in_order();
}

/* A list that is shorter than it says is not believed at all. */
ssize_t fuse_do_batch_forget(struct fuse_req *rq)
{
	const struct fuse_batch_forget_in *in = rq->in;
	const struct fuse_forget_one *one = (const void *)rq->args.pos;

	if (in->count > cursor_left(&rq->args) / sizeof(*one))
		return -EINVAL;
	op_intend(&rq->w->ctx, 0, 0);
	for (uint64_t i = rq->w->ctx.again ? rq->w->ctx.intent->value[0] : 0; i < in->count; i++) {
		note_forgotten(rq, (uint32_t)i + 1);
		rq->s->ops->forget(rq->s->fs, (struct nodeid){one[i].nodeid}, one[i].nlookup);
	}
	return 0;
}

/*
 * An op for symlinks has no place for a label: it is set once the link is there, and the link goes again if
 * that fails.
 */
static int label_symlink(
	struct fuse_req *rq, const char *name, const struct op_mode *m, const struct op_entry *e)
{
	const struct fuse_ops *ops = rq->s->ops;
	struct fs *fs = rq->s->fs;
	int r;

	if (!m->secctx_name)
		return 0;
	r = ops->setxattr(fs, &rq->w->ctx, e->node, m->secctx_name, m->secctx, m->secctx_len, 0, 0);
	if (!r)
		return 0;
	ops->unlink(fs, &rq->w->ctx, req_node(rq), name);
	op_counted(&rq->w->ctx, (struct nodeid){0});
	ops->forget(fs, e->node, 1);
	return r;
}

ssize_t fuse_do_symlink(struct fuse_req *rq)
{
	const char *name = cursor_string(&rq->args);
	const char *target = name ? cursor_string(&rq->args) : NULL;
	struct op_mode m = {0};
	struct op_entry e = {0};
	int r;

	if (!target)
		return -EINVAL;
	r = ext_decode(rq, &m);
	if (!r)
		r = rq->s->ops->symlink(rq->s->fs, &rq->w->ctx, req_node(rq), name, target, &e);
	if (!r)
		r = label_symlink(rq, name, &m, &e);
	return entry_or_error(rq, r, &e);
}

ssize_t fuse_do_mknod(struct fuse_req *rq)
{
	const struct fuse_mknod_in *in = rq->in;
	const char *name = cursor_string(&rq->args);
	struct op_mode m = {.mode = in->mode, .umask = in->umask, .rdev = in->rdev};
	struct op_entry e = {0};
	int r;

	if (!name)
		return -EINVAL;
	r = ext_decode(rq, &m);
	if (!r)
		r = rq->s->ops->mknod(rq->s->fs, &rq->w->ctx, req_node(rq), name, &m, &e);
	return entry_or_error(rq, r, &e);
}

ssize_t fuse_do_mkdir(struct fuse_req *rq)
{
	const struct fuse_mkdir_in *in = rq->in;
	const char *name = cursor_string(&rq->args);
	struct op_mode m = {.mode = (in->mode & ~(uint32_t)S_IFMT) | S_IFDIR, .umask = in->umask};
	struct op_entry e = {0};
	int r;

	if (!name)
		return -EINVAL;
	r = ext_decode(rq, &m);
	if (!r)
		r = rq->s->ops->mkdir(rq->s->fs, &rq->w->ctx, req_node(rq), name, &m, &e);
	return entry_or_error(rq, r, &e);
}

ssize_t fuse_do_unlink(struct fuse_req *rq)
{
	const char *name = cursor_string(&rq->args);

	return name ? rq->s->ops->unlink(rq->s->fs, &rq->w->ctx, req_node(rq), name) : -EINVAL;
}

ssize_t fuse_do_rmdir(struct fuse_req *rq)
{
	const char *name = cursor_string(&rq->args);

	return name ? rq->s->ops->rmdir(rq->s->fs, &rq->w->ctx, req_node(rq), name) : -EINVAL;
}

static ssize_t rename_to(struct fuse_req *rq, uint64_t newdir, uint32_t flags)
{
	const char *name = cursor_string(&rq->args);
	const char *newname = name ? cursor_string(&rq->args) : NULL;

	if (!newname)
		return -EINVAL;
	return rq->s->ops->rename(
		rq->s->fs, &rq->w->ctx, req_node(rq), name, (struct nodeid){newdir}, newname, flags);
}

ssize_t fuse_do_rename(struct fuse_req *rq)
{
	const struct fuse_rename_in *in = rq->in;

	return rename_to(rq, in->newdir, 0);
}

ssize_t fuse_do_rename2(struct fuse_req *rq)
{
	const struct fuse_rename2_in *in = rq->in;

	return rename_to(rq, in->newdir, in->flags);
}

ssize_t fuse_do_link(struct fuse_req *rq)
{
	const struct fuse_link_in *in = rq->in;
	const char *name = cursor_string(&rq->args);
	struct nodeid old = {in->oldnodeid};
	struct op_entry e = {0};
	int r;

	if (!name)
		return -EINVAL;
	r = rq->s->ops->link(rq->s->fs, &rq->w->ctx, old, req_node(rq), name, &e);
	return entry_or_error(rq, r, &e);
}

/* A target that the guest gave too little room for is an error: a part of it would lead elsewhere. */
ssize_t fuse_do_readlink(struct fuse_req *rq)
{
	char *buf = worker_scratch(rq->w, PATH_MAX);
	size_t len = 0;
	int r;

	if (!buf)
		return -ENOMEM;
	r = rq->s->ops->readlink(rq->s->fs, &rq->w->ctx, req_node(rq), buf, &len);
	if (r)
		return r;
	if (len >= PATH_MAX || len > rq->room)
		return -ENAMETOOLONG;
	return reply_bytes(rq, 0, buf, len);
}
