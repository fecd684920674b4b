/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A FUSE client on one virtqueue, as a guest's kernel is: builds requests in guest memory, has up to `depth`
 * of them in flight, matches and checks replies. One thread a client; fuse_ops.h has a function for each
 * request.
 */
#ifndef FRONTEND_FUSE_H
#define FRONTEND_FUSE_H

#include "driver.h"
#include "fuse_abi.h"

#include <sys/types.h>
#include <sys/uio.h>

/* How a request lies in descriptors. The device must not care. */
enum fc_layout {
	FC_PAGES, /* as Linux: header, each argument and each page of data on its own; runs of pages out of
		     order */
	FC_FLAT,  /* as few descriptors as can be: data contiguous */
	FC_SHRED, /* header and arguments cut into pieces of odd lengths, data off page borders */
};

struct fc_config {
	unsigned int depth; /* requests in flight */
	size_t max_data;    /* bytes of data a request can carry */
	size_t page_run;    /* FC_PAGES: so many pages, a power of two, are neighbours; 0: one */
	bool indirect;	    /* use indirect tables */
	enum fc_layout layout;
	int timeout_ms;
};

#define FC_ARGS 8192u /* most bytes of header and arguments, either way */

/* A request. The caller fills the first part and keeps it until it is done. */
struct fc_op {
	uint32_t opcode;
	uint64_t node;
	struct iovec arg[4]; /* what follows the header, in order */
	unsigned int nargs;
	size_t ext_len;	  /* bytes at the end of the arguments that are extensions */
	const void *data; /* data to write; NULL: what the pages hold already */
	size_t data_len;
	void *reply; /* where the reply's fixed part goes */
	size_t reply_len;
	void *read; /* where data behind it goes; NULL: leave it in the pages */
	size_t read_len;
	bool no_reply; /* FORGET and its kin */

	bool done;
	int error;	 /* 0 or -errno: the reply's, or ours (-EPROTO: malformed) */
	size_t got;	 /* bytes of the reply behind its header */
	uint64_t unique; /* set by fc_start() */
};

struct fc_slot;

struct fuse_client {
	struct drv_queue *q;
	struct guestmem *gm;
	struct fc_config cfg;
	struct fc_slot *slot;
	struct fc_op orphan; /* stands for requests whose caller stopped waiting */
	unsigned int in_flight;
	uint64_t unique;	/* of the last request; goes up by two, as Linux does */
	uint32_t uid, gid, pid; /* who asks */
};

int fc_init(struct fuse_client *c, struct guestmem *gm, struct drv_queue *q, const struct fc_config *cfg);
void fc_free(struct fuse_client *c);

/* Adds the request; kicks unless the caller does that for many at once. 0, or -EBUSY: no slot or no
 * descriptors. */
int fc_start(struct fuse_client *c, struct fc_op *op);
int fc_start_quietly(struct fuse_client *c, struct fc_op *op);
/* Waits for any reply and marks its op done; *op is it, if wanted. 1, 0 after the time, or -EPROTO. */
int fc_reap(struct fuse_client *c, struct fc_op **op, int timeout_ms);
/* Waits for this one: bytes of the reply behind its header, or -errno. -ETIMEDOUT: none came. */
ssize_t fc_wait(struct fuse_client *c, struct fc_op *op);
ssize_t fc_call(struct fuse_client *c, struct fc_op *op);
/* Nobody waits any longer for what is in flight: its replies, if they come, are dropped. */
void fc_abandon(struct fuse_client *c);
/* Waits until nothing is in flight. */
int fc_drain(struct fuse_client *c);

#endif
