/* SPDX-License-Identifier: BSD-3-Clause */
/* Every kind of request that makes system calls, each in a form that can be seen to have worked. */
#include "scene.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

static ssize_t learned(struct scene *s, ssize_t r, const struct fuse_entry_out *e)
{
	if (!r)
		scene_learn(s, e->nodeid);
	return r;
}

static void expect(struct scene *s, bool ok, const char *what)
{
	if (!ok)
		scene_mistake(s, "it says that it went well, but %s", what);
}

/* Names */

static void put_new(struct scene *s)
{
	host_write_file(s->host, "new", "new", 3);
}

static ssize_t run_lookup(struct scene *s)
{
	struct fuse_entry_out e;

	return learned(s, fc_lookup(s->c, s->dir, "new", &e), &e);
}

static ssize_t run_lookup_known(struct scene *s)
{
	struct fuse_entry_out e;
	ssize_t r = learned(s, fc_lookup(s->c, s->dir, "f", &e), &e);

	if (!r)
		expect(s, e.nodeid == s->node_f, "a known file has another nodeid");
	return r;
}

static ssize_t run_lookup_missing(struct scene *s)
{
	struct fuse_entry_out e;
	int r = fc_lookup(s->c, s->dir, "missing", &e);

	return r == -ENOENT || (!r && !e.nodeid) ? 0 : r;
}

/* All but one of the lookups of a node that nobody uses. */
static ssize_t run_forget(struct scene *s)
{
	ssize_t r = fc_forget(s->c, s->known[4].node, 1);

	if (!r)
		s->known[4] = s->known[--s->nknown];
	return r;
}

static ssize_t run_mkdir(struct scene *s)
{
	struct fuse_entry_out e;

	return learned(s, fc_mkdir(s->c, s->dir, "made", 0755, &e), &e);
}

static ssize_t run_mknod(struct scene *s)
{
	struct fuse_mknod_in in = {.mode = S_IFIFO | 0600};
	struct fuse_entry_out e;

	return learned(s, fc_mknod(s->c, s->dir, "made", &in, &e), &e);
}

static ssize_t run_symlink(struct scene *s)
{
	struct fuse_entry_out e;

	return learned(s, fc_symlink(s->c, s->dir, "made", "target", &e), &e);
}

static ssize_t run_link(struct scene *s)
{
	struct fuse_entry_out e;

	return learned(s, fc_link(s->c, s->node_f, s->dir, "made", &e), &e);
}

static void check_made(struct scene *s, ssize_t r)
{
	(void)r;
	expect(s, host_exists(s->host, "made"), "nothing was made");
}

static ssize_t run_unlink(struct scene *s)
{
	return fc_unlink(s->c, s->dir, "f");
}

static void check_f_gone(struct scene *s, ssize_t r)
{
	(void)r;
	expect(s, !host_exists(s->host, "f"), "the name is still there");
}

static void put_dir(struct scene *s)
{
	assert_int_equal(mkdirat(s->host, "f2", 0755), 0);
}

static ssize_t run_rmdir(struct scene *s)
{
	return fc_rmdir(s->c, s->dir, "f2");
}

static void check_f2_gone(struct scene *s, ssize_t r)
{
	(void)r;
	expect(s, !host_exists(s->host, "f2"), "the directory is still there");
}

static ssize_t run_rename(struct scene *s)
{
	return fc_rename(s->c, s->dir, "f", s->node_d, "f2");
}

static void check_renamed(struct scene *s, ssize_t r)
{
	(void)r;
	expect(s, !host_exists(s->host, "f") && host_exists(s->host, "d/f2"), "nothing was renamed");
}

static ssize_t run_exchange(struct scene *s)
{
	struct fuse_rename2_in in = {.newdir = s->dir, .flags = RENAME_EXCHANGE};

	return fc_rename2(s->c, s->dir, "f", &in, "d");
}

static void check_exchanged(struct scene *s, ssize_t r)
{
	(void)r;
	expect(s, S_ISDIR(host_stat(s->host, "f").st_mode), "nothing was exchanged");
}

static ssize_t run_readlink(struct scene *s)
{
	char buf[64];
	ssize_t r = fc_readlink(s->c, s->node_l, buf, sizeof(buf));

	if (r >= 0)
		expect(s, r == 1 && buf[0] == 'f', "the target is another one");
	return r;
}

/* Attributes */

static ssize_t run_getattr(struct scene *s)
{
	struct fuse_attr_out out;
	ssize_t r = fc_getattr(s->c, s->node_f, 0, &out);

	if (!r)
		expect(s, out.attr.size == SCENE_SIZE, "the size is wrong");
	return r;
}

static ssize_t run_getattr_handle(struct scene *s)
{
	struct fuse_attr_out out;

	return fc_getattr(s->c, s->node_f, s->f.fh, &out);
}

static ssize_t run_statx(struct scene *s)
{
	struct fuse_statx_out out;

	return fc_statx(s->c, s->node_f, 0, 0xfff, &out);
}

#define EVERYTHING \
	(FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_SIZE | FATTR_ATIME | FATTR_MTIME | FATTR_KILL_SUIDGID)

static ssize_t run_setattr(struct scene *s)
{
	struct fuse_setattr_in in = {
		.valid = EVERYTHING, .mode = 0640, .uid = 0, .gid = 0, .size = 100, .atime = 5, .mtime = 6};
	struct fuse_attr_out out;

	return fc_setattr(s->c, s->node_f, &in, &out);
}

static void check_setattr(struct scene *s, ssize_t r)
{
	struct stat st = host_stat(s->host, "f");

	(void)r;
	expect(s, (st.st_mode & 07777) == 0640 && st.st_size == 100 && st.st_mtim.tv_sec == 6,
		"not all attributes are set");
}

static ssize_t run_truncate_handle(struct scene *s)
{
	struct fuse_setattr_in in = {.valid = FATTR_SIZE | FATTR_FH, .fh = s->f.fh, .size = 100};
	struct fuse_attr_out out;

	return fc_setattr(s->c, s->node_f, &in, &out);
}

static void check_truncated(struct scene *s, ssize_t r)
{
	(void)r;
	expect(s, host_stat(s->host, "f").st_size == 100, "it has another size");
}

static ssize_t run_statfs(struct scene *s)
{
	struct fuse_kstatfs out;

	return fc_statfs(s->c, s->node_f, &out);
}

static ssize_t run_access(struct scene *s)
{
	return fc_access(s->c, s->node_f, R_OK);
}

/* Files */

static ssize_t release_new(struct scene *s, ssize_t r, uint64_t node, uint64_t fh)
{
	struct inject_report unused;

	if (r)
		return r;
	inject_disarm(s->inject, &unused); /* the request is answered: what follows is not tried */
	OK(fc_release(s->c, (struct fc_file){node, fh}));
	return r;
}

static ssize_t open_with(struct scene *s, uint32_t flags)
{
	struct fuse_open_out o;
	ssize_t r = fc_open(s->c, s->node_f, flags, &o);

	return release_new(s, r, s->node_f, o.fh);
}

static ssize_t run_open(struct scene *s)
{
	return open_with(s, O_RDONLY);
}

static ssize_t run_open_trunc(struct scene *s)
{
	return open_with(s, O_RDWR | O_TRUNC);
}

static void check_emptied(struct scene *s, ssize_t r)
{
	(void)r;
	expect(s, host_stat(s->host, "f").st_size == 0, "nothing was cut");
}

static ssize_t create(struct scene *s, const char *name, uint32_t flags)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT | flags, .mode = S_IFREG | 0644};
	struct fc_created out;
	ssize_t r = name ? fc_create(s->c, s->dir, name, &in, &out) : fc_tmpfile(s->c, s->dir, &in, &out);

	if (!r)
		scene_learn(s, out.entry.nodeid);
	return release_new(s, r, out.entry.nodeid, out.open.fh);
}

static ssize_t run_create(struct scene *s)
{
	return create(s, "made", 0);
}

static ssize_t run_create_existing(struct scene *s)
{
	return create(s, "f", 0);
}

/* What was born within a tick ahead of the request could be its own (docs/recovery.md). */
static void let_age(struct scene *s)
{
	(void)s;
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

static ssize_t run_create_trunc(struct scene *s)
{
	return create(s, "f", O_TRUNC);
}

static ssize_t run_tmpfile(struct scene *s)
{
	return create(s, NULL, 0);
}

static ssize_t run_release(struct scene *s)
{
	ssize_t r = fc_release(s->c, s->e);

	s->e.fh = 0; /* whatever it answers */
	return r;
}

static ssize_t run_read(struct scene *s)
{
	uint8_t buf[SCENE_SIZE];
	ssize_t r = fc_read(s->c, s->f, buf, sizeof(buf), 0);

	if (r >= 0)
		expect(s, r == SCENE_SIZE && !memcmp(buf, s->data, sizeof(buf)),
			"not all bytes came: the guest takes that for the end of the file");
	return r;
}

static ssize_t run_write(struct scene *s)
{
	return fc_write(s->c, s->e, s->data, SCENE_SIZE, 0);
}

static void check_written(struct scene *s, ssize_t r)
{
	expect(s, r > 0, "nothing was written");
	if (r > 0)
		host_expect_file(s->host, "empty", s->data, (size_t)r);
}

static ssize_t run_append(struct scene *s)
{
	struct fuse_write_in in;
	struct fuse_write_out out;
	struct fc_op op;
	ssize_t r;

	fc_op_write(&op, &in, s->e, SCENE_SIZE, 0);
	in.flags = O_APPEND | O_RDWR;
	op.data = s->data;
	op.reply = &out;
	r = fc_start(s->c, &op);
	r = r ? r : fc_wait(s->c, &op);
	return r < 0 ? r : (ssize_t)out.size;
}

static ssize_t run_fsync(struct scene *s)
{
	return fc_fsync(s->c, s->f, false);
}

static ssize_t run_fdatasync(struct scene *s)
{
	return fc_fsync(s->c, s->f, true);
}

static ssize_t run_flush(struct scene *s)
{
	return fc_flush(s->c, s->f, SCENE_OWNER);
}

static ssize_t run_fallocate(struct scene *s)
{
	return fc_fallocate(s->c, s->e, 0, 4096, 0);
}

static void check_allocated(struct scene *s, ssize_t r)
{
	(void)r;
	expect(s, host_stat(s->host, "empty").st_size == 4096, "it has another size");
}

static ssize_t run_lseek(struct scene *s)
{
	uint64_t off = 0;

	return fc_lseek(s->c, s->f, &off, SEEK_DATA);
}

static ssize_t run_copy(struct scene *s)
{
	struct fuse_copy_file_range_in in = {
		.fh_in = s->f.fh, .nodeid_out = s->e.node, .fh_out = s->e.fh, .len = SCENE_SIZE};

	return fc_copy(s->c, &in, s->f.node);
}

static ssize_t run_ioctl(struct scene *s)
{
	int flags = 0;
	struct fuse_ioctl_in in = {.fh = s->f.fh, .cmd = FS_IOC_GETFLAGS, .out_size = sizeof(flags)};

	return fc_ioctl(s->c, s->f.node, &in, &flags);
}

static ssize_t run_syncfs(struct scene *s)
{
	return fc_syncfs(s->c);
}

/* Directories */

static ssize_t run_opendir(struct scene *s)
{
	struct inject_report unused;
	struct fuse_open_out o;
	ssize_t r = fc_opendir(s->c, s->dir, &o);

	if (r)
		return r;
	inject_disarm(s->inject, &unused);
	OK(fc_releasedir(s->c, (struct fc_file){s->dir, o.fh}));
	return 0;
}

static ssize_t run_releasedir(struct scene *s)
{
	ssize_t r = fc_releasedir(s->c, s->d);

	s->d.fh = 0;
	return r;
}

/* ".", ".." and x: names of a few bytes make entries of one size. */
static ssize_t run_readdir(struct scene *s)
{
	char buf[4096];
	ssize_t r = fc_readdir(s->c, s->d, buf, sizeof(buf), 0);

	if (r >= 0)
		expect(s, r == 3 * (ssize_t)FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + 2), "not all entries came");
	return r;
}

/* One of them twice. */
static void put_many(struct scene *s)
{
	char name[] = "d/0";

	for (; name[2] < '2'; name[2]++)
		host_write_file(s->host, name, name, sizeof(name));
	assert_int_equal(linkat(s->host, "d/x", s->host, "d/y", 0), 0);
}

static void check_known(struct scene *s, ssize_t r)
{
	struct fuse_attr_out a;

	expect(s, r > 4 * (ssize_t)sizeof(struct fuse_direntplus), "entries are missing");
	for (unsigned int i = 0; i < s->nknown; i++)
		expect(s, !fc_getattr(s->c, s->known[i].node, 0, &a), "an inode is not known any more");
}

static ssize_t run_readdirplus(struct scene *s)
{
	char buf[4096];
	ssize_t r = fc_readdirplus(s->c, s->d, buf, sizeof(buf), 0);
	struct fuse_direntplus *d;

	for (ssize_t at = 0; at < r; at += (ssize_t)FUSE_DIRENTPLUS_SIZE(d)) {
		d = (struct fuse_direntplus *)(void *)(buf + at);
		if (d->entry_out.nodeid)
			scene_learn(s, d->entry_out.nodeid);
	}
	return r;
}

static ssize_t run_fsyncdir(struct scene *s)
{
	return fc_fsyncdir(s->c, s->d);
}

/* Extended attributes */

static void put_xattr(struct scene *s)
{
	char path[512], attr[64];

	snprintf(path, sizeof(path), "%s/%s/f", s->vm->daemon.share_path, s->name);
	snprintf(attr, sizeof(attr), "%suser.there", s->xattr_prefix);
	assert_int_equal(setxattr(path, attr, "value", 5, 0), 0);
}

static ssize_t run_setxattr(struct scene *s)
{
	char value[] = "new value";

	return fc_setxattr(s->c, s->node_f, "user.made", (struct iovec){value, sizeof(value)}, 0);
}

static ssize_t run_setxattr_new(struct scene *s)
{
	char value[] = "new value";

	return fc_setxattr(s->c, s->node_f, "user.made", (struct iovec){value, sizeof(value)}, XATTR_CREATE);
}

static void check_xattr(struct scene *s, ssize_t r)
{
	char path[512], attr[64], value[64];

	(void)r;
	snprintf(attr, sizeof(attr), "%suser.made", s->xattr_prefix);
	snprintf(path, sizeof(path), "%s/%s/f", s->vm->daemon.share_path, s->name);
	expect(s, getxattr(path, attr, value, sizeof(value)) == sizeof("new value"), "it is not set");
}

static ssize_t run_getxattr(struct scene *s)
{
	char value[64];
	ssize_t r = fc_getxattr(s->c, s->node_f, "user.there", value, sizeof(value));

	if (r >= 0)
		expect(s, r == 5 && !memcmp(value, "value", 5), "the value is another one");
	return r;
}

static ssize_t run_listxattr(struct scene *s)
{
	char list[256];
	ssize_t r = fc_listxattr(s->c, s->node_f, list, sizeof(list));

	if (r >= 0)
		expect(s, r >= (ssize_t)sizeof("user.there"), "the list is too short");
	return r;
}

static ssize_t run_removexattr(struct scene *s)
{
	return fc_removexattr(s->c, s->node_f, "user.there");
}

/* Locks */

static struct fuse_lk_in lock_of(const struct scene *s, uint32_t type)
{
	struct fuse_lk_in in = {.fh = s->f.fh, .owner = SCENE_OWNER};

	in.lk = (struct fuse_file_lock){.end = 99, .type = type, .pid = 100};
	return in;
}

static ssize_t run_setlk(struct scene *s)
{
	struct fuse_lk_in in = lock_of(s, F_WRLCK);

	return fc_setlk(s->c, s->node_f, &in);
}

static void check_locked(struct scene *s, ssize_t r)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	autofd int fd = openat(s->host, "f", O_RDWR | O_CLOEXEC);

	(void)r;
	expect(s, fcntl(fd, F_OFD_SETLK, &fl) && errno == EAGAIN, "the file is not locked");
}

static void put_lock(struct scene *s)
{
	struct fuse_lk_in in = lock_of(s, F_WRLCK);

	OK(fc_setlk(s->c, s->node_f, &in));
}

static ssize_t run_unlock(struct scene *s)
{
	struct fuse_lk_in in = lock_of(s, F_UNLCK);

	return fc_setlk(s->c, s->node_f, &in);
}

static void check_unlocked(struct scene *s, ssize_t r)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	autofd int fd = openat(s->host, "f", O_RDWR | O_CLOEXEC);

	(void)r;
	expect(s, !fcntl(fd, F_OFD_SETLK, &fl), "the file is still locked");
}

static ssize_t run_getlk(struct scene *s)
{
	struct fuse_lk_in in = lock_of(s, F_WRLCK);
	struct fuse_file_lock out;

	return fc_getlk(s->c, s->node_f, &in, &out);
}

static void put_host_lock(struct scene *s)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	s->host_lock = openat(s->host, "f", O_RDWR | O_CLOEXEC);
	assert_int_equal(fcntl(s->host_lock, F_OFD_SETLK, &fl), 0);
}

/* The host's lock goes while the request waits, or just before. */
static ssize_t run_setlkw(struct scene *s)
{
	struct fuse_lk_in in = lock_of(s, F_WRLCK);
	struct fc_op op;

	OK(fc_setlkw_start(s->c, s->node_f, &in, &op));
	usleep(2000);
	close(s->host_lock);
	s->host_lock = -1;
	return fc_wait(s->c, &op);
}

static ssize_t run_flock(struct scene *s)
{
	struct fuse_lk_in in = lock_of(s, F_WRLCK);

	in.lk_flags = FUSE_LK_FLOCK;
	return fc_setlk(s->c, s->node_f, &in);
}

/* The window */

static ssize_t map_at(struct scene *s, uint64_t node, uint64_t flags)
{
	return fc_setupmapping(s->c, node, 0, SCENE_RANGE, 0, flags);
}

static void put_map(struct scene *s)
{
	LEN(map_at(s, s->node_f, FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE), 0);
}

static void put_other_map(struct scene *s)
{
	LEN(map_at(s, s->node_e, FUSE_SETUPMAPPING_FLAG_READ), 0);
}

static ssize_t run_map(struct scene *s)
{
	return map_at(s, s->node_f, FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE);
}

static ssize_t run_map_read(struct scene *s)
{
	return map_at(s, s->node_f, FUSE_SETUPMAPPING_FLAG_READ);
}

/* What the guest sees at @at of the window: 0 what is in s->data, 1 something else, -1 nothing, which would
 * end this process if it looked itself. */
static int look(struct scene *s, size_t at)
{
	uint8_t seen[SCENE_SIZE];
	struct iovec to = {seen, sizeof(seen)}, from = {window_memory(&s->vm->window) + at, sizeof(seen)};

	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != (ssize_t)sizeof(seen))
		return -1;
	return !!memcmp(seen, s->data, sizeof(seen));
}

static void check_mapped(struct scene *s, ssize_t r)
{
	(void)r;
	expect(s, look(s, 0) == 0, "the window shows something else, or nothing");
}

static ssize_t run_unmap(struct scene *s)
{
	struct fuse_removemapping_one one = {0, SCENE_RANGE};

	return fc_removemapping(s->c, s->node_f, &one, 1);
}

static void check_unmapped(struct scene *s, ssize_t r)
{
	(void)r;
	expect(s, !window_pieces(&s->vm->window), "it is still mapped");
}

/* Behind the end, into pages that were not there when the file was mapped. */
static ssize_t run_grow(struct scene *s)
{
	return fc_write(s->c, s->f, s->data, SCENE_SIZE, SCENE_SIZE);
}

/* The file has grown, whether or not the window could follow: what it has not, it must not show wrongly. */
static void check_grown(struct scene *s, ssize_t r)
{
	expect(s, host_stat(s->host, "f").st_size == (off_t)SCENE_SIZE + r, "it has another size");
	check_mapped(s, r);
	expect(s, r < (ssize_t)SCENE_SIZE || look(s, SCENE_SIZE) <= 0, "the window shows something else");
}

/* Sessions: everything that the guest had is gone. */
static ssize_t run_destroy(struct scene *s)
{
	struct inject_report unused;
	ssize_t r = fc_destroy(s->c);

	inject_disarm(s->inject, &unused);
	s->nknown = 0;
	s->f.fh = s->e.fh = s->d.fh = 0;
	OK(vm_mount(s->vm));
	if (s->crowded)
		scene_crowd(s);
	return r;
}

const struct kind kinds[] = {
	{"lookup", put_new, run_lookup, NULL},
	{"lookup of a known name", NULL, run_lookup_known, NULL},
	{"lookup of no name", NULL, run_lookup_missing, NULL},
	{"forget", NULL, run_forget, NULL},
	{"mkdir", NULL, run_mkdir, check_made},
	{"mknod", NULL, run_mknod, check_made},
	{"symlink", NULL, run_symlink, check_made},
	{"link", NULL, run_link, check_made},
	{"unlink", NULL, run_unlink, check_f_gone},
	{"rmdir", put_dir, run_rmdir, check_f2_gone},
	{"rename", NULL, run_rename, check_renamed},
	{"exchange", NULL, run_exchange, check_exchanged},
	{"readlink", NULL, run_readlink, NULL},
	{"getattr", NULL, run_getattr, NULL},
	{"getattr by handle", NULL, run_getattr_handle, NULL},
	{"statx", NULL, run_statx, NULL},
	{"setattr", NULL, run_setattr, check_setattr},
	{"truncate by handle", NULL, run_truncate_handle, check_truncated},
	{"statfs", NULL, run_statfs, NULL},
	{"access", NULL, run_access, NULL},
	{"open", NULL, run_open, NULL},
	{"open that cuts", NULL, run_open_trunc, check_emptied},
	{"create", NULL, run_create, check_made},
	{"create of what exists", NULL, run_create_existing, NULL},
	{"create that cuts", let_age, run_create_trunc, check_emptied},
	{"tmpfile", NULL, run_tmpfile, NULL},
	{"release", NULL, run_release, NULL},
	{"read", NULL, run_read, NULL},
	{"write", NULL, run_write, check_written},
	{"append", NULL, run_append, check_written},
	{"fsync", NULL, run_fsync, NULL},
	{"fdatasync", NULL, run_fdatasync, NULL},
	{"flush", NULL, run_flush, NULL},
	{"flush that unlocks", put_lock, run_flush, check_unlocked},
	{"fallocate", NULL, run_fallocate, check_allocated},
	{"lseek", NULL, run_lseek, NULL},
	{"copy", NULL, run_copy, check_written},
	{"ioctl", NULL, run_ioctl, NULL},
	{"syncfs", NULL, run_syncfs, NULL},
	{"opendir", NULL, run_opendir, NULL},
	{"readdir", NULL, run_readdir, NULL},
	{"readdirplus", NULL, run_readdirplus, NULL},
	{"readdirplus of many", put_many, run_readdirplus, check_known},
	{"releasedir", NULL, run_releasedir, NULL},
	{"fsyncdir", NULL, run_fsyncdir, NULL},
	{"setxattr", NULL, run_setxattr, check_xattr},
	{"setxattr of a new one", NULL, run_setxattr_new, check_xattr},
	{"getxattr", put_xattr, run_getxattr, NULL},
	{"listxattr", put_xattr, run_listxattr, NULL},
	{"removexattr", put_xattr, run_removexattr, NULL},
	{"setlk", NULL, run_setlk, check_locked},
	{"setlk that unlocks", put_lock, run_unlock, check_unlocked},
	{"getlk", put_host_lock, run_getlk, NULL},
	{"setlkw", put_host_lock, run_setlkw, check_locked, .waits = true},
	{"flock", NULL, run_flock, NULL},
	{"destroy", NULL, run_destroy, NULL},
	{"setupmapping", NULL, run_map, check_mapped, .window = true},
	{"setupmapping to read", NULL, run_map_read, check_mapped, .window = true},
	{"setupmapping in place of another", put_other_map, run_map, check_mapped, .window = true},
	{"removemapping", put_map, run_unmap, check_unmapped, .window = true},
	{"write that grows what is mapped", put_map, run_grow, check_grown, .window = true},
	{"truncate of what is mapped", put_map, run_truncate_handle, check_truncated, .window = true},
	{"unlink of what is mapped", put_map, run_unlink, check_f_gone, .window = true},
	{"destroy with a window", put_map, run_destroy, check_unmapped, .window = true},
};
const unsigned int nkinds = ARRAY_LEN(kinds);
