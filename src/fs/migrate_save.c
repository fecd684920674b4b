/* SPDX-License-Identifier: BSD-3-Clause */
/* Saving (migrate.h). */
#include "fs/lock_table.h"
#include "fs/migrate_records.h"
#include "fs/mount.h"
#include "fs/paths.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct saving {
	struct fs *fs;
	const struct path_table *paths; /* NULL: there was no memory */
	struct stream *out;
	const _Atomic bool *stop;
	uint8_t data[SAVED_DATA_MAX];
};

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

	if (i->mount != MOUNT_ROOT || fs->cfg.handles == FS_HANDLES_NEVER)
		return;
	fd = inode_fd(fs->inodes, i);
	if (fd < 0)
		return;
	if (file_id_get(fd, "", id))
		id->len = 0;
	inode_fd_done(i);
}

static void save_way(struct saving *s, struct inode *i, const char *path, uint32_t way)
{
	const struct fs_migration *cfg = &s->fs->cfg.migration;
	struct saved_inode si = {.node = inode_node(s->fs->inodes, i).v,
		.nlookup = i->nlookup,
		.type = i->key.type,
		.path_len = path ? (uint16_t)strlen(path) : 0,
		.way = way};
	struct file_id id = {0};

	if (way == SAVED_PATH && (cfg->mode == FS_FILE_HANDLES || cfg->verify_handles))
		handle_of(s->fs, i, &id);
	else if (way == SAVED_LOST && cfg->mode == FS_FILE_HANDLES)
		handle_of(s->fs, i, &id);
	if (id.len && cfg->mode == FS_FILE_HANDLES)
		si.way = SAVED_HANDLE;
	si.handle_len = (uint16_t)id.len;
	si.handle_type = id.type;
	stream_put(s->out, FS_RECORD_INODE,
		(struct iovec[]){
			{&si, sizeof(si)}, {(char *)(uintptr_t)path, si.path_len}, {id.bytes, id.len}},
		3);
}

/* A piece of the file from @off on, which is not a hole: how long it is, 0 at the end. */
static size_t save_piece(struct saving *s, int fd, uint64_t node, off_t *off)
{
	off_t at = lseek(fd, *off, SEEK_DATA);
	struct saved_data d = {.node = node, .off = (uint64_t)at};
	ssize_t n = at < 0 ? 0 : pread(fd, s->data, sizeof(s->data), at);

	if (n <= 0)
		return 0;
	stream_put(s->out, FS_RECORD_DATA, (struct iovec[]){{&d, sizeof(d)}, {s->data, (size_t)n}}, 2);
	*off = at + n;
	return (size_t)n;
}

static void save_data(struct saving *s, int fd, uint64_t node, uint64_t size)
{
	struct saved_data end = {.node = node, .off = size};
	off_t off = 0;

	while (!atomic_load(s->stop) && !s->out->failed && save_piece(s, fd, node, &off))
		continue;
	stream_put(s->out, FS_RECORD_DATA, &(struct iovec){&end, sizeof(end)}, 1);
}

static void save_nameless(struct saving *s, struct inode *i, int fd, const struct statx *st)
{
	struct saved_inode si = {.node = inode_node(s->fs->inodes, i).v,
		.nlookup = i->nlookup,
		.type = i->key.type,
		.way = SAVED_NAMELESS};
	struct saved_nameless n = {.size = st->stx_size,
		.atime = st->stx_atime.tv_sec,
		.mtime = st->stx_mtime.tv_sec,
		.atime_ns = st->stx_atime.tv_nsec,
		.mtime_ns = st->stx_mtime.tv_nsec,
		.mode = st->stx_mode & 07777,
		.uid = st->stx_uid,
		.gid = st->stx_gid};

	stream_put(s->out, FS_RECORD_INODE, (struct iovec[]){{&si, sizeof(si)}, {&n, sizeof(n)}}, 2);
	save_data(s, fd, si.node, n.size);
}

static bool of_use(struct inode *i, const struct statx *st)
{
	return st->stx_nlink || (i->key.type == S_IFREG && atomic_load(&i->opens));
}

/* Where no path leads: perhaps because the inode has none. */
static void save_pathless(struct saving *s, struct inode *i)
{
	int fd = inode_fd(s->fs->inodes, i);
	autofd int file = -1;
	struct statx st;

	if (fd < 0) {
		save_way(s, i, NULL, fd == -ESTALE ? SAVED_GONE : SAVED_LOST);
		return;
	}
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st))
		st = (struct statx){.stx_nlink = 1};
	if (!st.stx_nlink && i->key.type == S_IFREG && atomic_load(&i->opens))
		file = fs_reopen(s->fs, NULL, fd, S_IFREG, O_RDONLY | O_CLOEXEC);
	if (file >= 0)
		save_nameless(s, i, file, &st);
	else
		save_way(s, i, NULL, of_use(i, &st) ? SAVED_LOST : SAVED_GONE);
	inode_fd_done(i);
}

static void save_inode(struct saving *s, struct inode *i)
{
	const char *path = s->paths ? path_table_get(s->paths, i, s->fs) : NULL;

	if (path)
		save_way(s, i, path, SAVED_PATH);
	else
		save_pathless(s, i);
}

/* Parents first, as their paths are shorter; and what lies together comes together. */
struct listed {
	const char *path;
	uint32_t index;
};

static int by_path(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	if (!x->path || !y->path)
		return !x->path - !y->path;
	return strcmp(x->path, y->path);
}

static void save_inodes(struct saving *s)
{
	uint32_t room, fds, n = 0, index = (uint32_t)NODEID_ROOT.v + 1;
	autofree struct listed *list = NULL;
	struct inode *i;

	inode_table_count(s->fs->inodes, &room, &fds);
	list = calloc(room, sizeof(*list));
	if (!list)
		s->out->failed = -ENOMEM;
	while (list && n < room && (i = inode_next(s->fs->inodes, &index))) {
		const char *path = s->paths ? path_table_get(s->paths, i, s->fs) : NULL;

		if (i->nlookup)
			list[n++] = (struct listed){path, (uint32_t)inode_node(s->fs->inodes, i).v};
		inode_put(s->fs->inodes, i);
	}
	if (list)
		qsort(list, n, sizeof(*list), by_path);
	for (uint32_t k = 0; k < n; k++) {
		i = inode_next(s->fs->inodes, &list[k].index);
		save_inode(s, i);
		inode_put(s->fs->inodes, i);
	}
}

/* Of a removed directory: there is nothing in it to be read. */
static bool is_gone(const struct handle *h)
{
	struct stat st;

	return h->is_dir && !fstat(h->fd, &st) && !st.st_nlink;
}

static void save_handles(struct saving *s)
{
	uint32_t index = 1;
	struct handle *h;

	if (s->fs->features.zero_message_opendir)
		return; /* none is the guest's */
	while ((h = handle_next(s->fs->handles, &index))) {
		struct saved_handle sh = {.fh = handle_fh(s->fs->handles, h).v,
			.node = h->node,
			.flags = h->flags & SAVED_FLAGS,
			.is_dir = h->is_dir,
			.flock = h->flock};

		if (!atomic_load(&h->released) && !is_gone(h))
			stream_put(s->out, FS_RECORD_HANDLE, &(struct iovec){&sh, sizeof(sh)}, 1);
		handle_put(s->fs->handles, h);
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
		bool failed = had && flock(h->fd, op ? op : had | LOCK_NB);

		if (failed && !op) {
			atomic_store(&h->flock, 0);
			lost++;
		}
		handle_put(fs->handles, h);
	}
	return lost;
}

/* What the guest stored in copies has to be in the files that the other side opens. */
static void save_window(const struct op_window *w, struct stream *out)
{
	struct op_mapping m;
	struct nodeid node;
	int r = w->moves(w->arg, true);

	for (uint32_t i = 0; !r && w->mapped(w->arg, i, &node, &m); i++) {
		struct saved_window s = {node.v, m.file_off, m.window_off, m.len, m.write, 0};

		if (m.len)
			stream_put(out, FS_RECORD_WINDOW, &(struct iovec){&s, sizeof(s)}, 1);
	}
	if (!r)
		return;
	log_warn("migration: what the guest has mapped stays here: %s", strerrordesc_np(-r));
	out->failed = r;
}

void fs_save(struct fs *fs, struct path_table **paths, struct stream *out, const _Atomic bool *stop)
{
	autofree struct saving *s = calloc(1, sizeof(*s));

	if (!s) {
		out->failed = -ENOMEM;
		return;
	}
	fs_paths_gather(fs, paths, stop);
	if (*paths && fs->cfg.migration.confirm_paths)
		path_table_refresh(*paths, fs, true, stop);
	s->fs = fs;
	s->paths = *paths;
	s->out = out;
	s->stop = stop;
	save_inodes(s);
	save_handles(s);
	lock_table_each(fs->locks, save_lock, out);
	flocks(fs, LOCK_UN);
	lock_table_suspend(fs->locks);
	if (fs->cfg.window && fs->features.dax)
		save_window(fs->cfg.window, out);
}

uint32_t fs_locks_resume(struct fs *fs)
{
	return flocks(fs, 0) + lock_table_resume(fs->locks);
}

void fs_save_undo(struct fs *fs)
{
	const struct op_window *w = fs->cfg.window;
	uint32_t lost = fs_locks_resume(fs);

	if (w && fs->features.dax)
		w->moves(w->arg, false);
	if (lost)
		log_warn("%u locks of the guest went to somebody else while it was to migrate", lost);
}

void fs_save_doubt(struct fs *fs)
{
	lock_table_doubt(fs->locks);
}
