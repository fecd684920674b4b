/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/thread.h"

#include <signal.h>
#include <time.h>

#define SECOND_NS 1000000000u

int thread_start(pthread_t *thread, void *(*main)(void *arg), void *arg)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(thread, NULL, main, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

bool thread_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until)
{
	const struct timespec t = {
		.tv_sec = (time_t)(until / SECOND_NS), .tv_nsec = (long)(until % SECOND_NS)};

	return !pthread_cond_clockwait(cond, lock, CLOCK_MONOTONIC, &t);
}
