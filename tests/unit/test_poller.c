/* SPDX-License-Identifier: BSD-3-Clause */
/* When a queue's thread polls, and when it gives that up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/poller.h"

#define MAX_NS 50000u

/* Sleeps of one length until the next try; gives up after @most. */
static uint32_t sleeps_until_try(struct poller *p, uint64_t ns, uint32_t most)
{
	uint32_t n = 0;

	for (; !poller_wants(p) && n < most; n++)
		poller_slept(p, ns);
	return n;
}

static void test_off(void **state)
{
	struct poller p = {.max_ns = 0};

	(void)state;
	assert_false(poller_wants(&p));
	poller_slept(&p, 1);
	assert_false(poller_wants(&p));
}

static void test_goes_on_while_it_pays(void **state)
{
	struct poller p = {.max_ns = MAX_NS};

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_true(poller_wants(&p));
		poller_hit(&p, MAX_NS / 10);
	}
	poller_miss(&p); /* one in vain is forgiven */
	assert_true(poller_wants(&p));
}

/* As where the guest waits for our CPU: it comes soon whenever we sleep, and never while we poll. */
static void test_tries_in_vain_become_rare(void **state)
{
	struct poller p = {.max_ns = MAX_NS};
	uint32_t sleeps = 0, tries = 0;

	(void)state;
	while (sleeps < 100000) {
		sleeps += sleeps_until_try(&p, 5000, UINT32_MAX);
		poller_miss(&p);
		tries++;
		sleeps++;
		poller_slept(&p, 5000);
	}
	assert_in_range(tries, 10, 120);
	sleeps = sleeps_until_try(&p, 5000, UINT32_MAX);
	assert_in_range(sleeps, 0, POLLER_BACKOFF_MAX);
	for (int i = 0; i < 12; i++)
		poller_hit(&p, MAX_NS / 10);
	poller_miss(&p); /* it paid again: forgiven again */
	assert_true(poller_wants(&p));
}

/* Where the guest is quick, and where it is not that quick any more. */
static void test_tries_are_as_long_as_they_must(void **state)
{
	struct poller p = {.max_ns = MAX_NS};

	(void)state;
	for (int i = 0; i < 100; i++)
		poller_hit(&p, 3000);
	assert_in_range(p.try_ns, 3000, 15000);
	for (int i = 0; i < 100; i++)
		poller_hit(&p, 1);
	assert_in_range(p.try_ns, 1000, POLLER_TRY_MIN_NS + 10);
	for (int i = 0; i < 5; i++)
		poller_miss(&p);
	assert_int_equal(p.try_ns, MAX_NS);
	for (int i = 0; i < 100; i++)
		poller_hit(&p, MAX_NS - 1);
	assert_in_range(p.try_ns, MAX_NS - 10, MAX_NS);
}

/* One in two is not enough, three of four are. */
static void test_pays(void **state)
{
	struct poller p = {.max_ns = MAX_NS};
	uint32_t sleeps = 0, tries = 0;

	(void)state;
	for (; sleeps < 100000; tries++) {
		sleeps += sleeps_until_try(&p, 5000, UINT32_MAX);
		if (tries % 2)
			poller_hit(&p, 5000);
		else
			poller_miss(&p);
	}
	assert_in_range(tries, 1, 1000);
	p = (struct poller){.max_ns = MAX_NS};
	sleeps = 0;
	for (tries = 0; tries < 10000; tries++) {
		sleeps += sleeps_until_try(&p, 5000, UINT32_MAX);
		if (tries % 4)
			poller_hit(&p, 5000);
		else
			poller_miss(&p);
	}
	assert_in_range(sleeps, 0, 10);
}

/* As of a guest that asks a thousand times a second. */
static void test_long_sleeps_cost_no_tries(void **state)
{
	struct poller p = {.max_ns = MAX_NS};

	(void)state;
	poller_miss(&p);
	poller_miss(&p);
	assert_int_equal(sleeps_until_try(&p, 1000000, 10000), 10000);
	assert_int_equal(sleeps_until_try(&p, MAX_NS, 10000), 3);
}

/* What is there is found, however short the try; what is not is noted as one in vain. */
static void test_look(void **state)
{
	uint16_t word = htole16(7);
	struct vring_watch split = {.word = &word, .mask = UINT16_MAX, .value = 7};
	struct vring_watch packed = {.word = &word, .mask = 1 << 7 | 1 << 15, .value = 1 << 7, .equal = true};
	struct poller p = {.max_ns = 1000};

	(void)state;
	assert_false(poller_look(&p, &split));
	assert_int_equal(p.backoff, 3);
	assert_false(poller_look(&p, &packed));
	assert_int_equal(p.backoff, 15);
	assert_int_equal(p.skip, 3);
	word = htole16(1 << 7 | 3); /* there before anybody looked: neither in vain nor a success */
	assert_true(poller_look(&p, &split));
	assert_int_equal(p.backoff, 15);
	assert_true(poller_look(&p, &packed));
	word = htole16(1 << 7 | 1 << 15);
	assert_false(poller_look(&p, &packed));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_goes_on_while_it_pays),
		cmocka_unit_test(test_tries_in_vain_become_rare),
		cmocka_unit_test(test_tries_are_as_long_as_they_must),
		cmocka_unit_test(test_pays),
		cmocka_unit_test(test_long_sleeps_cost_no_tries),
		cmocka_unit_test(test_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
