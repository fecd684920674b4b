/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void takes_all_or_nothing(void **state)
{
	const char bytes[] = "abcdef";
	struct cursor c = cursor_over(bytes, 6);

	(void)state;
	assert_ptr_equal(cursor_take(&c, 4), bytes);
	assert_int_equal(cursor_left(&c), 2);
	assert_null(cursor_take(&c, 3));
	assert_null(cursor_take(&c, SIZE_MAX));
	assert_int_equal(cursor_left(&c), 2);
	assert_ptr_equal(cursor_take(&c, 2), bytes + 4);
	assert_ptr_equal(cursor_take(&c, 0), bytes + 6);
	assert_null(cursor_take(&c, 1));
}

static void strings_end_inside(void **state)
{
	const char bytes[] = {'a', 'b', 0, 0, 'c'};
	struct cursor c = cursor_over(bytes, sizeof(bytes));

	(void)state;
	assert_string_equal(cursor_string(&c), "ab");
	assert_string_equal(cursor_string(&c), "");
	assert_null(cursor_string(&c));
	assert_int_equal(cursor_left(&c), 1);
	assert_ptr_equal(cursor_take(&c, 1), bytes + 4);
	assert_null(cursor_string(&c));
}

static void nothing_comes_from_nothing(void **state)
{
	struct cursor c = cursor_over("", 0);

	(void)state;
	assert_int_equal(cursor_left(&c), 0);
	assert_null(cursor_string(&c));
	assert_null(cursor_take(&c, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_all_or_nothing),
		cmocka_unit_test(strings_end_inside),
		cmocka_unit_test(nothing_comes_from_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
