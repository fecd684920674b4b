/* SPDX-License-Identifier: BSD-3-Clause */
/* What the control thread and the watch do with a queue. */
#include "daemon/server.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define WAITERS_DEFAULT 256 /* each is a thread */

/*
 * The leader's requests come one after the other: if none has begun since, it is at the same one. A guest
 * whose CPU is emulated without memory barriers (QEMU before 8.1 with one CPU and without KVM) may overlook
 * that a kick is wanted, if it adds a chain in the very moment in which the leader lies down.
 */
bool queue_look(struct queue *q)
{
	struct server *s;
	bool same, unkicked;

	autolock(&q->lock);
	same = q->begun == q->looked_at;
	q->looked_at = q->begun;
	unkicked = same && q->unkicked;
	q->unkicked = server_chain_waits(q);
	for (s = q->servers; s && !(s->handles && (s->leads || (s->shares && !q->led)));)
		s = s->next;
	if (!s && unkicked && q->unkicked)
		server_wake_leader(q);
	if (s && same)
		server_call_for_held(s);
	if (s && same && !server_hand_over(s))
		log_debug("queue %u: a request sleeps, the queue does not wait for it", q->index);
	return s || !same || q->unkicked;
}

struct queue *queue_new(
	struct fuse_session *session, unsigned int index, const struct queue_config *cfg, struct watch *watch)
{
	struct queue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	*q = (struct queue){.session = session,
		.watch = watch,
		.served = cfg->served,
		.intents = cfg->intents,
		.crashed = cfg->crashed,
		.index = index,
		.urgent = cfg->urgent,
		.kick = -1,
		.call = -1,
		.err = -1};
	q->max_threads = cfg->threads ? MAX(cfg->threads, 2) : QUEUE_DEFAULT_THREADS;
	q->max_lock_waiters = cfg->lock_waiters ? cfg->lock_waiters : WAITERS_DEFAULT;
	q->poller.max_ns = cfg->poll_us * 1000;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->lead, NULL);
	pthread_cond_init(&q->rest, NULL);
	pthread_cond_init(&q->runs, NULL);
	q->epoll = epoll_create1(EPOLL_CLOEXEC);
	q->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->ring = vring_new();
	if (q->epoll < 0 || q->wake < 0 || !q->ring ||
		epoll_ctl(q->epoll, EPOLL_CTL_ADD, q->wake,
			&(struct epoll_event){.events = EPOLLIN | EPOLLET})) {
		queue_free(q);
		return NULL;
	}
	return q;
}

/* q->lock held. No chain is popped any more: waits until none is in flight but those that wait for locks, and
 * nobody leads. */
static void drain(struct queue *q)
{
	q->running = false;
	server_wake_leader(q);
	pthread_cond_broadcast(&q->lead);
	while (q->inflight > q->waiters || q->led || (!q->ends && server_owes(q)))
		pthread_cond_wait(&q->rest, &q->lock);
}

/* q->lock held; the queue does not run. A signal may come just ahead of the wait that it shall end, hence the
 * repetition. */
static void abandon(struct queue *q)
{
	while (q->inflight) {
		for (struct server *s = q->servers; s; s = s->next) {
			if (!s->waits)
				continue;
			s->abandoned = true;
			fuse_worker_cancel(s->worker);
		}
		pthread_cond_broadcast(&q->runs);
		thread_wait(&q->rest, &q->lock, clock_ns() + SERVER_CANCEL_NS);
	}
}

void queue_abandon(struct queue *q)
{
	autolock(&q->lock);
	if (!q->running && !q->led)
		abandon(q);
}

/* q->lock held; the ring was just set up as @ring. If it is another than the one that was stopped, nobody
 * waits there. */
static void take_up_waiters(struct queue *q, const struct vring_config *ring, uint32_t base)
{
	const struct vring_layout is = {ring->size, ring->packed, ring->desc, ring->avail, ring->used};
	bool same = vring_layout_same(&is, &q->started), waiters = q->inflight;

	q->started = is;
	if (same && base == q->stop_base && vring_inflight(q->ring) == q->stop_inflight)
		return;
	abandon(q);
	if (waiters)
		vring_forget(q->ring);
}

int queue_start(
	struct queue *q, const struct vhost_vq *vq, struct mem_map *mem, struct mem_log *log, struct err *err)
{
	struct epoll_event on_kick = {.events = EPOLLIN | EPOLLET};
	struct vring_config ring = vq->ring;
	uint64_t one = 1;
	int r;

	autolock(&q->lock);
	if (q->inflight)
		ring.track_mode = VRING_TRACK_KEEP;
	r = vring_start(q->ring, &ring, vq->base, mem, log, err);
	if (r)
		return err_prefix(err, r, "queue %u", q->index);
	if (!q->threads)
		r = server_add(q);
	if (r) {
		vring_stop(q->ring);
		return err_sys(err, -r, "queue %u: cannot start a thread", q->index);
	}
	if (vq->kick >= 0 && epoll_ctl(urgent_epoll(q), EPOLL_CTL_ADD, vq->kick, &on_kick)) {
		r = -errno;
		vring_stop(q->ring);
		return err_sys(err, -r, "queue %u: its kick descriptor cannot be waited on", q->index);
	}
	q->kick = vq->kick;
	q->call = vq->call;
	q->err = vq->err;
	q->size = vq->ring.size;
	take_up_waiters(q, &ring, vq->base);
	q->running = true;
	vring_no_kick(q->ring);
	urgent_host(q);
	pthread_cond_signal(&q->lead);
	pthread_cond_broadcast(&q->runs);
	if (vq->resumes && q->call >= 0 && write(q->call, &one, sizeof(one)) < 0)
		log_debug("queue %u: cannot call the guest: %s", q->index, strerrordesc_np(errno));
	return 0;
}

uint32_t queue_stop(struct queue *q)
{
	autolock(&q->lock);
	drain(q);
	urgent_leave(q); /* a leader that had given the lead away had no time for it */
	urgent_unhost(q);
	if (q->kick >= 0)
		epoll_ctl(urgent_epoll(q), EPOLL_CTL_DEL, q->kick, NULL);
	q->kick = q->call = q->err = -1;
	q->stop_inflight = vring_inflight(q->ring);
	q->stop_base = vring_stop(q->ring);
	return q->stop_base;
}

int queue_remap(
	struct queue *q, struct mem_map *mem, struct mem_log *log, struct gpa log_addr, struct err *err)
{
	autolock(&q->lock);
	return vring_remap(q->ring, mem, log, log_addr, err);
}

void queue_set_call(struct queue *q, int call)
{
	autolock(&q->lock);
	q->call = call;
	if (q->running)
		server_call_guest(q); /* what was pushed while there was no descriptor to call by */
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	pthread_mutex_lock(&q->lock);
	q->ends = true;
	drain(q);
	abandon(q);
	pthread_cond_broadcast(&q->lead);
	while (q->threads)
		pthread_cond_wait(&q->rest, &q->lock);
	pthread_mutex_unlock(&q->lock);
	free(q->aside.iov);
	mem_unref(q->aside_mem);
	vring_free(q->ring);
	cleanup_fd(&q->epoll);
	cleanup_fd(&q->wake);
	pthread_cond_destroy(&q->lead);
	pthread_cond_destroy(&q->rest);
	pthread_cond_destroy(&q->runs);
	pthread_mutex_destroy(&q->lock);
	free(q);
}
