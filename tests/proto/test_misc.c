/* SPDX-License-Identifier: BSD-3-Clause */
/* INIT and DESTROY, IOCTL, requests that nobody knows, groups of a caller. */
#include "test.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void init_negotiates(void **state)
{
	struct test *t = *state;
	const struct fuse_init_out *i = &t->vm.init;

	assert_int_equal(i->major, 7);
	assert_true(i->minor >= 31);
	assert_true(i->flags & FUSE_MAX_PAGES && i->flags & FUSE_BIG_WRITES && i->flags & FUSE_ASYNC_READ);
	assert_int_equal(i->flags & ~(uint32_t)VM_INIT_FLAGS, 0);
	assert_int_equal(i->flags2 & ~(uint32_t)((uint64_t)VM_INIT_FLAGS >> 32), 0);
	assert_true(i->max_pages >= 256);
	assert_true(i->max_write >= 1u << 20);
	assert_true(i->time_gran == 1);
}

static void destroy_then_init(void **state)
{
	struct test *t = *state;
	struct fuse_entry_out e;
	struct fuse_attr_out a;
	struct fc_file f = guest_create(t, "f", O_RDWR);
	char buf[4];

	LEN(fc_write(t->c, f, "old", 3, 0), 3);
	OK(fc_destroy(t->c));
	OK(vm_mount(&t->vm));
	assert_true(fc_getattr(t->c, f.node, f.fh, &a) < 0);
	assert_true(fc_read(t->c, f, buf, 3, 0) < 0);
	OK(fc_lookup(t->c, FUSE_ROOT_ID, t->name, &e));
	t->dir = e.nodeid;
	f = guest_open(t, "f", O_RDONLY);
	LEN(fc_read(t->c, f, buf, 4, 0), 3);
	OK(fc_release(t->c, f));
}

/* INIT anew without DESTROY, as a guest that was reset sends it; the old driver of Windows; a kernel of the
 * future. */
static void init_forms(void **state)
{
	static const struct {
		uint64_t flags;
		uint32_t minor;
	} form[] = {{FUSE_DO_READDIRPLUS | FUSE_MAX_PAGES, 31}, {VM_INIT_FLAGS, 99}, {~0ull, 45}};
	struct test *t = *state;
	struct fuse_init_out out;
	struct fuse_entry_out e;

	for (unsigned int i = 0; i < ARRAY_LEN(form); i++) {
		OK(fc_destroy(t->c));
		OK(fc_init_session(t->c, form[i].flags, form[i].minor, &out));
		assert_int_equal(out.major, 7);
		assert_int_equal(out.flags & ~(uint32_t)form[i].flags, 0);
		assert_int_equal(out.flags & FUSE_EXPORT_SUPPORT, 0);
		OK(fc_lookup(t->c, FUSE_ROOT_ID, t->name, &e));
	}
	OK(fc_init_session(t->c, t->vm.cfg.init_flags, t->vm.cfg.init_minor, &out));
	OK(fc_lookup(t->c, FUSE_ROOT_ID, t->name, &e));
}

/* One is never answered. */
static bool has_reply(uint32_t opcode)
{
	return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_NOTIFY_REPLY;
}

/* Every one, with arguments that would do for many: no, and nothing is made. */
static void requests_before_init(void **state)
{
	char zeros[128] = {[1] = 1, [64] = 'n', [66] = 't'};
	struct test *t = *state;
	struct fuse_entry_out e;

	OK(fc_destroy(t->c));
	for (uint32_t opcode = 0; opcode < 60; opcode++) {
		struct fc_op op = {.opcode = opcode, .node = FUSE_ROOT_ID, .arg = {{zeros, 128}}, .nargs = 1};

		op.read_len = 4096;
		op.no_reply = !has_reply(opcode);
		if (opcode == FUSE_INIT || opcode == FUSE_DESTROY)
			continue;
		if (op.no_reply)
			LEN(fc_call(t->c, &op), 0);
		else
			assert_true(fc_call(t->c, &op) < 0 && op.done && op.error != -EPROTO);
	}
	OK(vm_mount(&t->vm));
	OK(fc_lookup(t->c, FUSE_ROOT_ID, t->name, &e));
	t->dir = e.nodeid;
}

static int init_with(struct test *t, uint32_t major, uint32_t minor, struct fuse_init_out *out)
{
	struct fuse_init_in in = {.major = major, .minor = minor};
	struct fc_op op = {.opcode = FUSE_INIT, .arg = {{&in, sizeof(in)}}, .nargs = 1};

	op.reply = out;
	op.reply_len = sizeof(*out);
	return (int)fc_call(t->c, &op);
}

/* What is too old is refused, and leaves no session; what is too new hears what we speak, and asks again. */
static void init_of_other_times(void **state)
{
	static const uint32_t old[][2] = {{7, 26}, {7, 0}, {6, 39}, {0, 0}};
	struct test *t = *state;
	struct fuse_init_out out;
	struct fuse_entry_out e;

	for (unsigned int i = 0; i < ARRAY_LEN(old); i++) {
		ERR(init_with(t, old[i][0], old[i][1], &out), EPROTO);
		ERR(fc_lookup(t->c, FUSE_ROOT_ID, t->name, &e), EIO);
	}
	LEN(init_with(t, 8, 0, &out), sizeof(out));
	assert_int_equal(out.major, 7);
	ERR(fc_lookup(t->c, FUSE_ROOT_ID, t->name, &e), EIO);
	LEN(init_with(t, UINT32_MAX, UINT32_MAX, &out), sizeof(out));
	assert_int_equal(out.major, 7);
	OK(fc_destroy(t->c));
	OK(fc_destroy(t->c));
	OK(vm_mount(&t->vm));
	OK(fc_lookup(t->c, FUSE_ROOT_ID, t->name, &e));
	t->dir = e.nodeid;
}

static void unknown_requests(void **state)
{
	static const uint32_t opcode[] = {0, 7, 19, FUSE_BMAP, FUSE_POLL, FUSE_SETUPMAPPING,
		FUSE_REMOVEMAPPING, 60, 100, CUSE_INIT, 0x7fffffff, 0xffffffff, FUSE_INIT_BSWAP_RESERVED};
	struct test *t = *state;
	char zero[64] = {0};

	for (unsigned int i = 0; i < ARRAY_LEN(opcode); i++) {
		struct fc_op op = {
			.opcode = opcode[i], .node = FUSE_ROOT_ID, .arg = {{zero, 64}}, .nargs = 1};

		op.read_len = 256;
		ERR(fc_call(t->c, &op), ENOSYS);
	}
}

static void ioctl_file_flags(void **state)
{
	struct fuse_ioctl_in in = {.cmd = FS_IOC_GETFLAGS, .out_size = sizeof(int)};
	struct test *t = *state;
	struct fc_file f = guest_create(t, "f", O_RDWR);
	autofd int fd = openat(t->host, "f", O_RDONLY | O_CLOEXEC);
	int flags = 0, want = -1;

	if (ioctl(fd, FS_IOC_GETFLAGS, &want))
		skip(); /* a host file system without file flags */
	in.fh = f.fh;
	OK(fc_ioctl(t->c, f.node, &in, &flags));
	assert_int_equal(flags, want);
	in.cmd = FS_IOC_SETFLAGS;
	in.in_size = sizeof(int);
	in.out_size = 0;
	flags |= FS_NODUMP_FL;
	OK(fc_ioctl(t->c, f.node, &in, &flags));
	assert_int_equal(ioctl(fd, FS_IOC_GETFLAGS, &want), 0);
	assert_true(want & FS_NODUMP_FL);
	OK(fc_release(t->c, f));
}

static void ioctl_fsxattr(void **state)
{
	struct fuse_ioctl_in in = {.cmd = FS_IOC_FSGETXATTR, .out_size = sizeof(struct fsxattr)};
	struct test *t = *state;
	struct fc_file f = guest_create(t, "f", O_RDWR);
	autofd int fd = openat(t->host, "f", O_RDONLY | O_CLOEXEC);
	struct fsxattr x, want;

	if (ioctl(fd, FS_IOC_FSGETXATTR, &want))
		skip();
	in.fh = f.fh;
	OK(fc_ioctl(t->c, f.node, &in, &x));
	assert_memory_equal(&x, &want, sizeof(x));
	OK(fc_release(t->c, f));
}

/* Nothing else gets through to the host. */
static void ioctl_others(void **state)
{
	static const uint32_t cmd[] = {TCGETS, FIONREAD, FICLONE, FIFREEZE, 0, 0xffffffff};
	struct test *t = *state;
	struct fc_file f = guest_create(t, "f", O_RDWR);
	char arg[128] = {0};

	for (unsigned int i = 0; i < ARRAY_LEN(cmd); i++) {
		struct fuse_ioctl_in in = {.fh = f.fh, .cmd = cmd[i], .in_size = 64, .out_size = 64};
		int r = fc_ioctl(t->c, f.node, &in, arg);

		assert_true(r == -ENOTTY || r == -ENOSYS || r == -EINVAL || r == -EPERM || r == -EOPNOTSUPP);
	}
	OK(fc_release(t->c, f));
}

static void mkdir_with_group(struct test *t, uint32_t group, int want)
{
	struct {
		struct fuse_ext_header h;
		uint32_t nr, group;
	} ext = {{sizeof(ext), FUSE_EXT_GROUPS}, 1, group};
	struct fuse_mkdir_in in = {.mode = 0755};
	struct fuse_entry_out e;
	struct fc_op op = {.opcode = FUSE_MKDIR, .node = t->dir, .nargs = 3, .ext_len = sizeof(ext)};

	op.arg[0] = (struct iovec){&in, sizeof(in)};
	op.arg[1] = (struct iovec){(char[]){"group"}, 6}; /* what follows is not aligned */
	op.arg[2] = (struct iovec){&ext, sizeof(ext)};
	op.reply = &e;
	op.reply_len = sizeof(e);
	if (want)
		ERR(fc_call(t->c, &op), -want);
	else
		LEN(fc_call(t->c, &op), sizeof(e));
}

/* A user may create in a directory that only a supplementary group of his may write to. */
static void supplementary_group(void **state)
{
	struct test *t = *state;
	uint64_t flags = t->vm.cfg.init_flags | FUSE_CREATE_SUPP_GROUP;
	struct fuse_init_out out;
	struct fuse_entry_out e;

	OK(fc_destroy(t->c));
	OK(fc_init_session(t->c, flags, 38, &out));
	assert_true(out.flags2 & (uint32_t)(FUSE_CREATE_SUPP_GROUP >> 32));
	OK(fc_lookup(t->c, FUSE_ROOT_ID, t->name, &e));
	t->dir = e.nodeid;
	assert_int_equal(fchown(t->host, 0, 5555), 0);
	assert_int_equal(fchmod(t->host, 0770 | S_ISGID), 0);
	t->c->uid = t->c->gid = 1000;
	mkdir_with_group(t, 5555, 0);
	assert_int_equal(host_stat(t->host, "group").st_gid, 5555);
	assert_int_equal(host_stat(t->host, "group").st_uid, 1000);
	t->c->uid = t->c->gid = 0;
	OK(fc_destroy(t->c));
	OK(vm_mount(&t->vm));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(init_negotiates),
		TEST(destroy_then_init),
		TEST(init_forms),
		TEST(requests_before_init),
		TEST(init_of_other_times),
		TEST(unknown_requests),
		TEST(ioctl_file_flags),
		TEST(ioctl_fsxattr),
		TEST(ioctl_others),
		TEST(supplementary_group),
	};

	return TEST_RUN(tests, TEST_ALL, NULL, NULL);
}
