/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stages, in the order in which they must come. The guest is hostile, and may get to run what it likes in
 * this process; each stage takes away something that it would find then.
 *
 * sandbox_prepare(), while mistakes are still the user's:
 *  1. Limits. Descriptors are raised as far as they may be: later there is no privilege to do so.
 * sandbox_enter(), while the command line's paths still mean something:
 *  2. Outer namespaces and fork. A pid namespace begins with a new process. The parent stays outside, and
 *     waits. It removes the socket and the pid file, which cannot be named from inside, where the caller
 *     has nobody else for that (sandbox_parent.end; with recovery: daemon/launch.h). A caller that is not
 *     root gets a user namespace first, in which he is the only user unless ids are mapped. Root must not
 *     have one, as file handles, devices and trusted.* work in the initial one only, unless ids are
 *     mapped. A process that stays in the old user namespace for that moment sets the maps (userns.c).
 *  3. Inner namespaces. Network: no abstract sockets, no network. IPC, UTS: nothing to find. Mount: the share
 *     becomes the root, nodev and nosuid, with what is mounted beneath it, and the old root is gone. What
 *     must stay is a descriptor of /proc/self/fd, by which inodes are opened again: of a /proc without the
 *     host's (proc.c), so that it leads to own descriptors only. In mode chroot only the root changes, in a
 *     pid namespace where one can be had (so that no other process's root is in that /proc): it holds as long
 *     as CAP_SYS_CHROOT is given up (stage 4) and no descriptor of a directory outside is left open: the
 *     caller keeps none.
 * sandbox_lock(), when all is set up and no other thread runs:
 *  4. Capabilities. What ops need stays (caps.c), all else goes for good.
 *  5. no_new_privs and, where no file handles are used, Landlock (landlock.c): should a way out of the root
 *     be found, files there cannot be opened. It must not stand in the way of anything beneath the share.
 *  6. seccomp. Only listed system calls (syscalls.h), threads but no processes: the supervisor alone may
 *     start one. Its workers inherit its lock, and take a second step, to a filter without what is the
 *     supervisor's.
 */
#include "sandbox/sandbox.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "sandbox/caps.h"
#include "sandbox/stages.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>

static int open_dir(const char *path, int *fd, struct err *err)
{
	*fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *fd < 0 ? err_sys(err, errno, "%s cannot be opened", path) : 0;
}

static int enter_namespaces(const struct sandbox_config *cfg, struct sandbox_root *out, struct err *err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r = stage_outer(cfg, err);

	if (!r)
		r = stage_fork(cfg, &out->parent, err);
	if (!r)
		r = stage_inner(cfg, &out->proc_self_fd, err);
	if (!r && stage_ids_wanted(cfg)) {
		r = stage_ids(cfg, uid, gid, err);
		if (!r)
			r = stage_tie(out->parent, err);
	}
	return r ? r : open_dir("/", &out->root, err);
}

static int enter_chroot(const struct sandbox_config *cfg, struct sandbox_root *out, struct err *err)
{
	int r;

	if (unshare(CLONE_NEWPID)) /* by others' /proc/PID/root the way would lead out */
		log_info("the host's processes stay within reach: %s", strerrordesc_np(errno));
	r = stage_fork(cfg, &out->parent, err);
	if (!r)
		r = stage_proc(cfg, &out->proc_self_fd, err);
	if (r)
		return r;
	if (chdir(cfg->shared_dir))
		return err_sys(err, errno, "--shared-dir=%s", cfg->shared_dir);
	if (chroot(".") || chdir("/"))
		return err_sys(
			err, errno, "--sandbox=chroot needs CAP_SYS_CHROOT; give --sandbox=none without it");
	return open_dir("/", &out->root, err);
}

static int enter_nothing(const struct sandbox_config *cfg, struct sandbox_root *out, struct err *err)
{
	int r = cfg->supervised ? stage_fork(cfg, &out->parent, err) : 0;

	if (!r)
		r = open_dir("/proc/self/fd", &out->proc_self_fd, err);
	return r ? r : open_dir(cfg->shared_dir, &out->root, err);
}

/* A user namespace of our own: we have all capabilities there, and are alone in it unless ids are mapped. */
static bool own_user_namespace(const struct sandbox_config *cfg)
{
	return cfg->mode == SANDBOX_NAMESPACE && (geteuid() || stage_ids_wanted(cfg));
}

int sandbox_prepare(const struct sandbox_config *cfg, struct err *err)
{
	int r = stage_limits(cfg, err);

	return r || own_user_namespace(cfg) ? r : caps_check_added(cfg, err);
}

int sandbox_enter(const struct sandbox_config *cfg, struct sandbox_root *out, struct err *err)
{
	bool alone = own_user_namespace(cfg) && !stage_ids_wanted(cfg);
	int r = -EINVAL;

	*out = (struct sandbox_root){.root = -1, .proc_self_fd = -1, .parent = -1};
	switch (cfg->mode) {
	case SANDBOX_NAMESPACE:
		r = enter_namespaces(cfg, out, err);
		break;
	case SANDBOX_CHROOT:
		r = enter_chroot(cfg, out, err);
		break;
	case SANDBOX_NONE:
		r = enter_nothing(cfg, out, err);
		break;
	}
	out->change_creds = !alone && caps_will_keep(cfg, CAP_SETUID) && caps_will_keep(cfg, CAP_SETGID);
	return r;
}

int sandbox_rest(struct err *err)
{
	return caps_rest(err);
}

/* Inodes that come back by file handle are unknown to Landlock; and without a sandbox files outside are ours
 * to remove at the end. */
static bool landlock_fits(const struct sandbox_config *cfg, const struct sandbox_root *root)
{
	return root && cfg->mode != SANDBOX_NONE && !cfg->file_handles;
}

int sandbox_lock(const struct sandbox_config *cfg, enum sandbox_role role, const struct sandbox_root *root,
	struct err *err)
{
	int r = caps_reduce(cfg, err);

	if (r)
		return r;
	if (role != SANDBOX_WORKER && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return err_sys(err, errno, "no_new_privs cannot be set");
	/* A worker must not reach the supervisor's memory by /proc, as it has the same rights otherwise. */
	if (role != SANDBOX_ALONE && prctl(PR_SET_DUMPABLE, role == SANDBOX_WORKER, 0, 0, 0))
		return err_sys(err, errno, "memory cannot be protected");
	if (role != SANDBOX_SUPERVISOR && landlock_fits(cfg, root)) {
		struct landlock_places places = {root->root, root->proc_self_fd, cfg->readonly, cfg->labels};

		r = stage_landlock(&places, err);
		if (r)
			return r;
	}
	return stage_seccomp(cfg, role, err);
}
