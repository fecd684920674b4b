/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packed ring (virtio 1.2, 2.8). One ring of descriptors, which the guest makes available and we
 * overwrite as used, each side with a position and a wrap counter that flips where the position passes the
 * end.
 */
#include "virtio/track.h"

#include "base/arith.h"
#include "base/tune.h"
#include "virtio/chain.h"

#include <errno.h>

enum { EVENT_ENABLE, EVENT_DISABLE, EVENT_DESC }; /* flags of an event suppression area */

#define WRAP_BIT (1U << 15)
#define NEW_RING (WRAP_BIT | WRAP_BIT << 16)

/* The ring's own descriptors are aligned, so their parts can be loaded and stored each as one. */
struct slot {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

/* An event suppression area. The guest's is loaded as one word. */
struct event {
	uint16_t off_wrap;
	uint16_t flags;
};

static uint64_t event_size(const struct vring_config *cfg)
{
	(void)cfg;
	return sizeof(struct event);
}

/* Available and used position of a base, each with its wrap counter in bit 15. */
static uint16_t base_avail(uint32_t base)
{
	return (uint16_t)base;
}

static uint16_t base_used(uint32_t base)
{
	return (uint16_t)(base >> 16);
}

/* Both lie in the ring, and from used to available it is at most one round. */
static bool base_ok(const struct vring_config *cfg, uint32_t base)
{
	uint32_t avail = base_avail(base) & ~WRAP_BIT;
	uint32_t used = base_used(base) & ~WRAP_BIT;
	bool same_round = !((base_avail(base) ^ base_used(base)) & WRAP_BIT);

	return avail < cfg->size && used < cfg->size && (same_round ? used <= avail : avail <= used);
}

static void set_event(struct vring *vr, uint16_t flags, uint16_t off_wrap)
{
	struct event *e = vr->at.used;

	vr->suppress = flags;
	store16(&e->off_wrap, off_wrap);
	store16_release(&e->flags, flags);
	ring_mark(vr, vr->used_gpa, 0, sizeof(*e));
}

/*
 * User-Mode Linux says base 0 for a new ring, where both wrap counters should be 1. Taken literally, 0 is the
 * end of a round with wrap counters 1, which leaves used descriptors of that round behind; a new ring has
 * none.
 */
static bool is_new(const struct vring *vr)
{
	const struct slot *ring = vr->at.desc;

	for (uint32_t i = 0; i < vr->cfg.size; i++) {
		uint16_t flags = load16(&ring[i].flags);

		if (flags & DESC_AVAIL && flags & DESC_USED)
			return false;
	}
	return true;
}

/* What was taken and not given back before counts as in flight. */
static void begin(struct vring *vr, uint32_t base)
{
	if (!base && is_new(vr))
		base = NEW_RING;
	vr->avail = base_avail(base) & (uint16_t)~WRAP_BIT;
	vr->avail_wrap = base_avail(base) & WRAP_BIT;
	vr->used = base_used(base) & (uint16_t)~WRAP_BIT;
	vr->used_wrap = base_used(base) & WRAP_BIT;
	vr->inflight = vr->avail - vr->used + (vr->avail_wrap == vr->used_wrap ? 0 : vr->cfg.size);
	set_event(vr, EVENT_ENABLE, 0);
}

static uint16_t with_wrap(uint16_t pos, bool wrap)
{
	return (uint16_t)(pos | (wrap ? WRAP_BIT : 0));
}

static uint32_t get_base(const struct vring *vr)
{
	return with_wrap(vr->avail, vr->avail_wrap) | (uint32_t)with_wrap(vr->used, vr->used_wrap) << 16;
}

/* Moves a position @n slots on. */
static void advance(const struct vring *vr, uint16_t *pos, bool *wrap, uint32_t n)
{
	uint32_t to = *pos + n;

	if (to >= vr->cfg.size) {
		to -= vr->cfg.size;
		*wrap = !*wrap;
	}
	*pos = (uint16_t)to;
}

/* True if the guest has made the next descriptor available. Everything of it was written before its flags. */
static bool waiting_at(const struct vring *vr, uint16_t at, bool wrap)
{
	const struct slot *ring = vr->at.desc;
	uint16_t flags = load16_acquire(&ring[at].flags);

	return !(flags & DESC_AVAIL) != wrap && !(flags & DESC_USED) == wrap;
}

static bool waiting(const struct vring *vr)
{
	return waiting_at(vr, vr->avail, vr->avail_wrap);
}

/* The entries of an indirect table follow each other; of their flags only WRITE means something (2.8.7), and
 * INDIRECT must not be there. */
static const char *walk_table(struct vring *vr, struct walk *w, struct table *t)
{
	const char *why = NULL;
	struct desc d;

	for (uint32_t i = 0; i < t->n && !why; i++) {
		why = table_read(vr, true, t, i, &d);
		if (!why && d.flags & DESC_INDIRECT)
			why = "an indirect table refers to another";
		if (!why)
			why = chain_add(vr, w, &d);
	}
	return why;
}

uint16_t packed_slot_flags(const struct vring *vr, uint16_t at)
{
	const struct slot *ring = vr->at.desc;

	return load16_acquire(&ring[at].flags);
}

void packed_positions(struct vring *vr, uint16_t used, bool wrap, uint32_t units)
{
	vr->used = vr->avail = used;
	vr->used_wrap = vr->avail_wrap = wrap;
	advance(vr, &vr->avail, &vr->avail_wrap, units);
}

/* One descriptor of the ring. *last: the chain ends here. */
static const char *add(struct vring *vr, struct walk *w, const struct desc *d, bool *last)
{
	struct vring_chain *chain = w->chain;
	struct table t = {.at = vr->at.desc, .n = vr->cfg.size};
	const char *why;

	chain->id = d->other;
	chain->ndesc++;
	*last = !(d->flags & DESC_NEXT) || d->flags & DESC_INDIRECT;
	if (!(d->flags & DESC_INDIRECT))
		return chain_add(vr, w, d);
	if (chain->ndesc > 1)
		return "an indirect descriptor follows another";
	why = table_enter(vr, &t, d);
	return why ? why : walk_table(vr, w, &t);
}

const char *packed_walk_noted(
	struct vring *vr, struct vring_chain *chain, const struct desc *d, unsigned int n)
{
	struct walk w = {.chain = chain};
	const char *why = NULL;
	bool last = false;

	for (unsigned int i = 0; i < n && !why && !last; i++)
		why = add(vr, &w, &d[i], &last);
	return why;
}

static const char *walk(struct vring *vr, struct vring_chain *chain)
{
	struct table t = {.at = vr->at.desc, .n = vr->cfg.size};
	struct walk w = {.chain = chain};
	uint32_t room = vr->cfg.size - vr->inflight;
	uint32_t i = vr->avail;
	const char *why = NULL;
	bool last = false;
	struct desc d;

	while (!last && !why) {
		if (chain->ndesc == room)
			return "it takes more descriptors than the ring has left";
		why = table_read(vr, true, &t, i, &d);
		if (!why)
			why = add(vr, &w, &d, &last);
		if (!why)
			track_packed_desc(vr, chain, &d);
		i = i + 1 == t.n ? 0 : i + 1;
	}
	return why;
}

/* At the next slot and the one behind it. */
static void look_ahead(struct vring *vr)
{
	const struct wire_desc *ring = vr->at.desc;
	uint16_t at = vr->avail;
	bool wrap = vr->avail_wrap;

	if (!waiting(vr))
		return;
	ahead_pieces(vr, true, ring + at);
	advance(vr, &at, &wrap, 1);
	if (waiting_at(vr, at, wrap))
		ahead_table(vr, true, ring + at);
}

static int pop(struct vring *vr, struct vring_chain *chain, const char **why)
{
	if (!waiting(vr))
		return 0;
	*why = walk(vr, chain);
	if (*why)
		return -EPROTO;
	track_packed_popped(vr);
	advance(vr, &vr->avail, &vr->avail_wrap, chain->ndesc);
	vr->inflight += chain->ndesc;
	if (tune.look_ahead)
		look_ahead(vr);
	return 1;
}

/* A used descriptor takes the next slot in the ring, whichever slots the chain came from, and skips as many.
 */
static void push(struct vring *vr, const struct vring_chain *chain, uint32_t written)
{
	struct slot *ring = vr->at.desc;
	struct slot *d = &ring[vr->used];
	uint16_t flags = vr->used_wrap ? DESC_AVAIL | DESC_USED : 0;
	uint16_t used = vr->used;
	bool wrap = vr->used_wrap;

	advance(vr, &used, &wrap, chain->ndesc);
	track_packed_using(vr, chain, used, wrap);
	store32(&d->len, written);
	store16(&d->id, chain->id);
	store16_release(&d->flags, written ? flags | DESC_WRITE : flags);
	track_packed_used(vr, chain);
	ring_mark(vr, vr->desc_gpa, (uint64_t)((char *)d - (char *)ring), sizeof(*d));
	vr->used = used;
	vr->used_wrap = wrap;
}

/*
 * The fence orders the stores of used descriptors before the load of what the guest wants. An event in the
 * other round is taken for the last one's; for one of the next round that is a call too many at worst.
 */
static bool wants_call(struct vring *vr, uint32_t uncalled)
{
	uint32_t word, off;

	fence();
	word = load32_acquire(vr->at.avail);
	if (word >> 16 == EVENT_DISABLE)
		return false;
	if (word >> 16 != EVENT_DESC || !vr->cfg.event_idx || uncalled >= vr->cfg.size)
		return true;
	off = word & ~WRAP_BIT & UINT16_MAX;
	if (!(word & WRAP_BIT) == vr->used_wrap)
		off -= vr->cfg.size;
	return event_passed((uint16_t)off, vr->used, (uint16_t)(vr->used - uncalled));
}

/* The fence orders the store of our wish before the load of the next descriptor's flags. */
static bool want_kick(struct vring *vr)
{
	if (vr->cfg.event_idx)
		set_event(vr, EVENT_DESC, with_wrap(vr->avail, vr->avail_wrap));
	else if (vr->suppress != EVENT_ENABLE)
		set_event(vr, EVENT_ENABLE, 0);
	fence();
	return waiting(vr);
}

static void no_kick(struct vring *vr)
{
	if (vr->suppress != EVENT_DISABLE)
		set_event(vr, EVENT_DISABLE, 0);
}

static struct vring_watch watch(const struct vring *vr)
{
	const struct slot *ring = vr->at.desc;

	return (struct vring_watch){.word = &ring[vr->avail].flags,
		.mask = DESC_AVAIL | DESC_USED,
		.value = vr->avail_wrap ? DESC_AVAIL : DESC_USED,
		.equal = true};
}

const struct ring_ops ring_packed = {
	.desc_align = 16,
	.avail_align = 4,
	.used_align = 4,
	.avail_size = event_size,
	.used_size = event_size,
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
