/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a listing counts (READDIRPLUS): the inodes are noted in memory that outlives the process, one record a
 * listing in flight, so that the next process can take them back before it lists again. A worker keeps its
 * record until its next request: then its answer is in the ring. Where all are taken a listing counts
 * nothing. Threads: any; a record is its worker's alone.
 */
#include "fuse/internal.h"

#include "base/arith.h"
#include "base/order.h"

#define RECORDS 64 /* bits of listings.taken */
/* As many as fit into an answer, with names of a byte. */
#define NODES (LISTING_MAX / (sizeof(struct fuse_direntplus) + 8))

struct listing_record {
	uint64_t of; /* which intent's it is, and one; 0: nobody's */
	uint32_t n;  /* nodes that count */
	uint32_t spare;
	uint64_t node[NODES];
};

struct segment_plan fuse_listings_plan(void)
{
	return (struct segment_plan){.size = sizeof(struct listing_record), .count = RECORDS};
}

static struct listing_record *record_at(const struct listings *l, uint32_t i)
{
	return (struct listing_record *)l->records + i;
}

/* The intent's place, and one; 0: it outlives nothing. */
static uint64_t place_of(const struct listings *l, const struct op_intent *in)
{
	return in >= l->intents && in < l->intents + l->nintents ? (uint64_t)(in - l->intents) + 1 : 0;
}

/* An earlier process's record is free once the place in the ring that it was of has another request. */
static bool is_stale(const struct listings *l, uint32_t i)
{
	uint64_t of = record_at(l, i)->of;

	return !of || of > l->nintents || l->intents[of - 1].listing != i + 1;
}

void listings_init(struct listings *l, const struct segment *seg)
{
	*l = (struct listings){.records = segment_at(seg, SEGMENT_LISTINGS),
		.intents = segment_at(seg, SEGMENT_INTENTS),
		.nintents = segment_count(seg, SEGMENT_INTENTS)};
	if (segment_count(seg, SEGMENT_LISTINGS) < RECORDS)
		l->nintents = 0;
	for (uint32_t i = 0; i < RECORDS && seg->adopt && l->nintents; i++)
		l->old |= (uint64_t)(record_at(l, i)->n != 0) << i;
	l->taken = l->old;
}

static void give_back(struct listings *l, uint32_t i)
{
	record_at(l, i)->n = 0;
	atomic_fetch_and(&l->taken, ~(UINT64_C(1) << i));
}

/* True for one caller: an earlier process's record becomes his to give back. */
static bool inherit(struct listings *l, uint32_t i)
{
	return atomic_fetch_and(&l->old, ~(UINT64_C(1) << i)) >> i & 1;
}

static void reclaim(struct listings *l)
{
	uint64_t old = atomic_load(&l->old);

	for (uint32_t i = 0; i < RECORDS; i++)
		if (old >> i & 1 && is_stale(l, i) && inherit(l, i))
			give_back(l, i);
}

/* A record's number and one, 0 if all are taken. */
static uint32_t claim(struct listings *l)
{
	uint64_t taken = atomic_load(&l->taken);

	while (~taken) {
		uint32_t i = (uint32_t)__builtin_ctzll(~taken);

		if (atomic_compare_exchange_weak(&l->taken, &taken, taken | UINT64_C(1) << i))
			return i + 1;
	}
	return 0;
}

bool listing_begin(struct fuse_req *rq)
{
	struct listings *l = &rq->s->listings;
	struct op_intent *in = rq->w->ctx.intent;
	uint64_t of = place_of(l, in);
	struct listing_record *rec;

	if (!of)
		return true; /* nobody will run it again */
	rq->w->listing = claim(l);
	if (!rq->w->listing) {
		reclaim(l);
		rq->w->listing = claim(l);
	}
	if (!rq->w->listing)
		return false;
	rec = record_at(l, rq->w->listing - 1);
	rec->n = 0;
	rec->of = of;
	in_order();
	in->listing = rq->w->listing;
	return true;
}

bool listing_has_room(const struct fuse_req *rq)
{
	return !rq->w->listing || record_at(&rq->s->listings, rq->w->listing - 1)->n < NODES;
}

void listing_counted(struct fuse_req *rq, struct nodeid node)
{
	struct listing_record *rec;

	if (!rq->w->listing)
		return;
	rec = record_at(&rq->s->listings, rq->w->listing - 1);
	rec->node[rec->n] = node.v;
	op_counted(&rq->w->ctx, (struct nodeid){0});
	rec->n++;
	in_order();
}

void listing_take_back(struct fuse_req *rq)
{
	struct listings *l = &rq->s->listings;
	struct op_intent *in = rq->w->ctx.intent;
	struct listing_record *rec;
	uint32_t i = in->listing - 1;

	if (i >= RECORDS || !place_of(l, in))
		return;
	rec = record_at(l, i);
	if (rec->of != place_of(l, in) || !inherit(l, i))
		return;
	for (uint32_t n = MIN(rec->n, (uint32_t)NODES); n; n--) {
		rec->n = n - 1;
		in_order();
		rq->s->ops->forget(rq->s->fs, (struct nodeid){rec->node[n - 1]}, 1);
	}
	in->listing = 0;
	give_back(l, i);
}

void listing_end(struct fuse_worker *w)
{
	if (w->listing)
		give_back(&w->session->listings, w->listing - 1);
	w->listing = 0;
}
