/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each inode has one place for each kind of descriptor, by its index; the file that came last has it, or the
 * directory that came first. Using a file takes no lock.
 */
#include "fs/kept.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/thread.h"
#include "base/tune.h"
#include "fs/fd_slot.h"
#include "fs/internal.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>

#define READS	 512u
#define WRITES	 64u
#define DIRS	 16u
#define FLOOR	 4096
#define SHARE	 4 /* at most one in so many of the descriptors that may be cached */
#define ROUND_NS 250000000L

struct kept_dir {
	_Atomic uint64_t node; /* 0: none; lock */
	uint64_t fh;	       /* lock */
	bool used;	       /* since the last round; lock */
};

struct kept {
	struct fs *fs;
	int fd_floor, fd_ceiling; /* where copies are */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool running, stop; /* lock */
	bool resting;	    /* the thread waits for something to look after; lock */
	bool stirred;	    /* something was kept since the round began; lock */
	uint32_t n;	    /* what is kept; lock */
	uint32_t limit[2];  /* places for files to read, and to write */
	struct kept_file *file[2];
	struct kept_dir dir[DIRS];
};

struct kept *kept_new(struct fs *fs)
{
	struct kept *k = calloc(1, sizeof(*k));
	uint32_t most = MAX(fs->cfg.max_fds / SHARE, 1u);

	if (!k)
		return NULL;
	k->fs = fs;
	k->fd_ceiling = inode_fd_ceiling();
	k->fd_floor = MIN(FLOOR, k->fd_ceiling / 2);
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->wake, NULL);
	k->limit[0] = MIN(READS, most);
	k->limit[1] = MIN(WRITES, most);
	for (int w = 0; w < 2; w++)
		k->file[w] = calloc(k->limit[w], sizeof(*k->file[w]));
	if (k->file[0] && k->file[1])
		return k;
	kept_free(k);
	return NULL;
}

static struct kept_file *place_of(struct kept *k, struct nodeid node, bool write)
{
	return &k->file[write][(uint32_t)node.v % k->limit[write]];
}

static struct kept_dir *dir_of(struct kept *k, struct nodeid node)
{
	return &k->dir[(uint32_t)node.v % DIRS];
}

/* With the lock held: the descriptor that is the caller's now, or -1. False: it is in use. */
static bool empty(struct kept *k, struct kept_file *f, int *fd)
{
	uint64_t w = atomic_load(&f->fd);

	*fd = -1;
	if (!w)
		return true;
	if (!fd_slot_empty(&f->fd, w))
		return false;
	*fd = fd_slot_fd(w);
	k->n--;
	return true;
}

static void close_unused(struct kept *k, struct kept_file *f)
{
	int fd;

	if (!atomic_load(&f->fd) || atomic_exchange(&f->used, 0))
		return;
	pthread_mutex_lock(&k->lock);
	empty(k, f, &fd);
	pthread_mutex_unlock(&k->lock);
	closing_add(fd);
}

/* With the lock held: the handle is the caller's. */
static struct op_fh take_dir(struct kept *k, struct kept_dir *d)
{
	k->n--;
	atomic_store(&d->node, 0);
	return (struct op_fh){d->fh};
}

static void release_dir(struct kept *k, struct nodeid node, struct op_fh fh)
{
	handle_release(k->fs->handles, node, fh, true);
	dir_forget(k->fs, fh);
}

static void release_unused(struct kept *k, struct kept_dir *d)
{
	struct nodeid node;
	struct op_fh fh = OP_NO_HANDLE;

	pthread_mutex_lock(&k->lock);
	node.v = atomic_load(&d->node);
	if (node.v && !d->used)
		fh = take_dir(k, d);
	d->used = false;
	pthread_mutex_unlock(&k->lock);
	if (fh.v)
		release_dir(k, node, fh);
}

static void go_round(struct kept *k)
{
	for (int w = 0; w < 2; w++)
		for (uint32_t i = 0; i < k->limit[w]; i++)
			close_unused(k, &k->file[w][i]);
	for (uint32_t i = 0; i < DIRS; i++)
		release_unused(k, &k->dir[i]);
	closing_flush();
}

/* With the lock held, though not always meanwhile. Files come and go quickly: only after a round in which
 * none came does the thread wait for the next one to wake it. */
static void rest(struct kept *k)
{
	uint64_t until;

	k->resting = !k->n && !k->stirred;
	while (!k->stop && k->resting)
		pthread_cond_wait(&k->wake, &k->lock);
	k->stirred = false;
	until = clock_ns() + ROUND_NS;
	while (!k->stop && thread_wait(&k->wake, &k->lock, until))
		continue;
}

static void *kept_main(void *arg)
{
	struct kept *k = arg;

	autolock(&k->lock);
	while (!k->stop) {
		rest(k);
		pthread_mutex_unlock(&k->lock);
		go_round(k);
		pthread_mutex_lock(&k->lock);
	}
	return NULL;
}

/* With the lock held: one more is kept. False: nobody would close it. */
static bool count(struct kept *k)
{
	if (!k->running)
		k->running = !thread_start(&k->thread, kept_main, k);
	if (!k->running)
		return false;
	k->n++;
	k->stirred = true;
	if (k->resting)
		pthread_cond_signal(&k->wake);
	k->resting = false;
	return true;
}

void kept_free(struct kept *k)
{
	if (!k)
		return;
	pthread_mutex_lock(&k->lock);
	k->stop = true;
	pthread_cond_signal(&k->wake);
	pthread_mutex_unlock(&k->lock);
	if (k->running)
		pthread_join(k->thread, NULL);
	free(k->file[0]);
	free(k->file[1]);
	pthread_cond_destroy(&k->wake);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

struct kept_file *kept_use(struct kept *k, struct nodeid node, bool write, int *fd)
{
	struct kept_file *f = place_of(k, node, write);

	if (atomic_load_explicit(&f->node, memory_order_relaxed) != node.v)
		return NULL;
	*fd = fd_slot_use(&f->fd);
	if (*fd < 0)
		return NULL;
	if (atomic_load(&f->node) != node.v) {
		fd_slot_done(&f->fd);
		return NULL;
	}
	if (!atomic_load_explicit(&f->used, memory_order_relaxed))
		atomic_store_explicit(&f->used, 1, memory_order_relaxed);
	return f;
}

/* Where closing says how writing went, that is not put off. */
static bool may_keep(struct kept_file *f, struct nodeid node, bool write, uint32_t traits)
{
	return tune.keep_open && (!write || traits & INODE_FS_QUIET) &&
	       atomic_exchange(&f->last, node.v) == node.v;
}

/* Most files are read by one request, and many of them closed by one call, as long as their numbers are
 * neighbours: kept ones are out of their way. */
void kept_add(struct kept *k, struct nodeid node, bool write, int fd, uint32_t traits)
{
	struct kept_file *f = place_of(k, node, write);
	int copy = may_keep(f, node, write, traits) ? fcntl(fd, F_DUPFD_CLOEXEC, k->fd_floor) : -1;
	bool added = false;
	int gone = -1;

	if (copy < 0)
		return;
	pthread_mutex_lock(&k->lock);
	if (copy < k->fd_ceiling && empty(k, f, &gone) && count(k)) {
		f->traits = traits;
		atomic_store(&f->node, node.v);
		atomic_store(&f->used, 1);
		added = fd_slot_fill(&f->fd, copy, 0);
	}
	pthread_mutex_unlock(&k->lock);
	closing_add(gone);
	if (!added)
		closing_add(copy);
}

void kept_done(struct kept_file *f)
{
	fd_slot_done(&f->fd);
}

struct op_fh kept_take_dir(struct kept *k, struct nodeid node)
{
	struct kept_dir *d = dir_of(k, node);

	autolock(&k->lock);
	return node.v && atomic_load(&d->node) == node.v ? take_dir(k, d) : OP_NO_HANDLE;
}

bool kept_put_dir(struct kept *k, struct nodeid node, struct op_fh fh)
{
	struct kept_dir *d = dir_of(k, node);

	autolock(&k->lock);
	if (!tune.keep_open || atomic_load(&d->node) || !count(k))
		return false;
	atomic_store(&d->node, node.v);
	d->fh = fh.v;
	d->used = true;
	return true;
}

static void forget_file(struct kept *k, struct nodeid node, bool write)
{
	struct kept_file *f = place_of(k, node, write);
	int fd = -1;

	if (atomic_load(&f->node) != node.v || !atomic_load(&f->fd))
		return;
	pthread_mutex_lock(&k->lock);
	if (atomic_load(&f->node) == node.v)
		empty(k, f, &fd);
	pthread_mutex_unlock(&k->lock);
	closing_add(fd);
}

void kept_forget(struct kept *k, struct nodeid node)
{
	struct op_fh dir = OP_NO_HANDLE;

	forget_file(k, node, false);
	forget_file(k, node, true);
	if (atomic_load(&dir_of(k, node)->node) == node.v)
		dir = kept_take_dir(k, node);
	if (dir.v)
		release_dir(k, node, dir);
}

void kept_forget_all(struct kept *k)
{
	int fd;

	if (!k)
		return;
	autolock(&k->lock);
	for (int w = 0; w < 2; w++) {
		for (uint32_t i = 0; i < k->limit[w]; i++) {
			empty(k, &k->file[w][i], &fd);
			closing_add(fd);
		}
	}
	for (uint32_t i = 0; i < DIRS; i++)
		if (atomic_load(&k->dir[i].node))
			take_dir(k, &k->dir[i]);
}
