/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fails, delays or shortens the n-th system call that a daemon makes under src/fs, or kills the process
 *there. It works from outside, by ptrace(2), on the very program that ships: nothing is compiled in, and
 *there is no way around it, whoever makes the call and however. Which calls are meant is taken from
 *src/sandbox/syscalls.h, so the layer cannot know fewer than the daemon may make.
 *
 * A process of its own traces (the daemon's parent keeps waitpid(2) for itself); plan and report lie in
 *memory that it shares with the test. Only where the kernel's registers are known: x86-64. Threads: one.
 *
 * To kill the daemon at the n-th system call of one request:
 *	inject_attach(&in, spawn_server_pid(&vm->daemon), &err);
 *	inject_arm(&in, &(struct inject_plan){.nth = n, .what = INJECT_KILL});
 *	... send the request; the daemon is gone, or the request was answered with less than n calls ...
 *	inject_disarm(&in, &report);		report.fired tells which
 *	inject_detach(&in);			a daemon that was started anew is attached anew
 */
#ifndef FAULT_INJECT_H
#define FAULT_INJECT_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum inject_what {
	INJECT_NOTHING, /* counts and lists the calls */
	INJECT_ERROR,	/* the call is not made and answers -plan.error; close(2) is made, and answers so */
	INJECT_SHORT,	/* half of the bytes: read, write and their kin, getdents64, copy_file_range */
	INJECT_DELAY,	/* the call is made plan.delay_ms later */
	INJECT_KILL,	/* SIGKILL to the process ahead of the call */
	INJECT_KILL_AFTER, /* SIGKILL when the call has been made and the program has not yet seen what it
			      answered */
};

/* Which calls are counted. */
enum inject_scope {
	INJECT_FS,     /* those of fs/, and close(2) */
	INJECT_MEMORY, /* what the C library needs for memory and threads: mmap, mprotect, mremap, clone */
	INJECT_QUEUE,  /* INJECT_FS, and what a queue's thread does else: sleeps, and writes to events */
};

struct inject_plan {
	enum inject_scope scope;
	unsigned int nth;   /* the first is 1; 0: none */
	unsigned int times; /* so many in a row, 0: one */
	enum inject_what what;
	int error;
	unsigned int delay_ms;
};

#define INJECT_CALLS 64

/* What happened since inject_arm(). */
struct inject_report {
	unsigned int count;	/* calls of the plan's scope */
	bool fired;		/* the n-th came, and the fault suits it */
	int call[INJECT_CALLS]; /* numbers of the first ones */
};

struct inject {
	struct inject_shared *shared;
	pid_t tracer;
};

/* Traces all threads of @pid, those to come too. 0 or -errno with @err: -EPERM where it is not allowed,
 * -ENOTSUP on other machines. */
int inject_attach(struct inject *in, pid_t pid, struct err *err);
/* Lets the process go its own way. An empty struct inject is allowed. */
void inject_detach(struct inject *in);

/* The count begins anew. Nothing else may be on its way: arm, send one request, wait for it, disarm. */
void inject_arm(struct inject *in, const struct inject_plan *plan);
void inject_disarm(struct inject *in, struct inject_report *report);

const char *inject_call_name(int number);
/* Whether the kernel may answer so to that call: some cannot fail, and most cannot be interrupted. */
bool inject_plausible(int number, int error);

#endif
