/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is done with files on a DAX mount, within a guest: each check compares what read(2) and a mapping give
 * with what must be there. Static, as the guest has no libraries. usage: prog CHECK DIR
 * `prog make DIR`, on the host, makes the files.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE  4096u
#define MIB   (1u << 20)
#define CHUNK 65536u

static void fail(const char *what, const char *name, uint64_t at)
{
	printf("not ok: %s %s at %llu: %s\n", what, name, (unsigned long long)at, strerror(errno));
	exit(1);
}

static uint8_t byte_at(uint64_t off)
{
	return (uint8_t)((off * 2654435761u >> 11) ^ off >> 20);
}

static int open_file(const char *name, int flags)
{
	int fd = open(name, flags, 0644);

	if (fd < 0)
		fail("open", name, 0);
	return fd;
}

static uint8_t *map(int fd, uint64_t len, int prot)
{
	uint8_t *p = mmap(NULL, len, prot, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		fail("mmap", "", len);
	return p;
}

static void expect(const char *name, const uint8_t *p, uint64_t off, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != byte_at(off + i)) {
			errno = 0;
			fail("contents of", name, off + i);
		}
}

static void expect_zero(const char *name, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i]) {
			errno = 0;
			fail("zeros of", name, i);
		}
}

static void pattern(uint8_t *p, uint64_t off, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = byte_at(off + i);
}

static void write_at(int fd, uint64_t off, size_t len)
{
	uint8_t buf[CHUNK];

	while (len) {
		size_t n = len < CHUNK ? len : CHUNK;

		pattern(buf, off, n);
		if (pwrite(fd, buf, n, (off_t)off) != (ssize_t)n)
			fail("pwrite", "", off);
		off += n;
		len -= n;
	}
}

static uint64_t size_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		fail("fstat", "", 0);
	return (uint64_t)st.st_size;
}

static void read_all(const char *name, int fd)
{
	static uint8_t buf[CHUNK];
	uint64_t size = size_of(fd), off = 0;

	while (off < size) {
		ssize_t n = pread(fd, buf, sizeof(buf), (off_t)off);

		if (n <= 0)
			fail("pread", name, off);
		expect(name, buf, off, (size_t)n);
		off += (uint64_t)n;
	}
}

static void read_mapped(const char *name, int fd)
{
	uint64_t size = size_of(fd);
	uint8_t *p = map(fd, size, PROT_READ);

	expect(name, p, 0, size);
	munmap(p, size);
}

/* Right by read(2) and by a mapping. */
static void check_read(void)
{
	int fd = open_file("big", O_RDONLY);

	read_all("big", fd);
	read_mapped("big", fd);
	close(fd);
}

/* Stores and writes within the file, seen each by the other way. */
static void check_write(void)
{
	int fd = open_file("write", O_RDWR);
	uint64_t size = size_of(fd);
	uint8_t *p = map(fd, size, PROT_READ | PROT_WRITE);
	uint8_t buf[PAGE];

	pattern(p, 0, size / 2);
	if (pread(fd, buf, PAGE, 0) != PAGE)
		fail("pread", "write", 0);
	expect("write", buf, 0, PAGE);
	write_at(fd, size / 2, size - size / 2);
	expect("write", p, 0, size);
	if (msync(p, size, MS_SYNC) || fsync(fd))
		fail("sync", "write", 0);
	munmap(p, size);
	close(fd);
}

/* A mapping that was only read becomes one that is written. */
static void check_upgrade(void)
{
	int fd = open_file("upgrade", O_RDWR);
	uint64_t size = size_of(fd);
	uint8_t *p = map(fd, size, PROT_READ);

	expect_zero("upgrade", p, size);
	munmap(p, size);
	p = map(fd, size, PROT_READ | PROT_WRITE);
	pattern(p, 0, size);
	munmap(p, size);
	read_all("upgrade", fd);
	close(fd);
}

/* Appends of whole pages and of less, while the file is mapped; each is seen by read and mapping. */
static void check_grow(void)
{
	static const uint32_t steps[] = {4096, 100, 3996, 1, 4095, 70000, 2 * MIB, 12345};
	int fd = open_file("grow", O_RDWR);
	uint64_t size = size_of(fd);

	read_mapped("grow", fd);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		write_at(fd, size, steps[i]);
		size += steps[i];
		if (size_of(fd) != size)
			fail("size of", "grow", size);
		read_all("grow", fd);
		read_mapped("grow", fd);
	}
	if (fsync(fd))
		fail("fsync", "grow", 0);
	close(fd);
}

/* Shorter and longer again: what was cut off comes back as zeros. */
static void check_truncate(void)
{
	static const uint32_t cuts[] = {3 * MIB, 2 * MIB + 5000, MIB + 4096, 8192, 5000, 4096, 10};
	int fd = open_file("truncate", O_RDWR);
	uint64_t size = size_of(fd);
	uint8_t *p;

	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		read_mapped("truncate", fd);
		if (ftruncate(fd, cuts[i]))
			fail("ftruncate", "truncate", cuts[i]);
		read_all("truncate", fd);
		if (ftruncate(fd, (off_t)size))
			fail("ftruncate", "truncate", size);
		p = map(fd, size, PROT_READ | PROT_WRITE);
		expect("truncate", p, 0, cuts[i]);
		expect_zero("truncate", p + cuts[i], size - cuts[i]);
		pattern(p + cuts[i], cuts[i], size - cuts[i]);
		munmap(p, size);
	}
	close(fd);
}

static void check_holes(void)
{
	int fd = open_file("holes", O_RDWR);
	uint64_t size = size_of(fd);
	uint8_t *p = map(fd, size, PROT_READ | PROT_WRITE);

	expect_zero("holes", p, size);
	pattern(p + 3 * PAGE, 3 * PAGE, PAGE);
	expect_zero("holes", p, 3 * PAGE);
	expect("holes", p + 3 * PAGE, 3 * PAGE, PAGE);
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * PAGE, PAGE))
		fail("fallocate", "holes", 0);
	expect_zero("holes", p, size);
	munmap(p, size);
	close(fd);
}

static void check_many(void)
{
	char name[32];

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 100; i++) {
			int fd;

			snprintf(name, sizeof(name), "many/%d", i);
			fd = open_file(name, O_RDWR);
			if (round)
				read_all(name, fd);
			else
				read_mapped(name, fd);
			close(fd);
		}
}

/* Pages here and there of a file that the window cannot hold. */
static void check_random(void)
{
	int fd = open_file("big", O_RDONLY);
	uint64_t size = size_of(fd), off = 1;
	uint8_t *p = map(fd, size, PROT_READ);

	for (int i = 0; i < 200; i++) {
		off = (off * 6364136223846793005u + 1442695040888963407u);
		expect("big", p + off % (size / PAGE) * PAGE, off % (size / PAGE) * PAGE, PAGE);
	}
	munmap(p, size);
	close(fd);
}

/* Made by the guest, of sizes that end within a page. */
static void check_uneven(void)
{
	static const uint32_t sizes[] = {1, 4097, 100000, 2 * MIB + 1};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int fd = open_file("uneven", O_RDWR | O_CREAT | O_TRUNC);
		uint8_t *p;

		write_at(fd, 0, sizes[i]);
		read_all("uneven", fd);
		p = map(fd, sizes[i], PROT_READ | PROT_WRITE);
		expect("uneven", p, 0, sizes[i]);
		memset(p, 0, sizes[i]);
		munmap(p, sizes[i]);
		close(fd);
		fd = open_file("uneven", O_RDONLY);
		p = map(fd, sizes[i], PROT_READ);
		expect_zero("uneven", p, sizes[i]);
		munmap(p, sizes[i]);
		close(fd);
	}
}

/* Says what it sees each time that another guest may have stored, until that says 2. */
static void check_watch(void)
{
	int fd = open_file("shared", O_RDWR);
	volatile uint8_t *p = map(fd, size_of(fd), PROT_READ | PROT_WRITE);

	p[0] = 1;
	for (int i = 0; i < 60000 && p[PAGE] != 2; i++)
		usleep(1000);
	if (p[PAGE] != 2)
		fail("the other guest's store", "shared", PAGE);
}

static void check_store(void)
{
	int fd = open_file("shared", O_RDWR);
	volatile uint8_t *p = map(fd, size_of(fd), PROT_READ | PROT_WRITE);

	for (int i = 0; i < 60000 && p[0] != 1; i++)
		usleep(1000);
	if (p[0] != 1)
		fail("the other guest's store", "shared", 0);
	p[PAGE] = 2;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static volatile uint64_t sum;

static double touch(const uint8_t *p, uint64_t len)
{
	double start = now();

	for (uint64_t i = 0; i + 8 <= len; i += 64)
		sum += *(const uint64_t *)(const void *)(p + i);
	return now() - start;
}

static long cached_kib(void)
{
	char line[128];
	long v = 0;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Cached: %ld", &v) == 1)
			break;
	if (f)
		fclose(f);
	return v;
}

static double read_once(int fd, uint64_t size)
{
	static uint8_t buf[MIB];
	double start = now();

	for (uint64_t off = 0; off < size; off += MIB)
		if (pread(fd, buf, MIB, (off_t)off) != (ssize_t)MIB)
			fail("pread", "measure", off);
	return now() - start;
}

/* Seconds for each of 400. */
static double read_pages(int fd, uint64_t size)
{
	uint8_t buf[PAGE];
	double start = now();

	for (uint64_t i = 0; i < 400; i++)
		if (pread(fd, buf, PAGE, (off_t)(i * 37 % (size / PAGE) * PAGE)) != PAGE)
			fail("pread", "measure", 0);
	return (now() - start) / 400;
}

/* The first pass can be made once; of the others the best of many counts, as others use the machine too. */
static void check_measure(void)
{
	int fd = open_file("measure", O_RDONLY);
	uint64_t size = size_of(fd);
	long before = cached_kib();
	const uint8_t *p = map(fd, size, PROT_READ);
	double first = touch(p, size), again = 1e9, whole = 1e9, page = 1e9;

	for (int i = 0; i < 20; i++) {
		double a = touch(p, size), w = read_once(fd, size), g = read_pages(fd, size);

		again = a < again ? a : again;
		whole = w < whole ? w : whole;
		page = g < page ? g : page;
	}
	printf("measured: first %.1f ms, again %.2f ms, read %.2f ms, 4 KiB %.1f us, page cache %ld KiB\n",
		first * 1e3, again * 1e3, whole * 1e3, page * 1e6, cached_kib() - before);
}

static void make_file(const char *name, uint64_t size, bool zero)
{
	int fd = open_file(name, O_RDWR | O_CREAT | O_TRUNC);

	if (zero ? ftruncate(fd, (off_t)size) : (write_at(fd, 0, size), 0))
		fail("ftruncate", name, size);
	close(fd);
}

static void check_make(void)
{
	char name[32];

	make_file("big", 40 * MIB, false);
	make_file("measure", 4 * MIB, false);
	make_file("truncate", 6 * MIB, false);
	make_file("grow", 65536, false);
	make_file("write", 4 * MIB, true);
	make_file("upgrade", 4 * MIB, true);
	make_file("holes", 4 * MIB, true);
	make_file("shared", 2 * MIB, true);
	if (mkdir("many", 0755) && errno != EEXIST)
		fail("mkdir", "many", 0);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "many/%d", i);
		make_file(name, 65536, false);
	}
}

/* What the guest's checks left behind, as the host has it. */
static void check_left(void)
{
	static const char *const whole[] = {"big", "write", "upgrade", "grow"};

	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		int fd = open_file(whole[i], O_RDONLY);

		read_all(whole[i], fd);
		close(fd);
	}
}

static const struct {
	const char *name;
	void (*check)(void);
} checks[] = {
	{"make", check_make},
	{"left", check_left},
	{"read", check_read},
	{"write", check_write},
	{"upgrade", check_upgrade},
	{"grow", check_grow},
	{"truncate", check_truncate},
	{"holes", check_holes},
	{"many", check_many},
	{"random", check_random},
	{"uneven", check_uneven},
	{"watch", check_watch},
	{"store", check_store},
	{"measure", check_measure},
};

int main(int argc, char *argv[])
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3 || chdir(argv[2]))
		return 2;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		if (strcmp(checks[i].name, argv[1]) != 0)
			continue;
		checks[i].check();
		printf("ok %s\n", argv[1]);
		return 0;
	}
	return 2;
}
