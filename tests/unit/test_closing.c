/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors that are closed together: all of them, no other, and none too late. */
#include "base/arith.h"
#include "base/closing.h"
#include "base/tune.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BASE_FD	   400 /* numbers that nobody else has */
#define LARGE	   (1 << 20)
#define PATIENCE_S 20
#define HANGING	   4 /* as many as there are threads */

static void open_at(int fd)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(null >= 0);
	assert_int_equal(dup2(null, fd), fd);
	close(null);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Nothing is left of the last test, and closing is quick. */
static int begin(void **state)
{
	(void)state;
	closing_finish();
	tune.close_batch = 8;
	tune.close_long = 0;
	closing_limit(CLOSING_MAX);
	open_at(BASE_FD);
	closing_add(BASE_FD);
	closing_finish();
	return 0;
}

/* Runs of several and of one, in no order, with somebody else's between them. */
static void test_runs(void **state)
{
	static const int ours[] = {9, 3, 1, 2, 7, 6}, others[] = {0, 4, 5, 8, 10};

	(void)state;
	for (int i = 0; i <= 10; i++)
		open_at(BASE_FD + i);
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		closing_add(BASE_FD + ours[i]);
	assert_true(closing_waits());
	closing_flush();
	assert_false(closing_waits());
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		assert_false(is_open(BASE_FD + ours[i]));
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		assert_true(is_open(BASE_FD + others[i]));
		close(BASE_FD + others[i]);
	}
	closing_flush();
}

/* Who lacks what closing gives back gets all of it, from other threads too; and is told when there is no
 * more. */
static void test_finish(void **state)
{
	(void)state;
	assert_false(closing_finish());
	open_at(BASE_FD);
	closing_add(BASE_FD);
	assert_true(closing_finish());
	assert_false(is_open(BASE_FD));
	assert_false(closing_finish());
}

static void test_full(void **state)
{
	(void)state;
	for (int i = 0; i < 9; i++)
		open_at(BASE_FD + i);
	for (int i = 0; i < 7; i++)
		closing_add(BASE_FD + i);
	assert_true(is_open(BASE_FD));
	closing_add(BASE_FD + 7);
	for (int i = 0; i < 8; i++)
		assert_false(is_open(BASE_FD + i));
	assert_false(closing_waits());
	closing_add(-1);
	assert_false(closing_waits());
	tune.close_batch = 256;
	closing_limit(0);
	closing_add(BASE_FD + 8);
	assert_false(is_open(BASE_FD + 8));
}

#define THREADS 4
#define ROUNDS	2000

static void *churn(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		/* A number given out is open: nobody closed it for one that waited longer. */
		if (fd < 0 || !is_open(fd))
			return arg;
		closing_add(fd);
		if (i % 5 == 0)
			closing_flush();
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t t[THREADS];
	int first = open("/dev/null", O_RDONLY | O_CLOEXEC);
	static char bad;

	(void)state;
	close(first);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, churn, &bad), 0);
	for (int i = 0; i < THREADS; i++) {
		void *r;

		pthread_join(t[i], &r);
		assert_null(r);
	}
	closing_flush();
	assert_false(is_open(first));
}

/* To close it takes longer than a microsecond for certain: memory is freed. */
static void open_large_at(int fd)
{
	int large = memfd_create("large", MFD_CLOEXEC);

	assert_true(large >= 0);
	assert_int_equal(posix_fallocate(large, 0, LARGE), 0);
	assert_int_equal(dup2(large, fd), fd);
	close(large);
}

/* Until @is holds of @arg, which somebody else sees to. */
static void await(bool (*is)(int arg), int arg)
{
	for (int tries = 0; !is(arg) && tries < PATIENCE_S * 1000; tries++)
		usleep(1000);
	assert_true(is(arg));
}

static bool is_closed(int fd)
{
	return !is_open(fd);
}

static bool first_are_closed(int n)
{
	for (int i = 0; i < n; i++)
		if (is_open(BASE_FD + i))
			return false;
	return true;
}

static bool is_ours(int unused)
{
	(void)unused;
	return closing_waits();
}

static void close_large(void)
{
	open_large_at(BASE_FD);
	closing_add(BASE_FD);
	closing_finish();
	assert_false(is_open(BASE_FD));
}

/* What is added from now on is for a thread. */
static void take_long(void)
{
	tune.close_long = 1;
	close_large();
	close_large();
}

/* Once is chance; after twice a thread closes, as long as that takes long. */
static void test_long(void **state)
{
	(void)state;
	tune.close_long = 1;
	close_large();
	open_large_at(BASE_FD);
	closing_add(BASE_FD);
	assert_true(closing_waits());
	closing_flush();
	open_large_at(BASE_FD);
	closing_add(BASE_FD);
	assert_false(closing_waits());
	await(first_are_closed, 1);
	/* More than a batch, more than a thread takes at a time. */
	for (int i = 0; i < 60; i++)
		open_large_at(BASE_FD + i);
	for (int i = 0; i < 60; i++) {
		closing_add(BASE_FD + i);
		assert_false(closing_waits());
	}
	await(first_are_closed, 60);
	closing_finish();
	/* It is quick again by what is asked for now: the thread finds that out. */
	tune.close_long = 1000000;
	open_at(BASE_FD);
	closing_add(BASE_FD);
	assert_false(closing_waits());
	await(first_are_closed, 1);
	closing_finish();
	open_at(BASE_FD);
	closing_add(BASE_FD);
	assert_true(closing_waits());
	closing_flush();
}

/* Who takes what waits before the thread does has it to himself. */
static void test_long_taken(void **state)
{
	(void)state;
	take_long();
	for (int i = 0; i < 100; i++) {
		open_large_at(BASE_FD);
		closing_add(BASE_FD);
		closing_finish();
		assert_false(is_open(BASE_FD));
	}
}

/* A socket whose closing hangs until @peer is closed: it has data to send that nobody takes. */
static int hanging(int *peer)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	static const struct linger linger = {1, 10 * PATIENCE_S};
	static const char data[1 << 20];
	static const int room = 4096;
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(setsockopt(l, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
	assert_int_equal(bind(l, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(connect(s, (struct sockaddr *)&a, len), 0);
	*peer = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	assert_true(*peer >= 0);
	close(l);
	assert_int_equal(setsockopt(s, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	assert_true(send(s, data, sizeof(data), MSG_DONTWAIT) > 16 * room);
	return s;
}

/* All threads that close, each until its @peer is closed. */
static void hang_threads(int *peer)
{
	take_long();
	for (int i = 0; i < HANGING; i++) {
		int s = hanging(&peer[i]);

		open_large_at(BASE_FD);
		closing_add(BASE_FD);
		await(first_are_closed, 1);
		closing_add(s);
		await(is_closed, s);
	}
}

/* Threads that hang keep nobody else's descriptors: the next one closes those, and once all hang the queues
 * may. */
static void test_long_hangs(void **state)
{
	int peer[HANGING];

	(void)state;
	hang_threads(peer);
	open_at(BASE_FD);
	closing_add(BASE_FD);
	assert_false(closing_waits());
	await(is_ours, 0);
	closing_flush();
	assert_false(is_open(BASE_FD));
	assert_false(closing_finish()); /* it does not wait for ever */
	for (int i = 0; i < HANGING; i++)
		close(peer[i]);
	closing_finish();
}

/* As many as may be unclosed, and then who comes closes them himself. */
static void test_long_full(void **state)
{
	int peer[HANGING];

	(void)state;
	closing_limit(20);
	hang_threads(peer);
	for (int i = 0; i < 100; i++) {
		unsigned int open = 0;

		open_at(BASE_FD + i);
		closing_add(BASE_FD + i);
		for (int n = 0; n <= i; n++)
			open += is_open(BASE_FD + n);
		assert_in_range(open, 0, 20);
	}
	for (int i = 0; i < HANGING; i++)
		close(peer[i]);
	closing_finish();
	await(first_are_closed, 100);
}

static void test_long_off(void **state)
{
	(void)state;
	close_large();
	close_large();
	open_at(BASE_FD);
	closing_add(BASE_FD);
	assert_true(closing_waits());
	closing_flush();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_runs, begin),
		cmocka_unit_test_setup(test_finish, begin),
		cmocka_unit_test_setup(test_full, begin),
		cmocka_unit_test_setup(test_threads, begin),
		cmocka_unit_test_setup(test_long, begin),
		cmocka_unit_test_setup(test_long_taken, begin),
		cmocka_unit_test_setup(test_long_hangs, begin),
		cmocka_unit_test_setup(test_long_full, begin),
		cmocka_unit_test_setup(test_long_off, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
