/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sleep without a race: `awake` falls before the queues are looked at once more, and each queue looks at it,
 * under its lock, after it has noted its request. So one of the two sees the other.
 */
#include "daemon/watch.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/queue.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>

#define TICK_MS	   20
#define IDLE_TICKS 50 /* without a request: sleep */
#define GRACE_MS   3000
#define STACK_SIZE (256 * 1024)

struct watch {
	struct watch_config cfg;
	pthread_t thread;
	bool started;
	int wake, stop;
	int64_t deadline; /* 0: nobody has asked for the end; the thread's */
	int64_t beat;	  /* when somebody is to be told that we are alive, 0: nobody is; the thread's */
	atomic_bool awake, ends;
	pthread_mutex_t lock; /* of cfg.nqueues */
};

static int64_t now_ms(void)
{
	return (int64_t)(clock_ns() / 1000000);
}

static void tell(int fd)
{
	if (eventfd_write(fd, 1))
		log_debug("an event cannot be told: %s", strerrordesc_np(errno));
}

struct watch *watch_new(void)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	pthread_mutex_init(&w->lock, NULL);
	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake >= 0 && w->stop >= 0)
		return w;
	watch_free(w);
	return NULL;
}

int watch_stop_fd(const struct watch *w)
{
	return w->stop;
}

/* Whether some queue has something to do. */
static bool look(struct watch *w)
{
	bool busy = false;

	autolock(&w->lock);
	for (unsigned int i = 0; i < w->cfg.nqueues; i++)
		busy |= queue_look(w->cfg.queues[i]);
	return busy;
}

/* Milliseconds until @deadline, at most @most; -1 for ever. 0 as a deadline: there is none. */
static int64_t sooner(int64_t most, int64_t deadline)
{
	int64_t left = MAX(deadline - now_ms(), 0);

	if (!deadline)
		return most;
	return most < 0 ? left : MIN(left, most);
}

static int next_timeout(struct watch *w)
{
	int64_t most = atomic_load(&w->awake) ? TICK_MS : -1;

	return (int)sooner(sooner(most, w->deadline), w->beat);
}

/* Twice as often as it must be: once may be late. */
static void beat_if_due(struct watch *w)
{
	if (!w->cfg.alive_ms || now_ms() < w->beat)
		return;
	look(w);
	w->cfg.alive(w->cfg.arg);
	w->beat = now_ms() + MAX(w->cfg.alive_ms / 2, 1);
}

static void rest_if_idle(struct watch *w, unsigned int *idle)
{
	*idle = look(w) ? 0 : *idle + 1;
	if (*idle < IDLE_TICKS)
		return;
	atomic_store(&w->awake, false);
	if (look(w))
		atomic_store(&w->awake, true);
	*idle = 0;
}

static void end_if_overdue(struct watch *w)
{
	if (!w->deadline || now_ms() < w->deadline)
		return;
	log_error("something on the host hangs: the daemon ends without waiting for it");
	if (w->cfg.overdue)
		w->cfg.overdue(w->cfg.arg);
	_exit(EXIT_FAILURE);
}

static void *run(void *arg)
{
	struct watch *w = arg;
	struct pollfd p[] = {{w->wake, POLLIN, 0}, {w->cfg.signals, POLLIN, 0}};
	unsigned int idle = 0;
	eventfd_t count;

	beat_if_due(w);
	while (!atomic_load(&w->ends)) {
		if (poll(p, ARRAY_LEN(p), next_timeout(w)) < 0)
			continue;
		if (p[0].revents && !eventfd_read(w->wake, &count))
			atomic_store(&w->awake, true);
		if (p[1].revents) {
			w->deadline = now_ms() + GRACE_MS;
			p[1].fd = -1;
			tell(w->stop);
		}
		end_if_overdue(w);
		beat_if_due(w);
		if (atomic_load(&w->awake))
			rest_if_idle(w, &idle);
	}
	return NULL;
}

int watch_start(struct watch *w, const struct watch_config *cfg, struct err *err)
{
	pthread_attr_t attr;
	int r;

	w->cfg = *cfg;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	r = pthread_create(&w->thread, &attr, run, w);
	pthread_attr_destroy(&attr);
	w->started = !r;
	return r ? err_sys(err, r, "cannot start a thread") : 0;
}

void watch_leave_queues(struct watch *w)
{
	autolock(&w->lock);
	w->cfg.nqueues = 0;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	if (w->started) {
		atomic_store(&w->ends, true);
		tell(w->wake);
		pthread_join(w->thread, NULL);
	}
	cleanup_fd(&w->wake);
	cleanup_fd(&w->stop);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void watch_stir(struct watch *w)
{
	if (!w || atomic_load(&w->awake))
		return;
	atomic_store(&w->awake, true);
	tell(w->wake);
}
