/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest on its way from one daemon to another, for the tests of migration: a front-end each, and the state
 * between them. What fails, fails the test.
 */
#ifndef TESTS_PROTO_JOURNEY_H
#define TESTS_PROTO_JOURNEY_H

#include "state.h"
#include "test.h"

#define JOURNEY_ROOM (1u << 20) /* bytes for a state */

struct journey {
	struct vm from, to;
	uint8_t state[JOURNEY_ROOM];
	size_t len;
	struct fc_file file, dir, moved;
	uint64_t link;
	uint32_t base[VM_MAX_QUEUES]; /* where the rings of the one that stopped last stood */
};

/* A test whose state is a new journey. */
#define JOURNEY(f)                                      \
	{                                               \
#f, f, journey_begin, journey_end, NULL \
	}
int journey_begin(void **state);
int journey_end(void **state);

/* @vm's queues stop; start_again(): those of who has the guest go on where they stood. */
void journey_stop(struct journey *j, struct vm *vm);
void journey_start_again(struct journey *j);
/* 0 or -errno. */
int journey_save(struct journey *j, struct vm *vm);
/* @vm's queues stop, and its state is saved. */
void journey_leave(struct journey *j, struct vm *vm);

#endif
