/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on extended attributes. */
#include "fuse/internal.h"

#include "base/arith.h"

#include <errno.h>
#include <linux/limits.h>

/* SETXATTR_EXT made the fixed arguments longer by the half that is taken here. */
ssize_t fuse_do_setxattr(struct fuse_req *rq)
{
	const struct fuse_setxattr_in *in = rq->in;
	uint32_t flags = 0;
	const char *name;
	const void *value;

	if (req_negotiated(rq, FUSE_SETXATTR_EXT)) {
		if (!cursor_take(&rq->args, sizeof(*in) - FUSE_COMPAT_SETXATTR_IN_SIZE))
			return -EINVAL;
		if (in->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID)
			flags = OP_SETXATTR_ACL_KILL_SGID;
	}
	name = cursor_string(&rq->args);
	value = name ? cursor_take(&rq->args, in->size) : NULL;
	if (!value)
		return -EINVAL;
	if (in->size > rq->s->cfg.max_xattr)
		return -E2BIG;
	return rq->s->ops->setxattr(
		rq->s->fs, &rq->w->ctx, req_node(rq), name, value, in->size, in->flags, flags);
}

/* The answer to a get or list with room for @size bytes that says @r: the length alone if it was asked for.
 */
static ssize_t reply_value(struct fuse_req *rq, const void *value, size_t size, ssize_t r)
{
	struct fuse_getxattr_out out = {.size = (uint32_t)r};

	if (r < 0)
		return r;
	if (!size)
		return reply_bytes(rq, 0, &out, sizeof(out));
	return (size_t)r <= size ? reply_bytes(rq, 0, value, (size_t)r) : -ERANGE;
}

/* How much of a value may come back: what was asked for, what there is room for, what Linux allows. */
static size_t value_room(const struct fuse_req *rq, uint32_t asked, size_t max)
{
	return MIN(MIN((size_t)asked, rq->room), max);
}

ssize_t fuse_do_getxattr(struct fuse_req *rq)
{
	const struct fuse_getxattr_in *in = rq->in;
	size_t size = value_room(rq, in->size, rq->s->cfg.max_xattr);
	const char *name = cursor_string(&rq->args);
	void *value = worker_scratch(rq->w, size);
	ssize_t r;

	if (!name || (in->size && !size))
		return -EINVAL;
	if (!value)
		return -ENOMEM;
	r = rq->s->ops->getxattr(rq->s->fs, &rq->w->ctx, req_node(rq), name, value, size);
	if (r == -ERANGE && in->size > rq->s->cfg.max_xattr)
		r = -E2BIG;
	return reply_value(rq, value, size, r);
}

ssize_t fuse_do_listxattr(struct fuse_req *rq)
{
	const struct fuse_getxattr_in *in = rq->in;
	size_t size = value_room(rq, in->size, XATTR_LIST_MAX);
	char *names = worker_scratch(rq->w, size);
	ssize_t r;

	if (in->size && !size)
		return -EINVAL;
	if (!names)
		return -ENOMEM;
	r = rq->s->ops->listxattr(rq->s->fs, &rq->w->ctx, req_node(rq), names, size);
	return reply_value(rq, names, size, r);
}

ssize_t fuse_do_removexattr(struct fuse_req *rq)
{
	const char *name = cursor_string(&rq->args);

	return name ? rq->s->ops->removexattr(rq->s->fs, &rq->w->ctx, req_node(rq), name) : -EINVAL;
}
