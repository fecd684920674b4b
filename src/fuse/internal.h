/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the parts of a session fit together. session.c has the opcode table and takes a request through it;
 * worker.c what a thread needs, and who may run beside whom; init.c negotiates; decode_X.c turns a family's
 * arguments into calls of struct fuse_ops; ext.c reads what trails creating requests; reply.c writes answers.
 */
#ifndef FUSE_INTERNAL_H
#define FUSE_INTERNAL_H

#include "base/cursor.h"
#include "fuse/session.h"
#include "fuse/wire.h"

#include <pthread.h>
#include <stdatomic.h>

/* Most bytes of arguments that are copied: a SETXATTR value of 64 KiB, labels and names fit several times.
 * WRITE's data is not among them. */
#define ARGS_MAX (256 * 1024)

/* The record in SEGMENT_CONN. Written only inside worker_exclusive_begin() ... end(). */
struct fuse_conn {
	_Atomic uint32_t
		live; /* 1: INIT went through, and no DESTROY since; written last, and first at the end */
	uint32_t minor;
	uint64_t flags; /* FUSE_INIT flags that both sides have */
};

/* Most bytes of a listing. */
#define LISTING_MAX (1024 * 1024)

/* listing.c: what listings in flight have counted. Bits of records: in use; and of those, an earlier
 * process's. */
struct listings {
	void *records;
	struct op_intent *intents; /* all of them; none: nothing is noted */
	uint64_t nintents;
	_Atomic uint64_t taken, old;
};

struct timeout {
	uint64_t sec;
	uint32_t nsec;
};

struct fuse_session {
	/* Constant after fuse_session_new(). */
	struct fuse_session_config cfg;
	const struct fuse_ops *ops;
	struct fs *fs;
	struct fuse_conn *conn;
	struct timeout entry_timeout, attr_timeout;

	struct listings listings;

	pthread_mutex_t gate;	/* held by the one that runs alone */
	_Atomic bool exclusive; /* somebody holds the gate, or waits to run alone */

	pthread_mutex_t lock; /* guards what follows; taken before a worker's lock */
	struct fuse_worker *workers;
	uint64_t requests[FUSE_OPCODES + 1]; /* of workers that are gone */
};

struct buffer {
	void *p;
	size_t size;
};

struct fuse_worker {
	struct fuse_session *session;
	struct fuse_worker *next; /* session->lock */
	int (*may_block)(void *arg, enum op_block kind);
	void *arg;

	/* The worker's thread alone, but for ctx.cancelled. */
	struct op_ctx ctx;
	bool waited;	  /* may_block() was called for this request's lock, and agreed */
	bool handed_over; /* may_block() was called for this request's I/O */
	bool gone;	  /* nobody is there any more to be answered: guest memory is not touched */
	struct buffer args, scratch;
	uint32_t sluggish; /* so many of OPC_BRIEF are taken to be long: one was */
	uint32_t listing;  /* its record in listing.c, and one; 0: none */

	_Atomic bool busy; /* handles a request that others may run beside */
	_Atomic uint64_t unique;
	_Atomic uint64_t requests[FUSE_OPCODES + 1]; /* the last: unknown opcodes */

	pthread_mutex_t lock; /* guards what follows, and ctx.cancelled's rise */
	bool waits;	      /* the request may wait for another lock's holder */
	bool peer;	      /* it waits for the front-end: it can be cancelled, but not by the guest */
	pthread_t thread;     /* valid while @waits or @peer */
};

/* One request on its way. On the stack of the thread that handles it. */
struct fuse_req {
	struct fuse_worker *w;
	struct fuse_session *s;
	struct fuse_chain *chain;
	struct fuse_in_header h; /* a copy; everything in it is the guest's */
	const void *in;		 /* the fixed arguments: as many bytes as the opcode table says, aligned */
	struct cursor args;	 /* what was copied behind them */
	size_t left;		 /* bytes behind the fixed arguments, copied or not */
	struct iovec *head;	 /* where the reply's header goes: at most a piece a byte */
	unsigned int nhead;
	bool can_reply;
	bool said_long; /* it is not counted on to be quick */
	size_t room;	/* bytes for the reply behind the header */
};

/*
 * A handler: returns the length of the reply behind the header, which it has written, or -errno. The caller
 * has checked that rq->in and the fixed part of the reply are as long as the opcode table says.
 */
typedef ssize_t fuse_handler(struct fuse_req *rq);

fuse_handler fuse_do_init, fuse_do_destroy, fuse_do_interrupt;
fuse_handler fuse_do_lookup, fuse_do_forget, fuse_do_batch_forget, fuse_do_symlink, fuse_do_mknod,
	fuse_do_mkdir, fuse_do_unlink, fuse_do_rmdir, fuse_do_rename, fuse_do_rename2, fuse_do_link,
	fuse_do_readlink;
fuse_handler fuse_do_getattr, fuse_do_statx, fuse_do_setattr, fuse_do_statfs, fuse_do_access;
fuse_handler fuse_do_open, fuse_do_create, fuse_do_tmpfile, fuse_do_read, fuse_do_write, fuse_do_flush,
	fuse_do_release, fuse_do_fsync, fuse_do_fallocate, fuse_do_lseek, fuse_do_copy_file_range,
	fuse_do_copy_file_range_64, fuse_do_ioctl, fuse_do_syncfs;
fuse_handler fuse_do_opendir, fuse_do_readdir, fuse_do_readdirplus, fuse_do_releasedir, fuse_do_fsyncdir;
fuse_handler fuse_do_setxattr, fuse_do_getxattr, fuse_do_listxattr, fuse_do_removexattr;
fuse_handler fuse_do_setupmapping, fuse_do_removemapping;
fuse_handler fuse_do_getlk, fuse_do_setlk, fuse_do_setlkw;

static inline struct nodeid req_node(const struct fuse_req *rq)
{
	return (struct nodeid){rq->h.nodeid};
}

static inline bool req_negotiated(const struct fuse_req *rq, uint64_t flag)
{
	return rq->s->conn->flags & flag;
}

/* session.c: the request is not one of the quick ones that its opcode's are (OP_BLOCK_LONG). */
void req_takes_long(struct fuse_req *rq);

/* reply.c: each returns the bytes it wrote behind the header, or -EINVAL if there is no room (nothing is
 * written then). */
ssize_t reply_bytes(struct fuse_req *rq, size_t off, const void *p, size_t len);
ssize_t reply_entry(struct fuse_req *rq, const struct op_entry *e);
/* The guest is about to hear of these; either may be 0. */
void reply_made(struct fuse_req *rq, struct nodeid node, struct op_fh fh);
/* How long the guest may believe the attributes: not at all where the host may take SUID and SGID away at a
 * write, after which Linux asks for size and times again, but not for the mode. */
struct timeout attr_timeout_of(const struct fuse_session *s, const struct op_entry *e);
void reply_fill_entry(const struct fuse_session *s, const struct op_entry *e, struct fuse_entry_out *out);
void reply_fill_attr(const struct op_entry *e, struct fuse_attr *out);
struct timeout reply_timeout(double seconds);

/*
 * listing.c. A request begins one before it counts: false if it must not count at all. It has room, or must
 * count no more; listing_counted() notes each. The worker ends it when its answer is in the ring, or ahead of
 * its next request. A request that is run again takes back what an earlier process had counted.
 */
void listings_init(struct listings *l, const struct segment *seg);
bool listing_begin(struct fuse_req *rq);
bool listing_has_room(const struct fuse_req *rq);
void listing_counted(struct fuse_req *rq, struct nodeid node);
void listing_take_back(struct fuse_req *rq);
void listing_end(struct fuse_worker *w);

/*
 * ext.c: reads the extensions behind the last argument that was taken: groups go to the request's op_ctx, a
 * label to @m. 0 or -EINVAL, -ENOMEM, -EOPNOTSUPP.
 */
int ext_decode(struct fuse_req *rq, struct op_mode *m);

/* init.c: as if DESTROY had come. The caller runs alone. */
void init_end_session(struct fuse_session *s);
/* Goes on with a session of an earlier process, or ends what it was about to end. 0 or -errno. */
int init_adopt(struct fuse_session *s);
/* True if @conn, from an earlier process, is something that this session could have negotiated. */
bool init_conn_valid(const struct fuse_session *s, const struct fuse_conn *conn);

/* worker.c: @size bytes that live until the next call for the same buffer, or NULL. The contents are
 * undefined. */
void *worker_args(struct fuse_worker *w, size_t size);
void *worker_scratch(struct fuse_worker *w, size_t size);

/* Around a request that others may run beside. @waits: it can be cancelled meanwhile. */
void worker_enter(struct fuse_worker *w, bool waits);
/* Within any request, around its OP_BLOCK_PEER. */
void worker_set_peer(struct fuse_worker *w, bool peer);
void worker_leave(struct fuse_worker *w);

/* Around what must run alone, on a thread that is in no request of the first kind: waits until the others'
 * are done, and cancels those that wait for locks. */
void worker_exclusive_begin(struct fuse_session *s);
void worker_exclusive_end(struct fuse_session *s);

/* A handler for FUSE_CANCEL_SIGNAL. */
int worker_setup_signal(struct err *err);

#endif
