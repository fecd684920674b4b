/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The walk over the descriptors of one chain, for both kinds of ring. Inline: a request of 1 MiB may have 257
 * of them. Functions that return text return NULL if all is well, else what is wrong with the chain.
 */
#ifndef VIRTIO_CHAIN_H
#define VIRTIO_CHAIN_H

#include "virtio/ring.h"

/* The most bytes that the specification allows in one chain. */
#define CHAIN_MAX_BYTES (1ULL << 32)

/* Copies descriptor @i, which is below t->n, of a table of that kind of ring. */
static inline const char *table_read(
	const struct vring *vr, bool packed, const struct table *t, uint32_t i, struct desc *out)
{
	const volatile struct wire_desc *d;
	uint16_t word[2];

	if (t->at)
		d = t->at + i;
	else
		d = mem_at(vr->mem, (struct gpa){t->gpa.v + i * sizeof(*d)}, sizeof(*d));
	if (!d)
		return "an indirect table is not in guest memory";
	out->addr.v = le64toh(d->addr);
	out->len = le32toh(d->len);
	word[0] = le16toh(d->word[0]);
	word[1] = le16toh(d->word[1]);
	out->flags = word[packed];
	out->other = word[!packed];
	return NULL;
}

/* Turns *t into the indirect table that @d, of table *t, refers to. */
const char *table_enter(struct vring *vr, struct table *t, const struct desc *d);

/* What chain_add() keeps between the descriptors of one chain. */
struct walk {
	struct vring_chain *chain;
	uint64_t bytes;
	struct gpa end; /* behind the last descriptor */
	bool writable;	/* a device-writable descriptor has come */
};

/* chain_add() of a descriptor that is not all in one region, or does not fit. */
const char *chain_add_pieces(struct vring *vr, struct walk *w, const struct desc *d);

/* Appends the pieces of one descriptor to the chain, nearly always one; what follows the last one in memory
 * becomes part of its piece. */
static inline const char *chain_add(struct vring *vr, struct walk *w, const struct desc *d)
{
	struct vring_chain *c = w->chain;
	struct iovec *v = &c->iov[c->nin + c->nout];
	struct gpa end = w->end;
	unsigned int *n;
	char *p;

	if (d->flags & DESC_WRITE)
		w->writable = true;
	else if (w->writable)
		return "a readable descriptor follows a writable one";
	n = w->writable ? &c->nout : &c->nin;
	w->bytes += d->len;
	if (w->bytes > CHAIN_MAX_BYTES)
		return "it describes more than 4 GiB";
	w->end.v = d->addr.v + d->len;
	p = mem_at_near(vr->mem, d->addr, d->len, &vr->near);
	if (!p)
		return chain_add_pieces(vr, w, d);
	if (*n && end.v == d->addr.v && (char *)v[-1].iov_base + v[-1].iov_len == p) {
		v[-1].iov_len += d->len;
		return NULL;
	}
	if (c->nin + c->nout == c->max)
		return chain_add_pieces(vr, w, d);
	*v = (struct iovec){.iov_base = p, .iov_len = d->len};
	++*n;
	return NULL;
}

/*
 * ahead.c: has the processor fetch what a chain takes that is there and whose turn is soon (tune.look_ahead),
 * as the guest wrote it on another processor: first its descriptor at @d, then the table that this refers to,
 * then the pieces. Nothing depends on what it finds there.
 */
void ahead_table(struct vring *vr, bool packed, const volatile struct wire_desc *d);
void ahead_pieces(struct vring *vr, bool packed, const volatile struct wire_desc *d);

#endif
