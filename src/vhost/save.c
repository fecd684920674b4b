/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost/save.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <stdatomic.h>

static void describe_memory(const struct vhost_device *d, struct saved_state *s)
{
	s->regions = d->mem ? mem_regions(d->mem) : 0;
	for (unsigned int i = 0; i < s->regions; i++)
		mem_region(d->mem, i, &s->region[i].desc, &s->region[i].fd);
	s->log = (struct saved_area){.fd = -1};
	if (d->log)
		mem_log_describe(d->log, &s->log.fd, &s->log.offset, &s->log.size);
	s->inflight = (struct saved_area){
		.fd = d->inflight.fd, .offset = d->inflight.offset, .size = d->inflight.size};
	s->inflight_queues = d->inflight.queues;
	s->inflight_size = d->inflight.queue_size;
}

void save_commit(struct vhost_device *d)
{
	uint32_t next = !atomic_load(&d->saved->current);
	struct saved_state *s = &d->saved->state[next];

	s->messages = d->messages;
	s->features = d->features;
	s->protocol = d->protocol;
	s->status = d->status;
	s->fd = d->fd;
	s->backend_req = atomic_load(&d->channel.fd);
	describe_memory(d, s);
	memcpy(s->ring, d->ring, sizeof(s->ring));
	s->reply = d->reply;
	atomic_store(&d->saved->current, next);
}

static bool is_ours(const struct vhost_device *d, int fd)
{
	if (fd == d->fd || fd == atomic_load(&d->channel.fd) || fd == d->inflight.fd)
		return true;
	for (unsigned int i = 0; i < d->queues; i++) {
		const struct vhost_ring *q = &d->ring[i];

		if (fd == q->kick || fd == q->call || fd == q->err)
			return true;
	}
	return false;
}

void save_flush(struct vhost_device *d)
{
	while (d->late.nfds) {
		int fd = d->late.fd[--d->late.nfds];

		if (!is_ours(d, fd))
			close(fd);
	}
	mem_unref(d->late.map);
	mem_log_unref(d->late.log);
	d->late.map = NULL;
	d->late.log = NULL;
}

void save_close(struct vhost_device *d, int fd)
{
	if (fd >= 0 && d->late.nfds < ARRAY_LEN(d->late.fd))
		d->late.fd[d->late.nfds++] = fd;
}

void save_drop_map(struct vhost_device *d, struct mem_map *map)
{
	mem_unref(d->late.map);
	d->late.map = map;
}

void save_drop_log(struct vhost_device *d, struct mem_log *log)
{
	mem_log_unref(d->late.log);
	d->late.log = log;
}

static int adopt_memory(struct vhost_device *d, const struct saved_state *s, struct err *err)
{
	d->mem = mem_ref(d->no_memory);
	for (unsigned int i = 0; i < MIN(s->regions, (unsigned int)MEM_MAX_REGIONS); i++) {
		struct mem_map *more;
		int r = mem_with(d->mem, &s->region[i].desc, s->region[i].fd, &more, err);

		if (r)
			return r;
		mem_unref(d->mem);
		d->mem = more;
	}
	if (s->log.fd >= 0)
		d->log = mem_log_new(s->log.fd, s->log.offset, s->log.size, err);
	if (s->log.fd >= 0 && !d->log)
		return -EINVAL;
	return s->inflight.fd >= 0 ? inflight_use(d, s->inflight.fd, &s->inflight, s->inflight_queues,
					     s->inflight_size, err)
				   : 0;
}

/* A ring that ran goes on where its records say. One that rested may: nothing of it was lost. */
static void adopt_rings(struct vhost_device *d, const struct saved_state *s)
{
	memcpy(d->ring, s->ring, sizeof(d->ring));
	for (unsigned int i = 0; i < ARRAY_LEN(d->ring); i++) {
		struct vhost_ring *q = &d->ring[i];

		if (q->running)
			q->goes_on = VRING_TRACK_RESUME;
		else if (q->base_known && q->goes_on == VRING_TRACK_NEW)
			q->goes_on = VRING_TRACK_SAME;
		q->running = false;
		q->failed = false;
	}
}

int save_adopt(struct vhost_device *d, struct err *err)
{
	const struct saved_state *s = &d->saved->state[atomic_load(&d->saved->current) & 1];
	int r;

	d->messages = s->messages;
	d->fd = s->fd;
	if (d->saved->in.number == d->messages)
		message_next(&d->saved->in);
	adopt_rings(d, s);
	if (d->fd < 0)
		return 0;
	d->features = s->features & d->offered;
	d->protocol = s->protocol & d->offered_protocol;
	d->status = s->status;
	channel_adopt(&d->channel, s->backend_req);
	d->reply = s->reply;
	r = adopt_memory(d, s, err);
	if (!r && s->reply.len > sizeof(s->reply.byte))
		r = err_set(err, EINVAL, "a reply of %u bytes", s->reply.len);
	if (!r)
		r = message_adopt(&d->saved->in, err);
	if (!r)
		save_commit(d); /* the memory has other descriptors now, and the old ones will be closed */
	return r;
}
