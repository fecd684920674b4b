/* SPDX-License-Identifier: BSD-3-Clause */
/* File flags and projects by IOCTL: on files and directories, by handle and without, and what is refused. */
#include "fs_share.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static int get_flags(struct share *s, struct nodeid node, struct op_fh fh, bool dir, unsigned int *flags)
{
	unsigned char out[8] = {0};
	struct op_ioctl io = {
		.cmd = FS_IOC_GETFLAGS, .out = out, .out_size = sizeof(out), .dir = dir, .result = 9};
	int r = fs_op_ioctl(s->fs, &s->c, node, fh, &io);

	if (r)
		return r;
	assert_int_equal(io.out_size, sizeof(*flags));
	assert_int_equal(io.result, 0);
	memcpy(flags, out, sizeof(*flags));
	return 0;
}

static int set_flags(struct share *s, const struct open_file *f, unsigned int flags)
{
	struct op_ioctl io = {.cmd = FS_IOC_SETFLAGS, .in = &flags, .in_size = sizeof(flags)};

	return fs_op_ioctl(s->fs, &s->c, f->node, f->fh, &io);
}

/* False if the test's directory has no such flags. */
static bool has_flags(struct share *s, const struct open_file *f)
{
	unsigned int flags;

	if (!get_flags(s, f->node, f->fh, false, &flags) && !set_flags(s, f, flags | FS_NOATIME_FL))
		return true;
	share_free(s);
	return false;
}

static void test_flags(void **state)
{
	unsigned int flags = 0;
	struct open_file f;
	struct op_fh dir;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "", O_RDWR);
	if (!has_flags(&s, &f))
		skip();
	assert_int_equal(get_flags(&s, f.node, f.fh, false, &flags), 0);
	assert_true(flags & FS_NOATIME_FL);
	assert_int_equal(set_flags(&s, &f, flags & ~(unsigned int)FS_NOATIME_FL), 0);
	assert_int_equal(get_flags(&s, f.node, OP_NO_HANDLE, false, &flags), 0);
	assert_false(flags & FS_NOATIME_FL);
	assert_int_equal(get_flags(&s, NODEID_ROOT, OP_NO_HANDLE, true, &flags), 0);
	assert_int_equal(fs_op_opendir(s.fs, &s.c, NODEID_ROOT, 0, &dir), 0);
	assert_int_equal(get_flags(&s, NODEID_ROOT, dir, true, &flags), 0);
	assert_int_equal(get_flags(&s, NODEID_ROOT, dir, false, &flags), -EBADF);
	assert_int_equal(get_flags(&s, f.node, f.fh, true, &flags), -EBADF);
	share_free(&s);
}

static void test_project(void **state)
{
	struct fsxattr x = {0};
	struct op_ioctl get = {.cmd = FS_IOC_FSGETXATTR, .out = &x, .out_size = sizeof(x)};
	struct op_ioctl set = {.cmd = FS_IOC_FSSETXATTR, .in = &x, .in_size = sizeof(x)};
	struct open_file f;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "", O_RDWR);
	if (!has_flags(&s, &f))
		skip();
	assert_int_equal(fs_op_ioctl(s.fs, &s.c, f.node, f.fh, &get), 0);
	assert_int_equal(get.out_size, sizeof(x));
	assert_true(x.fsx_xflags & FS_XFLAG_NOATIME);
	x.fsx_xflags &= ~(uint32_t)FS_XFLAG_NOATIME;
	assert_int_equal(fs_op_ioctl(s.fs, &s.c, f.node, f.fh, &set), 0);
	assert_int_equal(fs_op_ioctl(s.fs, &s.c, f.node, f.fh, &get), 0);
	assert_false(x.fsx_xflags & FS_XFLAG_NOATIME);
	s.c.uid = 1000;
	x.fsx_xflags |= FS_XFLAG_IMMUTABLE;
	assert_int_equal(fs_op_ioctl(s.fs, &s.c, f.node, f.fh, &set), -EPERM);
	set.in_size--;
	assert_int_equal(fs_op_ioctl(s.fs, &s.c, f.node, f.fh, &set), -EINVAL);
	share_free(&s);
}

static void test_root_only(void **state)
{
	unsigned int flags;
	struct open_file f;
	struct share s;

	(void)state;
	fixture_need_root();
	share_new(&s, share_config());
	f = share_file(&s, "f", "", O_RDWR);
	if (!has_flags(&s, &f))
		skip();
	assert_int_equal(get_flags(&s, f.node, f.fh, false, &flags), 0);
	s.c.uid = 1000;
	assert_int_equal(set_flags(&s, &f, flags | FS_IMMUTABLE_FL), -EPERM);
	assert_int_equal(set_flags(&s, &f, flags | FS_APPEND_FL), -EPERM);
	assert_int_equal(set_flags(&s, &f, flags | FS_NODUMP_FL), 0);
	s.c.uid = 0;
	assert_int_equal(set_flags(&s, &f, flags | FS_APPEND_FL), 0);
	s.c.uid = 1000;
	assert_int_equal(set_flags(&s, &f, flags), -EPERM);
	assert_int_equal(set_flags(&s, &f, flags | FS_APPEND_FL | FS_NODUMP_FL), 0);
	s.c.uid = 0;
	assert_int_equal(set_flags(&s, &f, flags), 0);
	s.fs->cfg.readonly = true;
	assert_int_equal(set_flags(&s, &f, flags), -EROFS);
	share_free(&s);
}

static void test_refused(void **state)
{
	char buf[64] = {0};
	struct op_ioctl io = {.cmd = FICLONE, .in = buf, .in_size = 8, .out = buf, .out_size = sizeof(buf)};
	struct op_ioctl small = {.cmd = FS_IOC_GETFLAGS, .out = buf, .out_size = 3};
	unsigned int flags;
	struct open_file f;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "", O_RDWR);
	assert_int_equal(mkfifoat(s.dirfd, "fifo", 0644), 0);
	assert_int_equal(fs_op_ioctl(s.fs, &s.c, f.node, f.fh, &io), -ENOTTY);
	io.cmd = FIBMAP;
	assert_int_equal(fs_op_ioctl(s.fs, &s.c, f.node, f.fh, &io), -ENOTTY);
	io.cmd = 0;
	assert_int_equal(fs_op_ioctl(s.fs, &s.c, f.node, f.fh, &io), -ENOTTY);
	assert_int_equal(fs_op_ioctl(s.fs, &s.c, f.node, f.fh, &small), -EINVAL);
	assert_int_equal(get_flags(&s, share_lookup(&s, "fifo"), OP_NO_HANDLE, false, &flags), -EBADF);
	assert_int_equal(get_flags(&s, (struct nodeid){99}, OP_NO_HANDLE, false, &flags), -ESTALE);
	assert_int_equal(get_flags(&s, f.node, (struct op_fh){99}, false, &flags), -EBADF);
	share_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_project),
		cmocka_unit_test(test_root_only),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
