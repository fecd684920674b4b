/* SPDX-License-Identifier: BSD-3-Clause */
/* Attributes: what SETATTR changes, in which order, with whose rights; STATFS; ACCESS. */
#include "fs_fixture.h"

#include <sys/statvfs.h>

static int set(struct fixture *x, struct nodeid node, const struct op_setattr *a, struct op_entry *e)
{
	return fs_op_setattr(&x->fs, &x->ctx, node, OP_NO_HANDLE, a, e);
}

static struct op_setattr with_mode(uint32_t mode)
{
	return (struct op_setattr){.valid = OP_SET_MODE, .mode = mode};
}

static struct op_setattr with_size(uint64_t size, uint32_t more)
{
	return (struct op_setattr){.valid = OP_SET_SIZE | more, .size = size};
}

static void test_getattr(void **state)
{
	struct op_entry e, by_fh;
	struct fixture x;
	struct op_fh fh;
	int fd;

	(void)state;
	fixture_new(&x, fixture_config());
	host_write(&x, "a", "text");
	e = must_lookup(&x, "a");
	fd = openat(x.dirfd, "a", O_RDONLY | O_CLOEXEC);
	assert_int_equal(handle_new(x.fs.handles, e.node, &fd, O_RDONLY, false, &fh), 0);
	host_write(&x, "a", "longer text");
	assert_int_equal(fs_op_getattr(&x.fs, &x.ctx, e.node, OP_NO_HANDLE, ~0u, &e), 0);
	assert_int_equal(e.st.stx_size, 11);
	assert_int_equal(fs_op_getattr(&x.fs, &x.ctx, e.node, fh, STATX_SIZE, &by_fh), 0);
	assert_int_equal(by_fh.st.stx_size, 11);
	assert_int_equal(by_fh.st.stx_ino, e.st.stx_ino);
	assert_int_equal(fs_op_getattr(&x.fs, &x.ctx, (struct nodeid){99}, fh, ~0u, &e), -ESTALE);
	fixture_free(&x);
}

static void test_mode(void **state)
{
	struct op_entry a, s, e;
	struct op_setattr mode = with_mode(06751);
	struct fixture x;

	(void)state;
	fixture_new(&x, fixture_config());
	host_write(&x, "a", "text");
	assert_int_equal(symlinkat("a", x.dirfd, "s"), 0);
	a = must_lookup(&x, "a");
	s = must_lookup(&x, "s");
	assert_int_equal(set(&x, a.node, &mode, &e), 0);
	assert_int_equal(e.st.stx_mode, S_IFREG | 06751);
	mode = with_mode(0600);
	assert_int_equal(set(&x, s.node, &mode, &e), -EOPNOTSUPP); /* and the target is as it was */
	assert_int_equal(host_stat(&x, "a").stx_mode & 07777, 06751);
	mode = with_mode(S_IFIFO | 0640); /* the type never changes */
	assert_int_equal(set(&x, a.node, &mode, &e), 0);
	assert_int_equal(e.st.stx_mode, S_IFREG | 0640);
	fixture_free(&x);
}

static void test_size(void **state)
{
	struct op_setattr size = with_size(2, 0);
	struct op_entry a, e;
	struct fixture x;
	struct op_fh fh;
	int fd;

	(void)state;
	fixture_new(&x, fixture_config());
	host_write(&x, "a", "text");
	a = must_lookup(&x, "a");
	assert_int_equal(set(&x, a.node, &size, &e), 0);
	assert_int_equal(e.st.stx_size, 2);
	assert_true(reads(&x, a.node, "te"));
	assert_int_equal(set(&x, NODEID_ROOT, &size, &e), -EISDIR);
	assert_int_equal(mknodat(x.dirfd, "p", S_IFIFO | 0644, 0), 0);
	assert_int_equal(set(&x, must_lookup(&x, "p").node, &size, &e), -EINVAL);
	size = with_size(UINT64_MAX, 0);
	assert_int_equal(set(&x, a.node, &size, &e), -EFBIG);
	/* By a handle that may write, and by one that may not: then by the inode. */
	fd = openat(x.dirfd, "a", O_RDWR | O_CLOEXEC);
	assert_int_equal(handle_new(x.fs.handles, a.node, &fd, O_RDWR, false, &fh), 0);
	size = with_size(100, 0);
	assert_int_equal(fs_op_setattr(&x.fs, &x.ctx, a.node, fh, &size, &e), 0);
	assert_int_equal(e.st.stx_size, 100);
	fd = openat(x.dirfd, "a", O_RDONLY | O_CLOEXEC);
	assert_int_equal(handle_new(x.fs.handles, a.node, &fd, O_RDONLY, false, &fh), 0);
	size = with_size(50, 0);
	assert_int_equal(fs_op_setattr(&x.fs, &x.ctx, a.node, fh, &size, &e), 0);
	assert_int_equal(e.st.stx_size, 50);
	fixture_free(&x);
}

static void test_times(void **state)
{
	struct op_setattr t = {.valid = OP_SET_ATIME | OP_SET_MTIME,
		.atime = {.tv_sec = 1000, .tv_nsec = 1},
		.mtime = {.tv_sec = -5, .tv_nsec = 999999999}};
	struct op_entry a, s, e;
	struct fixture x;

	(void)state;
	fixture_new(&x, fixture_config());
	host_write(&x, "a", "text");
	assert_int_equal(symlinkat("a", x.dirfd, "s"), 0);
	a = must_lookup(&x, "a");
	s = must_lookup(&x, "s");
	assert_int_equal(set(&x, a.node, &t, &e), 0);
	assert_int_equal(e.st.stx_atime.tv_sec, 1000);
	assert_int_equal(e.st.stx_atime.tv_nsec, 1);
	assert_int_equal(e.st.stx_mtime.tv_sec, -5);
	assert_int_equal(e.st.stx_mtime.tv_nsec, 999999999);
	t.mtime = (struct timespec){.tv_sec = 77};
	assert_int_equal(set(&x, s.node, &t, &e), 0);
	assert_int_equal(e.st.stx_mode & S_IFMT, S_IFLNK);
	assert_int_equal(e.st.stx_mtime.tv_sec, 77);
	assert_int_equal(host_stat(&x, "a").stx_mtime.tv_sec, -5);
	t = (struct op_setattr){.valid = OP_SET_MTIME_NOW};
	assert_int_equal(set(&x, a.node, &t, &e), 0);
	assert_int_equal(e.st.stx_atime.tv_sec, 1000);
	assert_true(e.st.stx_mtime.tv_sec > 1000000);
	/* The host's special values are no times that a guest may name. */
	t = (struct op_setattr){.valid = OP_SET_ATIME, .atime = {.tv_nsec = UTIME_NOW}};
	assert_int_equal(set(&x, a.node, &t, &e), -EINVAL);
	t.atime.tv_nsec = UTIME_OMIT;
	assert_int_equal(set(&x, a.node, &t, &e), -EINVAL);
	t.atime.tv_nsec = -1;
	assert_int_equal(set(&x, a.node, &t, &e), -EINVAL);
	fixture_free(&x);
}

static void test_owner(void **state)
{
	struct op_setattr a = {.valid = OP_SET_UID | OP_SET_GID, .uid = 1000, .gid = 1001};
	struct op_entry f, s, e;
	struct fixture x;

	(void)state;
	fixture_need_root();
	fixture_new(&x, fixture_config());
	host_write(&x, "a", "text");
	assert_int_equal(symlinkat("a", x.dirfd, "s"), 0);
	f = must_lookup(&x, "a");
	s = must_lookup(&x, "s");
	assert_int_equal(set(&x, s.node, &a, &e), 0);
	assert_int_equal(e.st.stx_uid, 1000);
	assert_int_equal(host_stat(&x, "a").stx_uid, 0);
	assert_int_equal(set(&x, f.node, &a, &e), 0);
	assert_int_equal(e.st.stx_gid, 1001);
	a = (struct op_setattr){.valid = OP_SET_GID, .uid = 7, .gid = 7};
	assert_int_equal(set(&x, f.node, &a, &e), 0);
	assert_int_equal(e.st.stx_uid, 1000);
	assert_int_equal(e.st.stx_gid, 7);
	a.gid = UINT32_MAX;
	assert_int_equal(set(&x, f.node, &a, &e), -EINVAL);
	/* Owner and mode at once: the mode that was asked for is what the file has. */
	a = (struct op_setattr){.valid = OP_SET_UID | OP_SET_MODE, .uid = 2000, .mode = 04755};
	assert_int_equal(set(&x, f.node, &a, &e), 0);
	assert_int_equal(e.st.stx_uid, 2000);
	assert_int_equal(e.st.stx_mode & 07777, 04755);
	fixture_free(&x);
}

static uint32_t mode_after(struct fixture *x, struct nodeid node, const struct op_setattr *a)
{
	struct op_entry e;

	cred_daemon(&x->fs); /* the host's act */
	assert_int_equal(fchmodat(x->dirfd, "a", 06777, 0), 0);
	assert_int_equal(set(x, node, a, &e), 0);
	return e.st.stx_mode & 07777;
}

/* SUID and SGID go when the guest says that they must, and only then, also where the daemon shares the group.
 */
static void test_kill_priv(void **state)
{
	struct op_setattr plain = with_size(1, 0);
	struct op_setattr kill = with_size(1, OP_SET_KILL_SUIDGID);
	struct op_setattr chown_kill = {.valid = OP_SET_UID | OP_SET_KILL_SUIDGID, .uid = 5};
	struct op_setattr nothing = {.valid = OP_SET_CTIME};
	struct nodeid node;
	struct fixture x;
	struct op_entry e;

	(void)state;
	fixture_need_root();
	fixture_new(&x, fixture_config());
	host_write(&x, "a", "text");
	node = must_lookup(&x, "a").node;
	x.ctx.uid = 1000;
	x.ctx.gid = 1000;
	assert_int_equal(mode_after(&x, node, &plain), 06777);
	assert_int_equal(mode_after(&x, node, &kill), 0777);
	assert_int_equal(mode_after(&x, node, &plain), 06777);
	assert_int_equal(mode_after(&x, node, &chown_kill), 0777);
	assert_int_equal(mode_after(&x, node, &nothing), 06777);
	x.fs.features.killpriv_v2 = true; /* chown(-1, -1) */
	assert_int_equal(mode_after(&x, node, &nothing), 0777);
	cred_daemon(&x.fs);
	assert_int_equal(fchmodat(x.dirfd, "a", 02666, 0), 0); /* no group execution */
	assert_int_equal(set(&x, node, &kill, &e), 0);
	assert_int_equal(e.st.stx_mode & 07777, 0666);
	cred_daemon(&x.fs);
	assert_int_equal(fchmodat(x.dirfd, "a", 06666, 0), 0);
	x.ctx.uid = 0;
	assert_int_equal(set(&x, node, &chown_kill, &e), 0);
	assert_int_equal(e.st.stx_mode & 07777, 02666); /* root's chown: as on the host */
	fixture_free(&x);
}

/* The guest asks for @mode as @uid, a stranger to the file's group. What comes of it. */
static uint32_t mode_set_by(struct fixture *x, struct nodeid node, uint32_t uid, uint32_t mode)
{
	struct op_setattr a = with_mode(mode);
	struct op_entry e;

	x->ctx.uid = x->ctx.gid = uid;
	assert_int_equal(set(x, node, &a, &e), 0);
	return e.st.stx_mode & 07777;
}

static void test_suid_killed_by_writers(void **state)
{
	struct nodeid node;
	struct fixture x;

	(void)state;
	fixture_need_root();
	fixture_new(&x, fixture_config());
	host_write(&x, "a", "text");
	node = must_lookup(&x, "a").node;
	assert_int_equal(fchmodat(x.dirfd, "a", 06666, 0), 0);
	assert_int_equal(mode_set_by(&x, node, 1000, 02666), 0666);
	assert_int_equal(mode_set_by(&x, node, 1000, 02640), 02640); /* nothing that a write does */
	assert_int_equal(fchmodat(x.dirfd, "a", 06666, 0), 0);
	assert_int_equal(mode_set_by(&x, node, 0, 02666), 02666);
	assert_int_equal(fchownat(x.dirfd, "a", 1000, 0, 0), 0);
	assert_int_equal(fchmodat(x.dirfd, "a", 06666, 0), 0);
	assert_int_equal(mode_set_by(&x, node, 1000, 02666), 02666); /* the owner's chmod */
	fixture_free(&x);
}

static void test_readonly(void **state)
{
	struct fs_config cfg = fixture_config();
	struct op_setattr mode = with_mode(0600);
	struct fixture x;
	struct op_entry e;

	(void)state;
	cfg.readonly = true;
	fixture_new(&x, cfg);
	host_write(&x, "a", "text");
	e = must_lookup(&x, "a");
	assert_int_equal(set(&x, e.node, &mode, &e), -EROFS);
	assert_int_equal(fs_op_access(&x.fs, &x.ctx, e.node, W_OK), -EROFS);
	assert_int_equal(fs_op_access(&x.fs, &x.ctx, e.node, R_OK), 0);
	assert_int_equal(host_stat(&x, "a").stx_mode & 07777, 0644);
	fixture_free(&x);
}

static void test_statfs(void **state)
{
	struct statvfs got, want;
	struct fixture x;

	(void)state;
	fixture_new(&x, fixture_config());
	assert_int_equal(fs_op_statfs(&x.fs, &x.ctx, NODEID_ROOT, &got), 0);
	assert_int_equal(fstatvfs(x.dirfd, &want), 0);
	assert_int_equal(got.f_blocks, want.f_blocks);
	assert_int_equal(got.f_namemax, want.f_namemax);
	assert_int_equal(fs_op_statfs(&x.fs, &x.ctx, (struct nodeid){9}, &got), -ESTALE);
	fixture_free(&x);
}

static void test_access(void **state)
{
	static const uint32_t groups[] = {2000};
	struct op_entry a;
	struct fixture x;

	(void)state;
	fixture_need_root();
	fixture_new(&x, fixture_config());
	host_write(&x, "a", "text");
	assert_int_equal(fchmodat(x.dirfd, "a", 0640, 0), 0);
	assert_int_equal(fchownat(x.dirfd, "a", 1000, 2000, 0), 0);
	a = must_lookup(&x, "a");
	x.ctx.uid = x.ctx.gid = 1000;
	assert_int_equal(fs_op_access(&x.fs, &x.ctx, a.node, R_OK | W_OK), 0);
	assert_int_equal(fs_op_access(&x.fs, &x.ctx, a.node, X_OK), -EACCES);
	x.ctx.uid = 1001;
	assert_int_equal(fs_op_access(&x.fs, &x.ctx, a.node, R_OK), -EACCES);
	assert_int_equal(fs_op_access(&x.fs, &x.ctx, a.node, F_OK), 0);
	x.ctx.nsupp = 1;
	x.ctx.supp = groups;
	assert_int_equal(fs_op_access(&x.fs, &x.ctx, a.node, R_OK), 0);
	assert_int_equal(fs_op_access(&x.fs, &x.ctx, a.node, W_OK), -EACCES);
	x.ctx = (struct op_ctx){0};
	assert_int_equal(fs_op_access(&x.fs, &x.ctx, a.node, R_OK | W_OK), 0);
	assert_int_equal(fs_op_access(&x.fs, &x.ctx, a.node, 8), -EINVAL);
	fixture_free(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_getattr),
		cmocka_unit_test(test_mode),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_kill_priv),
		cmocka_unit_test(test_suid_killed_by_writers),
		cmocka_unit_test(test_readonly),
		cmocka_unit_test(test_statfs),
		cmocka_unit_test(test_access),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
