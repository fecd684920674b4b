/* SPDX-License-Identifier: BSD-3-Clause */
/* Long, odd, large and many; directories that change while they are read. The families limits and dir. */
#include "sem.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void family_limits(void);
void family_dir(void);

static void case_names(void)
{
	char name[300];

	sem_case("names");
	memset(name, 'n', sizeof(name));
	name[255] = 0;
	sem_file(name, "255 bytes", 0644);
	sem_data(name);
	T(mkdir(name, 0755));
	T(unlink(name));
	memcpy(name, "\xff\xfe\x80\x01", 4);
	T(mkdir(name, 0755));
	T(rename(name, "short"));
	T(rename("short", name));
	T(rmdir(name));
	name[255] = 'n';
	name[256] = 0;
	T(open(name, O_CREAT | O_RDWR, 0644));
	T(mkdir(name, 0755));
	T(unlink(name));
	T(rename("a", name));
	T(symlink("a", name));
	T(access(name, F_OK));
	sem_file("a\nb", "newline", 0644);
	sem_file(" ", "space", 0644);
	sem_file("...", "dots", 0644);
	sem_file("\xc3\xa4", "composed", 0644);
	sem_file("a\xcc\x88", "decomposed", 0644);
	sem_file("\x80\x81", "not UTF-8", 0644);
	sem_file("\\", "backslash", 0644);
	sem_data("\xc3\xa4");
	sem_data("\x80\x81");
	sem_list(".");
	for (int c = 1; c < 256; c++)
		if (c != '/' && c != '.') {
			snprintf(name, sizeof(name), "%c", c);
			sem_file(name, "x", 0644);
		}
	sem_list(".");
}

static void case_paths(void)
{
	static char target[5000], back[5000];
	static const int sizes[] = {1, 59, 60, 1000, 2000, 4094, 4095, 4096};

	sem_case("paths");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int n = sizes[i];

		memset(target, 't', (size_t)n);
		for (int j = 100; j < n - 1; j += 100)
			target[j] = '/';
		target[n] = 0;
		unlink("s");
		sem_retf(symlink(target, "s"), "symlink of %d", n);
		sem_stat("s");
		sem_retf(readlink("s", back, sizeof(back)), "readlink");
		sem_say("as it was = %d", !memcmp(target, back, (size_t)n));
		sem_retf(readlink("s", back, 10), "readlink of 10");
		T(open("s", O_RDONLY));
	}
	memset(target, 'p', 4096);
	target[4096] = 0;
	T(open(target, O_RDONLY));
}

static void at_end(int fd, off_t off)
{
	char c = 0;

	sem_retf(pwrite(fd, "E", 1, off), "write at %lld", (long long)off);
	sem_fstat("sparse", fd);
	sem_retf(pread(fd, &c, 1, off), "read at %lld", (long long)off);
	sem_say("there = %d", c);
	sem_retf(ftruncate(fd, off), "truncate to %lld", (long long)off);
	sem_fstat("sparse", fd);
}

static void case_sparse(void)
{
	const off_t tib = (off_t)1 << 40;
	int fd;

	sem_case("sparse");
	fd = TFD(open("f", O_RDWR | O_CREAT, 0644));
	at_end(fd, ((off_t)1 << 31) - 1);
	at_end(fd, (off_t)1 << 32);
	at_end(fd, 9 * tib + 12345);
	at_end(fd, 15 * tib);
	T(ftruncate(fd, 16 * tib - 4096));
	T(ftruncate(fd, 16 * tib));
	T(ftruncate(fd, INT64_MAX));
	T(pread(fd, &fd, 1, INT64_MAX));
	T(pwrite(fd, "E", 1, INT64_MAX));
	T(lseek(fd, INT64_MAX, SEEK_SET));
	sem_fstat("sparse", fd);
	T(close(fd));
}

static void case_large_io(void)
{
	size_t n = (3 << 20) + 123;
	char *buf = malloc(n);
	int fd;

	sem_case("large-io");
	for (size_t i = 0; i < n; i++)
		buf[i] = (char)(i * 2654435761u >> 13);
	fd = TFD(open("f", O_RDWR | O_CREAT, 0644));
	T(write(fd, buf, n));
	sem_fdata("f", fd);
	T(pwrite(fd, buf, n, 777));
	sem_fdata("f", fd);
	T(pread(fd, buf, n, 1000));
	sem_say("read = %s", sem_bytes(buf, n));
	T(close(fd));
	free(buf);
}

void family_limits(void)
{
	case_names();
	case_paths();
	case_sparse();
	case_large_io();
}

#define MANY 3000

static void make_many(void)
{
	char name[32];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "entry-%05d", i);
		if (mknod(name, S_IFREG | 0644, 0))
			sem_die("%s", name);
	}
}

static void case_many(void)
{
	char name[32];
	DIR *d;
	int fd;

	sem_case("many");
	make_many();
	sem_list(".");
	fd = TFD(open(".", O_RDONLY | O_DIRECTORY));
	sem_list_fd("by descriptor", fd);
	d = fdopendir(fd);
	for (int i = 0; i < 100; i++)
		readdir(d);
	for (int i = 0; i < MANY; i += 3) {
		snprintf(name, sizeof(name), "entry-%05d", i);
		if (unlink(name))
			sem_retf(-1, "unlink %s", name);
	}
	rewinddir(d);
	for (fd = 0; readdir(d); fd++)
		;
	sem_say("after rewinddir = %d", fd);
	closedir(d);
	sem_list(".");
}

static int number(const struct dirent *e)
{
	return strncmp(e->d_name, "entry-", 6) ? -1 : atoi(e->d_name + 6);
}

/* From every 50th position, reading goes on with the entry that followed. */
static void case_seekdir(void)
{
	static int order[MANY + 8];
	static long pos[MANY + 8];
	struct dirent *e;
	DIR *d;
	int n = 0, wrong = 0;

	sem_case("seekdir");
	make_many();
	d = opendir(".");
	while (pos[n] = telldir(d), (e = readdir(d)))
		order[n++] = number(e);
	sem_say("entries = %d", n);
	for (int i = n - 1; i >= 0; i -= 50) {
		seekdir(d, pos[i]);
		e = readdir(d);
		wrong += !e || number(e) != order[i];
	}
	seekdir(d, pos[n]);
	sem_say("wrong places = %d, end = %d", wrong, !readdir(d));
	closedir(d);
}

/* An odd entry goes, and a new one comes. */
static void replace(int k)
{
	char name[32];

	if (k % 2 == 0)
		return;
	snprintf(name, sizeof(name), "entry-%05d", k);
	unlink(name);
	snprintf(name, sizeof(name), "entry-%05d", MANY + k);
	mknod(name, S_IFREG | 0644, 0);
}

/* What is neither removed nor made while a directory is read appears exactly once, whatever happens to the
 * rest. */
static void case_changing(void)
{
	static uint8_t seen[MANY * 2];
	int missing = 0, twice = 0, ghosts = 0, k = 0;
	struct dirent *e;
	DIR *d;

	sem_case("changing");
	make_many();
	d = opendir(".");
	while ((e = readdir(d))) {
		int i = number(e);

		if (i >= 0)
			seen[i]++;
		if (k < MANY)
			replace(k++);
	}
	while (k < MANY) /* how many entries were seen may differ */
		replace(k++);
	closedir(d);
	for (int i = 0; i < MANY; i += 2) {
		missing += !seen[i];
		twice += seen[i] > 1;
	}
	for (int i = 0; i < 2 * MANY; i++)
		ghosts += seen[i] > 1;
	sem_say("missing = %d, twice = %d, of all twice = %d", missing, twice, ghosts);
	sem_list(".");
}

/* Removing all while reading, as rm -r does, leaves nothing. */
static void case_remove(void)
{
	struct dirent *e;
	DIR *d;
	int left = 0;

	sem_case("remove");
	T(mkdir("d", 0755));
	T(chdir("d"));
	make_many();
	d = opendir(".");
	while ((e = readdir(d)))
		if (number(e) >= 0 && unlink(e->d_name))
			left++;
	closedir(d);
	sem_say("not removed = %d", left);
	T(chdir(".."));
	sem_list("d");
	T(rmdir("d"));
}

void family_dir(void)
{
	case_many();
	case_seekdir();
	case_changing();
	case_remove();
}
