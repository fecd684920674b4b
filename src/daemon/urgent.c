/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The urgent queue, served by leaders of other queues (server.h). A FORGET comes with nearly every request,
 * and a thread that is woken for it takes the CPU from the one that could have done it in passing. What they
 * find there that is no FORGET may have to wait, or be about a request of theirs: its own leader gets it.
 */
#include "daemon/server.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/log.h"

#include <string.h>
#include <sys/epoll.h>

#define SERVE_MOST 16 /* requests; then it is the own queue's turn */
#define HOST	   1  /* index of the queue whose leader its kicks wake */

void urgent_join(struct queue *q)
{
	struct queue *u = q->urgent;

	if (!u || q->minds)
		return;
	q->minds = true;
	autolock(&u->lock);
	if (!u->minders++)
		vring_no_kick(u->ring);
}

void urgent_leave(struct queue *q)
{
	struct queue *u = q->urgent;

	if (!q->minds)
		return;
	q->minds = false;
	autolock(&u->lock);
	if (!--u->minders && u->running && vring_want_kick(u->ring))
		server_wake_leader(u);
}

/* u->lock held. The chain, which lies in @mem, waits for its queue's own leader; false: no memory. */
static bool set_aside(struct queue *u, const struct vring_chain *chain, struct mem_map *mem)
{
	size_t size = (chain->nin + chain->nout) * sizeof(*chain->iov);
	struct iovec *iov = malloc(MAX(size, sizeof(*iov)));

	if (!iov)
		return false;
	memcpy(iov, chain->iov, size);
	u->aside = *chain;
	u->aside.iov = iov;
	u->aside_mem = mem_ref(mem);
	server_wake_leader(u);
	pthread_cond_signal(&u->lead); /* it has given the lead away if the queue is being stopped */
	return true;
}

/* u->lock held before and after, not meanwhile. */
static void forget(struct server *s, struct queue *u, const struct vring_chain *chain)
{
	struct mem_map *mem = mem_ref(vring_mem(u->ring));
	struct fuse_chain fc = {.in = chain->iov, .nin = chain->nin};
	ssize_t r;

	fc.intent = server_intent_of(u, chain);
	u->begun++;
	u->inflight++;
	pthread_mutex_unlock(&u->lock);
	r = fuse_worker_forget(s->worker, &fc);
	pthread_mutex_lock(&u->lock);
	if (r != -EAGAIN || !set_aside(u, chain, mem))
		vring_push(u->ring, chain, 0);
	u->inflight--;
	if (!u->running)
		pthread_cond_broadcast(&u->rest);
	mem_unref(mem);
}

/* u->lock held before and after, not always meanwhile. */
static bool serve_one(struct server *s, struct queue *u)
{
	struct vring_chain chain;
	int r;

	if (!u->running || server_owes(u) || !server_fit_iov(s, u->size))
		return false;
	chain = (struct vring_chain){.iov = s->iov, .max = SERVER_PIECES(u->size)};
	r = vring_pop(u->ring, &chain);
	if (r > 0)
		forget(s, u, &chain);
	if (r < 0)
		server_wake_leader(u); /* it finds the ring broken too */
	return r > 0;
}

bool urgent_serve(struct server *s)
{
	struct queue *q = s->queue, *u = q->urgent;
	unsigned int n = 0;

	if (!u)
		return false;
	/* The kick that ended the sleep may have been its: then it is looked at for certain. */
	if (!q->minds)
		pthread_mutex_lock(&u->lock);
	else if (pthread_mutex_trylock(&u->lock))
		return false;
	if (server_chain_waits(u)) {
		server_call_for_held(s);
		server_begin(s);
		pthread_mutex_unlock(&q->lock);
		while (n < SERVE_MOST && serve_one(s, u))
			n++;
		server_call_guest(u);
		pthread_mutex_unlock(&u->lock);
		pthread_mutex_lock(&q->lock);
		server_end(s);
		return n || !s->leads;
	}
	pthread_mutex_unlock(&u->lock);
	return false;
}

int urgent_epoll(const struct queue *u)
{
	return u->host ? u->host->epoll : u->epoll;
}

static void move_kicks(struct queue *u, struct queue *to)
{
	struct epoll_event on_kick = {.events = EPOLLIN | EPOLLET};

	autolock(&u->lock);
	if (u->kick >= 0)
		epoll_ctl(urgent_epoll(u), EPOLL_CTL_DEL, u->kick, NULL);
	u->host = to;
	if (u->kick >= 0 && epoll_ctl(urgent_epoll(u), EPOLL_CTL_ADD, u->kick, &on_kick))
		log_error("queue %u: its kicks cannot be waited for: %s", u->index, strerrordesc_np(errno));
}

void urgent_host(struct queue *q)
{
	if (q->urgent && q->index == HOST && q->urgent->host != q)
		move_kicks(q->urgent, q);
}

void urgent_unhost(struct queue *q)
{
	if (q->urgent && q->urgent->host == q)
		move_kicks(q->urgent, NULL);
}
