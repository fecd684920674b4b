/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver's side of split and packed rings. See the header. */
#include "ring_driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { ENABLE, DISABLE, DESC }; /* packed event flags */

#define WRAP 0x8000U

static void add_region(struct ring_driver *d, uint64_t off, uint64_t size)
{
	struct mem_desc r = {
		.gpa = {RAM_GPA + off}, .fva = {RAM_FVA + off}, .size = size, .mmap_offset = off};
	struct mem_map *old = d->mem;
	struct err err;

	assert_int_equal(mem_with(old, &r, d->fd, &d->mem, &err), 0);
	mem_unref(old);
}

static void place_ring(struct ring_driver *d, uint32_t base)
{
	d->desc = driver_ram(d, RAM_GPA + DESC_OFF, d->cfg.size * sizeof(struct raw_desc));
	d->avail = driver_ram(d, RAM_GPA + AVAIL_OFF, 6 + 2 * d->cfg.size);
	d->used = driver_ram(d, RAM_GPA + USED_OFF, 6 + 8 * d->cfg.size);
	d->next = (uint16_t)(base & (d->cfg.packed ? 0x7fff : 0xffff));
	d->next_wrap = base & WRAP;
	d->seen = (uint16_t)(d->cfg.packed ? base >> 16 & 0x7fff : d->next);
	d->seen_wrap = base >> 31;
	if (d->cfg.packed)
		return;
	d->avail[1] = d->next;
	d->used[1] = d->next;
}

void driver_init(struct ring_driver *d, const struct vring_config *kind, uint32_t base)
{
	*d = (struct ring_driver){.cfg = *kind, .fd = memfd_create("guest", MFD_CLOEXEC), .mem = mem_new()};
	assert_true(d->fd >= 0);
	assert_int_equal(ftruncate(d->fd, RAM_SIZE), 0);
	add_region(d, 0, RAM_SPLIT);
	add_region(d, RAM_SPLIT, RAM_SIZE - RAM_SPLIT);
	d->cfg.desc.v = RAM_FVA + DESC_OFF;
	d->cfg.avail.v = RAM_FVA + AVAIL_OFF;
	d->cfg.used.v = RAM_FVA + USED_OFF;
	d->cfg.log_addr.v = RAM_GPA + USED_OFF;
	place_ring(d, base);
	d->room = d->nfree = d->cfg.size;
	d->free = calloc(d->cfg.size, sizeof(*d->free));
	d->ndesc = calloc(d->cfg.size, sizeof(*d->ndesc));
	assert_true(d->free && d->ndesc);
	for (uint32_t i = 0; i < d->nfree; i++)
		d->free[i] = (uint16_t)(d->nfree - 1 - i);
}

void driver_done(struct ring_driver *d)
{
	mem_unref(d->mem);
	close(d->fd);
	free(d->free);
	free(d->ndesc);
}

void *driver_ram(struct ring_driver *d, uint64_t gpa, uint64_t len)
{
	void *p = mem_at(d->mem, (struct gpa){gpa}, len);

	assert_non_null(p);
	return p;
}

/* Fills @n descriptors of a table, which may lie at any address, in a row; split ones are linked by index. */
static void fill_table(struct ring_driver *d, char *table, const struct buf *bufs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint16_t flags = bufs[i].writable ? F_WRITE : 0;
		struct raw_desc t = {bufs[i].gpa, bufs[i].len, 0, flags};

		if (!d->cfg.packed) {
			t.a = (uint16_t)(flags | (i + 1 < n ? F_NEXT : 0));
			t.b = (uint16_t)(i + 1);
		}
		memcpy(table + i * sizeof(t), &t, sizeof(t));
	}
}

static int add_split(struct ring_driver *d, const struct buf *bufs, uint32_t n, uint16_t extra)
{
	uint16_t head = 0, i;

	for (uint32_t k = n; k-- > 0; head = i) {
		uint16_t flags =
			(uint16_t)(extra | (bufs[k].writable ? F_WRITE : 0) | (k + 1 < n ? F_NEXT : 0));

		i = d->free[--d->nfree];
		d->desc[i] = (struct raw_desc){bufs[k].gpa, bufs[k].len, flags, head};
	}
	d->ndesc[head] = n;
	d->room -= n;
	driver_publish(d, head);
	return head;
}

/* The flags of the first descriptor are written last: they make the whole chain available. */
static int add_packed(struct ring_driver *d, const struct buf *bufs, uint32_t n, uint16_t extra)
{
	uint16_t id = d->free[--d->nfree];
	uint16_t first = d->next, first_flags = 0;

	for (uint32_t k = 0; k < n; k++) {
		struct raw_desc *s = &d->desc[d->next];
		uint16_t flags = (uint16_t)(extra | (bufs[k].writable ? F_WRITE : 0) |
					    (k + 1 < n ? F_NEXT : 0) | (d->next_wrap ? F_AVAIL : F_USED));

		s->addr = bufs[k].gpa;
		s->len = bufs[k].len;
		s->a = id;
		if (k)
			__atomic_store_n(&s->b, flags, __ATOMIC_RELAXED);
		else
			first_flags = flags;
		if (++d->next == d->cfg.size) {
			d->next = 0;
			d->next_wrap = !d->next_wrap;
		}
	}
	d->ndesc[id] = n;
	d->room -= n;
	d->added += n;
	__atomic_store_n(&d->desc[first].b, first_flags, __ATOMIC_RELEASE);
	return id;
}

int driver_add(struct ring_driver *d, const struct buf *bufs, uint32_t n, uint64_t table)
{
	struct buf one = {.gpa = table, .len = n * (uint32_t)sizeof(struct raw_desc)};
	uint16_t extra = table ? F_INDIRECT : 0;

	if (table) {
		fill_table(d, driver_ram(d, table, one.len), bufs, n);
		bufs = &one;
		n = 1;
	}
	if (d->room < n || !d->nfree)
		return -1;
	return d->cfg.packed ? add_packed(d, bufs, n, extra) : add_split(d, bufs, n, extra);
}

void driver_publish(struct ring_driver *d, uint16_t head)
{
	__atomic_store_n(&d->avail[2 + (d->next & (d->cfg.size - 1))], head, __ATOMIC_RELAXED);
	__atomic_store_n(&d->avail[1], ++d->next, __ATOMIC_RELEASE);
	d->added++;
}

/* The event lies @behind slots behind the next one to fill, 1: in the last one filled; ahead of it: huge. */
static bool must_kick_packed(struct ring_driver *d, uint32_t added)
{
	uint32_t word = __atomic_load_n((uint32_t *)(void *)d->used, __ATOMIC_ACQUIRE);
	bool same_round = !(word & WRAP) == !d->next_wrap;
	uint32_t behind = d->next + (same_round ? 0 : d->cfg.size) - (word & 0x7fff);

	if (word >> 16 != DESC)
		return word >> 16 == ENABLE;
	return behind - 1 < added;
}

bool driver_must_kick(struct ring_driver *d)
{
	uint32_t added = d->added;
	uint16_t event;

	d->added = 0;
	if (!added)
		return false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (d->cfg.packed)
		return must_kick_packed(d, added);
	if (!d->cfg.event_idx)
		return !(__atomic_load_n(&d->used[0], __ATOMIC_RELAXED) & 1);
	event = __atomic_load_n(&d->used[2 + 4 * d->cfg.size], __ATOMIC_RELAXED);
	return (uint16_t)(d->next - event - 1) < (uint16_t)added;
}

static bool used_split_is_there(struct ring_driver *d)
{
	return __atomic_load_n(&d->used[1], __ATOMIC_ACQUIRE) != d->seen;
}

static bool used_packed_is_there(struct ring_driver *d)
{
	uint16_t flags = __atomic_load_n(&d->desc[d->seen].b, __ATOMIC_ACQUIRE);
	bool a = flags & F_AVAIL, u = flags & F_USED;

	return a == u && u == d->seen_wrap;
}

static int used_split(struct ring_driver *d, uint32_t *len)
{
	uint32_t *e = (uint32_t *)(void *)&d->used[2 + 4 * (d->seen & (d->cfg.size - 1))];
	uint32_t id = __atomic_load_n(e, __ATOMIC_RELAXED), i = id;

	*len = __atomic_load_n(e + 1, __ATOMIC_RELAXED);
	assert_true(id < d->cfg.size && d->ndesc[id]);
	d->seen++;
	d->room += d->ndesc[id];
	for (uint32_t k = 0; k < d->ndesc[id]; k++, i = d->desc[i].b)
		d->free[d->nfree++] = (uint16_t)i;
	d->ndesc[id] = 0;
	return (int)id;
}

static int used_packed(struct ring_driver *d, uint32_t *len)
{
	struct raw_desc *s = &d->desc[d->seen];
	uint16_t id = __atomic_load_n(&s->a, __ATOMIC_RELAXED);

	*len = __atomic_load_n(&s->len, __ATOMIC_RELAXED);
	assert_true(id < d->cfg.size && d->ndesc[id]);
	assert_int_equal(!!(s->b & F_WRITE), !!*len);
	d->room += d->ndesc[id];
	d->free[d->nfree++] = id;
	d->seen = (uint16_t)(d->seen + d->ndesc[id]);
	if (d->seen >= d->cfg.size) {
		d->seen = (uint16_t)(d->seen - d->cfg.size);
		d->seen_wrap = !d->seen_wrap;
	}
	d->ndesc[id] = 0;
	return id;
}

int driver_used(struct ring_driver *d, uint32_t *len)
{
	if (d->cfg.packed)
		return used_packed_is_there(d) ? used_packed(d, len) : -1;
	return used_split_is_there(d) ? used_split(d, len) : -1;
}

static void set_packed_event(struct ring_driver *d, uint16_t flags)
{
	if (flags == DESC)
		__atomic_store_n(
			&d->avail[0], (uint16_t)(d->seen | (d->seen_wrap ? WRAP : 0)), __ATOMIC_RELAXED);
	__atomic_store_n(&d->avail[1], flags, __ATOMIC_RELEASE);
}

bool driver_calls(struct ring_driver *d, bool enable)
{
	if (d->cfg.packed)
		set_packed_event(d, !enable ? DISABLE : d->cfg.event_idx ? DESC : ENABLE);
	else if (!d->cfg.event_idx)
		__atomic_store_n(&d->avail[0], enable ? 0 : 1, __ATOMIC_RELAXED);
	else /* an event just passed is one that is far away */
		__atomic_store_n(&d->avail[2 + d->cfg.size], (uint16_t)(d->seen - !enable), __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return d->cfg.packed ? used_packed_is_there(d) : used_split_is_there(d);
}
