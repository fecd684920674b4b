/* SPDX-License-Identifier: BSD-3-Clause */
/* In-flight records (track.h): structures of the vhost-user specification, "Inflight I/O tracking". */
#include "virtio/track.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1

struct split_entry {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next; /* in the list of the last batch */
	uint64_t counter;
};

struct split_region {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t last_batch_head;
	uint16_t used_idx;
	struct split_entry desc[];
};

struct packed_entry {
	uint8_t inflight;
	uint8_t padding;
	uint16_t next; /* in the free list or the chain; desc_num or more ends the free list */
	uint16_t last; /* of a head: the chain's last entry */
	uint16_t num;  /* of a head: entries of the chain */
	uint64_t counter;
	uint16_t id;
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

struct packed_region {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t free_head;
	uint16_t old_free_head;
	uint16_t used_idx;
	uint16_t old_used_idx;
	uint8_t used_wrap_counter;
	uint8_t old_used_wrap_counter;
	uint8_t padding[7];
	struct packed_entry desc[];
};

_Static_assert(sizeof(struct split_entry) == 16 && sizeof(struct split_region) == 16, "split region");
_Static_assert(sizeof(struct packed_entry) == 32 && sizeof(struct packed_region) == 32, "packed region");

/* The memory may be the front-end's, who may change it at any time: what matters is loaded once, then
 * checked. */
#define LOAD(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

uint64_t vring_track_size(bool packed, uint32_t size)
{
	return packed ? sizeof(struct packed_region) + (uint64_t)size * sizeof(struct packed_entry)
		      : sizeof(struct split_region) + (uint64_t)size * sizeof(struct split_entry);
}

static struct split_region *split_of(const struct vring *vr)
{
	return vr->cfg.track;
}

static struct packed_region *packed_of(const struct vring *vr)
{
	return vr->cfg.track;
}

static bool is_inflight(const struct vring *vr, uint32_t i)
{
	return vr->cfg.packed ? LOAD(packed_of(vr)->desc[i].inflight) : LOAD(split_of(vr)->desc[i].inflight);
}

static uint64_t number_of(const struct vring *vr, uint32_t i)
{
	return vr->cfg.packed ? LOAD(packed_of(vr)->desc[i].counter) : LOAD(split_of(vr)->desc[i].counter);
}

static void reset_split(struct vring *vr)
{
	struct split_region *t = split_of(vr);

	t->version = 0;
	in_order();
	t->desc_num = (uint16_t)vr->cfg.size;
	t->used_idx = vr->used;
	for (uint32_t i = 0; i < vr->cfg.size; i++)
		t->desc[i] = (struct split_entry){0};
	in_order();
	t->version = VERSION;
}

static void reset_packed(struct vring *vr)
{
	struct packed_region *t = packed_of(vr);

	t->version = 0;
	in_order();
	t->desc_num = (uint16_t)vr->cfg.size;
	t->free_head = t->old_free_head = 0;
	t->used_idx = t->old_used_idx = vr->used;
	t->used_wrap_counter = t->old_used_wrap_counter = vr->used_wrap;
	for (uint32_t i = 0; i < vr->cfg.size; i++)
		t->desc[i] = (struct packed_entry){.next = (uint16_t)(i + 1)};
	in_order();
	t->version = VERSION;
}

void track_forget(struct vring *vr)
{
	track_stop(vr);
	if (!vr->cfg.track)
		return;
	if (vr->cfg.packed)
		reset_packed(vr);
	else
		reset_split(vr);
}

/* The used index may have been stored, and what follows it not. */
static void settle_split(struct vring *vr)
{
	struct split_region *t = split_of(vr);
	uint16_t batch = (uint16_t)(vr->used - LOAD(t->used_idx));
	uint16_t i = LOAD(t->last_batch_head);

	for (; batch && i < vr->cfg.size; batch--) {
		t->desc[i].inflight = 0;
		i = LOAD(t->desc[i].next);
	}
	in_order();
	t->used_idx = vr->used;
	in_order();
}

/* True if the slot where the next used descriptor belongs is as the guest made it available. */
static bool is_available(const struct vring *vr, uint16_t at, bool wrap)
{
	uint16_t flags = at < vr->cfg.size ? packed_slot_flags(vr, at) : 0;

	return !(flags & DESC_AVAIL) != wrap && !(flags & DESC_USED) == wrap;
}

/* Where the ring's used position is, and what was free then. */
struct position {
	uint16_t used, free_head;
	bool wrap;
};

/* The position goes last: where the old one is the new one, nothing is left to be done. */
static struct position settle_packed(struct vring *vr)
{
	struct packed_region *t = packed_of(vr);
	struct position now = {LOAD(t->used_idx), LOAD(t->free_head), LOAD(t->used_wrap_counter)};
	struct position old = {LOAD(t->old_used_idx), LOAD(t->old_free_head), LOAD(t->old_used_wrap_counter)};
	bool moved = now.used != old.used || now.wrap != old.wrap;
	uint32_t left = vr->cfg.size;

	if (moved && !is_available(vr, old.used, old.wrap))
		old = now;
	t->free_head = t->old_free_head = old.free_head;
	in_order();
	t->used_idx = t->old_used_idx = old.used;
	t->used_wrap_counter = t->old_used_wrap_counter = old.wrap;
	in_order();
	for (uint16_t i = old.free_head; i < vr->cfg.size && left; i = LOAD(t->desc[i].next), left--)
		t->desc[i].inflight = 0;
	return old;
}

struct numbered {
	uint64_t number;
	uint16_t slot;
};

static int by_number(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* Notes what is to be run again, in its order. Descriptors of the ring that it takes, or -ENOMEM. */
static int64_t collect(struct vring *vr)
{
	autofree struct numbered *all = calloc(vr->cfg.size, sizeof(*all));
	uint32_t units = 0;

	vr->resume = calloc(vr->cfg.size, sizeof(*vr->resume));
	if (!vr->resume || !all)
		return -ENOMEM;
	for (uint32_t i = 0; i < vr->cfg.size; i++) {
		if (!is_inflight(vr, i))
			continue;
		all[vr->resume_n] = (struct numbered){number_of(vr, i), (uint16_t)i};
		units += vr->cfg.packed ? LOAD(packed_of(vr)->desc[i].num) : 1;
		vr->number = MAX(vr->number, all[vr->resume_n].number);
		vr->resume_n++;
	}
	qsort(all, vr->resume_n, sizeof(*all), by_number);
	for (uint32_t i = 0; i < vr->resume_n; i++)
		vr->resume[i] = all[i].slot;
	return units;
}

static int resume_all(struct vring *vr, uint32_t base)
{
	struct position at = {0};
	int64_t units;

	if (vr->cfg.packed)
		at = settle_packed(vr);
	else
		settle_split(vr);
	units = collect(vr);
	if (units < 0)
		return (int)units;
	if (units > vr->cfg.size || at.used >= vr->cfg.size) { /* no records of this ring */
		track_forget(vr);
		return 0;
	}
	vr->inflight = (uint32_t)units;
	if (vr->cfg.packed)
		packed_positions(vr, at.used, at.wrap, (uint32_t)units);
	else
		vr->avail = vr->avail_seen = (uint16_t)(vr->used + units);
	if (vr->cfg.track_mode == VRING_TRACK_SAME && vr->ops->base(vr) != base) {
		vr->ops->begin(vr, base);
		track_forget(vr);
	}
	return 0;
}

static bool is_of_size(const void *track, bool packed, uint32_t size)
{
	const struct packed_region *p = track;
	const struct split_region *s = track;

	return packed ? LOAD(p->version) == VERSION && LOAD(p->desc_num) == size
		      : LOAD(s->version) == VERSION && LOAD(s->desc_num) == size;
}

static bool is_of_ring(const struct vring *vr)
{
	return is_of_size(vr->cfg.track, vr->cfg.packed, vr->cfg.size);
}

/* What was used last is in the ring's memory if it is split; of a packed one only the base tells. */
static bool is_where_it_was(const struct vring *vr, uint32_t base)
{
	const struct packed_region *p = vr->cfg.track;

	if (!vr->cfg.packed)
		return (uint16_t)(vr->used - LOAD(split_of(vr)->used_idx)) <= 1 &&
		       (uint16_t)(base - vr->used) <= vr->cfg.size;
	return (LOAD(p->used_idx) == vr->used && !LOAD(p->used_wrap_counter) == !vr->used_wrap) ||
	       (LOAD(p->old_used_idx) == vr->used && !LOAD(p->old_used_wrap_counter) == !vr->used_wrap);
}

static bool begins_new(const struct vring *vr, uint32_t base)
{
	return vr->cfg.track_mode == VRING_TRACK_NEW || !is_of_ring(vr) ||
	       (vr->cfg.track_mode == VRING_TRACK_AGAIN && !is_where_it_was(vr, base));
}

int track_start(struct vring *vr, uint32_t base)
{
	if (!vr->cfg.track)
		return 0;
	vr->number = clock_ns(); /* none was given before, here or elsewhere */
	if (begins_new(vr, base)) {
		track_forget(vr);
		return 0;
	}
	if (vr->cfg.track_mode != VRING_TRACK_KEEP)
		return resume_all(vr, base);
	for (uint32_t i = 0; i < vr->cfg.size; i++)
		vr->number = MAX(vr->number, is_inflight(vr, i) ? number_of(vr, i) : 0);
	return 0;
}

void track_stop(struct vring *vr)
{
	free(vr->resume);
	vr->resume = NULL;
	vr->resume_n = vr->resume_at = 0;
}

void track_split_popped(struct vring *vr, struct vring_chain *chain)
{
	struct split_region *t = split_of(vr);

	if (!t)
		return;
	chain->slot = chain->id;
	chain->number = ++vr->number;
	t->desc[chain->id].counter = chain->number;
	in_order();
	t->desc[chain->id].inflight = 1;
}

void track_split_using(struct vring *vr, const struct vring_chain *chain)
{
	struct split_region *t = split_of(vr);

	if (!t)
		return;
	t->desc[chain->id].next = t->last_batch_head;
	t->last_batch_head = chain->id;
	in_order();
}

void track_split_used(struct vring *vr)
{
	if (!split_of(vr))
		return;
	in_order();
	settle_split(vr);
}

void track_packed_desc(struct vring *vr, struct vring_chain *chain, const struct desc *d)
{
	struct packed_region *t = packed_of(vr);
	struct packed_entry *head, *e;
	uint16_t first, at;

	if (!t)
		return;
	first = chain->ndesc == 1 ? LOAD(t->old_free_head) : chain->slot;
	at = LOAD(t->free_head);
	if (first >= vr->cfg.size || at >= vr->cfg.size)
		return;
	head = &t->desc[first];
	e = &t->desc[at];
	if (chain->ndesc == 1) {
		chain->slot = first;
		chain->number = ++vr->number;
		head->num = 0;
		head->counter = chain->number;
		in_order();
		head->inflight = 1;
	}
	head->last = at;
	head->num++;
	e->addr = d->addr.v;
	e->len = d->len;
	e->flags = d->flags;
	e->id = d->other;
	in_order();
	t->free_head = LOAD(e->next);
}

void track_packed_popped(struct vring *vr)
{
	struct packed_region *t = packed_of(vr);

	if (!t)
		return;
	in_order();
	t->old_free_head = t->free_head;
}

void track_packed_using(struct vring *vr, const struct vring_chain *chain, uint16_t used, bool wrap)
{
	struct packed_region *t = packed_of(vr);
	uint16_t last;

	if (!t)
		return;
	last = LOAD(t->desc[chain->slot].last);
	if (last < vr->cfg.size)
		t->desc[last].next = t->free_head;
	t->free_head = chain->slot;
	t->used_wrap_counter = wrap;
	t->used_idx = used;
	in_order();
}

void track_packed_used(struct vring *vr, const struct vring_chain *chain)
{
	struct packed_region *t = packed_of(vr);

	if (!t)
		return;
	in_order();
	t->desc[chain->slot].inflight = 0;
	t->old_free_head = t->free_head;
	in_order();
	t->old_used_idx = t->used_idx;
	t->old_used_wrap_counter = t->used_wrap_counter;
	in_order();
}

static const char *resume_packed(struct vring *vr, struct vring_chain *chain)
{
	struct packed_region *t = packed_of(vr);
	unsigned int num = LOAD(t->desc[chain->slot].num);
	uint16_t i = chain->slot;
	const char *why = "its record is none";
	struct desc *d;

	if (!num || num > vr->cfg.size)
		return why;
	d = calloc(num, sizeof(*d));
	for (unsigned int n = 0; d && n < num; n++) {
		const struct packed_entry *e = &t->desc[i];

		d[n] = (struct desc){.addr = {LOAD(e->addr)},
			.len = LOAD(e->len),
			.flags = LOAD(e->flags),
			.other = LOAD(e->id)};
		i = LOAD(e->next);
		if (n + 1 < num && i >= vr->cfg.size)
			num = 0;
	}
	if (d && num)
		why = packed_walk_noted(vr, chain, d, num);
	free(d);
	return why;
}

int track_resume(struct vring *vr, struct vring_chain *chain, const char **why)
{
	if (vr->resume_at == vr->resume_n)
		return 0;
	chain->resumed = true;
	chain->slot = vr->resume[vr->resume_at++];
	chain->number = number_of(vr, chain->slot);
	chain->id = chain->slot;
	*why = vr->cfg.packed ? resume_packed(vr, chain) : split_walk(vr, chain);
	return *why ? -EPROTO : 1;
}

bool vring_track_any(const void *track, bool packed, uint32_t size)
{
	uint64_t number;

	for (uint32_t i = 0; i < size && is_of_size(track, packed, size); i++)
		if (vring_track_at(track, packed, i, &number))
			return true;
	return false;
}

bool vring_track_at(const void *track, bool packed, uint32_t i, uint64_t *number)
{
	const struct packed_region *p = track;
	const struct split_region *s = track;

	*number = packed ? LOAD(p->desc[i].counter) : LOAD(s->desc[i].counter);
	return packed ? LOAD(p->desc[i].inflight) : LOAD(s->desc[i].inflight);
}
