/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests here share. A group of tests runs on one booted struct vm, once for each variant of rings
 * and layouts; each test has a directory of its own in the share: `dir` by nodeid, `host` by descriptor.
 */
#ifndef PROTO_TEST_H
#define PROTO_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct test {
	struct vm vm;
	struct fuse_client *c;	 /* the first request queue's */
	struct fuse_client *hip; /* the high-priority queue's */
	uint64_t dir;
	int host;
	char name[32]; /* of the directory */
};

enum {
	TEST_SPLIT = 1 << 0,
	TEST_PACKED = 1 << 1,
	TEST_DIRECT = 1 << 2,
	TEST_INDIRECT = 1 << 3,
	TEST_ALL = 15,
};

/*
 * Runs the tests for each kind of ring and each way of descriptors among @variants; a single one of each is
 * the cheap choice. @spawn may be NULL. Returns the number of failures.
 */
int test_run(const struct CMUnitTest *tests, size_t count, unsigned int variants, const struct vm_config *cfg,
	const struct spawn_config *spawn);
#define TEST_RUN(tests, variants, cfg, spawn) test_run(tests, ARRAY_LEN(tests), variants, cfg, spawn)

/* A test of the group; cmocka's own macros are for tests without a vm. */
int test_begin(void **state);
int test_finish(void **state);
#define TEST(f)                                      \
	{                                            \
#f, f, test_begin, test_finish, NULL \
	}

/*
 * Tests that boot themselves: *state is an empty struct vm, which ends with the test. The group runs once for
 * each kind of ring among @variants; test_packed() tells which it is. Returns the number of failures.
 */
int test_run_own(const struct CMUnitTest *tests, size_t count, unsigned int variants);
#define TEST_RUN_OWN(tests, variants) test_run_own(tests, ARRAY_LEN(tests), variants)
int test_own_begin(void **state);
int test_own_finish(void **state);
#define TEST_OWN(f)                                          \
	{                                                    \
#f, f, test_own_begin, test_own_finish, NULL \
	}
bool test_packed(void);
void test_set_packed(bool packed); /* for groups that are run otherwise */
bool test_is_colofs(void);

/* Boots the test's vm, with the group's kind of ring, or fails the test. Either may be NULL. */
void test_boot(struct vm *vm, const struct vm_config *cfg, const char *const *args);
void test_boot_spawn(struct vm *vm, const struct vm_config *cfg, const struct spawn_config *spawn);
/* A front-end comes to the daemon that runs already: all steps but the daemon's. */
void test_come_back(struct vm *vm);
/* Ends and fails the test if the daemon did not live well. */
void test_end(struct vm *vm);

/* A GETATTR of the root in pieces of the caller's choice, in guest memory that is otherwise unused. */
struct raw {
	uint8_t *in;  /* header and arguments, RAW_IN bytes */
	uint8_t *out; /* room for the reply, RAW_OUT bytes; one page */
	struct drv_seg seg[16];
	unsigned int nin, nout;
};
#define RAW_IN	(sizeof(struct fuse_in_header) + sizeof(struct fuse_getattr_in))
#define RAW_OUT (sizeof(struct fuse_out_header) + sizeof(struct fuse_attr_out))
/* In region @region of guest memory, -1: any. One piece either way. */
void raw_make(struct vm *vm, struct raw *r, int region);
/* Sends it on queue @i and waits: the bytes that the device says it wrote, or -ETIMEDOUT, -EPROTO. */
ssize_t raw_send(struct vm *vm, unsigned int i, struct raw *r, int timeout_ms);
/* It came back as a whole and right reply. */
void raw_expect_reply(struct vm *vm, unsigned int i, struct raw *r);

/* Asserts on what the fc_, fe_ and vm_ functions return: success, a certain error, a certain length. */
#define OK(expr)       test_expect((expr), 0, #expr, __FILE__, __LINE__)
#define ERR(expr, e)   test_expect((expr), -(e), #expr, __FILE__, __LINE__)
#define LEN(expr, len) test_expect((expr), (ssize_t)(len), #expr, __FILE__, __LINE__)
void test_expect(ssize_t got, ssize_t want, const char *what, const char *file, int line);

/* Host side. Each fails the test if the host does not do it. */
void host_write_file(int dir, const char *name, const void *data, size_t len);
void host_expect_file(int dir, const char *name, const void *data, size_t len);
struct stat host_stat(int dir, const char *name);
bool host_exists(int dir, const char *name);

/* Guest side, failing the test. */
uint64_t guest_lookup(struct test *t, const char *name);
struct fc_file guest_open(struct test *t, const char *name, uint32_t flags);
struct fc_file guest_create(struct test *t, const char *name, uint32_t flags);

/* @len bytes that differ with @seed and position. */
void test_pattern(void *buf, size_t len, unsigned int seed);
void expect_same_attr(const struct fuse_attr *a, const struct stat *st);
int64_t test_ms(void);
/* Open descriptors of the process that serves. */
unsigned int test_server_fds(const struct vm *vm);

#endif
