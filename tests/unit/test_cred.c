/* SPDX-License-Identifier: BSD-3-Clause */
/* Credentials: what a thread becomes, that other threads do not, and the way back. */
#include "fs_fixture.h"

#include <linux/capability.h>
#include <limits.h>
#include <pthread.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>

#include "base/arith.h"

static uint64_t effective_caps(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];

	assert_int_equal(syscall(SYS_capget, &h, d), 0);
	return (uint64_t)d[1].effective << 32 | d[0].effective;
}

static bool has_cap(int cap)
{
	return effective_caps() >> cap & 1;
}

static void assert_is(uid_t uid, gid_t gid, int ngroups)
{
	gid_t list[64];

	assert_int_equal(setfsuid((uid_t)-1), uid);
	assert_int_equal(setfsgid((gid_t)-1), gid);
	assert_int_equal(syscall(SYS_getgroups, 64, list), ngroups);
}

static void test_become(void **state)
{
	static const uint32_t groups[] = {7, 8, 9};
	struct op_ctx user = {.uid = 1000, .gid = 1001, .nsupp = 3, .supp = groups};
	struct op_ctx root = {0};
	uint64_t all;
	struct fixture x;

	(void)state;
	fixture_need_root();
	fixture_new(&x, fixture_config());
	assert_int_equal(cred_daemon(&x.fs), 0);
	all = effective_caps();
	assert_is(0, 0, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(cred_caller(&x.fs, &user), 0);
		assert_is(1000, 1001, 3);
		assert_false(has_cap(CAP_FSETID));
		assert_true(has_cap(CAP_DAC_OVERRIDE));
		assert_true(has_cap(CAP_CHOWN));
	}
	assert_int_equal(cred_caller_checked(&x.fs, &user), 0);
	assert_false(has_cap(CAP_DAC_OVERRIDE));
	assert_false(has_cap(CAP_DAC_READ_SEARCH));
	assert_int_equal(cred_caller(&x.fs, &root), 0);
	assert_is(0, 0, 0);
	assert_true(effective_caps() == all);
	assert_int_equal(cred_daemon_kill_priv(&x.fs, &user), 0);
	assert_is(0, 1001, 0);
	assert_false(has_cap(CAP_FSETID));
	assert_true(has_cap(CAP_DAC_OVERRIDE));
	assert_int_equal(cred_daemon(&x.fs), 0);
	assert_is(0, 0, 0);
	assert_true(effective_caps() == all);
	fixture_free(&x);
}

/* Ids that nobody can take on: refused, and the next change is made from what the thread really is. */
static void test_bad_ids(void **state)
{
	struct op_ctx bad_uid = {.uid = UINT32_MAX, .gid = 5};
	struct op_ctx bad_gid = {.uid = 5, .gid = UINT32_MAX};
	uint32_t many[300] = {0};
	struct op_ctx too_many = {.uid = 5, .gid = 5, .nsupp = 300, .supp = many};
	struct fixture x;

	(void)state;
	fixture_need_root();
	fixture_new(&x, fixture_config());
	assert_int_equal(cred_caller(&x.fs, &bad_uid), -EPERM);
	assert_int_equal(cred_caller(&x.fs, &bad_gid), -EPERM);
	assert_int_equal(cred_caller(&x.fs, &too_many), -EINVAL);
	assert_int_equal(cred_daemon_kill_priv(&x.fs, &bad_gid), 0);
	assert_int_equal(cred_daemon(&x.fs), 0);
	assert_is(0, 0, 0);
	fixture_free(&x);
}

static void test_large_group_sets(void **state)
{
	uint32_t groups[40], other[40];
	struct op_ctx a = {.uid = 5, .gid = 5, .nsupp = 40, .supp = groups};
	struct op_ctx b = {.uid = 5, .gid = 5, .nsupp = 40, .supp = other};
	gid_t list[64];
	struct fixture x;

	(void)state;
	fixture_need_root();
	fixture_new(&x, fixture_config());
	for (uint32_t i = 0; i < ARRAY_LEN(groups); i++) {
		groups[i] = 100 + i;
		other[i] = 200 + i;
	}
	assert_int_equal(cred_caller(&x.fs, &a), 0);
	assert_int_equal(cred_caller(&x.fs, &b), 0);
	assert_int_equal(syscall(SYS_getgroups, 64, list), 40);
	assert_int_equal(list[0], 200);
	assert_int_equal(cred_daemon(&x.fs), 0);
	assert_is(0, 0, 0);
	fixture_free(&x);
}

static void use_all(struct fixture *x, void (*expect)(struct fixture *x))
{
	const struct nodeid dir = NODEID_ROOT;
	struct op_entry a, e;
	struct statvfs vfs;
	char buf[PATH_MAX];
	size_t len;

	assert_int_equal(fs_op_lookup(&x->fs, &x->ctx, dir, "a", &a), 0);
	expect(x);
	assert_int_equal(fs_op_getattr(&x->fs, &x->ctx, a.node, OP_NO_HANDLE, 0, &e), 0);
	expect(x);
	assert_int_equal(fs_op_statfs(&x->fs, &x->ctx, a.node, &vfs), 0);
	expect(x);
	assert_int_equal(fs_op_link(&x->fs, &x->ctx, a.node, dir, "b", &e), 0);
	expect(x);
	assert_int_equal(fs_op_rename(&x->fs, &x->ctx, dir, "b", dir, "c", 0), 0);
	expect(x);
	assert_int_equal(fs_op_unlink(&x->fs, &x->ctx, dir, "c"), 0);
	expect(x);
	assert_int_equal(fs_op_lookup(&x->fs, &x->ctx, dir, "l", &e), 0);
	expect(x);
	assert_int_equal(fs_op_readlink(&x->fs, &x->ctx, e.node, buf, &len), 0);
	expect(x);
	assert_int_equal(fs_op_unlink(&x->fs, &x->ctx, dir, "l"), 0);
	expect(x);
}

static void as_user(struct fixture *x)
{
	static const struct op_ctx user = {.uid = 1000, .gid = 1001};

	assert_int_equal(cred_caller(&x->fs, &user), 0);
}

static void expect_user(struct fixture *x)
{
	(void)x;
	assert_is(1000, 1001, 0);
}

static void expect_daemon(struct fixture *x)
{
	assert_is(0, 0, 0);
	as_user(x);
}

/* What the thread was for its last request counts nowhere but on local file systems, where it does not
 * matter. */
static void test_who_asks(void **state)
{
	static const struct {
		const char *type;
		void (*expect)(struct fixture *x);
	} on[] = {{"tmpfs", expect_user}, {"ramfs", expect_daemon}};
	struct fixture x;
	char dir[64];

	(void)state;
	fixture_need_root();
	for (size_t i = 0; i < ARRAY_LEN(on); i++) {
		fixture_make_dir(dir, sizeof(dir));
		fixture_mount(on[i].type, dir, NULL, dir);
		assert_int_equal(fixture_open(&x, fixture_config(), dir, NULL), 0);
		host_write(&x, "a", "");
		assert_int_equal(symlinkat("a", x.dirfd, "l"), 0);
		as_user(&x);
		use_all(&x, on[i].expect);
		fixture_close(&x);
		umount2(dir, MNT_DETACH);
		fixture_remove_dir(dir);
	}
}

struct worker {
	struct fixture *x;
	uint32_t uid;
	int wrong;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct op_ctx c = {.uid = w->uid, .gid = w->uid + 1};
	struct op_mode m = {.mode = S_IFREG | 0666, .umask = w->uid & 0777};

	for (int i = 0; i < 100; i++) {
		struct op_entry e;
		char name[32];

		snprintf(name, sizeof(name), "u%u-%d", w->uid, i);
		if (fs_op_mknod(&w->x->fs, &c, NODEID_ROOT, name, &m, &e) || e.st.stx_uid != w->uid ||
			e.st.stx_gid != w->uid + 1 || (e.st.stx_mode & 0777) != (0666 & ~(w->uid & 0777)))
			w->wrong++;
	}
	return NULL;
}

/* Threads with other callers and umasks at one time, started by a thread that is no daemon at that moment. */
static void test_threads(void **state)
{
	struct worker w[3];
	pthread_t thread[3];
	struct fixture x;
	struct op_ctx c = {.uid = 42, .gid = 42};

	(void)state;
	fixture_need_root();
	fixture_new(&x, fixture_config());
	x.fs.features.posix_acl = true;
	assert_int_equal(cred_caller(&x.fs, &c), 0);
	for (uint32_t i = 0; i < ARRAY_LEN(w); i++) {
		w[i] = (struct worker){.x = &x, .uid = 1000 + i * 9};
		assert_int_equal(pthread_create(&thread[i], NULL, work, &w[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(w[i].wrong, 0);
	}
	assert_is(42, 42, 0);
	fixture_free(&x);
}

/* One that lets another thread's file be made while it has a umask of its own: as the queues' threads, which
 * start each other, do. */
struct pair {
	struct fixture *x;
	pthread_barrier_t has_umask, is_made;
	mode_t mode;
};

static void *make_without_umask(void *arg)
{
	struct pair *p = arg;
	struct op_ctx c = {.uid = 7, .gid = 7};
	struct op_mode m = {.mode = S_IFREG | 0666};
	struct op_entry e = {0};

	pthread_barrier_wait(&p->has_umask);
	if (!fs_op_mknod(&p->x->fs, &c, NODEID_ROOT, "without", &m, &e))
		p->mode = e.st.stx_mode & 0777;
	pthread_barrier_wait(&p->is_made);
	return NULL;
}

static void *make_pair(void *arg)
{
	struct pair *p = arg;
	struct op_ctx c = {.uid = 8, .gid = 8};
	struct op_mode m = {.umask = 077};
	bool label_left;
	pthread_t other;

	cred_create_begin(&p->x->fs, &c, &m, &label_left);
	cred_create_end(&p->x->fs, &m);
	pthread_create(&other, NULL, make_without_umask, p);
	cred_create_begin(&p->x->fs, &c, &m, &label_left);
	pthread_barrier_wait(&p->has_umask);
	pthread_barrier_wait(&p->is_made);
	cred_create_end(&p->x->fs, &m);
	pthread_join(other, NULL);
	return NULL;
}

static void test_umask_of_the_maker(void **state)
{
	struct fixture x;
	struct pair p = {.x = &x};
	pthread_t first;

	(void)state;
	fixture_need_root();
	fixture_new(&x, fixture_config());
	x.fs.features.posix_acl = true;
	pthread_barrier_init(&p.has_umask, NULL, 2);
	pthread_barrier_init(&p.is_made, NULL, 2);
	assert_int_equal(pthread_create(&first, NULL, make_pair, &p), 0);
	pthread_join(first, NULL);
	assert_int_equal(p.mode, 0666);
	pthread_barrier_destroy(&p.has_umask);
	pthread_barrier_destroy(&p.is_made);
	fixture_free(&x);
}

static void test_without_rights(void **state)
{
	struct fs_config cfg = fixture_config();
	struct op_ctx c = {.uid = 4242, .gid = 4242};
	uid_t uid = (uid_t)setfsuid((uid_t)-1);
	struct fixture x;

	(void)state;
	cfg.change_creds = false;
	fixture_new(&x, cfg);
	assert_int_equal(cred_caller(&x.fs, &c), 0);
	assert_int_equal(cred_daemon_kill_priv(&x.fs, &c), 0);
	assert_int_equal(cred_caller_checked(&x.fs, &c), 0);
	assert_int_equal(setfsuid((uid_t)-1), uid);
	assert_int_equal(cred_daemon(&x.fs), 0);
	fixture_free(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_become),
		cmocka_unit_test(test_bad_ids),
		cmocka_unit_test(test_large_group_sets),
		cmocka_unit_test(test_who_asks),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_umask_of_the_maker),
		cmocka_unit_test(test_without_rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
