/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that stays outside. It holds nothing that the child needs, so it only has to wait; what it must
 * not do is outlive the child, or leave it behind.
 */
#include "sandbox/stages.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/ending.h"
#include "base/log.h"
#include "sandbox/caps.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>

/* The child ends by itself within three seconds (daemon/watch.c), unless even that hangs. */
#define PATIENCE_S	5
#define KILL_PATIENCE_S 2

static int signals_to_pass_on(void)
{
	sigset_t set;

	ending_signals(&set);
	sigaddset(&set, SIGUSR2);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* How far the child's end has come, and when the next step is due if it does not end by itself. */
struct ending {
	enum { ENDING_NOT, ENDING_ASKED, ENDING_KILLED } step;
	time_t next; /* CLOCK_MONOTONIC */
};

static time_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void pass_signal_on(int signals, pid_t child, struct ending *e)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	kill(child, (int)info.ssi_signo);
	if (e->step == ENDING_NOT && info.ssi_signo != SIGUSR2)
		*e = (struct ending){ENDING_ASKED, now_s() + PATIENCE_S};
}

/* False: not even that helped (a thread of it sleeps in the kernel for good): it is left alone. */
static bool hurry(pid_t child, struct ending *e)
{
	if (e->step == ENDING_NOT || now_s() < e->next)
		return true;
	if (e->step == ENDING_KILLED)
		return false;
	log_error("the daemon does not end: it is killed");
	kill(child, SIGKILL);
	*e = (struct ending){ENDING_KILLED, now_s() + KILL_PATIENCE_S};
	return true;
}

/* Returns the descriptor to go on with: -1 once the child has closed its end. */
static int hear(int words, const struct sandbox_parent *parent)
{
	char word;

	if (read(words, &word, 1) <= 0)
		return -1;
	if (parent->told)
		parent->told(parent->arg, word);
	return words;
}

/* The child's status as waitpid() gives it; that of a failure where it was killed or does not end. */
static int wait_for(pid_t child, int words, const struct sandbox_parent *parent)
{
	autofd int signals = signals_to_pass_on();
	autofd int end = pidfd_open(child, 0);
	struct pollfd fds[] = {{signals, POLLIN, 0}, {words, POLLIN, 0}, {end, POLLIN, 0}};
	struct ending e = {0};
	int status;

	while (end >= 0 && !fds[2].revents) {
		if (poll(fds, ARRAY_LEN(fds), e.step == ENDING_NOT ? -1 : 500) < 0)
			continue;
		if (fds[0].revents)
			pass_signal_on(signals, child, &e);
		if (fds[1].revents)
			fds[1].fd = hear(words, parent);
		if (!fds[2].revents && !hurry(child, &e))
			return W_EXITCODE(EXIT_FAILURE, 0);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return 0;
	return e.step == ENDING_KILLED ? W_EXITCODE(EXIT_FAILURE, 0) : status;
}

__attribute__((noreturn)) static void end_alike(int status)
{
	if (WIFSIGNALED(status))
		log_error("the daemon was ended by signal %d (%s)%s", WTERMSIG(status),
			strsignal(WTERMSIG(status)),
			WTERMSIG(status) == SIGSYS
				? ": a system call that it should not need; --seccomp=log goes on"
				: "");
	exit(ending_repeat(status));
}

__attribute__((noreturn)) static void be_parent(pid_t child, int words, const struct sandbox_config *cfg)
{
	const struct sandbox_parent *parent = &cfg->parent;
	struct err err;
	int status;

	if (parent->begin)
		parent->begin(parent->arg);
	/* Not dumpable: what is inside a chroot must not get out by our place in /proc. */
	if (caps_reduce_parent(cfg, &err) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		log_warn("the waiting process keeps its privileges");
	status = wait_for(child, words, parent);
	if (parent->end)
		parent->end(parent->arg);
	end_alike(status);
}

/*
 * The kernel tells the child of its parent's death from now on; @parent, a pidfd or the end of a pipe whose
 * other end it holds, tells of one that came before.
 */
static int die_with_parent(struct pollfd parent, struct err *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		return err_sys(err, errno, "the parent's death signal cannot be set");
	if (poll(&parent, 1, 0))
		_exit(1);
	return 0;
}

int stage_tie(int told, struct err *err)
{
	return die_with_parent(
		(struct pollfd){.fd = told}, err); /* no event but that nobody holds the other end */
}

int stage_fork(const struct sandbox_config *cfg, int *told, struct err *err)
{
	autofd int self = pidfd_open(getpid(), 0);
	int pipe[2];
	pid_t child;

	if (self < 0)
		return err_sys(err, errno, "pidfd_open failed");
	if (pipe2(pipe, O_CLOEXEC))
		return err_sys(err, errno, "no pipe to the waiting process");
	child = fork();
	if (child < 0) {
		close(pipe[0]);
		close(pipe[1]);
		return err_sys(err, errno, "fork failed");
	}
	if (child) {
		close(pipe[1]);
		be_parent(child, pipe[0], cfg);
	}
	close(pipe[0]);
	*told = pipe[1];
	return die_with_parent((struct pollfd){self, POLLIN, 0}, err);
}
