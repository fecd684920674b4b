/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may do what: modes, owners, groups, SUID and SGID bits, umask; the family perm. */
#include "sem.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

void family_perm(void);

/* One line for each user and mode: what open, access and the like say. */
static void try_as(uid_t uid, gid_t gid, int group, const char *path)
{
	int r, w, x, own;

	sem_as(uid, gid, group);
	r = open(path, O_RDONLY) < 0 ? errno : 0;
	w = open(path, O_WRONLY) < 0 ? errno : 0;
	x = faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) ? errno : 0;
	own = chmod(path, 0) ? errno : 0;
	sem_root();
	closefrom(10);
	sem_say("%u:%u+%d on %s = read %s, write %s, execute %s, chmod %s", uid, gid, group, path,
		sem_errname(r), sem_errname(w), sem_errname(x), sem_errname(own));
}

static void case_modes(void)
{
	static const mode_t modes[] = {0, 0400, 0200, 0100, 0040, 0020, 0007, 0070, 0604, 0755, 0677, 04711};
	char name[16];

	sem_case("modes");
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		snprintf(name, sizeof(name), "m%04o", modes[i]);
		sem_file(name, "x", 0600);
		T(chown(name, 1001, 2001));
		for (int who = 0; who < 5; who++) {
			T(chmod(name, modes[i]));
			if (who == 0)
				try_as(1001, 1001, -1, name);
			else if (who == 1)
				try_as(1002, 2001, -1, name);
			else if (who == 2)
				try_as(1002, 1002, 2001, name);
			else if (who == 3)
				try_as(1003, 1003, -1, name);
			else
				try_as(0, 0, -1, name);
		}
	}
}

static void make_in(const char *dir)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/f", dir);
	sem_retf(close(open(path, O_CREAT | O_RDWR, 0666)), "create %s", path);
	sem_stat(path);
	snprintf(path, sizeof(path), "%s/x", dir);
	sem_retf(close(open(path, O_CREAT | O_RDWR, 02775)), "create %s", path);
	sem_stat(path);
	snprintf(path, sizeof(path), "%s/d", dir);
	sem_retf(mkdir(path, 0777), "mkdir %s", path);
	sem_stat(path);
	snprintf(path, sizeof(path), "%s/p", dir);
	sem_retf(mknod(path, S_IFIFO | 06777, 0), "mkfifo %s", path);
	sem_stat(path);
	snprintf(path, sizeof(path), "%s/s", dir);
	sem_retf(symlink("f", path), "symlink %s", path);
	sem_stat(path);
}

static void case_create(void)
{
	static const struct {
		const char *dir;
		mode_t mode, umask;
		gid_t gid;
		int group;
	} t[] = {
		{"open", 0777, 022, 1001, -1},
		{"mask", 0777, 077, 1001, -1},
		{"nomask", 0777, 0, 1001, -1},
		{"sgid", 02777, 022, 1001, -1},
		{"sgid-member", 02777, 022, 1001, 2001},
		{"sgid-own", 02777, 0, 2001, -1},
	};

	sem_case("create");
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		T(mkdir(t[i].dir, 0777));
		T(chown(t[i].dir, 0, 2001));
		T(chmod(t[i].dir, t[i].mode));
		sem_as(1001, t[i].gid, t[i].group);
		umask(t[i].umask);
		make_in(t[i].dir);
		umask(022);
		sem_root();
	}
	T(mkdir("closed", 0755));
	sem_as(1001, 1001, -1);
	make_in("closed");
	sem_root();
}

static void case_chown(void)
{
	sem_case("chown");
	sem_file("f", "x", 06755);
	T(chown("f", 1001, 2001));
	sem_stat("f");
	T(chmod("f", 06755));
	sem_stat("f");
	sem_as(1001, 1001, 2002);
	T(chown("f", 1002, -1));
	T(chown("f", -1, 3000));
	sem_stat("f");
	T(chown("f", -1, 2002));
	sem_stat("f");
	T(chmod("f", 06755));
	sem_stat("f");
	T(chown("f", 1001, 1001));
	sem_stat("f");
	T(chmod("f", 06755));
	T(chown("f", -1, -1));
	sem_stat("f");
	sem_as(1002, 1002, -1);
	T(chmod("f", 0777));
	T(chown("f", 1002, 1002));
	sem_root();
	T(chmod("f", 06745));
	T(chown("f", 5, 5));
	sem_stat("f");
	T(mkdir("d", 0755));
	T(chmod("d", 06755));
	T(chown("d", 7, 7));
	sem_stat("d");
	T(lchown("f", (uid_t)-2, (gid_t)-2));
	sem_stat("f");
}

/* chmod by an owner who is no member of the file's group loses SGID. */
static void case_sgid_chmod(void)
{
	sem_case("sgid-chmod");
	sem_file("f", "x", 0644);
	T(chown("f", 1001, 2001));
	sem_as(1001, 1001, -1);
	T(chmod("f", 02755));
	sem_stat("f");
	sem_as(1001, 1001, 2001);
	T(chmod("f", 02755));
	sem_stat("f");
	sem_as(1001, 2001, -1);
	T(chmod("f", 06755));
	sem_stat("f");
	sem_root();
	T(mkdir("d", 0755));
	T(chown("d", 1001, 2001));
	sem_as(1001, 1001, -1);
	T(chmod("d", 02777));
	sem_stat("d");
	T(chmod("d", 01777));
	sem_stat("d");
	sem_root();
}

enum { KILL_WRITE, KILL_TRUNCATE, KILL_FTRUNCATE, KILL_OPEN, KILL_FALLOCATE, KILL_PUNCH, KILL_COPY, KILLS };

static long disturb(int how)
{
	static const char *const name[] = {
		"write", "truncate", "ftruncate", "open", "fallocate", "punch", "copy"};
	int fd = how == KILL_TRUNCATE || how == KILL_OPEN ? -1 : open("f", O_RDWR);
	int in = how == KILL_COPY ? open("src", O_RDONLY) : -1;
	long r = -2;

	if (how == KILL_WRITE)
		r = write(fd, "y", 1);
	else if (how == KILL_TRUNCATE)
		r = truncate("f", 2);
	else if (how == KILL_FTRUNCATE)
		r = ftruncate(fd, 2);
	else if (how == KILL_OPEN)
		r = close(open("f", O_WRONLY | O_TRUNC));
	else if (how == KILL_FALLOCATE)
		r = fallocate(fd, 0, 0, 8192);
	else if (how == KILL_PUNCH)
		r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
	else
		r = copy_file_range(in, NULL, fd, NULL, 3, 0);
	sem_retf(r, "%s", name[how]);
	close(fd);
	close(in);
	return r;
}

static void case_killpriv(void)
{
	static const mode_t modes[] = {06777, 06767, 04777, 02767};
	static const struct {
		uid_t uid;
		gid_t gid;
	} who[] = {{0, 0}, {1001, 1001}, {1002, 1002}, {1002, 2001}};

	sem_case("killpriv");
	sem_file("src", "source", 0644);
	for (int how = 0; how < KILLS; how++)
		for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++)
			for (size_t w = 0; w < sizeof(who) / sizeof(who[0]); w++) {
				sem_file("f", "text", 0600);
				if (chown("f", 1001, 2001) || chmod("f", modes[m]))
					sem_die("preparing f");
				sem_as(who[w].uid, who[w].gid, -1);
				disturb(how);
				sem_root();
				sem_stat("f");
			}
}

/* SGID without group execution stays for members of the group, by whichever of their groups. SUID goes. */
static void case_killpriv_group(void)
{
	static const mode_t modes[] = {02764, 06764, 06774};

	sem_case("killpriv-group");
	sem_file("src", "source", 0644);
	for (int how = 0; how < KILLS; how++)
		for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
			sem_file("f", "text", 0600);
			if (chown("f", 1001, 2001) || chmod("f", modes[m]))
				sem_die("preparing f");
			sem_as(1002, 1002, 2001);
			disturb(how);
			sem_root();
			sem_stat("f");
		}
}

/* What an owner's chgrp takes away. */
static void case_killpriv_chgrp(void)
{
	static const mode_t modes[] = {06777, 06767, 04777, 02767, 02777};
	static const gid_t from[] = {1001, 2001};

	sem_case("killpriv-chgrp");
	for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++)
		for (size_t g = 0; g < 2; g++) {
			sem_file("f", "text", 0600);
			if (chown("f", 1001, from[g]) || chmod("f", modes[m]))
				sem_die("preparing f");
			sem_as(1001, 1001, 2002);
			T(chown("f", (uid_t)-1, 2002));
			sem_root();
			sem_stat("f");
			if (chmod("f", modes[m]))
				sem_die("preparing f");
			T(chown("f", 1002, 2001));
			sem_stat("f");
		}
}

/* Searching and listing directories, as users who may do only the one or the other. */
static void case_dirs(void)
{
	static const mode_t modes[] = {0700, 0711, 0744, 0722, 0733};
	int here;

	sem_case("dirs");
	here = TFD(open(".", O_RDONLY | O_DIRECTORY));
	T(mkdir("d", 0755));
	sem_file("d/f", "x", 0666);
	sem_as(1001, 1001, -1);
	sem_data("d/f");
	sem_root();
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		T(chmod("d", modes[i]));
		sem_as(1001, 1001, -1);
		sem_list("d");
		sem_data("d/f");
		sem_stat("d/f");
		sem_stat("d/none");
		T(mkdir("d/g", 0700));
		T(rename("d/f", "d/h"));
		T(rename("d/h", "d/f"));
		T(rmdir("d/g"));
		T(access("d", R_OK | X_OK));
		T(chdir("d/."));
		sem_root();
		T(fchdir(here));
	}
	T(close(here));
}

/* Opened before rights were taken away: the descriptor goes on. */
static void case_later(void)
{
	int fd;
	char c;

	sem_case("later");
	sem_file("f", "abc", 0666);
	sem_as(1001, 1001, -1);
	fd = TFD(open("f", O_RDWR));
	sem_root();
	T(chmod("f", 0));
	sem_as(1001, 1001, -1);
	T(pread(fd, &c, 1, 0));
	T(pwrite(fd, "X", 1, 1));
	T(ftruncate(fd, 2));
	T(fchmod(fd, 0777));
	T(open("f", O_RDONLY));
	sem_root();
	sem_data("f");
	T(close(fd));
	fd = TFD(open("new", O_RDWR | O_CREAT | O_EXCL, 0));
	T(write(fd, "w", 1));
	T(close(fd));
	sem_as(1001, 1001, -1);
	T(open("new", O_RDONLY));
	sem_root();
	T(chmod(".", 0777));
	sem_as(1001, 1001, -1);
	fd = TFD(open("mine", O_RDWR | O_CREAT | O_EXCL, 0400));
	T(write(fd, "w", 1));
	T(open("mine", O_RDWR));
	T(close(fd));
	sem_root();
	sem_data("mine");
}

void family_perm(void)
{
	case_modes();
	case_create();
	case_chown();
	case_sgid_chmod();
	case_killpriv();
	case_killpriv_group();
	case_killpriv_chgrp();
	case_dirs();
	case_later();
}
