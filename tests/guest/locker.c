/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locks for the guest tests, in a guest and on the host. Statically linked: guests run it from the share.
 * KIND is fcntl, ofd (open file descriptions) or flock; locks are exclusive and of the whole file. Exit
 * status: 0, 1 if a lock is in the way, 2 for everything else that goes wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(2);
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0)
		die(path);
	return fd;
}

static int change(const char *kind, int fd, short type, int wait)
{
	struct flock fl = {.l_type = type, .l_whence = SEEK_SET};
	int op = type == F_UNLCK ? LOCK_UN : LOCK_EX;

	if (!strcmp(kind, "fcntl"))
		return fcntl(fd, wait ? F_SETLKW : F_SETLK, &fl);
	if (!strcmp(kind, "ofd"))
		return fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &fl);
	return flock(fd, wait ? op : op | LOCK_NB);
}

static int lock(const char *kind, int fd, int wait)
{
	if (!change(kind, fd, F_WRLCK, wait))
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		die(kind);
	return 1;
}

/* try KIND FILE */
static int do_try(char **arg)
{
	return lock(arg[0], open_file(arg[1]), 0);
}

static void touch(const char *path)
{
	close(open_file(path));
}

/* hold KIND FILE READY: waits for the lock, makes the file READY, and keeps the lock until it is killed. */
static int do_hold(char **arg)
{
	lock(arg[0], open_file(arg[1]), 1);
	touch(arg[2]);
	pause();
	return 0;
}

/* count KIND FILE TIMES: adds one to the number in the file, under the lock. */
static int do_count(char **arg)
{
	int fd = open_file(arg[1]);

	for (int left = atoi(arg[2]); left; left--) {
		char text[32] = {0};

		lock(arg[0], fd, 1);
		if (pread(fd, text, sizeof(text) - 1, 0) < 0)
			die("read");
		snprintf(text, sizeof(text), "%020d\n", atoi(text) + 1);
		if (pwrite(fd, text, 21, 0) != 21)
			die("write");
		if (change(arg[0], fd, F_UNLCK, 1))
			die("unlock");
	}
	return 0;
}

static int lock_byte(int fd, off_t at)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

	return fcntl(fd, F_SETLKW, &fl) ? -errno : 0;
}

/* One of a circle: has lock @i, and when all have theirs wants the next one's. Odd ones lie in file 1. */
static int member(const int fd[2], const int go[2], int i, int n)
{
	int next = (i + 1) % n, r = lock_byte(fd[i % 2], i);
	char c;

	if (r || write(go[1], "", 1) != 1 || read(go[0], &c, 1) != 1)
		return 2;
	usleep((useconds_t)i * 100000);
	r = lock_byte(fd[next % 2], next);
	return !r ? 0 : r == -EDEADLK ? 3 : 2;
}

/* circle N FILE FILE: N processes wait for each other; one of them is told so, and all end. */
static int do_circle(char **arg)
{
	int n = atoi(arg[0]), fd[2] = {open_file(arg[1]), open_file(arg[2])}, up[2], down[2], told = 0;
	char c;

	if (pipe(up) || pipe(down))
		die("pipe");
	for (int i = 0; i < n; i++)
		if (!fork())
			_exit(member(fd, (int[]){down[0], up[1]}, i, n));
	for (int i = 0; i < n; i++)
		if (read(up[0], &c, 1) != 1)
			die("read");
	for (int i = 0; i < n; i++)
		if (write(down[1], "", 1) != 1)
			die("write");
	for (int i = 0, status; i < n; i++) {
		wait(&status);
		if (!WIFEXITED(status) || WEXITSTATUS(status) == 2)
			return 2;
		told += WEXITSTATUS(status) == 3;
	}
	printf("%d of %d were told\n", told, n);
	return told == 1 ? 0 : 2;
}

/* append FILE NAME TIMES: records of 100 to 499 bytes that tell who wrote them, and which. */
static int do_append(char **arg)
{
	int fd = open(arg[0], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

	if (fd < 0)
		die(arg[0]);
	for (int i = 0, times = atoi(arg[2]); i < times; i++) {
		int len = 100 + i * 7919 % 400;
		char text[512];
		int n = snprintf(text, sizeof(text), "%s %d %d ", arg[1], i, len);

		memset(text + n, 'x', (size_t)(len - n));
		text[len - 1] = '\n';
		if (write(fd, text, (size_t)len) != len)
			die("append");
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*run)(char **arg);
	} commands[] = {
		{"try", 2, do_try},
		{"hold", 3, do_hold},
		{"count", 3, do_count},
		{"circle", 3, do_circle},
		{"append", 3, do_append},
	};

	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name) && argc == 2 + commands[i].args)
			return commands[i].run(argv + 2);
	fprintf(stderr, "locker try|hold|count|circle|append ...\n");
	return 2;
}
