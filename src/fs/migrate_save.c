/* SPDX-License-Identifier: BSD-3-Clause */
/* Saving (migrate.h). */
#include "fs/lock_table.h"
#include "fs/migrate_records.h"
#include "fs/mount.h"
#include "fs/paths.h"

#include "base/log.h"

#include <string.h>
#include <sys/file.h>

void fs_paths_gather(struct fs *fs, struct path_table **paths, const _Atomic bool *stop)
{
	if (*paths)
		path_table_refresh(*paths, fs, false, stop);
	else
		*paths = path_table_new(fs, stop);
}

void fs_paths_drop(struct path_table **paths)
{
	path_table_free(*paths);
	*paths = NULL;
}

/* The handle where it means the same to the other side: relative to the mount of the share itself. */
static void handle_of(struct fs *fs, struct inode *i, struct file_id *id)
{
	int fd;

	id->len = 0;
	if (i->mount != MOUNT_ROOT)
		return;
	fd = inode_fd(fs->inodes, i);
	if (fd < 0)
		return;
	if (file_id_get(fd, "", id))
		id->len = 0;
	inode_fd_done(i);
}

static void save_inode(struct fs *fs, const struct path_table *paths, struct inode *i, struct stream *out)
{
	const char *path = paths ? path_table_get(paths, i, fs) : NULL;
	struct saved_inode s = {.node = inode_node(fs->inodes, i).v,
		.nlookup = i->nlookup,
		.type = i->key.type,
		.path_len = path ? (uint16_t)strlen(path) : SAVED_NO_PATH};
	struct file_id id = {0};

	if (fs->cfg.handles != FS_HANDLES_NEVER)
		handle_of(fs, i, &id);
	s.handle_len = (uint16_t)id.len;
	s.handle_type = id.type;
	s.by_handle = id.len && fs->cfg.migration.mode == FS_FILE_HANDLES;
	stream_put(out, FS_RECORD_INODE,
		(struct iovec[]){{&s, sizeof(s)}, {(char *)(uintptr_t)path, path ? s.path_len : 0},
			{id.bytes, id.len}},
		3);
}

static void save_inodes(struct fs *fs, const struct path_table *paths, struct stream *out)
{
	uint32_t index = (uint32_t)NODEID_ROOT.v + 1;
	struct inode *i;

	while ((i = inode_next(fs->inodes, &index))) {
		if (i->nlookup)
			save_inode(fs, paths, i, out);
		inode_put(fs->inodes, i);
	}
}

static void save_handles(struct fs *fs, struct stream *out)
{
	uint32_t index = 1;
	struct handle *h;

	while ((h = handle_next(fs->handles, &index))) {
		struct saved_handle s = {.fh = handle_fh(fs->handles, h).v,
			.node = h->node,
			.flags = h->flags,
			.is_dir = h->is_dir,
			.flock = h->flock};

		if (!atomic_load(&h->released))
			stream_put(out, FS_RECORD_HANDLE, &(struct iovec){&s, sizeof(s)}, 1);
		handle_put(fs->handles, h);
	}
}

static void save_lock(void *arg, const struct lock_note *n)
{
	struct saved_lock s = {n->node, n->owner, n->fh, n->start, n->end, n->type, n->pid};

	stream_put(arg, FS_RECORD_LOCK, &(struct iovec){&s, sizeof(s)}, 1);
}

/* As files, of all handles: to @op, or with 0 to what they had. */
static uint32_t flocks(struct fs *fs, int op)
{
	uint32_t index = 1, lost = 0;
	struct handle *h;

	while ((h = handle_next(fs->handles, &index))) {
		int had = (int)atomic_load(&h->flock);

		if (had)
			lost += flock(h->fd, op ? op : had | LOCK_NB) != 0;
		handle_put(fs->handles, h);
	}
	return lost;
}

void fs_save(struct fs *fs, struct path_table **paths, struct stream *out, const _Atomic bool *stop)
{
	fs_paths_gather(fs, paths, stop);
	if (*paths && fs->cfg.migration.confirm_paths)
		path_table_refresh(*paths, fs, true, stop);
	save_inodes(fs, *paths, out);
	save_handles(fs, out);
	lock_table_each(fs->locks, save_lock, out);
	flocks(fs, LOCK_UN);
	lock_table_suspend(fs->locks);
}

uint32_t fs_locks_resume(struct fs *fs)
{
	return flocks(fs, 0) + lock_table_resume(fs->locks);
}

void fs_save_undo(struct fs *fs)
{
	uint32_t lost = fs_locks_resume(fs);

	if (lost)
		log_warn("%u locks of the guest went to somebody else while it was to migrate", lost);
}
