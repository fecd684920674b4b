/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/detach.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <sys/wait.h>

__attribute__((noreturn)) static void wait_in_foreground(int ready, pid_t child)
{
	int status;
	char byte = 0;

	while (read(ready, &byte, 1) < 0)
		if (errno != EINTR)
			break;
	if (byte == 'R')
		exit(0);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			exit(1);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int detach_start(struct detach *d, struct err *err)
{
	autofd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int pipe[2];
	pid_t child;

	if (null < 0)
		return err_sys(err, errno, "--daemonize needs /dev/null");
	if (pipe2(pipe, O_CLOEXEC))
		return err_sys(err, errno, "--daemonize: no pipe");
	child = fork();
	if (child < 0)
		return err_sys(err, errno, "--daemonize: fork failed");
	if (child) {
		close(pipe[1]);
		wait_in_foreground(pipe[0], child);
	}
	close(pipe[0]);
	setsid();
	d->foreground = pipe[1];
	d->null = fd_take(&null);
	return 0;
}

void detach_streams(const struct detach *d)
{
	for (int fd = 0; fd <= STDERR_FILENO && d->null >= 0; fd++)
		dup3(d->null, fd, 0);
}

void detach_ready(struct detach *d)
{
	detach_streams(d);
	if (d->foreground >= 0 && write(d->foreground, "R", 1) == 1) {
		close(d->foreground);
		d->foreground = -1;
	}
}
