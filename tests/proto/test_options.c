/* SPDX-License-Identifier: BSD-3-Clause */
/* What the options change in what a guest sees. */
#include "test.h"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#define DAY 86400

static struct fc_created create(struct vm *vm, const char *name)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0644};
	struct fc_created cr;

	OK(fc_create(&vm->client[1], FUSE_ROOT_ID, name, &in, &cr));
	return cr;
}

static void boot_with(struct vm *vm, const char *option)
{
	test_boot(vm, NULL, (const char *const[]){option, NULL});
}

static void cache_modes(void **state)
{
	static const struct {
		const char *option;
		uint64_t timeout;
		uint32_t file, dir; /* FOPEN_ flags */
	} mode[] = {
		{"--cache=never", 0, FOPEN_DIRECT_IO, 0},
		{"--cache=metadata", DAY, FOPEN_DIRECT_IO, FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE},
		{"--cache=auto", 1, 0, 0},
		{"--cache=always", DAY, FOPEN_KEEP_CACHE, FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE},
	};
	static const uint32_t mask = FOPEN_DIRECT_IO | FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR;
	struct vm *vm = *state;

	for (unsigned int i = 0; i < ARRAY_LEN(mode); i++) {
		struct fuse_attr_out a;
		struct fuse_open_out o;
		struct fc_created cr;

		boot_with(vm, mode[i].option);
		cr = create(vm, "f");
		assert_int_equal(cr.entry.entry_valid, mode[i].timeout);
		assert_int_equal(cr.entry.attr_valid, mode[i].timeout);
		assert_int_equal(cr.open.open_flags & mask, mode[i].file);
		OK(fc_getattr(&vm->client[1], cr.entry.nodeid, 0, &a));
		assert_int_equal(a.attr_valid, mode[i].timeout);
		OK(fc_open(&vm->client[1], cr.entry.nodeid, O_RDONLY, &o));
		assert_int_equal(o.open_flags & mask, mode[i].file);
		OK(fc_opendir(&vm->client[1], FUSE_ROOT_ID, &o));
		assert_int_equal(o.open_flags & mask, mode[i].dir);
		test_end(vm);
	}
}

static void timeout_option(void **state)
{
	struct vm *vm = *state;
	struct fc_created cr;

	test_boot(vm, NULL, (const char *const[]){"--cache=auto", "-o", "timeout=2.5", NULL});
	cr = create(vm, "f");
	assert_int_equal(cr.entry.attr_valid, 2);
	assert_int_equal(cr.entry.attr_valid_nsec, 500000000);
}

/* Switches and the INIT flags that go with them. */
static void init_flags(void **state)
{
	static const struct {
		const char *option;
		uint64_t flag;
		bool set;
	} row[] = {
		{"--tag=proto", FUSE_DO_READDIRPLUS, true},
		{"--no-readdirplus", FUSE_DO_READDIRPLUS, false},
		{"--tag=proto", FUSE_WRITEBACK_CACHE, false},
		{"--writeback", FUSE_WRITEBACK_CACHE, true},
		{"--tag=proto", FUSE_SUBMOUNTS, true},
		{"--no-announce-submounts", FUSE_SUBMOUNTS, false},
		{"--tag=proto", FUSE_POSIX_ACL, false},
		{"--posix-acl", FUSE_POSIX_ACL, true},
		{"--security-label", FUSE_SECURITY_CTX, true},
		{"--no-posix-lock", FUSE_POSIX_LOCKS, false},
		{"--no-flock", FUSE_FLOCK_LOCKS, false},
		{"--killpriv-v2", FUSE_HANDLE_KILLPRIV_V2, true},
		{"--no-killpriv-v2", FUSE_HANDLE_KILLPRIV_V2, false},
	};
	static const struct vm_config cfg = {.init_flags = VM_INIT_FLAGS | FUSE_WRITEBACK_CACHE |
							   FUSE_POSIX_ACL | FUSE_DONT_MASK |
							   FUSE_SECURITY_CTX | FUSE_HANDLE_KILLPRIV_V2};
	struct vm *vm = *state;

	for (unsigned int i = 0; i < ARRAY_LEN(row); i++) {
		uint64_t flags;

		test_boot(vm, &cfg, (const char *const[]){row[i].option, NULL});
		flags = vm->init.flags | (uint64_t)vm->init.flags2 << 32;
		if (!(flags & row[i].flag) != !row[i].set)
			fail_msg("%s: flag %#llx", row[i].option, (unsigned long long)row[i].flag);
		test_end(vm);
	}
}

static void max_write(void **state)
{
	static uint8_t data[4 << 20], back[4 << 20];
	static const struct vm_config cfg = {.size = 2048, .client = {.depth = 2, .max_data = sizeof(data)}};
	struct vm *vm = *state;
	struct fc_created cr;
	struct fc_file f;

	test_boot(vm, &cfg, (const char *const[]){"--max-write=4194304", NULL});
	assert_int_equal(vm->init.max_write, sizeof(data));
	assert_int_equal(vm->init.max_pages, sizeof(data) / 4096);
	cr = create(vm, "f");
	f = (struct fc_file){cr.entry.nodeid, cr.open.fh};
	test_pattern(data, sizeof(data), 5);
	LEN(fc_write(&vm->client[1], f, data, sizeof(data), 0), sizeof(data));
	LEN(fc_read(&vm->client[1], f, back, sizeof(back), 0), sizeof(back));
	assert_memory_equal(data, back, sizeof(data));
}

static void allow_mmap(void **state)
{
	static const struct vm_config cfg = {.init_flags = VM_INIT_FLAGS | FUSE_DIRECT_IO_ALLOW_MMAP};
	struct vm *vm = *state;

	for (unsigned int i = 0; i < 2; i++) {
		test_boot(vm, &cfg, (const char *const[]){"--cache=never", i ? "--allow-mmap" : NULL, NULL});
		assert_int_equal(!!(vm->init.flags2 & (uint32_t)(FUSE_DIRECT_IO_ALLOW_MMAP >> 32)), i);
		test_end(vm);
	}
}

static void readonly(void **state)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0644};
	struct fuse_setattr_in chmod_in = {.valid = FATTR_MODE, .mode = 0600};
	struct fuse_mknod_in nod = {.mode = S_IFREG | 0600};
	struct vm *vm = *state;
	struct fuse_client *c = &vm->client[1];
	struct iovec value = {(char[]){"v"}, 1};
	struct fuse_entry_out e, out;
	struct fuse_attr_out a;
	struct fuse_open_out o;
	struct fc_created cr;
	char buf[8];

	boot_with(vm, "--readonly");
	host_write_file(vm->daemon.share, "f", "abc", 3);
	OK(fc_lookup(c, FUSE_ROOT_ID, "f", &e));
	ERR(fc_create(c, FUSE_ROOT_ID, "new", &in, &cr), EROFS);
	ERR(fc_mkdir(c, FUSE_ROOT_ID, "new", 0755, &out), EROFS);
	ERR(fc_mknod(c, FUSE_ROOT_ID, "new", &nod, &out), EROFS);
	ERR(fc_symlink(c, FUSE_ROOT_ID, "new", "x", &out), EROFS);
	ERR(fc_link(c, e.nodeid, FUSE_ROOT_ID, "new", &out), EROFS);
	ERR(fc_unlink(c, FUSE_ROOT_ID, "f"), EROFS);
	ERR(fc_rename(c, FUSE_ROOT_ID, "f", FUSE_ROOT_ID, "g"), EROFS);
	ERR(fc_setattr(c, e.nodeid, &chmod_in, &a), EROFS);
	ERR(fc_setxattr(c, e.nodeid, "user.x", value, 0), EROFS);
	ERR(fc_open(c, e.nodeid, O_RDWR, &o), EROFS);
	ERR(fc_open(c, e.nodeid, O_WRONLY | O_TRUNC, &o), EROFS);
	ERR(fc_open(c, e.nodeid, O_RDONLY | O_TRUNC, &o), EROFS);
	OK(fc_open(c, e.nodeid, O_RDONLY, &o));
	LEN(fc_read(c, (struct fc_file){e.nodeid, o.fh}, buf, 8, 0), 3);
	ERR(fc_fallocate(c, (struct fc_file){e.nodeid, o.fh}, 0, 10, 0), EROFS);
	OK(fc_getattr(c, e.nodeid, o.fh, &a));
	host_expect_file(vm->daemon.share, "f", "abc", 3);
}

/* An option that is off: the requests that it stands for answer ENOSYS, or EOPNOTSUPP. */
static void no_switches(void **state)
{
	struct fuse_lk_in posix = {.owner = 1, .lk = {.end = 10, .type = F_RDLCK}}, flk = posix;
	struct vm *vm = *state;
	struct fuse_client *c = &vm->client[1];
	struct fc_created cr;
	char buf[8];

	test_boot(vm, NULL, (const char *const[]){"--no-xattr", "--no-posix-lock", "--no-flock", NULL});
	cr = create(vm, "f");
	posix.fh = flk.fh = cr.open.fh;
	flk.lk_flags = FUSE_LK_FLOCK;
	ERR(fc_getxattr(c, cr.entry.nodeid, "user.x", buf, 8), ENOSYS);
	ERR(fc_listxattr(c, cr.entry.nodeid, NULL, 0), ENOSYS);
	ERR(fc_setlk(c, cr.entry.nodeid, &posix), ENOSYS);
	ERR(fc_setlk(c, cr.entry.nodeid, &flk), ENOSYS);
}

/* With the capability for it. */
static void trusted_xattrs(void **state)
{
	struct vm *vm = *state;
	struct iovec value = {(char[]){"secret"}, 6};
	struct fc_created cr;
	char back[16];

	test_boot(vm, NULL, (const char *const[]){"--xattr", "--modcaps=+sys_admin", NULL});
	cr = create(vm, "f");
	OK(fc_setxattr(&vm->client[1], cr.entry.nodeid, "trusted.t", value, 0));
	LEN(fc_getxattr(&vm->client[1], cr.entry.nodeid, "trusted.t", back, sizeof(back)), 6);
}

/* What the host has mounted below the share is told, so that the guest mounts it too; or not, if so asked. */
static void submounts(void **state)
{
	static const char *const args[] = {"--no-announce-submounts", NULL};
	static const struct spawn_config spawn[] = {{0}, {.args = args}};
	struct vm *vm = *state;
	struct fuse_entry_out e;
	char path[300];

	for (unsigned int i = 0; i < ARRAY_LEN(spawn); i++) {
		vm_configure(vm, &(struct vm_config){.features = VM_FEATURES});
		OK(spawn_prepare(&vm->daemon, &vm->err));
		snprintf(path, sizeof(path), "%s/mnt", vm->daemon.share_path);
		assert_int_equal(mkdir(path, 0755), 0);
		if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
			mount("proto", path, "tmpfs", 0, "size=1m"))
			skip(); /* no right to mount */
		OK(spawn_launch(&vm->daemon, &spawn[i], &vm->err));
		test_come_back(vm);
		OK(fc_lookup(&vm->client[1], FUSE_ROOT_ID, "mnt", &e));
		assert_int_equal(e.attr.flags & FUSE_ATTR_SUBMOUNT, i ? 0 : FUSE_ATTR_SUBMOUNT);
		assert_true(S_ISDIR(e.attr.mode));
		assert_int_equal(umount2(path, MNT_DETACH), 0);
		test_end(vm);
	}
}

#define MANY 20000

static uint64_t node[MANY];

static void make_files(struct vm *vm, unsigned int count)
{
	char name[16];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		assert_int_equal(mknodat(vm->daemon.share, name, S_IFREG | 0644, 0), 0);
	}
}

static void learn_many(struct vm *vm, unsigned int count)
{
	struct fuse_entry_out e;
	char name[16];

	for (unsigned int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		OK(fc_lookup(&vm->client[1], FUSE_ROOT_ID, name, &e));
		node[i] = e.nodeid;
	}
}

/* Twenty thousand known files need no twenty thousand descriptors; each is still itself, also after its name.
 */
static void many_files_few_descriptors(void **state)
{
	static const char *const mode[] = {"--inode-file-handles=prefer", "--inode-file-handles=mandatory"};
	static const unsigned int count[] = {MANY, 2000};
	struct vm *vm = *state;

	for (unsigned int m = 0; m < ARRAY_LEN(mode); m++) {
		struct fuse_attr_out a;
		struct stat st;
		char name[16];

		test_boot(vm, NULL, (const char *const[]){mode[m], "--max-cached-fds=100", NULL});
		make_files(vm, count[m]);
		learn_many(vm, count[m]);
		assert_true(test_server_fds(vm) < 300);
		assert_int_equal(renameat(vm->daemon.share, "f5", vm->daemon.share, "moved"), 0);
		for (unsigned int i = 5; i < count[m]; i += 997) {
			OK(fc_getattr(&vm->client[1], node[i], 0, &a));
			snprintf(name, sizeof(name), "f%u", i);
			st = host_stat(vm->daemon.share, i == 5 ? "moved" : name);
			assert_int_equal(a.attr.ino, st.st_ino);
		}
		assert_int_equal(unlinkat(vm->daemon.share, "f1003", 0), 0);
		assert_true(fc_getattr(&vm->client[1], node[1003], 0, &a) == -ESTALE);
		assert_true(test_server_fds(vm) < 300);
		test_end(vm);
	}
}

/* Without file handles each known inode keeps its descriptor, and stays itself under whatever name. */
static void without_file_handles(void **state)
{
	struct vm *vm = *state;
	struct fuse_attr_out a;

	boot_with(vm, "--inode-file-handles=never");
	make_files(vm, 500);
	learn_many(vm, 500);
	assert_true(test_server_fds(vm) > 500);
	assert_int_equal(unlinkat(vm->daemon.share, "f7", 0), 0);
	OK(fc_getattr(&vm->client[1], node[7], 0, &a));
	assert_int_equal(a.attr.nlink, 0);
	for (unsigned int i = 0; i < 500; i++)
		OK(fc_forget(&vm->client[0], node[i], 1));
	/* Nobody is told when a FORGET was done. */
	for (unsigned int t = 0; t < 5000 && test_server_fds(vm) >= 100; t++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	assert_true(test_server_fds(vm) < 100);
}

/* A file that was removed and its number reused on the host is another file for the guest. */
static void reused_inode_numbers(void **state)
{
	static const char *const mode[] = {"--inode-file-handles=never", "--inode-file-handles=prefer",
		"--inode-file-handles=mandatory"};
	struct vm *vm = *state;

	for (unsigned int m = 0; m < ARRAY_LEN(mode); m++) {
		struct fuse_entry_out a, b;

		test_boot(vm, NULL, (const char *const[]){mode[m], "--max-cached-fds=16", NULL});
		make_files(vm, 100);
		host_write_file(vm->daemon.share, "a", "a", 1);
		OK(fc_lookup(&vm->client[1], FUSE_ROOT_ID, "a", &a));
		learn_many(vm, 100); /* no descriptor is left for "a", if there need be none */
		assert_int_equal(unlinkat(vm->daemon.share, "a", 0), 0);
		host_write_file(vm->daemon.share, "a", "bb", 2);
		OK(fc_lookup(&vm->client[1], FUSE_ROOT_ID, "a", &b));
		assert_true(a.nodeid != b.nodeid);
		assert_int_equal(b.attr.size, 2);
		test_end(vm);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OWN(cache_modes),
		TEST_OWN(timeout_option),
		TEST_OWN(init_flags),
		TEST_OWN(max_write),
		TEST_OWN(allow_mmap),
		TEST_OWN(readonly),
		TEST_OWN(no_switches),
		TEST_OWN(trusted_xattrs),
		TEST_OWN(submounts),
		TEST_OWN(many_files_few_descriptors),
		TEST_OWN(without_file_handles),
		TEST_OWN(reused_inode_numbers),
	};

	return TEST_RUN_OWN(tests, TEST_SPLIT);
}
