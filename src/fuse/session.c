/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A session, and a request's way through it: header, opcode table, checks, handler, reply header. The table
 * is the only place that knows how long an opcode's fixed arguments and reply are; a handler starts with both
 * guaranteed, so that nothing has to be undone for want of room.
 */
#include "fuse/internal.h"

#include "base/arith.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/order.h"
#include "base/tune.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdlib.h>

#define MAX_WRITE_DEFAULT (1024u * 1024)
#define MAX_WRITE_MIN	  4096u
#define MAX_WRITE_MAX	  (65535u * 4096u) /* what max_pages can say */

enum {
	OPC_CHANGES = 1 << 0,	/* EROFS on a read-only share */
	OPC_NO_REPLY = 1 << 1,	/* never answered */
	OPC_MAY_REPLY = 1 << 2, /* answered if there is room */
	OPC_NO_INIT = 1 << 3,	/* allowed ahead of INIT */
	OPC_ALONE = 1 << 4,	/* no other request runs meanwhile */
	OPC_WAITS = 1 << 5,	/* can be cancelled */
	OPC_XATTR = 1 << 6,	/* ENOSYS without --xattr */
	OPC_IN_PLACE = 1 << 7,	/* what follows the fixed arguments stays in the guest's memory */
	OPC_QUICK = 1 << 8,	/* a system call or two on what is mostly in memory, if it carries little */
	OPC_ENTRIES = 1 << 9,	/* what it carries are entries: a system call each */
	OPC_BRIEF = 1 << 10,	/* changes names or attributes: a few system calls that seldom wait */
};

struct opcode {
	fuse_handler *handle; /* NULL: ENOSYS */
	uint16_t in;	      /* bytes of fixed arguments that must come behind the header */
	uint16_t out;	      /* bytes that there must be room for behind the reply's header */
	uint16_t flags;
};

#define IN(record)  sizeof(struct record)
#define OUT(record) sizeof(struct record)

static const struct opcode opcodes[FUSE_OPCODES] = {
	[FUSE_LOOKUP] = {fuse_do_lookup, 0, OUT(fuse_entry_out), OPC_QUICK},
	[FUSE_FORGET] = {fuse_do_forget, IN(fuse_forget_in), 0, OPC_NO_REPLY | OPC_QUICK},
	[FUSE_GETATTR] = {fuse_do_getattr, IN(fuse_getattr_in), OUT(fuse_attr_out), OPC_QUICK},
	[FUSE_SETATTR] = {fuse_do_setattr, IN(fuse_setattr_in), OUT(fuse_attr_out), OPC_CHANGES | OPC_BRIEF},
	[FUSE_READLINK] = {fuse_do_readlink, 0, 0, OPC_QUICK},
	[FUSE_SYMLINK] = {fuse_do_symlink, 0, OUT(fuse_entry_out), OPC_CHANGES | OPC_BRIEF},
	[FUSE_MKNOD] = {fuse_do_mknod, IN(fuse_mknod_in), OUT(fuse_entry_out), OPC_CHANGES | OPC_BRIEF},
	[FUSE_MKDIR] = {fuse_do_mkdir, IN(fuse_mkdir_in), OUT(fuse_entry_out), OPC_CHANGES | OPC_BRIEF},
	[FUSE_UNLINK] = {fuse_do_unlink, 0, 0, OPC_CHANGES | OPC_BRIEF},
	[FUSE_RMDIR] = {fuse_do_rmdir, 0, 0, OPC_CHANGES | OPC_BRIEF},
	[FUSE_RENAME] = {fuse_do_rename, IN(fuse_rename_in), 0, OPC_CHANGES | OPC_BRIEF},
	[FUSE_LINK] = {fuse_do_link, IN(fuse_link_in), OUT(fuse_entry_out), OPC_CHANGES | OPC_BRIEF},
	[FUSE_OPEN] = {fuse_do_open, IN(fuse_open_in), OUT(fuse_open_out), OPC_QUICK},
	[FUSE_READ] = {fuse_do_read, IN(fuse_read_in), 0, OPC_QUICK},
	[FUSE_WRITE] = {fuse_do_write, IN(fuse_write_in), OUT(fuse_write_out),
		OPC_CHANGES | OPC_IN_PLACE | OPC_QUICK},
	[FUSE_STATFS] = {fuse_do_statfs, 0, OUT(fuse_statfs_out), 0},
	[FUSE_RELEASE] = {fuse_do_release, IN(fuse_release_in), 0, OPC_QUICK},
	[FUSE_FSYNC] = {fuse_do_fsync, IN(fuse_fsync_in), 0, 0},
	[FUSE_SETXATTR] = {fuse_do_setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE, 0,
		OPC_CHANGES | OPC_BRIEF | OPC_XATTR},
	[FUSE_GETXATTR] = {fuse_do_getxattr, IN(fuse_getxattr_in), 0, OPC_XATTR | OPC_QUICK},
	[FUSE_LISTXATTR] = {fuse_do_listxattr, IN(fuse_getxattr_in), 0, OPC_XATTR | OPC_QUICK},
	[FUSE_REMOVEXATTR] = {fuse_do_removexattr, 0, 0, OPC_CHANGES | OPC_BRIEF | OPC_XATTR},
	[FUSE_FLUSH] = {fuse_do_flush, IN(fuse_flush_in), 0, OPC_QUICK},
	[FUSE_INIT] = {fuse_do_init, FUSE_COMPAT_INIT_IN_SIZE, OUT(fuse_init_out), OPC_NO_INIT | OPC_ALONE},
	[FUSE_OPENDIR] = {fuse_do_opendir, IN(fuse_open_in), OUT(fuse_open_out), OPC_QUICK},
	[FUSE_READDIR] = {fuse_do_readdir, IN(fuse_read_in), 0, OPC_QUICK | OPC_ENTRIES},
	[FUSE_RELEASEDIR] = {fuse_do_releasedir, IN(fuse_release_in), 0, OPC_QUICK},
	[FUSE_FSYNCDIR] = {fuse_do_fsyncdir, IN(fuse_fsync_in), 0, 0},
	[FUSE_GETLK] = {fuse_do_getlk, IN(fuse_lk_in), OUT(fuse_lk_out), 0},
	[FUSE_SETLK] = {fuse_do_setlk, IN(fuse_lk_in), 0, 0},
	[FUSE_SETLKW] = {fuse_do_setlkw, IN(fuse_lk_in), 0, OPC_WAITS},
	[FUSE_ACCESS] = {fuse_do_access, IN(fuse_access_in), 0, OPC_QUICK},
	[FUSE_CREATE] = {fuse_do_create, IN(fuse_create_in), OUT(fuse_entry_out) + OUT(fuse_open_out),
		OPC_CHANGES | OPC_BRIEF},
	[FUSE_INTERRUPT] = {fuse_do_interrupt, IN(fuse_interrupt_in), 0, OPC_MAY_REPLY},
	[FUSE_DESTROY] = {fuse_do_destroy, 0, 0, OPC_NO_INIT | OPC_ALONE},
	[FUSE_IOCTL] = {fuse_do_ioctl, IN(fuse_ioctl_in), OUT(fuse_ioctl_out), 0},
	[FUSE_NOTIFY_REPLY] = {NULL, 0, 0, OPC_NO_REPLY},
	[FUSE_BATCH_FORGET] = {fuse_do_batch_forget, IN(fuse_batch_forget_in), 0, OPC_NO_REPLY},
	[FUSE_FALLOCATE] = {fuse_do_fallocate, IN(fuse_fallocate_in), 0, OPC_CHANGES},
	[FUSE_SETUPMAPPING] = {fuse_do_setupmapping, IN(fuse_setupmapping_in), 0, 0},
	[FUSE_REMOVEMAPPING] = {fuse_do_removemapping, IN(fuse_removemapping_in), 0, 0},
	[FUSE_READDIRPLUS] = {fuse_do_readdirplus, IN(fuse_read_in), 0, OPC_QUICK | OPC_ENTRIES},
	[FUSE_RENAME2] = {fuse_do_rename2, IN(fuse_rename2_in), 0, OPC_CHANGES | OPC_BRIEF},
	[FUSE_LSEEK] = {fuse_do_lseek, IN(fuse_lseek_in), OUT(fuse_lseek_out), 0},
	[FUSE_COPY_FILE_RANGE] = {fuse_do_copy_file_range, IN(fuse_copy_file_range_in), OUT(fuse_write_out),
		OPC_CHANGES},
	[FUSE_SYNCFS] = {fuse_do_syncfs, IN(fuse_syncfs_in), 0, 0},
	[FUSE_TMPFILE] = {fuse_do_tmpfile, IN(fuse_create_in), OUT(fuse_entry_out) + OUT(fuse_open_out),
		OPC_CHANGES | OPC_BRIEF},
	[FUSE_STATX] = {fuse_do_statx, IN(fuse_statx_in), OUT(fuse_statx_out), OPC_QUICK},
	[FUSE_COPY_FILE_RANGE_64] = {fuse_do_copy_file_range_64, IN(fuse_copy_file_range_in),
		OUT(fuse_copy_file_range_out), OPC_CHANGES},
};
static const struct opcode unknown;

/* Most bytes of a request and of its reply with which it is still quick. */
#define QUICK_MAX     (64 * 1024)
#define QUICK_ENTRIES (8 * 1024)
#define COPY_MIN      (256 * 1024) /* takes far longer than to wake another thread */
/* Requests that are taken to be long after one of OPC_BRIEF was. */
#define SLUGGISH 32

/* Where the reply's header goes, noted before handlers edit the vector. */
static void find_reply_room(struct fuse_req *rq)
{
	size_t total = iov_total(rq->chain->out, rq->chain->nout);
	size_t want = sizeof(struct fuse_out_header);

	if (total < want)
		return;
	rq->can_reply = true;
	rq->room = total - want;
	for (unsigned int i = 0; want; i++) {
		struct iovec v = rq->chain->out[i];

		if (!v.iov_len)
			continue;
		v.iov_len = MIN(v.iov_len, want);
		want -= v.iov_len;
		rq->head[rq->nhead++] = v;
	}
}

/* Copies the arguments, once. */
static int take_args(struct fuse_req *rq, const struct opcode *op)
{
	size_t total = iov_total(rq->chain->in, rq->chain->nin);
	size_t len;
	uint8_t *args;

	if (rq->h.len < sizeof(rq->h) + op->in || rq->h.len > total)
		return -EINVAL;
	rq->left = rq->h.len - sizeof(rq->h) - op->in;
	len = op->flags & OPC_IN_PLACE ? op->in : op->in + rq->left;
	if (len > ARGS_MAX)
		return -E2BIG;
	args = worker_args(rq->w, len);
	if (!args)
		return -ENOMEM;
	if (iov_read(rq->chain->in, rq->chain->nin, sizeof(rq->h), args, len) != len)
		return -EINVAL;
	rq->in = args;
	rq->args = cursor_over(args + op->in, len - op->in);
	return 0;
}

/* The hook of struct op_ctx. An op that is made of others may ask more than once: the queue is handed over
 * once. */
static int may_block(struct op_ctx *ctx, enum op_block kind)
{
	struct fuse_worker *w = (void *)((char *)ctx - offsetof(struct fuse_worker, ctx));

	int r;

	if (kind == OP_BLOCK_IO && w->handed_over)
		return 0;
	w->handed_over = true;
	r = w->may_block(w->arg, kind);
	if ((kind == OP_BLOCK_PEER && !r) || kind == OP_BLOCK_PEER_DONE)
		worker_set_peer(w, kind == OP_BLOCK_PEER);
	w->gone |= kind == OP_BLOCK_PEER_DONE && r;
	w->waited |= kind == OP_BLOCK_LOCK && !r;
	return r;
}

static void prepare_worker(struct fuse_req *rq)
{
	struct fuse_worker *w = rq->w;

	w->ctx.unique = rq->h.unique;
	w->ctx.uid = rq->h.uid;
	w->ctx.gid = rq->h.gid;
	w->ctx.pid = rq->h.pid;
	w->ctx.nsupp = 0;
	w->ctx.supp = NULL;
	w->ctx.may_block = w->may_block ? may_block : NULL;
	w->ctx.intent = rq->chain->intent;
	w->ctx.again = w->ctx.intent && w->ctx.intent->begun;
	atomic_store_explicit(&w->ctx.cancelled, false, memory_order_relaxed);
	w->handed_over = false;
	atomic_store_explicit(&w->unique, rq->h.unique, memory_order_release);
}

static void release_made(struct fuse_req *rq, struct nodeid made, struct op_fh fh)
{
	const struct fuse_ops *ops = rq->s->ops;

	if (rq->h.opcode == FUSE_OPENDIR)
		ops->releasedir(rq->s->fs, &rq->w->ctx, req_node(rq), fh);
	else
		ops->release(rq->s->fs, &rq->w->ctx, made.v ? made : req_node(rq), fh, false, 0);
}

/* What an earlier process got for the guest, which has not heard of it. */
static void take_back(struct fuse_req *rq)
{
	struct op_intent *in = rq->w->ctx.intent;
	struct nodeid node;
	struct op_fh fh;

	if (!in || (!in->node && !in->fh && !in->listing))
		return;
	if (in->listing)
		listing_take_back(rq);
	node.v = in->node;
	fh.v = in->fh;
	in->node = in->fh = 0;
	in_order();
	if (fh.v)
		release_made(rq, node, fh);
	if (node.v)
		rq->s->ops->forget(rq->s->fs, node, 1);
}

/* With the session's state held still. */
static ssize_t handle(struct fuse_req *rq, const struct opcode *op)
{
	if (!(op->flags & OPC_NO_INIT) && !rq->s->conn->live)
		return -EIO;
	if (op->flags & OPC_CHANGES && rq->s->cfg.readonly)
		return -EROFS;
	if (op->flags & OPC_XATTR && !rq->s->cfg.xattr)
		return -ENOSYS;
	take_back(rq);
	return op->handle(rq);
}

static bool is_quick(const struct fuse_req *rq, const struct opcode *op)
{
	size_t most = op->flags & OPC_ENTRIES ? QUICK_ENTRIES : QUICK_MAX;

	return op->flags & OPC_QUICK && rq->h.len <= QUICK_MAX && rq->room <= most;
}

/* A worker that had to wait, for a disk or a journal, takes the next ones to be long. */
static bool is_brief(const struct fuse_req *rq, const struct opcode *op)
{
	return op->flags & OPC_BRIEF && tune.brief && !rq->w->sluggish;
}

static void learn_brief(struct fuse_worker *w, uint64_t took)
{
	if (took > (uint64_t)tune.brief * 1000)
		w->sluggish = SLUGGISH;
	else if (w->sluggish)
		w->sluggish--;
}

static void say_long(struct fuse_req *rq, enum op_block kind)
{
	if (rq->w->may_block)
		rq->w->may_block(rq->w->arg, kind);
}

void req_takes_long(struct fuse_req *rq)
{
	rq->said_long = true;
	say_long(rq, OP_BLOCK_LONG);
}

/* One that reads so much. Those that write wait for each other in the host's kernel. */
static bool is_copy(const struct fuse_req *rq, const struct opcode *op)
{
	return op->flags & OPC_QUICK && !(op->flags & OPC_ENTRIES) && rq->room > COPY_MIN;
}

static ssize_t run(struct fuse_req *rq, const struct opcode *op)
{
	uint64_t began = 0;
	ssize_t r;

	if (!op->handle)
		return -ENOSYS;
	if (rq->can_reply && rq->room < op->out)
		return -EINVAL;
	r = take_args(rq, op);
	if (r)
		return r;
	prepare_worker(rq);
	if (!is_quick(rq, op) && !is_brief(rq, op))
		say_long(rq, is_copy(rq, op) ? OP_BLOCK_COPY : OP_BLOCK_LONG);
	if (op->flags & OPC_BRIEF)
		began = clock_ns();
	if (op->flags & OPC_ALONE) {
		worker_exclusive_begin(rq->s);
		r = handle(rq, op);
		worker_exclusive_end(rq->s);
	} else {
		worker_enter(rq->w, op->flags & OPC_WAITS);
		r = handle(rq, op);
		worker_leave(rq->w);
	}
	if (began && !rq->said_long)
		learn_brief(rq->w, clock_ns() - began);
	return r;
}

static ssize_t put_header(struct fuse_req *rq, ssize_t result)
{
	size_t body = result > 0 ? (size_t)result : 0;
	struct fuse_out_header h = {
		.len = (uint32_t)(sizeof(h) + body),
		.error = result < 0 ? (int32_t)result : 0,
		.unique = rq->h.unique,
	};

	iov_write(rq->head, rq->nhead, 0, &h, sizeof(h));
	return h.len;
}

static const struct opcode *find_opcode(struct fuse_req *rq)
{
	uint32_t i = MIN(rq->h.opcode, FUSE_OPCODES);
	_Atomic uint64_t *count = &rq->w->requests[i];

	/* Nobody else writes it: no need for a locked addition. */
	atomic_store_explicit(
		count, atomic_load_explicit(count, memory_order_relaxed) + 1, memory_order_relaxed);
	return i < FUSE_OPCODES ? &opcodes[i] : &unknown;
}

/* Does it and answers, if there is to be an answer. */
static ssize_t finish(struct fuse_req *rq, const struct opcode *op)
{
	struct fuse_worker *w = rq->w;
	ssize_t r;

	w->waited = w->gone = false;
	r = run(rq, op);
	if (log_enabled(LOG_LEVEL_TRACE))
		log_write(LOG_LEVEL_TRACE, "fuse: unique %lu opcode %u node %#lx: %zd",
			(unsigned long)rq->h.unique, rq->h.opcode, (unsigned long)rq->h.nodeid, r);
	if (w->gone || (w->waited && w->may_block(w->arg, OP_BLOCK_ANSWER)))
		return 0;
	return rq->can_reply && !(op->flags & OPC_NO_REPLY) ? put_header(rq, r) : 0;
}

ssize_t fuse_worker_handle(struct fuse_worker *w, struct fuse_chain *chain)
{
	struct iovec head[sizeof(struct fuse_out_header)];
	struct fuse_req rq = {.w = w, .s = w->session, .chain = chain, .head = head};
	const struct opcode *op;

	listing_end(w);
	if (iov_read(chain->in, chain->nin, 0, &rq.h, sizeof(rq.h)) < sizeof(rq.h))
		return -EPROTO;
	find_reply_room(&rq);
	op = find_opcode(&rq);
	if (!rq.can_reply && !(op->flags & (OPC_NO_REPLY | OPC_MAY_REPLY)))
		return -EPROTO;
	return finish(&rq, op);
}

ssize_t fuse_worker_forget(struct fuse_worker *w, struct fuse_chain *chain)
{
	struct fuse_req rq = {.w = w, .s = w->session, .chain = chain};

	if (iov_read(chain->in, chain->nin, 0, &rq.h, sizeof(rq.h)) < sizeof(rq.h))
		return -EAGAIN;
	if (rq.h.opcode != FUSE_FORGET && rq.h.opcode != FUSE_BATCH_FORGET)
		return -EAGAIN;
	return finish(&rq, find_opcode(&rq));
}

ssize_t fuse_worker_refuse(struct fuse_worker *w, struct fuse_chain *chain, int error)
{
	struct iovec head[sizeof(struct fuse_out_header)];
	struct fuse_req rq = {.w = w, .s = w->session, .chain = chain, .head = head};

	if (iov_read(chain->in, chain->nin, 0, &rq.h, sizeof(rq.h)) < sizeof(rq.h))
		return -EPROTO;
	find_reply_room(&rq);
	log_error("fuse: unique %lu, opcode %u, inode %#lx, %u bytes, of user %u, group %u, process %u: "
		  "refused with %s",
		(unsigned long)rq.h.unique, rq.h.opcode, (unsigned long)rq.h.nodeid, rq.h.len, rq.h.uid,
		rq.h.gid, rq.h.pid, strerrorname_np(-error));
	return rq.can_reply && !(find_opcode(&rq)->flags & OPC_NO_REPLY) ? put_header(&rq, error) : 0;
}

static struct timeout choose_timeout(const struct fuse_session_config *cfg, double asked)
{
	static const double seconds[] = {
		[FUSE_CACHE_NEVER] = 0,
		[FUSE_CACHE_METADATA] = 86400,
		[FUSE_CACHE_AUTO] = 1,
		[FUSE_CACHE_ALWAYS] = 86400,
	};

	return reply_timeout(asked >= 0 ? asked : seconds[cfg->cache]);
}

static int adopt_config(struct fuse_session *s, const struct fuse_session_config *cfg, struct err *err)
{
	s->cfg = *cfg;
	if (!s->cfg.max_write)
		s->cfg.max_write = MAX_WRITE_DEFAULT;
	if (!s->cfg.max_xattr)
		s->cfg.max_xattr = XATTR_SIZE_MAX;
	if (s->cfg.max_write < MAX_WRITE_MIN || s->cfg.max_write > MAX_WRITE_MAX)
		return err_set(err, EINVAL, "max_write %u is out of range: %u to %u", s->cfg.max_write,
			MAX_WRITE_MIN, MAX_WRITE_MAX);
	s->entry_timeout = choose_timeout(cfg, cfg->entry_timeout);
	s->attr_timeout = choose_timeout(cfg, cfg->attr_timeout);
	return 0;
}

struct segment_plan fuse_session_plan(void)
{
	return (struct segment_plan){.size = sizeof(struct fuse_conn), .count = 1};
}

int fuse_session_new(const struct fuse_session_config *cfg, const struct fuse_ops *ops, struct fs *fs,
	const struct segment *seg, struct fuse_session **out, struct err *err)
{
	struct fuse_session *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(err, ENOMEM, "no memory for a FUSE session");
	s->ops = ops;
	s->fs = fs;
	s->conn = segment_at(seg, SEGMENT_CONN);
	listings_init(&s->listings, seg);
	pthread_mutex_init(&s->gate, NULL);
	pthread_mutex_init(&s->lock, NULL);
	r = adopt_config(s, cfg, err);
	if (!r)
		r = worker_setup_signal(err);
	if (!r && !init_conn_valid(s, s->conn))
		r = err_set(err, EINVAL, "the state segment's session is not one that these options make");
	if (!r && seg->adopt && init_adopt(s))
		r = err_set(err, EINVAL, "the state segment's session cannot go on");
	if (r) {
		fuse_session_free(s);
		return r;
	}
	*out = s;
	return 0;
}

void fuse_session_free(struct fuse_session *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->gate);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void fuse_session_reset(struct fuse_session *s)
{
	worker_exclusive_begin(s);
	init_end_session(s);
	worker_exclusive_end(s);
}

uint64_t fuse_session_requests(const struct fuse_session *s, uint32_t opcode)
{
	uint32_t i = MIN(opcode, FUSE_OPCODES);
	pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&s->lock;
	uint64_t sum;

	pthread_mutex_lock(lock);
	sum = s->requests[i];
	for (const struct fuse_worker *w = s->workers; w; w = w->next)
		sum += atomic_load_explicit(&w->requests[i], memory_order_relaxed);
	pthread_mutex_unlock(lock);
	return sum;
}
