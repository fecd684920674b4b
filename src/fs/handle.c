/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The open-handle table. A handle has one reference of the guest's, which RELEASE gives back, and one for
 * each user.
 */
#include "fs/handle.h"

#include "base/cleanup.h"
#include "base/closing.h"
#include "base/segment.h"
#include "fs/inode.h"

struct handle_table {
	struct idtab ids;
	struct inode_table *inodes;
	int fd_ceiling;
};

struct handle_table *handle_table_new(struct inode_table *inodes, const struct segment *seg)
{
	struct handle_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	idtab_init(&t->ids, segment_at(seg, SEGMENT_HANDLES), sizeof(struct handle),
		(uint32_t)segment_count(seg, SEGMENT_HANDLES));
	t->inodes = inodes;
	t->fd_ceiling = inode_fd_ceiling();
	return t;
}

/* A directory's read-ahead is gone, and begins again at 0. */
static uint32_t refs(void *arg, void *record)
{
	struct handle_table *t = arg;
	struct handle *h = record;

	if (!atomic_load(&h->node) || atomic_load(&h->released) ||
		!inode_adopt_open(t->inodes, (struct nodeid){h->node}))
		return 0;
	if (h->is_dir)
		lseek(h->fd, 0, SEEK_SET);
	return 1;
}

int handle_table_adopt(struct handle_table *t)
{
	return idtab_adopt(&t->ids, refs, t);
}

int handle_keep_fds(struct handle_table *t, struct fdmap *map)
{
	uint32_t index = 1;
	struct handle *h;
	int r = 0;

	while (!r && (h = handle_next(t, &index))) {
		r = fdmap_add(map, h->fd);
		handle_put(t, h);
	}
	return r;
}

void handle_table_free(struct handle_table *t)
{
	free(t);
}

uint32_t handle_table_count(struct handle_table *t)
{
	return atomic_load(&t->ids.used);
}

int handle_new(
	struct handle_table *t, struct nodeid node, int *fd, uint32_t flags, bool is_dir, struct op_fh *out)
{
	struct inode *i;
	struct handle *h;

	i = inode_opened(t->inodes, node); /* ahead of what may forget others */
	if (!i)
		return -ESTALE;
	h = inode_fd_lower(t->inodes, fd) ? idtab_alloc(&t->ids, &out->v) : NULL;
	if (!h) {
		inode_closed(t->inodes, i);
		return -ENFILE;
	}
	h->fd = fd_take(fd);
	h->flags = flags;
	h->is_dir = is_dir;
	atomic_store_explicit(&h->traits, (uint8_t)inode_fs_traits(t->inodes, i, -1), memory_order_relaxed);
	atomic_store(&h->node, node.v); /* last: until then handle_get() finds nothing */
	return 0;
}

int handle_place(
	struct handle_table *t, struct op_fh fh, struct nodeid node, int fd, const struct handle *like)
{
	struct inode *i = fd < t->fd_ceiling ? inode_opened(t->inodes, node) : NULL;
	struct handle *h = i ? idtab_place(&t->ids, fh.v) : NULL;

	if (!h) {
		if (i)
			inode_closed(t->inodes, i);
		return fd < t->fd_ceiling ? -EINVAL : -ENFILE;
	}
	h->fd = fd;
	h->flags = like->flags;
	h->is_dir = like->is_dir;
	atomic_store(&h->flock, atomic_load(&like->flock));
	atomic_store(&h->prompt, atomic_load(&like->flock) != 0);
	atomic_store(&h->node, node.v);
	return 0;
}

void handle_avoid(struct handle_table *t, struct op_fh fh)
{
	idtab_avoid(&t->ids, fh.v);
}

void handle_tidy(struct handle_table *t)
{
	idtab_tidy(&t->ids);
}

struct handle *handle_next(struct handle_table *t, uint32_t *index)
{
	return idtab_next(&t->ids, index);
}

struct handle *handle_get(struct handle_table *t, struct nodeid node, struct op_fh fh, bool is_dir)
{
	struct handle *h = idtab_get(&t->ids, fh.v);

	if (!h)
		return NULL;
	if (node.v && atomic_load(&h->node) == node.v && h->is_dir == is_dir && !atomic_load(&h->released))
		return h;
	handle_put(t, h);
	return NULL;
}

struct op_fh handle_fh(const struct handle_table *t, const struct handle *h)
{
	return (struct op_fh){idtab_id(&t->ids, h)};
}

void handle_put(struct handle_table *t, struct handle *h)
{
	struct inode *i;

	if (!h || !idtab_put(h))
		return;
	if (atomic_load(&h->prompt))
		close(h->fd);
	else
		closing_add(h->fd);
	i = inode_get(t->inodes, (struct nodeid){h->node});
	inode_closed(t->inodes, i);
	inode_put(t->inodes, i);
	idtab_free(&t->ids, h);
}

uint32_t handle_fs_traits(struct handle_table *t, struct handle *h)
{
	uint32_t traits = atomic_load_explicit(&h->traits, memory_order_relaxed);
	struct inode *i;

	if (traits)
		return traits;
	i = inode_get(t->inodes, (struct nodeid){atomic_load(&h->node)});
	if (i)
		traits = inode_fs_traits(t->inodes, i, h->fd);
	inode_put(t->inodes, i);
	atomic_store_explicit(&h->traits, (uint8_t)traits, memory_order_relaxed);
	return traits;
}

static int release(struct handle_table *t, struct handle *h)
{
	if (atomic_exchange(&h->released, 1))
		return -EBADF;
	handle_put(t, h);
	return 0;
}

int handle_release(struct handle_table *t, struct nodeid node, struct op_fh fh, bool is_dir)
{
	struct handle *h = handle_get(t, node, fh, is_dir);
	int r;

	if (!h)
		return -EBADF;
	r = release(t, h);
	handle_put(t, h);
	return r;
}

void handle_release_all(struct handle_table *t)
{
	uint32_t index = 1;
	struct handle *h;

	while ((h = handle_next(t, &index))) {
		release(t, h);
		handle_put(t, h);
	}
}
