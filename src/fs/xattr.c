/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Extended attributes. An inode is named by its number beneath /proc/self/fd, which leads to the inode
 * itself, whatever its type: nothing is opened, no link is followed further. Linux 6.13 takes that name
 * relative to a descriptor; for older ones the thread's working directory, which it shares with no other
 * thread then, is /proc/self/fd. Threads: any.
 */
#include "fs/internal.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "fs/acl.h"
#include "fs/cred.h"
#include "fs/xattrmap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
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

/* An inode's name for one call, and the attribute's. */
struct target {
	struct inode_use use;
	int dir; /* for the calls that take a descriptor; -1: relative to the working directory */
	char name[16];
	char attr[XATTR_NAME_MAX + 1]; /* as the host knows it */
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

static int target_name(const struct fs *fs, int fd, struct target *t)
{
	t->dir = have_at_calls() ? fs->cfg.proc_self_fd : -1;
	snprintf(t->name, sizeof(t->name), "%d", fd);
	return t->dir < 0 ? enter_proc(fs) : 0;
}

static int target_begin(struct fs *fs, struct nodeid node, struct target *t)
{
	int r = inode_use(fs->inodes, node, &t->use);

	return r ? r : target_name(fs, t->use.fd, t);
}

static bool is_trusted(const char *attr)
{
	return !strncmp(attr, "trusted.", strlen("trusted."));
}

/*
 * Without CAP_SYS_ADMIN there is no trusted.* for us, and so none in this share: that is what programs in the
 * guest, whose root has the right, know how to do without.
 */
static int refusal(const struct target *t, int error)
{
	return error == EPERM && is_trusted(t->attr) && !cred_has(CAP_SYS_ADMIN) ? -EOPNOTSUPP : -error;
}

static int sys_set(const struct target *t, const void *value, size_t size, int flags)
{
	struct at_args a = {.value = (uintptr_t)value, .size = (uint32_t)size, .flags = (uint32_t)flags};
	unsigned int tries = 0;
	long r;

	do {
		if (t->dir < 0)
			r = setxattr(t->name, t->attr, value, size, flags);
		else
			r = syscall(NR_SETXATTRAT, t->dir, t->name, 0, t->attr, &a, sizeof(a));
	} while (r && fs_again(NULL, &tries));
	return r ? refusal(t, errno) : 0;
}

static ssize_t sys_get(const struct target *t, void *value, size_t size)
{
	struct at_args a = {.value = (uintptr_t)value, .size = (uint32_t)size};
	ssize_t r;

	if (t->dir < 0)
		r = getxattr(t->name, t->attr, value, size);
	else
		r = syscall(NR_GETXATTRAT, t->dir, t->name, 0, t->attr, &a, sizeof(a));
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

static int sys_remove(const struct target *t)
{
	long r;

	if (t->dir < 0)
		r = removexattr(t->name, t->attr);
	else
		r = syscall(NR_REMOVEXATTRAT, t->dir, t->name, 0, t->attr);
	return r ? refusal(t, errno) : 0;
}

int fs_setxattr_fd(const struct fs *fs, int fd, const char *name, const void *value, size_t size)
{
	struct target t = {0};
	int r = xattrmap_to_host(fs->cfg.xattrmap, name, t.attr);

	if (!r)
		r = target_name(fs, fd, &t);
	return r ? r : sys_set(&t, value, size, 0);
}

/* What nobody may take away the guest may not see either (trusted.* without CAP_SYS_ADMIN): as if it were not
 * there. */
int fs_drop_capability(const struct fs *fs, int fd)
{
	const char *attr = xattrmap_capability(fs->cfg.xattrmap);
	struct target t = {0};
	int r;

	if (!attr)
		return 0;
	snprintf(t.attr, sizeof(t.attr), "%s", attr);
	r = target_name(fs, fd, &t);
	if (!r)
		r = sys_remove(&t);
	if (r == -EPERM && sys_get(&t, NULL, 0) == -ENODATA)
		r = 0;
	return r == -ENODATA || r == -EOPNOTSUPP ? 0 : r;
}

/*
 * The door: an attribute that may be asked for, by its name on the host, of an inode that is there. A guest
 * that does not enforce ACLs shall not believe that it has set one.
 */
static int enter(struct fs *fs, struct nodeid node, const char *name, struct target *t)
{
	size_t len = strnlen(name, XATTR_NAME_MAX + 1);
	int r;

	if (!fs->cfg.xattr)
		return -ENOSYS;
	if (!len || len > XATTR_NAME_MAX)
		return -ERANGE;
	r = xattrmap_to_host(fs->cfg.xattrmap, name, t->attr);
	if (r)
		return r;
	if (!fs->features.posix_acl && (acl_is_name(name) || acl_is_name(t->attr)))
		return -EOPNOTSUPP;
	return target_begin(fs, node, t);
}

/* Whether the value names users and groups that have to be translated. */
static bool has_ids(const struct fs *fs, const struct target *t)
{
	return (fs->cfg.uids || fs->cfg.gids) && acl_is_name(t->attr);
}

static int set_value(const struct fs *fs, const struct target *t, const void *value, size_t size, int flags)
{
	autofree void *acl = NULL;
	int r;

	if (!has_ids(fs, t) || !size)
		return sys_set(t, value, size, flags);
	acl = malloc(size);
	if (!acl)
		return -ENOMEM;
	memcpy(acl, value, size);
	r = acl_to_host(acl, size, fs->cfg.uids, fs->cfg.gids);
	return r ? r : sys_set(t, acl, size, flags);
}

/* An attribute that must be new: on another run the earlier one's does not count as being there. */
static int intend_new(struct op_ctx *c, const struct target *t, int flags)
{
	if (!c->intent || !(flags & XATTR_CREATE))
		return flags;
	op_intend(c, !c->again && sys_get(t, NULL, 0) >= 0, 0);
	return c->again && !c->intent->value[0] ? 0 : flags;
}

int fs_op_setxattr(struct fs *fs, struct op_ctx *c, struct nodeid node, const char *name, const void *value,
	size_t size, uint32_t flags, uint32_t setxattr_flags)
{
	struct effect e = {
		.kind = EFFECT_XATTR, .idempotent = !flags, .node = {node}, .nodes = 1, .unique = c->unique};
	autotarget struct target t = {0};
	int r = 0;

	if (flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
		r = -EINVAL;
	if (!r && size > XATTR_SIZE_MAX)
		r = -E2BIG;
	if (!r)
		r = enter(fs, node, name, &t);
	if (!r)
		r = setxattr_flags & OP_SETXATTR_ACL_KILL_SGID ? cred_daemon_kill_priv(fs, c)
							       : cred_daemon(fs);
	if (!r)
		r = effect_begin(fs, &e);
	return r ? r : (int)effect_end(fs, &e, set_value(fs, &t, value, size, intend_new(c, &t, (int)flags)));
}

ssize_t fs_op_getxattr(
	struct fs *fs, struct op_ctx *c, struct nodeid node, const char *name, void *value, size_t size)
{
	autotarget struct target t = {0};
	ssize_t len = enter(fs, node, name, &t);

	(void)c;
	if (!len)
		len = cred_daemon(fs);
	if (!len)
		len = sys_get(&t, value, MIN(size, (size_t)XATTR_SIZE_MAX));
	if (len > 0 && size && has_ids(fs, &t)) {
		int r = acl_to_guest(value, (size_t)len, fs->cfg.uids, fs->cfg.gids);

		return r ? r : len;
	}
	return len;
}

/* Local file systems show trusted.* to the mighty only; ACLs are shown where they can be read. */
static bool is_shown(const struct fs *fs, const struct op_ctx *c, const char *name)
{
	if (acl_is_name(name))
		return fs->features.posix_acl;
	return !c->uid || !is_trusted(name);
}

/* Makes the host's list the guest's, whose names are no longer. The length of what stays. */
static size_t filter(const struct fs *fs, const struct op_ctx *c, char *list, size_t len)
{
	size_t kept = 0;

	for (size_t at = 0, n; at < len; at += n) {
		const char *name = xattrmap_to_guest(fs->cfg.xattrmap, list + at);
		size_t shown;

		n = strnlen(list + at, len - at - 1) + 1;
		if (!name || !is_shown(fs, c, name))
			continue;
		shown = n - (size_t)(name - (list + at));
		memmove(list + kept, name, shown);
		kept += shown;
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

static int remove_intended(struct op_ctx *c, const struct target *t)
{
	int r;

	op_intend(c, 0, 0);
	r = sys_remove(t);
	return r == -ENODATA && c->again ? 0 : r;
}

int fs_op_removexattr(struct fs *fs, struct op_ctx *c, struct nodeid node, const char *name)
{
	struct effect e = {.kind = EFFECT_XATTR, .node = {node}, .nodes = 1, .unique = c->unique};
	autotarget struct target t = {0};
	int r = enter(fs, node, name, &t);

	if (!r)
		r = cred_daemon(fs);
	if (!r)
		r = effect_begin(fs, &e);
	return r ? r : (int)effect_end(fs, &e, remove_intended(c, &t));
}
