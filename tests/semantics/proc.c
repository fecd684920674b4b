/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes that do what they are told. See sem.h. */
#include "sem.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct proc {
	pid_t pid;
	int fd;
};

__attribute__((noreturn)) static void serve(int fd)
{
	struct proc_call c;
	struct proc_reply r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(fd, &c, sizeof(c)) == sizeof(c)) {
		memset(&r, 0, sizeof(r));
		errno = 0;
		r.ret = c.fn(&c, r.text);
		r.err = errno;
		if (write(fd, &r, sizeof(r)) != sizeof(r))
			break;
	}
	_exit(0);
}

struct proc *proc_start(void)
{
	struct proc *p = calloc(1, sizeof(*p));
	int sv[2];

	fflush(stdout);
	if (!p || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		sem_die("socketpair");
	p->pid = fork();
	if (p->pid < 0)
		sem_die("fork");
	if (!p->pid) {
		close(sv[0]);
		serve(sv[1]);
	}
	close(sv[1]);
	p->fd = sv[0];
	return p;
}

void proc_send(struct proc *p, const struct proc_call *c)
{
	if (write(p->fd, c, sizeof(*c)) != sizeof(*c))
		sem_die("telling a process");
}

bool proc_wait(struct proc *p, int ms, struct proc_reply *r)
{
	struct pollfd pfd = {.fd = p->fd, .events = POLLIN};

	if (poll(&pfd, 1, ms) <= 0)
		return false;
	if (recv(p->fd, r, sizeof(*r), MSG_WAITALL) != sizeof(*r))
		sem_die("a process died");
	return true;
}

long proc_do(struct proc *p, const char *what, const struct proc_call *c)
{
	struct proc_reply r;

	proc_send(p, c);
	if (!proc_wait(p, 30000, &r)) {
		sem_say("%s = nothing in 30 s", what);
		sem_die("a process hangs");
	}
	errno = r.err;
	if (r.text[0])
		sem_say("%s = %s", what, r.text);
	else
		sem_ret(what, r.ret);
	return r.ret;
}

void proc_end(struct proc *p)
{
	shutdown(p->fd, SHUT_RDWR); /* processes started later have a copy */
	close(p->fd);
	waitpid(p->pid, NULL, 0);
	free(p);
}

void proc_kill(struct proc *p)
{
	kill(p->pid, SIGKILL);
	proc_end(p);
}
