/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/closing.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/tune.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NAP_NS 100000

static struct {
	pthread_mutex_t lock;
	_Atomic unsigned int n;	       /* changed with the lock held */
	_Atomic unsigned int unclosed; /* of those, and those that a thread has taken to close */
	unsigned int most;
	int fd[CLOSING_MAX];
} waiting = {.lock = PTHREAD_MUTEX_INITIALIZER, .most = CLOSING_MAX};

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

static void close_all(int *fd, unsigned int n)
{
	unsigned int from = 0;

	qsort(fd, n, sizeof(*fd), compare);
	for (unsigned int i = 1; i <= n; i++) {
		if (i < n && fd[i] == fd[i - 1] + 1)
			continue;
		close_run(fd[from], fd[i - 1]);
		from = i;
	}
	atomic_fetch_sub(&waiting.unclosed, n);
}

/* With the lock held: copies what waits to @fd. */
static unsigned int take(int *fd)
{
	unsigned int n = atomic_load_explicit(&waiting.n, memory_order_relaxed);

	memcpy(fd, waiting.fd, n * sizeof(*fd));
	atomic_store_explicit(&waiting.n, 0, memory_order_relaxed);
	return n;
}

void closing_limit(unsigned int most)
{
	waiting.most = MIN(most, CLOSING_MAX);
}

void closing_add(int fd)
{
	unsigned int most = MIN(tune.close_batch, waiting.most);
	int full[CLOSING_MAX];
	unsigned int n;

	if (fd < 0)
		return;
	if (most < 2) {
		close(fd);
		return;
	}
	pthread_mutex_lock(&waiting.lock);
	n = atomic_load_explicit(&waiting.n, memory_order_relaxed);
	waiting.fd[n++] = fd;
	atomic_fetch_add(&waiting.unclosed, 1);
	atomic_store_explicit(&waiting.n, n, memory_order_relaxed);
	n = n >= most ? take(full) : 0;
	pthread_mutex_unlock(&waiting.lock);
	close_all(full, n);
}

bool closing_waits(void)
{
	return atomic_load_explicit(&waiting.n, memory_order_relaxed);
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
