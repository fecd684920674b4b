/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One range of the window: filled, emptied, and made to follow its file. Front-ends neither enlarge a mapping
 * nor replace it: between taking one away and making another the guest would see nothing there. So that is
 * done only where the guest keeps its own hands off (it cuts or allocates); where a file merely grew, pages
 * are added behind what is there. A record changes only after the front-end did what it says, and until then
 * struct dax_asked says what that was: so a process that takes over knows. With the window's lock held.
 */
#include "dax/internal.h"

#include "base/arith.h"
#include "base/log.h"
#include "base/order.h"

#include <errno.h>
#include <string.h>

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

static void note_asked(struct dax *d, uint64_t file_off, uint64_t at, uint32_t len)
{
	d->asked->file_off = file_off;
	d->asked->at = at;
	__atomic_store_n(&d->asked->len, len, __ATOMIC_RELEASE);
}

/* The records say it now, or nothing has changed. */
static void settled(struct dax *d)
{
	__atomic_store_n(&d->asked->len, 0, __ATOMIC_RELEASE);
	in_order(); /* what is asked next is noted behind it */
}

/* settled() after it. */
static int vmm_map(struct dax *d, int fd, uint64_t file_off, uint64_t at, uint32_t len, struct op_ctx *c)
{
	int r;

	note_asked(d, file_off, at, len);
	r = d->cfg.vmm.map(d->cfg.vmm.arg, fd, file_off, at, len, cancelled_of(c));
	if (!r)
		atomic_store(&d->refused, false);
	return r;
}

/* Takes one mapping away. What the front-end does not know is gone too. settled() after it. */
static int vmm_unmap(struct dax *d, uint64_t file_off, uint64_t at, uint32_t len, struct op_ctx *c)
{
	int r;

	note_asked(d, file_off, at, len);
	r = d->cfg.vmm.unmap(d->cfg.vmm.arg, file_off, at, len, cancelled_of(c));
	if (!r)
		atomic_store(&d->refused, false);
	return r == -EREMOTEIO || r == -ENODEV ? 0 : r;
}

/* From @from on the range shows a copy, of which @avail bytes of the range are the file's. */
static int add_copy(struct dax *d, struct dax_range *r, struct dax_file *f, uint32_t from, uint32_t avail,
	struct op_ctx *c)
{
	uint64_t at = window_off(d, r) + from;
	int e = avail > from ? copy_refresh(&d->copy, at, avail - from, f->fd, r->file_off + from) : 0;

	if (!e)
		e = vmm_map(d, d->copy.fd, at, at, DAX_RANGE - from, c);
	if (e) {
		copy_drop(&d->copy, at, DAX_RANGE - from);
	} else {
		file_copied(d, f);
		r->known = avail;
		in_order(); /* the copy counts from the next store on */
		r->copy = from;
	}
	settled(d);
	return e;
}

/* Whether a range may take two of the front-end's mappings: each of the others may take one. */
static bool has_room_for_two(const struct dax *d)
{
	uint32_t n = d->nranges + 1;

	for (uint32_t i = 0; i < d->nranges && d->cfg.max_mappings; i++)
		n += d->ranges[i].direct && d->ranges[i].copy < DAX_RANGE;
	return !d->cfg.max_mappings || n <= d->cfg.max_mappings;
}

/* The file's own pages, @len bytes of them. What the front-end refuses is not there. */
static int add_direct(
	struct dax *d, struct dax_range *r, const struct dax_file *f, uint32_t len, struct op_ctx *c)
{
	int e = len ? vmm_map(d, f->fd, r->file_off, window_off(d, r), len, c) : 0;

	if (!e)
		r->direct = len;
	settled(d);
	return e == -EREMOTEIO ? 0 : e;
}

int range_fill(struct dax *d, struct dax_range *r, struct dax_file *f, struct op_ctx *c)
{
	struct stat st;
	uint32_t avail, direct;
	int e = fstat(f->fd, &st) ? -errno : 0;

	if (e)
		return e;
	avail = extent((uint64_t)st.st_size, r->file_off);
	direct = f->claimed ? avail & ~(DAX_PAGE - 1) : 0;
	if (direct < avail && !has_room_for_two(d))
		direct = 0;
	e = add_direct(d, r, f, direct, c);
	if (e || r->direct == DAX_RANGE || (r->direct && r->direct == avail))
		return e;
	return add_copy(d, r, f, r->direct, avail, c);
}

static void forget_copy(struct dax *d, struct dax_range *r, const struct dax_file *f)
{
	uint64_t at = window_off(d, r) + r->copy;
	int e = 0;

	if (r->known > r->copy && !f->read_only)
		e = copy_sync(&d->copy, at, r->known - r->copy, f->fd, r->file_off + r->copy);
	if (e)
		log_limited("dax: changes of a file's end are lost: %s", strerrordesc_np(-e));
	copy_drop(&d->copy, at, DAX_RANGE - r->copy);
	r->copy = DAX_RANGE;
}

int range_empty(struct dax *d, struct dax_range *r, const struct dax_file *f, struct op_ctx *c)
{
	uint64_t at = window_off(d, r);
	int e = 0;

	if (r->copy < DAX_RANGE)
		e = vmm_unmap(d, at + r->copy, at + r->copy, DAX_RANGE - r->copy, c);
	if (!e && r->copy < DAX_RANGE)
		forget_copy(d, r, f);
	settled(d);
	if (e || !r->direct)
		return e;
	e = vmm_unmap(d, r->file_off, at, r->direct, c);
	if (!e)
		r->direct = 0;
	settled(d);
	return e;
}

bool range_is_empty(const struct dax_range *r)
{
	return !r->direct && r->copy == DAX_RANGE;
}

bool range_is_cut(const struct dax_range *r, const struct dax_file *f)
{
	return r->direct > extent(f->size, r->file_off);
}

int range_refill(struct dax *d, struct dax_range *r, struct dax_file *f, struct op_ctx *c)
{
	int e = range_empty(d, r, f, c);

	return e ? e : range_fill(d, r, f, c);
}

static uint64_t change_end(const struct op_change *change)
{
	return change->len > UINT64_MAX - change->off ? UINT64_MAX : change->off + change->len;
}

int range_sync(
	struct dax *d, const struct dax_range *r, const struct dax_file *f, const struct op_change *change)
{
	uint64_t end = change_end(change);
	uint64_t from = MAX(change->off, r->file_off + r->copy);
	uint64_t to = MIN(end, r->file_off + r->known);

	if (r->copy == DAX_RANGE || from >= to || f->read_only)
		return 0;
	return copy_sync(&d->copy, window_off(d, r) + (from - r->file_off), to - from, f->fd, from);
}

int range_reach(struct dax *d, struct dax_range *r, struct dax_file *f, const struct op_change *change,
	struct op_ctx *c)
{
	bool whole = r->copy < DAX_RANGE || r->direct == DAX_RANGE;

	if (range_is_empty(r))
		return range_fill(d, r, f, c);
	if (whole || !change->len || change_end(change) <= r->file_off + r->direct)
		return 0;
	return add_copy(d, r, f, r->direct, r->direct, c);
}

int range_follow(struct dax *d, struct dax_range *r, struct dax_file *f, const struct op_change *change,
	struct op_ctx *c)
{
	uint64_t end = change_end(change);
	uint32_t avail = extent(f->size, r->file_off);
	uint64_t from = MAX(change->off, r->file_off + r->copy);
	uint64_t to = MIN(end, r->file_off + avail);
	int e = 0;

	if (range_is_cut(r, f) || range_is_empty(r))
		return range_refill(d, r, f, c);
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

void range_forget(struct dax *d, struct dax_range *r, const struct dax_file *f)
{
	if (f && r->copy < DAX_RANGE)
		forget_copy(d, r, f);
	__atomic_store_n(&r->node, 0, __ATOMIC_RELEASE);
	in_order(); /* whoever has it next writes behind it */
}

int range_settle(struct dax *d)
{
	const struct dax_asked a = *d->asked;
	struct dax_range *r = &d->ranges[a.at / DAX_RANGE % d->nranges];
	uint32_t at = (uint32_t)(a.at % DAX_RANGE);
	struct dax_file *f = r->node ? file_of(d, r) : NULL;
	int e;

	if (!a.len)
		return 0;
	e = vmm_unmap(d, a.file_off, a.at, a.len, NULL);
	if (e)
		return e;
	if (f && r->copy < DAX_RANGE && at == r->copy)
		forget_copy(d, r, f);
	else if (!at && a.len == r->direct)
		r->direct = 0;
	settled(d);
	return 0;
}

int range_probe(struct dax *d)
{
	int e = vmm_map(d, d->copy.fd, 0, 0, DAX_RANGE, NULL);

	if (!e)
		e = vmm_unmap(d, 0, 0, DAX_RANGE, NULL);
	settled(d);
	return e;
}
