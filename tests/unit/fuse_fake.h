/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file system that does nothing but note how it was called, and a guest that talks to a session over it in
 * pieces of any size. For tests of src/fuse/ and its fuzz target.
 */
#ifndef FUSE_FAKE_H
#define FUSE_FAKE_H

#include "fuse/session.h"
#include "fuse/wire.h"

#define FAKE_NODE     100 /* nodeid of the first entry made; then one more each time */
#define FAKE_FH	      0x5000
#define FAKE_READLINK "../target"

/* The file system. Counters are for any thread, the rest is for tests of one thread. */
struct fs {
	char log[4096];	   /* calls since fake_clear(), each with a ';' behind it */
	bool window_works; /* the answer to that */
	bool silent;	   /* no log: several threads call */
	int fail;	   /* errno of the next op that is not a forget; 0: it goes well */
	uint64_t next;	   /* nodes made */
	uint64_t lookups;  /* given and not forgotten; a guest may forget any number, any number of times */
	int64_t handles;   /* open */
	int64_t dir_locks; /* held */
	struct nodeid listed; /* the last one that was locked */
	int inits, destroys;
	struct op_features features;
	const char *const *names; /* a directory's entries, NULL ends */
	uint64_t repeat;	  /* or so many entries of one name */
	int readdir_fails;	  /* errno at the end of the names */
	uint64_t file_size;
	uint8_t written[8192]; /* the last write's first bytes */
	size_t nwritten;
	size_t max_pieces;   /* of a read or write */
	_Atomic int waiting; /* ops that wait for a lock */
	_Atomic bool block;  /* setlk with wait sleeps until cancelled */
};

extern const struct fuse_ops fake_ops;

void fake_init(struct fs *fs);
void fake_clear(struct fs *fs);

/* A guest with its session. */
struct guest {
	struct fs fs;
	struct segment seg;
	struct fuse_session *session;
	struct fuse_worker *worker;

	/* The request in the making. */
	uint8_t *in;
	size_t len, cap;
	int64_t len_lie; /* added to the header's length */

	size_t room;	  /* for the reply, header included */
	unsigned int pin; /* size of the pieces of memory; 0: one piece */
	unsigned int pout;

	/* The last reply. */
	uint8_t *out; /* @room bytes, filled with 0xee where nothing was written */
	struct fuse_out_header reply;
	const uint8_t *body;
	size_t nbody;
};

/* The configuration most tests use: everything on, cache auto. */
struct fuse_session_config guest_config(void);

void guest_open(struct guest *g, const struct fuse_session_config *cfg);
void guest_close(struct guest *g);

void guest_begin(struct guest *g, uint32_t opcode, uint64_t node);
struct fuse_in_header *guest_header(struct guest *g);
void guest_put(struct guest *g, const void *p, size_t len);
void guest_put_string(struct guest *g, const char *s);
#define guest_put_record(g, ...) guest_put(g, &__VA_ARGS__, sizeof(__VA_ARGS__))

/* Sends the request as it stands; it can be sent again. What fuse_worker_handle() said. */
ssize_t guest_send(struct guest *g);
ssize_t guest_send_by(struct guest *g, struct fuse_worker *w);

/* INIT of 7.@minor with these flags; the session is live afterwards. Returns the reply's error. */
int guest_init(struct guest *g, uint32_t minor, uint64_t flags, struct fuse_init_out *out);

#endif
