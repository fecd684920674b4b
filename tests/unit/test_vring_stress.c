/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Driver and device on two threads that sleep whenever the ring says they may: a chain or a notification that
 * is lost leaves both asleep, and the test fails by its time. The driver's thread is the test's.
 */
#include "ring_driver.h"

#include "base/arith.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define PACKED_FRESH 0x80008000U
#define RUN_MS	     120  /* a kind of ring */
#define LOST_MS	     2000 /* nobody sleeps so long unless a notification was lost */
#define SLOT_BYTES   64	  /* of data for each chain */
#define HELD_MAX     8

struct stress {
	struct ring_driver d;
	struct vring *vr;
	atomic_bool kick, call, stop, failed;
	uint64_t kicks, calls, popped; /* the device's after it was joined */
};

static void notify(atomic_bool *bell)
{
	atomic_store(bell, true);
}

/* A while of another length each time, so that both sides meet in every step of the other's. */
static void dawdle(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	for (volatile uint32_t i = *seed >> 23; i; i--)
		;
}

static int64_t elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

/*
 * Sleeps, awake, until the bell rings: no system call as long as the other side runs, so that the two meet
 * often. False: the time is up, which means that a notification was lost.
 */
static bool wait_for(atomic_bool *bell)
{
	struct timespec begin;

	for (int i = 0; i < 2000; i++)
		if (atomic_exchange(bell, false))
			return true;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	while (!atomic_exchange(bell, false)) {
		if (elapsed_ms(&begin) > LOST_MS)
			return false;
		sched_yield();
	}
	return true;
}

/* Answers a chain: its readable number, plus one, goes to its writable part. */
static void answer(struct stress *s, struct vring_chain *c)
{
	uint64_t v;

	memcpy(&v, c->iov[0].iov_base, sizeof(v));
	v++;
	memcpy(c->iov[c->nin].iov_base, &v, sizeof(v));
	vring_push(s->vr, c, sizeof(v));
	if (vring_wants_call(s->vr)) {
		s->calls++;
		notify(&s->call);
	}
}

/* Takes what is there, up to a few at once, and gives them back last first. Returns how many. */
static unsigned int serve(struct stress *s, struct iovec iov[HELD_MAX][4])
{
	struct vring_chain held[HELD_MAX];
	unsigned int n = 0;
	int r = 1;

	while (n < HELD_MAX && r > 0) {
		held[n] = (struct vring_chain){.iov = iov[n], .max = 4};
		r = vring_pop(s->vr, &held[n]);
		n += r > 0;
	}
	if (r < 0)
		s->failed = true;
	s->popped += n;
	for (unsigned int i = n; i--;)
		answer(s, &held[i]);
	return n;
}

static void *device(void *arg)
{
	struct stress *s = arg;
	struct iovec iov[HELD_MAX][4];
	uint32_t seed = 1;

	while (!s->stop && !s->failed) {
		if (serve(s, iov))
			continue;
		dawdle(&seed);
		if (serve(s, iov) || vring_want_kick(s->vr))
			continue;
		if (!wait_for(&s->kick) && !s->stop)
			s->failed = true;
		vring_no_kick(s->vr);
	}
	return NULL;
}

static bool add(struct stress *s, uint64_t number)
{
	uint64_t at = DATA_GPA + number % 4096 * SLOT_BYTES;
	const struct buf bufs[] = {{at, 8, false}, {at + 8, 8, true}};
	uint64_t table = number % 3 ? 0 : DATA_GPA + 4096 * SLOT_BYTES + number % 4096 * 32;
	char *p = driver_ram(&s->d, at, 16);

	if (s->d.room < 2)
		return false;
	memcpy(p, &number, sizeof(number));
	memset(p + 8, 0, 8);
	assert_true(driver_add(&s->d, bufs, 2, table) >= 0);
	if (driver_must_kick(&s->d)) {
		s->kicks++;
		notify(&s->kick);
	}
	return true;
}

/* Takes all that was used; @number: of each ID. */
static unsigned int reap(struct stress *s)
{
	unsigned int n = 0;
	uint32_t len;

	while (driver_used(&s->d, &len) >= 0) {
		assert_int_equal(len, 8);
		n++;
	}
	return n;
}

/* Every number up to @n came back one higher, as far as its place was not used again since. */
static void check_answers(struct stress *s, uint64_t n)
{
	for (uint64_t number = n > 4096 ? n - 4096 : 0; number < n; number++) {
		uint64_t v;

		memcpy(&v, driver_ram(&s->d, DATA_GPA + number % 4096 * SLOT_BYTES + 8, 8), sizeof(v));
		assert_int_equal(v, number + 1);
	}
}

/* Adds bursts of chains and sleeps until some are used. Returns how many went through. */
static uint64_t drive(struct stress *s)
{
	uint64_t added = 0, used = 0;
	struct timespec begin;
	uint32_t seed = 2;
	bool more = true;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	while (!s->failed && (more || used < added)) {
		uint64_t burst = added + 1 + added % 7;

		more = more && elapsed_ms(&begin) < RUN_MS;
		while (more && added < burst && add(s, added))
			added++;
		used += reap(s);
		dawdle(&seed);
		used += reap(s);
		if (used == added || driver_calls(&s->d, true))
			continue;
		if (!wait_for(&s->call))
			s->failed = true;
		driver_calls(&s->d, false);
	}
	assert_int_equal(used, added);
	return added;
}

static void run(uint32_t size, bool packed, bool event_idx)
{
	struct vring_config cfg = {.size = size, .packed = packed, .event_idx = event_idx, .indirect = true};
	uint32_t base = packed ? PACKED_FRESH : 65500;
	struct stress s = {.failed = false};
	struct err err;
	pthread_t t;
	uint64_t n;

	driver_init(&s.d, &cfg, base);
	s.vr = vring_new();
	assert_int_equal(vring_start(s.vr, &s.d.cfg, base, s.d.mem, NULL, &err), 0);
	assert_int_equal(pthread_create(&t, NULL, device, &s), 0);
	n = drive(&s);
	s.stop = true;
	notify(&s.kick);
	pthread_join(t, NULL);
	assert_false(s.failed);
	assert_int_equal(s.popped, n);
	assert_true(n > 0);
	check_answers(&s, n);
	print_message("%s ring of %u%s: %lu chains, %lu kicks, %lu calls\n", packed ? "packed" : "split",
		size, event_idx ? ", event idx" : "", n, s.kicks, s.calls);
	vring_free(s.vr);
	driver_done(&s.d);
}

static void test_split(void **state)
{
	(void)state;
	run(64, false, false);
	run(64, false, true);
	run(4, false, true);
}

static void test_packed(void **state)
{
	(void)state;
	run(64, true, false);
	run(64, true, true);
	run(5, true, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_packed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
