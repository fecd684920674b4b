/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table of fixed-size records in the state segment, named by IDs that a guest may hold: index and
 * generation, never a pointer. A stale or invented ID is refused; a record that somebody uses is never given
 * to somebody else, because every user holds a reference. Index 0 is never given out, so ID 0 names nothing.
 *
 * Each record begins with a struct idtab_rec. References are taken without a lock by any thread; making and
 * freeing records takes the table's mutex. Record 0 keeps the lowest index that was never used (next_free),
 * so that a process that adopts the table reads no further.
 */
#ifndef BASE_IDTAB_H
#define BASE_IDTAB_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Generation in the upper half, references in the lower: both change in one compare-and-swap. 0 references:
 * free. */
struct idtab_rec {
	_Atomic uint64_t state;
	uint32_t next_free; /* index of the next free record, 0 ends; guarded by the table's mutex */
	uint32_t spare;
};

struct idtab {
	pthread_mutex_t lock;
	char *records; /* in the segment */
	uint32_t record_size;
	uint32_t capacity;     /* indices 1 .. capacity - 1 */
	uint32_t free;	       /* first free record, 0: none; guarded by @lock */
	_Atomic uint32_t used; /* records in use */
};

/* A view on @capacity records of @record_size bytes at @records: zeroed ones, or an earlier process's, which
 * idtab_adopt() makes usable. */
void idtab_init(struct idtab *t, void *records, uint32_t record_size, uint32_t capacity);

/*
 * Takes over what an earlier process left. @refs is called for each record that was in use, and says how many
 * references it has from now on: 0 frees it (what it owned is the callback's to forget), and no ID of before
 * finds it. -EINVAL: the table is not one. Before other threads exist.
 */
int idtab_adopt(struct idtab *t, uint32_t (*refs)(void *arg, void *record), void *arg);

/*
 * For a table that is filled from elsewhere, with IDs that are given. idtab_place() is idtab_alloc() with
 * @id; NULL if there is no such index, or its record is in use. idtab_avoid() sees to it that @id will never
 * name anything. After either no record is made or freed otherwise until idtab_tidy(), which puts the list of
 * free records in order. One thread.
 */
void *idtab_place(struct idtab *t, uint64_t id);
void idtab_avoid(struct idtab *t, uint64_t id);
void idtab_tidy(struct idtab *t);

/* True if @id names a record in use; for adoption, ahead of idtab_adopt(). */
bool idtab_names(const struct idtab *t, uint64_t id);

/*
 * A new record with one reference, which is the caller's: everything behind its struct idtab_rec is zero.
 * *id is its ID. NULL if the table is full (ENFILE).
 */
void *idtab_alloc(struct idtab *t, uint64_t *id);

/* The record that @id names, with a reference for the caller, or NULL if there is none. Any ID is allowed. */
void *idtab_get(struct idtab *t, uint64_t id);

/* One more reference to a record of which the caller holds one. */
void idtab_ref(void *record);

/*
 * Gives a reference back. Returns 1 if it was the last: then no ID finds the record, and the caller, who
 * alone knows it now, releases what it owns and calls idtab_free(). Otherwise 0.
 */
int idtab_put(void *record);
void idtab_free(struct idtab *t, void *record);

/* The ID of a record of which the caller holds a reference; its index. */
uint64_t idtab_id(const struct idtab *t, const void *record);
uint32_t idtab_index(const struct idtab *t, const void *record);

/* The record at @index whatever its state, for sweeps; NULL past the highest index ever used. */
void *idtab_at(struct idtab *t, uint32_t index);

/* The lowest index that was never used, 1 at least. */
uint32_t idtab_end(struct idtab *t);

/* A reference to the record at @index if it is in use, else NULL: how a sweep visits records that others may
 * free. */
void *idtab_get_index(struct idtab *t, uint32_t index);
/* The same for the first record in use from *index on, which is moved behind it; NULL: there is none. */
void *idtab_next(struct idtab *t, uint32_t *index);

#endif
