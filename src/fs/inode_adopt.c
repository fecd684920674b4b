/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inode table after its process has gone: what records say by themselves is believed once it was checked,
 * and the rest is made anew: references, users of descriptors, chains, the clock's circle, mounts' counts.
 * Threads: the control thread, before there are others.
 */
#include "fs/fd_slot.h"
#include "fs/inode_table.h"

#include <errno.h>
#include <fcntl.h>

static struct inode *at(struct inode_table *t, uint32_t index)
{
	return (struct inode *)(void *)(t->ids.records + (size_t)index * t->ids.record_size);
}

/* Users were threads. */
static void forget_threads(struct inode *i)
{
	atomic_store(&i->fd, atomic_load(&i->fd) & ~(uint64_t)UINT32_MAX);
	atomic_store(&i->opens, 0);
	atomic_fetch_and(&i->flags, (uint8_t)~INODE_CACHED);
}

static bool is_root(const struct inode *i, const struct fs_config *cfg)
{
	struct inode_key key;
	struct statx st;

	if (statx(cfg->root, "", AT_EMPTY_PATH, INODE_KEY_MASK, &st))
		return false;
	key = inode_key_of(&st);
	return key.dev == i->key.dev && key.ino == i->key.ino && key.type == i->key.type;
}

int inode_adopt_begin(struct inode_table *t, const struct fs_config *cfg)
{
	if (!idtab_names(&t->ids, NODEID_ROOT.v) || !at(t, 1)->nlookup || !is_root(at(t, 1), cfg))
		return -EINVAL;
	for (uint32_t index = 1; idtab_at(&t->ids, index); index++)
		forget_threads(at(t, index));
	return 0;
}

bool inode_adopt_open(struct inode_table *t, struct nodeid node)
{
	if (!idtab_names(&t->ids, node.v))
		return false;
	atomic_fetch_add(&at(t, (uint32_t)node.v)->opens, 1);
	return true;
}

struct adoption {
	struct inode_table *t;
	bool broken;
};

static uint32_t refs(void *arg, void *record)
{
	struct adoption *a = arg;
	struct inode_table *t = a->t;
	struct inode *i = record;
	uint32_t n = atomic_load(&i->opens) + !!i->nlookup + mount_adopt_places(t->mounts, inode_node(t, i));

	if (!n) {
		atomic_store(&i->fd, 0);
		return 0;
	}
	if (i->handle_len > INODE_HANDLE_MAX || !mount_adopt(t->mounts, i->mount)) {
		a->broken = true;
		return 0;
	}
	if (i->nlookup)
		inode_chain(t, i);
	if (atomic_load(&i->fd))
		atomic_fetch_add(&t->fds, 1);
	if (atomic_load(&i->flags) & INODE_REMOVED)
		atomic_fetch_add(&t->removed, 1);
	return n;
}

int inode_adopt_end(struct inode_table *t)
{
	struct adoption a = {.t = t};
	int r = idtab_adopt(&t->ids, refs, &a);

	if (r || a.broken)
		return -EINVAL;
	mount_adopt_end(t->mounts);
	for (uint32_t index = 1; idtab_at(&t->ids, index); index++)
		if (atomic_load(&at(t, index)->fd))
			inode_fd_cache(t, at(t, index));
	return 0;
}

int inode_keep_fds(struct inode_table *t, struct fdmap *map)
{
	int r = 0;

	for (uint32_t index = 1; !r && idtab_at(&t->ids, index); index++)
		r = fdmap_add(map, fd_slot_fd(atomic_load(&at(t, index)->fd)));
	return r ? r : mount_keep_fds(t->mounts, map);
}
