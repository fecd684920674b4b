/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on locks, POSIX and flock: between owners in the guest, and between guest and host. */
#include "test.h"

#include <sys/file.h>

#define BRIEFLY 50 /* ms in which something that must not happen could have */

static struct fuse_lk_in lock(struct fc_file f, uint64_t owner, uint32_t type, uint64_t start, uint64_t end)
{
	struct fuse_lk_in in = {.fh = f.fh, .owner = owner};

	in.lk = (struct fuse_file_lock){.start = start, .end = end, .type = type, .pid = 100};
	return in;
}

static struct fuse_lk_in whole_lock(struct fc_file f, uint64_t owner, uint32_t type)
{
	return lock(f, owner, type, 0, FC_OFFSET_MAX);
}

static struct fuse_lk_in flock_of(struct fc_file f, uint64_t owner, uint32_t type)
{
	struct fuse_lk_in in = whole_lock(f, owner, type);

	in.lk_flags = FUSE_LK_FLOCK;
	return in;
}

static struct fc_file lock_file(struct test *t)
{
	return guest_create(t, "f", O_RDWR);
}

static struct fc_file lock_file_again(struct test *t)
{
	return guest_open(t, "f", O_RDWR);
}

static void posix_conflicts(void **state)
{
	struct test *t = *state;
	struct fc_file f = lock_file(t), g = lock_file_again(t);
	struct fuse_lk_in a = lock(f, 1, F_WRLCK, 10, 19), b = lock(g, 2, F_RDLCK, 15, 30);
	struct fuse_file_lock out;

	OK(fc_setlk(t->c, f.node, &a));
	ERR(fc_setlk(t->c, f.node, &b), EAGAIN);
	OK(fc_getlk(t->c, f.node, &b, &out));
	assert_int_equal(out.type, F_WRLCK);
	assert_int_equal(out.start, 10);
	assert_int_equal(out.end, 19);
	b = lock(g, 2, F_RDLCK, 20, 30);
	OK(fc_setlk(t->c, f.node, &b));
	a = lock(f, 1, F_UNLCK, 10, 19);
	OK(fc_setlk(t->c, f.node, &a));
	b = lock(g, 2, F_WRLCK, 0, FC_OFFSET_MAX);
	OK(fc_setlk(t->c, f.node, &b));
	a = lock(f, 1, F_RDLCK, 0, 0);
	ERR(fc_setlk(t->c, f.node, &a), EAGAIN);
	OK(fc_getlk(t->c, f.node, &b, &out));
	assert_int_equal(out.type, F_UNLCK);
	OK(fc_release(t->c, f));
	OK(fc_release(t->c, g));
}

/* FLUSH is a close(2) of some descriptor: it ends the owner's POSIX locks. */
static void flush_unlocks(void **state)
{
	struct test *t = *state;
	struct fc_file f = lock_file(t), g = lock_file_again(t);
	struct fuse_lk_in a = whole_lock(f, 1, F_WRLCK), b = whole_lock(g, 2, F_WRLCK);

	OK(fc_setlk(t->c, f.node, &a));
	ERR(fc_setlk(t->c, f.node, &b), EAGAIN);
	OK(fc_flush(t->c, g, 3));
	ERR(fc_setlk(t->c, f.node, &b), EAGAIN);
	OK(fc_flush(t->c, f, 1));
	OK(fc_setlk(t->c, f.node, &b));
	OK(fc_flush(t->c, g, 2));
	OK(fc_release(t->c, f));
	OK(fc_release(t->c, g));
}

/* The host's processes take part. */
static void posix_meets_host(void **state)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 5};
	struct test *t = *state;
	struct fc_file f = lock_file(t);
	struct fuse_lk_in a = lock(f, 1, F_WRLCK, 0, 6);
	autofd int fd = openat(t->host, "f", O_RDWR | O_CLOEXEC);

	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
	ERR(fc_setlk(t->c, f.node, &a), EAGAIN);
	fl.l_type = F_UNLCK;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
	OK(fc_setlk(t->c, f.node, &a));
	fl.l_type = F_WRLCK;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), -1);
	OK(fc_flush(t->c, f, 1));
	OK(fc_release(t->c, f));
}

/* A lock that waits: other requests of its queue go on, the unlock among them, which lets it come true. */
static void setlkw_waits(void **state)
{
	struct test *t = *state;
	struct fc_file f = lock_file(t), g = lock_file_again(t);
	struct fuse_lk_in a = whole_lock(f, 1, F_WRLCK), b = whole_lock(g, 2, F_WRLCK);
	struct fuse_attr_out attr;
	struct fc_op op;

	OK(fc_setlk(t->c, f.node, &a));
	OK(fc_setlkw_start(t->c, f.node, &b, &op));
	for (unsigned int i = 0; i < 20; i++)
		OK(fc_getattr(t->c, f.node, 0, &attr));
	LEN(fc_reap(t->c, NULL, BRIEFLY), 0);
	assert_false(op.done);
	a.lk.type = F_UNLCK;
	OK(fc_setlk(t->c, f.node, &a));
	LEN(fc_wait(t->c, &op), 0);
	a.lk.type = F_RDLCK;
	ERR(fc_setlk(t->c, f.node, &a), EAGAIN);
	OK(fc_flush(t->c, g, 2));
	OK(fc_release(t->c, f));
	OK(fc_release(t->c, g));
}

static void interrupt_ends_the_wait(void **state)
{
	struct test *t = *state;
	struct fc_file f = lock_file(t), g = lock_file_again(t);
	struct fuse_lk_in a = whole_lock(f, 1, F_WRLCK), b = whole_lock(g, 2, F_WRLCK);
	struct fc_op op;

	OK(fc_setlk(t->c, f.node, &a));
	OK(fc_setlkw_start(t->c, f.node, &b, &op));
	LEN(fc_reap(t->c, NULL, BRIEFLY), 0);
	OK(fc_interrupt(t->hip, op.unique));
	ERR(fc_wait(t->c, &op), EINTR);
	OK(fc_interrupt(t->hip, op.unique + 1000)); /* of nothing */
	OK(fc_flush(t->c, f, 1));
	OK(fc_release(t->c, f));
	OK(fc_release(t->c, g));
}

static void flock_conflicts(void **state)
{
	struct test *t = *state;
	struct fc_file f = lock_file(t), g = lock_file_again(t);
	struct fuse_lk_in a = flock_of(f, 1, F_RDLCK), b = flock_of(g, 2, F_RDLCK);
	autofd int fd = openat(t->host, "f", O_RDWR | O_CLOEXEC);

	OK(fc_setlk(t->c, f.node, &a));
	OK(fc_setlk(t->c, g.node, &b));
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	b.lk.type = F_WRLCK;
	ERR(fc_setlk(t->c, g.node, &b), EAGAIN);
	a.lk.type = F_UNLCK;
	OK(fc_setlk(t->c, f.node, &a));
	OK(fc_setlk(t->c, g.node, &b));
	OK(fc_release(t->c, g));
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	OK(fc_release(t->c, f));
}

static void flock_waits(void **state)
{
	struct test *t = *state;
	struct fc_file f = lock_file(t);
	struct fuse_lk_in a = flock_of(f, 1, F_WRLCK);
	autofd int fd = openat(t->host, "f", O_RDWR | O_CLOEXEC);
	struct fuse_attr_out attr;
	struct fc_op op;

	assert_int_equal(flock(fd, LOCK_EX), 0);
	OK(fc_setlkw_start(t->c, f.node, &a, &op));
	LEN(fc_reap(t->c, NULL, BRIEFLY), 0);
	OK(fc_getattr(t->c, f.node, 0, &attr));
	assert_int_equal(flock(fd, LOCK_UN), 0);
	LEN(fc_wait(t->c, &op), 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	OK(fc_release(t->c, f));
}

/* Waiting locks must not take the whole queue: the unlock has to get through. */
static void waiters_leave_room(void **state)
{
	struct test *t = *state;
	struct fc_file f = lock_file(t);
	struct fuse_lk_in a = whole_lock(f, 1, F_WRLCK), b[6];
	struct fc_op op[6];
	unsigned int got = 0;

	OK(fc_setlk(t->c, f.node, &a));
	for (unsigned int i = 0; i < ARRAY_LEN(op); i++) {
		b[i] = lock(f, 10 + i, F_RDLCK, 0, 100);
		OK(fc_setlkw_start(t->c, f.node, &b[i], &op[i]));
	}
	a.lk.type = F_UNLCK;
	OK(fc_setlk(t->c, f.node, &a));
	for (unsigned int i = 0; i < ARRAY_LEN(op); i++) {
		ssize_t r = fc_wait(t->c, &op[i]);

		assert_true(r == 0 || r == -ENOLCK);
		got += r == 0;
	}
	assert_true(got > 0);
	OK(fc_release(t->c, f));
}

/* Owner i of @n has byte i and wants the next one's; odd bytes lie in another file. The last one is refused,
 * and when he lets go all others get theirs in turn. */
static void circle(struct test *t, unsigned int n)
{
	struct fc_file file[2] = {guest_create(t, "even", O_RDWR), guest_create(t, "odd", O_RDWR)};
	struct fuse_lk_in in[4];
	struct fc_op op[4];

	for (unsigned int i = 0; i < n; i++) {
		in[i] = lock(file[i % 2], 10 + i, F_WRLCK, i, i);
		OK(fc_setlk(t->c, file[i % 2].node, &in[i]));
	}
	for (unsigned int i = 0; i < n; i++) {
		unsigned int next = (i + 1) % n;

		in[i] = lock(file[next % 2], 10 + i, F_WRLCK, next, next);
		OK(fc_setlkw_start(t->c, file[next % 2].node, &in[i], &op[i]));
		if (i < n - 1)
			LEN(fc_reap(t->c, NULL, BRIEFLY), 0);
	}
	ERR(fc_wait(t->c, &op[n - 1]), EDEADLK);
	for (unsigned int i = n - 1; i--;) {
		OK(fc_flush(t->c, file[(i + 1) % 2], 10 + i + 1));
		LEN(fc_wait(t->c, &op[i]), 0);
		if (n > 2) /* its other lock may lie in the other file */
			OK(fc_flush(t->c, file[i % 2], 10 + i + 1));
	}
	for (unsigned int i = 0; i < 2; i++)
		OK(fc_release(t->c, file[i]));
}

static void deadlock_of_two(void **state)
{
	circle(*state, 2);
}

static void deadlock_of_three(void **state)
{
	circle(*state, 3);
}

/* RELEASE ends what the open file itself owns, as open-file-description locks in the guest. */
static void release_unlocks(void **state)
{
	struct test *t = *state;
	struct fc_file f = lock_file(t), g = lock_file_again(t);
	struct fuse_lk_in a = whole_lock(f, 1, F_WRLCK), b = whole_lock(g, 2, F_WRLCK);

	OK(fc_setlk(t->c, f.node, &a));
	ERR(fc_setlk(t->c, f.node, &b), EAGAIN);
	OK(fc_release(t->c, f));
	OK(fc_setlk(t->c, f.node, &b));
	OK(fc_release(t->c, g));
}

static void nonsense(void **state)
{
	struct test *t = *state;
	struct fc_file f = lock_file(t);
	struct fuse_lk_in in[] = {whole_lock(f, 1, 77), lock(f, 1, F_WRLCK, 20, 10),
		lock(f, 1, F_RDLCK, ~0ull, ~0ull), whole_lock((struct fc_file){f.node, 12345}, 1, F_RDLCK)};

	for (unsigned int i = 0; i < ARRAY_LEN(in); i++)
		assert_true(fc_setlk(t->c, f.node, &in[i]) < 0);
	OK(fc_release(t->c, f));
}

/* The end of a session ends waits and locks. */
static void destroy_unlocks(void **state)
{
	struct test *t = *state;
	struct fc_file f = lock_file(t);
	struct fuse_lk_in a = flock_of(f, 1, F_WRLCK);
	autofd int fd = openat(t->host, "f", O_RDWR | O_CLOEXEC);
	struct fuse_entry_out e;

	OK(fc_setlk(t->c, f.node, &a));
	OK(fc_destroy(t->c));
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	OK(vm_mount(&t->vm));
	OK(fc_lookup(t->c, FUSE_ROOT_ID, t->name, &e));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(posix_conflicts),
		TEST(flush_unlocks),
		TEST(posix_meets_host),
		TEST(setlkw_waits),
		TEST(interrupt_ends_the_wait),
		TEST(flock_conflicts),
		TEST(flock_waits),
		TEST(waiters_leave_room),
		TEST(deadlock_of_two),
		TEST(deadlock_of_three),
		TEST(release_unlocks),
		TEST(nonsense),
		TEST(destroy_unlocks),
	};

	return TEST_RUN(tests, TEST_SPLIT | TEST_PACKED | TEST_INDIRECT, NULL, NULL);
}
