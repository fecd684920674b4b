/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extensions of creating requests: security labels (SECURITY_CTX, 7.36) and supplementary groups
 * (CREATE_SUPP_GROUP, 7.38), behind the last argument and at any alignment. They are looked at only if the
 * session negotiated them.
 */
#include "fuse/internal.h"

#include "base/arith.h"

#include <errno.h>
#include <linux/limits.h>

/* Takes a record that may lie unaligned. */
static bool take(struct cursor *c, void *record, size_t len)
{
	const void *p = cursor_take(c, len);

	if (p)
		memcpy(record, p, len);
	return p;
}

/* Linux sends one label; there is no place for more in an op. */
static int decode_labels(struct cursor *c, uint32_t count, struct op_mode *m)
{
	struct fuse_secctx ctx;

	if (!count)
		return 0;
	if (count > 1)
		return -EOPNOTSUPP;
	if (!take(c, &ctx, sizeof(ctx)) || ctx.size > XATTR_SIZE_MAX)
		return -EINVAL;
	m->secctx_name = cursor_string(c);
	m->secctx = m->secctx_name ? cursor_take(c, ctx.size) : NULL;
	m->secctx_len = ctx.size;
	return m->secctx ? 0 : -EINVAL;
}

static int decode_groups(struct fuse_req *rq, struct cursor *c)
{
	uint32_t n;
	const void *ids;
	uint32_t *copy;

	if (!take(c, &n, sizeof(n)) || n > NGROUPS_MAX)
		return -EINVAL;
	ids = cursor_take(c, n * sizeof(*copy));
	if (!ids)
		return -EINVAL;
	copy = worker_scratch(rq->w, n * sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	memcpy(copy, ids, n * sizeof(*copy));
	rq->w->ctx.supp = copy;
	rq->w->ctx.nsupp = n;
	return 0;
}

/* One extension with its header taken off. Types that we don't know are skipped. */
static int decode_one(struct fuse_req *rq, struct cursor *c, uint32_t type, struct op_mode *m)
{
	if (type <= FUSE_MAX_NR_SECCTX)
		return req_negotiated(rq, FUSE_SECURITY_CTX) ? decode_labels(c, type, m) : 0;
	if (type == FUSE_EXT_GROUPS && req_negotiated(rq, FUSE_CREATE_SUPP_GROUP))
		return decode_groups(rq, c);
	return 0;
}

/* The extensions' bytes. Before 7.38 the header did not tell their length: whatever is left. */
static bool find_area(struct fuse_req *rq, struct cursor *area)
{
	size_t left = cursor_left(&rq->args);
	size_t len = rq->s->conn->minor < 38 ? left : (size_t)rq->h.total_extlen * 8;

	if (len > left)
		return false;
	*area = cursor_over(rq->args.end - len, len);
	return true;
}

int ext_decode(struct fuse_req *rq, struct op_mode *m)
{
	struct cursor area;

	if (!req_negotiated(rq, FUSE_SECURITY_CTX | FUSE_CREATE_SUPP_GROUP))
		return 0;
	if (!find_area(rq, &area))
		return -EINVAL;
	while (cursor_left(&area)) {
		struct fuse_ext_header h;
		const void *body;
		struct cursor c;
		int r;

		if (!take(&area, &h, sizeof(h)) || h.size < sizeof(h))
			return -EINVAL;
		body = cursor_take(&area, h.size - sizeof(h));
		if (!body)
			return -EINVAL;
		c = cursor_over(body, h.size - sizeof(h));
		r = decode_one(rq, &c, h.type, m);
		if (r)
			return r;
	}
	return 0;
}
