/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VMM's shared memory region: a thread answers the back-end's SHMEM_MAP and SHMEM_UNMAP, as strictly as
 * QEMU does, by mapping the files into memory of this process, where a guest would see them. What is not
 * mapped there faults. Control by the thread that owns the front-end. As the specification asks nothing
 * else, a front-end may tell of the new guest memory behind each answer (QEMU does), or not (crosvm).
 */
#ifndef FRONTEND_WINDOW_H
#define FRONTEND_WINDOW_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define WINDOW_PIECES 1024

enum window_mood {
	WINDOW_WILLING,
	WINDOW_REFUSING, /* answers every MAP with no */
	WINDOW_SILENT,	 /* does what it is asked to and does not say so, until the mood changes */
};

struct window_piece {
	uint64_t shm_off, len, fd_off;
};

struct window {
	uint8_t *base; /* NULL: not started */
	uint64_t size;
	int sock;
	void (*tell)(void *arg); /* of guest memory, by the thread */
	void *arg;
	pthread_t thread;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	enum window_mood mood;
	bool ends;
	struct window_piece piece[WINDOW_PIECES];
	unsigned int pieces, maps, unmaps, refused; /* now; and so far */
};

/* Serves @sock, which stays the caller's. @tell may be NULL. 0 or -errno. */
int window_start(struct window *w, int sock, uint64_t size, void (*tell)(void *arg), void *arg);
void window_stop(struct window *w);

/* All mappings go, as with a reset of the device. */
void window_clear(struct window *w);
void window_set_mood(struct window *w, enum window_mood mood);
/* Waits until @maps requests to map have come in all. False after five seconds. */
bool window_await_maps(struct window *w, unsigned int maps);
/* Likewise, to unmap. */
bool window_await_unmaps(struct window *w, unsigned int unmaps);
/* Pieces that are mapped now; requests to map and to unmap, and what was refused, so far. */
unsigned int window_pieces(struct window *w);
unsigned int window_maps(struct window *w);
unsigned int window_unmaps(struct window *w);
unsigned int window_refused(struct window *w);
/* The memory, as all requests have left it that were answered before. */
uint8_t *window_memory(struct window *w);

#endif
