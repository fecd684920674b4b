/* SPDX-License-Identifier: BSD-3-Clause */
/* Latency buckets of colofs-bench. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bench/hist.h"

#include <string.h>

static struct hist h, other;

static int reset(void **state)
{
	(void)state;
	memset(&h, 0, sizeof(h));
	memset(&other, 0, sizeof(other));
	return 0;
}

/* A value alone, with a far larger one above it so that the maximum does not hide the bucket's end. */
static void test_width(void **state)
{
	(void)state;
	for (unsigned int shift = 0; shift < 63; shift++) {
		for (uint64_t v = 1ull << shift; v >> shift == 1; v += (1ull << shift) / 7 + 1) {
			uint64_t got;

			reset(NULL);
			hist_add(&h, v);
			hist_add(&h, UINT64_MAX);
			got = hist_percentile(&h, 0.5);
			assert_true(got >= v && got - v <= v / 64);
			assert_true(hist_percentile(&h, 1) == UINT64_MAX);
		}
	}
}

static void test_percentiles(void **state)
{
	(void)state;
	assert_int_equal(hist_percentile(&h, 0.5), 0);
	for (uint64_t v = 1; v <= 50; v++)
		hist_add(&h, v);
	for (uint64_t v = 51; v <= 60; v++)
		hist_add(&other, v);
	assert_int_equal(hist_percentile(&h, 0.5), 25);
	hist_merge(&h, &other);
	assert_int_equal(h.count, 60);
	assert_int_equal(h.max, 60);
	assert_int_equal(h.sum, 60 * 61 / 2);
	assert_int_equal(hist_percentile(&h, 0.5), 30);
	assert_int_equal(hist_percentile(&h, 0.9), 54);
	assert_int_equal(hist_percentile(&h, 1), 60);
	hist_add(&h, 61); /* half of 61 values is more than 30 of them */
	assert_int_equal(hist_percentile(&h, 0.5), 31);
	assert_int_equal(hist_percentile(&h, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_width, reset),
		cmocka_unit_test_setup(test_percentiles, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
