/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtqueue as a guest's driver keeps it, split (virtio 1.2, 2.7) or packed (2.8). What it adds is whatever
 * the caller says, also what no driver would. Memory is the guest's (guestmem.h). One thread a queue.
 */
#ifndef FRONTEND_DRIVER_H
#define FRONTEND_DRIVER_H

#include "guestmem.h"

#include <stdbool.h>
#include <linux/virtio_ring.h>

/* A piece of guest memory. */
struct drv_seg {
	uint64_t gpa;
	uint32_t len;
};

/* Memory for an indirect table of at most @cap descriptors; one chain at a time uses it. */
struct drv_table {
	void *host;
	uint64_t gpa;
	unsigned int cap;
};

struct drv_config {
	unsigned int size;
	bool packed;
	bool event_idx;
	uint32_t base; /* where the ring starts, as SET_VRING_BASE says it; packed: usually DRV_PACKED_BASE */
	int region;    /* of guest memory to lie in, -1: any */
};

#define DRV_PACKED_BASE 0x80008000u /* both indices 0, both wrap counters 1 */

/* What is in flight under one ID. */
struct drv_slot {
	void *cookie;
	uint16_t ndesc; /* 0: nothing */
	uint16_t next;	/* free IDs, and split: the chain's next descriptor */
};

struct drv_queue {
	struct drv_config cfg;
	int kick, call, err; /* eventfds, ours */

	void *desc, *avail,
		*used; /* in guest memory: split's names; packed: ring, driver and device events */
	struct drv_slot *slot;
	unsigned int free_desc; /* descriptors that may be taken */
	uint16_t free_id;	/* first of the free IDs */

	uint16_t avail_idx, kicked_idx; /* split: free running; packed: ring positions */
	uint16_t used_idx;
	bool avail_wrap, used_wrap, kicked_wrap; /* packed */
	unsigned int unkicked;			 /* packed: descriptors added since the last kick */
	bool held;				 /* drv_hold() */
	uint16_t *held_flags, first_flags;	 /* packed: of the first chain since, which come last */
	uint64_t kicks, calls;			 /* counted: eventfd writes, and wake-ups by a call */
};

/* Makes the ring in @gm. 0 or -errno; drv_free() in either case. */
int drv_init(struct drv_queue *q, struct guestmem *gm, const struct drv_config *cfg);
void drv_free(struct drv_queue *q);

/* The memory of all areas as new, and nothing in flight: a driver that starts over at @base. */
void drv_reset(struct drv_queue *q, uint32_t base);

/*
 * Adds one chain: @nin pieces for the device to read, then @nout for it to write; by an indirect table if
 * @table is given. 0, or -ENOSPC if the ring or the table is too full. Nothing is signalled.
 */
int drv_add(struct drv_queue *q, const struct drv_seg *seg, unsigned int nin, unsigned int nout,
	const struct drv_table *table, void *cookie);

/* What is added from now on is made available at once, by drv_release(). */
void drv_hold(struct drv_queue *q);
void drv_release(struct drv_queue *q);

/* Tells the device of what was added, if it wants to hear of it. */
void drv_kick(struct drv_queue *q);
void drv_kick_always(struct drv_queue *q);

/* The next chain that came back: 1 and its cookie and length, 0 if none, -EPROTO if the device wrote
 * nonsense. */
int drv_get(struct drv_queue *q, void **cookie, uint32_t *len);

/* Asks for a call and waits until something came back: 1; 0 if nothing did in time. */
int drv_wait(struct drv_queue *q, int timeout_ms);
/* Asks for a call with the next chain; true if one has come back already. */
bool drv_want_call(struct drv_queue *q);
void drv_no_call(struct drv_queue *q);

/* Chains in flight. Whether another @n descriptors would fit. */
unsigned int drv_in_flight(const struct drv_queue *q);

/* Is an eventfd signalled within the time? It is cleared. */
bool drv_signalled(int fd, int timeout_ms);

#endif
