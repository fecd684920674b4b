/* SPDX-License-Identifier: BSD-3-Clause */
/* Record locks and flock: between owners, handles, guests and the host; waiting, and not waiting any longer.
 */
#include "lock_share.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void test_owners(void **state)
{
	struct lock_test *t = *state;
	struct op_lock lk;

	assert_int_equal(get(&t->s, &t->f, 1, F_WRLCK, 0, INT64_MAX).type, F_UNLCK);
	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 10, 19), 0);
	assert_int_equal(set(&t->s, &t->f, 2, F_WRLCK, 19, 30), -EAGAIN);
	assert_int_equal(set(&t->s, &t->f, 2, F_RDLCK, 0, INT64_MAX), -EAGAIN);
	assert_int_equal(set(&t->s, &t->f, 2, F_WRLCK, 20, 30), 0);
	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 10, 19), 0); /* one's own locks are not in the way */
	lk = get(&t->s, &t->f, 2, F_RDLCK, 0, INT64_MAX);
	assert_int_equal(lk.type, F_WRLCK);
	assert_int_equal(lk.start, 10);
	assert_int_equal(lk.end, 19);
	assert_int_equal(lk.pid, 10);
	lk = get(&t->s, &t->f, 3, F_RDLCK, 20, 20);
	assert_int_equal(lk.start, 20);
	assert_int_equal(lk.pid, 20);
	assert_int_equal(get(&t->s, &t->f, 1, F_WRLCK, 10, 19).type, F_UNLCK);
	assert_int_equal(set(&t->s, &t->f, 1, F_UNLCK, 12, 13), 0);
	assert_int_equal(set(&t->s, &t->f, 2, F_WRLCK, 12, 13), 0);
	assert_int_equal(set(&t->s, &t->f, 2, F_WRLCK, 14, 14), -EAGAIN);
	assert_int_equal(t->s.blocked_lock, 0);
}

static void test_shared(void **state)
{
	struct lock_test *t = *state;
	struct open_file reader;
	struct op_lock lk;

	reader = (struct open_file){t->f.node, share_open(&t->s, t->f.node, O_RDONLY)};
	assert_int_equal(set(&t->s, &reader, 1, F_RDLCK, 5, INT64_MAX), 0);
	assert_int_equal(set(&t->s, &t->f, 2, F_RDLCK, 0, INT64_MAX), 0);
	assert_int_equal(set(&t->s, &t->f, 3, F_WRLCK, 100, 100), -EAGAIN);
	lk = get(&t->s, &t->f, 2, F_WRLCK, 0, INT64_MAX);
	assert_int_equal(lk.type, F_RDLCK);
	assert_int_equal(lk.start, 5);
	assert_int_equal(lk.end, INT64_MAX);
	assert_int_equal(lk.pid, 10);
	/* The same owner by another handle: one owner still, whose lock becomes another. */
	assert_int_equal(set(&t->s, &t->f, 2, F_UNLCK, 0, INT64_MAX), 0);
	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 0, INT64_MAX), 0);
	assert_int_equal(set(&t->s, &reader, 2, F_RDLCK, 5, 5), -EAGAIN);
}

static void test_ranges(void **state)
{
	struct lock_test *t = *state;
	struct op_lock lk = range(F_UNLCK, 0, 1);

	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 2, 1), -EINVAL);
	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 1ULL << 63, UINT64_MAX), -EINVAL);
	assert_int_equal(set(&t->s, &t->f, 1, 7, 0, 1), -EINVAL);
	assert_int_equal(set(&t->s, &t->f, 1, UINT32_MAX, 0, 1), -EINVAL);
	assert_int_equal(fs_op_getlk(t->s.fs, &t->s.c, t->f.node, t->f.fh, 1, &lk), -EINVAL);
	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, INT64_MAX, INT64_MAX), 0);
	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 3, UINT64_MAX), 0);
	assert_int_equal(set(&t->s, &t->f, 2, F_WRLCK, 0, 2), 0);
	assert_int_equal(set(&t->s, &t->f, 2, F_WRLCK, INT64_MAX - 1, INT64_MAX - 1), -EAGAIN);
	t->s.fs->features.posix_locks = false;
	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 0, 1), -ENOSYS);
	assert_int_equal(fs_op_getlk(t->s.fs, &t->s.c, t->f.node, t->f.fh, 1, &lk), -EINVAL);
	lk.type = F_RDLCK;
	assert_int_equal(fs_op_getlk(t->s.fs, &t->s.c, t->f.node, t->f.fh, 1, &lk), -ENOSYS);
}

/* Owners come and go, and no record or descriptor stays. */
static void test_records(void **state)
{
	struct lock_test *t = *state;
	unsigned int before;

	before = process_fds();
	assert_int_equal(set(&t->s, &t->f, 1, F_UNLCK, 0, INT64_MAX), 0);
	assert_int_equal(share_counts(&t->s).lock_owners, 0);
	for (uint64_t i = 1; i <= 10; i++)
		assert_int_equal(set(&t->s, &t->f, i, F_RDLCK, 0, i), 0);
	assert_int_equal(share_counts(&t->s).lock_owners, 10);
	assert_int_equal(set(&t->s, &t->f, 11, F_RDLCK, 0, 1), -ENOLCK); /* the table is full */
	assert_int_equal(set(&t->s, &t->f, 5, F_UNLCK, 0, INT64_MAX), 0);
	assert_int_equal(share_counts(&t->s).lock_owners, 9);
	assert_int_equal(set(&t->s, &t->f, 11, F_WRLCK, 0, 1), -EAGAIN);
	assert_int_equal(share_counts(&t->s).lock_owners, 9); /* nothing was locked, nobody is remembered */
	for (uint64_t i = 1; i <= 10; i++)
		assert_int_equal(fs_op_flush(t->s.fs, &t->s.c, t->f.node, t->f.fh, i), 0);
	assert_int_equal(share_counts(&t->s).lock_owners, 0);
	assert_int_equal(process_fds(), before);
	assert_int_equal(set(&t->s, &t->f, 11, F_WRLCK, 0, 1), 0);
}

/* FLUSH is of one owner and one inode. */
static void test_flush(void **state)
{
	struct lock_test *t = *state;
	struct open_file g;

	g = share_file(&t->s, "g", "text", O_RDWR);
	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 0, 0), 0);
	assert_int_equal(set(&t->s, &t->f, 2, F_WRLCK, 1, 1), 0);
	assert_int_equal(set(&t->s, &g, 1, F_WRLCK, 0, 0), 0);
	assert_int_equal(fs_op_flush(t->s.fs, &t->s.c, t->f.node, t->f.fh, 1), 0);
	assert_int_equal(get(&t->s, &t->f, 3, F_WRLCK, 0, 0).type, F_UNLCK);
	assert_int_equal(get(&t->s, &t->f, 3, F_WRLCK, 1, 1).type, F_WRLCK);
	assert_int_equal(get(&t->s, &g, 3, F_WRLCK, 0, 0).type, F_WRLCK);
	fs_ops.destroy(t->s.fs);
	assert_int_equal(share_counts(&t->s).lock_owners, 0);
}

/* A process of the host that holds a lock until it is told to go. */
struct holder {
	pid_t pid;
	int ready[2];
};

static void holder_start(struct holder *h, const struct share *s, bool whole_file)
{
	struct flock fl = {.l_type = F_WRLCK, .l_start = 5, .l_len = 10};
	char byte = 0;
	int fd;

	assert_int_equal(pipe(h->ready), 0);
	h->pid = fork();
	assert_true(h->pid >= 0);
	if (!h->pid) {
		fd = openat(s->dirfd, "f", O_RDWR);
		if (whole_file ? flock(fd, LOCK_EX) : fcntl(fd, F_SETLK, &fl))
			_exit(1);
		if (write(h->ready[1], &byte, 1) != 1)
			_exit(1);
		alarm(20);
		pause();
		_exit(0);
	}
	assert_int_equal(read(h->ready[0], &byte, 1), 1);
}

static void holder_end(struct holder *h)
{
	kill(h->pid, SIGKILL);
	assert_int_equal(waitpid(h->pid, NULL, 0), h->pid);
	close(h->ready[0]);
	close(h->ready[1]);
}

static void test_host(void **state)
{
	struct lock_test *t = *state;
	struct flock fl = {.l_type = F_WRLCK, .l_len = 10};
	struct holder h;
	struct op_lock lk;
	int fd;

	holder_start(&h, &t->s, false);
	assert_int_equal(set(&t->s, &t->f, 1, F_RDLCK, 14, 14), -EAGAIN);
	lk = get(&t->s, &t->f, 1, F_RDLCK, 0, INT64_MAX);
	assert_int_equal(lk.type, F_WRLCK);
	assert_int_equal(lk.start, 5);
	assert_int_equal(lk.end, 14);
	assert_int_equal(lk.pid, 0); /* the host's numbers mean nothing in the guest */
	holder_end(&h);
	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 0, 0), 0);
	fd = share_host_open(&t->s, "f", O_RDWR);
	assert_int_equal(fcntl(fd, F_SETLK, &fl), -1);
	assert_int_equal(fs_op_flush(t->s.fs, &t->s.c, t->f.node, t->f.fh, 1), 0);
	assert_int_equal(fcntl(fd, F_SETLK, &fl), 0);
	close(fd);
}

static void test_wait(void **state)
{
	struct lock_test *t = *state;
	struct waiter w = {0};

	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 0, 99), 0);
	waiter_start(&w, &t->s, &t->f, 2);
	assert_true(w.blocked);
	pthread_kill(w.thread, SIGUSR1); /* not for us: it goes on waiting */
	nap();
	assert_false(w.done);
	assert_int_equal(set(&t->s, &t->f, 1, F_UNLCK, 0, INT64_MAX), 0);
	assert_int_equal(waiter_join(&w), 0);
	assert_int_equal(get(&t->s, &t->f, 1, F_WRLCK, 0, 99).end, 9);
	/* What is free needs no waiting. */
	w = (struct waiter){.answer = -ENOLCK};
	waiter_start(&w, &t->s, &t->f, 2);
	assert_int_equal(waiter_join(&w), 0);
	assert_false(w.blocked);
}

static void test_wait_ends(void **state)
{
	struct lock_test *t = *state;
	struct waiter w = {0};
	struct holder h;

	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 0, 99), 0);
	waiter_start(&w, &t->s, &t->f, 2);
	assert_int_equal(waiter_cancel(&w), -EINTR);
	w = (struct waiter){.answer = -ENOLCK};
	waiter_start(&w, &t->s, &t->f, 2);
	assert_int_equal(waiter_join(&w), -ENOLCK);
	w = (struct waiter){.c.cancelled = true};
	waiter_start(&w, &t->s, &t->f, 2);
	assert_int_equal(waiter_join(&w), -EINTR);
	assert_int_equal(share_counts(&t->s).lock_owners, 1);
	assert_int_equal(set(&t->s, &t->f, 1, F_UNLCK, 0, INT64_MAX), 0);
	/* The holder is a process of the host, and dies. */
	holder_start(&h, &t->s, false);
	w = (struct waiter){0};
	waiter_start(&w, &t->s, &t->f, 2);
	assert_true(w.blocked);
	assert_false(w.done);
	holder_end(&h);
	assert_int_equal(waiter_join(&w), 0);
}

/* The owner's other thread closes the file while one waits: nothing is pulled away under the waiter. */
static void test_close_while_waiting(void **state)
{
	struct lock_test *t = *state;
	struct waiter w = {0};
	struct open_file other;

	other = (struct open_file){t->f.node, share_open(&t->s, t->f.node, O_RDWR)};
	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 0, 99), 0);
	assert_int_equal(set(&t->s, &other, 2, F_WRLCK, 200, 200), 0);
	waiter_start(&w, &t->s, &other, 2);
	assert_int_equal(fs_op_flush(t->s.fs, &t->s.c, other.node, other.fh, 2), 0);
	assert_int_equal(share_release(&t->s, other.node, other.fh), 0);
	nap();
	assert_false(w.done);
	assert_int_equal(get(&t->s, &t->f, 1, F_WRLCK, 200, 200).type, F_UNLCK);
	assert_int_equal(fs_op_flush(t->s.fs, &t->s.c, t->f.node, t->f.fh, 1), 0);
	assert_int_equal(waiter_join(&w), 0);
	assert_int_equal(get(&t->s, &t->f, 1, F_WRLCK, 0, 99).type, F_WRLCK); /* granted, and not lost */
	assert_int_equal(share_counts(&t->s).handles, 1);
	assert_int_equal(fs_op_flush(t->s.fs, &t->s.c, t->f.node, t->f.fh, 2), 0);
	assert_int_equal(share_counts(&t->s).lock_owners, 0);
}

/* As above, but cancelled: the record goes with its last user. */
static void test_close_and_cancel(void **state)
{
	struct lock_test *t = *state;
	struct waiter w = {0};

	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 0, 99), 0);
	assert_int_equal(set(&t->s, &t->f, 2, F_WRLCK, 200, 200), 0);
	waiter_start(&w, &t->s, &t->f, 2);
	assert_int_equal(fs_op_flush(t->s.fs, &t->s.c, t->f.node, t->f.fh, 2), 0);
	assert_int_equal(share_counts(&t->s).lock_owners, 2);
	assert_int_equal(waiter_cancel(&w), -EINTR);
	assert_int_equal(share_counts(&t->s).lock_owners, 1);
}

static void test_readonly(void **state)
{
	struct fs_config cfg = share_config();
	struct open_file f;
	struct share s;

	(void)state;
	cfg.readonly = true;
	share_new(&s, cfg);
	f = share_file(&s, "f", "text", O_RDONLY);
	assert_int_equal(set(&s, &f, 1, F_RDLCK, 0, 9), 0);
	assert_int_equal(set(&s, &f, 1, F_WRLCK, 0, 9), -EBADF);
	assert_int_equal(fs_op_flock(s.fs, &s.c, f.node, f.fh, 1, LOCK_EX), 0);
	share_free(&s);
}

static int try_flock(struct share *s, const struct open_file *f, int op)
{
	return fs_op_flock(s->fs, &s->c, f->node, f->fh, 1, op);
}

static void test_flock(void **state)
{
	struct lock_test *t = *state;
	struct open_file b;

	b = (struct open_file){t->f.node, share_open(&t->s, t->f.node, O_RDONLY)};
	assert_int_equal(try_flock(&t->s, &t->f, LOCK_SH | LOCK_NB), 0);
	assert_int_equal(try_flock(&t->s, &b, LOCK_SH | LOCK_NB), 0);
	assert_int_equal(try_flock(&t->s, &b, LOCK_EX | LOCK_NB), -EAGAIN);
	assert_int_equal(try_flock(&t->s, &t->f, LOCK_UN), 0);
	assert_int_equal(try_flock(&t->s, &b, LOCK_EX), 0);
	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 0, 9), 0); /* another kind of lock */
	assert_int_equal(try_flock(&t->s, &t->f, LOCK_SH | LOCK_NB), -EAGAIN);
	assert_int_equal(fs_op_release(t->s.fs, &t->s.c, b.node, b.fh, true, 1), 0);
	assert_int_equal(try_flock(&t->s, &t->f, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(try_flock(&t->s, &t->f, LOCK_NB), -EINVAL);
	assert_int_equal(try_flock(&t->s, &t->f, LOCK_SH | LOCK_EX), -EINVAL);
	assert_int_equal(try_flock(&t->s, &t->f, 64), -EINVAL);
	t->s.fs->features.flock_locks = false;
	assert_int_equal(try_flock(&t->s, &t->f, LOCK_EX), -ENOSYS);
}

static int noted_flock(struct share *s, const struct open_file *f)
{
	struct handle *h = handle_get(s->fs->handles, f->node, f->fh, false);
	int noted = h->flock;

	handle_put(s->fs->handles, h);
	return noted;
}

/* What the host gave up for a lock that it does not grant is not noted as held. */
static void test_flock_lost(void **state)
{
	struct lock_test *t = *state;
	struct waiter w = {.whole_file = true, .answer = -ENOLCK};
	struct open_file b;

	b = (struct open_file){t->f.node, share_open(&t->s, t->f.node, O_RDWR)};
	assert_int_equal(try_flock(&t->s, &t->f, LOCK_SH), 0);
	assert_int_equal(try_flock(&t->s, &b, LOCK_SH), 0);
	assert_int_equal(noted_flock(&t->s, &b), LOCK_SH);
	assert_int_equal(try_flock(&t->s, &b, LOCK_EX | LOCK_NB), -EAGAIN);
	assert_int_equal(noted_flock(&t->s, &b), 0);
	assert_int_equal(try_flock(&t->s, &b, LOCK_SH), 0);
	waiter_start(&w, &t->s, &b, 1);
	assert_int_equal(waiter_join(&w), -ENOLCK);
	assert_int_equal(noted_flock(&t->s, &b), 0);
	assert_int_equal(try_flock(&t->s, &t->f, LOCK_EX), 0); /* nobody is in the way */
	assert_int_equal(noted_flock(&t->s, &t->f), LOCK_EX);
}

static void test_flock_wait(void **state)
{
	struct lock_test *t = *state;
	struct waiter w = {.whole_file = true};
	struct open_file b;
	struct holder h;

	b = (struct open_file){t->f.node, share_open(&t->s, t->f.node, O_RDWR)};
	assert_int_equal(try_flock(&t->s, &t->f, LOCK_EX), 0);
	waiter_start(&w, &t->s, &b, 2);
	assert_true(w.blocked);
	assert_int_equal(waiter_cancel(&w), -EINTR);
	w = (struct waiter){.whole_file = true, .answer = -ENOLCK};
	waiter_start(&w, &t->s, &b, 2);
	assert_int_equal(waiter_join(&w), -ENOLCK);
	w = (struct waiter){.whole_file = true};
	waiter_start(&w, &t->s, &b, 2);
	assert_false(w.done);
	assert_int_equal(try_flock(&t->s, &t->f, LOCK_UN), 0);
	assert_int_equal(waiter_join(&w), 0);
	assert_int_equal(try_flock(&t->s, &t->f, LOCK_SH | LOCK_NB), -EAGAIN);
	assert_int_equal(share_release(&t->s, b.node, b.fh), 0);
	holder_start(&h, &t->s, true);
	assert_int_equal(try_flock(&t->s, &t->f, LOCK_SH | LOCK_NB), -EAGAIN);
	w = (struct waiter){.whole_file = true};
	waiter_start(&w, &t->s, &t->f, 2);
	assert_false(w.done);
	holder_end(&h);
	assert_int_equal(waiter_join(&w), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOCK_TEST(test_owners),
		LOCK_TEST(test_shared),
		LOCK_TEST(test_ranges),
		LOCK_TEST(test_records),
		LOCK_TEST(test_flush),
		LOCK_TEST(test_host),
		LOCK_TEST(test_wait),
		LOCK_TEST(test_wait_ends),
		LOCK_TEST(test_close_while_waiting),
		LOCK_TEST(test_close_and_cancel),
		cmocka_unit_test(test_readonly),
		LOCK_TEST(test_flock),
		LOCK_TEST(test_flock_lost),
		LOCK_TEST(test_flock_wait),
	};

	waiter_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
