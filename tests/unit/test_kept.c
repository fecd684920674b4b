/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors that stay open between the requests of a guest that sends no OPEN. */
#include "fs_share.h"

#include "base/arith.h"
#include "base/closing.h"
#include "fs/kept.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define READERS 4
#define FILES	8u
#define READS	500

/* The real descriptors that the process has of the share's files. */
static unsigned int open_files(const struct share *s)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;
	struct dirent *e;

	closing_flush();
	assert_non_null(d);
	while ((e = readdir(d))) {
		char path[PATH_MAX] = "";
		struct stat st;
		int fd = atoi(e->d_name);
		int flags = fcntl(fd, F_GETFL);

		if (flags < 0 || flags & O_PATH || fstat(fd, &st) || !S_ISREG(st.st_mode))
			continue;
		n += readlinkat(dirfd(d), e->d_name, path, sizeof(path) - 1) > 0 &&
		     !strncmp(path, s->dir, strlen(s->dir));
	}
	closedir(d);
	return n;
}

static struct nodeid file(struct share *s, const char *name)
{
	share_host_write(s, name, name);
	return share_lookup(s, name);
}

static void expect_read(struct share *s, struct nodeid node, const char *text)
{
	char buf[32] = {0};

	assert_int_equal(share_read(s, node, OP_NO_HANDLE, buf, sizeof(buf), 0), strlen(text));
	assert_string_equal(buf, text);
}

static void begin(struct share *s, uint32_t max_fds)
{
	struct fs_config cfg = share_config();

	cfg.max_fds = max_fds;
	share_new(s, cfg);
	share_opens_nothing(s);
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

static void test_kept_until_forgotten(void **state)
{
	struct nodeid f, g;
	struct share s;

	(void)state;
	begin(&s, 1000);
	f = file(&s, "f");
	g = file(&s, "g");
	expect_read(&s, f, "f");
	assert_int_equal(open_files(&s), 0); /* most are read once */
	for (int i = 0; i < 2; i++) {
		expect_read(&s, f, "f");
		assert_int_equal(open_files(&s), 1);
	}
	expect_read(&s, g, "g");
	expect_read(&s, g, "g");
	assert_int_equal(share_write(&s, f, OP_NO_HANDLE, "F", 0, 0), 1);
	assert_int_equal(open_files(&s), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(share_write(&s, f, OP_NO_HANDLE, "!", 0, O_APPEND), 1);
		assert_int_equal(open_files(&s), 3);
	}
	expect_read(&s, f, "F!!");
	fs_op_forget(s.fs, f, 1);
	assert_int_equal(open_files(&s), 1);
	assert_int_equal(share_read(&s, f, OP_NO_HANDLE, (char[8]){0}, 8, 0), -ESTALE);
	f = share_lookup(&s, "f");
	share_lookup(&s, "f");
	expect_read(&s, f, "F!!");
	expect_read(&s, f, "F!!");
	fs_op_forget(s.fs, f, 1); /* the guest knows it still */
	assert_int_equal(open_files(&s), 2);
	fs_ops.destroy(s.fs);
	assert_int_equal(open_files(&s), 0);
	share_free(&s);
}

static void test_unused(void **state)
{
	struct nodeid f;
	struct share s;

	(void)state;
	begin(&s, 1000);
	f = file(&s, "f");
	for (int i = 0; i < 2; i++) {
		expect_read(&s, f, i ? "g" : "f");
		expect_read(&s, f, i ? "g" : "f");
		assert_int_equal(share_write(&s, f, OP_NO_HANDLE, "g", 0, 0), 1);
		assert_int_equal(share_write(&s, f, OP_NO_HANDLE, "g", 0, 0), 1);
		assert_true(open_files(&s) >= 1);
		for (int n = 0; n < 250 && open_files(&s); n++)
			nap();
		assert_int_equal(open_files(&s), 0);
	}
	share_free(&s);
}

static void test_bounded(void **state)
{
	struct nodeid node[FILES];
	char name[FILES][4];
	struct share s;

	(void)state;
	begin(&s, 8); /* a quarter of these */
	for (unsigned int i = 0; i < FILES; i++) {
		snprintf(name[i], sizeof(name[i]), "f%u", i);
		node[i] = file(&s, name[i]);
		expect_read(&s, node[i], name[i]);
		expect_read(&s, node[i], name[i]);
	}
	assert_in_range(open_files(&s), 1, 2);
	for (unsigned int i = 0; i < FILES; i++)
		expect_read(&s, node[i], name[i]);
	assert_in_range(open_files(&s), 1, 2);
	share_free(&s);
}

static void test_directories(void **state)
{
	struct nodeid d;
	struct op_fh fh, same, other;
	struct share s;

	(void)state;
	begin(&s, 1000);
	assert_int_equal(mkdirat(s.dirfd, "d", 0755), 0);
	d = share_lookup(&s, "d");
	assert_int_equal(fs_op_opendir(s.fs, &s.c, d, 0, &fh), 0);
	assert_int_equal(fs_op_releasedir(s.fs, &s.c, d, fh), 0);
	assert_int_equal(share_counts(&s).handles, 1);
	assert_int_equal(fs_op_opendir(s.fs, &s.c, d, 0, &same), 0);
	assert_int_equal(same.v, fh.v);
	assert_int_equal(fs_op_opendir(s.fs, &s.c, d, 0, &other), 0); /* two requests at a time */
	assert_int_not_equal(other.v, fh.v);
	assert_int_equal(fs_op_releasedir(s.fs, &s.c, d, same), 0);
	assert_int_equal(fs_op_releasedir(s.fs, &s.c, d, other), 0);
	assert_int_equal(share_counts(&s).handles, 1);
	for (int n = 0; n < 250 && share_counts(&s).handles; n++)
		nap();
	assert_int_equal(share_counts(&s).handles, 0);
	assert_int_equal(fs_op_opendir(s.fs, &s.c, d, 0, &fh), 0);
	assert_int_equal(fs_op_releasedir(s.fs, &s.c, d, fh), 0);
	fs_op_forget(s.fs, d, 1);
	assert_int_equal(share_counts(&s).handles, 0);
	assert_int_equal(share_counts(&s).inodes, 1);
	share_free(&s);
}

struct reader {
	struct share *s;
	struct nodeid node[FILES];
	unsigned int seed;
};

static void *read_all(void *arg)
{
	struct reader *r = arg;

	for (unsigned int n = 0; n < READS; n++) {
		unsigned int i = (n * 7 + r->seed) % FILES;
		struct op_ctx c = {0};
		char byte = 0;
		struct iovec v = {&byte, 1};

		if (fs_op_read(r->s->fs, &c, r->node[i], OP_NO_HANDLE, &v, 1, 0, 0) != 1 ||
			byte != '0' + (char)i)
			return r;
	}
	return NULL;
}

/* More files than places, and all of them at once. */
static void test_threads(void **state)
{
	struct reader r[READERS] = {0};
	pthread_t t[READERS];
	struct share s;
	void *failed;

	(void)state;
	begin(&s, 8);
	for (unsigned int i = 0; i < FILES; i++) {
		char name[2] = {(char)('0' + i)};

		r[0].node[i] = file(&s, name);
	}
	for (unsigned int i = 0; i < READERS; i++) {
		r[i] = r[0];
		r[i].s = &s;
		r[i].seed = i;
		assert_int_equal(pthread_create(&t[i], NULL, read_all, &r[i]), 0);
	}
	for (unsigned int i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(t[i], &failed), 0);
		assert_null(failed);
	}
	assert_in_range(open_files(&s), 0, 2);
	share_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_until_forgotten),
		cmocka_unit_test(test_unused),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_directories),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
