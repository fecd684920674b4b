/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests that sleep. One that waits for a lock keeps neither the queue's threads nor its stop: until it has
 * its lock it touches no guest memory, and then it comes by OP_BLOCK_ANSWER.
 */
#include "daemon/server.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "base/thread.h"
#include "base/tune.h"

/*
 * A waiting lock keeps a thread and descriptors of the ring for as long as it waits. Both are capped, or the
 * unlock that it awaits could never arrive: half of the ring is never theirs.
 */
static bool too_many_waiters(const struct queue *q, unsigned int ndesc)
{
	return q->lock_waiters >= MIN(q->max_lock_waiters, MAX(q->size / 4, 1)) ||
	       q->waiting_desc + ndesc > q->size / 2;
}

/* q->lock held. */
static void end_wait(struct server *s)
{
	struct queue *q = s->queue;

	s->waits = false;
	q->waiters--;
	if (s->lock) {
		q->lock_waiters--;
		q->waiting_desc -= s->ndesc;
	}
	s->lock = false;
}

/* q->lock held. */
static int begin_wait(struct server *s)
{
	struct queue *q = s->queue;

	if (s->abandoned || q->ends)
		return -EINTR;
	if (too_many_waiters(q, s->ndesc))
		return -ENOLCK;
	s->waits = s->lock = true;
	q->waiters++;
	q->lock_waiters++;
	q->waiting_desc += s->ndesc;
	if (server_hand_over(s)) {
		end_wait(s);
		return -ENOLCK;
	}
	if (!q->running)
		pthread_cond_broadcast(&q->rest);
	return 0;
}

/* q->lock held. The front-end answers some time, so there may be as many of them as come. */
static int begin_peer(struct server *s)
{
	struct queue *q = s->queue;

	if (s->abandoned || q->ends)
		return -EINTR;
	s->waits = true;
	q->waiters++;
	server_hand_over(s); /* if nobody can take the lead, the queue waits for this one request */
	if (!q->running)
		pthread_cond_broadcast(&q->rest);
	return 0;
}

/* q->lock held; once more until the queue runs. One that waited for the front-end ends also if another
 * request has to be alone (DESTROY): the stop of that one's queue, which may come ahead of our start, waits
 * for it. */
static void await_start(struct server *s)
{
	struct queue *q = s->queue;

	if (s->lock) {
		pthread_cond_wait(&q->runs, &q->lock);
		return;
	}
	thread_wait(&q->runs, &q->lock, clock_ns() + SERVER_CANCEL_NS);
	if (!q->running && fuse_worker_cancelled(s->worker))
		s->abandoned = true;
}

/* q->lock held. Guest memory is touched only while the queue runs, and what is written there is pushed before
 * it stops. */
static int await_run(struct server *s)
{
	struct queue *q = s->queue;

	if (s->leads && !q->running) /* nobody could take the lead */
		server_give_lead(s);
	while (!q->running && !s->abandoned)
		await_start(s);
	end_wait(s);
	return s->abandoned ? -ECANCELED : 0;
}

/* q->lock held. Another CPU may copy for the next request meanwhile: a thread is woken for that as long as
 * there are CPUs, and then who has copied first goes on. */
static void share(struct server *s)
{
	struct queue *q = s->queue;
	unsigned int cpus = MIN(cpus_mine(), SERVER_SPARE + 1);

	if (!tune.copy_share || !s->leads || !server_chain_waits(q))
		return;
	if (q->inflight - q->waiters < cpus)
		server_share(s);
	else
		server_lend(s);
}

int server_may_block(void *arg, enum op_block kind)
{
	struct server *s = arg;
	struct queue *q = s->queue;

	autolock(&q->lock);
	server_call_for_held(s);
	if (kind == OP_BLOCK_COPY)
		share(s);
	if (kind == OP_BLOCK_IO)
		server_hand_over(s); /* if nobody can take the lead, the queue waits for this one request */
	if (kind == OP_BLOCK_IO || kind == OP_BLOCK_LONG || kind == OP_BLOCK_COPY)
		return 0;
	if (kind == OP_BLOCK_PEER)
		return begin_peer(s);
	return kind == OP_BLOCK_LOCK ? begin_wait(s) : await_run(s);
}
