/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extended attributes of every kind of inode. With the argument "old" the kernel seems to be older than Linux
 * 6.13: a seccomp filter answers ENOSYS to the newer calls.
 */
#include "fs_share.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#define FIRST_AT_CALL 463 /* setxattrat ... removexattrat */
#define LAST_AT_CALL  466

static int set(struct share *s, struct nodeid n, const char *name, const void *value, size_t size)
{
	return fs_op_setxattr(s->fs, &s->c, n, name, value, size, 0, 0);
}

static ssize_t get(struct share *s, struct nodeid n, const char *name, void *value, size_t size)
{
	return fs_op_getxattr(s->fs, &s->c, n, name, value, size);
}

static void host_path(const struct share *s, const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", s->dir, name);
}

/* Set by the guest, seen by the host on the inode itself, and the other way round. */
static void round_trip(struct share *s, const char *name, const char *attr)
{
	struct nodeid n = share_lookup(s, name);
	char path[128], buf[64] = {0}, list[256];
	size_t len = strlen(attr) + 1;

	host_path(s, name, path);
	assert_int_equal(get(s, n, attr, buf, sizeof(buf)), -ENODATA);
	assert_int_equal(set(s, n, attr, "value", 5), 0);
	assert_int_equal(lgetxattr(path, attr, buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "value", 5);
	assert_int_equal(lsetxattr(path, attr, "changed", 7, 0), 0);
	assert_int_equal(get(s, n, attr, NULL, 0), 7);
	assert_int_equal(get(s, n, attr, buf, 3), -ERANGE);
	assert_int_equal(get(s, n, attr, buf, sizeof(buf)), 7);
	assert_memory_equal(buf, "changed", 7);
	assert_int_equal(fs_op_setxattr(s->fs, &s->c, n, attr, "x", 1, XATTR_CREATE, 0), -EEXIST);
	assert_int_equal(fs_op_setxattr(s->fs, &s->c, n, attr, "x", 1, XATTR_REPLACE, 0), 0);
	assert_int_equal(fs_op_listxattr(s->fs, &s->c, n, NULL, 0), len);
	assert_int_equal(fs_op_listxattr(s->fs, &s->c, n, list, 3), -ERANGE);
	assert_int_equal(fs_op_listxattr(s->fs, &s->c, n, list, sizeof(list)), len);
	assert_string_equal(list, attr);
	assert_int_equal(fs_op_removexattr(s->fs, &s->c, n, attr), 0);
	assert_int_equal(fs_op_removexattr(s->fs, &s->c, n, attr), -ENODATA);
	assert_int_equal(fs_op_listxattr(s->fs, &s->c, n, list, sizeof(list)), 0);
	assert_int_equal(llistxattr(path, list, sizeof(list)), 0);
}

/* Skips where the test's directory cannot have such an attribute at all. */
static void need(struct share *s, const char *attr)
{
	if (!setxattr(s->dir, attr, "x", 1, 0)) {
		assert_int_equal(removexattr(s->dir, attr), 0);
		return;
	}
	print_message("skipped: no %s here: %s\n", attr, strerror(errno));
	share_free(s);
	skip();
}

static void test_user(void **state)
{
	struct share s;

	(void)state;
	share_new(&s, share_config());
	need(&s, "user.a");
	share_host_write(&s, "file", "");
	assert_int_equal(mkdirat(s.dirfd, "dir", 0755), 0);
	round_trip(&s, "file", "user.a");
	round_trip(&s, "dir", "user.a");
	share_free(&s);
}

/* None of these is opened, and no link is followed: what it leads to has nothing afterwards. */
static void test_special(void **state)
{
	char list[64];
	struct share s;

	(void)state;
	fixture_need_root();
	share_new(&s, share_config());
	need(&s, "trusted.a");
	share_host_write(&s, "file", "");
	assert_int_equal(symlinkat("file", s.dirfd, "link"), 0);
	assert_int_equal(symlinkat("nothing", s.dirfd, "dangling"), 0);
	assert_int_equal(mkfifoat(s.dirfd, "fifo", 0644), 0);
	assert_int_equal(mknodat(s.dirfd, "socket", S_IFSOCK | 0644, 0), 0);
	round_trip(&s, "file", "trusted.a");
	round_trip(&s, "dangling", "trusted.a");
	round_trip(&s, "fifo", "trusted.a");
	round_trip(&s, "socket", "trusted.a");
	assert_int_equal(set(&s, share_lookup(&s, "link"), "trusted.b", "v", 1), 0);
	assert_int_equal(fs_op_listxattr(s.fs, &s.c, share_lookup(&s, "file"), list, sizeof(list)), 0);
	assert_int_equal(set(&s, share_lookup(&s, "link"), "user.a", "v", 1), -EPERM);
	share_free(&s);
}

static void test_sizes(void **state)
{
	static const size_t sizes[] = {0, 1, 255, 3000};
	static char in[70000], out[70000];
	struct nodeid n;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	need(&s, "user.a");
	share_host_write(&s, "file", "");
	n = share_lookup(&s, "file");
	memset(in, 'v', sizeof(in));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(set(&s, n, "user.a", in, sizes[i]), 0);
		assert_int_equal(get(&s, n, "user.a", NULL, 0), sizes[i]);
		assert_int_equal(get(&s, n, "user.a", out, sizeof(out)), sizes[i]);
		assert_memory_equal(in, out, sizes[i]);
	}
	assert_int_equal(set(&s, n, "user.a", in, 65537), -E2BIG);
	assert_int_equal(fs_op_setxattr(s.fs, &s.c, n, "user.a", in, 1, 4, 0), -EINVAL);
	share_free(&s);
}

/* The largest value that there can be, where a file system has room for it. */
static void test_largest(void **state)
{
	static char in[65536], out[65536];
	char *tmp = getenv("TMPDIR") ? strdup(getenv("TMPDIR")) : NULL;
	struct nodeid n;
	struct share s;

	(void)state;
	fixture_need_root();
	if (access("/dev/shm", W_OK))
		skip();
	setenv("TMPDIR", "/dev/shm", 1);
	share_new(&s, share_config());
	if (tmp)
		setenv("TMPDIR", tmp, 1);
	else
		unsetenv("TMPDIR");
	free(tmp);
	memset(in, 'v', sizeof(in));
	share_host_write(&s, "file", "");
	n = share_lookup(&s, "file");
	assert_int_equal(set(&s, n, "trusted.a", in, sizeof(in)), 0);
	assert_int_equal(get(&s, n, "trusted.a", NULL, 0), sizeof(in));
	assert_int_equal(get(&s, n, "trusted.a", out, sizeof(out)), sizeof(out));
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(get(&s, n, "trusted.a", out, sizeof(out) - 1), -ERANGE);
	share_free(&s);
}

static void test_names(void **state)
{
	char longest[300];
	struct nodeid n;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	need(&s, "user.a");
	share_host_write(&s, "file", "");
	n = share_lookup(&s, "file");
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "user.", 5);
	longest[256] = 0;
	assert_int_equal(set(&s, n, longest, "v", 1), -ERANGE);
	assert_int_equal(get(&s, n, longest, NULL, 0), -ERANGE);
	longest[255] = 0;
	assert_int_equal(set(&s, n, longest, "v", 1), 0);
	assert_int_equal(get(&s, n, longest, NULL, 0), 1);
	assert_int_equal(set(&s, n, "", "v", 1), -ERANGE);
	assert_int_equal(set(&s, n, "nonsense", "v", 1), -EOPNOTSUPP);
	assert_int_equal(set(&s, n, "system.posix_acl_access", "v", 1), -EOPNOTSUPP);
	assert_int_equal(fs_op_removexattr(s.fs, &s.c, n, "system.posix_acl_default"), -EOPNOTSUPP);
	assert_int_equal(get(&s, (struct nodeid){99}, "user.a", NULL, 0), -ESTALE);
	s.fs->cfg.readonly = true;
	assert_int_equal(set(&s, n, "user.a", "v", 1), -EROFS);
	assert_int_equal(fs_op_removexattr(s.fs, &s.c, n, longest), -EROFS);
	s.fs->cfg.xattr = false;
	assert_int_equal(set(&s, n, "user.a", "v", 1), -ENOSYS);
	assert_int_equal(get(&s, n, longest, NULL, 0), -ENOSYS);
	assert_int_equal(fs_op_listxattr(s.fs, &s.c, n, NULL, 0), -ENOSYS);
	assert_int_equal(fs_op_removexattr(s.fs, &s.c, n, longest), -ENOSYS);
	share_free(&s);
}

/* An ACL as the kernel wants it: version 2; owner rw-, user 1000 rwx, group r--, mask rwx, others r--. */
static const unsigned char acl[] = {2, 0, 0, 0, 0x01, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 7, 0, 0xe8, 3,
	0, 0, 0x04, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, 0x10, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, 0x20, 0, 4, 0,
	0xff, 0xff, 0xff, 0xff};

static void test_acl(void **state)
{
	unsigned char out[100];
	char list[100];
	struct nodeid n;
	struct share s;

	(void)state;
	fixture_need_root();
	share_new(&s, share_config());
	s.fs->features.posix_acl = true;
	share_host_write(&s, "file", "");
	n = share_lookup(&s, "file");
	if (set(&s, n, "system.posix_acl_access", acl, sizeof(acl)) == -EOPNOTSUPP) {
		share_free(&s);
		skip();
	}
	assert_int_equal(get(&s, n, "system.posix_acl_access", out, sizeof(out)), sizeof(acl));
	assert_memory_equal(out, acl, sizeof(acl));
	assert_true(fs_op_listxattr(s.fs, &s.c, n, list, sizeof(list)) > 0);
	assert_int_equal(share_host_stat(&s, "file").st_mode & 0777, 0674);
	/* A guest that does not enforce it shall not see it. */
	s.fs->features.posix_acl = false;
	assert_int_equal(get(&s, n, "system.posix_acl_access", out, sizeof(out)), -EOPNOTSUPP);
	assert_int_equal(fs_op_listxattr(s.fs, &s.c, n, list, sizeof(list)), 0);
	share_free(&s);
}

static void test_acl_kills_sgid(void **state)
{
	struct nodeid n;
	struct share s;

	(void)state;
	fixture_need_root();
	share_new(&s, share_config());
	s.fs->features.posix_acl = true;
	share_host_write(&s, "file", "");
	assert_int_equal(fchmodat(s.dirfd, "file", 02775, 0), 0);
	n = share_lookup(&s, "file");
	s.c.uid = s.c.gid = 1000;
	if (set(&s, n, "system.posix_acl_access", acl, sizeof(acl)) == -EOPNOTSUPP) {
		share_free(&s);
		skip();
	}
	assert_int_equal(share_host_stat(&s, "file").st_mode & 07000, 02000);
	assert_int_equal(fs_op_setxattr(s.fs, &s.c, n, "system.posix_acl_access", acl, sizeof(acl), 0,
				 OP_SETXATTR_ACL_KILL_SGID),
		0);
	assert_int_equal(share_host_stat(&s, "file").st_mode & 07000, 0);
	share_free(&s);
}

/* As on a local file system, trusted.* is for root's eyes. */
static void test_list_for_users(void **state)
{
	char list[256];
	struct nodeid n;
	struct share s;

	(void)state;
	fixture_need_root();
	share_new(&s, share_config());
	need(&s, "user.a");
	share_host_write(&s, "file", "");
	n = share_lookup(&s, "file");
	assert_int_equal(set(&s, n, "trusted.a", "v", 1), 0);
	assert_int_equal(set(&s, n, "user.b", "v", 1), 0);
	assert_int_equal(set(&s, n, "trusted.c", "v", 1), 0);
	assert_int_equal(set(&s, n, "user.d", "v", 1), 0);
	assert_int_equal(fs_op_listxattr(s.fs, &s.c, n, list, sizeof(list)), 34);
	s.c.uid = 1000;
	assert_int_equal(fs_op_listxattr(s.fs, &s.c, n, list, sizeof(list)), 14);
	for (const char *p = list; p < list + 14; p += strlen(p) + 1)
		assert_memory_equal(p, "user.", 5);
	share_free(&s);
}

/* For the test's thread alone, like those of a daemon that did not get it. */
static void set_admin(bool on)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];

	assert_int_equal(syscall(SYS_capget, &h, d), 0);
	d[0].effective = on ? d[0].effective | 1u << CAP_SYS_ADMIN : d[0].effective & ~(1u << CAP_SYS_ADMIN);
	assert_int_equal(syscall(SYS_capset, &h, d), 0);
}

/* A namespace that is not there, not a right that root of the guest lacks. */
static void test_trusted_without_right(void **state)
{
	struct nodeid n;
	struct share s;
	char buf[8];

	(void)state;
	fixture_need_root();
	share_new(&s, share_config());
	need(&s, "trusted.a");
	share_host_write(&s, "file", "");
	n = share_lookup(&s, "file");
	assert_int_equal(set(&s, n, "trusted.a", "v", 1), 0);
	set_admin(false);
	assert_int_equal(set(&s, n, "trusted.a", "w", 1), -EOPNOTSUPP);
	assert_int_equal(fs_op_removexattr(s.fs, &s.c, n, "trusted.a"), -EOPNOTSUPP);
	assert_int_equal(get(&s, n, "trusted.a", buf, sizeof(buf)), -ENODATA);
	set_admin(true);
	assert_int_equal(fs_op_removexattr(s.fs, &s.c, n, "trusted.a"), 0);
	share_free(&s);
}

static void seem_old(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_AT_CALL, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, LAST_AT_CALL, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) {
		perror("seccomp");
		exit(77);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_special),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_acl),
		cmocka_unit_test(test_acl_kills_sgid),
		cmocka_unit_test(test_list_for_users),
		cmocka_unit_test(test_trusted_without_right),
	};

	if (argc > 1 && !strcmp(argv[1], "old"))
		seem_old();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
