/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of extended attributes: every form of rule, the examples of the manuals, and what is malformed. */
#include "fs/xattrmap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct xattrmap *compile(const char *rules)
{
	struct xattrmap *m = NULL;
	struct err err = {0};

	if (xattrmap_new(rules, &m, &err))
		fail_msg("%s: %s", rules, err.text);
	return m;
}

/* What a name of the guest becomes: the host's name, or the error. */
static void to_host(const struct xattrmap *m, const char *name, const char *want, int error)
{
	char host[XATTR_NAME_MAX + 1];

	assert_int_equal(xattrmap_to_host(m, name, host), error);
	if (!error)
		assert_string_equal(host, want);
}

/* What a name of the host becomes; NULL: hidden. */
static void to_guest(const struct xattrmap *m, const char *name, const char *want)
{
	const char *guest = xattrmap_to_guest(m, name);

	if (!want)
		assert_null(guest);
	else
		assert_string_equal(guest ? guest : "(hidden)", want);
}

static void test_no_rules(void **state)
{
	(void)state;
	to_host(NULL, "user.a", "user.a", 0);
	to_guest(NULL, "trusted.a", "trusted.a");
	assert_null(xattrmap_capability(NULL));
}

/* All with a prefix, in both spellings. */
static void test_all(void **state)
{
	static const char *const lists[] = {":prefix:all::user.virtiofs.::bad:all:::",
		":map::user.virtiofs.:", "/map//user.virtiofs./ \n"};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct xattrmap *m = compile(lists[i]);

		to_host(m, "trusted.a", "user.virtiofs.trusted.a", 0);
		to_host(m, "user.virtiofs.a", "user.virtiofs.user.virtiofs.a", 0);
		to_guest(m, "user.virtiofs.trusted.a", "trusted.a");
		to_guest(m, "user.a", NULL);
		to_guest(m, "user.virtiofs.", NULL);
		to_guest(m, "user.virtiofs", NULL);
		assert_string_equal(xattrmap_capability(m), "user.virtiofs.security.capability");
		xattrmap_free(m);
	}
}

/* One name space, in both spellings; the target is kept from direct access. */
static void test_some(void **state)
{
	static const char *const lists[] = {"/prefix/all/trusted./user.virtiofs./\n"
					    "	/bad/server//trusted./\n"
					    "	/bad/client/user.virtiofs.//\n"
					    "	/ok/all///\n",
		"/map/trusted./user.virtiofs./"};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct xattrmap *m = compile(lists[i]);

		to_host(m, "trusted.a", "user.virtiofs.trusted.a", 0);
		to_host(m, "user.a", "user.a", 0);
		to_host(m, "user.virtiofs.trusted.a", NULL, -EPERM);
		to_guest(m, "user.virtiofs.trusted.a", "trusted.a");
		to_guest(m, "trusted.a", NULL);
		to_guest(m, "security.selinux", "security.selinux");
		assert_null(xattrmap_capability(m));
		xattrmap_free(m);
	}
}

/* Every type in every scope decides in its own direction only, and the first that matches does. */
static void test_scopes(void **state)
{
	struct xattrmap *m =
		compile(":prefix:client:a.:h.: :prefix:server:a.:g.: :ok:client:b.:x.:"
			":ok:server:x.:b.: :bad:client:c.:: :bad:server::c.:"
			":unsupported:client:d.:: :unsupported:server::d.: :unsupported:all:e.:e.:"
			":ok:all:c.:: :bad:all:::");

	(void)state;
	to_host(m, "a.1", "h.a.1", 0);
	to_guest(m, "g.a.1", "a.1");
	to_guest(m, "b.1", "b.1");
	to_host(m, "b.1", "b.1", 0);
	to_host(m, "c.1", NULL, -EPERM);
	to_guest(m, "c.1", NULL);
	to_host(m, "d.1", NULL, -EOPNOTSUPP);
	to_guest(m, "d.1", NULL);
	to_host(m, "e.1", NULL, -EOPNOTSUPP);
	to_guest(m, "e.1", NULL);
	to_host(m, "x.1", NULL, -EPERM);
	to_guest(m, "h.a.1", "h.a.1"); /* :ok:all:c.:: takes all of the host's */
	xattrmap_free(m);
}

static void test_unmatched(void **state)
{
	struct xattrmap *m = compile(":ok:client:security.::");

	(void)state;
	to_host(m, "security.a", "security.a", 0);
	to_host(m, "user.a", NULL, -EPERM);
	to_guest(m, "security.a", NULL);
	xattrmap_free(m);
}

static void test_capability(void **state)
{
	struct xattrmap *m = compile(":map:security.:trusted.virtiofs.:");

	(void)state;
	assert_string_equal(xattrmap_capability(m), "trusted.virtiofs.security.capability");
	xattrmap_free(m);
	m = compile(":bad:all:security.:security.: :prefix:all::user.:");
	assert_null(xattrmap_capability(m));
	xattrmap_free(m);
	m = compile(":prefix:all::: :ok:all:::");
	assert_null(xattrmap_capability(m));
	to_host(m, "user.a", "user.a", 0);
	xattrmap_free(m);
}

/* 255 bytes are the most that a name may have. */
static void test_long_names(void **state)
{
	struct xattrmap *m = compile(":map::user.virtiofs.:");
	char name[XATTR_NAME_MAX + 2], host[XATTR_NAME_MAX + 1];
	size_t most = XATTR_NAME_MAX - strlen("user.virtiofs.");

	(void)state;
	memset(name, 'n', sizeof(name));
	name[most] = '\0';
	assert_int_equal(xattrmap_to_host(m, name, host), 0);
	assert_int_equal(strlen(host), XATTR_NAME_MAX);
	name[most] = 'n';
	name[most + 1] = '\0';
	assert_int_equal(xattrmap_to_host(m, name, host), -ERANGE);
	xattrmap_free(m);
}

static void test_long_prefix(void **state)
{
	char rules[1024];
	struct xattrmap *m;

	(void)state;
	snprintf(rules, sizeof(rules), ":map::%0300d:", 0);
	m = compile(rules);
	assert_null(xattrmap_capability(m));
	to_host(m, "a", NULL, -ERANGE);
	xattrmap_free(m);
}

/* Each is refused by a line that shows the rule and the remedy. */
static void test_malformed(void **state)
{
	static const struct {
		const char *rules, *rule, *remedy;
	} wrong[] = {
		{"", "there is no rule", "give one such as"},
		{" \n\t", "there is no rule", "give one such as"},
		{"x", "'x'", "write it as"},
		{"ok", "'ok'", "write it as"},
		{":", "':'", "write it as"},
		{":ok", "':ok'", "write it as"},
		{":ok:", "':ok:'", "write it as"},
		{":ok:all", "':ok:all'", "write it as"},
		{":ok:all:", "':ok:all:'", "write it as"},
		{":ok:all::", "':ok:all::'", "write it as"},
		{":ok:all:: \n:bad:all:::", "'bad:all:::'", "write it as"},
		{":foo:all:::", "':foo:all:::'", "give prefix, ok, bad, unsupported or map"},
		{":OK:all:::", "':OK:all:::'", "give prefix"},
		{"::all:::", "'::all:::'", "give prefix"},
		{":ok:both:::", "':ok:both:::'", "give client, server or all"},
		{":ok::::", "':ok::::'", "give client, server or all"},
		{":map:", "':map:'", "write it as :map:"},
		{":map:a:b", "':map:a:b'", "write it as :map:"},
		{":map:a:b: :ok:all:::", "':map:a:b: :ok:all:::'", "make it the last one"},
		{":bad:server:x:y:", "security.capability", "end the list with"},
		{":ok:client:user.::", "security.capability", "end the list with"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct xattrmap *m = NULL;
		struct err err = {0};

		assert_int_equal(xattrmap_new(wrong[i].rules, &m, &err), -EINVAL);
		assert_null(m);
		if (!strstr(err.text, wrong[i].rule) || !strstr(err.text, wrong[i].remedy) ||
			strchr(err.text, '\n'))
			fail_msg("%s: says %s", wrong[i].rules, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_rules),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_some),
		cmocka_unit_test(test_scopes),
		cmocka_unit_test(test_unmatched),
		cmocka_unit_test(test_capability),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_long_prefix),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
