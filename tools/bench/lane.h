/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lane is one of the guest's tasks: it has one request in flight, and when that is answered makes the next
 * step of its operation. steps.c has the steps of each load, engine.c drives the lanes of a queue. One thread
 * a queue.
 */
#ifndef BENCH_LANE_H
#define BENCH_LANE_H

#include "fixture.h"

enum { STEP_DONE, STEP_ASK }; /* or -errno */

enum lane_role {
	ROLE_LOAD,   /* operations are counted and timed */
	ROLE_FSYNC,  /* the others run beside: write and fsync, */
	ROLE_COLD,   /* read what the host has dropped from memory, */
	ROLE_WAITER, /* wait for a lock that is held until the end */
};

struct lane {
	struct fc_op op; /* first, so that an op leads to its lane */
	struct engine *engine;
	enum lane_role role;
	unsigned int id;	/* among all lanes of all queues */
	enum load_id load, now; /* what it is to do; what it does: a mix picks */
	unsigned int step;
	uint64_t round, began;

	union {
		struct fuse_getattr_in getattr;
		struct fuse_read_in read;
		struct fuse_write_in write;
		struct fuse_open_in open;
		struct fuse_create_in create;
		struct fuse_flush_in flush;
		struct fuse_release_in release;
		struct fuse_fsync_in fsync;
		struct fuse_lk_in lock;
	} in;
	union {
		struct fuse_entry_out entry;
		struct fuse_attr_out attr;
		struct fuse_open_out open;
		struct fuse_write_out write;
		struct fc_created created;
	} out;
	char name[32];
	unsigned int index; /* of the file at hand */
	struct fc_file file;
	uint64_t off;
	unsigned int entries; /* seen by this listing */
	uint8_t *buf;	      /* BENCH_BIG bytes for what is to be verified, or written */
};

struct engine {
	struct target *t;
	struct fixture *f;
	struct fuse_client *c;
	struct lane *lane;
	unsigned int lanes, total; /* of this queue; of all */
	uint64_t random;
	uint64_t cursor; /* of the sequential loads */
	uint64_t end, ops_left;
	uint64_t last; /* when an operation was counted last */
	struct hist hist;
	uint64_t background, refused;
	int error;
	struct err err;
};

/*
 * The next step of the lane's operation, given that the last one was answered (none was ahead of step 0):
 * fills lane->op and returns STEP_ASK, or checks and returns STEP_DONE, or -errno with the engine's err.
 */
int lane_step(struct lane *l);

#endif
