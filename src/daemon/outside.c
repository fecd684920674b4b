/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/outside.h"

#include "base/arith.h"
#include "daemon/line.h"
#include "daemon/notify.h"
#include "daemon/pidfile.h"
#include "daemon/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void find_pid_path(const struct options *o, char *path, size_t size)
{
	path[0] = '\0';
	if (o->pid_file)
		snprintf(path, size, "%s", o->pid_file);
	else if (o->socket_path)
		snprintf(path, size, "%s.pid", o->socket_path);
}

static int check_shared_dir(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st))
		return err_sys(
			err, errno, "--shared-dir=%s cannot be shared; name a directory that exists", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ENOTDIR, "--shared-dir=%s is no directory; name one", path);
	return 0;
}

/* A file is to be made at @path: what for the user is wrong with @option if its directory does not allow it.
 */
static int check_place(const char *option, const char *path, struct err *err)
{
	char dir[PATH_MAX + 8];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash)
		snprintf(dir, sizeof(dir), ".");
	else
		slash[slash == dir] = '\0';
	if (access(dir, W_OK | X_OK))
		return err_sys(err, errno,
			"%s=%s cannot be made; name a directory that exists and can be written to", option,
			path);
	return 0;
}

static int check_socket(const struct options *o, struct err *err)
{
	int r;

	if (!o->socket_path)
		return socket_check_fd((int)o->fd, err);
	r = check_place("--socket-path", o->socket_path, err);
	if (!r && o->socket_group)
		r = socket_check_group(o->socket_group, err);
	return r;
}

int outside_check(const struct options *o, struct err *err)
{
	char pid_path[PATH_MAX + 8];
	int r;

	find_pid_path(o, pid_path, sizeof(pid_path));
	r = check_shared_dir(o->sandbox.shared_dir, err);
	if (!r)
		r = check_socket(o, err);
	if (!r && o->pid_file)
		r = check_place("--pid-file", o->pid_file, err);
	/* Ahead of the socket: asking a socket whether somebody listens costs him a connection. */
	if (!r && pid_path[0])
		r = pidfile_check(pid_path, err);
	if (!r && o->socket_path)
		r = socket_check(o->socket_path, err);
	return r;
}

int outside_make(struct outside *out, const struct options *o, struct err *err)
{
	*out = (struct outside){.socket = -1, .pid_file = -1, .notify = -1, .detach = {-1, -1}};
	if (o->daemonize) {
		int r = detach_start(&out->detach, err);

		if (r)
			return r;
	}
	find_pid_path(o, out->pid_path, sizeof(out->pid_path));
	if (out->pid_path[0]) {
		out->pid_file = pidfile_make(out->pid_path, err);
		if (out->pid_file < 0)
			return out->pid_file;
	}
	out->socket = o->socket_path ? socket_make(o->socket_path, o->socket_group, err) : (int)o->fd;
	if (out->socket < 0) {
		int r = out->socket;

		outside_remove(out);
		return r;
	}
	out->socket_path = o->socket_path;
	out->notify = notify_open();
	out->watchdog = notify_watchdog();
	out->keeps = notify_keeps() && out->notify >= 0;
	if (out->notify < 0)
		out->watchdog = 0;
	return 0;
}

void outside_take(struct outside *out, const struct options *o, const struct line_message *m, const int *fds,
	struct outside_taken *taken)
{
	int *to[LINE_FDS] = {&taken->from, &out->notify, &taken->claims, &taken->copies};

	*out = (struct outside){.socket = (int)o->fd,
		.pid_file = -1,
		.notify = -1,
		.keeps = m->keeps,
		.watchdog = m->watchdog,
		.detach = {-1, -1}};
	*taken = (struct outside_taken){-1, -1, -1};
	for (unsigned int i = 0; i < ARRAY_LEN(to); i++)
		if (m->has & 1u << i)
			*to[i] = *fds++;
}

void outside_told(void *arg, char word)
{
	struct outside *out = arg;

	if (word == OUTSIDE_READY) {
		notify_send(out->notify, "READY=1");
		detach_ready(&out->detach);
	} else if (word == OUTSIDE_STOPPING) {
		notify_send(out->notify, "STOPPING=1");
	} else if (word == OUTSIDE_ALIVE) {
		notify_send(out->notify, "WATCHDOG=1");
	}
}

void outside_remove(void *arg)
{
	struct outside *out = arg;

	if (out->socket_path)
		unlinkat(AT_FDCWD, out->socket_path, 0); /* in the filter without a sandbox */
	if (out->pid_file >= 0)
		unlinkat(AT_FDCWD, out->pid_path, 0);
	out->socket_path = NULL;
	if (out->pid_file >= 0)
		close(out->pid_file);
	out->pid_file = -1;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void outside_leave(struct outside *out)
{
	close_one(&out->pid_file);
	if (!out->keeps)
		close_one(&out->notify);
	close_one(&out->detach.foreground);
	out->socket_path = NULL;
}
