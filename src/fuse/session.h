/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A FUSE session: takes requests as bytes, calls the file system, writes replies as bytes. It knows no rings
 * and no sockets. A request's header and arguments are copied out of the guest's memory once and checked
 * then; file data stays in place. What is malformed costs the guest an error reply; nothing a guest writes
 * ends the daemon.
 */
#ifndef FUSE_SESSION_H
#define FUSE_SESSION_H

#include "base/err.h"
#include "base/segment.h"
#include "fuse/ops.h"

#include <signal.h>

/* The signal that gets a thread out of a lock's wait. fuse_session_new() gives it a handler that does
 * nothing, for the whole process; threads that handle requests must not block it. */
#define FUSE_CANCEL_SIGNAL SIGUSR1

enum fuse_cache { FUSE_CACHE_NEVER, FUSE_CACHE_METADATA, FUSE_CACHE_AUTO, FUSE_CACHE_ALWAYS };

/* What the options ask of the session. Copied by fuse_session_new(). */
struct fuse_session_config {
	enum fuse_cache cache;
	double attr_timeout, entry_timeout; /* seconds; negative: what the cache mode says */
	bool writeback;			    /* offer WRITEBACK_CACHE */
	bool allow_mmap;	 /* --allow-mmap: shared mappings where the cache mode makes direct I/O
				    (DIRECT_IO_ALLOW_MMAP) */
	bool readdirplus;	 /* offer READDIRPLUS; default on */
	bool announce_submounts; /* SUBMOUNTS */
	bool posix_locks, flock_locks;
	bool xattr;					  /* else the xattr family answers ENOSYS */
	bool posix_acl;					  /* POSIX_ACL, DONT_MASK */
	bool security_label;				  /* SECURITY_CTX */
	bool posix_acl_required, security_label_required; /* a guest that lacks it is refused at INIT */
	bool killpriv_v2;				  /* HANDLE_KILLPRIV_V2 */
	bool readonly;					  /* every changing request answers EROFS */
	bool zero_message_open;				  /* design decision 4 */
	uint8_t dax_align; /* offer MAP_ALIGNMENT: logarithm of what the window's ranges are aligned to; 0: no
			      window */
	uint32_t max_xattr; /* bytes of an attribute's value, E2BIG beyond; 0: what Linux allows, 64 KiB */
	uint32_t max_write; /* bytes, default 1 MiB; MAX_PAGES follows from it */
};

struct fuse_session;

/* A request or reply: pieces of the guest's memory. in: readable, out: writable. The session may edit the
 * elements. */
struct fuse_chain {
	struct iovec *in;
	unsigned int nin;
	struct iovec *out;
	unsigned int nout;
	struct op_intent *intent; /* NULL: what it does is not noted */
};

/* What one thread needs to handle requests: copies of arguments, room for replies. One a thread, reused. */
struct fuse_worker;

/*
 * A session over the file system @ops, @fs. Negotiated state lies in @seg (SEGMENT_CONN). 0 or -errno with
 * @err. *out is the caller's; fs and seg must outlive it.
 */
int fuse_session_new(const struct fuse_session_config *cfg, const struct fuse_ops *ops, struct fs *fs,
	const struct segment *seg, struct fuse_session **out, struct err *err);
void fuse_session_free(struct fuse_session *s);

/* What the session wants of SEGMENT_CONN, and, to note what listings count, of SEGMENT_LISTINGS. */
struct segment_plan fuse_session_plan(void);
struct segment_plan fuse_listings_plan(void);

/* @may_block and @arg: op_ctx's hook for requests this worker handles; called as may_block(arg, kind), with
 * OP_BLOCK_LONG or OP_BLOCK_COPY ahead of each request that is not quick, and with OP_BLOCK_ANSWER once for
 * each OP_BLOCK_LOCK that was granted. May be NULL. */
struct fuse_worker *fuse_worker_new(
	struct fuse_session *s, int (*may_block)(void *arg, enum op_block kind), void *arg);
void fuse_worker_free(struct fuse_worker *w);

/*
 * Handles one request to its end. Returns the bytes of the reply that were written to chain->out, 0 where the
 * protocol has no reply, or -EPROTO if the chain can't even carry an error reply (then 0 bytes were written,
 * and the caller gives it back so).
 */
ssize_t fuse_worker_handle(struct fuse_worker *w, struct fuse_chain *chain);

/*
 * As fuse_worker_handle() if the request is a FORGET or a BATCH_FORGET: it has no reply, and is about nothing
 * that another request of the same thread could wait for. Else -EAGAIN, and nothing was done.
 */
ssize_t fuse_worker_forget(struct fuse_worker *w, struct fuse_chain *chain);

/* Answers @error (-errno) without looking further than the header. Otherwise as fuse_worker_handle(). */
ssize_t fuse_worker_refuse(struct fuse_worker *w, struct fuse_chain *chain, int error);

/*
 * Cancels what this worker does now, if it waits for a lock or the front-end (its op returns -EINTR soon).
 * From any other thread; the caller repeats it until the worker is done, as a signal may come just ahead of
 * the wait.
 */
void fuse_worker_cancel(struct fuse_worker *w);
/* What it does now was cancelled, by whomever. */
bool fuse_worker_cancelled(const struct fuse_worker *w);

/* The guest is gone or was reset: as if DESTROY had come. No request may be in flight. Idempotent. */
void fuse_session_reset(struct fuse_session *s);

/* What was negotiated, for another daemon that shall go on. No request is in flight. */
struct fuse_session_state {
	uint32_t live; /* 0: nothing, the guest has not sent INIT yet */
	uint32_t minor;
	uint64_t flags;
	uint32_t max_write; /* bytes: the guest's requests are as long as that */
	uint32_t spare;
};
void fuse_session_get_state(const struct fuse_session *s, struct fuse_session_state *out);
/* Only where no session lives. -EINVAL with @err if this one's options could not have made it. */
int fuse_session_set_state(struct fuse_session *s, const struct fuse_session_state *state, struct err *err);

/* Numbers for logs and metrics; any thread. */
uint64_t fuse_session_requests(const struct fuse_session *s, uint32_t opcode);

#endif
