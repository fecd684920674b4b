/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest that takes as much as it can get: each limit is an error to it, and others and the host do not
 * notice. */
#include "counts.h"
#include "test.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NAMES  60000u
#define ROUNDS 5u

#define INODE_BYTES 250u

/* How many inodes_are_small() looks up; the program's argument. */
static unsigned int many = NAMES;

static void name_of(char name[16], unsigned int i)
{
	snprintf(name, 16, "n%u", i);
}

static void lookup_all(struct vm *vm, unsigned int n)
{
	struct fuse_entry_out e;
	char name[16];

	for (unsigned int i = 0; i < n; i++) {
		name_of(name, i);
		OK(fc_lookup(&vm->client[1], FUSE_ROOT_ID, name, &e));
	}
}

static void make_all(struct vm *vm, unsigned int n)
{
	char name[16];

	for (unsigned int i = 0; i < n; i++) {
		name_of(name, i);
		assert_int_equal(mknodat(vm->daemon.share, name, S_IFREG | 0644, 0), 0);
	}
}

/* A tmpfs as share, where there is the right to mount one: of @size bytes. */
static bool mount_share(struct vm *vm, const char *options)
{
	if (mount("colofs-test", vm->daemon.share_path, "tmpfs", 0, options))
		return false;
	close(vm->daemon.share);
	vm->daemon.share = open(vm->daemon.share_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return vm->daemon.share >= 0;
}

static void boot_on_tmpfs(struct vm *vm, const char *options, const char *const *args)
{
	vm_configure(vm, &(struct vm_config){0});
	OK(spawn_prepare(&vm->daemon, &vm->err));
	if (!mount_share(vm, options))
		skip();
	OK(spawn_launch(&vm->daemon, &(struct spawn_config){.args = args}, &vm->err));
	test_come_back(vm);
}

static void unmount_share(struct vm *vm)
{
	umount2(vm->daemon.share_path, MNT_DETACH);
}

/* 300,000 lookups that are never taken back. */
static void no_forget(struct vm *vm, const char *handles)
{
	unsigned long before;

	boot_on_tmpfs(vm, "nr_inodes=0",
		(const char *[]){"--max-inodes=2000", "--max-cached-fds=64", handles, NULL});
	make_all(vm, NAMES);
	lookup_all(vm, NAMES);
	before = counts_memory(vm, true);
	for (unsigned int i = 1; i < ROUNDS; i++)
		lookup_all(vm, NAMES);
	assert_true(counts_memory(vm, true) < before + 4096);
	assert_true(test_server_fds(vm) < 2200);
	unmount_share(vm);
}

static void lookups_without_forget(void **state)
{
	no_forget(*state, "--inode-file-handles=prefer");
}

static void lookups_without_forget_or_handles(void **state)
{
	no_forget(*state, "--inode-file-handles=never");
}

/* What an inode costs that the guest knows: no descriptor, and little memory. */
static void inodes_are_small(void **state)
{
	struct vm *vm = *state;
	unsigned long before, each;

	boot_on_tmpfs(vm, "nr_inodes=0", (const char *[]){"--max-cached-fds=64", NULL});
	make_all(vm, many);
	before = counts_memory(vm, true);
	lookup_all(vm, many);
	each = (counts_memory(vm, true) - before) * 1024 / many;
	printf("%u inodes: %lu bytes each, %u descriptors\n", many, each, test_server_fds(vm));
	assert_true(TEST_SANITIZED || each <= INODE_BYTES);
	assert_true(test_server_fds(vm) < 64 + 100);
	unmount_share(vm);
}

/* What the daemon forgot is stale, and found again; open files and directories are never forgotten. */
static void forgotten_is_stale(void **state)
{
	struct vm *vm = *state;
	struct fuse_client *c = &vm->client[1];
	struct fuse_create_in in = {.flags = O_RDWR, .mode = 0644};
	struct fuse_entry_out first, dir, e;
	struct fuse_attr_out a;
	struct fc_created open;
	char name[16];

	test_boot(vm, NULL, (const char *[]){"--max-inodes=1024", NULL});
	for (unsigned int i = 0; i < 3000; i++) {
		name_of(name, i);
		assert_int_equal(mknodat(vm->daemon.share, name, S_IFREG | 0644, 0), 0);
	}
	OK(fc_mkdir(c, FUSE_ROOT_ID, "dir", 0755, &dir));
	OK(fc_create(c, FUSE_ROOT_ID, "open", &in, &open));
	OK(fc_lookup(c, FUSE_ROOT_ID, "n0", &first));
	for (unsigned int i = 1; i < 3000; i++) {
		name_of(name, i);
		OK(fc_lookup(c, FUSE_ROOT_ID, name, &e));
	}
	ERR(fc_getattr(c, first.nodeid, 0, &a), ESTALE);
	ERR(fc_open(c, first.nodeid, O_RDONLY, &open.open), ESTALE);
	OK(fc_lookup(c, FUSE_ROOT_ID, "n0", &e));
	assert_int_not_equal(e.nodeid, first.nodeid);
	OK(fc_getattr(c, e.nodeid, 0, &a));
	OK(fc_getattr(c, dir.nodeid, 0, &a));
	OK(fc_getattr(c, open.entry.nodeid, 0, &a));
	LEN(fc_write(c, (struct fc_file){open.entry.nodeid, open.open.fh}, "x", 1, 0), 1);
}

static void directories_run_out(void **state)
{
	struct vm *vm = *state;
	struct fuse_entry_out e;
	char name[16];
	int r = 0;

	test_boot(vm, NULL, (const char *[]){"--max-inodes=1024", NULL});
	for (unsigned int i = 0; i < 1200 && !r; i++) {
		name_of(name, i);
		r = fc_mkdir(&vm->client[1], FUSE_ROOT_ID, name, 0755, &e);
	}
	ERR(r, ENFILE);
	OK(fc_getattr(&vm->client[1], FUSE_ROOT_ID, 0, &(struct fuse_attr_out){0}));
}

static void open_files_run_out(void **state)
{
	struct vm *vm = *state;
	struct fuse_client *c = &vm->client[1];
	struct fuse_entry_out e;
	struct fuse_open_out o, last = {0};
	int r = 0;

	test_boot(vm, NULL, (const char *[]){"--max-handles=50", NULL});
	host_write_file(vm->daemon.share, "f", "x", 1);
	OK(fc_lookup(c, FUSE_ROOT_ID, "f", &e));
	for (unsigned int i = 0; i < 60 && !r; i++) {
		r = fc_open(c, e.nodeid, O_RDONLY, &o);
		if (!r)
			last = o;
	}
	ERR(r, ENFILE);
	ERR(fc_opendir(c, FUSE_ROOT_ID, &o), ENFILE);
	OK(fc_release(c, (struct fc_file){e.nodeid, last.fh}));
	OK(fc_open(c, e.nodeid, O_RDONLY, &o));
}

/* Without any limit of its own: that of the process, of which the daemon keeps some for itself. */
static void descriptors_run_out(void **state)
{
	struct vm *vm = *state;
	struct fuse_client *c = &vm->client[1];
	struct fuse_entry_out e;
	struct fuse_open_out o;
	int r = 0;

	test_boot(vm, NULL, (const char *[]){"--rlimit-nofile=200", NULL});
	host_write_file(vm->daemon.share, "f", "x", 1);
	host_write_file(vm->daemon.share, "g", "x", 1);
	OK(fc_lookup(c, FUSE_ROOT_ID, "f", &e));
	for (unsigned int i = 0; i < 300 && !r; i++)
		r = fc_open(c, e.nodeid, O_RDONLY, &o);
	ERR(r, ENFILE);
	OK(fc_getattr(c, FUSE_ROOT_ID, 0, &(struct fuse_attr_out){0}));
	vm_disconnect(vm);
	test_come_back(vm);
	OK(fc_lookup(&vm->client[1], FUSE_ROOT_ID, "g", &e));
	OK(fc_open(&vm->client[1], e.nodeid, O_RDONLY, &o));
}

static int lock_one(struct fuse_client *c, struct fc_file f, uint64_t owner, uint64_t start)
{
	struct fuse_lk_in in = {
		.fh = f.fh, .owner = owner, .lk = {.start = start, .end = start, .type = F_RDLCK}};

	return fc_setlk(c, f.node, &in);
}

/* Without file handles each inode that the guest knows has one: those that it has not open make room. */
static void inodes_make_room(void **state)
{
	struct vm *vm = *state;
	struct fuse_client *c = &vm->client[1];
	struct fuse_create_in in = {.flags = O_RDWR, .mode = 0644};
	struct fuse_entry_out e;
	struct fuse_open_out o;
	struct fc_created made;
	char name[16];

	test_boot(vm, NULL, (const char *[]){"--rlimit-nofile=200", "--inode-file-handles=never", NULL});
	for (unsigned int i = 0; i < 300; i++) {
		name_of(name, i);
		host_write_file(vm->daemon.share, name, "x", 1);
		OK(fc_lookup(c, FUSE_ROOT_ID, name, &e));
	}
	for (unsigned int i = 0; i < 20; i++) {
		OK(fc_open(c, e.nodeid, O_RDWR, &o));
		OK(lock_one(c, (struct fc_file){e.nodeid, o.fh}, i + 1, i));
		OK(fc_opendir(c, FUSE_ROOT_ID, &o));
	}
	OK(fc_create(c, FUSE_ROOT_ID, "made", &in, &made));
	LEN(fc_write(c, (struct fc_file){made.entry.nodeid, made.open.fh}, "x", 1, 0), 1);
}

#define MANY (TEST_SANITIZED ? 10000u : 100000u)

#define MANY_FILES 64u

static void open_one(struct fuse_client *c, unsigned int i, struct fc_file *f)
{
	struct fuse_entry_out e;
	struct fuse_open_out o;
	char name[16];

	name_of(name, i);
	OK(fc_lookup(c, FUSE_ROOT_ID, name, &e));
	OK(fc_open(c, e.nodeid, O_RDWR, &o));
	*f = (struct fc_file){e.nodeid, o.fh};
}

/* The next front-end, to whom nothing of it is left. */
static void come_back_to_nothing(struct vm *vm, unsigned int usual, struct fc_file f[MANY_FILES])
{
	OK(fc_getattr(&vm->client[1], FUSE_ROOT_ID, 0, &(struct fuse_attr_out){0}));
	vm_disconnect(vm);
	test_come_back(vm);
	assert_true(test_server_fds(vm) <= usual + 4);
	for (unsigned int i = 0; i < MANY_FILES; i++)
		open_one(&vm->client[1], i, &f[i]);
}

/* With the limits as they are by default, or as the host's allow: all goes with the front-end that had it. */
static void a_hundred_thousand(void **state)
{
	struct fc_file f[MANY_FILES];
	struct vm *vm = *state;
	unsigned int usual, n;
	struct fuse_open_out o;
	int r = 0;

	test_boot(vm, NULL, NULL);
	for (unsigned int i = 0; i < MANY_FILES; i++) {
		char name[16];

		name_of(name, i);
		host_write_file(vm->daemon.share, name, "x", 1);
	}
	usual = test_server_fds(vm);
	come_back_to_nothing(vm, usual, f);
	for (n = 0; n < MANY && !r; n += !r)
		r = fc_open(&vm->client[1], f[n % MANY_FILES].node, O_RDWR, &o);
	assert_true(n > 500 && (!r || r == -ENFILE));
	come_back_to_nothing(vm, usual, f);
	for (r = n = 0; n < MANY && !r; n += !r)
		r = lock_one(&vm->client[1], f[n % MANY_FILES], n + 1, n);
	assert_true(n > 500 && (!r || r == -ENOLCK));
	come_back_to_nothing(vm, usual, f);
}

static void locks_run_out(void **state)
{
	struct vm *vm = *state;
	struct fuse_client *c = &vm->client[1];
	struct fuse_create_in in = {.flags = O_RDWR, .mode = 0644};
	struct fc_created made;
	struct fc_file f;
	int r = 0;

	test_boot(vm, NULL, (const char *[]){"--max-locks=16", NULL});
	OK(fc_create(c, FUSE_ROOT_ID, "f", &in, &made));
	f = (struct fc_file){made.entry.nodeid, made.open.fh};
	for (uint64_t owner = 1; owner < 40 && !r; owner++)
		r = lock_one(c, f, owner, 0);
	ERR(r, ENOLCK);
	OK(fc_flush(c, f, 1));
	for (uint64_t at = 0; at < 1000 && !(r = lock_one(c, f, 2, 2 * at)); at++)
		;
	ERR(r, ENOLCK);
	OK(fc_flush(c, f, 2));
	OK(lock_one(c, f, 3, 5));
}

static void waiters_run_out(void **state)
{
	struct vm *vm = *state;
	struct fuse_client *c = &vm->client[1];
	struct fuse_create_in in = {.flags = O_RDWR, .mode = 0644};
	struct fuse_lk_in want[4], hold = {.owner = 1, .lk = {.end = 9, .type = F_WRLCK}};
	struct fc_op op[4];
	struct fc_created made;

	test_boot(vm, NULL, (const char *[]){"--max-lock-waiters=3", NULL});
	OK(fc_create(c, FUSE_ROOT_ID, "f", &in, &made));
	hold.fh = made.open.fh;
	OK(fc_setlk(c, made.entry.nodeid, &hold));
	for (unsigned int i = 0; i < 4; i++) {
		want[i] = hold;
		want[i].owner = 10 + i;
		OK(fc_setlkw_start(c, made.entry.nodeid, &want[i], &op[i]));
	}
	for (struct fc_op *done = NULL; done != &op[0] && done != &op[1] && done != &op[2] && done != &op[3];)
		assert_int_equal(fc_reap(c, &done, TEST_PATIENCE_MS), 1);
	assert_int_equal(op[0].done + op[1].done + op[2].done + op[3].done, 1);
	for (unsigned int i = 0; i < 4; i++)
		assert_true(!op[i].done || op[i].error == -ENOLCK);
	OK(fc_getattr(c, FUSE_ROOT_ID, 0, &(struct fuse_attr_out){0}));
	fc_abandon(c);
	memset(vm->started, 0, sizeof(vm->started));
}

static void long_attributes(void **state)
{
	struct vm *vm = *state;
	struct fuse_client *c = &vm->client[1];
	char value[2000] = "v", got[4096];
	struct fuse_entry_out e;
	autofd int host = -1;

	test_boot(vm, NULL, (const char *[]){"--max-xattr-size=1000", NULL});
	host_write_file(vm->daemon.share, "f", "x", 1);
	OK(fc_lookup(c, FUSE_ROOT_ID, "f", &e));
	OK(fc_setxattr(c, e.nodeid, "user.a", (struct iovec){value, 1000}, 0));
	ERR(fc_setxattr(c, e.nodeid, "user.b", (struct iovec){value, 1001}, 0), E2BIG);
	LEN(fc_getxattr(c, e.nodeid, "user.a", got, sizeof(got)), 1000);
	host = openat(vm->daemon.share, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fsetxattr(host, "user.c", value, sizeof(value), 0), 0);
	ERR(fc_getxattr(c, e.nodeid, "user.c", got, sizeof(got)), E2BIG);
	ERR(fc_getxattr(c, e.nodeid, "user.c", got, 10), ERANGE);
}

/* What a kernel sends at once when a removed file is closed. None of it is waited for. */
static void remove_at_once(struct fuse_client *c, struct fc_op *op, struct fc_file f, const char *name)
{
	static struct fuse_release_in release;
	static struct fuse_forget_in forget = {1};

	release.fh = f.fh;
	op[0] = (struct fc_op){.opcode = FUSE_UNLINK, .node = FUSE_ROOT_ID, .nargs = 1};
	op[0].arg[0] = (struct iovec){(void *)(uintptr_t)name, strlen(name) + 1};
	op[1] = (struct fc_op){.opcode = FUSE_RELEASE, .node = f.node, .nargs = 1};
	op[1].arg[0] = (struct iovec){&release, sizeof(release)};
	op[2] = (struct fc_op){.opcode = FUSE_FORGET, .node = f.node, .nargs = 1, .no_reply = true};
	op[2].arg[0] = (struct iovec){&forget, sizeof(forget)};
	for (unsigned int i = 0; i < 3; i++)
		OK(fc_start_quietly(c, &op[i]));
}

/* ENOSPC for whoever writes; everybody goes on reading, and writing once there is room. */
static void full_disk(void **state)
{
	struct vm *vm = *state;
	struct fuse_client *c = &vm->client[1];
	struct fuse_create_in in = {.flags = O_RDWR, .mode = 0644};
	struct fuse_rename2_in whiteout = {.newdir = FUSE_ROOT_ID, .flags = RENAME_WHITEOUT};
	struct fc_created made, other, removed;
	struct fuse_entry_out first;
	static char data[256 * 1024], got[4];
	struct fc_file f, g;
	struct fc_op op[6];
	ssize_t r = 0;

	boot_on_tmpfs(vm, "size=2m,nr_inodes=100", NULL);
	OK(fc_create(c, FUSE_ROOT_ID, "f", &in, &made));
	OK(fc_create(c, FUSE_ROOT_ID, "g", &in, &other));
	f = (struct fc_file){made.entry.nodeid, made.open.fh};
	g = (struct fc_file){other.entry.nodeid, other.open.fh};
	LEN(fc_write(c, g, "kept", 4, 0), 4);
	for (unsigned int i = 0; i < 20 && r >= 0; i++)
		r = fc_write(c, f, data, sizeof(data), i * sizeof(data));
	ERR(r, ENOSPC);
	ERR(fc_fallocate(c, f, 0, 8 << 20, 0), ENOSPC);
	LEN(fc_read(c, g, got, 4, 0), 4);
	assert_memory_equal(got, "kept", 4);
	remove_at_once(c, op, f, "f");
	LEN(fc_write(c, g, data, sizeof(data), 0),
		sizeof(data)); /* no sooner is there room than it is used */
	OK(fc_create(c, FUSE_ROOT_ID, "h", &in, &removed));
	r = 0;
	for (unsigned int i = 0; i < 200 && !r; i++) {
		char name[16];

		name_of(name, i);
		r = fc_mkdir(c, FUSE_ROOT_ID, name, 0755, i ? &made.entry : &first);
	}
	ERR(r, ENOSPC);
	remove_at_once(c, op + 3, (struct fc_file){removed.entry.nodeid, removed.open.fh}, "h");
	OK(fc_rename2(c, FUSE_ROOT_ID, "n1", &whiteout, "moved"));
	OK(fc_rmdir(c, FUSE_ROOT_ID, "n0"));
	OK(fc_forget(c, first.nodeid, 1));
	OK(fc_mkdir(c, FUSE_ROOT_ID, "n0", 0755, &made.entry));
	unmount_share(vm);
}

/* With a number as argument: inodes_are_small() alone, with so many. */
int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST_OWN(lookups_without_forget),
		TEST_OWN(lookups_without_forget_or_handles),
		TEST_OWN(inodes_are_small),
		TEST_OWN(forgotten_is_stale),
		TEST_OWN(directories_run_out),
		TEST_OWN(open_files_run_out),
		TEST_OWN(descriptors_run_out),
		TEST_OWN(inodes_make_room),
		TEST_OWN(a_hundred_thousand),
		TEST_OWN(locks_run_out),
		TEST_OWN(waiters_run_out),
		TEST_OWN(long_attributes),
		TEST_OWN(full_disk),
	};
	static const struct CMUnitTest small[] = {TEST_OWN(inodes_are_small)};

	/* What a failed test leaves mounted goes with us. */
	if (!unshare(CLONE_NEWNS))
		mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL);
	if (argc > 1) {
		many = (unsigned int)strtoul(argv[1], NULL, 10);
		return many ? TEST_RUN_OWN(small, TEST_SPLIT) : EXIT_FAILURE;
	}
	return TEST_RUN_OWN(tests, TEST_SPLIT);
}
