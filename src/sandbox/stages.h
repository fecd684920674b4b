/* SPDX-License-Identifier: BSD-3-Clause */
/* The stages of sandbox.c, one function each. Included by this folder only. */
#ifndef SANDBOX_STAGES_H
#define SANDBOX_STAGES_H

#include "sandbox/sandbox.h"

#include <sys/types.h>

/* limits.c: the limit of descriptors. */
int stage_limits(const struct sandbox_config *cfg, struct err *err);

/* parent.c: forks. In the child it returns 0, with @told to write words for the parent to; the parent never
 * returns. */
int stage_fork(const struct sandbox_config *cfg, int *told, struct err *err);

/*
 * namespace.c: stage_outer() ahead of the fork, stage_inner() in the child. The latter leaves "/" as the
 * share and gives *proc_self_fd.
 */
int stage_outer(const struct sandbox_config *cfg, struct err *err);
int stage_inner(const struct sandbox_config *cfg, int *proc_self_fd, struct err *err);

/*
 * proc.c: a /proc without the host's, of the pid namespace that the process is in. Gives *proc_self_fd. Where
 * it cannot be made, that is an error, or in mode chroot the host's is taken, which leads out of there.
 */
int stage_proc(const struct sandbox_config *cfg, int *proc_self_fd, struct err *err);

/* parent.c, in the child, whose ids have changed: dies with its parent as before. @told as stage_fork() gave
 * it. */
int stage_tie(int told, struct err *err);

/*
 * userns.c: a user namespace with the ids of @cfg, which stage_userns() enters. stage_ids(), in the child and
 * once the share is reached, takes on ids that the namespace has: what the caller's @uid and @gid are inside,
 * or where they are not mapped root, or else the first. That undoes the tie to the parent.
 */
bool stage_ids_wanted(const struct sandbox_config *cfg);
int stage_userns(const struct sandbox_config *cfg, struct err *err);
int stage_ids(const struct sandbox_config *cfg, uid_t uid, gid_t gid, struct err *err);

/*
 * landlock.c: files beyond the share and /proc/self can neither be opened nor changed, as far as this kernel
 * can see to it. With no_new_privs set. 0, also where it cannot, or -errno with @err.
 */
struct landlock_places {
	int root, proc_self_fd;
	bool readonly, labels;
};
int stage_landlock(const struct landlock_places *p, struct err *err);

/* seccomp.c: the filter, from the list in syscalls.h. Nothing can be added to what it allows. */
int stage_seccomp(const struct sandbox_config *cfg, enum sandbox_role role, struct err *err);

#endif
