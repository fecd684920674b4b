/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel tells the path of a descriptor (/proc/self/fd); whether it still leads there is tried. An inode
 * whose name has left the kernel's cache is searched for, together with all others like it.
 */
#include "fs/paths.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "fs/name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define WALK_AT	  (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH)
#define DEPTH_MAX 128 /* of the search: each level has a descriptor open */

struct path_table {
	struct path {
		uint64_t node; /* whose path it is */
		char *path;
		bool wanted; /* it has a name, which was not found */
	} * at;		     /* by index of the inode */
	uint32_t n;	     /* of @at */
	uint64_t renames;    /* of the guest's, when the table was right */
};

void path_walk_init(struct path_walk *w, const struct fs *fs)
{
	w->fs = fs;
	w->fd = -1;
}

void path_walk_end(struct path_walk *w)
{
	cleanup_fd(&w->fd);
	w->fd = -1;
}

/* The first @len bytes of @path. */
static int walk(const struct fs *fs, const char *path, size_t len)
{
	const char *end = path + len;
	char name[NAME_MAX + 1];
	autofd int at = openat(fs->cfg.root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	while (at >= 0 && path < end) {
		size_t n = strcspn(path, "/");
		int next, r;

		if (n > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, path, n);
		name[n] = '\0';
		r = name_check(name);
		if (r)
			return r;
		next = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		cleanup_fd(&at);
		at = next;
		path += n;
		path += *path == '/';
	}
	return at < 0 ? -errno : fd_take(&at);
}

int path_parent(struct path_walk *w, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	int r;

	*name = slash ? slash + 1 : path;
	r = len < sizeof(w->dir) ? name_check(*name) : -ENAMETOOLONG;
	if (slash && (!len || slash[-1] == '/'))
		r = -EINVAL;
	if (r)
		return r;
	if (w->fd >= 0 && w->len == len && !memcmp(w->dir, path, len))
		return w->fd;
	path_walk_end(w);
	w->fd = walk(w->fs, path, len);
	w->len = len;
	memcpy(w->dir, path, len);
	return w->fd;
}

int path_open(struct path_walk *w, const char *path)
{
	const char *name;
	int dir, fd;

	if (!*path)
		return walk(w->fs, path, 0);
	dir = path_parent(w, path, &name);
	if (dir < 0)
		return dir;
	fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool leads_to(struct path_walk *w, const char *path, const struct inode_key *key)
{
	const char *name = "";
	struct inode_key k;
	struct statx st;
	int dir = *path ? path_parent(w, path, &name) : w->fs->cfg.root;

	if (dir < 0 || statx(dir, name, WALK_AT, INODE_KEY_MASK, &st))
		return false;
	k = inode_key_of(&st);
	return inode_key_same(&k, key);
}

/* What the kernel says of @fd, with the path of the root cut off. */
static char *told_path(const struct fs *fs, int fd)
{
	char root[PATH_MAX], path[PATH_MAX], number[16];
	ssize_t n, len;

	snprintf(number, sizeof(number), "%d", fs->cfg.root);
	n = readlinkat(fs->cfg.proc_self_fd, number, root, sizeof(root));
	snprintf(number, sizeof(number), "%d", fd);
	len = readlinkat(fs->cfg.proc_self_fd, number, path, sizeof(path));
	if (n <= 0 || n == sizeof(root) || len <= 0 || len == sizeof(path))
		return NULL;
	if (n == 1)
		n = 0; /* "/" */
	if (len <= n || memcmp(path, root, (size_t)n) || path[n] != '/')
		return NULL;
	return strndup(path + n + 1, (size_t)(len - n - 1));
}

static char *path_of(struct path_walk *w, int fd, struct statx *st)
{
	autofree char *path = told_path(w->fs, fd);
	struct inode_key key;

	if (statx(fd, "", AT_EMPTY_PATH, INODE_KEY_MASK | STATX_NLINK, st) || !path)
		return NULL;
	key = inode_key_of(st);
	return leads_to(w, path, &key) ? ptr_take(&path) : NULL;
}

char *path_of_fd(struct path_walk *w, int fd)
{
	struct statx st = {0};

	return path_of(w, fd, &st);
}

static uint64_t renames(struct fs *fs)
{
	return atomic_load(&fs->effects.count[EFFECT_RENAME]) +
	       atomic_load(&fs->effects.count[EFFECT_REMOVE]);
}

/* The inode's place in the table; NULL: out of memory. */
static struct path *place(struct path_table *t, uint32_t index)
{
	uint32_t n = MAX(MAX(t->n * 2, index + 1), 256);
	struct path *at;

	if (index < t->n)
		return &t->at[index];
	at = reallocarray(t->at, n, sizeof(*at));
	if (!at)
		return NULL;
	memset(at + t->n, 0, (n - t->n) * sizeof(*at));
	t->at = at;
	t->n = n;
	return &t->at[index];
}

struct search {
	struct path_table *t;
	struct fs *fs;
	const _Atomic bool *stop;
	uint32_t missing;
	struct path_walk walk;
	char path[PATH_MAX];
};

static bool is_right(struct search *s, const struct path *p, const struct inode *i, bool confirm)
{
	if (p->node != inode_node(s->fs->inodes, i).v)
		return false;
	return p->path ? !confirm || leads_to(&s->walk, p->path, &i->key) : !confirm && p->wanted;
}

/* True if the inode has a name, and it is not known. */
static bool look(struct search *s, struct inode *i, bool confirm)
{
	uint64_t node = inode_node(s->fs->inodes, i).v;
	struct path *p = place(s->t, (uint32_t)node);
	struct statx st = {0};
	int fd;

	if (!p || is_right(s, p, i, confirm))
		return false;
	free(p->path);
	fd = inode_fd(s->fs->inodes, i);
	*p = (struct path){.node = node, .path = fd < 0 ? NULL : path_of(&s->walk, fd, &st)};
	if (fd >= 0)
		inode_fd_done(i);
	p->wanted = !p->path && st.stx_nlink;
	return p->wanted;
}

/* What was found at s->path: perhaps something that is missing. */
static void found(struct search *s, const struct inode_key *key)
{
	uint32_t index = inode_index(s->fs->inodes, key);
	struct path *p = index && index < s->t->n ? &s->t->at[index] : NULL;

	if (!p || !p->wanted)
		return;
	p->path = strdup(s->path);
	p->wanted = !p->path;
	s->missing -= !p->wanted;
}

static void search_dir(struct search *s, int fd, size_t len, unsigned int depth);

static void search_entry(struct search *s, int dir, const char *name, size_t len, unsigned int depth)
{
	int n = snprintf(s->path + len, sizeof(s->path) - len, "%s%s", len ? "/" : "", name);
	struct inode_key key;
	struct statx st;

	if (n < 0 || (size_t)n >= sizeof(s->path) - len)
		return;
	if (statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, INODE_KEY_MASK, &st))
		return;
	key = inode_key_of(&st);
	found(s, &key);
	if (key.type != S_IFDIR || depth == DEPTH_MAX)
		return;
	search_dir(s, openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), len + (size_t)n,
		depth + 1);
}

/* Takes @fd, which may be -1. */
static void search_dir(struct search *s, int fd, size_t len, unsigned int depth)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!dir) {
		cleanup_fd(&fd);
		return;
	}
	while (s->missing && !atomic_load(s->stop) && (e = readdir(dir)))
		if (!name_check(e->d_name))
			search_entry(s, fd, e->d_name, len, depth);
	closedir(dir);
}

void path_table_refresh(struct path_table *t, struct fs *fs, bool confirm, const _Atomic bool *stop)
{
	autofree struct search *s = calloc(1, sizeof(*s));
	uint64_t now = renames(fs);
	uint32_t index = 2;
	struct inode *i;

	if (!s)
		return;
	*s = (struct search){.t = t, .fs = fs, .stop = stop};
	path_walk_init(&s->walk, fs);
	while (!atomic_load(stop) && (i = inode_next(fs->inodes, &index))) {
		s->missing += look(s, i, confirm || now != t->renames);
		inode_put(fs->inodes, i);
	}
	path_walk_end(&s->walk);
	if (s->missing && fs->cfg.migration.mode == FS_FIND_PATHS)
		search_dir(s, openat(fs->cfg.root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0, 0);
	t->renames = now;
}

struct path_table *path_table_new(struct fs *fs, const _Atomic bool *stop)
{
	struct path_table *t = calloc(1, sizeof(*t));

	if (t)
		path_table_refresh(t, fs, false, stop);
	return t;
}

const char *path_table_get(const struct path_table *t, const struct inode *i, struct fs *fs)
{
	uint64_t node = inode_node(fs->inodes, i).v;
	uint32_t index = (uint32_t)node;

	return index < t->n && t->at[index].node == node ? t->at[index].path : NULL;
}

void path_table_free(struct path_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->n; i++)
		free(t->at[i].path);
	free(t->at);
	free(t);
}
