/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest of fuse_fake.h. Memory for requests and replies is exact, so that ASan sees every step beside it.
 */
#include "fuse_fake.h"

#include "base/arith.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 8192

struct fuse_session_config guest_config(void)
{
	return (struct fuse_session_config){
		.cache = FUSE_CACHE_AUTO,
		.attr_timeout = -1,
		.entry_timeout = -1,
		.readdirplus = true,
		.announce_submounts = true,
		.posix_locks = true,
		.flock_locks = true,
		.xattr = true,
		.posix_acl = true,
		.security_label = true,
		.killpriv_v2 = true,
	};
}

/* Nothing here can fail for a reason that a test is about. */
static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "test guest: %s\n", what);
	abort();
}

void guest_open(struct guest *g, const struct fuse_session_config *cfg)
{
	struct segment_plan plan[SEGMENT_SECTIONS] = {[SEGMENT_CONN] = fuse_session_plan()};
	struct err err = {0};

	*g = (struct guest){.room = ROOM};
	fake_init(&g->fs);
	need(!segment_create(&g->seg, plan, &err), err.text);
	need(!fuse_session_new(cfg, &fake_ops, &g->fs, &g->seg, &g->session, &err), err.text);
	g->worker = fuse_worker_new(g->session, NULL, NULL);
	need(g->worker, "no memory");
}

void guest_close(struct guest *g)
{
	fuse_worker_free(g->worker);
	fuse_session_free(g->session);
	segment_close(&g->seg);
	free(g->in);
	free(g->out);
}

void guest_put(struct guest *g, const void *p, size_t len)
{
	if (g->len + len > g->cap) {
		g->cap = (g->len + len) * 2;
		g->in = realloc(g->in, g->cap);
		need(g->in, "no memory");
	}
	if (len)
		memcpy(g->in + g->len, p, len);
	g->len += len;
}

void guest_put_string(struct guest *g, const char *s)
{
	guest_put(g, s, strlen(s) + 1);
}

void guest_begin(struct guest *g, uint32_t opcode, uint64_t node)
{
	struct fuse_in_header h = {
		.opcode = opcode, .unique = 0x1234, .nodeid = node, .uid = 1000, .gid = 1001, .pid = 4242};

	g->len = 0;
	g->len_lie = 0;
	guest_put_record(g, h);
}

struct fuse_in_header *guest_header(struct guest *g)
{
	return (struct fuse_in_header *)(void *)g->in;
}

/* A vector over [p, p + len) in pieces of @piece bytes, with an empty one ahead of every second. */
static struct iovec *cut(uint8_t *p, size_t len, size_t piece, unsigned int *n)
{
	size_t step = piece ? piece : MAX(len, 1);
	struct iovec *iov = calloc(len / step * 2 + 2, sizeof(*iov));

	need(iov, "no memory");
	*n = 0;
	for (size_t at = 0; at < len; at += step) {
		if (piece && at / step % 2)
			iov[(*n)++] = (struct iovec){.iov_base = p + at, .iov_len = 0};
		iov[(*n)++] = (struct iovec){.iov_base = p + at, .iov_len = MIN(step, len - at)};
	}
	return iov;
}

ssize_t guest_send_by(struct guest *g, struct fuse_worker *w)
{
	struct fuse_chain chain = {0};
	uint8_t *in = malloc(MAX(g->len, 1));
	struct iovec *iin, *iout;
	ssize_t r;

	need(in, "no memory");
	guest_header(g)->len = (uint32_t)((int64_t)g->len + g->len_lie);
	memcpy(in, g->in, g->len);
	free(g->out);
	g->out = malloc(MAX(g->room, 1));
	need(g->out, "no memory");
	memset(g->out, 0xee, g->room);
	chain.in = iin = cut(in, g->len, g->pin, &chain.nin);
	chain.out = iout = cut(g->out, g->room, g->pout, &chain.nout);
	r = fuse_worker_handle(w, &chain);
	free(iin);
	free(iout);
	free(in);
	g->reply = (struct fuse_out_header){0};
	g->body = NULL;
	g->nbody = 0;
	if (r > 0) {
		need((size_t)r >= sizeof(g->reply) && (size_t)r <= g->room, "the reply's length");
		memcpy(&g->reply, g->out, sizeof(g->reply));
		need(g->reply.len == (size_t)r && g->reply.unique == guest_header(g)->unique,
			"the reply's header");
		g->body = g->out + sizeof(g->reply);
		g->nbody = (size_t)r - sizeof(g->reply);
		need(!g->nbody || !g->reply.error, "a body beside an error");
	}
	return r;
}

ssize_t guest_send(struct guest *g)
{
	return guest_send_by(g, g->worker);
}

int guest_init(struct guest *g, uint32_t minor, uint64_t flags, struct fuse_init_out *out)
{
	struct fuse_init_in in = {.major = 7,
		.minor = minor,
		.max_readahead = 131072,
		.flags = (uint32_t)flags,
		.flags2 = (uint32_t)(flags >> 32)};

	guest_begin(g, FUSE_INIT, 0);
	guest_put(g, &in, flags & FUSE_INIT_EXT ? sizeof(in) : FUSE_COMPAT_INIT_IN_SIZE);
	guest_send(g);
	if (out && g->nbody == sizeof(*out))
		memcpy(out, g->body, sizeof(*out));
	return g->reply.error;
}
