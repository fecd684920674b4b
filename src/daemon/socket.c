/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/socket.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* One front-end at a time is served; another may wait. */
#define BACKLOG 1

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	return a;
}

/* 1: somebody listens, 0: the file is left over from one that is gone, -errno. */
static int is_live(const char *path)
{
	struct sockaddr_un a = address(path);
	autofd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&a, sizeof(a)) || errno == EAGAIN || errno == EPROTOTYPE)
		return 1;
	return errno == ECONNREFUSED ? 0 : -errno;
}

int socket_check(const char *path, struct err *err)
{
	struct stat st;
	int live;

	if (lstat(path, &st))
		return errno == ENOENT
			       ? 0
			       : err_sys(err, errno,
					 "--socket-path=%s cannot be used; name a file that can be made",
					 path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, EEXIST,
			"--socket-path=%s: a file that is no socket is there; move it, or name another path",
			path);
	live = is_live(path);
	if (live < 0)
		return err_sys(
			err, -live, "--socket-path=%s cannot be used; remove it, or name another path", path);
	if (live)
		return err_set(err, EADDRINUSE,
			"--socket-path=%s is in use: another process listens there; end it, or name another "
			"path",
			path);
	return 0;
}

int socket_check_group(const char *group, struct err *err)
{
	if (!getgrnam(group))
		return err_set(err, ENOENT, "--socket-group=%s: no such group; groupadd(8) makes one", group);
	return 0;
}

static int give_to_group(const char *path, const char *group)
{
	const struct group *g = getgrnam(group);

	if (!g)
		return -ENOENT;
	if (chown(path, (uid_t)-1, g->gr_gid) || chmod(path, 0770))
		return -errno;
	return 0;
}

/* The file appears with the rights that it shall have, or with fewer. */
static int bind_private(int fd, const char *path)
{
	struct sockaddr_un a = address(path);
	mode_t old = umask(077);
	int r = bind(fd, (struct sockaddr *)&a, sizeof(a)) ? -errno : 0;

	umask(old);
	return r;
}

int socket_make(const char *path, const char *group, struct err *err)
{
	autofd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return err_sys(err, errno, "no socket can be had");
	r = socket_check(path, err);
	if (r)
		return r;
	if (unlink(path) && errno != ENOENT)
		return err_sys(
			err, errno, "--socket-path=%s is left over and cannot be removed; remove it", path);
	r = bind_private(fd, path);
	if (r)
		return err_sys(err, -r,
			"--socket-path=%s cannot be made; name a path in a directory that can be written to",
			path);
	if (group)
		r = give_to_group(path, group);
	if (!r && listen(fd, BACKLOG))
		r = -errno;
	if (!r)
		return fd_take(&fd);
	unlink(path);
	return group ? err_sys(err, -r, "--socket-group=%s cannot be given the socket; be a member of it",
			       group)
		     : err_sys(err, -r, "--socket-path=%s cannot be listened on", path);
}

int socket_check_fd(int fd, struct err *err)
{
	socklen_t len = sizeof(int);
	int domain = 0;
	int type = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) ||
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len))
		return err_sys(err, errno, "--fd=%d; pass the number of an inherited UNIX socket", fd);
	if (domain != AF_UNIX || type != SOCK_STREAM)
		return err_set(
			err, EPROTOTYPE, "--fd=%d: not a UNIX stream socket; pass the number of one", fd);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return 0;
}
