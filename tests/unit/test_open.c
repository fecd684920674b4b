/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening, creating and closing: what is opened on the host, with which flags and whose rights, and what
 * never is. */
#include "fs_share.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define KERNEL_LARGEFILE 0100000 /* in every F_GETFL on 64 bits; the C library's O_LARGEFILE is 0 */

static const struct op_mode mode_644 = {.mode = S_IFREG | 0644};

static int create(struct share *s, const char *name, uint32_t flags, struct op_entry *e, struct op_fh *fh)
{
	return fs_op_create(s->fs, &s->c, NODEID_ROOT, name, &mode_644, flags, 0, e, fh);
}

static int try_open(struct share *s, struct nodeid node, uint32_t flags)
{
	struct op_fh fh;

	return fs_op_open(s->fs, &s->c, node, flags, 0, &fh);
}

/* What the host says of the handle's descriptor. */
static int host_flags(struct share *s, struct nodeid node, struct op_fh fh)
{
	struct handle *h = handle_get(s->fs->handles, node, fh, false);
	int flags;

	assert_non_null(h);
	flags = fcntl(h->fd, F_GETFL);
	assert_int_equal(fcntl(h->fd, F_GETFD), FD_CLOEXEC);
	handle_put(s->fs->handles, h);
	return flags & ~KERNEL_LARGEFILE;
}

static void test_types(void **state)
{
	struct share s;

	(void)state;
	share_new(&s, share_config());
	share_host_write(&s, "f", "text");
	assert_int_equal(mkfifoat(s.dirfd, "p", 0666), 0);
	assert_int_equal(symlinkat("f", s.dirfd, "l"), 0);
	assert_int_equal(mkdirat(s.dirfd, "d", 0777), 0);
	assert_int_equal(try_open(&s, share_lookup(&s, "p"), O_RDONLY), -ENXIO);
	assert_int_equal(try_open(&s, share_lookup(&s, "p"), O_WRONLY | O_TRUNC), -ENXIO);
	assert_int_equal(try_open(&s, share_lookup(&s, "l"), O_RDONLY), -ELOOP);
	assert_int_equal(try_open(&s, share_lookup(&s, "d"), O_RDONLY), -EISDIR);
	assert_int_equal(try_open(&s, share_lookup(&s, "f"), O_ACCMODE), -EINVAL);
	assert_int_equal(try_open(&s, (struct nodeid){99}, O_RDONLY), -ESTALE);
	assert_int_equal(try_open(&s, share_lookup(&s, "f"), O_RDONLY), 0);
	assert_int_equal(share_counts(&s).handles, 1);
	share_free(&s);
}

static void test_flags(void **state)
{
	uint32_t wild = O_CREAT | O_EXCL | O_NOCTTY | O_NOFOLLOW | O_PATH | O_DIRECTORY | O_NONBLOCK |
			O_ASYNC | O_DIRECT | O_APPEND | O_TMPFILE | 1u << 31;
	struct open_file f;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "text", O_RDWR | wild);
	assert_int_equal(host_flags(&s, f.node, f.fh), O_RDWR);
	f.fh = share_open(&s, f.node, O_WRONLY | O_SYNC);
	assert_int_equal(host_flags(&s, f.node, f.fh), O_WRONLY | O_SYNC);
	share_release(&s, f.node, f.fh);
	f.fh = share_open(&s, f.node, O_RDONLY | O_NOATIME);
	assert_int_equal(host_flags(&s, f.node, f.fh), O_RDONLY | O_NOATIME);
	s.fs->features.writeback = true;
	f.fh = share_open(&s, f.node, O_WRONLY | O_APPEND);
	assert_int_equal(host_flags(&s, f.node, f.fh), O_RDWR);
	share_expect_text(&s, "f", "text");
	share_free(&s);
}

static void test_direct(void **state)
{
	struct open_file f;
	struct op_entry e;
	struct share s;
	struct op_fh fh;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "text", O_RDWR | O_DIRECT);
	assert_int_equal(host_flags(&s, f.node, f.fh), O_RDWR);
	assert_int_equal(create(&s, "g", O_RDWR | O_DIRECT, &e, &fh), 0);
	assert_int_equal(host_flags(&s, e.node, fh), O_RDWR);
	s.fs->cfg.allow_direct_io = true;
	if (!fs_op_open(s.fs, &s.c, f.node, O_RDWR | O_DIRECT, 0, &fh))
		assert_int_equal(host_flags(&s, f.node, fh), O_RDWR | O_DIRECT);
	share_free(&s);
}

/* Pages from the guest's cache come through any handle, and the file's last one need not be whole. */
static void test_direct_cached(void **state)
{
	struct open_file f;
	struct share s;
	char byte = 'X';

	(void)state;
	share_new(&s, share_config());
	s.fs->cfg.allow_direct_io = true;
	f = share_file(&s, "f", "text", O_RDONLY);
	if (fs_op_open(s.fs, &s.c, f.node, O_RDWR | O_DIRECT, 0, &f.fh)) {
		share_free(&s);
		skip(); /* a file system without O_DIRECT */
	}
	for (int i = 0; i < 2; i++) {
		struct iovec v = {&byte, 1};

		assert_int_equal(
			fs_op_write(s.fs, &s.c, f.node, f.fh, &v, 1, 1 + (uint64_t)i, O_RDWR, OP_WRITE_CACHE),
			1);
		assert_int_equal(
			unlinkat(s.dirfd, "f", 0), i ? -1 : 0); /* the second has no name to open by */
		assert_int_equal(host_flags(&s, f.node, f.fh), O_RDWR | O_DIRECT);
	}
	share_free(&s);
}

static void test_truncate(void **state)
{
	struct open_file f;
	struct share s;
	struct op_fh fh;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "text", O_RDWR);
	assert_int_equal(fchmodat(s.dirfd, "f", 06755, 0), 0);
	assert_int_equal(fs_op_open(s.fs, &s.c, f.node, O_WRONLY | O_TRUNC, 0, &fh), 0);
	assert_int_equal(share_host_stat(&s, "f").st_size, 0);
	if (!geteuid())
		assert_int_equal(share_host_stat(&s, "f").st_mode & 07777, 06755);
	assert_int_equal(share_write(&s, f.node, fh, "more", 0, 0), 4);
	s.c.uid = s.c.gid = 1000;
	assert_int_equal(fs_op_open(s.fs, &s.c, f.node, O_WRONLY | O_TRUNC, OP_OPEN_KILL_SUIDGID, &fh), 0);
	assert_int_equal(share_host_stat(&s, "f").st_mode & 07777, 0755);
	assert_int_equal(share_host_stat(&s, "f").st_size, 0);
	share_free(&s);
}

static void test_readonly(void **state)
{
	struct op_entry e;
	struct nodeid f;
	struct op_fh fh;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	share_host_write(&s, "f", "text");
	f = share_lookup(&s, "f");
	s.fs->cfg.readonly = true;
	assert_int_equal(try_open(&s, f, O_WRONLY), -EROFS);
	assert_int_equal(try_open(&s, f, O_RDWR), -EROFS);
	assert_int_equal(try_open(&s, f, O_RDONLY | O_TRUNC), -EROFS);
	assert_int_equal(create(&s, "g", O_RDONLY, &e, &fh), -EROFS);
	assert_int_equal(
		fs_op_tmpfile(s.fs, &s.c, NODEID_ROOT, &mode_644, O_RDWR | O_TMPFILE, &e, &fh), -EROFS);
	assert_int_equal(try_open(&s, f, O_RDONLY), 0);
	share_expect_text(&s, "f", "text");
	share_free(&s);
}

static void test_create(void **state)
{
	struct op_mode m = {.mode = S_IFREG | 02640, .umask = 077};
	struct op_entry e;
	struct share s;
	struct op_fh fh;
	struct stat st;

	(void)state;
	share_new(&s, share_config());
	s.c.uid = 1234;
	s.c.gid = 1235;
	assert_int_equal(fs_op_create(s.fs, &s.c, NODEID_ROOT, "f", &m, O_WRONLY | O_TRUNC, 0, &e, &fh), 0);
	st = share_host_stat(&s, "f");
	assert_int_equal(st.st_mode, S_IFREG | 02640);
	if (!geteuid()) {
		assert_int_equal(st.st_uid, 1234);
		assert_int_equal(st.st_gid, 1235);
	}
	assert_int_equal(e.st.stx_ino, st.st_ino);
	assert_int_equal(e.st.stx_size, 0);
	assert_int_equal(share_lookup(&s, "f").v, e.node.v);
	assert_int_equal(share_write(&s, e.node, fh, "text", 0, 0), 4);
	share_expect_text(&s, "f", "text");
	assert_int_equal(create(&s, "f", O_RDWR | O_EXCL, &e, &fh), -EEXIST);
	assert_int_equal(create(&s, "..", O_RDWR, &e, &fh), -EINVAL);
	assert_int_equal(create(&s, "../f", O_RDWR, &e, &fh), -EINVAL);
	assert_int_equal(create(&s, "", O_RDWR, &e, &fh), -EINVAL);
	assert_int_equal(create(&s, "g", O_ACCMODE, &e, &fh), -EINVAL);
	assert_int_equal(faccessat(s.dirfd, "g", F_OK, 0), -1);
	share_free(&s);
}

static void test_create_existing(void **state)
{
	struct op_fh fh, other;
	struct op_entry e;
	struct share s;
	char buf[8];

	(void)state;
	share_new(&s, share_config());
	share_host_write(&s, "f", "text");
	assert_int_equal(create(&s, "f", O_RDWR, &e, &fh), 0);
	assert_int_equal(e.st.stx_size, 4);
	assert_int_equal(share_read(&s, e.node, fh, buf, 8, 0), 4);
	assert_int_equal(create(&s, "f", O_RDWR | O_TRUNC, &e, &other), 0);
	assert_int_equal(e.st.stx_size, 0);
	assert_int_equal(share_host_stat(&s, "f").st_size, 0);
	assert_int_equal(share_release(&s, e.node, fh), 0);
	assert_int_equal(share_release(&s, e.node, other), 0);
	inode_forget(s.fs->inodes, e.node, 2);
	assert_int_equal(try_open(&s, e.node, O_RDONLY), -ESTALE);
	share_free(&s);
}

/* The guest believed that the name was free, so it has not asked whether this caller may open the file. */
static void test_create_existing_of_others(void **state)
{
	struct op_entry e;
	struct share s;
	struct op_fh fh;

	(void)state;
	fixture_need_root();
	share_new(&s, share_config());
	share_host_write(&s, "f", "secret");
	assert_int_equal(fchmodat(s.dirfd, "f", 0640, 0), 0);
	s.c.uid = s.c.gid = 1000;
	assert_int_equal(create(&s, "f", O_RDONLY, &e, &fh), -ESTALE);
	assert_int_equal(create(&s, "f", O_WRONLY | O_TRUNC, &e, &fh), -ESTALE);
	assert_int_equal(share_counts(&s).handles, 0);
	assert_int_equal(share_counts(&s).inodes, 1);
	s.c.gid = 0;
	assert_int_equal(create(&s, "f", O_RDONLY, &e, &fh), 0);
	assert_int_equal(create(&s, "f", O_RDWR, &e, &fh), -ESTALE);
	assert_int_equal(cred_daemon(s.fs), 0);
	share_expect_text(&s, "f", "secret");
	share_free(&s);
}

static void test_create_over_others(void **state)
{
	static const char *const names[] = {"fifo", "link", "dangling", "out", "dir"};
	struct op_entry e;
	struct share s;
	struct op_fh fh;

	(void)state;
	share_new(&s, share_config());
	share_host_write(&s, "f", "text");
	assert_int_equal(mkfifoat(s.dirfd, "fifo", 0666), 0);
	assert_int_equal(symlinkat("f", s.dirfd, "link"), 0);
	assert_int_equal(symlinkat("nothing", s.dirfd, "dangling"), 0);
	assert_int_equal(symlinkat("/etc/passwd", s.dirfd, "out"), 0);
	assert_int_equal(mkdirat(s.dirfd, "dir", 0777), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(create(&s, names[i], O_RDWR, &e, &fh), -ESTALE);
		assert_int_equal(create(&s, names[i], O_WRONLY | O_TRUNC, &e, &fh), -ESTALE);
		assert_int_equal(create(&s, names[i], O_RDWR | O_EXCL, &e, &fh), -EEXIST);
	}
	assert_int_equal(faccessat(s.dirfd, "nothing", F_OK, 0), -1);
	assert_int_equal(share_counts(&s).handles, 0);
	assert_int_equal(share_counts(&s).inodes, 1);
	share_expect_text(&s, "f", "text");
	share_free(&s);
}

static void test_create_without_handle(void **state)
{
	struct op_entry e;
	struct share s;
	struct op_fh fh = {7};
	char buf[8];

	(void)state;
	share_new(&s, share_config());
	share_opens_nothing(&s);
	assert_int_equal(create(&s, "f", O_RDWR, &e, &fh), 0);
	assert_int_equal(fh.v, 0);
	assert_int_equal(create(&s, "f", O_RDWR, &e, &fh), 0);
	assert_int_equal(fh.v, 0);
	assert_int_equal(share_counts(&s).handles, 0);
	assert_int_equal(share_write(&s, e.node, OP_NO_HANDLE, "text", 0, 0), 4);
	assert_int_equal(share_read(&s, e.node, OP_NO_HANDLE, buf, 8, 0), 4);
	share_free(&s);
}

static void test_tmpfile(void **state)
{
	struct op_entry e, linked;
	struct share s;
	struct op_fh fh;
	int r;

	(void)state;
	share_new(&s, share_config());
	s.c.uid = s.c.gid = 1000;
	r = fs_op_tmpfile(s.fs, &s.c, NODEID_ROOT, &mode_644, O_RDWR | O_TMPFILE, &e, &fh);
	if (r == -EOPNOTSUPP) {
		share_free(&s);
		skip();
	}
	assert_int_equal(r, 0);
	assert_int_equal(e.st.stx_nlink, 0);
	assert_int_equal(share_write(&s, e.node, fh, "text", 0, O_RDWR), 4);
	assert_int_equal(fs_op_link(s.fs, &s.c, e.node, NODEID_ROOT, "f", &linked), 0);
	assert_int_equal(linked.node.v, e.node.v);
	assert_int_equal(share_release(&s, e.node, fh), 0);
	assert_int_equal(cred_daemon(s.fs), 0);
	share_expect_text(&s, "f", "text");
	assert_int_equal(fs_op_tmpfile(s.fs, &s.c, e.node, &mode_644, O_RDWR | O_TMPFILE, &e, &fh), -ENOTDIR);
	share_free(&s);
}

static void test_close(void **state)
{
	struct open_file f;
	struct share s;
	struct op_fh other;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "text", O_RDWR);
	other = share_open(&s, f.node, O_RDONLY);
	assert_int_equal(fs_op_flush(s.fs, &s.c, f.node, f.fh, 1), 0);
	assert_int_equal(fs_op_flush(s.fs, &s.c, f.node, other, 1), 0);
	assert_int_equal(share_release(&s, f.node, f.fh), 0);
	assert_int_equal(share_release(&s, f.node, f.fh), -EBADF);
	assert_int_equal(share_counts(&s).handles, 1);
	assert_int_equal(share_release(&s, f.node, other), 0);
	assert_int_equal(share_counts(&s).handles, 0);
	share_free(&s);
}

/* Sets or clears the append-only flag; false where there is no such thing. */
static bool set_append_only(struct share *s, const char *name, bool on)
{
	int fd = share_host_open(s, name, O_RDONLY);
	unsigned int flags = 0;
	bool done = !ioctl(fd, FS_IOC_GETFLAGS, &flags);

	flags = on ? flags | FS_APPEND_FL : flags & ~(unsigned int)FS_APPEND_FL;
	done = done && !ioctl(fd, FS_IOC_SETFLAGS, &flags);
	close(fd);
	return done;
}

static ssize_t write_text(
	struct share *s, const struct open_file *f, const char *text, uint64_t off, uint32_t flags)
{
	struct iovec iov = {(char *)(uintptr_t)text, strlen(text)};

	return fs_op_write(s->fs, &s->c, f->node, f->fh, &iov, 1, off, flags, 0);
}

static void append_only(struct share *s, const char *name)
{
	struct open_file f = {.node = share_lookup(s, name)};

	assert_int_equal(try_open(s, f.node, O_WRONLY), -EPERM);
	assert_int_equal(try_open(s, f.node, O_WRONLY | O_APPEND | O_TRUNC), -EPERM);
	f.fh = share_open(s, f.node, O_WRONLY | O_APPEND);
	assert_int_equal(host_flags(s, f.node, f.fh), O_WRONLY | O_APPEND);
	assert_int_equal(write_text(s, &f, "more", 0, O_WRONLY | O_APPEND), 4);
	assert_int_equal(write_text(s, &f, "page", 0, O_WRONLY), -EPERM);
	share_expect_text(s, name, "textmore");
	assert_int_equal(share_release(s, f.node, f.fh), 0);
	s->fs->features.writeback = true;
	assert_int_equal(try_open(s, f.node, O_WRONLY | O_APPEND), -EPERM);
}

static void test_append_only(void **state)
{
	struct share s;
	bool there;

	(void)state;
	share_new(&s, share_config());
	share_host_write(&s, "f", "text");
	there = set_append_only(&s, "f", true);
	if (there) {
		append_only(&s, "f");
		assert_true(set_append_only(&s, "f", false));
	}
	share_free(&s);
	if (!there)
		skip();
}

static void test_no_more_handles(void **state)
{
	struct fs_config cfg = share_config();
	struct op_entry e;
	struct open_file f;
	struct op_fh fh;
	struct share s;
	unsigned int before;

	(void)state;
	cfg.max_handles = 3;
	share_new(&s, cfg);
	f = share_file(&s, "f", "", O_RDWR);
	share_open(&s, f.node, O_RDONLY);
	share_open(&s, f.node, O_RDONLY);
	before = process_fds();
	assert_int_equal(try_open(&s, f.node, O_RDONLY), -ENFILE);
	assert_int_equal(create(&s, "f", O_RDWR, &e, &fh), -ENFILE);
	assert_int_equal(fs_op_opendir(s.fs, &s.c, NODEID_ROOT, 0, &fh), -ENFILE);
	assert_int_equal(process_fds(), before);
	assert_int_equal(share_release(&s, f.node, f.fh), 0);
	assert_int_equal(try_open(&s, f.node, O_RDONLY), 0);
	share_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_direct_cached),
		cmocka_unit_test(test_truncate),
		cmocka_unit_test(test_readonly),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_create_existing),
		cmocka_unit_test(test_create_existing_of_others),
		cmocka_unit_test(test_create_over_others),
		cmocka_unit_test(test_create_without_handle),
		cmocka_unit_test(test_tmpfile),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_append_only),
		cmocka_unit_test(test_no_more_handles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
