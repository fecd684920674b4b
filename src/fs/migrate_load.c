/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loading (migrate.h). The stream may come from anybody: a path is walked as a guest's names are, a file
 * handle counts only if what it leads to lies beneath the share.
 */
#include "fs/cred.h"
#include "fs/lock_table.h"
#include "fs/migrate_records.h"
#include "fs/mount.h"
#include "fs/paths.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>

/* An inode on its way. */
struct arrival {
	struct saved_inode s;
	char path[PATH_MAX];
	struct file_id id;
	struct inode_key key;
};

static int broken(struct err *err, const char *what)
{
	return err_set(err, EPROTO, "the state has %s that cannot be right", what);
}

static int parse(struct cursor *c, struct arrival *a, struct err *err)
{
	const void *s = cursor_take(c, sizeof(a->s));
	const void *path, *id;

	if (!s)
		return broken(err, "an inode");
	memcpy(&a->s, s, sizeof(a->s));
	if (a->s.path_len == SAVED_NO_PATH)
		a->s.path_len = 0;
	path = cursor_take(c, a->s.path_len);
	id = path ? cursor_take(c, a->s.handle_len) : NULL;
	if (!id || cursor_left(c) || a->s.path_len >= sizeof(a->path) || a->s.handle_len > INODE_HANDLE_MAX)
		return broken(err, "an inode");
	memcpy(a->path, path, a->s.path_len);
	a->path[a->s.path_len] = '\0';
	if (strlen(a->path) != a->s.path_len)
		return broken(err, "a path");
	a->id.type = a->s.handle_type;
	a->id.len = a->s.handle_len;
	memcpy(a->id.bytes, id, a->s.handle_len);
	return 0;
}

static int key_of(int fd, struct inode_key *key)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, INODE_KEY_MASK, &st))
		return -errno;
	*key = inode_key_of(&st);
	return 0;
}

/* Any inode of the file system can have such a handle: only a path proves that it is the share's. */
static int open_by_handle(struct fs *fs, const struct arrival *a)
{
	autofd int fd = inode_open_by_id(fs->inodes, &a->id);
	autofree char *path = NULL;
	int named;

	if (fd < 0)
		return fd;
	path = path_of_fd(fs, fd);
	if (path)
		return fd_take(&fd);
	named = *a->path ? path_open(fs, a->path) : -ENOENT;
	return named < 0 ? -ESTALE : named;
}

static int open_arrival(struct fs *fs, struct arrival *a)
{
	autofd int fd = a->s.by_handle ? open_by_handle(fs, a) : *a->path ? path_open(fs, a->path) : -ENOENT;
	struct file_id id;
	int r = fd < 0 ? fd : key_of(fd, &a->key);

	if (r)
		return r;
	if (a->key.type != a->s.type)
		return -ESTALE;
	if (!a->s.by_handle && !fs->cfg.migration.verify_handles)
		return fd_take(&fd);
	if (a->id.len && (file_id_get(fd, "", &id) || id.len != a->id.len || id.type != a->id.type ||
				 memcmp(id.bytes, a->id.bytes, id.len) != 0))
		return -ESTALE;
	return fd_take(&fd);
}

static const char *shown(const struct arrival *a)
{
	return *a->path ? a->path : a->s.by_handle ? "a file known by its handle" : "a file without a name";
}

static int load_inode(struct fs *fs, struct cursor *c, struct err *err)
{
	autofree struct arrival *a = calloc(1, sizeof(*a));
	int fd, r;

	if (!a)
		return err_sys(err, ENOMEM, "an inode");
	r = parse(c, a, err);
	if (r)
		return r;
	fd = open_arrival(fs, a);
	r = fd < 0 ? fd : inode_place(fs->inodes, (struct nodeid){a->s.node}, a->s.nlookup, &a->key, fd);
	if (r == -EINVAL && fd >= 0)
		return broken(err, "a nodeid");
	if (r && fs->cfg.migration.on_error == FS_ABORT)
		return err_sys(err, -r,
			"'%s', which the guest knows, is not to be had here; "
			"--migration-on-error=guest-error goes on without",
			shown(a));
	if (r) {
		log_warn("migration: '%s' is not to be had here (%s): the guest gets errors", shown(a),
			strerrordesc_np(-r));
		inode_avoid(fs->inodes, (struct nodeid){a->s.node});
	}
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
		return -EINVAL;
	if (fs->cfg.readonly && (s->flags & O_ACCMODE) != O_RDONLY)
		return -EROFS;
	return fs_reopen(fs, NULL, u.fd, u.inode->key.type, (s->flags & ~(uint32_t)O_TRUNC) | O_CLOEXEC);
}

static int load_handle(struct fs *fs, struct cursor *c, struct err *err)
{
	const void *p = cursor_take(c, sizeof(struct saved_handle));
	struct saved_handle s;
	struct op_fh fh;
	int r;

	if (!p || cursor_left(c))
		return broken(err, "an open file");
	memcpy(&s, p, sizeof(s));
	fh.v = s.fh;
	if (s.is_dir > 1 || (s.flock && s.flock != LOCK_SH && s.flock != LOCK_EX))
		return broken(err, "an open file");
	autofd int fd = reopen(fs, &s);
	r = fd < 0 ? fd
		   : handle_place(fs->handles, fh, (struct nodeid){s.node}, fd,
			     &(struct handle){.flags = s.flags & ~(uint32_t)O_TRUNC,
				     .is_dir = s.is_dir == 1,
				     .flock = (uint8_t)s.flock});
	if (!r) {
		fd_take(&fd);
		return 0;
	}
	if (r == -EINVAL)
		return broken(err, "an open file");
	if (fs->cfg.migration.on_error == FS_ABORT)
		return err_sys(err, -r, "a file that the guest has open cannot be opened here");
	log_warn("migration: a file that the guest has open cannot be opened here: %s", strerrordesc_np(-r));
	handle_avoid(fs->handles, fh);
	return 0;
}

static int load_lock(struct fs *fs, struct cursor *c, struct err *err)
{
	const void *p = cursor_take(c, sizeof(struct saved_lock));
	struct saved_lock s;
	struct lock_note n;
	int r;

	if (!p || cursor_left(c))
		return broken(err, "a lock");
	memcpy(&s, p, sizeof(s));
	n = (struct lock_note){s.node, s.owner, s.fh, s.start, s.end, s.type, s.pid};
	r = lock_note_take(fs, &n);
	if (r == -EINVAL)
		return broken(err, "a lock");
	if (r && fs->cfg.migration.on_error == FS_ABORT)
		return err_sys(err, -r, "a lock of the guest cannot be had here");
	if (r)
		log_warn("migration: a lock of the guest cannot be had here: %s", strerrordesc_np(-r));
	return 0;
}

void fs_load_begin(struct fs *fs)
{
	cred_daemon(fs);
	lock_table_suspend(fs->locks);
}

int fs_load(struct fs *fs, uint32_t kind, struct cursor payload, struct err *err)
{
	switch (kind) {
	case FS_RECORD_INODE:
		return load_inode(fs, &payload, err);
	case FS_RECORD_HANDLE:
		return load_handle(fs, &payload, err);
	case FS_RECORD_LOCK:
		return load_lock(fs, &payload, err);
	default:
		return broken(err, "a kind of record");
	}
}

void fs_load_end(struct fs *fs)
{
	uint32_t lost;

	inode_tidy(fs->inodes);
	handle_tidy(fs->handles);
	lost = fs_locks_resume(fs);
	if (lost)
		log_warn("migration: %u locks of the guest are somebody else's here", lost);
}
