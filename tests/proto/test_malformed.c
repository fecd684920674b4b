/* SPDX-License-Identifier: BSD-3-Clause */
/* FUSE requests that are wrong in themselves, in good chains: an error for the guest, and life goes on. */
#include "test.h"

#define BODY 200

/* What the device made of a request. */
struct outcome {
	ssize_t written; /* -errno: it did not come back */
	struct fuse_out_header h;
};

struct raw_request {
	uint32_t len; /* in the header; 0: what is really there */
	uint32_t opcode;
	uint64_t node;
	size_t body; /* bytes behind the header that are there */
	uint16_t extlen;
	uint8_t bytes[BODY];
};

static struct raw scratch;

static struct outcome send_request(struct test *t, const struct raw_request *q, size_t in, size_t out)
{
	struct fuse_in_header h = {.opcode = q->opcode, .nodeid = q->node, .unique = 4242};
	struct outcome o = {0};

	h.len = q->len ? q->len : (uint32_t)(sizeof(h) + q->body);
	h.total_extlen = q->extlen;
	memcpy(scratch.in, &h, sizeof(h));
	memcpy(scratch.in + sizeof(h), q->bytes, BODY);
	memset(scratch.out, 0, 4096);
	scratch.seg[0].len = (uint32_t)in;
	scratch.seg[1].len = (uint32_t)out;
	scratch.nout = out ? 1 : 0;
	o.written = raw_send(&t->vm, 1, &scratch, TEST_PATIENCE_MS);
	memcpy(&o.h, scratch.out, sizeof(o.h));
	return o;
}

static void expect_alive(struct test *t)
{
	struct fuse_attr_out a;

	assert_false(drv_signalled(t->vm.queue[1].err, 0));
	OK(fc_getattr(t->c, FUSE_ROOT_ID, 0, &a));
}

static void expect_error(struct test *t, const struct raw_request *q)
{
	struct outcome o = send_request(t, q, sizeof(struct fuse_in_header) + q->body, 4096);

	LEN(o.written, sizeof(o.h));
	assert_int_equal(o.h.len, sizeof(o.h));
	assert_int_equal(o.h.unique, 4242);
	assert_true(o.h.error < 0 && o.h.error > -4096);
	expect_alive(t);
}

static int begin(void **state)
{
	struct test *t = *state;
	int r = test_begin(state);

	if (!scratch.in)
		raw_make(&t->vm, &scratch, -1);
	return r;
}

/* Headers that are cut, at every length, are no requests at all. */
static void cut_headers(void **state)
{
	struct raw_request q = {.opcode = FUSE_GETATTR, .node = FUSE_ROOT_ID, .body = 16};
	struct test *t = *state;

	for (size_t in = 1; in < sizeof(struct fuse_in_header); in++) {
		struct outcome o = send_request(t, &q, in, 4096);

		assert_true(o.written == 0 || (o.written == sizeof(o.h) && o.h.error < 0));
		expect_alive(t);
	}
}

static void wrong_header_len(void **state)
{
	static const uint32_t len[] = {1, 39, 40, 55, 57, 4096, 0x7fffffff, 0xffffffff};
	struct raw_request q = {.opcode = FUSE_GETATTR, .node = FUSE_ROOT_ID, .body = 16};
	struct test *t = *state;

	for (unsigned int i = 0; i < ARRAY_LEN(len); i++) {
		struct outcome o;

		q.len = len[i];
		o = send_request(t, &q, 56, 4096);
		assert_true(o.written == 0 || (o.written == sizeof(o.h) && o.h.error < 0));
		expect_alive(t);
	}
}

static void little_reply_room(void **state)
{
	static const size_t room[] = {0, 1, 15, 16, 17, 100, RAW_OUT - 1};
	struct raw_request q = {.opcode = FUSE_GETATTR, .node = FUSE_ROOT_ID, .body = 16};
	struct test *t = *state;

	for (unsigned int i = 0; i < ARRAY_LEN(room); i++) {
		struct outcome o = send_request(t, &q, 56, room[i]);

		assert_true(o.written >= 0 && o.written <= (ssize_t)room[i]);
		assert_true(o.written < 16 ? o.written == 0 : o.h.error < 0);
		for (size_t at = room[i]; at < 4096; at++)
			assert_int_equal(scratch.out[at], 0); /* nothing behind the room */
		expect_alive(t);
	}
}

static void only_writable(void **state)
{
	struct test *t = *state;
	struct raw r = scratch;

	r.seg[0] = scratch.seg[1];
	r.seg[0].len = 4096;
	r.nin = 0;
	r.nout = 1;
	LEN(raw_send(&t->vm, 1, &r, TEST_PATIENCE_MS), 0);
	expect_alive(t);
}

/* Each request that has arguments, with one byte less than its smallest form. */
static void short_arguments(void **state)
{
	static const struct {
		uint32_t opcode;
		size_t min;
	} op[] = {{FUSE_SETATTR, 88}, {FUSE_MKNOD, 18}, {FUSE_MKDIR, 10}, {FUSE_RENAME, 12}, {FUSE_LINK, 10},
		{FUSE_OPEN, 8}, {FUSE_READ, 40}, {FUSE_WRITE, 40}, {FUSE_RELEASE, 24}, {FUSE_FSYNC, 16},
		{FUSE_SETXATTR, 10}, {FUSE_GETXATTR, 10}, {FUSE_LISTXATTR, 8}, {FUSE_FLUSH, 24},
		{FUSE_INIT, 16}, {FUSE_OPENDIR, 8}, {FUSE_READDIR, 40}, {FUSE_GETLK, 48}, {FUSE_SETLK, 48},
		{FUSE_SETLKW, 48}, {FUSE_ACCESS, 8}, {FUSE_CREATE, 18}, {FUSE_IOCTL, 32},
		{FUSE_FALLOCATE, 32}, {FUSE_RENAME2, 20}, {FUSE_LSEEK, 24}, {FUSE_COPY_FILE_RANGE, 56},
		{FUSE_STATX, 24}, {FUSE_TMPFILE, 16}, {FUSE_READDIRPLUS, 40}, {FUSE_LOOKUP, 1},
		{FUSE_SYMLINK, 3}, {FUSE_UNLINK, 1}, {FUSE_RMDIR, 1}};
	struct test *t = *state;

	for (unsigned int i = 0; i < ARRAY_LEN(op); i++) {
		struct raw_request q = {.opcode = op[i].opcode, .node = FUSE_ROOT_ID, .body = op[i].min - 1};

		expect_error(t, &q);
		q.body = 0;
		expect_error(t, &q);
	}
}

static void names_without_end(void **state)
{
	static const uint32_t opcode[] = {
		FUSE_LOOKUP, FUSE_UNLINK, FUSE_RMDIR, FUSE_SYMLINK, FUSE_REMOVEXATTR};
	struct test *t = *state;

	for (unsigned int i = 0; i < ARRAY_LEN(opcode); i++) {
		struct raw_request q = {.opcode = opcode[i], .node = FUSE_ROOT_ID, .body = BODY};

		memset(q.bytes, 'n', BODY);
		expect_error(t, &q);
		q.bytes[10] = 0; /* SYMLINK: a name, and a target without end */
		if (opcode[i] == FUSE_SYMLINK)
			expect_error(t, &q);
	}
}

/* Sizes and counts that promise more than the request holds. */
static void promises(void **state)
{
	struct raw_request write = {.opcode = FUSE_WRITE, .body = 48};
	struct raw_request xattr = {.opcode = FUSE_SETXATTR, .body = 24, .bytes = {0xff, 0xff, 0xff, 0x7f}};
	struct raw_request ext = {.opcode = FUSE_MKDIR, .body = 24, .extlen = 0xffff};
	struct raw_request forget = {
		.opcode = FUSE_BATCH_FORGET, .body = 40, .bytes = {0xff, 0xff, 0xff, 0xff}};
	struct test *t = *state;
	struct fc_file f = guest_create(t, "f", O_RDWR);
	struct fuse_write_in in = {.fh = f.fh, .size = 4096};

	write.node = xattr.node = f.node;
	ext.node = t->dir;
	memcpy(write.bytes, &in, sizeof(in));
	expect_error(t, &write);
	in.size = 0xffffffff;
	memcpy(write.bytes, &in, sizeof(in));
	expect_error(t, &write);
	memcpy(xattr.bytes + 8, "user.x", 7);
	expect_error(t, &xattr);
	memcpy(ext.bytes + 8, "name", 5);
	expect_error(t, &ext);
	assert_true(send_request(t, &forget, 80, 0).written == 0);
	expect_alive(t);
	assert_int_equal(host_stat(t->host, "f").st_size, 0);
	assert_false(host_exists(t->host, "name"));
}

/* A READ of more than the chain has room for gives what fits, or an error. */
static void read_without_room(void **state)
{
	struct raw_request q = {.opcode = FUSE_READ, .body = 40};
	struct test *t = *state;
	struct fuse_read_in in = {.size = 0xffffffff};
	struct outcome o;
	struct fc_file f;

	host_write_file(t->host, "f", "0123456789", 10);
	f = guest_open(t, "f", O_RDONLY);
	in.fh = f.fh;
	q.node = f.node;
	memcpy(q.bytes, &in, sizeof(in));
	o = send_request(t, &q, 80, 20);
	assert_true(
		o.written == 20 ? !memcmp(scratch.out + 16, "0123", 4) : o.written == 16 && o.h.error < 0);
	assert_int_equal(scratch.out[20], 0);
	expect_alive(t);
}

/* Every opcode with arguments of every length and no sense. What comes back is well-formed, and it comes. */
static void nonsense(void **state)
{
	struct test *t = *state;
	unsigned int sent = 0;

	for (uint32_t opcode = 0; opcode < 60; opcode++) {
		for (size_t body = 0; body <= 104; body += 3, sent++) {
			struct raw_request q = {.opcode = opcode, .node = t->dir, .body = body};
			struct outcome o;

			test_pattern(q.bytes, BODY, sent);
			if (sent % 2) /* names end, flags and sizes are small */
				for (unsigned int i = 0; i < BODY; i++)
					q.bytes[i] &= i % 4 ? 0 : 0x7f;
			if (opcode == FUSE_INIT || opcode == FUSE_DESTROY)
				continue;
			o = send_request(t, &q, sizeof(struct fuse_in_header) + body, 4096);
			assert_true(o.written == 0 || (o.written >= 16 && o.h.len == o.written));
			assert_true(o.written == 0 || (o.h.error <= 0 && o.h.error > -4096));
		}
	}
	expect_alive(t);
}

#define BAD(f)                                  \
	{                                       \
#f, f, begin, test_finish, NULL \
	}

static int run(unsigned int variant)
{
	static const struct CMUnitTest tests[] = {
		BAD(cut_headers),
		BAD(wrong_header_len),
		BAD(little_reply_room),
		BAD(only_writable),
		BAD(short_arguments),
		BAD(names_without_end),
		BAD(promises),
		BAD(read_without_room),
		BAD(nonsense),
	};

	/* A guest that sends extensions, so that their lengths count. */
	static const struct vm_config cfg = {.init_flags = VM_INIT_FLAGS | FUSE_CREATE_SUPP_GROUP};

	scratch = (struct raw){0};
	return TEST_RUN(tests, variant | TEST_DIRECT, &cfg, NULL);
}

int main(void)
{
	return run(TEST_SPLIT) + run(TEST_PACKED);
}
