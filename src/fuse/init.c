/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * INIT and DESTROY. What can be negotiated stands in one table: the wire's bit, when we offer it, what else
 * it needs, and what it tells the file system. The guest offers, the intersection holds for both.
 */
#include "fuse/internal.h"

#include "base/arith.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>

#define GUEST_PAGE	     4096 /* the smallest; guests with larger pages get larger requests */
#define MAX_BACKGROUND	     256
#define CONGESTION_THRESHOLD 192

typedef const struct fuse_session_config config;

static bool always(config *c)
{
	(void)c;
	return true;
}

static bool zero_message_open(config *c)
{
	return c->zero_message_open && c->cache == FUSE_CACHE_ALWAYS;
}

static bool opens_are_sent(config *c)
{
	return !zero_message_open(c);
}

static bool posix_locks(config *c)
{
	return c->posix_locks && opens_are_sent(c);
}

static bool flock_locks(config *c)
{
	return c->flock_locks && opens_are_sent(c);
}

static bool direct_io(config *c)
{
	return c->cache == FUSE_CACHE_NEVER || c->cache == FUSE_CACHE_METADATA;
}

static bool mmap_of_direct_io(config *c)
{
	return c->allow_mmap && direct_io(c);
}

static bool writeback(config *c)
{
	return c->writeback && !direct_io(c);
}

static bool readdirplus(config *c)
{
	return c->readdirplus;
}

static bool posix_acl(config *c)
{
	return c->posix_acl && c->xattr;
}

static bool submounts(config *c)
{
	return c->announce_submounts;
}

static bool killpriv_v2(config *c)
{
	return c->killpriv_v2;
}

static bool security_label(config *c)
{
	return c->security_label && c->xattr;
}

static bool cache_auto(config *c)
{
	return c->cache == FUSE_CACHE_AUTO;
}

static bool cache_always(config *c)
{
	return c->cache == FUSE_CACHE_ALWAYS;
}

static bool dax(config *c)
{
	return c->dax_align != 0;
}

#define NO_FEATURE    SIZE_MAX
#define FEATURE(name) offsetof(struct op_features, name)

static const struct flag {
	const char *name;
	uint64_t bit;
	bool (*offered)(config *c);
	uint64_t needs; /* bits that must be negotiated too */
	size_t feature; /* which field of struct op_features it sets */
} flags[] = {
	{"ASYNC_READ", FUSE_ASYNC_READ, always, 0, NO_FEATURE},
	{"POSIX_LOCKS", FUSE_POSIX_LOCKS, posix_locks, 0, FEATURE(posix_locks)},
	{"ATOMIC_O_TRUNC", FUSE_ATOMIC_O_TRUNC, opens_are_sent, 0, NO_FEATURE},
	{"BIG_WRITES", FUSE_BIG_WRITES, always, 0, NO_FEATURE},
	{"DONT_MASK", FUSE_DONT_MASK, posix_acl, FUSE_POSIX_ACL, NO_FEATURE},
	{"FLOCK_LOCKS", FUSE_FLOCK_LOCKS, flock_locks, 0, FEATURE(flock_locks)},
	{"AUTO_INVAL_DATA", FUSE_AUTO_INVAL_DATA, cache_auto, 0, NO_FEATURE},
	{"DO_READDIRPLUS", FUSE_DO_READDIRPLUS, readdirplus, 0, NO_FEATURE},
	{"READDIRPLUS_AUTO", FUSE_READDIRPLUS_AUTO, readdirplus, FUSE_DO_READDIRPLUS, NO_FEATURE},
	{"ASYNC_DIO", FUSE_ASYNC_DIO, always, 0, NO_FEATURE},
	{"WRITEBACK_CACHE", FUSE_WRITEBACK_CACHE, writeback, 0, FEATURE(writeback)},
	{"NO_OPEN_SUPPORT", FUSE_NO_OPEN_SUPPORT, zero_message_open, 0, FEATURE(zero_message_open)},
	{"PARALLEL_DIROPS", FUSE_PARALLEL_DIROPS, always, 0, NO_FEATURE},
	{"POSIX_ACL", FUSE_POSIX_ACL, posix_acl, FUSE_DONT_MASK, FEATURE(posix_acl)},
	{"MAX_PAGES", FUSE_MAX_PAGES, always, 0, NO_FEATURE},
	{"CACHE_SYMLINKS", FUSE_CACHE_SYMLINKS, cache_always, 0, NO_FEATURE},
	{"NO_OPENDIR_SUPPORT", FUSE_NO_OPENDIR_SUPPORT, zero_message_open, FUSE_NO_OPEN_SUPPORT,
		FEATURE(zero_message_opendir)},
	{"MAP_ALIGNMENT", FUSE_MAP_ALIGNMENT, dax, 0, FEATURE(dax)},
	{"HAS_INODE_DAX", FUSE_HAS_INODE_DAX, dax, FUSE_INIT_EXT | FUSE_MAP_ALIGNMENT, NO_FEATURE},
	{"SUBMOUNTS", FUSE_SUBMOUNTS, submounts, 0, FEATURE(submounts)},
	{"HANDLE_KILLPRIV_V2", FUSE_HANDLE_KILLPRIV_V2, killpriv_v2, 0, FEATURE(killpriv_v2)},
	{"SETXATTR_EXT", FUSE_SETXATTR_EXT, always, 0, NO_FEATURE},
	{"INIT_EXT", FUSE_INIT_EXT, always, 0, NO_FEATURE},
	{"SECURITY_CTX", FUSE_SECURITY_CTX, security_label, FUSE_INIT_EXT, FEATURE(security_ctx)},
	{"CREATE_SUPP_GROUP", FUSE_CREATE_SUPP_GROUP, always, FUSE_INIT_EXT, NO_FEATURE},
	{"DIRECT_IO_ALLOW_MMAP", FUSE_DIRECT_IO_ALLOW_MMAP, mmap_of_direct_io, FUSE_INIT_EXT, NO_FEATURE},
};

static uint64_t offered_flags(config *c)
{
	uint64_t all = 0;

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (flags[i].offered(c))
			all |= flags[i].bit;
	return all;
}

/* What both have, less what lacks something that it needs. */
static uint64_t common_flags(config *c, uint64_t guest)
{
	uint64_t common = offered_flags(c) & guest;
	uint64_t before;

	do {
		before = common;
		for (size_t i = 0; i < ARRAY_LEN(flags); i++)
			if (flags[i].needs & ~common)
				common &= ~flags[i].bit;
	} while (common != before);
	return common;
}

/* What the options insist on and the guest lacks, NULL if nothing. */
static const char *lacking(config *c, const struct op_features *f)
{
	if (c->posix_acl_required && !f->posix_acl)
		return "POSIX ACLs";
	if (c->security_label_required && !f->security_ctx)
		return "security labels";
	return NULL;
}

static struct op_features features_of(uint64_t common)
{
	struct op_features f = {0};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (flags[i].feature != NO_FEATURE && common & flags[i].bit)
			*(bool *)((char *)&f + flags[i].feature) = true;
	return f;
}

/* Writes the flags' names, each with a space ahead. */
static void name_flags(uint64_t which, char *names, size_t size)
{
	int used = 0;

	names[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(flags) && used < (int)size; i++)
		if (which & flags[i].bit)
			used += snprintf(names + used, size - (size_t)used, " %s", flags[i].name);
}

static void log_result(const struct fuse_conn *conn)
{
	char names[512];

	if (!log_enabled(LOG_LEVEL_DEBUG))
		return;
	name_flags(conn->flags, names, sizeof(names));
	log_debug("fuse: the guest speaks %u.%u:%s", FUSE_MAJOR, conn->minor, names);
}

bool init_conn_valid(const struct fuse_session *s, const struct fuse_conn *conn)
{
	if (!conn->live)
		return true;
	return conn->live == 1 && conn->minor >= FUSE_MINOR_MIN && conn->minor <= FUSE_MINOR &&
	       common_flags(&s->cfg, conn->flags) == conn->flags;
}

int init_adopt(struct fuse_session *s)
{
	struct op_features features = features_of(s->conn->flags);

	if (s->conn->live)
		return s->ops->init(s->fs, &features);
	s->ops->destroy(s->fs);
	return 0;
}

void fuse_session_get_state(const struct fuse_session *s, struct fuse_session_state *out)
{
	*out = (struct fuse_session_state){.live = s->conn->live,
		.minor = s->conn->minor,
		.flags = s->conn->flags,
		.max_write = s->cfg.max_write};
}

int fuse_session_set_state(struct fuse_session *s, const struct fuse_session_state *state, struct err *err)
{
	struct fuse_conn conn = {.live = state->live, .minor = state->minor, .flags = state->flags};
	char names[256];
	int r;

	if (s->conn->live || state->live > 1)
		return err_set(err, EINVAL, "the session's state cannot be right");
	if (!state->live)
		return 0;
	if (state->max_write > s->cfg.max_write)
		return err_set(err, EINVAL,
			"the guest writes up to %u bytes at once, %u are allowed here: --max-write",
			state->max_write, s->cfg.max_write);
	if (!init_conn_valid(s, &conn)) {
		name_flags(conn.flags & ~common_flags(&s->cfg, conn.flags), names, sizeof(names));
		return err_set(err, EINVAL, "the guest uses what the options here do not offer:%s", names);
	}
	s->conn->minor = conn.minor;
	s->conn->flags = conn.flags;
	s->conn->live = 1;
	r = init_adopt(s);
	if (r)
		s->conn->live = 0;
	return r ? err_sys(err, -r, "the session cannot go on") : 0;
}

void init_end_session(struct fuse_session *s)
{
	if (!s->conn->live)
		return;
	s->conn->live = 0;
	s->ops->destroy(s->fs);
}

ssize_t fuse_do_destroy(struct fuse_req *rq)
{
	init_end_session(rq->s);
	return 0;
}

/* INIT_EXT promises a record with flags2; one that is too short for it had no INIT_EXT. */
static uint64_t guest_flags(struct fuse_req *rq, const struct fuse_init_in *in)
{
	uint64_t all = in->flags;
	const uint32_t *flags2;

	if (!(all & FUSE_INIT_EXT))
		return all;
	flags2 = cursor_take(&rq->args, sizeof(*flags2));
	return flags2 ? all | (uint64_t)*flags2 << 32 : all & ~FUSE_INIT_EXT;
}

static ssize_t answer(struct fuse_req *rq, const struct fuse_init_in *in)
{
	const struct fuse_conn *conn = rq->s->conn;
	uint32_t max_write = rq->s->cfg.max_write;
	struct fuse_init_out out = {
		.major = FUSE_MAJOR,
		.minor = conn->minor,
		.max_readahead = in->max_readahead,
		.flags = (uint32_t)conn->flags,
		.flags2 = (uint32_t)(conn->flags >> 32),
		.max_background = MAX_BACKGROUND,
		.congestion_threshold = CONGESTION_THRESHOLD,
		.max_write = max_write,
		.time_gran = 1,
	};

	if (conn->flags & FUSE_MAX_PAGES)
		out.max_pages = (uint16_t)((max_write + GUEST_PAGE - 1) / GUEST_PAGE);
	if (conn->flags & FUSE_MAP_ALIGNMENT)
		out.map_alignment = rq->s->cfg.dax_align;
	return reply_bytes(rq, 0, &out, sizeof(out));
}

/* A guest that speaks a newer major version hears ours, ignores the rest and asks again. */
static ssize_t answer_major(struct fuse_req *rq)
{
	struct fuse_init_out out = {.major = FUSE_MAJOR, .minor = FUSE_MINOR};

	return reply_bytes(rq, 0, &out, sizeof(out));
}

/*
 * A guest that asks which files to map is told of no window if nothing can be mapped there, and goes on
 * without. One that maps whatever it likes (dax=always) cannot be told.
 */
static void try_window(struct fuse_req *rq)
{
	struct fuse_conn *conn = rq->s->conn;

	if (!(conn->flags & FUSE_MAP_ALIGNMENT) || rq->s->ops->window_works(rq->s->fs))
		return;
	if (conn->flags & FUSE_HAS_INODE_DAX)
		conn->flags &= ~(uint64_t)(FUSE_MAP_ALIGNMENT | FUSE_HAS_INODE_DAX);
}

ssize_t fuse_do_init(struct fuse_req *rq)
{
	const struct fuse_init_in *in = rq->in; /* its first 16 bytes */
	struct fuse_session *s = rq->s;
	struct op_features features;
	const char *lacks;
	int r;

	init_end_session(s); /* the guest was reset and said no DESTROY */
	if (in->major > FUSE_MAJOR)
		return answer_major(rq);
	if (in->major < FUSE_MAJOR || in->minor < FUSE_MINOR_MIN) {
		log_limited("fuse: the guest speaks %u.%u; %u.%u is the oldest that is served", in->major,
			in->minor, FUSE_MAJOR, FUSE_MINOR_MIN);
		return -EPROTO;
	}
	s->conn->minor = MIN(in->minor, FUSE_MINOR);
	s->conn->flags = common_flags(&s->cfg, guest_flags(rq, in));
	try_window(rq);
	features = features_of(s->conn->flags);
	lacks = lacking(&s->cfg, &features);
	if (lacks) {
		log_limited("fuse: the guest has no %s, which the options ask for", lacks);
		return -EOPNOTSUPP;
	}
	r = s->ops->init(s->fs, &features);
	if (r)
		return r;
	s->conn->live = 1;
	log_result(s->conn);
	return answer(rq, in);
}
