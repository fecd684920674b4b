/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a running daemon holds, counted from outside: descriptors, memory, and the records in its state
 * segment. For tests that show that nothing is left behind. Threads: one.
 */
#ifndef PROTO_COUNTS_H
#define PROTO_COUNTS_H

#include "base/segment.h"
#include "vm.h"

struct counts {
	unsigned int fds, inodes, handles, lock_owners, lock_ranges;
};

/* Maps the segment of @vm's daemon to count in, by the descriptor that the daemon has of it. 0 or -errno;
 * segment_close() ends it. */
int counts_open(struct segment *seg, const struct vm *vm);
void counts_take(const struct vm *vm, const struct segment *seg, struct counts *out);
/* "descriptors 12, inodes 1, ..." */
void counts_print(const struct counts *c, char *buf, size_t len);

/* KiB of memory that is the process's own; @shared: the guest's and the segment, too, as far as it was
 * touched. */
unsigned long counts_memory(const struct vm *vm, bool shared);

#endif
