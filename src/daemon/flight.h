/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests that wait for locks, in a migration: they stay in the guest's rings, unanswered, and the records
 * of what is in flight there go along, so that the other daemon runs them again and answers them. Queues rest
 * and no thread waits any more. One thread at a time.
 */
#ifndef DAEMON_FLIGHT_H
#define DAEMON_FLIGHT_H

#include "base/stream.h"
#include "vhost/device.h"

struct flight {
	struct vhost_flight ring[VHOST_MAX_QUEUES]; /* size 0: nothing. The records are ours */
	uint64_t len[VHOST_MAX_QUEUES];		    /* bytes that are there */
};

/* Zeroed at first. A copy of what is in flight: 0 or -ENOMEM with @err. */
int flight_gather(struct flight *f, const struct vhost_device *d, struct err *err);
/* As records of @kind; and the next one of these: 0 or -errno with @err. */
void flight_save(const struct flight *f, struct stream *out, uint32_t kind);
int flight_load(struct flight *f, struct cursor payload, struct err *err);
/* The rings of @d will go on with what was loaded. 0 or -errno with @err. */
int flight_hand_over(const struct flight *f, struct vhost_device *d, struct err *err);
void flight_drop(struct flight *f);

#endif
