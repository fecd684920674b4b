/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/supervise.h"

#include "base/arith.h"
#include "base/ending.h"
#include "base/log.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FRUITLESS_MAX  20	 /* so many workers in a row that served nothing: no other will */
#define BACK_OFF_NS    10000000L /* before the second of them, doubled for each up to the fifth */
#define BACK_OFF_STEPS 5u

static void signals_of_interest(sigset_t *set)
{
	ending_signals(set);
	sigaddset(set, SIGUSR2);
	sigaddset(set, SIGCHLD);
}

/* How a worker comes to its end. */
struct course {
	bool stopping; /* it was told to */
	bool giving;   /* it makes way for another program's */
};

static void signalled(pid_t worker, int sig, const struct supervise_hooks *hooks, struct course *c)
{
	if (sig == SIGUSR2 && (c->stopping || c->giving || !upgrade_offer(hooks->giver)))
		return;
	if (sig == SIGUSR2)
		c->giving = true;
	else
		c->stopping = true;
	kill(worker, c->giving || hooks->keep ? SIGKILL : sig);
}

/* Waits until the worker has ended. */
static int wait_for(pid_t worker, const struct supervise_hooks *hooks, struct course *c, int *status)
{
	sigset_t set;

	signals_of_interest(&set);
	for (;;) {
		pid_t ended = waitpid(worker, status, WNOHANG);
		int sig;

		if (ended == worker)
			return 0;
		if (ended < 0 && errno != EINTR)
			return -errno;
		sig = sigwaitinfo(&set, NULL);
		if (sig > 0 && sig != SIGCHLD)
			signalled(worker, sig, hooks, c);
	}
}

/* Whether another worker may do better, and if so a pause if the last ones did nothing. */
static bool try_again(struct supervised *rec, unsigned int *fruitless)
{
	*fruitless = atomic_exchange(&rec->served, 0) ? 0 : *fruitless + 1;
	if (*fruitless >= FRUITLESS_MAX)
		return false;
	if (*fruitless > 1)
		nanosleep(
			&(struct timespec){.tv_nsec = BACK_OFF_NS << MIN(*fruitless, BACK_OFF_STEPS)}, NULL);
	return true;
}

/* As fork(), but with the same table of descriptors. s390 alone has the stack first. */
static long clone_worker(void)
{
#ifdef __s390__
	return syscall(SYS_clone, 0, CLONE_FILES | SIGCHLD, NULL, NULL, 0);
#else
	return syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, NULL, NULL, 0);
#endif
}

/* All that the worker had is given to another program: true unless that fails, and another worker is due. */
static bool give(
	struct supervised *rec, const struct supervise_hooks *hooks, const struct course *c, int *status)
{
	if (c->stopping || !WIFSIGNALED(*status)) {
		upgrade_withdraw(hooks->giver);
		return true;
	}
	if (upgrade_give(hooks->giver)) {
		*status = 0;
		return true;
	}
	rec->died_of = SIGKILL;
	rec->restarts++;
	atomic_store(&rec->on_trial, 0);
	log_warn("nobody has taken over");
	return false;
}

/* The worker was told to end, and did, perhaps by a signal that was to have it make way. */
static void stopped(const struct supervise_hooks *hooks, const struct course *c, int *status)
{
	if (!WIFSIGNALED(*status) || !(hooks->keep || c->giving))
		return;
	if (hooks->keep)
		*hooks->keep = true;
	*status = 0;
}

/* Whether another worker follows, once this has ended. */
static bool goes_on(struct supervised *rec, int status, unsigned int *fruitless)
{
	rec->died_of = WTERMSIG(status);
	rec->restarts++;
	log_warn("the serving process was ended by signal %d (%s)", rec->died_of, sigdescr_np(rec->died_of));
	if (atomic_load(&rec->on_trial))
		return false;
	if (try_again(rec, fruitless))
		return true;
	log_error("%u processes have ended so without serving anything: there is no other", *fruitless);
	return false;
}

int supervise(struct supervised *rec, const struct supervise_hooks *hooks, int *status, struct err *err)
{
	pid_t supervisor = getpid();
	unsigned int fruitless = 0;
	sigset_t set;

	signals_of_interest(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fflush(NULL);
	for (;;) {
		struct course course = {0};
		long worker = clone_worker();
		int r;

		if (worker < 0)
			return err_sys(err, errno, "no process to serve with");
		if (!worker) {
			ending_tie(supervisor);
			return 0;
		}
		r = wait_for((pid_t)worker, hooks, &course, status);
		if (r)
			return err_sys(err, -r, "the serving process is lost");
		if (course.giving && !give(rec, hooks, &course, status))
			continue;
		if (course.stopping)
			stopped(hooks, &course, status);
		if (course.giving || course.stopping || !WIFSIGNALED(*status))
			return 1;
		if (!goes_on(rec, *status, &fruitless))
			return 1;
	}
}

bool supervised_crashed(const struct supervised *rec)
{
	static const int by_itself[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGSYS, SIGTRAP};

	for (unsigned int i = 0; i < ARRAY_LEN(by_itself); i++)
		if (rec->died_of == by_itself[i])
			return true;
	return false;
}
