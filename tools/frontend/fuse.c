/* SPDX-License-Identifier: BSD-3-Clause */
/* A FUSE client on one virtqueue; the header says how. */
#include "fuse.h"

#include "base/arith.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE	 4096u
#define SHRED_IN 5u /* pieces that a shredded area gets beyond what it needs */

/* One request's memory. All of it is the guest's but the struct itself. */
struct fc_slot {
	struct fc_op *op; /* NULL: free */
	uint8_t *in, *out;
	uint64_t in_gpa, out_gpa;
	uint8_t *data;
	uint64_t data_gpa;
	struct drv_table table;
	struct drv_seg *seg;
	unsigned int nseg;
};

static unsigned int max_segs(const struct fc_config *cfg)
{
	return (unsigned int)(cfg->max_data / PAGE + 2 + 2 * SHRED_IN + 8);
}

/* Bytes of data that lie in one piece of guest memory. */
static size_t run_size(const struct fc_config *cfg)
{
	return PAGE * MAX(cfg->page_run, 1);
}

static int slot_init(struct fuse_client *c, struct fc_slot *s)
{
	unsigned int n = max_segs(&c->cfg);

	s->seg = calloc(n, sizeof(*s->seg));
	s->in = gm_alloc(c->gm, FC_ARGS, PAGE);
	s->out = gm_alloc(c->gm, FC_ARGS, PAGE);
	s->data = gm_alloc(c->gm, arith_align_up(c->cfg.max_data, run_size(&c->cfg)) + PAGE, PAGE);
	s->table.host = gm_alloc(c->gm, 16ul * n, 16);
	if (!s->seg || !s->in || !s->out || !s->data || !s->table.host)
		return -ENOMEM;
	s->in_gpa = gm_gpa(c->gm, s->in);
	s->out_gpa = gm_gpa(c->gm, s->out);
	s->data_gpa = gm_gpa(c->gm, s->data);
	s->table.gpa = gm_gpa(c->gm, s->table.host);
	s->table.cap = n;
	return 0;
}

int fc_init(struct fuse_client *c, struct guestmem *gm, struct drv_queue *q, const struct fc_config *cfg)
{
	int r = 0;

	*c = (struct fuse_client){.q = q, .gm = gm, .cfg = *cfg, .pid = (uint32_t)getpid()};
	c->slot = calloc(cfg->depth, sizeof(*c->slot));
	if (!c->slot)
		return -ENOMEM;
	for (unsigned int i = 0; i < cfg->depth && !r; i++)
		r = slot_init(c, &c->slot[i]);
	return r;
}

void fc_free(struct fuse_client *c)
{
	for (unsigned int i = 0; c->slot && i < c->cfg.depth; i++)
		free(c->slot[i].seg);
	free(c->slot);
	c->slot = NULL;
}

static void add_seg(struct fc_slot *s, uint64_t gpa, size_t len)
{
	if (len)
		s->seg[s->nseg++] = (struct drv_seg){gpa, (uint32_t)len};
}

/* An area of header and arguments, of which the first @head bytes are the header. */
static void add_area(struct fuse_client *c, struct fc_slot *s, uint64_t gpa, size_t head, size_t len)
{
	static const size_t odd[SHRED_IN] = {1, 2, 7, 13, 31};
	size_t at = 0;

	switch (c->cfg.layout) {
	case FC_FLAT:
		break;
	case FC_PAGES:
		add_seg(s, gpa, head);
		at = head;
		break;
	case FC_SHRED:
		for (unsigned int i = 0; i < SHRED_IN && at + odd[i] < len; i++) {
			add_seg(s, gpa + at, odd[i]);
			at += odd[i];
		}
		break;
	}
	add_seg(s, gpa + at, len - at);
}

/* Where byte @off of the data lies in the slot's data area, and how many bytes follow it there in one piece.
 */
static size_t data_at(const struct fuse_client *c, size_t off, size_t len, size_t *run)
{
	size_t size = run_size(&c->cfg), runs = arith_align_up(c->cfg.max_data, size) / size;

	switch (c->cfg.layout) {
	case FC_PAGES: /* from the last run to the first */
		*run = MIN(PAGE - off % PAGE, len - off);
		return (runs - 1 - off / size) * size + off % size;
	case FC_SHRED: /* a shift by three bytes: the first piece is 5 bytes long, the others a page */
		*run = off < 5 ? MIN(5 - off, len - off) : MIN(PAGE - (off - 5) % PAGE, len - off);
		return off + 3;
	case FC_FLAT:
		break;
	}
	*run = len - off;
	return off;
}

static void add_data(struct fuse_client *c, struct fc_slot *s, size_t len)
{
	size_t run;

	for (size_t off = 0; off < len; off += run) {
		size_t at = data_at(c, off, len, &run);

		add_seg(s, s->data_gpa + at, run);
	}
}

static void copy_data(struct fuse_client *c, struct fc_slot *s, void *to, const void *from, size_t len)
{
	size_t run;

	for (size_t off = 0; off < len; off += run) {
		uint8_t *page = s->data + data_at(c, off, len, &run);

		if (to)
			memcpy((uint8_t *)to + off, page, run);
		else
			memcpy(page, (const uint8_t *)from + off, run);
	}
}

/* Header and arguments into the slot; their length, 0 if they don't fit. */
static size_t build(struct fuse_client *c, struct fc_slot *s, struct fc_op *op)
{
	struct fuse_in_header h = {.opcode = op->opcode, .nodeid = op->node, .uid = c->uid, .gid = c->gid};
	size_t len = sizeof(h);

	for (unsigned int i = 0; i < op->nargs; i++) {
		if (len + op->arg[i].iov_len > FC_ARGS)
			return 0;
		if (op->arg[i].iov_len) /* else there may be no place */
			memcpy(s->in + len, op->arg[i].iov_base, op->arg[i].iov_len);
		len += op->arg[i].iov_len;
	}
	h.pid = c->pid;
	h.unique = op->unique = c->unique += 2;
	h.len = (uint32_t)(len + op->data_len);
	h.total_extlen = (uint16_t)(op->ext_len / 8);
	memcpy(s->in, &h, sizeof(h));
	return len;
}

static struct fc_slot *free_slot(struct fuse_client *c)
{
	for (unsigned int i = 0; i < c->cfg.depth; i++)
		if (!c->slot[i].op)
			return &c->slot[i];
	return NULL;
}

int fc_start_quietly(struct fuse_client *c, struct fc_op *op)
{
	struct fc_slot *s = free_slot(c);
	unsigned int nin;
	size_t len;
	int r;

	if (!s)
		return -EBUSY;
	len = build(c, s, op);
	if (!len || op->data_len > c->cfg.max_data || op->read_len > c->cfg.max_data)
		return -E2BIG;
	if (op->data)
		copy_data(c, s, NULL, op->data, op->data_len);
	s->nseg = 0;
	add_area(c, s, s->in_gpa, sizeof(struct fuse_in_header), len);
	add_data(c, s, op->data_len);
	nin = s->nseg;
	if (!op->no_reply) {
		size_t head = sizeof(struct fuse_out_header);

		memset(s->out, 0xee, head + op->reply_len);
		add_area(c, s, s->out_gpa, head, head + op->reply_len);
		add_data(c, s, op->read_len);
	}
	r = drv_add(c->q, s->seg, nin, s->nseg - nin, c->cfg.indirect ? &s->table : NULL, s);
	if (r)
		return -EBUSY;
	s->op = op;
	op->done = false;
	c->in_flight++;
	return 0;
}

int fc_start(struct fuse_client *c, struct fc_op *op)
{
	int r = fc_start_quietly(c, op);

	if (!r)
		drv_kick(c->q);
	return r;
}

/* What the reply says: its error, or -EPROTO if header, length and used length don't agree. */
static int check_reply(const struct fc_slot *s, struct fc_op *op, uint32_t written)
{
	struct fuse_out_header h;

	if (op->no_reply)
		return written ? -EPROTO : 0;
	memcpy(&h, s->out, sizeof(h));
	if (written < sizeof(h) || h.len != written || h.unique != op->unique)
		return -EPROTO;
	if (h.error > 0 || h.error <= -4096 || (h.error && h.len != sizeof(h)))
		return -EPROTO;
	op->got = h.len - sizeof(h);
	if (op->got > op->reply_len + op->read_len)
		return -EPROTO;
	return h.error;
}

static void finish(struct fuse_client *c, struct fc_slot *s, uint32_t written)
{
	struct fc_op *op = s->op;

	op->got = 0;
	op->error = check_reply(s, op, written);
	if (!op->error && op->reply)
		memcpy(op->reply, s->out + sizeof(struct fuse_out_header), MIN(op->got, op->reply_len));
	if (!op->error && op->read && op->got > op->reply_len)
		copy_data(c, s, op->read, NULL, op->got - op->reply_len);
	op->done = true;
	s->op = NULL;
	c->in_flight--;
}

int fc_reap(struct fuse_client *c, struct fc_op **op, int timeout_ms)
{
	struct fc_op *dummy;
	struct fc_slot *s;
	uint32_t written;
	void *cookie;
	int r = drv_get(c->q, &cookie, &written);

	if (!r && timeout_ms && drv_wait(c->q, timeout_ms))
		r = drv_get(c->q, &cookie, &written);
	if (r <= 0)
		return r;
	s = cookie;
	*(op ? op : &dummy) = s->op;
	finish(c, s, written);
	return 1;
}

static void abandon(struct fuse_client *c, const struct fc_op *op)
{
	for (unsigned int i = 0; i < c->cfg.depth; i++)
		if (c->slot[i].op && (!op || c->slot[i].op == op))
			c->slot[i].op = &c->orphan;
}

void fc_abandon(struct fuse_client *c)
{
	abandon(c, NULL);
}

ssize_t fc_wait(struct fuse_client *c, struct fc_op *op)
{
	while (!op->done) {
		int r = fc_reap(c, NULL, c->cfg.timeout_ms);

		if (r > 0)
			continue;
		abandon(c, op);
		return r ? r : -ETIMEDOUT;
	}
	return op->error ? op->error : (ssize_t)op->got;
}

ssize_t fc_call(struct fuse_client *c, struct fc_op *op)
{
	int r = fc_start(c, op);

	return r ? r : fc_wait(c, op);
}

int fc_drain(struct fuse_client *c)
{
	while (c->in_flight) {
		int r = fc_reap(c, NULL, c->cfg.timeout_ms);

		if (r <= 0)
			return r ? r : -ETIMEDOUT;
	}
	return 0;
}
