/* SPDX-License-Identifier: BSD-3-Clause */
#include "sandbox/stages.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#define REMEDY "; give --sandbox=chroot or none where namespaces cannot be had"

static int write_file(const char *path, const char *text, struct err *err)
{
	autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_sys(err, errno, "%s" REMEDY, path);
	r = io_write_all(fd, text, strlen(text));
	return r ? err_sys(err, -r, "%s" REMEDY, path) : 0;
}

/* The user we are stays what it is inside; there are no others. */
static int map_ids(uid_t uid, gid_t gid, struct err *err)
{
	char text[64];
	int r;

	r = write_file("/proc/self/setgroups", "deny", err);
	snprintf(text, sizeof(text), "%u %u 1\n", uid, uid);
	if (!r)
		r = write_file("/proc/self/uid_map", text, err);
	snprintf(text, sizeof(text), "%u %u 1\n", gid, gid);
	if (!r)
		r = write_file("/proc/self/gid_map", text, err);
	return r;
}

int stage_outer(const struct sandbox_config *cfg, struct err *err)
{
	bool mapped = stage_ids_wanted(cfg);
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int user = uid && !mapped ? CLONE_NEWUSER : 0;
	int r = mapped ? stage_userns(cfg, err) : 0;

	if (r)
		return r;
	if (unshare(user | CLONE_NEWPID))
		return err_sys(err, errno, "--sandbox=namespace: no namespaces%s" REMEDY,
			user ? " for a user other than root" : "");
	return user ? map_ids(uid, gid, err) : 0;
}

/*
 * The new root needs a place in the tree for the moment; /proc is sure to be there. The old root ends up on
 * top of the new one, and goes from there.
 */
static int swap_root(int tree, struct err *err)
{
	if (move_mount(tree, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH))
		return err_sys(err, errno, "--sandbox=namespace: the share cannot be mounted" REMEDY);
	if (fchdir(tree) || syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return err_sys(err, errno, "--sandbox=namespace: the root cannot be changed" REMEDY);
	return 0;
}

/* Devices and SUID programs of the share are the guest's affair: here they shall mean nothing. What is
 * mounted later has the host's options. Before Linux 5.12: neither are opened nor executed anyway. */
static int tame(int tree, struct err *err)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID};
	int r = mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr));

	return !r || errno == ENOSYS ? 0
				     : err_sys(err, errno, "--sandbox=namespace: nodev and nosuid" REMEDY);
}

int stage_inner(const struct sandbox_config *cfg, int *proc_self_fd, struct err *err)
{
	autofd int tree = -1;
	int r;

	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS))
		return err_sys(err, errno, "--sandbox=namespace: no namespaces" REMEDY);
	/* Slave, not private: what the host mounts beneath the share later shows up here too. */
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL))
		return err_sys(err, errno, "--sandbox=namespace: mounts cannot be made our own" REMEDY);
	tree = open_tree(AT_FDCWD, cfg->shared_dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (tree < 0)
		return err_sys(err, errno, "--shared-dir=%s cannot be bound", cfg->shared_dir);
	r = tame(tree, err);
	if (!r)
		r = stage_proc(cfg, proc_self_fd, err);
	return r ? r : swap_root(tree, err);
}
