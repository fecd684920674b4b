/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/flight.h"

#include "base/arith.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Then bytes of the ring's records, in their order. */
struct saved_flight {
	uint32_t queue, size, packed, spare;
};
#define BYTES_MAX (STREAM_RECORD_MAX - sizeof(struct saved_flight))

static int make_room(struct flight *f, unsigned int i, const struct vhost_flight *of, struct err *err)
{
	f->ring[i] = *of;
	f->len[i] = 0;
	f->ring[i].records = calloc(1, vring_track_size(of->packed, of->size));
	if (f->ring[i].records)
		return 0;
	f->ring[i].size = 0;
	return err_set(err, ENOMEM, "no memory for what is in flight");
}

int flight_gather(struct flight *f, const struct vhost_device *d, struct err *err)
{
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++) {
		struct vhost_flight of;
		int r = vhost_device_flight(d, i, &of) ? make_room(f, i, &of, err) : 0;

		if (r)
			return r;
		if (!f->ring[i].size)
			continue;
		f->len[i] = vring_track_size(of.packed, of.size);
		memcpy(f->ring[i].records, of.records, f->len[i]);
	}
	return 0;
}

void flight_save(const struct flight *f, struct stream *out, uint32_t kind)
{
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++) {
		const struct vhost_flight *of = &f->ring[i];
		struct saved_flight s = {.queue = i, .size = of->size, .packed = of->packed};

		for (uint64_t off = 0; of->size && off < f->len[i]; off += BYTES_MAX) {
			struct iovec v[] = {{&s, sizeof(s)},
				{(char *)of->records + off, MIN(f->len[i] - off, BYTES_MAX)}};

			stream_put(out, kind, v, ARRAY_LEN(v));
		}
	}
}

int flight_load(struct flight *f, struct cursor payload, struct err *err)
{
	const void *head = cursor_take(&payload, sizeof(struct saved_flight));
	size_t n = cursor_left(&payload);
	struct vhost_flight of;
	struct saved_flight s;
	int r = 0;

	if (head)
		memcpy(&s, head, sizeof(s));
	if (!head || s.queue >= VHOST_MAX_QUEUES || !s.size || s.size > VRING_MAX_SIZE || s.packed > 1)
		return err_set(err, EPROTO, "the state has requests in flight that cannot be right");
	of = (struct vhost_flight){.size = s.size, .packed = s.packed};
	if (!f->ring[s.queue].size)
		r = make_room(f, s.queue, &of, err);
	if (r)
		return r;
	if (f->ring[s.queue].size != of.size || f->ring[s.queue].packed != of.packed ||
		n > vring_track_size(of.packed, of.size) - f->len[s.queue])
		return err_set(err, EPROTO, "the state has requests in flight that do not fit their ring");
	memcpy((char *)f->ring[s.queue].records + f->len[s.queue], cursor_take(&payload, n), n);
	f->len[s.queue] += n;
	return 0;
}

int flight_hand_over(const struct flight *f, struct vhost_device *d, struct err *err)
{
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++) {
		int r = f->ring[i].size ? vhost_device_set_flight(d, i, &f->ring[i], err) : 0;

		if (r)
			return r;
	}
	return 0;
}

void flight_drop(struct flight *f)
{
	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++)
		free(f->ring[i].records);
	*f = (struct flight){0};
}
