/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bracket around every change of the host (design decision 9): an op declares what it is about to change,
 * then changes it, then says how it went. A read-only share, the window and the counts of changes hang here
 * and nowhere else, as ops make changing system calls between begin and end only. What a request notes for
 * another run of it is op_intend()'s.
 */
#ifndef FS_EFFECT_H
#define FS_EFFECT_H

#include "fuse/ops.h"

enum effect_kind {
	EFFECT_DATA, /* file contents or size */
	EFFECT_ATTR, /* mode, owner, times, file flags */
	EFFECT_XATTR,
	EFFECT_CREATE, /* a name appears: create, mknod, mkdir, symlink, link, tmpfile */
	EFFECT_REMOVE, /* a name goes: unlink, rmdir */
	EFFECT_RENAME,
	EFFECT_LOCK,
	EFFECT_KINDS
};

/* One change. Inodes are named by nodeid: those whose attributes or contents may differ afterwards,
 * directories included. */
struct effect {
	enum effect_kind kind;
	bool idempotent; /* doing it twice gives what doing it once gives */
	struct nodeid node[4];
	unsigned int nodes;
	uint64_t unique; /* the request's */
	/* EFFECT_DATA: what the window must know of it (struct op_change), and who may wait for it. */
	struct op_ctx *ctx;
	struct op_change change;
	int held; /* the bracket's own */
};

struct effect_state {
	_Atomic uint64_t count[EFFECT_KINDS]; /* changes that succeeded */
	_Atomic uint64_t busy;		      /* brackets that are open now */
};

struct fs;

/* Before the change. 0, or -errno: then the change must not be made (-EROFS on a read-only share,
 * where only locks may change). */
int effect_begin(struct fs *fs, struct effect *e);
/* After it, whatever came of it. Returns @result, so that `return effect_end(fs, &e, r)` reads as what it
 * does. */
ssize_t effect_end(struct fs *fs, struct effect *e, ssize_t result);

#endif
