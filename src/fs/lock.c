/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests on record locks and flock. Record locks belong to owners (lock_table.h); a flock belongs to the
 * handle's own description, as in the guest.
 * Threads: any. A lock that waits, waits on the request's thread, in the host's kernel.
 */
#include "fs/file.h"

#include "base/cleanup.h"
#include "fs/cred.h"
#include "fs/lock_table.h"

#include <errno.h>
#include <sys/file.h>

/* To read and write, so that one description does for all locks of the owner; else as the handle is. */
static int open_for_locks(
	struct fs *fs, const struct op_ctx *c, const struct inode_use *u, uint32_t handle_flags)
{
	uint32_t flags = handle_flags & O_ACCMODE;
	int fd = -EROFS;

	if (!fs->cfg.readonly)
		fd = fs_reopen(fs, c, u->fd, S_IFREG, O_RDWR | O_CLOEXEC);
	return fd == -EROFS || fd == -EACCES || fd == -EPERM || fd == -ETXTBSY
		       ? fs_reopen(fs, c, u->fd, S_IFREG, flags | O_CLOEXEC)
		       : fd;
}

/* Who asks, and for which inode, by which handle. */
struct asking {
	struct fs *fs;
	struct op_ctx *c;
	struct nodeid node;
	struct op_fh fh;
	uint64_t owner;
	struct file_use file;
};

static int owner_make(const struct asking *a, struct lock_owner **out)
{
	autoinode struct inode_use u = {0};
	int r = inode_use(a->fs->inodes, a->node, &u);

	if (!r)
		r = u.inode->key.type == S_IFREG ? cred_daemon(a->fs) : -EINVAL;
	if (r)
		return r;
	autofd int fd = open_for_locks(a->fs, a->c, &u, a->file.flags);
	if (fd >= 0 && a->c) /* else tables are being filled from elsewhere */
		inode_fd_lower(a->fs->inodes, &fd);
	return fd < 0 ? fd : lock_owner_make(a->fs->locks, a->node, a->owner, &fd, out);
}

static int may_wait(struct op_ctx *c)
{
	return c->may_block ? c->may_block(c, OP_BLOCK_LOCK) : 0;
}

/* Waits until the lock was there to be had once: -EAGAIN if somebody else was faster after all. */
static int wait_once(const struct asking *a, struct lock_owner *o, struct lock_change *ch)
{
	if (!fcntl(o->fd, F_OFD_SETLKW, &ch->host))
		return lock_change_granted(a->fs->locks, o, ch);
	return errno == EINTR ? -EAGAIN : -errno;
}

/* The lock, however long it takes. Who is cancelled has it or has it not, as the answer says. */
static int wait_for(const struct asking *a, struct lock_owner *o, struct lock_change *ch)
{
	struct lock_wait w = {.node = a->node, .owner = a->owner, .want = &ch->lk};
	bool asked = false;
	int r;

	do {
		r = lock_wait_begin(a->fs->locks, &w);
		if (r)
			return r;
		if (!asked)
			r = may_wait(a->c);
		asked = true;
		if (!r)
			r = atomic_load(&a->c->cancelled) ? -EINTR : wait_once(a, o, ch);
		lock_wait_end(a->fs->locks, &w);
	} while (r == -EAGAIN);
	return r;
}

static int lock_as(const struct asking *a, struct lock_owner *o, struct lock_change *ch, bool wait)
{
	int r = lock_change_try(a->fs->locks, o, ch);

	if (r == -EAGAIN && wait)
		r = wait_for(a, o, ch);
	if (!r) {
		atomic_store(&o->pid, ch->lk.pid);
		atomic_store(&o->fh, a->fh.v);
	}
	return r;
}

static int set(const struct asking *a, struct lock_change *ch, bool wait)
{
	struct lock_table *t = a->fs->locks;
	struct lock_owner *o = lock_owner_get(t, a->node, a->owner);
	int r;

	if (!o && ch->lk.type == F_UNLCK)
		return 0;
	r = o ? 0 : owner_make(a, &o);
	if (r)
		return r;
	r = ch->lk.type == F_UNLCK ? lock_change_try(t, o, ch) : lock_as(a, o, ch, wait);
	lock_owner_put(t, o);
	return r;
}

static int asking_begin(struct asking *a, bool offered)
{
	if (!offered)
		return -ENOSYS;
	return a->fh.v ? file_use(a->fs, a->node, a->fh, FILE_READ, &a->file) : -EBADF;
}

static void asking_end(struct asking *a)
{
	file_use_end(&a->file);
}
#define autoasking __attribute__((cleanup(asking_end)))

int lock_note_take(struct fs *fs, const struct lock_note *n)
{
	struct asking a = {.fs = fs, .node = {n->node}, .fh = {n->fh}, .owner = n->owner};
	struct op_lock lk = {.start = n->start, .end = n->end, .type = n->type, .pid = n->pid};
	struct handle *h = handle_get(fs->handles, a.node, a.fh, false);
	struct lock_change ch;
	struct lock_owner *o;
	int r;

	a.file.flags = h ? h->flags : O_RDWR;
	handle_put(fs->handles, h);
	r = n->type == F_UNLCK ? -EINVAL : lock_change_init(&ch, &lk);
	if (r)
		return r;
	o = lock_owner_get(fs->locks, a.node, a.owner);
	r = o ? 0 : owner_make(&a, &o);
	if (r)
		return r;
	r = lock_as(&a, o, &ch, false);
	lock_owner_put(fs->locks, o);
	return r;
}

int fs_op_setlk(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t owner,
	const struct op_lock *lk, bool wait)
{
	autoasking struct asking a = {.fs = fs, .c = c, .node = node, .fh = fh, .owner = owner};
	struct effect e = {.kind = EFFECT_LOCK, .idempotent = true, .unique = c->unique};
	struct lock_change ch;
	int r = lock_change_init(&ch, lk);

	if (!r)
		r = asking_begin(&a, fs->features.posix_locks);
	if (!r)
		r = effect_begin(fs, &e);
	return r ? r : (int)effect_end(fs, &e, set(&a, &ch, wait));
}

static void report(const struct asking *a, const struct flock *seen, struct op_lock *lk)
{
	lk->type = (uint32_t)seen->l_type;
	if (seen->l_type == F_UNLCK)
		return;
	lk->start = (uint64_t)seen->l_start;
	lk->end = seen->l_len ? (uint64_t)(seen->l_start + seen->l_len - 1) : LOCK_END;
	/* A host process' pid means nothing in the guest; open file descriptions, as ours are, have -1. */
	lk->pid = seen->l_pid == -1 ? lock_holder_pid(a->fs->locks, a->node, a->owner, lk) : 0;
}

int fs_op_getlk(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t owner,
	struct op_lock *lk)
{
	autoasking struct asking a = {.fs = fs, .c = c, .node = node, .fh = fh, .owner = owner};
	struct lock_change ch;
	struct lock_owner *o;
	int r = lk->type == F_UNLCK ? -EINVAL : lock_change_init(&ch, lk);

	if (!r)
		r = asking_begin(&a, fs->features.posix_locks);
	if (r)
		return r;
	o = lock_owner_get(fs->locks, node, owner);
	r = TEMP_FAILURE_RETRY(fcntl(o ? o->fd : a.file.fd, F_OFD_GETLK, &ch.host)) ? -errno : 0;
	lock_owner_put(fs->locks, o);
	if (!r)
		report(&a, &ch.host, lk);
	return r;
}

void lock_flush(struct fs *fs, struct nodeid node, uint64_t owner)
{
	struct effect e = {.kind = EFFECT_LOCK, .idempotent = true};

	if (!fs->features.posix_locks || effect_begin(fs, &e))
		return;
	lock_owner_unlock_all(fs->locks, node, owner);
	effect_end(fs, &e, 0);
}

/* The guest's open-file-description locks have the open file for an owner, for whom no FLUSH speaks. */
void lock_release(struct fs *fs, struct nodeid node, struct op_fh fh)
{
	struct effect e = {.kind = EFFECT_LOCK, .idempotent = true};

	if (!fs->features.posix_locks || effect_begin(fs, &e))
		return;
	lock_table_unlock_handle(fs->locks, node, fh);
	effect_end(fs, &e, 0);
}

static int flock_wait(struct op_ctx *c, int fd, int op)
{
	int r = may_wait(c);

	if (r)
		return r;
	while (!atomic_load(&c->cancelled)) {
		if (!flock(fd, op))
			return 0;
		if (errno != EINTR)
			return -errno;
	}
	return -EINTR;
}

/* Linux gives up the lock that is to become another one before it looks who is in the way. */
static int flock_handle(struct op_ctx *c, struct handle *h, int op)
{
	if (!TEMP_FAILURE_RETRY(flock(h->fd, op | LOCK_NB)))
		return 0;
	if (errno != EWOULDBLOCK)
		return -errno;
	atomic_store(&h->flock, 0);
	return op & LOCK_NB ? -EWOULDBLOCK : flock_wait(c, h->fd, op);
}

int fs_op_flock(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t owner, int op)
{
	autoasking struct asking a = {.fs = fs, .c = c, .node = node, .fh = fh, .owner = owner};
	struct effect e = {.kind = EFFECT_LOCK, .idempotent = true, .unique = c->unique};
	int what = op & ~LOCK_NB;
	int r;

	if (what != LOCK_SH && what != LOCK_EX && what != LOCK_UN)
		return -EINVAL;
	r = asking_begin(&a, fs->features.flock_locks);
	if (!r)
		r = effect_begin(fs, &e);
	if (r)
		return r;
	atomic_store(&a.file.handle->prompt, 1);
	r = (int)effect_end(fs, &e, flock_handle(c, a.file.handle, op));
	if (!r)
		atomic_store(&a.file.handle->flock, what == LOCK_UN ? 0 : (uint8_t)what);
	return r;
}
