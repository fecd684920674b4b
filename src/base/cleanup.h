/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scope-bound cleanup, by the compiler's cleanup attribute.
 *   autofd int fd = open(...);      closed at the end of the scope if >= 0; fd_take(&fd) keeps it
 *   autofree char *p = ...;         freed at the end of the scope; ptr_take(&p) keeps it
 *   autolock(&mutex);               locked here, unlocked at the end of the scope
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_fd(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_unlock(pthread_mutex_t *const *m)
{
	pthread_mutex_unlock(*m);
}

static inline pthread_mutex_t *cleanup_lock(pthread_mutex_t *m)
{
	pthread_mutex_lock(m);
	return m;
}

/* The descriptor, which the scope no longer owns. */
static inline int fd_take(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

#define ptr_take(pp)                              \
	__extension__({                           \
		__typeof__(*(pp)) taken_ = *(pp); \
		*(pp) = NULL;                     \
		taken_;                           \
	})

#define autofd		__attribute__((cleanup(cleanup_fd)))
#define autofree	__attribute__((cleanup(cleanup_free)))
#define autolock(m)	autolock_(m, __LINE__)
#define autolock_(m, l) autolock__(m, l)
#define autolock__(m, l) \
	__attribute__((cleanup(cleanup_unlock), unused)) pthread_mutex_t *const autolock_##l = cleanup_lock(m)

#endif
