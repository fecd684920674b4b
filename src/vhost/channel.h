/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The back-end's own requests to the front-end (SET_BACKEND_REQ_FD): for now those that map files into the
 * device's shared memory. The control thread serves the front-end's messages all the while, as a front-end
 * may wait for that before it answers us; so requests come from other threads only, one after the other.
 */
#ifndef VHOST_CHANNEL_H
#define VHOST_CHANNEL_H

#include "vhost/wire.h"

#include <pthread.h>
#include <stdbool.h>

/* A request that an answer may be due to. Can be in memory that outlives the process. */
struct channel_asked {
	_Atomic uint32_t state;
	uint32_t request;
	struct wire_shmem map;
};

struct channel {
	_Atomic int fd; /* -1: none. Changed by the control thread with @lock held */

	pthread_mutex_t lock;	     /* held for a whole request */
	struct channel_asked *asked; /* what was not waited for to the end */
	struct channel_asked own;
	bool slow; /* a request timed out: the next ones wait less */
	_Atomic bool hurried;

	pthread_mutex_t seen_lock; /* guards what follows */
	pthread_cond_t seen;
	uint64_t tables; /* messages of guest memory that have come */
	unsigned int missed;
	int64_t longest_ns; /* from an answer to the memory message that followed; 0: none ever did */
};

/* @asked: where to note what is asked; NULL: nowhere else. */
void channel_init(struct channel *ch, struct channel_asked *asked);
void channel_destroy(struct channel *ch);

/* Control thread: another descriptor, -1 for none; the channel's from here on. Who waits for an answer on the
 * old one has -ENODEV at once. */
void channel_set(struct channel *ch, int fd);
/* Likewise, at the start: an earlier process had it, whose last request is in @asked. */
void channel_adopt(struct channel *ch, int fd);
/* As channel_set(), but the old one, or -1, is the caller's. */
int channel_take(struct channel *ch, int fd);

/* Control thread: the front-end has told of guest memory, which it does when a mapping has become visible. */
void channel_memory_told(struct channel *ch);

/*
 * Control thread: the front-end waits for an answer of ours, with the guest at rest. So it tells of no
 * memory, and answers requests soon, by another thread, or not at all.
 */
void channel_hurry(struct channel *ch, bool hurried);

/*
 * WIRE_BACKEND_SHMEM_MAP with @fd, which stays the caller's, or _UNMAP with -1. Returns when the guest sees
 * it done: after the answer, and after the message about guest memory that some front-ends send behind it.
 * 0, -EREMOTEIO (the front-end refused), -ENODEV (no channel, or it broke), -ETIMEDOUT, -EINTR (*cancelled
 * was set, and a signal came). A mapping whose answer comes too late is undone ahead of the next request.
 */
int channel_shmem(struct channel *ch, enum wire_backend_request request, const struct wire_shmem *m, int fd,
	const _Atomic bool *cancelled);

#endif
