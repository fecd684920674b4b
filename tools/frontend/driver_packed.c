/* SPDX-License-Identifier: BSD-3-Clause */
/* Packed rings for driver.c. An ID is a buffer ID; only the last descriptor of a chain carries it. */
#include "driver_ring.h"

#include <errno.h>

#define F_AVAIL	   (1u << VRING_PACKED_DESC_F_AVAIL)
#define F_USED	   (1u << VRING_PACKED_DESC_F_USED)
#define WRAP_BIT   (1u << VRING_PACKED_EVENT_F_WRAP_CTR)
#define NOT_THE_ID 0x7fffu

void packed_reset(struct drv_queue *q, uint32_t base)
{
	struct vring_packed_desc *d = q->desc;

	q->avail_idx = q->kicked_idx = (uint16_t)(base & 0x7fff);
	q->avail_wrap = q->kicked_wrap = base & 0x8000;
	q->used_idx = (uint16_t)(base >> 16 & 0x7fff);
	q->used_wrap = base & 0x80000000u;
	/* Behind the position lies what an earlier lap left: used with this lap's counter; ahead, the lap
	 * before's. */
	for (unsigned int i = 0; i < q->cfg.size; i++) {
		bool wrap = i < q->avail_idx ? q->avail_wrap : !q->avail_wrap;

		d[i].flags = (uint16_t)(wrap ? F_AVAIL | F_USED : 0);
	}
	packed_no_call(q);
}

static uint16_t lap_flags(bool wrap)
{
	return (uint16_t)(wrap ? F_AVAIL : F_USED);
}

static void advance(struct drv_queue *q)
{
	if (++q->avail_idx == q->cfg.size) {
		q->avail_idx = 0;
		q->avail_wrap = !q->avail_wrap;
	}
}

static void fill_table(const struct chain *c)
{
	struct vring_packed_desc *d = c->table->host;

	for (unsigned int i = 0; i < c->total; i++) {
		uint16_t write = i >= c->nin ? VRING_DESC_F_WRITE : 0;

		d[i] = (struct vring_packed_desc){c->seg[i].gpa, c->seg[i].len, NOT_THE_ID, write};
	}
}

/* Writes one descriptor; the first one's flags make the whole chain visible and are returned for later. */
static uint16_t put(struct drv_queue *q, struct vring_packed_desc v, bool first)
{
	struct vring_packed_desc *d = (struct vring_packed_desc *)q->desc + q->avail_idx;
	uint16_t flags = (uint16_t)(v.flags | lap_flags(q->avail_wrap));

	d->addr = v.addr;
	d->len = v.len;
	d->id = v.id;
	if (!first)
		d->flags = flags;
	advance(q);
	return flags;
}

static uint16_t put_direct(struct drv_queue *q, const struct chain *c, uint16_t id)
{
	uint16_t head = 0;

	for (unsigned int i = 0; i < c->total; i++) {
		bool last = i + 1 == c->total;
		uint16_t flags = i >= c->nin ? VRING_DESC_F_WRITE : 0;
		struct vring_packed_desc d = {c->seg[i].gpa, c->seg[i].len, last ? id : NOT_THE_ID, flags};

		if (!last)
			d.flags |= VRING_DESC_F_NEXT;
		flags = put(q, d, i == 0);
		if (i == 0)
			head = flags;
	}
	return head;
}

void packed_add(struct drv_queue *q, const struct chain *c, void *cookie)
{
	struct vring_packed_desc *first = (struct vring_packed_desc *)q->desc + q->avail_idx;
	struct drv_slot *s = &q->slot[q->free_id];
	uint16_t id = q->free_id;
	uint16_t flags;

	if (c->table) {
		fill_table(c);
		flags = put(q,
			(struct vring_packed_desc){c->table->gpa, c->total * 16, id, VRING_DESC_F_INDIRECT},
			true);
	} else {
		flags = put_direct(q, c, id);
	}
	q->free_id = s->next;
	s->cookie = cookie;
	s->ndesc = (uint16_t)(c->table ? 1 : c->total);
	q->unkicked += s->ndesc;
	if (q->held && !q->held_flags) {
		q->held_flags = &first->flags;
		q->first_flags = flags;
	} else {
		__atomic_store_n(&first->flags, flags, __ATOMIC_RELEASE);
	}
}

void packed_publish(struct drv_queue *q)
{
	if (q->held_flags)
		__atomic_store_n(q->held_flags, q->first_flags, __ATOMIC_RELEASE);
	q->held_flags = NULL;
}

bool packed_kick_wanted(struct drv_queue *q)
{
	struct vring_packed_desc_event *ev = q->used;
	uint16_t flags = __atomic_load_n(&ev->flags, __ATOMIC_ACQUIRE);
	uint16_t off_wrap = __atomic_load_n(&ev->off_wrap, __ATOMIC_ACQUIRE);
	uint16_t old = (uint16_t)(q->avail_idx - q->unkicked);
	uint16_t event = off_wrap & (uint16_t)~WRAP_BIT;

	q->unkicked = 0;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	if (!(off_wrap & WRAP_BIT) == q->avail_wrap)
		event = (uint16_t)(event - q->cfg.size);
	return vring_need_event(event, q->avail_idx, old);
}

bool packed_ready(const struct drv_queue *q)
{
	struct vring_packed_desc *d = (struct vring_packed_desc *)q->desc + q->used_idx;
	uint16_t flags = __atomic_load_n(&d->flags, __ATOMIC_ACQUIRE);

	return !(flags & F_AVAIL) == !(flags & F_USED) && !(flags & F_USED) == !q->used_wrap;
}

int packed_get(struct drv_queue *q, void **cookie, uint32_t *len)
{
	struct vring_packed_desc *d = (struct vring_packed_desc *)q->desc + q->used_idx;
	struct drv_slot *s;

	if (!packed_ready(q))
		return 0;
	if (d->id >= q->cfg.size || !q->slot[d->id].ndesc)
		return -EPROTO;
	s = &q->slot[d->id];
	*cookie = s->cookie;
	*len = d->len;
	s->next = q->free_id;
	q->free_id = d->id;
	q->free_desc += s->ndesc;
	q->used_idx = (uint16_t)(q->used_idx + s->ndesc);
	s->ndesc = 0;
	if (q->used_idx >= q->cfg.size) {
		q->used_idx = (uint16_t)(q->used_idx - q->cfg.size);
		q->used_wrap = !q->used_wrap;
	}
	return 1;
}

void packed_want_call(struct drv_queue *q)
{
	struct vring_packed_desc_event *ev = q->avail;
	uint16_t flags = q->cfg.event_idx ? VRING_PACKED_EVENT_FLAG_DESC : VRING_PACKED_EVENT_FLAG_ENABLE;

	__atomic_store_n(
		&ev->off_wrap, (uint16_t)(q->used_idx | (q->used_wrap ? WRAP_BIT : 0)), __ATOMIC_RELAXED);
	__atomic_store_n(&ev->flags, flags, __ATOMIC_RELEASE);
}

void packed_no_call(struct drv_queue *q)
{
	struct vring_packed_desc_event *ev = q->avail;

	__atomic_store_n(&ev->flags, VRING_PACKED_EVENT_FLAG_DISABLE, __ATOMIC_RELAXED);
}
