/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transfers are as long as struct stream's buffer, PIPE_BUF: after poll(2) a pipe takes that much without
 * waiting, whatever its flags, which are the other side's too.
 */
#include "base/stream.h"

#include "base/arith.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define HURRY_MS 1000

struct record_head {
	uint32_t kind, len;
};

/* FNV-1a: damage, not malice, is what it shall find. */
static void add_sum(struct stream *s, const void *p, size_t len)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < len; i++)
		s->sum = (s->sum ^ b[i]) * 0x100000001b3ULL;
}

static void begin(struct stream *s, int fd, int hurry)
{
	s->fd = fd;
	s->hurry = hurry;
	s->failed = 0;
	s->sum = 0xcbf29ce484222325ULL;
	s->at = s->len = 0;
}

/* 0 once the descriptor is ready, or broken, which the transfer will tell. */
static int await(const struct stream *s, short events)
{
	struct pollfd p[] = {{.fd = s->fd, .events = events}, {.fd = s->hurry, .events = POLLIN}};
	int r = TEMP_FAILURE_RETRY(poll(p, 2, -1));

	if (r > 0 && !p[0].revents)
		r = TEMP_FAILURE_RETRY(poll(p, 1, HURRY_MS));
	if (r < 0)
		return -errno;
	return r ? 0 : -ETIMEDOUT;
}

static int flush(struct stream *s)
{
	size_t done = 0;

	while (done < s->len) {
		int r = await(s, POLLOUT);
		ssize_t n = r ? -1 : write(s->fd, s->buf + done, s->len - done);

		if (r)
			return r;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	s->len = 0;
	return 0;
}

static void put_bytes(struct stream *s, const void *p, size_t len)
{
	const uint8_t *b = p;

	add_sum(s, p, len);
	while (len && !s->failed) {
		size_t n = MIN(len, sizeof(s->buf) - s->len);

		memcpy(s->buf + s->len, b, n);
		s->len += n;
		b += n;
		len -= n;
		if (s->len == sizeof(s->buf))
			s->failed = flush(s);
	}
}

void stream_start(struct stream *s, int fd, int hurry, const struct stream_head *head)
{
	begin(s, fd, hurry);
	put_bytes(s, head, sizeof(*head));
}

void stream_put(struct stream *s, uint32_t kind, const struct iovec *payload, unsigned int n)
{
	struct record_head h = {.kind = kind};

	for (unsigned int i = 0; i < n; i++)
		h.len += (uint32_t)payload[i].iov_len;
	put_bytes(s, &h, sizeof(h));
	for (unsigned int i = 0; i < n; i++)
		put_bytes(s, payload[i].iov_base, payload[i].iov_len);
}

int stream_finish(struct stream *s, struct err *err)
{
	struct record_head end = {.kind = STREAM_END, .len = sizeof(s->sum)};
	uint64_t sum;
	int r;

	put_bytes(s, &end, sizeof(end));
	sum = s->sum;
	put_bytes(s, &sum, sizeof(sum));
	r = s->failed ? s->failed : flush(s);
	return r ? err_sys(err, -r, "the stream cannot be written") : 0;
}

/* 1: there are bytes in the buffer, 0: the end of the file. */
static int fill(struct stream *s)
{
	for (;;) {
		int r = await(s, POLLIN);
		ssize_t n = r ? -1 : read(s->fd, s->buf, sizeof(s->buf));

		if (r)
			return r;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n < 0)
			continue;
		s->at = 0;
		s->len = (size_t)n;
		return n > 0;
	}
}

static int get_bytes(struct stream *s, void *out, size_t len, struct err *err)
{
	uint8_t *b = out;

	while (len) {
		size_t n = MIN(len, s->len - s->at);
		int r = n ? 1 : fill(s);

		if (r < 0)
			return err_sys(err, -r, "the stream cannot be read");
		if (!r)
			return err_set(err, EPROTO, "the stream is cut short");
		memcpy(b, s->buf + s->at, n);
		s->at += n;
		b += n;
		len -= n;
	}
	return 0;
}

int stream_open(struct stream *s, int fd, int hurry, struct stream_head *want, struct err *err)
{
	struct stream_head h;
	int r;

	begin(s, fd, hurry);
	r = get_bytes(s, &h, sizeof(h), err);
	if (r)
		return r;
	if (h.magic != want->magic)
		return err_set(err, EPROTO, "the stream is none of ours");
	if (h.version != want->version)
		return err_set(err, EPROTO,
			"the stream has version %u, where %u is understood: the other side is "
			"of another release",
			h.version, want->version);
	add_sum(s, &h, sizeof(h));
	want->flags = h.flags;
	return 0;
}

/* The end record's head was read and is in the sum already. */
static int get_end(struct stream *s, uint32_t len, struct err *err)
{
	uint64_t sum = s->sum, told;
	int r = len == sizeof(told) ? get_bytes(s, &told, sizeof(told), err)
				    : err_set(err, EPROTO, "the stream's end is none");

	if (r)
		return r;
	if (told != sum)
		return err_set(err, EPROTO, "the stream is damaged: its checksum is wrong");
	r = s->at < s->len ? 1 : fill(s);
	if (r < 0)
		return err_sys(err, -r, "the stream cannot be read");
	return r ? err_set(err, EPROTO, "something follows the stream's end") : 0;
}

int stream_get(struct stream *s, uint32_t *kind, struct cursor *payload, struct err *err)
{
	struct record_head h;
	int r = get_bytes(s, &h, sizeof(h), err);

	if (r)
		return r;
	add_sum(s, &h, sizeof(h));
	if (h.kind == STREAM_END)
		return get_end(s, h.len, err);
	if (h.len > sizeof(s->record))
		return err_set(err, EPROTO, "a record of %u bytes, where %zu are the most", h.len,
			sizeof(s->record));
	r = get_bytes(s, s->record, h.len, err);
	if (r)
		return r;
	add_sum(s, s->record, h.len);
	*kind = h.kind;
	*payload = cursor_over(s->record, h.len);
	return 1;
}
