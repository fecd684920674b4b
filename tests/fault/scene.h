/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where one request meets one fault: a directory of its own in the share, what the guest knows of it, and
 * what is counted before and after. Mistakes are printed and counted, so that one run shows them all.
 * Threads: one.
 */
#ifndef FAULT_SCENE_H
#define FAULT_SCENE_H

#include "counts.h"
#include "inject.h"
#include "test.h"

#define SCENE_SIZE  8192u /* bytes of f */
#define SCENE_KNOWN 64
#define SCENE_RANGE (2u << 20) /* of the window: the unit of mappings */
#define SCENE_CROWD 20
#define SCENE_OWNER 11 /* of locks */

struct scene {
	struct vm *vm;
	struct fuse_client *c;
	struct inject *inject;
	struct segment segment; /* the daemon's, to count its records */
	unsigned int serial, mistakes;
	bool crowded; /* the daemon may keep few descriptors: others have taken them when the request comes */
	const char *kind; /* what is under way, for messages */
	char fault[96];

	/* Made anew for each request: f (SCENE_SIZE bytes of test_pattern(), seed 1), empty (a file), d/x, l
	 * -> f. */
	const char *xattr_prefix; /* of attributes' names on the host */
	char name[24];
	int host;
	uint64_t dir, node_f, node_e, node_d, node_l;
	struct fc_file f, e, d; /* f and empty open to read and write, d */
	struct {
		uint64_t node, lookups;
	} known[SCENE_KNOWN];
	uint64_t crowd[SCENE_CROWD];
	unsigned int nknown;
	uint8_t data[SCENE_SIZE];
	int host_lock; /* a descriptor of f that locks it, -1: none */
};

/* One kind of request. */
struct kind {
	const char *name;
	/* Makes it so that run() is one request. NULL: nothing to do. */
	void (*prepare)(struct scene *s);
	/* Sends it: 0 or a length, or -errno. */
	ssize_t (*run)(struct scene *s);
	/* It said that it went well: is it so? NULL: nothing can be seen. */
	void (*check)(struct scene *s, ssize_t r);
	bool waits;  /* may answer EINTR */
	bool window; /* for a front-end with a window; the others do without */
};

extern const struct kind kinds[];
extern const unsigned int nkinds;

void scene_mistake(struct scene *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Files that take the descriptors of others: from now on, they do. */
void scene_crowd(struct scene *s);

/* The daemon runs and the guest has mounted: -1 if it cannot be traced, with the reason printed. */
int scene_start(struct scene *s, struct vm *vm, struct inject *inject);
void scene_end(struct scene *s);

void scene_build(struct scene *s);
/* The guest gives everything back; the host removes it. */
void scene_strike(struct scene *s);

/* The guest was told of a nodeid: it will be forgotten. */
uint64_t scene_learn(struct scene *s, uint64_t node);

#endif
