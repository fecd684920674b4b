/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open directories. Positions are the host's, so a position that the guest got long ago still means something
 * after entries came and went. What the host gave in one go is kept for the handle; it can be had again at
 * any time, so it lies in no segment.
 * Threads: any. dir_lock() ... dir_unlock() hold the slot's mutex; readdir runs between them.
 */
#include "fs/file.h"

#include "base/cleanup.h"
#include "fs/cred.h"
#include "fs/name.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>

#define BUFFER_SIZE 32768
#define NOWHERE	    UINT64_MAX
#define BUFFERS_MAX 1024 /* so many are kept between requests, however many directories the guest opens */

/* As getdents64(2) has it. */
struct host_dirent {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

/* What belongs to one index of the handle table, one handle after the other. */
struct dir_slot {
	pthread_mutex_t lock;
	struct handle *handle; /* claimed by dir_lock(), with a reference */
	struct inode *dir;     /* its inode, with a reference */
	uint64_t fh;	       /* the handle that the buffer is of */
	char *buffer;	       /* NULL: none */
	uint32_t len;	       /* bytes of entries in it */
	uint32_t at;	       /* the entry returned last */
	uint64_t first;	       /* position of the first entry */
	uint64_t at_pos;       /* position of the entry at @at */
	uint64_t fd_pos;       /* the descriptor's, or NOWHERE until the buffer was gone through */
	bool ended; /* nothing was behind @fd_pos, and the guest, which got entries, asks once more */
	bool gave;  /* an entry since dir_lock() */
};

struct dir_table {
	uint32_t n;
	_Atomic uint32_t buffers;
	_Atomic(struct dir_slot *) slot[]; /* by the handle's index; made when first used, then stays */
};

struct dir_table *dir_table_new(uint32_t max_handles)
{
	uint32_t n = max_handles + 1;
	struct dir_table *t = calloc(1, sizeof(*t) + (size_t)n * sizeof(t->slot[0]));

	if (t)
		t->n = n;
	return t;
}

static void drop_buffer(struct dir_table *t, struct dir_slot *s)
{
	if (!s->buffer)
		return;
	free(s->buffer);
	s->buffer = NULL;
	s->len = 0;
	atomic_fetch_sub(&t->buffers, 1);
}

void dir_table_free(struct dir_table *t)
{
	for (uint32_t i = 0; t && i < t->n; i++) {
		struct dir_slot *s = atomic_load(&t->slot[i]);

		if (!s)
			continue;
		free(s->buffer);
		pthread_mutex_destroy(&s->lock);
		free(s);
	}
	free(t);
}

/* The slot of a handle that is open, or was: NULL if nobody read it yet. */
static struct dir_slot *slot_of(struct dir_table *t, struct op_fh fh)
{
	uint32_t index = (uint32_t)fh.v;

	return index < t->n ? atomic_load(&t->slot[index]) : NULL;
}

/* The slot that dir_lock() claimed. */
static struct dir_slot *slot_claimed(struct dir_table *t, struct op_fh fh)
{
	assert((uint32_t)fh.v < t->n);
	return atomic_load(&t->slot[(uint32_t)fh.v]);
}

static struct dir_slot *slot_make(struct dir_table *t, struct op_fh fh)
{
	uint32_t index = (uint32_t)fh.v;
	struct dir_slot *old = NULL, *s;

	if (index >= t->n)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	if (atomic_compare_exchange_strong(&t->slot[index], &old, s))
		return s;
	pthread_mutex_destroy(&s->lock);
	free(s);
	return old;
}

void dir_forget(struct fs *fs, struct op_fh fh)
{
	struct dir_slot *s = slot_of(fs->dirs, fh);

	if (!s)
		return;
	autolock(&s->lock);
	if (s->fh == fh.v)
		drop_buffer(fs->dirs, s);
}

void dir_forget_all(struct fs *fs)
{
	for (uint32_t i = 0; i < fs->dirs->n; i++) {
		struct dir_slot *s = atomic_load(&fs->dirs->slot[i]);

		if (!s)
			continue;
		autolock(&s->lock); /* those of kept handles are dropped by a thread of their own */
		drop_buffer(fs->dirs, s);
		s->fh = 0; /* a guest that comes back from elsewhere has the same handles again */
	}
}

int fs_op_opendir(struct fs *fs, struct op_ctx *c, struct nodeid node, uint32_t flags, struct op_fh *fh)
{
	autoinode struct inode_use u = {0};
	int r;

	(void)flags;
	*fh = fs->features.zero_message_opendir ? kept_take_dir(fs->kept, node) : OP_NO_HANDLE;
	if (fh->v)
		return 0;
	r = inode_use(fs->inodes, node, &u);
	if (r)
		return r;
	if (u.inode->key.type != S_IFDIR)
		return -ENOTDIR;
	r = cred_daemon(fs);
	if (r)
		return r;
	autofd int fd = fs_reopen(fs, c, u.fd, S_IFDIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	return handle_new(fs->handles, node, &fd, O_RDONLY, true, fh);
}

int fs_op_releasedir(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh)
{
	int r;

	struct handle *h = fs->features.zero_message_opendir ? handle_get(fs->handles, node, fh, true) : NULL;

	if (h) {
		handle_put(fs->handles, h);
		if (kept_put_dir(fs->kept, node, fh))
			return 0;
	}
	r = fs_release_handle(fs, c, node, fh, true);
	if (!r)
		dir_forget(fs, fh);
	return r;
}

int fs_op_dir_lock(struct fs *fs, struct nodeid node, struct op_fh fh)
{
	struct handle *h = handle_get(fs->handles, node, fh, true);
	struct inode *dir = h ? inode_get(fs->inodes, node) : NULL;
	struct dir_slot *s = dir ? slot_of(fs->dirs, fh) : NULL;
	int r;

	if (dir && !s)
		s = slot_make(fs->dirs, fh);
	if (!s) {
		inode_put(fs->inodes, dir);
		handle_put(fs->handles, h);
		return dir ? -ENOMEM : -EBADF;
	}
	pthread_mutex_lock(&s->lock);
	if (s->fh != fh.v) {
		s->fh = fh.v;
		s->len = 0;
		s->fd_pos = 0;
		s->ended = false;
	}
	s->gave = false;
	s->handle = h;
	s->dir = dir;
	r = cred_daemon_by(fs, h); /* for all lookups to come */
	if (r)
		fs_op_dir_unlock(fs, fh);
	return r;
}

void fs_op_dir_unlock(struct fs *fs, struct op_fh fh)
{
	struct dir_slot *s = slot_claimed(fs->dirs, fh);
	struct handle *h = s->handle;
	struct inode *dir = s->dir;

	s->handle = NULL;
	s->dir = NULL;
	if (atomic_load(&h->released) || atomic_load(&fs->dirs->buffers) > BUFFERS_MAX)
		drop_buffer(fs->dirs, s);
	pthread_mutex_unlock(&s->lock);
	inode_put(fs->inodes, dir);
	handle_put(fs->handles, h);
}

static const struct host_dirent *entry_at(const struct dir_slot *s, uint32_t at)
{
	return (const struct host_dirent *)(const void *)(s->buffer + at);
}

/* Moves to the entry at position @pos if the buffer holds it: the next one, as a rule. */
static bool find(struct dir_slot *s, uint64_t pos)
{
	uint32_t at = s->at;
	uint64_t at_pos = s->at_pos;

	if (at_pos != pos && (at >= s->len || (uint64_t)entry_at(s, at)->off != pos)) {
		at = 0;
		at_pos = s->first;
	}
	while (at < s->len && at_pos != pos) {
		at_pos = (uint64_t)entry_at(s, at)->off;
		at += entry_at(s, at)->reclen;
	}
	if (at >= s->len) {
		if (s->len)
			s->fd_pos = at_pos;
		return false;
	}
	s->at = at;
	s->at_pos = at_pos;
	return true;
}

/* Reads from position @pos on: 1, 0 at the end, or -errno. */
static int fill(struct fs *fs, struct dir_slot *s, uint64_t pos)
{
	long n;

	s->len = 0;
	if (pos > INT64_MAX)
		return -EINVAL;
	if (!s->buffer) {
		s->buffer = malloc(BUFFER_SIZE);
		if (!s->buffer)
			return -ENOMEM;
		atomic_fetch_add(&fs->dirs->buffers, 1);
	}
	if (pos != s->fd_pos)
		s->ended = false;
	if (pos != s->fd_pos && lseek(s->handle->fd, (off_t)pos, SEEK_SET) < 0)
		return -errno;
	s->fd_pos = pos;
	if (s->ended && !s->gave) {
		s->ended = false;
		return 0;
	}
	n = syscall(SYS_getdents64, s->handle->fd, s->buffer, BUFFER_SIZE);
	s->ended = !n && s->gave;
	if (n <= 0)
		return n ? -errno : 0;
	s->len = (uint32_t)n;
	s->at = 0;
	s->first = s->at_pos = pos;
	s->fd_pos = NOWHERE;
	return 1;
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && name[1] == '.' && !name[2];
}

/* Nothing above the share is told: its root is its own parent. */
static uint64_t ino_of(struct fs *fs, const struct dir_slot *s, const struct host_dirent *d)
{
	uint64_t ino = d->ino;

	if (s->handle->node == NODEID_ROOT.v && is_dots(d->name))
		ino = s->dir->key.ino;
	else if (fs->features.submounts)
		inode_number_listed(s->dir, d->name[0] == '.' && !d->name[1], &ino);
	else
		inode_number(fs->inodes, s->dir->key.dev, &ino);
	return ino;
}

/* Position 0 is always read anew: rewinddir(3) is to see what changed. */
int fs_op_readdir(struct fs *fs, struct op_ctx *c, struct op_fh fh, uint64_t off, struct op_dirent *out)
{
	struct dir_slot *s = slot_claimed(fs->dirs, fh);
	const struct host_dirent *d;

	(void)c;
	if (!off || !find(s, off)) {
		int r = fill(fs, s, off);

		if (r <= 0)
			return r;
	}
	d = entry_at(s, s->at);
	s->gave = true;
	*out = (struct op_dirent){.ino = ino_of(fs, s, d),
		.off = (uint64_t)d->off,
		.type = d->type,
		.namelen = (uint32_t)strlen(d->name),
		.name = d->name};
	return 1;
}

/* The handle's descriptor does for the directory's. */
int fs_op_lookup_listed(
	struct fs *fs, struct op_ctx *c, struct op_fh fh, const struct op_dirent *d, struct op_entry *out)
{
	const struct dir_slot *s = slot_claimed(fs->dirs, fh);
	const struct inode_use dir = {.table = fs->inodes, .inode = s->dir, .fd = s->handle->fd};
	int r = name_check(d->name);

	return r ? r : fs_lookup_shown(fs, c, &dir, d->name, out);
}
