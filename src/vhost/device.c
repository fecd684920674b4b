/* SPDX-License-Identifier: BSD-3-Clause */
/* The device's life: made, connected, serving one message after the other, disconnected. See device.h. */
#include "vhost/internal.h"

#include "base/cleanup.h"

#define FEATURES                                                                               \
	(WIRE_F_VERSION_1 | WIRE_F_PROTOCOL_FEATURES | WIRE_F_LOG_ALL | WIRE_F_RING_INDIRECT | \
		WIRE_F_RING_EVENT_IDX)
#define PROTOCOL                                                                                         \
	(WIRE_P_MQ | WIRE_P_LOG_SHMFD | WIRE_P_REPLY_ACK | WIRE_P_BACKEND_REQ | WIRE_P_BACKEND_SEND_FD | \
		WIRE_P_CONFIGURE_MEM_SLOTS | WIRE_P_RESET_DEVICE | WIRE_P_STATUS)

/*
 * With shared memory no memory slots are offered: each mapping would take one of QEMU's, which aborts when
 * they run out, and when a device is reset that still has some. Mappings do not migrate.
 */
static uint64_t protocol_of(const struct vhost_config *cfg, const struct vhost_ops *ops)
{
	uint64_t protocol =
		PROTOCOL | (cfg->tag[0] ? WIRE_P_CONFIG : 0) | (ops->state_begin ? WIRE_P_DEVICE_STATE : 0);

	for (unsigned int i = 0; i < VHOST_MAX_SHMEM; i++)
		if (cfg->shmem[i])
			protocol = (protocol | WIRE_P_SHMEM) &
				   ~(WIRE_P_CONFIGURE_MEM_SLOTS | WIRE_P_DEVICE_STATE);
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
	if (!d->no_memory) {
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
	channel_init(&d->channel);
	rings_init(d);
	return d;
}

void vhost_device_free(struct vhost_device *d)
{
	if (!d)
		return;
	vhost_device_disconnect(d);
	channel_destroy(&d->channel);
	mem_unref(d->no_memory);
	free(d);
}

void vhost_device_connect(struct vhost_device *d, int fd)
{
	d->fd = fd;
	d->mem = mem_ref(d->no_memory);
	d->features = 0;
	d->protocol = 0;
	d->status = 0;
}

void vhost_device_disconnect(struct vhost_device *d)
{
	if (d->fd < 0)
		return;
	channel_set(&d->channel, -1); /* first: a ring may wait for one who waits for an answer there */
	rings_close(d);
	d->ops->reset(d->arg);
	message_clear(&d->in);
	memory_close(d);
	cleanup_fd(&d->fd);
	d->fd = -1;
}

int vhost_device_fd(const struct vhost_device *d)
{
	return d->fd;
}

bool vhost_device_vanished(const struct vhost_device *d)
{
	return d->fd >= 0 && (mem_vanished(d->mem) || mem_log_vanished(d->log));
}

int vhost_device_serve(struct vhost_device *d, struct err *err)
{
	int r = message_receive(&d->in, d->fd, err);

	if (r == -EAGAIN)
		return 1;
	if (r > 0) {
		r = messages_dispatch(d, err);
		message_clear(&d->in);
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
