/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests on open directories. A listing is packed into the worker's buffer and then copied out, under the
 * directory's claim, as an entry's name lives only that long.
 */
#include "fuse/internal.h"

#include "base/arith.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

static uint32_t dir_open_flags(const struct fuse_req *rq)
{
	switch (rq->s->cfg.cache) {
	case FUSE_CACHE_METADATA:
	case FUSE_CACHE_ALWAYS:
		return FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE;
	case FUSE_CACHE_NEVER:
	case FUSE_CACHE_AUTO:
		break;
	}
	return 0;
}

ssize_t fuse_do_opendir(struct fuse_req *rq)
{
	const struct fuse_open_in *in = rq->in;
	struct fuse_open_out out = {.open_flags = dir_open_flags(rq)};
	struct op_fh fh = OP_NO_HANDLE;
	int r;

	if (req_negotiated(rq, FUSE_NO_OPENDIR_SUPPORT))
		return -ENOSYS;
	r = rq->s->ops->opendir(rq->s->fs, &rq->w->ctx, req_node(rq), in->flags, &fh);
	if (r)
		return r;
	reply_made(rq, (struct nodeid){0}, fh);
	out.fh = fh.v;
	return reply_bytes(rq, 0, &out, sizeof(out));
}

ssize_t fuse_do_releasedir(struct fuse_req *rq)
{
	const struct fuse_release_in *in = rq->in;
	struct op_fh fh = {in->fh};

	return rq->s->ops->releasedir(rq->s->fs, &rq->w->ctx, req_node(rq), fh);
}

/*
 * A guest that was told not to send OPENDIR names no handle: it gets one for the time of the request. begin
 * returns 0 or -errno; end follows if it was 0.
 */
static int begin_handle(struct fuse_req *rq, struct op_fh *fh)
{
	if (fh->v || !req_negotiated(rq, FUSE_NO_OPENDIR_SUPPORT))
		return 0;
	return rq->s->ops->opendir(rq->s->fs, &rq->w->ctx, req_node(rq), O_RDONLY | O_DIRECTORY, fh);
}

static void end_handle(struct fuse_req *rq, struct op_fh fh, uint64_t asked)
{
	if (fh.v != asked)
		rq->s->ops->releasedir(rq->s->fs, &rq->w->ctx, req_node(rq), fh);
}

ssize_t fuse_do_fsyncdir(struct fuse_req *rq)
{
	const struct fuse_fsync_in *in = rq->in;
	struct op_fh fh = {in->fh};
	int r = begin_handle(rq, &fh);

	if (r)
		return r;
	r = rq->s->ops->fsyncdir(
		rq->s->fs, &rq->w->ctx, req_node(rq), fh, in->fsync_flags & FUSE_FSYNC_FDATASYNC);
	end_handle(rq, fh, in->fh);
	return r;
}

struct listing {
	uint8_t *buf;
	size_t size, used;
	bool plus;
	bool counts; /* entries carry lookups */
};

static bool is_dot(const struct op_dirent *d)
{
	return d->name[0] == '.' && (d->namelen == 1 || (d->namelen == 2 && d->name[1] == '.'));
}

/*
 * Looks an entry's name up. Without success the entry stays all zero: then the guest takes the name alone,
 * and asks for the rest if it needs it.
 */
static void look_up(struct fuse_req *rq, const struct listing *l, struct op_fh fh, const struct op_dirent *d,
	struct fuse_entry_out *out)
{
	struct op_entry e = {0};

	*out = (struct fuse_entry_out){0};
	if (is_dot(d) || d->namelen > NAME_MAX || !l->counts || !listing_has_room(rq))
		return;
	if (rq->s->ops->lookup_listed(rq->s->fs, &rq->w->ctx, fh, d, &e))
		return;
	listing_counted(rq, e.node);
	reply_fill_entry(rq->s, &e, out);
}

/* Appends an entry; records are multiples of 8 bytes, so each is aligned. False if it does not fit: then
 * nothing was looked up. */
static bool pack(struct fuse_req *rq, struct listing *l, struct op_fh fh, const struct op_dirent *d)
{
	size_t head = l->plus ? sizeof(struct fuse_direntplus) : sizeof(struct fuse_dirent);
	size_t len = head + d->namelen;
	size_t record = arith_align_up(len, 8);
	uint8_t *p = l->buf + l->used;
	struct fuse_dirent *out = (void *)(p + head - sizeof(*out));

	if (record > l->size - l->used)
		return false;
	*out = (struct fuse_dirent){.ino = d->ino, .off = d->off, .namelen = d->namelen, .type = d->type};
	memcpy(p + head, d->name, d->namelen);
	memset(p + len, 0, record - len);
	if (l->plus)
		look_up(rq, l, fh, d, &((struct fuse_direntplus *)(void *)p)->entry);
	l->used += record;
	return true;
}

/* Fills the listing from position @off on. An error behind the first entry is met again by the next request.
 */
static int fill(struct fuse_req *rq, struct listing *l, struct op_fh fh, uint64_t off)
{
	struct op_dirent d = {0};

	for (;;) {
		int r = rq->s->ops->readdir(rq->s->fs, &rq->w->ctx, fh, off, &d);

		if (r <= 0)
			return l->used ? 0 : r;
		if (!pack(rq, l, fh, &d))
			return l->used ? 0 : -EINVAL;
		off = d.off;
	}
}

static ssize_t list(struct fuse_req *rq, bool plus)
{
	const struct fuse_read_in *in = rq->in;
	struct listing l = {.size = MIN(MIN((size_t)in->size, rq->room), LISTING_MAX), .plus = plus};
	struct op_fh fh = {in->fh};
	int r;

	l.buf = worker_scratch(rq->w, l.size);
	if (!l.buf)
		return -ENOMEM;
	r = begin_handle(rq, &fh);
	if (r)
		return r;
	r = rq->s->ops->dir_lock(rq->s->fs, req_node(rq), fh);
	if (!r) {
		l.counts = plus && listing_begin(rq);
		r = fill(rq, &l, fh, in->offset);
		rq->s->ops->dir_unlock(rq->s->fs, fh);
	}
	end_handle(rq, fh, in->fh);
	return r ? r : reply_bytes(rq, 0, l.buf, l.used);
}

ssize_t fuse_do_readdir(struct fuse_req *rq)
{
	return list(rq, false);
}

ssize_t fuse_do_readdirplus(struct fuse_req *rq)
{
	return list(rq, true);
}
