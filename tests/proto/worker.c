/* SPDX-License-Identifier: BSD-3-Clause */
#include "worker.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static ssize_t read_proc(pid_t pid, const char *file, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
	return n;
}

static pid_t child_of(pid_t pid)
{
	char file[32], buf[64];

	snprintf(file, sizeof(file), "task/%d/children", pid);
	return read_proc(pid, file, buf, sizeof(buf)) > 0 ? (pid_t)strtol(buf, NULL, 10) : 0;
}

bool worker_find(struct worker *w, const struct spawn *s)
{
	char status[2048];
	const char *blocked;
	pid_t child;

	*w = (struct worker){.supervisor = s->pid};
	while ((child = child_of(w->supervisor)) && child_of(child))
		w->supervisor = child;
	w->pid = child;
	/* A supervisor blocks the signal of a child's end, to wait for it, and the child inherits that. */
	if (!child || read_proc(child, "status", status, sizeof(status)) <= 0)
		return false;
	blocked = strstr(status, "SigBlk:");
	return blocked && strtoull(blocked + 7, NULL, 16) & 1ull << (SIGCHLD - 1);
}

int worker_await_next(struct worker *w, int timeout_ms)
{
	for (int t = 0; t < timeout_ms; t++) {
		pid_t now = child_of(w->supervisor);

		if (now && now != w->pid) {
			w->pid = now;
			return 0;
		}
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return -ETIMEDOUT;
}

int worker_kill(struct worker *w, int sig)
{
	return kill(w->pid, sig) ? -errno : worker_await_next(w, TEST_PATIENCE_MS);
}
