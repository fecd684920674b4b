/* SPDX-License-Identifier: BSD-3-Clause */
/* Mapped files, alone and together with read and write; the family mmap. */
#include "sem.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void family_mmap(void);

#define PAGE 4096

static sigjmp_buf fault_jump;

static void on_fault(int sig)
{
	siglongjmp(fault_jump, sig);
}

static char *map(const char *what, int fd, size_t len, int prot, int flags)
{
	char *p = mmap(NULL, len, prot, flags, fd, 0);

	sem_retf(p == MAP_FAILED ? -1 : 0, "mmap %s", what);
	return p == MAP_FAILED ? NULL : p;
}

/* What touching the byte does. */
static void touch(const char *what, volatile char *p, bool write_it)
{
	struct sigaction old, sa = {.sa_handler = on_fault};
	volatile int sig;

	sigaction(SIGBUS, &sa, &old);
	sig = sigsetjmp(fault_jump, 1);
	if (!sig) {
		if (write_it)
			*p = 'T';
		else
			(void)*p;
	}
	sigaction(SIGBUS, &old, NULL);
	sem_say("touch %s = %s", what, sig ? sigabbrev_np(sig) : "fine");
}

static void case_private(void)
{
	char *p;
	int fd;

	sem_case("private");
	sem_file("f", "private contents", 0644);
	fd = TFD(open("f", O_RDONLY));
	p = map("private", fd, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	if (p) {
		sem_say("mapped = %s", sem_bytes(p, 20));
		memcpy(p, "PRIVATE", 7);
		sem_say("mapped = %s", sem_bytes(p, 20));
		munmap(p, PAGE);
	}
	sem_data("f");
	map("shared for writing, opened to read", fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	T(close(fd));
}

static void shared_steps(int fd, char *p)
{
	char buf[8] = "";

	sem_say("mapped = %s", sem_bytes(p, 8));
	memcpy(p, "MAPPED", 6);
	T(pread(fd, buf, 6, 0));
	sem_say("read = %s", sem_bytes(buf, 6));
	T(pwrite(fd, "written", 7, 2));
	sem_say("mapped = %s", sem_bytes(p, 10));
	T(msync(p, PAGE, MS_SYNC));
	sem_data("f");
	p[PAGE + 1] = 'x';
	T(ftruncate(fd, PAGE + 10));
	sem_say("mapped = %s", sem_bytes(p + PAGE, 16));
	touch("beyond the end", p + 2 * PAGE, false);
	T(ftruncate(fd, 10));
	touch("beyond the cut", p + PAGE, true);
	touch("in the last page", p + 100, true);
	T(ftruncate(fd, 3 * PAGE));
	sem_say("after growth = %s", sem_bytes(p, 2 * PAGE));
	touch("where it grew", p + 2 * PAGE, true);
	T(munmap(p, 3 * PAGE));
}

static void case_shared(void)
{
	char *p;
	int fd;

	sem_case("shared");
	fd = TFD(open("f", O_RDWR | O_CREAT, 0644));
	T(ftruncate(fd, 3 * PAGE));
	T(pwrite(fd, "initial", 7, 0));
	p = map("shared", fd, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	if (p)
		shared_steps(fd, p);
	T(fsync(fd));
	T(close(fd));
	sem_data("f");
}

/* A mapping outlives its descriptor and its name. */
static void case_outlive(void)
{
	char *p;
	int fd;

	sem_case("outlive");
	sem_file("f", "0123456789", 0644);
	fd = TFD(open("f", O_RDWR));
	T(link("f", "g"));
	p = map("shared", fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	T(close(fd));
	T(unlink("f"));
	if (p) {
		memcpy(p, "outliving", 9);
		sem_data("g");
		T(chmod("g", 0400));
		p[0] = 'O';
		T(msync(p, PAGE, MS_SYNC));
		T(munmap(p, PAGE));
	}
	sem_data("g");
	sem_stat("g");
}

static long map_and_add(const struct proc_call *c, char text[256])
{
	static char *p;
	int fd;

	(void)text;
	if (!p) {
		fd = open(c->str, O_RDWR);
		p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
		if (p == MAP_FAILED) {
			p = NULL;
			return -1;
		}
	}
	p[c->arg[0]] = (char)c->arg[1];
	return ++p[0];
}

static void case_processes(void)
{
	struct proc_call c = {.fn = map_and_add, .str = "f"};
	struct proc *p[2];

	sem_case("processes");
	sem_file("f", "A................", 0644);
	p[0] = proc_start();
	p[1] = proc_start();
	for (int i = 0; i < 10; i++) {
		c.arg[0] = 1 + i;
		c.arg[1] = 'a' + i;
		proc_do(p[i & 1], "change the mapping", &c);
		sem_data("f");
	}
	proc_end(p[0]);
	proc_end(p[1]);
	sem_data("f");
}

/* A program runs from the share, and nobody writes to it meanwhile. */
static void case_exec(void)
{
	char *p;
	int fd;

	sem_case("exec");
	sem_file("script", "#!/bin/sh\nexit 3\n", 0755);
	fd = TFD(open("script", O_RDONLY));
	p = map("executable", fd, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE);
	sem_say("mapped = %s", p ? sem_bytes(p, 9) : "no");
	T(close(fd));
	T(chmod("script", 0644));
	T(access("script", X_OK));
}

void family_mmap(void)
{
	case_private();
	case_shared();
	case_outlive();
	case_processes();
	case_exec();
}
