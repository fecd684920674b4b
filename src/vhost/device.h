/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user back-end of one virtio-fs device: messages in, device state changed, replies out.
 * It does not run queues: it tells its owner, through struct vhost_ops, when a queue has all it needs and
 * when it must rest. Everything here runs on the control thread. A message that breaks the protocol ends the
 * connection, with a reason; nothing else.
 */
#ifndef VHOST_DEVICE_H
#define VHOST_DEVICE_H

#include "base/err.h"
#include "base/fdmap.h"
#include "virtio/vring.h"

#define VHOST_TAG_MAX	 36
#define VHOST_MAX_QUEUES 65 /* the high-priority queue and 64 request queues */
#define VHOST_MAX_SHMEM	 2  /* shared memory regions */

/* What a queue needs to run. Descriptors stay the device's; valid until vq_stop() returns. */
struct vhost_vq {
	struct vring_config ring;
	uint32_t base;
	int kick;     /* -1: poll instead */
	int call;     /* -1: no call wanted */
	int err;      /* -1: none; written when the ring breaks */
	bool resumes; /* the last process has run it: the guest may wait for a call, or have kicked */
};

/* What the device asks of its owner. @arg is vhost_device_new()'s. */
struct vhost_ops {
	/* Starts queue @i. 0 or -errno with @err. */
	int (*vq_start)(void *arg, unsigned int i, const struct vhost_vq *vq, struct mem_map *mem,
		struct mem_log *log, struct err *err);
	/* Stops it: when this returns, guest memory is not touched, and nothing of it is in flight but
	 * requests that wait, for locks or the front-end: these go on if it is started again as it was.
	 * Returns its base. */
	uint32_t (*vq_stop)(void *arg, unsigned int i);
	/* While it runs: other memory (which holds its areas), another log, or another address of its used
	 * ring in the log. On error it is stopped and started anew. */
	int (*vq_remap)(void *arg, unsigned int i, struct mem_map *mem, struct mem_log *log,
		struct gpa log_addr, struct err *err);
	/* Likewise another descriptor for calls; the old one is closed once this has returned. */
	void (*vq_set_call)(void *arg, unsigned int i, int call);
	/*
	 * Migration. Dirty logging, which comes ahead of it, goes on or off. All queues rest, and the
	 * device's state goes to @fd or comes from there, which becomes the owner's: 0 or -errno with @err.
	 * What is in flight is dropped then: it is popped again, here or there.
	 * state_end() waits for the end of that: what came of it. NULL, all three: the device does not
	 * migrate.
	 */
	void (*logging)(void *arg, bool on);
	int (*state_begin)(void *arg, bool save, int fd, struct err *err);
	int (*state_end)(void *arg, struct err *err);
	/* All queues rest and the device is as new: a reset, or the front-end is gone. */
	void (*reset)(void *arg);
	/* With vhost_config.persistent, instead of reset(): the front-end is gone, all queues rest. What they
	 * have in flight is dropped, as it is popped again if a front-end comes back with the same rings. */
	void (*gone)(void *arg);
};

struct vhost_config {
	char tag[VHOST_TAG_MAX + 1]; /* empty: the front-end has it; CONFIG is offered only with one */
	unsigned int request_queues;
	bool packed; /* offer VIRTIO_F_RING_PACKED */
	/* A ring of the next connection that is one of the last goes on where that one was; see gone(). */
	bool persistent;
	/*
	 * Sizes of shared memory regions by their id, 0: none. QEMU wants the sum to be a power of two, and
	 * knows no mapping that is only read.
	 */
	uint64_t shmem[VHOST_MAX_SHMEM];
	uint32_t shmem_bit; /* protocol feature by which front-ends know SHMEM; 0: the specification's, 22 */
	/*
	 * Memory that outlives the process, zeroed at first: vhost_saved_size() bytes for the device's state,
	 * and vhost_track_size() bytes a queue for what is in flight. NULL: nothing is kept. @adopt: it is an
	 * earlier process's, whose descriptors this one has under the same numbers.
	 */
	void *saved, *track;
	bool adopt;
};

/* A piece of a file that the guest sees in a shared memory region. */
struct vhost_shmem {
	uint8_t shmid;
	uint64_t fd_offset, shm_offset, len;
};

uint32_t vhost_saved_size(void);
uint32_t vhost_track_size(void);

struct vhost_device;

/* NULL: memory is short, or the number of queues is not 1 .. VHOST_MAX_QUEUES - 1. @ops must outlive it. */
struct vhost_device *vhost_device_new(const struct vhost_config *cfg, const struct vhost_ops *ops, void *arg);
/* Stops everything, as vhost_device_disconnect(). */
void vhost_device_free(struct vhost_device *d);

/*
 * With cfg->adopt: vhost_device_adopt() connects the device as it was, but no queue runs before
 * vhost_device_resume(), which does what the last process was about to do. vhost_device_keep_fds() names the
 * device's descriptors. Each is 0 or -errno with @err; then the connection has to end (disconnect).
 */
int vhost_device_adopt(struct vhost_device *d, struct err *err);
int vhost_device_keep_fds(const struct vhost_device *d, struct fdmap *map);
int vhost_device_resume(struct vhost_device *d, struct err *err);

/*
 * What is in flight on a ring that rests, by records in the layout of the specification: of the device's own,
 * where the front-end keeps none. vhost_device_flight(): false if there is nothing; they stay the device's.
 * vhost_device_set_flight(): the ring goes on from these when it starts. 0, or -errno with @err.
 */
struct vhost_flight {
	uint32_t size; /* of the ring */
	bool packed;
	void *records; /* vring_track_size() bytes */
};
bool vhost_device_flight(const struct vhost_device *d, unsigned int i, struct vhost_flight *out);
int vhost_device_set_flight(
	struct vhost_device *d, unsigned int i, const struct vhost_flight *f, struct err *err);

/* A front-end has connected; @fd becomes the device's. Only when none is connected. */
void vhost_device_connect(struct vhost_device *d, int fd);
/* Stops all queues, calls reset() or gone(), closes every descriptor of the connection. Idempotent. */
void vhost_device_disconnect(struct vhost_device *d);

/*
 * The descriptor to poll for POLLIN, -1 if not connected. When it is ready, serve at most one message,
 * without waiting for what has not come: the beginning of a message is kept until the rest is there.
 * 1: go on, 0: the front-end is gone, -errno with @err: it broke the protocol, or does not read its replies.
 * Caller disconnects for the last two.
 */
int vhost_device_fd(const struct vhost_device *d);
int vhost_device_serve(struct vhost_device *d, struct err *err);

/* Memory of the connection was found gone (mem_vanished()): the caller disconnects. False if not connected.
 */
bool vhost_device_vanished(const struct vhost_device *d);

/*
 * Any thread but the control thread, which must go on serving meanwhile. vhost_device_has_shmem(): the
 * front-end can be asked. Mapping and unmapping return when the guest sees it done. A range must be free
 * when it is mapped; unmapping names one mapping as it was made. @fd stays the caller's; @cancelled may be
 * NULL. 0, -EREMOTEIO (the front-end refused), -ENODEV (it cannot be asked), -ETIMEDOUT, -EINTR; after the
 * last two the mapping is not there, or will be undone ahead of the next request.
 */
bool vhost_device_has_shmem(const struct vhost_device *d);
int vhost_device_map(
	struct vhost_device *d, const struct vhost_shmem *m, int fd, const _Atomic bool *cancelled);
int vhost_device_unmap(struct vhost_device *d, const struct vhost_shmem *m, const _Atomic bool *cancelled);

#endif
