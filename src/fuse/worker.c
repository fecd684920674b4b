/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers: buffers, cancelling, and the gate between requests that run beside each other and those that end
 * or begin the session. A worker says that it is busy before it looks whether somebody wants to run alone; he
 * who wants to says so before he looks who is busy. So one of them sees the other, and no shared line is
 * written in the common case.
 */
#include "fuse/internal.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <errno.h>
#include <time.h>

#define BUFFER_MIN	   4096
#define POLL_NS		   200000
#define INTERRUPT_ATTEMPTS 50

static void *grow(struct buffer *b, size_t size)
{
	size_t want = BUFFER_MIN;

	if (b->size >= size)
		return b->p;
	while (want < size)
		want *= 2;
	free(b->p);
	b->p = malloc(want);
	b->size = b->p ? want : 0;
	return b->p;
}

void *worker_args(struct fuse_worker *w, size_t size)
{
	return grow(&w->args, MAX(size, 1));
}

void *worker_scratch(struct fuse_worker *w, size_t size)
{
	return grow(&w->scratch, MAX(size, 1));
}

struct fuse_worker *fuse_worker_new(
	struct fuse_session *s, int (*may_block)(void *arg, enum op_block kind), void *arg)
{
	struct fuse_worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->session = s;
	w->may_block = may_block;
	w->arg = arg;
	pthread_mutex_init(&w->lock, NULL);
	autolock(&s->lock);
	w->next = s->workers;
	s->workers = w;
	return w;
}

static void unlink_worker(struct fuse_worker *w)
{
	struct fuse_session *s = w->session;
	struct fuse_worker **p = &s->workers;

	autolock(&s->lock);
	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	for (unsigned int i = 0; i < ARRAY_LEN(w->requests); i++)
		s->requests[i] += atomic_load_explicit(&w->requests[i], memory_order_relaxed);
}

void fuse_worker_free(struct fuse_worker *w)
{
	if (!w)
		return;
	listing_end(w);
	unlink_worker(w);
	pthread_mutex_destroy(&w->lock);
	free(w->args.p);
	free(w->scratch.p);
	free(w);
}

static void ignore_signal(int sig)
{
	(void)sig;
}

int worker_setup_signal(struct err *err)
{
	struct sigaction sa = {.sa_handler = ignore_signal}; /* no SA_RESTART: a wait shall end */

	if (sigaction(FUSE_CANCEL_SIGNAL, &sa, NULL))
		return err_sys(err, errno, "cannot handle signal %d", FUSE_CANCEL_SIGNAL);
	return 0;
}

static void wait_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
}

static void set_waits(struct fuse_worker *w)
{
	autolock(&w->lock);
	w->thread = pthread_self();
	w->waits = true;
}

void worker_enter(struct fuse_worker *w, bool waits)
{
	struct fuse_session *s = w->session;

	if (waits)
		set_waits(w); /* whoever finds it busy knows what it does */
	for (;;) {
		atomic_store(&w->busy, true);
		if (!atomic_load(&s->exclusive))
			break;
		atomic_store(&w->busy, false);
		autolock(&s->gate); /* until the one inside is done */
	}
}

void worker_set_peer(struct fuse_worker *w, bool peer)
{
	autolock(&w->lock);
	w->thread = pthread_self();
	w->peer = peer;
}

void worker_leave(struct fuse_worker *w)
{
	if (w->waits) {
		autolock(&w->lock);
		w->waits = false;
	}
	atomic_store_explicit(&w->busy, false, memory_order_release);
}

/* w->lock held. */
static void cancel(struct fuse_worker *w)
{
	w->ctx.cancelled = true;
	pthread_kill(w->thread, FUSE_CANCEL_SIGNAL);
}

void fuse_worker_cancel(struct fuse_worker *w)
{
	autolock(&w->lock);
	if (w->waits || w->peer)
		cancel(w);
}

bool fuse_worker_cancelled(const struct fuse_worker *w)
{
	return atomic_load(&w->ctx.cancelled);
}

/* True if some worker was busy; those that wait for locks or the front-end were told to stop. */
static bool hurry_busy(struct fuse_session *s)
{
	bool any = false;

	autolock(&s->lock);
	for (struct fuse_worker *w = s->workers; w; w = w->next) {
		if (!atomic_load(&w->busy))
			continue;
		fuse_worker_cancel(w);
		any = true;
	}
	return any;
}

void worker_exclusive_begin(struct fuse_session *s)
{
	pthread_mutex_lock(&s->gate);
	atomic_store(&s->exclusive, true);
	while (hurry_busy(s))
		wait_a_little();
}

void worker_exclusive_end(struct fuse_session *s)
{
	atomic_store(&s->exclusive, false);
	pthread_mutex_unlock(&s->gate);
}

/* True if a request with that number is in flight and has to be told once more. */
static bool hurry_unique(struct fuse_session *s, uint64_t unique, const struct fuse_worker *but, bool *found)
{
	autolock(&s->lock);
	for (struct fuse_worker *w = s->workers; w; w = w->next) {
		if (w == but || !atomic_load(&w->busy) || atomic_load(&w->unique) != unique)
			continue;
		*found = true;
		autolock(&w->lock);
		if (!w->waits)
			return false;
		if (atomic_load(&w->unique) != unique)
			continue;
		cancel(w);
		return true;
	}
	return false;
}

/*
 * A signal may come just ahead of the wait that it shall end, hence the repetition. EAGAIN, for a request
 * that is unknown (yet) or does not end, asks the guest to interrupt it again later.
 */
ssize_t fuse_do_interrupt(struct fuse_req *rq)
{
	const struct fuse_interrupt_in *in = rq->in;
	bool found = false;

	for (int i = 0; i < INTERRUPT_ATTEMPTS; i++) {
		if (!hurry_unique(rq->s, in->unique, rq->w, &found))
			return found ? 0 : -EAGAIN;
		wait_a_little();
	}
	return -EAGAIN;
}
