/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a guest does while it is moved from one QEMU to the next (run.sh): it works in the current directory
 * until the host makes a file "stop", and every result that is not as it must be ends it. What it holds all
 * the while: open files (one without a name, one that a host may not have), locks of each kind, a directory
 * that is half read, pages in the cache. usage: prog SECONDS      at most so long
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DATA_SIZE (256 * 1024)
#define ENTRIES	  200
#define CACHED	  8

static uint8_t shadow[DATA_SIZE];
static unsigned long loops;

static void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *fmt, ...)
{
	int why = errno;
	va_list ap;

	va_start(ap, fmt);
	printf("WRONG after %lu loops: ", loops);
	vprintf(fmt, ap);
	printf(" (%s)\n", strerror(why));
	va_end(ap);
	exit(1);
}

static int must_open(const char *name, int flags)
{
	int fd = open(name, flags, 0644);

	if (fd < 0)
		fail("open %s", name);
	return fd;
}

static void must_write(int fd, const void *p, size_t len, off_t off)
{
	if (pwrite(fd, p, len, off) != (ssize_t)len)
		fail("write");
}

static void fill(uint8_t *p, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)((i * 2654435761u + seed * 40503u) >> 13);
}

/* A file whose pages are read into the cache now and then, from the host, and looked at the rest of the time.
 */
static void look_at_cached(unsigned int k, bool drop)
{
	static uint8_t got[65536], want[65536];
	char name[16];
	int fd;

	snprintf(name, sizeof(name), "cached%u", k);
	fd = must_open(name, O_RDONLY);
	if (drop)
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (read(fd, got, sizeof(got)) != sizeof(got))
		fail("read %s", name);
	close(fd);
	fill(want, sizeof(want), k);
	if (memcmp(got, want, sizeof(got)) != 0)
		fail("%s has other bytes", name);
}

/* Somewhere in the file something else, by one of two descriptors, and something read back. */
static void change_data(int fd, int direct)
{
	static uint8_t got[8192];
	size_t len = (size_t)rand() % 5000 + 1, off = (size_t)rand() % (DATA_SIZE - 8192);

	fill(shadow + off, len, (unsigned int)loops);
	must_write(loops % 3 ? fd : direct, shadow + off, len, (off_t)off);
	off = (size_t)rand() % (DATA_SIZE - sizeof(got));
	if (pread(fd, got, sizeof(got), (off_t)off) != sizeof(got) ||
		memcmp(got, shadow + off, sizeof(got)) != 0)
		fail("data at %zu", off);
}

static void append_log(int fd)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "%lu\n", loops);

	if (write(fd, line, (size_t)n) != n)
		fail("append");
}

/* Names come and go: each loop makes what must not be there, and takes away what must. */
static void change_names(void)
{
	char name[32], other[32];
	struct stat st;

	snprintf(name, sizeof(name), "names/%lu", loops);
	close(must_open(name, O_CREAT | O_EXCL | O_WRONLY));
	snprintf(other, sizeof(other), "names/%lu.renamed", loops);
	if (rename(name, other))
		fail("rename %s", name);
	if (!stat(name, &st) || stat(other, &st))
		fail("stat after rename");
	snprintf(other, sizeof(other), "names/%lu.renamed", loops - 3);
	if (loops >= 3 && unlink(other))
		fail("unlink %s", other);
}

/* Another process asks: each lock must be in its way. */
static void check_locks(void)
{
	struct flock lk = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5};
	int status;
	pid_t pid = fork();

	if (!pid) {
		int posix = open("lock-posix", O_RDWR), ofd = open("lock-ofd", O_RDWR),
		    bsd = open("lock-flock", O_RDWR);

		if (posix < 0 || ofd < 0 || bsd < 0)
			_exit(1);
		if (!fcntl(posix, F_SETLK, &lk))
			_exit(2);
		lk.l_pid = 0;
		if (!fcntl(ofd, F_OFD_SETLK, &lk))
			_exit(3);
		_exit(!flock(bsd, LOCK_EX | LOCK_NB) ? 4 : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		fail("locks: %x", (unsigned int)status);
}

static void take_locks(void)
{
	struct flock lk = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5};

	if (fcntl(must_open("lock-posix", O_CREAT | O_RDWR), F_SETLK, &lk) ||
		fcntl(must_open("lock-ofd", O_CREAT | O_RDWR), F_OFD_SETLK, &lk) ||
		flock(must_open("lock-flock", O_CREAT | O_RDWR), LOCK_EX))
		fail("lock");
}

/* Another process waits for a lock that this one has, until the end. */
static pid_t start_waiter(int held)
{
	struct flock lk = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	pid_t pid;

	if (fcntl(held, F_SETLK, &lk))
		fail("the lock to be waited for");
	pid = fork();
	if (!pid) {
		int fd = open("lock-waited", O_RDWR);

		_exit(fd < 0 || fcntl(fd, F_SETLKW, &lk) || write(fd, "got", 3) != 3);
	}
	return pid;
}

static void check_waiter(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, WNOHANG))
		fail("a lock was not waited for");
}

static void end_waiter(pid_t pid, int held)
{
	struct flock lk = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
	char got[4] = "";
	int status;

	check_waiter(pid);
	if (fcntl(held, F_SETLK, &lk) || waitpid(pid, &status, 0) != pid || status)
		fail("who waited for a lock: %x", (unsigned int)status);
	if (pread(held, got, 3, 0) != 3 || strcmp(got, "got") != 0)
		fail("the lock was not got");
}

static void make_files(void)
{
	static uint8_t bytes[65536];
	char name[32];

	if (mkdir("names", 0755) || mkdir("entries", 0755))
		fail("mkdir");
	for (int i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), "entries/%d", i);
		close(must_open(name, O_CREAT | O_WRONLY));
	}
	for (unsigned int k = 0; k < CACHED; k++) {
		int fd;

		snprintf(name, sizeof(name), "cached%u", k);
		fd = must_open(name, O_CREAT | O_WRONLY);
		fill(bytes, sizeof(bytes), k);
		must_write(fd, bytes, sizeof(bytes), 0);
		close(fd);
	}
}

/* Reads @most entries more; how many there were. */
static int read_entries(DIR *d, int most)
{
	const struct dirent *e;
	int n = 0;

	while (n < most && (e = readdir(d)))
		n += e->d_name[0] != '.';
	return n;
}

static void check_log(int fd)
{
	unsigned long n, expect = 0;
	FILE *f;

	if (lseek(fd, 0, SEEK_SET))
		fail("seek in the log");
	f = fdopen(fd, "r");
	while (f && fscanf(f, "%lu", &n) == 1)
		if (n != expect++)
			fail("line %lu of the log is %lu", expect - 1, n);
	if (expect != loops)
		fail("%lu lines in the log", expect);
}

/* An error is allowed there, once the host lacks the file; what is read is right. */
static const char *look_at_victim(int fd)
{
	char got[6] = "";
	ssize_t n;

	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	n = pread(fd, got, 6, 0);
	if (n == 6 && !memcmp(got, "victim", 6))
		return "there";
	return n < 0 ? strerrorname_np(errno) : "wrong";
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 60);
	int data, direct, log, nameless, victim, waited;
	static uint8_t got[DATA_SIZE];
	struct stat st;
	pid_t waiter;
	int half;
	DIR *d;

	setvbuf(stdout, NULL, _IOLBF, 0);
	make_files();
	take_locks();
	waited = must_open("lock-waited", O_CREAT | O_RDWR);
	waiter = start_waiter(waited);
	data = must_open("data", O_CREAT | O_RDWR);
	must_write(data, shadow, DATA_SIZE, 0);
	direct = must_open("data", O_WRONLY | O_SYNC);
	log = must_open("log", O_CREAT | O_RDWR | O_APPEND);
	nameless = must_open("nameless", O_CREAT | O_RDWR);
	must_write(nameless, "nameless", 8, 100000);
	if (unlink("nameless"))
		fail("unlink");
	victim = must_open("victims/victim", O_RDWR);
	d = opendir("entries");
	half = d ? read_entries(d, ENTRIES / 2) : 0;
	printf("running\n");
	for (; stat("stop", &st) && time(NULL) < end; loops++) {
		append_log(log);
		change_data(data, direct);
		change_names();
		look_at_cached((unsigned int)loops % CACHED, rand() % 4 == 0);
		if (loops % 16 == 0) {
			check_locks();
			check_waiter(waiter);
			printf("loops %lu\n", loops);
		}
	}
	if (pread(data, got, DATA_SIZE, 0) != DATA_SIZE || memcmp(got, shadow, DATA_SIZE) != 0)
		fail("data at the end");
	if (pread(nameless, got, 8, 100000) != 8 || memcmp(got, "nameless", 8) != 0)
		fail("the file without a name");
	must_write(nameless, "once more", 9, 0);
	half += read_entries(d, 2 * ENTRIES);
	if (half != ENTRIES)
		fail("%d entries", half);
	check_locks();
	end_waiter(waiter, waited);
	check_log(log);
	if (fsync(data))
		fail("fsync");
	printf("victim: %s\n", look_at_victim(victim));
	printf("all is right after %lu loops\n", loops);
	return 0;
}
