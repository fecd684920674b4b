/* SPDX-License-Identifier: BSD-3-Clause */
/* Translation of ids: every form of rule, borders, what is malformed, and ids within ACLs. */
#include "fs/acl.h"
#include "fs/idmap.h"

#include "base/arith.h"

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LAST (IDMAP_NONE - 1)

static struct idmap *compile(const char *const *rules)
{
	struct idmap *m = idmap_new();
	struct err err = {0};

	assert_non_null(m);
	for (; *rules; rules++)
		if (idmap_add(m, *rules, &err))
			fail_msg("%s: %s", *rules, err.text);
	return m;
}
#define COMPILE(...) compile((const char *const[]){__VA_ARGS__, NULL})

static uint32_t host(const struct idmap *m, uint32_t id)
{
	uint32_t out = 12345;

	assert_int_equal(idmap_to_host(m, id, &out), 0);
	return out;
}

static void test_none(void **state)
{
	struct idmap *m = idmap_new();

	(void)state;
	assert_int_equal(host(NULL, 5), 5);
	assert_int_equal(idmap_to_guest(NULL, 5), 5);
	assert_int_equal(host(m, LAST), LAST);
	assert_int_equal(idmap_to_guest(m, 0), 0);
	idmap_free(m);
	idmap_free(NULL);
}

static void test_one_way(void **state)
{
	struct idmap *m = COMPILE("guest:1000:5000:10", "host:7000:1000:3");

	(void)state;
	assert_int_equal(host(m, 999), 999);
	assert_int_equal(host(m, 1000), 5000);
	assert_int_equal(host(m, 1009), 5009);
	assert_int_equal(host(m, 1010), 1010);
	assert_int_equal(idmap_to_guest(m, 5000), 5000);
	assert_int_equal(idmap_to_guest(m, 6999), 6999);
	assert_int_equal(idmap_to_guest(m, 7000), 1000);
	assert_int_equal(idmap_to_guest(m, 7002), 1002);
	assert_int_equal(idmap_to_guest(m, 7003), 7003);
	idmap_free(m);
}

static void test_both_ways(void **state)
{
	struct idmap *m = COMPILE("map:0:100000:65536");

	(void)state;
	assert_int_equal(host(m, 0), 100000);
	assert_int_equal(host(m, 65535), 165535);
	assert_int_equal(host(m, 65536), 65536);
	assert_int_equal(idmap_to_guest(m, 165535), 65535);
	assert_int_equal(idmap_to_guest(m, 165536), 165536);
	assert_int_equal(idmap_to_guest(m, 99999), 99999);
	idmap_free(m);
}

static void test_squash(void **state)
{
	struct idmap *m = COMPILE("squash-guest:0:1001:4294967295", "squash-host:10:20:5");

	(void)state;
	assert_int_equal(host(m, 0), 1001);
	assert_int_equal(host(m, LAST), 1001);
	assert_int_equal(host(m, IDMAP_NONE), IDMAP_NONE);
	assert_int_equal(idmap_to_guest(m, 9), 9);
	assert_int_equal(idmap_to_guest(m, 10), 20);
	assert_int_equal(idmap_to_guest(m, 14), 20);
	assert_int_equal(idmap_to_guest(m, 15), 15);
	idmap_free(m);
}

static void test_forbid(void **state)
{
	struct idmap *m = COMPILE("forbid-guest:10:5", "forbid-guest:4294967294:1");
	uint32_t out;

	(void)state;
	assert_int_equal(host(m, 9), 9);
	assert_int_equal(idmap_to_host(m, 10, &out), -EPERM);
	assert_int_equal(idmap_to_host(m, 14, &out), -EPERM);
	assert_int_equal(idmap_to_host(m, LAST, &out), -EPERM);
	assert_int_equal(host(m, 15), 15);
	assert_int_equal(idmap_to_guest(m, 12), 12);
	idmap_free(m);
}

/* Rules in any order, ranges that touch: each id finds its own. */
static void test_many(void **state)
{
	struct idmap *m = idmap_new();
	char rule[64];

	(void)state;
	for (unsigned int i = 0; i < 101; i++) {
		unsigned int at = i * 37 % 101; /* each number once */

		snprintf(rule, sizeof(rule), "map:%u:%u:10", at * 10, 100000 + (100 - at) * 10);
		assert_int_equal(idmap_add(m, rule, NULL), 0);
	}
	for (uint32_t id = 0; id < 1010; id++) {
		assert_int_equal(host(m, id), 100000 + (100 - id / 10) * 10 + id % 10);
		assert_int_equal(idmap_to_guest(m, host(m, id)), id);
	}
	assert_int_equal(host(m, 1010), 1010);
	idmap_free(m);
}

static void refuses(const char *first, const char *rule, const char *remedy)
{
	struct idmap *m = idmap_new();
	struct err err = {0};

	if (first)
		assert_int_equal(idmap_add(m, first, &err), 0);
	if (idmap_add(m, rule, &err) != -EINVAL || !strstr(err.text, remedy))
		fail_msg("%s: says: %s", rule, err.text);
	idmap_free(m);
}

static void test_malformed(void **state)
{
	static const char *const wrong[] = {"guest", "guest:", "guest:1", "guest:1:2", "guest:1:2:3:4",
		"guest:1:2:3:", "guest:1:2:x", "guest:1::3", "guest: 1:2:3", "guest:-1:2:3", "guest:+1:2:3",
		"guest:0x1:2:3", "guest:1:2:4294967296", "guest:99999999999999999999:2:3", "forbid-guest:1",
		"forbid-guest:1:2:3", "squash-host:1:2", "squash-guest:1:2", "host:1:2", "map:1:2"};
	static const char *const unknown[] = {"", ":", "0:1000:1", "gues:1:2:3", "guests:1:2:3", "MAP:1:2:3",
		" map:1:2:3", "forbid-host:1:2"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		refuses(NULL, wrong[i], "write it as");
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		refuses(NULL, unknown[i], "write it as map:GUEST:HOST:COUNT");
	refuses(NULL, "guest:1:1:4294967295", "a smaller count");
	refuses(NULL, "guest:0:1:4294967295", "a smaller count");
	refuses(NULL, "forbid-guest:4294967295:1", "a smaller count");
	refuses(NULL, "squash-guest:0:4294967295:1", "a smaller count");
	refuses(NULL, "map:4294967290:0:6", "a smaller count");
}

static void test_overlap(void **state)
{
	struct idmap *m;

	(void)state;
	refuses("guest:10:0:10", "guest:19:500:1", "one rule");
	refuses("guest:10:0:10", "squash-guest:0:500:11", "one rule");
	refuses("guest:10:0:10", "forbid-guest:0:4294967295", "one rule");
	refuses("guest:10:0:10", "map:12:500:2", "one rule");
	refuses("host:10:0:10", "map:500:12:2", "one rule");
	refuses("map:0:0:10", "squash-host:9:500:1", "one rule");
	/* The directions know nothing of each other, targets may meet, and touching is not meeting. */
	m = COMPILE("guest:10:0:10", "host:10:0:10", "guest:20:0:10", "guest:5:0:5", "squash-host:20:0:1",
		"map:3:900:0");
	idmap_free(m);
}

/* An ACL with an entry of every kind. */
struct acl {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} e[7];
};

static struct acl acl_of(uint32_t user, uint32_t user2, uint32_t group)
{
	return (struct acl){.version = htole32(2),
		.e = {{htole16(1), htole16(7), UINT32_MAX}, {htole16(2), htole16(6), htole32(user)},
			{htole16(2), htole16(4), htole32(user2)}, {htole16(4), htole16(5), UINT32_MAX},
			{htole16(8), htole16(1), htole32(group)}, {htole16(0x10), htole16(7), UINT32_MAX},
			{htole16(0x20), 0, UINT32_MAX}}};
}

static void test_acl(void **state)
{
	struct idmap *uids = COMPILE("map:0:1000:100"), *gids = COMPILE("map:50:500:1");
	struct acl guest = acl_of(0, 99, 50), want = acl_of(1000, 1099, 500), got = guest;

	(void)state;
	assert_int_equal(acl_to_host(&got, sizeof(got), uids, gids), 0);
	assert_memory_equal(&got, &want, sizeof(got));
	assert_int_equal(acl_to_guest(&got, sizeof(got), uids, gids), 0);
	assert_memory_equal(&got, &guest, sizeof(got));
	want = acl_of(1000, 1099, 50);
	assert_int_equal(acl_to_host(&got, sizeof(got), uids, NULL), 0);
	assert_memory_equal(&got, &want, sizeof(got));
	idmap_free(uids);
	idmap_free(gids);
}

static void test_acl_forbidden(void **state)
{
	struct idmap *m = COMPILE("forbid-guest:99:1");
	struct acl a = acl_of(1, 99, 3);

	(void)state;
	assert_int_equal(acl_to_host(&a, sizeof(a), m, NULL), -EPERM);
	a = acl_of(1, 99, 3);
	assert_int_equal(acl_to_host(&a, sizeof(a), NULL, m), 0);
	a = acl_of(1, 2, 99);
	assert_int_equal(acl_to_host(&a, sizeof(a), NULL, m), -EPERM);
	a = acl_of(1, 99, 99);
	assert_int_equal(acl_to_guest(&a, sizeof(a), m, m), 0);
	idmap_free(m);
}

/* Every length but that of whole entries is refused, and nothing behind it is touched; at any alignment. */
static void test_acl_malformed(void **state)
{
	struct idmap *m = COMPILE("squash-guest:0:7:4294967295");
	struct acl a = acl_of(1, 2, 3);

	(void)state;
	for (size_t len = 0; len <= sizeof(a); len++) {
		uint8_t *raw = malloc(1 + len);
		bool whole = len >= 4 && !((len - 4) % 8);

		assert_non_null(raw);
		memcpy(raw + 1, &a, len);
		assert_int_equal(acl_to_host(raw + 1, len, m, m), !len || whole ? 0 : -EINVAL);
		free(raw);
	}
	a.version = htole32(1);
	assert_int_equal(acl_to_host(&a, sizeof(a), m, m), -EOPNOTSUPP);
	assert_int_equal(acl_to_guest(&a, sizeof(a), m, m), -EOPNOTSUPP);
	idmap_free(m);
}

static void test_acl_names(void **state)
{
	(void)state;
	assert_true(acl_is_name("system.posix_acl_access"));
	assert_true(acl_is_name("system.posix_acl_default"));
	assert_false(acl_is_name("system.posix_acl"));
	assert_false(acl_is_name("user.system.posix_acl_access"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_one_way),
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_squash),
		cmocka_unit_test(test_forbid),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_acl),
		cmocka_unit_test(test_acl_forbidden),
		cmocka_unit_test(test_acl_malformed),
		cmocka_unit_test(test_acl_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
