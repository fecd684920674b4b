/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole file system, as fs_new() makes it, over a directory of the test's own: for the ops on open files,
 * directories, attributes and locks. It counts how often an op gave its queue away.
 */
#ifndef TESTS_SHARE_H
#define TESTS_SHARE_H

#include "fs_fixture.h"

struct share {
	struct op_ctx c; /* first: may_block() finds the share by it */
	_Atomic unsigned int blocked_io, blocked_lock;
	int lock_answer; /* what may_block(OP_BLOCK_LOCK) says */
	char dir[64];
	int dirfd;
	struct segment seg;
	struct fs *fs;
};

static inline int share_may_block(struct op_ctx *c, enum op_block kind)
{
	struct share *s = (struct share *)(void *)c;

	if (kind == OP_BLOCK_IO) {
		s->blocked_io++;
		return 0;
	}
	s->blocked_lock++;
	return s->lock_answer;
}

static inline struct fs_config share_config(void)
{
	struct fs_config cfg = fixture_config();

	cfg.xattr = true;
	cfg.sync_on_syncfs = true;
	return cfg;
}

/* Over @dir, which exists. */
static inline void share_over(struct share *s, struct fs_config cfg, const char *dir)
{
	struct op_features features = {.posix_locks = true, .flock_locks = true, .killpriv_v2 = true};
	struct segment_plan plan[SEGMENT_SECTIONS] = {0};

	memset(s, 0, sizeof(*s));
	s->c.may_block = share_may_block;
	snprintf(s->dir, sizeof(s->dir), "%s", dir);
	s->dirfd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(s->dirfd >= 0);
	cfg.root = open(s->dir, O_PATH | O_CLOEXEC);
	cfg.proc_self_fd = open("/proc/self/fd", O_PATH | O_CLOEXEC);
	fs_plan(&cfg, plan);
	assert_int_equal(segment_create(&s->seg, plan, NULL), 0);
	assert_int_equal(cred_setup(&cfg, NULL), 0);
	assert_int_equal(fs_new(&cfg, &s->seg, &s->fs, NULL), 0);
	assert_int_equal(fs_ops.init(s->fs, &features), 0);
}

static inline void share_new(struct share *s, struct fs_config cfg)
{
	char dir[64];

	fixture_make_dir(dir, sizeof(dir));
	share_over(s, cfg, dir);
}

/* A new session, whose guest sends neither OPEN nor OPENDIR. */
static inline void share_opens_nothing(struct share *s)
{
	struct op_features features = {.zero_message_open = true, .zero_message_opendir = true};

	assert_int_equal(fs_ops.init(s->fs, &features), 0);
}

/* The directory stays. */
static inline void share_leave(struct share *s)
{
	assert_int_equal(cred_daemon(s->fs), 0);
	fs_ops.destroy(s->fs);
	fs_free(s->fs);
	segment_close(&s->seg);
	close(s->dirfd);
}

static inline void share_free(struct share *s)
{
	share_leave(s);
	fixture_remove_dir(s->dir);
}

/* The host's own view. */
static inline int share_host_open(const struct share *s, const char *name, int flags)
{
	int fd = openat(s->dirfd, name, flags | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	return fd;
}

static inline void share_host_write(const struct share *s, const char *name, const char *text)
{
	int fd = share_host_open(s, name, O_WRONLY | O_CREAT | O_TRUNC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static inline struct stat share_host_stat(const struct share *s, const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static inline void share_expect_text(const struct share *s, const char *name, const char *text)
{
	char buf[256] = {0};
	int fd = share_host_open(s, name, O_RDONLY);

	assert_true(read(fd, buf, sizeof(buf) - 1) >= 0);
	close(fd);
	assert_string_equal(buf, text);
}

/* The guest's. */
static inline struct nodeid share_lookup(struct share *s, const char *name)
{
	struct op_entry e;

	assert_int_equal(fs_op_lookup(s->fs, &s->c, NODEID_ROOT, name, &e), 0);
	return e.node;
}

static inline struct op_fh share_open(struct share *s, struct nodeid node, uint32_t flags)
{
	struct op_fh fh;

	assert_int_equal(fs_op_open(s->fs, &s->c, node, flags, 0, &fh), 0);
	return fh;
}

static inline ssize_t share_write(
	struct share *s, struct nodeid node, struct op_fh fh, const char *text, uint64_t off, uint32_t flags)
{
	struct iovec v = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};

	return fs_op_write(s->fs, &s->c, node, fh, &v, 1, off, flags, 0);
}

static inline ssize_t share_read(
	struct share *s, struct nodeid node, struct op_fh fh, void *buf, size_t len, uint64_t off)
{
	struct iovec v = {.iov_base = buf, .iov_len = len};

	return fs_op_read(s->fs, &s->c, node, fh, &v, 1, off, 0);
}

static inline int share_release(struct share *s, struct nodeid node, struct op_fh fh)
{
	return fs_op_release(s->fs, &s->c, node, fh, false, 0);
}

static inline struct fs_counts share_counts(struct share *s)
{
	struct fs_counts n;

	fs_count(s->fs, &n);
	return n;
}

/* A file of the host's, looked up and opened in the guest. */
struct open_file {
	struct nodeid node;
	struct op_fh fh;
};

static inline struct open_file share_file(struct share *s, const char *name, const char *text, uint32_t flags)
{
	struct open_file f;

	share_host_write(s, name, text);
	f.node = share_lookup(s, name);
	f.fh = share_open(s, f.node, flags);
	return f;
}

#endif
