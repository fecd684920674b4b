/* SPDX-License-Identifier: BSD-3-Clause */
/* The state segment: made here, mapped elsewhere with the same contents, refused where it is another's. */
#include "base/segment.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct segment_plan plan[SEGMENT_SECTIONS] = {
	[SEGMENT_CONN] = {.size = 64, .count = 1},
	[SEGMENT_MOUNTS] = {.size = 24, .count = 1000},
	[SEGMENT_INODES] = {.size = 128, .count = 1 << 20}, /* takes no memory until it is written */
	[SEGMENT_HANDLES] = {.size = 32, .count = 4096},
};

static void test_sections(void **state)
{
	struct segment seg;
	struct err err;
	struct stat st;
	char *last_end = NULL;

	(void)state;
	assert_int_equal(segment_create(&seg, plan, &err), 0);
	for (int i = 0; i < SEGMENT_SECTIONS; i++) {
		char *p = segment_at(&seg, (enum segment_section)i);
		size_t len = plan[i].size * plan[i].count;

		assert_int_equal(segment_count(&seg, (enum segment_section)i), plan[i].count);
		assert_int_equal((uintptr_t)p % 4096, 0);
		assert_true(p > (char *)seg.base && p + len <= (char *)seg.base + seg.len);
		assert_true(p >= last_end);
		if (len) {
			assert_int_equal(p[0], 0);
			assert_int_equal(p[len - 1], 0);
			p[0] = p[len - 1] = (char)(i + 1);
		}
		last_end = p + len;
	}
	assert_int_equal(fstat(seg.fd, &st), 0);
	assert_true(st.st_blocks * 512 < 1 << 20);
	segment_close(&seg);
	segment_close(&seg);
}

static void test_reopen(void **state)
{
	struct segment seg, other;
	struct err err;

	(void)state;
	assert_int_equal(segment_create(&seg, plan, &err), 0);
	memcpy(segment_at(&seg, SEGMENT_HANDLES), "handle", 6);
	assert_int_equal(segment_open(&other, dup(seg.fd), plan, &err), 0);
	assert_ptr_not_equal(other.base, seg.base);
	assert_memory_equal(segment_at(&other, SEGMENT_HANDLES), "handle", 6);
	((char *)segment_at(&other, SEGMENT_CONN))[1] = 'x';
	assert_int_equal(((char *)segment_at(&seg, SEGMENT_CONN))[1], 'x');
	segment_close(&seg);
	assert_memory_equal(segment_at(&other, SEGMENT_HANDLES), "handle", 6);
	segment_close(&other);
}

static int reopen(int fd, const struct segment_plan *p)
{
	struct segment seg;
	struct err err = {.text = ""};
	int r = segment_open(&seg, fd, p, &err);

	assert_true(err.text[0]);
	return r;
}

static void test_refused(void **state)
{
	struct segment_plan other[SEGMENT_SECTIONS];
	struct segment seg;
	struct err err;
	int empty = memfd_create("empty", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(segment_create(&seg, plan, &err), 0);
	memcpy(other, plan, sizeof(other));
	other[SEGMENT_MOUNTS].count++; /* within the page: the length is the same */
	assert_int_equal(reopen(seg.fd, other), -EINVAL);
	memcpy(other, plan, sizeof(other));
	other[SEGMENT_INODES].size *= 2;
	assert_int_equal(reopen(seg.fd, other), -EINVAL);
	assert_int_equal(reopen(empty, plan), -EINVAL);
	assert_int_equal(ftruncate(empty, (off_t)seg.len), 0);
	assert_int_equal(reopen(empty, plan), -EINVAL);
	assert_int_equal(reopen(-1, plan), -EBADF);
	segment_close(&seg);
	close(empty);
}

/* Who maps it, too, can write where the sections are said to lie: nobody who has it open goes by that. */
static void test_header_changed(void **state)
{
	const enum segment_section all[] = {SEGMENT_SUPERVISED, SEGMENT_DEVICE, SEGMENT_MOUNTS};
	struct segment seg[3];
	struct err err;

	(void)state;
	assert_int_equal(segment_create(&seg[0], plan, &err), 0);
	assert_int_equal(segment_open(&seg[1], dup(seg[0].fd), plan, &err), 0);
	assert_int_equal(segment_view(&seg[2], seg[0].fd, &err), 0);
	memset(seg[0].base, 0xa5, 4096);
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 3; k++) {
			assert_int_equal(segment_count(&seg[i], all[k]), plan[all[k]].count);
			assert_int_equal(segment_record_size(&seg[i], all[k]), plan[all[k]].size);
			assert_int_equal((char *)segment_at(&seg[i], all[k]) - (char *)seg[i].base,
				(char *)segment_at(&seg[0], all[k]) - (char *)seg[0].base);
			assert_true(segment_at(&seg[i], all[k]) < (void *)((char *)seg[i].base + seg[i].len));
		}
	}
	assert_int_equal(reopen(seg[0].fd, plan), -EINVAL);
	assert_int_equal(segment_view(&(struct segment){0}, seg[0].fd, &err), -EINVAL);
	for (int i = 3; i--;)
		segment_close(&seg[i]);
}

static void test_overflow(void **state)
{
	struct segment_plan huge[SEGMENT_SECTIONS] = {{.size = 128, .count = UINT64_MAX / 64}};
	struct segment seg;
	struct err err;

	(void)state;
	assert_int_equal(segment_create(&seg, huge, &err), -EOVERFLOW);
	assert_int_equal(segment_open(&seg, 0, huge, &err), -EOVERFLOW);
	huge[0] = huge[1] = (struct segment_plan){.size = 1, .count = INT64_MAX - 8000};
	assert_int_equal(segment_create(&seg, huge, &err), -EOVERFLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_reopen),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_header_changed),
		cmocka_unit_test(test_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
