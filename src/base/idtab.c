/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/idtab.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

static uint32_t generation(uint64_t state)
{
	return (uint32_t)(state >> 32);
}

static uint32_t refs(uint64_t state)
{
	return (uint32_t)state;
}

static struct idtab_rec *rec_at(const struct idtab *t, uint32_t index)
{
	return (struct idtab_rec *)(void *)(t->records + (size_t)index * t->record_size);
}

/* Guarded by the table's mutex. */
static uint32_t *high_of(const struct idtab *t)
{
	return &rec_at(t, 0)->next_free;
}

void idtab_init(struct idtab *t, void *records, uint32_t record_size, uint32_t capacity)
{
	*t = (struct idtab){.records = records, .record_size = record_size, .capacity = capacity};
	pthread_mutex_init(&t->lock, NULL);
	if (!*high_of(t))
		*high_of(t) = 1;
}

int idtab_adopt(struct idtab *t, uint32_t (*refs_now)(void *arg, void *record), void *arg)
{
	if (*high_of(t) > t->capacity)
		return -EINVAL;
	for (uint32_t index = *high_of(t) - 1; index; index--) {
		struct idtab_rec *r = rec_at(t, index);
		uint64_t s = atomic_load(&r->state);
		uint32_t n = refs(s) ? refs_now(arg, r) : 0;

		if (n) {
			atomic_store(&r->state, (s & ~(uint64_t)UINT32_MAX) | n);
			atomic_fetch_add(&t->used, 1);
			continue;
		}
		/* The last process may have died just ahead of this step to the next generation. */
		atomic_store(&r->state, ((uint64_t)generation(s) + 1) << 32);
		r->next_free = t->free;
		t->free = index;
	}
	return 0;
}

bool idtab_names(const struct idtab *t, uint64_t id)
{
	uint32_t index = (uint32_t)id;
	uint64_t s;

	if (!index || index >= *high_of(t) || index >= t->capacity)
		return false;
	s = atomic_load(&rec_at(t, index)->state);
	return refs(s) && generation(s) == (uint32_t)(id >> 32);
}

/* The generation of a record's first life is 0, so that the root inode, made first, has ID 1 as FUSE wants
 * it. */
void *idtab_alloc(struct idtab *t, uint64_t *id)
{
	struct idtab_rec *r;
	uint64_t gen;

	autolock(&t->lock);
	if (t->free) {
		r = rec_at(t, t->free);
		t->free = r->next_free;
	} else if (*high_of(t) < t->capacity) {
		r = rec_at(t, (*high_of(t))++);
	} else {
		return NULL;
	}
	memset(r + 1, 0, t->record_size - sizeof(*r));
	gen = generation(atomic_load(&r->state));
	atomic_store(&r->state, gen << 32 | 1);
	atomic_fetch_add(&t->used, 1);
	*id = gen << 32 | idtab_index(t, r);
	return r;
}

/* A free record at this index, or NULL. Its place in the list of free records is idtab_tidy()'s. */
static struct idtab_rec *claim(struct idtab *t, uint64_t id)
{
	uint32_t index = (uint32_t)id;

	if (!index || index >= t->capacity || refs(atomic_load(&rec_at(t, index)->state)))
		return NULL;
	if (*high_of(t) <= index)
		*high_of(t) = index + 1;
	return rec_at(t, index);
}

void *idtab_place(struct idtab *t, uint64_t id)
{
	struct idtab_rec *r;

	autolock(&t->lock);
	r = claim(t, id);
	if (!r)
		return NULL;
	memset(r + 1, 0, t->record_size - sizeof(*r));
	atomic_store(&r->state, (id & ~(uint64_t)UINT32_MAX) | 1);
	atomic_fetch_add(&t->used, 1);
	return r;
}

void idtab_avoid(struct idtab *t, uint64_t id)
{
	struct idtab_rec *r;

	autolock(&t->lock);
	r = claim(t, id);
	if (r)
		atomic_store(&r->state, (id & ~(uint64_t)UINT32_MAX) + (1ULL << 32));
}

void idtab_tidy(struct idtab *t)
{
	autolock(&t->lock);
	t->free = 0;
	while (*high_of(t) > 1 && !refs(atomic_load(&rec_at(t, *high_of(t) - 1)->state)))
		(*high_of(t))--;
	for (uint32_t index = *high_of(t) - 1; index; index--) {
		struct idtab_rec *r = rec_at(t, index);

		if (refs(atomic_load(&r->state)))
			continue;
		r->next_free = t->free;
		t->free = index;
	}
}

/* Takes a reference if the record is in use and, where @gen asks for it, in that life. */
static bool ref_if(struct idtab_rec *r, bool any_gen, uint32_t gen)
{
	uint64_t s = atomic_load(&r->state);

	do {
		if (!refs(s) || refs(s) == UINT32_MAX || (!any_gen && generation(s) != gen))
			return false;
	} while (!atomic_compare_exchange_weak(&r->state, &s, s + 1));
	return true;
}

void *idtab_get(struct idtab *t, uint64_t id)
{
	uint32_t index = (uint32_t)id;
	struct idtab_rec *r;

	if (!index || index >= t->capacity)
		return NULL;
	r = rec_at(t, index);
	return ref_if(r, false, (uint32_t)(id >> 32)) ? r : NULL;
}

void *idtab_get_index(struct idtab *t, uint32_t index)
{
	struct idtab_rec *r = index && index < t->capacity ? rec_at(t, index) : NULL;

	return r && ref_if(r, true, 0) ? r : NULL;
}

void *idtab_next(struct idtab *t, uint32_t *index)
{
	void *record = NULL;

	while (!record && idtab_at(t, *index))
		record = idtab_get_index(t, (*index)++);
	return record;
}

void idtab_ref(void *record)
{
	struct idtab_rec *r = record;

	atomic_fetch_add(&r->state, 1);
}

int idtab_put(void *record)
{
	struct idtab_rec *r = record;

	return refs(atomic_fetch_sub(&r->state, 1)) == 1;
}

void idtab_free(struct idtab *t, void *record)
{
	struct idtab_rec *r = record;

	autolock(&t->lock);
	atomic_fetch_add(&r->state, 1ULL << 32);
	r->next_free = t->free;
	t->free = idtab_index(t, r);
	atomic_fetch_sub(&t->used, 1);
}

uint32_t idtab_index(const struct idtab *t, const void *record)
{
	return (uint32_t)(((const char *)record - t->records) / t->record_size);
}

uint64_t idtab_id(const struct idtab *t, const void *record)
{
	const struct idtab_rec *r = record;

	return (uint64_t)generation(atomic_load(&((struct idtab_rec *)(uintptr_t)r)->state)) << 32 |
	       idtab_index(t, r);
}

uint32_t idtab_end(struct idtab *t)
{
	autolock(&t->lock);
	return *high_of(t);
}

void *idtab_at(struct idtab *t, uint32_t index)
{
	autolock(&t->lock);
	return index && index < *high_of(t) && index < t->capacity ? rec_at(t, index) : NULL;
}
