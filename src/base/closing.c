/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What waits is closed by whoever flushes or fills a batch, or it is apart: for threads that do nothing else.
 * Those are made when closing has taken long, at most THREADS, and stay. If they all hang in a system call,
 * what is apart becomes everybody's again after HANG_NS.
 */
#include "base/closing.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/thread.h"
#include "base/tune.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GATHER_NS 10000000   /* so long a thread waits for a batch, then it closes fewer */
#define HANG_NS	  1000000000 /* no thread has come for what is apart */
#define FINISH_NS 1000000000 /* the longest that closing_finish() waits */
#define THREADS	  4
#define SLOW	  2 /* closing took long so often in a row; a single time somebody else may have had the CPU */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t work;	      /* for the threads: something is apart, or a batch of it */
	pthread_cond_t done;	      /* something was closed */
	unsigned int threads;	      /* that were made; lock */
	unsigned int free;	      /* of those, not closing; lock */
	unsigned int slow;	      /* lock */
	unsigned int unclosed;	      /* what waits, and what somebody has taken to close; lock */
	uint64_t closed;	      /* so far; lock */
	_Atomic uint64_t apart_since; /* clock_ns(), 0: nothing is apart; changed with the lock held */
	_Atomic unsigned int n;	      /* what waits; changed with the lock held */
	unsigned int most;
	int fd[CLOSING_MAX];
} waiting = {.lock = PTHREAD_MUTEX_INITIALIZER,
	.work = PTHREAD_COND_INITIALIZER,
	.done = PTHREAD_COND_INITIALIZER,
	.most = CLOSING_MAX};

static int compare(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

/* From @first to @last, all of them ours. */
static void close_run(int first, int last)
{
	if (first != last && !close_range((unsigned int)first, (unsigned int)last, 0))
		return;
	for (int fd = first; fd <= last; fd++)
		close(fd);
}

static void close_runs(int *fd, unsigned int n)
{
	unsigned int from = 0;

	qsort(fd, n, sizeof(*fd), compare);
	for (unsigned int i = 1; i <= n; i++) {
		if (i < n && fd[i] == fd[i - 1] + 1)
			continue;
		close_run(fd[from], fd[i - 1]);
		from = i;
	}
}

/* With the lock held: @n descriptors took @ns. */
static void learn(uint64_t ns, unsigned int n)
{
	bool took_long = tune.close_long && ns > tune.close_long * 1000ull * n;

	waiting.slow = took_long ? MIN(waiting.slow + 1, SLOW) : 0;
}

/* With the lock held: moves the last of what waits to @fd, @most at most. */
static unsigned int take(int *fd, unsigned int most)
{
	unsigned int have = atomic_load(&waiting.n), n = MIN(have, most);

	memcpy(fd, waiting.fd + have - n, n * sizeof(*fd));
	atomic_store(&waiting.n, have - n);
	if (waiting.apart_since) {
		atomic_store(&waiting.apart_since, have > n ? clock_ns() : 0);
		if (have > n)
			pthread_cond_signal(&waiting.work);
	}
	return n;
}

/* With the lock held before and after, not meanwhile. */
static void close_some(unsigned int most)
{
	int fd[CLOSING_MAX];
	unsigned int n = take(fd, most);
	uint64_t began;

	if (!n)
		return;
	pthread_mutex_unlock(&waiting.lock);
	began = clock_ns();
	close_runs(fd, n);
	began = clock_ns() - began;
	pthread_mutex_lock(&waiting.lock);
	learn(began, n);
	waiting.unclosed -= n;
	waiting.closed += n;
	pthread_cond_broadcast(&waiting.done);
}

/* No more than half of what may wait: while one is being closed another gathers. */
static unsigned int batch_size(void)
{
	return MIN(tune.close_batch, waiting.most / 2);
}

void closing_limit(unsigned int most)
{
	waiting.most = MIN(most, CLOSING_MAX);
}

/* With the lock held, though not always meanwhile: until a batch is apart, or fewer were for a while. */
static void gather(void)
{
	do {
		uint64_t until;

		while (!waiting.apart_since)
			pthread_cond_wait(&waiting.work, &waiting.lock);
		until = clock_ns() + GATHER_NS;
		while (waiting.apart_since && waiting.n < batch_size() &&
			thread_wait(&waiting.work, &waiting.lock, until))
			continue;
	} while (!waiting.apart_since);
}

static void *close_apart(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&waiting.lock);
	for (;;) {
		gather();
		waiting.free--;
		close_some(batch_size());
		waiting.free++;
	}
	return NULL;
}

/* With the lock held. */
static void start(void)
{
	pthread_t thread;

	if (thread_start(&thread, close_apart, NULL))
		return;
	pthread_detach(thread);
	waiting.threads++;
	waiting.free++;
}

/* With the lock held, @n descriptors wait: whether they are apart. Somebody comes for the first one, and for
 * each batch. */
static bool leave_apart(unsigned int n, unsigned int batch)
{
	if (waiting.slow < SLOW && !waiting.apart_since)
		return false;
	if (n != 1 && n % batch)
		return waiting.apart_since;
	if (!waiting.free && waiting.threads < THREADS)
		start();
	if (!waiting.threads)
		return false;
	if (!waiting.apart_since)
		atomic_store(&waiting.apart_since, clock_ns());
	pthread_cond_signal(&waiting.work);
	return true;
}

void closing_add(int fd)
{
	unsigned int batch = batch_size();
	unsigned int n;
	bool due;

	if (fd < 0)
		return;
	if (batch < 2) {
		close(fd);
		return;
	}
	pthread_mutex_lock(&waiting.lock);
	n = atomic_load(&waiting.n);
	waiting.fd[n++] = fd;
	waiting.unclosed++;
	due = leave_apart(n, batch) ? waiting.unclosed >= waiting.most : n >= batch;
	atomic_store(&waiting.n, n); /* who sees it sees whether it is apart */
	if (due)
		close_some(batch);
	pthread_mutex_unlock(&waiting.lock);
}

bool closing_waits(void)
{
	uint64_t since;

	if (!atomic_load_explicit(&waiting.n, memory_order_acquire))
		return false;
	since = atomic_load(&waiting.apart_since);
	return !since || clock_ns() - since > HANG_NS;
}

void closing_flush(void)
{
	autolock(&waiting.lock);
	close_some(CLOSING_MAX);
}

bool closing_finish(void)
{
	uint64_t before, wanted, until;

	autolock(&waiting.lock);
	before = waiting.closed;
	wanted = before + waiting.unclosed;
	until = clock_ns() + FINISH_NS;
	close_some(CLOSING_MAX);
	while (waiting.closed < wanted && thread_wait(&waiting.done, &waiting.lock, until))
		continue;
	return waiting.closed > before;
}
