/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of a ring is in flight, in memory that outlives the process: the layouts and the order of stores are
 * those of the vhost-user specification ("Inflight I/O tracking"), so that whoever goes on with the ring runs
 * again what was not answered, and nothing that was. Inside of src/virtio; the queue's owner holds its lock.
 * The memory may be the front-end's: every index is checked before it is used.
 */
#ifndef VIRTIO_TRACK_H
#define VIRTIO_TRACK_H

#include "virtio/ring.h"

/* As @cfg->track_mode says, once the ring's own positions are set, from @base. 0 or -ENOMEM. */
int track_start(struct vring *vr, uint32_t base);
void track_stop(struct vring *vr);
/* Nothing is in flight any more. */
void track_forget(struct vring *vr);

/* A chain of a split ring was taken, and is whole: it counts from now on. */
void track_split_popped(struct vring *vr, struct vring_chain *chain);
/* Ahead of the store of the used index, for each chain that it gives back; behind it, once. */
void track_split_using(struct vring *vr, const struct vring_chain *chain);
void track_split_used(struct vring *vr);

/* Each descriptor of a packed ring's chain as it was read; then the chain is whole. */
void track_packed_desc(struct vring *vr, struct vring_chain *chain, const struct desc *d);
void track_packed_popped(struct vring *vr);
/* Ahead of the store of the used descriptor's flags, with the position that comes after it; behind it. */
void track_packed_using(struct vring *vr, const struct vring_chain *chain, uint16_t used, bool wrap);
void track_packed_used(struct vring *vr, const struct vring_chain *chain);

/* The next chain to run again: 1, 0 if there is none, or -EPROTO with *why. */
int track_resume(struct vring *vr, struct vring_chain *chain, const char **why);

/* split.c, packed.c: a chain from its head, from the descriptors that were noted. */
const char *split_walk(struct vring *vr, struct vring_chain *chain);
const char *packed_walk_noted(
	struct vring *vr, struct vring_chain *chain, const struct desc *d, unsigned int n);

#endif
