/* SPDX-License-Identifier: BSD-3-Clause */
/* Many files at once, every byte verified; the header says how. */
#include "load.h"

#include "test.h"

static uint32_t next_random(struct load *l)
{
	l->random ^= l->random << 13;
	l->random ^= l->random >> 17;
	l->random ^= l->random << 5;
	return l->random;
}

static void start_one(struct load *l, struct load_lane *n)
{
	uint32_t kind = next_random(l) % 3;

	n->off = next_random(l) % (LOAD_FILE_SIZE - 1);
	n->len = 1 + next_random(l) % MIN(LOAD_MAX_IO, LOAD_FILE_SIZE - n->off);
	if (kind == 0) {
		fc_op_read(&n->op, &n->in.read, n->f, n->len, n->off);
		n->op.read = n->buf;
	} else if (kind == 1) {
		fc_op_write(&n->op, &n->in.write, n->f, n->len, n->off);
		test_pattern(n->mirror + n->off, n->len, next_random(l));
		n->op.data = n->mirror + n->off;
		n->op.reply = &n->out.write;
	} else {
		n->in.getattr = (struct fuse_getattr_in){0};
		n->op = (struct fc_op){.opcode = FUSE_GETATTR, .node = n->f.node, .nargs = 1};
		n->op.arg[0] = (struct iovec){&n->in.getattr, sizeof(n->in.getattr)};
		n->op.reply = &n->out.attr;
		n->op.reply_len = sizeof(n->out.attr);
	}
	if (fc_start(l->c, &n->op))
		l->wrong = "a request could not be started";
}

static void check_one(struct load *l, struct load_lane *n)
{
	l->done++;
	if (n->op.error)
		l->wrong = "a request failed";
	else if (n->op.opcode == FUSE_READ &&
		 (n->op.got != n->len || memcmp(n->buf, n->mirror + n->off, n->len)))
		l->wrong = "a READ gave other bytes than were written";
	else if (n->op.opcode == FUSE_WRITE && n->out.write.size != n->len)
		l->wrong = "a WRITE was short";
	else if (n->op.opcode == FUSE_GETATTR && n->out.attr.attr.size != LOAD_FILE_SIZE)
		l->wrong = "a GETATTR gave another size";
}

void *load_run(void *load)
{
	struct load *l = load;

	for (unsigned int i = 0; i < l->lanes; i++)
		start_one(l, &l->lane[i]);
	while (!l->wrong && l->c->in_flight) {
		struct fc_op *op = NULL;
		struct load_lane *n;

		if (fc_reap(l->c, &op, l->c->cfg.timeout_ms) != 1) {
			l->wrong = "no reply came";
			break;
		}
		n = (struct load_lane *)(void *)((char *)op - offsetof(struct load_lane, op));
		check_one(l, n);
		if (!l->wrong && test_ms() < l->end_ms)
			start_one(l, n);
	}
	return NULL;
}

static const char *name_of(const struct load *l, unsigned int i)
{
	static char name[64];

	snprintf(name, sizeof(name), "%s-%u", l->name, i);
	return name;
}

void load_make(struct load *l, int host)
{
	for (unsigned int i = 0; i < l->lanes; i++) {
		test_pattern(l->lane[i].mirror, LOAD_FILE_SIZE, next_random(l));
		host_write_file(host, name_of(l, i), l->lane[i].mirror, LOAD_FILE_SIZE);
	}
}

void load_open(struct load *l, uint64_t dir)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;

	for (unsigned int i = 0; i < l->lanes; i++) {
		OK(fc_lookup(l->c, dir, name_of(l, i), &e));
		OK(fc_open(l->c, e.nodeid, O_RDWR, &o));
		l->lane[i].f = (struct fc_file){e.nodeid, o.fh};
	}
}

void load_close(struct load *l)
{
	for (unsigned int i = 0; i < l->lanes; i++) {
		OK(fc_release(l->c, l->lane[i].f));
		OK(fc_forget(l->c, l->lane[i].f.node, 1));
	}
}

void load_expect(const struct load *l, int host)
{
	if (l->wrong)
		fail_msg("%s: %s", l->name, l->wrong);
	assert_true(l->done >= l->lanes);
	for (unsigned int i = 0; i < l->lanes; i++)
		host_expect_file(host, name_of(l, i), l->lane[i].mirror, LOAD_FILE_SIZE);
}
