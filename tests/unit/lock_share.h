/* SPDX-License-Identifier: BSD-3-Clause */
/* Locks on a share, and threads that wait for them. */
#ifndef TESTS_LOCK_SHARE_H
#define TESTS_LOCK_SHARE_H

#include "fs_share.h"

#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <time.h>

/* What LOCK_TEST() gives each test as its state: a share and a file "f" in it, open for reading and writing.
 */
struct lock_test {
	struct share s;
	struct open_file f;
};

static inline int lock_test_new(void **state)
{
	static struct lock_test t;

	share_new(&t.s, share_config());
	t.f = share_file(&t.s, "f", "text", O_RDWR);
	*state = &t;
	return 0;
}

static inline int lock_test_free(void **state)
{
	struct lock_test *t = *state;

	share_free(&t->s);
	return 0;
}

#define LOCK_TEST(test) cmocka_unit_test_setup_teardown(test, lock_test_new, lock_test_free)

static inline void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static inline struct op_lock range(uint32_t type, uint64_t start, uint64_t end)
{
	return (struct op_lock){.type = type, .start = start, .end = end, .pid = 100};
}

static inline int set(struct share *s, const struct open_file *f, uint64_t owner, uint32_t type,
	uint64_t start, uint64_t end)
{
	struct op_lock lk = range(type, start, end);

	lk.pid = (uint32_t)owner * 10;
	return fs_op_setlk(s->fs, &s->c, f->node, f->fh, owner, &lk, false);
}

static inline struct op_lock get(struct share *s, const struct open_file *f, uint64_t owner, uint32_t type,
	uint64_t start, uint64_t end)
{
	struct op_lock lk = range(type, start, end);

	assert_int_equal(fs_op_getlk(s->fs, &s->c, f->node, f->fh, owner, &lk), 0);
	return lk;
}

/* A thread that asks for a lock and waits. */
struct waiter {
	struct op_ctx c; /* first */
	struct share *s;
	struct open_file f;
	uint64_t owner;
	struct op_lock lk;
	bool whole_file;
	int answer; /* may_block's */
	pthread_t thread;
	_Atomic bool blocked, done;
	int result;
};

static inline int waiter_may_block(struct op_ctx *c, enum op_block kind)
{
	struct waiter *w = (struct waiter *)(void *)c;

	w->blocked = true;
	return kind == OP_BLOCK_LOCK ? w->answer : -EIO;
}

static inline void *wait_thread(void *arg)
{
	struct waiter *w = arg;

	if (w->whole_file)
		w->result = fs_op_flock(w->s->fs, &w->c, w->f.node, w->f.fh, w->owner, LOCK_EX);
	else
		w->result = fs_op_setlk(w->s->fs, &w->c, w->f.node, w->f.fh, w->owner, &w->lk, true);
	w->done = true;
	return NULL;
}

static inline void waiter_start(struct waiter *w, struct share *s, const struct open_file *f, uint64_t owner)
{
	w->c.may_block = waiter_may_block;
	w->s = s;
	w->f = *f;
	w->owner = owner;
	if (!w->lk.pid)
		w->lk = range(F_WRLCK, 0, 9);
	assert_int_equal(pthread_create(&w->thread, NULL, wait_thread, w), 0);
	while (!w->blocked && !w->done)
		nap();
	nap();
}

static inline int waiter_join(struct waiter *w)
{
	pthread_join(w->thread, NULL);
	return w->result;
}

static inline int waiter_cancel(struct waiter *w)
{
	w->c.cancelled = true;
	while (!w->done) {
		pthread_kill(w->thread, SIGUSR1);
		nap();
	}
	return waiter_join(w);
}

static inline void waiter_on_signal(int sig)
{
	(void)sig;
}

/* Ahead of the tests; they end in time. */
static inline void waiter_setup(void)
{
	struct sigaction sa = {.sa_handler = waiter_on_signal};

	sigaction(SIGUSR1, &sa, NULL);
	alarm(25);
}

#endif
