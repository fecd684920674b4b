/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is mapped where. A range of the window is filled when the guest asks, and follows its file from then
 * on. Front-ends neither enlarge a mapping nor replace it: between taking one away and making another the
 * guest would see nothing there. So that is done only where the guest keeps its own hands off (it cuts or
 * allocates); where a file merely grew, pages are added behind what is there.
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

	if (!r)
		pthread_mutex_lock(&d->lock);
	return r;
}

/* 0, or -ECANCELED: nobody is there any more to be answered. */
static int pass_end(struct dax *d, struct op_ctx *c)
{
	pthread_mutex_unlock(&d->lock);
	return c && c->may_block ? c->may_block(c, OP_BLOCK_PEER_DONE) : 0;
}

static const _Atomic bool *cancelled_of(const struct op_ctx *c)
{
	return c ? &c->cancelled : NULL;
}

static uint64_t window_off(const struct dax *d, const struct dax_range *r)
{
	return (uint64_t)(r - d->ranges) * DAX_RANGE;
}

/* How much of a file of @size bytes lies in the range that begins at @file_off. */
static uint32_t extent(uint64_t size, uint64_t file_off)
{
	return size <= file_off ? 0 : (uint32_t)MIN(size - file_off, DAX_RANGE);
}

/* Takes one mapping away. What the front-end does not know is gone too. */
static int vmm_unmap(struct dax *d, uint64_t file_off, uint64_t at, uint32_t len, struct op_ctx *c)
{
	int r = d->cfg.vmm.unmap(d->cfg.vmm.arg, file_off, at, len, cancelled_of(c));

	return r == -EREMOTEIO || r == -ENODEV ? 0 : r;
}

/* From @from on the range shows a copy, of which @avail bytes of the range are the file's. */
static int add_copy(struct dax *d, struct dax_range *r, struct dax_file *f, uint32_t from, uint32_t avail,
	struct op_ctx *c)
{
	uint64_t at = window_off(d, r) + from;
	int e = avail > from ? copy_refresh(&d->copy, at, avail - from, f->fd, r->file_off + from) : 0;

	if (!e)
		e = d->cfg.vmm.map(d->cfg.vmm.arg, d->copy.fd, at, at, DAX_RANGE - from, cancelled_of(c));
	if (e) {
		copy_drop(&d->copy, at, DAX_RANGE - from);
		return e;
	}
	file_copied(d, f);
	r->copy = from;
	r->known = avail;
	return 0;
}

/* lock held. Whether a range may take two of the front-end's mappings: each of the others may take one. */
static bool has_room_for_two(const struct dax *d)
{
	uint32_t n = d->nranges + 1;

	for (uint32_t i = 0; i < d->nranges && d->cfg.max_mappings; i++)
		n += d->ranges[i].direct && d->ranges[i].copy < DAX_RANGE;
	return !d->cfg.max_mappings || n <= d->cfg.max_mappings;
}

/* Fills a range that is empty in the window; its node and offset are set. On error it stays so. */
static int fill(struct dax *d, struct dax_range *r, struct dax_file *f, struct op_ctx *c)
{
	struct stat st;
	uint32_t avail, direct;
	int e = fstat(f->fd, &st) ? -errno : 0;

	r->direct = 0;
	r->copy = DAX_RANGE;
	if (e)
		return e;
	avail = extent((uint64_t)st.st_size, r->file_off);
	direct = f->claimed ? avail & ~(DAX_PAGE - 1) : 0;
	if (direct < avail && !has_room_for_two(d))
		direct = 0;
	if (direct)
		e = d->cfg.vmm.map(
			d->cfg.vmm.arg, f->fd, r->file_off, window_off(d, r), direct, cancelled_of(c));
	if (!e)
		r->direct = direct;
	else if (e != -EREMOTEIO) /* the front-end may refuse a file, not its own kind of memory */
		return e;
	if (r->direct == DAX_RANGE || (r->direct && r->direct == avail))
		return 0;
	return add_copy(d, r, f, r->direct, avail, c);
}

/* The guest sees nothing there any more. What it stored in copies is the file's. On error it stays. */
static int empty(struct dax *d, struct dax_range *r, const struct dax_file *f, struct op_ctx *c)
{
	uint64_t at = window_off(d, r);
	int e = 0;

	if (r->copy < DAX_RANGE) {
		e = vmm_unmap(d, at + r->copy, at + r->copy, DAX_RANGE - r->copy, c);
		if (e)
			return e;
		if (r->known > r->copy && !f->read_only)
			e = copy_sync(
				&d->copy, at + r->copy, r->known - r->copy, f->fd, r->file_off + r->copy);
		if (e)
			log_limited("dax: changes of a file's end are lost: %s", strerrordesc_np(-e));
		copy_drop(&d->copy, at + r->copy, DAX_RANGE - r->copy);
		r->copy = DAX_RANGE;
	}
	e = r->direct ? vmm_unmap(d, r->file_off, at, r->direct, c) : 0;
	if (!e)
		r->direct = 0;
	return e;
}

static struct dax_file *file_of(struct dax *d, const struct dax_range *r)
{
	return file_find(d, (struct nodeid){r->node});
}

static int release(struct dax *d, struct dax_range *r, struct op_ctx *c)
{
	struct dax_file *f = file_of(d, r);
	int e = f ? empty(d, r, f, c) : 0;

	if (e)
		return e;
	*r = (struct dax_range){0};
	if (!f)
		return 0;
	f->ranges--;
	file_drop(d, f);
	return 0;
}

/* lock held. What the guest changed in copies of [off, off + len) goes to the file. */
static int sync_range(
	struct dax *d, const struct dax_range *r, const struct dax_file *f, uint64_t off, uint64_t len)
{
	uint64_t from = MAX(off, r->file_off + r->copy);
	uint64_t to = MIN(len > UINT64_MAX - off ? UINT64_MAX : off + len, r->file_off + r->known);

	if (r->copy == DAX_RANGE || from >= to || f->read_only)
		return 0;
	return copy_sync(&d->copy, window_off(d, r) + (from - r->file_off), to - from, f->fd, from);
}

/* lock held. The file got other contents in [off, off + len), or grew: copies follow. */
static int follow(struct dax *d, struct dax_range *r, struct dax_file *f, const struct op_change *change,
	struct op_ctx *c)
{
	uint32_t avail = extent(f->size, r->file_off);
	uint64_t from = MAX(change->off, r->file_off + r->copy);
	uint64_t to = MIN(change->len > UINT64_MAX - change->off ? UINT64_MAX : change->off + change->len,
		r->file_off + avail);
	int e = 0;

	if (r->copy == DAX_RANGE)
		return avail > r->direct ? add_copy(d, r, f, r->direct, avail, c) : 0;
	if (avail > r->known)
		e = copy_refresh(&d->copy, window_off(d, r) + r->known, avail - r->known, f->fd,
			r->file_off + r->known);
	if (!e && from < to)
		e = copy_refresh(&d->copy, window_off(d, r) + (from - r->file_off), to - from, f->fd, from);
	r->known = avail;
	return e;
}

/* lock held. Empties the range and fills it anew. */
static int refill(struct dax *d, struct dax_range *r, struct dax_file *f, struct op_ctx *c)
{
	int e = empty(d, r, f, c);

	return e ? e : fill(d, r, f, c);
}

/* What is done with one range of a file. */
typedef int range_op(struct dax *d, struct dax_range *r, struct dax_file *f, const struct op_change *change,
	struct op_ctx *c);

static int range_sync(struct dax *d, struct dax_range *r, struct dax_file *f, const struct op_change *change,
	struct op_ctx *c)
{
	(void)c;
	return sync_range(d, r, f, change->off, change->len);
}

/* A range that neither the cut nor the file's old end concerns stays. */
static int range_empty(struct dax *d, struct dax_range *r, struct dax_file *f, const struct op_change *change,
	struct op_ctx *c)
{
	if (r->direct == DAX_RANGE && r->file_off + DAX_RANGE <= change->off)
		return 0;
	return empty(d, r, f, c);
}

static int range_fill(struct dax *d, struct dax_range *r, struct dax_file *f, const struct op_change *change,
	struct op_ctx *c)
{
	(void)change;
	if (r->direct > extent(f->size, r->file_off)) /* cut behind our back */
		return refill(d, r, f, c);
	return r->direct || r->copy < DAX_RANGE ? 0 : fill(d, r, f, c);
}

static int range_follow(struct dax *d, struct dax_range *r, struct dax_file *f,
	const struct op_change *change, struct op_ctx *c)
{
	if (r->direct > extent(f->size, r->file_off))
		return refill(d, r, f, c);
	return follow(d, r, f, change, c);
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
static int guest_error(int e)
{
	return e == -EREMOTEIO || e == -ENODEV || e == -ETIMEDOUT ? -EIO : e;
}

/* Whether another daemon has the file mapped: who cut it would end that daemon's virtual machine. */
static bool is_foreign(const struct dax *d, int fd)
{
	struct stat st;

	return d->cfg.claims >= 0 && !fstat(fd, &st) &&
	       claim_is_foreign(d->cfg.claims, claim_of(st.st_dev, st.st_ino));
}

static int change_begin(void *arg, struct op_ctx *c, const struct op_change *change)
{
	struct dax *d = arg;
	struct dax_file f, *file;
	int e;

	if (change->cuts && is_foreign(d, change->fd))
		return -ETXTBSY;
	if (!file_peek(d, change->node, &f))
		return 0;
	e = pass_begin(d, c);
	if (e)
		return e;
	file = file_find(d, change->node);
	if (file)
		e = each_range(d, file, change, c, change->cuts ? range_empty : range_sync);
	if (!e && change->cuts)
		return 1;
	if (e && file)
		each_range(d, file, change, c, range_fill);
	return pass_end(d, c) ? -ECANCELED : guest_error(e);
}

static int change_end(void *arg, struct op_ctx *c, const struct op_change *change, int held)
{
	struct dax *d = arg;
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
		e = each_range(d, file, change, c, change->cuts ? range_fill : range_follow);
	}
	if (e)
		log_limited("dax: the window does not follow a file that changed: %s", strerrordesc_np(-e));
	return pass_end(d, c);
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
		e = each_range(d, file, &all, c, range_sync);
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
	return change_end(d, c, &all, 0);
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
	*r = (struct dax_range){.node = f->node, .file_off = file_off, .writes = m->write};
	e = fill(d, r, f, c);
	if (e)
		empty(d, r, f, c);
	if (e)
		*r = (struct dax_range){0};
	else
		f->ranges++;
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
	return pass_end(d, c) ? -ECANCELED : guest_error(e);
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
	return pass_end(d, c) ? -ECANCELED : guest_error(first);
}

/* lock held. What is left after the front-end was asked, or could not be. */
static void forget_range(struct dax *d, struct dax_range *r)
{
	struct dax_file *f = file_of(d, r);

	if (f)
		sync_range(d, r, f, 0, UINT64_MAX);
	if (r->copy < DAX_RANGE)
		copy_drop(&d->copy, window_off(d, r) + r->copy, DAX_RANGE - r->copy);
	*r = (struct dax_range){0};
	if (!f)
		return;
	f->ranges--;
	file_drop(d, f);
}

/* A front-end that does not answer once is not asked for the rest. */
static void reset(void *arg)
{
	struct dax *d = arg;
	bool asks = true;

	autolock(&d->lock);
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
	for (uint32_t i = 0; i < d->nranges; i++)
		if (d->ranges[i].node)
			forget_range(d, &d->ranges[i]);
}

/* Front-ends map to write, whatever the guest wants: only what the daemon may write is ever mapped. */
static bool marks(void *arg, const struct statx *st)
{
	const struct dax *d = arg;
	uint64_t claim = claim_of(makedev(st->stx_dev_major, st->stx_dev_minor), st->stx_ino);

	if (d->cfg.policy == DAX_NEVER || (st->stx_mode & S_IFMT) != S_IFREG ||
		st->stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND))
		return false;
	if (!d->cfg.any_owner && (st->stx_uid != d->uid || !(st->stx_mode & S_IWUSR)))
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

struct segment_plan dax_plan(const struct dax_config *cfg)
{
	return (struct segment_plan){sizeof(struct dax_range), MAX(cfg->window / DAX_RANGE, 1)};
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
		.marks = marks,
		.map = map,
		.unmap = unmap,
		.change_begin = change_begin,
		.change_end = change_end,
		.sync = sync_file,
		.seen = seen,
		.reset = reset};
	d->uid = geteuid();
	d->nranges = (uint32_t)(cfg->window / DAX_RANGE);
	d->ranges = segment_at(seg, SEGMENT_DAX);
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->index, NULL);
	d->files = calloc((size_t)d->nranges + 1, sizeof(*d->files));
	r = d->files ? copy_setup(&d->copy, cfg->window, err) : err_set(err, ENOMEM, "no memory");
	if (r) {
		dax_free(d);
		return r;
	}
	*out = d;
	return 0;
}

void dax_free(struct dax *d)
{
	if (!d)
		return;
	if (d->files && d->copy.now)
		dax_forget(d);
	copy_free(&d->copy);
	cleanup_fd(&d->cfg.claims);
	pthread_mutex_destroy(&d->lock);
	pthread_mutex_destroy(&d->index);
	free(d->files);
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
		out->files += d->files[i].fd >= 0;
}
