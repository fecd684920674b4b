/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/claims.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#define ROOTS_DIR "/run/colofs"

static void find_path(char *path, size_t size)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	if (!geteuid() && (!mkdir(ROOTS_DIR, 0755) || errno == EEXIST))
		snprintf(path, size, ROOTS_DIR "/dax-claims");
	else if (dir && *dir == '/')
		snprintf(path, size, "%s/colofs-dax-claims", dir);
	else
		snprintf(path, size, "/tmp/colofs-dax-claims-%u", (unsigned int)geteuid());
}

/* In a directory that others can write to it may be theirs: then whoever locks it is not of our kind. */
int claims_open(int *fd, struct err *err)
{
	char path[PATH_MAX];
	struct stat st;

	find_path(path, sizeof(path));
	autofd int file = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (file < 0)
		return err_sys(err, errno,
			"%s cannot be opened, by which daemons learn who maps a file; make that possible, or "
			"give --dax-trust-peers",
			path);
	if (fstat(file, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return err_set(err, EPERM,
			"%s is not a file of this user; remove it, or give --dax-trust-peers", path);
	*fd = fd_take(&file);
	return 0;
}
