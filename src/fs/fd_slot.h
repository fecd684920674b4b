/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A descriptor that may be taken back between uses: one word, changed by compare-and-swap. Upper half: the
 * descriptor plus one, 0 if none; lower half: its users. All zero is empty. Threads: any.
 */
#ifndef FS_FD_SLOT_H
#define FS_FD_SLOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

static inline int fd_slot_fd(uint64_t word)
{
	return (int)(word >> 32) - 1;
}

static inline uint32_t fd_slot_users(uint64_t word)
{
	return (uint32_t)word;
}

/* The descriptor for use, then fd_slot_done(); -1 if there is none. */
static inline int fd_slot_use(_Atomic uint64_t *slot)
{
	uint64_t w = atomic_load(slot);

	do {
		if (!(w >> 32))
			return -1;
	} while (!atomic_compare_exchange_weak(slot, &w, w + 1));
	return fd_slot_fd(w);
}

static inline void fd_slot_done(_Atomic uint64_t *slot)
{
	atomic_fetch_sub(slot, 1);
}

/* Gives an empty slot a descriptor, with so many users. False if it has one: @fd stays the caller's. */
static inline bool fd_slot_fill(_Atomic uint64_t *slot, int fd, uint32_t users)
{
	uint64_t none = 0;

	return atomic_compare_exchange_strong(slot, &none, ((uint64_t)fd + 1) << 32 | users);
}

/* Takes the descriptor back if the slot's word is still @word, which has no users. False: it is not. */
static inline bool fd_slot_empty(_Atomic uint64_t *slot, uint64_t word)
{
	return !fd_slot_users(word) && atomic_compare_exchange_strong(slot, &word, 0);
}

#endif
