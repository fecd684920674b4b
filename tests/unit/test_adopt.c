/* SPDX-License-Identifier: BSD-3-Clause */
/* A file system that goes on from the records of one that ended without a word. */
#include "lock_share.h"

#include "base/arith.h"
#include "base/fdmap.h"
#include "fs/lock_table.h"

/* What its process would leave behind: not a leak. */
static void leave(struct fs *fs)
{
	static struct fs *left[64];
	static unsigned int n;

	assert_true(n < ARRAY_LEN(left));
	left[n++] = fs;
}

/* The first is left as it is; descriptors are the same, as it is in one process. */
static void crash(struct share *s)
{
	struct op_features features = {.posix_locks = true, .flock_locks = true, .killpriv_v2 = true};
	struct fs_config cfg = share_config();
	struct err err = {0};

	leave(s->fs);
	cfg.root = open(s->dir, O_PATH | O_CLOEXEC);
	cfg.proc_self_fd = open("/proc/self/fd", O_PATH | O_CLOEXEC);
	s->seg.adopt = true;
	assert_int_equal(fs_new(&cfg, &s->seg, &s->fs, &err), 0);
	assert_int_equal(fs_ops.init(s->fs, &features), 0);
}

static void test_survivors(void **state)
{
	struct fs_counts before, after;
	struct open_file f, gone;
	struct nodeid node;
	struct share s;
	char byte;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "text", O_RDWR);
	gone = share_file(&s, "gone", "left", O_RDWR);
	assert_int_equal(unlinkat(s.dirfd, "gone", 0), 0);
	node = share_lookup(&s, "f");
	assert_int_equal(set(&s, &f, 1, F_WRLCK, 3, 9), 0);
	assert_int_equal(set(&s, &f, 2, F_RDLCK, 20, 29), 0);
	assert_int_equal(set(&s, &f, 2, F_UNLCK, 24, 25), 0);
	before = share_counts(&s);
	crash(&s);
	after = share_counts(&s);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(share_lookup(&s, "f").v, node.v);
	assert_int_equal(get(&s, &f, 3, F_WRLCK, 0, 5).pid, 10);
	assert_int_equal(get(&s, &f, 3, F_WRLCK, 22, 23).pid, 20);
	assert_int_equal(get(&s, &f, 3, F_WRLCK, 24, 25).type, F_UNLCK);
	assert_int_equal(fs_op_read(s.fs, &s.c, gone.node, gone.fh, &(struct iovec){&byte, 1}, 1, 0, 0), 1);
	assert_int_equal(byte, 'l');
	assert_int_equal(fs_op_release(s.fs, &s.c, gone.node, gone.fh, false, 0), 0);
	fs_op_forget(s.fs, gone.node, 1);
	assert_int_equal(
		fs_op_getattr(s.fs, &s.c, gone.node, OP_NO_HANDLE, 0, &(struct op_entry){0}), -ESTALE);
	share_free(&s);
}

/* Lookups are counted through: three before, one after. */
static void test_lookup_count(void **state)
{
	struct nodeid node;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	share_host_write(&s, "f", "text");
	for (int i = 0; i < 3; i++)
		node = share_lookup(&s, "f");
	crash(&s);
	assert_int_equal(share_lookup(&s, "f").v, node.v);
	fs_op_forget(s.fs, node, 3);
	assert_int_equal(fs_op_getattr(s.fs, &s.c, node, OP_NO_HANDLE, 0, &(struct op_entry){0}), 0);
	fs_op_forget(s.fs, node, 1);
	assert_int_equal(fs_op_getattr(s.fs, &s.c, node, OP_NO_HANDLE, 0, &(struct op_entry){0}), -ESTALE);
	assert_int_not_equal(share_lookup(&s, "f").v, node.v);
	share_free(&s);
}

/* As on Linux before 5.8, which has no numbers for mounts. */
static void test_mount_without_number(void **state)
{
	struct mount *m;
	struct nodeid node;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	share_host_write(&s, "f", "text");
	node = share_lookup(&s, "f");
	m = segment_at(&s.seg, SEGMENT_MOUNTS);
	m[MOUNT_ROOT].mnt_id = 0;
	crash(&s);
	assert_int_equal(share_lookup(&s, "f").v, node.v);
	share_free(&s);
}

/* What was cut short: a handle without its inode, an inode that nobody counted. */
static void test_half_records(void **state)
{
	struct handle *h;
	struct inode *i;
	struct open_file f;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "text", O_RDWR);
	h = (struct handle *)segment_at(&s.seg, SEGMENT_HANDLES) + (uint32_t)f.fh.v;
	i = (struct inode *)segment_at(&s.seg, SEGMENT_INODES) + (uint32_t)f.node.v;
	h->node = 0;
	i->nlookup = 0;
	crash(&s);
	assert_int_equal(share_counts(&s).handles, 0);
	assert_int_equal(share_counts(&s).inodes, 1);
	assert_int_equal(fs_op_getattr(s.fs, &s.c, f.node, OP_NO_HANDLE, 0, &(struct op_entry){0}), -ESTALE);
	share_free(&s);
}

/* The state cannot be taken over with @root as the shared directory. */
static void expect_refused(struct share *s, const char *root)
{
	struct fs_config cfg = share_config();
	struct fs *fs;

	cfg.root = open(root, O_PATH | O_CLOEXEC);
	cfg.proc_self_fd = -1;
	s->seg.adopt = true;
	assert_int_equal(fs_new(&cfg, &s->seg, &fs, NULL), -EINVAL);
	close(cfg.root);
}

static void test_refused(void **state)
{
	struct fs_counts before, after;
	struct inode *i;
	struct open_file f;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "text", O_RDWR);
	before = share_counts(&s);
	expect_refused(&s, "/"); /* another root */
	crash(&s);		 /* who was refused has left everything as it was */
	after = share_counts(&s);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(share_lookup(&s, "f").v, f.node.v);
	assert_int_equal(share_write(&s, f.node, f.fh, "more", 0, 0), 4);
	i = (struct inode *)segment_at(&s.seg, SEGMENT_INODES) + (uint32_t)f.node.v;
	i->handle_len = INODE_HANDLE_MAX + 1;
	expect_refused(&s, s.dir);
	leave(s.fs);
	fixture_remove_dir(s.dir);
}

/* A list that leads to where no range ever was. */
static void test_forged_ranges(void **state)
{
	struct fs_config cfg = share_config();
	struct segment_plan owners, ranges;
	struct lock_owner *owner;
	struct idtab_rec *beyond;
	struct open_file f;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "text", O_RDWR);
	assert_int_equal(set(&s, &f, 1, F_WRLCK, 3, 9), 0);
	lock_table_plan(&cfg, &owners, &ranges);
	owner = (struct lock_owner *)segment_at(&s.seg, SEGMENT_LOCK_OWNERS) + 1;
	owner->ranges = (uint32_t)ranges.count - 1;
	beyond = (void *)((char *)segment_at(&s.seg, SEGMENT_LOCK_RANGES) + owner->ranges * ranges.size);
	beyond->state = 1;
	expect_refused(&s, s.dir);
	leave(s.fs);
	fixture_remove_dir(s.dir);
}

static void test_named_descriptors(void **state)
{
	struct fdmap map = {0};
	struct open_file f;
	struct share s;
	int stray;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "text", O_RDWR);
	assert_int_equal(set(&s, &f, 1, F_WRLCK, 3, 9), 0);
	assert_int_equal(fdmap_add_open(&map, 4), 0);
	crash(&s);
	assert_int_equal(fdmap_add(&map, 1), -EINVAL);
	stray = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fs_keep_fds(s.fs, &map), 0);
	assert_true(
		fdmap_has(&map, ((struct handle *)segment_at(&s.seg, SEGMENT_HANDLES))[(uint32_t)f.fh.v].fd));
	assert_false(fdmap_has(&map, stray));
	assert_int_equal(fdmap_add(&map, s.dirfd), 0);
	fdmap_free(&map);
	close(stray);
	share_free(&s);
}

/* Directories that are kept between requests are nobody's in the next process. */
static void test_kept(void **state)
{
	struct nodeid f;
	struct op_fh fh;
	struct share s;
	char byte;

	(void)state;
	share_new(&s, share_config());
	share_opens_nothing(&s);
	share_host_write(&s, "f", "text");
	f = share_lookup(&s, "f");
	for (int i = 0; i < 2; i++)
		assert_int_equal(share_read(&s, f, OP_NO_HANDLE, &byte, 1, 0), 1);
	assert_int_equal(fs_op_opendir(s.fs, &s.c, NODEID_ROOT, 0, &fh), 0);
	assert_int_equal(fs_op_releasedir(s.fs, &s.c, NODEID_ROOT, fh), 0);
	assert_int_equal(share_counts(&s).handles, 1);
	kept_forget(s.fs->kept, f); /* its process's end closes it */
	kept_free(s.fs->kept);
	s.fs->kept = NULL;
	crash(&s);
	share_opens_nothing(&s);
	assert_int_equal(share_counts(&s).handles, 0);
	assert_int_equal(share_read(&s, f, OP_NO_HANDLE, &byte, 1, 0), 1);
	share_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_survivors),
		cmocka_unit_test(test_lookup_count),
		cmocka_unit_test(test_mount_without_number),
		cmocka_unit_test(test_half_records),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_forged_ranges),
		cmocka_unit_test(test_named_descriptors),
		cmocka_unit_test(test_kept),
	};

	waiter_setup();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
