/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inodes' descriptors: taken for use, taken back by the clock hand when there are too many, opened again
 * by file handle. The descriptor word changes from none to one and back by compare-and-swap, and never while
 * it has users.
 */
#include "fs/inode_table.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/closing.h"
#include "base/order.h"
#include "fs/fd_slot.h"

#include <string.h>
#include <fcntl.h>
#include <sys/resource.h>

/* Room in the circle for descriptors that are all in use at a time, one a thread. */
#define CLOCK_SLACK 1024
/* Looked at for one of a forgotten inode while there are descriptors to spare. */
#define FORGOTTEN_STEPS 64

int inode_fd_ceiling(void)
{
	struct rlimit rl;
	rlim_t n;

	if (getrlimit(RLIMIT_NOFILE, &rl))
		return 0;
	n = MIN(rl.rlim_cur, (rlim_t)INT32_MAX);
	return (int)(n - MIN(n / 8, (rlim_t)256));
}

int inode_clock_init(struct inode_clock *c, uint32_t max_fds)
{
	uint64_t cap;

	pthread_mutex_init(&c->lock, NULL);
	c->max = MIN(MAX(max_fds, 1u), (uint32_t)INT32_MAX);
	cap = (uint64_t)c->max + CLOCK_SLACK;
	c->cap = (uint32_t)cap;
	c->slot = calloc(cap, sizeof(*c->slot));
	return c->slot ? 0 : -ENOMEM;
}

void inode_clock_fini(struct inode_clock *c)
{
	free(c->slot);
	pthread_mutex_destroy(&c->lock);
}

static struct file_id id_of(const struct inode *i)
{
	struct file_id id = {.type = i->handle_type, .len = i->handle_len};

	memcpy(id.bytes, i->handle, id.len);
	return id;
}

/* The way back, before the descriptor goes. The clock lock makes this the only writer. */
static bool know_handle(struct inode *i, int fd)
{
	struct file_id id;

	if (i->handle_len)
		return true;
	if (file_id_get(fd, "", &id))
		return false;
	i->handle_type = id.type;
	memcpy(i->handle, id.bytes, id.len);
	in_order(); /* the handle counts from the next store on */
	i->handle_len = (uint8_t)id.len;
	return true;
}

bool inode_is_removed(int fd)
{
	struct statx st;

	return !statx(fd, "", AT_EMPTY_PATH, STATX_NLINK, &st) && !st.stx_nlink;
}

/* As many as may be cached otherwise: a guest that forgets nothing shall not have more. */
static bool may_pin(struct inode_table *t)
{
	if (atomic_fetch_add(&t->removed, 1) < t->clock.max)
		return true;
	atomic_fetch_sub(&t->removed, 1);
	return false;
}

void inode_removed(struct inode_table *t, struct inode *i)
{
	if (atomic_load(&i->flags) & INODE_PINNED || !may_pin(t))
		return;
	if (atomic_fetch_or(&i->flags, INODE_PINNED | INODE_REMOVED) & INODE_REMOVED)
		atomic_fetch_sub(&t->removed, 1);
}

bool inode_lacks_fds(struct inode_table *t)
{
	return t->handles != FS_HANDLES_NEVER && atomic_load(&t->fds) < atomic_load(&t->ids.used);
}

/* False: the hand goes on. True: the record needs its slot no more; *gone is the descriptor to close, or -1.
 */
static bool give_up(struct inode_table *t, struct inode *i, int *gone)
{
	uint64_t w = atomic_load(&i->fd);

	if (fd_slot_users(w))
		return false;
	if (atomic_fetch_and(&i->flags, (uint8_t)~INODE_USED) & INODE_USED && !atomic_load(&i->opens))
		return false;
	if (w && !atomic_load(&i->opens)) {
		if (!know_handle(i, fd_slot_fd(w)))
			atomic_fetch_or(&i->flags, INODE_PINNED);
		else if (inode_is_removed(fd_slot_fd(w)))
			inode_removed(t, i);
		if (!(atomic_load(&i->flags) & INODE_PINNED)) {
			if (!fd_slot_empty(&i->fd, w))
				return false;
			*gone = fd_slot_fd(w);
			atomic_fetch_sub(&t->fds, 1);
		}
	}
	return true;
}

/* The same for one with INODE_CACHED. That goes first: who gives the record a descriptor, or closes its last
 * handle, while we look either is seen, or sees that he has to come for a slot himself (inode_fd_cache()). */
static bool take_back(struct inode_table *t, struct inode *i, int *gone)
{
	bool is_free;

	atomic_fetch_and(&i->flags, (uint8_t)~INODE_CACHED);
	is_free = give_up(t, i, gone);
	if (!is_free)
		atomic_fetch_or(&i->flags, INODE_CACHED);
	return is_free;
}

/* The hand moves one on. True if the slot there is free now. */
static bool step(struct inode_table *t, struct inode_clock *c, int *gone)
{
	struct inode *i;
	bool is_free;

	c->hand = (c->hand + 1) % c->n;
	i = idtab_get(&t->ids, c->slot[c->hand]);
	is_free = !i || take_back(t, i, gone);
	inode_put(t, i);
	return is_free;
}

bool inode_clock_step(struct inode_table *t, struct inode_clock *c, int *gone)
{
	if (!step(t, c, gone))
		return false;
	c->slot[c->hand] = c->slot[--c->n];
	return true;
}

/* The hand moves on until it frees a slot: its number, or -1 after two rounds in vain. */
static int64_t sweep(struct inode_table *t, struct inode_clock *c, int *gone)
{
	for (uint64_t n = 0; n < 2ULL * c->n; n++)
		if (step(t, c, gone))
			return c->hand;
	return -1;
}

/* The same without giving anything up: a slot near by whose inode the guest forgot, or -1. */
static int64_t sweep_forgotten(struct inode_table *t, struct inode_clock *c)
{
	for (uint32_t n = 0; n < FORGOTTEN_STEPS; n++) {
		struct inode *i;

		c->hand = (c->hand + 1) % c->n;
		i = idtab_get(&t->ids, c->slot[c->hand]);
		if (!i)
			return c->hand;
		inode_put(t, i);
	}
	return -1;
}

/* A slot for one more; above the budget, one that was given up. False: none. */
static bool slot_for(struct inode_table *t, struct inode_clock *c, uint64_t id, int gone[2])
{
	int64_t at = -1;

	if (c->n < c->max) {
		c->slot[c->n++] = id;
		return true;
	}
	if (atomic_load(&t->fds) <= c->max)
		at = sweep_forgotten(t, c);
	if (at < 0)
		at = sweep(t, c, &gone[0]);
	if (at < 0 && c->n == c->cap)
		return false;
	c->slot[at < 0 ? c->n++ : at] = id;
	if (at >= 0 && c->n > c->max) {
		at = sweep(t, c, &gone[1]);
		if (at >= 0)
			c->slot[at] = c->slot[--c->n];
	}
	return true;
}

void inode_fd_cache(struct inode_table *t, struct inode *i)
{
	int gone[2] = {-1, -1};
	bool away = i->mount != MOUNT_ROOT;
	struct inode_clock *c = away ? &t->away : &t->clock;

	if (atomic_load(&i->flags) & (INODE_PINNED | INODE_CACHED))
		return;
	pthread_mutex_lock(&c->lock);
	if (!(atomic_load(&i->flags) & (INODE_PINNED | INODE_CACHED)) && atomic_load(&i->fd)) {
		atomic_fetch_or(&i->flags, INODE_USED);
		if (slot_for(t, c, idtab_id(&t->ids, i), gone))
			atomic_fetch_or(&i->flags, INODE_CACHED);
		if (away)
			inode_idle_wake(t);
	}
	pthread_mutex_unlock(&c->lock);
	/* Without the lock: the last descriptor of a removed file may take long. */
	closing_add(gone[0]);
	closing_add(gone[1]);
}

void inode_fd_give(struct inode_table *t, struct inode *i, int fd)
{
	fd_slot_fill(&i->fd, fd, 0);
	atomic_fetch_add(&t->fds, 1);
}

void inode_fd_offer(struct inode_table *t, struct inode *i, int fd)
{
	if (!fd_slot_fill(&i->fd, fd, 0)) {
		closing_add(fd);
		return;
	}
	atomic_fetch_add(&t->fds, 1);
	inode_fd_cache(t, i);
}

void inode_fd_drop(struct inode_table *t, struct inode *i)
{
	int fd = fd_slot_fd(atomic_exchange(&i->fd, 0));

	if (fd < 0)
		return;
	if (atomic_load(&i->flags) & INODE_REMOVED)
		atomic_fetch_sub(&t->removed, 1);
	closing_add(fd);
	atomic_fetch_sub(&t->fds, 1);
}

static void note_used(struct inode *i)
{
	if (!(atomic_load_explicit(&i->flags, memory_order_relaxed) & INODE_USED))
		atomic_fetch_or(&i->flags, INODE_USED);
}

bool inode_fd_held(struct inode *i)
{
	bool held = fd_slot_fd(atomic_load(&i->fd)) >= 0;

	if (held)
		note_used(i);
	return held;
}

int inode_fd_peek(struct inode *i)
{
	int fd = fd_slot_use(&i->fd);

	if (fd >= 0)
		note_used(i);
	return fd;
}

int inode_fd(struct inode_table *t, struct inode *i)
{
	for (;;) {
		struct file_id id;
		int fd = inode_fd_peek(i);

		if (fd >= 0)
			return fd;
		id = id_of(i);
		fd = mount_open(t->mounts, i->mount, &id, &i->key);
		if (fd < 0)
			return fd;
		if (fd_slot_fill(&i->fd, fd, 1)) {
			atomic_fetch_add(&t->fds, 1);
			inode_fd_cache(t, i);
			return fd;
		}
		close(fd);
	}
}

void inode_fd_done(struct inode *i)
{
	fd_slot_done(&i->fd);
}

struct inode *inode_opened(struct inode_table *t, struct nodeid node)
{
	struct inode *i = inode_get(t, node);

	if (i)
		atomic_fetch_add(&i->opens, 1);
	return i;
}

void inode_closed(struct inode_table *t, struct inode *i)
{
	if (atomic_fetch_sub(&i->opens, 1) == 1)
		inode_fd_cache(t, i);
	inode_put(t, i);
}
