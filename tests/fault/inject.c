/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults in a daemon's system calls: the test's side, and what is known of the calls. The tracer is tracer.c.
 */
#include "tracer.h"

#include "base/arith.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ATTACH_MS 30000

struct call {
	int number;
	const char *name, *user;
};

#define SYSCALL(call, who)	       {SCMP_SYS(call), #call, who},
#define SYSCALL_NUMBER(nr, call, who)  {nr, #call, who},
#define SYSCALL_FAILS(call, err, who)  {SCMP_SYS(call), #call, who},
#define SYSCALL_IF(call, a, m, v, who) {SCMP_SYS(call), #call, who},
#define SYSCALL_OWN(call, who)	       {SCMP_SYS(call), #call, who},
#define SYSCALL_SUPERVISOR(call, a, m, v, who)
static const struct call calls[] = {
#include "sandbox/syscalls.h"
};

static const struct call *find(int number)
{
	for (unsigned int i = 0; i < ARRAY_LEN(calls); i++)
		if (calls[i].number == number)
			return &calls[i];
	return NULL;
}

const char *inject_call_name(int number)
{
	const struct call *c = find(number);

	return c ? c->name : "?";
}

static bool is_among(const char *name, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(name, *list))
			return true;
	return false;
}

bool inject_in_scope(int number, enum inject_scope scope)
{
	static const char *const memory[] = {"mmap", "mprotect", "mremap", "clone", NULL};
	const struct call *c = find(number);

	if (!c)
		return false;
	if (scope == INJECT_MEMORY)
		return is_among(c->name, memory);
	if (scope == INJECT_QUEUE && !strcmp(c->name, "epoll_wait"))
		return true;
	return strstr(c->user, "fs/") || strstr(c->user, "dax/") || !strncmp(c->user, "fs:", 3) ||
	       !strcmp(c->name, "close");
}

bool inject_plausible(int number, int error)
{
	static const char *const infallible[] = {"setfsuid", "setfsgid", "umask", "capget", "fchdir", NULL};
	static const char *const sleeping[] = {"openat", "open_by_handle_at", "read", "write", "preadv2",
		"pwritev2", "fsync", "fdatasync", "fallocate", "copy_file_range", "flock", "fcntl", "close",
		"ftruncate", NULL};
	const char *name = inject_call_name(number);

	return !is_among(name, infallible) && (error != EINTR || is_among(name, sleeping));
}

static int await_tracer(struct inject *in, struct err *err)
{
	int state;

	for (int t = 0; (state = atomic_load(&in->shared->state)) == TRACER_STARTS; t++) {
		if (t >= ATTACH_MS)
			return err_set(err, ETIMEDOUT, "the tracer does not start");
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return state < 0 ? err_sys(err, -state, "cannot trace the daemon") : 0;
}

int inject_attach(struct inject *in, pid_t pid, struct err *err)
{
	int r;

	*in = (struct inject){0};
	in->shared =
		mmap(NULL, sizeof(*in->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (in->shared == MAP_FAILED) {
		in->shared = NULL;
		return err_sys(err, errno, "shared memory for the tracer");
	}
	in->tracer = fork();
	if (!in->tracer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		tracer_run(in->shared, pid);
	}
	r = in->tracer < 0 ? err_sys(err, errno, "fork") : await_tracer(in, err);
	if (r)
		inject_detach(in);
	return r;
}

void inject_detach(struct inject *in)
{
	if (in->tracer > 0) {
		kill(in->tracer, SIGKILL);
		waitpid(in->tracer, NULL, 0);
	}
	if (in->shared)
		munmap(in->shared, sizeof(*in->shared));
	*in = (struct inject){0};
}

void inject_arm(struct inject *in, const struct inject_plan *plan)
{
	struct inject_shared *s = in->shared;

	atomic_store(&s->armed, false);
	s->plan = *plan;
	s->plan.times = MAX(plan->times, 1u);
	atomic_store(&s->count, 0);
	atomic_store(&s->fired, false);
	memset(s->call, 0, sizeof(s->call));
	atomic_store(&s->armed, true);
}

void inject_disarm(struct inject *in, struct inject_report *report)
{
	struct inject_shared *s = in->shared;

	atomic_store(&s->armed, false);
	report->count = atomic_load(&s->count);
	report->fired = atomic_load(&s->fired);
	memcpy(report->call, s->call, sizeof(report->call));
}
