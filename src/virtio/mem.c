/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest memory map. A map never changes after it was made; maps that differ in one region share the
 * others. Regions are looked up by binary search, in one array a kind of address.
 */
#include "virtio/mem.h"

#include "base/arith.h"
#include "base/guard.h"
#include "virtio/internal.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct region {
	atomic_uint refs; /* one a map */
	struct mem_desc desc;
	struct mem_mapping map;
};

/* Where a region begins, by one kind of address. Copied out of the region: a search touches one array. */
struct place {
	uint64_t start;
	uint64_t size;
	char *host;
	struct region *region;
};

struct mem_map {
	atomic_uint refs;
	unsigned int n;
	struct place *by_fva;  /* @n, ascending */
	struct place by_gpa[]; /* @n, ascending; those by_fva follow */
};

static struct mem_map *map_alloc(unsigned int n)
{
	struct mem_map *m = calloc(1, sizeof(*m) + 2 * (size_t)n * sizeof(m->by_gpa[0]));

	if (!m)
		return NULL;
	atomic_init(&m->refs, 1);
	m->n = n;
	m->by_fva = m->by_gpa + n;
	return m;
}

struct mem_map *mem_new(void)
{
	return map_alloc(0);
}

unsigned int mem_regions(const struct mem_map *m)
{
	return m->n;
}

void mem_region(const struct mem_map *m, unsigned int i, struct mem_desc *desc, int *fd)
{
	*desc = m->by_gpa[i].region->desc;
	*fd = m->by_gpa[i].region->map.fd;
}

struct mem_map *mem_ref(struct mem_map *m)
{
	atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
	return m;
}

static void region_unref(struct region *r)
{
	if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
		return;
	mem_mapping_drop(&r->map);
	free(r);
}

void mem_unref(struct mem_map *m)
{
	if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned int i = 0; i < m->n; i++)
		region_unref(m->by_gpa[i].region);
	free(m);
}

bool mem_vanished(const struct mem_map *m)
{
	for (unsigned int i = 0; i < m->n; i++)
		if (guard_hit(m->by_gpa[i].region->map.guard))
			return true;
	return false;
}

/* How many places begin at or below @addr: the one before that index is the only one that may hold it. */
static unsigned int upper_bound(const struct place *p, unsigned int n, uint64_t addr)
{
	unsigned int low = 0;

	while (low < n) {
		unsigned int mid = low + (n - low) / 2;

		if (p[mid].start <= addr)
			low = mid + 1;
		else
			n = mid;
	}
	return low;
}

/* The place that holds @addr, or NULL. */
static const struct place *find(const struct place *p, unsigned int n, uint64_t addr)
{
	unsigned int i = upper_bound(p, n, addr);

	return i && addr - p[i - 1].start < p[i - 1].size ? &p[i - 1] : NULL;
}

/* Index at which a place [start, start + size) fits between those of @p, or -1 if it overlaps one. */
static int fit(const struct place *p, unsigned int n, uint64_t start, uint64_t size)
{
	unsigned int i = upper_bound(p, n, start);

	if (i && start - p[i - 1].start < p[i - 1].size)
		return -1;
	if (i < n && p[i].start - start < size)
		return -1;
	return (int)i;
}

static void insert(
	struct place *to, const struct place *from, unsigned int n, int at, const struct place *add)
{
	memcpy(to, from, (size_t)at * sizeof(*to));
	to[at] = *add;
	memcpy(to + at + 1, from + at, (n - (unsigned int)at) * sizeof(*to));
}

/* The index that a range of @size bytes at @start gets in @p, or -EINVAL with @err. @what: the kind of
 * address. */
static int slot_for(const struct place *p, unsigned int n, uint64_t start, uint64_t size, const char *what,
	struct err *err)
{
	uint64_t end;
	int i;

	if (!size)
		return err_set(err, EINVAL, "a memory region has size 0");
	if (!arith_add(start, size, &end))
		return err_set(err, EINVAL, "a memory region of %#llx bytes at %s address %#llx wraps around",
			(unsigned long long)size, what, (unsigned long long)start);
	i = fit(p, n, start, size);
	if (i < 0)
		return err_set(err, EINVAL,
			"a memory region of %#llx bytes at %s address %#llx overlaps another",
			(unsigned long long)size, what, (unsigned long long)start);
	return i;
}

/* A new region with one reference, or NULL with *ret and @err. */
static struct region *region_make(const struct mem_desc *desc, int fd, int *ret, struct err *err)
{
	struct region *r = calloc(1, sizeof(*r));

	if (!r) {
		*ret = err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	atomic_init(&r->refs, 1);
	r->desc = *desc;
	*ret = mem_mapping_make(&r->map, fd, desc->mmap_offset, desc->size, err);
	if (!*ret)
		return r;
	free(r);
	return NULL;
}

static void take_regions(struct mem_map *m)
{
	for (unsigned int i = 0; i < m->n; i++)
		atomic_fetch_add_explicit(&m->by_gpa[i].region->refs, 1, memory_order_relaxed);
}

/* @old and @r, which goes to index @g by guest-physical and to @f by front-end address. NULL if memory is
 * short. */
static struct mem_map *map_and(const struct mem_map *old, struct region *r, int g, int f)
{
	struct place add = {.size = r->desc.size, .host = r->map.host, .region = r};
	struct mem_map *m = map_alloc(old->n + 1);

	if (!m)
		return NULL;
	add.start = r->desc.gpa.v;
	insert(m->by_gpa, old->by_gpa, old->n, g, &add);
	add.start = r->desc.fva.v;
	insert(m->by_fva, old->by_fva, old->n, f, &add);
	take_regions(m);
	return m;
}

int mem_with(struct mem_map *old, const struct mem_desc *desc, int fd, struct mem_map **out, struct err *err)
{
	struct region *region;
	int g, f, r;

	if (old->n >= MEM_MAX_REGIONS)
		return err_set(err, ENOSPC, "more than %d memory regions", MEM_MAX_REGIONS);
	g = slot_for(old->by_gpa, old->n, desc->gpa.v, desc->size, "guest", err);
	if (g < 0)
		return g;
	f = slot_for(old->by_fva, old->n, desc->fva.v, desc->size, "front-end", err);
	if (f < 0)
		return f;
	region = region_make(desc, fd, &r, err);
	if (!region)
		return r;
	*out = map_and(old, region, g, f);
	region_unref(region);
	return *out ? 0 : err_set(err, ENOMEM, "out of memory");
}

static void copy_but(struct place *to, const struct place *from, unsigned int n, const struct region *but)
{
	for (unsigned int i = 0; i < n; i++)
		if (from[i].region != but)
			*to++ = from[i];
}

int mem_without(struct mem_map *old, const struct mem_desc *desc, struct mem_map **out, struct err *err)
{
	const struct place *p = find(old->by_gpa, old->n, desc->gpa.v);
	struct mem_map *m;

	if (!p || p->start != desc->gpa.v || p->size != desc->size || p->region->desc.fva.v != desc->fva.v)
		return err_set(err, ENOENT, "no memory region has %#llx bytes at guest address %#llx",
			(unsigned long long)desc->size, (unsigned long long)desc->gpa.v);
	m = map_alloc(old->n - 1);
	if (!m)
		return err_set(err, ENOMEM, "out of memory");
	copy_but(m->by_gpa, old->by_gpa, old->n, p->region);
	copy_but(m->by_fva, old->by_fva, old->n, p->region);
	take_regions(m);
	*out = m;
	return 0;
}

static void *at(const struct place *places, unsigned int n, uint64_t addr, uint64_t len)
{
	const struct place *p = find(places, n, addr);

	if (!p || !len || !arith_within(addr - p->start, len, p->size))
		return NULL;
	return p->host + (addr - p->start);
}

void *mem_at(const struct mem_map *m, struct gpa addr, uint64_t len)
{
	return at(m->by_gpa, m->n, addr.v, len);
}

bool mem_find_near(const struct mem_map *m, struct gpa addr, struct mem_near *near)
{
	const struct place *p = find(m->by_gpa, m->n, addr.v);

	if (p)
		*near = (struct mem_near){.start = {p->start}, .size = p->size, .host = p->host};
	return p;
}

void *mem_at_fva(const struct mem_map *m, struct fva addr, uint64_t len)
{
	return at(m->by_fva, m->n, addr.v, len);
}

int mem_pieces(const struct mem_map *m, struct gpa addr, uint64_t len, struct iovec *iov, unsigned int max)
{
	const struct place *end = m->by_gpa + m->n;
	const struct place *p = len ? find(m->by_gpa, m->n, addr.v) : NULL;
	unsigned int n = 0;

	while (len) {
		uint64_t off, part;

		if (!p || p == end || addr.v - p->start >= p->size)
			return -EFAULT;
		if (n == max)
			return -E2BIG;
		off = addr.v - p->start;
		part = MIN(len, p->size - off);
		iov[n++] = (struct iovec){.iov_base = p->host + off, .iov_len = part};
		addr.v += part;
		len -= part;
		p++;
	}
	return (int)n;
}

bool mem_gpa_of(const struct mem_map *m, const void *host, struct gpa *out)
{
	uintptr_t addr = (uintptr_t)host;

	for (unsigned int i = 0; i < m->n; i++) {
		const struct place *p = &m->by_gpa[i];

		if (addr - (uintptr_t)p->host < p->size) {
			out->v = p->start + (addr - (uintptr_t)p->host);
			return true;
		}
	}
	return false;
}
