/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole file system: made, used through fs_ops, ended, with nothing left behind. */
#include "fs_fixture.h"

static struct fs *make(const char *dir, struct fs_config cfg, struct segment *seg)
{
	struct segment_plan plan[SEGMENT_SECTIONS] = {0};
	struct fs *fs;

	cfg.root = open(dir, O_PATH | O_CLOEXEC);
	cfg.proc_self_fd = open("/proc/self/fd", O_PATH | O_CLOEXEC);
	fs_plan(&cfg, plan);
	assert_int_equal(segment_create(seg, plan, NULL), 0);
	assert_int_equal(fs_new(&cfg, seg, &fs, NULL), 0);
	return fs;
}

/* A session that ends with lookups, an open file and an open directory. */
static void use(struct fs *fs, struct op_ctx *c)
{
	const struct op_features features = {.posix_locks = true};
	const struct op_mode m = {.mode = S_IFREG | 0644};
	struct op_entry e;
	struct fs_counts n;
	struct op_fh fh;

	assert_int_equal(fs_ops.init(fs, &features), 0);
	assert_int_equal(fs_ops.create(fs, c, NODEID_ROOT, "a", &m, O_RDWR, 0, &e, &fh), 0);
	assert_int_equal(fs_ops.opendir(fs, c, NODEID_ROOT, 0, &fh), 0);
	fs_count(fs, &n);
	assert_int_equal(n.inodes, 2);
	assert_int_equal(n.handles, 2);
	assert_int_equal(n.cached_fds, 2);
	assert_int_equal(fs_ops.unlink(fs, c, NODEID_ROOT, "a"), 0);
	fs_ops.destroy(fs);
	fs_count(fs, &n);
	assert_int_equal(n.inodes, 1);
	assert_int_equal(n.handles, 0);
	assert_int_equal(n.cached_fds, 1);
	assert_int_equal(n.lock_owners, 0);
	assert_int_equal(fs_ops.getattr(fs, c, e.node, OP_NO_HANDLE, 0, &e), -ESTALE);
}

static void test_sessions(void **state)
{
	unsigned int before = process_fds();
	struct op_ctx c = {.uid = geteuid(), .gid = getegid()};
	struct segment seg;
	struct fs *fs;
	char dir[64];

	(void)state;
	fixture_make_dir(dir, sizeof(dir));
	fs = make(dir, fixture_config(), &seg);
	for (int i = 0; i < 3; i++)
		use(fs, &c);
	fs_free(fs);
	segment_close(&seg);
	assert_int_equal(process_fds(), before);
	fixture_remove_dir(dir);
}

/* Every op that the table promises is there. */
static void test_table(void **state)
{
	const char *p = (const char *)&fs_ops;

	(void)state;
	for (size_t off = 0; off < sizeof(fs_ops); off += sizeof(void (*)(void)))
		assert_true(memcmp(p + off, &(void (*)(void)){NULL}, sizeof(void (*)(void))) != 0);
}

/* The largest tables that options allow take address space, not memory. */
static void test_plan(void **state)
{
	struct fs_config cfg = fixture_config();
	struct segment_plan plan[SEGMENT_SECTIONS] = {0};

	(void)state;
	cfg.max_inodes = UINT32_MAX;
	cfg.max_handles = 0;
	fs_plan(&cfg, plan);
	assert_true(plan[SEGMENT_INODES].count == UINT32_MAX);
	assert_true(plan[SEGMENT_HANDLES].count == 2);
	assert_int_equal(plan[SEGMENT_CONN].count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
