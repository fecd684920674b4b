/* SPDX-License-Identifier: BSD-3-Clause */
/* Guest memory maps and the dirty log. */
#include "base/arith.h"
#include "virtio/internal.h"
#include "virtio/mem.h"

#include <errno.h>
#include <linux/memfd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE 4096ULL

static int memory(uint64_t size)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static struct mem_desc desc(uint64_t gpa, uint64_t fva, uint64_t size, uint64_t offset)
{
	return (struct mem_desc){.gpa = {gpa}, .fva = {fva}, .size = size, .mmap_offset = offset};
}

/* Replaces *m by itself and the region. */
static int add(struct mem_map **m, int fd, uint64_t gpa, uint64_t fva, uint64_t size, uint64_t offset)
{
	struct mem_desc d = desc(gpa, fva, size, offset);
	struct mem_map *old = *m;
	struct err err = {.text = ""};
	int r = mem_with(old, &d, fd, m, &err);

	if (!r)
		mem_unref(old);
	else
		assert_true(err.text[0]);
	return r;
}

static void *at(struct mem_map *m, uint64_t gpa, uint64_t len)
{
	return mem_at(m, (struct gpa){gpa}, len);
}

static bool mapped(void *p)
{
	return msync((void *)((uintptr_t)p & ~(PAGE - 1)), PAGE, MS_ASYNC) == 0;
}

static void test_lookup(void **state)
{
	struct mem_map *m = mem_new();
	int fd = memory(64 * PAGE);
	char *base;

	(void)state;
	assert_null(at(m, 0, 1));
	assert_int_equal(add(&m, fd, 0x10000, 0x7000000, 4 * PAGE, 8 * PAGE), 0);
	assert_int_equal(mem_regions(m), 1);
	base = at(m, 0x10000, 4 * PAGE);
	assert_non_null(base);
	base[5] = 'x';
	assert_int_equal(pread(fd, base, 1, 8 * PAGE + 5), 1);
	assert_int_equal(base[0], 'x');
	assert_ptr_equal(mem_at_fva(m, (struct fva){0x7000000}, 1), base);
	assert_ptr_equal(at(m, 0x10000 + 4 * PAGE - 1, 1), base + 4 * PAGE - 1);
	assert_null(at(m, 0x10000, 4 * PAGE + 1));
	assert_null(at(m, 0x10000 + 4 * PAGE, 1));
	assert_null(at(m, 0xffff, 1));
	assert_null(at(m, 0x10000, 0));
	assert_null(at(m, 0x10000 + PAGE, UINT64_MAX));
	assert_null(at(m, UINT64_MAX, 1));
	assert_null(mem_at_fva(m, (struct fva){0x10000}, 1));
	mem_unref(m);
	close(fd);
}

/* The range is a piece of a file at no page's boundary: the pages around it are mapped. */
static void test_odd_range(void **state)
{
	struct mem_map *m = mem_new();
	int fd = memory(4 * PAGE);
	char *p;

	(void)state;
	assert_int_equal(pwrite(fd, "hello", 5, 5000), 5);
	assert_int_equal(add(&m, fd, 0x5000, 0x5000, 3000, 5000), 0);
	p = at(m, 0x5000, 3000);
	assert_memory_equal(p, "hello", 5);
	assert_null(at(m, 0x5000, 3001));
	assert_int_equal(add(&m, fd, 0x9000, 0x9000, 1, 4 * PAGE - 1), 0);
	mem_unref(m);
	close(fd);
}

static void test_refused(void **state)
{
	static const struct {
		uint64_t gpa, fva, size, offset;
	} bad[] = {
		{0x100000, 0x100000, 0, 0},		      /* empty */
		{0x100000, 0x100000, 17 * PAGE, 0},	      /* longer than the file */
		{0x100000, 0x100000, PAGE, 16 * PAGE},	      /* behind its end */
		{0x100000, 0x100000, 1, 16 * PAGE},	      /* a byte behind its end */
		{0x100000, 0x100000, PAGE, UINT64_MAX - 100}, /* the offset wraps */
		{0x100000, 0x100000, PAGE, INT64_MAX - PAGE}, /* no off_t */
		{0x100000, 0x100000, UINT64_MAX - 0x1000, 0}, /* the address does */
		{UINT64_MAX - PAGE + 2, 0x100000, PAGE, 0},
		{0x100000, UINT64_MAX - PAGE + 2, PAGE, 0},
		{0x10000, 0x100000, 2 * PAGE, 0}, /* the same guest address */
		{0xf000, 0x100000, 2 * PAGE, 0},  /* from below */
		{0x11fff, 0x100000, PAGE, 0},	  /* from above */
		{0x10001, 0x100000, 1, 0},	  /* inside */
		{0xf000, 0x100000, 8 * PAGE, 0},  /* around */
		{0x100000, 0x7001000, PAGE, 0},	  /* the same for front-end addresses */
		{0x100000, 0x6fff000, 8 * PAGE, 0},
	};
	struct mem_map *m = mem_new();
	int fd = memory(16 * PAGE);

	(void)state;
	assert_int_equal(add(&m, fd, 0x10000, 0x7000000, 2 * PAGE, 0), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(add(&m, fd, bad[i].gpa, bad[i].fva, bad[i].size, bad[i].offset), -EINVAL);
		assert_int_equal(mem_regions(m), 1);
	}
	assert_int_equal(add(&m, -1, 0x100000, 0x100000, PAGE, 0), -EBADF);
	assert_int_equal(add(&m, fd, 0x12000, 0x7002000, PAGE, 0), 0);
	assert_int_equal(add(&m, fd, 0xf000, 0x6fff000, PAGE, 0), 0);
	mem_unref(m);
	close(fd);
}

/* A region goes when the last map that has it goes, and not before. */
static void test_life(void **state)
{
	struct mem_map *one = mem_new(), *both, *rest;
	struct mem_desc first = desc(0x10000, 0x10000, PAGE, 0), other;
	struct err err;
	int fd = memory(2 * PAGE);
	void *a, *b;

	(void)state;
	assert_int_equal(add(&one, fd, 0x10000, 0x10000, PAGE, 0), 0);
	both = mem_ref(one);
	assert_int_equal(add(&both, fd, 0x20000, 0x20000, PAGE, PAGE), 0);
	a = at(both, 0x10000, PAGE);
	b = at(both, 0x20000, PAGE);
	assert_ptr_equal(at(one, 0x10000, PAGE), a);
	assert_null(at(one, 0x20000, 1));

	other = first;
	other.fva.v++;
	assert_int_equal(mem_without(both, &other, &rest, &err), -ENOENT);
	other = first;
	other.size--;
	assert_int_equal(mem_without(both, &other, &rest, &err), -ENOENT);
	other = first;
	other.gpa.v++;
	assert_int_equal(mem_without(both, &other, &rest, &err), -ENOENT);
	assert_int_equal(mem_without(both, &first, &rest, &err), 0);
	assert_int_equal(mem_regions(rest), 1);
	assert_null(at(rest, 0x10000, 1));
	assert_null(mem_at_fva(rest, (struct fva){0x10000}, 1));
	assert_ptr_equal(mem_at_fva(rest, (struct fva){0x20000}, PAGE), b);

	mem_unref(both);
	assert_true(mapped(a));
	mem_unref(one);
	assert_false(mapped(a));
	assert_true(mapped(b));
	mem_unref(rest);
	assert_false(mapped(b));
	mem_unref(NULL);
	close(fd);
}

/* Regions come in any order, by two orders of addresses that disagree. */
static void test_many(void **state)
{
	struct mem_map *m = mem_new();
	int fd = memory(PAGE * MEM_MAX_REGIONS);
	struct mem_desc d;
	struct err err;

	(void)state;
	for (uint64_t k = 0; k < MEM_MAX_REGIONS; k++) {
		uint64_t i = k * 77 % MEM_MAX_REGIONS; /* every one once: 77 is odd */

		assert_int_equal(add(&m, fd, i * 2 * PAGE, (1000 - i) * PAGE, PAGE, i * PAGE), 0);
		memcpy(at(m, i * 2 * PAGE, sizeof(i)), &i, sizeof(i));
	}
	assert_int_equal(add(&m, fd, 1ULL << 40, 1ULL << 40, PAGE, 0), -ENOSPC);
	for (uint64_t i = 0; i < MEM_MAX_REGIONS; i++) {
		assert_memory_equal(at(m, i * 2 * PAGE, PAGE), &i, sizeof(i));
		assert_null(at(m, i * 2 * PAGE + PAGE, 1));
		assert_memory_equal(mem_at_fva(m, (struct fva){(1000 - i) * PAGE}, PAGE), &i, sizeof(i));
	}
	for (uint64_t i = 0; i < MEM_MAX_REGIONS; i++) {
		struct mem_map *old = m;

		d = desc(i * 2 * PAGE, (1000 - i) * PAGE, PAGE, 0);
		assert_int_equal(mem_without(old, &d, &m, &err), 0);
		mem_unref(old);
		assert_null(at(m, i * 2 * PAGE, 1));
	}
	assert_int_equal(mem_regions(m), 0);
	mem_unref(m);
	close(fd);
}

static void test_pieces(void **state)
{
	struct mem_map *m = mem_new();
	int fd = memory(16 * PAGE);
	struct iovec v[4];

	(void)state;
	assert_int_equal(add(&m, fd, 0x10000, 0x10000, PAGE, 0), 0);
	assert_int_equal(add(&m, fd, 0x11000, 0x30000, 2 * PAGE, 4 * PAGE), 0);
	assert_int_equal(add(&m, fd, 0x13000, 0x50000, PAGE, 2 * PAGE), 0);
	assert_int_equal(add(&m, fd, 0x15000, 0x70000, PAGE, 0), 0);

	assert_int_equal(mem_pieces(m, (struct gpa){0x10000}, PAGE, v, 4), 1);
	assert_int_equal(v[0].iov_len, PAGE);
	assert_int_equal(mem_pieces(m, (struct gpa){0x10ffe}, 2 * PAGE + 5, v, 4), 3);
	assert_ptr_equal(v[0].iov_base, at(m, 0x10ffe, 2));
	assert_int_equal(v[0].iov_len, 2);
	assert_ptr_equal(v[1].iov_base, at(m, 0x11000, 1));
	assert_int_equal(v[1].iov_len, 2 * PAGE);
	assert_ptr_equal(v[2].iov_base, at(m, 0x13000, 1));
	assert_int_equal(v[2].iov_len, 3);

	assert_int_equal(mem_pieces(m, (struct gpa){0x10ffe}, 2 * PAGE + 5, v, 2), -E2BIG);
	assert_int_equal(mem_pieces(m, (struct gpa){0x10ffe}, 2, v, 0), -E2BIG);
	assert_int_equal(mem_pieces(m, (struct gpa){0x10000}, 4 * PAGE, v, 4), 3);
	assert_int_equal(mem_pieces(m, (struct gpa){0x10000}, 4 * PAGE + 1, v, 4), -EFAULT);
	assert_int_equal(mem_pieces(m, (struct gpa){0x14000}, 1, v, 4), -EFAULT);
	assert_int_equal(mem_pieces(m, (struct gpa){0xffff}, 2, v, 4), -EFAULT);
	assert_int_equal(mem_pieces(m, (struct gpa){0x15000}, UINT64_MAX, v, 4), -EFAULT);
	assert_int_equal(mem_pieces(m, (struct gpa){UINT64_MAX}, 2, v, 4), -EFAULT);
	assert_int_equal(mem_pieces(m, (struct gpa){UINT64_MAX}, 0, v, 0), 0);
	mem_unref(m);
	close(fd);
}

/* A mapping of @fd with pages that it owns, or MAP_FAILED. */
static void *own_huge(int fd, size_t size)
{
	if (fd < 0 || ftruncate(fd, (off_t)size))
		return MAP_FAILED;
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void test_huge_pages(void **state)
{
	uint64_t huge = 2 * 1024 * 1024;
	int fd = memfd_create("guest", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	char *p = own_huge(fd, 2 * huge);
	struct mem_map *m;

	(void)state;
	if (p == MAP_FAILED) {
		close(fd);
		print_message("no two huge pages of 2 MiB are free: see /proc/sys/vm/nr_hugepages\n");
		skip();
	}
	m = mem_new();
	p[huge + 70000] = 'h';
	assert_int_equal(add(&m, fd, 0x10000, 0x10000, 100000, huge + 4096), 0);
	assert_int_equal(*(char *)at(m, 0x10000 + 70000 - 4096, 1), 'h');
	assert_int_equal(add(&m, fd, 0x10000000, 0x10000000, huge, huge + 1), -EINVAL);
	mem_unref(m);
	munmap(p, 2 * huge);
	close(fd);
}

static void test_gpa_of(void **state)
{
	struct mem_map *m = mem_new();
	int fd = memory(4 * PAGE);
	struct gpa g;

	(void)state;
	assert_int_equal(add(&m, fd, 0x10000, 0x10000, PAGE, 0), 0);
	assert_int_equal(add(&m, fd, 0x20000, 0x20000, PAGE, PAGE), 0);
	assert_true(mem_gpa_of(m, (char *)at(m, 0x20000, 1) + 77, &g));
	assert_int_equal(g.v, 0x20000 + 77);
	assert_false(mem_gpa_of(m, &g, &g));
	mem_unref(m);
	close(fd);
}

/* Compares the log with the pages [first, last] being marked and no other; clears it. */
static void expect_marked(int fd, uint64_t bytes, uint64_t first, uint64_t last)
{
	uint8_t bits[64], zero[64] = {0};

	assert_int_equal(pread(fd, bits, bytes, 0), (ssize_t)bytes);
	for (uint64_t i = 0; i < bytes * 8; i++)
		assert_int_equal(bits[i / 8] >> i % 8 & 1, i >= first && i <= last);
	assert_int_equal(pwrite(fd, zero, bytes, 0), (ssize_t)bytes);
}

#define NONE UINT64_MAX, 0

static void test_log(void **state)
{
	int fd = memory(PAGE);
	struct err err;
	struct mem_log *log = mem_log_new(fd, 0, 4, &err); /* 32 pages */

	(void)state;
	assert_non_null(log);
	mem_log_mark(log, (struct gpa){0x5000}, 1);
	expect_marked(fd, 64, 5, 5);
	mem_log_mark(log, (struct gpa){0x5fff}, 2);
	expect_marked(fd, 64, 5, 6);
	mem_log_mark(log, (struct gpa){0x5000}, 0);
	expect_marked(fd, 64, NONE);
	mem_log_mark(log, (struct gpa){0x7001}, 0x8000);
	expect_marked(fd, 64, 7, 15);
	mem_log_mark(log, (struct gpa){0x1e000}, 0x10000);
	expect_marked(fd, 64, 30, 31);
	mem_log_mark(log, (struct gpa){0x20000}, 1);
	mem_log_mark(log, (struct gpa){UINT64_MAX}, 1);
	expect_marked(fd, 64, NONE);
	mem_log_mark(log, (struct gpa){0x1f000}, UINT64_MAX);
	expect_marked(fd, 64, 31, 31);
	mem_log_unref(mem_log_ref(log));
	mem_log_mark(log, (struct gpa){0}, 1);
	expect_marked(fd, 64, 0, 0);
	mem_log_unref(log);
	assert_null(mem_log_new(fd, 0, PAGE + 1, &err));
	assert_null(mem_log_new(fd, 0, 0, &err));
	assert_null(mem_log_new(fd, UINT64_MAX, 2, &err));
	assert_null(mem_log_ref(NULL));
	mem_log_unref(NULL);
	close(fd);
}

static void test_log_iov(void **state)
{
	struct mem_map *m = mem_new();
	int fd = memory(8 * PAGE), bits = memory(PAGE);
	struct err err;
	struct mem_log *log = mem_log_new(bits, 8, 8, &err);
	struct iovec v[3];

	(void)state;
	assert_int_equal(add(&m, fd, 0x1000, 0x1000, 2 * PAGE, 4 * PAGE), 0);
	assert_int_equal(add(&m, fd, 0x3000, 0x8000, 2 * PAGE, 0), 0);
	v[0] = (struct iovec){at(m, 0x2000, 1), PAGE};
	v[1] = (struct iovec){at(m, 0x3000, 1), 0};
	v[2] = (struct iovec){at(m, 0x3000, 1), 2 * PAGE};
	mem_log_mark_iov(log, m, v, 3, PAGE);
	expect_marked(bits, 8, NONE); /* the log begins at byte 8 */
	uint8_t byte;
	assert_int_equal(pread(bits, &byte, 1, 8), 1);
	assert_int_equal(byte, 1 << 2);
	mem_log_mark_iov(log, m, v, 3, PAGE + 1);
	assert_int_equal(pread(bits, &byte, 1, 8), 1);
	assert_int_equal(byte, 1 << 2 | 1 << 3);
	mem_log_mark_iov(log, m, v, 3, UINT64_MAX);
	assert_int_equal(pread(bits, &byte, 1, 8), 1);
	assert_int_equal(byte, 1 << 2 | 1 << 3 | 1 << 4);
	mem_log_unref(log);
	mem_unref(m);
	close(fd);
	close(bits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_odd_range),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_huge_pages),
		cmocka_unit_test(test_gpa_of),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_log_iov),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
