/* SPDX-License-Identifier: BSD-3-Clause */
/* Directories: every entry once, whatever goes away meanwhile, at positions old and new; and nothing from
 * above the share. */
#include "fs_share.h"

#include <sys/stat.h>

#define ENTRIES 5000

static int read_at(struct share *s, struct op_fh fh, uint64_t off, struct op_dirent *d)
{
	return fs_op_readdir(s->fs, &s->c, fh, off, d);
}

static struct op_fh open_dir(struct share *s, struct nodeid node)
{
	struct op_fh fh;

	assert_int_equal(fs_op_opendir(s->fs, &s->c, node, O_RDONLY, &fh), 0);
	return fh;
}

static void claim(struct share *s, struct nodeid node, struct op_fh fh)
{
	assert_int_equal(fs_op_dir_lock(s->fs, node, fh), 0);
}

/* Entries from @off to the end, in requests of @step entries. */
static unsigned int count_from(
	struct share *s, struct nodeid node, struct op_fh fh, uint64_t off, unsigned int step)
{
	struct op_dirent d;
	unsigned int n = 0;
	int r = 1;

	while (r) {
		claim(s, node, fh);
		for (unsigned int i = 0; i < step && r; i++) {
			r = read_at(s, fh, off, &d);
			assert_true(r >= 0);
			n += (unsigned int)r;
			if (r)
				off = d.off;
		}
		fs_op_dir_unlock(s->fs, fh);
	}
	return n;
}

static void make_entries(struct share *s, unsigned int n)
{
	char name[32];

	for (unsigned int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "entry-%05u", i);
		assert_int_equal(mknodat(s->dirfd, name, S_IFREG | 0644, 0), 0);
	}
}

static void test_small(void **state)
{
	struct op_dirent d;
	unsigned int seen = 0;
	uint64_t off = 0;
	struct op_fh fh;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	share_host_write(&s, "file", "");
	assert_int_equal(mkdirat(s.dirfd, "dir", 0755), 0);
	assert_int_equal(symlinkat("file", s.dirfd, "link"), 0);
	fh = open_dir(&s, NODEID_ROOT);
	claim(&s, NODEID_ROOT, fh);
	for (; read_at(&s, fh, off, &d); off = d.off) {
		assert_int_equal(d.namelen, strlen(d.name));
		assert_int_equal(d.ino, share_host_stat(&s, strcmp(d.name, "..") ? d.name : ".").st_ino);
		if (!strcmp(d.name, "file"))
			assert_int_equal(d.type, DT_REG);
		else if (!strcmp(d.name, "link"))
			assert_int_equal(d.type, DT_LNK);
		else
			assert_int_equal(d.type, DT_DIR);
		seen++;
	}
	fs_op_dir_unlock(s.fs, fh);
	assert_int_equal(seen, 5);
	share_free(&s);
}

/* ".." of a directory within the share is told as it is. */
static void test_parent(void **state)
{
	struct op_dirent d;
	bool found = false;
	uint64_t off = 0;
	struct nodeid dir;
	struct op_fh fh;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	assert_int_equal(mkdirat(s.dirfd, "dir", 0755), 0);
	dir = share_lookup(&s, "dir");
	fh = open_dir(&s, dir);
	claim(&s, dir, fh);
	for (; read_at(&s, fh, off, &d); off = d.off) {
		if (strcmp(d.name, ".."))
			continue;
		found = true;
		assert_int_equal(d.ino, share_host_stat(&s, ".").st_ino);
	}
	fs_op_dir_unlock(s.fs, fh);
	assert_true(found);
	share_free(&s);
}

static void check_counts(struct share *s)
{
	struct op_fh fh = open_dir(s, NODEID_ROOT), other = open_dir(s, NODEID_ROOT);

	assert_int_equal(count_from(s, NODEID_ROOT, fh, 0, 1000000), ENTRIES + 2);
	assert_int_equal(count_from(s, NODEID_ROOT, other, 0, 37), ENTRIES + 2);
	assert_int_equal(count_from(s, NODEID_ROOT, fh, 0, 1), ENTRIES + 2);
}

/* A reader that removes what it reads, as rm -r does, sees each entry once. */
static void check_removal(struct share *s)
{
	static unsigned char seen[ENTRIES];
	unsigned int n = 0, number;
	struct op_dirent d;
	uint64_t off = 0;
	struct op_fh fh = open_dir(s, NODEID_ROOT);
	int r = 1;

	while (r) {
		claim(s, NODEID_ROOT, fh);
		for (unsigned int i = 0; i < 50; i++) {
			r = read_at(s, fh, off, &d);
			if (!r)
				break;
			off = d.off;
			if (sscanf(d.name, "entry-%u", &number) != 1)
				continue;
			assert_int_equal(seen[number]++, 0);
			assert_int_equal(unlinkat(s->dirfd, d.name, 0), 0);
			n++;
		}
		fs_op_dir_unlock(s->fs, fh);
	}
	assert_int_equal(n, ENTRIES);
}

/* Positions from long ago: seekdir(3), and NFS servers in the guest. */
static void check_old_positions(struct share *s)
{
	static struct {
		uint64_t before;
		char name[32];
	} at[ENTRIES + 2];
	struct op_dirent d;
	unsigned int n = 0;
	uint64_t off = 0;
	struct op_fh fh = open_dir(s, NODEID_ROOT);

	claim(s, NODEID_ROOT, fh);
	for (; read_at(s, fh, off, &d); off = d.off) {
		at[n].before = off;
		snprintf(at[n++].name, sizeof(at[0].name), "%s", d.name);
	}
	assert_int_equal(n, ENTRIES + 2);
	for (unsigned int i = 7; i < n; i = i * 3 + 1) {
		for (int twice = 0; twice < 2; twice++) {
			assert_int_equal(read_at(s, fh, at[n - i].before, &d), 1);
			assert_string_equal(d.name, at[n - i].name);
		}
		assert_int_equal(read_at(s, fh, at[n - i + 1].before, &d), 1);
		assert_string_equal(d.name, at[n - i + 1].name);
		assert_int_equal(read_at(s, fh, at[i].before, &d), 1);
		assert_string_equal(d.name, at[i].name);
	}
	fs_op_dir_unlock(s->fs, fh);
	assert_int_equal(count_from(s, NODEID_ROOT, fh, at[4000].before, 100), n - 4000);
}

/* Making the entries takes longest, so they are made once. */
static void test_many(void **state)
{
	struct share s;

	(void)state;
	share_new(&s, share_config());
	make_entries(&s, ENTRIES);
	check_counts(&s);
	check_old_positions(&s);
	check_removal(&s);
	share_free(&s);
}

static void test_rewind(void **state)
{
	struct op_fh fh;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	make_entries(&s, 10);
	fh = open_dir(&s, NODEID_ROOT);
	assert_int_equal(count_from(&s, NODEID_ROOT, fh, 0, 100), 12);
	share_host_write(&s, "new", "");
	assert_int_equal(unlinkat(s.dirfd, "entry-00003", 0), 0);
	assert_int_equal(unlinkat(s.dirfd, "entry-00004", 0), 0);
	assert_int_equal(count_from(&s, NODEID_ROOT, fh, 0, 100), 11);
	share_free(&s);
}

static void test_hostile(void **state)
{
	struct op_fh fh, gone, any;
	struct open_file f;
	struct op_dirent d;
	struct nodeid dir;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	f = share_file(&s, "f", "", O_RDONLY);
	assert_int_equal(mkdirat(s.dirfd, "dir", 0755), 0);
	dir = share_lookup(&s, "dir");
	fh = open_dir(&s, NODEID_ROOT);
	gone = open_dir(&s, NODEID_ROOT);
	assert_int_equal(fs_op_releasedir(s.fs, &s.c, NODEID_ROOT, gone), 0);
	assert_int_equal(fs_op_dir_lock(s.fs, NODEID_ROOT, gone), -EBADF);
	assert_int_equal(fs_op_releasedir(s.fs, &s.c, NODEID_ROOT, gone), -EBADF);
	assert_int_equal(fs_op_dir_lock(s.fs, f.node, f.fh), -EBADF);
	assert_int_equal(fs_op_dir_lock(s.fs, dir, fh), -EBADF);
	assert_int_equal(fs_op_dir_lock(s.fs, NODEID_ROOT, OP_NO_HANDLE), -EBADF);
	assert_int_equal(fs_op_dir_lock(s.fs, NODEID_ROOT, (struct op_fh){UINT64_MAX}), -EBADF);
	assert_int_equal(fs_op_fsyncdir(s.fs, &s.c, f.node, f.fh, false), -EBADF);
	assert_int_equal(fs_op_fsyncdir(s.fs, &s.c, NODEID_ROOT, fh, true), 0);
	assert_int_equal(fs_op_opendir(s.fs, &s.c, f.node, 0, &any), -ENOTDIR);
	assert_int_equal(fs_op_opendir(s.fs, &s.c, (struct nodeid){99}, 0, &any), -ESTALE);
	claim(&s, NODEID_ROOT, fh);
	assert_int_equal(read_at(&s, fh, 0, &d), 1);
	assert_int_equal(read_at(&s, fh, UINT64_MAX, &d), -EINVAL);
	assert_true(read_at(&s, fh, INT64_MAX, &d) <= 0);
	assert_int_equal(read_at(&s, fh, 0, &d), 1);
	fs_op_dir_unlock(s.fs, fh);
	share_free(&s);
}

/* A buffer ends with its handle, though the record's next handle is of another directory. */
static void test_reuse(void **state)
{
	struct op_fh fh, last = {0};
	struct nodeid dir;
	struct share s;

	(void)state;
	share_new(&s, share_config());
	make_entries(&s, 20);
	assert_int_equal(mkdirat(s.dirfd, "dir", 0755), 0);
	dir = share_lookup(&s, "dir");
	for (int i = 0; i < 4; i++) {
		struct nodeid node = i % 2 ? dir : NODEID_ROOT;

		fh = open_dir(&s, node);
		assert_int_not_equal(fh.v, last.v);
		assert_int_equal((uint32_t)fh.v, i ? (uint32_t)last.v : (uint32_t)fh.v);
		assert_int_equal(count_from(&s, node, fh, 0, 5), i % 2 ? 2 : 23);
		assert_int_equal(fs_op_releasedir(s.fs, &s.c, node, fh), 0);
		last = fh;
	}
	/* Released while it is read: the reader ends in peace. */
	fh = open_dir(&s, NODEID_ROOT);
	claim(&s, NODEID_ROOT, fh);
	assert_int_equal(handle_release(s.fs->handles, NODEID_ROOT, fh, true), 0);
	assert_int_equal(read_at(&s, fh, 0, &(struct op_dirent){0}), 1);
	fs_op_dir_unlock(s.fs, fh);
	assert_int_equal(fs_op_dir_lock(s.fs, NODEID_ROOT, fh), -EBADF);
	assert_int_equal(share_counts(&s).handles, 0);
	share_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_parent),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_rewind),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_reuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
