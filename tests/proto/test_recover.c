/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that serves is killed between and amid requests: the guest sees what it would have seen, files
 * have what they would have had.
 */
#include "test.h"

#include "worker.h"

#include <signal.h>

#define DEPTH 8
/* A sanitizer would have its say on SIGSEGV, and exit instead of dying of it. */
#define CRASH (TEST_SANITIZED ? SIGABRT : SIGSEGV)

static struct worker find_worker(struct test *t)
{
	struct worker w;

	if (!worker_find(&w, &t->vm.daemon))
		skip();
	return w;
}

static void test_between(void **state)
{
	struct test *t = *state;
	struct worker w = find_worker(t);
	struct fc_file f = guest_create(t, "f", O_RDWR);
	struct fuse_entry_out e;
	char buf[16] = "";

	for (int i = 0; i < 10; i++) {
		char name[16];

		LEN(fc_write(t->c, f, "0123456789", 10, 10 * (uint64_t)i), 10);
		OK(worker_kill(&w, SIGKILL));
		snprintf(name, sizeof(name), "d%d", i);
		OK(fc_mkdir(t->c, t->dir, name, 0755, &e));
		OK(fc_lookup(t->c, t->dir, name, &e));
	}
	OK(fc_unlink(t->c, t->dir, "f"));
	OK(worker_kill(&w, CRASH));
	LEN(fc_read(t->c, f, buf, 10, 90), 10);
	assert_string_equal(buf, "0123456789");
	OK(fc_release(t->c, f));
	assert_false(host_exists(t->host, "f"));
	for (int i = 0; i < 10; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d%d", i);
		assert_true(host_exists(t->host, name));
	}
}

/* Descriptors that nobody needs any more are closed: what a worker leaves open does not add up. */
static void test_descriptors(void **state)
{
	struct test *t = *state;
	struct worker w = find_worker(t);
	struct fuse_attr_out attr;
	unsigned int before;

	OK(worker_kill(&w, SIGKILL));
	OK(fc_getattr(t->c, t->dir, 0, &attr));
	before = test_server_fds(&t->vm);
	for (int i = 0; i < 20; i++) {
		OK(worker_kill(&w, SIGKILL));
		OK(fc_getattr(t->c, t->dir, 0, &attr));
	}
	assert_int_equal(test_server_fds(&t->vm), before);
}

/* Writes in flight, at random moments; each is answered once, and each byte is there. */
static void test_amid_writes(void **state)
{
	enum { SIZE = 65536, ROUNDS = 40 };
	struct test *t = *state;
	struct worker w = find_worker(t);
	struct fc_file f = guest_create(t, "f", O_RDWR);
	static char data[SIZE], seen[SIZE];
	struct fuse_write_in in[DEPTH];
	struct fc_op op[DEPTH];

	test_pattern(data, SIZE, 3);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		for (unsigned int i = 0; i < DEPTH; i++) {
			fc_op_write(&op[i], &in[i], f, SIZE, ((uint64_t)round * DEPTH + i) * SIZE);
			op[i].data = data;
			op[i].data_len = SIZE;
			OK(fc_start(t->c, &op[i]));
		}
		nanosleep(&(struct timespec){.tv_nsec = 10000 * (round % 20)}, NULL);
		OK(worker_kill(&w, SIGKILL));
		for (unsigned int i = 0; i < DEPTH; i++)
			LEN(fc_wait(t->c, &op[i]), sizeof(struct fuse_write_out));
	}
	for (uint64_t i = 0; i < ROUNDS * DEPTH; i++) {
		LEN(fc_read(t->c, f, seen, SIZE, i * SIZE), SIZE);
		assert_memory_equal(seen, data, SIZE);
	}
}

/* What ends one process after the other is given up, and nothing else with it. */
static void test_crashes(void **state)
{
	struct test *t = *state;
	struct worker w = find_worker(t);
	struct fc_file f = guest_create(t, "f", O_RDWR), g = guest_open(t, "f", O_RDWR);
	struct fuse_lk_in held = {
		.fh = f.fh, .owner = 1, .lk = {.end = FC_OFFSET_MAX, .type = F_WRLCK, .pid = 1}};
	struct fuse_lk_in wanted = held;
	struct fuse_attr_out attr;
	struct fc_op op;

	wanted.fh = g.fh;
	wanted.owner = 2;
	OK(fc_setlk(t->c, f.node, &held));
	OK(fc_setlkw_start(t->c, g.node, &wanted, &op));
	for (unsigned int i = 0; i < 3; i++) {
		OK(fc_getattr(t->c, f.node, 0, &attr)); /* the wait has begun, or its turn comes again */
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		assert_false(op.done);
		OK(worker_kill(&w, CRASH));
	}
	ERR(fc_wait(t->c, &op), EIO);
	OK(fc_getattr(t->c, f.node, 0, &attr));
	ERR(fc_setlk(t->c, g.node, &wanted), EAGAIN); /* the other's lock has outlived them all */
	held.lk.type = F_UNLCK;
	OK(fc_setlk(t->c, f.node, &held));
	OK(fc_setlk(t->c, g.node, &wanted));
	OK(fc_flush(t->c, g, 2));
	OK(fc_release(t->c, f));
	OK(fc_release(t->c, g));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_between),
		TEST(test_descriptors),
		TEST(test_amid_writes),
		TEST(test_crashes),
	};

	return TEST_RUN(tests, TEST_ALL, &(struct vm_config){0}, NULL);
}
