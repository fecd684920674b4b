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

#define DEPTH_MAX 128 /* of the search: each level has a descriptor open */

struct path_table {
	struct path {
		uint64_t node; /* whose path it is */
		char *path;
	} * at;		  /* by index of the inode */
	uint32_t n;	  /* of @at */
	uint64_t renames; /* of the guest's, when the table was right */
};

int path_open(const struct fs *fs, const char *path)
{
	char name[NAME_MAX + 1];
	autofd int at = openat(fs->cfg.root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	while (at >= 0 && *path) {
		size_t len = strcspn(path, "/");
		int next, r;

		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, path, len);
		name[len] = '\0';
		r = name_check(name);
		if (r)
			return r;
		next = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		cleanup_fd(&at);
		at = next;
		path += len;
		path += *path == '/';
	}
	return at < 0 ? -errno : fd_take(&at);
}

static bool leads_to(const struct fs *fs, const char *path, const struct inode_key *key)
{
	struct inode_key k;
	struct statx st;

	autofd int fd = path_open(fs, path);
	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, INODE_KEY_MASK, &st))
		return false;
	k = inode_key_of(&st);
	return k.dev == key->dev && k.ino == key->ino && k.mnt_id == key->mnt_id && k.type == key->type;
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

char *path_of_fd(const struct fs *fs, int fd)
{
	autofree char *path = told_path(fs, fd);
	struct inode_key key;
	struct statx st;

	if (!path || statx(fd, "", AT_EMPTY_PATH, INODE_KEY_MASK, &st))
		return NULL;
	key = inode_key_of(&st);
	return leads_to(fs, path, &key) ? ptr_take(&path) : NULL;
}

char *path_find(struct fs *fs, struct inode *i)
{
	int fd = inode_fd(fs->inodes, i);
	char *path;

	if (fd < 0)
		return NULL;
	path = path_of_fd(fs, fd);
	inode_fd_done(i);
	return path;
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

static bool is_right(struct fs *fs, const struct path *p, const struct inode *i, bool confirm)
{
	return p->path && p->node == inode_node(fs->inodes, i).v &&
	       (!confirm || leads_to(fs, p->path, &i->key));
}

/* True if the inode's path is not known. */
static bool look(struct path_table *t, struct fs *fs, struct inode *i, bool confirm)
{
	uint64_t node = inode_node(fs->inodes, i).v;
	struct path *p = place(t, (uint32_t)node);

	if (!p || is_right(fs, p, i, confirm))
		return false;
	free(p->path);
	*p = (struct path){.node = node, .path = path_find(fs, i)};
	return !p->path;
}

struct search {
	struct path_table *t;
	struct fs *fs;
	const _Atomic bool *stop;
	uint32_t missing;
	char path[PATH_MAX];
};

/* What was found at s->path: perhaps something that is missing. */
static void found(struct search *s, const struct inode_key *key)
{
	uint32_t index = inode_index(s->fs->inodes, key);
	struct path *p = index && index < s->t->n ? &s->t->at[index] : NULL;

	if (!p || p->path || !p->node)
		return;
	p->path = strdup(s->path);
	s->missing--;
}

static void search_dir(struct search *s, int fd, size_t len, unsigned int depth);

static void search_entry(struct search *s, int dir, const char *name, size_t len, unsigned int depth)
{
	int n = snprintf(s->path + len, sizeof(s->path) - len, "%s%s", len ? "/" : "", name);
	struct inode_key key;
	struct statx st;

	if (n < 0 || (size_t)n >= sizeof(s->path) - len)
		return;
	if (statx(dir, name, AT_SYMLINK_NOFOLLOW, INODE_KEY_MASK, &st))
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
	while (!atomic_load(stop) && (i = inode_next(fs->inodes, &index))) {
		s->missing += look(t, fs, i, confirm || now != t->renames);
		inode_put(fs->inodes, i);
	}
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
