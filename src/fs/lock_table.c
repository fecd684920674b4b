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

#define RANGES_PER_OWNER 8 /* on average; one alone may have all of them */

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
	int fd_ceiling;
	uint32_t mask;	/* of a hash, to index heads */
	uint32_t *next; /* by index of an owner; 0 ends a chain */
	uint32_t heads[];
};

void lock_table_plan(const struct fs_config *cfg, struct segment_plan *owners, struct segment_plan *ranges)
{
	uint64_t n = cfg->max_lock_owners;

	*owners = (struct segment_plan){.size = sizeof(struct lock_owner), .count = n + 1};
	*ranges = (struct segment_plan){.size = sizeof(struct lock_range), .count = n * RANGES_PER_OWNER + 1};
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

static struct lock_range *range_take(struct lock_table *t, uint32_t spare[2], uint32_t *index)
{
	uint32_t *from = spare[0] ? &spare[0] : &spare[1];

	*index = *from;
	*from = 0;
	return range_at(t, *index);
}

/* A range with @lk in its middle becomes two. */
static void range_split(
	struct lock_table *t, struct lock_range *r, const struct op_lock *lk, uint32_t spare[2])
{
	uint32_t index;
	struct lock_range *right = range_take(t, spare, &index);

	right->start = lk->end + 1;
	right->end = r->end;
	right->type = r->type;
	right->next = r->next;
	r->end = lk->start - 1;
	r->next = index;
}

/* Nothing is left where @lk lies. The link behind which a range there belongs. */
static uint32_t *ranges_cut(struct lock_table *t, uint32_t *link, const struct op_lock *lk, uint32_t spare[2])
{
	while (*link) {
		uint32_t index = *link;
		struct lock_range *r = range_at(t, index);

		if (r->start > lk->end)
			break;
		if (r->start < lk->start) {
			if (r->end > lk->end)
				range_split(t, r, lk, spare);
			r->end = MIN(r->end, lk->start - 1);
			link = &r->next;
		} else if (r->end > lk->end) {
			r->start = lk->end + 1;
			break;
		} else {
			*link = r->next;
			range_free(t, index);
		}
	}
	return link;
}

/* What POSIX says of a lock on a range where the owner has locks already. Takes what it needs of @spare. */
static void ranges_set(struct lock_table *t, uint32_t *list, struct op_lock lk, uint32_t spare[2])
{
	struct lock_range *r;
	uint32_t *link, index;

	if (lk.type != F_UNLCK)
		ranges_absorb(t, *list, &lk);
	link = ranges_cut(t, list, &lk, spare);
	if (lk.type == F_UNLCK)
		return;
	r = range_take(t, spare, &index);
	r->start = lk.start;
	r->end = lk.end;
	r->type = lk.type;
	r->next = *link;
	*link = index;
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
	while (o->ranges) {
		uint32_t index = o->ranges;

		o->ranges = range_at(t, index)->next;
		range_free(t, index);
	}
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
	owner_unref(t, o);
}

/* Mutex held. */
static void owner_put(struct lock_table *t, struct lock_owner *o)
{
	const uint32_t chain_and_me = 2;

	if (!o->ranges && (uint32_t)atomic_load(&o->rec.state) == chain_and_me)
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
		o->fd = fd_take(fd);
		t->next[(uint32_t)id] = *head;
		*head = (uint32_t)id;
	}
	idtab_ref(o);
	*out = o;
	return 0;
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

static bool needs_no_room(const struct op_lock *lk)
{
	return lk->type == F_UNLCK && !lk->start && lk->end == LOCK_END;
}

int lock_change_begin(struct lock_table *t, struct lock_change *ch)
{
	if (needs_no_room(&ch->lk))
		return 0;
	for (unsigned int i = 0; i < ARRAY_LEN(ch->spare); i++) {
		uint64_t id;

		if (!idtab_alloc(&t->ranges, &id))
			return -ENOLCK;
		ch->spare[i] = (uint32_t)id;
	}
	return 0;
}

void lock_change_end(struct lock_table *t, struct lock_change *ch)
{
	for (unsigned int i = 0; i < ARRAY_LEN(ch->spare); i++) {
		range_free(t, ch->spare[i]);
		ch->spare[i] = 0;
	}
}

/* Mutex held. */
static int change(struct lock_table *t, struct lock_owner *o, struct lock_change *ch)
{
	if (fcntl(o->fd, F_OFD_SETLK, &ch->host))
		return errno == EACCES ? -EAGAIN : -errno;
	ranges_set(t, &o->ranges, ch->lk, ch->spare);
	return 0;
}

int lock_change_try(struct lock_table *t, struct lock_owner *o, struct lock_change *ch)
{
	autolock(&t->lock);
	return change(t, o, ch);
}

static struct lock_change unlock_all(void)
{
	return (struct lock_change){
		.lk = {.end = LOCK_END, .type = F_UNLCK}, .host = {.l_type = F_UNLCK, .l_whence = SEEK_SET}};
}

int lock_owner_unlock_all(struct lock_table *t, struct nodeid node, uint64_t owner)
{
	struct lock_change all = unlock_all();
	struct lock_owner *o;
	int r;

	if (!lock_table_count(t))
		return 0;
	autolock(&t->lock);
	o = owner_find(t, node, owner);
	if (!o)
		return 0;
	idtab_ref(o);
	r = change(t, o, &all);
	owner_put(t, o);
	return r;
}

void lock_table_unlock_handle(struct lock_table *t, struct nodeid node, struct op_fh fh)
{
	struct lock_change all = unlock_all();
	struct lock_owner *o;
	uint32_t at;

	if (!lock_table_count(t))
		return;
	autolock(&t->lock);
	o = first_of(t, node, &at);
	while (o) {
		struct lock_owner *next = next_of(t, node, &at);

		if (atomic_load(&o->fh) == fh.v) {
			idtab_ref(o);
			change(t, o, &all);
			owner_put(t, o);
		}
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
