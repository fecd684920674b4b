/* SPDX-License-Identifier: BSD-3-Clause */
/* Which times move when, and which are kept exactly; birth time; the family times. */
#include "sem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void family_times(void);

static void show_times(const char *path)
{
	struct stat st;

	if (lstat(path, &st)) {
		sem_retf(-1, "times of %s", path);
		return;
	}
	sem_say("times of %s = atime %lld.%09ld, mtime %lld.%09ld", path, (long long)st.st_atim.tv_sec,
		st.st_atim.tv_nsec, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

#define SET(path, ...) utimensat(AT_FDCWD, path, (struct timespec[2]){__VA_ARGS__}, AT_SYMLINK_NOFOLLOW)

static void case_set(void)
{
	int fd;

	sem_case("set");
	sem_file("f", "x", 0644);
	T(SET("f", {1, 2}, {3, 4}));
	show_times("f");
	T(SET("f", {1000000000, 999999999}, {2000000000, 1}));
	show_times("f");
	T(SET("f", {0, 0}, {0, 0}));
	show_times("f");
	T(SET("f", {-1, 5}, {-1000000000, 999999999}));
	show_times("f");
	T(SET("f", {4000000000, 5}, {15032385534, 6}));
	show_times("f");
	T(SET("f", {5, 0}, {0, UTIME_OMIT}));
	show_times("f");
	T(SET("f", {0, UTIME_OMIT}, {7, 8}));
	show_times("f");
	T(SET("f", {0, UTIME_OMIT}, {0, UTIME_OMIT}));
	T(SET("f", {0, 1000000000}, {0, 0}));
	T(symlink("f", "s"));
	T(SET("s", {11, 12}, {13, 14}));
	show_times("s");
	show_times("f");
	T(mkdir("d", 0755));
	T(SET("d", {21, 22}, {23, 24}));
	show_times("d");
	fd = TFD(open("f", O_RDWR));
	T(futimens(fd, (struct timespec[2]){{31, 32}, {33, 34}}));
	show_times("f");
	T(write(fd, "", 0));
	show_times("f");
	T(SET("f", {41, 0}, {42, 0}));
	T(close(fd));
	show_times("f");
}

/* Times set after writes stay, also if the guest still holds what was written. */
static void case_set_after_write(void)
{
	int fd;

	sem_case("set-after-write");
	fd = TFD(open("f", O_RDWR | O_CREAT, 0644));
	T(write(fd, "some bytes", 10));
	T(futimens(fd, (struct timespec[2]){{51, 52}, {53, 54}}));
	T(fsync(fd));
	show_times("f");
	T(close(fd));
	show_times("f");
	fd = TFD(open("f", O_RDWR | O_APPEND));
	T(write(fd, "more", 4));
	T(SET("f", {0, UTIME_OMIT}, {63, 64}));
	T(rename("f", "g"));
	show_times("g");
	T(chmod("g", 0600));
	T(close(fd));
	show_times("g");
}

static void case_who(void)
{
	sem_case("who");
	sem_file("f", "x", 0666);
	T(chown("f", 1001, 1001));
	T(SET("f", {1, 0}, {2, 0}));
	sem_as(1002, 1002, -1);
	T(SET("f", {3, 0}, {4, 0}));
	T(SET("f", {3, 0}, {0, UTIME_OMIT}));
	T(SET("f", {0, UTIME_NOW}, {0, UTIME_OMIT}));
	show_times("f");
	T(utimensat(AT_FDCWD, "f", NULL, 0));
	sem_as(1001, 1001, -1);
	T(SET("f", {5, 0}, {6, 0}));
	show_times("f");
	sem_root();
	T(chmod("f", 0444));
	sem_as(1002, 1002, -1);
	T(utimensat(AT_FDCWD, "f", NULL, 0));
	sem_root();
	show_times("f");
}

#define MOVES(path, e)                                       \
	do {                                                 \
		struct sem_times before_ = sem_before(path); \
		T(e);                                        \
		sem_moved(#e, path, &before_);               \
	} while (0)

static void case_files(void)
{
	char buf[8];
	int fd;

	sem_case("files");
	sem_file("f", "text", 0644);
	fd = TFD(open("f", O_RDWR));
	MOVES("f", write(fd, "TEXT", 4));
	MOVES("f", pread(fd, buf, 4, 0));
	MOVES("f", ftruncate(fd, 2));
	MOVES("f", ftruncate(fd, 2));
	MOVES("f", truncate("f", 2));
	MOVES("f", truncate("f", 9));
	MOVES("f", fallocate(fd, 0, 0, 8192));
	MOVES("f", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	MOVES("f", fchmod(fd, 0600));
	MOVES("f", fchmod(fd, 0600));
	MOVES("f", fchown(fd, 1, 1));
	MOVES("f", link("f", "g"));
	MOVES("f", unlink("g"));
	MOVES("f", rename("f", "h"));
	MOVES("h", fsync(fd));
	MOVES("h", close(fd));
	MOVES("h", close(open("h", O_RDONLY)));
	MOVES("h", close(open("h", O_WRONLY | O_TRUNC)));
	MOVES("h", close(open("h", O_WRONLY | O_TRUNC)));
	MOVES("h", SET("h", {1, 0}, {2, 0}));
}

static void case_directories(void)
{
	sem_case("directories");
	T(mkdir("d", 0755));
	T(mkdir("e", 0755));
	MOVES("d", close(open("d/f", O_CREAT | O_RDWR, 0644)));
	MOVES("d", close(open("d/f", O_CREAT | O_RDWR, 0644)));
	MOVES("d", access("d/none", F_OK));
	MOVES("d", mkdir("d/g", 0755));
	MOVES("d", mkdir("d/g", 0755));
	MOVES("d", rmdir("d/g"));
	MOVES("d", symlink("x", "d/s"));
	MOVES("d", mkfifo("d/p", 0644));
	MOVES("d", link("d/f", "d/l"));
	MOVES("d", rename("d/l", "d/m"));
	MOVES("d", rename("d/m", "e/m"));
	MOVES("e", rename("d/s", "e/s"));
	MOVES("e/s", rename("e/s", "e/t"));
	MOVES("d", unlink("d/f"));
	MOVES("d", unlink("d/f"));
	MOVES("d", chmod("d", 0700));
	MOVES("d", rename("d", "dd"));
}

/*
 * Everything here was made a moment ago. The birth is of the host's clock, what a guest with --writeback
 * changes is of its own, which may be seconds behind where it gets little of the processor.
 * Whether there is one is said elsewhere.
 */
static bool born_lately(const struct statx *x, time_t change)
{
	return !(x->stx_mask & STATX_BTIME) || llabs((long long)x->stx_btime.tv_sec - change) < 300;
}

static void case_birth(void)
{
	struct statx a, b;

	sem_case("birth");
	sem_file("f", "x", 0644);
	T(statx(AT_FDCWD, "f", 0, STATX_BTIME, &a));
	sem_say("has birth time = %d", !!(a.stx_mask & STATX_BTIME));
	sem_sleep_ms(12);
	sem_file("f", "y", 0644);
	T(rename("f", "g"));
	T(statx(AT_FDCWD, "g", 0, STATX_BTIME | STATX_BASIC_STATS, &b));
	sem_say("the birth stays = %d, is near the change = %d",
		a.stx_btime.tv_sec == b.stx_btime.tv_sec && a.stx_btime.tv_nsec == b.stx_btime.tv_nsec,
		born_lately(&b, b.stx_ctime.tv_sec));
	sem_say("basic fields = %d", (b.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
	T(statx(AT_FDCWD, "g", AT_STATX_FORCE_SYNC, STATX_SIZE, &b));
	sem_say("size = %llu", (unsigned long long)b.stx_size);
	T(statx(AT_FDCWD, "g", AT_STATX_DONT_SYNC, STATX_SIZE, &b));
	sem_say("size = %llu", (unsigned long long)b.stx_size);
}

static void show_birth(const char *path)
{
	struct statx x;
	struct stat st;

	if (lstat(path, &st) ||
		statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BTIME | STATX_BASIC_STATS, &x)) {
		sem_retf(-1, "statx of %s", path);
		return;
	}
	sem_say("has birth time: %s = %d", path, !!(x.stx_mask & STATX_BTIME));
	sem_say("%s: was born lately = %d", path, born_lately(&x, st.st_mtim.tv_sec));
	sem_say("%s: statx is stat = %d", path,
		x.stx_mode == st.st_mode && x.stx_size == (uint64_t)st.st_size && x.stx_ino == st.st_ino &&
			x.stx_nlink == st.st_nlink && x.stx_ctime.tv_nsec == st.st_ctim.tv_nsec);
}

/* Of every kind, and of a descriptor that has no name. */
static void case_birth_kinds(void)
{
	struct statx x;
	int fd;

	sem_case("birth-kinds");
	sem_file("file", "x", 0644);
	T(link("file", "hard"));
	T(mkdir("dir", 0755));
	T(symlink("nowhere", "link"));
	T(mkfifo("fifo", 0644));
	show_birth("file");
	show_birth("hard");
	show_birth("dir");
	show_birth("link");
	show_birth("fifo");
	show_birth(".");
	show_birth("none");
	fd = TFD(open("file", O_RDWR));
	T(unlink("file"));
	T(unlink("hard"));
	T(statx(fd, "", AT_EMPTY_PATH, STATX_BTIME | STATX_NLINK, &x));
	sem_say("has birth time: unlinked = %d", !!(x.stx_mask & STATX_BTIME));
	sem_say("links = %u", x.stx_nlink);
	T(close(fd));
}

void family_times(void)
{
	case_set();
	case_set_after_write();
	case_who();
	case_files();
	case_directories();
	case_birth();
	case_birth_kinds();
}
