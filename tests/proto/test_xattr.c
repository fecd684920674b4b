/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on extended attributes. */
#include "test.h"

#include <sys/xattr.h>

#define VALUE(s)                                      \
	(struct iovec)                                \
	{                                             \
		(void *)(uintptr_t)(s), sizeof(s) - 1 \
	}

static int host_open(struct test *t, const char *name)
{
	int fd = openat(t->host, name, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void set_get(void **state)
{
	struct test *t = *state;
	autofd int fd = -1;
	char value[64];
	uint64_t node;

	host_write_file(t->host, "f", "", 0);
	fd = host_open(t, "f");
	node = guest_lookup(t, "f");
	OK(fc_setxattr(t->c, node, "user.one", VALUE("first"), 0));
	LEN(fgetxattr(fd, "user.one", value, sizeof(value)), 5);
	assert_memory_equal(value, "first", 5);
	LEN(fc_getxattr(t->c, node, "user.one", NULL, 0), 5);
	LEN(fc_getxattr(t->c, node, "user.one", value, sizeof(value)), 5);
	assert_memory_equal(value, "first", 5);
	ERR(fc_getxattr(t->c, node, "user.one", value, 4), ERANGE);
	ERR(fc_getxattr(t->c, node, "user.two", value, sizeof(value)), ENODATA);
	ERR(fc_setxattr(t->c, node, "user.one", VALUE("x"), XATTR_CREATE), EEXIST);
	ERR(fc_setxattr(t->c, node, "user.two", VALUE("x"), XATTR_REPLACE), ENODATA);
	OK(fc_setxattr(t->c, node, "user.empty", VALUE(""), XATTR_CREATE));
	LEN(fc_getxattr(t->c, node, "user.empty", value, sizeof(value)), 0);
}

static void list_remove(void **state)
{
	struct test *t = *state;
	autofd int fd = -1;
	char list[256];
	uint64_t node;

	host_write_file(t->host, "f", "", 0);
	fd = host_open(t, "f");
	assert_int_equal(fsetxattr(fd, "user.a", "1", 1, 0), 0);
	assert_int_equal(fsetxattr(fd, "user.b", "2", 1, 0), 0);
	node = guest_lookup(t, "f");
	LEN(fc_listxattr(t->c, node, NULL, 0), 14);
	LEN(fc_listxattr(t->c, node, list, sizeof(list)), 14);
	assert_non_null(memmem(list, 14, "user.a", 7));
	assert_non_null(memmem(list, 14, "user.b", 7));
	ERR(fc_listxattr(t->c, node, list, 10), ERANGE);
	OK(fc_removexattr(t->c, node, "user.a"));
	ERR(fc_removexattr(t->c, node, "user.a"), ENODATA);
	LEN(fc_listxattr(t->c, node, list, sizeof(list)), 7);
	assert_int_equal(flistxattr(fd, list, sizeof(list)), 7);
}

static void on_directories_and_trusted(void **state)
{
	struct test *t = *state;
	char value[16];
	int r;

	OK(fc_setxattr(t->c, t->dir, "user.dir", VALUE("d"), 0));
	LEN(fgetxattr(t->host, "user.dir", value, sizeof(value)), 1);
	r = fc_setxattr(t->c, t->dir, "trusted.t", VALUE("secret"), 0);
	if (r == -EOPNOTSUPP)
		skip(); /* a daemon without CAP_SYS_ADMIN */
	OK(r);
	LEN(fgetxattr(t->host, "trusted.t", value, sizeof(value)), 6);
	LEN(fc_getxattr(t->c, t->dir, "trusted.t", value, sizeof(value)), 6);
}

/* An attribute of a symlink is its own, not that of what it points to. */
static void not_through_links(void **state)
{
	struct test *t = *state;
	struct fuse_entry_out e;
	autofd int fd = -1;
	char value[16];

	host_write_file(t->host, "victim", "", 0);
	fd = host_open(t, "victim");
	assert_int_equal(fsetxattr(fd, "user.v", "v", 1, 0), 0);
	OK(fc_symlink(t->c, t->dir, "link", "victim", &e));
	assert_true(fc_getxattr(t->c, e.nodeid, "user.v", value, sizeof(value)) < 0);
	assert_true(fc_setxattr(t->c, e.nodeid, "user.w", VALUE("w"), 0) < 0);
	assert_true(fc_removexattr(t->c, e.nodeid, "user.v") < 0);
	LEN(flistxattr(fd, NULL, 0), 7);
}

static void sizes(void **state)
{
	static char value[65537], back[65536];
	struct test *t = *state;
	uint64_t node;

	host_write_file(t->host, "f", "", 0);
	node = guest_lookup(t, "f");
	test_pattern(value, sizeof(value), 3);
	OK(fc_setxattr(t->c, node, "user.big", (struct iovec){value, 2000}, 0));
	LEN(fc_getxattr(t->c, node, "user.big", back, sizeof(back)), 2000);
	assert_memory_equal(back, value, 2000);
	assert_true(fc_setxattr(t->c, node, "user.big", (struct iovec){value, 65537}, 0) < 0);
	assert_true(fc_setxattr(t->c, node, "", VALUE("x"), 0) < 0);
	memset(value, 'n', 300);
	memcpy(value, "user.", 5);
	value[300] = 0;
	ERR(fc_setxattr(t->c, node, value, VALUE("x"), 0), ERANGE);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(set_get),
		TEST(list_remove),
		TEST(on_directories_and_trusted),
		TEST(not_through_links),
		TEST(sizes),
	};

	return TEST_RUN(tests, TEST_ALL, NULL, NULL);
}
