/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests here share. */
#include "test.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <time.h>

static struct group {
	struct vm_config cfg;
	struct spawn_config spawn;
	struct test test;
} group;

static int group_setup(void **state)
{
	struct test *t = &group.test;

	*state = t;
	if (vm_boot(&t->vm, &group.cfg, &group.spawn)) {
		fprintf(stderr, "boot: %s\n", t->vm.err.text);
		spawn_show_log(&t->vm.daemon);
		vm_end(&t->vm);
		return -1;
	}
	t->c = &t->vm.client[1];
	t->hip = &t->vm.client[0];
	return 0;
}

static int group_teardown(void **state)
{
	struct test *t = *state;

	if (!vm_end(&t->vm))
		return 0;
	fprintf(stderr, "end: %s\n", t->vm.err.text);
	return -1;
}

int test_begin(void **state)
{
	static unsigned int serial;
	struct test *t = *state;
	struct fuse_entry_out e;

	snprintf(t->name, sizeof(t->name), "test-%u", serial++);
	assert_int_equal(mkdirat(t->vm.daemon.share, t->name, 0755), 0);
	t->host = openat(t->vm.daemon.share, t->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(t->host >= 0);
	OK(fc_lookup(t->c, FUSE_ROOT_ID, t->name, &e));
	t->dir = e.nodeid;
	return 0;
}

int test_finish(void **state)
{
	struct test *t = *state;
	char path[512];

	close(t->host);
	snprintf(path, sizeof(path), "%s/%s", t->vm.daemon.share_path, t->name);
	spawn_remove_tree(path);
	for (unsigned int i = 0; i < t->vm.queues; i++)
		fc_abandon(&t->vm.client[i]);
	t->c->uid = t->c->gid = 0;
	if (!spawn_check(&t->vm.daemon, &t->vm.err))
		return 0;
	fprintf(stderr, "%s\n", t->vm.err.text);
	spawn_show_log(&t->vm.daemon);
	return -1;
}

bool test_is_colofs(void)
{
	return spawn_dialect() == SPAWN_COLOFS;
}

void test_limit(unsigned int seconds)
{
	alarm(seconds);
}

static int run_variant(const struct CMUnitTest *tests, size_t count, bool packed, bool indirect)
{
	char name[64];

	snprintf(name, sizeof(name), "%s ring, %s descriptors", packed ? "packed" : "split",
		indirect ? "indirect" : "direct");
	if (packed && !test_is_colofs()) {
		fprintf(stderr, "%s: left out, the program has none\n", name);
		return 0;
	}
	if (packed)
		group.cfg.features |= VU_BIT(VU_F_RING_PACKED);
	else
		group.cfg.features &= ~VU_BIT(VU_F_RING_PACKED);
	group.cfg.client.indirect = indirect;
	group.cfg.client.layout = packed == indirect ? FC_PAGES : FC_SHRED;
	return _cmocka_run_group_tests(name, tests, count, group_setup, group_teardown);
}

int test_run(const struct CMUnitTest *tests, size_t count, unsigned int variants, const struct vm_config *cfg,
	const struct spawn_config *spawn)
{
	int failed = 0;

	test_limit(60);
	group.cfg = cfg ? *cfg : (struct vm_config){0};
	group.spawn = spawn ? *spawn : (struct spawn_config){0};
	group.cfg.features = group.cfg.features ? group.cfg.features : VM_FEATURES;
	for (unsigned int v = 0; v < 4; v++) {
		bool packed = v & 1, indirect = v & 2;

		if (variants & (packed ? TEST_PACKED : TEST_SPLIT) &&
			variants & (indirect ? TEST_INDIRECT : TEST_DIRECT))
			failed += run_variant(tests, count, packed, indirect);
	}
	return failed;
}

void test_vm_boot(struct vm *vm, const struct vm_config *cfg, const char *const *args)
{
	struct spawn_config spawn = {.args = args};

	if (!vm_boot(vm, cfg ? cfg : &(struct vm_config){0}, &spawn))
		return;
	spawn_show_log(&vm->daemon);
	fprintf(stderr, "boot: %s\n", vm->err.text);
	vm_end(vm);
	fail();
}

void test_vm_end(struct vm *vm)
{
	if (vm_end(vm))
		fail_msg("end: %s", vm->err.text);
}

void test_expect(ssize_t got, ssize_t want, const char *what, const char *file, int line)
{
	if (got == want)
		return;
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	fprintf(stderr, "    gave %zd (%s), wanted %zd (%s)\n", got,
		got < 0 ? strerrorname_np((int)-got) : "ok", want,
		want < 0 ? strerrorname_np((int)-want) : "ok");
	_fail(file, line);
}

void host_write_file(int dir, const char *name, const void *data, size_t len)
{
	autofd int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
}

void host_expect_file(int dir, const char *name, const void *data, size_t len)
{
	autofd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	autofree char *buf = malloc(len + 1);

	assert_true(fd >= 0);
	assert_non_null(buf);
	assert_int_equal(pread(fd, buf, len + 1, 0), len);
	if (memcmp(buf, data, len))
		fail_msg("%s holds other bytes than it should", name);
}

struct stat host_stat(int dir, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

bool host_exists(int dir, const char *name)
{
	struct stat st;

	return !fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW);
}

uint64_t guest_lookup(struct test *t, const char *name)
{
	struct fuse_entry_out e;

	OK(fc_lookup(t->c, t->dir, name, &e));
	return e.nodeid;
}

struct fc_file guest_open(struct test *t, const char *name, uint32_t flags)
{
	struct fc_file f = {.node = guest_lookup(t, name)};
	struct fuse_open_out o;

	OK(fc_open(t->c, f.node, flags, &o));
	f.fh = o.fh;
	return f;
}

struct fc_file guest_create(struct test *t, const char *name, uint32_t flags)
{
	struct fuse_create_in in = {.flags = flags | O_CREAT, .mode = S_IFREG | 0644};
	struct fc_created out;

	OK(fc_create(t->c, t->dir, name, &in, &out));
	return (struct fc_file){out.entry.nodeid, out.open.fh};
}

void test_pattern(void *buf, size_t len, unsigned int seed)
{
	uint32_t x = seed * 2654435761u + 1;
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		p[i] = (uint8_t)x;
	}
}

void expect_same_attr(const struct fuse_attr *a, const struct stat *st)
{
	assert_int_equal(a->ino, st->st_ino);
	assert_int_equal(a->size, st->st_size);
	assert_int_equal(a->blocks, st->st_blocks);
	assert_int_equal(a->mode, st->st_mode);
	assert_int_equal(a->nlink, st->st_nlink);
	assert_int_equal(a->uid, st->st_uid);
	assert_int_equal(a->gid, st->st_gid);
	assert_int_equal(a->mtime, st->st_mtim.tv_sec);
	assert_int_equal(a->mtimensec, st->st_mtim.tv_nsec);
	assert_int_equal(a->atime, st->st_atim.tv_sec);
	assert_int_equal(a->ctime, st->st_ctim.tv_sec);
	assert_int_equal(a->ctimensec, st->st_ctim.tv_nsec);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		assert_int_equal(a->rdev, major(st->st_rdev) << 8 | minor(st->st_rdev));
}

int64_t test_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

unsigned int test_server_fds(const struct vm *vm)
{
	unsigned int n = 0;
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", spawn_server_pid(&vm->daemon));
	d = opendir(path);
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}
