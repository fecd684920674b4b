/* SPDX-License-Identifier: BSD-3-Clause */
/* Split rings for driver.c. An ID is the head's index. */
#include "driver_ring.h"

#include <errno.h>

static uint16_t *avail_idx(const struct drv_queue *q)
{
	return &((struct vring_avail *)q->avail)->idx;
}

static uint16_t *used_event(const struct drv_queue *q)
{
	return &((struct vring_avail *)q->avail)->ring[q->cfg.size];
}

static uint16_t *avail_event(const struct drv_queue *q)
{
	struct vring_used *u = q->used;

	return (uint16_t *)(void *)&u->ring[q->cfg.size];
}

void split_reset(struct drv_queue *q, uint32_t base)
{
	struct vring_used *u = q->used;

	q->avail_idx = q->kicked_idx = q->used_idx = (uint16_t)base;
	*avail_idx(q) = q->avail_idx;
	u->idx = q->used_idx;
	if (q->cfg.event_idx) /* as the device that came this far left it */
		*avail_event(q) = q->avail_idx;
	split_no_call(q);
}

static void fill_table(const struct chain *c)
{
	struct vring_desc *d = c->table->host;

	for (unsigned int i = 0; i < c->total; i++) {
		uint16_t next = i + 1 < c->total ? VRING_DESC_F_NEXT : 0;
		uint16_t write = i >= c->nin ? VRING_DESC_F_WRITE : 0;

		d[i] = (struct vring_desc){c->seg[i].gpa, c->seg[i].len, next | write, (uint16_t)(i + 1)};
	}
}

static uint16_t add_direct(struct drv_queue *q, const struct chain *c, uint16_t id)
{
	struct vring_desc *d = q->desc;

	for (unsigned int i = 0; i < c->total; i++) {
		uint16_t flags = i >= c->nin ? VRING_DESC_F_WRITE : 0;
		uint16_t next = q->slot[id].next;

		if (i + 1 < c->total)
			flags |= VRING_DESC_F_NEXT;
		d[id] = (struct vring_desc){c->seg[i].gpa, c->seg[i].len, flags, next};
		id = next;
	}
	return id;
}

static uint16_t add_indirect(struct drv_queue *q, const struct chain *c, uint16_t id)
{
	struct vring_desc *d = q->desc;

	fill_table(c);
	d[id] = (struct vring_desc){c->table->gpa, c->total * 16, VRING_DESC_F_INDIRECT, 0};
	return q->slot[id].next;
}

void split_add(struct drv_queue *q, const struct chain *c, void *cookie)
{
	struct vring_avail *a = q->avail;
	uint16_t head = q->free_id;

	q->free_id = c->table ? add_indirect(q, c, head) : add_direct(q, c, head);
	q->slot[head].cookie = cookie;
	q->slot[head].ndesc = (uint16_t)(c->table ? 1 : c->total);
	a->ring[q->avail_idx % q->cfg.size] = head;
	q->avail_idx++;
	if (!q->held)
		split_publish(q);
}

void split_publish(struct drv_queue *q)
{
	__atomic_store_n(avail_idx(q), q->avail_idx, __ATOMIC_RELEASE);
}

bool split_kick_wanted(struct drv_queue *q)
{
	struct vring_used *u = q->used;
	uint16_t old = q->kicked_idx;

	q->kicked_idx = q->avail_idx;
	if (q->cfg.event_idx)
		return vring_need_event(__atomic_load_n(avail_event(q), __ATOMIC_ACQUIRE), q->avail_idx, old);
	return !(__atomic_load_n(&u->flags, __ATOMIC_ACQUIRE) & VRING_USED_F_NO_NOTIFY);
}

bool split_ready(const struct drv_queue *q)
{
	struct vring_used *u = q->used;

	return __atomic_load_n(&u->idx, __ATOMIC_ACQUIRE) != q->used_idx;
}

/* Puts the chain's descriptors in front of the free ones. */
static void give_back(struct drv_queue *q, uint16_t head)
{
	struct drv_slot *s = &q->slot[head];
	uint16_t last = head;

	for (unsigned int i = 1; i < s->ndesc; i++)
		last = q->slot[last].next;
	q->slot[last].next = q->free_id;
	q->free_id = head;
	q->free_desc += s->ndesc;
	s->ndesc = 0;
}

int split_get(struct drv_queue *q, void **cookie, uint32_t *len)
{
	struct vring_used *u = q->used;
	struct vring_used_elem *e = &u->ring[q->used_idx % q->cfg.size];

	if (!split_ready(q))
		return 0;
	if (e->id >= q->cfg.size || !q->slot[e->id].ndesc)
		return -EPROTO;
	*cookie = q->slot[e->id].cookie;
	*len = e->len;
	give_back(q, (uint16_t)e->id);
	q->used_idx++;
	return 1;
}

void split_want_call(struct drv_queue *q)
{
	struct vring_avail *a = q->avail;

	__atomic_store_n(&a->flags, 0, __ATOMIC_RELAXED);
	if (q->cfg.event_idx)
		__atomic_store_n(used_event(q), q->used_idx, __ATOMIC_RELAXED);
}

void split_no_call(struct drv_queue *q)
{
	struct vring_avail *a = q->avail;

	if (!q->cfg.event_idx)
		__atomic_store_n(&a->flags, VRING_AVAIL_F_NO_INTERRUPT, __ATOMIC_RELAXED);
	else /* an index that is not reached for a whole ring */
		__atomic_store_n(used_event(q), (uint16_t)(q->used_idx - 1), __ATOMIC_RELAXED);
}
