/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that traces a daemon: it stops at the entry and at the exit of every system call of every
 * thread. A call that is to fail becomes a getpid(2), which the daemon's own filter allows, and gets its
 * answer at the exit.
 */
#include "tracer.h"

#include "base/arith.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __x86_64__

#define MAX_TASKS 1024
#define REG(name) offsetof(struct user_regs_struct, name)
#define OPTIONS	  (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE)

/* What is to be done at the exit of the call that a thread is in. */
enum at_exit { EXIT_NOTHING, EXIT_ANSWER, EXIT_MEND, EXIT_KILL };

struct task {
	pid_t tid;
	enum at_exit at_exit;
	int error;
	uintptr_t mend_at; /* a word of its memory, and what it held */
	long mend;
};

struct tracer {
	struct inject_shared *shared;
	pid_t pid;
	struct task task[MAX_TASKS];
	unsigned int tasks;
};

static struct task *task_of(struct tracer *t, pid_t tid)
{
	for (unsigned int i = 0; i < t->tasks; i++)
		if (t->task[i].tid == tid)
			return &t->task[i];
	if (t->tasks == MAX_TASKS)
		return NULL;
	t->task[t->tasks] = (struct task){.tid = tid};
	return &t->task[t->tasks++];
}

static void forget_task(struct tracer *t, pid_t tid)
{
	for (unsigned int i = 0; i < t->tasks; i++)
		if (t->task[i].tid == tid)
			t->task[i] = t->task[--t->tasks];
}

static void set_reg(pid_t tid, size_t reg, uint64_t value)
{
	ptrace(PTRACE_POKEUSER, tid, reg, value);
}

/* Of several pieces the first is left, of a single one the half: in the caller's memory, until the exit. */
static bool shorten_vector(struct task *task, const uint64_t *args)
{
	uintptr_t len = (uintptr_t)args[1] + offsetof(struct iovec, iov_len);
	long bytes;

	if (args[2] > 1) {
		set_reg(task->tid, REG(rdx), 1);
		return true;
	}
	errno = 0;
	bytes = ptrace(PTRACE_PEEKDATA, task->tid, len, 0);
	if (errno || bytes < 2)
		return false;
	task->at_exit = EXIT_MEND;
	task->mend_at = len;
	task->mend = bytes;
	return !ptrace(PTRACE_POKEDATA, task->tid, len, bytes / 2);
}

static bool shorten(struct task *task, const struct __ptrace_syscall_info *call)
{
	const uint64_t *args = (const uint64_t *)call->entry.args;

	switch (call->entry.nr) {
	case SYS_preadv2:
	case SYS_pwritev2:
		return shorten_vector(task, args);
	case SYS_read:
	case SYS_write:
	case SYS_getdents64:
		if (args[2] < 2)
			return false;
		set_reg(task->tid, REG(rdx), args[2] / 2);
		return true;
	case SYS_copy_file_range:
		if (args[4] < 2)
			return false;
		set_reg(task->tid, REG(r8), args[4] / 2);
		return true;
	default:
		return false;
	}
}

static bool fail(struct task *task, int nr, int error)
{
	if (!inject_plausible(nr, error))
		return false;
	task->at_exit = EXIT_ANSWER;
	task->error = error;
	if (nr != SYS_close)
		set_reg(task->tid, REG(orig_rax), SYS_getpid);
	return true;
}

static bool inflict(struct tracer *t, struct task *task, const struct __ptrace_syscall_info *call)
{
	const struct inject_plan *plan = &t->shared->plan;

	switch (plan->what) {
	case INJECT_ERROR:
		return fail(task, (int)call->entry.nr, plan->error);
	case INJECT_SHORT:
		return shorten(task, call);
	case INJECT_DELAY:
		nanosleep(&(struct timespec){.tv_sec = plan->delay_ms / 1000,
				  .tv_nsec = plan->delay_ms % 1000 * 1000000},
			NULL);
		return true;
	case INJECT_KILL:
		kill(t->pid, SIGKILL);
		return true;
	case INJECT_KILL_AFTER:
		task->at_exit = EXIT_KILL;
		return true;
	case INJECT_NOTHING:
		break;
	}
	return false;
}

/* A file of /proc or an ordinary one, or a signal to somebody: only the first are of fs/. */
static bool is_of_an_event(pid_t pid, const struct __ptrace_syscall_info *call, enum inject_scope scope)
{
	char path[64], target[64];
	ssize_t n;

	if (call->entry.nr != SYS_write && call->entry.nr != SYS_read)
		return false;
	if (call->entry.nr == SYS_write && scope == INJECT_QUEUE)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, (int)call->entry.args[0]);
	n = readlink(path, target, sizeof(target));
	return n >= 10 && !strncmp(target, "anon_inode", 10);
}

static void enter(struct tracer *t, struct task *task, const struct __ptrace_syscall_info *call)
{
	struct inject_shared *s = t->shared;
	unsigned int n;

	if (!atomic_load(&s->armed) || !inject_in_scope((int)call->entry.nr, s->plan.scope) ||
		is_of_an_event(t->pid, call, s->plan.scope))
		return;
	n = atomic_fetch_add(&s->count, 1) + 1;
	if (n <= INJECT_CALLS)
		s->call[n - 1] = (int)call->entry.nr;
	if (s->plan.nth && n >= s->plan.nth && n - s->plan.nth < s->plan.times && inflict(t, task, call))
		atomic_store(&s->fired, true);
}

static void leave(struct tracer *t, struct task *task)
{
	switch (task->at_exit) {
	case EXIT_ANSWER:
		set_reg(task->tid, REG(rax), (uint64_t)-task->error);
		break;
	case EXIT_MEND:
		ptrace(PTRACE_POKEDATA, task->tid, task->mend_at, task->mend);
		break;
	case EXIT_KILL:
		kill(t->pid, SIGKILL);
		break;
	case EXIT_NOTHING:
		break;
	}
	task->at_exit = EXIT_NOTHING;
}

static void at_call(struct tracer *t, pid_t tid)
{
	struct __ptrace_syscall_info call;
	struct task *task = task_of(t, tid);

	if (!task || ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(call), &call) <= 0)
		return;
	if (call.op == PTRACE_SYSCALL_INFO_ENTRY)
		enter(t, task, &call);
	else if (call.op == PTRACE_SYSCALL_INFO_EXIT)
		leave(t, task);
}

/* Signals go on to the thread; stops by job control are not made, which no test needs. */
static void at_stop(struct tracer *t, pid_t tid, int status)
{
	int sig = WSTOPSIG(status);

	if (sig == (SIGTRAP | 0x80)) {
		at_call(t, tid);
		sig = 0;
	} else if (status >> 16) {
		sig = 0;
	}
	ptrace(PTRACE_SYSCALL, tid, 0, sig);
}

/* Until no thread is left. */
static void trace(struct tracer *t)
{
	int status;
	pid_t tid;

	while ((tid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (WIFSTOPPED(status))
			at_stop(t, tid, status);
		else
			forget_task(t, tid);
	}
}

static int seize(struct tracer *t, pid_t tid)
{
	if (ptrace(PTRACE_SEIZE, tid, 0, OPTIONS))
		return errno == ESRCH ? 0 : -errno;
	ptrace(PTRACE_INTERRUPT, tid, 0, 0);
	return task_of(t, tid) ? 0 : -E2BIG;
}

static bool is_known(const struct tracer *t, pid_t tid)
{
	for (unsigned int i = 0; i < t->tasks; i++)
		if (t->task[i].tid == tid)
			return true;
	return false;
}

/* The number of threads that were not traced yet, or -errno. */
static int seize_all(struct tracer *t)
{
	char path[64];
	struct dirent *e;
	int found = 0, r = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", t->pid);
	d = opendir(path);
	if (!d)
		return -errno;
	while (!r && (e = readdir(d))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);

		if (tid <= 0 || is_known(t, tid))
			continue;
		found++;
		r = seize(t, tid);
	}
	closedir(d);
	return r ? r : found;
}

void tracer_run(struct inject_shared *shared, pid_t pid)
{
	static struct tracer t;
	int r;

	t.shared = shared;
	t.pid = pid;
	while ((r = seize_all(&t)) > 0)
		;
	atomic_store(&shared->state, r ? r : TRACER_TRACES);
	if (!r)
		trace(&t);
	_exit(0);
}

#else

void tracer_run(struct inject_shared *shared, pid_t pid)
{
	(void)pid;
	atomic_store(&shared->state, -ENOTSUP);
	_exit(0);
}

#endif
