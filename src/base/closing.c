/* SPDX-License-Identifier: BSD-3-Clause */
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
#include <time.h>
#include <unistd.h>

#define NAP_NS	  100000
#define GATHER_NS 10000000 /* a thread closes fewer than a batch after that time */
#define THREADS	  4	   /* that close; several wait for a disk no longer than one does */
#define SLOW	  2	   /* once is who had the CPU meanwhile */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;	       /* a thread: apart, or a batch of them waits */
	unsigned int threads, idle;    /* and those that close none; lock */
	_Atomic bool apart;	       /* what waits is for such a thread; changed with the lock held */
	_Atomic unsigned int slow;     /* closing took long so many times in a row, up to SLOW */
	_Atomic unsigned int n;	       /* changed with the lock held */
	_Atomic unsigned int unclosed; /* of those, and those that a thread has taken to close */
	unsigned int most;
	int fd[CLOSING_MAX];
} waiting = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER, .most = CLOSING_MAX};

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

/* @n descriptors took @ns. */
static void learn(uint64_t ns, unsigned int n)
{
	bool took_long = tune.close_long && ns > tune.close_long * 1000ull * n;

	atomic_store(&waiting.slow, took_long ? MIN(atomic_load(&waiting.slow) + 1, SLOW) : 0);
}

static void close_all(int *fd, unsigned int n)
{
	unsigned int from = 0;
	uint64_t began;

	if (!n)
		return;
	began = clock_ns();
	qsort(fd, n, sizeof(*fd), compare);
	for (unsigned int i = 1; i <= n; i++) {
		if (i < n && fd[i] == fd[i - 1] + 1)
			continue;
		close_run(fd[from], fd[i - 1]);
		from = i;
	}
	learn(clock_ns() - began, n);
	atomic_fetch_sub(&waiting.unclosed, n);
}

/* With the lock held: copies what waits to @fd. */
static unsigned int take(int *fd)
{
	unsigned int n = atomic_load_explicit(&waiting.n, memory_order_relaxed);

	memcpy(fd, waiting.fd, n * sizeof(*fd));
	atomic_store_explicit(&waiting.n, 0, memory_order_relaxed);
	atomic_store_explicit(&waiting.apart, false, memory_order_relaxed);
	return n;
}

static unsigned int batch_size(void)
{
	return MIN(tune.close_batch, waiting.most);
}

void closing_limit(unsigned int most)
{
	waiting.most = MIN(most, CLOSING_MAX);
}

/* With the lock held, though not always meanwhile: until a batch waits, or fewer did for a while. */
static void gather(void)
{
	uint64_t until;

	waiting.idle++;
	while (!waiting.apart)
		pthread_cond_wait(&waiting.wake, &waiting.lock);
	until = clock_ns() + GATHER_NS;
	while (waiting.apart && waiting.n < batch_size() && thread_wait(&waiting.wake, &waiting.lock, until))
		continue;
	waiting.idle--;
}

static void *close_apart(void *arg)
{
	int some[CLOSING_MAX];

	(void)arg;
	pthread_mutex_lock(&waiting.lock);
	for (;;) {
		unsigned int n;

		gather();
		n = take(some);
		pthread_mutex_unlock(&waiting.lock);
		close_all(some, n);
		pthread_mutex_lock(&waiting.lock);
	}
	return NULL;
}

/* With the lock held. It lasts as long as the process. */
static void start(void)
{
	pthread_t thread;

	if (thread_start(&thread, close_apart, NULL))
		return;
	pthread_detach(thread);
	waiting.threads++;
}

/* With the lock held: what waits, @n descriptors by now, is for a thread of its own. False: there is none. */
static bool leave_apart(unsigned int n, unsigned int batch)
{
	if (!waiting.idle && (n == batch ? waiting.threads < THREADS : !waiting.threads))
		start();
	if (!waiting.threads)
		return false;
	if (!atomic_exchange(&waiting.apart, true) || n == batch)
		pthread_cond_signal(&waiting.wake);
	return true;
}

void closing_add(int fd)
{
	unsigned int batch = batch_size(), most = batch;
	int full[CLOSING_MAX];
	unsigned int n;

	if (fd < 0)
		return;
	if (batch < 2) {
		close(fd);
		return;
	}
	pthread_mutex_lock(&waiting.lock);
	n = atomic_load_explicit(&waiting.n, memory_order_relaxed);
	waiting.fd[n++] = fd;
	atomic_fetch_add(&waiting.unclosed, 1);
	atomic_store_explicit(&waiting.n, n, memory_order_relaxed);
	if (atomic_load(&waiting.slow) == SLOW && leave_apart(n, batch))
		most = waiting.most;
	n = n >= most ? take(full) : 0;
	pthread_mutex_unlock(&waiting.lock);
	close_all(full, n);
}

bool closing_waits(void)
{
	return atomic_load_explicit(&waiting.n, memory_order_relaxed);
}

bool closing_is_ours(void)
{
	return closing_waits() && !atomic_load_explicit(&waiting.apart, memory_order_relaxed);
}

void closing_flush(void)
{
	int all[CLOSING_MAX];
	unsigned int n;

	pthread_mutex_lock(&waiting.lock);
	n = take(all);
	pthread_mutex_unlock(&waiting.lock);
	close_all(all, n);
}

/* Another thread's share of the work may take as long as a system call that frees a large file. */
bool closing_finish(void)
{
	if (!atomic_load(&waiting.unclosed))
		return false;
	closing_flush();
	while (atomic_load(&waiting.unclosed) && !closing_waits())
		nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
	return true;
}
