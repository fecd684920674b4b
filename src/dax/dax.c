/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is mapped where. A range of the window is filled when the guest asks, and follows its file from then
 * on: here is when, for all ranges of a file; range.c has how. Threads: any.
 */
#include "dax/internal.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/log.h"

#include <string.h>
#include <sys/sysmacros.h>

#define MIN_MARKED (64u << 10) /* smaller files cost less by request than by a range of the window */

/*
 * The window's lock, for an op that may wait for the front-end: the request's queue may stop meanwhile, as
 * the front-end may want that first. 0 or -errno; pass_end() after 0.
 */
static int pass_begin(struct dax *d, struct op_ctx *c)
{
	int r = c && c->may_block ? c->may_block(c, OP_BLOCK_PEER) : 0;

	if (r)
		return r;
	pthread_mutex_lock(&d->lock);
	adopt_settle(d);
	return 0;
}

/* 0, or -ECANCELED: nobody is there any more to be answered. */
static int pass_end(struct dax *d, struct op_ctx *c)
{
	pthread_mutex_unlock(&d->lock);
	return c && c->may_block ? c->may_block(c, OP_BLOCK_PEER_DONE) : 0;
}

/* What is done with one range of a file. */
typedef int range_op(struct dax *d, struct dax_range *r, struct dax_file *f, const struct op_change *change,
	struct op_ctx *c);

static int do_sync(struct dax *d, struct dax_range *r, struct dax_file *f, const struct op_change *change,
	struct op_ctx *c)
{
	(void)c;
	return range_sync(d, r, f, change);
}

static int do_prepare(struct dax *d, struct dax_range *r, struct dax_file *f, const struct op_change *change,
	struct op_ctx *c)
{
	int e = range_sync(d, r, f, change);

	return e ? e : range_reach(d, r, f, change, c);
}

/* A range that neither the cut nor the file's old end concerns stays. */
static int do_empty(struct dax *d, struct dax_range *r, struct dax_file *f, const struct op_change *change,
	struct op_ctx *c)
{
	if (r->direct == DAX_RANGE && r->file_off + DAX_RANGE <= change->off)
		return 0;
	return range_empty(d, r, f, c);
}

static int do_fill(struct dax *d, struct dax_range *r, struct dax_file *f, const struct op_change *change,
	struct op_ctx *c)
{
	(void)change;
	return range_is_cut(r, f) || range_is_empty(r) ? range_refill(d, r, f, c) : 0;
}

/* lock held. The range has nothing in it any more. */
static void forget_range(struct dax *d, struct dax_range *r)
{
	struct dax_file *f = file_of(d, r);

	range_forget(d, r, f);
	if (!f)
		return;
	f->ranges--;
	file_drop(d, f);
}

static int release(struct dax *d, struct dax_range *r, struct op_ctx *c)
{
	struct dax_file *f = file_of(d, r);
	int e = f ? range_empty(d, r, f, c) : 0;

	if (!e)
		forget_range(d, r);
	return e;
}

/* lock held. All ranges of the file; the first error, but each gets its turn. */
static int each_range(
	struct dax *d, struct dax_file *f, const struct op_change *change, struct op_ctx *c, range_op *op)
{
	uint32_t left = f->ranges;
	int first = 0;

	for (uint32_t i = 0; i < d->nranges && left; i++) {
		struct dax_range *r = &d->ranges[i];
		int e;

		if (r->node != f->node)
			continue;
		left--;
		e = op(d, r, f, change, c);
		first = first ? first : e;
	}
	return first;
}

/* The front-end's reasons are nobody's business. */
static int guest_error(struct dax *d, int e)
{
	if (e != -EREMOTEIO && e != -ENODEV && e != -ETIMEDOUT)
		return e;
	atomic_store(&d->refused, true);
	return -EIO;
}

/* 0, 1 (the lock is held until follow()), or -errno. */
static int prepare(struct dax *d, struct op_ctx *c, const struct op_change *change)
{
	struct dax_file f, *file;
	int e;

	if (!file_peek(d, change->node, &f))
		return 0;
	e = pass_begin(d, c);
	if (e)
		return e;
	file = file_find(d, change->node);
	if (file)
		e = each_range(d, file, change, c, change->cuts ? do_empty : do_prepare);
	if (!e && change->cuts)
		return 1;
	if (e && file)
		each_range(d, file, change, c, do_fill);
	return pass_end(d, c) ? -ECANCELED : guest_error(d, e);
}

static int follow(struct dax *d, struct op_ctx *c, const struct op_change *change, bool held)
{
	struct dax_file f, *file;
	int e = 0;

	if (!held && !file_peek(d, change->node, &f))
		return 0;
	if (!held)
		e = pass_begin(d, c);
	if (e)
		return e;
	file = file_find(d, change->node);
	if (file) {
		file_look(d, file);
		e = each_range(d, file, change, c, change->cuts ? do_fill : range_follow);
		file_behind(d, file, e);
	}
	if (e)
		log_limited("dax: the window does not follow a file that changed: %s", strerrordesc_np(-e));
	return pass_end(d, c) ? -ECANCELED : guest_error(d, e);
}

/* Above the lowest bit of what change_end() gets is the cut, as other daemons see it. */
static int change_begin(void *arg, struct op_ctx *c, const struct op_change *change)
{
	struct dax *d = arg;
	int cut = change->cuts ? claim_cut_begin(d, change->fd) : 0;
	int r = cut < 0 ? cut : prepare(d, c, change);

	if (r >= 0)
		return r | cut << 1;
	if (cut > 0)
		claim_cut_end(d, cut);
	return r;
}

static int change_end(void *arg, struct op_ctx *c, const struct op_change *change, int held)
{
	struct dax *d = arg;

	claim_cut_end(d, held >> 1);
	return follow(d, c, change, held & 1);
}

static int sync_file(void *arg, struct op_ctx *c, struct nodeid node)
{
	const struct op_change all = {.node = node, .len = UINT64_MAX};
	struct dax *d = arg;
	struct dax_file f, *file;
	int e = file_peek(d, node, &f) ? pass_begin(d, c) : 1;

	if (e)
		return e > 0 ? 0 : e;
	file = file_find(d, node);
	if (file)
		e = each_range(d, file, &all, c, do_sync);
	return pass_end(d, c) ? -ECANCELED : e;
}

/* Copies of what others may have changed meanwhile are compared with the file. */
static int seen(void *arg, struct op_ctx *c, struct nodeid node, const struct statx *st)
{
	const struct op_change all = {.node = node, .len = UINT64_MAX};
	struct dax *d = arg;
	struct dax_file f;

	if (!file_peek(d, node, &f) || !file_differs(&f, st))
		return 0;
	return follow(d, c, &all, false);
}

static bool is_valid(const struct dax *d, const struct op_mapping *m)
{
	uint64_t window = (uint64_t)d->nranges * DAX_RANGE;

	return m->len && m->len % DAX_PAGE == 0 && m->file_off % DAX_RANGE == 0 &&
	       m->window_off % DAX_RANGE == 0 && arith_within(m->window_off, m->len, window) &&
	       arith_within(m->file_off, m->len, INT64_MAX);
}

/* lock held. A guest maps a range again to write what it only read. */
static int map_range(struct dax *d, struct dax_range *r, struct dax_file *f, uint64_t file_off,
	const struct op_mapping *m, struct op_ctx *c)
{
	int e = 0;

	if (r->node == f->node && r->file_off == file_off) {
		r->writes |= m->write;
		return 0;
	}
	if (r->node)
		e = release(d, r, c);
	if (e)
		return e;
	*r = (struct dax_range){.file_off = file_off, .copy = DAX_RANGE, .writes = m->write};
	__atomic_store_n(&r->node, f->node, __ATOMIC_RELEASE);
	f->ranges++;
	e = range_fill(d, r, f, c);
	if (!e)
		return 0;
	range_empty(d, r, f, c);
	forget_range(d, r);
	return e;
}

static int map_all(struct dax *d, struct dax_file *f, const struct op_mapping *m, struct op_ctx *c)
{
	struct dax_range *r = &d->ranges[m->window_off / DAX_RANGE];
	int e = 0;

	f->ranges++; /* it stays while ranges of its own are remapped */
	for (uint64_t done = 0; done < m->len && !e; done += DAX_RANGE)
		e = map_range(d, r++, f, m->file_off + done, m, c);
	f->ranges--;
	file_drop(d, f);
	return e;
}

static int map(void *arg, struct op_ctx *c, struct nodeid node, const struct op_mapping *m, int fd)
{
	struct dax *d = arg;
	struct dax_file *f;
	int e;

	if (d->cfg.policy == DAX_NEVER)
		return -EOPNOTSUPP;
	if (!is_valid(d, m))
		return -EINVAL;
	e = pass_begin(d, c);
	if (e)
		return e;
	e = file_take(d, node, fd, &f);
	if (!e && f)
		e = map_all(d, f, m, c);
	return pass_end(d, c) ? -ECANCELED : guest_error(d, e);
}

static int unmap(void *arg, struct op_ctx *c, uint64_t off, uint64_t len)
{
	struct dax *d = arg;
	int first = 0;
	int e;

	if (!len || off % DAX_RANGE || !arith_within(off, len, (uint64_t)d->nranges * DAX_RANGE))
		return -EINVAL;
	e = pass_begin(d, c);
	if (e)
		return e;
	for (uint64_t done = 0; done < len; done += DAX_RANGE) {
		struct dax_range *r = &d->ranges[(off + done) / DAX_RANGE];

		e = r->node ? release(d, r, c) : 0;
		first = first ? first : e;
	}
	return pass_end(d, c) ? -ECANCELED : guest_error(d, first);
}

static bool mapped(void *arg, uint32_t i, struct nodeid *node, struct op_mapping *m)
{
	struct dax *d = arg;
	const struct dax_range *r = &d->ranges[i];

	if (i >= d->nranges)
		return false;
	autolock(&d->lock);
	node->v = r->node;
	*m = (struct op_mapping){.file_off = r->file_off,
		.window_off = (uint64_t)i * DAX_RANGE,
		.len = r->node ? DAX_RANGE : 0,
		.write = r->writes};
	return true;
}

/* The control thread comes here, which must not wait for the front-end. */
static int stay(struct dax *d)
{
	autolock(&d->index);
	for (uint32_t i = 0; i < d->nfiles; i++) {
		const struct dax_file *f = &d->files[i];

		if (f->node && f->claimed && !claim_take(d->cfg.claims, f->claim))
			log_warn("dax: another guest took a file that this one maps while it was to migrate: "
				 "if that one cuts it, this one's VMM may end");
	}
	return 0;
}

static int moves(void *arg, bool away)
{
	const struct op_change all = {.len = UINT64_MAX};
	struct dax *d = arg;
	int first = 0;

	if (!away)
		return stay(d);
	autolock(&d->lock);
	adopt_settle(d);
	if (d->unsettled)
		return -EIO;
	for (uint32_t i = 0; i < d->nfiles; i++) {
		struct dax_file *f = &d->files[i];
		int e = f->node ? each_range(d, f, &all, NULL, do_sync) : 0;

		first = first ? first : e;
		if (f->node && f->claimed)
			claim_give(d->cfg.claims, f->claim);
	}
	return first;
}

/* A front-end that does not answer once is not asked for the rest. */
static void reset(void *arg)
{
	struct dax *d = arg;
	bool asks = true;

	autolock(&d->lock);
	adopt_settle(d);
	for (uint32_t i = 0; i < d->nranges; i++) {
		struct dax_range *r = &d->ranges[i];

		if (r->node && asks)
			asks = !release(d, r, NULL);
		if (r->node)
			forget_range(d, r);
	}
}

void dax_forget(struct dax *d)
{
	autolock(&d->lock);
	d->asked->len = 0;
	d->unsettled = false;
	for (uint32_t i = 0; i < d->nranges; i++)
		if (d->ranges[i].node)
			forget_range(d, &d->ranges[i]);
}

/* A front-end without such a thing as a window is no surprise. */
static bool works(void *arg)
{
	struct dax *d = arg;
	int e;

	if (d->cfg.policy == DAX_NEVER || pass_begin(d, NULL))
		return false;
	e = range_probe(d);
	if (e && e != -ENODEV)
		log_warn("dax: the front-end maps nothing, so guests that ask which files to map are told "
			 "none: %s",
			strerrordesc_np(-e));
	atomic_store(&d->refused, e != 0);
	pass_end(d, NULL);
	return !e;
}

/* Front-ends map to write, whatever the guest wants: only what the daemon may write is ever mapped. */
static bool marks(void *arg, const struct statx *st)
{
	const struct dax *d = arg;
	uint64_t claim = claim_of(makedev(st->stx_dev_major, st->stx_dev_minor), st->stx_ino);

	if (d->cfg.policy == DAX_NEVER || atomic_load(&d->refused) || (st->stx_mode & S_IFMT) != S_IFREG ||
		st->stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND))
		return false;
	if (!d->cfg.any_owner && (st->stx_uid != d->cfg.uid || !(st->stx_mode & S_IWUSR)))
		return false;
	if (d->cfg.policy == DAX_INODE && (st->stx_size < MIN_MARKED || st->stx_size % DAX_PAGE))
		return false;
	return !claim_is_foreign(d->cfg.claims, claim);
}

uint64_t dax_window_size(uint64_t window, uint32_t max_mappings)
{
	uint64_t most = max_mappings ? MIN(window, (uint64_t)max_mappings * DAX_RANGE) : window;
	uint64_t size = DAX_RANGE;

	if (most < DAX_RANGE)
		return 0;
	while (size * 2 <= most)
		size *= 2;
	return size;
}

void dax_plan(const struct dax_config *cfg, struct segment_plan plan[SEGMENT_SECTIONS])
{
	uint64_t n = cfg->window / DAX_RANGE;

	plan[SEGMENT_DAX] = (struct segment_plan){sizeof(struct dax_range), n};
	plan[SEGMENT_DAX_FILES] = (struct segment_plan){sizeof(struct dax_file), n ? n + 1 : 0};
	plan[SEGMENT_DAX_COPIES] = (struct segment_plan){DAX_RANGE, n};
	plan[SEGMENT_DAX_ASKED] = (struct segment_plan){sizeof(struct dax_asked), 1};
}

const struct op_window *dax_window(struct dax *d)
{
	return &d->window;
}

int dax_new(const struct dax_config *cfg, const struct segment *seg, struct dax **out, struct err *err)
{
	struct dax *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return err_set(err, ENOMEM, "no memory for the DAX window");
	d->cfg = *cfg;
	d->window = (struct op_window){.arg = d,
		.works = works,
		.marks = marks,
		.map = map,
		.unmap = unmap,
		.change_begin = change_begin,
		.change_end = change_end,
		.sync = sync_file,
		.seen = seen,
		.mapped = mapped,
		.moves = moves,
		.reset = reset};
	d->nranges = (uint32_t)(cfg->window / DAX_RANGE);
	d->ranges = segment_at(seg, SEGMENT_DAX);
	d->files = segment_at(seg, SEGMENT_DAX_FILES);
	d->asked = segment_at(seg, SEGMENT_DAX_ASKED);
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->index, NULL);
	pthread_mutex_init(&d->cutting, NULL);
	r = copy_setup(&d->copy, cfg->copies, segment_at(seg, SEGMENT_DAX_COPIES), cfg->window, err);
	if (r) {
		dax_free(d);
		return r;
	}
	if (seg->adopt)
		adopt_records(d);
	*out = d;
	return 0;
}

void dax_free(struct dax *d)
{
	if (!d)
		return;
	adopt_end(d);
	if (d->copy.now)
		dax_forget(d);
	copy_free(&d->copy);
	cleanup_fd(&d->cfg.claims);
	pthread_mutex_destroy(&d->lock);
	pthread_mutex_destroy(&d->index);
	pthread_mutex_destroy(&d->cutting);
	free(d);
}

void dax_count(struct dax *d, struct dax_counts *out)
{
	*out = (struct dax_counts){0};
	autolock(&d->lock);
	for (uint32_t i = 0; i < d->nranges; i++) {
		out->ranges += d->ranges[i].node != 0;
		out->copies += d->ranges[i].node && d->ranges[i].copy < DAX_RANGE;
	}
	for (uint32_t i = 0; i < d->nfiles; i++)
		out->files += d->files[i].node != 0;
}
