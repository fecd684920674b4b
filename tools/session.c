/* SPDX-License-Identifier: BSD-3-Clause */
#include "session.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/ending.h"
#include "base/io.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define DAEMON_GRACE_MS 2000
#define LOG_TAIL	4096

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	remove(path);
	return 0;
}

/* The guard: no signal of the terminal reaches it, and it holds nothing but its pipe. */
static void guard_run(int pipe_end, const char *dir) __attribute__((noreturn));
static void guard_run(int pipe_end, const char *dir)
{
	pid_t pids[SESSION_PROCS_MAX];
	unsigned int n = 0;
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	prctl(PR_SET_NAME, "colofs-guard");
	dup2(pipe_end, 0);
	syscall(SYS_close_range, 1, ~0u, 0);
	while (n < ARRAY_LEN(pids) && io_read_all(0, &pids[n], sizeof(pids[n])) == 0)
		n++;
	for (char c; read(0, &c, 1) > 0;)
		;
	while (n-- > 0)
		kill(-pids[n], SIGKILL);
	nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	_exit(0);
}

static int start_guard(struct session *s, struct err *e)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(e, errno, "a pipe");
	s->guard_pid = fork();
	if (s->guard_pid < 0)
		return err_sys(e, errno, "fork");
	if (!s->guard_pid) {
		close(p[1]);
		guard_run(p[0], s->dir);
	}
	close(p[0]);
	s->guard = p[1];
	return 0;
}

static bool suits(const char *base, uint64_t mem)
{
	struct statvfs v;

	return base && *base == '/' && strlen(base) < 32 && !access(base, W_OK | X_OK) &&
	       statvfs(base, &v) == 0 && !(v.f_flag & ST_NOEXEC) && (uint64_t)v.f_bavail * v.f_frsize >= mem;
}

int session_open(struct session *s, uint64_t mem, bool verbose, struct err *e)
{
	const char *bases[] = {"/dev/shm", getenv("TMPDIR"), "/tmp", "/var/tmp"};
	size_t i = 0;

	*s = (struct session){.guard = -1, .verbose = verbose};
	while (i < ARRAY_LEN(bases) && !suits(bases[i], mem))
		i++;
	if (i == ARRAY_LEN(bases))
		return err_set(e, ENOSPC,
			"neither /dev/shm nor $TMPDIR, /tmp or /var/tmp has %llu MiB free and allows "
			"programs "
			"(no noexec): give the guest less with --mem, or set TMPDIR",
			(unsigned long long)(mem >> 20));
	snprintf(s->dir, sizeof(s->dir), "%s/colofs-XXXXXX", bases[i]);
	if (!mkdtemp(s->dir)) {
		s->dir[0] = '\0';
		return err_sys(e, errno, "a directory in %s", bases[i]);
	}
	return start_guard(s, e);
}

static void wait_ended(const struct proc *p, int ms)
{
	struct pollfd fd = {.fd = p->pidfd, .events = POLLIN};

	poll(&fd, 1, ms);
}

/* The guest is the last process that was started: it goes first, so that the daemons see their front-end
 * leave. */
static void end_procs(struct session *s)
{
	if (s->n_procs)
		kill(-s->procs[s->n_procs - 1].pid, SIGKILL);
	for (unsigned int i = 0; i + 1 < s->n_procs; i++)
		kill(s->procs[i].pid, SIGTERM);
	for (unsigned int i = 0; i < s->n_procs; i++)
		wait_ended(&s->procs[i], DAEMON_GRACE_MS);
	for (unsigned int i = 0; i < s->n_procs; i++) {
		kill(-s->procs[i].pid, SIGKILL);
		waitpid(s->procs[i].pid, NULL, 0);
		close(s->procs[i].pidfd);
		free(s->procs[i].name);
		free(s->procs[i].log);
	}
	s->n_procs = 0;
}

void session_close(struct session *s)
{
	end_procs(s);
	if (s->guard >= 0) {
		close(s->guard);
		waitpid(s->guard_pid, NULL, 0);
	} else if (s->dir[0]) {
		nftw(s->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	}
	s->guard = -1;
	s->dir[0] = '\0';
}

static void redirect(const char *log)
{
	int null = open("/dev/null", O_RDONLY);
	int out = log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : dup(2);

	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
}

/* In the child: everything up to exec. Tells an errno on @report, which exec closes. */
static void child_run(const struct spawn *sp, const char *log, pid_t parent, int report)
{
	sigset_t none;
	int err;

	setpgid(0, 0);
	ending_tie(parent);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	redirect(log);
	for (size_t i = 0; i < ARRAY_LEN(sp->keep); i++)
		if (sp->keep[i] >= 0)
			fcntl(sp->keep[i], F_SETFD, 0);
	err = sp->enter ? -sp->enter(sp->arg) : 0;
	if (!err) {
		execvpe(sp->argv[0], sp->argv, sp->envp ? sp->envp : environ);
		err = errno;
	}
	io_write_all(report, &err, sizeof(err));
	_exit(EXIT_COLOFS);
}

static void tell(char **argv)
{
	fputs("colofs:", stderr);
	for (; *argv; argv++)
		fprintf(stderr, strpbrk(*argv, " '\"$") ? " '%s'" : " %s", *argv);
	fputc('\n', stderr);
}

static int await_exec(struct session *s, struct proc *p, int report, const char *program, struct err *e)
{
	int32_t pid = p->pid;
	int err;

	setpgid(p->pid, p->pid);
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	s->n_procs++;
	if (io_write_all(s->guard, &pid, sizeof(pid)) < 0)
		return err_set(e, EPIPE, "colofs-guard has gone");
	if (io_read_all(report, &err, sizeof(err)) == 0)
		return err_sys(e, err, "%s", program);
	return p->pidfd < 0 ? err_sys(e, ENOSYS, "pidfd_open") : 0;
}

int session_spawn(struct session *s, const struct spawn *sp, struct proc **out, struct err *e)
{
	struct proc *p = &s->procs[s->n_procs];
	pid_t self = getpid();
	int pipe_ends[2], ret;

	if (s->verbose)
		tell(sp->argv);
	if (s->n_procs == SESSION_PROCS_MAX || pipe2(pipe_ends, O_CLOEXEC) < 0)
		return err_set(e, EMFILE, "%s: no more processes or descriptors", sp->name);
	*p = (struct proc){.pidfd = -1, .name = str_format("%s", sp->name)};
	if (!s->verbose)
		p->log = str_format("%s/log.%u", s->dir, s->n_procs);
	p->pid = fork();
	if (!p->pid)
		child_run(sp, p->log, self, pipe_ends[1]);
	close(pipe_ends[1]);
	if (p->pid < 0)
		ret = err_sys(e, errno, "%s: fork", sp->name);
	else
		ret = await_exec(s, p, pipe_ends[0], sp->argv[0], e);
	close(pipe_ends[0]);
	*out = p;
	return ret;
}

static void show_log(const struct proc *p)
{
	autofd int fd = p->log ? open(p->log, O_RDONLY | O_CLOEXEC) : -1;
	char text[LOG_TAIL + 1];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !st.st_size)
		return;
	n = pread(fd, text, LOG_TAIL, MAX(st.st_size - LOG_TAIL, 0));
	if (n <= 0)
		return;
	fprintf(stderr, "--- messages of %s:\n%.*s%s", p->name, (int)n, text,
		text[n - 1] == '\n' ? "" : "\n");
}

void session_show_logs(const struct session *s)
{
	for (unsigned int i = 0; i < s->n_procs; i++)
		show_log(&s->procs[i]);
}
