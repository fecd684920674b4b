/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inode table: records, how they are found by key, and the lookups that keep them. A record lives as long
 * as it has references: one while the guest has lookups of it (then it is in a hash chain), one for each
 * user.
 */
#include "fs/inode_table.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/closing.h"
#include "base/log.h"
#include "base/order.h"

#include <fcntl.h>
#include <string.h>

/* What is looked for. Where a record with the key has no descriptor, only the file handle tells whether it is
 * the same inode; it is fetched (outside of the locks) when that happens. */
struct probe {
	const struct inode_key *key;
	int dir;
	const char *name; /* "" for @dir itself */
	bool want_id, have_id;
	struct file_id id;
};

static uint64_t head_of(const struct inode_table *t, const struct inode_key *key)
{
	uint64_t h = (key->ino ^ key->dev << 32 ^ key->mnt_id << 48) * 0x9e3779b97f4a7c15ULL;

	return (h ^ h >> 32) & t->head_mask;
}

static pthread_mutex_t *stripe_of(struct inode_table *t, uint64_t head)
{
	return &t->stripe[head % INODE_STRIPES];
}

static struct inode *at(struct inode_table *t, uint32_t index)
{
	return (struct inode *)(void *)(t->ids.records + (size_t)index * t->ids.record_size);
}

/* A descriptor keeps the inode, and thus its number: only the birth time is left to compare, and where it
 * differs the inode is asked for the one it has now. */
static bool is_pinned_inode(const struct inode *i, int fd, const struct inode_key *key)
{
	struct statx st;

	if (i->key.btime == key->btime)
		return true;
	return !statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &st) && inode_birth_of(&st) == key->btime;
}

/* A descriptor that is held now was held, or the way back to it known, when the key was asked for. */
static bool is_inode(struct inode *i, struct probe *p)
{
	const struct inode_key *k = p->key;
	bool same;
	int fd;

	if (!inode_key_same(&i->key, k))
		return false;
	if (i->key.btime == k->btime && inode_fd_held(i))
		return true;
	fd = inode_fd_peek(i);
	if (fd >= 0) {
		same = is_pinned_inode(i, fd, k);
		inode_fd_done(i);
		return same;
	}
	p->want_id = !p->have_id;
	return p->have_id && p->id.len == i->handle_len && p->id.type == i->handle_type &&
	       !memcmp(p->id.bytes, i->handle, p->id.len);
}

/* With the stripe lock held. NULL: it is not there, or, with want_id, that cannot be said yet. */
static struct inode *find(struct inode_table *t, uint64_t head, struct probe *p)
{
	p->want_id = false;
	for (uint32_t n = t->head[head]; n; n = at(t, n)->hash_next) {
		if (is_inode(at(t, n), p))
			return at(t, n);
		if (p->want_id)
			return NULL;
	}
	return NULL;
}

/* One lookup more for the inode if it is in its chain, or for @fresh, which joins the chain then. With a
 * reference. */
static struct inode *count(struct inode_table *t, struct probe *p, struct inode *fresh)
{
	uint64_t head = head_of(t, p->key);
	struct inode *i;

	autolock(stripe_of(t, head));
	i = find(t, head, p);
	if (i) {
		i->nlookup++;
		idtab_ref(i);
		return i;
	}
	if (fresh && !p->want_id) {
		in_order(); /* the record counts from the next store on */
		fresh->nlookup = 1;
		inode_chain(t, fresh);
		idtab_ref(fresh);
	}
	return p->want_id ? NULL : fresh;
}

/* The same for who needs no more than its nodeid. */
static bool count_known(struct inode_table *t, struct probe *p, struct nodeid *out)
{
	uint64_t head = head_of(t, p->key);
	struct inode *i;

	autolock(stripe_of(t, head));
	i = find(t, head, p);
	if (!i)
		return false;
	i->nlookup++;
	*out = inode_node(t, i);
	return true;
}

void inode_chain(struct inode_table *t, struct inode *i)
{
	uint64_t head = head_of(t, &i->key);

	i->hash_next = t->head[head];
	t->head[head] = idtab_index(&t->ids, i);
}

uint32_t inode_index(struct inode_table *t, const struct inode_key *key)
{
	uint64_t head = head_of(t, key);
	const struct inode *i;

	autolock(stripe_of(t, head));
	for (uint32_t n = t->head[head]; n; n = i->hash_next) {
		i = at(t, n);
		if (inode_key_same(&i->key, key))
			return n;
	}
	return 0;
}

struct nodeid inode_known(struct inode_table *t, const struct inode_key *key)
{
	uint32_t index = inode_index(t, key);

	return index ? inode_node(t, at(t, index)) : (struct nodeid){0};
}

/* True: whether it is there can be said now. */
static bool ask_id(struct probe *p)
{
	if (!p->want_id)
		return false;
	if (file_id_get(p->dir, p->name, &p->id))
		p->id.len = 0;
	p->have_id = true;
	return true;
}

static struct inode *recognise(struct inode_table *t, struct probe *p, struct inode *fresh)
{
	struct inode *i = count(t, p, fresh);

	return i || !ask_id(p) ? i : count(t, p, fresh);
}

static void unchain(struct inode_table *t, uint64_t head, const struct inode *i)
{
	uint32_t index = idtab_index(&t->ids, i);
	uint32_t *link = &t->head[head];

	while (*link != index)
		link = &at(t, *link)->hash_next;
	*link = i->hash_next;
}

/* True if these were the last lookups: the chain's reference is the caller's then. */
static bool give_back(struct inode_table *t, struct inode *i, uint64_t n)
{
	uint64_t head = head_of(t, &i->key);

	autolock(stripe_of(t, head));
	if (!i->nlookup)
		return false;
	i->nlookup -= MIN(n, i->nlookup);
	if (i->nlookup)
		return false;
	unchain(t, head, i);
	return true;
}

/* Nothing in the guest depends on the number: neither an open file nor a working directory; and nobody but
 * the chain and the caller has the record. */
static bool may_evict(struct inode *i)
{
	const uint32_t chain_and_me = 2;

	return i->key.type != S_IFDIR && !atomic_load(&i->opens) &&
	       (uint32_t)atomic_load(&i->rec.state) == chain_and_me;
}

/*
 * The guest knows more than we are to remember: the oldest that it has not open goes, as if it had forgotten
 * it. It gets ESTALE if it names it once more, and looks it up again. False if nothing was found to go.
 */
static bool evict(struct inode_table *t)
{
	uint32_t end = idtab_end(&t->ids);

	for (uint32_t step = 0; step < MIN(end, EVICT_STEPS); step++) {
		uint32_t index = atomic_fetch_add(&t->evict_hand, 1) % end;
		struct inode *i = index > 1 ? idtab_get_index(&t->ids, index) : NULL;
		bool gone = i && may_evict(i) && give_back(t, i, UINT64_MAX);

		if (gone)
			inode_put(t, i);
		inode_put(t, i);
		if (gone)
			return true;
	}
	return false;
}

static struct inode *alloc(struct inode_table *t)
{
	struct inode *i;
	uint64_t id;

	do {
		i = idtab_alloc(&t->ids, &id);
	} while (!i && evict(t));
	return i;
}

static bool evict_and_close(struct inode_table *t)
{
	bool gone = evict(t);

	if (gone)
		closing_finish();
	return gone;
}

#define LOWER_TRIES 4

/* All descriptors up to the ceiling are taken: one that waits to be closed, or of a record that goes, may do.
 */
bool inode_fd_lower(struct inode_table *t, int *fd)
{
	bool more = *fd >= t->fd_ceiling && (closing_finish() || evict_and_close(t));

	for (int n = 0; more && n < LOWER_TRIES; n++) {
		int other = fcntl(*fd, F_DUPFD_CLOEXEC, 0);

		if (other < 0)
			return false;
		close(*fd);
		*fd = other;
		more = other >= t->fd_ceiling && evict_and_close(t);
	}
	return *fd < t->fd_ceiling;
}

/* A record for @fd, which becomes its own, in no chain yet. @node: the one it shall have, 0: any. */
static int make(
	struct inode_table *t, const struct inode_key *key, struct nodeid node, int *fd, struct inode **out)
{
	struct inode *i;
	uint16_t mount;
	int why;

	if (node.v ? *fd >= t->fd_ceiling : !inode_fd_lower(t, fd))
		return -ENFILE;
	why = mount_ref(t->mounts, key, *fd, &mount);
	if (why && t->handles == FS_HANDLES_MANDATORY) {
		mount_put(t->mounts, mount);
		return -EOPNOTSUPP;
	}
	i = node.v ? idtab_place(&t->ids, node.v) : alloc(t);
	if (!i) {
		mount_put(t->mounts, mount);
		return node.v ? -EINVAL : -ENFILE;
	}
	i->key = *key;
	i->mount = mount;
	atomic_store(&i->flags, why ? INODE_PINNED : 0);
	inode_fd_give(t, i, fd_take(fd));
	*out = i;
	return 0;
}

int inode_learn(
	struct inode_table *t, const struct inode_key *key, int fd, struct op_ctx *c, struct nodeid *out)
{
	struct probe p = {.key = key, .dir = fd, .name = ""};
	struct inode *fresh = NULL;
	struct inode *i;
	bool is_new;
	autofd int own = fd;
	int r;

	i = recognise(t, &p, NULL);
	if (!i) {
		r = make(t, key, (struct nodeid){0}, &own, &fresh);
		if (r)
			return r;
		i = recognise(t, &p, fresh);
	}
	*out = inode_node(t, i);
	if (c)
		op_counted(c, *out);
	if (own >= 0)
		inode_fd_offer(t, i, fd_take(&own));
	else if (i == fresh)
		inode_fd_cache(t, i);
	else
		inode_put(t, fresh); /* somebody was quicker */
	is_new = i == fresh;
	inode_put(t, i);
	return is_new;
}

int inode_place(struct inode_table *t, const struct inode_arrival *a)
{
	autofd int own = a->fd;
	struct inode *i;
	int r = a->node.v && a->nlookup ? make(t, &a->key, a->node, &own, &i) : -EINVAL;

	if (r)
		return r;
	i->nlookup = a->nlookup;
	if (a->pinned)
		atomic_fetch_or(&i->flags, INODE_PINNED);
	inode_chain(t, i);
	inode_fd_cache(t, i);
	return 0;
}

int inode_open_by_id(struct inode_table *t, const struct file_id *id)
{
	return mount_open_any(t->mounts, id);
}

void inode_avoid(struct inode_table *t, struct nodeid node)
{
	idtab_avoid(&t->ids, node.v);
}

void inode_tidy(struct inode_table *t)
{
	idtab_tidy(&t->ids);
}

struct inode *inode_next(struct inode_table *t, uint32_t *index)
{
	return idtab_next(&t->ids, index);
}

bool inode_learn_known(
	struct inode_table *t, const struct inode_key *key, int parent, const char *name, struct nodeid *out)
{
	struct probe p = {.key = key, .dir = parent, .name = name};

	return count_known(t, &p, out) || (ask_id(&p) && count_known(t, &p, out));
}

void inode_crossed(struct inode_table *t, struct nodeid node, struct inode *dir, const char *name)
{
	struct inode *i = inode_get(t, node);

	if (!i)
		return;
	mount_place(t->mounts, i->mount, dir, name);
	inode_put(t, i);
}

uint32_t inode_fs_traits(struct inode_table *t, const struct inode *i, int fd)
{
	return mount_traits(t->mounts, i->mount, i->mount || i->key.dev == at(t, 1)->key.dev, fd);
}

bool inode_expects_known(const struct inode *dir)
{
	return atomic_load_explicit(&dir->flags, memory_order_relaxed) & INODE_KNOWNS;
}

void inode_expect_known(struct inode *dir, bool known)
{
	if (inode_expects_known(dir) == known)
		return;
	if (known)
		atomic_fetch_or(&dir->flags, INODE_KNOWNS);
	else
		atomic_fetch_and(&dir->flags, (uint8_t)~INODE_KNOWNS);
}

struct nodeid inode_node(struct inode_table *t, const struct inode *i)
{
	return (struct nodeid){idtab_id(&t->ids, i)};
}

struct inode *inode_get(struct inode_table *t, struct nodeid node)
{
	return idtab_get(&t->ids, node.v);
}

void inode_put(struct inode_table *t, struct inode *i)
{
	if (!i || !idtab_put(i))
		return;
	inode_fd_drop(t, i);
	mount_put(t->mounts, i->mount);
	idtab_free(&t->ids, i);
}

int inode_use(struct inode_table *t, struct nodeid node, struct inode_use *u)
{
	struct inode *i = inode_get(t, node);
	int fd;

	if (!i)
		return -ESTALE;
	fd = inode_fd(t, i);
	if (fd < 0) {
		inode_put(t, i);
		return fd;
	}
	*u = (struct inode_use){.table = t, .inode = i, .fd = fd};
	return 0;
}

void inode_use_end(struct inode_use *u)
{
	if (!u->inode)
		return;
	inode_fd_done(u->inode);
	inode_put(u->table, u->inode);
	u->inode = NULL;
}

bool inode_forget(struct inode_table *t, struct nodeid node, uint64_t n)
{
	struct inode *i = node.v == NODEID_ROOT.v ? NULL : inode_get(t, node);
	bool last = i && give_back(t, i, n);

	if (last)
		inode_put(t, i);
	inode_put(t, i);
	return last;
}

void inode_forget_all(struct inode_table *t)
{
	uint32_t index = 2;
	struct inode *i;

	while ((i = inode_next(t, &index))) {
		if (give_back(t, i, UINT64_MAX))
			inode_put(t, i);
		inode_put(t, i);
	}
}

bool inode_uses_handles(const struct inode_table *t)
{
	return t->handles != FS_HANDLES_NEVER;
}

/* Whether the share's inodes can be opened by handle, or what that means for the start. */
static int probe_root(struct inode_table *t, const struct inode_key *key, int fd, struct err *err)
{
	uint16_t mount;
	int why = mount_ref(t->mounts, key, fd, &mount);

	mount_put(t->mounts, mount);
	if (why && t->handles == FS_HANDLES_MANDATORY)
		return err_sys(err, -why,
			"--inode-file-handles=mandatory: the shared directory's inodes cannot be "
			"opened by file handle; use prefer");
	if (why && t->handles == FS_HANDLES_PREFER)
		log_info("no file handles beneath the shared directory (%s): each inode that the "
			 "guest knows "
			 "costs a "
			 "descriptor",
			strerrordesc_np(-why));
	if (why == -EPERM) /* that is not for us, on any mount */
		t->handles = FS_HANDLES_NEVER;
	return 0;
}

/* The first record, so that its ID is NODEID_ROOT's. It keeps its descriptor for ever. */
static int learn_root(struct inode_table *t, const struct fs_config *cfg, struct err *err)
{
	struct inode_key key;
	struct nodeid node;
	struct statx st;
	int r;

	autofd int fd = openat(cfg->root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, INODE_KEY_MASK, &st))
		return err_sys(err, errno, "cannot examine the shared directory");
	key = inode_key_of(&st);
	r = probe_root(t, &key, fd, err);
	if (r)
		return r;
	r = inode_learn(t, &key, fd_take(&fd), NULL, &node);
	if (r < 0)
		return err_sys(err, -r, "cannot keep the shared directory open");
	atomic_fetch_or(&at(t, 1)->flags, INODE_PINNED);
	inode_fs_traits(t, at(t, 1), cfg->root); /* ahead of all requests, which ask */
	return 0;
}

static uint64_t mixed(uint64_t dev, uint64_t ino)
{
	uint64_t h = ino + dev * 0x9e3779b97f4a7c15ULL;

	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9ULL;
	h = (h ^ h >> 27) * 0x94d049bb133111ebULL;
	return h ^ h >> 31;
}

void inode_number(struct inode_table *t, uint64_t dev, uint64_t *ino)
{
	if (dev != at(t, 1)->key.dev)
		*ino = mixed(dev, *ino);
}

void inode_mark(struct inode_table *t, struct nodeid node, uint8_t flags)
{
	struct inode *i = inode_get(t, node);

	if (i && (atomic_load(&i->flags) & flags) != flags)
		atomic_fetch_or(&i->flags, flags);
	inode_put(t, i);
}

bool inode_had_sgid(struct inode_table *t, struct nodeid node)
{
	struct inode *i = inode_get(t, node);
	bool had = i && atomic_load_explicit(&i->flags, memory_order_relaxed) & INODE_SGID;

	inode_put(t, i);
	return had;
}

bool inode_mixes(const struct inode *dir)
{
	uint8_t flags = atomic_load_explicit(&dir->flags, memory_order_relaxed);

	return (flags & (INODE_MIXED | INODE_MOUNT)) == INODE_MIXED;
}

void inode_number_mounted(struct inode_table *t, struct nodeid node, uint64_t dev, uint64_t *ino)
{
	const struct inode *i = at(t, (uint32_t)node.v);

	if (atomic_load_explicit(&i->flags, memory_order_relaxed) & INODE_MIXED)
		*ino = mixed(dev, *ino);
}

void inode_number_listed(const struct inode *dir, bool itself, uint64_t *ino)
{
	uint8_t flags = atomic_load_explicit(&dir->flags, memory_order_relaxed);

	if (itself ? flags & INODE_MIXED : inode_mixes(dir))
		*ino = mixed(dir->key.dev, *ino);
}

/* Few guests know as many inodes as they may, and each page of the heads is soon touched: with all of them in
 * use four to eight are in a chain. */
static uint64_t hash_heads(uint32_t inodes)
{
	uint64_t n = 64;

	while (n < inodes / 8)
		n *= 2;
	return n;
}

int inode_table_new(
	const struct fs_config *cfg, const struct segment *seg, struct inode_table **out, struct err *err)
{
	struct inode_table *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return err_sys(err, ENOMEM, "cannot make the inode table");
	idtab_init(&t->ids, segment_at(seg, SEGMENT_INODES), sizeof(struct inode),
		(uint32_t)segment_count(seg, SEGMENT_INODES));
	t->head_mask = hash_heads(t->ids.capacity) - 1;
	t->head = calloc(t->head_mask + 1, sizeof(*t->head));
	t->handles = cfg->handles;
	t->fd_ceiling = inode_fd_ceiling();
	for (int s = 0; s < INODE_STRIPES; s++)
		pthread_mutex_init(&t->stripe[s], NULL);
	inode_idle_init(t);
	t->mounts = mount_table_new(cfg, seg, t);
	r = inode_clock_init(&t->clock, cfg->max_fds) || inode_clock_init(&t->away, cfg->max_fds);
	if (r || !t->mounts || !t->head)
		r = err_sys(err, ENOMEM, "cannot make the inode table");
	else if (seg->adopt)
		r = inode_adopt_begin(t, cfg) ? err_set(err, EINVAL, "the state is of another share") : 0;
	else
		r = learn_root(t, cfg, err);
	if (r) {
		inode_table_free(t, seg->adopt);
		return r;
	}
	*out = t;
	return 0;
}

static void close_all(struct inode_table *t)
{
	for (uint32_t index = 1; idtab_at(&t->ids, index); index++)
		inode_fd_drop(t, at(t, index));
	mount_close_all(t->mounts);
}

void inode_table_free(struct inode_table *t, bool leave)
{
	if (!t)
		return;
	inode_idle_fini(t);
	if (!leave)
		close_all(t);
	mount_table_free(t->mounts);
	inode_clock_fini(&t->clock);
	inode_clock_fini(&t->away);
	free(t->head);
	for (int s = 0; s < INODE_STRIPES; s++)
		pthread_mutex_destroy(&t->stripe[s]);
	free(t);
}

void inode_table_count(struct inode_table *t, uint32_t *inodes, uint32_t *fds)
{
	*inodes = atomic_load(&t->ids.used);
	*fds = atomic_load(&t->fds);
}
