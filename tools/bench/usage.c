/* SPDX-License-Identifier: BSD-3-Clause */
/* What other processes use; the header says how that is known. */
#include "usage.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* A descriptor of a tracefs, mounted somewhere or only for us. */
static int open_tracefs(void)
{
	int fd = open("/sys/kernel/tracing/events", O_PATH | O_DIRECTORY | O_CLOEXEC);
	autofd int ctx = -1;
	autofd int mnt = -1;

	if (fd >= 0)
		return fd;
	ctx = fsopen("tracefs", FSOPEN_CLOEXEC);
	if (ctx < 0 || fsconfig(ctx, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -1;
	mnt = fsmount(ctx, FSMOUNT_CLOEXEC, 0);
	return mnt < 0 ? -1 : openat(mnt, "events", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The number of the tracepoint that every system call passes, or -1. */
static long tracepoint(void)
{
	autofd int events = open_tracefs();
	autofd int fd = openat(events, "raw_syscalls/sys_enter/id", O_RDONLY | O_CLOEXEC);
	char buf[32] = "";

	if (events < 0 || fd < 0 || read(fd, buf, sizeof(buf) - 1) <= 0)
		return -1;
	return strtol(buf, NULL, 10);
}

static void count_thread(struct usage *u, pid_t tid, long id)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .inherit = 1};
	long fd;

	if (u->counters == USAGE_MAX_THREADS)
		return;
	attr.config = (uint64_t)id;
	fd = syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		u->no_syscalls = "perf_event_open is refused";
	else
		u->counter[u->counters++] = (int)fd;
}

/* Calls @f for each thread of the process. */
static void each_thread(pid_t pid, void (*f)(pid_t tid, void *arg), void *arg)
{
	char path[64];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			f((pid_t)strtol(e->d_name, NULL, 10), arg);
	if (d)
		closedir(d);
}

static void add_process(struct usage *u, pid_t pid)
{
	if (pid > 0 && u->processes < USAGE_MAX_PROCESSES)
		u->pid[u->processes++] = pid;
}

struct family {
	struct usage *u;
	pid_t pid;
};

static void add_children(pid_t tid, void *arg)
{
	struct family *f = arg;
	char path[96], buf[512];
	char *end = buf;
	autofd int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", f->pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);
	buf[MAX(n, 0)] = 0;
	for (char *p = buf; *p; p = end) {
		long child = strtol(p, &end, 10);

		if (end == p)
			break;
		add_process(f->u, (pid_t)child);
	}
}

struct counting {
	struct usage *u;
	long id;
};

static void count_it(pid_t tid, void *arg)
{
	struct counting *c = arg;

	count_thread(c->u, tid, c->id);
}

void usage_open(struct usage *u, pid_t pid)
{
	struct counting c = {u, tracepoint()};

	*u = (struct usage){0};
	add_process(u, pid);
	for (unsigned int i = 0; i < u->processes; i++) /* grows as it goes */
		each_thread(u->pid[i], add_children, &(struct family){u, u->pid[i]});
	if (c.id < 0)
		u->no_syscalls = "no raw_syscalls tracepoint is to be had";
	for (unsigned int i = 0; i < u->processes && !u->no_syscalls; i++)
		each_thread(u->pid[i], count_it, &c);
}

void usage_close(struct usage *u)
{
	for (unsigned int i = 0; i < u->counters; i++)
		close(u->counter[i]);
	*u = (struct usage){0};
}

static double cpu_time(pid_t pid)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &ts))
		return 0; /* it has ended */
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

struct usage_sample usage_read(const struct usage *u)
{
	struct usage_sample s = {u->processes ? 0 : -1, u->processes && !u->no_syscalls ? 0 : -1};

	for (unsigned int i = 0; i < u->processes; i++)
		s.cpu_ns += cpu_time(u->pid[i]);
	for (unsigned int i = 0; i < u->counters && !u->no_syscalls; i++) {
		uint64_t v;

		if (read(u->counter[i], &v, sizeof(v)) == sizeof(v))
			s.syscalls += (double)v;
	}
	return s;
}

struct pinning {
	cpu_set_t set;
	int result;
};

static void pin_thread(pid_t tid, void *arg)
{
	struct pinning *p = arg;

	if (sched_setaffinity(tid, sizeof(p->set), &p->set) && errno != ESRCH)
		p->result = -errno;
}

int usage_pin(const struct usage *u, const struct cpu_list *cpus)
{
	struct pinning p = {.result = 0};

	if (!cpus->count)
		return 0;
	CPU_ZERO(&p.set);
	for (unsigned int i = 0; i < cpus->count; i++)
		CPU_SET((size_t)cpus->cpu[i], &p.set);
	for (unsigned int i = 0; i < u->processes; i++)
		each_thread(u->pid[i], pin_thread, &p);
	return u->processes ? p.result : -ESRCH;
}

pid_t usage_peer(int sock)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &len) ? 0 : who.pid;
}
