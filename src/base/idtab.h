/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table of fixed-size records in the state segment, named by IDs that a guest may hold: index and
 * generation, never a pointer. A stale or invented ID is refused; a record that somebody uses is never given
 * to somebody else, because every user holds a reference. Index 0 is never given out, so ID 0 names nothing.
 *
 * Each record begins with a struct idtab_rec. References are taken without a lock by any thread; making and
 * freeing records takes the table's mutex.
 */
#ifndef BASE_IDTAB_H
#define BASE_IDTAB_H

#include <pthread.h>
#include <stdatomic.h>
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
	uint32_t high;	       /* lowest index that was never used; guarded by @lock */
	uint32_t free;	       /* first free record, 0: none; guarded by @lock */
	_Atomic uint32_t used; /* records in use */
};

/* A view on @capacity zeroed records of @record_size bytes at @records. */
void idtab_init(struct idtab *t, void *records, uint32_t record_size, uint32_t capacity);

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

/* A reference to the record at @index if it is in use, else NULL: how a sweep visits records that others may
 * free. */
void *idtab_get_index(struct idtab *t, uint32_t index);

#endif
