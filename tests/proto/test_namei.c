/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on names: what the guest asks for is what the host's directory then shows. */
#include "test.h"

#include <sys/sysmacros.h>

static void lookup_finds(void **state)
{
	struct test *t = *state;
	struct fuse_entry_out e, again;
	struct stat st;

	host_write_file(t->host, "file", "abc", 3);
	OK(fc_lookup(t->c, t->dir, "file", &e));
	st = host_stat(t->host, "file");
	expect_same_attr(&e.attr, &st);
	assert_true(e.nodeid > FUSE_ROOT_ID);
	OK(fc_lookup(t->c, t->dir, "file", &again));
	assert_int_equal(again.nodeid, e.nodeid);
	OK(fc_forget(t->hip, e.nodeid, 2));
}

static void lookup_refuses_names(void **state)
{
	static const char *const bad[] = {"a/b", "/", "/etc", "../x"};
	struct test *t = *state;
	struct fuse_entry_out e;
	char name[300] = {0};

	ERR(fc_lookup(t->c, t->dir, "nothing", &e), ENOENT);
	for (unsigned int i = 0; i < ARRAY_LEN(bad); i++)
		assert_true(fc_lookup(t->c, t->dir, bad[i], &e) < 0);
	assert_true(fc_lookup(t->c, t->dir, "", &e) < 0);
	memset(name, 'x', 256);
	ERR(fc_lookup(t->c, t->dir, name, &e), ENAMETOOLONG);
	name[255] = 0;
	ERR(fc_lookup(t->c, t->dir, name, &e), ENOENT);
}

/* "." and ".." are never names of anything: EXPORT_SUPPORT is not negotiated. */
static void dots_are_refused(void **state)
{
	static const char *const dots[] = {".", ".."};
	struct test *t = *state;
	struct fuse_entry_out e;

	for (unsigned int i = 0; i < ARRAY_LEN(dots); i++) {
		assert_true(fc_lookup(t->c, FUSE_ROOT_ID, dots[i], &e) < 0);
		assert_true(fc_mkdir(t->c, t->dir, dots[i], 0755, &e) < 0);
		assert_true(fc_rmdir(t->c, t->dir, dots[i]) < 0);
		assert_true(fc_unlink(t->c, t->dir, dots[i]) < 0);
		assert_true(fc_symlink(t->c, t->dir, dots[i], "x", &e) < 0);
		assert_true(fc_rename(t->c, t->dir, dots[i], t->dir, "x") < 0);
	}
	assert_true(host_exists(t->vm.daemon.share, t->name));
}

/* A name with a slash stays inside its directory in every request that makes, moves or removes names. */
static void slashes_are_refused(void **state)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0644};
	struct fuse_mknod_in nod = {.mode = S_IFREG | 0644};
	struct fuse_rename2_in re = {.flags = 0};
	struct test *t = *state;
	struct fuse_entry_out e;
	struct fc_created cr;
	uint64_t node;

	host_write_file(t->vm.daemon.share, "victim", "v", 1);
	host_write_file(t->host, "mine", "m", 1);
	node = guest_lookup(t, "mine");
	re.newdir = t->dir;
	assert_true(fc_unlink(t->c, t->dir, "../victim") < 0);
	assert_true(fc_rename(t->c, t->dir, "../victim", t->dir, "v") < 0);
	assert_true(fc_rename(t->c, t->dir, "mine", t->dir, "../victim") < 0);
	assert_true(fc_rename2(t->c, t->dir, "mine", &re, "../v2") < 0);
	assert_true(fc_mkdir(t->c, t->dir, "../d", 0755, &e) < 0);
	assert_true(fc_mknod(t->c, t->dir, "../n", &nod, &e) < 0);
	assert_true(fc_symlink(t->c, t->dir, "../s", "t", &e) < 0);
	assert_true(fc_symlink(t->c, t->dir, "/tmp/colofs-absolute-name", "t", &e) < 0);
	assert_true(fc_link(t->c, node, t->dir, "../l", &e) < 0);
	assert_true(fc_create(t->c, t->dir, "../c", &in, &cr) < 0);
	assert_true(fc_create(t->c, t->dir, "../victim", &in, &cr) < 0);
	host_expect_file(t->vm.daemon.share, "victim", "v", 1);
	host_expect_file(t->host, "mine", "m", 1);
	assert_false(host_exists(t->vm.daemon.share, "d"));
	assert_false(host_exists(t->vm.daemon.share, "c"));
	assert_false(host_exists(AT_FDCWD, "/tmp/colofs-absolute-name"));
	unlinkat(t->vm.daemon.share, "victim", 0);
}

static void mkdir_rmdir(void **state)
{
	struct test *t = *state;
	struct fuse_entry_out e;
	struct stat st;

	OK(fc_mkdir(t->c, t->dir, "d", 0750, &e));
	st = host_stat(t->host, "d");
	assert_int_equal(st.st_mode, S_IFDIR | 0750);
	expect_same_attr(&e.attr, &st);
	ERR(fc_mkdir(t->c, t->dir, "d", 0750, &e), EEXIST);
	ERR(fc_unlink(t->c, t->dir, "d"), EISDIR);
	OK(fc_rmdir(t->c, t->dir, "d"));
	assert_false(host_exists(t->host, "d"));
	ERR(fc_rmdir(t->c, t->dir, "d"), ENOENT);
}

static void mknod_kinds(void **state)
{
	static const struct {
		uint32_t mode, rdev;
	} kind[] = {
		{S_IFREG | 0640, 0}, {S_IFIFO | 0600, 0}, {S_IFSOCK | 0755, 0}, {S_IFCHR | 0666, 1 << 8 | 3}};
	struct test *t = *state;

	for (unsigned int i = 0; i < ARRAY_LEN(kind); i++) {
		struct fuse_mknod_in in = {.mode = kind[i].mode, .rdev = kind[i].rdev};
		struct fuse_entry_out e;
		struct stat st;
		int r = fc_mknod(t->c, t->dir, "n", &in, &e);

		if (r == -EPERM && S_ISCHR(in.mode))
			continue; /* a sandbox without CAP_MKNOD */
		OK(r);
		st = host_stat(t->host, "n");
		assert_int_equal(st.st_mode, kind[i].mode);
		expect_same_attr(&e.attr, &st);
		OK(fc_unlink(t->c, t->dir, "n"));
	}
}

/* Special files are known, but never opened on the host. */
static void special_files_stay_closed(void **state)
{
	struct fuse_mknod_in in = {.mode = S_IFIFO | 0600};
	struct test *t = *state;
	struct fuse_entry_out e;
	struct fuse_open_out o;

	OK(fc_mknod(t->c, t->dir, "fifo", &in, &e));
	assert_true(fc_open(t->c, e.nodeid, O_RDONLY, &o) < 0);
	assert_true(fc_open(t->c, e.nodeid, O_WRONLY, &o) < 0);
	if (mknodat(t->host, "null", S_IFCHR | 0666, makedev(1, 3)))
		return;
	OK(fc_lookup(t->c, t->dir, "null", &e));
	assert_true(fc_open(t->c, e.nodeid, O_RDONLY, &o) < 0);
}

static void symlink_readlink(void **state)
{
	struct test *t = *state;
	struct fuse_entry_out e;
	char target[4096], buf[4097];

	memset(target, 'y', sizeof(target));
	target[4095] = 0;
	OK(fc_symlink(t->c, t->dir, "long", target, &e));
	LEN(fc_readlink(t->c, e.nodeid, buf, sizeof(buf) - 1), 4095);
	assert_memory_equal(buf, target, 4095);
	OK(fc_symlink(t->c, t->dir, "abs", "/no/such/../place", &e));
	assert_int_equal(e.attr.mode, S_IFLNK | 0777);
	LEN(readlinkat(t->host, "abs", buf, sizeof(buf)), 17);
	LEN(fc_readlink(t->c, e.nodeid, buf, 4096), 17);
	assert_memory_equal(buf, "/no/such/../place", 17);
	ERR(fc_symlink(t->c, t->dir, "abs", "x", &e), EEXIST);
	host_write_file(t->host, "plain", "", 0);
	assert_true(fc_readlink(t->c, guest_lookup(t, "plain"), buf, 4096) < 0);
}

/* A symlink is never followed, wherever it leads. */
static void symlinks_are_not_followed(void **state)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0644};
	struct test *t = *state;
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fc_created cr;

	OK(fc_symlink(t->c, t->dir, "out", "/etc", &e));
	assert_int_equal(e.attr.mode & S_IFMT, S_IFLNK);
	assert_true(fc_opendir(t->c, e.nodeid, &o) < 0);
	assert_true(fc_open(t->c, e.nodeid, O_RDONLY, &o) < 0);
	assert_true(fc_lookup(t->c, e.nodeid, "passwd", &e) < 0);
	OK(fc_symlink(t->c, t->dir, "file", "made-through-a-link", &e));
	assert_true(fc_create(t->c, t->dir, "file", &in, &cr) < 0);
	assert_false(host_exists(t->host, "made-through-a-link"));
}

static void link_counts(void **state)
{
	struct test *t = *state;
	struct fuse_entry_out e;
	uint64_t node;

	host_write_file(t->host, "one", "x", 1);
	node = guest_lookup(t, "one");
	OK(fc_link(t->c, node, t->dir, "two", &e));
	assert_int_equal(e.nodeid, node);
	assert_int_equal(e.attr.nlink, 2);
	assert_int_equal(host_stat(t->host, "two").st_ino, host_stat(t->host, "one").st_ino);
	ERR(fc_link(t->c, node, t->dir, "two", &e), EEXIST);
	OK(fc_unlink(t->c, t->dir, "one"));
	assert_int_equal(host_stat(t->host, "two").st_nlink, 1);
	OK(fc_symlink(t->c, t->dir, "sym", "two", &e));
	OK(fc_link(t->c, e.nodeid, t->dir, "sym2", &e));
	assert_true(S_ISLNK(host_stat(t->host, "sym2").st_mode));
}

static void rename_forms(void **state)
{
	struct fuse_rename2_in in = {.flags = RENAME_NOREPLACE};
	struct test *t = *state;
	struct fuse_entry_out d;

	OK(fc_mkdir(t->c, t->dir, "d", 0755, &d));
	host_write_file(t->host, "a", "a", 1);
	host_write_file(t->host, "b", "b", 1);
	OK(fc_rename(t->c, t->dir, "a", d.nodeid, "a2"));
	host_expect_file(t->host, "d/a2", "a", 1);
	in.newdir = d.nodeid;
	ERR(fc_rename2(t->c, t->dir, "b", &in, "a2"), EEXIST);
	in.flags = RENAME_EXCHANGE;
	OK(fc_rename2(t->c, t->dir, "b", &in, "a2"));
	host_expect_file(t->host, "b", "a", 1);
	host_expect_file(t->host, "d/a2", "b", 1);
	in.flags = 0;
	OK(fc_rename2(t->c, t->dir, "b", &in, "a2"));
	host_expect_file(t->host, "d/a2", "a", 1);
	assert_false(host_exists(t->host, "b"));
	in.flags = RENAME_NOREPLACE | RENAME_EXCHANGE;
	ERR(fc_rename2(t->c, d.nodeid, "a2", &in, "a2"), EINVAL);
	ERR(fc_rename(t->c, t->dir, "d", d.nodeid, "inside"), EINVAL);
}

static void rename_whiteout(void **state)
{
	struct fuse_rename2_in in = {.flags = RENAME_WHITEOUT};
	struct test *t = *state;
	struct stat st;
	int r;

	host_write_file(t->host, "a", "a", 1);
	in.newdir = t->dir;
	r = fc_rename2(t->c, t->dir, "a", &in, "b");
	if (r == -EPERM || r == -EINVAL)
		skip(); /* no CAP_MKNOD, or a host file system without whiteouts */
	OK(r);
	st = host_stat(t->host, "a");
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == 0);
	host_expect_file(t->host, "b", "a", 1);
}

/* The guest's inode lives on after its name, as long as it is not forgotten; then its nodeid names nothing.
 */
static void nodes_outlive_names(void **state)
{
	struct test *t = *state;
	struct fuse_attr_out a;
	uint64_t node;
	struct fc_file f;
	char buf[4];

	host_write_file(t->host, "gone", "abc", 3);
	f = guest_open(t, "gone", O_RDONLY);
	node = f.node;
	OK(fc_unlink(t->c, t->dir, "gone"));
	OK(fc_getattr(t->c, node, f.fh, &a));
	assert_int_equal(a.attr.nlink, 0);
	LEN(fc_read(t->c, f, buf, 4, 0), 3);
	OK(fc_release(t->c, f));
	OK(fc_forget(t->hip, node, 1));
	assert_true(fc_getattr(t->c, node, 0, &a) < 0);
}

static void batch_forget(void **state)
{
	struct fuse_forget_one one[50];
	struct test *t = *state;
	struct fuse_attr_out a;
	char name[16];

	for (unsigned int i = 0; i < ARRAY_LEN(one); i++) {
		snprintf(name, sizeof(name), "f%u", i);
		host_write_file(t->host, name, name, 2);
		one[i] = (struct fuse_forget_one){guest_lookup(t, name), 1};
	}
	OK(fc_batch_forget(t->hip, one, ARRAY_LEN(one)));
	for (unsigned int i = 0; i < ARRAY_LEN(one); i++)
		assert_true(fc_getattr(t->c, one[i].nodeid, 0, &a) < 0);
	/* Too much given back, of unknown nodes, of the root: nothing comes of it. */
	one[0] = (struct fuse_forget_one){FUSE_ROOT_ID, 1000};
	one[1] = (struct fuse_forget_one){t->dir + 12345678, ~0ull};
	OK(fc_batch_forget(t->hip, one, ARRAY_LEN(one)));
	OK(fc_getattr(t->c, FUSE_ROOT_ID, 0, &a));
	OK(fc_getattr(t->c, t->dir, 0, &a));
}

/* What a user in the guest makes belongs to him. */
static void owner_is_the_caller(void **state)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0644};
	struct test *t = *state;
	struct fuse_entry_out e;
	struct fc_created cr;
	struct stat st;

	assert_int_equal(fchmod(t->host, 0777), 0);
	t->c->uid = 1234;
	t->c->gid = 4321;
	OK(fc_mkdir(t->c, t->dir, "d", 0755, &e));
	OK(fc_create(t->c, t->dir, "f", &in, &cr));
	OK(fc_symlink(t->c, t->dir, "s", "x", &e));
	for (const char *p = "dfs"; *p; p++) {
		st = host_stat(t->host, (char[]){*p, 0});
		assert_int_equal(st.st_uid, 1234);
		assert_int_equal(st.st_gid, 4321);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(lookup_finds),
		TEST(lookup_refuses_names),
		TEST(dots_are_refused),
		TEST(slashes_are_refused),
		TEST(mkdir_rmdir),
		TEST(mknod_kinds),
		TEST(special_files_stay_closed),
		TEST(symlink_readlink),
		TEST(symlinks_are_not_followed),
		TEST(link_counts),
		TEST(rename_forms),
		TEST(rename_whiteout),
		TEST(nodes_outlive_names),
		TEST(batch_forget),
		TEST(owner_is_the_caller),
	};

	return TEST_RUN(tests, TEST_ALL, NULL, NULL);
}
