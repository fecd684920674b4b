/* SPDX-License-Identifier: BSD-3-Clause */
/* The inode table: identity, budget of descriptors, lookups, hostile nodeids. */
#include "fs_fixture.h"

#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

#include "base/arith.h"
#include "base/tune.h"
#include "fs/inode_table.h"

static void test_root(void **state)
{
	struct inode_use u = {0};
	struct fixture x;

	(void)state;
	fixture_new(&x, fixture_config());
	assert_int_equal(inode_use(x.fs.inodes, NODEID_ROOT, &u), 0);
	assert_int_equal(u.inode->key.ino, host_stat(&x, ".").stx_ino);
	assert_int_equal(u.inode->key.type, S_IFDIR);
	inode_use_end(&u);
	inode_forget(x.fs.inodes, NODEID_ROOT, 1000);
	assert_int_equal(inode_use(x.fs.inodes, NODEID_ROOT, &u), 0);
	inode_use_end(&u);
	fixture_free(&x);
}

static void test_hard_links(void **state)
{
	struct op_entry a, b, other;
	struct fixture x;

	(void)state;
	fixture_new(&x, fixture_config());
	host_write(&x, "a", "text");
	host_write(&x, "other", "text");
	assert_int_equal(linkat(x.dirfd, "a", x.dirfd, "b", 0), 0);
	a = must_lookup(&x, "a");
	b = must_lookup(&x, "b");
	other = must_lookup(&x, "other");
	assert_int_equal(a.node.v, b.node.v);
	assert_int_not_equal(a.node.v, other.node.v);
	assert_int_equal(count_inodes(&x), 3);
	fixture_free(&x);
}

static void test_forget(void **state)
{
	struct op_entry a;
	struct fixture x;

	(void)state;
	fixture_new(&x, fixture_config());
	host_write(&x, "a", "text");
	for (int i = 0; i < 5; i++)
		a = must_lookup(&x, "a");
	inode_forget(x.fs.inodes, a.node, 4);
	assert_true(reads(&x, a.node, "text"));
	inode_forget(x.fs.inodes, a.node, 1000);
	assert_int_equal(count_inodes(&x), 1);
	assert_int_equal(count_fds(&x), 1);
	assert_false(reads(&x, a.node, "text"));
	inode_forget(x.fs.inodes, a.node, 1);
	assert_int_not_equal(must_lookup(&x, "a").node.v, a.node.v);
	fixture_free(&x);
}

/* The record outlives the last lookup as long as somebody uses it, and its descriptor with it. */
static void test_forget_in_use(void **state)
{
	struct inode_use u = {0};
	struct op_entry a;
	struct fixture x;
	struct statx st;

	(void)state;
	fixture_new(&x, fixture_config());
	host_write(&x, "a", "text");
	a = must_lookup(&x, "a");
	assert_int_equal(inode_use(x.fs.inodes, a.node, &u), 0);
	inode_forget(x.fs.inodes, a.node, 1);
	inode_forget(x.fs.inodes, a.node, 1);
	assert_int_equal(statx(u.fd, "", AT_EMPTY_PATH, STATX_INO, &st), 0);
	assert_int_equal(st.stx_ino, a.st.stx_ino);
	assert_int_not_equal(must_lookup(&x, "a").node.v, a.node.v);
	inode_use_end(&u);
	assert_false(reads(&x, a.node, "text"));
	assert_int_equal(count_inodes(&x), 2);
	fixture_free(&x);
}

static void test_hostile_nodeids(void **state)
{
	static const uint64_t bad[] = {0, 2, 1000, 1001, 1002, UINT32_MAX, UINT64_MAX, 1ULL << 32,
		1ULL << 32 | 1, 1ULL << 63, 0xdeadbeefcafebabe};
	struct inode_use u = {0};
	struct op_entry a;
	struct fixture x;

	(void)state;
	fixture_new(&x, fixture_config());
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct nodeid n = {bad[i]};

		assert_null(inode_get(x.fs.inodes, n));
		assert_int_equal(inode_use(x.fs.inodes, n, &u), -ESTALE);
		inode_forget(x.fs.inodes, n, UINT64_MAX);
	}
	host_write(&x, "a", "text");
	a = must_lookup(&x, "a");
	assert_null(inode_get(x.fs.inodes, (struct nodeid){a.node.v + (1ULL << 32)}));
	inode_forget(x.fs.inodes, a.node, 1);
	assert_int_equal(inode_use(x.fs.inodes, a.node, &u), -ESTALE);
	fixture_free(&x);
}

static void need_handles(struct fixture *x)
{
	if (has_handles(x))
		return;
	fixture_free(x);
	print_message("skipped: no file handles in the directory for temporary files\n");
	skip();
}

static void make_numbered(struct fixture *x, int n)
{
	char name[16];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		host_write(x, name, name);
	}
}

/* From f@from on, up to f@to: the last of them. */
static struct op_entry look_up_numbered(struct fixture *x, int from, int to)
{
	struct op_entry e = {0};
	char name[16];

	for (int i = from; i < to; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		e = must_lookup(x, name);
	}
	return e;
}

static void test_eviction(void **state)
{
	enum { FILES = 1000, MAX_FDS = 4 };
	struct fs_config cfg = fixture_config();
	struct nodeid node[FILES];
	unsigned int before;
	struct fixture x;
	char name[16];

	(void)state;
	cfg.max_fds = MAX_FDS;
	cfg.max_inodes = FILES + 10;
	fixture_new(&x, cfg);
	need_handles(&x);
	make_numbered(&x, FILES);
	before = process_fds();
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		node[i] = must_lookup(&x, name).node;
		assert_true(count_fds(&x) <= MAX_FDS + 1); /* and the root's */
	}
	assert_true(process_fds() <= before + MAX_FDS);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%d", i * 7 % FILES);
		assert_true(reads(&x, node[i * 7 % FILES], name));
		assert_int_equal(must_lookup(&x, name).node.v, node[i * 7 % FILES].v);
	}
	assert_true(process_fds() <= before + MAX_FDS);
	assert_int_equal(count_inodes(&x), FILES + 1);
	inode_forget_all(x.fs.inodes);
	assert_int_equal(count_inodes(&x), 1);
	fixture_free(&x);
}

/* A file that is gone from the host while no descriptor holds it. */
static void test_stale(void **state)
{
	struct fs_config cfg = fixture_config();
	struct inode_use u = {0};
	struct nodeid old;
	struct fixture x;
	uint64_t ino;
	bool reused = false;

	(void)state;
	cfg.max_fds = 1;
	fixture_new(&x, cfg);
	need_handles(&x);
	host_write(&x, "other", "");
	host_write(&x, "a", "old");
	old = must_lookup(&x, "a").node;
	ino = host_stat(&x, "a").stx_ino;
	must_lookup(&x, "other");
	must_lookup(&x, "probe");
	closing_flush();
	assert_int_equal(unlinkat(x.dirfd, "a", 0), 0);
	assert_int_equal(inode_use(x.fs.inodes, old, &u), -ESTALE);
	for (int i = 0; i < 200 && !reused; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%d", i);
		host_write(&x, name, "new");
		reused = host_stat(&x, name).stx_ino == ino;
		if (reused) {
			assert_int_not_equal(must_lookup(&x, name).node.v, old.v);
			assert_int_equal(inode_use(x.fs.inodes, old, &u), -ESTALE);
		}
	}
	if (!reused)
		print_message("the inode number was not reused here\n");
	fixture_free(&x);
}

/* Inodes that come and go cost those that stay no descriptor. */
static void test_churn(void **state)
{
	struct fs_config cfg = fixture_config();
	struct fixture x;

	(void)state;
	cfg.max_fds = 8;
	fixture_new(&x, cfg);
	host_write(&x, "stays", "stays");
	host_write(&x, "also", "also");
	host_write(&x, "goes", "goes");
	must_lookup(&x, "stays");
	must_lookup(&x, "also");
	for (int i = 0; i < 100; i++)
		inode_forget(x.fs.inodes, must_lookup(&x, "goes").node, 1);
	assert_int_equal(count_inodes(&x), 3);
	assert_int_equal(count_fds(&x), 3);
	fixture_free(&x);
}

/* What the guest removed stays its own until it forgets it, whether a descriptor was there or not. */
static void test_removed(void **state)
{
	struct fs_config cfg = fixture_config();
	struct op_entry away, here, over, out;
	struct fixture x;

	(void)state;
	cfg.max_fds = 2;
	fixture_new(&x, cfg);
	need_handles(&x);
	make_numbered(&x, 10);
	host_write(&x, "away", "away");
	host_write(&x, "over", "over");
	host_write(&x, "from", "from");
	host_write(&x, "here", "here");
	away = must_lookup(&x, "away");
	over = must_lookup(&x, "over");
	look_up_numbered(&x, 0, 3);
	closing_flush();
	assert_int_equal(fs_op_unlink(&x.fs, &x.ctx, NODEID_ROOT, "away"), 0);
	assert_int_equal(fs_op_rename(&x.fs, &x.ctx, NODEID_ROOT, "from", NODEID_ROOT, "over", 0), 0);
	here = must_lookup(&x, "here");
	assert_int_equal(fs_op_unlink(&x.fs, &x.ctx, NODEID_ROOT, "here"), 0);
	look_up_numbered(&x, 3, 10);
	closing_flush();
	assert_int_equal(fs_op_getattr(&x.fs, &x.ctx, away.node, OP_NO_HANDLE, 0, &out), 0);
	assert_int_equal(out.st.stx_nlink, 0);
	assert_true(reads(&x, away.node, "away"));
	assert_true(reads(&x, over.node, "over"));
	assert_int_equal(fs_op_getattr(&x.fs, &x.ctx, here.node, OP_NO_HANDLE, 0, &out), -ESTALE);
	inode_forget(x.fs.inodes, away.node, 1);
	inode_forget(x.fs.inodes, over.node, 1);
	assert_int_equal(atomic_load(&x.fs.inodes->removed), 0);
	fixture_free(&x);
}

static bool has_flag(struct fixture *x, struct nodeid node, uint8_t flag)
{
	struct inode *i = inode_get(x->fs.inodes, node);
	bool has = i->flags & flag;

	inode_put(x->fs.inodes, i);
	return has;
}

/* A rename that an earlier process made: what has the new name now is not removed. */
static void test_renamed_before(void **state)
{
	struct op_intent intent = {.begun = 1};
	struct fs_config cfg = fixture_config();
	struct op_entry moved, e;
	struct fixture x;

	(void)state;
	cfg.max_fds = 2;
	fixture_new(&x, cfg);
	need_handles(&x);
	make_numbered(&x, 3);
	host_write(&x, "to", "");
	moved = must_lookup(&x, "to");
	e = look_up_numbered(&x, 0, 3);
	x.ctx.intent = &intent;
	x.ctx.again = true;
	assert_int_equal(fs_op_rename(&x.fs, &x.ctx, NODEID_ROOT, "from", NODEID_ROOT, "to", 0), 0);
	assert_false(has_flag(&x, moved.node, INODE_REMOVED));
	assert_int_equal(fs_op_rename(&x.fs, &x.ctx, NODEID_ROOT, "f2", NODEID_ROOT, "to", 0), 0);
	assert_true(has_flag(&x, moved.node, INODE_REMOVED));
	assert_false(has_flag(&x, e.node, INODE_REMOVED));
	fixture_free(&x);
}

/* Two records with one key: the file handle alone tells a successor from its predecessor. */
static void test_same_key_other_handle(void **state)
{
	struct fs_config cfg = fixture_config();
	struct op_entry old, fresh;
	struct fixture x;
	struct inode *i;

	(void)state;
	cfg.max_fds = 1;
	fixture_new(&x, cfg);
	need_handles(&x);
	tune.lookup_guess = 0; /* else the first descriptor to come is kept */
	host_write(&x, "a", "text");
	host_write(&x, "b", "");
	old = must_lookup(&x, "a");
	must_lookup(&x, "b");
	must_lookup(&x, "probe");
	i = inode_get(x.fs.inodes, old.node);
	assert_int_equal(i->fd >> 32, 0);
	assert_true(i->handle_len > 0);
	assert_int_equal(must_lookup(&x, "a").node.v, old.node.v); /* equal handles: the same */
	i->handle[i->handle_len - 1] ^= 1;
	fresh = must_lookup(&x, "a");
	assert_int_not_equal(fresh.node.v, old.node.v);
	assert_int_equal(must_lookup(&x, "a").node.v, fresh.node.v);
	assert_true(reads(&x, fresh.node, "text"));
	inode_put(x.fs.inodes, i);
	inode_forget(x.fs.inodes, old.node, 2);
	inode_forget(x.fs.inodes, fresh.node, 2);
	assert_int_equal(count_inodes(&x), 3);
	tune.lookup_guess = 1;
	fixture_free(&x);
}

static void test_never_pins(void **state)
{
	struct fs_config cfg = fixture_config();
	struct fixture x;

	(void)state;
	cfg.handles = FS_HANDLES_NEVER;
	cfg.max_fds = 4;
	fixture_new(&x, cfg);
	make_numbered(&x, 20);
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		must_lookup(&x, name);
	}
	assert_int_equal(count_fds(&x), 21);
	fixture_free(&x);
}

/* The first error of lookups of @n names, or 0. */
static int lookup_numbered(struct fixture *x, const char *prefix, int n)
{
	struct op_entry e;
	int r = 0;

	for (int i = 0; i < n && !r; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%s%d", prefix, i);
		r = fs_op_lookup(&x->fs, &x->ctx, NODEID_ROOT, name, &e);
	}
	return r;
}

static void make_dirs(struct fixture *x, int n)
{
	for (int i = 0; i < n; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d%d", i);
		assert_int_equal(mkdirat(x->dirfd, name, 0755), 0);
	}
}

/* Pinned inodes of files make room for each other; with too many directories the guest is told so. The daemon
 * still has descriptors. */
static void test_descriptors_left(void **state)
{
	struct fs_config cfg = fixture_config();
	struct rlimit old, low;
	struct fixture x;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = 160;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	cfg.handles = FS_HANDLES_NEVER;
	cfg.max_inodes = 100000; /* by far not as many as there are descriptors for */
	fixture_new(&x, cfg);
	make_numbered(&x, 300);
	make_dirs(&x, 200);
	assert_int_equal(lookup_numbered(&x, "f", 300), 0);
	assert_true(must_lookup(&x, "f0").node.v != 0);
	assert_int_equal(lookup_numbered(&x, "d", 200), -ENFILE);
	assert_true(must_lookup(&x, "d0").node.v != 0);
	for (int i = 0, fd[19]; i < 19; i++) {
		fd[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_true(fd[i] >= 0);
	}
	closefrom(140);
	setrlimit(RLIMIT_NOFILE, &old);
	fixture_free(&x);
}

static int getattr_of(struct fixture *x, const struct op_entry *e)
{
	struct op_entry out;

	return fs_op_getattr(&x->fs, &x->ctx, e->node, OP_NO_HANDLE, 0, &out);
}

/* Beyond the limit the guest loses files, not those that it has open, and no directories. */
static void test_table_full(void **state)
{
	struct fs_config cfg = fixture_config();
	struct op_entry a, b, d;
	struct fixture x;
	struct op_fh fh;

	(void)state;
	cfg.max_inodes = 4;
	fixture_new(&x, cfg);
	make_numbered(&x, 20);
	make_dirs(&x, 4);
	a = must_lookup(&x, "f0");
	assert_int_equal(fs_op_open(&x.fs, &x.ctx, a.node, O_RDONLY, 0, &fh), 0);
	d = must_lookup(&x, "d0");
	b = must_lookup(&x, "f1");
	assert_int_equal(lookup_numbered(&x, "f", 20), 0);
	assert_int_equal(getattr_of(&x, &a), 0);
	assert_int_equal(getattr_of(&x, &d), 0);
	assert_int_equal(getattr_of(&x, &b), -ESTALE);
	assert_int_equal(count_inodes(&x), 4);
	assert_int_equal(lookup_numbered(&x, "d", 4), -ENFILE);
	inode_forget(x.fs.inodes, d.node, 1);
	inode_forget(x.fs.inodes, d.node, 1);
	must_lookup(&x, "d2");
	assert_int_equal(fs_op_release(&x.fs, &x.ctx, a.node, fh, false, 0), 0);
	must_lookup(&x, "d3");
	fixture_free(&x);
}

/* Runs over a tmpfs: making the files is quick there. */
static void test_many(void **state)
{
	enum { FILES = 100000, MAX_FDS = 50 };
	struct fs_config cfg = fixture_config();
	unsigned int before, most = 0;
	struct fixture x;
	char dir[64];
	char name[16];

	(void)state;
	cfg.max_fds = MAX_FDS;
	cfg.max_inodes = FILES + 10;
	fixture_make_dir(dir, sizeof(dir));
	fixture_mount("tmpfs", dir, "nr_inodes=0", dir);
	assert_int_equal(fixture_open(&x, cfg, dir, NULL), 0);
	before = process_fds();
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		assert_int_equal(mknodat(x.dirfd, name, S_IFREG | 0644, 0), 0);
		must_lookup(&x, name);
		if (!(i % 5000))
			most = MAX(most, process_fds());
	}
	assert_true(MAX(most, process_fds()) <= before + MAX_FDS);
	assert_int_equal(count_inodes(&x), FILES + 1);
	assert_int_equal(must_lookup(&x, "f77777").st.stx_ino, host_stat(&x, "f77777").stx_ino);
	for (uint32_t i = 2; i < FILES + 2; i++)
		inode_forget(x.fs.inodes, (struct nodeid){i}, 2);
	assert_int_equal(count_inodes(&x), 1);
	assert_int_equal(process_fds(), before);
	fixture_close(&x);
	umount2(dir, MNT_DETACH);
	fixture_remove_dir(dir);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Looks up, uses and forgets files that the other threads look up, use and forget. */
static void *racer(void *arg)
{
	struct fixture *x = arg;
	struct op_ctx ctx = {0};
	double end = seconds() + 0.4;
	unsigned int seed = (unsigned int)(uintptr_t)&ctx;
	uintptr_t wrong = 0;

	while (seconds() < end) {
		struct inode_use u = {0};
		struct op_entry e;
		char name[16];
		struct statx st;

		snprintf(name, sizeof(name), "f%d", rand_r(&seed) % 8);
		if (fs_op_lookup(&x->fs, &ctx, NODEID_ROOT, name, &e)) {
			wrong++;
			continue;
		}
		if (inode_use(x->fs.inodes, e.node, &u) || statx(u.fd, "", AT_EMPTY_PATH, STATX_INO, &st) ||
			st.stx_ino != e.st.stx_ino)
			wrong++;
		inode_use_end(&u);
		inode_forget(x->fs.inodes, e.node, 1);
	}
	return (void *)wrong;
}

static void test_races(void **state)
{
	struct fs_config cfg = fixture_config();
	pthread_t thread[4];
	unsigned int before;
	struct fixture x;

	(void)state;
	cfg.max_fds = 2;
	fixture_new(&x, cfg);
	make_numbered(&x, 8);
	before = process_fds();
	for (size_t i = 0; i < ARRAY_LEN(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, racer, &x), 0);
	for (size_t i = 0; i < ARRAY_LEN(thread); i++) {
		void *wrong;

		pthread_join(thread[i], &wrong);
		assert_null(wrong);
	}
	assert_int_equal(count_inodes(&x), 1);
	assert_int_equal(count_fds(&x), 1);
	assert_int_equal(process_fds(), before);
	fixture_free(&x);
}

/* An overlay file system without nfs_export at @dir/m. */
static void mount_overlay(const char *dir)
{
	static const char *const parts[] = {"l", "u", "w", "m"};
	char options[256], path[80];

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, parts[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	snprintf(options, sizeof(options), "lowerdir=%s/l,upperdir=%s/u,workdir=%s/w", dir, dir, dir);
	fixture_mount("overlay", path, options, dir);
}

/* An overlay gives a file another birth time when it copies it up: it is the same inode all the same. */
static void test_overlay(void **state)
{
	struct op_entry before, after;
	char dir[64], lower[80], merged[80];
	struct fixture x;
	struct err err;
	struct fs_config cfg = fixture_config();

	(void)state;
	fixture_make_dir(dir, sizeof(dir));
	snprintf(lower, sizeof(lower), "%s/l/f", dir);
	snprintf(merged, sizeof(merged), "%s/m", dir);
	mount_overlay(dir);
	close(open(lower, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	assert_int_equal(fixture_open(&x, cfg, merged, NULL), 0);
	before = must_lookup(&x, "f");
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	host_write(&x, "f", "copied up");
	after = must_lookup(&x, "f");
	assert_int_equal(after.node.v, before.node.v);
	assert_true(reads(&x, before.node, "copied up"));
	fixture_close(&x);
	cfg.handles = FS_HANDLES_MANDATORY;
	assert_true(fixture_open(&x, cfg, merged, &err) < 0);
	assert_non_null(strstr(err.text, "--inode-file-handles=mandatory"));
	fixture_close(&x);
	umount2(merged, MNT_DETACH);
	fixture_remove_dir(dir);
}

/* Whether @fds descriptors are soon all that the table has. */
static bool soon_fds(struct fixture *x, uint32_t fds)
{
	for (int i = 0; i < 1000 && count_fds(x) != fds; i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	return count_fds(x) == fds;
}

static bool soon_unmounted(const char *path)
{
	for (int i = 0; i < 1000 && umount(path); i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	return umount(path) == -1 && errno == EINVAL;
}

/* A host mount beneath the share: another mount, inodes of its own, reopened there. */
static void test_submount(void **state)
{
	struct fs_config cfg = fixture_config();
	struct op_entry sub, e[10];
	struct fixture x;
	char path[80], name[16];

	(void)state;
	cfg.max_fds = 2;
	fixture_new(&x, cfg);
	x.fs.features.submounts = true;
	snprintf(path, sizeof(path), "%s/sub", x.dir);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(must_lookup(&x, "sub").attr_flags, 0);
	fixture_mount("tmpfs", path, NULL, x.dir);
	sub = must_lookup(&x, "sub");
	assert_int_equal(sub.attr_flags, OP_ATTR_SUBMOUNT);
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "sub/f%d", i);
		host_write(&x, name, name);
		assert_int_equal(fs_op_lookup(&x.fs, &x.ctx, sub.node, name + 4, &e[i]), 0);
		assert_int_equal(e[i].attr_flags, 0);
	}
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "sub/f%d", i);
		assert_true(reads(&x, e[i].node, name));
	}
	inode_forget_all(x.fs.inodes);
	closing_flush();
	assert_int_equal(umount(path), 0);
	fixture_free(&x);
}

/* No descriptor to spare when a mount is met says nothing of the mount. */
static void test_probe_in_vain(void **state)
{
	struct rlimit old, low;
	struct op_entry sub, f;
	struct fixture x;
	char path[80];
	int r;

	(void)state;
	fixture_new(&x, fixture_config());
	need_handles(&x);
	snprintf(path, sizeof(path), "%s/sub", x.dir);
	assert_int_equal(mkdir(path, 0755), 0);
	fixture_mount("tmpfs", path, NULL, x.dir);
	host_write(&x, "sub/f", "text");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	closing_flush();
	r = dup(x.dirfd);
	low.rlim_cur = (rlim_t)r + 1; /* the mount's root can be opened, and nothing else */
	close(r);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	r = fs_op_lookup(&x.fs, &x.ctx, NODEID_ROOT, "sub", &sub);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(r, 0);
	assert_true(has_flag(&x, sub.node, INODE_PINNED));
	assert_int_equal(fs_op_lookup(&x.fs, &x.ctx, sub.node, "f", &f), 0);
	assert_false(has_flag(&x, f.node, INODE_PINNED));
	inode_forget_all(x.fs.inodes);
	closing_flush();
	assert_int_equal(umount(path), 0);
	fixture_free(&x);
}

/* Linux before 5.8 has one number for all mounts: what is on another device is not on the root's. */
static void test_mounts_untold(void **state)
{
	struct inode_key key;
	struct fixture x;
	struct mount *m;
	struct statx st;
	uint16_t index;

	(void)state;
	fixture_new(&x, fixture_config());
	need_handles(&x);
	m = segment_at(&x.seg, SEGMENT_MOUNTS);
	m[MOUNT_ROOT].mnt_id = 0;
	st = host_stat(&x, ".");
	key = inode_key_of(&st);
	key.mnt_id = 0;
	assert_int_equal(mount_ref(x.fs.inodes->mounts, &key, x.dirfd, &index), 0);
	assert_int_equal(index, MOUNT_ROOT);
	mount_put(x.fs.inodes->mounts, index);
	key.dev++;
	assert_int_equal(mount_ref(x.fs.inodes->mounts, &key, x.dirfd, &index), -EOPNOTSUPP);
	assert_int_equal(index, 0);
	fixture_free(&x);
}

/* What the guest knows and does not use keeps no mount, on mounts on mounts either; what is open does. */
static void test_unmounting(void **state)
{
	struct op_entry sub, deep, f;
	struct fixture x;
	char path[80], below[96];
	struct inode *i;

	(void)state;
	fixture_new(&x, fixture_config());
	x.fs.features.submounts = true;
	snprintf(path, sizeof(path), "%s/sub", x.dir);
	snprintf(below, sizeof(below), "%s/deep", path);
	assert_int_equal(mkdir(path, 0755), 0);
	fixture_mount("tmpfs", path, NULL, x.dir);
	assert_int_equal(mkdir(below, 0755), 0);
	fixture_mount("tmpfs", below, NULL, x.dir);
	host_write(&x, "sub/deep/f", "text");
	sub = must_lookup(&x, "sub");
	assert_int_equal(fs_op_lookup(&x.fs, &x.ctx, sub.node, "deep", &deep), 0);
	assert_int_equal(fs_op_lookup(&x.fs, &x.ctx, deep.node, "f", &f), 0);

	i = inode_opened(x.fs.inodes, f.node);
	assert_true(soon_fds(&x, 2));
	assert_int_equal(umount(below), -1);
	assert_int_equal(errno, EBUSY);
	inode_closed(x.fs.inodes, i);
	assert_true(soon_fds(&x, 1));
	assert_true(reads(&x, f.node, "text"));
	assert_true(soon_unmounted(below));
	assert_false(reads(&x, f.node, "text"));
	i = inode_get(x.fs.inodes, deep.node);
	assert_int_equal(inode_fd(x.fs.inodes, i), -ESTALE);
	inode_put(x.fs.inodes, i);
	inode_forget(x.fs.inodes, f.node, 1);
	inode_forget(x.fs.inodes, deep.node, 1);
	assert_true(soon_unmounted(path));
	assert_int_equal(must_lookup(&x, "sub").attr_flags, 0);
	fixture_mount("tmpfs", path, NULL, x.dir);
	assert_int_equal(must_lookup(&x, "sub").attr_flags, OP_ATTR_SUBMOUNT);
	assert_true(soon_unmounted(path));
	fixture_free(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_hard_links),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_forget_in_use),
		cmocka_unit_test(test_hostile_nodeids),
		cmocka_unit_test(test_eviction),
		cmocka_unit_test(test_churn),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_renamed_before),
		cmocka_unit_test(test_same_key_other_handle),
		cmocka_unit_test(test_never_pins),
		cmocka_unit_test(test_descriptors_left),
		cmocka_unit_test(test_table_full),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_races),
		cmocka_unit_test(test_overlay),
		cmocka_unit_test(test_submount),
		cmocka_unit_test(test_probe_in_vain),
		cmocka_unit_test(test_mounts_untold),
		cmocka_unit_test(test_unmounting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
