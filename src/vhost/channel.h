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

struct channel {
	_Atomic int fd; /* -1: none. Changed by the control thread with @lock held */

	pthread_mutex_t lock; /* held for a whole request */
	bool owed;	      /* an answer is still due, to @late: its request gave up waiting */
	uint32_t late;
	struct wire_shmem late_map;
	bool slow; /* a request timed out: the next ones wait less */

	pthread_mutex_t seen_lock; /* guards what follows */
	pthread_cond_t seen;
	uint64_t tables; /* messages of guest memory that have come */
	unsigned int missed;
	int64_t longest_ns; /* from an answer to the memory message that followed; 0: none ever did */
};

void channel_init(struct channel *ch);
void channel_destroy(struct channel *ch);

/* Control thread: another descriptor, -1 for none; the channel's from here on. Who waits for an answer on the
 * old one has -ENODEV at once. */
void channel_set(struct channel *ch, int fd);
/* The same, but the old one, or -1, is the caller's. */
int channel_take(struct channel *ch, int fd);

/* Control thread: the front-end has told of guest memory, which it does when a mapping has become visible. */
void channel_memory_told(struct channel *ch);

/*
 * WIRE_BACKEND_SHMEM_MAP with @fd, which stays the caller's, or _UNMAP with -1. Returns when the guest sees
 * it done: after the answer, and after the message about guest memory that some front-ends send behind it.
 * 0, -EREMOTEIO (the front-end refused), -ENODEV (no channel, or it broke), -ETIMEDOUT, -EINTR (*cancelled
 * was set, and a signal came). A mapping whose answer comes too late is undone ahead of the next request.
 */
int channel_shmem(struct channel *ch, enum wire_backend_request request, const struct wire_shmem *m, int fd,
	const _Atomic bool *cancelled);

#endif
