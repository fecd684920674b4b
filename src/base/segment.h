/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state segment: one relocatable piece of shared memory (a memfd) with everything that outlives a
 * request. It holds sections of fixed-size records and no pointers, so another process can map it elsewhere
 * and go on. Sections are reserved at their full size and take memory only where they were written. Made,
 * opened and unmapped by the control thread; what the records' threads may do is said by their owners.
 *
 * A process may end between any two instructions. So an owner writes what makes a record count last, and a
 * process that adopts the segment rebuilds whatever follows from the records: free lists, chains, counters,
 * references. Nothing that a thread holds (references, mutexes) outlives its process.
 */
#ifndef BASE_SEGMENT_H
#define BASE_SEGMENT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A reader refuses a segment with another number. Raise it with every change of a record. */
#define SEGMENT_LAYOUT 10

enum segment_section {
	SEGMENT_SUPERVISED,  /* one record: what the supervisor notes of its workers */
	SEGMENT_DEVICE,	     /* one record: the vhost-user connection */
	SEGMENT_TRACK,	     /* what is in flight, one record a queue */
	SEGMENT_INTENTS,     /* what requests in flight have done, VRING_MAX_SIZE records a queue */
	SEGMENT_CONN,	     /* one record: what the FUSE session negotiated */
	SEGMENT_LISTINGS,    /* lookups that listings in flight have counted */
	SEGMENT_MOUNTS,	     /* host mounts below the share */
	SEGMENT_INODES,	     /* inode table */
	SEGMENT_HANDLES,     /* open-handle table */
	SEGMENT_LOCK_OWNERS, /* open file descriptions that hold a lock owner's locks */
	SEGMENT_LOCK_RANGES, /* the ranges that they hold */
	SEGMENT_DAX,	     /* what is mapped in the DAX window */
	SEGMENT_DAX_FILES,   /* the files that it is of */
	SEGMENT_DAX_COPIES,  /* what copies of their pages held when they last agreed with the file */
	SEGMENT_DAX_ASKED,   /* one record: what the front-end was last asked to map or unmap */
	SEGMENT_SECTIONS
};

/* What a section shall be: @count records of @size bytes. */
struct segment_plan {
	uint32_t size;
	uint64_t count;
};

/* Where a section lies; part of the header, too. */
struct segment_place {
	uint64_t offset, count;
	uint32_t size, pad;
};

/* Other processes, which may be hostile, write in what is mapped: where the sections lie is read here only.
 */
struct segment {
	int fd;
	void *base;
	size_t len;
	struct segment_place place[SEGMENT_SECTIONS];
	bool adopt; /* the records are an earlier process's: who is given the segment goes on from them */
};

/* Makes a segment with the sections of @plan, all bytes zero. 0 or -errno with @err. */
int segment_create(struct segment *seg, const struct segment_plan plan[SEGMENT_SECTIONS], struct err *err);

/*
 * Maps the segment behind @fd, which stays the caller's on error, and checks that it has the layout and every
 * section that @plan asks for. 0 or -errno with @err.
 */
int segment_open(
	struct segment *seg, int fd, const struct segment_plan plan[SEGMENT_SECTIONS], struct err *err);

/*
 * Maps the segment behind @fd, which stays the caller's, to look at, laid out as it says itself. For tests
 * and tools, which trust who made it. segment_close() ends it, but not @fd. 0 or -errno with @err.
 */
int segment_view(struct segment *seg, int fd, struct err *err);
uint32_t segment_record_size(const struct segment *seg, enum segment_section section);

/* First record of a section. Valid until segment_close(). */
void *segment_at(const struct segment *seg, enum segment_section section);
uint64_t segment_count(const struct segment *seg, enum segment_section section);

void segment_close(struct segment *seg);

#endif
