/* SPDX-License-Identifier: BSD-3-Clause */
/* Guest memory for a front-end; the header says what for. */
#include "guestmem.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <errno.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int gm_add(struct guestmem *gm, uint64_t gpa, uint64_t size, uint64_t offset, unsigned int flags)
{
	unsigned int huge = flags & GM_HUGE ? MFD_HUGETLB | MFD_HUGE_2MB : 0;
	autofd int fd = memfd_create("guest", MFD_CLOEXEC | huge);
	void *host;

	if (gm->count == GM_MAX_REGIONS)
		return -ENOSPC;
	if (fd < 0 || ftruncate(fd, (off_t)(offset + size)))
		return -errno;
	host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	if (host == MAP_FAILED)
		return -errno;
	gm->region[gm->count] = (struct gm_region){
		.gpa = gpa, .size = size, .offset = offset, .host = host, .fd = fd_take(&fd)};
	return (int)gm->count++;
}

void gm_remove(struct guestmem *gm, unsigned int region)
{
	struct gm_region *r = &gm->region[region];

	munmap(r->host, r->size);
	close(r->fd);
	gm->count--;
	memmove(r, r + 1, (gm->count - region) * sizeof(*r));
}

void gm_free(struct guestmem *gm)
{
	while (gm->count)
		gm_remove(gm, gm->count - 1);
}

void *gm_alloc_at(struct guestmem *gm, unsigned int region, size_t size, size_t align)
{
	struct gm_region *r = &gm->region[region];
	uint64_t at = arith_align_up(r->used, align);

	if (region >= gm->count || !arith_within(at, size, r->size))
		return NULL;
	r->used = at + size;
	return r->host + at;
}

void *gm_alloc(struct guestmem *gm, size_t size, size_t align)
{
	void *p = NULL;

	for (unsigned int i = 0; i < gm->count && !p; i++)
		p = gm_alloc_at(gm, i, size, align);
	return p;
}

uint64_t gm_gpa(const struct guestmem *gm, const void *p)
{
	for (unsigned int i = 0; i < gm->count; i++) {
		const struct gm_region *r = &gm->region[i];
		uint64_t off = (uint64_t)((uintptr_t)p - (uintptr_t)r->host);

		if ((uintptr_t)p >= (uintptr_t)r->host && off < r->size)
			return r->gpa + off;
	}
	abort();
}
