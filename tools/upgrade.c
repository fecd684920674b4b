/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `colofs upgrade`: finds the daemon, asks it by SIGUSR2, and waits for what it says. The number of an
 * abstract socket, which the kernel has chosen, travels with the signal; the daemon answers there. One
 * thread.
 */
#include "colofs.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "listener.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define TIMEOUT_S   60 /* the daemon itself gives up before that */
#define NOT	    1  /* exit status: not upgraded, the daemon goes on */
#define NUMBER_BITS 20 /* of a socket that the kernel names: five hexadecimal digits */

static const char help[] =
	"Usage: colofs upgrade SOCKET|PID\n"
	"\n"
	"Replaces the colofsd that listens on SOCKET, or whose process is PID, by the program that is\n"
	"installed in its place by now, while its guest goes on. Says how long that took, and how long\n"
	"requests waited. If the new program cannot take over, the running one goes on.\n"
	"\n"
	"Exit status: 0 upgraded; 1 not, for the reason that is told; 125 there is no such daemon.\n";

/* What of a process everybody may see. */
struct proc {
	pid_t pid, parent;
	char name[32];
	bool waits, ignores; /* SIGUSR2 */
};

static int read_text(const char *path, char *buf, size_t size)
{
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return 0;
}

static const char *field(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at ? at + strlen(name) : "";
}

static bool has_usr2(const char *mask)
{
	return strtoull(mask, NULL, 16) >> (SIGUSR2 - 1) & 1;
}

static int look_at(pid_t pid, struct proc *p)
{
	char path[64], status[4096];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	r = read_text(path, status, sizeof(status));
	if (r)
		return r;
	*p = (struct proc){.pid = pid,
		.parent = (pid_t)strtol(field(status, "\nPPid:\t"), NULL, 10),
		.waits = has_usr2(field(status, "\nSigBlk:\t")),
		.ignores = has_usr2(field(status, "\nSigIgn:\t"))};
	snprintf(p->name, sizeof(p->name), "%.*s", (int)strcspn(field(status, "Name:\t"), "\n"),
		field(status, "Name:\t"));
	return 0;
}

/* A daemon is a chain of processes of one name. False if @p's parent is none of them. */
static bool climb(struct proc *p)
{
	struct proc parent;

	if (!p->parent || look_at(p->parent, &parent) || strcmp(parent.name, p->name))
		return false;
	*p = parent;
	return true;
}

/* Whether the process has that socket; *hidden: not even that may be known. */
static bool holds(const char *pid, const char *socket, bool *hidden)
{
	char path[300], link[64];
	const struct dirent *e;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	*hidden |= !dir && errno == EACCES;
	while (dir && !found && (e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, link, sizeof(link) - 1);

		link[n > 0 ? n : 0] = '\0';
		found = !strcmp(link, socket);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* The process to ask, of those that have the socket. Others may: who made it, and passed it on. */
static bool find_holder(unsigned long number, struct proc *found, bool *hidden)
{
	DIR *dir = opendir("/proc");
	const struct dirent *e;
	bool any = false, chain = false;
	char socket[64];
	struct proc p;

	snprintf(socket, sizeof(socket), "socket:[%lu]", number);
	while (dir && !chain && (e = readdir(dir))) {
		uint64_t pid;

		if (number_parse(e->d_name, &pid) || !holds(e->d_name, socket, hidden) ||
			look_at((pid_t)pid, &p))
			continue;
		chain = climb(&p);
		if (chain || (p.ignores && !any))
			*found = p;
		any |= chain || p.ignores;
	}
	if (dir)
		closedir(dir);
	return any;
}

static int find_by_socket(const char *path, struct proc *p, struct err *err)
{
	bool hidden = false;
	unsigned long number;
	int r = listener_find(path, &number, err);

	if (r)
		return r;
	if (find_holder(number, p, &hidden))
		return 0;
	return err_set(err, ENOENT, "%s: no colofsd has it%s", path,
		hidden ? " that you may see; be root, or the daemon's user, or give its process id"
		       : "; give the daemon's process id");
}

static int find(const char *what, struct proc *p, struct err *err)
{
	uint64_t pid;

	if (number_parse(what, &pid)) {
		int r = find_by_socket(what, p, err);

		if (r)
			return r;
	} else if (pid > INT_MAX || !pid || look_at((pid_t)pid, p)) {
		return err_set(
			err, ESRCH, "%s: there is no such process; give a colofsd's, or its socket", what);
	}
	while (climb(p))
		continue;
	if (p->waits)
		return 0;
	return err_set(err, EOPNOTSUPP,
		p->ignores ? "%s: process %d was started with --no-recover, so it has nobody to hand over; "
			     "restart it to upgrade"
			   : "%s: process %d is no colofsd that can be upgraded; restart it",
		what, p->pid);
}

/* Numbers of files of /proc are those of one network namespace; nobody is kept from seeing them. */
static bool is_in_other_network(pid_t pid)
{
	struct stat its, ours;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/net/unix", pid);
	return !stat(path, &its) && !stat("/proc/self/net/unix", &ours) && its.st_ino != ours.st_ino;
}

/* Where the process can reach us: abstract names are those of one network namespace. */
static int go_near(const struct proc *p, int process, struct err *err)
{
	if (!is_in_other_network(p->pid) || !setns(process, CLONE_NEWNET))
		return 0;
	return err_sys(err, errno,
		"process %d is in another network namespace, from where it cannot answer; be root, or run "
		"this "
		"in there",
		p->pid);
}

/* A socket for the answer; *number is its name. */
static int open_answer(int *number, struct err *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(a);
	autofd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) ||
		bind(fd, (struct sockaddr *)&a, sizeof(a.sun_family)) ||
		getsockname(fd, (struct sockaddr *)&a, &len))
		return err_sys(err, errno, "no socket for the answer");
	*number = (int)strtol(a.sun_path + 1, NULL, 16);
	return fd_take(&fd);
}

/* True if a message came from that process; others may send, too. */
static bool hear(int answer, pid_t pid, char *text, size_t size)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
	} c;
	struct iovec v = {text, size - 1};
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = c.bytes, .msg_controllen = sizeof(c.bytes)};
	ssize_t n = recvmsg(answer, &m, MSG_DONTWAIT);
	const struct cmsghdr *h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	struct ucred from;

	if (!h || h->cmsg_type != SCM_CREDENTIALS)
		return false;
	memcpy(&from, CMSG_DATA(h), sizeof(from));
	text[n] = '\0';
	return from.pid == pid;
}

/* The process, if it is still the one that was found. -errno with @err. */
static int hold(const struct proc *p, struct err *err)
{
	autofd int process = pidfd_open(p->pid, 0);
	struct proc now;

	if (process < 0)
		return err_sys(err, errno, "process %d cannot be asked", p->pid);
	if (look_at(p->pid, &now) || now.parent != p->parent || !now.waits || strcmp(now.name, p->name))
		return err_set(err, ESRCH, "process %d has ended; see the daemon's log", p->pid);
	return fd_take(&process);
}

/* @number is that of the socket for the answer. With it goes a bit above, so that it is never 0: nobody asks.
 */
static int tell(const struct proc *p, int process, int number, struct err *err)
{
	siginfo_t info = {.si_signo = SIGUSR2, .si_code = SI_QUEUE};

	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_int = number | 1 << NUMBER_BITS;
	if (!pidfd_send_signal(process, SIGUSR2, &info, 0))
		return 0;
	return err_sys(err, errno, "process %d cannot be asked%s", p->pid,
		errno == EPERM ? "; be root, or the daemon's user" : "");
}

static int listen_to(const struct proc *p, int process, int answer, char *text, size_t size, struct err *err)
{
	struct pollfd wait[] = {{answer, POLLIN, 0}, {process, POLLIN, 0}};
	uint64_t deadline = clock_ns() + TIMEOUT_S * UINT64_C(1000000000);

	for (uint64_t now; (now = clock_ns()) < deadline;) {
		int r = poll(wait, 2, (int)((deadline - now) / 1000000) + 1);

		if (r > 0 && wait[0].revents && hear(answer, p->pid, text, size))
			return 0;
		if (r > 0 && wait[1].revents)
			return err_set(err, ESRCH, "process %d has ended; see the daemon's log", p->pid);
	}
	return err_set(err, ETIMEDOUT, "process %d does not answer; see the daemon's log", p->pid);
}

static int ask(const struct proc *p, char *text, size_t size, struct err *err)
{
	autofd int process = hold(p, err);
	autofd int answer = -1;
	int number = 0, r;

	if (process < 0)
		return process;
	r = go_near(p, process, err);
	if (r)
		return r;
	answer = open_answer(&number, err);
	if (answer < 0)
		return answer;
	r = tell(p, process, number, err);
	return r ? r : listen_to(p, process, answer, text, size, err);
}

/* What comes from another process does not get to command a terminal. */
static void tame(char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text))
			*text = '?';
		else if (*text == '\xc2' && (unsigned char)text[1] >= 0x80 && (unsigned char)text[1] < 0xa0)
			text[0] = text[1] = '?'; /* the others of UTF-8 */
}

int upgrade_daemon(int argc, char **argv)
{
	char text[1024] = "";
	struct proc p = {0};
	struct err err;

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return fputs(help, stdout) < 0;
	if (argc != 2 || argv[1][0] == '-') {
		fprintf(stderr, "colofs: write: colofs upgrade SOCKET; see colofs upgrade --help\n");
		return EXIT_COLOFS;
	}
	if (find(argv[1], &p, &err) || ask(&p, text, sizeof(text), &err)) {
		fprintf(stderr, "colofs: %s\n", err.text);
		return EXIT_COLOFS;
	}
	tame(text);
	if (*text == '+')
		return printf("%s\n", text + 1) < 0;
	fprintf(stderr, "colofs: %s\n", text + 1);
	return NOT;
}
