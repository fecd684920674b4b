/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on attributes. */
#include "test.h"

#include <sys/statvfs.h>
#include <sys/sysmacros.h>

static void getattr_tells(void **state)
{
	struct test *t = *state;
	struct fuse_attr_out a;
	struct fc_file f;
	struct stat st;

	host_write_file(t->host, "f", "12345", 5);
	f = guest_open(t, "f", O_RDONLY);
	st = host_stat(t->host, "f");
	OK(fc_getattr(t->c, f.node, 0, &a));
	expect_same_attr(&a.attr, &st);
	host_write_file(t->host, "f", "1234567", 7);
	st = host_stat(t->host, "f");
	OK(fc_getattr(t->c, f.node, f.fh, &a));
	expect_same_attr(&a.attr, &st);
	OK(fc_release(t->c, f));
	OK(fc_getattr(t->c, FUSE_ROOT_ID, 0, &a));
	assert_true(S_ISDIR(a.attr.mode));
}

static void statx_tells(void **state)
{
	struct test *t = *state;
	struct fuse_statx_out out;
	struct statx stx;
	struct fc_file f;

	host_write_file(t->host, "f", "12345", 5);
	f = guest_open(t, "f", O_RDONLY);
	assert_int_equal(statx(t->host, "f", 0, STATX_BASIC_STATS | STATX_BTIME, &stx), 0);
	for (unsigned int i = 0; i < 2; i++) {
		OK(fc_statx(t->c, f.node, i ? f.fh : 0, STATX_BASIC_STATS | STATX_BTIME, &out));
		assert_int_equal(out.stat.ino, stx.stx_ino);
		assert_int_equal(out.stat.size, 5);
		assert_int_equal(out.stat.mode, stx.stx_mode);
		assert_int_equal(out.stat.nlink, 1);
		assert_int_equal(out.stat.mtime.tv_sec, stx.stx_mtime.tv_sec);
		assert_int_equal(out.stat.mtime.tv_nsec, stx.stx_mtime.tv_nsec);
		assert_int_equal(out.stat.mask & STATX_BTIME, stx.stx_mask & STATX_BTIME);
		if (stx.stx_mask & STATX_BTIME)
			assert_int_equal(out.stat.btime.tv_sec, stx.stx_btime.tv_sec);
	}
	OK(fc_release(t->c, f));
}

static void setattr_mode_owner(void **state)
{
	struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = S_IFREG | 04711};
	struct test *t = *state;
	struct fuse_attr_out a;
	struct stat st;
	uint64_t node;

	host_write_file(t->host, "f", "", 0);
	node = guest_lookup(t, "f");
	OK(fc_setattr(t->c, node, &in, &a));
	assert_int_equal(a.attr.mode, S_IFREG | 04711);
	assert_int_equal(host_stat(t->host, "f").st_mode, S_IFREG | 04711);
	in = (struct fuse_setattr_in){.valid = FATTR_UID, .uid = 77};
	OK(fc_setattr(t->c, node, &in, &a));
	in = (struct fuse_setattr_in){.valid = FATTR_GID, .gid = 88};
	OK(fc_setattr(t->c, node, &in, &a));
	st = host_stat(t->host, "f");
	assert_int_equal(st.st_uid, 77);
	assert_int_equal(st.st_gid, 88);
	expect_same_attr(&a.attr, &st);
}

static void setattr_size(void **state)
{
	struct fuse_setattr_in in = {.valid = FATTR_SIZE, .size = 3};
	struct test *t = *state;
	struct fuse_attr_out a;
	struct fc_file f;

	host_write_file(t->host, "f", "123456", 6);
	f = guest_open(t, "f", O_RDWR);
	OK(fc_setattr(t->c, f.node, &in, &a));
	assert_int_equal(a.attr.size, 3);
	host_expect_file(t->host, "f", "123", 3);
	in.valid |= FATTR_FH;
	in.fh = f.fh;
	in.size = 5;
	OK(fc_setattr(t->c, f.node, &in, &a));
	host_expect_file(t->host, "f", "123\0\0", 5);
	OK(fc_release(t->c, f));
	ERR(fc_setattr(t->c, t->dir, &(struct fuse_setattr_in){.valid = FATTR_SIZE}, &a), EISDIR);
}

static void setattr_times(void **state)
{
	struct fuse_setattr_in in = {.valid = FATTR_ATIME | FATTR_MTIME, .atime = 1000, .atimensec = 7};
	struct test *t = *state;
	struct fuse_attr_out a;
	struct fuse_entry_out e;
	struct stat st;

	OK(fc_symlink(t->c, t->dir, "link", "nowhere", &e));
	in.mtime = 5000000000;
	in.mtimensec = 999999999;
	OK(fc_setattr(t->c, e.nodeid, &in, &a));
	st = host_stat(t->host, "link");
	assert_int_equal(st.st_atim.tv_sec, 1000);
	assert_int_equal(st.st_mtim.tv_sec, 5000000000);
	assert_int_equal(st.st_mtim.tv_nsec, 999999999);
	in = (struct fuse_setattr_in){.valid = FATTR_MTIME | FATTR_MTIME_NOW};
	OK(fc_setattr(t->c, e.nodeid, &in, &a));
	assert_true(llabs((long long)a.attr.mtime - time(NULL)) < 5);
	assert_int_equal(host_stat(t->host, "link").st_atim.tv_sec, 1000);
	in = (struct fuse_setattr_in){.valid = FATTR_MTIME, .mtimensec = 2000000000};
	ERR(fc_setattr(t->c, e.nodeid, &in, &a), EINVAL);
}

/* A mode on a symlink is an error or nothing, and never lands on what it points to. */
static void setattr_not_through_links(void **state)
{
	struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = 0};
	struct test *t = *state;
	struct fuse_attr_out a;
	struct fuse_entry_out e;

	host_write_file(t->host, "victim", "v", 1);
	OK(fc_symlink(t->c, t->dir, "link", "victim", &e));
	fc_setattr(t->c, e.nodeid, &in, &a);
	in = (struct fuse_setattr_in){.valid = FATTR_SIZE};
	assert_true(fc_setattr(t->c, e.nodeid, &in, &a) < 0);
	assert_int_equal(host_stat(t->host, "victim").st_mode, S_IFREG | 0644);
	host_expect_file(t->host, "victim", "v", 1);
}

static void statfs_tells(void **state)
{
	struct fuse_kstatfs k;
	struct test *t = *state;
	struct statvfs st;

	assert_int_equal(fstatvfs(t->host, &st), 0);
	OK(fc_statfs(t->c, t->dir, &k));
	assert_int_equal(k.blocks, st.f_blocks);
	assert_int_equal(k.files, st.f_files);
	assert_int_equal(k.bsize, st.f_bsize);
	assert_int_equal(k.frsize, st.f_frsize);
	assert_int_equal(k.namelen, st.f_namemax);
}

static void access_asks(void **state)
{
	struct test *t = *state;
	uint64_t node;

	host_write_file(t->host, "f", "", 0);
	assert_int_equal(fchmodat(t->host, "f", 0400, 0), 0);
	assert_int_equal(fchmod(t->host, 0755), 0);
	node = guest_lookup(t, "f");
	OK(fc_access(t->c, node, R_OK));
	OK(fc_access(t->c, node, F_OK));
	ERR(fc_access(t->c, node, X_OK), EACCES);
	t->c->uid = t->c->gid = 1000;
	ERR(fc_access(t->c, node, W_OK), EACCES);
}

/* Nodeids that nobody was given. */
static void invented_nodes(void **state)
{
	static const uint64_t node[] = {
		0, 2000000, ~0ull, 1ull << 32, 0xffffffff00000001ull, 0x7fffffffffffffffull};
	struct fuse_setattr_in set = {.valid = FATTR_MODE, .mode = 0777};
	struct test *t = *state;
	struct fuse_attr_out a;
	struct fuse_entry_out e;
	struct fuse_open_out o;

	for (unsigned int i = 0; i < ARRAY_LEN(node); i++) {
		assert_true(fc_getattr(t->c, node[i], 0, &a) < 0);
		assert_true(fc_setattr(t->c, node[i], &set, &a) < 0);
		assert_true(fc_lookup(t->c, node[i], "x", &e) < 0);
		assert_true(fc_open(t->c, node[i], O_RDONLY, &o) < 0);
		assert_true(fc_link(t->c, node[i], t->dir, "l", &e) < 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(getattr_tells),
		TEST(statx_tells),
		TEST(setattr_mode_owner),
		TEST(setattr_size),
		TEST(setattr_times),
		TEST(setattr_not_through_links),
		TEST(statfs_tells),
		TEST(access_asks),
		TEST(invented_nodes),
	};

	return TEST_RUN(tests, TEST_ALL, NULL, NULL);
}
