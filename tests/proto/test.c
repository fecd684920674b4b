/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests here share. */
#include "test.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

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

	alarm(TEST_MOST_SECONDS);
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

static bool own_packed;

bool test_packed(void)
{
	return own_packed;
}

void test_set_packed(bool packed)
{
	own_packed = packed;
}

int test_own_begin(void **state)
{
	static struct vm vm;

	vm_configure(&vm, &(struct vm_config){0});
	*state = &vm;
	return 0;
}

int test_own_finish(void **state)
{
	struct vm *vm = *state;

	if (!vm_end(vm))
		return 0;
	fprintf(stderr, "end: %s\n", vm->err.text);
	return -1;
}

int test_run_own(const struct CMUnitTest *tests, size_t count, unsigned int variants)
{
	int failed = 0;

	alarm(TEST_MOST_SECONDS);
	for (unsigned int v = TEST_SPLIT; v <= TEST_PACKED; v <<= 1) {
		own_packed = v == TEST_PACKED;
		if (!(v & variants) || (own_packed && !test_is_colofs()))
			continue;
		failed += _cmocka_run_group_tests(own_packed ? "packed" : "split", tests, count, NULL, NULL);
	}
	return failed;
}

static void must(struct vm *vm, int r)
{
	if (!r)
		return;
	fprintf(stderr, "boot: %s\n", vm->err.text);
	spawn_show_log(&vm->daemon);
	fail();
}

void test_boot_spawn(struct vm *vm, const struct vm_config *cfg, const struct spawn_config *spawn)
{
	struct vm_config c = cfg ? *cfg : (struct vm_config){0};

	c.features = c.features ? c.features : VM_FEATURES;
	if (own_packed)
		c.features |= VU_BIT(VU_F_RING_PACKED);
	must(vm, vm_boot(vm, &c, spawn));
}

void test_boot(struct vm *vm, const struct vm_config *cfg, const char *const *args)
{
	struct spawn_config spawn = {.args = args};

	test_boot_spawn(vm, cfg, &spawn);
}

void test_come_back(struct vm *vm)
{
	must(vm, vm_connect(vm));
	must(vm, vm_make_memory(vm));
	must(vm, vm_make_queues(vm));
	must(vm, vm_start(vm));
	must(vm, vm_mount(vm));
}

void test_end(struct vm *vm)
{
	if (vm_end(vm))
		fail_msg("end: %s", vm->err.text);
}

void raw_make(struct vm *vm, struct raw *r, int region)
{
	struct fuse_in_header h = {
		.len = RAW_IN, .opcode = FUSE_GETATTR, .unique = 77, .nodeid = FUSE_ROOT_ID};
	uint8_t *p = region < 0 ? gm_alloc(&vm->gm, 8192, 4096)
				: gm_alloc_at(&vm->gm, (unsigned int)region, 8192, 4096);

	assert_non_null(p);
	memset(p, 0, 8192);
	memcpy(p, &h, sizeof(h));
	*r = (struct raw){.in = p, .out = p + 4096, .nin = 1, .nout = 1};
	r->seg[0] = (struct drv_seg){gm_gpa(&vm->gm, r->in), RAW_IN};
	r->seg[1] = (struct drv_seg){gm_gpa(&vm->gm, r->out), RAW_OUT};
}

ssize_t raw_send(struct vm *vm, unsigned int i, struct raw *r, int timeout_ms)
{
	struct drv_queue *q = &vm->queue[i];
	uint32_t written;
	void *cookie;
	int n;

	OK(drv_add(q, r->seg, r->nin, r->nout, NULL, r));
	drv_kick(q);
	if (!drv_wait(q, timeout_ms))
		return -ETIMEDOUT;
	n = drv_get(q, &cookie, &written);
	return n == 1 && cookie == r ? (ssize_t)written : -EPROTO;
}

void raw_expect_reply(struct vm *vm, unsigned int i, struct raw *r)
{
	struct fuse_attr_out a;
	struct fuse_out_header h;
	struct stat st;

	memset(r->out, 0xee, RAW_OUT);
	LEN(raw_send(vm, i, r, TEST_PATIENCE_MS), RAW_OUT);
	memcpy(&h, r->out, sizeof(h));
	memcpy(&a, r->out + sizeof(h), sizeof(a));
	assert_int_equal(h.len, RAW_OUT);
	assert_int_equal(h.error, 0);
	assert_int_equal(h.unique, 77);
	assert_int_equal(fstat(vm->daemon.share, &st), 0);
	assert_int_equal(a.attr.ino, st.st_ino);
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
