/* SPDX-License-Identifier: BSD-3-Clause */
/* Renaming, with and without flags. */
#include "sem.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

void family_rename(void);

static void case_plain(void)
{
	int fd;

	sem_case("plain");
	sem_file("a", "A", 0644);
	sem_file("b", "B", 0600);
	fd = TFD(open("b", O_RDONLY));
	T(rename("a", "b"));
	sem_fdata("old b", fd);
	sem_fstat("old b", fd);
	T(close(fd));
	sem_data("b");
	sem_stat("b");
	T(rename("none", "c"));
	T(rename("b", "none/c"));
	T(rename("b", "b"));
	T(link("b", "c"));
	T(rename("b", "c"));
	sem_list(".");
	T(rename("b", ""));
	T(rename("b", "."));
	T(rename("b", "d/"));
	T(rename("b/", "d"));
	T(symlink("b", "s"));
	T(rename("s", "t"));
	sem_link("t");
	T(rename("b", "t"));
	sem_stat("t");
	sem_list(".");
}

static void case_dirs(void)
{
	int fd;

	sem_case("dirs");
	T(mkdir("d", 0755));
	T(mkdir("d/sub", 0755));
	T(mkdir("e", 0711));
	sem_file("f", "F", 0644);
	fd = TFD(open("d/sub", O_RDONLY | O_DIRECTORY));
	T(rename("d", "d/sub/x"));
	T(rename("d", "f"));
	T(rename("f", "d"));
	T(rename("e", "d"));
	T(rename("d", "e"));
	sem_stat("e");
	sem_stat("d");
	sem_list("e");
	T(faccessat(fd, "../sub", F_OK, 0));
	T(mkdirat(fd, "made", 0755));
	sem_list("e/sub");
	T(rename("e/sub", "sub"));
	sem_stat("e");
	sem_stat(".");
	sem_list_fd("sub", fd);
	T(mkdirat(fd, "../beside", 0755));
	T(close(fd));
	T(rename("e/", "g/"));
	T(rename(".", "h"));
	T(rename("g/.", "h"));
	T(rename("g", "sub/.."));
	sem_list(".");
}

static int rename_flags(const char *from, const char *to, unsigned int flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void case_noreplace(void)
{
	sem_case("noreplace");
	sem_file("a", "A", 0644);
	sem_file("b", "B", 0644);
	T(mkdir("d", 0755));
	T(rename_flags("a", "b", RENAME_NOREPLACE));
	T(rename_flags("a", "d", RENAME_NOREPLACE));
	T(rename_flags("a", "a", RENAME_NOREPLACE));
	T(rename_flags("a", "c", RENAME_NOREPLACE));
	T(rename_flags("a", "e", RENAME_NOREPLACE));
	T(rename_flags("c", "b", RENAME_NOREPLACE | RENAME_EXCHANGE));
	T(rename_flags("c", "b", 1u << 20));
	sem_list(".");
	sem_data("b");
	sem_data("c");
}

static void case_exchange(void)
{
	int fd;

	sem_case("exchange");
	sem_file("a", "A", 0644);
	T(mkdir("d", 0755));
	sem_file("d/b", "B", 0600);
	fd = TFD(open("a", O_RDONLY));
	T(rename_flags("a", "d/b", RENAME_EXCHANGE));
	sem_data("a");
	sem_data("d/b");
	sem_stat("a");
	sem_fdata("old a", fd);
	T(close(fd));
	T(rename_flags("a", "none", RENAME_EXCHANGE));
	T(rename_flags("a", "d", RENAME_EXCHANGE));
	sem_stat("a");
	sem_stat("d");
	sem_data("a/b");
	T(mkdir("e", 0755));
	T(rename_flags("e", "a", RENAME_EXCHANGE));
	sem_list("e");
	T(rename_flags("e", "e/b", RENAME_EXCHANGE));
	sem_list(".");
}

static void case_whiteout(void)
{
	sem_case("whiteout");
	sem_file("a", "A", 0644);
	sem_file("b", "B", 0644);
	T(rename_flags("a", "c", RENAME_WHITEOUT));
	sem_stat("a");
	sem_stat("c");
	T(rename_flags("b", "c", RENAME_WHITEOUT));
	sem_stat("b");
	sem_data("c");
	T(rename_flags("c", "d", RENAME_WHITEOUT | RENAME_NOREPLACE));
	T(rename_flags("d", "b", RENAME_WHITEOUT | RENAME_NOREPLACE));
	T(rename_flags("d", "b", RENAME_WHITEOUT | RENAME_EXCHANGE));
	T(mkdir("dir", 0755));
	T(rename_flags("dir", "dir2", RENAME_WHITEOUT));
	sem_stat("dir");
	sem_list(".");
	T(unlink("a"));
}

/* A sticky directory: only owners rename and remove. */
static void case_sticky(void)
{
	sem_case("sticky");
	T(chmod(".", 01777));
	T(mkdir("d", 0777));
	T(chmod("d", 01777));
	sem_file("d/root", "r", 0666);
	sem_as(1001, 1001, -1);
	sem_file("d/mine", "m", 0666);
	T(rename("d/root", "d/x"));
	T(rename("d/mine", "d/root"));
	T(unlink("d/root"));
	T(rename("d/mine", "d/ours"));
	sem_as(1002, 1002, -1);
	T(rename("d/ours", "d/x"));
	T(unlink("d/ours"));
	sem_as(1001, 1001, -1);
	T(unlink("d/ours"));
	sem_root();
	sem_list("d");
}

void family_rename(void)
{
	case_plain();
	case_dirs();
	case_noreplace();
	case_exchange();
	case_whiteout();
	case_sticky();
}
