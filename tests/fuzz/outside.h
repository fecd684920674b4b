/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A real directory for fuzz targets that are hostile to it: share/, with a few files, and beside it a secret
 * that nothing may touch. It goes with the process.
 */
#ifndef FUZZ_OUTSIDE_H
#define FUZZ_OUTSIDE_H

#include "fuzz.h"

#include "base/arith.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OUTSIDE_FILE_MAX (1 << 20)

static char outside_dir[64]; /* share/ and secret in it */

/* Flags that keep files from being removed, and devices of the host, are not for a test to make. */
static inline void outside_drop_capabilities(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];
	static const unsigned int away[] = {CAP_LINUX_IMMUTABLE, CAP_MKNOD, CAP_SYS_RESOURCE};

	fuzz_require(!syscall(SYS_capget, &h, d));
	for (size_t i = 0; i < ARRAY_LEN(away); i++) {
		d[away[i] / 32].effective &= ~(1u << away[i] % 32);
		d[away[i] / 32].permitted &= ~(1u << away[i] % 32);
	}
	fuzz_require(!syscall(SYS_capset, &h, d));
}

static inline void outside_put_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", outside_dir, name);
	f = fopen(path, "we");
	fuzz_require(f && fputs(text, f) >= 0 && !fclose(f));
}

/* Empties the directory and closes it. Directories may lie deeper than a path is long. */
static inline void outside_clear(int fd)
{
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || !unlinkat(fd, e->d_name, 0))
			continue;
		outside_clear(openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
		unlinkat(fd, e->d_name, AT_REMOVEDIR);
	}
	if (d)
		closedir(d);
}

static inline void outside_empty(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", outside_dir, name);
	outside_clear(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static inline void outside_remove(void)
{
	outside_empty("");
	rmdir(outside_dir);
}

static inline void outside_prepare(void)
{
	struct rlimit rl = {OUTSIDE_FILE_MAX, OUTSIDE_FILE_MAX};

	log_setup(LOG_LEVEL_OFF, false, "fuzz");
	signal(SIGXFSZ, SIG_IGN);
	fuzz_require(!setrlimit(RLIMIT_FSIZE, &rl));
	snprintf(outside_dir, sizeof(outside_dir), "%s/colofs-fuzz-XXXXXX",
		access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	fuzz_require(mkdtemp(outside_dir));
	atexit(outside_remove);
	outside_put_file("secret", "secret");
	outside_drop_capabilities();
}

static inline void outside_make_share(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/share", outside_dir);
	fuzz_require(!mkdir(path, 0755) || errno == EEXIST);
	fuzz_require(!chmod(path, 0755) && !chown(path, 0, 0));
	outside_put_file("share/file", "text of a file");
	snprintf(path, sizeof(path), "%s/share/dir", outside_dir);
	fuzz_require(!mkdir(path, 0777));
	snprintf(path, sizeof(path), "%s/share/out", outside_dir);
	fuzz_require(!symlink("../secret", path));
}

/* What lies beside the share is as it was. */
static inline void outside_check(void)
{
	char path[128], text[16] = "";
	struct stat st;
	struct dirent *e;
	unsigned int n = 0;
	FILE *f;
	DIR *d = opendir(outside_dir);

	fuzz_require(d != NULL);
	while ((e = readdir(d)))
		n++;
	closedir(d);
	fuzz_require(n == 4);
	snprintf(path, sizeof(path), "%s/secret", outside_dir);
	f = fopen(path, "re");
	fuzz_require(f && fgets(text, sizeof(text), f) && !strcmp(text, "secret"));
	fuzz_require(
		!fstat(fileno(f), &st) && (st.st_mode & 07777) == 0644 && !st.st_uid && st.st_nlink == 1);
	fclose(f);
}

static inline unsigned int outside_fds(void)
{
	unsigned int n = 0;
	DIR *d = opendir("/proc/self/fd");

	fuzz_require(d != NULL);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

#endif
