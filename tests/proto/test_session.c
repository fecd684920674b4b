/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests whose form or meaning changes with what FUSE_INIT negotiated. */
#include "test.h"

#include <sys/xattr.h>

#define LABEL_NAME "security.colofs"
#define LABEL	   "a_label:with_parts"

static uint64_t suid_file(struct test *t)
{
	host_write_file(t->host, "s", "12345", 5);
	assert_int_equal(fchmodat(t->host, "s", 06755, 0), 0);
	return guest_lookup(t, "s");
}

static uint32_t suid_bits(struct test *t)
{
	return host_stat(t->host, "s").st_mode & 06000;
}

/* SUID and SGID go when the guest says so, and not else: its kernel knows who writes. */
static void kill_on_write(void **state)
{
	struct test *t = *state;
	struct fc_file f = {.node = suid_file(t)};
	struct fuse_open_out o;
	struct fuse_write_in in;
	struct fc_op op;

	OK(fc_open(t->c, f.node, O_RDWR, &o));
	f.fh = o.fh;
	LEN(fc_write(t->c, f, "x", 1, 0), 1);
	assert_int_equal(suid_bits(t), 06000);
	fc_op_write(&op, &in, f, 1, 0);
	op.data = "y";
	in.write_flags = FUSE_WRITE_KILL_SUIDGID;
	LEN(fc_call(t->c, &op), sizeof(struct fuse_write_out));
	assert_int_equal(suid_bits(t), 0);
	OK(fc_release(t->c, f));
}

static void kill_on_truncate(void **state)
{
	struct fuse_setattr_in in = {.valid = FATTR_SIZE, .size = 3};
	struct test *t = *state;
	uint64_t node = suid_file(t);
	struct fuse_attr_out a;

	OK(fc_setattr(t->c, node, &in, &a));
	assert_int_equal(suid_bits(t), 06000);
	in = (struct fuse_setattr_in){.valid = FATTR_SIZE | FATTR_KILL_SUIDGID, .size = 2};
	OK(fc_setattr(t->c, node, &in, &a));
	assert_int_equal(suid_bits(t), 0);
	assert_int_equal(a.attr.mode & 06000, 0);
	host_expect_file(t->host, "s", "12", 2);
}

static void kill_on_open(void **state)
{
	struct fuse_open_in in = {.flags = O_WRONLY | O_TRUNC, .open_flags = FUSE_OPEN_KILL_SUIDGID};
	struct test *t = *state;
	struct fuse_open_out o;
	struct fc_op op = {.opcode = FUSE_OPEN, .node = suid_file(t), .nargs = 1};

	op.arg[0] = (struct iovec){&in, sizeof(in)};
	op.reply = &o;
	op.reply_len = sizeof(o);
	LEN(fc_call(t->c, &op), sizeof(o));
	assert_int_equal(suid_bits(t), 0);
	assert_int_equal(host_stat(t->host, "s").st_size, 0);
}

/* One label, as it lies behind the arguments. */
struct label_ext {
	struct fuse_secctx_header h;
	struct fuse_secctx ctx;
	char text[40]; /* name and label, zero to a multiple of 8 */
};

static void expect_label(struct test *t, const char *name)
{
	char path[600], value[64];

	snprintf(path, sizeof(path), "%s/%s/%s", t->vm.daemon.share_path, t->name, name);
	LEN(lgetxattr(path, LABEL_NAME, value, sizeof(value)), sizeof(LABEL) - 1);
	assert_memory_equal(value, LABEL, sizeof(LABEL) - 1);
}

static void labels_of_new_files(void **state)
{
	struct label_ext ext = {{sizeof(ext), 1}, {sizeof(LABEL) - 1, 0}, LABEL_NAME "\0" LABEL};
	struct fuse_mkdir_in mk = {.mode = 0755};
	struct fuse_mknod_in nod = {.mode = S_IFREG | 0644};
	struct fuse_create_in cr = {.flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0644};
	struct test *t = *state;
	struct fc_op op[] = {
		{.opcode = FUSE_MKDIR, .arg = {{&mk, sizeof(mk)}, {(char[]){"dir"}, 4}}},
		{.opcode = FUSE_MKNOD, .arg = {{&nod, sizeof(nod)}, {(char[]){"nod"}, 4}}},
		{.opcode = FUSE_CREATE, .arg = {{&cr, sizeof(cr)}, {(char[]){"new"}, 4}}},
		{.opcode = FUSE_SYMLINK, .arg = {{(char[]){"sym"}, 4}, {(char[]){"to"}, 3}}},
	};

	assert_true(t->vm.init.flags2 & (uint32_t)(FUSE_SECURITY_CTX >> 32));
	for (unsigned int i = 0; i < ARRAY_LEN(op); i++) {
		struct fc_created out;

		op[i].node = t->dir;
		op[i].arg[2] = (struct iovec){&ext, sizeof(ext)};
		op[i].nargs = 3;
		op[i].ext_len = sizeof(ext);
		op[i].reply = &out;
		op[i].reply_len = op[i].opcode == FUSE_CREATE ? sizeof(out) : sizeof(out.entry);
		LEN(fc_call(t->c, &op[i]), op[i].reply_len);
	}
	expect_label(t, "dir");
	expect_label(t, "nod");
	expect_label(t, "new");
	expect_label(t, "sym");
}

/* SETXATTR in its longer form. */
static void setxattr_ext(void **state)
{
	struct fuse_setxattr_in in = {.size = 3};
	struct test *t = *state;
	struct fc_op op = {.opcode = FUSE_SETXATTR, .node = t->dir, .nargs = 2, .data = "abc", .data_len = 3};
	char value[8];

	assert_true(t->vm.init.flags & FUSE_SETXATTR_EXT);
	op.arg[0] = (struct iovec){&in, sizeof(in)};
	op.arg[1] = (struct iovec){(char[]){"user.x"}, 7};
	LEN(fc_call(t->c, &op), 0);
	LEN(fgetxattr(t->host, "user.x", value, sizeof(value)), 3);
	assert_memory_equal(value, "abc", 3);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(kill_on_write),
		TEST(kill_on_truncate),
		TEST(kill_on_open),
		TEST(labels_of_new_files),
		TEST(setxattr_ext),
	};
	static const struct vm_config cfg = {.init_flags = VM_INIT_FLAGS | FUSE_HANDLE_KILLPRIV_V2 |
							   FUSE_SECURITY_CTX | FUSE_SETXATTR_EXT};
	static const char *const args[] = {"--killpriv-v2", "--security-label", "--modcaps=+sys_admin", NULL};
	static const struct spawn_config spawn = {.args = args};

	return TEST_RUN(tests, TEST_ALL, &cfg, &spawn);
}
