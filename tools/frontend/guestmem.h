/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest's memory as a front-end has it: regions backed by memfds, mapped here, with guest-physical
 * addresses that differ from ours. Memory is given out and never taken back before its region goes. Not
 * thread-safe.
 */
#ifndef FRONTEND_GUESTMEM_H
#define FRONTEND_GUESTMEM_H

#include <stddef.h>
#include <stdint.h>

#define GM_MAX_REGIONS 64
#define GM_HUGE	       1u /* 2 MiB pages */

struct gm_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t offset; /* in the file behind @fd */
	uint64_t used;	 /* bytes given out */
	uint8_t *host;
	int fd;
};

struct guestmem {
	unsigned int count;
	struct gm_region region[GM_MAX_REGIONS];
};

/* One more region at @gpa; it begins at @offset of a file of its own. Its index, or -errno. */
int gm_add(struct guestmem *gm, uint64_t gpa, uint64_t size, uint64_t offset, unsigned int flags);
/* The region goes, with all that was given out of it; those behind it move up. */
void gm_remove(struct guestmem *gm, unsigned int region);
void gm_free(struct guestmem *gm);

/* @align is a power of two. Zeroed memory of a region, or of the first that has the room; NULL if none has.
 */
void *gm_alloc_at(struct guestmem *gm, unsigned int region, size_t size, size_t align);
void *gm_alloc(struct guestmem *gm, size_t size, size_t align);

/* The guest-physical address of our address @p, which lies in some region. */
uint64_t gm_gpa(const struct guestmem *gm, const void *p);

#endif
