/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on open files: data in both directions, and everything around it. */
#include "test.h"

#include <linux/falloc.h>
#include <time.h>

#define MIB (1u << 20)

static uint8_t big[4 * MIB], got[4 * MIB];

static void read_write_sizes(void **state)
{
	static const size_t size[] = {1, 4095, 4096, 4097, 65536, 100001, MIB};
	struct test *t = *state;
	struct fc_file f = guest_create(t, "f", O_RDWR);

	for (unsigned int i = 0; i < ARRAY_LEN(size); i++) {
		test_pattern(big, size[i], i);
		LEN(fc_write(t->c, f, big, size[i], 0), size[i]);
		memset(got, 0, size[i]);
		LEN(fc_read(t->c, f, got, size[i], 0), size[i]);
		assert_memory_equal(got, big, size[i]);
		host_expect_file(t->host, "f", big, size[i]);
	}
	OK(fc_release(t->c, f));
}

static void read_at_the_end(void **state)
{
	struct test *t = *state;
	struct fc_file f;
	char buf[100];

	host_write_file(t->host, "f", "0123456789", 10);
	f = guest_open(t, "f", O_RDONLY);
	LEN(fc_read(t->c, f, buf, 100, 0), 10);
	LEN(fc_read(t->c, f, buf, 100, 7), 3);
	assert_memory_equal(buf, "789", 3);
	LEN(fc_read(t->c, f, buf, 100, 10), 0);
	LEN(fc_read(t->c, f, buf, 100, 1ull << 40), 0);
	ERR(fc_write(t->c, f, buf, 1, 0), EBADF);
	OK(fc_release(t->c, f));
	assert_true(fc_read(t->c, f, buf, 1, 0) < 0);
}

static void read_beyond_a_mebibyte(void **state)
{
	struct test *t = *state;
	struct fc_file f;

	test_pattern(big, sizeof(big), 9);
	host_write_file(t->host, "f", big, sizeof(big));
	f = guest_open(t, "f", O_RDONLY);
	memset(got, 0, sizeof(got));
	LEN(fc_read(t->c, f, got, 2 * MIB, 0), 2 * MIB);
	assert_memory_equal(got, big, 2 * MIB);
	LEN(fc_read(t->c, f, got, 2 * MIB, 3 * MIB), MIB);
	assert_memory_equal(got, big + 3 * MIB, MIB);
	OK(fc_release(t->c, f));
}

/* Many requests in flight, in one file, come out in their places. */
static void deep_write(void **state)
{
	struct test *t = *state;
	struct fc_file f = guest_create(t, "f", O_RDWR);
	struct fuse_write_in in[8];
	struct fc_op op[8];

	test_pattern(big, MIB, 77);
	for (unsigned int i = 0; i < 8; i++) {
		unsigned int at = (i * 3 % 8) * (MIB / 8);

		fc_op_write(&op[i], &in[i], f, MIB / 8, at);
		op[i].data = big + at;
		OK(fc_start(t->c, &op[i]));
	}
	for (unsigned int i = 0; i < 8; i++)
		LEN(fc_wait(t->c, &op[i]), sizeof(struct fuse_write_out));
	host_expect_file(t->host, "f", big, MIB);
	OK(fc_release(t->c, f));
}

static void open_flags(void **state)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT | O_EXCL, .mode = S_IFREG | 0600};
	struct test *t = *state;
	struct fc_created cr;
	struct fc_file f;
	char buf[4];

	host_write_file(t->host, "f", "abc", 3);
	ERR(fc_create(t->c, t->dir, "f", &in, &cr), EEXIST);
	in.flags = O_RDWR | O_CREAT;
	OK(fc_create(t->c, t->dir, "f", &in, &cr)); /* it came to be meanwhile */
	LEN(fc_read(t->c, (struct fc_file){cr.entry.nodeid, cr.open.fh}, buf, 3, 0), 3);
	OK(fc_release(t->c, (struct fc_file){cr.entry.nodeid, cr.open.fh}));
	f = guest_open(t, "f", O_WRONLY | O_TRUNC);
	assert_int_equal(host_stat(t->host, "f").st_size, 0);
	LEN(fc_write(t->c, f, "x", 1, 0), 1);
	OK(fc_release(t->c, f));
	f = guest_open(t, "f", O_WRONLY | O_APPEND);
	LEN(fc_write(t->c, f, "yz", 2, 1), 2); /* a guest says where the end is */
	OK(fc_release(t->c, f));
	host_expect_file(t->host, "f", "xyz", 3);
}

static void flush_fsync(void **state)
{
	struct test *t = *state;
	struct fc_file f = guest_create(t, "f", O_RDWR);

	LEN(fc_write(t->c, f, "data", 4, 0), 4);
	OK(fc_flush(t->c, f, 1));
	OK(fc_fsync(t->c, f, true));
	OK(fc_fsync(t->c, f, false));
	OK(fc_syncfs(t->c));
	OK(fc_release(t->c, f));
	assert_true(fc_flush(t->c, f, 1) < 0);
	assert_true(fc_fsync(t->c, f, false) < 0);
	assert_true(fc_release(t->c, f) < 0);
	host_expect_file(t->host, "f", "data", 4);
}

static void fallocate_modes(void **state)
{
	struct test *t = *state;
	struct fc_file f = guest_create(t, "f", O_RDWR);

	OK(fc_fallocate(t->c, f, 0, 16384, 0));
	assert_int_equal(host_stat(t->host, "f").st_size, 16384);
	memset(big, 'x', 16384);
	LEN(fc_write(t->c, f, big, 16384, 0), 16384);
	OK(fc_fallocate(t->c, f, 4096, 4096, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE));
	OK(fc_fallocate(t->c, f, 16384, 4096, FALLOC_FL_KEEP_SIZE));
	memset(big + 4096, 0, 4096);
	host_expect_file(t->host, "f", big, 16384);
	assert_true(fc_fallocate(t->c, f, 0, 0, 0) < 0);
	assert_true(fc_fallocate(t->c, f, 1ull << 63, 1, 0) < 0);
	OK(fc_release(t->c, f));
}

static void lseek_finds_holes(void **state)
{
	struct test *t = *state;
	struct fc_file f = guest_create(t, "f", O_RDWR);
	autofd int fd = openat(t->host, "f", O_RDONLY | O_CLOEXEC);
	uint64_t off = 0;

	LEN(fc_write(t->c, f, "x", 1, 1u << 20), 1);
	OK(fc_fsync(t->c, f, false));
	OK(fc_lseek(t->c, f, &off, SEEK_DATA));
	assert_int_equal(off, lseek(fd, 0, SEEK_DATA));
	off = 0;
	OK(fc_lseek(t->c, f, &off, SEEK_HOLE));
	assert_int_equal(off, 0);
	off = 2u << 20;
	ERR(fc_lseek(t->c, f, &off, SEEK_DATA), ENXIO);
	OK(fc_release(t->c, f));
}

static void copy_range(struct test *t,
	ssize_t (*copy)(struct fuse_client *, const struct fuse_copy_file_range_in *, uint64_t))
{
	struct fuse_copy_file_range_in in = {.off_in = 100, .off_out = 5, .len = 50000};
	struct fc_file from, to;
	uint64_t done = 0;

	test_pattern(big, 100000, 5);
	host_write_file(t->host, "from", big, 100000);
	from = guest_open(t, "from", O_RDONLY);
	to = guest_create(t, "to", O_RDWR);
	in.fh_in = from.fh;
	in.fh_out = to.fh;
	in.nodeid_out = to.node;
	while (done < 50000) {
		ssize_t n = copy(t->c, &in, from.node);

		assert_true(n > 0);
		done += (uint64_t)n;
		in.off_in += (uint64_t)n;
		in.off_out += (uint64_t)n;
		in.len -= (uint64_t)n;
	}
	memset(got, 0, 5);
	memcpy(got + 5, big + 100, 50000);
	host_expect_file(t->host, "to", got, 50005);
	in.flags = 1;
	in.len = 1;
	ERR(copy(t->c, &in, from.node), EINVAL);
	OK(fc_release(t->c, from));
	OK(fc_release(t->c, to));
}

static void copy_file_range_copies(void **state)
{
	copy_range(*state, fc_copy);
}

static void copy_file_range_64_copies(void **state)
{
	copy_range(*state, fc_copy_64);
}

static void tmpfile_gets_a_name(void **state)
{
	struct fuse_create_in in = {.flags = O_RDWR, .mode = S_IFREG | 0600};
	struct test *t = *state;
	struct fuse_entry_out e;
	struct fc_created cr;
	struct fc_file f;

	OK(fc_tmpfile(t->c, t->dir, &in, &cr));
	f = (struct fc_file){cr.entry.nodeid, cr.open.fh};
	assert_int_equal(cr.entry.attr.nlink, 0);
	LEN(fc_write(t->c, f, "tmp", 3, 0), 3);
	OK(fc_link(t->c, f.node, t->dir, "named", &e));
	host_expect_file(t->host, "named", "tmp", 3);
	OK(fc_release(t->c, f));
}

/* Handles that were never given, of another node, of a directory. */
static void invented_handles(void **state)
{
	struct test *t = *state;
	struct fc_file f = guest_create(t, "f", O_RDWR);
	struct fuse_open_out d;
	struct fc_file bad[] = {
		{f.node, 0}, {f.node, ~0ull}, {f.node, f.fh + 1000}, {t->dir, f.fh}, {f.node, 0}};
	char buf[4];

	OK(fc_opendir(t->c, t->dir, &d));
	bad[4].fh = d.fh;
	for (unsigned int i = 0; i < ARRAY_LEN(bad); i++) {
		assert_true(fc_read(t->c, bad[i], buf, 4, 0) < 0);
		assert_true(fc_write(t->c, bad[i], "x", 1, 0) < 0);
		assert_true(fc_fallocate(t->c, bad[i], 0, 10, 0) < 0);
	}
	OK(fc_releasedir(t->c, (struct fc_file){t->dir, d.fh}));
	OK(fc_release(t->c, f));
}

/* Offsets and sizes at the borders of what a file can have. */
static void extreme_offsets(void **state)
{
	static const uint64_t off[] = {1ull << 63, ~0ull, FC_OFFSET_MAX, FC_OFFSET_MAX - 1, ~0ull - 4095};
	struct test *t = *state;
	struct fc_file f = guest_create(t, "f", O_RDWR);
	char buf[8192] = {0};

	for (unsigned int i = 0; i < ARRAY_LEN(off); i++) {
		ssize_t n = fc_read(t->c, f, buf, sizeof(buf), off[i]);

		assert_true(n <= 0 && n != -ETIMEDOUT && n != -EPROTO);
		n = fc_write(t->c, f, buf, sizeof(buf), off[i]);
		assert_true(n < 0 && n != -ETIMEDOUT && n != -EPROTO);
	}
	assert_int_equal(host_stat(t->host, "f").st_size, 0);
	OK(fc_release(t->c, f));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(read_write_sizes),
		TEST(read_at_the_end),
		TEST(read_beyond_a_mebibyte),
		TEST(deep_write),
		TEST(open_flags),
		TEST(flush_fsync),
		TEST(fallocate_modes),
		TEST(lseek_finds_holes),
		TEST(copy_file_range_copies),
		TEST(copy_file_range_64_copies),
		TEST(tmpfile_gets_a_name),
		TEST(invented_handles),
		TEST(extreme_offsets),
	};
	static const struct vm_config cfg = {.client = {.max_data = 2 * MIB}};

	return TEST_RUN(tests, TEST_ALL, &cfg, NULL);
}
