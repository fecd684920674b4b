/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owners of record locks, their ranges, and the graph of who waits for whom (lock_table.h). It keeps the
 * books and makes the host's locks; what a request asks for is lock.c's.
 * Threads: any. A function that begins with "mutex held" needs the table's.
 */
#include "fs/lock_table.h"

#include "base/arith.h"
#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

/* In the segment. */
struct lock_range {
	struct idtab_rec rec;
	uint64_t start, end; /* inclusive */
	uint32_t next;	     /* index, 0 ends */
	uint32_t type;	     /* F_RDLCK or F_WRLCK */
};

struct lock_table {
	struct idtab ids, ranges;
	pthread_mutex_t lock;
	struct lock_wait *waits;
	bool suspended; /* the host has none of the locks; mutex */
	int fd_ceiling;
	uint32_t mask;	/* of a hash, to index heads */
	uint32_t *next; /* by index of an owner; 0 ends a chain */
	uint32_t heads[];
};

void lock_table_plan(const struct fs_config *cfg, struct segment_plan *owners, struct segment_plan *ranges)
{
	uint64_t n = cfg->max_lock_owners;

	*owners = (struct segment_plan){.size = sizeof(struct lock_owner), .count = n + 1};
	*ranges = (struct segment_plan){.size = sizeof(struct lock_range), .count = LOCK_RANGES_MAX(n) + 1};
}

static uint32_t pow2_from(uint32_t n)
{
	uint32_t p = 16;

	while (p < n && p < 1U << 31)
		p <<= 1;
	return p;
}

struct lock_table *lock_table_new(const struct segment *seg)
{
	uint32_t n = (uint32_t)segment_count(seg, SEGMENT_LOCK_OWNERS);
	uint32_t heads = pow2_from(n);
	struct lock_table *t = calloc(1, sizeof(*t) + (size_t)heads * sizeof(t->heads[0]));

	if (!t)
		return NULL;
	t->next = calloc(n, sizeof(*t->next));
	if (!t->next) {
		free(t);
		return NULL;
	}
	idtab_init(&t->ids, segment_at(seg, SEGMENT_LOCK_OWNERS), sizeof(struct lock_owner), n);
	idtab_init(&t->ranges, segment_at(seg, SEGMENT_LOCK_RANGES), sizeof(struct lock_range),
		(uint32_t)segment_count(seg, SEGMENT_LOCK_RANGES));
	pthread_mutex_init(&t->lock, NULL);
	t->mask = heads - 1;
	t->fd_ceiling = inode_fd_ceiling();
	return t;
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

/*
 * Ranges. A list is sorted and its ranges do not overlap; neighbours of one type are one range.
 */

static struct lock_range *range_at(struct lock_table *t, uint32_t index)
{
	return idtab_at(&t->ranges, index);
}

static void range_free(struct lock_table *t, uint32_t index)
{
	struct lock_range *r = range_at(t, index);

	if (r && idtab_put(r))
		idtab_free(&t->ranges, r);
}

static void ranges_free(struct lock_table *t, uint32_t list)
{
	while (list) {
		uint32_t next = range_at(t, list)->next;

		range_free(t, list);
		list = next;
	}
}

/* @lk grows over what is of its type and touches it. */
static void ranges_absorb(struct lock_table *t, uint32_t list, struct op_lock *lk)
{
	const struct lock_range *r;

	for (; list; list = r->next) {
		r = range_at(t, list);
		if (r->type != lk->type || r->end + 1 < lk->start || r->start > lk->end + 1)
			continue;
		lk->start = MIN(lk->start, r->start);
		lk->end = MAX(lk->end, r->end);
	}
}

/* A new list, written from its beginning to its end. */
struct range_writer {
	struct lock_table *t;
	uint32_t first, last;
	bool full; /* there was no room: the list is not whole */
};

static void range_write(struct range_writer *w, uint64_t start, uint64_t end, uint32_t type)
{
	struct lock_range *r;
	uint64_t id;

	if (w->full)
		return;
	r = idtab_alloc(&w->t->ranges, &id);
	if (!r) {
		w->full = true;
		return;
	}
	r->start = start;
	r->end = end;
	r->type = type;
	if (w->last)
		range_at(w->t, w->last)->next = (uint32_t)id;
	else
		w->first = (uint32_t)id;
	w->last = (uint32_t)id;
}

/*
 * What POSIX says of a lock on a range where the owner has locks already, as a list of its own: the old one
 * stays as it is, so that one store changes from one to the other, for whoever adopts the records too.
 */
static int ranges_make(struct lock_table *t, uint32_t list, struct op_lock lk, uint32_t *out)
{
	struct range_writer w = {.t = t};
	const struct lock_range *r;
	bool set = lk.type == F_UNLCK;

	if (!set)
		ranges_absorb(t, list, &lk);
	for (; list; list = r->next) {
		r = range_at(t, list);
		if (r->start < lk.start)
			range_write(&w, r->start, MIN(r->end, lk.start - 1), r->type);
		if (r->end <= lk.end)
			continue;
		if (!set)
			range_write(&w, lk.start, lk.end, lk.type);
		set = true;
		range_write(&w, MAX(r->start, lk.end + 1), r->end, r->type);
	}
	if (!set)
		range_write(&w, lk.start, lk.end, lk.type);
	*out = w.first;
	if (!w.full)
		return 0;
	ranges_free(t, w.first);
	return -ENOLCK;
}

static bool ranges_conflict(struct lock_table *t, uint32_t list, const struct op_lock *lk)
{
	const struct lock_range *r;

	for (; list; list = r->next) {
		r = range_at(t, list);
		if (r->end >= lk->start && r->start <= lk->end && (r->type == F_WRLCK || lk->type == F_WRLCK))
			return true;
	}
	return false;
}

static bool ranges_have(struct lock_table *t, uint32_t list, const struct op_lock *lk)
{
	const struct lock_range *r;

	for (; list; list = r->next) {
		r = range_at(t, list);
		if (r->start == lk->start && r->end == lk->end && r->type == lk->type)
			return true;
	}
	return false;
}

/*
 * Owners.
 */

/* One chain for all owners of an inode. */
static uint32_t *head_of(struct lock_table *t, struct nodeid node)
{
	return &t->heads[(uint32_t)((node.v * 0x9e3779b97f4a7c15ULL) >> 32) & t->mask];
}

/* Mutex held. The first owner on @node in the chain from @index on, its index in *at; NULL at the end. */
static struct lock_owner *chain_from(struct lock_table *t, uint32_t index, struct nodeid node, uint32_t *at)
{
	for (; index; index = t->next[index]) {
		struct lock_owner *o = idtab_at(&t->ids, index);

		if (o->node == node.v) {
			*at = index;
			return o;
		}
	}
	return NULL;
}

/* Mutex held. */
static struct lock_owner *first_of(struct lock_table *t, struct nodeid node, uint32_t *at)
{
	return chain_from(t, *head_of(t, node), node, at);
}

static struct lock_owner *next_of(struct lock_table *t, struct nodeid node, uint32_t *at)
{
	return chain_from(t, t->next[*at], node, at);
}

/* Mutex held. No reference is taken. */
static struct lock_owner *owner_find(struct lock_table *t, struct nodeid node, uint64_t owner)
{
	uint32_t at;
	struct lock_owner *o = first_of(t, node, &at);

	while (o && o->owner != owner)
		o = next_of(t, node, &at);
	return o;
}

struct lock_owner *lock_owner_get(struct lock_table *t, struct nodeid node, uint64_t owner)
{
	struct lock_owner *o;

	autolock(&t->lock);
	o = owner_find(t, node, owner);
	if (o)
		idtab_ref(o);
	return o;
}

/* Mutex held. */
static void owner_unref(struct lock_table *t, struct lock_owner *o)
{
	if (!idtab_put(o))
		return;
	close(o->fd);
	ranges_free(t, o->ranges);
	idtab_free(&t->ids, o);
}

/* Mutex held. Takes the owner from its chain, whose reference goes. */
static void owner_unlink(struct lock_table *t, struct lock_owner *o)
{
	uint32_t index = idtab_index(&t->ids, o);
	uint32_t *link = head_of(t, (struct nodeid){o->node});

	while (*link != index)
		link = &t->next[*link];
	*link = t->next[index];
	o->node = 0;
	owner_unref(t, o);
}

/* Mutex held. */
static void owner_put(struct lock_table *t, struct lock_owner *o)
{
	const uint32_t chain_and_me = 2;

	if (o->node && !o->ranges && (uint32_t)atomic_load(&o->rec.state) == chain_and_me)
		owner_unlink(t, o);
	owner_unref(t, o);
}

void lock_owner_put(struct lock_table *t, struct lock_owner *o)
{
	if (!o)
		return;
	autolock(&t->lock);
	owner_put(t, o);
}

/* Another thread may have made the owner meanwhile. */
int lock_owner_make(
	struct lock_table *t, struct nodeid node, uint64_t owner, int *fd, struct lock_owner **out)
{
	uint32_t *head = head_of(t, node);
	struct lock_owner *o;
	uint64_t id;

	autolock(&t->lock);
	o = owner_find(t, node, owner);
	if (!o) {
		o = *fd < t->fd_ceiling ? idtab_alloc(&t->ids, &id) : NULL;
		if (!o)
			return -ENOLCK;
		o->node = node.v;
		o->owner = owner;
		atomic_store(&o->fd, fd_take(fd)); /* last: the record counts from now on */
		t->next[(uint32_t)id] = *head;
		*head = (uint32_t)id;
	}
	idtab_ref(o);
	*out = o;
	return 0;
}

/*
 * Adoption. A range counts if it is in the list of an owner that counts; there it is met once, or the lists
 * are none.
 */
struct lock_adoption {
	struct lock_table *t;
	uint8_t *met; /* by index of a range */
	bool broken;
};

static bool range_fits(const struct lock_adoption *a, uint32_t index)
{
	const struct lock_range *r = range_at(a->t, index);

	return r && !a->met[index] && (uint32_t)atomic_load(&r->rec.state);
}

/* The host's locks go with the description, so who has none noted lost none that he was told of. */
static uint32_t owner_refs(void *arg, void *record)
{
	struct lock_adoption *a = arg;
	struct lock_owner *o = record;
	struct lock_table *t = a->t;
	uint32_t *head = head_of(t, (struct nodeid){o->node});
	uint32_t index = idtab_index(&t->ids, o);

	if (!o->node || o->fd <= 0 || !o->ranges)
		return 0;
	for (uint32_t r = o->ranges; r; r = range_at(t, r)->next) {
		if (!range_fits(a, r)) {
			a->broken = true;
			return 0;
		}
		a->met[r] = 1;
	}
	t->next[index] = *head;
	*head = index;
	return 1;
}

static uint32_t range_refs(void *arg, void *record)
{
	const struct lock_adoption *a = arg;

	return a->met[idtab_index(&a->t->ranges, record)];
}

int lock_table_adopt(struct lock_table *t)
{
	autofree uint8_t *met = calloc(t->ranges.capacity, 1);
	struct lock_adoption a = {.t = t, .met = met};
	int r = met ? idtab_adopt(&t->ids, owner_refs, &a) : -ENOMEM;

	if (!r)
		r = a.broken ? -EINVAL : idtab_adopt(&t->ranges, range_refs, &a);
	return r;
}

int lock_table_keep_fds(struct lock_table *t, struct fdmap *map)
{
	int r = 0;

	for (uint32_t i = 0; i <= t->mask; i++)
		for (uint32_t o = t->heads[i]; o && !r; o = t->next[o])
			r = fdmap_add(map, ((struct lock_owner *)idtab_at(&t->ids, o))->fd);
	return r;
}

/*
 * Changes.
 */

int lock_change_init(struct lock_change *ch, const struct op_lock *lk)
{
	*ch = (struct lock_change){.lk = *lk};
	if (lk->type != F_RDLCK && lk->type != F_WRLCK && lk->type != F_UNLCK)
		return -EINVAL;
	if (lk->start > lk->end || lk->start > LOCK_END)
		return -EINVAL;
	ch->lk.end = MIN(lk->end, (uint64_t)LOCK_END);
	ch->host =
		(struct flock){.l_type = (short)lk->type, .l_whence = SEEK_SET, .l_start = (off_t)lk->start};
	if (ch->lk.end < LOCK_END)
		ch->host.l_len = (off_t)(ch->lk.end - lk->start + 1);
	return 0;
}

/* Mutex held. */
static int change(struct lock_table *t, struct lock_owner *o, struct lock_change *ch)
{
	uint32_t old = o->ranges;
	uint32_t new;
	int r = ranges_make(t, old, ch->lk, &new);

	if (r)
		return r;
	if (!t->suspended && TEMP_FAILURE_RETRY(fcntl(o->fd, F_OFD_SETLK, &ch->host))) {
		r = errno == EACCES ? -EAGAIN : -errno;
		ranges_free(t, new);
		return r;
	}
	atomic_store(&o->ranges, new);
	ranges_free(t, old);
	return 0;
}

int lock_change_try(struct lock_table *t, struct lock_owner *o, struct lock_change *ch)
{
	autolock(&t->lock);
	return change(t, o, ch);
}

/* Mutex held. A part of a file for the host, from @start up to @end, as the books have it. */
static void host_set(struct lock_owner *o, uint64_t start, uint64_t end, uint32_t type)
{
	struct op_lock lk = {.start = start, .end = end, .type = type};
	struct lock_change ch;

	if (!lock_change_init(&ch, &lk))
		TEMP_FAILURE_RETRY(fcntl(o->fd, F_OFD_SETLK, &ch.host));
}

/* Mutex held. The same for all that a change was about. */
static void host_restore(struct lock_table *t, struct lock_owner *o, const struct op_lock *lk)
{
	uint64_t at = lk->start;

	for (uint32_t i = t->suspended ? 0 : o->ranges; i && at <= lk->end; i = range_at(t, i)->next) {
		const struct lock_range *r = range_at(t, i);

		if (r->end < at || r->start > lk->end)
			continue;
		if (r->start > at)
			host_set(o, at, r->start - 1, F_UNLCK);
		host_set(o, MAX(r->start, at), MIN(r->end, lk->end), r->type);
		at = r->end + 1;
	}
	if (at <= lk->end)
		host_set(o, at, lk->end, F_UNLCK);
}

int lock_change_granted(struct lock_table *t, struct lock_owner *o, struct lock_change *ch)
{
	int r;

	autolock(&t->lock);
	r = change(t, o, ch);
	if (r)
		host_restore(t, o, &ch->lk);
	return r;
}

static struct lock_change unlock_all(void)
{
	return (struct lock_change){
		.lk = {.end = LOCK_END, .type = F_UNLCK}, .host = {.l_type = F_UNLCK, .l_whence = SEEK_SET}};
}

/* Mutex held. Where the host cannot unlock, the owner goes, and the locks with the last user of his
 * description. */
static void owner_unlock(struct lock_table *t, struct lock_owner *o)
{
	struct lock_change all = unlock_all();

	idtab_ref(o);
	if (change(t, o, &all))
		owner_unlink(t, o);
	owner_put(t, o);
}

void lock_owner_unlock_all(struct lock_table *t, struct nodeid node, uint64_t owner)
{
	struct lock_owner *o;

	if (!lock_table_count(t))
		return;
	autolock(&t->lock);
	o = owner_find(t, node, owner);
	if (o)
		owner_unlock(t, o);
}

void lock_table_unlock_handle(struct lock_table *t, struct nodeid node, struct op_fh fh)
{
	struct lock_owner *o;
	uint32_t at;

	if (!lock_table_count(t))
		return;
	autolock(&t->lock);
	o = first_of(t, node, &at);
	while (o) {
		struct lock_owner *next = next_of(t, node, &at);

		if (atomic_load(&o->fh) == fh.v)
			owner_unlock(t, o);
		o = next;
	}
}

void lock_drop_all(struct fs *fs)
{
	struct lock_table *t = fs->locks;

	autolock(&t->lock);
	for (uint32_t i = 0; i <= t->mask; i++)
		while (t->heads[i])
			owner_unlink(t, idtab_at(&t->ids, t->heads[i]));
	t->suspended = false;
}

/* Mutex held. */
static struct lock_owner *next_owner(struct lock_table *t, uint32_t *head, uint32_t *at)
{
	uint32_t index = *at ? t->next[*at] : t->heads[*head];

	while (!index && *head < t->mask)
		index = t->heads[++*head];
	*at = index;
	return index ? idtab_at(&t->ids, index) : NULL;
}

void lock_table_suspend(struct lock_table *t)
{
	struct flock all = unlock_all().host;
	uint32_t head = 0, at = 0;
	const struct lock_owner *o;

	autolock(&t->lock);
	while ((o = next_owner(t, &head, &at)))
		fcntl(o->fd, F_OFD_SETLK, &all);
	t->suspended = true;
}

void lock_table_doubt(struct lock_table *t)
{
	autolock(&t->lock);
	t->suspended = true;
}

/* Mutex held. Ranges that cannot be had any more go from the books. */
static uint32_t take_again(struct lock_table *t, struct lock_owner *o)
{
	uint32_t lost = 0, next;

	for (uint32_t at = o->ranges; at; at = next) {
		const struct lock_range *r = range_at(t, at);
		struct op_lock lk = {.start = r->start, .end = r->end, .type = r->type};
		struct lock_change ch;

		next = r->next;
		if (lock_change_init(&ch, &lk) || !fcntl(o->fd, F_OFD_SETLK, &ch.host))
			continue;
		lost++;
		ch.lk.type = F_UNLCK;
		ch.host.l_type = F_UNLCK;
		if (change(t, o, &ch))
			break;
		next = o->ranges; /* the list is another now: from its beginning, which does no harm */
	}
	return lost;
}

uint32_t lock_table_resume(struct lock_table *t)
{
	uint32_t head = 0, at = 0, lost = 0;
	struct lock_owner *o;

	autolock(&t->lock);
	if (!t->suspended)
		return 0;
	t->suspended = false;
	while ((o = next_owner(t, &head, &at)))
		lost += take_again(t, o);
	return lost;
}

void lock_table_each(struct lock_table *t, void (*each)(void *arg, const struct lock_note *n), void *arg)
{
	uint32_t head = 0, at = 0;
	struct lock_owner *o;

	autolock(&t->lock);
	while ((o = next_owner(t, &head, &at))) {
		struct lock_note n = {.node = o->node,
			.owner = o->owner,
			.fh = atomic_load(&o->fh),
			.pid = atomic_load(&o->pid)};

		for (uint32_t i = o->ranges; i; i = range_at(t, i)->next) {
			const struct lock_range *r = range_at(t, i);

			n.start = r->start;
			n.end = r->end;
			n.type = r->type;
			each(arg, &n);
		}
	}
}

uint32_t lock_holder_pid(struct lock_table *t, struct nodeid node, uint64_t owner, const struct op_lock *seen)
{
	struct lock_owner *o;
	uint32_t at;

	autolock(&t->lock);
	for (o = first_of(t, node, &at); o; o = next_of(t, node, &at))
		if (o->owner != owner && ranges_have(t, o->ranges, seen))
			return atomic_load(&o->pid);
	return 0;
}

/*
 * The graph.
 */

/* Mutex held. All waits of @owner join those to be looked at. */
static void add_waits(struct lock_table *t, uint64_t owner, struct lock_wait **todo)
{
	for (struct lock_wait *w = t->waits; w; w = w->next) {
		if (w->seen || w->owner != owner)
			continue;
		w->seen = true;
		w->todo = *todo;
		*todo = w;
	}
}

/* Mutex held. Whether @w waits for @target; the others that it waits for join those to be looked at. */
static bool leads_to(
	struct lock_table *t, const struct lock_wait *w, uint64_t target, struct lock_wait **todo)
{
	struct lock_owner *o;
	uint32_t at;

	for (o = first_of(t, w->node, &at); o; o = next_of(t, w->node, &at)) {
		if (o->owner == w->owner || !ranges_conflict(t, o->ranges, w->want))
			continue;
		if (o->owner == target)
			return true;
		add_waits(t, o->owner, todo);
	}
	return false;
}

int lock_wait_begin(struct lock_table *t, struct lock_wait *w)
{
	struct lock_wait *todo = w;

	autolock(&t->lock);
	w->todo = NULL;
	for (struct lock_wait *i = t->waits; i; i = i->next)
		i->seen = false;
	while (todo) {
		struct lock_wait *now = todo;

		todo = now->todo;
		if (leads_to(t, now, w->owner, &todo))
			return -EDEADLK;
	}
	w->next = t->waits;
	t->waits = w;
	return 0;
}

void lock_wait_end(struct lock_table *t, struct lock_wait *w)
{
	struct lock_wait **p = &t->waits;

	autolock(&t->lock);
	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
}
