/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Landlock: whatever the process gets a path to, only what lies beneath the share can be opened or changed.
 * It judges by the way from an inode up to the root of its mount. Inodes that open_by_handle_at(2) brings
 * back have no such way once the kernel has forgotten their names (seen with Linux 6.18: reopening gives
 * EACCES, link(2) EXDEV), so it is for daemons that use no file handles only.
 */
#include "sandbox/stages.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

/* Later than some headers: from the versions (ABI) 2, 3 and 5 on. */
#define FS_REFER      (1ULL << 13)
#define FS_TRUNCATE   (1ULL << 14)
#define FS_IOCTL_DEV  (1ULL << 15)
#define FS_VERSION_1  (FS_REFER - 1)
#define FS_READ_FILE  (1ULL << 2)
#define FS_WRITE_FILE (1ULL << 1)
#define FS_READ_DIR   (1ULL << 3)
#define FS_EXECUTE    (1ULL << 0)
/* Version 4: TCP; version 6: abstract sockets of others, signals to others. Nothing of it is granted. */
#define NET_ALL	  3ULL
#define SCOPE_ALL 3ULL

struct ruleset {
	uint64_t fs, net, scope;
};

static struct ruleset ruleset_for(int version)
{
	struct ruleset r = {.fs = FS_VERSION_1};

	if (version >= 2)
		r.fs |= FS_REFER;
	if (version >= 3)
		r.fs |= FS_TRUNCATE;
	if (version >= 4)
		r.net = NET_ALL;
	if (version >= 5)
		r.fs |= FS_IOCTL_DEV;
	if (version >= 6)
		r.scope = SCOPE_ALL;
	return r;
}

/* What the kernel of this version knows of it. */
static size_t size_for(int version)
{
	if (version < 4)
		return offsetof(struct ruleset, net);
	return version < 6 ? offsetof(struct ruleset, scope) : sizeof(struct ruleset);
}

static int allow(int rules, int dir, uint64_t access)
{
	struct landlock_path_beneath_attr a = {.allowed_access = access, .parent_fd = dir};

	return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &a, 0) ? -errno : 0;
}

/* The share; and our own place in /proc, for what is asked of it: descriptors, mounts, labels to be. */
static int allow_all(int rules, const struct landlock_places *p, uint64_t handled)
{
	uint64_t read = FS_READ_FILE | FS_READ_DIR;
	uint64_t share = p->readonly ? read : handled & ~(FS_EXECUTE | FS_IOCTL_DEV);
	autofd int self = openat(p->proc_self_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = self < 0 ? -errno : allow(rules, self, read | (p->labels ? FS_WRITE_FILE : 0));

	return r ? r : allow(rules, p->root, share);
}

/* Without version 2, nothing could be moved or linked between directories: then it is left alone. */
int stage_landlock(const struct landlock_places *p, struct err *err)
{
	int version = (int)syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, 1);
	struct ruleset set = ruleset_for(version);
	int r;

	if (version < 2) {
		log_debug("this kernel has no Landlock that would do");
		return 0;
	}
	autofd int rules = (int)syscall(SYS_landlock_create_ruleset, &set, size_for(version), 0);
	if (rules < 0)
		return err_sys(err, errno, "Landlock: no rules can be made");
	r = allow_all(rules, p, set.fs);
	if (!r && syscall(SYS_landlock_restrict_self, rules, 0))
		r = -errno;
	if (r)
		return err_sys(err, -r, "Landlock cannot be entered");
	log_debug("Landlock version %d: nothing beyond the share", version);
	return 0;
}
