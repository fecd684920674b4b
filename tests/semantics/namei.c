/* SPDX-License-Identifier: BSD-3-Clause */
/* Names: creating, looking up, walking, what is refused; the families namei, link and unlink. */
#include "sem.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

void family_namei(void);
void family_link(void);
void family_unlink(void);

static void case_open(void)
{
	int fd;

	sem_case("open");
	T(open("none", O_RDONLY));
	T(open("", O_RDONLY));
	fd = TFD(open("a", O_RDWR | O_CREAT | O_EXCL, 0640));
	T(write(fd, "hello", 5));
	T(close(fd));
	sem_stat("a");
	T(open("a", O_RDWR | O_CREAT | O_EXCL, 0640));
	T(open("a/", O_RDONLY));
	T(open("a/b", O_RDONLY));
	T(open("a", O_RDONLY | O_DIRECTORY));
	T(open("new/", O_RDWR | O_CREAT, 0644));
	T(open(".", O_RDWR));
	T(open(".", O_RDONLY | O_CREAT, 0644));
	fd = TFD(open("a", O_WRONLY | O_TRUNC));
	sem_stat("a");
	T(read(fd, &fd, 1));
	T(close(fd));
	fd = TFD(open("a", O_RDONLY | O_CREAT, 0777));
	T(write(fd, "x", 1));
	T(lseek(fd, -1, SEEK_SET));
	T(close(fd));
	fd = TFD(open("a", O_PATH));
	T(write(fd, "x", 1));
	sem_fstat("O_PATH a", fd);
	T(fchmod(fd, 0600));
	T(close(fd));
	fd = TFD(open("a", O_RDONLY | O_TRUNC));
	T(close(fd));
	sem_list(".");
}

static void case_mkdir(void)
{
	sem_case("mkdir");
	T(mkdir("d", 0755));
	T(mkdir("d", 0755));
	T(mkdir("d/e/", 0700));
	T(mkdir("d/e/f/g", 0700));
	T(mkdir(".", 0700));
	T(mkdir("d/..", 0700));
	T(mkdir("", 0700));
	T(mkdir("s", 07777));
	umask(077);
	T(mkdir("m", 0777));
	umask(0);
	T(mkdir("n", 01777));
	umask(022);
	sem_stat("d");
	sem_stat("d/e");
	sem_stat("s");
	sem_stat("m");
	sem_stat("n");
	sem_list(".");
	sem_list("d");
	T(rmdir("d"));
	T(rmdir("d/e"));
	T(rmdir("d/e"));
	T(rmdir("d/."));
	T(rmdir("d/.."));
	sem_stat("d");
	T(rmdir("d/"));
	sem_list(".");
}

static void case_symlink(void)
{
	sem_case("symlink");
	sem_file("file", "in the file", 0644);
	T(mkdir("dir", 0755));
	sem_file("dir/x", "x", 0644);
	T(symlink("file", "s"));
	T(symlink("dir", "t"));
	T(symlink("nowhere", "dangling"));
	T(symlink("loop", "loop"));
	T(symlink("", "empty"));
	T(symlink("file", "s"));
	T(symlink("../namei.symlink/dir/./x", "long"));
	sem_stat("s");
	sem_link("s");
	sem_link("file");
	sem_data("s");
	sem_data("t/x");
	sem_data("long");
	sem_data("dangling");
	sem_data("loop");
	sem_list("t");
	T(open("s", O_RDONLY | O_NOFOLLOW));
	T(open("t", O_RDONLY | O_NOFOLLOW | O_DIRECTORY));
	T(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0644));
	T(close(TFD(open("dangling", O_RDWR | O_CREAT, 0644))));
	sem_stat("nowhere");
	T(open("s/", O_RDONLY));
	T(rmdir("t"));
	T(unlink("t/"));
	T(unlink("t"));
	T(lchown("s", 5, 6));
	sem_stat("s");
	sem_stat("file");
	T(fchmodat(AT_FDCWD, "s", 0600, 0));
	sem_stat("file");
	sem_list(".");
}

static void case_walk(void)
{
	char deep[600] = "";
	int fd;

	sem_case("walk");
	for (int i = 0; i < 100; i++) {
		strcat(deep, i ? "/d" : "d");
		if (mkdir(deep, 0755))
			sem_retf(-1, "mkdir %s", deep);
	}
	fd = TFD(open(deep, O_RDONLY | O_DIRECTORY));
	T(mkdirat(fd, "end", 0755));
	T(fchdir(fd));
	sem_list(".");
	sem_list("../../..");
	T(chdir("../../../../end"));
	for (int i = 0; i < 100; i++)
		if (chdir(".."))
			sem_retf(-1, "chdir .. %d", i);
	sem_list(".");
	T(unlinkat(fd, "end", AT_REMOVEDIR));
	T(close(fd));
}

/* Negative entries that the guest may have cached must not outlive the name's appearance. */
static void case_negative(void)
{
	sem_case("negative");
	T(access("a", F_OK));
	T(access("a", F_OK));
	sem_file("a", "1", 0644);
	T(access("a", F_OK));
	T(unlink("a"));
	T(access("a", F_OK));
	T(mkdir("a", 0755));
	T(access("a/b", F_OK));
	sem_file("a/b", "2", 0644);
	T(rename("a/b", "b"));
	T(access("a/b", F_OK));
	sem_data("b");
	T(rmdir("a"));
	T(symlink("b", "a"));
	sem_data("a");
}

void family_namei(void)
{
	case_open();
	case_mkdir();
	case_symlink();
	case_walk();
	case_negative();
}

static void case_hard(void)
{
	int fd;

	sem_case("hard");
	sem_file("a", "text", 0644);
	T(link("a", "b"));
	T(link("a", "b"));
	T(link("none", "c"));
	T(link("a", "none/c"));
	T(mkdir("d", 0755));
	T(link("d", "e"));
	T(link("a", "d/a"));
	sem_say("one inode: %d %d", sem_same("a", "b"), sem_same("a", "d/a"));
	sem_stat("a");
	fd = TFD(open("b", O_WRONLY | O_APPEND));
	T(write(fd, "+", 1));
	sem_data("a");
	sem_data("d/a");
	T(chmod("d/a", 0600));
	sem_stat("a");
	sem_stat("b");
	T(unlink("a"));
	sem_stat("b");
	sem_stat("d/a");
	T(link("b", "a"));
	T(unlink("b"));
	T(unlink("d/a"));
	sem_fstat("descriptor of b", fd);
	sem_stat("a");
	T(close(fd));
	sem_list(".");
}

static void case_linkat(void)
{
	int fd;

	sem_case("linkat");
	sem_file("a", "text", 0644);
	T(symlink("a", "s"));
	T(link("s", "t"));
	sem_stat("t");
	sem_stat("s");
	T(linkat(AT_FDCWD, "s", AT_FDCWD, "u", AT_SYMLINK_FOLLOW));
	sem_stat("u");
	fd = TFD(open("a", O_RDONLY));
	T(linkat(fd, "", AT_FDCWD, "v", AT_EMPTY_PATH));
	sem_stat("v");
	T(linkat(fd, "", AT_FDCWD, "w", 0));
	T(unlink("a"));
	T(unlink("u"));
	T(unlink("v"));
	sem_fstat("the unlinked", fd);
	T(linkat(fd, "", AT_FDCWD, "w", AT_EMPTY_PATH));
	T(close(fd));
	T(mkfifo("p", 0644));
	T(link("p", "q"));
	sem_stat("q");
	sem_list(".");
}

/* More names than a page of directory entries, all one inode. */
static void case_many(void)
{
	char name[32];

	sem_case("many");
	sem_file("a", "many names", 0644);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		if (link("a", name))
			sem_retf(-1, "link %s", name);
	}
	sem_stat("a");
	sem_list(".");
	for (int i = 0; i < 300; i += 2) {
		snprintf(name, sizeof(name), "l%d", i);
		if (unlink(name))
			sem_retf(-1, "unlink %s", name);
	}
	sem_stat("l1");
	sem_list(".");
}

void family_link(void)
{
	case_hard();
	case_linkat();
	case_many();
}

static void case_open_file(void)
{
	char buf[16];
	int fd, again;

	sem_case("open-file");
	sem_file("a", "still here", 0644);
	fd = TFD(open("a", O_RDWR));
	again = TFD(open("a", O_RDONLY));
	T(unlink("a"));
	T(unlink("a"));
	sem_fstat("unlinked", fd);
	sem_fstat("unlinked, again", again);
	sem_fdata("unlinked", again);
	T(pwrite(fd, "STILL", 5, 0));
	sem_fdata("unlinked", again);
	T(ftruncate(fd, 3));
	sem_fstat("unlinked", again);
	T(fchmod(fd, 0400));
	T(fchown(fd, 3, 4));
	T(fsync(fd));
	sem_fstat("unlinked", fd);
	sem_file("a", "another", 0644);
	sem_data("a");
	sem_fdata("unlinked", fd);
	T(close(fd));
	T(read(again, buf, sizeof(buf)));
	T(futimens(again, (struct timespec[2]){{1, 2}, {3, 4}}));
	sem_fstat("unlinked", again);
	T(close(again));
	sem_list(".");
}

static void case_open_dir(void)
{
	int fd;

	sem_case("open-dir");
	T(mkdir("d", 0755));
	fd = TFD(open("d", O_RDONLY | O_DIRECTORY));
	sem_file("d/f", "x", 0644);
	T(rmdir("d"));
	T(unlink("d"));
	T(unlinkat(fd, "f", 0));
	T(rmdir("d"));
	sem_fstat("removed", fd);
	T(openat(fd, "f", O_RDWR | O_CREAT, 0644));
	T(mkdirat(fd, "g", 0755));
	T(symlinkat("x", fd, "s"));
	T(fchmod(fd, 0700));
	sem_fstat("removed", fd);
	T(mkdir("d", 0711));
	sem_fstat("removed", fd);
	sem_stat("d");
	T(close(fd));
}

static void case_refused(void)
{
	sem_case("refused");
	T(unlink("none"));
	T(unlink(""));
	T(unlink("."));
	T(unlink(".."));
	T(mkdir("d", 0755));
	T(unlink("d"));
	T(rmdir("none"));
	sem_file("f", "", 0644);
	T(rmdir("f"));
	T(rmdir("f/"));
	T(unlink("f/"));
	T(unlink("f/x"));
	T(unlinkat(AT_FDCWD, "d", 0));
	T(unlinkat(AT_FDCWD, "f", AT_REMOVEDIR));
	T(unlinkat(AT_FDCWD, "f", 0x4000));
	sem_list(".");
}

void family_unlink(void)
{
	case_open_file();
	case_open_dir();
	case_refused();
}
