/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this layer know of each other's guest memory, and nobody else. */
#ifndef VIRTIO_INTERNAL_H
#define VIRTIO_INTERNAL_H

#include "virtio/mem.h"

#include <stdbool.h>

/* A shared mapping of a range of a file that need not begin or end on a page: [host, host + len) is it. */
struct mem_mapping {
	char *host;
	uint64_t len;
	void *map; /* the whole pages around it */
	size_t map_len;
	int fd; /* a copy of what was mapped, so that another process can map it too */
	uint64_t offset;
	int guard; /* base/guard.h */
};

/*
 * Maps [offset, offset + len) of @fd read-write, shared, left out of core dumps. Refused: len 0, a range that
 * wraps, a regular file that is shorter. 0 or -errno with @err.
 */
int mem_mapping_make(struct mem_mapping *m, int fd, uint64_t offset, uint64_t len, struct err *err);
void mem_mapping_drop(const struct mem_mapping *m);

/* The guest-physical address of a byte that mem_at() or mem_pieces() gave out. False if it lies in no region.
 */
bool mem_gpa_of(const struct mem_map *m, const void *host, struct gpa *out);

#endif
