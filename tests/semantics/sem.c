/* SPDX-License-Identifier: BSD-3-Clause */
/* Printing what can be observed. See sem.h. */
#include "sem.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "out.h"

static char where[64];
static const char *family_name = "";
static char top[4096];
static int step;

void sem_die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "semantics: %s%s", where, *where ? ": " : "");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(errno));
	exit(3);
}

void sem_begin(const char *dir, const char *family)
{
	family_name = family;
	where[0] = 0;
	snprintf(top, sizeof(top), "%s", dir);
	umask(022);
}

void sem_case(const char *name)
{
	char path[4096 + 64];

	snprintf(where, sizeof(where), "%s/%s", family_name, name);
	step = 0;
	snprintf(path, sizeof(path), "%s/%s.%s", top, family_name, name);
	if (mkdir(path, 0755) || chdir(path))
		sem_die("%s", path);
}

static void line(const char *what, const char *result)
{
	printf("%s %03d: %s = %s\n", where, ++step, what, result);
	fflush(stdout);
}

void sem_say(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("%s %03d: %s\n", where, ++step, text);
	fflush(stdout);
}

const char *sem_errname(int err)
{
	const char *n = strerrorname_np(err);

	return n ? n : "unknown error";
}

long sem_ret(const char *what, long r)
{
	int saved = errno;
	char text[32];

	snprintf(text, sizeof(text), "%ld", r);
	line(what, r == -1 ? sem_errname(saved) : text);
	errno = saved;
	return r;
}

int sem_fd(const char *what, int fd)
{
	int saved = errno;

	line(what, fd < 0 ? sem_errname(saved) : "ok");
	errno = saved;
	return fd;
}

long sem_retf(long r, const char *fmt, ...)
{
	int saved = errno;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	errno = saved;
	return sem_ret(text, r);
}

uint64_t sem_hash(uint64_t h, const void *p, size_t n)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * UINT64_C(0x100000001b3);
	return h;
}

const char *sem_bytes(const void *p, size_t n)
{
	static char bufs[2][160];
	static int turn;
	char *buf = bufs[turn ^= 1];
	const uint8_t *b = p;
	size_t at = 0;

	if (n > 64) {
		snprintf(
			buf, sizeof(bufs[0]), "%zu bytes #%016llx", n, (unsigned long long)sem_hash(0, p, n));
		return buf;
	}
	buf[at++] = '"';
	for (size_t i = 0; i < n && at < sizeof(bufs[0]) - 8; i++)
		at += (size_t)snprintf(buf + at, 6, isprint(b[i]) && b[i] != '\\' ? "%c" : "\\x%02x", b[i]);
	buf[at++] = '"';
	buf[at] = 0;
	return buf;
}

void sem_file(const char *path, const char *bytes, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	size_t n = strlen(bytes);

	if (fd < 0 || write(fd, bytes, n) != (ssize_t)n || fchmod(fd, mode) || close(fd))
		sem_die("making %s", path);
}

static const char *type_of(mode_t mode)
{
	static const char *const names[] = {
		[S_IFREG >> 12] = "reg",
		[S_IFDIR >> 12] = "dir",
		[S_IFLNK >> 12] = "lnk",
		[S_IFIFO >> 12] = "fifo",
		[S_IFSOCK >> 12] = "sock",
		[S_IFCHR >> 12] = "chr",
		[S_IFBLK >> 12] = "blk",
	};
	const char *n = names[(mode & S_IFMT) >> 12];

	return n ? n : "?";
}

static void show_stat(const char *what, int r, const struct stat *st)
{
	char label[300], text[160];
	int n;

	snprintf(label, sizeof(label), "stat %s", what);
	if (r) {
		sem_ret(label, r);
		return;
	}
	n = snprintf(text, sizeof(text), "%s %04o %u:%u links %lu", type_of(st->st_mode), st->st_mode & 07777,
		st->st_uid, st->st_gid, (unsigned long)st->st_nlink);
	if (!S_ISDIR(st->st_mode))
		n += snprintf(text + n, sizeof(text) - (size_t)n, " size %lld", (long long)st->st_size);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		snprintf(text + n, sizeof(text) - (size_t)n, " dev %llx", (unsigned long long)st->st_rdev);
	line(label, text);
}

void sem_stat(const char *path)
{
	struct stat st;
	int r = lstat(path, &st);

	show_stat(path, r, &st);
}

void sem_fstat(const char *what, int fd)
{
	struct stat st;
	int r = fstat(fd, &st);

	show_stat(what, r, &st);
}

bool sem_same(const char *a, const char *b)
{
	struct stat x, y;

	return !lstat(a, &x) && !lstat(b, &y) && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static const char *dtype(const struct dirent *d)
{
	return d->d_type == DT_UNKNOWN ? "?" : type_of(DTTOIF(d->d_type));
}

/* All entries as sorted "name/type" strings; their number. */
static size_t collect(DIR *d, char ***out)
{
	struct dirent *e;
	size_t n = 0;

	*out = NULL;
	while ((errno = 0, e = readdir(d)) != NULL) {
		*out = realloc(*out, (n + 1) * sizeof(**out));
		if (!*out || asprintf(&(*out)[n++], "%s/%s", e->d_name, dtype(e)) < 0)
			sem_die("memory");
	}
	if (errno)
		sem_say("readdir = %s", sem_errname(errno));
	qsort(*out, n, sizeof(**out), by_text);
	return n;
}

static void list_dir(const char *what, DIR *d)
{
	char text[900] = "";
	char **names;
	size_t n, at = 0;
	uint64_t h = 0;

	if (!d) {
		sem_ret(what, -1);
		return;
	}
	n = collect(d, &names);
	for (size_t i = 0; i < n; i++) {
		h = sem_hash(h, names[i], strlen(names[i]) + 1);
		if (n <= 16 && at < sizeof(text))
			at += (size_t)snprintf(text + at, sizeof(text) - at, " %s", names[i]);
		free(names[i]);
	}
	free(names);
	closedir(d);
	sem_say("%s = %zu entries%s #%016llx", what, n, text, (unsigned long long)h);
}

void sem_list(const char *path)
{
	char what[300];

	snprintf(what, sizeof(what), "list %s", path);
	list_dir(what, opendir(path));
}

void sem_list_fd(const char *what, int fd)
{
	char label[300];
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	snprintf(label, sizeof(label), "list %s", what);
	list_dir(label, copy < 0 ? NULL : fdopendir(copy));
}

void sem_fdata(const char *what, int fd)
{
	static char buf[1 << 20];
	char label[300];
	ssize_t n;
	off_t off = 0;
	uint64_t h = 0;

	while ((n = pread(fd, buf, sizeof(buf), off)) > 0) {
		h = sem_hash(h, buf, (size_t)n);
		off += n;
	}
	snprintf(label, sizeof(label), "data %s", what);
	if (n < 0)
		sem_ret(label, -1);
	else if (off <= 64)
		line(label, sem_bytes(buf, (size_t)pread(fd, buf, 64, 0)));
	else
		sem_say("%s = %lld bytes #%016llx", label, (long long)off, (unsigned long long)h);
}

void sem_data(const char *path)
{
	char label[300];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		snprintf(label, sizeof(label), "data %s", path);
		sem_ret(label, -1);
		return;
	}
	sem_fdata(path, fd);
	close(fd);
}

void sem_link(const char *path)
{
	char target[4200], label[300];
	ssize_t n = readlink(path, target, sizeof(target));

	snprintf(label, sizeof(label), "readlink %s", path);
	if (n < 0)
		sem_ret(label, -1);
	else
		line(label, sem_bytes(target, (size_t)n));
}

void sem_root(void)
{
	if (setresuid((uid_t)-1, 0, 0) || setresgid((gid_t)-1, 0, 0) || setgroups(0, NULL))
		sem_die("becoming root");
}

void sem_as(uid_t uid, gid_t gid, int group)
{
	gid_t g = (gid_t)group;

	sem_root();

	if (setgroups(group < 0 ? 0 : 1, &g) || setresgid((gid_t)-1, gid, 0) || setresuid((uid_t)-1, uid, 0))
		sem_die("becoming %u:%u", uid, gid);
}

struct sem_times sem_before(const char *path)
{
	struct sem_times t;

	if (lstat(path, &t.st))
		sem_die("stat of %s", path);
	sem_sleep_ms(30);
	return t;
}

static int later(const struct timespec *a, const struct timespec *b)
{
	if (a->tv_sec != b->tv_sec)
		return a->tv_sec < b->tv_sec ? 1 : -1;
	return (a->tv_nsec < b->tv_nsec) - (a->tv_nsec > b->tv_nsec);
}

void sem_moved(const char *what, const char *path, const struct sem_times *before)
{
	static const char *const word[] = {"back", "same", "on"};
	char label[200];
	struct stat st;

	snprintf(label, sizeof(label), "times of %s after %s", path, what);
	if (lstat(path, &st)) {
		sem_ret(label, -1);
		return;
	}
	sem_say("%s = atime %s, mtime %s, ctime %s", label, word[1 + later(&before->st.st_atim, &st.st_atim)],
		word[1 + later(&before->st.st_mtim, &st.st_mtim)],
		word[1 + later(&before->st.st_ctim, &st.st_ctim)]);
}

void sem_sleep_ms(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&t, NULL);
}
