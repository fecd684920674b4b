/* SPDX-License-Identifier: BSD-3-Clause */
/* The bracket around every change: refuses it on a read-only share, counts, and lets the window follow.
 * Threads: any. */
#include "fs/internal.h"

#include <errno.h>

/* Changes of contents that the guest may have mapped. */
static const struct op_window *window_of(const struct fs *fs, const struct effect *e)
{
	return e->kind == EFFECT_DATA && e->ctx ? fs->cfg.window : NULL;
}

static int window_begin(struct fs *fs, struct effect *e)
{
	const struct op_window *w = window_of(fs, e);
	int r;

	if (!w)
		return 0;
	e->change.node = e->node[0];
	r = w->change_begin(w->arg, e->ctx, &e->change);
	e->held = r;
	return r < 0 ? r : 0;
}

int effect_begin(struct fs *fs, struct effect *e)
{
	int r;

	if (fs->cfg.readonly && e->kind != EFFECT_LOCK)
		return -EROFS;
	r = window_begin(fs, e);
	if (r)
		return r;
	atomic_fetch_add_explicit(&fs->effects.busy, 1, memory_order_seq_cst);
	return 0;
}

ssize_t effect_end(struct fs *fs, struct effect *e, ssize_t result)
{
	const struct op_window *w = window_of(fs, e);
	int r = w ? w->change_end(w->arg, e->ctx, &e->change, e->held) : 0;

	if (r && result >= 0)
		result = r;
	if (result >= 0)
		atomic_fetch_add_explicit(&fs->effects.count[e->kind], 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&fs->effects.busy, 1, memory_order_seq_cst);
	return result;
}
