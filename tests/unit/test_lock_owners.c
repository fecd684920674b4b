/* SPDX-License-Identifier: BSD-3-Clause */
/* What is noted of lock owners: their ranges, compared with a model of bytes, and who waits for whom. */
#include "lock_share.h"

#define BYTES  48
#define OWNERS 3

/* Type of lock by owner and byte. */
struct model {
	uint32_t type[OWNERS][BYTES];
};

static bool model_conflicts(const struct model *m, unsigned int owner, const struct op_lock *lk)
{
	for (unsigned int o = 0; o < OWNERS; o++)
		for (uint64_t i = lk->start; o != owner && lk->type != F_UNLCK && i <= lk->end; i++)
			if (m->type[o][i] == F_WRLCK || (m->type[o][i] == F_RDLCK && lk->type == F_WRLCK))
				return true;
	return false;
}

static struct op_lock random_lock(unsigned int *seed)
{
	static const uint32_t types[] = {F_RDLCK, F_RDLCK, F_WRLCK, F_UNLCK};
	struct op_lock lk = {.type = types[rand_r(seed) % 4], .start = (uint64_t)rand_r(seed) % BYTES};

	lk.end = lk.start + (uint64_t)rand_r(seed) % (BYTES - lk.start);
	return lk;
}

/* Each byte that somebody else sees locked has the holder that the model says. */
static void compare(struct share *s, const struct open_file *f, const struct model *m)
{
	for (unsigned int i = 0; i < BYTES; i++) {
		struct op_lock lk = get(s, f, 99, F_WRLCK, i, i);
		bool held = false, known = false;

		for (unsigned int o = 0; o < OWNERS; o++) {
			held |= m->type[o][i] != F_UNLCK;
			known |= m->type[o][i] == lk.type && lk.pid == (o + 1) * 10;
		}
		assert_int_equal(lk.type != F_UNLCK, held);
		assert_true(!held || known);
	}
}

static void test_ranges_random(void **state)
{
	struct lock_test *t = *state;
	unsigned int seed = 7;
	struct model m;

	for (unsigned int o = 0; o < OWNERS; o++)
		for (unsigned int i = 0; i < BYTES; i++)
			m.type[o][i] = F_UNLCK;
	for (unsigned int step = 0; step < 3000; step++) {
		unsigned int o = (unsigned int)rand_r(&seed) % OWNERS;
		struct op_lock lk = random_lock(&seed);
		bool conflicts = model_conflicts(&m, o, &lk);

		assert_int_equal(
			set(&t->s, &t->f, o + 1, lk.type, lk.start, lk.end), conflicts ? -EAGAIN : 0);
		for (uint64_t i = lk.start; !conflicts && i <= lk.end; i++)
			m.type[o][i] = lk.type;
		if (step % 50 == 0)
			compare(&t->s, &t->f, &m);
	}
	compare(&t->s, &t->f, &m);
	for (uint64_t o = 1; o <= OWNERS; o++)
		assert_int_equal(fs_op_flush(t->s.fs, &t->s.c, t->f.node, t->f.fh, o), 0);
	assert_int_equal(share_counts(&t->s).lock_owners, 0);
}

/* No room for more ranges: ENOLCK ahead of any change, and unlocking all still works. */
static void test_range_room(void **state)
{
	struct lock_test *t = *state;
	uint64_t i = 0;
	int r;

	do {
		r = set(&t->s, &t->f, 1, F_WRLCK, i * 4, i * 4);
		i++;
	} while (!r && i < 1000);
	assert_int_equal(r, -ENOLCK);
	assert_true(i > 20);
	assert_int_equal(get(&t->s, &t->f, 2, F_WRLCK, (i - 1) * 4, (i - 1) * 4).type, F_UNLCK);
	assert_int_equal(set(&t->s, &t->f, 1, F_UNLCK, 0, INT64_MAX), 0);
	assert_int_equal(share_counts(&t->s).lock_owners, 0);
	for (uint64_t k = 0; k + 1 < i; k++) /* all of the room is back */
		assert_int_equal(set(&t->s, &t->f, 2, F_WRLCK, k * 4, k * 4), 0);
}

static void waiter_for(
	struct waiter *w, struct share *s, const struct open_file *f, uint64_t owner, struct op_lock lk)
{
	*w = (struct waiter){.lk = lk};
	waiter_start(w, s, f, owner);
	assert_true(w->blocked);
	assert_false(w->done);
}

/* A wait that would close a circle is refused before the queue is asked. */
static void expect_deadlock(struct share *s, const struct open_file *f, uint64_t owner, struct op_lock lk)
{
	struct waiter w = {.lk = lk};

	waiter_start(&w, s, f, owner);
	assert_int_equal(waiter_join(&w), -EDEADLK);
	assert_false(w.blocked);
}

/* The room goes while somebody waits: what the host grants him then he has not, but what he had. */
static void test_range_room_in_vain(void **state)
{
	struct flock low = {.l_type = F_WRLCK, .l_len = 10}, high = low, between = low;
	struct lock_test *t = *state;
	struct waiter w;
	int fd;

	high.l_start = 20;
	between.l_start = 15;
	between.l_len = 5;
	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 0, 19), 0);
	assert_int_equal(set(&t->s, &t->f, 2, F_RDLCK, 20, 29), 0);
	waiter_for(&w, &t->s, &t->f, 2, range(F_WRLCK, 15, 24));
	for (uint64_t owner = 3; owner <= 10; owner++)
		for (uint64_t i = 100; !set(&t->s, &t->f, owner, F_RDLCK, i * 4, i * 4);)
			i++;
	assert_int_equal(fs_op_flush(t->s.fs, &t->s.c, t->f.node, t->f.fh, 1), 0);
	assert_int_equal(waiter_join(&w), -ENOLCK);
	fd = share_host_open(&t->s, "f", O_RDWR);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &low), 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &between), 0);
	assert_int_equal(fcntl(fd, F_OFD_GETLK, &high), 0);
	assert_int_equal(high.l_type, F_RDLCK);
	assert_int_equal(high.l_start, 20);
	assert_int_equal(high.l_len, 10);
	close(fd);
}

static void test_two_owners(void **state)
{
	struct lock_test *t = *state;
	struct open_file g;
	struct waiter w;

	g = share_file(&t->s, "g", "text", O_RDWR);
	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 0, 9), 0);
	assert_int_equal(set(&t->s, &g, 2, F_WRLCK, 0, 9), 0);
	waiter_for(&w, &t->s, &g, 1, range(F_WRLCK, 5, 5));
	expect_deadlock(&t->s, &t->f, 2, range(F_RDLCK, 9, 20));
	assert_int_equal(set(&t->s, &t->f, 2, F_RDLCK, 10, 20), 0); /* beside it */
	assert_int_equal(set(&t->s, &g, 2, F_UNLCK, 0, INT64_MAX), 0);
	assert_int_equal(waiter_join(&w), 0);
}

static void test_one_file(void **state)
{
	struct lock_test *t = *state;
	struct waiter w;

	/* Two readers who both want to write. */
	assert_int_equal(set(&t->s, &t->f, 1, F_RDLCK, 0, 9), 0);
	assert_int_equal(set(&t->s, &t->f, 2, F_RDLCK, 0, 9), 0);
	waiter_for(&w, &t->s, &t->f, 1, range(F_WRLCK, 0, 9));
	expect_deadlock(&t->s, &t->f, 2, range(F_WRLCK, 0, 0));
	assert_int_equal(fs_op_flush(t->s.fs, &t->s.c, t->f.node, t->f.fh, 2), 0);
	assert_int_equal(waiter_join(&w), 0);
}

static void test_three_owners(void **state)
{
	struct lock_test *t = *state;
	struct open_file g;
	struct waiter w[2];

	g = share_file(&t->s, "g", "text", O_RDWR);
	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 0, 0), 0);
	assert_int_equal(set(&t->s, &g, 2, F_WRLCK, 0, 0), 0);
	assert_int_equal(set(&t->s, &t->f, 3, F_WRLCK, 1, 1), 0);
	waiter_for(&w[0], &t->s, &g, 1, range(F_WRLCK, 0, 0));
	waiter_for(&w[1], &t->s, &t->f, 2, range(F_WRLCK, 1, 1));
	expect_deadlock(&t->s, &t->f, 3, range(F_WRLCK, 0, 0));
	/* Who is not in the circle may wait for those in it. */
	struct waiter other;
	waiter_for(&other, &t->s, &t->f, 4, range(F_RDLCK, 0, 0));
	assert_int_equal(fs_op_flush(t->s.fs, &t->s.c, t->f.node, t->f.fh, 3), 0);
	assert_int_equal(waiter_join(&w[1]), 0);
	assert_int_equal(fs_op_flush(t->s.fs, &t->s.c, g.node, g.fh, 2), 0);
	assert_int_equal(waiter_join(&w[0]), 0);
	assert_int_equal(fs_op_flush(t->s.fs, &t->s.c, t->f.node, t->f.fh, 1), 0);
	assert_int_equal(waiter_join(&other), 0);
}

/* The circle closes after the waits began: another one got the lock that was waited for. */
static void test_later(void **state)
{
	struct lock_test *t = *state;
	struct open_file g;
	struct waiter w[2];

	g = share_file(&t->s, "g", "text", O_RDWR);
	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 0, 0), 0);
	assert_int_equal(set(&t->s, &g, 3, F_WRLCK, 0, 9), 0);
	waiter_for(&w[0], &t->s, &g, 1, range(F_WRLCK, 0, 9)); /* 1 waits for 3 */
	assert_int_equal(set(&t->s, &g, 3, F_UNLCK, 0, 8), 0);
	assert_int_equal(set(&t->s, &g, 2, F_WRLCK, 0, 0), 0); /* now for 2, too */
	expect_deadlock(&t->s, &t->f, 2, range(F_WRLCK, 0, 0));
	/* And what was unlocked since is no circle any more. */
	assert_int_equal(fs_op_flush(t->s.fs, &t->s.c, g.node, g.fh, 2), 0);
	waiter_for(&w[1], &t->s, &t->f, 2, range(F_WRLCK, 0, 0));
	assert_int_equal(fs_op_flush(t->s.fs, &t->s.c, g.node, g.fh, 3), 0);
	assert_int_equal(waiter_join(&w[0]), 0);
	assert_int_equal(fs_op_flush(t->s.fs, &t->s.c, t->f.node, t->f.fh, 1), 0);
	assert_int_equal(waiter_join(&w[1]), 0);
}

/* An open file that is an owner itself: its locks go with RELEASE, those of other handles stay. */
static void test_release(void **state)
{
	struct lock_test *t = *state;
	struct open_file other;

	other = (struct open_file){t->f.node, share_open(&t->s, t->f.node, O_RDWR)};
	assert_int_equal(set(&t->s, &t->f, 1, F_WRLCK, 0, 0), 0);
	assert_int_equal(set(&t->s, &other, 2, F_WRLCK, 1, 1), 0);
	assert_int_equal(set(&t->s, &other, 3, F_RDLCK, 2, 2), 0);
	assert_int_equal(share_release(&t->s, other.node, other.fh), 0);
	assert_int_equal(share_counts(&t->s).lock_owners, 1);
	assert_int_equal(get(&t->s, &t->f, 9, F_WRLCK, 1, 2).type, F_UNLCK);
	assert_int_equal(get(&t->s, &t->f, 9, F_WRLCK, 0, 2).pid, 10);
}

/* Many threads of few owners, some cancelled: whoever was told that he has the lock has it alone. */
#define CROWD 8
struct crowd {
	struct share *s;
	struct open_file f;
	uint64_t owner;
	_Atomic int *inside;
	unsigned int got;
};

static void *crowd_thread(void *arg)
{
	struct crowd *c = arg;
	struct op_ctx ctx = {0};
	struct op_lock lk = range(F_WRLCK, 3, 7), un = range(F_UNLCK, 3, 7);

	for (unsigned int i = 0; i < 300; i++) {
		assert_int_equal(fs_op_setlk(c->s->fs, &ctx, c->f.node, c->f.fh, c->owner, &lk, true), 0);
		assert_int_equal(atomic_fetch_add(c->inside, 1), 0);
		c->got++;
		atomic_fetch_sub(c->inside, 1);
		assert_int_equal(fs_op_setlk(c->s->fs, &ctx, c->f.node, c->f.fh, c->owner, &un, false), 0);
	}
	return NULL;
}

static void test_crowd(void **state)
{
	struct lock_test *t = *state;
	struct crowd c[CROWD];
	pthread_t threads[CROWD];
	_Atomic int inside = 0;

	for (unsigned int i = 0; i < CROWD; i++) {
		c[i] = (struct crowd){.s = &t->s, .f = t->f, .owner = i + 1, .inside = &inside};
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_thread, &c[i]), 0);
	}
	for (unsigned int i = 0; i < CROWD; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(c[i].got, 300);
	}
	assert_int_equal(share_counts(&t->s).lock_owners, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOCK_TEST(test_ranges_random),
		LOCK_TEST(test_range_room),
		LOCK_TEST(test_range_room_in_vain),
		LOCK_TEST(test_two_owners),
		LOCK_TEST(test_one_file),
		LOCK_TEST(test_three_owners),
		LOCK_TEST(test_later),
		LOCK_TEST(test_release),
		LOCK_TEST(test_crowd),
	};

	waiter_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
