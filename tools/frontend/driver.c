/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver's side of a virtqueue: what split and packed rings share. */
#include "driver.h"
#include "driver_ring.h"

#include "base/arith.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct areas {
	size_t desc, avail, used;
};

static struct areas area_sizes(const struct drv_config *cfg)
{
	if (cfg->packed)
		return (struct areas){16ul * cfg->size, 4, 4};
	return (struct areas){16ul * cfg->size, 6 + 2ul * cfg->size, 6 + 8ul * cfg->size};
}

static void *alloc(struct guestmem *gm, int region, size_t size, size_t align)
{
	return region < 0 ? gm_alloc(gm, size, align) : gm_alloc_at(gm, (unsigned int)region, size, align);
}

int drv_init(struct drv_queue *q, struct guestmem *gm, const struct drv_config *cfg)
{
	struct areas a = area_sizes(cfg);

	*q = (struct drv_queue){.cfg = *cfg};
	q->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->desc = alloc(gm, cfg->region, a.desc, 16);
	q->avail = alloc(gm, cfg->region, a.avail, 4);
	q->used = alloc(gm, cfg->region, a.used, 4);
	q->slot = calloc(cfg->size, sizeof(*q->slot));
	if (q->kick < 0 || q->call < 0 || q->err < 0)
		return -EMFILE;
	if (!q->desc || !q->avail || !q->used || !q->slot)
		return -ENOMEM;
	drv_reset(q, cfg->base);
	return 0;
}

void drv_free(struct drv_queue *q)
{
	close(q->kick);
	close(q->call);
	close(q->err);
	free(q->slot);
	q->slot = NULL;
}

void drv_reset(struct drv_queue *q, uint32_t base)
{
	struct areas a = area_sizes(&q->cfg);

	memset(q->desc, 0, a.desc);
	memset(q->avail, 0, a.avail);
	memset(q->used, 0, a.used);
	for (unsigned int i = 0; i < q->cfg.size; i++)
		q->slot[i] = (struct drv_slot){.next = (uint16_t)(i + 1)};
	q->free_id = 0;
	q->free_desc = q->cfg.size;
	q->unkicked = 0;
	if (q->cfg.packed)
		packed_reset(q, base);
	else
		split_reset(q, base);
}

int drv_add(struct drv_queue *q, const struct drv_seg *seg, unsigned int nin, unsigned int nout,
	const struct drv_table *table, void *cookie)
{
	struct chain c = {seg, nin, nin + nout, table};
	unsigned int need = table ? 1 : c.total;

	if (!c.total || need > q->free_desc || (table && c.total > table->cap))
		return -ENOSPC;
	if (q->cfg.packed)
		packed_add(q, &c, cookie);
	else
		split_add(q, &c, cookie);
	q->free_desc -= need;
	return 0;
}

void drv_hold(struct drv_queue *q)
{
	q->held = true;
}

void drv_release(struct drv_queue *q)
{
	q->held = false;
	if (q->cfg.packed)
		packed_publish(q);
	else
		split_publish(q);
}

void drv_kick_always(struct drv_queue *q)
{
	uint64_t one = 1;

	q->kicks++;
	if (write(q->kick, &one, sizeof(one)) != sizeof(one))
		abort();
}

void drv_kick(struct drv_queue *q)
{
	bool wanted;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	wanted = q->cfg.packed ? packed_kick_wanted(q) : split_kick_wanted(q);
	if (wanted)
		drv_kick_always(q);
}

int drv_get(struct drv_queue *q, void **cookie, uint32_t *len)
{
	return q->cfg.packed ? packed_get(q, cookie, len) : split_get(q, cookie, len);
}

bool drv_want_call(struct drv_queue *q)
{
	if (q->cfg.packed)
		packed_want_call(q);
	else
		split_want_call(q);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return q->cfg.packed ? packed_ready(q) : split_ready(q);
}

void drv_no_call(struct drv_queue *q)
{
	if (q->cfg.packed)
		packed_no_call(q);
	else
		split_no_call(q);
}

bool drv_signalled(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t v;

	return poll(&p, 1, timeout_ms) == 1 && read(fd, &v, sizeof(v)) == sizeof(v);
}

int drv_wait(struct drv_queue *q, int timeout_ms)
{
	bool ready = drv_want_call(q);

	/* A call may still be there from what was taken without it: such a wake-up is a false one. */
	while (!ready && drv_signalled(q->call, timeout_ms)) {
		q->calls++;
		ready = drv_want_call(q);
	}
	drv_no_call(q);
	return ready;
}

unsigned int drv_in_flight(const struct drv_queue *q)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < q->cfg.size; i++)
		n += q->slot[i].ndesc != 0;
	return n;
}
