/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a run makes on the host: a private directory and processes, and the promise that nothing of it stays.
 * A guard process waits on a pipe: when colofs ends, however it ends, the guard kills what is left and
 * removes the directory.
 */
#ifndef TOOLS_SESSION_H
#define TOOLS_SESSION_H

#include "base/err.h"
#include "colofs.h"

#include <stdint.h>
#include <sys/types.h>

#define SESSION_PROCS_MAX (SHARES_MAX + 2)

struct proc {
	pid_t pid;
	int pidfd;  /* readable when the process has ended */
	char *name; /* for messages */
	char *log;  /* file with its output, or NULL: it went to standard error */
};

struct session {
	char dir[64]; /* "" before session_open() */
	bool verbose;
	int guard; /* our end of the guard's pipe */
	pid_t guard_pid;
	struct proc procs[SESSION_PROCS_MAX];
	unsigned int n_procs;
};

struct spawn {
	const char *name;
	char **argv;
	char **envp;		       /* NULL: ours */
	int keep[2];		       /* descriptors that stay open, or -1 */
	int (*enter)(const void *arg); /* called in the child before exec, or NULL; 0 or -errno */
	const void *arg;
};

/* Makes the directory where @mem bytes of shared memory can be mapped executable (User-Mode Linux wants
 * that). */
int session_open(struct session *s, uint64_t mem, bool verbose, struct err *e);

/* Ends the guest at once and the daemons gently, and removes everything. Also for a session half opened. */
void session_close(struct session *s);

/* Starts a program in a process group of its own. */
int session_spawn(struct session *s, const struct spawn *sp, struct proc **out, struct err *e);

/* Shows the last lines of each process's log on standard error. */
void session_show_logs(const struct session *s);

#endif
