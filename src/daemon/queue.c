/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locking: q->lock guards the ring and every field of struct queue behind it; it is never held while a
 * request is handled. A thread's own fields are written under it too, so that others can see who waits for a
 * lock. Such a waiter keeps neither the queue's threads nor its stop: until it has its lock it touches no
 * guest memory, and then it comes by OP_BLOCK_ANSWER.
 */
#include "daemon/queue.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/closing.h"
#include "base/log.h"
#include "base/tune.h"
#include "daemon/poller.h"
#include "daemon/watch.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#define STACK_SIZE	   (512 * 1024)
#define SPARE_FOLLOWERS	   2	    /* more than these end instead of waiting for work */
#define EXTRA_PIECES	   64	    /* descriptors that cross memory regions take more than one piece */
#define WAITERS_DEFAULT	   256	    /* each is a thread */
#define CANCEL_PERIOD_NS   10000000 /* how often a waiter is told again that it shall give up */
#define TIDY_EVERY	   64	    /* requests */
#define CRASHES_MAX	   3	    /* processes that a request may end */
#define NO_KICK_TIMEOUT_MS 1	    /* a queue without kick descriptor is looked at so often */

struct server {
	struct server *next;
	struct queue *queue;
	pthread_t thread;
	struct fuse_worker *worker;
	struct iovec *iov, *log_iov; /* room for one chain; its writable part again, for the dirty log */
	unsigned int iov_max;
	bool leads;
	bool handles;	    /* is at a request */
	bool waits;	    /* sleeps in a lock request, or until the front-end answers */
	bool lock;	    /* for a lock, which may take for ever */
	bool abandoned;	    /* its request is not to be answered */
	unsigned int ndesc; /* of the ring, which its request takes */
	unsigned int held;  /* answers that it pushed without a call */
};

struct queue {
	struct fuse_session *session;
	struct watch *watch;	  /* NULL: none */
	_Atomic uint32_t *served; /* set when something was answered; NULL: nobody asks */
	struct op_intent *intents;
	bool crashed;
	unsigned int index;
	unsigned int max_threads, max_lock_waiters;
	int epoll;
	int wake; /* makes the leader look up from its sleep */

	pthread_mutex_t lock;
	pthread_cond_t lead; /* the lead is free, or the queue ends */
	pthread_cond_t rest; /* a request ended, or a thread did */
	pthread_cond_t runs; /* the queue runs again, or waiters are abandoned */
	struct vring *ring;
	struct poller poller; /* the leader's */
	uint32_t size;
	int kick, call, err;
	bool running; /* chains may be popped */
	bool led;     /* some thread is the leader */
	bool ends;
	unsigned int threads, followers, inflight;
	uint64_t begun, looked_at;	    /* requests; at queue_look() */
	unsigned int waiters, waiting_desc; /* what those of locks take of the ring */
	unsigned int lock_waiters;
	uint32_t stop_base, stop_inflight; /* the ring's when it was stopped */
	struct server *servers;
};

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

/* Room for the chains of a ring of this size. */
static bool fit_iov(struct server *s, uint32_t size)
{
	unsigned int want = size + EXTRA_PIECES;

	if (s->iov_max >= want)
		return true;
	free(s->iov);
	free(s->log_iov);
	s->iov = calloc(want, sizeof(*s->iov));
	s->log_iov = calloc(want, sizeof(*s->log_iov));
	s->iov_max = s->iov && s->log_iov ? want : 0;
	return s->iov_max;
}

/* q->lock held. Without a descriptor the ring is not asked: it tells once, and queue_set_call() wants to hear
 * it. */
static void call_guest(struct queue *q)
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

/* q->lock held. */
static void call_for_held(struct server *s)
{
	if (s->held)
		call_guest(s->queue);
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
		call_for_held(s);
}

/* The chain's record of what it does. NULL: none is kept. */
static struct op_intent *intent_of(const struct queue *q, const struct vring_chain *chain)
{
	struct op_intent *in = q->intents ? &q->intents[chain->slot] : NULL;

	if (!in)
		return NULL;
	if (!chain->resumed || in->request != chain->number)
		*in = (struct op_intent){.request = chain->number};
	else if (q->crashed)
		in->crashes++;
	return in;
}

static ssize_t run(struct server *s, const struct vring_chain *chain, struct fuse_chain *fc)
{
	if (!fc->intent || fc->intent->crashes < CRASHES_MAX)
		return fuse_worker_handle(s->worker, fc);
	vring_log_chain(chain, "it has ended this process again and again");
	return fuse_worker_refuse(s->worker, fc, -EIO);
}

/* Handles the chain; q->lock is held before and after, not meanwhile. */
static void handle(struct server *s, struct vring_chain *chain)
{
	struct queue *q = s->queue;
	struct mem_map *mem = mem_ref(vring_mem(q->ring));
	struct fuse_chain fc = {
		.in = chain->iov, .nin = chain->nin, .out = chain->iov + chain->nin, .nout = chain->nout};
	ssize_t written;

	fc.intent = intent_of(q, chain);

	q->inflight++;
	q->begun++;
	s->handles = true;
	watch_stir(q->watch);
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
		mem_log_mark_iov(vring_log(q->ring), mem, s->log_iov, chain->nout, (uint64_t)written);
	if (!s->abandoned)
		answer(s, chain, (uint32_t)written);
	s->abandoned = s->handles = false;
	q->inflight--;
	if (!q->running)
		pthread_cond_broadcast(&q->rest);
	mem_unref(mem);
}

/* q->lock held before and after, not meanwhile. True: look at the ring again. */
static bool poll_ring(struct queue *q)
{
	struct vring_watch w;
	struct mem_map *mem;
	bool ready;

	if (!poller_wants(&q->poller) || !vring_watch(q->ring, &w))
		return false;
	mem = mem_ref(vring_mem(q->ring));
	pthread_mutex_unlock(&q->lock);
	ready = poller_look(&q->poller, &w);
	pthread_mutex_lock(&q->lock);
	mem_unref(mem);
	return ready;
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
	call_for_held(s);
	q->begun++;
	s->handles = true;
	watch_stir(q->watch);
	pthread_mutex_unlock(&q->lock);
	closing_flush();
	pthread_mutex_lock(&q->lock);
	s->handles = false;
	return true;
}

/* q->lock held before and after. */
static void sleep_until_kick(struct queue *q)
{
	struct epoll_event event;
	int timeout = q->kick < 0 ? NO_KICK_TIMEOUT_MS : -1;
	uint64_t began;

	if (!q->running || vring_want_kick(q->ring))
		return;
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

/* q->lock held. */
static void break_queue(struct queue *q)
{
	uint64_t one = 1;

	q->running = false;
	log_limited("queue %u: its ring is broken, it rests until the guest sets it up again", q->index);
	if (q->err >= 0 && write(q->err, &one, sizeof(one)) < 0)
		log_debug("queue %u: cannot tell the front-end: %s", q->index, strerrordesc_np(errno));
}

/* Serves the ring as long as this thread leads. q->lock held before and after, not always meanwhile. */
static void lead(struct server *s)
{
	struct queue *q = s->queue;

	if (!fit_iov(s, q->size)) {
		log_error("queue %u: no memory for a ring of %u", q->index, q->size);
		q->running = false;
		return;
	}
	/* What is to be run again belongs to no later start: it is run before the queue stops. */
	while (s->leads && (q->running || vring_resumes(q->ring)) && !q->ends) {
		struct vring_chain chain = {.iov = s->iov, .max = s->iov_max};
		int r = vring_pop(q->ring, &chain);

		if (r > 0) {
			handle(s, &chain);
			if (!(q->begun % TIDY_EVERY))
				tidy_up(s);
			continue;
		}
		call_for_held(s);
		if (r < 0)
			break_queue(q);
		else if (!poll_ring(q) && !tidy_up(s))
			sleep_until_kick(q);
	}
	call_for_held(s);
}

static void *serve(void *arg)
{
	struct server *s = arg;
	struct queue *q = s->queue;

	pthread_mutex_lock(&q->lock);
	while (!q->ends) {
		if (q->led || !q->running) {
			if (q->followers >= SPARE_FOLLOWERS)
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

static int may_block(void *arg, enum op_block kind);

/* q->lock held. */
static int add_server(struct queue *q)
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
	s->worker = fuse_worker_new(q->session, may_block, s);
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

/* q->lock held. The leader gives the lead away: 0, or -errno if there is nobody to take it. */
static int hand_over(struct server *s)
{
	struct queue *q = s->queue;

	if (!s->leads)
		return 0;
	if (!q->followers) {
		int r = add_server(q);

		if (r)
			return r;
	}
	q->led = s->leads = false;
	pthread_cond_signal(&q->lead);
	return 0;
}

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
	if (hand_over(s)) {
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
	hand_over(s); /* if nobody can take the lead, the queue waits for this one request */
	if (!q->running)
		pthread_cond_broadcast(&q->rest);
	return 0;
}

/* q->lock held. Guest memory is touched only while the queue runs, and what is written there is pushed before
 * it stops. */
static int await_run(struct server *s)
{
	struct queue *q = s->queue;

	while (!q->running && !s->abandoned)
		pthread_cond_wait(&q->runs, &q->lock);
	end_wait(s);
	return s->abandoned ? -ECANCELED : 0;
}

/* The hook of struct op_ctx, on the thread that handles the request. */
static int may_block(void *arg, enum op_block kind)
{
	struct server *s = arg;
	struct queue *q = s->queue;

	autolock(&q->lock);
	call_for_held(s);
	if (kind == OP_BLOCK_IO)
		hand_over(s); /* if nobody can take the lead, the queue waits for this one request */
	if (kind == OP_BLOCK_IO || kind == OP_BLOCK_LONG)
		return 0;
	if (kind == OP_BLOCK_PEER)
		return begin_peer(s);
	return kind == OP_BLOCK_LOCK ? begin_wait(s) : await_run(s);
}

static void wake_leader(struct queue *q)
{
	uint64_t one = 1;

	while (write(q->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* q->lock held. A chain lies there, and its kick never came. */
static bool lost_kick(const struct queue *q)
{
	struct vring_watch w;

	return q->running && vring_watch(q->ring, &w) && vring_watch_ready(&w);
}

/*
 * The leader's requests come one after the other: if none has begun since, it is at the same one. A guest
 * whose CPU is emulated without memory barriers (QEMU before 8.1 with one CPU and without KVM) may overlook
 * that a kick is wanted, if it adds a chain in the very moment in which the leader lies down.
 */
bool queue_look(struct queue *q)
{
	struct server *s;
	bool same;

	autolock(&q->lock);
	same = q->begun == q->looked_at;
	q->looked_at = q->begun;
	for (s = q->servers; s && !(s->leads && s->handles);)
		s = s->next;
	if (!s && same && lost_kick(q))
		wake_leader(q);
	if (s && same)
		call_for_held(s);
	if (s && same && !hand_over(s))
		log_debug("queue %u: a request sleeps, another thread goes on", q->index);
	return s || !same;
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

/* q->lock held; waits on q->rest for a while. */
static void rest_a_little(struct queue *q)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += CANCEL_PERIOD_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&q->rest, &q->lock, &until);
}

/* q->lock held. No chain is popped any more: waits until none is in flight but those that wait for locks, and
 * nobody leads. */
static void drain(struct queue *q)
{
	q->running = false;
	wake_leader(q);
	while (q->inflight > q->waiters || q->led)
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
			fuse_worker_cancel(s->worker, s->thread);
		}
		pthread_cond_broadcast(&q->runs);
		rest_a_little(q);
	}
}

void queue_abandon(struct queue *q)
{
	autolock(&q->lock);
	if (!q->running && !q->led)
		abandon(q);
}

/* q->lock held; the ring was just set up. If it is another than the one that was stopped, nobody waits there.
 */
static void take_up_waiters(struct queue *q, uint32_t base)
{
	bool waiters = q->inflight;

	if (base == q->stop_base && vring_inflight(q->ring) == q->stop_inflight)
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
		r = add_server(q);
	if (r) {
		vring_stop(q->ring);
		return err_sys(err, -r, "queue %u: cannot start a thread", q->index);
	}
	if (vq->kick >= 0 && epoll_ctl(q->epoll, EPOLL_CTL_ADD, vq->kick, &on_kick)) {
		r = -errno;
		vring_stop(q->ring);
		return err_sys(err, -r, "queue %u: its kick descriptor cannot be waited on", q->index);
	}
	q->kick = vq->kick;
	q->call = vq->call;
	q->err = vq->err;
	q->size = vq->ring.size;
	take_up_waiters(q, vq->base);
	q->running = true;
	vring_no_kick(q->ring);
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
	if (q->kick >= 0)
		epoll_ctl(q->epoll, EPOLL_CTL_DEL, q->kick, NULL);
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
		call_guest(q); /* what was pushed while there was no descriptor to call by */
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
	vring_free(q->ring);
	cleanup_fd(&q->epoll);
	cleanup_fd(&q->wake);
	pthread_cond_destroy(&q->lead);
	pthread_cond_destroy(&q->rest);
	pthread_cond_destroy(&q->runs);
	pthread_mutex_destroy(&q->lock);
	free(q);
}
