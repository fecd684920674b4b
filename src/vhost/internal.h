/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of src/vhost share: the device's state, and the handlers that the table of messages
 * (messages.c) names. Control thread only, like everything here.
 */
#ifndef VHOST_INTERNAL_H
#define VHOST_INTERNAL_H

#include "vhost/channel.h"
#include "vhost/device.h"
#include "vhost/message.h"

#include <stdatomic.h>
#include <string.h>

/* What a front-end has said of one ring. It runs when all that it needs has been said. */
struct vhost_ring {
	uint32_t size; /* 0: not said */
	uint32_t base;
	bool base_known;
	bool addressed; /* the four addresses are known */
	struct fva desc;
	struct fva avail;
	struct fva used;
	struct gpa log_addr;
	bool kicked; /* SET_VRING_KICK came since it was last stopped */
	enum { ENABLE_UNSAID, ENABLE_OFF, ENABLE_ON } enable;
	bool running;		  /* between vq_start() and vq_stop() */
	bool failed;		  /* could not be started: not tried again before it is told something new */
	bool started;		  /* on this connection */
	enum vring_track goes_on; /* what the next start makes of the records of what is in flight */
	struct vring_layout was;  /* of the ring that our records are of, perhaps of an earlier connection */
	int kick;
	int call;
	int err;
};

/* inflight.c: records of what is in flight that the front-end keeps. */
struct vhost_inflight {
	int fd; /* -1: there are none */
	uint64_t offset, size;
	uint16_t queues, queue_size;
	void *map, *records;
	size_t map_len;
	int guard; /* base/guard.h */
};

/* What is closed when the next state counts (save.h). */
struct vhost_late {
	int fd[4 * VHOST_MAX_QUEUES];
	unsigned int nfds;
	struct mem_map *map;
	struct mem_log *log;
};

struct vhost_device {
	struct vhost_config cfg;
	const struct vhost_ops *ops;
	void *arg;
	unsigned int queues;
	uint64_t offered;	   /* virtio and vhost features */
	uint64_t offered_protocol; /* protocol features */
	struct mem_map *no_memory; /* a map without regions */

	/* Of the connection */
	int fd;			   /* -1: none */
	struct vhost_saved *saved; /* in memory that outlives the process, or own_saved */
	struct vhost_saved *own_saved;
	struct message in; /* a copy of the one at hand */
	uint64_t messages; /* number of the last one that was dealt with */
	struct message_bytes reply;
	struct vhost_late late;
	struct vhost_inflight inflight;
	uint64_t features;
	_Atomic uint64_t protocol; /* changed by the control thread */
	uint8_t status;
	struct channel channel; /* where our own requests go; a socket, or User-Mode Linux's pipe */
	struct mem_map *mem;
	struct mem_log *log; /* NULL: none given */
	struct vhost_ring ring[VHOST_MAX_QUEUES];
};

/* The payload of a reply that is not just an acknowledgement. */
struct reply {
	int fd; /* goes with it; -1: none */
	uint32_t size;
	uint8_t payload[MESSAGE_REPLY_MAX];
};

static inline void reply_set(struct reply *reply, const void *payload, size_t size)
{
	memcpy(reply->payload, payload, size);
	reply->size = (uint32_t)size;
}

static inline void reply_u64(struct reply *reply, uint64_t value)
{
	reply_set(reply, &value, sizeof(value));
}

/* The payload as a number. The table has seen to it that it is long enough. */
static inline uint64_t message_u64(const struct message *m)
{
	uint64_t v;

	memcpy(&v, m->payload, sizeof(v));
	return v;
}

/* messages.c: does what the whole message in d->in says; the answer is in d->reply then. 0, or -errno with
 * @err: it costs the connection. */
int messages_dispatch(struct vhost_device *d, struct err *err);

/* rings.c */
void rings_init(struct vhost_device *d);
/* Stops all; forgets what was said of them, but keeps the descriptors for calls and errors. */
void rings_reset(struct vhost_device *d);
/* Stops all and closes every descriptor. */
void rings_close(struct vhost_device *d);
bool rings_any_running(const struct vhost_device *d);
/* The memory, the log or a feature has changed: goes on with them, stops and starts what has to. */
void rings_settle(struct vhost_device *d);

/* The records of what is in flight say where each ring goes on. */
void rings_go_on(struct vhost_device *d);
/* Likewise, if it goes on from its base: nobody is at work any more on what is in flight. */
void rings_leave(struct vhost_device *d);

/* inflight.c */
struct saved_area;
void inflight_close(struct vhost_device *d);
/* @fd becomes the device's. 0 or -errno with @err. */
int inflight_use(struct vhost_device *d, int fd, const struct saved_area *a, uint16_t queues,
	uint16_t queue_size, struct err *err);
bool inflight_vanished(const struct vhost_device *d);
/* Those of ring @i; NULL: none are kept. */
void *inflight_records(const struct vhost_device *d, unsigned int i, uint32_t size);

/* memory.c */
struct mem_log *memory_active_log(const struct vhost_device *d);

/*
 * Handlers. Each does all or nothing. 0, or -errno with @err: refused. @reply is filled by those that the
 * table says reply.
 */
#define HANDLER(name) \
	int name(struct vhost_device *d, struct message *m, struct reply *reply, struct err *err)

HANDLER(handle_nothing);
HANDLER(handle_get_features);
HANDLER(handle_set_features);
HANDLER(handle_get_protocol_features);
HANDLER(handle_set_protocol_features);
HANDLER(handle_get_queue_num);
HANDLER(handle_set_backend_req_fd);
HANDLER(handle_get_shmem_config);
HANDLER(handle_get_config);
HANDLER(handle_set_config);
HANDLER(handle_reset_device);
HANDLER(handle_set_device_state_fd);
HANDLER(handle_check_device_state);
HANDLER(handle_get_status);
HANDLER(handle_set_status);

HANDLER(handle_set_mem_table);
HANDLER(handle_get_max_mem_slots);
HANDLER(handle_add_mem_reg);
HANDLER(handle_rem_mem_reg);
HANDLER(handle_set_log_base);

HANDLER(handle_get_inflight_fd);
HANDLER(handle_set_inflight_fd);

HANDLER(handle_set_vring_num);
HANDLER(handle_set_vring_addr);
HANDLER(handle_set_vring_base);
HANDLER(handle_get_vring_base);
HANDLER(handle_set_vring_kick);
HANDLER(handle_set_vring_call);
HANDLER(handle_set_vring_err);
HANDLER(handle_set_vring_enable);

#endif
