/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file system over a directory of the test's own: inode table, handle table and credentials, as the ops of
 * namei.c and attr.c want them. The process has a private mount namespace where it may, so that mounts go
 * with it.
 */
#ifndef TESTS_FS_FIXTURE_H
#define TESTS_FS_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/closing.h"
#include "fs/cred.h"
#include "fs/internal.h"
#include "fs/mount.h"

struct fixture {
	char dir[64];
	int dirfd; /* a real descriptor of the shared directory, for the test's own acts as "the host" */
	struct segment seg;
	struct fs fs;
	struct op_ctx ctx;
};

static inline struct fs_config fixture_config(void)
{
	return (struct fs_config){.handles = FS_HANDLES_PREFER,
		.max_inodes = 1000,
		.max_handles = 100,
		.max_fds = 100,
		.max_lock_owners = 10,
		.change_creds = geteuid() == 0};
}

static inline void fixture_plan(const struct fs_config *cfg, struct segment_plan *plan)
{
	plan[SEGMENT_MOUNTS] = (struct segment_plan){sizeof(struct mount), MOUNT_MAX};
	plan[SEGMENT_INODES] = (struct segment_plan){sizeof(struct inode), cfg->max_inodes + 1};
	plan[SEGMENT_HANDLES] = (struct segment_plan){sizeof(struct handle), cfg->max_handles + 1};
}

/* Over @dir, which exists. What inode_table_new() answers. */
static inline int fixture_open(struct fixture *x, struct fs_config cfg, const char *dir, struct err *err)
{
	struct segment_plan plan[SEGMENT_SECTIONS] = {0};
	int r;

	memset(x, 0, sizeof(*x));
	snprintf(x->dir, sizeof(x->dir), "%s", dir);
	x->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(x->dirfd >= 0);
	fixture_plan(&cfg, plan);
	assert_int_equal(segment_create(&x->seg, plan, NULL), 0);
	cfg.root = open(dir, O_PATH | O_CLOEXEC);
	cfg.proc_self_fd = open("/proc/self/fd", O_PATH | O_CLOEXEC);
	x->fs.cfg = cfg;
	assert_int_equal(cred_setup(&x->fs.cfg, NULL), 0);
	r = inode_table_new(&x->fs.cfg, &x->seg, &x->fs.inodes, err);
	if (!r) {
		x->fs.handles = handle_table_new(x->fs.inodes, &x->seg);
		assert_non_null(x->fs.handles);
	}
	return r;
}

static inline void fixture_close(struct fixture *x)
{
	cred_daemon(&x->fs);
	if (x->fs.handles)
		handle_release_all(x->fs.handles);
	if (x->fs.inodes)
		inode_forget_all(x->fs.inodes);
	handle_table_free(x->fs.handles);
	inode_table_free(x->fs.inodes, false);
	segment_close(&x->seg);
	close(x->fs.cfg.root);
	close(x->fs.cfg.proc_self_fd);
	close(x->dirfd);
}

static inline void fixture_remove_dir(const char *dir)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf --one-file-system '%s'", dir);
	assert_int_equal(system(cmd), 0);
}

/* A new directory beneath TMPDIR, open to all. */
static inline void fixture_make_dir(char *dir, size_t size)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, size, "%.40s/colofs-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
}

static inline void fixture_new(struct fixture *x, struct fs_config cfg)
{
	char dir[64];

	fixture_make_dir(dir, sizeof(dir));
	assert_int_equal(fixture_open(x, cfg, dir, NULL), 0);
}

static inline void fixture_free(struct fixture *x)
{
	fixture_close(x);
	fixture_remove_dir(x->dir);
}

/* Mounts in a namespace of the process's own; where that is not allowed it removes @dir and ends the test as
 * skipped. */
static inline void fixture_mount(const char *type, const char *at, const char *options, const char *dir)
{
	static int private_mounts;

	if (!private_mounts)
		private_mounts = !unshare(CLONE_NEWNS) && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (private_mounts && !mount("colofs-test", at, type, 0, options))
		return;
	print_message("skipped: cannot mount %s: %s\n", type, strerror(errno));
	fixture_remove_dir(dir);
	skip();
}

static inline void fixture_need_root(void)
{
	if (geteuid()) {
		print_message("skipped: needs root\n");
		skip();
	}
}

/* The host writes a file. */
static inline void host_write(const struct fixture *x, const char *name, const char *text)
{
	int fd = openat(x->dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static inline struct statx host_stat(const struct fixture *x, const char *name)
{
	struct statx st;

	assert_int_equal(statx(x->dirfd, name, AT_SYMLINK_NOFOLLOW, FS_STATX_MASK, &st), 0);
	return st;
}

static inline bool host_has(const struct fixture *x, const char *name)
{
	return !faccessat(x->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

/* LOOKUP beneath the root, which must succeed. */
static inline struct op_entry must_lookup(struct fixture *x, const char *name)
{
	struct op_entry e;

	assert_int_equal(fs_op_lookup(&x->fs, &x->ctx, NODEID_ROOT, name, &e), 0);
	return e;
}

/* Whether the inode opens as a regular file that holds @text. */
static inline bool reads(struct fixture *x, struct nodeid node, const char *text)
{
	struct inode_use u = {0};
	char buf[64] = {0};
	int fd;

	if (inode_use(x->fs.inodes, node, &u))
		return false;
	fd = fs_reopen(&x->fs, NULL, u.fd, u.inode->key.type, O_RDONLY);
	inode_use_end(&u);
	if (fd < 0)
		return false;
	if (read(fd, buf, sizeof(buf) - 1) < 0)
		buf[0] = 0;
	close(fd);
	return !strcmp(buf, text);
}

static inline uint32_t count_inodes(struct fixture *x)
{
	uint32_t inodes, fds;

	inode_table_count(x->fs.inodes, &inodes, &fds);
	return inodes;
}

static inline uint32_t count_fds(struct fixture *x)
{
	uint32_t inodes, fds;

	inode_table_count(x->fs.inodes, &inodes, &fds);
	return fds;
}

/* Descriptors that the process has open, by the kernel's count. */
static inline unsigned int process_fds(void)
{
	unsigned int n = 0;
	DIR *d;

	closing_flush();
	d = opendir("/proc/self/fd");
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 3; /* ".", ".." and the directory itself */
}

/* True if handles work in the test's directory, so that descriptors can be taken back. */
static inline bool has_handles(struct fixture *x)
{
	struct inode *root = inode_get(x->fs.inodes, NODEID_ROOT);
	bool works = root->mount != 0;
	struct op_entry e;
	struct inode *i;

	inode_put(x->fs.inodes, root);
	if (!works)
		return false;
	host_write(x, "probe", "");
	e = must_lookup(x, "probe");
	i = inode_get(x->fs.inodes, e.node);
	works = !(i->flags & INODE_PINNED);
	inode_put(x->fs.inodes, i);
	inode_forget(x->fs.inodes, e.node, 1);
	return works;
}

#endif
