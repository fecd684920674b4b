/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtqueue as the device sees it, split (virtio 1.2, 2.7) and packed (2.8) behind one interface.
 * The guest writes the ring while we read it: every field is loaded once, copied, then checked. What it gets
 * wrong breaks this ring only (-EPROTO, logged whole by vring_log_chain()), and a broken ring stays broken
 * until it is set up again. Not thread-safe: the queue's owner holds its lock around every call.
 */
#ifndef VIRTIO_VRING_H
#define VIRTIO_VRING_H

#include "virtio/mem.h"

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>

#define VRING_MAX_SIZE 32768

/* What becomes of the in-flight records at a ring's start. */
enum vring_track {
	VRING_TRACK_NEW,    /* nothing is in flight */
	VRING_TRACK_KEEP,   /* what they say is in flight, and its owners still have it */
	VRING_TRACK_SAME,   /* as RESUME if they lead to the base that is given, else as NEW */
	VRING_TRACK_AGAIN,  /* as RESUME if they are of the ring as its memory and the base show it, else as
			     * NEW: somebody comes back who knows no more than what was used */
	VRING_TRACK_RESUME, /* the last owner is gone: what they say is popped again, and says where to go on
			     */
};

/* Where the parts of a ring lie, in the front-end's addresses, and what was negotiated. */
struct vring_config {
	uint32_t size;	  /* descriptors; a power of two for a split ring, 1 .. VRING_MAX_SIZE */
	bool packed;	  /* VIRTIO_F_RING_PACKED */
	bool event_idx;	  /* VIRTIO_F_RING_EVENT_IDX */
	bool indirect;	  /* VIRTIO_F_INDIRECT_DESC */
	struct fva desc;  /* descriptor table, or packed ring */
	struct fva avail; /* available ring, or driver event suppression */
	struct fva used;  /* used ring, or device event suppression */
	bool log;	  /* mark the used ring's pages at @log_addr (VHOST_VRING_F_LOG) */
	struct gpa log_addr;
	/* vring_track_size() bytes of shared memory that outlive the process, for the records of what is in
	 * flight; NULL: none are kept. */
	void *track;
	enum vring_track track_mode;
};

/* By what a ring is known again: descriptors and in-flight records of the one mean the same in another like
 * it.
 */
struct vring_layout {
	uint32_t size; /* 0: there is none */
	bool packed;
	struct fva desc, avail, used;
};

static inline bool vring_layout_same(const struct vring_layout *a, const struct vring_layout *b)
{
	return a->size == b->size && a->packed == b->packed && a->desc.v == b->desc.v &&
	       a->avail.v == b->avail.v && a->used.v == b->used.v;
}

/* One descriptor chain that was popped. The iovecs lie in guest memory, in the order of the chain. */
struct vring_chain {
	uint16_t id;	   /* head index, or packed buffer ID */
	uint16_t ndesc;	   /* descriptors of the ring that it takes, those of an indirect table not counted */
	unsigned int nin;  /* device-readable pieces */
	unsigned int nout; /* device-writable pieces: they follow the readable ones in iov[] */
	struct iovec *iov; /* the caller's array */
	unsigned int max;  /* its length, set by the caller */
	bool resumed;	   /* popped before, by an owner who is gone */
	uint16_t slot;	   /* of its in-flight record */
	uint64_t number;   /* counted over the ring's pops; the record's */
};

struct vring;

/* Bytes of the in-flight records of a ring (vhost-user, "Inflight I/O tracking"). */
uint64_t vring_track_size(bool packed, uint32_t size);
/* Whether these are records of a ring of that size with something in flight. */
bool vring_track_any(const void *track, bool packed, uint32_t size);
/* Whether slot @i, below the ring's size, is in flight, and its number. */
bool vring_track_at(const void *track, bool packed, uint32_t i, uint64_t *number);

/* A ring without configuration. NULL if memory is short. */
struct vring *vring_new(void);
void vring_free(struct vring *vr);

/*
 * Sets the ring up: translates its three areas over their full extent and keeps a reference to @mem, and to
 * @log, which may be NULL, until vring_stop(). @base is where to go on (vring_base()). 0 or -errno with @err.
 */
int vring_start(struct vring *vr, const struct vring_config *cfg, uint32_t base, struct mem_map *mem,
	struct mem_log *log, struct err *err);

/* Lets go of the memory. Returns the base to go on from. A ring that was not started returns its last base.
 */
uint32_t vring_stop(struct vring *vr);

/*
 * Uses other memory (same addresses) and another log, with the used ring at @log_addr in it, from now on,
 * mid-flight. On error the old ones stay.
 */
int vring_remap(
	struct vring *vr, struct mem_map *mem, struct mem_log *log, struct gpa log_addr, struct err *err);

/*
 * Where to go on, as VHOST_USER_GET_VRING_BASE and SET_VRING_BASE mean it: split: the next available index;
 * packed: bits 0-14 the available index, 15 its wrap counter, 16-30 the used index, 31 its wrap counter.
 */
uint32_t vring_base(const struct vring *vr);

/* What was popped and not pushed, also before the last start: chains of a split ring, slots of a packed one.
 */
uint32_t vring_inflight(const struct vring *vr);

/* The map and the log that vring_start() or vring_remap() gave it. No reference is taken. */
struct mem_map *vring_mem(const struct vring *vr);
struct mem_log *vring_log(const struct vring *vr);

/* Chains are left that were popped by an owner who is gone: vring_pop() gives them first, in their order. */
bool vring_resumes(const struct vring *vr);
/* Nothing of what the in-flight records name will be pushed. */
void vring_forget(struct vring *vr);

/* Takes the next chain. 1: @chain is filled; 0: none there; -EPROTO: the ring is broken. */
int vring_pop(struct vring *vr, struct vring_chain *chain);

/* Gives a chain back, in any order, with @written bytes of its writable part filled. */
void vring_push(struct vring *vr, const struct vring_chain *chain, uint32_t written);

/* True if the guest wants to be called for what was pushed since this was asked last. */
bool vring_wants_call(struct vring *vr);

/*
 * Asks the guest to kick on the next chain. Returns true if one is there already (then look again instead of
 * sleeping). vring_no_kick() says that a kick is not needed for now.
 */
bool vring_want_kick(struct vring *vr);
void vring_no_kick(struct vring *vr);

/*
 * What tells that a chain has come: a word of the guest's memory that may be looked at without the owner's
 * lock, as long as the caller holds a reference to the map that the ring had when the watch was made. False:
 * the ring does not run.
 */
struct vring_watch {
	const uint16_t *word; /* the guest's: any value may come */
	uint16_t mask, value;
	bool equal; /* a chain is there if the word, masked, is the value; else if it is not */
};
bool vring_watch(const struct vring *vr, struct vring_watch *w);
static inline bool vring_watch_ready(const struct vring_watch *w)
{
	uint16_t v = le16toh(__atomic_load_n(w->word, __ATOMIC_RELAXED)) & w->mask;

	return (v == w->value) == w->equal;
}

/* Logs a chain's pieces at warning level, for a ring or request that was found broken. */
void vring_log_chain(const struct vring_chain *chain, const char *why);

#endif
