/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kernel modules for the initramfs: finds them in a modules directory and unpacks them. What a module depends
 * on is read from the module itself, so the directory needs no depmod run.
 */
#ifndef TOOLS_KMOD_H
#define TOOLS_KMOD_H

#include "base/err.h"
#include "cpio.h"
#include "strv.h"

#include <stdbool.h>

struct kmod_set {
	const char *dir;     /* /lib/modules/VERSION */
	struct cpio *cpio;   /* gets /modules/NAME.ko of each */
	struct strv order;   /* the paths in the initramfs, in the order of loading; free with strv_free() */
	struct strv paths;   /* internal: all modules of the directory */
	struct strv visited; /* internal */
};

int kmod_open(struct kmod_set *k, const char *dir, struct cpio *cpio, struct err *e);
void kmod_close(struct kmod_set *k);

/* Adds module @name and what it depends on. One that is not there: -ENOENT if @required and it is not built
 * in. */
int kmod_add(struct kmod_set *k, const char *name, bool required, struct err *e);

#endif
