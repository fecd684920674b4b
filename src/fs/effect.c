/* SPDX-License-Identifier: BSD-3-Clause */
/* The bracket around every change: refuses it on a read-only share, and counts. Threads: any. */
#include "fs/internal.h"

#include <errno.h>

int effect_begin(struct fs *fs, struct effect *e)
{
	if (fs->cfg.readonly && e->kind != EFFECT_LOCK)
		return -EROFS;
	atomic_fetch_add_explicit(&fs->effects.busy, 1, memory_order_seq_cst);
	return 0;
}

ssize_t effect_end(struct fs *fs, struct effect *e, ssize_t result)
{
	if (result >= 0)
		atomic_fetch_add_explicit(&fs->effects.count[e->kind], 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&fs->effects.busy, 1, memory_order_seq_cst);
	return result;
}
