/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest's state from one file system to another: what arrives, and what a stream of somebody else's may
 * not. */
#include "lock_share.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "fs/idmap.h"
#include "fs/migrate_records.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#define HEAD                                  \
	{                                     \
		.magic = 0x1234, .version = 1 \
	}

static int load_all(struct share *to, int fd, int hurry)
{
	struct stream_head want = HEAD;
	struct fs_load *l = fs_load_begin(to->fs);
	static struct stream in;
	struct cursor payload;
	struct err err = {0};
	uint32_t kind;
	int r;

	assert_int_equal(stream_open(&in, fd, hurry, &want, &err), 0);
	while ((r = stream_get(&in, &kind, &payload, &err)) > 0) {
		r = fs_load(l, kind, payload, &err);
		if (r)
			break;
	}
	if (r) {
		assert_true(strlen(err.text) > 0);
		fs_ops.destroy(to->fs);
	}
	fs_load_end(l);
	return r;
}

/* 0, or what loading says. */
static int migrate(struct share *from, struct share *to)
{
	const struct stream_head head = HEAD;
	autofd int fd = memfd_create("state", MFD_CLOEXEC), hurry = eventfd(0, EFD_CLOEXEC);
	struct path_table *paths = NULL;
	static struct stream out;
	_Atomic bool stop = false;
	struct err err;

	stream_start(&out, fd, hurry, &head);
	fs_save(from->fs, &paths, &out, &stop);
	assert_int_equal(stream_finish(&out, &err), 0);
	fs_paths_drop(&paths);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return load_all(to, fd, hurry);
}

/* Another file system on the same directory. */
static void beside(struct share *to, const struct share *from, enum fs_handles handles)
{
	struct fs_config cfg = share_config();

	cfg.handles = handles;
	share_over(to, cfg, from->dir);
}

static void expect_read(struct share *s, struct open_file f, uint64_t off, const char *text)
{
	char buf[64] = {0};

	assert_int_equal(share_read(s, f.node, f.fh, buf, strlen(text), off), strlen(text));
	assert_memory_equal(buf, text, strlen(text));
}

static uint64_t size_of(struct share *s, struct nodeid node)
{
	struct op_entry e;

	assert_int_equal(fs_op_getattr(s->fs, &s->c, node, OP_NO_HANDLE, 0, &e), 0);
	return e.st.stx_size;
}

/* An open file without a name takes its data along, holes as holes; twice, and to a copy. */
static void test_nameless(void **state)
{
	struct share a, b, c;
	struct open_file f;
	struct op_entry e;

	(void)state;
	share_new(&a, share_config());
	f = share_file(&a, "f", "begin", O_RDWR);
	assert_int_equal(share_write(&a, f.node, f.fh, "far", (1 << 30) + 7, 0), 3);
	assert_int_equal(fchmodat(a.dirfd, "f", 04750, 0), 0);
	assert_int_equal(unlinkat(a.dirfd, "f", 0), 0);
	beside(&b, &a, FS_HANDLES_PREFER);
	assert_int_equal(migrate(&a, &b), 0);
	fs_ops.destroy(a.fs);
	expect_read(&b, f, 0, "begin");
	share_new(&c, share_config());
	assert_int_equal(migrate(&b, &c), 0);
	share_leave(&b);
	expect_read(&c, f, 0, "begin");
	expect_read(&c, f, (1 << 30) + 7, "far");
	assert_int_equal(size_of(&c, f.node), (1 << 30) + 10);
	assert_int_equal(fs_op_getattr(c.fs, &c.c, f.node, f.fh, 0, &e), 0);
	assert_int_equal(e.st.stx_mode, S_IFREG | 04750);
	assert_int_equal(e.st.stx_nlink, 0);
	assert_true(e.st.stx_blocks < 2048);
	assert_int_equal(share_write(&c, f.node, f.fh, "more", 5, 0), 4);
	expect_read(&c, f, 0, "beginmore");
	share_release(&c, f.node, f.fh);
	share_free(&c);
	share_free(&a);
}

/* Much of it: more than a record holds. */
static void test_nameless_long(void **state)
{
	enum { LEN = 100000 };
	static char text[LEN + 1], got[LEN];
	struct open_file f;
	struct share a, b;

	(void)state;
	share_new(&a, share_config());
	for (int i = 0; i < LEN; i++)
		text[i] = (char)('a' + i % 23);
	f = share_file(&a, "f", text, O_RDONLY);
	assert_int_equal(unlinkat(a.dirfd, "f", 0), 0);
	beside(&b, &a, FS_HANDLES_NEVER);
	assert_int_equal(migrate(&a, &b), 0);
	assert_int_equal(share_read(&b, f.node, f.fh, got, LEN, 0), LEN);
	assert_memory_equal(got, text, LEN);
	share_leave(&b);
	share_free(&a);
}

/* Nobody needs what has no name and is not open, or a removed directory: no reason to fail. */
static void test_gone(void **state)
{
	struct nodeid file, dir;
	struct op_entry e;
	struct share a, b;
	struct op_fh fh;

	(void)state;
	share_new(&a, share_config());
	share_host_write(&a, "f", "text");
	assert_int_equal(mkdirat(a.dirfd, "d", 0755), 0);
	file = share_lookup(&a, "f");
	dir = share_lookup(&a, "d");
	assert_int_equal(fs_op_opendir(a.fs, &a.c, dir, 0, &fh), 0);
	assert_int_equal(unlinkat(a.dirfd, "f", 0), 0);
	assert_int_equal(unlinkat(a.dirfd, "d", AT_REMOVEDIR), 0);
	beside(&b, &a, FS_HANDLES_PREFER);
	assert_int_equal(migrate(&a, &b), 0);
	assert_int_equal(fs_op_getattr(b.fs, &b.c, file, OP_NO_HANDLE, 0, &e), -ESTALE);
	assert_int_equal(fs_op_dir_lock(b.fs, dir, fh), -EBADF);
	share_host_write(&a, "new", "text");
	assert_int_not_equal(share_lookup(&b, "new").v, file.v);
	assert_int_not_equal(share_lookup(&b, "new").v, dir.v);
	share_leave(&b);
	share_free(&a);
}

/* A lock of an open file description goes with its handle, there as here; one of a process with its FLUSH. */
static void test_lock_owners(void **state)
{
	struct open_file f, ofd;
	struct share a, b;

	(void)state;
	share_new(&a, share_config());
	f = share_file(&a, "f", "text", O_RDWR);
	ofd = (struct open_file){f.node, share_open(&a, f.node, O_RDWR)};
	assert_int_equal(set(&a, &f, 1, F_RDLCK, 0, 9), 0);
	assert_int_equal(set(&a, &f, 1, F_WRLCK, 20, 29), 0);
	assert_int_equal(set(&a, &ofd, 2, F_WRLCK, 40, 49), 0);
	beside(&b, &a, FS_HANDLES_PREFER);
	assert_int_equal(migrate(&a, &b), 0);
	assert_int_equal(get(&b, &f, 3, F_WRLCK, 0, 0).type, F_RDLCK);
	assert_int_equal(get(&b, &f, 3, F_WRLCK, 20, 20).pid, 10);
	assert_int_equal(get(&b, &f, 3, F_WRLCK, 40, 40).type, F_WRLCK);
	assert_int_equal(share_release(&b, ofd.node, ofd.fh), 0);
	assert_int_equal(get(&b, &f, 3, F_WRLCK, 40, 40).type, F_UNLCK);
	assert_int_equal(fs_op_flush(b.fs, &b.c, f.node, f.fh, 1), 0);
	assert_int_equal(get(&b, &f, 3, F_WRLCK, 0, 100).type, F_UNLCK);
	share_leave(&b);
	share_free(&a);
}

/* A mount beneath the share is given up and found again there, too. */
static void test_submount(void **state)
{
	struct op_features features = {.submounts = true, .posix_locks = true};
	struct nodeid mount, file;
	struct op_entry before, after;
	char dir[64], path[80];
	struct share a, b;

	(void)state;
	fixture_make_dir(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/m", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	fixture_mount("tmpfs", path, NULL, dir);
	share_over(&a, share_config(), dir);
	share_host_write(&a, "m/f", "text");
	assert_int_equal(fs_ops.init(a.fs, &features), 0);
	assert_int_equal(fs_op_lookup(a.fs, &a.c, NODEID_ROOT, "m", &before), 0);
	mount = before.node;
	assert_int_equal(fs_op_lookup(a.fs, &a.c, mount, "f", &after), 0);
	file = after.node;
	beside(&b, &a, FS_HANDLES_PREFER);
	assert_int_equal(fs_ops.init(b.fs, &features), 0);
	assert_int_equal(migrate(&a, &b), 0);
	fs_ops.destroy(a.fs);
	assert_int_equal(fs_op_getattr(b.fs, &b.c, mount, OP_NO_HANDLE, 0, &after), 0);
	assert_int_equal(after.st.stx_ino, before.st.stx_ino);
	for (int i = 0; i < 1000 && umount(path); i++)
		nap(); /* until it is given up */
	assert_int_equal(fs_op_getattr(b.fs, &b.c, file, OP_NO_HANDLE, 0, &after), -ESTALE);
	assert_int_equal(umount(path), -1);
	share_leave(&b);
	share_free(&a);
}

/*
 * Streams of somebody else's.
 */

struct forged {
	struct share s;
	struct fs_load *l;
	struct err err;
};

static void forged_begin(struct forged *f, struct fs_config cfg)
{
	share_new(&f->s, cfg);
	share_host_write(&f->s, "file", "text");
	assert_int_equal(mkdirat(f->s.dirfd, "dir", 0755), 0);
	assert_int_equal(mkfifoat(f->s.dirfd, "fifo", 0644), 0);
	assert_int_equal(symlinkat("..", f->s.dirfd, "up"), 0);
	f->l = fs_load_begin(f->s.fs);
	f->err = (struct err){0};
}

static void forged_end(struct forged *f)
{
	fs_ops.destroy(f->s.fs);
	fs_load_end(f->l);
	share_free(&f->s);
}

static int put(struct forged *f, uint32_t kind, const void *a, size_t a_len, const void *b, size_t b_len)
{
	static uint8_t record[STREAM_RECORD_MAX];

	memcpy(record, a, a_len);
	if (b_len)
		memcpy(record + a_len, b, b_len);
	return fs_load(f->l, kind, cursor_over(record, a_len + b_len), &f->err);
}

static int put_inode(struct forged *f, uint64_t node, uint32_t type, const char *path)
{
	struct saved_inode s = {.node = node,
		.nlookup = 1,
		.type = type,
		.path_len = (uint16_t)strlen(path),
		.way = SAVED_PATH};

	return put(f, FS_RECORD_INODE, &s, sizeof(s), path, s.path_len);
}

static int put_handle(struct forged *f, uint64_t fh, uint64_t node, uint32_t flags, uint32_t is_dir)
{
	struct saved_handle s = {.fh = fh, .node = node, .flags = flags, .is_dir = is_dir};

	return put(f, FS_RECORD_HANDLE, &s, sizeof(s), NULL, 0);
}

static int put_lock(struct forged *f, uint64_t node, uint32_t type, uint64_t start, uint64_t end)
{
	struct saved_lock s = {.node = node, .owner = 1, .fh = 1, .start = start, .end = end, .type = type};

	return put(f, FS_RECORD_LOCK, &s, sizeof(s), NULL, 0);
}

static struct fs_config lenient(void)
{
	struct fs_config cfg = share_config();

	cfg.migration.on_error = FS_GUEST_ERROR;
	return cfg;
}

/* No path leads out, by whatever name; and what cannot be right is no guest's error. */
static void test_forged_paths(void **state)
{
	static const char *const bad[] = {"..", ".", "dir/..", "dir/../file", "/", "/etc", "dir//file", "up",
		"up/x", "up/..", "fifo/x", "file/x"};
	struct saved_inode s = {.node = 90, .nlookup = 1, .type = S_IFREG, .path_len = 4};
	struct op_entry e;
	struct forged f;

	(void)state;
	forged_begin(&f, lenient());
	for (uint64_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(put_inode(&f, 20 + i, S_IFDIR, bad[i]), 0);
		assert_int_equal(
			fs_op_getattr(f.s.fs, &f.s.c, (struct nodeid){20 + i}, OP_NO_HANDLE, 0, &e), -ESTALE);
	}
	assert_int_equal(put(&f, FS_RECORD_INODE, &s, sizeof(s), "f\0le", 4), -EPROTO);
	assert_int_equal(put(&f, FS_RECORD_INODE, &s, sizeof(s), "file ", 5), -EPROTO);
	assert_int_equal(put(&f, FS_RECORD_INODE, &s, sizeof(s), "fil", 3), -EPROTO);
	assert_int_equal(put(&f, FS_RECORD_INODE, &s, sizeof(s) - 1, NULL, 0), -EPROTO);
	assert_int_equal(put_inode(&f, 91, S_IFREG, ""), -EPROTO);
	assert_int_equal(put_inode(&f, 0, S_IFREG, "file"), -EPROTO);
	assert_int_equal(put_inode(&f, 1, S_IFDIR, "dir"), -EPROTO); /* the root's */
	assert_int_equal(put_inode(&f, UINT32_MAX, S_IFREG, "file"), -EPROTO);
	assert_int_equal(put_inode(&f, 92, S_IFREG, "file"), 0);
	assert_int_equal(put_inode(&f, 92, S_IFREG, "file"), -EPROTO);
	s.way = SAVED_WAYS;
	assert_int_equal(put(&f, FS_RECORD_INODE, &s, sizeof(s), "file", 4), -EPROTO);
	s.way = SAVED_HANDLE;
	s.handle_len = INODE_HANDLE_MAX + 1;
	assert_int_equal(put(&f, FS_RECORD_INODE, &s, sizeof(s), (char[200]){0}, 200), -EPROTO);
	forged_end(&f);
}

/* Neither as an open file nor for a lock is anything opened but files and directories. */
static void test_forged_handles(void **state)
{
	struct forged f;
	int fds;

	(void)state;
	forged_begin(&f, lenient());
	assert_int_equal(put_inode(&f, 20, S_IFREG, "file"), 0);
	assert_int_equal(put_inode(&f, 21, S_IFDIR, "dir"), 0);
	assert_int_equal(put_inode(&f, 22, S_IFIFO, "fifo"), 0);
	assert_int_equal(put_inode(&f, 23, S_IFREG, "missing"), 0);
	assert_int_equal(put_handle(&f, 1, 22, O_RDONLY, 0), 0); /* a guest's error, as the host has it */
	assert_int_equal(put_handle(&f, 1, 23, O_RDONLY, 0), 0);
	assert_int_equal(put_handle(&f, 1, 20, O_TMPFILE | O_RDWR, 0), -EPROTO);
	assert_int_equal(put_handle(&f, 1, 20, O_CREAT | O_TRUNC, 0), -EPROTO);
	assert_int_equal(put_handle(&f, 1, 20, O_ACCMODE, 0), -EPROTO);
	assert_int_equal(put_handle(&f, 1, 20, O_PATH, 0), -EPROTO);
	assert_int_equal(put_handle(&f, 1, 20, O_RDONLY, 1), -EPROTO);
	assert_int_equal(put_handle(&f, 1, 21, O_RDONLY, 0), -EPROTO);
	assert_int_equal(put_handle(&f, 1, 21, O_RDONLY, 2), -EPROTO);
	assert_int_equal(put_handle(&f, 0, 20, O_RDONLY, 0), -EPROTO);
	assert_int_equal(put_handle(&f, UINT32_MAX, 20, O_RDONLY, 0), -EPROTO);
	assert_int_equal(put_handle(&f, 1, 20, O_RDWR, 0), 0);
	assert_int_equal(put_handle(&f, 1, 20, O_RDWR, 0), -EPROTO);
	assert_int_equal(put_inode(&f, 30, S_IFREG, "file"), -EPROTO); /* too late */
	fds = (int)share_counts(&f.s).handles;
	assert_int_equal(put_lock(&f, 22, F_WRLCK, 0, 9), -EPROTO);
	assert_int_equal(put_lock(&f, 21, F_RDLCK, 0, 9), -EPROTO);
	assert_int_equal(put_lock(&f, 20, F_UNLCK, 0, 9), -EPROTO);
	assert_int_equal(put_lock(&f, 20, 77, 0, 9), -EPROTO);
	assert_int_equal(put_lock(&f, 20, F_RDLCK, 9, 8), -EPROTO);
	assert_int_equal(put_lock(&f, 20, F_RDLCK, UINT64_MAX, UINT64_MAX), -EPROTO);
	assert_int_equal(put_lock(&f, 23, F_RDLCK, 0, 9), 0);
	assert_int_equal(put_lock(&f, 20, F_WRLCK, 0, 9), 0);
	assert_int_equal(share_counts(&f.s).handles, fds);
	assert_int_equal(put_handle(&f, 2, 20, O_RDWR, 0), -EPROTO);
	assert_int_equal(fs_load(f.l, 77, cursor_over("", 0), &f.err), -EPROTO);
	forged_end(&f);
}

static int put_nameless_of(struct forged *f, uint64_t node, const struct saved_nameless *n)
{
	struct saved_inode s = {.node = node, .nlookup = 1, .type = S_IFREG, .way = SAVED_NAMELESS};

	return put(f, FS_RECORD_INODE, &s, sizeof(s), n, sizeof(*n));
}

static int put_nameless(struct forged *f, uint64_t node, uint64_t size)
{
	return put_nameless_of(f, node, &(struct saved_nameless){.size = size, .mode = 0600});
}

static int put_data(struct forged *f, uint64_t node, uint64_t off, const char *text)
{
	struct saved_data d = {node, off};

	return put(f, FS_RECORD_DATA, &d, sizeof(d), text, strlen(text));
}

/* Data comes for one file at a time, in order, and no more than it has. */
static void test_forged_data(void **state)
{
	struct forged f;

	(void)state;
	forged_begin(&f, lenient());
	assert_int_equal(put_data(&f, 20, 0, "x"), -EPROTO);
	assert_int_equal(put_nameless(&f, 20, UINT64_MAX), -EPROTO);
	assert_int_equal(put_nameless(&f, 20, 10), 0);
	assert_int_equal(put_inode(&f, 21, S_IFREG, "file"), -EPROTO);
	assert_int_equal(put_handle(&f, 1, 20, O_RDWR, 0), -EPROTO);
	assert_int_equal(put_data(&f, 21, 0, "x"), -EPROTO);
	assert_int_equal(put_data(&f, 20, 8, "xyz"), -EPROTO);
	assert_int_equal(put_data(&f, 20, UINT64_MAX, "x"), -EPROTO);
	assert_int_equal(put_data(&f, 20, 4, "abc"), 0);
	assert_int_equal(put_data(&f, 20, 4, "abc"), -EPROTO);
	assert_int_equal(put_data(&f, 20, 10, ""), 0);
	assert_int_equal(put_data(&f, 20, 10, ""), -EPROTO);
	assert_int_equal(put_inode(&f, 21, S_IFREG, "file"), 0);
	assert_int_equal(put_handle(&f, 1, 20, O_RDWR, 0), 0);
	expect_read(&f.s, (struct open_file){{20}, {1}}, 3, "\0abc");
	forged_end(&f);
}

/* What executes as its owner is of an owner that the guest can make files of. */
static void test_forged_owner(void **state)
{
	static const uint32_t owner[] = {0, 1000}, mode[] = {0755, 06755};
	struct saved_nameless n = {.mode = 06755};
	struct idmap *squash = idmap_new();
	struct fs_config cfg = lenient();
	struct op_entry e;
	struct forged f;

	(void)state;
	fixture_need_root();
	assert_int_equal(idmap_add(squash, "squash-guest:0:1000:10000", &(struct err){0}), 0);
	cfg.uids = cfg.gids = squash;
	forged_begin(&f, cfg);
	for (unsigned int i = 0; i < ARRAY_LEN(owner); i++) {
		n.uid = n.gid = owner[i];
		assert_int_equal(put_nameless_of(&f, 20 + i, &n), 0);
		assert_int_equal(put_data(&f, 20 + i, 0, ""), 0);
		assert_int_equal(
			fs_op_getattr(f.s.fs, &f.s.c, (struct nodeid){20 + i}, OP_NO_HANDLE, 0, &e), 0);
		assert_int_equal(e.st.stx_mode & 07777, mode[i]);
	}
	forged_end(&f);
	idmap_free(squash);
}

/* As many as the table holds, found or not, and none of them twice. */
static void test_forged_many(void **state)
{
	struct fs_config cfg = lenient();
	struct forged f;
	uint32_t n = 0;

	(void)state;
	cfg.max_inodes = 50;
	forged_begin(&f, cfg);
	while (n < 1000 && !put_inode(&f, 20, S_IFREG, "missing"))
		n++;
	assert_int_equal(n, 50);
	forged_end(&f);
}

/* On a share that cannot be written to nothing is made. */
static void test_forged_readonly(void **state)
{
	struct fs_config cfg = lenient();
	struct forged f;

	(void)state;
	cfg.readonly = true;
	forged_begin(&f, cfg);
	assert_int_equal(put_nameless(&f, 20, 10), 0);
	assert_int_equal(put_data(&f, 20, 0, "abc"), 0);
	assert_int_equal(put_data(&f, 20, 10, ""), 0);
	assert_int_equal(put_inode(&f, 21, S_IFREG, "file"), 0);
	assert_int_equal(put_handle(&f, 1, 20, O_RDONLY, 0), 0);
	assert_int_equal(put_handle(&f, 2, 21, O_RDWR, 0), 0);
	assert_int_equal(put_handle(&f, 3, 21, O_RDONLY, 0), 0);
	assert_int_equal(share_counts(&f.s).handles, 1);
	forged_end(&f);
}

/* A handle of a file beside the share is no file of it. */
static void test_forged_file_handle(void **state)
{
	struct saved_inode s = {.node = 20, .nlookup = 1, .type = S_IFREG, .way = SAVED_HANDLE};
	struct fs_config cfg = lenient();
	struct file_id id;
	struct op_entry e;
	struct forged f;
	char outside[80];

	(void)state;
	fixture_need_root();
	forged_begin(&f, cfg);
	snprintf(outside, sizeof(outside), "%s-outside", f.s.dir);
	assert_int_equal(linkat(f.s.dirfd, "file", AT_FDCWD, outside, 0), 0);
	assert_int_equal(unlinkat(f.s.dirfd, "file", 0), 0);
	if (file_id_get(AT_FDCWD, outside, &id) || !inode_uses_handles(f.s.fs->inodes)) {
		unlink(outside);
		forged_end(&f);
		skip();
	}
	s.handle_len = (uint16_t)id.len;
	s.handle_type = id.type;
	assert_int_equal(put(&f, FS_RECORD_INODE, &s, sizeof(s), id.bytes, id.len), 0);
	assert_int_equal(fs_op_getattr(f.s.fs, &f.s.c, (struct nodeid){20}, OP_NO_HANDLE, 0, &e), -ESTALE);
	unlink(outside);
	forged_end(&f);
}

/* A window that says no to what lies outside of it, and otherwise notes what it was asked. */
static struct {
	struct nodeid node;
	struct op_mapping m;
	int flags;
} mapped;

static int fake_map(void *arg, struct op_ctx *c, struct nodeid node, const struct op_mapping *m, int fd)
{
	(void)arg;
	(void)c;
	if (m->window_off)
		return -EINVAL;
	mapped.node = node;
	mapped.m = *m;
	mapped.flags = fcntl(fd, F_GETFL) & O_ACCMODE;
	return m->file_off ? -EIO : 0;
}

static void fake_reset(void *arg)
{
	(void)arg;
}

static int put_window(struct forged *f, uint64_t node, uint64_t file_off, uint64_t window_off, uint32_t write)
{
	struct saved_window s = {node, file_off, window_off, 4096, write, 0};

	return put(f, FS_RECORD_WINDOW, &s, sizeof(s), NULL, 0);
}

/* What was mapped is mapped here, or the guest does not come: whatever --migration-on-error says. */
static void test_forged_window(void **state)
{
	static const struct op_window window = {.map = fake_map, .reset = fake_reset};
	struct op_features features = {.dax = true};
	struct fs_config cfg = lenient();
	struct forged f;

	(void)state;
	forged_begin(&f, cfg);
	assert_int_equal(put_inode(&f, 20, S_IFREG, "file"), 0);
	assert_int_equal(put_window(&f, 20, 0, 0, 0), -ENOSYS);
	forged_end(&f);
	cfg.window = &window;
	forged_begin(&f, cfg);
	assert_int_equal(fs_ops.init(f.s.fs, &features), 0);
	assert_int_equal(put_inode(&f, 20, S_IFREG, "file"), 0);
	assert_int_equal(put_inode(&f, 21, S_IFDIR, "dir"), 0);
	assert_int_equal(put_inode(&f, 22, S_IFREG, "nowhere"), 0);
	assert_int_equal(put_window(&f, 20, 0, 0, 1), 0);
	assert_int_equal(mapped.node.v, 20);
	assert_int_equal(mapped.m.len, 4096);
	assert_true(mapped.m.write);
	assert_int_equal(mapped.flags, O_RDWR);
	assert_int_equal(put_window(&f, 20, 0, 0, 2), -EPROTO);
	assert_int_equal(put_window(&f, 20, 0, 4096, 0), -EPROTO);
	assert_int_equal(put_window(&f, 20, 4096, 0, 0), -EIO);
	assert_int_equal(put_window(&f, 21, 0, 0, 0), -EPROTO);
	assert_int_equal(put_window(&f, 22, 0, 0, 0), -ESTALE);
	assert_int_equal(put_window(&f, 23, 0, 0, 0), -ESTALE);
	assert_int_equal(put(&f, FS_RECORD_WINDOW, &features, sizeof(features), NULL, 0), -EPROTO);
	assert_int_equal(put_handle(&f, 1, 20, O_RDONLY, 0), -EPROTO); /* the order */
	forged_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nameless),
		cmocka_unit_test(test_nameless_long),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_lock_owners),
		cmocka_unit_test(test_submount),
		cmocka_unit_test(test_forged_paths),
		cmocka_unit_test(test_forged_handles),
		cmocka_unit_test(test_forged_data),
		cmocka_unit_test(test_forged_owner),
		cmocka_unit_test(test_forged_many),
		cmocka_unit_test(test_forged_readonly),
		cmocka_unit_test(test_forged_file_handle),
		cmocka_unit_test(test_forged_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
