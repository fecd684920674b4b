/* SPDX-License-Identifier: BSD-3-Clause */
/* The split ring (virtio 1.2, 2.7). Indices run freely modulo 2^16. */
#include "virtio/track.h"

#include "base/arith.h"
#include "base/tune.h"
#include "virtio/chain.h"

#include <errno.h>

enum { AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };

/* Both rings: two words, the entries, and with EVENT_IDX one more word. */
struct avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[]; /* the used event follows */
};

#define FAR 0x8000 /* as far from a position as others can be */

struct used_elem {
	uint32_t id;
	uint32_t len;
};

struct used {
	uint16_t flags;
	uint16_t idx;
	struct used_elem ring[]; /* the available event follows */
};

static uint64_t avail_size(const struct vring_config *cfg)
{
	return sizeof(struct avail) + sizeof(uint16_t) * (cfg->size + (cfg->event_idx ? 1 : 0));
}

static uint64_t used_size(const struct vring_config *cfg)
{
	return sizeof(struct used) + sizeof(struct used_elem) * cfg->size + (cfg->event_idx ? 2 : 0);
}

static bool base_ok(const struct vring_config *cfg, uint32_t base)
{
	(void)cfg;
	return base <= UINT16_MAX;
}

static void set_flags(struct vring *vr, uint16_t flags)
{
	struct used *u = vr->at.used;

	vr->suppress = flags;
	store16(&u->flags, flags);
	ring_mark(vr, vr->used_gpa, 0, sizeof(u->flags));
}

/* What was taken and not given back before counts as in flight, unless the guest's used index makes no sense.
 */
static void begin(struct vring *vr, uint32_t base)
{
	const struct used *u = vr->at.used;
	uint16_t owed;

	vr->avail = vr->avail_seen = (uint16_t)base;
	vr->used = load16(&u->idx);
	owed = (uint16_t)(vr->avail - vr->used);
	vr->inflight = owed <= vr->cfg.size ? owed : 0;
	set_flags(vr, 0);
}

static uint32_t get_base(const struct vring *vr)
{
	return vr->avail;
}

/* How many chains the guest has made available that we have not taken. May be any number. */
static uint16_t waiting(struct vring *vr)
{
	const struct avail *a = vr->at.avail;

	vr->avail_seen = load16_acquire(&a->idx);
	return (uint16_t)(vr->avail_seen - vr->avail);
}

const char *split_walk(struct vring *vr, struct vring_chain *chain)
{
	struct table t = {.at = vr->at.desc, .n = vr->cfg.size};
	struct walk w = {.chain = chain};
	uint32_t left = t.n;
	uint32_t i = chain->id;
	const char *why;
	struct desc d;

	for (;;) {
		if (i >= t.n)
			return "a descriptor's index is out of range";
		if (!left--)
			return "it is a loop";
		if (!t.indirect)
			chain->ndesc++;
		why = table_read(vr, false, &t, i, &d);
		if (why)
			return why;
		if (d.flags & DESC_INDIRECT) {
			why = table_enter(vr, &t, &d);
			left = t.n;
			i = 0;
		} else {
			why = chain_add(vr, &w, &d);
			i = d.other;
		}
		if (why || !(d.flags & (DESC_NEXT | DESC_INDIRECT)))
			return why;
	}
}

/* The descriptor of the chain that is @i behind the next one, all of which are there. NULL: the guest errs.
 */
static const struct wire_desc *head(const struct vring *vr, uint16_t i)
{
	const struct avail *a = vr->at.avail;
	uint16_t id = load16(&a->ring[(vr->avail + i) & (vr->cfg.size - 1)]);

	return id < vr->cfg.size ? (const struct wire_desc *)vr->at.desc + id : NULL;
}

/* @n chains are there behind the one that was taken. */
static void look_ahead(struct vring *vr, uint16_t n)
{
	const struct wire_desc *first = head(vr, 0), *second, *third;

	if (first)
		ahead_pieces(vr, false, first);
	second = n > 1 ? head(vr, 1) : NULL;
	if (second)
		ahead_table(vr, false, second);
	third = n > 2 ? head(vr, 2) : NULL;
	if (third)
		__builtin_prefetch(third);
}

static int pop(struct vring *vr, struct vring_chain *chain, const char **why)
{
	const struct avail *a = vr->at.avail;
	uint16_t n = (uint16_t)(vr->avail_seen - vr->avail);

	if (!n)
		n = waiting(vr);
	if (!n)
		return 0;
	if (n > vr->cfg.size || vr->inflight + n > vr->cfg.size) {
		*why = "the available index runs ahead of the ring";
		return -EPROTO;
	}
	chain->id = load16(&a->ring[vr->avail & (vr->cfg.size - 1)]);
	*why = split_walk(vr, chain);
	if (*why)
		return -EPROTO;
	track_split_popped(vr, chain);
	vr->avail++;
	vr->inflight++;
	if (n > 1 && tune.look_ahead)
		look_ahead(vr, (uint16_t)(n - 1));
	return 1;
}

static void push(struct vring *vr, const struct vring_chain *chain, uint32_t written)
{
	struct used *u = vr->at.used;
	struct used_elem *e = &u->ring[vr->used & (vr->cfg.size - 1)];

	track_split_using(vr, chain);
	store32(&e->id, chain->id);
	store32(&e->len, written);
	ring_mark(vr, vr->used_gpa, (uint64_t)((char *)e - (char *)u), sizeof(*e));
	store16_release(&u->idx, ++vr->used);
	track_split_used(vr);
	ring_mark(vr, vr->used_gpa, offsetof(struct used, idx), sizeof(u->idx));
}

/* The fence orders the store of the used index before the loads of what the guest wants (2.7.7.2). */
static bool wants_call(struct vring *vr, uint32_t uncalled)
{
	const struct avail *a = vr->at.avail;

	fence();
	if (!vr->cfg.event_idx)
		return !(load16(&a->flags) & AVAIL_NO_INTERRUPT);
	if (uncalled > UINT16_MAX)
		return true;
	return event_passed(load16(&a->ring[vr->cfg.size]), vr->used, (uint16_t)(vr->used - uncalled));
}

static void set_event(struct vring *vr, uint16_t at, uint16_t suppress)
{
	struct used *u = vr->at.used;
	uint16_t *event = (uint16_t *)&u->ring[vr->cfg.size];

	vr->suppress = suppress;
	store16(event, at);
	ring_mark(vr, vr->used_gpa, (uint64_t)((char *)event - (char *)u), sizeof(*event));
}

/* The fence orders the store of our wish before the load of the available index (2.7.10.1). */
static bool want_kick(struct vring *vr)
{
	if (vr->cfg.event_idx) {
		set_event(vr, vr->avail, 0);
	} else if (vr->suppress) {
		set_flags(vr, 0);
	}
	fence();
	return waiting(vr) != 0;
}

/* With EVENT_IDX kicks are asked for at a position: none is near. */
static void no_kick(struct vring *vr)
{
	if (vr->suppress)
		return;
	if (!vr->cfg.event_idx)
		set_flags(vr, USED_NO_NOTIFY);
	else
		set_event(vr, (uint16_t)(vr->avail + FAR), USED_NO_NOTIFY);
}

static struct vring_watch watch(const struct vring *vr)
{
	const struct avail *a = vr->at.avail;

	return (struct vring_watch){.word = &a->idx, .mask = UINT16_MAX, .value = vr->avail};
}

const struct ring_ops ring_split = {
	.desc_align = 16,
	.avail_align = 2,
	.used_align = 4,
	.avail_size = avail_size,
	.used_size = used_size,
	.base_ok = base_ok,
	.begin = begin,
	.base = get_base,
	.pop = pop,
	.push = push,
	.wants_call = wants_call,
	.want_kick = want_kick,
	.no_kick = no_kick,
	.watch = watch,
};
