/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtio/chain.h"

#define LINE   64 /* bytes that the processor fetches at a time */
#define PIECES 4  /* header and arguments either way; data is not ours to touch */

static void fetch(const void *p, uint64_t len)
{
	__builtin_prefetch(p);
	if (len > LINE)
		__builtin_prefetch((const char *)p + LINE);
}

static void fetch_to_write(const void *p, uint64_t len)
{
	__builtin_prefetch(p, 1);
	if (len > LINE)
		__builtin_prefetch((const char *)p + LINE, 1);
}

static void fetch_piece(struct vring *vr, bool packed, const volatile struct wire_desc *d)
{
	uint32_t len = le32toh(d->len);
	const void *p = mem_at_near(vr->mem, (struct gpa){le64toh(d->addr)}, len, &vr->near);

	if (!p)
		return;
	if (le16toh(d->word[packed]) & DESC_WRITE)
		fetch_to_write(p, len);
	else
		fetch(p, len);
}

static const struct wire_desc *table_of(
	struct vring *vr, bool packed, const volatile struct wire_desc *d, uint32_t *len)
{
	*len = le32toh(d->len);
	if (!(le16toh(d->word[packed]) & DESC_INDIRECT))
		return NULL;
	return mem_at_near(vr->mem, (struct gpa){le64toh(d->addr)}, *len, &vr->near);
}

void ahead_table(struct vring *vr, bool packed, const volatile struct wire_desc *d)
{
	uint32_t len;
	const struct wire_desc *t = table_of(vr, packed, d, &len);

	if (t)
		fetch(t, len);
}

void ahead_pieces(struct vring *vr, bool packed, const volatile struct wire_desc *d)
{
	uint32_t len;
	const volatile struct wire_desc *t = table_of(vr, packed, d, &len);

	if (!t)
		fetch_piece(vr, packed, d);
	for (uint32_t i = 0; t && i < PIECES && (i + 1) * sizeof(*t) <= len; i++)
		fetch_piece(vr, packed, t + i);
}
