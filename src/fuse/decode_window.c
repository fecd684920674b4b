/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on the DAX window: what of which file the guest wants to see where in it. */
#include "fuse/internal.h"

#include <errno.h>

/* Guests name no handle; that the inode may be mapped, and to write, is for the file system to judge. */
ssize_t fuse_do_setupmapping(struct fuse_req *rq)
{
	const struct fuse_setupmapping_in *in = rq->in;
	struct op_mapping m = {.file_off = in->foffset,
		.len = in->len,
		.window_off = in->moffset,
		.write = in->flags & FUSE_SETUPMAPPING_WRITE};

	if (!req_negotiated(rq, FUSE_MAP_ALIGNMENT))
		return -ENOSYS;
	if (in->flags & ~(FUSE_SETUPMAPPING_WRITE | FUSE_SETUPMAPPING_READ))
		return -EINVAL;
	if (m.write && rq->s->cfg.readonly)
		return -EROFS;
	return rq->s->ops->setupmapping(rq->s->fs, &rq->w->ctx, req_node(rq), &m);
}

/* All that can be done is done: the first error is the answer. */
ssize_t fuse_do_removemapping(struct fuse_req *rq)
{
	const struct fuse_removemapping_in *in = rq->in;
	const struct fuse_removemapping_one *one;
	int first = 0;

	if (!req_negotiated(rq, FUSE_MAP_ALIGNMENT))
		return -ENOSYS;
	if (!in->count || in->count > FUSE_REMOVEMAPPING_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < in->count && !rq->w->gone; i++) {
		struct fuse_removemapping_one copy;
		int r;

		one = cursor_take(&rq->args, sizeof(*one));
		if (!one)
			return -EINVAL;
		memcpy(&copy, one, sizeof(copy)); /* four bytes of count lie ahead of it */
		r = rq->s->ops->removemapping(rq->s->fs, &rq->w->ctx, copy.moffset, copy.len);
		first = first ? first : r;
	}
	return first;
}
