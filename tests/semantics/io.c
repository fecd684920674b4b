/* SPDX-License-Identifier: BSD-3-Clause */
/* File contents: truncate, holes, append, fallocate, copies; the families truncate, holes, append, copy. */
#include "sem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <linux/fs.h>
#include <unistd.h>

void family_truncate(void);
void family_holes(void);
void family_append(void);
void family_copy(void);

#define PAGE 4096

static void fill(int fd, off_t off, size_t n, char c)
{
	char *buf = malloc(n);

	memset(buf, c, n);
	if (pwrite(fd, buf, n, off) != (ssize_t)n)
		sem_retf(-1, "fill %zu at %lld", n, (long long)off);
	free(buf);
}

static void case_truncate(void)
{
	int fd, ro;

	sem_case("sizes");
	fd = TFD(open("f", O_RDWR | O_CREAT, 0644));
	ro = TFD(open("f", O_RDONLY));
	fill(fd, 0, 10000, 'a');
	T(ftruncate(fd, 5000));
	sem_fdata("f", ro);
	T(ftruncate(fd, 9000));
	sem_fdata("f", ro);
	T(truncate("f", 4096));
	sem_stat("f");
	T(truncate("f", 4097));
	sem_fdata("f", ro);
	T(ftruncate(ro, 1));
	T(truncate("f", -1));
	T(ftruncate(fd, -1));
	T(truncate("none", 1));
	T(truncate(".", 1));
	T(truncate("f/x", 1));
	T(lseek(fd, 0, SEEK_END));
	T(truncate("f", 0));
	T(write(fd, "end", 3));
	sem_stat("f");
	sem_fdata("f", ro);
	T(close(open("f", O_WRONLY | O_TRUNC)));
	sem_fdata("f", ro);
	T(symlink("f", "s"));
	T(truncate("s", 100));
	sem_stat("f");
	T(mkfifo("p", 0644));
	T(truncate("p", 0));
	sem_as(1001, 1001, -1);
	T(truncate("f", 1));
	sem_root();
	T(chmod("f", 0));
	T(ftruncate(fd, 7));
	sem_fstat("f", fd);
	T(close(fd));
	T(close(ro));
}

/* Bytes beyond a cut must not come back when the file grows again. */
static void case_regrow(void)
{
	int fd;

	sem_case("regrow");
	fd = TFD(open("f", O_RDWR | O_CREAT, 0644));
	for (int cut = 1; cut < 9000; cut += 1777) {
		fill(fd, 0, 9000, 'z');
		sem_retf(ftruncate(fd, cut), "cut to %d", cut);
		sem_retf(ftruncate(fd, 9000), "grow");
		sem_fdata("f", fd);
		sem_retf(ftruncate(fd, cut), "cut to %d", cut);
		T(pwrite(fd, "!", 1, 8999));
		sem_fdata("f", fd);
	}
	T(close(fd));
}

void family_truncate(void)
{
	case_truncate();
	case_regrow();
}

static void map_holes(const char *what, int fd)
{
	char text[400] = "";
	off_t end = lseek(fd, 0, SEEK_END), off = 0;
	size_t at = 0;

	while (off < end && at < sizeof(text) - 50) {
		off_t data = lseek(fd, off, SEEK_DATA);
		off_t hole;

		if (data < 0) {
			at += (size_t)snprintf(text + at, sizeof(text) - at, " %s", sem_errname(errno));
			break;
		}
		hole = lseek(fd, data, SEEK_HOLE);
		at += (size_t)snprintf(
			text + at, sizeof(text) - at, " %lld-%lld", (long long)data, (long long)hole);
		off = hole;
	}
	sem_say("data of %s, %lld long =%s", what, (long long)end, text);
}

static void case_seek(void)
{
	int fd;

	sem_case("seek");
	fd = TFD(open("f", O_RDWR | O_CREAT, 0644));
	map_holes("nothing", fd);
	T(lseek(fd, 0, SEEK_DATA));
	T(lseek(fd, 0, SEEK_HOLE));
	fill(fd, 0, PAGE, 'a');
	fill(fd, 1 << 20, PAGE, 'b');
	T(ftruncate(fd, 2 << 20));
	T(fsync(fd));
	map_holes("two pages", fd);
	T(lseek(fd, 5000, SEEK_DATA));
	T(lseek(fd, 100, SEEK_HOLE));
	T(lseek(fd, 2 << 20, SEEK_DATA));
	T(lseek(fd, 2 << 20, SEEK_HOLE));
	T(lseek(fd, (2 << 20) - 1, SEEK_HOLE));
	T(lseek(fd, -1, SEEK_DATA));
	T(lseek(fd, 0, 99));
	T(lseek(fd, 7, SEEK_SET));
	T(lseek(fd, 5, SEEK_CUR));
	T(lseek(fd, -20, SEEK_CUR));
	T(lseek(fd, 10, SEEK_END));
	T(close(fd));
	fd = TFD(open(".", O_RDONLY | O_DIRECTORY));
	T(read(fd, &fd, 1));
	T(close(fd));
}

static void case_fallocate(void)
{
	int fd, ro;

	sem_case("fallocate");
	fd = TFD(open("f", O_RDWR | O_CREAT, 0644));
	ro = TFD(open("f", O_RDONLY));
	T(fallocate(fd, 0, 0, 10 * PAGE));
	sem_fstat("f", fd);
	fill(fd, 0, 10 * PAGE, 'x');
	T(fallocate(fd, FALLOC_FL_KEEP_SIZE, 10 * PAGE, PAGE));
	sem_fstat("f", fd);
	T(fallocate(fd, FALLOC_FL_PUNCH_HOLE, PAGE, PAGE));
	T(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, 2 * PAGE));
	T(fsync(fd));
	map_holes("f", fd);
	sem_fdata("f", ro);
	T(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4 * PAGE + 100, 50));
	sem_fdata("f", ro);
	T(fallocate(fd, FALLOC_FL_ZERO_RANGE, 5 * PAGE, PAGE));
	sem_fdata("f", ro);
	T(fallocate(fd, FALLOC_FL_ZERO_RANGE, 9 * PAGE, 4 * PAGE));
	sem_fstat("f", fd);
	T(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 12 * PAGE, 4 * PAGE));
	sem_fstat("f", fd);
	sem_fdata("f", ro);
	T(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, PAGE, PAGE));
	T(fallocate(fd, FALLOC_FL_INSERT_RANGE, PAGE, PAGE));
	T(fallocate(ro, 0, 0, PAGE));
	T(fallocate(fd, 0, -1, PAGE));
	T(fallocate(fd, 0, 0, 0));
	T(fallocate(fd, 0x80, 0, PAGE));
	T(posix_fallocate(fd, 0, 20 * PAGE));
	sem_fstat("f", fd);
	T(close(fd));
	T(close(ro));
}

void family_holes(void)
{
	case_seek();
	case_fallocate();
}

static long append_line(const struct proc_call *c, char text[256])
{
	static int fd = -1;
	char line[32];
	int n = snprintf(line, sizeof(line), "process %ld line %ld\n", c->arg[0], c->arg[1]);

	(void)text;
	if (fd < 0)
		fd = open(c->str, O_WRONLY | O_APPEND);
	return write(fd, line, (size_t)n);
}

static void case_lockstep(void)
{
	struct proc_call c = {.fn = append_line, .str = "log"};
	struct proc *p[3];

	sem_case("lockstep");
	sem_file("log", "", 0644);
	for (int i = 0; i < 3; i++)
		p[i] = proc_start();
	for (int i = 0; i < 30; i++) {
		c.arg[0] = i % 3;
		c.arg[1] = i;
		proc_do(p[i % 3], "append", &c);
		sem_stat("log");
	}
	for (int i = 0; i < 3; i++)
		proc_end(p[i]);
	sem_data("log");
}

static void case_append(void)
{
	struct iovec v[3] = {{(char[]){"one"}, 3}, {NULL, 0}, {(char[]){"two"}, 3}};
	char buf[32];
	int a, b;

	sem_case("one");
	sem_file("f", "start", 0644);
	a = TFD(open("f", O_RDWR | O_APPEND));
	b = TFD(open("f", O_RDWR));
	T(lseek(a, 0, SEEK_CUR));
	T(write(a, "+a", 2));
	T(lseek(a, 0, SEEK_CUR));
	T(lseek(b, 0, SEEK_END));
	T(write(b, "+b", 2));
	T(write(a, "+A", 2));
	T(pwrite(a, "!", 1, 0));
	T(lseek(a, 0, SEEK_CUR));
	T(lseek(a, 2, SEEK_SET));
	T(read(a, buf, 3));
	T(write(a, "*", 1));
	sem_data("f");
	T(writev(a, v, 3));
	T(pwritev2(b, v, 3, -1, RWF_APPEND));
	T(pwritev2(b, v, 3, 1, RWF_APPEND));
	sem_data("f");
	T(fcntl(b, F_SETFL, O_APPEND));
	T(pwrite(b, "set", 3, 1));
	sem_data("f");
	T(fcntl(a, F_SETFL, 0));
	T(pwrite(a, "cleared", 7, 1));
	sem_data("f");
	T(ftruncate(b, 4));
	T(write(b, "z", 1));
	sem_data("f");
	T(preadv(a, v, 3, 1));
	T(write(a, buf, 0));
	T(close(a));
	T(close(b));
}

void family_append(void)
{
	case_append();
	case_lockstep();
}

static void case_copy_range(void)
{
	loff_t in = 10, out = 5;
	int a, b, ap;

	sem_case("copy_file_range");
	a = TFD(open("a", O_RDWR | O_CREAT, 0644));
	b = TFD(open("b", O_RDWR | O_CREAT, 0644));
	fill(a, 0, 3 * PAGE, 'a');
	fill(a, PAGE, 100, 'b');
	T(copy_file_range(a, &in, b, &out, 2 * PAGE, 0));
	sem_say("offsets = %lld %lld", (long long)in, (long long)out);
	sem_data("b");
	T(lseek(a, 0, SEEK_SET));
	T(copy_file_range(a, NULL, b, NULL, 1 << 20, 0));
	T(copy_file_range(a, NULL, b, NULL, 1 << 20, 0));
	T(lseek(b, 0, SEEK_CUR));
	sem_data("b");
	in = 0;
	out = PAGE / 2;
	T(copy_file_range(a, &in, a, &out, PAGE, 0));
	out = PAGE * 2;
	in = 0;
	T(copy_file_range(a, &in, a, &out, PAGE, 0));
	sem_data("a");
	T(copy_file_range(a, &in, b, NULL, 10, 1));
	ap = TFD(open("b", O_WRONLY | O_APPEND));
	T(copy_file_range(a, &in, ap, NULL, 10, 0));
	T(copy_file_range(ap, &in, b, NULL, 10, 0));
	out = 1 << 30;
	in = 0;
	T(copy_file_range(a, &in, b, &out, 10, 0));
	sem_fstat("b", b);
	T(ftruncate(b, 0));
	in = 0;
	T(copy_file_range(a, &in, b, NULL, 0, 0));
	T(close(ap));
	T(close(a));
	T(close(b));
}

static void case_other(void)
{
	off_t off = 3;
	int a, b, pipefd[2];

	sem_case("other");
	a = TFD(open("a", O_RDWR | O_CREAT, 0644));
	b = TFD(open("b", O_RDWR | O_CREAT, 0644));
	fill(a, 0, PAGE, 's');
	T(sendfile(b, a, &off, 100));
	sem_data("b");
	T(ioctl(b, FICLONE, a));
	T(pipe(pipefd));
	off = 0;
	T(splice(a, &off, pipefd[1], NULL, 1000, 0));
	T(splice(pipefd[0], NULL, b, NULL, 1000, 0));
	sem_data("b");
	T(fsync(b));
	T(fdatasync(b));
	T(sync_file_range(b, 0, 0, SYNC_FILE_RANGE_WRITE));
	T(syncfs(b));
	T(posix_fadvise(b, 0, 0, POSIX_FADV_DONTNEED));
	T(readahead(b, 0, 100));
	T(close(pipefd[0]));
	T(close(pipefd[1]));
	T(close(a));
	T(close(b));
}

void family_copy(void)
{
	case_copy_range();
	case_other();
}
