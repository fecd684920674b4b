/* SPDX-License-Identifier: BSD-3-Clause */
/* Ids and names of attributes that differ between guest and host, at every door of the file system. */
#include "fs_share.h"

#include <endian.h>
#include <sys/xattr.h>

#include "fs/idmap.h"
#include "fs/xattrmap.h"

#define ACCESS_ACL "system.posix_acl_access"

/* The guest's 0 ... 999 are 5000 ... on the host; 77 is forbidden. */
struct maps {
	struct idmap *ids;
	struct xattrmap *names;
};

static struct idmap *make_ids(void)
{
	struct idmap *m = idmap_new();

	assert_non_null(m);
	assert_int_equal(idmap_add(m, "map:0:5000:77", NULL), 0);
	assert_int_equal(idmap_add(m, "map:78:5078:922", NULL), 0);
	assert_int_equal(idmap_add(m, "forbid-guest:77:1", NULL), 0);
	return m;
}

static void translated_share(struct share *s, struct maps *m, const char *rules)
{
	struct fs_config cfg = share_config();
	struct err err = {0};

	fixture_need_root();
	*m = (struct maps){.ids = make_ids()};
	if (rules && xattrmap_new(rules, &m->names, &err))
		fail_msg("%s", err.text);
	cfg.uids = cfg.gids = m->ids;
	cfg.xattrmap = m->names;
	share_new(s, cfg);
}

static void translated_free(struct share *s, struct maps *m)
{
	share_free(s);
	idmap_free(m->ids);
	xattrmap_free(m->names);
}

static void expect_owner(struct share *s, const char *name, uint32_t uid, uint32_t gid)
{
	struct stat st = share_host_stat(s, name);
	struct op_entry e;

	assert_int_equal(st.st_uid, 5000 + uid);
	assert_int_equal(st.st_gid, 5000 + gid);
	assert_int_equal(fs_op_lookup(s->fs, &s->c, NODEID_ROOT, name, &e), 0);
	assert_int_equal(e.st.stx_uid, uid);
	assert_int_equal(e.st.stx_gid, gid);
	assert_int_equal(fs_op_getattr(s->fs, &s->c, e.node, OP_NO_HANDLE, STATX_BASIC_STATS, &e), 0);
	assert_int_equal(e.st.stx_uid, uid);
	assert_int_equal(e.st.stx_gid, gid);
}

/* What is made belongs to the caller, as he is known on either side, in the answer too. */
static void test_create(void **state)
{
	struct op_mode reg = {.mode = S_IFREG | 0644}, dir = {.mode = S_IFDIR | 0755};
	struct op_entry e;
	struct op_fh fh;
	struct share s;
	struct maps m;

	(void)state;
	translated_share(&s, &m, NULL);
	s.c.uid = 10;
	s.c.gid = 20;
	assert_int_equal(fs_op_mknod(s.fs, &s.c, NODEID_ROOT, "node", &reg, &e), 0);
	assert_int_equal(e.st.stx_uid, 10);
	assert_int_equal(fs_op_mkdir(s.fs, &s.c, NODEID_ROOT, "dir", &dir, &e), 0);
	assert_int_equal(e.st.stx_gid, 20);
	assert_int_equal(fs_op_symlink(s.fs, &s.c, NODEID_ROOT, "link", "x", &e), 0);
	assert_int_equal(fs_op_create(s.fs, &s.c, NODEID_ROOT, "file", &reg, O_RDWR, 0, &e, &fh), 0);
	assert_int_equal(e.st.stx_uid, 10);
	assert_int_equal(e.st.stx_gid, 20);
	for (int i = 0; i < 4; i++)
		expect_owner(&s, (const char *[]){"node", "dir", "link", "file"}[i], 10, 20);
	assert_int_equal(share_release(&s, e.node, fh), 0);
	translated_free(&s, &m);
}

/* The further group is the host's too: the file of a directory with SGID keeps SGID for its members alone. */
static void test_groups(void **state)
{
	struct op_mode reg = {.mode = S_IFREG | 02775};
	uint32_t supp[] = {30};
	struct op_entry e;
	struct share s;
	struct maps m;

	(void)state;
	translated_share(&s, &m, NULL);
	assert_int_equal(chown(s.dir, 5000, 5030), 0);
	assert_int_equal(chmod(s.dir, 02777), 0);
	s.c.uid = 10;
	s.c.gid = 20;
	assert_int_equal(fs_op_mknod(s.fs, &s.c, NODEID_ROOT, "other", &reg, &e), 0);
	assert_int_equal(share_host_stat(&s, "other").st_mode & 07777, 0775);
	s.c.nsupp = 1;
	s.c.supp = supp;
	assert_int_equal(fs_op_mknod(s.fs, &s.c, NODEID_ROOT, "member", &reg, &e), 0);
	assert_int_equal(share_host_stat(&s, "member").st_mode & 07777, 02775);
	expect_owner(&s, "member", 10, 30);
	supp[0] = 77;
	assert_int_equal(fs_op_mknod(s.fs, &s.c, NODEID_ROOT, "no", &reg, &e), -EPERM);
	translated_free(&s, &m);
}

static void test_setattr(void **state)
{
	struct op_setattr a = {.valid = OP_SET_UID | OP_SET_GID, .uid = 10, .gid = 20};
	struct op_entry e;
	struct nodeid n;
	struct share s;
	struct maps m;

	(void)state;
	translated_share(&s, &m, NULL);
	share_host_write(&s, "f", "x");
	n = share_lookup(&s, "f");
	assert_int_equal(fs_op_setattr(s.fs, &s.c, n, OP_NO_HANDLE, &a, &e), 0);
	assert_int_equal(e.st.stx_uid, 10);
	expect_owner(&s, "f", 10, 20);
	a = (struct op_setattr){.valid = OP_SET_GID, .uid = 77, .gid = 21};
	assert_int_equal(fs_op_setattr(s.fs, &s.c, n, OP_NO_HANDLE, &a, &e), 0);
	expect_owner(&s, "f", 10, 21);
	a = (struct op_setattr){.valid = OP_SET_UID, .uid = 77};
	assert_int_equal(fs_op_setattr(s.fs, &s.c, n, OP_NO_HANDLE, &a, &e), -EPERM);
	a = (struct op_setattr){.valid = OP_SET_GID, .gid = 77};
	assert_int_equal(fs_op_setattr(s.fs, &s.c, n, OP_NO_HANDLE, &a, &e), -EPERM);
	a.gid = UINT32_MAX;
	assert_int_equal(fs_op_setattr(s.fs, &s.c, n, OP_NO_HANDLE, &a, &e), -EINVAL);
	expect_owner(&s, "f", 10, 21);
	translated_free(&s, &m);
}

/* Forbidden ids make nothing, with or without the right to act as others. */
static void test_forbidden(void **state)
{
	struct op_mode reg = {.mode = S_IFREG | 0644};
	struct op_entry e;
	struct op_fh fh;
	struct share s;
	struct maps m;

	(void)state;
	translated_share(&s, &m, NULL);
	s.c.uid = 77;
	assert_int_equal(fs_op_mknod(s.fs, &s.c, NODEID_ROOT, "no", &reg, &e), -EPERM);
	assert_int_equal(fs_op_create(s.fs, &s.c, NODEID_ROOT, "no", &reg, O_RDWR, 0, &e, &fh), -EPERM);
	assert_int_equal(fs_op_access(s.fs, &s.c, NODEID_ROOT, R_OK), -EPERM);
	s.c.uid = 1;
	s.c.gid = 77;
	assert_int_equal(fs_op_mkdir(s.fs, &s.c, NODEID_ROOT, "no", &reg, &e), -EPERM);
	assert_int_equal(faccessat(s.dirfd, "no", F_OK, 0), -1);
	translated_free(&s, &m);
}

/* ACCESS is judged by who the caller is on the host. */
static void test_access(void **state)
{
	struct nodeid n;
	struct share s;
	struct maps m;

	(void)state;
	translated_share(&s, &m, NULL);
	share_host_write(&s, "f", "x");
	assert_int_equal(fchownat(s.dirfd, "f", 5010, 5010, 0), 0);
	assert_int_equal(fchmodat(s.dirfd, "f", 0600, 0), 0);
	n = share_lookup(&s, "f");
	s.c.uid = s.c.gid = 10;
	assert_int_equal(fs_op_access(s.fs, &s.c, n, R_OK | W_OK), 0);
	s.c.uid = s.c.gid = 11;
	assert_int_equal(fs_op_access(s.fs, &s.c, n, R_OK), -EACCES);
	s.c.uid = s.c.gid = 0;
	assert_int_equal(fs_op_access(s.fs, &s.c, n, R_OK | W_OK), 0);
	translated_free(&s, &m);
}

/* u::rw-, u:ID:rw-, g::r--, g:ID:r--, m::rw-, o::--- */
struct acl {
	uint32_t version;
	uint32_t entry[6][2];
};

static struct acl acl_of(uint32_t user, uint32_t group)
{
	return (struct acl){.version = htole32(2),
		.entry = {{htole32(0x60001), UINT32_MAX}, {htole32(0x60002), htole32(user)},
			{htole32(0x40004), UINT32_MAX}, {htole32(0x40008), htole32(group)},
			{htole32(0x60010), UINT32_MAX}, {htole32(0x00020), UINT32_MAX}}};
}

static void test_acl(void **state)
{
	struct op_features features = {.posix_acl = true};
	struct acl guest = acl_of(10, 20), host = acl_of(5010, 5020), got;
	char path[128];
	struct nodeid n;
	struct share s;
	struct maps m;
	int r;

	(void)state;
	translated_share(&s, &m, NULL);
	share_host_write(&s, "f", "x");
	n = share_lookup(&s, "f");
	assert_int_equal(fs_op_setxattr(s.fs, &s.c, n, ACCESS_ACL, &guest, sizeof(guest), 0, 0), -EOPNOTSUPP);
	assert_int_equal(fs_ops.init(s.fs, &features), 0);
	r = fs_op_setxattr(s.fs, &s.c, n, ACCESS_ACL, &guest, sizeof(guest), 0, 0);
	if (r == -EOPNOTSUPP) {
		print_message("skipped: no ACLs here\n");
		translated_free(&s, &m);
		skip();
	}
	assert_int_equal(r, 0);
	snprintf(path, sizeof(path), "%s/f", s.dir);
	assert_int_equal(getxattr(path, ACCESS_ACL, &got, sizeof(got)), sizeof(got));
	assert_memory_equal(&got, &host, sizeof(got));
	assert_int_equal(fs_op_getxattr(s.fs, &s.c, n, ACCESS_ACL, NULL, 0), sizeof(got));
	assert_int_equal(fs_op_getxattr(s.fs, &s.c, n, ACCESS_ACL, &got, sizeof(got)), sizeof(got));
	assert_memory_equal(&got, &guest, sizeof(got));
	got = acl_of(77, 20);
	assert_int_equal(fs_op_setxattr(s.fs, &s.c, n, ACCESS_ACL, &got, sizeof(got), 0, 0), -EPERM);
	assert_int_equal(fs_op_setxattr(s.fs, &s.c, n, ACCESS_ACL, &guest, 7, 0, 0), -EINVAL);
	assert_int_equal(fs_op_setxattr(s.fs, &s.c, n, ACCESS_ACL, NULL, 0, 0, 0), 0);
	translated_free(&s, &m);
}

/* Skips where the directory takes no attributes user.*. */
static void need_user_xattr(struct share *s, struct maps *m)
{
	if (!setxattr(s->dir, "user.x", "x", 1, 0) && !removexattr(s->dir, "user.x"))
		return;
	print_message("skipped: no user.* here\n");
	translated_free(s, m);
	skip();
}

static void test_names(void **state)
{
	char list[256], value[16], path[128];
	struct nodeid n;
	struct share s;
	struct maps m;

	(void)state;
	translated_share(&s, &m, ":map:trusted.:user.virtiofs.:");
	need_user_xattr(&s, &m);
	share_host_write(&s, "f", "x");
	n = share_lookup(&s, "f");
	snprintf(path, sizeof(path), "%s/f", s.dir);
	assert_int_equal(fs_op_setxattr(s.fs, &s.c, n, "trusted.a", "v", 1, 0, 0), 0);
	assert_int_equal(getxattr(path, "user.virtiofs.trusted.a", value, sizeof(value)), 1);
	assert_int_equal(fs_op_getxattr(s.fs, &s.c, n, "trusted.a", value, sizeof(value)), 1);
	assert_int_equal(fs_op_getxattr(s.fs, &s.c, n, "user.virtiofs.trusted.a", value, 16), -EPERM);
	assert_int_equal(fs_op_setxattr(s.fs, &s.c, n, "user.virtiofs.trusted.b", "v", 1, 0, 0), -EPERM);
	assert_int_equal(fs_op_removexattr(s.fs, &s.c, n, "user.virtiofs.trusted.a"), -EPERM);
	assert_int_equal(fs_op_setxattr(s.fs, &s.c, n, "user.b", "v", 1, 0, 0), 0);
	assert_int_equal(
		fs_op_listxattr(s.fs, &s.c, n, list, sizeof(list)), sizeof("trusted.a") + sizeof("user.b"));
	s.c.uid = 10;
	assert_int_equal(fs_op_listxattr(s.fs, &s.c, n, list, sizeof(list)), sizeof("user.b"));
	assert_string_equal(list, "user.b");
	s.c.uid = 0;
	assert_int_equal(fs_op_removexattr(s.fs, &s.c, n, "trusted.a"), 0);
	assert_int_equal(listxattr(path, list, sizeof(list)), sizeof("user.b"));
	translated_free(&s, &m);
}

struct change {
	struct share *s;
	struct nodeid node;
	struct op_fh fh;
};

static int do_write(struct change *x)
{
	return share_write(x->s, x->node, x->fh, "new", 0, O_RDWR) == 3 ? 0 : -1;
}

static int do_truncate(struct change *x)
{
	struct op_setattr a = {.valid = OP_SET_SIZE};
	struct op_entry e;

	return fs_op_setattr(x->s->fs, &x->s->c, x->node, OP_NO_HANDLE, &a, &e);
}

static int do_chown(struct change *x)
{
	struct op_setattr a = {.valid = OP_SET_UID, .uid = 3};
	struct op_entry e;

	return fs_op_setattr(x->s->fs, &x->s->c, x->node, x->fh, &a, &e);
}

static int do_fallocate(struct change *x)
{
	return fs_op_fallocate(x->s->fs, &x->s->c, x->node, x->fh, 0, 4096, 0);
}

static int do_open(struct change *x)
{
	struct op_fh fh;
	int r = fs_op_open(x->s->fs, &x->s->c, x->node, O_WRONLY | O_TRUNC, 0, &fh);

	return r ? r : share_release(x->s, x->node, fh);
}

static int do_copy(struct change *x)
{
	struct op_copy copy = {
		.in = x->node, .in_fh = x->fh, .out = x->node, .out_fh = x->fh, .out_off = 4096, .len = 1};

	return fs_op_copy_file_range(x->s->fs, &x->s->c, &copy) == 1 ? 0 : -1;
}

static int do_chmod(struct change *x)
{
	struct op_setattr a = {.valid = OP_SET_MODE, .mode = 0755};
	struct op_entry e;

	return fs_op_setattr(x->s->fs, &x->s->c, x->node, x->fh, &a, &e);
}

/* Capabilities that lie under another name go with every change that the kernel takes its own away at. */
static void test_capability(void **state)
{
	static int (*const changes[])(struct change *) = {
		do_write, do_truncate, do_chown, do_fallocate, do_open, do_copy};
	struct open_file f;
	char value[16];
	struct share s;
	struct maps m;

	(void)state;
	translated_share(&s, &m, ":map::user.virtiofs.:");
	need_user_xattr(&s, &m);
	f = share_file(&s, "f", "text", O_RDWR);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct change x = {&s, f.node, f.fh};

		share_host_write(&s, "f", "text");
		assert_int_equal(fs_op_setxattr(s.fs, &s.c, f.node, "security.capability", "c", 1, 0, 0), 0);
		assert_int_equal(do_chmod(&x), 0);
		assert_int_equal(fs_op_getxattr(s.fs, &s.c, f.node, "security.capability", value, 16), 1);
		assert_int_equal(changes[i](&x), 0);
		assert_int_equal(
			fs_op_getxattr(s.fs, &s.c, f.node, "security.capability", value, 16), -ENODATA);
		assert_int_equal(changes[i](&x), 0); /* and without any */
	}
	assert_int_equal(share_release(&s, f.node, f.fh), 0);
	translated_free(&s, &m);
}

/* The label that comes with a new file lies where the guest will ask for it. */
static void test_label(void **state)
{
	struct op_features features = {.security_ctx = true};
	struct op_mode m = {.mode = S_IFREG | 0644,
		.secctx_name = "security.selinux",
		.secctx = "label",
		.secctx_len = 5};
	struct op_entry e;
	struct op_fh fh;
	char value[16];
	struct share s;
	struct maps maps;

	(void)state;
	translated_share(&s, &maps, ":map:security.:user.virtiofs.:");
	need_user_xattr(&s, &maps);
	assert_int_equal(fs_ops.init(s.fs, &features), 0);
	assert_int_equal(fs_op_create(s.fs, &s.c, NODEID_ROOT, "f", &m, O_RDWR, 0, &e, &fh), 0);
	assert_int_equal(fs_op_getxattr(s.fs, &s.c, e.node, "security.selinux", value, sizeof(value)), 5);
	assert_int_equal(share_release(&s, e.node, fh), 0);
	assert_int_equal(fs_op_mknod(s.fs, &s.c, NODEID_ROOT, "g", &m, &e), 0);
	assert_int_equal(fs_op_getxattr(s.fs, &s.c, e.node, "security.selinux", value, sizeof(value)), 5);
	translated_free(&s, &maps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_setattr),
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_acl),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_capability),
		cmocka_unit_test(test_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
