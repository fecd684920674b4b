/* SPDX-License-Identifier: BSD-3-Clause */
/* The device's life: made, connected, serving one message after the other, disconnected. See device.h. */
#include "vhost/save.h"

#include "base/arith.h"
#include "base/cleanup.h"

#define FEATURES                                                                               \
	(WIRE_F_VERSION_1 | WIRE_F_PROTOCOL_FEATURES | WIRE_F_LOG_ALL | WIRE_F_RING_INDIRECT | \
		WIRE_F_RING_EVENT_IDX)
#define PROTOCOL                                                                                         \
	(WIRE_P_MQ | WIRE_P_LOG_SHMFD | WIRE_P_REPLY_ACK | WIRE_P_BACKEND_REQ | WIRE_P_BACKEND_SEND_FD | \
		WIRE_P_CONFIGURE_MEM_SLOTS | WIRE_P_RESET_DEVICE | WIRE_P_STATUS | WIRE_P_INFLIGHT_SHMFD)

/*
 * With shared memory no memory slots are offered: each mapping would take one of QEMU's, which aborts when
 * they run out, and when a device is reset that still has some.
 */
static uint64_t protocol_of(const struct vhost_config *cfg, const struct vhost_ops *ops)
{
	uint64_t protocol =
		PROTOCOL | (cfg->tag[0] ? WIRE_P_CONFIG : 0) | (ops->state_begin ? WIRE_P_DEVICE_STATE : 0);

	for (unsigned int i = 0; i < VHOST_MAX_SHMEM; i++)
		if (cfg->shmem[i])
			protocol = (protocol | WIRE_P_SHMEM) & ~WIRE_P_CONFIGURE_MEM_SLOTS;
	return protocol;
}

struct vhost_device *vhost_device_new(const struct vhost_config *cfg, const struct vhost_ops *ops, void *arg)
{
	struct vhost_device *d;

	if (!cfg->request_queues || cfg->request_queues >= VHOST_MAX_QUEUES)
		return NULL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->no_memory = mem_new();
	d->own_saved = cfg->saved ? NULL : calloc(1, sizeof(*d->own_saved));
	d->saved = cfg->saved ? cfg->saved : d->own_saved;
	if (!d->no_memory || !d->saved) {
		mem_unref(d->no_memory);
		free(d->own_saved);
		free(d);
		return NULL;
	}
	d->cfg = *cfg;
	d->ops = ops;
	d->arg = arg;
	d->queues = 1 + cfg->request_queues;
	d->offered = FEATURES | (cfg->packed ? WIRE_F_RING_PACKED : 0);
	d->offered_protocol = protocol_of(cfg, ops);
	d->fd = -1;
	channel_init(&d->channel, &d->saved->asked);
	d->reply.fd = -1;
	d->inflight.fd = -1;
	rings_init(d);
	if (!cfg->adopt) {
		d->saved->in.number = 1;
		save_commit(d);
	}
	return d;
}

uint32_t vhost_saved_size(void)
{
	return sizeof(struct vhost_saved);
}

uint32_t vhost_track_size(void)
{
	return (uint32_t)arith_align_up(
		MAX(vring_track_size(true, VRING_MAX_SIZE), vring_track_size(false, VRING_MAX_SIZE)), 4096);
}

int vhost_device_adopt(struct vhost_device *d, struct err *err)
{
	return save_adopt(d, err);
}

static int keep_ring(const struct vhost_ring *q, struct fdmap *map)
{
	int r = fdmap_add(map, q->kick);

	if (!r)
		r = fdmap_add(map, q->call);
	return r ? r : fdmap_add(map, q->err);
}

/* A message that is not dealt with yet may hold what a ring has already. */
static int keep_message(const struct message *m, struct fdmap *map)
{
	int r = 0;

	for (unsigned int i = 0; i < MIN(m->nfds, (unsigned int)MESSAGE_FDS_MAX) && !r; i++)
		r = fdmap_has(map, m->fds[i]) ? 0 : fdmap_add(map, m->fds[i]);
	return r;
}

int vhost_device_keep_fds(const struct vhost_device *d, struct fdmap *map)
{
	struct mem_desc desc;
	uint64_t n;
	int fd = -1;
	int r = fdmap_add(map, d->fd);

	if (!r)
		r = fdmap_add(map, atomic_load(&d->channel.fd));
	if (!r)
		r = fdmap_add(map, d->inflight.fd);
	if (d->log)
		mem_log_describe(d->log, &fd, &n, &n);
	if (!r)
		r = fdmap_add(map, fd);
	for (unsigned int i = 0; d->mem && i < mem_regions(d->mem) && !r; i++) {
		mem_region(d->mem, i, &desc, &fd);
		r = fdmap_add(map, fd);
	}
	for (unsigned int i = 0; i < d->queues && !r; i++)
		r = keep_ring(&d->ring[i], map);
	if (!r && d->reply.len && d->reply.fd >= 0 && !fdmap_has(map, d->reply.fd))
		r = fdmap_add(map, d->reply.fd);
	return r ? r : keep_message(&d->saved->in.m, map);
}

void vhost_device_free(struct vhost_device *d)
{
	if (!d)
		return;
	vhost_device_disconnect(d);
	channel_destroy(&d->channel);
	mem_unref(d->no_memory);
	free(d->own_saved);
	free(d);
}

void vhost_device_connect(struct vhost_device *d, int fd)
{
	d->fd = fd;
	d->mem = mem_ref(d->no_memory);
	d->features = 0;
	d->protocol = 0;
	d->status = 0;
	save_commit(d);
}

/* A descriptor that went with the reply is closed; no state may name it then, as its number comes again. */
static void drop_reply(struct vhost_device *d)
{
	int fd = d->reply.fd;

	d->reply.len = 0;
	d->reply.fd = -1;
	if (fd < 0)
		return;
	save_commit(d);
	close(fd);
}

void vhost_device_disconnect(struct vhost_device *d)
{
	if (d->fd < 0)
		return;
	save_close(d, channel_take(&d->channel,
			      -1)); /* first: a ring may wait for one who waits for an answer there */
	rings_close(d);
	if (d->cfg.persistent)
		d->ops->gone(d->arg);
	else
		d->ops->reset(d->arg);
	save_close(d, d->fd);
	d->fd = -1;
	inflight_close(d);
	save_drop_map(d, d->mem);
	save_drop_log(d, d->log);
	d->mem = NULL;
	d->log = NULL;
	drop_reply(d);
	d->messages = d->saved->in.number;
	save_commit(d);
	message_clear(&d->saved->in.m);
	message_next(&d->saved->in);
	save_flush(d);
}

int vhost_device_fd(const struct vhost_device *d)
{
	return d->fd;
}

bool vhost_device_vanished(const struct vhost_device *d)
{
	return d->fd >= 0 && (mem_vanished(d->mem) || mem_log_vanished(d->log) || inflight_vanished(d));
}

static int send_reply(struct vhost_device *d, struct err *err)
{
	int r = message_send(&d->saved->out, d->fd, d->messages, &d->reply, err);

	if (r)
		return r;
	drop_reply(d);
	return 0;
}

/* The message is dealt with, whatever becomes of this process: what is left is to tell of it. */
static int conclude(struct vhost_device *d, struct err *err)
{
	int r;

	d->messages = d->saved->in.number;
	save_commit(d);
	message_next(&d->saved->in);
	save_flush(d);
	r = send_reply(d, err);
	return r ? err_prefix(err, r, "message %u", d->in.header.request) : 0;
}

static int dispatch(struct vhost_device *d, struct err *err)
{
	int r;

	d->in = d->saved->in.m;
	d->reply.len = 0;
	r = messages_dispatch(d, err);
	if (r) {
		d->saved->in.m = d->in; /* without the descriptors that were taken */
		return r;
	}
	r = conclude(d, err);
	message_clear(&d->in);
	return r;
}

int vhost_device_resume(struct vhost_device *d, struct err *err)
{
	const struct message *m = &d->saved->in.m;
	int r;

	if (d->fd < 0)
		return 0;
	r = send_reply(d, err);
	if (r)
		return r;
	rings_settle(d);
	save_commit(d);
	if (m->have < sizeof(m->header) || m->have < sizeof(m->header) + m->header.size)
		return 0;
	return dispatch(d, err);
}

int vhost_device_serve(struct vhost_device *d, struct err *err)
{
	int r = message_receive(&d->saved->in, d->fd, err);

	if (r == -EAGAIN)
		return 1;
	if (r > 0) {
		r = dispatch(d, err);
		r = r ? r : 1;
	}
	return r == -ECONNRESET || r == -EPIPE ? 0 : r;
}

bool vhost_device_has_shmem(const struct vhost_device *d)
{
	const uint64_t needs = WIRE_P_SHMEM | WIRE_P_BACKEND_REQ | WIRE_P_REPLY_ACK;

	return (atomic_load(&d->protocol) & needs) == needs && atomic_load(&d->channel.fd) >= 0;
}

static int shmem(struct vhost_device *d, enum wire_backend_request request, const struct vhost_shmem *m,
	int fd, const _Atomic bool *cancelled)
{
	struct wire_shmem wire = {.shmid = m->shmid,
		.fd_offset = m->fd_offset,
		.shm_offset = m->shm_offset,
		.len = m->len,
		.flags = WIRE_SHMEM_RW};

	if (!vhost_device_has_shmem(d))
		return -ENODEV;
	return channel_shmem(&d->channel, request, &wire, fd, cancelled);
}

int vhost_device_map(
	struct vhost_device *d, const struct vhost_shmem *m, int fd, const _Atomic bool *cancelled)
{
	return shmem(d, WIRE_BACKEND_SHMEM_MAP, m, fd, cancelled);
}

int vhost_device_unmap(struct vhost_device *d, const struct vhost_shmem *m, const _Atomic bool *cancelled)
{
	return shmem(d, WIRE_BACKEND_SHMEM_UNMAP, m, -1, cancelled);
}
