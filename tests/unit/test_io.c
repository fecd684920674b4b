/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors and I/O vectors: whole transfers, copies at any offset, clipping in place. */
#include "base/arith.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BIG 300000 /* more than a pipe holds: transfers come in parts */

static char big[BIG];

static void *write_big(void *arg)
{
	int fd = *(int *)arg;
	int r = io_write_all(fd, big, sizeof(big));

	close(fd);
	return (void *)(intptr_t)r;
}

static void test_all(void **state)
{
	char *got = malloc(BIG);
	void *r = NULL;
	pthread_t t;
	int p[2];

	(void)state;
	for (int i = 0; i < BIG; i++)
		big[i] = (char)(i * 7);
	assert_non_null(got);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&t, NULL, write_big, &p[1]), 0);
	assert_int_equal(io_read_all(p[0], got, BIG), 0);
	pthread_join(t, &r);
	assert_null(r);
	assert_memory_equal(got, big, BIG);
	assert_int_equal(io_read_all(p[0], got, 1), -ENODATA);
	assert_int_equal(io_read_all(p[0], got, 0), 0);
	close(p[0]);
	assert_int_equal(io_read_all(-1, got, 1), -EBADF);
	assert_int_equal(io_write_all(-1, got, 1), -EBADF);
	free(got);
}

static void test_short_file(void **state)
{
	char buf[8];
	int p[2];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(io_write_all(p[1], "abc", 3), 0);
	close(p[1]);
	assert_int_equal(io_read_all(p[0], buf, 4), -ENODATA);
	close(p[0]);
}

static void test_total(void **state)
{
	struct iovec v[] = {{NULL, 3}, {NULL, 0}, {NULL, 5}};
	struct iovec huge[] = {{NULL, SIZE_MAX - 1}, {NULL, 1}, {NULL, 1}};

	(void)state;
	assert_int_equal(iov_total(v, 3), 8);
	assert_int_equal(iov_total(v, 0), 0);
	assert_int_equal(iov_total(huge, 2), SIZE_MAX);
	assert_int_equal(iov_total(huge, 3), SIZE_MAX);
}

#define TEXT "abcdefghij"

/* Ten bytes in pieces of 3, 0, 1, 6 and 0. */
static void split(char *bytes, struct iovec v[5])
{
	static const size_t len[] = {3, 0, 1, 6, 0};

	for (int i = 0; i < 5; i++) {
		v[i] = (struct iovec){bytes, len[i]};
		bytes += len[i];
	}
}

/* Every offset and length, also beyond the end. */
static void test_copy(void **state)
{
	struct iovec v[5];

	(void)state;
	for (size_t off = 0; off < 13; off++)
		for (size_t len = 0; len < 13; len++) {
			size_t expect = off < 10 ? MIN(len, 10 - off) : 0;
			char bytes[] = TEXT, want[] = TEXT, got[13] = "............";

			split(bytes, v);
			assert_int_equal(iov_read(v, 5, off, got, len), expect);
			assert_memory_equal(got, &TEXT[MIN(off, 10)], expect);
			if (expect < 12)
				assert_int_equal(got[expect], '.');
			assert_int_equal(iov_write(v, 5, off, "0123456789abc", len), expect);
			memcpy(want + MIN(off, 10), "0123456789", expect);
			assert_string_equal(bytes, want);
		}
}

static void test_clip(void **state)
{
	(void)state;
	for (size_t off = 0; off < 13; off++)
		for (size_t len = 0; len < 13; len++) {
			size_t expect = off < 10 ? MIN(len, 10 - off) : 0;
			char bytes[] = TEXT, got[13];
			struct iovec v[5], *p = v;
			unsigned int n = 5;

			split(bytes, v);
			assert_int_equal(iov_clip(&p, &n, off, len), expect);
			assert_int_equal(iov_total(p, n), expect);
			assert_int_equal(iov_read(p, n, 0, got, sizeof(got)), expect);
			assert_memory_equal(got, &TEXT[MIN(off, 10)], expect);
			assert_true(n <= 5 && p >= v && p + n <= v + 5);
		}
}

static void test_skip(void **state)
{
	(void)state;
	for (size_t off = 0; off < 13; off++) {
		size_t expect = off < 10 ? 10 - off : 0;
		char bytes[] = TEXT, got[13];
		struct iovec v[5], *p = v;
		unsigned int n = 5;

		split(bytes, v);
		iov_skip(&p, &n, off);
		assert_int_equal(iov_total(p, n), expect);
		assert_int_equal(iov_read(p, n, 0, got, sizeof(got)), expect);
		assert_memory_equal(got, &TEXT[MIN(off, 10)], expect);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_short_file),
		cmocka_unit_test(test_total),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_clip),
		cmocka_unit_test(test_skip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
