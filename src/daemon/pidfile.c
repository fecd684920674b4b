/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/pidfile.h"

#include "base/cleanup.h"
#include "base/io.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static int in_use(const char *path, int fd, struct err *err)
{
	char pid[16] = "";

	if (pread(fd, pid, sizeof(pid) - 1, 0) < 0)
		pid[0] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
	return err_set(err, EADDRINUSE,
		"pid file %s is in use by process %s; end it, or give another --pid-file", path,
		pid[0] ? pid : "unknown");
}

int pidfile_check(const char *path, struct err *err)
{
	autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0
				       : err_sys(err, errno,
						 "pid file %s cannot be used; give another --pid-file", path);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return err_set(err, EEXIST, "pid file %s is no regular file; give another --pid-file", path);
	return flock(fd, LOCK_EX | LOCK_NB) ? in_use(path, fd, err) : 0;
}

/* True if the file that is open is still the one at the path: its last owner may have removed it meanwhile.
 */
static bool still_there(const char *path, int fd)
{
	struct stat at, of;

	return !lstat(path, &at) && !fstat(fd, &of) && at.st_dev == of.st_dev && at.st_ino == of.st_ino;
}

static int open_locked(const char *path, struct err *err)
{
	for (;;) {
		autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);

		if (fd < 0)
			return err_sys(err, errno,
				"pid file %s cannot be made; give another --pid-file in a directory that can "
				"be written to",
				path);
		if (flock(fd, LOCK_EX | LOCK_NB))
			return in_use(path, fd, err);
		if (still_there(path, fd))
			return fd_take(&fd);
	}
}

int pidfile_make(const char *path, struct err *err)
{
	autofd int fd = open_locked(path, err);
	char text[16];
	int r;

	if (fd < 0)
		return fd;
	snprintf(text, sizeof(text), "%d\n", getpid());
	r = ftruncate(fd, 0) ? -errno : io_write_all(fd, text, strlen(text));
	if (r) {
		unlink(path);
		return err_sys(err, -r, "pid file %s cannot be written", path);
	}
	return fd_take(&fd);
}
