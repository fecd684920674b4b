/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Isolation in stages; sandbox.c opens with what each stage must and must not do.
 * All of it runs on the one thread that the daemon has at start. A stage that fails ends the start; none is
 * skipped silently.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum sandbox_mode { SANDBOX_NAMESPACE, SANDBOX_CHROOT, SANDBOX_NONE };
enum sandbox_seccomp {
	SANDBOX_SECCOMP_NONE,
	SANDBOX_SECCOMP_KILL,
	SANDBOX_SECCOMP_LOG,
	SANDBOX_SECCOMP_TRAP
};

/* rlimit_nofile: a million, or what the system allows if that is less. */
#define SANDBOX_RLIMIT_DEFAULT UINT64_MAX

/* What the waiting parent does outside for the child inside; see sandbox_enter(). */
struct sandbox_parent {
	void (*told)(void *arg, char word); /* the child wrote @word to sandbox_root.parent */
	void (*begin)(void *arg);	    /* the child is there; NULL: nothing to do */
	void (*end)(void *arg);		    /* the child is gone, the parent about to exit; or NULL */
	void *arg;
};

#define SANDBOX_IDS_MAX 64

/* Ids inside a user namespace, and what they are outside. */
struct sandbox_ids {
	struct sandbox_id_range {
		uint32_t inside, outside, count;
	} range[SANDBOX_IDS_MAX];
	unsigned int n;
};

struct sandbox_config {
	enum sandbox_mode mode;
	enum sandbox_seccomp seccomp;
	const char *shared_dir;
	const char *modcaps;	/* "+cap:-cap", NULL: none */
	uint64_t rlimit_nofile; /* 0: leave it */
	bool syslog;		/* syslog's system calls are needed */
	bool readonly;
	bool labels;	   /* those of new files are set in /proc */
	bool supervised;   /* the process will be a supervisor, and so is not the one to stay outside */
	bool file_handles; /* open_by_handle_at() is wanted, which takes a capability */
	/* SANDBOX_NAMESPACE only: the users and groups of a user namespace; both empty: the caller alone, and
	 * no user namespace for root. */
	struct sandbox_ids uids, gids;
	struct sandbox_parent parent;
};

/* What the daemon works with from then on; both are the caller's. */
struct sandbox_root {
	int root;	   /* O_PATH: the shared directory, as it is reached inside */
	int proc_self_fd;  /* O_PATH: /proc/self/fd of this process */
	bool change_creds; /* the process may act as other users */
	int parent;	   /* takes words of one byte for the parent; -1: there is none. The caller's */
};

/*
 * Before anything is made: sets the limit of descriptors, and refuses capabilities asked for that are not
 * there. 0 or -errno with @err, which names the option.
 */
int sandbox_prepare(const struct sandbox_config *cfg, struct err *err);

/*
 * Enters namespaces or the chroot. In these two modes, or with @cfg->supervised, it forks: only the
 * child returns. The parent stays outside: it waits, passes SIGTERM, SIGINT, SIGHUP and SIGUSR2 on, serves
 * @cfg->parent, with the rights to remove files if there is an @end, and exits with the child's status; if
 * the parent is killed, so is the child. The caller has blocked these signals. 0 or -errno with @err.
 */
int sandbox_enter(const struct sandbox_config *cfg, struct sandbox_root *out, struct err *err);

/* For a process that stays outside of all of this, to start daemons: it has its capabilities at hand, but in
 * use are only those for removing files. 0 or -errno with @err. */
int sandbox_rest(struct err *err);

/* Who is locked in: a process that serves; or one that starts workers, which inherit its lock and, when all
 * is set up, take the step to their own: without processes, signals to others, and filters. */
enum sandbox_role { SANDBOX_ALONE, SANDBOX_SUPERVISOR, SANDBOX_WORKER };

/*
 * Last: capabilities, no_new_privs, Landlock, seccomp. After it the process can only serve. @root is what
 * sandbox_enter() gave; NULL, or modes without walls of their own, go without Landlock. 0 or -errno with
 * @err.
 */
int sandbox_lock(const struct sandbox_config *cfg, enum sandbox_role role, const struct sandbox_root *root,
	struct err *err);

#endif
