/* SPDX-License-Identifier: BSD-3-Clause */
#include "cold.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void *drop_parts(void *arg)
{
	struct cold *c = arg;

	pthread_mutex_lock(&c->lock);
	while (!c->ends) {
		uint64_t off, len;

		if (!c->parts) {
			pthread_cond_wait(&c->more, &c->lock);
			continue;
		}
		off = c->part[--c->parts].off;
		len = c->part[c->parts].len;
		pthread_mutex_unlock(&c->lock);
		posix_fadvise(c->fd, (off_t)off, (off_t)len, POSIX_FADV_DONTNEED);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int cold_open(struct cold *c, const char *path)
{
	*c = (struct cold){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
	if (c->fd < 0)
		return -errno;
	posix_fadvise(c->fd, 0, 0, POSIX_FADV_DONTNEED);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->more, NULL);
	c->started = !pthread_create(&c->thread, NULL, drop_parts, c);
	return c->started ? 0 : -EAGAIN;
}

void cold_close(struct cold *c)
{
	if (c->started) {
		pthread_mutex_lock(&c->lock);
		c->ends = true;
		pthread_cond_signal(&c->more);
		pthread_mutex_unlock(&c->lock);
		pthread_join(c->thread, NULL);
	}
	c->started = false;
	cleanup_fd(&c->fd);
	c->fd = -1;
}

void cold_drop(struct cold *c, uint64_t off, uint64_t len)
{
	autolock(&c->lock);
	if (c->parts == COLD_MAX)
		return;
	c->part[c->parts].off = off;
	c->part[c->parts++].len = len;
	pthread_cond_signal(&c->more);
}
