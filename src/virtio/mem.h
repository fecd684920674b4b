/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory: which guest-physical and front-end addresses lie where in our address space.
 * A map is an immutable, reference-counted snapshot. The control thread makes a new one when regions come or
 * go; a request keeps the one it began with, so its pages stay mapped until it ends. Pure: knows nothing of
 * messages or rings.
 */
#ifndef VIRTIO_MEM_H
#define VIRTIO_MEM_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* A guest-physical address, and an address of the front-end's process: they must not be mixed. */
struct gpa {
	uint64_t v;
};
struct fva {
	uint64_t v;
};

/* Most regions a map may hold: what GET_MAX_MEM_SLOTS answers. */
#define MEM_MAX_REGIONS 512

/* What a front-end says of one region (vhost-user "memory region description"). */
struct mem_desc {
	struct gpa gpa;
	struct fva fva;
	uint64_t size;
	uint64_t mmap_offset;
};

struct mem_map;

/* A map without regions; one reference, the caller's. NULL if memory is short. */
struct mem_map *mem_new(void);

/*
 * A new map: @old and one more region, backed by @fd, which stays the caller's: the map keeps a copy. The
 * size need not be a multiple of the page, huge pages are mapped whole. Refused: size 0, a range that wraps
 * or that overlaps another region (by guest-physical or by front-end address), more than MEM_MAX_REGIONS, a
 * backing file shorter than the range. 0 or -errno with @err; *out has one reference.
 */
int mem_with(struct mem_map *old, const struct mem_desc *desc, int fd, struct mem_map **out, struct err *err);

/* A new map: @old without the region that has this address, front-end address and size. -ENOENT if there is
 * none. */
int mem_without(struct mem_map *old, const struct mem_desc *desc, struct mem_map **out, struct err *err);

unsigned int mem_regions(const struct mem_map *m);
/* Region @i as mem_with() was told of it, and our own descriptor of what backs it, which stays the map's. */
void mem_region(const struct mem_map *m, unsigned int i, struct mem_desc *desc, int *fd);

struct mem_map *mem_ref(struct mem_map *m); /* any thread; returns @m */
void mem_unref(
	struct mem_map *m); /* any thread; the last one unmaps what no other map holds. NULL is allowed */

/*
 * Our address of @len bytes at a guest-physical or a front-end address; NULL unless all of them lie in one
 * region and @len > 0. Valid as long as the map is referenced. The guest may change the bytes at any time.
 */
void *mem_at(const struct mem_map *m, struct gpa addr, uint64_t len);
void *mem_at_fva(const struct mem_map *m, struct fva addr, uint64_t len);

/* A region as mem_at_near() saw it: quicker for all that lies in the same one. {0}: none yet. It is of one
 * map, and valid as long as that is referenced. */
struct mem_near {
	struct gpa start;
	uint64_t size;
	char *host;
};
bool mem_find_near(const struct mem_map *m, struct gpa addr, struct mem_near *near);
/* As mem_at(). */
static inline void *mem_at_near(const struct mem_map *m, struct gpa addr, uint64_t len, struct mem_near *near)
{
	uint64_t off = addr.v - near->start.v;

	if (off >= near->size) {
		if (!mem_find_near(m, addr, near))
			return NULL;
		off = addr.v - near->start.v;
	}
	return len && len <= near->size - off ? near->host + off : NULL;
}

/*
 * Appends the pieces of [addr, addr + len) to @iov, one a region crossed. Returns the number of pieces,
 * -EFAULT if a byte of it lies in no region (nothing is appended then), -E2BIG if more than @max pieces would
 * be needed. len 0 gives none.
 */
int mem_pieces(const struct mem_map *m, struct gpa addr, uint64_t len, struct iovec *iov, unsigned int max);

/*
 * Whether some of the memory, or of the log, was found gone: whoever shares it has truncated its file. Only
 * with guard_setup(); else such an access ends the process.
 */
bool mem_vanished(const struct mem_map *m);
struct mem_log;
bool mem_log_vanished(const struct mem_log *log); /* NULL is allowed */

/*
 * Dirty log (vhost-user VHOST_USER_SET_LOG_BASE): one bit a 4 KiB guest page. A reference-counted piece of
 * shared memory; set bits with atomic OR. Pages beyond the log's end are not marked.
 */
struct mem_log *mem_log_new(
	int fd, uint64_t offset, uint64_t size, struct err *err); /* @fd stays the caller's */
/* What mem_log_new() was told, with our own descriptor, which stays the log's. */
void mem_log_describe(const struct mem_log *log, int *fd, uint64_t *offset, uint64_t *size);
struct mem_log *mem_log_ref(struct mem_log *log); /* NULL is allowed, in both */
void mem_log_unref(struct mem_log *log);
void mem_log_mark(struct mem_log *log, struct gpa addr, uint64_t len);
/* Marks the first @len bytes that the vector describes; its pieces lie in @m. */
void mem_log_mark_iov(
	struct mem_log *log, const struct mem_map *m, const struct iovec *iov, unsigned int n, uint64_t len);

#endif
