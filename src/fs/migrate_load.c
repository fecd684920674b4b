/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loading (migrate.h). The stream may come from anybody: a path is walked as a guest's names are, a file
 * handle counts only if what it leads to lies beneath the share, and what is opened is a regular file or a
 * directory.
 */
#include "fs/cred.h"
#include "fs/idmap.h"
#include "fs/lock_table.h"
#include "fs/migrate_records.h"
#include "fs/mount.h"
#include "fs/paths.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define WINDOW_RANGES_MAX (1u << 20) /* 2 TiB */

/* An inode on its way. */
struct arrival {
	struct saved_inode s;
	struct saved_nameless nameless;
	char path[PATH_MAX];
	struct file_id id;
	struct statx st; /* of what was found */
};

struct fs_load {
	struct fs *fs;
	uint32_t kind;					     /* of the record that came last */
	uint64_t left[FS_RECORD_LAST + 1 - FS_RECORD_FIRST]; /* of each kind so many more may come */
	uint32_t missed; /* what was not found: inodes, open files, locks */
	struct statx root;
	struct path_walk walk;
	struct arrival a;
	int file;	  /* of @a, which is nameless and not yet whole; -1: none, or it could not be made */
	int error;	  /* why it could not */
	uint64_t written; /* of it, up to here */
	bool filling;	  /* its data comes */
};

static int broken(struct err *err, const char *what)
{
	return err_set(err, EPROTO, "the state has %s that cannot be right", what);
}

/* What has a place in a table is tried once: a stream without end is none. */
static bool may_come(struct fs_load *l, uint32_t kind)
{
	if (kind < FS_RECORD_FIRST || kind > FS_RECORD_LAST || kind < l->kind)
		return kind == FS_RECORD_INODE && l->kind == FS_RECORD_DATA && !l->filling;
	return (kind == FS_RECORD_DATA) == l->filling && l->left[kind - FS_RECORD_FIRST];
}

/* One line of each kind, and a few more. */
static int missed(struct fs_load *l, int error, const char *what, const char *name)
{
	l->missed++;
	log_limited("migration: %s%s is not to be had here (%s): the guest gets errors", what, name,
		strerrordesc_np(-error));
	return 0;
}

static int parse_rest(struct cursor *c, struct arrival *a)
{
	const void *path, *id;

	if (a->s.way == SAVED_NAMELESS) {
		path = cursor_take(c, sizeof(a->nameless));
		if (path)
			memcpy(&a->nameless, path, sizeof(a->nameless));
		return path && a->s.type == S_IFREG && a->nameless.size <= INT64_MAX ? 0 : -EPROTO;
	}
	if (a->s.path_len >= sizeof(a->path) || a->s.handle_len > INODE_HANDLE_MAX)
		return -EPROTO;
	path = cursor_take(c, a->s.path_len);
	id = path ? cursor_take(c, a->s.handle_len) : NULL;
	if (!id)
		return -EPROTO;
	memcpy(a->path, path, a->s.path_len);
	a->id.type = a->s.handle_type;
	a->id.len = a->s.handle_len;
	memcpy(a->id.bytes, id, a->s.handle_len);
	if (!a->s.path_len && a->s.way == SAVED_PATH)
		return -EPROTO;
	return strlen(a->path) == a->s.path_len ? 0 : -EPROTO;
}

static int parse(struct cursor *c, struct arrival *a)
{
	const void *s = cursor_take(c, sizeof(a->s));

	memset(a, 0, sizeof(*a));
	if (!s)
		return -EPROTO;
	memcpy(&a->s, s, sizeof(a->s));
	if (a->s.way >= SAVED_WAYS || parse_rest(c, a) || cursor_left(c))
		return -EPROTO;
	return 0;
}

/* Any inode of the file system can have such a handle: only a path proves that it is the share's. */
static int open_by_handle(struct fs_load *l, struct arrival *a)
{
	autofd int fd = inode_open_by_id(l->fs->inodes, &a->id);
	autofree char *path = fd < 0 ? NULL : path_of_fd(&l->walk, fd);

	if (fd < 0)
		return fd;
	if (path) {
		snprintf(a->path, sizeof(a->path), "%s", path);
		return fd_take(&fd);
	}
	return *a->path ? path_open(&l->walk, a->path) : -ESTALE;
}

static int open_somehow(struct fs_load *l, struct arrival *a)
{
	switch (a->s.way) {
	case SAVED_PATH:
		return path_open(&l->walk, a->path);
	case SAVED_HANDLE:
		return open_by_handle(l, a);
	default:
		return -ENOENT;
	}
}

static int open_arrival(struct fs_load *l, struct arrival *a)
{
	autofd int fd = open_somehow(l, a);
	struct file_id id;

	if (fd < 0)
		return fd;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | INODE_KEY_MASK, &a->st))
		return -errno;
	if ((a->st.stx_mode & S_IFMT) != a->s.type)
		return -ESTALE;
	if (a->id.len && (file_id_get(fd, "", &id) || id.len != a->id.len || id.type != a->id.type ||
				 memcmp(id.bytes, a->id.bytes, id.len) != 0))
		return -ESTALE;
	return fd_take(&fd);
}

/* Elsewhere than on the share's own device and mount, an inode remembers where it was found. */
static void note_place(struct fs_load *l, struct arrival *a)
{
	struct inode_key key = inode_key_of(&a->st), root = inode_key_of(&l->root), above;
	autoinode struct inode_use dir = {0};
	struct op_entry e = {.node = {a->s.node}, .st = a->st};
	struct statx st;
	const char *name;
	int fd;

	if ((key.dev == root.dev && key.mnt_id == root.mnt_id) || !*a->path)
		return;
	fd = path_parent(&l->walk, a->path, &name);
	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, INODE_KEY_MASK, &st))
		return;
	above = inode_key_of(&st);
	if (!inode_use(l->fs->inodes, inode_known(l->fs->inodes, &above), &dir))
		fs_found(l->fs, &dir, name, &e);
}

/* Takes @fd, an O_PATH descriptor. */
static int place(struct fs_load *l, struct arrival *a, int fd, struct err *err)
{
	struct inode_arrival in = {.node = {a->s.node},
		.nlookup = a->s.nlookup,
		.key = inode_key_of(&a->st),
		.fd = fd,
		.pinned = a->s.way == SAVED_NAMELESS};
	int r;

	if (fd < 0)
		return fd == -EPROTO ? -EIO : fd;
	r = inode_place(l->fs->inodes, &in);
	if (!r)
		note_place(l, a);
	return r == -EINVAL ? broken(err, "a nodeid") : r;
}

static const char *shown(const struct arrival *a)
{
	return *a->path ? a->path : a->s.way == SAVED_HANDLE ? "known by its handle" : "without a name";
}

/* @r: why the inode is not there, 0: it is. */
static int arrived(struct fs_load *l, struct arrival *a, int r, struct err *err)
{
	if (!r || r == -EPROTO)
		return r;
	if (l->fs->cfg.migration.on_error == FS_ABORT)
		return err_sys(err, -r,
			"the file '%s', which the guest knows, is not to be had here; "
			"--migration-on-error=guest-error goes on without",
			shown(a));
	inode_avoid(l->fs->inodes, (struct nodeid){a->s.node});
	return missed(l, r, "the file ", shown(a));
}

/* An id that some id of the guest's stands for. */
static bool is_guests(const struct idmap *m, uint32_t id)
{
	uint32_t host;

	return !idmap_to_host(m, idmap_to_guest(m, id), &host) && host == id;
}

/* A stream may be forged: no owner that the guest cannot make files of gives rights to who executes one. */
static mode_t mode_of(const struct fs *fs, const struct saved_nameless *n)
{
	mode_t mode = n->mode & 07777;

	if (!is_guests(fs->cfg.uids, n->uid))
		mode &= ~(mode_t)S_ISUID;
	if (!is_guests(fs->cfg.gids, n->gid))
		mode &= ~(mode_t)S_ISGID;
	return mode;
}

/* A file of the share's file system that has no name either. */
static int make_nameless(struct fs_load *l, const struct saved_nameless *n)
{
	autofd int fd = l->fs->cfg.readonly
				? -EROFS
				: openat(l->fs->cfg.root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return l->fs->cfg.readonly ? -EROFS : -errno;
	if (fchownat(fd, "", n->uid, n->gid, AT_EMPTY_PATH) || fchmod(fd, mode_of(l->fs, n)) ||
		ftruncate(fd, (off_t)n->size))
		return -errno;
	return fd_take(&fd);
}

static void expect_data(struct fs_load *l)
{
	l->filling = true;
	l->written = 0;
	l->file = make_nameless(l, &l->a.nameless);
	l->error = MIN(l->file, 0);
}

static int load_inode(struct fs_load *l, struct cursor *c, struct err *err)
{
	struct arrival *a = &l->a;

	if (parse(c, a))
		return broken(err, "an inode");
	if (a->s.way == SAVED_GONE) {
		inode_avoid(l->fs->inodes, (struct nodeid){a->s.node});
		return 0;
	}
	if (a->s.way == SAVED_NAMELESS) {
		expect_data(l);
		return 0;
	}
	return arrived(l, a, place(l, a, open_arrival(l, a), err), err);
}

static int path_fd_of(const struct fs *fs, int fd)
{
	char number[16];
	int r;

	snprintf(number, sizeof(number), "%d", fd);
	r = openat(fs->cfg.proc_self_fd, number, O_PATH | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

/* All of the file's data is there. */
static int end_data(struct fs_load *l, struct err *err)
{
	const struct saved_nameless *n = &l->a.nameless;
	struct timespec times[] = {
		{n->atime, n->atime_ns % 1000000000}, {n->mtime, n->mtime_ns % 1000000000}};
	int r = l->error;

	if (!r && (futimens(l->file, times) ||
			  statx(l->file, "", AT_EMPTY_PATH, STATX_BASIC_STATS | INODE_KEY_MASK, &l->a.st)))
		r = -errno;
	r = place(l, &l->a, r ? r : path_fd_of(l->fs, l->file), err);
	cleanup_fd(&l->file);
	l->file = -1;
	l->filling = false;
	return arrived(l, &l->a, r, err);
}

/* In order and within the file's size, which bounds it all. */
static int load_data(struct fs_load *l, struct cursor *c, struct err *err)
{
	const void *p = cursor_take(c, sizeof(struct saved_data));
	struct saved_data d;
	size_t len;

	if (!p)
		return broken(err, "data");
	memcpy(&d, p, sizeof(d));
	len = cursor_left(c);
	if (d.node != l->a.s.node || d.off < l->written || d.off > l->a.nameless.size ||
		len > l->a.nameless.size - d.off)
		return broken(err, "data");
	if (!len)
		return end_data(l, err);
	l->written = d.off + len;
	if (!l->error && pwrite(l->file, cursor_take(c, len), len, (off_t)d.off) != (ssize_t)len)
		l->error = errno ? -errno : -ENOSPC;
	return 0;
}

/* Opened with the flags of then, but for what happens at opening only. */
static int reopen(struct fs *fs, const struct saved_handle *s)
{
	autoinode struct inode_use u = {0};
	int r = inode_use(fs->inodes, (struct nodeid){s->node}, &u);

	if (r)
		return r;
	if ((u.inode->key.type == S_IFDIR) != !!s->is_dir)
		return -EPROTO;
	if (fs->cfg.readonly && (s->flags & O_ACCMODE) != O_RDONLY)
		return -EROFS;
	return fs_reopen(fs, NULL, u.fd, u.inode->key.type, s->flags | O_CLOEXEC);
}

static bool handle_may_be(const struct saved_handle *s)
{
	return s->is_dir <= 1 && (!s->flock || s->flock == LOCK_SH || s->flock == LOCK_EX) &&
	       !(s->flags & ~SAVED_FLAGS) && (s->flags & O_ACCMODE) != O_ACCMODE;
}

static int load_handle(struct fs_load *l, struct cursor *c, struct err *err)
{
	const void *p = cursor_take(c, sizeof(struct saved_handle));
	struct fs *fs = l->fs;
	struct saved_handle s;
	struct op_fh fh;
	int r;

	if (!p || cursor_left(c))
		return broken(err, "an open file");
	memcpy(&s, p, sizeof(s));
	fh.v = s.fh;
	if (!handle_may_be(&s))
		return broken(err, "an open file");
	autofd int fd = reopen(fs, &s);
	r = fd < 0 ? fd
		   : handle_place(fs->handles, fh, (struct nodeid){s.node}, fd,
			     &(struct handle){
				     .flags = s.flags, .is_dir = s.is_dir == 1, .flock = (uint8_t)s.flock});
	if (!r) {
		fd_take(&fd);
		return 0;
	}
	if (r == -EINVAL || r == -EPROTO)
		return broken(err, "an open file");
	if (fs->cfg.migration.on_error == FS_ABORT)
		return err_sys(err, -r, "a file that the guest has open cannot be opened here");
	handle_avoid(fs->handles, fh);
	return missed(l, r, "an open file", "");
}

static int load_lock(struct fs_load *l, struct cursor *c, struct err *err)
{
	const void *p = cursor_take(c, sizeof(struct saved_lock));
	struct saved_lock s;
	struct lock_note n;
	int r;

	if (!p || cursor_left(c))
		return broken(err, "a lock");
	memcpy(&s, p, sizeof(s));
	n = (struct lock_note){s.node, s.owner, s.fh, s.start, s.end, s.type, s.pid};
	r = lock_note_take(l->fs, &n);
	if (r == -EINVAL)
		return broken(err, "a lock");
	if (r && l->fs->cfg.migration.on_error == FS_ABORT)
		return err_sys(err, -r, "a lock of the guest cannot be had here");
	return r ? missed(l, r, "a lock", "") : 0;
}

/*
 * The guest goes on without asking: what is not there it would take for zeros. So that is an error in any
 * case.
 */
static int load_window(struct fs_load *l, struct cursor *c, struct err *err)
{
	const void *p = cursor_take(c, sizeof(struct saved_window));
	struct saved_window s;
	struct op_mapping m;
	int r;

	if (!p || cursor_left(c))
		return broken(err, "a range of the window");
	memcpy(&s, p, sizeof(s));
	m = (struct op_mapping){s.file_off, s.len, s.window_off, s.write};
	r = s.write <= 1 ? fs_window_restore(l->fs, (struct nodeid){s.node}, &m) : -EINVAL;
	if (r == -EINVAL)
		return broken(err, "a range of the window");
	return r ? err_sys(err, -r, "a file that the guest has mapped cannot be mapped here") : 0;
}

struct fs_load *fs_load_begin(struct fs *fs)
{
	struct fs_load *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->fs = fs;
	l->file = -1;
	l->left[FS_RECORD_INODE - FS_RECORD_FIRST] = fs->cfg.max_inodes;
	l->left[FS_RECORD_DATA - FS_RECORD_FIRST] = UINT64_MAX;
	l->left[FS_RECORD_HANDLE - FS_RECORD_FIRST] = fs->cfg.max_handles;
	l->left[FS_RECORD_LOCK - FS_RECORD_FIRST] = LOCK_RANGES_MAX(fs->cfg.max_lock_owners);
	l->left[FS_RECORD_WINDOW - FS_RECORD_FIRST] = WINDOW_RANGES_MAX;
	path_walk_init(&l->walk, fs);
	if (statx(fs->cfg.root, "", AT_EMPTY_PATH, INODE_KEY_MASK, &l->root))
		log_warn("migration: the shared directory cannot be examined");
	cred_daemon(fs);
	lock_table_suspend(fs->locks);
	return l;
}

int fs_load(struct fs_load *l, uint32_t kind, struct cursor payload, struct err *err)
{
	if (!may_come(l, kind))
		return broken(err, "a record");
	l->kind = kind;
	l->left[kind - FS_RECORD_FIRST]--;
	switch (kind) {
	case FS_RECORD_INODE:
		return load_inode(l, &payload, err);
	case FS_RECORD_DATA:
		return load_data(l, &payload, err);
	case FS_RECORD_HANDLE:
		return load_handle(l, &payload, err);
	case FS_RECORD_LOCK:
		return load_lock(l, &payload, err);
	default:
		return load_window(l, &payload, err);
	}
}

void fs_load_end(struct fs_load *l)
{
	struct fs *fs = l->fs;
	uint32_t lost;

	path_walk_end(&l->walk);
	cleanup_fd(&l->file);
	inode_tidy(fs->inodes);
	handle_tidy(fs->handles);
	lost = fs_locks_resume(fs);
	if (lost)
		log_warn("migration: %u locks of the guest are somebody else's here", lost);
	if (l->missed)
		log_warn("migration: %u files, open files and locks of the guest are not to be had here",
			l->missed);
	free(l);
}
