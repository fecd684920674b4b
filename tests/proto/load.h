/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads, writes and attributes of many files at once on one queue, every byte verified: each lane is a file
 * of which one request at a time reads or writes a piece. Threads: the one that runs load_run(), which
 * notes mistakes instead of failing a test; the others are for the test's own thread.
 */
#ifndef PROTO_LOAD_H
#define PROTO_LOAD_H

#include "vm.h"

#define LOAD_FILE_SIZE (128u << 10)
#define LOAD_MAX_IO    (32u << 10) /* what the client must be able to carry */

struct load_lane {
	struct fc_file f;
	struct fc_op op;
	union {
		struct fuse_read_in read;
		struct fuse_write_in write;
		struct fuse_getattr_in getattr;
	} in;
	union {
		struct fuse_write_out write;
		struct fuse_attr_out attr;
	} out;
	uint8_t mirror[LOAD_FILE_SIZE], buf[LOAD_MAX_IO];
	size_t off, len;
};

/* The caller sets what stands first; @random is not 0. */
struct load {
	struct fuse_client *c; /* with at least @lanes requests in flight */
	struct load_lane *lane;
	unsigned int lanes;
	const char *name; /* of the files, followed by a number */
	uint32_t random;
	int64_t end_ms; /* by test_ms() */

	uint64_t done; /* requests */
	const char *wrong;
};

/* The host makes the files in @host. */
void load_make(struct load *l, int host);
/* The guest opens them in directory @dir, and later gives them back. */
void load_open(struct load *l, uint64_t dir);
void load_close(struct load *l);
/* A thread: requests until it is time, then waits for the last. */
void *load_run(void *load);
/* Nothing went wrong, and the host sees the files as they must be. */
void load_expect(const struct load *l, int host);

#endif
