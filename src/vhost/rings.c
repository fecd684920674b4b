/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handlers of rings. Front-ends say what a ring needs in any order, and some of it again while it runs; so no
 * handler starts a ring by itself: each writes down what was said, and settle() starts or stops.
 */
#include "vhost/save.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/log.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* A packed ring that nobody gave a base begins at 0 with both wrap counters set (virtio 1.2, 2.8.1). */
#define PACKED_BASE 0x80008000u

static bool has(const struct vhost_device *d, uint64_t feature)
{
	return (d->features & feature) != 0;
}

/* The ring's three areas lie in memory that we have, over their full extent. */
static bool is_mapped(const struct vhost_device *d, const struct vhost_ring *q)
{
	uint64_t tail = has(d, WIRE_F_RING_EVENT_IDX) ? 2 : 0;
	bool packed = has(d, WIRE_F_RING_PACKED);
	uint64_t avail = packed ? 4 : 4 + UINT64_C(2) * q->size + tail;
	uint64_t used = packed ? 4 : 4 + UINT64_C(8) * q->size + tail;

	return mem_at_fva(d->mem, q->desc, UINT64_C(16) * q->size) && mem_at_fva(d->mem, q->avail, avail) &&
	       mem_at_fva(d->mem, q->used, used);
}

static bool is_enabled(const struct vhost_device *d, const struct vhost_ring *q)
{
	if (q->enable == ENABLE_UNSAID)
		return !has(d, WIRE_F_PROTOCOL_FEATURES);
	return q->enable == ENABLE_ON;
}

static bool should_run(const struct vhost_device *d, const struct vhost_ring *q)
{
	return q->kicked && q->size && q->addressed && is_enabled(d, q) && is_mapped(d, q);
}

static uint32_t base_of(const struct vhost_device *d, const struct vhost_ring *q)
{
	if (q->base_known)
		return q->base;
	return has(d, WIRE_F_RING_PACKED) ? PACKED_BASE : 0;
}

static void rest(struct vhost_device *d, struct vhost_ring *q)
{
	if (!q->running)
		return;
	q->base = d->ops->vq_stop(d->arg, (unsigned int)(q - d->ring));
	q->base_known = true;
	q->running = false;
}

static struct vring_layout layout_of(const struct vhost_device *d, const struct vhost_ring *q)
{
	return (struct vring_layout){.size = q->addressed ? q->size : 0,
		.packed = has(d, WIRE_F_RING_PACKED),
		.desc = q->desc,
		.avail = q->avail,
		.used = q->used};
}

/* Records that a front-end keeps tell by themselves: then rings_go_on() was called. */
static enum vring_track goes_on(const struct vhost_device *d, const struct vhost_ring *q)
{
	const struct vring_layout is = layout_of(d, q);

	if (q->goes_on != VRING_TRACK_NEW || q->started || d->inflight.map ||
		!vring_layout_same(&q->was, &is))
		return q->goes_on;
	return VRING_TRACK_AGAIN;
}

/*
 * The used ring is marked in the log whenever there is a log, whether or not VHOST_VRING_F_LOG was said yet:
 * marking more than asked does no harm, and the ring need not stop when a migration begins.
 */
static int start(struct vhost_device *d, struct vhost_ring *q, struct err *err)
{
	enum vring_track mode = goes_on(d, q);
	struct vhost_vq vq = {
		.ring = {.size = q->size,
			.packed = has(d, WIRE_F_RING_PACKED),
			.event_idx = has(d, WIRE_F_RING_EVENT_IDX),
			.indirect = has(d, WIRE_F_RING_INDIRECT),
			.desc = q->desc,
			.avail = q->avail,
			.used = q->used,
			.log = true,
			.log_addr = q->log_addr,
			.track = inflight_records(d, (unsigned int)(q - d->ring), q->size),
			.track_mode = mode},
		.base = base_of(d, q),
		.kick = q->kick,
		.call = q->call,
		.err = q->err,
		.resumes = mode == VRING_TRACK_RESUME || mode == VRING_TRACK_AGAIN,
	};
	unsigned int i = (unsigned int)(q - d->ring);
	const struct vhost_ring before = *q;
	int r;

	/* What it pops is in flight from then on, whether or not the message that started it is dealt with.
	 */
	q->running = q->started = true;
	q->was = layout_of(d, q);
	save_commit(d);
	q->goes_on = VRING_TRACK_NEW;
	channel_hurry(&d->channel, false);
	r = d->ops->vq_start(d->arg, i, &vq, d->mem, memory_active_log(d), err);

	q->running = !r;
	q->failed = r != 0;
	if (r) {
		q->started = before.started;
		q->was = before.was;
		q->goes_on = before.goes_on;
	}
	return r ? err_prefix(err, r, "queue %u", i) : 0;
}

/* Makes @q run or rest, as what was said of it demands. An error is only that it could not be started. */
static int settle(struct vhost_device *d, struct vhost_ring *q, struct err *err)
{
	bool should = should_run(d, q);

	if (!should)
		rest(d, q);
	if (!should || q->running || q->failed)
		return 0;
	return start(d, q, err);
}

/* The front-end has told something new of this ring. */
static int told(struct vhost_device *d, struct vhost_ring *q, struct err *err)
{
	q->failed = false;
	return settle(d, q, err);
}

/* A ring that fails here fails alone: the message spoke of something else, and was done. */
static void settle_alone(struct vhost_device *d, struct vhost_ring *q)
{
	static const uint64_t one = 1;
	struct err err = {0};
	int r = settle(d, q, &err);

	if (r)
		log_limited("vhost-user: %s", err.text);
	if (r && q->err >= 0 && write(q->err, &one, sizeof(one)) < 0)
		log_limited("vhost-user: the front-end could not be told");
}

/* Memory, log or log address have changed. If it cannot go on with them it rests; settling starts it anew. */
static void remap(struct vhost_device *d, struct vhost_ring *q)
{
	unsigned int i = (unsigned int)(q - d->ring);
	struct err err = {0};

	if (!q->running || !should_run(d, q) ||
		!d->ops->vq_remap(d->arg, i, d->mem, memory_active_log(d), q->log_addr, &err))
		return;
	log_limited("vhost-user: queue %u starts anew: %s", i, err.text);
	rest(d, q);
}

void rings_settle(struct vhost_device *d)
{
	for (unsigned int i = 0; i < d->queues; i++) {
		remap(d, &d->ring[i]);
		settle_alone(d, &d->ring[i]);
	}
}

bool rings_any_running(const struct vhost_device *d)
{
	for (unsigned int i = 0; i < d->queues; i++)
		if (d->ring[i].running)
			return true;
	return false;
}

void rings_go_on(struct vhost_device *d)
{
	for (unsigned int i = 0; i < d->inflight.queues; i++)
		d->ring[i].goes_on = VRING_TRACK_RESUME;
}

void rings_leave(struct vhost_device *d)
{
	for (unsigned int i = 0; i < d->queues; i++)
		if (d->ring[i].base_known && d->ring[i].goes_on == VRING_TRACK_NEW)
			d->ring[i].goes_on = VRING_TRACK_SAME;
}

void rings_init(struct vhost_device *d)
{
	for (unsigned int i = 0; i < ARRAY_LEN(d->ring); i++)
		d->ring[i] = (struct vhost_ring){.kick = -1, .call = -1, .err = -1};
}

void rings_reset(struct vhost_device *d)
{
	for (unsigned int i = 0; i < d->queues; i++)
		rest(d, &d->ring[i]);
	for (unsigned int i = 0; i < d->queues; i++) {
		struct vhost_ring *q = &d->ring[i];

		save_close(d, q->kick);
		*q = (struct vhost_ring){.kick = -1, .call = q->call, .err = q->err};
	}
}

void rings_close(struct vhost_device *d)
{
	bool remember = d->cfg.persistent && !d->inflight.map;
	struct vring_layout was[VHOST_MAX_QUEUES] = {0};

	for (unsigned int i = 0; i < d->queues && remember; i++)
		was[i] = d->ring[i].was;
	rings_reset(d);
	for (unsigned int i = 0; i < d->queues; i++) {
		save_close(d, d->ring[i].call);
		save_close(d, d->ring[i].err);
	}
	rings_init(d);
	for (unsigned int i = 0; i < d->queues; i++)
		d->ring[i].was = was[i];
}

static struct vhost_ring *ring_at(struct vhost_device *d, uint64_t index, struct err *err)
{
	if (index < d->queues)
		return &d->ring[index];
	err_set(err, EINVAL,
		"queue %llu, but 0 to %u are there; offer more (--queues), or let the front-end use fewer",
		(unsigned long long)index, d->queues - 1);
	return NULL;
}

static struct vhost_ring *ring_state(
	struct vhost_device *d, const struct message *m, uint32_t *num, struct err *err)
{
	struct wire_vring_state state;

	memcpy(&state, m->payload, sizeof(state));
	*num = state.num;
	return ring_at(d, state.index, err);
}

HANDLER(handle_set_vring_num)
{
	uint32_t num;
	struct vhost_ring *q = ring_state(d, m, &num, err);

	(void)reply;
	if (!q)
		return -EINVAL;
	if (!num || num > VRING_MAX_SIZE)
		return err_set(err, EINVAL, "a ring of %u descriptors", num);
	if (q->running && num != q->size)
		return err_set(err, EBUSY, "the size of a running ring changes");
	q->size = num;
	return told(d, q, err);
}

HANDLER(handle_set_vring_base)
{
	uint32_t num;
	struct vhost_ring *q = ring_state(d, m, &num, err);

	(void)reply;
	if (!q)
		return -EINVAL;
	if (q->running)
		return err_set(err, EBUSY, "the base of a running ring changes");
	q->base = num;
	q->base_known = true;
	return told(d, q, err);
}

HANDLER(handle_get_vring_base)
{
	struct wire_vring_state state;
	struct vhost_ring *q;

	memcpy(&state, m->payload, sizeof(state));
	q = ring_at(d, state.index, err);
	if (!q)
		return -EINVAL;
	rest(d, q);
	q->kicked = false;
	save_close(d, q->kick);
	q->kick = -1;
	state.num = base_of(d, q);
	reply_set(reply, &state, sizeof(state));
	return 0;
}

HANDLER(handle_set_vring_enable)
{
	uint32_t num;
	struct vhost_ring *q = ring_state(d, m, &num, err);

	(void)reply;
	if (!q)
		return -EINVAL;
	if (num > 1)
		return err_set(err, EINVAL, "enable %u", num);
	q->enable = num ? ENABLE_ON : ENABLE_OFF;
	return told(d, q, err);
}

/* While it runs this only switches the log on and off in practice: then at most the address in the log
 * differs. */
HANDLER(handle_set_vring_addr)
{
	struct wire_vring_addr a;
	struct vhost_ring *q;

	(void)reply;
	memcpy(&a, m->payload, sizeof(a));
	q = ring_at(d, a.index, err);
	if (!q)
		return -EINVAL;
	if (q->desc.v != a.desc || q->avail.v != a.avail || q->used.v != a.used)
		rest(d, q);
	q->desc.v = a.desc;
	q->avail.v = a.avail;
	q->used.v = a.used;
	q->addressed = true;
	if (q->log_addr.v != a.log) {
		q->log_addr.v = a.log;
		remap(d, q);
	}
	return told(d, q, err);
}

/*
 * One that was connected to somewhere: it could be the front-end's end of this very connection, which we
 * would keep from ending. User-Mode Linux sends one of a socketpair(2).
 */
static bool is_connection(int fd, const struct stat *st)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	return S_ISSOCK(st->st_mode) &&
	       (getpeername(fd, (struct sockaddr *)&peer, &len) || len > sizeof(sa_family_t));
}

/* Something that can be waited on and written to without waiting: an eventfd, a pipe, half a socketpair. */
static int check_event_fd(int fd, struct err *err)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st))
		return err_sys(err, errno, "looking at a descriptor");
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode) || is_connection(fd, &st))
		return err_set(err, EINVAL, "a descriptor that nothing can wait on");
	if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return err_sys(err, errno, "making a descriptor non-blocking");
	return 0;
}

/* The ring and the descriptor (*fd, -1: none) of SET_VRING_KICK, _CALL or _ERR; NULL if it is refused. */
static struct vhost_ring *ring_fd(struct vhost_device *d, struct message *m, int *fd, struct err *err)
{
	uint64_t v = message_u64(m);
	bool none = (v & WIRE_VRING_NO_FD) != 0;
	struct vhost_ring *q = ring_at(d, v & WIRE_VRING_INDEX, err);

	if (!q)
		return NULL;
	if (none != !m->nfds) {
		err_set(err, EPROTO, none ? "a descriptor with the flag that says none" : "no descriptor");
		return NULL;
	}
	if (!none && check_event_fd(m->fds[0], err))
		return NULL;
	*fd = message_take_fd(m, 0);
	return q;
}

/* The guest's new call descriptor is taken over at once; for another kick or error descriptor the ring rests.
 */
static int set_fd(struct vhost_device *d, struct message *m, size_t member, struct err *err)
{
	int fd = -1;
	struct vhost_ring *q = ring_fd(d, m, &fd, err);
	int *slot;

	if (!q)
		return -EINVAL;
	slot = (int *)(void *)((char *)q + member);
	if (slot != &q->call)
		rest(d, q);
	save_close(d, *slot);
	*slot = fd;
	if (slot == &q->kick)
		q->kicked = true;
	if (q->running)
		d->ops->vq_set_call(d->arg, (unsigned int)(q - d->ring), fd);
	return told(d, q, err);
}

HANDLER(handle_set_vring_kick)
{
	(void)reply;
	return set_fd(d, m, offsetof(struct vhost_ring, kick), err);
}

HANDLER(handle_set_vring_call)
{
	(void)reply;
	return set_fd(d, m, offsetof(struct vhost_ring, call), err);
}

HANDLER(handle_set_vring_err)
{
	(void)reply;
	return set_fd(d, m, offsetof(struct vhost_ring, err), err);
}
