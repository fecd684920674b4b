/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/launch.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/ending.h"
#include "base/log.h"
#include "daemon/line.h"
#include "daemon/notify.h"
#include "sandbox/sandbox.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define SECOND	  UINT64_C(1000000000)
#define PREPARE_S 20 /* the one that serves is not disturbed meanwhile */
#define TAKE_S	  10 /* requests wait meanwhile */
#define LEAVE_S	  5
#define WORDS_MAX 256 /* heard at once: signals are not kept waiting by one who never stops talking */
#define SOCKET_FD 3   /* as sd_listen_fds(3) has it */
#define LINE_FD	  4

/* A daemon, by its first process. */
struct daemon {
	pid_t pid; /* 0: there is none */
	int line;  /* -1: it has closed its end */
};

struct launcher {
	const struct launch_config *cfg;
	char program[PATH_MAX];
	int signals;
	struct daemon now, next, old; /* which serves; which shall; which has, and has not left yet */
	int offer;		 /* for who serves: @next waits at the other end. -1: not yet, or given */
	uint64_t began, stopped; /* of the upgrade; when requests began to wait, 0: unknown */
	uint64_t deadline;	 /* for @next to get on, for @old to leave */
	int asker;		 /* abstract address of who wants to know; 0: nobody */
	bool given;		 /* who served has given all away */
	const char *why;	 /* why @next was ended; NULL: it was not */
	char said[LINE_TEXT];	 /* by @next, at its end; or the good news, once @old has left */
	bool stopping;
	int status; /* of the last that served */
};

/* The path that was executed, which leads to what is installed there later. */
static void find_program(char path[PATH_MAX])
{
	const char *name = (const char *)getauxval(AT_EXECFN); // NOLINT(performance-no-int-to-ptr)
	struct stat named, self;
	ssize_t n;

	if (name && !stat(name, &named) && !stat("/proc/self/exe", &self) && named.st_ino == self.st_ino &&
		named.st_dev == self.st_dev && strlen(name) < PATH_MAX) {
		strcpy(path, name);
		return;
	}
	n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	path[MAX(n, 0)] = '\0';
}

static void signals_of_interest(sigset_t *set)
{
	ending_signals(set);
	sigaddset(set, SIGUSR2);
	sigaddset(set, SIGCHLD);
}

static void hush(int *fd)
{
	cleanup_fd(fd);
	*fd = -1;
}

/* The answer of an upgrade, to the log and to who asked. */
static void answer(struct launcher *l, bool good, const char *text)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 6;
	autofd int fd = -1;
	char all[LINE_TEXT + 128];

	log_write(good ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "%s", text);
	if (!l->asker)
		return;
	snprintf(all, sizeof(all), "%c%s", good ? '+' : '-', text);
	snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "%05x", (unsigned int)l->asker & 0xfffff);
	l->asker = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
		sendto(fd, all, strlen(all), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&a, len) < 0)
		log_debug("who asked for the upgrade is not there: %s", strerrordesc_np(errno));
}

/* The descriptors that LINE_TAKE carries. */
static uint32_t gather(const struct launcher *l, int from, struct line_message *m, int fds[LINE_FDS])
{
	const int all[LINE_FDS] = {from, l->cfg->outside->notify, l->cfg->claims, l->cfg->copies};
	uint32_t n = 0;

	for (unsigned int i = 0; i < LINE_FDS; i++)
		if (all[i] >= 0) {
			m->has |= (uint16_t)(1u << i);
			fds[n++] = all[i];
		}
	return n;
}

static void set_environment(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", "colofs-socket:" NOTIFY_LINE_NAME, 1);
}

/* In the child. */
__attribute__((noreturn)) static void run_program(const struct launcher *l, int line)
{
	struct line_message m = {.word = LINE_REFUSED};
	int socket = fcntl(l->cfg->outside->socket, F_DUPFD_CLOEXEC, LINE_FD + 1);
	sigset_t set;

	line = fcntl(line, F_DUPFD_CLOEXEC, LINE_FD + 1);
	l->cfg->in_program(l->cfg->arg);
	set_environment();
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	if (dup2(socket, SOCKET_FD) == SOCKET_FD && dup2(line, LINE_FD) == LINE_FD)
		execv(l->program, l->cfg->argv);
	snprintf(m.text, sizeof(m.text), "%.*s cannot be run: %s", LINE_TEXT - 80, l->program,
		strerrordesc_np(errno));
	line_send(line, &m, NULL, 0);
	_exit(127);
}

static int start_next(struct launcher *l, struct err *err)
{
	struct line_message m = {
		.word = LINE_TAKE, .keeps = l->cfg->outside->keeps, .watchdog = l->cfg->outside->watchdog};
	int line[2], pair[2], fds[LINE_FDS];
	pid_t parent = getpid(), child;
	uint32_t n;

	if (line_open(line))
		return err_sys(err, errno, "no socket");
	autofd int near = line[0], far = line[1];
	if (line_open(pair))
		return err_sys(err, errno, "no socket");
	autofd int offer = pair[0], from = pair[1];
	n = gather(l, from, &m, fds);
	if (line_send(near, &m, fds, n))
		return err_set(err, EIO, "descriptors cannot be passed");
	child = fork();
	if (child < 0)
		return err_sys(err, errno, "no process");
	if (!child) {
		ending_tie(parent);
		run_program(l, far);
	}
	l->next = (struct daemon){child, fd_take(&near)};
	l->offer = fd_take(&offer);
	return 0;
}

static void begin(struct launcher *l, int asker)
{
	bool busy = l->next.pid || l->old.pid;
	int first = l->asker;
	struct err err;

	l->asker = asker;
	if (busy) {
		answer(l, false, "another upgrade is under way; try again when it is done");
		l->asker = first;
		return;
	}
	l->began = clock_ns();
	l->stopped = 0;
	l->given = false;
	l->why = NULL;
	l->said[0] = '\0';
	l->deadline = l->began + PREPARE_S * SECOND;
	log_info("upgrading to what is installed as %s", l->program);
	if (start_next(l, &err))
		answer(l, false, err.text);
}

/* @next could: who serves is asked to let it. */
static void give(struct launcher *l)
{
	struct line_message m = {.word = LINE_GIVE};

	if (l->offer < 0)
		return;
	if (l->now.pid && !line_send(l->now.line, &m, &l->offer, 1))
		kill(l->now.pid, SIGUSR2);
	hush(&l->offer);
	l->deadline = clock_ns() + TAKE_S * SECOND;
}

/* @next serves: it says so, or who served does, and ends. */
static void promote(struct launcher *l)
{
	uint64_t now = clock_ns();
	int n = snprintf(l->said, sizeof(l->said), "upgraded in %llu ms",
		(unsigned long long)(now - l->began) / 1000000);

	if (l->stopped >= l->began && l->stopped <= now)
		snprintf(l->said + n, sizeof(l->said) - (size_t)n, ", queue paused %llu ms",
			(unsigned long long)(now - l->stopped) / 1000000);
	l->old = l->now;
	l->now = l->next;
	l->next = (struct daemon){.line = -1};
	l->given = false;
	l->deadline = now + LEAVE_S * SECOND;
	hush(&l->old.line);
	outside_told(l->cfg->outside, OUTSIDE_READY); /* who served may have ended ahead of saying it */
	if (!l->old.pid)
		answer(l, true, l->said);
}

static void hear_next(struct launcher *l, const struct line_message *m)
{
	switch (m->word) {
	case LINE_PREPARED:
		give(l);
		break;
	case LINE_REFUSED:
		memcpy(l->said, m->text, sizeof(l->said));
		break;
	case OUTSIDE_READY:
		promote(l);
		break;
	default:
		break;
	}
}

static void hear_now(struct launcher *l, const struct line_message *m)
{
	if (m->word == LINE_STOPPED)
		l->stopped = m->at;
	else if (m->word == LINE_GIVEN)
		l->given = true;
	else
		outside_told(l->cfg->outside, m->word);
}

/* All that is there. */
static void hear(struct launcher *l, struct daemon *d)
{
	struct line_message m = {0};
	int r;

	for (unsigned int i = 0; i < WORDS_MAX && d->line >= 0; i++) {
		uint32_t none = 0;

		r = line_receive(d->line, &m, NULL, &none);
		if (r == -EAGAIN)
			return;
		if (r == 1 && d == &l->now)
			hear_now(l, &m);
		else if (r == 1)
			hear_next(l, &m);
		else if (r != -EPROTO && r != -ECONNRESET) /* which comes ahead of its last words */
			hush(&d->line);
	}
}

static void stop(struct launcher *l, int sig)
{
	l->stopping = true;
	hear(l, &l->now); /* perhaps who serves has changed */
	hear(l, &l->next);
	if (l->next.pid) {
		l->why = "the daemon was asked to end";
		kill(l->next.pid, l->now.pid && !l->given ? SIGKILL : sig);
	}
	if (l->now.pid)
		kill(l->now.pid, sig);
}

static void take_signal(struct launcher *l)
{
	struct signalfd_siginfo info;

	if (read(l->signals, &info, sizeof(info)) != (ssize_t)sizeof(info) || info.ssi_signo == SIGCHLD)
		return;
	if (info.ssi_signo != SIGUSR2)
		stop(l, (int)info.ssi_signo);
	else if (!l->stopping)
		begin(l, info.ssi_code == SI_QUEUE ? info.ssi_int : 0);
}

static void next_ended(struct launcher *l, int status)
{
	char text[LINE_TEXT + 128], how[64];

	hush(&l->next.line);
	hush(&l->offer);
	l->next.pid = 0;
	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "the new program ended by signal %d", WTERMSIG(status));
	else
		snprintf(how, sizeof(how), "the new program ended with status %d", WEXITSTATUS(status));
	snprintf(text, sizeof(text), "not upgraded%s: %s",
		l->now.pid && !l->given ? ", and the running daemon goes on" : "",
		l->why	     ? l->why
		: l->said[0] ? l->said
			     : how);
	answer(l, false, text);
	if (l->given)
		l->status = status;
}

static void now_ended(struct launcher *l, int status)
{
	l->now.pid = 0;
	hush(&l->now.line);
	if (!l->given || status) /* it had nothing more to say */
		l->status = status;
	if (l->given && l->next.pid)
		promote(l);
	else
		hush(&l->offer); /* by which @next knows that there is nothing to have */
}

static void reap(struct launcher *l)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		hear(l, &l->now); /* its last words */
		hear(l, &l->next);
		if (pid == l->next.pid) {
			next_ended(l, status);
		} else if (pid == l->old.pid) {
			l->old.pid = 0;
			answer(l, true, l->said);
		} else if (pid == l->now.pid) {
			now_ended(l, status);
		}
	}
}

static void hurry(struct launcher *l)
{
	if ((!l->next.pid && !l->old.pid) || clock_ns() < l->deadline)
		return;
	if (l->given && l->next.pid) { /* who served has yet to leave */
		promote(l);
		return;
	}
	l->why = "the new program was not ready in time";
	kill(l->next.pid ? l->next.pid : l->old.pid, SIGKILL);
	l->deadline = clock_ns() + LEAVE_S * SECOND;
}

/* How the last daemon ended. */
static int watch(struct launcher *l)
{
	while (l->now.pid || l->next.pid) {
		struct pollfd p[] = {
			{l->signals, POLLIN, 0}, {l->now.line, POLLIN, 0}, {l->next.line, POLLIN, 0}};

		if (poll(p, ARRAY_LEN(p), l->next.pid || l->old.pid ? 100 : -1) < 0)
			continue;
		if (p[0].revents)
			take_signal(l);
		hear(l, &l->now);
		hear(l, &l->next);
		reap(l);
		hurry(l);
	}
	return l->status;
}

__attribute__((noreturn)) static void be_launcher(struct launcher *l)
{
	const struct launch_config *cfg = l->cfg;
	sigset_t set;
	struct err err;
	int status;

	cfg->in_parent(cfg->arg);
	/* Not dumpable: what is inside a chroot must not get out by our place in /proc. */
	if (sandbox_rest(&err) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		log_warn("the process that waits has its privileges in use");
	signals_of_interest(&set);
	l->signals = signalfd(-1, &set, SFD_CLOEXEC);
	status = watch(l);
	outside_remove(cfg->outside);
	exit(ending_repeat(status));
}

int launch(const struct launch_config *cfg, int *line, struct err *err)
{
	struct launcher l = {.cfg = cfg, .offer = -1, .next = {.line = -1}, .old = {.line = -1}};
	pid_t parent = getpid();
	sigset_t set, before;
	int ends[2];

	find_program(l.program);
	if (line_open(ends))
		return err_sys(err, errno, "no socket");
	signals_of_interest(&set);
	sigprocmask(SIG_BLOCK, &set, &before);
	l.now = (struct daemon){fork(), ends[0]};
	if (l.now.pid < 0)
		return err_sys(err, errno, "fork failed");
	if (l.now.pid) {
		close(ends[1]);
		be_launcher(&l);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[0]);
	ending_tie(parent);
	*line = ends[1];
	return 0;
}
