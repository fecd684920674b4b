/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's side of a virtqueue, for tests: guest memory in a memfd, and both kinds of ring built by hand,
 * with a raw way in for what no honest driver would write. It shares no code with the device's side. Not
 * thread-safe; runs beside a device on another thread.
 */
#ifndef TESTS_RING_DRIVER_H
#define TESTS_RING_DRIVER_H

#include "virtio/vring.h"

/* Guest memory: two regions without a gap between them, whose mappings are not neighbours, and nothing
 * around. */
#define RAM_GPA	  0x100000ULL
#define RAM_SIZE  0x400000ULL
#define RAM_SPLIT 0x300000ULL /* size of the first region */
#define RAM_FVA	  0x7f0000000000ULL
#define RAM_END	  (RAM_GPA + RAM_SIZE)

/* What lies where in it. */
#define DESC_OFF  0x0ULL
#define AVAIL_OFF 0x100000ULL
#define USED_OFF  0x180000ULL
#define DATA_OFF  0x200000ULL
#define DATA_GPA  (RAM_GPA + DATA_OFF)

enum { F_NEXT = 1, F_WRITE = 2, F_INDIRECT = 4, F_AVAIL = 1 << 7, F_USED = 1 << 15 };

/* A descriptor as both kinds of table hold it: a and b are flags and next, or id and flags. */
struct raw_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t a, b;
};

struct raw_used {
	uint32_t id;
	uint32_t len;
};

struct buf {
	uint64_t gpa;
	uint32_t len;
	bool writable;
};

struct ring_driver {
	struct vring_config cfg;
	int fd; /* the memory */
	struct mem_map *mem;
	struct raw_desc *desc;
	uint16_t *avail, *used; /* as words, whichever the layout */

	uint16_t next; /* split: available index; packed: next slot to fill */
	uint16_t seen; /* split: used index; packed: next slot to look at */
	bool next_wrap, seen_wrap;
	uint32_t room;	/* free descriptors */
	uint32_t added; /* chains, or packed slots, since a kick was decided on last */
	uint16_t *free; /* free heads or IDs, @nfree */
	uint32_t nfree;
	uint32_t *ndesc; /* of each head or ID */
};

/* Memory and an empty ring of @kind (size and features) that goes on from @base, as vring_base() has it. */
void driver_init(struct ring_driver *d, const struct vring_config *kind, uint32_t base);
void driver_done(struct ring_driver *d);

/* Guest memory for writing and reading; the range must lie in one region. */
void *driver_ram(struct ring_driver *d, uint64_t gpa, uint64_t len);

/*
 * Makes a chain available: direct descriptors, or where @table is not 0 one that refers to an indirect table
 * there. Returns its head or ID, -1 if there is no room.
 */
int driver_add(struct ring_driver *d, const struct buf *bufs, uint32_t n, uint64_t table);

/* Whether the device wants a kick for what was added since this was asked last. */
bool driver_must_kick(struct ring_driver *d);

/* Takes a used chain: its head or ID and *len, or -1. */
int driver_used(struct ring_driver *d, uint32_t *len);

/* Asks to be called for the next used chain (@enable), or for none. Returns true if one is there already. */
bool driver_calls(struct ring_driver *d, bool enable);

/* Raw, split ring: publishes @head, whatever it is. */
void driver_publish(struct ring_driver *d, uint16_t head);

#endif
