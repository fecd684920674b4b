/* SPDX-License-Identifier: BSD-3-Clause */
/* The threads of a queue: a leader, which takes chains and handles them, and followers (queue.h). */
#include "daemon/server.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/closing.h"
#include "base/log.h"
#include "base/order.h"
#include "base/tune.h"
#include "daemon/watch.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>

#define STACK_SIZE	   (512 * 1024)
#define TIDY_EVERY	   64 /* requests */
#define URGENT_EVERY	   16 /* requests */
#define CRASHES_MAX	   3  /* processes that a request may end */
#define NO_KICK_TIMEOUT_MS 1  /* a queue without kick descriptor is looked at so often */

static void server_free(struct server *s)
{
	fuse_worker_free(s->worker);
	free(s->iov);
	free(s->log_iov);
	free(s);
}

/* q->lock held. Ends with the last word on the queue's threads: when none is left, queue and session may go.
 */
static void leave(struct server *s)
{
	struct queue *q = s->queue;
	struct server **p = &q->servers;

	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	server_free(s);
	q->threads--;
	pthread_cond_broadcast(&q->rest);
}

bool server_fit_iov(struct server *s, uint32_t size)
{
	unsigned int want = SERVER_PIECES(size);
	struct iovec *iov, *log_iov;

	if (s->iov_max >= want)
		return true;
	iov = calloc(want, sizeof(*iov));
	log_iov = calloc(want, sizeof(*log_iov));
	if (!iov || !log_iov) {
		free(iov);
		free(log_iov);
		return false;
	}
	free(s->iov);
	free(s->log_iov);
	s->iov = iov;
	s->log_iov = log_iov;
	s->iov_max = want;
	return true;
}

/* Without a descriptor the ring is not asked: it tells once, and queue_set_call() wants to hear it. */
void server_call_guest(struct queue *q)
{
	uint64_t one = 1;

	if (q->call >= 0 && vring_wants_call(q->ring) && write(q->call, &one, sizeof(one)) < 0)
		log_debug("queue %u: cannot call the guest: %s", q->index, strerrordesc_np(errno));
}

/* Once: others read the line more often than it is written. */
static void note_served(struct queue *q)
{
	if (q->served && !atomic_load_explicit(q->served, memory_order_relaxed))
		atomic_store_explicit(q->served, 1, memory_order_relaxed);
}

void server_call_for_held(struct server *s)
{
	if (s->held)
		server_call_guest(s->queue);
	s->held = 0;
}

/*
 * q->lock held. A call costs more than most requests, so the leader makes one for several answers, and none
 * waits for one longer than a few quick requests take: not for the ring to be empty, a request that is slow,
 * or another's lead.
 */
static void answer(struct server *s, const struct vring_chain *chain, uint32_t written)
{
	vring_push(s->queue->ring, chain, written);
	note_served(s->queue);
	if (++s->held >= tune.call_batch || !s->leads)
		server_call_for_held(s);
}

/* What another request left goes before the record says whose it is. Else that request's lookup or handle,
 * which the guest has, would be taken back by a process that runs this one again. */
static void renew(struct op_intent *in, uint64_t number)
{
	*in = (struct op_intent){0};
	in_order();
	in->request = number;
}

struct op_intent *server_intent_of(const struct queue *q, const struct vring_chain *chain)
{
	struct op_intent *in = q->intents ? &q->intents[chain->slot] : NULL;

	if (!in)
		return NULL;
	if (!chain->resumed || in->request != chain->number)
		renew(in, chain->number);
	else if (q->crashed)
		in->crashes++;
	return in;
}

void server_begin(struct server *s)
{
	s->queue->begun++;
	s->handles = true;
	watch_stir(s->queue->watch);
}

void server_end(struct server *s)
{
	s->handles = false;
}

static ssize_t run(struct server *s, const struct vring_chain *chain, struct fuse_chain *fc)
{
	if (!fc->intent || fc->intent->crashes < CRASHES_MAX)
		return fuse_worker_handle(s->worker, fc);
	vring_log_chain(chain, "it has ended this process again and again");
	return fuse_worker_refuse(s->worker, fc, -EIO);
}

/* q->lock held. The memory as the ring has it now stays mapped until drop_mem(). */
static void hold_mem(struct server *s)
{
	struct mem_map *mem = vring_mem(s->queue->ring);

	if (s->mem == mem)
		return;
	mem_unref(s->mem);
	s->mem = mem_ref(mem);
}

/* q->lock held. */
static void end_sharing(struct server *s)
{
	s->queue->sharers -= s->shares;
	s->shares = false;
}

/* q->lock held. The lead that it gave away for the time of a request. */
static void take_back(struct server *s)
{
	struct queue *q = s->queue;

	if (s->shares && !q->led)
		q->led = s->leads = true;
	end_sharing(s);
}

static void drop_mem(struct server *s)
{
	mem_unref(s->mem);
	s->mem = NULL;
}

/* Handles the chain, which lies in s->mem; q->lock is held before and after, not meanwhile. */
static void handle(struct server *s, struct vring_chain *chain)
{
	struct queue *q = s->queue;
	struct fuse_chain fc = {
		.in = chain->iov, .nin = chain->nin, .out = chain->iov + chain->nin, .nout = chain->nout};
	ssize_t written;

	fc.intent = server_intent_of(q, chain);
	q->inflight++;
	server_begin(s);
	s->handled++;
	s->ndesc = chain->ndesc;
	pthread_mutex_unlock(&q->lock);
	memcpy(s->log_iov, fc.out, fc.nout * sizeof(*fc.out)); /* the session edits the vector */
	written = run(s, chain, &fc);
	if (written < 0) {
		vring_log_chain(chain, "no FUSE request with room for a reply");
		written = 0;
	}
	pthread_mutex_lock(&q->lock);
	/* The log of now, not the one that there was when the request began: a migration may have begun
	 * meanwhile. */
	if (vring_log(q->ring))
		mem_log_mark_iov(vring_log(q->ring), s->mem, s->log_iov, chain->nout, (uint64_t)written);
	take_back(s);
	if (!s->abandoned)
		answer(s, chain, (uint32_t)written);
	s->abandoned = false;
	server_end(s);
	q->inflight--;
	if (!q->running)
		pthread_cond_broadcast(&q->rest);
}

/* q->lock held before and after, not meanwhile. True: look at the ring again. */
static bool poll_ring(struct server *s)
{
	struct queue *q = s->queue;
	struct vring_watch w;
	bool ready;

	if (!poller_wants(&q->poller) || !vring_watch(q->ring, &w))
		return false;
	urgent_join(q);
	hold_mem(s);
	pthread_mutex_unlock(&q->lock);
	ready = poller_look(&q->poller, &w);
	pthread_mutex_lock(&q->lock);
	return ready || urgent_serve(s);
}

/*
 * What was put off is done when nothing else is to do, and after some requests anyhow. Like a request it may
 * sleep. False: there was nothing. q->lock held before and after, not meanwhile.
 */
static bool tidy_up(struct server *s)
{
	struct queue *q = s->queue;

	if (!closing_waits())
		return false;
	server_call_for_held(s);
	server_begin(s);
	pthread_mutex_unlock(&q->lock);
	closing_flush();
	pthread_mutex_lock(&q->lock);
	server_end(s);
	return true;
}

/* q->lock held before and after. */
static void sleep_until_kick(struct server *s)
{
	struct queue *q = s->queue;
	struct epoll_event event;
	int timeout = q->kick < 0 ? NO_KICK_TIMEOUT_MS : -1;
	uint64_t began;

	urgent_leave(q);
	if (!q->running)
		return;
	urgent_host(q);
	if (!q->minders && vring_want_kick(q->ring))
		return;
	drop_mem(s);
	pthread_mutex_unlock(&q->lock);
	began = clock_ns();
	/* Both descriptors are edge-triggered and never read: whoever shares them cannot make us miss an edge
	 * or block. */
	epoll_wait(q->epoll, &event, 1, timeout);
	pthread_mutex_lock(&q->lock);
	poller_slept(&q->poller, clock_ns() - began);
	if (q->running)
		vring_no_kick(q->ring);
}

void server_wake_leader(struct queue *q)
{
	uint64_t one = 1;

	while (write(q->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

bool server_chain_waits(const struct queue *q)
{
	struct vring_watch w;

	return q->running && vring_watch(q->ring, &w) && vring_watch_ready(&w);
}

/* q->lock held. */
static void break_queue(struct queue *q)
{
	uint64_t one = 1;

	q->running = false;
	urgent_unhost(q);
	log_limited("queue %u: its ring is broken, it rests until the guest sets it up again", q->index);
	if (q->err >= 0 && write(q->err, &one, sizeof(one)) < 0)
		log_debug("queue %u: cannot tell the front-end: %s", q->index, strerrordesc_np(errno));
}

bool server_owes(const struct queue *q)
{
	return vring_resumes(q->ring) || q->aside.iov;
}

static void drop_owed(struct queue *q)
{
	free(q->aside.iov);
	q->aside.iov = NULL;
	mem_unref(q->aside_mem);
	q->aside_mem = NULL;
	if (vring_resumes(q->ring))
		vring_forget(q->ring);
}

/* As vring_pop(); the chain lies in s->mem. */
static int next_chain(struct server *s, struct vring_chain *chain)
{
	struct queue *q = s->queue;
	autofree struct iovec *iov = q->aside.iov;

	if (!iov) {
		hold_mem(s);
		*chain = (struct vring_chain){.iov = s->iov, .max = s->iov_max};
		return vring_pop(q->ring, chain);
	}
	*chain = q->aside;
	assert(chain->nin + chain->nout <= s->iov_max);
	chain->iov = memcpy(s->iov, iov, (chain->nin + chain->nout) * sizeof(*iov));
	chain->max = s->iov_max;
	mem_unref(s->mem);
	s->mem = q->aside_mem;
	q->aside.iov = NULL;
	q->aside_mem = NULL;
	return 1;
}

static void serve_chain(struct server *s, struct vring_chain *chain)
{
	handle(s, chain);
	if (!(s->handled % TIDY_EVERY))
		tidy_up(s);
	if (!(s->handled % URGENT_EVERY))
		urgent_serve(s);
}

/* Serves the ring as long as this thread leads. q->lock held before and after, not always meanwhile. */
static void lead(struct server *s)
{
	struct queue *q = s->queue;
	struct vring_chain chain;
	bool busy = false; /* since it slept */

	if (!server_fit_iov(s, q->size)) {
		log_error("queue %u: no memory for a ring of %u", q->index, q->size);
		q->running = false;
		urgent_unhost(q);
		drop_owed(q);
		return;
	}
	while (s->leads && (q->running || server_owes(q)) && !q->ends) {
		int r = next_chain(s, &chain);

		if (r > 0) {
			if (busy)
				urgent_join(q);
			busy = true;
			serve_chain(s, &chain);
			continue;
		}
		server_call_for_held(s);
		busy = r == 0 && (urgent_serve(s) || poll_ring(s) || tidy_up(s));
		if (r < 0)
			break_queue(q);
		else if (!busy)
			sleep_until_kick(s);
	}
	server_call_for_held(s);
	drop_mem(s);
	if (s->leads)
		urgent_leave(q);
}

static void *serve(void *arg)
{
	struct server *s = arg;
	struct queue *q = s->queue;

	pthread_mutex_lock(&q->lock);
	while (!q->ends) {
		if (q->led || !(q->running || server_owes(q))) {
			if (q->followers >= SERVER_SPARE)
				break;
			q->followers++;
			pthread_cond_wait(&q->lead, &q->lock);
			q->followers--;
			continue;
		}
		q->led = s->leads = true;
		lead(s);
		if (s->leads) {
			q->led = s->leads = false;
			pthread_cond_broadcast(&q->rest);
		}
	}
	leave(s);
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

int server_add(struct queue *q)
{
	struct server *s;
	pthread_attr_t attr;
	int r;

	if (q->threads >= q->max_threads + q->waiters)
		return -EAGAIN;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->queue = q;
	s->worker = fuse_worker_new(q->session, server_may_block, s);
	if (!s->worker) {
		server_free(s);
		return -ENOMEM;
	}
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	s->next = q->servers;
	q->servers = s;
	q->threads++;
	r = pthread_create(&s->thread, &attr, serve, s);
	pthread_attr_destroy(&attr);
	if (r)
		leave(s);
	return -r;
}

void server_give_lead(struct server *s)
{
	struct queue *q = s->queue;

	q->led = s->leads = false;
	pthread_cond_signal(&q->lead);
	if (!q->running)
		pthread_cond_broadcast(&q->rest);
}

int server_hand_over(struct server *s)
{
	struct queue *q = s->queue;
	bool last = s->shares && !q->led && q->sharers == 1; /* nobody else comes back for the lead */

	if (!s->leads && !last) {
		end_sharing(s);
		return 0;
	}
	if (!q->followers) {
		int r = server_add(q);

		if (r) { /* the watch tries again; until then others look after the urgent queue */
			urgent_leave(q);
			urgent_unhost(q);
			return r;
		}
	}
	end_sharing(s);
	server_give_lead(s);
	return 0;
}

void server_share(struct server *s)
{
	struct queue *q = s->queue;

	if (server_hand_over(s))
		return;
	s->shares = true;
	q->sharers++;
}

void server_lend(struct server *s)
{
	struct queue *q = s->queue;

	if (!q->sharers)
		return;
	q->led = s->leads = false;
	s->shares = true;
	q->sharers++;
}
