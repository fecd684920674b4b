/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of records that guests name: no ID but a live one finds anything, on many threads too. */
#include "base/arith.h"
#include "base/idtab.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CAPACITY 8
#define THREADS	 4
#define ROUNDS	 20000

struct rec {
	struct idtab_rec rec;
	_Atomic uint64_t owner; /* the ID of who lives here, 0: nobody */
	uint64_t spare;
};

static struct rec records[CAPACITY];
static struct idtab tab;

static int setup(void **state)
{
	(void)state;
	memset(records, 0, sizeof(records));
	idtab_init(&tab, records, sizeof(records[0]), CAPACITY);
	return 0;
}

static void drop(void *r)
{
	if (idtab_put(r))
		idtab_free(&tab, r);
}

/* The root inode of FUSE is 1. */
static void test_first(void **state)
{
	uint64_t id = 0;
	struct rec *r = idtab_alloc(&tab, &id);

	(void)state;
	assert_non_null(r);
	assert_int_equal(id, 1);
	assert_int_equal(idtab_id(&tab, r), 1);
	assert_int_equal(idtab_index(&tab, r), 1);
	assert_ptr_equal(idtab_at(&tab, 1), r);
	assert_null(idtab_at(&tab, 0));
	assert_null(idtab_at(&tab, 2));
	assert_null(idtab_at(&tab, CAPACITY));
	drop(r);
}

static void test_invented(void **state)
{
	static const uint64_t invented[] = {
		0, 2, 7, 8, 9, UINT32_MAX, 1ULL << 32, 1ULL << 32 | 1, 1ULL << 63 | 1, UINT64_MAX};
	uint64_t id;
	void *r = idtab_alloc(&tab, &id);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(invented); i++)
		assert_null(idtab_get(&tab, invented[i]));
	assert_null(idtab_get_index(&tab, 0));
	assert_null(idtab_get_index(&tab, 2));
	assert_null(idtab_get_index(&tab, CAPACITY));
	assert_null(idtab_get_index(&tab, UINT32_MAX));
	assert_ptr_equal(idtab_get(&tab, id), r);
	drop(r);
	drop(r);
}

/* An ID dies with its record: whoever comes into its place has another. */
static void test_stale(void **state)
{
	uint64_t first, id, old = 0;
	struct rec *r = idtab_alloc(&tab, &first);

	(void)state;
	drop(r);
	assert_null(idtab_get(&tab, first));
	for (int i = 0; i < 100; i++) {
		r = idtab_alloc(&tab, &id);
		assert_ptr_equal(r, &records[1]);
		assert_true(id != first && id != old);
		assert_int_equal(idtab_id(&tab, r), id);
		assert_null(idtab_get(&tab, first));
		assert_null(idtab_get(&tab, old));
		assert_ptr_equal(idtab_get_index(&tab, 1), r);
		assert_int_equal(idtab_put(r), 0);
		old = id;
		drop(r);
	}
	assert_null(idtab_get_index(&tab, 1));
}

static void test_full(void **state)
{
	struct rec *r[CAPACITY];
	uint64_t id;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 1; i < CAPACITY; i++) {
			r[i] = idtab_alloc(&tab, &id);
			assert_non_null(r[i]);
			assert_int_equal(r[i]->owner, 0); /* nothing of who lived there before */
			assert_int_equal(r[i]->spare, 0);
			r[i]->owner = r[i]->spare = id;
		}
		assert_int_equal(tab.used, CAPACITY - 1);
		assert_null(idtab_alloc(&tab, &id));
		for (int i = 1; i < CAPACITY; i++)
			drop(r[i]);
		assert_int_equal(tab.used, 0);
	}
	assert_null(idtab_at(&tab, CAPACITY));
	assert_non_null(idtab_at(&tab, CAPACITY - 1));
}

static void test_refs(void **state)
{
	uint64_t id;
	void *r = idtab_alloc(&tab, &id);

	(void)state;
	idtab_ref(r);
	assert_ptr_equal(idtab_get(&tab, id), r);
	assert_int_equal(idtab_put(r), 0);
	assert_int_equal(idtab_put(r), 0);
	assert_int_equal(idtab_put(r), 1);
	assert_null(idtab_get(&tab, id)); /* from the last put on, not from the free */
	assert_null(idtab_get_index(&tab, 1));
	idtab_free(&tab, r);
}

static _Atomic uint64_t known[THREADS]; /* each thread's newest ID, for the others to try */

/* Takes a reference by somebody's ID, live or stale: what it finds must be what it asked for. */
static bool visit(uint64_t id)
{
	struct rec *r = idtab_get(&tab, id);
	bool right;

	if (!r)
		return true;
	right = idtab_id(&tab, r) == id && (r->owner == id || r->owner == 0);
	drop(r);
	return right;
}

static void *churn(void *arg)
{
	uint64_t me = (uint64_t)(uintptr_t)arg, bad = 0, id;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		struct rec *r = idtab_alloc(&tab, &id);

		if (!r) {
			bad++;
			continue;
		}
		r->owner = id;
		known[me] = id;
		bad += !visit(known[i % THREADS]);
		bad += r->owner != id;
		drop(r);
	}
	return (void *)(uintptr_t)bad;
}

static void test_threads(void **state)
{
	pthread_t t[THREADS];
	void *bad;

	(void)state;
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, churn, (void *)i), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	assert_int_equal(tab.used, 0);
	for (uint32_t i = 0; i < CAPACITY; i++)
		assert_null(idtab_get_index(&tab, i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_first, setup),
		cmocka_unit_test_setup(test_invented, setup),
		cmocka_unit_test_setup(test_stale, setup),
		cmocka_unit_test_setup(test_full, setup),
		cmocka_unit_test_setup(test_refs, setup),
		cmocka_unit_test_setup(test_threads, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
