/* SPDX-License-Identifier: BSD-3-Clause */
/* Ops on names: the door, creating with the caller's rights, renaming, linking. */
#include "fs_fixture.h"

#include <limits.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/arith.h"
#include "fs/name.h"

static char name_255[256], name_256[257];

static int make_names(void **state)
{
	(void)state;
	memset(name_255, 'n', 255);
	memset(name_256, 'n', 256);
	return 0;
}

static void test_door(void **state)
{
	static const char *const bad[] = {"", ".", "..", "/", "a/b", "/etc", "../x", "a/", "./a"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(name_check(bad[i]), -EINVAL);
	assert_int_equal(name_check(name_256), -ENAMETOOLONG);
	assert_int_equal(name_check(name_255), 0);
	assert_int_equal(name_check("..."), 0);
	assert_int_equal(name_check(".a"), 0);
	assert_int_equal(name_check("\\"), 0);
}

/* Every op refuses a bad name, in each place where it takes one, and the host is as it was. */
static void refuse(struct fixture *x, const char *bad, int want)
{
	const struct op_mode m = {.mode = S_IFREG | 0644};
	struct op_entry e;

	assert_int_equal(fs_op_lookup(&x->fs, &x->ctx, NODEID_ROOT, bad, &e), want);
	assert_int_equal(fs_op_symlink(&x->fs, &x->ctx, NODEID_ROOT, bad, "t", &e), want);
	assert_int_equal(fs_op_mknod(&x->fs, &x->ctx, NODEID_ROOT, bad, &m, &e), want);
	assert_int_equal(fs_op_mkdir(&x->fs, &x->ctx, NODEID_ROOT, bad, &m, &e), want);
	assert_int_equal(fs_op_unlink(&x->fs, &x->ctx, NODEID_ROOT, bad), want);
	assert_int_equal(fs_op_rmdir(&x->fs, &x->ctx, NODEID_ROOT, bad), want);
	assert_int_equal(fs_op_rename(&x->fs, &x->ctx, NODEID_ROOT, bad, NODEID_ROOT, "b", 0), want);
	assert_int_equal(fs_op_rename(&x->fs, &x->ctx, NODEID_ROOT, "a", NODEID_ROOT, bad, 0), want);
	assert_int_equal(fs_op_link(&x->fs, &x->ctx, must_lookup(x, "a").node, NODEID_ROOT, bad, &e), want);
	assert_true(host_has(x, "a"));
}

static void test_bad_names(void **state)
{
	struct fixture x;
	struct op_entry e;
	const struct op_mode m = {.mode = S_IFREG | 0644};

	(void)state;
	fixture_new(&x, fixture_config());
	host_write(&x, "a", "");
	refuse(&x, "", -EINVAL);
	refuse(&x, ".", -EINVAL);
	refuse(&x, "..", -EINVAL);
	refuse(&x, "/", -EINVAL);
	refuse(&x, "a/b", -EINVAL);
	refuse(&x, "../../etc/passwd", -EINVAL);
	refuse(&x, "/tmp/x", -EINVAL);
	refuse(&x, name_256, -ENAMETOOLONG);
	assert_int_equal(fs_op_mknod(&x.fs, &x.ctx, NODEID_ROOT, name_255, &m, &e), 0);
	assert_true(host_has(&x, name_255));
	fixture_free(&x);
}

static void test_lookup(void **state)
{
	struct op_entry e, again;
	struct fixture x;

	(void)state;
	fixture_new(&x, fixture_config());
	host_write(&x, "a", "text");
	assert_int_equal(fs_op_lookup(&x.fs, &x.ctx, NODEID_ROOT, "none", &e), -ENOENT);
	e = must_lookup(&x, "a");
	assert_int_equal(e.st.stx_size, 4);
	assert_int_equal(e.st.stx_ino, host_stat(&x, "a").stx_ino);
	assert_int_equal(e.attr_flags, 0);
	again = must_lookup(&x, "a");
	assert_int_equal(again.node.v, e.node.v);
	assert_int_equal(fs_op_lookup(&x.fs, &x.ctx, e.node, "b", &again), -ENOTDIR);
	assert_int_equal(fs_op_lookup(&x.fs, &x.ctx, (struct nodeid){4711}, "a", &again), -ESTALE);
	fs_op_forget(&x.fs, e.node, 2);
	assert_int_equal(count_inodes(&x), 1);
	fixture_free(&x);
}

/* A symlink is an inode like another: never followed, its target never resolved here. */
static void test_symlink(void **state)
{
	struct op_entry e, l;
	struct fixture x;
	char buf[PATH_MAX];
	size_t len;

	(void)state;
	fixture_new(&x, fixture_config());
	assert_int_equal(fs_op_symlink(&x.fs, &x.ctx, NODEID_ROOT, "s", "/etc", &e), 0);
	assert_int_equal(e.st.stx_mode & S_IFMT, S_IFLNK);
	assert_int_equal(must_lookup(&x, "s").node.v, e.node.v);
	assert_int_equal(fs_op_readlink(&x.fs, &x.ctx, e.node, buf, &len), 0);
	assert_int_equal(len, 4);
	assert_memory_equal(buf, "/etc", 4);
	assert_int_equal(fs_op_readlink(&x.fs, &x.ctx, NODEID_ROOT, buf, &len), -EINVAL);
	assert_int_equal(fs_op_lookup(&x.fs, &x.ctx, e.node, "passwd", &l), -ENOTDIR);
	assert_int_equal(fs_op_symlink(&x.fs, &x.ctx, NODEID_ROOT, "s", "x", &l), -EEXIST);
	assert_int_equal(fs_op_link(&x.fs, &x.ctx, e.node, NODEID_ROOT, "s2", &l), 0);
	assert_int_equal(l.node.v, e.node.v);
	assert_int_equal(host_stat(&x, "s2").stx_mode & S_IFMT, S_IFLNK);
	assert_int_equal(fs_reopen(&x.fs, NULL, 0, S_IFLNK, O_RDONLY), -ELOOP);
	fixture_free(&x);
}

static void test_mknod(void **state)
{
	static const uint32_t types[] = {S_IFREG, S_IFIFO, S_IFSOCK, 0};
	struct fixture x;
	struct op_entry e;

	(void)state;
	fixture_new(&x, fixture_config());
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		const struct op_mode m = {.mode = types[i] | 0640};
		char name[8] = {(char)('a' + i)};

		assert_int_equal(fs_op_mknod(&x.fs, &x.ctx, NODEID_ROOT, name, &m, &e), 0);
		assert_int_equal(e.st.stx_mode, (types[i] ? types[i] : S_IFREG) | 0640);
	}
	assert_int_equal(fs_op_mknod(&x.fs, &x.ctx, NODEID_ROOT, "d", &(struct op_mode){.mode = S_IFDIR}, &e),
		-EINVAL);
	assert_int_equal(fs_op_mknod(&x.fs, &x.ctx, NODEID_ROOT, "d", &(struct op_mode){.mode = S_IFLNK}, &e),
		-EINVAL);
	assert_int_equal(
		fs_op_mknod(&x.fs, &x.ctx, NODEID_ROOT, "d", &(struct op_mode){.mode = S_IFMT}, &e), -EINVAL);
	assert_int_equal(fs_reopen(&x.fs, NULL, 0, S_IFIFO, O_RDWR), -ENXIO);
	assert_int_equal(fs_reopen(&x.fs, NULL, 0, S_IFCHR, O_RDWR), -ENXIO);
	fixture_free(&x);
}

static void test_mknod_device(void **state)
{
	/* major 0x123, minor 0x45678 as Linux packs them into 32 bits */
	const struct op_mode m = {.mode = S_IFCHR | 0600, .rdev = 0x45612378};
	struct fixture x;
	struct op_entry e;
	int r;

	(void)state;
	fixture_need_root();
	fixture_new(&x, fixture_config());
	r = fs_op_mknod(&x.fs, &x.ctx, NODEID_ROOT, "c", &m, &e);
	if (r != -EPERM) {
		assert_int_equal(r, 0);
		assert_int_equal(e.st.stx_rdev_major, 0x123);
		assert_int_equal(e.st.stx_rdev_minor, 0x45678);
	}
	fixture_free(&x);
}

static void test_remove(void **state)
{
	const struct op_mode m = {.mode = 0755};
	struct op_entry d, e;
	struct fixture x;

	(void)state;
	fixture_new(&x, fixture_config());
	host_write(&x, "a", "");
	assert_int_equal(fs_op_mkdir(&x.fs, &x.ctx, NODEID_ROOT, "d", &m, &d), 0);
	assert_int_equal(d.st.stx_mode, S_IFDIR | 0755);
	assert_int_equal(fs_op_mkdir(&x.fs, &x.ctx, d.node, "dd", &m, &e), 0);
	assert_int_equal(fs_op_mkdir(&x.fs, &x.ctx, d.node, "dd", &m, &e), -EEXIST);
	assert_int_equal(fs_op_rmdir(&x.fs, &x.ctx, NODEID_ROOT, "d"), -ENOTEMPTY);
	assert_int_equal(fs_op_unlink(&x.fs, &x.ctx, NODEID_ROOT, "d"), -EISDIR);
	assert_int_equal(fs_op_rmdir(&x.fs, &x.ctx, NODEID_ROOT, "a"), -ENOTDIR);
	assert_int_equal(fs_op_rmdir(&x.fs, &x.ctx, d.node, "dd"), 0);
	assert_int_equal(fs_op_rmdir(&x.fs, &x.ctx, NODEID_ROOT, "d"), 0);
	assert_int_equal(fs_op_unlink(&x.fs, &x.ctx, NODEID_ROOT, "a"), 0);
	assert_int_equal(fs_op_unlink(&x.fs, &x.ctx, NODEID_ROOT, "a"), -ENOENT);
	assert_int_equal(x.fs.effects.busy, 0);
	assert_int_equal(x.fs.effects.count[EFFECT_CREATE], 2);
	assert_int_equal(x.fs.effects.count[EFFECT_REMOVE], 3);
	fixture_free(&x);
}

static int ren(struct fixture *x, const char *a, const char *b, uint32_t flags)
{
	return fs_op_rename(&x->fs, &x->ctx, NODEID_ROOT, a, NODEID_ROOT, b, flags);
}

static void test_rename(void **state)
{
	struct fixture x;
	struct nodeid a, b;
	int r;

	(void)state;
	fixture_new(&x, fixture_config());
	host_write(&x, "a", "is a");
	host_write(&x, "b", "is b");
	a = must_lookup(&x, "a").node;
	b = must_lookup(&x, "b").node;
	assert_int_equal(ren(&x, "a", "b", RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(ren(&x, "a", "b", RENAME_EXCHANGE), 0);
	assert_int_equal(must_lookup(&x, "a").node.v, b.v);
	assert_int_equal(must_lookup(&x, "b").node.v, a.v);
	assert_int_equal(ren(&x, "a", "c", RENAME_EXCHANGE), -ENOENT);
	assert_int_equal(ren(&x, "a", "b", RENAME_EXCHANGE | RENAME_NOREPLACE), -EINVAL);
	assert_int_equal(ren(&x, "a", "b", 8), -EINVAL);
	assert_int_equal(ren(&x, "a", "b", 1u << 31), -EINVAL);
	assert_int_equal(ren(&x, "a", "c", RENAME_NOREPLACE), 0);
	assert_int_equal(ren(&x, "c", "b", 0), 0);
	assert_int_equal(must_lookup(&x, "b").node.v, b.v);
	assert_false(host_has(&x, "c"));
	r = ren(&x, "b", "w", RENAME_WHITEOUT);
	if (r == -EINVAL || r == -EPERM) {
		print_message("no whiteouts in the directory for temporary files\n");
	} else {
		assert_int_equal(r, 0);
		assert_int_equal(host_stat(&x, "b").stx_mode & S_IFMT, S_IFCHR);
	}
	fixture_free(&x);
}

static void test_link(void **state)
{
	struct op_entry l, d;
	struct fixture x;
	struct nodeid a;

	(void)state;
	fixture_new(&x, fixture_config());
	host_write(&x, "a", "text");
	a = must_lookup(&x, "a").node;
	assert_int_equal(fs_op_link(&x.fs, &x.ctx, a, NODEID_ROOT, "b", &l), 0);
	assert_int_equal(l.node.v, a.v);
	assert_int_equal(l.st.stx_nlink, 2);
	assert_int_equal(fs_op_link(&x.fs, &x.ctx, a, NODEID_ROOT, "b", &l), -EEXIST);
	assert_int_equal(fs_op_link(&x.fs, &x.ctx, (struct nodeid){999}, NODEID_ROOT, "c", &l), -ESTALE);
	assert_int_equal(
		fs_op_mkdir(&x.fs, &x.ctx, NODEID_ROOT, "d", &(struct op_mode){.mode = 0755}, &d), 0);
	assert_int_equal(fs_op_link(&x.fs, &x.ctx, d.node, NODEID_ROOT, "c", &l), -EPERM);
	fixture_free(&x);
}

/* Links by the way that needs no capability; a symlink is linked itself, though its target exists. */
static void test_link_without_capability(void **state)
{
	struct fs_config cfg = fixture_config();
	struct op_ctx plain = {.uid = geteuid(), .gid = getegid()};
	struct op_entry a, s, l;
	struct fixture x;

	(void)state;
	cfg.handles = FS_HANDLES_NEVER;
	fixture_new(&x, cfg);
	host_write(&x, "a", "text");
	assert_int_equal(symlinkat("a", x.dirfd, "s"), 0);
	a = must_lookup(&x, "a");
	s = must_lookup(&x, "s");
	if (!geteuid()) {
		assert_int_equal(fchmodat(x.dirfd, ".", 0777, 0), 0);
		assert_int_equal(fchownat(x.dirfd, "a", 1000, 1000, 0), 0);
		plain.uid = plain.gid = 1000;
		assert_int_equal(
			cred_caller_checked(&x.fs, &plain), 0); /* no CAP_DAC_READ_SEARCH from here on */
	}
	assert_int_equal(fs_op_link(&x.fs, &plain, a.node, NODEID_ROOT, "a2", &l), 0);
	assert_int_equal(l.node.v, a.node.v);
	assert_int_equal(fs_op_link(&x.fs, &plain, s.node, NODEID_ROOT, "s2", &l), 0);
	assert_int_equal(l.node.v, s.node.v);
	assert_int_equal(host_stat(&x, "s2").stx_mode & S_IFMT, S_IFLNK);
	assert_int_equal(host_stat(&x, "a").stx_nlink, 2);
	fixture_free(&x);
}

static void test_readonly(void **state)
{
	const struct op_mode m = {.mode = S_IFREG | 0644};
	struct fs_config cfg = fixture_config();
	struct fixture x;
	struct op_entry e;

	(void)state;
	cfg.readonly = true;
	fixture_new(&x, cfg);
	host_write(&x, "a", "text");
	assert_int_equal(fs_op_mknod(&x.fs, &x.ctx, NODEID_ROOT, "n", &m, &e), -EROFS);
	assert_int_equal(fs_op_mkdir(&x.fs, &x.ctx, NODEID_ROOT, "n", &m, &e), -EROFS);
	assert_int_equal(fs_op_symlink(&x.fs, &x.ctx, NODEID_ROOT, "n", "t", &e), -EROFS);
	assert_int_equal(fs_op_link(&x.fs, &x.ctx, must_lookup(&x, "a").node, NODEID_ROOT, "n", &e), -EROFS);
	assert_int_equal(fs_op_unlink(&x.fs, &x.ctx, NODEID_ROOT, "a"), -EROFS);
	assert_int_equal(fs_op_rmdir(&x.fs, &x.ctx, NODEID_ROOT, "a"), -EROFS);
	assert_int_equal(ren(&x, "a", "n", 0), -EROFS);
	assert_false(host_has(&x, "n"));
	assert_true(host_has(&x, "a"));
	assert_int_equal(x.fs.effects.busy, 0);
	fixture_free(&x);
}

/* What a caller makes in an SGID directory: the group is the directory's; SGID stays only for its members. */
static void test_sgid_directory(void **state)
{
	const struct op_mode file = {.mode = S_IFREG | S_ISGID | 0775};
	static const uint32_t groups[] = {3000};
	struct op_entry d, e;
	struct fixture x;

	(void)state;
	fixture_need_root();
	fixture_new(&x, fixture_config());
	assert_int_equal(mkdirat(x.dirfd, "d", 0777), 0);
	assert_int_equal(fchownat(x.dirfd, "d", 0, 3000, 0), 0);
	assert_int_equal(fchmodat(x.dirfd, "d", 02777, 0), 0);
	d = must_lookup(&x, "d");
	x.ctx.uid = 1000;
	x.ctx.gid = 1001;
	assert_int_equal(fs_op_mknod(&x.fs, &x.ctx, d.node, "stranger", &file, &e), 0);
	assert_int_equal(e.st.stx_uid, 1000);
	assert_int_equal(e.st.stx_gid, 3000);
	assert_int_equal(e.st.stx_mode & 07777, 0775);
	x.ctx.nsupp = 1;
	x.ctx.supp = groups;
	assert_int_equal(fs_op_mknod(&x.fs, &x.ctx, d.node, "member", &file, &e), 0);
	assert_int_equal(e.st.stx_gid, 3000);
	assert_int_equal(e.st.stx_mode & 07777, 02775);
	x.ctx.nsupp = 0;
	assert_int_equal(fs_op_mkdir(&x.fs, &x.ctx, d.node, "dir", &(struct op_mode){.mode = 0755}, &e), 0);
	assert_int_equal(e.st.stx_gid, 3000);
	assert_int_equal(e.st.stx_mode & 07777, 02755);
	assert_int_equal(fs_op_symlink(&x.fs, &x.ctx, NODEID_ROOT, "s", "t", &e), 0);
	assert_int_equal(e.st.stx_uid, 1000);
	assert_int_equal(e.st.stx_gid, 1001);
	x.ctx = (struct op_ctx){0};
	assert_int_equal(fs_op_mknod(&x.fs, &x.ctx, d.node, "root", &file, &e), 0);
	assert_int_equal(e.st.stx_uid, 0);
	assert_int_equal(e.st.stx_mode & 07777, 02775);
	fixture_free(&x);
}

/* Default ACL "rwx for all": then the umask must not count, else it must. Only with features.posix_acl. */
static void test_umask(void **state)
{
	static const char acl[] = "\2\0\0\0"
				  "\1\0\7\0\377\377\377\377"
				  "\4\0\7\0\377\377\377\377"
				  "\40\0\7\0\377\377\377\377";
	const struct op_mode file = {.mode = S_IFREG | 0666, .umask = 027};
	const struct op_mode dir = {.mode = 0777, .umask = 027};
	struct op_entry d, e;
	struct fixture x;
	char path[80];

	(void)state;
	fixture_new(&x, fixture_config());
	assert_int_equal(fs_op_mknod(&x.fs, &x.ctx, NODEID_ROOT, "unmasked", &file, &e), 0);
	assert_int_equal(e.st.stx_mode & 07777, 0666);
	x.fs.features.posix_acl = true;
	assert_int_equal(fs_op_mknod(&x.fs, &x.ctx, NODEID_ROOT, "masked", &file, &e), 0);
	assert_int_equal(e.st.stx_mode & 07777, 0640);
	assert_int_equal(fs_op_mkdir(&x.fs, &x.ctx, NODEID_ROOT, "d", &dir, &d), 0);
	assert_int_equal(d.st.stx_mode & 07777, 0750);
	assert_int_equal(umask(0), 0); /* back after the call */
	snprintf(path, sizeof(path), "%s/d", x.dir);
	if (setxattr(path, "system.posix_acl_default", acl, sizeof(acl) - 1, 0)) {
		print_message("no ACLs in the directory for temporary files: %s\n", strerror(errno));
	} else {
		assert_int_equal(fs_op_mknod(&x.fs, &x.ctx, d.node, "acl", &file, &e), 0);
		assert_int_equal(e.st.stx_mode & 07777, 0666);
	}
	fixture_free(&x);
}

static void test_security_label(void **state)
{
	struct op_mode m = {
		.mode = S_IFIFO | 0644, .secctx_name = "security.colofs", .secctx = "lab", .secctx_len = 3};
	char path[80], value[8];
	struct op_entry e;
	struct fixture x;

	(void)state;
	fixture_need_root();
	fixture_new(&x, fixture_config());
	snprintf(path, sizeof(path), "%s/f", x.dir);
	assert_int_equal(fs_op_mknod(&x.fs, &x.ctx, NODEID_ROOT, "f", &m, &e), 0);
	assert_int_equal(lgetxattr(path, m.secctx_name, value, sizeof(value)), -1); /* not negotiated */
	assert_int_equal(unlinkat(x.dirfd, "f", 0), 0);
	x.fs.features.security_ctx = true;
	assert_int_equal(fs_op_mknod(&x.fs, &x.ctx, NODEID_ROOT, "f", &m, &e), 0);
	assert_int_equal(lgetxattr(path, m.secctx_name, value, sizeof(value)), 3);
	assert_memory_equal(value, "lab", 3);
	m.secctx_name = "nonsense.name"; /* what cannot be labelled is not made */
	assert_int_equal(fs_op_mknod(&x.fs, &x.ctx, NODEID_ROOT, "g", &m, &e), -EOPNOTSUPP);
	assert_false(host_has(&x, "g"));
	assert_int_equal(fs_op_mkdir(&x.fs, &x.ctx, NODEID_ROOT, "g", &m, &e), -EOPNOTSUPP);
	assert_false(host_has(&x, "g"));
	fixture_free(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_door),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_symlink),
		cmocka_unit_test(test_mknod),
		cmocka_unit_test(test_mknod_device),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_rename),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_link_without_capability),
		cmocka_unit_test(test_readonly),
		cmocka_unit_test(test_sgid_directory),
		cmocka_unit_test(test_umask),
		cmocka_unit_test(test_security_label),
	};

	return cmocka_run_group_tests(tests, make_names, NULL);
}
