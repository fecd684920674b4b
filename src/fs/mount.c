/* SPDX-License-Identifier: BSD-3-Clause */
/* Host mounts and file handles. The table's lock guards which records are in use; who holds a reference reads
 * his. */
#include "fs/mount.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct mount_table {
	pthread_mutex_t lock;
	const struct fs_config *cfg;
	struct mount *rec;
	uint16_t high; /* lowest index that was never used; @lock */
};

/* struct file_handle with room, as the system calls take it. */
union handle_buf {
	struct file_handle h;
	char room[sizeof(struct file_handle) + INODE_HANDLE_MAX];
};

int file_id_get(int dir, const char *name, struct file_id *out)
{
	union handle_buf b = {.h.handle_bytes = INODE_HANDLE_MAX};
	int mnt;

	out->len = 0;
	if (name_to_handle_at(dir, name, &b.h, &mnt, *name ? 0 : AT_EMPTY_PATH))
		return -errno;
	if (!b.h.handle_bytes || b.h.handle_bytes > INODE_HANDLE_MAX)
		return -EOVERFLOW;
	out->type = b.h.handle_type;
	out->len = b.h.handle_bytes;
	memcpy(out->bytes, b.h.f_handle, out->len);
	return 0;
}

/* True if @fd refers to the inode with @key. Not by birth time, which may change (see struct inode_key). */
static bool is_inode(int fd, const struct inode_key *key)
{
	struct inode_key k;
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_INO | STATX_MNT_ID, &st))
		return false;
	k = inode_key_of(&st);
	return k.dev == key->dev && k.ino == key->ino && k.mnt_id == key->mnt_id && k.type == key->type;
}

static int open_by_id(int mount_fd, const struct file_id *id, const struct inode_key *key)
{
	union handle_buf b = {.h.handle_bytes = id->len, .h.handle_type = id->type};

	memcpy(b.h.f_handle, id->bytes, id->len);
	autofd int fd = open_by_handle_at(mount_fd, &b.h, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return is_inode(fd, key) ? fd_take(&fd) : -ESTALE;
}

int mount_open(struct mount_table *t, uint16_t index, const struct file_id *id, const struct inode_key *key)
{
	return index && id->len ? open_by_id(t->rec[index].fd, id, key) : -ESTALE;
}

/* A descriptor that is more than O_PATH, without opening anything that has side effects. */
static int open_something(const struct mount_table *t, int fd, uint32_t type)
{
	char name[16];

	if (type == S_IFDIR)
		return openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (type != S_IFREG) {
		errno = EOPNOTSUPP;
		return -1;
	}
	snprintf(name, sizeof(name), "%d", fd);
	return openat(t->cfg->proc_self_fd, name, O_RDONLY | O_NOCTTY | O_CLOEXEC);
}

/* Whether file handles work, by doing once what reopening will do: the descriptor to do it by, or -errno. */
static int probe(const struct mount_table *t, const struct inode_key *key, int fd)
{
	struct file_id id;
	int again, r;

	autofd int by = open_something(t, fd, key->type);
	if (by < 0)
		return -errno;
	r = file_id_get(fd, "", &id);
	if (r)
		return r;
	again = open_by_id(by, &id, key);
	if (again < 0)
		return again;
	close(again);
	return fd_take(&by);
}

struct mount_table *mount_table_new(const struct fs_config *cfg, const struct segment *seg)
{
	struct mount_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
	t->cfg = cfg;
	t->rec = segment_at(seg, SEGMENT_MOUNTS);
	t->high = 1;
	return t;
}

void mount_table_free(struct mount_table *t)
{
	if (!t)
		return;
	for (uint16_t i = 1; i < t->high; i++)
		if (t->rec[i].refs && t->rec[i].fd >= 0)
			close(t->rec[i].fd);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* The record of the mount, else a free one, else 0. */
static uint16_t find(struct mount_table *t, uint64_t mnt_id)
{
	uint16_t unused = 0;

	for (uint16_t i = 1; i < t->high; i++) {
		if (!t->rec[i].refs)
			unused = i;
		else if (t->rec[i].mnt_id == mnt_id)
			return i;
	}
	return unused || t->high == MOUNT_MAX ? unused : t->high++;
}

int mount_ref(struct mount_table *t, const struct inode_key *key, int fd, uint16_t *index)
{
	struct mount *m;
	uint16_t i;
	int by;

	*index = 0;
	if (t->cfg->handles == FS_HANDLES_NEVER)
		return -EOPNOTSUPP;
	autolock(&t->lock);
	i = find(t, key->mnt_id);
	if (!i)
		return -ENOSPC;
	m = &t->rec[i];
	if (!m->refs) {
		by = probe(t, key, fd);
		if (by < 0 && key->type != S_IFDIR)
			return by; /* a directory of this mount may do better */
		*m = (struct mount){.mnt_id = key->mnt_id, .fd = by};
	}
	m->refs++;
	*index = i;
	return MIN(m->fd, 0);
}

void mount_put(struct mount_table *t, uint16_t index)
{
	struct mount *m = &t->rec[index];
	autofd int fd = -1; /* closed after the lock is given back */

	if (!index)
		return;
	autolock(&t->lock);
	if (!--m->refs)
		fd = m->fd;
}
