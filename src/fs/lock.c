/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Record locks and flock. Each owner of record locks has an open file description of his own for each inode
 * that he locks, so owners in one guest, in several guests and on the host all see each other. A record stays
 * while its owner may hold a lock, and while somebody waits with it. A flock belongs to the handle's own
 * description.
 * Threads: any. The table's mutex guards the hash chains and `held`; never held over a system call that
 * waits.
 */
#include "fs/file.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "fs/cred.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#define SUSPECTS_MAX 16 /* owners examined for the pid of a lock in the way */

/* In the segment. */
struct lock_owner {
	struct idtab_rec rec;
	uint64_t node, owner;
	int32_t fd;
	_Atomic uint32_t pid; /* in the guest, of who locked last */
	uint32_t held;	      /* 1: there may be locks */
	uint32_t spare;
};

struct lock_table {
	struct idtab ids;
	pthread_mutex_t lock;
	int fd_ceiling;
	uint32_t mask;	/* of a hash, to index heads */
	uint32_t *next; /* by index of a record; 0 ends a chain */
	uint32_t heads[];
};

struct segment_plan lock_table_plan(const struct fs_config *cfg)
{
	return (struct segment_plan){
		.size = sizeof(struct lock_owner), .count = (uint64_t)cfg->max_lock_owners + 1};
}

static uint32_t pow2_from(uint32_t n)
{
	uint32_t p = 16;

	while (p < n && p < 1U << 31)
		p <<= 1;
	return p;
}

int lock_table_new(struct fs *fs, const struct segment *seg, struct lock_table **out)
{
	uint32_t n = (uint32_t)segment_count(seg, SEGMENT_LOCK_OWNERS);
	uint32_t heads = pow2_from(n);
	struct lock_table *t = calloc(1, sizeof(*t) + (size_t)heads * sizeof(t->heads[0]));

	(void)fs;
	if (!t)
		return -ENOMEM;
	t->next = calloc(n, sizeof(*t->next));
	if (!t->next) {
		free(t);
		return -ENOMEM;
	}
	idtab_init(&t->ids, segment_at(seg, SEGMENT_LOCK_OWNERS), sizeof(struct lock_owner), n);
	pthread_mutex_init(&t->lock, NULL);
	t->mask = heads - 1;
	t->fd_ceiling = inode_fd_ceiling();
	*out = t;
	return 0;
}

void lock_table_free(struct lock_table *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t->next);
	free(t);
}

uint32_t lock_table_count(struct lock_table *t)
{
	return atomic_load(&t->ids.used);
}

/* One chain for all owners of an inode. */
static uint32_t *head_of(struct lock_table *t, struct nodeid node)
{
	return &t->heads[(uint32_t)((node.v * 0x9e3779b97f4a7c15ULL) >> 32) & t->mask];
}

/* The link that leads to the record, or to the 0 at the chain's end. Mutex held. */
static uint32_t *find_link(struct lock_table *t, struct nodeid node, uint64_t owner)
{
	uint32_t *link = head_of(t, node);

	for (; *link; link = &t->next[*link]) {
		const struct lock_owner *o = idtab_at(&t->ids, *link);

		if (o->node == node.v && o->owner == owner)
			break;
	}
	return link;
}

/* The owner's record with a reference, or NULL. */
static struct lock_owner *owner_get(struct lock_table *t, struct nodeid node, uint64_t owner)
{
	autolock(&t->lock);
	return idtab_get_index(&t->ids, *find_link(t, node, owner));
}

static void owner_unref(struct lock_table *t, struct lock_owner *o)
{
	if (!idtab_put(o))
		return;
	close(o->fd);
	idtab_free(&t->ids, o);
}

/* Takes the record from its chain, whose reference goes. Mutex held. */
static void owner_unlink(struct lock_table *t, struct lock_owner *o)
{
	uint32_t *link = find_link(t, (struct nodeid){o->node}, o->owner);

	*link = t->next[*link];
	owner_unref(t, o);
}

/* The user's reference back; without locks or other users the record goes. */
static void owner_put(struct lock_table *t, struct lock_owner *o)
{
	const uint32_t chain_and_me = 2;

	if (!o)
		return;
	autolock(&t->lock);
	if (!o->held && (uint32_t)atomic_load(&o->rec.state) == chain_and_me)
		owner_unlink(t, o);
	owner_unref(t, o);
}

static void owner_set_held(struct lock_table *t, struct lock_owner *o, bool held)
{
	autolock(&t->lock);
	o->held = held;
}

/* A new record around @fd, which it takes on success; or the one that another thread made meanwhile. */
static int owner_add(
	struct lock_table *t, struct nodeid node, uint64_t owner, int *fd, struct lock_owner **out)
{
	struct lock_owner *o;
	uint32_t *head = head_of(t, node);
	uint64_t id;

	autolock(&t->lock);
	*out = idtab_get_index(&t->ids, *find_link(t, node, owner));
	if (*out)
		return 0;
	o = *fd < t->fd_ceiling ? idtab_alloc(&t->ids, &id) : NULL;
	if (!o)
		return -ENOLCK;
	o->node = node.v;
	o->owner = owner;
	o->fd = fd_take(fd);
	t->next[(uint32_t)id] = *head;
	*head = (uint32_t)id;
	idtab_ref(o);
	*out = o;
	return 0;
}

/* To read and write, so that one description does for all locks of the owner; else as the handle is. */
static int open_for_locks(struct fs *fs, const struct inode_use *u, uint32_t handle_flags)
{
	uint32_t flags = handle_flags & O_ACCMODE;
	int fd = -EROFS;

	if (!fs->cfg.readonly)
		fd = fs_reopen(fs, u->fd, S_IFREG, O_RDWR | O_CLOEXEC);
	return fd == -EROFS || fd == -EACCES || fd == -EPERM || fd == -ETXTBSY
		       ? fs_reopen(fs, u->fd, S_IFREG, flags | O_CLOEXEC)
		       : fd;
}

/* Who asks, and for which inode, by which handle. */
struct asking {
	struct fs *fs;
	struct op_ctx *c;
	struct nodeid node;
	uint64_t owner;
	struct file_use file;
};

static int owner_make(const struct asking *a, struct lock_owner **out)
{
	autoinode struct inode_use u = {0};
	int r = inode_use(a->fs->inodes, a->node, &u);

	if (!r)
		r = cred_daemon(a->fs);
	if (r)
		return r;
	autofd int fd = open_for_locks(a->fs, &u, a->file.flags);
	return fd < 0 ? fd : owner_add(a->fs->locks, a->node, a->owner, &fd, out);
}

/* The guest's range for the host. */
static int range_of(const struct op_lock *lk, struct flock *out)
{
	if (lk->start > lk->end || lk->start > INT64_MAX || lk->type > INT16_MAX)
		return -EINVAL;
	*out = (struct flock){.l_type = (short)lk->type, .l_whence = SEEK_SET, .l_start = (off_t)lk->start};
	if (lk->end < INT64_MAX)
		out->l_len = (off_t)(lk->end - lk->start + 1);
	return 0;
}

/* One attempt. Later a graph of who waits for whom has its place between this and wait_for(). */
static int try_for(int fd, struct flock *fl)
{
	if (!fcntl(fd, F_OFD_SETLK, fl))
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

static int may_wait(struct op_ctx *c)
{
	return c->may_block ? c->may_block(c, OP_BLOCK_LOCK) : 0;
}

static int wait_for(struct op_ctx *c, int fd, struct flock *fl)
{
	int r = may_wait(c);

	if (r)
		return r;
	while (!atomic_load(&c->cancelled)) {
		if (!fcntl(fd, F_OFD_SETLKW, fl))
			return 0;
		if (errno != EINTR)
			return -errno;
	}
	return -EINTR;
}

/*
 * What another thread locks meanwhile is not forgotten: `held` goes down before the unlock and up after a
 * lock.
 */
static int unlock(struct fs *fs, struct nodeid node, uint64_t owner, struct flock *fl)
{
	struct lock_owner *o = owner_get(fs->locks, node, owner);
	bool all = !fl->l_start && !fl->l_len;
	int r;

	if (!o)
		return 0;
	if (all)
		owner_set_held(fs->locks, o, false);
	r = try_for(o->fd, fl);
	if (all && r)
		owner_set_held(fs->locks, o, true);
	owner_put(fs->locks, o);
	return r;
}

static int lock(const struct asking *a, struct flock *fl, bool wait, uint32_t pid)
{
	struct lock_owner *o = owner_get(a->fs->locks, a->node, a->owner);
	int r = o ? 0 : owner_make(a, &o);

	if (r)
		return r;
	r = try_for(o->fd, fl);
	if (r == -EAGAIN && wait)
		r = wait_for(a->c, o->fd, fl);
	if (!r) {
		atomic_store(&o->pid, pid);
		owner_set_held(a->fs->locks, o, true);
	}
	owner_put(a->fs->locks, o);
	return r;
}

static int asking_begin(struct asking *a, struct op_fh fh, bool offered)
{
	if (!offered)
		return -ENOSYS;
	return fh.v ? file_use(a->fs, a->node, fh, FILE_READ, &a->file) : -EBADF;
}

static void asking_end(struct asking *a)
{
	file_use_end(&a->file);
}
#define autoasking __attribute__((cleanup(asking_end)))

int fs_op_setlk(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t owner,
	const struct op_lock *lk, bool wait)
{
	autoasking struct asking a = {.fs = fs, .c = c, .node = node, .owner = owner};
	struct effect e = {.kind = EFFECT_LOCK, .idempotent = true, .unique = c->unique};
	struct flock fl;
	int r = range_of(lk, &fl);

	if (!r && lk->type != F_RDLCK && lk->type != F_WRLCK && lk->type != F_UNLCK)
		r = -EINVAL;
	if (!r)
		r = asking_begin(&a, fh, fs->features.posix_locks);
	if (!r)
		r = effect_begin(fs, &e);
	if (r)
		return r;
	r = lk->type == F_UNLCK ? unlock(fs, node, owner, &fl) : lock(&a, &fl, wait, lk->pid);
	return (int)effect_end(fs, &e, r);
}

/* Other owners with locks on the inode, with references. */
static unsigned int suspects(
	struct lock_table *t, struct nodeid node, uint64_t owner, struct lock_owner *found[SUSPECTS_MAX])
{
	unsigned int n = 0;

	autolock(&t->lock);
	for (uint32_t index = *head_of(t, node); index && n < SUSPECTS_MAX; index = t->next[index]) {
		struct lock_owner *o = idtab_at(&t->ids, index);

		if (o->node != node.v || o->owner == owner || !o->held)
			continue;
		idtab_ref(o);
		found[n++] = o;
	}
	return n;
}

/* The owner has the lock @seen if it is not in his own way. */
static bool is_holder(const struct lock_owner *o, const struct flock *seen)
{
	struct flock fl = {.l_type = F_WRLCK, .l_start = seen->l_start, .l_len = seen->l_len};

	if (fcntl(o->fd, F_OFD_GETLK, &fl))
		return false;
	return fl.l_type != seen->l_type || fl.l_start != seen->l_start || fl.l_len != seen->l_len;
}

/* The pid in the guest of who has the lock @seen; 0: somebody else, or unknown. */
static uint32_t holder_pid(const struct asking *a, const struct flock *seen)
{
	struct lock_owner *found[SUSPECTS_MAX];
	unsigned int n = suspects(a->fs->locks, a->node, a->owner, found);
	uint32_t pid = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (!pid && is_holder(found[i], seen))
			pid = atomic_load(&found[i]->pid);
		owner_put(a->fs->locks, found[i]);
	}
	return pid;
}

static void report(const struct asking *a, const struct flock *seen, struct op_lock *lk)
{
	lk->type = (uint32_t)seen->l_type;
	if (seen->l_type == F_UNLCK)
		return;
	lk->start = (uint64_t)seen->l_start;
	lk->end = seen->l_len ? (uint64_t)(seen->l_start + seen->l_len - 1) : INT64_MAX;
	/* A host process' pid means nothing in the guest; open file descriptions, as ours are, have -1. */
	lk->pid = seen->l_pid == -1 ? holder_pid(a, seen) : 0;
}

int fs_op_getlk(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t owner,
	struct op_lock *lk)
{
	autoasking struct asking a = {.fs = fs, .c = c, .node = node, .owner = owner};
	struct lock_owner *o;
	struct flock fl;
	int r = range_of(lk, &fl);

	if (!r && lk->type != F_RDLCK && lk->type != F_WRLCK)
		r = -EINVAL;
	if (!r)
		r = asking_begin(&a, fh, fs->features.posix_locks);
	if (r)
		return r;
	o = owner_get(fs->locks, node, owner);
	r = fcntl(o ? o->fd : a.file.fd, F_OFD_GETLK, &fl) ? -errno : 0;
	owner_put(fs->locks, o);
	if (!r)
		report(&a, &fl, lk);
	return r;
}

void lock_flush(struct fs *fs, struct nodeid node, uint64_t owner)
{
	struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
	struct effect e = {.kind = EFFECT_LOCK, .idempotent = true};

	if (!fs->features.posix_locks || effect_begin(fs, &e))
		return;
	effect_end(fs, &e, unlock(fs, node, owner, &all));
}

void lock_drop_all(struct fs *fs)
{
	struct lock_table *t = fs->locks;

	autolock(&t->lock);
	for (uint32_t i = 0; i <= t->mask; i++)
		while (t->heads[i])
			owner_unlink(t, idtab_at(&t->ids, t->heads[i]));
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

static int flock_fd(struct op_ctx *c, int fd, int op)
{
	if (!flock(fd, op | LOCK_NB))
		return 0;
	if (errno != EWOULDBLOCK || op & LOCK_NB)
		return -errno;
	return flock_wait(c, fd, op);
}

int fs_op_flock(struct fs *fs, struct op_ctx *c, struct nodeid node, struct op_fh fh, uint64_t owner, int op)
{
	autoasking struct asking a = {.fs = fs, .c = c, .node = node, .owner = owner};
	struct effect e = {.kind = EFFECT_LOCK, .idempotent = true, .unique = c->unique};
	int what = op & ~LOCK_NB;
	int r;

	if (what != LOCK_SH && what != LOCK_EX && what != LOCK_UN)
		return -EINVAL;
	r = asking_begin(&a, fh, fs->features.flock_locks);
	if (!r)
		r = effect_begin(fs, &e);
	return r ? r : (int)effect_end(fs, &e, flock_fd(c, a.file.fd, op));
}
