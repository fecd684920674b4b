/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every request of the protocol, from one table: what it makes the file system do, and what becomes of it
 * when it is cut short, comes in single bytes, has no room for its answer, or meets a read-only share.
 */
#include "fuse_fake.h"

#include "base/arith.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define ALL_FLAGS (UINT64_MAX & ~FUSE_NO_OPEN_SUPPORT)

#define FIXED(record, ...) .fixed = &(const struct record){__VA_ARGS__}, .nfixed = sizeof(struct record)
#define TAIL(s)		   .tail = s, .ntail = sizeof(s)     /* with its last NUL */
#define DATA(s)		   .tail = s, .ntail = sizeof(s) - 1 /* without */

enum {
	CHANGES = 1,  /* EROFS on a read-only share */
	SILENT = 2,   /* never answered */
	VARIABLE = 4, /* less room is not refused ahead of the op */
	XATTR = 16,   /* ENOSYS without xattr */
};

struct request {
	const char *name;
	uint32_t opcode;
	const void *fixed;
	size_t nfixed;
	const char *tail;
	size_t ntail;
	size_t out; /* length of the answer behind its header */
	int flags;
	const char *calls; /* what the file system sees; the request is on node 7 */
};

#define MODES "umask=22 rdev=0 uid=1000"

static const struct request requests[] = {
	{"lookup", FUSE_LOOKUP, TAIL("name"), .out = 128, .calls = "lookup 7 name;"},
	{"forget", FUSE_FORGET, FIXED(fuse_forget_in, .nlookup = 3), .flags = SILENT, .calls = "forget 7 3;"},
	{"batch_forget", FUSE_BATCH_FORGET, FIXED(fuse_batch_forget_in, .count = 2), .flags = SILENT,
		DATA("\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0"),
		.calls = "forget 1 2;forget 3 4;"},
	{"getattr", FUSE_GETATTR, FIXED(fuse_getattr_in, .fh = 9), .out = 104,
		.calls = "getattr 7 fh=0 mask=7ff;"},
	{"getattr fh", FUSE_GETATTR, FIXED(fuse_getattr_in, .fh = 9, .getattr_flags = FUSE_GETATTR_FH),
		.out = 104, .calls = "getattr 7 fh=9 mask=7ff;"},
	{"statx", FUSE_STATX,
		FIXED(fuse_statx_in, .fh = 9, .getattr_flags = FUSE_GETATTR_FH, .sx_mask = 0xffff),
		.out = 288, .calls = "getattr 7 fh=9 mask=fff;"},
	{"setattr", FUSE_SETATTR,
		FIXED(fuse_setattr_in, .valid = FATTR_MODE | FATTR_SIZE | FATTR_FH | FATTR_KILL_SUIDGID,
			.fh = 9, .mode = 0600, .uid = 1, .gid = 2, .size = 3, .atime = 4, .atimensec = 5,
			.mtime = 6, .mtimensec = 7),
		.out = 104, .flags = CHANGES,
		.calls = "setattr 7 fh=9 valid=209 mode=600 uid=1 gid=2 size=3 atime=4.5 mtime=6.7;"},
	{"setattr times", FUSE_SETATTR,
		FIXED(fuse_setattr_in,
			.valid = FATTR_UID | FATTR_GID | FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW |
				 FATTR_MTIME_NOW | FATTR_CTIME,
			.fh = 9, .atime = (uint64_t)-4),
		.out = 104, .flags = CHANGES,
		.calls = "setattr 7 fh=0 valid=1f6 mode=0 uid=0 gid=0 size=0 atime=-4.0 mtime=0.0;"},
	{"readlink", FUSE_READLINK, .out = sizeof(FAKE_READLINK) - 1, .flags = VARIABLE,
		.calls = "readlink 7;"},
	{"symlink", FUSE_SYMLINK, TAIL("name\0to/where"), .out = 128, .flags = CHANGES,
		.calls = "symlink 7 name to/where;"},
	{"mknod", FUSE_MKNOD, FIXED(fuse_mknod_in, .mode = S_IFIFO | 0644, .umask = 022, .rdev = 0x12),
		TAIL("n"), .out = 128, .flags = CHANGES,
		.calls = "mknod 7 n mode=10644 umask=22 rdev=12 uid=1000;"},
	{"mkdir", FUSE_MKDIR, FIXED(fuse_mkdir_in, .mode = 01755, .umask = 022), TAIL("d"), .out = 128,
		.flags = CHANGES, .calls = "mkdir 7 d mode=41755 " MODES ";"},
	{"unlink", FUSE_UNLINK, TAIL("n"), .flags = CHANGES, .calls = "unlink 7 n;"},
	{"rmdir", FUSE_RMDIR, TAIL("n"), .flags = CHANGES, .calls = "rmdir 7 n;"},
	{"rename", FUSE_RENAME, FIXED(fuse_rename_in, .newdir = 8), TAIL("a\0b"), .flags = CHANGES,
		.calls = "rename 7 a 8 b flags=0;"},
	{"rename2", FUSE_RENAME2, FIXED(fuse_rename2_in, .newdir = 8, .flags = 2), TAIL("a\0b"),
		.flags = CHANGES, .calls = "rename 7 a 8 b flags=2;"},
	{"link", FUSE_LINK, FIXED(fuse_link_in, .oldnodeid = 8), TAIL("n"), .out = 128, .flags = CHANGES,
		.calls = "link 8 7 n;"},
	{"open", FUSE_OPEN, FIXED(fuse_open_in, .flags = O_RDONLY, .open_flags = FUSE_OPEN_KILL_SUIDGID),
		.out = 16, .calls = "open 7 flags=0 kill=1;"},
	{"open to write", FUSE_OPEN, FIXED(fuse_open_in, .flags = O_RDWR), .out = 16, .flags = CHANGES,
		.calls = "open 7 flags=2 kill=0;"},
	{"open to truncate", FUSE_OPEN, FIXED(fuse_open_in, .flags = O_TRUNC), .out = 16, .flags = CHANGES,
		.calls = "open 7 flags=1000 kill=0;"},
	{"create", FUSE_CREATE,
		FIXED(fuse_create_in, .flags = O_RDWR, .mode = S_IFREG | 0644, .umask = 022, .open_flags = 1),
		TAIL("n"), .out = 144, .flags = CHANGES,
		.calls = "create 7 n mode=100644 " MODES " flags=2 kill=1;"},
	{"tmpfile", FUSE_TMPFILE, FIXED(fuse_create_in, .flags = O_RDWR, .mode = 0600, .umask = 022),
		TAIL("/"), .out = 144, .flags = CHANGES, .calls = "tmpfile 7 mode=100600 " MODES " flags=2;"},
	{"read", FUSE_READ, FIXED(fuse_read_in, .fh = 9, .offset = 5, .size = 100, .flags = O_DIRECT),
		.out = 100, .flags = VARIABLE, .calls = "read 7 fh=9 off=5 len=100 flags=40000;"},
	{"write", FUSE_WRITE,
		FIXED(fuse_write_in, .fh = 9, .offset = 5, .size = 8, .write_flags = FUSE_WRITE_KILL_SUIDGID,
			.flags = 1),
		DATA("12345678"), .out = 8, .flags = CHANGES,
		.calls = "write 7 fh=9 off=5 len=8 flags=1 kill=1;"},
	{"statfs", FUSE_STATFS, .out = 80, .calls = "statfs 7;"},
	{"release", FUSE_RELEASE,
		FIXED(fuse_release_in, .fh = 9, .release_flags = FUSE_RELEASE_FLOCK_UNLOCK,
			.lock_owner = 0xab),
		.calls = "release 7 fh=9 flock=1 owner=ab;"},
	{"release and flush", FUSE_RELEASE,
		FIXED(fuse_release_in, .fh = 9, .release_flags = FUSE_RELEASE_FLUSH, .lock_owner = 0xab),
		.calls = "flush 7 fh=9 owner=ab;release 7 fh=9 flock=0 owner=ab;"},
	{"flush", FUSE_FLUSH, FIXED(fuse_flush_in, .fh = 9, .lock_owner = 0xab),
		.calls = "flush 7 fh=9 owner=ab;"},
	{"fsync", FUSE_FSYNC, FIXED(fuse_fsync_in, .fh = 9, .fsync_flags = 1),
		.calls = "fsync 7 fh=9 data=1;"},
	{"opendir", FUSE_OPENDIR, FIXED(fuse_open_in, .flags = O_DIRECTORY), .out = 16,
		.calls = "opendir 7 flags=200000;"},
	{"readdir", FUSE_READDIR, FIXED(fuse_read_in, .fh = FAKE_FH, .size = 4096), .flags = VARIABLE,
		.calls = ""},
	{"readdirplus", FUSE_READDIRPLUS, FIXED(fuse_read_in, .fh = FAKE_FH, .size = 4096), .flags = VARIABLE,
		.calls = ""},
	{"releasedir", FUSE_RELEASEDIR, FIXED(fuse_release_in, .fh = 9), .calls = "releasedir 7 fh=9;"},
	{"fsyncdir", FUSE_FSYNCDIR, FIXED(fuse_fsync_in, .fh = 9), .calls = "fsyncdir 7 fh=9 data=0;"},
	{"access", FUSE_ACCESS, FIXED(fuse_access_in, .mask = 4),
		.calls = "access 7 mask=4 gid=1001 pid=4242;"},
	{"setxattr", FUSE_SETXATTR,
		FIXED(fuse_setxattr_in, .size = 3, .flags = 1, .setxattr_flags = FUSE_SETXATTR_ACL_KILL_SGID),
		DATA("user.x\0abc"), .flags = CHANGES | XATTR,
		.calls = "setxattr 7 user.x=abc size=3 flags=1 kill=1;"},
	{"getxattr", FUSE_GETXATTR, FIXED(fuse_getxattr_in, .size = 64), TAIL("user.x"), .out = 5,
		.flags = VARIABLE | XATTR, .calls = "getxattr 7 user.x size=64;"},
	{"getxattr length", FUSE_GETXATTR, FIXED(fuse_getxattr_in, .size = 0), TAIL("user.x"), .out = 8,
		.flags = VARIABLE | XATTR, .calls = "getxattr 7 user.x size=0;"},
	{"listxattr", FUSE_LISTXATTR, FIXED(fuse_getxattr_in, .size = 64), .out = 14,
		.flags = VARIABLE | XATTR, .calls = "listxattr 7 size=64;"},
	{"listxattr length", FUSE_LISTXATTR, FIXED(fuse_getxattr_in, .size = 0), .out = 8,
		.flags = VARIABLE | XATTR, .calls = "listxattr 7 size=0;"},
	{"removexattr", FUSE_REMOVEXATTR, TAIL("user.x"), .flags = CHANGES | XATTR,
		.calls = "removexattr 7 user.x;"},
	{"getlk", FUSE_GETLK, FIXED(fuse_lk_in, .fh = 9, .owner = 0xab, .lk = {1, 2, F_WRLCK, 3}), .out = 24,
		.calls = "getlk 7 fh=9 owner=ab 1-2 type=1;"},
	{"setlk", FUSE_SETLK, FIXED(fuse_lk_in, .fh = 9, .owner = 0xab, .lk = {1, 2, F_RDLCK, 3}),
		.calls = "setlk 7 fh=9 owner=ab 1-2 type=0 pid=3 wait=0;"},
	{"setlkw", FUSE_SETLKW, FIXED(fuse_lk_in, .fh = 9, .owner = 0xab, .lk = {1, 2, F_WRLCK, 3}),
		.calls = "setlk 7 fh=9 owner=ab 1-2 type=1 pid=3 wait=1;"},
	{"flock without waiting", FUSE_SETLK,
		FIXED(fuse_lk_in, .fh = 9, .owner = 0xab, .lk = {.type = F_RDLCK}, .lk_flags = FUSE_LK_FLOCK),
		.calls = "flock 7 fh=9 owner=ab op=5;"},
	{"flock", FUSE_SETLKW,
		FIXED(fuse_lk_in, .fh = 9, .owner = 0xab, .lk = {.type = F_WRLCK}, .lk_flags = FUSE_LK_FLOCK),
		.calls = "flock 7 fh=9 owner=ab op=2;"},
	{"flock's end", FUSE_SETLKW,
		FIXED(fuse_lk_in, .fh = 9, .owner = 0xab, .lk = {.type = F_UNLCK}, .lk_flags = FUSE_LK_FLOCK),
		.calls = "flock 7 fh=9 owner=ab op=8;"},
	{"fallocate", FUSE_FALLOCATE, FIXED(fuse_fallocate_in, .fh = 9, .offset = 1, .length = 2, .mode = 3),
		.flags = CHANGES, .calls = "fallocate 7 fh=9 off=1 len=2 mode=3;"},
	{"lseek", FUSE_LSEEK, FIXED(fuse_lseek_in, .fh = 9, .offset = 5, .whence = 3), .out = 8,
		.calls = "lseek 7 fh=9 off=5 whence=3;"},
	{"copy_file_range", FUSE_COPY_FILE_RANGE,
		FIXED(fuse_copy_file_range_in, .fh_in = 1, .off_in = 2, .nodeid_out = 3, .fh_out = 4,
			.off_out = 5, .len = 1ULL << 40),
		.out = 8, .flags = CHANGES, .calls = "copy 7 fh=1 off=2 to 3 fh=4 off=5 len=2147479552;"},
	{"copy_file_range_64", FUSE_COPY_FILE_RANGE_64,
		FIXED(fuse_copy_file_range_in, .fh_in = 1, .off_in = 2, .nodeid_out = 3, .fh_out = 4,
			.off_out = 5, .len = 1ULL << 40),
		.out = 8, .flags = CHANGES, .calls = "copy 7 fh=1 off=2 to 3 fh=4 off=5 len=1099511627776;"},
	{"ioctl", FUSE_IOCTL,
		FIXED(fuse_ioctl_in, .fh = 9, .flags = FUSE_IOCTL_DIR, .cmd = 0x66, .arg = 0x77, .in_size = 3,
			.out_size = 8),
		DATA("abc"), .out = 20, .flags = VARIABLE,
		.calls = "ioctl 7 fh=9 cmd=66 arg=77 in=abc out=8 dir=1;"},
	{"syncfs", FUSE_SYNCFS, FIXED(fuse_syncfs_in, .padding = 0), .calls = "syncfs 7;"},
	{"destroy", FUSE_DESTROY, .calls = "destroy;"},
};

static void build(struct guest *g, const struct request *rq)
{
	guest_begin(g, rq->opcode, 7);
	guest_put(g, rq->fixed, rq->nfixed);
	guest_put(g, rq->tail, rq->ntail);
}

/* A live session with an empty log. */
static void start(struct guest *g, const struct fuse_session_config *cfg)
{
	guest_open(g, cfg);
	assert_int_equal(guest_init(g, FUSE_MINOR, ALL_FLAGS, NULL), 0);
	fake_clear(&g->fs);
}

static void start_default(struct guest *g)
{
	struct fuse_session_config cfg = guest_config();

	start(g, &cfg);
}

static void check_calls(const struct guest *g, const struct request *rq, const char *want)
{
	if (strcmp(g->fs.log, want))
		fail_msg("%s: called '%s', not '%s'", rq->name, g->fs.log, want);
}

static void check_good(struct guest *g, const struct request *rq, ssize_t r)
{
	ssize_t want = rq->flags & SILENT ? 0 : (ssize_t)(sizeof(struct fuse_out_header) + rq->out);

	if (r != want || g->reply.error)
		fail_msg("%s: answered %zd, error %d", rq->name, r, g->reply.error);
	check_calls(g, rq, rq->calls);
}

static void good_form_reaches_the_file_system(const struct request *rq)
{
	struct guest g;

	start_default(&g);
	build(&g, rq);
	check_good(&g, rq, guest_send(&g));
	assert_int_equal(fuse_session_requests(g.session, rq->opcode), 1);
	guest_close(&g);
}

static void single_bytes_make_no_difference(const struct request *rq)
{
	struct guest g;
	uint8_t whole[512];
	size_t n;

	start_default(&g);
	build(&g, rq);
	guest_send(&g);
	n = g.nbody;
	assert_true(n <= sizeof(whole));
	if (n)
		memcpy(whole, g.body, n);
	guest_close(&g);

	start_default(&g);
	g.pin = g.pout = 1;
	g.room = sizeof(struct fuse_out_header) + 200;
	if (rq->out > 200)
		g.room += rq->out;
	build(&g, rq);
	check_good(&g, rq, guest_send(&g));
	assert_int_equal(g.nbody, n);
	if (n)
		assert_memory_equal(g.body, whole, n);
	guest_close(&g);
}

static void one_byte_less_is_refused(const struct request *rq)
{
	struct guest g;
	ssize_t r;

	start_default(&g);
	build(&g, rq);
	g.len--;
	r = guest_send(&g);
	check_calls(&g, rq, "");
	if (rq->flags & SILENT)
		assert_int_equal(r, 0);
	else if (!rq->nfixed && !rq->ntail) /* then the header itself is cut */
		assert_int_equal(r, -EPROTO);
	else
		assert_int_equal(g.reply.error, -EINVAL);
	guest_close(&g);
}

static void lying_lengths_are_refused(const struct request *rq)
{
	static const int64_t lies[] = {1, 100000, -1000, INT32_MAX};
	struct guest g;

	start_default(&g);
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		build(&g, rq);
		g.len_lie = lies[i] > 0 ? lies[i] : -(int64_t)g.len + 39;
		guest_send(&g);
		check_calls(&g, rq, "");
		assert_int_equal(g.reply.error, rq->flags & SILENT ? 0 : -EINVAL);
	}
	guest_close(&g);
}

static void trailing_bytes_are_ignored(const struct request *rq)
{
	struct guest g;

	start_default(&g);
	build(&g, rq);
	guest_put(&g, "garbage", 7);
	check_good(&g, rq, guest_send(&g));
	guest_close(&g);
}

static void exact_room_is_enough(const struct request *rq)
{
	struct guest g;

	start_default(&g);
	build(&g, rq);
	g.room = rq->flags & SILENT ? 0 : sizeof(struct fuse_out_header) + rq->out;
	if (rq->opcode == FUSE_IOCTL)
		g.room += 4; /* it asked for more than it gets */
	if (rq->flags & VARIABLE && rq->flags & XATTR)
		g.room += 64; /* so did these */
	check_good(&g, rq, guest_send(&g));
	guest_close(&g);
}

/* What can't be answered isn't done: nobody would know of the inode or the handle. */
static void too_little_room_changes_nothing(const struct request *rq)
{
	struct guest g;

	if (!rq->out || rq->flags & VARIABLE)
		return;
	start_default(&g);
	build(&g, rq);
	g.room = sizeof(struct fuse_out_header) + rq->out - 1;
	assert_int_equal(guest_send(&g), sizeof(struct fuse_out_header));
	assert_int_equal(g.reply.error, -EINVAL);
	check_calls(&g, rq, "");
	guest_close(&g);
}

static void no_room_for_a_header_is_a_bad_chain(const struct request *rq)
{
	struct guest g;

	if (rq->flags & SILENT)
		return;
	start_default(&g);
	build(&g, rq);
	for (g.room = 0; g.room < sizeof(struct fuse_out_header); g.room++)
		assert_int_equal(guest_send(&g), -EPROTO);
	check_calls(&g, rq, "");
	guest_close(&g);
}

static void changes_on_a_readonly_share_are_refused(const struct request *rq)
{
	struct fuse_session_config cfg = guest_config();
	struct guest g;

	cfg.readonly = true;
	start(&g, &cfg);
	build(&g, rq);
	guest_send(&g);
	assert_int_equal(g.reply.error, rq->flags & CHANGES ? -EROFS : 0);
	check_calls(&g, rq, rq->flags & CHANGES ? "" : rq->calls);
	guest_close(&g);
}

static void without_xattr_its_requests_are_unknown(const struct request *rq)
{
	struct fuse_session_config cfg = guest_config();
	struct guest g;

	cfg.xattr = false;
	start(&g, &cfg);
	build(&g, rq);
	guest_send(&g);
	assert_int_equal(g.reply.error, rq->flags & XATTR ? -ENOSYS : 0);
	guest_close(&g);
}

/* Errors of the file system go to the guest as they are, and bring nothing with them. */
static void errors_pass_through(const struct request *rq)
{
	struct guest g;

	if (!*rq->calls || rq->flags & SILENT || rq->opcode == FUSE_DESTROY ||
		!strcmp(rq->name, "release and flush"))
		return;
	start_default(&g);
	build(&g, rq);
	g.fs.fail = EXDEV;
	assert_int_equal(guest_send(&g), sizeof(struct fuse_out_header));
	assert_int_equal(g.reply.error, -EXDEV);
	check_calls(&g, rq, rq->calls);
	guest_close(&g);
}

static void nothing_goes_ahead_of_init(const struct request *rq)
{
	struct fuse_session_config cfg = guest_config();
	struct guest g;

	guest_open(&g, &cfg);
	build(&g, rq);
	guest_send(&g);
	assert_int_equal(g.reply.error, rq->flags & SILENT || rq->opcode == FUSE_DESTROY ? 0 : -EIO);
	check_calls(&g, rq, "");
	guest_close(&g);
}

static void other_opcodes_are_unknown(void **state)
{
	static const uint32_t others[] = {0, 7, 19, FUSE_BMAP, FUSE_POLL, FUSE_SETUPMAPPING,
		FUSE_REMOVEMAPPING, FUSE_OPCODES, 4096, 436207616, UINT32_MAX};
	struct guest g;

	(void)state;
	start_default(&g);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		guest_begin(&g, others[i], 7);
		guest_put(&g, "0123456789012345678901234567890123456789", 40);
		assert_int_equal(guest_send(&g), sizeof(struct fuse_out_header));
		assert_int_equal(g.reply.error, -ENOSYS);
	}
	guest_begin(&g, FUSE_NOTIFY_REPLY, 7);
	assert_int_equal(guest_send(&g), 0);
	assert_string_equal(g.fs.log, "");
	assert_int_equal(fuse_session_requests(g.session, 4096), 4);
	guest_close(&g);
}

/* Each opcode with a handler has a case here. */
static void the_table_is_complete(void **state)
{
	static const uint32_t elsewhere[] = {FUSE_INIT, FUSE_INTERRUPT, FUSE_BMAP, FUSE_POLL,
		FUSE_NOTIFY_REPLY, FUSE_SETUPMAPPING, FUSE_REMOVEMAPPING, 0, 7, 19};
	bool seen[FUSE_OPCODES] = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(requests); i++)
		seen[requests[i].opcode] = true;
	for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++)
		seen[elsewhere[i]] = true;
	for (uint32_t op = 0; op < FUSE_OPCODES; op++)
		if (!seen[op])
			fail_msg("opcode %u is not tested", op);
}

typedef void request_test(const struct request *rq);

static void with_each_request(void **state)
{
	request_test *const *test = *state;

	for (size_t i = 0; i < ARRAY_LEN(requests); i++)
		(*test)(&requests[i]);
}

#define REQUEST_TEST(f)                                              \
	{                                                            \
#f, with_each_request, NULL, NULL, &(request_test *) \
		{                                                    \
			f                                            \
		}                                                    \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQUEST_TEST(good_form_reaches_the_file_system),
		REQUEST_TEST(single_bytes_make_no_difference),
		REQUEST_TEST(one_byte_less_is_refused),
		REQUEST_TEST(lying_lengths_are_refused),
		REQUEST_TEST(trailing_bytes_are_ignored),
		REQUEST_TEST(exact_room_is_enough),
		REQUEST_TEST(too_little_room_changes_nothing),
		REQUEST_TEST(no_room_for_a_header_is_a_bad_chain),
		REQUEST_TEST(changes_on_a_readonly_share_are_refused),
		REQUEST_TEST(without_xattr_its_requests_are_unknown),
		REQUEST_TEST(errors_pass_through),
		REQUEST_TEST(nothing_goes_ahead_of_init),
		cmocka_unit_test(other_opcodes_are_unknown),
		cmocka_unit_test(the_table_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
