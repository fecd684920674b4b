/* SPDX-License-Identifier: BSD-3-Clause */
/* Host mounts and file handles. The table's lock guards which records are in use; who holds a reference reads
 * his. */
#include "fs/mount.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/tune.h"
#include "fs/fd_slot.h"
#include "fs/inode_table.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#define PLACES_DEEP \
	40 /* mounts on mounts that are gone through; a circle can arise when the host moves them */

struct mount_table {
	pthread_mutex_t lock;
	const struct fs_config *cfg;
	struct inode_table *inodes;
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

/* 0 if @fd refers to the inode with @key, else -ESTALE. */
static int check_inode(int fd, const struct inode_key *key)
{
	struct inode_key k;
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, INODE_KEY_MASK, &st))
		return -errno;
	k = inode_key_of(&st);
	return inode_key_same(&k, key) ? 0 : -ESTALE;
}

static int open_id(int mount_fd, const struct file_id *id)
{
	union handle_buf b = {.h.handle_bytes = id->len, .h.handle_type = id->type};
	int fd;

	memcpy(b.h.f_handle, id->bytes, id->len);
	fd = TEMP_FAILURE_RETRY(open_by_handle_at(mount_fd, &b.h, O_PATH | O_NOFOLLOW | O_CLOEXEC));
	return fd < 0 ? -errno : fd;
}

static int open_by_id(int mount_fd, const struct file_id *id, const struct inode_key *key)
{
	autofd int fd = open_id(mount_fd, id);
	int r = fd < 0 ? fd : check_inode(fd, key);

	return r ? r : fd_take(&fd);
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

/* The mount's place as it is noted now. */
static uint64_t copy_place(struct mount_table *t, const struct mount *m, char name[NAME_MAX + 1])
{
	autolock(&t->lock);
	memcpy(name, m->name, NAME_MAX + 1);
	return m->place;
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM;
}

static int lost(int error)
{
	return is_shortage(error) ? -error : -ESTALE;
}

/* What lies at the mount's place, if that is the mount still. */
static int open_place(const struct mount *m, int dir, const char *name, uint32_t *type)
{
	struct statx st;

	autofd int fd = TEMP_FAILURE_RETRY(openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, INODE_KEY_MASK, &st))
		return lost(errno);
	if (inode_key_of(&st).mnt_id != m->mnt_id)
		return -ESTALE;
	*type = inode_key_of(&st).type;
	return fd_take(&fd);
}

static int reopen(struct mount_table *t, const struct mount *m)
{
	autoinode struct inode_use dir = {0};
	char name[NAME_MAX + 1];
	uint32_t type;
	int by;
	int r = inode_use(t->inodes, (struct nodeid){copy_place(t, m, name)}, &dir);

	if (r)
		return r;
	autofd int fd = open_place(m, dir.fd, name, &type);
	if (fd < 0)
		return fd;
	by = open_something(t, fd, type);
	return by < 0 ? lost(errno) : by;
}

/* Getting a place back may take other mounts', whose places... */
static int reopen_within(struct mount_table *t, const struct mount *m)
{
	static _Thread_local unsigned int deep;
	int r = -ESTALE;

	if (deep++ < PLACES_DEEP)
		r = reopen(t, m);
	deep--;
	return r;
}

/* The descriptor for use, then fd_slot_done(); or -errno. */
static int use_mount(struct mount_table *t, struct mount *m)
{
	for (;;) {
		int fd = fd_slot_use(&m->fd);

		atomic_store_explicit(&m->used, 1, memory_order_relaxed);
		if (fd >= 0)
			return fd;
		fd = reopen_within(t, m);
		if (fd < 0)
			return fd;
		if (fd_slot_fill(&m->fd, fd, 1)) {
			inode_idle_notice(t->inodes);
			return fd;
		}
		close(fd);
	}
}

int mount_open_any(struct mount_table *t, const struct file_id *id)
{
	int by = fd_slot_fd(atomic_load(&t->rec[MOUNT_ROOT].fd));

	return by < 0 || !id->len ? -EOPNOTSUPP : open_id(by, id);
}

int mount_open(struct mount_table *t, uint16_t index, const struct file_id *id, const struct inode_key *key)
{
	struct mount *m = &t->rec[index];
	int fd, by;

	if (!index || !id->len)
		return -ESTALE;
	if (index == MOUNT_ROOT) /* is never given up: nobody counts its users */
		return open_by_id(fd_slot_fd(atomic_load(&m->fd)), id, key);
	by = use_mount(t, m);
	if (by < 0)
		return by;
	fd = open_by_id(by, id, key);
	fd_slot_done(&m->fd);
	return fd;
}

struct mount_table *mount_table_new(
	const struct fs_config *cfg, const struct segment *seg, struct inode_table *inodes)
{
	struct mount_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
	t->cfg = cfg;
	t->inodes = inodes;
	t->rec = segment_at(seg, SEGMENT_MOUNTS);
	t->high = seg->adopt ? MOUNT_ROOT + 1 : 1; /* that one may have no number: is_told() */
	for (uint16_t i = 1; seg->adopt && i < MOUNT_MAX; i++) {
		t->rec[i].refs = 0;
		atomic_store(&t->rec[i].fd, atomic_load(&t->rec[i].fd) & ~(uint64_t)UINT32_MAX);
		if (t->rec[i].mnt_id)
			t->high = (uint16_t)(i + 1);
	}
	return t;
}

bool mount_adopt(struct mount_table *t, uint16_t index)
{
	if (!index)
		return true;
	if (index >= t->high || (index != MOUNT_ROOT && !t->rec[index].mnt_id))
		return false;
	t->rec[index].refs++;
	return true;
}

uint32_t mount_adopt_places(const struct mount_table *t, struct nodeid dir)
{
	uint32_t n = 0;

	for (uint16_t i = 1; i < t->high; i++)
		n += t->rec[i].place == dir.v;
	return n;
}

int mount_keep_fds(struct mount_table *t, struct fdmap *map)
{
	int r = 0;

	for (uint16_t i = 1; i < t->high && !r; i++)
		r = fdmap_add(map, fd_slot_fd(atomic_load(&t->rec[i].fd)));
	return r;
}

/* Of a mount that nobody uses any more. */
static void close_slot(_Atomic uint64_t *slot)
{
	int fd = fd_slot_fd(atomic_exchange(slot, 0));

	cleanup_fd(&fd);
}

void mount_close_all(struct mount_table *t)
{
	for (uint16_t i = 1; t && i < t->high; i++)
		close_slot(&t->rec[i].fd);
}

void mount_table_free(struct mount_table *t)
{
	if (!t)
		return;
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

/* Linux before 5.8 tells no mounts apart: there what is on the root's device is taken to be on its mount. */
static bool is_told(const struct mount_table *t, const struct inode_key *key)
{
	const struct inode *root = key->mnt_id ? NULL : idtab_at(&t->inodes->ids, 1);

	return !root || key->dev == root->key.dev; /* NULL, too: the root is being made */
}

/* Why a probe failed is remembered with the mount, but not where another may do better: of a directory, when
 * there are descriptors again. The root's mount has its index in any case. */
static bool is_final(const struct inode_key *key, uint16_t index, int why)
{
	return key->type == S_IFDIR && (index == MOUNT_ROOT || (why != -EINTR && !is_shortage(-why)));
}

int mount_ref(struct mount_table *t, const struct inode_key *key, int fd, uint16_t *index)
{
	struct mount *m;
	uint16_t i;
	int by;

	*index = 0;
	if (t->inodes->handles == FS_HANDLES_NEVER || !is_told(t, key))
		return -EOPNOTSUPP;
	autolock(&t->lock);
	i = find(t, key->mnt_id);
	if (!i)
		return -ENOSPC;
	m = &t->rec[i];
	if (!m->refs) {
		by = probe(t, key, fd);
		if (by < 0 && !is_final(key, i, by))
			return by;
		*m = (struct mount){.mnt_id = key->mnt_id, .why = MIN(by, 0), .used = 1};
		if (by >= 0)
			fd_slot_fill(&m->fd, by, 0);
	}
	m->refs++;
	*index = i;
	return m->why;
}

static uint32_t ask_traits(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st))
		return INODE_FS_ASKED;
	switch ((unsigned long)st.f_type) {
	case BTRFS_SUPER_MAGIC:
	case EXT4_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case OVERLAYFS_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
		return INODE_FS_ASKED | INODE_FS_QUIET;
	case TMPFS_MAGIC:
		return INODE_FS_ASKED | INODE_FS_QUIET | INODE_FS_MEMORY;
	default:
		return INODE_FS_ASKED;
	}
}

uint32_t mount_traits(struct mount_table *t, uint16_t index, bool keep, int fd)
{
	_Atomic uint32_t *known = &t->rec[index].traits;
	uint32_t traits = keep && tune.fs_traits ? atomic_load_explicit(known, memory_order_relaxed) : 0;

	if (traits || fd < 0)
		return traits;
	traits = ask_traits(fd);
	if (keep)
		atomic_store_explicit(known, traits, memory_order_relaxed);
	return traits;
}

/* True if this was the last reference: what the record held is the caller's. */
static bool give_back(struct mount_table *t, struct mount *m, int *fd, uint64_t *place)
{
	autolock(&t->lock);
	if (--m->refs)
		return false;
	*fd = fd_slot_fd(atomic_exchange(&m->fd, 0));
	*place = m->place;
	m->place = 0;
	return true;
}

/* The reference that a record had to its place's inode. */
static void put_place(struct mount_table *t, uint64_t place)
{
	struct inode *dir = inode_get(t->inodes, (struct nodeid){place});

	if (!dir)
		return;
	inode_put(t->inodes, dir);
	inode_put(t->inodes, dir);
}

/* Descriptors are for whoever closes what nobody names. */
void mount_adopt_end(struct mount_table *t)
{
	for (uint16_t i = 1; i < t->high; i++) {
		struct mount *m = &t->rec[i];
		uint64_t place = m->place;

		if (m->refs)
			continue;
		m->place = 0;
		atomic_store(&m->fd, 0);
		if (place)
			put_place(t, place);
	}
}

void mount_put(struct mount_table *t, uint16_t index)
{
	uint64_t place = 0;
	int fd = -1;

	if (!index || !give_back(t, &t->rec[index], &fd, &place))
		return;
	if (fd >= 0)
		close(fd);
	if (place)
		put_place(t, place);
}

static uint64_t set_place(struct mount_table *t, struct mount *m, struct inode *dir, const char *name)
{
	uint64_t node = inode_node(t->inodes, dir).v, before;

	autolock(&t->lock);
	before = m->place;
	if (before == node && !strcmp(m->name, name))
		return 0;
	idtab_ref(dir);
	m->place = node;
	snprintf(m->name, sizeof(m->name), "%s", name);
	return before;
}

void mount_place(struct mount_table *t, uint16_t index, struct inode *dir, const char *name)
{
	uint64_t before;

	if (!index || index == MOUNT_ROOT || dir->mount == index)
		return;
	before = set_place(t, &t->rec[index], dir, name);
	if (before)
		put_place(t, before);
}

/* The mount's descriptor if it may go, else -1; *left: it is there and stays. */
static int take_unused(struct mount_table *t, struct mount *m, bool *left)
{
	uint64_t w = atomic_load(&m->fd);

	autolock(&t->lock);
	if (!w || !m->refs || !m->place)
		return -1;
	if (!atomic_exchange(&m->used, 0) && fd_slot_empty(&m->fd, w))
		return fd_slot_fd(w);
	*left = true;
	return -1;
}

bool mount_give_up(struct mount_table *t)
{
	bool left = false;

	for (uint16_t i = MOUNT_ROOT + 1; i < MOUNT_MAX; i++) {
		int fd = take_unused(t, &t->rec[i], &left);

		cleanup_fd(&fd);
	}
	return left;
}
