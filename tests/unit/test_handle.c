/* SPDX-License-Identifier: BSD-3-Clause */
/* The open-handle table. */
#include "fs_fixture.h"

#include "base/arith.h"

struct opened {
	struct fixture x;
	struct nodeid node;
	struct op_fh fh;
	int fd;
};

static void open_one(struct opened *o, struct fs_config cfg)
{
	int fd;

	fixture_new(&o->x, cfg);
	host_write(&o->x, "a", "text");
	o->node = must_lookup(&o->x, "a").node;
	o->fd = fd = openat(o->x.dirfd, "a", O_RDONLY | O_CLOEXEC);
	assert_int_equal(handle_new(o->x.fs.handles, o->node, &fd, O_RDONLY, false, &o->fh), 0);
}

static bool is_open(int fd)
{
	closing_flush();
	return fcntl(fd, F_GETFD) >= 0;
}

static void test_life(void **state)
{
	struct opened o;
	struct handle *h;

	(void)state;
	open_one(&o, fixture_config());
	h = handle_get(o.x.fs.handles, o.node, o.fh, false);
	assert_non_null(h);
	assert_int_equal(h->fd, o.fd);
	assert_int_equal(h->flags, O_RDONLY);
	assert_int_equal(handle_release(o.x.fs.handles, o.node, o.fh, false), 0);
	assert_null(handle_get(o.x.fs.handles, o.node, o.fh, false));
	assert_int_equal(handle_release(o.x.fs.handles, o.node, o.fh, false), -EBADF);
	assert_true(is_open(o.fd)); /* h still uses it */
	handle_put(o.x.fs.handles, h);
	assert_false(is_open(o.fd));
	handle_put(o.x.fs.handles, NULL);
	assert_int_equal(handle_table_count(o.x.fs.handles), 0);
	fixture_free(&o.x);
}

static void test_hostile(void **state)
{
	static const uint64_t bad[] = {
		0, 2, 99, 100, 101, 102, UINT32_MAX, UINT64_MAX, 1ULL << 32, 1ULL << 32 | 1};
	struct op_fh stale;
	struct opened o;

	(void)state;
	open_one(&o, fixture_config());
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_null(handle_get(o.x.fs.handles, o.node, (struct op_fh){bad[i]}, false));
		assert_int_equal(
			handle_release(o.x.fs.handles, o.node, (struct op_fh){bad[i]}, false), -EBADF);
	}
	assert_null(handle_get(o.x.fs.handles, NODEID_ROOT, o.fh, false)); /* another inode */
	assert_null(handle_get(o.x.fs.handles, (struct nodeid){0}, o.fh, false));
	assert_null(handle_get(o.x.fs.handles, o.node, o.fh, true)); /* another kind */
	stale = o.fh;
	assert_int_equal(handle_release(o.x.fs.handles, o.node, o.fh, false), 0);
	o.fd = openat(o.x.dirfd, "a", O_RDONLY | O_CLOEXEC);
	assert_int_equal(handle_new(o.x.fs.handles, o.node, &o.fd, O_RDONLY, false, &o.fh), 0);
	assert_int_not_equal(o.fh.v, stale.v);
	assert_null(handle_get(o.x.fs.handles, o.node, stale, false));
	fixture_free(&o.x);
}

static void test_limits(void **state)
{
	struct fs_config cfg = fixture_config();
	int fd, high = inode_fd_ceiling();
	struct op_fh fh;
	struct opened o;

	(void)state;
	cfg.max_handles = 2;
	open_one(&o, cfg);
	fd = dup(o.fd);
	assert_int_equal(handle_new(o.x.fs.handles, (struct nodeid){77}, &fd, 0, false, &fh), -ESTALE);
	assert_int_equal(handle_new(o.x.fs.handles, o.node, &high, 0, false, &fh), -ENFILE);
	assert_int_equal(handle_new(o.x.fs.handles, o.node, &fd, 0, false, &fh), 0);
	fd = dup(o.fd);
	assert_int_equal(handle_new(o.x.fs.handles, o.node, &fd, 0, false, &fh), -ENFILE);
	assert_true(is_open(fd)); /* still the caller's */
	close(fd);
	handle_release_all(o.x.fs.handles);
	assert_int_equal(handle_table_count(o.x.fs.handles), 0);
	assert_false(is_open(o.fd));
	fixture_free(&o.x);
}

/* The record's descriptor, or -1. */
static int held_fd(struct opened *o)
{
	struct inode *i = inode_get(o->x.fs.inodes, o->node);
	int fd = (int)(i->fd >> 32) - 1;

	inode_put(o->x.fs.inodes, i);
	return fd;
}

static void push_out(struct opened *o, char first)
{
	char name[16];

	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "%c%d", first, i);
		host_write(&o->x, name, "");
		must_lookup(&o->x, name);
	}
}

/* An inode that is open keeps its descriptor, and may lose it again once closed. */
static void test_open_inode_is_kept(void **state)
{
	struct fs_config cfg = fixture_config();
	struct opened o;
	int fd;

	(void)state;
	cfg.max_fds = 2;
	open_one(&o, cfg);
	if (!has_handles(&o.x)) {
		fixture_free(&o.x);
		skip();
	}
	fd = held_fd(&o);
	push_out(&o, 'x');
	assert_int_equal(held_fd(&o), fd);
	assert_int_equal(handle_release(o.x.fs.handles, o.node, o.fh, false), 0);
	push_out(&o, 'y');
	assert_int_equal(held_fd(&o), -1);
	assert_true(count_fds(&o.x) <= 3);
	fixture_free(&o.x);
}

/* One that is removed meanwhile keeps it until the guest forgets it. */
static void test_removed_inode_is_kept(void **state)
{
	struct fs_config cfg = fixture_config();
	struct opened o;
	int fd;

	(void)state;
	cfg.max_fds = 2;
	open_one(&o, cfg);
	fd = held_fd(&o);
	assert_int_equal(unlinkat(o.x.dirfd, "a", 0), 0);
	assert_int_equal(handle_release(o.x.fs.handles, o.node, o.fh, false), 0);
	push_out(&o, 'x');
	assert_int_equal(held_fd(&o), fd);
	assert_true(reads(&o.x, o.node, "text"));
	fixture_free(&o.x);
}

/* Open handles keep the record though the guest forgot the inode. */
static void test_forgotten_while_open(void **state)
{
	struct opened o;
	struct handle *h;

	(void)state;
	open_one(&o, fixture_config());
	inode_forget(o.x.fs.inodes, o.node, 1);
	h = handle_get(o.x.fs.handles, o.node, o.fh, false);
	assert_non_null(h);
	handle_put(o.x.fs.handles, h);
	assert_true(reads(&o.x, o.node, "text"));
	assert_int_equal(count_inodes(&o.x), 2);
	assert_int_equal(handle_release(o.x.fs.handles, o.node, o.fh, false), 0);
	assert_int_equal(count_inodes(&o.x), 1);
	fixture_free(&o.x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_open_inode_is_kept),
		cmocka_unit_test(test_removed_inode_is_kept),
		cmocka_unit_test(test_forgotten_while_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
