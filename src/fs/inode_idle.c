/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A descriptor keeps its host mount from being unmounted. On all mounts but the root's those that were not
 * used for a moment are given up, unless the guest has the file open; they are opened again by file handle
 * (mount.c). One thread does it, made when the first such inode is learned, and sleeping while there is
 * nothing to give up.
 */
#include "fs/inode_table.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/closing.h"
#include "base/thread.h"

#define ROUND_NS  250000000L /* what was not used between two rounds goes */
#define LOCK_STEP 64	     /* slots that are visited before others may have the lock */

/* Visits at most LOCK_STEP slots and notes descriptors to close: how many slots were visited. */
static uint32_t visit(struct inode_table *t, uint32_t most, int *gone, uint32_t *n)
{
	struct inode_clock *c = &t->away;
	uint32_t visited = 0;

	autolock(&c->lock);
	while (visited < MIN(most, (uint32_t)LOCK_STEP) && c->n) {
		gone[*n] = -1;
		inode_clock_step(t, c, &gone[*n]);
		*n += gone[*n] >= 0;
		visited++;
	}
	return visited;
}

static void give_up_inodes(struct inode_table *t, uint32_t slots)
{
	uint32_t visited;

	do {
		int gone[LOCK_STEP];
		uint32_t n = 0;

		visited = visit(t, slots, gone, &n);
		slots -= visited;
		while (n)
			close(gone[--n]);
	} while (visited && slots);
}

/* Sleeps with the clock's lock given back; the length of a round, or until woken while there is nothing to
 * do. */
static void rest(struct inode_table *t)
{
	uint64_t until;

	if (t->idle.resting) {
		pthread_cond_wait(&t->idle.wake, &t->away.lock);
		return;
	}
	until = clock_ns() + ROUND_NS;
	while (!t->idle.stop && thread_wait(&t->idle.wake, &t->away.lock, until))
		continue;
}

static void *idle_main(void *arg)
{
	struct inode_table *t = arg;

	autolock(&t->away.lock);
	while (!t->idle.stop) {
		uint32_t slots;
		bool mounts;

		rest(t);
		if (t->idle.stop || t->idle.resting)
			continue;
		t->idle.woken = false;
		slots = t->away.n;
		pthread_mutex_unlock(&t->away.lock);
		give_up_inodes(t, slots);
		mounts = mount_give_up(t->mounts);
		closing_flush();
		pthread_mutex_lock(&t->away.lock);
		t->idle.resting = !t->away.n && !mounts && !t->idle.woken;
	}
	return NULL;
}

/* Without the thread, mounts stay busy until the guest forgets; the next inode tries again. */
void inode_idle_wake(struct inode_table *t)
{
	if (!t->idle.running)
		t->idle.running = !thread_start(&t->idle.thread, idle_main, t);
	t->idle.woken = true;
	if (!t->idle.resting)
		return;
	t->idle.resting = false;
	pthread_cond_signal(&t->idle.wake);
}

void inode_idle_notice(struct inode_table *t)
{
	autolock(&t->away.lock);
	inode_idle_wake(t);
}

void inode_idle_init(struct inode_table *t)
{
	pthread_cond_init(&t->idle.wake, NULL);
}

void inode_idle_fini(struct inode_table *t)
{
	pthread_mutex_lock(&t->away.lock);
	t->idle.stop = true;
	pthread_cond_signal(&t->idle.wake);
	pthread_mutex_unlock(&t->away.lock);
	if (t->idle.running)
		pthread_join(t->idle.thread, NULL);
	pthread_cond_destroy(&t->idle.wake);
}
