/* SPDX-License-Identifier: BSD-3-Clause */
/* Two queues at once, each with 32 requests in flight, every byte verified. */
#include "test.h"

#include <pthread.h>
#include <unistd.h>

#define QUEUES	  2
#define DEPTH	  32
#define FILE_SIZE (128u << 10)
#define MAX_IO	  (32u << 10)
#define RUN_MS	  1000

/* A file of which one request at a time reads or writes a piece. */
struct lane {
	struct fc_file f;
	struct fc_op op;
	union {
		struct fuse_read_in read;
		struct fuse_write_in write;
		struct fuse_getattr_in getattr;
	} in;
	struct fuse_attr_out attr;
	uint8_t mirror[FILE_SIZE], buf[MAX_IO];
	size_t off, len;
};

struct load {
	struct fuse_client *c;
	struct lane *lane;
	uint32_t random;
	uint64_t done;
	const char *wrong;
};

static uint32_t next_random(struct load *l)
{
	l->random ^= l->random << 13;
	l->random ^= l->random >> 17;
	l->random ^= l->random << 5;
	return l->random;
}

static void start_one(struct load *l, struct lane *n)
{
	uint32_t kind = next_random(l) % 3;

	n->off = next_random(l) % (FILE_SIZE - 1);
	n->len = 1 + next_random(l) % MIN(MAX_IO, FILE_SIZE - n->off);
	if (kind == 0) {
		fc_op_read(&n->op, &n->in.read, n->f, n->len, n->off);
		n->op.read = n->buf;
	} else if (kind == 1) {
		fc_op_write(&n->op, &n->in.write, n->f, n->len, n->off);
		test_pattern(n->mirror + n->off, n->len, next_random(l));
		n->op.data = n->mirror + n->off;
	} else {
		n->in.getattr = (struct fuse_getattr_in){0};
		n->op = (struct fc_op){.opcode = FUSE_GETATTR, .node = n->f.node, .nargs = 1};
		n->op.arg[0] = (struct iovec){&n->in.getattr, sizeof(n->in.getattr)};
		n->op.reply = &n->attr;
		n->op.reply_len = sizeof(n->attr);
	}
	if (fc_start(l->c, &n->op))
		l->wrong = "a request could not be started";
}

static void check_one(struct load *l, struct lane *n)
{
	l->done++;
	if (n->op.error)
		l->wrong = "a request failed";
	else if (n->op.opcode == FUSE_READ &&
		 (n->op.got != n->len || memcmp(n->buf, n->mirror + n->off, n->len)))
		l->wrong = "a READ gave other bytes than were written";
	else if (n->op.opcode == FUSE_GETATTR && n->attr.attr.size != FILE_SIZE)
		l->wrong = "a GETATTR gave another size";
}

static void *run_load(void *arg)
{
	struct load *l = arg;
	int64_t end = test_ms() + RUN_MS;

	for (unsigned int i = 0; i < DEPTH; i++)
		start_one(l, &l->lane[i]);
	while (!l->wrong && l->c->in_flight) {
		struct fc_op *op = NULL;
		struct lane *n;

		if (fc_reap(l->c, &op, 5000) != 1) {
			l->wrong = "no reply came";
			break;
		}
		n = (struct lane *)(void *)((char *)op - offsetof(struct lane, op));
		check_one(l, n);
		if (!l->wrong && test_ms() < end)
			start_one(l, n);
	}
	return NULL;
}

static void make_lane(struct test *t, struct lane *n, const char *name)
{
	test_pattern(n->mirror, FILE_SIZE, (unsigned int)n->mirror[0] + 1);
	host_write_file(t->host, name, n->mirror, FILE_SIZE);
	n->f = guest_open(t, name, O_RDWR);
}

static void two_queues(void **state)
{
	static struct lane lane[QUEUES][DEPTH];
	struct load load[QUEUES] = {0};
	struct test *t = *state;
	pthread_t thread[QUEUES];
	char name[32];

	for (unsigned int q = 0; q < QUEUES; q++) {
		for (unsigned int i = 0; i < DEPTH; i++) {
			snprintf(name, sizeof(name), "q%u-%u", q, i);
			make_lane(t, &lane[q][i], name);
		}
		load[q] = (struct load){.c = &t->vm.client[1 + q], .lane = lane[q], .random = q + 1};
	}
	for (unsigned int q = 0; q < QUEUES; q++)
		assert_int_equal(pthread_create(&thread[q], NULL, run_load, &load[q]), 0);
	for (unsigned int q = 0; q < QUEUES; q++)
		pthread_join(thread[q], NULL);
	for (unsigned int q = 0; q < QUEUES; q++) {
		if (load[q].wrong)
			fail_msg("queue %u: %s", q, load[q].wrong);
		assert_true(load[q].done > DEPTH);
		for (unsigned int i = 0; i < DEPTH; i++) {
			snprintf(name, sizeof(name), "q%u-%u", q, i);
			host_expect_file(t->host, name, lane[q][i].mirror, FILE_SIZE);
		}
	}
	fprintf(stderr, "%llu and %llu requests\n", (unsigned long long)load[0].done,
		(unsigned long long)load[1].done);
}

/* Names made and removed by both queues in one directory; a listing goes on meanwhile. */
struct churn {
	struct fuse_client *c;
	uint64_t dir;
	unsigned int id, rounds;
	int error;
};

static int churn_once(struct churn *w)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT | O_EXCL, .mode = S_IFREG | 0644};
	struct fc_created cr;
	char name[32], other[32];
	int r;

	snprintf(name, sizeof(name), "c%u-%u", w->id, w->rounds);
	snprintf(other, sizeof(other), "d%u-%u", w->id, w->rounds);
	r = fc_create(w->c, w->dir, name, &in, &cr);
	if (!r)
		r = fc_rename(w->c, w->dir, name, w->dir, other);
	if (!r)
		r = fc_release(w->c, (struct fc_file){cr.entry.nodeid, cr.open.fh});
	if (!r)
		r = fc_unlink(w->c, w->dir, other);
	if (!r)
		r = fc_forget(w->c, cr.entry.nodeid, 1);
	w->rounds++;
	return r;
}

static void *churn(void *arg)
{
	struct churn *w = arg;
	int64_t end = test_ms() + RUN_MS / 2;

	while (!w->error && test_ms() < end)
		w->error = churn_once(w);
	return NULL;
}

static void names_on_two_queues(void **state)
{
	struct test *t = *state;
	struct churn w[QUEUES] = {0};
	pthread_t thread[QUEUES];

	for (unsigned int q = 0; q < QUEUES; q++) {
		w[q] = (struct churn){.c = &t->vm.client[1 + q], .dir = t->dir, .id = q};
		assert_int_equal(pthread_create(&thread[q], NULL, churn, &w[q]), 0);
	}
	for (unsigned int q = 0; q < QUEUES; q++) {
		pthread_join(thread[q], NULL);
		OK(w[q].error);
		assert_true(w[q].rounds > 10);
	}
	assert_int_equal(unlinkat(t->vm.daemon.share, t->name, AT_REMOVEDIR), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(two_queues),
		TEST(names_on_two_queues),
	};
	static const struct vm_config cfg = {
		.queues = QUEUES, .client = {.depth = DEPTH, .max_data = MAX_IO, .timeout_ms = 5000}};
	static const char *const args[] = {"--queues=2", NULL};
	static const struct spawn_config spawn = {.args = args};

	return TEST_RUN(tests, TEST_SPLIT | TEST_PACKED | TEST_INDIRECT, &cfg, &spawn);
}
