/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stream of records over a pipe that somebody else holds the other end of: a head, records with kind and
 * length, an end record with a checksum of all before it. What is read is bounded and not believed: the
 * reader's caller checks every record. Both sides wait with poll(2) for as long as it takes, but no more than
 * a second at a time once their hurry descriptor is readable. One thread each. Numbers are in the machine's
 * byte order, which the head tells.
 */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include "base/cursor.h"
#include "base/err.h"

#include <stdbool.h>
#include <sys/uio.h>

#define STREAM_RECORD_MAX 16384 /* bytes of one record's payload */
#define STREAM_END	  0	/* kind of the last record; others are the caller's, from 1 */

struct stream_head {
	uint64_t magic;	  /* what the stream is; in the wrong byte order it is another one */
	uint32_t version; /* of the records */
	uint32_t flags;	  /* the caller's */
};

struct stream {
	int fd, hurry;
	int failed; /* the writer: -errno of an earlier write, 0 if none */
	uint64_t sum;
	size_t at, len; /* of what is in @buf: the reader's position, bytes */
	uint8_t buf[4096];
	uint8_t record[STREAM_RECORD_MAX];
};

/* Begins to write. The descriptors stay the caller's. Errors show in stream_finish(). */
void stream_start(struct stream *s, int fd, int hurry, const struct stream_head *head);
void stream_put(struct stream *s, uint32_t kind, const struct iovec *payload, unsigned int n);
/* Writes the end. 0 or -errno with @err (-ETIMEDOUT, -EPIPE, ...) of what went wrong anywhere. */
int stream_finish(struct stream *s, struct err *err);

/*
 * Begins to read: a head with @want's magic and version, or -EPROTO; *want gets its flags. The descriptors
 * stay the caller's.
 */
int stream_open(struct stream *s, int fd, int hurry, struct stream_head *want, struct err *err);
/*
 * The next record: 1, *kind and *payload, which lives until the next call; 0 at the end, after which nothing
 * more came and the checksum was right; -errno with @err (-EPROTO: cut short, too long, or damaged).
 */
int stream_get(struct stream *s, uint32_t *kind, struct cursor *payload, struct err *err);

#endif
