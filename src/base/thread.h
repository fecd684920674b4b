/* SPDX-License-Identifier: BSD-3-Clause */
/* What pthreads(7) takes several lines for. Any thread. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* As pthread_create(3), but all signals are for others. 0 or an error number. */
int thread_start(pthread_t *thread, void *(*main)(void *arg), void *arg);

/* As pthread_cond_timedwait(3), until clock_ns() is @until. False: it is. */
bool thread_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until);

#endif
