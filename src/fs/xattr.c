/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extended attributes. An inode is named by its number beneath /proc/self/fd, which leads to the inode
 * itself, whatever its type: nothing is opened, no link is followed further. Linux 6.13 takes that name
 * relative to a descriptor; for older ones the thread's working directory, which it shares with no other
 * thread then, is /proc/self/fd. Threads: any.
 */
#include "fs/internal.h"

#include "base/arith.h"
#include "fs/cred.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/* setxattrat and its three siblings: the same numbers on every architecture that we know. */
enum { NR_SETXATTRAT = 463, NR_GETXATTRAT, NR_LISTXATTRAT, NR_REMOVEXATTRAT };

/* As struct xattr_args of Linux 6.13. */
struct at_args {
	uint64_t value;
	uint32_t size;
	uint32_t flags;
};

enum at_calls { AT_UNKNOWN, AT_THERE, AT_MISSING };

/* With arguments that are wrong the kernel says EINVAL if it knows the call. */
static bool have_at_calls(void)
{
	static _Atomic int known = AT_UNKNOWN;
	int k = atomic_load_explicit(&known, memory_order_relaxed);

	if (k == AT_UNKNOWN) {
		long r = syscall(NR_GETXATTRAT, -1, "", 0, "", NULL, (size_t)0);

		k = r < 0 && errno == EINVAL ? AT_THERE : AT_MISSING;
		atomic_store_explicit(&known, k, memory_order_relaxed);
	}
	return k == AT_THERE;
}

/* An inode's name for one call. */
struct target {
	struct inode_use use;
	int dir; /* for the calls that take a descriptor; -1: relative to the working directory */
	char name[16];
};
#define autotarget __attribute__((cleanup(target_end)))

static void target_end(struct target *t)
{
	inode_use_end(&t->use);
}

static int enter_proc(const struct fs *fs)
{
	static _Thread_local int entered = -1;

	if (entered == fs->cfg.proc_self_fd)
		return 0;
	if (unshare(CLONE_FS) || fchdir(fs->cfg.proc_self_fd))
		return -errno;
	entered = fs->cfg.proc_self_fd;
	return 0;
}

static int target_name(const struct fs *fs, int path_fd, struct target *t)
{
	t->dir = have_at_calls() ? fs->cfg.proc_self_fd : -1;
	snprintf(t->name, sizeof(t->name), "%d", path_fd);
	return t->dir < 0 ? enter_proc(fs) : 0;
}

static int target_begin(struct fs *fs, struct nodeid node, struct target *t)
{
	int r = inode_use(fs->inodes, node, &t->use);

	return r ? r : target_name(fs, t->use.fd, t);
}

static int sys_set(const struct target *t, const char *name, const void *value, size_t size, int flags)
{
	struct at_args a = {.value = (uintptr_t)value, .size = (uint32_t)size, .flags = (uint32_t)flags};
	long r;

	if (t->dir < 0)
		r = setxattr(t->name, name, value, size, flags);
	else
		r = syscall(NR_SETXATTRAT, t->dir, t->name, 0, name, &a, sizeof(a));
	return r ? -errno : 0;
}

int fs_setxattr_fd(const struct fs *fs, int path_fd, const char *name, const void *value, size_t size)
{
	struct target t = {0};
	int r = target_name(fs, path_fd, &t);

	return r ? r : sys_set(&t, name, value, size, 0);
}

static ssize_t sys_get(const struct target *t, const char *name, void *value, size_t size)
{
	struct at_args a = {.value = (uintptr_t)value, .size = (uint32_t)size};
	ssize_t r;

	if (t->dir < 0)
		r = getxattr(t->name, name, value, size);
	else
		r = syscall(NR_GETXATTRAT, t->dir, t->name, 0, name, &a, sizeof(a));
	return r < 0 ? -errno : r;
}

static ssize_t sys_list(const struct target *t, char *list, size_t size)
{
	ssize_t r;

	if (t->dir < 0)
		r = listxattr(t->name, list, size);
	else
		r = syscall(NR_LISTXATTRAT, t->dir, t->name, 0, list, size);
	return r < 0 ? -errno : r;
}

static int sys_remove(const struct target *t, const char *name)
{
	long r;

	if (t->dir < 0)
		r = removexattr(t->name, name);
	else
		r = syscall(NR_REMOVEXATTRAT, t->dir, t->name, 0, name);
	return r ? -errno : 0;
}

static bool is_acl(const char *name)
{
	return !strcmp(name, "system.posix_acl_access") || !strcmp(name, "system.posix_acl_default");
}

/* A guest that does not enforce ACLs shall not believe that it has set one. */
static int check(const struct fs *fs, const char *name)
{
	size_t len = strnlen(name, XATTR_NAME_MAX + 1);

	if (!fs->cfg.xattr)
		return -ENOSYS;
	if (!len || len > XATTR_NAME_MAX)
		return -ERANGE;
	return is_acl(name) && !fs->features.posix_acl ? -EOPNOTSUPP : 0;
}

int fs_op_setxattr(struct fs *fs, struct op_ctx *c, struct nodeid node, const char *name, const void *value,
	size_t size, uint32_t flags, uint32_t setxattr_flags)
{
	struct effect e = {
		.kind = EFFECT_XATTR, .idempotent = !flags, .node = {node}, .nodes = 1, .unique = c->unique};
	autotarget struct target t = {0};
	int r = check(fs, name);

	if (!r && flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
		r = -EINVAL;
	if (!r && size > XATTR_SIZE_MAX)
		r = -E2BIG;
	if (!r)
		r = setxattr_flags & OP_SETXATTR_ACL_KILL_SGID ? cred_daemon_kill_priv(fs, c)
							       : cred_daemon(fs);
	if (!r)
		r = target_begin(fs, node, &t);
	if (!r)
		r = effect_begin(fs, &e);
	if (r)
		return r;
	return (int)effect_end(fs, &e, sys_set(&t, name, value, size, (int)flags));
}

ssize_t fs_op_getxattr(
	struct fs *fs, struct op_ctx *c, struct nodeid node, const char *name, void *value, size_t size)
{
	autotarget struct target t = {0};
	int r = check(fs, name);

	(void)c;
	if (!r)
		r = cred_daemon(fs);
	if (!r)
		r = target_begin(fs, node, &t);
	return r ? r : sys_get(&t, name, value, MIN(size, (size_t)XATTR_SIZE_MAX));
}

/* Local file systems show trusted.* to the mighty only; ACLs are shown where they can be read. */
static bool is_shown(const struct fs *fs, const struct op_ctx *c, const char *name)
{
	if (is_acl(name))
		return fs->features.posix_acl;
	return !c->uid || strncmp(name, "trusted.", strlen("trusted."));
}

/* Takes out of the list what is not shown. The length of the rest. */
static size_t filter(const struct fs *fs, const struct op_ctx *c, char *list, size_t len)
{
	size_t kept = 0;

	for (size_t at = 0, n; at < len; at += n) {
		n = strnlen(list + at, len - at - 1) + 1;
		if (!is_shown(fs, c, list + at))
			continue;
		memmove(list + kept, list + at, n);
		kept += n;
	}
	return kept;
}

/* Without room the answer is an upper bound: what is not shown is counted. */
ssize_t fs_op_listxattr(struct fs *fs, struct op_ctx *c, struct nodeid node, char *list, size_t size)
{
	autotarget struct target t = {0};
	ssize_t len;
	int r;

	if (!fs->cfg.xattr)
		return -ENOSYS;
	r = cred_daemon(fs);
	if (!r)
		r = target_begin(fs, node, &t);
	if (r)
		return r;
	len = sys_list(&t, list, MIN(size, (size_t)XATTR_LIST_MAX));
	return len > 0 && size ? (ssize_t)filter(fs, c, list, (size_t)len) : len;
}

int fs_op_removexattr(struct fs *fs, struct op_ctx *c, struct nodeid node, const char *name)
{
	struct effect e = {.kind = EFFECT_XATTR, .node = {node}, .nodes = 1, .unique = c->unique};
	autotarget struct target t = {0};
	int r = check(fs, name);

	if (!r)
		r = cred_daemon(fs);
	if (!r)
		r = target_begin(fs, node, &t);
	if (!r)
		r = effect_begin(fs, &e);
	return r ? r : (int)effect_end(fs, &e, sys_remove(&t, name));
}
