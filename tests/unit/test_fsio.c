/* SPDX-License-Identifier: BSD-3-Clause */
/* Open files: data in place from and to fragmented memory, appending, holes, copies, syncing, and handles
 * that are not what they say. */
#include "fs_share.h"

#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PIECES 3000

/* @buf cut into @n pieces of different sizes; the last one takes the rest. */
static void cut(struct iovec *v, unsigned int n, char *buf, size_t len)
{
	size_t at = 0;

	for (unsigned int i = 0; i < n; i++) {
		size_t part = i == n - 1 ? len - at : i * 7 % 61; /* 0 among them */

		v[i] = (struct iovec){.iov_base = buf + at, .iov_len = part};
		at += part;
	}
}

static void fill(char *buf, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (char)((i * 131 + seed) >> 3);
}

static void test_fragmented(void **state)
{
	static char in[200000], out[200000];
	static struct iovec v[PIECES];
	struct open_file f;
	struct share s;
	int fd;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "", O_RDWR);
	fill(in, sizeof(in), 5);
	cut(v, PIECES, in, sizeof(in));
	assert_int_equal(fs_op_write(s.fs, &s.c, f.node, f.fh, v, PIECES, 12345, O_RDWR, 0), sizeof(in));
	cut(v, PIECES - 1200, out, sizeof(out));
	assert_int_equal(fs_op_read(s.fs, &s.c, f.node, f.fh, v, PIECES - 1200, 12345, O_RDWR), sizeof(out));
	assert_memory_equal(in, out, sizeof(in));
	fd = share_host_open(&s, "f", O_RDONLY);
	memset(out, 0, sizeof(out));
	assert_int_equal(pread(fd, out, sizeof(out), 12345), sizeof(out));
	assert_memory_equal(in, out, sizeof(in));
	close(fd);
	share_free(&s);
}

static void test_end_of_file(void **state)
{
	struct open_file f;
	struct share s;
	char buf[100];

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "0123456789", O_RDONLY);
	assert_int_equal(share_read(&s, f.node, f.fh, buf, sizeof(buf), 0), 10);
	assert_int_equal(share_read(&s, f.node, f.fh, buf, sizeof(buf), 7), 3);
	assert_memory_equal(buf, "789", 3);
	assert_int_equal(share_read(&s, f.node, f.fh, buf, sizeof(buf), 10), 0);
	assert_int_equal(share_read(&s, f.node, f.fh, buf, sizeof(buf), 1 << 20), 0);
	assert_int_equal(share_read(&s, f.node, f.fh, buf, 0, 0), 0);
	assert_int_equal(s.blocked_io, 0); /* it was all in the page cache */
	assert_int_equal(share_read(&s, f.node, f.fh, buf, 1, 1ULL << 63), -EINVAL);
	assert_int_equal(share_read(&s, f.node, f.fh, buf, 2, INT64_MAX - 1), -EINVAL);
	assert_int_equal(share_write(&s, f.node, f.fh, "x", 0, 0), -EBADF); /* opened to read */
	share_free(&s);
}

/* Data that is not in the page cache costs the queue, once, and comes whole. */
static void test_cold(void **state)
{
	static char in[1 << 20], out[1 << 20];
	struct open_file f;
	struct share s;
	int fd;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "", O_RDONLY);
	fill(in, sizeof(in), 77);
	fd = share_host_open(&s, "f", O_RDWR);
	assert_int_equal(write(fd, in, sizeof(in)), sizeof(in));
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 65536, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
	assert_int_equal(share_read(&s, f.node, f.fh, out, sizeof(out), 0), sizeof(out));
	assert_memory_equal(in, out, sizeof(in));
	assert_in_range(s.blocked_io, 0, 1);
	s.blocked_io = 0;
	assert_int_equal(share_read(&s, f.node, f.fh, out, sizeof(out), 0), sizeof(out));
	assert_int_equal(s.blocked_io, 0);
	share_free(&s);
}

/* Guest memory may go away beneath a request. A short answer would look like the end of the file. */
static void test_bad_memory(void **state)
{
	char *gone = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec v[2] = {{gone, 4096}, {gone + 4096, 4096}};
	struct open_file f;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "", O_RDWR);
	assert_int_equal(fs_op_fallocate(s.fs, &s.c, f.node, f.fh, 0, 65536, 0), 0);
	assert_int_equal(munmap(gone + 4096, 4096), 0);
	assert_int_equal(fs_op_read(s.fs, &s.c, f.node, f.fh, v, 2, 0, 0), -EFAULT);
	v[0] = (struct iovec){gone + 4096, 4096};
	assert_int_equal(fs_op_write(s.fs, &s.c, f.node, f.fh, v, 1, 0, 0, 0), -EFAULT);
	munmap(gone, 4096);
	share_free(&s);
}

static void test_append(void **state)
{
	struct open_file a, b;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	a = share_file(&s, "f", "0", O_WRONLY | O_APPEND);
	b = (struct open_file){a.node, share_open(&s, a.node, O_WRONLY | O_APPEND)};
	/* Each guest believes that the file ends where it ended when it looked. */
	assert_int_equal(share_write(&s, a.node, a.fh, "aa", 1, O_WRONLY | O_APPEND), 2);
	assert_int_equal(share_write(&s, b.node, b.fh, "bbb", 1, O_WRONLY | O_APPEND), 3);
	assert_int_equal(share_write(&s, a.node, a.fh, "a", 3, O_WRONLY | O_APPEND), 1);
	share_expect_text(&s, "f", "0aabbba");
	/* A page written back through whatever handle there is goes to its place. */
	assert_int_equal(share_write(&s, a.node, a.fh, "X", 2, 0), 1);
	share_expect_text(&s, "f", "0aXbbba");
	s.fs->features.writeback = true;
	assert_int_equal(share_write(&s, a.node, a.fh, "Y", 3, O_WRONLY | O_APPEND), 1);
	share_expect_text(&s, "f", "0aXYbba");
	share_free(&s);
}

static void test_sync_writes(void **state)
{
	struct open_file f;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "", O_RDWR);
	assert_int_equal(share_write(&s, f.node, f.fh, "a", 0, O_RDWR), 1);
	assert_int_equal(s.blocked_io, 0);
	assert_int_equal(share_write(&s, f.node, f.fh, "b", 1, O_RDWR | O_DSYNC), 1);
	assert_int_equal(share_write(&s, f.node, f.fh, "c", 2, O_RDWR | O_SYNC), 1);
	assert_int_equal(s.blocked_io, 2);
	assert_int_equal(fs_op_fsync(s.fs, &s.c, f.node, f.fh, false), 0);
	assert_int_equal(fs_op_fsync(s.fs, &s.c, f.node, f.fh, true), 0);
	assert_int_equal(s.blocked_io, 4);
	assert_int_equal(fs_op_syncfs(s.fs, &s.c, NODEID_ROOT), 0);
	s.fs->cfg.sync_on_syncfs = false;
	assert_int_equal(fs_op_syncfs(s.fs, &s.c, NODEID_ROOT), -ENOSYS);
	share_expect_text(&s, "f", "abc");
	share_free(&s);
}

static void host_chmod(struct share *s, const char *name, mode_t mode)
{
	assert_int_equal(cred_daemon(s->fs), 0);
	assert_int_equal(fchmodat(s->dirfd, name, mode, 0), 0);
}

static void test_kill_suidgid(void **state)
{
	struct iovec v = {(void *)(uintptr_t) "x", 1};
	struct open_file f;
	struct share s;

	(void)state;
	fixture_need_root();
	share_new(&s, share_config());
	f = share_file(&s, "f", "text", O_RDWR);
	host_chmod(&s, "f", 06755);
	assert_int_equal(fs_op_write(s.fs, &s.c, f.node, f.fh, &v, 1, 0, 0, 0), 1);
	assert_int_equal(share_host_stat(&s, "f").st_mode & 07777, 06755);
	s.c.uid = s.c.gid = 1000;
	v.iov_len = 1;
	assert_int_equal(fs_op_write(s.fs, &s.c, f.node, f.fh, &v, 1, 0, 0, OP_WRITE_KILL_SUIDGID), 1);
	assert_int_equal(share_host_stat(&s, "f").st_mode & 07777, 0755);
	/* Group execution or not, a stranger's change takes SGID away. */
	host_chmod(&s, "f", 06666);
	assert_int_equal(fs_op_fallocate(s.fs, &s.c, f.node, f.fh, 0, 8192, 0), 0);
	assert_int_equal(share_host_stat(&s, "f").st_mode & 07777, 0666);
	host_chmod(&s, "f", 06755);
	s.c.uid = s.c.gid = 0;
	assert_int_equal(fs_op_fallocate(s.fs, &s.c, f.node, f.fh, 0, 16384, 0), 0);
	assert_int_equal(share_host_stat(&s, "f").st_mode & 07777, 06755);
	share_free(&s);
}

/* SGID without group execution, of which the guest says nothing: by who writes. */
static void test_lone_sgid(void **state)
{
	static const struct {
		uint32_t uid, gid;
		mode_t mode, left;
		uint32_t flags;
	} tests[] = {
		{1000, 1000, 02767, 0767, 0},			   /* one of the others */
		{1000, 2001, 02767, 02767, 0},			   /* a member */
		{1000, 1000, 02764, 02764, 0},			   /* a member, or he could not */
		{1000, 1000, 02764, 02764, OP_WRITE_KILL_SUIDGID}, /* the same */
		{1001, 1001, 02764, 0764, 0},			   /* the owner */
		{1000, 1000, 02767, 02767, OP_WRITE_CACHE},	   /* who knows */
		{0, 0, 02767, 02767, 0},
	};
	struct iovec v = {(void *)(uintptr_t) "x", 1};
	struct open_file f;
	struct share s;

	(void)state;
	fixture_need_root();
	share_new(&s, share_config());
	s.fs->features.killpriv_v2 = false;
	f = share_file(&s, "f", "text", O_RDWR);
	assert_int_equal(fchownat(s.dirfd, "f", 1001, 2001, 0), 0);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		struct op_entry e;

		host_chmod(&s, "f", tests[i].mode);
		s.c.uid = s.c.gid = 0;
		assert_int_equal(fs_op_getattr(s.fs, &s.c, f.node, OP_NO_HANDLE, 0, &e), 0);
		s.c.uid = tests[i].uid;
		s.c.gid = tests[i].gid;
		v = (struct iovec){(void *)(uintptr_t) "x", 1};
		assert_int_equal(fs_op_write(s.fs, &s.c, f.node, f.fh, &v, 1, 0, 0, tests[i].flags), 1);
		assert_int_equal(share_host_stat(&s, "f").st_mode & 07777, tests[i].left);
	}
	share_free(&s);
}

static void test_holes(void **state)
{
	struct open_file f;
	struct share s;
	uint64_t off;
	char buf[4];

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "", O_RDWR);
	assert_int_equal(share_write(&s, f.node, f.fh, "data", 1 << 20, 0), 4);
	off = 0;
	assert_int_equal(fs_op_lseek(s.fs, &s.c, f.node, f.fh, &off, SEEK_DATA), 0);
	assert_int_equal(off, 1 << 20);
	off = 0;
	assert_int_equal(fs_op_lseek(s.fs, &s.c, f.node, f.fh, &off, SEEK_HOLE), 0);
	assert_int_equal(off, 0);
	off = 1ULL << 40;
	assert_int_equal(fs_op_lseek(s.fs, &s.c, f.node, f.fh, &off, SEEK_DATA), -ENXIO);
	off = UINT64_MAX;
	assert_int_equal(fs_op_lseek(s.fs, &s.c, f.node, f.fh, &off, SEEK_DATA), -ENXIO);
	off = 0;
	assert_int_equal(fs_op_lseek(s.fs, &s.c, f.node, f.fh, &off, SEEK_SET), -EINVAL);
	assert_int_equal(fs_op_lseek(s.fs, &s.c, f.node, f.fh, &off, SEEK_END), -EINVAL);
	assert_int_equal(fs_op_fallocate(s.fs, &s.c, f.node, f.fh, 1 << 20, 4096,
				 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE),
		0);
	assert_int_equal(share_read(&s, f.node, f.fh, buf, 4, 1 << 20), 4);
	assert_memory_equal(buf, "\0\0\0\0", 4);
	assert_int_equal(fs_op_fallocate(s.fs, &s.c, f.node, f.fh, 0, 2 << 20, 0), 0);
	assert_int_equal(share_host_stat(&s, "f").st_size, 2 << 20);
	assert_int_equal(fs_op_fallocate(s.fs, &s.c, f.node, f.fh, UINT64_MAX, 1, 0), -EINVAL);
	assert_int_equal(fs_op_fallocate(s.fs, &s.c, f.node, f.fh, 0, UINT64_MAX, 0), -EINVAL);
	assert_int_equal(fs_op_fallocate(s.fs, &s.c, f.node, f.fh, 0, 0, 0), -EINVAL);
	assert_int_equal(fs_op_fallocate(s.fs, &s.c, f.node, f.fh, 0, 1, 1u << 31), -EINVAL);
	assert_int_equal(fs_op_fallocate(s.fs, &s.c, f.node, f.fh, 0, 1, 1u << 30), -EOPNOTSUPP);
	share_free(&s);
}

static void test_copy(void **state)
{
	static char in[3 << 20], out[3 << 20];
	struct open_file a, b;
	struct op_copy copy;
	struct share s;
	size_t done = 0;

	(void)state;
	share_new(&s, share_config());
	a = share_file(&s, "a", "", O_RDWR);
	b = share_file(&s, "b", "", O_RDWR);
	fill(in, sizeof(in), 3);
	assert_int_equal(fs_op_write(s.fs, &s.c, a.node, a.fh, &(struct iovec){in, sizeof(in)}, 1, 0, 0, 0),
		sizeof(in));
	copy = (struct op_copy){
		.in = a.node, .in_fh = a.fh, .out = b.node, .out_fh = b.fh, .len = sizeof(in)};
	while (done < sizeof(in)) {
		ssize_t r = fs_op_copy_file_range(s.fs, &s.c, &copy);

		assert_true(r > 0);
		done += (size_t)r;
		copy.in_off += (uint64_t)r;
		copy.out_off += (uint64_t)r;
		copy.len -= (uint64_t)r;
	}
	assert_true(s.blocked_io > 0);
	assert_int_equal(share_read(&s, b.node, b.fh, out, sizeof(out), 0), sizeof(out));
	assert_memory_equal(in, out, sizeof(in));
	copy.len = 10;
	assert_int_equal(fs_op_copy_file_range(s.fs, &s.c, &copy), 0); /* at the end */
	copy.in_off = UINT64_MAX;
	assert_int_equal(fs_op_copy_file_range(s.fs, &s.c, &copy), -EINVAL);
	copy.in_off = 0;
	copy.in_fh = b.fh;
	assert_int_equal(fs_op_copy_file_range(s.fs, &s.c, &copy), -EBADF);
	share_free(&s);
}

/* Every op on an open file, with @node and @fh: none may find anything. */
static void expect_nothing(struct share *s, struct nodeid node, struct op_fh fh)
{
	struct op_copy copy = {.in = node, .in_fh = fh, .out = node, .out_fh = fh, .len = 1};
	struct op_lock lk = {.end = 1, .type = F_RDLCK};
	uint64_t off = 0;
	char buf[4];

	assert_int_equal(share_read(s, node, fh, buf, 4, 0), -EBADF);
	assert_int_equal(share_write(s, node, fh, "x", 0, 0), -EBADF);
	assert_int_equal(fs_op_fsync(s->fs, &s->c, node, fh, false), -EBADF);
	assert_int_equal(fs_op_fallocate(s->fs, &s->c, node, fh, 0, 1, 0), -EBADF);
	assert_int_equal(fs_op_lseek(s->fs, &s->c, node, fh, &off, SEEK_DATA), -EBADF);
	assert_int_equal(fs_op_copy_file_range(s->fs, &s->c, &copy), -EBADF);
	assert_int_equal(fs_op_flush(s->fs, &s->c, node, fh, 1), -EBADF);
	assert_int_equal(fs_op_setlk(s->fs, &s->c, node, fh, 1, &lk, false), -EBADF);
	assert_int_equal(fs_op_getlk(s->fs, &s->c, node, fh, 1, &lk), -EBADF);
	assert_int_equal(fs_op_flock(s->fs, &s->c, node, fh, 1, 1), -EBADF);
	assert_int_equal(share_release(s, node, fh), -EBADF);
}

static void test_hostile_handles(void **state)
{
	struct open_file f, g;
	struct share s;
	struct op_fh dir;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "text", O_RDWR);
	g = share_file(&s, "g", "text", O_RDWR);
	assert_int_equal(fs_op_opendir(s.fs, &s.c, NODEID_ROOT, 0, &dir), 0);
	expect_nothing(&s, f.node, g.fh);
	expect_nothing(&s, NODEID_ROOT, f.fh);
	expect_nothing(&s, NODEID_ROOT, dir);
	expect_nothing(&s, (struct nodeid){0}, f.fh);
	expect_nothing(&s, (struct nodeid){UINT64_MAX}, f.fh);
	expect_nothing(&s, f.node, OP_NO_HANDLE);
	expect_nothing(&s, f.node, (struct op_fh){f.fh.v | 1ULL << 32});
	expect_nothing(&s, f.node, (struct op_fh){UINT64_MAX});
	expect_nothing(&s, f.node, (struct op_fh){12345});
	assert_int_equal(share_release(&s, f.node, f.fh), 0);
	expect_nothing(&s, f.node, f.fh);
	share_open(&s, g.node, O_RDWR); /* in the same record */
	expect_nothing(&s, f.node, f.fh);
	expect_nothing(&s, g.node, f.fh);
	share_expect_text(&s, "f", "text");
	share_expect_text(&s, "g", "text");
	share_free(&s);
}

static void test_no_handle(void **state)
{
	struct nodeid file, fifo;
	struct share s;
	char buf[8];

	(void)state;
	share_new(&s, share_config());
	share_host_write(&s, "f", "text");
	assert_int_equal(mkfifoat(s.dirfd, "p", 0644), 0);
	file = share_lookup(&s, "f");
	fifo = share_lookup(&s, "p");
	assert_int_equal(share_read(&s, file, OP_NO_HANDLE, buf, 8, 0), -EBADF);
	share_opens_nothing(&s);
	assert_int_equal(share_read(&s, file, OP_NO_HANDLE, buf, 8, 0), 4);
	assert_int_equal(share_write(&s, file, OP_NO_HANDLE, "+", 4, 0), 1);
	assert_int_equal(share_write(&s, file, OP_NO_HANDLE, "!", 0, O_APPEND), 1);
	assert_int_equal(fs_op_fsync(s.fs, &s.c, file, OP_NO_HANDLE, true), 0);
	assert_int_equal(fs_op_fallocate(s.fs, &s.c, file, OP_NO_HANDLE, 0, 6, 0), 0);
	assert_int_equal(fs_op_flush(s.fs, &s.c, file, OP_NO_HANDLE, 0), 0);
	assert_int_equal(share_read(&s, fifo, OP_NO_HANDLE, buf, 8, 0), -EBADF);
	assert_int_equal(share_write(&s, fifo, OP_NO_HANDLE, "x", 0, 0), -EBADF);
	assert_int_equal(share_read(&s, NODEID_ROOT, OP_NO_HANDLE, buf, 8, 0), -EBADF);
	assert_int_equal(share_read(&s, (struct nodeid){77}, OP_NO_HANDLE, buf, 8, 0), -ESTALE);
	assert_int_equal(share_counts(&s).handles, 0);
	share_expect_text(&s, "f", "text+!");
	s.fs->cfg.readonly = true;
	assert_int_equal(share_write(&s, file, OP_NO_HANDLE, "x", 0, 0), -EROFS);
	share_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fragmented),
		cmocka_unit_test(test_end_of_file),
		cmocka_unit_test(test_cold),
		cmocka_unit_test(test_bad_memory),
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_sync_writes),
		cmocka_unit_test(test_kill_suidgid),
		cmocka_unit_test(test_lone_sgid),
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_hostile_handles),
		cmocka_unit_test(test_no_handle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
