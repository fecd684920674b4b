/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the two kinds of ring share: the state of a ring, the walk over descriptors, and the operations that
 * differ. Everything that is loaded from guest memory passes the functions of this header, each field once.
 */
#ifndef VIRTIO_RING_H
#define VIRTIO_RING_H

#include "virtio/vring.h"

enum {
	DESC_NEXT = 1,
	DESC_WRITE = 2,
	DESC_INDIRECT = 4,
	DESC_AVAIL = 1 << 7, /* packed */
	DESC_USED = 1 << 15, /* packed */
};

/* A descriptor in guest memory; the table may lie at any address if it is an indirect one. */
struct wire_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t word[2]; /* split: flags, next; packed: id, flags */
} __attribute__((packed));

/* Our copy of one. */
struct desc {
	struct gpa addr;
	uint32_t len;
	uint16_t flags;
	uint16_t other; /* split: next; packed: id */
};

/* A descriptor table: the ring's own, or an indirect one, which need not lie in one region (@at NULL then).
 */
struct table {
	const volatile struct wire_desc *at;
	struct gpa gpa;
	uint32_t n;
	bool indirect;
};

struct areas {
	void *desc, *avail, *used;
};

struct ring_ops {
	uint64_t desc_align, avail_align, used_align;
	uint64_t (*avail_size)(const struct vring_config *cfg);
	uint64_t (*used_size)(const struct vring_config *cfg);
	bool (*base_ok)(const struct vring_config *cfg, uint32_t base);
	void (*begin)(struct vring *vr, uint32_t base);
	uint32_t (*base)(const struct vring *vr);
	/* 1 or 0, or -EPROTO with *why. Fills in the chain's id, ndesc and pieces. */
	int (*pop)(struct vring *vr, struct vring_chain *chain, const char **why);
	void (*push)(struct vring *vr, const struct vring_chain *chain, uint32_t written);
	bool (*wants_call)(struct vring *vr, uint32_t uncalled);
	bool (*want_kick)(struct vring *vr);
	void (*no_kick)(struct vring *vr);
	struct vring_watch (*watch)(const struct vring *vr);
};

struct vring {
	const struct ring_ops *ops;
	struct vring_config cfg;
	struct mem_map *mem; /* NULL: not started */
	struct mem_log *log;
	struct areas at;
	struct gpa desc_gpa, used_gpa; /* for the log */
	struct mem_near near;	       /* of @mem: where buffers were last */
	uint32_t base;		       /* of a ring that is not started */
	bool broken;
	bool asked;	   /* wants_call() was asked since the start */
	uint32_t inflight; /* popped and not pushed: chains of a split ring, slots of a packed one */
	uint32_t uncalled; /* pushed since wants_call() was asked, in the same unit; saturates */

	/* Positions. Split: free-running. Packed: below cfg.size, with their wrap counters. */
	uint16_t avail, used;
	uint16_t avail_seen;	    /* split: the guest's index as it was loaded last */
	bool avail_wrap, used_wrap; /* packed */
	uint16_t suppress;	    /* our word on kicks as the guest's memory has it */

	/* track.c */
	uint64_t number;  /* of the chain popped last */
	uint16_t *resume; /* slots to be popped again, from @resume_at to @resume_n; NULL: none */
	uint32_t resume_at, resume_n;
};

extern const struct ring_ops ring_split;
extern const struct ring_ops ring_packed;

static inline uint16_t load16(const uint16_t *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_RELAXED));
}

static inline uint16_t load16_acquire(const uint16_t *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static inline uint32_t load32_acquire(const uint32_t *p)
{
	return le32toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static inline void store16(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, htole16(v), __ATOMIC_RELAXED);
}

static inline void store16_release(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, htole16(v), __ATOMIC_RELEASE);
}

static inline void store32(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, htole32(v), __ATOMIC_RELAXED);
}

static inline void fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* The guest asked to be called at position @event: did the step from @old to @new (modulo 2^16) pass it? */
static inline bool event_passed(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

/* packed.c: the flags of slot @at, which is below the size; go on from the used position, with @units taken.
 */
uint16_t packed_slot_flags(const struct vring *vr, uint16_t at);
void packed_positions(struct vring *vr, uint16_t used, bool wrap, uint32_t units);

/* Marks what was written at @off of the area at @area, if the ring's writes are logged. */
void ring_mark(const struct vring *vr, struct gpa area, uint64_t off, uint64_t len);

#endif
