/* SPDX-License-Identifier: BSD-3-Clause */
/* The small headers of base: errors that grow, the byte cursor, checked arithmetic, scope-bound cleanup. */
#include "base/arith.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/number.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_err(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(err_set(&e, EINVAL, "value %d", 7), -EINVAL);
	assert_string_equal(e.text, "value 7");
	assert_int_equal(err_prefix(&e, -EINVAL, "option '%s'", "--x"), -EINVAL);
	assert_string_equal(e.text, "option '--x': value 7");
	assert_int_equal(err_sys(&e, ENOENT, "cannot open '%s'", "/x"), -ENOENT);
	assert_string_equal(e.text, "cannot open '/x': No such file or directory");
	assert_int_equal(err_set(NULL, EIO, "nobody hears"), -EIO);
	assert_int_equal(err_sys(NULL, EIO, "nobody hears"), -EIO);
	assert_int_equal(err_prefix(NULL, -EIO, "nobody hears"), -EIO);
}

/* A text that is too long is cut, and still ends. */
static void test_err_long(void **state)
{
	char text[2 * sizeof(struct err)];
	struct err e;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&e, EIO, "%s", text);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	err_prefix(&e, -EIO, "%s", text);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	err_sys(&e, EIO, "%s", text);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

static void test_cursor(void **state)
{
	static const char bytes[] = {1, 2, 'a', 'b', 0, 0, 'c', 'd'};
	struct cursor c = cursor_over(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(cursor_left(&c), 8);
	assert_ptr_equal(cursor_take(&c, 2), bytes);
	assert_null(cursor_take(&c, 7));
	assert_null(cursor_take(&c, SIZE_MAX));
	assert_string_equal(cursor_string(&c), "ab");
	assert_string_equal(cursor_string(&c), "");
	assert_null(cursor_string(&c)); /* no NUL before the end */
	assert_int_equal(cursor_left(&c), 2);
	assert_ptr_equal(cursor_take(&c, 2), bytes + 6);
	assert_null(cursor_string(&c));
	assert_null(cursor_take(&c, 1));
	assert_non_null(cursor_take(&c, 0));
}

static void test_arith(void **state)
{
	uint64_t v;

	(void)state;
	assert_true(arith_add(UINT64_MAX - 1, 1, &v));
	assert_false(arith_add(UINT64_MAX, 1, &v));
	assert_true(arith_mul(1ULL << 32, UINT32_MAX, &v));
	assert_false(arith_mul(1ULL << 32, 1ULL << 32, &v));
	assert_true(arith_within(0, 10, 10));
	assert_true(arith_within(10, 0, 10));
	assert_false(arith_within(11, 0, 10));
	assert_false(arith_within(5, 6, 10));
	assert_false(arith_within(5, UINT64_MAX, 10));
	assert_false(arith_within(UINT64_MAX, UINT64_MAX, 10));
	assert_true(arith_is_pow2(1) && arith_is_pow2(1ULL << 63));
	assert_false(arith_is_pow2(0) || arith_is_pow2(3));
	assert_int_equal(arith_align_up(0, 4096), 0);
	assert_int_equal(arith_align_up(1, 4096), 4096);
	assert_int_equal(arith_align_up(4096, 4096), 4096);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void test_number(void **state)
{
	static const char *const none[] = {"", "x", "-1", "+1", " 1", "1 ", "0x10", "1.5"};
	static const char *const no_size[] = {"K", "1KB", "1T", "1 K", "-1K", "99999999999999999999x"};
	uint64_t v;

	(void)state;
	assert_int_equal(number_parse("0", &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(number_parse("18446744073709551615", &v), 0);
	assert_int_equal(v, UINT64_MAX);
	assert_int_equal(number_parse("18446744073709551616", &v), -ERANGE);
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		assert_int_equal(number_parse(none[i], &v), -EINVAL);
		assert_int_equal(number_parse_size(none[i], 0, &v), -EINVAL);
	}
	assert_int_equal(number_parse_size("3", 20, &v), 0);
	assert_int_equal(v, 3 << 20);
	assert_int_equal(number_parse_size("3K", 20, &v), 0);
	assert_int_equal(v, 3072);
	assert_int_equal(number_parse_size("2g", 0, &v), 0);
	assert_int_equal(v, 1ull << 31);
	assert_int_equal(number_parse_size("17179869184G", 0, &v), -ERANGE);
	assert_int_equal(number_parse_size("99999999999999999999", 0, &v), -ERANGE);
	for (size_t i = 0; i < ARRAY_LEN(no_size); i++)
		assert_int_equal(number_parse_size(no_size[i], 0, &v), -EINVAL);
}

static void test_cleanup(void **state)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	int closed, kept;

	(void)state;
	{
		autofd int a = open("/dev/null", O_RDONLY | O_CLOEXEC);
		autofd int b = open("/dev/null", O_RDONLY | O_CLOEXEC);
		autofd int none = -1;
		autofree char *p = malloc(1);
		autolock(&m);

		assert_non_null(p);
		closed = a;
		kept = fd_take(&b);
		assert_int_equal(b, -1);
		assert_int_equal(none, -1);
		assert_int_equal(pthread_mutex_trylock(&m), EBUSY);
		errno = ENOTTY; /* leaving the scope keeps it */
	}
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(pthread_mutex_trylock(&m), 0);
	pthread_mutex_unlock(&m);
	assert_false(is_open(closed));
	assert_true(is_open(kept));
	close(kept);
}

static void *blocks_all(void *arg)
{
	sigset_t now;

	pthread_sigmask(SIG_SETMASK, NULL, &now);
	return sigismember(&now, SIGTERM) && sigismember(&now, SIGUSR1) ? arg : NULL;
}

static void test_thread(void **state)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	uint64_t began = clock_ns();
	sigset_t mine;
	pthread_t t;
	void *r;

	assert_int_equal(thread_start(&t, blocks_all, state), 0);
	pthread_join(t, &r);
	assert_ptr_equal(r, state);
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	assert_false(sigismember(&mine, SIGTERM));
	pthread_mutex_lock(&lock);
	assert_false(thread_wait(&cond, &lock, 0));
	while (thread_wait(&cond, &lock, began + 20000000))
		continue;
	assert_true(clock_ns() >= began + 20000000);
	pthread_mutex_unlock(&lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err),
		cmocka_unit_test(test_err_long),
		cmocka_unit_test(test_cursor),
		cmocka_unit_test(test_arith),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_cleanup),
		cmocka_unit_test(test_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
