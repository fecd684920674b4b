/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of a device outlives its process. Each message's effect is written as a whole new state, and one store
 * makes it the one that counts; with it the message counts as dealt with. What the old state named is closed
 * only then. Inside of src/vhost; control thread only.
 */
#ifndef VHOST_SAVE_H
#define VHOST_SAVE_H

#include "vhost/internal.h"

struct saved_state {
	uint64_t messages; /* number of the last message that was dealt with */
	uint64_t features, protocol;
	uint8_t status;
	int fd, backend_req;
	unsigned int regions;
	struct saved_region {
		struct mem_desc desc;
		int fd;
	} region[MEM_MAX_REGIONS];
	struct saved_area {
		int fd; /* -1: there is none */
		uint64_t offset, size;
	} log, inflight;
	uint16_t inflight_queues, inflight_size;
	struct vhost_ring ring[VHOST_MAX_QUEUES];
	struct message_bytes reply; /* to that message; length 0: none */
};

struct vhost_saved {
	_Atomic uint32_t current; /* which state counts */
	struct saved_state state[2];
	struct message_in in;
	struct message_out out;
	struct channel_asked asked; /* of the channel, and with its lock held */
};

/* The device as it is counts from now on. */
void save_commit(struct vhost_device *d);
/* Behind that: closes what was given to save_close(), unless the device has it again. */
void save_flush(struct vhost_device *d);

/* @fd, -1 allowed, is closed when the next state counts; so is what @map and @log hold. */
void save_close(struct vhost_device *d, int fd);
void save_drop_map(struct vhost_device *d, struct mem_map *map);
void save_drop_log(struct vhost_device *d, struct mem_log *log);

/* The device becomes what the state says. 0 or -errno with @err: then it is not connected. */
int save_adopt(struct vhost_device *d, struct err *err);

#endif
