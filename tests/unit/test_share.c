/* SPDX-License-Identifier: BSD-3-Clause */
/* tools/share.c: what DIR[:TAG][:ro] means, and which tags shares get that have none. */
#include "../../tools/colofs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/colofs-share-XXXXXX";
static const char *const made[] = {"a", "a:b", "c:ro", "sub", "sub/a", "ä ö"};

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir) || chdir(dir) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		if (mkdir(made[i], 0700) < 0)
			return -1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = sizeof(made) / sizeof(made[0]); i-- > 0;)
		rmdir(made[i]);
	return chdir("/") || rmdir(dir);
}

static void expect(const char *spec, const char *name, const char *tag, bool readonly)
{
	struct share s;
	struct err e;

	assert_int_equal(share_parse(&s, spec, &e), 0);
	assert_string_equal(strrchr(s.dir, '/') + 1, name);
	assert_string_equal(s.tag, tag);
	assert_int_equal(s.tag_given, tag[0] != '\0');
	assert_int_equal(s.readonly, readonly);
	free(s.dir);
}

static void test_parse(void **state)
{
	(void)state;
	expect("a", "a", "", false);
	expect("a:ro", "a", "", true);
	expect("a:x", "a", "x", false);
	expect("a:x:ro", "a", "x", true);
	expect("a:ro:ro", "a", "ro", true);
	expect("sub/../a:x", "a", "x", false);
}

static void test_existing_directory_wins(void **state)
{
	(void)state;
	expect("a:b", "a:b", "", false);
	expect("a:b:ro", "a:b", "", true);
	expect("a:b:x", "a:b", "x", false);
	expect("c:ro", "c:ro", "", false);
	expect("c:ro:ro", "c:ro", "", true);
}

static void test_refused(void **state)
{
	static const char *const specs[] = {"", ":", ":x", "a:", "a:.", "a:b c", "none", "none:x:ro",
		"a:colofsroot", "a:0123456789012345678901234567890123456"};
	struct share s;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		assert_true(share_parse(&s, specs[i], &e) < 0);
		free(s.dir);
	}
}

static void parse_all(struct share *s, const char *const *specs, size_t n)
{
	struct err e;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(share_parse(&s[i], specs[i], &e), 0);
	assert_int_equal(share_finish(s, n, "/mnt", &e), 0);
}

static void free_all(struct share *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(s[i].dir);
		free(s[i].at);
	}
}

static void test_default_tags(void **state)
{
	static const char *const specs[] = {"a", "sub/a", "sub:a-2", "ä ö", "/", "a"};
	static const char *const tags[] = {"a", "a-3", "a-2", "_____", "root", "a-4"};
	struct share s[6];

	(void)state;
	parse_all(s, specs, 6);
	for (size_t i = 0; i < 6; i++)
		assert_string_equal(s[i].tag, tags[i]);
	assert_string_equal(s[1].at, "/mnt/a-3");
	free_all(s, 6);
}

static void test_single_share_has_the_mount_point(void **state)
{
	static const char *const specs[] = {"sub"};
	struct share s[1];

	(void)state;
	parse_all(s, specs, 1);
	assert_string_equal(s[0].at, "/mnt");
	free_all(s, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_existing_directory_wins),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_default_tags),
		cmocka_unit_test(test_single_share_has_the_mount_point),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
